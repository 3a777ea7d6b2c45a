package batch_test

import (
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/sluice-io/sluice/service/internal/batch"
)

// Thousands of slices hold a Layout of one definition each: what they have in common is there once.
func TestLayoutsAreSmall(t *testing.T) {
	cols, data := wide()
	data = data[:10]
	in := batch.Incoming{Rows: 10, Columns: columnBatch(cols, data)}
	const n = 5000
	layouts := make([]*batch.Layout, n)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range layouts {
		layouts[i] = compile(t, cols, batch.Definition{}, 0)
		if i%20 == 0 {
			check(t, layouts[i], in).Release()
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if each := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / n; each > 256 {
		t.Errorf("%d bytes each, want at most 256", each)
	}
	runtime.KeepAlive(layouts)
}

// Layouts of one definition share what was compiled; used at once, each by its goroutine, they do not disturb.
func TestLayoutsRunAlongside(t *testing.T) {
	cols, data := wide()
	data = data[:50]
	rec := arrowBatch(batch.ArrowSchema(cols, batch.SchemaOptions{}), cols, data)
	defer rec.Release()
	definition, body := arrowMessages(t, rec)
	failed := make(chan error, 8)
	var wg sync.WaitGroup
	for range cap(failed) {
		l := compile(t, cols, batch.Definition{ArrowSchema: definition}, 0)
		wg.Go(func() {
			for range 20 {
				c, err := l.Check(batch.Incoming{Rows: 50, Arrow: cutPayload(body, 500)})
				if err == nil && c.Rows != 50 {
					err = fmt.Errorf("%d rows", c.Rows)
				}
				if err == nil {
					c.Release()
					c, err = l.Check(batch.Incoming{List: rowList(cols, data[:3])})
				}
				if err != nil {
					failed <- err
					return
				}
				c.Release()
			}
		})
	}
	wg.Wait()
	close(failed)
	for err := range failed {
		t.Error(err)
	}
}

// Passing a batch through allocates its result, and nothing for each row, column or piece.
func TestPassthroughDoesNotAllocate(t *testing.T) {
	cols, data := wide()
	rec := arrowBatch(batch.ArrowSchema(cols, batch.SchemaOptions{}), cols, data[:100])
	defer rec.Release()
	_, body := arrowMessages(t, rec)
	l := compile(t, cols, batch.Definition{}, 0)
	p := cutPayload(body, 4096)
	got := testing.AllocsPerRun(200, func() {
		if _, err := l.Check(batch.Incoming{Rows: 100, Arrow: p}); err != nil {
			t.Fatal(err)
		}
	})
	if got > 20 { // it is 1; pools lose things, under the race detector often and on purpose
		t.Errorf("%v allocations, want 1", got)
	}
}
