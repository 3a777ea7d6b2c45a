//go:build cgo && duckdb_arrow

package duck

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/duckdb/duckdb-go/v2/mapping"
)

// Error is what DuckDB says of a statement.
type Error struct {
	// Kind as DuckDB names it: "Parser", "Binder", "Conversion", "INTERNAL", …; empty if the
	// text names none.
	Kind string
	// Text without the kind.
	Text string
}

func (e *Error) Error() string {
	if e.Kind == "" {
		return e.Text
	}
	return e.Kind + " Error: " + e.Text
}

func newError(text string) *Error {
	if kind, rest, ok := strings.Cut(text, " Error: "); ok && !strings.ContainsAny(kind, ":\n\"'") {
		return &Error{Kind: kind, Text: rest}
	}
	return &Error{Text: text}
}

// Database is a DuckDB in memory. Safe for concurrent use.
type Database struct{ db mapping.Database }

// Open makes an empty database.
func Open() (*Database, error) {
	var config mapping.Config
	defer mapping.DestroyConfig(&config)
	if mapping.CreateConfig(&config) == mapping.StateError {
		return nil, errors.New("make a configuration of DuckDB")
	}
	var d Database
	var text string
	if mapping.OpenExt("", &d.db, config, &text) == mapping.StateError {
		mapping.Close(&d.db)
		return nil, newError(text)
	}
	return &d, nil
}

// Close frees the database once its connections are closed too.
func (d *Database) Close() { mapping.Close(&d.db) }

// Connect returns a connection, which the caller closes.
func (d *Database) Connect() (*Conn, error) {
	var c Conn
	if mapping.Connect(d.db, &c.conn) == mapping.StateError {
		return nil, errors.New("connect to DuckDB")
	}
	return &c, nil
}

// Conn is a connection with its temporary tables and views. It runs one statement at a
// time.
type Conn struct{ conn mapping.Connection }

// Raw is the connection as DuckDB's C interface has it.
func (c *Conn) Raw() mapping.Connection { return c.conn }

// Close drops the connection and what is temporary.
func (c *Conn) Close() { mapping.Disconnect(&c.conn) }

// Exec runs a statement whose result does not matter.
func (c *Conn) Exec(ctx context.Context, statement string) error {
	var result mapping.Result
	err := c.execute(ctx, statement, &result)
	mapping.DestroyResult(&result)
	return err
}

// execute prepares and runs one statement. The caller destroys the result in any case.
func (c *Conn) execute(ctx context.Context, statement string, result *mapping.Result) error {
	s, err := c.Prepare(ctx, statement)
	if err != nil {
		return err
	}
	defer s.Close()
	return s.execute(ctx, result)
}

// Statement is a prepared statement. It runs once at a time.
type Statement struct {
	conn     *Conn
	prepared mapping.PreparedStatement
}

// Prepare plans a statement to be run often. The caller closes it, before the connection.
func (c *Conn) Prepare(ctx context.Context, statement string) (*Statement, error) {
	s := &Statement{conn: c}
	err := c.interruptible(ctx, func() error {
		if mapping.Prepare(c.conn, statement, &s.prepared) == mapping.StateError {
			return newError(mapping.PrepareError(s.prepared))
		}
		return nil
	})
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Close forgets the statement. Its results stay.
func (s *Statement) Close() { mapping.DestroyPrepare(&s.prepared) }

func (s *Statement) execute(ctx context.Context, result *mapping.Result) error {
	return s.conn.interruptible(ctx, func() error {
		var pending mapping.PendingResult
		defer mapping.DestroyPending(&pending)
		if mapping.PendingPrepared(s.prepared, &pending) == mapping.StateError {
			return newError(mapping.PendingError(pending))
		}
		if !work(pending) {
			return newError(mapping.PendingError(pending))
		}
		if mapping.ExecutePending(pending, result) == mapping.StateError {
			return newError(mapping.ResultError(result))
		}
		return nil
	})
}

// work runs the query's tasks on this thread until the result is there; false says that there
// is an error instead. Where DuckDB's own threads have taken all tasks it sleeps: DuckDB's way
// of waiting takes a core.
func work(pending mapping.PendingResult) bool {
	const first, most = 10 * time.Microsecond, 200 * time.Microsecond
	pause := first
	for {
		switch mapping.PendingExecuteTask(pending) {
		case mapping.PendingStateResultNotReady:
			pause = first
		case mapping.PendingStateNoTasksAvailable:
			time.Sleep(pause) //nolint:forbidigo // DuckDB tells nobody that a task is there; the interrupt ends the query meanwhile
			pause = min(2*pause, most)
		case mapping.PendingStateError:
			return false
		default:
			return true
		}
	}
}

// interruptEvery is how often a call that was cancelled is told so: DuckDB forgets what it
// is told between two steps.
const interruptEvery = 20 * time.Millisecond

// interruptible runs f, which DuckDB ends early once ctx is done.
func (c *Conn) interruptible(ctx context.Context, f func() error) error {
	if err := ctx.Err(); err != nil || ctx.Done() == nil {
		return errors.Join(err, f())
	}
	done := make(chan struct{})
	var g sync.WaitGroup
	g.Go(func() { c.interrupt(ctx, done) })
	err := f()
	close(done)
	g.Wait()
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

func (c *Conn) interrupt(ctx context.Context, done <-chan struct{}) {
	select {
	case <-done:
		return
	case <-ctx.Done():
	}
	tick := time.NewTicker(interruptEvery)
	defer tick.Stop()
	for {
		mapping.Interrupt(c.conn)
		select {
		case <-done:
			return
		case <-tick.C:
		}
	}
}
