package sql

import (
	"strings"

	"github.com/sluice-io/sluice/emulator/internal/ddl"
)

// translate rewrites the words in which MaxCompute's dialect differs from DuckDB's: names
// in back-ticks, strings in either quote with backslash escapes, numbers with a type
// suffix, the type DATETIME, the constructor ARRAY(…). Everything else stays as it is.
func translate(source string) (string, error) {
	tokens, err := ddl.Tokens(source)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	end := 0
	for i, tok := range tokens {
		out.WriteString(source[end:tok.Start])
		end = tok.End
		switch {
		case tok.Kind == ddl.Quoted:
			out.WriteString(quoteName(tok.Text))
		case tok.Kind == ddl.String:
			if strings.ContainsRune(tok.Text, 0) {
				return "", &Error{Code: codeSemantic, Pos: ddl.Position(source, tok.Start), Message: "a string literal with a NUL character is not supported"}
			}
			out.WriteString(quoteString(tok.Text))
		case tok.Kind == ddl.Number:
			out.WriteString(number(tok.Text))
		case tok.Is("DATETIME") && isType(tokens, i):
			out.WriteString("TIMESTAMP_MS")
		case tok.Is("ARRAY") && i+1 < len(tokens) && tokens[i+1].Is("("):
			out.WriteString("list_value")
		default:
			out.WriteString(source[tok.Start:tok.End])
		}
	}
	return out.String(), nil
}

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

// isType reports whether the word at i stands where a type does: before a literal or the
// end of a cast.
func isType(tokens []ddl.Token, i int) bool {
	if i+1 < len(tokens) && tokens[i+1].Kind == ddl.String {
		return true
	}
	return i > 0 && tokens[i-1].Is("AS") && i+1 < len(tokens) && tokens[i+1].Is(")")
}
