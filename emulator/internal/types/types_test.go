package types_test

import (
	"errors"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/google/go-cmp/cmp"

	"github.com/sluice-io/sluice/emulator/internal/types"
)

func TestParseCanonicalText(t *testing.T) {
	for in, want := range map[string]string{
		"BIGINT":                      "bigint",
		" Integer ":                   "int",
		"DECIMAL":                     "decimal",
		"decimal( 10 , 2 )":           "decimal(10,2)",
		"decimal(10)":                 "decimal(10,0)",
		"decimal(54,18)":              "decimal(54,18)",
		"VARCHAR(10)":                 "varchar(10)",
		"Timestamp_NTZ":               "timestamp_ntz",
		"INTERVAL_DAY_TIME":           "interval_day_time",
		"array<Map<STRING , BIGINT>>": "array<map<string,bigint>>",
		"STRUCT<a:BIGINT,`b c`:struct<d : decimal(38,18)>>": "struct<a:bigint,`b c`:struct<d:decimal(38,18)>>",
		"struct<`x``y`:json>":                               "struct<`x``y`:json>",
	} {
		got, err := types.Parse(in)
		if err != nil {
			t.Errorf("Parse(%q): %v", in, err)
			continue
		}
		if got.String() != want {
			t.Errorf("Parse(%q) = %s, want %s", in, got, want)
		}
		again, err := types.Parse(got.String())
		if err != nil || !again.Equal(got) {
			t.Errorf("Parse(%q) again = %v, %v", got, again, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, in := range []string{"", "foo", "decimal(0,0)", "decimal(10,11)", "decimal(77,1)", "char", "char(0)", "char(256)", "varchar(65536)",
		"array<>", "array<bigint,bigint>", "map<string>", "struct<a>", "struct<a:bigint", "bigint x", "struct<`a:bigint>"} {
		if got, err := types.Parse(in); err == nil {
			t.Errorf("Parse(%q) = %v, want an error", in, got)
		}
	}
	if _, err := types.Parse("array<geography>"); !errors.Is(err, types.ErrUnsupported) {
		t.Errorf("geography: %v, want ErrUnsupported", err)
	}
}

func TestArrowForms(t *testing.T) {
	ns := &arrow.TimestampType{Unit: arrow.Nanosecond}
	for _, c := range []struct {
		text   string
		layout types.Layout
		want   arrow.DataType
	}{
		{"decimal", 0, &arrow.Decimal256Type{Precision: 54, Scale: 18}},
		{"decimal(38,2)", 0, &arrow.Decimal128Type{Precision: 38, Scale: 2}},
		{"int", 0, arrow.PrimitiveTypes.Int32},
		{"interval_year_month", 0, arrow.FixedWidthTypes.MonthInterval},
		{"datetime", 0, &arrow.TimestampType{Unit: arrow.Millisecond}},
		{"timestamp", types.LayoutNanos, ns},
		{"array<timestamp>", types.LayoutDayTime, arrow.ListOf(ns)},
		{"timestamp_ntz", types.LayoutWide, types.SecNano},
		{"interval_day_time", types.LayoutNanos, types.SecNano},
		{"interval_day_time", types.LayoutDayTime, arrow.FixedWidthTypes.DayTimeInterval},
		{"map<string,json>", 0, arrow.MapOf(arrow.BinaryTypes.String, arrow.BinaryTypes.String)},
	} {
		typ, err := types.Parse(c.text)
		if err != nil {
			t.Fatal(err)
		}
		if got := typ.Arrow(c.layout); !arrow.TypeEqual(got, c.want) {
			t.Errorf("%s in layout %d = %s, want %s", c.text, c.layout, got, c.want)
		}
	}
}

func TestParsePartitionSpec(t *testing.T) {
	type spec = types.PartitionSpec
	for in, want := range map[string]spec{
		"":                      nil,
		"pt=a":                  {{"pt", "a"}},
		"PT=a,hh=1":             {{"pt", "a"}, {"hh", "1"}},
		"pt=a/hh=1":             {{"pt", "a"}, {"hh", "1"}},
		"pt='a',hh=\"1\"":       {{"pt", "a"}, {"hh", "1"}},
		"pt = 'a/b=c' , hh= 1 ": {{"pt", "a/b=c"}, {"hh", "1"}}, //nolint:gocritic // the blanks are the case
		"dt=2024/01/01,hh=05":   {{"dt", "2024/01/01"}, {"hh", "05"}},
		`pt='it\'s'`:            {{"pt", "it's"}},
		"pt=a=b":                {{"pt", "a=b"}},
		"`pt`=中文":               {{"pt", "中文"}},
	} {
		got, err := types.ParsePartitionSpec(in)
		if err != nil {
			t.Errorf("ParsePartitionSpec(%q): %v", in, err)
		} else if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("ParsePartitionSpec(%q) -want +got:\n%s", in, diff)
		}
	}
	for _, in := range []string{"pt", "=a", "pt=", "pt=''", "pt='a", "pt='a'x", "pt=a,", "pt='a',", "pt=a,pt=b", "pt=\x00"} {
		if got, err := types.ParsePartitionSpec(in); !errors.Is(err, types.ErrPartitionSpec) {
			t.Errorf("ParsePartitionSpec(%q) = %v, %v, want ErrPartitionSpec", in, got, err)
		}
	}
}

func FuzzParsePartitionSpec(f *testing.F) {
	for _, s := range []string{"", "pt=a,hh=1", "pt='a\\'',hh=\"1\"", "dt=2024/01/01", "a=b=c,/d=e", "pt=a,", "`p`=x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		spec, err := types.ParsePartitionSpec(text)
		if err != nil {
			if !errors.Is(err, types.ErrPartitionSpec) {
				t.Fatalf("ParsePartitionSpec(%q): %v, want ErrPartitionSpec", text, err)
			}
			return
		}
		for i, v := range spec {
			if v.Column == "" || v.Value == "" {
				t.Fatalf("ParsePartitionSpec(%q)[%d] = %q: empty part", text, i, v)
			}
		}
	})
}

func FuzzParseType(f *testing.F) {
	for _, s := range []string{"bigint", "map<string,array<struct<a:decimal(10,2)>>>", "struct<`a``b`:char(3)>", "decimal("} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		typ, err := types.Parse(text)
		if err != nil {
			return
		}
		again, err := types.Parse(typ.String())
		if err != nil || !again.Equal(typ) {
			t.Fatalf("Parse(%q) = %s; parsed again %v, %v", text, typ, again, err)
		}
		typ.Arrow(types.LayoutWide)
	})
}
