package emulator_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aliyun/aliyun-odps-go-sdk/odps/data"
	"github.com/aliyun/aliyun-odps-go-sdk/odps/restclient"
	"github.com/aliyun/aliyun-odps-go-sdk/odps/tunnel"

	"github.com/sluice-io/sluice/emulator"
)

// manual is a clock that tests move.
type manual struct {
	mu  sync.Mutex
	now time.Time
}

func newManual() *manual { return &manual{now: time.Now()} } // signatures carry the client's real time

func (c *manual) read() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *manual) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// statusOf is the HTTP status and body of an SDK's error.
func statusOf(t *testing.T, err error) (status int, body string) {
	t.Helper()
	var e restclient.HttpError
	if !errors.As(err, &e) {
		t.Fatalf("%v (%T) is no HTTP error", err, err)
	}
	return e.StatusCode, string(e.Body)
}

func wantFlowExceeded(t *testing.T, what string, err error) {
	t.Helper()
	if err == nil {
		t.Errorf("%s succeeded, want 429 FlowExceeded", what)
		return
	}
	if status, body := statusOf(t, err); status != 429 || !strings.Contains(body, "FlowExceeded") {
		t.Errorf("%s: %d %s, want 429 FlowExceeded", what, status, body)
	}
}

func TestStrict_500_sessions_in_5_minutes(t *testing.T) {
	clock := newManual()
	c := client(start(t, emulator.Options{Strict: 1, AccessID: "ak", AccessKey: "sk", Now: clock.read}))
	create(t, c, "create table t (id bigint)")
	create(t, c, "create table u (id bigint)")
	tun := tunnel.NewTunnel(c)
	for i := range 500 {
		if _, err := tun.CreateUploadSession("p1", "t"); err != nil {
			t.Fatalf("session %d: %v", i+1, err)
		}
	}
	_, err := tun.CreateUploadSession("p1", "t")
	wantFlowExceeded(t, "session 501", err)
	_, err = tun.CreateUploadSession("p1", "u")
	must(t, err)
	clock.add(5*time.Minute - 1)
	_, err = tun.CreateUploadSession("p1", "t")
	wantFlowExceeded(t, "a nanosecond before 5 minutes", err)
	clock.add(1)
	_, err = tun.CreateUploadSession("p1", "t")
	must(t, err)
}

func TestStrict_500_blocks_in_5_minutes(t *testing.T) {
	clock := newManual()
	c := client(start(t, emulator.Options{Strict: 300, AccessID: "ak", AccessKey: "sk", Now: clock.read}))
	create(t, c, "create table t (id bigint)")
	up, err := tunnel.NewTunnel(c).CreateUploadSession("p1", "t")
	must(t, err)
	block := func(id int) error {
		w, err := up.OpenRecordWriter(id)
		must(t, err)
		must(t, w.Write(data.Record{data.BigInt(id)}))
		return w.Close()
	}
	for i := range 500 {
		must(t, block(i))
	}
	wantFlowExceeded(t, "block 501", block(500))
	clock.add(time.Second) // 5 minutes / 300
	must(t, block(500))
	ids := make([]int, 501)
	for i := range ids {
		ids[i] = i
	}
	must(t, up.Commit(ids))
}

func TestStrict_sessions_live_24_hours(t *testing.T) {
	// 10 minutes where signatures are checked: they carry the client's time, up to 15 minutes off.
	for _, opt := range []emulator.Options{{}, {Strict: 144, AccessID: "ak", AccessKey: "sk"}} {
		clock := newManual()
		opt.Now = clock.read
		life := 24 * time.Hour
		if opt.Strict != 0 {
			life = 10 * time.Minute
		}
		c := client(start(t, opt))
		create(t, c, "create table t (id bigint)")
		tun := tunnel.NewTunnel(c)
		up, err := tun.CreateUploadSession("p1", "t")
		must(t, err)
		down, err := tun.CreateDownloadSession("p1", "t")
		must(t, err)
		stream, err := tun.CreateStreamUploadSession("p1", "t")
		must(t, err)
		use := func() []error {
			w := stream.OpenRecordPackWriter()
			must(t, w.Append(data.Record{data.BigInt(1)}))
			_, _, _, flushed := w.Flush()
			r, read := down.OpenRecordReader(0, 1, nil)
			if read == nil {
				must(t, r.Close())
			}
			return []error{up.Load(), read, flushed}
		}
		clock.add(life - 1)
		for i, err := range use() {
			if err != nil {
				t.Errorf("strict %v: session %d a nanosecond before its end: %v", opt.Strict, i, err)
			}
		}
		clock.add(1)
		for i, err := range use() {
			if err == nil {
				t.Errorf("strict %v: session %d is still there", opt.Strict, i)
			} else if status, body := statusOf(t, err); status != 404 || !strings.Contains(body, []string{"NoSuchUpload", "NoSuchDownload", "StreamSessionNotFound"}[i]) {
				t.Errorf("strict %v: session %d: %d %s", opt.Strict, i, status, body)
			}
		}
	}
}

func TestStrict_20000_blocks_in_a_session(t *testing.T) {
	for _, opt := range []emulator.Options{{}, {Strict: 1, AccessID: "ak", AccessKey: "sk"}} {
		c := client(start(t, opt))
		create(t, c, "create table t (id bigint)")
		up, err := tunnel.NewTunnel(c).CreateUploadSession("p1", "t")
		must(t, err)
		for id, ok := range map[int]bool{19999: true, 20000: false} {
			w, err := up.OpenRecordWriter(id)
			must(t, err)
			err = w.Write(data.Record{data.BigInt(1)})
			if closeErr := w.Close(); err == nil {
				err = closeErr
			}
			if (err == nil) != ok {
				t.Errorf("strict %v: block %d: %v, want ok %t", opt.Strict, id, err, ok)
			}
		}
	}
}

func TestStrict_checks_signatures(t *testing.T) {
	if _, err := emulator.New(emulator.Options{Strict: 1}); err == nil || !contains(err, "signatures") {
		t.Errorf("strict without keys = %v", err)
	}
	s := start(t, emulator.Options{Strict: 1, AccessID: "ak", AccessKey: "sk"})
	if res, body := get(t, s, "/projects/p/tables/t?uploadid=u"); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("unsigned request = %s %s", res.Status, body)
	}
}

func TestStrict_scales(t *testing.T) {
	for _, scale := range []float64{-1, math.NaN(), math.Inf(1), 1e6 + 1} {
		if s, err := emulator.New(emulator.Options{Strict: scale, AccessID: "ak", AccessKey: "sk"}); err == nil {
			t.Errorf("strict %v was accepted", scale)
			must(t, s.Close())
		}
	}
}

func TestStrict_fields_hold_8_MiB(t *testing.T) {
	for _, opt := range []emulator.Options{{}, {Strict: 1, AccessID: "ak", AccessKey: "sk"}} {
		c := client(start(t, opt))
		create(t, c, "create table t (name string)")
		up, err := tunnel.NewTunnel(c).CreateUploadSession("p1", "t")
		must(t, err)
		for size, ok := range map[int]bool{8 << 20: true, 8<<20 + 1: false} {
			w, err := up.OpenRecordWriter(size & 1)
			must(t, err)
			err = w.Write(data.Record{data.String(strings.Repeat("a", size))})
			if closeErr := w.Close(); closeErr != nil {
				err = closeErr
			}
			if (err == nil) != ok {
				t.Errorf("strict %v: %d bytes: %v, want ok %t", opt.Strict, size, err, ok)
			}
		}
	}
}

func TestStrict_6_partition_levels(t *testing.T) {
	for _, opt := range []emulator.Options{{}, {Strict: 1, AccessID: "ak", AccessKey: "sk"}} {
		c := client(start(t, opt))
		for levels, ok := range map[int]bool{6: true, 7: opt.Strict == 0} {
			var cols []string
			for i := range levels {
				cols = append(cols, fmt.Sprintf("p%d string", i))
			}
			i, err := c.ExecSQl(fmt.Sprintf("create table t%d (id bigint) partitioned by (%s)", levels, strings.Join(cols, ", ")))
			if err == nil {
				err = i.WaitForSuccess()
			}
			if (err == nil) != ok {
				t.Errorf("strict %v, %d levels: %v, want ok %t", opt.Strict, levels, err, ok)
			}
		}
	}
}

// A block whose connection brings no byte is cut and leaves nothing; one that brings a
// byte now and then is not.
func TestIdle_block_is_cut(t *testing.T) {
	s := start(t, emulator.Options{IdleTimeout: time.Second})
	c := client(s)
	create(t, c, "create table t (id bigint)")
	up, err := tunnel.NewTunnel(c).CreateUploadSession("p1", "t")
	must(t, err)
	put := func(body string, gap time.Duration) (status string, err error) {
		conn, err := net.Dial("tcp", s.Addr())
		must(t, err)
		defer func() { must(t, conn.Close()) }()
		_, err = fmt.Fprintf(conn, "PUT /projects/p1/tables/t?uploadid=%s&blockid=0 HTTP/1.1\r\nHost: h:1\r\nContent-Length: 10\r\n\r\n", up.Id)
		must(t, err)
		for _, b := range []byte(body) {
			if _, err := conn.Write([]byte{b}); err != nil {
				return "", err
			}
			time.Sleep(gap) // the pace of a slow client, not a wait for anything
		}
		return bufio.NewReader(conn).ReadString('\n')
	}
	const empty = "\xf0\xff\xff\x7f\x00\xf8\xff\xff\x7f\x00" // a record stream without records
	if status, err := put(empty[:4], 0); err == nil && !strings.Contains(status, "400") {
		t.Errorf("a stalled block = %q, want a cut", status)
	}
	must(t, up.Load())
	if len(up.BlockIds()) != 0 {
		t.Errorf("blocks %v of a stalled block", up.BlockIds())
	}
	if status, err := put(empty, 150*time.Millisecond); err != nil || !strings.Contains(status, "200") { // 1.5 s in all
		t.Errorf("a slow block = %q, %v, want 200", status, err)
	}
}

// A client that asks for rows and does not read them is cut off, and its session freed.
func TestIdle_reader_is_cut(t *testing.T) {
	dir := t.TempDir()
	patient := start(t, emulator.Options{DataDir: dir}) // a busy machine may pause longer than the limit while it uploads
	c := client(patient)
	create(t, c, "create table t (name string)")
	tun := tunnel.NewTunnel(c)
	up, err := tun.CreateUploadSession("p1", "t")
	must(t, err)
	w, err := up.OpenRecordWriter(0)
	must(t, err)
	for range 32 {
		must(t, w.Write(data.Record{data.String(strings.Repeat("a", 1<<20))}))
	}
	must(t, w.Close())
	must(t, up.Commit([]int{0}))
	must(t, patient.Close())
	s := start(t, emulator.Options{DataDir: dir, IdleTimeout: 100 * time.Millisecond})
	down, err := tunnel.NewTunnel(client(s)).CreateDownloadSession("p1", "t")
	must(t, err)
	conn, err := net.Dial("tcp", s.Addr())
	must(t, err)
	defer func() { must(t, conn.Close()) }()
	must(t, conn.(*net.TCPConn).SetReadBuffer(4096))
	_, err = fmt.Fprintf(conn, "GET /projects/p1/tables/t?downloadid=%s&data&rowrange=(0,32) HTTP/1.1\r\nHost: h:1\r\n\r\n", down.Id)
	must(t, err)
	begun := time.Now()
	must(t, s.Close()) // waits for the request, which ends only if it is cut
	if took := time.Since(begun); took > emulator.DefaultGrace {
		t.Errorf("the request went on for %s", took)
	}
	n, err := io.Copy(io.Discard, conn)
	if n >= 32<<20 {
		t.Errorf("a client that did not read got all %d bytes (%v)", n, err)
	}
}

// An idle limit is no limit on how long a request takes as a whole, nor on the time
// between two requests of a connection.
func TestIdle_limit_is_per_piece(t *testing.T) {
	s := start(t, emulator.Options{IdleTimeout: 50 * time.Millisecond})
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for range 3 {
		res, err := client.Get("http://" + s.Addr() + "/api/projects/p")
		must(t, err)
		_, err = io.Copy(io.Discard, res.Body)
		must(t, err)
		must(t, res.Body.Close())
		time.Sleep(80 * time.Millisecond) // a client that thinks, not a wait for anything
	}
}
