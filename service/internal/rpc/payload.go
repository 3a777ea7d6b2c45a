package rpc

import (
	"bytes"
	"sync/atomic"

	"google.golang.org/grpc/mem"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
	"github.com/sluice-io/sluice/service/internal/batch"
)

// received makes a Payload of bytes that gRPC received: by reference, given back to gRPC's pool on Release.
func received(slice mem.BufferSlice) batch.Payload {
	pieces := make([][]byte, 0, len(slice))
	for _, b := range slice {
		if b.Len() > 0 {
			pieces = append(pieces, b.ReadOnlyData())
		}
	}
	return batch.NewPayload(slice.Free, pieces...)
}

// lent makes a BufferSlice of a payload's pieces and calls release when the last reference to any of them is gone,
// which may be after SendMsg returned. gRPC does not count references to pieces below its pooling threshold, so those
// are copied. The caller frees its own reference.
func lent(p batch.Payload, release func()) mem.BufferSlice {
	pieces := p.Pieces()
	owner := &lender{release: release}
	owner.open.Store(1)
	slice := make(mem.BufferSlice, 0, len(pieces))
	for _, piece := range pieces {
		if mem.IsBelowBufferPoolingThreshold(cap(piece)) {
			slice = append(slice, mem.SliceBuffer(bytes.Clone(piece)))
			continue
		}
		owner.open.Add(1)
		slice = append(slice, mem.NewBuffer(&piece, owner))
	}
	owner.done()
	return slice
}

// lender is the "pool" that lent buffers go back to: it only counts them.
type lender struct {
	open    atomic.Int64
	release func()
}

// Get is never called: nothing is taken from a lender. It is there for mem.BufferPool.
func (l *lender) Get(length int) *[]byte {
	b := make([]byte, length)
	return &b
}

// Put is called by gRPC once per buffer, when its last reference is freed.
func (l *lender) Put(*[]byte) { l.done() }

func (l *lender) done() {
	if l.open.Add(-1) == 0 {
		l.release()
	}
}

// arrowOf lends the Arrow bytes of a batch that protobuf-go decoded; nil if the batch has another payload.
func arrowOf(b *sluicev1.RowBatch) mem.BufferSlice {
	if p, ok := b.GetPayload().(*sluicev1.RowBatch_Arrow); ok {
		return mem.BufferSlice{mem.SliceBuffer(p.Arrow)}
	}
	return nil
}
