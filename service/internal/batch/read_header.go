package batch

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// An encapsulated Arrow IPC message, as the tunnel sends it and as clients get it:
//
//	FF FF FF FF | int32 length of metadata | metadata (flatbuffer Message, padded) | body
//
// Only what a RecordBatch message needs of flatbuffers is here: a reader that checks every position against the
// metadata's end, and a writer that always lays the same tables out at the same places.

const (
	messageTypeRecordBatch = 3
	maxHeaderBytes         = 4 << 20 // more metadata than any table of ours can need
	maxHeaderEntries       = 1 << 17 // nodes or buffers of one message
)

// Body compression as the flatbuffer numbers it, plus none.
const (
	codecNone = int8(-1)
	codecLZ4  = int8(0)
	codecZSTD = int8(1)
)

type fieldNode struct{ length, nulls int64 }

type bodyBuffer struct{ offset, length int64 }

// header is the metadata of one RecordBatch message.
type header struct {
	rows    int64
	body    int64 // bytes after the metadata
	start   int   // where the body begins in the message
	codec   int8
	nodes   []fieldNode
	buffers []bodyBuffer
}

var errNoRecordBatch = errors.New("arrow message is not a record batch")

// flatReader reads a flatbuffer. Any access outside sets bad and yields 0, so a caller may check once at the end.
type flatReader struct {
	b   []byte
	bad bool
}

func (r *flatReader) at(pos, size int) []byte {
	if pos < 0 || pos > len(r.b)-size {
		r.bad = true
		return make([]byte, 8)
	}
	return r.b[pos : pos+size]
}

func (r *flatReader) u16(pos int) int   { return int(binary.LittleEndian.Uint16(r.at(pos, 2))) }
func (r *flatReader) u32(pos int) int   { return int(binary.LittleEndian.Uint32(r.at(pos, 4))) }
func (r *flatReader) i64(pos int) int64 { return int64(binary.LittleEndian.Uint64(r.at(pos, 8))) }
func (r *flatReader) i8(pos int) int8   { return int8(r.at(pos, 1)[0]) }

// field is the position of a table's field, 0 when the table does not have it.
func (r *flatReader) field(tab, slot int) int {
	vtable := tab - int(int32(binary.LittleEndian.Uint32(r.at(tab, 4))))
	if 4+2*slot >= r.u16(vtable) {
		return 0
	}
	off := r.u16(vtable + 4 + 2*slot)
	if off == 0 {
		return 0
	}
	return tab + off
}

// follow resolves the offset stored at pos.
func (r *flatReader) follow(pos int) int { return pos + r.u32(pos) }

// vector is the place and length of a vector of 16-byte structs.
func (r *flatReader) vector(pos int) (first, n int) {
	if pos == 0 {
		return 0, 0
	}
	v := r.follow(pos)
	n = r.u32(v)
	if n > maxHeaderEntries || v+4 > len(r.b)-16*n {
		r.bad = true
		return 0, 0
	}
	return v + 4, n
}

// parseHeader reads the metadata of msg, of which meta are the bytes up to the body at least. total is the length of
// the whole message.
func parseHeader(msg Payload) (header, error) {
	var h header
	var prefix [8]byte
	if copyRange(prefix[:], msg, 0) < 8 || binary.LittleEndian.Uint32(prefix[:]) != 0xffffffff {
		return h, errors.New("arrow message without its continuation mark")
	}
	size := int(binary.LittleEndian.Uint32(prefix[4:]))
	if size <= 0 || size > maxHeaderBytes || int64(8+size) > int64(msg.Len()) {
		return h, fmt.Errorf("arrow metadata of %d bytes in a message of %d", size, msg.Len())
	}
	h.start = 8 + size
	if err := h.parse(contiguous(msg, 8, size)); err != nil {
		return h, err
	}
	if h.body < 0 || h.body != int64(msg.Len()-h.start) {
		return h, fmt.Errorf("arrow body of %d bytes announced, %d there", h.body, msg.Len()-h.start)
	}
	return h, h.checkBuffers()
}

func (h *header) parse(meta []byte) error {
	r := &flatReader{b: meta}
	msg := r.follow(0)
	if pos := r.field(msg, 1); pos == 0 || r.i8(pos) != messageTypeRecordBatch {
		return errNoRecordBatch
	}
	if pos := r.field(msg, 3); pos != 0 {
		h.body = r.i64(pos)
	}
	pos := r.field(msg, 2)
	if pos == 0 {
		return errNoRecordBatch
	}
	h.parseBatch(r, r.follow(pos))
	if r.bad {
		return errors.New("arrow metadata points outside itself")
	}
	return nil
}

func (h *header) parseBatch(r *flatReader, batch int) {
	if pos := r.field(batch, 0); pos != 0 {
		h.rows = r.i64(pos)
	}
	first, n := r.vector(r.field(batch, 1))
	h.nodes = make([]fieldNode, n)
	for i := range h.nodes {
		h.nodes[i] = fieldNode{r.i64(first + 16*i), r.i64(first + 16*i + 8)}
	}
	first, n = r.vector(r.field(batch, 2))
	h.buffers = make([]bodyBuffer, n)
	for i := range h.buffers {
		h.buffers[i] = bodyBuffer{r.i64(first + 16*i), r.i64(first + 16*i + 8)}
	}
	h.codec = codecNone
	if pos := r.field(batch, 3); pos != 0 {
		h.codec = codecLZ4
		if c := r.field(r.follow(pos), 0); c != 0 {
			h.codec = r.i8(c)
		}
	}
}

func (h *header) checkBuffers() error {
	if h.rows < 0 || h.rows > 1<<31-1 {
		return fmt.Errorf("arrow batch of %d rows", h.rows)
	}
	for i, b := range h.buffers {
		if b.offset < 0 || b.length < 0 || b.offset > h.body || b.length > h.body-b.offset {
			return fmt.Errorf("arrow buffer %d outside the body", i)
		}
	}
	return nil
}

// matches reports whether the message has as many nodes and buffers as the columns need.
func (h *header) matches(columns []shape) error {
	nodes, buffers := 0, 0
	for i := range columns {
		nodes += columns[i].nodes
		buffers += columns[i].buffers
	}
	if len(h.nodes) != nodes || len(h.buffers) != buffers {
		return fmt.Errorf("arrow batch of %d nodes and %d buffers, want %d and %d", len(h.nodes), len(h.buffers), nodes, buffers)
	}
	return nil
}

// headerBytes is the size of what appendHeader writes.
func headerBytes(nodes, buffers int) int { return 8 + 104 + 16*(nodes+buffers) }

// appendHeader writes prefix and metadata. The places are fixed: positions are relative to the metadata, which begins
// 8 bytes into the message, so multiples of 8 stay aligned.
//
//	 0 root offset -> 20            4 vtable of Message (version 16, type 18, header 12, bodyLength 4)
//	20 Message table to 40         40 vtable of RecordBatch (length 4, nodes 12, buffers 16, compression 20)
//	52 RecordBatch table to 76     76 vtable of BodyCompression (codec 4, method 5)
//	84 BodyCompression to 90       92 nodes: count, then 16 bytes each; 4 bytes of padding; buffers likewise
func appendHeader(dst []byte, h *header) []byte {
	le := binary.LittleEndian
	size := headerBytes(len(h.nodes), len(h.buffers)) - 8
	dst = le.AppendUint32(dst, 0xffffffff)
	dst = le.AppendUint32(dst, uint32(size))
	at := len(dst)
	dst = append(dst, make([]byte, size)...)
	m := dst[at:]

	le.PutUint32(m[0:], 20)
	putU16s(m[4:], 12, 20, 16, 18, 12, 4)
	le.PutUint32(m[20:], 20-4)
	le.PutUint64(m[24:], uint64(h.body))
	le.PutUint32(m[32:], 52-32)
	putU16s(m[36:], 4) // MetadataVersion V5
	m[38] = messageTypeRecordBatch

	compression := uint16(0)
	if h.codec != codecNone {
		compression = 20
	}
	putU16s(m[40:], 12, 24, 4, 12, 16, compression)
	le.PutUint32(m[52:], 52-40)
	le.PutUint64(m[56:], uint64(h.rows))
	le.PutUint32(m[64:], 92-64)
	buffersAt := 96 + 16*len(h.nodes) + 4
	le.PutUint32(m[68:], uint32(buffersAt-68))
	le.PutUint32(m[72:], 84-72)
	putU16s(m[76:], 8, 6, 4, 5)
	le.PutUint32(m[84:], 84-76)
	m[88] = byte(max(h.codec, 0))

	le.PutUint32(m[92:], uint32(len(h.nodes)))
	for i, n := range h.nodes {
		le.PutUint64(m[96+16*i:], uint64(n.length))
		le.PutUint64(m[104+16*i:], uint64(n.nulls))
	}
	le.PutUint32(m[buffersAt:], uint32(len(h.buffers)))
	for i, b := range h.buffers {
		le.PutUint64(m[buffersAt+4+16*i:], uint64(b.offset))
		le.PutUint64(m[buffersAt+12+16*i:], uint64(b.length))
	}
	return dst
}

func putU16s(b []byte, values ...uint16) {
	for i, v := range values {
		binary.LittleEndian.PutUint16(b[2*i:], v)
	}
}

// copyRange copies from position from of p into dst and tells how much there was.
func copyRange(dst []byte, p Payload, from int) int {
	n := 0
	for _, piece := range p.Pieces() {
		if from >= len(piece) {
			from -= len(piece)
			continue
		}
		n += copy(dst[n:], piece[from:])
		from = 0
		if n == len(dst) {
			break
		}
	}
	return n
}

// contiguous is [from, from+size) of p, by reference where it lies in one piece.
func contiguous(p Payload, from, size int) []byte {
	at := from
	for _, piece := range p.Pieces() {
		if at < len(piece) {
			if at+size <= len(piece) {
				return piece[at : at+size]
			}
			break
		}
		at -= len(piece)
	}
	out := make([]byte, size)
	return out[:copyRange(out, p, from)]
}
