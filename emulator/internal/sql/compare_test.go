//go:build cgo && duckdb_arrow

package sql

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestComparisons_of_texts_with_numbers_are_those_of_doubles(t *testing.T) {
	testCalls(t, []call{
		{"'1.0' = 1", "true boolean"},
		{"'1.5' = 1", "false boolean"},
		{"'1.5' > 1", "true boolean"},
		{"'10' > 9 and '10' < '9'", "true boolean"},
		{"s = 1", "NULL boolean"},
		{"s <> 1", "NULL boolean"},
		{"s <=> 1", "false boolean"},
		{"'1' <=> 1", "true boolean"},
		{"i = '7.0'", "true boolean"},
		{"i = '7.5'", "false boolean"},
		{"i < '7.5'", "true boolean"},
		{"j = 'x'", "NULL boolean"},
		{"x = '1.25' and d = '2.50'", "true boolean"},
		{"s in (1, 2)", "NULL boolean"},
		{"s not in (1, 2)", "NULL boolean"},
		{"i in ('7', 'x')", "true boolean"},
		{"i in ('6', j + 4)", "true boolean"},
		{"s between 1 and 3", "NULL boolean"},
		{"i between '6.5' and 8", "true boolean"},
		{"case s when 1 then 'one' else 'other' end", "other string"},
		{"decode(s, 1, 'one', 'other')", "other string"},
		{"nullif('7', i)", "NULL string"},
		{"nullif(s, 1)", "abc string"},
		{"l[0] = 1", "NULL boolean"},
		{"if(s = 1, 'y', 'n')", "n string"},
		{"filter(array('1', 'x', '2'), e -> e > 1)", `["2"] array<string>`},
		{"cast('2024-01-02' as date) = '2024-01-02'", "true boolean"},
		{"b = 'true'", "true boolean"},
	})
}

// The queries with such a comparison are written anew: what else stands in them must not change.
func TestComparisons_leave_the_rest_of_a_query_as_it_is(t *testing.T) {
	e := engine(t)
	tables := fakeTables{"g": table(t, "k string;v bigint;w string",
		`[{"k":"a","v":1,"w":"x"},{"k":"a","v":2,"w":"y"},{"k":"b","v":3,"w":"12"},{"k":"b","v":12,"w":null},{"k":null,"v":5,"w":"1.5"}]`)}
	for query, want := range map[string]string{
		"select sum(w), avg(w), max(w), median(w) from g":                                                          "13.5|6.75|y|6.75",
		"select k, sum(w) over (partition by k) s from g order by k, s, v":                                         "(null)|1.5 a|(null) a|(null) b|12 b|12",
		"select a.k, b.v from g a join g b on a.w = b.v":                                                           "b|12",
		"select a.w, b.v from g a left join g b on a.w = b.v order by 1, 2":                                        "(null)|(null) 1.5|(null) 12|12 x|(null) y|(null)",
		"select w from g where w in (select v from g)":                                                             "12",
		"select v from g where v in (select w from g where w > 1)":                                                 "12",
		"select v from g where v not in (select w from g where w > 1) order by v":                                  "1 2 3 5",
		"select w > 1 c, count(*) from g group by w > 1 order by 1":                                                "(null)|3 true|2",
		"select k, count(*) from g where w = 12 group by k having max(w) > 3":                                      "b|1",
		"with c as (select w from g) select count(*) from c where w > 1":                                           "2",
		"select count(*) from (select v as w from g) q where w > '1'":                                              "4",
		"select x.w from g x where exists (select 1 from g y where y.v > x.w) order by w":                          "1.5",
		"select w from g where w = 12 union all (select w from g where w > 1 order by w limit 1) order by 1":       "1.5 12",
		"select row_number() over (order by v) r, v from g qualify r = '2'":                                        "2|2",
		"select w, 1.5, 1e300, 1e-5, .5, 100000000.0, 2.50BD from g where w = 12":                                  "12|1.5|1e+300|1e-05|0.5|1e+08|2.5",
		"select * except (k) from g where w = 12":                                                                  "3|12",
		"select date '2024-01-01' d, interval '1' day i from g where w = 12":                                       `2024-01-01|{"nano":0,"sec":86400}`,
		"select transform(array(1, 2), x -> x + 1), map('a', 1)['a'], array(1, 2)[0], X'41' from g where w = 12":   "[2,3]|1|1|QQ==",
		"select w rlike '^1', w like '1\\\\%', not w = 12, v div 2, -v, 'it\\'s \"x\"' from g where w = 12":        `true|false|false|1|-3|it's "x"`,
		"select k, grouping__id i from g where w = 12 group by k with rollup order by i":                           "b|0 (null)|1",
		"select count(distinct k, v), wm_concat(',', w) within group (order by w) from g where w > 1 or v < '2.5'": "3|1.5,12,x,y",
		"select `a b`.`w` from g `a b` where `a b`.w = 12":                                                         "12",
		"select w from g where (k, v) in (('b', 3)) and w = 12":                                                    "12",
		"select k, e from g lateral view explode(array('1', 'z')) q as e where e = 1 and w = 12":                   "b|1",
		"select y from values (1, '2'), (3, 'x') q(x, y) where y = 2":                                              "2",
	} {
		_, rows, err := run(t, e, tables, query)
		if err != nil {
			t.Errorf("%s: %v", query, err)
			continue
		}
		if diff := cmp.Diff(want, strings.Join(rows, " ")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
}
