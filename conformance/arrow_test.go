package conformance

import (
	"bytes"
	"math/big"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/decimal256"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
)

// pairType is struct<seconds, nanos>, Arrow's form of times that int64 nanoseconds cannot hold, and of intervals.
var pairType = arrow.StructOf(
	arrow.Field{Name: "seconds", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
	arrow.Field{Name: "nanos", Type: arrow.PrimitiveTypes.Int32, Nullable: true},
)

// arrowType is the first Arrow entry of docs/api.md 4.2; with pairs, TIMESTAMPs are structs.
func arrowType(t *sluicev1.DataType, pairs bool) arrow.DataType {
	child := func(i int) arrow.DataType { return arrowType(t.GetChildren()[i].GetType(), pairs) }
	switch t.GetKind() {
	case sluicev1.TypeKind_TYPE_KIND_BOOLEAN:
		return arrow.FixedWidthTypes.Boolean
	case sluicev1.TypeKind_TYPE_KIND_TINYINT:
		return arrow.PrimitiveTypes.Int8
	case sluicev1.TypeKind_TYPE_KIND_SMALLINT:
		return arrow.PrimitiveTypes.Int16
	case sluicev1.TypeKind_TYPE_KIND_INT, sluicev1.TypeKind_TYPE_KIND_INTERVAL_YEAR_MONTH:
		return arrow.PrimitiveTypes.Int32
	case sluicev1.TypeKind_TYPE_KIND_BIGINT:
		return arrow.PrimitiveTypes.Int64
	case sluicev1.TypeKind_TYPE_KIND_FLOAT:
		return arrow.PrimitiveTypes.Float32
	case sluicev1.TypeKind_TYPE_KIND_DOUBLE:
		return arrow.PrimitiveTypes.Float64
	case sluicev1.TypeKind_TYPE_KIND_DECIMAL:
		if decimalWidth(t) == 16 {
			return &arrow.Decimal128Type{Precision: t.GetPrecision(), Scale: t.GetScale()}
		}
		return &arrow.Decimal256Type{Precision: t.GetPrecision(), Scale: t.GetScale()}
	case sluicev1.TypeKind_TYPE_KIND_STRING, sluicev1.TypeKind_TYPE_KIND_CHAR, sluicev1.TypeKind_TYPE_KIND_VARCHAR, sluicev1.TypeKind_TYPE_KIND_JSON:
		return arrow.BinaryTypes.String
	case sluicev1.TypeKind_TYPE_KIND_BINARY:
		return arrow.BinaryTypes.Binary
	case sluicev1.TypeKind_TYPE_KIND_DATE:
		return arrow.FixedWidthTypes.Date32
	case sluicev1.TypeKind_TYPE_KIND_DATETIME:
		return arrow.FixedWidthTypes.Timestamp_ms
	case sluicev1.TypeKind_TYPE_KIND_TIMESTAMP, sluicev1.TypeKind_TYPE_KIND_TIMESTAMP_NTZ:
		if pairs {
			return pairType
		}
		if t.GetKind() == sluicev1.TypeKind_TYPE_KIND_TIMESTAMP_NTZ {
			return &arrow.TimestampType{Unit: arrow.Nanosecond}
		}
		return arrow.FixedWidthTypes.Timestamp_ns
	case sluicev1.TypeKind_TYPE_KIND_INTERVAL_DAY_TIME:
		return pairType
	case sluicev1.TypeKind_TYPE_KIND_ARRAY:
		return arrow.ListOf(child(0))
	case sluicev1.TypeKind_TYPE_KIND_MAP:
		return arrow.MapOf(child(0), child(1))
	case sluicev1.TypeKind_TYPE_KIND_STRUCT:
		var fields []arrow.Field
		for i, c := range t.GetChildren() {
			fields = append(fields, arrow.Field{Name: c.GetName(), Type: child(i), Nullable: true})
		}
		return arrow.StructOf(fields...)
	}
	panic("type " + t.GetText())
}

func arrowSchema(columns []*sluicev1.Column, pairs bool) *arrow.Schema {
	var fields []arrow.Field
	for _, c := range columns {
		fields = append(fields, arrow.Field{Name: c.GetName(), Type: arrowType(c.GetType(), pairs), Nullable: true})
	}
	return arrow.NewSchema(fields, nil)
}

// arrowMessages is rows as the API takes them: a Schema message and one RecordBatch message.
func arrowMessages(t *testing.T, columns []*sluicev1.Column, rows []*sluicev1.Row, pairs bool) (schema, batch []byte) {
	t.Helper()
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	s := arrowSchema(columns, pairs)
	builder := array.NewRecordBuilder(mem, s)
	defer builder.Release()
	for _, r := range rows {
		for c, v := range r.GetValues() {
			appendArrow(builder.Field(c), columns[c].GetType(), v)
		}
	}
	rec := builder.NewRecordBatch()
	defer rec.Release()
	empty, full := ipcStream(t, s, nil), ipcStream(t, s, rec)
	const end = 8 // the end-of-stream marker
	schema = empty[:len(empty)-end]
	return schema, full[len(schema) : len(full)-end]
}

func ipcStream(t *testing.T, s *arrow.Schema, rec arrow.RecordBatch) []byte {
	t.Helper()
	var b bytes.Buffer
	w := ipc.NewWriter(&b, ipc.WithSchema(s))
	if rec != nil {
		if err := w.Write(rec); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func appendArrow(b array.Builder, t *sluicev1.DataType, v *sluicev1.Value) {
	if v.GetKind() == nil {
		b.AppendNull()
		return
	}
	switch b := b.(type) {
	case *array.BooleanBuilder:
		b.Append(v.GetBoolean())
	case *array.Int8Builder:
		b.Append(int8(v.GetInteger()))
	case *array.Int16Builder:
		b.Append(int16(v.GetInteger()))
	case *array.Int32Builder:
		if t.GetKind() == sluicev1.TypeKind_TYPE_KIND_INTERVAL_YEAR_MONTH {
			b.Append(v.GetMonths())
			return
		}
		b.Append(int32(v.GetInteger()))
	case *array.Int64Builder:
		b.Append(v.GetInteger())
	case *array.Float32Builder:
		b.Append(float32(v.GetNumber()))
	case *array.Float64Builder:
		b.Append(v.GetNumber())
	case *array.Decimal128Builder:
		b.Append(decimal128.FromBigInt(signed(unscaled(v.GetDecimal(), 16))))
	case *array.Decimal256Builder:
		b.Append(decimal256.FromBigInt(signed(unscaled(v.GetDecimal(), 32))))
	case *array.StringBuilder:
		b.Append(v.GetText())
	case *array.BinaryBuilder:
		b.Append(v.GetBinary())
	case *array.Date32Builder:
		b.Append(arrow.Date32(daysOf(v.GetDate())))
	case *array.TimestampBuilder:
		i := v.GetInstant()
		if b.Type().(*arrow.TimestampType).Unit == arrow.Millisecond {
			b.Append(arrow.Timestamp(i.GetSeconds()*1000 + int64(i.GetNanos())/1e6))
			return
		}
		b.Append(arrow.Timestamp(i.GetSeconds()*1e9 + int64(i.GetNanos())))
	case *array.MapBuilder:
		b.Append(true)
		for _, e := range v.GetMap().GetEntries() {
			appendArrow(b.KeyBuilder(), t.GetChildren()[0].GetType(), e.GetKey())
			appendArrow(b.ItemBuilder(), t.GetChildren()[1].GetType(), e.GetValue())
		}
	case *array.ListBuilder:
		b.Append(true)
		for _, e := range v.GetList().GetValues() {
			appendArrow(b.ValueBuilder(), t.GetChildren()[0].GetType(), e)
		}
	case *array.StructBuilder:
		b.Append(true)
		appendStruct(b, t, v)
	default:
		panic("builder of " + t.GetText())
	}
}

func appendStruct(b *array.StructBuilder, t *sluicev1.DataType, v *sluicev1.Value) {
	var seconds int64
	var nanos int32
	switch {
	case v.GetInstant() != nil:
		seconds, nanos = v.GetInstant().GetSeconds(), v.GetInstant().GetNanos()
	case v.GetInterval() != nil:
		seconds, nanos = floored(v)
	default:
		for i, f := range v.GetRecord().GetFields() {
			appendArrow(b.FieldBuilder(i), t.GetChildren()[i].GetType(), f)
		}
		return
	}
	b.FieldBuilder(0).(*array.Int64Builder).Append(seconds)
	b.FieldBuilder(1).(*array.Int32Builder).Append(nanos)
}

func signed(le []byte) *big.Int {
	n, _ := new(big.Int).SetString(decimalText(le, 0), 10)
	return n
}

// arrowRows decodes a Schema message and RecordBatch messages with arrow-go's own reader.
func arrowRows(t *testing.T, columns []*sluicev1.Column, schema []byte, batches [][]byte) []*sluicev1.Row {
	t.Helper()
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	data := append([]byte(nil), schema...)
	for _, b := range batches {
		data = append(data, b...)
	}
	r, err := ipc.NewReader(bytes.NewReader(data), ipc.WithAllocator(mem))
	if err != nil {
		t.Fatalf("read arrow: %v", err)
	}
	defer r.Release()
	var rows []*sluicev1.Row
	for r.Next() {
		rec := r.RecordBatch()
		for i := range int(rec.NumRows()) {
			row := &sluicev1.Row{}
			for c, column := range columns {
				row.Values = append(row.Values, arrowValue(rec.Column(c), column.GetType(), i))
			}
			rows = append(rows, row)
		}
	}
	if r.Err() != nil {
		t.Fatalf("read arrow: %v", r.Err())
	}
	return rows
}

func arrowValue(a arrow.Array, t *sluicev1.DataType, i int) *sluicev1.Value {
	if a.IsNull(i) {
		return null()
	}
	child := func(n int) *sluicev1.DataType { return t.GetChildren()[n].GetType() }
	switch a := a.(type) {
	case *array.Boolean:
		return boolean(a.Value(i))
	case *array.Int8:
		return integer(int64(a.Value(i)))
	case *array.Int16:
		return integer(int64(a.Value(i)))
	case *array.Int32:
		if t.GetKind() == sluicev1.TypeKind_TYPE_KIND_INTERVAL_YEAR_MONTH {
			return months(a.Value(i))
		}
		return integer(int64(a.Value(i)))
	case *array.Int64:
		return integer(a.Value(i))
	case *array.Float32:
		return number(float64(a.Value(i)))
	case *array.Float64:
		return number(a.Value(i))
	case *array.Decimal128:
		return decimal(scaledText(a.Value(i).BigInt(), int(t.GetScale())))
	case *array.Decimal256:
		return decimal(scaledText(a.Value(i).BigInt(), int(t.GetScale())))
	case *array.String:
		return text(a.Value(i))
	case *array.Binary:
		return binaryOf(a.Value(i)...)
	case *array.Date32:
		return dateOf(int32(a.Value(i)))
	case *array.Timestamp:
		n := int64(a.Value(i))
		if a.DataType().(*arrow.TimestampType).Unit == arrow.Millisecond {
			return millis(n)
		}
		s := n / 1e9
		if n%1e9 < 0 {
			s--
		}
		return instant(s, int32(n-s*1e9))
	case *array.Map:
		from, to := a.ValueOffsets(i)
		var entries []*sluicev1.Value
		for e := int(from); e < int(to); e++ {
			entries = append(entries, arrowValue(a.Keys(), child(0), e), arrowValue(a.Items(), child(1), e))
		}
		return mapping(entries...)
	case *array.List:
		from, to := a.ValueOffsets(i)
		var elements []*sluicev1.Value
		for e := int(from); e < int(to); e++ {
			elements = append(elements, arrowValue(a.ListValues(), child(0), e))
		}
		return list(elements...)
	case *array.Struct:
		return structValue(a, t, i)
	}
	panic("array of " + a.DataType().String())
}

func structValue(a *array.Struct, t *sluicev1.DataType, i int) *sluicev1.Value {
	if t.GetKind() == sluicev1.TypeKind_TYPE_KIND_STRUCT {
		var fields []*sluicev1.Value
		for f := range a.NumField() {
			fields = append(fields, arrowValue(a.Field(f), t.GetChildren()[f].GetType(), i))
		}
		return record(fields...)
	}
	seconds, nanos := a.Field(0).(*array.Int64).Value(i), a.Field(1).(*array.Int32).Value(i)
	if t.GetKind() == sluicev1.TypeKind_TYPE_KIND_INTERVAL_DAY_TIME {
		return interval(seconds, nanos)
	}
	return instant(seconds, nanos)
}
