package batch_test

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/batch"
	"github.com/sluice-io/sluice/service/internal/table"
)

// fruit is the table of the checklist: uid, name, price, virtual.
func fruit() []table.Column {
	cols := columns("bigint", "string", "double", "boolean")
	for i, n := range []string{"uid", "name", "price", "virtual"} {
		cols[i].Name = n
	}
	return cols
}

func valueRows(values ...[]*sluicev1.Value) batch.Incoming {
	list := &sluicev1.RowList{}
	for _, v := range values {
		list.Rows = append(list.Rows, &sluicev1.Row{Values: v})
	}
	return batch.Incoming{List: list}
}

func TestTW_55_TW_56_indices(t *testing.T) {
	for _, c := range []struct {
		indices []int32
		in      []*sluicev1.Value
		want    []any
	}{
		{[]int32{0, 2}, []*sluicev1.Value{integer(9), number(1.5)}, []any{int64(9), nil, 1.5, nil}},
		{[]int32{1, 0}, []*sluicev1.Value{text("x"), integer(9)}, []any{int64(9), "x", nil, nil}},
	} {
		l := compile(t, fruit(), batch.Definition{ColumnIndices: c.indices}, 0)
		got := checkedRows(t, fruit(), check(t, l, valueRows(c.in)))
		if diff := cmp.Diff(rows{c.want}, got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestTW_63_index_count_mismatch(t *testing.T) {
	l := compile(t, fruit(), batch.Definition{ColumnIndices: []int32{0, 1, 2}}, 0)
	if _, err := l.Check(valueRows([]*sluicev1.Value{integer(1), text("x")})); !apierr.Is(err, apierr.BadValues) {
		t.Errorf("error %v, want BAD_VALUES", err)
	}
}

func TestTW_64_partition_column_has_no_index(t *testing.T) {
	s := &table.Schema{Columns: columns("bigint", "string"), PartitionColumns: columns("string")}
	if _, err := batch.Compile(s, batch.Definition{ColumnIndices: []int32{2}}, 0, batch.DefaultLimits()); !apierr.Is(err, apierr.BadIndices) {
		t.Errorf("error %v, want BAD_INDICES", err)
	}
}

func TestTW_65_type_error_rejects_the_batch(t *testing.T) {
	l := compile(t, fruit(), batch.Definition{ColumnIndices: []int32{0}}, 0)
	_, err := l.Check(valueRows([]*sluicev1.Value{integer(1)}, []*sluicev1.Value{text("abc")}, []*sluicev1.Value{integer(3)}))
	found, _ := apierr.From(err).Rows()
	if !apierr.Is(err, apierr.TypeMismatch) || len(found) != 1 || found[0].Row != 1 || found[0].Column != "uid" {
		t.Fatalf("error %v, rows %+v", err, found)
	}
	if c := check(t, l, valueRows([]*sluicev1.Value{integer(4)})); c.Rows != 1 {
		t.Error("a good batch afterwards does not work")
	}
}

func TestTW_66_TW_67_TW_68_TW_71_casts(t *testing.T) {
	for _, c := range []struct {
		index int32
		cast  batch.Cast
		in    *sluicev1.Value
		want  any
	}{
		{2, batch.CastExact, integer(5), refused}, {2, batch.CastAllow, integer(5), 5.0},
		{0, batch.CastAllow, text("25"), int64(25)}, {0, batch.CastAllow, text("25.5"), refused},
		{0, batch.CastExact, boolean(true), refused}, {0, batch.CastAllow, boolean(true), int64(1)},
	} {
		l := compile(t, fruit(), batch.Definition{ColumnIndices: []int32{c.index}}, c.cast)
		checked, err := l.Check(valueRows([]*sluicev1.Value{c.in}))
		if c.want == refused {
			if !apierr.Is(err, apierr.TypeMismatch) {
				t.Errorf("%v: %v, want TYPE_MISMATCH", c.in, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%v: %v", c.in, err)
		} else if got := checkedRows(t, fruit(), checked)[0][c.index]; got != c.want {
			t.Errorf("%v = %v, want %v", c.in, got, c.want)
		}
	}
	l := compile(t, fruit(), batch.Definition{ColumnIndices: []int32{2}}, batch.CastExact)
	got := checkedRows(t, fruit(), check(t, l, valueRows([]*sluicev1.Value{number(math.NaN())})))[0][2]
	if f, ok := got.(float64); !ok || !math.IsNaN(f) {
		t.Errorf("NaN = %v", got)
	}
}

// A sent type that is not the table's is cast, in columns and in Arrow alike, at every depth.
func TestSentTypesAreCast(t *testing.T) {
	for _, c := range []struct {
		from, to string
		in, want []any
	}{
		{"string", "bigint", []any{"1", nil, "-2"}, []any{int64(1), nil, int64(-2)}},
		{"int", "string", []any{int64(7), nil}, []any{"7", nil}},
		{"boolean", "double", []any{true, nil, false}, []any{1.0, nil, 0.0}},
		{"timestamp", "datetime", []any{instant{1, 5e6}, nil}, []any{int64(1005), nil}},
		{"date", "timestamp", []any{int64(1), nil}, []any{instant{86400, 0}, nil}},
		{"array<int>", "array<string>", []any{[]any{int64(1), nil}, nil, []any{}}, []any{[]any{"1", nil}, nil, []any{}}},
		{"map<int,string>", "map<string,double>", []any{pairs{{int64(1), "2.5"}}, nil}, []any{pairs{{"1", 2.5}}, nil}},
		{"struct<b:string,a:tinyint>", "struct<a:bigint,b:binary>", []any{[]any{"x", int64(1)}, nil}, []any{[]any{int64(1), "x"}, nil}},
		{"string", "array<struct<a:int>>", []any{`[{"a":1},null]`, nil}, []any{[]any{[]any{int64(1)}, nil}, nil}},
		{"decimal(5,1)", "decimal(40,3)", []any{unscaled(t, "-1.5"), nil}, []any{unscaled(t, "-1.500"), nil}},
	} {
		sent, own := columns(c.from), columns(c.to)
		in, want := make(rows, len(c.in)), make(rows, len(c.want))
		for i := range in {
			in[i], want[i] = []any{c.in[i]}, []any{c.want[i]}
		}
		rec := arrowBatch(batch.ArrowSchema(sent, batch.SchemaOptions{}), sent, in)
		definition, body := arrowMessages(t, rec)
		rec.Release()
		n := int32(len(in))
		typed := batch.Definition{Columns: []batch.SentColumn{{Name: "c0", Type: &sent[0].Type}}}
		for name, x := range map[string]struct {
			d  batch.Definition
			in batch.Incoming
		}{
			"columns": {typed, batch.Incoming{Rows: n, Columns: columnBatch(sent, in)}},
			"arrow":   {batch.Definition{ArrowSchema: definition}, batch.Incoming{Rows: n, Arrow: wholePayload(body)}},
		} {
			l := compile(t, own, x.d, batch.CastAllow)
			if diff := cmp.Diff([]string{"c0"}, l.ConvertedColumns()); diff != "" || l.Passthrough() {
				t.Errorf("%s to %s, %s: converted %s", c.from, c.to, name, diff)
			}
			if diff := diffRows(want, checkedRows(t, own, check(t, l, x.in))); diff != "" {
				t.Errorf("%s to %s, %s:\n%s", c.from, c.to, name, diff)
			}
		}
	}
}

// A wrong element is reported with the row it belongs to, whatever layout its list came in; one of a NULL list is not.
func TestNestedCastErrorsNameTheRow(t *testing.T) {
	sent, own := columns("array<struct<a:string>>"), columns("array<struct<a:bigint>>")
	in := rows{{[]any{[]any{"1"}, nil}}, {nil}, {[]any{[]any{"2"}, []any{"x"}}}, {[]any{}}, {[]any{[]any{"y"}}}}
	rec := arrowBatch(batch.ArrowSchema(sent, batch.SchemaOptions{}), sent, in)
	definition, body := arrowMessages(t, rec)
	rec.Release()
	for name, incoming := range map[string]batch.Incoming{
		"arrow": {Rows: 5, Arrow: wholePayload(body)},
		"rows":  {List: rowList(sent, in)},
	} {
		_, err := compile(t, own, batch.Definition{ArrowSchema: definition}, 0).Check(incoming)
		found, total := apierr.From(err).Rows()
		if total != 2 || found[0].Row != 2 || found[1].Row != 4 || found[0].Column != "c0" {
			t.Errorf("%s: %v, rows %+v", name, err, found)
		}
	}
}
