//go:build cgo && duckdb_arrow

package sql

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestQuery_knows_the_clauses_of_the_dialect(t *testing.T) {
	e := engine(t)
	tables := fakeTables{
		"t": table(t, "id bigint;name string;tags array<string>;m map<string,bigint>",
			`[{"id":1,"name":"a","tags":["x","y"],"m":[{"key":"k","value":7}]},{"id":2,"name":null,"tags":[],"m":null},{"id":3,"name":"c","tags":null,"m":[]}]`),
		"u": table(t, "id bigint;v string", `[{"id":1,"v":"one"},{"id":3,"v":"three"}]`),
	}
	for query, want := range map[string]string{
		"select id, tag from t lateral view explode(tags) x as tag order by id, tag":                                                   "1|x 1|y",
		"select id, tag from t lateral view outer explode(tags) x as tag order by id, tag":                                             "1|x 1|y 2|(null) 3|(null)",
		"select id, k, v from t lateral view explode(m) as k, v":                                                                       "1|k|7",
		"select id, pos, tag from t lateral view posexplode(tags) x as pos, tag order by pos":                                          "1|0|x 1|1|y",
		"select a.id, tag, one from t a lateral view explode(a.tags) x as tag lateral view explode(array(1)) y as one where tag = 'y'": "1|y|1",
		"select a, b from (select '{\"a\":1,\"b\":\"z\"}' j) s lateral view json_tuple(j, 'a', 'b') q as a, b":                         "1|z",
		"select explode(array(1, 2)) as e":                                                            "1 2",
		"select id from t left semi join u on t.id = u.id order by id":                                "1 3",
		"select id from t left anti join u on t.id = u.id":                                            "2",
		"select /*+ mapjoin(u) */ t.id, v from t join u on t.id = u.id order by t.id":                 "1|one 3|three",
		"select id from t distribute by id sort by id desc":                                           "3 2 1",
		"select id from t cluster by id":                                                              "1 2 3",
		"select id, row_number() over (distribute by 1 sort by id desc) r from t order by id limit 1": "1|3",
		"select name from t order by name":                                                            "(null) a c",
		"select name from t order by name desc":                                                       "c a (null)",
		"select id from t order by id limit 1, 2":                                                     "2 3",
		"select * from values (1, 'a'), (2, 'b') v(x, y) order by x":                                  "1|a 2|b",
		"select id from t minus select id from u":                                                     "2",
		"select * except (tags, m) from t where id = 1":                                               "1|a",
		"select 1 from dual":                                                                          "1",
		"select count(*) from dual":                                                                   "1",
		"with a as (select id from t where id > 1) select max(id) from a":                             "3",
		"select id, lag(id, 1, 0) over (order by id) l from t order by id":                            "1|0 2|1 3|2",
		"select first_value(name, true) over (order by id desc rows between unbounded preceding and unbounded following) f from t limit 1": "c",
		"select first_value(v, true) over (order by k) a, first_value(v, false) over (order by k) b, first_value(v) over (order by k) c," +
			" nth_value(v, 2) over (order by k) d, nth_value(v, 1, true) over (order by k) e, last_value(v, true) over (order by k) f" +
			" from values (1, null), (2, 'b'), (3, null) x(k, v) order by k": "(null)|(null)|(null)|(null)|(null)|(null) b|(null)|(null)|b|b|b b|(null)|(null)|b|b|b",
		"select id, collect_list(id) over (order by id) c from t order by id limit 1":                                                                                    "1|[1]",
		"select id, count(*) from t group by id with rollup order by id":                                                                                                 "(null)|3 1|1 2|1 3|1",
		"select id, v, count(*) from u group by id, v with cube having id = 1 order by v":                                                                                "1|(null)|1 1|one|1",
		"select id, v, grouping__id, count(*) from u where id = 1 group by id, v grouping sets ((id), (v), ()) order by 3":                                               "1|(null)|1|1 (null)|one|2|1 (null)|(null)|3|1",
		"select grouping__id g, id from u where id = 1 group by rollup(id, v) order by g":                                                                                "0|1 1|1 3|(null)",
		"select c, count(*) from (select id, count(*) c from t group by id with rollup) q group by c order by c":                                                         "1|3 3|1",
		"select sum(x) over (order by o) s from values (1, 5), (1, 6), (2, 7) v(o, x) order by s":                                                                        "5 11 18",
		"select sum(x) over (order by o range unbounded preceding) s from values (1, 5), (1, 6), (2, 7) v(o, x)":                                                         "11 11 18",
		"select sum(x) over (partition by o) s from values (1, 5), (1, 6) v(o, x)":                                                                                       "11 11",
		"select max(x) over w m, count(*) filter (where x > 5) over w n, rank() over w r from values (1, 5), (1, 6), (2, 7) v(o, x) window w as (order by o) order by m": "5|0|1 6|1|1 7|2|3",
		"select explode(m) as (k, v) from t":                                                                 "k|7",
		"select posexplode(tags) as (p, e) from t":                                                           "0|x 1|y",
		"select json_tuple('{\"a\":1,\"b\":\"z\"}', 'a', 'b') as (x, y)":                                     "1|z",
		"select inline(array(struct(1, 'a'), struct(2, 'b'))) as (n, s)":                                     "1|a 2|b",
		"select n, s from t lateral view inline(array(struct(id, 'a'))) q as n, s":                           "1|a 2|a 3|a",
		"select user, q.current_user u from (select id user, name current_user from t) q where user = 1":     "1|a",
		"select id from t where name rlike 'A|c'":                                                            "3",
		"select id value, name name, count(*) over () count, interval '1' day year from t name where id = 1": "1|a|1|{\"nano\":0,\"sec\":86400}",
		"select name type, id date from (select id, name from t) t order by id limit 1":                      "a|1",
		"select t.id from t join u on t.id <=> u.id where not t.name <=> 'a'":                                "3",
		"select if(t.id = 1, 'a', 'b') x, count(*) from t group by if(t.id = 1, 'a', 'b') order by x":        "a|1 b|2",
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

func TestQuery_says_in_its_own_words_what_is_wrong(t *testing.T) {
	e := engine(t)
	tables := fakeTables{"t": table(t, "id bigint;name string", `[{"id":1,"name":"a"}]`)}
	deep := strings.Repeat("greatest(1, ", 60) + "1" + strings.Repeat(")", 60)
	for query, want := range map[string]string{
		"select\n  nosuch from t":                                             "ODPS-0130071:[2,3] Semantic analysis exception - column nosuch cannot be resolved",
		"select x.id from t":                                                  "ODPS-0130071:[1,8] Semantic analysis exception - table or alias x cannot be resolved",
		"select nosuch(id) from t":                                            "ODPS-0130071:[1,8] Semantic analysis exception - function nosuch cannot be resolved",
		"select trunc(id, id, id) from t":                                     "ODPS-0130071:[1,8] Semantic analysis exception - function trunc takes 1 or 2 arguments, not 3",
		"select id, count(*) from t":                                          "ODPS-0130071:[1,8] Semantic analysis exception - column id must appear in GROUP BY or within an aggregate function",
		"select 'a', id from\n nosuch":                                        "ODPS-0130131:[2,2] Table not found - table nosuch cannot be resolved",
		"select id frm t where":                                               "ODPS-0130161:[1,15] Parse exception - 't' was not expected here",
		"select `id` + 'x' from t":                                            "ODPS-0123144:Execution failed - could not convert string 'x' to DOUBLE",
		"select cluster_sample(10) over () from t":                            "ODPS-0130071:[1,8] Semantic analysis exception - function cluster_sample is not supported by this endpoint",
		"select * from read_csv('/etc/passwd')":                               "ODPS-0130071:[1,15] Semantic analysis exception - read_csv is not a table or a function that can be read from",
		"select * from '/etc/passwd'":                                         "ODPS-0130131:[1,15] Table not found - table /etc/passwd cannot be resolved",
		"select count(id, name) from t":                                       "ODPS-0130071:[1,8] Semantic analysis exception - function count takes one argument, or several behind DISTINCT",
		"select grouping__id from t":                                          "ODPS-0130071:[1,8] Semantic analysis exception - grouping__id needs a GROUP BY that lists its expressions",
		"select stddev(id) within group (order by id) from t":                 "ODPS-0130071:[1,8] Semantic analysis exception - function stddev takes no WITHIN GROUP",
		"select array_sort(array(1), (a, b) -> a - b)":                        "ODPS-0130071:[1,8] Semantic analysis exception - function array_sort with a comparator is not supported by this endpoint",
		"select transform(array(1), (a, i) -> i)":                             "ODPS-0130071:[1,28] Semantic analysis exception - function transform wants a lambda of one parameter: x -> …",
		"select explode(array(1)) as (a, b, c)":                               "ODPS-0130071:[1,8] Semantic analysis exception - function explode: the number of names does not fit the number of columns",
		"select current_user()":                                               "ODPS-0130071:[1,8] Semantic analysis exception - function current_user is not supported by this endpoint",
		"select (1":                                                           "ODPS-0130161:[1,8] Parse exception - '(' is not closed",
		"select " + deep:                                                      "function calls nested too deep",
		"select " + strings.Repeat("(", 300) + "1" + strings.Repeat(")", 300): "parentheses nested too deep",
		"select * from sluice_scan(1, 0, 1)":                                  "is not a table or a function that can be read from",
		"select repeat('abc', 1000000000)":                                    "the result is longer than 8 MiB",
		"select * from t lateral view explode(name)":                          "LATERAL VIEW needs AS",
		"select * from t lateral view nosuch(id) x as y":                      "LATERAL VIEW with the function nosuch is not supported by this endpoint",
	} {
		_, _, err := run(t, e, tables, query)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s\n got %v\nwant %s", query, err, want)
		}
	}
}
