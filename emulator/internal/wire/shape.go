package wire

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/sluice-io/sluice/emulator/internal/types"
)

// form is the buffer structure of an array in an Arrow message.
type form uint8

const (
	formBits   form = iota + 1 // validity, bits
	formFixed                  // validity, values
	formBytes                  // validity, offsets, bytes
	formList                   // validity, offsets; one child
	formStruct                 // validity; children
)

// shape is the expected structure of one column in one layout.
type shape struct {
	form     form
	width    int64 // of formFixed, in bytes
	digits   int   // decimal precision, 0 for other types
	required bool  // no NULL allowed
	children []shape
}

func secNano() shape {
	return shape{form: formStruct, children: []shape{{form: formFixed, width: 8}, {form: formFixed, width: 4}}}
}

func shapeOf(t types.Type, l types.Layout) shape {
	switch t.Kind {
	case types.Boolean:
		return shape{form: formBits}
	case types.TinyInt:
		return shape{form: formFixed, width: 1}
	case types.SmallInt:
		return shape{form: formFixed, width: 2}
	case types.Int, types.Float, types.Date, types.IntervalYearMonth:
		return shape{form: formFixed, width: 4}
	case types.BigInt, types.Double, types.Datetime:
		return shape{form: formFixed, width: 8}
	case types.Timestamp, types.TimestampNTZ:
		if l == types.LayoutWide {
			return secNano()
		}
		return shape{form: formFixed, width: 8}
	case types.IntervalDayTime:
		if l == types.LayoutDayTime {
			return shape{form: formFixed, width: 8}
		}
		return secNano()
	case types.Decimal:
		p, _ := t.PrecisionScale()
		if p <= types.MaxDecimal128Precision {
			return shape{form: formFixed, width: 16, digits: p}
		}
		return shape{form: formFixed, width: 32, digits: p}
	case types.Array:
		return shape{form: formList, children: []shape{shapeOf(t.Children[0].Type, l)}}
	case types.Map:
		entry := shape{form: formStruct, required: true}
		for _, c := range t.Children {
			entry.children = append(entry.children, shapeOf(c.Type, l))
		}
		entry.children[0].required = true
		return shape{form: formList, children: []shape{entry}}
	case types.Struct:
		s := shape{form: formStruct}
		for _, c := range t.Children {
			s.children = append(s.children, shapeOf(c.Type, l))
		}
		return s
	}
	return shape{form: formBytes} // STRING, CHAR, VARCHAR, JSON, BINARY
}

func (s shape) nodes() int {
	n := 1
	for _, c := range s.children {
		n += c.nodes()
	}
	return n
}

// UploadLayout tells from the number of field nodes in which layout a client wrote
// a message: as usual, or as the Go SDK writes INTERVAL_DAY_TIME.
func UploadLayout(cols []Column, nodes int) (types.Layout, error) {
	for _, l := range []types.Layout{types.LayoutNanos, types.LayoutDayTime} {
		n := 0
		for _, c := range cols {
			n += shapeOf(c.Type, l).nodes()
		}
		if n == nodes {
			return l, nil
		}
	}
	return 0, fmt.Errorf("%w: Arrow batch of %d field nodes does not fit the %d columns", ErrMalformed, nodes, len(cols))
}

// BatchLayout tells in which layout the columns of rec are those of cols. Names,
// nullability and time zones do not count. An error wraps ErrMalformed.
func BatchLayout(cols []Column, rec arrow.RecordBatch) (types.Layout, error) {
	if int(rec.NumCols()) != len(cols) {
		return 0, fmt.Errorf("%w: %d columns, want %d", ErrMalformed, rec.NumCols(), len(cols))
	}
	var odd string
	for _, l := range []types.Layout{types.LayoutNanos, types.LayoutWide, types.LayoutDayTime} {
		if odd = mismatch(cols, rec, l); odd == "" {
			return l, nil
		}
	}
	return 0, fmt.Errorf("%w: column %s", ErrMalformed, odd)
}

func mismatch(cols []Column, rec arrow.RecordBatch, l types.Layout) string {
	for i, c := range cols {
		if have, want := rec.Column(i).DataType(), c.Type.Arrow(l); !sameStructure(have, want) {
			return fmt.Sprintf("%s has Arrow type %s, want %s", c.Name, have, want)
		}
	}
	return ""
}

func sameStructure(a, b arrow.DataType) bool {
	if a.ID() != b.ID() {
		return false
	}
	if t, ok := a.(*arrow.TimestampType); ok {
		return t.Unit == b.(*arrow.TimestampType).Unit
	}
	n, ok := a.(arrow.NestedType)
	if !ok {
		return arrow.TypeEqual(a, b)
	}
	m := b.(arrow.NestedType)
	if n.NumFields() != m.NumFields() {
		return false
	}
	for i, f := range n.Fields() {
		if !sameStructure(f.Type, m.Fields()[i].Type) {
			return false
		}
	}
	return true
}
