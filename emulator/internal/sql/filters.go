package sql

import (
	"encoding/json"
	"math"
	"slices"
	"strings"

	"github.com/sluice-io/sluice/emulator/internal/sql/scan"
	"github.com/sluice-io/sluice/emulator/internal/types"
)

// filters are conditions that every row meets that the WHERE clause of a query over one table
// lets through; whole says that they are all of the clause. They compare an integer column,
// or its rest, with numbers.
func (p *plan) filters(columns []Column) (filters []scan.Filter, whole bool) {
	from, _ := p.root["from_table"].(map[string]any)
	renamed, _ := from["column_name_alias"].([]any)
	if !p.single() || len(renamed) > 0 {
		return nil, false
	}
	r := filterReader{where: &whereColumns{plan: p, columns: map[string]bool{}, found: map[string]bool{}}, positions: map[string]int{}}
	for i, c := range columns {
		name := strings.ToLower(c.Name)
		r.where.columns[name] = true
		if slices.Contains(integerKinds, c.Type.Kind) {
			r.positions[name] = i
		}
	}
	whole = r.read(p.root["where_clause"])
	return r.filters, whole
}

var integerKinds = []types.Kind{types.TinyInt, types.SmallInt, types.Int, types.BigInt}

// filterReader collects filters from a WHERE clause.
type filterReader struct {
	where     *whereColumns
	positions map[string]int // of the integer columns, by their name in lower case
	filters   []scan.Filter
}

// read collects from a condition that must hold, and reports whether the filters say all of it.
func (r *filterReader) read(condition any) (whole bool) {
	n, _ := condition.(map[string]any)
	if n["type"] == "CONJUNCTION_AND" {
		children, _ := n["children"].([]any)
		whole = true
		for _, child := range children {
			whole = r.read(child) && whole
		}
		return whole
	}
	f, ok := r.filter(n)
	if ok {
		r.filters = append(r.filters, f)
	}
	return ok && n["type"] != "COMPARE_IN" // of which bounds do not say all
}

func (r *filterReader) filter(n map[string]any) (f scan.Filter, ok bool) {
	switch n["type"] {
	case "COMPARE_BETWEEN":
		low, okLow := integer(n["lower"])
		high, okHigh := integer(n["upper"])
		column, ok := r.column(n["input"])
		return scan.Filter{Column: column, Low: low, High: high}, ok && okLow && okHigh
	case "COMPARE_IN":
		return r.within(n["children"])
	}
	left, right, kind := n["left"], n["right"], n["type"]
	number, ok := integer(right)
	if !ok {
		if number, ok = integer(left); !ok {
			return f, false
		}
		left, kind = right, mirrored[kind]
	}
	if f, ok := r.rest(left, number); ok && kind == "COMPARE_EQUAL" {
		return f, true
	}
	if f.Column, ok = r.column(left); !ok {
		return f, false
	}
	f.Low, f.High, ok = bounds(kind, number)
	return f, ok
}

// mirrored are the comparisons with their sides exchanged.
var mirrored = map[any]any{
	"COMPARE_EQUAL": "COMPARE_EQUAL", "COMPARE_LESSTHAN": "COMPARE_GREATERTHAN", "COMPARE_LESSTHANOREQUALTO": "COMPARE_GREATERTHANOREQUALTO",
	"COMPARE_GREATERTHAN": "COMPARE_LESSTHAN", "COMPARE_GREATERTHANOREQUALTO": "COMPARE_LESSTHANOREQUALTO",
}

// bounds are those of a value that compares so with a number.
func bounds(kind any, number int64) (low, high int64, ok bool) {
	switch kind {
	case "COMPARE_EQUAL":
		return number, number, true
	case "COMPARE_LESSTHAN":
		return math.MinInt64, number - 1, number > math.MinInt64
	case "COMPARE_LESSTHANOREQUALTO":
		return math.MinInt64, number, true
	case "COMPARE_GREATERTHAN":
		return number + 1, math.MaxInt64, number < math.MaxInt64
	case "COMPARE_GREATERTHANOREQUALTO":
		return number, math.MaxInt64, true
	default:
		return 0, 0, false
	}
}

// within is the filter of column IN (numbers): their bounds.
func (r *filterReader) within(v any) (f scan.Filter, ok bool) {
	children, _ := v.([]any)
	if len(children) < 2 {
		return f, false
	}
	if f.Column, ok = r.column(children[0]); !ok {
		return f, false
	}
	f.Low, f.High = math.MaxInt64, math.MinInt64
	for _, child := range children[1:] {
		number, ok := integer(child)
		if !ok {
			return f, false
		}
		f.Low, f.High = min(f.Low, number), max(f.High, number)
	}
	return f, true
}

// rest is the filter of column % divisor = rest.
func (r *filterReader) rest(v any, rest int64) (f scan.Filter, ok bool) {
	n, _ := v.(map[string]any)
	children, _ := n["children"].([]any)
	if n["type"] != "FUNCTION" || n["function_name"] != "%" && n["function_name"] != "mod" || len(children) != 2 {
		return f, false
	}
	f = scan.Filter{Low: math.MinInt64, High: math.MaxInt64, Rest: rest}
	if f.Column, ok = r.column(children[0]); !ok {
		return f, false
	}
	f.Divisor, ok = integer(children[1])
	return f, ok && f.Divisor > 0
}

func (r *filterReader) column(v any) (position int, ok bool) {
	n, _ := v.(map[string]any)
	if n["type"] != "COLUMN_REF" {
		return 0, false
	}
	names, ok := r.where.column(stringsOf(n["column_names"]))
	if !ok {
		return 0, false
	}
	position, ok = r.positions[strings.ToLower(names[0])]
	return position, ok
}

// integer is the value of an expression of integer numbers only.
func integer(v any) (int64, bool) {
	n, _ := v.(map[string]any)
	switch n["type"] {
	case "VALUE_CONSTANT":
		value, _ := n["value"].(map[string]any)
		kind, _ := value["type"].(map[string]any)
		number, _ := value["value"].(json.Number)
		if id, _ := kind["id"].(string); !slices.Contains(integerNames, id) {
			return 0, false
		}
		out, err := number.Int64()
		return out, err == nil
	case "OPERATOR_CAST":
		to, _ := n["cast_type"].(map[string]any)
		if id, _ := to["id"].(string); !slices.Contains(integerNames, id) {
			return 0, false
		}
		return integer(n["child"])
	case "FUNCTION":
		children, _ := n["children"].([]any)
		if n["function_name"] != "-" || len(children) != 1 {
			return 0, false
		}
		number, ok := integer(children[0])
		return -number, ok
	default:
		return 0, false
	}
}

var integerNames = []string{"TINYINT", "SMALLINT", "INTEGER", "BIGINT"}
