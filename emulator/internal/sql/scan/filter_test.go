//go:build cgo && duckdb_arrow

package scan

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

var edges = []int64{math.MinInt64, math.MinInt64 + 1, -1 << 62, -100, -8, -7, -1, 0, 1, 2, 3, 7, 8, 99, 100, 1 << 31, 1 << 62, 1<<62 + 1, math.MaxInt64 - 1, math.MaxInt64}

// The test that does not divide must let everything through that has the rest.
func TestRemainder_loses_no_value(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	check := func(divisor, rest, v int64) {
		t.Helper()
		f := Filter{Divisor: divisor, Rest: rest}
		if test := f.remainder(); v%divisor == rest && !test.possible(v) {
			t.Fatalf("%d %% %d = %d is taken for impossible", v, divisor, rest)
		}
	}
	for _, divisor := range edges {
		if divisor <= 0 {
			continue
		}
		for _, v := range edges {
			check(divisor, v%divisor, v)
		}
		for range 2000 {
			v := int64(r.Uint64()) >> r.IntN(64)
			check(divisor, v%divisor, v)
		}
	}
	for range 500_000 {
		divisor, v := int64(r.Uint64()>>(1+r.IntN(63)))|1<<r.IntN(3), int64(r.Uint64())>>r.IntN(64)
		check(divisor, v%divisor, v)
	}
}

func TestRemainder_lets_few_others_through(t *testing.T) {
	f := Filter{Divisor: 100}
	test := f.remainder()
	through := 0
	for v := range int64(100_000) {
		if test.possible(v*7919 - 3_000_000) {
			through++
		}
	}
	if through != 1000 {
		t.Errorf("%d of 100000 values may be multiples of 100, want the 1000 that are", through)
	}
}

func TestFilter_places_are_the_rows_that_pass(t *testing.T) {
	b := array.NewInt64Builder(memory.DefaultAllocator)
	defer b.Release()
	b.AppendValues(append(slices.Clone(edges), make([]int64, 100)...), nil)
	a := b.NewInt64Array()
	defer a.Release()
	part := array.NewSlice(a, 1, int64(a.Len())).(*array.Int64)
	defer part.Release()
	for _, f := range []Filter{
		{Low: 1, High: 9}, {Low: 1, High: 0}, {Low: math.MinInt64, High: -100}, {Low: math.MaxInt64, High: math.MaxInt64},
		{Low: math.MinInt64, High: math.MaxInt64, Divisor: 100, Rest: 99}, {Low: math.MinInt64, High: math.MaxInt64, Divisor: 7, Rest: -1},
		{Low: -7, High: -1, Divisor: 8, Rest: -7}, {Low: 1, High: 1 << 62, Divisor: 1},
	} {
		var want []int32
		for i, v := range part.Int64Values() {
			if v >= f.Low && v <= f.High && (f.Divisor == 0 || v%f.Divisor == f.Rest) {
				want = append(want, int32(i))
			}
		}
		got, pays := f.places(part, nil, nil)
		if !pays || !slices.Equal(got, want) {
			t.Errorf("%+v: places %v, %v, want %v", f, got, pays, want)
		}
		odd := []int32{1, 3, 5, 7, 9, 11, 13, 15, 17}
		want = slices.DeleteFunc(want, func(at int32) bool { return !slices.Contains(odd, at) })
		if got, _ := f.places(part, slices.Clone(odd), odd); !slices.Equal(got, want) {
			t.Errorf("%+v: places %v of the odd ones, want %v", f, got, want)
		}
	}
	if _, pays := (&Filter{Low: 0, High: 0}).places(part, nil, nil); pays {
		t.Error("a filter that most rows pass is said to pay")
	}
}
