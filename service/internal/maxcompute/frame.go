package maxcompute

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/sluice-io/sluice/service/internal/batch"
)

// maxChunkBytes bounds the chunk size of Arrow bodies, ours and, because one chunk must be held whole, theirs.
const maxChunkBytes = 16 << 20

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Tags of the record stream's trailer (maxcompute-protocol.md 13); frozen.
const (
	tagMetaCount    = uint64(33554430) << 3
	tagMetaChecksum = uint64(33554431) << 3
)

// framer turns batches into a block's body.
type framer interface {
	// add writes one batch. The batch stays the caller's.
	add(c *batch.Checked) error
	// finish writes what makes the body complete. Without it no block comes of it.
	finish() error
}

func newFramer(form batch.Form, w io.Writer, chunkBytes int) (framer, error) {
	switch form {
	case batch.FormArrow:
		return &arrowFramer{w: w, chunk: chunkBytes}, nil
	case batch.FormRecord:
		return &recordFramer{w: w}, nil
	}
	return nil, fmt.Errorf("block form %d is unknown", form)
}

// arrowFramer writes the framing of maxcompute-protocol.md 14. Each byte is hashed once: the checksum of everything is
// combined from those of the chunks.
type arrowFramer struct {
	w       io.Writer
	chunk   int
	filled  int    // bytes of the current chunk
	crc     uint32 // of the current chunk's bytes
	all     uint32 // of all chunks before it
	started bool
	scratch [4]byte
}

func (f *arrowFramer) add(c *batch.Checked) error {
	for _, p := range c.Body.Pieces() {
		if err := f.bytes(p); err != nil {
			return err
		}
	}
	return nil
}

func (f *arrowFramer) bytes(p []byte) error {
	if len(p) > 0 && !f.started {
		f.started = true
		if err := f.word(uint32(f.chunk)); err != nil {
			return err
		}
	}
	for len(p) > 0 {
		n := min(f.chunk-f.filled, len(p))
		f.crc = crc32.Update(f.crc, castagnoli, p[:n])
		if _, err := f.w.Write(p[:n]); err != nil {
			return err
		}
		p = p[n:]
		if f.filled += n; f.filled == f.chunk {
			if err := f.word(f.crc); err != nil {
				return err
			}
			f.close()
		}
	}
	return nil
}

// close folds the current chunk's checksum into that of everything.
func (f *arrowFramer) close() {
	f.all = batch.CombineCRC32C(f.all, f.crc, int64(f.filled))
	f.crc, f.filled = 0, 0
}

// finish writes the checksum of everything. A body without a byte is four zero bytes, without a chunk size.
func (f *arrowFramer) finish() error {
	f.close()
	return f.word(f.all)
}

func (f *arrowFramer) word(v uint32) error {
	binary.BigEndian.PutUint32(f.scratch[:], v)
	_, err := f.w.Write(f.scratch[:])
	return err
}

// recordFramer passes records through and ends them with the trailer of maxcompute-protocol.md 13.
type recordFramer struct {
	w    io.Writer
	rows int64
	crc  uint32 // over the rows' CRCs, 4 bytes each
}

func (f *recordFramer) add(c *batch.Checked) error {
	for _, p := range c.Body.Pieces() {
		if _, err := f.w.Write(p); err != nil {
			return err
		}
	}
	f.crc = batch.CombineCRC32C(f.crc, c.RecordCRC, 4*int64(c.Rows))
	f.rows += int64(c.Rows)
	return nil
}

func (f *recordFramer) finish() error {
	_, err := f.w.Write(recordTrailer(f.rows, f.crc))
	return err
}

func recordTrailer(rows int64, crc uint32) []byte {
	b := binary.AppendUvarint(nil, tagMetaCount)
	b = binary.AppendVarint(b, rows) // zigzag
	b = binary.AppendUvarint(b, tagMetaChecksum)
	return binary.AppendUvarint(b, uint64(crc))
}

// emptyBody is the body of a block without rows.
func emptyBody(form batch.Form) []byte {
	if form == batch.FormRecord {
		return recordTrailer(0, 0)
	}
	return make([]byte, 4)
}

// coalescer gathers small writes into large ones: every write to w becomes one HTTP chunk and is flushed by net/http.
type coalescer struct {
	w   io.Writer
	buf []byte // filled up to its capacity before it is written
}

func (c *coalescer) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		k := copy(c.buf[len(c.buf):cap(c.buf)], p)
		c.buf = c.buf[:len(c.buf)+k]
		p = p[k:]
		if len(c.buf) == cap(c.buf) {
			if err := c.flush(); err != nil {
				return n - len(p), err
			}
		}
	}
	return n, nil
}

func (c *coalescer) flush() error {
	if len(c.buf) == 0 {
		return nil
	}
	_, err := c.w.Write(c.buf)
	c.buf = c.buf[:0]
	return err
}
