package sql

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/sluice-io/sluice/emulator/internal/ddl"
)

// complaint turns one of DuckDB's messages into MaxCompute's words.
type complaint struct {
	pattern *regexp.Regexp
	// words, where $1 is the first submatch. Its place in the query is the error's, if it
	// stands there.
	words string
	// semantic says that the query is wrong, although DuckDB noticed it only while it ran.
	semantic bool
	joins    bool // || was applied, which is also how functions make texts of numbers
}

func bind(pattern, words string) complaint {
	return complaint{pattern: regexp.MustCompile(pattern), words: words, semantic: true}
}

func runs(pattern, words string) complaint {
	return complaint{pattern: regexp.MustCompile(pattern), words: words}
}

// complaints are tried in order.
var complaints = []complaint{
	// names
	bind(`^Referenced column "?([^" ]+)"? (?:was )?not found`, "column $1 cannot be resolved"),
	bind(`^Referenced table "([^"]+)" not found`, "table or alias $1 cannot be resolved"),
	bind(`^Values list "[^"]*" does not have a column named "([^"]+)"`, "column $1 cannot be resolved"),
	bind(`^Table "[^"]*" does not have a column named "([^"]+)"`, "column $1 cannot be resolved"),
	bind(`^Column "([^"]+)" does not exist on (left|right) side of join`, "column $1 of USING cannot be resolved on the $2 side of the join"),
	bind(`^Column "([^"]+)" in EXCLUDE list not found`, "column $1 in EXCEPT cannot be resolved"),
	bind(`^Ambiguous reference to column name "([^"]+)"`, "column $1 is ambiguous"),
	bind(`^Could not find key "([^"]+)" in struct`, "the STRUCT has no field $1"),
	bind(`^Cannot extract field '([^']+)' from expression "([^"]+)"`, "$2 has no field $1: it is no STRUCT"),
	bind(`^window "([^"]+)" does not exist`, "window $1 is not defined"),
	bind(`^Type with name ([^ ]+) does not exist`, "type $1 does not exist"),
	bind(`^NameListToString NOT IMPLEMENTED`, "the name of a table has at most three parts"),
	bind(`^table "([^"]+)" has (\d+) columns available but (\d+) columns specified`, "$1 has $2 columns, and $3 names are given"),

	// functions
	bind(`^(?:Scalar|Aggregate|Table) Function with name "?((?i:row_number|rank|dense_rank|percent_rank|cume_dist|ntile|lag|lead|first_value|last_value|nth_value))"? does not exist`, "function $1 needs OVER (…)"),
	bind(`^(?:Scalar|Aggregate|Table) Function with name "?([^" ]+)"? does not exist`, "function $1 cannot be resolved"),
	bind(`^Macro "?(?:mc__?)?([a-z_0-9]+)"?\(\) does not support the supplied arguments`, "function $1 does not take these arguments"),
	bind(`^(?:Could not choose a best candidate function for the function call|No function matches the given name and argument types) ['"](?:mc__?(?:go_)?)?([-+*/%&|~<>^!]+)(\(.*?\))['"]`, "operator $1 does not take $2"),
	bind(`(?:candidate function for the function call|name and argument types) 'array_extract\((.+), (.+?)\)'`, "a value of $1 has no element [$2]"),
	bind(`(?:candidate function for the function call|name and argument types) 'json_extract\(`, "a lambda x -> … cannot stand here, or works on a value that is no ARRAY"),
	bind(`(?:Could not choose a best candidate function for the function call|No function matches the given name and argument types) ['"](?:mc__?(?:go_)?)?([^('"]+)(\(.*?\))['"]`, "function $1 does not take $2"),
	bind(`^([A-Z_]+) needs (\d+) parameters?, got (\d+)`, "function $1 wants another number of arguments: $2, not $3"),
	bind(`^Unknown ordered aggregate "([^"]+)"`, "function $1 takes no WITHIN GROUP"),
	bind(`^Window function macros must be functions`, "OVER stands behind a function that is none of windows"),
	bind(`^UNNEST\(\) can only be applied to lists, structs and NULL, not (.+)$`, "function explode does not take $1 here: it wants an ARRAY, and names for a MAP: explode(m) AS (k, v)"),
	bind(`^UNNEST (?:not supported here|requires)`, "function explode cannot stand here, or its argument is no ARRAY"),
	bind(`^The initial value type must be the same`, "the start value of a reduction must have the type of the array's elements"),
	bind(`^QUANTILE can only take parameters`, "a percentile must lie between 0 and 1"),
	bind(`^Separator argument to StringAgg`, "the separator must be a constant"),
	bind(`^Cannot deduce template type 'T' in function: 'list_value`, "the elements of an ARRAY must have one type"),
	bind(`^Cannot deduce template type 'K' in function: 'map_extract`, "the key in […] does not have the type of the MAP's keys"),
	bind(`^Cannot deduce template type '[A-Z]' in function: '(?:list_|array_|map_)?([a-z_]+)`, "function $1 does not take values of these types together"),
	bind(`^MAP_CONCAT only takes map arguments`, "function map_concat takes maps only"),
	bind(`^JSON path error near '(.*)'`, "the path of get_json_object is not valid near $1"),
	bind(`format must be a constant`, "the format of a date must be a constant"),
	bind(`^extract specifier "([^"]+)" not recognized`, "EXTRACT knows no part $1"),

	// types
	bind(`^Cannot compare values of type (.+?) and (?:type )?(.+?)(?: in IN/ANY/ALL clause)? - an explicit`, "$1 cannot be compared with $2: cast one of them"),
	bind(`^Cannot mix values of type (.+?) and (.+?) in (\w+)`, "$1 and $2 cannot stand together in $3: cast one of them"),
	bind(`^Cannot combine types (?:of )?(.+?) and (.+?) - an explicit`, "$1 and $2 cannot stand together: cast one of them"),
	{pattern: regexp.MustCompile(`^Cannot concatenate (?:lists of )?types (.+?) and (.+?) - an explicit`), words: "$1 and $2 cannot be joined: cast one of them", semantic: true, joins: true},
	bind(`^Unimplemented type for cast \((.+?) -> (.+?)\)(?: when.*)?$`, "$1 cannot be cast to $2"),
	bind(`^DECIMAL type scale cannot be greater than width`, "the scale of a DECIMAL cannot exceed its precision"),

	// clauses
	bind(`^column "?([^" ]+)"? must appear in the GROUP BY clause`, "column $1 must appear in GROUP BY or within an aggregate function"),
	bind(`^(WHERE|GROUP BY|HAVING|JOIN|QUALIFY|LIMIT)(?: clause| condition)? cannot contain aggregates`, "$1 cannot hold an aggregate function"),
	bind(`^(WHERE|GROUP BY|HAVING|JOIN|QUALIFY|LIMIT)(?: clause| condition)? cannot contain window functions`, "$1 cannot hold a window function"),
	bind(`^aggregate function calls cannot (?:be nested|contain window)`, "an aggregate function cannot hold another, nor a window function"),
	bind(`^ORDER term out of range - should be between 1 and (\d+)`, "ORDER BY names a position that no column has; the query has $1"),
	bind(`^GROUP BY term out of range - should be between 1 and (\d+)`, "GROUP BY names a position that no column has; the query has $1"),
	bind(`^LIMIT/OFFSET cannot be negative`, "LIMIT cannot be negative"),
	bind(`^Set operations can only apply`, "the queries of UNION, INTERSECT, EXCEPT or MINUS must have the same number of columns"),
	bind(`^Subquery returns (\d+) columns? - expected (\d+)`, "a sub-query gives $1 columns where $2 are expected"),
	bind(`^GROUPING (?:statement|child)`, "GROUPING wants expressions of a GROUP BY"),
	bind(`^\* expression without FROM clause`, "* needs a FROM clause"),
	bind(`^STAR expression is only allowed`, "* cannot stand here"),
	bind(`^ORDER BY non-integer literal`, "a constant in ORDER BY has no effect"),
	bind(`^SELECT clause without selection list`, "SELECT needs a list of columns"),
	bind(`^SELECT INTO not supported`, "SELECT … INTO is not supported"),
	bind(`^VALUES lists must all be the same length`, "the rows of VALUES must have the same number of values"),
	bind(`^syntax error at end of input`, "the query ends too early"),
	bind(`^syntax error at or near "{1,2}([^"]+)"`, "'$1' was not expected here"),

	// values
	runs(`^Could not convert string ['"](.*?)['"] to BOOL`, "the text '$1' is no BOOLEAN"),
	runs(`^Could not convert string ['"](.*?)['"] to ([A-Z0-9_]+(?:\([^)]*\))?)`, "the text '$1' cannot be cast to $2"),
	runs(`^(?:Could not cast value|Casting value) ['"]?(.*?)['"]? to (?:type )?(DECIMAL\([^)]*\))`, "the value $1 does not fit $2"),
	runs(`^Type .+? with value (.+?) can't be cast because the value is out of range for the destination type (\S+)`, "the value $1 does not fit $2"),
	runs(`^Type .+? with value (.+?) can't be cast to the destination type (.+?)(?: when casting.*)?$`, "the value $1 cannot be cast to $2"),
	runs(`^(?:invalid date field format|date field value out of range): "(.*?)"`, "the text '$1' is no DATE: yyyy-mm-dd was expected"),
	runs(`^(?:invalid timestamp field format|timestamp field value out of range): "(.*?)"`, "the text '$1' is no date: yyyy-mm-dd hh:mi:ss was expected"),
	runs(`^(Overflow in .*?)!?$`, "$1"),
	runs(`^[^:]*: \(\?s\)\.\*\(\?:(.*)\)\.\*$`, "invalid pattern: $1"),
	runs(`^More than one row returned by a subquery`, "a sub-query that stands for a value gives more than one row"),
	runs(`^Map keys can not be NULL`, "a key of a MAP cannot be NULL"),
	runs(`^Map keys must be unique`, "a key stands twice in a MAP"),
	runs(`^Malformed JSON`, "the text is no JSON"),
	runs(`^(?:Out of Memory|failed to allocate|could not allocate)`, "the query needs more memory than this endpoint gives to queries"),
	runs(`^Invalid input for hex digit: (.*)`, "'$1' is no hexadecimal digit"),
	runs(`^Could not decode string "(.*?)" as base64`, "the text '$1' is no base64"),
}

// What DuckDB calls otherwise.
var (
	ownNames  = regexp.MustCompile(`\bmc__?(?:go_)?|"?sluice (?:table|view) \d+"?\.?`)
	typeNames = map[string]string{
		"STRING_LITERAL": "STRING", "INTEGER_LITERAL": "INT", "VARCHAR": "STRING", "TIMESTAMP_MS": "DATETIME", "TIMESTAMP_NS": "TIMESTAMP",
		"INTEGER": "INT", "INT32": "INT", "INT64": "BIGINT", "INT16": "SMALLINT", "INT8": "TINYINT", "INT128": "BIGINT", "HUGEINT": "BIGINT", "BLOB": "BINARY", "BOOL": "BOOLEAN",
	}
	typeName  = regexp.MustCompile(`\b[A-Z][A-Z_0-9]+\b`)
	listType  = regexp.MustCompile(`\b(\w+(?:\(\d+,\d+\)|<[^()\[\]]*>)?)\[\]`)
	mapType   = regexp.MustCompile(`\bMAP\(([^()]*|[^()]*\(\d+,\d+\)[^()]*)\)`)
	structure = regexp.MustCompile(`\bSTRUCT\(([^()]*|[^()]*\(\d+,\d+\)[^()]*)\)`)
	fieldType = regexp.MustCompile(`(^|, )"?(\w+)"? `)
	casting   = regexp.MustCompile(` when casting from source column .*$| - an explicit cast is required.*$| You might need to.*$| Use TRY_CAST.*$`)

	// foreign are words by which one knows that a message is still DuckDB's alone.
	foreign = regexp.MustCompile(`(?i)\b(list_\w+|map_extract\w*|struct_\w+|array_extract|unnest|strftime|strptime|macro|catalog|binder|binding|duckdb|template|lambda|columns\(|exclude list|try_cast|candidate|template|hugeint|varchar)`)
)

// reworded is a message of DuckDB's in MaxCompute's words, and where in the source its
// subject stands. semantic says that the query is at fault, not a value.
func reworded(source, message string) (words string, pos ddl.Pos, semantic bool) {
	message, _, _ = strings.Cut(message, "\n")
	message = strings.TrimPrefix(message, "failed to bind function, either: ")
	for _, c := range complaints {
		m := c.pattern.FindStringSubmatchIndex(message)
		if m == nil {
			continue
		}
		subject := ""
		if len(m) > 2 { //nolint:mnd // the whole match and the first submatch
			subject = message[m[2]:m[3]]
		}
		text := string(c.pattern.ExpandString(nil, c.words, message, m))
		if rest, ok := strings.CutPrefix(text, "function "+subject+" does not take ("); ok && !stands(source, subject) {
			first, _, _ := strings.Cut(strings.TrimSuffix(rest, ")"), ", ")
			if name := caller(source, subject+"("); name != "" { // the other types are those of the inner call
				text, subject = "function "+name+" does not take "+first+" here", name
			}
		}
		if name := caller(source, "|| ''"); c.joins && name != "" && !strings.Contains(source, "||") {
			text, subject = "function "+name+" does not take "+subject, name
		}
		return ownTypes(text), placeOf(source, subject), c.semantic
	}
	text := ownTypes(casting.ReplaceAllString(ownNames.ReplaceAllString(message, ""), ""))
	if foreign.MatchString(text) {
		text = "an expression does not fit together: a function or an operator got arguments that it does not take"
	}
	return text, ddl.Pos{Line: 1, Column: 1}, false
}

// ownTypes writes DuckDB's types in a text as MaxCompute's.
func ownTypes(text string) string {
	text = typeName.ReplaceAllStringFunc(text, func(name string) string {
		if own, ok := typeNames[name]; ok {
			return own
		}
		return name
	})
	for range 8 { // types nest
		before := text
		text = listType.ReplaceAllString(text, "ARRAY<$1>")
		text = mapType.ReplaceAllString(text, "MAP<$1>")
		text = structure.ReplaceAllStringFunc(text, func(s string) string {
			return "STRUCT<" + fieldType.ReplaceAllString(s[len("STRUCT("):len(s)-1], "$1$2:") + ">"
		})
		if text == before {
			break
		}
	}
	return text
}

// stands reports whether the query holds a word.
func stands(source, word string) bool { return placeOf(source, word) != (ddl.Pos{Line: 1, Column: 1}) }

// caller is the function in the query whose definition holds a text, "" if none does.
func caller(source, inner string) string {
	tokens, err := ddl.Tokens(source)
	if err != nil {
		return ""
	}
	for i, tok := range tokens {
		if tok.Kind == ddl.Ident && i+1 < len(tokens) && tokens[i+1].Is("(") && madeOf(strings.ToLower(tok.Text), inner, nil) {
			return strings.ToLower(tok.Text)
		}
	}
	return ""
}

// madeOf reports whether a function's definition holds a text, also at second hand.
func madeOf(name, inner string, within []string) bool {
	f := dialect[name]
	if f == nil || slices.Contains(within, name) {
		return false
	}
	text := strings.Join(slices.Concat(f.overloads, slices.Sorted(maps.Values(f.templates))), "\n")
	if strings.Contains(text, inner) {
		return true
	}
	return slices.ContainsFunc(macroCalled.FindAllStringSubmatch(text, -1), func(m []string) bool {
		return madeOf(m[1], inner, append(within, name))
	})
}

// placeOf finds the first token that says word, which may be a dotted name.
func placeOf(source, word string) ddl.Pos {
	last := word[strings.LastIndexByte(word, '.')+1:]
	tokens, err := ddl.Tokens(source)
	if err == nil && last != "" && !isDigits(last) {
		for _, tok := range tokens {
			if strings.EqualFold(tok.Text, last) {
				return ddl.Position(source, tok.Start)
			}
		}
	}
	return ddl.Pos{Line: 1, Column: 1}
}

// wordAt says that the word at a place was not expected; words if none begins there.
func wordAt(source string, pos ddl.Pos, words string) string {
	tokens, err := ddl.Tokens(source)
	if err != nil {
		return words
	}
	for _, tok := range tokens {
		if ddl.Position(source, tok.Start) == pos {
			return "'" + source[tok.Start:tok.End] + "' was not expected here"
		}
	}
	return words
}
