package canon

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Value is a value in memory:
//
//	nil                    NULL
//	bool                   BOOLEAN
//	int64                  integers, and INTERVAL_YEAR_MONTH in months
//	float64, float32       DOUBLE, FLOAT
//	string                 STRING, CHAR, VARCHAR, JSON, and DECIMAL with exactly its scale's digits
//	[]byte                 BINARY
//	time.Time              DATE, DATETIME, TIMESTAMP, TIMESTAMP_NTZ, in UTC
//	Interval               INTERVAL_DAY_TIME
//	[]Value                ARRAY, STRUCT
//	[]Pair                 MAP, in any order
type Value any

// Interval is a length of time: seconds rounded down, and nanoseconds from 0 on.
type Interval struct {
	Seconds int64
	Nanos   int32
}

// Pair is an entry of a MAP.
type Pair struct{ Key, Value Value }

// The layouts of times.
const (
	dateLayout      = "2006-01-02"
	dateTimeLayout  = "2006-01-02T15:04:05.000"
	timestampLayout = "2006-01-02T15:04:05.000000000"
)

// Parse reads a value's canonical text.
func Parse(t Type, text json.RawMessage) (Value, error) {
	if string(bytes.TrimSpace(text)) == "null" {
		return nil, nil //nolint:nilnil // NULL is a value
	}
	switch t.Kind {
	case Boolean:
		var b bool
		return b, unmarshal(text, &b)
	case Array, Struct:
		return parseList(t, text)
	case Map:
		return parseMap(t, text)
	default:
		var s string
		if err := unmarshal(text, &s); err != nil {
			return nil, err
		}
		return parseScalar(t, s)
	}
}

func unmarshal(text json.RawMessage, into any) error {
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("value %s: %w", text, err)
	}
	return nil
}

func parseScalar(t Type, s string) (Value, error) {
	switch t.Kind {
	case TinyInt, SmallInt, Int, BigInt, IntervalYearMonth:
		return strconv.ParseInt(s, 10, 64)
	case Double:
		if s == "nan" {
			return math.NaN(), nil
		}
		bits, err := strconv.ParseUint(s, 16, 64)
		return math.Float64frombits(bits), err
	case Float:
		if s == "nan" {
			return float32(math.NaN()), nil
		}
		bits, err := strconv.ParseUint(s, 16, 32)
		return math.Float32frombits(uint32(bits)), err
	case Binary:
		return hex.DecodeString(s)
	case Date:
		return time.Parse(dateLayout, s)
	case DateTime:
		return time.Parse(dateTimeLayout, s)
	case Timestamp, TimestampNTZ:
		return time.Parse(timestampLayout, s)
	case IntervalDayTime:
		whole, fraction, _ := strings.Cut(s, ".")
		seconds, err := strconv.ParseInt(whole, 10, 64)
		if err != nil {
			return nil, err
		}
		nanos, err := strconv.ParseInt(fraction, 10, 32)
		return Interval{seconds, int32(nanos)}, err
	default:
		return s, nil
	}
}

func parseList(t Type, text json.RawMessage) (Value, error) {
	var parts []json.RawMessage
	if err := unmarshal(text, &parts); err != nil {
		return nil, err
	}
	if t.Kind == Struct && len(parts) != len(t.Parts) {
		return nil, fmt.Errorf("value %s: %d fields, want %d", text, len(parts), len(t.Parts))
	}
	list := make([]Value, len(parts))
	for i, part := range parts {
		of := t.Parts[0].Type
		if t.Kind == Struct {
			of = t.Parts[i].Type
		}
		var err error
		if list[i], err = Parse(of, part); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func parseMap(t Type, text json.RawMessage) (Value, error) {
	var entries [][2]json.RawMessage
	if err := unmarshal(text, &entries); err != nil {
		return nil, err
	}
	pairs := make([]Pair, len(entries))
	for i, entry := range entries {
		var err error
		if pairs[i].Key, err = Parse(t.Parts[0].Type, entry[0]); err != nil {
			return nil, err
		}
		if pairs[i].Value, err = Parse(t.Parts[1].Type, entry[1]); err != nil {
			return nil, err
		}
	}
	return pairs, nil
}

// Format writes a value's canonical text. A value of another Go type than its column's asks for is an error: it shows a
// client, or an adapter, that mixes types up.
func Format(t Type, v Value) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return []byte("null"), nil
	case bool:
		return want(t, strconv.AppendBool(nil, v), Boolean)
	case int64:
		return want(t, quote(strconv.FormatInt(v, 10)), TinyInt, SmallInt, Int, BigInt, IntervalYearMonth)
	case float64:
		if math.IsNaN(v) {
			return want(t, quote("nan"), Double)
		}
		return want(t, quote(fmt.Sprintf("%016x", math.Float64bits(v))), Double)
	case float32:
		if v != v { //nolint:gocritic,staticcheck // NaN
			return want(t, quote("nan"), Float)
		}
		return want(t, quote(fmt.Sprintf("%08x", math.Float32bits(v))), Float)
	case string:
		return want(t, quote(v), String, Char, VarChar, JSON, Decimal)
	case []byte:
		return want(t, quote(hex.EncodeToString(v)), Binary)
	case time.Time:
		layouts := map[Kind]string{Date: dateLayout, DateTime: dateTimeLayout, Timestamp: timestampLayout, TimestampNTZ: timestampLayout}
		return want(t, quote(v.UTC().Format(layouts[t.Kind])), Date, DateTime, Timestamp, TimestampNTZ)
	case Interval:
		return want(t, quote(fmt.Sprintf("%d.%09d", v.Seconds, v.Nanos)), IntervalDayTime)
	case []Value:
		return formatList(t, v)
	case []Pair:
		return formatMap(t, v)
	default:
		return nil, fmt.Errorf("%T is no value", v)
	}
}

// want gives out the text if the type is one of kinds.
func want(t Type, text []byte, kinds ...Kind) ([]byte, error) {
	if !slices.Contains(kinds, t.Kind) {
		return nil, fmt.Errorf("%s is no value of a %s", text, t.Kind)
	}
	return text, nil
}

// quote writes JSON text without escapes that JSON does not ask for.
func quote(s string) []byte {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(s); err != nil {
		panic(err) // a string always has a text
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

func formatList(t Type, values []Value) ([]byte, error) {
	if t.Kind != Array && t.Kind != Struct {
		return nil, fmt.Errorf("a list is no value of a %s", t.Kind)
	}
	if t.Kind == Struct && len(values) != len(t.Parts) {
		return nil, fmt.Errorf("%d fields, want %d", len(values), len(t.Parts))
	}
	parts := make([][]byte, len(values))
	for i, v := range values {
		of := t.Parts[0].Type
		if t.Kind == Struct {
			of = t.Parts[i].Type
		}
		var err error
		if parts[i], err = Format(of, v); err != nil {
			return nil, err
		}
	}
	return brackets(parts), nil
}

func formatMap(t Type, pairs []Pair) ([]byte, error) {
	if t.Kind != Map {
		return nil, fmt.Errorf("a map is no value of a %s", t.Kind)
	}
	type entry struct{ key, value []byte }
	entries := make([]entry, len(pairs))
	for i, p := range pairs {
		var err error
		if entries[i].key, err = Format(t.Parts[0].Type, p.Key); err != nil {
			return nil, err
		}
		if entries[i].value, err = Format(t.Parts[1].Type, p.Value); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(entries, func(a, b entry) int { return cmp.Compare(string(a.key), string(b.key)) })
	parts := make([][]byte, len(entries))
	for i, e := range entries {
		parts[i] = brackets([][]byte{e.key, e.value})
	}
	return brackets(parts), nil
}

func brackets(parts [][]byte) []byte {
	return append(append([]byte("["), bytes.Join(parts, []byte(","))...), ']')
}

// PlainDecimal writes a decimal text with exactly scale digits after the point: clients leave zeros out or add some.
func PlainDecimal(text string, scale int) (string, error) {
	whole, fraction, _ := strings.Cut(text, ".")
	if len(fraction) > scale {
		if strings.Trim(fraction[scale:], "0") != "" {
			return "", fmt.Errorf("decimal %s has more than %d digits after the point", text, scale)
		}
		fraction = fraction[:scale]
	}
	if digits := strings.TrimLeft(whole, "-+"); digits == "" || strings.Trim(digits+fraction, "0123456789") != "" {
		return "", fmt.Errorf("%q is no decimal", text)
	}
	if scale == 0 {
		return whole, nil
	}
	return whole + "." + fraction + strings.Repeat("0", scale-len(fraction)), nil
}

// ScaledDecimal writes an unscaled value with scale digits after the point.
func ScaledDecimal(unscaled *big.Int, scale int) string {
	digits, sign := new(big.Int).Abs(unscaled).String(), ""
	if unscaled.Sign() < 0 {
		sign = "-"
	}
	if len(digits) <= scale {
		digits = strings.Repeat("0", scale-len(digits)+1) + digits
	}
	if scale == 0 {
		return sign + digits
	}
	return sign + digits[:len(digits)-scale] + "." + digits[len(digits)-scale:]
}
