package flow

import (
	"container/list"
	"context"
	"sync"
)

// Budget is a number of bytes that many holders share. It is safe for concurrent use.
type Budget struct {
	size int64

	mu      sync.Mutex
	used    int64     // guarded by mu; never above size
	holders int       // guarded by mu
	waiting list.List // of *budgetWaiter, oldest first; guarded by mu
}

type budgetWaiter struct {
	bytes   int64
	granted chan struct{} // closed under mu once the bytes are the waiter's
}

// NewBudget makes a budget of size bytes; size must be positive.
func NewBudget(size int64) *Budget {
	if size <= 0 {
		panic("flow: a budget needs a size")
	}
	return &Budget{size: size}
}

// Join counts one more holder, Leave one less. The number only decides Share.
func (b *Budget) Join() { b.count(1) }

// Leave is the counterpart of Join.
func (b *Budget) Leave() { b.count(-1) }

func (b *Budget) count(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.holders += n
}

// Share is the part of the budget that one holder may take before it is unfair to the others: half of an equal part,
// so that newcomers find room.
func (b *Budget) Share() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.size / int64(2*max(b.holders, 1))
}

// Used is how many bytes are taken now.
func (b *Budget) Used() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}

// TryAcquire takes bytes if they are free and nobody waits before us. More than the whole budget counts as all of it;
// Release then takes the same number.
func (b *Budget) TryAcquire(bytes int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := b.clip(bytes)
	if b.waiting.Len() > 0 || b.used+n > b.size {
		return false
	}
	b.used += n
	return true
}

// Acquire takes bytes, waiting for its turn. It fails only with the context's error, having taken nothing.
func (b *Budget) Acquire(ctx context.Context, bytes int64) error {
	if b.TryAcquire(bytes) {
		return nil
	}
	w := &budgetWaiter{bytes: b.clip(bytes), granted: make(chan struct{})}
	b.mu.Lock()
	at := b.waiting.PushBack(w)
	b.grant()
	b.mu.Unlock()
	select {
	case <-w.granted:
		return nil
	case <-ctx.Done():
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-w.granted: // granted at the last moment: give it back
		b.used -= w.bytes
	default:
		b.waiting.Remove(at)
	}
	b.grant()
	return ctx.Err()
}

// Release gives back bytes taken by one successful Acquire or TryAcquire of the same number.
func (b *Budget) Release(bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= b.clip(bytes)
	if b.used < 0 {
		panic("flow: more bytes released than taken")
	}
	b.grant()
}

// grant serves waiters in order, as far as the budget goes. mu is held.
func (b *Budget) grant() {
	for at := b.waiting.Front(); at != nil; at = b.waiting.Front() {
		w := at.Value.(*budgetWaiter)
		if b.used+w.bytes > b.size {
			return
		}
		b.used += w.bytes
		b.waiting.Remove(at)
		close(w.granted)
	}
}

func (b *Budget) clip(bytes int64) int64 { return min(max(bytes, 0), b.size) }
