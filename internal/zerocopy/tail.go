package zerocopy

import (
	"math/bits"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
)

const (
	// payloadField is the number of every payload field and of every field around one. Frozen (api.md 1).
	payloadField = 1000
	// tagSize is the length of payloadField's tag.
	tagSize = 2
)

func sizeVarint(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }

func tailSize(payload int) int { return tagSize + sizeVarint(uint64(payload)) + payload }

// appendTag appends the tag and length of a payload of the given size.
func appendTag(b []byte, size int) []byte {
	b = protowire.AppendTag(b, payloadField, protowire.BytesType)
	return protowire.AppendVarint(b, uint64(size))
}

// join returns head and payload as one message, with a reference of its own to each piece of payload.
func join(head []byte, payload mem.BufferSlice) mem.BufferSlice {
	out := make(mem.BufferSlice, 0, 1+len(payload))
	out = append(out, mem.SliceBuffer(head))
	for _, piece := range payload {
		piece.Ref()
		out = append(out, piece)
	}
	return out
}

// tail says where the last field of a message lies: the head before it ends at headEnd, its value starts at start and
// reaches to the end of the data.
type tail struct{ headEnd, start int }

// findTail scans the message that begins at from and reaches to the end of data. It is true if the message is
// well-formed as far as field boundaries go, has no groups, and field 1000 stands in it once, with a length, as the
// last field. In every other case the caller leaves the message to protobuf-go.
func findTail(data mem.BufferSlice, from int) (tail, bool) {
	c := cursor{data: data}
	if !c.skip(uint64(from)) {
		return tail{}, false
	}
	total := data.Len()
	for c.pos < total {
		begin := c.pos
		tag, ok := c.varint()
		if !ok {
			return tail{}, false
		}
		num, typ := protowire.DecodeTag(tag)
		if num < 1 {
			return tail{}, false
		}
		if num == payloadField {
			size, ok := c.varint()
			found := ok && typ == protowire.BytesType && size == uint64(total-c.pos)
			return tail{headEnd: begin, start: c.pos}, found
		}
		if !c.skipField(typ) {
			return tail{}, false
		}
	}
	return tail{}, false
}

// cursor walks over the bytes of data without joining them.
type cursor struct {
	data  mem.BufferSlice
	piece int // index of the current piece
	off   int // in the current piece; may equal its length
	pos   int // in all
}

func (c *cursor) next() (byte, bool) {
	for c.piece < len(c.data) {
		if b := c.data[c.piece].ReadOnlyData(); c.off < len(b) {
			c.off++
			c.pos++
			return b[c.off-1], true
		}
		c.piece, c.off = c.piece+1, 0
	}
	return 0, false
}

func (c *cursor) skip(n uint64) bool {
	for n > 0 {
		if c.piece == len(c.data) {
			return false
		}
		rest := uint64(c.data[c.piece].Len() - c.off)
		if n <= rest {
			c.off += int(n)
			c.pos += int(n)
			return true
		}
		n -= rest
		c.pos += int(rest)
		c.piece, c.off = c.piece+1, 0
	}
	return true
}

func (c *cursor) varint() (uint64, bool) {
	var v uint64
	for shift := 0; shift < 64; shift += 7 {
		b, ok := c.next()
		if !ok || (shift == 63 && b > 1) {
			return 0, false
		}
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return v, true
		}
	}
	return 0, false
}

func (c *cursor) skipField(typ protowire.Type) bool {
	switch typ {
	case protowire.VarintType:
		_, ok := c.varint()
		return ok
	case protowire.Fixed32Type:
		return c.skip(4)
	case protowire.Fixed64Type:
		return c.skip(8)
	case protowire.BytesType:
		n, ok := c.varint()
		return ok && c.skip(n)
	}
	return false // groups: protobuf-go decides
}

// gather returns the bytes [start, end) of data, copied only if they lie in more than one piece. They are valid as long
// as data is.
func gather(data mem.BufferSlice, start, end int) []byte {
	var out []byte
	for _, piece := range data {
		n := piece.Len()
		if start < n && end > 0 {
			part := piece.ReadOnlyData()[max(start, 0):min(end, n)]
			if out == nil && end <= n {
				return part
			}
			out = append(out, part...)
		}
		start, end = start-n, end-n
	}
	return out
}

// slice returns the bytes of data from start on, by reference. The caller owns the references. It is never nil.
func slice(data mem.BufferSlice, start int) mem.BufferSlice {
	out := make(mem.BufferSlice, 0, len(data))
	for _, piece := range data {
		n := piece.Len()
		if start < n {
			out = append(out, piece.Slice(max(start, 0), n))
		}
		start -= n
	}
	return out
}
