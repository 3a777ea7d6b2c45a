package sql

import (
	"strconv"
	"strings"

	"github.com/sluice-io/sluice/emulator/internal/ddl"
)

// clause translates the clauses and infix operators that DuckDB has not, or spells
// otherwise. done says that the words up to end are written.
func (t *translator) clause(i, to int) (end int, done bool, err error) {
	tok, next, last := t.tokens[i], t.at(i+1), t.at(i-1)
	switch {
	case last.Is("."):
		return i, false, nil
	case tok.Is("LATERAL") && next.Is("VIEW"):
		end, err = t.lateralView(i, to)
		return end, true, err
	case (tok.Is("RLIKE") || tok.Is("REGEXP")) && t.operand(i-1) || tok.Is("RLIKE") && last.Is("NOT"):
		end, err = t.rlike(i, to)
		return end, true, err
	case tok.Is("GROUP") && next.Is("BY"):
		return t.groupBy(i, to)
	case tok.Is("GROUPING__ID"):
		return t.groupingID(i)
	case tok.Is("OVER"):
		return t.window(i)
	case tok.Is("LIKE"):
		end, done, err = t.like(i, to)
		return end, done, err
	case tok.Is("DIV") && t.operand(i-1) && t.begins(i+1):
		t.write(i, "//")
		return i + 1, true, nil
	case (tok.Is("DISTRIBUTE") || tok.Is("CLUSTER") || tok.Is("SORT")) && next.Is("BY"):
		return t.sortBy(i, to), true, nil
	case tok.Is("LEFT") && (next.Is("SEMI") || next.Is("ANTI")):
		return i + 1, true, nil
	case tok.Is("MINUS") && (next.Is("SELECT") || next.Is("(") || next.Is("ALL") || next.Is("DISTINCT")) && t.operand(i-1):
		t.write(i, "EXCEPT")
		return i + 1, true, nil
	case tok.Is("EXCEPT") && last.Is("*") && next.Is("("):
		t.write(i, "EXCLUDE")
		return i + 1, true, nil
	case tok.Is("VALUES") && (last.Is("FROM") || last.Is("JOIN")):
		end, err = t.valuesTable(i, to)
		return end, true, err
	case tok.Is("LIMIT") && next.Kind == ddl.Number && t.at(i+2).Is(",") && t.at(i+3).Kind == ddl.Number:
		t.write(i, "LIMIT "+t.tokens[i+3].Text+" OFFSET "+next.Text)
		return i + 4, true, nil
	}
	return i, false, nil
}

// operand reports whether an expression may end with the i-th token, begins whether one may
// begin with it.
func (t *translator) operand(i int) bool {
	switch tok := t.at(i); tok.Kind {
	case ddl.Quoted, ddl.String, ddl.Number:
		return true
	case ddl.Ident:
		return !notOperands[strings.ToUpper(tok.Text)] || tok.Is("END")
	default:
		return tok.Is(")") || tok.Is("]")
	}
}

func (t *translator) begins(i int) bool {
	tok := t.at(i)
	return tok.Is("(") || tok.Is("-") || tok.Is("+") || tok.Kind == ddl.Number || tok.Kind == ddl.String || tok.Kind == ddl.Quoted ||
		tok.Kind == ddl.Ident && (!notOperands[strings.ToUpper(tok.Text)] || tok.Is("CASE"))
}

// rlike writes x RLIKE p, where p may match anywhere, with DuckDB's operator that wants the
// whole text matched.
func (t *translator) rlike(i, to int) (int, error) {
	end := t.primary(i+1, to)
	if t.at(i+1).Kind == ddl.String {
		end = i + 2
	}
	if end == i+1 {
		return 0, t.fail(ddl.CodeParse, i, "RLIKE needs a pattern behind it")
	}
	t.write(i, "SIMILAR TO ('(?s).*(?:' || (")
	if err := t.span(i+1, end); err != nil {
		return 0, err
	}
	t.out.WriteString(") || ').*')")
	return end, nil
}

// like writes the backslash into LIKE as the character that escapes; done says that the
// pattern could hold one.
func (t *translator) like(i, to int) (end int, done bool, err error) {
	next := t.at(i + 1)
	end = t.joinedEnd(i+1, to)
	if end == i+1 || next.Is("ANY") || next.Is("ALL") || next.Is("SOME") || t.at(end).Is("ESCAPE") ||
		end == i+2 && next.Kind == ddl.String && !strings.Contains(next.Text, `\`) {
		return i, false, nil
	}
	t.write(i, "LIKE ")
	if err := t.span(i+1, end); err != nil {
		return 0, false, err
	}
	t.out.WriteString(` ESCAPE '\'`)
	return end, true, nil
}

// joinedEnd is the end of the operand that begins at i, with all that || joins to it; i
// itself if none begins.
func (t *translator) joinedEnd(i, to int) int {
	end := t.primary(i, to)
	if kind := t.at(i).Kind; kind == ddl.String || kind == ddl.Number {
		end = i + 1
	}
	for end < to && t.tokens[end].Is("[") {
		end = t.closes[end] + 1
	}
	if end > i && t.at(end).Is("|") && t.at(end+1).Is("|") {
		if more := t.joinedEnd(end+2, to); more > end+2 { //nolint:mnd // two characters
			return more
		}
	}
	return min(end, to)
}

// clauseEnds are the words that end the list of a DISTRIBUTE BY.
var clauseEnds = map[string]bool{
	"SORT": true, "LIMIT": true, "UNION": true, "INTERSECT": true, "EXCEPT": true, "MINUS": true, "ORDER": true,
	"ROWS": true, "RANGE": true,
}

// sortBy writes SORT BY and CLUSTER BY as ORDER BY. DISTRIBUTE BY has no effect on rows; in
// a window it is PARTITION BY.
func (t *translator) sortBy(i, to int) int {
	window := t.at(i-1).Is("(") && t.at(i-2).Is("OVER")
	switch {
	case t.tokens[i].Is("SORT"), t.tokens[i].Is("CLUSTER") && !window:
		t.write(i, "ORDER")
		return i + 1
	case window:
		t.write(i, "PARTITION")
		return i + 1
	}
	end := i + 2
	for end < to && !t.tokens[end].Is(")") && (t.tokens[end].Kind != ddl.Ident || !clauseEnds[strings.ToUpper(t.tokens[end].Text)]) {
		if t.closes[end] > 0 {
			end = t.closes[end]
		}
		end++
	}
	return end
}

// valuesTable puts FROM VALUES (…), (…) t(a, b) into the parentheses that DuckDB wants.
func (t *translator) valuesTable(i, to int) (int, error) {
	end := i + 1
	for end < to && t.tokens[end].Is("(") {
		if end = t.closes[end] + 1; end >= to || !t.tokens[end].Is(",") || !t.at(end+1).Is("(") {
			break
		}
		end++
	}
	t.write(i, "(VALUES ")
	if err := t.span(i+1, end); err != nil {
		return 0, err
	}
	t.out.WriteString(")")
	return end, nil
}

// lateralView writes LATERAL VIEW [OUTER] f(…) name AS a, b as a lateral join.
func (t *translator) lateralView(i, to int) (int, error) {
	at := i + 2
	outer := t.at(at).Is("OUTER")
	if outer {
		at++
	}
	name := strings.ToLower(t.at(at).Text)
	if t.at(at).Kind != ddl.Ident || !t.at(at+1).Is("(") {
		return 0, t.fail(ddl.CodeParse, at, "LATERAL VIEW needs a function")
	}
	args := t.arguments(at + 1)
	end := t.closes[at+1] + 1
	var alias string
	if t.isName(end) && !t.at(end).Is("AS") {
		alias = t.at(end).Text
		end++
	}
	columns, end, err := t.aliases(end, to)
	if err != nil {
		return 0, err
	}
	items, err := t.generated(name, at, args, columns)
	if err != nil {
		return 0, err
	}
	join, on := "CROSS JOIN", ""
	if outer {
		join, on = "LEFT JOIN", " ON true"
	}
	if alias == "" {
		alias = "view " + name
	}
	t.write(i, join+" LATERAL (SELECT "+strings.Join(items, ", ")+") AS "+quoteName(alias)+on)
	return end, nil
}

// aliases reads AS a, b.
func (t *translator) aliases(at, to int) (names []string, end int, err error) {
	if !t.at(at).Is("AS") {
		return nil, 0, t.fail(ddl.CodeParse, at, "LATERAL VIEW needs AS and names for its columns")
	}
	for at++; at < to && t.isName(at); at += 2 {
		names = append(names, t.tokens[at].Text)
		if !t.at(at+1).Is(",") || !t.isName(at+2) {
			return names, at + 1, nil
		}
	}
	return nil, 0, t.fail(ddl.CodeParse, at, "a name for a column of LATERAL VIEW was expected")
}

// generated returns the select list of a table function. The number of names tells arrays
// from maps.
func (t *translator) generated(name string, at int, args []argument, columns []string) ([]string, error) {
	var items []string
	text := make([]string, len(args))
	for i, a := range args {
		var err error
		if text[i], err = t.apart(a); err != nil {
			return nil, err
		}
	}
	as := func(i int, expression string) string { return expression + " AS " + quoteName(columns[i]) }
	switch {
	case name == "explode" && len(text) == 1 && len(columns) == 1:
		return []string{as(0, "unnest("+text[0]+")")}, nil
	case name == "explode" && len(text) == 1 && len(columns) == 2:
		return []string{as(0, "unnest(map_keys("+text[0]+"))"), as(1, "unnest(map_values("+text[0]+"))")}, nil
	case name == "posexplode" && len(text) == 1 && len(columns) == 2:
		return []string{as(0, "CAST(unnest(range(len("+text[0]+"))) AS INTEGER)"), as(1, "unnest("+text[0]+")")}, nil
	case name == "json_tuple" && len(text) == len(columns)+1:
		for i, key := range text[1:] {
			items = append(items, as(i, macroPrefix+"get_json_object("+text[0]+", '$.' || "+key+")"))
		}
		return items, nil
	case name == "inline" && len(text) == 1:
		for i := range columns {
			items = append(items, as(i, "struct_extract_at(unnest("+text[0]+"), "+strconv.Itoa(i+1)+")"))
		}
		return items, nil
	case name == "explode", name == "posexplode", name == "inline", name == "json_tuple":
		return nil, t.fail(codeSemantic, at, "function "+name+": the number of names does not fit the number of columns")
	}
	return nil, t.fail(codeSemantic, at, "LATERAL VIEW with the function "+name+" is not supported by this endpoint")
}

// generators are the functions that give several columns.
var generators = map[string][]string{"explode": nil, "posexplode": {"pos", "val"}, "inline": nil, "json_tuple": nil}

// generator writes such a function in a select list: f(…) AS (a, b).
func (t *translator) generator(i int, name string, args []argument) (end int, done bool, err error) {
	columns, listed := generators[name]
	end = t.closes[i+1] + 1
	if !listed || t.at(end).Is("OVER") {
		return i, false, nil
	}
	if t.at(end).Is("AS") && t.at(end+1).Is("(") {
		columns, end, err = t.listedNames(end+2, t.closes[end+1])
	}
	if err != nil || len(columns) == 0 {
		return i, false, err
	}
	items, err := t.generated(name, i, args, columns)
	if err != nil {
		return 0, false, err
	}
	t.write(i, strings.Join(items, ", "))
	return end, true, nil
}

// listedNames reads a, b up to the parenthesis at end.
func (t *translator) listedNames(at, end int) (names []string, after int, err error) {
	for ; t.isName(at); at += 2 {
		names = append(names, t.tokens[at].Text)
		if at+1 == end {
			return names, end + 1, nil
		}
		if !t.at(at + 1).Is(",") {
			break
		}
	}
	return nil, 0, t.fail(ddl.CodeParse, at, "a name for a column was expected")
}
