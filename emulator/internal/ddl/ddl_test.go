package ddl

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// ignorePlaces compares statements by meaning; places have a test of their own.
var ignorePlaces = cmp.Options{
	cmpopts.IgnoreTypes(Pos{}),
	cmpopts.IgnoreFields(Text{}, "Offset"),
	cmpopts.EquateEmpty(),
}

func TestParse_statements(t *testing.T) {
	name := func(parts ...string) Name { return Name{Parts: parts} }
	spec := func(kv ...string) Spec {
		var s Spec
		for i := 0; i < len(kv); i += 2 {
			s.Keys = append(s.Keys, SpecKey{Column: kv[i], Value: kv[i+1]})
		}
		return s
	}
	tests := map[string]struct {
		sql  string
		want Statement
	}{
		"go sdk create": {
			"create table if not exists p.`s`.`t` (\n    `id` BIGINT not null comment 'it\\'s',\n    `v` STRING  \n,primary key( `id`))\ncomment 'c'\npartitioned by (`pt` STRING)\nTBLPROPERTIES ('transactional'='true')\nlifecycle 7;",
			&CreateTable{
				Table: name("p", "s", "t"), IfNotExists: true, PrimaryKey: []string{"id"}, Comment: "c", Lifecycle: 7,
				Columns:       []Column{{Name: "id", Type: "BIGINT", NotNull: true, Comment: "it's"}, {Name: "v", Type: "STRING"}},
				PartitionedBy: []Column{{Name: "pt", Type: "STRING"}},
				Properties:    []Property{{"transactional", "true"}},
			},
		},
		"pyodps create": {
			"CREATE TABLE p.`t` (\n  `id` bigint NOT NULL COMMENT 'x',\n  `m` map<string,array<struct<a:bigint,`b`:decimal(10, 2)>>>,\n  PRIMARY KEY (`id`)\n)\nCOMMENT 'c'\nPARTITIONED BY (\n  `pt` string\n)\nCLUSTERED BY (`id`) SORTED BY (`id` ASC, `m` desc) INTO 16 BUCKETS TBLPROPERTIES (\n  'transactional' = 'true'\n)\nLIFECYCLE 7",
			&CreateTable{
				Table: name("p", "t"), PrimaryKey: []string{"id"}, Comment: "c", Lifecycle: 7,
				Columns: []Column{
					{Name: "id", Type: "bigint", NotNull: true, Comment: "x"},
					{Name: "m", Type: "map<string,array<struct<a:bigint,`b`:decimal(10, 2)>>>"},
				},
				PartitionedBy: []Column{{Name: "pt", Type: "string"}},
				Clustered:     &Clustered{Columns: []string{"id"}, Sorted: []Sorted{{"id", false}, {"m", true}}, Buckets: 16},
				Properties:    []Property{{"transactional", "true"}},
			},
		},
		"java create with defaults": {
			"CREATE TABLE IF NOT EXISTS p.s.`t` (`id` BIGINT NOT NULL DEFAULT '1' COMMENT 'a', `d` DECIMAL(10,2) DEFAULT cast(1 as decimal(10,2)), n STRING DEFAULT -1 NOT NULL, PRIMARY KEY(`id`)) COMMENT 'c'  PARTITIONED BY (`a` STRING COMMENT 'k',`b` BIGINT) TBLPROPERTIES('k'='v','l'='w') LIFECYCLE 7;",
			&CreateTable{
				Table: name("p", "s", "t"), IfNotExists: true, PrimaryKey: []string{"id"}, Comment: "c", Lifecycle: 7,
				Columns: []Column{
					{Name: "id", Type: "BIGINT", NotNull: true, Default: "'1'", Comment: "a"},
					{Name: "d", Type: "DECIMAL(10,2)", Default: "cast(1 as decimal(10,2))"},
					{Name: "n", Type: "STRING", Default: "-1", NotNull: true},
				},
				PartitionedBy: []Column{{Name: "a", Type: "STRING", Comment: "k"}, {Name: "b", Type: "BIGINT"}},
				Properties:    []Property{{"k", "v"}, {"l", "w"}},
			},
		},
		"keywords as names, double quotes, comments": {
			"/* a */ create  table `select` ( primary string, comment bigint comment \"say \\\"hi\\\"\" -- why\n, `a``b` int primary key null )",
			&CreateTable{Table: name("select"), Lifecycle: -1, PrimaryKey: []string{"a`b"}, Columns: []Column{
				{Name: "primary", Type: "string"}, {Name: "comment", Type: "bigint", Comment: `say "hi"`}, {Name: "a`b", Type: "int"},
			}},
		},
		"create as":            {"create table t lifecycle 3 as select 1 as a;", &CreateTable{Table: name("t"), Lifecycle: 3, Query: &Text{SQL: "select 1 as a"}}},
		"create like":          {"create table if not exists t like p.u", &CreateTable{Table: name("t"), IfNotExists: true, Lifecycle: -1, Like: &Name{Parts: []string{"p", "u"}}}},
		"drop":                 {"drop table if exists p.`s`.`t`;", &DropTable{Table: name("p", "s", "t"), IfExists: true}},
		"drop upper":           {"DROP TABLE T", &DropTable{Table: name("T")}},
		"add partitions":       {"alter table p.`t` add if not exists\npartition (pt='1',b='2')\npartition (pt='1',b=\"3\")\n;", &AddPartitions{Table: name("p", "t"), IfNotExists: true, Specs: []Spec{spec("pt", "1", "b", "2"), spec("pt", "1", "b", "3")}}},
		"add partition fused":  {"alter table p.t addpartition (pt='1')\n;", &AddPartitions{Table: name("p", "t"), Specs: []Spec{spec("pt", "1")}}},
		"add partitions fused": {"alter table p.t addpartition (pt='1')\npartition (pt='2')\n;", &AddPartitions{Table: name("p", "t"), Specs: []Spec{spec("pt", "1"), spec("pt", "2")}}},
		"add partition number": {"ALTER TABLE t ADD PARTITION (`pt`=20240101, h=-1)", &AddPartitions{Table: name("t"), Specs: []Spec{spec("pt", "20240101", "h", "-1")}}},
		"drop partitions":      {"alter table t drop if exists partition (a='1'),\n partition (a='2');", &DropPartitions{Table: name("t"), IfExists: true, Specs: []Spec{spec("a", "1"), spec("a", "2")}}},
		"show tables":          {"show tables in p like 'a*';", &ShowTables{In: "p", Like: "a*"}},
		"show partitions":      {"show partitions p.t partition (pt='a')", &ShowPartitions{Table: name("p", "t"), Spec: spec("pt", "a")}},
		"desc":                 {"desc p.`t`;", &Describe{Table: name("p", "t")}},
		"describe partition":   {"DESCRIBE EXTENDED t PARTITION (pt='a')", &Describe{Table: name("t"), Extended: true, Spec: spec("pt", "a")}},
		"set lifecycle":        {"alter table p.`t` set lifecycle 30;", &AlterTable{Table: name("p", "t"), Change: &SetLifecycle{Days: 30}}},
		"set comment":          {"alter table t set comment 'it\\'s'", &AlterTable{Table: name("t"), Change: &SetComment{Text: "it's"}}},
		"set properties":       {"alter table t set tblproperties ('a'='b')", &AlterTable{Table: name("t"), Change: &SetProperties{Properties: []Property{{"a", "b"}}}}},
		"rename":               {"alter table p.s.`t` rename to `u`;", &AlterTable{Table: name("p", "s", "t"), Change: &RenameTable{To: "u"}}},
		"touch":                {"alter table t touch;", &AlterTable{Table: name("t"), Change: &NoChange{}}},
		"change owner":         {"alter table t changeowner to 'x'", &AlterTable{Table: name("t"), Change: &ChangeOwner{Owner: "x"}}},
		"clustered":            {"alter table t range clustered by (`a`) sorted by (`a` asc) into 4 buckets;", &AlterTable{Table: name("t"), Change: &SetClustering{To: &Clustered{Range: true, Columns: []string{"a"}, Sorted: []Sorted{{Column: "a"}}, Buckets: 4}}}},
		"not clustered":        {"alter table t not clustered", &AlterTable{Table: name("t"), Change: &SetClustering{}}},
		"add column":           {"alter table t add column a string;", &AlterTable{Table: name("t"), Change: &AddColumns{Columns: []Column{{Name: "a", Type: "string"}}}}},
		"add columns":          {"alter table t add columns if not exists (`a` BIGINT comment 'c', b array<string>);", &AlterTable{Table: name("t"), Change: &AddColumns{IfNotExists: true, Columns: []Column{{Name: "a", Type: "BIGINT", Comment: "c"}, {Name: "b", Type: "array<string>"}}}}},
		"drop columns":         {"alter table t drop columns `a`, b;", &AlterTable{Table: name("t"), Change: &DropColumns{Names: []string{"a", "b"}}}},
		"change column type":   {"alter table t change column `a` a DECIMAL(10,2);", &AlterTable{Table: name("t"), Change: &ChangeColumn{Name: "a", NewName: "a", Type: "DECIMAL(10,2)"}}},
		"rename column":        {"alter table t change column a rename to b;", &AlterTable{Table: name("t"), Change: &ChangeColumn{Name: "a", NewName: "b"}}},
		"truncate":             {"truncate table p.t;", &Truncate{Table: name("p", "t")}},
		"truncate partition":   {"TRUNCATE TABLE t PARTITION (pt='a')", &Truncate{Table: name("t"), Specs: []Spec{spec("pt", "a")}}},
		"select":               {"select ';', `a` from t -- done;\n;", &Query{Text{SQL: "select ';', `a` from t"}}},
		"with select":          {"with x as (select 1) select * from x;", &Query{Text{SQL: "with x as (select 1) select * from x"}}},
		"values":               {"values (1),(2)", &Query{Text{SQL: "values (1),(2)"}}},
		"insert values":        {"insert into t values (1,'a;b')", &Insert{Table: name("t"), Query: Text{SQL: "values (1,'a;b')"}}},
		"insert into local":    {"insert into local.t values (1)", &Insert{Table: name("local", "t"), Query: Text{SQL: "values (1)"}}},
		"insert directory":     {"insert into directory (a) values (1)", &Insert{Table: name("directory"), Columns: []string{"a"}, Query: Text{SQL: "values (1)"}}},
		"insert overwrite": {
			"INSERT OVERWRITE TABLE p.t PARTITION (a='1', b) SELECT * FROM u;",
			&Insert{Table: name("p", "t"), Overwrite: true, Query: Text{SQL: "SELECT * FROM u"}, Partition: Spec{Keys: []SpecKey{{Column: "a", Value: "1"}, {Column: "b", Dynamic: true}}}},
		},
		"insert columns":       {"insert into table t (a, `b`) select 1,2", &Insert{Table: name("t"), Columns: []string{"a", "b"}, Query: Text{SQL: "select 1,2"}}},
		"insert parenthesised": {"insert into t (select 1)", &Insert{Table: name("t"), Query: Text{SQL: "(select 1)"}}},
		"with insert":          {"with x as (select 1) insert into t select * from x", &Insert{Table: name("t"), Query: Text{SQL: "with x as (select 1) select * from x"}}},
		"nothing":              {" -- only a comment", nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			script, err := Parse(tt.sql)
			if err != nil {
				t.Fatalf("Parse(%q) = %v", tt.sql, err)
			}
			if diff := cmp.Diff(tt.want, script.Statement, ignorePlaces); diff != "" {
				t.Errorf("Parse(%q) (-want +got):\n%s", tt.sql, diff)
			}
		})
	}
}

func TestParse_settings_come_before_the_statement(t *testing.T) {
	script, err := Parse("set odps.sql.type.system.odps2=true; SET a.b = it's raw ;\n select 1")
	if err != nil {
		t.Fatal(err)
	}
	want := []Setting{{"odps.sql.type.system.odps2", "true"}, {"a.b", "it's raw"}}
	if diff := cmp.Diff(want, script.Settings); diff != "" {
		t.Error(diff)
	}
	if _, ok := script.Statement.(*Query); !ok {
		t.Errorf("statement = %T, want *Query", script.Statement)
	}
}

func TestParse_refuses_with_code_and_place(t *testing.T) {
	tests := map[string]struct {
		sql  string
		want string
	}{
		"nonsense":               {"selec 1", "ODPS-0130161:[1,1] Parse exception - 'selec' found where a statement was expected"},
		"second line":            {"create table t (\n  a bigint,\n  b)", "ODPS-0130161:[3,4] Parse exception - ')' found where a type was expected"},
		"characters, not bytes":  {"drop table 表 x", "ODPS-0130161:[1,14] Parse exception - 'x' found where end of statement was expected"},
		"open string":            {"select 'a", "ODPS-0130161:[1,8] Parse exception - string is not closed"},
		"open name":              {"select `a", "ODPS-0130161:[1,8] Parse exception - name in back-ticks is not closed"},
		"open comment":           {"select /* a", "ODPS-0130161:[1,8] Parse exception - comment is not closed"},
		"no condition of update": {"update t set a = 1 where", "ODPS-0130161:[1,25] Parse exception - end of text found where a condition was expected"},
		"no condition of delete": {"delete from t where ;", "ODPS-0130161:[1,21] Parse exception - ';' found where a condition was expected"},
		"no query of a view":     {"create view v as", "ODPS-0130161:[1,17] Parse exception - end of text found where a query was expected"},
		"open parenthesis":       {"select (1", "ODPS-0130161:[1,10] Parse exception - end of text found where ')' was expected"},
		"spare parenthesis":      {"select 1)", "ODPS-0130161:[1,9] Parse exception - ')' found where end of statement was expected"},
		"no columns":             {"create table t", "ODPS-0130161:[1,15] Parse exception - end of text found where a list of columns was expected"},
		"empty columns":          {"create table t ()", "ODPS-0130161:[1,17] Parse exception - ')' found where a column name was expected"},
		"four parts":             {"drop table a.b.c.d", "ODPS-0130161:[1,18] Parse exception - 'd' found where the end of a table name of three parts was expected"},
		"alter exchange":         {"alter table t exchange partition (a='1')", "ODPS-0130071:[1,15] Semantic analysis exception - ALTER TABLE … EXCHANGE is not supported by this endpoint"},
		"alter add what":         {"alter table t add constraint c", "ODPS-0130071:[1,19] Semantic analysis exception - ALTER TABLE … ADD CONSTRAINT is not supported by this endpoint"},
		"set owner":              {"alter table t set owner x", "ODPS-0130071:[1,19] Semantic analysis exception - ALTER TABLE … SET OWNER is not supported by this endpoint"},
		"show":                   {"show grants", "ODPS-0130071:[1,6] Semantic analysis exception - SHOW GRANTS is not supported by this endpoint"},
		"external table":         {"create external table t (a bigint)", "ODPS-0130071:[1,8] Semantic analysis exception - an external table is not supported by this endpoint"},
		"directory":              {"insert overwrite directory '/x' select 1", "ODPS-0130071:[1,18] Semantic analysis exception - INSERT into a directory is not supported by this endpoint"},
		"local directory":        {"insert overwrite local directory '/x' select 1", "ODPS-0130071:[1,18] Semantic analysis exception - INSERT into a directory is not supported by this endpoint"},
		"analyze":                {"analyze table t compute statistics", "ODPS-0130071:[1,1] Semantic analysis exception - ANALYZE is not supported by this endpoint"},
		"msck":                   {"msck repair table t add partitions", "ODPS-0130071:[1,1] Semantic analysis exception - MSCK is not supported by this endpoint"},
		"create function":        {"create function f as 'a.B' using 'x.jar'", "ODPS-0130071:[1,8] Semantic analysis exception - CREATE FUNCTION as SQL (clients use the REST API) is not supported by this endpoint"},
		"merge partition":        {"alter table t merge partition(a='1') overwrite partition(a='2')", "ODPS-0130071:[1,15] Semantic analysis exception - ALTER TABLE … MERGE is not supported by this endpoint"},
		"condition with or":      {"alter table t drop partition (a > '1' or a < '0')", "ODPS-0130071:[1,39] Semantic analysis exception - OR in a condition on partitions is not supported by this endpoint"},
		"scalar variable":        {"@a string := 'x'", "ODPS-0130071:[1,4] Semantic analysis exception - a variable with a type; one that holds a query is not supported by this endpoint"},
		"auto by another":        {"create table t (d date) auto partitioned by (year(d))", "ODPS-0130071:[1,46] Semantic analysis exception - AUTO PARTITIONED BY with anything but trunc_time is not supported by this endpoint"},
		"second is wrong":        {"select 1; selec 2", "ODPS-0130161:[1,11] Parse exception - 'selec' found where a statement was expected"},
		"explain explain":        {"explain explain select 1", "ODPS-0130161:[1,9] Parse exception - 'explain' found where a statement was expected"},
		"merge without when":     {"merge into t using u on t.a = u.a", "ODPS-0130161:[1,34] Parse exception - end of text found where 'WHEN' was expected"},
		"partition without key":  {"alter table t add partition ('a')", "ODPS-0130161:[1,30] Parse exception - ''a'' found where a partition column was expected"},
		"lifecycle of zero days": {"create table t (a bigint) lifecycle 0", "ODPS-0130161:[1,37] Parse exception - '0' found where a number of days was expected"},
		"set without value":      {"set a", "ODPS-0130161:[1,1] Parse exception - SET wants key=value"},
		"insert into nothing":    {"insert t select 1", "ODPS-0130161:[1,8] Parse exception - 't' found where 'INTO' or 'OVERWRITE' was expected"},
		"type too deep":          {"create table t (a " + strings.Repeat("array<", 200), "ODPS-0130161:[1,624] Parse exception - a type nested deeper than 100"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(tt.sql)
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("Parse(%q) = %v, want an *Error", tt.sql, err)
			}
			if got := e.Error(); got != tt.want {
				t.Errorf("Parse(%q)\n got %s\nwant %s", tt.sql, got, tt.want)
			}
		})
	}
}

func TestTokens_resolve_escapes(t *testing.T) {
	tokens, err := Tokens(`'a\'b\\c\nd\u4e2de''f' "x\"y""z" 1.5e-3BD 2L .5 _a$1`)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, tok := range tokens {
		got = append(got, tok.Text)
	}
	want := []string{"a'b\\c\nd中e'f", `x"y"z`, "1.5e-3BD", "2L", ".5", "_a$1"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// FuzzParse proves that no text makes the parser panic, run for ever, or fail without a
// place that lies in the text.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"create table if not exists p.`s`.`t` (`id` BIGINT not null comment 'it\\'s'\n,primary key( `id`)) partitioned by (`pt` STRING) TBLPROPERTIES ('a'='b') lifecycle 7;",
		"alter table p.t addpartition (pt='1')\npartition (pt='2');", "alter table t drop if exists partition (a=-1), partition (a='2')",
		"set a=b; with x as (select 1) insert overwrite table t partition (a='1',b) select * from x", "truncate table t partition (a='1')",
		"create table t as select 1", "create table t like u", "select ';' -- x\n/* y */ ;", "drop table `a``b`", "alter table t change column a b array<int> comment 'x'",
		"merge into t a using (select 1 x) b on a.x = b.x when matched and b.x > case when 1 then 2 end then update set x = 1, y = (2) when not matched then insert (x) values (b.x)",
		"update t set a = 1 where b = 2", "delete from t where a in (1)", "from t insert into a select x where y insert overwrite table b partition (p='1') select z", "@a := select 1; select * from @a",
		"create or replace view if not exists v (a comment 'x') comment 'y' as select 1", "alter table t partition (a='1') rename to partition (a='2')", "alter table t drop partition (a >= '1', b != 2)",
		"create table t (a date) auto partitioned by (trunc_time(a, 'day') as p)", "explain insert into t values (1)", "use schema s; show create table t", "'", "`", "\"\\", "1e+", "\xff\xfe", "SET", "(",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, source string) {
		_, err := Parse(source)
		if err == nil {
			return
		}
		var e *Error
		if !errors.As(err, &e) {
			t.Fatalf("Parse(%q) = %T, want *Error", source, err)
		}
		lines := strings.Split(source, "\n")
		if e.Pos.Line < 1 || e.Pos.Line > len(lines) || e.Pos.Column < 1 || e.Pos.Column > len(lines[e.Pos.Line-1])+1 {
			t.Errorf("Parse(%q): place %v is outside the text", source, e.Pos)
		}
	})
}
