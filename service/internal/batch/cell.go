package batch

import (
	"math"
	"math/big"

	"github.com/apache/arrow-go/v18/arrow/float16"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
)

// kind is what a single value is, apart from the column it came from.
type kind uint8

const (
	kindNull kind = iota
	kindBool
	kindInt
	kindFloat
	kindDecimal
	kindText
	kindBinary
	kindDate
	kindInstant
	kindInterval
	kindMonths
	kindList
	kindMap
	kindRecord
	kindBad // could not be read; msg says why
)

var kindNames = [...]string{"NULL", "a boolean", "an integer", "a float", "a decimal", "text", "bytes", "a date",
	"a timestamp", "an interval", "months", "a list", "a map", "a record", "a malformed value"}

// cell is one value on its way from one layout to another. It refers to memory of the batch and lives as long as a
// loop's step. Which fields count depends on k.
type cell struct {
	k      kind
	i      int64   // bool, int, date (days), instant and interval (seconds, floor), months
	n      int32   // instant, interval: nanos
	over   bool    // int: i is the bits of a uint64 above 2^63−1
	f      float64 // float
	single bool    // float: it was a float32
	b      []byte  // text, binary
	dec    big.Int // decimal: unscaled
	scale  int     // decimal
	js     bool    // text: a string within a JSON text
	msg    string  // bad

	// Where nested values come from; exactly one of them.
	col  *column // list, map, record: value at of col
	at   int
	vals []*sluicev1.Value    // list, record
	ents []*sluicev1.MapEntry // map
	arr  []any                // list, of parsed JSON
	obj  jsonObject           // map or record
}

// read fills out with value i of c.
func (c *column) read(i int, out *cell) {
	out.k = kindNull
	if !c.isValid(i) {
		return
	}
	switch c.lt.class {
	case classBool:
		out.k, out.i = kindBool, int64(c.data[i>>3]>>(i&7)&1)
	case classInt:
		out.k = kindInt
		out.i, out.over = c.intAt(i)
	case classMonths:
		out.k = kindMonths
		out.i, _ = c.intAt(i)
	case classFloat:
		out.k = kindFloat
		out.f, out.single = c.floatAt(i)
	case classDecimal:
		out.k, out.scale = kindDecimal, c.lt.scale
		setTwosComplement(&out.dec, c.data[i*c.lt.width:(i+1)*c.lt.width])
	case classText, classBinary:
		c.readBytes(i, out)
	case classDate:
		c.readDate(i, out)
	case classInstant, classDuration:
		c.readTicks(i, out)
	case classMonthDayNano:
		c.readMonthDayNano(i, out)
	case classList:
		out.k, out.col, out.at = kindList, c, i
	case classMap:
		out.k, out.col, out.at = kindMap, c, i
	case classStruct:
		out.k, out.col, out.at = kindRecord, c, i
	}
}

// intAt is integer i; over says that it is the bits of a uint64 above 2^63−1.
func (c *column) intAt(i int) (v int64, over bool) {
	switch c.lt.width {
	case 1:
		if c.lt.unsigned {
			return int64(c.data[i]), false
		}
		return int64(int8(c.data[i])), false
	case 2:
		u := le.Uint16(c.data[2*i:])
		if c.lt.unsigned {
			return int64(u), false
		}
		return int64(int16(u)), false
	case 4:
		u := le.Uint32(c.data[4*i:])
		if c.lt.unsigned {
			return int64(u), false
		}
		return int64(int32(u)), false
	}
	u := le.Uint64(c.data[8*i:])
	return int64(u), c.lt.unsigned && u > math.MaxInt64
}

func (c *column) floatAt(i int) (f float64, single bool) {
	switch c.lt.width {
	case 2:
		return float64(float16.FromBits(le.Uint16(c.data[2*i:])).Float32()), true
	case 4:
		return float64(math.Float32frombits(le.Uint32(c.data[4*i:]))), true
	}
	return math.Float64frombits(le.Uint64(c.data[8*i:])), false
}

func (c *column) readBytes(i int, out *cell) {
	b, ok := c.bytesAt(i)
	switch {
	case !ok:
		out.k, out.msg = kindBad, "a view that points outside its buffers"
	case c.lt.class == classText:
		out.k, out.b, out.js = kindText, b, false
	default:
		out.k, out.b = kindBinary, b
	}
}

func (c *column) readDate(i int, out *cell) {
	out.k = kindDate
	if c.lt.width == 4 {
		out.i = int64(int32(le.Uint32(c.data[4*i:])))
		return
	}
	out.i, _ = floorDiv(int64(le.Uint64(c.data[8*i:])), c.lt.unit)
}

func (c *column) readTicks(i int, out *cell) {
	out.k = kindInstant
	if c.lt.class == classDuration {
		out.k = kindInterval
	}
	switch {
	case c.lt.lay == layPair:
		out.i, out.n = int64(le.Uint64(c.data[8*i:])), int32(le.Uint32(c.aux[4*i:]))
		if out.n < 0 || out.n > maxNano {
			out.k, out.msg = kindBad, "nanos outside 0 to 999999999"
		}
	case c.lt.days:
		days, ms := int32(le.Uint32(c.data[8*i:])), int32(le.Uint32(c.data[8*i+4:]))
		s, rest := floorDiv(int64(ms), 1000)
		out.i, out.n = int64(days)*86400+s, int32(rest)*1e6
	default:
		s, rest := floorDiv(int64(le.Uint64(c.data[8*i:])), c.lt.unit)
		out.i, out.n = s, int32(rest*(1e9/c.lt.unit))
	}
}

// readMonthDayNano is an interval in months only or without any; both at once have no type in MaxCompute.
func (c *column) readMonthDayNano(i int, out *cell) {
	v := c.data[16*i:]
	months, days, nanos := int32(le.Uint32(v)), int32(le.Uint32(v[4:])), int64(le.Uint64(v[8:]))
	switch {
	case months != 0 && (days != 0 || nanos != 0):
		out.k, out.msg = kindBad, "an interval of months together with days or nanoseconds"
	case months != 0:
		out.k, out.i = kindMonths, int64(months)
	default:
		s, rest := floorDiv(nanos, 1e9)
		out.k, out.i, out.n = kindInterval, int64(days)*86400+s, int32(rest)
	}
}

// floorDiv is a/b rounded down, and the rest, 0 … b−1.
func floorDiv(a, b int64) (q, r int64) {
	q, r = a/b, a%b
	if r < 0 {
		q, r = q-1, r+b
	}
	return q, r
}

// setTwosComplement sets z to a little-endian two's complement number of 4, 8, 16 or 32 bytes.
func setTwosComplement(z *big.Int, b []byte) {
	var be [32]byte
	negative := b[len(b)-1] >= 0x80
	for i, x := range b {
		if negative {
			x = ^x
		}
		be[len(b)-1-i] = x
	}
	z.SetBytes(be[:len(b)])
	if negative {
		z.Not(z) // −(z+1)
	}
}

// putTwosComplement writes z into b; it must fit.
func putTwosComplement(b []byte, z *big.Int) {
	var t big.Int
	negative := z.Sign() < 0
	if negative {
		t.Not(z)
	} else {
		t.Set(z)
	}
	var be [32]byte
	t.FillBytes(be[:len(b)])
	for i := range b {
		x := be[len(b)-1-i]
		if negative {
			x = ^x
		}
		b[i] = x
	}
}

// readValue fills out with a Value of the row form.
func readValue(v *sluicev1.Value, out *cell) {
	out.k = kindNull
	switch x := v.GetKind().(type) {
	case *sluicev1.Value_Boolean:
		out.k, out.i = kindBool, 0
		if x.Boolean {
			out.i = 1
		}
	case *sluicev1.Value_Integer:
		out.k, out.i, out.over = kindInt, x.Integer, false
	case *sluicev1.Value_Number:
		out.k, out.f, out.single = kindFloat, x.Number, false
	case *sluicev1.Value_Text:
		out.k, out.b, out.js = kindText, bytesOf(x.Text), false
	case *sluicev1.Value_Binary:
		out.k, out.b = kindBinary, x.Binary
	case *sluicev1.Value_Decimal:
		readDecimalText(x.Decimal, out)
	case *sluicev1.Value_Date:
		readDateValue(x.Date, out)
	case *sluicev1.Value_Instant:
		out.k, out.i, out.n = kindInstant, x.Instant.GetSeconds(), x.Instant.GetNanos()
		if out.n < 0 || out.n > maxNano {
			out.k, out.msg = kindBad, "nanos outside 0 to 999999999"
		}
	case *sluicev1.Value_Interval:
		readDurationValue(x.Interval.GetSeconds(), x.Interval.GetNanos(), out)
	case *sluicev1.Value_Months:
		out.k, out.i = kindMonths, int64(x.Months)
	case *sluicev1.Value_List:
		out.k, out.col, out.arr, out.vals = kindList, nil, nil, x.List.GetValues()
	case *sluicev1.Value_Map:
		out.k, out.col, out.obj, out.ents = kindMap, nil, nil, x.Map.GetEntries()
	case *sluicev1.Value_Record:
		out.k, out.col, out.obj, out.vals = kindRecord, nil, nil, x.Record.GetFields()
	}
}

func readDecimalText(s string, out *cell) {
	out.k = kindDecimal
	if out.scale, out.msg = parseDecimal(bytesOf(s), &out.dec); out.msg != "" {
		out.k = kindBad
	}
}

func readDateValue(d *sluicev1.Date, out *cell) {
	days, ok := civilDays(int(d.GetYear()), int(d.GetMonth()), int(d.GetDay()))
	out.k, out.i = kindDate, days
	if !ok {
		out.k, out.msg = kindBad, "a date that does not exist"
	}
}

// readDurationValue turns seconds and nanos of one sign into floor seconds and nanos 0 … 999,999,999.
func readDurationValue(seconds int64, nanos int32, out *cell) {
	if nanos < -maxNano || nanos > maxNano || seconds > 0 && nanos < 0 || seconds < 0 && nanos > 0 {
		out.k, out.msg = kindBad, "seconds and nanos of an interval differ in sign or range"
		return
	}
	if nanos < 0 {
		seconds, nanos = seconds-1, nanos+1e9
	}
	out.k, out.i, out.n = kindInterval, seconds, nanos
}
