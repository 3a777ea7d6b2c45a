package write

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/batch"
	"github.com/sluice-io/sluice/service/internal/flow"
	"github.com/sluice-io/sluice/service/internal/retry"
)

// held is a batch that the server keeps: gathered, or sent in a block that may still be repeated. Views of it share
// its bytes, which are freed once the owner and all views have let go.
type held struct {
	c       *batch.Checked
	crc     uint32 // of the batch as sent
	budget  *flow.Budget
	counted int64 // bytes taken from budget
	refs    atomic.Int32
}

func newHeld(c *batch.Checked, crc uint32) *held {
	h := &held{c: c, crc: crc}
	h.refs.Store(1)
	return h
}

// release lets go of one reference.
func (h *held) release() {
	if h.refs.Add(-1) > 0 {
		return
	}
	h.c.Release()
	if h.budget != nil {
		h.budget.Release(h.counted)
	}
}

// view is the same batch for a BlockWriter to consume.
func (h *held) view() *batch.Checked {
	h.refs.Add(1)
	v := *h.c
	v.Body = batch.NewPayload(h.release, h.c.Body.Pieces()...)
	return &v
}

// block is one open PUT of a slice. Its fields change only under Writer.step, or by its closer once it left Writer.block.
type block struct {
	id     BlockID
	target BlockTarget
	form   batch.Form
	first  RowOffset
	rows   int64
	bytes  int64
	sum    uint32    // CRC-32C over the CRCs of its batches
	since  time.Time // when its first row came
	fed    time.Time // when its last row came; guarded by Writer.mu
	slots  *flow.Slots
	// cancel ends the PUT's context.
	cancel context.CancelCauseFunc

	mu   sync.Mutex
	bw   BlockWriter // nil = none open; guarded by mu
	held []*held     // what was sent, while the block never outgrew its gathered bytes; guarded by mu
	dead bool        // aborted or done; guarded by mu
}

// add counts a batch that goes into the block.
func (b *block) add(rows int, bytes int64, crc uint32) {
	b.rows += int64(rows)
	b.bytes += bytes
	b.sum = crc32.Update(b.sum, crc32.MakeTable(crc32.Castagnoli), binary.LittleEndian.AppendUint32(nil, crc))
}

// start opens the PUT and sends what was gathered. It may be called again after a failure: same id, same bytes.
func (b *block) start(ctx context.Context, backend Backend) error {
	bw, err := backend.OpenBlock(ctx, b.target)
	if err != nil {
		return err
	}
	b.mu.Lock()
	if b.dead {
		b.mu.Unlock()
		bw.Abort()
		return context.Cause(ctx)
	}
	b.bw = bw
	views := make([]*batch.Checked, len(b.held))
	for i, h := range b.held {
		views[i] = h.view()
	}
	b.mu.Unlock()
	for i, v := range views {
		if err := bw.Write(v); err != nil {
			for _, rest := range views[i+1:] {
				rest.Release()
			}
			b.drop(bw)
			return err
		}
	}
	return nil
}

// drop aborts a PUT that failed, so that another can be opened.
func (b *block) drop(bw BlockWriter) {
	b.mu.Lock()
	b.bw = nil
	b.mu.Unlock()
	bw.Abort()
}

// feed forwards a batch into the open PUT. From then on the block cannot be repeated, and what was gathered is freed.
func (b *block) feed(c *batch.Checked) error {
	b.mu.Lock()
	bw, gathered := b.bw, b.held
	b.held = nil
	b.mu.Unlock()
	releaseAll(gathered)
	if bw == nil {
		c.Release()
		return apierr.New(apierr.BackendUnavailable, "the upload was cut")
	}
	return bw.Write(c)
}

// finish ends the PUT and waits for the reply, repeating the whole block while it may be repeated.
func (b *block) finish(ctx context.Context, backend Backend, policy retry.Policy) (receipt string, err error) {
	for n := 1; ; n++ {
		receipt, err = b.close(ctx)
		if err == nil || !b.repeatable() || !retry.Repeatable(err) || policy.Last(n) {
			return receipt, err
		}
		if wait := policy.Wait(ctx, n, err); wait != nil {
			return "", err
		}
		if err = b.start(ctx, backend); err != nil && policy.Last(n+1) {
			return "", err
		}
	}
}

func (b *block) close(ctx context.Context) (string, error) {
	b.mu.Lock()
	bw := b.bw
	b.mu.Unlock()
	if bw == nil {
		return "", apierr.New(apierr.BackendUnavailable, "the upload was cut")
	}
	receipt, err := bw.Close(ctx)
	b.mu.Lock()
	b.bw = nil
	b.mu.Unlock()
	return receipt, err
}

func (b *block) repeatable() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.held) > 0 && !b.dead
}

// abort cuts the PUT; end frees what the block holds. Both may come from any goroutine, and more than once.
func (b *block) abort(cause error) {
	b.mu.Lock()
	b.dead = true
	bw := b.bw
	b.bw = nil
	b.mu.Unlock()
	b.cancel(cause)
	if bw != nil {
		bw.Abort()
	}
	b.end()
}

func (b *block) end() {
	b.mu.Lock()
	b.dead = true
	gathered, slots := b.held, b.slots
	b.held, b.slots = nil, nil
	b.mu.Unlock()
	b.cancel(nil)
	releaseAll(gathered)
	if slots != nil {
		slots.Release()
	}
}

func releaseAll(all []*held) {
	for _, h := range all {
		h.release()
	}
}

// openBlock makes a block of what is gathered, and of extra if that is not nil: slot, session, reserved id, PUT. The
// error TOO_MANY_BLOCKS leaves everything gathered. It owns extra in any case. step is held. last says that the block
// seals the slice.
func (w *Writer) openBlock(caller context.Context, extra *held, last bool) error {
	b, err := w.prepareBlock(caller, extra, last)
	if err != nil {
		if extra != nil {
			extra.release()
		}
		return err
	}
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(caller))
	b.cancel = cancel
	w.mu.Lock()
	if w.err != nil || w.detached { // fenced meanwhile: fail or Detach freed what was gathered
		err := w.err
		w.mu.Unlock()
		b.held = nil
		b.abort(err)
		if extra != nil {
			extra.release()
		}
		return orError(err, context.Canceled)
	}
	w.gathered, w.gatheredBytes, w.gatheredRows = nil, 0, 0
	w.block = b
	w.flying = append(w.flying, b)
	w.mu.Unlock()
	stop := context.AfterFunc(caller, func() { b.abort(context.Cause(caller)) })
	err = w.e.cfg.Limits.PutRetry.Do(ctx, func(ctx context.Context) error { return b.start(ctx, w.e.cfg.Backend) })
	if !stop() || err != nil {
		return orError(context.Cause(caller), putFailed(err))
	}
	w.schedule()
	return nil
}

func orError(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

// prepareBlock takes a slot and an id.
func (w *Writer) prepareBlock(ctx context.Context, extra *held, last bool) (*block, error) {
	if err := w.waitFlying(ctx, 2); err != nil {
		return nil, err
	}
	slots := w.e.slots
	if !slots.TryAcquire() {
		done := w.waiting(WaitBlockRate, "waits for a free upload")
		err := slots.Acquire(ctx, last)
		done()
		if err != nil {
			return nil, err
		}
	}
	b, err := w.newBlock(ctx, extra, last)
	if err != nil {
		slots.Release()
		return nil, err
	}
	b.slots = slots
	return b, nil
}

// newBlock reserves an id for what is gathered.
func (w *Writer) newBlock(ctx context.Context, extra *held, last bool) (*block, error) {
	out, err := w.e.session(ctx, w.key.run, w.key.out, RunOpen)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	all := slices.Clone(w.gathered)
	first := w.accepted - RowOffset(w.gatheredRows)
	since := w.gatheredSince
	w.mu.Unlock()
	if len(all) == 0 {
		since = time.Time{} // of rows that left long ago
	}
	if extra != nil {
		all = append(all, extra)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("open a block without rows")
	}
	form := all[0].c.Form
	id, err := w.reserve(ctx, first, form, last)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	if since.IsZero() {
		since = now
	}
	b := &block{id: id, form: form, first: first, since: since, fed: now, held: all, target: BlockTarget{
		Output: out.Ref, UploadID: out.Session, Block: id, Version: DataVersion, Form: form,
	}}
	for _, h := range all {
		b.add(h.c.Rows, h.c.Bytes(), h.crc)
	}
	return b, nil
}

// putFailed is the end of a stream whose rows got lost on the way to the backend.
func putFailed(err error) error {
	if err == nil {
		return nil
	}
	if !Fatal(err) { // the rows were checked: a backend that rejects them is a bug of ours, and no rejection of a batch
		return apierr.Wrap(err, apierr.Internal, "the backend refused rows that had been checked")
	}
	if !retry.Repeatable(err) {
		return backendError(err, "upload a block")
	}
	return apierr.Wrap(err, apierr.BackendUnavailable, "the upload of rows failed: resume at the durable rows").OnStream()
}

// waitFlying waits, if n blocks are being closed, until they are recorded. No block is open.
func (w *Writer) waitFlying(ctx context.Context, n int) error {
	w.mu.Lock()
	many := len(w.flying) >= n
	w.mu.Unlock()
	if !many {
		return nil
	}
	return w.waitTail(ctx)
}

func waitClosed(ctx context.Context, c <-chan struct{}) error {
	select {
	case <-c:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// closeBlock hands the open block, if there is one, to a goroutine that waits for its reply and records it, after
// those before it. step is held.
func (w *Writer) closeBlock(ctx context.Context, seal bool) {
	w.mu.Lock()
	b, prev := w.block, w.tail
	if b == nil {
		w.mu.Unlock()
		return
	}
	done := make(chan struct{})
	w.block, w.tail = nil, done
	w.mu.Unlock()
	ok := w.e.background(ctx, func(ctx context.Context) {
		defer close(done)
		defer w.landed(b)
		w.bringHome(ctx, b, prev, seal)
	})
	if !ok {
		w.fail(w.e.draining())
		w.landed(b)
		close(done)
	}
}

// landed frees a block that is no longer under way.
func (w *Writer) landed(b *block) {
	b.end()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flying = slices.DeleteFunc(w.flying, func(x *block) bool { return x == b })
}

// bringHome waits for the PUT's reply and records the block.
func (w *Writer) bringHome(ctx context.Context, b *block, prev <-chan struct{}, seal bool) {
	receipt, err := b.finish(ctx, w.e.cfg.Backend, w.e.cfg.Limits.PutRetry)
	b.end()
	if prev != nil {
		<-prev // records go in row order; those before us always end
	}
	if err != nil {
		w.lose(b)
		w.fail(putFailed(err))
		return
	}
	if err := w.Err(); err != nil {
		return
	}
	after, err := w.record(ctx, b, receipt, seal)
	if err != nil {
		w.fail(fmt.Errorf("record a block: %w", err))
		return
	}
	w.becameDurable(b, after)
	if seal {
		w.afterSeal(ctx, after)
	}
}

// lose offers the id of a failed PUT for reuse (rules.reuseIDs only).
func (w *Writer) lose(b *block) {
	if w.e.rules.reuseIDs {
		w.e.mu.Lock()
		defer w.e.mu.Unlock()
		w.e.reusable = append(w.e.reusable, b.id)
	}
}
