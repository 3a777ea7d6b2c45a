package batch

import (
	"bytes"
	"errors"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// unpack gives the content of one compressed Arrow buffer: an int64 with the uncompressed length, −1 if the rest is
// plain, then the frame. The length is checked before anything is allocated, and must be the frame's.
func (l *arrowLoader) unpack(b []byte) ([]byte, error) {
	if len(b) < 8 {
		return nil, errors.New("compressed buffer without its length")
	}
	size := int64(le.Uint64(b))
	b = b[8:]
	if size == -1 {
		size = int64(len(b))
		return b, l.grow(size)
	}
	if size < 0 {
		return nil, errors.New("compressed buffer of negative length")
	}
	if err := l.grow(size); err != nil {
		return nil, err
	}
	out := l.owner.mem.alloc(int(size))
	if l.meta.codec == codecLZ4 {
		return out, unpackLZ4(out, b)
	}
	return out, unpackZSTD(out, b)
}

func (l *arrowLoader) grow(size int64) error {
	if size > l.lim.MaxBatchBytes-l.total {
		return tooLarge("the batch, decompressed,", l.lim.MaxBatchBytes, l.total+size)
	}
	l.total += size
	return nil
}

var lz4Readers = sync.Pool{New: func() any { return lz4.NewReader(nil) }}

var errUnpackedLength = errors.New("compressed buffer does not unpack to its length")

func unpackLZ4(out, b []byte) error {
	r := lz4Readers.Get().(*lz4.Reader)
	defer lz4Readers.Put(r)
	r.Reset(bytes.NewReader(b))
	if _, err := io.ReadFull(r, out); err != nil {
		return errUnpackedLength
	}
	var more [1]byte
	if n, err := r.Read(more[:]); n != 0 || !errors.Is(err, io.EOF) {
		return errUnpackedLength
	}
	return nil
}

// zstdDecoder is shared: DecodeAll is safe for concurrent use. Its frames may be as large as a batch, no more.
var zstdDecoder = sync.OnceValues(func() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(uint64(DefaultLimits().MaxBatchBytes)),
		zstd.WithDecodeAllCapLimit(true))
})

func unpackZSTD(out, b []byte) error {
	d, err := zstdDecoder()
	if err != nil {
		return err
	}
	got, err := d.DecodeAll(b, out[:0:len(out)])
	if err != nil || len(got) != len(out) {
		return errUnpackedLength
	}
	return nil
}
