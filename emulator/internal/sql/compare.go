package sql

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-io/sluice/emulator/internal/types"
)

// class is what matters of a type where values are compared.
type class int

const (
	unknown class = iota
	isText
	isNumber
	isOther
)

// mixed reports whether values of two classes, as far as they are known, may be a text and a
// number, which MaxCompute compares as DOUBLEs.
func mixed(a, b class) bool {
	return (a == isText || a == unknown) && (b == isNumber || b == unknown) || (a == isNumber || a == unknown) && (b == isText || b == unknown)
}

// site is a place in a syntax tree where values are compared, or where an aggregate takes one
// that has to be a number.
type site struct {
	node  map[string]any
	pairs [][2]any           // what is compared with each other; an aggregate's second is nil
	tell  func(number int64) // puts calls in the place of the comparison that tell the types of the pairs
	wrap  func()             // makes all values DOUBLEs
	apart bool               // there are two pairs of one value, which is compared with the other's
}

// comparer finds the sites of a syntax tree, in the same order each time.
type comparer struct {
	columns map[string]class // by name in lower case; unknown where tables differ
	sites   []site
}

// newComparer knows the columns of the tables, and that any name that the query gives
// itself may be another.
func newComparer(root map[string]any, tables [][]Column) *comparer {
	c := &comparer{columns: map[string]class{}}
	for _, columns := range tables {
		for _, column := range columns {
			name, found := strings.ToLower(column.Name), classOf(column.Type)
			if before, ok := c.columns[name]; ok && before != found {
				found = unknown
			}
			c.columns[name] = found
		}
	}
	forgetAliases(root, c.columns)
	return c
}

func classOf(t types.Type) class {
	switch t.Kind {
	case types.String, types.Char, types.Varchar:
		return isText
	case types.TinyInt, types.SmallInt, types.Int, types.BigInt, types.Float, types.Double, types.Decimal:
		return isNumber
	default:
		return isOther
	}
}

// forgetAliases deletes the names that a tree gives to values.
func forgetAliases(v any, columns map[string]class) {
	switch v := v.(type) {
	case []any:
		for _, child := range v {
			forgetAliases(child, columns)
		}
	case map[string]any:
		if alias, _ := v["alias"].(string); alias != "" {
			delete(columns, strings.ToLower(alias))
		}
		for _, name := range slices.Concat(stringsOf(v["column_name_alias"]), stringsOf(v["aliases"])) {
			delete(columns, strings.ToLower(name))
		}
		for _, child := range v {
			forgetAliases(child, columns)
		}
	}
}

// find visits a tree, the values of a comparison before itself.
func (c *comparer) find(v any) {
	switch v := v.(type) {
	case []any:
		for _, child := range v {
			c.find(child)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			c.find(v[key])
		}
		c.node(v)
	}
}

// added are DuckDB's names of the aggregates that take a text as a DOUBLE.
var added = words("sum avg stddev_pop stddev_samp var_pop var_samp median quantile_cont")

func (c *comparer) node(n map[string]any) {
	children, _ := n["children"].([]any)
	name, _ := n["function_name"].(string)
	switch n["class"] {
	case "COMPARISON":
		c.compared(n, [][2]any{{n["left"], n["right"]}}, "left", "right")
	case "BETWEEN":
		c.compared(n, [][2]any{{n["input"], n["lower"]}, {n["input"], n["upper"]}}, "input", "lower", "upper")
	case "OPERATOR":
		if (n["type"] == "COMPARE_IN" || n["type"] == "COMPARE_NOT_IN") && len(children) > 1 {
			c.in(n, children)
		}
	case "SUBQUERY":
		c.inQuery(n)
	case "FUNCTION", "WINDOW":
		if len(children) > 0 && added[strings.ToLower(name)] && mixed(c.class(children[0]), isNumber) {
			c.sites = append(c.sites, site{
				node: n, pairs: [][2]any{{children[0], nil}},
				tell: func(number int64) { children[0] = typingCall("typing_added", number, children[0]) },
				wrap: func() { children[0] = asDouble(children[0]) },
			})
		}
	}
}

// compared adds a comparison of the values under keys.
func (c *comparer) compared(n map[string]any, pairs [][2]any, keys ...string) {
	if !c.mixed(pairs) {
		return
	}
	c.sites = append(c.sites, site{
		node: n, pairs: pairs,
		tell: func(number int64) { replace(n, told(number, pairs)) },
		wrap: func() {
			for _, key := range keys {
				n[key] = asDouble(n[key])
			}
		},
	})
}

// in adds x IN (a, b, …), where of several values whose class is known one will do.
func (c *comparer) in(n map[string]any, children []any) {
	var pairs [][2]any
	seen := map[class]bool{}
	for _, child := range children[1:] {
		found := c.class(child)
		if found == unknown || !seen[found] {
			pairs = append(pairs, [2]any{children[0], child})
		}
		seen[found] = true
	}
	if !c.mixed(pairs) {
		return
	}
	c.sites = append(c.sites, site{
		node: n, pairs: pairs,
		tell: func(number int64) { replace(n, told(number, pairs)) },
		wrap: func() {
			for i := range children {
				children[i] = asDouble(children[i])
			}
		},
	})
}

// inQuery adds x IN (SELECT y …). Each side tells its type by itself: a call cannot hold a
// query.
func (c *comparer) inQuery(n map[string]any) {
	query, _ := n["subquery"].(map[string]any)
	node, _ := query["node"].(map[string]any)
	list, _ := node["select_list"].([]any)
	if n["child"] == nil || len(list) != 1 || n["subquery_type"] != "ANY" {
		return
	}
	item, _ := list[0].(map[string]any)
	if item["class"] == "STAR" || !mixed(c.class(n["child"]), c.class(item)) {
		return
	}
	c.sites = append(c.sites, site{
		node: n, pairs: [][2]any{{n["child"], nil}, {item, nil}}, apart: true,
		tell: func(number int64) {
			n["child"], list[0] = typingCall("typing_added", number, n["child"]), typingCall("typing_added", number+1, list[0])
		},
		wrap: func() { n["child"], list[0] = asDouble(n["child"]), asDouble(list[0]) },
	})
}

func (c *comparer) mixed(pairs [][2]any) bool {
	return slices.ContainsFunc(pairs, func(p [2]any) bool { return mixed(c.class(p[0]), c.class(p[1])) })
}

// told is a condition that tells the types of pairs.
func told(number int64, pairs [][2]any) map[string]any {
	calls := make([]any, len(pairs))
	for i, p := range pairs {
		calls[i] = typingCall("typing_compared", number+int64(i), p[0], p[1])
	}
	if len(calls) == 1 {
		return calls[0].(map[string]any) //nolint:forcetypeassert // as typingCall returns it
	}
	return map[string]any{"class": "CONJUNCTION", "type": "CONJUNCTION_AND", "alias": "", "children": calls}
}

// class is the class of an expression where that can be told without DuckDB.
func (c *comparer) class(v any) class {
	n, _ := v.(map[string]any)
	switch n["class"] {
	case "COLUMN_REF":
		names := stringsOf(n["column_names"])
		if len(names) > 1 && c.columns[strings.ToLower(names[len(names)-2])] != unknown {
			return unknown // the field of a struct
		}
		return c.columns[strings.ToLower(names[len(names)-1])]
	case "CONSTANT":
		value, _ := n["value"].(map[string]any)
		kind, _ := value["type"].(map[string]any)
		return classOfDuck(kind["id"])
	case "CAST":
		kind, _ := n["cast_type"].(map[string]any)
		return classOfDuck(kind["id"])
	case "FUNCTION":
		name, _ := n["function_name"].(string)
		return functionClasses[strings.TrimPrefix(strings.ToLower(name), macroPrefix)]
	}
	return unknown
}

func classOfDuck(id any) class {
	switch id {
	case "VARCHAR":
		return isText
	case "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "FLOAT", "DOUBLE", "DECIMAL":
		return isNumber
	case "UNBOUND", nil:
		return unknown
	default:
		return isOther
	}
}

// functionClasses are the results of common functions.
var functionClasses = func() map[string]class {
	out := map[string]class{}
	for list, c := range map[string]class{
		"% // / * count count_star sum avg length _cast_bigint _cast_int _cast_smallint _cast_tinyint year month day hour row_number": isNumber,
		"substr substring lower upper trim replace _cast_string _cast_char go_regexp_extract strftime trunc_time":                     isText,
	} {
		for name := range words(list) {
			out[name] = c
		}
	}
	return out
}()

// asDouble is a value as a DOUBLE, NULL if it is a text that is none.
func asDouble(v any) any {
	n, _ := v.(map[string]any)
	inner := maps.Clone(n)
	inner["alias"] = ""
	return map[string]any{
		"class": "CAST", "type": "OPERATOR_CAST", "alias": n["alias"], "child": inner, "try_cast": true,
		"cast_type": map[string]any{"id": "DOUBLE", "type_info": nil},
	}
}

// typingCall is a call of one of package scalar's functions that tell types.
func typingCall(name string, number int64, values ...any) map[string]any {
	id := map[string]any{
		"class": "CONSTANT", "type": "VALUE_CONSTANT", "alias": "",
		"value": map[string]any{"type": map[string]any{"id": "BIGINT", "type_info": nil}, "is_null": false, "value": json.Number(strconv.FormatInt(number, 10))},
	}
	return map[string]any{
		"class": "FUNCTION", "type": "FUNCTION", "alias": "", "function_name": macroPrefix + "go_" + name, "schema": "", "catalog": "",
		"children": append([]any{id}, values...), "filter": nil, "order_bys": map[string]any{"type": "ORDER_MODIFIER", "orders": []any{}},
		"distinct": false, "is_operator": false, "export_state": false,
	}
}

// replace makes a node another one, where it stands.
func replace(n, with map[string]any) {
	alias := n["alias"]
	clear(n)
	maps.Copy(n, with)
	n["alias"] = alias
}

// remade is a copy of a tree in which each node, its children first, is what change makes of
// its copy.
func remade(v any, change func(node map[string]any) any) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i, child := range v {
			out[i] = remade(child, change)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, child := range v {
			out[key] = remade(child, change)
		}
		return change(out)
	default:
		return v
	}
}

// copied is a tree that can be changed without changing another.
func copied(v any) any {
	return remade(v, func(node map[string]any) any { return node })
}

// document is a syntax tree as DuckDB reads it. It would write the constant 1e0 as 1.0, which
// it reads as a DECIMAL; a text that is cast stays what it is.
func document(root map[string]any) ([]byte, error) {
	return json.Marshal(map[string]any{"error": false, "statements": []any{map[string]any{"node": remade(root, doubleCast), "named_param_map": []any{}}}})
}

// doubleCast is a node, a DOUBLE constant as the cast of a text.
func doubleCast(node map[string]any) any {
	value, _ := node["value"].(map[string]any)
	kind, _ := value["type"].(map[string]any)
	number, ok := value["value"].(json.Number)
	if !ok || node["class"] != "CONSTANT" || kind["id"] != "DOUBLE" {
		return node
	}
	value["type"], value["value"] = map[string]any{"id": "VARCHAR", "type_info": nil}, number.String()
	cast, _ := asDouble(node).(map[string]any)
	cast["try_cast"] = false
	return cast
}
