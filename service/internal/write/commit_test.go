package write_test

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/write"
	"github.com/sluice-io/sluice/service/internal/write/writetest"
)

func TestTW_81_TW_82_the_commit_is_repeated_until_it_is_settled(t *testing.T) {
	for name, outcome := range map[string]writetest.Outcome{
		"transient error": writetest.FailBefore, "reply lost": writetest.FailAfter, "not sent": writetest.NotSent, "in flight": writetest.Fly,
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				r := w.start()
				w.backend.ClosingLoads = 3
				w.backend.SetRows(t1, "old")
				w.backend.SetFault(failing(writetest.OpPost, 2, outcome))
				a := w.worker(r, "", 0, "a", "a").mustOpen()
				a.must(a.writeAll(5))
				w.backend.Land()
				w.wantRows(t1, writetest.Tags("a", 0, 5)...)
				if run, err := r.CompleteRun(t.Context(), "implicit.a.1", nil); err != nil || run.Outputs[0].CommittedRows != 5 {
					t.Errorf("asked again = %+v, %v", run, err)
				}
				w.wantRows(t1, writetest.Tags("a", 0, 5)...)
			})
		})
	}
}

func TestARefusedCommitFailsTheRunAndFreesTheOutput(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		w.backend.SetRows(t1, "old")
		w.backend.SetFault(failing(writetest.OpPost, 1, writetest.Refuse))
		a := w.worker(r, "", 0, "a", "a").mustOpen()
		wantReason(t, "writing", a.writeAll(5), apierr.CommitFailed)
		w.wantRows(t1, "old")
		run, err := r.GetRun(t.Context(), "implicit.a.1", 0)
		if err != nil || run.State != write.RunFailed || run.Outputs[0].State != write.OutputFailed || run.Err == nil {
			t.Errorf("GetRun = %+v, %v", run, err)
		}
		b := w.worker(r, "", 0, "b", "b").mustOpen()
		b.must(b.writeAll(1))
	})
}

func TestARefusalProvesNothingWhileAnotherPostMayBeUnderWay(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		w.backend.SetFault(func(c writetest.Call) writetest.Outcome {
			switch {
			case c.Op != writetest.OpPost:
				return writetest.OK
			case c.N == 0:
				return writetest.Fly
			default:
				return writetest.Refuse
			}
		})
		a := w.worker(r, "", 0, "a", "a").mustOpen()
		wantReason(t, "writing", a.writeAll(5), apierr.OutcomeUnknown)
		run, err := r.GetRun(t.Context(), "implicit.a.1", 0)
		if err != nil || run.State != write.RunCommitting || run.Err == nil || run.Err.Reason() != apierr.OutcomeUnknown {
			t.Errorf("GetRun = %v %v, %v", run.State, run.Err, err)
		}
		wantReason(t, "another program's open", w.worker(r, "", 0, "b", "b").open(), apierr.OutputBusy)
		w.backend.Land()
		time.Sleep(time.Minute) // the sweeper
		if run, err = r.GetRun(t.Context(), "implicit.a.1", 0); err != nil || run.State != write.RunCommitted {
			t.Errorf("GetRun = %v, %v", run.State, err)
		}
		w.wantRows(t1, writetest.Tags("a", 0, 5)...)
	})
}

func TestAVanishedSessionNeedsAPerson(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		w.backend.SetFault(func(c writetest.Call) writetest.Outcome {
			if c.Op == writetest.OpPost {
				w.backend.EditSession(c.Upload, write.UploadNormal, true)
			}
			return writetest.OK
		})
		a := w.worker(r, "", 0, "a", "a").mustOpen()
		wantReason(t, "writing", a.writeAll(5), apierr.OutcomeUnknown)
		time.Sleep(time.Hour)
		_, err := r.AbortRun(t.Context(), "implicit.a.1", "", false)
		wantReason(t, "AbortRun", err, apierr.RunClosed)
		wantReason(t, "another program's open", w.worker(r, "", 0, "b", "b").open(), apierr.OutputBusy)
		run, err := r.AbortRun(t.Context(), "implicit.a.1", "I looked", true)
		wantReason(t, "AbortRun by force", err, apierr.RunClosed)
		if run.State != write.RunFailed {
			t.Errorf("the run is %v, want FAILED", run.State)
		}
		w.worker(r, "", 0, "b", "b").mustOpen()
	})
}

func TestSessionsThatEndAnotherWayFailTheRun(t *testing.T) {
	for _, status := range []write.UploadStatus{write.UploadExpired, write.UploadCanceled, write.UploadCritical} {
		t.Run(status.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				r := w.start()
				a := w.worker(r, "", 0, "a", "a").mustOpen()
				a.must(a.send(3)).must(a.flush())
				w.backend.EditSession("up0000", status, false)
				wantReason(t, "sealing", a.writeAll(3), apierr.CommitFailed)
			})
		})
	}
}

func TestTW_83_TW_84_TW_85_several_outputs(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		w.backend.SetRows(t1, "old1")
		w.backend.SetRows(t2, "old2")
		part := tp
		part.Partition = append(part.Partition, struct{ Column, Value string }{"dt", "1"})
		w.backend.SetRows(part, "old3")
		w.run(r, "r", output(t1, 1), output(t2, 1), output(part, 0))
		a := w.worker(r, "r", 0, "a", "a").mustOpen()
		a.must(a.writeAll(2))
		w.wantRows(t1, "old1")
		b := w.worker(r, "r", 0, "b", "b")
		b.req.Output = t2
		b.mustOpen()
		b.must(b.writeAll(3))
		time.Sleep(time.Hour)
		w.wantRows(t1, "old1")
		w.backend.SetFault(func(c writetest.Call) writetest.Outcome {
			if c.Op == writetest.OpPost && c.Upload == w.backend.Sessions()[1] {
				return writetest.Refuse
			}
			return writetest.OK
		})
		run, err := r.CompleteRun(t.Context(), "r", nil)
		wantReason(t, "CompleteRun", err, apierr.CommitFailed)
		states := []write.OutputState{run.Outputs[0].State, run.Outputs[1].State, run.Outputs[2].State}
		if want := []write.OutputState{write.OutputCommitted, write.OutputFailed, write.OutputUntouched}; run.State != write.RunPartiallyCommitted || !slices.Equal(states, want) {
			t.Errorf("run = %v, outputs %v, want %v", run.State, states, want)
		}
		w.wantRows(t1, writetest.Tags("a", 0, 2)...)
		w.wantRows(t2, "old2")
		w.wantRows(part, "old3")
		first := w.worker(r, "", 0, "x", "x").mustOpen() // the committed output is free
		first.must(first.writeAll(1))
		second := w.worker(r, "", 0, "y", "y")
		second.req.Output = t2
		wantReason(t, "open of the failed output", second.open(), apierr.OutputBusy)
		w.backend.SetFault(nil)
		if run, err = r.CompleteRun(t.Context(), "r", nil); err != nil || run.State != write.RunCommitted {
			t.Fatalf("asked again = %v, %v", run.State, err)
		}
		w.wantRows(t1, "x/0000")
		w.wantRows(t2, writetest.Tags("b", 0, 3)...)
	})
}

func TestAFailedOutputIsFreedByAbortOrTime(t *testing.T) {
	for _, how := range []string{"abort", "time"} {
		t.Run(how, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				r := w.start()
				w.run(r, "r", output(t1, 1), output(t2, 1))
				a := w.worker(r, "r", 0, "a", "a").mustOpen()
				a.must(a.writeAll(2))
				w.backend.SetFault(failing(writetest.OpPost, 1, writetest.Refuse))
				b := w.worker(r, "r", 0, "b", "b")
				b.req.Output = t2
				b.mustOpen()
				wantReason(t, "writing", b.writeAll(1), apierr.CommitFailed)
				c := w.worker(r, "", 0, "c", "c")
				wantReason(t, "open", c.open(), apierr.OutputBusy)
				if how == "time" {
					time.Sleep(11 * time.Minute)
				} else {
					_, err := r.AbortRun(t.Context(), "r", "", false)
					wantReason(t, "AbortRun", err, apierr.RunClosed)
				}
				c.mustOpen()
				_, err := r.CompleteRun(t.Context(), "r", nil)
				wantReason(t, "CompleteRun", err, apierr.CommitFailed)
			})
		})
	}
}

func TestABackendThatIgnoresVersions(t *testing.T) {
	t.Run("is refused loudly", func(t *testing.T) {
		inBubble(t, func(t *testing.T, w *world) {
			w.backend.IgnoreVersions = true
			r := w.start()
			a := w.worker(r, "", 0, "a", "a").mustOpen()
			wantReason(t, "writing", a.writeAll(3), apierr.Unsupported)
			wantReason(t, "another open", w.worker(r, "", 0, "b", "b").open(), apierr.Unsupported)
			if n := len(w.backend.Sessions()); n != 1 {
				t.Errorf("%d sessions were made, want the probe's", n)
			}
			w.wantRows(t1)
		})
	})
	t.Run("is waited out where the operator allows it", func(t *testing.T) {
		inBubble(t, func(t *testing.T, w *world) {
			w.backend.IgnoreVersions, w.unfenced = true, true
			r := w.start()
			w.run(r, "r", output(t1, 1))
			a := w.worker(r, "r", 0, "a", "a").mustOpen()
			a.must(a.send(200)).must(a.send(10))
			w.backend.SetFault(failing(writetest.OpPut, 1, writetest.Fly))
			wantReason(t, "Flush", a.flush(), apierr.BackendUnavailable)
			go func() {
				time.Sleep(200 * time.Second)
				w.backend.Land() // within the tunnel's idle cut
			}()
			start := time.Now()
			a.must(a.insist(250))
			if took := time.Since(start); took < 300*time.Second {
				t.Errorf("committed after %v, want the wait of 300 s", took)
			}
			w.wantRows(t1, writetest.Tags("a", 0, 250)...)
		})
	})
}

// TestCrashAtEachStep lets the process die at every single call that writing and committing make, before and after the
// call's effect, and starts another: the rows must be exact, and what was durable must stay so.
func TestCrashAtEachStep(t *testing.T) {
	for _, after := range []bool{false, true} {
		for step := 0; ; step++ {
			crashed := false
			inBubble(t, func(t *testing.T, w *world) { crashed = crashOnce(w, step, after) })
			if t.Failed() {
				t.Fatalf("crash at step %d, after its effect: %t", step, after)
			}
			if !crashed {
				t.Logf("%d steps", step)
				if step < 40 {
					t.Errorf("only %d steps: the test misses most of the way", step)
				}
				break
			}
		}
	}
}

func crashOnce(w *world, step int, after bool) (crashed bool) {
	w.backend.SetRows(t1, "old")
	r := w.start()
	out := output(t1, 2)
	if step%2 == 1 {
		out.Options.Clear = write.ClearAtOpen
	}
	w.run(r, "r", out)
	a, b := w.worker(r, "r", 0, "a", "a"), w.worker(r, "r", 1, "b", "b")
	r.gate.CrashAt(step, after)
	_ = a.open() // from here on anything may fail
	if a.wr != nil {
		_ = a.send(200)
		_ = a.flush()
	}
	a.req.DurableSeen = 0
	if a.wr != nil {
		a.req.DurableSeen = a.wr.Durable()
	}
	if b.open() == nil {
		_ = b.writeAll(30)
	}
	if a.wr != nil {
		_ = a.writeAll(300)
	}
	if got := w.backend.Rows(t1); len(got) != 330 && len(got) != 0 && !slices.Equal(got, []string{"old"}) {
		w.t.Errorf("%d rows show before the restart", len(got))
	}
	crashed = r.gate.Crashed()
	w.crash(r)
	again := w.start()
	a.r, b.r = again, again
	if a.wr != nil && a.wr.Durable() > a.req.DurableSeen {
		a.req.DurableSeen = a.wr.Durable()
	}
	a.must(a.insist(300))
	b.must(b.insist(30))
	if _, err := again.CompleteRun(w.t.Context(), "r", nil); err != nil {
		w.t.Errorf("CompleteRun after the restart = %v", err)
	}
	w.wantRows(t1, append(writetest.Tags("a", 0, 300), writetest.Tags("b", 0, 30)...)...)
	if keys := append(w.ledger.Keys("lock/"), append(w.ledger.Keys("block/"), w.ledger.Keys("hold/")...)...); len(keys) != 0 {
		w.t.Errorf("the ledger keeps %q", keys)
	}
	return crashed
}

// TestTwoOutcomes lets every single call fail once without effect and once after it, while the process lives on: the
// client, repeating what it was told to, ends with exact rows.
func TestTwoOutcomes(t *testing.T) {
	for _, op := range []string{writetest.OpTable, writetest.OpCreate, writetest.OpLoad, writetest.OpOpen, writetest.OpWrite, writetest.OpPut, writetest.OpBury, writetest.OpPost, "ledger"} {
		for _, outcome := range []writetest.Outcome{writetest.FailBefore, writetest.FailAfter, writetest.Fly} {
			if op == "ledger" && outcome == writetest.Fly {
				continue // Commit is waited for
			}
			t.Run(fmt.Sprint(op, outcome), func(t *testing.T) {
				for n := 0; ; n++ {
					hit := false
					inBubble(t, func(t *testing.T, w *world) { hit = failOnce(w, op, n, outcome) })
					if t.Failed() {
						t.Fatalf("failure of call %d", n)
					}
					if !hit {
						if n == 0 {
							t.Error("there is no such call")
						}
						return
					}
				}
			})
		}
	}
}

func failOnce(w *world, op string, n int, outcome writetest.Outcome) bool {
	w.backend.SetRows(t1, "old")
	r := w.start()
	var hit atomic.Bool
	var seen atomic.Int64
	w.backend.SetFault(func(c writetest.Call) writetest.Outcome {
		if c.Op == op && c.N == n {
			hit.Store(true)
			return outcome
		}
		return writetest.OK
	})
	w.ledger.SetFault(func(write.Txn) writetest.Outcome {
		if at := seen.Add(1) - 1; op == "ledger" && at == int64(n) {
			hit.Store(true)
			return outcome
		}
		return writetest.OK
	})
	spec := write.RunSpec{ID: "r", Outputs: []write.OutputSpec{{Ref: t1, SliceCount: 1, Options: write.OutputOptions{Clear: write.ClearAtOpen}}}}
	if _, _, err := r.CreateRun(w.t.Context(), spec); err != nil {
		w.t.Errorf("CreateRun = %v", err)
	}
	a := w.worker(r, "r", 0, "a", "a")
	if a.open() == nil {
		_ = a.send(200)
		_ = a.send(100)
		_ = a.flush()
	}
	b := w.worker(r, "r", 0, "b", "b")
	b.req.Attempt = 1
	b.must(b.insist(20))
	synctest.Wait()
	w.backend.Land()
	w.wantRows(t1, writetest.Tags("b", 0, 20)...)
	return hit.Load()
}

func TestTwoReplicasCommitAtTheSameTime(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r1, r2 := w.start(), w.start()
		w.run(r1, "r", output(t1, 0))
		a := w.worker(r1, "r", 0, "a", "a").mustOpen()
		a.must(a.writeAll(5))
		w.backend.SetFault(func(c writetest.Call) writetest.Outcome {
			time.Sleep(time.Millisecond) // let them meet
			return writetest.OK
		})
		errs := make(chan error, 2)
		for _, r := range []*replica{r1, r2} {
			go func() {
				_, err := r.CompleteRun(t.Context(), "r", nil)
				errs <- err
			}()
		}
		if err := errors.Join(<-errs, <-errs); err != nil {
			t.Errorf("CompleteRun = %v", err)
		}
		w.wantRows(t1, writetest.Tags("a", 0, 5)...)
	})
}

func TestAbortSettlesAClearingUnderWay(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		w.backend.SetRows(t1, "old")
		out := output(t1, 1)
		out.Options.Clear = write.ClearAtOpen
		w.run(r, "r", out)
		w.backend.SetFault(func(c writetest.Call) writetest.Outcome {
			if c.Op == writetest.OpPost {
				return writetest.Fly
			}
			return writetest.OK
		})
		wantReason(t, "Open", w.worker(r, "r", 0, "a", "a").open(), apierr.OutcomeUnknown)
		_, err := r.AbortRun(t.Context(), "r", "", false)
		wantReason(t, "AbortRun", err, apierr.OutcomeUnknown)
		wantReason(t, "another program's open", w.worker(r, "", 0, "b", "b").open(), apierr.OutputBusy)
		w.backend.Land()
		w.backend.SetFault(nil)
		time.Sleep(time.Minute)
		b := w.worker(r, "", 0, "b", "b").mustOpen()
		b.must(b.writeAll(2))
		w.backend.Land()
		w.wantRows(t1, writetest.Tags("b", 0, 2)...)
	})
}

func TestAnAbortedOutputIsNotEmptiedByCompleteRun(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		w.backend.SetRows(t1, "old")
		w.run(r, "r", output(t1, 0))
		a := w.worker(r, "r", 0, "a", "a").mustOpen()
		if _, err := a.wr.Abort(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
		_, err := r.CompleteRun(t.Context(), "r", nil)
		wantReason(t, "CompleteRun", err, apierr.RunIncomplete)
		w.wantRows(t1, "old")
	})
}
