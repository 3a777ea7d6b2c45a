package client

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/cenkalti/backoff/v5"
	"google.golang.org/grpc/codes"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
)

// DefaultReplayBytes is how much a Writer keeps for replay unless told otherwise; the server's default too.
const DefaultReplayBytes = 128 << 20

// WriterConfig says what a Writer writes, and as whom. Only Output is required.
type WriterConfig struct {
	// Run is the run's id. Empty means an implicit run of this one output with one slice, committed by Seal.
	Run string
	// Output is a table, or a full partition of one: TablePath, TableName.
	Output *sluicev1.TableRef
	// Slice is this writer's share of the output, from 0.
	Slice int32
	// Attempt decides who may take a slice over: the larger wins. A restarted worker comes with a larger one.
	Attempt int64
	// WorkerID names the worker; the default is the client's, which is the same in the whole process.
	WorkerID string
	// OnTakeover says what becomes of another worker's durable rows: discarded by default, or kept (ON_TAKEOVER_RESUME);
	// then the caller goes on behind Writer.ResumeOffset.
	OnTakeover sluicev1.OnTakeover
	// Cast says whether values may be cast to the table's types; they may, by default.
	Cast sluicev1.Cast
	// Implicit is how the output is written when there is no Run: replaced at the commit by default.
	Implicit *sluicev1.OutputOptions

	// Schema, if known, is the schema of the Arrow batches to come; a wrong one is then found at the open. Batches with other schemas
	// may be written all the same. nil: taken from each batch.
	Schema *arrow.Schema
	// Columns and Indices say which columns WriteColumns and WriteRows (and, Indices, Arrow batches) carry; see
	// SchemaDefinition. Neither: all data columns in table order, with the table's types.
	Columns []*sluicev1.SentColumn
	Indices []int32

	// ReplayBytes bounds the rows held until they are durable; 0 is DefaultReplayBytes. The server may grant less. At
	// least 16 MiB; small values cost blocks.
	ReplayBytes int64
	// WaitBusy is how long to keep asking while another writer holds the slice or another run the output. 0: not at all.
	WaitBusy time.Duration
	// GiveUpAfter is how long to go on trying to resume without any row getting through. 0 is 10 minutes.
	GiveUpAfter time.Duration
	// Allocator is for what encoding needs. nil is Go's heap.
	Allocator memory.Allocator
}

// Sealed is what became of a slice that was closed normally.
type Sealed struct {
	// Rows are all rows of the slice.
	Rows int64
	// Run is the committed run, if this slice was the last one and the run committed by itself; else nil.
	Run *sluicev1.Run
}

// Progress is how far a slice got. The three watermarks are exclusive row offsets in the slice's content.
type Progress struct {
	Written, Accepted, Durable int64
	// HeldBytes are the bytes kept for replay.
	HeldBytes int64
	// Wait says what the server waits for, nil if nothing.
	Wait *sluicev1.Wait
	// Duplicates and Unverified count replayed rows that were there already, and those of them that could not be compared.
	Duplicates, Unverified int64
	// Resumes counts the streams after the first.
	Resumes int
}

// Writer writes one slice. Rows are given to it by one goroutine at a time; Progress, Flush, Seal, Abort and Close may be called from
// any. Rows given to a Writer become visible by Seal and the run's commit, never otherwise. Close it always, also after an error.
//
//	NewWriter ─▶ writing ──Seal──▶ sealed        (rows visible when the run commits)
//	              │  │ └───Abort─▶ aborted       (rows dropped, slice free)
//	              │  └─────Close─▶ left          (rows kept as long as the lease and the run live)
//	              └─ fatal error ─▶ failed        (as left)
type Writer struct {
	client       *Client
	cfg          WriterConfig
	workerID     string
	writerNumber int64
	cancel       context.CancelFunc // ends the life of run
	ready        chan struct{}      // closed at the first opened
	done         chan struct{}      // closed when run has ended
	wake         chan struct{}      // tells the sender to look again; one place, a second wake says nothing new

	mu           sync.Mutex
	changed      chan struct{} // closed and replaced when something below changed and someone waits for it
	waiters      int
	phase        phase
	q            replayBuffer
	schemas      []schemaDefinition // by schema id
	given        int64              // rows ever given
	accepted     int64
	durable      int64
	replayBytes  int64
	limits       *sluicev1.Limits
	leaseTTL     time.Duration
	opened       *sluicev1.SliceOpened // the first one
	openNumber   int64
	lastBatchID  int64
	flushTarget  int64 // rows below this are to be flushed
	flushNumber  int64 // id of the newest flush wanted
	flushError   error // the server's no to that flush
	rejections   []*RejectedError
	rewinds      int // since the last accepted row
	duplicates   int64
	unverified   int64
	wait         *sluicev1.Wait
	abortMessage string
	sealed       *Sealed
	completes    bool // the seal commits the run, finished is still to come
	err          error
	brokenSince  time.Time // of the first failure since rows last became durable; zero: there was none
	pause        *backoff.ExponentialBackOff
}

type phase int

const (
	writing phase = iota
	sealing
	aborting
	leaving
	ended // run is over: sealed, aborted, left, or failed with err
)

// NewWriter opens a slice and returns when the server has granted it, with all that was checked at the open (api.md 6.2)
// as its error: TABLE_NOT_FOUND, SLICE_CONFLICT, OUTPUT_BUSY, RUN_CLOSED, TYPE_MISMATCH, …
//
// ctx is the Writer's whole life: when it ends the stream breaks, and the slice is left to its lease.
func (c *Client) NewWriter(ctx context.Context, cfg WriterConfig) (*Writer, error) {
	if cfg.Output == nil {
		return nil, badArgument("WriterConfig.Output is missing")
	}
	w := newWriter(c, cfg)
	if err := w.defineFirstSchema(); err != nil {
		return nil, err
	}
	ctx, w.cancel = context.WithCancel(ctx)
	go w.run(ctx)
	if err := w.awaitOpen(); err != nil {
		w.cancel()
		return nil, err
	}
	return w, nil
}

// awaitOpen waits until the server has granted the slice, or refused it. A slice that was sealed before may have its
// opening and its end in the same moment: it counts as granted.
func (w *Writer) awaitOpen() error {
	select {
	case <-w.ready:
		return nil
	case <-w.done:
	}
	if w.opened != nil {
		return nil
	}
	return w.failure()
}

func newWriter(c *Client, cfg WriterConfig) *Writer {
	if cfg.ReplayBytes == 0 {
		cfg.ReplayBytes = DefaultReplayBytes
	}
	if cfg.GiveUpAfter == 0 {
		cfg.GiveUpAfter = 10 * time.Minute
	}
	if cfg.Allocator == nil {
		cfg.Allocator = memory.DefaultAllocator
	}
	w := &Writer{
		client: c, cfg: cfg, workerID: cfg.WorkerID, writerNumber: nextWriterNumber(),
		ready: make(chan struct{}), done: make(chan struct{}), wake: make(chan struct{}, 1), changed: make(chan struct{}),
		replayBytes: cfg.ReplayBytes, limits: withDefaults(c.info.GetLimits()), pause: newBackoff(),
	}
	if w.workerID == "" {
		w.workerID = c.opts.workerID
	}
	return w
}

// ResumeOffset is where the slice's content ended when this Writer opened it: 0, unless OnTakeover kept rows. The first
// row given to the Writer gets this offset.
func (w *Writer) ResumeOffset() int64 { return w.opened.GetResumeOffset() }

// Opened is the server's whole answer to the first open. The caller must not change it.
func (w *Writer) Opened() *sluicev1.SliceOpened { return w.opened }

// Schema is the table's schema as the server sees it.
func (w *Writer) Schema() *sluicev1.TableSchema { return w.opened.GetTableSchema() }

// RunID is the run written into, also where it is implicit.
func (w *Writer) RunID() string { return w.opened.GetRunId() }

// AlreadySealed tells that a worker before this one had sealed the slice and its rows were kept: nothing is left to be
// written, and Seal returns at once.
func (w *Writer) AlreadySealed() bool {
	switch w.opened.GetState() {
	case sluicev1.SliceState_SLICE_STATE_SEALED, sluicev1.SliceState_SLICE_STATE_COMMITTING, sluicev1.SliceState_SLICE_STATE_COMMITTED:
		return true
	}
	return false
}

// Progress returns the watermarks as they are now.
func (w *Writer) Progress() Progress {
	w.mu.Lock()
	defer w.mu.Unlock()
	return Progress{
		Written: w.q.end, Accepted: w.accepted, Durable: w.durable, HeldBytes: w.q.bytes, Wait: w.wait,
		Duplicates: w.duplicates, Unverified: w.unverified, Resumes: int(max(0, w.openNumber-1)),
	}
}

// WriteArrow gives the rows of rec to the Writer; it waits while ReplayBytes are held. It returns before they are
// accepted. Batches of some hundred rows or more are best: large ones are cut into messages, small ones are not joined
// (Writer.Rows does that). rec is retained, not copied, until its rows are durable: its memory must not change.
//
// If rows given before were refused meanwhile, WriteArrow takes nothing of rec and returns a *RejectedError about those,
// once for each message refused. Calling it again goes on without them; whoever wants all rows or none calls Abort. Any
// other error is fatal, except BAD_ARGUMENT and MESSAGE_TOO_LARGE, which are about rec itself.
func (w *Writer) WriteArrow(rec arrow.RecordBatch) error {
	if err := w.check(); err != nil {
		return err
	}
	rec, err := unpackDictionaries(rec, w.cfg.Allocator)
	if err != nil {
		return err
	}
	defer rec.Release()
	id, err := w.arrowSchemaID(rec.Schema())
	if err != nil {
		return err
	}
	return cutBatch(rec, w.limitsNow(), w.cfg.Allocator, func(rows int64, m message) error {
		return w.add(&entry{rows: rows, bytes: int64(m.bytes), schemaID: id, crc: m.crc, hasCRC: true, arrow: m.payload})
	})
}

// WriteColumns gives rows in the wire's column form, as one message; the Writer keeps cols and the caller must not change
// it any more. Errors as WriteArrow.
func (w *Writer) WriteColumns(rows int, cols *sluicev1.ColumnBatch) error {
	if err := w.check(); err != nil {
		return err
	}
	id, err := w.plainSchemaID()
	if err != nil {
		return err
	}
	crc, size := columnsCRC(cols)
	if err := w.fitsMessage(rows, size); err != nil {
		return err
	}
	return w.add(&entry{rows: int64(rows), bytes: size, schemaID: id, crc: crc, hasCRC: true, columns: cols})
}

// WriteRows gives rows in the wire's row form, as one message: made for hands and tests, 9 to 85 times dearer than Arrow.
// [Writer.Rows] is the fast way to write row by row. Otherwise as WriteColumns.
func (w *Writer) WriteRows(list *sluicev1.RowList) error {
	if err := w.check(); err != nil {
		return err
	}
	id, err := w.plainSchemaID()
	if err != nil {
		return err
	}
	rows, size := len(list.GetRows()), rowListBytes(list)
	if err := w.fitsMessage(rows, size); err != nil {
		return err
	}
	return w.add(&entry{rows: int64(rows), bytes: size, schemaID: id, list: list})
}

// fitsMessage refuses what the transport would end the stream for.
func (w *Writer) fitsMessage(rows int, size int64) error {
	limits := w.limitsNow()
	if limit := int64(limits.GetMaxMessageBytes()) - messageOverhead; size > limit {
		return newError(sluicev1.Reason_REASON_MESSAGE_TOO_LARGE, codes.InvalidArgument, "a batch of %d bytes, the server accepts %d", size, limit)
	}
	if limit := limits.GetMaxBatchRows(); rows > int(limit) {
		return badArgument("a batch of %d rows, the server accepts %d", rows, limit)
	}
	return nil
}

// Flush makes all rows given so far durable and returns their end. Each flush costs one of the table's scarce blocks: use it for
// checkpoints. TOO_MANY_BLOCKS if there is none to spare; then nothing is lost, and Seal still works.
func (w *Writer) Flush(ctx context.Context) (durable int64, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.checkLocked(); err != nil {
		return w.durable, err
	}
	target := w.q.end
	w.requestFlush()
	for w.durable < target {
		if err := w.waitChange(ctx); err != nil {
			return w.durable, err
		}
		if err := w.checkLocked(); err != nil {
			return w.durable, err
		}
		if w.flushError != nil {
			return w.durable, w.flushError
		}
		target = min(target, w.q.end) // others were told that rows meant by this flush were refused
	}
	return w.durable, nil
}

// Seal closes the slice: it waits until every row is durable and, if this was the run's last slice and the run commits by
// itself, until it is committed. A *RejectedError means that rows given before were refused and nothing is sealed; calling
// Seal again seals without them. When ctx ends the wait ends, not the sealing; Seal may be called again. After a Seal
// that returned no error, further ones return the same.
func (w *Writer) Seal(ctx context.Context) (*Sealed, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.phase == writing {
		if err := w.checkLocked(); err != nil {
			return nil, err
		}
		w.phase = sealing
		w.kick()
	}
	for w.phase == sealing {
		if err := w.waitChange(ctx); err != nil {
			return nil, err
		}
	}
	if w.sealed != nil && w.err == nil {
		return w.sealed, nil
	}
	return nil, w.checkLocked()
}

// Abort drops the slice's rows and frees it at once; an implicit run ends with it. message is for the server's log.
func (w *Writer) Abort(ctx context.Context, message string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.phase == writing || w.phase == sealing {
		w.phase = aborting
		w.q.freeAll()
		w.abortMessage = message
		w.kick()
	}
	for w.phase == aborting || w.phase == sealing { // sealing: a resume found that a seal before had counted
		if err := w.waitChange(ctx); err != nil {
			return err
		}
	}
	if w.sealed != nil {
		return newError(sluicev1.Reason_REASON_WRITER_CLOSED, codes.FailedPrecondition, "the slice is sealed")
	}
	return w.err
}

// closeGrace is how long Close waits for the server's good-bye.
const closeGrace = 5 * time.Second

// Close ends the Writer and frees what it holds. Without Seal or Abort before, the slice is left: nothing becomes
// visible, rows that are durable stay for a worker that takes over with ON_TAKEOVER_RESUME, and the lease runs out. Close
// never fails for that; it returns nil.
func (w *Writer) Close() error {
	w.mu.Lock()
	if w.phase == writing {
		w.phase = leaving
		w.kick()
	}
	w.mu.Unlock()
	timer := time.NewTimer(closeGrace)
	defer timer.Stop()
	select {
	case <-w.done:
	case <-timer.C:
	}
	w.cancel()
	<-w.done
	return nil
}

func (w *Writer) limitsNow() *sluicev1.Limits {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.limits
}

// failure returns why the Writer ended.
func (w *Writer) failure() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// check returns what keeps the caller from giving more rows: a rejection to be told, the end of the Writer, or nothing.
func (w *Writer) check() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.checkLocked()
}

func (w *Writer) checkLocked() error {
	if w.err != nil {
		return w.err
	}
	if len(w.rejections) > 0 {
		first := w.rejections[0]
		w.rejections = w.rejections[1:]
		return first
	}
	return w.closedError()
}

func (w *Writer) closedError() error {
	if w.err != nil {
		return w.err
	}
	if w.phase != writing {
		return newError(sluicev1.Reason_REASON_WRITER_CLOSED, codes.FailedPrecondition, "the writer is closed")
	}
	return nil
}

// flushWhenStuck is how long a full replay buffer may stand still before the Writer asks for a flush. The server closes
// a block when half of the buffer is undurable by its own count, so this is for the case that the counts differ.
const flushWhenStuck = time.Second

// add waits for room and queues e, which it owns from then on; on an error it has freed nothing.
func (w *Writer) add(e *entry) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		if err := w.closedError(); err != nil {
			return err
		}
		if bad := w.schemas[e.schemaID].refused; bad != nil {
			return bad.Err
		}
		if w.q.bytes == 0 || w.q.bytes+e.bytes <= w.replayBytes {
			break
		}
		w.waitForRoom()
	}
	e.firstRow = w.given
	w.given += e.rows
	w.q.push(e)
	w.kick()
	return nil
}

func (w *Writer) waitForRoom() {
	held := w.q.bytes
	timer := time.NewTimer(flushWhenStuck)
	defer timer.Stop()
	if timeUp := w.waitUntil(timer.C); timeUp && w.q.bytes == held && w.wait == nil {
		w.requestFlush()
	}
}

func (w *Writer) requestFlush() {
	if w.flushTarget < w.q.end || w.flushError != nil {
		w.flushTarget = w.q.end
		w.flushNumber++
		w.flushError = nil
		w.kick()
	}
}

// kick tells the sender that there may be something to do. Locked.
func (w *Writer) kick() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// broadcast wakes everyone in waitChange. Locked.
func (w *Writer) broadcast() {
	if w.waiters > 0 {
		close(w.changed)
		w.changed, w.waiters = make(chan struct{}), 0
	}
}

// waitChange waits, without the lock, until something changed or ctx ends. Locked before and after.
func (w *Writer) waitChange(ctx context.Context) error {
	changed := w.watch()
	w.mu.Unlock()
	defer w.mu.Lock()
	select {
	case <-changed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// waitUntil is waitChange with a time limit; it tells whether that came first.
func (w *Writer) waitUntil(limit <-chan time.Time) (timeUp bool) {
	changed := w.watch()
	w.mu.Unlock()
	defer w.mu.Lock()
	select {
	case <-changed:
		return false
	case <-limit:
		return true
	}
}

func (w *Writer) watch() <-chan struct{} {
	w.waiters++
	return w.changed
}

// fail ends the Writer with err. Locked.
func (w *Writer) fail(err error) {
	if w.err == nil && w.phase != ended {
		w.err = err
	}
}

// logResume tells the log that a stream ended and another one will follow.
func (w *Writer) logResume(ctx context.Context, err error, pause time.Duration) {
	w.client.opts.logger.LogAttrs(ctx, slog.LevelWarn, "write stream ended, will resume", slog.Any("err", err), slog.Duration("pause", pause),
		slog.String("run_id", w.cfg.Run), slog.Int64("slice_id", int64(w.cfg.Slice)), slog.Int64("attempt", w.cfg.Attempt))
}

func (w *Writer) String() string {
	return fmt.Sprintf("writer %s.%d of run %q, slice %d", w.workerID, w.writerNumber, w.cfg.Run, w.cfg.Slice)
}
