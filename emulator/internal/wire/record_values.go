package wire

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/big"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/decimal256"

	"github.com/sluice-io/sluice/emulator/internal/types"
)

// newValueReader binds a type to its builder, which has the LayoutWide form.
func newValueReader(t types.Type, b array.Builder) valueReader {
	switch b := b.(type) {
	case *array.BooleanBuilder:
		return boolReader{b}
	case *array.Int8Builder:
		return intReader[int8]{b, math.MinInt8, math.MaxInt8}
	case *array.Int16Builder:
		return intReader[int16]{b, math.MinInt16, math.MaxInt16}
	case *array.Int32Builder:
		return intReader[int32]{b, math.MinInt32, math.MaxInt32}
	case *array.Int64Builder:
		return intReader[int64]{b, math.MinInt64, math.MaxInt64}
	case *array.MonthIntervalBuilder:
		return intReader[arrow.MonthInterval]{b, math.MinInt32, math.MaxInt32}
	case *array.Date32Builder:
		return intReader[arrow.Date32]{b, math.MinInt32, math.MaxInt32}
	case *array.TimestampBuilder:
		return intReader[arrow.Timestamp]{b, math.MinInt64, math.MaxInt64}
	case *array.Float32Builder:
		return float32Reader{b}
	case *array.Float64Builder:
		return float64Reader{b}
	case *array.StringBuilder:
		return bytesReader{b.BinaryBuilder}
	case *array.BinaryBuilder:
		return bytesReader{b}
	case *array.Decimal128Builder, *array.Decimal256Builder:
		p, s := t.PrecisionScale()
		return decimalReader{b, p, s}
	case *array.MapBuilder:
		return mapReader{b, newValueReader(t.Children[0].Type, b.KeyBuilder()), newValueReader(t.Children[1].Type, b.ItemBuilder())}
	case *array.ListBuilder:
		return listReader{b, newValueReader(t.Children[0].Type, b.ValueBuilder())}
	case *array.StructBuilder:
		if t.Kind != types.Struct {
			return pairReader{b, b.FieldBuilder(0).(*array.Int64Builder), b.FieldBuilder(1).(*array.Int32Builder)}
		}
		s := structReader{b: b, width: 16 * shapeOf(t, types.LayoutWide).nodes()}
		for i, c := range t.Children {
			s.fields = append(s.fields, newValueReader(c.Type, b.FieldBuilder(i)))
		}
		return s
	}
	panic(fmt.Sprintf("no record form for %s", t)) // types.Parse admits no such type
}

type boolReader struct{ b *array.BooleanBuilder }

func (v boolReader) null(r *RecordReader) { v.b.AppendNull(); r.cost++ }
func (v boolReader) read(r *RecordReader) error {
	u, err := r.uvarint()
	if err != nil {
		return err
	}
	if u > 1 {
		return fmt.Errorf("%w: BOOLEAN %d", ErrMalformed, u)
	}
	r.crc = append(r.crc, byte(u))
	v.b.Append(u == 1)
	return r.spend(1)
}

type intBuilder[T any] interface {
	Append(T)
	AppendNull()
}

type intReader[T ~int8 | ~int16 | ~int32 | ~int64] struct {
	b         intBuilder[T]
	low, high int64
}

func (v intReader[T]) null(r *RecordReader) { v.b.AppendNull(); r.cost += 8 }
func (v intReader[T]) read(r *RecordReader) error {
	n, err := r.integer(v.low, v.high)
	if err == nil {
		v.b.Append(T(n))
	}
	return err
}

type float32Reader struct{ b *array.Float32Builder }

func (v float32Reader) null(r *RecordReader) { v.b.AppendNull(); r.cost += 4 }
func (v float32Reader) read(r *RecordReader) error {
	p, err := r.take(4)
	if err != nil {
		return err
	}
	r.crc = append(r.crc, p...)
	v.b.Append(math.Float32frombits(binary.LittleEndian.Uint32(p)))
	return r.spend(4)
}

type float64Reader struct{ b *array.Float64Builder }

func (v float64Reader) null(r *RecordReader) { v.b.AppendNull(); r.cost += 8 }
func (v float64Reader) read(r *RecordReader) error {
	p, err := r.take(8)
	if err != nil {
		return err
	}
	r.crc = append(r.crc, p...)
	v.b.Append(math.Float64frombits(binary.LittleEndian.Uint64(p)))
	return r.spend(8)
}

type bytesReader struct{ b *array.BinaryBuilder }

func (v bytesReader) null(r *RecordReader) { v.b.AppendNull(); r.cost += 4 }
func (v bytesReader) read(r *RecordReader) error {
	p, err := r.text()
	if err == nil {
		v.b.Append(p)
	}
	return err
}

type decimalReader struct {
	b                array.Builder
	precision, scale int
}

func (v decimalReader) null(r *RecordReader) { v.b.AppendNull(); r.cost += 32 }
func (v decimalReader) read(r *RecordReader) error {
	text, err := r.text()
	if err != nil {
		return err
	}
	if n, ok := parseSmallDecimal(text, v.precision, v.scale); ok {
		switch b := v.b.(type) {
		case *array.Decimal128Builder:
			b.Append(decimal128.FromI64(n))
		case *array.Decimal256Builder:
			b.Append(decimal256.FromI64(n))
		}
		return r.spend(32)
	}
	n, err := parseDecimal(text, v.precision, v.scale)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	v.append(n)
	return r.spend(32)
}

func (v decimalReader) append(n *big.Int) {
	switch b := v.b.(type) {
	case *array.Decimal128Builder:
		b.Append(decimal128.FromBigInt(n))
	case *array.Decimal256Builder:
		b.Append(decimal256.FromBigInt(n))
	}
}

type pairReader struct {
	b     *array.StructBuilder
	secs  *array.Int64Builder
	nanos *array.Int32Builder
}

func (v pairReader) null(r *RecordReader) { v.b.AppendNull(); r.cost += 12 }
func (v pairReader) read(r *RecordReader) error {
	s, n, err := r.pair()
	if err != nil {
		return err
	}
	v.b.Append(true)
	v.secs.Append(s)
	v.nanos.Append(n)
	return nil
}

// elements reads a count and that many values, each behind its NULL marker.
func (r *RecordReader) elements(v valueReader, nullable bool) (uint64, error) {
	n, err := r.uvarint()
	if err != nil {
		return 0, err
	}
	for range n {
		if err := r.element(v, nullable); err != nil {
			return 0, err
		}
	}
	return n, nil
}

func (r *RecordReader) element(v valueReader, nullable bool) error {
	null, err := r.flag()
	if err != nil {
		return err
	}
	if !null {
		return v.read(r)
	}
	if !nullable {
		return fmt.Errorf("%w: NULL key of a MAP", ErrMalformed)
	}
	before := r.cost
	v.null(r)
	cost := r.cost - before + 1
	r.cost = before
	return r.spend(cost)
}

type listReader struct {
	b    *array.ListBuilder
	elem valueReader
}

func (v listReader) null(r *RecordReader) { v.b.AppendNull(); r.cost += 4 }
func (v listReader) read(r *RecordReader) error {
	v.b.Append(true)
	if _, err := r.elements(v.elem, true); err != nil {
		return err
	}
	return r.spend(4)
}

type mapReader struct {
	b          *array.MapBuilder
	key, value valueReader
}

func (v mapReader) null(r *RecordReader) { v.b.AppendNull(); r.cost += 4 }
func (v mapReader) read(r *RecordReader) error {
	v.b.Append(true)
	keys, err := r.elements(v.key, false)
	if err != nil {
		return err
	}
	values, err := r.elements(v.value, true)
	if err != nil {
		return err
	}
	if keys != values {
		return fmt.Errorf("%w: MAP of %d keys and %d values", ErrMalformed, keys, values)
	}
	return r.spend(4)
}

type structReader struct {
	b      *array.StructBuilder
	fields []valueReader
	width  int // what a NULL costs: every child takes one, at any depth
}

func (v structReader) null(r *RecordReader) { v.b.AppendNull(); r.cost += v.width }
func (v structReader) read(r *RecordReader) error {
	v.b.Append(true)
	for _, f := range v.fields {
		if err := r.element(f, true); err != nil {
			return err
		}
	}
	return nil
}
