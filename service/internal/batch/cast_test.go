package batch_test

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/batch"
	"github.com/sluice-io/sluice/service/internal/table"
)

func boolean(v bool) *sluicev1.Value {
	return &sluicev1.Value{Kind: &sluicev1.Value_Boolean{Boolean: v}}
}
func integer(v int64) *sluicev1.Value {
	return &sluicev1.Value{Kind: &sluicev1.Value_Integer{Integer: v}}
}
func number(v float64) *sluicev1.Value {
	return &sluicev1.Value{Kind: &sluicev1.Value_Number{Number: v}}
}
func text(v string) *sluicev1.Value { return &sluicev1.Value{Kind: &sluicev1.Value_Text{Text: v}} }
func raw(v string) *sluicev1.Value {
	return &sluicev1.Value{Kind: &sluicev1.Value_Binary{Binary: []byte(v)}}
}
func decimal(v string) *sluicev1.Value {
	return &sluicev1.Value{Kind: &sluicev1.Value_Decimal{Decimal: v}}
}
func date(y, m, d int32) *sluicev1.Value {
	return &sluicev1.Value{Kind: &sluicev1.Value_Date{Date: &sluicev1.Date{Year: y, Month: m, Day: d}}}
}
func at(s int64, n int32) *sluicev1.Value {
	return &sluicev1.Value{Kind: &sluicev1.Value_Instant{Instant: &timestamppb.Timestamp{Seconds: s, Nanos: n}}}
}
func span(s int64, n int32) *sluicev1.Value {
	return &sluicev1.Value{Kind: &sluicev1.Value_Interval{Interval: &durationpb.Duration{Seconds: s, Nanos: n}}}
}
func months(v int32) *sluicev1.Value { return &sluicev1.Value{Kind: &sluicev1.Value_Months{Months: v}} }
func list(v ...*sluicev1.Value) *sluicev1.Value {
	return &sluicev1.Value{Kind: &sluicev1.Value_List{List: &sluicev1.ListValue{Values: v}}}
}
func record(v ...*sluicev1.Value) *sluicev1.Value {
	return &sluicev1.Value{Kind: &sluicev1.Value_Record{Record: &sluicev1.StructValue{Fields: v}}}
}

const refused = "refused"

// Each row is one cell of the table in semantics.md 1.4: what a value becomes under EXACT and under ALLOW.
func TestCasts(t *testing.T) {
	const noon = 1767225600 + 43200 // 2026-01-01 12:00:00
	cases := []struct {
		typ          string
		in           *sluicev1.Value
		exact, allow any
	}{
		{"bigint", integer(5), int64(5), int64(5)},
		{"bigint", boolean(true), refused, int64(1)},
		{"bigint", number(4), refused, int64(4)},
		{"bigint", number(4.5), refused, refused},
		{"bigint", number(math.NaN()), refused, refused},
		{"bigint", number(1 << 63), refused, refused},
		{"bigint", text("-12"), refused, int64(-12)},
		{"bigint", text("1e3"), refused, refused},
		{"bigint", text(" 12"), refused, refused},
		{"bigint", text("0x10"), refused, refused},
		{"bigint", text(""), refused, refused},
		{"bigint", text("9223372036854775808"), refused, refused},
		{"bigint", integer(math.MinInt64), refused, refused},
		{"bigint", integer(math.MinInt64 + 1), int64(math.MinInt64 + 1), int64(math.MinInt64 + 1)},
		{"bigint", decimal("7.00"), refused, int64(7)},
		{"bigint", raw("7"), refused, refused},
		{"tinyint", integer(128), refused, refused},
		{"tinyint", integer(-128), int64(-128), int64(-128)},
		{"smallint", integer(32768), refused, refused},
		{"int", integer(2147483648), refused, refused},
		{"int", text("2147483647"), refused, int64(2147483647)},
		{"double", number(math.Inf(-1)), math.Inf(-1), math.Inf(-1)},
		{"double", integer(1 << 53), refused, float64(1 << 53)},
		{"double", integer(1<<53 + 1), refused, refused},
		{"double", integer(math.MaxInt64), refused, refused},
		{"double", boolean(true), refused, 1.0},
		{"double", text("1.5e3"), refused, 1500.0},
		{"double", text("Infinity"), refused, math.Inf(1)},
		{"double", text("inf"), refused, refused},
		{"double", text("nan"), refused, refused},
		{"double", text("0x1p3"), refused, refused},
		{"double", text("1e400"), refused, refused},
		{"double", text("1e-400"), refused, refused},
		{"double", text("0e-400"), refused, 0.0},
		{"float", number(1e39), refused, refused},
		{"float", number(0.1), float64(float32(0.1)), float64(float32(0.1))},
		{"float", text("1e39"), refused, refused},
		{"boolean", integer(1), refused, true},
		{"boolean", integer(2), refused, refused},
		{"boolean", text("TRUE"), refused, true},
		{"boolean", text("1"), refused, refused},
		{"boolean", number(1), refused, refused},
		{"string", raw("é"), "é", "é"},
		{"string", raw("\xff"), refused, refused},
		{"string", integer(-7), refused, "-7"},
		{"string", number(0.1), refused, "0.1"},
		{"string", number(1e300), refused, "1e+300"},
		{"string", number(5), refused, "5"},
		{"string", boolean(false), refused, "false"},
		{"string", decimal("-0.050"), refused, "-0.050"},
		{"string", decimal("1e2"), refused, "100"},
		{"string", date(2026, 1, 2), refused, "2026-01-02"},
		{"string", at(noon, 120000000), refused, "2026-01-01 12:00:00.12"},
		{"string", list(), refused, refused},
		{"varchar(3)", text("中文字"), "中文字", "中文字"},
		{"varchar(3)", text("abcd"), refused, refused},
		{"varchar(3)", integer(1234), refused, refused},
		{"char(4)", text("abcde"), refused, refused},
		{"json", text("{"), refused, refused},
		{"datetime", at(noon, 5e6), int64(noon*1000 + 5), int64(noon*1000 + 5)},
		{"datetime", at(noon, 5e6+1), refused, int64(noon*1000 + 5)},
		{"datetime", integer(1767225600000), refused, int64(1767225600000)},
		{"datetime", text("2026-01-01 12:00:00.123456789"), refused, int64(noon*1000 + 123)},
		{"datetime", text("2026-01-02T03:04:05Z"), refused, refused},
		{"datetime", text("2026-02-30"), refused, refused},
		{"datetime", text("03:04:05"), refused, int64(11045000)},
		{"datetime", date(2026, 1, 1), int64(1767225600000), int64(1767225600000)},
		{"datetime", at(253402300800, 0), refused, refused},
		{"date", text("20260102"), refused, int64(20455)},
		{"date", text("2026-13-01"), refused, refused},
		{"date", at(noon, 0), refused, int64(20454)},
		{"date", at(1767225600, 0), int64(20454), int64(20454)},
		{"date", date(2026, 2, 30), refused, refused},
		{"date", date(0, 1, 1), refused, refused},
		{"timestamp", text("2026-01-01 12:00:00.123456789"), refused, instant{noon, 123456789}},
		{"timestamp", at(-62135596800, 0), instant{-62135596800, 0}, instant{-62135596800, 0}},
		{"timestamp", at(-62135596801, 0), refused, refused},
		{"timestamp", at(0, -1), refused, refused},
		{"timestamp_ntz", number(1), refused, refused},
		{"decimal(10,2)", decimal("1.005"), refused, "1.01"},
		{"decimal(10,2)", decimal("-1.005"), refused, "-1.01"},
		{"decimal(10,2)", decimal("1.004"), refused, "1.00"},
		{"decimal(10,2)", decimal("123456789.0"), refused, refused},
		{"decimal(10,2)", decimal("99999999.99"), "99999999.99", "99999999.99"},
		{"decimal(10,2)", decimal("99999999.995"), refused, refused},
		{"decimal(10,2)", integer(3), "3.00", "3.00"},
		{"decimal(10,2)", number(0.1), refused, "0.10"},
		{"decimal(10,2)", number(math.NaN()), refused, refused},
		{"decimal(10,2)", text("12.5"), refused, "12.50"},
		{"decimal(10,2)", text("1e99999999"), refused, refused},
		{"decimal(10,2)", text(strings.Repeat("1", 2000)), refused, refused},
		{"decimal(38,18)", decimal("12345678901234567890.123456789012345678"), "12345678901234567890.123456789012345678", "12345678901234567890.123456789012345678"},
		{"decimal", decimal(strings.Repeat("9", 36)), strings.Repeat("9", 36) + ".000000000000000000", strings.Repeat("9", 36) + ".000000000000000000"},
		{"decimal", decimal("1" + strings.Repeat("0", 36)), refused, refused},
		{"binary", text("é"), refused, "é"},
		{"binary", raw("\x00\xff"), "\x00\xff", "\x00\xff"},
		{"binary", integer(1), refused, refused},
		{"interval_day_time", span(-1, -5), instant{-2, 999999995}, instant{-2, 999999995}},
		{"interval_day_time", span(1, -5), refused, refused},
		{"interval_year_month", months(-14), int64(-14), int64(-14)},
		{"array<bigint>", list(integer(1), &sluicev1.Value{}), []any{int64(1), nil}, []any{int64(1), nil}},
		{"array<bigint>", text(`[1,"2",null]`), refused, []any{int64(1), int64(2), nil}},
		{"array<bigint>", text(`[1,"x"]`), refused, refused},
		{"array<bigint>", text(`{}`), refused, refused},
		{"array<bigint>", text(`[1`), refused, refused},
		{"array<varchar(3)>", list(text("abcd")), refused, refused},
		{"map<bigint,string>", text(`{"1":"a"}`), refused, pairs{{int64(1), "a"}}},
		{"struct<a:bigint,b:string>", text(`{"B":"x"}`), refused, []any{nil, "x"}},
		{"struct<a:bigint,b:string>", text(`{"c":1}`), refused, refused},
		{"struct<a:bigint,b:binary>", text(`{"a":9223372036854775807,"b":"AP8="}`), refused, []any{int64(math.MaxInt64), "\x00\xff"}},
		{"struct<a:bigint,b:string>", record(integer(1)), refused, refused},
		{"array<array<int>>", text("[[1],[],null]"), refused, []any{[]any{int64(1)}, []any{}, nil}},
	}
	for _, c := range cases {
		for cast, want := range map[batch.Cast]any{batch.CastExact: c.exact, batch.CastAllow: c.allow} {
			cols := []table.Column{{Name: "x", Type: table.MustParseType(c.typ)}}
			l := compile(t, cols, batch.Definition{}, cast)
			in := &sluicev1.RowList{Rows: []*sluicev1.Row{{Values: []*sluicev1.Value{{}}}, {Values: []*sluicev1.Value{c.in}}}}
			checked, err := l.Check(batch.Incoming{List: in})
			if want == refused {
				checkRefused(t, c.typ, c.in, err)
				continue
			}
			if err != nil {
				t.Errorf("%v into %s, cast %d: %v", c.in, c.typ, cast, err)
				continue
			}
			got := checkedRows(t, cols, checked)[1][0]
			if s, ok := want.(string); ok && cols[0].Type.Kind == table.KindDecimal {
				want = unscaled(t, s)
			}
			if diff := cmp.Diff(want, got, compare); diff != "" {
				t.Errorf("%v into %s, cast %d:\n%s", c.in, c.typ, cast, diff)
			}
		}
	}
}

func checkRefused(t *testing.T, typ string, in *sluicev1.Value, err error) {
	t.Helper()
	r := apierr.ReasonOf(err)
	if r != apierr.TypeMismatch && r != apierr.BadValues {
		t.Errorf("%v into %s: error %v, want TYPE_MISMATCH", in, typ, err)
		return
	}
	found, total := apierr.From(err).Rows()
	if len(found) != 1 || total != 1 || found[0].Row != 1 || found[0].Column != "x" {
		t.Errorf("%v into %s: row errors %+v", in, typ, found)
	}
}
