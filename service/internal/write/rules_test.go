package write_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/write"
	"github.com/sluice-io/sluice/service/internal/write/writetest"
)

// TestEachRuleIsNeeded plays, for each rule of design.md 3, the interleaving of write-path-holes.md that breaks without
// it: with all rules on the outcome must be right, with the rule off it must be wrong.
func TestEachRuleIsNeeded(t *testing.T) {
	for _, tc := range []struct {
		hole     string
		off      string // rules to switch off, separated by blanks
		scenario func(w *world, rules ...string) error
	}{
		{"H1 every dead id gets a tombstone, listed or not", "buryListedOnly", latePut},
		{"H10 a tombstone has the higher version", "tombstoneAsData", latePut},
		{"H2 the term fences, not the attempt", "fenceByAttempt", twoReplicasOneAttempt},
		{"H2 term and contiguity", "fenceByAttempt ignoreContiguity", twoReplicasOneAttempt},
		{"H3 slice transactions compare the run", "ignoreRunState", openWhileCommitting},
		{"H6 no abort after the point of no return", "abortAnytime", abortWhileCommitting},
		{"H6 only a definite refusal is a failure", "refusalIsFailure", commitInFlight},
		{"H6 the output is busy until the commit is settled", "freeLockEarly", commitInFlight},
		{"H7 an unknown ledger outcome is settled by reading", "unknownIsFailure", lostLedgerReply},
		{"H8 a resume is not a reopen", "resumeIsReopen", lostSealedReply},
		{"H13 a delayed open is refused", "ignoreTry", delayedOpen},
		{"H12 ids are never reused", "reuseIDs", failedPutLandsLate},
		{"H12 ids of the current term are not buried", "buryCurrentTerm", buryBesideALivePut},
		{"H11 an id never given out is not overwritten", "overwriteAliens", ledgerRestored},
		{"the list is compared before the commit", "skipListCheck", blockVanished},
		{"H15 expiry discards nothing", "expiryDiscards", resumeAfterExpiry},
		{"H17 the lease stands still while the server owes an answer", "leaseRunsWhileBusy", blockedForLong},
		{"H14 expiry looks again behind the door", "expireWithoutDoor", resumeDuringExpiry},
	} {
		t.Run(tc.hole, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				if err := tc.scenario(w); err != nil {
					t.Errorf("with all rules: %v", err)
				}
			})
			inBubble(t, func(t *testing.T, w *world) {
				err := tc.scenario(w, strings.Fields(tc.off)...)
				if err == nil {
					t.Errorf("without %s nothing goes wrong: the test proves nothing", tc.off)
				}
				t.Logf("without %s: %v", tc.off, err)
			})
		})
	}
}

// want compares what is published.
func (w *world) want(rows ...string) error {
	slices.Sort(rows)
	if got := w.backend.Rows(t1); !slices.Equal(got, rows) {
		return fmt.Errorf("%d rows %s are published, want %d", len(got), brief(got), len(rows))
	}
	return nil
}

func brief(tags []string) string {
	if len(tags) > 6 {
		tags = append(slices.Clone(tags[:6]), "…")
	}
	return strings.Join(tags, " ")
}

// latePut: the PUT of a fenced writer is in flight when the commit lists, and lands just before its POST.
func latePut(w *world, rules ...string) error {
	old, r := w.start(rules...), w.start(rules...)
	w.run(r, "r", output(t1, 1))
	a := w.worker(old, "r", 0, "a", "a").mustOpen()
	a.must(a.send(200)).must(a.send(10))
	w.backend.SetFault(failing(writetest.OpPut, 1, writetest.Fly))
	if err := a.flush(); err == nil {
		return fmt.Errorf("a flush whose PUT is in flight was answered")
	}
	b := w.worker(r, "r", 0, "b", "b")
	b.req.Attempt = 1
	b.mustOpen()
	w.backend.SetFault(func(c writetest.Call) writetest.Outcome {
		if c.Op == writetest.OpPost {
			w.backend.Land()
		}
		return writetest.OK
	})
	if err := b.writeAll(5); err != nil {
		return err
	}
	return w.want(writetest.Tags("b", 0, 5)...)
}

// twoReplicasOneAttempt: replica A has its PUT acknowledged and pauses; the worker resumes at B; then A records.
func twoReplicasOneAttempt(w *world, rules ...string) error {
	old, r := w.start(rules...), w.start(rules...)
	w.run(r, "r", output(t1, 1))
	a := w.worker(old, "r", 0, "a", "a").mustOpen()
	a.must(a.send(100))
	replied, goOn := make(chan struct{}), make(chan struct{})
	w.backend.SetFault(func(c writetest.Call) writetest.Outcome {
		if c.Op == writetest.OpPut && c.N == 0 {
			close(replied)
			<-goOn
		}
		return writetest.OK
	})
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { _ = a.flush() }) // the zombie: whatever it is told
	<-replied
	b := w.worker(r, "r", 0, "a", "a")
	b.req.OpenNumber = a.req.OpenNumber
	b.mustOpen()
	b.must(b.send(80))
	close(goOn)
	wg.Wait()
	if err := b.flush(); err != nil {
		return fmt.Errorf("the true holder is stopped by its own zombie: %w", err)
	}
	if err := b.writeAll(160); err != nil {
		return err
	}
	return w.want(writetest.Tags("a", 0, 160)...)
}

// openWhileCommitting: while the commit is on its way another slice opens and gets rows acknowledged as durable.
func openWhileCommitting(w *world, rules ...string) error {
	r := w.start(rules...)
	w.run(r, "r", output(t1, 0))
	a := w.worker(r, "r", 0, "a", "a").mustOpen()
	a.must(a.writeAll(3))
	var late *client
	posted := false
	w.backend.SetFault(func(c writetest.Call) writetest.Outcome {
		if c.Op == writetest.OpPost && !posted {
			posted = true
			late = w.worker(r, "r", 1, "b", "b")
			if late.open() == nil {
				late.must(late.send(2)).must(late.flush())
			}
		}
		return writetest.OK
	})
	if _, err := r.CompleteRun(w.t.Context(), "r", nil); err != nil {
		return err
	}
	if late.wr != nil {
		return fmt.Errorf("%d rows were acknowledged as durable in a run that was committing", late.wr.Durable())
	}
	return w.want(writetest.Tags("a", 0, 3)...)
}

// commitWithReplyLost leaves a POST of run r in flight, then lets another run write the table, then lets it land.
func commitWithReplyLost(w *world, between func(r *replica) error, rules ...string) error {
	r := w.start(rules...)
	w.run(r, "r", output(t1, 1))
	a := w.worker(r, "r", 0, "a", "a").mustOpen()
	a.must(a.send(3))
	w.backend.SetFault(func(c writetest.Call) writetest.Outcome {
		if c.Op == writetest.OpPost && c.Upload == "up0000" {
			return writetest.Fly
		}
		return writetest.OK
	})
	if _, err := a.seal(); err != nil {
		return err
	}
	if _, err := a.wr.Finish(w.t.Context()); err == nil {
		return fmt.Errorf("a commit in flight was answered")
	}
	if err := between(r); err != nil {
		return err
	}
	b := w.worker(r, "", 0, "b", "b")
	busy := b.open()
	if busy == nil {
		b.must(b.writeAll(2))
	}
	w.backend.Land()
	w.backend.SetFault(nil)
	if busy == nil {
		return w.want(writetest.Tags("b", 0, 2)...)
	}
	if !apierr.Is(busy, apierr.OutputBusy) {
		return busy
	}
	if _, err := r.CompleteRun(w.t.Context(), "r", nil); err != nil {
		return err
	}
	return w.want(writetest.Tags("a", 0, 3)...)
}

func commitInFlight(w *world, rules ...string) error {
	return commitWithReplyLost(w, func(*replica) error { return nil }, rules...)
}

func abortWhileCommitting(w *world, rules ...string) error {
	return commitWithReplyLost(w, func(r *replica) error {
		_, err := r.AbortRun(w.t.Context(), "r", "", false)
		if err != nil && !apierr.Is(err, apierr.RunClosed) {
			return err
		}
		return nil
	}, rules...)
}

// lostLedgerReply: every third ledger transaction takes effect without a reply.
func lostLedgerReply(w *world, rules ...string) error {
	r := w.start(rules...)
	w.run(r, "r", output(t1, 1))
	a := w.worker(r, "r", 0, "a", "a").mustOpen()
	var mu sync.Mutex
	n := 0
	w.ledger.SetFault(func(write.Txn) writetest.Outcome {
		mu.Lock()
		defer mu.Unlock()
		n++
		if n%2 == 0 {
			return writetest.FailAfter
		}
		return writetest.OK
	})
	for range 3 {
		if err := a.send(2); err != nil {
			return err
		}
		if err := a.flush(); err != nil {
			return fmt.Errorf("a lost ledger reply ended the stream: %w", err)
		}
	}
	if err := a.writeAll(8); err != nil {
		return fmt.Errorf("a lost ledger reply ended the stream: %w", err)
	}
	return w.want(writetest.Tags("a", 0, 8)...)
}

// lostSealedReply: the seal is recorded, its answer lost; the client resumes with nothing in its buffer.
func lostSealedReply(w *world, rules ...string) error {
	r := w.start(rules...)
	w.run(r, "r", output(t1, 2))
	a := w.worker(r, "r", 0, "a", "a").mustOpen()
	a.must(a.writeAll(3))
	a.detach()
	a.mustOpen()
	if a.opened.Sealed == nil || a.opened.DiscardedRows != 0 {
		return fmt.Errorf("a sealed slice was opened again: %+v", a.opened)
	}
	return nil
}

// delayedOpen: an open that hung in the network arrives after its successor wrote durable rows.
func delayedOpen(w *world, rules ...string) error {
	r := w.start(rules...)
	w.run(r, "r", output(t1, 1))
	a := w.worker(r, "r", 0, "a", "a")
	a.req.OpenNumber = 1 // open makes it 2
	a.mustOpen()
	a.must(a.send(3)).must(a.flush())
	late := w.worker(r, "r", 0, "a", "a")
	if err := late.open(); !apierr.Is(err, apierr.SliceFenced) {
		return fmt.Errorf("the delayed open = %w", err)
	}
	return a.writeAll(4)
}

// failedPutLandsLate: a PUT whose fate is unknown lands after the client sent the rows again, cut anew.
func failedPutLandsLate(w *world, rules ...string) error {
	r := w.start(rules...)
	w.run(r, "r", output(t1, 1))
	a := w.worker(r, "r", 0, "a", "a").mustOpen()
	a.must(a.send(200)).must(a.send(10))
	w.backend.SetFault(failing(writetest.OpPut, 1, writetest.Fly))
	if err := a.flush(); err == nil {
		return fmt.Errorf("a flush whose PUT is in flight was answered")
	}
	w.backend.SetFault(nil)
	a.mustOpen()
	a.must(a.send(80)).must(a.flush())
	w.backend.Land()
	if err := a.writeAll(220); err != nil {
		return err
	}
	return w.want(writetest.Tags("a", 0, 220)...)
}

// buryBesideALivePut: dead blocks of one slice are buried in the background while another slice's PUT is under way.
func buryBesideALivePut(w *world, rules ...string) error {
	r := w.start(rules...)
	w.run(r, "r", output(t1, 2))
	a := w.worker(r, "r", 0, "a", "a").mustOpen()
	a.must(a.send(3)).must(a.flush())
	b := w.worker(r, "r", 1, "b", "b").mustOpen()
	b.must(b.send(200)) // reserved, open
	c := w.worker(r, "r", 0, "c", "c")
	c.req.Attempt = 1
	c.mustOpen()
	synctest.Wait()
	if w.backend.Calls(writetest.OpBury) < 3 { // two of them are the probe's
		return fmt.Errorf("nothing was buried in the background")
	}
	if err := b.writeAll(210); err != nil {
		return err
	}
	if err := c.writeAll(1); err != nil {
		return err
	}
	return w.want(append(writetest.Tags("b", 0, 210), "c/0000")...)
}

// ledgerRestored: the session has a block that the ledger never gave out, because the ledger was restored from before.
func ledgerRestored(w *world, rules ...string) error {
	r := w.start(rules...)
	w.run(r, "r", output(t1, 1))
	a := w.worker(r, "r", 0, "a", "a").mustOpen()
	a.must(a.send(3)).must(a.flush())
	w.backend.PlantBlock("up0000", 7, writetest.Tags("acknowledged", 0, 4))
	err := a.writeAll(5)
	if !apierr.Is(err, apierr.CommitFailed) {
		return fmt.Errorf("the run ended with %w", orNothing(err))
	}
	if rows, _, _ := w.backend.Block("up0000", 7); rows != 4 {
		return fmt.Errorf("acknowledged rows were overwritten")
	}
	return nil
}

func orNothing(err error) error {
	if err == nil {
		return fmt.Errorf("success")
	}
	return err
}

// blockVanished: a recorded block is not in the session's list.
func blockVanished(w *world, rules ...string) error {
	r := w.start(rules...)
	w.run(r, "r", output(t1, 1))
	a := w.worker(r, "r", 0, "a", "a").mustOpen()
	a.must(a.send(3)).must(a.flush()).must(a.send(3))
	w.backend.PlantBlock("up0000", 0, nil)
	if err := a.writeAll(6); !apierr.Is(err, apierr.CommitFailed) {
		return fmt.Errorf("the run ended with %w, published are %d rows of 6", orNothing(err), len(w.backend.Rows(t1)))
	}
	return nil
}

// resumeAfterExpiry: a worker comes back long after its lease expired; nobody took its slice.
func resumeAfterExpiry(w *world, rules ...string) error {
	r := w.start(rules...)
	w.run(r, "r", output(t1, 1))
	a := w.worker(r, "r", 0, "a", "a").mustOpen()
	a.must(a.send(3)).must(a.flush())
	a.req.DurableSeen = a.wr.Durable()
	a.detach()
	time.Sleep(3 * time.Minute)
	if err := a.open(); err != nil {
		return err
	}
	if a.opened.ResumeOffset != 3 {
		return fmt.Errorf("resumed at row %d, 3 were durable", a.opened.ResumeOffset)
	}
	return a.writeAll(4)
}

// blockedForLong: the server keeps a batch waiting for longer than the lease.
func blockedForLong(w *world, rules ...string) error {
	r := w.start(rules...)
	w.run(r, "r", output(t1, 1))
	a := w.worker(r, "r", 0, "a", "a").mustOpen()
	w.backend.SetFault(func(c writetest.Call) writetest.Outcome {
		if c.Op == writetest.OpOpen {
			time.Sleep(3 * time.Minute)
		}
		return writetest.OK
	})
	sent := make(chan error)
	go func() { sent <- a.send(200) }()
	time.Sleep(2 * time.Minute)
	err := w.worker(r, "r", 0, "b", "b").open()
	if sentErr := <-sent; sentErr != nil {
		return sentErr
	}
	if !apierr.Is(err, apierr.SliceConflict) {
		return fmt.Errorf("the slice of a waiting writer could be taken: %w", orNothing(err))
	}
	return nil
}

// resumeDuringExpiry: the sweeper has seen no lease, and before the run is CLOSING a worker comes back.
func resumeDuringExpiry(w *world, rules ...string) error {
	r := w.start(rules...)
	w.run(r, "r", output(t1, 1))
	a := w.worker(r, "r", 0, "a", "a").mustOpen()
	a.must(a.send(3)).must(a.flush())
	a.detach()
	var leaving, back atomic.Bool
	w.ledger.SetFault(func(txn write.Txn) writetest.Outcome {
		for _, p := range txn.Puts {
			if p.Key == "run/r" && strings.Contains(string(p.Value), `"state":2`) && leaving.CompareAndSwap(false, true) {
				a.mustOpen()
				back.Store(true)
			}
		}
		return writetest.OK
	})
	for i := 0; !back.Load(); i++ {
		if i > 100 {
			return fmt.Errorf("the run never expired")
		}
		time.Sleep(time.Minute)
	}
	synctest.Wait()
	if err := a.writeAll(5); err != nil {
		return fmt.Errorf("a live run was aborted: %w", err)
	}
	return w.want(writetest.Tags("a", 0, 5)...)
}
