package maxcompute

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/read"
	"github.com/sluice-io/sluice/service/internal/table"
)

func downloadDoc(status string, rows int) string {
	return `{"DownloadID":"D1","Initiated":"Fri, 20 Nov 2026 17:52:49 GMT","Owner":"o","Status":"` + status + `","RecordCount":` + strconv.Itoa(rows) + `,"QuotaName":"",
"Schema":{"columns":[{"name":"id","type":"bigint","nullable":false}],"partitionKeys":[]}}`
}

func TestCreateDownload_polls_while_initiating(t *testing.T) {
	var calls atomic.Int64
	c := connect(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		n := calls.Add(1)
		want := "GET downloadid=D1&partition=pt%3Da"
		if n == 1 {
			want = "POST asyncmode=true&downloads=&partition=pt%3Da"
		}
		if got := r.Method + " " + r.URL.RawQuery; got != want {
			t.Errorf("request %d: %s, want %s", n, got, want)
		}
		if n < 3 {
			w.WriteHeader(http.StatusAccepted)
			fmt.Fprint(w, downloadDoc("initiating", 0))
			return
		}
		fmt.Fprint(w, downloadDoc("normal", 10))
	}), nil)
	ref := testTable
	ref.Partition = table.Spec{{Column: "pt", Value: "a"}}
	d, err := c.CreateDownload(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	want := &read.Download{
		ID: "D1", Rows: 10, Created: time.Date(2026, 11, 20, 17, 52, 49, 0, time.UTC),
		Schema: table.Schema{Columns: []table.Column{{Name: "id", Type: table.MustParseType("bigint"), NotNull: true}}},
	}
	if diff := cmp.Diff(want, d); diff != "" || calls.Load() != 3 {
		t.Errorf("after %d calls (-want +got):\n%s", calls.Load(), diff)
	}
}

func TestDownload_states(t *testing.T) {
	for status, want := range map[string]apierr.Reason{
		"normal": apierr.Unspecified, "NORMAL": apierr.Unspecified, "expired": apierr.SessionExpired, "closed": apierr.SessionExpired,
		"failed": apierr.BackendUnavailable, "odd": apierr.BackendUnavailable,
	} {
		c := connect(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, downloadDoc(status, 1)) }), nil)
		if _, err := c.Download(t.Context(), testTable, "D1"); apierr.ReasonOf(err) != want {
			t.Errorf("status %q: %v, want %v", status, err, want)
		}
	}
	c := connect(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "{}") }), nil)
	if _, err := c.Download(t.Context(), testTable, "D1"); !apierr.Is(err, apierr.BackendUnavailable) {
		t.Errorf("no id: %v, want BACKEND_UNAVAILABLE", err)
	}
	c = connect(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, downloadDoc("initiating", 1)) }), nil)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := c.Download(ctx, testTable, "D1"); apierr.ReasonOf(err) != apierr.Unspecified || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("never ready: %v, want DeadlineExceeded", err)
	}
}

func target(rows int64) read.ReadTarget {
	return read.ReadTarget{Ref: testTable, DownloadID: "D1", Range: table.RowRange{Start: 5, End: 5 + rows}, Columns: []string{"id", "s"}}
}

// readMessages reads a whole target: bytes and rows of its messages.
func readMessages(ctx context.Context, c *Client, t read.ReadTarget) (data []byte, rows int, err error) {
	m, err := c.ReadArrow(ctx, t)
	if err != nil {
		return nil, 0, err
	}
	for {
		p, n, err := m.Next()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return data, rows, errors.Join(err, m.Close(), m.Close())
		}
		data, rows = append(data, bytes.Join(p.Pieces(), nil)...), rows+n
		p.Release()
	}
}

func TestReadArrow_request_and_messages(t *testing.T) {
	data := append(message(t, 0, 4000), message(t, 4000, 3000)...)
	for _, coding := range []Compression{CompressNone, CompressZstd, CompressSnappy, CompressDeflate, CompressLZ4} {
		c := connect(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
			want := map[string][]string{"downloadid": {"D1"}, "data": {""}, "arrow": {""}, "rowrange": {"(5,7000)"}, "columns": {"id,s"}}
			if d := cmp.Diff(want, map[string][]string(r.URL.Query())); d != "" || r.Header.Get("Accept-Encoding") != coding.coding(true) {
				t.Errorf("Accept-Encoding %q, query (-want +got):\n%s", r.Header.Get("Accept-Encoding"), d)
			}
			if coding == CompressNone {
				_, _ = w.Write(frame(data, 65536))
				return
			}
			w.Header().Set("Content-Encoding", coding.coding(true))
			z, err := coding.compressor(w)
			if err != nil {
				t.Error(err)
				return
			}
			_, err = z.Write(frame(data, 65536))
			if err := errors.Join(err, z.Close()); err != nil {
				t.Error(err)
			}
		}), func(c *Config) { c.Compression = coding })
		got, rows, err := readMessages(t.Context(), c, target(7000))
		if err != nil || rows != 7000 || !bytes.Equal(got, data) {
			t.Errorf("%q: %d bytes, %d rows, %v, want %d, 7000", coding, len(got), rows, err, len(data))
		}
	}
}

func TestReadArrow_no_rows_asks_nothing(t *testing.T) {
	c := connect(t, serve(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("request %s", r.URL) }), nil)
	if got, rows, err := readMessages(t.Context(), c, target(0)); err != nil || rows != 0 || len(got) != 0 {
		t.Errorf("%d rows, %v, want none", rows, err)
	}
	body, err := c.ReadRecords(t.Context(), target(0))
	if err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, body); !bytes.Equal(got, unhex(t, "f0ffff7f00f8ffff7f00")) {
		t.Errorf("records = %x, want the trailer alone", got)
	}
}

// cutServer sends the first ?n bytes of body and ends the HTTP body cleanly or not.
func cutServer(body []byte, n *atomic.Int64, clean *atomic.Bool) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(body[:n.Load()])
		if !clean.Load() {
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
	}
}

// However the rows break off, the reader says so and never ends as if it were done; what it gave out was verified.
func TestReadArrow_cut_at_every_byte(t *testing.T) {
	data := append(message(t, 0, 2), message(t, 2, 1)...)
	body := frame(data, 256)
	var n atomic.Int64
	var clean atomic.Bool
	c := connect(t, serve(t, cutServer(body, &n, &clean)), nil)
	for _, how := range []bool{true, false} {
		clean.Store(how)
		for cut := range body {
			n.Store(int64(cut))
			got, _, err := readMessages(t.Context(), c, target(3))
			e := apierr.From(err)
			if e == nil || e.Reason() != apierr.BackendUnavailable || e.Meta("retry") != apierr.RetryResume || !bytes.HasPrefix(data, got) {
				t.Fatalf("cut after %d of %d bytes, clean %v: %v with %d bytes, want BACKEND_UNAVAILABLE, retry=resume", cut, len(body), how, err, len(got))
			}
		}
	}
	n.Store(int64(len(body)))
	clean.Store(true)
	if _, rows, err := readMessages(t.Context(), c, target(3)); err != nil || rows != 3 {
		t.Errorf("whole body: %d rows, %v", rows, err)
	}
	if _, _, err := readMessages(t.Context(), c, target(4)); !apierr.Is(err, apierr.BackendUnavailable) {
		t.Errorf("a row too few: %v, want BACKEND_UNAVAILABLE", err)
	}
	if _, _, err := readMessages(t.Context(), c, target(2)); !apierr.Is(err, apierr.BackendUnavailable) {
		t.Errorf("a row too many: %v, want BACKEND_UNAVAILABLE", err)
	}
}

func TestReadRecords_cut_is_an_error(t *testing.T) {
	body := append(unhex(t, goldenRecordA), unhex(t, goldenTrailerA)...)
	var n atomic.Int64
	var clean atomic.Bool
	c := connect(t, serve(t, cutServer(body, &n, &clean)), nil)
	for cut := range len(body) + 1 {
		n.Store(int64(cut))
		clean.Store(cut == len(body))
		r, err := c.ReadRecords(t.Context(), target(1))
		if err != nil {
			if cut > 0 {
				t.Fatalf("cut after %d: %v", cut, err)
			}
			continue
		}
		got, err := io.ReadAll(r)
		if cut < len(body) && (!apierr.Is(err, apierr.BackendUnavailable) || apierr.From(err).Meta("retry") != apierr.RetryResume) {
			t.Errorf("cut after %d: %v, want BACKEND_UNAVAILABLE, retry=resume", cut, err)
		}
		if cut == len(body) && (err != nil || !bytes.Equal(got, body)) {
			t.Errorf("whole: %x, %v", got, err)
		}
		if err := r.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
	}
}

func TestRead_refusals(t *testing.T) {
	for _, k := range []struct {
		status        int
		code, message string
		want          apierr.Reason
		arrow         bool
	}{
		{404, "NoSuchObject", "no such download", apierr.SessionExpired, false},
		{400, "TableModified", "the table was changed", apierr.SessionExpired, false},
		{400, "InvalidArgument", "timestamp does not fit arrow", apierr.BadArgument, true},
		{400, "InvalidArgument", "no such column", apierr.BadArgument, false},
		{503, "ServiceUnavailable", "arrow", apierr.BackendUnavailable, false},
		{429, "FlowExceeded", "", apierr.Throttled, false},
	} {
		c := connect(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { refuse(w, k.status, k.code, k.message) }), nil)
		_, err := c.ReadArrow(t.Context(), target(3))
		if apierr.ReasonOf(err) != k.want || errors.Is(err, read.ErrArrowRefused) != k.arrow {
			t.Errorf("%s: %v, want %v, ErrArrowRefused %v", k.code, err, k.want, k.arrow)
		}
		if _, err := c.ReadRecords(t.Context(), target(3)); apierr.ReasonOf(err) != k.want {
			t.Errorf("%s: ReadRecords = %v, want %v", k.code, err, k.want)
		}
	}
}

func TestRead_unknown_coding_and_damage(t *testing.T) {
	for name, k := range map[string]struct {
		coding string
		body   []byte
		want   apierr.Reason
	}{
		"unknown coding":  {"br", frame(message(t, 0, 3), 64), apierr.BackendUnavailable},
		"not compressed":  {"zstd", frame(message(t, 0, 3), 64), apierr.BackendUnavailable},
		"empty zlib":      {"deflate", nil, apierr.BackendUnavailable},
		"damaged chunk":   {"", damaged(frame(message(t, 0, 30), 64)), apierr.ChecksumMismatch},
		"schema message":  {"", frame(encode(t, testSchema(), nil), 64), apierr.Internal},
		"garbage, signed": {"", frame(random(500), 64), apierr.Internal},
	} {
		c := connect(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
			if k.coding != "" {
				w.Header().Set("Content-Encoding", k.coding)
			}
			_, _ = w.Write(k.body)
		}), nil)
		if _, _, err := readMessages(t.Context(), c, target(3)); apierr.ReasonOf(err) != k.want {
			t.Errorf("%s: %v, want %v", name, err, k.want)
		}
	}
}

func damaged(b []byte) []byte {
	b[70] ^= 1
	return b
}

func TestRead_stall_is_cut_and_slow_bytes_are_not(t *testing.T) {
	body := frame(message(t, 0, 5), 64)
	c := connect(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write(body[:len(body)/2])
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}), func(c *Config) { c.Timeouts.Progress = 30 * time.Millisecond })
	_, _, err := readMessages(t.Context(), c, target(5))
	if !apierr.Is(err, apierr.BackendUnavailable) {
		t.Errorf("stalled: %v, want BACKEND_UNAVAILABLE", err)
	}
	slow := connect(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(body); i += 40 {
			_, _ = w.Write(body[i:min(i+40, len(body))])
			w.(http.Flusher).Flush()
			time.Sleep(50 * time.Millisecond) // the slowness is the test
		}
	}), func(c *Config) { c.Timeouts.Progress = 400 * time.Millisecond })
	if _, rows, err := readMessages(t.Context(), slow, target(5)); err != nil || rows != 5 {
		t.Errorf("slow: %d rows, %v, want 5", rows, err)
	}
}

func TestRead_cancelled_and_closed_early(t *testing.T) {
	body := frame(message(t, 0, 5), 64)
	c := connect(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write(body[:len(body)/2])
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}), nil)
	ctx, cancel := context.WithCancel(t.Context())
	m, err := c.ReadArrow(ctx, target(5))
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, _, err := m.Next(); !errors.Is(err, context.Canceled) || apierr.ReasonOf(err) != apierr.Unspecified {
		t.Errorf("Next = %v, want context.Canceled", err)
	}
	if err := m.Close(); err != nil {
		t.Errorf("Close = %v", err)
	}
	m, err = c.ReadArrow(t.Context(), target(5))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(m.Close(), m.Close()); err != nil {
		t.Errorf("Close early = %v", err)
	}
	if _, _, err := m.Next(); err == nil || errors.Is(err, io.EOF) || !strings.Contains(err.Error(), "closed") {
		t.Errorf("Next after Close = %v, want an error", err)
	}
}
