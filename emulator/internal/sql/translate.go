package sql

import (
	"fmt"
	"regexp"
	"sort"
	"strconv"
	"strings"

	"github.com/sluice-io/sluice/emulator/internal/ddl"
	"github.com/sluice-io/sluice/emulator/internal/types"
)

// Bounds of a query's text: what is beyond them is refused before DuckDB sees it.
const (
	maxQueryText = 2 << 20
	maxDepth     = 200 // of parentheses and brackets
	maxLambdas   = 16  // within each other: DuckDB needs twice as long to plan with each
)

// translation is a query in DuckDB's dialect that remembers where its pieces came from.
type translation struct {
	text   string
	source string
	marks  []mark
	number string // what stands for the query's number
}

// mark says that the translated text from out on stems from the source's src.
type mark struct{ out, src int }

// numberPlace returns a number that a source does not hold. In the translation it stands where
// the number of the query belongs, which only one that runs has.
func numberPlace(source string) string {
	n := int64(firstPlace)
	for strings.Contains(source, strconv.FormatInt(n, 10)) {
		n++
	}
	return strconv.FormatInt(n, 10)
}

// firstPlace has ten digits and begins with one that nothing puts before digits of a source.
const firstPlace = 9_000_000_000

// numbered is the translation of the query of a number. All places stay where they are.
func (t *translation) numbered(number int64) *translation {
	out := *t
	out.text = strings.ReplaceAll(t.text, t.number, fmt.Sprintf("%0*d", len(t.number), number))
	return &out
}

// position translates an offset of the translated text to a place in the source.
func (t *translation) position(offset int) ddl.Pos {
	i := sort.Search(len(t.marks), func(i int) bool { return t.marks[i].out > offset })
	if i == 0 {
		return ddl.Pos{Line: 1, Column: 1}
	}
	return ddl.Position(t.source, t.marks[i-1].src)
}

// translate rewrites a query in which MaxCompute's dialect differs from DuckDB's: names in
// back-ticks, strings in either quote with backslash escapes, numbers, types, operators,
// clauses (clauses.go), and the functions of the tables in functions_*.go. Everything else
// stays as it is. With tables, what a translation must know of them is asked; nil is enough to check a text.
func translate(source string, tables Tables) (*translation, error) {
	if len(source) > maxQueryText {
		return nil, &Error{Code: ddl.CodeParse, Pos: ddl.Pos{Line: 1, Column: 1}, Message: "Parse exception - the query is longer than 2 MiB"}
	}
	tokens, err := ddl.Tokens(source)
	if err != nil {
		return nil, err
	}
	t := &translator{source: source, tables: tables, tokens: tokens, number: numberPlace(source)}
	if err := t.matchBrackets(); err != nil {
		return nil, err
	}
	if err := t.checkJoins(); err != nil {
		return nil, err
	}
	if err := t.span(0, len(tokens)); err != nil {
		return nil, err
	}
	return &translation{text: t.out.String(), source: source, marks: t.marks, number: t.number}, nil
}

// translator writes the translation of a range of tokens.
type translator struct {
	source string
	tables Tables // may be nil
	tokens []ddl.Token
	closes []int // position of the bracket that closes the one here, 0 for other tokens
	out    strings.Builder
	marks  []mark
	number string
	copies int // how often calls around the current place copy their arguments; 0 is 1
}

func (t *translator) fail(code string, i int, message string) error {
	offset := len(t.source)
	if i < len(t.tokens) {
		offset = t.tokens[i].Start
	}
	kind := "Semantic analysis exception - "
	if code == ddl.CodeParse {
		kind = "Parse exception - "
	}
	return &Error{Code: code, Pos: ddl.Position(t.source, offset), Message: kind + message}
}

// matchBrackets finds the partner of every parenthesis and bracket.
func (t *translator) matchBrackets() error {
	t.closes = make([]int, len(t.tokens))
	partner := map[string]string{")": "(", "]": "[", "}": "{"}
	var open []int
	lambdas := make([]int, maxDepth+1) // around the place, by the number of open brackets
	for i, tok := range t.tokens {
		if tok.Kind != ddl.Punct {
			continue
		}
		switch tok.Text {
		case ">":
			if last := t.at(i - 1); last.Is("-") && last.End == tok.Start {
				if lambdas[len(open)]++; lambdas[len(open)] > maxLambdas {
					return t.fail(codeSemantic, i, "lambdas nested too deep")
				}
			}
		case ",":
			if len(open) > 0 { // the lambda before it has ended
				lambdas[len(open)] = lambdas[len(open)-1]
			}
		case "(", "[", "{":
			if open = append(open, i); len(open) > maxDepth {
				return t.fail(ddl.CodeParse, i, "parentheses nested too deep")
			}
			lambdas[len(open)] = lambdas[len(open)-1]
		case ")", "]", "}":
			if len(open) == 0 || t.tokens[open[len(open)-1]].Text != partner[tok.Text] {
				return t.fail(ddl.CodeParse, i, "'"+tok.Text+"' without its opening partner")
			}
			t.closes[open[len(open)-1]] = i
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		return t.fail(ddl.CodeParse, open[len(open)-1], "'"+t.tokens[open[len(open)-1]].Text+"' is not closed")
	}
	return nil
}

// at returns a token, one of kind EOF outside the text.
func (t *translator) at(i int) ddl.Token {
	if i < 0 || i >= len(t.tokens) {
		return ddl.Token{Kind: ddl.EOF}
	}
	return t.tokens[i]
}

// span translates tokens[from:to] with the blanks between them.
func (t *translator) span(from, to int) error {
	for i := from; i < to; {
		if i > from {
			t.blank(i)
		}
		next, err := t.one(i, to)
		if err != nil {
			return err
		}
		i = next
	}
	return nil
}

// blank writes what stands before the i-th token; a comment becomes a blank.
func (t *translator) blank(i int) {
	gap := t.source[t.tokens[i-1].End:t.tokens[i].Start]
	if strings.Trim(gap, " \t\r\n") != "" {
		gap = " "
	}
	t.out.WriteString(gap)
}

// write writes text in the place of the i-th token.
func (t *translator) write(i int, text string) {
	t.marks = append(t.marks, mark{t.out.Len(), t.tokens[i].Start})
	t.out.WriteString(text)
}

// one translates what begins at i and returns where to go on.
func (t *translator) one(i, to int) (int, error) {
	if t.out.Len() > maxTranslated {
		return 0, t.fail(codeSemantic, i, "the query is too large")
	}
	if end := t.primary(i, to); end < to && t.tokens[end].Is("[") && end > i {
		return t.element(i, end, to)
	}
	return t.plain(i, to)
}

// plain translates a piece that no index follows.
func (t *translator) plain(i, to int) (int, error) {
	tok := t.tokens[i]
	switch tok.Kind {
	case ddl.Quoted:
		t.write(i, quoteName(tok.Text))
	case ddl.String:
		if strings.ContainsRune(tok.Text, 0) {
			return 0, t.fail(codeSemantic, i, "a string literal with a NUL character is not supported")
		}
		t.write(i, quoteString(tok.Text))
	case ddl.Number:
		text, err := t.literal(i, "")
		if err != nil {
			return 0, err
		}
		t.write(i, text)
	case ddl.Ident:
		return t.word(i, to)
	default:
		return t.punct(i)
	}
	return i + 1, nil
}

// punct translates an operator.
func (t *translator) punct(i int) (int, error) {
	tok := t.tokens[i]
	switch {
	case tok.Is("<") && t.at(i+1).Is("=") && t.at(i+2).Is(">") && t.at(i+2).End == tok.Start+3:
		t.write(i, "IS NOT DISTINCT FROM")
		return i + 3, nil
	case tok.Is("-"):
		if done, err := t.negative(i); done || err != nil {
			return i + 2, err //nolint:mnd // the sign and the number
		}
	case tok.Is("@") && t.at(i+1).Kind == ddl.Ident:
		t.write(i, quoteName("@"+strings.ToLower(t.tokens[i+1].Text)))
		return i + 2, nil
	case tok.Is("$"), tok.Is("?"), tok.Is("\\"), tok.Is("#"):
		return 0, t.fail(ddl.CodeParse, i, "'"+tok.Text+"' has no meaning here")
	}
	t.write(i, tok.Text)
	return i + 1, nil
}

// word translates a word, or the clause or call that it begins.
func (t *translator) word(i, to int) (int, error) {
	tok, next, last := t.tokens[i], t.at(i+1), t.at(i-1)
	if err := t.checkMoment(i); err != nil {
		return 0, err
	}
	if tok.Is("TABLESAMPLE") && next.Is("(") || tok.Is("TRANSFORM") && next.Is("(") && t.at(t.closes[i+1]+1).Is("USING") {
		return 0, t.fail(codeSemantic, i, strings.ToUpper(tok.Text)+" is not supported")
	}
	if done, err := t.prefixed(i); done || err != nil {
		return i + 2, err //nolint:mnd // the letter and the text
	}
	if next.Is("(") && t.calls(i) {
		if end, done, err := t.call(i); done || err != nil {
			return end, err
		}
	}
	if end, done, err := t.clause(i, to); done || err != nil {
		return end, err
	}
	switch {
	case next.Is("<") && nestedType[strings.ToUpper(tok.Text)]:
		window := t.source[tok.Start:min(len(t.source), tok.Start+maxTypeText)]
		if parsed, rest, err := types.ParsePrefix(window); err == nil {
			t.write(i, duckType(parsed))
			end := tok.Start + len(window) - len(rest)
			for i++; i < to && t.tokens[i].Start < end; i++ {
			}
			return i, nil
		}
	case next.Kind == ddl.String && tok.Is("TIMESTAMP") && fineFraction.MatchString(next.Text):
		t.write(i, "TIMESTAMP_NS")
		return i + 1, nil
	case next.Kind == ddl.String && tok.Is("TIMESTAMP_NTZ"):
		t.write(i, "TIMESTAMP_NS")
		return i + 1, nil
	case next.Kind == ddl.String && tok.Is("DATETIME"):
		t.write(i, "TIMESTAMP_MS")
		return i + 1, nil
	case last.Is("AS") && next.Is(")"):
		if duck, ok := castNames[strings.ToUpper(tok.Text)]; ok {
			t.write(i, duck)
			return i + 1, nil
		}
	}
	if t.isAlias(i) || freeWords[strings.ToUpper(tok.Text)] && (!tok.Is("AT") || !next.Is("TIME")) {
		t.write(i, quoteName(tok.Text))
		return i + 1, nil
	}
	t.write(i, tok.Text)
	return i + 1, nil
}

// isAlias reports whether the word at i is an alias without AS, which DuckDB lets no keyword
// be: it stands behind an expression and before what cannot go on with one.
func (t *translator) isAlias(i int) bool {
	word := strings.ToUpper(t.tokens[i].Text)
	next := t.at(i + 1)
	ends := next.Kind == ddl.EOF || next.Is(",") || next.Is(")") || next.Kind == ddl.Ident && aliasEnds[strings.ToUpper(next.Text)]
	interval := t.at(i - 2).Is("INTERVAL")
	return ends && !interval && t.operand(i-1) && !notOperands[word] && !noAliases[word] && !noAliases[strings.ToUpper(t.at(i-1).Text)]
}

// aliasEnds are words that stand behind a column's or a table's alias, noAliases words that
// stand where an alias might and are none.
var (
	aliasEnds = words("FROM WHERE UNION INTERSECT EXCEPT MINUS GROUP ORDER LIMIT HAVING LATERAL JOIN LEFT RIGHT INNER CROSS FULL NATURAL ON QUALIFY WINDOW DISTRIBUTE CLUSTER SORT")
	noAliases = words("ASC DESC FIRST LAST NULLS PRECEDING FOLLOWING ROW ROWS RANGE TIES LEFT RIGHT INNER CROSS FULL OUTER NATURAL SEMI ANTI LATERAL VIEW" +
		" GROUP ORDER QUALIFY WINDOW INTERSECT EXCEPT MINUS NULL TRUE FALSE WITH SET DISTRIBUTE CLUSTER SORT DIV REGEXP RECURSIVE FILTER IGNORE RESPECT UNBOUNDED CURRENT WITHIN")
)

func words(list string) map[string]bool {
	out := map[string]bool{}
	for w := range strings.FieldsSeq(list) {
		out[w] = true
	}
	return out
}

// freeWords are keywords of DuckDB's that are ordinary names in MaxCompute.
var freeWords = map[string]bool{
	"ANALYSE": true, "ASOF": true, "ASYMMETRIC": true, "AT": true, "AUTHORIZATION": true, "CHECK": true, "COLLATE": true, "COLLATION": true,
	"COLUMN": true, "CONCURRENTLY": true, "CONSTRAINT": true, "DEFERRABLE": true, "DESCRIBE": true, "DO": true, "FETCH": true, "FOREIGN": true,
	"FREEZE": true, "GENERATED": true, "GLOB": true, "INITIALLY": true, "LAMBDA": true, "NOTNULL": true, "ONLY": true, "OVERLAPS": true,
	"PIVOT": true, "PIVOT_LONGER": true, "PIVOT_WIDER": true, "PLACING": true, "POSITIONAL": true, "PRIMARY": true, "REFERENCES": true,
	"USER": true, "CURRENT_USER": true, "SESSION_USER": true, "CURRENT_ROLE": true, "CURRENT_CATALOG": true, "CURRENT_SCHEMA": true, "LOCALTIME": true, "LOCALTIMESTAMP": true,
	"RETURNING": true, "SHOW": true, "SUMMARIZE": true, "SYMMETRIC": true, "UNIQUE": true, "UNPIVOT": true, "VARIADIC": true, "VERBOSE": true,
}

// calls reports whether the word at i, before a parenthesis, is a function that is called:
// not the name behind a dot or an alias.
func (t *translator) calls(i int) bool {
	last := t.at(i - 1)
	return !last.Is(".") && !last.Is("AS") && !last.Is(")") && last.Kind != ddl.Quoted && last.Kind != ddl.Number && last.Kind != ddl.String
}

// notOperands are words before a bracket or a parenthesis that are no name.
var notOperands = map[string]bool{
	"SELECT": true, "WHERE": true, "AND": true, "OR": true, "NOT": true, "IN": true, "THEN": true, "ELSE": true,
	"WHEN": true, "CASE": true, "BY": true, "ON": true, "HAVING": true, "BETWEEN": true, "LIKE": true, "RLIKE": true,
	"VALUES": true, "DISTINCT": true, "ALL": true, "AS": true, "FROM": true, "IS": true, "END": true, "UNION": true,
	"OVER": true, "LIMIT": true, "JOIN": true, "USING": true, "EXISTS": true,
}

// primary returns the end of the name, call or parenthesis that begins at i, with the
// fields behind it; i itself if none begins.
func (t *translator) primary(i, to int) int {
	end := i
	switch tok := t.at(i); {
	case tok.Is("("):
		end = t.closes[i] + 1
	case tok.Kind == ddl.Quoted, tok.Kind == ddl.Ident && !notOperands[strings.ToUpper(tok.Text)]:
		end++
		for end+1 < to && t.tokens[end].Is(".") && t.isName(end+1) {
			end += 2
		}
		if end < to && t.tokens[end].Is("(") {
			end = t.closes[end] + 1
		}
	default:
		return i
	}
	for end+1 < to && t.tokens[end].Is(".") && t.isName(end+1) {
		end += 2
	}
	return min(end, to)
}

func (t *translator) isName(i int) bool {
	return t.at(i).Kind == ddl.Ident || t.at(i).Kind == ddl.Quoted
}

// element translates x[i]: MaxCompute counts the elements of an array from 0, DuckDB from
// 1, and both find a map's value by its key.
func (t *translator) element(i, end, to int) (int, error) {
	brackets := 0
	last := end
	for last < to && t.tokens[last].Is("[") {
		brackets++
		last = t.closes[last] + 1
	}
	t.write(i, strings.Repeat(macroPrefix+"_element(", brackets))
	for at := i; at < end; {
		if at > i {
			t.blank(at)
		}
		next, err := t.plain(at, end)
		if err != nil {
			return 0, err
		}
		at = next
	}
	for at := end; at < last; at = t.closes[at] + 1 {
		t.out.WriteString(", ")
		if err := t.span(at+1, t.closes[at]); err != nil {
			return 0, err
		}
		t.out.WriteString(")")
	}
	return last, nil
}

// maxTypeText bounds the text of a nested type in a query, so that many beginnings of types
// cost no more than that each.
const maxTypeText = 4096

var nestedType = map[string]bool{"ARRAY": true, "MAP": true, "STRUCT": true}

// castNames are the types that a cast names otherwise, or that mean something else.
var castNames = map[string]string{
	"DATETIME": "TIMESTAMP_MS", "TIMESTAMP": "TIMESTAMP_NS", "TIMESTAMP_NTZ": "TIMESTAMP_NS", "DECIMAL": "DECIMAL(38,18)",
}

// fineFraction matches a time with more than six digits of the second.
var fineFraction = regexp.MustCompile(`\.\d{7,}`)

func quoteName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func quoteString(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }
