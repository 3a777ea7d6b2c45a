package client_test

import (
	"context"
	"fmt"
	"net"
	"strconv"

	"google.golang.org/grpc"

	"github.com/sluice-io/sluice/client"
	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
	"github.com/sluice-io/sluice/internal/zerocopy"
)

// startService stands for a service, so that the examples run by themselves. `sluice dev` starts a real one, at
// 127.0.0.1:50051.
func startService() (addr string, stop func()) {
	f := newFake()
	f.schema = &sluicev1.TableSchema{Columns: []*sluicev1.Column{
		column("id", "bigint", sluicev1.TypeKind_TYPE_KIND_BIGINT), column("name", "string", sluicev1.TypeKind_TYPE_KIND_STRING),
		column("price", "double", sluicev1.TypeKind_TYPE_KIND_DOUBLE),
	}}
	f.read(func(int) readScript { return readScript{total: 1000, batch: 400} })
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	server := grpc.NewServer(grpc.ForceServerCodecV2(zerocopy.Codec{}))
	sluicev1.RegisterRowServiceServer(server, f)
	sluicev1.RegisterInfoServiceServer(server, f)
	sluicev1.RegisterRunServiceServer(server, f)
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	return listener.Addr().String(), func() {
		server.Stop()
		must(<-done)
	}
}

// must keeps the examples short. A program handles its errors.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// Writing a table row by row, in a run of its own.
func Example() {
	addr, stop := startService()
	defer stop()
	ctx := context.Background()
	c, err := client.Dial(ctx, addr)
	must(err)
	defer func() { must(c.Close()) }()

	type fruit struct {
		ID    int64
		Name  string
		Price *float64 // NULL when nil
	}
	w, err := c.NewWriter(ctx, client.WriterConfig{Output: client.TablePath("odps://local/tables/fruit")})
	must(err)
	defer func() { must(w.Close()) }() // without Seal nothing becomes visible
	rows, err := client.NewStructWriter[fruit](w)
	must(err)
	for i := range int64(100_000) {
		must(rows.Append(&fruit{ID: i, Name: "Apple " + strconv.FormatInt(i, 10)}))
	}
	must(rows.Flush())
	sealed, err := w.Seal(ctx)
	must(err)
	fmt.Println(sealed.Rows, "rows", sealed.Run.GetState())
	// Output: 100000 rows RUN_STATE_COMMITTED
}

// One of many workers: each writes a slice of the same run, and the run commits when the last one seals. A worker that was
// started again comes with a larger attempt and goes on behind the rows that were durable.
func ExampleClient_NewWriter_worker() {
	addr, stop := startService()
	defer stop()
	const job, workers, rank, restarts = "job-7", 16, 3, 1
	ctx := context.Background()
	c, err := client.Dial(ctx, addr)
	must(err)
	defer func() { must(c.Close()) }()
	output := client.TablePath("odps://local/tables/events/dt=20240101")
	_, _, err = c.CreateRun(ctx, &sluicev1.CreateRunRequest{ // all workers do, the first one makes it
		RunId: job, Outputs: []*sluicev1.OutputSpec{{Table: output, SliceCount: workers}},
	})
	must(err)
	w, err := c.NewWriter(ctx, client.WriterConfig{
		Run: job, Output: output, Slice: rank, Attempt: restarts, OnTakeover: sluicev1.OnTakeover_ON_TAKEOVER_RESUME,
	})
	if client.Is(err, sluicev1.Reason_REASON_RUN_CLOSED) {
		return // started again after everything was done
	}
	must(err)
	defer func() { must(w.Close()) }()
	rows, err := w.Rows("id", "name")
	must(err)
	for id := w.ResumeOffset(); id < 1000; id++ { // row n of the slice is the same in every attempt
		rows.SetInt64(0, id)
		rows.SetString(1, "…")
		must(rows.End())
	}
	must(rows.Flush())
	sealed, err := w.Seal(ctx)
	must(err)
	fmt.Println(sealed.Rows, "rows in slice", rank)
	// Output: 1000 rows in slice 3
}

// Reading a table as Arrow batches.
func ExampleClient_Read() {
	addr, stop := startService()
	defer stop()
	ctx := context.Background()
	c, err := client.Dial(ctx, addr)
	must(err)
	defer func() { must(c.Close()) }()
	reader, err := c.Read(ctx, client.ReadOptions{Spec: &sluicev1.ReadSessionSpec{
		Table: client.TablePath("odps://local/tables/fruit"), Columns: []string{"id"},
	}})
	must(err)
	defer func() { must(reader.Close()) }()
	for reader.Next() {
		fmt.Println(reader.RecordBatch().NumRows(), "rows")
	}
	must(reader.Err())
	// Output:
	// 400 rows
	// 400 rows
	// 200 rows
}

// Sixteen readers share one snapshot. Each takes its part by its number; nothing has to be handed around, because a session
// key gives all of them the same session.
func ExampleClient_CreateReadSession() {
	addr, stop := startService()
	defer stop()
	const job, rank = "training-12", 3
	ctx := context.Background()
	c, err := client.Dial(ctx, addr)
	must(err)
	defer func() { must(c.Close()) }()
	session, err := c.CreateReadSession(ctx, &sluicev1.ReadSessionSpec{
		Table: client.TablePath("odps://local/tables/events"), Partitions: []string{"dt=202401*"}, Plan: client.PlanStreams(16),
	}, job)
	must(err)
	reader, err := c.Read(ctx, client.ReadOptions{Token: session.Token(), Ranges: session.Streams[rank].GetRanges()})
	must(err)
	defer func() { must(reader.Close()) }()
	for batch, err := range reader.Batches() {
		must(err)
		fmt.Println(batch.Rows, "rows from", batch.FirstRow, "on")
	}
	// Output:
	// 400 rows from 0 on
	// 400 rows from 400 on
	// 200 rows from 800 on
}
