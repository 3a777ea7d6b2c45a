package write_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/write"
	"github.com/sluice-io/sluice/service/internal/write/writetest"
)

func TestTheLeaseStandsStillWhileAnOpenClears(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		w.backend.SetFault(func(c writetest.Call) writetest.Outcome {
			if c.Op == writetest.OpPost && c.N == 0 {
				time.Sleep(3 * time.Minute)
			}
			return writetest.OK
		})
		a := w.worker(r, "", 0, "a", "a")
		a.req.Implicit = &write.OutputOptions{Clear: write.ClearAtOpen}
		a.mustOpen()
		a.must(a.writeAll(3))
		w.wantRows(t1, writetest.Tags("a", 0, 3)...)
	})
}

func TestOneOfManyCallersCreatesARun(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		spec := write.RunSpec{ID: "r", Outputs: []write.OutputSpec{output(t1, 1)}}
		w.ledger.SetFault(func(write.Txn) writetest.Outcome {
			w.ledger.SetFault(nil)
			if _, created, err := r.CreateRun(t.Context(), spec); err != nil || !created {
				t.Errorf("the faster CreateRun = %t, %v, want created", created, err)
			}
			return writetest.OK
		})
		if _, created, err := r.CreateRun(t.Context(), spec); err != nil || created {
			t.Errorf("the slower CreateRun = %t, %v, want found", created, err)
		}
		w.ledger.SetFault(func(write.Txn) writetest.Outcome { w.ledger.SetFault(nil); return writetest.FailAfter })
		spec.ID = "s"
		if _, created, err := r.CreateRun(t.Context(), spec); err != nil || !created {
			t.Errorf("CreateRun with a lost reply = %t, %v, want created", created, err)
		}
	})
}

// TestACommitIsNotLeftToADriveThatIsJustEnding: a drive has seen that the run is OPEN and is about to end when
// somebody moves the run to CLOSING and joins it.
func TestACommitIsNotLeftToADriveThatIsJustEnding(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		w.run(r, "r", output(t1, 0))
		a := w.worker(r, "r", 0, "a", "a").mustOpen()
		a.must(a.writeAll(3))
		completed := make(chan error, 1)
		w.ledger.SetRead(func([]write.Key) {
			w.ledger.SetRead(nil)
			go func() {
				_, err := r.CompleteRun(t.Context(), "r", nil)
				completed <- err
			}()
			time.Sleep(time.Second)
		})
		if err := r.Drive(t.Context(), "r"); err != nil {
			t.Errorf("Drive = %v", err)
		}
		if err := <-completed; err != nil {
			t.Errorf("CompleteRun = %v", err)
		}
		w.wantRows(t1, writetest.Tags("a", 0, 3)...)
	})
}

// TestARefusalIsCountedOnceThoughItsReplyIsLost: one POST is under way, a second one is refused, and the ledger's answer
// to the counting of that refusal is lost. Counted twice it would seem that nothing is under way any more.
func TestARefusalIsCountedOnceThoughItsReplyIsLost(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		w.run(r, "r", output(t1, 0))
		a := w.worker(r, "r", 0, "a", "a").mustOpen()
		a.must(a.writeAll(3))
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
		w.ledger.SetFault(func(txn write.Txn) writetest.Outcome {
			for _, p := range txn.Puts {
				if strings.HasPrefix(string(p.Key), "out/") && bytes.Contains(p.Value, []byte(`"settled":1`)) {
					w.ledger.SetFault(nil)
					return writetest.FailAfter
				}
			}
			return writetest.OK
		})
		run, err := r.CompleteRun(t.Context(), "r", nil)
		wantReason(t, "CompleteRun", err, apierr.OutcomeUnknown)
		if run.State != write.RunCommitting {
			t.Errorf("the run is %s with a POST under way", run.State)
		}
		w.backend.SetFault(nil)
		w.backend.Land()
		if _, err := r.CompleteRun(t.Context(), "r", nil); err != nil {
			t.Errorf("CompleteRun = %v", err)
		}
		w.wantRows(t1, writetest.Tags("a", 0, 3)...)
	})
}

// TestALateCommitOfAForcedRunFreesNobodyElsesOutput: a person gave the run up, another run has the output, and then a
// replica learns that the first run's commit came after all.
func TestALateCommitOfAForcedRunFreesNobodyElsesOutput(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r1, r2 := w.start(), w.start()
		w.run(r1, "r", output(t1, 0))
		a := w.worker(r1, "r", 0, "a", "a").mustOpen()
		a.must(a.writeAll(3))
		w.backend.SetFault(func(c writetest.Call) writetest.Outcome {
			switch {
			case c.Op != writetest.OpPost:
				return writetest.OK
			case c.N == 0:
				time.Sleep(4 * time.Minute)
				return writetest.OK
			default:
				return writetest.FailBefore
			}
		})
		late := make(chan error, 1)
		go func() {
			_, err := r1.CompleteRun(t.Context(), "r", nil)
			late <- err
		}()
		time.Sleep(time.Second)
		_, err := r2.AbortRun(t.Context(), "r", "it will not come", true)
		wantReason(t, "AbortRun", err, apierr.RunClosed)
		w.run(r2, "s", output(t1, 0))
		w.worker(r2, "s", 0, "b", "b").mustOpen()
		wantReason(t, "the late CompleteRun", <-late, apierr.CommitFailed)
		w.run(r2, "u", output(t1, 0))
		wantReason(t, "a third run's open", w.worker(r2, "u", 0, "c", "c").open(), apierr.OutputBusy)
	})
}

func TestAPartlyCommittedRunIsNotForgottenWithItsLocks(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.limits.Retention = time.Hour
		r := w.start()
		w.run(r, "r", output(t1, 1), output(t2, 1))
		for _, ref := range []write.OutputSpec{output(t1, 1), output(t2, 1)} {
			a := w.worker(r, "r", 0, "a", "a")
			a.req.Output = ref.Ref
			a.mustOpen()
			a.must(a.send(3))
			if ref.Ref.Name == t2.Name {
				w.backend.SetFault(func(c writetest.Call) writetest.Outcome {
					if c.Op == writetest.OpPost && c.N == 1 {
						return writetest.Refuse
					}
					return writetest.OK
				})
			}
			_, err := a.seal()
			a.must(err)
		}
		for range 200 { // somebody asks every minute whether it is to be tried again
			time.Sleep(time.Minute)
			if run, err := r.GetRun(t.Context(), "r", 0); err != nil || run.State != write.RunPartiallyCommitted {
				t.Fatalf("GetRun = %s, %v", run.State, err)
			}
		}
		time.Sleep(20 * time.Minute)
		if locks := w.ledger.Keys("lock/"); len(locks) != 0 {
			t.Errorf("locks %v are never freed", locks)
		}
		time.Sleep(2 * time.Hour)
		if left := w.ledger.Keys(""); len(left) != 0 {
			t.Errorf("%v are never forgotten", left)
		}
	})
}

func TestTheAgeOfABlockIsThatOfItsOwnRows(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.start()
		w.run(r, "r", output(t1, 1))
		a := w.worker(r, "r", 0, "a", "a")
		a.req.OnTakeover = write.Resume
		a.mustOpen()
		a.must(a.send(5)).must(a.flush())
		time.Sleep(50 * time.Second)
		a.must(a.send(300)) // more than is gathered: a block of its own, at once
		time.Sleep(20 * time.Second)
		if got := a.wr.Durable(); got != 5 {
			t.Errorf("durable %d: a block of 20 s was closed by the age of the one before", got)
		}
	})
}
