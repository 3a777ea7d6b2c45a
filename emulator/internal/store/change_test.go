package store_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/google/go-cmp/cmp"

	"github.com/sluice-io/sluice/emulator/internal/store"
	"github.com/sluice-io/sluice/emulator/internal/types"
)

// fromJSON builds a batch of a table's columns.
func fromJSON(t *testing.T, tab store.Table, text string) arrow.RecordBatch {
	t.Helper()
	var fields []arrow.Field
	for _, c := range tab.Columns {
		fields = append(fields, arrow.Field{Name: c.Name, Type: c.Type.Arrow(types.LayoutNanos), Nullable: true})
	}
	rec, _, err := array.RecordFromJSON(memory.DefaultAllocator, arrow.NewSchema(fields, nil), strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

// contents are a table's rows as texts, by the batches of every reading.
func contents(t *testing.T, s *store.Store, k store.Key) (rows []string) {
	t.Helper()
	_, snapshots, err := s.SnapshotAll(k, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, sn := range snapshots {
		for message, err := range sn.Messages(store.ReadOptions{AnyLayout: true}) {
			if err != nil {
				t.Fatal(err)
			}
			if message.Batch == nil { // as stored: read it decoded
				continue
			}
			for i := range int(message.Batch.NumRows()) {
				var row []string
				for _, c := range message.Batch.Columns() {
					row = append(row, strings.Clone(c.ValueStr(i)))
				}
				rows = append(rows, strings.Join(row, "|"))
			}
		}
		sn.Release()
	}
	return rows
}

func TestAlterWidensColumns_that_were_written_before(t *testing.T) {
	dir := t.TempDir()
	s := open(t, store.Options{Dir: dir})
	tab := create(t, s, "t", "a tinyint;b int;c bigint;d float;e double;f decimal(5,2);g decimal(5,2);h varchar(3);i int;j bigint;k decimal(30,10)", "")
	publish(t, s, tab, nil, store.PublishOptions{}, fromJSON(t, tab,
		`[{"a":-128,"b":2147483647,"c":-9223372036854775808,"d":1.5,"e":1e300,"f":"-123.45","g":"1.50","h":"äöü","i":-7,"j":12,"k":"12345678901234567890.0123456789"},{}]`))
	to := "smallint;bigint;string;double;string;decimal(38,4);string;string;double;decimal(38,18);decimal(54,18)"
	_, err := s.AlterTable(tab.Key, func(t *store.Table) error {
		for i, text := range strings.Split(to, ";") {
			typ, err := types.Parse(text)
			if err != nil {
				return err
			}
			t.Columns[i].Type = typ
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"-128|2147483647|-9223372036854775808|1.5|1.0E300|-123.45|1.5|äöü|-7|12|12345678901234567890.0123456789",
		strings.TrimSuffix(strings.Repeat("(null)|", 11), "|"),
	}
	if diff := cmp.Diff(want, contents(t, s, tab.Key)); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

func TestAlterRefusesTypes_that_do_not_hold_every_value(t *testing.T) {
	for _, change := range []string{
		"int smallint", "bigint double", "double float", "decimal(10,2) decimal(9,2)", "decimal(10,2) decimal(11,4)", "string varchar(10)", "varchar(4) varchar(3)",
		"bigint decimal(18,0)", "string bigint", "date string", "array<int> array<bigint>", "boolean string", "decimal(10,2) double",
	} {
		from, to, _ := strings.Cut(change, " ")
		a, errA := types.Parse(from)
		b, errB := types.Parse(to)
		if err := errors.Join(errA, errB); err != nil {
			t.Fatal(err)
		}
		if a.WidensTo(b) {
			t.Errorf("%s widens to %s, want not", from, to)
		}
	}
}

func TestCreateReplaces_in_one_step(t *testing.T) {
	dir := t.TempDir()
	s := open(t, store.Options{Dir: dir})
	old := create(t, s, "t", "id bigint", "")
	publish(t, s, old, nil, store.PublishOptions{}, ids(0, 3))
	next, err := store.Table{Key: old.Key, Columns: columns(t, "id bigint")}.Numbered()
	if err != nil {
		t.Fatal(err)
	}
	filled := func() []store.Publication {
		return []store.Publication{{Segments: []*store.Segment{segment(t, s, next, ids(10, 2))}}}
	}
	if _, _, err := s.Create(next, store.CreateOptions{}, filled()); !errors.Is(err, store.ErrTableExists) {
		t.Errorf("Create over a table = %v, want ErrTableExists", err)
	}
	if got, created, err := s.Create(next, store.CreateOptions{IfNotExists: true}, filled()); err != nil || created || got.ID != old.ID {
		t.Errorf("Create if not exists = %v, %t, %v, want the old table", got.ID, created, err)
	}
	view := next
	view.Kind, view.ViewText = store.KindView, "select 1"
	if _, _, err := s.Create(view, store.CreateOptions{Replace: true}, nil); !errors.Is(err, store.ErrTableExists) {
		t.Errorf("a view in the place of a table = %v, want ErrTableExists", err)
	}
	if diff := cmp.Diff(span(0, 3), snapshotIDs(t, s, old.Key, nil)); diff != "" {
		t.Errorf("refused replacements changed rows:\n%s", diff)
	}
	made, created, err := s.Create(next, store.CreateOptions{Replace: true}, filled())
	if err != nil || !created || made.ID == old.ID || made.Rows != 2 {
		t.Fatalf("Create or replace = %+v, %t, %v", made, created, err)
	}
	if diff := cmp.Diff(span(10, 2), snapshotIDs(t, s, old.Key, nil)); diff != "" {
		t.Errorf("rows of the new table:\n%s", diff)
	}
	eventually(t, "segments of refused and replaced tables are gone", func() bool { return segmentFiles(t, dir) == 1 })
}

func TestPublishUnchanged_fails_without_effect_when_somebody_was_faster(t *testing.T) {
	s := open(t, store.Options{})
	tab := create(t, s, "t", "id bigint", "")
	publish(t, s, tab, nil, store.PublishOptions{}, ids(0, 3))
	sn, err := s.Snapshot(tab.Key, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer sn.Release()
	rewrite := func() error {
		return s.Publish(tab, []store.Publication{{Segments: []*store.Segment{segment(t, s, tab, ids(100, 1))}}}, store.PublishOptions{Overwrite: true, Unchanged: []*store.Snapshot{sn}})
	}
	publish(t, s, tab, nil, store.PublishOptions{}, ids(3, 1))
	if err := rewrite(); !errors.Is(err, store.ErrChanged) {
		t.Errorf("Publish over a changed table = %v, want ErrChanged", err)
	}
	if diff := cmp.Diff(span(0, 4), snapshotIDs(t, s, tab.Key, nil)); diff != "" {
		t.Errorf("rows after the refusal:\n%s", diff)
	}
}

func TestPublishWhole_fails_without_effect_when_a_partition_came_meanwhile(t *testing.T) {
	s := open(t, store.Options{})
	tab := create(t, s, "t", "id bigint", "pt string")
	spec := func(v string) types.PartitionSpec { return types.PartitionSpec{{Column: "pt", Value: v}} }
	_, none, err := s.SnapshotAll(tab.Key, nil)
	if err != nil || len(none) != 0 {
		t.Fatalf("SnapshotAll without partitions = %v, %v", none, err)
	}
	publish(t, s, tab, spec("a"), store.PublishOptions{CreatePartitions: true}, ids(0, 3))
	rewrite := func(v string) error {
		return s.Publish(tab, []store.Publication{{Spec: spec(v), Segments: []*store.Segment{segment(t, s, tab, ids(100, 1))}}},
			store.PublishOptions{Overwrite: true, CreatePartitions: true, Unchanged: none, Whole: true})
	}
	if err := rewrite("a"); !errors.Is(err, store.ErrChanged) {
		t.Errorf("Publish over a partition that came = %v, want ErrChanged", err)
	}
	if diff := cmp.Diff(span(0, 3), snapshotIDs(t, s, tab.Key, spec("a"))); diff != "" {
		t.Errorf("rows after the refusal:\n%s", diff)
	}
	if err := rewrite("b"); err != nil {
		t.Errorf("Publish into a partition of its own = %v", err)
	}
	if diff := cmp.Diff(span(100, 1), snapshotIDs(t, s, tab.Key, spec("b"))); diff != "" {
		t.Errorf("rows of the new partition:\n%s", diff)
	}
}

func TestPartitionChanges_are_all_or_none(t *testing.T) {
	s := open(t, store.Options{})
	tab := create(t, s, "t", "id bigint", "pt string")
	spec := func(v string) types.PartitionSpec { return types.PartitionSpec{{Column: "pt", Value: v}} }
	names := func() (got []string) {
		page, _, err := s.Partitions(tab.Key, store.PartitionQuery{})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range page {
			got = append(got, p.Spec[0].Value)
		}
		return got
	}
	expect := func(what string, err, want error, partitions ...string) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Errorf("%s = %v, want %v", what, err, want)
		}
		if diff := cmp.Diff(partitions, names()); diff != "" {
			t.Errorf("%s: partitions (-want +got):\n%s", what, diff)
		}
	}
	all := func(values ...string) (out []types.PartitionSpec) {
		for _, v := range values {
			out = append(out, spec(v))
		}
		return out
	}
	expect("add", s.AddPartitions(tab.Key, all("a", "b", "c"), false), nil, "a", "b", "c")
	expect("add one that is there", s.AddPartitions(tab.Key, all("d", "b"), false), store.ErrPartitionExists, "a", "b", "c")
	expect("add if not exists", s.AddPartitions(tab.Key, all("b", "d", "d"), true), nil, "a", "b", "c", "d")
	publish(t, s, tab, spec("a"), store.PublishOptions{}, ids(0, 2))
	expect("truncate one that is not there", s.TruncatePartitions(tab.Key, all("a", "x")), store.ErrNoSuchPartition, "a", "b", "c", "d")
	expect("rename to a taken name", s.ChangePartition(tab.Key, spec("a"), spec("b")), store.ErrPartitionExists, "a", "b", "c", "d")
	expect("rename", s.ChangePartition(tab.Key, spec("a"), spec("z")), nil, "b", "c", "d", "z")
	if diff := cmp.Diff(span(0, 2), snapshotIDs(t, s, tab.Key, spec("z"))); diff != "" {
		t.Errorf("rows of the renamed partition:\n%s", diff)
	}
	expect("drop one that is not there", s.DropPartitions(tab.Key, all("b", "x"), nil, false), store.ErrNoSuchPartition, "b", "c", "d", "z")
	match := func(p types.PartitionSpec) bool { return p[0].Value > "c" }
	expect("drop by name and condition", s.DropPartitions(tab.Key, all("b", "x"), match, true), nil, "c")
	if now, err := s.Table(tab.Key); err != nil || now.Rows != 0 {
		t.Errorf("rows after the partition was dropped = %d, %v, want 0", now.Rows, err)
	}
}
