package client

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	flatbuffers "github.com/google/flatbuffers/go"
	"google.golang.org/grpc/mem"
)

// batchDecoder turns encapsulated RecordBatch messages into record batches. A message is copied once, out of gRPC's
// frames into one buffer, and the arrays are slices of that buffer.
//
//	FFFFFFFF │ metadata length, int32 │ metadata (flatbuffer, padded to 8) │ body
type batchDecoder struct {
	schema *arrow.Schema
	alloc  memory.Allocator
	feed   *messageFeed
	reader *ipc.Reader
}

func newBatchDecoder(schema []byte, alloc memory.Allocator) (*batchDecoder, error) {
	feed := &messageFeed{}
	first, err := splitMessage(schema, nil)
	if err != nil {
		return nil, fmt.Errorf("decode Arrow schema: %w", err)
	}
	feed.next = first
	reader, err := ipc.NewReaderFromMessageReader(feed, ipc.WithAllocator(boundedAllocator{alloc}))
	if err != nil {
		return nil, fmt.Errorf("decode Arrow schema: %w", err)
	}
	return &batchDecoder{schema: reader.Schema(), alloc: alloc, feed: feed, reader: reader}, nil
}

// decode returns the batch in payload, which stays the caller's. The batch is the caller's to release.
func (d *batchDecoder) decode(payload mem.BufferSlice) (arrow.RecordBatch, error) {
	whole := memory.NewResizableBuffer(d.alloc)
	defer whole.Release()
	whole.Resize(payload.Len())
	payload.CopyTo(whole.Bytes())
	msg, err := splitMessage(whole.Bytes(), whole)
	if err != nil {
		return nil, err
	}
	d.feed.next = msg
	rec, err := d.reader.Read()
	d.feed.release()
	if err != nil {
		return nil, err
	}
	rec.Retain()
	return rec, nil
}

// close releases what the decoder holds. Batches given out live on.
func (d *batchDecoder) close() {
	d.reader.Release()
	d.feed.release()
}

// maxBuffer bounds one buffer of a batch.
const maxBuffer = 1 << 30

// boundedAllocator refuses what no batch holds: a compressed buffer says itself how long it becomes, and the process
// would end over memory that is not there. ipc.Reader makes the panic its error.
type boundedAllocator struct{ memory.Allocator }

func (a boundedAllocator) Allocate(n int) []byte {
	checkBuffer(n)
	return a.Allocator.Allocate(n)
}

func (a boundedAllocator) Reallocate(n int, b []byte) []byte {
	checkBuffer(n)
	return a.Allocator.Reallocate(n, b)
}

func checkBuffer(n int) {
	if n < 0 || n > maxBuffer {
		panic(fmt.Errorf("an Arrow buffer says that it holds %d bytes, more than %d", n, maxBuffer))
	}
}

// splitMessage parses one encapsulated message. Its body is a slice of parent, or of raw if there is none.
func splitMessage(raw []byte, parent *memory.Buffer) (*ipc.Message, error) {
	if len(raw) < 8 || binary.LittleEndian.Uint32(raw) != 0xffffffff {
		return nil, errors.New("no encapsulated Arrow message")
	}
	size := int64(int32(binary.LittleEndian.Uint32(raw[4:]))) //nolint:gosec // the wire's own type
	if size < 8 || 8+size > int64(len(raw)) {
		return nil, fmt.Errorf("metadata of %d bytes in an Arrow message of %d", size, len(raw))
	}
	meta := memory.NewBufferBytes(raw[8 : 8+size])
	defer meta.Release()
	body := memory.NewBufferBytes(raw[8+size:])
	if parent != nil {
		body = memory.SliceBuffer(parent, int(8+size), len(raw)-int(8+size))
	}
	defer body.Release()
	return newMessage(meta, body)
}

// newMessage guards against metadata that the flatbuffer reader panics on.
func newMessage(meta, body *memory.Buffer) (msg *ipc.Message, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("malformed Arrow metadata: %v", p)
		}
	}()
	if err := checkMetadata(meta.Bytes()); err != nil {
		return nil, err
	}
	return ipc.NewMessage(meta, body), nil
}

// checkMetadata refuses key-value metadata of a message, which no server of ours sends: arrow-go makes room for as many
// pairs as the metadata says there are, and the process would end over memory that is not there.
func checkMetadata(meta []byte) error {
	const customMetadata = 12 // where the field stands in the vtable of Message, Message.fbs
	message := flatbuffers.Table{Bytes: meta, Pos: flatbuffers.GetUOffsetT(meta)}
	if at := message.Offset(customMetadata); at != 0 && message.VectorLen(flatbuffers.UOffsetT(at)) > 0 {
		return errors.New("an Arrow message with metadata of its own")
	}
	return nil
}

// messageFeed is the ipc.MessageReader that decode puts one message at a time into.
type messageFeed struct{ next, last *ipc.Message }

// Message hands the message out; it stays the feed's.
func (f *messageFeed) Message() (*ipc.Message, error) {
	f.release()
	if f.next == nil {
		return nil, io.EOF
	}
	f.last, f.next = f.next, nil
	return f.last, nil
}

func (f *messageFeed) release() {
	if f.last != nil {
		f.last.Release()
		f.last = nil
	}
}

// Retain and Release are ipc.Reader's; the feed lives as long as its decoder.
func (f *messageFeed) Retain()  {}
func (f *messageFeed) Release() {}
