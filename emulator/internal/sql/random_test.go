//go:build cgo && duckdb_arrow

package sql

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/google/go-cmp/cmp"

	"github.com/sluice-io/sluice/emulator/internal/types"
	"github.com/sluice-io/sluice/emulator/internal/wire"
)

// randomTypes are the columns of the tables; the first ones are what queries filter by.
const randomTypes = `i8 bigint;i4 int;s string;d double;dt date;tm datetime;b boolean;dc decimal(10,2);i1 tinyint;i2 smallint;f float;
	d4 decimal(4,1);d18 decimal(18,3);d38 decimal(38,18);c char(4);v varchar(30);y binary;j json;ts timestamp;tz timestamp_ntz;dy interval_day_time;ym interval_year_month;
	la array<int>;ls array<string>;lt array<timestamp>;ll array<array<bigint>>;m map<string,array<bigint>>;st struct<a:bigint,b:decimal(5,1),c:interval_day_time,` + "`D e`" + `:timestamp_ntz,s:string,l:array<string>>`

// maker makes random values.
type maker struct {
	*rand.Rand
	nulls  float64 // share of NULLs
	beyond bool    // timestamps outside of nanoseconds, in microseconds
}

func (r *maker) text(most int) string {
	b := make([]rune, r.IntN(most+1))
	for i := range b {
		b[i] = []rune("ab中ü%_' \x00")[r.IntN(9)]
	}
	return string(b)
}

// put appends one value of t in the wide layout.
func (r *maker) put(b array.Builder, t types.Type, required bool) {
	if !required && r.Float64() < r.nulls {
		b.AppendNull()
		return
	}
	switch b := b.(type) {
	case *array.StructBuilder:
		b.Append(true)
		switch t.Kind {
		case types.Timestamp, types.TimestampNTZ, types.IntervalDayTime:
			r.pair(b, t.Kind == types.IntervalDayTime)
			return
		}
		for i, c := range t.Children {
			r.put(b.FieldBuilder(i), c.Type, false)
		}
	case *array.MapBuilder:
		b.Append(true)
		for i := range r.IntN(4) {
			b.KeyBuilder().(*array.StringBuilder).Append(fmt.Sprintf("%d%s", i, r.text(14)))
			r.put(b.ItemBuilder(), t.Children[1].Type, false)
		}
	case *array.ListBuilder:
		b.Append(true)
		for range r.IntN(5) {
			r.put(b.ValueBuilder(), t.Children[0].Type, false)
		}
	case *array.StringBuilder:
		if t.Kind == types.JSON {
			b.Append(fmt.Sprintf(`{"a":%d}`, r.IntN(1e6)))
			return
		}
		b.Append(r.text(map[types.Kind]int{types.Char: 4, types.Varchar: 30, types.String: 20}[t.Kind]))
	case *array.BinaryBuilder:
		b.Append([]byte(r.text(20) + "\xff"))
	default:
		r.number(b, t)
	}
}

func (r *maker) pair(b *array.StructBuilder, interval bool) {
	sec, nano := r.Int64N(18e9)-9e9, r.Int32N(1e9)
	if interval {
		sec, nano = r.Int64N(2e6)-1e6, r.Int32N(1000)*1e6
	} else if r.beyond {
		sec, nano = r.Int64N(3e11)-6e10, r.Int32N(1e6)*1000
	}
	b.FieldBuilder(0).(*array.Int64Builder).Append(sec)
	b.FieldBuilder(1).(*array.Int32Builder).Append(nano)
}

func (r *maker) number(b array.Builder, t types.Type) {
	text := fmt.Sprint(r.IntN(200) - 100)
	switch t.Kind {
	case types.BigInt:
		text = fmt.Sprint([]int64{r.Int64N(1000), r.Int64() - 1<<62}[r.IntN(2)])
	case types.Boolean:
		text = fmt.Sprint(r.IntN(2) == 0)
	case types.Double, types.Float:
		text = []string{"NaN", "-0", "1.5", "Inf", text}[r.IntN(5)]
	case types.Decimal:
		p, s := t.PrecisionScale()
		text = fmt.Sprintf("%d.%0*d", r.Int64N(1000)-500, s, r.Int64N(10))
		if p < 10 {
			text = fmt.Sprintf("%d.%d", r.Int64N(1000)-500, r.Int64N(10))
		}
	case types.Date:
		b.(*array.Date32Builder).Append(arrow.Date32(r.IntN(40000) - 20000))
		return
	case types.Datetime:
		b.(*array.TimestampBuilder).Append(arrow.Timestamp(r.Int64N(4e12) - 2e12))
		return
	case types.IntervalYearMonth:
		b.(*array.MonthIntervalBuilder).Append(arrow.MonthInterval(r.IntN(4000) - 2000))
		return
	}
	if err := b.AppendValueFromString(text); err != nil {
		panic(err)
	}
}

// randomTable makes a table's wide batches, and the same rows for the engine: cut into
// pieces that begin anywhere in their buffers, in all layouts.
func randomTable(r *maker, columns []Column, batches, most int) (wide []arrow.RecordBatch, table fakeTable) {
	wires := make([]wire.Column, len(columns))
	for i, c := range columns {
		wires[i] = wire.Column{Name: c.Name, Type: c.Type, Nullable: true}
	}
	schema := wire.ArrowSchema(wires, types.LayoutWide)
	table.columns = columns
	for range batches {
		b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
		n := 1 + r.IntN(most)
		r.nulls = []float64{0, 0.2, 0.9, 1}[r.IntN(4)]
		for i, c := range columns {
			for range n {
				r.put(b.Field(i), c.Type, false)
			}
		}
		rec := b.NewRecordBatch()
		b.Release()
		wide = append(wide, rec)
		cut := r.Int64N(int64(n) + 1)
		for _, part := range []arrow.RecordBatch{rec.NewSlice(0, cut), rec.NewSlice(cut, int64(n))} {
			stored, err := wire.Convert(part, wires, types.LayoutWide, types.Layout(r.IntN(3)))
			if err != nil { // what that layout cannot hold
				stored = part
			}
			if part.NumRows() > 0 {
				table.batches = append(table.batches, stored)
			}
		}
	}
	return wide, table
}

// randomQuery returns a query over t and u and whether its rows have an order.
func randomQuery(r *maker, columns []Column) (query string, ordered bool) {
	pick := func(n int) string { return "a." + columns[r.IntN(n)].Name }
	conditions := []func() string{
		func() string { return fmt.Sprintf("a.i8 %% %d = %d", 2+r.IntN(120), r.IntN(2)) },
		func() string { return fmt.Sprintf("a.i4 between %d and %d", -r.IntN(100), r.IntN(100)) },
		func() string {
			return []string{"a.s like 'a%'", "length(a.s) > 12", "a.s = ''", "a.s > 'b'"}[r.IntN(4)]
		},
		func() string { return pick(len(columns)) + []string{" is null", " is not null"}[r.IntN(2)] },
		func() string { return "a.b" },
		func() string { return "a.dc > 1.5 or a.d < 0" },
		func() string { return "a.i1 in (1, 2, 3, 5, 8, 13)" },
		func() string { return "a.dt < date '1999-01-01'" },
	}
	var where []string
	for range r.IntN(3) {
		where = append(where, []string{"", "not "}[r.IntN(2)]+"("+conditions[r.IntN(len(conditions))]()+")")
	}
	clause := ""
	if len(where) > 0 {
		clause = " where " + strings.Join(where, []string{" and ", " or "}[r.IntN(2)])
	}
	ordered = !strings.Contains(clause, " in (") // DuckDB may make a join of it, which has no order
	switch r.IntN(8) {
	case 0:
		return "select count(*), count(a.ts), sum(a.i4), min(a.s), max(a.ts), max(a.d38) from t a" + clause, true
	case 1:
		return "select a.i1, count(*), max(a.st) from t a" + clause + " group by a.i1", false
	case 2:
		return "select a.i8, b.s, b.la from t a join u b on a.i4 = b.i4" + clause, false
	case 3:
		return "select * from t a" + clause + fmt.Sprintf(" order by a.i8 nulls last, a.s nulls last, a.la nulls last, a.st nulls last, a.i4 nulls last, a.y nulls last limit %d", r.IntN(300)), false
	case 4:
		return "select * from t a" + clause, ordered
	case 5:
		return "select a.* from t a limit 40 offset 7", true
	}
	var list []string
	for range 1 + r.IntN(5) {
		list = append(list, pick(len(columns)))
	}
	return "select " + strings.Join(append(list, "a.i4 + 1", "upper(a.s)"), ", ") + " from t a" + clause, ordered
}

// TestQuery_gives_the_rows_that_DuckDB_gives_for_its_own_tables holds the reading in place
// against a copy made by other means.
func TestQuery_gives_the_rows_that_DuckDB_gives_for_its_own_tables(t *testing.T) {
	const tables, queries = 20, 8
	columns := table(t, randomTypes).columns
	e := engine(t)
	o := newOracle(t)
	for seed := range uint64(tables) {
		r := &maker{Rand: rand.New(rand.NewPCG(seed, 1)), beyond: seed%5 == 4}
		batches, most := 1+r.IntN(2), 3000
		if seed%2 == 0 { // enough pieces to be worked on in parts
			batches, most = 30, 150
		}
		wide, left := randomTable(r, columns, batches, most)
		wideRight, right := randomTable(r, columns, 2, 40)
		u := nanos
		if r.beyond {
			u = micros
		}
		o.load(t, "t", columns, wide, u)
		o.load(t, "u", columns, wideRight, u)
		for range queries {
			query, ordered := randomQuery(r, columns)
			rows, err := e.Query(t.Context(), fakeTables{"t": left, "u": right}, query, nil)
			if err != nil {
				t.Fatalf("seed %d: %s: %v", seed, query, err)
			}
			var got []string
			for rows.Next() {
				got = append(got, rowTexts(rows.Batch())...)
			}
			want, err := o.rows(query, rows.Columns())
			if err != nil || rows.Err() != nil {
				t.Fatalf("seed %d: %s: got %v, want %v", seed, query, rows.Err(), err)
			}
			if err := rows.Close(); err != nil {
				t.Error(err)
			}
			if !ordered {
				slices.Sort(got)
				slices.Sort(want)
			}
			if !slices.Equal(want, got) { // cheaper than the difference
				t.Fatalf("seed %d: %s (-want +got):\n%.3000s", seed, query, cmp.Diff(want, got))
			}
		}
	}
}
