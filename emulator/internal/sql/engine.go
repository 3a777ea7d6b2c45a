//go:build cgo && duckdb_arrow

package sql

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/sluice-io/sluice/emulator/internal/ddl"
	"github.com/sluice-io/sluice/emulator/internal/sql/duck"
	"github.com/sluice-io/sluice/emulator/internal/sql/scalar"
	"github.com/sluice-io/sluice/emulator/internal/sql/scan"
	"github.com/sluice-io/sluice/emulator/internal/types"
)

// Built says whether this program can answer queries.
const Built = true

// setup makes the database deaf to the outside, sorts NULLs as MaxCompute does, and makes
// divisions by zero NULL. closed forbids queries to undo it.
var setup = []string{
	"SET temp_directory = ''",
	"SET autoinstall_known_extensions = false",
	"SET autoload_known_extensions = false",
	"SET GLOBAL TimeZone = 'UTC'",
	"SET GLOBAL default_null_order = 'nulls_first_on_asc_last_on_desc'",
	"SET GLOBAL ieee_floating_point_ops = false",
	"SET enable_external_access = false",
}

// guards stand before DuckDB's own functions that make an array of any size: they make it in one
// step, without regard for the limit of memory or for who gives up meanwhile.
var guards = []string{
	guard("range"), guard("generate_series"),
	"CREATE MACRO list_resize(l, n) AS " + bounded("n", "list_resize(l, n)") + ", (l, n, v) AS " + bounded("n", "list_resize(l, n, v)"),
	"CREATE MACRO array_resize(l, n) AS " + bounded("n", "list_resize(l, n)") + ", (l, n, v) AS " + bounded("n", "list_resize(l, n, v)"),
}

func guard(series string) string {
	return "CREATE MACRO " + series + "(n) AS " + bounded("n", series+"(n)") +
		", (a, b) AS " + bounded("abs(CAST(b AS HUGEINT) - a)", series+"(a, b)") +
		", (a, b, s) AS " + bounded("abs((CAST(b AS HUGEINT) - a) // s)", series+"(a, b, s)")
}

func bounded(size, call string) string {
	return "CASE WHEN " + size + " > 1000000 THEN error('the array has more than 1000000 elements') ELSE system.main." + call + " END"
}

// memoryLimit bounds what DuckDB holds for all queries together: one that wants more fails,
// instead of the process. The rows of tables do not count, they lie in mapped files.
const memoryLimit = "4GiB"

const closed = "SET lock_configuration = true"

// Engine runs queries in one DuckDB in memory, opened at the first query. Safe for
// concurrent use.
type Engine struct {
	memory string // what DuckDB may hold, in its words

	mu       sync.Mutex
	database *duck.Database // nil until the first query; guarded by mu
	scans    *scan.Function // of the database
	typing   *scalar.Typing // of the database
	alive    *scalar.Alive  // of the database
	known    functions      // of the database
	closed   bool           // guarded by mu
}

// New returns an engine. It does nothing yet.
func New() *Engine { return &Engine{memory: memoryLimit} }

// Close frees the database. Results that are still being read must be closed before.
func (e *Engine) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	if e.database != nil {
		e.database.Close()
		e.database = nil
	}
	return nil
}

// Query runs one SELECT over tables. With target, the result's columns are cast to its
// types, by position. The error is an *Error or a *ddl.Error where the query is at fault.
// The caller closes the rows.
func (e *Engine) Query(ctx context.Context, tables Tables, text string, target *Target) (*Rows, error) {
	translated, err := translate(text, tables)
	if err != nil {
		return nil, err
	}
	s, err := e.open(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := s.run(ctx, tables, translated, target)
	if err != nil {
		err = s.failure(ctx.Err(), err)
		s.close()
		return nil, err
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
	if e.database == nil {
		if err := e.start(ctx); err != nil {
			return nil, err
		}
	}
	conn, err := e.database.Connect()
	if err != nil {
		return nil, err
	}
	number, remove := e.alive.Add(ctx.Done())
	return &session{conn: conn, database: e.database, scans: e.scans, typing: e.typing, known: e.known, number: number, remove: remove}, nil
}

// start opens and prepares the database. If that fails the next query tries again.
func (e *Engine) start(ctx context.Context) (err error) {
	database, err := duck.Open()
	if err != nil {
		return fmt.Errorf("open DuckDB: %w", err)
	}
	defer func() {
		if err != nil {
			database.Close()
		}
	}()
	conn, err := database.Connect()
	if err != nil {
		return err
	}
	defer conn.Close()
	if e.scans, err = scan.Register(conn.Raw()); err != nil {
		return err
	}
	if err := scalar.Register(conn.Raw(), macroPrefix+"go_"); err != nil {
		return err
	}
	if e.typing, err = scalar.RegisterTyping(conn.Raw(), macroPrefix+"go_"); err != nil {
		return err
	}
	if e.alive, err = scalar.RegisterAlive(conn.Raw(), macroPrefix+"go_"); err != nil {
		return err
	}
	for _, statement := range slices.Concat([]string{"SET memory_limit = '" + e.memory + "'"}, setup, guards, definitions(), []string{closed}) {
		if err := conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("set DuckDB up: %w", err)
		}
	}
	names, err := (&session{conn: conn}).strings(ctx, functionsQuery)
	if err != nil {
		return fmt.Errorf("list DuckDB's functions: %w", err)
	}
	e.known = functions{}
	for _, name := range names {
		e.known[name[0]] = true
	}
	e.database = database
	return nil
}

// session is one query's connection with the tables that it reads.
type session struct {
	database *duck.Database
	conn     *duck.Conn
	scans    *scan.Function
	typing   *scalar.Typing
	known    functions
	tables   []*openTable
	number   int64  // of the query, by which its lambdas know that it is wanted
	remove   func() // forgets the number
	shown    int    // tables that conn has views of
	source   string // the query as it was submitted
	places   int    // tables and views named so far
	joins    int    // so far
	expanded bool   // a view stands in the query: its plan does not tell all
}

// openTable is one place of a query that names a table.
type openTable struct {
	relation Relation
	columns  []Column
	scan     *scan.Table
	cursor   *scan.Cursor
}

// close drops the connection and unpins the tables, in this order: DuckDB may hold
// addresses of their bytes.
func (s *session) close() {
	s.conn.Close()
	s.remove()
	for _, t := range s.tables {
		if t.cursor != nil {
			t.cursor.Close()
			t.scan.Release()
		}
		t.relation.Close()
	}
}

// table is the quoted name of the i-th table.
func (s *session) table(i int) string { return quoteName("sluice table " + strconv.Itoa(i)) }

func (s *session) run(ctx context.Context, tables Tables, tr *translation, target *Target) (*Rows, error) {
	s.source = tr.source
	query, p, columns, err := s.resolve(ctx, tables, tr, nil)
	if err != nil {
		return nil, err
	}
	if err := s.show(ctx); err != nil {
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
	result, err := s.execute(ctx, p, query, target)
	if err != nil {
		return nil, err
	}
	rows := &Rows{ended: ctx.Err, session: s, result: result}
	if target != nil {
		rows.columns = named(found, target)
		return rows, nil
	}
	if rows.columns, err = p.resultColumns(found, result.Schema(), columns); err != nil {
		result.Close()
		return nil, err
	}
	return rows, nil
}

// execute runs the query in the way that suits it: as a whole, or over parts of its table;
// with the rows chosen before, or not.
func (s *session) execute(ctx context.Context, p *plan, query string, target *Target) (reader, error) {
	if s.expanded || !p.single() {
		return s.conn.Query(ctx, query)
	}
	table := s.tables[0]
	filters, whole := p.filters(table.columns)
	table.scan.Filters = filters
	if len(table.scan.Pieces) <= partPieces {
		return s.conn.Query(ctx, query)
	}
	var c *chooser
	if !whole {
		var err error
		if c, err = s.chooser(ctx, p); err != nil {
			return nil, err
		}
	}
	if p.rowwise(s.known) && (target == nil || target.GroupBy == 0) {
		return s.startParts(ctx, query, c)
	}
	if c != nil {
		if err := s.chooseAll(ctx, c); err != nil {
			return nil, err
		}
	}
	return s.conn.Query(ctx, query)
}

// chooser returns nil if there is nothing to choose by.
func (s *session) chooser(ctx context.Context, p *plan) (*chooser, error) {
	tree, err := p.choosing(s.tables[0].columns, s.known, placesView)
	if err != nil || tree == nil {
		return nil, err
	}
	text, err := s.strings(ctx, "SELECT json_deserialize_sql(CAST("+quoteString(string(tree))+" AS JSON))")
	if err != nil {
		return nil, fmt.Errorf("write a query: %w", err)
	}
	return &chooser{query: text[0][0]}, nil
}

// parse lets DuckDB build the syntax tree.
func (s *session) parse(ctx context.Context, tr *translation) (*plan, error) {
	tree, err := s.strings(ctx, "SELECT CAST(json_serialize_sql("+quoteString(tr.text)+") AS VARCHAR)")
	if err != nil {
		return nil, fmt.Errorf("parse query: %w", err)
	}
	if len(tree) != 1 || len(tree[0]) != 1 {
		return nil, errors.New("parse query: no syntax tree")
	}
	return parsePlan(tr, []byte(tree[0][0]))
}

func (s *session) describe(ctx context.Context, query string) ([]described, error) {
	rows, err := s.strings(ctx, "SELECT column_name, column_type FROM (DESCRIBE "+query+")")
	if err != nil {
		return nil, err
	}
	out := make([]described, len(rows))
	for i, r := range rows {
		out[i] = described{name: r[0], duck: r[1]}
	}
	return out, nil
}

// strings runs a query whose columns are strings.
func (s *session) strings(ctx context.Context, query string) ([][]string, error) {
	result, err := s.conn.Query(ctx, query)
	if err != nil {
		return nil, err
	}
	defer result.Close()
	var out [][]string
	for result.Next() {
		batch := result.RecordBatch()
		for i := range int(batch.NumRows()) {
			row := make([]string, batch.NumCols())
			for c := range row {
				row[c] = strings.Clone(batch.Column(c).(*array.String).Value(i))
			}
			out = append(out, row)
		}
	}
	return out, result.Err()
}

// openTable pins the i-th table of the plan and makes it readable.
func (s *session) openTable(ctx context.Context, tables Tables, tr *translation, p *plan, i int) (*openTable, error) {
	relation, err := tables.Open(ctx, p.tables[i].name)
	if errors.Is(err, ErrNoTable) {
		return nil, &Error{
			Code: codeNoTable, Pos: tr.position(p.tables[i].offset),
			Message: "Table not found - table " + strings.Join(p.tables[i].name, ".") + " cannot be resolved",
		}
	}
	if err != nil {
		return nil, err
	}
	t := &openTable{relation: relation, columns: relation.Columns()}
	s.tables = append(s.tables, t)
	relation.Narrow(p.equal)
	pieces, err := relation.Pieces()
	if err != nil {
		return nil, err
	}
	source := &scan.Table{Pieces: pieces}
	for _, c := range t.columns {
		source.Columns = append(source.Columns, scan.Column(c))
	}
	if source.Micros, err = source.BeyondNanos(ctx, p.used(t.columns)); err != nil {
		return nil, err
	}
	t.scan, t.cursor = source, s.scans.Open(ctx, source)
	return t, nil
}

// show makes the tables visible to the connection, by name.
func (s *session) show(ctx context.Context) error {
	for ; s.shown < len(s.tables); s.shown++ {
		if err := s.conn.Exec(ctx, "CREATE TEMP VIEW "+s.table(s.shown)+" AS "+s.tables[s.shown].cursor.Query(false)); err != nil {
			return fmt.Errorf("show a table to DuckDB: %w", err)
		}
	}
	return nil
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
	var names, exprs []string
	for i, t := range target.Types {
		names = append(names, "c"+strconv.Itoa(i))
		exprs = append(exprs, assign(target.name(i), names[i], found[i].duck, t))
	}
	for _, d := range target.Derived {
		exprs = append(exprs, d.expression(names[d.From]))
	}
	out := "SELECT " + strings.Join(exprs, ", ") + " FROM (" + query + "\n) AS q(" + strings.Join(names, ", ") + ")"
	if target.GroupBy > 0 {
		out += " ORDER BY " + strings.Join(exprs[len(exprs)-target.GroupBy:], ", ")
	}
	return out, nil
}

func named(found []described, target *Target) []Column {
	out := make([]Column, 0, len(found)+len(target.Derived))
	for i, t := range target.Types {
		out = append(out, Column{Name: strings.ToLower(found[i].name), Type: t})
	}
	for _, d := range target.Derived {
		out = append(out, Column{Name: "trunc_time(" + target.name(d.From) + ")", Type: types.Type{Kind: types.String}})
	}
	return out
}

// failure is the error of the query where err is what DuckDB or a table said. What ended the
// query from outside, if anything, comes first.
func (s *session) failure(ended, err error) error {
	if ended != nil {
		return ended
	}
	for _, t := range s.tables { // DuckDB shows only the text of a table's error
		if t.scan != nil && t.scan.Err() != nil {
			err = t.scan.Err()
			break
		}
	}
	if _, ok := errors.AsType[*scan.ValueError](err); ok {
		return &Error{Code: codeExecution, Message: "Execution failed - " + err.Error()}
	}
	var e *duck.Error
	if !errors.As(err, &e) {
		return err
	}
	message, _, _ := strings.Cut(e.Text, "\n\nLINE ")
	if e.Kind == "INTERNAL" || e.Kind == "FATAL" {
		return err
	}
	words, pos, semantic := reworded(s.source, message)
	switch e.Kind {
	case "Binder", "Catalog", "Parser", "Syntax":
		semantic = true
	case "Out of Memory":
		words = "the query needs more memory than this endpoint gives to queries: " + e.Text
	}
	if semantic {
		return &Error{Code: codeSemantic, Pos: pos, Message: "Semantic analysis exception - " + words}
	}
	return &Error{Code: codeExecution, Message: "Execution failed - " + words}
}

// Rows is a result being read. Not safe for concurrent use.
type Rows struct {
	ended   func() error // why nobody wants the rows any more
	session *session
	result  reader
	columns []Column
	batch   arrow.RecordBatch
	err     error
}

// Columns returns the names and types of the result.
func (r *Rows) Columns() []Column { return r.columns }

// Next moves to the next batch and reports whether there is one.
func (r *Rows) Next() bool {
	r.drop()
	if r.err != nil || !r.result.Next() {
		if r.err == nil && r.result.Err() != nil {
			r.err = r.session.failure(r.ended(), r.result.Err())
		}
		return false
	}
	r.batch, r.err = wideBatch(r.result.RecordBatch(), r.columns)
	return r.err == nil
}

// Batch returns the current batch in types.LayoutWide, valid until Next or Close.
func (r *Rows) Batch() arrow.RecordBatch { return r.batch }

// Err returns what ended the reading, nil at the regular end.
func (r *Rows) Err() error { return r.err }

// Close frees the result and unpins the tables.
func (r *Rows) Close() error {
	r.drop()
	r.result.Close()
	r.session.close()
	return nil
}

func (r *Rows) drop() {
	if r.batch != nil {
		r.batch.Release()
		r.batch = nil
	}
}
