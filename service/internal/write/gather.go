package write

import (
	"context"
	"slices"
	"time"

	"github.com/sluice-io/sluice/service/internal/batch"
)

// take moves a checked batch into the open block, or gathers it.
func (w *Writer) take(ctx context.Context, c *batch.Checked, crc uint32) error {
	if err := w.takeStep(ctx); err != nil {
		c.Release()
		return err
	}
	defer w.leaveStep()
	if form, has := w.form(); has && form != c.Form {
		if err := w.cut(ctx, false); err != nil { // one block, one form
			c.Release()
			return err
		}
	}
	rows, bytes := c.Rows, c.Bytes()
	w.mu.Lock()
	open := w.block
	w.mu.Unlock()
	if open != nil {
		stop := context.AfterFunc(ctx, func() { open.abort(context.Cause(ctx)) })
		err := open.feed(c)
		if !stop() || err != nil {
			return orError(context.Cause(ctx), putFailed(err))
		}
		open.add(rows, bytes, crc)
		w.mu.Lock()
		open.fed = time.Now()
		w.mu.Unlock()
		w.accept(rows, bytes, crc)
	} else if err := w.gather(ctx, c, crc); err != nil {
		return err
	}
	w.cutIfFull(ctx)
	return nil
}

// form is the form of the rows in hand.
func (w *Writer) form() (batch.Form, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.block != nil:
		return w.block.form, true
	case len(w.gathered) > 0:
		return w.gathered[0].c.Form, true
	default:
		return 0, false
	}
}

// gather keeps a batch in memory until there is enough for a block, the client's window is half full, or memory is
// short; then it opens the block. Nothing is accepted if that fails.
func (w *Writer) gather(ctx context.Context, c *batch.Checked, crc uint32) error {
	c.Compact()
	h := newHeld(c, crc)
	rows, bytes, cost := c.Rows, c.Bytes(), c.Held()
	budget := w.e.cfg.Budget
	if budget.TryAcquire(cost) {
		h.budget, h.counted = budget, cost
	}
	w.mu.Lock()
	enough := min(w.e.cfg.Limits.GatherBytes, budget.Share())
	wait := h.budget != nil && w.gatheredBytes+cost < enough && w.pending+bytes < w.replay/2
	if wait {
		if len(w.gathered) == 0 {
			w.gatheredSince = time.Now()
		}
		w.gathered = append(w.gathered, h)
		w.gatheredBytes += cost
		w.gatheredRows += int64(rows)
	}
	first := len(w.gathered) == 1
	w.mu.Unlock()
	if !wait {
		if err := w.openBlock(ctx, h, false); err != nil {
			return err
		}
	}
	w.accept(rows, bytes, crc)
	if wait && first && w.ageing {
		w.schedule()
	}
	return nil
}

// accept moves the accepted offset on.
func (w *Writer) accept(rows int, bytes int64, crc uint32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.marks) >= maxMarks {
		w.marks = slices.Delete(w.marks, 0, maxMarks/4)
	}
	w.marks = append(w.marks, mark{first: w.accepted, rows: int32(rows), crc: crc})
	w.accepted += RowOffset(rows)
	w.pending += bytes
}

// cutIfFull closes the open block at its target, at half of the client's window, or early when others wait for a PUT.
func (w *Writer) cutIfFull(ctx context.Context) {
	l := w.e.cfg.Limits
	w.mu.Lock()
	b := w.block
	full := b != nil && (b.bytes >= l.BlockBytes || w.pending >= w.replay/2 || b.bytes >= l.BlockBytes/4 && w.e.slots.Waiting() > 0)
	w.mu.Unlock()
	if full {
		w.closeBlock(ctx, false)
	}
}
