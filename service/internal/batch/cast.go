package batch

import (
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-io/sluice/service/internal/table"
)

// caster casts values one by one. It holds scratch space: one goroutine at a time.
type caster struct {
	cast Cast
	lim  Limits
	text []byte
	dec  big.Int
}

// castable reports whether a value of this kind may go into a column of this type at all (semantics.md 1.4). Whether
// it fits is seen value by value.
func castable(k kind, to table.Kind, cast Cast) bool {
	allow := cast != CastExact
	switch to {
	case table.KindBoolean:
		return k == kindBool || allow && (k == kindInt || k == kindText)
	case table.KindTinyint, table.KindSmallint, table.KindInt, table.KindBigint:
		return k == kindInt || allow && (k == kindBool || k == kindFloat || k == kindText || k == kindDecimal)
	case table.KindFloat, table.KindDouble:
		return k == kindFloat || allow && (k == kindBool || k == kindInt || k == kindText || k == kindDecimal)
	case table.KindDecimal:
		return k == kindDecimal || k == kindInt || allow && (k == kindFloat || k == kindText)
	case table.KindString, table.KindChar, table.KindVarchar, table.KindJSON:
		return k == kindText || k == kindBinary || allow && (k < kindInterval && k != kindNull)
	case table.KindBinary:
		return k == kindBinary || allow && k == kindText
	case table.KindDate, table.KindDatetime, table.KindTimestamp, table.KindTimestampNTZ:
		return k == kindDate || k == kindInstant || allow && (k == kindInt || k == kindText)
	case table.KindIntervalDayTime:
		return k == kindInterval
	case table.KindIntervalYearMonth:
		return k == kindMonths || k == kindInt || k == kindInterval // the last only as zero
	case table.KindArray:
		return k == kindList || allow && k == kindText
	case table.KindMap:
		return k == kindMap || allow && k == kindText
	case table.KindStruct:
		return k == kindRecord || allow && k == kindText
	}
	return false
}

func (k *caster) putBool(b *builder, c *cell) problem {
	switch {
	case c.k == kindText && strings.EqualFold(textOf(c.b), "true"):
		b.bit(true)
	case c.k == kindText && strings.EqualFold(textOf(c.b), "false"):
		b.bit(false)
	case c.k == kindText:
		return mismatch("text that is neither true nor false")
	case c.over || c.i != 0 && c.i != 1:
		return mismatch("an integer other than 0 and 1 in a BOOLEAN column")
	default:
		b.bit(c.i == 1)
	}
	return problem{}
}

// bigints, ints … by width: the least and the largest value.
func intRange(k table.Kind) (least, most int64) {
	switch k {
	case table.KindTinyint:
		return math.MinInt8, math.MaxInt8
	case table.KindSmallint:
		return math.MinInt16, math.MaxInt16
	case table.KindInt:
		return math.MinInt32, math.MaxInt32
	}
	return minBigint, math.MaxInt64
}

func (k *caster) putInt(b *builder, c *cell) problem {
	v := c.i
	switch c.k {
	case kindInt:
		if c.over {
			return mismatch("an integer outside " + b.k.t.String())
		}
	case kindFloat:
		if c.f != math.Trunc(c.f) || c.f < -(1<<63) || c.f >= 1<<63 {
			return mismatch("a float that is not an integer of this size")
		}
		v = int64(c.f)
	case kindText:
		var message string
		if v, message = parseInteger(c.b); message != "" {
			return mismatch(message)
		}
	case kindDecimal:
		k.dec.Set(&c.dec)
		if !rescale(&k.dec, c.scale, 0) || !k.dec.IsInt64() {
			return mismatch("a decimal that is not an integer of this size")
		}
		v = k.dec.Int64()
	}
	if least, most := intRange(b.k.t.Kind); v < least || v > most {
		return mismatch("an integer outside " + b.k.t.String())
	}
	b.integer(v)
	return problem{}
}

func (k *caster) putFloat(b *builder, c *cell) problem {
	f := c.f
	bits := 8 * b.k.to.width
	switch c.k {
	case kindBool:
		f = float64(c.i)
	case kindInt:
		f = float64(c.i)
		if c.over || f >= 1<<63 || int64(f) != c.i {
			return mismatch("an integer that a double does not hold exactly")
		}
	case kindText, kindDecimal:
		text := c.b
		if c.k == kindDecimal {
			k.text = appendDecimal(k.text[:0], &c.dec, c.scale)
			text = k.text
		}
		var message string
		if f, message = parseFloat(text, bits); message != "" {
			return mismatch(message)
		}
	}
	if bits == 32 && !math.IsInf(f, 0) && math.IsInf(float64(float32(f)), 0) {
		return mismatch("a number outside FLOAT")
	}
	b.float(f)
	return problem{}
}

func (k *caster) putDecimal(b *builder, c *cell) problem {
	z, scale := &k.dec, 0
	switch c.k {
	case kindDecimal:
		z.Set(&c.dec)
		scale = c.scale
	case kindInt:
		z.SetInt64(c.i)
		if c.over {
			z.SetUint64(uint64(c.i))
		}
	case kindFloat, kindText:
		text := c.b
		if c.k == kindFloat {
			k.text = appendCanonical(k.text[:0], c)
			text = k.text
		}
		var message string
		if scale, message = parseDecimal(text, z); message != "" {
			return mismatch(message)
		}
	}
	if scale > maxDecimalText+maxDecimalExponent || scale < -maxDecimalExponent {
		return mismatch("a decimal out of range")
	}
	if exact := rescale(z, scale, b.k.t.Scale); !exact && k.cast == CastExact {
		return mismatch("a decimal with more digits after the point than " + b.k.t.String() + " has")
	}
	if z.CmpAbs(pow10(b.k.t.Precision)) >= 0 {
		return mismatch("more digits than " + b.k.t.String() + " has")
	}
	n := len(b.data)
	var room [32]byte
	b.data = append(b.data, room[:b.k.to.width]...)
	putTwosComplement(b.data[n:], z)
	return problem{}
}

// putTime takes dates and instants, integers as epoch milliseconds, and text; text and dates count as UTC. Digits
// finer than the column's are cut, under CastExact refused.
func (k *caster) putTime(b *builder, c *cell) problem {
	seconds, nanos := c.i, c.n
	switch c.k {
	case kindDate:
		if c.i < minDay || c.i > maxDay {
			return mismatch("a date outside the years 0001 to 9999")
		}
		seconds, nanos = c.i*86400, 0
	case kindInt:
		if c.over {
			return mismatch("milliseconds out of range")
		}
		s, ms := floorDiv(c.i, 1000)
		seconds, nanos = s, int32(ms)*1e6
	case kindText:
		var ok bool
		if seconds, nanos, ok = parseTime(c.b); !ok {
			return mismatch("text that is not a date or time")
		}
	}
	if seconds < minSecond || seconds > maxSecond {
		return mismatch("a time outside the years 0001 to 9999")
	}
	switch b.k.t.Kind {
	case table.KindDate:
		days, rest := floorDiv(seconds, 86400)
		if k.cast == CastExact && (rest != 0 || nanos != 0) {
			return mismatch("a timestamp that is not midnight in a DATE column")
		}
		b.integer(days)
	case table.KindDatetime:
		if k.cast == CastExact && nanos%1e6 != 0 {
			return mismatch("digits finer than milliseconds in a DATETIME column")
		}
		b.integer(seconds*1000 + int64(nanos/1e6))
	default:
		b.pair(seconds, nanos)
	}
	return problem{}
}

// appendCanonical writes a scalar as text: decimal integers, shortest round-trip floats, true and false, times as
// "yyyy-MM-dd HH:mm:ss" with as much of a fraction as they have.
func appendCanonical(dst []byte, c *cell) []byte {
	switch c.k {
	case kindBool:
		return strconv.AppendBool(dst, c.i == 1)
	case kindInt:
		if c.over {
			return strconv.AppendUint(dst, uint64(c.i), 10)
		}
		return strconv.AppendInt(dst, c.i, 10)
	case kindFloat:
		return appendFloat(dst, c.f, c.single)
	case kindDecimal:
		return appendDecimal(dst, &c.dec, c.scale)
	case kindDate:
		return time.Unix(c.i*86400, 0).UTC().AppendFormat(dst, time.DateOnly)
	case kindInstant:
		return time.Unix(c.i, int64(c.n)).UTC().AppendFormat(dst, "2006-01-02 15:04:05.999999999")
	}
	return dst
}

func appendFloat(dst []byte, f float64, single bool) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, "NaN"...)
	case math.IsInf(f, 1):
		return append(dst, "Infinity"...)
	case math.IsInf(f, -1):
		return append(dst, "-Infinity"...)
	}
	bits, format := 64, byte('f')
	if single {
		bits = 32
	}
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(dst, f, format, -1, bits)
}

// appendDecimal writes a decimal in plain digits.
func appendDecimal(dst []byte, z *big.Int, scale int) []byte {
	if scale <= 0 {
		dst = z.Append(dst, 10)
		for range min(-scale, maxDecimalExponent) {
			if z.Sign() != 0 {
				dst = append(dst, '0')
			}
		}
		return dst
	}
	if z.Sign() < 0 {
		dst = append(dst, '-')
	}
	at := len(dst)
	var abs big.Int
	dst = abs.Abs(z).Append(dst, 10)
	for len(dst)-at <= scale { // at least one digit before the point
		dst = append(dst, 0)
		copy(dst[at+1:], dst[at:])
		dst[at] = '0'
	}
	dst = append(dst, 0)
	point := len(dst) - 1 - scale
	copy(dst[point+1:], dst[point:])
	dst[point] = '.'
	return dst
}
