package conformance

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"
)

// fault is what the proxy does to one request.
type fault int

const (
	pass   fault = iota
	refuse       // 503, and the endpoint never hears of it
	lose         // the endpoint carries it out, the connection breaks before the reply
)

// proxy stands between service and endpoint and breaks what a test tells it to. The endpoint tells clients to use the
// address they came by, so the tunnel's calls pass here too.
type proxy struct {
	server *httptest.Server

	mu     sync.Mutex
	decide func(*http.Request) fault // guarded by mu; nil passes everything
	seen   []string                  // guarded by mu: method and query of what was broken
}

func newProxy(t *testing.T, endpoint string) *proxy {
	t.Helper()
	target, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	target.Path = ""
	p := &proxy{}
	forward := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host
		},
		FlushInterval: -1,
	}
	p.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch p.judge(r) {
		case refuse:
			w.Header().Set("x-odps-request-id", "refused")
			w.WriteHeader(http.StatusServiceUnavailable)
		case lose:
			forward.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		default:
			forward.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(p.server.Close)
	return p
}

func (p *proxy) judge(r *http.Request) fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.decide == nil {
		return pass
	}
	f := p.decide(r)
	if f != pass {
		p.seen = append(p.seen, r.Method+" "+r.URL.RawQuery)
	}
	return f
}

// breaks sets what happens to requests from now on.
func (p *proxy) breaks(decide func(*http.Request) fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.decide, p.seen = decide, nil
}

func (p *proxy) broken() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen
}

// times applies a fault to the first n requests that match.
func times(n int, f fault, match func(*http.Request) bool) func(*http.Request) fault {
	return func(r *http.Request) fault {
		if n == 0 || !match(r) {
			return pass
		}
		n--
		return f
	}
}

// isCommit matches the commit of an upload session.
func isCommit(r *http.Request) bool {
	q := r.URL.Query()
	return r.Method == http.MethodPost && q.Has("uploadid") && !q.Has("blockid")
}

// isBlock matches the upload of a block.
func isBlock(r *http.Request) bool { return r.Method == http.MethodPut && r.URL.Query().Has("blockid") }

// isSession matches the creation of an upload session.
func isSession(r *http.Request) bool {
	return r.Method == http.MethodPost && r.URL.Query().Has("uploads")
}
