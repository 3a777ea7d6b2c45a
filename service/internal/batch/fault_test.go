package batch_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/google/go-cmp/cmp"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/batch"
	"github.com/sluice-io/sluice/service/internal/table"
)

func unscaled(t *testing.T, s string) *big.Int {
	z, ok := new(big.Int).SetString(strings.Replace(s, ".", "", 1), 10)
	if !ok {
		t.Fatalf("bad decimal %q", s)
	}
	return z
}

// Values that an Arrow batch can hold and a table cannot are found in place, with row and column; what is NULL or
// belongs to no row does not count.
func TestPassthroughFindsWrongValues(t *testing.T) {
	long := strings.Repeat("x", 8<<20)
	cases := []struct {
		typ    string
		arrow  arrow.DataType
		values []any
		rows   []int
		reason apierr.Reason
	}{
		{"bigint", nil, []any{int64(1), int64(math.MinInt64), nil}, []int{1}, apierr.TypeMismatch},
		{"bigint", nil, []any{int64(math.MinInt64 + 1), nil}, nil, 0},
		{"date", nil, []any{int64(-719163), int64(2932897), int64(-719162), int64(2932896)}, []int{0, 1}, apierr.TypeMismatch},
		{"datetime", nil, []any{int64(-62135596800001), int64(253402300800000), int64(253402300799999)}, []int{0, 1}, apierr.TypeMismatch},
		{"string", arrow.BinaryTypes.Binary, []any{"ok", "\xff", "é"}, []int{1}, apierr.TypeMismatch},
		{"string", arrow.BinaryTypes.Binary, []any{"\xc3", "\xa9"}, []int{0, 1}, apierr.TypeMismatch}, // only together valid
		{"array<string>", arrow.ListOf(arrow.BinaryTypes.Binary), []any{[]any{"a"}, nil, []any{"b", "\xff", "\xfe"}}, []int{2, 2}, apierr.TypeMismatch},
		{"varchar(2)", nil, []any{"中文", "abc", "中文字", "", nil}, []int{1, 2}, apierr.TypeMismatch},
		{"char(2)", nil, []any{"abc"}, []int{0}, apierr.TypeMismatch},
		{"json", nil, []any{"{}", "{", nil}, []int{1}, apierr.TypeMismatch},
		{"decimal(3,1)", nil, []any{big.NewInt(999), big.NewInt(1000), big.NewInt(-1000), nil}, []int{1, 2}, apierr.TypeMismatch},
		{"decimal(38,0)", nil, []any{new(big.Int).Lsh(big.NewInt(-1), 127)}, []int{0}, apierr.TypeMismatch},
		{"map<string,date>", nil, []any{pairs{{"a", int64(0)}}, pairs{{"a", nil}, {"b", int64(9e8)}}}, []int{1}, apierr.TypeMismatch},
		{"struct<a:char(1),b:array<char(1)>>", nil, []any{nil, []any{"ab", []any{"a", "cd"}}}, []int{1, 1}, apierr.TypeMismatch},
		{"string", nil, []any{long, long + "x"}, []int{1}, apierr.TooLarge},
		{"binary", nil, []any{long, long + "x"}, []int{1}, apierr.TooLarge},
	}
	for _, c := range cases {
		cols := []table.Column{{Name: "x", Type: table.MustParseType(c.typ)}}
		schema := batch.ArrowSchema(cols, batch.SchemaOptions{})
		if c.arrow != nil {
			schema = arrow.NewSchema([]arrow.Field{{Name: "x", Type: c.arrow, Nullable: true}}, nil)
		}
		data := make(rows, len(c.values))
		for i, v := range c.values {
			data[i] = []any{v}
		}
		rec := arrowBatch(schema, cols, data)
		schemaMessage, body := arrowMessages(t, rec)
		rec.Release()
		l := compile(t, cols, batch.Definition{ArrowSchema: schemaMessage}, 0)
		if !l.Passthrough() {
			t.Errorf("%s is converted", c.typ)
		}
		_, err := l.Check(batch.Incoming{Rows: int32(len(data)), Arrow: cutPayload(body, 1000)})
		if got := apierr.ReasonOf(err); got != c.reason {
			t.Errorf("%s: error %v, want %v", c.typ, err, c.reason)
			continue
		}
		var got []int
		if err != nil {
			found, total := apierr.From(err).Rows()
			if total != len(c.rows) {
				t.Errorf("%s: %d row errors, want %d", c.typ, total, len(c.rows))
			}
			for _, f := range found {
				got = append(got, f.Row)
				if f.Column != "x" || f.Reason != c.reason || f.Message == "" {
					t.Errorf("%s: row error %+v", c.typ, f)
				}
			}
		}
		if diff := cmp.Diff(c.rows, got); diff != "" {
			t.Errorf("%s rows:\n%s", c.typ, diff)
		}
	}
}

// What a NULL's place holds, or an element of no list, is not looked at.
func TestGarbageUnderNullIsAccepted(t *testing.T) {
	cols := columns("string", "struct<a:date>")
	bitmap := func(b byte) *memory.Buffer { return memory.NewBufferBytes([]byte{b}) }
	buf := func(b ...byte) *memory.Buffer { return memory.NewBufferBytes(b) }
	text := array.NewData(arrow.BinaryTypes.String, 2, []*memory.Buffer{bitmap(1), buf(0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0), buf('a', 0xff)}, nil, 1, 0)
	days := array.NewData(arrow.FixedWidthTypes.Date32, 2, []*memory.Buffer{nil, buf(1, 0, 0, 0, 0, 0, 0, 0x7f)}, nil, 0, 0)
	st := array.NewData(arrow.StructOf(arrow.Field{Name: "a", Type: arrow.FixedWidthTypes.Date32, Nullable: true}), 2, []*memory.Buffer{bitmap(1)}, []arrow.ArrayData{days}, 1, 0)
	schema := batch.ArrowSchema(cols, batch.SchemaOptions{})
	rec := array.NewRecordBatch(schema, []arrow.Array{array.MakeFromData(text), array.MakeFromData(st)}, 2)
	defer rec.Release()
	_, body := arrowMessages(t, rec)
	c := check(t, compile(t, cols, batch.Definition{}, 0), batch.Incoming{Rows: 2, Arrow: wholePayload(body)})
	if diff := cmp.Diff(rows{{"a", []any{int64(1)}}, {nil, nil}}, checkedRows(t, cols, c)); diff != "" {
		t.Error(diff)
	}
}

func TestNotNull(t *testing.T) {
	cols := columns("bigint", "string")
	cols[1].NotNull = true
	free := columns("bigint", "string")
	data := rows{{nil, "a"}, {int64(1), nil}, {nil, nil}}
	rec := arrowBatch(batch.ArrowSchema(free, batch.SchemaOptions{}), cols, data)
	defer rec.Release()
	_, body := arrowMessages(t, rec)
	for name, in := range map[string]batch.Incoming{
		"arrow":   {Rows: 3, Arrow: wholePayload(body)},
		"columns": {Rows: 3, Columns: columnBatch(cols, data)},
		"rows":    {Rows: 3, List: rowList(cols, data)},
	} {
		_, err := compile(t, cols, batch.Definition{}, 0).Check(in)
		found, total := apierr.From(err).Rows()
		if apierr.ReasonOf(err) != apierr.TypeMismatch || total != 2 || found[0].Row != 1 || found[0].Column != "c1" || found[1].Row != 2 {
			t.Errorf("%s: %v, rows %+v", name, err, found)
		}
	}
}

// The first hundred wrong values are listed, in row order over all columns; all are counted.
func TestRowErrorsAreCappedInRowOrder(t *testing.T) {
	cols := columns("char(1)", "char(1)")
	var data rows
	for range 150 {
		data = append(data, []any{"xx", "yy"})
	}
	for name, in := range map[string]batch.Incoming{
		"columns": {Rows: 150, Columns: columnBatch(cols, data)},
		"rows":    {List: rowList(cols, data)},
	} {
		_, err := compile(t, cols, batch.Definition{}, 0).Check(in)
		found, total := apierr.From(err).Rows()
		if len(found) != 100 || total != 300 {
			t.Fatalf("%s: %d of %d row errors, want 100 of 300", name, len(found), total)
		}
		for i, f := range found {
			if f.Row != i/2 || f.Column != fmt.Sprintf("c%d", i%2) {
				t.Fatalf("%s: error %d is %+v", name, i, f)
			}
		}
	}
}

func TestBadShapes(t *testing.T) {
	cols := columns("bigint", "string", "array<int>")
	data := rows{{int64(1), "a", []any{int64(1)}}, {int64(2), "bc", nil}}
	rec := arrowBatch(batch.ArrowSchema(cols, batch.SchemaOptions{}), cols, data)
	defer rec.Release()
	schemaMessage, body := arrowMessages(t, rec)
	damage := func(f func(*sluicev1.ColumnBatch)) *sluicev1.ColumnBatch {
		b := columnBatch(cols, data)
		f(b)
		return b
	}
	short := rowList(cols, data)
	short.Rows[1].Values = short.Rows[1].Values[:2]
	type in = batch.Incoming
	type cb = sluicev1.ColumnBatch
	for name, c := range map[string]struct {
		in     batch.Incoming
		reason apierr.Reason
	}{
		"rows differ, arrow":      {in{Rows: 3, Arrow: wholePayload(body)}, apierr.BadValues},
		"rows differ, list":       {in{Rows: 3, List: rowList(cols, data)}, apierr.BadValues},
		"rows differ, columns":    {in{Rows: 3, Columns: columnBatch(cols, data)}, apierr.BadValues},
		"negative rows":           {in{Rows: -1, Columns: columnBatch(cols, nil)}, apierr.BadArgument},
		"too many rows":           {in{Rows: 262145, Columns: columnBatch(cols, data)}, apierr.TooLarge},
		"nothing":                 {in{}, apierr.BadArgument},
		"two payloads":            {in{Rows: 2, Columns: columnBatch(cols, data), List: rowList(cols, data)}, apierr.BadArgument},
		"short row":               {in{List: short}, apierr.BadValues},
		"garbage":                 {in{Rows: 2, Arrow: wholePayload(bytes.Repeat([]byte{0xff}, 64))}, apierr.BadArgument},
		"schema message":          {in{Rows: 2, Arrow: wholePayload(schemaMessage)}, apierr.BadArgument},
		"cut body":                {in{Rows: 2, Arrow: wholePayload(body[:len(body)-8])}, apierr.BadArgument},
		"trailing bytes":          {in{Rows: 2, Arrow: wholePayload(append(bytes.Clone(body), make([]byte, 8)...))}, apierr.BadArgument},
		"two messages":            {in{Rows: 2, Arrow: wholePayload(append(bytes.Clone(body), body...))}, apierr.BadArgument},
		"end mark":                {in{Rows: 2, Arrow: wholePayload([]byte("\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"))}, apierr.BadArgument},
		"missing column":          {in{Rows: 2, Columns: damage(func(b *cb) { b.Columns = b.Columns[:2] })}, apierr.BadValues},
		"long validity":           {in{Rows: 2, Columns: damage(func(b *cb) { b.Columns[0].Validity = []byte{1, 2} })}, apierr.BadValues},
		"short data":              {in{Rows: 2, Columns: damage(func(b *cb) { b.Columns[0].Data = b.Columns[0].Data[1:] })}, apierr.BadValues},
		"offsets fall":            {in{Rows: 2, Columns: damage(func(b *cb) { b.Columns[1].Offsets[4] = 9 })}, apierr.BadValues},
		"first offset":            {in{Rows: 2, Columns: damage(func(b *cb) { b.Columns[1].Offsets[0] = 1 })}, apierr.BadValues},
		"no offsets":              {in{Rows: 2, Columns: damage(func(b *cb) { b.Columns[1].Offsets = nil })}, apierr.BadValues},
		"offsets without meaning": {in{Rows: 2, Columns: damage(func(b *cb) { b.Columns[0].Offsets = make([]byte, 12) })}, apierr.BadValues},
		"no children":             {in{Rows: 2, Columns: damage(func(b *cb) { b.Columns[2].Children = nil })}, apierr.BadValues},
		"long child":              {in{Rows: 2, Columns: damage(func(b *cb) { b.Columns[2].Children[0].Data = make([]byte, 8) })}, apierr.BadValues},
	} {
		released := false
		if c.in.Arrow.Len() > 0 {
			c.in.Arrow = batch.NewPayload(func() { released = true }, c.in.Arrow.Pieces()...)
		}
		l := compile(t, cols, batch.Definition{}, 0)
		_, err := l.Check(c.in)
		if got := apierr.ReasonOf(err); got != c.reason {
			t.Errorf("%s: error %v, want %v", name, err, c.reason)
		}
		if released {
			t.Errorf("%s: the payload of a refused batch was released", name)
		}
		if good := check(t, l, batch.Incoming{Rows: 2, Arrow: wholePayload(body)}); good.Rows != 2 {
			t.Errorf("%s: the layout is unusable afterwards", name)
		}
	}
}

// A row of the wrong width is no fault of one column: the message names those that are wanted.
func TestARowOfWrongWidthNamesTheColumns(t *testing.T) {
	cols := columns("bigint", "string")
	list := rowList(cols, rows{{int64(1), "a"}, {int64(2), "b"}})
	list.Rows[1].Values = list.Rows[1].Values[:1]
	_, err := compile(t, cols, batch.Definition{}, 0).Check(batch.Incoming{List: list})
	e := apierr.From(err)
	want := "row 1: 1 values for the columns (" + cols[0].Name + ", " + cols[1].Name + "), which are 2"
	if _, has := e.Metadata()["column"]; e.Reason() != apierr.BadValues || e.Message() != want || has {
		t.Errorf("%v, metadata %v, want %q and no column", err, e.Metadata(), want)
	}
}

func TestCompileRefuses(t *testing.T) {
	s := &table.Schema{Columns: columns("bigint", "string", "timestamp_ntz", "struct<a:int,b:int>"), PartitionColumns: []table.Column{{Name: "dt", Type: table.MustParseType("string")}}}
	strict := &table.Schema{Columns: columns("bigint", "string")}
	strict.Columns[1].NotNull = true
	named := func(names ...string) (d batch.Definition) {
		for _, n := range names {
			d.Columns = append(d.Columns, batch.SentColumn{Name: n})
		}
		return d
	}
	arrows := func(name string, typ arrow.DataType) batch.Definition {
		var buf bytes.Buffer
		w := ipc.NewWriter(&buf, ipc.WithSchema(arrow.NewSchema([]arrow.Field{{Name: name, Type: typ, Nullable: true}}, nil)))
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return batch.Definition{ArrowSchema: buf.Bytes()[:8+binary.LittleEndian.Uint32(buf.Bytes()[4:])]}
	}
	typed := func(name, typ string) batch.Definition {
		p := table.MustParseType(typ)
		return batch.Definition{Columns: []batch.SentColumn{{Name: name, Type: &p}}}
	}
	both := named("c0")
	both.ArrowSchema = arrows("c0", arrow.PrimitiveTypes.Int64).ArrowSchema
	cut := arrows("c0", arrow.PrimitiveTypes.Int64)
	cut.ArrowSchema = cut.ArrowSchema[:len(cut.ArrowSchema)-8]
	fields := func(names ...string) arrow.DataType {
		var f []arrow.Field
		for _, n := range names {
			f = append(f, arrow.Field{Name: n, Type: arrow.PrimitiveTypes.Int32, Nullable: true})
		}
		return arrow.StructOf(f...)
	}
	for name, c := range map[string]struct {
		s      *table.Schema
		d      batch.Definition
		cast   batch.Cast
		reason apierr.Reason
	}{
		"good":                 {s, named("C1", "c0"), 0, 0},
		"unknown":              {s, named("nope"), 0, apierr.BadColumn},
		"twice":                {s, named("c1", "C1"), 0, apierr.BadColumn},
		"partition":            {s, named("DT"), 0, apierr.BadColumn},
		"index out":            {s, batch.Definition{ColumnIndices: []int32{4}}, 0, apierr.BadIndices},
		"index negative":       {s, batch.Definition{ColumnIndices: []int32{-1}}, 0, apierr.BadIndices},
		"index twice":          {s, batch.Definition{ColumnIndices: []int32{1, 1}}, 0, apierr.BadIndices},
		"index count":          {s, batch.Definition{ColumnIndices: []int32{1}, Columns: named("a", "b").Columns}, 0, apierr.BadIndices},
		"both":                 {s, both, 0, apierr.BadArgument},
		"cut schema":           {s, cut, 0, apierr.BadArgument},
		"left out NOT NULL":    {strict, named("c0"), 0, apierr.TypeMismatch},
		"text exact":           {s, typed("c0", "string"), batch.CastExact, apierr.TypeMismatch},
		"text allow":           {s, typed("c0", "string"), batch.CastAllow, 0},
		"list into bigint":     {s, arrows("c0", arrow.ListOf(arrow.PrimitiveTypes.Int64)), 0, apierr.TypeMismatch},
		"dictionary":           {s, arrows("c1", &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}), 0, apierr.TypeUnsupported},
		"time of day":          {s, arrows("c1", arrow.FixedWidthTypes.Time32s), 0, apierr.TypeUnsupported},
		"zone into ntz":        {s, arrows("c2", &arrow.TimestampType{Unit: arrow.Nanosecond, TimeZone: "Asia/Shanghai"}), 0, apierr.TypeMismatch},
		"fields by name":       {s, arrows("c3", fields("B", "a")), batch.CastExact, 0},
		"other fields":         {s, arrows("c3", fields("a", "x")), 0, apierr.TypeMismatch},
		"missing fields":       {s, arrows("c3", fields("a")), 0, apierr.TypeMismatch},
		"run-end encoded":      {s, arrows("c1", arrow.RunEndEncodedOf(arrow.PrimitiveTypes.Int32, arrow.BinaryTypes.String)), 0, apierr.TypeUnsupported},
		"map from list":        {s, arrows("c3", arrow.ListOf(arrow.PrimitiveTypes.Int64)), 0, apierr.TypeMismatch},
		"no columns of any":    {s, batch.Definition{}, 0, 0},
		"nothing in the table": {s, arrows("zz", arrow.Null), 0, apierr.BadColumn},
	} {
		_, err := batch.Compile(c.s, c.d, c.cast, batch.Limits{})
		if got := apierr.ReasonOf(err); got != c.reason {
			t.Errorf("%s: error %v, want %v", name, err, c.reason)
		}
	}
}

// Struct fields are matched by name, not by place.
func TestStructFieldsByName(t *testing.T) {
	cols := columns("struct<a:int,b:int>")
	swapped := columns("struct<b:int,a:int>")
	rec := arrowBatch(batch.ArrowSchema(swapped, batch.SchemaOptions{}), swapped, rows{{[]any{int64(2), int64(1)}}})
	defer rec.Release()
	schemaMessage, body := arrowMessages(t, rec)
	c := check(t, compile(t, cols, batch.Definition{ArrowSchema: schemaMessage}, 0), batch.Incoming{Rows: 1, Arrow: wholePayload(body)})
	if diff := cmp.Diff(rows{{[]any{int64(1), int64(2)}}}, checkedRows(t, cols, c)); diff != "" {
		t.Error(diff)
	}
}

func TestCompressedBodies(t *testing.T) {
	cols := columns("bigint", "string", "array<double>", "timestamp")
	data := rows{}
	for i := range 1000 {
		data = append(data, []any{int64(i), "a text that repeats", []any{1.5, nil}, instant{int64(i), 5}})
	}
	rec := arrowBatch(batch.ArrowSchema(cols, batch.SchemaOptions{}), cols, data)
	defer rec.Release()
	for name, opt := range map[string]ipc.Option{"lz4": ipc.WithLZ4(), "zstd": ipc.WithZstd()} {
		_, body := arrowMessages(t, rec, opt)
		l := compile(t, cols, batch.Definition{}, 0)
		c := check(t, l, batch.Incoming{Rows: 1000, Arrow: cutPayload(body, 777)})
		if diff := cmp.Diff(data, checkedRows(t, cols, c)); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
		c.Release()
		tight, err := batch.Compile(&table.Schema{Columns: cols}, batch.Definition{}, 0, batch.Limits{MaxBatchBytes: 20000})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tight.Check(batch.Incoming{Rows: 1000, Arrow: wholePayload(body)}); !apierr.Is(err, apierr.TooLarge) {
			t.Errorf("%s over the limit: %v", name, err)
		}
	}
}

// A batch of no rows changes nothing and keeps nothing.
func TestNoRows(t *testing.T) {
	cols := columns("bigint", "array<string>", "interval_year_month")
	rec := arrowBatch(batch.ArrowSchema(cols, batch.SchemaOptions{}), cols, nil)
	defer rec.Release()
	_, body := arrowMessages(t, rec)
	released := false
	for name, in := range map[string]batch.Incoming{
		"arrow":   {Arrow: batch.NewPayload(func() { released = true }, body)},
		"columns": {Columns: columnBatch(cols, nil)},
		"list":    {List: &sluicev1.RowList{}},
		"none":    {Columns: &sluicev1.ColumnBatch{}},
	} {
		if c := check(t, compile(t, cols, batch.Definition{}, 0), in); c.Rows != 0 || c.Bytes() != 0 {
			t.Errorf("%s: %+v", name, c)
		}
	}
	if !released {
		t.Error("the payload was kept")
	}
}

// Timestamps beyond int64 nanoseconds turn a layout to records, for good.
func TestFormIsSticky(t *testing.T) {
	cols := columns("array<timestamp>")
	near, far := rows{{[]any{instant{5, 5}, nil}}}, rows{{[]any{instant{-62135596800, 1}}}}
	l := compile(t, cols, batch.Definition{}, 0)
	for i, step := range []struct {
		data rows
		form batch.Form
	}{{near, batch.FormArrow}, {far, batch.FormRecord}, {near, batch.FormRecord}} {
		c := check(t, l, batch.Incoming{Rows: 1, Columns: columnBatch(cols, step.data)})
		if c.Form != step.form || l.Form() != step.form {
			t.Errorf("step %d: form %v, want %v", i, c.Form, step.form)
		}
		if diff := cmp.Diff(step.data, checkedRows(t, cols, c)); diff != "" {
			t.Error(diff)
		}
	}
	if l.Passthrough() {
		t.Error("a layout of records passes Arrow through")
	}
}

func TestRowSizeLimit(t *testing.T) {
	cols := columns("string", "string")
	long := strings.Repeat("y", 8<<20)
	data := rows{{"a", "b"}, {long, long}}
	rec := arrowBatch(batch.ArrowSchema(cols, batch.SchemaOptions{}), cols, data)
	defer rec.Release()
	_, plain := arrowMessages(t, rec)
	_, packed := arrowMessages(t, rec, ipc.WithZstd())
	for name, in := range map[string]batch.Incoming{
		"columns": {Rows: 2, Columns: columnBatch(cols, data)},
		"rows":    {List: rowList(cols, data)},
		"arrow":   {Rows: 2, Arrow: cutPayload(plain, 1<<20)},
		"packed":  {Rows: 2, Arrow: wholePayload(packed)},
	} {
		_, err := compile(t, cols, batch.Definition{}, 0).Check(in)
		if found, _ := apierr.From(err).Rows(); !apierr.Is(err, apierr.TooLarge) || len(found) != 1 || found[0].Row != 1 {
			t.Errorf("%s: %v %+v", name, err, found)
		}
	}
}

func TestIncomingCRC(t *testing.T) {
	b := &sluicev1.ColumnBatch{Columns: []*sluicev1.ColumnData{
		{Validity: []byte("12"), Offsets: []byte("34"), Data: []byte("5"), Nanos: []byte("6"), Children: []*sluicev1.ColumnData{{Data: []byte("7")}}},
		{Data: []byte("89")},
	}}
	for name, in := range map[string]batch.Incoming{"columns": {Columns: b}, "arrow": {Arrow: cutPayload([]byte("123456789"), 4)}} {
		if got, ok := in.CRC32C(); got != 0xe3069283 || !ok { // the check value of CRC-32C
			t.Errorf("%s: CRC32C = %08x, %v", name, got, ok)
		}
	}
	if _, ok := (batch.Incoming{List: &sluicev1.RowList{}}).CRC32C(); ok {
		t.Error("rows have a checksum")
	}
}

func TestCombineCRC(t *testing.T) {
	all := []byte("the quick brown fox jumps over the lazy dog")
	for i := range all {
		if got := batch.CombineCRC32C(batch.CRC32C(all[:i]), batch.CRC32C(all[i:]), int64(len(all)-i)); got != batch.CRC32C(all) {
			t.Fatalf("cut at %d: %08x, want %08x", i, got, batch.CRC32C(all))
		}
	}
}
