package store_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/google/go-cmp/cmp"

	"github.com/sluice-io/sluice/emulator/internal/store"
	"github.com/sluice-io/sluice/emulator/internal/types"
	"github.com/sluice-io/sluice/emulator/internal/wire"
)

func open(t *testing.T, opt store.Options) *store.Store {
	t.Helper()
	if opt.Dir == "" {
		opt.Dir = t.TempDir()
	}
	s, err := store.Open(opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

// instead puts another file system in the place of one folder of the store.
func instead(name string, wrap func(store.FS) store.FS) func(string) (store.FS, error) {
	return func(dir string) (store.FS, error) {
		fs, err := store.DirFS(dir)
		if err == nil && filepath.Base(dir) == name {
			fs = wrap(fs)
		}
		return fs, err
	}
}

func columns(t testing.TB, spec string) (cols []store.Column) {
	t.Helper()
	for part := range strings.SplitSeq(spec, ";") {
		name, text, _ := strings.Cut(strings.TrimSpace(part), " ")
		typ, err := types.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		cols = append(cols, store.Column{Name: name, Type: typ, Nullable: true})
	}
	return cols
}

func create(t testing.TB, s *store.Store, name, cols, parts string) store.Table {
	t.Helper()
	def := store.Table{Key: store.NewKey("p", "", name), Columns: columns(t, cols)}
	if parts != "" {
		def.PartitionColumns = columns(t, parts)
	}
	tab, _, err := s.CreateTable(def, false)
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

// ids builds a batch of one BIGINT column.
func ids(from, n int64) arrow.RecordBatch {
	b := array.NewInt64Builder(memory.DefaultAllocator)
	defer b.Release()
	for i := range n {
		b.Append(from + i)
	}
	a := b.NewArray()
	defer a.Release()
	return array.NewRecordBatch(arrow.NewSchema([]arrow.Field{{Name: "id", Type: a.DataType(), Nullable: true}}, nil), []arrow.Array{a}, n)
}

func segment(t testing.TB, s *store.Store, tab store.Table, recs ...arrow.RecordBatch) *store.Segment {
	t.Helper()
	w := s.NewSegment(tab)
	for _, r := range recs {
		if err := w.WriteBatch(r); err != nil {
			t.Fatal(err)
		}
		r.Release()
	}
	seg, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return seg
}

func publish(t testing.TB, s *store.Store, tab store.Table, spec types.PartitionSpec, opt store.PublishOptions, recs ...arrow.RecordBatch) {
	t.Helper()
	err := s.Publish(tab, []store.Publication{{Spec: spec, Segments: []*store.Segment{segment(t, s, tab, recs...)}}}, opt)
	if err != nil {
		t.Fatal(err)
	}
}

func readIDs(t testing.TB, sn *store.Snapshot, opt store.ReadOptions) (got []int64) {
	t.Helper()
	for rec, err := range sn.Batches(opt) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, rec.Column(0).(*array.Int64).Int64Values()...)
	}
	return got
}

func snapshotIDs(t testing.TB, s *store.Store, k store.Key, spec types.PartitionSpec) []int64 {
	t.Helper()
	sn, err := s.Snapshot(k, spec)
	if err != nil {
		t.Fatal(err)
	}
	defer sn.Release()
	return readIDs(t, sn, store.ReadOptions{})
}

func span(from, n int64) (s []int64) {
	for i := range n {
		s = append(s, from+i)
	}
	return s
}

func segmentFiles(t testing.TB, dir string) int {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "segments", "*.seg"))
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

// eventually polls a condition that a background goroutine makes true.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for range 5000 {
		if ok() {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("%s did not happen", what)
}

func TestCatalogue(t *testing.T) {
	s := open(t, store.Options{})
	for _, n := range []string{"B_one", "a", "b_two", "c"} {
		create(t, s, n, "id bigint", "")
	}
	create(t, s, "parted", "id bigint", "pt string;hh bigint")
	if _, _, err := s.CreateTable(store.Table{Key: store.NewKey("P", "Default", "A"), Columns: columns(t, "x string")}, false); !errors.Is(err, store.ErrTableExists) {
		t.Errorf("CreateTable again: %v, want ErrTableExists", err)
	}
	tab, created, err := s.CreateTable(store.Table{Key: store.NewKey("p", "", "a"), Columns: columns(t, "x string")}, true)
	if err != nil || created || tab.Columns[0].Name != "id" {
		t.Errorf("CreateTable if not exists = %v, %v, %v", tab.Columns, created, err)
	}
	if _, _, err := s.CreateTable(store.Table{Key: store.NewKey("p", "", "dup"), Columns: columns(t, "x string;X bigint")}, false); !errors.Is(err, store.ErrInvalidTable) {
		t.Errorf("CreateTable with a repeated column: %v", err)
	}
	var names []string
	after := ""
	for {
		page, next, err := s.Tables("p", "", store.TableQuery{Prefix: "B", After: after, Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range page {
			names = append(names, p.Key.Name)
		}
		if after = next; next == "" {
			break
		}
	}
	if diff := cmp.Diff([]string{"b_one", "b_two"}, names); diff != "" {
		t.Errorf("Tables: %s", diff)
	}
	k := store.NewKey("p", "", "parted")
	for _, spec := range []string{"pt=b,hh=1", "hh=2/pt=a", "pt=a,hh=1"} {
		sp, err := types.ParsePartitionSpec(spec)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.AddPartitions(k, []types.PartitionSpec{sp}, false); err != nil {
			t.Fatal(err)
		}
		if err := s.AddPartitions(k, []types.PartitionSpec{sp}, false); !errors.Is(err, store.ErrPartitionExists) {
			t.Errorf("AddPartitions again: %v", err)
		}
	}
	parts, _, err := s.Partitions(k, store.PartitionQuery{})
	var specs []string
	for _, p := range parts {
		specs = append(specs, p.Spec.String())
	}
	if diff := cmp.Diff([]string{"pt=a/hh=1", "pt=a/hh=2", "pt=b/hh=1"}, specs); diff != "" || err != nil {
		t.Errorf("Partitions: %v %s", err, diff)
	}
	filter := types.PartitionSpec{{Column: "PT", Value: "a"}}
	page, next, err := s.Partitions(k, store.PartitionQuery{Filter: filter, Limit: 1, Reverse: true})
	if err != nil || len(page) != 1 || page[0].Spec.String() != "pt=a/hh=2" || next != "pt=a/hh=2" {
		t.Errorf("Partitions reversed = %v, %q, %v", page, next, err)
	}
	if _, err := s.Partition(k, filter); !errors.Is(err, store.ErrInvalidPartition) {
		t.Errorf("Partition with a short spec: %v", err)
	}
	if err := s.DropTable(k, false); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Table(k); !errors.Is(err, store.ErrNoSuchTable) {
		t.Errorf("Table after drop: %v", err)
	}
	if err := s.DropTable(k, true); err != nil {
		t.Errorf("DropTable if exists: %v", err)
	}
	if names, _, err := s.Schemas("p", store.NameQuery{}); err != nil || len(names) != 1 || names[0].Name != "default" {
		t.Errorf("Schemas = %v, %v", names, err)
	}
}

func TestPublishAndSnapshot(t *testing.T) {
	dir := t.TempDir()
	s := open(t, store.Options{Dir: dir})
	tab := create(t, s, "t", "id bigint", "")
	publish(t, s, tab, nil, store.PublishOptions{}, ids(0, 10), ids(10, 5))
	publish(t, s, tab, nil, store.PublishOptions{}, ids(15, 5))
	sn, err := s.Snapshot(tab.Key, nil)
	if err != nil {
		t.Fatal(err)
	}
	publish(t, s, tab, nil, store.PublishOptions{Overwrite: true}, ids(100, 3))
	if diff := cmp.Diff(span(0, 20), readIDs(t, sn, store.ReadOptions{})); diff != "" {
		t.Errorf("old snapshot: %s", diff)
	}
	for _, c := range []struct{ start, count, want int64 }{{8, 4, 4}, {0, 1, 1}, {14, 100, 6}, {20, 5, 0}, {9, 1, 1}} {
		got := readIDs(t, sn, store.ReadOptions{Start: c.start, Count: c.count})
		if diff := cmp.Diff(span(c.start, c.want), got); diff != "" {
			t.Errorf("rows %d+%d: %s", c.start, c.count, diff)
		}
	}
	if n := segmentFiles(t, dir); n != 3 {
		t.Errorf("%d segment files while pinned, want 3", n)
	}
	sn.Release()
	eventually(t, "unlinking of replaced segments", func() bool { return segmentFiles(t, dir) == 1 })
	if diff := cmp.Diff(span(100, 3), snapshotIDs(t, s, tab.Key, nil)); diff != "" {
		t.Errorf("after overwrite: %s", diff)
	}
	if got, err := s.Table(tab.Key); err != nil || got.Rows != 3 {
		t.Errorf("Table.Rows = %d, %v, want 3", got.Rows, err)
	}
	if err := s.Truncate(tab.Key); err != nil {
		t.Fatal(err)
	}
	eventually(t, "unlinking of truncated segments", func() bool { return segmentFiles(t, dir) == 0 })
	if got, err := s.Table(tab.Key); err != nil || got.Rows != 0 || got.Bytes != 0 {
		t.Errorf("Table after truncate = %d rows, %d bytes, %v", got.Rows, got.Bytes, err)
	}
}

func TestUploadCommit(t *testing.T) {
	dir := t.TempDir()
	s := open(t, store.Options{Dir: dir})
	tab := create(t, s, "t", "id bigint", "")
	publish(t, s, tab, nil, store.PublishOptions{}, ids(0, 2))
	u, err := s.CreateUpload(store.UploadRequest{Key: tab.Key})
	if err != nil {
		t.Fatal(err)
	}
	put := func(block int, version, from int64) {
		t.Helper()
		if err := s.PutBlock(u.ID, block, version, segment(t, s, tab, ids(from, 2))); err != nil {
			t.Fatal(err)
		}
	}
	put(7, 1, 70)
	put(3, 0, 30)
	put(7, 3, 72) // higher replaces
	put(7, 2, 74) // lower is ignored
	put(3, 0, 32) // equal: the last one stands
	if diff := cmp.Diff(span(0, 2), snapshotIDs(t, s, tab.Key, nil)); diff != "" {
		t.Errorf("visible before the commit: %s", diff)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, store.Options{Dir: dir})
	if n := segmentFiles(t, dir); n != 3 {
		t.Errorf("%d segment files after reopening, want 3", n)
	}
	for range 2 {
		done, err := s.CommitUpload(u.ID)
		if err != nil || !done.Closed || len(done.Blocks) != 2 {
			t.Fatalf("CommitUpload = %+v, %v", done, err)
		}
	}
	if diff := cmp.Diff([]int64{0, 1, 32, 33, 72, 73}, snapshotIDs(t, s, tab.Key, nil)); diff != "" {
		t.Errorf("after the commit: %s", diff)
	}
	if err := s.PutBlock(u.ID, 9, 0, segment(t, s, tab, ids(0, 1))); !errors.Is(err, store.ErrUploadState) {
		t.Errorf("PutBlock after the commit: %v, want ErrUploadState", err)
	}
	eventually(t, "unlinking of the late block", func() bool { return segmentFiles(t, dir) == 3 })
}

func TestUploadExpires(t *testing.T) {
	now := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	dir := t.TempDir()
	s := open(t, store.Options{Dir: dir, Now: func() time.Time { return now }})
	tab := create(t, s, "t", "id bigint", "")
	u, err := s.CreateUpload(store.UploadRequest{Key: tab.Key})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.PutBlock(u.ID, 0, 0, segment(t, s, tab, ids(0, 1))); err != nil {
		t.Fatal(err)
	}
	now = now.Add(24 * time.Hour)
	if _, err := s.Upload(u.ID); !errors.Is(err, store.ErrNoSuchUpload) {
		t.Errorf("Upload after 24 h: %v", err)
	}
	if n, err := s.ExpireUploads(); n != 1 || err != nil {
		t.Errorf("ExpireUploads = %d, %v", n, err)
	}
	eventually(t, "unlinking of expired blocks", func() bool { return segmentFiles(t, dir) == 0 })
}

func TestAlterKeepsRowsByColumnID(t *testing.T) {
	s := open(t, store.Options{})
	tab := create(t, s, "t", "id bigint;gone string", "")
	w := s.NewSegment(tab)
	b := array.NewRecordBuilder(memory.DefaultAllocator, wire.ArrowSchema(store.WireColumns(tab.Columns), 0))
	defer b.Release()
	b.Field(0).(*array.Int64Builder).Append(7)
	b.Field(1).(*array.StringBuilder).Append("x")
	rec := b.NewRecordBatch()
	defer rec.Release()
	if err := w.WriteBatch(rec); err != nil {
		t.Fatal(err)
	}
	seg, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Publish(tab, []store.Publication{{Segments: []*store.Segment{seg}}}, store.PublishOptions{}); err != nil {
		t.Fatal(err)
	}
	tab, err = s.AlterTable(tab.Key, func(t *store.Table) error {
		id := t.Columns[0]
		id.Name = "key"
		t.Columns = []store.Column{{Name: "fresh", Type: types.Type{Kind: types.Date}, Nullable: true}, id}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	sn, err := s.Snapshot(tab.Key, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer sn.Release()
	for rec, err := range sn.Batches(store.ReadOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprint(rec.ColumnName(0), rec.Column(0), rec.ColumnName(1), rec.Column(1))
		if want := "fresh[(null)]key[7]"; got != want {
			t.Errorf("row = %s, want %s", got, want)
		}
	}
	if _, err := s.AlterTable(tab.Key, func(t *store.Table) error { t.Columns[1].Type.Kind = types.Int; return nil }); !errors.Is(err, store.ErrInvalidTable) {
		t.Errorf("change of type: %v, want ErrInvalidTable", err)
	}
}

func TestDamagedSegmentIsReported(t *testing.T) {
	dir := t.TempDir()
	s := open(t, store.Options{Dir: dir})
	tab := create(t, s, "t", "id bigint", "")
	publish(t, s, tab, nil, store.PublishOptions{}, ids(0, 1000))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	names, _ := filepath.Glob(filepath.Join(dir, "segments", "*.seg"))
	data, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	data[2000] ^= 1
	if err := os.WriteFile(names[0], data, 0o644); err != nil {
		t.Fatal(err)
	}
	s = open(t, store.Options{Dir: dir})
	sn, err := s.Snapshot(tab.Key, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer sn.Release()
	for _, err := range sn.Batches(store.ReadOptions{}) {
		if !errors.Is(err, store.ErrStorage) {
			t.Errorf("read of a damaged segment: %v, want ErrStorage", err)
		}
	}
}

// A session belongs to the table that was there when it began: what has its name later gets none of its rows.
func TestUploadIntoATableCreatedAgain(t *testing.T) {
	for _, overwrite := range []bool{false, true} {
		dir := t.TempDir()
		s := open(t, store.Options{Dir: dir})
		old := create(t, s, "t", "id bigint", "")
		u, err := s.CreateUpload(store.UploadRequest{Key: old.Key, Overwrite: overwrite})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.PutBlock(u.ID, 0, 0, segment(t, s, old, ids(0, 2))); err != nil {
			t.Fatal(err)
		}
		if err := s.DropTable(old.Key, false); err != nil {
			t.Fatal(err)
		}
		again := create(t, s, "t", "id bigint", "")
		publish(t, s, again, nil, store.PublishOptions{}, ids(50, 1))
		for range 2 {
			if _, err := s.CommitUpload(u.ID); !errors.Is(err, store.ErrNoSuchTable) {
				t.Errorf("overwrite %v: CommitUpload = %v, want ErrNoSuchTable", overwrite, err)
			}
		}
		if diff := cmp.Diff([]int64{50}, snapshotIDs(t, s, again.Key, nil)); diff != "" {
			t.Errorf("overwrite %v: rows of the new table: %s", overwrite, diff)
		}
		if again, err = s.Table(again.Key); err != nil || again.Rows != 1 {
			t.Errorf("overwrite %v: the new table counts %d rows, %v", overwrite, again.Rows, err)
		}
	}
}
