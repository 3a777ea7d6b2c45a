package write_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/batch"
	"github.com/sluice-io/sluice/service/internal/table"
	"github.com/sluice-io/sluice/service/internal/write"
	"github.com/sluice-io/sluice/service/internal/write/writetest"
)

func TestCompleteRunRefusesImpossibleSliceCounts(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.limits.MaxSlices = 50
		r := w.start()
		w.run(r, "r", output(t1, 0))
		a := w.worker(r, "r", 0, "a", "a").mustOpen()
		a.must(a.writeAll(2))
		for _, count := range []int32{-1, 51, math.MaxInt32} {
			_, err := r.CompleteRun(t.Context(), "r", []write.Expectation{{Output: t1, SliceCount: count}})
			if e := errorWith(t, fmt.Sprintf("CompleteRun expecting %d slices", count), err, apierr.BadArgument); e.Meta("field") != "expect.slice_count" {
				t.Errorf("field = %q", e.Meta("field"))
			}
		}
		_, err := r.CompleteRun(t.Context(), "r", []write.Expectation{{Output: t1, SliceCount: 50}})
		wantReason(t, "CompleteRun expecting 50 slices", err, apierr.RunIncomplete)
	})
}

func TestManyMissingSlicesAreCountedAndSomeAreNamed(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		w.run(r, "r", output(t1, 9000), output(t2, 150))
		a := w.worker(r, "r", 7, "a", "a").mustOpen()
		a.must(a.writeAll(2))
		b := w.worker(r, "r", 0, "b", "b")
		b.req.Output = t2
		b.mustOpen()
		_, err := r.CompleteRun(t.Context(), "r", nil)
		e := errorWith(t, "CompleteRun", err, apierr.RunIncomplete)
		if !strings.HasPrefix(e.Message(), "9149 slices are not sealed: ") {
			t.Errorf("message %.60q, want 9149 slices", e.Message())
		}
		names := strings.Fields(e.Meta("missing"))
		if len(names) != 100 || names[0] != "odps://p/tables/t1:0" || names[7] != "odps://p/tables/t1:8" || names[99] != "odps://p/tables/t1:100" {
			t.Errorf("%d slices are named: %v", len(names), names)
		}
	})
}

// TestFinishNeverCommitsTheRestAgain: the run ends PARTIALLY_COMMITTED between any two looks of Finish at it.
func TestFinishNeverCommitsTheRestAgain(t *testing.T) {
	for look := range 4 {
		t.Run(fmt.Sprint("after look ", look), func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				r := w.start()
				w.run(r, "r", output(t1, 1), output(t2, 1))
				a := w.worker(r, "r", 0, "a", "a").mustOpen()
				a.must(a.writeAll(2))
				w.backend.SetFault(func(c writetest.Call) writetest.Outcome {
					if c.Op == writetest.OpPost && c.N == 1 {
						time.Sleep(5 * time.Second)
						return writetest.Refuse
					}
					return writetest.OK
				})
				b := w.worker(r, "r", 0, "b", "b")
				b.req.Output = t2
				b.mustOpen()
				if _, err := b.seal(); err != nil {
					t.Fatal(err)
				}
				synctest.Wait() // the second POST is under way
				looks := make(chan struct{}, 100)
				w.ledger.SetRead(func(keys []write.Key) {
					if strings.HasPrefix(string(keys[0]), "run/") {
						looks <- struct{}{}
						if len(looks) == look+1 {
							time.Sleep(10 * time.Second)
						}
					}
				})
				run, err := b.wr.Finish(t.Context())
				w.ledger.SetRead(nil)
				wantReason(t, "Finish", err, apierr.CommitFailed)
				if run.State != write.RunPartiallyCommitted {
					t.Errorf("the run is %s", run.State)
				}
				if n := w.backend.Calls(writetest.OpPost); n != 2 {
					t.Errorf("%d POSTs, want 2", n)
				}
			})
		})
	}
}

// TestAResumeBesideALivingSuccessorIsFenced: the writer was told of durable rows, so it held the slice: somebody who
// holds or sealed it now has superseded it.
func TestAResumeBesideALivingSuccessorIsFenced(t *testing.T) {
	for _, how := range []string{"open", "sealed", "larger attempt", "resumed"} {
		t.Run(how, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				r := w.start()
				w.run(r, "r", output(t1, 2))
				a := w.worker(r, "r", 0, "a", "x").mustOpen()
				a.must(a.send(3)).must(a.flush())
				a.detach()
				time.Sleep(2 * time.Minute) // the lease is over
				b := w.worker(r, "r", 0, "b", "x")
				switch how {
				case "larger attempt":
					b.req.Attempt = 1
				case "resumed":
					b.req.OnTakeover = write.Resume
				}
				b.mustOpen()
				if how == "sealed" {
					b.must(b.writeAll(1))
				}
				a.req.DurableSeen = 3
				e := errorWith(t, "the superseded writer's resume", a.open(), apierr.SliceFenced)
				if e.Meta("winner_worker_id") != "b" {
					t.Errorf("fenced by %v", e)
				}
				c := w.worker(r, "r", 0, "c", "c") // was never told of rows
				c.req.Attempt = b.req.Attempt
				wantReason(t, "a newcomer's open", c.open(), apierr.SliceConflict)
			})
		})
	}
}

func TestFlushedRowsOfAnAbortedSliceAreNotCommitted(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		w.run(r, "r", output(t1, 0))
		a := w.worker(r, "r", 0, "a", "a").mustOpen()
		a.must(a.writeAll(2))
		b := w.worker(r, "r", 1, "b", "b").mustOpen()
		b.must(b.send(3)).must(b.flush())
		if _, err := b.wr.Abort(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
		run, err := r.CompleteRun(t.Context(), "r", nil)
		if err != nil || run.Outputs[0].CommittedRows != 2 {
			t.Errorf("CompleteRun = %+v, %v, want 2 rows", run.Outputs, err)
		}
		w.wantRows(t1, writetest.Tags("a", 0, 2)...)
	})
}

// TestWritersWaitForARunThatMayOpenAgain: a slice is opened between CompleteRun's look and its door, so the run goes
// back from CLOSING to OPEN, and those who came meanwhile go on.
func TestWritersWaitForARunThatMayOpenAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		w.run(r, "r", output(t1, 0))
		a := w.worker(r, "r", 0, "a", "a").mustOpen()
		a.must(a.writeAll(1))
		b := w.worker(r, "r", 1, "b", "b")
		c := w.worker(r, "r", 2, "c", "c")
		flushed, opened := make(chan error, 1), make(chan error, 1)
		doors := 0
		w.ledger.SetFault(func(txn write.Txn) writetest.Outcome {
			if txn.Puts == nil || txn.Puts[0].Key != "run/r" {
				return writetest.OK
			}
			switch doors++; doors {
			case 1: // OPEN → CLOSING
				b.mustOpen()
				b.must(b.send(3))
			case 2: // CLOSING → OPEN
				go func() { flushed <- b.flush() }()
				go func() { opened <- c.open() }()
				time.Sleep(time.Second)
				if len(flushed)+len(opened) != 0 {
					t.Error("somebody was answered while the run was CLOSING")
				}
			}
			return writetest.OK
		})
		_, err := r.CompleteRun(t.Context(), "r", nil)
		wantReason(t, "CompleteRun", err, apierr.RunIncomplete)
		if err := <-flushed; err != nil {
			t.Errorf("Flush = %v", err)
		}
		if err := <-opened; err != nil {
			t.Errorf("Open = %v", err)
		}
		if doors != 2 {
			t.Fatalf("the run's state changed %d times", doors)
		}
		b.must(b.writeAll(3))
		c.must(c.writeAll(1))
		if _, err := r.CompleteRun(t.Context(), "r", nil); err != nil {
			t.Errorf("CompleteRun = %v", err)
		}
		w.wantRows(t1, append(writetest.Tags("b", 0, 3), "a/0000", "c/0000")...)
	})
}

func TestImplicitRunsWriteOnlyWhatIsPredefined(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.predefined = func(ref table.Ref) bool { return ref.Name == t2.Name }
		r := w.start()
		a := w.worker(r, "", 0, "a", "a")
		wantReason(t, "open of an output that is not listed", a.open(), apierr.TableNotPredefined)
		if keys := w.ledger.Keys("run/"); len(keys) != 0 || w.backend.Calls(writetest.OpTable) != 0 {
			t.Errorf("the refused open left %v, %d look-ups", keys, w.backend.Calls(writetest.OpTable))
		}
		a.req.Output = t2
		a.mustOpen()
		w.run(r, "r", output(t1, 1)) // a declared output needs no list
		w.worker(r, "r", 0, "b", "b").mustOpen()
	})
}

func TestASecondSealMustAgreeWithTheFirst(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		w.run(r, "r", output(t1, 2))
		a := w.worker(r, "r", 0, "a", "a").mustOpen()
		a.must(a.send(3))
		for i, tc := range []struct {
			rows *int64
			want apierr.Reason
		}{{new(int64(3)), apierr.Unspecified}, {new(int64(3)), apierr.Unspecified}, {nil, apierr.Unspecified}, {new(int64(2)), apierr.WriterClosed}, {new(int64(4)), apierr.WriterClosed}} {
			sealed, err := a.wr.Seal(t.Context(), tc.rows)
			if got := apierr.ReasonOf(err); got != tc.want || err == nil && sealed.Rows != 3 {
				t.Errorf("seal %d = %+v, %v, want %s", i, sealed, err, tc.want)
			}
		}
	})
}

// TestBlocksThatChangeBehindThePointOfNoReturnStopTheCommit: a ledger that was damaged or restored. Block numbers and
// row counts still agree with the session's list, only what was recorded of the content differs.
func TestBlocksThatChangeBehindThePointOfNoReturnStopTheCommit(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		w.backend.SetRows(t1, "old")
		w.run(r, "r", output(t1, 0))
		a := w.worker(r, "r", 0, "a", "a").mustOpen()
		a.must(a.writeAll(3))
		changed := 0
		w.ledger.SetFault(func(txn write.Txn) writetest.Outcome {
			if txn.Puts == nil || txn.Puts[0].Key != "run/r" || !strings.Contains(string(txn.Puts[0].Value), fmt.Sprintf(`"state":%d,`, write.RunCommitting)) {
				return writetest.OK
			}
			w.ledger.SetFault(nil)
			for _, key := range w.ledger.Keys("block/r/") {
				e := must(w.ledger.Get(t.Context(), write.Key(key)))[0]
				value := strings.Replace(string(e.Value), `"checksum":`, `"checksum":1`, 1)
				if value != string(e.Value) {
					changed++
				}
				if err := w.ledger.Commit(t.Context(), write.Txn{Puts: []write.Put{{Key: e.Key, Value: []byte(value)}}}); err != nil {
					t.Error(err)
				}
			}
			return writetest.OK
		})
		_, err := r.CompleteRun(t.Context(), "r", nil)
		wantReason(t, "CompleteRun", err, apierr.CommitFailed)
		if changed != 1 || w.backend.Calls(writetest.OpPost) != 0 {
			t.Errorf("%d blocks changed, %d POSTs", changed, w.backend.Calls(writetest.OpPost))
		}
		w.wantRows(t1, "old")
	})
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestTheRowCountMustBeThatOfThePayload(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		w.run(r, "r", output(t1, 1))
		a := w.worker(r, "r", 0, "a", "a").mustOpen()
		for _, payload := range []int{2, 4} {
			_, err := a.wr.Append(t.Context(), 0, 3, 1, func() (*batch.Checked, error) { return w.rows.Batch("a", 0, payload, a.form), nil })
			if e := errorWith(t, "Append", err, apierr.BadArgument); e.Meta("field") != "batch.row_count" {
				t.Errorf("field = %q", e.Meta("field"))
			}
			if n := w.rows.Unreleased(); n != 0 || a.wr.Accepted() != 0 {
				t.Errorf("%d batches are held, %d rows accepted", n, a.wr.Accepted())
			}
		}
		a.must(a.writeAll(3))
		w.wantRows(t1, writetest.Tags("a", 0, 3)...)
	})
}

// TestDurableRowsLeaveTheWindow: once the client's window was half full and became durable, few rows gather again.
func TestDurableRowsLeaveTheWindow(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.limits.ReplayLeast = 1
		r := w.start()
		w.run(r, "r", output(t1, 1))
		a := w.worker(r, "r", 0, "a", "a")
		a.req.ReplayBytes = 4 << 10
		a.mustOpen()
		for range 10 {
			a.must(a.send(100)).must(a.flush())
		}
		before := w.backend.Calls(writetest.OpOpen)
		a.must(a.send(10))
		synctest.Wait()
		if opened := w.backend.Calls(writetest.OpOpen) - before; opened != 0 || a.wr.Durable() != 1000 {
			t.Errorf("%d blocks were opened for 10 rows, %d rows are durable", opened, a.wr.Durable())
		}
		a.must(a.writeAll(1010))
	})
}
