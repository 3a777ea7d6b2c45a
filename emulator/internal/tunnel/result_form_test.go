package tunnel_test

import (
	"bytes"
	"iter"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/sluice-io/sluice/emulator/internal/store"
	"github.com/sluice-io/sluice/emulator/internal/tunnel"
	"github.com/sluice-io/sluice/emulator/internal/types"
	"github.com/sluice-io/sluice/emulator/internal/wire"
)

// Results in Arrow form have their timestamps as struct<sec,nano>, which holds every year; within another type they are
// timestamp[ns], and one that this cannot hold is told before the first byte.
func TestResultTimestamps(t *testing.T) {
	cols := store.WireColumns(columns(t, "id bigint;at timestamp;ntz timestamp_ntz;all array<timestamp>"))
	wide := func(second string) *tunnel.Result {
		b := array.NewRecordBuilder(memory.DefaultAllocator, wire.ArrowSchema(cols, types.LayoutWide))
		defer b.Release()
		first := `{"id":1,"at":{"sec":-62135596800,"nano":7},"ntz":{"sec":-1,"nano":500000000},"all":[{"sec":` + second + `,"nano":9},null]}`
		for _, row := range []string{first, `{"id":2,"at":null,"ntz":null,"all":null}`} {
			if err := b.UnmarshalJSON([]byte(row)); err != nil {
				t.Fatal(err)
			}
		}
		rec := b.NewRecordBatch()
		t.Cleanup(rec.Release)
		return &tunnel.Result{Columns: cols, Rows: 2, Batches: func(int64, int64) iter.Seq2[arrow.RecordBatch, error] {
			return func(yield func(arrow.RecordBatch, error) bool) { yield(rec, nil) }
		}}
	}
	e := start(t, func(_ *store.Options, o *tunnel.Options) {
		o.Results = results{"i1": wide("-1"), "i2": wide("-62135596800")}
	})
	const inst = "/projects/p/instances/"
	secNano := arrow.StructOf(arrow.Field{Name: "sec", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
		arrow.Field{Name: "nano", Type: arrow.PrimitiveTypes.Int32, Nullable: true})
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "id", Type: arrow.PrimitiveTypes.Int64, Nullable: true}, {Name: "at", Type: secNano, Nullable: true}, {Name: "ntz", Type: secNano, Nullable: true},
		{Name: "all", Type: arrow.ListOf(&arrow.TimestampType{Unit: arrow.Nanosecond}), Nullable: true},
	}, nil)
	read := func(path string, schema *arrow.Schema) string {
		t.Helper()
		data := unframe(t, e.want(t, 200, "", "GET", path, nil))
		var stream bytes.Buffer
		w := ipc.NewWriter(&stream, ipc.WithSchema(schema))
		if err := w.Close(); err != nil { // writes the schema and an end marker of 8 bytes
			t.Fatal(err)
		}
		rd, err := ipc.NewReader(bytes.NewReader(append(stream.Bytes()[:stream.Len()-8], data...)))
		if err != nil {
			t.Fatal(err)
		}
		defer rd.Release()
		var out strings.Builder
		for rd.Next() {
			text, err := rd.RecordBatch().MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			out.Write(text)
		}
		if rd.Err() != nil {
			t.Fatal(rd.Err())
		}
		return strings.ReplaceAll(out.String(), "\n", "")
	}
	id := e.session(t, inst+"i1?downloads", "DownloadID")
	want := `[{"all":["1969-12-31T23:59:59.000000009",null],"at":{"nano":7,"sec":-62135596800},"id":1,"ntz":{"nano":500000000,"sec":-1}},{"all":null,"at":null,"id":2,"ntz":null}]`
	if got := read(inst+"i1?data&arrow&downloadid="+id, schema); got != want {
		t.Errorf("rows\n got %s\nwant %s", got, want)
	}
	part := arrow.NewSchema([]arrow.Field{schema.Field(1)}, nil)
	if got, want := read(inst+"i1?data&arrow&columns=at&downloadid="+id, part), `[{"at":{"nano":7,"sec":-62135596800}},{"at":null}]`; got != want {
		t.Errorf("one column\n got %s\nwant %s", got, want)
	}
	id = e.session(t, inst+"i2?downloads", "DownloadID")
	e.want(t, 400, "InvalidArgument", "GET", inst+"i2?data&arrow&downloadid="+id, nil)
	e.want(t, 200, "", "GET", inst+"i2?data&arrow&columns=at,ntz&downloadid="+id, nil)
}
