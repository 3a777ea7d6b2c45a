//go:build cgo && duckdb_arrow

package scan

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/duckdb/duckdb-go/v2/mapping"
)

// Table is what one query reads in one place.
type Table struct {
	Columns []Column
	Pieces  []Piece
	// Micros shows timestamps to DuckDB in microseconds instead of nanoseconds: more years,
	// fewer digits. A value that has more is an error of the query.
	Micros bool
	// Filters are conditions that every row which the query wants meets.
	Filters []Filter

	mu     sync.Mutex
	pinner runtime.Pinner  // keeps Go memory that DuckDB's texts point into; guarded by mu
	chosen map[int][]int32 // the rows to read of pieces that not all are read of; guarded by mu
	err    error           // the first; guarded by mu
}

// Release ends the table's use, when the queries that read it are over.
func (t *Table) Release() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pinner.Unpin()
}

// Choose makes scans give only these rows of a piece, in this order.
func (t *Table) Choose(piece int, rows []int32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.chosen == nil {
		t.chosen = map[int][]int32{}
	}
	t.chosen[piece] = rows
}

// Forget ends what Choose began.
func (t *Table) Forget(piece int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.chosen, piece)
}

// rows are those to read of a piece.
func (t *Table) rows(piece int) span {
	t.mu.Lock()
	defer t.mu.Unlock()
	if rows, ok := t.chosen[piece]; ok {
		return span{n: len(rows), rows: rows}
	}
	return span{n: t.Pieces[piece].Rows()}
}

// Err returns what ended a scan of the table early, nil if nothing did. DuckDB shows only
// its text.
func (t *Table) Err() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.err
}

func (t *Table) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err == nil {
		t.err = err
	}
}

func (t *Table) pin(p *byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pinner.Pin(p)
}

// Function is the table function of one database. Safe for concurrent use.
type Function struct {
	mu      sync.RWMutex
	cursors map[int64]*Cursor // guarded by mu
	last    int64             // guarded by mu
}

// name of the function in DuckDB. Queries of users cannot say it: package sql lets through
// table functions that it knows.
const name = "sluice_scan"

// The columns that the function has before those of the table.
const (
	// A query that only counts rows reads the first column, whatever it is; this one is never
	// filled.
	noColumn = "sluice: no column"
	// RowColumn is the second one.
	extra = 2
)

// Cursor is the part of a table that a query reads. A prepared query reads, each time that
// it runs, what Move said last.
type Cursor struct {
	function *Function
	number   int64
	table    *Table
	ended    func() error // tells the scanning threads to stop

	mu       sync.Mutex
	from, to int // pieces; guarded by mu
}

// Open returns a cursor over all of a table. The caller closes it.
func (f *Function) Open(ctx context.Context, t *Table) *Cursor {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last++
	c := &Cursor{function: f, number: f.last, table: t, ended: ctx.Err, to: len(t.Pieces)}
	f.cursors[f.last] = c
	return c
}

// Close ends the cursor, when no query that reads it can run again.
func (c *Cursor) Close() {
	c.function.mu.Lock()
	defer c.function.mu.Unlock()
	delete(c.function.cursors, c.number)
}

// Move sets the pieces [from, to) to be read.
func (c *Cursor) Move(from, to int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.from, c.to = from, to
}

func (c *Cursor) pieces() (from, to int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.from, c.to
}

// Query is the text that reads the rows; with places, RowColumn comes first.
func (c *Cursor) Query(places bool) string {
	var names []string
	if places {
		names = append(names, quote(RowColumn))
	}
	for _, column := range c.table.Columns {
		names = append(names, quote(column.Name))
	}
	return fmt.Sprintf("SELECT %s FROM %s(%d)", strings.Join(names, ", "), name, c.number)
}

func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func (f *Function) cursor(number int64) *Cursor {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.cursors[number]
}

// run is one execution of a query that reads a cursor.
type run struct {
	*Cursor
	columns []int        // those that the query needs, in the order of the chunk; see extra
	data    []int        // of these the table's, by its positions
	next    atomic.Int64 // piece
	end     int
}

func (c *Cursor) start(columns []int) *run {
	from, to := c.pieces()
	r := &run{Cursor: c, columns: columns, end: to}
	r.next.Store(int64(from))
	for _, at := range columns {
		if at >= extra {
			r.data = append(r.data, at-extra)
		}
	}
	return r
}

// worker is one thread's part of a run. No other thread uses it.
type worker struct {
	arrays []arrow.Array // of the current piece, nil before the first
	fills  []*filler
	piece  int
	left   span    // rows of the piece not given out yet
	places []int32 // memory for rows of left
}

func (w *worker) drop() {
	for _, a := range w.arrays {
		a.Release()
	}
	w.arrays = nil
}

// chunk fills the next chunk and returns its number of rows, 0 at the end.
func (r *run) chunk(w *worker, out mapping.DataChunk) (int, error) {
	for w.left.n == 0 {
		more, err := r.take(w)
		if err != nil || !more {
			return 0, err
		}
	}
	now := w.left
	now.n = min(now.n, vectorSize)
	w.left.n -= now.n
	if now.rows != nil {
		now.rows, w.left.rows = now.rows[:now.n], w.left.rows[now.n:]
	} else {
		w.left.from += now.n
	}
	data := 0
	for i, at := range r.columns {
		v := mapping.DataChunkGetVector(out, mapping.IdxT(i))
		switch {
		case at >= extra:
			if err := w.fills[data].fill(v, now); err != nil {
				return 0, fmt.Errorf("column %s: %w", r.table.Columns[at-extra].Name, err)
			}
			data++
		case at == 1:
			places(slots[int64](v, now.n), int64(w.piece)<<32, now)
		}
	}
	return now.n, nil
}

// places fills RowColumn.
func places(to []int64, piece int64, s span) {
	if s.rows == nil {
		for i := range to {
			to[i] = piece + int64(s.from) + int64(i)
		}
		return
	}
	for i, row := range s.rows {
		to[i] = piece + int64(row)
	}
}

// errEnded says that the query's context is done.
var errEnded = errors.New("the query was ended")

// take moves the worker to the next piece.
func (r *run) take(w *worker) (bool, error) {
	w.drop()
	if r.ended() != nil {
		return false, errEnded
	}
	w.piece = int(r.next.Add(1)) - 1
	if w.piece >= r.end {
		return false, nil
	}
	w.left = r.table.rows(w.piece)
	if err := r.filter(w); err != nil {
		return false, err
	}
	if len(r.data) == 0 || w.left.n == 0 {
		return true, nil
	}
	p := r.table.Pieces[w.piece]
	var err error
	if w.arrays, err = p.Read(r.data); err != nil {
		return false, err
	}
	w.fills = w.fills[:0]
	for k, a := range w.arrays {
		c := r.table.Columns[r.data[k]]
		f, err := newFiller(r.table, a.Data(), c.Type, 0)
		if err != nil {
			return false, fmt.Errorf("column %s: %w", c.Name, err)
		}
		f.one = a.Len() == 1 && p.Rows() > 1
		w.fills = append(w.fills, f)
	}
	return true, nil
}

// filter leaves out rows of the worker's piece that do not meet the table's filters, where
// that pays.
func (r *run) filter(w *worker) error {
	if w.left.rows != nil {
		return nil // chosen already, by the whole WHERE clause
	}
	p := r.table.Pieces[w.piece]
	for _, f := range r.table.Filters {
		if w.left.n == 0 {
			return nil
		}
		arrays, err := p.Read([]int{f.Column})
		if err != nil {
			return err
		}
		if a := arrays[0]; a.Len() == p.Rows() {
			if places, pays := f.places(a, w.left.rows, w.places); pays {
				w.left, w.places = span{n: len(places), rows: places}, places
			}
		}
		arrays[0].Release()
	}
	return nil
}
