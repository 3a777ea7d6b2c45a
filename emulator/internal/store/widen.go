package store

import (
	"fmt"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/decimal256"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/sluice-io/sluice/emulator/internal/types"
)

// widened reads a column written under a narrower type as its type of today. The caller
// releases it.
func widened(arr arrow.Array, from, to types.Type, l types.Layout) (arrow.Array, error) {
	target := to.Arrow(l)
	if from.Equal(to) || arrow.TypeEqual(arr.DataType(), target) && from.Kind != types.Decimal { // texts have one form
		arr.Retain()
		return arr, nil
	}
	value, err := widening(arr, from, to)
	if err != nil {
		return nil, err
	}
	b := array.NewBuilder(memory.DefaultAllocator, target)
	defer b.Release()
	b.Reserve(arr.Len())
	for i := range arr.Len() {
		if arr.IsNull(i) {
			b.AppendNull()
			continue
		}
		if err := appendValue(b, value(i)); err != nil {
			return nil, err
		}
	}
	return b.NewArray(), nil
}

// widening returns the values of an array, in a Go type that appendValue knows.
func widening(arr arrow.Array, from, to types.Type) (func(i int) any, error) {
	asText := to.Kind == types.String
	switch a := arr.(type) {
	case *array.Int8:
		return integers(func(i int) int64 { return int64(a.Value(i)) }, to), nil
	case *array.Int16:
		return integers(func(i int) int64 { return int64(a.Value(i)) }, to), nil
	case *array.Int32:
		return integers(func(i int) int64 { return int64(a.Value(i)) }, to), nil
	case *array.Int64:
		return integers(a.Value, to), nil
	case *array.Float32:
		if asText {
			return func(i int) any { return types.FloatText(float64(a.Value(i)), 32) }, nil
		}
		return func(i int) any { return float64(a.Value(i)) }, nil
	case *array.Float64:
		return func(i int) any { return types.FloatText(a.Value(i), 64) }, nil
	case *array.Decimal128:
		return decimals(func(i int) decimal256.Num { return decimal256.FromDecimal128(a.Value(i)) }, from, to), nil
	case *array.Decimal256:
		return decimals(a.Value, from, to), nil
	default:
		return nil, fmt.Errorf("read %s as %s: %w", from, to, ErrInvalidTable)
	}
}

func integers(value func(i int) int64, to types.Type) func(i int) any {
	switch to.Kind {
	case types.String:
		return func(i int) any { return strconv.FormatInt(value(i), 10) }
	case types.Double:
		return func(i int) any { return float64(value(i)) }
	case types.Decimal:
		_, scale := to.PrecisionScale()
		return func(i int) any {
			return decimal256.FromI64(value(i)).IncreaseScaleBy(int32(scale))
		}
	default:
		return func(i int) any { return value(i) }
	}
}

func decimals(value func(i int) decimal256.Num, from, to types.Type) func(i int) any {
	_, scale := from.PrecisionScale()
	if to.Kind == types.String {
		return func(i int) any { return types.DecimalText(value(i).BigInt(), scale) }
	}
	_, wanted := to.PrecisionScale()
	return func(i int) any { return value(i).IncreaseScaleBy(int32(wanted - scale)) }
}

func appendValue(b array.Builder, v any) error {
	switch b := b.(type) {
	case *array.Int16Builder:
		b.Append(int16(v.(int64)))
	case *array.Int32Builder:
		b.Append(int32(v.(int64)))
	case *array.Int64Builder:
		b.Append(v.(int64))
	case *array.Float64Builder:
		b.Append(v.(float64))
	case *array.StringBuilder:
		b.Append(v.(string))
	case *array.Decimal128Builder:
		words := v.(decimal256.Num).Array()
		b.Append(decimal128.New(int64(words[1]), words[0])) //nolint:gosec // two's complement
	case *array.Decimal256Builder:
		b.Append(v.(decimal256.Num))
	default:
		return fmt.Errorf("values of type %s: %w", b.Type(), ErrInvalidTable)
	}
	return nil
}
