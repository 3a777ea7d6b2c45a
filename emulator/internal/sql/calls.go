package sql

import (
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-io/sluice/emulator/internal/ddl"
	"github.com/sluice-io/sluice/emulator/internal/types"
)

// Bounds of what a short text can grow to.
const (
	maxTranslated = 8 << 20
	// maxCopies bounds how often the innermost argument of nested calls is copied, because
	// functions that look at an argument twice hold it twice.
	maxCopies = 1 << 12
)

// argument is a range of tokens between the commas of a call.
type argument struct{ from, to int }

// arguments splits the parenthesis at open.
func (t *translator) arguments(open int) []argument {
	end := t.closes[open]
	if end == open+1 {
		return nil
	}
	var out []argument
	from := open + 1
	for i := from; i < end; i++ {
		if t.closes[i] > 0 {
			i = t.closes[i]
		} else if t.tokens[i].Is(",") {
			out = append(out, argument{from, i})
			from = i + 1
		}
	}
	return append(out, argument{from, end})
}

// call translates the call at i. It does nothing for functions that are DuckDB's as well.
func (t *translator) call(i int) (end int, done bool, err error) {
	name := strings.ToLower(t.tokens[i].Text)
	end = t.closes[i+1] + 1
	if reason, ok := refused[name]; ok {
		return 0, false, t.fail(codeSemantic, i, "function "+name+" is not supported by this endpoint"+reason)
	}
	args := t.arguments(i + 1)
	if name == "cast" || name == "try_cast" {
		done, err = t.cast(i, name, args)
		return end, done, err
	}
	if after, done, err := t.special(i, name, args); done || err != nil {
		return after, done, err
	}
	f := dialect[name]
	if f == nil || name[0] == '_' || t.spokenCall(args) || name == "filter" && t.at(i+2).Is("WHERE") {
		return i, false, nil
	}
	distinct := len(args) > 0 && args[0].from < args[0].to && t.tokens[args[0].from].Is("DISTINCT")
	if distinct {
		args[0].from++
	}
	template, ok := f.template(len(args))
	order, after, err := t.withinGroup(end)
	switch {
	case err != nil:
		return 0, false, err
	case after > end && (!ok || !strings.Contains(template, "$o")):
		return 0, false, t.fail(codeSemantic, i, "function "+name+" takes no WITHIN GROUP")
	case ok:
		return after, true, t.template(i, strings.ReplaceAll(template, "$o", order), args, distinct)
	}
	if counts := f.arities(); len(counts) > 0 && !slices.Contains(counts, len(args)) {
		return 0, false, t.fail(codeSemantic, i, "function "+name+" takes "+listed(counts)+", not "+strconv.Itoa(len(args)))
	}
	if !f.macro || distinct {
		return 0, false, t.fail(codeSemantic, i, "function "+name+" does not take these arguments")
	}
	return end, true, t.macroCall(i, name, f, args)
}

func (t *translator) macroCall(i int, name string, f *function, args []argument) error {
	return t.nested(i, f.copies, func() error {
		t.write(i, macroPrefix+name+"(")
		for n, a := range args {
			if n > 0 {
				t.out.WriteString(", ")
			}
			if err := t.span(a.from, a.to); err != nil {
				return err
			}
		}
		t.out.WriteString(")")
		return nil
	})
}

// nested guards what a call makes of its arguments against exponential growth.
func (t *translator) nested(i, copies int, write func() error) error {
	before := max(t.copies, 1)
	if t.copies = before * max(copies, 1); t.copies > maxCopies {
		return t.fail(codeSemantic, i, "function calls nested too deep")
	}
	defer func() { t.copies = before }()
	return write()
}

// spokenCall reports whether the arguments are words instead of a list: trim(both 'x' from
// y), extract(day from z).
func (t *translator) spokenCall(args []argument) bool {
	if len(args) != 1 {
		return false
	}
	for i := args[0].from; i < args[0].to; i++ {
		if t.closes[i] > 0 {
			i = t.closes[i]
		} else if t.tokens[i].Is("FROM") {
			return !t.tokens[args[0].from].Is("SELECT")
		}
	}
	return false
}

// template writes a template: $1 … are arguments, $d is DISTINCT or nothing, $* all
// arguments, $t the type that the second argument, a text, names, $s the arguments as
// fields of a struct that are named in turn, $c those with names of their own, $m keys and
// values, $w the texts of all but the first, $| all joined by ||, $n the condition that one is NULL, $k the branches of
// DECODE, $r all but the first, $i IGNORE NULLS if the
// last argument is true, $o the order that WITHIN GROUP gives, $q
// the number of the query.
func (t *translator) template(i int, text string, args []argument, distinct bool) error {
	copies := strings.Count(text, "$1") + strings.Count(text, "$n") + strings.Count(text, "$*") + strings.Count(text, "$w")*dialect["_texts"].copies
	if strings.Contains(text, "$k") {
		copies = len(args) / 2 //nolint:mnd // search and result come in pairs
	}
	return t.nested(i, copies, func() error {
		t.write(i, "")
		for {
			before, after, more := strings.Cut(text, "$")
			t.out.WriteString(before)
			if !more {
				return nil
			}
			if err := t.placeholder(i, after[0], args, distinct); err != nil {
				return err
			}
			text = after[1:]
		}
	})
}

func (t *translator) placeholder(i int, what byte, args []argument, distinct bool) error {
	switch what {
	case 'd':
		if distinct {
			t.out.WriteString("DISTINCT ")
		}
		return nil
	case 't':
		tok := t.at(args[1].from)
		parsed, err := parseSchema(tok.Text)
		if tok.Kind != ddl.String || args[1].to != args[1].from+1 || err != nil {
			return t.fail(codeSemantic, args[1].from, "a text that names a type was expected")
		}
		t.out.WriteString(duckType(parsed))
		return nil
	case '*':
		return t.joined(args, ", ", nothing, nothing)
	case 'r':
		return t.joined(args[min(1, len(args)):], ", ", nothing, nothing)
	case 'w':
		return t.joined(args[min(1, len(args)):], ", ", func(int) string { return macroPrefix + "_texts(" }, func(int) string { return ")" })
	case '|':
		return t.joined(args, " || ", func(int) string { return "(" }, func(int) string { return ")" })
	case 'n':
		return t.joined(args, " OR ", func(int) string { return "(" }, func(int) string { return ") IS NULL" })
	case 'q':
		t.out.WriteString(t.number)
		return nil
	case 'k':
		return t.branches(i, args)
	case 'c':
		return t.joined(args, ", ", func(n int) string { return "col" + strconv.Itoa(n+1) + ": " }, nothing)
	case 's':
		return t.namedFields(i, args)
	case 'm':
		return t.keysAndValues(i, args)
	case 'i':
		return t.ignoreNulls(args[len(args)-1])
	default:
		n := int(what - '1')
		if n < 0 || n >= len(args) {
			return t.fail(codeSemantic, i, "too few arguments")
		}
		return t.value(args[n])
	}
}

// value writes an argument. A lambda asks now and then whether the query is still wanted.
func (t *translator) value(a argument) error {
	arrow := t.arrow(a)
	if arrow == 0 {
		return t.span(a.from, a.to)
	}
	if err := t.span(a.from, arrow); err != nil {
		return err
	}
	t.out.WriteString(" -> CASE WHEN " + macroPrefix + "go_alive(" + t.number + ") THEN (")
	if err := t.span(arrow+2, a.to); err != nil { //nolint:mnd // the arrow's characters
		return err
	}
	t.out.WriteString(") END")
	return nil
}

func nothing(int) string { return "" }

// joined writes the arguments with words around and between them.
func (t *translator) joined(args []argument, between string, before, after func(n int) string) error {
	for n, a := range args {
		if n > 0 {
			t.out.WriteString(between)
		}
		t.out.WriteString(before(n))
		if err := t.span(a.from, a.to); err != nil {
			return err
		}
		t.out.WriteString(after(n))
	}
	return nil
}

// branches writes DECODE(e, s, r, …, d) as CASE.
func (t *translator) branches(i int, args []argument) error {
	if len(args) < 3 { //nolint:mnd // the value, what to look for, and its result
		return t.fail(codeSemantic, i, "too few arguments")
	}
	t.out.WriteString("CASE")
	n := 1
	for ; n+1 < len(args); n += 2 {
		parts := []struct {
			word string
			arg  argument
		}{{" WHEN (", args[0]}, {") IS NOT DISTINCT FROM (", args[n]}, {") THEN ", args[n+1]}}
		for _, p := range parts {
			t.out.WriteString(p.word)
			if err := t.span(p.arg.from, p.arg.to); err != nil {
				return err
			}
		}
	}
	if n < len(args) {
		t.out.WriteString(" ELSE ")
		if err := t.span(args[n].from, args[n].to); err != nil {
			return err
		}
	}
	t.out.WriteString(" END")
	return nil
}

// namedFields writes 'a', x, 'b', y as a: x, b: y.
func (t *translator) namedFields(i int, args []argument) error {
	if len(args) == 0 || len(args)%2 != 0 {
		return t.fail(codeSemantic, i, "names and values in turn were expected")
	}
	for n := 0; n < len(args); n += 2 {
		tok := t.at(args[n].from)
		if tok.Kind != ddl.String || args[n].to != args[n].from+1 || tok.Text == "" {
			return t.fail(codeSemantic, args[n].from, "the name of a field, in quotes, was expected")
		}
		if n > 0 {
			t.out.WriteString(", ")
		}
		t.out.WriteString(quoteName(tok.Text) + ": ")
		if err := t.span(args[n+1].from, args[n+1].to); err != nil {
			return err
		}
	}
	return nil
}

// ignoreNulls turns the argument that says so into the standard's words.
func (t *translator) ignoreNulls(a argument) error {
	word := t.at(a.from)
	switch {
	case a.to == a.from+1 && word.Is("TRUE"):
		t.out.WriteString(" IGNORE NULLS")
		return nil
	case a.to == a.from+1 && word.Is("FALSE"):
		return nil
	}
	return t.fail(codeSemantic, a.from, "true or false was expected: whether NULLs are ignored")
}

// keysAndValues writes k, v, k, v as [k, k], [v, v].
func (t *translator) keysAndValues(i int, args []argument) error {
	if len(args)%2 != 0 {
		return t.fail(codeSemantic, i, "keys and values in turn were expected")
	}
	for first := range 2 {
		if first > 0 {
			t.out.WriteString(", ")
		}
		t.out.WriteString("[")
		for n := first; n < len(args); n += 2 {
			if n > 1 {
				t.out.WriteString(", ")
			}
			if err := t.span(args[n].from, args[n].to); err != nil {
				return err
			}
		}
		t.out.WriteString("]")
	}
	return nil
}

// apart translates a range on its own.
func (t *translator) apart(a argument) (string, error) {
	sub := &translator{source: t.source, tokens: t.tokens, closes: t.closes, number: t.number, copies: t.copies}
	err := sub.span(a.from, a.to)
	return sub.out.String(), err
}

// cast translates CAST(x AS type) where the meaning differs: to integers, which cut the
// fraction off, and to text.
func (t *translator) cast(i int, name string, args []argument) (bool, error) {
	if len(args) == 0 {
		return false, nil
	}
	first, end := args[0].from, args[len(args)-1].to
	as := -1
	for k := first; k < end; k++ {
		if t.closes[k] > 0 {
			k = t.closes[k]
		} else if t.tokens[k].Is("AS") {
			as = k
		}
	}
	if as < 0 || as+1 >= end {
		return false, nil
	}
	parsed, err := types.Parse(t.source[t.tokens[as+1].Start:t.tokens[end-1].End])
	if err != nil && strings.Contains(t.source[t.tokens[as+1].Start:t.tokens[end-1].End], "(") {
		return false, t.fail(codeSemantic, as+1, err.Error())
	}
	if err != nil {
		return false, nil //nolint:nilerr // a name that DuckDB knows, or says that it does not
	}
	macro, known := castMacros[parsed.Kind]
	if !known {
		before, after := "", ""
		if parsed.Kind == types.Decimal { // a DOUBLE has the digits that it shows
			before, after = macroPrefix+"_decimal_text(", ")"
		}
		t.write(i, strings.ToUpper(name)+"("+before)
		if err := t.span(first, as); err != nil {
			return true, err
		}
		t.out.WriteString(after + " AS " + duckType(parsed) + ")")
		return true, nil
	}
	if name == "try_cast" {
		macro = "_try" + macro
	}
	return true, t.nested(i, dialect[macro].copies, func() error {
		t.write(i, macroPrefix+macro+"(")
		if err := t.span(first, as); err != nil {
			return err
		}
		switch parsed.Kind {
		case types.Char, types.Varchar:
			t.out.WriteString(", " + strconv.Itoa(parsed.Length))
		default:
		}
		t.out.WriteString(")")
		return nil
	})
}

// castMacros are the functions that cast to a type.
var castMacros = map[types.Kind]string{
	types.TinyInt: "_cast_tinyint", types.SmallInt: "_cast_smallint", types.Int: "_cast_int", types.BigInt: "_cast_bigint",
	types.Datetime: "_cast_datetime", types.Timestamp: "_cast_timestamp", types.TimestampNTZ: "_cast_timestamp", types.String: "_cast_string", types.Char: "_cast_char", types.Varchar: "_cast_char", types.Boolean: "_cast_boolean",
}
