package conformance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"testing"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
)

// slice drives one WriteRows stream by hand, message by message.
type slice struct {
	t      *testing.T
	stream sluicev1.RowService_WriteRowsClient
	opened *sluicev1.SliceOpened
	cancel context.CancelFunc
	next   int64 // offset of the next batch
	batch  int64
}

var workers atomic.Int64

func newWorker() string { return fmt.Sprintf("worker-%d", workers.Add(1)) }

// dial sends an open and returns the stream before anything was received.
func (s *stack) dial(t *testing.T, open *sluicev1.SliceOpen) *slice {
	t.Helper()
	ctx, cancel := context.WithCancel(ctxOf(t))
	t.Cleanup(cancel)
	stream, err := s.rows.WriteRows(ctx)
	if err != nil {
		t.Fatalf("WriteRows: %v", err)
	}
	if open.WorkerId == "" {
		open.WorkerId, open.WriterNumber, open.OpenNumber = newWorker(), 1, 1
	}
	w := &slice{t: t, stream: stream, cancel: cancel}
	w.send(&sluicev1.WriteRowsRequest{Message: &sluicev1.WriteRowsRequest_Open{Open: open}})
	return w
}

// open opens a slice and fails the test if that is refused.
func (s *stack) open(t *testing.T, open *sluicev1.SliceOpen) *slice {
	t.Helper()
	w := s.dial(t, open)
	msg, err := w.stream.Recv()
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	w.opened = msg.GetOpened()
	if w.opened == nil {
		t.Fatalf("first reply = %v, want opened", msg)
	}
	w.next = w.opened.GetResumeOffset()
	return w
}

// refused opens a slice and returns the error it is refused with.
func (s *stack) refused(t *testing.T, open *sluicev1.SliceOpen) error {
	t.Helper()
	w := s.dial(t, open)
	msg, err := w.stream.Recv()
	if err == nil {
		t.Fatalf("open was answered with %v, want an error", msg)
	}
	return err
}

func (w *slice) send(m *sluicev1.WriteRowsRequest) {
	w.t.Helper()
	if err := w.stream.Send(m); err != nil && !errors.Is(err, io.EOF) {
		w.t.Fatalf("send: %v", err)
	}
}

// write sends rows as one batch at the next offset.
func (w *slice) write(rows ...row) {
	w.t.Helper()
	w.writeAt(w.next, rows...)
	w.next += int64(len(rows))
}

func (w *slice) writeAt(offset int64, rows ...row) {
	w.t.Helper()
	w.batch++
	w.send(&sluicev1.WriteRowsRequest{Message: &sluicev1.WriteRowsRequest_Batch{
		Batch: &sluicev1.RowBatch{BatchId: w.batch, Offset: offset, Payload: listOf(rows)},
	}})
}

// reply receives until a message that is no ack arrives.
func (w *slice) reply() (*sluicev1.WriteRowsResponse, error) {
	for {
		msg, err := w.stream.Recv()
		if err != nil || msg.GetAck() == nil {
			return msg, err
		}
	}
}

// accepted waits for an ack that covers the offset.
func (w *slice) accepted(through int64) *sluicev1.SliceAck {
	w.t.Helper()
	for {
		msg, err := w.stream.Recv()
		if err != nil {
			w.t.Fatalf("wait for ack: %v", err)
		}
		if ack := msg.GetAck(); ack.GetAcceptedThrough() >= through {
			return ack
		}
		if msg.GetAck() == nil {
			w.t.Fatalf("got %v while waiting for an ack", msg)
		}
	}
}

func (w *slice) rejected() *sluicev1.Rejected {
	w.t.Helper()
	msg, err := w.reply()
	if err != nil || msg.GetRejected() == nil {
		w.t.Fatalf("reply = %v, %v, want rejected", msg, err)
	}
	return msg.GetRejected()
}

func (w *slice) flush() int64 {
	w.t.Helper()
	w.send(&sluicev1.WriteRowsRequest{Message: &sluicev1.WriteRowsRequest_Flush{Flush: &sluicev1.SliceFlush{FlushId: 7}}})
	msg, err := w.reply()
	if err != nil || msg.GetFlushed().GetFlushId() != 7 {
		w.t.Fatalf("flush = %v, %v, want flushed 7", msg, err)
	}
	return msg.GetFlushed().GetDurableThrough()
}

// sendSeal seals with the row count written so far.
func (w *slice) sendSeal() {
	rows := w.next
	w.send(&sluicev1.WriteRowsRequest{Message: &sluicev1.WriteRowsRequest_Seal{Seal: &sluicev1.SliceSeal{Rows: &rows}}})
}

// seal closes the slice and waits for the end of the stream; it returns the run if the seal completed it.
func (w *slice) seal() *sluicev1.Run {
	w.t.Helper()
	w.sendSeal()
	msg, err := w.reply()
	if err != nil || msg.GetSealed() == nil {
		w.t.Fatalf("seal = %v, %v, want sealed", msg, err)
	}
	if msg.GetSealed().GetRows() != w.next {
		w.t.Fatalf("sealed %d rows, want %d", msg.GetSealed().GetRows(), w.next)
	}
	var run *sluicev1.Run
	if msg.GetSealed().GetCompletesRun() {
		finished, err := w.reply()
		if err != nil || finished.GetFinished().GetRun().GetState() != sluicev1.RunState_RUN_STATE_COMMITTED {
			w.t.Fatalf("finished = %v, %v, want COMMITTED", finished, err)
		}
		run = finished.GetFinished().GetRun()
	}
	w.ended()
	return run
}

// ended waits for the stream's end with status OK.
func (w *slice) ended() {
	w.t.Helper()
	if msg, err := w.reply(); !errors.Is(err, io.EOF) {
		w.t.Fatalf("after the end: %v, %v, want OK", msg, err)
	}
}

// failure waits for the stream's end with an error.
func (w *slice) failure() error {
	w.t.Helper()
	for {
		msg, err := w.stream.Recv()
		if errors.Is(err, io.EOF) {
			w.t.Fatal("stream ended with OK, want an error")
		}
		if err != nil {
			return err
		}
		if msg.GetAck() == nil {
			w.t.Fatalf("got %v while waiting for the stream to fail", msg)
		}
	}
}

func (w *slice) abort() {
	w.t.Helper()
	w.send(&sluicev1.WriteRowsRequest{Message: &sluicev1.WriteRowsRequest_Abort{Abort: &sluicev1.SliceAbort{}}})
	msg, err := w.reply()
	if err != nil || msg.GetAborted() == nil {
		w.t.Fatalf("abort = %v, %v, want aborted", msg, err)
	}
	w.ended()
}

// implicit is the open of a run of its own.
func implicit(path string) *sluicev1.SliceOpen {
	return &sluicev1.SliceOpen{Output: &sluicev1.TableRef{Path: path}}
}

// inRun is the open of a slice of a declared run.
func inRun(run, path string, id int32) *sluicev1.SliceOpen {
	return &sluicev1.SliceOpen{RunId: run, Output: &sluicev1.TableRef{Path: path}, SliceId: id}
}

// run declares a run of one output.
func (s *stack) run(t *testing.T, id, path string, slices int32, options *sluicev1.OutputOptions) {
	t.Helper()
	_, err := s.runs.CreateRun(ctxOf(t), &sluicev1.CreateRunRequest{RunId: id, Outputs: []*sluicev1.OutputSpec{
		{Table: &sluicev1.TableRef{Path: path}, SliceCount: slices, Options: options},
	}})
	if err != nil {
		t.Fatalf("CreateRun: %v", err)
	}
}

// fill puts rows into a table by a run of their own: the "old rows X" of the checklist.
func (s *stack) fill(t *testing.T, path string, rows ...row) {
	t.Helper()
	w := s.open(t, implicit(path))
	w.write(rows...)
	w.seal()
}
