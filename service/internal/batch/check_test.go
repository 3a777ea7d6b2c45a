package batch_test

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/google/go-cmp/cmp"

	"github.com/sluice-io/sluice/service/internal/batch"
	"github.com/sluice-io/sluice/service/internal/table"
)

var compare = cmp.Comparer(func(a, b *big.Int) bool { return a.Cmp(b) == 0 })

// diffRows is cmp.Diff, which is far slower than looking first whether there is anything to show.
func diffRows(want, got rows) string {
	if len(want) == len(got) && same(anys(want), anys(got)) {
		return ""
	}
	return cmp.Diff(want, got, compare)
}

func anys(r rows) []any {
	out := make([]any, len(r))
	for i := range r {
		out[i] = r[i]
	}
	return out
}

func same(a, b any) bool {
	switch a := a.(type) {
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, same)
	case pairs:
		b, ok := b.(pairs)
		return ok && slices.EqualFunc(a, b, func(x, y [2]any) bool { return same(x[0], y[0]) && same(x[1], y[1]) })
	case *big.Int:
		b, ok := b.(*big.Int)
		return ok && a.Cmp(b) == 0
	}
	return a == b
}

func compile(t testing.TB, cols []table.Column, d batch.Definition, cast batch.Cast) *batch.Layout {
	t.Helper()
	l, err := batch.Compile(&table.Schema{Columns: cols}, d, cast, batch.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func check(t testing.TB, l *batch.Layout, in batch.Incoming) *batch.Checked {
	t.Helper()
	c, err := l.Check(in)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// All three forms of the same rows become the same rows at the tunnel, whichever form that takes.
func TestFormsAgree(t *testing.T) {
	for seed := range uint64(120) {
		r := rand.New(rand.NewPCG(seed, 7))
		cols := randomColumns(r, seed%2 == 0)
		data := randomRows(r, cols, r.IntN(40), seed%3 > 0)
		formsAgree(t, r, cols, data)
	}
}

func formsAgree(t *testing.T, r *rand.Rand, cols []table.Column, data rows) {
	schema := batch.ArrowSchema(cols, batch.SchemaOptions{Timestamp: batch.TimestampStruct})
	rec := arrowBatch(schema, cols, data)
	defer rec.Release()
	schemaMessage, body := arrowMessages(t, rec)
	n := int32(len(data))
	ins := map[string]struct {
		d  batch.Definition
		in batch.Incoming
	}{
		"arrow":    {batch.Definition{ArrowSchema: schemaMessage}, batch.Incoming{Rows: n, Arrow: wholePayload(body)}},
		"arrowCut": {batch.Definition{ArrowSchema: schemaMessage}, batch.Incoming{Rows: n, Arrow: cutPayload(body, 1+r.IntN(200))}},
		"columns":  {batch.Definition{}, batch.Incoming{Rows: n, Columns: columnBatch(cols, data)}},
		"rows":     {batch.Definition{}, batch.Incoming{Rows: n, List: rowList(cols, data)}},
	}
	for name, x := range ins {
		cast := []batch.Cast{batch.CastAllow, batch.CastExact}[r.IntN(2)]
		c := check(t, compile(t, cols, x.d, cast), x.in)
		if c.Rows != len(data) {
			t.Errorf("%s: Rows = %d, want %d", name, c.Rows, len(data))
		}
		if diff := diffRows(data, checkedRows(t, cols, c)); diff != "" {
			t.Errorf("%s of %v:\n%s", name, cols, diff)
		}
		c.Release()
	}
}

// What already is the tunnel's layout passes with its very bytes.
func TestPassthroughKeepsBytes(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 11))
		cols := randomColumns(r, true)
		data := randomRows(r, cols, 1+r.IntN(40), true)
		rec := arrowBatch(batch.ArrowSchema(cols, batch.SchemaOptions{}), cols, data)
		schemaMessage, body := arrowMessages(t, rec)
		rec.Release()
		for _, d := range []batch.Definition{{}, {ArrowSchema: schemaMessage}} {
			l := compile(t, cols, d, batch.CastExact)
			if !l.Passthrough() || len(l.ConvertedColumns()) != 0 {
				t.Fatalf("Passthrough of %v = %v, converted %v", cols, l.Passthrough(), l.ConvertedColumns())
			}
			released := 0
			in := batch.NewPayload(func() { released++ }, body[:len(body)/3], body[len(body)/3:])
			c := check(t, l, batch.Incoming{Rows: int32(len(data)), Arrow: in})
			if &c.Body.Pieces()[0][0] != &body[0] || c.Bytes() != int64(len(body)) || released != 0 {
				t.Fatalf("the bytes were not passed on")
			}
			if diff := diffRows(data, checkedRows(t, cols, c)); diff != "" {
				t.Fatal(diff)
			}
			c.Release()
			c.Release()
			if released != 1 {
				t.Fatalf("released %d times, want 1", released)
			}
		}
	}
}

// A subset in another order arrives at its columns; the rest is NULL.
func TestSubsetAndOrder(t *testing.T) {
	cols := columns("bigint", "string", "array<date>", "double", "struct<a:int,b:map<string,boolean>>", "decimal(38,3)")
	data := rows{{int64(1), "x", []any{int64(3), nil}, 2.5, []any{int64(4), pairs{{"k", true}}}, big.NewInt(-7)}, {nil, nil, nil, nil, nil, nil}}
	picked := []int{5, 1, 0}
	want := rows{{int64(1), "x", nil, nil, nil, big.NewInt(-7)}, {nil, nil, nil, nil, nil, nil}}
	var sub []table.Column
	sent := make(rows, len(data))
	var indices []int32
	var named []batch.SentColumn
	for _, p := range picked {
		sub = append(sub, cols[p])
		indices = append(indices, int32(p))
		named = append(named, batch.SentColumn{Name: "C" + fmt.Sprint(p)}) // case does not matter
		for i := range data {
			sent[i] = append(sent[i], data[i][p])
		}
	}
	rec := arrowBatch(batch.ArrowSchema(sub, batch.SchemaOptions{}), sub, sent)
	defer rec.Release()
	schemaMessage, body := arrowMessages(t, rec)
	arrowIn := batch.Incoming{Rows: 2, Arrow: wholePayload(body)}
	columnsIn := batch.Incoming{Rows: 2, Columns: columnBatch(sub, sent)}
	rowsIn := batch.Incoming{List: rowList(sub, sent)}
	for name, x := range map[string]struct {
		d   batch.Definition
		ins []batch.Incoming
	}{
		"arrow names":   {batch.Definition{ArrowSchema: schemaMessage}, []batch.Incoming{arrowIn, rowsIn}},
		"arrow indices": {batch.Definition{ArrowSchema: schemaMessage, ColumnIndices: indices}, []batch.Incoming{arrowIn, rowsIn}},
		"indices":       {batch.Definition{ColumnIndices: indices}, []batch.Incoming{arrowIn, columnsIn, rowsIn}},
		"columns":       {batch.Definition{Columns: named}, []batch.Incoming{arrowIn, columnsIn, rowsIn}},
	} {
		l := compile(t, cols, x.d, 0)
		if l.Passthrough() {
			t.Errorf("%s: Passthrough", name)
		}
		for i, in := range x.ins {
			c := check(t, l, in)
			if diff := cmp.Diff(want, checkedRows(t, cols, c), compare); diff != "" {
				t.Errorf("%s %d:\n%s", name, i, diff)
			}
		}
	}
}

// Each other Arrow layout of the same values is taken, also under EXACT.
func TestOtherArrowLayouts(t *testing.T) {
	f := func(t arrow.DataType) arrow.Field { return arrow.Field{Name: "x", Type: t, Nullable: true} }
	bt, pt := arrow.BinaryTypes, arrow.PrimitiveTypes
	ts := func(u arrow.TimeUnit, z string) arrow.DataType { return &arrow.TimestampType{Unit: u, TimeZone: z} }
	int64s := []any{[]any{int64(1), nil, int64(3)}, nil, []any{}, []any{int64(4)}}
	texts := []any{"a", nil, "", "a longer text that no view holds inline", "中"}
	whole := []any{instant{-5, 0}, nil, instant{1e9, 0}}
	cases := []struct {
		typ    string
		arrow  arrow.DataType
		values []any
	}{
		{"string", bt.LargeString, texts}, {"string", bt.StringView, texts}, {"string", bt.Binary, texts},
		{"string", bt.LargeBinary, texts}, {"string", bt.BinaryView, texts}, {"json", bt.LargeString, []any{"{}", nil}},
		{"binary", bt.LargeBinary, texts}, {"binary", bt.BinaryView, texts}, {"varchar(99)", bt.StringView, texts},
		{"date", arrow.FixedWidthTypes.Date64, []any{int64(-1), nil, int64(20000)}},
		{"datetime", ts(arrow.Nanosecond, "Asia/Shanghai"), []any{int64(-1), nil, int64(1e12)}},
		{"datetime", ts(arrow.Microsecond, ""), []any{int64(-1), nil, int64(1e12)}},
		{"datetime", ts(arrow.Millisecond, "Europe/Berlin"), []any{int64(-1), nil}},
		{"timestamp", ts(arrow.Second, "UTC"), whole}, {"timestamp", ts(arrow.Millisecond, ""), whole},
		{"timestamp", ts(arrow.Microsecond, "Z"), []any{instant{-62135596800, 1000}, nil, instant{253402300799, 999999000}}},
		{"timestamp_ntz", ts(arrow.Microsecond, ""), whole},
		{"interval_day_time", arrow.FixedWidthTypes.Duration_ns, []any{instant{-1, 5}, nil, instant{86401, 5}}},
		{"interval_day_time", arrow.FixedWidthTypes.MonthDayNanoInterval, []any{instant{86401, 5}, nil}},
		{"interval_year_month", arrow.FixedWidthTypes.MonthInterval, []any{int64(-14), nil}},
		{"interval_year_month", arrow.FixedWidthTypes.MonthDayNanoInterval, []any{int64(-14), nil}},
		{"decimal(10,2)", &arrow.Decimal256Type{Precision: 10, Scale: 2}, []any{big.NewInt(-1), nil, big.NewInt(9999999999)}},
		{"decimal", &arrow.Decimal128Type{Precision: 38, Scale: 18}, []any{big.NewInt(-1), nil}},
		{"array<bigint>", arrow.LargeListOf(pt.Int64), int64s}, {"array<bigint>", arrow.ListViewOf(pt.Int64), int64s},
		{"array<bigint>", arrow.LargeListViewOf(pt.Int64), int64s}, {"array<bigint>", arrow.LargeListOf(pt.Int32), int64s},
		{"array<bigint>", arrow.FixedSizeListOf(2, pt.Int64), []any{[]any{int64(1), nil}, nil, []any{int64(3), int64(4)}}},
		{"array<string>", arrow.ListOf(bt.StringView), []any{texts, nil, []any{}}},
		{"array<array<int>>", arrow.LargeListOf(arrow.ListViewOf(pt.Int32)), []any{[]any{[]any{int64(1)}, nil}, nil}},
		{"map<string,bigint>", arrow.MapOf(bt.LargeString, pt.Int16), []any{pairs{{"a", int64(1)}, {"b", nil}}, nil, pairs{}}},
		{"struct<a:bigint,b:string>", arrow.StructOf(arrow.Field{Name: "A", Type: pt.Int8, Nullable: true}, arrow.Field{Name: "b", Type: bt.LargeString, Nullable: true}),
			[]any{[]any{int64(1), "x"}, nil, []any{nil, nil}}},
		{"bigint", pt.Int8, []any{int64(-128), nil, int64(127)}}, {"tinyint", pt.Int64, []any{int64(-128), nil, int64(127)}},
		{"double", pt.Float32, []any{1.5, nil}}, {"float", pt.Float64, []any{1.5, nil}},
		{"bigint", arrow.Null, []any{nil, nil}}, {"map<string,array<int>>", arrow.Null, []any{nil}},
	}
	for _, c := range cases {
		t.Run(c.typ+" from "+c.arrow.String(), func(t *testing.T) {
			cols := []table.Column{{Name: "x", Type: table.MustParseType(c.typ)}}
			data := make(rows, len(c.values))
			for i, v := range c.values {
				data[i] = []any{v}
			}
			rec := arrowBatch(arrow.NewSchema([]arrow.Field{f(c.arrow)}, nil), cols, data)
			defer rec.Release()
			schemaMessage, body := arrowMessages(t, rec)
			for _, cast := range []batch.Cast{batch.CastAllow, batch.CastExact} {
				l := compile(t, cols, batch.Definition{ArrowSchema: schemaMessage}, cast)
				got := checkedRows(t, cols, check(t, l, batch.Incoming{Rows: int32(len(data)), Arrow: cutPayload(body, 100)}))
				if diff := cmp.Diff(data, got, compare); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}
