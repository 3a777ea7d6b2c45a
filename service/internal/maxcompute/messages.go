package maxcompute

import (
	"encoding/binary"
	"fmt"

	"github.com/sluice-io/sluice/service/internal/batch"
)

const (
	continuation     = 0xffffffff // begins an encapsulated Arrow message; frozen
	maxMetadataBytes = 4 << 20
	headerBatch      = 3 // RecordBatch in the flatbuffer union MessageHeader
)

// messageCutter cuts verified bytes into encapsulated RecordBatch messages, as pieces of the buffers they lie in.
type messageCutter struct {
	u    unframer
	have []run
	size int // bytes in have
	max  int64
	rows int64 // rows of the messages given out
}

// next gives the next message and its number of rows. io.EOF comes only after the verified trailer.
func (m *messageCutter) next() (batch.Payload, int, error) {
	if err := m.need(1); err != nil {
		return batch.Payload{}, 0, err // io.EOF: between messages, where the stream may end
	}
	var prefix [8]byte
	if err := m.peek(prefix[:], 0); err != nil {
		return batch.Payload{}, 0, err
	}
	size := int64(binary.LittleEndian.Uint32(prefix[4:]))
	if binary.LittleEndian.Uint32(prefix[:]) != continuation || size > maxMetadataBytes {
		return batch.Payload{}, 0, fmt.Errorf("%w: bad message prefix", errNoArrow)
	}
	if size == 0 {
		return batch.Payload{}, 0, m.endOfStream()
	}
	meta := make([]byte, size)
	if err := m.peek(meta, 8); err != nil {
		return batch.Payload{}, 0, err
	}
	rows, body, err := parseMessage(meta)
	if err != nil {
		return batch.Payload{}, 0, err
	}
	total := 8 + size + body
	if body > m.max || total > m.max {
		return batch.Payload{}, 0, fmt.Errorf("%w: message of %d bytes", errNoArrow, total)
	}
	if err := m.need(int(total)); err != nil {
		return batch.Payload{}, 0, noEOF(err)
	}
	m.rows += rows
	return m.take(int(total)), int(rows), nil
}

// need reads until n bytes are at hand; io.EOF if the stream ended cleanly before.
func (m *messageCutter) need(n int) error {
	for m.size < n {
		r, err := m.u.next()
		if err != nil {
			return err
		}
		m.have = append(m.have, r)
		m.size += len(r.p)
	}
	return nil
}

// peek copies bytes from the front without consuming them. The stream must not end there.
func (m *messageCutter) peek(dst []byte, skip int) error {
	if err := m.need(skip + len(dst)); err != nil {
		return noEOF(err)
	}
	for _, r := range m.have {
		p := r.p
		if skip >= len(p) {
			skip -= len(p)
			continue
		}
		n := copy(dst, p[skip:])
		dst, skip = dst[n:], 0
		if len(dst) == 0 {
			break
		}
	}
	return nil
}

// endOfStream accepts the end-of-stream mark that no client sends and some servers may, if nothing follows.
func (m *messageCutter) endOfStream() error {
	m.take(8).Release()
	if err := m.need(1); err != nil {
		return err
	}
	return fmt.Errorf("%w: bytes after the end-of-stream mark", errNoArrow)
}

// take hands the first n bytes out as a payload that keeps their blocks alive.
func (m *messageCutter) take(n int) batch.Payload {
	m.size -= n
	pieces := make([][]byte, 0, len(m.have))
	blocks := make([]*readBlock, 0, len(m.have))
	used := 0
	for n > 0 {
		r := &m.have[used]
		k := min(n, len(r.p))
		pieces, blocks = append(pieces, r.p[:k:k]), append(blocks, r.block)
		n -= k
		if k == len(r.p) {
			used++ // its reference goes to the payload
			continue
		}
		r.block.refs.Add(1)
		r.p = r.p[k:]
	}
	m.have = append(m.have[:0], m.have[used:]...)
	return batch.NewPayload(func() {
		for _, b := range blocks {
			b.unref()
		}
	}, pieces...)
}

// close gives back what was not handed out.
func (m *messageCutter) close() {
	for _, r := range m.have {
		r.block.unref()
	}
	m.have, m.size = nil, 0
	m.u.close()
}

// parseMessage reads what is needed of a flatbuffer Message: that it is a RecordBatch, its rows and the length of its
// body. Every access is checked against the metadata's end.
func parseMessage(meta []byte) (rows, body int64, err error) {
	f := flat{b: meta}
	msg := f.follow(0)
	kind, header := f.field(msg, 1), f.field(msg, 2)
	if kind == 0 || header == 0 || f.u8(kind) != headerBatch {
		return 0, 0, fmt.Errorf("%w: the message is none", errNoArrow)
	}
	if p := f.field(msg, 3); p != 0 {
		body = f.i64(p)
	}
	if p := f.field(f.follow(header), 0); p != 0 {
		rows = f.i64(p)
	}
	if f.bad || rows < 0 || rows > 1<<31-1 || body < 0 {
		return 0, 0, fmt.Errorf("%w: damaged metadata", errNoArrow)
	}
	return rows, body, nil
}

// flat reads a flatbuffer; an access outside sets bad and reads as zero.
type flat struct {
	b   []byte
	bad bool
}

func (f *flat) at(pos, n int) []byte {
	if pos < 0 || pos > len(f.b)-n {
		f.bad = true
		return make([]byte, n)
	}
	return f.b[pos : pos+n]
}

func (f *flat) u8(pos int) byte    { return f.at(pos, 1)[0] }
func (f *flat) u16(pos int) int    { return int(binary.LittleEndian.Uint16(f.at(pos, 2))) }
func (f *flat) u32(pos int) int    { return int(binary.LittleEndian.Uint32(f.at(pos, 4))) }
func (f *flat) i64(pos int) int64  { return int64(binary.LittleEndian.Uint64(f.at(pos, 8))) }
func (f *flat) follow(pos int) int { return pos + f.u32(pos) }

// field is the position of a table's field, 0 if the table does not have it.
func (f *flat) field(tab, slot int) int {
	vtable := tab - int(int32(f.u32(tab)))
	if 6+2*slot > f.u16(vtable) {
		return 0
	}
	if off := f.u16(vtable + 4 + 2*slot); off != 0 {
		return tab + off
	}
	return 0
}
