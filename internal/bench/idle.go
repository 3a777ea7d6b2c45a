package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sluice-io/sluice/client"
	"github.com/sluice-io/sluice/emulator"
	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
)

// Goals of what an open slice takes.
const (
	goalIdleKiB        = 16
	goalIdleGoroutines = 1.1
	idleSlices         = 5000
	idleConnections    = 4
)

// talk is what an idle slice says once a second.
type talk string

const (
	heartbeats talk = "heartbeat"
	oneRow     talk = "row"
)

// idleGroup is many open slices in a service of its own process, each sending one small message a second: what the service
// grows by, for each of them.
func idleGroup() group {
	g := group{}
	for _, t := range []talk{heartbeats, oneRow} {
		g.rows = append(g.rows, idleName(t))
	}
	g.run = func(ctx context.Context, r *runner) error {
		for _, t := range []talk{heartbeats, oneRow} {
			if !r.wants(idleName(t)) {
				continue
			}
			if err := r.idle(ctx, t); err != nil {
				return fmt.Errorf("%s: %w", idleName(t), err)
			}
		}
		return nil
	}
	return g
}

func idleName(t talk) string { return "idle_slices/" + string(t) }

func (r *runner) idle(ctx context.Context, t talk) (err error) {
	fmt.Fprintln(r.progress, "running", idleName(t))
	endpoint, err := emulator.New(emulator.Options{Discard: true})
	if err != nil {
		return fmt.Errorf("start endpoint: %w", err)
	}
	defer func() { err = errors.Join(err, endpoint.Close()) }()
	endpoint.Start()
	return r.withChildAt(ctx, endpoint.Addr(), 0, func(c *child) error {
		return r.measureIdle(ctx, c, t, r.scaled(idleSlices))
	})
}

// withChildAt runs f with the service in a process of its own, for the endpoint at an address.
func (r *runner) withChildAt(ctx context.Context, endpoint string, gather int64, f func(*child) error) (err error) {
	dir, err := os.MkdirTemp(r.dir, "child-")
	if err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	c, err := startChild(ctx, dir, endpoint, gather)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	return f(c)
}

func (r *runner) measureIdle(ctx context.Context, c *child, t talk, n int) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cl, err := client.Dial(ctx, c.addr, client.WithConnections(idleConnections))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cl.Close()) }()
	if err := createTable(ctx, cl, "idle", narrow); err != nil {
		return err
	}
	crowd := &crowd{talk: t}
	if err := crowd.open(ctx, cl, 1); err != nil { // what the first slice costs is the process's
		return err
	}
	before, err := c.footprint(true)
	if err != nil {
		return err
	}
	if err := crowd.open(ctx, cl, n); err != nil {
		return err
	}
	g, talking := errgroup.WithContext(ctx)
	crowd.start(talking, g)
	defer func() {
		cancel()
		err = errors.Join(err, ignoreCanceled(g.Wait()))
	}()
	if err := wait(ctx, 3*time.Second); err != nil {
		return err
	}
	return r.sampleIdle(ctx, c, crowd, before, n)
}

// sampleIdle looks at the child once a second and keeps the medians.
func (r *runner) sampleIdle(ctx context.Context, c *child, crowd *crowd, before footprint, n int) error {
	var rss, goroutines, cpu, rate []float64
	last, err := c.footprint(false)
	if err != nil {
		return err
	}
	lastTime, lastHeard := time.Now(), crowd.heard.Load()
	for range max(5, r.cfg.runs) {
		if err := wait(ctx, time.Second); err != nil {
			return err
		}
		now, err := c.footprint(false)
		if err != nil {
			return err
		}
		elapsed := time.Since(lastTime)
		rss = append(rss, float64(now.RSS-before.RSS)/float64(n)/1024)
		goroutines = append(goroutines, float64(now.Goroutines-before.Goroutines)/float64(n))
		cpu = append(cpu, 100*float64(now.CPU-last.CPU)/float64(elapsed))
		rate = append(rate, float64(crowd.heard.Load()-lastHeard)/elapsed.Seconds())
		last, lastTime, lastHeard = now, time.Now(), crowd.heard.Load()
	}
	if crowd.talk == oneRow && median(rate) < 0.5*float64(n) { // heartbeats are not answered
		return fmt.Errorf("the service answered %.0f messages a second of %d", median(rate), n)
	}
	if r.cfg.heap != "" {
		if _, err := c.ask("heap " + r.cfg.heap); err != nil {
			return err
		}
	}
	live, err := c.footprint(true)
	if err != nil {
		return err
	}
	each := func(now, before int64) []float64 { return []float64{float64(now-before) / float64(n) / 1024} }
	name := idleName(crowd.talk)
	r.add(
		absolute(name+"/rss", "KiB/slice", rss, goalIdleKiB),
		absolute(name+"/goroutines", "1/slice", goroutines, goalIdleGoroutines),
		// What the slices keep alive: heap and stacks after a collection. The rest of the RSS is garbage, which Go lets grow to
		// the size of what is alive.
		absolute(name+"/held", "KiB/slice", each(live.Heap+live.Stacks, before.Heap+before.Stacks), goalIdleKiB),
		absolute(name+"/stacks", "KiB/slice", each(live.Stacks, before.Stacks), 0),
		absolute(name+"/cpu", "% of a core", cpu, 0),
	)
	return nil
}

// crowd is many open slices of one run, on raw streams.
type crowd struct {
	talk    talk
	streams []*idleSlice
	heard   atomic.Int64 // answers
}

type idleSlice struct {
	stream sluicev1.RowService_WriteRowsClient
	rows   int64
}

// open adds n slices, of a run of their own.
func (c *crowd) open(ctx context.Context, cl *client.Client, n int) error {
	table := "idle"
	if n == 1 {
		table = "idle_first"
		if err := createTable(ctx, cl, table, narrow); err != nil {
			return err
		}
	}
	run := uuid.NewString()
	_, _, err := cl.CreateRun(ctx, &sluicev1.CreateRunRequest{
		RunId: run, Outputs: []*sluicev1.OutputSpec{{Table: client.TableName(table), SliceCount: int32(n)}},
	})
	if err != nil {
		return fmt.Errorf("create run: %w", err)
	}
	opened := make([]*idleSlice, n)
	var g errgroup.Group
	g.SetLimit(64)
	for i := range n {
		g.Go(func() (err error) {
			opened[i], err = openSlice(ctx, cl, table, run, int32(i))
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("open slices: %w", err)
	}
	c.streams = append(c.streams, opened...)
	return nil
}

func openSlice(ctx context.Context, cl *client.Client, table, run string, id int32) (*idleSlice, error) {
	stream, err := sluicev1.NewRowServiceClient(cl.Conn()).WriteRows(ctx)
	if err != nil {
		return nil, err
	}
	open := &sluicev1.SliceOpen{
		RunId: run, Output: client.TableName(table), SliceId: id, WorkerId: "worker-" + strconv.Itoa(int(id)),
		WriterNumber: 1, OpenNumber: 1, ReplayBytes: client.DefaultReplayBytes, Schema: &sluicev1.SchemaDefinition{},
	}
	if err := stream.Send(&sluicev1.WriteRowsRequest{Message: &sluicev1.WriteRowsRequest_Open{Open: open}}); err != nil {
		return nil, err
	}
	reply, err := stream.Recv()
	if err != nil {
		return nil, err
	}
	if reply.GetOpened() == nil {
		return nil, fmt.Errorf("open was answered with %T", reply.GetMessage())
	}
	return &idleSlice{stream: stream}, nil
}

// start lets every slice talk once a second, spread over it, and hears all answers, until ctx ends.
func (c *crowd) start(ctx context.Context, g *errgroup.Group) {
	for _, s := range c.streams {
		g.Go(func() error { return c.listen(s) })
	}
	g.Go(func() error { return c.speak(ctx) })
}

func (c *crowd) listen(s *idleSlice) error {
	for {
		reply, err := s.stream.Recv()
		if err != nil {
			return err
		}
		if reply.GetAck() == nil {
			return fmt.Errorf("a message was answered with %v", reply)
		}
		c.heard.Add(1)
	}
}

// speak goes round: in each hundredth of a second, a hundredth of the slices.
func (c *crowd) speak(ctx context.Context) error {
	const parts = 100
	tick := time.NewTicker(time.Second / parts)
	defer tick.Stop()
	for part := 0; ; part = (part + 1) % parts {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		for i := part * len(c.streams) / parts; i < (part+1)*len(c.streams)/parts; i++ {
			if err := c.streams[i].say(c.talk); err != nil {
				return err
			}
		}
	}
}

func (s *idleSlice) say(t talk) error {
	if t == heartbeats {
		return s.stream.Send(&sluicev1.WriteRowsRequest{Message: &sluicev1.WriteRowsRequest_Heartbeat{Heartbeat: &sluicev1.Heartbeat{}}})
	}
	row, err := oneMessage()
	if err != nil {
		return err
	}
	batch := &sluicev1.RowBatch{BatchId: s.rows + 1, Offset: s.rows, RowCount: 1, Payload: &sluicev1.RowBatch_Arrow{Arrow: row}}
	s.rows++
	return s.stream.Send(&sluicev1.WriteRowsRequest{Message: &sluicev1.WriteRowsRequest_Batch{Batch: batch}})
}

// oneMessage is an Arrow message of one narrow row.
var oneMessage = sync.OnceValues(func() ([]byte, error) {
	b, err := arrowBatches(makeRows(narrow, 1))
	if err != nil {
		return nil, err
	}
	return b.sent[0], nil
})

// wait lets time pass.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ignoreCanceled drops the error of streams that were ended from this side.
func ignoreCanceled(err error) error {
	if errors.Is(err, context.Canceled) || status.Code(err) == codes.Canceled {
		return nil
	}
	return err
}
