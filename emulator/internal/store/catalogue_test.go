package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-io/sluice/emulator/internal/store"
	"github.com/sluice-io/sluice/emulator/internal/types"
)

func TestTablesInPages(t *testing.T) {
	s := open(t, store.Options{})
	for name := range strings.SplitSeq("ab aa b ac a abc", " ") {
		create(t, s, name, "id bigint", "")
	}
	_, _, err := s.CreateTable(store.Table{Key: store.NewKey("p", "other", "ax"), Columns: columns(t, "id bigint")}, false)
	must(t, err)
	list := func(q store.TableQuery) (names []string) {
		t.Helper()
		for range 10 {
			page, next, err := s.Tables("p", "", q)
			must(t, err)
			if q.Limit > 0 && len(page) > q.Limit {
				t.Errorf("%d tables in a page of %d", len(page), q.Limit)
			}
			for _, tab := range page {
				names = append(names, tab.Key.Name)
			}
			if next == "" {
				return names
			}
			if next != names[len(names)-1] {
				t.Errorf("the page ends with %s, next is %s", names[len(names)-1], next)
			}
			q.After = next
			names = append(names, "|")
		}
		t.Fatal("no last page")
		return nil
	}
	even := func(tab store.Table) bool { return len(tab.Key.Name)%2 == 0 }
	for want, q := range map[string]store.TableQuery{
		"a aa ab abc ac b": {}, "a aa | ab abc | ac b": {Limit: 2}, "a aa ab abc ac | b": {Limit: 5}, "a aa ab abc ac b ": {Limit: 6}, "a aa ab abc ac": {Prefix: "a"},
		"aa ab abc | ac": {Prefix: "a", After: "a", Limit: 3}, "ab abc": {Prefix: "AB", After: "aaz"}, "ab abc ": {Prefix: "ab", After: "a"}, "": {Prefix: "ab", After: "b"},
		"aa ab ac": {Keep: even}, "aa | ab | ac": {Keep: even, Limit: 1}, "abc ac b": {After: "AB"},
	} {
		if got := strings.Join(list(q), " "); got != strings.TrimRight(want, " ") {
			t.Errorf("%+v: %s, want %s", q, got, want)
		}
	}
}

// A change of a definition leaves alone what is not its own, and a change that fails all.
func TestAlterTableKeepsWhatIsTheStores(t *testing.T) {
	now := time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)
	s := open(t, store.Options{Now: func() time.Time { return now }})
	def := store.Table{Key: store.NewKey("p", "", "t"), Columns: columns(t, "id bigint;name string"), PartitionColumns: columns(t, "pt string")}
	def.Columns[0].Nullable, def.PrimaryKey = false, []string{"id"}
	old, _, err := s.CreateTable(def, false)
	must(t, err)
	now = now.Add(time.Hour)
	spoil := func(t *store.Table) {
		t.ID, t.Key, t.Rows, t.Bytes, t.Created = "other", store.NewKey("q", "", "u"), 7, 8, time.Time{}
		t.NextColumnID, t.SchemaVersion, t.History = 1, 9, nil
	}
	failed := errors.New("no")
	if _, err := s.AlterTable(old.Key, func(t *store.Table) error {
		spoil(t)
		t.Columns[0].Name, t.PartitionColumns[0].Name, t.PrimaryKey[0] = "x", "y", "x"
		return failed
	}); !errors.Is(err, failed) {
		t.Errorf("AlterTable = %v, want the change's own error", err)
	}
	if got, err := s.Table(old.Key); err != nil || cmp.Diff(old, got) != "" {
		t.Errorf("after a change that failed: %s, %v", cmp.Diff(old, got), err)
	}
	got, err := s.AlterTable(old.Key, func(t *store.Table) error { spoil(t); t.Comment = "new"; return nil })
	want := old
	want.Comment, want.LastDDL, want.Modified = "new", now, now
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("a new comment, -want +got: %s, %v", diff, err)
	}
	for what, change := range map[string]func(*store.Column){
		"name": func(c *store.Column) { c.Name = "renamed" }, "nullability": func(c *store.Column) { c.Nullable = false }, "type": func(c *store.Column) { c.Type = types.Type{Kind: types.String} },
		"comment": func(c *store.Column) { c.Comment = "c" },
	} {
		k := store.NewKey("p", "", "t"+what)
		before, _, err := s.CreateTable(store.Table{Key: k, Columns: columns(t, "a int;b string")}, false)
		must(t, err)
		after, err := s.AlterTable(k, func(t *store.Table) error { change(&t.Columns[0]); return nil })
		must(t, err)
		if version := after.SchemaVersion - before.SchemaVersion; version != map[bool]int{true: 0, false: 1}[what == "comment"] || len(after.History) != after.SchemaVersion+1 {
			t.Errorf("a column's %s: %d schema versions more, a history of %d", what, version, len(after.History))
		}
	}
	for what, change := range map[string]func(*store.Column){
		"name": func(c *store.Column) { c.Name = "x" }, "type": func(c *store.Column) { c.Type = types.Type{Kind: types.BigInt} },
	} {
		if _, err := s.AlterTable(old.Key, func(t *store.Table) error { change(&t.PartitionColumns[0]); return nil }); !errors.Is(err, store.ErrInvalidTable) {
			t.Errorf("a partition column's %s: %v, want ErrInvalidTable", what, err)
		}
	}
	if _, err := s.AlterTable(old.Key, func(t *store.Table) error { t.Columns[1].Name = "ID"; return nil }); !errors.Is(err, store.ErrInvalidTable) {
		t.Errorf("two columns of one name: %v, want ErrInvalidTable", err)
	}
	if _, err := s.AlterTable(old.Key, func(t *store.Table) error { t.Columns[1].Type = types.Type{Kind: types.BigInt}; return nil }); !errors.Is(err, store.ErrInvalidTable) {
		t.Errorf("a type that does not hold every value: %v, want ErrInvalidTable", err)
	}
}

func TestRenameTableMovesIt(t *testing.T) {
	now := time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)
	s := open(t, store.Options{Now: func() time.Time { return now }})
	old := create(t, s, "a", "id bigint", "")
	publish(t, s, old, nil, store.PublishOptions{}, ids(0, 3))
	create(t, s, "taken", "id bigint", "")
	now = now.Add(time.Hour)
	for name, want := range map[string]error{"": store.ErrInvalidTable, "a.b": store.ErrInvalidTable, "TAKEN": store.ErrTableExists, "a": store.ErrTableExists} {
		if _, err := s.RenameTable(old.Key, name); !errors.Is(err, want) {
			t.Errorf("RenameTable to %q = %v, want %v", name, err, want)
		}
	}
	got, err := s.RenameTable(old.Key, "B")
	must(t, err)
	if got.Key.Name != "b" || got.ID != old.ID || !got.LastDDL.Equal(now) || !got.Modified.Equal(now) || !got.Created.Equal(old.Created) {
		t.Errorf("RenameTable = %+v", got)
	}
	if _, err := s.Table(old.Key); !errors.Is(err, store.ErrNoSuchTable) {
		t.Errorf("under the old name: %v", err)
	}
	if rows := snapshotIDs(t, s, got.Key, nil); !slices.Equal(rows, span(0, 3)) {
		t.Errorf("rows %v", rows)
	}
}

func TestContentsAreReadByRange(t *testing.T) {
	s := open(t, store.Options{})
	text := strings.Repeat("0123456789", 60_000) // more than two pieces of 256 KiB
	must(t, put(s, "f", text))
	_, r, err := s.OpenResource(key("f"))
	must(t, err)
	const piece = 256 << 10
	size := int64(len(text))
	for _, c := range [][2]int64{
		{0, size}, {0, 0}, {0, 1}, {1, 5}, {piece - 1, 1}, {piece - 1, 2}, {piece, 1}, {piece, piece}, {piece + 1, piece}, {0, 2*piece + 1}, {size - 1, 1}, {size - 1, 100}, {size, 1}, {size + 5, 1}, {3, size},
	} {
		var got bytes.Buffer
		if err := r.WriteRange(&got, c[0], c[1]); err != nil {
			t.Errorf("range %v: %v", c, err)
		}
		if from, to := min(c[0], size), min(c[0]+c[1], size); got.String() != text[from:to] {
			t.Errorf("range %v: %d bytes, other ones", c, got.Len())
		}
	}
	full := errors.New("full")
	if err := r.WriteRange(writer(func(p []byte) (int, error) { return 0, full }), 0, 1); !errors.Is(err, full) {
		t.Errorf("a reader that is gone: %v", err)
	}
	must(t, r.Close())
	must(t, put(s, "none", ""))
	_, r, err = s.OpenResource(key("none"))
	must(t, err)
	must(t, errors.Join(r.WriteRange(io.Discard, 0, 10), r.Close()))
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

// A session lives to the last moment of its life, in every call that names it.
func TestSessionsEndExactly(t *testing.T) {
	now := time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)
	s := open(t, store.Options{Now: func() time.Time { return now }, UploadTTL: time.Hour})
	tab := create(t, s, "t", "id bigint", "")
	u, err := s.CreateUpload(store.UploadRequest{Key: tab.Key})
	must(t, err)
	must(t, putPart(s, "part", "x"))
	now = now.Add(time.Hour - 1)
	for range 2 {
		if n, err := s.ExpireUploads(); n != 0 || err != nil {
			t.Errorf("a moment early: %d sessions ended, %v", n, err)
		}
		if n, err := s.ExpireParts(); n != 0 || err != nil {
			t.Errorf("a moment early: %d parts ended, %v", n, err)
		}
	}
	must(t, s.PutBlock(u.ID, store.MaxBlockID, 0, segment(t, s, tab, ids(0, 1))))
	for _, block := range []int{-1, store.MaxBlockID + 1} {
		if err := s.PutBlock(u.ID, block, 0, segment(t, s, tab, ids(0, 1))); !errors.Is(err, store.ErrUploadState) {
			t.Errorf("block %d: %v, want ErrUploadState", block, err)
		}
	}
	must(t, s.PutBlock(u.ID, 0, 5, segment(t, s, tab, ids(1, 1))))
	must(t, s.PutBlock(u.ID, 0, 4, segment(t, s, tab, ids(2, 1)))) // too late
	must(t, s.PutBlock(u.ID, 0, 5, segment(t, s, tab, ids(3, 1)))) // again: the later call wins
	now = now.Add(1)
	for what, call := range map[string]func() error{
		"Upload":       func() error { _, err := s.Upload(u.ID); return err },
		"Session":      func() error { _, err := s.Session(u.ID); return err },
		"CommitUpload": func() error { _, err := s.CommitUpload(u.ID); return err },
		"PutBlock":     func() error { return s.PutBlock(u.ID, 1, 0, segment(t, s, tab, ids(0, 1))) },
	} {
		if err := call(); !errors.Is(err, store.ErrNoSuchUpload) {
			t.Errorf("%s at the end: %v, want ErrNoSuchUpload", what, err)
		}
	}
	if _, err := s.MergeResource(merge("whole", "x", "part")); !errors.Is(err, store.ErrNoSuchPart) {
		t.Errorf("a part at its end: %v, want ErrNoSuchPart", err)
	}
	now = now.Add(-1)
	if u, err = s.CommitUpload(u.ID); err != nil || fmt.Sprint(snapshotIDs(t, s, tab.Key, nil)) != "[3 0]" {
		t.Errorf("rows %v, %v", snapshotIDs(t, s, tab.Key, nil), err)
	}
	now = now.Add(1)
	uploads, err := s.ExpireUploads()
	must(t, err)
	parts, err := s.ExpireParts()
	if uploads != 1 || parts != 1 || err != nil {
		t.Errorf("%d sessions and %d parts ended, %v, want one each", uploads, parts, err)
	}
	if rows := snapshotIDs(t, s, tab.Key, nil); fmt.Sprint(rows) != "[3 0]" { // the rows of a closed session are its table's
		t.Errorf("rows after its end: %v", rows)
	}
}

// Rows go into the table that they were written for, and into tables only.
func TestPublishWantsTheTableOfItsRows(t *testing.T) {
	s := open(t, store.Options{})
	old := create(t, s, "t", "id bigint", "")
	seg := segment(t, s, old, ids(0, 1))
	must(t, s.DropTable(old.Key, false))
	again := create(t, s, "t", "id bigint", "")
	if err := s.Publish(old, []store.Publication{{Segments: []*store.Segment{seg}}}, store.PublishOptions{}); !errors.Is(err, store.ErrNoSuchTable) {
		t.Errorf("into a table created again: %v, want ErrNoSuchTable", err)
	}
	if rows := snapshotIDs(t, s, again.Key, nil); len(rows) != 0 {
		t.Errorf("rows %v", rows)
	}
	view, _, err := s.CreateTable(store.Table{Key: store.NewKey("p", "", "v"), Kind: store.KindView, ViewText: "select 1 id", Columns: columns(t, "id bigint")}, false)
	must(t, err)
	if err := s.Publish(view, []store.Publication{{}}, store.PublishOptions{}); !errors.Is(err, store.ErrKind) {
		t.Errorf("into a view: %v, want ErrKind", err)
	}
}

// Whoever may not overwrite learns it when the session is made.
func TestTransactionalTablesAreNotOverwrittenBySessions(t *testing.T) {
	s := open(t, store.Options{})
	def := store.Table{Key: store.NewKey("p", "", "t"), Columns: columns(t, "id bigint"), Transactional: true}
	_, _, err := s.CreateTable(def, false)
	must(t, err)
	for overwrite, want := range map[bool]error{false: nil, true: store.ErrOverwriteForbidden} {
		if _, err := s.CreateUpload(store.UploadRequest{Key: def.Key, Overwrite: overwrite}); !errors.Is(err, want) {
			t.Errorf("overwrite %t: %v, want %v", overwrite, err, want)
		}
	}
}
