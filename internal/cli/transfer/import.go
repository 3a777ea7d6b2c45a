package transfer

import (
	"context"
	"errors"
	"fmt"
	"strings"
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
