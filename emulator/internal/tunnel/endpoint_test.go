package tunnel_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/sluice-io/sluice/emulator/internal/faults"
	"github.com/sluice-io/sluice/emulator/internal/store"
	"github.com/sluice-io/sluice/emulator/internal/tunnel"
	"github.com/sluice-io/sluice/emulator/internal/types"
)

func TestMain(m *testing.M) {
	// The SDK leaves an idle connection behind for each of its clients.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"),
		goleak.IgnoreAnyFunction("github.com/aliyun/aliyun-odps-go-sdk/odps/restclient.init.0.func1"))
}

// endpoint is a tunnel on a loopback port.
type endpoint struct {
	url     string
	store   *store.Store
	handler *tunnel.Handler
	dir     string
	srv     *httptest.Server
	stopped bool
	bare    bool // do not record bodies

	mu     sync.Mutex
	body   []byte // of the last PUT
	decide func(*http.Request) faults.Action
}

// start runs one, in a folder of its own or in the one given.
func start(t testing.TB, change func(*store.Options, *tunnel.Options), dir ...string) *endpoint {
	t.Helper()
	e := &endpoint{dir: strings.Join(dir, "")}
	if e.dir == "" {
		e.dir = t.TempDir()
	}
	so, to := store.Options{Dir: e.dir}, tunnel.Options{}
	if change != nil {
		change(&so, &to)
	}
	s, err := store.Open(so)
	if err != nil {
		t.Fatal(err)
	}
	to.Store, e.store = s, s
	h := tunnel.New(to)
	inner := faults.Wrap(h, func(r *http.Request) faults.Action {
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.decide == nil {
			return faults.Action{}
		}
		return e.decide(r)
	})
	e.srv = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut && !e.bare {
			r.Body = &recorder{ReadCloser: r.Body, e: e}
		}
		inner.ServeHTTP(w, r)
	}))
	e.url = e.srv.URL
	e.handler = h
	t.Cleanup(func() { e.stop(t) })
	return e
}

// stop ends the endpoint; its folder stays. A second call does nothing.
func (e *endpoint) stop(t testing.TB) {
	t.Helper()
	if e.stopped {
		return
	}
	e.stopped = true
	e.srv.CloseClientConnections()
	e.srv.Close()
	e.handler.Close()
	if err := e.store.Close(); err != nil {
		t.Errorf("close store: %v", err)
	}
}

// recorder keeps the first bytes of a body.
type recorder struct {
	io.ReadCloser
	e   *endpoint
	buf bytes.Buffer
}

func (r *recorder) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if r.buf.Len() < 4096 {
		r.buf.Write(p[:n])
		r.e.mu.Lock()
		r.e.body = bytes.Clone(r.buf.Bytes())
		r.e.mu.Unlock()
	}
	return n, err
}

func (e *endpoint) lastBody() []byte {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.body
}

func columns(t testing.TB, spec string) (cols []store.Column) {
	t.Helper()
	if spec == "" {
		return nil
	}
	for part := range strings.SplitSeq(spec, ";") {
		name, text, _ := strings.Cut(strings.TrimSpace(part), " ")
		typ, err := types.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		cols = append(cols, store.Column{Name: name, Type: typ, Nullable: true})
	}
	return cols
}

func (e *endpoint) create(t testing.TB, name, cols, parts string) store.Table {
	t.Helper()
	tab, _, err := e.store.CreateTable(store.Table{Key: store.NewKey("p", "", name), Columns: columns(t, cols), PartitionColumns: columns(t, parts)}, false)
	if err != nil {
		t.Fatal(err)
	}
	return tab
}
