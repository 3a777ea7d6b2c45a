package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/sluice-io/sluice/client"
	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
)

// typeColumns is a column of each type that the Go client sets value by value.
var typeColumns = []string{
	"id bigint", "b boolean", "i8 tinyint", "i16 smallint", "i32 int", "f32 float", "f64 double", "d decimal(10,2)",
	"s string", "c char(4)", "vc varchar(10)", "bin binary", "j json", "day date", "dt datetime", "ts timestamp", "ntz timestamp_ntz",
	"floats array<float>", "words array<string>", "m map<string,bigint>", "st struct<a:bigint,b:string>", "deep array<array<int>>",
}

func setEveryType(rows *client.RowWriter, id int64) {
	at := time.Date(1969, 12, 31, 23, 59, 59, 123456789, time.UTC)
	for col, v := range []any{
		id, true, int8(-128), int16(32767), int32(-7), 0.5, 1e300, "-12.34",
		"日本 🙂", "ab", "", []byte{0, 255}, `{"a": [1, null]}`, at, at, at, at,
		[]float32{1, 2.5}, []string{"a", ""}, map[string]int64{"k": 1}, map[string]any{"a": int64(5), "b": nil}, [][]int32{{1, 2}, {}},
	} {
		rows.SetValue(col, v)
	}
}

// What a writer set value by value comes back in all three forms of the wire, and each form, written again as it came, is the same
// table.
func TestEveryTypeInEveryForm(t *testing.T) {
	addr, _ := startDev(t)
	c, err := client.Dial(t.Context(), addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, table := range []string{"first", "second"} {
		args := []string{"table", "create", table, "--addr", addr}
		for _, column := range typeColumns {
			args = append(args, "-c", column)
		}
		mustSluice(t, args...)
	}
	fill(t, c)
	want := readRows(t, c, "first")
	if len(want) != 3 {
		t.Fatalf("%d rows, want 3", len(want))
	}
	full, null := want[0].GetValues(), want[1].GetValues()
	if full[8].GetText() != "日本 🙂" || full[7].GetDecimal() != "-12.34" || full[15].GetInstant().GetSeconds() != -1 || full[15].GetInstant().GetNanos() != 123456789 ||
		full[21].GetList().GetValues()[0].GetList().GetValues()[1].GetInteger() != 2 || full[6].GetNumber() != 1e300 {
		t.Errorf("first row = %v", full)
	}
	if null[0].GetInteger() != 1 || null[8].GetKind() != nil || null[21].GetKind() != nil {
		t.Errorf("row of NULLs = %v", null)
	}
	for _, format := range []sluicev1.DataFormat{sluicev1.DataFormat_DATA_FORMAT_ARROW, sluicev1.DataFormat_DATA_FORMAT_COLUMNS, sluicev1.DataFormat_DATA_FORMAT_ROWS} {
		copyTable(t, c, format)
		if diff := cmp.Diff(want, readRows(t, c, "second"), protocmp.Transform()); diff != "" {
			t.Errorf("by way of %v rows differ (-want +got):\n%s", format, diff)
		}
	}
}

// fill writes two full rows and one of NULLs.
func fill(t *testing.T, c *client.Client) {
	t.Helper()
	w, err := c.NewWriter(t.Context(), client.WriterConfig{Output: client.TableName("first")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Close() }()
	rows, err := w.Rows()
	if err != nil {
		t.Fatal(err)
	}
	for id := range int64(3) {
		if id == 1 {
			rows.SetInt64(0, id)
		} else {
			setEveryType(rows, id)
		}
		if err := rows.End(); err != nil {
			t.Fatal(err)
		}
	}
	if err := rows.Flush(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func readRows(t *testing.T, c *client.Client, table string) []*sluicev1.Row {
	t.Helper()
	var rows []*sluicev1.Row
	each(t, c, table, sluicev1.DataFormat_DATA_FORMAT_ROWS, func(b client.Batch) { rows = append(rows, b.List.GetRows()...) })
	return rows
}

func each(t *testing.T, c *client.Client, table string, format sluicev1.DataFormat, use func(client.Batch)) {
	t.Helper()
	reader, err := c.Read(t.Context(), client.ReadOptions{Spec: &sluicev1.ReadSessionSpec{Table: client.TableName(table)}, Format: format})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reader.Close() }()
	for reader.Next() {
		use(reader.Batch())
	}
	if err := reader.Err(); err != nil {
		t.Fatalf("read %s as %v: %v", table, format, err)
	}
}

// copyTable reads the first table in a form and replaces the second by it.
func copyTable(t *testing.T, c *client.Client, format sluicev1.DataFormat) {
	t.Helper()
	w, err := c.NewWriter(t.Context(), client.WriterConfig{Output: client.TableName("second")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Close() }()
	each(t, c, "first", format, func(b client.Batch) {
		var err error
		switch {
		case b.Arrow != nil:
			err = w.WriteArrow(b.Arrow)
		case b.Columns != nil:
			err = w.WriteColumns(int(b.Rows), b.Columns)
		default:
			err = w.WriteRows(b.List)
		}
		if err != nil {
			t.Fatalf("write %v: %v", format, err)
		}
	})
	if _, err := w.Seal(t.Context()); err != nil {
		t.Errorf("seal after %v: %v", format, err)
	}
}
