package scalar

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
)

// parseDouble reads a text as MaxCompute casts it.
func parseDouble(s string) (float64, error) {
	f, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, fmt.Errorf("could not convert string '%s' to DOUBLE", s)
	}
	return f, nil
}

// numbers are the forms in which a function may get its number.
const numbers = "ihfs"

// toDouble reads a number of any form but a decimal.
func toDouble(a any) (float64, error) {
	switch a := a.(type) {
	case int64:
		return float64(a), nil
	case string:
		return parseDouble(a)
	default:
		return double(a), nil
	}
}

// numberFunctions are overloaded by the type of their first argument.
func numberFunctions() (out []Function) {
	for _, f := range []struct {
		name string
		call func(float64) float64
	}{{"ceil", math.Ceil}, {"floor", math.Floor}} {
		out = append(out, wholeNumber(f.name, f.call)...)
	}
	for _, f := range []struct {
		name string
		call func(float64) float64
		half bool
	}{{"round", math.Round, true}, {"trunc", math.Trunc, false}} {
		for _, in := range numbers {
			out = append(out, Function{f.name, string(in) + "i", 'f', func(a []any) (any, error) {
				v, err := toDouble(a[0])
				return roundTo(v, whole(a[1]), f.call), err
			}})
		}
		out = append(out, Function{f.name, "xi", 'x', func(a []any) (any, error) {
			v, _ := a[0].(*big.Int)
			return roundDecimal(v, whole(a[1]), f.half), nil
		}})
	}
	for _, how := range []string{"left", "right", "unsigned"} {
		name := map[string]string{"left": "shiftleft", "right": "shiftright", "unsigned": "shiftrightunsigned"}[how]
		for letter, width := range map[string]int64{"j": 32, "i": 64} {
			out = append(out, Function{name, letter + "i", letter[0], func(a []any) (any, error) {
				return shift(whole(a[0]), whole(a[1]), width, how), nil
			}})
		}
	}
	return out
}

// wholeNumber makes the overloads of CEIL and FLOOR: BIGINT, but of a decimal a decimal.
func wholeNumber(name string, call func(float64) float64) []Function {
	same := func(a []any) (any, error) { return a[0], nil }
	out := []Function{{name, "i", 'i', same}, {name, "h", 'i', same}}
	for _, in := range "fs" {
		out = append(out, Function{name, string(in), 'i', func(a []any) (any, error) {
			v, err := toDouble(a[0])
			v = call(v)
			if err == nil && !(v >= math.MinInt64 && v < math.MaxInt64) { // also NaN
				err = fmt.Errorf("%s: %v does not fit BIGINT", strings.ToUpper(name), v)
			}
			return int64(v), err
		}})
	}
	return append(out, Function{name, "x", 'x', func(a []any) (any, error) {
		v, _ := a[0].(*big.Int)
		unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(decimalScale), nil) //nolint:mnd // decimal digits
		q, rest := new(big.Int).QuoRem(v, unit, new(big.Int))
		if rest.Sign() > 0 && name == "ceil" {
			q.Add(q, big.NewInt(1))
		} else if rest.Sign() < 0 && name == "floor" {
			q.Sub(q, big.NewInt(1))
		}
		return q.Mul(q, unit), nil
	}})
}

// roundDecimal keeps digits of a decimal's fraction, or with a negative number sets that
// many digits before the point to zero. Halves go away from zero.
func roundDecimal(v *big.Int, digits int64, half bool) *big.Int {
	const most = 38 // digits of a decimal
	if digits >= decimalScale {
		return v
	}
	unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(min(decimalScale-digits, most+1)), nil) //nolint:mnd // decimal digits
	q, rest := new(big.Int).QuoRem(v, unit, new(big.Int))
	if half && new(big.Int).Abs(new(big.Int).Lsh(rest, 1)).Cmp(unit) >= 0 {
		q.Add(q, big.NewInt(int64(v.Sign())))
	}
	return q.Mul(q, unit)
}

// roundTo rounds at a digit behind the point, or before it if digits is negative, in the
// decimals that f shows: 1.005 is what it reads.
func roundTo(f float64, digits int64, whole func(float64) float64) float64 {
	const most = 308
	switch {
	case digits > most, math.IsNaN(f), math.IsInf(f, 0):
		return f
	case digits < -most:
		return 0
	case digits == 0:
		return whole(f)
	}
	shifted := scaled(f, digits)
	if math.IsInf(shifted, 0) || math.Abs(shifted) >= 1<<53 { // nothing behind the point
		return f
	}
	return scaled(whole(shifted), -digits)
}

// scaled is f times ten to the power of digits.
func scaled(f float64, digits int64) float64 {
	mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(f, 'e', -1, 64), "e")
	n, _ := strconv.ParseInt(exponent, 10, 64)                                     // FormatFloat wrote it
	out, _ := strconv.ParseFloat(mantissa+"e"+strconv.FormatInt(n+digits, 10), 64) // beyond the range: Inf or 0
	return out
}

// convert writes a number of one base in another; what does not fit 64 bits is NULL.
func convert(s string, from, to int64) any {
	const least, most = 2, 36
	signed := to < 0
	if signed {
		to = -to
	}
	if from < least || from > most || to < least || to > most {
		return nil
	}
	s = strings.TrimSpace(s)
	negative := strings.HasPrefix(s, "-")
	s = strings.TrimPrefix(s, "-")
	end := 0
	for end < len(s) {
		if _, err := strconv.ParseUint(s[end:end+1], int(from), 64); err != nil {
			break
		}
		end++
	}
	if end == 0 {
		return "0"
	}
	v, err := strconv.ParseUint(s[:end], int(from), 64)
	if err != nil {
		return nil
	}
	if negative {
		v = -v
	}
	if signed {
		return strings.ToUpper(strconv.FormatInt(int64(v), int(to))) //nolint:gosec // two's complement is meant
	}
	return strings.ToUpper(strconv.FormatUint(v, int(to)))
}

// shift moves bits as Java does: the distance counts modulo the width.
func shift(v, n, width int64, how string) int64 {
	const narrow = 32
	n &= width - 1
	switch {
	case how == "right":
		return v >> n
	case how == "left" && width == narrow:
		return int64(int32(v) << n) //nolint:gosec // bits are meant
	case how == "left":
		return v << n
	case width == narrow:
		return int64(int32(uint32(v) >> n)) //nolint:gosec // bits are meant
	}
	return int64(uint64(v) >> n) //nolint:gosec // bits are meant
}

// operators are + - * / and % with a text on one side or both, minus before one, || with a
// number, and ^, which is XOR. ABS stands here because it keeps DuckDB's name as well.
func operators() []Function {
	calls := map[string]func(x, y float64) any{
		"+": func(x, y float64) any { return x + y },
		"-": func(x, y float64) any { return x - y },
		"*": func(x, y float64) any { return x * y },
		"/": func(x, y float64) any {
			if y == 0 {
				return nil
			}
			return x / y
		},
		"%": func(x, y float64) any {
			if y == 0 {
				return nil
			}
			return math.Mod(x, y)
		},
	}
	var out []Function
	for _, name := range []string{"+", "-", "*", "/", "%"} {
		for _, in := range []string{"ss", "sf", "fs", "si", "is"} {
			out = append(out, Function{name, in, 'f', func(a []any) (any, error) {
				x, errX := toDouble(a[0])
				y, errY := toDouble(a[1])
				return calls[name](x, y), errors.Join(errX, errY)
			}})
		}
	}
	for _, in := range []string{"ii", "jj"} {
		out = append(out, Function{"^", in, in[0], func(a []any) (any, error) { return whole(a[0]) ^ whole(a[1]), nil }})
	}
	for _, in := range []string{"fs", "sf", "ff", "gs", "sg", "gg", "fg", "gf"} {
		out = append(out, Function{"||", in, 's', func(a []any) (any, error) { return shown(a[0]) + shown(a[1]), nil }})
	}
	return append(out,
		Function{"-", "s", 'f', func(a []any) (any, error) {
			x, err := toDouble(a[0])
			return -x, err
		}},
		Function{"abs", "s", 'f', func(a []any) (any, error) {
			x, err := toDouble(a[0])
			return math.Abs(x), err
		}})
}

// shown is a text, or a number as a cast to STRING writes it.
func shown(a any) string {
	switch a := a.(type) {
	case float64:
		return numberText(strconv.FormatFloat(a, 'g', -1, 64)) //nolint:mnd // bits
	case float32:
		return numberText(strconv.FormatFloat(float64(a), 'g', -1, 32)) //nolint:mnd // bits
	default:
		return text(a)
	}
}
