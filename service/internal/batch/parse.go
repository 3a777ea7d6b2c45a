package batch

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unsafe"
)

// bytesOf is the bytes of s without a copy; nobody may change them.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// textOf is b as a string without a copy, for as long as b does not change.
func textOf(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// Bounds on decimal texts, so that an exponent cannot ask for a number of megabytes.
const (
	maxDecimalText     = 1000
	maxDecimalExponent = 1000
)

// decimalParts splits a decimal number, [+-]digits[.digits][e[+-]digits]; ok is false for anything else.
func decimalParts(b []byte) (negative bool, whole, fraction []byte, exponent int, ok bool) {
	if len(b) > 0 && (b[0] == '+' || b[0] == '-') {
		negative, b = b[0] == '-', b[1:]
	}
	whole, b = digits(b)
	if len(b) > 0 && b[0] == '.' {
		fraction, b = digits(b[1:])
	}
	if len(whole)+len(fraction) == 0 {
		return false, nil, nil, 0, false
	}
	if len(b) > 0 && (b[0] == 'e' || b[0] == 'E') {
		e, err := strconv.Atoi(strings.TrimPrefix(textOf(b[1:]), "+"))
		if err != nil || len(b) > 1 && b[1] == '+' && len(b) > 2 && (b[2] == '-' || b[2] == '+') {
			return false, nil, nil, 0, false
		}
		exponent, b = e, nil
	}
	return negative, whole, fraction, exponent, len(b) == 0
}

func digits(b []byte) (run, rest []byte) {
	n := 0
	for n < len(b) && b[n] >= '0' && b[n] <= '9' {
		n++
	}
	return b[:n], b[n:]
}

// parseDecimal sets z to the unscaled digits of a decimal text and gives its scale, which may be negative.
func parseDecimal(b []byte, z *big.Int) (scale int, message string) {
	if len(b) > maxDecimalText {
		return 0, "a decimal of too many digits"
	}
	negative, whole, fraction, exponent, ok := decimalParts(b)
	if !ok {
		return 0, "text that is not a decimal number"
	}
	if exponent > maxDecimalExponent || exponent < -maxDecimalExponent {
		return 0, "a decimal whose exponent is too large"
	}
	z.SetString(string(whole)+string(fraction), 10)
	if negative {
		z.Neg(z)
	}
	return len(fraction) - exponent, ""
}

// rescale brings z from one scale to another, rounding half up (away from zero); exact tells that no digit was lost.
func rescale(z *big.Int, from, to int) (exact bool) {
	if from == to || z.Sign() == 0 {
		return true
	}
	if to > from {
		z.Mul(z, pow10(to-from))
		return true
	}
	var rest big.Int
	unit := pow10(from - to)
	z.QuoRem(z, unit, &rest)
	if rest.Sign() == 0 {
		return true
	}
	sign := int64(rest.Sign())
	if rest.Abs(&rest).Lsh(&rest, 1).Cmp(unit) >= 0 {
		z.Add(z, big.NewInt(sign))
	}
	return false
}

var powersOf10 = func() (p [80]*big.Int) {
	p[0] = big.NewInt(1)
	for i := 1; i < len(p); i++ {
		p[i] = new(big.Int).Mul(p[i-1], big.NewInt(10))
	}
	return p
}()

func pow10(n int) *big.Int {
	if n < len(powersOf10) {
		return powersOf10[n]
	}
	return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil)
}

// parseInteger reads [+-]digits as an int64.
func parseInteger(b []byte) (v int64, message string) {
	rest := b
	if len(rest) > 0 && (rest[0] == '+' || rest[0] == '-') {
		rest = rest[1:]
	}
	if run, tail := digits(rest); len(run) == 0 || len(tail) != 0 {
		return 0, "text that is not an integer"
	}
	v, err := strconv.ParseInt(textOf(b), 10, 64)
	if err != nil {
		return 0, "an integer out of range"
	}
	return v, ""
}

// parseFloat reads a decimal number or one of NaN, Infinity and -Infinity. What does not fit is refused: a magnitude
// above the largest number, or one that is not zero below the smallest.
func parseFloat(b []byte, bits int) (f float64, message string) {
	switch string(b) {
	case "NaN":
		return math.NaN(), ""
	case "Infinity":
		return math.Inf(1), ""
	case "-Infinity":
		return math.Inf(-1), ""
	}
	if len(b) > maxDecimalText {
		return 0, "a number of too many digits"
	}
	_, whole, fraction, _, ok := decimalParts(b)
	if !ok {
		return 0, "text that is not a number"
	}
	f, err := strconv.ParseFloat(textOf(b), bits)
	if err != nil || f == 0 && !allZero(whole, fraction) {
		return 0, "a number out of range"
	}
	return f, ""
}

func allZero(parts ...[]byte) bool {
	for _, p := range parts {
		for _, d := range p {
			if d != '0' {
				return false
			}
		}
	}
	return true
}

// civilDays counts days since 1970-01-01; ok is false for a date that does not exist or lies outside years 1 to 9999.
func civilDays(year, month, day int) (days int64, ok bool) {
	if year < 1 || year > 9999 || month < 1 || month > 12 || day < 1 || day > 31 {
		return 0, false
	}
	t := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	if t.Day() != day {
		return 0, false
	}
	return t.Unix() / 86400, true // whole days, so negative ones divide exactly
}

// parseTime reads the formats of semantics.md 3.8, strictly and in UTC: "yyyy-MM-dd HH:mm:ss" with an optional
// fraction of one to nine digits, "yyyy-MM-dd", "yyyyMMdd", and "HH:mm:ss" on 1970-01-01.
func parseTime(b []byte) (seconds int64, nanos int32, ok bool) {
	switch {
	case len(b) == 8 && b[2] == ':':
		return parseClock(b, 0)
	case len(b) == 8:
		days, ok := civilDays(number(b[:4]), number(b[4:6]), number(b[6:8]))
		return days * 86400, 0, ok
	case len(b) < 10 || b[4] != '-' || b[7] != '-':
		return 0, 0, false
	}
	days, ok := civilDays(number(b[:4]), number(b[5:7]), number(b[8:10]))
	if !ok || len(b) == 10 {
		return days * 86400, 0, ok
	}
	if len(b) < 19 || b[10] != ' ' {
		return 0, 0, false
	}
	return parseClock(b[11:], days)
}

func parseClock(b []byte, days int64) (seconds int64, nanos int32, ok bool) {
	h, m, s := number(b[:2]), number(b[3:5]), number(b[6:8])
	if b[2] != ':' || b[5] != ':' || h < 0 || h > 23 || m < 0 || m > 59 || s < 0 || s > 59 {
		return 0, 0, false
	}
	seconds = days*86400 + int64(h*3600+m*60+s)
	if len(b) == 8 {
		return seconds, 0, true
	}
	if b[8] != '.' || len(b) == 9 || len(b) > 18 || number(b[9:]) < 0 {
		return 0, 0, false
	}
	n := number(b[9:])
	for range 18 - len(b) {
		n *= 10
	}
	return seconds, int32(n), true
}

// number is a run of at most nine digits, −1 if there is anything else.
func number(b []byte) int {
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return -1
		}
		n = 10*n + int(c-'0')
	}
	return n
}

// jsonObject is a JSON object with its order kept.
type jsonObject []jsonMember

type jsonMember struct {
	name  string
	value any // nil, bool, json.Number, string, []any, jsonObject
}

var errJSON = errors.New("malformed JSON")

// parseJSON reads one JSON text, nested at most depth levels.
func parseJSON(b []byte, depth int) (any, error) {
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.UseNumber()
	v, err := jsonValue(d, depth)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errJSON
	}
	return v, nil
}

func jsonValue(d *json.Decoder, depth int) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	delim, nested := t.(json.Delim)
	if !nested {
		return t, nil
	}
	if depth == 0 {
		return nil, errJSON
	}
	if delim == '[' {
		return jsonArray(d, depth-1)
	}
	return jsonMembers(d, depth-1)
}

func jsonArray(d *json.Decoder, depth int) (any, error) {
	out := []any{}
	for d.More() {
		v, err := jsonValue(d, depth)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	_, err := d.Token()
	return out, err
}

func jsonMembers(d *json.Decoder, depth int) (any, error) {
	out := jsonObject{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		v, err := jsonValue(d, depth)
		if err != nil {
			return nil, err
		}
		out = append(out, jsonMember{name.(string), v}) // the decoder yields nothing else before a value
	}
	_, err := d.Token()
	return out, err
}

// readJSON fills out with a value of a parsed JSON text. Numbers count as text, so that they keep all digits.
func readJSON(v any, out *cell) {
	out.k = kindNull
	switch x := v.(type) {
	case bool:
		out.k, out.i = kindBool, 0
		if x {
			out.i = 1
		}
	case json.Number:
		out.k, out.b, out.js = kindText, []byte(x), false
	case string:
		out.k, out.b, out.js = kindText, []byte(x), true
	case []any:
		out.k, out.col, out.vals, out.arr = kindList, nil, nil, x
	case jsonObject:
		out.k, out.col, out.vals, out.ents, out.obj = kindMap, nil, nil, nil, x
	}
}

func decodeBase64(b []byte) ([]byte, bool) {
	out, err := base64.StdEncoding.DecodeString(textOf(b))
	return out, err == nil
}
