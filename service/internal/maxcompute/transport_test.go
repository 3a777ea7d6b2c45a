package maxcompute

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/batch"
	"github.com/sluice-io/sluice/service/internal/write"
)

// counted starts a server that counts its connections.
func counted(t *testing.T, h http.HandlerFunc) (*httptest.Server, *atomic.Int64) {
	t.Helper()
	var conns atomic.Int64
	s := httptest.NewUnstartedServer(h)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			conns.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	return s, &conns
}

func TestConnections_are_kept_and_used_again(t *testing.T) {
	var tunnel sink
	s, conns := counted(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPut:
			tunnel.ServeHTTP(w, r)
		case r.URL.Query().Has("data"):
			_, _ = w.Write(frame(message(t, 0, 3), 64))
		default:
			fmt.Fprint(w, sessionJSON("normal", ""))
		}
	})
	c := connect(t, s, nil)
	for range 20 {
		w := openBlock(t, c, batch.FormArrow)
		var released atomic.Int64
		if err := w.Write(checked(batch.FormArrow, 1, 0, random(100000), 1<<14, &released)); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Upload(t.Context(), testTable, "U1"); err != nil {
			t.Fatal(err)
		}
		if _, _, err := readMessages(t.Context(), c, target(3)); err != nil {
			t.Fatal(err)
		}
	}
	if n := conns.Load(); n > 3 { // one for control calls, one or two for data
		t.Errorf("60 calls in turn took %d connections", n)
	}
}

func TestBlocks_at_once_do_not_mix(t *testing.T) {
	var s sink
	c := connect(t, serve(t, s.ServeHTTP), nil)
	const blocks = 24
	var g sync.WaitGroup
	for i := range blocks {
		g.Go(func() {
			target := testTarget(batch.FormArrow)
			target.Block = write.BlockID(i)
			w, err := c.OpenBlock(t.Context(), target)
			if err != nil {
				t.Error(err)
				return
			}
			var released atomic.Int64
			for range 5 {
				if err := w.Write(checked(batch.FormArrow, 1, 0, bytes.Repeat([]byte{byte(i)}, 100000), 1<<14, &released)); err != nil {
					t.Error(err)
				}
			}
			if i%3 == 0 {
				w.Abort()
				return
			}
			if _, err := w.Close(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	g.Wait()
	whole := 0
	for _, p := range s.all() {
		var id int
		if _, err := fmt.Sscan(p.query["blockid"][0], &id); err != nil {
			t.Fatal(err)
		}
		if p.err != nil {
			continue
		}
		whole++
		if id%3 == 0 || !bytes.Equal(p.body, frame(bytes.Repeat([]byte{byte(id)}, 500000), 65536)) {
			t.Errorf("block %d arrived as %d bytes", id, len(p.body))
		}
	}
	if whole != blocks-blocks/3 {
		t.Errorf("%d whole blocks, want %d", whole, blocks-blocks/3)
	}
}

func TestTLS_and_what_was_sent(t *testing.T) {
	var cut atomic.Bool
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if cut.Load() {
			panic(http.ErrAbortHandler)
		}
		(&sink{}).ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	c := connect(t, s, func(c *Config) { c.Transport.TLS = s.Client().Transport.(*http.Transport).TLSClientConfig })
	w := openBlock(t, c, batch.FormArrow)
	if _, err := w.Close(t.Context()); err != nil {
		t.Errorf("Close = %v", err)
	}
	cut.Store(true)
	if err := c.CommitUpload(t.Context(), testTable, "U1"); !apierr.Is(err, apierr.BackendUnavailable) || errors.Is(err, write.ErrNotSent) {
		t.Errorf("cut = %v, want BACKEND_UNAVAILABLE and not ErrNotSent", err)
	}
	stranger := connect(t, s, func(c *Config) { c.Transport.TLS = &tls.Config{} })
	if err := stranger.CommitUpload(t.Context(), testTable, "U1"); !apierr.Is(err, apierr.BackendUnavailable) || !errors.Is(err, write.ErrNotSent) {
		t.Errorf("unknown certificate = %v, want BACKEND_UNAVAILABLE and ErrNotSent", err)
	}
}

// A connection that the server closes while it is idle does not fail the next call that may be repeated.
func TestIdle_connection_closed_by_the_server(t *testing.T) {
	s, _ := counted(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, sessionJSON("normal", "")) })
	c := connect(t, s, nil)
	for range 5 {
		if _, err := c.Upload(t.Context(), testTable, "U1"); err != nil {
			t.Fatal(err)
		}
		s.CloseClientConnections()
	}
}

// A transport that cannot tell what was sent must not claim that nothing was.
func TestSentTracker_unknown_connection_counts_as_sent(t *testing.T) {
	var tr sentTracker
	ctx := tr.watch(context.Background())
	if tr.Sent() {
		t.Error("sent before any connection")
	}
	s := serve(t, func(http.ResponseWriter, *http.Request) {})
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Error(err)
	}
	s.Client().CloseIdleConnections()
	if !tr.Sent() {
		t.Error("a foreign connection counts as unused")
	}
}
