package batch

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow/bitutil"
)

// vector is the values of one node: Arrow's buffers without Arrow. It is either a view of bytes that belong to someone
// else (of an upstream message) or grown here by appendRows. Which buffers are used depends on the lane:
//
//	laneBits, laneFixed   data
//	laneBytes             offsets, data
//	laneList              offsets, children[0]
//	laneStruct            children
//	lanePair              data (seconds), nanos
//
// validity holds one bit per row, lowest first, set = not NULL; it is nil when no row is NULL.
type vector struct {
	n        int
	nulls    int
	validity []byte
	offsets  []byte // n+1 int32, little-endian; empty counts as all zero
	data     []byte
	nanos    []byte
	children []vector
}

// newVector makes an empty vector for a shape.
func newVector(s *shape) vector {
	v := vector{}
	for i := range s.children {
		v.children = append(v.children, newVector(&s.children[i]))
	}
	return v
}

// reset empties v and keeps its memory.
func (v *vector) reset() {
	v.n, v.nulls = 0, 0
	v.validity, v.offsets, v.data, v.nanos = v.validity[:0], v.offsets[:0], v.data[:0], v.nanos[:0]
	for i := range v.children {
		v.children[i].reset()
	}
}

func (v *vector) null(i int) bool { return v.nulls > 0 && !bitutil.BitIsSet(v.validity, i) }

// offset is where row i begins in the data or in the child; offset(n) is where the last row ends.
func (v *vector) offset(i int) int {
	if len(v.offsets) == 0 {
		return 0
	}
	return int(int32(binary.LittleEndian.Uint32(v.offsets[4*i:])))
}

func (v *vector) bytes(i int) []byte { return v.data[v.offset(i):v.offset(i+1)] }

func (v *vector) int32(i int) int32 { return int32(binary.LittleEndian.Uint32(v.data[4*i:])) }

func (v *vector) int64(i int) int64 { return int64(binary.LittleEndian.Uint64(v.data[8*i:])) }

func (v *vector) nano(i int) int32 { return int32(binary.LittleEndian.Uint32(v.nanos[4*i:])) }

// size is how many body bytes the n rows from row from take, every buffer rounded up to 8, plus perBuffer for each.
// It is exact for laneBits, laneFixed and offsets, and validity is counted wherever the vector has one.
func (v *vector) size(s *shape, from, n, perBuffer int) int {
	total := perBuffer * s.ownBuffers()
	if v.nulls > 0 {
		total += pad8((n + 7) / 8)
	}
	switch s.lane {
	case laneBits:
		total += pad8((n + 7) / 8)
	case laneFixed:
		total += pad8(n * s.width)
	case lanePair:
		total += 8*n + pad8(4*n)
	case laneBytes:
		total += pad8(4*(n+1)) + pad8(v.offset(from+n)-v.offset(from))
	case laneList:
		total += pad8(4 * (n + 1))
		from, n = v.offset(from), v.offset(from+n)-v.offset(from)
	}
	for i := range v.children {
		total += v.children[i].size(&s.children[i], from, n, perBuffer)
	}
	return total
}

func (s *shape) ownBuffers() int {
	b := s.buffers
	for i := range s.children {
		b -= s.children[i].buffers
	}
	return b
}

func pad8(n int) int { return (n + 7) &^ 7 }

// errStampRange is returned by appendRows for a timestamp that int64 nanoseconds cannot hold; row counts from the
// vector's row 0, of the top-level column.
var errStampRange = errors.New("timestamp outside the range of int64 nanoseconds")

// appendRows appends rows [from, from+n) of src, which has shape have, to v, which has shape want. The two shapes may
// differ in how timestamps are counted and in nothing else.
func (v *vector) appendRows(want *shape, src *vector, have *shape, from, n int) error {
	if n == 0 {
		return nil
	}
	if want.stamp != have.stamp {
		if err := v.appendStamps(want.stamp, src, have.stamp, from, n); err != nil {
			return err
		}
		v.appendValidity(src, from, n)
		return nil
	}
	switch want.lane {
	case laneBits:
		v.data = appendBits(v.data, v.n, src.data, from, n)
	case laneFixed:
		v.data = append(v.data, src.data[from*want.width:(from+n)*want.width]...)
	case lanePair:
		v.data = append(v.data, src.data[8*from:8*(from+n)]...)
		v.nanos = append(v.nanos, src.nanos[4*from:4*(from+n)]...)
	case laneBytes:
		a, b := src.offset(from), src.offset(from+n)
		v.appendOffsets(src, from, n, len(v.data))
		v.data = append(v.data, src.data[a:b]...)
	case laneList:
		a, b := src.offset(from), src.offset(from+n)
		v.appendOffsets(src, from, n, v.children[0].n)
		if err := v.children[0].appendRows(&want.children[0], &src.children[0], &have.children[0], a, b-a); err != nil {
			return err
		}
	case laneStruct:
		for i := range v.children {
			if err := v.children[i].appendRows(&want.children[i], &src.children[i], &have.children[i], from, n); err != nil {
				return err
			}
		}
	}
	v.appendValidity(src, from, n)
	return nil
}

// appendOffsets appends the offsets of src's rows, moved so that the first begins at base.
func (v *vector) appendOffsets(src *vector, from, n, base int) {
	if len(v.offsets) == 0 {
		v.offsets = append(v.offsets, 0, 0, 0, 0)
	}
	shift := base - src.offset(from)
	at := len(v.offsets)
	v.offsets = grow(v.offsets, 4*n)
	for i := range n {
		binary.LittleEndian.PutUint32(v.offsets[at+4*i:], uint32(src.offset(from+i+1)+shift))
	}
}

// appendValidity appends src's validity of the rows and counts them: the last step of an append.
func (v *vector) appendValidity(src *vector, from, n int) {
	nulls := 0
	if src.nulls > 0 {
		nulls = n - bitutil.CountSetBits(src.validity, from, n)
	}
	if nulls > 0 && v.nulls == 0 {
		v.validity = appendOnes(v.validity[:0], 0, v.n)
	}
	switch {
	case nulls > 0:
		v.validity = appendBits(v.validity, v.n, src.validity, from, n)
	case v.nulls > 0:
		v.validity = appendOnes(v.validity, v.n, n)
	}
	v.nulls += nulls
	v.n += n
}

// appendStamps appends timestamps counted anew.
func (v *vector) appendStamps(want stamp, src *vector, have stamp, from, n int) error {
	for i := from; i < from+n; i++ {
		var sec int64
		var nano int32
		switch {
		case src.null(i):
		case have == stampPair:
			sec, nano = src.int64(i), src.nano(i)
		default:
			sec, nano = splitNanos(src.int64(i))
		}
		switch want {
		case stampPair:
			v.data = binary.LittleEndian.AppendUint64(v.data, uint64(sec))
			v.nanos = binary.LittleEndian.AppendUint32(v.nanos, uint32(nano))
		case stampMicros:
			v.data = binary.LittleEndian.AppendUint64(v.data, uint64(sec*1e6+int64(nano)/1e3))
		default:
			ns, ok := joinNanos(sec, nano)
			if !ok {
				return stampRangeError(i)
			}
			v.data = binary.LittleEndian.AppendUint64(v.data, uint64(ns))
		}
	}
	return nil
}

type stampRangeError int

func (e stampRangeError) Error() string        { return fmt.Sprintf("value %d: %v", int(e), errStampRange) }
func (e stampRangeError) Is(target error) bool { return target == errStampRange }

// splitNanos is floor division: nanos are never negative.
func splitNanos(ns int64) (sec int64, nano int32) {
	sec = ns / 1e9
	nano = int32(ns - sec*1e9)
	if nano < 0 {
		sec--
		nano += 1e9
	}
	return sec, nano
}

// joinNanos is the inverse; ok is false outside int64, that is about 1677-09-21 to 2262-04-11.
func joinNanos(sec int64, nano int32) (ns int64, ok bool) {
	const most, least = 9223372036, -9223372037
	switch {
	case sec > most || sec < least:
		return 0, false
	case sec == most && nano > 854775807:
		return 0, false
	case sec == least && nano < 145224192:
		return 0, false
	case sec < 0:
		return (sec+1)*1e9 + (int64(nano) - 1e9), true // in this order it does not overflow
	}
	return sec*1e9 + int64(nano), true
}

// grow lengthens b by n bytes whose content does not matter.
func grow(b []byte, n int) []byte {
	if cap(b)-len(b) < n {
		b = append(make([]byte, 0, max(2*cap(b), len(b)+n)), b...)
	}
	return b[:len(b)+n]
}

// appendBits appends n bits of src from bit from to dst, which holds have bits.
func appendBits(dst []byte, have int, src []byte, from, n int) []byte {
	dst = growBits(dst, have, n)
	bitutil.CopyBitmap(src, from, n, dst, have)
	return dst
}

// appendOnes appends n set bits.
func appendOnes(dst []byte, have, n int) []byte {
	dst = growBits(dst, have, n)
	bitutil.SetBitsTo(dst, int64(have), int64(n), true)
	return dst
}

// growBits makes room for n bits after the first have; the new ones are zero.
func growBits(dst []byte, have, n int) []byte {
	old := len(dst)
	want := (have + n + 7) / 8
	if want <= old {
		return dst
	}
	dst = grow(dst, want-old)
	clear(dst[old:])
	return dst
}
