package sql

import (
	"regexp"
	"strings"

	"github.com/sluice-io/sluice/emulator/internal/ddl"
	"github.com/sluice-io/sluice/emulator/internal/types"
)

// translate rewrites the words in which MaxCompute's dialect differs from DuckDB's: names
// in back-ticks, strings in either quote with backslash escapes, numbers with a type
// suffix, types, the constructors ARRAY(…) and MAP(…). Everything else stays as it is.
func translate(source string) (string, error) {
	tokens, err := ddl.Tokens(source)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	end := 0
	for i, tok := range tokens {
		if tok.Start < end { // inside a type that is written already
			continue
		}
		out.WriteString(source[end:tok.Start])
		end = tok.End
		switch tok.Kind {
		case ddl.Quoted:
			out.WriteString(quoteName(tok.Text))
		case ddl.String:
			if strings.ContainsRune(tok.Text, 0) {
				return "", &Error{Code: codeSemantic, Pos: ddl.Position(source, tok.Start), Message: "a string literal with a NUL character is not supported"}
			}
			out.WriteString(quoteString(tok.Text))
		case ddl.Number:
			out.WriteString(number(tok.Text))
		case ddl.Ident:
			text, to := word(source, tokens, i)
			out.WriteString(text)
			end = to
		default:
			out.WriteString(source[tok.Start:tok.End])
		}
	}
	return out.String(), nil
}

// word translates the word at i and returns where the translated source ends.
func word(source string, tokens []ddl.Token, i int) (text string, end int) {
	tok := tokens[i]
	var next, last ddl.Token
	if i+1 < len(tokens) {
		next = tokens[i+1]
	}
	if i > 0 {
		last = tokens[i-1]
	}
	switch {
	case next.Is("<") && nestedType[strings.ToUpper(tok.Text)]:
		window := source[tok.Start:min(len(source), tok.Start+maxTypeText)]
		if t, rest, err := types.ParsePrefix(window); err == nil {
			return duckType(t), tok.Start + len(window) - len(rest)
		}
	case next.Is("(") && !last.Is("AS") && tok.Is("ARRAY"):
		return "list_value", tok.End
	case next.Is("(") && !last.Is("AS") && tok.Is("MAP"):
		return mapMacro, tok.End
	case next.Kind == ddl.String && tok.Is("TIMESTAMP") && fineFraction.MatchString(next.Text):
		return "TIMESTAMP_NS", tok.End
	case next.Kind == ddl.String && tok.Is("DATETIME"):
		return "TIMESTAMP_MS", tok.End
	case last.Is("AS") && next.Is(")"):
		if duck, ok := castNames[strings.ToUpper(tok.Text)]; ok {
			return duck, tok.End
		}
	}
	return source[tok.Start:tok.End], tok.End
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

// mapMacro is the name under which the engine defines MAP(key, value, key, value, …).
const mapMacro = "mc_map"

func quoteName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func quoteString(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// suffixes are the literals' type suffixes, longest first.
var suffixes = []struct{ suffix, duck string }{
	{"BD", "DECIMAL(38,18)"}, {"L", "BIGINT"}, {"S", "SMALLINT"}, {"Y", "TINYINT"}, {"D", "DOUBLE"}, {"F", "FLOAT"},
}

func number(text string) string {
	upper := strings.ToUpper(text)
	for _, s := range suffixes {
		if digits, ok := strings.CutSuffix(upper, s.suffix); ok && !strings.ContainsAny(digits, "XBOLSYDF_") {
			return "CAST(" + digits + " AS " + s.duck + ")"
		}
	}
	return text
}
