package write

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/sluice-io/sluice/service/internal/apierr"
)

// maxMarks is how many accepted, not yet durable batches a writer remembers to compare replays with (16 bytes each).
// Replays of older ones are acknowledged unverified.
const maxMarks = 128

// mark is an accepted batch.
type mark struct {
	first RowOffset
	rows  int32
	crc   uint32
}

// Writer is one hold of a slice at this replica. One goroutine, the stream's, drives it: Append, Flush, Seal, Finish,
// Abort, and Detach at the end, always. Accessors, Heartbeat and Detach may come from any goroutine. It costs no
// goroutine and less than 2 KiB while nothing moves.
//
// Errors of Append, Flush and Seal for which Fatal is false leave the writer usable; after any other it is dead, and
// Err gives that error.
type Writer struct {
	e        *Engine
	key      sliceKey
	attempt  Attempt
	term     Term
	ttl      time.Duration
	replay   int64
	worker   string
	resumed  bool // this hold continues an earlier stream of its writer: a seal must say how many rows
	ageing   bool // rows leave by age
	implicit bool

	step chan struct{} // capacity 1: the right to move rows into blocks, held while full; taken before mu

	mu            sync.Mutex
	accepted      RowOffset               // guarded by mu
	durable       RowOffset               // guarded by mu
	pending       int64                   // bytes accepted and not durable; guarded by mu
	gathered      []*held                 // accepted, in no block yet; guarded by mu
	gatheredBytes int64                   // memory they hold; guarded by mu
	gatheredRows  int64                   // guarded by mu
	gatheredSince time.Time               // guarded by mu
	marks         []mark                  // newest last, at most maxMarks; guarded by mu
	block         *block                  // the open PUT; guarded by mu, changed under step
	flying        []*block                // the open PUT and those being closed; guarded by mu
	tail          chan struct{}           // closed when the last block being closed is recorded; guarded by mu
	err           error                   // the writer is dead; guarded by mu
	sealed        *Sealed                 // guarded by mu
	detached      bool                    // guarded by mu
	joined        bool                    // counted in the budget; guarded by mu
	lost          bool                    // the ledger has no hold record for it; guarded by mu
	patience      time.Time               // no block is cut for idleness or age before; guarded by mu
	gone          bool                    // sealed, aborted, or another hold is newer: its lease is over; guarded by mu
	busy          int                     // calls under way: the lease stands still; guarded by mu
	seen          time.Time               // last sign of life; guarded by mu
	wait          *Wait                   // guarded by mu
	notify        func()                  // guarded by mu
	interrupt     context.CancelCauseFunc // of the call under way; guarded by mu
	entry         wheelEntry
}

func newWriter(o *opening) *Writer {
	w := &Writer{
		e: o.e, key: o.key, attempt: o.slice.Attempt, term: o.slice.Term, ttl: o.run.LeaseTTL, replay: o.req.ReplayBytes, worker: o.req.WorkerID,
		resumed: o.action == openKeep && o.existed && o.sameWriter, ageing: o.req.OnTakeover == Resume, implicit: o.run.Implicit,
		accepted: o.slice.Durable, durable: o.slice.Durable, seen: time.Now(), step: make(chan struct{}, 1),
	}
	w.entry = wheelEntry{index: -1, w: w}
	return w
}

// Accepted is the exclusive offset up to which rows are checked and held here.
func (w *Writer) Accepted() RowOffset {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.accepted
}

// Expected is the offset the next batch must begin at.
func (w *Writer) Expected() RowOffset { return w.Accepted() }

// Durable is the exclusive offset up to which rows survive the loss of every replica.
func (w *Writer) Durable() RowOffset {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.durable
}

// Wait says what the slice waits for; nil = nothing.
func (w *Writer) Wait() *Wait {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.wait
}

// Err is the error that ended the writer; nil while it is usable.
func (w *Writer) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// SetNotify has f called, from any goroutine, whenever Durable, Wait or Err changed. f must not block nor call the
// Writer's driving methods. nil takes it back.
func (w *Writer) SetNotify(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.notify = f
}

// Fatal is the package function Fatal.
func (w *Writer) Fatal(err error) bool { return Fatal(err) }

// Fatal says whether an error of Append, Flush or Seal ends the stream (api.md 6.4).
func Fatal(err error) bool {
	switch apierr.ReasonOf(err) {
	case apierr.TypeMismatch, apierr.BadValues, apierr.BadColumn, apierr.BadIndices, apierr.TypeUnsupported, apierr.BadArgument, apierr.OffsetGap,
		apierr.OffsetOverlap, apierr.MessageTooLarge, apierr.TooLarge, apierr.TooManyBlocks, apierr.ChecksumMismatch:
		return false
	default:
		return err != nil
	}
}

// Heartbeat is a sign of life without rows.
func (w *Writer) Heartbeat() {
	w.mu.Lock()
	w.seen = time.Now()
	revive := w.lost && w.err == nil && w.sealed == nil && !w.detached
	w.mu.Unlock()
	w.e.touch(w.key.run)
	if revive {
		w.e.background(context.Background(), func(ctx context.Context) {
			if err := w.revive(ctx); err != nil && ctx.Err() == nil {
				w.fail(err)
			}
		})
	}
}

// leaseExpires is when the lease runs out if nothing is heard until then.
func (w *Writer) leaseExpires() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.leaseEnd(time.Now())
}

// leaseEnd is leaseExpires; mu is held. The clock stands still while a call is under way.
func (w *Writer) leaseEnd(now time.Time) time.Time {
	if w.busy > 0 && !w.e.rules.leaseRunsWhileBusy {
		return now.Add(w.ttl)
	}
	return w.seen.Add(w.ttl)
}

// enter begins a call: it fails on a dead, sealed or detached writer, stops the lease clock and takes the hold back if
// the lease had run out meanwhile. The context it returns ends also when the writer dies. leave ends the call.
func (w *Writer) enter(ctx context.Context) (context.Context, error) {
	w.mu.Lock()
	switch {
	case w.err != nil:
		defer w.mu.Unlock()
		return nil, w.err
	case w.sealed != nil || w.detached:
		defer w.mu.Unlock()
		return nil, apierr.New(apierr.WriterClosed, "the writer is closed")
	}
	w.busy++
	lost := w.lost
	ctx, w.interrupt = context.WithCancelCause(ctx)
	w.mu.Unlock()
	if lost {
		if err := w.revive(ctx); err != nil {
			w.leave()
			return nil, w.died(err)
		}
	}
	return ctx, nil
}

func (w *Writer) leave() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.busy--
	w.seen = time.Now()
	w.interrupt(nil)
	w.interrupt = nil
}

// answered starts the lease clock, which stood still during the open.
func (w *Writer) answered() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.busy--
	w.seen = time.Now()
}

// died ends the writer with err if that is fatal, and gives the error to answer with.
func (w *Writer) died(err error) error {
	if err == nil || !Fatal(err) {
		return err
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		if dead := w.Err(); dead != nil {
			return dead
		}
		return err // the caller went away; the hold stays
	}
	w.fail(err)
	return w.Err()
}

// Append takes a batch of rows at offset. crc is the CRC-32C of the batch as sent; check is called only if the batch
// begins at Expected, and its result then belongs to the writer. It blocks while the server has no room: for memory, a
// PUT or a reply.
//
// Rejected, the writer stays usable and nothing is staged: OFFSET_GAP, OFFSET_OVERLAP (metadata expected_offset),
// TOO_MANY_BLOCKS, check's own errors. Fatal: DATA_MISMATCH, SLICE_FENCED, RUN_CLOSED, BACKEND_UNAVAILABLE …
func (w *Writer) Append(ctx context.Context, offset RowOffset, rows int, crc uint32, check CheckFunc) (AppendResult, error) {
	ctx, err := w.enter(ctx)
	if err != nil {
		return AppendResult{}, err
	}
	defer w.leave()
	if rows == 0 {
		return AppendResult{}, nil
	}
	result, mine, err := w.place(offset, rows, crc)
	if err != nil || !mine {
		return result, w.died(err)
	}
	c, err := check()
	if err != nil {
		return result, w.died(err)
	}
	if c.Rows != rows {
		c.Release()
		return result, badField("batch.row_count", fmt.Sprintf("row_count is %d, the payload has %d rows", rows, c.Rows))
	}
	return result, w.died(w.take(ctx, c, crc))
}

// takeStep waits for the right to move rows; leaveStep gives it back.
func (w *Writer) takeStep(ctx context.Context) error {
	select {
	case w.step <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (w *Writer) leaveStep() { <-w.step }

// place finds out what a batch at this offset is: ours to take, a duplicate, or wrong.
func (w *Writer) place(offset RowOffset, rows int, crc uint32) (r AppendResult, mine bool, err error) {
	if offset < 0 || rows < 0 {
		return r, false, badField("batch.offset", "offset or row_count is negative")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	end := offset + RowOffset(rows)
	switch {
	case offset == w.accepted:
		return r, true, nil
	case offset > w.accepted:
		return r, false, w.offsetError(apierr.OffsetGap, offset)
	case end > w.accepted:
		return r, false, w.offsetError(apierr.OffsetOverlap, offset)
	}
	r.DuplicateRows = int64(rows)
	at, known := slices.BinarySearchFunc(w.marks, offset, func(m mark, o RowOffset) int { return int(m.first - o) })
	if !known || int(w.marks[at].rows) != rows {
		r.UnverifiedRows = int64(rows)
	} else if have := w.marks[at].crc; have != crc {
		return AppendResult{}, false, apierr.New(apierr.DataMismatch, "the batch at row %d differs from what was accepted", offset).
			With("offset", strconv.FormatInt(int64(offset), 10)).With("accepted_crc32c", fmt.Sprintf("%08x", have)).
			With("got_crc32c", fmt.Sprintf("%08x", crc))
	}
	return r, false, nil
}

func (w *Writer) offsetError(r apierr.Reason, got RowOffset) error {
	return apierr.New(r, "row %d is expected, got row %d", w.accepted, got).With("expected_offset", strconv.FormatInt(int64(w.accepted), 10))
}

// cut sends all that is accepted on its way: it opens a block if rows are only gathered, and closes the open one.
// step is held.
func (w *Writer) cut(ctx context.Context, seal bool) error {
	w.mu.Lock()
	gathered := len(w.gathered) > 0
	w.mu.Unlock()
	if gathered {
		if err := w.openBlock(ctx, nil, seal); err != nil {
			return err
		}
	}
	w.closeBlock(ctx, seal)
	return nil
}

// Flush makes all accepted rows durable and returns the durable offset. TOO_MANY_BLOCKS leaves the writer usable.
func (w *Writer) Flush(ctx context.Context) (RowOffset, error) {
	ctx, err := w.enter(ctx)
	if err != nil {
		return 0, err
	}
	defer w.leave()
	if err := w.died(w.flush(ctx)); err != nil {
		return 0, err
	}
	return w.Durable(), nil
}

func (w *Writer) flush(ctx context.Context) error {
	if err := w.takeStep(ctx); err != nil {
		return err
	}
	err := w.cut(ctx, false)
	w.leaveStep()
	if err != nil {
		return err
	}
	return w.waitTail(ctx)
}

// waitTail waits until all closed blocks are recorded.
func (w *Writer) waitTail(ctx context.Context) error {
	w.mu.Lock()
	tail := w.tail
	w.mu.Unlock()
	if tail != nil {
		done := w.waiting(WaitBlockRate, "waits for uploads")
		err := waitClosed(ctx, tail)
		done()
		if err != nil {
			return err
		}
	}
	return w.Err()
}

// Seal closes the slice: all rows become durable, nothing may follow. rows, if given, must be the number of rows
// accepted; a resumed writer must give it. OFFSET_GAP, OFFSET_OVERLAP and BAD_ARGUMENT leave the slice open. A second
// seal with the same rows is answered like the first.
func (w *Writer) Seal(ctx context.Context, rows *int64) (Sealed, error) {
	if s, done, err := w.sealedBefore(rows); done {
		return s, err
	}
	ctx, err := w.enter(ctx)
	if err != nil {
		return Sealed{}, err
	}
	defer w.leave()
	if err := w.checkSeal(rows); err != nil {
		return Sealed{}, err
	}
	if err := w.died(w.seal(ctx)); err != nil {
		return Sealed{}, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.sealed == nil {
		return Sealed{}, w.err
	}
	return *w.sealed, nil
}

func (w *Writer) sealedBefore(rows *int64) (Sealed, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.sealed == nil {
		return Sealed{}, false, nil
	}
	if rows != nil && *rows != w.sealed.Rows {
		return Sealed{}, true, apierr.New(apierr.WriterClosed, "the slice is sealed with %d rows", w.sealed.Rows)
	}
	return *w.sealed, true, nil
}

func (w *Writer) checkSeal(rows *int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case rows == nil && w.resumed:
		return badField("seal.rows", "a resumed writer must say how many rows it seals")
	case rows == nil || *rows == int64(w.accepted):
		return nil
	case *rows > int64(w.accepted):
		return w.sealError(apierr.OffsetGap, *rows)
	default:
		return w.sealError(apierr.OffsetOverlap, *rows)
	}
}

// sealError refuses a seal of another number of rows than there are; mu is held.
func (w *Writer) sealError(r apierr.Reason, rows int64) error {
	return apierr.New(r, "the seal names %d rows, the slice has %d", rows, w.accepted).With("expected_offset", strconv.FormatInt(int64(w.accepted), 10))
}

func (w *Writer) seal(ctx context.Context) error {
	if err := w.takeStep(ctx); err != nil {
		return err
	}
	w.mu.Lock()
	rowsLeft := w.block != nil || len(w.gathered) > 0
	w.mu.Unlock()
	err := w.cut(ctx, true)
	w.leaveStep()
	if err != nil {
		return err
	}
	if err := w.waitTail(ctx); err != nil || rowsLeft {
		return err
	}
	after, err := w.record(ctx, nil, "", true)
	if err != nil {
		return fmt.Errorf("seal the slice: %w", err)
	}
	w.afterSeal(ctx, after)
	return nil
}

// afterSeal notes the seal here and starts the run's commit if this was the last slice. The seal is in the ledger: if
// this process stops now, the sweeper does the rest.
func (w *Writer) afterSeal(ctx context.Context, after sliceRecord) {
	w.e.unregister(w)
	w.leaveBudget()
	sealed := Sealed{Rows: int64(after.Durable)}
	completes := false
	var err error
	if !w.e.heldHere(w.key.run) { // else somebody who seals later looks: 2,000 seals would read 2,000 slices each
		completes, err = w.e.completes(ctx, w.key.run)
	}
	if err == nil && completes {
		err = w.e.closeFor(ctx, w.key.run, whyComplete, "")
	}
	if err != nil {
		w.e.log.WarnContext(ctx, "the run's commit is left to the sweeper", slog.String("run_id", string(w.key.run)), slog.String("err", err.Error()))
	}
	sealed.CompletesRun = completes
	w.mu.Lock()
	w.sealed = &sealed
	w.mu.Unlock()
	w.e.touch(w.key.run)
	if completes {
		w.e.startDrive(ctx, w.key.run)
	}
	w.tell()
}

// Finish waits, after a seal that completes the run, for the run's end. The Run comes also with COMMIT_FAILED and
// OUTCOME_UNKNOWN. What failed is not tried again: that is CompleteRun's.
func (w *Writer) Finish(ctx context.Context) (Run, error) {
	completes, err := w.e.completes(ctx, w.key.run)
	if err != nil {
		return Run{}, err
	}
	r, err := w.e.loadRun(ctx, w.key.run)
	if err != nil {
		return Run{}, err
	}
	if r.v.State == RunOpen && !completes {
		return Run{}, apierr.New(apierr.RunIncomplete, "run %q is not complete", w.key.run).With("run_id", string(w.key.run))
	}
	return w.e.complete(ctx, w.key.run, nil, false)
}

// Abort drops the slice's rows and frees it at once; an implicit run is aborted with it. It returns how many rows were
// dropped. The writer is closed afterwards.
func (w *Writer) Abort(ctx context.Context, message string) (discarded int64, err error) {
	ctx, err = w.enter(ctx)
	if err != nil {
		return 0, err
	}
	defer w.leave()
	dropped := int64(w.Accepted())
	err = w.e.transact(ctx, func(ctx context.Context, maybe bool) (Txn, error) {
		g, err := w.read(ctx)
		if err != nil || maybe && g.slice.v.Term == w.term && g.slice.v.State == SliceAborted {
			return Txn{}, err
		}
		if err := w.admit(g); err != nil {
			return Txn{}, err
		}
		s := g.slice.v
		s.State, s.Floor, s.Dropped, s.Durable, s.Bytes = SliceAborted, s.Term+1, dropped, 0, 0
		return Txn{Compares: g.compares(w.e), Puts: []Put{g.slice.put(s)}, Deletes: []Key{w.key.hold()}}, nil
	})
	if err != nil {
		return 0, w.died(err)
	}
	w.e.unregister(w)
	w.fail(apierr.New(apierr.WriterClosed, "the slice was aborted"))
	if w.implicit {
		_, err = w.e.AbortRun(context.WithoutCancel(ctx), w.key.run, message, false)
	}
	return dropped, err
}

// Detach ends this stream's use of the slice and seals nothing: rows not yet handed over are dropped, blocks that are
// being closed still become durable, and the lease runs on. It may be called again.
func (w *Writer) Detach() {
	w.mu.Lock()
	if w.detached {
		w.mu.Unlock()
		return
	}
	w.detached = true
	w.seen = time.Now()
	w.notify = nil
	b, gathered := w.block, w.gathered
	w.block, w.gathered, w.gatheredBytes, w.gatheredRows = nil, nil, 0, 0
	interrupt := w.interrupt
	w.mu.Unlock()
	if interrupt != nil {
		interrupt(context.Canceled)
	}
	if b != nil {
		b.abort(context.Canceled)
		w.landed(b)
	}
	releaseAll(gathered)
	w.leaveBudget()
}

// fail ends the writer: the first error stays. Blocks under way are cut, what is gathered is freed. Safe from any
// goroutine.
func (w *Writer) fail(err error) {
	w.mu.Lock()
	if w.err != nil || w.sealed != nil {
		w.mu.Unlock()
		return
	}
	w.err = err
	flying, gathered, interrupt := slices.Clone(w.flying), w.gathered, w.interrupt
	w.gathered = nil
	w.mu.Unlock()
	if interrupt != nil {
		interrupt(err)
	}
	for _, b := range flying {
		b.abort(err)
	}
	releaseAll(gathered)
	w.leaveBudget()
	w.tell()
}

func (w *Writer) leaveBudget() {
	w.mu.Lock()
	joined := w.joined
	w.joined = false
	w.mu.Unlock()
	if joined {
		w.e.cfg.Budget.Leave()
	}
}

// becameDurable notes a recorded block.
func (w *Writer) becameDurable(b *block, after sliceRecord) {
	w.mu.Lock()
	w.durable = after.Durable
	w.pending -= b.bytes
	keep := slices.IndexFunc(w.marks, func(m mark) bool { return m.first >= after.Durable })
	if keep < 0 {
		w.marks = nil
	} else {
		w.marks = slices.Delete(w.marks, 0, keep)
	}
	w.mu.Unlock()
	w.tell()
}

func (w *Writer) tell() {
	w.mu.Lock()
	f := w.notify
	w.mu.Unlock()
	if f != nil {
		f()
	}
}

// waiting shows what the slice waits for until done is called.
func (w *Writer) waiting(holder WaitHolder, message string) (done func()) {
	set := func(x *Wait) {
		w.mu.Lock()
		w.wait = x
		w.mu.Unlock()
		w.tell()
	}
	set(&Wait{Holder: holder, Since: w.e.cfg.Now(), Message: message})
	return func() { set(nil) }
}
