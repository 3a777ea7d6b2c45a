//go:build cgo && duckdb_arrow

package sql

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"
	duckdb "github.com/duckdb/duckdb-go/v2"

	"github.com/sluice-io/sluice/emulator/internal/types"
)

// oracle answers queries over DuckDB's own tables, filled from the same rows by another way:
// DuckDB's driver and its own reader of Arrow streams, one thread, no filter pushed down.
type oracle struct {
	conn  driver.Conn
	arrow *duckdb.Arrow
}

func newOracle(t *testing.T) *oracle {
	t.Helper()
	connector, err := duckdb.NewConnector("", nil)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := connector.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	a, err := duckdb.NewArrowFromConn(conn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(conn.Close(), connector.Close()); err != nil {
			t.Error(err)
		}
	})
	o := &oracle{conn, a}
	o.exec(t, "SET TimeZone = 'UTC'")
	o.exec(t, "SET default_null_order = 'nulls_first_on_asc_last_on_desc'")
	o.exec(t, "SET ieee_floating_point_ops = false")
	return o
}

func (o *oracle) exec(t *testing.T, statement string) {
	t.Helper()
	if _, err := o.conn.(driver.ExecerContext).ExecContext(context.Background(), statement, nil); err != nil {
		t.Fatal(err)
	}
}

// load makes a table of wide batches.
func (o *oracle) load(t *testing.T, name string, columns []Column, batches []arrow.RecordBatch, u unit) {
	t.Helper()
	fields := make([]arrow.Field, len(columns))
	for i, c := range columns {
		fields[i] = arrow.Field{Name: c.Name, Type: duckArrow(c.Type, u), Nullable: true}
	}
	schema := arrow.NewSchema(fields, nil)
	var converted []arrow.RecordBatch
	for _, b := range batches {
		out, err := convertBatch(b, schema, func(i int, data arrow.ArrayData) (arrow.ArrayData, error) { return toDuck(data, columns[i].Type, u) })
		if err != nil {
			t.Fatal(err)
		}
		defer out.Release()
		converted = append(converted, out)
	}
	reader, err := array.NewRecordReader(schema, converted)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Release()
	release, err := o.arrow.RegisterView(reader, "v")
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	o.exec(t, "CREATE OR REPLACE TABLE "+name+" AS SELECT * FROM v")
	o.exec(t, "DROP VIEW v")
}

// rows answers a query, in the types of columns.
func (o *oracle) rows(query string, columns []Column) ([]string, error) {
	reader, err := o.arrow.QueryContext(context.Background(), query)
	if err != nil {
		return nil, err
	}
	defer reader.Release()
	var out []string
	for reader.Next() {
		wide, err := wideBatch(reader.RecordBatch(), columns)
		if err != nil {
			return nil, err
		}
		out = append(out, rowTexts(wide)...)
		wide.Release()
	}
	return out, reader.Err()
}

func rowTexts(b arrow.RecordBatch) []string {
	out := make([]string, b.NumRows())
	for i := range out {
		var row []string
		for _, c := range b.Columns() {
			row = append(row, c.ValueStr(i))
		}
		out[i] = strings.Join(row, "|")
	}
	return out
}

// unit is the form in which a table's timestamps go to DuckDB.
type unit int

const (
	nanos unit = iota
	micros
)

// duckArrow is the Arrow type in which values of t go to DuckDB.
func duckArrow(t types.Type, u unit) arrow.DataType {
	switch t.Kind {
	case types.Timestamp, types.TimestampNTZ:
		if u == micros {
			return &arrow.TimestampType{Unit: arrow.Microsecond}
		}
		return &arrow.TimestampType{Unit: arrow.Nanosecond}
	case types.IntervalDayTime:
		return dayTimeStruct
	case types.IntervalYearMonth:
		return yearMonthStruct
	case types.Decimal:
		p, s := t.PrecisionScale()
		return &arrow.Decimal128Type{Precision: int32(min(p, maxDuckDigits)), Scale: int32(s)}
	case types.Array:
		return arrow.ListOf(duckArrow(t.Children[0].Type, u))
	case types.Map:
		return arrow.MapOf(duckArrow(t.Children[0].Type, u), duckArrow(t.Children[1].Type, u))
	case types.Struct:
		fields := make([]arrow.Field, len(t.Children))
		for i, c := range t.Children {
			fields[i] = arrow.Field{Name: c.Name, Type: duckArrow(c.Type, u), Nullable: true}
		}
		return arrow.StructOf(fields...)
	default:
		return t.Arrow(types.LayoutWide)
	}
}

// toDuck converts values of t from the wide layout. The caller releases the result.
func toDuck(data arrow.ArrayData, t types.Type, u unit) (arrow.ArrayData, error) {
	target := duckArrow(t, u)
	switch t.Kind {
	case types.Timestamp, types.TimestampNTZ:
		return joinSecNano(data, target, u)
	case types.IntervalYearMonth:
		months := array.NewData(arrow.PrimitiveTypes.Int32, data.Offset()+data.Len(), []*memory.Buffer{nil, data.Buffers()[1]}, nil, 0, 0)
		defer months.Release()
		return rebuilt(data, target, data.Buffers()[:1], months), nil
	case types.Decimal:
		if p, _ := t.PrecisionScale(); p > maxDuckDigits {
			return narrowDecimal(data, target)
		}
	case types.Array, types.Map, types.Struct:
		return convertChildren(data, target, childTypes(t), func(child arrow.ArrayData, ct types.Type) (arrow.ArrayData, error) {
			return toDuck(child, ct, u)
		})
	default:
	}
	return rebuilt(data, target, data.Buffers(), data.Children()...), nil
}

// joinSecNano turns (seconds, nanoseconds) into one number.
func joinSecNano(data arrow.ArrayData, target arrow.DataType, u unit) (arrow.ArrayData, error) {
	s := array.NewStructData(data)
	defer s.Release()
	secs, nano := s.Field(0).(*array.Int64), s.Field(1).(*array.Int32)
	b := array.NewInt64Builder(memory.DefaultAllocator)
	defer b.Release()
	b.Reserve(s.Len())
	for i := range s.Len() {
		if s.IsNull(i) {
			b.UnsafeAppendBoolToBitmap(false)
			continue
		}
		v, err := joined(secs.Value(i), nano.Value(i), u)
		if err != nil {
			return nil, err
		}
		b.UnsafeAppend(v)
	}
	return typed(b, target), nil
}

func joined(sec int64, nano int32, u unit) (int64, error) {
	perSecond, rest := nanosPerSecond, int64(nano)
	if u == micros {
		if nano%1000 != 0 {
			return 0, errors.New("too fine")
		}
		perSecond, rest = nanosPerSecond/1000, int64(nano)/1000
	}
	v := sec * perSecond
	sum := v + rest
	if v/perSecond != sec || sum < v {
		return 0, errNanos
	}
	return sum, nil
}

// typed finishes a builder of 64-bit values under another type of the same width.
func typed(b *array.Int64Builder, target arrow.DataType) arrow.ArrayData {
	arr := b.NewInt64Array()
	defer arr.Release()
	return rebuilt(arr.Data(), target, arr.Data().Buffers())
}

func narrowDecimal(data arrow.ArrayData, target arrow.DataType) (arrow.ArrayData, error) {
	arr := array.NewDecimal256Data(data)
	defer arr.Release()
	dt := target.(*arrow.Decimal128Type)
	b := array.NewDecimal128Builder(memory.DefaultAllocator, dt)
	defer b.Release()
	for i := range arr.Len() {
		if arr.IsNull(i) {
			b.AppendNull()
			continue
		}
		v := arr.Value(i)
		if !v.FitsInPrecision(dt.Precision) {
			return nil, &Error{Code: codeExecution, Message: fmt.Sprintf("a decimal of more than %d digits cannot take part in a query: %s", maxDuckDigits, v.ToString(dt.Scale))}
		}
		words := v.Array()
		b.Append(decimal128.New(int64(words[1]), words[0]))
	}
	out := b.NewDecimal128Array()
	defer out.Release()
	out.Data().Retain()
	return out.Data(), nil
}

// errNanos marks a timestamp that int64 nanoseconds cannot hold.
var errNanos = errors.New("timestamp outside the years 1677 to 2262")
