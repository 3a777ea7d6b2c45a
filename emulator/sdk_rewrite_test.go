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
