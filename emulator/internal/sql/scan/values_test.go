//go:build cgo && duckdb_arrow

package scan

import (
	"errors"
	"math"
	"testing"
)

// A timestamp becomes one number exactly, up to the first and the last moment that fit, or
// is an error that says which of the two reasons it has.
func TestJoined_is_exact_or_an_error(t *testing.T) {
	first, last := int64(math.MinInt64), int64(math.MaxInt64)
	for _, tt := range []struct {
		sec    int64
		nano   int64
		micros bool
		want   int64
		err    error
	}{
		{1, 5, false, 1_000_000_005, nil},
		{-1, 999_999_999, false, -1, nil},
		{-1, 0, false, -1_000_000_000, nil},
		{last / 1e9, last % 1e9, false, last, nil},
		{last / 1e9, last%1e9 + 1, false, 0, errNanos},
		{last/1e9 + 1, 0, false, 0, errNanos},
		{first/1e9 - 1, 1e9 + first%1e9, false, first, nil},
		{first/1e9 - 1, 1e9 + first%1e9 - 1, false, 0, errNanos},
		{first/1e9 - 1, 0, false, 0, errNanos},
		{first / 1e9, 0, false, first - first%1e9, nil},
		{last, 999_999_999, false, 0, errNanos},
		{first, 0, false, 0, errNanos},
		{-62135596800, 1000, true, -62135596799999999, nil},
		{253402300799, 999_999_000, true, 253402300799999999, nil},
		{0, 1500, true, 0, errTooFine},
		{last / 1e6, last % 1e6 * 1000, true, last, nil},
		{last / 1e6, (last%1e6 + 1) * 1000, true, 0, errNanos},
		{first/1e6 - 1, (1e6 + first%1e6) * 1000, true, first, nil},
		{first/1e6 - 1, (1e6 + first%1e6 - 1) * 1000, true, 0, errNanos},
	} {
		got, err := joined(tt.sec, int32(tt.nano), tt.micros)
		if got != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("joined(%d, %d, %t) = %d, %v, want %d, %v", tt.sec, tt.nano, tt.micros, got, err, tt.want, tt.err)
		}
	}
}
