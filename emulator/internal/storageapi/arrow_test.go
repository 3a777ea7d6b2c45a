package storageapi

import (
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/sluice-io/sluice/emulator/internal/types"
)

// Moments come in the unit asked for wherever they stand: in columns, structs, lists, and in
// the keys and values of maps, of whole batches and of pieces.
func TestConvert_of_moments_wherever_they_stand(t *testing.T) {
	const (
		stamp = `{"sec":-1,"nano":999000000}`
		later = `{"sec":86400,"nano":5000000}`
	)
	for _, c := range []struct {
		typ, rows string
		form      form
		want      string // of the rows from the second on
		as        string // the type
	}{
		{"datetime", `[0, 1, null, -1]`, form{arrow.Nanosecond, arrow.Millisecond}, `["1970-01-01T00:00:00.001",null,"1969-12-31T23:59:59.999"]`, "timestamp[ms]"},
		{"datetime", `[0, 1, null, -1]`, form{arrow.Second, arrow.Microsecond}, `["1970-01-01T00:00:00.001",null,"1969-12-31T23:59:59.999"]`, "timestamp[us]"},
		{"datetime", `[0, 1000, null, -1000]`, form{arrow.Nanosecond, arrow.Second}, `["1970-01-01T00:00:01",null,"1969-12-31T23:59:59"]`, "timestamp[s]"},
		{"timestamp", `[` + later + `, ` + stamp + `, null, ` + later + `]`, form{arrow.Millisecond, arrow.Second}, `["1969-12-31T23:59:59.999",null,"1970-01-02T00:00:00.005"]`, "timestamp[ms]"},
		{"timestamp_ntz", `[null, ` + stamp + `]`, form{arrow.Microsecond, arrow.Second}, `["1969-12-31T23:59:59.999"]`, "timestamp[us]"},
		{
			"struct<d:datetime,n:bigint,t:timestamp>", `[null, {"d":1,"n":2,"t":` + stamp + `}, {"d":null,"n":3,"t":null}]`, form{arrow.Nanosecond, arrow.Microsecond},
			`[{"d":"1970-01-01T00:00:00.001","n":2,"t":"1969-12-31T23:59:59.999"},{"d":null,"n":3,"t":null}]`, "struct<d: timestamp[us] nullable, n: int64 nullable, t: timestamp[ns] nullable>",
		},
		{
			"array<struct<d:datetime>>", `[[{"d":9}], [{"d":1}, null], null, [], [{"d":2}]]`, form{arrow.Nanosecond, arrow.Nanosecond},
			`[[{"d":"1970-01-01T00:00:00.001"},null],null,[],[{"d":"1970-01-01T00:00:00.002"}]]`, "list<element: struct<d: timestamp[ns] nullable>, nullable>",
		},
		{
			"map<datetime,timestamp>", `[[{"key":5,"value":null}], [{"key":1,"value":` + stamp + `},{"key":2,"value":null}], null, []]`, form{arrow.Microsecond, arrow.Microsecond},
			`[[{"key":"1970-01-01T00:00:00.001","value":"1969-12-31T23:59:59.999"},{"key":"1970-01-01T00:00:00.002","value":null}],null,[]]`, "map<timestamp[us], timestamp[us], items_nullable>",
		},
		{"map<string,array<bigint>>", `[null, [{"key":"a","value":[1,null]}]]`, form{arrow.Microsecond, arrow.Second}, `[[{"key":"a","value":[1,null]}]]`, "map<utf8, list<element: int64, nullable>, items_nullable>"},
	} {
		typ, err := types.Parse(c.typ)
		if err != nil {
			t.Fatal(err)
		}
		wide, _, err := array.FromJSON(memory.DefaultAllocator, typ.Arrow(types.LayoutWide), strings.NewReader(c.rows))
		if err != nil {
			t.Fatalf("%s: %v", c.typ, err)
		}
		piece := array.NewSlice(wide, 1, int64(wide.Len()))
		data, err := c.form.convert(piece.Data(), typ)
		if err != nil {
			t.Errorf("%s: %v", c.typ, err)
			continue
		}
		got := array.MakeFromData(data)
		text, err := got.MarshalJSON()
		if text := strings.ReplaceAll(string(text), "\n", ""); err != nil || text != c.want {
			t.Errorf("%s: %s, %v, want %s", c.typ, text, err, c.want)
		}
		if got.DataType().String() != c.as || !arrow.TypeEqual(got.DataType(), c.form.dataType(typ)) {
			t.Errorf("%s: type %s, want %s", c.typ, got.DataType(), c.as)
		}
		got.Release()
		data.Release()
		piece.Release()
		wide.Release()
	}
}

// What the unit cannot hold is an error, not another moment, wherever it stands.
func TestConvert_refuses_what_the_unit_cannot_hold(t *testing.T) {
	for _, c := range []struct {
		typ, rows string
		form      form
		want      string
	}{
		{"datetime", `[1]`, form{arrow.Nanosecond, arrow.Second}, "finer than the unit s"},
		{"datetime", `[9223372036855]`, form{arrow.Second, arrow.Nanosecond}, "does not fit the unit ns"},
		{"struct<a:bigint,d:datetime>", `[{"a":1,"d":-1}]`, form{arrow.Nanosecond, arrow.Second}, "finer than the unit s"},
		{"array<datetime>", `[[0,1]]`, form{arrow.Nanosecond, arrow.Second}, "finer than the unit s"},
		{"map<string,datetime>", `[[{"key":"a","value":1}]]`, form{arrow.Nanosecond, arrow.Second}, "finer than the unit s"},
		{"map<datetime,string>", `[[{"key":1,"value":"a"}]]`, form{arrow.Nanosecond, arrow.Second}, "finer than the unit s"},
	} {
		typ, err := types.Parse(c.typ)
		if err != nil {
			t.Fatal(err)
		}
		wide, _, err := array.FromJSON(memory.DefaultAllocator, typ.Arrow(types.LayoutWide), strings.NewReader(c.rows))
		if err != nil {
			t.Fatalf("%s: %v", c.typ, err)
		}
		if data, err := c.form.convert(wide.Data(), typ); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: %v, %v, want %s", c.typ, c.rows, data, err, c.want)
		}
		wide.Release()
	}
}
