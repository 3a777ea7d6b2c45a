package flow_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/sluice-io/sluice/service/internal/flow"
)

func TestBudgetNeverExceedsItsSize(t *testing.T) {
	b := flow.NewBudget(100)
	if !b.TryAcquire(90) || b.TryAcquire(11) || !b.TryAcquire(10) {
		t.Error("a budget of 100 did not hold 90 and 10, and no more")
	}
	b.Release(90)
	b.Release(10)
	if !b.TryAcquire(1000) || b.Used() != 100 || b.TryAcquire(1) {
		t.Errorf("more than all is not all of it: %d used", b.Used())
	}
	b.Release(1000)
	if got := b.Used(); got != 0 {
		t.Errorf("Used() = %d, want 0", got)
	}
}

func TestBudgetShareFallsWithTheNumberOfHolders(t *testing.T) {
	b := flow.NewBudget(100)
	for _, want := range []int64{50, 25, 16} {
		b.Join()
		if got := b.Share(); got != want {
			t.Errorf("Share() = %d, want %d", got, want)
		}
	}
	b.Leave()
	if got := b.Share(); got != 25 {
		t.Errorf("Share() after Leave = %d, want 25", got)
	}
}

func TestSlotsServeUrgentCallersFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := flow.NewSlots(1)
		if !s.TryAcquire() || s.TryAcquire() {
			t.Fatal("one slot was not exactly one")
		}
		got := make(chan string, 3)
		ask := func(name string, urgent bool) {
			go func() {
				if err := s.Acquire(t.Context(), urgent); err != nil {
					t.Errorf("Acquire = %v", err)
				}
				got <- name
			}()
			synctest.Wait()
		}
		ask("size", false)
		ask("seal", true)
		ctx, cancel := context.WithCancel(t.Context())
		gone := make(chan error)
		go func() { gone <- s.Acquire(ctx, true) }()
		synctest.Wait()
		if s.Waiting() != 3 {
			t.Errorf("Waiting() = %d, want 3", s.Waiting())
		}
		cancel()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled Acquire = %v", err)
		}
		for _, want := range []string{"seal", "size"} {
			s.Release()
			if g := <-got; g != want {
				t.Errorf("next slot went to %q, want %q", g, want)
			}
		}
		s.Release()
		if !s.TryAcquire() {
			t.Error("the slot is lost")
		}
	})
}
