package wire

import (
	"fmt"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/sluice-io/sluice/emulator/internal/types"
)

const (
	nanosPerSecond = 1_000_000_000
	secondsPerDay  = 86400
)

// Convert returns rec, whose columns are cols in layout from, in layout to. Columns
// whose form is the same are shared. A value the wanted form cannot hold is
// ErrRange, naming the column and the row in rec. The caller releases the result;
// rec stays the caller's.
func Convert(rec arrow.RecordBatch, cols []Column, from, to types.Layout) (arrow.RecordBatch, error) {
	out := make([]arrow.Array, len(cols))
	defer func() {
		for _, a := range out {
			if a != nil {
				a.Release()
			}
		}
	}()
	for i, c := range cols {
		d, err := convertData(rec.Column(i).Data(), c.Type, from, to)
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", c.Name, err)
		}
		out[i] = array.MakeFromData(d)
		d.Release()
	}
	return array.NewRecordBatch(ArrowSchema(cols, to), out, rec.NumRows()), nil
}

// SameForm reports whether t has the same Arrow form in both layouts.
func SameForm(t types.Type, a, b types.Layout) bool {
	return a == b || !t.VariesByLayout() || arrow.TypeEqual(t.Arrow(a), t.Arrow(b))
}

func convertData(d arrow.ArrayData, t types.Type, from, to types.Layout) (arrow.ArrayData, error) {
	if SameForm(t, from, to) {
		d.Retain()
		return d, nil
	}
	switch t.Kind {
	case types.Timestamp, types.TimestampNTZ:
		if to == types.LayoutWide {
			return nanosToPairs(d), nil
		}
		return pairsToNanos(d, t.Arrow(to))
	case types.IntervalDayTime:
		if to == types.LayoutDayTime {
			return pairsToDayTime(d)
		}
		return dayTimeToPairs(d), nil
	}
	return convertNested(d, t, from, to)
}

// convertNested converts the part of the children that d refers to: what lies
// outside a slice is not this batch's to judge.
func convertNested(d arrow.ArrayData, t types.Type, from, to types.Layout) (arrow.ArrayData, error) {
	kids := make([]types.Type, len(d.Children()))
	for i := range kids {
		if t.Kind == types.Map {
			kids[i] = types.StructOf(t.Children...)
		} else {
			kids[i] = t.Children[i].Type
		}
	}
	first, last := d.Offset(), d.Offset()+d.Len()
	bufs := []*memory.Buffer{validity(d)}
	if t.Kind != types.Struct {
		var offsets []int32
		offsets, first, last = rebase(d)
		bufs = append(bufs, memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(offsets)))
	}
	out := make([]arrow.ArrayData, 0, len(kids))
	defer func() {
		for _, k := range out {
			k.Release()
		}
	}()
	for i, k := range d.Children() {
		part := array.NewSliceData(k, int64(first), int64(last))
		c, err := convertData(part, kids[i], from, to)
		part.Release()
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	want := t.Arrow(to)
	if t.Kind == types.Struct {
		want = structLike(d.DataType().(*arrow.StructType), out)
	}
	return array.NewData(want, d.Len(), bufs, out, d.NullN(), 0), nil
}

// rebase returns the offsets of a list or map array moved to start at 0, and the
// range of its child they covered.
func rebase(d arrow.ArrayData) (offsets []int32, first, last int) {
	offsets = make([]int32, d.Len()+1)
	if d.Len() == 0 {
		return offsets, 0, 0
	}
	old := arrow.Int32Traits.CastFromBytes(d.Buffers()[1].Bytes())[d.Offset():][:d.Len()+1]
	for i, o := range old {
		offsets[i] = o - old[0]
	}
	return offsets, int(old[0]), int(old[d.Len()])
}

// structLike keeps names and nullability of st over the children's new types: the
// entries of a MAP have key and value fields of their own flags.
func structLike(st *arrow.StructType, children []arrow.ArrayData) arrow.DataType {
	fields := make([]arrow.Field, st.NumFields())
	for i, f := range st.Fields() {
		f.Type = children[i].DataType()
		fields[i] = f
	}
	return arrow.StructOf(fields...)
}

// validity returns d's bitmap moved to bit 0, nil when nothing is NULL.
func validity(d arrow.ArrayData) *memory.Buffer {
	if d.NullN() == 0 || d.Buffers()[0] == nil {
		return nil
	}
	src := d.Buffers()[0].Bytes()
	if d.Offset() == 0 {
		return memory.NewBufferBytes(src[:bitutil.BytesForBits(int64(d.Len()))])
	}
	dst := make([]byte, bitutil.BytesForBits(int64(d.Len())))
	bitutil.CopyBitmap(src, d.Offset(), d.Len(), dst, 0)
	return memory.NewBufferBytes(dst)
}

func isValid(d arrow.ArrayData, i int) bool {
	if d.NullN() == 0 || d.Buffers()[0] == nil {
		return true
	}
	return bitutil.BitIsSet(d.Buffers()[0].Bytes(), d.Offset()+i)
}

// newPairs builds struct<sec,nano>. The children share the pair's validity, so that
// the same values are the same arrays wherever they come from.
func newPairs(d arrow.ArrayData, secs []int64, nanos []int32) arrow.ArrayData {
	valid := validity(d)
	child := func(t arrow.DataType, values []byte) arrow.ArrayData {
		return array.NewData(t, d.Len(), []*memory.Buffer{valid, memory.NewBufferBytes(values)}, nil, d.NullN(), 0)
	}
	s := child(arrow.PrimitiveTypes.Int64, arrow.Int64Traits.CastToBytes(secs))
	n := child(arrow.PrimitiveTypes.Int32, arrow.Int32Traits.CastToBytes(nanos))
	defer s.Release()
	defer n.Release()
	return array.NewData(types.SecNano, d.Len(), []*memory.Buffer{valid}, []arrow.ArrayData{s, n}, d.NullN(), 0)
}

// pairs gives access to a struct<sec,nano> array, as long as that lives.
type pairs struct {
	secs  []int64
	nanos []int32
}

func pairsOf(d arrow.ArrayData) pairs {
	s, n := array.NewInt64Data(d.Children()[0]), array.NewInt32Data(d.Children()[1])
	defer s.Release()
	defer n.Release()
	return pairs{secs: s.Int64Values()[d.Offset():][:d.Len()], nanos: n.Int32Values()[d.Offset():][:d.Len()]}
}

func splitNanos(v int64) (int64, int32) {
	s, n := v/nanosPerSecond, v%nanosPerSecond
	if n < 0 {
		s, n = s-1, n+nanosPerSecond
	}
	return s, int32(n)
}

// joinNanos reports false when the instant is outside int64 nanoseconds.
func joinNanos(sec int64, nano int32) (int64, bool) {
	const lowest = math.MinInt64/nanosPerSecond - 1 // floor of the smallest value's seconds
	if sec < lowest || sec > math.MaxInt64/nanosPerSecond {
		return 0, false
	}
	if sec == lowest { // sec*1e9 itself overflows
		v := (sec+1)*nanosPerSecond + int64(nano) - nanosPerSecond
		return v, v < 0
	}
	v := sec*nanosPerSecond + int64(nano)
	return v, sec < 0 || v >= 0
}

func nanosToPairs(d arrow.ArrayData) arrow.ArrayData {
	in := array.NewTimestampData(d)
	defer in.Release()
	secs, nanos := make([]int64, d.Len()), make([]int32, d.Len())
	for i, v := range in.TimestampValues() {
		secs[i], nanos[i] = splitNanos(int64(v))
	}
	return newPairs(d, secs, nanos)
}

func pairsToNanos(d arrow.ArrayData, want arrow.DataType) (arrow.ArrayData, error) {
	in := pairsOf(d)
	out := make([]int64, d.Len())
	for i := range out {
		if !isValid(d, i) {
			continue
		}
		v, ok := joinNanos(in.secs[i], in.nanos[i])
		if !ok {
			return nil, fmt.Errorf("row %d: second %d since the epoch: %w", i, in.secs[i], ErrRange)
		}
		out[i] = v
	}
	buf := memory.NewBufferBytes(arrow.Int64Traits.CastToBytes(out))
	return array.NewData(want, d.Len(), []*memory.Buffer{validity(d), buf}, nil, d.NullN(), 0), nil
}

func dayTimeToPairs(d arrow.ArrayData) arrow.ArrayData {
	in := array.NewDayTimeIntervalData(d)
	defer in.Release()
	secs, nanos := make([]int64, d.Len()), make([]int32, d.Len())
	for i, v := range in.DayTimeIntervalValues() {
		secs[i], nanos[i] = dayTimePair(v)
	}
	return newPairs(d, secs, nanos)
}

func dayTimePair(v arrow.DayTimeInterval) (sec int64, nano int32) {
	ms := int64(v.Milliseconds)
	s, rest := ms/1000, ms%1000
	if rest < 0 {
		s, rest = s-1, rest+1000
	}
	return int64(v.Days)*secondsPerDay + s, int32(rest * 1_000_000)
}

func pairsToDayTime(d arrow.ArrayData) (arrow.ArrayData, error) {
	in := pairsOf(d)
	out := make([]arrow.DayTimeInterval, d.Len())
	for i := range out {
		if !isValid(d, i) {
			continue
		}
		days, ms := in.secs[i]/secondsPerDay, in.secs[i]%secondsPerDay*1000+int64(in.nanos[i]/1_000_000)
		if days != int64(int32(days)) || in.nanos[i]%1_000_000 != 0 {
			return nil, fmt.Errorf("row %d: interval of %d s %d ns: %w", i, in.secs[i], in.nanos[i], ErrRange)
		}
		out[i] = arrow.DayTimeInterval{Days: int32(days), Milliseconds: int32(ms)}
	}
	buf := memory.NewBufferBytes(arrow.DayTimeIntervalTraits.CastToBytes(out))
	return array.NewData(arrow.FixedWidthTypes.DayTimeInterval, d.Len(), []*memory.Buffer{validity(d), buf}, nil, d.NullN(), 0), nil
}
