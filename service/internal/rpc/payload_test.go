package rpc

import (
	"bytes"
	"testing"

	"google.golang.org/grpc/mem"

	"github.com/sluice-io/sluice/service/internal/batch"
)

func TestLentPayloadIsReleasedWithItsLastReference(t *testing.T) {
	big, small := bytes.Repeat([]byte("x"), 64<<10), []byte("small")
	released := 0
	slice := lent(batch.NewPayload(func() {}, big, small, big), func() { released++ })
	if got := slice.Materialize(); len(got) != 2*len(big)+len(small) {
		t.Fatalf("%d bytes lent, want %d", len(got), 2*len(big)+len(small))
	}
	slice.Ref() // what the transport does when it keeps the bytes beyond SendMsg
	slice.Free()
	if released != 0 {
		t.Fatal("released while the transport holds the bytes")
	}
	small[0] = '?' // pieces below the pooling threshold are not counted, so they must be copies
	if got := slice.Materialize(); !bytes.Contains(got, []byte("small")) {
		t.Error("a small piece was lent instead of copied")
	}
	slice.Free()
	if released != 1 {
		t.Errorf("released %d times, want once", released)
	}
}

func TestLentEmptyPayloadIsReleasedAtOnce(t *testing.T) {
	released := 0
	lent(batch.NewPayload(func() {}), func() { released++ }).Free()
	if released != 1 {
		t.Errorf("released %d times, want once", released)
	}
}

func TestReceivedPayloadFreesWhatGRPCGave(t *testing.T) {
	freed := 0
	buf := bytes.Repeat([]byte("y"), 4096)
	owner := &lender{release: func() { freed++ }}
	owner.open.Store(1)
	slice := mem.BufferSlice{mem.NewBuffer(&buf, owner)}
	p := received(slice)
	if p.Len() != len(buf) || freed != 0 {
		t.Fatalf("%d bytes, freed %d times", p.Len(), freed)
	}
	p.Release()
	if freed != 1 {
		t.Error("the buffer was not freed")
	}
}
