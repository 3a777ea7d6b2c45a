package batch

import (
	"encoding/binary"
	"unicode/utf8"
)

// metaView reads a flatbuffer that nobody trusts. Every access is checked against the buffer; the first one outside
// sets bad and all later ones give zero, so the caller looks once, at the end. Work is bounded by budget: a hostile
// buffer may share its tables and so describe exponentially many.
type metaView struct {
	b      []byte
	bad    bool
	budget int
}

func (m *metaView) fail() { m.bad = true }

func (m *metaView) u8(pos int) uint8 {
	if m.bad || pos < 0 || pos >= len(m.b) {
		m.fail()
		return 0
	}
	return m.b[pos]
}

func (m *metaView) u16(pos int) int {
	if m.bad || pos < 0 || pos > len(m.b)-2 {
		m.fail()
		return 0
	}
	return int(binary.LittleEndian.Uint16(m.b[pos:]))
}

func (m *metaView) u32(pos int) uint32 {
	if m.bad || pos < 0 || pos > len(m.b)-4 {
		m.fail()
		return 0
	}
	return binary.LittleEndian.Uint32(m.b[pos:])
}

func (m *metaView) i64(pos int) int64 {
	if m.bad || pos < 0 || pos > len(m.b)-8 {
		m.fail()
		return 0
	}
	return int64(binary.LittleEndian.Uint64(m.b[pos:]))
}

// metaTable is a table of a metaView: where it begins and its vtable with its size.
type metaTable struct{ pos, vtable, size int }

// root is the buffer's own table.
func (m *metaView) root() metaTable { return m.table(0) }

// table follows the offset at pos.
func (m *metaView) table(pos int) metaTable {
	if m.budget--; m.budget < 0 {
		m.fail()
	}
	at := pos + int(m.u32(pos))
	vt := at - int(int32(m.u32(at)))
	size := m.u16(vt)
	if m.bad || size < 4 || vt < 0 || vt > len(m.b)-size {
		m.fail()
		return metaTable{}
	}
	return metaTable{at, vt, size}
}

// field is where field i of t lies, 0 if it is absent: position 0 is the root offset and never a field.
func (m *metaView) field(t metaTable, i int) int {
	if m.bad || t.size < 6+2*i {
		return 0
	}
	off := m.u16(t.vtable + 4 + 2*i)
	if off == 0 || m.bad {
		return 0
	}
	return t.pos + off
}

func (m *metaView) fieldU8(t metaTable, i int) uint8 {
	if pos := m.field(t, i); pos != 0 {
		return m.u8(pos)
	}
	return 0
}

// fieldI16 reads a table's first field, where all fields of this type are.
func (m *metaView) fieldI16(t metaTable, def int16) int16 {
	if pos := m.field(t, 0); pos != 0 {
		return int16(m.u16(pos))
	}
	return def
}

func (m *metaView) fieldI32(t metaTable, i int, def int32) int32 {
	if pos := m.field(t, i); pos != 0 {
		return int32(m.u32(pos))
	}
	return def
}

func (m *metaView) fieldI64(t metaTable, i int) int64 {
	if pos := m.field(t, i); pos != 0 {
		return m.i64(pos)
	}
	return 0
}

// fieldTable is the table that field i points to; ok is false if it is absent.
func (m *metaView) fieldTable(t metaTable, i int) (metaTable, bool) {
	pos := m.field(t, i)
	if pos == 0 {
		return metaTable{}, false
	}
	sub := m.table(pos)
	return sub, !m.bad
}

// vector is the first element and the length of a vector whose elements have size bytes; 0, 0 if it is absent.
func (m *metaView) vector(t metaTable, i, size int) (first, n int) {
	pos := m.field(t, i)
	if pos == 0 {
		return 0, 0
	}
	at := pos + int(m.u32(pos))
	count := int(m.u32(at))
	if m.bad || count > (len(m.b)-at-4)/size {
		m.fail()
		return 0, 0
	}
	return at + 4, count
}

// text is a string field; one that is not UTF-8 is bad.
func (m *metaView) text(t metaTable, i int) string {
	first, n := m.vector(t, i, 1)
	if m.bad || n == 0 {
		return ""
	}
	b := m.b[first : first+n]
	if !utf8.Valid(b) {
		m.fail()
		return ""
	}
	return string(b)
}

// keyValues walks a vector of KeyValue tables: nobody here wants them, but who reads the message next must be able to.
func (m *metaView) keyValues(t metaTable, i int) {
	first, n := m.vector(t, i, 4)
	for k := range n {
		kv := m.table(first + 4*k)
		for f := range 2 {
			if m.bad {
				return
			}
			m.vector(kv, f, 1)
		}
	}
}
