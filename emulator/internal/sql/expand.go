//go:build cgo && duckdb_arrow

package sql

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-io/sluice/emulator/internal/ddl"
)

// maxViews bounds how deep views may stand within views.
const maxViews = 16

// Bounds of a query with all that its views hold: nothing stops DuckDB while it plans one, and
// that takes time that grows with a high power of these.
const (
	maxTables = 256 // MaxCompute's own for UNION ALL, "SQL limits"
	maxJoins  = 128 // MaxCompute's own for MAPJOIN, ibidem
)

// resolve makes a query of MaxCompute's one of DuckDB's: the stored tables that it names are
// opened, the views are put in as subqueries. It returns the text, the plan, and the columns
// of the plan's tables.
func (s *session) resolve(ctx context.Context, tables Tables, tr *translation, within []string) (string, *plan, [][]Column, error) {
	tr = tr.numbered(s.number)
	p, err := s.parse(ctx, tr)
	if err != nil {
		return "", nil, nil, err
	}
	s.places, s.joins = s.places+len(p.tables), s.joins+p.joins
	if s.places > maxTables || s.joins > maxJoins {
		return "", nil, nil, &Error{Code: codeSemantic, Pos: ddl.Pos{Line: 1, Column: 1}, Message: fmt.Sprintf(
			"Semantic analysis exception - a query names at most %d tables and joins at most %d times, with what its views hold", maxTables, maxJoins)}
	}
	texts, columns := make([]string, len(p.tables)), make([][]Column, len(p.tables))
	for i, ref := range p.tables {
		texts[i], columns[i], err = s.place(ctx, tables, tr, p, i, within)
		if err != nil {
			return "", nil, nil, fmt.Errorf("read table %s: %w", strings.Join(ref.name, "."), err)
		}
	}
	if err := p.checkNames(tr, columns); err != nil {
		return "", nil, nil, err
	}
	place := func(i int) string { return texts[i] }
	if p, tr, err = s.compared(ctx, p, tr, columns, place); err != nil {
		return "", nil, nil, err
	}
	query, err := p.rewrite(tr.text, place)
	return query, p, columns, err
}

// place opens what the i-th table of a plan is.
func (s *session) place(ctx context.Context, tables Tables, tr *translation, p *plan, i int, within []string) (string, []Column, error) {
	name := p.tables[i].name
	if views, ok := tables.(Viewer); ok {
		view, err := views.View(name)
		if err != nil {
			return "", nil, err
		}
		if view != nil {
			text, err := s.view(ctx, view, within)
			return text, nil, err
		}
	}
	t, err := s.openTable(ctx, tables, tr, p, i)
	var missing *Error
	switch {
	case errors.As(err, &missing) && missing.Code == codeNoTable && len(name) == 1 && strings.EqualFold(name[0], "dual"):
		s.expanded = true
		return "(SELECT 1 AS dummy)", nil, nil
	case err != nil:
		return "", nil, err
	}
	return s.table(len(s.tables) - 1), t.columns, nil
}

// view is a view as a subquery.
func (s *session) view(ctx context.Context, v *View, within []string) (string, error) {
	if len(within) == maxViews || slices.Contains(within, v.Name) {
		return "", &Error{Code: codeSemantic, Pos: ddl.Pos{Line: 1, Column: 1}, Message: "Semantic analysis exception - view " + v.Name + " stands within itself, or too deep within others"}
	}
	tr, err := translate(v.Text, v.Tables)
	if err != nil {
		return "", fmt.Errorf("view %s: %w", v.Name, err)
	}
	s.expanded = true
	query, _, _, err := s.resolve(ctx, v.Tables, tr, append(slices.Clip(within), v.Name))
	if err != nil {
		return "", fmt.Errorf("view %s: %w", v.Name, err)
	}
	names := make([]string, len(v.Columns))
	for i, c := range v.Columns {
		names[i] = quoteName(c)
	}
	return "(SELECT * FROM (" + query + "\n) AS v(" + strings.Join(names, ", ") + "))", nil
}

// Check reports what is wrong with a query's syntax. It looks at no table.
func (e *Engine) Check(ctx context.Context, text string) error {
	tr, err := translate(text, nil)
	if err != nil {
		return err
	}
	s, err := e.open(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	_, err = s.parse(ctx, tr)
	return err
}

// Describe returns the columns that a query would give.
func (e *Engine) Describe(ctx context.Context, tables Tables, text string) ([]Column, error) {
	var columns []Column
	err := e.prepared(ctx, tables, text, func(s *session, p *plan, query string, declared [][]Column) error {
		found, err := s.describe(ctx, query)
		if err != nil {
			return err
		}
		result, err := s.conn.Query(ctx, "SELECT * FROM ("+query+"\n) LIMIT 0")
		if err != nil {
			return err
		}
		defer result.Close()
		columns, err = p.resultColumns(found, result.Schema(), declared)
		return err
	})
	return columns, err
}

// Explain returns DuckDB's plan of a query as text.
func (e *Engine) Explain(ctx context.Context, tables Tables, text string) (string, error) {
	var out strings.Builder
	err := e.prepared(ctx, tables, text, func(s *session, _ *plan, query string, _ [][]Column) error {
		rows, err := s.strings(ctx, "EXPLAIN "+query)
		for _, r := range rows {
			out.WriteString(ownNames.ReplaceAllString(r[len(r)-1], ""))
		}
		return err
	})
	return out.String(), err
}

// prepared hands a query over as DuckDB would run it.
func (e *Engine) prepared(ctx context.Context, tables Tables, text string, use func(s *session, p *plan, query string, declared [][]Column) error) error {
	tr, err := translate(text, tables)
	if err != nil {
		return err
	}
	s, err := e.open(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	s.source = tr.source
	query, p, declared, err := s.resolve(ctx, tables, tr, nil)
	if err == nil {
		err = s.show(ctx)
	}
	if err == nil {
		err = use(s, p, query, declared)
	}
	if err != nil {
		return s.failure(ctx.Err(), err)
	}
	return nil
}
