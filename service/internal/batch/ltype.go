package batch

import (
	"fmt"
	"strings"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/table"
)

// class is what the values of a sent column mean.
type class uint8

const (
	classNull class = iota
	classBool
	classInt
	classFloat
	classDecimal
	classText
	classBinary
	classDate
	classInstant
	classDuration // any day-time interval
	classMonths
	classMonthDayNano // decided value by value
	classList
	classMap
	classStruct
)

var classNames = [...]string{"null", "bool", "integer", "float", "decimal", "text", "binary", "date", "timestamp",
	"interval", "months", "month_day_nano interval", "list", "map", "struct"}

func (c class) String() string { return classNames[c] }

// lay is how the values of a column lie in memory.
type lay uint8

const (
	layNone    lay = iota // no buffers: nulls
	layBits               // validity, one bit each
	layFixed              // validity, width bytes each
	layVar32              // validity, int32 offsets, bytes
	layVar64              // validity, int64 offsets, bytes
	layView               // validity, 16-byte views, variadic buffers
	layList32             // validity, int32 offsets; one child, for maps keys and values
	layList64             // validity, int64 offsets; one child
	layListFix            // validity; one child, width elements each
	layListV32            // validity, int32 offsets, int32 sizes; one child
	layListV64            // validity, int64 offsets, int64 sizes; one child
	layStruct             // validity; children
	layPair               // validity; int64 seconds and int32 nanos
)

// ltype is a sent type: what its values mean and how they lie. Trees are built once and shared.
type ltype struct {
	class    class
	lay      lay
	width    int   // layFixed, in bytes; layListFix, in elements
	unsigned bool  // classInt
	unit     int64 // classInstant, classDuration: ticks per second; classDate: ticks per day (1 or 86,400,000)
	zone     string
	scale    int  // classDecimal
	pairIPC  bool // layPair that is a struct of two children in IPC
	days     bool // classDuration of interval[day_time]: int32 days and int32 milliseconds
	kids     []ltype
	names    []string // of the kids, classStruct
}

// lfield is one column of a sent Arrow schema.
type lfield struct {
	name string
	typ  ltype
}

// Type numbers of Arrow's Schema.fbs union Type; frozen.
const (
	tNull = iota + 1
	tInt
	tFloatingPoint
	tBinary
	tUtf8
	tBool
	tDecimal
	tDate
	tTime
	tTimestamp
	tInterval
	tList
	tStruct
	tUnion
	tFixedSizeBinary
	tFixedSizeList
	tMap
	tDuration
	tLargeBinary
	tLargeUtf8
	tLargeList
	tRunEndEncoded
	tBinaryView
	tUtf8View
	tListView
	tLargeListView
)

const maxSchemaFields = 4096

// parseSchema reads one encapsulated Schema message.
func parseSchema(b []byte, lim Limits) ([]lfield, error) {
	var msg ipcMessage
	if err := msg.open(len(b), func(from, size int) []byte { return b[from : from+size] }); err != nil {
		return nil, err
	}
	if err := msg.want(headerSchema); err != nil {
		return nil, err
	}
	p := schemaParser{view: &msg.view, lim: lim}
	if p.view.fieldI16(msg.header, 0) != 0 {
		return nil, badArrow("big-endian batches are not supported")
	}
	first, n := p.view.vector(msg.header, 1, 4)
	if n > maxSchemaFields {
		return nil, badArrow("schema of %d columns", n)
	}
	out := make([]lfield, 0, n)
	for i := range n {
		f := p.view.table(first + 4*i)
		name, typ, err := p.field(f, 0)
		if err != nil {
			return nil, err
		}
		out = append(out, lfield{name, typ})
	}
	if p.view.bad {
		return nil, badArrow("malformed schema metadata")
	}
	return out, nil
}

type schemaParser struct {
	view *metaView
	lim  Limits
	top  string // the column being read
}

func (p *schemaParser) unsupported(what string) error {
	return apierr.New(apierr.TypeUnsupported, "column %q: %s is not supported", p.top, what).With("column", p.top)
}

func (p *schemaParser) field(f metaTable, depth int) (string, ltype, error) {
	name := p.view.text(f, 0)
	if depth == 0 {
		p.top = name
	}
	if p.view.bad {
		return "", ltype{}, badArrow("malformed schema metadata")
	}
	if _, ok := p.view.fieldTable(f, 4); ok {
		return "", ltype{}, p.unsupported("a dictionary-encoded field")
	}
	kind := p.view.fieldU8(f, 2)
	typ, _ := p.view.fieldTable(f, 3)
	first, n := p.view.vector(f, 5, 4)
	t, want, err := p.layout(kind, typ)
	if err != nil {
		return "", t, err
	}
	if n != want && want >= 0 || n > maxSchemaFields {
		return "", t, badArrow("column %q: type number %d with %d children", p.top, kind, n)
	}
	if n > 0 && depth >= 2*p.lim.MaxNesting { // the entries of a map are a level of Arrow's, not of ours
		return "", t, badArrow("column %q: nested too deeply", p.top)
	}
	for i := range n {
		kid, kt, err := p.field(p.view.table(first+4*i), depth+1)
		if err != nil {
			return "", t, err
		}
		t.kids = append(t.kids, kt)
		t.names = append(t.names, kid)
	}
	if p.view.bad {
		return "", t, badArrow("malformed schema metadata")
	}
	return name, t, p.finish(&t)
}

// layout reads the type's own table. want is the number of children, −1 for any.
func (p *schemaParser) layout(kind uint8, t metaTable) (lt ltype, want int, err error) {
	v := p.view
	fixed := func(c class, width int) (ltype, int, error) {
		return ltype{class: c, lay: layFixed, width: width}, 0, nil
	}
	switch kind {
	case tNull:
		return ltype{class: classNull}, 0, nil
	case tBool:
		return ltype{class: classBool, lay: layBits}, 0, nil
	case tInt:
		bits := v.fieldI32(t, 0, 0)
		if bits != 8 && bits != 16 && bits != 32 && bits != 64 {
			return lt, 0, badArrow("column %q: integer of %d bits", p.top, bits)
		}
		return ltype{class: classInt, lay: layFixed, width: int(bits / 8), unsigned: v.fieldU8(t, 1) == 0}, 0, nil
	case tFloatingPoint:
		precision := v.fieldI16(t, 0)
		if precision < 0 || precision > 2 {
			return lt, 0, badArrow("column %q: float of precision %d", p.top, precision)
		}
		return fixed(classFloat, 2<<precision)
	case tDecimal:
		return p.decimal(t)
	case tDate:
		if v.fieldI16(t, 1) == 0 {
			return ltype{class: classDate, lay: layFixed, width: 4, unit: 1}, 0, nil
		}
		return ltype{class: classDate, lay: layFixed, width: 8, unit: 86_400_000}, 0, nil
	case tTimestamp:
		unit, err := p.unit(v.fieldI16(t, 0))
		return ltype{class: classInstant, lay: layFixed, width: 8, unit: unit, zone: v.text(t, 1)}, 0, err
	case tDuration:
		unit, err := p.unit(v.fieldI16(t, 1))
		return ltype{class: classDuration, lay: layFixed, width: 8, unit: unit}, 0, err
	case tInterval:
		switch v.fieldI16(t, 0) {
		case 0:
			return fixed(classMonths, 4)
		case 1:
			return ltype{class: classDuration, lay: layFixed, width: 8, days: true}, 0, nil
		case 2:
			return fixed(classMonthDayNano, 16)
		}
		return lt, 0, badArrow("column %q: unknown interval unit", p.top)
	case tFixedSizeBinary:
		n := v.fieldI32(t, 0, 0)
		if n < 0 || int(n) > p.lim.MaxValueBytes {
			return lt, 0, badArrow("column %q: binary of fixed size %d", p.top, n)
		}
		return fixed(classBinary, int(n))
	case tFixedSizeList:
		n := v.fieldI32(t, 0, 0)
		if n < 0 || int64(n) > p.lim.MaxBatchBytes {
			return lt, 0, badArrow("column %q: list of fixed size %d", p.top, n)
		}
		return ltype{class: classList, lay: layListFix, width: int(n)}, 1, nil
	}
	if s, ok := simpleLayouts[kind]; ok {
		return s.typ, s.kids, nil
	}
	names := map[uint8]string{tTime: "a time of day", tUnion: "a union", tRunEndEncoded: "a run-end encoded field"}
	if what, ok := names[kind]; ok {
		return lt, 0, p.unsupported(what)
	}
	return lt, 0, p.unsupported(fmt.Sprintf("Arrow type number %d", kind))
}

var simpleLayouts = map[uint8]struct {
	typ  ltype
	kids int
}{
	tUtf8:          {ltype{class: classText, lay: layVar32}, 0},
	tLargeUtf8:     {ltype{class: classText, lay: layVar64}, 0},
	tUtf8View:      {ltype{class: classText, lay: layView}, 0},
	tBinary:        {ltype{class: classBinary, lay: layVar32}, 0},
	tLargeBinary:   {ltype{class: classBinary, lay: layVar64}, 0},
	tBinaryView:    {ltype{class: classBinary, lay: layView}, 0},
	tList:          {ltype{class: classList, lay: layList32}, 1},
	tLargeList:     {ltype{class: classList, lay: layList64}, 1},
	tListView:      {ltype{class: classList, lay: layListV32}, 1},
	tLargeListView: {ltype{class: classList, lay: layListV64}, 1},
	tMap:           {ltype{class: classMap, lay: layList32}, 1},
	tStruct:        {ltype{class: classStruct, lay: layStruct}, -1},
}

func (p *schemaParser) decimal(t metaTable) (ltype, int, error) {
	precision, scale, bits := p.view.fieldI32(t, 0, 0), p.view.fieldI32(t, 1, 0), p.view.fieldI32(t, 2, 128)
	if bits != 32 && bits != 64 && bits != 128 && bits != 256 || precision < 1 || precision > 76 || scale < -76 || scale > 76 {
		return ltype{}, 0, badArrow("column %q: decimal(%d,%d) of %d bits", p.top, precision, scale, bits)
	}
	return ltype{class: classDecimal, lay: layFixed, width: int(bits / 8), scale: int(scale)}, 0, nil
}

func (p *schemaParser) unit(u int16) (int64, error) {
	units := []int64{1, 1e3, 1e6, 1e9}
	if u < 0 || int(u) >= len(units) {
		return 0, badArrow("column %q: unknown time unit %d", p.top, u)
	}
	return units[u], nil
}

// finish lifts what Arrow spells with structs: the entries of a map, and seconds with nanos.
func (p *schemaParser) finish(t *ltype) error {
	switch t.class {
	case classMap:
		entries := t.kids[0]
		if entries.lay == layPair { // map<int64,int32> looks like a pair
			entries.kids = []ltype{pairSeconds, pairNanos}
		} else if entries.class != classStruct || len(entries.kids) != 2 {
			return badArrow("column %q: a map whose entries are not a struct of two", p.top)
		}
		t.kids, t.names = entries.kids, []string{"key", "value"}
	case classStruct:
		if len(t.kids) == 2 && samePair(t) {
			t.lay, t.pairIPC = layPair, true
		}
		if len(t.kids) == 0 {
			return p.unsupported("a struct without fields")
		}
	}
	return nil
}

var (
	pairSeconds = ltype{class: classInt, lay: layFixed, width: 8}
	pairNanos   = ltype{class: classInt, lay: layFixed, width: 4}
)

// samePair reports whether a struct is struct<seconds:int64, nanos:int32>. Others say "sec" and "nano".
func samePair(t *ltype) bool {
	a, b := &t.kids[0], &t.kids[1]
	return a.class == classInt && a.width == 8 && !a.unsigned && b.class == classInt && b.width == 4 && !b.unsigned &&
		strings.HasPrefix(strings.ToLower(t.names[0]), "sec") && strings.HasPrefix(strings.ToLower(t.names[1]), "nano")
}

// sentType is the layout in which values of t come: in Arrow the first entry of api.md 4.2, in columns ColumnData.
func sentType(t table.Type, columns bool) ltype {
	fixed := func(c class, width int) ltype { return ltype{class: c, lay: layFixed, width: width} }
	switch t.Kind {
	case table.KindBoolean:
		return ltype{class: classBool, lay: layBits}
	case table.KindTinyint, table.KindSmallint, table.KindInt, table.KindBigint:
		return fixed(classInt, 1<<(t.Kind-table.KindTinyint))
	case table.KindFloat:
		return fixed(classFloat, 4)
	case table.KindDouble:
		return fixed(classFloat, 8)
	case table.KindDecimal:
		p, s := t.Precision, t.Scale
		lt := fixed(classDecimal, 16)
		if p > 38 {
			lt.width = 32
		}
		lt.scale = s
		return lt
	case table.KindBinary:
		return ltype{class: classBinary, lay: layVar32}
	case table.KindDate:
		return ltype{class: classDate, lay: layFixed, width: 4, unit: 1}
	case table.KindDatetime:
		return ltype{class: classInstant, lay: layFixed, width: 8, unit: 1e3}
	case table.KindTimestamp, table.KindTimestampNTZ:
		if columns {
			return ltype{class: classInstant, lay: layPair}
		}
		return ltype{class: classInstant, lay: layFixed, width: 8, unit: 1e9}
	case table.KindIntervalDayTime:
		return ltype{class: classDuration, lay: layPair, pairIPC: !columns}
	case table.KindIntervalYearMonth:
		return fixed(classMonths, 4)
	case table.KindArray, table.KindMap, table.KindStruct:
		return nestedSentType(t, columns)
	default: // STRING, CHAR, VARCHAR, JSON
		return ltype{class: classText, lay: layVar32}
	}
}

func nestedSentType(t table.Type, columns bool) ltype {
	lt := ltype{class: classList, lay: layList32}
	switch t.Kind {
	case table.KindMap:
		lt.class = classMap
	case table.KindStruct:
		lt.class, lt.lay = classStruct, layStruct
	}
	for _, c := range t.Children {
		lt.kids = append(lt.kids, sentType(c.Type, columns))
		lt.names = append(lt.names, c.Name)
	}
	return lt
}
