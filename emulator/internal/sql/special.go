package sql

import (
	"errors"
	"strconv"
	"strings"

	"github.com/sluice-io/sluice/emulator/internal/ddl"
	"github.com/sluice-io/sluice/emulator/internal/types"
)

// special translates calls whose form no template has. end tells where to go on.
func (t *translator) special(i int, name string, args []argument) (end int, done bool, err error) {
	switch name {
	case "explode", "posexplode", "inline", "json_tuple":
		return t.generator(i, name, args)
	case "count":
		return t.count(i, args)
	case "max_pt":
		return t.maxPartition(i, args)
	case "greatest", "least", "struct", "coalesce", "named_struct":
		if len(args) == 0 {
			return 0, false, t.fail(codeSemantic, i, "function "+name+" needs arguments")
		}
	case "max", "min", "sum", "avg":
		if len(args) != 1 {
			return 0, false, t.fail(codeSemantic, i, "function "+name+" takes 1 argument, not "+strconv.Itoa(len(args)))
		}
	case "sequence":
		if len(args) == 3 && (t.at(args[2].from).Is("INTERVAL") || t.at(args[2].from+1).Is("INTERVAL")) { //nolint:mnd // the step is the third
			return t.closes[i+1] + 1, true, t.macroCall(i, "_moments", dialect["_moments"], args)
		}
	case "array_sort":
		if len(args) > 1 {
			return 0, false, t.fail(codeSemantic, i, "function array_sort with a comparator is not supported by this endpoint: sort_array(a, false) sorts the other way")
		}
	case "transform", "filter", "any_match", "all_match":
		if len(args) == 2 && t.lambdaOf(args[1]) > 1 { //nolint:mnd // an array and a lambda
			return 0, false, t.fail(codeSemantic, args[1].from, "function "+name+" wants a lambda of one parameter: x -> …")
		}
	}
	return i, false, nil
}

// maxPartition writes MAX_PT('table') as the value it has when the query begins: a constant, so that it chooses
// partitions as one does.
func (t *translator) maxPartition(i int, args []argument) (end int, done bool, err error) {
	name, plain := "", len(args) == 1 && args[0].to == args[0].from+1 && t.at(args[0].from).Kind == ddl.String
	if plain {
		name = t.at(args[0].from).Text
	}
	if parts := strings.Count(name, ".") + 1; !plain || parts > 3 { //nolint:mnd // project, schema, table
		return 0, false, t.fail(codeSemantic, i, "function max_pt takes the name of a table as a text: max_pt('project.table')")
	}
	value := ""
	if t.tables != nil {
		parts, ok := t.tables.(Partitioned)
		if !ok {
			return 0, false, t.fail(codeSemantic, i, "function max_pt: not supported here")
		}
		value, err = parts.MaxPartition(strings.Split(name, "."))
		switch {
		case errors.Is(err, ErrNoTable):
			return 0, false, &Error{
				Code: codeNoTable, Pos: ddl.Position(t.source, t.at(args[0].from).Start),
				Message: "Table not found - table " + name + " cannot be resolved",
			}
		case errors.Is(err, ErrNoPartition):
			return 0, false, t.fail(codeSemantic, i, "function max_pt: "+err.Error())
		case err != nil:
			return 0, false, err
		}
	}
	t.write(i, quoteString(value))
	return t.closes[i+1] + 1, true, nil
}

// lambdaOf is the number of parameters of the lambda that an argument is, 0 if it is none.
func (t *translator) lambdaOf(a argument) int {
	if t.arrow(a) > 0 && t.at(a.from).Is("(") {
		return len(t.arguments(a.from))
	}
	return min(t.arrow(a), 1)
}

// arrow is where the arrow of the lambda stands that an argument is, 0 if it is none.
func (t *translator) arrow(a argument) int {
	at := a.from + 1
	if t.at(a.from).Is("(") {
		at = t.closes[a.from] + 1
	} else if !t.isName(a.from) {
		return 0
	}
	if at+1 < a.to && t.at(at).Is("-") && t.at(at+1).Is(">") && t.at(at).End == t.at(at+1).Start {
		return at
	}
	return 0
}

// count writes COUNT(DISTINCT a, b), which leaves out rows where one is NULL.
func (t *translator) count(i int, args []argument) (end int, done bool, err error) {
	switch len(args) {
	case 0:
		return 0, false, t.fail(codeSemantic, i, "function count needs an argument: count(*)")
	case 1:
		return i, false, nil
	}
	if !t.at(args[0].from).Is("DISTINCT") {
		return 0, false, t.fail(codeSemantic, i, "function count takes one argument, or several behind DISTINCT")
	}
	args[0].from++
	t.write(i, "count(DISTINCT CASE WHEN ")
	if err = t.joined(args, " OR ", func(int) string { return "(" }, func(int) string { return ") IS NULL" }); err != nil {
		return 0, false, err
	}
	t.out.WriteString(" THEN NULL ELSE row(")
	if err = t.joined(args, ", ", nothing, nothing); err != nil {
		return 0, false, err
	}
	t.out.WriteString(") END)")
	return t.closes[i+1] + 1, true, nil
}

// withinGroup reads WITHIN GROUP (ORDER BY …) at i; after is i if there is none.
func (t *translator) withinGroup(i int) (order string, after int, err error) {
	if !t.at(i).Is("WITHIN") || !t.at(i+1).Is("GROUP") || !t.at(i+2).Is("(") {
		return "", i, nil
	}
	end := t.closes[i+2]
	if !t.at(i + 3).Is("ORDER") {
		return "", 0, t.fail(ddl.CodeParse, i+3, "WITHIN GROUP needs ORDER BY") //nolint:mnd // behind the parenthesis
	}
	order, err = t.apart(argument{i + 3, end})
	return " " + order, end + 1, err
}

// parseSchema reads a type, or the fields of a STRUCT: a int, b string.
func parseSchema(text string) (types.Type, error) {
	parsed, err := types.Parse(text)
	if err == nil {
		return parsed, nil
	}
	tokens, lexed := ddl.Tokens(text)
	if lexed != nil {
		return parsed, err
	}
	var out strings.Builder
	depth, named := 0, false
	for i, tok := range tokens {
		switch {
		case tok.Is("<"), tok.Is("("):
			depth++
		case tok.Is(">"), tok.Is(")"):
			depth--
		}
		if i > 0 {
			out.WriteString(text[tokens[i-1].End:tok.Start])
		}
		out.WriteString(text[tok.Start:tok.End])
		if depth > 0 {
			continue
		}
		switch {
		case tok.Is(","):
			named = false
		case !named && (i+1 == len(tokens) || !tokens[i+1].Is(":")):
			out.WriteString(":")
			named = true
		default:
			named = true
		}
	}
	fields, failed := types.Parse("struct<" + out.String() + ">")
	if failed != nil {
		return parsed, err
	}
	return fields, nil
}
