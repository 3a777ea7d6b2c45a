package ddl

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-io/sluice/internal/testkit"
)

// What each of many texts means, or why it is refused and where: testdata/statements.txt
// has a text in one line, with \n, \t, \x (a byte that is no UTF-8) and \ufeff escaped, and
// below it what Parse makes of it.
func TestParse_outlines(t *testing.T) {
	const file = "testdata/statements.txt"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const arrow = "\t→ "
	unescape := strings.NewReplacer(`\n`, "\n", `\t`, "\t", `\x`, "\xff", `\ufeff`, "\ufeff")
	var got strings.Builder
	texts := 0
	for line := range strings.Lines(string(data)) {
		sql := strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(sql, arrow) {
			continue
		}
		texts++
		fmt.Fprintf(&got, "%s\n%s%s\n", sql, arrow, strings.ReplaceAll(outline(unescape.Replace(sql)), "\n", `\n`))
	}
	if texts < 200 {
		t.Errorf("%d texts in %s", texts, file)
	}
	testkit.Golden(t, file, []byte(got.String()))
}

// outline is what Parse makes of a text in one line: settings, variables, each statement's
// type and what is set of it without places; or the error.
func outline(sql string) string {
	script, err := Parse(sql)
	if err != nil {
		return err.Error()
	}
	var out []string
	for _, s := range script.Settings {
		out = append(out, s.Key+"="+s.Value)
	}
	for _, v := range script.Variables {
		out = append(out, "@"+v.Name+" "+fields(v.Query))
	}
	statements := []Statement{script.Statement}
	switch s := script.Statement.(type) {
	case nil:
		statements = nil
	case *Block:
		statements = s.Statements
	}
	for _, s := range statements {
		out = append(out, strings.TrimPrefix(fmt.Sprintf("%T ", s), "*ddl.")+fields(s))
	}
	return strings.Join(out, "; ")
}

// fields shows what is not empty of a part of a statement.
func fields(part any) string {
	data, err := json.Marshal(part)
	if err != nil {
		panic(err)
	}
	var tree any
	if err := json.Unmarshal(data, &tree); err != nil {
		panic(err)
	}
	return show(tree)
}

func show(tree any) string {
	switch v := tree.(type) {
	case map[string]any:
		if parts, ok := v["Parts"].([]any); ok {
			return strings.Join(each(parts), ".")
		}
		var out []string
		for _, key := range slices.Sorted(maps.Keys(v)) {
			value := show(v[key])
			place := key == "Pos" || key == "TypePos" || key == "Offset" && value != "-1" || key == "Lifecycle" && value == "-1"
			if value != "" && value != "{}" && !place {
				out = append(out, key+":"+value)
			}
		}
		return "{" + strings.Join(out, " ") + "}"
	case []any:
		if len(v) == 0 {
			return ""
		}
		return "[" + strings.Join(each(v), ", ") + "]"
	case nil:
		return ""
	case bool:
		if !v {
			return ""
		}
		return "yes"
	case float64:
		if v == 0 {
			return ""
		}
	}
	return fmt.Sprint(tree)
}

func each(list []any) (out []string) {
	for _, v := range list {
		out = append(out, show(v))
	}
	return out
}

func TestParse_bounds_a_script(t *testing.T) {
	for n, want := range map[int]string{1000: "", 1001: "ODPS-0130071:[1,9001] Semantic analysis exception - a script has at most 1000 statements"} {
		_, err := Parse(strings.Repeat("select 1;", n))
		if (err == nil) != (want == "") || err != nil && err.Error() != want {
			t.Errorf("%d statements: %v, want %q", n, err, want)
		}
	}
	for depth, ok := range map[int]bool{100: true, 101: false} {
		_, err := Parse("create table t (a " + strings.Repeat("array<", depth) + "int" + strings.Repeat(">", depth) + ")")
		if (err == nil) != ok {
			t.Errorf("a type nested %d deep: %v", depth, err)
		}
	}
}

func TestTokens_of_every_kind(t *testing.T) {
	for source, want := range map[string]string{
		"1e5 1E-5 1e+5 1ex 1e 1e+ 1.e5 1.5.2 1L 2.5BD": "1e5|1E-5|1e+5|1ex|1e|1e|+|1.e5|1.5|.2|1L|2.5BD",
		".5 .a . a.b":             ".5|.|a|.|a|.|b",
		"0 9 :;/ 0a":              "0|9|:|;|/|0a",
		`'\u1' '\uzzzz' '\u4e2d'`: "u1|uzzzz|中",
		`'\b\r\t\0\Z\q\中'`:        "\b\r\t\x00\x1aq中",
		`"a'b" 'a"b' "" ''`:       `a'b|a"b||`,
		"`a``b` ``":               "a`b|",
		"--a\nb--c":               "b",
		"/**/a/* * / */b/*/*/c":   "a|b|c",
		"\ufeffa\u3000b\u00a0c":   "a|b|c",
		"ä_1$x 表1 $a":             "ä_1$x|表1|$|a",
		"1 --":                    "1",
		"1 -":                     "1|-",
	} {
		tokens, err := Tokens(source)
		var got []string
		for _, tok := range tokens {
			got = append(got, tok.Text)
		}
		if text := strings.Join(got, "|"); text != want || err != nil {
			t.Errorf("Tokens(%q) = %q, %v, want %q", source, text, err, want)
		}
	}
	for _, open := range []string{`'a\`, `'\u4e2d`, "'a''", `"a\"`, "`a``", "/*", "/*/", "a /* *"} {
		if tokens, err := Tokens(open); err == nil {
			t.Errorf("Tokens(%q) = %v, want an error", open, tokens)
		}
	}
}

func TestPosition_stays_within_the_text(t *testing.T) {
	for offset, want := range map[int]Pos{-1: {1, 1}, 0: {1, 1}, 2: {1, 2}, 3: {2, 1}, 4: {2, 2}, 99: {2, 2}} {
		if got := Position("ä\nb", offset); got != want {
			t.Errorf("Position at %d = %v, want %v", offset, got, want)
		}
	}
}
