package maxcompute

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/batch"
	"github.com/sluice-io/sluice/service/internal/table"
	"github.com/sluice-io/sluice/service/internal/write"
)

// sink is a tunnel that keeps what arrived in each PUT and how it ended.
type sink struct {
	mu   sync.Mutex
	puts []put
}

type put struct {
	query  map[string][]string
	header http.Header
	path   string
	body   []byte
	err    error // nil: the body ended as HTTP says
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	plain, err := decompressor(r.Header.Get("Content-Encoding"), r.Body)
	var body []byte
	if err == nil {
		body, err = io.ReadAll(plain)
	}
	s.mu.Lock()
	s.puts = append(s.puts, put{query: r.URL.Query(), header: r.Header, path: r.URL.Path, body: body, err: err})
	s.mu.Unlock()
	w.Header()["x-odps-request-id"] = []string{"R7"}
}

func (s *sink) all() []put {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]put(nil), s.puts...)
}

func openBlock(t testing.TB, c *Client, form batch.Form) write.BlockWriter {
	t.Helper()
	w, err := c.OpenBlock(ctxOf(t), testTarget(form))
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestBlock_golden_body_and_request(t *testing.T) {
	var s sink
	c := connect(t, serve(t, s.ServeHTTP), nil)
	want := unhex(t, goldenArrow)
	target := testTarget(batch.FormArrow)
	target.Output.Partition = table.Spec{{Column: "pt", Value: "a"}, {Column: "hh", Value: "1"}}
	target.Output.Name.Schema = "s1"
	w, err := c.OpenBlock(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	var released atomic.Int64
	if err := w.Write(checked(batch.FormArrow, 1, 0, want[4:len(want)-4], 16, &released)); err != nil {
		t.Fatal(err)
	}
	receipt, err := w.Close(t.Context())
	if err != nil || receipt != "R7" || released.Load() != 1 {
		t.Errorf("Close = %q, %v with %d released, want R7 and 1", receipt, err, released.Load())
	}
	p := s.all()[0]
	if p.path != "/projects/p1/schemas/s1/tables/t1" || !bytes.Equal(p.body, want) {
		t.Errorf("PUT %s with %x, want %x", p.path, p.body, want)
	}
	wantQuery := map[string][]string{"uploadid": {"U1"}, "blockid": {"7"}, "block_version": {"1"}, "arrow": {""}, "partition": {"pt=a,hh=1"}}
	if d := cmp.Diff(wantQuery, p.query); d != "" {
		t.Errorf("query (-want +got):\n%s", d)
	}
	for k, v := range map[string]string{
		"Content-Type": "application/octet-stream", "X-Odps-Tunnel-Version": "5", "Odps-Tunnel-Date-Transform": "v1",
		"Odps-Tunnel-Sdk-Support-Schema-Evolution": "true", "Content-Encoding": "",
	} {
		if got := p.header.Get(k); got != v {
			t.Errorf("header %s = %q, want %q", k, got, v)
		}
	}
	if !strings.HasPrefix(p.header.Get("Authorization"), "ODPS ak:") {
		t.Errorf("Authorization = %q", p.header.Get("Authorization"))
	}
}

func TestBlock_many_batches_every_compression_and_form(t *testing.T) {
	data := random(1 << 20)
	for _, form := range []batch.Form{batch.FormArrow, batch.FormRecord} {
		for _, coding := range []Compression{CompressNone, CompressZstd, CompressSnappy, CompressDeflate, CompressLZ4} {
			var s sink
			c := connect(t, serve(t, s.ServeHTTP), func(c *Config) { c.Compression = coding })
			w := openBlock(t, c, form)
			var released atomic.Int64
			n := int64(0)
			for rest := data; len(rest) > 0; n++ {
				k := min(len(rest), int(n)*9973%150000+1)
				if err := w.Write(checked(form, 1, uint32(n), rest[:k], 16<<10, &released)); err != nil {
					t.Fatal(err)
				}
				rest = rest[k:]
			}
			if _, err := w.Close(t.Context()); err != nil || released.Load() != n {
				t.Fatalf("%v %q: %v, %d of %d batches released", form, coding, err, released.Load(), n)
			}
			p := s.all()[0]
			want := frame(data, 65536)
			if form == batch.FormRecord {
				crc := uint32(0)
				for i := range n {
					crc = batch.CombineCRC32C(crc, uint32(i), 4)
				}
				want = append(bytes.Clone(data), recordTrailer(n, crc)...)
			}
			if p.err != nil || !bytes.Equal(p.body, want) {
				t.Errorf("%v %q: %d bytes, %v, want %d", form, coding, len(p.body), p.err, len(want))
			}
			if got := p.header.Get("Content-Encoding"); got != coding.coding(form == batch.FormArrow) {
				t.Errorf("%v %q: Content-Encoding = %q", form, coding, got)
			}
		}
	}
}

// After an abort no complete body reached the server, whatever had been written.
func TestBlock_abort_leaves_no_trailer(t *testing.T) {
	for _, n := range []int{0, 1, 5} {
		var s sink
		srv := serve(t, s.ServeHTTP)
		c := connect(t, srv, nil)
		w := openBlock(t, c, batch.FormArrow)
		var released atomic.Int64
		for range n {
			if err := w.Write(checked(batch.FormArrow, 1, 0, random(200000), 16<<10, &released)); err != nil {
				t.Fatal(err)
			}
		}
		w.Abort()
		w.Abort()
		if got := released.Load(); got != int64(n) {
			t.Errorf("%d batches released after the abort, want %d", got, n)
		}
		if err := w.Write(checked(batch.FormArrow, 1, 0, random(9), 9, &released)); err == nil || released.Load() != int64(n)+1 {
			t.Errorf("Write after Abort = %v, want an error and the batch released", err)
		}
		if _, err := w.Close(t.Context()); !errors.Is(err, errAborted) {
			t.Errorf("Close after Abort = %v, want errAborted", err)
		}
		srv.Close() // waits for the handlers
		for _, p := range s.all() {
			if p.err == nil {
				t.Errorf("the server took an aborted body of %d bytes as whole", len(p.body))
			}
			if _, err := unframe(bytes.NewReader(p.body)); err == nil {
				t.Errorf("an aborted body of %d bytes has a valid trailer", len(p.body))
			}
		}
	}
}

func TestBlock_abort_unblocks_a_blocked_write(t *testing.T) {
	gate := make(chan struct{})
	c := connect(t, serve(t, func(http.ResponseWriter, *http.Request) { <-gate }), nil)
	t.Cleanup(func() { close(gate) }) // before the server's Close
	w := openBlock(t, c, batch.FormArrow)
	var written, released atomic.Int64
	failed := make(chan error)
	go func() {
		for { // the server reads nothing: socket buffers, the body and the queue fill up
			if err := w.Write(checked(batch.FormArrow, 1, 0, make([]byte, 1<<20), 1<<20, &released)); err != nil {
				failed <- err
				return
			}
			written.Add(1)
		}
	}()
	for released.Load() < written.Load()-2 || written.Load() < 3 {
		time.Sleep(time.Millisecond) // the test only needs some batches on their way
	}
	w.Abort()
	if err := <-failed; !errors.Is(err, errAborted) {
		t.Errorf("Write = %v, want errAborted", err)
	}
	if written.Load()+1 != released.Load() {
		t.Errorf("%d batches written or refused, %d released", written.Load()+1, released.Load())
	}
}

// With a server that does not read, no more than two batches beyond what the sockets took are held.
func TestBlock_holds_two_batches(t *testing.T) {
	gate := make(chan struct{})
	c := connect(t, serve(t, func(http.ResponseWriter, *http.Request) { <-gate }), nil)
	t.Cleanup(func() { close(gate) })
	w := openBlock(t, c, batch.FormArrow)
	defer w.Abort()
	var released atomic.Int64
	var accepted atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			if w.Write(checked(batch.FormArrow, 1, 0, make([]byte, 4<<20), 1<<20, &released)) != nil {
				return
			}
			accepted.Add(1)
		}
	}()
	for last := int64(-1); last != accepted.Load(); { // until it stands still
		last = accepted.Load()
		time.Sleep(50 * time.Millisecond)
	}
	if held := accepted.Load() - released.Load(); held > 2 {
		t.Errorf("%d batches are held, want at most 2", held)
	}
	w.Abort()
	<-done
}

func TestBlock_early_refusal_is_the_error_of_write_and_close(t *testing.T) {
	c := connect(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadFull(r.Body, make([]byte, 1000))
		refuse(w, 429, "FlowExceeded", "slow down")
	}), nil)
	w := openBlock(t, c, batch.FormArrow)
	var written, released int64
	var count atomic.Int64
	var err error
	for err == nil {
		err = w.Write(checked(batch.FormArrow, 1, 0, make([]byte, 100000), 1<<20, &count))
		written++
	}
	// The server's reply can be lost when it closes the connection on unread data; then the cut is reported instead.
	if r := apierr.ReasonOf(err); r != apierr.Throttled && r != apierr.BackendUnavailable {
		t.Errorf("Write = %v, want THROTTLED", err)
	}
	_, cerr := w.Close(t.Context())
	if released = count.Load(); cerr == nil || cerr.Error() != err.Error() || released != written {
		t.Errorf("Close = %v with %d of %d released, want the same error", cerr, released, written)
	}
}

func TestBlock_refused_after_the_whole_body(t *testing.T) {
	for _, k := range []struct {
		status int
		code   string
		want   apierr.Reason
	}{
		{400, "CheckSumError", apierr.ChecksumMismatch}, {404, "NoSuchObject", apierr.SessionExpired}, {409, "StatusConflict", apierr.SessionExpired},
		{500, "InternalServerError", apierr.BackendUnavailable}, {503, "", apierr.BackendUnavailable}, {429, "SlotExceeded", apierr.Throttled},
	} {
		c := connect(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
			readAll(t, r.Body)
			refuse(w, k.status, k.code, "value secret")
		}), nil)
		w := openBlock(t, c, batch.FormArrow)
		var released atomic.Int64
		if err := w.Write(checked(batch.FormArrow, 1, 0, random(1000), 100, &released)); err != nil {
			t.Fatal(err)
		}
		_, err := w.Close(t.Context())
		if got := apierr.ReasonOf(err); got != k.want || errors.Is(err, write.ErrNotSent) || strings.Contains(apierr.From(err).Message(), "secret") {
			t.Errorf("%d %s: Close = %v, want %v, without upstream's text", k.status, k.code, err, k.want)
		}
	}
}

func TestBlock_success_before_the_end_is_none(t *testing.T) {
	c := connect(t, serve(t, func(http.ResponseWriter, *http.Request) {}), nil)
	w := openBlock(t, c, batch.FormArrow)
	var released atomic.Int64
	var err error
	for err == nil {
		err = w.Write(checked(batch.FormArrow, 1, 0, make([]byte, 1<<20), 1<<20, &released))
	}
	if !apierr.Is(err, apierr.BackendUnavailable) {
		t.Errorf("Write = %v, want BACKEND_UNAVAILABLE", err)
	}
	w.Abort()
}

func TestBlock_nobody_listens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	base := "http://" + l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	c, err := New(Config{Endpoint: base, TunnelEndpoint: base})
	if err != nil {
		t.Fatal(err)
	}
	w := openBlock(t, c, batch.FormArrow)
	var released atomic.Int64
	_ = w.Write(checked(batch.FormArrow, 1, 0, random(10), 10, &released)) // fails or not, as the dial is slow or quick
	_, err = w.Close(t.Context())
	if !errors.Is(err, write.ErrNotSent) || !apierr.Is(err, apierr.BackendUnavailable) || released.Load() != 1 {
		t.Errorf("Close = %v, %d released, want ErrNotSent, BACKEND_UNAVAILABLE, 1", err, released.Load())
	}
}

func TestBlock_close_gives_up_with_its_context(t *testing.T) {
	c := connect(t, serve(t, func(_ http.ResponseWriter, r *http.Request) {
		readAll(t, r.Body)
		<-r.Context().Done()
	}), nil)
	w := openBlock(t, c, batch.FormArrow)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := w.Close(ctx); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, write.ErrNotSent) {
		t.Errorf("Close = %v, want DeadlineExceeded", err)
	}
	// Nobody answers the dial: the PUT is given up before a byte left, and says so.
	stuck := connect(t, serve(t, func(http.ResponseWriter, *http.Request) {}), nil)
	gate := make(chan struct{})
	t.Cleanup(func() { close(gate) })
	stuck.data.Transport.(*http.Transport).DialContext = func(context.Context, string, string) (net.Conn, error) {
		<-gate
		return nil, net.ErrClosed
	}
	w = openBlock(t, stuck, batch.FormArrow)
	ctx, cancel = newCancelled(t)
	defer cancel()
	if _, err := w.Close(ctx); !errors.Is(err, context.Canceled) || !errors.Is(err, write.ErrNotSent) {
		t.Errorf("Close = %v, want Canceled and ErrNotSent", err)
	}
}

func TestBlock_ends_with_the_context_of_its_opening(t *testing.T) {
	var s sink
	c := connect(t, serve(t, s.ServeHTTP), nil)
	ctx, cancel := context.WithCancel(t.Context())
	w, err := c.OpenBlock(ctx, testTarget(batch.FormArrow))
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := w.Close(t.Context()); !errors.Is(err, context.Canceled) {
		t.Errorf("Close = %v, want context.Canceled", err)
	}
}

// A server that stops reading for longer than the progress timeout fails the block; one that waits for rows does not.
func TestBlock_progress_timeout(t *testing.T) {
	gate := make(chan struct{})
	srv := serve(t, func(http.ResponseWriter, *http.Request) { <-gate })
	t.Cleanup(func() { close(gate) })
	c := connect(t, srv, func(c *Config) { c.Timeouts.Progress = 50 * time.Millisecond })
	w := openBlock(t, c, batch.FormArrow)
	var released atomic.Int64
	var err error
	for err == nil {
		err = w.Write(checked(batch.FormArrow, 1, 0, make([]byte, 1<<20), 1<<20, &released))
	}
	var timeout net.Error
	if !apierr.Is(err, apierr.BackendUnavailable) || !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("Write = %v, want BACKEND_UNAVAILABLE for a timeout", err)
	}

	var s sink
	c = connect(t, serve(t, s.ServeHTTP), func(c *Config) { c.Timeouts.Progress = 200 * time.Millisecond })
	w = openBlock(t, c, batch.FormArrow)
	for range 2 {
		if err := w.Write(checked(batch.FormArrow, 1, 0, random(100), 100, &released)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(300 * time.Millisecond) // the slice has no rows: not a stall of the connection
	}
	if _, err := w.Close(t.Context()); err != nil {
		t.Errorf("Close = %v, want success", err)
	}
}

// Rows of a slow slice reach the server without waiting for a full buffer.
func TestBlock_small_batches_do_not_wait(t *testing.T) {
	for _, coding := range []Compression{CompressNone, CompressZstd} {
		got := make(chan struct{})
		c := connect(t, serve(t, func(_ http.ResponseWriter, r *http.Request) {
			plain, err := decompressor(r.Header.Get("Content-Encoding"), r.Body)
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := io.ReadFull(plain, make([]byte, 14)); err != nil {
				t.Error(err)
			}
			close(got)
			readAll(t, plain)
		}), func(c *Config) { c.Compression = coding })
		w := openBlock(t, c, batch.FormArrow)
		var released atomic.Int64
		if err := w.Write(checked(batch.FormArrow, 1, 0, random(10), 10, &released)); err != nil {
			t.Fatal(err)
		}
		<-got
		if _, err := w.Close(t.Context()); err != nil {
			t.Errorf("Close = %v", err)
		}
	}
}

func TestBlock_wrong_form_is_refused(t *testing.T) {
	var s sink
	c := connect(t, serve(t, s.ServeHTTP), nil)
	w := openBlock(t, c, batch.FormRecord)
	var released atomic.Int64
	_ = w.Write(checked(batch.FormArrow, 1, 0, random(10), 10, &released)) // the body finds out
	if _, err := w.Close(t.Context()); err == nil || released.Load() != 1 {
		t.Errorf("Close = %v, %d released, want an error and 1", err, released.Load())
	}
	bad := testTarget(9)
	if _, err := c.OpenBlock(t.Context(), bad); !errors.Is(err, write.ErrNotSent) {
		t.Errorf("OpenBlock of form 9 = %v, want ErrNotSent", err)
	}
}

func TestTombstone_is_an_empty_body_at_its_version(t *testing.T) {
	for form, want := range map[batch.Form]string{batch.FormArrow: "00000000", batch.FormRecord: "f0ffff7f00 f8ffff7f00"} {
		var s sink
		target := testTarget(form)
		target.Version = write.TombstoneVersion
		if err := connect(t, serve(t, s.ServeHTTP), func(c *Config) { c.Compression = CompressZstd }).Tombstone(t.Context(), target); err != nil {
			t.Fatal(err)
		}
		p := s.all()[0]
		if _, arrow := p.query["arrow"]; !bytes.Equal(p.body, unhex(t, want)) || p.query["block_version"][0] != "2" || arrow != (form == batch.FormArrow) {
			t.Errorf("tombstone %v: %v with %x, want %s", form, p.query, p.body, want)
		}
	}
}

// However far the server reads before the connection dies, the block fails, as sent or not sent, and releases its rows.
func TestBlock_connection_cut_at_every_byte(t *testing.T) {
	body := unhex(t, goldenArrow)
	var n atomic.Int64
	c := connect(t, serve(t, func(_ http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadFull(r.Body, make([]byte, n.Load())); err != nil {
			t.Errorf("read %d bytes: %v", n.Load(), err)
		}
		panic(http.ErrAbortHandler)
	}), nil)
	for i := range len(body) + 1 {
		n.Store(int64(i))
		w := openBlock(t, c, batch.FormArrow)
		var released atomic.Int64
		_ = w.Write(checked(batch.FormArrow, 1, 0, body[4:len(body)-4], 50, &released)) // may see the cut, or be too early
		_, err := w.Close(t.Context())
		if !apierr.Is(err, apierr.BackendUnavailable) || errors.Is(err, write.ErrNotSent) || released.Load() != 1 {
			t.Fatalf("cut after %d bytes: Close = %v, %d released, want BACKEND_UNAVAILABLE, sent", i, err, released.Load())
		}
	}
}

// A reply that got lost is asked for again where that is harmless, and only there.
func TestLostReplies(t *testing.T) {
	for name, k := range map[string]struct {
		do    func(*Client) error
		calls int64
		want  apierr.Reason
	}{
		"tombstone": {func(c *Client) error { return c.Tombstone(t.Context(), testTarget(batch.FormArrow)) }, 2, apierr.Unspecified},
		"create upload": {func(c *Client) error {
			_, err := c.CreateUpload(t.Context(), write.UploadSpec{Output: testTable})
			return err
		}, 2, apierr.Unspecified},
		"commit": {func(c *Client) error { return c.CommitUpload(t.Context(), testTable, "U1") }, 1, apierr.BackendUnavailable},
		"block": {func(c *Client) error {
			_, err := openBlock(t, c, batch.FormArrow).Close(t.Context())
			return err
		}, 1, apierr.BackendUnavailable},
	} {
		var calls atomic.Int64
		c := connect(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
			readAll(t, r.Body)
			if calls.Add(1) == 1 {
				panic(http.ErrAbortHandler) // after the effect
			}
			_, _ = io.WriteString(w, sessionJSON("normal", ""))
		}), nil)
		if err := k.do(c); apierr.ReasonOf(err) != k.want || calls.Load() != k.calls || errors.Is(err, write.ErrNotSent) {
			t.Errorf("%s: %v after %d calls, want %v after %d", name, err, calls.Load(), k.want, k.calls)
		}
	}
}
