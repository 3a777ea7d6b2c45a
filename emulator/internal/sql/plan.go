package sql

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-io/sluice/emulator/internal/ddl"
)

// tableRef is one place in a query where a stored table is named.
type tableRef struct {
	name   []string // as written
	alias  string   // as written, empty when there is none
	offset int      // of the name in the translated text
}

// columnRef is one place where a column is named.
type columnRef struct {
	names  []string
	offset int
}

// plan is what a query's syntax tree tells.
type plan struct {
	tables  []tableRef
	columns []columnRef // of three parts and more
	// bare are columns of one part whose name DuckDB takes for a value of its own if there
	// is no column.
	bare []columnRef
	// names are the last and all other parts of every column reference, in lower case;
	// all says that they do not suffice (SELECT *, NATURAL JOIN).
	names map[string]bool
	all   bool
	joins int
	// output describes the select list of a plain SELECT, nil for other shapes.
	output []outputItem
	// equal are the columns that the WHERE clause of a SELECT from one stored table
	// compares with a text, all of which must hold.
	equal map[string]string
	// direct says that the FROM clause of that SELECT holds stored tables only.
	direct bool
	// root is the syntax tree.
	root map[string]any
}

// outputItem is one entry of a select list.
type outputItem struct {
	star    bool
	column  string // name of the column that is selected directly, in lower case
	unnamed bool   // an expression without alias
}

// tableFunctions are the functions that a query may read from.
var tableFunctions = map[string]bool{"range": true, "generate_series": true, "unnest": true}

// innards are functions that tell of DuckDB, or change it, instead of the rows.
var innards = map[string]bool{
	"current_setting": true, "getvariable": true, "write_log": true, "txid_current": true, "current_query": true,
	"current_database": true, "current_schema": true, "current_schemas": true, "in_search_path": true, "add_parquet_key": true,
	"nextval": true, "currval": true, "current_role": true, "current_catalog": true,
}

// parsePlan reads the JSON form of a syntax tree as DuckDB serialises it.
func parsePlan(tr *translation, tree []byte) (*plan, error) {
	var doc struct {
		Error        bool   `json:"error"`
		ErrorType    string `json:"error_type"`
		ErrorMessage string `json:"error_message"`
		Position     string `json:"position"`
		Statements   []struct {
			Node map[string]any `json:"node"`
		} `json:"statements"`
	}
	dec := json.NewDecoder(bytes.NewReader(tree))
	dec.UseNumber()
	if err := dec.Decode(&doc); err != nil {
		return nil, fmt.Errorf("read the query's syntax tree: %w", err)
	}
	if doc.Error {
		pos := ddl.Pos{Line: 1, Column: 1}
		if offset, err := strconv.Atoi(doc.Position); err == nil {
			pos = tr.position(offset)
		}
		words, _, _ := reworded(tr.source, doc.ErrorMessage)
		if strings.HasSuffix(words, " was not expected here") { // as it was written, not as it was translated
			words = wordAt(tr.source, pos, words)
		}
		return nil, &Error{Code: ddl.CodeParse, Pos: pos, Message: "Parse exception - " + words}
	}
	if len(doc.Statements) != 1 {
		return nil, &Error{Code: ddl.CodeParse, Pos: ddl.Pos{Line: 1, Column: 1}, Message: "Parse exception - one query is expected"}
	}
	root := doc.Statements[0].Node
	w := &walker{tr: tr, plan: &plan{names: map[string]bool{}, root: root}}
	if err := w.walk(root, nil); err != nil {
		return nil, err
	}
	slices.SortFunc(w.plan.tables, func(a, b tableRef) int { return a.offset - b.offset })
	w.plan.output, w.plan.direct = describeOutput(root)
	if w.plan.direct && len(w.plan.tables) == 1 {
		w.plan.equal = map[string]string{}
		only := w.plan.tables[0]
		if only.alias == "" {
			only.alias = only.name[len(only.name)-1]
		}
		collectEqual(root["where_clause"], only.alias, w.plan.equal)
	}
	return w.plan, nil
}

// walker visits a syntax tree. Names of common table expressions in scope are passed down.
type walker struct {
	tr   *translation
	plan *plan
}

func (w *walker) walk(v any, scope []string) error {
	switch v := v.(type) {
	case []any:
		for _, child := range v {
			if err := w.walk(child, scope); err != nil {
				return err
			}
		}
	case map[string]any:
		return w.node(v, scope)
	}
	return nil
}

func (w *walker) node(n map[string]any, scope []string) error {
	// An entry of a WITH clause sees those before it, and itself only if it is recursive.
	for _, e := range tableExpressions(n) {
		within := scope
		scope = append(slices.Clip(scope), e.name)
		if e.recursive() {
			within = scope
		}
		if err := w.walk(e.query, within); err != nil {
			return err
		}
	}
	switch n["type"] {
	case "BASE_TABLE":
		w.table(n, scope)
	case "TABLE_FUNCTION":
		if err := w.function(n); err != nil {
			return err
		}
	case "FUNCTION":
		if name, _ := n["function_name"].(string); innards[lower(name)] {
			return w.refuse(n, "function "+name+" is not supported by this endpoint")
		}
	case "COLUMN_REF":
		w.column(n)
	case "STAR":
		w.plan.all = true
	case "JOIN":
		w.plan.joins++
		if n["ref_type"] == "NATURAL" {
			w.plan.all = true
		}
		for _, name := range stringsOf(n["using_columns"]) {
			w.plan.names[strings.ToLower(name)] = true
		}
	}
	for key, child := range n {
		if key == "cte_map" {
			continue
		}
		if err := w.walk(child, scope); err != nil {
			return err
		}
	}
	return nil
}

// tableExpression is one entry of a WITH clause.
type tableExpression struct {
	name  string // as lower has it
	query any
}

// lower is the form in which DuckDB compares names: only letters of ASCII have two cases. With
// more, a name would be taken for a table expression's that DuckDB looks up in its catalogue.
func lower(name string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, name)
}

func tableExpressions(n map[string]any) []tableExpression {
	clause, _ := n["cte_map"].(map[string]any)
	entries, _ := clause["map"].([]any)
	var out []tableExpression
	for _, entry := range entries {
		e, _ := entry.(map[string]any)
		name, _ := e["key"].(string)
		out = append(out, tableExpression{name: lower(name), query: e["value"]})
	}
	return out
}

// recursive reports whether the query of a WITH clause names itself.
func (e tableExpression) recursive() bool {
	value, _ := e.query.(map[string]any)
	query, _ := value["query"].(map[string]any)
	node, _ := query["node"].(map[string]any)
	return node["type"] == "RECURSIVE_CTE_NODE"
}

func (w *walker) table(n map[string]any, scope []string) {
	var ref tableRef
	for _, part := range []string{"catalog_name", "schema_name", "table_name"} {
		if s, _ := n[part].(string); s != "" {
			ref.name = append(ref.name, s)
		}
	}
	if len(ref.name) == 1 && slices.Contains(scope, lower(ref.name[0])) {
		return
	}
	ref.alias, _ = n["alias"].(string)
	ref.offset = offsetOf(n)
	w.plan.tables = append(w.plan.tables, ref)
}

func (w *walker) function(n map[string]any) error {
	f, _ := n["function"].(map[string]any)
	name, _ := f["function_name"].(string)
	if tableFunctions[strings.ToLower(name)] {
		return nil
	}
	return w.refuse(n, strings.TrimPrefix(name, macroPrefix)+" is not a table or a function that can be read from")
}

func (w *walker) refuse(n map[string]any, message string) error {
	return &Error{Code: codeSemantic, Pos: w.tr.position(offsetOf(n)), Message: "Semantic analysis exception - " + message}
}

func (w *walker) column(n map[string]any) {
	names := stringsOf(n["column_names"])
	for _, name := range names {
		w.plan.names[strings.ToLower(name)] = true
	}
	if len(names) == 1 && valueNames[strings.ToUpper(names[0])] {
		w.plan.bare = append(w.plan.bare, columnRef{names: names, offset: offsetOf(n)})
	}
	if len(names) > 2 {
		w.plan.columns = append(w.plan.columns, columnRef{names: names, offset: offsetOf(n)})
	}
}

// valueNames are names that DuckDB gives a value where no column has them.
var valueNames = words("USER CURRENT_USER SESSION_USER CURRENT_ROLE CURRENT_CATALOG CURRENT_SCHEMA LOCALTIME LOCALTIMESTAMP")

// checkNames refuses a column that no table has, and that DuckDB would give a value. tables
// are the columns of the plan's tables; nothing is known of a view's.
func (p *plan) checkNames(tr *translation, tables [][]Column) error {
	for _, c := range p.bare {
		columns := map[string]class{}
		for _, table := range tables {
			if table == nil {
				return nil
			}
			for _, column := range table {
				columns[strings.ToLower(column.Name)] = isOther
			}
		}
		name := strings.ToLower(c.names[0])
		named := map[string]class{name: isOther}
		if forgetAliases(p.root, named); columns[name] == unknown && named[name] == isOther {
			return &Error{Code: codeSemantic, Pos: tr.position(c.offset), Message: "Semantic analysis exception - column " + c.names[0] + " cannot be resolved"}
		}
	}
	return nil
}

// offsetOf returns a node's place in the text, -1 if it has none.
func offsetOf(n map[string]any) int {
	number, _ := n["query_location"].(json.Number)
	offset, err := strconv.Atoi(number.String())
	if err != nil {
		return -1
	}
	return offset
}

func stringsOf(v any) []string {
	list, _ := v.([]any)
	var out []string
	for _, item := range list {
		if s, ok := item.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// describeOutput reads the select list at the top of a tree.
// Of a UNION and the like it is the first query's, which names the columns.
func describeOutput(root map[string]any) (items []outputItem, direct bool) {
	if first, ok := root["left"].(map[string]any); ok && root["type"] == "SET_OPERATION_NODE" {
		items, _ = describeOutput(first)
		return items, false
	}
	list, ok := root["select_list"].([]any)
	if !ok || root["type"] != "SELECT_NODE" {
		return nil, false
	}
	for _, entry := range list {
		n, _ := entry.(map[string]any)
		alias, _ := n["alias"].(string)
		item := outputItem{star: n["type"] == "STAR"}
		if names := stringsOf(n["column_names"]); n["type"] == "COLUMN_REF" && len(names) > 0 {
			item.column = strings.ToLower(names[len(names)-1])
		} else if !item.star {
			item.unnamed = alias == ""
		}
		items = append(items, item)
	}
	return items, len(tableExpressions(root)) == 0 && storedOnly(root["from_table"])
}

// collectEqual finds the comparisons of a column with a text that hold for every row that
// a condition lets through. Of two on one column either will do. A column may be
// qualified by the table's name; by another word it is the field of a struct.
func collectEqual(condition any, table string, equal map[string]string) {
	n, _ := condition.(map[string]any)
	switch n["type"] {
	case "CONJUNCTION_AND":
		children, _ := n["children"].([]any)
		for _, child := range children {
			collectEqual(child, table, equal)
		}
	case "COMPARE_EQUAL":
		left, _ := n["left"].(map[string]any)
		right, _ := n["right"].(map[string]any)
		if left["type"] == "VALUE_CONSTANT" {
			left, right = right, left
		}
		names := stringsOf(left["column_names"])
		value, _ := right["value"].(map[string]any)
		text, isText := value["value"].(string)
		kind, _ := value["type"].(map[string]any)
		last := len(names) - 1
		if left["type"] != "COLUMN_REF" || last < 0 || kind["id"] != "VARCHAR" || !isText {
			return
		}
		if last == 0 || strings.EqualFold(names[last-1], table) {
			equal[strings.ToLower(names[last])] = text
		}
	}
}

func storedOnly(from any) bool {
	n, _ := from.(map[string]any)
	switch n["type"] {
	case "BASE_TABLE":
		return true
	case "JOIN":
		return storedOnly(n["left"]) && storedOnly(n["right"])
	default:
		return false
	}
}

// rewrite puts the name of a temporary table in the place of every stored table, and
// shortens column references that name a table by more than one part.
func (p *plan) rewrite(text string, temporary func(i int) string) (string, error) {
	type splice struct {
		start, end int
		with       string
	}
	var splices []splice
	add := func(offset int, parts []string, with string) error {
		end, err := nameEnd(text, offset, parts)
		splices = append(splices, splice{offset, end, with})
		return err
	}
	for i, t := range p.tables {
		with := temporary(i)
		if t.alias == "" {
			with += " AS " + quoteName(t.name[len(t.name)-1])
		}
		if err := add(t.offset, t.name, with); err != nil {
			return "", err
		}
	}
	for _, c := range p.columns {
		if prefix := p.tablePrefix(c.names); prefix > 1 {
			if err := add(c.offset, c.names[:prefix], quoteName(c.names[prefix-1])); err != nil {
				return "", err
			}
		}
	}
	slices.SortFunc(splices, func(a, b splice) int { return a.start - b.start })
	var out strings.Builder
	end := 0
	for _, s := range splices {
		if s.start < end {
			return "", fmt.Errorf("rewrite query: two names overlap at %d", s.start)
		}
		out.WriteString(text[end:s.start])
		out.WriteString(s.with)
		end = s.end
	}
	out.WriteString(text[end:])
	return out.String(), nil
}

// tablePrefix returns how many leading parts of a column reference are the qualified name
// of one of the query's tables.
func (p *plan) tablePrefix(names []string) int {
	for _, t := range p.tables {
		if n := len(t.name); n > 1 && n < len(names) && slices.EqualFunc(t.name, names[:n], strings.EqualFold) {
			return n
		}
	}
	return 0
}

// nameEnd checks that the dotted name stands at offset and returns where it ends.
func nameEnd(text string, offset int, parts []string) (int, error) {
	misplaced := fmt.Errorf("rewrite query: name %q is not at offset %d", strings.Join(parts, "."), offset)
	if offset < 0 || offset > len(text) {
		return 0, misplaced
	}
	lexer := duckLexer{text: text, offset: offset}
	for i, part := range parts {
		if i > 0 && !lexer.dot() {
			return 0, misplaced
		}
		if name, ok := lexer.name(); !ok || !strings.EqualFold(name, part) {
			return 0, misplaced
		}
	}
	return lexer.offset, nil
}

// duckLexer reads dotted names of DuckDB's dialect.
type duckLexer struct {
	text   string
	offset int
}

func (l *duckLexer) blank() {
	for l.offset < len(l.text) && strings.IndexByte(" \t\r\n", l.text[l.offset]) >= 0 {
		l.offset++
	}
}

func (l *duckLexer) dot() bool {
	start := l.offset
	l.blank()
	if l.offset < len(l.text) && l.text[l.offset] == '.' {
		l.offset++
		l.blank()
		return true
	}
	l.offset = start
	return false
}

func (l *duckLexer) name() (string, bool) {
	if l.offset < len(l.text) && l.text[l.offset] == '"' {
		var name strings.Builder
		for i := l.offset + 1; i < len(l.text); i++ {
			if l.text[i] != '"' {
				name.WriteByte(l.text[i])
				continue
			}
			if i+1 < len(l.text) && l.text[i+1] == '"' {
				name.WriteByte('"')
				i++
				continue
			}
			l.offset = i + 1
			return name.String(), true
		}
		return "", false
	}
	lexer := ddl.Lexer{Source: l.text, Offset: l.offset}
	tok, err := lexer.Next()
	if err != nil || tok.Kind != ddl.Ident || tok.Start != l.offset {
		return "", false
	}
	l.offset = tok.End
	return tok.Text, true
}
