package write

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/table"
)

// errFailed marks a commit that certainly did not happen and will not: a definite refusal of every POST ever sent, or
// a session that ended another way.
var errFailed = errors.New("the commit is refused for good")

// posting is the commit of one upload session, sent as often as needed until its fate is known.
type posting struct {
	e       *Engine
	run     RunID
	out     int
	ref     table.Ref
	session string
	states  []RunState // of the run, in which a POST may be sent
	// before is called with the session's list before every POST; its error stops this one.
	before func(context.Context, *Upload) error
}

// settle drives the session to closed and returns it as last seen. The session's status decides what to do, so any
// number of replicas may settle one session at the same time, and again after a crash:
//
//	normal                      → before, count the POST, send it, look again
//	closing                     → look again
//	closed                      → done, whoever's POST it was
//	expired, canceled, critical → errFailed
//	gone                        → OUTCOME_UNKNOWN, for a person
//
// A refusal is errFailed only when no other POST may still be under way. Everything else is tried again in the rounds
// of Limits.CommitRetry; then it is OUTCOME_UNKNOWN.
func (p posting) settle(ctx context.Context) (*Upload, error) {
	policy := p.e.cfg.Limits.CommitRetry
	for n := 1; ; n++ {
		up, err := p.round(ctx)
		if err == nil && up.Status == UploadClosed {
			return up, nil
		}
		if errors.Is(err, errFailed) || apierr.Is(err, apierr.RunClosed) || ctx.Err() != nil {
			return nil, err
		}
		if apierr.Is(err, apierr.SessionExpired) || policy.Last(n) {
			return nil, p.unknown(err)
		}
		if err != nil {
			p.e.log.WarnContext(ctx, "commit is not settled yet", slog.String("run_id", string(p.run)), slog.Int("try", n), slog.String("err", err.Error()))
		}
		if err := policy.Wait(ctx, n, err); err != nil {
			return nil, err
		}
	}
}

func (p posting) unknown(cause error) error {
	if cause == nil {
		cause = errors.New("the session does not close")
	}
	return apierr.Wrap(cause, apierr.OutcomeUnknown, "the outcome of the commit is not known yet").
		With("run_id", string(p.run)).WithRetryAfter(p.e.cfg.Limits.SweepEvery)
}

// round looks at the session and does the one thing its status asks for.
func (p posting) round(ctx context.Context) (*Upload, error) {
	up, err := p.e.load(ctx, p.ref, p.session)
	if err != nil {
		return nil, err
	}
	switch up.Status {
	case UploadClosed, UploadClosing:
		return up, nil
	case UploadExpired, UploadCanceled, UploadCritical:
		return nil, fmt.Errorf("%w: the upload session is %s", errFailed, up.Status)
	}
	if p.before != nil {
		if err := p.before(ctx, up); err != nil {
			return nil, err
		}
	}
	if err := p.send(ctx); err != nil {
		return nil, err
	}
	return p.e.load(ctx, p.ref, p.session)
}

// send is one POST. It is counted in the ledger first and counted off when it certainly has no effect.
func (p posting) send(ctx context.Context) error {
	err := p.e.changeOutput(ctx, p.run, p.out, p.states, func(o *outputRecord) bool {
		o.Posts++
		return true
	})
	if err != nil {
		return err
	}
	sent := p.e.cfg.Backend.CommitUpload(ctx, p.ref, p.session) // may be repeated: a closed session cannot be committed again
	switch {
	case sent == nil:
		return nil
	case p.e.rules.refusalIsFailure:
		return fmt.Errorf("%w: %w", errFailed, sent)
	case errors.Is(sent, ErrRefused), errors.Is(sent, ErrNotSent):
		return p.countOff(ctx, sent)
	default:
		return sent
	}
}

// countOff counts a POST off that certainly has no effect: once at most, or it would hide another that is under way.
func (p posting) countOff(ctx context.Context, sent error) error {
	alone := false
	var tried Revision
	err := p.e.transact(ctx, func(ctx context.Context, maybe bool) (Txn, error) {
		run, err := p.e.loadRun(ctx, p.run)
		if err != nil {
			return Txn{}, err
		}
		if err := p.e.inState(run, p.states); err != nil {
			return Txn{}, err
		}
		have, err := get[outputRecord](ctx, p.e, keyOutput(p.run, p.out))
		if err != nil {
			return Txn{}, err
		}
		rec := have.v
		if maybe && have.rev != tried { // ours took effect, or another change came first: then too few are counted off
			alone = rec.Settled == rec.Posts
			return Txn{}, nil
		}
		tried = have.rev
		rec.Settled++
		alone = rec.Settled == rec.Posts
		return Txn{Compares: []Compare{run.unchanged(), have.unchanged()}, Puts: []Put{have.put(rec)}}, nil
	})
	if err != nil {
		return err
	}
	if alone && errors.Is(sent, ErrRefused) {
		return fmt.Errorf("%w: %w", errFailed, sent)
	}
	return sent
}
