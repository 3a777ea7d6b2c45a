package wire

import (
	"encoding/binary"
	"io"
)

// lz4Frames passes LZ4 frames through and tells an input that ends within one from one
// that ends behind one: the library takes every end for a good one.
//
//	frame := magic FLG BD [content size 8] [dictionary 4] HC  ( size data [checksum] )*  0  [checksum]
type lz4Frames struct {
	src io.Reader

	step   lz4Step
	skip   int64  // bytes to pass before the next step
	gather []byte // of a number of 4 bytes
	flags  byte   // FLG
}

type lz4Step int

const (
	lz4Start lz4Step = iota // between frames: the one good place to end
	lz4Flags
	lz4Header // to skip: BD, sizes, HC
	lz4Size
	lz4Data     // to skip: a block
	lz4Checksum // to skip: the frame's
	lz4Unknown  // no frame that we know: the library judges
)

// Frozen by the format.
const (
	lz4Magic            = 0x184D2204
	lz4Uncompressed     = 1 << 31 // in a block's size
	lz4HasBlockChecksum = 1 << 4  // in FLG
	lz4HasSize          = 1 << 3
	lz4HasChecksum      = 1 << 2
	lz4HasDictionary    = 1 << 0
)

func (f *lz4Frames) Read(p []byte) (int, error) {
	n, err := f.src.Read(p)
	f.pass(p[:n])
	if err == io.EOF && f.within() { //nolint:errorlint // a clean end is io.EOF itself; an error that wraps it is a cut
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (f *lz4Frames) within() bool {
	return f.step != lz4Unknown && (f.step != lz4Start || len(f.gather) > 0)
}

func (f *lz4Frames) pass(p []byte) {
	for len(p) > 0 && f.step != lz4Unknown {
		if f.skip > 0 {
			n := min(f.skip, int64(len(p)))
			f.skip -= n
			p = p[n:]
			if f.skip == 0 {
				f.skipped()
			}
			continue
		}
		if f.step == lz4Flags {
			f.flags = p[0]
			p = p[1:]
			f.step, f.skip = lz4Header, f.headerRest()
			continue
		}
		f.gather = append(f.gather, p[0])
		p = p[1:]
		if len(f.gather) == 4 {
			f.number(binary.LittleEndian.Uint32(f.gather))
			f.gather = f.gather[:0]
		}
	}
}

// headerRest is how long the header is behind FLG.
func (f *lz4Frames) headerRest() int64 {
	rest := int64(2) // BD and HC
	if f.flags&lz4HasSize != 0 {
		rest += 8
	}
	if f.flags&lz4HasDictionary != 0 {
		rest += 4
	}
	return rest
}

// number takes a magic number or the size of a block.
func (f *lz4Frames) number(v uint32) {
	switch {
	case f.step == lz4Start && v == lz4Magic:
		f.step = lz4Flags
	case f.step == lz4Start:
		f.step = lz4Unknown
	case v == 0 && f.flags&lz4HasChecksum != 0:
		f.step, f.skip = lz4Checksum, 4
	case v == 0:
		f.step = lz4Start
	default:
		f.step, f.skip = lz4Data, int64(v&^lz4Uncompressed)
		if f.flags&lz4HasBlockChecksum != 0 {
			f.skip += 4
		}
	}
}

// skipped goes on behind what was skipped.
func (f *lz4Frames) skipped() {
	if f.step == lz4Checksum {
		f.step = lz4Start
		return
	}
	f.step = lz4Size
}
