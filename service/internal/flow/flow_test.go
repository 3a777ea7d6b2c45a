package flow_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/sluice-io/sluice/service/internal/flow"
)

func TestBudgetNeverExceedsItsSizeAndServesInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := flow.NewBudget(100)
		if !b.TryAcquire(90) {
			t.Fatal("TryAcquire(90) of 100 = false, want true")
		}
		var mu sync.Mutex
		var order []int64
		var wg sync.WaitGroup
		for _, n := range []int64{50, 10, 20} {
			wg.Go(func() {
				if err := b.Acquire(t.Context(), n); err != nil {
					t.Errorf("Acquire(%d) = %v", n, err)
				}
				mu.Lock()
				defer mu.Unlock()
				order = append(order, n)
			})
			synctest.Wait()
		}
		if b.TryAcquire(1) {
			t.Error("TryAcquire went before those who wait")
		}
		if len(order) != 0 {
			t.Fatalf("granted %v before anything was released", order)
		}
		b.Release(90)
		wg.Wait()
		if got := b.Used(); got != 80 {
			t.Errorf("Used() = %d, want 80", got)
		}
	})
}

func TestBudgetGivesBackWhatACancelledWaiterAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := flow.NewBudget(10)
		if err := b.Acquire(t.Context(), 1000); err != nil || b.Used() != 10 {
			t.Fatalf("Acquire of more than all = %v with %d used, want all of it", err, b.Used())
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 2)
		go func() { done <- b.Acquire(ctx, 5) }()
		synctest.Wait()
		go func() { done <- b.Acquire(t.Context(), 6) }()
		synctest.Wait()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Fatalf("Acquire of a cancelled context = %v", err)
		}
		b.Release(1000)
		if err := <-done; err != nil || b.Used() != 6 {
			t.Fatalf("second waiter = %v with %d used, want 6", err, b.Used())
		}
	})
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
