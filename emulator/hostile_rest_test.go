package emulator_test

import (
	"encoding/xml"
	"net/http"
	"strings"
	"testing"
)

func TestHostile_metadata_requests_are_refused_without_effect(t *testing.T) {
	e := newEstate(t)
	const api = "/api/projects/p"
	deep := strings.Repeat("<a>", 100000)
	notFound := func(method, target string) hostile { return hostile{method, target, "", nil, 404, "NoSuchObject"} }
	e.refuse(true, []hostile{
		// What does not exist.
		{"GET", "/api/projects/q", "", nil, 404, "NoSuchProject"},
		{"GET", "/api/projects/q/tables", "", nil, 404, "NoSuchProject"},
		{"GET", "/api/projects//tables", "", nil, 404, "NoSuchPath"},
		{"GET", "/api/nowhere", "", nil, 404, "NoSuchPath"},
		{"POST", "/", "", nil, 404, "NoSuchPath"},
		{"GET", api + "/volumes", "", nil, 404, "NoSuchPath"},
		{"GET", api + "/tables/golden/nowhere/else", "", nil, 404, "NoSuchPath"},
		{"GET", api + "/registration/nowhere", "", nil, 404, "NoSuchPath"},
		{"GET", api + "/resources/a/b", "", nil, 404, "NoSuchPath"},
		{"GET", api + "/schemas/s/t/u", "", nil, 404, "NoSuchPath"},
		notFound("GET", api+"/tables/none"), notFound("GET", api+"/tables/none?extended"), notFound("GET", api+"/tables/none?partitions"),
		notFound("GET", api+"/tables/none?data&linenum=1"), notFound("GET", api+"/tables/%00"), notFound("GET", api+"/tables/%ff%fe"),
		notFound("GET", api+"/tables/"+strings.Repeat("x", 4096)), notFound("GET", api+"/tables/golden?curr_schema=s"),
		notFound("GET", api+"/resources/none"), notFound("GET", api+"/resources/none?meta"), notFound("DELETE", api+"/resources/none"),
		notFound("GET", api+"/registration/functions/none"), notFound("DELETE", api+"/registration/functions/none"),
		notFound("GET", api+"/schemas/none"), notFound("DELETE", api+"/schemas/none"),
		notFound("GET", api+"/instances/none"), notFound("GET", api+"/instances/%2e%2e"),

		// What is there, but not in this way.
		{"DELETE", api, "", nil, 405, "MethodNotAllowed"},
		{"PATCH", api + "/tables/golden", "", nil, 405, "MethodNotAllowed"},
		{"DELETE", api + "/tables/golden", "", nil, 405, "MethodNotAllowed"},
		{"PUT", api + "/tables", "", nil, 405, "MethodNotAllowed"},
		{"DELETE", api + "/instances/" + e.instance, "", nil, 405, "MethodNotAllowed"},
		{"PUT", api + "/resources", "", nil, 405, "MethodNotAllowed"},
		{"PATCH", api + "/resources/r.txt", "", nil, 405, "MethodNotAllowed"},
		{"DELETE", api + "/registration/functions", "", nil, 405, "MethodNotAllowed"},
		{"PUT", api + "/schemas/s", "", nil, 405, "MethodNotAllowed"},
		{"GET", api + "/authorization", "", nil, 405, "MethodNotAllowed"},
		{"POST", api + "/tunnel?service", "", nil, 405, "MethodNotAllowed"},

		// Parameters.
		{"GET", api + "/tables?maxitems=x", "", nil, 400, "InvalidParameter"},
		{"GET", api + "/tables?maxitems=-1", "", nil, 400, "InvalidParameter"},
		{"GET", api + "/tables?maxitems=99999999999999999999", "", nil, 400, "InvalidParameter"},
		{"GET", api + "/tables?marker=garbage", "", nil, 400, "InvalidParameter"},
		{"GET", api + "/resources?marker=%ff", "", nil, 400, "InvalidParameter"},
		{"GET", api + "/registration/functions?maxitems=1e3", "", nil, 400, "InvalidParameter"},
		{"GET", api + "/schemas?marker=../..", "", nil, 400, "InvalidParameter"},
		{"GET", api + "/instances?marker=garbage", "", nil, 400, "InvalidParameter"},
		{"GET", api + "/instances?daterange=x:y", "", nil, 400, "InvalidParameter"},
		{"GET", api + "/tables/parts?partitions&marker=garbage", "", nil, 400, "InvalidParameter"},
		{"GET", api + "/tables/golden?data&linenum=x", "", nil, 400, "InvalidParameter"},
		{"GET", api + "/tables/golden?data&linenum=-1", "", nil, 400, "InvalidParameter"},
		{"GET", api + "/tables/golden?data&linenum=1&cols=none", "", nil, 400, "InvalidParameter"},
		{"GET", api + "/tables/parts?partition=nonsense", "", nil, 400, "InvalidPartitionSpec"},
		{"GET", api + "/tables/parts?partition=pt=a", "", nil, 400, "InvalidPartitionSpec"},
		{"GET", api + "/tables/parts?partition=xx=a,hh=1", "", nil, 400, "InvalidPartitionSpec"},
		{"GET", api + "/tables/parts?partition=pt='a", "", nil, 400, "InvalidPartitionSpec"},
		{"GET", api + "/tables/parts?partition=pt=a,pt=b", "", nil, 400, "InvalidPartitionSpec"},
		{"GET", api + "/tables/parts?partition=pt=a,hh=1,x=2", "", nil, 400, "InvalidPartitionSpec"},
		{"GET", api + "/tables/parts?partitions&partition=hh=1", "", nil, 400, "InvalidPartitionSpec"},
		{"GET", api + "/tables/parts?partition=pt=b,hh=1", "", nil, 404, "NoSuchPartition"},
		{"GET", api + "/tables/golden?partition=pt=a", "", nil, 400, "InvalidPartitionSpec"},
		{"GET", api + "/resources/r.txt?rOffset=-1", "", nil, 400, "InvalidArgument"},
		{"GET", api + "/resources/r.txt?rOffset=x", "", nil, 400, "InvalidArgument"},
		{"GET", api + "/resources/r.txt?rOffset=0&rSize=99999999999999999999", "", nil, 400, "InvalidArgument"},

		// Instances.
		{"PUT", api + "/instances/none", "<Instance><Status>Terminated</Status></Instance>", nil, 404, "NoSuchObject"},
		{"PUT", api + "/instances/" + e.instance, "<Instance><Status>Running</Status></Instance>", nil, 400, "InvalidStateSetting"},
		{"PUT", api + "/instances/" + e.instance, "<Instance>", nil, 400, "InvalidArgument"},
		{"PUT", api + "/instances/" + e.instance, "", nil, 400, "InvalidArgument"},
		{"POST", api + "/instances", "", nil, 400, "InvalidArgument"},
		{"POST", api + "/instances", "no xml", nil, 400, "InvalidArgument"},
		{"POST", api + "/instances", "\x00\x01\x02", nil, 400, "InvalidArgument"},
		{"POST", api + "/instances", deep, nil, 400, "InvalidArgument"},
		{"POST", api + "/instances", `<!DOCTYPE x [<!ENTITY a "b">]><Instance>&a;</Instance>`, nil, 400, "InvalidArgument"},
		{"POST", api + "/instances", submit("drop table golden") + "<Instance/>", nil, 400, "InvalidArgument"},
		{"POST", api + "/instances", "<Job>" + submit("drop table golden") + "</Job>", nil, 400, "InvalidArgument"},
		{"POST", api + "/instances", "<Instance><Job><Tasks></Tasks></Job></Instance>", nil, 400, "InvalidArgument"},
		{"POST", api + "/instances", "<Instance><Job><Tasks><Merge/></Tasks></Job></Instance>", nil, 400, "InvalidArgument"},
		{"POST", api + "/instances", "<Instance><Job><Priority>x</Priority><Tasks><SQL><Query>drop table golden</Query></SQL></Tasks></Job></Instance>", nil, 400, "InvalidArgument"},
		{"POST", api + "/instances", strings.Replace(submit("drop table golden"), `{"a":"b"}`, `{"a":`, 1), nil, 400, "InvalidArgument"},
		{"POST", api + "/instances", strings.Replace(submit("drop table golden"), `{"a":"b"}`, `[]`, 1), nil, 400, "InvalidArgument"},

		// Tables in batches.
		{"POST", api + "/tables?query", "", nil, 400, "InvalidArgument"},
		{"POST", api + "/tables?query", "<Tables><Table>", nil, 400, "InvalidArgument"},
		{"POST", api + "/tables?query", "<Table/>", nil, 400, "InvalidArgument"},

		// The project, its schemas, its functions.
		{"PUT", api, "<Project>", nil, 400, "InvalidArgument"},
		{"PUT", api, "", nil, 400, "InvalidArgument"},
		{"PUT", api, "<Table/>", nil, 400, "InvalidArgument"},
		{"POST", api + "/schemas", "<Schema>", nil, 400, "InvalidArgument"},
		{"POST", api + "/schemas", "<Schema/>", nil, 400, "InvalidArgument"},
		{"POST", api + "/schemas", "<Schema><Name>a.b</Name></Schema>", nil, 400, "InvalidArgument"},
		{"POST", api + "/schemas", "<Schema><Name>" + strings.Repeat("x", 1000) + "</Name></Schema>", nil, 400, "InvalidArgument"},
		{"POST", api + "/schemas", "<Schema><Name>x</Name><Project>q</Project></Schema>", nil, 400, "InvalidArgument"},
		{"POST", api + "/schemas", "<Schema><Name>s</Name></Schema>", nil, 409, "ObjectAlreadyExists"},
		{"POST", api + "/registration/functions", "<Function>", nil, 400, "InvalidArgument"},
		{"POST", api + "/registration/functions", "<Function/>", nil, 400, "InvalidArgument"},
		{"POST", api + "/registration/functions", "<Function><Alias>f</Alias><ClassType>r.F</ClassType></Function>", nil, 409, "ObjectAlreadyExists"},
		{"POST", api + "/registration/functions", "<Function><Alias>a.b/c</Alias><ClassType>r.F</ClassType></Function>", nil, 400, "InvalidArgument"},
		{"PUT", api + "/registration/functions/f", "<Function><Alias>g</Alias><ClassType>r.F</ClassType></Function>", nil, 400, "InvalidArgument"},
		{"PUT", api + "/registration/functions/none", "<Function><Alias>none</Alias><ClassType>r.F</ClassType></Function>", nil, 404, "NoSuchObject"},
		{"PUT", api + "/registration/functions/f?updateowner", "", nil, 400, "InvalidArgument"},
		{"POST", api + "/authorization", "<Authorization><Query>grant all</Query></Authorization>", nil, 400, "InvalidParameter"},
		{"POST", api + "/authorization", "<Authorization>", nil, 400, "InvalidArgument"},
		{"POST", api + "/authorization?sign_bearer_token", "{", nil, 400, "InvalidArgument"},
		{"POST", api + "/authorization?sign_bearer_token", `{"expires_in_hours":-1}`, nil, 400, "InvalidArgument"},
		{"POST", api + "/authorization?sign_bearer_token", `{"expires_in_hours":1e99}`, nil, 400, "InvalidArgument"},
	})
}

func TestHostile_resource_requests_are_refused_without_effect(t *testing.T) {
	e := newEstate(t)
	const all, one = "/api/projects/p/resources", "/api/projects/p/resources/r.txt"
	file, name, part := "x-odps-resource-type: file", "x-odps-resource-name: n.txt", "x-odps-resource-name: n.part"
	md5 := "9a0364b9e99bb480dd25e1f0284c8555" // of "content"
	total := func(n string) string { return "x-odps-resource-merge-total-bytes: " + n }
	e.refuse(true, []hostile{
		{"POST", all, "x", nil, 400, "InvalidArgument"},
		{"POST", all, "x", []string{file}, 400, "InvalidArgument"},
		{"POST", all, "x", []string{name}, 400, "InvalidArgument"},
		{"POST", all, "x", []string{name, "x-odps-resource-type: cake"}, 400, "InvalidArgument"},
		{"POST", all, "x", []string{file, "x-odps-resource-name: a/b"}, 400, "InvalidArgument"},
		{"POST", all, "x", []string{file, "x-odps-resource-name: r.txt"}, 409, "ObjectAlreadyExists"},
		{"POST", all, "x", []string{file, name, "x-odps-resource-istemp: maybe"}, 400, "InvalidArgument"},
		{"POST", all, "x", []string{file, name, "Content-MD5: zz"}, 400, "InvalidArgument"},
		{"POST", all, "x", []string{file, name, "Content-MD5: " + md5}, 400, "CheckSumError"},
		{"PUT", one, "x", []string{file, "Content-MD5: " + md5}, 400, "CheckSumError"},
		{"PUT", one, "x", []string{"x-odps-resource-type: jar", "Content-MD5: " + md5}, 400, "CheckSumError"},
		{"PUT", one + "?updateowner", "", nil, 400, "InvalidArgument"},
		{"POST", all + "?rIsPart=true", "x", []string{file}, 400, "InvalidArgument"},
		{"POST", all + "?rIsPart=true", "x", []string{file, part, "Content-MD5: " + md5}, 400, "CheckSumError"},
		{"POST", all + "?rIsPart=true", "x", []string{file, "x-odps-resource-name: a,b"}, 400, "InvalidArgument"},
		{"POST", all + "?rOpMerge=true", "", []string{file, name, total("0")}, 400, "InvalidArgument"},
		{"POST", all + "?rOpMerge=true", md5, []string{file, name, total("0")}, 400, "InvalidArgument"},
		{"POST", all + "?rOpMerge=true", "zz|r.part.tmp.000000", []string{file, name, total("4")}, 400, "InvalidArgument"},
		{"POST", all + "?rOpMerge=true", md5 + "|none", []string{file, name, total("4")}, 404, "NoSuchObject"},
		{"POST", all + "?rOpMerge=true", md5 + "|r.part.tmp.000000", []string{file, name}, 400, "InvalidArgument"},
		{"POST", all + "?rOpMerge=true", md5 + "|r.part.tmp.000000", []string{file, name, total("-4")}, 400, "InvalidArgument"},
		{"POST", all + "?rOpMerge=true", md5 + "|r.part.tmp.000000", []string{file, name, total("5")}, 400, "CheckSumError"},
		{"POST", all + "?rOpMerge=true", md5 + "|r.part.tmp.000000", []string{file, name, total("4")}, 400, "CheckSumError"},
		{"POST", all + "?rOpMerge=true", md5 + "|r.part.tmp.000000", []string{file, "x-odps-resource-name: r.txt", total("4")}, 409, "ObjectAlreadyExists"},
		{"PUT", one + "?rOpMerge=true", md5 + "|r.part.tmp.000000", []string{file, total("4")}, 400, "CheckSumError"},
		{"POST", all, "", []string{"x-odps-resource-type: table", name}, 400, "InvalidArgument"},
		{"POST", all, "", []string{"x-odps-resource-type: table", name, "x-odps-copy-table-source: p.none"}, 404, "NoSuchObject"},
		{"POST", all, "", []string{"x-odps-resource-type: table", name, "x-odps-copy-table-source: a.b.c.d"}, 400, "InvalidArgument"},
		{"POST", all, "", []string{"x-odps-resource-type: table", name, "x-odps-copy-table-source: p.parts partition(pt=)("}, 400, "InvalidArgument"},
		{"POST", all, "", []string{"x-odps-resource-type: table", name, "x-odps-copy-table-source: p.parts partition(xx='a')"}, 400, "InvalidPartitionSpec"},
		{"POST", all, "", []string{"x-odps-resource-type: volumefile", name}, 400, "InvalidArgument"},
	})
	// The part is still there, and still good.
	e.want(http.StatusCreated, "POST", all+"?rOpMerge=true", "f4c9385f1902f7334b00b9b4ecd164de|r.part.tmp.000000", file, name, total("4"))
	if got := e.want(http.StatusOK, "GET", all+"/n.txt", ""); got != "part" {
		t.Errorf("merged resource = %q, want the part", got)
	}
}

// badStatements are texts that no task may succeed with, and that must leave everything as it is.
var badStatements = []string{
	"x", "select", "drop", "drop table", "drop table none", "drop table golden golden", "drop table golden,ints", "drop table q.golden", "drop table a.b.c.d",
	"create table", "create table t", "create table t ()", "create table t (a)", "create table t (a cake)", "create table t (a bigint, a string)", "create table t (a bigint",
	"create table t (a decimal(99,1))", "create table t (a decimal(4,5))", "create table t (a char(0))", "create table t (a array<>)", "create table t (a map<array<int>,int>)",
	"create table golden (a bigint)", "create table t (a bigint) partitioned by (a string)", "create table t (a bigint) lifecycle -1", "create table t (a bigint) lifecycle x",
	"create table t (a bigint) tblproperties ('a')", "create table t like none", "create table t (a bigint comment 'x)", "create table `t (a bigint)",
	"alter table golden", "alter table golden add columns (id bigint)", "alter table golden drop columns none", "alter table golden rename to ints", "alter table none rename to t",
	"alter table golden add partition (pt='a')", "alter table parts add partition (pt='a')", "alter table parts add partition (pt='a', hh='1')", "alter table parts add partition (xx='a', hh='1')",
	"alter table parts add partition (pt='b', hh='x')", "alter table parts drop partition (pt='b', hh='1')", "alter table parts drop partition (pt='a'", "alter table golden set lifecycle x",
	"truncate table none", "truncate table parts partition (pt='z', hh='1')", "show", "show cakes", "desc none", "desc parts partition (pt='z', hh='1')",
	"/*", "'", "`", "\"", "\\", "\x00", "drop table golden\x00", "set", "set a", "(((((", "use q", "\uFEFFdrop table none", "drop table golden; drop", "drop table golden; select",
}

func TestHostile_SQL_fails_with_a_code_and_without_effect(t *testing.T) {
	e := newEstate(t)
	before := e.fingerprint()
	texts := append([]string{strings.Repeat("(", 100000), "create table t (a " + strings.Repeat("array<", 10000) + "int" + strings.Repeat(">", 10000) + ")"}, badStatements...)
	for _, text := range texts {
		status, header, answer := e.send("POST", "/api/projects/p/instances?tryWait", submitEscaped(text))
		failed := status == http.StatusOK && strings.Contains(answer, "<Status>Failed</Status>") && strings.Contains(answer, "ODPS-")
		if code, err := errorCode(header, answer, true); !failed && (status != http.StatusBadRequest || err != nil || code != "InvalidArgument") {
			t.Errorf("SQL %q = %d %s, want a failed task with a code, or 400 InvalidArgument", brief(text), status, answer)
		}
		if strings.Contains(answer, "ODPS-0010000") {
			t.Errorf("SQL %q = %s: an internal error", brief(text), answer)
		}
		if after := e.fingerprint(); after != before {
			t.Fatalf("SQL %q has changed something: %s", brief(text), difference(before, after))
		}
	}
}

// badQueries reach for what is not there, for files of the machine, for DuckDB itself, and for more than a type holds.
var badQueries = []string{
	"select", "select *", "select from golden", "select * from", "select * from none", "select none from golden", "select id from golden where", "select id from golden group by",
	"select (select id", "select * from golden where id = 'x", "select * from q.golden", "select * from a.b.c.d", "select sum(name, id) from golden", "select nosuchfunction(1)",
	"select id from golden union select 1, 2", "with x as (select 1) select * from y", "select * from golden join ints", "select id, count(*) from golden",
	"insert into none values (1)", "insert into golden values (1)", "insert into golden values (1, 'a', 2, true, 5)", "insert into golden select * from ints", "insert into golden (none) values (1)",
	"insert into golden values ('x', 'a', 1, true)", "insert into tiny values (1000, 'a', 1, null)", "insert into tiny values (1, 'a', 1000, null)", "insert into ints values (null)",
	"insert into parts values (1)", "insert into parts partition (pt='a') values (1)", "insert into parts partition (pt='a', hh='x') values (1)", "insert into golden partition (pt='a') values (1, 'a', 2, true)",
	"insert overwrite table golden", "insert overwrite table golden select", "insert overwrite table golden select 'x', 'a', 1, true",
	"select * from read_csv('/etc/passwd')", "select * from '/etc/passwd'", "select * from read_text('/etc/passwd')", "select * from read_blob('/etc/passwd')", "select * from glob('/*')",
	"copy golden to '/tmp/x'", "copy golden from '/etc/passwd'", "attach '/tmp/x.db'", "install httpfs", "load httpfs", "pragma database_list", "set memory_limit='1TB'; select nosuchfunction(1)",
	"create table t as select * from read_csv('/etc/passwd')", "export database '/tmp/x'", "checkpoint", "vacuum", "call pragma_version()", "select * from duckdb_tables()", "select * from information_schema.tables",
	"select getenv('HOME')", "select * from sqlite_master",
	"update golden set id = 1", "delete from golden", "merge into golden using ints on true when matched then delete",
	"select id from golden; select id from none", "drop table golden; select", "select '\\", "select `", "select /*", "select cast(1 as cake)",
}

func TestHostile_queries_fail_with_a_code_and_without_effect(t *testing.T) {
	e := newEstate(t)
	before := e.fingerprint()
	for _, text := range badQueries {
		answer := e.want(http.StatusOK, "POST", "/api/projects/p/instances?tryWait", submitEscaped(text))
		if !strings.Contains(answer, "<Status>Failed</Status>") || !strings.Contains(answer, "ODPS-") || strings.Contains(answer, "ODPS-0010000") {
			t.Errorf("query %q = %s, want a failed task with a code", text, answer)
		}
		if after := e.fingerprint(); after != before {
			t.Fatalf("query %q has changed something: %s", text, difference(before, after))
		}
	}
}

// TestHostile_metadata_bodies_cut_at_any_byte sends every beginning of a good body, as if it were all of it and in a
// connection that breaks there.
func TestHostile_metadata_bodies_cut_at_any_byte(t *testing.T) {
	e := newEstate(t)
	before := e.fingerprint()
	for _, c := range []hostile{
		{"POST", "/api/projects/p/instances", submit("drop table golden"), nil, 400, "InvalidArgument"},
		{"PUT", "/api/projects/p/instances/" + e.instance, "<Instance><Status>Terminated</Status></Instance>", nil, 400, "InvalidArgument"},
		{"POST", "/api/projects/p/tables?query", "<Tables><Table><Project>p</Project><Name>golden</Name></Table></Tables>", nil, 400, "InvalidArgument"},
		{"PUT", "/api/projects/p", "<Project><Comment>changed</Comment></Project>", nil, 400, "InvalidArgument"},
		{"POST", "/api/projects/p/schemas", "<Schema><Name>new</Name></Schema>", nil, 400, "InvalidArgument"},
		{"POST", "/api/projects/p/registration/functions", "<Function><Alias>g</Alias><ClassType>r.F</ClassType></Function>", nil, 400, "InvalidArgument"},
		{"PUT", "/api/projects/p/registration/functions/f", "<Function><Alias>f</Alias><ClassType>new.F</ClassType></Function>", nil, 400, "InvalidArgument"},
		{"POST", "/api/projects/p/resources", "content", []string{"x-odps-resource-type: file", "x-odps-resource-name: n", "Content-MD5: 9a0364b9e99bb480dd25e1f0284c8555"}, 400, "CheckSumError"},
		{"PUT", "/api/projects/p/resources/r.txt", "content", []string{"x-odps-resource-type: file", "Content-MD5: 9a0364b9e99bb480dd25e1f0284c8555"}, 400, "CheckSumError"},
		{"POST", "/api/projects/p/authorization?sign_bearer_token", `{"expires_in_hours":1}`, nil, 400, "InvalidArgument"},
	} {
		for n := range len(c.body) {
			e.breakOff(c.method, c.target, c.body, n, c.headers...)
			status, header, answer := e.send(c.method, c.target, c.body[:n], c.headers...)
			if code, err := errorCode(header, answer, true); status != c.status || err != nil || code != c.code {
				t.Errorf("%s %s cut to %q = %d %s, %v, want %d %s", c.method, c.target, c.body[:n], status, answer, err, c.status, c.code)
			}
		}
		if after := e.fingerprint(); after != before {
			t.Fatalf("%s %s, cut, has changed something: %s", c.method, c.target, difference(before, after))
		}
	}
	for n := range len("content") { // without a checksum only the connection tells
		e.breakOff("POST", "/api/projects/p/resources", "content", n, "x-odps-resource-type: file", "x-odps-resource-name: n")
		e.breakOff("PUT", "/api/projects/p/resources/r.txt", "changes", n, "x-odps-resource-type: file")
		e.breakOff("POST", "/api/projects/p/resources?rIsPart=true", "part", min(n, 3), "x-odps-resource-type: file", "x-odps-resource-name: r.part.tmp.000000")
	}
	if after := e.fingerprint(); after != before {
		t.Fatalf("broken off, has changed something: %s", difference(before, after))
	}
}

// submitEscaped is submit for texts that a CDATA section cannot hold.
func submitEscaped(query string) string {
	var escaped strings.Builder
	if err := xml.EscapeText(&escaped, []byte(query)); err != nil {
		panic(err) // the builder takes everything
	}
	return "<Instance><Job><Tasks><SQL><Name>N</Name><Query>" + escaped.String() + "</Query></SQL></Tasks></Job></Instance>"
}
