//go:build cgo && duckdb_arrow

package sql

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"golang.org/x/sync/errgroup"

	"github.com/sluice-io/sluice/emulator/internal/sql/duck"
	"github.com/sluice-io/sluice/emulator/internal/sql/scan"
)

// partPieces is how many pieces of a table make a part: as many rows as are worth a run of a
// query; measured.
const partPieces = 16

// workers is how many parts are worked on at once.
func workers() int { return max(2, runtime.GOMAXPROCS(0)) }

// reader is a result, in batches.
type reader interface {
	Schema() *arrow.Schema
	Next() bool
	RecordBatch() arrow.RecordBatch
	Err() error
	Close()
}

// parts is the result of a query whose rows come from one table each by itself. DuckDB
// would keep them in order only by working on one thread; so the table is cut into parts,
// the query runs over several at once, and the results are read in the table's order. No
// more of them are held than threads work.
type parts struct {
	schema *arrow.Schema
	cancel context.CancelFunc
	group  sync.WaitGroup
	slots  chan chan part // in order; a slot is filled when its part is done
	now    *duck.Result
	err    error

	mu      sync.Mutex
	workers []*partWorker // open until Close: results need their connections; guarded by mu
}

// part is the result of one.
type part struct {
	result *duck.Result
	err    error
}

// errCut says that a part was not worked on because the reading has ended.
var errCut = fmt.Errorf("read parts of a table: %w", context.Canceled)

// work is a part to be worked on.
type work struct {
	from, to int       // pieces
	slot     chan part // takes the result, without waiting
}

// startParts begins to run the query, whose text reads s.table(0). The caller closes the
// result, before the session.
func (s *session) startParts(ctx context.Context, query string, c *chooser) (*parts, error) {
	ctx, cancel := context.WithCancel(ctx)
	p := &parts{cancel: cancel, slots: make(chan chan part, workers())} // as many results wait as threads work
	todo := make(chan work)
	p.group.Go(func() { p.plan(ctx, todo, len(s.tables[0].scan.Pieces)) })
	for range workers() {
		p.group.Go(func() { p.work(ctx, todo, s, query, c) })
	}
	if !p.turn() && p.err == nil {
		p.err = errCut
	}
	if p.err != nil {
		p.Close()
		return nil, p.err
	}
	p.schema = p.now.Schema()
	return p, nil
}

// plan gives out the parts, in order, and ends when there is none left or ctx is done.
func (p *parts) plan(ctx context.Context, todo chan<- work, pieces int) {
	defer close(todo)
	defer close(p.slots)
	for from := 0; from < pieces; from += partPieces {
		w := work{from, min(from+partPieces, pieces), make(chan part, 1)} // one result, so that nobody waits for the reader
		select {
		case p.slots <- w.slot:
		case <-ctx.Done():
			return
		}
		select {
		case todo <- w:
		case <-ctx.Done():
			w.slot <- part{err: errCut}
			return
		}
	}
}

// work runs the query over parts. If its connection cannot be made, each part gets the error.
func (p *parts) work(ctx context.Context, todo <-chan work, s *session, query string, c *chooser) {
	var worker *partWorker
	var broken error
	for w := range todo {
		if worker == nil && broken == nil {
			worker, broken = p.newWorker(ctx, s, query, c)
		}
		if broken != nil {
			w.slot <- part{err: broken}
			continue
		}
		result, err := worker.run(ctx, w.from, w.to)
		w.slot <- part{result, err}
	}
}

// turn moves to the next part's result.
func (p *parts) turn() bool {
	if p.now != nil {
		p.now.Close()
		p.now = nil
	}
	slot, ok := <-p.slots
	if !ok {
		return false
	}
	next := <-slot
	p.now, p.err = next.result, next.err
	return p.err == nil
}

func (p *parts) Schema() *arrow.Schema { return p.schema }

func (p *parts) Next() bool {
	for p.err == nil && p.now != nil {
		if p.now.Next() {
			return true
		}
		if p.err = p.now.Err(); p.err != nil || !p.turn() {
			return false
		}
	}
	return false
}

func (p *parts) RecordBatch() arrow.RecordBatch { return p.now.RecordBatch() }

func (p *parts) Err() error { return p.err }

// Close ends the work on parts that were not read and waits for it.
func (p *parts) Close() {
	p.cancel()
	if p.now != nil {
		p.now.Close()
		p.now = nil
	}
	for slot := range p.slots {
		if unread := <-slot; unread.result != nil {
			unread.result.Close()
		}
	}
	p.group.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range p.workers {
		w.close()
	}
}

func (p *parts) newWorker(ctx context.Context, s *session, query string, c *chooser) (*partWorker, error) {
	w, err := s.newWorker(ctx, query, c)
	if err == nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.workers = append(p.workers, w)
	}
	return w, err
}

// partWorker runs a query over one part of the table at a time, on its own connection.
type partWorker struct {
	session *session
	conn    *duck.Conn
	cursor  *scan.Cursor
	query   *duck.Statement // nil if rows are only chosen
	choose  *duck.Statement // nil if there is nothing to choose by
	chooser *chooser
}

// newWorker connects; its view of the table shows one part. An empty query is none. The
// caller closes the worker.
func (s *session) newWorker(ctx context.Context, query string, c *chooser) (_ *partWorker, err error) {
	t := s.tables[0]
	w := &partWorker{session: s, cursor: s.scans.Open(ctx, t.scan), chooser: c}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	if w.conn, err = s.database.Connect(); err != nil {
		return nil, err
	}
	if err = w.conn.Exec(ctx, "CREATE TEMP VIEW "+s.table(0)+" AS "+w.cursor.Query(false)); err != nil {
		return nil, fmt.Errorf("show a part of a table to DuckDB: %w", err)
	}
	if query != "" {
		if w.query, err = w.conn.Prepare(ctx, query); err != nil {
			return nil, err
		}
	}
	if c == nil {
		return w, nil
	}
	if err = w.conn.Exec(ctx, "CREATE TEMP VIEW "+quoteName(placesView)+" AS "+w.cursor.Query(true)); err != nil {
		return nil, fmt.Errorf("show the places of a table's rows to DuckDB: %w", err)
	}
	w.choose, err = w.conn.Prepare(ctx, c.query)
	return w, err
}

func (w *partWorker) close() {
	for _, s := range []*duck.Statement{w.query, w.choose} {
		if s != nil {
			s.Close()
		}
	}
	if w.conn != nil {
		w.conn.Close()
	}
	w.cursor.Close()
}

// run gives the result of one part, choosing its rows first.
func (w *partWorker) run(ctx context.Context, from, to int) (*duck.Result, error) {
	w.cursor.Move(from, to)
	table := w.session.tables[0].scan
	if w.choose != nil && w.chooser.pays() {
		if err := w.chooser.part(ctx, w.choose, table, from, to); err != nil {
			return nil, err
		}
		if w.query != nil {
			defer func() {
				for i := from; i < to; i++ {
					table.Forget(i)
				}
			}()
		}
	}
	if w.query == nil {
		return nil, nil
	}
	return w.query.Query(ctx)
}

// chooseAll chooses rows in the whole table, for a query that then runs as a whole.
func (s *session) chooseAll(ctx context.Context, c *chooser) error {
	var next atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	for range workers() {
		g.Go(func() error {
			w, err := s.newWorker(ctx, "", c)
			if err != nil {
				return err
			}
			defer w.close()
			for c.pays() {
				from := int(next.Add(partPieces)) - partPieces
				if from >= len(s.tables[0].scan.Pieces) {
					return nil
				}
				if _, err := w.run(ctx, from, min(from+partPieces, len(s.tables[0].scan.Pieces))); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// placesView is the name under which the chooser's query finds the table.
const placesView = "sluice places"

// chooser finds the rows that a WHERE clause lets through before their other columns are
// read. The query applies its clause again, to these. Safe for concurrent use.
type chooser struct {
	query        string
	seen, passed atomic.Int64 // rows
}

// pays reports whether the clause has let through few rows so far.
func (c *chooser) pays() bool { return c.passed.Load()*scan.Choosy <= c.seen.Load() }

// part chooses the rows of the pieces [from, to), unless they are many.
func (c *chooser) part(ctx context.Context, choose *duck.Statement, table *scan.Table, from, to int) error {
	result, err := choose.Query(ctx)
	if err != nil {
		return err
	}
	defer result.Close()
	rows := make([][]int32, to-from)
	passed := 0
	for result.Next() {
		places := result.RecordBatch().Column(0).(*array.Int64).Int64Values()
		passed += len(places)
		for _, at := range places {
			rows[int(at>>32)-from] = append(rows[int(at>>32)-from], int32(at))
		}
	}
	if result.Err() != nil {
		return result.Err()
	}
	seen := 0
	for i := from; i < to; i++ {
		seen += table.Pieces[i].Rows()
	}
	c.seen.Add(int64(seen))
	c.passed.Add(int64(passed))
	if passed*scan.Choosy > seen {
		return nil
	}
	for i, list := range rows {
		slices.Sort(list) // several threads of DuckDB's may have found them
		table.Choose(from+i, list)
	}
	return nil
}
