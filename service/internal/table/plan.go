package table

import (
	"math"

	"github.com/sluice-io/sluice/service/internal/apierr"
)

// RowRange is the rows Start … End−1 of a snapshot.
type RowRange struct{ Start, End int64 }

// Rows is how many rows the range holds.
func (r RowRange) Rows() int64 { return r.End - r.Start }

// TotalRows sums the ranges; ok is false if one of them is reversed or negative or the sum does not fit an int64.
func TotalRows(ranges []RowRange) (n int64, ok bool) {
	for _, r := range ranges {
		if r.Start < 0 || r.End < r.Start || n > math.MaxInt64-r.Rows() {
			return 0, false
		}
		n += r.Rows()
	}
	return n, true
}

// Divide cuts n rows into count contiguous ranges, div-mod: the first n mod count get one row more. Some may be empty.
// count must be positive.
func Divide(n int64, count int) []RowRange {
	out := make([]RowRange, count)
	for i := range out {
		out[i] = part(n, int64(i), int64(count))
	}
	return out
}

func part(n, i, count int64) RowRange {
	q, r := n/count, n%count
	start := i*q + min(i, r)
	end := start + q
	if i < r {
		end++
	}
	return RowRange{Start: start, End: end}
}

// Slice is range id of Divide(n, count). An id outside 0 … count−1 or a count below 1 is BAD_SLICE.
func Slice(n int64, id, count int32) (RowRange, error) {
	if count < 1 || id < 0 || id >= count {
		return RowRange{}, apierr.New(apierr.BadSlice, "slice %d of %d does not exist", id, count)
	}
	return part(n, int64(id), int64(count)), nil
}

// PerStream cuts n rows into ranges of rows rows, the last one perhaps shorter; no rows give no ranges. rows must be
// positive; more than most ranges are BAD_ARGUMENT.
func PerStream(n, rows int64, most int) ([]RowRange, error) {
	if rows < 1 {
		return nil, apierr.New(apierr.BadArgument, "rows per stream must be positive")
	}
	count := n / rows
	if n%rows != 0 {
		count++
	}
	if count > int64(most) {
		return nil, apierr.New(apierr.BadArgument, "the plan has %d streams, %d are allowed", count, most)
	}
	out := make([]RowRange, 0, count)
	for start := int64(0); start < n; {
		end := start + min(rows, n-start)
		out = append(out, RowRange{Start: start, End: end})
		start = end
	}
	return out, nil
}

// Ranks deals n rows to world ranks in full batches: each gets ⌊⌊n/batch⌋/world⌋ of them, contiguous. What remains is
// left out with dropRemainder, else dealt div-mod as a second range, so that counts differ by at most one row. world
// and batch must be positive. Ranges without rows are left out, so a rank has zero to two of them.
func Ranks(n int64, world int, batch int64, dropRemainder bool) [][]RowRange {
	each := n / batch / int64(world) * batch
	dealt := each * int64(world)
	out := make([][]RowRange, world)
	for i := range out {
		if each > 0 {
			out[i] = append(out[i], RowRange{Start: int64(i) * each, End: int64(i+1) * each})
		}
		if dropRemainder {
			continue
		}
		if r := part(n-dealt, int64(i), int64(world)); r.Rows() > 0 {
			out[i] = append(out[i], RowRange{Start: dealt + r.Start, End: dealt + r.End})
		}
	}
	return out
}

// Within translates r, row numbers of the concatenation of ranges, into the row numbers of the ranges themselves, in
// order and without empty ones. Rows outside the concatenation are SEEK_OUT_OF_RANGE.
func Within(ranges []RowRange, r RowRange) ([]RowRange, error) {
	total, ok := TotalRows(ranges)
	if !ok {
		return nil, apierr.New(apierr.BadArgument, "row ranges are reversed, negative or too large")
	}
	if r.Start < 0 || r.End < r.Start || r.End > total {
		return nil, apierr.New(apierr.SeekOutOfRange, "rows [%d, %d) lie outside the %d rows there are", r.Start, r.End, total)
	}
	var out []RowRange
	for _, have := range ranges {
		n := have.Rows()
		from, to := min(r.Start, n), min(r.End, n)
		if from < to {
			out = append(out, RowRange{Start: have.Start + from, End: have.Start + to})
		}
		r = RowRange{Start: max(r.Start-n, 0), End: max(r.End-n, 0)}
	}
	return out, nil
}
