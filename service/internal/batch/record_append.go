package batch

import (
	"encoding/binary"
	"math"
	"math/big"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/decimal256"

	"github.com/sluice-io/sluice/service/internal/table"
)

// appender adds values of one type, read from scanned record bytes, to its Arrow builder.
type appender struct {
	t    *table.Type
	b    array.Builder
	kids []appender

	floats []float32 // scratch of vector
}

func newAppender(t *table.Type, b array.Builder) appender {
	a := appender{t: t, b: b}
	switch b := b.(type) {
	case *array.ListBuilder:
		a.kids = []appender{newAppender(&t.Children[0].Type, b.ValueBuilder())}
	case *array.MapBuilder:
		a.kids = []appender{newAppender(&t.Children[0].Type, b.KeyBuilder()), newAppender(&t.Children[1].Type, b.ItemBuilder())}
	case *array.StructBuilder:
		if t.Kind != table.KindStruct { // seconds and nanos
			break
		}
		for i := range t.Children {
			a.kids = append(a.kids, newAppender(&t.Children[i].Type, b.FieldBuilder(i)))
		}
	}
	return a
}

// valueReader reads what a scanner has walked before, so nothing can be missing.
type valueReader struct {
	b   []byte
	pos int
}

func (v *valueReader) varint() uint64 {
	if c := v.b[v.pos]; c < 0x80 {
		v.pos++
		return uint64(c)
	}
	u, n := binary.Uvarint(v.b[v.pos:])
	v.pos += n
	return u
}

func (v *valueReader) integer() int64 { return unzigzag(v.varint()) }

func (v *valueReader) bytes() []byte {
	n := int(v.varint())
	v.pos += n
	return v.b[v.pos-n : v.pos]
}

func (v *valueReader) fixed(n int) []byte {
	v.pos += n
	return v.b[v.pos-n : v.pos]
}

// value appends one value that is not NULL; a text says why it does not fit.
func (a *appender) value(v *valueReader) (why string) {
	switch b := a.b.(type) {
	case *array.BooleanBuilder:
		b.Append(v.varint() == 1)
	case *array.Int8Builder:
		n := v.integer()
		b.Append(int8(n))
		return outside(n, math.MinInt8, math.MaxInt8)
	case *array.Int16Builder:
		n := v.integer()
		b.Append(int16(n))
		return outside(n, math.MinInt16, math.MaxInt16)
	case *array.Int32Builder:
		n := v.integer()
		b.Append(int32(n))
		return outside(n, math.MinInt32, math.MaxInt32)
	case *array.Int64Builder:
		b.Append(v.integer())
	case *array.Float32Builder:
		b.Append(math.Float32frombits(binary.LittleEndian.Uint32(v.fixed(4))))
	case *array.Float64Builder:
		b.Append(math.Float64frombits(binary.LittleEndian.Uint64(v.fixed(8))))
	case *array.StringBuilder:
		b.BinaryBuilder.Append(v.bytes())
	case *array.BinaryBuilder:
		b.Append(v.bytes())
	case *array.Date32Builder:
		n := v.integer()
		b.Append(arrow.Date32(n))
		return outside(n, math.MinInt32, math.MaxInt32)
	case *array.Decimal128Builder, *array.Decimal256Builder:
		return a.decimal(v.bytes())
	case *array.TimestampBuilder:
		return a.timestamp(b, v)
	case *array.ListBuilder:
		b.Append(true)
		return a.kids[0].elements(v)
	case *array.MapBuilder:
		b.Append(true)
		if why := a.kids[0].elements(v); why != "" {
			return why
		}
		return a.kids[1].elements(v)
	case *array.StructBuilder:
		return a.structure(b, v)
	}
	return ""
}

func outside(n, least, most int64) string {
	if n < least || n > most {
		return "an integer outside its type"
	}
	return ""
}

func (a *appender) elements(v *valueReader) (why string) {
	n := v.varint()
	if b, ok := a.b.(*array.Float32Builder); ok && a.vector(b, v, int(n)) {
		return ""
	}
	for range n {
		if w := a.element(v); w != "" {
			why = w
		}
	}
	return why
}

// vector appends n floats at once, if none of them is NULL.
func (a *appender) vector(b *array.Float32Builder, v *valueReader, n int) bool {
	if n > (len(v.b)-v.pos)/5 {
		return false
	}
	src := v.b[v.pos : v.pos+5*n]
	a.floats = a.floats[:0]
	for len(src) >= 5 {
		if src[0] != 0 {
			return false
		}
		a.floats = append(a.floats, math.Float32frombits(binary.LittleEndian.Uint32(src[1:])))
		src = src[5:]
	}
	v.pos += 5 * n
	b.AppendValues(a.floats, nil)
	return true
}

func (a *appender) element(v *valueReader) string {
	if v.varint() == 1 {
		a.b.AppendNull()
		return ""
	}
	return a.value(v)
}

func (a *appender) structure(b *array.StructBuilder, v *valueReader) (why string) {
	b.Append(true)
	if a.kids == nil {
		b.FieldBuilder(0).(*array.Int64Builder).Append(v.integer())
		nanos := v.integer()
		b.FieldBuilder(1).(*array.Int32Builder).Append(int32(nanos))
		return outside(nanos, 0, int64(maxNano))
	}
	for i := range a.kids {
		if w := a.kids[i].element(v); w != "" {
			why = w
		}
	}
	return why
}

func (a *appender) timestamp(b *array.TimestampBuilder, v *valueReader) string {
	if a.t.Kind == table.KindDatetime {
		b.Append(arrow.Timestamp(v.integer()))
		return ""
	}
	seconds, nanos := v.integer(), v.integer()
	if why := outside(nanos, 0, int64(maxNano)); why != "" {
		b.Append(0)
		return why
	}
	ns, ok := joinNanos(seconds, int32(nanos))
	b.Append(arrow.Timestamp(ns))
	if !ok {
		return "a timestamp outside 1677 to 2262 does not fit nanoseconds; ask for arrow_timestamp MICROS or STRUCT, or for columns or rows"
	}
	return ""
}

// decimal parses a plain decimal text. Nearly all fit an int64 once their point is taken out.
func (a *appender) decimal(text []byte) string {
	if n, ok := smallDecimal(text, a.t.Scale); ok && (a.t.Precision > 18 || abs(n) < pow10(a.t.Precision).Int64()) {
		a.appendSmall(n)
		return ""
	}
	var z big.Int
	scale, why := parseDecimal(text, &z)
	if why == "" && !rescale(&z, scale, a.t.Scale) {
		why = "a decimal with more digits after the point than its type has"
	}
	if why == "" && z.CmpAbs(pow10(a.t.Precision)) >= 0 {
		why = "a decimal of more digits than its type has"
	}
	if why != "" {
		a.b.AppendNull()
		return why
	}
	switch b := a.b.(type) {
	case *array.Decimal128Builder:
		b.Append(decimal128.FromBigInt(&z))
	case *array.Decimal256Builder:
		b.Append(decimal256.FromBigInt(&z))
	}
	return ""
}

func abs(n int64) int64 {
	if n < 0 {
		return -n
	}
	return n
}

func (a *appender) appendSmall(n int64) {
	switch b := a.b.(type) {
	case *array.Decimal128Builder:
		b.Append(decimal128.FromI64(n))
	case *array.Decimal256Builder:
		b.Append(decimal256.FromI64(n))
	}
}

// smallDecimal is text as an unscaled int64, if it is plain and short enough.
func smallDecimal(text []byte, scale int) (n int64, ok bool) {
	whole, fraction := text, 0
	for i, c := range text {
		if c == '.' {
			fraction = len(text) - i - 1
			whole = nil
		}
	}
	if len(text)+scale-fraction > 17 || fraction > scale {
		return 0, false
	}
	if whole != nil {
		n, err := strconv.ParseInt(textOf(text), 10, 64)
		if err != nil {
			return 0, false
		}
		return n * pow10(scale).Int64(), true
	}
	var room [20]byte
	plain := append(append(room[:0], text[:len(text)-fraction-1]...), text[len(text)-fraction:]...)
	n, err := strconv.ParseInt(string(plain), 10, 64)
	if err != nil {
		return 0, false
	}
	return n * pow10(scale-fraction).Int64(), true
}
