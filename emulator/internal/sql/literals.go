package sql

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-io/sluice/emulator/internal/ddl"
)

// suffixes are the literals' type suffixes, longest first. Integers have their bits.
var suffixes = []struct {
	suffix, duck, name string
	bits               int
}{
	{"BD", "DECIMAL(38,18)", "DECIMAL", 0},
	{"L", "BIGINT", "BIGINT", 64},     //nolint:mnd // the width of the type
	{"S", "SMALLINT", "SMALLINT", 16}, //nolint:mnd // see above
	{"Y", "TINYINT", "TINYINT", 8},    //nolint:mnd // see above
	{"D", "DOUBLE", "DOUBLE", 0},
	{"F", "FLOAT", "FLOAT", 0},
}

// literal translates the number at i, before which sign, a minus or nothing, belongs to it:
// the least integer of a type cannot be written without its sign. One with a point is a
// DOUBLE, as DuckDB takes it if it has an exponent, and so is an integer beyond BIGINT.
func (t *translator) literal(i int, sign string) (string, error) {
	text := t.tokens[i].Text
	upper := strings.ToUpper(text)
	if v, _ := strconv.ParseFloat(strings.TrimRight(upper, "BDLSYF"), 64); math.IsInf(v, 0) { // DuckDB's syntax tree could not hold it
		return "", t.fail(ddl.CodeParse, i, "a number is too large for DOUBLE")
	}
	for _, s := range suffixes {
		digits, ok := strings.CutSuffix(upper, s.suffix)
		if !ok || strings.ContainsAny(digits, "XBOLSYDF_") {
			continue
		}
		if s.bits > 0 {
			if _, err := strconv.ParseInt(sign+digits, 10, s.bits); err != nil {
				return "", t.fail(ddl.CodeParse, i, sign+text+" is no "+s.name)
			}
		}
		return "CAST(" + sign + digits + " AS " + s.duck + ")", nil
	}
	switch {
	case strings.Contains(text, ".") && !strings.ContainsAny(upper, "EX_"):
		return sign + text + "e0", nil
	case !numberForm.MatchString(text):
		return "", t.fail(ddl.CodeParse, i, text+" is no number")
	case !isDigits(text):
		return sign + text, nil
	}
	v, beyond := strconv.ParseInt(sign+text, 10, 64)
	if beyond != nil {
		return sign + text + "e0", nil //nolint:nilerr // digits that do not fit
	}
	switch {
	case v == math.MinInt64:
		return "CAST(" + sign + text + " AS BIGINT)", nil
	case v <= math.MaxInt32 && v >= math.MinInt32 && t.inArithmetic(i):
		return sign + "CAST(" + text + " AS INTEGER)", nil // DuckDB would give it the other side's type
	}
	return sign + text, nil
}

// numberForm is what remains once a suffix is off, hexadecimal digits included.
var numberForm = regexp.MustCompile(`^(?:[0-9]*\.?[0-9]*(?:[eE][+-]?[0-9]+)?|0[xX][0-9a-fA-F]+)$`)

func isDigits(text string) bool { return strings.Trim(text, "0123456789") == "" }

// inArithmetic reports whether the number at i is added, subtracted, multiplied or the like.
func (t *translator) inArithmetic(i int) bool {
	left := i - 1
	if t.at(left).Is("-") && !t.operand(left-1) {
		left--
	}
	if t.at(left).Is("INTERVAL") || t.at(left-1).Is("INTERVAL") {
		return false
	}
	return isArithmetic(t.at(left)) && t.operand(left-1) || isArithmetic(t.at(i+1)) && t.begins(i+2)
}

func isArithmetic(tok ddl.Token) bool {
	return tok.Is("+") || tok.Is("-") || tok.Is("*") || tok.Is("%")
}

// prefixed translates a text with a letter before it: X'41' is a BINARY, the others have no
// meaning, and DuckDB would give them another one.
func (t *translator) prefixed(i int) (done bool, err error) {
	word, text := t.tokens[i], t.at(i+1)
	if text.Kind != ddl.String || text.Start != word.End || len(word.Text) != 1 || t.at(i-1).Is(".") {
		return false, nil
	}
	digits := text.Text
	if !word.Is("X") || t.source[text.Start] != '\'' {
		return true, t.fail(ddl.CodeParse, i, "the letter "+word.Text+" before a text has no meaning; a BINARY is written X'4142'")
	}
	if strings.Trim(strings.ToLower(digits), "0123456789abcdef") != "" {
		return true, t.fail(ddl.CodeParse, i+1, "X'…' holds hexadecimal digits only")
	}
	if len(digits)%2 != 0 {
		digits = "0" + digits
	}
	t.write(i, "unhex("+quoteString(digits)+")")
	return true, nil
}

// negative translates a minus before a number, where it is the number's sign.
func (t *translator) negative(i int) (done bool, err error) {
	if t.at(i+1).Kind != ddl.Number || t.operand(i-1) {
		return false, nil
	}
	text, err := t.literal(i+1, "-")
	if err == nil {
		t.write(i, text)
	}
	return true, err
}

// moments are the ways to write a literal of a type.
var moments = map[string][]string{
	"DATE": {"2006-1-2"}, "DATETIME": {"2006-1-2 15:4:5", "2006-1-2"}, "TIMESTAMP": {"2006-1-2 15:4:5", "2006-1-2"}, "TIMESTAMP_NTZ": {"2006-1-2 15:4:5", "2006-1-2"},
}

// checkMoment says what is wrong with the text of a literal like DATE '2024-01-02'.
func (t *translator) checkMoment(i int) error {
	word := strings.ToUpper(t.tokens[i].Text)
	forms, known := moments[word]
	if text := t.at(i + 1); known && text.Kind == ddl.String && !t.operand(i-1) {
		fits := func(form string) bool { _, err := time.Parse(form, strings.TrimSpace(text.Text)); return err == nil }
		if !slices.ContainsFunc(forms, fits) {
			return t.fail(codeSemantic, i+1, "'"+text.Text+"' is no "+word+": "+map[bool]string{true: "yyyy-mm-dd", false: "yyyy-mm-dd hh:mi:ss"}[word == "DATE"]+" was expected")
		}
	}
	return nil
}
