package transfer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	"github.com/sluice-io/sluice/client"
	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
	"github.com/sluice-io/sluice/internal/cli/progress"
	"github.com/sluice-io/sluice/internal/cli/tableio"
)

// Export says which rows go into which file.
type Export struct {
	// Spec is what to read; its plan is set here.
	Spec *sluicev1.ReadSessionSpec
	// File is a path, or "-" for standard output, which then needs a Format.
	File, Format, Null string
	// Streams is how many streams read at once, at least 1. The order of rows does not depend on it.
	Streams int32
	// Limit ends the export early; 0 is all rows. It implies one stream.
	Limit int64
	// Meter, if any, counts rows written.
	Meter func(total int64) *progress.Meter
}

// Do exports. An unfinished file is not removed.
func (e Export) Do(ctx context.Context, c *client.Client) (_ Result, err error) {
	start := time.Now()
	if e.Limit > 0 {
		e.Streams = 1
	}
	spec := proto.CloneOf(e.Spec)
	spec.Plan = client.PlanStreams(max(1, e.Streams))
	session, err := c.CreateReadSession(ctx, spec, "")
	if err != nil {
		return Result{}, err
	}
	schema, err := client.ArrowSchema(session.Info.GetColumns())
	if err != nil {
		return Result{}, err
	}
	sink, err := tableio.Create(e.File, e.Format, e.Null, schema)
	if err != nil {
		return Result{}, err
	}
	result, err := e.copy(ctx, c, session, sink)
	if err := errors.Join(err, sink.Close()); err != nil {
		return Result{}, err
	}
	result.Elapsed = time.Since(start)
	result.Seconds = result.Elapsed.Seconds()
	return result, nil
}

// streamAhead is how many batches a stream may be ahead of the file.
const streamAhead = 8

func (e Export) copy(ctx context.Context, c *client.Client, session *client.Session, sink *tableio.Sink) (Result, error) {
	var meter *progress.Meter
	if e.Meter != nil {
		meter = e.Meter(session.Info.GetRowCount())
	}
	group, ctx := errgroup.WithContext(ctx)
	streams := make([]chan arrow.RecordBatch, len(session.Streams))
	for n, stream := range session.Streams {
		streams[n] = make(chan arrow.RecordBatch, streamAhead)
		group.Go(func() error { return e.read(ctx, c, session.Token(), stream, streams[n]) })
	}
	result := Result{State: "DONE"}
	group.Go(func() error {
		for _, batches := range streams {
			if err := result.take(ctx, batches, sink, meter); err != nil {
				return err
			}
		}
		return nil
	})
	err := errors.Join(group.Wait(), meter.Done())
	for _, batches := range streams {
		for rec := range batches {
			rec.Release()
		}
	}
	return result, err
}

// read reads one stream into a channel, which it closes.
func (e Export) read(ctx context.Context, c *client.Client, token string, stream *sluicev1.ReadStream, into chan<- arrow.RecordBatch) (err error) {
	defer close(into)
	if stream.GetRowCount() == 0 {
		return nil
	}
	reader, err := c.Read(ctx, client.ReadOptions{Token: token, Ranges: stream.GetRanges(), RowLimit: e.Limit})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, reader.Close()) }()
	for reader.Next() {
		rec := reader.RecordBatch()
		rec.Retain()
		select {
		case into <- rec:
		case <-ctx.Done():
			rec.Release()
			return ctx.Err()
		}
	}
	return reader.Err()
}

func (r *Result) take(ctx context.Context, batches <-chan arrow.RecordBatch, sink *tableio.Sink, meter *progress.Meter) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case rec, more := <-batches:
			if !more {
				return nil
			}
			err := sink.Write(rec)
			r.Rows += rec.NumRows()
			r.Bytes += client.BatchBytes(rec)
			err = errors.Join(err, meter.Add(rec.NumRows()))
			rec.Release()
			if err != nil {
				return fmt.Errorf("write file: %w", err)
			}
		}
	}
}
