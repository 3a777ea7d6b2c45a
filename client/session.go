package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/cenkalti/backoff/v5"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
	"github.com/sluice-io/sluice/internal/zerocopy"
)

// silence is how long a stream may say nothing before it counts as dead: a server speaks every 15 s (api.md 6.3).
const silence = 45 * time.Second

// openTimeout bounds the wait for opened, which may take longer: opens wait while a run is closing.
const openTimeout = 2 * time.Minute

var errSilent = errors.New("the server said nothing for too long")

// stream is one WriteRows call of a Writer. The sender's fields are under the Writer's lock, as the receiver sets them too.
type stream struct {
	grpc     grpc.ClientStream
	received chan struct{} // closed when the receiver has ended
	err      error         // why it ended; nil for status OK. Set before received is closed

	// guarded by Writer.mu
	defined      int   // schema definitions sent
	flushSent    int64 // newest flush sent
	sealsWaiting int   // seals sent and not answered
	sealsStale   int   // those of them that were given up, because a batch before them was refused
	sealed       bool  // the server knows of the seal
	abortSent    bool
	closed       bool // nothing more is sent
	goAway       bool
}

// run keeps a stream to the server until the slice is done. It is the Writer's only long-lived goroutine besides the
// receiver that each stream has.
func (w *Writer) run(ctx context.Context) {
	defer close(w.done)
	for {
		started := time.Now()
		err := w.serve(ctx)
		again, pause := w.settle(ctx, err, time.Since(started))
		if !again {
			break
		}
		w.logResume(ctx, err, pause)
		sleep(ctx, max(pause, retryAfter(err)))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.phase = ended
	w.q.freeAll()
	w.broadcast()
}

func newBackoff() *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval, b.Multiplier = 200*time.Millisecond, 30*time.Second, 2
	return b
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func retryAfter(err error) time.Duration {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.RetryAfter
	}
	return 0
}

// settle decides what follows the end of a stream that lived for so long: nothing, or a new one after a pause.
func (w *Writer) settle(ctx context.Context, err error, lived time.Duration) (again bool, pause time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer w.broadcast()
	w.q.rewind(0)
	switch {
	case w.over(err):
		return false, 0
	case ctx.Err() != nil:
		w.fail(context.Cause(ctx))
		return false, 0
	case err == nil && lived > time.Second: // go_away
		return true, 0
	case err != nil && !w.resumable(err):
		w.fail(err)
		return false, 0
	}
	if lived > time.Minute || w.brokenSince.IsZero() {
		w.brokenSince = time.Now()
	}
	if time.Since(w.brokenSince) > w.cfg.GiveUpAfter {
		w.fail(fmt.Errorf("resume, no row got through for %v: %w", w.cfg.GiveUpAfter, err))
		return false, 0
	}
	return true, w.pause.NextBackOff()
}

// over tells whether nothing is left to be done on any stream.
func (w *Writer) over(err error) bool {
	switch {
	case w.phase == ended, w.err != nil, w.phase == leaving:
		return true
	case w.phase == aborting: // what was to be dropped is gone, or somebody else's by now
		return Is(err, sluicev1.Reason_REASON_RUN_CLOSED, sluicev1.Reason_REASON_RUN_NOT_FOUND, sluicev1.Reason_REASON_SLICE_FENCED)
	}
	return w.sealed != nil && !w.completes
}

// resumable tells whether a new stream may cure err.
func (w *Writer) resumable(err error) bool {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return true // our own watchdog, or an end that gRPC has no word for
	}
	switch e.Reason {
	case sluicev1.Reason_REASON_UNSPECIFIED:
		return connectionBroke(e.Code)
	case sluicev1.Reason_REASON_OUTPUT_BUSY, sluicev1.Reason_REASON_SLICE_CONFLICT:
		return w.cfg.WaitBusy > 0 && (w.brokenSince.IsZero() || time.Since(w.brokenSince) < w.cfg.WaitBusy)
	case sluicev1.Reason_REASON_OUTCOME_UNKNOWN, sluicev1.Reason_REASON_THROTTLED:
		return true
	}
	return e.Retry() == RetryResume
}

// connectionBroke judges codes that come without a word of the service: from gRPC itself or something between.
func connectionBroke(code codes.Code) bool {
	switch code {
	case codes.Unavailable, codes.Internal, codes.Unknown, codes.Canceled, codes.DeadlineExceeded, codes.Aborted:
		return true
	}
	return false
}

// serve runs one stream from open to end. nil is status OK.
func (w *Writer) serve(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := time.AfterFunc(openTimeout, func() { cancel(errSilent) })
	defer watchdog.Stop()
	s, err := w.open(ctx)
	if err != nil {
		return why(ctx, err)
	}
	go func() {
		defer close(s.received)
		s.err = w.receive(s, watchdog)
		cancel(nil) // frees a sender that the server does not read from
	}()
	if err := w.send(s); err != nil {
		cancel(err)
	}
	<-s.received
	return why(ctx, s.err)
}

// why prefers the reason of our own cancel to gRPC's word for it.
func why(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return fromRPC(err)
}

// open starts a stream and returns when the server has opened the slice on it.
func (w *Writer) open(ctx context.Context) (*stream, error) {
	ctx = metadata.AppendToOutgoingContext(ctx, "sluice-route", w.route())
	call, err := w.client.rows().WriteRows(ctx)
	if err != nil {
		return nil, err
	}
	s := &stream{grpc: call, received: make(chan struct{}), defined: 1}
	open := &sluicev1.WriteRowsRequest{Message: &sluicev1.WriteRowsRequest_Open{Open: w.openMessage()}}
	if err := call.SendMsg(open); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	var reply sluicev1.WriteRowsResponse
	if err := call.RecvMsg(&reply); err != nil {
		return nil, atEOF(err)
	}
	opened := reply.GetOpened()
	if opened == nil {
		return nil, newError(sluicev1.Reason_REASON_INTERNAL, codes.Internal, "the server answered open with %T", reply.GetMessage())
	}
	return s, w.adopt(s, opened)
}

func atEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return newError(sluicev1.Reason_REASON_INTERNAL, codes.Internal, "the stream ended before opened")
	}
	return err
}

func (w *Writer) route() string {
	return w.cfg.Run + "/" + itoa(int64(w.cfg.Slice))
}

func (w *Writer) openMessage() *sluicev1.SliceOpen {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.openNumber++
	open := &sluicev1.SliceOpen{
		RunId: w.cfg.Run, Output: w.cfg.Output, SliceId: w.cfg.Slice, Attempt: w.cfg.Attempt,
		WorkerId: w.workerID, WriterNumber: w.writerNumber, OpenNumber: w.openNumber,
		OnTakeover: w.cfg.OnTakeover, Cast: w.cfg.Cast, ReplayBytes: w.cfg.ReplayBytes,
		DurableSeen: w.durable, Schema: w.schemas[0].wire,
	}
	if w.cfg.Run == "" {
		open.Implicit = w.cfg.Implicit
	}
	return open
}

// adopt takes over what opened tells: where to go on, and under which limits.
func (w *Writer) adopt(s *stream, opened *sluicev1.SliceOpened) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer w.broadcast()
	if opened.GetLimits() != nil {
		w.limits = withDefaults(opened.GetLimits())
	}
	w.leaseTTL = opened.GetLeaseTtl().AsDuration()
	if granted := opened.GetReplayBytes(); granted > 0 {
		w.replayBytes = granted
	}
	from := opened.GetResumeOffset()
	if w.opened == nil {
		w.opened = opened
		w.q.end, w.accepted, w.durable = from, from, from
		close(w.ready)
	}
	if w.phase == aborting {
		w.q.end = from // what was held is freed, there is nothing to go on with
	}
	if from < w.durable || from > w.q.end {
		return newError(sluicev1.Reason_REASON_ROWS_LOST, codes.DataLoss, "the server resumes at row %d, but rows %d to %d are to be kept", from, w.durable, w.q.end)
	}
	w.q.dropDurable(from)
	if _, ok := w.q.indexAt(from); !ok {
		return newError(sluicev1.Reason_REASON_INTERNAL, codes.Internal, "the server resumes at row %d, within a batch", from)
	}
	w.q.rewind(0)
	w.accepted, w.durable = from, from
	if len(w.q.entries) == 0 {
		w.calm()
	}
	switch opened.GetState() {
	case sluicev1.SliceState_SLICE_STATE_SEALED, sluicev1.SliceState_SLICE_STATE_COMMITTING, sluicev1.SliceState_SLICE_STATE_COMMITTED:
		s.sealed = true
		w.phase = sealing
	}
	return nil
}

// outgoing is the next thing to do for the sender.
type outgoing struct {
	request   zerocopy.WriteRequest
	halfClose bool
}

// send carries what there is to send, and heartbeats, until the stream ends. An error is one of encoding; a broken
// stream is the receiver's to tell.
func (w *Writer) send(s *stream) error {
	beat := time.NewTimer(w.heartbeatEvery())
	defer beat.Stop()
	for {
		out, ok := w.nextToSend(s)
		if !ok {
			select {
			case <-s.received:
				return nil
			case <-w.wake:
				continue
			case <-beat.C:
				out = outgoing{request: zerocopy.WriteRequest{Msg: heartbeat}}
			}
		}
		if out.halfClose {
			if err := s.grpc.CloseSend(); err != nil {
				return err
			}
			continue
		}
		err := s.grpc.SendMsg(&out.request)
		out.request.Payload.Free()
		if errors.Is(err, io.EOF) {
			<-s.received
			return nil
		}
		if err != nil {
			return err
		}
		beat.Reset(w.heartbeatEvery())
	}
}

var heartbeat = &sluicev1.WriteRowsRequest{Message: &sluicev1.WriteRowsRequest_Heartbeat{Heartbeat: &sluicev1.Heartbeat{}}}

func (w *Writer) heartbeatEvery() time.Duration {
	if w.leaseTTL <= 0 {
		return 20 * time.Second
	}
	return w.leaseTTL / 3
}

// nextToSend returns the next message for s, or false if there is none now. The caller frees its payload.
func (w *Writer) nextToSend(s *stream) (outgoing, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case s.closed:
		return outgoing{}, false
	case w.phase == aborting && !s.abortSent:
		s.abortSent = true
		return control(&sluicev1.WriteRowsRequest{Message: &sluicev1.WriteRowsRequest_Abort{Abort: &sluicev1.SliceAbort{Message: w.abortMessage}}})
	case w.phase == aborting || s.sealed:
		return outgoing{}, false
	case w.phase == leaving || (s.goAway && s.sealsWaiting == s.sealsStale):
		s.closed = true
		return outgoing{halfClose: true}, true
	case w.phase == sealing && s.sealsWaiting > s.sealsStale:
		return outgoing{}, false
	case s.defined < len(w.schemas):
		s.defined++
		return control(&sluicev1.WriteRowsRequest{Message: &sluicev1.WriteRowsRequest_DefineSchema{DefineSchema: w.schemas[s.defined-1].wire}})
	case w.flushDue(s):
		s.flushSent = w.flushNumber
		return control(&sluicev1.WriteRowsRequest{Message: &sluicev1.WriteRowsRequest_Flush{Flush: &sluicev1.SliceFlush{FlushId: w.flushNumber}}})
	case w.q.unsent < len(w.q.entries):
		return w.nextBatch(), true
	case w.phase == sealing:
		s.sealsWaiting++
		rows := w.q.end
		return control(&sluicev1.WriteRowsRequest{Message: &sluicev1.WriteRowsRequest_Seal{Seal: &sluicev1.SliceSeal{Rows: &rows}}})
	}
	return outgoing{}, false
}

func control(m *sluicev1.WriteRowsRequest) (outgoing, bool) {
	return outgoing{request: zerocopy.WriteRequest{Msg: m}}, true
}

// flushDue tells whether a flush is wanted that s has not carried, and all rows meant by it have been sent.
func (w *Writer) flushDue(s *stream) bool {
	if s.flushSent == w.flushNumber || w.durable >= w.flushTarget || w.flushError != nil {
		return false
	}
	return w.q.unsent == len(w.q.entries) || w.q.entries[w.q.unsent].offset >= w.flushTarget
}

func (w *Writer) nextBatch() outgoing {
	e := w.q.entries[w.q.unsent]
	w.q.unsent++
	w.lastBatchID++
	e.sentAs = w.lastBatchID
	e.arrow.Ref() // the entry may become durable, and be freed, while it is being sent again
	return outgoing{request: zerocopy.WriteRequest{
		Msg:     &sluicev1.WriteRowsRequest{Message: &sluicev1.WriteRowsRequest_Batch{Batch: e.batch(e.sentAs)}},
		Payload: e.arrow,
	}}
}

// receive handles replies until the stream ends, and returns why it did.
func (w *Writer) receive(s *stream, watchdog *time.Timer) error {
	for {
		watchdog.Reset(silence)
		var reply sluicev1.WriteRowsResponse
		if err := s.grpc.RecvMsg(&reply); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if over := w.handle(s, &reply); over {
			return nil
		}
	}
}
