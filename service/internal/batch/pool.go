package batch

import (
	"math/bits"
	"sync"
)

// Buffers of converted batches come in powers of two from 4 KiB to 64 MiB and are reused; they are not zeroed. Smaller
// and larger ones are made to measure: a slice may hold many small batches for long.
const (
	minPooled = 12
	maxPooled = 26
)

var bufferPools [maxPooled + 1]sync.Pool

// getBuffer gives an empty buffer with room for at least n bytes.
func getBuffer(n int) *[]byte {
	k := bits.Len(uint(max(n, 1) - 1))
	if k < minPooled || k > maxPooled {
		b := make([]byte, 0, n)
		return &b
	}
	if b, ok := bufferPools[k].Get().(*[]byte); ok {
		*b = (*b)[:0]
		return b
	}
	b := make([]byte, 0, 1<<k)
	return &b
}

// putBuffer takes a buffer back, grown or not. Nobody may use it afterwards.
func putBuffer(b *[]byte) {
	k := bits.Len(uint(cap(*b))) - 1
	if k >= minPooled && k <= maxPooled && cap(*b) == 1<<k {
		bufferPools[k].Put(b)
	}
}

// pooledPayload is a Payload over one pooled buffer.
func pooledPayload(b *[]byte) Payload {
	return NewPayload(func() { putBuffer(b) }, *b)
}

// arena is scratch memory that lives until reset: the buffers of converted columns, and copies of what straddles two
// pieces of a message. Slices stay valid when it grows.
type arena struct {
	cur  []byte    // what is left of the newest block
	held []*[]byte // all blocks
}

const arenaBlock = 64 << 10

// alloc gives n bytes, aligned to 8, with any content.
func (a *arena) alloc(n int) []byte {
	need := (n + 7) &^ 7
	if need > len(a.cur) {
		b := getBuffer(max(need, arenaBlock))
		a.held = append(a.held, b)
		a.cur = (*b)[:cap(*b)]
	}
	out := a.cur[:n:n]
	a.cur = a.cur[need:]
	return out
}

// zeroed is alloc with all bytes 0.
func (a *arena) zeroed(n int) []byte {
	b := a.alloc(n)
	clear(b)
	return b
}

// reset gives all blocks back.
func (a *arena) reset() {
	for i, b := range a.held {
		putBuffer(b)
		a.held[i] = nil
	}
	a.held, a.cur = a.held[:0], nil
}
