package storageapi

import (
	"context"
	"iter"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/sluice-io/sluice/emulator/internal/ddl"
	"github.com/sluice-io/sluice/emulator/internal/relation"
	"github.com/sluice-io/sluice/emulator/internal/sql"
)

// A predicate is an expression of SQL, and package sql applies it. The grammar of protocol
// 18.2 is a part of what is understood.

// checkExpression proves that a predicate is one expression that cannot end the parentheses
// it will stand in, nor name another table: no sub-query, no comment, no separator.
func checkExpression(text string) error {
	tokens, err := ddl.Tokens(text)
	if err != nil {
		return err
	}
	var open []string // closing brackets awaited
	for _, t := range tokens {
		closing := map[string]string{"(": ")", "[": "]", "{": "}"}[t.Text]
		switch {
		case t.Kind == ddl.String || t.Kind == ddl.Quoted:
		case closing != "":
			open = append(open, closing)
		case t.Is(")") || t.Is("]") || t.Is("}"):
			if len(open) == 0 || open[len(open)-1] != t.Text {
				return badRequest("FilterPredicate: %q at %d closes nothing", t.Text, t.Start)
			}
			open = open[:len(open)-1]
		case t.Is(";") || t.Is("SELECT") || t.Is("WITH") || t.Is("FROM") || t.Is("VALUES") || t.Is("OVER"):
			return badRequest("FilterPredicate: %s is not supported, it must be one condition on the columns", t.Text)
		}
	}
	if len(open) > 0 {
		return badRequest("FilterPredicate: %q is missing", open[len(open)-1])
	}
	if len(tokens) == 0 && text != "" {
		return badRequest("FilterPredicate: %q is empty", text)
	}
	return nil
}

// checkPredicate fails where reading would.
func (h *Handler) checkPredicate(ctx context.Context, s *session) error {
	s.ask.FilterPredicate = strings.TrimSpace(s.ask.FilterPredicate)
	if s.ask.FilterPredicate == "" {
		return nil
	}
	if h.opt.Engine == nil {
		return sql.ErrNotBuilt
	}
	if err := checkExpression(s.ask.FilterPredicate); err != nil {
		return err
	}
	for _, err := range h.filtered(ctx, s, span{}) {
		if err != nil {
			return err
		}
	}
	return nil
}

// rows yields the rows of a span that pass the filter, the session's columns, in
// types.LayoutWide. A batch is the iterator's.
func (h *Handler) rows(ctx context.Context, s *session, rows span) iter.Seq2[arrow.RecordBatch, error] {
	if s.ask.FilterPredicate != "" {
		return h.filtered(ctx, s, rows)
	}
	r := s.relation(rows)
	return func(yield func(arrow.RecordBatch, error) bool) {
		defer r.Close()
		for batch, err := range r.Batches(ctx, s.columns) {
			if !yield(batch, err) {
				return
			}
		}
	}
}

// relation is a span of the session's rows. The caller closes it.
func (s *session) relation(rows span) *relation.Relation {
	for _, sn := range s.snapshots {
		sn.Retain()
	}
	r := relation.New(s.table, s.snapshots)
	r.Limit(rows.start, rows.count)
	return r
}

// tableName is what the session's table is called in its query.
const tableName = "t"

func (h *Handler) filtered(ctx context.Context, s *session, rows span) iter.Seq2[arrow.RecordBatch, error] {
	var names []string
	for _, at := range s.columns {
		names = append(names, quote(s.all()[at].Name))
	}
	text := "SELECT " + strings.Join(names, ", ") + " FROM " + tableName + " WHERE (" + s.ask.FilterPredicate + "\n)"
	return func(yield func(arrow.RecordBatch, error) bool) {
		result, err := h.opt.Engine.Query(ctx, &onlyTable{s, rows}, text, nil)
		if err != nil {
			yield(nil, err)
			return
		}
		defer func() { _ = result.Close() }() // it was only read
		for result.Next() {
			if !yield(result.Batch(), nil) {
				return
			}
		}
		if result.Err() != nil {
			yield(nil, result.Err())
		}
	}
}

func quote(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

// onlyTable is the session's table, the only one that its predicate can look at.
type onlyTable struct {
	session *session
	rows    span
}

func (t *onlyTable) Open(_ context.Context, name []string) (sql.Relation, error) {
	if len(name) != 1 || name[0] != tableName {
		return nil, sql.ErrNoTable
	}
	return whole{t.session.relation(t.rows)}, nil
}

// whole is a relation of counted rows, of which none may be left out.
type whole struct{ *relation.Relation }

// Narrow does nothing.
func (whole) Narrow(map[string]string) {}
