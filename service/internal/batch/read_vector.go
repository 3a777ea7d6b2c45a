package batch

import (
	"encoding/binary"
	"math"

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
	if s.lane == laneBytes || s.lane == laneList {
		v.offsets = make([]byte, 4)
	}
	for i := range s.children {
		v.children = append(v.children, newVector(&s.children[i]))
	}
	return v
}

// reset empties v and keeps its memory.
func (v *vector) reset() {
	v.n, v.nulls = 0, 0
	v.validity, v.data, v.nanos = v.validity[:0], v.data[:0], v.nanos[:0]
	v.offsets = v.offsets[:min(4, len(v.offsets))]
	for i := range v.children {
		v.children[i].reset()
	}
}

// fresh is an empty vector with memory of its own, as much as v uses now: the next message is likely to be as large.
func (v *vector) fresh() vector {
	room := func(b []byte) []byte {
		if len(b) == 0 {
			return nil
		}
		return make([]byte, 0, len(b)+len(b)/8)
	}
	f := vector{validity: room(v.validity), data: room(v.data), nanos: room(v.nanos)}
	if len(v.offsets) > 0 {
		f.offsets = append(room(v.offsets), 0, 0, 0, 0)
	}
	if len(v.children) > 0 {
		f.children = make([]vector, len(v.children))
	}
	for i := range v.children {
		f.children[i] = v.children[i].fresh()
	}
	return f
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

// size is how many body bytes the n rows from row from take in shape s, every buffer rounded up to 8, plus perBuffer for
// each: never less than what they come to, also when ranges are summed up, and little more.
func (v *vector) size(s *shape, from, n, perBuffer int) int {
	total := perBuffer*s.ownBuffers() + pad8((n+7)/8)
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

// appendRows appends rows [from, from+n) of src, which has shape have, to v, which has shape want. The two shapes may
// differ in how timestamps are counted and in nothing else; the values must fit (see stampFits).
func (v *vector) appendRows(want *shape, src *vector, have *shape, from, n int) {
	if n == 0 {
		return
	}
	switch {
	case want.stamp != have.stamp:
		v.appendStamps(want.stamp, src, have.stamp, from, n)
	case want.lane == laneBits:
		v.data = appendBits(v.data, v.n, src.data, from, n)
	case want.lane == laneFixed:
		v.data = append(v.data, src.data[from*want.width:(from+n)*want.width]...)
	case want.lane == lanePair:
		v.data = append(v.data, src.data[8*from:8*(from+n)]...)
		v.nanos = append(v.nanos, src.nanos[4*from:4*(from+n)]...)
	case want.lane == laneBytes:
		a, b := src.offset(from), src.offset(from+n)
		v.appendOffsets(src, from, n, len(v.data))
		v.data = append(v.data, src.data[a:b]...)
	case want.lane == laneList:
		a, b := src.offset(from), src.offset(from+n)
		v.appendOffsets(src, from, n, v.children[0].n)
		v.children[0].appendRows(&want.children[0], &src.children[0], &have.children[0], a, b-a)
	case want.lane == laneStruct:
		for i := range v.children {
			v.children[i].appendRows(&want.children[i], &src.children[i], &have.children[i], from, n)
		}
	}
	v.appendValidity(src, from, n)
}

// appendOffsets appends the offsets of src's rows, moved so that the first begins at base.
func (v *vector) appendOffsets(src *vector, from, n, base int) {
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

// appendStamps appends timestamps counted anew; NULL ones become 0.
func (v *vector) appendStamps(want stamp, src *vector, have stamp, from, n int) {
	for i := from; i < from+n; i++ {
		sec, nano := src.stampAt(have, i)
		switch want {
		case stampPair:
			v.data = binary.LittleEndian.AppendUint64(v.data, uint64(sec))
			v.nanos = binary.LittleEndian.AppendUint32(v.nanos, uint32(nano))
		case stampMicros:
			v.data = binary.LittleEndian.AppendUint64(v.data, uint64(sec*1e6+int64(nano)/1e3))
		default:
			ns, _ := joinNanos(sec, nano)
			v.data = binary.LittleEndian.AppendUint64(v.data, uint64(ns))
		}
	}
}

// stampAt is timestamp i as seconds and nanoseconds, 0 for NULL.
func (v *vector) stampAt(have stamp, i int) (sec int64, nano int32) {
	switch {
	case v.null(i):
		return 0, 0
	case have == stampPair:
		return v.int64(i), v.nano(i)
	default:
		return splitNanos(v.int64(i))
	}
}

// stampFits reports whether every timestamp within row i of a column of shape have fits the counting of want.
func (v *vector) stampFits(want, have *shape, i int) bool {
	if v.null(i) {
		return true
	}
	if want.stamp != have.stamp {
		sec, nano := v.stampAt(have.stamp, i)
		switch want.stamp {
		case stampNanos:
			_, ok := joinNanos(sec, nano)
			return ok
		case stampMicros:
			return sec > math.MinInt64/1_000_000+1 && sec < math.MaxInt64/1_000_000-1
		}
		return true
	}
	from, to := i, i+1
	if have.lane == laneList {
		from, to = v.offset(i), v.offset(i+1)
	}
	for c := range have.children {
		for j := from; j < to; j++ {
			if !v.children[c].stampFits(&want.children[c], &have.children[c], j) {
				return false
			}
		}
	}
	return true
}

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
