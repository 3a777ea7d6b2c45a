package sql

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/sluice-io/sluice/emulator/internal/sql/scan"
	"github.com/sluice-io/sluice/emulator/internal/types"
)

// functions are the names that stand for nothing but functions of one row's values, which
// give the same whenever they are asked.
type functions map[string]bool

// functionsQuery finds them.
const functionsQuery = `SELECT function_name FROM duckdb_functions() GROUP BY ALL
	HAVING bool_and(function_type = 'scalar' AND stability = 'CONSISTENT')`

// plainClasses are the classes of expressions that look at one row only, if their parts do
// and their functions are known.
var plainClasses = map[string]bool{
	"COLUMN_REF": true, "CONSTANT": true, "COMPARISON": true, "CONJUNCTION": true, "FUNCTION": true,
	"OPERATOR": true, "BETWEEN": true, "CASE": true, "CAST": true, "STAR": true,
}

// plainExpression reports whether an expression, or a list of them, looks at one row only.
func plainExpression(v any, known functions) bool {
	switch v := v.(type) {
	case []any:
		return !slices.ContainsFunc(v, func(child any) bool { return !plainExpression(child, known) })
	case map[string]any:
		if class, ok := v["class"].(string); ok && !plainClasses[class] {
			return false
		}
		if name, _ := v["function_name"].(string); v["class"] == "FUNCTION" && !known[name] {
			return false
		}
		for _, child := range v {
			if !plainExpression(child, known) {
				return false
			}
		}
	}
	return true
}

// single reports whether the query is a SELECT from one stored table as it lies there.
func (p *plan) single() bool {
	from, _ := p.root["from_table"].(map[string]any)
	return p.direct && len(p.tables) == 1 && from["type"] == "BASE_TABLE" && from["sample"] == nil && p.root["sample"] == nil && from["at_clause"] == nil
}

// rowwise reports whether each row of the query's only table gives one row of the result or
// none, whatever the other rows are.
func (p *plan) rowwise(known functions) bool {
	modifiers, _ := p.root["modifiers"].([]any)
	groups, _ := p.root["group_expressions"].([]any)
	sets, _ := p.root["group_sets"].([]any)
	return p.single() && len(modifiers) == 0 && len(groups) == 0 && len(sets) == 0 && p.root["aggregate_handling"] == "STANDARD_HANDLING" &&
		p.root["having"] == nil && p.root["qualify"] == nil &&
		plainExpression(p.root["select_list"], known) && plainExpression(p.root["where_clause"], known)
}

// choosing is the query that tells the places of the rows that the WHERE clause of a query
// over one table lets through, read from the table of the given name. It is nil where the
// clause does not stand on its own, or the query needs little besides: then it would save
// nothing.
func (p *plan) choosing(columns []Column, known functions, table string) (tree []byte, err error) {
	where := p.root["where_clause"]
	from, _ := p.root["from_table"].(map[string]any)
	renamed, _ := from["column_name_alias"].([]any)
	if where == nil || !p.single() || len(renamed) > 0 || p.limited() || !plainExpression(where, known) {
		return nil, nil
	}
	w := &whereColumns{plan: p, columns: map[string]bool{}, found: map[string]bool{}}
	for _, c := range columns {
		w.columns[strings.ToLower(c.Name)] = true
	}
	where, ok := w.rename(where)
	if !ok || p.weight(columns, w.found) < heavy {
		return nil, nil
	}
	from = maps.Clone(from)
	from["alias"], from["catalog_name"], from["schema_name"], from["table_name"] = p.alias(0), "", "", table
	root := maps.Clone(p.root)
	maps.Copy(root, map[string]any{
		"modifiers": []any{}, "group_expressions": []any{}, "group_sets": []any{}, "aggregate_handling": "STANDARD_HANDLING", "having": nil, "qualify": nil,
		"select_list": []any{map[string]any{"class": "COLUMN_REF", "type": "COLUMN_REF", "alias": "", "column_names": []string{scan.RowColumn}}},
		"from_table":  from, "where_clause": where,
	})
	tree, err = json.Marshal(map[string]any{"error": false, "statements": []any{map[string]any{"node": root}}})
	if err != nil {
		return nil, fmt.Errorf("write a syntax tree: %w", err)
	}
	return tree, nil
}

// heavy is from how many bytes on it pays to read a row's columns only once the row is known
// to be wanted; measured.
const heavy = 24

// weight is about how many bytes the columns of a row take that the query needs, those left
// out that are named.
func (p *plan) weight(columns []Column, without map[string]bool) (bytes int) {
	const ofText = 32
	for _, at := range p.used(columns) {
		if c := columns[at]; !without[strings.ToLower(c.Name)] {
			fixed, ok := c.Type.Arrow(types.LayoutNanos).(arrow.FixedWidthDataType)
			if ok {
				bytes += fixed.Bytes()
			} else {
				bytes += ofText
			}
		}
	}
	return bytes
}

// limited reports whether the query may end before it has read all rows.
func (p *plan) limited() bool {
	modifiers, _ := p.root["modifiers"].([]any)
	return slices.ContainsFunc(modifiers, func(m any) bool {
		kind, _ := m.(map[string]any)["type"].(string)
		return strings.HasPrefix(kind, "LIMIT")
	})
}

// alias is the name by which a query's columns name a table.
func (p *plan) alias(table int) string {
	t := p.tables[table]
	if t.alias != "" {
		return t.alias
	}
	return t.name[len(t.name)-1]
}

// whereColumns shortens the columns of a clause to names that its only table has.
type whereColumns struct {
	plan    *plan
	columns map[string]bool // of the table, in lower case
	found   map[string]bool // in the clause
}

// rename returns a copy of an expression; ok is false if it names something that is not for
// certain a column of the table.
func (w *whereColumns) rename(v any) (out any, ok bool) {
	switch v := v.(type) {
	case []any:
		list := make([]any, len(v))
		for i, child := range v {
			if list[i], ok = w.rename(child); !ok {
				return nil, false
			}
		}
		return list, true
	case map[string]any:
		if v["class"] == "STAR" {
			return nil, false
		}
		node := maps.Clone(v)
		if v["class"] == "COLUMN_REF" {
			node["column_names"], ok = w.column(stringsOf(v["column_names"]))
			return node, ok
		}
		for key, child := range v {
			if node[key], ok = w.rename(child); !ok {
				return nil, false
			}
		}
		return node, true
	default:
		return v, true
	}
}

func (w *whereColumns) column(names []string) ([]string, bool) {
	if prefix := w.plan.tablePrefix(names); prefix > 1 {
		names = names[prefix-1:]
	}
	if len(names) == 2 && strings.EqualFold(names[0], w.plan.alias(0)) && !w.columns[strings.ToLower(names[0])] {
		names = names[1:]
	}
	if len(names) != 1 || !w.columns[strings.ToLower(names[0])] {
		return nil, false
	}
	w.found[strings.ToLower(names[0])] = true
	return names, true
}
