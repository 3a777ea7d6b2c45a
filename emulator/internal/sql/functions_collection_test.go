//go:build cgo && duckdb_arrow

package sql

import "testing"

func TestCollectionFunctions_mean_what_is_documented(t *testing.T) {
	testCalls(t, []call{
		{"array(1, 2, 3)[0]", "1 int"},
		{"ints[3]", "1 bigint"},
		{"ints[9]", "NULL bigint"},
		{"ints[i - 7]", "3 bigint"},
		{"map('a', 1, 'b', 2)['b']", "2 int"},
		{"im[1]", "one string"},
		{"im[2]", "NULL string"},
		{"array(array(1, 2), array(3))[0][1]", "2 int"},
		{"size(array(1, 2))", "2 int"},
		{"size(map('a', 1))", "1 int"},
		{"struct(1, 'a').col2", "a string"},
		{"named_struct('x', 1, 'y', 'b').y", "b string"},
		{"array_contains(ints, 2)", "true boolean"},
		{"sort_array(ints)", "[1,1,2,3] array<bigint>"},
		{"sort_array(ints, false)", "[3,2,1,1] array<bigint>"},
		{"array_distinct(ints)", "[3,1,2] array<bigint>"},
		{"array_union(array(1, 2), array(2, 3))", "[1,2,3] array<int>"},
		{"array_intersect(array(1, 2), array(2, 3))", "[2] array<int>"},
		{"array_except(array(1, 2), array(2, 3))", "[1] array<int>"},
		{"array_join(l, ',')", "p,q string"},
		{"array_join(l, ',', 'none')", "p,none,q string"},
		{"array_max(ints)", "3 bigint"},
		{"array_position(array('a', 'b'), 'b')", "2 bigint"},
		{"array_position(array('a', 'b'), 'c')", "0 bigint"},
		{"array_remove(array(3, 2, 1), 3)", "[2,1] array<int>"},
		{"array_repeat('a', 2)", `["a","a"] array<string>`},
		{"arrays_overlap(array(1, 2), array(2))", "true boolean"},
		{"slice(array(1, 2, 3, 4), 2, 2)", "[2,3] array<int>"},
		{"slice(array(1, 2, 3, 4), -2, 2)", "[3,4] array<int>"},
		{"sequence(1, 3)", "[1,2,3] array<bigint>"},
		{"sequence(3, 1)", "[3,2,1] array<bigint>"},
		{"sequence(1, 7, 3)", "[1,4,7] array<bigint>"},
		{"size(sequence(1, 1000000))", "1000000 int"},
		{"size(sequence(9223372036854775807, 9223372036854775000, -1))", "808 int"},
		{"size(array_repeat('a', 1000000))", "1000000 int"},
		{"transform(array(1, 2), x -> x + 1)", "[2,3] array<int>"},
		{"filter(array(1, 2, 3), x -> x > 1)", "[2,3] array<int>"},
		{"reduce(array(1, 2, 3), 0, (a, x) -> a + x)", "6 int"},
		{"any_match(array(1, 2), x -> x > 1)", "true boolean"},
		{"all_match(array(1, 2), x -> x > 1)", "false boolean"},
		{"map_keys(map('a', 1))", `["a"] array<string>`},
		{"map_values(map('a', 1))", "[1] array<int>"},
		{"str_to_map('a:1,b:2')['b']", "2 string"},
		{"str_to_map('a=1&b', '&', '=')['a']", "1 string"},
		{"to_json(named_struct('a', 1))", `{"a":1} string`},
		{"from_json('{\"a\":[1,2]}', 'struct<a:array<bigint>>').a[1]", "2 bigint"},
		{"from_json('x', 'array<bigint>')", "NULL array<bigint>"},
		{"from_json('', 'array<bigint>')", "NULL array<bigint>"},
	})
}

func TestAggregateFunctions_mean_what_is_documented(t *testing.T) {
	e := engine(t)
	tables := fakeTables{"t": table(t, "g string;v bigint;w string",
		`[{"g":"a","v":1,"w":"x"},{"g":"a","v":2,"w":"y"},{"g":"a","v":2,"w":null},{"g":"a","v":null,"w":"x"}]`)}
	for expression, want := range map[string]string{
		"count(*)":                        "4 bigint",
		"count(distinct v)":               "2 bigint",
		"sum(v)":                          "5 bigint",
		"avg(v)":                          "1.6666666666666667 double",
		"wm_concat(',', w)":               "x,y,x string",
		"wm_concat(distinct ',', g)":      "a string",
		"sort_array(collect_list(v))":     "[1,2,2] array<bigint>",
		"sort_array(collect_set(v))":      "[1,2] array<bigint>",
		"round(stddev(v), 6)":             "0.471405 double",
		"round(stddev_samp(v), 6)":        "0.57735 double",
		"round(variance(v), 6)":           "0.222222 double",
		"median(v)":                       "2 double",
		"percentile(v, 0.5)":              "2 double",
		"percentile_approx(v, 0.5, 1000)": "2 double",
		"approx_distinct(w)":              "2 bigint",
		"count_if(v > 1)":                 "2 bigint",
		"max_by(w, v)":                    "y string",
		"arg_max(v, w)":                   "y string",
		"min_by(w, v)":                    "x string",
		"bitwise_or_agg(v)":               "3 bigint",
		"collect_list(v)[0]":              "1 bigint",
		"size(collect_list(v))":           "3 int",
		"concat_ws('-', collect_list(w))": "x-y-x string",
		"cast(sum(v) as string)":          "5 string",
		"cast(avg(v) as bigint)":          "1 bigint",
		"round(avg(v), 2)":                "1.67 double",
		"ceil(sum(v) / 2)":                "3 bigint",
		"max(v) + '1'":                    "3 double",
		"dateadd(max(datetime '2024-01-01 00:00:00'), 1, 'dd')": "2024-01-02T00:00:00 datetime",
		"any_value(g)": "a string",
	} {
		columns, rows, err := run(t, e, tables, "select "+expression+" as r from t")
		if err != nil {
			t.Errorf("%s: %v", expression, err)
			continue
		}
		if got := rows[0] + columns[0][1:]; got != want {
			t.Errorf("%s = %s, want %s", expression, got, want)
		}
	}
}
