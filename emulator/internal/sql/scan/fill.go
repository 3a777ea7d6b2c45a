//go:build cgo && duckdb_arrow

package scan

import (
	"fmt"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/duckdb/duckdb-go/v2/mapping"

	"github.com/sluice-io/sluice/emulator/internal/types"
)

// vectorSize is the number of rows of a chunk in DuckDB.
var vectorSize = int(mapping.VectorSize())

// span says which rows of an array are wanted: n from a row on, or those listed.
type span struct {
	from, n int
	rows    []int32
}

func (s span) at(i int) int {
	if s.rows != nil {
		return int(s.rows[i])
	}
	return s.from + i
}

// filler copies the values of one array into DuckDB's vectors.
type filler struct {
	// values writes rows of the array to the vector. Where valid says that a row is NULL it
	// may write anything.
	values   func(v mapping.Vector, s span, valid mask) error
	validity []byte // Arrow's bitmap, nil if no value is NULL
	offset   int    // of row 0 in the array's buffers
	width    int    // bytes of a value in a vector, 0 for structs
	one      bool   // row 0 stands for all
}

// mask says of rows whether they hold a value, from bit 0; nil is yes for all.
type mask []byte

func (m mask) has(i int) bool { return m == nil || m[i>>3]>>(i&7)&1 != 0 }

// fill writes rows to the vector of a chunk.
func (f *filler) fill(v mapping.Vector, s span) error {
	if !f.one {
		return f.within(v, s, nil)
	}
	if err := f.within(v, span{n: 1}, nil); err != nil {
		return err
	}
	if f.validity != nil {
		setValidity(v, make(mask, bitutil.BytesForBits(int64(s.n)))) // the only value is NULL
	}
	memory := slots[byte](v, s.n*f.width)
	for done := f.width; done < len(memory); done *= 2 {
		copy(memory[done:], memory[:done])
	}
	return nil
}

// within writes rows, of which those that parent lacks are NULL whatever the array says: in
// DuckDB the fields of a NULL are NULL.
func (f *filler) within(v mapping.Vector, s span, parent mask) error {
	if s.n == 0 {
		return nil
	}
	valid := f.mask(s, parent)
	if valid != nil {
		setValidity(v, valid)
	}
	return f.values(v, s, valid)
}

func (f *filler) mask(s span, parent mask) mask {
	if f.validity == nil {
		return parent
	}
	out := make(mask, bitutil.BytesForBits(int64(s.n)))
	switch at := f.offset + s.from; {
	case s.rows != nil:
		for i, row := range s.rows {
			k := f.offset + int(row)
			out[i>>3] |= f.validity[k>>3] >> (k & 7) & 1 << (i & 7)
		}
	case at%8 == 0:
		copy(out, f.validity[at/8:])
	default:
		bitutil.CopyBitmap(f.validity, at, s.n, out, 0)
	}
	for i, b := range parent {
		out[i] &= b
	}
	return out
}

func setValidity(v mapping.Vector, valid mask) {
	mapping.VectorEnsureValidityWritable(v)
	copy(unsafe.Slice((*byte)(mapping.VectorGetValidity(v)), len(valid)), valid)
}

// slots is the vector's memory as n values of T.
func slots[T any](v mapping.Vector, n int) []T {
	return unsafe.Slice((*T)(mapping.VectorGetData(v)), n)
}

// view is a buffer of Arrow's as values of T.
func view[T any](d arrow.ArrayData, buffer int) []T {
	b := d.Buffers()[buffer]
	if b == nil || b.Len() == 0 {
		return nil
	}
	var t T
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b.Bytes()))), b.Len()/int(unsafe.Sizeof(t)))
}

// newFiller prepares to copy an array of typ, in any layout. The array is the part of its
// buffers that begins at base, its own offset not counted.
func newFiller(t *Table, d arrow.ArrayData, typ types.Type, base int) (*filler, error) {
	f := &filler{offset: base + d.Offset()}
	if bits := view[byte](d, 0); d.NullN() != 0 && bits != nil {
		f.validity = bits
	}
	if id := d.DataType().ID(); id == arrow.NULL || d.Len() == 0 {
		return nil, fmt.Errorf("array of %d values of Arrow type %s", d.Len(), d.DataType())
	}
	switch typ.Kind {
	case types.Boolean:
		f.booleans(d)
	case types.String, types.Char, types.Varchar, types.JSON, types.Binary:
		f.texts(t, d)
	case types.Decimal:
		f.decimals(d, typ)
	case types.Timestamp, types.TimestampNTZ:
		f.timestamps(d, t.Micros)
	case types.IntervalDayTime:
		f.dayTimes(d)
	case types.IntervalYearMonth:
		months := &filler{offset: f.offset}
		months.fixed(d, 4)
		f.fields([]*filler{months})
	case types.Array, types.Map:
		return f, f.lists(t, d, typ)
	case types.Struct:
		return f, f.structs(t, d, typ)
	default:
		f.fixed(d, d.DataType().(arrow.FixedWidthDataType).Bytes())
	}
	return f, nil
}

// fixed copies values that have the same form on both sides.
func (f *filler) fixed(d arrow.ArrayData, width int) {
	switch width {
	case 1:
		same[uint8](f, d)
	case 2:
		same[uint16](f, d)
	case 4:
		same[uint32](f, d)
	case 8:
		same[uint64](f, d)
	default:
		same[[2]uint64](f, d)
	}
}

func same[T any](f *filler, d arrow.ArrayData) {
	var t T
	f.width = int(unsafe.Sizeof(t))
	from := view[T](d, 1)
	f.values = func(v mapping.Vector, s span, _ mask) error {
		to := slots[T](v, s.n)
		if s.rows == nil {
			copy(to, from[f.offset+s.from:])
			return nil
		}
		for i, row := range s.rows {
			to[i] = from[f.offset+int(row)]
		}
		return nil
	}
}

func (f *filler) booleans(d arrow.ArrayData) {
	f.width = 1
	from := view[byte](d, 1)
	f.values = func(v mapping.Vector, s span, _ mask) error {
		to := slots[byte](v, s.n)
		for i := range to {
			k := f.offset + s.at(i)
			to[i] = from[k>>3] >> (k & 7) & 1
		}
		return nil
	}
}

// fields fills a vector of structs from its fields' arrays.
func (f *filler) fields(fields []*filler) {
	f.values = func(v mapping.Vector, s span, valid mask) error {
		for i, field := range fields {
			if err := field.within(mapping.StructVectorGetChild(v, mapping.IdxT(i)), s, valid); err != nil {
				return err
			}
		}
		return nil
	}
}

func (f *filler) structs(t *Table, d arrow.ArrayData, typ types.Type) error {
	fields := make([]*filler, len(typ.Children))
	for i, c := range typ.Children {
		var err error
		if fields[i], err = newFiller(t, d.Children()[i], c.Type, f.offset); err != nil {
			return fmt.Errorf("field %s: %w", c.Name, err)
		}
	}
	f.fields(fields)
	return nil
}

// listEntry is a list in a vector: a part of the vector's child.
type listEntry struct{ offset, length uint64 }

// lists fills a vector of lists; a map is a list of structs of key and value.
func (f *filler) lists(t *Table, d arrow.ArrayData, typ types.Type) error {
	f.width = int(unsafe.Sizeof(listEntry{}))
	offsets, elements := view[int32](d, 1), d.Children()[0]
	var child *filler
	if elements.Len() > 0 {
		elem := types.StructOf(typ.Children...)
		if typ.Kind == types.Array {
			elem = typ.Children[0].Type
		}
		var err error
		if child, err = newFiller(t, elements, elem, 0); err != nil {
			return err
		}
	}
	f.values = func(v mapping.Vector, s span, valid mask) error {
		elements := f.entries(slots[listEntry](v, s.n), offsets, s, valid)
		n := mapping.IdxT(elements.n)
		if mapping.ListVectorReserve(v, n) == mapping.StateError || mapping.ListVectorSetSize(v, n) == mapping.StateError {
			return fmt.Errorf("make room for %d list elements", n)
		}
		if n == 0 {
			return nil
		}
		return child.within(mapping.ListVectorGetChild(v), elements, nil)
	}
	return nil
}

// entries cuts the vector's child into the lists that are wanted, and returns the elements
// that go there.
func (f *filler) entries(to []listEntry, offsets []int32, s span, valid mask) span {
	var elements span
	together := true // the lists lie behind one another
	for i := range to {
		to[i] = listEntry{offset: uint64(elements.n)}
		if !valid.has(i) {
			continue
		}
		start, n := int(offsets[f.offset+s.at(i)]), int(offsets[f.offset+s.at(i)+1]-offsets[f.offset+s.at(i)])
		if elements.n == 0 {
			elements.from = start
		}
		together = together && (n == 0 || start == elements.from+elements.n)
		to[i].length = uint64(n)
		elements.n += n
	}
	if together {
		return elements
	}
	elements.rows = make([]int32, 0, elements.n)
	for i, e := range to {
		for k := range int32(e.length) {
			elements.rows = append(elements.rows, offsets[f.offset+s.at(i)]+k)
		}
	}
	return elements
}
