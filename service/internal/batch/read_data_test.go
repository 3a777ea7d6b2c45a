package batch

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/decimal256"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	gocmp "github.com/google/go-cmp/cmp"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
	"github.com/sluice-io/sluice/service/internal/table"
)

// A cell is one value as the tests think of it: nil, bool, int64, float64, string (text and bytes), *big.Int
// (unscaled), instant, []any (array, struct), [][2]any (map).
type instant struct{ sec, nano int64 }

// everyType is one column of each kind, nested ones of nested ones.
func everyType() []table.Column {
	texts := []string{
		"boolean", "tinyint", "smallint", "int", "bigint", "float", "double", "decimal(10,2)", "decimal(38,18)", "decimal",
		"decimal(40,3)", "string", "char(4)", "varchar(9)", "binary", "json", "date", "datetime", "timestamp",
		"timestamp_ntz", "interval_day_time", "interval_year_month", "array<string>", "array<timestamp>",
		"map<string,bigint>", "map<bigint,array<timestamp_ntz>>", "struct<a:boolean,b:string,c:timestamp>",
		"array<struct<x:map<string,decimal(5,1)>,y:array<boolean>>>",
	}
	cols := make([]table.Column, len(texts))
	for i, text := range texts {
		cols[i] = table.Column{Name: fmt.Sprintf("c%d", i), Type: table.MustParseType(text)}
	}
	return cols
}

// arrowTypes is everyType without what only records can carry.
func arrowTypes() []table.Column {
	var cols []table.Column
	for _, c := range everyType() {
		if FetchForm([]table.Column{c}, OutOptions{}) == FormArrow {
			cols = append(cols, c)
		}
	}
	return cols
}

// randomCell makes a value of the type; narrow keeps timestamps within int64 nanoseconds.
func randomCell(r *rand.Rand, t table.Type, narrow bool) any {
	if r.IntN(5) == 0 {
		return nil
	}
	return randomValue(r, t, narrow)
}

func randomValue(r *rand.Rand, t table.Type, narrow bool) any {
	switch t.Kind {
	case table.KindBoolean:
		return r.IntN(2) == 1
	case table.KindTinyint:
		return int64(int8(r.Uint64()))
	case table.KindSmallint:
		return int64(int16(r.Uint64()))
	case table.KindInt, table.KindIntervalYearMonth:
		return int64(int32(r.Uint64()))
	case table.KindDate:
		return int64(r.IntN(3652059) - 719162)
	case table.KindBigint:
		return int64(r.Uint64())
	case table.KindFloat:
		return float64(float32(r.NormFloat64()))
	case table.KindDouble:
		return r.NormFloat64()
	case table.KindDecimal:
		limit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(t.Precision)), nil)
		n := new(big.Int).SetUint64(r.Uint64())
		n.Mul(n, n).Mul(n, n).Mod(n, limit)
		if r.IntN(2) == 0 {
			n.Neg(n)
		}
		return n
	case table.KindJSON:
		return fmt.Sprintf(`{"a":%d}`, r.IntN(1000))
	case table.KindString, table.KindChar, table.KindVarchar, table.KindBinary:
		b := make([]byte, r.IntN(cmp.Or(t.Length, 12)+1))
		for i := range b {
			b[i] = byte('a' + r.IntN(26))
		}
		return string(b)
	case table.KindDatetime:
		return r.Int64N(2e14) - 6e13
	case table.KindTimestamp, table.KindTimestampNTZ:
		if narrow {
			return instant{r.Int64N(18e9) - 9e9, r.Int64N(1e9)}
		}
		return instant{r.Int64N(mostInstant-leastInstant) + leastInstant, r.Int64N(1e9)}
	case table.KindIntervalDayTime:
		return instant{r.Int64N(2e9) - 1e9, r.Int64N(1e9)}
	case table.KindMap:
		out := make([][2]any, r.IntN(3))
		for i := range out {
			out[i] = [2]any{randomValue(r, t.Children[0].Type, narrow), randomCell(r, t.Children[1].Type, narrow)}
		}
		return out
	case table.KindArray:
		out := make([]any, r.IntN(4))
		for i := range out {
			out[i] = randomCell(r, t.Children[0].Type, narrow)
		}
		return out
	default:
		out := make([]any, len(t.Children))
		for i, c := range t.Children {
			out[i] = randomCell(r, c.Type, narrow)
		}
		return out
	}
}

// rowsDiff is the first row that differs, "" if none does. It is a hundred times as fast as cmp.Diff on all rows.
func rowsDiff(want, got [][]any) string {
	for i := range min(len(want), len(got)) {
		if !sameCell(want[i], got[i]) {
			return fmt.Sprintf("row %d (-want +got):\n%s", i, gocmp.Diff(want[i], got[i], cellOptions))
		}
	}
	if len(want) != len(got) {
		return fmt.Sprintf("%d rows, want %d", len(got), len(want))
	}
	return ""
}

func sameCell(a, b any) bool {
	switch a := a.(type) {
	case *big.Int:
		b, ok := b.(*big.Int)
		return ok && a.Cmp(b) == 0
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, sameCell)
	case [][2]any:
		b, ok := b.([][2]any)
		return ok && slices.EqualFunc(a, b, func(x, y [2]any) bool { return sameCell(x[0], y[0]) && sameCell(x[1], y[1]) })
	}
	return a == b
}

func randomRows(r *rand.Rand, cols []table.Column, n int, narrow bool) [][]any {
	rows := make([][]any, n)
	for i := range rows {
		rows[i] = make([]any, len(cols))
		for k, c := range cols {
			rows[i][k] = randomCell(r, c.Type, narrow)
		}
	}
	return rows
}

// arrowBatch builds rows in the canonical read layout with the library's own builders.
func arrowBatch(mem memory.Allocator, cols []table.Column, rows [][]any, ts ArrowTimestamp) arrow.RecordBatch {
	b := array.NewRecordBuilder(mem, ArrowSchema(cols, SchemaOptions{Timestamp: ts}))
	defer b.Release()
	for _, row := range rows {
		for k, c := range cols {
			appendCell(b.Field(k), c.Type, row[k])
		}
	}
	return b.NewRecordBatch()
}

func appendCell(b array.Builder, t table.Type, v any) {
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
		b.Append(decimal128.FromBigInt(v.(*big.Int)))
	case *array.Decimal256Builder:
		b.Append(decimal256.FromBigInt(v.(*big.Int)))
	case *array.StringBuilder:
		b.Append(v.(string))
	case *array.BinaryBuilder:
		b.Append([]byte(v.(string)))
	case *array.Date32Builder:
		b.Append(arrow.Date32(v.(int64)))
	case *array.TimestampBuilder:
		if x, ok := v.(instant); ok {
			b.Append(arrow.Timestamp(x.sec*1e9 + x.nano))
		} else {
			b.Append(arrow.Timestamp(v.(int64)))
		}
	case *array.MapBuilder:
		b.Append(true)
		for _, e := range v.([][2]any) {
			appendCell(b.KeyBuilder(), t.Children[0].Type, e[0])
			appendCell(b.ItemBuilder(), t.Children[1].Type, e[1])
		}
	case *array.ListBuilder:
		b.Append(true)
		for _, e := range v.([]any) {
			appendCell(b.ValueBuilder(), t.Children[0].Type, e)
		}
	case *array.StructBuilder:
		b.Append(true)
		if x, ok := v.(instant); ok {
			b.FieldBuilder(0).(*array.Int64Builder).Append(x.sec)
			b.FieldBuilder(1).(*array.Int32Builder).Append(int32(x.nano))
			return
		}
		for i, e := range v.([]any) {
			appendCell(b.FieldBuilder(i), t.Children[i].Type, e)
		}
	default:
		panic(fmt.Sprintf("no test builder for %T", b))
	}
}

// arrowMessage is a batch as one encapsulated message, cut into pieces of the given size as from the network.
func arrowMessage(t testing.TB, b arrow.RecordBatch, piece int, opts ...ipc.Option) Payload {
	t.Helper()
	p, err := ipc.GetRecordBatchPayload(b, opts...)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Release()
	var sink byteSink
	if _, err := p.WritePayload(&sink); err != nil {
		t.Fatal(err)
	}
	raw := sink.b
	var pieces [][]byte
	for len(raw) > piece {
		pieces = append(pieces, raw[:piece])
		raw = raw[piece:]
	}
	return NewPayload(nil, append(pieces, raw)...)
}

// arrowCells reads an output message with the library, given the schema message that the server sent.
func arrowCells(t *testing.T, mem memory.Allocator, cols []table.Column, schema []byte, out *Out) [][]any {
	t.Helper()
	var stream byteSink
	stream.b = append(stream.b, schema...)
	for _, piece := range out.Arrow.Pieces() {
		stream.b = append(stream.b, piece...)
	}
	r, err := ipc.NewReader(&sliceReader{stream.b}, ipc.WithAllocator(mem))
	if err != nil {
		t.Fatalf("open the stream: %v", err)
	}
	defer r.Release()
	if !r.Next() {
		t.Fatalf("no batch in the message: %v", r.Err())
	}
	b := r.RecordBatch()
	if int(b.NumRows()) != out.Rows {
		t.Fatalf("message of %d rows, Out.Rows is %d", b.NumRows(), out.Rows)
	}
	rows := make([][]any, out.Rows)
	for i := range rows {
		rows[i] = make([]any, len(cols))
		for k, c := range cols {
			rows[i][k] = arrowCell(b.Column(k), c.Type, i)
		}
	}
	return rows
}

type sliceReader struct{ b []byte }

func (r *sliceReader) Read(p []byte) (int, error) {
	if len(r.b) == 0 {
		return 0, errEOF
	}
	n := copy(p, r.b)
	r.b = r.b[n:]
	return n, nil
}

func arrowCell(a arrow.Array, t table.Type, i int) any {
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
		return a.Value(i)
	case *array.Binary:
		return string(a.Value(i))
	case *array.Date32:
		return int64(a.Value(i))
	case *array.Timestamp:
		return timestampCell(int64(a.Value(i)), a.DataType().(*arrow.TimestampType).Unit, t)
	case *array.Map:
		from, to := a.ValueOffsets(i)
		out := make([][2]any, 0, to-from)
		for j := from; j < to; j++ {
			out = append(out, [2]any{arrowCell(a.Keys(), t.Children[0].Type, int(j)), arrowCell(a.Items(), t.Children[1].Type, int(j))})
		}
		return out
	case *array.List:
		from, to := a.ValueOffsets(i)
		out := make([]any, 0, to-from)
		for j := from; j < to; j++ {
			out = append(out, arrowCell(a.ListValues(), t.Children[0].Type, int(j)))
		}
		return out
	case *array.Struct:
		if t.Kind != table.KindStruct {
			return instant{a.Field(0).(*array.Int64).Value(i), int64(a.Field(1).(*array.Int32).Value(i))}
		}
		out := make([]any, a.NumField())
		for k := range out {
			out[k] = arrowCell(a.Field(k), t.Children[k].Type, i)
		}
		return out
	}
	panic(fmt.Sprintf("no test reader for %T", a))
}

func timestampCell(v int64, unit arrow.TimeUnit, t table.Type) any {
	if t.Kind == table.KindDatetime {
		return v
	}
	per := int64(1e9)
	if unit == arrow.Microsecond {
		per = 1e6
	}
	sec := v / per
	if v%per < 0 {
		sec--
	}
	return instant{sec, (v - sec*per) * (1e9 / per)}
}

// columnCells reads the API's column form, straight from the words of api.md 4.5.
func columnCells(t *testing.T, cols []table.Column, out *Out) [][]any {
	t.Helper()
	rows := make([][]any, out.Rows)
	for i := range rows {
		rows[i] = make([]any, len(cols))
		for k, c := range cols {
			rows[i][k] = columnCell(out.Columns.Columns[k], c.Type, i)
		}
	}
	for k, c := range cols {
		checkLengths(t, c.Name, out.Columns.Columns[k], c.Type, out.Rows)
	}
	return rows
}

func columnCell(d *sluicev1.ColumnData, t table.Type, i int) any {
	if len(d.Validity) > 0 && d.Validity[i/8]>>(i%8)&1 == 0 {
		return nil
	}
	le := binary.LittleEndian
	off := func(i int) int { return int(int32(le.Uint32(d.Offsets[4*i:]))) }
	switch t.Kind {
	case table.KindBoolean:
		return d.Data[i/8]>>(i%8)&1 == 1
	case table.KindTinyint:
		return int64(int8(d.Data[i]))
	case table.KindSmallint:
		return int64(int16(le.Uint16(d.Data[2*i:])))
	case table.KindInt, table.KindDate, table.KindIntervalYearMonth:
		return int64(int32(le.Uint32(d.Data[4*i:])))
	case table.KindBigint, table.KindDatetime:
		return int64(le.Uint64(d.Data[8*i:]))
	case table.KindFloat:
		return float64(math.Float32frombits(le.Uint32(d.Data[4*i:])))
	case table.KindDouble:
		return math.Float64frombits(le.Uint64(d.Data[8*i:]))
	case table.KindDecimal:
		return unscaled(d.Data[i*decimalWidth(t) : (i+1)*decimalWidth(t)])
	case table.KindTimestamp, table.KindTimestampNTZ, table.KindIntervalDayTime:
		return instant{int64(le.Uint64(d.Data[8*i:])), int64(int32(le.Uint32(d.Nanos[4*i:])))}
	case table.KindArray:
		out := []any{}
		for j := off(i); j < off(i+1); j++ {
			out = append(out, columnCell(d.Children[0], t.Children[0].Type, j))
		}
		return out
	case table.KindMap:
		out := [][2]any{}
		for j := off(i); j < off(i+1); j++ {
			out = append(out, [2]any{columnCell(d.Children[0], t.Children[0].Type, j), columnCell(d.Children[1], t.Children[1].Type, j)})
		}
		return out
	case table.KindStruct:
		out := make([]any, len(t.Children))
		for k := range out {
			out[k] = columnCell(d.Children[k], t.Children[k].Type, i)
		}
		return out
	default:
		return string(d.Data[off(i):off(i+1)])
	}
}

func unscaled(le []byte) *big.Int {
	n := new(big.Int)
	for _, b := range slices.Backward(le) {
		n.Lsh(n, 8).Or(n, big.NewInt(int64(b)))
	}
	if le[len(le)-1]&0x80 != 0 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(le))))
	}
	return n
}

// checkLengths holds the buffers against "no padding": exact lengths, offsets from 0.
func checkLengths(t *testing.T, name string, d *sluicev1.ColumnData, typ table.Type, n int) {
	t.Helper()
	want := map[table.Kind]int{
		table.KindBoolean: (n + 7) / 8, table.KindTinyint: n, table.KindSmallint: 2 * n, table.KindInt: 4 * n,
		table.KindDate: 4 * n, table.KindIntervalYearMonth: 4 * n, table.KindFloat: 4 * n, table.KindBigint: 8 * n,
		table.KindDouble: 8 * n, table.KindDatetime: 8 * n, table.KindTimestamp: 8 * n, table.KindTimestampNTZ: 8 * n,
		table.KindIntervalDayTime: 8 * n, table.KindDecimal: decimalWidth(typ) * n,
	}
	if w, ok := want[typ.Kind]; ok && len(d.Data) != w {
		t.Errorf("%s: data of %d bytes for %d values of %s, want %d", name, len(d.Data), n, typ, w)
	}
	if len(d.Validity) != 0 && len(d.Validity) != (n+7)/8 {
		t.Errorf("%s: validity of %d bytes for %d values", name, len(d.Validity), n)
	}
	if len(d.Offsets) > 0 {
		if len(d.Offsets) != 4*(n+1) || binary.LittleEndian.Uint32(d.Offsets) != 0 {
			t.Errorf("%s: offsets of %d bytes for %d values, first %x", name, len(d.Offsets), n, d.Offsets[:4])
		}
		n = int(binary.LittleEndian.Uint32(d.Offsets[len(d.Offsets)-4:]))
	}
	for i, c := range d.Children {
		checkLengths(t, name, c, typ.Children[i].Type, n)
	}
}

// rowCells reads the row form.
func rowCells(cols []table.Column, out *Out) [][]any {
	rows := make([][]any, len(out.List.Rows))
	for i, row := range out.List.Rows {
		rows[i] = make([]any, len(cols))
		for k, c := range cols {
			rows[i][k] = valueCell(row.Values[k], c.Type)
		}
	}
	return rows
}

func valueCell(v *sluicev1.Value, t table.Type) any {
	switch k := v.Kind.(type) {
	case nil:
		return nil
	case *sluicev1.Value_Boolean:
		return k.Boolean
	case *sluicev1.Value_Integer:
		return k.Integer
	case *sluicev1.Value_Months:
		return int64(k.Months)
	case *sluicev1.Value_Number:
		return k.Number
	case *sluicev1.Value_Text:
		return k.Text
	case *sluicev1.Value_Binary:
		return string(k.Binary)
	case *sluicev1.Value_Decimal:
		r, ok := new(big.Rat).SetString(k.Decimal)
		if !ok {
			return k.Decimal
		}
		r.Mul(r, new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(t.Scale)), nil)))
		return r.Num()
	case *sluicev1.Value_Date:
		return daysOf(k.Date)
	case *sluicev1.Value_Instant:
		if t.Kind == table.KindDatetime {
			return k.Instant.Seconds*1000 + int64(k.Instant.Nanos)/1e6
		}
		return instant{k.Instant.Seconds, int64(k.Instant.Nanos)}
	case *sluicev1.Value_Interval:
		d := instant{k.Interval.Seconds, int64(k.Interval.Nanos)}
		if d.nano < 0 {
			d = instant{d.sec - 1, d.nano + 1e9}
		}
		return d
	case *sluicev1.Value_List:
		out := []any{}
		for _, e := range k.List.Values {
			out = append(out, valueCell(e, t.Children[0].Type))
		}
		return out
	case *sluicev1.Value_Map:
		out := [][2]any{}
		for _, e := range k.Map.Entries {
			out = append(out, [2]any{valueCell(e.Key, t.Children[0].Type), valueCell(e.Value, t.Children[1].Type)})
		}
		return out
	case *sluicev1.Value_Record:
		out := make([]any, len(t.Children))
		for i := range out {
			out[i] = valueCell(k.Record.Fields[i], t.Children[i].Type)
		}
		return out
	}
	panic(fmt.Sprintf("no test reader for %T", v.Kind))
}
