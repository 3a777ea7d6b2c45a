package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/grpc/mem"
)

// decoder turns payloads into record batches, as any receiver of WriteRows' Arrow would: each message is copied once,
// out of gRPC's frames into one buffer that the batch's arrays point into. The buffer is used again when the batch is gone.
type decoder struct {
	next   *ipc.Message
	whole  []byte
	reader *ipc.Reader
}

func newDecoder(schema *arrow.Schema) (*decoder, error) {
	payload := ipc.GetSchemaPayload(schema, memory.DefaultAllocator)
	defer payload.Release()
	var b bytes.Buffer
	if _, err := payload.WritePayload(&b); err != nil {
		return nil, fmt.Errorf("encode schema: %w", err)
	}
	d := &decoder{}
	var err error
	if d.next, err = message(b.Bytes()); err != nil {
		return nil, err
	}
	if d.reader, err = ipc.NewReaderFromMessageReader(d); err != nil {
		return nil, fmt.Errorf("read schema: %w", err)
	}
	return d, nil
}

// rows decodes a payload into a batch and tells how many rows it has.
func (d *decoder) rows(payload mem.BufferSlice) (int64, error) {
	n := payload.Len()
	if cap(d.whole) < n {
		d.whole = make([]byte, n)
	}
	payload.CopyTo(d.whole[:n])
	var err error
	if d.next, err = message(d.whole[:n]); err != nil {
		return 0, err
	}
	rec, err := d.reader.Read() // released by the next Read
	if err != nil {
		return 0, fmt.Errorf("decode batch: %w", err)
	}
	return rec.NumRows(), nil
}

func (d *decoder) close() { d.reader.Release() }

// message takes an encapsulated message apart.
func message(raw []byte) (*ipc.Message, error) {
	if len(raw) < 8 {
		return nil, errors.New("no encapsulated Arrow message")
	}
	body := 8 + int(binary.LittleEndian.Uint32(raw[4:]))
	if body > len(raw) {
		return nil, errors.New("metadata reaches beyond the message")
	}
	return ipc.NewMessage(memory.NewBufferBytes(raw[8:body]), memory.NewBufferBytes(raw[body:])), nil
}

// Message is what ipc.Reader asks for; one message each time.
func (d *decoder) Message() (*ipc.Message, error) {
	if d.next == nil {
		return nil, io.EOF
	}
	m := d.next
	d.next = nil
	return m, nil
}

// Retain and Release are ipc.Reader's; the messages' memory is Go's.
func (d *decoder) Retain()  {}
func (d *decoder) Release() {}
