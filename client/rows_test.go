package client_test

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/google/go-cmp/cmp"

	"github.com/sluice-io/sluice/client"
	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
	"github.com/sluice-io/sluice/internal/testkit"
)

func nested(kind sluicev1.TypeKind, text string, children ...*sluicev1.Column) *sluicev1.Column {
	return &sluicev1.Column{Name: "x", Type: &sluicev1.DataType{Text: text, Kind: kind, Children: children}}
}

func named(name string, c *sluicev1.Column) *sluicev1.Column { c.Name = name; return c }

func decimalColumn(name string, precision, scale int32) *sluicev1.Column {
	return &sluicev1.Column{Name: name, Type: &sluicev1.DataType{Text: "decimal", Kind: sluicev1.TypeKind_TYPE_KIND_DECIMAL, Precision: precision, Scale: scale}}
}

// everyType is a table with a column of each kind that the row API sets.
func everyType() *sluicev1.TableSchema {
	scalar := func(name string, kind sluicev1.TypeKind) *sluicev1.Column {
		return column(name, strings.ToLower(name), kind)
	}
	return &sluicev1.TableSchema{Columns: []*sluicev1.Column{
		scalar("id", sluicev1.TypeKind_TYPE_KIND_BIGINT), scalar("b", sluicev1.TypeKind_TYPE_KIND_BOOLEAN),
		scalar("i8", sluicev1.TypeKind_TYPE_KIND_TINYINT), scalar("i16", sluicev1.TypeKind_TYPE_KIND_SMALLINT), scalar("i32", sluicev1.TypeKind_TYPE_KIND_INT),
		scalar("f32", sluicev1.TypeKind_TYPE_KIND_FLOAT), scalar("f64", sluicev1.TypeKind_TYPE_KIND_DOUBLE),
		decimalColumn("d", 10, 2), decimalColumn("wide", 54, 18),
		scalar("s", sluicev1.TypeKind_TYPE_KIND_STRING), scalar("bin", sluicev1.TypeKind_TYPE_KIND_BINARY),
		scalar("day", sluicev1.TypeKind_TYPE_KIND_DATE), scalar("dt", sluicev1.TypeKind_TYPE_KIND_DATETIME),
		scalar("ts", sluicev1.TypeKind_TYPE_KIND_TIMESTAMP), scalar("ntz", sluicev1.TypeKind_TYPE_KIND_TIMESTAMP_NTZ),
		named("floats", nested(sluicev1.TypeKind_TYPE_KIND_ARRAY, "array<float>", column("", "float", sluicev1.TypeKind_TYPE_KIND_FLOAT))),
		named("words", nested(sluicev1.TypeKind_TYPE_KIND_ARRAY, "array<string>", column("", "string", sluicev1.TypeKind_TYPE_KIND_STRING))),
		named("m", nested(sluicev1.TypeKind_TYPE_KIND_MAP, "map<string,bigint>", column("", "string", sluicev1.TypeKind_TYPE_KIND_STRING), column("", "bigint", sluicev1.TypeKind_TYPE_KIND_BIGINT))),
		named("st", nested(sluicev1.TypeKind_TYPE_KIND_STRUCT, "struct<a:bigint,b:string>", column("a", "bigint", sluicev1.TypeKind_TYPE_KIND_BIGINT), column("b", "string", sluicev1.TypeKind_TYPE_KIND_STRING))),
		named("deep", nested(sluicev1.TypeKind_TYPE_KIND_ARRAY, "array<array<int>>", nested(sluicev1.TypeKind_TYPE_KIND_ARRAY, "array<int>", column("", "int", sluicev1.TypeKind_TYPE_KIND_INT)))),
	}}
}

// received returns the Arrow batches that the fake took, as text row by row.
func (f *fakeServer) textRows(t *testing.T) [][]string {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	var rows [][]string
	for _, raw := range f.arrows {
		reader, err := ipc.NewReader(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		for reader.Next() {
			rec := reader.RecordBatch()
			for i := range int(rec.NumRows()) {
				var row []string
				for _, col := range rec.Columns() {
					row = append(row, col.ValueStr(i))
				}
				rows = append(rows, row)
			}
		}
		reader.Release()
	}
	return rows
}

func TestRowsOfEveryType(t *testing.T) {
	f := newFake()
	f.schema = everyType()
	w := openWriter(t, f.dial(t), client.WriterConfig{Allocator: testkit.Allocator(t)})
	rows, err := w.Rows()
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2020, 2, 29, 23, 59, 59, 123456789, time.FixedZone("x", 3600))
	rows.SetInt64(0, math.MinInt64)
	rows.SetBool(1, true)
	rows.SetInt64(2, -128)
	rows.SetInt64(3, 32767)
	rows.SetInt64(4, -7)
	rows.SetFloat64(5, 0.5)
	rows.SetFloat64(6, math.Inf(-1))
	rows.SetString(7, "-12.34")
	rows.SetString(8, "123456789012345678901234567890.123456789012345678")
	rows.SetString(9, "日本 🙂")
	rows.SetBytes(10, []byte{0, 255})
	rows.SetTime(11, at)
	rows.SetTime(12, at)
	rows.SetTime(13, at)
	rows.SetTime(14, at)
	rows.SetFloat32s(15, []float32{1, 2.5})
	rows.SetStrings(16, []string{"a", ""})
	rows.SetValue(17, map[string]int{"k": 1})
	rows.SetValue(18, struct {
		A int
		B *string
	}{A: 5})
	rows.SetValue(19, [][]int32{{1, 2}, {}, nil})
	if err := rows.End(); err != nil {
		t.Fatal(err)
	}
	rows.SetInt64(0, 1) // all others NULL
	if err := rows.End(); err != nil {
		t.Fatal(err)
	}
	rows.SetInt64(0, 2)
	rows.SetDecimal128(7, decimal128.FromI64(-5))
	rows.SetFloat32s(15, nil)
	rows.SetValue(16, []any{"x", "y"})
	rows.SetValue(18, map[string]any{"a": int64(9), "b": "z"})
	if err := rows.End(); err != nil {
		t.Fatal(err)
	}
	if err := rows.Flush(); err != nil {
		t.Fatal(err)
	}
	seal(t, w, 3)
	null := slices.Repeat([]string{"(null)"}, 19)
	third := append([]string{"2"}, null...)
	third[7], third[15], third[16], third[18] = "-0.05", "[]", `["x","y"]`, `{"a":9,"b":"z"}`
	want := [][]string{{
		"-9223372036854775808", "true", "-128", "32767", "-7", "0.5", "-Inf", "-12.34", "123456789012345678901234567890.123456789012345678",
		"日本 🙂", "AP8=", "2020-02-29", "2020-02-29T22:59:59.123Z", "2020-02-29T22:59:59.123456789Z", "2020-02-29T23:59:59.123456789",
		"[1,2.5]", `["a",""]`, `[{"key":"k","value":1}]`, `{"a":5,"b":null}`, "[[1,2],[],[]]",
	}, append([]string{"1"}, null...), third}
	if diff := cmp.Diff(want, f.textRows(t)); diff != "" {
		t.Errorf("rows differ (-want +got):\n%s", diff)
	}
}

func TestRowsThatDoNotFitAreLeftOut(t *testing.T) {
	f := newFake()
	f.schema = everyType()
	w := openWriter(t, f.dial(t), client.WriterConfig{Allocator: testkit.Allocator(t)})
	rows, err := w.Rows()
	if err != nil {
		t.Fatal(err)
	}
	var want []int64
	for n, set := range []func(){
		func() { rows.SetInt64(2, 128) }, func() { rows.SetInt64(3, 1<<20) }, func() { rows.SetInt64(4, 1<<40) },
		func() { rows.SetString(1, "true") }, func() { rows.SetInt64(9, 1) }, func() { rows.SetBool(0, true) },
		func() { rows.SetString(7, "123456789.00") }, func() { rows.SetString(7, "x") }, func() { rows.SetTime(9, time.Now()) },
		func() { rows.SetTime(13, time.Date(9000, 1, 1, 0, 0, 0, 0, time.UTC)) }, func() { rows.SetFloat32s(16, nil) },
		func() { rows.SetValue(17, []int{1}) }, func() { rows.SetValue(18, map[string]any{"a": "x"}) }, func() { rows.SetValue(19, [][]string{{"x"}}) },
		func() { rows.SetValue(16, []int{1}) }, func() { rows.SetInt64(0, 5) }, func() { rows.SetValue(9, make(chan int)) },
	} {
		rows.SetInt64(0, int64(n))
		rows.SetString(9, "text")
		rows.SetFloat32s(15, []float32{1, 2})
		rows.SetValue(17, map[string]int64{"k": 1})
		set()
		if err := rows.End(); !client.Is(err, sluicev1.Reason_REASON_TYPE_MISMATCH, sluicev1.Reason_REASON_BAD_ARGUMENT) {
			t.Errorf("row %d: End = %v, want TYPE_MISMATCH or BAD_ARGUMENT", n, err)
		}
		rows.SetInt64(0, int64(n))
		rows.SetString(9, "good")
		if err := rows.End(); err != nil {
			t.Fatal(err)
		}
		want = append(want, int64(n))
	}
	if err := rows.Flush(); err != nil {
		t.Fatal(err)
	}
	seal(t, w, int64(len(want)))
	checkRows(t, f, want)
	for i, row := range f.textRows(t) {
		if row[9] != "good" || row[15] != "(null)" || row[17] != "(null)" || row[2] != "(null)" {
			t.Errorf("row %d = %v: something of a bad row is left", i, row)
		}
	}
}

type event struct {
	ID      int64
	Name    string `sluice:"s"`
	F32     float32
	Score   *float64         `sluice:"f64"`
	At      time.Time        `sluice:"dt"`
	Vector  []float32        `sluice:"floats"`
	Nested  map[string]int64 `sluice:"m"`
	Ignored int              `sluice:"-"`
	hidden  int
}

func TestStructsAreRows(t *testing.T) {
	f := newFake()
	f.schema = everyType()
	w := openWriter(t, f.dial(t), client.WriterConfig{Allocator: testkit.Allocator(t)})
	events, err := client.NewStructWriter[event](w)
	if err != nil {
		t.Fatal(err)
	}
	score := 2.5
	for _, e := range []event{
		{ID: 1, Name: "a", F32: 0.25, Score: &score, At: time.UnixMilli(1), Vector: []float32{1}, Nested: map[string]int64{"k": 2}, Ignored: 9, hidden: 9},
		{ID: 2, At: time.UnixMilli(-1)},
	} {
		if err := events.Append(&e); err != nil {
			t.Fatal(err)
		}
	}
	if err := events.Flush(); err != nil {
		t.Fatal(err)
	}
	seal(t, w, 2)
	want := [][]string{
		{"1", "a", "0.25", "2.5", "1970-01-01T00:00:00.001Z", "[1]", `[{"key":"k","value":2}]`},
		{"2", "", "0", "(null)", "1969-12-31T23:59:59.999Z", "(null)", "[]"},
	}
	if diff := cmp.Diff(want, f.textRows(t)); diff != "" {
		t.Errorf("rows differ (-want +got):\n%s", diff)
	}
}

func TestStructWriterChecksItsType(t *testing.T) {
	f := newFake()
	f.schema = everyType()
	w := openWriter(t, f.dial(t), client.WriterConfig{})
	if _, err := client.NewStructWriter[struct{ Nope int }](w); !client.Is(err, sluicev1.Reason_REASON_BAD_COLUMN) {
		t.Errorf("a field without column: %v, want BAD_COLUMN", err)
	}
	if _, err := client.NewStructWriter[struct {
		ID, X int `sluice:"id"`
	}](w); !client.Is(err, sluicev1.Reason_REASON_BAD_COLUMN) {
		t.Errorf("two fields for one column: %v, want BAD_COLUMN", err)
	}
	if _, err := client.NewStructWriter[int](w); !client.Is(err, sluicev1.Reason_REASON_BAD_ARGUMENT) {
		t.Errorf("no struct: %v, want BAD_ARGUMENT", err)
	}
}

// Many rows in many batches, with refused ones among them: RowWriter loses none of the others.
func TestRowWriterGoesOnAfterARefusal(t *testing.T) {
	f := newFake()
	bad := func(id int64) bool { return id == 12_345 }
	f.script = func(int) script { return script{bad: bad} }
	w := openWriter(t, f.dial(t), client.WriterConfig{Allocator: testkit.Allocator(t)})
	rows, err := w.Rows("ID")
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for id := range int64(50_000) {
		rows.SetInt64(0, id)
		if err := rows.End(); err != nil {
			_ = rejection(t, err)
			refused++
		}
	}
	if err := rows.Flush(); err != nil {
		_ = rejection(t, err)
		refused++
	}
	if _, err := w.Seal(t.Context()); err != nil {
		r := rejection(t, err)
		refused++
		if r.FirstRow > 12_345 || r.FirstRow+r.Rows <= 12_345 {
			t.Errorf("rejection of rows %d to %d, want those around 12345", r.FirstRow, r.FirstRow+r.Rows)
		}
	}
	if _, err := w.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := f.content()
	if refused != 1 || slices.Contains(got, 12_345) || !slices.IsSorted(got) || len(got) < 45_000 {
		t.Errorf("%d refusals, %d rows", refused, len(got))
	}
}

func TestArrowTypesAndTheirTexts(t *testing.T) {
	schema, err := client.ArrowSchema(everyType().GetColumns())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"id": "bigint", "b": "boolean", "i8": "tinyint", "f32": "float", "d": "decimal(10,2)", "s": "string", "bin": "binary", "day": "date",
		"dt": "datetime", "ts": "timestamp", "ntz": "timestamp_ntz", "floats": "array<float>", "m": "map<string,bigint>",
		"st": "struct<a:bigint,b:string>", "deep": "array<array<int>>",
	}
	for _, field := range schema.Fields() {
		text, err := client.TypeText(field.Type)
		if w, ok := want[field.Name]; ok && (err != nil || text != w) {
			t.Errorf("TypeText(%s) = %q, %v, want %q", field.Type, text, err, w)
		}
	}
	for _, typ := range []arrow.DataType{arrow.FixedWidthTypes.Duration_s, &arrow.Decimal256Type{Precision: 60, Scale: 2}, arrow.FixedWidthTypes.Time32s} {
		if text, err := client.TypeText(typ); err == nil {
			t.Errorf("TypeText(%s) = %q, want an error", typ, text)
		}
	}
	if _, err := client.ArrowType(&sluicev1.DataType{Text: "geography"}); err == nil {
		t.Error("ArrowType of an unknown kind gives no error")
	}
}
