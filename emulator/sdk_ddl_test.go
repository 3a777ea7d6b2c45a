//go:build cgo && duckdb_arrow

package emulator_test

import (
	"strings"
	"testing"

	"github.com/aliyun/aliyun-odps-go-sdk/odps"

	"github.com/sluice-io/sluice/emulator"
)

// steps runs SQL texts in order. A text with " => " before it wants that result: the rows'
// lines behind the names, joined by blanks; one with " !! " an error that says so.
func steps(t *testing.T, c *odps.Odps, texts ...string) {
	t.Helper()
	for _, step := range texts {
		query, want, rows := strings.Cut(step, " => ")
		query, refusal, refused := strings.Cut(query, " !! ")
		text, err := run(t, c, query)
		switch {
		case refused && (err == nil || !strings.Contains(err.Error(), refusal)):
			t.Errorf("%s = %v, want %s", query, err, refusal)
		case !refused && err != nil:
			t.Fatalf("%s: %v", query, err)
		case rows:
			_, lines, _ := strings.Cut(text, "\n")
			if got := strings.Join(strings.Fields(strings.ReplaceAll(lines, "\n", " ")), " "); got != want {
				t.Errorf("%s = %s, want %s", query, got, want)
			}
		}
	}
}

func TestGoSDK_views(t *testing.T) {
	c := client(start(t, emulator.Options{}))
	steps(t, c,
		"create table t (id bigint, name string)",
		"insert into t values (1, 'a'), (2, 'b')",
		"create view v (n comment 'the number', s) comment 'c' as select id + 10, name from t",
		"create view v as select 1 !! ODPS-0130211",
		"create view if not exists v as select 1",
		"select * from v order by n => 11,\"a\" 12,\"b\"",
		"create view w as select max(n) m from p1.v",
		"select m, x.s from w join v x on x.n = w.m => 12,\"b\"",
		"insert into t values (5, 'e')",
		"select m from w => 15",
		"create or replace view v as select id n, name s from t where id > 1",
		"select m from w => 5",
		"select count(*) from v where s = 'b' => 1",
		"insert into v values (1, 'x') !! ODPS-0130071",
		"drop table v !! ODPS-0130071",
		"drop view t !! ODPS-0130071",
		"create or replace view t as select 1 !! ODPS-0130211",
		"create view bad as select nosuch from t !! ODPS-0130071:[1,27] Semantic analysis exception - column nosuch cannot be resolved",
		"create or replace view v as select * from w",
		"select * from v !! stands within itself",
		"drop view v",
		"select * from w !! ODPS-0130131",
		"drop view if exists v",
	)
	table := c.Table("w")
	must(t, table.Load())
	if table.Type() != odps.VirtualView || !strings.Contains(table.ViewText(), "select max(n) m from p1.v") {
		t.Errorf("Type = %v, ViewText = %q", table.Type(), table.ViewText())
	}
	text := mustRun(t, c, "desc w")
	if !strings.Contains(text, "VirtualView: YES | ViewText: select max(n) m from p1.v") {
		t.Errorf("DESC of a view:\n%s", text)
	}
	if got, want := mustRun(t, c, "show create table w"), "CREATE VIEW IF NOT EXISTS `p1`.`w` (`m`) AS select max(n) m from p1.v;\n"; got != want {
		t.Errorf("SHOW CREATE TABLE = %q, want %q", got, want)
	}
	if got := mustRun(t, c, "show views"); got != "ALIYUN$local:w\n" {
		t.Errorf("SHOW VIEWS = %q", got)
	}
}

func TestGoSDK_materialized_views(t *testing.T) {
	c := client(start(t, emulator.Options{}))
	steps(t, c,
		"create table t (id bigint)",
		"insert into t values (1), (2)",
		"create materialized view m lifecycle 3 as select sum(id) s from t",
		"insert into t values (5)",
		"select s from m => 3",
		"alter materialized view m rebuild",
		"select s from m => 8",
		"insert into m values (1) !! ODPS-0130071",
		"drop view m !! ODPS-0130071",
		"drop materialized view m",
		"select * from m !! ODPS-0130131",
	)
}

func TestGoSDK_create_table_in_all_its_clauses(t *testing.T) {
	c := client(start(t, emulator.Options{}))
	steps(t, c,
		"create table t (id bigint not null default 7 comment 'k', name string default 'it\\'s', at datetime default getdate(), d decimal(10,2) default 1.5bd, tags array<string> default array('x')) comment 'c' partitioned by (pt string) clustered by (id) sorted by (id desc) into 4 buckets tblproperties ('a'='b') lifecycle 9",
		"insert into t partition (pt='a') (name) values ('n')",
		"insert into t partition (pt='a') (id) select 1",
		"insert into t partition (pt) (id, pt) values (2, 'b')",
		"select id, name, at is not null, d, tags, pt from t order by id => 1,\"it's\",true,1.5,\"[\"\"x\"\"]\",\"a\" 2,\"it's\",true,1.5,\"[\"\"x\"\"]\",\"b\" 7,\"n\",true,1.5,\"[\"\"x\"\"]\",\"a\"",
		"create table u like t",
		"insert into u partition (pt='z') (name) values ('n')",
		"select id, name from u => 7,\"n\"",
		"create or replace table u (x int)",
		"insert into u values (3)",
		"create or replace table u as select x + 1 y from u",
		"select * from u => 4",
		"create table t as select 1 !! ODPS-0130211",
		"create table bad (a bigint default 'x')",
		"insert into bad () select 1 !! ODPS-0130161",
		"create table bad2 (a bigint default 'x', b bigint)",
		"insert into bad2 (b) values (1) !! column a: the value x does not fit bigint",
	)
	want := "CREATE TABLE IF NOT EXISTS `p1`.`t`(\n\t`id` BIGINT NOT NULL DEFAULT 7 COMMENT 'k',\n\t`name` STRING DEFAULT 'it\\'s',\n\t`at` DATETIME DEFAULT getdate(),\n\t`d` DECIMAL(10,2) DEFAULT 1.5bd,\n\t`tags` ARRAY<string> DEFAULT array('x')\n)\nCOMMENT 'c'\nPARTITIONED BY (\n\t`pt` STRING\n)\nCLUSTERED BY (`id`) SORTED BY (`id` DESC) INTO 4 BUCKETS\nSTORED AS ALIORC\nTBLPROPERTIES ('a'='b')\nLIFECYCLE 9;\n"
	if got := mustRun(t, c, "show create table t"); got != want {
		t.Errorf("SHOW CREATE TABLE =\n%s\nwant\n%s", got, want)
	}
	copied := strings.Replace(want, "`t`", "`copy`", 1)
	steps(t, c, copied)
	if got := mustRun(t, c, "show create table copy"); got != copied {
		t.Errorf("SHOW CREATE TABLE of its own text =\n%s\nwant\n%s", got, copied)
	}
}

func TestGoSDK_auto_partition(t *testing.T) {
	c := client(start(t, emulator.Options{}))
	steps(t, c,
		"create table t (id bigint, at datetime) auto partitioned by (trunc_time(`at`, 'day') as pt)",
		"insert into t values (1, datetime '2024-01-02 03:04:05'), (2, datetime '2024-01-03 00:00:00'), (3, datetime '2024-01-02 23:59:59')",
		"insert into t (at, id) select datetime '2024-01-03 10:00:00', 4",
		"select id, pt from t order by id => 1,\"2024-01-02\" 2,\"2024-01-03\" 3,\"2024-01-02\" 4,\"2024-01-03\"",
		"insert into t partition (pt='x') select 1, getdate() !! cannot be given",
		"insert into t (id) values (1) !! column at must be given",
		"alter table t change column at at2 datetime",
		"insert into t select 5, datetime '2024-02-01 00:00:00'",
		"select count(*) from t where pt = '2024-02-01' => 1",
		"create table bad (s string) auto partitioned by (trunc_time(s, 'day') as pt) !! cannot be cut",
		"create table bad (s date) auto partitioned by (trunc_time(s, 'hour') as pt) !! cannot be cut",
	)
	if got, want := mustRun(t, c, "show partitions t"), "pt=2024-01-02\npt=2024-01-03\npt=2024-02-01\n"; got != want {
		t.Errorf("SHOW PARTITIONS = %q, want %q", got, want)
	}
}

func TestGoSDK_change_columns(t *testing.T) {
	c := client(start(t, emulator.Options{}))
	steps(t, c,
		"create table t (a tinyint, b int not null, c float, d decimal(5,2), e varchar(3), f bigint)",
		"insert into t values (1, 2, 1.5, 3.25, 'abc', 9), (-128, 3, cast('NaN' as float), null, null, null)",
		"alter table t change column a a bigint",
		"alter table t change column b b string",
		"alter table t change column c c double",
		"alter table t change column d d decimal(20,4)",
		"alter table t change column e e string",
		"alter table t change column f f string first",
		"alter table t change column a a2 bigint comment 'x' after f",
		"alter table t change column b null",
		"insert into t values ('x', 9223372036854775807, null, 1e300, 1234567890123456.7891bd, 'longer')",
		"select * from t order by a2 => \\N,-128,\"3\",NaN,\\N,\\N \"9\",1,\"2\",1.5,3.25,\"abc\" \"x\",9223372036854775807,\\N,1.0E300,1234567890123456.7891,\"longer\"",
		"select sum(a2) from t where a2 > 0 !! ODPS-0123144",
		"select max(b), max(d) from t where a2 > 0 => \"2\",1234567890123456.7891",
		"alter table t change column a2 a2 int !! not every value would fit",
		"alter table t change column d d decimal(20,2) !! not every value would fit",
		"alter table t change column b not null !! allows NULL",
		"alter table t add columns if not exists (b bigint, g map<string,array<int>> comment 'm')",
		"insert into t (a2, g) select 5, map('k', array(1))",
		"select g['k'][0] from t where a2 = 5 => 1",
		"alter table t drop columns c, d",
		"select * from t where a2 = 1 => \"9\",1,\"2\",\"abc\",\\N",
		"alter table t changeowner to 'somebody'",
		"alter table t set tblproperties ('a'='b', 'c'='d')",
		"alter table t unset tblproperties ('a')",
		"alter table t disable lifecycle",
		"alter table t touch",
	)
}

func TestGoSDK_partitions_by_SQL(t *testing.T) {
	c := client(start(t, emulator.Options{}))
	steps(t, c,
		"create table t (id bigint) partitioned by (pt string, hh int)",
		"insert into t select range, concat('p', cast(range % 3 as string)), range from range(12)",
		"alter table t partition (pt='p0', hh=0) rename to partition (pt='q', hh=100)",
		"select id from t where pt = 'q' => 0",
		"alter table t partition (pt='q', hh=100) touch",
		"alter table t partition (pt='q', hh=100) rename to partition (pt='p1', hh=1) !! ODPS-0130211",
		"alter table t add partition (pt='n', hh=1) partition (pt='p1', hh=1) !! ODPS-0130211",
		"alter table t drop partition (pt='n', hh=1) !! ODPS-0130131",
		"alter table t drop partition (pt='p1' and hh > 4)",
		"select id from t where pt = 'p1' order by id => 1 4",
		"alter table t drop if exists partition (pt='p2', hh=2), partition (pt='nowhere', hh=1), partition (hh >= 11)",
		"select id from t where pt = 'p2' order by id => 5 8",
		"alter table t drop partition (pt='p2', hh=5), partition (pt='nowhere', hh=1) !! ODPS-0130131",
		"truncate table t partition (pt='p2', hh=5), partition (pt='p2', hh=99) !! ODPS-0130131",
		"select id from t where pt = 'p2' order by id => 5 8",
		"alter table t drop partition (nosuch > 1) !! no partition column nosuch",
	)
}

func TestGoSDK_scripts(t *testing.T) {
	c := client(start(t, emulator.Options{}))
	steps(t, c,
		"set a=b;\n-- a comment\ncreate table t (id bigint); insert into t values (1), (2);\nselect count(*) from t; => 2",
		"select 1; select nosuch from t !! ODPS-0130071:[1,18]",
		"drop table t; selec 1 !! ODPS-0130161:[1,15]",
		"select count(*) from t => 2",
		"@a := select id from t where id > 1;\n@b := select id + 1 as n from @a;\nselect b.n, a.id from @b b join @a a on b.n = a.id + 1; => 3,2",
		"@a := select 5 as id; insert into t select id from @a; with x as (select id from @a) select t.id from t join x on t.id = x.id => 5",
		"set odps.namespace.schema=true; create schema s; use schema s; create table t2 (id bigint); insert into s.t2 values (9); select * from p1.s.t2 => 9",
		"set odps.namespace.schema=true; drop schema s !! ODPS-0110061",
	)
	if got, want := mustRun(t, c, "show schemas"), "default\ns\n"; got != want {
		t.Errorf("SHOW SCHEMAS = %q, want %q", got, want)
	}
	if got := mustRun(t, c, "explain select id from t where id > 1"); !strings.Contains(got, "DuckDB") || strings.Contains(got, "sluice") {
		t.Errorf("EXPLAIN =\n%s", got)
	}
}

func TestGoSDK_multi_insert(t *testing.T) {
	c := client(start(t, emulator.Options{}))
	steps(t, c,
		"create table s (id bigint, k string)",
		"insert into s values (1, 'a'), (2, 'b'), (3, 'a')",
		"create table a (id bigint); create table b (id bigint) partitioned by (p string)",
		"from s insert into a select id where k = 'a' insert overwrite table b partition (p='x') select id where k = 'b' insert into b partition (p) select sum(id), k group by k",
		"select id from a order by id => 1 3",
		"select p, id from b order by p, id => \"a\",4 \"b\",2 \"x\",2",
		"from s insert into a select 100 insert into nosuch select id !! ODPS-0130131",
		"from s insert into a select 100 insert overwrite table a select id !! overwrites",
		"select id from a order by id => 1 3",
	)
}

func TestGoSDK_update_delete_merge(t *testing.T) {
	c := client(start(t, emulator.Options{}))
	steps(t, c,
		"create table t (id bigint not null, name string, n int default 4) partitioned by (pt string) tblproperties ('transactional'='true')",
		"insert into t partition (pt='a') values (1, 'x', 10), (2, 'y', null)",
		"insert into t partition (pt='b') values (3, 'z', 30)",
		"update t set name = concat(name, '!'), n = n + 1.7 where id < 3",
		"select * from t order by id => 1,\"x!\",11,\"a\" 2,\"y!\",\\N,\"a\" 3,\"z\",30,\"b\"",
		"update t set n = (select max(id) from t) where n is null",
		"select id, n from t order by id => 1,11 2,3 3,30",
		"delete from t where pt = 'b'",
		"select count(*) from t => 2",
		"show partitions t",
		"update t set id = null !! ODPS-0121095",
		"update t set pt = 'c' !! partition column pt cannot be changed",
		"update t set nosuch = 1 !! no column nosuch",
		"merge into t using (select 2 id, 'new' name union all select 7, 'seven') s on t.id = s.id when matched then update set name = s.name when not matched then insert (id, name, pt) values (s.id, s.name, 'm')",
		"select id, name, n, pt from t order by id => 1,\"x!\",11,\"a\" 2,\"new\",3,\"a\" 7,\"seven\",4,\"m\"",
		"merge into t x using t s on x.id = s.id and s.id > 1 when matched and s.id = 7 then delete when matched then update set n = 0",
		"select id, n from t order by id => 1,11 2,0",
		"merge into t using (select 1 id union all select 1) s on t.id = s.id when matched then delete !! matches several rows",
		"select count(*) from t => 2",
		"delete from t",
		"select count(*) from t => 0",
		"create table plain (id bigint)",
		"delete from plain where id = 1 !! not transactional",
	)
}

func TestGoSDK_values_that_do_not_fit_name_their_column(t *testing.T) {
	c := client(start(t, emulator.Options{}))
	steps(t, c,
		"create table t (a tinyint, b decimal(4,2), c varchar(2), d bigint not null, e date)",
		"insert into t values (300, 1, 'x', 1, null) !! column a: the value 300 does not fit tinyint",
		"insert into t values (1, 100, 'x', 1, null) !! column b: the value 100 does not fit decimal(4,2)",
		"insert into t values (1, 1, 'x', 'y', null) !! column d: the value y does not fit bigint",
		"insert into t values (1, 1, 'x', 1, 'no date') !! column e: the value no date does not fit date",
		"insert into t values (1, 1, 'x', null, null) !! ODPS-0121095",
		"insert into t values (1.9, 1.239, 'xyz', '5', '2024-01-02')",
		"select * from t => 1,1.24,\"xy\",5,2024-01-02",
	)
}
