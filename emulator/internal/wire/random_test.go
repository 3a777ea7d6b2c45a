package wire_test

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/decimal256"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/sluice-io/sluice/emulator/internal/types"
	"github.com/sluice-io/sluice/emulator/internal/wire"
)

// everyType has a column of each type, nested ones included.
var everyType = []string{
	"boolean", "tinyint", "smallint", "int", "bigint", "float", "double", "decimal(10,2)", "decimal(38,18)", "decimal",
	"string", "char(4)", "varchar(9)", "binary", "json", "date", "datetime", "timestamp", "timestamp_ntz",
	"interval_day_time", "interval_year_month", "array<bigint>", "array<timestamp>", "map<string,bigint>",
	"struct<a:bigint,b:string>", "struct<sec:bigint,nano:int>", "array<struct<a:map<string,array<decimal>>,b:interval_day_time>>",
	"map<bigint,struct<t:timestamp_ntz,f:array<boolean>>>",
}

func columns(t testing.TB, texts ...string) (cols []wire.Column) {
	t.Helper()
	for i, text := range texts {
		typ, err := types.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		cols = append(cols, wire.Column{Name: "c" + string(rune('a'+i)), Type: typ, Nullable: true})
	}
	return cols
}

// randomBatch makes rows in the wide layout; wide also makes timestamps beyond
// int64 nanoseconds.
func randomBatch(rng *rand.Rand, cols []wire.Column, rows int, wide bool) arrow.RecordBatch {
	b := array.NewRecordBuilder(memory.DefaultAllocator, wire.ArrowSchema(cols, types.LayoutWide))
	defer b.Release()
	g := gen{rng, wide}
	for range rows {
		for i, c := range cols {
			g.append(b.Field(i), c.Type, true)
		}
	}
	return b.NewRecordBatch()
}

type gen struct {
	*rand.Rand
	wide bool
}

func (g gen) bytes() []byte {
	p := make([]byte, g.IntN(20))
	for i := range p {
		p[i] = byte(g.Uint32())
	}
	return p
}

func (g gen) int(low, high int64) int64 {
	switch g.IntN(6) {
	case 0:
		return low
	case 1:
		return high
	case 2:
		return 0
	}
	return low + int64(g.Uint64N(uint64(high-low)|1))
}

func (g gen) decimal(digits int) *big.Int {
	limit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(1+g.IntN(digits))), nil)
	v := new(big.Int).SetUint64(g.Uint64())
	v.Mul(v, new(big.Int).SetUint64(g.Uint64())).Mul(v, new(big.Int).SetUint64(g.Uint64()))
	v.Mod(v, limit)
	if g.IntN(2) == 0 {
		v.Neg(v)
	}
	return v
}

func (g gen) seconds() int64 {
	if g.wide && g.IntN(3) == 0 {
		return []int64{-62135596800, 253402300799, math.MinInt64 / 1_000_000_000 * 2}[g.IntN(3)]
	}
	return g.int(-9223372036, 9223372035)
}

func (g gen) append(b array.Builder, t types.Type, nullable bool) {
	if nullable && g.IntN(4) == 0 {
		b.AppendNull()
		return
	}
	switch b := b.(type) {
	case *array.BooleanBuilder:
		b.Append(g.IntN(2) == 0)
	case *array.Int8Builder:
		b.Append(int8(g.int(math.MinInt8, math.MaxInt8)))
	case *array.Int16Builder:
		b.Append(int16(g.int(math.MinInt16, math.MaxInt16)))
	case *array.Int32Builder:
		b.Append(int32(g.int(math.MinInt32, math.MaxInt32)))
	case *array.Int64Builder:
		b.Append(int64(g.Uint64()))
	case *array.MonthIntervalBuilder:
		b.Append(arrow.MonthInterval(g.int(-12000, 12000)))
	case *array.Date32Builder:
		b.Append(arrow.Date32(g.int(-719162, 2932896)))
	case *array.TimestampBuilder:
		b.Append(arrow.Timestamp(g.int(-62135596800000, 253402300799999)))
	case *array.Float32Builder:
		b.Append([]float32{0, float32(math.Inf(1)), g.Float32()}[g.IntN(3)])
	case *array.Float64Builder:
		b.Append([]float64{math.Copysign(0, -1), math.Inf(-1), g.NormFloat64()}[g.IntN(3)])
	case *array.StringBuilder:
		b.Append(string(g.bytes()))
	case *array.BinaryBuilder:
		b.Append(g.bytes())
	case *array.Decimal128Builder:
		p, _ := t.PrecisionScale()
		b.Append(decimal128.FromBigInt(g.decimal(p)))
	case *array.Decimal256Builder:
		p, _ := t.PrecisionScale()
		b.Append(decimal256.FromBigInt(g.decimal(p)))
	default:
		g.appendNested(b, t)
	}
}

func (g gen) appendNested(b array.Builder, t types.Type) {
	n := g.IntN(4)
	switch b := b.(type) {
	case *array.MapBuilder:
		b.Append(true)
		for range n {
			g.append(b.KeyBuilder(), t.Children[0].Type, false)
			g.append(b.ItemBuilder(), t.Children[1].Type, true)
		}
	case *array.ListBuilder:
		b.Append(true)
		for range n {
			g.append(b.ValueBuilder(), t.Children[0].Type, true)
		}
	case *array.StructBuilder:
		b.Append(true)
		if t.Kind != types.Struct {
			b.FieldBuilder(0).(*array.Int64Builder).Append(g.seconds())
			b.FieldBuilder(1).(*array.Int32Builder).Append(int32(g.int(0, 999_999_999)))
			return
		}
		for i, c := range t.Children {
			g.append(b.FieldBuilder(i), c.Type, true)
		}
	}
}

// difference names the columns that differ.
func difference(want arrow.RecordBatch, got []arrow.RecordBatch) (s string) {
	if len(got) != 1 || got[0].NumRows() != want.NumRows() {
		return " number of rows"
	}
	for i, c := range want.Columns() {
		for r := range int(want.NumRows()) {
			if !array.SliceEqual(c, int64(r), int64(r+1), got[0].Column(i), int64(r), int64(r+1)) {
				s += "\n" + c.DataType().String() + ": want " + c.ValueStr(r) + ", got " + got[0].Column(i).ValueStr(r)
				break
			}
		}
	}
	return s
}
