package types

import (
	"math"
	"math/big"
	"strconv"
	"strings"
)

// FloatText writes a number of the given bits as the service does: as Java.
func FloatText(v float64, bits int) string {
	switch size := math.Abs(v); {
	case math.IsNaN(v):
		return "NaN"
	case math.IsInf(v, 1):
		return "Infinity"
	case math.IsInf(v, -1):
		return "-Infinity"
	case size == 0 || size >= 1e-3 && size < 1e7:
		text := strconv.FormatFloat(v, 'f', -1, bits)
		if !strings.Contains(text, ".") {
			text += ".0"
		}
		return text
	default:
		mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(v, 'e', -1, bits), "e")
		if !strings.Contains(mantissa, ".") {
			mantissa = twoDigits(v, bits, mantissa, exponent)
		}
		sign := ""
		if exponent[0] == '-' {
			sign = "-"
		}
		return mantissa + "E" + sign + strings.TrimLeft(exponent, "+-0")
	}
}

// twoDigits is the mantissa of a number that one digit tells from its neighbours. Java writes
// two: the nearest, which only for the smallest numbers does not end in 0 (4.9E-324).
func twoDigits(v float64, bits int, digit, exponent string) string {
	if near, same, _ := strings.Cut(strconv.FormatFloat(v, 'e', 1, bits), "e"); same == exponent {
		return near
	}
	return digit + ".0" // 9.9E-324 is 1.0E-323 to Java 17
}

// DecimalText writes a decimal of so many digits behind the point, without zeros at its end.
func DecimalText(v *big.Int, scale int) string {
	text := v.String()
	sign := ""
	if strings.HasPrefix(text, "-") {
		sign, text = "-", text[1:]
	}
	if len(text) <= scale {
		text = strings.Repeat("0", scale-len(text)+1) + text
	}
	whole, rest := text[:len(text)-scale], strings.TrimRight(text[len(text)-scale:], "0")
	if rest == "" {
		return sign + whole
	}
	return sign + whole + "." + rest
}
