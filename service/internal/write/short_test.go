package write_test

import (
	"testing"
	"time"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/write"
	"github.com/sluice-io/sluice/service/internal/write/writetest"
)

// TestShortHolds is AppendRows: every call opens, sends, flushes and leaves; calls may be repeated and go anywhere.
func TestShortHolds(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		replicas := []*replica{w.start(), w.start()}
		w.run(replicas[0], "r", output(t1, 1))
		a := w.worker(nil, "r", 0, "a", "a")
		a.req.Short = true
		call := func(i, from, to int) {
			t.Helper()
			a.r = replicas[i%2]
			a.req.OpenNumber = -1 // open makes it 0: the next
			a.mustOpen()
			a.must(a.batch(from, to)).must(a.flush())
			if got := a.wr.Durable(); int(got) < to {
				t.Errorf("call %d: durable %d, want %d", i, got, to)
			}
			a.detach()
		}
		for i := range 6 {
			call(i, 10*i, 10*i+10)
		}
		call(7, 50, 60) // a repeated call: a duplicate
		call(8, 60, 65)
		slices, _, err := replicas[0].ListSlices(t.Context(), write.SliceQuery{RunID: "r"})
		if err != nil || slices[0].Term != 8 || slices[0].DurableThrough != 65 {
			t.Errorf("slices = %+v, %v", slices, err)
		}
		a.req.OpenNumber = -1
		a.mustOpen()
		a.must(a.writeAll(65))
		w.wantRows(t1, writetest.Tags("a", 0, 65)...)
	})
}

func TestAReplicaThatShutsDownEndsItsStreamsWithDraining(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r1, r2 := w.start(), w.start()
		w.run(r1, "r", output(t1, 2))
		a := w.worker(r1, "r", 0, "a", "a").mustOpen()
		a.must(a.send(5)).must(a.flush()).must(a.send(300)).must(a.send(10))
		w.stop(r1)
		e := errorWith(t, "Append", a.send(1), apierr.Draining)
		if e.Meta("retry") != apierr.RetryResume {
			t.Errorf("retry = %q", e.Meta("retry"))
		}
		wantReason(t, "an open there", w.worker(r1, "r", 1, "b", "b").open(), apierr.Draining)
		a.r = r2
		a.must(a.insist(400))
		b := w.worker(r2, "r", 1, "b", "b").mustOpen()
		b.must(b.insist(3))
		w.wantRows(t1, append(writetest.Tags("a", 0, 400), writetest.Tags("b", 0, 3)...)...)
	})
}

// TestNobodyStarvesForMemory: more slices than the budget has room for, all with a little, none of them flushing.
func TestNobodyStarvesForMemory(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.limits.GatherBytes = 1 << 20
		w.rows.Pad = 1000
		r := w.start() // 1 MiB of budget
		const n = 40
		w.run(r, "r", output(t1, n))
		all := make([]*client, n)
		for i := range all {
			all[i] = w.worker(r, "r", write.SliceID(i), "w", "c").mustOpen()
		}
		for range 10 {
			for _, c := range all {
				start := time.Now()
				c.must(c.send(20)) // 20 KiB
				if r.budget.Used() > 1<<20 || time.Since(start) > time.Minute {
					t.Fatalf("%d bytes gathered, waited %v", r.budget.Used(), time.Since(start))
				}
			}
		}
		for _, c := range all {
			c.must(c.writeAll(200))
		}
		if got := len(w.backend.Rows(t1)); got != n*200 {
			t.Errorf("%d rows, want %d", got, n*200)
		}
	})
}
