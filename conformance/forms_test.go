package conformance

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"strings"
	"time"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
)

// This file holds a second opinion on ColumnBatch: it encodes and decodes column buffers from the text of docs/api.md
// 4.2 and 4.5 alone, one value at a time, sharing nothing with the service.

// show is a text of a value in which different values look different.
func show(v *sluicev1.Value) string {
	switch k := v.GetKind().(type) {
	case nil:
		return "NULL"
	case *sluicev1.Value_Number:
		return fmt.Sprintf("number %x", math.Float64bits(k.Number))
	case *sluicev1.Value_Text:
		return fmt.Sprintf("text %q", k.Text)
	case *sluicev1.Value_Binary:
		return fmt.Sprintf("binary %x", k.Binary)
	case *sluicev1.Value_Date:
		return fmt.Sprintf("date %d-%d-%d", k.Date.GetYear(), k.Date.GetMonth(), k.Date.GetDay())
	case *sluicev1.Value_Instant:
		return fmt.Sprintf("instant %d.%09d", k.Instant.GetSeconds(), k.Instant.GetNanos())
	case *sluicev1.Value_Interval:
		return fmt.Sprintf("interval %d %d", k.Interval.GetSeconds(), k.Interval.GetNanos())
	case *sluicev1.Value_List:
		return "list[" + showAll(k.List.GetValues()) + "]"
	case *sluicev1.Value_Record:
		return "record(" + showAll(k.Record.GetFields()) + ")"
	case *sluicev1.Value_Map:
		var parts []string
		for _, e := range k.Map.GetEntries() {
			parts = append(parts, show(e.GetKey())+":"+show(e.GetValue()))
		}
		return "map{" + strings.Join(parts, ", ") + "}"
	default:
		return strings.TrimSpace(fmt.Sprintf("%T %v", k, v))
	}
}

func showAll(vs []*sluicev1.Value) string {
	var parts []string
	for _, v := range vs {
		parts = append(parts, show(v))
	}
	return strings.Join(parts, ", ")
}

func columnBatch(columns []*sluicev1.Column, rows []*sluicev1.Row) *sluicev1.ColumnBatch {
	b := &sluicev1.ColumnBatch{}
	for c, column := range columns {
		values := make([]*sluicev1.Value, len(rows))
		for i, r := range rows {
			values[i] = r.GetValues()[c]
		}
		b.Columns = append(b.Columns, encodeColumn(column.GetType(), values))
	}
	return b
}

func encodeColumn(t *sluicev1.DataType, values []*sluicev1.Value) *sluicev1.ColumnData {
	d := &sluicev1.ColumnData{Validity: validity(values)}
	switch t.GetKind() {
	case sluicev1.TypeKind_TYPE_KIND_ARRAY:
		var elements []*sluicev1.Value
		d.Offsets = offsets(values, func(v *sluicev1.Value) int {
			elements = append(elements, v.GetList().GetValues()...)
			return len(v.GetList().GetValues())
		})
		d.Children = []*sluicev1.ColumnData{encodeColumn(t.GetChildren()[0].GetType(), elements)}
	case sluicev1.TypeKind_TYPE_KIND_MAP:
		var keys, mapped []*sluicev1.Value
		d.Offsets = offsets(values, func(v *sluicev1.Value) int {
			for _, e := range v.GetMap().GetEntries() {
				keys, mapped = append(keys, e.GetKey()), append(mapped, e.GetValue())
			}
			return len(v.GetMap().GetEntries())
		})
		d.Children = []*sluicev1.ColumnData{
			encodeColumn(t.GetChildren()[0].GetType(), keys), encodeColumn(t.GetChildren()[1].GetType(), mapped),
		}
	case sluicev1.TypeKind_TYPE_KIND_STRUCT:
		for f, field := range t.GetChildren() {
			fields := make([]*sluicev1.Value, len(values))
			for i, v := range values {
				fields[i] = null()
				if v.GetRecord() != nil {
					fields[i] = v.GetRecord().GetFields()[f]
				}
			}
			d.Children = append(d.Children, encodeColumn(field.GetType(), fields))
		}
	case sluicev1.TypeKind_TYPE_KIND_STRING, sluicev1.TypeKind_TYPE_KIND_CHAR, sluicev1.TypeKind_TYPE_KIND_VARCHAR, sluicev1.TypeKind_TYPE_KIND_JSON, sluicev1.TypeKind_TYPE_KIND_BINARY:
		d.Offsets = offsets(values, func(v *sluicev1.Value) int {
			b := v.GetBinary()
			if v.GetBinary() == nil {
				b = []byte(v.GetText())
			}
			d.Data = append(d.Data, b...)
			return len(b)
		})
	case sluicev1.TypeKind_TYPE_KIND_BOOLEAN:
		d.Data = make([]byte, (len(values)+7)/8)
		for i, v := range values {
			if v.GetBoolean() {
				d.Data[i/8] |= 1 << (i % 8)
			}
		}
	default:
		for _, v := range values {
			d.Data, d.Nanos = encodeFixed(t, v, d.Data, d.Nanos)
		}
	}
	return d
}

func validity(values []*sluicev1.Value) []byte {
	bits, some := make([]byte, (len(values)+7)/8), false
	for i, v := range values {
		if v.GetKind() == nil {
			some = true
			continue
		}
		bits[i/8] |= 1 << (i % 8)
	}
	if !some {
		return nil
	}
	return bits
}

func offsets(values []*sluicev1.Value, add func(*sluicev1.Value) int) []byte {
	b := binary.LittleEndian.AppendUint32(nil, 0)
	total := 0
	for _, v := range values {
		total += add(v)
		b = binary.LittleEndian.AppendUint32(b, uint32(total))
	}
	return b
}

func encodeFixed(t *sluicev1.DataType, v *sluicev1.Value, data, nanos []byte) (d, n []byte) {
	le := binary.LittleEndian
	switch t.GetKind() {
	case sluicev1.TypeKind_TYPE_KIND_TINYINT:
		return append(data, byte(v.GetInteger())), nil
	case sluicev1.TypeKind_TYPE_KIND_SMALLINT:
		return le.AppendUint16(data, uint16(v.GetInteger())), nil
	case sluicev1.TypeKind_TYPE_KIND_INT:
		return le.AppendUint32(data, uint32(v.GetInteger())), nil
	case sluicev1.TypeKind_TYPE_KIND_BIGINT:
		return le.AppendUint64(data, uint64(v.GetInteger())), nil
	case sluicev1.TypeKind_TYPE_KIND_FLOAT:
		return le.AppendUint32(data, math.Float32bits(float32(v.GetNumber()))), nil
	case sluicev1.TypeKind_TYPE_KIND_DOUBLE:
		return le.AppendUint64(data, math.Float64bits(v.GetNumber())), nil
	case sluicev1.TypeKind_TYPE_KIND_DECIMAL:
		return append(data, unscaled(v.GetDecimal(), decimalWidth(t))...), nil
	case sluicev1.TypeKind_TYPE_KIND_DATE:
		return le.AppendUint32(data, uint32(daysOf(v.GetDate()))), nil
	case sluicev1.TypeKind_TYPE_KIND_DATETIME:
		ms := v.GetInstant().GetSeconds()*1000 + int64(v.GetInstant().GetNanos())/1e6
		return le.AppendUint64(data, uint64(ms)), nil
	case sluicev1.TypeKind_TYPE_KIND_TIMESTAMP, sluicev1.TypeKind_TYPE_KIND_TIMESTAMP_NTZ:
		return le.AppendUint64(data, uint64(v.GetInstant().GetSeconds())), le.AppendUint32(nanos, uint32(v.GetInstant().GetNanos()))
	case sluicev1.TypeKind_TYPE_KIND_INTERVAL_DAY_TIME:
		seconds, part := floored(v)
		return le.AppendUint64(data, uint64(seconds)), le.AppendUint32(nanos, uint32(part))
	case sluicev1.TypeKind_TYPE_KIND_INTERVAL_YEAR_MONTH:
		return le.AppendUint32(data, uint32(v.GetMonths())), nil
	}
	panic("type " + t.GetText())
}

func floored(v *sluicev1.Value) (seconds int64, nanos int32) {
	seconds, nanos = v.GetInterval().GetSeconds(), v.GetInterval().GetNanos()
	if nanos < 0 {
		return seconds - 1, nanos + 1e9
	}
	return seconds, nanos
}

func daysOf(d *sluicev1.Date) int32 {
	if d == nil {
		return 0
	}
	return int32(time.Date(int(d.GetYear()), time.Month(d.GetMonth()), int(d.GetDay()), 0, 0, 0, 0, time.UTC).Unix() / 86400)
}

func dateOf(days int32) *sluicev1.Value {
	d := time.Unix(int64(days)*86400, 0).UTC()
	return date(int32(d.Year()), int32(d.Month()), int32(d.Day()))
}

func decimalWidth(t *sluicev1.DataType) int {
	if t.GetPrecision() > 0 && t.GetPrecision() <= 38 {
		return 16
	}
	return 32
}

// unscaled is the little-endian two's complement of a decimal text without its point.
func unscaled(s string, width int) []byte {
	n, ok := new(big.Int).SetString(strings.Replace(cmpOr(s, "0"), ".", "", 1), 10)
	if !ok {
		panic("decimal " + s)
	}
	if n.Sign() < 0 {
		n.Add(n, new(big.Int).Lsh(big.NewInt(1), uint(8*width)))
	}
	b := n.FillBytes(make([]byte, width))
	for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
	return b
}

func cmpOr(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// decimalText is the inverse of unscaled at a scale.
func decimalText(le []byte, scale int) string {
	b := make([]byte, len(le))
	for i := range le {
		b[len(le)-1-i] = le[i]
	}
	n := new(big.Int).SetBytes(b)
	if b[0]&0x80 != 0 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	return scaledText(n, scale)
}

func scaledText(n *big.Int, scale int) string {
	sign := ""
	if n.Sign() < 0 {
		sign = "-"
	}
	digits := new(big.Int).Abs(n).String()
	if len(digits) <= scale {
		digits = strings.Repeat("0", scale-len(digits)+1) + digits
	}
	if scale == 0 {
		return sign + digits
	}
	return sign + digits[:len(digits)-scale] + "." + digits[len(digits)-scale:]
}

func decodeBatch(columns []*sluicev1.Column, b *sluicev1.ColumnBatch, n int) []*sluicev1.Row {
	rows := make([]*sluicev1.Row, n)
	for i := range rows {
		rows[i] = &sluicev1.Row{}
	}
	for c, column := range columns {
		for i, v := range decodeColumn(column.GetType(), b.GetColumns()[c], n) {
			rows[i].Values = append(rows[i].Values, v)
		}
	}
	return rows
}

func decodeColumn(t *sluicev1.DataType, d *sluicev1.ColumnData, n int) []*sluicev1.Value {
	values := make([]*sluicev1.Value, n)
	children := decodeChildren(t, d, n)
	for i := range values {
		if v := d.GetValidity(); len(v) > 0 && v[i/8]&(1<<(i%8)) == 0 {
			values[i] = null()
			continue
		}
		values[i] = decodeAt(t, d, children, i)
	}
	return values
}

func decodeChildren(t *sluicev1.DataType, d *sluicev1.ColumnData, n int) [][]*sluicev1.Value {
	var children [][]*sluicev1.Value
	for c, child := range t.GetChildren() {
		length := n
		if t.GetKind() != sluicev1.TypeKind_TYPE_KIND_STRUCT {
			length = offsetAt(d, n)
		}
		children = append(children, decodeColumn(child.GetType(), d.GetChildren()[c], length))
	}
	return children
}

func offsetAt(d *sluicev1.ColumnData, i int) int {
	return int(int32(binary.LittleEndian.Uint32(d.GetOffsets()[4*i:])))
}

func decodeAt(t *sluicev1.DataType, d *sluicev1.ColumnData, children [][]*sluicev1.Value, i int) *sluicev1.Value {
	le, data := binary.LittleEndian, d.GetData()
	switch t.GetKind() {
	case sluicev1.TypeKind_TYPE_KIND_BOOLEAN:
		return boolean(data[i/8]&(1<<(i%8)) != 0)
	case sluicev1.TypeKind_TYPE_KIND_TINYINT:
		return integer(int64(int8(data[i])))
	case sluicev1.TypeKind_TYPE_KIND_SMALLINT:
		return integer(int64(int16(le.Uint16(data[2*i:]))))
	case sluicev1.TypeKind_TYPE_KIND_INT:
		return integer(int64(int32(le.Uint32(data[4*i:]))))
	case sluicev1.TypeKind_TYPE_KIND_BIGINT:
		return integer(int64(le.Uint64(data[8*i:])))
	case sluicev1.TypeKind_TYPE_KIND_FLOAT:
		return number(float64(math.Float32frombits(le.Uint32(data[4*i:]))))
	case sluicev1.TypeKind_TYPE_KIND_DOUBLE:
		return number(math.Float64frombits(le.Uint64(data[8*i:])))
	case sluicev1.TypeKind_TYPE_KIND_DECIMAL:
		w := decimalWidth(t)
		return decimal(decimalText(data[w*i:w*(i+1)], int(t.GetScale())))
	case sluicev1.TypeKind_TYPE_KIND_STRING, sluicev1.TypeKind_TYPE_KIND_CHAR, sluicev1.TypeKind_TYPE_KIND_VARCHAR, sluicev1.TypeKind_TYPE_KIND_JSON:
		return text(string(data[offsetAt(d, i):offsetAt(d, i+1)]))
	case sluicev1.TypeKind_TYPE_KIND_BINARY:
		return binaryOf(data[offsetAt(d, i):offsetAt(d, i+1)]...)
	case sluicev1.TypeKind_TYPE_KIND_DATE:
		return dateOf(int32(le.Uint32(data[4*i:])))
	case sluicev1.TypeKind_TYPE_KIND_DATETIME:
		return millis(int64(le.Uint64(data[8*i:])))
	case sluicev1.TypeKind_TYPE_KIND_TIMESTAMP, sluicev1.TypeKind_TYPE_KIND_TIMESTAMP_NTZ:
		return instant(int64(le.Uint64(data[8*i:])), int32(le.Uint32(d.GetNanos()[4*i:])))
	case sluicev1.TypeKind_TYPE_KIND_INTERVAL_DAY_TIME:
		return interval(int64(le.Uint64(data[8*i:])), int32(le.Uint32(d.GetNanos()[4*i:])))
	case sluicev1.TypeKind_TYPE_KIND_INTERVAL_YEAR_MONTH:
		return months(int32(le.Uint32(data[4*i:])))
	case sluicev1.TypeKind_TYPE_KIND_ARRAY:
		return list(children[0][offsetAt(d, i):offsetAt(d, i+1)]...)
	case sluicev1.TypeKind_TYPE_KIND_MAP:
		var entries []*sluicev1.Value
		for e := offsetAt(d, i); e < offsetAt(d, i+1); e++ {
			entries = append(entries, children[0][e], children[1][e])
		}
		return mapping(entries...)
	case sluicev1.TypeKind_TYPE_KIND_STRUCT:
		var fields []*sluicev1.Value
		for _, child := range children {
			fields = append(fields, child[i])
		}
		return record(fields...)
	}
	panic("type " + t.GetText())
}

// millis is the instant of epoch milliseconds.
func millis(ms int64) *sluicev1.Value {
	s := ms / 1000
	if ms%1000 < 0 {
		s--
	}
	return instant(s, int32(ms-s*1000)*1e6)
}
