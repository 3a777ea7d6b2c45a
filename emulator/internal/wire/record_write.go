package wire

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/sluice-io/sluice/emulator/internal/types"
)

// flushAt is the size at which the writer hands its buffer on.
const flushAt = 128 << 10

// Wire types in tags; decoders ignore them, the SDKs write these. Frozen.
const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
	wireFixed32 = 5
)

// RecordWriter encodes Arrow batches as a record stream. The position of a column
// in the batch is its field number. It allocates per batch, not per row. Close
// writes the trailer; a stream without it is a failed one, so do not call it after
// an error.
type RecordWriter struct {
	dst  io.Writer
	cols []Column
	out  []byte
	crc  []byte
	all  uint32
	rows int64
}

// NewRecordWriter writes rows of cols to dst in pieces of about 128 KiB.
func NewRecordWriter(dst io.Writer, cols []Column) *RecordWriter {
	return &RecordWriter{dst: dst, cols: cols, out: make([]byte, 0, flushAt+flushAt/4)}
}

// cell encodes the values of one array. put writes the value of a row that is not
// NULL, without a tag.
type cell interface {
	put(w *RecordWriter, row int)
}

type column struct {
	cell
	tag   uint64
	array arrow.Array
}

// Write appends the rows of rec, whose columns are those of the writer in any
// layout.
func (w *RecordWriter) Write(rec arrow.RecordBatch) error {
	cols := make([]column, len(w.cols))
	for i := range cols {
		a := rec.Column(i)
		c, kind, err := newCell(w.cols[i].Type, a)
		if err != nil {
			return fmt.Errorf("column %s: %w", rec.ColumnName(i), err)
		}
		cols[i] = column{cell: c, tag: uint64(i+1)<<3 | kind, array: a}
	}
	for row := range int(rec.NumRows()) {
		w.record(cols, row)
		if len(w.out) >= flushAt {
			if err := w.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *RecordWriter) record(cols []column, row int) {
	w.crc = w.crc[:0]
	for i := range cols {
		c := &cols[i]
		if c.array.IsNull(row) {
			continue
		}
		w.crc = binary.LittleEndian.AppendUint32(w.crc, uint32(i+1))
		w.out = binary.AppendUvarint(w.out, c.tag)
		c.put(w, row)
	}
	sum := CRC(0, w.crc)
	w.out = binary.AppendUvarint(w.out, fieldEnd<<3)
	w.out = binary.AppendUvarint(w.out, uint64(sum))
	w.all = CRC(w.all, binary.LittleEndian.AppendUint32(w.crc[:0], sum))
	w.rows++
}

func (w *RecordWriter) flush() error {
	_, err := w.dst.Write(w.out)
	w.out = w.out[:0]
	if err != nil {
		return fmt.Errorf("write records: %w", err)
	}
	return nil
}

// Close writes the trailer.
func (w *RecordWriter) Close() error {
	w.out = binary.AppendUvarint(w.out, fieldCount<<3)
	w.out = binary.AppendVarint(w.out, w.rows)
	w.out = binary.AppendUvarint(w.out, fieldChecksum<<3)
	w.out = binary.AppendUvarint(w.out, uint64(w.all))
	return w.flush()
}

func (w *RecordWriter) integer(v int64) {
	w.out = binary.AppendVarint(w.out, v)
	w.crc = binary.LittleEndian.AppendUint64(w.crc, uint64(v))
}

func (w *RecordWriter) pair(sec int64, nano int32) {
	w.out = binary.AppendVarint(w.out, sec)
	w.out = binary.AppendVarint(w.out, int64(nano))
	w.crc = binary.LittleEndian.AppendUint64(w.crc, uint64(sec))
	w.crc = binary.LittleEndian.AppendUint32(w.crc, uint32(nano))
}

func (w *RecordWriter) bytes(p []byte) {
	w.out = append(binary.AppendUvarint(w.out, uint64(len(p))), p...)
	w.crc = append(w.crc, p...)
}

// element writes a value behind its NULL marker.
func (w *RecordWriter) element(c cell, a arrow.Array, row int) {
	if a.IsNull(row) {
		w.out = append(w.out, 1)
		return
	}
	w.out = append(w.out, 0)
	c.put(w, row)
}

// newCell binds an array to its encoder and tells the wire type of its tag.
func newCell(t types.Type, a arrow.Array) (cell, uint64, error) {
	switch a := a.(type) {
	case *array.Boolean:
		return boolCell{a}, wireVarint, nil
	case *array.Int8:
		return intCell[int8](a.Int8Values()), wireVarint, nil
	case *array.Int16:
		return intCell[int16](a.Int16Values()), wireVarint, nil
	case *array.Int32:
		return intCell[int32](a.Int32Values()), wireVarint, nil
	case *array.Int64:
		return intCell[int64](a.Int64Values()), wireVarint, nil
	case *array.Date32:
		return intCell[arrow.Date32](a.Date32Values()), wireVarint, nil
	case *array.MonthInterval:
		return intCell[arrow.MonthInterval](a.Values()), wireVarint, nil
	case *array.Float32:
		return float32Cell(a.Float32Values()), wireFixed32, nil
	case *array.Float64:
		return float64Cell(a.Float64Values()), wireFixed64, nil
	case *array.String:
		return textCell{a}, wireBytes, nil
	case *array.Binary:
		return binaryCell{a}, wireBytes, nil
	case *array.Decimal128:
		return decimal128Cell{a, int(a.DataType().(*arrow.Decimal128Type).Scale)}, wireBytes, nil
	case *array.Decimal256:
		return decimal256Cell{a, int(a.DataType().(*arrow.Decimal256Type).Scale)}, wireBytes, nil
	case *array.Timestamp:
		if a.DataType().(*arrow.TimestampType).Unit == arrow.Millisecond {
			return intCell[arrow.Timestamp](a.TimestampValues()), wireVarint, nil
		}
		return nanosCell(a.TimestampValues()), wireBytes, nil
	case *array.DayTimeInterval:
		return dayTimeCell(a.DayTimeIntervalValues()), wireBytes, nil
	}
	c, err := newNestedCell(t, a)
	return c, wireBytes, err
}

func newNestedCell(t types.Type, a arrow.Array) (cell, error) {
	switch a := a.(type) {
	case *array.Map:
		keys, _, err := newCell(t.Children[0].Type, a.Keys())
		if err != nil {
			return nil, err
		}
		items, _, err := newCell(t.Children[1].Type, a.Items())
		return mapCell{a, keys, items}, err
	case *array.List:
		elem, _, err := newCell(t.Children[0].Type, a.ListValues())
		return listCell{a, elem}, err
	case *array.Struct:
		if t.Kind != types.Struct {
			return pairCell{a.Field(0).(*array.Int64).Int64Values(), a.Field(1).(*array.Int32).Int32Values()}, nil
		}
		s := structCell{a: a}
		for i := range a.NumField() {
			c, _, err := newCell(t.Children[i].Type, a.Field(i))
			if err != nil {
				return nil, err
			}
			s.fields = append(s.fields, c)
		}
		return s, nil
	}
	return nil, fmt.Errorf("no record form for Arrow type %s", a.DataType())
}

type boolCell struct{ a *array.Boolean }

func (c boolCell) put(w *RecordWriter, row int) {
	b := byte(0)
	if c.a.Value(row) {
		b = 1
	}
	w.out = append(w.out, b)
	w.crc = append(w.crc, b)
}

type intCell[T ~int8 | ~int16 | ~int32 | ~int64] []T

func (c intCell[T]) put(w *RecordWriter, row int) { w.integer(int64(c[row])) }

type float32Cell []float32

func (c float32Cell) put(w *RecordWriter, row int) {
	v := math.Float32bits(c[row])
	w.out = binary.LittleEndian.AppendUint32(w.out, v)
	w.crc = binary.LittleEndian.AppendUint32(w.crc, v)
}

type float64Cell []float64

func (c float64Cell) put(w *RecordWriter, row int) {
	v := math.Float64bits(c[row])
	w.out = binary.LittleEndian.AppendUint64(w.out, v)
	w.crc = binary.LittleEndian.AppendUint64(w.crc, v)
}

type textCell struct{ a *array.String }

func (c textCell) put(w *RecordWriter, row int) {
	s := c.a.Value(row)
	w.out = append(binary.AppendUvarint(w.out, uint64(len(s))), s...)
	w.crc = append(w.crc, s...)
}

type binaryCell struct{ a *array.Binary }

func (c binaryCell) put(w *RecordWriter, row int) { w.bytes(c.a.Value(row)) }

type decimal128Cell struct {
	a     *array.Decimal128
	scale int
}

func (c decimal128Cell) put(w *RecordWriter, row int) {
	v := c.a.Value(row)
	var text [64]byte
	if low := int64(v.LowBits()); v.HighBits() == low>>63 {
		w.bytes(appendDecimal(text[:0], low, c.scale))
		return
	}
	w.bytes(appendBigDecimal(text[:0], v.BigInt(), c.scale))
}

type decimal256Cell struct {
	a     *array.Decimal256
	scale int
}

func (c decimal256Cell) put(w *RecordWriter, row int) {
	var text [96]byte
	w.bytes(appendBigDecimal(text[:0], c.a.Value(row).BigInt(), c.scale))
}

type nanosCell []arrow.Timestamp

func (c nanosCell) put(w *RecordWriter, row int) { w.pair(splitNanos(int64(c[row]))) }

type dayTimeCell []arrow.DayTimeInterval

func (c dayTimeCell) put(w *RecordWriter, row int) { w.pair(dayTimePair(c[row])) }

type pairCell struct {
	secs  []int64
	nanos []int32
}

func (c pairCell) put(w *RecordWriter, row int) { w.pair(c.secs[row], c.nanos[row]) }

type listCell struct {
	a    *array.List
	elem cell
}

func (c listCell) put(w *RecordWriter, row int) {
	from, to := c.a.ValueOffsets(row)
	w.span(c.elem, c.a.ListValues(), from, to)
}

// span writes a counted run of elements.
func (w *RecordWriter) span(c cell, a arrow.Array, from, to int64) {
	w.out = binary.AppendUvarint(w.out, uint64(to-from))
	for i := from; i < to; i++ {
		w.element(c, a, int(i))
	}
}

type mapCell struct {
	a           *array.Map
	keys, items cell
}

func (c mapCell) put(w *RecordWriter, row int) {
	from, to := c.a.ValueOffsets(row)
	w.span(c.keys, c.a.Keys(), from, to)
	w.span(c.items, c.a.Items(), from, to)
}

type structCell struct {
	a      *array.Struct
	fields []cell
}

func (c structCell) put(w *RecordWriter, row int) {
	for i, f := range c.fields {
		w.element(f, c.a.Field(i), row)
	}
}
