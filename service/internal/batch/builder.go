package batch

import (
	"encoding/binary"
	"math"
	"unicode/utf8"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/table"
)

// conv is how values come into a column or child: its type, the layout it leaves in, and whether the sent layout
// already is that one. Trees are built by Compile and then only read.
type conv struct {
	t      *table.Type
	to     ltype // TIMESTAMP: int64 nanoseconds, but a built one is pairInstant
	native bool  // the sent layout is to's, or pairInstant
	kids   []conv
	fields []int // STRUCT: the sent child of each field
}

// pairInstant holds timestamps of all years; it is as native as int64 nanoseconds until the batch is emitted.
var pairInstant = ltype{class: classInstant, lay: layPair}

// builder gathers values one by one, in the layout of its type.
type builder struct {
	k     *conv
	n     int
	nulls int
	valid []byte
	off   []byte
	data  []byte
	aux   []byte
	kids  []builder
}

func (b *builder) init(k *conv) {
	b.k = k
	b.kids = make([]builder, len(k.kids))
	for i := range k.kids {
		b.kids[i].init(&k.kids[i])
	}
	if k.to.lay == layVar32 || k.to.lay == layList32 {
		b.off = make([]byte, 4, 64)
	}
}

// column is the finished column; it shares the builder's memory.
func (b *builder) column() column {
	c := column{lt: &b.k.to, n: b.n, nulls: b.nulls, off: b.off, data: b.data, aux: b.aux}
	if b.k.to.class == classInstant && b.k.to.unit == 1e9 {
		c.lt = &pairInstant
	}
	if b.nulls > 0 {
		c.valid = b.valid
	}
	for i := range b.kids {
		c.kids = append(c.kids, b.kids[i].column())
	}
	return c
}

// mark appends the validity of the value being added.
func (b *builder) mark(valid bool) {
	if b.n&7 == 0 {
		b.valid = append(b.valid, 0)
	}
	if valid {
		b.valid[b.n>>3] |= 1 << (b.n & 7)
	} else {
		b.nulls++
	}
	b.n++
}

// null appends a NULL.
func (b *builder) null() {
	b.blank()
	b.mark(false)
}

// blank appends the place that a NULL takes in the data.
func (b *builder) blank() {
	switch b.k.to.lay {
	case layBits:
		b.bit(false)
	case layVar32, layList32:
		b.off = append(b.off, b.off[len(b.off)-4:]...)
	case layStruct:
		for i := range b.kids {
			b.kids[i].null()
		}
	default:
		b.zeros(b.k.to)
	}
}

func (b *builder) zeros(lt ltype) {
	if lt.lay == layPair || lt.class == classInstant && lt.unit == 1e9 {
		b.pair(0, 0)
		return
	}
	for range lt.width {
		b.data = append(b.data, 0)
	}
}

func (b *builder) bit(set bool) {
	if b.n&7 == 0 {
		b.data = append(b.data, 0)
	}
	if set {
		b.data[b.n>>3] |= 1 << (b.n & 7)
	}
}

func (b *builder) pair(seconds int64, nanos int32) {
	b.data = binary.LittleEndian.AppendUint64(b.data, uint64(seconds))
	b.aux = binary.LittleEndian.AppendUint32(b.aux, uint32(nanos))
}

// integer appends the low bytes of v.
func (b *builder) integer(v int64) {
	for range b.k.to.width {
		b.data = append(b.data, byte(v))
		v >>= 8
	}
}

func (b *builder) float(f float64) {
	if b.k.to.width == 4 {
		b.data = binary.LittleEndian.AppendUint32(b.data, math.Float32bits(float32(f)))
		return
	}
	b.data = binary.LittleEndian.AppendUint64(b.data, math.Float64bits(f))
}

// closeVar ends a text: the next offset is the end of the data.
func (b *builder) closeVar() { b.off = binary.LittleEndian.AppendUint32(b.off, uint32(len(b.data))) }

// closeList ends a list or map likewise.
func (b *builder) closeList() { b.off = binary.LittleEndian.AppendUint32(b.off, uint32(b.kids[0].n)) }

// problem is why a value does not fit; the zero value is that it does.
type problem struct {
	reason  apierr.Reason
	message string
}

func (p problem) bad() bool { return p.message != "" }

func mismatch(message string) problem { return problem{apierr.TypeMismatch, message} }

// put appends one value to b, casting it as semantics.md 1.4 says. If it does not fit, a NULL stands for it and the
// problem is returned.
func (k *caster) put(b *builder, c *cell) problem {
	if c.k == kindNull {
		b.null()
		return problem{}
	}
	p := k.tryPut(b, c)
	if p.bad() {
		b.null()
	} else {
		b.mark(true)
	}
	return p
}

// tryPut appends the data of one value, or nothing at all when it gives a problem.
func (k *caster) tryPut(b *builder, c *cell) problem {
	t := b.k.t
	if c.k == kindBad {
		return mismatch(c.msg)
	}
	if !castable(c.k, t.Kind, k.cast) {
		return mismatch(kindNames[c.k] + " in a column of type " + t.String())
	}
	switch t.Kind {
	case table.KindBoolean:
		return k.putBool(b, c)
	case table.KindTinyint, table.KindSmallint, table.KindInt, table.KindBigint:
		return k.putInt(b, c)
	case table.KindFloat, table.KindDouble:
		return k.putFloat(b, c)
	case table.KindDecimal:
		return k.putDecimal(b, c)
	case table.KindString, table.KindChar, table.KindVarchar, table.KindJSON, table.KindBinary:
		return k.putText(b, c)
	case table.KindDate, table.KindDatetime, table.KindTimestamp, table.KindTimestampNTZ:
		return k.putTime(b, c)
	case table.KindIntervalDayTime:
		b.pair(c.i, c.n)
	case table.KindIntervalYearMonth:
		if c.k == kindInterval && (c.i != 0 || c.n != 0) {
			return mismatch("an interval of days in a column of type " + t.String())
		}
		if c.over || c.i < math.MinInt32 || c.i > math.MaxInt32 {
			return mismatch("months out of range")
		}
		b.integer(c.i)
	default:
		return k.putNested(b, c)
	}
	return problem{}
}

func (k *caster) putNested(b *builder, c *cell) problem {
	if c.k == kindText {
		v, err := parseJSON(c.b, k.lim.MaxNesting)
		if err != nil {
			return mismatch("text that is not JSON in a column of type " + b.k.t.String())
		}
		var parsed cell
		readJSON(v, &parsed)
		if parsed.k == kindMap && b.k.t.Kind == table.KindStruct {
			parsed.k = kindRecord
		}
		if parsed.k != kindMap && parsed.k != kindList && parsed.k != kindRecord {
			return mismatch("JSON that is not of type " + b.k.t.String())
		}
		return k.tryPut(b, &parsed)
	}
	// Elements are appended as they come. After a problem the rest is still appended, so that lengths stay even; what
	// is then built is never used, since the batch is refused.
	switch b.k.t.Kind {
	case table.KindArray:
		p := k.putList(b, c)
		if !p.bad() {
			b.closeList()
		}
		return p
	case table.KindMap:
		p := k.putMap(b, c)
		if !p.bad() {
			b.closeList()
		}
		return p
	default:
		return k.putStruct(b, c)
	}
}

func (k *caster) putList(b *builder, c *cell) (first problem) {
	kid := &b.kids[0]
	var e cell
	note := func(p problem) {
		if p.bad() && !first.bad() {
			first = p
		}
	}
	switch {
	case c.col != nil:
		from, to := c.col.extent(c.at)
		for i := from; i < to; i++ {
			c.col.kids[0].read(i, &e)
			note(k.put(kid, &e))
		}
	case c.arr != nil:
		for _, v := range c.arr {
			k.readJSONFor(kid, v, &e)
			note(k.put(kid, &e))
		}
	default:
		for _, v := range c.vals {
			readValue(v, &e)
			note(k.put(kid, &e))
		}
	}
	return first
}

// readJSONFor reads a JSON value meant for b: objects are records there where a STRUCT is wanted, BINARY is base64.
func (k *caster) readJSONFor(b *builder, v any, e *cell) {
	readJSON(v, e)
	if e.k == kindMap && b.k.t.Kind == table.KindStruct {
		e.k = kindRecord
	}
	if e.k == kindText && e.js && b.k.t.Kind == table.KindBinary {
		raw, ok := decodeBase64(e.b)
		e.k, e.b = kindBinary, raw
		if !ok {
			e.k, e.msg = kindBad, "text that is not base64"
		}
	}
}

func (k *caster) putMap(b *builder, c *cell) (first problem) {
	var e cell
	add := func(which int) {
		if which == 0 && e.k == kindNull {
			e.k, e.msg = kindBad, "a map key is NULL"
		}
		if p := k.put(&b.kids[which], &e); p.bad() && !first.bad() {
			first = p
		}
	}
	switch {
	case c.col != nil:
		from, to := c.col.extent(c.at)
		for i := from; i < to; i++ {
			for which := range 2 {
				c.col.kids[which].read(i, &e)
				add(which)
			}
		}
	case c.obj != nil:
		for _, m := range c.obj {
			e.k, e.b, e.js = kindText, []byte(m.name), true
			add(0)
			k.readJSONFor(&b.kids[1], m.value, &e)
			add(1)
		}
	default:
		for _, m := range c.ents {
			readValue(m.GetKey(), &e)
			add(0)
			readValue(m.GetValue(), &e)
			add(1)
		}
	}
	return first
}

func (k *caster) putStruct(b *builder, c *cell) (first problem) {
	if c.obj != nil {
		return k.putObject(b, c.obj)
	}
	if c.col == nil && len(c.vals) != len(b.kids) {
		return problem{apierr.BadValues, "a record with another number of fields than " + b.k.t.String()}
	}
	var e cell
	for i := range b.kids {
		if c.col != nil {
			c.col.kids[b.k.fields[i]].read(c.at, &e)
		} else {
			readValue(c.vals[i], &e)
		}
		if p := k.put(&b.kids[i], &e); p.bad() && !first.bad() {
			first = p
		}
	}
	return first
}

// putObject takes the fields of a JSON object by name; one that is missing is NULL, an unknown one is refused.
func (k *caster) putObject(b *builder, obj jsonObject) (first problem) {
	values := make([]any, len(b.kids))
	for _, m := range obj {
		i := fieldIndex(b.k.t, m.name)
		if i < 0 {
			return mismatch("a JSON field that " + b.k.t.String() + " does not have")
		}
		values[i] = m.value
	}
	var e cell
	for i := range b.kids {
		k.readJSONFor(&b.kids[i], values[i], &e)
		if p := k.put(&b.kids[i], &e); p.bad() && !first.bad() {
			first = p
		}
	}
	return first
}

// putText takes text and bytes, and under CastAllow any scalar as its canonical text.
func (k *caster) putText(b *builder, c *cell) problem {
	v := c.b
	if c.k != kindText && c.k != kindBinary {
		k.text = appendCanonical(k.text[:0], c)
		v = k.text
	}
	if c.k == kindBinary && b.k.t.Kind != table.KindBinary && !utf8.Valid(v) {
		return mismatch("bytes that are not valid UTF-8")
	}
	if r, message := checkText(b.k.t, v, k.lim.MaxValueBytes); message != "" {
		return problem{r, message}
	}
	b.data = append(b.data, v...)
	b.closeVar()
	return problem{}
}
