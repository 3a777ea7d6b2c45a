package emulator_test

import (
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/sluice-io/sluice/emulator"
)

// A program that embeds the server asks it without HTTP.
func TestQuery_in_the_same_process(t *testing.T) {
	if !emulator.SQLBuilt {
		err := start(t, emulator.Options{}).Query(t.Context(), "p1", "select 1", nil)
		if err == nil {
			t.Error("a query without DuckDB succeeded")
		}
		return
	}
	s := start(t, emulator.Options{})
	create(t, client(s), "create table t as select 7L as id")
	var got []int64
	must(t, s.Query(t.Context(), "p1", "select id from t union all select id + 1 from p1.t order by id", func(b arrow.RecordBatch) error {
		got = append(got, b.Column(0).(*array.Int64).Int64Values()...)
		return nil
	}))
	if len(got) != 2 || got[0] != 7 || got[1] != 8 {
		t.Errorf("rows %v, want [7 8]", got)
	}
	if err := s.Query(t.Context(), "p1", "select nothing from t", nil); err == nil {
		t.Error("a query that makes no sense succeeded")
	}
}
