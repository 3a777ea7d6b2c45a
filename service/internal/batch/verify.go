package batch

import (
	"encoding/json"
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/decimal256"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/table"
)

// Ranges of MaxCompute's types. Years 0001 to 9999 bound everything with a calendar.
const (
	minDay, maxDay             = -719162, 2932896 // days since 1970-01-01
	minSecond, maxSecond       = minDay * 86400, (maxDay+1)*86400 - 1
	minMilli, maxMilli         = minSecond * 1000, maxSecond*1000 + 999
	maxNano              int32 = 999_999_999
	// minBigint: −2^63 is not a BIGINT (semantics.md 3.8); MaxCompute and its SDKs take it for something else.
	minBigint = math.MinInt64 + 1
)

// verifier checks columns that lie in the layout of their own type against what the type holds.
type verifier struct {
	lim    Limits
	faults faults
	path   [table.MaxNesting + 2]where // of the value being verified; kept here so that nothing is allocated
}

// place is where a column below up lies, nil for a column of the batch. It is good until the next column as deep.
func (v *verifier) place(c *column, up *where) *where {
	depth := 0
	if up != nil {
		depth = up.depth + 1
	}
	w := &v.path[depth]
	*w = where{c, up, depth}
	return w
}

// verify checks all live values of w.c, column or child, of type t.
func (v *verifier) verify(t *table.Type, w *where) {
	c := w.c
	if c.n == 0 {
		return
	}
	switch t.Kind {
	case table.KindBigint:
		v.bigint(w)
	case table.KindDate:
		v.dates(w)
	case table.KindDatetime:
		v.datetimes(w)
	case table.KindTimestamp, table.KindTimestampNTZ:
		if c.lt.lay == layPair {
			v.pairs(w, minSecond, maxSecond, "a timestamp outside the years 0001 to 9999")
		}
	case table.KindIntervalDayTime:
		v.pairs(w, math.MinInt64, math.MaxInt64, "")
	case table.KindDecimal:
		v.decimals(t, w)
	case table.KindString, table.KindChar, table.KindVarchar, table.KindJSON, table.KindBinary:
		v.texts(t, w)
	case table.KindMap:
		v.keys(w)
		v.verify(&t.Children[0].Type, v.place(&c.kids[0], w))
		v.verify(&t.Children[1].Type, v.place(&c.kids[1], w))
	case table.KindArray, table.KindStruct:
		for i := range t.Children {
			v.verify(&t.Children[i].Type, v.place(&c.kids[i], w))
		}
	}
}

// fault reports value i if a row holds it.
func (v *verifier) fault(w *where, i int, r apierr.Reason, message string) {
	if row, live := w.row(i); live {
		v.faults.add(row, r, message)
	}
}

// notNull reports every NULL of a NOT NULL column.
func (v *verifier) notNull(c *column) {
	if c.nulls == 0 {
		return
	}
	for i := range c.n {
		if !c.isValid(i) {
			v.faults.add(i, apierr.TypeMismatch, "NULL in a NOT NULL column")
		}
	}
}

func (v *verifier) keys(w *where) {
	k := &w.c.kids[0]
	if k.nulls == 0 {
		return
	}
	at := where{c: k, up: w}
	for i := range k.n {
		if !k.isValid(i) {
			if row, live := at.rowOf(i); live {
				v.faults.add(row, apierr.TypeMismatch, "a map key is NULL")
			}
		}
	}
}

func (v *verifier) bigint(w *where) {
	b := w.c.data[:8*w.c.n]
	for i := 0; len(b) >= 8; i, b = i+1, b[8:] {
		if le.Uint64(b) == 1<<63 {
			v.fault(w, i, apierr.TypeMismatch, "−2^63 is outside BIGINT")
		}
	}
}

func (v *verifier) dates(w *where) {
	b := w.c.data[:4*w.c.n]
	for i := 0; len(b) >= 4; i, b = i+1, b[4:] {
		if d := int32(le.Uint32(b)); d < minDay || d > maxDay {
			v.fault(w, i, apierr.TypeMismatch, "a date outside the years 0001 to 9999")
		}
	}
}

func (v *verifier) datetimes(w *where) {
	b := w.c.data[:8*w.c.n]
	for i := 0; len(b) >= 8; i, b = i+1, b[8:] {
		if ms := int64(le.Uint64(b)); ms < minMilli || ms > maxMilli {
			v.fault(w, i, apierr.TypeMismatch, "a datetime outside the years 0001 to 9999")
		}
	}
}

func (v *verifier) pairs(w *where, least, most int64, message string) {
	c := w.c
	for i := range c.n {
		if s := int64(le.Uint64(c.data[8*i:])); s < least || s > most {
			v.fault(w, i, apierr.TypeMismatch, message)
		}
		if n := int32(le.Uint32(c.aux[4*i:])); n < 0 || n > maxNano {
			v.fault(w, i, apierr.TypeMismatch, "nanos outside 0 to 999999999")
		}
	}
}

func (v *verifier) decimals(t *table.Type, w *where) {
	c := w.c
	width := c.lt.width
	for i := range c.n {
		if !fitsPrecision(c.data[i*width:(i+1)*width], t.Precision) {
			v.fault(w, i, apierr.TypeMismatch, fmt.Sprintf("more digits than %s has", t))
		}
	}
}

// fitsPrecision reports whether the magnitude of an unscaled little-endian value is below 10^precision.
func fitsPrecision(b []byte, precision int) bool {
	lo, hi := le.Uint64(b), le.Uint64(b[8:])
	if len(b) == 16 {
		if hi == uint64(int64(lo)>>63) && precision >= 19 { // an int64
			return true
		}
		n, most := decimal128.New(int64(hi), lo), decimal128.GetScaleMultiplier(precision)
		return n.Less(most) && most.Negate().Less(n) // not Abs: −2^127 has none
	}
	n, most := decimal256.New(le.Uint64(b[24:]), le.Uint64(b[16:]), hi, lo), decimal256.GetScaleMultiplier(precision)
	return n.Less(most) && most.Negate().Less(n)
}

// texts checks lengths and encoding. The fast ways look at all values at once; only if they fail are values looked at
// one by one, since what a NULL's place holds does not matter.
func (v *verifier) texts(t *table.Type, w *where) {
	c := w.c
	from, to := int(le.Uint32(c.off)), int(le.Uint32(c.off[4*c.n:]))
	small := to-from <= v.lim.MaxValueBytes
	if t.Kind == table.KindBinary {
		if !small {
			v.eachText(t, w)
		}
		return
	}
	limited := t.Kind == table.KindChar || t.Kind == table.KindVarchar
	if small && t.Kind != table.KindJSON && allUTF8(c, from, to) && (!limited || shortEnough(c, t.Length)) {
		return
	}
	v.eachText(t, w)
}

// allUTF8 reports that every value is valid UTF-8: together they are, and none begins within a character.
func allUTF8(c *column, from, to int) bool {
	data := c.data[from:to]
	if ascii(data) {
		return true
	}
	if !utf8.Valid(data) {
		return false
	}
	for i := 0; i <= c.n; i++ {
		if at := int(le.Uint32(c.off[4*i:])); at < to && !utf8.RuneStart(c.data[at]) {
			return false
		}
	}
	return true
}

func ascii(b []byte) bool {
	for len(b) >= 32 {
		if (le.Uint64(b)|le.Uint64(b[8:])|le.Uint64(b[16:])|le.Uint64(b[24:]))&0x8080808080808080 != 0 {
			return false
		}
		b = b[32:]
	}
	var or byte
	for _, x := range b {
		or |= x
	}
	return or < 0x80
}

// shortEnough reports that no value has more bytes than the length allows code points.
func shortEnough(c *column, length int) bool {
	for i := range c.n {
		if int(le.Uint32(c.off[4*i+4:])-le.Uint32(c.off[4*i:])) > length {
			return false
		}
	}
	return true
}

func (v *verifier) eachText(t *table.Type, w *where) {
	c := w.c
	for i := range c.n {
		b := c.data[le.Uint32(c.off[4*i:]):le.Uint32(c.off[4*i+4:])]
		if r, message := checkText(t, b, v.lim.MaxValueBytes); message != "" {
			v.fault(w, i, r, message)
		}
	}
}

// checkText says what is wrong with one value of a text or binary type, "" if nothing is.
func checkText(t *table.Type, b []byte, most int) (apierr.Reason, string) {
	if len(b) > most {
		return apierr.TooLarge, fmt.Sprintf("a value of %d bytes, the limit is %d", len(b), most)
	}
	if t.Kind == table.KindBinary {
		return 0, ""
	}
	if !utf8.Valid(b) {
		return apierr.TypeMismatch, "text that is not valid UTF-8"
	}
	switch t.Kind {
	case table.KindChar, table.KindVarchar:
		if len(b) > t.Length {
			if n := utf8.RuneCount(b); n > t.Length {
				return apierr.TypeMismatch, fmt.Sprintf("%d characters in %s", n, t)
			}
		}
	case table.KindJSON:
		if !json.Valid(b) {
			return apierr.TypeMismatch, "text that is not JSON"
		}
	}
	return 0, ""
}

// rowSizes checks the size of rows, only if the batch is large enough to hold one that is too large.
func (v *verifier) rowSizes(cols []*column, rows int, total int64) {
	if total <= int64(v.lim.MaxRowBytes) {
		return
	}
	v.faults.begin("")
	for i := range rows {
		var size int64
		for _, c := range cols {
			size += valueSize(c, i)
		}
		if size > int64(v.lim.MaxRowBytes) {
			v.faults.add(i, apierr.TooLarge, fmt.Sprintf("a row of %d bytes, the limit is %d", size, v.lim.MaxRowBytes))
		}
	}
}

// valueSize is the bytes of value i of a column in the layout of its own type.
func valueSize(c *column, i int) int64 {
	if !c.isValid(i) {
		return 0
	}
	switch c.lt.lay {
	case layBits:
		return 1
	case layPair:
		return 12
	case layVar32:
		return int64(le.Uint32(c.off[4*i+4:]) - le.Uint32(c.off[4*i:]))
	case layStruct:
		return kidsSize(c, i, i+1)
	case layList32:
		from, to := c.extent(i)
		return kidsSize(c, from, to)
	}
	return int64(c.lt.width)
}

func kidsSize(c *column, from, to int) (size int64) {
	for k := range c.kids {
		kid := &c.kids[k]
		if kid.lt.lay == layFixed {
			size += int64(to-from) * int64(kid.lt.width)
			continue
		}
		for i := from; i < to; i++ {
			size += valueSize(kid, i)
		}
	}
	return size
}
