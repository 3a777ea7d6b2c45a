package batch

import (
	"strings"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/table"
)

// compileConv decides how values of layout lt come into type t. lt is changed where the target decides what a layout
// means: a struct of seconds and nanos, int32 months. A layout that no value could be cast from gives a problem.
func compileConv(t *table.Type, lt *ltype, cast Cast) (conv, string) {
	k := conv{t: t, to: sentType(*t, false), native: true}
	if lt == nil || lt.class == classNull {
		return k.withoutSource(), ""
	}
	resolveMeaning(t, lt)
	if why := refuses(t, lt, cast); why != "" {
		return k, why
	}
	if lt.class == classText && isNested(t) { // JSON text
		k = k.withoutSource()
		return k, ""
	}
	return k, k.match(lt, cast)
}

// withoutSource is k for values that come one by one, or not at all.
func (k conv) withoutSource() conv {
	k.native = false
	for i := range k.t.Children {
		kid := conv{t: &k.t.Children[i].Type, to: sentType(k.t.Children[i].Type, false)}
		k.kids = append(k.kids, kid.withoutSource())
		k.fields = append(k.fields, i)
	}
	return k
}

func isNested(t *table.Type) bool { return t.Kind >= table.KindArray }

func resolveMeaning(t *table.Type, lt *ltype) {
	switch t.Kind {
	case table.KindTimestamp, table.KindTimestampNTZ, table.KindDatetime:
		if lt.lay == layPair && lt.class == classStruct {
			lt.class = classInstant
		}
	case table.KindIntervalDayTime:
		if lt.lay == layPair && lt.class == classStruct {
			lt.class = classDuration
		}
	case table.KindIntervalYearMonth:
		if lt.class == classInt {
			lt.class = classMonths
		}
	}
	if lt.lay == layPair && lt.class == classStruct { // an ordinary struct after all
		lt.lay = layStruct
	}
}

var kindOfClass = map[class]kind{
	classBool: kindBool, classInt: kindInt, classFloat: kindFloat, classDecimal: kindDecimal, classText: kindText,
	classBinary: kindBinary, classDate: kindDate, classInstant: kindInstant, classDuration: kindInterval,
	classMonths: kindMonths, classList: kindList, classMap: kindMap, classStruct: kindRecord,
}

// refuses says why no value of lt could go into t, "" if some could.
func refuses(t *table.Type, lt *ltype, cast Cast) string {
	if lt.class == classMonthDayNano {
		if t.Kind != table.KindIntervalDayTime && t.Kind != table.KindIntervalYearMonth {
			return lt.class.String() + " does not go into " + t.String()
		}
		return ""
	}
	if !castable(kindOfClass[lt.class], t.Kind, cast) {
		return lt.class.String() + " does not go into " + t.String()
	}
	if t.Kind == table.KindTimestampNTZ && lt.class == classInstant && !isUTC(lt.zone) {
		return "a timestamp of zone " + lt.zone + " is an instant and does not go into " + t.String()
	}
	return ""
}

func isUTC(zone string) bool {
	switch strings.ToUpper(zone) {
	case "", "UTC", "Z", "+00:00", "ETC/UTC", "GMT", "+0000", "+00":
		return true
	}
	return false
}

// match fills native, kids and fields for a layout that is castable.
func (k *conv) match(lt *ltype, cast Cast) string {
	k.native = sameLayout(lt, &k.to)
	if k.t.Kind == table.KindStruct {
		return k.matchFields(lt, cast)
	}
	for i := range k.t.Children {
		kid, why := compileConv(&k.t.Children[i].Type, &lt.kids[i], cast)
		if why != "" {
			return why
		}
		k.native = k.native && kid.native
		k.kids = append(k.kids, kid)
	}
	return ""
}

// matchFields pairs the fields of a STRUCT with those sent, by name without regard to case; both must have the same.
func (k *conv) matchFields(lt *ltype, cast Cast) string {
	if len(lt.kids) != len(k.t.Children) {
		return "a struct of other fields than " + k.t.String()
	}
	used := make([]bool, len(lt.kids))
	for i := range k.t.Children {
		at := -1
		for j, name := range lt.names {
			if !used[j] && strings.EqualFold(name, k.t.Children[i].Name) {
				at = j
				break
			}
		}
		if at < 0 {
			return "a struct without the field " + k.t.Children[i].Name
		}
		used[at] = true
		kid, why := compileConv(&k.t.Children[i].Type, &lt.kids[at], cast)
		if why != "" {
			return why
		}
		k.native = k.native && kid.native && at == i
		k.kids = append(k.kids, kid)
		k.fields = append(k.fields, at)
	}
	return ""
}

// sameLayout reports whether buffers of a may be taken for those of b as they are, children aside.
func sameLayout(a, b *ltype) bool {
	if b.class == classInstant && a.class == classInstant && b.unit == 1e9 && a.lay == layPair {
		return true
	}
	if a.lay != b.lay || a.width != b.width || a.unsigned || a.days {
		return false
	}
	switch b.class {
	case classText, classBinary:
		return a.class == classText || a.class == classBinary
	case classInstant, classDate:
		return a.class == b.class && a.unit == b.unit
	case classDecimal:
		return a.class == b.class && a.scale == b.scale
	}
	return a.class == b.class
}

func fieldIndex(t *table.Type, name string) int {
	for i := range t.Children {
		if strings.EqualFold(t.Children[i].Name, name) {
			return i
		}
	}
	return -1
}

// bring gives c in the layout of k's type: c itself if it lies so already. Values that do not fit are reported and
// come as NULL. The result refers to c and to the arena.
func (l *checker) bring(c *column, k *conv, up *where) (column, error) {
	if k.native {
		out := *c
		return out, nil
	}
	if c.lt.class == classNull {
		return l.nulls(k, c.n)
	}
	if err := l.room(c.n, &k.to); err != nil {
		return column{}, err
	}
	switch k.t.Kind {
	case table.KindArray, table.KindMap:
		if c.lt.class != classText && l.offsets32(c) {
			return l.bringList(c, k, up)
		}
	case table.KindStruct:
		if c.lt.class == classStruct {
			return l.bringStruct(c, k, up)
		}
	}
	return l.bringCells(c, k, up), nil
}

// room refuses a column that would grow beyond bounds: a few bytes may stand for very many values.
func (l *checker) room(n int, to *ltype) error {
	l.grown += int64(n) * int64(max(to.width, 8))
	if most := 4 * l.lim.MaxBatchBytes; l.grown > most {
		return tooLarge("the converted batch", most, l.grown)
	}
	return nil
}

// offsets32 reports whether the lists of c lie one after another, so that int32 offsets describe them.
func (l *checker) offsets32(c *column) bool {
	switch c.lt.lay {
	case layList32, layList64, layListFix:
		return true
	}
	at := 0
	for i := range c.n {
		from, to := c.extent(i)
		if from != at && i > 0 {
			return false
		}
		at = to
	}
	return true
}

func (l *checker) bringList(c *column, k *conv, up *where) (column, error) {
	out := column{lt: &k.to, n: c.n, nulls: c.nulls, valid: c.valid, off: c.off}
	if c.lt.lay != layList32 {
		out.off = l.mem.alloc(4 * (c.n + 1))
		le.PutUint32(out.off, 0)
		for i := range c.n {
			from, to := c.extent(i)
			if i == 0 {
				le.PutUint32(out.off, uint32(from))
			}
			le.PutUint32(out.off[4*i+4:], uint32(to))
		}
	}
	out.kids = make([]column, len(k.kids))
	for i := range k.kids {
		kid, err := l.bring(&c.kids[i], &k.kids[i], &where{c: &out, up: up})
		if err != nil {
			return out, err
		}
		out.kids[i] = kid
	}
	return out, nil
}

func (l *checker) bringStruct(c *column, k *conv, up *where) (column, error) {
	out := column{lt: &k.to, n: c.n, nulls: c.nulls, valid: c.valid}
	out.kids = make([]column, len(k.kids))
	for i := range k.kids {
		kid, err := l.bring(&c.kids[k.fields[i]], &k.kids[i], &where{c: &out, up: up})
		if err != nil {
			return out, err
		}
		out.kids[i] = kid
	}
	return out, nil
}

// bringCells casts value by value.
func (l *checker) bringCells(c *column, k *conv, up *where) column {
	var b builder
	b.init(k)
	at := where{c: c, up: up}
	var e cell
	for i := range c.n {
		c.read(i, &e)
		if p := l.cast.put(&b, &e); p.bad() {
			if row, live := at.row(i); live {
				l.check.faults.add(row, p.reason, p.message)
			}
		}
	}
	return b.column()
}

// nulls is a column of NULLs only.
func (l *checker) nulls(k *conv, n int) (column, error) {
	if err := l.room(n, &k.to); err != nil {
		return column{}, err
	}
	c := column{lt: &k.to, n: n, nulls: n, valid: l.mem.zeroed(bitmapBytes(n))}
	switch k.to.lay {
	case layBits:
		c.data = l.mem.zeroed(bitmapBytes(n))
	case layFixed:
		c.data = l.mem.zeroed(n * k.to.width)
	case layPair:
		c.data, c.aux = l.mem.zeroed(8*n), l.mem.zeroed(4*n)
	case layVar32, layList32:
		c.off = l.mem.zeroed(4 * (n + 1))
	}
	kidRows := 0
	if k.to.lay == layStruct {
		kidRows = n
	}
	for i := range k.kids {
		kid, err := l.nulls(&k.kids[i], kidRows)
		if err != nil {
			return c, err
		}
		c.kids = append(c.kids, kid)
	}
	return c, nil
}

// typeError is TYPE_MISMATCH for a whole column.
func typeError(column, why string) error {
	return apierr.New(apierr.TypeMismatch, "column %q: %s", column, why).With("column", column)
}
