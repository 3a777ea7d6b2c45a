package batch_test

import (
	"encoding/binary"
	"math"
	"math/big"

	"github.com/apache/arrow-go/v18/arrow/decimal256"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
	"github.com/sluice-io/sluice/service/internal/table"
)

func bitmap(n int, set func(int) bool) []byte {
	b := make([]byte, (n+7)/8)
	for i := range n {
		if set(i) {
			b[i/8] |= 1 << (i % 8)
		}
	}
	return b
}

func columnData(t *table.Type, values []any) *sluicev1.ColumnData {
	d := &sluicev1.ColumnData{}
	valid := func(i int) bool { return values[i] != nil }
	for i := range values {
		if !valid(i) {
			d.Validity = bitmap(len(values), valid)
			break
		}
	}
	le := binary.LittleEndian
	offset := func(n int) { d.Offsets = le.AppendUint32(d.Offsets, uint32(n)) }
	var kids [][]any
	switch t.Kind {
	case table.KindBoolean:
		d.Data = bitmap(len(values), func(i int) bool { return values[i] == true })
	case table.KindString, table.KindChar, table.KindVarchar, table.KindBinary, table.KindJSON, table.KindArray, table.KindMap:
		offset(0)
		kids = make([][]any, len(t.Children))
	case table.KindStruct:
		kids = make([][]any, len(t.Children))
	}
	integer := func(v any, width int) {
		n, _ := v.(int64)
		var b [8]byte
		le.PutUint64(b[:], uint64(n))
		d.Data = append(d.Data, b[:width]...)
	}
	for _, v := range values {
		switch t.Kind {
		case table.KindTinyint:
			integer(v, 1)
		case table.KindSmallint:
			integer(v, 2)
		case table.KindInt, table.KindDate, table.KindIntervalYearMonth:
			integer(v, 4)
		case table.KindBigint, table.KindDatetime:
			integer(v, 8)
		case table.KindFloat:
			f, _ := v.(float64)
			d.Data = le.AppendUint32(d.Data, math.Float32bits(float32(f)))
		case table.KindDouble:
			f, _ := v.(float64)
			d.Data = le.AppendUint64(d.Data, math.Float64bits(f))
		case table.KindDecimal:
			z, _ := v.(*big.Int)
			if z == nil {
				z = new(big.Int)
			}
			n := decimal256.FromBigInt(z).Array()
			for _, word := range n[:map[bool]int{true: 2, false: 4}[t.Precision <= 38]] {
				d.Data = le.AppendUint64(d.Data, word)
			}
		case table.KindTimestamp, table.KindTimestampNTZ, table.KindIntervalDayTime:
			i, _ := v.(instant)
			d.Data, d.Nanos = le.AppendUint64(d.Data, uint64(i.Sec)), le.AppendUint32(d.Nanos, uint32(i.Nanos))
		case table.KindString, table.KindChar, table.KindVarchar, table.KindBinary, table.KindJSON:
			s, _ := v.(string)
			d.Data = append(d.Data, s...)
			offset(len(d.Data))
		case table.KindArray:
			list, _ := v.([]any)
			kids[0] = append(kids[0], list...)
			offset(len(kids[0]))
		case table.KindMap:
			m, _ := v.(pairs)
			for _, p := range m {
				kids[0], kids[1] = append(kids[0], p[0]), append(kids[1], p[1])
			}
			offset(len(kids[0]))
		case table.KindStruct:
			fields, _ := v.([]any)
			for i := range kids {
				var f any
				if fields != nil {
					f = fields[i]
				}
				kids[i] = append(kids[i], f)
			}
		}
	}
	for i := range kids {
		d.Children = append(d.Children, columnData(&t.Children[i].Type, kids[i]))
	}
	return d
}

func columnBatch(cols []table.Column, data rows) *sluicev1.ColumnBatch {
	out := &sluicev1.ColumnBatch{}
	for c := range cols {
		values := make([]any, len(data))
		for i := range data {
			values[i] = data[i][c]
		}
		out.Columns = append(out.Columns, columnData(&cols[c].Type, values))
	}
	return out
}

func protoValue(t *table.Type, v any) *sluicev1.Value {
	out := &sluicev1.Value{}
	switch x := v.(type) {
	case bool:
		out.Kind = &sluicev1.Value_Boolean{Boolean: x}
	case float64:
		out.Kind = &sluicev1.Value_Number{Number: x}
	case *big.Int:
		out.Kind = &sluicev1.Value_Decimal{Decimal: decimal256.FromBigInt(x).ToString(int32(t.Scale))}
	case string:
		out.Kind = &sluicev1.Value_Text{Text: x}
		if t.Kind == table.KindBinary {
			out.Kind = &sluicev1.Value_Binary{Binary: []byte(x)}
		}
	case int64:
		switch t.Kind {
		case table.KindDate:
			d := (&timestamppb.Timestamp{Seconds: x * 86400}).AsTime()
			out.Kind = &sluicev1.Value_Date{Date: &sluicev1.Date{Year: int32(d.Year()), Month: int32(d.Month()), Day: int32(d.Day())}}
		case table.KindDatetime:
			s, ms := x/1000, x%1000
			if ms < 0 {
				s, ms = s-1, ms+1000
			}
			out.Kind = &sluicev1.Value_Instant{Instant: &timestamppb.Timestamp{Seconds: s, Nanos: int32(ms) * 1e6}}
		case table.KindIntervalYearMonth:
			out.Kind = &sluicev1.Value_Months{Months: int32(x)}
		default:
			out.Kind = &sluicev1.Value_Integer{Integer: x}
		}
	case instant:
		if t.Kind == table.KindIntervalDayTime {
			d := &durationpb.Duration{Seconds: x.Sec, Nanos: x.Nanos}
			if d.Seconds < 0 && d.Nanos > 0 {
				d.Seconds, d.Nanos = d.Seconds+1, d.Nanos-1e9
			}
			out.Kind = &sluicev1.Value_Interval{Interval: d}
			break
		}
		out.Kind = &sluicev1.Value_Instant{Instant: &timestamppb.Timestamp{Seconds: x.Sec, Nanos: x.Nanos}}
	case pairs:
		m := &sluicev1.MapValue{}
		for _, p := range x {
			m.Entries = append(m.Entries, &sluicev1.MapEntry{Key: protoValue(&t.Children[0].Type, p[0]), Value: protoValue(&t.Children[1].Type, p[1])})
		}
		out.Kind = &sluicev1.Value_Map{Map: m}
	case []any:
		var values []*sluicev1.Value
		for i, e := range x {
			kid := &t.Children[0].Type
			if t.Kind == table.KindStruct {
				kid = &t.Children[i].Type
			}
			values = append(values, protoValue(kid, e))
		}
		out.Kind = &sluicev1.Value_List{List: &sluicev1.ListValue{Values: values}}
		if t.Kind == table.KindStruct {
			out.Kind = &sluicev1.Value_Record{Record: &sluicev1.StructValue{Fields: values}}
		}
	}
	return out
}

func rowList(cols []table.Column, data rows) *sluicev1.RowList {
	out := &sluicev1.RowList{}
	for _, row := range data {
		r := &sluicev1.Row{}
		for i, v := range row {
			r.Values = append(r.Values, protoValue(&cols[i].Type, v))
		}
		out.Rows = append(out.Rows, r)
	}
	return out
}
