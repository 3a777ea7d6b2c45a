package table_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/table"
)

func TestParsePath(t *testing.T) {
	for path, want := range map[string]table.Ref{
		"odps://p/tables/t":                           {Name: table.Name{Project: "p", Table: "t"}},
		"odps://P/tables/S.T":                         {Name: table.Name{Project: "p", Schema: "s", Table: "t"}},
		"odps://p/tables/t/":                          {Name: table.Name{Project: "p", Table: "t"}},
		"odps://p/tables/t/DT=Aa/hr=05":               {Name: table.Name{Project: "p", Table: "t"}, Partition: table.Spec{{Column: "dt", Value: "Aa"}, {Column: "hr", Value: "05"}}},
		"odps://p/tables/t/dt=a b=c":                  {Name: table.Name{Project: "p", Table: "t"}, Partition: table.Spec{{Column: "dt", Value: "a b=c"}}},
		"odps://p/tables/" + strings.Repeat("x", 128): {Name: table.Name{Project: "p", Table: strings.Repeat("x", 128)}},
	} {
		got, err := table.ParsePath(path)
		if err != nil {
			t.Errorf("ParsePath(%q): %v", path, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("ParsePath(%q):\n%s", path, diff)
		}
	}
	for _, path := range []string{"", "t", "odps://", "odps://p", "odps://p/tables", "odps://p/tables/", "odps:///tables/t", "ODPS://p/tables/t",
		"odps://p/table/t", "odps://p/tables/a.b.c", "odps://p/tables/.t", "odps://p/tables/t.", "odps://p/tables/t/dt", "odps://p/tables/t/=1",
		"odps://p/tables/t/dt=", "odps://p/tables/t/dt=1/", "odps://p/tables/t//dt=1", "odps://p/tables/t/dt=1/DT=2", "odps://p/tables/t t",
		"odps://p/tables/\xff", "odps://p/tables/" + strings.Repeat("x", 129), " odps://p/tables/t"} {
		if _, err := table.ParsePath(path); !apierr.Is(err, apierr.BadPath) {
			t.Errorf("ParsePath(%q): %v, want BAD_PATH", path, err)
		}
	}
}

func partitioned(names ...string) *table.Schema {
	s := &table.Schema{}
	for _, n := range names {
		s.PartitionColumns = append(s.PartitionColumns, table.Column{Name: n, Type: table.MustParseType("string")})
	}
	return s
}

func TestResolveSpec(t *testing.T) {
	s := partitioned("Dt", "hr")
	got, err := table.ResolveSpec(s, map[string]string{"HR": "05", "dt": "Aa/b"})
	if err != nil || got.String() != "dt=Aa/b/hr=05" || got.Expressible() {
		t.Errorf("ResolveSpec = %v, %v", got, err)
	}
	for _, given := range []map[string]string{nil, {"dt": "1"}, {"dt": "1", "hr": "2", "x": "3"}, {"dt": "1", "DT": "2", "hr": "3"}, {"dt": "", "hr": "1"}} {
		if _, err := table.ResolveSpec(s, given); !apierr.Is(err, apierr.BadPartition) {
			t.Errorf("ResolveSpec(%v): %v, want BAD_PARTITION", given, err)
		}
	}
	if got, err := table.ResolveSpec(&table.Schema{}, nil); err != nil || len(got) != 0 {
		t.Errorf("unpartitioned: %v, %v", got, err)
	}
}

// A value that its column cannot hold would make the column unreadable for the whole table.
func TestPartitionValuesAreOfTheirColumnsType(t *testing.T) {
	for _, c := range []struct {
		kind      string
		good, bad []string
	}{
		{"bigint", []string{"0", "5", "-7", "9223372036854775807", "-9223372036854775807"}, []string{"x", "05", "+5", "-0", "5.0", " 5", "9223372036854775808", "-9223372036854775808", "٥"}},
		{"int", []string{"2147483647", "-2147483648"}, []string{"2147483648"}},
		{"smallint", []string{"32767"}, []string{"32768"}},
		{"tinyint", []string{"-128"}, []string{"128"}},
		{"char(2)", []string{"ab", "日本"}, []string{"abc"}},
		{"varchar(3)", []string{"abc"}, []string{"abcd"}},
		{"string", []string{"05", "x", strings.Repeat("x", 300)}, []string{"\xff"}},
		{"date", []string{"2024-02-29"}, []string{"2023-02-29", "2024-2-9", "20240209"}},
	} {
		s := &table.Schema{PartitionColumns: []table.Column{{Name: "Hr", Type: table.MustParseType(c.kind)}}}
		for _, value := range c.good {
			if spec, err := table.ResolveSpec(s, map[string]string{"hr": value}); err != nil || spec[0].Value != value {
				t.Errorf("%s %q: %v, %v", c.kind, value, spec, err)
			}
			if spec, err := table.ParseSpec(s, "hr="+value); err != nil || spec[0].Value != value {
				t.Errorf("ParseSpec %s %q: %v, %v", c.kind, value, spec, err)
			}
		}
		for _, value := range c.bad {
			_, err := table.ResolveSpec(s, map[string]string{"hr": value})
			e := apierr.From(err)
			if e.Reason() != apierr.BadPartition || e.Meta("column") != "hr" || e.Meta("value") != value || e.Meta("type") != c.kind || !strings.Contains(e.Message(), c.kind) {
				t.Errorf("%s %q: %v, want BAD_PARTITION with column, value and type", c.kind, value, err)
			}
			if value != strings.TrimSpace(value) {
				continue // blanks around a value do not count in a text
			}
			if _, err := table.CompilePatterns(s, []string{"hr=" + value}); !apierr.Is(err, apierr.BadPartition) {
				t.Errorf("pattern %s %q: %v, want BAD_PARTITION", c.kind, value, err)
			}
		}
	}
	s := &table.Schema{PartitionColumns: []table.Column{{Name: "hr", Type: table.MustParseType("bigint")}}}
	p, err := table.CompilePatterns(s, []string{"hr=0*", "/*query*/ hr = 7"})
	if err != nil {
		t.Fatal(err)
	}
	foreign := []table.Spec{{{Column: "hr", Value: "05"}}, {{Column: "hr", Value: "007"}}}
	if got, _ := p.Select(foreign); len(got) != 2 {
		t.Errorf("Select = %v, want both: what others wrote stays in reach of patterns", got)
	}
}

// Refs are the same key exactly when they are equal, whatever their values hold.
func TestRefKey(t *testing.T) {
	seen := map[string]string{}
	values := []string{"a", "b", "a\x00", "a\x01", "a\x01\x02", "a\x00hr=b", "a/hr=b", ""}
	for _, x := range values {
		for _, y := range values {
			for _, spec := range []table.Spec{{{Column: "dt", Value: x}}, {{Column: "dt", Value: x}, {Column: "hr", Value: y}}} {
				id := fmt.Sprintf("%q", spec)
				key := table.Ref{Name: table.NewName("P", "", "T"), Partition: spec}.Key()
				if other, ok := seen[key]; ok && other != id {
					t.Fatalf("%s and %s have one key", id, other)
				}
				seen[key] = id
			}
		}
	}
}

func TestParseType(t *testing.T) {
	for text, want := range map[string]string{
		"BIGINT": "bigint", " decimal ": "decimal", "DECIMAL(10)": "decimal(10,0)", "decimal( 38 , 18 )": "decimal(38,18)",
		"decimal(54,18)": "decimal", "decimal(40,3)": "decimal(40,3)", "Char(4)": "char(4)", "varchar(65535)": "varchar(65535)",
		"ARRAY<MAP<STRING,STRUCT<A:INT,`b c`:array<TIMESTAMP_NTZ>>>>": "array<map<string,struct<a:int,`b c`:array<timestamp_ntz>>>>",
		"interval_day_time": "interval_day_time", "json": "json", "map < bigint , date >": "map<bigint,date>",
	} {
		got, err := table.ParseType(text)
		if err != nil || got.String() != want {
			t.Errorf("ParseType(%q) = %v, %v, want %s", text, got, err, want)
			continue
		}
		if again, err := table.ParseType(got.String()); err != nil || !again.Equal(got) {
			t.Errorf("%q does not read back: %v", got, err)
		}
	}
	deep := func(n int) string { return strings.Repeat("array<", n) + "int" + strings.Repeat(">", n) }
	if _, err := table.ParseType(deep(16)); err != nil {
		t.Errorf("16 levels: %v", err)
	}
	for text, reason := range map[string]apierr.Reason{
		"": apierr.BadArgument, "int int": apierr.BadArgument, "array": apierr.BadArgument, "array<>": apierr.BadArgument, "array<int": apierr.BadArgument,
		"array<int,int>": apierr.BadArgument, "map<int>": apierr.BadArgument, "map<int,int,int>": apierr.BadArgument, "struct<>": apierr.BadArgument,
		"struct<a>": apierr.BadArgument, "struct<a:int,A:int>": apierr.BadArgument, "char": apierr.BadArgument, "char(0)": apierr.BadArgument,
		"char(256)": apierr.BadArgument, "varchar(65536)": apierr.BadArgument, "decimal(0,0)": apierr.BadArgument, "decimal(55,0)": apierr.BadArgument,
		"decimal(5,6)": apierr.BadArgument, "decimal(5,": apierr.BadArgument, "varchar(99999999999)": apierr.BadArgument, "struct<`a:int>": apierr.BadArgument,
		deep(17): apierr.BadArgument, strings.Repeat("array<", 20000): apierr.BadArgument,
		"geography": apierr.TypeUnsupported, "vector": apierr.TypeUnsupported, "array<uuid>": apierr.TypeUnsupported,
	} {
		if _, err := table.ParseType(text); !apierr.Is(err, reason) {
			t.Errorf("ParseType(%.40q): %v, want %v", text, err, reason)
		}
	}
}

func TestSchemaEqual(t *testing.T) {
	col := func(n, typ string, notNull bool) table.Column {
		return table.Column{Name: n, Type: table.MustParseType(typ), NotNull: notNull}
	}
	base := table.Schema{Columns: []table.Column{col("A", "int", false), col("b", "struct<x:int>", true)}, PrimaryKey: []string{"A"}}
	same := table.Schema{Columns: []table.Column{col("a", "int", false), col("B", "struct<X:int>", true)}, PrimaryKey: []string{"a"}}
	same.Columns[0].Comment = "other"
	if !base.Equal(&same) {
		t.Errorf("Diff = %q", base.Diff(&same))
	}
	for want, other := range map[string]table.Schema{
		"NOT NULL":          {Columns: []table.Column{col("a", "int", true), col("b", "struct<x:int>", true)}, PrimaryKey: []string{"a"}},
		"type":              {Columns: []table.Column{col("a", "int", false), col("b", "struct<x:bigint>", true)}, PrimaryKey: []string{"a"}},
		"named":             {Columns: []table.Column{col("c", "int", false), col("b", "struct<x:int>", true)}, PrimaryKey: []string{"a"}},
		"there are":         {Columns: base.Columns[:1], PrimaryKey: []string{"a"}},
		"primary key":       {Columns: base.Columns},
		"partition columns": {Columns: base.Columns, PrimaryKey: []string{"a"}, PartitionColumns: base.Columns[:1]},
	} {
		if d := base.Diff(&other); !strings.Contains(d, want) {
			t.Errorf("Diff = %q, want %q in it", d, want)
		}
	}
}

func specs(texts ...string) []table.Spec {
	var out []table.Spec
	for _, text := range texts {
		var s table.Spec
		for p := range strings.SplitSeq(text, "/") {
			c, v, _ := strings.Cut(p, "=")
			s = append(s, table.Part{Column: c, Value: v})
		}
		out = append(out, s)
	}
	return out
}

func TestPatterns(t *testing.T) {
	s := partitioned("pt", "ds")
	all := specs("pt=1/ds=a", "pt=1/ds=b", "pt=10/ds=a.b", "pt=2/ds=aXb", "pt=x/ds=中")
	for _, c := range []struct {
		entries []string
		want    string
		missing []string
	}{
		{[]string{"pt=1/ds=a"}, "0", nil},
		{[]string{" PT = 1 , ds = 'b' "}, "1", nil},
		{[]string{"pt=*,ds=*"}, "0 1 2 3 4", nil},
		{[]string{"pt=1?/ds=*", "pt=1/ds=*"}, "2 0 1", nil},
		{[]string{"pt=*/ds=a.b"}, "2", nil}, // a dot is literal
		{[]string{"pt=*/ds=a?b", "pt=1/ds=a"}, "2 3 0", nil},
		{[]string{"pt=*/ds=?"}, "0 1 4", nil},
		{[]string{"pt=9/ds=a", "pt=1/ds=a", "pt=9*/ds=a"}, "0", []string{"pt=9/ds=a"}},
		{[]string{" /*QUERY*/ pt = 1 and ds <> 'a'"}, "1", nil},
		{[]string{"/*query*/ pt > 1"}, "2 3", nil},
		{[]string{"/*query*/ pt > '1'"}, "2 3 4", nil},
		{[]string{"/*query*/ pt = 01.0", "pt=1/ds=a"}, "0 1", nil},
		{[]string{"/*query*/ not pt between 1 and 5"}, "2 4", nil},
		{[]string{"/*query*/ pt in (2, 'x') or (ds like 'a%' and 5 < pt)"}, "2 3 4", nil},
		{[]string{"/*query*/ ds not like '_' and pt is not null"}, "2 3", nil},
		{[]string{"/*query*/ pt is null"}, "", nil},
		{[]string{"/*query*/ ds = 'it''s'"}, "", nil},
	} {
		p, err := table.CompilePatterns(s, c.entries)
		if err != nil {
			t.Errorf("%q: %v", c.entries, err)
			continue
		}
		got, missing := p.Select(all)
		if text := strings.Trim(fmt.Sprint(got), "[]"); text != c.want || !cmp.Equal(missing, c.missing) {
			t.Errorf("%q selects %v, missing %q, want %v, %q", c.entries, got, missing, c.want, c.missing)
		}
	}
	for _, bad := range []string{"", " ", "pt=1", "pt=1/ds=a/x=1", "ds=a/pt=1", "pt=1/dx=a", "pt/ds", "pt=/ds=1", "pt=1=2/ds=a", "/*query*/", "/*query*/ x = 1",
		"/*query*/ pt =", "/*query*/ pt = 'a", "/*query*/ pt = 1 and", "/*query*/ (pt = 1", "/*query*/ pt = 1)", "/*query*/ pt = 1 ds = 2", "/*query*/ pt ~ 1",
		"/*query*/ pt not = 1", "/*query*/ pt in ()", "/*query*/ pt like 5", "/*query*/ pt = 1.2.3", "/*query*/ 1", "/*query*/ pt = ds",
		"/*query*/ " + strings.Repeat("(", 100) + "pt=1" + strings.Repeat(")", 100)} {
		if _, err := table.CompilePatterns(s, []string{bad}); !apierr.Is(err, apierr.BadPartition) {
			t.Errorf("%.60q: %v, want BAD_PARTITION", bad, err)
		}
	}
	if _, err := table.ParseSpec(s, "pt=*/ds=a"); !apierr.Is(err, apierr.BadPartition) {
		t.Errorf("ParseSpec of a pattern: %v", err)
	}
}

// Every plan covers each of its rows exactly once, in order within a stream.
func TestPlansCoverEachRowOnce(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		n := r.Int64N(200)
		count := 1 + r.IntN(20)
		batch := 1 + r.Int64N(20)
		covers(t, n, table.Divide(n, count))
		per, err := table.PerStream(n, batch, 1000)
		if err != nil {
			t.Fatal(err)
		}
		covers(t, n, per)
		var slices, ranks, dropped []table.RowRange
		for id := range count {
			s, err := table.Slice(n, int32(id), int32(count))
			if err != nil {
				t.Fatal(err)
			}
			slices = append(slices, s)
		}
		covers(t, n, slices)
		least, most := int64(1<<62), int64(0)
		for _, rank := range table.Ranks(n, count, batch, false) {
			total, _ := table.TotalRows(rank)
			least, most = min(least, total), max(most, total)
			ranks = append(ranks, rank...)
		}
		if most-least > 1 {
			t.Fatalf("Ranks(%d, %d, %d): between %d and %d rows", n, count, batch, least, most)
		}
		covers(t, n, ranks)
		for _, rank := range table.Ranks(n, count, batch, true) {
			if len(rank) > 1 || len(rank) == 1 && rank[0].Rows()%batch != 0 {
				t.Fatalf("Ranks dropping: %v", rank)
			}
			dropped = append(dropped, rank...)
		}
		if total, _ := table.TotalRows(dropped); total != n/batch/int64(count)*batch*int64(count) {
			t.Fatalf("Ranks(%d, %d, %d, drop) keeps %d", n, count, batch, total)
		}
	}
}

func covers(t *testing.T, n int64, ranges []table.RowRange) {
	t.Helper()
	seen := make([]int, n)
	for _, r := range ranges {
		for i := r.Start; i < r.End; i++ {
			seen[i]++
		}
	}
	for i, times := range seen {
		if times != 1 {
			t.Fatalf("row %d of %d is covered %d times by %v", i, n, times, ranges)
		}
	}
}

// A plan over ranges is the plan over their concatenation.
func TestWithin(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		var ranges []table.RowRange
		var flat []int64
		for range r.IntN(5) {
			start := r.Int64N(50)
			rr := table.RowRange{Start: start, End: start + r.Int64N(10)}
			ranges = append(ranges, rr)
			for i := rr.Start; i < rr.End; i++ {
				flat = append(flat, i)
			}
		}
		var got []int64
		for _, part := range table.Divide(int64(len(flat)), 1+r.IntN(6)) {
			pieces, err := table.Within(ranges, part)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range pieces {
				if p.Rows() <= 0 {
					t.Fatalf("empty piece %v", p)
				}
				for i := p.Start; i < p.End; i++ {
					got = append(got, i)
				}
			}
		}
		if diff := cmp.Diff(flat, got); diff != "" {
			t.Fatal(diff)
		}
	}
	if _, err := table.Within([]table.RowRange{{Start: 0, End: 5}}, table.RowRange{Start: 3, End: 6}); !apierr.Is(err, apierr.SeekOutOfRange) {
		t.Errorf("beyond the end: %v", err)
	}
	if _, err := table.Within([]table.RowRange{{Start: 5, End: 0}}, table.RowRange{}); !apierr.Is(err, apierr.BadArgument) {
		t.Errorf("reversed: %v", err)
	}
	if _, ok := table.TotalRows([]table.RowRange{{Start: 0, End: 1 << 62}, {Start: 0, End: 1 << 62}}); ok {
		t.Error("the sum overflows unnoticed")
	}
	if _, err := table.Slice(5, 3, 3); !apierr.Is(err, apierr.BadSlice) {
		t.Errorf("slice 3 of 3: %v", err)
	}
	if _, err := table.PerStream(1000, 1, 10); !apierr.Is(err, apierr.BadArgument) {
		t.Errorf("too many streams: %v", err)
	}
}

func FuzzParseType(f *testing.F) {
	for _, s := range []string{"decimal(10,2)", "array<map<string,struct<a:int,`b``c`:char(4)>>>", "struct<a:"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := table.ParseType(text)
		if err != nil {
			return
		}
		again, err := table.ParseType(got.String())
		if err != nil || !again.Equal(got) || again.String() != got.String() {
			t.Fatalf("%q reads back as %q, %v", got, again, err)
		}
	})
}

func FuzzParsePath(f *testing.F) {
	for _, s := range []string{"odps://p/tables/s.t/dt=1/hr=05", "odps://p/tables/t/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		got, err := table.ParsePath(path)
		if err != nil {
			return
		}
		again, err := table.ParsePath(got.Path())
		if err != nil || again.Key() != got.Key() {
			t.Fatalf("%q reads back as %+v, %v", got.Path(), again, err)
		}
	})
}

func FuzzPartitionSpec(f *testing.F) {
	for _, s := range []string{"pt=1/ds=a", "pt='*',ds=?", "/*query*/ pt in (1,'b') and not (ds like '%x_' or pt between 1 and 2)"} {
		f.Add(s)
	}
	s := partitioned("pt", "ds")
	all := specs("pt=1/ds=a", "pt=b/ds=xx", "pt=-1.5/ds=")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := table.CompilePatterns(s, []string{text})
		if err != nil {
			if !apierr.Is(err, apierr.BadPartition) {
				t.Fatal(err)
			}
			return
		}
		p.Select(all)
		if spec, err := table.ParseSpec(s, text); err == nil {
			again, err := table.ParseSpec(s, spec.String())
			if err != nil || !again.Equal(spec) {
				t.Fatalf("%q reads back as %v, %v", spec, again, err)
			}
		}
	})
}
