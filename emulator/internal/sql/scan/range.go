//go:build cgo && duckdb_arrow

package scan

import (
	"context"
	"errors"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/sluice-io/sluice/emulator/internal/types"
)

// BeyondNanos reports whether one of the columns at the given positions holds a timestamp
// that int64 nanoseconds cannot. It looks at values only where they are stored in the
// layout that is made for such.
func (t *Table) BeyondNanos(ctx context.Context, columns []int) (bool, error) {
	var stamps []int
	for _, at := range columns {
		if t.Columns[at].Type.Has(types.Timestamp, types.TimestampNTZ) {
			stamps = append(stamps, at)
		}
	}
	if len(stamps) == 0 {
		return false, nil
	}
	for _, p := range t.Pieces {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		arrays, err := p.Read(stamps)
		if err != nil {
			return false, err
		}
		found := false
		for i, a := range arrays {
			found = found || anyBeyond(a, t.Columns[stamps[i]].Type)
			a.Release()
		}
		if found {
			return true, nil
		}
	}
	return false, nil
}

func anyBeyond(a arrow.Array, t types.Type) bool {
	if arrow.TypeEqual(a.DataType(), t.Arrow(types.LayoutNanos)) {
		return false
	}
	for i := range a.Len() {
		if beyond(a, t, i) {
			return true
		}
	}
	return false
}

func beyond(a arrow.Array, t types.Type, i int) bool {
	if a.IsNull(i) {
		return false
	}
	switch a := a.(type) {
	case *array.Map:
		start, end := a.ValueOffsets(i)
		return anyWithin(a.Keys(), t.Children[0].Type, start, end) || anyWithin(a.Items(), t.Children[1].Type, start, end)
	case *array.List:
		start, end := a.ValueOffsets(i)
		return anyWithin(a.ListValues(), t.Children[0].Type, start, end)
	case *array.Struct:
		if t.Kind == types.Timestamp || t.Kind == types.TimestampNTZ {
			_, err := joined(a.Field(0).(*array.Int64).Value(i), a.Field(1).(*array.Int32).Value(i), false)
			return errors.Is(err, errNanos)
		}
		for k, c := range t.Children {
			if beyond(a.Field(k), c.Type, i) {
				return true
			}
		}
	}
	return false
}

func anyWithin(a arrow.Array, t types.Type, start, end int64) bool {
	for k := start; k < end; k++ {
		if beyond(a, t, int(k)) {
			return true
		}
	}
	return false
}
