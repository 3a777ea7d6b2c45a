package maxcompute

import (
	"fmt"
	"io"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// Compression wraps a whole body, framing and checksums included (maxcompute-protocol.md 15).
type Compression string

// The compressions of the tunnel. Snappy is the cheap middle, Zstd the small one; Deflate is zlib, for old servers.
const (
	CompressNone    Compression = ""
	CompressZstd    Compression = "zstd"
	CompressSnappy  Compression = "snappy"
	CompressDeflate Compression = "deflate"
	CompressLZ4     Compression = "lz4"
)

// Content codings as the tunnel names them; frozen. LZ4 has two names: one for record bodies, one for Arrow bodies.
const (
	codingDeflate  = "deflate"
	codingSnappy   = "x-snappy-framed"
	codingZstd     = "zstd"
	codingLZ4      = "x-lz4-frame"
	codingLZ4Arrow = "x-odps-lz4-frame"
)

func (c Compression) check() error {
	switch c {
	case CompressNone, CompressZstd, CompressSnappy, CompressDeflate, CompressLZ4:
		return nil
	}
	return fmt.Errorf("compression: %q is not one of zstd, snappy, deflate, lz4", string(c))
}

// coding is the header value, "" for none.
func (c Compression) coding(arrow bool) string {
	switch c {
	case CompressZstd:
		return codingZstd
	case CompressSnappy:
		return codingSnappy
	case CompressDeflate:
		return codingDeflate
	case CompressLZ4:
		if arrow {
			return codingLZ4Arrow
		}
		return codingLZ4
	}
	return ""
}

// compressor wraps w; Close ends the compressed stream and leaves w open.
func (c Compression) compressor(w io.Writer) (io.WriteCloser, error) {
	switch c {
	case CompressZstd:
		return zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20))
	case CompressSnappy:
		return s2.NewWriter(w, s2.WriterSnappyCompat(), s2.WriterConcurrency(1)), nil
	case CompressDeflate:
		return zlib.NewWriterLevel(w, zlib.BestSpeed)
	case CompressLZ4:
		lw := lz4.NewWriter(w)
		if err := lw.Apply(lz4.BlockSizeOption(lz4.Block256Kb), lz4.ConcurrencyOption(1)); err != nil {
			return nil, err
		}
		return lw, nil
	}
	return nil, fmt.Errorf("no compressor for %q", string(c))
}

// maxZstdWindow bounds what a compressed reply can make us allocate.
const maxZstdWindow = 128 << 20

// decompressor undoes a content coding of a reply; the result's Close frees its memory and leaves r open.
func decompressor(coding string, r io.Reader) (io.ReadCloser, error) {
	switch coding {
	case "", "identity":
		return io.NopCloser(r), nil
	case codingDeflate:
		return zlib.NewReader(r)
	case codingSnappy:
		return io.NopCloser(s2.NewReader(r)), nil
	case codingZstd:
		d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxZstdWindow))
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	case codingLZ4, codingLZ4Arrow:
		return io.NopCloser(lz4.NewReader(r)), nil
	}
	return nil, fmt.Errorf("content coding %q is unknown", coding)
}
