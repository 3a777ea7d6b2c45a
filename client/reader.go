package client

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"iter"
	"log/slog"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/cenkalti/backoff/v5"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
	"github.com/sluice-io/sluice/internal/zerocopy"
)

// ReadOptions says what to read: Token or Spec, one of them.
type ReadOptions struct {
	// Token of a session; see Client.CreateReadSession.
	Token string
	// Spec makes a session just for this read.
	Spec *sluicev1.ReadSessionSpec
	// Ranges of rows, read in this order; none means all. A stream of a Session has its ranges.
	Ranges []*sluicev1.RowRange
	// SkipRows of their concatenation: where an earlier Reader's NextSkipRows ended.
	SkipRows int64
	// RowLimit ends the read early; 0 is no limit.
	RowLimit int64
	// Format is ARROW by default; COLUMNS and ROWS give the wire's own forms.
	Format sluicev1.DataFormat
	// Compression of Arrow buffers on the wire, unpacked here.
	Compression sluicev1.Compression
	// ArrowTimestamp is how TIMESTAMP columns come: nanoseconds by default, which cannot hold all years.
	ArrowTimestamp sluicev1.ArrowTimestamp
	// StringsAsBinary gives STRING columns as binary, for those that hold other bytes than UTF-8.
	StringsAsBinary bool
	// MaxBatchRows is a hint; MaxMessageBytes the most that one message may take, 0 is 4 MiB.
	MaxBatchRows, MaxMessageBytes int32
	// GiveUpAfter is how long to go on trying to resume without a row coming. 0 is 10 minutes.
	GiveUpAfter time.Duration
	// Allocator holds the batches. nil is Go's heap.
	Allocator memory.Allocator
}

// Reader reads rows in the order asked for. It is used by one goroutine. Close it always.
//
//	for reader.Next() {
//		use(reader.RecordBatch())
//	}
//	err := reader.Err()
//
// When a stream breaks, the Reader opens another one and goes on behind the last row that it gave out: no row comes twice,
// none is missing, and Err is nil only if every row asked for came.
type Reader struct {
	client *Client
	opts   ReadOptions
	next   func() (zerocopy.ReadResponse, error) // the next message, across streams
	stop   func()                                // ends it

	token    string
	skip     int64 // next_skip_rows of the last message given out
	read     int64 // rows given out
	opened   *sluicev1.ReadOpened
	decoder  *batchDecoder
	batch    Batch
	err      error
	resumes  int
	progress bool // rows came since the last failure
}

// Batch is one message of rows: Arrow, Columns or List is filled, as the format asks.
type Batch struct {
	// FirstRow is the number of the first row in the snapshot.
	FirstRow int64
	Rows     int64
	// Partition indexes Session.Info.Partitions.
	Partition int32
	Arrow     arrow.RecordBatch
	Columns   *sluicev1.ColumnBatch
	List      *sluicev1.RowList
}

// Read starts reading and returns when the server has agreed to send. ctx is the Reader's whole life.
func (c *Client) Read(ctx context.Context, opts ReadOptions) (*Reader, error) {
	if (opts.Token == "") == (opts.Spec == nil) {
		return nil, badArgument("ReadOptions needs Token or Spec, one of them")
	}
	if opts.Allocator == nil {
		opts.Allocator = memory.DefaultAllocator
	}
	if opts.GiveUpAfter == 0 {
		opts.GiveUpAfter = 10 * time.Minute
	}
	r := &Reader{client: c, opts: opts, token: opts.Token, skip: opts.SkipRows}
	messages, stop := iter.Pull2(r.messages(ctx))
	r.stop = stop
	r.next = func() (zerocopy.ReadResponse, error) {
		m, err, ok := messages()
		if !ok {
			return m, io.EOF
		}
		return m, err
	}
	if err := r.start(); err != nil {
		stop()
		return nil, err
	}
	return r, nil
}

// start takes the first message in, which tells what is to come.
func (r *Reader) start() error {
	m, err := r.next()
	if err != nil {
		return err
	}
	if m.Msg.GetOpened() == nil {
		return newError(sluicev1.Reason_REASON_INTERNAL, codes.Internal, "the server's first message is not opened")
	}
	r.opened = m.Msg.GetOpened()
	if token := r.opened.GetSession().GetSessionToken(); token != "" {
		r.token = token
	}
	if r.opened.GetArrowSchema() != nil {
		r.decoder, err = newBatchDecoder(r.opened.GetArrowSchema(), r.opts.Allocator)
	}
	return err
}

// Session describes the snapshot; its token resumes this read in another process.
func (r *Reader) Session() *sluicev1.ReadSession { return r.opened.GetSession() }

// RowCount is how many rows this read gives in all.
func (r *Reader) RowCount() int64 { return r.opened.GetRowCount() }

// Columns are the columns read, in order.
func (r *Reader) Columns() []*sluicev1.Column { return r.opened.GetColumns() }

// Schema is the schema of the batches; nil unless the format is ARROW.
func (r *Reader) Schema() *arrow.Schema {
	if r.decoder == nil {
		return nil
	}
	return r.decoder.schema
}

// NextSkipRows is where another read with the same token and ranges goes on.
func (r *Reader) NextSkipRows() int64 { return r.skip }

// Resumes counts the streams after the first.
func (r *Reader) Resumes() int { return r.resumes }

// Next reads the next batch. false at the end or at an error; see Err.
func (r *Reader) Next() bool {
	r.releaseBatch()
	for r.err == nil {
		m, err := r.next()
		switch {
		case errors.Is(err, io.EOF):
			r.err = r.checkEnd()
			return false
		case err != nil:
			r.err = err
			return false
		case m.Msg.GetRowCount() > 0:
			r.batch, r.err = r.decode(m)
			return r.err == nil
		}
		m.Payload.Free()
	}
	return false
}

func (r *Reader) checkEnd() error {
	if want := r.opened.GetRowCount(); r.read != want {
		return newError(sluicev1.Reason_REASON_INTERNAL, codes.DataLoss, "the server ended after %d of %d rows", r.read, want)
	}
	return nil
}

// Batch returns the current batch. Its Arrow batch is released by the next call of Next or Close; Retain it to keep it.
func (r *Reader) Batch() Batch { return r.batch }

// RecordBatch is Batch().Arrow.
func (r *Reader) RecordBatch() arrow.RecordBatch { return r.batch.Arrow }

// Err tells why Next returned false; nil at the end of the rows.
func (r *Reader) Err() error { return r.err }

// Batches loops over Next. The loop's error is the last value, with an empty batch.
func (r *Reader) Batches() iter.Seq2[Batch, error] {
	return func(yield func(Batch, error) bool) {
		for r.Next() {
			if !yield(r.batch, nil) {
				return
			}
		}
		if r.err != nil {
			yield(Batch{}, r.err)
		}
	}
}

// Close ends the read and releases the current batch. It never fails. Next must not be called after it.
func (r *Reader) Close() error {
	r.releaseBatch()
	r.stop()
	if r.decoder != nil {
		r.decoder.close()
		r.decoder = nil
	}
	return nil
}

func (r *Reader) releaseBatch() {
	if r.batch.Arrow != nil {
		r.batch.Arrow.Release()
	}
	r.batch = Batch{}
}

// decode turns a message into a batch, and owns its payload.
func (r *Reader) decode(m zerocopy.ReadResponse) (Batch, error) {
	defer m.Payload.Free()
	if err := verify(m); err != nil {
		return Batch{}, err
	}
	b := Batch{FirstRow: m.Msg.GetFirstRow(), Rows: m.Msg.GetRowCount(), Partition: m.Msg.GetPartitionIndex()}
	switch payload := m.Msg.GetPayload().(type) {
	case *sluicev1.ReadRowsResponse_Columns:
		b.Columns = payload.Columns
	case *sluicev1.ReadRowsResponse_Rows:
		b.List = payload.Rows
	case *sluicev1.ReadRowsResponse_Arrow:
		rec, err := r.decodeArrow(m)
		if err != nil {
			return Batch{}, err
		}
		b.Arrow = rec
	}
	r.read += b.Rows
	r.skip = m.Msg.GetNextSkipRows()
	r.progress = true
	return b, nil
}

func (r *Reader) decodeArrow(m zerocopy.ReadResponse) (arrow.RecordBatch, error) {
	if r.decoder == nil {
		return nil, newError(sluicev1.Reason_REASON_INTERNAL, codes.Internal, "Arrow rows without an Arrow schema")
	}
	rec, err := r.decoder.decode(m.Payload)
	if err != nil {
		return nil, fmt.Errorf("decode rows from %d on: %w", m.Msg.GetFirstRow(), err)
	}
	if rec.NumRows() != m.Msg.GetRowCount() {
		rec.Release()
		return nil, newError(sluicev1.Reason_REASON_INTERNAL, codes.DataLoss, "a message of %d rows says it has %d", rec.NumRows(), m.Msg.GetRowCount())
	}
	return rec, nil
}

// verify compares a message's checksum, if it has one.
func verify(m zerocopy.ReadResponse) error {
	if m.Msg.Crc32C == nil {
		return nil
	}
	var crc uint32
	for _, piece := range m.Payload {
		crc = crc32.Update(crc, castagnoli, piece.ReadOnlyData())
	}
	if cols := m.Msg.GetColumns(); cols != nil {
		crc, _ = columnsCRC(cols)
	}
	if crc != m.Msg.GetCrc32C() {
		return newError(sluicev1.Reason_REASON_CHECKSUM_MISMATCH, codes.DataLoss, "rows from %d on were damaged on the way", m.Msg.GetFirstRow())
	}
	return nil
}

// messages yields the messages of one stream after the other, until all rows came or a failure is final. Only the first
// opened is yielded.
func (r *Reader) messages(ctx context.Context) iter.Seq2[zerocopy.ReadResponse, error] {
	return func(yield func(zerocopy.ReadResponse, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		pause := newBackoff()
		var brokenSince time.Time
		for {
			again, err := r.stream(ctx, yield)
			if !again || r.complete() {
				return
			}
			if r.progress {
				brokenSince, r.progress = time.Time{}, false
				pause.Reset()
			}
			if brokenSince.IsZero() {
				brokenSince = time.Now()
			}
			if final := r.final(ctx, err, brokenSince); final != nil {
				yield(zerocopy.ReadResponse{}, final)
				return
			}
			r.pauseBefore(ctx, err, pause)
		}
	}
}

// complete tells whether every row came, so that a stream that broke after the last one has nothing left to give.
func (r *Reader) complete() bool { return r.opened != nil && r.read == r.opened.GetRowCount() }

// final returns the error to end with, or nil if another stream may do better.
func (r *Reader) final(ctx context.Context, err error, brokenSince time.Time) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if e, ok := errors.AsType[*Error](err); ok {
		switch {
		case e.Reason == sluicev1.Reason_REASON_UNSPECIFIED:
			if !connectionBroke(e.Code) {
				return err
			}
		case e.Retry() != RetryResume && e.Reason != sluicev1.Reason_REASON_THROTTLED:
			return err
		}
	}
	if time.Since(brokenSince) > r.opts.GiveUpAfter {
		return fmt.Errorf("resume, no row came for %v: %w", r.opts.GiveUpAfter, err)
	}
	return nil
}

func (r *Reader) pauseBefore(ctx context.Context, err error, pause *backoff.ExponentialBackOff) {
	r.resumes++
	if err == nil {
		return // go_away
	}
	r.client.opts.logger.LogAttrs(ctx, slog.LevelWarn, "read stream broke, will resume", slog.Any("err", err), slog.Int64("skip_rows", r.skip))
	sleep(ctx, max(pause.NextBackOff(), retryAfter(err)))
}

// stream runs one ReadRows call. again tells that rows are missing, and err why.
func (r *Reader) stream(ctx context.Context, yield func(zerocopy.ReadResponse, error) bool) (again bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := time.AfterFunc(openTimeout, func() { cancel(errSilent) })
	defer watchdog.Stop()
	call, err := r.client.rows().ReadRows(ctx, r.request(), grpc.MaxCallRecvMsgSize(r.receiveLimit()))
	if err != nil {
		return true, why(ctx, err)
	}
	for {
		var m zerocopy.ReadResponse
		err := call.RecvMsg(&m)
		switch {
		case errors.Is(err, io.EOF):
			return false, nil
		case err != nil:
			return true, why(ctx, err)
		case m.Msg.GetOpened() != nil && r.opened != nil:
			m.Payload.Free()
		case !r.deliver(m, watchdog, yield):
			return false, nil
		case m.Msg.GetGoAway() != nil:
			return true, nil
		}
		watchdog.Reset(silence)
	}
}

// deliver hands a message to the reading side. The watchdog rests meanwhile: a slow reader is not a silent server.
func (r *Reader) deliver(m zerocopy.ReadResponse, watchdog *time.Timer, yield func(zerocopy.ReadResponse, error) bool) bool {
	watchdog.Stop()
	return yield(m, nil)
}

func (r *Reader) request() *sluicev1.ReadRowsRequest {
	req := &sluicev1.ReadRowsRequest{
		Ranges: r.opts.Ranges, SkipRows: r.skip, Format: r.opts.Format, Compression: r.opts.Compression,
		ArrowTimestamp: r.opts.ArrowTimestamp, StringsAsBinary: r.opts.StringsAsBinary,
		MaxBatchRows: r.opts.MaxBatchRows, MaxMessageBytes: r.opts.MaxMessageBytes,
	}
	if r.opts.RowLimit > 0 {
		req.RowLimit = max(0, r.opts.RowLimit-r.read)
	}
	if r.token != "" {
		req.Source = &sluicev1.ReadRowsRequest_SessionToken{SessionToken: r.token}
	} else {
		req.Source = &sluicev1.ReadRowsRequest_Spec{Spec: r.opts.Spec}
	}
	return req
}

func (r *Reader) receiveLimit() int {
	return max(4<<20, int(r.opts.MaxMessageBytes)) + 64<<10
}
