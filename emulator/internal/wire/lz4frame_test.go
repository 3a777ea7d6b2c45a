package wire_test

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/pierrec/lz4/v4"

	"github.com/sluice-io/sluice/emulator/internal/wire"
)

// A frame of any form cut at any byte is malformed; whole, once or twice over, it is not.
func TestLZ4FramesCutAtEveryByte(t *testing.T) {
	// Blocks of 64 KiB, so that there are several; the default of 4 MiB would also cost the reader that much memory at each cut.
	data := append(bytes.Repeat([]byte("abcdefgh"), 20_000), []byte("the end")...)
	for name, options := range map[string][]lz4.Option{
		"plain":           nil,
		"no checksum":     {lz4.ChecksumOption(false)},
		"size":            {lz4.SizeOption(uint64(len(data)))},
		"block sums":      {lz4.BlockChecksumOption(true)},
		"block sums only": {lz4.BlockChecksumOption(true), lz4.ChecksumOption(false)},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			w := lz4.NewWriter(&b)
			if err := w.Apply(append(options, lz4.BlockSizeOption(lz4.Block64Kb))...); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(data); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			frame := b.Bytes()
			read := func(b []byte) ([]byte, error) {
				r, err := wire.NewDecompressor(wire.LZ4Frame, iotest.OneByteReader(bytes.NewReader(b)))
				if err != nil {
					return nil, err
				}
				defer r.Close()
				return io.ReadAll(r)
			}
			for cut := 1; cut < len(frame); cut++ {
				if got, err := read(frame[:cut]); !errors.Is(err, wire.ErrMalformed) {
					t.Errorf("%d of %d bytes: %d bytes, %v", cut, len(frame), len(got), err)
				}
			}
			if got, err := read(frame); err != nil || !bytes.Equal(got, data) {
				t.Errorf("whole: %d bytes, %v", len(got), err)
			}
		})
	}
}
