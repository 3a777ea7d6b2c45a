package client

import (
	"encoding/binary"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/decimal256"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// columnBuffer grows one column of a batch in Arrow's memory layout, without an interface call per value.
//
//	fixed width   data: width bytes a value          boolean  data: one bit a value
//	string        offsets: n+1 int32, data: bytes    list     offsets: n+1 int32, child
//	other nested  builder
type columnBuffer struct {
	typ       arrow.DataType
	id        arrow.Type
	width     int // bytes of a fixed-width value
	unit      arrow.TimeUnit
	local     bool // a timestamp without zone
	precision int32
	scale     int32

	n       int
	nulls   int
	valid   []byte // bitmap, nil while there is no NULL
	data    []byte
	offsets []int32
	child   *columnBuffer
	builder array.Builder
	pending any  // a value for the builder, until its row ends
	waiting bool // there is one
}

func newColumnBuffer(t arrow.DataType, alloc memory.Allocator) *columnBuffer {
	c := &columnBuffer{typ: t, id: t.ID()}
	switch t := t.(type) {
	case *arrow.TimestampType:
		c.width, c.unit, c.local = 8, t.Unit, t.TimeZone == ""
	case arrow.DecimalType:
		c.width, c.precision, c.scale = t.BitWidth()/8, t.GetPrecision(), t.GetScale()
	case *arrow.StringType, *arrow.BinaryType:
		c.offsets = []int32{0}
	case *arrow.ListType:
		if arrow.IsNested(t.Elem().ID()) {
			c.builder = array.NewBuilder(alloc, t)
			break
		}
		c.offsets, c.child = []int32{0}, newColumnBuffer(t.Elem(), alloc)
	case *arrow.MapType, *arrow.StructType:
		c.builder = array.NewBuilder(alloc, t)
	case *arrow.BooleanType:
	case arrow.FixedWidthDataType:
		c.width = t.BitWidth() / 8
	}
	return c
}

// listOf returns c if it is a list of the given scalar type.
func (c *columnBuffer) listOf(elem arrow.Type) *columnBuffer {
	if c.id == arrow.LIST && c.child.id == elem {
		return c
	}
	return nil
}

// one notes a value that is not NULL.
func (c *columnBuffer) one() {
	if c.valid != nil {
		c.growValid()
		c.valid[c.n>>3] |= 1 << (c.n & 7)
	}
	c.n++
}

func (c *columnBuffer) growValid() {
	if c.n>>3 >= len(c.valid) {
		c.valid = append(c.valid, 0)
	}
}

func (c *columnBuffer) append8(v uint8) { c.data = append(c.data, v); c.one() }
func (c *columnBuffer) append16(v uint16) {
	c.data = binary.LittleEndian.AppendUint16(c.data, v)
	c.one()
}
func (c *columnBuffer) append32(v uint32) {
	c.data = binary.LittleEndian.AppendUint32(c.data, v)
	c.one()
}
func (c *columnBuffer) append64(v uint64) {
	c.data = binary.LittleEndian.AppendUint64(c.data, v)
	c.one()
}

// append64half appends the upper half of a 16-byte value whose lower half append64 has noted.
func (c *columnBuffer) append64half(v uint64) { c.data = binary.LittleEndian.AppendUint64(c.data, v) }

func (c *columnBuffer) appendBool(v bool) {
	if c.n>>3 >= len(c.data) {
		c.data = append(c.data, 0)
	}
	if v {
		c.data[c.n>>3] |= 1 << (c.n & 7)
	}
	c.one()
}

func (c *columnBuffer) appendString(v string) {
	c.data = append(c.data, v...)
	c.offsets = append(c.offsets, int32(len(c.data))) //nolint:gosec // a batch is far below 2 GiB
	c.one()
}

func (c *columnBuffer) appendBytes(v []byte) {
	c.data = append(c.data, v...)
	c.offsets = append(c.offsets, int32(len(c.data))) //nolint:gosec // as above
	c.one()
}

// appendRaw appends n fixed-width values.
func (c *columnBuffer) appendRaw(v []byte, n int) {
	c.data = append(c.data, v...)
	if c.valid == nil {
		c.n += n
		return
	}
	for range n {
		c.one()
	}
}

// endList ends a list whose values are in the child.
func (c *columnBuffer) endList() {
	c.offsets = append(c.offsets, int32(c.child.n)) //nolint:gosec // as above
	c.one()
}

func (c *columnBuffer) appendDecimal(text string) error {
	if c.id == arrow.DECIMAL256 {
		v, err := decimal256.FromString(text, c.precision, c.scale)
		if err != nil {
			return fmt.Errorf("parse decimal: %w", err)
		}
		words := v.Array()
		c.append64(words[0])
		for _, word := range words[1:] {
			c.append64half(word)
		}
		return nil
	}
	v, err := decimal128.FromString(text, c.precision, c.scale)
	if err != nil {
		return fmt.Errorf("parse decimal: %w", err)
	}
	c.append64(v.LowBits())
	c.append64half(uint64(v.HighBits())) //nolint:gosec // the same bits
	return nil
}

func (c *columnBuffer) appendNull() {
	if c.builder != nil {
		c.wait(nil)
		return
	}
	if c.valid == nil {
		c.valid = make([]byte, c.n>>3+1, max(64, cap(c.data)/8))
		for i := range c.n {
			c.valid[i>>3] |= 1 << (i & 7)
		}
	}
	c.growValid()
	switch {
	case c.offsets != nil:
		c.offsets = append(c.offsets, c.offsets[len(c.offsets)-1])
	case c.id == arrow.BOOL:
		if c.n>>3 >= len(c.data) {
			c.data = append(c.data, 0)
		}
	default:
		c.data = append(c.data, make([]byte, c.width)...)
	}
	c.nulls++
	c.n++
}

// wait notes a value for the builder, nil for NULL. It is appended by settle, when its row is known to be good: builders
// cannot take a value back.
func (c *columnBuffer) wait(v any) {
	if !c.waiting { // a second one for the same row only counts, and is found by End
		c.pending, c.waiting = v, true
	}
	c.n++
}

// settle appends what waits.
func (c *columnBuffer) settle() error {
	if !c.waiting {
		return nil
	}
	v := c.pending
	c.pending, c.waiting = nil, false
	return appendAny(c.builder, v)
}

// size is about how many bytes the column takes in a message.
func (c *columnBuffer) size() int {
	size := len(c.data) + 4*len(c.offsets) + len(c.valid)
	if c.child != nil {
		size += c.child.size()
	}
	if c.builder != nil {
		size += 64 * c.n // nobody knows better before it is built
	}
	return size
}

// truncate forgets the values from row n on.
func (c *columnBuffer) truncate(n int) {
	for c.n > n {
		c.n--
		c.dropLast()
	}
}

// dropLast takes value c.n out.
func (c *columnBuffer) dropLast() {
	if c.builder != nil {
		c.pending, c.waiting = nil, false
		return
	}
	if c.valid != nil {
		bit := byte(1) << (c.n & 7)
		if c.valid[c.n>>3]&bit == 0 {
			c.nulls--
		}
		c.valid[c.n>>3] &^= bit
	}
	switch {
	case c.offsets != nil:
		c.offsets = c.offsets[:c.n+1]
		end := int(c.offsets[c.n])
		if c.child != nil {
			c.child.truncate(end)
			return
		}
		c.data = c.data[:end]
	case c.id == arrow.BOOL:
		c.data[c.n>>3] &^= 1 << (c.n & 7)
	default:
		c.data = c.data[:c.n*c.width]
	}
}

// take returns the column as an array, which the caller releases, and starts anew.
func (c *columnBuffer) take() arrow.Array {
	if c.builder != nil {
		c.n = 0
		return c.builder.NewArray()
	}
	data := c.takeData()
	defer data.Release()
	return array.MakeFromData(data)
}

func (c *columnBuffer) takeData() arrow.ArrayData {
	if c.builder != nil {
		arr := c.take()
		defer arr.Release()
		arr.Data().Retain()
		return arr.Data()
	}
	var valid *memory.Buffer
	if c.nulls > 0 {
		valid = memory.NewBufferBytes(c.valid)
	}
	buffers := []*memory.Buffer{valid}
	if c.offsets != nil {
		buffers = append(buffers, memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(c.offsets)))
	}
	var children []arrow.ArrayData
	if c.child != nil {
		child := c.child.takeData()
		defer child.Release()
		children = append(children, child)
	} else {
		buffers = append(buffers, memory.NewBufferBytes(c.data))
	}
	data := array.NewData(c.typ, c.n, buffers, children, c.nulls, 0)
	c.reset()
	return data
}

// reset makes new buffers of about the last size: the old ones belong to the array.
func (c *columnBuffer) reset() {
	c.n, c.nulls, c.valid = 0, 0, nil
	c.data = make([]byte, 0, cap(c.data))
	if c.offsets != nil {
		c.offsets = append(make([]int32, 0, cap(c.offsets)), 0)
	}
}
