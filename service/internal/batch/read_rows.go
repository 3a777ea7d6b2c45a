package batch

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/table"
)

// Seconds that google.protobuf.Timestamp (years 0001–9999) and Duration (10,000 years) can hold.
const (
	leastInstant = -62135596800
	mostInstant  = 253402300799
	mostDuration = 315576000000
)

// addRows gathers a chunk in the form of rows of values. It allocates per value: rows are for hands and curl.
func (e *Encoder) addRows(firstRow int64, c *Chunk, vectors []vector, emit Emit) error {
	for i := range c.rows {
		row, err := e.row(firstRow+int64(i), c, vectors, i)
		if err != nil {
			if flushErr := e.Flush(emit); flushErr != nil {
				return flushErr
			}
			return err
		}
		size := protowire.SizeTag(1) + protowire.SizeBytes(proto.Size(row))
		if e.rows > 0 && (e.bytes+size > e.target || e.rows >= e.opts.MaxBatchRows) {
			if err := e.Flush(emit); err != nil {
				return err
			}
		}
		if size > e.limit {
			return e.tooLarge(firstRow+int64(i), size)
		}
		e.list = append(e.list, row)
		e.rows++
		e.bytes += size
	}
	return nil
}

func (e *Encoder) row(number int64, c *Chunk, vectors []vector, i int) (*sluicev1.Row, error) {
	row := &sluicev1.Row{Values: make([]*sluicev1.Value, len(e.columns))}
	for k, col := range e.columns {
		v, s, at := &e.constants[k], &e.shapes[k], 0
		if col.Source != PartitionColumn {
			v, s, at = &vectors[col.Source], &c.shapes[col.Source], i
		}
		value, err := v.value(s, at)
		if err != nil {
			return nil, apierr.New(apierr.TypeMismatch, "row %d, column %q: %v; read with format ARROW or COLUMNS", number, col.Column.Name, err).
				With("row", strconv.FormatInt(number, 10)).With("column", col.Column.Name).With("choices", "format ARROW or COLUMNS")
		}
		row.Values[k] = value
	}
	return row, nil
}

// value is row i as the API's Value; NULL is one without a kind. The error says what does not fit.
func (v *vector) value(s *shape, i int) (*sluicev1.Value, error) {
	if v.null(i) {
		return &sluicev1.Value{}, nil
	}
	switch s.typ.Kind {
	case table.KindBoolean:
		return &sluicev1.Value{Kind: &sluicev1.Value_Boolean{Boolean: v.data[i/8]>>(i%8)&1 == 1}}, nil
	case table.KindTinyint:
		return integerValue(int64(int8(v.data[i]))), nil
	case table.KindSmallint:
		return integerValue(int64(int16(uint16(v.data[2*i]) | uint16(v.data[2*i+1])<<8))), nil
	case table.KindInt:
		return integerValue(int64(v.int32(i))), nil
	case table.KindBigint:
		return integerValue(v.int64(i)), nil
	case table.KindFloat:
		return numberValue(float64(math.Float32frombits(uint32(v.int32(i))))), nil
	case table.KindDouble:
		return numberValue(math.Float64frombits(uint64(v.int64(i)))), nil
	case table.KindDecimal:
		text := decimalText(v.data[i*s.width:(i+1)*s.width], s.typ.Scale)
		return &sluicev1.Value{Kind: &sluicev1.Value_Decimal{Decimal: text}}, nil
	case table.KindString, table.KindChar, table.KindVarchar, table.KindJSON:
		return textValue(v.bytes(i)), nil
	case table.KindBinary:
		return &sluicev1.Value{Kind: &sluicev1.Value_Binary{Binary: slices.Clone(v.bytes(i))}}, nil
	case table.KindDate:
		return dateValue(v.int32(i)), nil
	case table.KindDatetime:
		ms := v.int64(i)
		sec := ms / 1000
		if ms%1000 < 0 {
			sec--
		}
		return instantValue(sec, int32(ms-sec*1000)*1e6)
	case table.KindTimestamp, table.KindTimestampNTZ:
		return instantValue(v.stampAt(s.stamp, i))
	case table.KindIntervalDayTime:
		return intervalValue(v.int64(i), v.nano(i))
	case table.KindIntervalYearMonth:
		return &sluicev1.Value{Kind: &sluicev1.Value_Months{Months: v.int32(i)}}, nil
	default:
		return v.nested(s, i)
	}
}

func (v *vector) nested(s *shape, i int) (*sluicev1.Value, error) {
	switch s.typ.Kind {
	case table.KindArray:
		values, err := v.children[0].values(&s.children[0], v.offset(i), v.offset(i+1))
		return &sluicev1.Value{Kind: &sluicev1.Value_List{List: &sluicev1.ListValue{Values: values}}}, err
	case table.KindMap:
		entry, es := &v.children[0], &s.children[0]
		keys, err := entry.children[0].values(&es.children[0], v.offset(i), v.offset(i+1))
		if err != nil {
			return nil, err
		}
		values, err := entry.children[1].values(&es.children[1], v.offset(i), v.offset(i+1))
		if err != nil {
			return nil, err
		}
		m := &sluicev1.MapValue{Entries: make([]*sluicev1.MapEntry, len(keys))}
		for k := range keys {
			m.Entries[k] = &sluicev1.MapEntry{Key: keys[k], Value: values[k]}
		}
		return &sluicev1.Value{Kind: &sluicev1.Value_Map{Map: m}}, nil
	case table.KindStruct:
		fields := make([]*sluicev1.Value, len(s.children))
		for k := range s.children {
			f, err := v.children[k].value(&s.children[k], i)
			if err != nil {
				return nil, err
			}
			fields[k] = f
		}
		return &sluicev1.Value{Kind: &sluicev1.Value_Record{Record: &sluicev1.StructValue{Fields: fields}}}, nil
	}
	return nil, fmt.Errorf("no value form for type %s", s.typ)
}

func (v *vector) values(s *shape, from, to int) ([]*sluicev1.Value, error) {
	out := make([]*sluicev1.Value, 0, to-from)
	for i := from; i < to; i++ {
		x, err := v.value(s, i)
		if err != nil {
			return nil, err
		}
		out = append(out, x)
	}
	return out, nil
}

func integerValue(n int64) *sluicev1.Value {
	return &sluicev1.Value{Kind: &sluicev1.Value_Integer{Integer: n}}
}

func numberValue(f float64) *sluicev1.Value {
	return &sluicev1.Value{Kind: &sluicev1.Value_Number{Number: f}}
}

// textValue is text, or binary when the bytes are not UTF-8.
func textValue(b []byte) *sluicev1.Value {
	if !utf8.Valid(b) {
		return &sluicev1.Value{Kind: &sluicev1.Value_Binary{Binary: slices.Clone(b)}}
	}
	return &sluicev1.Value{Kind: &sluicev1.Value_Text{Text: string(b)}}
}

func dateValue(days int32) *sluicev1.Value {
	y, m, d := time.Unix(int64(days)*86400, 0).UTC().Date()
	return &sluicev1.Value{Kind: &sluicev1.Value_Date{Date: &sluicev1.Date{Year: int32(y), Month: int32(m), Day: int32(d)}}}
}

func instantValue(sec int64, nano int32) (*sluicev1.Value, error) {
	if sec < leastInstant || sec > mostInstant {
		return nil, fmt.Errorf("an instant outside years 0001 to 9999")
	}
	return &sluicev1.Value{Kind: &sluicev1.Value_Instant{Instant: &timestamppb.Timestamp{Seconds: sec, Nanos: nano}}}, nil
}

// intervalValue turns floored seconds with nanos ≥ 0 into Duration's rule that both have one sign.
func intervalValue(sec int64, nano int32) (*sluicev1.Value, error) {
	if sec < -mostDuration || sec > mostDuration {
		return nil, fmt.Errorf("an interval of more than 10,000 years")
	}
	if sec < 0 && nano > 0 {
		sec++
		nano -= 1e9
	}
	return &sluicev1.Value{Kind: &sluicev1.Value_Interval{Interval: &durationpb.Duration{Seconds: sec, Nanos: nano}}}, nil
}

// decimalText writes an unscaled little-endian two's complement number with all digits of its scale: 12.30.
func decimalText(unscaled []byte, scale int) string {
	be := slices.Clone(unscaled)
	slices.Reverse(be)
	n := new(big.Int).SetBytes(be)
	if be[0]&0x80 != 0 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(be))))
	}
	digits := new(big.Int).Abs(n).String()
	if scale > 0 {
		if len(digits) <= scale {
			digits = strings.Repeat("0", scale-len(digits)+1) + digits
		}
		digits = digits[:len(digits)-scale] + "." + digits[len(digits)-scale:]
	}
	if n.Sign() < 0 {
		return "-" + digits
	}
	return digits
}
