package tunnel_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/sluice-io/sluice/emulator/internal/store"
	"github.com/sluice-io/sluice/emulator/internal/wire"
)

var encodings = []wire.Encoding{wire.Identity, wire.Deflate, wire.Snappy, wire.Zstd, wire.LZ4Frame, wire.LZ4Arrow}

// snappyMagic is the length of what a snappy stream begins with.
const snappyMagic = 10

// everyKind has a column of each way in which values are encoded.
const everyKind = "a bigint;b string;c double;d boolean;e datetime;f timestamp;g decimal(10,2);h date;i float;j array<bigint>;k struct<x:bigint,y:string>"

func everyKindRecords(t testing.TB) []byte {
	t.Helper()
	return records(t, everyKind,
		[]string{"25", "Apple", "5", "false", "1969-12-31 23:59:58.5", `{"sec":-1,"nano":5}`, "12.34", "1970-01-03", "1.5", "[1,-2]", `{"x":9,"y":"z"}`},
		[]string{"", "", "", "", "", "", "", "", "", "", ""},
		[]string{"-1", "中文", "-0.5", "true", "2024-01-02 03:04:05.678", `{"sec":1,"nano":0}`, "-0.01", "2024-01-02", "-2", "[]", `{"x":null,"y":null}`})
}

// arrowOf is what the endpoint itself sends for rows that were put as records.
func (e *endpoint) arrowOf(t testing.TB, body []byte) []byte {
	t.Helper()
	id := e.session(t, table+"?uploads&overwrite=true", "UploadID")
	e.want(t, 200, "", "PUT", table+"?blockid=0&uploadid="+id, body)
	e.want(t, 200, "", "POST", table+"?uploadid="+id, nil)
	return e.want(t, 200, "", "GET", table+"?data&arrow&downloadid="+e.session(t, table+"?downloads", "DownloadID"), nil)
}

// Every body cut at any byte, in both forms, as block and as pack, and in every
// encoding, is refused with 400 and has no effect.
func TestBodiesCutAtEveryByte(t *testing.T) {
	e := start(t, nil)
	e.create(t, "t", everyKind, "")
	plain := everyKindRecords(t)
	arrow := e.arrowOf(t, plain)
	before := e.rows(t, "t", "")
	id := e.session(t, table+"?uploads", "UploadID")
	stream, _ := e.open(t, "POST", table+"/streams", "", "")
	for path, body := range map[string][]byte{
		table + "?blockid=1&uploadid=" + id:                        plain,
		table + "?blockid=1&arrow&uploadid=" + id:                  arrow,
		table + "/streams?slotid=0&uploadid=" + stream.SessionName: plain,
	} {
		for _, enc := range encodings {
			if strings.Contains(path, "/streams") && enc != wire.Identity {
				continue // packs are read as blocks are
			}
			sent := body
			if enc != wire.Identity {
				sent = compressed(t, enc, body)
			}
			for cut := range sent {
				if strings.Contains(path, "&arrow") && (cut == 0 || enc == wire.Snappy && cut == snappyMagic) {
					continue // that is an empty upload, whole: it has no end of its own
				}
				if code := e.putEncoded(t, path, enc, sent[:cut]); code != http.StatusBadRequest {
					t.Errorf("%s, %q, %d of %d bytes: %d, want 400", path, enc, cut, len(sent), code)
				}
			}
		}
	}
	if got := e.blocks(t, id); len(got) != 0 {
		t.Errorf("blocks %v of cut bodies", got)
	}
	if got := e.rows(t, "t", ""); !slices.Equal(got, before) {
		t.Errorf("rows %q after cut packs, want %q", got, before)
	}
	for path, body := range map[string][]byte{table + "?blockid=1&uploadid=" + id: plain, table + "?blockid=2&arrow&uploadid=" + id: arrow} {
		for _, enc := range encodings { // whole, they are good
			sent := body
			if enc != wire.Identity {
				sent = compressed(t, enc, body)
			}
			if code := e.putEncoded(t, path, enc, sent); code != http.StatusOK {
				t.Errorf("%s, %q, whole: %d", path, enc, code)
			}
		}
	}
	e.want(t, 200, "", "POST", table+"?uploadid="+id, nil)
	if got, want := e.rows(t, "t", ""), slices.Concat(before, before, before); !slices.Equal(got, want) {
		t.Errorf("rows %q, want %q", got, want)
	}
}

// Any byte of a body turned over is refused, or does no harm beyond a value that no
// checksum covers; it is never a 500.
func TestBodiesWithAByteTurnedOver(t *testing.T) {
	e := start(t, nil)
	e.create(t, "t", everyKind, "")
	plain := everyKindRecords(t)
	arrow := e.arrowOf(t, plain)
	id := e.session(t, table+"?uploads", "UploadID")
	for form, body := range map[string][]byte{"": plain, "&arrow": arrow} {
		taken := 0
		for i := range body {
			bad := bytes.Clone(body)
			bad[i] ^= 0x55
			switch code := e.putEncoded(t, fmt.Sprintf("%s?blockid=%d&uploadid=%s%s", table, i, id, form), wire.Identity, bad); code {
			case http.StatusBadRequest:
			case http.StatusOK: // no checksum covers records' tags and counts, and the size of Arrow's chunks (protocol 13 and 14)
				if form == "" || i >= 4 {
					taken++
				}
			default:
				t.Errorf("%q byte %d turned over: %d", form, i, code)
			}
		}
		if form == "&arrow" && taken > 0 || taken > len(body)/4 {
			t.Errorf("%q: %d of %d damaged bodies were taken", form, taken, len(body))
		}
	}
}

// Downloads come in the encoding asked for, in both forms, and hold the same bytes.
func TestDownloadEncodings(t *testing.T) {
	e := start(t, nil)
	e.create(t, "t", everyKind, "")
	plain := everyKindRecords(t)
	arrow := e.arrowOf(t, plain)
	id := e.session(t, table+"?downloads", "DownloadID")
	for form, want := range map[string][]byte{"": plain, "&arrow": arrow} {
		for _, enc := range encodings {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, e.url+table+"?data&downloadid="+id+form, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Accept-Encoding", string(enc))
			resp, err := e.srv.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			if got := resp.Header.Get("Content-Encoding"); got != string(enc) {
				t.Errorf("%q asked as %q came as %q", form, enc, got)
			}
			body, err := wire.NewDecompressor(enc, resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(body)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%q as %q: %d bytes, %v, want %d", form, enc, len(got), err, len(want))
			}
			body.Close()
			resp.Body.Close()
		}
	}
}

// A commit whose answer was lost can be repeated after a restart, too.
func TestCommitIsIdempotentAfterARestart(t *testing.T) {
	dir := t.TempDir()
	e := start(t, nil, dir)
	e.create(t, "t", "id bigint", "")
	id := e.session(t, table+"?uploads", "UploadID")
	open := e.session(t, table+"?uploads", "UploadID")
	e.want(t, 200, "", "PUT", table+"?blockid=4&uploadid="+id, idRecords(t, 1, 2))
	e.want(t, 200, "", "PUT", table+"?blockid=7&block_version=3&uploadid="+open, idRecords(t, 3))
	e.want(t, 200, "", "POST", table+"?uploadid="+id, nil)
	e.stop(t)
	e = start(t, nil, dir)
	for _, method := range []string{"POST", "GET", "POST"} {
		var u struct {
			Status            string
			UploadedBlockList []struct{ BlockID, RecordCount, Version int }
		}
		if err := json.Unmarshal(e.want(t, 200, "", method, table+"?uploadid="+id+"&getblockid=true", nil), &u); err != nil || u.Status != "closed" || len(u.UploadedBlockList) != 1 || u.UploadedBlockList[0].BlockID != 4 {
			t.Errorf("%s after a restart: %+v, %v", method, u, err)
		}
	}
	e.want(t, 200, "", "PUT", table+"?blockid=7&block_version=2&uploadid="+open, idRecords(t, 9)) // an older attempt comes too late
	e.want(t, 200, "", "POST", table+"?uploadid="+open, nil)
	if got := e.ids(t); !slices.Equal(got, []int64{1, 2, 3}) {
		t.Errorf("rows %v", got)
	}
}

// raw_size and sizelimit end an answer behind a whole row, and never before the first.
func TestAnswersOfLimitedSize(t *testing.T) {
	e := start(t, nil)
	e.create(t, "t", "id bigint;name string", "")
	var rows [][]string
	for i := range 3000 {
		rows = append(rows, []string{fmt.Sprint(i), strings.Repeat("x", i%50+1)})
	}
	all := records(t, "id bigint;name string", rows...)
	id := e.session(t, table+"?uploads", "UploadID")
	e.want(t, 200, "", "PUT", table+"?blockid=0&uploadid="+id, all)
	e.want(t, 200, "", "POST", table+"?uploadid="+id, nil)
	down := e.session(t, table+"?downloads", "DownloadID")
	cols := store.WireColumns(columns(t, "id bigint;name string"))
	count := func(query string) (n int64, size int) {
		body := e.want(t, 200, "", "GET", table+"?data&downloadid="+down+query, nil)
		rd := wire.NewRecordReader(bytes.NewReader(body), cols, memory.DefaultAllocator)
		defer rd.Close()
		for {
			rec, _, err := rd.Next()
			if err == io.EOF { //nolint:errorlint // A clean end is io.EOF itself.
				return n, len(body)
			}
			if err != nil {
				t.Fatal(err)
			}
			n += rec.NumRows()
			rec.Release()
		}
	}
	whole, size := count("")
	if whole != 3000 || size != len(all) {
		t.Fatalf("%d rows, %d bytes", whole, size)
	}
	for _, name := range []string{"raw_size", "sizelimit"} {
		for _, limit := range []int{1, 100, 5000, size / 2} {
			n, got := count(fmt.Sprintf("&%s=%d", name, limit))
			if n < 1 || n > 1 && got > limit {
				t.Errorf("%s=%d: %d rows in %d bytes", name, limit, n, got)
			}
			if more, bytes := count(fmt.Sprintf("&rowrange=(0,%d)", n+1)); n > 1 && bytes+32 < limit { // room for another row
				t.Errorf("%s=%d: %d rows, but %d take %d bytes only", name, limit, n, more, bytes)
			}
		}
		if n, _ := count("&" + name + "=1000000000"); n != 3000 {
			t.Errorf("%s without effect: %d rows", name, n)
		}
		if n, _ := count("&" + name + "=-1"); n != 3000 {
			t.Errorf("%s=-1: %d rows", name, n)
		}
		e.want(t, 400, "InvalidArgument", "GET", table+"?data&downloadid="+down+"&"+name+"=many", nil)
		e.want(t, 400, "InvalidArgument", "GET", table+"?data&downloadid="+down+"&"+name+"=0", nil)
	}
	if n, _ := count("&rowrange=" + url.QueryEscape("(10,0)") + "&raw_size=5"); n != 0 {
		t.Errorf("no rows asked for: %d", n)
	}
}
