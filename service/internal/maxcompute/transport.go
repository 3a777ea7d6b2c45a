package maxcompute

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"time"
)

// newTransport makes one HTTP/1.1 transport. The tunnel speaks nothing newer, and one connection per block is what
// keeps slices from waiting for each other.
func newTransport(cfg Config, data bool) *http.Transport {
	d := &net.Dialer{Timeout: cfg.Timeouts.Connect, KeepAlive: 30 * time.Second}
	var progress time.Duration
	if data {
		progress = cfg.Timeouts.Progress
	}
	t := &http.Transport{
		Proxy: cfg.Transport.Proxy,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := d.DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return &conn{Conn: c, progress: progress}, nil
		},
		TLSClientConfig:        cfg.Transport.TLS,
		TLSHandshakeTimeout:    cfg.Timeouts.Connect,
		IdleConnTimeout:        cfg.Timeouts.Idle,
		MaxIdleConnsPerHost:    cfg.Transport.MaxIdlePerHost,
		DisableCompression:     true, // the tunnel's codings are ours to handle
		MaxResponseHeaderBytes: 1 << 20,
		Protocols:              new(http.Protocols),
	}
	t.Protocols.SetHTTP1(true)
	if data {
		t.ResponseHeaderTimeout = cfg.Timeouts.Reply
		// The write buffer stays at net/http's 4 KiB: bodies come in large writes, of which a larger one would copy more.
		t.ReadBufferSize = cfg.Transport.BufferBytes
	}
	return t
}

// conn bounds each write by the progress timeout and counts what left the process. Reads have no deadline here: the
// transport always has one pending, also on idle connections; downloads watch their own (progressReader).
type conn struct {
	net.Conn
	progress time.Duration // 0 = none
	written  atomic.Int64
}

func (c *conn) Write(p []byte) (int, error) {
	if c.progress > 0 {
		if err := c.SetWriteDeadline(time.Now().Add(c.progress)); err != nil {
			return 0, err
		}
	}
	n, err := c.Conn.Write(p)
	c.written.Add(int64(n))
	return n, err
}

// sentTracker knows whether any byte of a request left this process, over all connections the transport tried.
type sentTracker struct {
	mu     sync.Mutex
	conn   *conn // guarded by mu; the connection in use
	before int64 // guarded by mu; conn.written when the request got it
	sent   bool  // guarded by mu; a connection before, or one we cannot look into, may have carried bytes
}

// watch returns a context under which requests report to the tracker.
func (s *sentTracker) watch(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: s.gotConn})
}

func (s *sentTracker) gotConn(info httptrace.GotConnInfo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle()
	nc := info.Conn
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn()
	}
	c, ok := nc.(*conn)
	if !ok {
		s.sent = true
		return
	}
	s.conn, s.before = c, c.written.Load()
}

func (s *sentTracker) settle() {
	if s.conn != nil && s.conn.written.Load() != s.before {
		s.sent = true
	}
	s.conn = nil
}

// Sent reports whether bytes may have left. Call it only after the request has ended.
func (s *sentTracker) Sent() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle()
	return s.sent
}
