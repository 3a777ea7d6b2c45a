package maxcompute

import (
	"bytes"
	"context"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"go.uber.org/goleak"

	"github.com/sluice-io/sluice/service/internal/batch"
	"github.com/sluice-io/sluice/service/internal/retry"
	"github.com/sluice-io/sluice/service/internal/table"
	"github.com/sluice-io/sluice/service/internal/write"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve starts a scripted MaxCompute: REST under /api, tunnel at the root.
func serve(t testing.TB, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

// connect makes a client with quick retries for a scripted server.
func connect(t testing.TB, s *httptest.Server, change func(*Config)) *Client {
	t.Helper()
	cfg := Config{
		Endpoint: s.URL + "/api", TunnelEndpoint: s.URL, Project: "p1", Credentials: Credentials{AccessID: "ak", AccessKey: "sk"},
		Retry: retry.Policy{First: time.Millisecond, Max: 2 * time.Millisecond},
	}
	if change != nil {
		change(&cfg)
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// goldenArrow is the row of maxcompute-protocol.md 14 as the Go SDK sends it.
const goldenArrow = `00010000ffffffff2801000014000000000000000c001600140013000c0004000c0000002800000000000000140000000000000304000a0018000c00080004000a00000014000000a8000000010000000000000000000000090000000000000000000000
00000000000000000000000000000000080000000000000008000000000000000000000000000000080000000000000008000000000000001000000000000000050000000000000018000000000000000000000000000000180000000000000008000000000000002000000000000000000000000000000020000000000000000100000000000000000000000400000001
000000000000000000000000000000010000000000000000000000000000000100000000000000000000000000000001000000000000000000000000000000190000000000000000000000050000004170706c6500000000000000000014400000000000000000a7cfdfe0`

// The two golden records of maxcompute-protocol.md 13, without trailers, and their trailers.
const (
	goldenRecordA  = "0832 1205 4170706c65 190000000000001440 2000 80c0ff7f e8b188d306"
	goldenTrailerA = "f0ffff7f02 f8ffff7f 8f8fb9a807"
	goldenCRCA     = 0x6a6218e8
)

var testTable = table.Ref{Name: table.Name{Project: "p1", Table: "t1"}}

func testTarget(form batch.Form) write.BlockTarget {
	return write.BlockTarget{Output: testTable, UploadID: "U1", Block: 7, Version: write.DataVersion, Form: form}
}

// message is one encapsulated RecordBatch message with n rows of BIGINT and STRING, beginning at first.
func message(t testing.TB, first, n int) []byte {
	t.Helper()
	mem := memory.NewGoAllocator()
	schema := arrow.NewSchema([]arrow.Field{{Name: "id", Type: arrow.PrimitiveTypes.Int64}, {Name: "s", Type: arrow.BinaryTypes.String}}, nil)
	b := array.NewRecordBuilder(mem, schema)
	defer b.Release()
	for i := range n {
		b.Field(0).(*array.Int64Builder).Append(int64(first + i))
		b.Field(1).(*array.StringBuilder).Append(strings.Repeat("x", i%50))
	}
	rec := b.NewRecordBatch()
	defer rec.Release()
	return encode(t, schema, rec)[len(encode(t, schema, nil)):]
}

// encode is an IPC stream without its end mark.
func encode(t testing.TB, schema *arrow.Schema, rec arrow.RecordBatch) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := ipc.NewWriter(&buf, ipc.WithSchema(schema))
	if rec != nil {
		if err := w.Write(rec); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()[:buf.Len()-8]
}

// checked wraps bytes as a batch in pieces of at most piece bytes; released counts its release.
func checked(form batch.Form, rows int, crc uint32, b []byte, piece int, released *atomic.Int64) *batch.Checked {
	var pieces [][]byte
	for len(b) > 0 {
		n := min(piece, len(b))
		pieces = append(pieces, b[:n])
		b = b[n:]
	}
	return &batch.Checked{Rows: rows, Form: form, RecordCRC: crc, Body: batch.NewPayload(func() { released.Add(1) }, pieces...)}
}

// frame is an Arrow body around data, by its definition in maxcompute-protocol.md 14.
func frame(data []byte, chunk int) []byte {
	put := func(dst []byte, v uint32) []byte { return append(dst, byte(v>>24), byte(v>>16), byte(v>>8), byte(v)) }
	out := put(nil, uint32(chunk))
	rest := data
	for len(rest) >= chunk {
		out = put(append(out, rest[:chunk]...), batch.CRC32C(rest[:chunk]))
		rest = rest[chunk:]
	}
	return put(append(out, rest...), batch.CRC32C(data))
}

func readAll(t testing.TB, r io.Reader) []byte {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Error(err)
	}
	return b
}

func ctxOf(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header()["x-odps-request-id"] = []string{"R1"}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, `{"Code":"`+code+`","Message":"`+message+`","RequestId":"R1"}`)
}

func refuseXML(w http.ResponseWriter, status int, code, message string) {
	w.Header()["x-odps-request-id"] = []string{"R1"}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, `<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>`+code+`</Code><Message><![CDATA[`+message+`]]></Message><RequestId>R1</RequestId><HostId>h</HostId></Error>`)
}

func newCancelled(t testing.TB) (context.Context, context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx, cancel
}

// sessionJSON is an upload session with two columns.
func sessionJSON(status, blocks string) string {
	return `{"UploadID":"U1","Initiated":"Fri, 20 Nov 2026 17:52:49 GMT","Owner":"o","Status":"` + status + `","IsOverwrite":false,"MaxFieldSize":8388608,"QuotaName":"",
"Schema":{"IsVirtualView":false,"columns":[{"column_id":"0","name":"id","type":"bigint","nullable":false},{"name":"s","type":"string","nullable":true}],"partitionKeys":[{"name":"pt","type":"string","nullable":true}]},
"UploadedBlockList":[` + blocks + `]}`
}

func testSchema() *arrow.Schema {
	return arrow.NewSchema([]arrow.Field{{Name: "id", Type: arrow.PrimitiveTypes.Int64}}, nil)
}

// tooLarge raises the body length that a message announces, wherever its metadata holds it.
func tooLarge(msg []byte) []byte {
	meta := int(msg[4]) | int(msg[5])<<8
	body := len(msg) - 8 - meta
	for i := 8; i+8 <= 8+meta; i += 4 {
		if int(msg[i])|int(msg[i+1])<<8|int(msg[i+2])<<16 == body && msg[i+4] == 0 {
			msg[i+4] = 1 // + 4 GiB
		}
	}
	return msg
}
