package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/sluice-io/sluice/client"
	"github.com/sluice-io/sluice/emulator"
	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
)

// What a stalled slice may hold: its window, two messages, and 16 KiB; and its share of the gathering budget.
const (
	stalledSlices   = 200
	stallGather     = 16 << 20
	stallWindow     = 512 << 10
	stallMessage    = 256 << 10
	stallExtra      = 16 << 10
	stallGoalKiB    = (stallWindow + 2*stallMessage + stallExtra) >> 10
	stalledSlicesID = "stalled_slices/held"
)

// stallGroup is slices whose rows the backend does not take: every block upload hangs in its body. It measures what the
// service's process then holds alive for each slice while its clients push as hard as they may.
func stallGroup() group {
	return group{rows: []string{stalledSlicesID}, run: func(ctx context.Context, r *runner) (err error) {
		fmt.Fprintln(r.progress, "running", stalledSlicesID)
		endpoint, err := emulator.New(emulator.Options{Discard: true})
		if err != nil {
			return fmt.Errorf("start endpoint: %w", err)
		}
		defer func() { err = errors.Join(err, endpoint.Close()) }()
		endpoint.Start()
		gate, err := startGate(ctx, endpoint.Addr())
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, gate.close()) }()
		return r.withChildAt(ctx, gate.addr(), stallGather, func(c *child) error {
			defer gate.open() // or the service would wait for its uploads
			return r.stall(ctx, gate, c, r.scaled(stalledSlices))
		})
	}}
}

func (r *runner) stall(ctx context.Context, gate *gate, c *child, n int) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cl, err := client.Dial(ctx, c.addr, client.WithConnections(idleConnections))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cl.Close()) }()
	if err := createTable(ctx, cl, "t", wide); err != nil {
		return err
	}
	b, err := arrowBatches(makeRows(wide, (4<<20)/wide.rowBytes()))
	if err != nil {
		return err
	}
	warm := &upload{stack: &stack{client: cl}, slices: 1, sets: 1, batches: b, ourTable: "t"}
	if err := warm.ours(ctx); err != nil {
		return fmt.Errorf("warm up: %w", err)
	}
	gate.shut()
	before, err := c.footprint(true)
	if err != nil {
		return err
	}
	g, err := pushForEver(ctx, cl, b, n)
	if err != nil {
		return err
	}
	defer func() {
		cancel()
		err = errors.Join(err, ignoreCanceled(g.Wait()))
	}()
	held, err := settled(ctx, c)
	if err != nil {
		return err
	}
	perSlice := float64(held-before.Heap-before.Stacks) / float64(n) / 1024
	share := float64(stallGather) / float64(n) / 1024
	r.add(absolute(stalledSlicesID, "KiB/slice", []float64{perSlice}, stallGoalKiB+share))
	return nil
}

// pushForEver opens the slices of a run and writes the batches into each until ctx ends.
func pushForEver(ctx context.Context, cl *client.Client, b *batches, n int) (*errgroup.Group, error) {
	run := uuid.NewString()
	_, _, err := cl.CreateRun(ctx, &sluicev1.CreateRunRequest{
		RunId: run, Outputs: []*sluicev1.OutputSpec{{Table: client.TableName("t"), SliceCount: int32(n)}},
	})
	if err != nil {
		return nil, fmt.Errorf("create run: %w", err)
	}
	g, ctx := errgroup.WithContext(ctx)
	for i := range n {
		g.Go(func() error {
			w, err := cl.NewWriter(ctx, client.WriterConfig{Run: run, Output: client.TableName("t"), Slice: int32(i), Schema: b.schema})
			if err != nil {
				return fmt.Errorf("open slice: %w", err)
			}
			defer w.Close() //nolint:errcheck // the slice is left on purpose
			for {
				for _, rec := range b.ours {
					if err := w.WriteArrow(rec); err != nil {
						return err
					}
				}
			}
		})
	}
	return g, nil
}

// settled waits until the process holds no more than a second before, for three looks in a row, and tells how much: live
// heap and stacks.
func settled(ctx context.Context, c *child) (int64, error) {
	var last int64
	for still := 0; still < 3; {
		if err := wait(ctx, time.Second); err != nil {
			return 0, err
		}
		f, err := c.footprint(true)
		if err != nil {
			return 0, err
		}
		now := f.Heap + f.Stacks
		if math.Abs(float64(now-last)) < 0.01*float64(now) {
			still++
		} else {
			still = 0
		}
		last = now
	}
	return last, nil
}

// gate is a proxy before an endpoint. While it is shut, block uploads that arrive are neither read nor answered.
type gate struct {
	proxy     *httputil.ReverseProxy
	server    *http.Server
	listener  net.Listener
	serving   sync.WaitGroup
	serveErr  error // read after serving
	closed    atomic.Bool
	reopened  chan struct{}
	reopening sync.Once
}

func startGate(ctx context.Context, endpoint string) (*gate, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	g := &gate{
		proxy:    httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: endpoint}),
		listener: listener, reopened: make(chan struct{}),
	}
	g.server = &http.Server{Handler: g, ReadHeaderTimeout: time.Minute}
	g.serving.Go(func() {
		if err := g.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			g.serveErr = err
		}
	})
	return g, nil
}

// ServeHTTP hands requests on, or holds them.
func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if g.closed.Load() && r.Method == http.MethodPut && r.URL.Query().Has("blockid") {
		<-g.reopened
		http.Error(w, "gone", http.StatusServiceUnavailable)
		return
	}
	g.proxy.ServeHTTP(w, r)
}

func (g *gate) addr() string { return g.listener.Addr().String() }
func (g *gate) shut()        { g.closed.Store(true) }
func (g *gate) open()        { g.reopening.Do(func() { close(g.reopened) }) }

func (g *gate) close() error {
	g.open()
	err := g.server.Close()
	g.serving.Wait()
	return errors.Join(err, g.serveErr)
}
