package retry_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/retry"
)

func TestDelayDoublesUpToItsMaximum(t *testing.T) {
	p := retry.Policy{First: 100 * time.Millisecond, Max: time.Second}
	for n, want := range map[int]time.Duration{1: 100 * time.Millisecond, 2: 200 * time.Millisecond, 4: 800 * time.Millisecond, 5: time.Second, 500: time.Second} {
		for range 50 {
			if got := p.Delay(n); got < want/2 || got > want {
				t.Fatalf("Delay(%d) = %v, want between %v and %v", n, got, want/2, want)
			}
		}
	}
}

func TestDoRepeatsOnlyWhatMayBeRepeated(t *testing.T) {
	for name, tc := range map[string]struct {
		err  error
		want int
	}{
		"backend away":  {apierr.New(apierr.BackendUnavailable, "x"), 3},
		"throttled":     {apierr.New(apierr.Throttled, "x"), 3},
		"unclassified":  {errors.New("x"), 3},
		"no permission": {apierr.New(apierr.Permission, "x"), 1},
		"cancelled":     {context.Canceled, 1},
		"success":       {nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tries := 0
				err := retry.Policy{First: time.Second, Max: time.Minute, Tries: 3}.Do(t.Context(), func(context.Context) error {
					tries++
					return tc.err
				})
				if tries != tc.want || !errors.Is(err, tc.err) {
					t.Errorf("Do = %v after %d tries, want %v after %d", err, tries, tc.err, tc.want)
				}
			})
		})
	}
}

func TestWaitObeysTheHintAndTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := retry.Policy{First: time.Second, Max: time.Second, Tries: -1}
		start := time.Now()
		if err := p.Wait(t.Context(), 1, apierr.New(apierr.Throttled, "x").WithRetryAfter(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if got := time.Since(start); got != time.Minute {
			t.Errorf("waited %v, want the hint of one minute", got)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := p.Do(ctx, func(context.Context) error { return errors.New("away") }); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Do under an expired context = %v", err)
		}
	})
}
