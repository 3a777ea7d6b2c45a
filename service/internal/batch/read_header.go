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
// The metadata is read with batchMeta; the writer here always lays the same tables out at the same places.

const maxHeaderEntries = 1 << 17 // nodes or buffers of one message; more than any table of ours can need

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

// parseHeader reads the metadata of an upstream message. What is wrong with it is no client's fault, so its errors
// carry no reason.
func parseHeader(msg Payload) (header, error) {
	var m batchMeta
	meta := func(from, size int) []byte { return contiguous(msg, from, size) }
	if err := m.open(msg.Len(), meta); err != nil {
		return header{}, errors.New("parse record batch metadata: " + err.Error()) // its BAD_ARGUMENT must not reach the client
	}
	if m.nodes > maxHeaderEntries || m.bufs > maxHeaderEntries {
		return header{}, fmt.Errorf("record batch of %d nodes and %d buffers", m.nodes, m.bufs)
	}
	h := header{rows: m.rows, body: m.msg.bodySize, start: m.msg.bodyAt, codec: m.codec}
	h.nodes, h.buffers = make([]fieldNode, m.nodes), make([]bodyBuffer, m.bufs)
	for i := range h.nodes {
		h.nodes[i].length, h.nodes[i].nulls = m.node(i)
	}
	for i := range h.buffers {
		h.buffers[i].offset, h.buffers[i].length = m.buffer(i)
	}
	return h, h.checkBuffers()
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
	dst = le.AppendUint32(dst, ipcContinuation)
	dst = le.AppendUint32(dst, uint32(size))
	at := len(dst)
	dst = append(dst, make([]byte, size)...)
	m := dst[at:]

	le.PutUint32(m[0:], 20)
	putU16s(m[4:], 12, 20, 16, 18, 12, 4)
	le.PutUint32(m[20:], 20-4)
	le.PutUint64(m[24:], uint64(h.body))
	le.PutUint32(m[32:], 52-32)
	putU16s(m[36:], ipcV5)
	m[38] = headerRecordBatch

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
