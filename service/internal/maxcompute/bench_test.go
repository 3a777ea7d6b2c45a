package maxcompute

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/sluice-io/sluice/service/internal/batch"
)

// discard is a tunnel that reads bodies as fast as it can, and sends a fixed body to those who ask for rows.
func discard(b *testing.B, rows []byte) *Client {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	buf := make(chan []byte, 8)
	for range cap(buf) {
		buf <- make([]byte, 256<<10)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			for rest := rows; len(rest) > 0; {
				n, err := w.Write(rest[:min(256<<10, len(rest))])
				if err != nil {
					return
				}
				rest = rest[n:]
			}
			return
		}
		p := <-buf
		defer func() { buf <- p }()
		for {
			if _, err := r.Body.Read(p); err != nil {
				return
			}
		}
	})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(l) // ErrServerClosed
	}()
	b.Cleanup(func() {
		_ = s.Close()
		<-done
	})
	c, err := New(Config{Endpoint: "http://" + l.Addr().String(), TunnelEndpoint: "http://" + l.Addr().String(), Project: "p1"})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.Close() })
	return c
}

// BenchmarkBlock writes one block of 64 messages of 256 KiB in frames of 16 KiB, as they come from gRPC.
func BenchmarkBlock(b *testing.B) {
	msg := random(256 << 10)
	var pieces [][]byte
	for p := msg; len(p) > 0; p = p[16<<10:] {
		pieces = append(pieces, p[:16<<10])
	}
	for _, coding := range []Compression{CompressNone, CompressSnappy, CompressZstd} {
		b.Run("coding="+string(coding), func(b *testing.B) {
			c := discard(b, nil)
			c.cfg.Compression = coding
			b.SetBytes(64 * int64(len(msg)))
			b.ReportAllocs()
			for b.Loop() {
				w, err := c.OpenBlock(b.Context(), testTarget(batch.FormArrow))
				if err != nil {
					b.Fatal(err)
				}
				for range 64 {
					if err := w.Write(&batch.Checked{Rows: 1, Form: batch.FormArrow, Body: batch.NewPayload(nil, pieces...)}); err != nil {
						b.Fatal(err)
					}
				}
				if _, err := w.Close(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkReadArrow reads 16 MiB of messages of 256 KiB and more.
func BenchmarkReadArrow(b *testing.B) {
	for _, rows := range []int{1000, 10000} {
		m := message(b, 0, rows)
		var data []byte
		n := int64(0)
		for len(data) < 16<<20 {
			data, n = append(data, m...), n+int64(rows)
		}
		b.Run(fmt.Sprintf("message=%dKiB", len(m)>>10), func(b *testing.B) {
			c := discard(b, frame(data, 65536))
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				r, err := c.ReadArrow(b.Context(), target(n))
				if err != nil {
					b.Fatal(err)
				}
				for {
					p, _, err := r.Next()
					if errors.Is(err, io.EOF) {
						break
					}
					if err != nil {
						b.Fatal(err)
					}
					p.Release()
				}
				if err := r.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
