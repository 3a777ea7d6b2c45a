package batch

import (
	"encoding/binary"
	"hash/crc32"
	"math/big"

	"github.com/sluice-io/sluice/service/internal/table"
)

// Field numbers of the record stream (protocol section 13); frozen. The first two end a stream, the third a record.
const (
	recordMetaCount    = 33554430
	recordMetaChecksum = 33554431
	recordEnd          = 33553408
)

// Wire types of protobuf as the record stream uses them; frozen.
const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
	wireFixed32 = 5
)

var recordEndTag = appendVarint(nil, recordEnd<<3|wireVarint)

func appendVarint(b []byte, v uint64) []byte {
	for v >= 0x80 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}

func zigzag(v int64) uint64 { return uint64(v<<1) ^ uint64(v>>63) }

// AppendRecordTrailer ends a record stream of rows records whose CRCs have the CRC-32C crc (Checked.RecordCRC).
func AppendRecordTrailer(dst []byte, rows int64, crc uint32) []byte {
	dst = appendVarint(appendVarint(dst, recordMetaCount<<3|wireVarint), zigzag(rows))
	return appendVarint(appendVarint(dst, recordMetaChecksum<<3|wireVarint), uint64(crc))
}

// recordEncoder writes columns row by row as tunnel records. What enters a record's CRC is gathered and hashed once
// at its end: hashing field by field costs more than all the rest.
type recordEncoder struct {
	buf  []byte
	hash []byte // what enters the CRC of the record being written
	crcs []byte // of the records so far
	cols []recordColumn
	dec  big.Int
	text []byte
}

type recordColumn struct {
	*column
	kind  table.Kind
	t     *table.Type
	tag   []byte
	index [4]byte
}

// encode gives rows 0 … rows−1 of the columns, in table order, as records without a trailer, and the CRC-32C over the
// records' CRCs.
func (e *recordEncoder) encode(schema []table.Column, cols []column, rows int) (Payload, uint32) {
	e.prepare(schema, cols)
	out := getBuffer(e.estimate(cols, rows))
	e.buf = *out
	e.crcs = e.crcs[:0]
	for row := range rows {
		e.record(row)
	}
	*out = e.buf
	crc := crc32.Update(0, castagnoli, e.crcs)
	e.drop()
	return pooledPayload(out), crc
}

func (e *recordEncoder) prepare(schema []table.Column, cols []column) {
	e.cols = e.cols[:0]
	for i := range cols {
		c := recordColumn{column: &cols[i], kind: schema[i].Type.Kind, t: &schema[i].Type}
		c.tag = appendVarint(nil, uint64(i+1)<<3|wireType(c.kind))
		binary.LittleEndian.PutUint32(c.index[:], uint32(i+1))
		e.cols = append(e.cols, c)
	}
}

// drop forgets everything of this batch, and scratch that an idle slice should not hold.
func (e *recordEncoder) drop() {
	clear(e.cols)
	*e = recordEncoder{cols: e.cols[:0]}
}

// estimate is room that fits nearly always: values grow by little, and each has a tag.
func (e *recordEncoder) estimate(cols []column, rows int) int {
	n := rows * (11 + 2*len(cols))
	for i := range cols {
		n += estimateColumn(&cols[i])
	}
	return n
}

func estimateColumn(c *column) int {
	n := len(c.data) + len(c.data)/4 + len(c.aux) + c.n
	for i := range c.kids {
		n += estimateColumn(&c.kids[i])
	}
	return n
}

func wireType(k table.Kind) uint64 {
	switch k {
	case table.KindBoolean, table.KindTinyint, table.KindSmallint, table.KindInt, table.KindBigint, table.KindDatetime,
		table.KindDate, table.KindIntervalYearMonth:
		return wireVarint
	case table.KindDouble:
		return wireFixed64
	case table.KindFloat:
		return wireFixed32
	}
	return wireBytes
}

func (e *recordEncoder) record(row int) {
	buf, hash := e.buf, e.hash[:0]
	for i := range e.cols {
		c := &e.cols[i]
		if !c.isValid(row) {
			continue
		}
		buf, hash = append(buf, c.tag...), append(hash, c.index[:]...)
		buf, hash = e.value(buf, hash, c.column, c.t, row)
	}
	crc := crc32.Update(0, castagnoli, hash)
	e.hash = hash
	e.buf = appendVarint(append(buf, recordEndTag...), uint64(crc))
	e.crcs = binary.LittleEndian.AppendUint32(e.crcs, crc)
}

// value appends value i of c, which is not NULL, to the record and to what enters its CRC. Both slices go through the
// calls as values: kept in the encoder, each append would cost a write to the heap. Fields and elements are encoded
// alike.
func (e *recordEncoder) value(buf, hash []byte, c *column, t *table.Type, i int) (record, hashed []byte) {
	switch t.Kind {
	case table.KindBoolean:
		bit := c.data[i>>3] >> (i & 7) & 1
		return append(buf, bit), append(hash, bit)
	case table.KindTinyint, table.KindSmallint, table.KindInt, table.KindIntervalYearMonth:
		v, _ := c.intAt(i)
		return putInteger(buf, hash, v)
	case table.KindBigint, table.KindDatetime:
		return putInteger(buf, hash, int64(binary.LittleEndian.Uint64(c.data[8*i:])))
	case table.KindDate:
		return putInteger(buf, hash, int64(int32(binary.LittleEndian.Uint32(c.data[4*i:]))))
	case table.KindFloat:
		v := binary.LittleEndian.Uint32(c.data[4*i:])
		return binary.LittleEndian.AppendUint32(buf, v), binary.LittleEndian.AppendUint32(hash, v)
	case table.KindDouble:
		v := binary.LittleEndian.Uint64(c.data[8*i:])
		return binary.LittleEndian.AppendUint64(buf, v), binary.LittleEndian.AppendUint64(hash, v)
	case table.KindString, table.KindChar, table.KindVarchar, table.KindJSON, table.KindBinary:
		b := c.data[binary.LittleEndian.Uint32(c.off[4*i:]):binary.LittleEndian.Uint32(c.off[4*i+4:])]
		return append(appendVarint(buf, uint64(len(b))), b...), append(hash, b...)
	case table.KindDecimal:
		setTwosComplement(&e.dec, c.data[i*c.lt.width:(i+1)*c.lt.width])
		e.text = appendDecimal(e.text[:0], &e.dec, t.Scale)
		return append(appendVarint(buf, uint64(len(e.text))), e.text...), append(hash, e.text...)
	case table.KindTimestamp, table.KindTimestampNTZ, table.KindIntervalDayTime:
		return putPair(buf, hash, c, i)
	case table.KindArray:
		from, to := c.extent(i)
		return e.array(buf, hash, &c.kids[0], &t.Children[0].Type, from, to)
	case table.KindMap:
		from, to := c.extent(i)
		buf, hash = e.array(buf, hash, &c.kids[0], &t.Children[0].Type, from, to)
		return e.array(buf, hash, &c.kids[1], &t.Children[1].Type, from, to)
	case table.KindStruct:
		for f := range c.kids {
			buf, hash = e.element(buf, hash, &c.kids[f], &t.Children[f].Type, i)
		}
	}
	return buf, hash
}

func putInteger(buf, hash []byte, v int64) (record, hashed []byte) {
	return appendVarint(buf, zigzag(v)), binary.LittleEndian.AppendUint64(hash, uint64(v))
}

func putPair(buf, hash []byte, c *column, i int) (record, hashed []byte) {
	seconds := int64(binary.LittleEndian.Uint64(c.data[8*i:]))
	var nanos int32
	if c.lt.lay == layPair {
		nanos = int32(binary.LittleEndian.Uint32(c.aux[4*i:]))
	} else {
		s, rest := floorDiv(seconds, 1e9)
		seconds, nanos = s, int32(rest)
	}
	buf = appendVarint(appendVarint(buf, zigzag(seconds)), uint64(nanos)<<1) // nanos are not negative
	return buf, binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint64(hash, uint64(seconds)), uint32(nanos))
}

func (e *recordEncoder) element(buf, hash []byte, c *column, t *table.Type, i int) (record, hashed []byte) {
	if !c.isValid(i) {
		return append(buf, 1), hash
	}
	return e.value(append(buf, 0), hash, c, t, i)
}

func (e *recordEncoder) array(buf, hash []byte, c *column, t *table.Type, from, to int) (record, hashed []byte) {
	buf = appendVarint(buf, uint64(to-from))
	if c.valid == nil && c.lt.lay == layFixed && c.lt.class == classFloat {
		w := c.lt.width
		src := c.data[from*w : to*w]
		return putFloats(buf, src, w), append(hash, src...)
	}
	for i := from; i < to; i++ {
		buf, hash = e.element(buf, hash, c, t, i)
	}
	return buf, hash
}

// putFloats is array for vectors, the commonest of them: each element is a 0 and its bytes.
func putFloats(buf, src []byte, w int) []byte {
	at := len(buf)
	buf = grow(buf, len(src)/w*(w+1))
	dst := buf[at:]
	if w == 4 {
		for len(src) >= 8 && len(dst) >= 10 {
			v := binary.LittleEndian.Uint64(src)
			binary.LittleEndian.PutUint64(dst, v<<8&0xff_ffff_ffff)
			binary.LittleEndian.PutUint32(dst[6:], uint32(v>>32))
			dst[5] = 0
			src, dst = src[8:], dst[10:]
		}
		if len(src) >= 4 && len(dst) >= 5 {
			dst[0] = 0
			binary.LittleEndian.PutUint32(dst[1:], binary.LittleEndian.Uint32(src))
		}
		return buf
	}
	for len(src) >= 8 && len(dst) >= 9 {
		dst[0] = 0
		binary.LittleEndian.PutUint64(dst[1:], binary.LittleEndian.Uint64(src))
		src, dst = src[8:], dst[9:]
	}
	return buf
}
