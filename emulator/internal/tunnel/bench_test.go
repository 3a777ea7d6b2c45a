package tunnel_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/sluice-io/sluice/emulator/internal/store"
	"github.com/sluice-io/sluice/emulator/internal/tunnel"
	"github.com/sluice-io/sluice/emulator/internal/wire"
)

// wideBody is rows of 64 floats, about size bytes, framed.
func wideBody(t testing.TB, cols []store.Column, size int) (body []byte, rows int) {
	t.Helper()
	b := array.NewRecordBuilder(memory.DefaultAllocator, wire.ArrowSchema(store.WireColumns(cols), 0))
	defer b.Release()
	for i := range 1024 {
		b.Field(0).(*array.Int64Builder).Append(int64(i))
		b.Field(1).(*array.StringBuilder).Append(fmt.Sprintf("name-%d", i))
		l := b.Field(2).(*array.ListBuilder)
		l.Append(true)
		for j := range 64 {
			l.ValueBuilder().(*array.Float32Builder).Append(float32(j))
		}
	}
	rec := b.NewRecordBatch()
	defer rec.Release()
	var msg bytes.Buffer
	if err := wire.WriteBatch(&msg, rec, memory.DefaultAllocator); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	c := wire.NewChunkWriter(&out, 0)
	for out.Len() < size {
		if _, err := c.Write(msg.Bytes()); err != nil {
			t.Fatal(err)
		}
		rows += 1024
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), rows
}

func (e *endpoint) call(t testing.TB, method, path string, body io.Reader) (int, []byte) {
	t.Helper()
	req, err := http.NewRequest(method, e.url+path, body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := e.srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, b
}

func (e *endpoint) session(t testing.TB, path, field string) string {
	t.Helper()
	code, b := e.call(t, http.MethodPost, path, nil)
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil || code/100 != 2 {
		t.Fatalf("POST %s: %d %s", path, code, b)
	}
	return m[field].(string)
}

const wideTypes = "id bigint;name string;vec array<float>"

func benchUpload(b *testing.B, discard bool) {
	b.Helper()
	e := start(b, func(so *store.Options, _ *tunnel.Options) { so.Discard = discard })
	e.bare = true
	tab := e.create(b, "t", wideTypes, "")
	body, _ := wideBody(b, tab.Columns, 64<<20)
	id := e.session(b, "/projects/p/tables/t?uploads", "UploadID")
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if code, msg := e.call(b, http.MethodPut, "/projects/p/tables/t?arrow&blockid=1&uploadid="+id, bytes.NewReader(body)); code != 200 {
			b.Fatalf("%d %s", code, msg)
		}
	}
}

func BenchmarkUploadArrowStore(b *testing.B)   { benchUpload(b, false) }
func BenchmarkUploadArrowDiscard(b *testing.B) { benchUpload(b, true) }

func BenchmarkDownloadArrow(b *testing.B) {
	e := start(b, nil)
	e.bare = true
	tab := e.create(b, "t", wideTypes, "")
	body, rows := wideBody(b, tab.Columns, 64<<20)
	id := e.session(b, "/projects/p/tables/t?uploads", "UploadID")
	e.call(b, http.MethodPut, "/projects/p/tables/t?arrow&blockid=1&uploadid="+id, bytes.NewReader(body))
	e.call(b, http.MethodPost, "/projects/p/tables/t?uploadid="+id, nil)
	d := e.session(b, "/projects/p/tables/t?downloads", "DownloadID")
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		resp, err := e.srv.Client().Get(fmt.Sprintf("%s/projects/p/tables/t?arrow&data&downloadid=%s&rowrange=(0,%d)", e.url, d, rows))
		if err != nil {
			b.Fatal(err)
		}
		n, err := io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if err != nil || n != int64(len(body)) {
			b.Fatal(n, err)
		}
	}
}
