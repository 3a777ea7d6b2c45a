package tunnel_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"iter"
	"net/http"
	"net/url"
	"slices"
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

// get sends a GET with headers, name and value by turns, and takes the body as it comes.
func (e *endpoint) get(t testing.TB, path string, headers ...string) (http.Header, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, e.url+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := e.srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s, %v: %s", path, resp.Status, err, b)
	}
	return resp.Header, b
}

func TestRowRanges(t *testing.T) {
	e := start(t, nil)
	e.create(t, "t", "id bigint", "")
	e.upload(t, table, "", idRecords(t, 1, 2), idRecords(t, 3))
	data := table + "?data&downloadid=" + e.session(t, table+"?downloads", "DownloadID") + "&rowrange="
	for _, bad := range []string{"5", "1,2", "(1,2", "1,2)", "(12)", "()", "(,)", "(1,)", "(,1)", "(1,-2)", "(-1,2)", "(a,2)", "(1,b)", "(1,2,3)", "((1,2)", "[1,2]", "(9223372036854775808,1)"} {
		e.want(t, 400, "InvalidArgument", "GET", data+url.QueryEscape(bad), nil)
	}
	for r, want := range map[string][]int64{
		"(0,3)": {1, 2, 3}, "(0,9)": {1, 2, 3}, "(1,1)": {2}, "(1,2)": {2, 3}, "(2,1)": {3}, "( 1 , 1 )": {2}, "(3,1)": {}, "(9,5)": {}, "(0,0)": {},
		"(9223372036854775807,9223372036854775807)": {},
	} {
		if got := e.want(t, 200, "", "GET", data+url.QueryEscape(r), nil); !bytes.Equal(got, idRecords(t, want...)) {
			t.Errorf("rowrange=%s: %x, want the rows %v", r, got, want)
		}
	}
}

// Records come in the order asked for, Arrow in the order of the table; partition columns
// may be named and are not sent.
func TestChosenColumns(t *testing.T) {
	e := start(t, nil)
	e.create(t, "t", "a bigint;b string", "pt string")
	up := e.session(t, table+"?uploads&create_partition&partition=pt=x", "UploadID")
	e.want(t, 200, "", "PUT", table+"?blockid=0&uploadid="+up, records(t, "a bigint;b string", []string{"1", "one"}))
	e.want(t, 200, "", "POST", table+"?uploadid="+up, nil)
	data := table + "?data&downloadid=" + e.session(t, table+"?downloads&partition=pt=x", "DownloadID") + "&columns="
	for _, bad := range []string{"c", "a,c", "a,a", "a,A", "pt", "a,", ",", "a,b,a"} {
		e.want(t, 400, "InvalidArgument", "GET", data+url.QueryEscape(bad), nil)
	}
	ab, ba := records(t, "a bigint;b string", []string{"1", "one"}), records(t, "b string;a bigint", []string{"one", "1"})
	for columns, want := range map[string][]byte{
		"": ab, "a,b": ab, "b,a": ba, "B,pt,A": ba, "`b` , `a`": ba, "pt,a": idRecords(t, 1), "a": idRecords(t, 1),
	} {
		if got := e.want(t, 200, "", "GET", data+url.QueryEscape(columns), nil); !bytes.Equal(got, want) {
			t.Errorf("columns=%s: %q, want %q", columns, got, want)
		}
	}
	if a, b := e.want(t, 200, "", "GET", data+"b,a&arrow", nil), e.want(t, 200, "", "GET", data+"a,b&arrow", nil); !bytes.Equal(a, b) {
		t.Error("Arrow comes in another order when b is named first")
	}
}

// A limit of so many bytes lets exactly the rows through that fit, over batches too.
func TestSizeLimitsAreExact(t *testing.T) {
	e := start(t, func(_ *store.Options, o *tunnel.Options) { o.Results = results{"i": tenRows(3)} })
	e.create(t, "t", "id bigint", "")
	e.upload(t, table, "", idRecords(t, 100, 101, 102), idRecords(t, 103, 104, 105, 106))
	down := table + "?data&downloadid=" + e.session(t, table+"?downloads", "DownloadID")
	const inst = "/projects/p/instances/i"
	first, second := len(idRecords(t, 100, 101, 102)), len(idRecords(t, 103, 104))
	for _, c := range []struct{ limit, rows int }{
		{1, 1}, {first - 1, 2}, {first, 3}, {first + 1, 3}, {first + second - 1, 4}, {first + second, 5}, {1000, 7},
	} {
		want := []int64{100, 101, 102, 103, 104, 105, 106}[:c.rows]
		limit := fmt.Sprintf("&raw_size=%d", c.limit)
		if got := e.want(t, 200, "", "GET", down+limit, nil); !bytes.Equal(got, idRecords(t, want...)) {
			t.Errorf("raw_size=%d: %d bytes, want the rows %v", c.limit, len(got), want)
		}
		whole := e.want(t, 200, "", "GET", fmt.Sprintf("%s&arrow&rowrange=(0,%d)", down, c.rows), nil)
		if got := e.want(t, 200, "", "GET", down+"&arrow"+limit, nil); !bytes.Equal(got, whole) {
			t.Errorf("raw_size=%d in Arrow: not the first %d rows", c.limit, c.rows)
		}
	}
	cached := idRecords(t, 0, 1)
	if got := e.want(t, 200, "", "GET", fmt.Sprintf("%s?cached&data&sizelimit=%d", inst, len(cached)), nil); !bytes.Equal(got, cached) {
		t.Errorf("a cached result of %d bytes: %x", len(cached), got)
	}
	e.want(t, 400, "InvalidArgument", "GET", inst+"?cached&data&sizelimit=0", nil)
}

// An answer is encoded only when exactly one known encoding is asked for.
func TestAnswersInOneEncodingOrNone(t *testing.T) {
	e := start(t, func(_ *store.Options, o *tunnel.Options) { o.Results = results{"i": tenRows(3)} })
	e.create(t, "t", "id bigint", "")
	body := idRecords(t, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
	e.upload(t, table, "", body)
	down := table + "?data&downloadid=" + e.session(t, table+"?downloads", "DownloadID")
	for _, path := range []string{down, "/projects/p/instances/i?cached&data"} {
		for _, accept := range []string{"", "identity", "br", "gzip, deflate", "zstd;q=1", "deflate, zstd"} {
			header, got := e.get(t, path, "Accept-Encoding", accept)
			if _, set := header["Content-Encoding"]; set || !bytes.Equal(got, body) || header.Get("Content-Type") != "application/octet-stream" {
				t.Errorf("%s as %q: %v, %d bytes", path, accept, header, len(got))
			}
		}
		header, got := e.get(t, path, "Accept-Encoding", "deflate")
		if header.Get("Content-Encoding") != "deflate" || bytes.Equal(got, body) {
			t.Errorf("%s as deflate: %v, %d bytes", path, header, len(got))
		}
	}
	up := e.session(t, table+"?uploads", "UploadID")
	if code := e.putEncoded(t, table+"?blockid=0&uploadid="+up, "br", body); code != 400 {
		t.Errorf("a block in an unknown encoding: %d, want 400", code)
	}
}

// The Go and the Java SDK know INTERVAL_DAY_TIME in one form, PyODPS in the other; they
// say who they are in their own header first.
func TestIntervalsComeInTheFormOfTheClient(t *testing.T) {
	e := start(t, nil)
	e.create(t, "t", "i interval_day_time", "")
	e.upload(t, table, "", records(t, "i interval_day_time", []string{`{"sec":90061,"nano":5000000}`}))
	path := table + "?data&arrow&downloadid=" + e.session(t, table+"?downloads", "DownloadID")
	const own, general = "x-odps-user-agent", "User-Agent"
	_, plain := e.get(t, path, own, "pyodps/0.13.1")
	_, sdk := e.get(t, path, own, "odps-go-sdk/0.4")
	if bytes.Equal(plain, sdk) {
		t.Fatal("one form for all")
	}
	for _, c := range []struct {
		headers []string
		want    []byte
	}{
		{[]string{own, "JavaSDK Revision:1"}, sdk}, {[]string{general, "JavaSDK Revision:1"}, sdk}, {[]string{general, "odps-go-sdk/0.4"}, sdk},
		{[]string{own, "pyodps", general, "JavaSDK"}, plain}, {[]string{own, "JavaSDK", general, "pyodps"}, sdk}, {[]string{general, "a JavaSDK"}, plain},
	} {
		if _, got := e.get(t, path, c.headers...); !bytes.Equal(got, c.want) {
			t.Errorf("as %q the other form comes", c.headers)
		}
	}
}

// The frame is what the Java SDK reads before the rows: tag 1, the schema's text, the end
// with its checksum.
func TestCachedResults(t *testing.T) {
	res := tenRows(4)
	broken := *res
	broken.Batches = func(start, count int64) iter.Seq2[arrow.RecordBatch, error] {
		return func(yield func(arrow.RecordBatch, error) bool) {
			for rec, err := range res.Batches(start, count) {
				if yield(rec, err) {
					yield(nil, errors.New("the disk is gone"))
				}
				return
			}
		}
	}
	e := start(t, func(_ *store.Options, o *tunnel.Options) { o.Results = results{"i": res, "broken": &broken} })
	const inst = "/projects/p/instances/i?cached&data"
	header, plain := e.get(t, inst)
	schema := strings.Join(header["Odps-Tunnel-Schema"], "")
	if !bytes.Equal(plain, idRecords(t, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9)) || !strings.Contains(schema, `"name":"id","type":"bigint"`) {
		t.Errorf("%d bytes, schema %s", len(plain), schema)
	}
	_, framed := e.get(t, inst+"&schema_in_stream")
	want := append([]byte{1<<3 | 2, byte(len(schema)&0x7f | 0x80), byte(len(schema) >> 7)}, schema...)
	want = append(want, 0x80, 0xe0, 0xff, 0x7f) // 33553920 shifted by 3, as a varint
	sum := crc32.Checksum(append([]byte{1, 0, 0, 0}, schema...), crc32.MakeTable(crc32.Castagnoli))
	want = append(binary.AppendUvarint(want, uint64(sum)), plain...)
	if !bytes.Equal(framed, want) {
		t.Errorf("framed %x, want %x", framed, want)
	}
	_, arrow := e.get(t, inst+"&arrow")
	if _, again := e.get(t, inst+"&arrow&schema_in_stream"); !bytes.Equal(arrow, again) || bytes.Equal(arrow, plain) {
		t.Error("Arrow has no frame of the schema")
	}
	resp, err := e.srv.Client().Get(e.url + "/projects/p/instances/broken?cached&data")
	if err == nil {
		_, err = io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	if err == nil {
		t.Error("a result that breaks off looks whole")
	}
}

func TestPreviewShowsFirstRowsOfPartitions(t *testing.T) {
	e := start(t, nil)
	e.create(t, "t", "id bigint", "pt varchar(10)")
	for i, pt := range []string{"a", "b"} {
		up := e.session(t, table+"?uploads&create_partition&partition=pt="+pt, "UploadID")
		e.want(t, 200, "", "PUT", table+"?blockid=0&uploadid="+up, idRecords(t, int64(10*i), int64(10*i+1)))
		e.want(t, 200, "", "POST", table+"?uploadid="+up, nil)
	}
	show := func(query string, headers ...string) (rows []string, raw []byte) {
		header, raw := e.get(t, table+"/preview?"+query, headers...)
		if header.Get("Content-Type") != "application/octet-stream" {
			t.Errorf("Content-Type %q", header.Get("Content-Type"))
		}
		r, err := ipc.NewReader(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Release()
		for r.Next() {
			rows = append(rows, fmt.Sprint(r.RecordBatch().Columns()))
		}
		if r.Err() != nil {
			t.Error(r.Err())
		}
		return rows, raw
	}
	for query, want := range map[string][]string{
		"":                         {`[[0 1] ["a" "a"]]`, `[[10 11] ["b" "b"]]`},
		"limit=-1":                 {`[[0 1] ["a" "a"]]`, `[[10 11] ["b" "b"]]`},
		"limit=0":                  nil,
		"limit=2":                  {`[[0 1] ["a" "a"]]`},
		"limit=3":                  {`[[0 1] ["a" "a"]]`, `[[10] ["b"]]`},
		"columns=pt":               {`[["a" "a"]]`, `[["b" "b"]]`},
		"columns=id&limit=1":       {`[[0]]`},
		"partition=pt=b&limit=500": {`[[10 11] ["b" "b"]]`},
	} {
		if got, _ := show(query); !slices.Equal(got, want) {
			t.Errorf("preview?%s: %q, want %q", query, got, want)
		}
	}
	for accept, magic := range map[string]string{"ZSTD": "\x28\xb5\x2f\xfd", "zstd": "\x28\xb5\x2f\xfd", "LZ4_FRAME": "\x04\x22\x4d\x18"} {
		if got, raw := show("limit=1", "Accept-Encoding", accept); !slices.Equal(got, []string{`[[0] ["a"]]`}) || !bytes.Contains(raw, []byte(magic)) {
			t.Errorf("preview as %s: %q, compressed %t", accept, got, bytes.Contains(raw, []byte(magic)))
		}
	}
	e.want(t, 404, "NoSuchPartition", "GET", table+"/preview?partition=pt=c", nil)
	e.want(t, 400, "InvalidArgument", "GET", table+"/preview?limit=many", nil)
	e.want(t, 400, "InvalidArgument", "GET", table+"/preview?columns=none", nil)
}

// An upload session shows its state; a block that was refused leaves no file.
func TestUploadSessionsShowTheirState(t *testing.T) {
	e, removed := watched(t, nil)
	e.create(t, "t", "id bigint", "")
	id := e.session(t, table+"?uploads", "UploadID")
	state := func(want string) {
		t.Helper()
		if got := e.want(t, 200, "", "GET", table+"?uploadid="+id, nil); !strings.Contains(string(got), `"Status":"`+want+`"`) {
			t.Errorf("%s, want %s", got, want)
		}
	}
	state("normal")
	many := idArrow(t, make([]int64, 100_000)...)
	e.want(t, 400, "CheckSumError", "PUT", table+"?arrow&blockid=0&uploadid="+id, many[:len(many)-1])
	<-removed
	e.want(t, 200, "", "POST", table+"?uploadid="+id, nil)
	state("closed")
	auto := store.Table{Key: store.NewKey("p", "", "auto"), Columns: columns(t, "at timestamp_ntz"), PartitionColumns: columns(t, "pt string"), Auto: &store.AutoPartition{Column: "at"}}
	if _, _, err := e.store.CreateTable(auto, false); err != nil {
		t.Fatal(err)
	}
	e.want(t, 400, "InvalidArgument", "POST", "/projects/p/tables/auto?uploads&create_partition&partition=pt=a", nil)
}

// A result in records needs no form of Arrow: its timestamps may be any.
func TestResultsInRecordsHoldEveryTimestamp(t *testing.T) {
	cols := store.WireColumns(columns(t, "at array<timestamp>"))
	b := array.NewRecordBuilder(memory.DefaultAllocator, wire.ArrowSchema(cols, types.LayoutWide))
	defer b.Release()
	if err := b.Field(0).AppendValueFromString(`[{"sec":253402300799,"nano":1}]`); err != nil {
		t.Fatal(err)
	}
	rec := b.NewRecordBatch()
	defer rec.Release()
	res := &tunnel.Result{Columns: cols, Rows: 1, Batches: func(int64, int64) iter.Seq2[arrow.RecordBatch, error] {
		return func(yield func(arrow.RecordBatch, error) bool) { yield(rec, nil) }
	}}
	e := start(t, func(_ *store.Options, o *tunnel.Options) { o.Results = results{"i": res} })
	if _, got := e.get(t, "/projects/p/instances/i?cached&data"); !bytes.Equal(got, recordBody(t, cols, rec)) {
		t.Errorf("%x", got)
	}
	e.want(t, 400, "InvalidArgument", "GET", "/projects/p/instances/i?cached&data&arrow", nil)
}
