package scalar

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxTextResult bounds what a function makes of small arguments, as MaxCompute does with 8
// MiB for a value.
const maxTextResult = 8 << 20

func sha2(s string, bits int64) any {
	var sum []byte
	switch bits {
	case 224: //nolint:mnd // a name of the algorithm, as those below
		h := sha256.Sum224([]byte(s))
		sum = h[:]
	case 0, 256: //nolint:mnd // see above
		h := sha256.Sum256([]byte(s))
		sum = h[:]
	case 384: //nolint:mnd // see above
		h := sha512.Sum384([]byte(s))
		sum = h[:]
	case 512: //nolint:mnd // see above
		h := sha512.Sum512([]byte(s))
		sum = h[:]
	default:
		return nil
	}
	return hex.EncodeToString(sum)
}

func urlDecode(a []any) (any, error) {
	s, err := url.QueryUnescape(text(a[0]))
	if err != nil || !utf8.ValidString(s) {
		return nil, nil //nolint:nilnil,nilerr // what is no encoded text is NULL
	}
	return s, nil
}

func parseURL(s, part, key string) any {
	u, err := url.Parse(s)
	if err != nil {
		return nil
	}
	var out string
	switch strings.ToUpper(part) {
	case "HOST":
		out = u.Hostname()
	case "PATH":
		out = u.EscapedPath()
	case "QUERY":
		if out = u.RawQuery; key != "" {
			return queryValue(u.RawQuery, key)
		}
	case "REF":
		out = u.EscapedFragment()
	case "PROTOCOL":
		out = u.Scheme
	case "AUTHORITY":
		if out = u.Host; u.User != nil {
			out = u.User.String() + "@" + u.Host
		}
	case "FILE":
		out = u.RequestURI()
	case "USERINFO":
		if u.User != nil {
			out = u.User.String()
		}
	default:
		return nil
	}
	if out == "" {
		return nil
	}
	return out
}

func queryValue(query, key string) any {
	for pair := range strings.SplitSeq(query, "&") {
		if name, value, ok := strings.Cut(pair, "="); ok && name == key {
			return value
		}
	}
	return nil
}

func keyValue(s, pairs, within, key string) any {
	for pair := range strings.SplitSeq(s, pairs) {
		if name, value, ok := strings.Cut(pair, within); ok && name == key {
			return value
		}
	}
	return nil
}

// soundex is the American code: the first letter and three digits.
func soundex(s string) string {
	const codes = "01230120022455012623010202" // by letter; 0 is not coded
	var out []byte
	last := byte('0')
	for i := range len(s) {
		c := s[i] &^ 0x20
		if c < 'A' || c > 'Z' {
			continue
		}
		code := codes[c-'A']
		switch {
		case len(out) == 0:
			out = append(out, c)
		case code != '0' && code != last:
			out = append(out, code)
		case c == 'H' || c == 'W': // they do not part equal codes
			continue
		}
		if last = code; len(out) == 4 { //nolint:mnd // the length of a code
			break
		}
	}
	if len(out) == 0 {
		return ""
	}
	return (string(out) + "000")[:4]
}

// initCap makes the first letter of every word large and the others small.
func initCap(s string) string {
	start := true
	return strings.Map(func(r rune) rune {
		first := start
		start = unicode.IsSpace(r)
		if first {
			return unicode.ToUpper(r)
		}
		return unicode.ToLower(r)
	}, s)
}

func repeat(s string, n int64) (any, error) {
	if n <= 0 {
		return "", nil
	}
	if int64(len(s)) > 0 && n > maxTextResult/int64(len(s)) {
		return nil, errors.New("the result is longer than 8 MiB")
	}
	return strings.Repeat(s, int(n)), nil
}

// inString finds the nth place of sub from start on; counted in characters, 0 is nowhere.
func inString(s, sub string, start, nth int64) (any, error) {
	if nth < 1 || start == 0 {
		return nil, errors.New("INSTR: start must not be 0 and the occurrence must be positive")
	}
	chars := []rune(s)
	if start < 0 {
		start = int64(len(chars)) + start + 1
	}
	if start < 1 || start > int64(len(chars)) {
		return int64(0), nil
	}
	at := start - 1
	rest := string(chars[at:])
	for {
		i := strings.Index(rest, sub)
		if i < 0 {
			return int64(0), nil
		}
		at += int64(utf8.RuneCountInString(rest[:i]))
		if nth--; nth == 0 || sub == "" {
			return at + 1, nil
		}
		_, size := utf8.DecodeRuneInString(rest[i:])
		rest = rest[i+size:]
		at++
	}
}

// formatNumber writes 12345.678 as 12,345.68.
func formatNumber(f float64, digits int64) any {
	const maxDigits = 340
	if digits < 0 || digits > maxDigits || math.IsNaN(f) || math.IsInf(f, 0) {
		return nil
	}
	s := strconv.FormatFloat(math.Abs(f), 'f', int(digits), 64)
	integer, fraction, point := strings.Cut(s, ".")
	var out strings.Builder
	if f < 0 {
		out.WriteByte('-')
	}
	for i, c := range integer {
		if i > 0 && (len(integer)-i)%3 == 0 {
			out.WriteByte(',')
		}
		out.WriteRune(c)
	}
	if point {
		out.WriteString("." + fraction)
	}
	return out.String()
}

// shownAs turns DuckDB's text of a value, whose type DuckDB names, into MaxCompute's.
func shownAs(a []any) (any, error) {
	s, kind := text(a[0]), text(a[1])
	switch {
	case strings.HasPrefix(kind, "DECIMAL"):
		if strings.Contains(s, ".") {
			s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
		}
		return s, nil
	case strings.ContainsAny(kind, "[("):
		return nil, errors.New("an ARRAY, MAP or STRUCT is no STRING: use to_json")
	case kind == "BLOB":
		return bytesShown(s)
	case kind == "DOUBLE", kind == "FLOAT":
		return numberText(s), nil
	}
	return s, nil
}

// bytesShown reads \xNN, DuckDB's form of a byte that is no plain letter.
func bytesShown(s string) (any, error) {
	var out strings.Builder
	for {
		before, after, more := strings.Cut(s, `\x`)
		out.WriteString(before)
		if !more {
			break
		}
		b, err := hex.DecodeString(after[:min(2, len(after))]) //nolint:mnd // digits
		if err != nil {
			return nil, fmt.Errorf("read a BINARY's bytes: %w", err)
		}
		out.Write(b)
		s = after[len(b)*2:]
	}
	if !utf8.ValidString(out.String()) {
		return nil, errors.New("a BINARY that is no UTF-8 is no STRING")
	}
	return out.String(), nil
}

// numberText writes the text of a number as Java does: 1.0E10.
func numberText(s string) string {
	bits := 64
	v, err := strconv.ParseFloat(s, bits)
	switch size := math.Abs(v); {
	case err != nil:
		return s
	case math.IsNaN(v):
		return "NaN"
	case math.IsInf(v, 1):
		return "Infinity"
	case math.IsInf(v, -1):
		return "-Infinity"
	case size != 0 && (size < 1e-3 || size >= 1e7):
		mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(v, 'E', -1, bits), "E")
		if !strings.Contains(mantissa, ".") {
			mantissa += ".0"
		}
		n, _ := strconv.Atoi(exponent) // two digits or three
		return mantissa + "E" + strconv.Itoa(n)
	case !strings.Contains(s, "."):
		return s + ".0"
	}
	return s
}
