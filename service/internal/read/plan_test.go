package read

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/table"
)

// numbers lists the rows of streams in order.
func numbers(streams []Stream) []int64 {
	var out []int64
	for _, s := range streams {
		for _, r := range s.Ranges {
			out = append(out, count(r.Start, r.End)...)
		}
	}
	return out
}

// Every plan gives each row of the ranges once, except what ranks leave out on purpose, and every stream says how many
// rows it has and has a range.
func TestPlansCoverEachRowOnce(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 3000 {
		parts := make([]part, 1+r.IntN(4))
		var total int64
		for i := range parts {
			parts[i].rows = r.Int64N(12)
			total += parts[i].rows
		}
		ranges := []table.RowRange{{Start: 0, End: total}}
		if r.IntN(2) == 0 { // parts of it, apart, out of order
			a := r.Int64N(total + 1)
			b := a + r.Int64N(total-a+1)
			ranges = []table.RowRange{{Start: b, End: total}, {Start: 0, End: a}}
		}
		var want []int64
		for _, x := range ranges {
			want = append(want, count(x.Start, x.End)...)
		}
		ordered := true
		var plan *Plan
		switch r.IntN(6) {
		case 0:
			plan = &Plan{StreamCount: 1 + r.Int32N(9)}
		case 1:
			plan = &Plan{RowsPerStream: 1 + r.Int64N(9)}
		case 2:
			plan = &Plan{PerPartition: true}
			ordered = false
		case 3:
			plan = &Plan{Ranks: &RankPlan{WorldSize: 1 + r.Int32N(4), BatchRows: 1 + r.Int64N(4)}}
			ordered = false
		case 4:
			plan = &Plan{}
		}
		streams, err := plan.streams(ranges, parts)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range streams {
			n, ok := table.TotalRows(s.Ranges)
			if !ok || n != s.Rows || len(s.Ranges) == 0 {
				t.Fatalf("plan %+v of %v: stream %+v", plan, ranges, s)
			}
			for _, x := range s.Ranges {
				if x.Start < 0 || x.End > total {
					t.Fatalf("plan %+v of %v: range %v outside", plan, ranges, x)
				}
			}
		}
		got := numbers(streams)
		if !ordered {
			slices.Sort(got)
			slices.Sort(want)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("plan %+v of %v: rows %v, want %v", plan, ranges, got, want)
		}
	}
}

func TestTR_07_TR_08_TR_09_slices(t *testing.T) {
	for _, c := range []struct {
		rows int64
		want []int64
	}{{10, []int64{4, 3, 3}}, {2, []int64{1, 1, 0, 0}}} {
		var all []Stream
		for id := range c.want {
			plan := &Plan{Slice: &SlicePlan{int32(id), int32(len(c.want))}}
			s, err := plan.streams([]table.RowRange{{Start: 0, End: c.rows}}, []part{{rows: c.rows}})
			if err != nil || len(s) != 1 || s[0].Rows != c.want[id] {
				t.Fatalf("slice %d of %d over %d rows: %+v, %v; want %d rows", id, len(c.want), c.rows, s, err, c.want[id])
			}
			all = append(all, s...)
		}
		if got := numbers(all); !slices.Equal(got, count(0, c.rows)) {
			t.Errorf("union of the slices = %v", got)
		}
	}
}

func TestRanksDropTheRemainder(t *testing.T) {
	plan := &Plan{Ranks: &RankPlan{WorldSize: 2, BatchRows: 3, DropRemainder: true}}
	s, err := plan.streams([]table.RowRange{{Start: 0, End: 17}}, nil)
	if err != nil || len(s) != 2 || s[0].Rows != 6 || s[1].Rows != 6 {
		t.Errorf("streams = %+v, %v, want two of 6 rows", s, err)
	}
}

func TestPerPartitionKeepsEmptyPartitions(t *testing.T) {
	parts := []part{{rows: 2}, {rows: 0}, {rows: 3}}
	s, err := (&Plan{PerPartition: true}).streams([]table.RowRange{{Start: 0, End: 5}}, parts)
	if err != nil || len(s) != 3 || s[1].Rows != 0 || s[2].Ranges[0] != (table.RowRange{Start: 2, End: 5}) {
		t.Errorf("streams = %+v, %v, want one for each of the three partitions", s, err)
	}
}

func TestTR_11_bad_slices_and_other_bad_plans(t *testing.T) {
	f := newFake(t, 10)
	e := newEngine(t, f)
	for _, c := range []struct {
		plan Plan
		want apierr.Reason
	}{
		{Plan{Slice: &SlicePlan{3, 3}}, apierr.BadSlice},
		{Plan{Slice: &SlicePlan{-1, 3}}, apierr.BadSlice},
		{Plan{Slice: &SlicePlan{0, 0}}, apierr.BadSlice},
		{Plan{StreamCount: -1}, apierr.BadArgument},
		{Plan{StreamCount: maxStreams + 1}, apierr.BadArgument},
		{Plan{RowsPerStream: -5}, apierr.BadArgument},
		{Plan{Ranks: &RankPlan{}}, apierr.BadArgument},
		{Plan{Ranks: &RankPlan{WorldSize: 1}}, apierr.BadArgument},
		{Plan{StreamCount: 2, PerPartition: true}, apierr.BadArgument},
	} {
		if _, _, err := e.CreateSession(t.Context(), Spec{Table: f.info.Name, Plan: &c.plan}, ""); !apierr.Is(err, c.want) {
			t.Errorf("CreateSession(%+v) = %v, want %v", c.plan, err, c.want)
		}
	}
	if f.downloads != 0 {
		t.Errorf("%d download sessions for plans that cannot be", f.downloads)
	}
}
