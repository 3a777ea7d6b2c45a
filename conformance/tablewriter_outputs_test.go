package conformance

import (
	"math"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
)

func TestTW_65_a_type_error_rejects_the_whole_batch(t *testing.T) {
	s := newStack(t)
	path := s.testWrite(t)
	w := s.open(t, implicit(path))
	w.write(apple)
	w.writeAt(1, pear, row{"abc", "x", 1.0, true}, melon)
	r := w.rejected()
	if r.GetError().GetReason() != sluicev1.Reason_REASON_TYPE_MISMATCH || len(r.GetRowErrors()) != 1 {
		t.Fatalf("rejected = %v, want one TYPE_MISMATCH", r)
	}
	if bad := r.GetRowErrors()[0]; bad.GetRow() != 1 || bad.GetColumn() != "uid" {
		t.Errorf("row error = %v, want row 1 column uid", bad)
	}
	w.write(melon)
	w.seal()
	s.wantRows(t, path, apple, melon)
}

func TestTW_69_none_is_NULL_in_every_column(t *testing.T) {
	s := newStack(t)
	path := s.testWrite(t)
	s.fill(t, path, row{nil, nil, nil, nil}, row{1, nil, 2.5, nil})
	s.wantRows(t, path, row{nil, nil, nil, nil}, row{1, nil, 2.5, nil})
}

func TestTW_70_BIGINT_overflow_never_wraps(t *testing.T) {
	s := newStack(t)
	path := s.testWrite(t)
	w := s.open(t, implicit(path))
	w.writeAt(0, row{"9223372036854775808", "x", 1.0, true})
	if r := w.rejected(); r.GetError().GetReason() != sluicev1.Reason_REASON_TYPE_MISMATCH {
		t.Errorf("text 2^63: %v, want TYPE_MISMATCH", r)
	}
	w.writeAt(0, row{float64(1 << 63), "x", 1.0, true})
	if r := w.rejected(); r.GetError().GetReason() != sluicev1.Reason_REASON_TYPE_MISMATCH {
		t.Errorf("number 2^63: %v, want TYPE_MISMATCH", r)
	}
	w.write(row{int64(math.MaxInt64), "x", 1.0, true})
	w.seal()
	s.wantRows(t, path, row{int64(math.MaxInt64), "x", 1.0, true})
}

func TestTW_71_NaN_is_read_back(t *testing.T) {
	s := newStack(t)
	path := s.testWrite(t)
	s.fill(t, path, row{1, "nan", math.NaN(), true}, row{2, "inf", math.Inf(-1), true})
	s.wantRows(t, path, row{1, "nan", math.NaN(), true}, row{2, "inf", math.Inf(-1), true})
}

func TestTW_73_the_default_slice_is_0(t *testing.T) {
	s := newStack(t)
	path := s.testWrite(t)
	s.run(t, "r", path, 1, nil)
	s.open(t, &sluicev1.SliceOpen{RunId: "r", Output: &sluicev1.TableRef{Path: path}})
	resp, err := s.runs.ListSlices(ctxOf(t), &sluicev1.ListSlicesRequest{RunId: "r"})
	if err != nil || len(resp.GetSlices()) != 1 || resp.GetSlices()[0].GetSliceId() != 0 {
		t.Errorf("ListSlices = %v, %v, want slice 0", resp, err)
	}
}

func TestTW_74_bad_slice_ids(t *testing.T) {
	s := newStack(t)
	path := s.testWrite(t)
	s.run(t, "r", path, 2, nil)
	for _, id := range []int32{-1, 2, math.MaxInt32} {
		wantReason(t, s.refused(t, inRun("r", path, id)), sluicev1.Reason_REASON_BAD_SLICE)
	}
}

func TestTW_75_a_slice_needs_a_run(t *testing.T) {
	s := newStack(t)
	open := implicit(s.testWrite(t))
	open.SliceId = 1
	wantReason(t, s.refused(t, open), sluicev1.Reason_REASON_BAD_SLICE)
}

func TestTW_76_only_the_output_partition_is_replaced(t *testing.T) {
	s := newStack(t)
	path := s.table(t, "t", []string{"uid bigint"}, []string{"pt string"})
	s.fill(t, path+"/pt=1", row{1})
	s.fill(t, path+"/pt=2", row{2})
	s.fill(t, path+"/pt=1", row{10})
	s.wantRows(t, path+"/pt=1", row{10})
	s.wantRows(t, path+"/pt=2", row{2})
}

func TestTW_77_partition_and_table_must_agree(t *testing.T) {
	s := newStack(t)
	parted := s.table(t, "t", []string{"uid bigint"}, []string{"pt string", "ds string"})
	plain := s.testWrite(t)
	for _, path := range []string{parted, parted + "/pt=1", parted + "/pt=1/dx=2", plain + "/pt=1"} {
		if got := reasonOf(s.refused(t, implicit(path))); got != sluicev1.Reason_REASON_BAD_PARTITION {
			t.Errorf("open of %s: %v, want BAD_PARTITION", path, got)
		}
	}
}

func TestTW_78_a_missing_partition_is_created(t *testing.T) {
	s := newStack(t)
	path := s.table(t, "t", []string{"uid bigint"}, []string{"pt string"})
	s.fill(t, path+"/pt=new", row{1})
	s.open(t, implicit(path+"/pt=empty")).seal()
	resp, err := s.tables.ListPartitions(ctxOf(t), &sluicev1.ListPartitionsRequest{Table: &sluicev1.TableRef{Path: path}})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range resp.GetPartitions() {
		names = append(names, p.GetText())
	}
	if diff := cmp.Diff([]string{"pt=empty", "pt=new"}, names); diff != "" {
		t.Errorf("partitions differ (-want +got):\n%s", diff)
	}
}

func TestTW_79_a_missing_table(t *testing.T) {
	s := newStack(t)
	path := "odps://local/tables/nowhere"
	s.run(t, "r", path, 1, nil)
	e := wantReason(t, s.refused(t, inRun("r", path, 0)), sluicev1.Reason_REASON_TABLE_NOT_FOUND)
	if e.GetMetadata()["table"] != "nowhere" {
		t.Errorf("metadata %v does not name the table", e.GetMetadata())
	}
}

func TestTW_88_two_standalone_programs(t *testing.T) {
	s := newStack(t)
	path := s.testWrite(t)
	first := s.open(t, implicit(path))
	e := wantReason(t, s.refused(t, implicit(path)), sluicev1.Reason_REASON_OUTPUT_BUSY)
	if e.GetMetadata()["run_id"] != first.opened.GetRunId() {
		t.Errorf("metadata %v does not name run %s", e.GetMetadata(), first.opened.GetRunId())
	}
	first.write(apple)
	first.seal()
	s.fill(t, path, pear)
	s.wantRows(t, path, pear)
}

func TestTW_89_many_rows_over_four_slices(t *testing.T) {
	s := newStack(t)
	path := s.table(t, "t", []string{"uid bigint", "twice bigint"}, nil)
	const slicesOf, batch = 4, 1000
	rows := 1_000_000
	if testing.Short() {
		rows = 100_000
	}
	s.run(t, "r", path, slicesOf, nil)
	var wg sync.WaitGroup
	for id := range slicesOf {
		w := s.open(t, inRun("r", path, int32(id)))
		wg.Go(func() {
			per := rows / slicesOf
			for from := 0; from < per; from += batch {
				w.writeInts(int64(id*per+from), batch)
			}
			w.seal()
		})
	}
	wg.Wait()
	count, sum := s.sums(t, path)
	if n := int64(rows); count != n || sum != 3*n*(n-1)/2 {
		t.Errorf("count %d sum %d, want %d and %d", count, sum, n, 3*n*(n-1)/2)
	}
}
