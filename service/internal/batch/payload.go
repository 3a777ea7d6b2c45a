package batch

import "sync/atomic"

// Payload is immutable bytes in pieces, as they came from the network, with one owner. The zero value is empty. Copies
// of a Payload are the same bytes: whoever owns it calls Release on any one of them, and nobody reads them afterwards.
type Payload struct {
	pieces [][]byte
	size   int
	ref    *payloadRef
}

type payloadRef struct {
	done    atomic.Bool
	release func()
}

// NewPayload takes over the pieces; release, which may be nil, is called once, by the first Release.
func NewPayload(release func(), pieces ...[]byte) Payload {
	p := Payload{pieces: pieces}
	for _, b := range pieces {
		p.size += len(b)
	}
	if release != nil {
		p.ref = &payloadRef{release: release}
	}
	return p
}

// Pieces is the bytes in order. Neither the slice nor the bytes may be changed, nor used after Release.
func (p Payload) Pieces() [][]byte { return p.pieces }

// Len is the number of bytes.
func (p Payload) Len() int { return p.size }

// Held is the memory that the payload keeps from being used otherwise: at least Len, more where its pieces lie in
// larger buffers.
func (p Payload) Held() int {
	n := 0
	for _, b := range p.pieces {
		n += cap(b)
	}
	return n
}

// CRC32C is the checksum over all pieces.
func (p Payload) CRC32C() uint32 { return CRC32C(p.pieces...) }

// Release gives the bytes back; it may be called again, from any goroutine, and on the zero value.
func (p Payload) Release() {
	if p.ref != nil && p.ref.done.CompareAndSwap(false, true) {
		p.ref.release()
	}
}
