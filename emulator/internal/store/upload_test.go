package store_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-io/sluice/emulator/internal/store"
	"github.com/sluice-io/sluice/emulator/internal/types"
)

// sound closes a store and proves its folder without fault: nothing listed that is not there,
// and nothing left over.
func sound(t *testing.T, s *store.Store, dir string) {
	t.Helper()
	must(t, s.Close())
	if report := check(t, dir); len(report.Findings) != 0 {
		t.Errorf("the folder: %v", report.Findings)
	}
}

// Each session publishes its own blocks, however near their names.
func TestSessionsCommitTheirOwnBlocks(t *testing.T) {
	dir := t.TempDir()
	s := open(t, store.Options{Dir: dir})
	var sessions []store.Upload
	var tables []store.Table
	for i, name := range []string{"a", "b", "c"} {
		tab := create(t, s, name, "id bigint", "")
		u, err := s.CreateUpload(store.UploadRequest{Key: tab.Key})
		must(t, err)
		must(t, s.PutBlock(u.ID, i, 0, segment(t, s, tab, ids(int64(i), 1))))
		sessions, tables = append(sessions, u), append(tables, tab)
	}
	for i, u := range sessions {
		live, err := s.Upload(u.ID)
		if err != nil || len(live.Blocks) != 1 || live.Blocks[0].ID != i {
			t.Errorf("session %d has blocks %+v, %v", i, live.Blocks, err)
		}
	}
	for i, u := range sessions {
		_, err := s.CommitUpload(u.ID)
		must(t, err)
		if got := snapshotIDs(t, s, tables[i].Key, nil); !slices.Equal(got, []int64{int64(i)}) {
			t.Errorf("table %d has rows %v", i, got)
		}
	}
	sound(t, s, dir)
}

// The end of a session takes its blocks, unless they are its table's by then.
func TestSessionsThatEndTakeTheirBlocksAlone(t *testing.T) {
	now := time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)
	for what, end := range map[string]func(*store.Store, ...string) error{
		"by age": func(s *store.Store, sessions ...string) error {
			n, err := s.ExpireUploads()
			if n != len(sessions) {
				return errors.Join(err, errors.New("not every session ended"))
			}
			return err
		},
		"by name": func(s *store.Store, sessions ...string) error {
			err := s.ExpireUpload("nobody")
			for range 2 { // the second time there is none
				for _, id := range sessions {
					err = errors.Join(err, s.ExpireUpload(id))
				}
			}
			return err
		},
	} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			at := now
			s := open(t, store.Options{Dir: dir, Now: func() time.Time { return at }, UploadTTL: time.Hour})
			tab := create(t, s, "t", "id bigint", "")
			begin := func() store.Upload {
				u, err := s.CreateUpload(store.UploadRequest{Key: tab.Key})
				must(t, err)
				must(t, s.PutBlock(u.ID, 0, 0, segment(t, s, tab, ids(0, 1))))
				must(t, s.PutBlock(u.ID, 1, 0, segment(t, s, tab)))
				return u
			}
			closed, left := begin(), begin()
			_, err := s.CommitUpload(closed.ID)
			must(t, err)
			if what == "by age" {
				at = at.Add(time.Hour)
			}
			must(t, end(s, closed.ID, left.ID))
			for _, u := range []store.Upload{closed, left} {
				if _, err := s.Session(u.ID); !errors.Is(err, store.ErrNoSuchUpload) {
					t.Errorf("a session that ended: %v, want ErrNoSuchUpload", err)
				}
			}
			eventually(t, "removal of the block", func() bool { return segmentFiles(t, dir) == 1 })
			sound(t, s, dir)
			s = open(t, store.Options{Dir: dir, Now: func() time.Time { return at }})
			if got := snapshotIDs(t, s, tab.Key, nil); !slices.Equal(got, []int64{0}) {
				t.Errorf("rows after a restart %v, want those of the session that was committed", got)
			}
		})
	}
}

// What a block or a commit replaces is removed, and nothing else.
func TestReplacedRowsGiveBackTheirFiles(t *testing.T) {
	dir := t.TempDir()
	s := open(t, store.Options{Dir: dir})
	tab := create(t, s, "t", "id bigint", "")
	publish(t, s, tab, nil, store.PublishOptions{}, ids(0, 5))
	u, err := s.CreateUpload(store.UploadRequest{Key: tab.Key, Overwrite: true})
	must(t, err)
	for from := range int64(3) {
		must(t, s.PutBlock(u.ID, 0, 0, segment(t, s, tab, ids(10+from, 1))))
	}
	eventually(t, "removal of replaced blocks", func() bool { return segmentFiles(t, dir) == 2 })
	_, err = s.CommitUpload(u.ID)
	must(t, err)
	eventually(t, "removal of overwritten rows", func() bool { return segmentFiles(t, dir) == 1 })
	if got := snapshotIDs(t, s, tab.Key, nil); !slices.Equal(got, []int64{12}) {
		t.Errorf("rows %v", got)
	}
	sound(t, s, dir)
}

// A session fixes what it is told, and makes a partition only if asked to.
func TestSessionsAreWhatWasAsked(t *testing.T) {
	s := open(t, store.Options{})
	tab := create(t, s, "t", "id bigint", "pt string")
	auto := store.Table{
		Key: store.NewKey("p", "", "auto"), Columns: columns(t, "at timestamp"), PartitionColumns: columns(t, "pt string"), Auto: &store.AutoPartition{Column: "at", Unit: "day"},
	}
	_, _, err := s.CreateTable(auto, false)
	must(t, err)
	refused := func(what string, r store.UploadRequest, want error) {
		t.Helper()
		u, err := s.CreateUpload(r)
		if !errors.Is(err, want) || u.ID != "" {
			t.Errorf("%s: %+v, %v, want %v", what, u, err, want)
		}
		if page, _, err := s.Partitions(tab.Key, store.PartitionQuery{}); err != nil || len(page) != 0 {
			t.Errorf("%s: partitions %v, %v", what, page, err)
		}
	}
	none := 7
	refused("a partition that is not there", store.UploadRequest{Key: tab.Key, Spec: pt("a")}, store.ErrNoSuchPartition)
	refused("no partition", store.UploadRequest{Key: tab.Key, CreatePartition: true}, store.ErrInvalidPartition)
	refused("another column", store.UploadRequest{Key: tab.Key, Spec: types.PartitionSpec{{Column: "x", Value: "a"}}, CreatePartition: true}, store.ErrInvalidPartition)
	refused("partitions that make themselves", store.UploadRequest{Key: auto.Key, Dynamic: true}, store.ErrKind)
	refused("a partition beside those of the rows", store.UploadRequest{Key: tab.Key, Spec: pt("a"), Dynamic: true}, store.ErrInvalidPartition)
	refused("a version to come", store.UploadRequest{Key: tab.Key, Spec: pt("a"), CreatePartition: true, SchemaVersion: &none}, store.ErrNoSuchSchemaVersion)
	refused("no table", store.UploadRequest{Key: store.NewKey("p", "", "none"), CreatePartition: true}, store.ErrNoSuchTable)
	u, err := s.CreateUpload(store.UploadRequest{Key: tab.Key, Spec: pt("a"), CreatePartition: true})
	if err != nil || u.Kind != store.BatchUpload || u.Dynamic || u.Overwrite || u.Spec.String() != pt("a").String() {
		t.Errorf("a batch session = %+v, %v", u, err)
	}
	u, err = s.CreateUpload(store.UploadRequest{Key: tab.Key, Kind: store.StreamUpload, Dynamic: true, Slots: 3})
	if err != nil || u.Kind != store.StreamUpload || !u.Dynamic || u.Slots != 3 || len(u.Spec) != 0 {
		t.Errorf("a stream session = %+v, %v", u, err)
	}
	page, _, err := s.Partitions(tab.Key, store.PartitionQuery{})
	if err != nil || len(page) != 1 || page[0].Spec.String() != pt("a").String() {
		t.Errorf("partitions %+v, %v, want pt=a", page, err)
	}
	_, err = s.CreateUpload(store.UploadRequest{Key: create(t, s, "plain", "id bigint", "").Key, Dynamic: true})
	if !errors.Is(err, store.ErrInvalidPartition) {
		t.Errorf("rows that name partitions of a table without: %v", err)
	}
}

// Rows of an older schema version keep their columns.
func TestSessionsOfAnOlderVersionWriteItsColumns(t *testing.T) {
	s := open(t, store.Options{})
	tab := create(t, s, "t", "id bigint", "")
	_, err := s.AlterTable(tab.Key, func(t *store.Table) error {
		t.Columns = append([]store.Column{{Name: "fresh", Type: types.Type{Kind: types.BigInt}, Nullable: true}}, t.Columns...)
		return nil
	})
	must(t, err)
	old := 0
	u, err := s.CreateUpload(store.UploadRequest{Key: tab.Key, SchemaVersion: &old})
	must(t, err)
	if len(u.Table.Columns) != 1 || u.Table.SchemaVersion != 0 {
		t.Errorf("the session has columns %v of version %d", u.Table.Columns, u.Table.SchemaVersion)
	}
	must(t, s.PutBlock(u.ID, 0, 0, segment(t, s, u.Table, ids(5, 2))))
	_, err = s.CommitUpload(u.ID)
	must(t, err)
	sn, err := s.Snapshot(tab.Key, nil)
	must(t, err)
	defer sn.Release()
	if diff := cmp.Diff([]int64{5, 6}, readIDs(t, sn, store.ReadOptions{Columns: []int{1}})); diff != "" {
		t.Errorf("rows: %s", diff)
	}
}

// Only so many partitions, whoever makes them.
func TestPartitionsAreLimited(t *testing.T) {
	s := open(t, store.Options{MaxPartitions: 2})
	tab := create(t, s, "t", "id bigint", "pt string")
	must(t, s.AddPartitions(tab.Key, partitions("a"), false))
	if err := s.AddPartitions(tab.Key, partitions("b", "c"), false); !errors.Is(err, store.ErrInvalidPartition) {
		t.Errorf("the third partition: %v, want ErrInvalidPartition", err)
	}
	must(t, s.AddPartitions(tab.Key, partitions("b"), false))
	seg := segment(t, s, tab, ids(0, 1))
	err := s.Publish(tab, []store.Publication{{Spec: pt("c"), Segments: []*store.Segment{seg}}}, store.PublishOptions{CreatePartitions: true})
	if !errors.Is(err, store.ErrInvalidPartition) {
		t.Errorf("rows for the third partition: %v, want ErrInvalidPartition", err)
	}
	create(t, s, "plain", "id bigint", "") // the one part of a table without partitions is none
	publish(t, s, tab, pt("b"), store.PublishOptions{CreatePartitions: true}, ids(0, 1))
}

// Rows for a partition that is not there make it only if asked to.
func TestPublishMakesPartitionsOnlyIfAsked(t *testing.T) {
	dir := t.TempDir()
	s := open(t, store.Options{Dir: dir})
	tab := create(t, s, "t", "id bigint", "pt string")
	seg := segment(t, s, tab, ids(0, 1))
	if err := s.Publish(tab, []store.Publication{{Spec: pt("a"), Segments: []*store.Segment{seg}}}, store.PublishOptions{}); !errors.Is(err, store.ErrNoSuchPartition) {
		t.Errorf("Publish = %v, want ErrNoSuchPartition", err)
	}
	if page, _, err := s.Partitions(tab.Key, store.PartitionQuery{}); err != nil || len(page) != 0 {
		t.Errorf("partitions %v, %v", page, err)
	}
	publish(t, s, tab, pt("a"), store.PublishOptions{CreatePartitions: true}, ids(1, 1))
	publish(t, s, tab, pt("a"), store.PublishOptions{CreatePartitions: true}, ids(2, 1)) // it is there now
	if got := snapshotIDs(t, s, tab.Key, pt("a")); !slices.Equal(got, []int64{1, 2}) {
		t.Errorf("rows %v", got)
	}
	eventually(t, "removal of the refused rows", func() bool { return segmentFiles(t, dir) == 2 })
}

// A rewrite that nobody disturbed takes the place of what it read.
func TestPublishUnchanged_replaces_what_it_read(t *testing.T) {
	dir := t.TempDir()
	s := open(t, store.Options{Dir: dir})
	tab := create(t, s, "t", "id bigint", "pt string")
	publish(t, s, tab, pt("a"), store.PublishOptions{CreatePartitions: true}, ids(0, 3))
	_, seen, err := s.SnapshotAll(tab.Key, nil)
	must(t, err)
	seg := segment(t, s, tab, ids(100, 1))
	must(t, s.Publish(tab, []store.Publication{{Spec: pt("a"), Segments: []*store.Segment{seg}}}, store.PublishOptions{Overwrite: true, Unchanged: seen, Whole: true}))
	for _, sn := range seen {
		if got := readIDs(t, sn, store.ReadOptions{}); !slices.Equal(got, span(0, 3)) {
			t.Errorf("who read before reads %v", got)
		}
		sn.Release()
	}
	if got := snapshotIDs(t, s, tab.Key, pt("a")); !slices.Equal(got, []int64{100}) {
		t.Errorf("rows %v", got)
	}
	eventually(t, "removal of what was replaced", func() bool { return segmentFiles(t, dir) == 1 })
	sound(t, s, dir)
}

// A partition that is there already keeps its rows when it is added again.
func TestAddIfNotExistsKeepsTheRows(t *testing.T) {
	s := open(t, store.Options{})
	tab := create(t, s, "t", "id bigint", "pt string")
	publish(t, s, tab, pt("a"), store.PublishOptions{CreatePartitions: true}, ids(0, 2))
	must(t, s.AddPartitions(tab.Key, partitions("a", "b"), true))
	if got := snapshotIDs(t, s, tab.Key, pt("a")); !slices.Equal(got, span(0, 2)) {
		t.Errorf("rows %v", got)
	}
	if p, err := s.Partition(tab.Key, pt("a")); err != nil || p.Rows != 2 {
		t.Errorf("the partition counts %d rows, %v", p.Rows, err)
	}
}

// A partition that is dropped gives back its files and takes its rows from the count.
func TestDropPartitionsGivesBackTheFiles(t *testing.T) {
	dir := t.TempDir()
	s := open(t, store.Options{Dir: dir})
	tab := create(t, s, "t", "id bigint", "pt string")
	for _, value := range []string{"a", "b", "c"} {
		publish(t, s, tab, pt(value), store.PublishOptions{CreatePartitions: true}, ids(0, 2))
	}
	must(t, s.DropPartitions(tab.Key, partitions("a"), func(p types.PartitionSpec) bool { return p[0].Value == "c" }, false))
	eventually(t, "removal of two segments", func() bool { return segmentFiles(t, dir) == 1 })
	left, err := s.Partition(tab.Key, pt("b"))
	must(t, err)
	if after, err := s.Table(tab.Key); err != nil || after.Rows != 2 || after.Bytes != left.Bytes {
		t.Errorf("the table counts %d rows and %d bytes, %v, its partition %d bytes", after.Rows, after.Bytes, err, left.Bytes)
	}
	sound(t, s, dir)
}

// A table without partitions has none to add, drop, empty or change, and keeps its rows.
func TestPartitionChangesWantPartitions(t *testing.T) {
	s := open(t, store.Options{})
	tab := create(t, s, "t", "id bigint", "")
	publish(t, s, tab, nil, store.PublishOptions{}, ids(0, 2))
	everything := func(types.PartitionSpec) bool { return true }
	none := []types.PartitionSpec{nil}
	for what, err := range map[string]error{
		"add":              s.AddPartitions(tab.Key, none, true),
		"add nothing":      s.AddPartitions(tab.Key, nil, true),
		"drop":             s.DropPartitions(tab.Key, none, nil, true),
		"drop everything":  s.DropPartitions(tab.Key, nil, everything, true),
		"empty":            s.TruncatePartitions(tab.Key, none),
		"change to itself": s.ChangePartition(tab.Key, nil, nil),
	} {
		if !errors.Is(err, store.ErrInvalidPartition) {
			t.Errorf("%s: %v, want ErrInvalidPartition", what, err)
		}
	}
	if got := snapshotIDs(t, s, tab.Key, nil); !slices.Equal(got, span(0, 2)) {
		t.Errorf("rows %v", got)
	}
}
