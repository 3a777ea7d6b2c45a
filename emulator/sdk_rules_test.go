//go:build cgo && duckdb_arrow

package emulator_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluice-io/sluice/emulator"
)

// What changes rows says why it will not, and then has changed none.
func TestGoSDK_changes_of_rows_that_are_refused_change_nothing(t *testing.T) {
	c := client(start(t, emulator.Options{}))
	steps(t, c,
		"create table t (id bigint, n bigint default 7, s string) partitioned by (pt string) tblproperties ('transactional'='true')",
		"insert into t partition (pt='a') values (1, 2, 'x')",
		"create view v as select id, n from t",
		"create table one (id bigint)",
		"update v set n = 1 !! is a view, its rows cannot be changed",
		"delete from v !! is a view, its rows cannot be changed",
		"merge into v using t on v.id = t.id when matched then delete !! is a view, its rows cannot be changed",
		"insert into v values (1, 2) !! is a view, rows cannot be inserted",
		"update one set id = 1 !! table p1.one is not transactional",
		"update nosuch set id = 1 !! ODPS-0130131",
		"update t set nosuch = 1 !! has no column nosuch",
		"update t set n = 1, N = 2 !! column n is set twice",
		"update t set PT = 'b' !! partition column pt cannot be changed",
		"@a := select 5 as id;\nupdate t set n = 1 where id in (select id from @a) !! cannot use variables of the script",
		"update t set n = nosuch !! ODPS-0130071",
		"update t set n = 'word' where id = 1 !! ODPS-",
		"merge into t using one on t.id = one.id when not matched then insert (id, nosuch) values (1, 2) !! columns that table p1.t has not",
		"merge into t using one on t.id = one.id when not matched then insert (id, ID, pt) values (1, 2, 'a') !! inserts twice into column id of table p1.t",
		"merge into t using one on t.id = one.id when not matched then insert (id, pt) values (1) !! inserts 1 values into 2 columns",
		"merge into t using one on t.id = one.id when not matched then insert values (1) !! inserts 1 values into 4 columns",
		"merge into t using one on t.id = one.id when matched then update set nosuch = 1 !! has no column nosuch",
		"insert into t partition (pt) (id, pt, n) values (1, 'a', 2) !! column n is not known, named twice, or not in its place",
		"insert into t partition (pt='a') (id, id) values (1, 2) !! column id is not known, named twice, or not in its place",
		"insert into t partition (pt='a') (id, nosuch) values (1, 2) !! column nosuch is not known",
		"insert into t partition (x='a') values (1, 2, 'x') !! the partition needs a value for pt",
		"insert into t partition (pt='a', x='b') values (1, 2, 'x') !! has no partition column x",
		"insert into t partition (pt) values (5, 6, 'x', null) !! NULL in the dynamic partition column pt",
		"create table two (id bigint) partitioned by (a string, b string)",
		"insert into two partition (a, b='x') values (1, 'y') !! b has a value behind a dynamic partition column",
		"alter table v add columns (z bigint) !! ODPS-0130071",
		"@a := select 1 as id;\ncreate view w as select id from @a !! ODPS-0130071",
		"update t set n = (select max(id) from one) where id = 9", // of another table, and of no row
		"select id, n, s, pt from t => 1,2,\"x\",\"a\"",
		"select count(*) from one => 0",
		"show partitions t",
	)
}

// A clause that does not apply leaves rows as they are, and columns that no clause names get
// their defaults, or NULL.
func TestGoSDK_merge_by_its_clauses(t *testing.T) {
	c := client(start(t, emulator.Options{}))
	steps(t, c,
		"create table t (id bigint, n bigint default 7, s string) tblproperties ('transactional'='true')",
		"insert into t (s) values ('no number')",
		"select * from t => \\N,7,\"no number\"",
		"insert into t (id) select * from values (1), (2), (3), (4), (5) as x (i)", // more rows than a default is kept for
		"select count(*), sum(n) from t => 6,42",
		"delete from t",
		"insert into t values (1, 10, 'a'), (2, 20, 'b'), (3, 30, 'c')",
		"create table x (id bigint)",
		"insert into x values (1), (2), (8), (9)",
		"merge into t using x on t.id = x.id when matched and t.id = 1 then update set s = 'A' when not matched and x.id = 8 then insert (id) values (x.id)",
		"select id, n, s from t order by id => 1,10,\"A\" 2,20,\"b\" 3,30,\"c\" 8,7,\\N",
		"merge into t using x on t.id = x.id when matched and t.id = 2 then delete", // adds nothing
		"select id from t order by id => 1 3 8",
		"merge into t using x on t.id = x.id when not matched then insert (s, id) values ('new', x.id)", // changes nothing
		"select id, n, s from t order by id => 1,10,\"A\" 2,7,\"new\" 3,30,\"c\" 8,7,\\N 9,7,\"new\"",
		"update t set n = n + 1 where n > 20",
		"select sum(n) from t => 62",
		"delete from t where s = 'A'",
		"select id from t order by id => 2 3 8 9", // a NULL is not 'A'
	)
}

func TestGoSDK_truncate_empties_what_is_named(t *testing.T) {
	c := client(start(t, emulator.Options{}))
	steps(t, c,
		"create table one (id bigint)",
		"insert into one values (1)",
		"truncate table one",
		"select count(*) from one => 0",
		"create table t (id bigint) partitioned by (pt string)",
		"insert into t values (1, 'a'), (2, 'b'), (3, 'c')",
		"truncate table t partition (pt='a'), partition (pt='c')",
		"select id, pt from t => 2,\"b\"",
		"truncate table t partition (pt='b'), partition (pt='x') !! ODPS-0130131",
		"select id, pt from t => 2,\"b\"",
		"truncate table t",
		"select count(*) from t => 0",
		"alter table t drop partition (pt='a')", // they are all there still
		"alter table t drop partition (pt='b')",
		"alter table t drop partition (pt='c')",
		"alter table t drop partition (pt='c') !! ODPS-0130131",
		"truncate table nosuch !! ODPS-0130131",
		"create table numbered (id bigint) partitioned by (n bigint)",
		"insert into numbered values (1, 5), (2, 10)",
		"alter table numbered drop partition (n > 'x') !! is no value of partition column n",
		"alter table numbered drop partition (n > '9')",
		"select id from numbered => 1",
	)
}

// Tables and views that are made of a query are whole, or as before.
func TestGoSDK_what_is_made_of_a_query_is_whole(t *testing.T) {
	c := client(start(t, emulator.Options{}))
	steps(t, c,
		"create table t as select 1 as a, 'x' as b",
		"create table t as select 2 as a !! ODPS-0130211",
		"create table if not exists t as select 2 as a",
		"select * from t => 1,\"x\"",
		"create or replace table t as select 3 as c",
		"select * from t => 3",
		"create or replace table t as select nosuch from t !! ODPS-0130071",
		"select * from t => 3",
		"create view v (p, q) as select c from t !! 2 columns are named where the query gives 1",
		"create materialized view m (p, q) as select c from t !! 2 columns are named where the query gives 1",
		"create materialized view m (p) as select c from t",
		"select p from m => 3",
		"insert into t values (4)",
		"select p from m => 3",
		"alter materialized view m rebuild",
		"select p from m order by p => 3 4",
		"create view v as select c from t",
		"alter materialized view v rebuild !! is no materialized view",
		"create table later (id bigint); create table made as select 1 + !! ODPS-0130161", // no statement runs before all are read
		"select * from later !! ODPS-0130131",
	)
}

// Columns change where their names say, and keys follow their columns.
func TestGoSDK_columns_change_and_keep_their_rows(t *testing.T) {
	c := client(start(t, emulator.Options{}))
	steps(t, c,
		"create table t (a bigint not null, b int, c string)",
		"insert into t values (1, 2, 'x')",
		"alter table t change column nosuch d bigint !! column nosuch is not there",
		"alter table t change column c c string after nosuch !! column nosuch is not there",
		"alter table t change column c c string first",
		"select * from t => \"x\",1,2",
		"alter table t change column c d string after b",
		"select * from t => 1,2,\"x\"",
		"select d from t => \"x\"",
		"insert into t values (null, 1, 'y') !! column a of table p1.t is NOT NULL",
		"alter table t change column a null",
		"insert into t values (null, 1, 'y')",
		"select count(*) from t where a is null => 1",
		"create table k (id bigint, n bigint, primary key (ID)) tblproperties ('transactional'='true', 'a'='b')",
		"insert into k (n) values (1) !! column id of table p1.k is NOT NULL",
		"insert into k values (1, 2)",
		"insert overwrite table k values (3, 4) !! ODPS-",
		"select * from k => 1,2",
		"create table like_k like k",
		"update like_k set n = 1", // transactional as its model
		"alter table k change column n m bigint",
		"alter table k change column id rename to key",
	)
	if got := mustRun(t, c, "show create table k"); !strings.Contains(strings.ReplaceAll(got, "`", ""), "PRIMARY KEY(key)") {
		t.Errorf("the primary key after its column was renamed:\n%s", got)
	}
}

// Names of a result come apart also where a column has the name that another one would get.
func TestGoSDK_names_of_a_result_stay_apart(t *testing.T) {
	c := client(start(t, emulator.Options{}))
	got := mustRun(t, c, "select 1 a, 2 a, 3 a, 4 a2, 5 a, 6 a2")
	if want := "\"a\",\"a3\",\"a4\",\"a2\",\"a5\",\"a22\"\n1,2,3,4,5,6\n"; got != want {
		t.Errorf("result %q, want %q", got, want)
	}
}

// filesUnder counts the files of one kind in a folder, and in those within it.
func filesUnder(t *testing.T, dir, suffix string) (n int) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, suffix) {
			n++
		}
		return err
	}))
	return n
}

// Queries, statements that rewrite and statements that fail hold no rows: the files go with
// the tables, and the rows that were never shown with their statement.
func TestGoSDK_statements_hold_no_rows_when_they_end(t *testing.T) {
	dir := t.TempDir()
	s, err := emulator.New(emulator.Options{DataDir: dir})
	must(t, err)
	s.Start()
	c := client(s)
	steps(t, c,
		"create table t (id bigint not null) partitioned by (pt string) tblproperties ('transactional'='true')",
		"create table u (id bigint)",
		"insert into t values (1, 'a'), (2, 'b')",
		"insert into u values (1)",
		"create view v as select t.id from t join u on t.id = u.id",
		"select count(*) from v => 1",
		"update t set id = id + 1 where pt = 'a'",
		"delete from t where id = 9",
		"insert into t partition (pt) select case when id = 1 then id end, 'z' from u union all select null, 'y' from u !! ODPS-0121095",
		"from u insert into u select id insert overwrite table u select id !! overwrites",
		"from u insert into u select id insert into nosuch select id !! ODPS-0130131",
		"merge into t using u on true when matched then delete",
		"select 1; select nosuch from u !! ODPS-0130071",
		"drop table t",
		"drop table u",
	)
	must(t, s.Close()) // ends the collector: what it was to remove is gone
	if n := filesUnder(t, dir, ".seg"); n != 0 {
		t.Errorf("%d segments are left of no table", n)
	}
}

// A script keeps the rows of its last query only, and none if it fails.
func TestGoSDK_scripts_keep_the_rows_of_their_last_query(t *testing.T) {
	dir := t.TempDir()
	c := client(start(t, emulator.Options{DataDir: dir}))
	steps(t, c, "select 1; select 2; select nosuch !! ODPS-0130071")
	if n := filesUnder(t, dir, ".arrow"); n != 0 {
		t.Errorf("%d results are left of a script that failed", n)
	}
	steps(t, c, "select 1; select 2 => 2")
	if n := filesUnder(t, dir, ".arrow"); n != 1 {
		t.Errorf("%d results are kept of two queries, want 1", n)
	}
	steps(t, c, "select 1; select 2; create table t (id bigint)")
	if n := filesUnder(t, dir, ".arrow"); n != 1 {
		t.Errorf("%d results are kept of a script that ends without a query, want that of the other one", n)
	}
	steps(t, c, "select 4; select 5; select 6 => 6")
	if n := filesUnder(t, dir, ".arrow"); n != 2 {
		t.Errorf("%d results are kept of two scripts, want 2", n)
	}
}

// An error's place is that in the script, whatever stands before the query.
func TestGoSDK_errors_of_a_script_name_their_place(t *testing.T) {
	c := client(start(t, emulator.Options{}))
	steps(t, c,
		"create table t (id bigint) tblproperties ('transactional'='true')",
		"select nosuch from t !! [1,8]",
		"select 1;\n\n  select nosuch from t !! [3,10]",
		"select 1; select id,\n nosuch from t !! [2,2]",
		"insert into t\nselect nosuch from t !! [2,8]",
	)
}
