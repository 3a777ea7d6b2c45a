package types

import "github.com/apache/arrow-go/v18/arrow"

// Layout selects the Arrow form of the types that have more than one; the
// package comment lists them. The numbers are stored in segment files: frozen.
type Layout uint8

// The layouts.
const (
	// LayoutNanos is the tunnel's usual form: TIMESTAMP as int64 nanoseconds
	// (years 1677..2262), INTERVAL_DAY_TIME as struct<sec,nano>.
	LayoutNanos Layout = 0
	// LayoutWide keeps seconds and nanoseconds apart and holds every value.
	LayoutWide Layout = 1
	// LayoutDayTime is what the Go SDK writes and reads: as LayoutNanos, with
	// INTERVAL_DAY_TIME as interval[day_time] (32-bit days, milliseconds).
	LayoutDayTime Layout = 2
)

// SecNano is the Arrow type of a (seconds, nanoseconds) pair: seconds floor,
// nano 0..999,999,999.
var SecNano = arrow.StructOf(
	arrow.Field{Name: "sec", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
	arrow.Field{Name: "nano", Type: arrow.PrimitiveTypes.Int32, Nullable: true},
)

// Arrow returns the Arrow type of t in layout l. Timestamps carry no time zone
// (they are UTC on the wire). Children are nullable except MAP keys.
func (t Type) Arrow(l Layout) arrow.DataType {
	switch t.Kind {
	case Boolean:
		return arrow.FixedWidthTypes.Boolean
	case TinyInt:
		return arrow.PrimitiveTypes.Int8
	case SmallInt:
		return arrow.PrimitiveTypes.Int16
	case Int, IntervalYearMonth:
		if t.Kind == IntervalYearMonth {
			return arrow.FixedWidthTypes.MonthInterval
		}
		return arrow.PrimitiveTypes.Int32
	case BigInt:
		return arrow.PrimitiveTypes.Int64
	case Float:
		return arrow.PrimitiveTypes.Float32
	case Double:
		return arrow.PrimitiveTypes.Float64
	case Decimal:
		return t.arrowDecimal()
	case String, Char, Varchar, JSON:
		return arrow.BinaryTypes.String
	case Binary:
		return arrow.BinaryTypes.Binary
	case Date:
		return arrow.FixedWidthTypes.Date32
	case Datetime:
		return &arrow.TimestampType{Unit: arrow.Millisecond}
	case Timestamp, TimestampNTZ:
		if l == LayoutWide {
			return SecNano
		}
		return &arrow.TimestampType{Unit: arrow.Nanosecond}
	case IntervalDayTime:
		if l == LayoutDayTime {
			return arrow.FixedWidthTypes.DayTimeInterval
		}
		return SecNano
	case Array:
		return arrow.ListOf(t.Children[0].Type.Arrow(l))
	case Map:
		return arrow.MapOf(t.Children[0].Type.Arrow(l), t.Children[1].Type.Arrow(l))
	case Struct:
		return t.arrowStruct(l)
	}
	return arrow.Null
}

func (t Type) arrowDecimal() arrow.DataType {
	p, s := t.PrecisionScale()
	if p <= MaxDecimal128Precision {
		return &arrow.Decimal128Type{Precision: int32(p), Scale: int32(s)}
	}
	return &arrow.Decimal256Type{Precision: int32(p), Scale: int32(s)}
}

func (t Type) arrowStruct(l Layout) arrow.DataType {
	fields := make([]arrow.Field, len(t.Children))
	for i, c := range t.Children {
		fields[i] = arrow.Field{Name: c.Name, Type: c.Type.Arrow(l), Nullable: true}
	}
	return arrow.StructOf(fields...)
}

// VariesByLayout reports whether t's Arrow form depends on the layout.
func (t Type) VariesByLayout() bool { return t.Has(Timestamp, TimestampNTZ, IntervalDayTime) }
