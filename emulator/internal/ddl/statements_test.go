package ddl

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse_statements_beyond_tables(t *testing.T) {
	name := func(parts ...string) Name { return Name{Parts: parts} }
	text := func(s string) *Text { return &Text{SQL: s} }
	yes, no := true, false
	one := Spec{Keys: []SpecKey{{Column: "a", Value: "1"}}}
	two := Spec{Keys: []SpecKey{{Column: "a", Value: "2"}}}
	x := "x"
	tests := map[string]Statement{
		"create or replace table t (a bigint)": &CreateTable{Table: name("t"), OrReplace: true, Lifecycle: -1, Columns: []Column{{Name: "a", Type: "bigint"}}},
		"create table t (d datetime) auto partitioned by (trunc_time(`d`,'day') AS pt) lifecycle 3": &CreateTable{
			Table: name("t"), Lifecycle: 3, Columns: []Column{{Name: "d", Type: "datetime"}}, Auto: &AutoPartition{Name: "pt", Column: "d", Unit: "day"},
		},
		"create view if not exists p.v (a comment 'x', b) comment 'y' as select 1, 2": &CreateView{
			View: name("p", "v"), IfNotExists: true, Columns: []Column{{Name: "a", Comment: "x"}, {Name: "b"}}, Comment: "y", Lifecycle: -1, Query: *text("select 1, 2"),
		},
		"create or replace view v as with x as (select 1) select * from x;": &CreateView{View: name("v"), OrReplace: true, Lifecycle: -1, Query: *text("with x as (select 1) select * from x")},
		"create materialized view v lifecycle 5 as select 1":                &CreateView{View: name("v"), Materialized: true, Lifecycle: 5, Query: *text("select 1")},
		"alter materialized view v rebuild":                                 &RebuildView{View: name("v")},
		"alter view v rename to w":                                          &AlterTable{Table: name("v"), View: true, Change: &RenameTable{To: "w"}},
		"drop view if exists s.v":                                           &DropView{View: name("s", "v"), IfExists: true},
		"drop materialized view v":                                          &DropView{View: name("v"), Materialized: true},
		"create schema if not exists p.s comment 'x'":                       &CreateSchema{Schema: name("p", "s"), IfNotExists: true, Comment: "x"},
		"alter schema `p`.`s` set comment 'x';":                             &AlterSchema{Schema: name("p", "s"), Comment: &[]string{"x"}[0]},
		"alter schema s changeowner to 'x'":                                 &AlterSchema{Schema: name("s")},
		"drop schema if exists s":                                           &DropSchema{Schema: name("s"), IfExists: true},
		"use schema S":                                                      &UseSchema{Name: "s"},
		"show schemas":                                                      &ShowSchemas{},
		"show create table p.t":                                             &ShowCreate{Table: name("p", "t")},
		"show functions":                                                    &ShowFunctions{},
		"show views in s like 'a*'":                                         &ShowViews{ShowTables: ShowTables{In: "s", Like: "a*"}},
		"explain select 1":                                                  &Explain{Of: &Query{*text("select 1")}},
		"alter table t change column a a bigint first":                      &AlterTable{Table: name("t"), Change: &ChangeColumn{Name: "a", NewName: "a", Type: "bigint", First: true}},
		"alter table t change a b string comment 'x' after c":               &AlterTable{Table: name("t"), Change: &ChangeColumn{Name: "a", NewName: "b", Type: "string", Comment: &x, After: "c"}},
		"alter table t change column a null":                                &AlterTable{Table: name("t"), Change: &ChangeColumn{Name: "a", NewName: "a", NotNull: &no}},
		"alter table t change column a not null":                            &AlterTable{Table: name("t"), Change: &ChangeColumn{Name: "a", NewName: "a", NotNull: &yes}},
		"alter table t unset tblproperties ('a', 'b')":                      &AlterTable{Table: name("t"), Change: &UnsetProperties{Keys: []string{"a", "b"}}},
		"alter table t disable lifecycle":                                   &AlterTable{Table: name("t"), Change: &NoChange{}},
		"alter table t partition (a='1') rename to partition (a='2')":       &RenamePartition{Table: name("t"), From: one, To: two},
		"alter table t partition (a='1') touch":                             &TouchPartition{Table: name("t"), Spec: one},
		"alter table t partition (a='1') enable lifecycle":                  &TouchPartition{Table: name("t"), Spec: one},
		"alter table t drop partition (a='1'), partition (a >= '2' and a <> 3)": &DropPartitions{
			Table: name("t"), Specs: []Spec{one}, Filters: []Filter{{Conditions: []Condition{{"a", ">=", "2"}, {"a", "!=", "3"}}}},
		},
		"update p.t x set a = case when b then 1 end, x.c = f(1, 2) where d = 1": &Update{
			Target: Target{name("p", "t"), "x"}, Set: []Assignment{{"a", *text("case when b then 1 end")}, {"c", *text("f(1, 2)")}}, Where: text("d = 1"),
		},
		"update t set a = 1":        &Update{Target: Target{name("t"), "t"}, Set: []Assignment{{"a", *text("1")}}},
		"delete from t where a = 1": &Delete{Target: Target{name("t"), "t"}, Where: text("a = 1")},
		"delete from t as q":        &Delete{Target: Target{name("t"), "q"}},
		"merge into t using (select 1 a) as s on t.a = s.a when matched and t.b = case when s.a then 1 end then update set b = s.b, c = 2 when matched then delete when not matched then insert (a, b) values (s.a, (1))": &Merge{
			Target: Target{name("t"), "t"}, Source: *text("(select 1 a)"), SourceAlias: "s", On: *text("t.a = s.a"),
			Clauses: []MergeClause{
				{Matched: true, And: text("t.b = case when s.a then 1 end"), Set: []Assignment{{"b", *text("s.b")}, {"c", *text("2")}}},
				{Matched: true, Delete: true},
				{Columns: []string{"a", "b"}, Values: []Text{*text("s.a"), *text("(1)")}},
			},
		},
		"from u insert into a select x, y where z > 1 insert overwrite table b partition (p='1') select q": &MultiInsert{Inserts: []*Insert{
			{Table: name("a"), Query: *text("select x, y from u where z > 1")},
			{Table: name("b"), Overwrite: true, Partition: Spec{Keys: []SpecKey{{Column: "p", Value: "1"}}}, Query: *text("select q from u")},
		}},
		"select 1; drop table t;": &Block{Statements: []Statement{&Query{*text("select 1")}, &DropTable{Table: name("t")}}},
	}
	for sql, want := range tests {
		script, err := Parse(sql)
		if err != nil {
			t.Errorf("Parse(%q) = %v", sql, err)
			continue
		}
		if diff := cmp.Diff(want, script.Statement, ignorePlaces); diff != "" {
			t.Errorf("Parse(%q) (-want +got):\n%s", sql, diff)
		}
	}
}

func TestParse_variables_are_queries_with_a_name(t *testing.T) {
	script, err := Parse("set a=b; @X := select 1 as a; @y := (select * from @x); select * from @y")
	if err != nil {
		t.Fatal(err)
	}
	want := []Variable{{"x", Text{SQL: "select 1 as a"}}, {"y", Text{SQL: "(select * from @x)"}}}
	if diff := cmp.Diff(want, script.Variables, ignorePlaces); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(Statement(&Query{Text{SQL: "select * from @y"}}), script.Statement, ignorePlaces); diff != "" {
		t.Error(diff)
	}
}
