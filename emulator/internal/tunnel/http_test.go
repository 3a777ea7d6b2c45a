package tunnel_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/google/go-cmp/cmp"

	"github.com/sluice-io/sluice/emulator/internal/faults"
	"github.com/sluice-io/sluice/emulator/internal/store"
	"github.com/sluice-io/sluice/emulator/internal/tunnel"
	"github.com/sluice-io/sluice/emulator/internal/types"
	"github.com/sluice-io/sluice/emulator/internal/wire"
)

const table = "/projects/p/tables/t"

// idRecords is a record stream of one BIGINT column.
func idRecords(t testing.TB, ids ...int64) []byte {
	t.Helper()
	b := array.NewInt64Builder(memory.DefaultAllocator)
	defer b.Release()
	b.AppendValues(ids, nil)
	a := b.NewArray()
	defer a.Release()
	cols := []wire.Column{{Name: "id", Type: types.Type{Kind: types.BigInt}, Nullable: true}}
	rec := array.NewRecordBatch(wire.ArrowSchema(cols, 0), []arrow.Array{a}, int64(len(ids)))
	defer rec.Release()
	var out bytes.Buffer
	w := wire.NewRecordWriter(&out, cols)
	if err := w.Write(rec); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func idArrow(t testing.TB, ids ...int64) []byte {
	t.Helper()
	cols := []wire.Column{{Name: "id", Type: types.Type{Kind: types.BigInt}, Nullable: true}}
	rd := wire.NewRecordReader(bytes.NewReader(idRecords(t, ids...)), cols, memory.DefaultAllocator)
	defer rd.Close()
	rec, _, err := rd.Next()
	if err != nil {
		t.Fatal(err)
	}
	defer rec.Release()
	var out bytes.Buffer
	c := wire.NewChunkWriter(&out, 64)
	if err := wire.WriteBatch(c, rec, memory.DefaultAllocator); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func (e *endpoint) want(t testing.TB, status int, code, method, path string, body []byte) []byte {
	t.Helper()
	var src io.Reader
	if body != nil {
		src = bytes.NewReader(body)
	}
	got, b := e.call(t, method, path, src)
	var m struct{ Code, Message, RequestId string } //nolint:revive,musttag // the wire's names
	if got/100 != 2 {
		if err := json.Unmarshal(b, &m); err != nil || m.Message == "" || m.RequestId == "" {
			t.Errorf("%s %s: error body %q", method, path, b)
		}
	}
	if got != status || m.Code != code {
		t.Errorf("%s %s = %d %s, want %d %s: %s", method, path, got, m.Code, status, code, m.Message)
	}
	return b
}

func (e *endpoint) blocks(t testing.TB, id string) (list []int) {
	t.Helper()
	var u struct{ UploadedBlockList []struct{ BlockID int } }
	if err := json.Unmarshal(e.want(t, 200, "", "GET", table+"?uploadid="+id, nil), &u); err != nil {
		t.Fatal(err)
	}
	for _, b := range u.UploadedBlockList {
		list = append(list, b.BlockID)
	}
	return list
}

func (e *endpoint) ids(t testing.TB) (ids []int64) {
	t.Helper()
	sn, err := e.store.Snapshot(store.NewKey("p", "", "t"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer sn.Release()
	for rec, err := range sn.Batches(store.ReadOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, rec.Column(0).(*array.Int64).Int64Values()...)
	}
	return ids
}

// A PUT cut at any byte, in both formats, leaves no block.
func TestCutPutLeavesNoBlock(t *testing.T) {
	e := start(t, nil)
	e.create(t, "t", "id bigint", "")
	id := e.session(t, table+"?uploads", "UploadID")
	for name, body := range map[string][]byte{"": idRecords(t, 1, 2, 3), "&arrow": idArrow(t, 1, 2, 3)} {
		path := table + "?blockid=1&uploadid=" + id + name
		for cut := range body {
			if cut > 0 {
				if code, b := e.call(t, "PUT", path, bytes.NewReader(body[:cut])); code != 400 {
					t.Errorf("body cut at %d: %d %s", cut, code, b)
				}
			}
			e.mu.Lock()
			e.decide = func(*http.Request) faults.Action { return faults.Action{CutRequestAt: int64(cut) + 1} }
			e.mu.Unlock()
			req, err := http.NewRequest(http.MethodPut, e.url+path, bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			if resp, err := e.srv.Client().Do(req); err == nil {
				resp.Body.Close()
				t.Errorf("cut connection answered %s", resp.Status)
			}
			e.mu.Lock()
			e.decide = nil
			e.mu.Unlock()
		}
	}
	e.want(t, 400, "InvalidArgument", "PUT", table+"?blockid=1&arrow&uploadid="+id, []byte{0, 1, 0, 0})
	if got := e.blocks(t, id); len(got) != 0 {
		t.Errorf("blocks %v after cut PUTs", got)
	}
	for _, empty := range []string{"", "00000000"} {
		body, err := hex.DecodeString(empty)
		if err != nil {
			t.Fatal(err)
		}
		e.want(t, 200, "", "PUT", table+"?blockid=2&arrow&uploadid="+id, body)
	}
	if got := e.blocks(t, id); !slices.Equal(got, []int{2}) {
		t.Errorf("blocks %v after an empty PUT", got)
	}
}

func TestBlockVersions(t *testing.T) {
	for _, ignore := range []bool{false, true} {
		e := start(t, func(_ *store.Options, o *tunnel.Options) { o.IgnoreBlockVersion = ignore })
		e.create(t, "t", "id bigint", "")
		id := e.session(t, table+"?uploads=1", "UploadID")
		for _, v := range []int64{2, 3, 1} {
			e.want(t, 200, "", "PUT", fmt.Sprintf("%s?blockid=0&block_version=%d&uploadid=%s", table, v, id), idRecords(t, v))
		}
		e.want(t, 200, "", "POST", table+"?uploadid="+id, nil)
		want := []int64{3}
		if ignore {
			want = []int64{1}
		}
		if got := e.ids(t); !slices.Equal(got, want) {
			t.Errorf("ignore %v: rows %v, want %v", ignore, got, want)
		}
	}
}

// Only digits name a block and its version; the largest and the smallest of each do.
func TestBlockNumbers(t *testing.T) {
	e := start(t, nil)
	e.create(t, "t", "id bigint", "")
	id := e.session(t, table+"?uploads", "UploadID")
	for _, q := range []string{
		"blockid=%2B1", "blockid=-1", "blockid=-0", "blockid=20000", "blockid=4294967297", "blockid=", "blockid=1e3", "blockid=0x1", "blockid=1_0", "blockid=%201",
		"blockid=1&block_version=-5", "blockid=1&block_version=-0", "blockid=1&block_version=%2B5", "blockid=1&block_version=9223372036854775808", "blockid=1&block_version=x",
	} {
		e.want(t, 400, "InvalidArgument", "PUT", table+"?"+q+"&uploadid="+id, idRecords(t, 1))
	}
	if got := e.blocks(t, id); len(got) != 0 {
		t.Errorf("blocks %v of refused numbers", got)
	}
	for _, q := range []string{"blockid=0&block_version=0", "blockid=19999&block_version=9223372036854775807"} {
		e.want(t, 200, "", "PUT", table+"?"+q+"&uploadid="+id, idRecords(t, 1))
	}
	if got := e.blocks(t, id); !slices.Equal(got, []int{0, 19999}) {
		t.Errorf("blocks %v", got)
	}
}

// A commit whose reply is lost is repeated and changes nothing.
func TestCommitIsIdempotent(t *testing.T) {
	e := start(t, nil)
	e.create(t, "t", "id bigint", "")
	id := e.session(t, table+"?uploads", "UploadID")
	e.want(t, 200, "", "PUT", table+"?blockid=0&uploadid="+id, idRecords(t, 1, 2))
	e.decide = func(r *http.Request) faults.Action { return faults.Action{DropReply: r.Method == http.MethodPost} }
	req, err := http.NewRequest(http.MethodPost, e.url+table+"?uploadid="+id, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := e.srv.Client().Do(req); err == nil {
		resp.Body.Close()
		t.Fatal("reply not dropped")
	}
	e.mu.Lock()
	e.decide = nil
	e.mu.Unlock()
	for range 2 {
		var u struct{ Status string }
		if err := json.Unmarshal(e.want(t, 200, "", "POST", table+"?uploadid="+id, nil), &u); err != nil || u.Status != "closed" {
			t.Errorf("commit again: %q, %v", u.Status, err)
		}
	}
	if got := e.ids(t); !slices.Equal(got, []int64{1, 2}) {
		t.Errorf("rows %v", got)
	}
	e.want(t, 409, "StatusConflict", "PUT", table+"?blockid=1&uploadid="+id, idRecords(t, 1))
}

func TestErrorReplies(t *testing.T) {
	e := start(t, nil)
	e.create(t, "t", "id bigint", "")
	e.create(t, "u", "id bigint", "pt string")
	tx := store.Table{Key: store.NewKey("p", "", "tx"), Columns: columns(t, "id bigint"), Transactional: true}
	if _, _, err := e.store.CreateTable(tx, false); err != nil {
		t.Fatal(err)
	}
	id := e.session(t, table+"?uploads", "UploadID")
	down := e.session(t, table+"?downloads", "DownloadID")
	bad := idArrow(t, 1)
	bad[40] ^= 1
	big := bytes.Repeat([]byte("garbage!"), 1<<17)
	for _, c := range []struct {
		status             int
		code, method, path string
		body               []byte
	}{
		{404, "NoSuchTable", "POST", "/projects/p/tables/none?uploads", nil},
		{404, "NoSuchTable", "POST", "/projects/p/schemas/s/tables/t?downloads", nil},
		{404, "NoSuchPartition", "POST", "/projects/p/tables/u?downloads&partition=pt=a", nil},
		{400, "InvalidPartitionSpec", "POST", "/projects/p/tables/u?downloads", nil},
		{400, "InvalidPartitionSpec", "POST", "/projects/p/tables/u?uploads&partition=hh=a", nil},
		{400, "InvalidPartitionSpec", "POST", "/projects/p/tables/u?uploads&partition=pt", nil},
		{400, "OverwriteModeNotAllowed", "POST", "/projects/p/tables/tx?uploads&overwrite=true", nil},
		{404, "NoSuchUpload", "GET", table + "?uploadid=nope", nil},
		{404, "NoSuchUpload", "POST", table + "?uploadid=nope", nil},
		{404, "NoSuchUpload", "PUT", table + "?blockid=0&uploadid=nope", big},
		{404, "NoSuchUpload", "PUT", "/projects/p/tables/u?blockid=0&uploadid=" + id, big},
		{400, "InvalidArgument", "PUT", table + "?blockid=20000&uploadid=" + id, big},
		{400, "InvalidArgument", "PUT", table + "?blockid=-1&uploadid=" + id, nil},
		{400, "InvalidArgument", "PUT", table + "?blockid=0&block_version=x&uploadid=" + id, nil},
		{400, "InvalidArgument", "PUT", table + "?blockid=0&uploadid=" + id, big},
		{400, "InvalidArgument", "PUT", table + "?arrow&blockid=0&uploadid=" + id, big},
		{400, "CheckSumError", "PUT", table + "?arrow&blockid=0&uploadid=" + id, bad},
		{404, "NoSuchDownload", "GET", table + "?downloadid=nope&data", nil},
		{404, "NoSuchDownload", "GET", "/projects/p/tables/u?downloadid=" + down, nil},
		{400, "InvalidArgument", "GET", table + "?data&rowrange=5&downloadid=" + down, nil},
		{400, "InvalidArgument", "GET", table + "?data&rowrange=(-1,2)&downloadid=" + down, nil},
		{400, "InvalidArgument", "GET", table + "?data&columns=nope&downloadid=" + down, nil},
		{404, "StreamSessionNotFound", "PUT", table + "/streams?uploadid=" + id, big},
		{404, "NoSuchSchema", "POST", table + "/streams?schema_version=7", nil},
		{404, "NoSuchObject", "POST", "/projects/p/instances/i?downloads", nil},
		{404, "NoSuchPath", "POST", table + "/upserts", nil},
		{404, "NoSuchPath", "DELETE", table, nil},
	} {
		e.want(t, c.status, c.code, c.method, c.path, c.body)
	}
	if got := e.blocks(t, id); len(got) != 0 {
		t.Errorf("blocks %v after errors", got)
	}
}

// Timestamps of years 1 and 9999 survive as records and are refused in Arrow.
func TestTimestampsBeyondNanoseconds(t *testing.T) {
	e := start(t, nil)
	tab := e.create(t, "t", "id bigint;at timestamp;many array<timestamp_ntz>", "")
	cols := store.WireColumns(tab.Columns)
	b := array.NewRecordBuilder(memory.DefaultAllocator, wire.ArrowSchema(cols, types.LayoutWide))
	defer b.Release()
	for i, sec := range []int64{-62135596800, 0, 253402300799} {
		b.Field(0).(*array.Int64Builder).Append(int64(i))
		put := func(s *array.StructBuilder) {
			s.Append(true)
			s.FieldBuilder(0).(*array.Int64Builder).Append(sec)
			s.FieldBuilder(1).(*array.Int32Builder).Append(999_999_999)
		}
		put(b.Field(1).(*array.StructBuilder))
		b.Field(2).(*array.ListBuilder).Append(true)
		put(b.Field(2).(*array.ListBuilder).ValueBuilder().(*array.StructBuilder))
	}
	rec := b.NewRecordBatch()
	defer rec.Release()
	var body bytes.Buffer
	w := wire.NewRecordWriter(&body, cols)
	if err := w.Write(rec); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	id := e.session(t, table+"?uploads", "UploadID")
	e.want(t, 200, "", "PUT", table+"?blockid=0&uploadid="+id, body.Bytes())
	e.want(t, 200, "", "POST", table+"?uploadid="+id, nil)
	down := e.session(t, table+"?downloads", "DownloadID")
	data := table + "?data&rowrange=(0,3)&downloadid=" + down
	if got := e.want(t, 200, "", "GET", data, nil); !bytes.Equal(got, body.Bytes()) {
		t.Errorf("records differ:\n got %x\nwant %x", got, body.Bytes())
	}
	msg := e.want(t, 400, "InvalidArgument", "GET", data+"&arrow", nil)
	if !strings.Contains(string(msg), "column at") {
		t.Errorf("error does not name the column: %s", msg)
	}
	e.want(t, 200, "", "GET", data+"&arrow&columns=id", nil)
	e.want(t, 200, "", "GET", table+"?data&arrow&rowrange=(1,1)&downloadid="+down, nil)
}

// Header names go out as written, in lower case: one client looks them up so.
func TestResponseHeaderCase(t *testing.T) {
	e := start(t, nil)
	e.create(t, "t", "id bigint", "")
	id := e.session(t, table+"/streams", "session_name")
	body := idRecords(t, 1)
	conn, err := net.Dial("tcp", strings.TrimPrefix(e.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "PUT %s/streams?uploadid=%s&slotid=0 HTTP/1.1\r\nHost: here:1\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", table, id, len(body), body)
	reply, err := io.ReadAll(bufio.NewReader(conn))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"HTTP/1.1 200 OK\r\n", "\r\nodps-tunnel-slot-num: 1\r\n", "\r\nodps-tunnel-routed-server: here:1\r\n", "\r\nx-odps-request-id: "} {
		if !strings.Contains(string(reply), want) {
			t.Errorf("reply lacks %q:\n%s", want, reply)
		}
	}
}

func TestStreamSchemaEvolution(t *testing.T) {
	e := start(t, nil)
	tab := e.create(t, "t", "id bigint", "")
	id := e.session(t, table+"/streams", "session_name")
	if _, err := e.store.AlterTable(tab.Key, func(t *store.Table) error {
		t.Columns = append(t.Columns, store.Column{Name: "more", Type: types.Type{Kind: types.String}, Nullable: true})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	e.want(t, 412, "SchemaModified", "PUT", table+"/streams?check_latest_schema=true&uploadid="+id, idRecords(t, 1))
	e.want(t, 200, "", "PUT", table+"/streams?check_latest_schema=false&record_count=1&uploadid="+id, idRecords(t, 2))
	e.want(t, 400, "InvalidArgument", "PUT", table+"/streams?record_count=2&uploadid="+id, idRecords(t, 3))
	if got := e.ids(t); !slices.Equal(got, []int64{2}) {
		t.Errorf("rows %v", got)
	}
}

func TestPreview(t *testing.T) {
	e := start(t, nil)
	tab := e.create(t, "t", "id bigint;at timestamp", "pt string;hh int")
	for _, pt := range []string{"b", "a"} {
		w := e.store.NewSegment(tab)
		b := array.NewRecordBuilder(memory.DefaultAllocator, wire.ArrowSchema(store.WireColumns(tab.Columns), 0))
		b.Field(0).(*array.Int64Builder).AppendValues([]int64{1, 2}, nil)
		b.Field(1).(*array.TimestampBuilder).AppendValues([]arrow.Timestamp{5, -5}, nil)
		rec := b.NewRecordBatch()
		b.Release()
		if err := w.WriteBatch(rec); err != nil {
			t.Fatal(err)
		}
		seg, err := w.Finish()
		if err != nil {
			t.Fatal(err)
		}
		pub := []store.Publication{{Spec: types.PartitionSpec{{Column: "pt", Value: pt}, {Column: "hh", Value: "07"}}, Segments: []*store.Segment{seg}}}
		if err := e.store.Publish(tab, pub, store.PublishOptions{CreatePartitions: true}); err != nil {
			t.Fatal(err)
		}
	}
	preview := func(query string) (rows []string) {
		r, err := ipc.NewReader(bytes.NewReader(e.want(t, 200, "", "GET", "/projects/p/schemas/default/tables/t/preview?"+query, nil)))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Release()
		for r.Next() {
			rows = append(rows, fmt.Sprint(r.RecordBatch().Columns()))
		}
		if r.Err() != nil {
			t.Fatal(r.Err())
		}
		return rows
	}
	want := []string{`[[1 2] {[0 -1] [5 999999995]} ["a" "a"] [7 7]]`, `[[1] {[0] [5]} ["b"] [7]]`}
	if diff := cmp.Diff(want, preview("limit=3")); diff != "" {
		t.Errorf("preview: %s", diff)
	}
	if got := preview("limit=-1&partition=pt=b&columns=pt,id"); !slices.Equal(got, []string{`[[1 2] ["b" "b"]]`}) {
		t.Errorf("preview of one partition: %q", got)
	}
}

type results map[string]*tunnel.Result

func (r results) InstanceResult(_ context.Context, _, id string) (*tunnel.Result, error) {
	if res := r[id]; res != nil {
		return res, nil
	}
	return nil, &tunnel.Error{Status: 400, Code: "InstanceNotTerminate", Message: "still running"}
}

func TestInstanceResults(t *testing.T) {
	cols := []wire.Column{{Name: "id", Type: types.Type{Kind: types.BigInt}, Nullable: true}, {Name: "at", Type: types.Type{Kind: types.Timestamp}, Nullable: true}}
	batches := func(start, count int64) iter.Seq2[arrow.RecordBatch, error] {
		return func(yield func(arrow.RecordBatch, error) bool) {
			b := array.NewRecordBuilder(memory.DefaultAllocator, wire.ArrowSchema(cols, types.LayoutWide))
			defer b.Release()
			for i := start; i < min(start+count, 20000); i++ {
				b.Field(0).(*array.Int64Builder).Append(i)
				b.Field(1).AppendNull()
			}
			rec := b.NewRecordBatch()
			defer rec.Release()
			yield(rec, nil)
		}
	}
	e := start(t, func(_ *store.Options, o *tunnel.Options) {
		o.Results = results{"i1": {Columns: cols, Rows: 20000, Batches: batches}}
	})
	const inst = "/projects/p/instances/i1"
	e.want(t, 400, "InstanceNotTerminate", "POST", "/projects/p/instances/i2?downloads", nil)
	var d struct {
		DownloadID  string
		RecordCount int64
	}
	if err := json.Unmarshal(e.want(t, 201, "", "POST", inst+"?downloads&instance_tunnel_limit_enabled", nil), &d); err != nil || d.RecordCount != 10000 {
		t.Fatalf("session %+v, %v", d, err)
	}
	read := func(path string, skip int) (ids []int64) {
		body := e.want(t, 200, "", "GET", path, nil)[skip:]
		rd := wire.NewRecordReader(bytes.NewReader(body), cols, memory.DefaultAllocator)
		defer rd.Close()
		for {
			rec, _, err := rd.Next()
			if errors.Is(err, io.EOF) {
				return ids
			}
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, rec.Column(0).(*array.Int64).Int64Values()...)
			rec.Release()
		}
	}
	if got := read(inst+"?data&rowrange=(9998,5)&downloadid="+d.DownloadID, 0); !slices.Equal(got, []int64{9998, 9999}) {
		t.Errorf("rows %v", got)
	}
	if got := read(inst+"?cached&taskname=t&data&rowrange=(19999,5)", 0); !slices.Equal(got, []int64{19999}) {
		t.Errorf("cached rows %v", got)
	}
	framed := e.want(t, 200, "", "GET", inst+"?cached&taskname=t&data&schema_in_stream&rowrange=(0,0)", nil)
	at := bytes.Index(framed, []byte(`{"IsVirtualView"`))
	if at != 3 || framed[0] != 1<<3|2 {
		t.Errorf("no schema frame: %q", framed[:min(len(framed), 40)])
	}
	e.want(t, 200, "", "GET", inst+"?data&arrow&downloadid="+d.DownloadID, nil)
}

// A discarding endpoint verifies and counts, and keeps nothing.
func TestDiscard(t *testing.T) {
	e := start(t, func(o *store.Options, _ *tunnel.Options) { o.Discard = true })
	tab := e.create(t, "t", "id bigint", "")
	id := e.session(t, table+"?uploads", "UploadID")
	bad := idArrow(t, 1, 2, 3)
	bad[40] ^= 1
	e.want(t, 400, "CheckSumError", "PUT", table+"?arrow&blockid=0&uploadid="+id, bad)
	e.want(t, 200, "", "PUT", table+"?arrow&blockid=1&uploadid="+id, idArrow(t, 1, 2, 3))
	e.want(t, 200, "", "PUT", table+"?blockid=2&uploadid="+id, idRecords(t, 4))
	if got := e.blocks(t, id); !slices.Equal(got, []int{1, 2}) {
		t.Errorf("blocks %v", got)
	}
	e.want(t, 200, "", "POST", table+"?uploadid="+id, nil)
	if got, err := e.store.Table(tab.Key); err != nil || got.Rows != 4 {
		t.Errorf("Rows = %d, %v, want 4", got.Rows, err)
	}
	if got := e.ids(t); len(got) != 0 {
		t.Errorf("kept %v", got)
	}
}
