//go:build cgo && duckdb_arrow

package instance

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/sluice-io/sluice/emulator/internal/sql"
	"github.com/sluice-io/sluice/emulator/internal/store"
)

// scriptSeeds are texts of every statement and of what has been difficult.
var scriptSeeds = []string{
	"select * from t", "select id, count(*) from t group by id order by id limit 1, 2", "create view v2 as select * from v; select * from v2; drop view v2",
	"insert into t values (1, 'a', array('x'), map('k', 1))", "insert overwrite table t select * from t", "update t set name = 'x' where id = 1", "delete from t where id > 1",
	"merge into t using (select 1 i) s on t.id = s.i when matched then update set name = 'm' when not matched then insert (id) values (s.i)",
	"from t insert into t select id, name, tags, m insert into p partition (pt) select id, name", "create table c as select 1 a; drop table c", "create or replace table c like t; alter table c change column id id bigint; drop table c",
	"create table a1 (d datetime) auto partitioned by (trunc_time(d, 'day') as x); insert into a1 values (getdate()); drop table a1",
	"alter table p add partition (pt='z'); alter table p drop partition (pt > 'a')", "desc extended t; show create table t; show partitions p; show tables; show schemas; explain select * from t",
	"select tag from t lateral view outer explode(tags) x as tag", "select tags[0], m['k'], name rlike 'a', id div 2, name <=> null from t",
	"@a := select * from t; select * from @a", "select decode(id, 1, 'a', 'b'), greatest(1, 2, id), concat('a', name), named_struct('x', 1), struct(1, 2), map(1, 2), array(1) from t",
	"select dateadd(getdate(), 1, 'dd'), to_char(getdate(), 'yyyy'), from_json('[1]', 'array<int>'), cast('1' as decimal(4, 2)) from t", "select regexp_replace(name, '(', 'x') from t",
	"select '\x00'", "select \"a\"\"b\", `c``d` from t", "select '100%' like '%\\%', 'a' || 1, -'3' + 2.5", "select (((((1)))))", "with recursive r as (select 1 n union all select n + 1 from r where n < 5) select * from r",
	"select * from t a, t b, t c where a.id = b.id and b.id = c.id", "values (1), (2)", "select sum(id) over (distribute by name sort by id rows between 1 preceding and current row) from t",
	"select error('x'), list_value(1), {'a': 1}, [1, 2][1] from t", "select 1 frm t", "select count(distinct id) c from t having c > 1", "select * from range(3)", "select x -> x + 1", "use schema default; select 1",
}

// FuzzScript proves that no text makes the endpoint panic or fail without a code of
// MaxCompute's: whatever comes, the answer is rows or an error that says what is wrong.
func FuzzScript(f *testing.F) {
	for _, s := range scriptSeeds {
		f.Add(s)
	}
	m := fuzzInstances(f)
	f.Fuzz(func(t *testing.T, text string) {
		ctx := t.Context()
		i, err := m.Submit("p", Task{Name: "fuzz", Query: text})
		if err != nil {
			t.Fatalf("Submit(%q) = %v", text, err)
		}
		if i = m.Await(ctx, i, 5*time.Second); !i.State.Final() {
			if err := m.Stop(t.Context(), "p", i.ID); err != nil {
				t.Fatalf("Stop(%q) = %v", text, err)
			}
			return
		}
		if i.State == Failed && (!strings.HasPrefix(i.Text, "ODPS-") || strings.HasPrefix(i.Text, "ODPS-0010000")) {
			t.Errorf("%q failed with %q, want a code and what is wrong", text, i.Text)
		}
	})
}

// fuzzInstances is a small catalogue: a table t, a partitioned table p, a view v.
func fuzzInstances(f *testing.F) *Registry {
	f.Helper()
	s, err := store.Open(store.Options{Dir: f.TempDir(), Now: time.Now})
	if err != nil {
		f.Fatal(err)
	}
	engine := sql.New()
	m := New(Options{Store: s, Engine: engine, Dir: f.TempDir(), Log: slog.New(slog.DiscardHandler), Now: time.Now})
	f.Cleanup(func() {
		for _, err := range []error{m.Close(), engine.Close(), s.Close()} {
			if err != nil {
				f.Error(err)
			}
		}
	})
	setup := "create table t (id bigint, name string, tags array<string>, m map<string,bigint>) tblproperties ('transactional'='true');" +
		"create table p (id bigint) partitioned by (pt string); insert into p partition (pt='a') values (1);" +
		"insert into t select range, concat('n', range), array('x'), map('k', range) from range(5); create view v as select id, name from t"
	i, err := m.Submit("p", Task{Query: setup})
	if err != nil {
		f.Fatal(err)
	}
	if i = m.Await(f.Context(), i, time.Minute); i.State != Succeeded {
		f.Fatalf("set the catalogue up: %s", i.Text)
	}
	return m
}
