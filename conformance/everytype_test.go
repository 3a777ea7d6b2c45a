package conformance

import (
	"math"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
)

// everyType is a table with a column of every type of docs/api.md 4.2, nested ones included.
var everyType = []string{
	"c_boolean boolean", "c_tinyint tinyint", "c_smallint smallint", "c_int int", "c_bigint bigint",
	"c_float float", "c_double double",
	"c_decimal decimal(10,2)", "c_decimal38 decimal(38,18)", "c_decimalplain decimal",
	"c_string string", "c_char char(4)", "c_varchar varchar(4)", "c_binary binary", "c_json json",
	"c_date date", "c_datetime datetime", "c_timestamp timestamp", "c_timestamp_ntz timestamp_ntz",
	"c_day_time interval_day_time", "c_year_month interval_year_month",
	"c_array array<bigint>", "c_map map<string,bigint>", "c_struct struct<a:bigint,b:string>",
	"c_nested array<struct<k:string,v:array<int>,m:map<int,double>>>",
}

// The constructors of values; null is NULL.
func null() *sluicev1.Value { return &sluicev1.Value{} }
func boolean(b bool) *sluicev1.Value {
	return &sluicev1.Value{Kind: &sluicev1.Value_Boolean{Boolean: b}}
}
func integer(n int64) *sluicev1.Value {
	return &sluicev1.Value{Kind: &sluicev1.Value_Integer{Integer: n}}
}
func number(f float64) *sluicev1.Value {
	return &sluicev1.Value{Kind: &sluicev1.Value_Number{Number: f}}
}
func text(s string) *sluicev1.Value { return &sluicev1.Value{Kind: &sluicev1.Value_Text{Text: s}} }
func binaryOf(b ...byte) *sluicev1.Value {
	return &sluicev1.Value{Kind: &sluicev1.Value_Binary{Binary: b}}
}
func decimal(s string) *sluicev1.Value {
	return &sluicev1.Value{Kind: &sluicev1.Value_Decimal{Decimal: s}}
}
func date(y, m, d int32) *sluicev1.Value {
	return &sluicev1.Value{Kind: &sluicev1.Value_Date{Date: &sluicev1.Date{Year: y, Month: m, Day: d}}}
}
func instant(seconds int64, nanos int32) *sluicev1.Value {
	return &sluicev1.Value{Kind: &sluicev1.Value_Instant{Instant: &timestamppb.Timestamp{Seconds: seconds, Nanos: nanos}}}
}
func months(n int32) *sluicev1.Value { return &sluicev1.Value{Kind: &sluicev1.Value_Months{Months: n}} }
func list(vs ...*sluicev1.Value) *sluicev1.Value {
	return &sluicev1.Value{Kind: &sluicev1.Value_List{List: &sluicev1.ListValue{Values: vs}}}
}
func record(vs ...*sluicev1.Value) *sluicev1.Value {
	return &sluicev1.Value{Kind: &sluicev1.Value_Record{Record: &sluicev1.StructValue{Fields: vs}}}
}

// interval takes floored seconds and nanoseconds 0…999,999,999, and makes the Duration that means the same.
func interval(seconds int64, nanos int32) *sluicev1.Value {
	if seconds < 0 && nanos > 0 {
		seconds, nanos = seconds+1, nanos-1e9
	}
	return &sluicev1.Value{Kind: &sluicev1.Value_Interval{Interval: &durationpb.Duration{Seconds: seconds, Nanos: nanos}}}
}

func mapping(entries ...*sluicev1.Value) *sluicev1.Value {
	m := &sluicev1.MapValue{}
	for i := 0; i < len(entries); i += 2 {
		m.Entries = append(m.Entries, &sluicev1.MapEntry{Key: entries[i], Value: entries[i+1]})
	}
	return &sluicev1.Value{Kind: &sluicev1.Value_Map{Map: m}}
}

// seconds of an instant, for readable tests.
func at(y int, m time.Month, d, hh, mm, ss int) int64 {
	return time.Date(y, m, d, hh, mm, ss, 0, time.UTC).Unix()
}

// everyRow is rows of everyType: a plain one, NULLs, lows, highs, and what is empty.
func everyRow() []*sluicev1.Row {
	rows := [][]*sluicev1.Value{
		{
			boolean(true), integer(-1), integer(300), integer(70000), integer(1 << 40), number(1.5), number(-2.25),
			decimal("12.34"), decimal("1.000000000000000001"), decimal("5.500000000000000000"),
			text("Apple"), text("ab"), text("cd"), binaryOf(0, 0xff, 0x80), text(`{"a":1}`),
			date(2026, 11, 20), instant(at(2026, 11, 20, 17, 52, 49), 5e6), instant(at(2024, 2, 29, 1, 2, 3), 123456789), instant(at(2024, 2, 29, 1, 2, 3), 1),
			interval(86401, 5), months(14),
			list(integer(1), integer(-2)), mapping(text("k"), integer(3)), record(integer(9), null()),
			list(record(text("x"), list(integer(1), null()), mapping(integer(7), number(0.5))), null()),
		},
		nulls(len(everyType)),
		{
			boolean(false), integer(math.MinInt8), integer(math.MinInt16), integer(math.MinInt32), integer(math.MinInt64 + 1),
			number(-math.MaxFloat32), number(-math.MaxFloat64),
			decimal("-99999999.99"), decimal("-99999999999999999999.999999999999999999"), decimal("-999999999999999999999999999999999999.999999999999999999"),
			text("𝄞 中文 é"), text("中文中文"), text("𝄞𝄞𝄞𝄞"), binaryOf(0xc3, 0x28), text("null"),
			date(1, 1, 1), instant(at(1, 1, 1, 0, 0, 0), 0), instant(at(1969, 12, 31, 23, 59, 58), 500000000), instant(at(1677, 9, 22, 0, 0, 0), 0),
			interval(-1, 999999999), months(-13),
			list(null()), mapping(text(""), null()), record(null(), null()),
			list(record(null(), null(), null())),
		},
		{
			boolean(true), integer(math.MaxInt8), integer(math.MaxInt16), integer(math.MaxInt32), integer(math.MaxInt64),
			number(math.SmallestNonzeroFloat32), number(math.SmallestNonzeroFloat64),
			decimal("99999999.99"), decimal("99999999999999999999.999999999999999999"), decimal("999999999999999999999999999999999999.999999999999999999"),
			text(strings.Repeat("0123456789", 1000)), text("wxyz"), text("WXYZ"), binaryOf(make([]byte, 3000)...), text(`[1,"x",null]`),
			date(9999, 12, 31), instant(at(9999, 12, 31, 23, 59, 59), 999e6), instant(at(2262, 4, 11, 0, 0, 0), 999999999), instant(at(1969, 12, 31, 23, 59, 59), 999999999),
			interval(9999*365*86400, 0), months(9999 * 12),
			list(integer(math.MaxInt64), null(), integer(math.MinInt64+1)), mapping(text("a"), integer(1), text("b"), null()), record(integer(1), text("b")),
			list(),
		},
		{
			null(), integer(0), integer(0), integer(0), integer(0), number(0), number(0),
			decimal("0.00"), decimal("0.000000000000000000"), decimal("0.000000000000000000"),
			text(""), text(""), text(""), binaryOf(), text("{}"),
			date(1970, 1, 1), instant(0, 0), instant(0, 0), instant(0, 0), interval(0, 0), months(0),
			list(), mapping(), record(integer(0), text("")), list(record(text(""), list(), mapping())),
		},
	}
	out := make([]*sluicev1.Row, len(rows))
	for i, values := range rows {
		out[i] = &sluicev1.Row{Values: values}
	}
	return out
}

// farTimes is rows whose TIMESTAMP columns lie outside of what int64 nanoseconds hold.
func farTimes() []*sluicev1.Row {
	far := []*sluicev1.Value{instant(at(1, 1, 1, 0, 0, 0), 1), instant(at(9999, 12, 31, 23, 59, 59), 999999999)}
	var rows []*sluicev1.Row
	for i := range far {
		values := nulls(len(everyType))
		for c, column := range everyType {
			if strings.HasPrefix(column, "c_timestamp") {
				values[c] = far[i]
			}
		}
		rows = append(rows, &sluicev1.Row{Values: values})
	}
	return rows
}

func nulls(n int) []*sluicev1.Value {
	values := make([]*sluicev1.Value, n)
	for i := range values {
		values[i] = null()
	}
	return values
}

// wantSameRows compares rows value by value and names the row and column that differ. CHAR may be padded (TY-02).
func wantSameRows(t *testing.T, what string, columns []*sluicev1.Column, want, got []*sluicev1.Row) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d rows, want %d", what, len(got), len(want))
	}
	for i := range want {
		if len(got[i].GetValues()) != len(columns) {
			t.Fatalf("%s: row %d has %d values, want %d", what, i, len(got[i].GetValues()), len(columns))
		}
		for c, column := range columns {
			w, g := want[i].GetValues()[c], got[i].GetValues()[c]
			if column.GetType().GetKind() == sluicev1.TypeKind_TYPE_KIND_CHAR && g.GetKind() != nil {
				g = text(strings.TrimRight(g.GetText(), " "))
			}
			if a, b := show(w), show(g); a != b {
				t.Errorf("%s: row %d column %s = %s, want %s", what, i, column.GetName(), b, a)
			}
		}
	}
}
