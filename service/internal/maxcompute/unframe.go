package maxcompute

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"sync"
	"sync/atomic"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/batch"
)

// blockBytes is the least size of a read buffer; it holds a whole number of chunks, so that none straddles two.
const blockBytes = 256 << 10

// errNoArrow marks a verified stream that holds something else than RecordBatch messages: a fault of the other side
// that no repetition cures.
var errNoArrow = errors.New("not a stream of arrow record batches")

// readBlock is a pooled buffer, kept alive by the reader that fills it and by every payload that points into it.
type readBlock struct {
	buf    []byte
	filled int // bytes read
	parsed int // bytes whose chunks were verified
	refs   atomic.Int32
	pool   *sync.Pool // nil: of an unusual size, left to the collector
}

func (b *readBlock) unref() {
	if b.refs.Add(-1) == 0 && b.pool != nil {
		b.filled, b.parsed = 0, 0
		b.pool.Put(b)
	}
}

var readBlocks sync.Pool // *readBlock for chunks of 65536

func takeBlock(frame int) *readBlock {
	size := max(blockBytes/frame, 1) * frame
	if frame != 65536+4 {
		b := &readBlock{buf: make([]byte, size)}
		b.refs.Store(1)
		return b
	}
	b, ok := readBlocks.Get().(*readBlock)
	if !ok {
		b = &readBlock{buf: make([]byte, size), pool: &readBlocks}
	}
	b.refs.Store(1)
	return b
}

// unframer strips and verifies the framing of an Arrow body without copying: what it gives out lies in the buffers that
// the network was read into. Each byte is hashed once.
type unframer struct {
	r      io.Reader
	chunk  int
	cur    *readBlock
	all    uint32 // CRC of the chunks so far
	begun  bool
	ended  bool
	single [4]byte
}

// run is a piece of verified data; whoever holds it owns one reference of its block.
type run struct {
	p     []byte
	block *readBlock
}

// next gives the next verified bytes, never none. io.EOF follows the verified trailer; a stream that ends before it is
// io.ErrUnexpectedEOF.
func (u *unframer) next() (run, error) {
	for !u.ended {
		if !u.begun {
			if err := u.begin(); err != nil {
				return run{}, err
			}
			continue
		}
		whole, err := u.fill()
		if err != nil {
			return run{}, err
		}
		r, err := u.take(whole)
		if err != nil || len(r.p) > 0 {
			return r, err
		}
	}
	return run{}, io.EOF
}

func (u *unframer) begin() error {
	if _, err := io.ReadFull(u.r, u.single[:]); err != nil {
		return noEOF(err)
	}
	u.begun = true
	size := binary.BigEndian.Uint32(u.single[:])
	if size > maxChunkBytes {
		return fmt.Errorf("%w: chunk size %d", errNoArrow, size)
	}
	u.chunk = int(size)
	if size > 0 {
		return nil
	}
	// Four zero bytes alone are the short form of "no rows".
	if _, err := io.ReadFull(u.r, u.single[:1]); err != io.EOF {
		return fmt.Errorf("%w: chunk size 0", errNoArrow)
	}
	u.ended = true
	return nil
}

// noEOF makes an end of the body that comes too early an error that cannot be taken for the end of the rows.
func noEOF(err error) error {
	if err == io.EOF { //nolint:errorlint // a clean end is io.EOF itself; an error that wraps it is a cut
		return io.ErrUnexpectedEOF
	}
	return err
}

// fill reads until a whole chunk with its checksum is there, or the body's end. whole is false at the end.
func (u *unframer) fill() (whole bool, err error) {
	frame := u.chunk + 4
	if u.cur != nil && u.cur.parsed == len(u.cur.buf) {
		u.cur.unref()
		u.cur = nil
	}
	if u.cur == nil {
		u.cur = takeBlock(frame)
	}
	for empty := 0; u.cur.filled-u.cur.parsed < frame; {
		n, err := u.r.Read(u.cur.buf[u.cur.filled:])
		u.cur.filled += n
		if err == io.EOF {
			return u.cur.filled-u.cur.parsed >= frame, nil
		}
		if err != nil {
			return false, err
		}
		if empty++; n > 0 {
			empty = 0
		} else if empty == 100 {
			return false, io.ErrNoProgress
		}
	}
	return true, nil
}

// take verifies the chunk at hand and gives its bytes out.
func (u *unframer) take(whole bool) (run, error) {
	b := u.cur
	if !whole {
		return u.last()
	}
	p := b.buf[b.parsed : b.parsed+u.chunk : b.parsed+u.chunk]
	crc := crc32.Update(0, castagnoli, p)
	if crc != binary.BigEndian.Uint32(b.buf[b.parsed+u.chunk:]) {
		return run{}, apierr.New(apierr.ChecksumMismatch, "read rows: a chunk's checksum differs")
	}
	u.all = batch.CombineCRC32C(u.all, crc, int64(u.chunk))
	b.parsed += u.chunk + 4
	b.refs.Add(1)
	return run{p: p, block: b}, nil
}

// last handles the bytes before the end of the body: the last chunk, shorter than the others, and the checksum of
// everything. If that differs, the body may as well have been cut, so it counts as cut.
func (u *unframer) last() (run, error) {
	b := u.cur
	rest := b.buf[b.parsed:b.filled]
	if len(rest) < 4 {
		return run{}, io.ErrUnexpectedEOF
	}
	p := rest[: len(rest)-4 : len(rest)-4]
	u.all = batch.CombineCRC32C(u.all, crc32.Update(0, castagnoli, p), int64(len(p)))
	if u.all != binary.BigEndian.Uint32(rest[len(p):]) {
		return run{}, fmt.Errorf("%w: the checksum of all rows differs", io.ErrUnexpectedEOF)
	}
	u.ended = true
	b.parsed = b.filled
	if len(p) == 0 {
		return run{}, nil
	}
	b.refs.Add(1)
	return run{p: p, block: b}, nil
}

// close gives the reader's own buffer back.
func (u *unframer) close() {
	if u.cur != nil {
		u.cur.unref()
		u.cur = nil
	}
	u.ended = true
}
