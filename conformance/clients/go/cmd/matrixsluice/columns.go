package main

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/sluice-io/sluice/client"
	"github.com/sluice-io/sluice/conformance/clients/go/canon"
	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
)

// This file reads and writes the column form from the text of docs/api.md 4.2, one value at a time.

func writeColumns(w *client.Writer, columns []canon.Column, rows [][]canon.Value) error {
	batch := &sluicev1.ColumnBatch{}
	for c, column := range columns {
		values := make([]canon.Value, len(rows))
		for i, row := range rows {
			values[i] = row[c]
		}
		batch.Columns = append(batch.Columns, encodeColumn(column.Type, values))
	}
	return w.WriteColumns(len(rows), batch)
}

var le = binary.LittleEndian

func encodeColumn(t canon.Type, values []canon.Value) *sluicev1.ColumnData {
	d := &sluicev1.ColumnData{}
	if slices.Contains(values, nil) {
		d.Validity = bits(values, func(v canon.Value) bool { return v != nil })
	}
	switch t.Kind {
	case canon.Boolean:
		d.Data = bits(values, func(v canon.Value) bool { return v == true })
	case canon.String, canon.Char, canon.VarChar, canon.JSON, canon.Binary:
		for _, v := range values {
			switch v := v.(type) {
			case string:
				d.Data = append(d.Data, v...)
			case []byte:
				d.Data = append(d.Data, v...)
			}
			d.Offsets = le.AppendUint32(d.Offsets, uint32(len(d.Data))) //nolint:gosec // small
		}
		d.Offsets = append(make([]byte, 4), d.Offsets...)
	case canon.Array, canon.Map:
		encodeRepeated(d, t, values)
	case canon.Struct:
		for f, part := range t.Parts {
			fields := make([]canon.Value, len(values))
			for i, v := range values {
				if v, ok := v.([]canon.Value); ok {
					fields[i] = v[f]
				}
			}
			d.Children = append(d.Children, encodeColumn(part.Type, fields))
		}
	default:
		for _, v := range values {
			encodeFixed(d, t, v)
		}
	}
	return d
}

// bits packs what is says, lowest bit first.
func bits(values []canon.Value, is func(canon.Value) bool) []byte {
	packed := make([]byte, (len(values)+7)/8)
	for i, v := range values {
		if is(v) {
			packed[i/8] |= 1 << (i % 8)
		}
	}
	return packed
}

func encodeRepeated(d *sluicev1.ColumnData, t canon.Type, values []canon.Value) {
	parts := make([][]canon.Value, len(t.Parts)) // the elements, or keys and values
	d.Offsets = make([]byte, 4)
	for _, v := range values {
		switch v := v.(type) {
		case []canon.Value:
			parts[0] = append(parts[0], v...)
		case []canon.Pair:
			for _, p := range v {
				parts[0], parts[1] = append(parts[0], p.Key), append(parts[1], p.Value)
			}
		}
		d.Offsets = le.AppendUint32(d.Offsets, uint32(len(parts[0]))) //nolint:gosec // small
	}
	for i, part := range t.Parts {
		d.Children = append(d.Children, encodeColumn(part.Type, parts[i]))
	}
}

// encodeFixed appends a value of fixed width; NULL takes the room of a zero.
func encodeFixed(d *sluicev1.ColumnData, t canon.Type, v canon.Value) {
	number, _ := v.(int64)
	moment, ok := v.(time.Time)
	if !ok {
		moment = time.Unix(0, 0)
	}
	switch t.Kind {
	case canon.TinyInt:
		d.Data = append(d.Data, byte(number))
	case canon.SmallInt:
		d.Data = le.AppendUint16(d.Data, uint16(number)) //nolint:gosec // two's complement
	case canon.Int, canon.IntervalYearMonth:
		d.Data = le.AppendUint32(d.Data, uint32(number)) //nolint:gosec // two's complement
	case canon.BigInt:
		d.Data = le.AppendUint64(d.Data, uint64(number)) //nolint:gosec // two's complement
	case canon.Float:
		f, _ := v.(float32)
		d.Data = le.AppendUint32(d.Data, math.Float32bits(f))
	case canon.Double:
		f, _ := v.(float64)
		d.Data = le.AppendUint64(d.Data, math.Float64bits(f))
	case canon.Decimal:
		text, _ := v.(string)
		d.Data = append(d.Data, unscaled(text, decimalWidth(t))...)
	case canon.Date:
		d.Data = le.AppendUint32(d.Data, uint32(moment.Unix()/86400)) //nolint:gosec // two's complement
	case canon.DateTime:
		d.Data = le.AppendUint64(d.Data, uint64(moment.UnixMilli())) //nolint:gosec // two's complement
	case canon.IntervalDayTime:
		interval, _ := v.(canon.Interval)
		d.Data, d.Nanos = le.AppendUint64(d.Data, uint64(interval.Seconds)), le.AppendUint32(d.Nanos, uint32(interval.Nanos)) //nolint:gosec // two's complement
	default: // TIMESTAMP, TIMESTAMP_NTZ
		d.Data, d.Nanos = le.AppendUint64(d.Data, uint64(moment.Unix())), le.AppendUint32(d.Nanos, uint32(moment.Nanosecond())) //nolint:gosec // two's complement
	}
}

func decimalWidth(t canon.Type) int {
	if t.Precision > 38 {
		return 32
	}
	return 16
}

// unscaled is the text without its point in two's complement, little-endian.
func unscaled(text string, width int) []byte {
	n, _ := new(big.Int).SetString("0"+strings.TrimPrefix(strings.Replace(text, ".", "", 1), "-"), 10)
	if strings.HasPrefix(text, "-") {
		n.Sub(new(big.Int).Lsh(big.NewInt(1), uint(width)*8), n) //nolint:gosec // 16 or 32
	}
	out := n.FillBytes(make([]byte, width+1))[1:] // minus zero has one bit more
	slices.Reverse(out)
	return out
}

// decodeColumn reads n values.
func decodeColumn(t canon.Type, d *sluicev1.ColumnData, n int) ([]canon.Value, error) {
	values := make([]canon.Value, n)
	offset := func(i int) int { return int(le.Uint32(d.GetOffsets()[4*i:])) }
	var children [][]canon.Value
	for i, part := range t.Parts {
		length := n
		if t.Kind != canon.Struct {
			length = offset(n)
		}
		decoded, err := decodeColumn(part.Type, d.GetChildren()[i], length)
		if err != nil {
			return nil, err
		}
		children = append(children, decoded)
	}
	for i := range values {
		if len(d.GetValidity()) > 0 && d.GetValidity()[i/8]>>(i%8)&1 == 0 {
			continue
		}
		switch t.Kind {
		case canon.Boolean:
			values[i] = d.GetData()[i/8]>>(i%8)&1 == 1
		case canon.Binary:
			values[i] = d.GetData()[offset(i):offset(i+1)]
		case canon.String, canon.Char, canon.VarChar, canon.JSON:
			values[i] = string(d.GetData()[offset(i):offset(i+1)])
		case canon.Array:
			values[i] = append([]canon.Value{}, children[0][offset(i):offset(i+1)]...)
		case canon.Map:
			pairs := []canon.Pair{}
			for j := offset(i); j < offset(i+1); j++ {
				pairs = append(pairs, canon.Pair{Key: children[0][j], Value: children[1][j]})
			}
			values[i] = pairs
		case canon.Struct:
			fields := make([]canon.Value, len(children))
			for f := range fields {
				fields[f] = children[f][i]
			}
			values[i] = fields
		default:
			v, err := decodeFixed(t, d, i)
			if err != nil {
				return nil, err
			}
			values[i] = v
		}
	}
	return values, nil
}

func decodeFixed(t canon.Type, d *sluicev1.ColumnData, i int) (canon.Value, error) {
	at := func(width int) []byte { return d.GetData()[i*width : (i+1)*width] }
	switch t.Kind {
	case canon.TinyInt:
		return int64(int8(at(1)[0])), nil
	case canon.SmallInt:
		return int64(int16(le.Uint16(at(2)))), nil //nolint:gosec // two's complement
	case canon.Int, canon.IntervalYearMonth:
		return int64(int32(le.Uint32(at(4)))), nil //nolint:gosec // two's complement
	case canon.BigInt:
		return int64(le.Uint64(at(8))), nil //nolint:gosec // two's complement
	case canon.Float:
		return math.Float32frombits(le.Uint32(at(4))), nil
	case canon.Double:
		return math.Float64frombits(le.Uint64(at(8))), nil
	case canon.Decimal:
		return scaled(at(decimalWidth(t)), t.Scale), nil
	case canon.Date:
		return time.Unix(int64(int32(le.Uint32(at(4))))*86400, 0).UTC(), nil //nolint:gosec // two's complement
	case canon.DateTime:
		return time.UnixMilli(int64(le.Uint64(at(8)))).UTC(), nil //nolint:gosec // two's complement
	case canon.Timestamp, canon.TimestampNTZ, canon.IntervalDayTime:
		seconds, nanos := int64(le.Uint64(at(8))), int32(le.Uint32(d.GetNanos()[4*i:])) //nolint:gosec // two's complement
		if t.Kind == canon.IntervalDayTime {
			return canon.Interval{Seconds: seconds, Nanos: nanos}, nil
		}
		return time.Unix(seconds, int64(nanos)).UTC(), nil
	default:
		return nil, fmt.Errorf("type %s", t.Kind)
	}
}

// scaled writes a decimal in two's complement, little-endian, as text.
func scaled(b []byte, scale int) string {
	b = slices.Clone(b)
	slices.Reverse(b)
	n := new(big.Int).SetBytes(b)
	if b[0]&0x80 != 0 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(len(b))*8))
	}
	return canon.ScaledDecimal(n, scale)
}
