package instance

import (
	"math"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/sluice-io/sluice/emulator/internal/types"
)

func TestValueText_of_every_type(t *testing.T) {
	tests := []struct{ typ, json, want string }{
		{"boolean", "true", "true"},
		{"tinyint", "-128", "-128"},
		{"smallint", "300", "300"},
		{"int", "70000", "70000"},
		{"bigint", "9223372036854775807", "9223372036854775807"},
		{"float", "1.5", "1.5"},
		{"double", "1000000", "1000000.0"},
		{"double", "12345678", "1.2345678E7"},
		{"double", "0.0001", "1.0E-4"},
		{"decimal(10,2)", `"12.30"`, "12.3"},
		{"decimal(10,2)", `"-0.05"`, "-0.05"},
		{"decimal(10,0)", `"7"`, "7"},
		{"decimal", `"-12345678901234567890.5"`, "-12345678901234567890.5"},
		{"string", `"a\"b"`, `"a""b"`},
		{"string", `""`, `""`},
		{"char(4)", `"中"`, `"中"`},
		{"binary", `"AP8="`, `"AP8="`},
		{"binary", `"YWI="`, `"ab"`},
		{"json", `"{}"`, `"{}"`},
		{"date", `"1969-12-31"`, "1969-12-31"},
		{"datetime", `"1969-12-31 23:59:58.5"`, "1969-12-31 23:59:58"},
		{"timestamp", `{"sec":-2,"nano":500000001}`, "1969-12-31 23:59:58.500000001"},
		{"timestamp_ntz", `{"sec":-62135596800,"nano":0}`, "0001-01-01 00:00:00"},
		{"interval_day_time", `{"sec":86401,"nano":5}`, `"1 00:00:01.000000005"`},
		{"interval_day_time", `{"sec":-1,"nano":500000000}`, `"-0 00:00:00.500000000"`},
		{"interval_year_month", `{"months":-14}`, `"-1-2"`},
		{"array<bigint>", "[1,null]", `"[1, \N]"`},
		{"array<string>", `["a","b\"c",null]`, `"[""a"", ""b\""c"", \N]"`},
		{"map<string,double>", `[{"key":"k","value":2}]`, `"{""k"":2.0}"`},
		{"map<string,array<date>>", `[{"key":"k","value":["2024-01-02"]}]`, `"{""k"":[""2024-01-02""]}"`},
		{"struct<a:bigint,b:timestamp>", `{"a":1,"b":{"sec":0,"nano":0}}`, `"{a:1, b:""1970-01-01 00:00:00""}"`},
		{"bigint", "null", `\N`},
		{"string", "null", `\N`},
	}
	for _, tt := range tests {
		typ, err := types.Parse(tt.typ)
		if err != nil {
			t.Fatal(err)
		}
		schema := arrow.NewSchema([]arrow.Field{{Name: "c", Type: typ.Arrow(types.LayoutWide), Nullable: true}}, nil)
		batch, _, err := array.RecordFromJSON(memory.DefaultAllocator, schema, strings.NewReader(`[{"c":`+tt.json+`}]`))
		if err != nil {
			t.Fatalf("%s %s: %v", tt.typ, tt.json, err)
		}
		var out strings.Builder
		writeField(&out, batch.Column(0), 0, typ)
		if out.String() != tt.want {
			t.Errorf("%s %s = %s, want %s", tt.typ, tt.json, out.String(), tt.want)
		}
	}
}

func TestFloatText_of_what_is_no_number(t *testing.T) {
	for want, v := range map[string]float64{"NaN": math.NaN(), "Infinity": math.Inf(1), "-Infinity": math.Inf(-1), "0.0": 0, "-1.5E300": -1.5e300} {
		if got := types.FloatText(v, 64); got != want {
			t.Errorf("types.FloatText(%v) = %s, want %s", v, got, want)
		}
	}
}
