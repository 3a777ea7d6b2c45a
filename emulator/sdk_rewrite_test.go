//go:build cgo && duckdb_arrow

package emulator_test

import (
	"fmt"
	"sort"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-io/sluice/emulator"
)

// MERGE makes partitions that were not there when it began. Whoever else makes them
// meanwhile must not lose rows, and a MERGE that answers success has its row in the table.
func TestGoSDK_merges_and_inserts_into_a_new_partition_lose_no_row(t *testing.T) {
	c := client(start(t, emulator.Options{}))
	for round := range 6 {
		table := fmt.Sprintf("t%d", round)
		mustRun(t, c, "create table "+table+" (id bigint) partitioned by (pt string) tblproperties ('transactional'='true')")
		var wg sync.WaitGroup
		var mu sync.Mutex
		want := []string{"id"}
		for id := range 4 {
			query := fmt.Sprintf("insert into %s partition (pt='p') values (%d)", table, id)
			if id%2 == 0 {
				query = fmt.Sprintf("merge into %s c using (select %d as id) x on c.id = x.id when not matched then insert values (x.id, 'p')", table, id)
			}
			wg.Go(func() {
				_, err := run(t, c, query)
				switch {
				case err == nil:
					mu.Lock()
					want = append(want, fmt.Sprint(id))
					mu.Unlock()
				case !strings.Contains(err.Error(), "ODPS-0110999"):
					t.Errorf("%s: %v", query, err)
				}
			})
		}
		wg.Wait()
		sort.Strings(want[1:])
		got := mustRun(t, c, "select id from "+table+" order by id limit 10")
		got = strings.ReplaceAll(got, `"`, "")
		if diff := cmp.Diff(want, strings.Fields(got)); diff != "" {
			t.Fatalf("round %d: rows (-answered with success +found):\n%s", round, diff)
		}
	}
}

func TestGoSDK_rows_of_an_auto_partitioned_table_move_with_their_column(t *testing.T) {
	c := client(start(t, emulator.Options{}))
	for _, statement := range []string{
		"create table t (id bigint, d date) auto partitioned by (trunc_time(d, 'month') as pt) tblproperties ('transactional'='true')",
		"insert into t values (1, date '2024-01-05'), (2, date '2024-01-06'), (3, date '2024-02-07')",
		"update t set d = date '2024-03-01' where id = 2",
		"delete from t where id = 3",
		"merge into t using (select 1 as id union all select 4 as id) x on t.id = x.id when matched then update set d = date '2024-04-02' when not matched then insert values (x.id, date '2024-05-03')",
	} {
		mustRun(t, c, statement)
	}
	want := "\"id\",\"d\",\"pt\"\n1,2024-04-02,\"2024-04\"\n2,2024-03-01,\"2024-03\"\n4,2024-05-03,\"2024-05\"\n"
	if diff := cmp.Diff(want, mustRun(t, c, "select id, d, pt from t order by id limit 9")); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

// A query may give what no CREATE TABLE can declare. Such a table would make the catalogue
// unreadable: the list of tables, DROP and the checker fail on it.
func TestGoSDK_types_that_cannot_be_declared_make_no_table_and_no_view(t *testing.T) {
	c := client(start(t, emulator.Options{}))
	mustRun(t, c, "create table d (x decimal(38,18))")
	for _, value := range []string{
		strings.Repeat("array(", 21) + "1" + strings.Repeat(")", 21),
		strings.Repeat("array(", 70) + "1" + strings.Repeat(")", 70),
		"map(array(1), 1)",
		"named_struct('a:b,c>', 1)",
		"x * x",
		"cast(x as decimal(38,30))",
	} {
		for _, kind := range []string{"table", "view", "materialized view"} {
			_, err := run(t, c, "create "+kind+" made as select "+value+" as a from d")
			if err != nil {
				if !strings.Contains(err.Error(), "ODPS-0130071") {
					t.Errorf("create %s of %.30s: %v, want ODPS-0130071", kind, value, err)
				}
				continue
			}
			mustRun(t, c, "desc made")
			mustRun(t, c, "drop "+kind+" made")
		}
		if _, err := run(t, c, "select "+value+" as a from d"); err != nil && strings.Contains(err.Error(), "ODPS-0010000") {
			t.Errorf("select %.30s: %v", value, err)
		}
	}
	if got := mustRun(t, c, "show tables"); !strings.HasSuffix(strings.TrimSpace(got), ":d") || strings.Contains(got, "made") {
		t.Errorf("show tables = %q, want d alone", got)
	}
}
