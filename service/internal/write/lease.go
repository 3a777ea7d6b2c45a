package write

import (
	"context"
	"log/slog"
	"time"

	"github.com/sluice-io/sluice/service/internal/apierr"
)

// contendedIdle is when an open block without rows closes while others wait for a PUT.
const contendedIdle = 2 * time.Second

// schedule asks the wheel for the next look at the writer.
func (w *Writer) schedule() {
	w.mu.Lock()
	at := w.nextLook(time.Now())
	w.mu.Unlock()
	w.e.wheel.set(&w.entry, at)
}

// nextLook is when something of the writer is due; zero = never. mu is held.
func (w *Writer) nextLook(now time.Time) time.Time {
	if w.gone || w.lost && (w.detached || w.err != nil) {
		return time.Time{}
	}
	var at time.Time
	if !w.lost {
		at = w.leaseEnd(now)
	}
	if cut := w.cutDue(); !cut.IsZero() && w.err == nil {
		at = earlier(at, cut)
	}
	return at
}

// cutDue is when the rows in hand leave because no more come or because they are old; zero = never. mu is held.
func (w *Writer) cutDue() time.Time {
	var at time.Time
	if w.block != nil {
		at = w.block.fed.Add(w.blockIdle())
	}
	if since, ok := w.oldest(); ok {
		at = earlier(at, since.Add(w.e.blockAge()))
	}
	if !at.IsZero() && at.Before(w.patience) {
		return w.patience
	}
	return at
}

// blockIdle is how long an open block may go without rows.
func (w *Writer) blockIdle() time.Duration {
	if w.e.slots.Waiting() > 0 {
		return min(contendedIdle, w.e.cfg.Limits.BlockIdle)
	}
	return w.e.cfg.Limits.BlockIdle
}

// oldest is since when rows wait that leave by age. mu is held.
func (w *Writer) oldest() (time.Time, bool) {
	switch {
	case !w.ageing:
		return time.Time{}, false
	case w.block != nil:
		return w.block.since, true
	default:
		return w.gatheredSince, len(w.gathered) > 0
	}
}

// blockAge is after how long rows of RESUME slices leave: never more often than the ids of a session last for a day.
func (e *Engine) blockAge() time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	return max(e.cfg.Limits.BlockAge, time.Duration(len(e.holds))*e.cfg.Limits.AgePerSlice)
}

// tick does what is due: it is called by Engine.Run and only starts things.
func (w *Writer) tick(ctx context.Context) {
	now := time.Now()
	w.mu.Lock()
	expired := !w.gone && !w.lost && !w.leaseEnd(now).After(now)
	due := w.cutDue()
	cut := w.err == nil && !w.gone && !due.IsZero() && !due.After(now)
	w.mu.Unlock()
	if expired {
		w.e.background(ctx, w.expire)
	}
	if cut {
		w.e.background(ctx, w.cutIdle)
	}
	if !expired && !cut {
		w.schedule()
	}
}

// cutIdle closes a block that got no rows for a while, or whose rows are old, unless rows are just moving.
func (w *Writer) cutIdle(ctx context.Context) {
	defer w.schedule()
	select {
	case w.step <- struct{}{}:
		defer w.leaveStep()
	default:
		w.bePatient(time.Second) // rows are moving right now
		return
	}
	if w.Err() != nil {
		return
	}
	err := w.cut(ctx, false)
	if apierr.Is(err, apierr.TooManyBlocks) {
		w.bePatient(w.e.cfg.Limits.BlockAge) // they wait for the seal
		return
	}
	if err != nil && ctx.Err() == nil {
		w.fail(err)
	}
}

func (w *Writer) bePatient(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.patience = time.Now().Add(d)
}

// expire makes the slice takeable: the hold record goes, nothing else changes. The writer may go on as long as nobody
// took the slice.
func (w *Writer) expire(ctx context.Context) {
	defer w.schedule()
	now := time.Now()
	w.mu.Lock()
	alive := w.gone || w.leaseEnd(now).After(now)
	w.mu.Unlock()
	if alive {
		return
	}
	err := w.e.transact(ctx, func(ctx context.Context, _ bool) (Txn, error) {
		held, err := get[holdRecord](ctx, w.e, w.key.hold())
		if err != nil || !held.exists() || held.v.Term != w.term {
			return Txn{}, err
		}
		txn := Txn{Compares: []Compare{held.unchanged()}, Deletes: []Key{held.key}}
		if w.e.rules.expiryDiscards {
			s, err := get[sliceRecord](ctx, w.e, w.key.slices())
			if err != nil {
				return Txn{}, err
			}
			s.v.Floor, s.v.Durable = s.v.Term+1, 0
			txn.Puts = []Put{s.put(s.v)}
		}
		return txn, nil
	})
	if err != nil {
		if ctx.Err() == nil {
			w.e.log.WarnContext(ctx, "lease could not be ended", slog.String("run_id", string(w.key.run)), slog.Int("slice_id", int(w.key.slice)), slog.String("err", err.Error()))
		}
		w.mu.Lock()
		w.seen = now // look again in a lease's time
		w.mu.Unlock()
		return
	}
	w.mu.Lock()
	w.lost = true
	over := w.detached || w.err != nil
	w.mu.Unlock()
	w.e.touch(w.key.run) // run_ttl begins now
	w.e.log.InfoContext(ctx, "slice is lost", slog.String("run_id", string(w.key.run)), slog.Int("slice_id", int(w.key.slice)))
	if over {
		w.e.unregister(w)
	}
	if w.implicit {
		w.e.expireImplicit(ctx, w.key.run)
	}
}

// expireImplicit ends an implicit run with its lease.
func (e *Engine) expireImplicit(ctx context.Context, id RunID) {
	if err := e.closeFor(ctx, id, whyExpire, "its lease expired"); err != nil {
		if ctx.Err() == nil {
			e.log.WarnContext(ctx, "run is left to the sweeper", slog.String("run_id", string(id)), slog.String("err", err.Error()))
		}
		return
	}
	e.startDrive(ctx, id)
}

// revive takes the hold back after the lease ran out, as long as nobody took the slice.
func (w *Writer) revive(ctx context.Context) error {
	err := w.e.transact(ctx, func(ctx context.Context, _ bool) (Txn, error) {
		g, err := w.guard(ctx)
		if err != nil {
			return Txn{}, err
		}
		held, err := get[holdRecord](ctx, w.e, w.key.hold())
		if err != nil || held.exists() {
			return Txn{}, err
		}
		return Txn{
			Compares: append(g.compares(w.e), held.unchanged()),
			Puts:     []Put{held.put(holdRecord{Replica: w.e.cfg.Replica, Term: w.term})},
		}, nil
	})
	if err != nil {
		return err
	}
	w.mu.Lock()
	w.lost = false
	w.mu.Unlock()
	w.schedule()
	return nil
}
