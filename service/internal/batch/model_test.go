package batch_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/decimal256"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/sluice-io/sluice/service/internal/batch"
	"github.com/sluice-io/sluice/service/internal/table"
)

// The tests' own idea of a value: nil, bool, int64 (integers, days, milliseconds, months), float64, string (text and
// bytes), *big.Int (unscaled), instant (timestamps and day-time intervals), []any (arrays, structs), pairs (maps).
type instant struct {
	Sec   int64
	Nanos int32
}

type pairs [][2]any

type rows [][]any // rows × columns

func columns(texts ...string) []table.Column {
	cols := make([]table.Column, len(texts))
	for i, t := range texts {
		cols[i] = table.Column{Name: fmt.Sprintf("c%d", i), Type: table.MustParseType(t)}
	}
	return cols
}

var scalarTypes = strings.Fields(`boolean tinyint smallint int bigint float double decimal(10,2) decimal(38,18) decimal
	decimal(40,3) decimal(18,0) string char(4) varchar(9) binary json date datetime timestamp timestamp_ntz
	interval_day_time interval_year_month`)

func randomType(r *rand.Rand, depth int) string {
	if depth == 0 || r.IntN(3) > 0 {
		return scalarTypes[r.IntN(len(scalarTypes))]
	}
	switch r.IntN(3) {
	case 0:
		return "array<" + randomType(r, depth-1) + ">"
	case 1:
		return "map<" + []string{"string", "bigint", "date", "decimal(10,2)"}[r.IntN(4)] + "," + randomType(r, depth-1) + ">"
	default:
		return "struct<a:" + randomType(r, depth-1) + ",b:" + randomType(r, depth-1) + ">"
	}
}

func randomColumns(r *rand.Rand, onlyArrow bool) []table.Column {
	var texts []string
	for n := 1 + r.IntN(6); len(texts) < n; {
		t := randomType(r, 3)
		if onlyArrow && (strings.Contains(t, "interval") || strings.Contains(t, "decimal(40") || strings.Contains(t+",", "decimal,") || strings.Contains(t, "decimal>")) {
			continue
		}
		texts = append(texts, t)
	}
	cols := columns(texts...)
	for i := range cols {
		cols[i].NotNull = r.IntN(4) == 0
	}
	return cols
}

func randomRows(r *rand.Rand, cols []table.Column, n int, narrow bool) rows {
	out := make(rows, n)
	for i := range out {
		for _, c := range cols {
			if !c.NotNull && r.IntN(5) == 0 {
				out[i] = append(out[i], nil)
				continue
			}
			out[i] = append(out[i], randomValue(r, &c.Type, narrow))
		}
	}
	return out
}

func randomElement(r *rand.Rand, t *table.Type, narrow bool) any {
	if r.IntN(5) == 0 {
		return nil
	}
	return randomValue(r, t, narrow)
}

func randomInt(r *rand.Rand, bits int) int64 {
	v := int64(r.Uint64()) >> (64 - bits)
	switch r.IntN(6) {
	case 0:
		v = int64(1)<<(bits-1) - 1
	case 1:
		v = -int64(1) << (bits - 1)
	}
	if v == math.MinInt64 {
		v++
	}
	return v
}

func randomText(r *rand.Rand, most int) string {
	alphabet := []rune("abcdefgh äöß中文字😀\x00\n\"")
	var b strings.Builder
	for range r.IntN(most + 1) {
		b.WriteRune(alphabet[r.IntN(len(alphabet))])
	}
	return b.String()
}

func randomInstant(r *rand.Rand, narrow bool) instant {
	sec := r.Int64N(253402300800+62135596800) - 62135596800
	if narrow {
		sec = r.Int64N(2*9223372036) - 9223372036
	}
	return instant{sec, []int32{0, 1, 999999999, r.Int32N(1e9)}[r.IntN(4)]}
}

func randomValue(r *rand.Rand, t *table.Type, narrow bool) any {
	switch t.Kind {
	case table.KindBoolean:
		return r.IntN(2) == 0
	case table.KindTinyint:
		return randomInt(r, 8)
	case table.KindSmallint:
		return randomInt(r, 16)
	case table.KindInt, table.KindIntervalYearMonth:
		return randomInt(r, 32)
	case table.KindBigint:
		return randomInt(r, 64)
	case table.KindFloat:
		return []float64{0, 1.5, math.Inf(-1), float64(r.Float32())}[r.IntN(4)]
	case table.KindDouble:
		return []float64{0, -2.25, math.Inf(1), r.NormFloat64()}[r.IntN(4)]
	case table.KindDecimal:
		p := 1 + r.IntN(t.Precision)
		z := new(big.Int)
		for range p {
			z.Mul(z, big.NewInt(10)).Add(z, big.NewInt(r.Int64N(10)))
		}
		if r.IntN(2) == 0 {
			z.Neg(z)
		}
		return z
	case table.KindString:
		return randomText(r, 20)
	case table.KindChar, table.KindVarchar:
		return randomText(r, t.Length)
	case table.KindBinary:
		return string([]byte{0, 0xff, byte(r.IntN(256))}[:r.IntN(4)])
	case table.KindJSON:
		return []string{`{"a":1}`, "null", `[1,"ä"]`, `"x"`}[r.IntN(4)]
	case table.KindDate:
		return r.Int64N(2932896+719162) - 719162
	case table.KindDatetime:
		return r.Int64N(253402300800000+62135596800000) - 62135596800000
	case table.KindTimestamp, table.KindTimestampNTZ:
		return randomInstant(r, narrow)
	case table.KindIntervalDayTime:
		return instant{r.Int64N(1e12) - 5e11, r.Int32N(1e9)}
	case table.KindArray:
		list := make([]any, r.IntN(5))
		for i := range list {
			list[i] = randomElement(r, &t.Children[0].Type, narrow)
		}
		return list
	case table.KindMap:
		m := make(pairs, r.IntN(4))
		for i := range m {
			m[i] = [2]any{randomValue(r, &t.Children[0].Type, narrow), randomElement(r, &t.Children[1].Type, narrow)}
		}
		return m
	default:
		var s []any
		for i := range t.Children {
			s = append(s, randomElement(r, &t.Children[i].Type, narrow))
		}
		return s
	}
}

// ---- into Arrow, through arrow-go's builders, for any layout that can hold the value

func appendArrow(b array.Builder, t *table.Type, v any) {
	if v == nil {
		b.AppendNull()
		return
	}
	switch b := b.(type) {
	case *array.BooleanBuilder:
		b.Append(v.(bool))
	case *array.Int8Builder:
		b.Append(int8(v.(int64)))
	case *array.Int16Builder:
		b.Append(int16(v.(int64)))
	case *array.Int32Builder:
		b.Append(int32(v.(int64)))
	case *array.Int64Builder:
		b.Append(v.(int64))
	case *array.Float32Builder:
		b.Append(float32(v.(float64)))
	case *array.Float64Builder:
		b.Append(v.(float64))
	case *array.Decimal128Builder:
		if v.(*big.Int).BitLen() == 128 { // −2^127, which the library does not make from a big.Int
			b.Append(decimal128.New(math.MinInt64, 0))
			return
		}
		b.Append(decimal128.FromBigInt(v.(*big.Int)))
	case *array.Decimal256Builder:
		b.Append(decimal256.FromBigInt(v.(*big.Int)))
	case *array.StringBuilder:
		b.Append(v.(string))
	case *array.LargeStringBuilder:
		b.Append(v.(string))
	case *array.StringViewBuilder:
		b.Append(v.(string))
	case *array.BinaryBuilder:
		b.Append([]byte(v.(string)))
	case *array.BinaryViewBuilder:
		b.Append([]byte(v.(string)))
	case *array.Date32Builder:
		b.Append(arrow.Date32(v.(int64)))
	case *array.Date64Builder:
		b.Append(arrow.Date64(v.(int64) * 86400000))
	case *array.TimestampBuilder:
		b.Append(arrowTimestamp(b.Type().(*arrow.TimestampType).Unit, v))
	case *array.DurationBuilder:
		i := v.(instant)
		b.Append(arrow.Duration(i.Sec*1e9 + int64(i.Nanos)))
	case *array.MonthDayNanoIntervalBuilder:
		if i, ok := v.(instant); ok {
			b.Append(arrow.MonthDayNanoInterval{Days: int32(i.Sec / 86400), Nanoseconds: i.Sec%86400*1e9 + int64(i.Nanos)})
			return
		}
		b.Append(arrow.MonthDayNanoInterval{Months: int32(v.(int64))})
	case *array.MonthIntervalBuilder:
		b.Append(arrow.MonthInterval(v.(int64)))
	case *array.MapBuilder:
		b.Append(true)
		for _, p := range v.(pairs) {
			appendArrow(b.KeyBuilder(), &t.Children[0].Type, p[0])
			appendArrow(b.ItemBuilder(), &t.Children[1].Type, p[1])
		}
	case *array.StructBuilder:
		b.Append(true)
		if i, ok := v.(instant); ok {
			b.FieldBuilder(0).(*array.Int64Builder).Append(i.Sec)
			b.FieldBuilder(1).(*array.Int32Builder).Append(i.Nanos)
			return
		}
		for i, f := range v.([]any) {
			appendArrow(b.FieldBuilder(i), &t.Children[i].Type, f)
		}
	case array.ListLikeBuilder:
		list := v.([]any)
		if fixed, ok := b.(*array.FixedSizeListBuilder); ok {
			fixed.Append(true)
		} else {
			b.(array.VarLenListLikeBuilder).AppendWithSize(true, len(list))
		}
		for _, e := range list {
			appendArrow(b.ValueBuilder(), &t.Children[0].Type, e)
		}
	default:
		panic(fmt.Sprintf("%T", b))
	}
}

func arrowTimestamp(unit arrow.TimeUnit, v any) arrow.Timestamp {
	if ms, ok := v.(int64); ok {
		return arrow.Timestamp(ms * map[arrow.TimeUnit]int64{arrow.Millisecond: 1, arrow.Microsecond: 1e3, arrow.Nanosecond: 1e6}[unit])
	}
	i := v.(instant)
	switch unit {
	case arrow.Microsecond:
		return arrow.Timestamp(i.Sec*1e6 + int64(i.Nanos)/1e3)
	case arrow.Millisecond:
		return arrow.Timestamp(i.Sec*1e3 + int64(i.Nanos)/1e6)
	case arrow.Second:
		return arrow.Timestamp(i.Sec)
	}
	if i.Sec < 0 { // in this order it does not overflow
		return arrow.Timestamp((i.Sec+1)*1e9 + int64(i.Nanos) - 1e9)
	}
	return arrow.Timestamp(i.Sec*1e9 + int64(i.Nanos))
}

func arrowBatch(schema *arrow.Schema, cols []table.Column, data rows) arrow.RecordBatch {
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	for _, row := range data {
		for i, v := range row {
			appendArrow(b.Field(i), &cols[i].Type, v)
		}
	}
	return b.NewRecordBatch()
}

// arrowMessages is the schema message and the batch's message, as arrow-go writes them.
func arrowMessages(t testing.TB, rec arrow.RecordBatch, opts ...ipc.Option) (schema, body []byte) {
	t.Helper()
	var buf bytes.Buffer
	w := ipc.NewWriter(&buf, append([]ipc.Option{ipc.WithSchema(rec.Schema())}, opts...)...)
	if err := w.Write(rec); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	b := buf.Bytes()
	n := 8 + int(binary.LittleEndian.Uint32(b[4:]))
	return b[:n], b[n : len(b)-8]
}

func wholePayload(b []byte) batch.Payload { return batch.NewPayload(nil, b) }

// cutPayload cuts b into pieces of the given size, as frames of HTTP/2 do.
func cutPayload(b []byte, size int) batch.Payload {
	var pieces [][]byte
	for len(b) > 0 {
		n := min(size, len(b))
		pieces = append(pieces, b[:n])
		b = b[n:]
	}
	return batch.NewPayload(nil, pieces...)
}

// ---- and back

func arrowValue(t *table.Type, a arrow.Array, i int) any {
	if a.IsNull(i) {
		return nil
	}
	switch a := a.(type) {
	case *array.Boolean:
		return a.Value(i)
	case *array.Int8:
		return int64(a.Value(i))
	case *array.Int16:
		return int64(a.Value(i))
	case *array.Int32:
		return int64(a.Value(i))
	case *array.Int64:
		return a.Value(i)
	case *array.Float32:
		return float64(a.Value(i))
	case *array.Float64:
		return a.Value(i)
	case *array.Decimal128:
		return a.Value(i).BigInt()
	case *array.Decimal256:
		return a.Value(i).BigInt()
	case *array.String:
		return strings.Clone(a.Value(i))
	case *array.Binary:
		return string(a.Value(i))
	case *array.Date32:
		return int64(a.Value(i))
	case *array.Timestamp:
		v := int64(a.Value(i))
		if t.Kind == table.KindDatetime {
			return v
		}
		s, n := v/1e9, v%1e9
		if n < 0 {
			s, n = s-1, n+1e9
		}
		return instant{s, int32(n)}
	case *array.Map:
		from, to := a.ValueOffsets(i)
		m := pairs{}
		for k := from; k < to; k++ {
			m = append(m, [2]any{arrowValue(&t.Children[0].Type, a.Keys(), int(k)), arrowValue(&t.Children[1].Type, a.Items(), int(k))})
		}
		return m
	case *array.List:
		from, to := a.ValueOffsets(i)
		list := []any{}
		for k := from; k < to; k++ {
			list = append(list, arrowValue(&t.Children[0].Type, a.ListValues(), int(k)))
		}
		return list
	case *array.Struct:
		if t.Kind != table.KindStruct {
			return instant{a.Field(0).(*array.Int64).Value(i), a.Field(1).(*array.Int32).Value(i)}
		}
		var s []any
		for f := range t.Children {
			s = append(s, arrowValue(&t.Children[f].Type, a.Field(f), i))
		}
		return s
	default:
		panic(fmt.Sprintf("%T", a))
	}
}

func arrowRows(cols []table.Column, rec arrow.RecordBatch) rows {
	out := rows{}
	for i := range int(rec.NumRows()) {
		var row []any
		for c := range cols {
			row = append(row, arrowValue(&cols[c].Type, rec.Column(c), i))
		}
		out = append(out, row)
	}
	return out
}

func join(p batch.Payload) []byte { return bytes.Join(p.Pieces(), nil) }

// checkedRows reads what the tunnel would get, with readers that are not the encoder's.
func checkedRows(t testing.TB, cols []table.Column, c *batch.Checked) rows {
	t.Helper()
	if c.Rows == 0 {
		return rows{}
	}
	if c.Form == batch.FormRecord {
		return decodeRecords(t, cols, batch.AppendRecordTrailer(join(c.Body), int64(c.Rows), c.RecordCRC))
	}
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	stream := append(batch.SchemaOf(cols, batch.SchemaOptions{}), join(c.Body)...)
	r, err := ipc.NewReader(bytes.NewReader(stream), ipc.WithAllocator(mem))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	out := rows{}
	for r.Next() {
		out = append(out, arrowRows(cols, r.RecordBatch())...)
	}
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

func decodeRecords(t testing.TB, cols []table.Column, stream []byte) rows {
	t.Helper()
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	d := batch.NewRecordDecoder(cols, mem, batch.RecordOptions{TimestampStruct: true})
	defer d.Release()
	r := bytes.NewReader(stream)
	out := rows{}
	for {
		rec, err := d.Read(r, 7)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, arrowRows(cols, rec)...)
		rec.Release()
	}
}
