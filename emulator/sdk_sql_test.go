//go:build cgo && duckdb_arrow

package emulator_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/aliyun/aliyun-odps-go-sdk/odps"
	"github.com/aliyun/aliyun-odps-go-sdk/odps/data"
	"github.com/aliyun/aliyun-odps-go-sdk/odps/tunnel"
	"github.com/google/go-cmp/cmp"

	"github.com/sluice-io/sluice/emulator"
)

// run submits SQL, waits for it and returns the result's text.
func run(t *testing.T, c *odps.Odps, query string, hints ...map[string]string) (string, error) {
	t.Helper()
	i, err := c.ExecSQl(query, hints...)
	must(t, err)
	if err := i.WaitForSuccess(); err != nil {
		return "", err
	}
	results, err := i.GetResult()
	must(t, err)
	return results[0].Content(), nil
}

func mustRun(t *testing.T, c *odps.Odps, query string, hints ...map[string]string) string {
	t.Helper()
	text, err := run(t, c, query, hints...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return text
}

// Clients find a result's columns by name: two of one name come apart, as in production. A table made of such a query
// stays an error.
func TestGoSDK_names_of_a_result_are_apart(t *testing.T) {
	c := client(start(t, emulator.Options{}))
	mustRun(t, c, "create table l (id bigint, a string);")
	mustRun(t, c, "create table r (id bigint, a string, a2 string);")
	mustRun(t, c, "insert into l values (1, 'l');")
	mustRun(t, c, "insert into r values (1, 'r', 'r2');")
	for query, want := range map[string]string{
		"select * from l join r on l.id = r.id;":         "\"id\",\"a\",\"id2\",\"a3\",\"a2\"\n1,\"l\",1,\"r\",\"r2\"\n",
		"select id, ID, id from l;":                      "\"id\",\"id2\",\"id3\"\n1,1,1\n",
		"select id + 1, id as _c0, id as `_c02` from l;": "\"_c0\",\"_c03\",\"_c02\"\n2,1,1\n",
		"select id as a2, a, id as a from l;":            "\"a2\",\"a\",\"a3\"\n1,\"l\",1\n",
	} {
		if got := mustRun(t, c, query); got != want {
			t.Errorf("%s = %q, want %q", query, got, want)
		}
	}
	if _, err := run(t, c, "create table both as select l.id, r.id from l join r on l.id = r.id;"); err == nil || !contains(err, "ODPS-0130071") {
		t.Errorf("a table of two columns of one name: %v, want ODPS-0130071", err)
	}
}

// MAX_PT is the newest partition with rows, by its first column, in queries, views and INSERT.
func TestGoSDK_max_pt(t *testing.T) {
	c := client(start(t, emulator.Options{}))
	for _, statement := range []string{
		"create table t (id bigint) partitioned by (pt string, hh string);",
		"insert into t partition (pt='20240109', hh='01') values (1);",
		"insert into t partition (pt='20240110', hh='01') values (2);",
		"insert into t partition (pt='20240110', hh='00') values (3);",
		"alter table t add partition (pt='20240111', hh='00');", // without rows
		"create view v as select id from t where pt = max_pt('p1.t');",
		"create table plain (id bigint);",
		"create table empty (id bigint) partitioned by (pt string);",
		"insert into plain select sum(id) from t where pt = max_pt('T');",
	} {
		mustRun(t, c, statement)
	}
	for query, want := range map[string]string{
		"select max_pt('t');": "\"_c0\"\n\"20240110\"\n",
		"select id from t where pt = max_pt('p1.t') order by id;": "\"id\"\n2\n3\n",
		"select id from v order by id;":                           "\"id\"\n2\n3\n",
		"select id from plain;":                                   "\"id\"\n5\n",
	} {
		if got := mustRun(t, c, query); got != want {
			t.Errorf("%s = %q, want %q", query, got, want)
		}
	}
	mustRun(t, c, "insert into t partition (pt='20240111', hh='00') values (4);")
	if got := mustRun(t, c, "select id from v;"); got != "\"id\"\n4\n" {
		t.Errorf("the view with a newer partition = %q, want row 4", got)
	}
	for call, want := range map[string]string{
		"max_pt('nosuch')":       "ODPS-0130131:[1,15] Table not found - table nosuch cannot be resolved",
		"max_pt('plain')":        "ODPS-0130071:[1,8] Semantic analysis exception - function max_pt: table p1.plain has no partitions: no partition has rows",
		"max_pt('empty')":        "ODPS-0130071:[1,8] Semantic analysis exception - function max_pt: table p1.empty: no partition has rows",
		"max_pt('a.b.c.t')":      "ODPS-0130071:[1,8] Semantic analysis exception - function max_pt takes the name of a table as a text: max_pt('project.table')",
		"max_pt(concat('t',''))": "ODPS-0130071:[1,8] Semantic analysis exception - function max_pt takes the name of a table as a text: max_pt('project.table')",
		"max_pt()":               "ODPS-0130071:[1,8] Semantic analysis exception - function max_pt takes the name of a table as a text: max_pt('project.table')",
	} {
		if _, err := run(t, c, "select "+call+";"); err == nil || !contains(err, want) {
			t.Errorf("%s: %v, want %s", call, err, want)
		}
	}
}

func TestGoSDK_select_as_csv(t *testing.T) {
	c := client(start(t, emulator.Options{}))
	task := odps.NewAnonymousSQLTask("select 1 as A, 'x,\"y\"' b, cast(null as string) n, '中' z;", nil)
	i, err := task.Run(c, "p1")
	must(t, err)
	must(t, i.WaitForSuccess())
	reader, err := task.GetSelectResultAsCsv(i, true)
	must(t, err)
	var rows [][]string
	for {
		row, err := reader.Read()
		if err == io.EOF {
			break
		}
		must(t, err)
		rows = append(rows, row)
	}
	if diff := cmp.Diff([][]string{{"a", "b", "n", "z"}, {"1", `x,"y"`, `\N`, "中"}}, rows); diff != "" {
		t.Error(diff)
	}
}

func TestGoSDK_insert(t *testing.T) {
	c := client(start(t, emulator.Options{}))
	mustRun(t, c, "create table t (id bigint not null, name string, price decimal(10,2)) ")
	mustRun(t, c, "insert into t values (1, 'a', 1.5), (2, null, null);")
	mustRun(t, c, "insert into table p1.t (id, price) select id + 2, price * 2 from t")
	if got, want := mustRun(t, c, "set a=b; select * from t order by id"), "\"id\",\"name\",\"price\"\n1,\"a\",1.5\n2,\\N,\\N\n3,\\N,3\n4,\\N,\\N\n"; got != want {
		t.Errorf("after INSERT INTO:\n%swant\n%s", got, want)
	}
	mustRun(t, c, "insert overwrite table t select 9, name, price from t where id = 1")
	if got, want := mustRun(t, c, "select * from `t`"), "\"id\",\"name\",\"price\"\n9,\"a\",1.5\n"; got != want {
		t.Errorf("after INSERT OVERWRITE:\n%swant\n%s", got, want)
	}
	for query, want := range map[string]string{
		"insert into t values (null, 'x', 1)":          "column id of table p1.t is NOT NULL, and 1 rows have no value for it",
		"insert into t values (1, 'x', 123456789.00)":  "ODPS-0123144",
		"insert into t values (1, 'x')":                "2 columns where the table takes 3",
		"insert into t (id, nowhere) select 1, 2":      "nowhere",
		"insert into nowhere select 1":                 "ODPS-0130131",
		"insert into t select * from nowhere":          "ODPS-0130131:[1,29]",
		"insert into t partition (pt='a') select 1":    "no partition column pt",
		"insert into t select 1, name, price from t u": "",
	} {
		_, err := run(t, c, query)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s = %v, want %q", query, err, want)
		}
	}
	if got, want := mustRun(t, c, "select count(*) c from t"), "\"c\"\n2\n"; got != want {
		t.Errorf("failed inserts left rows: %q, want %q", got, want)
	}
}

func TestGoSDK_insert_partitions(t *testing.T) {
	c := client(start(t, emulator.Options{}))
	mustRun(t, c, "create table t (id bigint) partitioned by (pt string, hh bigint)")
	mustRun(t, c, "insert into t partition (pt='a', hh='1') select 1")
	mustRun(t, c, "insert into t partition (pt='a', hh) select 2, 2 union all select 3, 1 union all select 4, 2")
	mustRun(t, c, "insert overwrite table t partition (pt, hh) values (5, 'b', 1), (6, 'a', 2)")
	if got, want := mustRun(t, c, "select * from t order by id"), "\"id\",\"pt\",\"hh\"\n1,\"a\",1\n3,\"a\",1\n5,\"b\",1\n6,\"a\",2\n"; got != want {
		t.Errorf("rows:\n%swant\n%s", got, want)
	}
	if got, want := mustRun(t, c, "select sum(hh) s, max(pt) m from t where pt = 'a' and hh = 1"), "\"s\",\"m\"\n2,\"a\"\n"; got != want {
		t.Errorf("filter on partition columns = %q, want %q", got, want)
	}
	values, err := c.Table("t").GetPartitionValues()
	must(t, err)
	if diff := cmp.Diff([]string{"pt=a/hh=1", "pt=a/hh=2", "pt=b/hh=1"}, values); diff != "" {
		t.Error(diff)
	}
	if _, err := run(t, c, "insert into t partition (pt='a', hh) select 2, null"); err == nil || !strings.Contains(err.Error(), "ODPS-0123031") {
		t.Errorf("NULL in a dynamic partition column = %v, want ODPS-0123031", err)
	}
	mustRun(t, c, "truncate table t partition (pt='a', hh='1')")
	mustRun(t, c, "insert overwrite table t partition (pt='b', hh='1') select id from t where false")
	if got, want := mustRun(t, c, "select id from t"), "\"id\"\n6\n"; got != want {
		t.Errorf("after TRUNCATE and an empty INSERT OVERWRITE = %q, want %q", got, want)
	}
}

func TestGoSDK_create_as_and_like(t *testing.T) {
	c := client(start(t, emulator.Options{}))
	mustRun(t, c, "create table t lifecycle 3 as select 1L as id, timestamp '2024-01-02 03:04:05.678' ts, array(1,2) l")
	mustRun(t, c, "create table if not exists t as select 2")
	mustRun(t, c, "create table u like t")
	mustRun(t, c, "insert into u select * from t")
	if got, want := mustRun(t, c, "select u.* from p1.u"), "\"id\",\"ts\",\"l\"\n1,2024-01-02 03:04:05.678,\"[1, 2]\"\n"; got != want {
		t.Errorf("rows = %q, want %q", got, want)
	}
	if _, err := run(t, c, "create table t as select 2"); err == nil || !strings.Contains(err.Error(), "ODPS-0130211") {
		t.Errorf("CREATE TABLE AS of a table that is there = %v, want ODPS-0130211", err)
	}
	if _, err := run(t, c, "create table v as select cast('x' as bigint) as a"); err == nil {
		t.Error("CREATE TABLE AS of a failing query: want an error")
	}
	if ok, err := c.Table("v").Exists(); ok || err != nil {
		t.Errorf("the table of a failed CREATE TABLE AS exists: %v, %v", ok, err)
	}
}

func TestGoSDK_select_through_the_instance_tunnel(t *testing.T) {
	c := client(start(t, emulator.Options{AccessID: "ak", AccessKey: "sk"}))
	mustRun(t, c, "create table t (id bigint, d decimal(10,2), at datetime, ts timestamp, tags map<string,array<bigint>>, at2 struct<a:bigint,b:string>)")
	mustRun(t, c, "insert into t select range, range / 4, datetime '1969-12-31 23:59:59', timestamp '2024-01-02 03:04:05.123456789', map('k', array(range, null)), null from range(12000)")
	i, err := c.ExecSQl("select * from t where id >= 3 order by id")
	must(t, err)
	must(t, i.WaitForSuccess())
	session, err := tunnel.NewTunnel(c).CreateInstanceResultDownloadSession("p1", i.Id())
	must(t, err)
	if session.RecordCount() != 11997 {
		t.Errorf("RecordCount = %d, want 11997: more than the text holds", session.RecordCount())
	}
	results, err := i.GetResult()
	must(t, err)
	if n := strings.Count(results[0].Content(), "\n"); n != 10001 {
		t.Errorf("the result's text has %d lines, want a head and 10000 rows", n)
	}
	var types []string
	for _, column := range session.Schema().Columns {
		types = append(types, column.Name+" "+column.Type.Name())
	}
	want := []string{"id BIGINT", "d DECIMAL(10,2)", "at DATETIME", "ts TIMESTAMP", "tags MAP<STRING,ARRAY<BIGINT>>", "at2 STRUCT<`a`:BIGINT,`b`:STRING>"}
	if diff := cmp.Diff(want, types); diff != "" {
		t.Error(diff)
	}
	r, err := session.OpenRecordReader(2, 2, 0, nil)
	must(t, err)
	defer func() { must(t, r.Close()) }()
	for id := int64(5); id < 7; id++ {
		record, err := r.Read()
		must(t, err)
		at, _ := record[2].(data.DateTime)
		ts, _ := record[3].(data.Timestamp)
		if record[0] != data.BigInt(id) || at.Time().Unix() != -1 || ts.Time().UnixNano() != 1704164645123456789 || record[5] != nil {
			t.Errorf("row %d = %v", id, record)
		}
		tags, _ := record[4].(*data.Map)
		if tags == nil || len(tags.ToGoMap()) != 1 {
			t.Errorf("row %d: tags = %v", id, record[4])
		}
	}
	if _, err := r.Read(); !errors.Is(err, io.EOF) {
		t.Errorf("after two rows: %v, want EOF", err)
	}
}

func TestGoSDK_schemas_in_names(t *testing.T) {
	c := client(start(t, emulator.Options{}))
	schemas := map[string]string{"odps.namespace.schema": "true"}
	mustRun(t, c, "create table s1.t (id bigint)", schemas)
	mustRun(t, c, "insert into p1.s1.t values (7)", schemas)
	if got, want := mustRun(t, c, "select id from s1.t", schemas), "\"id\"\n7\n"; got != want {
		t.Errorf("s1.t with schemas = %q, want %q", got, want)
	}
	if got, want := mustRun(t, c, "set odps.namespace.schema=true; set odps.default.schema=s1; select id from t"), "\"id\"\n7\n"; got != want {
		t.Errorf("t in schema s1 = %q, want %q", got, want)
	}
	if _, err := run(t, c, "select id from s1.t"); err == nil || !strings.Contains(err.Error(), "ODPS-0130131") {
		t.Errorf("s1.t without schemas = %v, want ODPS-0130131: s1 is a project then", err)
	}
}

func TestGoSDK_stop_a_query(t *testing.T) {
	c := client(start(t, emulator.Options{}))
	i, err := c.ExecSQl("select count(*) from range(100000000) a, range(100000000) b where a.range * b.range = 7")
	must(t, err)
	must(t, i.Terminate())
	must(t, i.Load())
	if i.Status() != odps.InstanceTerminated {
		t.Errorf("status = %v, want terminated", i.Status())
	}
	tasks, err := i.GetTasks()
	must(t, err)
	if len(tasks) != 1 || tasks[0].Status != odps.TaskCancelled {
		t.Errorf("tasks = %+v, want one cancelled", tasks)
	}
}

func TestServer_close_ends_running_queries(t *testing.T) {
	s := start(t, emulator.Options{})
	_, err := client(s).ExecSQl("select count(*) from range(100000000) a, range(100000000) b where a.range * b.range = 7")
	must(t, err)
	must(t, s.Close())
}

func TestGoSDK_filter_on_partitions(t *testing.T) {
	c := client(start(t, emulator.Options{}))
	mustRun(t, c, "create table t (id bigint) partitioned by (pt string, hh bigint)")
	mustRun(t, c, "insert into t select range, range % 3, range % 2 from range(12)")
	for query, want := range map[string]string{
		"select id from t where pt = '1' order by id":                  "1,4,7,10",
		"select id from t where pt = '1' and hh = 1 order by id":       "1,7",
		"select id from t where pt = '1' or id = 0 order by id":        "0,1,4,7,10",
		"select id from t where pt = '7'":                              "",
		"select id from t where pt = '1' and pt = '2'":                 "",
		"select a.id from t a join t b on a.id = b.id where a.id = 11": "11",
	} {
		got := strings.TrimPrefix(mustRun(t, c, query), "\"id\"\n")
		if got = strings.ReplaceAll(strings.TrimSpace(got), "\n", ","); got != want {
			t.Errorf("%s = %s, want %s", query, got, want)
		}
	}
}
