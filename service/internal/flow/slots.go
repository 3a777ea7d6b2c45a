package flow

import (
	"container/list"
	"context"
	"sync"
)

// Slots bounds how many calls run at once. Urgent callers go before others; within a class the oldest goes first.
// It is safe for concurrent use.
type Slots struct {
	mu      sync.Mutex
	free    int       // guarded by mu
	urgent  list.List // of chan struct{}; guarded by mu
	normal  list.List // of chan struct{}; guarded by mu
	waiting int       // guarded by mu
}

// NewSlots makes n slots; n must be positive.
func NewSlots(n int) *Slots {
	if n <= 0 {
		panic("flow: slots need a number")
	}
	return &Slots{free: n}
}

// Waiting is how many callers wait now.
func (s *Slots) Waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waiting
}

// TryAcquire takes a slot if one is free and nobody waits.
func (s *Slots) TryAcquire() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.free == 0 || s.waiting > 0 {
		return false
	}
	s.free--
	return true
}

// Acquire takes a slot, waiting for its turn. It fails only with the context's error, having taken nothing.
func (s *Slots) Acquire(ctx context.Context, urgent bool) error {
	if s.TryAcquire() {
		return nil
	}
	class := &s.normal
	if urgent {
		class = &s.urgent
	}
	granted := make(chan struct{})
	s.mu.Lock()
	at := class.PushBack(granted)
	s.waiting++
	s.grant()
	s.mu.Unlock()
	select {
	case <-granted:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-granted: // granted at the last moment: give it back
		s.free++
	default:
		class.Remove(at)
		s.waiting--
	}
	s.grant()
	return ctx.Err()
}

// Release gives one slot back.
func (s *Slots) Release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free++
	s.grant()
}

// grant serves waiters. mu is held.
func (s *Slots) grant() {
	for s.free > 0 && s.waiting > 0 {
		class := &s.urgent
		if class.Len() == 0 {
			class = &s.normal
		}
		at := class.Front()
		class.Remove(at)
		s.waiting--
		s.free--
		close(at.Value.(chan struct{}))
	}
}
