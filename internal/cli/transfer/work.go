package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/sluice-io/sluice/client"
	"github.com/sluice-io/sluice/internal/cli/progress"
	"github.com/sluice-io/sluice/internal/cli/tableio"
)

// slice is one slice being written here.
type slice struct {
	id      int32
	batches chan numbered // room for one, so that the file is read while the last batch is sent
	writer  *client.Writer
	skip    int64   // rows still to be left out, because they are durable already
	starts  []start // where the batches given begin
	given   int64   // rows given to the writer
	sealed  bool    // by this process
}

// numbered is a batch and the row of the file that it begins with.
type numbered struct {
	rec arrow.RecordBatch
	row int64
}

// start says that the writer's row was the file's row.
type start struct{ writer, file int64 }

// work carries batches from one file to many slices.
type work struct {
	slices    []*slice
	committed []*client.Sealed
	meter     *progress.Meter
	hold      func(ctx context.Context, slice int32, rows int64) error
	rows      atomic.Int64
	skipped   atomic.Int64
	bytes     atomic.Int64
}

// deal reads the file and gives each batch to its slice. It closes the slices' channels at the file's clean end only:
// that is what lets them be sealed.
func (w *work) deal(ctx context.Context, source *tableio.Source) error {
	err := eachBatch(source, func(k int, b numbered) error {
		s := w.slices[k%len(w.slices)]
		if s == nil {
			b.rec.Release()
			return ctx.Err()
		}
		return s.offer(ctx, b)
	})
	if err != nil {
		return err
	}
	for _, s := range w.slices {
		if s != nil {
			close(s.batches)
		}
	}
	return nil
}

// eachBatch calls take with all batches of a file, which become take's own.
func eachBatch(source *tableio.Source, take func(k int, b numbered) error) error {
	for k, row := 0, int64(0); ; k++ {
		rec, err := source.Next()
		if err == io.EOF { //nolint:errorlint // a wrapped one is no end: a decoder met it inside a value
			return nil
		}
		if err != nil {
			return fmt.Errorf("read source: %w", err)
		}
		n := rec.NumRows()
		if err := take(k, numbered{rec, row}); err != nil {
			return err
		}
		row += n
	}
}

func (s *slice) offer(ctx context.Context, b numbered) error {
	select {
	case s.batches <- b:
		return nil
	case <-ctx.Done():
		b.rec.Release()
		return ctx.Err()
	}
}

// drain releases batches that nobody took, after an error.
func (w *work) drain() {
	for _, s := range w.slices {
		if s == nil {
			continue
		}
		select {
		case b, more := <-s.batches:
			if more {
				b.rec.Release()
			}
		default:
		}
	}
}

// carry writes one slice and seals it. When ctx ends, the writer is ended too: it may be waiting for room.
func (w *work) carry(ctx context.Context, n int, s *slice) error {
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		s.leave(ctx)
	})
	err := w.carryOn(ctx, n, s)
	if !stop() {
		<-ended
		if cause := context.Cause(ctx); err != nil && cause != nil {
			return cause // and not that the writer was ended for it
		}
	}
	return err
}

// leave ends the writer of an import that failed elsewhere: without rows, or to be resumed after a broken connection.
func (s *slice) leave(ctx context.Context) {
	if Resumable(context.Cause(ctx)) {
		_ = s.writer.Close() // never fails
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTime)
	defer cancel()
	_ = s.writer.Abort(ctx, "import failed") // giveBack asks again, and tells
}

func (w *work) carryOn(ctx context.Context, n int, s *slice) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case b, more := <-s.batches:
			if !more {
				sealed, err := s.seal(ctx)
				w.committed[n] = sealed
				return err
			}
			err := w.give(ctx, s, b)
			b.rec.Release()
			if err != nil {
				return s.explain(err)
			}
		}
	}
}

// seal closes a slice that was given all its rows.
func (s *slice) seal(ctx context.Context) (*client.Sealed, error) {
	if s.skip > 0 {
		return nil, fmt.Errorf("slice %d holds %d rows more than the file has for it: this is not the file that the earlier attempt wrote", s.id, s.skip)
	}
	sealed, err := s.writer.Seal(ctx)
	s.sealed = err == nil
	return sealed, s.explain(err)
}

func (w *work) give(ctx context.Context, s *slice, b numbered) error {
	skip := min(s.skip, b.rec.NumRows())
	s.skip -= skip
	w.skipped.Add(skip)
	if skip == b.rec.NumRows() {
		return w.meter.Add(skip)
	}
	rest := b.rec.NewSlice(skip, b.rec.NumRows())
	defer rest.Release()
	s.starts = append(s.starts, start{writer: s.given, file: b.row + skip})
	if err := s.writer.WriteArrow(rest); err != nil {
		return err
	}
	s.given += rest.NumRows()
	w.rows.Add(rest.NumRows())
	w.bytes.Add(client.BatchBytes(rest))
	if w.hold != nil {
		if err := w.hold(ctx, s.id, s.given); err != nil {
			return err
		}
	}
	return w.meter.Add(b.rec.NumRows())
}

// explain says which rows of the file the service refused.
func (s *slice) explain(err error) error {
	var refused *client.RejectedError
	if !errors.As(err, &refused) {
		return err
	}
	if len(refused.RowErrors) == 0 {
		return fmt.Errorf("row %d and those after it: %w", s.fileRow(refused.FirstRow)+1, refused.Err)
	}
	first := refused.RowErrors[0]
	return fmt.Errorf("row %d, column %s: %s (%d rows of this batch are wrong): %w",
		s.fileRow(refused.FirstRow+first.GetRow())+1, first.GetColumn(), first.GetMessage(), refused.RowErrorCount, refused.Err)
}

// fileRow turns the writer's row number into the file's.
func (s *slice) fileRow(row int64) int64 {
	file := row
	for _, st := range s.starts {
		if st.writer <= row {
			file = st.file + row - st.writer
		}
	}
	return file
}

func (w *work) result(run string) Result {
	r := Result{RunID: run, Rows: w.rows.Load(), Skipped: w.skipped.Load(), Bytes: w.bytes.Load(), State: "SEALED"}
	for _, sealed := range w.committed {
		if sealed != nil && sealed.Run != nil {
			r.State = "COMMITTED"
		}
	}
	return r
}
