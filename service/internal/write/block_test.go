package write_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/batch"
	"github.com/sluice-io/sluice/service/internal/table"
	"github.com/sluice-io/sluice/service/internal/write"
	"github.com/sluice-io/sluice/service/internal/write/writetest"
)

// A row of these tests has about 8 bytes; blocks open at 1 KiB and close at 8 KiB.

func TestRowsGatherThenFlowIntoAnOpenBlockAndAreFreed(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		w.run(r, "r", output(t1, 1))
		a := w.worker(r, "r", 0, "a", "a").mustOpen()
		a.must(a.send(50))
		if n := w.backend.Calls(writetest.OpOpen); n != 0 || w.rows.Unreleased() != 1 {
			t.Fatalf("%d PUTs after 50 rows, %d batches held", n, w.rows.Unreleased())
		}
		a.must(a.send(100)) // opens with both
		if n := w.backend.Calls(writetest.OpOpen); n != 1 || w.rows.Unreleased() != 2 {
			t.Fatalf("%d PUTs, %d batches held, want what was gathered kept for a repetition", n, w.rows.Unreleased())
		}
		a.must(a.send(100))
		if w.rows.Unreleased() != 0 || r.budget.Used() != 0 {
			t.Errorf("%d batches, %d bytes are held after the block outgrew them", w.rows.Unreleased(), r.budget.Used())
		}
		if a.wr.Durable() != 0 {
			t.Errorf("durable %d before the block is closed", a.wr.Durable())
		}
		a.must(a.send(1000)) // passes the block's target
		synctest.Wait()
		if a.wr.Durable() != 1250 {
			t.Errorf("durable %d, want 1250", a.wr.Durable())
		}
		a.must(a.writeAll(1300))
		w.wantRows(t1, writetest.Tags("a", 0, 1300)...)
		if n := w.backend.Calls(writetest.OpOpen); n != 2 {
			t.Errorf("%d blocks, want 2", n)
		}
	})
}

func TestAnOpenBlockClosesAtHalfOfTheWindow(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.limits.ReplayLeast = 1
		r := w.start()
		w.run(r, "r", output(t1, 1))
		a := w.worker(r, "r", 0, "a", "a")
		a.req.ReplayBytes = 4 << 10
		a.mustOpen()
		for range 100 {
			a.must(a.send(10))
			synctest.Wait()
			if pending := int(a.wr.Accepted()-a.wr.Durable()) * 7; pending > 4<<10 {
				t.Fatalf("%d bytes are not durable, the client's window is full", pending)
			}
		}
	})
}

func TestAnIdleBlockCloses(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		w.run(r, "r", output(t1, 1))
		a := w.worker(r, "r", 0, "a", "a").mustOpen()
		a.must(a.send(300))
		time.Sleep(29 * time.Second)
		if a.wr.Durable() != 0 {
			t.Fatalf("durable %d after 29 s", a.wr.Durable())
		}
		time.Sleep(2 * time.Second)
		if a.wr.Durable() != 300 {
			t.Errorf("durable %d after 31 s without rows, want 300", a.wr.Durable())
		}
		a.must(a.send(10))
		time.Sleep(5 * time.Minute)
		if a.wr.Durable() != 300 {
			t.Errorf("durable %d: gathered rows of a DISCARD slice left by age", a.wr.Durable())
		}
		a.must(a.writeAll(310))
	})
}

func TestRowsOfAResumeSliceLeaveByAge(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		w.run(r, "r", output(t1, 1))
		a := w.worker(r, "r", 0, "a", "a")
		a.req.OnTakeover = write.Resume
		a.mustOpen()
		a.must(a.send(10))
		time.Sleep(59 * time.Second)
		if a.wr.Durable() != 0 {
			t.Fatalf("durable %d after 59 s", a.wr.Durable())
		}
		time.Sleep(2 * time.Second)
		if a.wr.Durable() != 10 {
			t.Errorf("durable %d after 61 s, want 10", a.wr.Durable())
		}
	})
}

func TestABlockHoldsOneForm(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		w.run(r, "r", output(t1, 1))
		a := w.worker(r, "r", 0, "a", "a").mustOpen()
		a.must(a.send(10))
		a.form = batch.FormRecord
		a.must(a.send(10)).must(a.send(300))
		a.form = batch.FormArrow
		a.must(a.send(10))
		a.must(a.writeAll(330))
		w.wantRows(t1, writetest.Tags("a", 0, 330)...)
		if n := w.backend.Calls(writetest.OpOpen); n != 3 {
			t.Errorf("%d blocks, want 3", n)
		}
	})
}

func TestASmallBlockIsRepeatedByTheServer(t *testing.T) {
	for _, outcome := range []writetest.Outcome{writetest.FailBefore, writetest.FailAfter, writetest.Fly, writetest.NotSent} {
		for _, op := range []string{writetest.OpOpen, writetest.OpWrite, writetest.OpPut} {
			t.Run(fmt.Sprint(op, outcome), func(t *testing.T) {
				inBubble(t, func(t *testing.T, w *world) {
					r := w.start()
					w.run(r, "r", output(t1, 1))
					a := w.worker(r, "r", 0, "a", "a").mustOpen()
					w.backend.SetFault(failing(op, 2, outcome))
					a.must(a.send(50)).must(a.flush())
					if a.wr.Durable() != 50 || w.rows.Unreleased() != 0 {
						t.Errorf("durable %d, %d batches held", a.wr.Durable(), w.rows.Unreleased())
					}
					a.must(a.writeAll(60))
					w.backend.Land()
					w.wantRows(t1, writetest.Tags("a", 0, 60)...)
					if blocks := w.ledger.Keys("block/"); len(blocks) != 0 {
						t.Errorf("blocks are left: %q", blocks)
					}
				})
			})
		}
	}
}

// failing lets the first n calls of an op end so.
func failing(op string, n int, outcome writetest.Outcome) func(writetest.Call) writetest.Outcome {
	var mu sync.Mutex
	return func(c writetest.Call) writetest.Outcome {
		mu.Lock()
		defer mu.Unlock()
		if c.Op != op || n == 0 {
			return writetest.OK
		}
		n--
		return outcome
	}
}

func TestABlockThatOutgrewItsGatheredBytesIsSentAgainByTheClient(t *testing.T) {
	for _, outcome := range []writetest.Outcome{writetest.FailBefore, writetest.FailAfter, writetest.Fly} {
		t.Run(fmt.Sprint(outcome), func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				r := w.start()
				w.run(r, "r", output(t1, 1))
				a := w.worker(r, "r", 0, "a", "a").mustOpen()
				a.must(a.send(200)).must(a.send(200))
				w.backend.SetFault(failing(writetest.OpPut, 1, outcome))
				e := errorWith(t, "Flush", a.flush(), apierr.BackendUnavailable)
				if e.Meta("retry") != apierr.RetryResume {
					t.Errorf("retry = %q", e.Meta("retry"))
				}
				wantReason(t, "Append", a.send(1), apierr.BackendUnavailable)
				a.must(a.insist(450))
				w.backend.Land()
				w.wantRows(t1, writetest.Tags("a", 0, 450)...)
			})
		})
	}
}

func TestTheServerGivesUpOnABlockThatCannotBeSent(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		w.run(r, "r", output(t1, 1))
		a := w.worker(r, "r", 0, "a", "a").mustOpen()
		w.backend.SetFault(failing(writetest.OpPut, 5, writetest.FailBefore))
		a.must(a.send(5))
		wantReason(t, "Flush", a.flush(), apierr.BackendUnavailable)
		a.must(a.insist(8))
		w.wantRows(t1, writetest.Tags("a", 0, 8)...)
	})
}

func TestTooManyBlocks(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.limits.MaxBlocks = 7 // the last is the probe's: 6 ids, one kept for each of 2 slices
		r := w.start()
		w.run(r, "r", output(t1, 2))
		a := w.worker(r, "r", 0, "a", "a").mustOpen()
		b := w.worker(r, "r", 1, "b", "b").mustOpen()
		for range 4 {
			a.must(a.send(3)).must(a.flush())
		}
		a.must(a.send(3))
		wantReason(t, "Flush without an id to spare", a.flush(), apierr.TooManyBlocks)
		wantReason(t, "a batch that needs a block", a.send(500), apierr.TooManyBlocks)
		if a.wr.Accepted() != 15 || a.wr.Durable() != 12 || a.wr.Err() != nil {
			t.Errorf("accepted %d, durable %d, %v", a.wr.Accepted(), a.wr.Durable(), a.wr.Err())
		}
		b.must(b.send(2))
		a.must(a.writeAll(16))
		b.must(b.writeAll(2))
		w.wantRows(t1, append(writetest.Tags("a", 0, 16), writetest.Tags("b", 0, 2)...)...)
	})
}

func TestCreateRunChecksItsSettings(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		spec := write.RunSpec{ID: "r", Outputs: []write.OutputSpec{output(t1, 2), output(t2, 0)}, Labels: map[string]string{"a": "b"}}
		if _, created, err := r.CreateRun(t.Context(), spec); err != nil || !created {
			t.Fatalf("CreateRun = %t, %v", created, err)
		}
		spec.Outputs[0], spec.Outputs[1] = spec.Outputs[1], spec.Outputs[0]
		if _, created, err := r.CreateRun(t.Context(), spec); err != nil || created {
			t.Errorf("CreateRun with the outputs in another order = %t, %v", created, err)
		}
		for field, change := range map[string]func(*write.RunSpec){
			"run_ttl":                func(s *write.RunSpec) { s.RunTTL = time.Hour },
			"lease_ttl":              func(s *write.RunSpec) { s.LeaseTTL = time.Second },
			"labels":                 func(s *write.RunSpec) { s.Labels = nil },
			"outputs":                func(s *write.RunSpec) { s.Outputs = s.Outputs[:1] },
			"outputs[0].slice_count": func(s *write.RunSpec) { s.Outputs = []write.OutputSpec{output(t1, 9501)} },
			"outputs[1].table":       func(s *write.RunSpec) { s.Outputs = []write.OutputSpec{output(t1, 3), output(t1, 0)} },
			"run_id":                 func(s *write.RunSpec) { s.ID = "-r" },
			"outputs[0].options.clear": func(s *write.RunSpec) {
				s.Outputs = []write.OutputSpec{{Ref: t1, Options: write.OutputOptions{Mode: write.Append, Clear: write.ClearAtOpen}}}
			},
		} {
			changed := spec
			change(&changed)
			_, _, err := r.CreateRun(t.Context(), changed)
			if e := errorWith(t, field, err, apierr.BadArgument); e.Meta("field") != field {
				t.Errorf("field = %q, want %q", e.Meta("field"), field)
			}
		}
		for _, o := range []write.OutputOptions{{Mode: write.Upsert}, {Visibility: write.VisibilityPerSlice}} {
			_, _, err := r.CreateRun(t.Context(), write.RunSpec{ID: "u", Outputs: []write.OutputSpec{{Ref: t1, Options: o}}})
			wantReason(t, "CreateRun", err, apierr.Unsupported)
		}
	})
}

func TestListRunsPagesNewestFirst(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		for i := range 5 {
			time.Sleep(time.Second)
			w.run(r, write.RunID(fmt.Sprint("r", i)), output(t1, 1))
		}
		var got []write.RunID
		q := write.RunQuery{PageSize: 2, IDPrefix: "r", Output: &t1, States: []write.RunState{write.RunOpen}}
		for {
			runs, next, err := r.ListRuns(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			for _, run := range runs {
				got = append(got, run.ID)
			}
			if next == "" {
				break
			}
			q.PageToken = next
		}
		if fmt.Sprint(got) != "[r4 r3 r2 r1 r0]" {
			t.Errorf("runs = %v", got)
		}
		_, _, err := r.ListRuns(t.Context(), write.RunQuery{PageToken: "!"})
		wantReason(t, "a bad token", err, apierr.BadArgument)
	})
}

func TestListSlicesPages(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		w.run(r, "r", output(t1, 5))
		for i := range write.SliceID(5) {
			c := w.worker(r, "r", i, "w", "c").mustOpen()
			if i == 2 {
				c.must(c.writeAll(1))
			}
		}
		count := func(q write.SliceQuery) (ids []write.SliceID) {
			q.RunID, q.PageSize = "r", 2
			for {
				slices, next, err := r.ListSlices(t.Context(), q)
				if err != nil {
					t.Fatal(err)
				}
				for _, s := range slices {
					ids = append(ids, s.ID)
				}
				if next == "" {
					return ids
				}
				q.PageToken = next
			}
		}
		if got := count(write.SliceQuery{}); fmt.Sprint(got) != "[0 1 2 3 4]" {
			t.Errorf("slices = %v", got)
		}
		if got := count(write.SliceQuery{Output: &t1, States: []write.SliceState{write.SliceOpen}}); fmt.Sprint(got) != "[0 1 3 4]" {
			t.Errorf("open slices = %v", got)
		}
	})
}

func TestGetRunWaitsForTheEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		a := w.worker(r, "", 0, "a", "a").mustOpen()
		start := time.Now()
		if run, err := r.GetRun(t.Context(), "implicit.a.1", 5*time.Second); err != nil || run.State != write.RunOpen || time.Since(start) != 5*time.Second {
			t.Fatalf("GetRun = %v, %v after %v", run.State, err, time.Since(start))
		}
		got := make(chan write.RunState)
		go func() {
			run, err := r.GetRun(t.Context(), "implicit.a.1", time.Hour)
			if err != nil {
				t.Error(err)
			}
			got <- run.State
		}()
		synctest.Wait()
		a.must(a.writeAll(1))
		if s := <-got; s != write.RunCommitted {
			t.Errorf("GetRun = %v", s)
		}
		if time.Since(start) > time.Minute {
			t.Errorf("it took %v to hear of the end", time.Since(start))
		}
	})
}

func TestEndedRunsAreForgottenAfterAWeek(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		a := w.worker(r, "", 0, "a", "a").mustOpen()
		a.must(a.writeAll(1))
		time.Sleep(6 * 24 * time.Hour)
		if _, err := r.GetRun(t.Context(), "implicit.a.1", 0); err != nil {
			t.Fatal(err)
		}
		time.Sleep(25 * time.Hour)
		_, err := r.GetRun(t.Context(), "implicit.a.1", 0)
		wantReason(t, "GetRun", err, apierr.RunNotFound)
		if keys := w.ledger.Keys(""); len(keys) != 0 {
			t.Errorf("the ledger still holds %q", keys)
		}
	})
}

func TestPutsAreBoundedAndEverySliceGetsItsTurn(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.limits.PutSlots = 3
		r := w.start()
		w.run(r, "r", output(t1, 12))
		var wg sync.WaitGroup
		for i := range write.SliceID(12) {
			c := w.worker(r, "r", i, "w", fmt.Sprint("c", i)).mustOpen()
			wg.Go(func() {
				for range 10 {
					if err := c.send(200); err != nil {
						t.Errorf("slice %d: %v", i, err)
						return
					}
					time.Sleep(100 * time.Millisecond)
				}
				if err := c.writeAll(2000); err != nil {
					t.Errorf("slice %d: %v", i, err)
				}
			})
		}
		wg.Wait()
		if _, most := w.backend.OpenPuts(); most > 3 {
			t.Errorf("%d PUTs at once, allowed are 3", most)
		}
		if n := len(w.backend.Rows(t1)); n != 24000 {
			t.Errorf("%d rows, want 24000", n)
		}
	})
}

func TestACallerThatGoesAwayWhileBlockedFreesEverything(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		w.run(r, "r", output(t1, 1))
		a := w.worker(r, "r", 0, "a", "a").mustOpen()
		release := make(chan struct{})
		w.backend.SetFault(func(c writetest.Call) writetest.Outcome {
			if c.Op == writetest.OpPut {
				<-release
				return writetest.FailAfter
			}
			return writetest.OK
		})
		a.must(a.send(10))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := a.wr.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Flush = %v", err)
		}
		a.detach()
		a.must(a.open()) // the hold before is fenced, its block dead
		w.backend.SetFault(nil)
		close(release)
		a.must(a.writeAll(12))
		w.wantRows(t1, writetest.Tags("a", 0, 12)...)
	})
}

func TestSchemaChanged(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		w.run(r, "r", output(t1, 2))
		a := w.worker(r, "r", 0, "a", "a").mustOpen()
		a.must(a.send(1))
		w.backend.Alter(t1.Name, func(i *table.Info) {
			i.Schema.Columns = append(i.Schema.Columns, table.Column{Name: "new", Type: table.Type{Kind: table.KindString}})
		})
		wantReason(t, "Flush", a.flush(), apierr.SchemaChanged)
		wantReason(t, "another slice's open", w.worker(r, "r", 1, "b", "b").open(), apierr.SchemaChanged)
	})
}

func TestASessionThatSaysLessThanTheTableIsNotASchemaChange(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		w.backend.Alter(t1.Name, func(i *table.Info) {
			i.Schema.Columns[0].NotNull, i.Schema.PrimaryKey, i.Transactional = true, []string{"id"}, true
		})
		w.backend.SetFault(func(c writetest.Call) writetest.Outcome {
			if c.Op == writetest.OpCreate {
				w.backend.Alter(t1.Name, func(i *table.Info) { i.Schema.Columns[0].NotNull, i.Schema.PrimaryKey = false, nil })
			}
			return writetest.OK
		})
		a := w.worker(r, "", 0, "a", "a")
		wantReason(t, "REPLACE of a transactional table", a.open(), apierr.BadArgument)
		a.req.Implicit = &write.OutputOptions{Mode: write.Append}
		w.backend.SetRows(t1, "old")
		a.mustOpen()
		a.must(a.writeAll(1))
		w.wantRows(t1, "a/0000", "old")
	})
}

func TestNoOpensInTheLastMinutesOfTheSession(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		w.run(r, "r", output(t1, 2))
		a := w.worker(r, "r", 0, "a", "a").mustOpen()
		a.must(a.send(1)).must(a.flush())
		for start := time.Now(); time.Since(start) < 23*time.Hour+51*time.Minute; {
			time.Sleep(30 * time.Second)
			a.wr.Heartbeat()
		}
		b := w.worker(r, "r", 1, "b", "b")
		wantReason(t, "a late open", b.open(), apierr.RunClosed)
		for range 30 {
			time.Sleep(30 * time.Second)
			a.wr.Heartbeat()
		}
		wantReason(t, "Append after the session's end", a.send(1), apierr.RunClosed)
	})
}

func TestAnIdleWriterCostsNoGoroutineAndLittleMemory(t *testing.T) {
	w := newWorld(t)
	backend := writetest.NewBackend(writetest.Table("t1"))
	ledger := writetest.NewLedger()
	e := write.New(write.Config{Ledger: ledger, Backend: backend})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	const n = 2000
	if _, _, err := e.CreateRun(t.Context(), write.RunSpec{ID: "r", Outputs: []write.OutputSpec{output(t1, n)}}); err != nil {
		t.Fatal(err)
	}
	open := func(i int) *write.Writer {
		req := w.worker(nil, "r", write.SliceID(i), "w", "c").req
		req.OpenNumber = 1
		wr, _, err := e.Open(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		return wr
	}
	var all []*write.Writer
	for i := range n / 2 { // the first half warms up, and fills the fake ledger's memory too
		all = append(all, open(i))
	}
	goroutines, heap := runtime.NumGoroutine(), liveHeap()
	ledgerBefore := ledgerBytes(t, ledger)
	for i := n / 2; i < n; i++ {
		all = append(all, open(i))
	}
	if more := runtime.NumGoroutine() - goroutines; more > 5 {
		t.Errorf("%d goroutines for %d idle writers", more, n/2)
	}
	each := (int64(liveHeap()) - int64(heap) - 2*(ledgerBytes(t, ledger)-ledgerBefore)) / (n / 2)
	if each > 2<<10 {
		t.Errorf("an idle writer costs %d bytes, allowed are 2 KiB", each)
	}
	t.Logf("an idle writer costs about %d bytes", each)
	for _, wr := range all {
		wr.Detach()
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func liveHeap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func ledgerBytes(t *testing.T, l *writetest.Ledger) (n int64) {
	entries, err := l.List(t.Context(), "", "", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		n += int64(len(e.Key) + len(e.Value))
	}
	return n
}
