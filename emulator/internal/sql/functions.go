package sql

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// macroPrefix begins the names under which the engine knows the functions below, so that
// they never hide one of DuckDB's.
const macroPrefix = "mc_"

// function is a function of MaxCompute that DuckDB has not, or spells or means otherwise.
// It is a template, by which a call is rewritten, or a macro in DuckDB, which may look at
// the types of its arguments.
type function struct {
	templates map[int]string // by number of arguments, -1 for any number
	macro     bool
	overloads []string // "(parameters) AS body"
	copies    int      // how often the macro holds one of its parameters at most
}

// template returns the template for a number of arguments.
func (f *function) template(args int) (string, bool) {
	if t, ok := f.templates[args]; ok {
		return t, true
	}
	t, ok := f.templates[anyNumber]
	return t, ok
}

const anyNumber = -1

// arities are the numbers of arguments that a function takes, in order; none if it takes any.
func (f *function) arities() []int {
	var out []int
	for n := range f.templates {
		if n == anyNumber {
			return nil
		}
		out = append(out, n)
	}
	for _, overload := range f.overloads {
		head, _, _ := strings.Cut(overload, ") AS ")
		out = append(out, len(parameterName.FindAllString(head, -1)))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// listed writes numbers of arguments: 2 or 3 arguments.
func listed(counts []int) string {
	var out strings.Builder
	for i, n := range counts {
		switch {
		case i > 0 && i == len(counts)-1:
			out.WriteString(" or ")
		case i > 0:
			out.WriteString(", ")
		}
		out.WriteString(strconv.Itoa(n))
	}
	if len(counts) == 1 && counts[0] == 1 {
		return out.String() + " argument"
	}
	return out.String() + " arguments"
}

// dialect are all functions of the tables functions_*.go, by lower-case name. A line of
// a table is
//
//	name(parameter TYPE, …) = body    an overload of a macro; @f(…) calls another one
//	name/2 => template                the rewriting of a call with two arguments
//	name => template                  the rewriting of a call with any number of arguments
//
// A name that begins with _ is the tables' own: queries cannot call it.
//
// Formats of dates are constants in DuckDB, which macros cannot have: hence templates.
var dialect = readFunctions(dateFunctions, stringFunctions, mathFunctions, aggregateFunctions, collectionFunctions, otherFunctions)

var (
	macroLine    = regexp.MustCompile(`^([a-z_0-9]+)\(([^)]*(?:\([^)]*\)[^)]*)*)\) = (.+)$`)
	templateLine = regexp.MustCompile(`^([a-z_0-9]+)(?:/(\d+))? => (.+)$`)
)

func readFunctions(tables ...string) map[string]*function {
	out := map[string]*function{}
	for _, table := range tables {
		for line := range strings.SplitSeq(table, "\n") {
			if line = strings.TrimSpace(line); line != "" {
				readFunction(out, line)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(out)) {
		out[name].copies = countCopies(out, name, nil)
	}
	return out
}

// readFunction panics on a line of another form: the tables are part of the program.
func readFunction(out map[string]*function, line string) {
	if m := templateLine.FindStringSubmatch(line); m != nil {
		args := anyNumber
		if m[2] != "" {
			args, _ = strconv.Atoi(m[2]) // digits
		}
		entry(out, m[1]).templates[args] = strings.ReplaceAll(m[3], "@", macroPrefix)
		return
	}
	m := macroLine.FindStringSubmatch(line)
	if m == nil {
		panic("no function: " + line)
	}
	f := entry(out, m[1])
	f.macro = true
	f.overloads = append(f.overloads, "("+m[2]+") AS "+strings.ReplaceAll(m[3], "@", macroPrefix))
}

func entry(out map[string]*function, name string) *function {
	if out[name] == nil {
		out[name] = &function{templates: map[int]string{}}
	}
	return out[name]
}

var (
	parameterName = regexp.MustCompile(`(?:^\(|, )([a-z_0-9]+)`)
	macroCalled   = regexp.MustCompile(macroPrefix + `([a-z_0-9]+)\(`)
)

// countCopies bounds how often a macro copies one argument: its own copies times those of
// the macros that it calls.
func countCopies(all map[string]*function, name string, within []string) int {
	f := all[name]
	if f == nil || slices.Contains(within, name) {
		return 1
	}
	most := 1
	for _, overload := range f.overloads {
		head, body, _ := strings.Cut(overload, ") AS ")
		own := 1
		for _, p := range parameterName.FindAllStringSubmatch(head, -1) {
			own = max(own, len(regexp.MustCompile(`\b`+p[1]+`\b`).FindAllString(body, -1)))
		}
		for _, called := range macroCalled.FindAllStringSubmatch(body, -1) {
			own = max(own, own*countCopies(all, called[1], append(within, name)))
		}
		most = max(most, own)
	}
	return min(most, maxCopies)
}

// definitions are the statements that define the macros, in an order in which each finds
// those that it calls. DuckDB looks at a body without the types of its arguments when it is
// defined, and where a call holds an aggregate also when it is used. So what depends on
// types asks for typeof, or is a function of package scalar: a macro's overloads by type
// would not do.
func definitions() []string {
	var out []string
	done := map[string]bool{}
	var define func(name string)
	define = func(name string) {
		f := dialect[name]
		if f == nil || !f.macro || done[name] {
			return
		}
		done[name] = true
		for _, called := range macroCalled.FindAllStringSubmatch(strings.Join(f.overloads, "\n"), -1) {
			define(called[1])
		}
		out = append(out, "CREATE MACRO "+macroPrefix+name+strings.Join(f.overloads, ", "))
	}
	for _, name := range slices.Sorted(maps.Keys(dialect)) {
		define(name)
	}
	return out
}

// refused are functions of MaxCompute that this endpoint has not, with what to add to the
// message.
var refused = map[string]string{
	"cluster_sample": "", "sample": "", "numeric_histogram": "", "unique_id": "", "trans_array": "", "trans_cols": "",
	"mask_hash": "", "is_encoding": "", "stack": ": use UNION ALL", "multimap_agg": "", "multimap_from_entries": "", "map_zip_with": "",
	"ngrams": "", "encode_entities": "", "compress": "", "decompress": "", "sym_encrypt": "", "sym_decrypt": "", "tokenize": "", "min_hash_list": "",
	"partition_exists": "", "get_userid": "", "get_idcard_age": "", "get_idcard_birthday": "", "get_idcard_sex": "",
	"json_explode": "", "current_user": "", "session_user": "", "hash": "", "version": "", "keyvalue_tuple": ": call keyvalue", "parse_url_tuple": ": call parse_url", "st_point": "", "transform_keys": "", "transform_values": "", "sessiontimezone": "",
}
