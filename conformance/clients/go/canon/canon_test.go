package canon

import (
	"encoding/json"
	"math"
	"math/big"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func typeOf(t *testing.T, text string) Type {
	t.Helper()
	got, err := ParseType(text)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestParseType_reads_every_type(t *testing.T) {
	array := func(of Type) Type { return Type{Kind: Array, Parts: []Column{{Type: of}}} }
	for text, want := range map[string]Type{
		"BIGINT": {Kind: BigInt}, "timestamp_ntz": {Kind: TimestampNTZ}, "decimal": {Kind: Decimal, Precision: 54, Scale: 18},
		"decimal(10, 2)": {Kind: Decimal, Precision: 10, Scale: 2}, "decimal(9)": {Kind: Decimal, Precision: 9}, "char(4)": {Kind: Char, Length: 4},
		"array<array<int>>":  array(array(Type{Kind: Int})),
		"map<string,bigint>": {Kind: Map, Parts: []Column{{Type: Type{Kind: String}}, {Type: Type{Kind: BigInt}}}},
		"struct<a:int, `b c`:varchar(2)>": {Kind: Struct, Parts: []Column{
			{Name: "a", Type: Type{Kind: Int}}, {Name: "b c", Type: Type{Kind: VarChar, Length: 2}},
		}},
	} {
		if diff := cmp.Diff(want, typeOf(t, text)); diff != "" {
			t.Errorf("ParseType(%q): -want +got\n%s", text, diff)
		}
	}
}

func TestParseType_refuses_what_is_none(t *testing.T) {
	for _, text := range []string{"", "text", "char", "char(x)", "decimal(1", "array<int", "array<int,int>", "map<int>", "struct<int>", "int int", "struct<`a:int>"} {
		if got, err := ParseType(text); err == nil {
			t.Errorf("ParseType(%q) = %v, want an error", text, got)
		}
	}
}

func TestValues_come_back_as_they_were(t *testing.T) {
	for _, tt := range []struct{ kind, text string }{
		{"bigint", "null"},
		{"boolean", "true"},
		{"tinyint", `"-128"`},
		{"bigint", `"9223372036854775807"`},
		{"interval_year_month", `"-13"`},
		{"double", `"8000000000000000"`},
		{"double", `"nan"`},
		{"double", `"fff0000000000000"`},
		{"float", `"00000001"`},
		{"float", `"nan"`},
		{"decimal(10,2)", `"-0.01"`},
		{"string", `"<\"中文𝄞\" & \u0001>"`},
		{"json", `"{\"a\":1}"`},
		{"binary", `"00ff"`},
		{"binary", `""`},
		{"date", `"0001-01-01"`},
		{"datetime", `"9999-12-31T23:59:59.999"`},
		{"timestamp", `"1969-12-31T23:59:59.999999999"`},
		{"timestamp_ntz", `"0001-01-01T00:00:00.000000001"`},
		{"interval_day_time", `"-1.999999999"`},
		{"array<int>", `[null,"1"]`},
		{"array<int>", `[]`},
		{"map<string,array<int>>", `[["a",null],["b",["1"]]]`},
		{"struct<a:int,b:map<int,double>>", `["1",[["2","3ff0000000000000"]]]`},
	} {
		of := typeOf(t, tt.kind)
		v, err := Parse(of, json.RawMessage(tt.text))
		if err != nil {
			t.Errorf("Parse(%s, %s): %v", tt.kind, tt.text, err)
			continue
		}
		if got, err := Format(of, v); err != nil || string(got) != tt.text {
			t.Errorf("%s %s came back as %s, %v", tt.kind, tt.text, got, err)
		}
	}
}

func TestFormat_orders_maps_by_the_text_of_their_keys(t *testing.T) {
	got, err := Format(typeOf(t, "map<bigint,bigint>"), []Pair{{int64(9), nil}, {int64(10), int64(1)}})
	if want := `[["10","1"],["9",null]]`; err != nil || string(got) != want {
		t.Errorf("Format = %s, %v, want %s", got, err, want)
	}
}

func TestFormat_refuses_a_value_of_another_type(t *testing.T) {
	for _, tt := range []struct {
		kind string
		v    Value
	}{
		{"bigint", "1"}, {"double", float32(1)}, {"string", []byte("a")}, {"date", int64(1)}, {"int", []Value{}}, {"array<int>", []Pair{}},
		{"struct<a:int>", []Value{}}, {"int", 1}, {"bigint", math.NaN()}, {"string", time.Time{}},
	} {
		if got, err := Format(typeOf(t, tt.kind), tt.v); err == nil {
			t.Errorf("Format(%s, %#v) = %s, want an error", tt.kind, tt.v, got)
		}
	}
}

func TestParse_refuses_what_is_no_value(t *testing.T) {
	for _, tt := range []struct{ kind, text string }{
		{"bigint", "1"}, {"bigint", `"x"`}, {"boolean", `"true"`}, {"double", `"1.5e"`}, {"binary", `"0"`}, {"date", `"2024-1-2"`}, {"datetime", `"2024-01-02 00:00:00"`},
		{"interval_day_time", `"1"`}, {"interval_day_time", `"x.1"`}, {"array<int>", `"1"`}, {"struct<a:int>", `[]`}, {"map<int,int>", `[1]`}, {"map<int,int>", `[["1","x"]]`},
	} {
		if got, err := Parse(typeOf(t, tt.kind), json.RawMessage(tt.text)); err == nil {
			t.Errorf("Parse(%s, %s) = %#v, want an error", tt.kind, tt.text, got)
		}
	}
}

func TestDecimals_have_exactly_their_scale(t *testing.T) {
	for _, tt := range []struct {
		text  string
		scale int
		want  string
	}{{"1", 2, "1.00"}, {"-1.5", 2, "-1.50"}, {"1.500", 2, "1.50"}, {"7.0", 0, "7"}} {
		if got, err := PlainDecimal(tt.text, tt.scale); err != nil || got != tt.want {
			t.Errorf("PlainDecimal(%s, %d) = %s, %v, want %s", tt.text, tt.scale, got, err, tt.want)
		}
	}
	for _, text := range []string{"1.005", "", "-", "1e5", "__ParseFromValue__"} {
		if got, err := PlainDecimal(text, 2); err == nil {
			t.Errorf("PlainDecimal(%q, 2) = %s, want an error", text, got)
		}
	}
	for want, unscaled := range map[string]int64{"0.00": 0, "0.05": 5, "-12.34": -1234, "100.00": 10000} {
		if got := ScaledDecimal(big.NewInt(unscaled), 2); got != want {
			t.Errorf("ScaledDecimal(%d, 2) = %s, want %s", unscaled, got, want)
		}
	}
}
