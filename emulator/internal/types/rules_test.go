package types_test

import (
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-io/sluice/emulator/internal/types"
)

func parse(t *testing.T, text string) types.Type {
	t.Helper()
	typ, err := types.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return typ
}

func TestParseAtTheEdges(t *testing.T) {
	nested := func(depth int) string {
		return strings.Repeat("array<", depth) + "int" + strings.Repeat(">", depth)
	}
	for text, ok := range map[string]bool{
		"decimal(1,0)": true, "decimal(1,1)": true, "decimal(76,76)": true, "decimal(76,77)": false, "decimal(77,0)": false, "decimal()": false, "decimal(1,)": false,
		"decimal(-1,0)": false, "decimal(1": false, "decimal(1,1": false, "numeric(3,1)": true, "integer": true,
		"char(1)": true, "char(255)": true, "char(256)": false, "char(x)": false, "char()": false, "char(1": false, "varchar(1)": true, "varchar(65535)": true, "varchar(65536)": false,
		"varchar(99999999999999999999)": false, nested(20): true, nested(21): false,
		"struct< `a``b` :int>": true, "struct<a$_9:int,Ä:int>": true, "struct<:int>": false, "struct<a int>": false, "struct<`a`": false, "struct<`": false, "struct<": false, "struct<`a``": false,
		"map<string,array<int>>": true, "map<array<int>,int>": false, "map<int,int,int>": false, "array<int,int>": false, "array<int": false, "array int": false,
		"int)": false, "int ;": false, " \t\r\nint\n": true, "vector": false, "blob": false,
	} {
		if typ, err := types.Parse(text); (err == nil) != ok {
			t.Errorf("Parse(%q) = %v, %v, want ok %t", text, typ, err, ok)
		}
	}
	for _, text := range []string{"geography", "VECTOR", "blob"} {
		if _, err := types.Parse(text); !errors.Is(err, types.ErrUnsupported) {
			t.Errorf("Parse(%s) = %v, want ErrUnsupported", text, err)
		}
	}
	var names []string
	for _, text := range []string{"array<int>", "map<int,int>", "struct<A:int,`b c`:int>"} {
		for _, c := range parse(t, text).Children {
			names = append(names, c.Name)
		}
	}
	if want := []string{"element", "key", "value", "A", "b c"}; !slices.Equal(names, want) {
		t.Errorf("names of children %q, want %q", names, want)
	}
}

func TestTypesAreEqualByTheirText(t *testing.T) {
	all := []string{
		"int", "bigint", "decimal", "decimal(10,2)", "decimal(10,3)", "decimal(11,2)", "char(3)", "char(4)", "varchar(3)", "array<int>", "array<bigint>", "map<int,int>", "map<int,bigint>",
		"struct<a:int>", "struct<b:int>", "struct<a:int,b:int>", "struct<a:bigint>", "array<struct<a:int>>", "array<struct<b:int>>",
	}
	for i, a := range all {
		for k, b := range all {
			if got := parse(t, a).Equal(parse(t, b)); got != (i == k) {
				t.Errorf("%s equal to %s: %t", a, b, got)
			}
		}
		text, err := json.Marshal(parse(t, a))
		var back types.Type
		if err != nil || json.Unmarshal(text, &back) != nil || !back.Equal(parse(t, a)) || string(text) != `"`+a+`"` && !strings.Contains(a, "<") {
			t.Errorf("%s as JSON: %s, %v, back %s", a, text, err, back)
		}
	}
	if !parse(t, "struct<A:int>").Equal(parse(t, "struct<a:int>")) {
		t.Error("the case of a field's name counts")
	}
	for text, want := range map[string]struct {
		depth             int
		nested, timestamp bool
	}{
		"int": {}, "timestamp": {0, false, true}, "array<int>": {1, true, false}, "map<int,array<timestamp>>": {2, true, true}, "struct<a:int,b:array<array<int>>,c:int>": {3, true, false},
		"struct<a:int,b:timestamp>": {1, true, true},
	} {
		typ := parse(t, text)
		if typ.Depth() != want.depth || typ.Nested() != want.nested || typ.Has(types.Timestamp) != want.timestamp {
			t.Errorf("%s: depth %d, nested %t, has a timestamp %t, want %+v", text, typ.Depth(), typ.Nested(), typ.Has(types.Timestamp), want)
		}
	}
	for name, want := range map[string]string{"": "``", "a": "a", "a b": "`a b`", "a`b": "`a``b`", "ä$_9": "ä$_9", "z9AZ": "z9AZ", "a-b": "`a-b`", "a{": "`a{`", "a@": "`a@`", "a[": "`a[`", "a:": "`a:`"} {
		typ := types.StructOf(types.Field{Name: name, Type: types.Type{Kind: types.Int}})
		if got := typ.String(); got != "struct<"+want+":int>" {
			t.Errorf("a field %q: %s", name, got)
		}
	}
}

// Each type widens to itself and to what follows it here, and to nothing else of all.
func TestWidensTo(t *testing.T) {
	wider := map[string][]string{
		"tinyint":       {"smallint", "int", "bigint", "double", "string", "decimal(3,0)", "decimal(5,2)", "decimal(18,0)", "decimal(20,1)", "decimal(38,18)", "decimal"},
		"smallint":      {"int", "bigint", "double", "string", "decimal(18,0)", "decimal(20,1)", "decimal(38,18)", "decimal"},
		"int":           {"bigint", "double", "string", "decimal(18,0)", "decimal(20,1)", "decimal(38,18)", "decimal"},
		"bigint":        {"string", "decimal(20,1)", "decimal(38,18)", "decimal"},
		"float":         {"double", "string"},
		"double":        {"string"},
		"decimal(3,0)":  {"decimal(5,2)", "decimal(18,0)", "decimal(20,1)", "decimal(38,18)", "decimal", "string"},
		"decimal(5,2)":  {"decimal(38,18)", "decimal", "string"},
		"decimal(18,0)": {"decimal(20,1)", "decimal(38,18)", "decimal", "string"}, "decimal(20,1)": {"decimal(38,18)", "decimal", "string"},
		"decimal(38,18)": {"decimal", "string"}, "decimal": {"string"},
		"char(3)": {"char(4)", "varchar(3)", "varchar(4)", "string"}, "char(4)": {"varchar(4)", "string"},
		"varchar(3)": {"varchar(4)", "string"}, "varchar(4)": {"string"},
		"string": nil, "boolean": nil, "date": nil, "timestamp": nil, "binary": nil, "array<int>": nil, "array<bigint>": nil,
	}
	for from, to := range wider {
		for other := range wider {
			want := other == from || slices.Contains(to, other)
			if got := parse(t, from).WidensTo(parse(t, other)); got != want {
				t.Errorf("%s widens to %s: %t, want %t", from, other, got, want)
			}
		}
	}
}

func TestNumbersAsText(t *testing.T) {
	for want, v := range map[string]float64{
		"NaN": math.NaN(), "Infinity": math.Inf(1), "-Infinity": math.Inf(-1), "0.0": 0, "-0.0": math.Copysign(0, -1), "1.0": 1, "-1.5": -1.5, "0.001": 0.001, "9.99E-4": 0.000999,
		"9999999.0": 9999999, "1.0E7": 1e7, "-1.0E7": -1e7, "1.25E10": 1.25e10, "1.0E-5": 1e-5, "1.7976931348623157E308": math.MaxFloat64, "1.0E100": 1e100,
		"4.9E-324": math.SmallestNonzeroFloat64, "-4.9E-324": -math.SmallestNonzeroFloat64, "1.0E-323": 2 * math.SmallestNonzeroFloat64, "1.5E-323": 3 * math.SmallestNonzeroFloat64,
	} {
		if got := types.FloatText(v, 64); got != want {
			t.Errorf("FloatText(%g) = %s, want %s", v, got, want)
		}
	}
	for want, v := range map[string]float32{"0.1": 0.1, "1.4E-45": math.SmallestNonzeroFloat32, "1.0E-43": 71 * math.SmallestNonzeroFloat32, "3.4028235E38": math.MaxFloat32} {
		if got := types.FloatText(float64(v), 32); got != want {
			t.Errorf("FloatText of a FLOAT = %s, want %s", got, want)
		}
	}
	for _, c := range []struct {
		v     int64
		scale int
		want  string
	}{
		{0, 0, "0"}, {-5, 0, "-5"}, {0, 2, "0"}, {5, 2, "0.05"}, {-5, 2, "-0.05"}, {50, 2, "0.5"}, {100, 2, "1"}, {-100, 2, "-1"}, {123, 2, "1.23"}, {1200, 2, "12"}, {10, 1, "1"}, {12, 2, "0.12"}, {1, 5, "0.00001"},
	} {
		if got := types.DecimalText(big.NewInt(c.v), c.scale); got != c.want {
			t.Errorf("DecimalText(%d, %d) = %s, want %s", c.v, c.scale, got, c.want)
		}
	}
}

func TestPartitionSpecAtTheEdges(t *testing.T) {
	for text, want := range map[string]string{
		"a=1/b=2": "a=1/b=2", "a=1,b=2,c=3": "a=1/b=2/c=3", "a=x/": "", "a=x,": "", "a=x/y": "a=x/y", "a=x,y,b=1": "a=x,y/b=1", "a=x,=y": "a=x,=y", "a=x/ `b`=1": "a=x/b=1", "a=x,b =1": "a=x/b=1",
		"a='x' , b='y'": "a=x/b=y", "a='x'/b='y'": "a=x/b=y", "a='x'b='y'": "", "a='x';b='y'": "", "a='x\\": "", "a='\\\\'": "a=\\", "a='x/'": "", "a=',x'": "a=,x",
		"a,b=1": "", "a/b=1": "", "a'=1": "", "a`b=1": "", "a\"=1": "", "`a`=1": "a=1", "  a = 1  ": "a=1", "a='1'  ": "a=1", "a=1,A=2": "", "=": "", "a=1,,b=2": "",
	} {
		spec, err := types.ParsePartitionSpec(text)
		if want == "" && !errors.Is(err, types.ErrPartitionSpec) || want != "" && (err != nil || spec.String() != want) {
			t.Errorf("ParsePartitionSpec(%q) = %q, %v, want %q", text, spec.String(), err, want)
		}
	}
	spec := types.PartitionSpec{{Column: "a", Value: "1"}}
	if v, ok := spec.Value("A"); v != "1" || !ok {
		t.Errorf("Value(A) = %q, %t", v, ok)
	}
	if v, ok := spec.Value("b"); v != "" || ok {
		t.Errorf("Value(b) = %q, %t", v, ok)
	}
}
