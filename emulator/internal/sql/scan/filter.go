//go:build cgo && duckdb_arrow

package scan

import (
	"math/bits"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// Choosy is the share of rows, one in so many, up to which it pays to leave out the others:
// copying values one by one costs more than copying all.
const Choosy = 4

func (f *Filter) pass(v int64) bool {
	return f.Low <= v && v <= f.High && (f.Divisor == 0 || v%f.Divisor == f.Rest)
}

// places are those of the rows that pass, of all or of those in among, written to memory
// that may be that of among. pays is false where they are too many, or the array holds no
// integers.
func (f *Filter) places(a arrow.Array, among, memory []int32) (places []int32, pays bool) {
	switch a := a.(type) {
	case *array.Int8:
		return passing(f, a.Int8Values(), among, memory)
	case *array.Int16:
		return passing(f, a.Int16Values(), among, memory)
	case *array.Int32:
		return passing(f, a.Int32Values(), among, memory)
	case *array.Int64:
		return passing(f, a.Int64Values(), among, memory)
	default:
		return nil, false
	}
}

func passing[T int8 | int16 | int32 | int64](f *Filter, values []T, among, memory []int32) (places []int32, pays bool) {
	places = memory[:0]
	if among != nil {
		for _, at := range among {
			if f.pass(int64(values[at])) {
				places = append(places, at)
			}
		}
		return places, true
	}
	rest := f.remainder()
	for i, v := range values {
		if rest.possible(int64(v)) && f.pass(int64(v)) {
			if len(places) >= len(values)/Choosy {
				return nil, false
			}
			places = append(places, int32(i))
		}
	}
	return places, true
}

// remainder finds the values that a divisor leaves a certain rest of, without dividing: a
// multiple of an odd number o is o times something small, and multiplying by o's inverse
// modulo 2⁶⁴ gives that something; of other numbers it gives something large.
type remainder struct {
	rest          int64
	inverse       uint64
	offset, bound uint64
	shift         int
}

func (f *Filter) remainder() remainder {
	if f.Divisor <= 1 {
		return remainder{} // everything is possible
	}
	shift := bits.TrailingZeros64(uint64(f.Divisor))
	odd := uint64(f.Divisor) >> shift
	inverse := odd // modulo 8; each step doubles the bits that are right
	for range 5 {
		inverse *= 2 - odd*inverse
	}
	low := uint64(1)<<shift - 1
	offset := 1 << 63 / odd &^ low // makes the quotients of negative multiples positive
	return remainder{rest: f.Rest, inverse: inverse, offset: offset, bound: offset >> shift << 1, shift: shift}
}

// possible is true for every value that has the rest, and for few others.
func (r *remainder) possible(v int64) bool {
	return bits.RotateLeft64(uint64(v-r.rest)*r.inverse+r.offset, -r.shift) <= r.bound
}
