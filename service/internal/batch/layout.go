package batch

import (
	"fmt"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/table"
)

// Layout checks and converts the batches of one schema definition. It is small, and holds no buffers between two calls
// of Check: what was compiled is shared by all Layouts of the same definition, scratch space by those being used. One
// goroutine at a time uses a Layout.
type Layout struct {
	program *program
	form    Form // FormRecord stays once it was needed
}

// Passthrough reports whether Arrow batches go to the tunnel with their bytes untouched (SliceOpened.passthrough).
// Compressed ones are unpacked even then.
func (l *Layout) Passthrough() bool { return l.program.passthrough && l.form == FormArrow }

// Form is the form of the next batch: it goes from FormArrow to FormRecord with the first batch that Arrow cannot
// hold, and never back.
func (l *Layout) Form() Form { return l.form }

// ConvertedColumns names, in the order sent, the columns whose Arrow layout is not the tunnel's: what costs CPU. In a
// table that takes records these are also the columns that force them.
func (l *Layout) ConvertedColumns() []string {
	var out []string
	for i := range l.program.sent {
		if s := &l.program.sent[i]; !s.arrow.native || holdsPairs(s.arrowType) || arrowLacks(&s.col.Type) {
			out = append(out, s.col.Name)
		}
	}
	return out
}

// Check verifies a batch column by column against everything in api.md section 4 and semantics.md 1.4. On success it
// owns in.Arrow and hands it, or what it was converted to, on in the result; on an error the caller keeps it. Errors
// are about the batch alone (BAD_ARGUMENT malformed, BAD_VALUES shape, TYPE_MISMATCH and TOO_LARGE values): the next
// batch may be checked with the same Layout.
func (l *Layout) Check(in Incoming) (*Checked, error) {
	k := l.program.checker()
	defer l.program.give(k)
	k.form = l.form
	c, err := k.dispatch(in)
	l.form = k.form
	return c, err
}

// checker is the scratch of one Check.
type checker struct {
	*program
	form    Form
	loads   []loaded // by sent column
	mem     arena
	check   verifier
	cast    caster
	grown   int64
	meta    batchMeta
	load    arrowLoader
	body    Payload                     // being read by fetch
	flat    []byte                      // the same in one piece, if it was copied
	fetcher func(from, size int) []byte // fetch, made once
	out     []column
	ptrs    []*column
	emit    emitter
	rec     recordEncoder
}

// loaded is a sent column as it lies in this batch's Arrow message or columns.
type loaded struct{ arrow, columns column }

// checker takes scratch space; give puts it back, without anything of the batch.
func (p *program) checker() *checker {
	if k, ok := p.scratch.Get().(*checker); ok {
		return k
	}
	k := &checker{program: p, check: verifier{lim: p.lim}, cast: caster{cast: p.cast, lim: p.lim}}
	k.fetcher = k.fetch
	k.loads = make([]loaded, len(p.sent))
	for i := range p.sent {
		k.loads[i].arrow = newColumn(p.sent[i].arrowType)
		if p.sent[i].columnsType != nil {
			k.loads[i].columns = newColumn(p.sent[i].columnsType)
		}
	}
	return k
}

func (p *program) give(k *checker) {
	k.reset()
	p.scratch.Put(k)
}

func (l *checker) reset() {
	l.mem.reset()
	l.check.faults = faults{}
	l.grown = 0
	l.meta = batchMeta{}
	l.load = arrowLoader{}
	l.body, l.flat = Payload{}, nil
	clear(l.out)
	l.out = l.out[:0]
	l.emit.reset()
	clear(l.check.path[:])
	for i := range l.loads {
		l.loads[i].columns.forget()
		l.loads[i].arrow.forget()
	}
}

func (l *checker) dispatch(in Incoming) (*Checked, error) {
	set := 0
	for _, is := range []bool{in.Arrow.Len() > 0, in.Columns != nil, in.List != nil} {
		if is {
			set++
		}
	}
	switch {
	case set > 1:
		return nil, apierr.New(apierr.BadArgument, "a batch has one payload and not %d", set)
	case in.Columns != nil:
		return l.checkColumns(int(in.Rows), in.Columns)
	case in.List != nil:
		return l.checkList(int(in.Rows), in.List)
	default:
		return l.checkArrow(int(in.Rows), in.Arrow)
	}
}

// forget drops what the column refers to.
func (c *column) forget() {
	c.valid, c.off, c.data, c.aux = nil, nil, nil, nil
	clear(c.blocks)
	for i := range c.kids {
		c.kids[i].forget()
	}
}

func (l *checker) rowCount(said, got int) error {
	if said != got {
		return apierr.New(apierr.BadValues, "row_count is %d, the payload has %d rows", said, got)
	}
	if got > l.lim.MaxBatchRows {
		return tooLarge("the batch in rows", int64(l.lim.MaxBatchRows), int64(got))
	}
	return nil
}

func (l *checker) checkArrow(rows int, p Payload) (*Checked, error) {
	l.body = p
	if err := l.meta.open(p.Len(), l.fetcher); err != nil {
		return nil, err
	}
	if err := l.rowCount(rows, int(min(l.meta.rows, 1<<31-1))); err != nil {
		return nil, err
	}
	asIs := l.passthrough && l.form == FormArrow && l.meta.codec == codecNone
	if !asIs && len(p.Pieces()) > 1 {
		l.flat = l.fetch(0, p.Len())
	}
	if err := l.loadArrow(rows, !asIs); err != nil {
		return nil, err
	}
	if !asIs {
		return l.finish(rows, max(p.Len(), int(l.load.total)), func(i int) (*column, *conv) { return &l.loads[i].arrow, &l.sent[i].arrow }, p)
	}
	l.ptrs = l.ptrs[:0]
	for i := range l.sent {
		l.verifyColumn(l.sent[i].col, &l.loads[i].arrow)
		l.ptrs = append(l.ptrs, &l.loads[i].arrow)
	}
	l.check.rowSizes(l.ptrs, rows, int64(p.Len()))
	if err := l.check.faults.err(); err != nil {
		return nil, err
	}
	if rows == 0 {
		p.Release()
		return &Checked{Form: l.form}, nil
	}
	return &Checked{Rows: rows, Form: FormArrow, Body: p}, nil
}

func (l *checker) loadArrow(rows int, full bool) error {
	l.load = arrowLoader{meta: &l.meta, owner: l, lim: l.lim, full: full}
	for i := range l.sent {
		l.load.top = l.sent[i].col.Name
		if err := l.load.load(&l.loads[i].arrow, rows); err != nil {
			return err
		}
	}
	if l.load.node != l.meta.nodes || l.load.buf != l.meta.bufs {
		return badArrow("the message has %d field nodes and %d buffers, the schema wants %d and %d",
			l.meta.nodes, l.meta.bufs, l.load.node, l.load.buf)
	}
	if l.meta.msg.view.bad {
		return badArrow("malformed record batch metadata")
	}
	return nil
}

// fetch is a range of the message: by reference where it lies in one piece, else copied to scratch. The caller has
// checked the range.
func (l *checker) fetch(from, size int) []byte {
	if l.flat != nil {
		return l.flat[from : from+size]
	}
	at := from
	for _, piece := range l.body.Pieces() {
		if at < len(piece) || size == 0 {
			if size <= len(piece)-at {
				return piece[at : at+size]
			}
			break
		}
		at -= len(piece)
	}
	out := l.mem.alloc(size)
	copyRange(out, l.body, from)
	return out
}

func (l *checker) checkColumns(rows int, b *sluicev1.ColumnBatch) (*Checked, error) {
	if l.arrowOnly {
		return nil, apierr.New(apierr.BadArgument, "columns under a schema that was defined for Arrow")
	}
	if rows < 0 {
		return nil, apierr.New(apierr.BadArgument, "row_count is negative")
	}
	if err := l.rowCount(rows, rows); err != nil {
		return nil, err
	}
	if rows == 0 && len(b.GetColumns()) == 0 {
		return &Checked{Form: l.form}, nil
	}
	if len(b.GetColumns()) != len(l.sent) {
		return nil, apierr.New(apierr.BadValues, "the batch has %d columns, its schema %d", len(b.GetColumns()), len(l.sent))
	}
	total := 0
	for i, d := range b.GetColumns() {
		if err := loadColumns(&l.loads[i].columns, d, rows, l.sent[i].col.Name); err != nil {
			return nil, err
		}
		total += columnDataBytes(d)
	}
	if int64(total) > l.lim.MaxBatchBytes {
		return nil, tooLarge("the batch", l.lim.MaxBatchBytes, int64(total))
	}
	return l.finish(rows, total, func(i int) (*column, *conv) { return &l.loads[i].columns, &l.sent[i].columns }, Payload{})
}

func columnDataBytes(d *sluicev1.ColumnData) int {
	n := len(d.GetValidity()) + len(d.GetOffsets()) + len(d.GetData()) + len(d.GetNanos())
	for _, c := range d.GetChildren() {
		n += columnDataBytes(c)
	}
	return n
}

// sentNames is what a row must have values for, in order.
func (l *checker) sentNames() string {
	names := make([]string, len(l.sent))
	for i := range l.sent {
		names[i] = l.sent[i].col.Name
	}
	return fmt.Sprintf("(%s), which are %d", table.ListNames(names), len(names))
}

func (l *checker) checkList(rows int, list *sluicev1.RowList) (*Checked, error) {
	got := len(list.GetRows())
	if rows == 0 {
		rows = got
	}
	if err := l.rowCount(rows, got); err != nil {
		return nil, err
	}
	builders := make([]builder, len(l.sent))
	for i := range builders {
		builders[i].init(&l.sent[i].cells)
	}
	var c cell
	f := &l.check.faults
	for row, r := range list.GetRows() {
		values := r.GetValues()
		if len(values) != len(l.sent) {
			f.column = ""
			f.add(row, apierr.BadValues, fmt.Sprintf("%d values for the columns %s", len(values), l.sentNames()))
			continue
		}
		for i := range values {
			readValue(values[i], &c)
			if p := l.cast.put(&builders[i], &c); p.bad() {
				f.column = l.sent[i].col.Name
				f.add(row, p.reason, p.message)
			}
		}
	}
	if err := f.err(); err != nil {
		return nil, err
	}
	cols := make([]column, len(builders))
	total := 0
	for i := range builders {
		cols[i] = builders[i].column()
		total += len(builders[i].data) // at least: row sizes are looked at when this alone is large
	}
	return l.finish(rows, max(total, l.lim.MaxRowBytes+1), func(i int) (*column, *conv) { return &cols[i], &asIs }, Payload{})
}

// asIs takes a column that was built in its type's layout.
var asIs = conv{native: true}

// verifyColumn checks a column in the layout of its own type.
func (l *checker) verifyColumn(col *table.Column, c *column) {
	l.check.faults.begin(col.Name)
	if col.NotNull {
		l.check.notNull(c)
	}
	l.check.verify(&col.Type, l.check.place(c, nil))
}

// finish brings all columns into table order and layout, verifies them, and writes them in the tunnel's form. p, what
// the columns came in, is released on success.
func (l *checker) finish(rows, size int, of func(sent int) (*column, *conv), p Payload) (*Checked, error) {
	for i := range l.from {
		col := &l.table.Columns[i]
		c, err := l.tableColumn(i, rows, of)
		if err != nil {
			return nil, err
		}
		l.out = append(l.out, c)
		if l.check.faults.column == col.Name && l.check.faults.kept > 0 {
			continue // its values were replaced by NULLs
		}
		l.verifyColumn(col, &l.out[i])
	}
	l.ptrs = l.ptrs[:0]
	for i := range l.out {
		l.ptrs = append(l.ptrs, &l.out[i])
	}
	if l.check.faults.total == 0 {
		l.check.rowSizes(l.ptrs, rows, max(int64(size), l.grown))
	}
	if err := l.check.faults.err(); err != nil {
		return nil, err
	}
	checked := l.write(rows)
	p.Release()
	return checked, nil
}

func (l *checker) tableColumn(i, rows int, of func(sent int) (*column, *conv)) (column, error) {
	at := l.from[i]
	if at < 0 {
		return l.nulls(&l.missing[at-minMissing], rows)
	}
	c, k := of(at)
	l.check.faults.begin(l.sent[at].col.Name)
	return l.bring(c, k, nil)
}

func (l *checker) write(rows int) *Checked {
	if rows == 0 {
		return &Checked{Form: l.form}
	}
	if l.form == FormArrow {
		if body, ok := l.emit.message(&l.mem, l.out, rows); ok {
			return &Checked{Rows: rows, Form: FormArrow, Body: body}
		}
		l.form = FormRecord // a timestamp that int64 nanoseconds do not hold
	}
	body, crc := l.rec.encode(l.table.Columns, l.out, rows)
	return &Checked{Rows: rows, Form: FormRecord, Body: body, RecordCRC: crc}
}

// CRC32C is the checksum of api.md 4.6 over the payload as sent; ok is false for a List, which has none.
func (in Incoming) CRC32C() (crc uint32, ok bool) {
	switch {
	case in.List != nil:
		return 0, false
	case in.Columns != nil:
		return columnsCRC(in.Columns.GetColumns(), 0), true
	}
	return in.Arrow.CRC32C(), true
}
