package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
)

// ChunkSize is the size the endpoint writes, the one all SDKs use.
const ChunkSize = 65536

// readBuffer is the unit of socket reads: performance.md 9 asks for 64–256 KiB.
const readBuffer = 256 << 10

var buffers = sync.Pool{New: func() any { return new([readBuffer]byte) }}

// ChunkReader strips and verifies the framing of an Arrow body. Use: Next until
// io.EOF, then Close. It allocates nothing per chunk, whatever size the sender
// chose, and hashes each byte once.
type ChunkReader struct {
	src   io.Reader
	buf   *[readBuffer]byte
	r, w  int    // unread bytes are buf[r:w]
	size  uint32 // chunk size, 0 before it is read
	cur   uint32 // bytes of the current chunk seen
	crc   uint32 // of them
	all   uint32 // of all chunks before
	ended bool   // src returned io.EOF
	err   error

	// OnChunk, when set, is told the length and CRC of each verified chunk, the
	// last one included if it is not empty, after its bytes were returned.
	OnChunk func(n int64, crc uint32)
}

// NewChunkReader reads a body from src. It takes a pooled buffer: call Close.
func NewChunkReader(src io.Reader) *ChunkReader {
	return &ChunkReader{src: src, buf: buffers.Get().(*[readBuffer]byte)}
}

// Close gives the buffer back. Slices returned by Next are invalid after it.
func (c *ChunkReader) Close() {
	if c.buf != nil {
		buffers.Put(c.buf)
		c.buf = nil
		c.err = errors.New("chunk reader closed")
	}
}

// Next returns the next data bytes, valid until the next call, or io.EOF once the
// whole body was there and every checksum held. Bytes come out before their
// checksum was seen: act on them only after io.EOF.
func (c *ChunkReader) Next() ([]byte, error) {
	for {
		if c.err != nil {
			return nil, c.err
		}
		data, err := c.step()
		c.err = err
		if len(data) > 0 {
			return data, nil
		}
	}
}

// step makes progress: bytes, an error, or more bytes in the buffer.
func (c *ChunkReader) step() ([]byte, error) {
	have := c.w - c.r
	if c.size == 0 {
		return nil, c.start(have)
	}
	rest := int(min(int64(c.size-c.cur), readBuffer))
	switch {
	case rest > 0 && have > 4:
		return c.take(min(rest, have-4)), nil
	case rest == 0 && have > 4, rest == 0 && have == 4 && !c.ended:
		// A full chunk's CRC; what may follow is the next chunk or the last CRC.
		return nil, c.endChunk()
	case c.ended:
		return nil, c.finish(have)
	}
	return nil, c.fill()
}

// start reads the chunk size. Nothing at all, or four zero bytes, is an empty body.
func (c *ChunkReader) start(have int) error {
	if have < 4 {
		if !c.ended {
			return c.fill()
		}
		if have == 0 {
			return io.EOF
		}
		return fmt.Errorf("%w: body of %d bytes", ErrMalformed, have)
	}
	size := binary.BigEndian.Uint32(c.buf[c.r:])
	if size == 0 {
		if have == 4 && !c.ended {
			return c.fill()
		}
		if have == 4 {
			return io.EOF
		}
		return fmt.Errorf("%w: chunk size 0", ErrMalformed)
	}
	c.size = size
	c.r += 4
	return nil
}

func (c *ChunkReader) take(n int) []byte {
	data := c.buf[c.r : c.r+n]
	c.r += n
	c.cur += uint32(n)
	c.crc = CRC(c.crc, data)
	return data
}

func (c *ChunkReader) endChunk() error {
	if want := binary.BigEndian.Uint32(c.buf[c.r:]); want != c.crc {
		return fmt.Errorf("%w: %w: chunk is %08x, the sender's %08x", ErrMalformed, ErrChecksum, c.crc, want)
	}
	c.r += 4
	c.closeChunk()
	return nil
}

func (c *ChunkReader) closeChunk() {
	c.all = CombineCRC(c.all, c.crc, int64(c.cur))
	if c.OnChunk != nil && c.cur > 0 {
		c.OnChunk(int64(c.cur), c.crc)
	}
	c.crc, c.cur = 0, 0
}

// finish checks the last four bytes against the CRC of everything.
func (c *ChunkReader) finish(have int) error {
	if have != 4 || c.cur == c.size {
		return fmt.Errorf("%w: body cut short: %w", ErrMalformed, io.ErrUnexpectedEOF)
	}
	c.closeChunk()
	if want := binary.BigEndian.Uint32(c.buf[c.r:]); want != c.all {
		return fmt.Errorf("%w: %w: body is %08x, the sender's %08x", ErrMalformed, ErrChecksum, c.all, want)
	}
	return io.EOF
}

// fill moves the few unread bytes to the front and reads on.
func (c *ChunkReader) fill() error {
	c.w = copy(c.buf[:], c.buf[c.r:c.w])
	c.r = 0
	n, err := c.src.Read(c.buf[c.w:])
	c.w += n
	if err == io.EOF { // an io.EOF wrapped by a transport is not the body's end
		c.ended = true
		return nil
	}
	if err != nil {
		return fmt.Errorf("read body: %w", err)
	}
	return nil
}

// ChunkWriter frames an Arrow body. The first write sends the chunk size; Close
// sends the last checksum and does not close the destination. It does not copy:
// callers write large slices.
type ChunkWriter struct {
	dst   io.Writer
	size  int64
	cur   int64
	crc   uint32
	all   uint32
	began bool
	word  [4]byte
}

// NewChunkWriter writes to dst in chunks of size bytes; 0 = ChunkSize.
func NewChunkWriter(dst io.Writer, size int) *ChunkWriter {
	if size <= 0 {
		size = ChunkSize
	}
	return &ChunkWriter{dst: dst, size: int64(size)}
}

func (c *ChunkWriter) put(v uint32) error {
	binary.BigEndian.PutUint32(c.word[:], v)
	_, err := c.dst.Write(c.word[:])
	return err
}

func (c *ChunkWriter) begin() error {
	if c.began {
		return nil
	}
	c.began = true
	return c.put(uint32(c.size))
}

// Write implements io.Writer.
func (c *ChunkWriter) Write(p []byte) (n int, err error) {
	if err := c.begin(); err != nil {
		return 0, err
	}
	for len(p) > 0 {
		k := int(min(c.size-c.cur, int64(len(p))))
		c.crc = CRC(c.crc, p[:k])
		m, err := c.dst.Write(p[:k])
		n += m
		if err != nil {
			return n, err
		}
		p = p[k:]
		if c.cur += int64(k); c.cur == c.size {
			if err := c.put(c.crc); err != nil {
				return n, err
			}
			c.all = CombineCRC(c.all, c.crc, c.cur)
			c.crc, c.cur = 0, 0
		}
	}
	return n, nil
}

// Close ends the body.
func (c *ChunkWriter) Close() error {
	if err := c.begin(); err != nil {
		return err
	}
	return c.put(CombineCRC(c.all, c.crc, c.cur))
}
