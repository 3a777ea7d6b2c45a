package tableio_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/google/go-cmp/cmp"

	"github.com/sluice-io/sluice/internal/cli/tableio"
	"github.com/sluice-io/sluice/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

const testdata = "../../../testdata/"

// texts reads a whole source as text, with NULL for NULL.
func texts(t *testing.T, path string, opts tableio.Options) [][]string {
	t.Helper()
	source, err := tableio.Open(t.Context(), path, opts)
	if err != nil {
		t.Fatalf("Open(%s): %v", path, err)
	}
	defer func() {
		if err := source.Close(); err != nil {
			t.Error(err)
		}
	}()
	var rows [][]string
	for {
		rec, err := source.Next()
		if errors.Is(err, io.EOF) {
			return rows
		}
		if err != nil {
			t.Fatalf("Next(%s): %v", path, err)
		}
		for row := range int(rec.NumRows()) {
			var texts []string
			for _, col := range rec.Columns() {
				texts = append(texts, tableio.Text(col, row, "NULL"))
			}
			rows = append(rows, texts)
		}
		rec.Release()
	}
}

var columns = []arrow.Field{
	{Name: "id", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
	{Name: "full_name", Type: arrow.BinaryTypes.String, Nullable: true},
	{Name: "day", Type: arrow.FixedWidthTypes.Date32, Nullable: true},
	{Name: "at", Type: &arrow.TimestampType{Unit: arrow.Millisecond, TimeZone: "UTC"}, Nullable: true},
	{Name: "score", Type: arrow.PrimitiveTypes.Float64, Nullable: true},
	{Name: "tags", Type: arrow.ListOf(arrow.BinaryTypes.String), Nullable: true},
}

func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const csvRows = "ID,Full Name,day,at,score,tags\n" +
	"1,\"Ann, O'Neil\",2020-02-29,2020-02-29 23:59:59.123,0.5,\"[\"\"a\"\",\"\"b\"\"]\"\n" +
	",,,,,\n" +
	"-9223372036854775808,日本,1969-12-31,1969-12-31 23:59:59,1e300,[]\n"

var wantRows = [][]string{
	{"1", "Ann, O'Neil", "2020-02-29", "2020-02-29T23:59:59.123Z", "0.5", `["a","b"]`},
	{"NULL", "NULL", "NULL", "NULL", "NULL", "NULL"},
	{"-9223372036854775808", "日本", "1969-12-31", "1969-12-31T23:59:59Z", "1e+300", "[]"},
}

func TestCSVIsReadByTheTablesTypes(t *testing.T) {
	got := texts(t, write(t, "a.csv", "\ufeff"+csvRows), tableio.Options{Columns: columns})
	if diff := cmp.Diff(wantRows, got); diff != "" {
		t.Errorf("rows differ (-want +got):\n%s", diff)
	}
}

func TestJSONIsReadByTheTablesTypes(t *testing.T) {
	lines := `{"id":1,"full_name":"Ann, O'Neil","day":"2020-02-29","at":"2020-02-29 23:59:59.123Z","score":0.5,"tags":["a","b"]}` + "\n" +
		`{"id":null}` + "\n" + `{"tags":[],"score":1e300,"at":"1969-12-31 23:59:59Z","day":"1969-12-31","full_name":"日本","id":-9223372036854775808}` + "\n"
	for name, content := range map[string]string{
		"lines": lines,
		"array": "\n [" + strings.ReplaceAll(strings.TrimSpace(lines), "\n", ",") + "]",
	} {
		got := texts(t, write(t, "a.json", content), tableio.Options{Columns: columns})
		if diff := cmp.Diff(wantRows, got); diff != "" {
			t.Errorf("%s: rows differ (-want +got):\n%s", name, diff)
		}
	}
}

func TestEveryFormatGivesBackWhatWasWritten(t *testing.T) {
	source := write(t, "a.csv", csvRows)
	for _, name := range []string{"b.csv", "b.jsonl", "b.parquet", "b.arrow", "b.arrows"} {
		path := filepath.Join(t.TempDir(), name)
		copyFile(t, source, path)
		got := texts(t, path, tableio.Options{Columns: columns})
		if diff := cmp.Diff(wantRows, got); diff != "" {
			t.Errorf("%s: rows differ (-want +got):\n%s", name, diff)
		}
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	in, err := tableio.Open(t.Context(), from, tableio.Options{Columns: columns})
	if err != nil {
		t.Fatal(err)
	}
	out, err := tableio.Create(to, "", "", in.Schema())
	if err != nil {
		t.Fatal(err)
	}
	for {
		rec, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := out.Write(rec); err != nil {
			t.Fatal(err)
		}
		rec.Release()
	}
	if err := errors.Join(in.Close(), out.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestWrongValuesAreNamed(t *testing.T) {
	cases := map[string]struct{ name, content, want string }{
		"csv value":          {"a.csv", "id,day\n1,2020-01-01\nx,2020-01-01\n", `line 3, column "id": "x" is no int64`},
		"csv quoted lines":   {"a.csv", "full_name,id\n\"a\nb\",1\nc,1.5\n", `line 4, column "id": "1.5" is no int64`},
		"csv unknown":        {"a.csv", "id,nope\n1,2\n", `the table has no column "nope"; it has id, full_name, day`},
		"csv ragged":         {"a.csv", "id,day\n1\n", "wrong number of fields"},
		"json value":         {"a.json", `{"id":1}{"id":"x"}`, `object 2: column "id": "x" is no int64`},
		"json unknown":       {"a.json", `{"nope":1}`, `object 1: the table has no column "nope"`},
		"json not an object": {"a.json", `[1]`, "object 1, byte"},
		"json cut":           {"a.json", `{"id":1`, "object 1"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			source, err := tableio.Open(t.Context(), write(t, c.name, c.content), tableio.Options{Columns: columns})
			for err == nil {
				var rec arrow.RecordBatch
				if rec, err = source.Next(); err == nil {
					rec.Release()
				}
			}
			if source != nil {
				if err := source.Close(); err != nil {
					t.Error(err)
				}
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %q, want one with %q", err, c.want)
			}
		})
	}
}

func TestEmptyFilesAreNamed(t *testing.T) {
	for name, want := range map[string]string{
		"a.csv": "a.csv: the file is empty: a CSV file begins with a line of column names", "a.parquet": "a.parquet: the file is empty: not even one in format parquet without rows",
		"a.arrow": "a.arrow: the file is empty: not even one in format arrow without rows", "a.arrows": "a.arrows: the file is empty",
	} {
		path := write(t, name, "")
		if _, err := tableio.Open(t.Context(), path, tableio.Options{Columns: columns}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Open(%s): %v, want %q", name, err, want)
		}
	}
	path := write(t, "a.jsonl", "")
	if got := texts(t, path, tableio.Options{Columns: columns}); got != nil {
		t.Errorf("JSON lines without a line have the rows %q, want none", got)
	}
	for name, want := range map[string]string{"b.jsonl": "the file has no rows: nothing tells the columns", "b.csv": "the file is empty: a CSV file begins"} {
		if got, err := tableio.Infer(write(t, name, ""), "", ""); err == nil || !strings.Contains(err.Error(), name+": "+want) {
			t.Errorf("Infer(%s) = %v, %v, want %q", name, got, err, want)
		}
	}
}

func TestInferFindsTypesOfRealFiles(t *testing.T) {
	want := map[string][]tableio.Column{
		"birdstrikes.csv": {
			{Name: "airport_name", Type: "string"}, {Name: "aircraft_make_model", Type: "string"}, {Name: "effect_amount_of_damage", Type: "string"},
			{Name: "flight_date", Type: "date"}, {Name: "aircraft_airline_operator", Type: "string"}, {Name: "origin_state", Type: "string"},
			{Name: "phase_of_flight", Type: "string"}, {Name: "wildlife_size", Type: "string"}, {Name: "wildlife_species", Type: "string"},
			{Name: "time_of_day", Type: "string"}, {Name: "cost_other", Type: "bigint"}, {Name: "cost_repair", Type: "bigint"},
			{Name: "cost_total", Type: "bigint"}, {Name: "speed_ias_in_knots", Type: "bigint"},
		},
		"zipcodes.csv": {
			{Name: "zip_code", Type: "string"}, {Name: "latitude", Type: "double"}, {Name: "longitude", Type: "double"},
			{Name: "city", Type: "string"}, {Name: "state", Type: "string"}, {Name: "county", Type: "string"},
		},
	}
	for file, columns := range want {
		got, err := tableio.Infer(testdata+file, "", "")
		if err != nil {
			t.Errorf("Infer(%s): %v", file, err)
		}
		if diff := cmp.Diff(columns, got); diff != "" {
			t.Errorf("%s: columns differ (-want +got):\n%s", file, diff)
		}
	}
}

func TestArrowFileIsCutAtTheSamePlaces(t *testing.T) {
	source, err := tableio.Open(t.Context(), testdata+"flights-200k.arrow", tableio.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := source.Close(); err != nil {
			t.Error(err)
		}
	}()
	var rows, batches int64
	for {
		rec, err := source.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if rec.NumRows() > tableio.BatchRows {
			t.Errorf("a batch of %d rows", rec.NumRows())
		}
		rows, batches = rows+rec.NumRows(), batches+1
		rec.Release()
	}
	if rows != 200_000 || source.Rows != 200_000 || batches != 25 {
		t.Errorf("%d rows in %d batches, Rows %d", rows, batches, source.Rows)
	}
}

func TestRowsOfTextFilesAreEstimated(t *testing.T) {
	opts := tableio.Options{Columns: []arrow.Field{
		{Name: "zip_code", Type: arrow.BinaryTypes.String}, {Name: "latitude", Type: arrow.BinaryTypes.String}, {Name: "longitude", Type: arrow.BinaryTypes.String},
		{Name: "city", Type: arrow.BinaryTypes.String}, {Name: "state", Type: arrow.BinaryTypes.String}, {Name: "county", Type: arrow.BinaryTypes.String},
	}}
	source, err := tableio.Open(t.Context(), testdata+"zipcodes.csv", opts)
	if err != nil {
		t.Fatal(err)
	}
	if source.Rows < 38_000 || source.Rows > 46_000 {
		t.Errorf("%d rows estimated, the file has 42049", source.Rows)
	}
	if err := source.Close(); err != nil {
		t.Error(err)
	}
}
