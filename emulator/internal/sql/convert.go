package sql

import (
	"fmt"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal256"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/sluice-io/sluice/emulator/internal/sql/scan"
	"github.com/sluice-io/sluice/emulator/internal/types"
)

const (
	nanosPerSecond = int64(1e9)
	maxDuckDigits  = 38
)

// The structs in which intervals pass through DuckDB.
var (
	dayTimeStruct = arrow.StructOf(
		arrow.Field{Name: scan.Seconds, Type: arrow.PrimitiveTypes.Int64, Nullable: true},
		arrow.Field{Name: scan.Nanos, Type: arrow.PrimitiveTypes.Int32, Nullable: true},
	)
	yearMonthStruct = arrow.StructOf(
		arrow.Field{Name: scan.Months, Type: arrow.PrimitiveTypes.Int32, Nullable: true},
	)
)

// exported is the Arrow type in which DuckDB gives values of t back, if none of t's
// timestamps lies beyond nanoseconds.
func exported(t types.Type) arrow.DataType {
	switch t.Kind {
	case types.Timestamp, types.TimestampNTZ:
		return &arrow.TimestampType{Unit: arrow.Nanosecond}
	case types.IntervalDayTime:
		return dayTimeStruct
	case types.IntervalYearMonth:
		return yearMonthStruct
	case types.Decimal:
		p, s := t.PrecisionScale()
		return &arrow.Decimal128Type{Precision: int32(min(p, maxDuckDigits)), Scale: int32(s)}
	case types.Array:
		return arrow.ListOf(exported(t.Children[0].Type))
	case types.Map:
		return arrow.MapOf(exported(t.Children[0].Type), exported(t.Children[1].Type))
	case types.Struct:
		fields := make([]arrow.Field, len(t.Children))
		for i, c := range t.Children {
			fields[i] = arrow.Field{Name: c.Name, Type: exported(c.Type), Nullable: true}
		}
		return arrow.StructOf(fields...)
	default:
		return t.Arrow(types.LayoutWide)
	}
}

// fromDuck converts a result's values to t in the wide layout. data has the type in which
// DuckDB exports the result, and t is resultType's answer for it or a type that it was
// cast to. The caller releases the result.
func fromDuck(data arrow.ArrayData, t types.Type) (arrow.ArrayData, error) {
	target := t.Arrow(types.LayoutWide)
	switch t.Kind {
	case types.Timestamp, types.TimestampNTZ:
		return splitTimestamp(data, target)
	case types.IntervalYearMonth:
		return yearMonths(data), nil
	case types.IntervalDayTime:
		if data.DataType().ID() == arrow.INTERVAL_MONTH_DAY_NANO {
			return dayTimes(data, target)
		}
	case types.Decimal:
		if p, _ := t.PrecisionScale(); p > maxDuckDigits {
			return widenDecimal(data, target)
		}
	case types.TinyInt, types.SmallInt, types.Int, types.BigInt:
		return integers(data, t, target)
	case types.Array, types.Map, types.Struct:
		return convertChildren(data, target, childTypes(t), fromDuck)
	default:
	}
	return rebuilt(data, target, data.Buffers(), data.Children()...), nil
}

// rebuilt is data with another type, buffers and children; offset, length and nulls stay.
func rebuilt(data arrow.ArrayData, target arrow.DataType, buffers []*memory.Buffer, children ...arrow.ArrayData) arrow.ArrayData {
	return array.NewData(target, data.Len(), buffers, children, data.NullN(), data.Offset())
}

// childTypes lists the types of a nested type's children as Arrow nests them: an array's
// element, a struct's fields, a map's entries as one struct.
func childTypes(t types.Type) []types.Type {
	if t.Kind == types.Map {
		return []types.Type{types.StructOf(t.Children...)}
	}
	out := make([]types.Type, len(t.Children))
	for i, c := range t.Children {
		out[i] = c.Type
	}
	return out
}

func convertChildren(data arrow.ArrayData, target arrow.DataType, kinds []types.Type, convert func(arrow.ArrayData, types.Type) (arrow.ArrayData, error)) (arrow.ArrayData, error) {
	if len(data.Children()) != len(kinds) {
		return nil, fmt.Errorf("%s has %d children where %s has %d", data.DataType(), len(data.Children()), target, len(kinds))
	}
	children := make([]arrow.ArrayData, 0, len(kinds))
	defer func() {
		for _, c := range children {
			c.Release()
		}
	}()
	for i, child := range data.Children() {
		c, err := convert(child, kinds[i])
		if err != nil {
			return nil, err
		}
		children = append(children, c)
	}
	if m, ok := target.(*arrow.MapType); ok { // the entries' struct has its own field names
		entries := children[0]
		children[0] = rebuilt(entries, m.Elem(), entries.Buffers(), entries.Children()...)
		entries.Release()
	}
	return rebuilt(data, target, data.Buffers(), children...), nil
}

// splitTimestamp turns one number of any unit into (seconds, nanoseconds).
func splitTimestamp(data arrow.ArrayData, target arrow.DataType) (arrow.ArrayData, error) {
	if data.DataType().ID() == arrow.STRUCT { // all values of a nested empty column
		return rebuilt(data, target, data.Buffers(), data.Children()...), nil
	}
	ts, ok := data.DataType().(*arrow.TimestampType)
	if !ok {
		return nil, fmt.Errorf("result column of type %s where a timestamp was expected", data.DataType())
	}
	perSecond := int64(1)
	switch ts.Unit {
	case arrow.Second:
	case arrow.Millisecond:
		perSecond = 1e3
	case arrow.Microsecond:
		perSecond = 1e6
	case arrow.Nanosecond:
		perSecond = 1e9
	}
	arr := array.NewTimestampData(data)
	defer arr.Release()
	return secNano(arr, target, func(i int) (int64, int32, error) {
		v := int64(arr.Value(i))
		sec := v / perSecond
		rest := v % perSecond
		if rest < 0 {
			sec, rest = sec-1, rest+perSecond
		}
		return sec, int32(rest * (nanosPerSecond / perSecond)), nil
	})
}

// dayTimes turns DuckDB's own intervals into (seconds, nanoseconds).
func dayTimes(data arrow.ArrayData, target arrow.DataType) (arrow.ArrayData, error) {
	arr := array.NewMonthDayNanoIntervalData(data)
	defer arr.Release()
	return secNano(arr, target, func(i int) (int64, int32, error) {
		v := arr.Value(i)
		if v.Months != 0 {
			return 0, 0, &Error{Code: codeExecution, Message: "the result holds an interval with months; INTERVAL_DAY_TIME has none, cast it to a string"}
		}
		sec, rest := v.Nanoseconds/nanosPerSecond, v.Nanoseconds%nanosPerSecond
		if rest < 0 {
			sec, rest = sec-1, rest+nanosPerSecond
		}
		return int64(v.Days)*86400 + sec, int32(rest), nil
	})
}

func secNano(arr arrow.Array, target arrow.DataType, value func(i int) (int64, int32, error)) (arrow.ArrayData, error) {
	b := array.NewStructBuilder(memory.DefaultAllocator, target.(*arrow.StructType))
	defer b.Release()
	b.Reserve(arr.Len())
	secs, nano := b.FieldBuilder(0).(*array.Int64Builder), b.FieldBuilder(1).(*array.Int32Builder)
	for i := range arr.Len() {
		if arr.IsNull(i) {
			b.AppendNull()
			continue
		}
		s, n, err := value(i)
		if err != nil {
			return nil, err
		}
		b.Append(true)
		secs.Append(s)
		nano.Append(n)
	}
	out := b.NewStructArray()
	defer out.Release()
	out.Data().Retain()
	return out.Data(), nil
}

func yearMonths(data arrow.ArrayData) arrow.ArrayData {
	s := array.NewStructData(data)
	defer s.Release()
	months := s.Field(0).(*array.Int32)
	b := array.NewMonthIntervalBuilder(memory.DefaultAllocator)
	defer b.Release()
	for i := range s.Len() {
		if s.IsNull(i) {
			b.AppendNull()
		} else {
			b.Append(arrow.MonthInterval(months.Value(i)))
		}
	}
	out := b.NewMonthIntervalArray()
	defer out.Release()
	out.Data().Retain()
	return out.Data()
}

func widenDecimal(data arrow.ArrayData, target arrow.DataType) (arrow.ArrayData, error) {
	arr := array.NewDecimal128Data(data)
	defer arr.Release()
	b := array.NewDecimal256Builder(memory.DefaultAllocator, target.(*arrow.Decimal256Type))
	defer b.Release()
	for i := range arr.Len() {
		if arr.IsNull(i) {
			b.AppendNull()
		} else {
			b.Append(decimal256.FromDecimal128(arr.Value(i)))
		}
	}
	out := b.NewDecimal256Array()
	defer out.Release()
	out.Data().Retain()
	return out.Data(), nil
}

// integers converts the integers that MaxCompute lacks: HUGEINT, which DuckDB exports as a
// decimal, and the unsigned ones.
func integers(data arrow.ArrayData, t types.Type, target arrow.DataType) (arrow.ArrayData, error) {
	if data.DataType().ID() == target.ID() {
		return rebuilt(data, target, data.Buffers()), nil
	}
	arr := array.MakeFromData(data)
	defer arr.Release()
	value, err := integerValues(arr)
	if err != nil {
		return nil, err
	}
	b := array.NewBuilder(memory.DefaultAllocator, target)
	defer b.Release()
	for i := range arr.Len() {
		if arr.IsNull(i) {
			b.AppendNull()
			continue
		}
		v, ok := value(i)
		if !ok {
			return nil, &Error{Code: codeExecution, Message: "a number of the result does not fit " + t.String()}
		}
		switch b := b.(type) {
		case *array.Int16Builder:
			b.Append(int16(v))
		case *array.Int32Builder:
			b.Append(int32(v))
		case *array.Int64Builder:
			b.Append(v)
		default:
			return nil, fmt.Errorf("result column of type %s where %s was expected", data.DataType(), t)
		}
	}
	out := b.NewArray()
	defer out.Release()
	out.Data().Retain()
	return out.Data(), nil
}

// integerValues reads a result column as int64; ok is false where a value is too large.
func integerValues(arr arrow.Array) (func(i int) (v int64, ok bool), error) {
	switch arr := arr.(type) {
	case *array.Uint8:
		return func(i int) (int64, bool) { return int64(arr.Value(i)), true }, nil
	case *array.Uint16:
		return func(i int) (int64, bool) { return int64(arr.Value(i)), true }, nil
	case *array.Uint32:
		return func(i int) (int64, bool) { return int64(arr.Value(i)), true }, nil
	case *array.Uint64:
		return func(i int) (int64, bool) { return int64(arr.Value(i)), arr.Value(i) <= math.MaxInt64 }, nil
	case *array.Decimal128:
		return func(i int) (int64, bool) {
			v := arr.Value(i)
			low := v.LowBits()
			return int64(low), v.HighBits() == 0 && low <= math.MaxInt64 || v.HighBits() == -1 && low > math.MaxInt64
		}, nil
	default:
		return nil, fmt.Errorf("result column of type %s where an integer was expected", arr.DataType())
	}
}
