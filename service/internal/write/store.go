package write

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/retry"
)

// conflictPolicy spaces the repetitions of a transaction that lost a race; closingPolicy the looks at a run that is
// CLOSING, which is short.
var (
	conflictPolicy = retry.Policy{First: time.Millisecond, Max: 50 * time.Millisecond, Tries: -1}
	closingPolicy  = retry.Policy{First: 2 * time.Millisecond, Max: 100 * time.Millisecond, Tries: -1}
)

// errClosing says that the run is CLOSING: wait, it may go back to OPEN.
var errClosing = errors.New("the run is closing")

// ledgerError makes an error of the ledger one of ours.
func ledgerError(err error) error {
	var e *apierr.Error
	if err == nil || errors.As(err, &e) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return apierr.Wrap(err, apierr.BackendUnavailable, "the ledger cannot be reached")
}

// transact reads, decides and commits until one transaction went through. build reads the ledger afresh and returns
// the transaction; an empty one means that there is nothing to do (any more). After an unknown outcome build is told
// maybe=true and must look whether its transaction took effect. errClosing from build waits and asks again.
//
// Ways out: nil, build's error, the context's. Whatever it returns, nothing takes effect later: a commit is waited for.
func (e *Engine) transact(ctx context.Context, build func(ctx context.Context, maybe bool) (Txn, error)) error {
	maybe := false
	for n, closing := 1, 1; ; n++ {
		txn, err := build(ctx, maybe)
		if errors.Is(err, errClosing) {
			if err := closingPolicy.Wait(ctx, closing, nil); err != nil {
				return err
			}
			closing++
			continue
		}
		if err != nil || len(txn.Puts)+len(txn.Deletes) == 0 {
			return ledgerError(err)
		}
		err = e.cfg.Ledger.Commit(ctx, txn)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, ErrConflict):
		case errors.Is(err, ErrUnknownOutcome):
			if e.rules.unknownIsFailure {
				return ledgerError(err)
			}
			maybe = true
		default:
			return ledgerError(err)
		}
		if n > 3 {
			if err := conflictPolicy.Wait(ctx, n-3, nil); err != nil {
				return err
			}
		}
	}
}

func get[T any](ctx context.Context, e *Engine, key Key) (stored[T], error) {
	entries, err := e.cfg.Ledger.Get(ctx, key)
	if err != nil {
		return stored[T]{}, ledgerError(err)
	}
	return decode[T](entries[0])
}

// list reads all records under a prefix, in pages.
func list[T any](ctx context.Context, e *Engine, prefix Key) ([]stored[T], error) {
	const page = 1000
	var all []stored[T]
	for after := Key(""); ; {
		entries, err := e.cfg.Ledger.List(ctx, prefix, after, page)
		if err != nil {
			return nil, ledgerError(err)
		}
		for _, entry := range entries {
			r, err := decode[T](entry)
			if err != nil {
				return nil, err
			}
			all = append(all, r)
		}
		if len(entries) < page {
			return all, nil
		}
		after = entries[len(entries)-1].Key
	}
}

// loadRun reads a run that must exist.
func (e *Engine) loadRun(ctx context.Context, id RunID) (stored[runRecord], error) {
	r, err := get[runRecord](ctx, e, keyRun(id))
	if err == nil && !r.exists() {
		err = apierr.New(apierr.RunNotFound, "no run %q is known", id).With("run_id", string(id))
	}
	return r, err
}

// checkOpen passes runs that are OPEN: nil, errClosing or RUN_CLOSED.
func (e *Engine) checkOpen(r stored[runRecord]) error {
	if e.rules.ignoreRunState {
		return nil
	}
	switch {
	case r.v.State == RunOpen:
		return nil
	case r.v.State == RunClosing && r.v.Why != whyAbort:
		return errClosing
	default:
		return runClosed(r.v)
	}
}

func runClosed(r runRecord) error {
	return apierr.New(apierr.RunClosed, "run %q is %s", r.ID, r.State).
		With("run_id", string(r.ID)).With("state", r.State.String())
}

// compareRun is the comparison every slice transaction makes: the run is still as it was when it was OPEN.
func (e *Engine) compareRun(r stored[runRecord]) []Compare {
	if e.rules.ignoreRunState {
		return nil
	}
	return []Compare{r.unchanged()}
}

// deleteAll removes keys in transactions of bounded size.
func (e *Engine) deleteAll(ctx context.Context, keys []Key) error {
	for len(keys) > 0 {
		n := min(len(keys), maxTxnOps)
		part := keys[:n]
		err := e.transact(ctx, func(context.Context, bool) (Txn, error) { return Txn{Deletes: part}, nil })
		if err != nil {
			return fmt.Errorf("delete ledger entries: %w", err)
		}
		keys = keys[n:]
	}
	return nil
}
