package scalar

import (
	"hash/crc32"
	"math"
	"net/url"
	"strings"
)

// Function is a function of values that are not NULL: if one is NULL, so is the result. A
// nil result is NULL. Functions of one name are overloads.
type Function struct {
	Name string
	In   string // the types of the arguments, one letter each
	Out  byte   // the type of the result, likewise
	Call func(a []any) (any, error)
}

// The letters of types, and what values are in Go.
//
//	s  STRING                      string
//	i  BIGINT                      int64
//	j  INT                         int64
//	h  HUGEINT, as sums are        int64; what does not fit is an error
//	f  DOUBLE                      float64
//	g  FLOAT                       float32, only as an argument
//	x  DECIMAL(38,18)              *big.Int, the digits without the point
//	d  DATE                        int64, days
//	m  DATETIME                    int64, milliseconds
//	u  TIMESTAMP in microseconds   int64
//	n  TIMESTAMP in nanoseconds    int64
//	l  ARRAY or MAP                int64, the number of entries
const decimalScale = 18

// Functions are all functions of the package.
var Functions = concat([]Function{
	{"crc32", "s", 'i', func(a []any) (any, error) { return int64(crc32.ChecksumIEEE([]byte(text(a[0])))), nil }},
	{"first_byte", "s", 'i', func(a []any) (any, error) { return int64(text(a[0])[0]), nil }},
	{"sha2", "si", 's', func(a []any) (any, error) { return sha2(text(a[0]), whole(a[1])), nil }},
	{"url_encode", "s", 's', func(a []any) (any, error) {
		return strings.ReplaceAll(url.QueryEscape(text(a[0])), "%2A", "*"), nil
	}},
	{"url_decode", "s", 's', urlDecode},
	{"parse_url", "sss", 's', func(a []any) (any, error) { return parseURL(text(a[0]), text(a[1]), text(a[2])), nil }},
	{"keyvalue", "ssss", 's', func(a []any) (any, error) {
		return keyValue(text(a[0]), text(a[1]), text(a[2]), text(a[3])), nil
	}},
	{"soundex", "s", 's', func(a []any) (any, error) { return soundex(text(a[0])), nil }},
	{"initcap", "s", 's', func(a []any) (any, error) { return initCap(text(a[0])), nil }},
	{"repeat", "si", 's', func(a []any) (any, error) { return repeat(text(a[0]), whole(a[1])) }},
	{"instr", "ssii", 'i', func(a []any) (any, error) { return inString(text(a[0]), text(a[1]), whole(a[2]), whole(a[3])) }},
	{"format_number", "fi", 's', func(a []any) (any, error) { return formatNumber(double(a[0]), whole(a[1])), nil }},
	{"shown", "ss", 's', shownAs},
	{"conv", "sii", 's', func(a []any) (any, error) { return convert(text(a[0]), whole(a[1]), whole(a[2])), nil }},
	{"regexp_extract", "ssi", 's', regexpExtract},
	{"regexp_replace", "sssi", 's', regexpReplace},
	{"regexp_substr", "ssii", 's', regexpSubstr},
	{"regexp_count", "ssi", 'i', regexpCount},
	{"regexp_instr", "ssiii", 'i', regexpInstr},
	{"cbrt", "f", 'f', func(a []any) (any, error) { return math.Cbrt(double(a[0])), nil }},
	{"size", "l", 'j', func(a []any) (any, error) { return whole(a[0]), nil }},
}, numberFunctions(), dateFunctions(), sequenceFunctions(), formatFunctions())

// Operators are overloads of DuckDB's operators: a text in an arithmetic expression is a
// DOUBLE.
var Operators = operators()

func concat(lists ...[]Function) (out []Function) {
	for _, l := range lists {
		out = append(out, l...)
	}
	return out
}

func text(a any) string    { s, _ := a.(string); return s }
func whole(a any) int64    { n, _ := a.(int64); return n }
func double(a any) float64 { f, _ := a.(float64); return f }
