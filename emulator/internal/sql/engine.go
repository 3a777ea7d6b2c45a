//go:build cgo && duckdb_arrow

package sql

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	duckdb "github.com/duckdb/duckdb-go/v2"

	"github.com/sluice-io/sluice/emulator/internal/ddl"
	"github.com/sluice-io/sluice/emulator/internal/types"
)

// Built says whether this program can answer queries.
const Built = true

// setup makes the database deaf to the outside and adds functions of MaxCompute that
// DuckDB spells differently. The last line forbids queries to undo it.
var setup = []string{
	"SET temp_directory = ''",
	"SET autoinstall_known_extensions = false",
	"SET autoload_known_extensions = false",
	"SET TimeZone = 'UTC'",
	"CREATE MACRO nvl(a, b) AS coalesce(a, b)",
	"CREATE MACRO getdate() AS CAST(now() AT TIME ZONE 'UTC' AS TIMESTAMP_MS)",
	"CREATE MACRO wm_concat(sep, x) AS string_agg(x, sep)",
	"CREATE MACRO collect_list(x) AS list(x) FILTER (WHERE x IS NOT NULL)",
	"CREATE MACRO size(x) AS len(x)",
	mapDefinition(),
	"SET enable_external_access = false",
	"SET lock_configuration = true",
}

// mapDefinition defines MAP(…) for up to maxPairs pairs.
func mapDefinition() string {
	const maxPairs = 16
	forms := make([]string, 0, maxPairs)
	var params, keys, values []string
	for i := range maxPairs {
		k, v := fmt.Sprintf("k%d", i), fmt.Sprintf("v%d", i)
		params, keys, values = append(params, k, v), append(keys, k), append(values, v)
		forms = append(forms, "("+strings.Join(params, ", ")+") AS map(["+strings.Join(keys, ", ")+"], ["+strings.Join(values, ", ")+"])")
	}
	return "CREATE MACRO " + mapMacro + strings.Join(forms, ", ")
}

// Engine runs queries in one DuckDB in memory, opened at the first query. Safe for
// concurrent use.
type Engine struct {
	mu        sync.Mutex
	connector *duckdb.Connector // nil until the first query; guarded by mu
	closed    bool              // guarded by mu
	queries   int64             // numbers the queries' temporary names; guarded by mu
}

// New returns an engine. It does nothing yet.
func New() *Engine { return &Engine{} }

// Close frees the database. Results that are still being read must be closed before.
func (e *Engine) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	if e.connector == nil {
		return nil
	}
	err := e.connector.Close()
	e.connector = nil
	return err
}

// Query runs one SELECT over tables. With target, the result's columns are cast to its
// types, by position. The error is an *Error or a *ddl.Error where the query is at fault.
// The caller closes the rows.
func (e *Engine) Query(ctx context.Context, tables Tables, text string, target *Target) (*Rows, error) {
	translated, err := translate(text)
	if err != nil {
		return nil, err
	}
	s, err := e.open(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := s.run(ctx, tables, translated, target)
	if err != nil {
		return nil, errors.Join(err, s.close()) // Join keeps a lone error's text
	}
	return rows, nil
}

// open connects, and opens the database before the first connection.
func (e *Engine) open(ctx context.Context) (*session, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, errors.New("the SQL engine is closed")
	}
	first := e.connector == nil
	if first {
		connector, err := duckdb.NewConnector("", nil)
		if err != nil {
			return nil, fmt.Errorf("open DuckDB: %w", err)
		}
		e.connector = connector
	}
	e.queries++
	s, err := connect(ctx, e.connector, "sluice "+strconv.FormatInt(e.queries, 10))
	if err == nil && first {
		for _, statement := range setup {
			if err = s.exec(ctx, statement); err != nil {
				err = errors.Join(fmt.Errorf("set DuckDB up: %w", err), s.close())
				break
			}
		}
	}
	if err != nil && first { // so that the next query tries again
		err = errors.Join(err, e.connector.Close())
		e.connector = nil
	}
	return s, err
}

// session is one connection with one query's temporary tables.
type session struct {
	conn   driver.Conn
	arrow  *duckdb.Arrow
	prefix string // of the names that belong to the session
}

func connect(ctx context.Context, connector *duckdb.Connector, prefix string) (*session, error) {
	conn, err := connector.Connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect to DuckDB: %w", err)
	}
	a, err := duckdb.NewArrowFromConn(conn)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &session{conn: conn, arrow: a, prefix: prefix}, nil
}

// close drops the temporary tables with the connection.
func (s *session) close() error { return s.conn.Close() }

func (s *session) exec(ctx context.Context, statement string) error {
	_, err := s.conn.(driver.ExecerContext).ExecContext(ctx, statement, nil)
	return err
}

// table is the quoted name of the i-th temporary table.
func (s *session) table(i int) string {
	return quoteName(s.prefix + " table " + strconv.Itoa(i))
}

func (s *session) run(ctx context.Context, tables Tables, text string, target *Target) (*Rows, error) {
	p, err := s.parse(ctx, text)
	if err != nil {
		return nil, err
	}
	var columns [][]Column
	for i, ref := range p.tables {
		c, err := s.load(ctx, tables, text, p, i)
		if err != nil {
			return nil, fmt.Errorf("read table %s: %w", strings.Join(ref.name, "."), err)
		}
		columns = append(columns, c)
	}
	query, err := p.rewrite(text, s.table)
	if err != nil {
		return nil, err
	}
	found, err := s.describe(ctx, query)
	if err != nil {
		return nil, err
	}
	if target != nil {
		if query, err = casts(query, found, target); err != nil {
			return nil, err
		}
	}
	reader, err := s.arrow.QueryContext(ctx, query)
	if err != nil {
		return nil, failure(err)
	}
	rows := &Rows{session: s, reader: reader}
	if target != nil {
		rows.columns = named(found, target.Types)
		return rows, nil
	}
	if rows.columns, err = p.resultColumns(found, reader.Schema(), columns); err != nil {
		reader.Release()
		return nil, err
	}
	return rows, nil
}

// parse lets DuckDB build the syntax tree.
func (s *session) parse(ctx context.Context, text string) (*plan, error) {
	tree, err := s.strings(ctx, "SELECT CAST(json_serialize_sql("+quoteString(text)+") AS VARCHAR)")
	if err != nil {
		return nil, fmt.Errorf("parse query: %w", err)
	}
	if len(tree) != 1 || len(tree[0]) != 1 {
		return nil, errors.New("parse query: no syntax tree")
	}
	return parsePlan(text, []byte(tree[0][0]))
}

func (s *session) describe(ctx context.Context, query string) ([]described, error) {
	rows, err := s.strings(ctx, "SELECT column_name, column_type FROM (DESCRIBE "+query+")")
	if err != nil {
		return nil, failure(err)
	}
	out := make([]described, len(rows))
	for i, r := range rows {
		out[i] = described{name: r[0], duck: r[1]}
	}
	return out, nil
}

// strings runs a query whose columns are strings.
func (s *session) strings(ctx context.Context, query string) ([][]string, error) {
	reader, err := s.arrow.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer reader.Release()
	var out [][]string
	for reader.Next() {
		batch := reader.RecordBatch()
		for i := range int(batch.NumRows()) {
			row := make([]string, batch.NumCols())
			for c := range row {
				row[c] = strings.Clone(batch.Column(c).(*array.String).Value(i))
			}
			out = append(out, row)
		}
	}
	return out, reader.Err()
}

// load copies the used columns of the i-th table into its temporary table, and returns all
// columns of the table.
func (s *session) load(ctx context.Context, tables Tables, text string, p *plan, i int) ([]Column, error) {
	relation, err := tables.Open(ctx, p.tables[i].name)
	if errors.Is(err, ErrNoTable) {
		return nil, &Error{
			Code: codeNoTable, Pos: ddl.Position(text, p.tables[i].offset),
			Message: "Table not found - table " + strings.Join(p.tables[i].name, ".") + " cannot be resolved",
		}
	}
	if err != nil {
		return nil, err
	}
	defer relation.Close()
	relation.Narrow(p.equal)
	columns := relation.Columns()
	used := p.used(columns)
	err = s.copyTable(ctx, relation, used, nanos, i)
	if errors.Is(err, errNanos) {
		err = s.copyTable(ctx, relation, used, micros, i)
	}
	return columns, err
}

func (s *session) copyTable(ctx context.Context, relation Relation, used []int, u unit, i int) error {
	reader := newSource(ctx, relation, used, u)
	defer reader.stop()
	view := s.prefix + " source " + strconv.Itoa(i) + " " + strconv.Itoa(int(u))
	release, err := s.arrow.RegisterView(reader, view)
	if err != nil {
		return fmt.Errorf("register rows with DuckDB: %w", err)
	}
	defer release()
	err = s.exec(ctx, "CREATE TEMP TABLE "+s.table(i)+" AS SELECT * FROM "+quoteName(view))
	dropErr := s.exec(context.WithoutCancel(ctx), "DROP VIEW "+quoteName(view))
	if reader.err != nil { // DuckDB shows only its text
		return reader.err
	}
	return errors.Join(err, dropErr)
}

// casts wraps a query so that its columns get the target types.
func casts(query string, found []described, target *Target) (string, error) {
	n := len(target.Types)
	if len(found) != n {
		return "", &Error{
			Code: codeSemantic, Pos: ddl.Pos{Line: 1, Column: 1},
			Message: fmt.Sprintf("Semantic analysis exception - the query gives %d columns where the table takes %d", len(found), n),
		}
	}
	names, exprs := make([]string, n), make([]string, n)
	for i, t := range target.Types {
		names[i] = "c" + strconv.Itoa(i)
		exprs[i] = castTo(names[i], found[i].duck, t)
	}
	out := "SELECT " + strings.Join(exprs, ", ") + " FROM (" + query + "\n) AS q(" + strings.Join(names, ", ") + ")"
	if target.GroupBy > 0 {
		out += " ORDER BY " + strings.Join(names[n-target.GroupBy:], ", ")
	}
	return out, nil
}

func named(found []described, target []types.Type) []Column {
	out := make([]Column, len(target))
	for i, t := range target {
		out[i] = Column{Name: strings.ToLower(found[i].name), Type: t}
	}
	return out
}

// failure turns DuckDB's error into one with a number of MaxCompute's.
func failure(err error) error {
	var e *duckdb.Error
	if !errors.As(err, &e) {
		return err
	}
	message, _, _ := strings.Cut(e.Msg, "\n\nLINE ")
	message = strings.TrimSpace(message)
	switch e.Type {
	case duckdb.ErrorTypeBinder, duckdb.ErrorTypeCatalog, duckdb.ErrorTypeParser, duckdb.ErrorTypeSyntax:
		return &Error{Code: codeSemantic, Pos: ddl.Pos{Line: 1, Column: 1}, Message: "Semantic analysis exception - " + message}
	case duckdb.ErrorTypeInternal, duckdb.ErrorTypeFatal:
		return err
	default:
		return &Error{Code: codeExecution, Message: "Execution failed - " + message}
	}
}

// Rows is a result being read. Not safe for concurrent use.
type Rows struct {
	session *session
	reader  array.RecordReader
	columns []Column
	batch   arrow.RecordBatch
	err     error
}

// Columns returns the names and types of the result.
func (r *Rows) Columns() []Column { return r.columns }

// Next moves to the next batch and reports whether there is one.
func (r *Rows) Next() bool {
	r.drop()
	if r.err != nil || !r.reader.Next() {
		if r.err == nil && r.reader.Err() != nil {
			r.err = failure(r.reader.Err())
		}
		return false
	}
	r.batch, r.err = wideBatch(r.reader.RecordBatch(), r.columns)
	return r.err == nil
}

// Batch returns the current batch in types.LayoutWide, valid until Next or Close.
func (r *Rows) Batch() arrow.RecordBatch { return r.batch }

// Err returns what ended the reading, nil at the regular end.
func (r *Rows) Err() error { return r.err }

// Close frees the result and its temporary tables.
func (r *Rows) Close() error {
	r.drop()
	r.reader.Release()
	return r.session.close()
}

func (r *Rows) drop() {
	if r.batch != nil {
		r.batch.Release()
		r.batch = nil
	}
}
