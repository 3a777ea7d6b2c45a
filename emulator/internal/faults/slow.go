package faults

import (
	"context"
	"io"
	"net/http"
	"time"
)

// sleeper waits for d or until ctx ends.
type sleeper func(ctx context.Context, d time.Duration)

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// stepsPerSecond is how often a slow body moves: even bytes, not bursts.
const stepsPerSecond = 20

// pace is how fast one direction of a slow request moves.
type pace struct {
	ctx  context.Context //nolint:containedctx // The request's; readers and writers are handed none.
	rate int64           // bytes per second
	wait sleeper
}

func (p *pace) step() int { return int(max(p.rate/stepsPerSecond, 1)) }

func (p *pace) moved(n int) {
	p.wait(p.ctx, time.Duration(float64(n)/float64(p.rate)*float64(time.Second)))
}

// slowly gives a request bodies that move at rate bytes per second.
func slowly(w http.ResponseWriter, r *http.Request, rate int64, wait sleeper) (http.ResponseWriter, io.ReadCloser) {
	p := pace{ctx: r.Context(), rate: rate, wait: wait}
	return &slowReply{ResponseWriter: w, pace: p}, &slowBody{ReadCloser: r.Body, pace: p}
}

type slowBody struct {
	io.ReadCloser
	pace
}

func (b *slowBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p[:min(len(p), b.step())])
	b.moved(n)
	return n, err
}

type slowReply struct {
	http.ResponseWriter
	pace
}

// Unwrap lets http.ResponseController reach the connection.
func (s *slowReply) Unwrap() http.ResponseWriter { return s.ResponseWriter }

func (s *slowReply) Write(p []byte) (done int, err error) {
	for len(p) > 0 {
		n, err := s.ResponseWriter.Write(p[:min(len(p), s.step())])
		done += n
		if err != nil {
			return done, err
		}
		p = p[n:]
		_ = http.NewResponseController(s.ResponseWriter).Flush() // the pace is the client's to see
		s.moved(n)
	}
	return done, nil
}
