package sql

import (
	"strings"
	"testing"
)

func TestTranslate(t *testing.T) {
	tests := map[string]struct{ in, want string }{
		"names":             {"select `a``b`, `C` from `p`.`t`", "select \"a`b\", \"C\" from \"p\".\"t\""},
		"names with quotes": {"select `a\"b`", `select "a""b"`},
		"strings":           {`select 'it\'s', "say 'x'", 'a''b', "a\"b"`, `select 'it''s', 'say ''x''', 'a''b', 'a"b'`},
		"numbers":           {"select 1L, 2S, 3Y, 1.5BD, 2.5D, 1F, 1e5, 0x1F", "select CAST(1 AS BIGINT), CAST(2 AS SMALLINT), CAST(3 AS TINYINT), CAST(1.5 AS DECIMAL(38,18)), CAST(2.5 AS DOUBLE), CAST(1 AS FLOAT), 1e5, 0x1F"},
		"datetime":          {"select datetime '2024-01-01', cast(a as datetime), datetime from t", "select TIMESTAMP_MS '2024-01-01', mc__cast_datetime(a), datetime from t"},
		"map":               {"select map('a', 1), cast(x as map<string,bigint>)", "select mc__map(['a'], [1]), CAST(x AS MAP(VARCHAR, BIGINT))"},
		"nested types":      {"cast(a as array<struct<`x`:int,y:decimal>>) < 3", "CAST(a AS STRUCT(\"x\" INTEGER, \"y\" DECIMAL(38,18))[]) < 3"},
		"casts":             {"cast(a as decimal), cast(b as timestamp), c as timestamp", "CAST(mc__decimal_text(a) AS DECIMAL(38,18)), mc__cast_timestamp(b), c as timestamp"},
		"timestamps":        {"timestamp '2024-01-01 00:00:00.123456', timestamp '2024-01-01 00:00:00.1234567'", "timestamp '2024-01-01 00:00:00.123456', TIMESTAMP_NS '2024-01-01 00:00:00.1234567'"},
		"array":             {"select array(1, 2), array[1]", "select list_value(1, 2), mc__element(array, 1)"},
		"comments go":       {"select /*+ mapjoin(a) */ 1 -- x\n", "select 1"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := translate(tt.in, nil)
			if err != nil || got.text != tt.want {
				t.Errorf("translate(%q)\n got %+v, %v\nwant %q", tt.in, got, err, tt.want)
			}
		})
	}
}

// FuzzTranslate proves that no text makes translate panic, and that what it refuses has a
// place.
func FuzzTranslate(f *testing.F) {
	for _, s := range []string{
		"select `a``b`, 'it\\'s', \"x\", 3L, 0.5BD, datetime '2024-01-01', cast(a as array<struct<b:int>>) from p.t", "array<", "map<string,", "map(", "cast(a as decimal)", "-128Y", "x'41'", "a like '\\%' || b", "group by a with rollup", "grouping__id group by a grouping sets ((a))", "sum(a) over (order by b)", "f(a) over w window w as (order by a)", "posexplode(a) as (b, c)", "count(distinct a, b)", "wm_concat(a, b) within group (order by c)", "from_json(a, 'b int')",
		"struct<a:int", "timestamp '2024-01-01 00:00:00.1234567'", "'\x00'", "array<int>>>", "1e", "0x1F",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, source string) {
		if _, err := translate(source, nil); err != nil && !strings.Contains(err.Error(), ":[") {
			t.Errorf("translate(%q) = %v, want a place", source, err)
		}
	})
}

// Joins that need no condition, or have it later.
func TestTranslate_lets_joins_through(t *testing.T) {
	for _, query := range []string{
		"select 1 from a cross join b", "select 1 from a natural join b", "select 1 from a natural left outer join b where 1 = 1", "select 1 from a, b",
		"select 1 from a join b on a.i = b.i join c using (i)", "select 1 from a join b join c on b.i = c.i on a.i = b.i", "select 1 from a join (b join c on b.i = c.i) on a.i = b.i",
		"select 1 from a join (select 1 from d where i = 1 group by i) b on a.i = b.i where a.i > 1", "select a.`join` from a where `join` = 1", "select s.join from a",
	} {
		if _, err := translate(query, nil); err != nil {
			t.Errorf("%s: %v", query, err)
		}
	}
}
