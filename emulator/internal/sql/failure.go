package sql

import (
	"regexp"
	"strings"

	"github.com/sluice-io/sluice/emulator/internal/ddl"
)

// complaint turns one of DuckDB's messages into MaxCompute's words. The first submatch of
// the pattern is the word at fault; its place in the query is the error's.
type complaint struct {
	pattern *regexp.Regexp
	words   string // $1 is the word at fault
}

var complaints = []complaint{
	{regexp.MustCompile(`^Referenced column "([^"]+)" (?:not found|was not found)`), "column $1 cannot be resolved"},
	{regexp.MustCompile(`^Referenced table "([^"]+)" not found`), "table or alias $1 cannot be resolved"},
	{regexp.MustCompile(`^Values list "[^"]*" does not have a column named "([^"]+)"`), "column $1 cannot be resolved"},
	{regexp.MustCompile(`^Table "[^"]*" does not have a column named "([^"]+)"`), "column $1 cannot be resolved"},
	{regexp.MustCompile(`^Ambiguous reference to column name "([^"]+)"`), "column $1 is ambiguous"},
	{regexp.MustCompile(`^(?:Scalar|Aggregate|Table) Function with name "?([^" ]+)"? does not exist`), "function $1 cannot be resolved"},
	{regexp.MustCompile(`^Macro "?(?:mc__?)?([a-z_0-9]+)"?\(\) does not support the supplied arguments`), "function $1 does not take arguments of these types"},
	{regexp.MustCompile(`^(?:Could not choose a best candidate function for the function call|No function matches the given name and argument types) ['"](?:mc__?(?:go_)?)?([^('"]+)(\([^'"]*\))`), "function $1$2 cannot be resolved: wrong number or types of arguments"},
	{regexp.MustCompile(`^column "?([^" ]+)"? must appear in the GROUP BY clause`), "column $1 must appear in GROUP BY or within an aggregate function"},
	{regexp.MustCompile(`^syntax error at or near "{1,2}([^"]+)"`), "'$1' was not expected here"},
}

// names that only the engine knows, and types as DuckDB calls them.
var (
	ownNames  = regexp.MustCompile(`\bmc__?(?:go_)?|"?sluice (?:table|view) \d+"?\.?`)
	typeNames = strings.NewReplacer(
		"STRING_LITERAL", "STRING", "INTEGER_LITERAL", "INT", "VARCHAR", "STRING", "TIMESTAMP_MS", "DATETIME", "TIMESTAMP_NS", "TIMESTAMP",
		"INTEGER", "INT", "INT32", "INT", "INT64", "BIGINT", "INT16", "SMALLINT", "INT8", "TINYINT", "HUGEINT", "BIGINT", "BLOB", "BINARY",
	)
)

// reworded is a message of DuckDB's in MaxCompute's words, and where in the source its
// subject stands.
func reworded(source, message string) (string, ddl.Pos) {
	message, _, _ = strings.Cut(message, "\n")
	for _, c := range complaints {
		if m := c.pattern.FindStringSubmatchIndex(message); m != nil {
			word := message[m[2]:m[3]]
			text := typeNames.Replace(string(c.pattern.ExpandString(nil, c.words, message, m)))
			return text, placeOf(source, word)
		}
	}
	message, _, _ = strings.Cut(message, " You might need to")
	message, _, _ = strings.Cut(message, " Use TRY_CAST")
	return typeNames.Replace(ownNames.ReplaceAllString(message, "")), ddl.Pos{Line: 1, Column: 1}
}

// placeOf finds the first token that says word, which may be a dotted name.
func placeOf(source, word string) ddl.Pos {
	last := word[strings.LastIndexByte(word, '.')+1:]
	tokens, err := ddl.Tokens(source)
	if err == nil {
		for _, tok := range tokens {
			if strings.EqualFold(tok.Text, last) {
				return ddl.Position(source, tok.Start)
			}
		}
	}
	return ddl.Pos{Line: 1, Column: 1}
}
