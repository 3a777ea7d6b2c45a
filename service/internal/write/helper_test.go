package write_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/batch"
	"github.com/sluice-io/sluice/service/internal/flow"
	"github.com/sluice-io/sluice/service/internal/table"
	"github.com/sluice-io/sluice/service/internal/write"
	"github.com/sluice-io/sluice/service/internal/write/writetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// t1 and t2 are unpartitioned tables, tp has the partition column dt.
var (
	t1 = table.Ref{Name: table.NewName("p", "", "t1")}
	t2 = table.Ref{Name: table.NewName("p", "", "t2")}
	tp = table.Ref{Name: table.NewName("p", "", "tp")}
)

// world is a backend and a ledger with the replicas that use them.
type world struct {
	t        *testing.T
	backend  *writetest.Backend
	ledger   *writetest.Ledger
	rows     *writetest.Rows
	limits   write.Limits
	unfenced bool
	replicas []*replica
	// predefined is Config.Predefined of the replicas started from now on.
	predefined func(table.Ref) bool
}

// replica is one running engine.
type replica struct {
	*write.Engine
	gate    *writetest.Gate
	budget  *flow.Budget
	cancel  context.CancelFunc
	done    chan error
	stopped bool
}

// inBubble runs a test in virtual time and checks afterwards that nothing is left over.
func inBubble(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		test(t, w)
	})
}

func newWorld(t *testing.T) *world {
	return &world{
		t: t, ledger: writetest.NewLedger(), rows: &writetest.Rows{},
		backend: writetest.NewBackend(writetest.Table("t1"), writetest.Table("t2"), writetest.Table("tp", "dt")),
		limits:  write.Limits{GatherBytes: 1 << 10, BlockBytes: 8 << 10},
	}
}

func (w *world) start(rules ...string) *replica {
	r := &replica{gate: writetest.NewGate(w.backend, w.ledger), budget: flow.NewBudget(1 << 20), done: make(chan error, 1)}
	r.Engine = write.New(write.Config{
		Ledger: r.gate, Backend: r.gate, Budget: r.budget, Limits: w.limits, Replica: fmt.Sprint("r", len(w.replicas)), AllowUnfenced: w.unfenced,
		Predefined: w.predefined,
	})
	for _, rule := range rules {
		if rule != "" {
			r.Rule(rule)
		}
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	r.cancel = cancel
	go func() { r.done <- r.Run(ctx) }()
	synctest.Wait()
	w.replicas = append(w.replicas, r)
	return r
}

// stop ends a replica in order, or what is left of it after a crash.
func (w *world) stop(r *replica) {
	if r.stopped {
		return
	}
	r.stopped = true
	r.cancel()
	if err := <-r.done; err != nil && !errors.Is(err, writetest.ErrCrashed) {
		w.t.Errorf("Run = %v", err)
	}
}

// crash ends a replica at once: nothing it still does has an effect.
func (w *world) crash(r *replica) {
	r.gate.Crash()
	w.stop(r)
}

func (w *world) close() {
	w.t.Helper()
	for _, r := range w.replicas {
		w.stop(r)
		if used := r.budget.Used(); used != 0 {
			w.t.Errorf("%d bytes of the budget are never given back", used)
		}
	}
	synctest.Wait()
	if n := w.rows.Unreleased(); n != 0 {
		w.t.Errorf("%d batches are never released", n)
	}
	if now, _ := w.backend.OpenPuts(); now != 0 {
		w.t.Errorf("%d PUTs are neither closed nor aborted", now)
	}
}

func (w *world) run(r *replica, id write.RunID, outputs ...write.OutputSpec) {
	w.t.Helper()
	if _, _, err := r.CreateRun(w.t.Context(), write.RunSpec{ID: id, Outputs: outputs}); err != nil {
		w.t.Fatalf("CreateRun(%s) = %v", id, err)
	}
}

func output(ref table.Ref, slices int32) write.OutputSpec {
	return write.OutputSpec{Ref: ref, SliceCount: slices}
}

func (w *world) wantRows(ref table.Ref, want ...string) {
	w.t.Helper()
	slices.Sort(want)
	if diff := cmp.Diff(want, w.backend.Rows(ref), cmp.Transformer("empty", func(s []string) []string { return append([]string{}, s...) })); diff != "" {
		w.t.Errorf("rows of %s (-want +got):\n%s", ref.Path(), diff)
	}
}

func wantReason(t *testing.T, what string, err error, want apierr.Reason) {
	t.Helper()
	_ = errorWith(t, what, err, want)
}

// errorWith is wantReason for those who look further into the error.
func errorWith(t *testing.T, what string, err error, want apierr.Reason) *apierr.Error {
	t.Helper()
	if got := apierr.ReasonOf(err); got != want {
		t.Fatalf("%s = %v, want %s", what, err, want)
	}
	return apierr.From(err)
}

// client is a program that writes one slice: it knows its rows and can produce them again.
type client struct {
	w       *world
	r       *replica
	req     write.OpenRequest
	wr      *write.Writer
	opened  write.Opened
	content string
	form    batch.Form
}

// worker makes a client of a run; content names its rows.
func (w *world) worker(r *replica, run write.RunID, slice write.SliceID, worker, content string) *client {
	return &client{w: w, r: r, content: content, form: batch.FormArrow, req: write.OpenRequest{
		RunID: run, Output: t1, SliceID: slice, WorkerID: worker, WriterNumber: 1, ReplayBytes: 1 << 30, Principal: "me",
	}}
}

// open opens with the next try.
func (c *client) open() error {
	c.detach()
	c.req.OpenNumber++
	wr, opened, err := c.r.Open(c.w.t.Context(), c.req)
	if err == nil {
		c.wr, c.opened = wr, opened
		c.w.t.Cleanup(c.detach)
	}
	return err
}

func (c *client) mustOpen() *client {
	c.w.t.Helper()
	if err := c.open(); err != nil {
		c.w.t.Fatalf("Open = %v", err)
	}
	return c
}

// reopen is a new writer of the same worker.
func (c *client) reopen() error {
	c.req.WriterNumber++
	c.req.OpenNumber = 0
	return c.open()
}

func (c *client) detach() {
	if c.wr != nil {
		c.wr.Detach()
		c.wr = nil
	}
}

// batch sends the rows [from, to).
func (c *client) batch(from, to int) error {
	_, err := c.wr.Append(c.w.t.Context(), write.RowOffset(from), to-from, writetest.CRC(c.content, from, to), func() (*batch.Checked, error) {
		return c.w.rows.Batch(c.content, from, to, c.form), nil
	})
	return err
}

// send sends the next n rows.
func (c *client) send(n int) error {
	at := int(c.wr.Expected())
	return c.batch(at, at+n)
}

func (c *client) flush() error {
	_, err := c.wr.Flush(c.w.t.Context())
	return err
}

func (c *client) seal() (write.Sealed, error) {
	rows := int64(c.wr.Expected())
	return c.wr.Seal(c.w.t.Context(), &rows)
}

func (c *client) must(err error) *client {
	c.w.t.Helper()
	if err != nil {
		c.w.t.Fatal(err)
	}
	return c
}

// writeAll sends n rows from wherever the slice is, seals and waits for the run if that completes it.
func (c *client) writeAll(n int) error {
	at := int(c.wr.Expected())
	if n = max(n, at); at < n { // with RESUME there may be more already
		if err := c.send(n - at); err != nil {
			return err
		}
	}
	sealed, err := c.seal()
	if err != nil {
		return err
	}
	if sealed.Rows != int64(n) {
		return fmt.Errorf("sealed %d rows, want %d", sealed.Rows, n)
	}
	if sealed.CompletesRun {
		_, err = c.wr.Finish(c.w.t.Context())
	}
	return err
}

// insist is what the client library does: it opens, writes n rows and seals, and begins again by a resume whenever its
// stream ends in a way that allows it.
func (c *client) insist(n int) error {
	var last error
	for range 30 {
		err := c.open()
		switch {
		case err == nil && c.opened.Aborted != nil:
			return errors.New("the slice was aborted")
		case err == nil && c.opened.Finished != nil:
			return nil
		case err == nil:
			err = c.writeAll(n)
		}
		switch apierr.ReasonOf(err) {
		case apierr.Unspecified:
			if err == nil {
				return nil
			}
		case apierr.BackendUnavailable, apierr.OutcomeUnknown, apierr.Throttled, apierr.Draining, apierr.Internal:
		default:
			return err
		}
		last = err
		time.Sleep(time.Second)
	}
	return fmt.Errorf("given up: %w", last)
}
