package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/big"
	"slices"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/decimal256"
)

// tenTo[p] is the first unscaled value with more than p digits.
var tenTo = func() (pow [77]*big.Int) {
	pow[0] = big.NewInt(1)
	for i := 1; i < len(pow); i++ {
		pow[i] = new(big.Int).Mul(pow[i-1], big.NewInt(10))
	}
	return pow
}()

var tenTo128 = func() (pow [39]decimal128.Num) {
	for i := range pow {
		pow[i] = decimal128.FromBigInt(tenTo[i])
	}
	return pow
}()

// checkDigits verifies that no decimal of a column has more digits than declared.
func checkDigits(s shape, n Node, bufs [][]byte) error {
	if s.digits == 0 {
		return nil
	}
	valid := bufs[0]
	for i := range n.Length {
		if len(valid) > 0 && valid[i/8]>>(i%8)&1 == 0 {
			continue
		}
		if !fitsDigits(bufs[1][i*s.width:(i+1)*s.width], s.digits) {
			return fmt.Errorf("row %d: decimal of more than %d digits", i, s.digits)
		}
	}
	return nil
}

func fitsDigits(v []byte, digits int) bool {
	lo, hi := binary.LittleEndian.Uint64(v), binary.LittleEndian.Uint64(v[8:])
	if len(v) == 16 {
		return fits128(decimal128.New(int64(hi), lo), digits)
	}
	d := decimal256.New(binary.LittleEndian.Uint64(v[24:]), binary.LittleEndian.Uint64(v[16:]), hi, lo)
	return d.BigInt().CmpAbs(tenTo[digits]) < 0
}

func fits128(d decimal128.Num, digits int) bool {
	limit := tenTo128[digits]
	return d.Less(limit) && limit.Negate().Less(d)
}

// parseDecimal reads decimal text as the unscaled integer at the given scale;
// digits beyond it are rounded half up (away from zero), as the service's own
// writers do. More than precision digits is an error.
func parseDecimal(text []byte, precision, scale int) (*big.Int, error) {
	s, err := withoutExponent(text)
	if err != nil {
		return nil, err
	}
	negative := false
	if len(s) > 0 && (s[0] == '-' || s[0] == '+') {
		negative = s[0] == '-'
		s = s[1:]
	}
	var digits [2 * 76]byte
	n, fraction, seen := 0, -1, 0
	round := false
	for _, c := range s {
		switch {
		case c == '.' && fraction < 0:
			fraction = 0
			continue
		case c < '0' || c > '9':
			return nil, fmt.Errorf("%q is no decimal", clip(text))
		}
		seen++
		if fraction >= scale {
			if fraction == scale {
				round = c >= '5'
			}
			fraction++
			continue
		}
		if fraction >= 0 {
			fraction++
		}
		if n == 0 && c == '0' {
			continue
		}
		if n == precision+1 {
			return nil, fmt.Errorf("%q has more than %d digits", clip(text), precision)
		}
		digits[n] = c
		n++
	}
	if seen == 0 {
		return nil, fmt.Errorf("%q is no decimal", clip(text))
	}
	for f := max(fraction, 0); f < scale && n > 0; f++ {
		if n == precision+1 {
			break
		}
		digits[n] = '0'
		n++
	}
	v := new(big.Int)
	if n > 0 {
		v.SetString(string(digits[:n]), 10)
	}
	if round {
		v.Add(v, tenTo[0])
	}
	if n > precision || v.CmpAbs(tenTo[precision]) >= 0 {
		return nil, fmt.Errorf("%q does not fit decimal(%d,%d)", clip(text), precision, scale)
	}
	if negative {
		v.Neg(v)
	}
	return v, nil
}

// maxExponent bounds what an exponent may make of a text; beyond it no value but zero fits a column.
const maxExponent = 100

// withoutExponent spells 1.5E-7 as 0.00000015. PyODPS writes str(Decimal), which has an exponent for small values, also for a
// zero with more than six digits after the point.
func withoutExponent(text []byte) ([]byte, error) {
	at := bytes.IndexAny(text, "eE")
	if at < 0 {
		return text, nil
	}
	mantissa := bytes.TrimLeft(text[:at], "+-")
	exponent, err := strconv.Atoi(string(text[at+1:]))
	if err != nil || len(mantissa) > 2*maxExponent || max(exponent, -exponent) > maxExponent {
		return nil, fmt.Errorf("%q is no decimal", clip(text))
	}
	sign := text[:at-len(mantissa)]
	whole, fraction, _ := bytes.Cut(mantissa, []byte("."))
	if len(whole)+len(fraction) == 0 {
		return nil, fmt.Errorf("%q is no decimal", clip(text))
	}
	digits := append(append(bytes.Repeat([]byte("0"), max(-exponent, 0)), whole...), fraction...)
	digits = append(digits, bytes.Repeat([]byte("0"), max(exponent-len(fraction), 0))...)
	point := max(-exponent, 0) + len(whole) + exponent
	return slices.Concat(sign, digits[:point], []byte("."), digits[point:]), nil
}

// parseSmallDecimal is parseDecimal for texts whose unscaled value surely fits an
// int64: the usual case, without allocation. ok is false when it is not that.
func parseSmallDecimal(text []byte, precision, scale int) (v int64, ok bool) {
	s := text
	negative := len(s) > 0 && s[0] == '-'
	if negative {
		s = s[1:]
	}
	fraction, digits := -1, 0
	for _, c := range s {
		if c == '.' && fraction < 0 {
			fraction = 0
			continue
		}
		if c < '0' || c > '9' || fraction >= scale || digits == 18 {
			return 0, false
		}
		if fraction >= 0 {
			fraction++
		}
		v = v*10 + int64(c-'0')
		digits++
	}
	if digits == 0 {
		return 0, false
	}
	for f := max(fraction, 0); f < scale; f++ {
		if digits++; digits > 18 {
			return 0, false
		}
		v *= 10
	}
	if precision < 18 && v >= tenTo[precision].Int64() {
		return 0, false
	}
	if negative {
		v = -v
	}
	return v, true
}

// appendDecimal writes an unscaled value as plain text with scale fraction digits.
func appendDecimal(dst []byte, v int64, scale int) []byte {
	if v < 0 {
		dst = append(dst, '-')
	}
	var tmp [20]byte
	u := uint64(v)
	if v < 0 {
		u = -u
	}
	return appendPoint(dst, strconv.AppendUint(tmp[:0], u, 10), scale)
}

func appendBigDecimal(dst []byte, v *big.Int, scale int) []byte {
	if v.Sign() < 0 {
		dst = append(dst, '-')
	}
	return appendPoint(dst, new(big.Int).Abs(v).Append(nil, 10), scale)
}

// appendPoint sets the decimal point into a run of digits.
func appendPoint(dst, digits []byte, scale int) []byte {
	whole := len(digits) - scale
	if whole <= 0 {
		dst = append(dst, '0')
	} else {
		dst = append(dst, digits[:whole]...)
	}
	if scale == 0 {
		return dst
	}
	dst = append(dst, '.')
	for ; whole < 0; whole++ {
		dst = append(dst, '0')
	}
	return append(dst, digits[len(digits)-min(scale, len(digits)):]...)
}

func clip(s []byte) []byte { return s[:min(len(s), 100)] }
