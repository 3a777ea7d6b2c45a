//go:build cgo && duckdb_arrow

package sql

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/sluice-io/sluice/emulator/internal/types"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeTables holds tables as JSON rows, in batches.
type fakeTables map[string]fakeTable

type fakeTable struct {
	columns []Column
	batches []arrow.RecordBatch // all columns, wide
	// narrowed takes what Narrow was told, if not nil.
	narrowed *map[string]string
}

func (f fakeTables) Open(_ context.Context, name []string) (Relation, error) {
	t, ok := f[strings.ToLower(strings.Join(name, "."))]
	if !ok {
		return nil, fmt.Errorf("%v: %w", name, ErrNoTable)
	}
	return t, nil
}

func (t fakeTable) Columns() []Column { return t.columns }

func (t fakeTable) Close() {}

func (t fakeTable) Narrow(equal map[string]string) {
	if t.narrowed != nil {
		*t.narrowed = equal
	}
}

// table builds a table from "name type" pairs and one JSON text per batch.
func table(t *testing.T, columns string, batches ...string) fakeTable {
	t.Helper()
	var out fakeTable
	var fields []arrow.Field
	for def := range strings.SplitSeq(columns, ";") {
		name, text, _ := strings.Cut(strings.TrimSpace(def), " ")
		typ, err := types.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		out.columns = append(out.columns, Column{Name: name, Type: typ})
		fields = append(fields, arrow.Field{Name: name, Type: typ.Arrow(types.LayoutWide), Nullable: true})
	}
	for _, text := range batches {
		b, _, err := array.RecordFromJSON(memory.DefaultAllocator, arrow.NewSchema(fields, nil), strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		out.batches = append(out.batches, b)
	}
	return out
}

// run returns a result as "name type" lines and as JSON rows.
func run(t *testing.T, e *Engine, tables Tables, query string, target ...types.Type) (columns []string, rows []string, err error) {
	t.Helper()
	var to *Target
	if target != nil {
		to = &Target{Types: target}
	}
	r, err := e.Query(t.Context(), tables, query, to)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}()
	for _, c := range r.Columns() {
		columns = append(columns, c.Name+" "+c.Type.String())
	}
	for r.Next() {
		b := r.Batch()
		for i, f := range b.Schema().Fields() {
			if want := r.Columns()[i].Type.Arrow(types.LayoutWide); !arrow.TypeEqual(f.Type, want) {
				t.Errorf("column %s has Arrow type %s, want %s", f.Name, f.Type, want)
			}
		}
		for i := range int(b.NumRows()) {
			var row []string
			for _, c := range b.Columns() {
				row = append(row, strings.Clone(c.ValueStr(i))) // the batch is DuckDB's memory
			}
			rows = append(rows, strings.Join(row, "|"))
		}
	}
	return columns, rows, r.Err()
}

func engine(t *testing.T) *Engine {
	t.Helper()
	e := New()
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func TestQuery_answers(t *testing.T) {
	e := engine(t)
	tables := fakeTables{
		"t":     table(t, "id bigint;name string;pt string", `[{"id":1,"name":"a","pt":"x"},{"id":2,"name":null,"pt":"x"}]`, `[{"id":3,"name":"c","pt":"y"}]`),
		"p.t":   table(t, "id bigint;name string", `[{"id":7,"name":"p"}]`),
		"p.s.t": table(t, "id bigint;tags array<string>", `[{"id":9,"tags":["q",null]}]`),
		"empty": table(t, "id bigint"),
	}
	tests := map[string]struct {
		query   string
		columns []string
		rows    []string
	}{
		"one":                    {"select 1", []string{"_c0 int"}, []string{"1"}},
		"literals":               {"select 'it\\'s' as A, 2L b, 1.5, null n, true", []string{"a string", "b bigint", "_c2 double", "n int", "_c4 boolean"}, []string{"it's|2|1.5|(null)|true"}},
		"star":                   {"select * from t order by id", []string{"id bigint", "name string", "pt string"}, []string{"1|a|x", "2|(null)|x", "3|c|y"}},
		"columns apart":          {"select pt, id from t where name is null", []string{"pt string", "id bigint"}, []string{"x|2"}},
		"filter on unselected":   {"select name from t where id > 2 and pt = \"y\"", []string{"name string"}, []string{"c"}},
		"filter matches nothing": {"select id from t where id > 100", []string{"id bigint"}, nil},
		"count":                  {"select count(*) from t", []string{"_c0 bigint"}, []string{"3"}},
		"count of nothing":       {"select count(*) c, sum(id) s from empty", []string{"c bigint", "s bigint"}, []string{"0|(null)"}},
		"sum stays bigint":       {"select sum(id) s, avg(id) a, max(name) m from t", []string{"s bigint", "a double", "m string"}, []string{"6|2|c"}},
		"group":                  {"select pt, count(1) n from t group by pt order by pt", []string{"pt string", "n bigint"}, []string{"x|2", "y|1"}},
		"qualified":              {"select p.t.id, `p`.`t`.name from `p`.`t`", []string{"id bigint", "name string"}, []string{"7|p"}},
		"three parts":            {"select p.s.t.id, t.tags from p.s.t", []string{"id bigint", "tags array<string>"}, []string{`9|["q",null]`}},
		"join of same table":     {"select a.id, b.id x from t a join t b on a.id = b.id + 1 order by a.id", []string{"id bigint", "x bigint"}, []string{"2|1", "3|2"}},
		"join by comma":          {"select a.name, b.name n from t a, p.t b where a.id = 1", []string{"name string", "n string"}, []string{"a|p"}},
		"expression twice":       {"with c as (select id from t) select count(*) n from c x join c y on x.id = y.id", []string{"n bigint"}, []string{"3"}},
		"expression hides table": {"with t as (select id from t where id = 3) select * from t", []string{"id bigint"}, []string{"3"}},
		"sub-query":              {"select id from (select id, name from t) q where name in (select name from t where id = 1)", []string{"id bigint"}, []string{"1"}},
		"union":                  {"select id from t union all select id from p.t order by id desc limit 2", []string{"id bigint"}, []string{"7", "3"}},
		"union of unnamed":       {"select 1, id as x from p.t union all select 2, 3 union all select 4.5, 5 order by x", []string{"_c0 double", "x bigint"}, []string{"2|3", "4.5|5", "1|7"}},
		"correlated":             {"select id from t a where exists (select 1 from t b where b.id = a.id + 1) order by id", []string{"id bigint"}, []string{"1", "2"}},
		"umlauts before names":   {"select '中文' as z, id from p.t where name <> 'ü'", []string{"z string", "id bigint"}, []string{"中文|7"}},
		"functions":              {"select nvl(name, 'none') v, getdate() is not null from t where id = 2", []string{"v string", "_c1 boolean"}, []string{"none|true"}},
		"casts":                  {"select cast('5' as bigint) a, cast(1 as string) b, cast('2024-01-02 03:04:05' as datetime) c", []string{"a bigint", "b string", "c datetime"}, []string{"5|1|2024-01-02T03:04:05"}},
		"constructors":           {"select map('a', 1, 'b', null) m, array(1, null) a, cast(array(1) as array<string>) c", []string{"m map<string,int>", "a array<int>", "c array<string>"}, []string{`[{"key":"a","value":1},{"key":"b","value":null}]|[1,null]|["1"]`}},
		"fine timestamps":        {"select timestamp '2024-01-02 03:04:05.123456789' a, cast('2024-01-02 03:04:05.123456789' as timestamp) b", []string{"a timestamp", "b timestamp"}, []string{`{"nano":123456789,"sec":1704164645}|{"nano":123456789,"sec":1704164645}`}},
		"values":                 {"values (1, 'a'), (2, 'b')", []string{"col0 int", "col1 string"}, []string{"1|a", "2|b"}},
		"generated rows":         {"select count(*) n from range(1000000)", []string{"n bigint"}, []string{"1000000"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			columns, rows, err := run(t, e, tables, tt.query)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.columns, columns); diff != "" {
				t.Errorf("columns (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.rows, rows); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
		})
	}
}

func TestQuery_narrows_only_where_every_row_must_hold(t *testing.T) {
	e := engine(t)
	var got map[string]string
	source := table(t, "id bigint;pt string;hh string;st struct<pt:string>", `[{"id":1,"pt":"x","hh":"1","st":null}]`)
	source.narrowed = &got
	tables := fakeTables{"p.t": source}
	for query, want := range map[string]map[string]string{
		"select id from p.t where pt = 'x' and (id > 3 and `HH` = \"1\")":                  {"pt": "x", "hh": "1"},
		"select id from p.t a where 'x' = a.pt":                                            {"pt": "x"},
		"select id from p.t where p.t.pt = 'x'":                                            {"pt": "x"},
		"select id from p.t where pt = 'x' or id = 1":                                      {},
		"select id from p.t where not (pt = 'x')":                                          {},
		"select id from p.t where pt <> 'x' and hh > '1'":                                  {},
		"select id from p.t where id = 1 and pt = hh":                                      {},
		"select id from p.t where st.pt = 'x'":                                             {},
		"select id from p.t where upper(pt) = 'X'":                                         {},
		"select id from p.t":                                                               {},
		"select a.id from p.t a left join p.t b on true where b.pt = 'x'":                  nil,
		"select id from (select * from p.t) q where pt = 'x'":                              nil,
		"select 1 from (select '1' as pt) q where pt = 'x' and exists (select 1 from p.t)": nil,
		"select id from p.t where pt = 'x' union all select id from p.t":                   nil,
	} {
		got = map[string]string{"never": "told"}
		if _, _, err := run(t, e, tables, query); err != nil {
			t.Errorf("%s: %v", query, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
}

func TestQuery_refuses(t *testing.T) {
	e := engine(t)
	tables := fakeTables{"t": table(t, "id bigint", `[{"id":1}]`)}
	for query, want := range map[string]string{
		"select * from p.nowhere":                                       "ODPS-0130131:[1,15] Table not found - table p.nowhere cannot be resolved",
		"select 1 frm t":                                                "ODPS-0130161:[1,14] Parse exception - 't' was not expected here",
		"select nothing from t":                                         "ODPS-0130071:[1,8] Semantic analysis exception - column nothing cannot be resolved",
		"select * from read_csv('/etc/passwd')":                         "ODPS-0130071:[1,15] Semantic analysis exception - read_csv is not a table",
		"select * from '/etc/passwd'":                                   "ODPS-0130131:",
		"select * from arrow_scan(1,2,3)":                               "ODPS-0130071:",
		"select * from duckdb_settings()":                               "ODPS-0130071:",
		"drop table t":                                                  "ODPS-0130161:",
		"select 1; drop table t":                                        "ODPS-0130161:",
		"select cast('x' as bigint)":                                    "the text 'x' cannot be cast to BIGINT",
		"select sum(9223372036854775807) from range(2)":                 "does not fit bigint",
		"select time '10:00:00'":                                        "no type of MaxCompute holds",
		"select getvariable('x')":                                       "function getvariable is not supported",
		"select id from t where `Current_Setting`('memory_limit') > ''": "ODPS-0130071:[1,24] Semantic analysis exception - function current_setting is not supported",
		"with `duc\u212adb_tables` as (select 1 as a) select * from duckdb_tables": "Table not found - table duckdb_tables",
		"select 1e400":                       "too large for DOUBLE",
		"select " + strings.Repeat("9", 400): "too large for DOUBLE",
		"select cast(-1E999D as bigint)":     "too large for DOUBLE",
		"select " + strings.Repeat("transform(array(1), x -> ", 60) + "1" + strings.Repeat(")", 60): "lambdas nested too deep",
		"select range(2000000)": "more than 1000000 elements",
		"select `range`(-1000000000000, 1), generate_series(0, 3, 1)":           "more than 1000000 elements",
		"select generate_series(0, 1000000000, 1)":                              "more than 1000000 elements",
		"select list_resize([1], 2000000)":                                      "more than 1000000 elements",
		"select array_resize([1], 2000000, 0)":                                  "more than 1000000 elements",
		"select 1 from t" + strings.Repeat(" cross join t", 130):                "joins at most 128 times",
		"select id from t" + strings.Repeat(" union all select id from t", 256): "names at most 256 tables",
		"select interval '1 month' as i from t where id = 1":                    "interval with months",
		"select array_repeat('a', 200000000)":                                   "more than 1000000 elements",
		"select sequence(1, 4000000000)":                                        "more than 1000000 elements",
		"select sequence(-9223372036854775807, 9223372036854775807, 2)":         "more than 1000000 elements",
	} {
		_, _, err := run(t, e, tables, query)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Query(%q) = %v, want %q", query, err, want)
		}
	}
}

func TestQuery_that_needs_too_much_memory_fails_alone(t *testing.T) {
	e := engine(t)
	e.memory = "64MiB"
	if _, _, err := run(t, e, nil, "select count(distinct x.range + y.range * 1000) from range(1000) x, range(10000) y"); err == nil || !strings.Contains(err.Error(), "64.0 MiB used") {
		t.Errorf("10 million numbers in 64 MiB: %v, want an error that tells the limit", err)
	}
	if _, rows, err := run(t, e, nil, "select 1"); err != nil || len(rows) != 1 {
		t.Errorf("the next query: %v, %v", rows, err)
	}
}

// The fields of a NULL struct are NULL, whatever lies beneath it: writers may leave values there.
func TestQuery_fields_of_a_NULL_struct_are_NULL(t *testing.T) {
	typ, err := types.Parse("struct<a:bigint,b:struct<c:string>>")
	if err != nil {
		t.Fatal(err)
	}
	bits := memory.NewBufferBytes([]byte{0b101}) // the middle one is NULL
	a, _, err := array.FromJSON(memory.DefaultAllocator, arrow.PrimitiveTypes.Int64, strings.NewReader("[1, 2, 3]"))
	if err != nil {
		t.Fatal(err)
	}
	b, _, err := array.FromJSON(memory.DefaultAllocator, arrow.StructOf(arrow.Field{Name: "c", Type: arrow.BinaryTypes.String, Nullable: true}),
		strings.NewReader(`[{"c": "x"}, {"c": "y"}, {"c": "z"}]`))
	if err != nil {
		t.Fatal(err)
	}
	data := array.NewData(typ.Arrow(types.LayoutWide), 3, []*memory.Buffer{bits}, []arrow.ArrayData{a.Data(), b.Data()}, 1, 0)
	s := array.MakeFromData(data)
	defer s.Release()
	schema := arrow.NewSchema([]arrow.Field{{Name: "s", Type: s.DataType(), Nullable: true}}, nil)
	tables := fakeTables{"t": {columns: []Column{{Name: "s", Type: typ}}, batches: []arrow.RecordBatch{array.NewRecordBatch(schema, []arrow.Array{s}, 3)}}}
	for query, want := range map[string][]string{
		"select s.a, s.b.c from t":                         {"1|x", "(null)|(null)", "3|z"},
		"select count(s.a), count(s.b), count(*) from t":   {"2|2|3"},
		"select s.b.c from t where s.a = 2 or s.b.c = 'y'": nil,
	} {
		_, got, err := run(t, engine(t), tables, query)
		if err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
}

// everyType has a column of each type, a row of values, a row of NULLs and a row of
// extremes.
func everyType(t *testing.T) fakeTable {
	t.Helper()
	return table(t, `b boolean;i1 tinyint;i2 smallint;i4 int;i8 bigint;f float;d double;dc decimal(10,2);dw decimal(38,18);dp decimal;
		s string;c char(4);v varchar(4);y binary;j json;dt date;tm datetime;ts timestamp;tz timestamp_ntz;dy interval_day_time;ym interval_year_month;
		l array<timestamp>;m map<string,array<bigint>>;st struct<a:bigint,b:decimal(5,1),c:interval_day_time,`+"`D e`"+`:timestamp_ntz>`,
		`[{"b":true,"i1":-128,"i2":300,"i4":70000,"i8":9223372036854775807,"f":1.5,"d":-2.25,"dc":"12.34","dw":"-1.000000000000000001","dp":"12345678901234567890.000000000000000001",
		"s":"中文","c":"ab","v":"cd","y":"AP8=","j":"{\"a\":1}","dt":"1969-12-31","tm":"1969-12-31 23:59:58.5","ts":{"sec":-2,"nano":500000001},"tz":{"sec":1700000000,"nano":999999999},
		"dy":{"sec":86401,"nano":5},"ym":{"months":-14},"l":[{"sec":0,"nano":1},null],"m":[{"key":"k","value":[1,null]}],"st":{"a":9,"b":"1.5","c":{"sec":-1,"nano":7},"D e":{"sec":1,"nano":2}}}]`,
		`[{"b":null},{"b":false,"s":"","l":[],"m":[],"st":{}}]`)
}

func TestQuery_keeps_every_type(t *testing.T) {
	e := engine(t)
	source := everyType(t)
	tables := fakeTables{"t": source}
	var want, wantRows []string
	for _, c := range source.columns {
		want = append(want, c.Name+" "+c.Type.String())
	}
	for _, b := range source.batches {
		for i := range int(b.NumRows()) {
			var row []string
			for _, c := range b.Columns() {
				row = append(row, c.ValueStr(i))
			}
			wantRows = append(wantRows, strings.Join(row, "|"))
		}
	}
	var target []types.Type
	for _, c := range source.columns {
		target = append(target, c.Type)
	}
	for name, target := range map[string][]types.Type{"select": nil, "insert": target} {
		columns, rows, err := run(t, e, tables, "select * from t", target...)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, columns); diff != "" {
			t.Errorf("%s: columns (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff(wantRows, rows); diff != "" {
			t.Errorf("%s: rows (-want +got):\n%s", name, diff)
		}
	}
}

// TestQuery_frees_its_memory counts what conversions allocate, for results read to the
// end, left half way, and failed.
func TestQuery_frees_its_memory(t *testing.T) {
	e := engine(t)
	tables := fakeTables{"t": everyType(t), "wide": table(t, "ts timestamp", `[{"ts":{"sec":-62135596800,"nano":0}}]`)}
	checked := memory.NewCheckedAllocator(memory.NewGoAllocator())
	usual := memory.DefaultAllocator
	memory.DefaultAllocator = checked
	defer func() { memory.DefaultAllocator = usual }()
	var target []types.Type
	for _, c := range tables["t"].columns {
		target = append(target, c.Type)
	}
	for _, query := range []string{"select * from t", "select * from wide", "select * from t where dp > 1", "select sum(i8), count(*) from t", "select cast(s as bigint) from t"} {
		if _, _, err := run(t, e, tables, query); err != nil && !strings.Contains(query, "cast") {
			t.Errorf("%s: %v", query, err)
		}
	}
	if _, _, err := run(t, e, tables, "select * from t", target...); err != nil {
		t.Error(err)
	}
	rows, err := e.Query(t.Context(), tables, "select * from t", nil)
	if err != nil {
		t.Fatal(err)
	}
	if !rows.Next() {
		t.Error("no rows")
	}
	if err := rows.Close(); err != nil {
		t.Error(err)
	}
	checked.AssertSize(t, 0)
}

func TestQuery_timestamps_beyond_nanoseconds(t *testing.T) {
	e := engine(t)
	wide := `[{"ts":{"sec":-62135596800,"nano":0}},{"ts":{"sec":253402300799,"nano":999999000}},{"ts":null}]`
	mixed := `[{"ts":{"sec":-62135596800,"nano":1}}]`
	tables := fakeTables{"wide": table(t, "ts timestamp", wide), "mixed": table(t, "ts timestamp", mixed)}
	columns, rows, err := run(t, e, tables, "select ts from wide where ts is null or ts < timestamp '1000-01-01' or ts > timestamp '9000-01-01'")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{`{"nano":0,"sec":-62135596800}`, `{"nano":999999000,"sec":253402300799}`, "(null)"}
	if diff := cmp.Diff(want, rows); diff != "" || columns[0] != "ts timestamp" {
		t.Errorf("columns %v, rows (-want +got):\n%s", columns, diff)
	}
	_, _, err = run(t, e, tables, "select ts from mixed")
	if err == nil || !strings.Contains(err.Error(), "finer than a microsecond") {
		t.Errorf("a value that has no form: %v", err)
	}
	if _, rows, err = run(t, e, tables, "select count(*) from wide, mixed"); err != nil || rows[0] != "3" {
		t.Errorf("count over a table whose values nobody reads = %v, %v, want 3", rows, err)
	}
}

func TestQuery_casts_to_target(t *testing.T) {
	e := engine(t)
	parse := func(text string) types.Type {
		typ, err := types.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return typ
	}
	tests := []struct{ expr, target, want string }{
		{"'5'", "bigint", "5"},
		{"5", "string", "5"},
		{"1", "decimal(10,2)", "1"},
		{"1", "decimal", "1"},
		{"'中'", "binary", "5Lit"},
		{"'2024-01-02'", "date", "2024-01-02"},
		{"'2024-01-02 03:04:05.123456789'", "timestamp", `{"nano":123456789,"sec":1704164645}`},
		{"timestamp '0001-01-01 00:00:00'", "timestamp", `{"nano":0,"sec":-62135596800}`},
		{"date '9999-12-31'", "datetime", "9999-12-31T00:00:00"},
		{"interval '90 minutes'", "interval_day_time", `{"nano":0,"sec":5400}`},
		{"'{\"a\":1}'", "json", `{"a":1}`},
		{"[1,2]", "array<string>", `["1","2"]`},
		{"null", "map<string,bigint>", "(null)"},
	}
	for _, tt := range tests {
		_, rows, err := run(t, e, fakeTables{}, "select "+tt.expr, parse(tt.target))
		if err != nil || len(rows) != 1 || rows[0] != tt.want {
			t.Errorf("%s as %s = %v, %v, want %s", tt.expr, tt.target, rows, err, tt.want)
		}
	}
	for expr, target := range map[string]string{"300": "tinyint", "'x'": "int", "'no json {'": "json", "123456": "decimal(5,2)"} {
		if _, rows, err := run(t, e, fakeTables{}, "select "+expr, parse(target)); err == nil {
			t.Errorf("%s as %s = %v, want an error", expr, target, rows)
		}
	}
	if _, _, err := run(t, e, fakeTables{}, "select 1, 2", parse("int")); err == nil || !strings.Contains(err.Error(), "2 columns where the table takes 1") {
		t.Errorf("wrong count: %v", err)
	}
}

func TestQuery_error_of_the_source_is_the_querys(t *testing.T) {
	e := engine(t)
	broken := errors.New("disk gone")
	_, _, err := run(t, e, brokenTables{broken}, "select * from t")
	if !errors.Is(err, broken) {
		t.Errorf("Query = %v, want %v", err, broken)
	}
}

type brokenTables struct{ err error }

func (b brokenTables) Open(context.Context, []string) (Relation, error) { return b, nil }

func (brokenTables) Columns() []Column {
	return []Column{{Name: "id", Type: types.Type{Kind: types.BigInt}}}
}

func (brokenTables) Close() {}

func (brokenTables) Narrow(map[string]string) {}

func (b brokenTables) Pieces() ([]Piece, error) { return []Piece{b}, nil }

func (b brokenTables) Rows() int { return 1 }

func (b brokenTables) Read([]int) ([]arrow.Array, error) { return nil, b.err }

// Pieces gives a piece per batch.
func (t fakeTable) Pieces() ([]Piece, error) {
	var out []Piece
	for _, b := range t.batches {
		out = append(out, fakePiece{b})
	}
	return out, nil
}

type fakePiece struct{ batch arrow.RecordBatch }

func (p fakePiece) Rows() int { return int(p.batch.NumRows()) }

func (p fakePiece) Read(columns []int) ([]arrow.Array, error) {
	out := make([]arrow.Array, len(columns))
	for i, at := range columns {
		out[i] = p.batch.Column(at)
		out[i].Retain()
	}
	return out, nil
}

// The bound of nested lambdas counts those around a place, not those of a query.
func TestQuery_takes_many_lambdas_beside_each_other(t *testing.T) {
	one := "transform(transform(array(1), x -> x + 1), y -> transform(array(y), z -> z))"
	query := "select " + strings.Repeat(one+", ", 20) + "size(array(" + one + ", " + one + "))"
	if _, rows, err := run(t, engine(t), nil, query); err != nil || len(rows) != 1 {
		t.Errorf("42 lambdas at a depth of 2: %v, %v", rows, err)
	}
}

// DuckDB looks whether a query was stopped between two chunks of rows. One row can be long.
func TestQuery_that_was_stopped_ends_within_a_lambda(t *testing.T) {
	e := engine(t)
	tables := fakeTables{"t": table(t, "i bigint", `[{"i":1}]`)}
	if _, _, err := run(t, e, tables, "select 1"); err != nil { // else the time passes while DuckDB is opened
		t.Fatal(err)
	}
	for _, query := range []string{
		"select size(transform(sequence(i, 1000000), x -> size(filter(sequence(i, 1000), y -> y > x)))) from t",
		"select reduce(sequence(i, 1000000), 0, (a, x) -> a + size(sequence(i, 100000))) from t",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		rows, err := e.Query(ctx, tables, query, nil)
		if err == nil {
			err = rows.Close()
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v, want %v", query, err, context.DeadlineExceeded)
		}
		cancel()
	}
}

func TestQuery_keeps_numbers_like_its_own(t *testing.T) {
	_, rows, err := run(t, engine(t), fakeTables{}, "select '9000000000' a, 9000000000 b, transform(array(9000000001), x -> x) c, X'9000000002' = unhex('9000000002') d")
	if want := "9000000000|9000000000|[9000000001]|true"; err != nil || rows[0] != want {
		t.Errorf("got %v, %v, want %s", rows, err, want)
	}
}
