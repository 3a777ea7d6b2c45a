package write_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/flow"
	"github.com/sluice-io/sluice/service/internal/table"
	"github.com/sluice-io/sluice/service/internal/write"
	"github.com/sluice-io/sluice/service/internal/write/writetest"
)

func TestTW_07_TW_09_implicit_runs_replace(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		w.backend.SetRows(t1, "old")
		for _, content := range []string{"a", "b"} {
			c := w.worker(r, "", 0, "w-"+content, content).mustOpen()
			c.must(c.writeAll(3))
			w.wantRows(t1, writetest.Tags(content, 0, 3)...)
		}
		if keys := w.ledger.Keys("lock/"); len(keys) != 0 {
			t.Errorf("outputs stay locked: %q", keys)
		}
	})
}

func TestTW_02_opening_reserves_the_slice(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		w.run(r, "r", output(t1, 1))
		w.worker(r, "r", 0, "a", "a").mustOpen()
		e := errorWith(t, "second open", w.worker(r, "r", 0, "b", "b").open(), apierr.SliceConflict)
		if e.Meta("holder_worker_id") != "a" || e.Meta("state") != "OPEN" || e.RetryAfter() != time.Minute {
			t.Errorf("conflict says %v, retry after %v", e, e.RetryAfter())
		}
	})
}

func TestTW_03_TW_04_not_predefined(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		w.backend.SetRows(t1, "old")
		w.run(r, "r", output(t2, 1))
		for _, name := range []string{"t1", "nowhere"} {
			c := w.worker(r, "r", 0, "a", "a")
			c.req.Output = table.Ref{Name: table.NewName("p", "", name)}
			c.req.OutputText = "odps://P/tables/" + name
			e := errorWith(t, "open", c.open(), apierr.TableNotPredefined)
			if want := "table odps://P/tables/" + name + " not predefined"; !strings.Contains(e.Message(), want) {
				t.Errorf("message %q does not contain %q", e.Message(), want)
			}
		}
		if w.backend.Calls(writetest.OpTable) != 0 {
			t.Error("the table was looked up before the predefined check")
		}
		w.wantRows(t1, "old")
	})
}

func TestTW_05_TW_06_outputs_match_in_canonical_form(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		declared := table.Ref{Name: table.NewName("P", "", "TP"), Partition: table.Spec{{Column: "DT", Value: "1"}}}
		w.run(r, "r", output(declared, 1))
		c := w.worker(r, "r", 0, "a", "a")
		c.req.Output = table.Ref{Name: tp.Name, Partition: table.Spec{{Column: "dt", Value: "2"}}}
		wantReason(t, "open of another partition", c.open(), apierr.TableNotPredefined)
		c.req.Output.Partition[0].Value = "1"
		c.mustOpen()
	})
}

func TestTW_08_TW_76_TW_78_an_empty_run_empties_its_partition_only(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		part := func(v string) table.Ref {
			return table.Ref{Name: tp.Name, Partition: table.Spec{{Column: "dt", Value: v}}}
		}
		w.backend.SetRows(part("1"), "one")
		w.backend.SetRows(part("2"), "two")
		for _, v := range []string{"1", "new"} {
			c := w.worker(r, "", 0, "w-"+v, v)
			c.req.Output = part(v)
			c.mustOpen()
			c.must(c.writeAll(0))
			w.wantRows(part(v))
			if !w.backend.HasPartition(part(v)) {
				t.Errorf("partition %s does not exist after the commit", v)
			}
		}
		w.wantRows(part("2"), "two")
	})
}

func TestTW_10_TW_14_TW_15_TW_16_TW_18_rows_show_at_the_commit_only(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		w.backend.SetRows(t1, "old")
		w.run(r, "r", output(t1, 2))
		a := w.worker(r, "r", 0, "a", "a").mustOpen()
		a.must(a.send(5))
		a.must(a.flush())
		time.Sleep(time.Minute / 2)
		w.wantRows(t1, "old")
		a.must(a.writeAll(5))
		w.wantRows(t1, "old")
		b := w.worker(r, "r", 1, "b", "b").mustOpen()
		b.must(b.send(2))
		w.wantRows(t1, "old")
		b.must(b.writeAll(4))
		w.wantRows(t1, append(writetest.Tags("a", 0, 5), writetest.Tags("b", 0, 4)...)...)
	})
}

func TestTW_17_no_partial_union_is_ever_seen(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		w.backend.SetRows(t1, "old")
		w.run(r, "r", output(t1, 2))
		const rows = 10_000
		seen := map[int]int{}
		look := func() { seen[len(w.backend.Rows(t1))]++ }
		w.backend.SetFault(func(writetest.Call) writetest.Outcome { // before every call of the backend, the commit's too
			look()
			return writetest.OK
		})
		for i := range write.SliceID(2) {
			c := w.worker(r, "r", i, "w", "c"+string(rune('a'+i))).mustOpen()
			for range 10 {
				c.must(c.send(rows / 10))
			}
			c.must(c.writeAll(rows))
			look()
		}
		if len(seen) != 2 || seen[1] < 50 || seen[2*rows] == 0 {
			t.Errorf("a reader saw these numbers of rows, so often: %v", seen)
		}
	})
}

func TestTW_11_TW_13_clear_at_open(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		w.backend.SetRows(t1, "old")
		out := output(t1, 2)
		out.Options.Clear = write.ClearAtOpen
		w.run(r, "r", out)
		a := w.worker(r, "r", 0, "a", "a").mustOpen()
		w.wantRows(t1)
		a.must(a.send(2)).must(a.flush())
		w.worker(r, "r", 1, "b", "b").mustOpen()
		if got := w.backend.Calls(writetest.OpPost); got != 1 {
			t.Errorf("%d clearings in one epoch, want 1", got)
		}
		if _, err := r.AbortRun(t.Context(), "r", "", false); err != nil {
			t.Fatal(err)
		}
		w.wantRows(t1)
	})
}

func TestTW_12_TW_35_abort_leaves_the_old_rows(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		w.backend.SetRows(t1, "old")
		w.run(r, "r", output(t1, 1))
		a := w.worker(r, "r", 0, "a", "a").mustOpen()
		a.must(a.send(3)).must(a.flush())
		run, err := r.AbortRun(t.Context(), "r", "enough", false)
		if err != nil || run.State != write.RunAborted || run.Outputs[0].State != write.OutputAborted {
			t.Fatalf("AbortRun = %v, %v", run.State, err)
		}
		wantReason(t, "Append after the abort", a.send(1), apierr.RunClosed)
		wantReason(t, "a resume", a.open(), apierr.RunClosed)
		if _, err := r.AbortRun(t.Context(), "r", "", false); err != nil {
			t.Errorf("a second AbortRun = %v", err)
		}
		w.wantRows(t1, "old")
		next := w.worker(r, "", 0, "b", "b").mustOpen()
		next.must(next.writeAll(1))
	})
}

func TestTW_19_TW_20_complete_run(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		w.run(r, "open", output(t1, 0))
		w.run(r, "three", output(t2, 3))
		for i, id := range []write.SliceID{0, 1} {
			c := w.worker(r, "open", id, "w", "c"+string(rune('a'+i))).mustOpen()
			c.must(c.writeAll(2))
		}
		for _, id := range []write.SliceID{0, 2} {
			c := w.worker(r, "three", id, "w", "x")
			c.req.Output = t2
			c.mustOpen()
			c.must(c.writeAll(2))
		}
		time.Sleep(time.Hour)
		w.wantRows(t1)
		_, err := r.CompleteRun(t.Context(), "three", nil)
		if e := errorWith(t, "CompleteRun", err, apierr.RunIncomplete); e.Meta("missing") != "odps://p/tables/t2:1" {
			t.Errorf("missing = %q", e.Meta("missing"))
		}
		five := int64(5)
		_, err = r.CompleteRun(t.Context(), "open", []write.Expectation{{Output: t1, Rows: &five}})
		wantReason(t, "CompleteRun expecting 5 rows", err, apierr.RunIncomplete)
		_, err = r.CompleteRun(t.Context(), "open", []write.Expectation{{Output: t1, SliceCount: 3}})
		wantReason(t, "CompleteRun expecting 3 slices", err, apierr.RunIncomplete)
		w.wantRows(t1)
		run, err := r.CompleteRun(t.Context(), "open", []write.Expectation{{Output: t1, SliceCount: 2}})
		if err != nil || run.State != write.RunCommitted || run.Outputs[0].CommittedRows != 4 {
			t.Fatalf("CompleteRun = %+v, %v", run, err)
		}
		w.wantRows(t1, append(writetest.Tags("ca", 0, 2), writetest.Tags("cb", 0, 2)...)...)
		w.wantRows(t2)
		if _, err := r.CompleteRun(t.Context(), "open", nil); err != nil {
			t.Errorf("CompleteRun asked again = %v", err)
		}
	})
}

func TestTW_22_one_of_many_opens_wins(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		w.run(r, "r", output(t1, 1))
		var won atomic.Int32
		var wg sync.WaitGroup
		for i := range 50 {
			c := w.worker(r, "r", 0, "w"+string(rune('A'+i)), "x")
			c.req.WorkerID = "w" + strings.Repeat("i", i+1)
			wg.Go(func() {
				switch err := c.open(); {
				case err == nil:
					won.Add(1)
				case !apierr.Is(err, apierr.SliceConflict):
					t.Errorf("Open = %v", err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Errorf("%d opens won", won.Load())
		}
	})
}

func TestTW_21_TW_23_TW_24_conflict_with_a_holder_and_with_a_sealed_slice(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		w.run(r, "r", output(t1, 2))
		a := w.worker(r, "r", 0, "a", "a").mustOpen()
		b := w.worker(r, "r", 0, "b", "b")
		wantReason(t, "open of a held slice", b.open(), apierr.SliceConflict)
		a.must(a.writeAll(2))
		if e := errorWith(t, "open of a sealed slice", b.open(), apierr.SliceConflict); e.Meta("state") != "SEALED" {
			t.Errorf("state = %q", e.Meta("state"))
		}
		b.req.SliceID = 1
		b.mustOpen()
		b.must(b.writeAll(1))
		w.wantRows(t1, append(writetest.Tags("a", 0, 2), writetest.Tags("b", 0, 1)...)...)
	})
}

func TestTW_25_TW_26_TW_27_TW_28_takeover(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		w.run(r, "r", output(t1, 2))
		other := w.worker(r, "r", 1, "c", "c").mustOpen()
		other.must(other.writeAll(2))
		a := w.worker(r, "r", 0, "a", "a")
		a.req.Attempt = 1
		a.mustOpen()
		a.must(a.send(3)).must(a.flush())
		notified := make(chan struct{}, 8)
		a.wr.SetNotify(func() { notified <- struct{}{} })
		b := w.worker(r, "r", 0, "b", "b")
		b.req.Attempt = 2
		b.mustOpen()
		if b.opened.DiscardedRows != 3 || b.opened.ResumeOffset != 0 || b.opened.Term != 2 {
			t.Errorf("opened = %+v", b.opened)
		}
		<-notified
		e := errorWith(t, "the old writer's Append", a.send(1), apierr.SliceFenced)
		if e.Meta("winner_attempt") != "2" || e.Meta("winner_worker_id") != "b" || e.Meta("winner_term") != "2" {
			t.Errorf("fenced by %v", e)
		}
		_, err := a.seal()
		wantReason(t, "the old writer's Seal", err, apierr.SliceFenced)
		wantReason(t, "a smaller attempt's open", a.open(), apierr.SliceFenced)
		b.must(b.writeAll(4))
		w.wantRows(t1, append(writetest.Tags("c", 0, 2), writetest.Tags("b", 0, 4)...)...)
	})
}

func TestTakeoverWithResumeKeepsTheDurableRows(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		w.run(r, "r", output(t1, 1))
		a := w.worker(r, "r", 0, "a", "x").mustOpen()
		a.must(a.send(3)).must(a.flush()).must(a.send(2))
		b := w.worker(r, "r", 0, "b", "x")
		b.req.Attempt, b.req.OnTakeover = 1, write.Resume
		b.mustOpen()
		if b.opened.ResumeOffset != 3 || b.opened.DiscardedRows != 0 {
			t.Errorf("opened = %+v", b.opened)
		}
		b.must(b.writeAll(6))
		w.wantRows(t1, writetest.Tags("x", 0, 6)...)
		c := w.worker(r, "r", 0, "c", "x")
		c.req.Attempt, c.req.OnTakeover = 2, write.Resume
		wantReason(t, "open of a committed run", c.open(), apierr.RunClosed)
	})
}

func TestTakeoverOfASealedSliceWithResumeIsToldSo(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		w.run(r, "r", output(t1, 2))
		a := w.worker(r, "r", 0, "a", "x").mustOpen()
		a.must(a.writeAll(3))
		b := w.worker(r, "r", 0, "b", "x")
		b.req.Attempt, b.req.OnTakeover = 1, write.Resume
		b.mustOpen()
		if b.opened.State != write.SliceSealed || b.opened.Sealed == nil || b.opened.Sealed.Rows != 3 || b.opened.ResumeOffset != 3 {
			t.Fatalf("opened = %+v", b.opened)
		}
		wantReason(t, "the old worker's resume", a.open(), apierr.SliceFenced)
		wantReason(t, "Append", b.send(1), apierr.WriterClosed)
		c := w.worker(r, "r", 0, "c", "y")
		c.req.Attempt = 2
		c.mustOpen() // DISCARD unseals
		c.must(c.writeAll(1))
		d := w.worker(r, "r", 1, "d", "z").mustOpen()
		d.must(d.writeAll(1))
		w.wantRows(t1, append(writetest.Tags("y", 0, 1), writetest.Tags("z", 0, 1)...)...)
	})
}

func TestTW_29_TW_30_reopen_by_the_same_worker(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		w.run(r, "r", output(t1, 0))
		c := w.worker(r, "r", 0, "a", "first").mustOpen()
		c.must(c.writeAll(3))
		for _, content := range []string{"second", "third"} {
			c.content = content
			c.must(c.reopen())
			if c.opened.DiscardedRows != 3 || c.opened.ResumeOffset != 0 {
				t.Errorf("reopened = %+v", c.opened)
			}
			c.must(c.writeAll(3))
		}
		if _, err := r.CompleteRun(t.Context(), "r", nil); err != nil {
			t.Fatal(err)
		}
		w.wantRows(t1, writetest.Tags("third", 0, 3)...)
	})
}

func TestTW_31_lost_worker(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		w.run(r, "r", output(t1, 1))
		a := w.worker(r, "r", 0, "a", "a").mustOpen()
		a.must(a.send(3)).must(a.flush())
		a.detach()
		b := w.worker(r, "r", 0, "b", "b")
		time.Sleep(59 * time.Second)
		if e := errorWith(t, "open before the lease is over", b.open(), apierr.SliceConflict); e.RetryAfter() != time.Second {
			t.Errorf("retry after %v, want the rest of the lease", e.RetryAfter())
		}
		time.Sleep(2 * time.Second)
		slices, _, err := r.ListSlices(t.Context(), write.SliceQuery{RunID: "r"})
		if err != nil || len(slices) != 1 || slices[0].State != write.SliceLost || slices[0].DurableThrough != 3 {
			t.Fatalf("ListSlices = %+v, %v", slices, err)
		}
		b.mustOpen()
		b.must(b.writeAll(2))
		w.wantRows(t1, writetest.Tags("b", 0, 2)...)
	})
}

func TestTW_32_TW_36_a_cut_stream_resumes(t *testing.T) {
	for name, pause := range map[string]time.Duration{"within the lease": 10 * time.Second, "after the lease, nobody took it": 5 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				r := w.start()
				w.run(r, "r", output(t1, 1))
				a := w.worker(r, "r", 0, "a", "a").mustOpen()
				a.must(a.send(4)).must(a.flush()).must(a.send(3))
				a.detach()
				time.Sleep(pause)
				a.req.DurableSeen = 4
				a.mustOpen()
				if a.opened.ResumeOffset != 4 || a.opened.State != write.SliceOpen || a.opened.Term != 2 {
					t.Fatalf("resumed = %+v", a.opened)
				}
				_, err := a.wr.Seal(t.Context(), nil)
				wantReason(t, "Seal without rows after a resume", err, apierr.BadArgument)
				a.must(a.writeAll(9))
				w.wantRows(t1, writetest.Tags("a", 0, 9)...)
			})
		})
	}
}

func TestTW_33_replayed_batches(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		w.run(r, "r", output(t1, 1))
		a := w.worker(r, "r", 0, "a", "a").mustOpen()
		a.must(a.batch(0, 7)).must(a.batch(7, 9))
		again := func(from, to int) write.AppendResult {
			res, err := a.wr.Append(t.Context(), write.RowOffset(from), to-from, writetest.CRC("a", from, to), nil)
			a.must(err)
			return res
		}
		if got, want := again(7, 9), (write.AppendResult{DuplicateRows: 2}); got != want {
			t.Errorf("the same batch again = %+v, want %+v", got, want)
		}
		if got, want := again(6, 9), (write.AppendResult{DuplicateRows: 3, UnverifiedRows: 3}); got != want {
			t.Errorf("cut anew = %+v, want %+v", got, want)
		}
		a.must(a.flush())
		if got, want := again(7, 9), (write.AppendResult{DuplicateRows: 2, UnverifiedRows: 2}); got != want {
			t.Errorf("below the durable offset = %+v, want %+v", got, want)
		}
		if e := errorWith(t, "a straddling batch", a.batch(8, 10), apierr.OffsetOverlap); e.Meta("expected_offset") != "9" {
			t.Errorf("expected_offset = %q", e.Meta("expected_offset"))
		}
		wantReason(t, "a gap", a.batch(10, 11), apierr.OffsetGap)
		a.must(a.batch(9, 12))
		_, err := a.wr.Append(t.Context(), 9, 3, 1, nil)
		wantReason(t, "another batch at an accepted offset", err, apierr.DataMismatch)
		wantReason(t, "Append after that", a.send(1), apierr.DataMismatch)
		a.mustOpen()
		a.must(a.writeAll(12))
		w.wantRows(t1, writetest.Tags("a", 0, 12)...)
	})
}

func TestTW_34_server_restart(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		w.run(r, "r", output(t1, 1))
		a := w.worker(r, "r", 0, "a", "a").mustOpen()
		a.must(a.send(5)).must(a.flush()).must(a.send(200))
		a.req.DurableSeen = a.wr.Durable()
		w.crash(r)
		a.r = w.start()
		b := w.worker(a.r, "r", 0, "b", "b")
		wantReason(t, "another worker's open after the restart", b.open(), apierr.SliceConflict)
		a.must(a.insist(300))
		w.wantRows(t1, writetest.Tags("a", 0, 300)...)
	})
}

func TestHoldersGetAFreshLeaseAfterARestart(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		w.run(r, "r", output(t1, 1))
		w.worker(r, "r", 0, "a", "a").mustOpen()
		time.Sleep(50 * time.Second)
		w.crash(r)
		r = w.start()
		time.Sleep(50 * time.Second)
		b := w.worker(r, "r", 0, "b", "b")
		wantReason(t, "open within the fresh lease", b.open(), apierr.SliceConflict)
		time.Sleep(11 * time.Second)
		b.mustOpen()
	})
}

func TestAWriterThatIsBackBeforeTheLedgerWasTakenUpIsNotFenced(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		w.run(r, "r", output(t1, 1))
		a := w.worker(r, "r", 0, "a", "a").mustOpen()
		w.crash(r)
		a.r = &replica{Engine: write.New(write.Config{Ledger: w.ledger, Backend: w.backend}), budget: flow.NewBudget(1), done: make(chan error, 1)}
		a.mustOpen() // Run has not begun
		ctx, cancel := context.WithCancel(t.Context())
		a.r.cancel = cancel
		go func() { a.r.done <- a.r.Run(ctx) }()
		w.replicas = append(w.replicas, a.r)
		synctest.Wait()
		a.must(a.writeAll(3))
		w.wantRows(t1, writetest.Tags("a", 0, 3)...)
	})
}

func TestTW_39_TW_40_TW_41_after_the_seal(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		w.run(r, "r", output(t1, 2))
		a := w.worker(r, "r", 0, "a", "a").mustOpen()
		a.must(a.writeAll(2))
		if again, err := a.seal(); err != nil || again.Rows != 2 {
			t.Errorf("a second seal = %+v, %v", again, err)
		}
		wantReason(t, "Append after the seal", a.send(1), apierr.WriterClosed)
		b := w.worker(r, "r", 1, "b", "b").mustOpen()
		b.must(b.writeAll(1))
		wantReason(t, "open in a committed run", w.worker(r, "r", 0, "z", "z").open(), apierr.RunClosed)
		wantReason(t, "reopen in a committed run", b.reopen(), apierr.RunClosed)
	})
}

func TestTW_73_TW_74_TW_75_TW_77_TW_79_bad_opens(t *testing.T) {
	part := table.Spec{{Column: "dt", Value: "1"}}
	for name, tc := range map[string]struct {
		change func(*write.OpenRequest)
		want   apierr.Reason
	}{
		"negative slice":                  {func(r *write.OpenRequest) { r.SliceID = -1 }, apierr.BadSlice},
		"slice beyond the count":          {func(r *write.OpenRequest) { r.SliceID = 2 }, apierr.BadSlice},
		"slice without a run":             {func(r *write.OpenRequest) { r.RunID, r.SliceID = "", 1 }, apierr.BadSlice},
		"partition missing":               {func(r *write.OpenRequest) { r.RunID, r.Output = "", tp }, apierr.BadPartition},
		"partition of a plain table":      {func(r *write.OpenRequest) { r.RunID, r.Output.Partition = "", part }, apierr.BadPartition},
		"table missing":                   {func(r *write.OpenRequest) { r.Output = table.Ref{Name: table.NewName("p", "", "nowhere")} }, apierr.TableNotFound},
		"run missing":                     {func(r *write.OpenRequest) { r.RunID = "other" }, apierr.RunNotFound},
		"negative attempt":                {func(r *write.OpenRequest) { r.Attempt = -1 }, apierr.BadArgument},
		"worker id too long":              {func(r *write.OpenRequest) { r.WorkerID = strings.Repeat("w", 65) }, apierr.BadArgument},
		"window too large":                {func(r *write.OpenRequest) { r.ReplayBytes = 1<<30 + 1 }, apierr.BadArgument},
		"implicit options of a known run": {func(r *write.OpenRequest) { r.Implicit = &write.OutputOptions{} }, apierr.BadArgument},
		"PER_SLICE": {func(r *write.OpenRequest) {
			r.RunID, r.Implicit = "", &write.OutputOptions{Visibility: write.VisibilityPerSlice}
		}, apierr.Unsupported},
		"FAIL on a missing partition": {func(r *write.OpenRequest) {
			r.RunID, r.Output = "", table.Ref{Name: tp.Name, Partition: part}
			r.Implicit = &write.OutputOptions{MissingPartition: write.FailMissing}
		}, apierr.PartitionNotFound},
		"columns": {func(r *write.OpenRequest) {
			r.CheckSchema = func(s *table.Schema) error { return apierr.New(apierr.BadColumn, "%d columns", len(s.Columns)) }
		}, apierr.BadColumn},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				r := w.start()
				w.run(r, "r", output(t1, 2), output(table.Ref{Name: table.NewName("p", "", "nowhere")}, 1))
				c := w.worker(r, "r", 0, "a", "a")
				tc.change(&c.req)
				wantReason(t, "Open", c.open(), tc.want)
				if keys := append(w.ledger.Keys("slice/"), w.ledger.Keys("lock/")...); len(keys) != 0 {
					t.Errorf("a refused open left %q", keys)
				}
			})
		})
	}
}

func TestTW_88_two_programs_on_one_table(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		a := w.worker(r, "", 0, "a", "a").mustOpen()
		b := w.worker(r, "", 0, "b", "b")
		if e := errorWith(t, "the second program's open", b.open(), apierr.OutputBusy); e.Meta("run_id") != "implicit.a.1" {
			t.Errorf("busy with %q", e.Meta("run_id"))
		}
		a.must(a.writeAll(2))
		b.mustOpen()
		b.must(b.writeAll(3))
		w.wantRows(t1, writetest.Tags("b", 0, 3)...)
	})
}

func TestAnImplicitRunEndsWithItsLease(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		a := w.worker(r, "", 0, "a", "a").mustOpen()
		a.must(a.send(1))
		a.detach()
		time.Sleep(61 * time.Second)
		b := w.worker(r, "", 0, "b", "b").mustOpen()
		b.must(b.writeAll(1))
		wantReason(t, "the first program's resume", a.open(), apierr.RunClosed)
	})
}

func TestRunTTL(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		w.run(r, "waits", output(t2, 1))
		w.run(r, "dies", output(t1, 2))
		a := w.worker(r, "dies", 0, "a", "a").mustOpen()
		a.must(a.send(1))
		a.detach()
		time.Sleep(9 * time.Minute) // one minute of lease, eight of nothing
		if run, err := r.GetRun(t.Context(), "dies", 0); err != nil || run.State != write.RunOpen {
			t.Fatalf("GetRun = %v, %v", run.State, err)
		}
		time.Sleep(8 * time.Minute) // asking was a sign of life
		run, err := r.GetRun(t.Context(), "dies", 0)
		if err != nil || run.State != write.RunOpen {
			t.Fatalf("GetRun = %v, %v", run.State, err)
		}
		time.Sleep(11 * time.Minute)
		if run, err = r.GetRun(t.Context(), "dies", 0); err != nil || run.State != write.RunAborted {
			t.Fatalf("GetRun = %v, %v, want ABORTED", run.State, err)
		}
		if run, err = r.GetRun(t.Context(), "waits", 0); err != nil || run.State != write.RunOpen {
			t.Errorf("a run that was never opened = %v, %v", run.State, err)
		}
		if keys := w.ledger.Keys("lock/"); len(keys) != 0 {
			t.Errorf("outputs stay locked: %q", keys)
		}
	})
}

func TestARunWithAllOpenedSlicesSealedDoesNotExpire(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		w.run(r, "r", output(t1, 0))
		a := w.worker(r, "r", 0, "a", "a").mustOpen()
		a.must(a.writeAll(2))
		time.Sleep(23 * time.Hour)
		if _, err := r.CompleteRun(t.Context(), "r", nil); err != nil {
			t.Fatal(err)
		}
		w.wantRows(t1, writetest.Tags("a", 0, 2)...)
	})
}

func TestTheLeaseLivesByHeartbeats(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		w.run(r, "r", output(t1, 1))
		a := w.worker(r, "r", 0, "a", "a").mustOpen()
		b := w.worker(r, "r", 0, "b", "b")
		for range 10 {
			time.Sleep(20 * time.Second)
			a.wr.Heartbeat()
		}
		wantReason(t, "open while the holder beats", b.open(), apierr.SliceConflict)
		time.Sleep(2 * time.Minute) // silence: takeable
		a.must(a.send(1))           // but nobody took it: the holder is back
		wantReason(t, "open once the holder is back", b.open(), apierr.SliceConflict)
		time.Sleep(2 * time.Minute)
		a.wr.Heartbeat()
		synctest.Wait()
		wantReason(t, "open after a late heartbeat", b.open(), apierr.SliceConflict)
		time.Sleep(2 * time.Minute)
		b.mustOpen()
		wantReason(t, "the old holder", a.send(1), apierr.SliceFenced)
	})
}

func TestAbortOfASlice(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		w.backend.SetRows(t1, "old")
		w.run(r, "r", output(t1, 1))
		a := w.worker(r, "r", 0, "a", "a").mustOpen()
		a.must(a.send(3)).must(a.flush()).must(a.send(1))
		if n, err := a.wr.Abort(t.Context(), "no"); err != nil || n != 4 {
			t.Fatalf("Abort = %d, %v", n, err)
		}
		a.must(a.open())
		if a.wr != nil || a.opened.Aborted == nil || *a.opened.Aborted != 4 {
			t.Errorf("resume after the abort = %+v", a.opened)
		}
		_, err := r.CompleteRun(t.Context(), "r", nil)
		wantReason(t, "CompleteRun", err, apierr.RunIncomplete)
		b := w.worker(r, "r", 0, "b", "b").mustOpen()
		b.must(b.writeAll(1))
		w.wantRows(t1, writetest.Tags("b", 0, 1)...)
	})
}

func TestAbortOfAnImplicitRunFreesItsOutput(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		a := w.worker(r, "", 0, "a", "a").mustOpen()
		a.must(a.send(3))
		if _, err := a.wr.Abort(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
		run, err := r.GetRun(t.Context(), "implicit.a.1", 0)
		if err != nil || run.State != write.RunAborted {
			t.Errorf("GetRun = %v, %v", run.State, err)
		}
		w.worker(r, "", 0, "b", "b").mustOpen()
	})
}

func TestResumeAfterTheRunEnded(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		a := w.worker(r, "", 0, "a", "a").mustOpen()
		a.must(a.send(3))
		if _, err := a.seal(); err != nil {
			t.Fatal(err)
		}
		a.detach()
		time.Sleep(time.Minute)
		a.mustOpen()
		if a.opened.Finished == nil || a.opened.Finished.State != write.RunCommitted || a.opened.Sealed.Rows != 3 {
			t.Errorf("opened = %+v", a.opened)
		}
		late := w.worker(r, "implicit.a.1", 0, "b", "b")
		wantReason(t, "another worker's open", late.open(), apierr.RunClosed)
	})
}

// TestAResumeOfASliceThatWasTakenIsFenced: the taker has the same attempt and is itself lost by then, so that a takeover
// would be allowed; but the client has only its undurable rows left.
func TestAResumeOfASliceThatWasTakenIsFenced(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		w.run(r, "r", output(t1, 1))
		a := w.worker(r, "r", 0, "a", "a").mustOpen()
		a.must(a.send(3)).must(a.flush())
		a.detach()
		time.Sleep(2 * time.Minute)
		b := w.worker(r, "r", 0, "b", "b").mustOpen()
		b.detach()
		time.Sleep(2 * time.Minute)
		a.req.DurableSeen = 3
		wantReason(t, "the resume", a.open(), apierr.SliceFenced)
		a.req.SliceID, a.req.RunID = 0, "new"
		w.run(r, "new", output(t2, 1))
		a.req.Output = t2
		wantReason(t, "a resume of a slice the ledger does not know", a.open(), apierr.RowsLost)
	})
}

func TestRowsLostAndPrincipal(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		w.run(r, "r", output(t1, 1))
		a := w.worker(r, "r", 0, "a", "a").mustOpen()
		a.must(a.send(2)).must(a.flush())
		a.req.Principal = "you"
		wantReason(t, "another principal's resume", a.open(), apierr.Permission)
		a.req.Principal, a.req.DurableSeen = "me", 3
		wantReason(t, "a resume that saw more", a.open(), apierr.RowsLost)
		a.req.DurableSeen, a.req.Attempt = 2, 5
		wantReason(t, "another attempt of one worker", a.open(), apierr.BadArgument)
		a.req.Attempt, a.req.OpenNumber = 0, 0
		wantReason(t, "an open number that was used", a.open(), apierr.SliceFenced)
		a.req.OpenNumber = -1 // open makes it 0: the next
		a.mustOpen()
		if a.opened.Term != 2 || a.opened.ResumeOffset != 2 {
			t.Errorf("opened = %+v", a.opened)
		}
	})
}
