package flow

import "sync"

// Budget is a number of bytes that many holders share. It is safe for concurrent use.
type Budget struct {
	size int64

	mu      sync.Mutex
	used    int64 // guarded by mu; never above size
	holders int   // guarded by mu
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

// TryAcquire takes bytes if they are free. More than the whole budget counts as all of it; Release then takes the same
// number.
func (b *Budget) TryAcquire(bytes int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := b.clip(bytes)
	if b.used+n > b.size {
		return false
	}
	b.used += n
	return true
}

// Release gives back bytes taken by one successful TryAcquire of the same number.
func (b *Budget) Release(bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= b.clip(bytes)
	if b.used < 0 {
		panic("flow: more bytes released than taken")
	}
}

func (b *Budget) clip(bytes int64) int64 { return min(max(bytes, 0), b.size) }
