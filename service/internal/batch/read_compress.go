package batch

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// A compressed Arrow body buffer is int64 length of the plain bytes, little-endian, and the compressed bytes; a length
// of −1 marks plain bytes that compression would not have made smaller. Empty buffers stay empty.

var errBufferTooLarge = errors.New("compressed arrow buffer unpacks to more than allowed")

// Decoders and encoders are kept because a zstd one costs more to make than a buffer to pack. Level 1 is the fastest;
// concurrency 1 starts no goroutines.
var (
	zstdDecoders = sync.Pool{New: func() any {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
		if err != nil {
			panic("zstd decoder options: " + err.Error())
		}
		return d
	}}
	zstdEncoders = sync.Pool{New: func() any {
		e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
		if err != nil {
			panic("zstd encoder options: " + err.Error())
		}
		return e
	}}
	lz4Writers = sync.Pool{New: func() any {
		w := lz4.NewWriter(nil)
		// The library's blocks of 4 MiB would be allocated for every small buffer; checksums are the message's CRC-32C.
		if err := w.Apply(lz4.BlockSizeOption(lz4.Block256Kb), lz4.ChecksumOption(false)); err != nil {
			panic("lz4 writer options: " + err.Error())
		}
		return w
	}}
)

// unpackBuffer gives the plain bytes of one compressed buffer, refusing before it allocates more than budget.
func unpackBuffer(raw []byte, codec int8, budget int64) ([]byte, error) {
	if len(raw) < 8 {
		return nil, errors.New("compressed arrow buffer without its length")
	}
	size := int64(binary.LittleEndian.Uint64(raw))
	packed := raw[8:]
	switch {
	case size == -1:
		return packed, nil
	case size < 0:
		return nil, fmt.Errorf("compressed arrow buffer of %d bytes", size)
	case size > budget:
		return nil, errBufferTooLarge
	}
	out := make([]byte, size)
	if err := unpackInto(out, packed, codec); err != nil {
		return nil, fmt.Errorf("unpack arrow buffer: %w", err)
	}
	return out, nil
}

// unpackInto fills out, which must be exactly what packed holds.
func unpackInto(out, packed []byte, codec int8) error {
	var r io.Reader
	switch codec {
	case codecLZ4:
		r = lz4.NewReader(bytes.NewReader(packed))
	case codecZSTD:
		d := zstdDecoders.Get().(*zstd.Decoder)
		defer zstdDecoders.Put(d)
		if err := d.Reset(bytes.NewReader(packed)); err != nil {
			return err
		}
		r = d
	default:
		return fmt.Errorf("unknown compression %d", codec)
	}
	if _, err := io.ReadFull(r, out); err != nil {
		return err
	}
	if n, err := r.Read(make([]byte, 1)); n != 0 || (err != nil && err != io.EOF) {
		return errors.New("more bytes than announced")
	}
	return nil
}

// appendPacked appends one plain buffer in its compressed form.
func appendPacked(dst, plain []byte, codec int8) ([]byte, error) {
	if len(plain) == 0 {
		return dst, nil
	}
	at := len(dst)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(len(plain)))
	dst, err := compressTo(dst, plain, codec)
	if err != nil {
		return dst, fmt.Errorf("pack arrow buffer: %w", err)
	}
	if len(dst)-at-8 >= len(plain) {
		dst = append(binary.LittleEndian.AppendUint64(dst[:at], ^uint64(0)), plain...)
	}
	return dst, nil
}

func compressTo(dst, plain []byte, codec int8) ([]byte, error) {
	if codec == codecZSTD {
		e := zstdEncoders.Get().(*zstd.Encoder)
		defer zstdEncoders.Put(e)
		return e.EncodeAll(plain, dst), nil
	}
	w := lz4Writers.Get().(*lz4.Writer)
	defer lz4Writers.Put(w)
	sink := byteSink{dst}
	w.Reset(&sink)
	if _, err := w.Write(plain); err != nil {
		return sink.b, err
	}
	err := w.Close()
	return sink.b, err
}

// byteSink is an io.Writer that appends.
type byteSink struct{ b []byte }

func (s *byteSink) Write(p []byte) (int, error) {
	s.b = append(s.b, p...)
	return len(p), nil
}
