//go:build cgo && duckdb_arrow

package sql

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-io/sluice/emulator/internal/sql/scalar"
)

// compared makes a query whose comparisons of texts with numbers are those of DOUBLEs, as
// MaxCompute's are; a text that is no number is then NULL. DuckDB would take the text for a
// number of the other side's type. It returns the query as it was if there is none.
//
// Types are known to DuckDB only. So a second query is planned, never run, in which every
// comparison that may be one is a call of a function that learns the types of its arguments.
func (s *session) compared(ctx context.Context, p *plan, tr *translation, columns [][]Column, place func(i int) string) (*plan, *translation, error) {
	find := func() (map[string]any, []site) {
		root, _ := copied(p.root).(map[string]any)
		c := newComparer(root, columns)
		c.find(root)
		return root, c.sites
	}
	root, sites := find()
	if len(sites) == 0 {
		return p, tr, nil
	}
	numbers := 0
	for _, at := range sites {
		numbers += len(at.pairs)
	}
	first := s.typing.Reserve(numbers)
	starts, err := tellAll(sites, first)
	if err != nil {
		return nil, nil, err
	}
	failed := s.plan(ctx, root, p, tr, place)
	classes := s.typing.Take(first, numbers)
	if failed != nil {
		return p, tr, ctx.Err() // DuckDB says of the query itself what is wrong
	}
	root, sites = find()
	changed := false
	for i, at := range sites {
		found := classes[starts[i]-first:][:len(at.pairs)]
		if at.apart {
			found = [][2]scalar.Class{{found[0][0], found[1][0]}}
		}
		if slices.ContainsFunc(found, textWithNumber) {
			at.wrap()
			changed = true
		}
	}
	if !changed {
		return p, tr, nil
	}
	return s.again(ctx, root, p, tr)
}

// tellAll puts the calls that tell types into a tree and returns their numbers. Equal
// comparisons have equal numbers: GROUP BY a > 1 still finds a > 1 in the select list.
func tellAll(sites []site, number int64) (starts []int64, err error) {
	known := map[string]int64{}
	for _, at := range sites {
		key, err := json.Marshal(placeless(at.node))
		if err != nil {
			return nil, fmt.Errorf("write a syntax tree: %w", err)
		}
		start, seen := known[string(key)]
		if !seen {
			start = number
			known[string(key)] = number
			number += int64(len(at.pairs))
		}
		starts = append(starts, start)
		at.tell(start)
	}
	return starts, nil
}

// placeless is a tree without what differs between two ways to write the same.
func placeless(v any) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i, child := range v {
			out[i] = placeless(child)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, child := range v {
			if key != "query_location" && key != "alias" {
				out[key] = placeless(child)
			}
		}
		return out
	default:
		return v
	}
}

// textWithNumber reports whether a text is compared with a number, or added up.
func textWithNumber(c [2]scalar.Class) bool {
	return c == [2]scalar.Class{scalar.Text, scalar.Number} || c == [2]scalar.Class{scalar.Number, scalar.Text} || c == [2]scalar.Class{scalar.Text, scalar.Unknown}
}

// plan lets DuckDB plan a changed tree over the tables of p.
func (s *session) plan(ctx context.Context, root map[string]any, p *plan, tr *translation, place func(i int) string) error {
	p, tr, err := s.again(ctx, root, p, tr)
	if err != nil {
		return err
	}
	query, err := p.rewrite(tr.text, place)
	if err != nil {
		return err
	}
	if err := s.show(ctx); err != nil {
		return err
	}
	_, err = s.describe(ctx, query)
	return err
}

// again is the plan of a changed tree that reads the same tables as p.
func (s *session) again(ctx context.Context, root map[string]any, p *plan, tr *translation) (*plan, *translation, error) {
	tree, err := document(root)
	if err != nil {
		return nil, nil, fmt.Errorf("write a syntax tree: %w", err)
	}
	text, err := s.strings(ctx, "SELECT json_deserialize_sql(CAST("+quoteString(string(tree))+" AS JSON))")
	if err != nil {
		return nil, nil, fmt.Errorf("write a query: %w", err)
	}
	changed := &translation{text: text[0][0], source: tr.source}
	out, err := s.parse(ctx, changed)
	if err != nil {
		return nil, nil, err
	}
	if !slices.EqualFunc(out.tables, p.tables, func(a, b tableRef) bool { return slices.EqualFunc(a.name, b.name, strings.EqualFold) }) {
		return nil, nil, fmt.Errorf("write a query: it reads other tables than before: %s", changed.text)
	}
	return out, changed, nil
}
