package storageapi

import (
	"fmt"
	"math/bits"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/sluice-io/sluice/emulator/internal/types"
)

// form is the Arrow form that a session asked for.
type form struct{ timestamps, datetimes arrow.TimeUnit }

// dataType is the Arrow type of t.
func (f form) dataType(t types.Type) arrow.DataType {
	switch t.Kind {
	case types.Timestamp, types.TimestampNTZ:
		return &arrow.TimestampType{Unit: f.timestamps}
	case types.Datetime:
		return &arrow.TimestampType{Unit: f.datetimes}
	case types.Array:
		return arrow.ListOfField(arrow.Field{Name: "element", Type: f.dataType(t.Children[0].Type), Nullable: true})
	case types.Map:
		return arrow.MapOf(f.dataType(t.Children[0].Type), f.dataType(t.Children[1].Type))
	case types.Struct:
		fields := make([]arrow.Field, len(t.Children))
		for i, c := range t.Children {
			fields[i] = arrow.Field{Name: c.Name, Type: f.dataType(c.Type), Nullable: true}
		}
		return arrow.StructOf(fields...)
	default:
		return t.Arrow(types.LayoutWide)
	}
}

func (s *session) form() form { return form{s.ask.timestamps, s.ask.datetimes} }

// schema of the session's streams.
func (s *session) schema() *arrow.Schema {
	fields := make([]arrow.Field, len(s.columns))
	for i, at := range s.columns {
		c := s.all()[at]
		fields[i] = arrow.Field{Name: c.Name, Type: s.form().dataType(c.Type), Nullable: c.Nullable}
	}
	return arrow.NewSchema(fields, nil)
}

// convert brings a batch in types.LayoutWide to the session's form. The caller releases the
// result, which shares the batch's memory.
func (s *session) convert(batch arrow.RecordBatch, schema *arrow.Schema) (arrow.RecordBatch, error) {
	columns := make([]arrow.Array, 0, len(s.columns))
	defer func() {
		for _, c := range columns {
			c.Release()
		}
	}()
	for i, at := range s.columns {
		c := s.all()[at]
		data, err := s.form().convert(batch.Column(i).Data(), c.Type)
		if err != nil {
			return nil, badRequest("column %s: %v; ask for another unit in ArrowOptions", c.Name, err)
		}
		columns = append(columns, array.MakeFromData(data))
		data.Release()
	}
	return array.NewRecordBatch(schema, columns, batch.NumRows()), nil
}

// convert changes the form of an array of t. The caller releases the result.
func (f form) convert(d arrow.ArrayData, t types.Type) (arrow.ArrayData, error) {
	target := f.dataType(t)
	switch t.Kind {
	case types.Timestamp, types.TimestampNTZ:
		return fromPairs(d, target, f.timestamps)
	case types.Datetime:
		if f.datetimes != arrow.Millisecond {
			return fromMillis(d, target, f.datetimes)
		}
	case types.Array, types.Map, types.Struct:
		return f.nested(d, t, target)
	}
	return retyped(d, target, d.Children()), nil
}

func retyped(d arrow.ArrayData, target arrow.DataType, children []arrow.ArrayData) arrow.ArrayData {
	return array.NewData(target, d.Len(), d.Buffers(), children, d.NullN(), d.Offset())
}

func (f form) nested(d arrow.ArrayData, t types.Type, target arrow.DataType) (arrow.ArrayData, error) {
	kinds := []types.Type{types.StructOf(t.Children...)} // of a map
	switch t.Kind {
	case types.Array:
		kinds = []types.Type{t.Children[0].Type}
	case types.Struct:
		kinds = kinds[:0]
		for _, c := range t.Children {
			kinds = append(kinds, c.Type)
		}
	}
	children := make([]arrow.ArrayData, 0, len(kinds))
	defer func() {
		for _, c := range children {
			c.Release()
		}
	}()
	buffers := d.Buffers()
	for i, child := range d.Children() {
		part := child
		if t.Kind != types.Struct {
			part, buffers = elements(d)
			defer part.Release()
		}
		c, err := f.convert(part, kinds[i])
		if err != nil {
			return nil, err
		}
		if m, ok := target.(*arrow.MapType); ok { // its key's field is not nullable
			entries := c
			c = retyped(entries, m.Elem(), entries.Children())
			entries.Release()
		}
		children = append(children, c)
	}
	return array.NewData(target, d.Len(), buffers, children, d.NullN(), d.Offset()), nil
}

// elements cuts out of a list's child what its rows refer to, so that nothing else is
// converted, and returns the list's buffers over that. The caller releases the part.
func elements(d arrow.ArrayData) (part arrow.ArrayData, buffers []*memory.Buffer) {
	first, last := d.Offset(), d.Offset()+d.Len()
	offsets := make([]int32, last+1)
	if d.Len() > 0 {
		copy(offsets[first:], arrow.Int32Traits.CastFromBytes(d.Buffers()[1].Bytes())[first:last+1])
	}
	start, end := offsets[first], offsets[last]
	for i := range offsets[first:] {
		offsets[first+i] -= start
	}
	buffers = []*memory.Buffer{d.Buffers()[0], memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(offsets))}
	return array.NewSliceData(d.Children()[0], int64(start), int64(end)), buffers
}

// perSecond is how many of a unit are a second.
var perSecond = map[arrow.TimeUnit]int64{arrow.Second: 1, arrow.Millisecond: 1e3, arrow.Microsecond: 1e6, arrow.Nanosecond: 1e9}

// fromPairs turns (seconds, nanoseconds) into a number of units.
func fromPairs(d arrow.ArrayData, target arrow.DataType, unit arrow.TimeUnit) (arrow.ArrayData, error) {
	s := array.NewStructData(d)
	defer s.Release()
	secs, nanos := s.Field(0).(*array.Int64), s.Field(1).(*array.Int32)
	return numbers(s, target, func(i int) (int64, error) { return inUnits(secs.Value(i), int64(nanos.Value(i)), unit) })
}

func fromMillis(d arrow.ArrayData, target arrow.DataType, unit arrow.TimeUnit) (arrow.ArrayData, error) {
	a := array.NewTimestampData(d)
	defer a.Release()
	return numbers(a, target, func(i int) (int64, error) {
		v := int64(a.Value(i))
		sec, milli := v/1000, v%1000
		if milli < 0 {
			sec, milli = sec-1, milli+1000
		}
		return inUnits(sec, milli*1e6, unit)
	})
}

// inUnits is a moment as one number, an error if that would lose something.
func inUnits(sec, nano int64, unit arrow.TimeUnit) (int64, error) {
	n := perSecond[unit]
	each := 1_000_000_000 / n
	if nano%each != 0 {
		return 0, fmt.Errorf("a time of %d ns past a second is finer than the unit %s", nano, unit)
	}
	rest := nano / each
	if sec < 0 && rest > 0 { // so that the first moment that fits does not overflow on the way
		sec, rest = sec+1, rest-n
	}
	high, low := bits.Mul64(uint64(max(sec, -sec)), uint64(n))
	if high != 0 || low > 1<<63-1 {
		return 0, fmt.Errorf("a time of %d s since 1970 does not fit the unit %s", sec, unit)
	}
	v := sec * n
	if sum := v + rest; (sum < v) == (rest < 0) {
		return sum, nil
	}
	return 0, fmt.Errorf("a time of %d s since 1970 does not fit the unit %s", sec, unit)
}

// numbers makes an array of 64-bit numbers under a type of that width.
func numbers(a arrow.Array, target arrow.DataType, value func(i int) (int64, error)) (arrow.ArrayData, error) {
	b := array.NewInt64Builder(memory.DefaultAllocator)
	defer b.Release()
	b.Reserve(a.Len())
	for i := range a.Len() {
		if a.IsNull(i) {
			b.AppendNull()
			continue
		}
		v, err := value(i)
		if err != nil {
			return nil, err
		}
		b.Append(v)
	}
	out := b.NewInt64Array()
	defer out.Release()
	return retyped(out.Data(), target, nil), nil
}
