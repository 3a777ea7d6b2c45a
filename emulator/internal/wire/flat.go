package wire

import (
	"encoding/binary"
	"fmt"
)

// Codec says how the buffers of a message are compressed.
type Codec int8

// The codecs; the numbers are Arrow's CompressionType plus one.
const (
	CodecNone Codec = iota
	CodecLZ4
	CodecZSTD
)

// Node is Arrow's FieldNode: length and null count of one array.
type Node struct{ Length, Nulls int64 }

// Span is the place of one buffer in the message body.
type Span struct{ Offset, Length int64 }

// Header is the metadata of one RecordBatch message.
type Header struct {
	Rows  int64
	Body  int64 // length of the body
	Codec Codec
	Nodes []Node
	Spans []Span
}

const (
	headerRecordBatch = 3 // MessageHeader union of Arrow's Message.fbs
	nodeSize          = 16
	maxRows           = 1<<31 - 2 // 32-bit offsets
)

// flat reads a flatbuffer with every access checked: the library's own accessors
// panic on bytes that were made to hurt.
type flat struct {
	b   []byte
	bad bool
}

func (f *flat) bytes(at, n int64) []byte {
	if f.bad || at < 0 || n < 0 || at > int64(len(f.b)) || n > int64(len(f.b))-at {
		f.bad = true
		return make([]byte, 8)
	}
	return f.b[at : at+n]
}

func (f *flat) u8(at int64) uint8   { return f.bytes(at, 1)[0] }
func (f *flat) u16(at int64) uint16 { return binary.LittleEndian.Uint16(f.bytes(at, 2)) }
func (f *flat) u32(at int64) uint32 { return binary.LittleEndian.Uint32(f.bytes(at, 4)) }
func (f *flat) i64(at int64) int64  { return int64(binary.LittleEndian.Uint64(f.bytes(at, 8))) }

// ref follows the offset stored at a place.
func (f *flat) ref(at int64) int64 { return at + int64(f.u32(at)) }

// field returns the place of a table's field, 0 when it is absent.
func (f *flat) field(table int64, index int64) int64 {
	vtable := table - int64(int32(f.u32(table)))
	if f.bad || 4+2*index+2 > int64(f.u16(vtable)) {
		return 0
	}
	if off := int64(f.u16(vtable + 4 + 2*index)); off != 0 {
		return table + off
	}
	return 0
}

// vector returns the place and count of a vector of fixed-size elements that lies
// wholly inside.
func (f *flat) vector(table, index, size int64) (at, n int64) {
	p := f.field(table, index)
	if p == 0 {
		return 0, 0
	}
	v := f.ref(p)
	n = int64(f.u32(v))
	f.bytes(v+4, n*size)
	return v + 4, n
}

// Parse reads the metadata of one message into h, whose slices it reuses. Anything
// but a RecordBatch is malformed here: no schema travels and dictionaries are not
// allowed.
func (h *Header) Parse(meta []byte) error {
	f := &flat{b: meta}
	msg := f.ref(0)
	if kind := f.field(msg, 1); kind == 0 || f.u8(kind) != headerRecordBatch {
		return fmt.Errorf("%w: Arrow message is not a RecordBatch", ErrMalformed)
	}
	h.Rows, h.Body, h.Codec = 0, 0, CodecNone
	h.Nodes, h.Spans = h.Nodes[:0], h.Spans[:0]
	if p := f.field(msg, 3); p != 0 {
		h.Body = f.i64(p)
	}
	union := f.field(msg, 2)
	if union == 0 {
		return fmt.Errorf("%w: Arrow message without a header", ErrMalformed)
	}
	h.parseBatch(f, f.ref(union))
	if f.bad {
		return fmt.Errorf("%w: Arrow metadata points outside itself", ErrMalformed)
	}
	if h.Rows < 0 || h.Rows > maxRows || h.Body < 0 || h.Body%8 != 0 || h.Codec < 0 {
		return fmt.Errorf("%w: Arrow batch of %d rows, %d body bytes, codec %d", ErrMalformed, h.Rows, h.Body, h.Codec)
	}
	return nil
}

func (h *Header) parseBatch(f *flat, batch int64) {
	if p := f.field(batch, 0); p != 0 {
		h.Rows = f.i64(p)
	}
	at, n := f.vector(batch, 1, nodeSize)
	for i := int64(0); i < n && !f.bad; i++ {
		h.Nodes = append(h.Nodes, Node{f.i64(at + i*nodeSize), f.i64(at + i*nodeSize + 8)})
	}
	at, n = f.vector(batch, 2, nodeSize)
	for i := int64(0); i < n && !f.bad; i++ {
		h.Spans = append(h.Spans, Span{f.i64(at + i*nodeSize), f.i64(at + i*nodeSize + 8)})
	}
	if p := f.field(batch, 3); p != 0 {
		h.parseCompression(f, f.ref(p))
	}
	if _, n := f.vector(batch, 4, 8); n > 0 {
		f.bad = true // variadic buffers belong to view types, which have no place here
	}
}

func (h *Header) parseCompression(f *flat, table int64) {
	h.Codec = CodecLZ4 // the default of a present table
	if p := f.field(table, 0); p != 0 {
		switch f.u8(p) {
		case 0:
		case 1:
			h.Codec = CodecZSTD
		default:
			h.Codec = -1
		}
	}
	if p := f.field(table, 1); p != 0 && f.u8(p) != 0 {
		h.Codec = -1 // only whole-buffer compression is defined
	}
}
