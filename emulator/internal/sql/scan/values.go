//go:build cgo && duckdb_arrow

package scan

import (
	"encoding/binary"
	"fmt"
	"math"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/decimal256"
	"github.com/duckdb/duckdb-go/v2/mapping"

	"github.com/sluice-io/sluice/emulator/internal/types"
)

// ValueError says that a value has no form in DuckDB.
type ValueError struct{ Text string }

func (e *ValueError) Error() string { return e.Text }

const (
	nanosPerSecond = int64(1e9)
	nanosPerMicro  = 1000
	secondsPerDay  = 86400
	maxDigits      = 38 // of a decimal in DuckDB
)

// inlined is the longest text that a string's own 16 bytes hold.
const inlined = 12

// texts writes DuckDB's strings: the length, then either the bytes, zeros behind them, or
// the first four bytes and the address of all.
func (f *filler) texts(t *Table, d arrow.ArrayData) {
	f.width = 16
	offsets, data := view[int32](d, 1), view[byte](d, 2)
	if len(data) > 0 {
		t.pin(&data[0])
	}
	f.values = func(v mapping.Vector, s span, valid mask) error {
		to := slots[[2]uint64](v, s.n)
		for i := range to {
			to[i] = [2]uint64{}
			if valid.has(i) {
				k := f.offset + s.at(i)
				to[i] = text(data, int(offsets[k]), int(offsets[k+1]-offsets[k]))
			}
		}
		return nil
	}
}

func text(data []byte, start, n int) [2]uint64 {
	if n > inlined {
		head := uint64(binary.LittleEndian.Uint32(data[start:]))
		return [2]uint64{uint64(n) | head<<32, uint64(uintptr(unsafe.Pointer(&data[start])))}
	}
	if start+inlined > len(data) { // at the end of the buffer
		var own [inlined]byte
		copy(own[:], data[start:start+n])
		return short(uint64(n), uint64(binary.LittleEndian.Uint32(own[:])), binary.LittleEndian.Uint64(own[4:]))
	}
	head, tail := uint64(binary.LittleEndian.Uint32(data[start:])), binary.LittleEndian.Uint64(data[start+4:])
	if n < 4 {
		head, tail = head&(1<<(8*n)-1), 0
	} else {
		tail &= 1<<(8*(n-4)) - 1
	}
	return short(uint64(n), head, tail)
}

func short(n, head, tail uint64) [2]uint64 { return [2]uint64{n | head<<32, tail} }

// decimals narrows to the integer that DuckDB keeps a decimal of so many digits in.
func (f *filler) decimals(d arrow.ArrayData, typ types.Type) {
	p, s := typ.PrecisionScale()
	if d.DataType().ID() == arrow.DECIMAL256 {
		f.wideDecimals(view[decimal256.Num](d, 1), min(p, maxDigits), s)
		return
	}
	words := view[[2]int64](d, 1)
	switch {
	case p <= 4:
		narrow[int16](f, words)
	case p <= 9:
		narrow[int32](f, words)
	case p <= 18:
		narrow[int64](f, words)
	default:
		f.fixed(d, 16)
	}
}

func narrow[T int16 | int32 | int64](f *filler, words [][2]int64) {
	f.width = int(unsafe.Sizeof(T(0)))
	f.values = func(v mapping.Vector, s span, valid mask) error {
		to := slots[T](v, s.n)
		for i := range to {
			w := words[f.offset+s.at(i)]
			to[i] = T(w[0])
			if (int64(to[i]) != w[0] || w[1] != w[0]>>63) && valid.has(i) {
				return &ValueError{"a decimal has more digits than its type"}
			}
		}
		return nil
	}
}

func (f *filler) wideDecimals(from []decimal256.Num, precision, scale int) {
	f.width = 16
	f.values = func(v mapping.Vector, s span, valid mask) error {
		to := slots[[2]uint64](v, s.n)
		for i := range to {
			number := from[f.offset+s.at(i)]
			if valid.has(i) && !number.FitsInPrecision(int32(precision)) {
				return &ValueError{fmt.Sprintf("a decimal of more than %d digits cannot take part in a query: %s", maxDigits, number.ToString(int32(scale)))}
			}
			words := number.Array()
			to[i] = [2]uint64{words[0], words[1]}
		}
		return nil
	}
}

// timestamps writes microseconds or nanoseconds from nanoseconds or (seconds, nanoseconds).
func (f *filler) timestamps(d arrow.ArrayData, toMicros bool) {
	f.width = 8
	if d.DataType().ID() == arrow.STRUCT {
		secs, nanos := pairs(d)
		f.integers(func(i int) (int64, error) { return joined(secs[f.offset+i], nanos[f.offset+i], toMicros) })
		return
	}
	if !toMicros {
		f.fixed(d, 8)
		return
	}
	from := view[int64](d, 1)
	f.integers(func(i int) (int64, error) {
		v := from[f.offset+i]
		if v%nanosPerMicro != 0 {
			return 0, errTooFine
		}
		return v / nanosPerMicro, nil
	})
}

// integers writes what value returns for each row that is not NULL.
func (f *filler) integers(value func(i int) (int64, error)) {
	f.values = func(v mapping.Vector, s span, valid mask) (err error) {
		to := slots[int64](v, s.n)
		for i := range to {
			if !valid.has(i) {
				continue
			}
			if to[i], err = value(s.at(i)); err != nil {
				return err
			}
		}
		return nil
	}
}

// pairs are the children of an array of (seconds, nanoseconds), row 0 of its buffers first.
func pairs(d arrow.ArrayData) (secs []int64, nanos []int32) {
	s, n := d.Children()[0], d.Children()[1]
	return view[int64](s, 1)[s.Offset():], view[int32](n, 1)[n.Offset():]
}

var errTooFine = &ValueError{"a table holds timestamps outside the years 1677 to 2262 and timestamps finer than a microsecond; SQL cannot work on both at once"}

// errNanos marks a timestamp that int64 nanoseconds cannot hold.
var errNanos = &ValueError{"timestamp outside the years 1677 to 2262"}

// joined is a timestamp as one number.
func joined(sec int64, nano int32, toMicros bool) (int64, error) {
	perSecond, rest := nanosPerSecond, int64(nano)
	if toMicros {
		if nano%nanosPerMicro != 0 {
			return 0, errTooFine
		}
		perSecond, rest = nanosPerSecond/nanosPerMicro, int64(nano)/nanosPerMicro
	}
	if sec < 0 && rest > 0 { // so that the first moment that fits does not overflow on the way
		sec, rest = sec+1, rest-perSecond
	}
	if sec > math.MaxInt64/perSecond || sec < math.MinInt64/perSecond {
		return 0, errNanos
	}
	v := sec * perSecond
	if sum := v + rest; (sum < v) == (rest < 0) {
		return sum, nil
	}
	return 0, errNanos
}

// dayTimes writes structs of seconds and nanoseconds.
func (f *filler) dayTimes(d arrow.ArrayData) {
	if d.DataType().ID() == arrow.STRUCT {
		secs, nanos := &filler{offset: f.offset}, &filler{offset: f.offset}
		for i, field := range []*filler{secs, nanos} {
			child := d.Children()[i]
			field.offset += child.Offset()
			field.fixed(child, []int{8, 4}[i])
		}
		f.fields([]*filler{secs, nanos})
		return
	}
	from := view[arrow.DayTimeInterval](d, 1)
	f.values = func(v mapping.Vector, s span, valid mask) error {
		secs, nanos := mapping.StructVectorGetChild(v, 0), mapping.StructVectorGetChild(v, 1)
		if valid != nil {
			setValidity(secs, valid)
			setValidity(nanos, valid)
		}
		toSecs, toNanos := slots[int64](secs, s.n), slots[int32](nanos, s.n)
		for i := range toSecs {
			x := from[f.offset+s.at(i)]
			whole, rest := x.Milliseconds/1000, x.Milliseconds%1000
			if rest < 0 {
				whole, rest = whole-1, rest+1000
			}
			toSecs[i], toNanos[i] = int64(x.Days)*secondsPerDay+int64(whole), rest*1e6
		}
		return nil
	}
}
