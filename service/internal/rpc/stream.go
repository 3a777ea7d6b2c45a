package rpc

import (
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
	"github.com/sluice-io/sluice/internal/zerocopy"
	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/write"
)

// When an acknowledgement is sent (api.md 6.3).
const (
	ackBatches = 64
	ackBytes   = 4 << 20
	ackDelay   = 20 * time.Millisecond
	ackEvery   = 15 * time.Second
)

type writeStream = grpc.BidiStreamingServer[sluicev1.WriteRowsRequest, sluicev1.WriteRowsResponse]

// smallBatch is the size below which a batch is worked on apart: its stream may be one of thousands that trickle. Streams
// with larger batches are few and busy, and need no second goroutine for each.
const smallBatch = 16 << 10

// errDone ends the loop of a stream whose status is OK.
var errDone = errors.New("stream is done")

// sliceStream is one WriteRows stream after its slice was opened.
//
// The handler's goroutine reads and drives the writer. The timer's goroutine, which lives only while it has something to
// say, sends acknowledgements and ends the stream when the writer was fenced. Both send under sendMu; mu guards what an
// acknowledgement is made of. Lock order: sendMu, mu.
type sliceStream struct {
	srv    *rowServer
	stream writeStream
	w      *write.Writer
	check  checker
	timer  *time.Timer   // runs tick; reset to 0 by the engine's news
	ahead  chan incoming // a message read while a seal was under way, or nil

	// waits says that the handler sits in RecvMsg, so that only endStream can end the stream. It is set before the handler
	// looks at the writer's error and read after that error was set: one of the two sides sees the other.
	waits atomic.Bool

	sendMu sync.Mutex
	closed bool // guarded by sendMu: the handler is returning, nothing may be sent

	mu           sync.Mutex
	ackTimerSet  bool // an ackDelay is running
	batches      int  // accepted since the last acknowledgement
	bytes        int
	duplicates   int64
	unverified   int64
	sentAccepted write.RowOffset
	sentDurable  write.RowOffset
	lastAck      time.Time
}

// incoming is the outcome of one RecvMsg.
type incoming struct {
	req zerocopy.WriteRequest
	err error
}

func (s *rowServer) WriteRows(stream writeStream) error {
	first, err := receive(stream)
	if err != nil {
		if errors.Is(err, io.EOF) {
			return apierr.New(apierr.BadArgument, "the stream ended before its open message")
		}
		return err
	}
	open := first.Msg.GetOpen()
	if open == nil {
		first.Payload.Free()
		return apierr.New(apierr.BadArgument, "the first message of the stream must be open")
	}
	if s.streams.draining() {
		return apierr.New(apierr.Draining, "this replica is shutting down: open at another one")
	}
	c := &sliceStream{srv: s, stream: stream, check: checker{limits: s.limits, cast: open.GetCast()}, lastAck: s.now()}
	var opened write.Opened
	apart(func() { c.w, opened, err = s.open(stream.Context(), open, &c.check, false) })
	if err != nil {
		return withFinished(err, opened.Finished, s.now())
	}
	return c.run(&opened)
}

// receive reads one message with its Arrow bytes by reference.
func receive(stream writeStream) (zerocopy.WriteRequest, error) {
	var req zerocopy.WriteRequest
	err := stream.RecvMsg(&req)
	if status.Code(err) == codes.Internal { // gRPC's word for bytes that it cannot decode; it has told the client so already
		err = apierr.Wrap(err, apierr.BadArgument, "the message is no WriteRowsRequest")
	}
	return req, err
}

// run answers the open and then serves the stream until it ends. It never leaves the writer attached.
func (c *sliceStream) run(opened *write.Opened) (err error) {
	if c.w != nil {
		defer c.w.Detach()
	}
	defer func() { c.close(err) }()
	c.sentAccepted, c.sentDurable = opened.ResumeOffset, opened.ResumeOffset
	if opened.Sealed != nil || opened.Aborted != nil {
		return c.replayEnd(opened)
	}
	if err := c.send(c.openedReply(opened)); err != nil {
		return err
	}
	c.startTimer()
	c.w.SetNotify(func() { c.timer.Reset(0) })
	defer c.srv.streams.remove(c)
	if c.srv.streams.add(c) {
		return apierr.New(apierr.Draining, "this replica is shutting down: open at another one")
	}
	err = c.serve()
	if errors.Is(err, errDone) {
		return nil
	}
	return err
}

func (c *sliceStream) startTimer() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timer = time.AfterFunc(ackEvery, c.tick)
}

// replayEnd answers an open that found the slice sealed or aborted by this writer: what the lost replies said is said
// again.
func (c *sliceStream) replayEnd(opened *write.Opened) error {
	if err := c.send(c.openedReply(opened)); err != nil {
		return err
	}
	if opened.Aborted != nil {
		return c.send(abortedReply(*opened.Aborted))
	}
	if err := c.send(sealedReply(opened.Sealed)); err != nil || !opened.Sealed.CompletesRun {
		return err
	}
	c.startTimer() // the commit may take longer than a client bears silence
	run, err := c.w.Finish(c.stream.Context())
	return c.finished(&run, err)
}

// serve handles messages in order until the stream ends.
func (c *sliceStream) serve() error {
	for {
		in := c.next()
		if errors.Is(in.err, io.EOF) {
			return c.sendAck(true) // half-close without seal or abort: detach
		}
		if in.err != nil {
			if fenced := c.w.Err(); fenced != nil {
				return fenced
			}
			return in.err
		}
		if err := c.handle(in.req); err != nil {
			return err
		}
	}
}

func (c *sliceStream) next() incoming {
	c.waits.Store(true)
	defer c.waits.Store(false)
	if err := c.w.Err(); err != nil {
		return incoming{err: err}
	}
	if c.ahead != nil {
		in := <-c.ahead
		c.ahead = nil
		return in
	}
	req, err := receive(c.stream)
	return incoming{req: req, err: err}
}

func (c *sliceStream) handle(req zerocopy.WriteRequest) error {
	switch m := req.Msg.GetMessage().(type) {
	case *sluicev1.WriteRowsRequest_Batch:
		return c.batch(m.Batch, req)
	case *sluicev1.WriteRowsRequest_DefineSchema:
		c.w.Heartbeat()
		return c.define(m.DefineSchema)
	case *sluicev1.WriteRowsRequest_Flush:
		return c.flush(m.Flush)
	case *sluicev1.WriteRowsRequest_Seal:
		return c.seal(m.Seal)
	case *sluicev1.WriteRowsRequest_Abort:
		return c.abort(m.Abort)
	case *sluicev1.WriteRowsRequest_Heartbeat:
		c.w.Heartbeat()
		return c.w.Err()
	case *sluicev1.WriteRowsRequest_Open:
		return apierr.New(apierr.BadArgument, "a stream carries one slice: open came a second time")
	}
	return apierr.New(apierr.BadArgument, "the message has none of the members this server knows")
}

func (c *sliceStream) batch(b *sluicev1.RowBatch, req zerocopy.WriteRequest) error {
	size := payloadSize(b, req.Payload) // before the payload is given away
	var result write.AppendResult
	var err error
	if size < smallBatch {
		apart(func() { result, err = c.check.append(c.stream.Context(), c.w, b, req.Payload) })
	} else {
		result, err = c.check.append(c.stream.Context(), c.w, b, req.Payload)
	}
	if err != nil {
		return c.refuse(err, &sluicev1.Rejected{
			Target: &sluicev1.Rejected_BatchId{BatchId: b.GetBatchId()}, Offset: b.GetOffset(), RowCount: b.GetRowCount(),
		})
	}
	if c.noteBatch(result, size) {
		return c.sendAck(false)
	}
	return nil
}

func (c *sliceStream) define(d *sluicev1.SchemaDefinition) error {
	if err := c.check.define(d); err != nil {
		return c.refuse(err, &sluicev1.Rejected{Target: &sluicev1.Rejected_SchemaId{SchemaId: d.GetSchemaId()}})
	}
	return nil
}

func (c *sliceStream) flush(f *sluicev1.SliceFlush) error {
	durable, err := c.w.Flush(c.stream.Context())
	if err != nil {
		return c.refuse(err, &sluicev1.Rejected{Target: &sluicev1.Rejected_FlushId{FlushId: f.GetFlushId()}})
	}
	return c.send(&sluicev1.WriteRowsResponse{Message: &sluicev1.WriteRowsResponse_Flushed{
		Flushed: &sluicev1.SliceFlushed{FlushId: f.GetFlushId(), DurableThrough: int64(durable)},
	}})
}

// seal closes the slice. Meanwhile the next message is read ahead: one that may not follow a seal is answered with
// WRITER_CLOSED, and the seal stands all the same.
func (c *sliceStream) seal(m *sluicev1.SliceSeal) error {
	if c.ahead == nil {
		c.readAhead()
	}
	sealed, err := c.w.Seal(c.stream.Context(), m.Rows)
	if err != nil {
		return c.refuse(err, &sluicev1.Rejected{Target: &sluicev1.Rejected_Seal{Seal: true}})
	}
	if err := c.send(sealedReply(&sealed)); err != nil {
		return err
	}
	if sealed.CompletesRun {
		run, err := c.w.Finish(c.stream.Context())
		if err := c.finished(&run, err); err != nil {
			return err
		}
	}
	if c.lateMessage(m) {
		return apierr.New(apierr.WriterClosed, "the slice is sealed: nothing may follow the seal; the seal stands")
	}
	return errDone
}

// readAhead receives one message in the background. The goroutine ends with the stream at the latest.
func (c *sliceStream) readAhead() {
	ahead := make(chan incoming, 1)
	c.ahead = ahead
	stream := c.stream
	go func() {
		req, err := receive(stream)
		ahead <- incoming{req: req, err: err}
	}()
}

// lateMessage says whether a message was read ahead that may not follow the seal.
func (c *sliceStream) lateMessage(sealed *sluicev1.SliceSeal) bool {
	select {
	case in := <-c.ahead:
		c.ahead = nil
		in.req.Payload.Free()
		if in.err != nil || in.req.Msg.GetHeartbeat() != nil {
			return false
		}
		again := in.req.Msg.GetSeal()
		return again == nil || again.GetRows() != sealed.GetRows() || (again.Rows == nil) != (sealed.Rows == nil)
	default:
		return false
	}
}

func (c *sliceStream) abort(m *sluicev1.SliceAbort) error {
	discarded, err := c.w.Abort(c.stream.Context(), m.GetMessage())
	if err != nil {
		return err
	}
	if err := c.send(abortedReply(discarded)); err != nil {
		return err
	}
	return errDone
}

// finished tells how the run ended; anything but COMMITTED is also the stream's status.
func (c *sliceStream) finished(run *write.Run, err error) error {
	if run.ID != "" {
		reply := &sluicev1.WriteRowsResponse{Message: &sluicev1.WriteRowsResponse_Finished{
			Finished: &sluicev1.RunFinished{Run: runProto(run, c.srv.now())},
		}}
		if sendErr := c.send(reply); sendErr != nil {
			return sendErr
		}
	}
	return withFinished(err, run, c.srv.now())
}

func withFinished(err error, run *write.Run, now time.Time) error {
	if err == nil || run == nil {
		return err
	}
	return withRun(err, run, now)
}

// refuse answers a message that changed nothing: fatal errors end the stream, all others leave it usable.
func (c *sliceStream) refuse(err error, r *sluicev1.Rejected) error {
	if write.Fatal(err) {
		return err
	}
	fillRejected(r, err, c.w.Accepted())
	// A client that sends without reading blocks this send; a fence must reach it all the same.
	c.waits.Store(true)
	defer c.waits.Store(false)
	if dead := c.w.Err(); dead != nil {
		return dead
	}
	return c.send(&sluicev1.WriteRowsResponse{Message: &sluicev1.WriteRowsResponse_Rejected{Rejected: r}})
}

func fillRejected(r *sluicev1.Rejected, err error, expected write.RowOffset) {
	e := apierr.From(err)
	rows, total := e.Rows()
	r.ExpectedOffset = int64(expected)
	r.Error = e.Proto("")
	r.RowErrorCount = int64(total)
	for _, row := range rows {
		r.RowErrors = append(r.RowErrors, &sluicev1.RowError{
			Row: int64(row.Row), Column: row.Column, Reason: sluicev1.Reason(row.Reason), Message: row.Message,
		})
	}
}

// noteBatch counts an accepted batch and says whether an acknowledgement is due at once; if not, one is due soon.
func (c *sliceStream) noteBatch(r write.AppendResult, size int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.batches++
	c.bytes += size
	c.duplicates += r.DuplicateRows
	c.unverified += r.UnverifiedRows
	if c.batches >= ackBatches || c.bytes >= ackBytes {
		return true
	}
	if !c.ackTimerSet {
		c.ackTimerSet = true
		c.timer.Reset(ackDelay)
	}
	return false
}

// tick is the timer's function: it sends what is due, or ends the stream of a writer that may not go on.
func (c *sliceStream) tick() {
	if c.endIfFenced() {
		return
	}
	// lastAck is noted a little after the timer was set, hence the tolerance.
	if err := c.sendAck(c.srv.now().Sub(c.lastAckTime()) >= ackEvery-ackDelay); err != nil {
		// The stream is broken; the handler's RecvMsg says so too.
		return
	}
	c.endIfFenced() // sendAck set the timer anew, which may have put off the news that the writer was fenced meanwhile
}

// endIfFenced ends the stream of a dead writer whose handler sits in RecvMsg.
func (c *sliceStream) endIfFenced() bool {
	err := c.w.Err()
	if err == nil || !c.waits.Load() {
		return false
	}
	st := apierr.From(err).OnStream().GRPCStatus()
	if endErr := endStream(c.stream.Context(), st); endErr != nil {
		c.srv.log.WarnContext(c.stream.Context(), "fenced stream lives until its next message", slog.String("err", endErr.Error()))
	}
	return true
}

func (c *sliceStream) lastAckTime() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lastAck
}

// send sends a reply, after an acknowledgement of what was accepted before it.
func (c *sliceStream) send(m *sluicev1.WriteRowsResponse) error {
	c.sendMu.Lock()
	defer c.sendMu.Unlock()
	if c.closed {
		return nil
	}
	if ack := c.takeAck(false); ack != nil {
		if err := c.stream.Send(ack); err != nil {
			return err
		}
	}
	return c.stream.Send(m)
}

// sendAck sends an acknowledgement if there is news, or in any case.
func (c *sliceStream) sendAck(always bool) error {
	c.sendMu.Lock()
	defer c.sendMu.Unlock()
	if c.closed {
		return nil
	}
	ack := c.takeAck(always)
	if ack == nil {
		return nil
	}
	return c.stream.Send(ack)
}

// takeAck makes an acknowledgement, nil if there is no news and none is wanted without, and arms the timer anew.
func (c *sliceStream) takeAck(always bool) *sluicev1.WriteRowsResponse {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timer == nil { // nothing was accepted on this stream yet
		return nil
	}
	c.ackTimerSet = false
	c.timer.Reset(ackEvery) // before the look at the writer: news after it resets the timer again, news before it is seen
	accepted, durable, wait := c.w.Accepted(), c.w.Durable(), c.w.Wait()
	news := c.batches > 0 || accepted != c.sentAccepted || durable != c.sentDurable
	if !news && !always && wait == nil {
		return nil
	}
	ack := ackProto(accepted, durable, write.AppendResult{DuplicateRows: c.duplicates, UnverifiedRows: c.unverified})
	ack.Wait = writeWaitProto(wait, c.srv.now())
	c.batches, c.bytes, c.duplicates, c.unverified = 0, 0, 0, 0
	c.sentAccepted, c.sentDurable, c.lastAck = accepted, durable, c.srv.now()
	return &sluicev1.WriteRowsResponse{Message: &sluicev1.WriteRowsResponse_Ack{Ack: ack}}
}

func ackProto(accepted, durable write.RowOffset, r write.AppendResult) *sluicev1.SliceAck {
	return &sluicev1.SliceAck{
		AcceptedThrough: int64(accepted), DurableThrough: int64(durable),
		DuplicateRows: r.DuplicateRows, UnverifiedRows: r.UnverifiedRows,
	}
}

// close stops the timer and waits for a send under way, which a fatal end cuts short.
func (c *sliceStream) close(err error) {
	if c.timer != nil {
		c.timer.Stop()
	}
	if !c.sendMu.TryLock() {
		if err != nil {
			// The sender may be stuck behind a client that does not read: the status frees it.
			if endErr := endStream(c.stream.Context(), apierr.From(err).OnStream().GRPCStatus()); endErr != nil {
				c.srv.log.WarnContext(c.stream.Context(), "stream waits for its client to read", slog.String("err", endErr.Error()))
			}
		}
		c.sendMu.Lock()
	}
	c.closed = true
	c.sendMu.Unlock()
}

// goAway tells the client to continue elsewhere.
func (c *sliceStream) goAway(left time.Duration) error {
	return c.send(&sluicev1.WriteRowsResponse{Message: &sluicev1.WriteRowsResponse_GoAway{
		GoAway: goAwayProto(left),
	}})
}

// drained ends the stream of a client that did not leave in time.
func (c *sliceStream) drained() error {
	st := apierr.New(apierr.Draining, "this replica is shutting down: resume at another one").OnStream().GRPCStatus()
	return endStream(c.stream.Context(), st)
}

func (c *sliceStream) openedReply(o *write.Opened) *sluicev1.WriteRowsResponse {
	return &sluicev1.WriteRowsResponse{Message: &sluicev1.WriteRowsResponse_Opened{Opened: c.srv.openedProto(o, &c.check)}}
}

func sealedReply(s *write.Sealed) *sluicev1.WriteRowsResponse {
	return &sluicev1.WriteRowsResponse{Message: &sluicev1.WriteRowsResponse_Sealed{Sealed: sealedProto(s)}}
}

func sealedProto(s *write.Sealed) *sluicev1.SliceSealed {
	return &sluicev1.SliceSealed{Rows: s.Rows, CompletesRun: s.CompletesRun}
}

func abortedReply(rows int64) *sluicev1.WriteRowsResponse {
	return &sluicev1.WriteRowsResponse{Message: &sluicev1.WriteRowsResponse_Aborted{Aborted: &sluicev1.SliceAborted{DiscardedRows: rows}}}
}
