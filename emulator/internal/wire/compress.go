package wire

import (
	"compress/zlib"
	"fmt"
	"io"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// Encoding is an HTTP content encoding of the tunnel (protocol section 15); the
// zero value is none.
type Encoding string

// The encodings. Identity is no compression.
const (
	Identity  Encoding = ""
	Deflate   Encoding = "deflate" // zlib, RFC 1950
	Snappy    Encoding = "x-snappy-framed"
	Zstd      Encoding = "zstd"
	LZ4Frame  Encoding = "x-lz4-frame"
	LZ4Arrow  Encoding = "x-odps-lz4-frame"
	zstdLimit          = 128 << 20 // window a stranger may ask for
)

// ParseEncoding reads the value of a Content-Encoding header; ok is false for an
// unknown one.
func ParseEncoding(s string) (e Encoding, ok bool) {
	switch e = Encoding(s); e {
	case Identity, Deflate, Snappy, Zstd, LZ4Frame, LZ4Arrow:
		return e, true
	}
	return Identity, s == "identity"
}

// NewDecompressor undoes e. Errors of damaged input come from Read (for deflate
// from the first one) and wrap ErrMalformed; the input's own errors are kept.
// What follows the compressed data stays in src or is ErrMalformed, if src is an
// io.ByteReader: of another, deflate may have read too much. Close frees the
// decoder, not src.
func NewDecompressor(e Encoding, src io.Reader) (io.ReadCloser, error) {
	switch e {
	case Identity:
		return io.NopCloser(src), nil
	case Deflate:
		return &decompressor{open: func() (io.Reader, func(), error) {
			z, err := zlib.NewReader(src)
			return z, func() {}, err
		}}, nil
	case Snappy:
		return &decompressor{r: snappy.NewReader(src)}, nil
	case Zstd:
		z, err := zstd.NewReader(src, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(zstdLimit))
		if err != nil {
			return nil, fmt.Errorf("%w: zstd: %w", ErrMalformed, err)
		}
		return &decompressor{r: z, free: z.Close}, nil
	case LZ4Frame, LZ4Arrow:
		return &decompressor{r: lz4.NewReader(&lz4Frames{src: src})}, nil
	}
	return nil, fmt.Errorf("%w: encoding %q", ErrMalformed, e)
}

type decompressor struct {
	open func() (io.Reader, func(), error) // delays a constructor that reads
	r    io.Reader
	free func()
	err  error
}

func (d *decompressor) Read(p []byte) (n int, err error) {
	if d.r == nil && d.err == nil {
		if d.r, d.free, d.err = d.open(); d.err != nil {
			d.err = fmt.Errorf("%w: decompress: %w", ErrMalformed, d.err)
		}
	}
	if d.err != nil {
		return 0, d.err
	}
	n, err = d.r.Read(p)
	if err != nil && err != io.EOF { //nolint:errorlint // a clean end is io.EOF itself; an error that wraps it is a cut
		err = fmt.Errorf("%w: decompress: %w", ErrMalformed, err)
	}
	d.err = err
	return n, err
}

func (d *decompressor) Close() error {
	if d.free != nil {
		d.free()
		d.free = nil
	}
	return nil
}

// NewCompressor applies e. Close ends the compressed stream, not dst.
func NewCompressor(e Encoding, dst io.Writer) (io.WriteCloser, error) {
	switch e {
	case Identity:
		return nopWriteCloser{dst}, nil
	case Deflate:
		return zlib.NewWriterLevel(dst, zlib.BestSpeed)
	case Snappy:
		// By itself it would write from goroutines that end with Close only: a download that breaks off has none.
		return s2.NewWriter(dst, s2.WriterSnappyCompat(), s2.WriterBetterCompression(), s2.WriterConcurrency(1)), nil
	case Zstd:
		return zstd.NewWriter(dst, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	case LZ4Frame, LZ4Arrow:
		return lz4.NewWriter(dst), nil
	}
	return nil, fmt.Errorf("%w: encoding %q", ErrMalformed, e)
}

type nopWriteCloser struct{ io.Writer }

func (nopWriteCloser) Close() error { return nil }
