package batch

import (
	"encoding/binary"
	"math"
	"math/bits"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
	"github.com/sluice-io/sluice/service/internal/apierr"
)

var le = binary.LittleEndian

// column is one column of a batch, or a child of one, as its buffers lie. Once loaded, every value 0 … n−1 can be read
// without further checks of bounds, except that values of views are fetched by bytesAt.
//
//	lay         off                data               aux           kids
//	fixed       –                  n·width            –             –
//	bits        –                  ⌈n/8⌉              –             –
//	var32/64    (n+1)·4 or 8       last offset bytes  –             –
//	view        –                  n·16               –  (blocks)   –
//	pair        –                  n·8 seconds        n·4 nanos     –
//	list, map   (n+1)·4 or 8       –                  –             one; keys and values
//	list view   n·4 or 8           –                  n·4 or 8      one
//	list fixed  –                  –                  –             one
//	struct      –                  –                  –             fields
//
// Buffers may be nil where a passthrough check does not look into them.
type column struct {
	lt       *ltype
	n, nulls int
	valid    []byte // nil when nulls is 0, or all are (layNone)
	off      []byte
	data     []byte
	aux      []byte
	blocks   [][]byte
	kids     []column
}

// newColumn makes the tree of columns of a type, to be loaded again and again.
func newColumn(lt *ltype) column {
	c := column{lt: lt}
	if lt.lay == layPair {
		return c
	}
	for i := range lt.kids {
		c.kids = append(c.kids, newColumn(&lt.kids[i]))
	}
	return c
}

// isValid reports whether value i is not NULL.
func (c *column) isValid(i int) bool {
	if c.valid != nil {
		return c.valid[i>>3]&(1<<(i&7)) != 0
	}
	return c.lt.lay != layNone
}

func (c *column) isList() bool { return c.lt.lay >= layList32 && c.lt.lay <= layListV64 }

// extent is where the elements of list i lie in the children.
func (c *column) extent(i int) (from, to int) {
	switch c.lt.lay {
	case layList32:
		return int(int32(le.Uint32(c.off[4*i:]))), int(int32(le.Uint32(c.off[4*i+4:])))
	case layList64:
		return int(le.Uint64(c.off[8*i:])), int(le.Uint64(c.off[8*i+8:]))
	case layListFix:
		return i * c.lt.width, (i + 1) * c.lt.width
	case layListV32:
		from = int(int32(le.Uint32(c.off[4*i:])))
		return from, from + int(int32(le.Uint32(c.aux[4*i:])))
	default: // layListV64
		from = int(le.Uint64(c.off[8*i:]))
		return from, from + int(le.Uint64(c.aux[8*i:]))
	}
}

// bytesAt is text or binary value i; ok is false for a view that points outside its buffers.
func (c *column) bytesAt(i int) (b []byte, ok bool) {
	switch c.lt.lay {
	case layVar32:
		return c.data[int32(le.Uint32(c.off[4*i:])):int32(le.Uint32(c.off[4*i+4:]))], true
	case layVar64:
		return c.data[le.Uint64(c.off[8*i:]):le.Uint64(c.off[8*i+8:])], true
	case layFixed:
		return c.data[i*c.lt.width : (i+1)*c.lt.width], true
	}
	v := c.data[16*i : 16*i+16]
	n := int(int32(le.Uint32(v)))
	if n >= 0 && n <= 12 {
		return v[4 : 4+n], true
	}
	block, at := int(int32(le.Uint32(v[8:]))), int(int32(le.Uint32(v[12:])))
	if n < 0 || block < 0 || block >= len(c.blocks) || at < 0 || at > len(c.blocks[block])-n {
		return nil, false
	}
	return c.blocks[block][at : at+n], true
}

// countValid counts the set bits among the first n.
func countValid(b []byte, n int) int {
	set := 0
	for n >= 64 {
		set += bits.OnesCount64(le.Uint64(b))
		b, n = b[8:], n-64
	}
	for n >= 8 {
		set += bits.OnesCount8(b[0])
		b, n = b[1:], n-8
	}
	if n > 0 {
		set += bits.OnesCount8(b[0] & (1<<n - 1))
	}
	return set
}

func bitmapBytes(n int) int { return (n + 7) / 8 }

// arrowLoader fills columns from the nodes and buffers of one RecordBatch message, in its depth-first order.
type arrowLoader struct {
	meta  *batchMeta
	owner *checker // whose message it is, and whose arena
	lim   Limits
	full  bool // load every buffer, not only those that checks look into
	top   string
	node  int
	buf   int
	vari  int
	total int64
}

func (l *arrowLoader) bad(format string, args ...any) error {
	e := apierr.New(apierr.BadArgument, "arrow: column %q: "+format, append([]any{l.top}, args...)...)
	return e.With("column", l.top)
}

// load fills c from the next nodes and buffers. n is the length that the parent demands, −1 for a child whose parent
// checks it.
func (l *arrowLoader) load(c *column, n int) error {
	length, err := l.nextNode(c)
	if err != nil {
		return err
	}
	if n >= 0 && length != n {
		return l.bad("%d values, want %d", length, n)
	}
	c.off, c.data, c.aux, c.blocks = nil, nil, nil, c.blocks[:0]
	if c.lt.lay == layNone {
		c.nulls, c.valid = c.n, nil
		return nil
	}
	if err := l.validity(c); err != nil {
		return err
	}
	return l.buffers(c)
}

func (l *arrowLoader) nextNode(c *column) (int, error) {
	if l.node >= l.meta.nodes {
		return 0, l.bad("the message has too few field nodes")
	}
	length, nulls := l.meta.node(l.node)
	l.node++
	if length < 0 || length > math.MaxInt32 || nulls < 0 || nulls > length {
		return 0, l.bad("field node of %d values, %d of them NULL", length, nulls)
	}
	c.n, c.nulls = int(length), int(nulls)
	return c.n, nil
}

// next is the next buffer. A buffer that no check looks into is not fetched, only its bounds are checked.
func (l *arrowLoader) next(want int, what string, need bool) ([]byte, error) {
	if l.buf >= l.meta.bufs {
		return nil, l.bad("the message has too few buffers")
	}
	at, size := l.meta.buffer(l.buf)
	l.buf++
	if at < 0 || size < 0 || at > l.meta.msg.bodySize || size > l.meta.msg.bodySize-at || at%8 != 0 {
		return nil, l.bad("%s buffer lies at %d+%d of a body of %d bytes", what, at, size, l.meta.msg.bodySize)
	}
	if l.meta.codec != codecNone {
		return l.nextPacked(int(at), int(size), want, what)
	}
	if size < int64(want) {
		return nil, l.bad("%s buffer has %d bytes, want %d", what, size, want)
	}
	if l.total += size; l.total > l.lim.MaxBatchBytes { // buffers may overlap
		return nil, tooLarge("the batch", l.lim.MaxBatchBytes, l.total)
	}
	if !need && !l.full {
		return nil, nil
	}
	if want < 0 {
		want = int(size)
	}
	return l.owner.fetch(l.meta.msg.bodyAt+int(at), want), nil
}

func (l *arrowLoader) nextPacked(at, size, want int, what string) ([]byte, error) {
	if size == 0 {
		if want > 0 {
			return nil, l.bad("%s buffer is empty, want %d bytes", what, want)
		}
		return nil, nil
	}
	b, err := l.unpack(l.owner.fetch(l.meta.msg.bodyAt+at, size))
	if apierr.Is(err, apierr.TooLarge) {
		return nil, err
	}
	if err != nil {
		return nil, l.bad("%s buffer: %v", what, err)
	}
	if len(b) < want {
		return nil, l.bad("%s buffer has %d bytes, want %d", what, len(b), want)
	}
	return b, nil
}

func (l *arrowLoader) validity(c *column) error {
	size := int64(0)
	if l.buf < l.meta.bufs {
		_, size = l.meta.buffer(l.buf)
	}
	if size == 0 { // absent: nothing is NULL
		c.valid = nil
		if _, err := l.next(0, "validity", false); err != nil {
			return err
		}
		if c.nulls != 0 {
			return l.bad("%d NULLs announced without a validity buffer", c.nulls)
		}
		return nil
	}
	b, err := l.next(bitmapBytes(c.n), "validity", true)
	if err != nil {
		return err
	}
	if nulls := c.n - countValid(b, c.n); nulls != c.nulls {
		return l.bad("%d NULLs announced, %d in the validity buffer", c.nulls, nulls)
	}
	c.valid = b
	if c.nulls == 0 {
		c.valid = nil
	}
	return nil
}

func (l *arrowLoader) buffers(c *column) (err error) {
	need := l.looksInto(c.lt)
	switch c.lt.lay {
	case layBits:
		c.data, err = l.next(bitmapBytes(c.n), "data", need)
	case layFixed:
		c.data, err = l.next(c.n*c.lt.width, "data", need)
	case layVar32, layVar64:
		return l.text(c, need)
	case layView:
		return l.views(c)
	case layPair:
		return l.pair(c)
	case layStruct:
		for i := range c.kids {
			if err := l.load(&c.kids[i], c.n); err != nil {
				return err
			}
		}
	default:
		return l.list(c)
	}
	return err
}

// looksInto says whether some check reads the data of a fixed-width or text column.
func (l *arrowLoader) looksInto(lt *ltype) bool {
	switch lt.class {
	case classBool, classFloat:
		return false
	case classInt:
		return lt.width == 8 // the least BIGINT
	case classInstant:
		return lt.unit != 1e9
	}
	return true
}

func (l *arrowLoader) text(c *column, need bool) (err error) {
	width := 4
	if c.lt.lay == layVar64 {
		width = 8
	}
	if c.off, err = l.offsets(c, width); err != nil {
		return err
	}
	last, why := checkOffsets(c.off, c.n, width)
	if why != "" {
		return l.bad("%s", why)
	}
	c.data, err = l.next(last, "data", need)
	return err
}

// offsets is a buffer of n+1 offsets. Arrow lets an empty column leave it out.
func (l *arrowLoader) offsets(c *column, width int) ([]byte, error) {
	if c.n == 0 {
		_, err := l.next(0, "offsets", false)
		return zeroOffset[:width], err
	}
	return l.next((c.n+1)*width, "offsets", true)
}

var zeroOffset [8]byte

// checkOffsets verifies that n+1 offsets do not fall, and gives the last one.
func checkOffsets(off []byte, n, width int) (last int, why string) {
	if width == 4 {
		prev := int32(le.Uint32(off))
		if prev < 0 {
			return 0, "an offset is negative"
		}
		b := off[4 : 4*(n+1)]
		for len(b) >= 4 {
			o := int32(le.Uint32(b))
			if o < prev {
				return 0, "offsets fall"
			}
			prev, b = o, b[4:]
		}
		return int(prev), ""
	}
	prev := int64(le.Uint64(off))
	if prev < 0 {
		return 0, "an offset is negative"
	}
	for i := 1; i <= n; i++ {
		o := int64(le.Uint64(off[8*i:]))
		if o < prev {
			return 0, "offsets fall"
		}
		prev = o
	}
	if prev > math.MaxInt32 {
		return 0, "offsets beyond 2 GiB"
	}
	return int(prev), ""
}

func (l *arrowLoader) views(c *column) (err error) {
	if c.data, err = l.next(16*c.n, "views", true); err != nil {
		return err
	}
	if l.vari >= l.meta.vari {
		return l.bad("no count of variadic buffers")
	}
	count := l.meta.msg.view.i64(l.meta.variadicAt + 8*l.vari)
	l.vari++
	if count < 0 || count > int64(l.meta.bufs-l.buf) {
		return l.bad("%d variadic buffers", count)
	}
	for range count {
		b, err := l.next(-1, "variadic", true)
		if err != nil {
			return err
		}
		c.blocks = append(c.blocks, b)
	}
	return nil
}

// pair loads struct<seconds:int64, nanos:int32>; NULLs of the two children count as NULLs of the whole only if they
// agree with it, else the value is malformed.
func (l *arrowLoader) pair(c *column) error {
	kids := [2]column{{lt: &pairSeconds}, {lt: &pairNanos}}
	for i := range kids {
		if err := l.load(&kids[i], c.n); err != nil {
			return err
		}
		if kids[i].nulls > 0 && !coversNulls(c, &kids[i]) {
			return l.bad("a NULL in one half of seconds and nanos")
		}
	}
	c.data, c.aux = kids[0].data, kids[1].data
	return nil
}

// coversNulls reports whether every NULL of kid is one of c.
func coversNulls(c, kid *column) bool {
	for i := range c.n {
		if c.isValid(i) && !kid.isValid(i) {
			return false
		}
	}
	return true
}

func (l *arrowLoader) list(c *column) (err error) {
	var want int // elements needed in the children
	switch c.lt.lay {
	case layList32, layList64:
		width := 4
		if c.lt.lay == layList64 {
			width = 8
		}
		if c.off, err = l.offsets(c, width); err != nil {
			return err
		}
		last, why := checkOffsets(c.off, c.n, width)
		if why != "" {
			return l.bad("%s", why)
		}
		want = last
	case layListFix:
		if c.lt.width > 0 && c.n > math.MaxInt32/c.lt.width {
			return l.bad("too many list elements")
		}
		want = c.n * c.lt.width
	default:
		if want, err = l.listViews(c); err != nil {
			return err
		}
	}
	return l.elements(c, want)
}

func (l *arrowLoader) listViews(c *column) (want int, err error) {
	width := 4
	if c.lt.lay == layListV64 {
		width = 8
	}
	if c.off, err = l.next(c.n*width, "offsets", true); err != nil {
		return 0, err
	}
	if c.aux, err = l.next(c.n*width, "sizes", true); err != nil {
		return 0, err
	}
	for i := range c.n {
		from, to := c.extent(i)
		if from < 0 || to < from || to > math.MaxInt32 {
			return 0, l.bad("a list view of %d to %d", from, to)
		}
		want = max(want, to)
	}
	return want, nil
}

func (l *arrowLoader) elements(c *column, want int) error {
	if c.lt.class != classMap {
		return l.child(&c.kids[0], want)
	}
	var entries column // the struct of keys and values that Arrow puts between
	entries.lt = &mapEntries
	length, err := l.nextNode(&entries)
	if err != nil {
		return err
	}
	if length < want || entries.nulls != 0 {
		return l.bad("%d map entries, %d of them NULL, want %d", length, entries.nulls, want)
	}
	if err := l.validity(&entries); err != nil {
		return err
	}
	for i := range c.kids {
		if err := l.load(&c.kids[i], length); err != nil {
			return err
		}
	}
	return nil
}

var mapEntries = ltype{class: classStruct, lay: layStruct}

func (l *arrowLoader) child(c *column, want int) error {
	if err := l.load(c, -1); err != nil {
		return err
	}
	if c.n < want {
		return l.bad("%d list elements, want %d", c.n, want)
	}
	return nil
}

// loadColumns fills c from a ColumnData of n values. Lengths must fit exactly (api.md 4.5); a misfit is BAD_VALUES.
func loadColumns(c *column, d *sluicev1.ColumnData, n int, top string) error {
	bad := func(format string, args ...any) error {
		e := apierr.New(apierr.BadValues, "column %q: "+format, append([]any{top}, args...)...)
		return e.With("column", top)
	}
	c.n, c.nulls, c.valid = n, 0, nil
	if v := d.GetValidity(); len(v) > 0 {
		if len(v) != bitmapBytes(n) {
			return bad("validity has %d bytes, want %d", len(v), bitmapBytes(n))
		}
		if c.nulls = n - countValid(v, n); c.nulls > 0 {
			c.valid = v
		}
	}
	c.off, c.data, c.aux = d.GetOffsets(), d.GetData(), d.GetNanos()
	wantOff, wantData, wantAux, wantKids := 0, 0, 0, len(c.kids)
	kidRows := n
	switch c.lt.lay {
	case layBits:
		wantData = bitmapBytes(n)
	case layFixed:
		wantData = n * c.lt.width
	case layPair:
		wantData, wantAux = 8*n, 4*n
	case layVar32, layList32:
		wantOff = 4 * (n + 1)
		if n == 0 && len(c.off) == 0 {
			c.off = zeroOffset[:4]
		}
		if len(c.off) != wantOff {
			return bad("offsets have %d bytes, want %d", len(c.off), wantOff)
		}
		last, why := checkOffsets(c.off, n, 4)
		if why == "" && le.Uint32(c.off) != 0 {
			why = "the first offset is not 0"
		}
		if why != "" {
			return bad("%s", why)
		}
		kidRows = last
		if c.lt.lay == layVar32 {
			wantData = last
		}
	}
	switch {
	case len(c.off) != wantOff:
		return bad("offsets have %d bytes, want %d", len(c.off), wantOff)
	case len(c.data) != wantData:
		return bad("data has %d bytes, want %d", len(c.data), wantData)
	case len(c.aux) != wantAux:
		return bad("nanos have %d bytes, want %d", len(c.aux), wantAux)
	case len(d.GetChildren()) != wantKids:
		return bad("%d children, want %d", len(d.GetChildren()), wantKids)
	}
	for i := range c.kids {
		if err := loadColumns(&c.kids[i], d.GetChildren()[i], kidRows, top); err != nil {
			return err
		}
	}
	return nil
}
