package write_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/sluice-io/sluice/service/internal/batch"
	"github.com/sluice-io/sluice/service/internal/ledger/bolt"
	"github.com/sluice-io/sluice/service/internal/write"
	"github.com/sluice-io/sluice/service/internal/write/writetest"
)

// TestARunSurvivesARestartOnABoltLedger plays the whole way once on a real file, in real time.
func TestARunSurvivesARestartOnABoltLedger(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	rows := &writetest.Rows{}
	backend := writetest.NewBackend(writetest.Table("t1"))
	backend.SetRows(t1, "old")
	life := func(serve func(e *write.Engine)) {
		l, err := bolt.Open(path, bolt.Options{Fatal: func(err error) { t.Error(err) }})
		if err != nil {
			t.Fatal(err)
		}
		e := write.New(write.Config{Ledger: l, Backend: backend, Limits: write.Limits{GatherBytes: 1 << 10}})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- e.Run(ctx) }()
		serve(e)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	open := func(e *write.Engine, try int64) (*write.Writer, write.Opened) {
		w, opened, err := e.Open(t.Context(), write.OpenRequest{RunID: "r", Output: t1, WorkerID: "w", WriterNumber: 1, OpenNumber: try})
		if err != nil {
			t.Fatal(err)
		}
		return w, opened
	}
	send := func(w *write.Writer, to int) {
		from := int(w.Expected())
		_, err := w.Append(t.Context(), write.RowOffset(from), to-from, 0, func() (*batch.Checked, error) {
			return rows.Batch("a", from, to, batch.FormArrow), nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	life(func(e *write.Engine) {
		if _, _, err := e.CreateRun(t.Context(), write.RunSpec{ID: "r", Outputs: []write.OutputSpec{output(t1, 1)}}); err != nil {
			t.Fatal(err)
		}
		w, _ := open(e, 1)
		defer w.Detach()
		send(w, 500)
		if _, err := w.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		send(w, 900)
	})
	life(func(e *write.Engine) {
		w, opened := open(e, 2)
		defer w.Detach()
		if opened.ResumeOffset != 500 || opened.Term != 2 {
			t.Fatalf("resumed = %+v", opened)
		}
		send(w, 1200)
		total := int64(1200)
		sealed, err := w.Seal(t.Context(), &total)
		if err != nil || !sealed.CompletesRun {
			t.Fatalf("Seal = %+v, %v", sealed, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if run, err := w.Finish(ctx); err != nil || run.Outputs[0].CommittedRows != 1200 {
			t.Fatalf("Finish = %+v, %v", run, err)
		}
	})
	if n := len(backend.Rows(t1)); n != 1200 || rows.Unreleased() != 0 {
		t.Errorf("%d rows are published, want 1200; %d batches are held", n, rows.Unreleased())
	}
}

// BenchmarkAppend is the cost of a batch beyond checking and sending it: one 256 KiB message into an open block.
func BenchmarkAppend(b *testing.B) {
	backend := &nullBackend{Backend: writetest.NewBackend(writetest.Table("t1"))}
	e := write.New(write.Config{Ledger: writetest.NewLedger(), Backend: backend})
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	w, _, err := e.Open(b.Context(), write.OpenRequest{Output: t1, WorkerID: "w", ReplayBytes: 1 << 30})
	if err != nil {
		b.Fatal(err)
	}
	body := make([]byte, 256<<10)
	check := func() (*batch.Checked, error) {
		return &batch.Checked{Rows: 1000, Form: batch.FormArrow, Body: batch.NewPayload(nil, body)}, nil
	}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.Append(b.Context(), w.Expected(), 1000, 1, check); err != nil {
			b.Fatal(err)
		}
	}
	w.Detach()
	cancel()
	if err := <-done; err != nil {
		b.Error(err)
	}
}

// nullBackend takes rows and forgets them.
type nullBackend struct{ *writetest.Backend }

func (n *nullBackend) OpenBlock(context.Context, write.BlockTarget) (write.BlockWriter, error) {
	return nullPut{}, nil
}

type nullPut struct{}

func (nullPut) Write(c *batch.Checked) error          { c.Release(); return nil }
func (nullPut) Close(context.Context) (string, error) { return "", nil }
func (nullPut) Abort()                                {}
