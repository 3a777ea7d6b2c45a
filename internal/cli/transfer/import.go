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
	// Before tells that the run was committed before, and nothing was written now.
	Before bool `json:"committed_before,omitempty"`
}

// Do imports. A slice is sealed only after the file's clean end. When anything fails before, or ctx ends, nothing is
// committed: a run of its own making is aborted, the slices of a named one are given back without rows, so that nobody
// finds them busy. Only a broken connection leaves them, to be resumed.
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
		result, err = i.before(ctx, c, source)
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
	case Resumable(err):
		return fmt.Errorf("%w\nnothing was committed; the rows sent so far are kept for a while: repeat the command with --run %s --resume to go on", err, i.Run)
	case !ours:
		return err
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
	sealed  bool    // by this process
}

// numbered is a batch and the row of the file that it begins with.
type numbered struct {
	rec arrow.RecordBatch
	row int64
}

// start says that the writer's row was the file's row.
type start struct{ writer, file int64 }

func (i Import) write(ctx context.Context, c *client.Client, source *tableio.Source) (_ Result, err error) {
	life, end := context.WithCancel(context.WithoutCancel(ctx)) // the writers outlive ctx, to give their slices back
	defer end()
	opening := context.AfterFunc(ctx, end)
	slices, err := i.open(life, c, source.Schema())
	opening()
	defer func() {
		err = i.giveBack(ctx, slices, err)
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

// releaseTime is how long to try to give slices back.
const releaseTime = 10 * time.Second

// giveBack aborts the slices that an error left open, and says so; after a broken connection they are left to be resumed.
func (i Import) giveBack(ctx context.Context, slices []*slice, err error) error {
	if err == nil || Resumable(err) {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTime)
	defer cancel()
	back := 0
	for _, s := range slices {
		if s == nil || s.sealed {
			continue
		}
		if abortErr := s.writer.Abort(ctx, "import failed"); abortErr == nil {
			back++
		}
	}
	if back == 0 {
		return err
	}
	return fmt.Errorf("%w\nnothing was committed; slices of run %s given back without rows: %d. Repeat the command to write them again", err, i.Run, back)
}

// before is the result of an import whose run was committed before, if the run holds as many rows as the file.
func (i Import) before(ctx context.Context, c *client.Client, source *tableio.Source) (Result, error) {
	var there, want int64
	for s, err := range c.Slices(ctx, i.Run) {
		if err != nil {
			return Result{}, fmt.Errorf("look at the slices of run %s: %w", i.Run, err)
		}
		if i.Slice == AllSlices || s.GetSliceId() == i.Slice {
			there += s.GetDurableThrough()
		}
	}
	err := eachBatch(source, func(k int, b numbered) error {
		defer b.rec.Release()
		if i.Slice == AllSlices || int64(k)%int64(i.Slices) == int64(i.Slice) {
			want += b.rec.NumRows()
		}
		return nil
	})
	if err != nil {
		return Result{}, fmt.Errorf("run %s was committed before; compare it with the file: %w", i.Run, err)
	}
	if there != want {
		return Result{}, fmt.Errorf("run %s was committed before with %d rows, the file has %d: import it again with another run", i.Run, there, want)
	}
	return Result{RunID: i.Run, Skipped: there, State: "COMMITTED", Before: true}, nil
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
			return slices, fmt.Errorf("open slice %d: %w", id, inWords(err, i.Run, id))
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
