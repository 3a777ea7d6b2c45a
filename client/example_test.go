package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"strconv"

	"github.com/google/uuid"

	"github.com/sluice-io/sluice/client"
	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
)

// Writing a table row by row, in a run of its own. `sluice dev` is a server to try it on.
func Example() {
	ctx := context.Background()
	c, err := client.Dial(ctx, "127.0.0.1:50051")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = c.Close() }()

	type fruit struct {
		ID    int64
		Name  string
		Price *float64 // NULL when nil
	}
	w, err := c.NewWriter(ctx, client.WriterConfig{Output: client.TablePath("odps://local/tables/fruit")})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = w.Close() }() // without Seal nothing becomes visible
	rows, err := client.NewStructWriter[fruit](w)
	if err != nil {
		log.Fatal(err)
	}
	for i := range int64(1_000_000) {
		if err := rows.Append(&fruit{ID: i, Name: "Apple " + strconv.FormatInt(i, 10)}); err != nil {
			log.Fatal(err)
		}
	}
	if err := rows.Flush(); err != nil {
		log.Fatal(err)
	}
	sealed, err := w.Seal(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(sealed.Rows, "rows,", sealed.Run.GetState())
}

// One of many workers: each writes a slice of the same run, and the run commits when the last one seals. A worker that was started
// again comes with a larger attempt and goes on behind the rows that were durable.
func ExampleClient_NewWriter_worker() {
	ctx := context.Background()
	c, err := client.Dial(ctx, os.Getenv("SLUICE_ADDR"))
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	rank, _ := strconv.ParseInt(os.Getenv("RANK"), 10, 32)
	attempt, _ := strconv.ParseInt(os.Getenv("RESTARTS"), 10, 64)
	output := client.TablePath("odps://local/tables/events/dt=20240101")
	_, _, err = c.CreateRun(ctx, &sluicev1.CreateRunRequest{
		RunId: os.Getenv("JOB"), Outputs: []*sluicev1.OutputSpec{{Table: output, SliceCount: 16}},
	})
	if err != nil {
		log.Fatal(err)
	}
	w, err := c.NewWriter(ctx, client.WriterConfig{
		Run: os.Getenv("JOB"), Output: output, Slice: int32(rank), Attempt: attempt, OnTakeover: sluicev1.OnTakeover_ON_TAKEOVER_RESUME,
	})
	if client.Is(err, sluicev1.Reason_REASON_RUN_CLOSED) {
		return // restarted after everything was done
	}
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = w.Close() }()
	rows, err := w.Rows("id", "payload")
	if err != nil {
		log.Fatal(err)
	}
	for id := w.ResumeOffset(); id < 1_000_000; id++ { // row n of the slice is always the same
		rows.SetInt64(0, id)
		rows.SetString(1, "…")
		if err := rows.End(); err != nil {
			log.Fatal(err)
		}
	}
	if err := errors.Join(rows.Flush(), sealErr(w.Seal(ctx))); err != nil {
		log.Fatal(err)
	}
}

func sealErr(_ *client.Sealed, err error) error { return err }

// Reading a whole table as Arrow batches.
func ExampleClient_Read() {
	ctx := context.Background()
	c, err := client.Dial(ctx, "127.0.0.1:50051")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	reader, err := c.Read(ctx, client.ReadOptions{Spec: &sluicev1.ReadSessionSpec{
		Table: client.TablePath("odps://local/tables/fruit"), Columns: []string{"name", "price"},
	}})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = reader.Close() }()
	for reader.Next() {
		fmt.Println(reader.RecordBatch().NumRows(), "rows")
	}
	if err := reader.Err(); err != nil {
		log.Fatal(err)
	}
}

// Sixteen readers share one snapshot. Each takes its part by its number; nobody has to hand anything around, because a session key
// gives all of them the same session.
func ExampleClient_CreateReadSession() {
	ctx := context.Background()
	c, err := client.Dial(ctx, "127.0.0.1:50051")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	session, err := c.CreateReadSession(ctx, &sluicev1.ReadSessionSpec{
		Table: client.TablePath("odps://local/tables/events"), Partitions: []string{"dt=202401*"}, Plan: client.PlanStreams(16),
	}, "training-"+uuid.NewString())
	if err != nil {
		log.Fatal(err)
	}
	reader, err := c.Read(ctx, client.ReadOptions{Token: session.Token(), Ranges: session.Streams[3].GetRanges()})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = reader.Close() }()
	for batch, err := range reader.Batches() {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("rows from", batch.FirstRow, "on:", batch.Rows)
	}
}
