package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/sluice-io/sluice/client"
	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
	"github.com/sluice-io/sluice/internal/cli/progress"
	"github.com/sluice-io/sluice/internal/cli/tableio"
)

// AllSlices as Import.Slice means that this process writes all of them.
const AllSlices = -1

// Import says which file goes where.
type Import struct {
	File, Format, Null string
	// Output is a table, or a full partition of one.
	Output *sluicev1.TableRef
	// Append adds to the table's rows; otherwise they are replaced when the run commits.
	Append bool
	// Run is the run's id; empty: made up.
	Run string
	// Slices is the number of slices in the run, at least 1. Slice is the one to write here, or AllSlices.
	Slices, Slice int32
	// Attempt is this worker's; see client.WriterConfig.
	Attempt int64
	// Resume keeps rows that an earlier attempt made durable and goes on behind them.
	Resume bool
	// WaitBusy is how long to wait while others hold slice or table.
	WaitBusy time.Duration
	// Meter, if any, counts rows given to the service.
	Meter func(total int64) *progress.Meter
	// Hold, if any, is called by each writer with the rows it has been given so far.
	Hold func(ctx context.Context, slice int32, rows int64) error
}

// Result is what a transfer did.
type Result struct {
	RunID   string        `json:"run_id,omitempty"`
	Rows    int64         `json:"rows"`
	Skipped int64         `json:"rows_already_there,omitempty"` // by Resume
	Bytes   int64         `json:"bytes"`                        // of values, uncompressed
	Elapsed time.Duration `json:"-"`
	Seconds float64       `json:"seconds"`
	// State is COMMITTED, or SEALED where other slices are still to come.
	State string `json:"state"`
}

// Do imports. When it fails in the middle of a run of its own making, the run is aborted, so that nothing of it becomes
// visible and nobody else finds the table busy; only a broken connection leaves it, to be resumed.
func (i Import) Do(ctx context.Context, c *client.Client) (_ Result, err error) {
	start := time.Now()
	i.Slices = max(1, i.Slices)
	columns, err := tableFields(ctx, c, i.Output)
	if err != nil {
		return Result{}, err
	}
	source, err := tableio.Open(ctx, i.File, tableio.Options{Format: i.Format, Null: i.Null, Columns: columns})
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	ours := i.Run == ""
	if ours {
		i.Run = "import-" + uuid.NewString()
	}
	if err := i.createRun(ctx, c); err != nil {
		return Result{}, err
	}
	result, err := i.write(ctx, c, source)
	if i.Resume && committed(err) {
		result, err = Result{RunID: i.Run, State: "COMMITTED"}, nil
	}
	if err != nil {
		return Result{}, i.giveUp(ctx, c, ours, err)
	}
	result.Elapsed = time.Since(start)
	result.Seconds = result.Elapsed.Seconds()
	return result, nil
}

// committed tells whether err only says that the run is done already.
func committed(err error) bool {
	var e *client.Error
	return errors.As(err, &e) && e.Reason == sluicev1.Reason_REASON_RUN_CLOSED && strings.HasSuffix(e.Metadata["state"], "COMMITTED") &&
		!strings.Contains(e.Metadata["state"], "PARTIALLY")
}

// tableFields returns the table's data columns as Arrow fields.
func tableFields(ctx context.Context, c *client.Client, ref *sluicev1.TableRef) ([]arrow.Field, error) {
	table, err := c.GetTable(ctx, WithoutPartition(ref))
	if err != nil {
		return nil, err
	}
	schema, err := client.ArrowSchema(table.GetSchema().GetColumns())
	if err != nil {
		return nil, err
	}
	return schema.Fields(), nil
}

func (i Import) createRun(ctx context.Context, c *client.Client) error {
	options := &sluicev1.OutputOptions{Mode: sluicev1.WriteMode_WRITE_MODE_REPLACE}
	if i.Append {
		options.Mode = sluicev1.WriteMode_WRITE_MODE_APPEND
	}
	_, _, err := c.CreateRun(ctx, &sluicev1.CreateRunRequest{
		RunId: i.Run, Outputs: []*sluicev1.OutputSpec{{Table: i.Output, SliceCount: i.Slices, Options: options}},
	})
	return err
}

// giveUp aborts a run that nobody will finish, and adds to the error how to go on with one that somebody may.
func (i Import) giveUp(ctx context.Context, c *client.Client, ours bool, err error) error {
	switch {
	case !ours:
		return err
	case Resumable(err):
		return fmt.Errorf("%w\nthe rows sent so far are kept for a while: repeat the command with --run %s --resume to go on", err, i.Run)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if _, abortErr := c.AbortRun(ctx, i.Run, "import failed: "+client.ReasonOf(err).String()); abortErr != nil {
		return errors.Join(err, fmt.Errorf("abort run %s: %w", i.Run, abortErr))
	}
	return err
}

// Resumable tells whether the same import may succeed later, as it is.
func Resumable(err error) bool {
	var e *client.Error
	return errors.As(err, &e) && e.Reason != sluicev1.Reason_REASON_UNSPECIFIED && e.Retry() == client.RetryResume ||
		client.Is(err, sluicev1.Reason_REASON_BACKEND_UNAVAILABLE, sluicev1.Reason_REASON_DRAINING, sluicev1.Reason_REASON_OUTCOME_UNKNOWN)
}

// slice is one slice being written here.
type slice struct {
	id      int32
	batches chan numbered // room for one, so that the file is read while the last batch is sent
	writer  *client.Writer
	skip    int64   // rows still to be left out, because they are durable already
	starts  []start // where the batches given begin
	given   int64   // rows given to the writer
}

// numbered is a batch and the row of the file that it begins with.
type numbered struct {
	rec arrow.RecordBatch
	row int64
}

// start says that the writer's row was the file's row.
type start struct{ writer, file int64 }

func (i Import) write(ctx context.Context, c *client.Client, source *tableio.Source) (_ Result, err error) {
	slices, err := i.open(ctx, c, source.Schema())
	defer func() {
		for _, s := range slices {
			if s != nil {
				err = errors.Join(err, s.writer.Close())
			}
		}
	}()
	if err != nil {
		return Result{}, err
	}
	w := &work{slices: slices, committed: make([]*client.Sealed, len(slices)), hold: i.Hold}
	if i.Meter != nil {
		w.meter = i.Meter(i.expected(source))
	}
	group, gctx := errgroup.WithContext(ctx)
	group.Go(func() error { return w.deal(gctx, source) })
	for n, s := range slices {
		if s != nil {
			group.Go(func() error { return w.carry(gctx, n, s) })
		}
	}
	err = errors.Join(group.Wait(), w.meter.Done())
	w.drain()
	if err != nil {
		return Result{}, err
	}
	return w.result(i.Run), nil
}

// expected is how many rows will be written here, -1 if nobody knows.
func (i Import) expected(source *tableio.Source) int64 {
	if source.Rows < 0 || i.Slice == AllSlices {
		return source.Rows
	}
	return source.Rows / int64(i.Slices)
}

// open opens the slices to be written here; the others stay nil.
func (i Import) open(ctx context.Context, c *client.Client, schema *arrow.Schema) ([]*slice, error) {
	slices := make([]*slice, i.Slices)
	takeover := sluicev1.OnTakeover_ON_TAKEOVER_DISCARD
	if i.Resume {
		takeover = sluicev1.OnTakeover_ON_TAKEOVER_RESUME
	}
	for id := range i.Slices {
		if i.Slice != AllSlices && i.Slice != id {
			continue
		}
		w, err := c.NewWriter(ctx, client.WriterConfig{
			Run: i.Run, Output: i.Output, Slice: id, Attempt: i.Attempt, OnTakeover: takeover, Schema: schema, WaitBusy: i.WaitBusy,
		})
		if err != nil {
			return slices, fmt.Errorf("open slice %d: %w", id, err)
		}
		slices[id] = &slice{id: id, batches: make(chan numbered, 1), writer: w, skip: w.ResumeOffset()}
	}
	return slices, nil
}

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

// deal reads the file and gives each batch to its slice.
func (w *work) deal(ctx context.Context, source *tableio.Source) error {
	defer func() {
		for _, s := range w.slices {
			if s != nil {
				close(s.batches)
			}
		}
	}()
	for k, row := 0, int64(0); ; k++ {
		rec, err := source.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read source: %w", err)
		}
		n := rec.NumRows()
		if s := w.slices[k%len(w.slices)]; s == nil {
			rec.Release()
		} else if err := s.offer(ctx, numbered{rec, row}); err != nil {
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
		for b := range s.batches {
			b.rec.Release()
		}
	}
}

// carry writes one slice and seals it.
func (w *work) carry(ctx context.Context, n int, s *slice) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case b, more := <-s.batches:
			if !more {
				sealed, err := s.writer.Seal(ctx)
				w.committed[n] = sealed
				return s.explain(err)
			}
			err := w.give(ctx, s, b)
			b.rec.Release()
			if err != nil {
				return s.explain(err)
			}
		}
	}
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
