package write

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-io/sluice/service/internal/apierr"
)

// drive is one run's commit or abort under way in this process. Several callers wait for one.
type drive struct {
	done   chan struct{} // closed when err is final
	err    error         // read after done
	joined bool          // somebody came while it was under way; guarded by Engine.mu
}

// CompleteRun asserts what expect says, commits the run and waits for it. It returns nil only for COMMITTED; the Run
// comes along with an error whenever it is known: RUN_INCOMPLETE, COMMIT_FAILED, OUTCOME_UNKNOWN, RUN_CLOSED.
func (e *Engine) CompleteRun(ctx context.Context, id RunID, expect []Expectation) (Run, error) {
	return e.complete(ctx, id, expect, true)
}

// complete is CompleteRun; again says whether the outputs that failed in a PARTIALLY_COMMITTED run are tried again.
func (e *Engine) complete(ctx context.Context, id RunID, expect []Expectation, again bool) (Run, error) {
	for {
		r, err := e.loadRun(ctx, id)
		if err != nil {
			return Run{}, err
		}
		e.touch(id)
		switch {
		case r.v.State == RunOpen:
			err = e.beginComplete(ctx, r, expect)
		case r.v.State == RunPartiallyCommitted && !r.v.GivenUp && again:
			err = e.tryRestAgain(ctx, id)
		case r.v.State.Ended():
			return e.outcome(ctx, r.v)
		}
		if err == nil {
			err = e.drive(ctx, id)
		}
		now, loadErr := e.loadRun(ctx, id)
		if loadErr != nil {
			return Run{}, errors.Join(err, loadErr)
		}
		switch {
		case now.v.State.Ended():
			return e.outcome(ctx, now.v)
		case err == nil && now.v.State == RunOpen:
			continue // somebody else's look found it incomplete; ours tells what is missing
		default:
			view, viewErr := e.view(ctx, now.v)
			return view, errors.Join(unsettled(err, id, e.cfg.Limits), viewErr)
		}
	}
}

// unsettled is the error of a run that has not ended.
func unsettled(err error, id RunID, l Limits) error {
	if err != nil {
		return err
	}
	return apierr.New(apierr.OutcomeUnknown, "the outcome of the commit is not known yet").
		With("run_id", string(id)).WithRetryAfter(l.SweepEvery)
}

// outcome is the answer of a run that has ended. It waits until what the run held is free, so that who hears of the end
// can go on at once; if that fails now, the sweeper does it.
func (e *Engine) outcome(ctx context.Context, r runRecord) (Run, error) {
	if r.Unclean {
		if err := e.drive(ctx, r.ID); err != nil {
			e.log.WarnContext(ctx, "an ended run is left to the sweeper to clean", slog.String("run_id", string(r.ID)), slog.String("err", err.Error()))
		}
	}
	view, err := e.view(ctx, r)
	if err != nil {
		return Run{}, err
	}
	switch r.State {
	case RunCommitted:
		return view, nil
	case RunAborted:
		return view, runClosed(r)
	default:
		failed := apierr.New(apierr.CommitFailed, "run %q is %s", r.ID, r.State).With("run_id", string(r.ID)).With("state", r.State.String())
		if r.Err != nil {
			failed.With("cause", r.Err.Message)
		}
		return view, failed
	}
}

// beginComplete looks whether all is sealed and moves the run to CLOSING, behind which nothing moves any more.
func (e *Engine) beginComplete(ctx context.Context, r stored[runRecord], expect []Expectation) error {
	rec := r.v
	rec.Expect = nil
	for _, x := range expect {
		out, ok := rec.find(x.Output)
		if !ok {
			return notPredefined(x.Output.Path())
		}
		if most := e.cfg.Limits.MaxSlices; x.SliceCount < 0 || x.SliceCount > most {
			return badField("expect.slice_count", fmt.Sprintf("slice_count is not within 0…%d", most))
		}
		rec.Expect = append(rec.Expect, expectRecord{Output: out, SliceCount: x.SliceCount, Rows: x.Rows})
	}
	if err := e.lookSealed(ctx, rec); err != nil {
		return err // a look without the door, so that an idle loop of asking stalls no writer
	}
	return e.changeRun(ctx, r.v.ID, func(now *runRecord) bool {
		if now.State != RunOpen {
			return false
		}
		now.State, now.Why, now.Expect = RunClosing, whyComplete, rec.Expect
		return true
	})
}

// tryRestAgain takes a PARTIALLY_COMMITTED run back to COMMITTING for the outputs that failed.
func (e *Engine) tryRestAgain(ctx context.Context, id RunID) error {
	return e.changeRun(ctx, id, func(now *runRecord) bool {
		if now.State != RunPartiallyCommitted || now.GivenUp {
			return false
		}
		now.State, now.Err = RunCommitting, nil
		return true
	})
}

// changeRun changes a run's record; change says false if there is nothing to change.
func (e *Engine) changeRun(ctx context.Context, id RunID, change func(*runRecord) bool) error {
	err := e.transact(ctx, func(ctx context.Context, _ bool) (Txn, error) {
		r, err := e.loadRun(ctx, id)
		rec := r.v
		if err != nil || !change(&rec) {
			return Txn{}, err
		}
		rec.Updated = e.cfg.Now().UTC()
		return Txn{Compares: []Compare{r.unchanged()}, Puts: []Put{r.put(rec)}}, nil
	})
	if err == nil {
		e.moved(id)
	}
	return err
}

// completes says that the run's commit starts by itself: every output has a slice count and all slices are sealed.
func (e *Engine) completes(ctx context.Context, id RunID) (bool, error) {
	r, err := e.loadRun(ctx, id)
	if err != nil {
		return false, err
	}
	if r.v.State == RunClosing && r.v.Why == whyComplete || r.v.State == RunCommitting {
		return true, nil
	}
	if r.v.State != RunOpen {
		return false, nil
	}
	for i, o := range r.v.Outputs {
		if o.SliceCount == 0 {
			return false, nil
		}
		out, err := get[outputRecord](ctx, e, keyOutput(id, i))
		if err != nil || out.v.Opened < o.SliceCount {
			return false, err
		}
	}
	err = e.lookSealed(ctx, r.v)
	if apierr.Is(err, apierr.RunIncomplete) {
		return false, nil
	}
	return err == nil, err
}

// lookSealed checks that all slices that must be sealed are, and what CompleteRun expects: else RUN_INCOMPLETE.
func (e *Engine) lookSealed(ctx context.Context, r runRecord) error {
	var missing []string // the first maxNamed of them
	missed, opened := 0, false
	miss := func(name string) {
		if len(missing) < maxNamed {
			missing = append(missing, name)
		}
	}
	for i, o := range r.Outputs {
		count := o.SliceCount
		var rows *int64
		for _, x := range r.Expect {
			if x.Output == i {
				count, rows = max(count, x.SliceCount), x.Rows
			}
		}
		out, err := get[outputRecord](ctx, e, keyOutput(r.ID, i))
		if err != nil {
			return err
		}
		if !out.exists() && !slices.ContainsFunc(r.Expect, func(x expectRecord) bool { return x.Output == i }) {
			continue // never opened: left as it is
		}
		opened = opened || out.exists()
		look, err := e.unsealed(ctx, r.ID, i, count)
		if err != nil {
			return err
		}
		missed += look.count
		for _, s := range look.first {
			miss(outputText(o) + ":" + strconv.Itoa(int(s)))
		}
		if !look.anySealed && look.count == 0 {
			missed++
			miss(outputText(o) + ":*") // opened, then aborted: nothing says that it should become empty
		}
		if rows != nil && look.count == 0 && look.rows != *rows {
			return apierr.New(apierr.RunIncomplete, "output %s has %d rows, expected are %d", outputText(o), look.rows, *rows).
				With("run_id", string(r.ID)).With("rows", strconv.FormatInt(look.rows, 10))
		}
	}
	if missed == 0 && !opened {
		return apierr.New(apierr.RunIncomplete, "no output of run %q was ever opened", r.ID).With("run_id", string(r.ID)).With("missing", "*")
	}
	if missed == 0 {
		return nil
	}
	names := strings.Join(missing, " ")
	return apierr.New(apierr.RunIncomplete, "%d slices are not sealed: %s", missed, names).
		With("run_id", string(r.ID)).With("missing", names)
}

func outputText(o declaredOutput) string { return orText(o.Text, o.Ref.Path()) }

// sealLook is what keeps an output from being complete.
type sealLook struct {
	count     int       // slices that are missing
	first     []SliceID // the first maxNamed of them
	rows      int64     // of the sealed slices
	anySealed bool
}

// maxNamed is how many missing slices an error names.
const maxNamed = 100

func (l *sealLook) miss(s SliceID) {
	l.count++
	if len(l.first) < maxNamed {
		l.first = append(l.first, s)
	}
}

// missUntil notes the slices [from, end).
func (l *sealLook) missUntil(from, end SliceID) {
	for s := from; s < end; s++ {
		l.miss(s)
	}
}

// unsealed looks which slices keep the output from being complete. An aborted slice is missing only where the count of
// slices says that it must be there.
func (e *Engine) unsealed(ctx context.Context, id RunID, out int, count int32) (look sealLook, err error) {
	all, err := list[sliceRecord](ctx, e, prefixSlices(id, out))
	if err != nil {
		return look, err
	}
	next := SliceID(0)
	for _, s := range all {
		key, err := parseSliceKey(s.key)
		if err != nil {
			return look, err
		}
		look.missUntil(next, min(key.slice, SliceID(count)))
		next = key.slice + 1
		switch {
		case s.v.State == SliceSealed:
			look.rows += int64(s.v.Durable)
			look.anySealed = true
		case s.v.State == SliceOpen || int32(key.slice) < count:
			look.miss(key.slice)
		}
	}
	look.missUntil(next, SliceID(count))
	return look, nil
}

// drive carries a run on that is CLOSING or COMMITTING, or cleans up after one that has ended, and waits for it. One
// goroutine per run does the work in this process; other replicas may do the same at the same time.
func (e *Engine) drive(ctx context.Context, id RunID) error {
	d := e.startDrive(ctx, id)
	if d == nil {
		return e.draining()
	}
	select {
	case <-d.done:
		return d.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// startDrive is drive without waiting; nil once the engine has stopped.
func (e *Engine) startDrive(ctx context.Context, id RunID) *drive {
	e.mu.Lock()
	if d := e.drives[id]; d != nil {
		d.joined = true
		e.mu.Unlock()
		return d
	}
	d := &drive{done: make(chan struct{})}
	e.drives[id] = d
	e.mu.Unlock()
	started := e.background(ctx, func(ctx context.Context) {
		for over := false; !over; {
			over = e.endDrive(id, d, e.carryOn(ctx, id))
		}
	})
	if !started {
		e.endDrive(id, d, e.draining())
		return nil
	}
	return d
}

// endDrive ends a drive, unless there was nothing left to do and somebody has joined: he may have moved the run after
// carryOn's last look, so it must look again.
func (e *Engine) endDrive(id RunID, d *drive, err error) bool {
	e.mu.Lock()
	if d.joined && (err == nil || apierr.Is(err, apierr.RunIncomplete)) {
		d.joined = false
		e.mu.Unlock()
		return false
	}
	delete(e.drives, id)
	if l := e.lives[id]; l != nil {
		l.err = err
	}
	e.mu.Unlock()
	d.err = err
	close(d.done)
	e.moved(id)
	return true
}

// carryOn does the next step of a run until it is OPEN again or has ended and is clean.
func (e *Engine) carryOn(ctx context.Context, id RunID) error {
	for {
		r, err := e.loadRun(ctx, id)
		if err != nil {
			return err
		}
		switch {
		case r.v.State == RunOpen:
			return nil
		case r.v.State == RunClosing && r.v.Why == whyComplete:
			err = e.verifyClosing(ctx, r)
		case r.v.State == RunClosing:
			err = e.abortClosing(ctx, r)
		case r.v.State == RunCommitting:
			err = e.commitOutputs(ctx, r)
		case r.v.Unclean:
			err = e.cleanUp(ctx, r.v)
		default:
			e.forgetLife(r.v)
			return nil
		}
		if err == nil {
			continue
		}
		now, loadErr := e.loadRun(ctx, id)
		if !apierr.Is(err, apierr.RunClosed) || loadErr != nil || now.rev == r.rev {
			return err
		} // another replica moved the run under our step: look again
	}
}

// verifyClosing looks again, now that nothing moves, and passes the point of no return or goes back to OPEN.
func (e *Engine) verifyClosing(ctx context.Context, r stored[runRecord]) error {
	incomplete := e.lookSealed(ctx, r.v)
	if apierr.Is(incomplete, apierr.RunIncomplete) {
		if err := e.moveFrom(ctx, r, func(rec *runRecord) { rec.State, rec.Why, rec.Expect = RunOpen, "", nil }); err != nil {
			return err
		}
		return incomplete
	}
	if incomplete != nil {
		return incomplete
	}
	for i := range r.v.Outputs {
		if err := e.fixPlan(ctx, r, i); err != nil {
			return err
		}
	}
	return e.moveFrom(ctx, r, func(rec *runRecord) { rec.State = RunCommitting })
}

// moveFrom changes exactly the record that was read; if it has changed meanwhile, by somebody else or by a transaction
// of ours whose outcome was unknown, nothing is done and the caller looks again.
func (e *Engine) moveFrom(ctx context.Context, r stored[runRecord], change func(*runRecord)) error {
	err := e.transact(ctx, func(ctx context.Context, _ bool) (Txn, error) {
		now, err := e.loadRun(ctx, r.v.ID)
		if err != nil || now.rev != r.rev {
			return Txn{}, err
		}
		rec := now.v
		change(&rec)
		rec.Updated = e.cfg.Now().UTC()
		return Txn{Compares: []Compare{now.unchanged()}, Puts: []Put{now.put(rec)}}, nil
	})
	if err == nil {
		e.moved(r.v.ID)
	}
	return err
}

// fixPlan writes down count, rows and digest of an output's live blocks.
func (e *Engine) fixPlan(ctx context.Context, r stored[runRecord], out int) error {
	have, err := get[outputRecord](ctx, e, keyOutput(r.v.ID, out))
	if err != nil || !have.exists() {
		return err
	}
	plan, err := e.plan(ctx, r.v.ID, out)
	if err != nil {
		return err
	}
	return e.changeOutput(ctx, r.v.ID, out, []RunState{RunClosing}, func(o *outputRecord) bool {
		o.Count, o.Digest, o.Rows = len(plan.live), plan.digest, plan.rows
		return true
	})
}
