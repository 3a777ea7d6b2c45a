//go:build cgo && duckdb_arrow

package storageapi

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/sluice-io/sluice/emulator/internal/sql"
	"github.com/sluice-io/sluice/emulator/internal/store"
	"github.com/sluice-io/sluice/emulator/internal/types"
)

// A span counts the session's rows, of all its partitions, before the filter: a predicate on
// a partition column may leave none of them out of the counting, in this read or a later one.
func TestPredicate_on_a_partition_counts_all_rows(t *testing.T) {
	s, err := store.Open(store.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	engine := sql.New()
	f := &fixture{store: s, now: time.Unix(1_700_000_000, 0)}
	f.Handler = New(Options{Store: s, Engine: engine, Dir: t.TempDir(), Now: func() time.Time { return f.now }})
	t.Cleanup(func() {
		f.Close()
		if err := engine.Close(); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	table, _, err := s.CreateTable(store.Table{
		Key: store.NewKey("p", "", "t"), Columns: []store.Column{{Name: "id", Type: types.Type{Kind: types.BigInt}, Nullable: true}},
		PartitionColumns: []store.Column{{Name: "pt", Type: types.Type{Kind: types.String}}},
	}, false)
	if err != nil {
		t.Fatal(err)
	}
	for i, pt := range []string{"a", "b", "c"} {
		b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema([]arrow.Field{{Name: "id", Type: arrow.PrimitiveTypes.Int64, Nullable: true}}, nil))
		b.Field(0).(*array.Int64Builder).AppendValues([]int64{int64(10 * i), int64(10*i + 1), int64(10*i + 2)}, nil)
		rec := b.NewRecordBatch()
		b.Release()
		w := s.NewSegment(table)
		if err := w.WriteBatch(rec); err != nil {
			t.Fatal(err)
		}
		rec.Release()
		segment, err := w.Finish()
		if err != nil {
			t.Fatal(err)
		}
		pub := store.Publication{Spec: types.PartitionSpec{{Column: "pt", Value: pt}}, Segments: []*store.Segment{segment}}
		if err := s.Publish(table, []store.Publication{pub}, store.PublishOptions{CreatePartitions: true}); err != nil {
			t.Fatal(err)
		}
	}
	id, answer := f.session(t, `{"FilterPredicate":"pt = 'b'","SplitOptions":{"SplitMode":"RowOffset"}}`)
	if answer["RecordCount"] != 9.0 {
		t.Errorf("the session has %v rows, want all 9", answer["RecordCount"])
	}
	for range 2 {
		for _, tt := range []struct {
			start, count int
			want         []int64
		}{
			{0, 3, nil}, {3, 3, []int64{10, 11, 12}}, {2, 2, []int64{10}}, {5, 4, []int64{12}}, {6, 3, nil}, {0, 9, []int64{10, 11, 12}},
		} {
			got, _ := rows(t, f.do(http.MethodGet, fmt.Sprintf("%sdata?session_id=%s&row_index=%d&row_count=%d", base, id, tt.start, tt.count), ""))
			if !slices.Equal(got, tt.want) {
				t.Errorf("rows %d and %d more: %v, want %v", tt.start, tt.count, got, tt.want)
			}
		}
	}
}
