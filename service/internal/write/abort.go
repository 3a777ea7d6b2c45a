package write

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/sluice-io/sluice/service/internal/apierr"
)

// AbortRun ends a run without committing it: OPEN → ABORTED, all holds fenced at once, outputs free when it answers.
// ABORTED is answered with nil, COMMITTING and later with RUN_CLOSED. On a PARTIALLY_COMMITTED run it frees the outputs
// that failed, and answers RUN_CLOSED too.
//
// force is a person's word that a commit whose outcome is unknown will not come any more: the run becomes FAILED (or
// PARTIALLY_COMMITTED) and its outputs free.
func (e *Engine) AbortRun(ctx context.Context, id RunID, message string, force bool) (Run, error) {
	for {
		r, err := e.loadRun(ctx, id)
		if err != nil {
			return Run{}, err
		}
		e.touch(id)
		switch {
		case r.v.State == RunOpen:
			err = e.closeFor(ctx, id, whyAbort, message)
		case r.v.State == RunAborted && !r.v.Unclean:
			return e.view(ctx, r.v)
		case r.v.State == RunPartiallyCommitted && !r.v.GivenUp:
			err = e.giveUp(ctx, id)
		case r.v.State == RunCommitting && e.rules.abortAnytime:
			err = e.abortNow(ctx, id)
		case r.v.State == RunCommitting && force:
			if err = e.drive(ctx, id); err != nil && ctx.Err() == nil {
				err = e.forceFailed(ctx, id)
			}
		case r.v.State != RunClosing && !r.v.Unclean:
			view, viewErr := e.view(ctx, r.v)
			return view, errors.Join(runClosed(r.v), viewErr)
		}
		if err != nil {
			return Run{}, err
		}
		err = e.drive(ctx, id)
		if err != nil && !apierr.Is(err, apierr.RunIncomplete) {
			return Run{}, err
		}
	}
}

// closeFor moves an open run to CLOSING, for an abort or its expiry. Nothing of it moves any more from then on.
func (e *Engine) closeFor(ctx context.Context, id RunID, why closeWhy, message string) error {
	return e.changeRun(ctx, id, func(now *runRecord) bool {
		if now.State != RunOpen {
			return false
		}
		now.State, now.Why, now.Message = RunClosing, why, message
		return true
	})
}

// abortNow is AbortRun without the point of no return (rules.abortAnytime).
func (e *Engine) abortNow(ctx context.Context, id RunID) error {
	return e.changeRun(ctx, id, func(now *runRecord) bool {
		now.State, now.Ended, now.Unclean = RunAborted, e.cfg.Now().UTC(), true
		return true
	})
}

func (e *Engine) giveUp(ctx context.Context, id RunID) error {
	return e.changeRun(ctx, id, func(now *runRecord) bool {
		if now.State != RunPartiallyCommitted || now.GivenUp {
			return false
		}
		now.GivenUp, now.Unclean = true, true
		return true
	})
}

// forceFailed ends, on a person's word, a run whose commit cannot be settled.
func (e *Engine) forceFailed(ctx context.Context, id RunID) error {
	r, err := e.loadRun(ctx, id)
	if err != nil || r.v.State != RunCommitting {
		return err
	}
	why := &errRecord{Reason: apierr.CommitFailed, Message: "given up by force; the outcome of the commit was not known"}
	committed := 0
	for i := range r.v.Outputs {
		out, err := get[outputRecord](ctx, e, keyOutput(id, i))
		switch {
		case err != nil:
			return err
		case out.v.State == OutputCommitted:
			committed++
		case out.exists():
			if err := e.recordFailed(ctx, id, i, why); err != nil {
				return err
			}
		}
	}
	return e.moveFrom(ctx, r, func(rec *runRecord) {
		rec.State, rec.Ended, rec.Unclean, rec.Err = RunFailed, e.cfg.Now().UTC(), true, why
		if committed > 0 {
			rec.State, rec.GivenUp = RunPartiallyCommitted, true
		}
	})
}

// abortClosing carries an abort or expiry on, behind the door where nothing moves: an expiry looks once more whether
// somebody came back; then a clearing under way is settled, and the run is ABORTED.
func (e *Engine) abortClosing(ctx context.Context, r stored[runRecord]) error {
	if r.v.Why == whyExpire && !e.rules.expireWithoutDoor {
		back, err := e.heldOrSealed(ctx, r.v)
		if err != nil {
			return err
		}
		if back {
			return e.moveFrom(ctx, r, func(rec *runRecord) { rec.State, rec.Why = RunOpen, "" })
		}
	}
	for i := range r.v.Outputs {
		if err := e.settleForAbort(ctx, r.v.ID, i); err != nil {
			return err
		}
	}
	err := e.moveFrom(ctx, r, func(rec *runRecord) {
		rec.State, rec.Ended, rec.Unclean = RunAborted, e.cfg.Now().UTC(), true
		rec.Err = &errRecord{Reason: apierr.RunClosed, Message: orText(rec.Message, "aborted: "+string(rec.Why))}
	})
	if err == nil {
		e.failRun(r.v.ID, apierr.New(apierr.RunClosed, "run %q is ABORTED", r.v.ID).
			With("run_id", string(r.v.ID)).With("state", RunAborted.String()))
	}
	return err
}

// settleForAbort makes sure that no clearing of an output can take effect after the output is free.
func (e *Engine) settleForAbort(ctx context.Context, id RunID, out int) error {
	rec, err := get[outputRecord](ctx, e, keyOutput(id, out))
	if err != nil || rec.v.Clear != clearSent || rec.v.Posts == rec.v.Settled {
		return err
	}
	err = e.settleClearing(ctx, id, out, RunClosing)
	if errors.Is(err, errFailed) {
		return nil
	}
	return err
}

// heldOrSealed says that an expiring run is alive after all: somebody holds a slice.
func (e *Engine) heldOrSealed(ctx context.Context, r runRecord) (bool, error) {
	held, err := e.holders(ctx, r.ID)
	if err != nil || len(held) > 0 {
		return len(held) > 0, err
	}
	waits, _, err := e.waitsForComplete(ctx, r)
	return waits, err
}

// waitsForComplete says that a run has opened slices and that all of them are sealed: it does not expire. opened says
// that it has any.
func (e *Engine) waitsForComplete(ctx context.Context, r runRecord) (waits, opened bool, err error) {
	all, err := list[sliceRecord](ctx, e, prefixRunSlices(r.ID))
	if err != nil {
		return false, false, err
	}
	sealed := false
	for _, s := range all {
		switch s.v.State {
		case SliceOpen:
			return false, true, nil
		case SliceSealed:
			sealed = true
		}
	}
	return sealed, len(all) > 0, nil
}

// cleanUp removes what an ended run does not need any more: locks, blocks, holds. The outcome and the slices stay for
// Limits.Retention. Failed outputs of a PARTIALLY_COMMITTED run keep their locks and blocks until it is given up.
func (e *Engine) cleanUp(ctx context.Context, r runRecord) error {
	if err := e.dropHolds(ctx, r.ID); err != nil {
		return err
	}
	for i, o := range r.Outputs {
		out, err := get[outputRecord](ctx, e, keyOutput(r.ID, i))
		if err != nil {
			return err
		}
		if r.State == RunPartiallyCommitted && !r.GivenUp && out.v.State == OutputFailed {
			continue
		}
		if err := e.unlockOutput(ctx, r.ID, o); err != nil {
			return err
		}
		blocks, err := e.keys(ctx, prefixBlocks(r.ID, i))
		if err != nil {
			return err
		}
		if err := e.deleteAll(ctx, blocks); err != nil {
			return err
		}
	}
	return e.changeRun(ctx, r.ID, func(now *runRecord) bool {
		changed := now.Unclean && now.State == r.State && now.GivenUp == r.GivenUp
		if changed {
			now.Unclean = false
		}
		return changed
	})
}

func (e *Engine) unlockOutput(ctx context.Context, id RunID, o declaredOutput) error {
	return e.transact(ctx, func(ctx context.Context, _ bool) (Txn, error) {
		lock, err := get[lockRecord](ctx, e, keyLock(matchKey(o.Ref)))
		if err != nil || lock.v.Run != id {
			return Txn{}, err
		}
		return Txn{Compares: []Compare{lock.unchanged()}, Deletes: []Key{lock.key}}, nil
	})
}

func (e *Engine) dropHolds(ctx context.Context, id RunID) error {
	keys, err := e.keys(ctx, prefixHolds(id))
	if err != nil {
		return err
	}
	return e.deleteAll(ctx, keys)
}

func (e *Engine) keys(ctx context.Context, prefix Key) ([]Key, error) {
	entries, err := e.cfg.Ledger.List(ctx, prefix, "", 0)
	if err != nil {
		return nil, ledgerError(err)
	}
	keys := make([]Key, len(entries))
	for i, entry := range entries {
		keys[i] = entry.Key
	}
	return keys, nil
}

// forgetLife drops what this process knows of a run that has ended and is clean.
func (e *Engine) forgetLife(r runRecord) {
	if r.State == RunPartiallyCommitted && !r.GivenUp {
		return // the sweeper frees the rest in time
	}
	e.failRun(r.ID, runClosed(r))
	e.moved(r.ID)
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.lives, r.ID)
}

// startSweep sweeps in the background, unless the sweep before is still at it.
func (e *Engine) startSweep(ctx context.Context) {
	e.mu.Lock()
	busy := e.sweeping
	e.sweeping = true
	e.mu.Unlock()
	if busy {
		return
	}
	e.background(ctx, func(ctx context.Context) {
		defer func() {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.sweeping = false
		}()
		e.sweep(ctx)
	})
}

// sweep takes up every run that nobody else moves: all sealed, CLOSING, COMMITTING, expired, or ended and not clean.
// It forgets runs whose retention is over.
func (e *Engine) sweep(ctx context.Context) {
	e.mu.Lock()
	ids := make(map[RunID]time.Time, len(e.lives))
	for id, l := range e.lives {
		ids[id] = l.lastSign
	}
	e.mu.Unlock()
	for id, sign := range ids {
		if err := e.sweepRun(ctx, id, sign); err != nil && ctx.Err() == nil {
			e.log.WarnContext(ctx, "run is left to the next sweep", slog.String("run_id", string(id)), slog.String("err", err.Error()))
		}
	}
	e.mu.Lock()
	due := e.cfg.Now().Sub(e.forgot) >= time.Hour
	if due {
		e.forgot = e.cfg.Now()
	}
	e.mu.Unlock()
	if !due {
		return
	}
	if err := e.forgetOld(ctx); err != nil && ctx.Err() == nil {
		e.log.WarnContext(ctx, "old runs are left to the next sweep", slog.String("err", err.Error()))
	}
}

func (e *Engine) sweepRun(ctx context.Context, id RunID, sign time.Time) error {
	r, err := e.loadRun(ctx, id)
	if apierr.Is(err, apierr.RunNotFound) {
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.lives, id)
		return nil
	}
	if err != nil {
		return err
	}
	idle := e.cfg.Now().Sub(sign)
	switch {
	case r.v.State == RunPartiallyCommitted && !r.v.GivenUp && !r.v.Unclean:
		if idle < r.v.RunTTL {
			return nil
		}
		if err := e.giveUp(ctx, id); err != nil {
			return err
		}
	case r.v.State == RunOpen:
		why, message, err := e.dueToClose(ctx, r.v, idle)
		if err != nil || why == "" {
			return err
		}
		if err := e.closeFor(ctx, id, why, message); err != nil {
			return err
		}
	}
	e.startDrive(ctx, id)
	return nil
}

// dueToClose decides what the sweeper does with an open run; "" = nothing.
func (e *Engine) dueToClose(ctx context.Context, r runRecord, idle time.Duration) (closeWhy, string, error) {
	if complete, err := e.completes(ctx, r.ID); err != nil || complete {
		return whyComplete, "", err
	}
	for i := range r.Outputs {
		out, err := get[outputRecord](ctx, e, keyOutput(r.ID, i))
		if err != nil {
			return "", "", err
		}
		if !out.v.Created.IsZero() && e.cfg.Now().After(out.v.Created.Add(e.cfg.Limits.SessionLife)) {
			return whyAbort, "its upload session has expired", nil
		}
	}
	held, err := e.holders(ctx, r.ID)
	if err != nil || len(held) > 0 {
		return "", "", err
	}
	waits, opened, err := e.waitsForComplete(ctx, r)
	switch {
	case err != nil || waits:
		return "", "", err
	case !opened && idle >= e.cfg.Limits.Retention:
		return whyExpire, "never opened", nil
	case opened && (idle >= r.RunTTL || r.Implicit):
		return whyExpire, fmt.Sprintf("no sign of life for %v", idle.Round(time.Second)), nil
	default:
		return "", "", nil
	}
}

// forgetOld removes the outcome of runs that ended longer than the retention ago.
func (e *Engine) forgetOld(ctx context.Context) error {
	all, err := list[runRecord](ctx, e, "run/")
	if err != nil {
		return err
	}
	for _, r := range all {
		if r.v.State == RunPartiallyCommitted && !r.v.GivenUp {
			continue // it still holds the locks and blocks of what failed; sweepRun gives it up first
		}
		if !r.v.State.Ended() || r.v.Unclean || e.cfg.Now().Sub(r.v.Ended) < e.cfg.Limits.Retention {
			continue
		}
		keys, err := e.keys(ctx, prefixRunSlices(r.v.ID))
		if err != nil {
			return err
		}
		for i := range r.v.Outputs {
			keys = append(keys, keyOutput(r.v.ID, i), keySchema(r.v.ID, i))
		}
		if err := e.deleteAll(ctx, append(keys, r.key)); err != nil {
			return err
		}
	}
	return nil
}
