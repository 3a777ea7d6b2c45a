// Package retry is backoff as data, and the rule which errors may be met by asking again. It never sleeps without a
// context, and starts nothing.
package retry

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/sluice-io/sluice/service/internal/apierr"
)

// Policy says how often and how fast something is repeated. The zero value never repeats.
type Policy struct {
	First time.Duration // pause before the second try
	Max   time.Duration // longest pause
	Tries int           // tries in all, the first included; 0 = one, negative = without end
}

// Delay is the pause after the n-th failed try, n counted from 1: First doubled n−1 times, at most Max, spread over
// its upper half so that those who failed together do not come back together.
func (p Policy) Delay(n int) time.Duration {
	d := p.First
	for range min(n-1, 62) {
		if d >= p.Max {
			break
		}
		d *= 2
	}
	d = min(d, p.Max)
	if d <= 1 {
		return d
	}
	return d/2 + rand.N(d/2)
}

// Last says that the n-th try was the last one.
func (p Policy) Last(n int) bool { return p.Tries >= 0 && n >= max(p.Tries, 1) }

// Wait sleeps for the pause after the n-th failed try, or for the longer hint of the error that caused it. It fails
// only with the context's error.
func (p Policy) Wait(ctx context.Context, n int, cause error) error {
	d := p.Delay(n)
	var e *apierr.Error
	if errors.As(cause, &e) && e.RetryAfter() > d {
		d = e.RetryAfter()
	}
	return Sleep(ctx, d)
}

// Do calls try until it succeeds, fails in a way that must not be repeated, or the policy ends. It returns the last
// error; a context that ends during a pause yields that error joined with the context's.
func (p Policy) Do(ctx context.Context, try func(context.Context) error) error {
	for n := 1; ; n++ {
		err := try(ctx)
		if err == nil || !Repeatable(err) || p.Last(n) {
			return err
		}
		if wait := p.Wait(ctx, n, err); wait != nil {
			return errors.Join(err, wait)
		}
	}
}

// Sleep waits for d or for the context.
func Sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Repeatable says whether asking again can help: the backend was away, told us to slow down, damaged the bytes on the
// way, or failed in a way nobody classified. A cancelled or expired context is final, as are all other
// reasons; a backend that did not answer in the time of one call is away, whatever its error wraps.
func Repeatable(err error) bool {
	var e *apierr.Error
	if !errors.As(err, &e) {
		return err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
	}
	switch e.Reason() {
	case apierr.BackendUnavailable, apierr.Throttled, apierr.ChecksumMismatch, apierr.Internal:
		return true
	default:
		return false
	}
}
