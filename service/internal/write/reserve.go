package write

import (
	"context"
	"fmt"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/batch"
)

func tooManyBlocks() *apierr.Error {
	return apierr.New(apierr.TooManyBlocks, "the output has no block to spare: only seal is left")
}

// spareBlocks is how many ids the output may still spend on blocks that do not seal: what is left, less one for each
// unsealed slice, less the probe's. The slices are counted only when it could matter.
func (e *Engine) spareBlocks(ctx context.Context, run runRecord, out int, rec outputRecord) (int32, error) {
	left := int32(e.cfg.Limits.MaxBlocks-1) - int32(rec.NextBlock)
	slices := max(run.Outputs[out].SliceCount, rec.Opened)
	if spare := left - slices; spare > 0 {
		return spare, nil
	}
	all, err := list[sliceRecord](ctx, e, prefixSlices(run.ID, out))
	if err != nil {
		return 0, err
	}
	for _, s := range all {
		if s.v.State == SliceSealed {
			slices--
		}
	}
	return left - slices, nil
}

// reserve gives out the next block id of the writer's output. The transaction compares the run, the slice and the
// output, so neither a fenced writer nor a run that is not OPEN gets one. last says that the block seals the slice,
// which may take the id kept for it.
func (w *Writer) reserve(ctx context.Context, first RowOffset, form batch.Form, last bool) (BlockID, error) {
	e := w.e
	unlock, err := e.outputLocks.lock(ctx, outputName(w.key.run, w.key.out))
	if err != nil {
		return 0, err
	}
	defer unlock()
	var id BlockID
	err = e.transact(ctx, func(ctx context.Context, _ bool) (Txn, error) {
		s, err := w.guard(ctx)
		if err != nil {
			return Txn{}, err
		}
		out, err := get[outputRecord](ctx, e, keyOutput(w.key.run, w.key.out))
		if err != nil {
			return Txn{}, err
		}
		if !last {
			spare, err := e.spareBlocks(ctx, s.run.v, w.key.out, out.v)
			if err != nil {
				return Txn{}, err
			}
			if spare < 1 {
				return Txn{}, tooManyBlocks()
			}
		} else if out.v.NextBlock >= e.cfg.Limits.MaxBlocks-1 {
			return Txn{}, tooManyBlocks()
		}
		rec := out.v
		if reused, ok := e.reuse(); ok {
			id = reused
		} else {
			id = rec.NextBlock
			rec.NextBlock++
		}
		block := blockRecord{State: blockReserved, Slice: w.key.slice, Term: w.term, Form: uint8(form), First: first}
		return Txn{
			Compares: append(s.compares(e), out.unchanged()),
			Puts:     []Put{out.put(rec), {Key: keyBlock(w.key.run, w.key.out, id), Value: encode(block)}},
		}, nil
	})
	if err != nil {
		return 0, fmt.Errorf("reserve a block: %w", err)
	}
	return id, nil
}

// record makes a block durable whose PUT was acknowledged: only if it begins at the slice's durable_through. seal also
// seals the slice. A nil block only seals.
func (w *Writer) record(ctx context.Context, b *block, receipt string, seal bool) (sliceRecord, error) {
	e := w.e
	var after sliceRecord
	err := e.transact(ctx, func(ctx context.Context, maybe bool) (Txn, error) {
		s, err := w.guardOrDone(ctx, b, seal, maybe)
		if err != nil || s.done {
			after = s.slice.v
			return Txn{}, err
		}
		after = s.slice.v
		txn := Txn{Compares: s.compares(e)}
		if b != nil {
			if b.first != after.Durable && !e.rules.ignoreContiguity {
				return Txn{}, apierr.New(apierr.Internal, "block %d begins at row %d, durable are %d", b.id, b.first, after.Durable)
			}
			after.Durable = max(after.Durable, b.first+RowOffset(b.rows))
			after.Bytes += b.bytes
			txn.Puts = append(txn.Puts, Put{Key: keyBlock(w.key.run, w.key.out, b.id), Value: encode(blockRecord{
				State: blockRecorded, Slice: w.key.slice, Term: w.term, Form: uint8(b.form), First: b.first, Rows: b.rows, Bytes: b.bytes,
				Checksum: b.sum, Receipt: receipt,
			})})
		}
		if seal {
			after.State = SliceSealed
			txn.Deletes = append(txn.Deletes, w.key.hold())
		}
		txn.Puts = append(txn.Puts, s.slice.put(after))
		return txn, nil
	})
	return after, err
}

// guarded is a run and a slice as a slice transaction found them.
type guarded struct {
	run   stored[runRecord]
	slice stored[sliceRecord]
	done  bool
}

func (g guarded) compares(e *Engine) []Compare {
	return append(e.compareRun(g.run), g.slice.unchanged())
}

func (w *Writer) read(ctx context.Context) (g guarded, err error) {
	entries, err := w.e.cfg.Ledger.Get(ctx, keyRun(w.key.run), w.key.slices())
	if err != nil {
		return g, err
	}
	decodeInto(entries[0], &g.run, &err)
	decodeInto(entries[1], &g.slice, &err)
	return g, err
}

// guard reads run and slice and passes only the newest hold of an open slice in an open run: every slice transaction
// begins with it and compares what it read.
func (w *Writer) guard(ctx context.Context) (guarded, error) {
	g, err := w.read(ctx)
	if err == nil {
		err = w.admit(g)
	}
	return g, err
}

func (w *Writer) admit(g guarded) error {
	if !g.run.exists() {
		return apierr.New(apierr.RunNotFound, "run %q is forgotten", w.key.run)
	}
	if g.slice.v.Term != w.term && (!w.e.rules.fenceByAttempt || g.slice.v.Attempt != w.attempt) {
		return fencedBy(g.slice.v)
	}
	if err := w.e.checkOpen(g.run); err != nil {
		return err
	}
	if g.slice.v.State != SliceOpen && !w.e.rules.fenceByAttempt {
		return apierr.New(apierr.WriterClosed, "the slice is %s", g.slice.v.State)
	}
	return nil
}

// guardOrDone is guard for a record: after an unknown outcome it finds out whether the record took effect.
func (w *Writer) guardOrDone(ctx context.Context, b *block, seal, maybe bool) (guarded, error) {
	g, err := w.read(ctx)
	if err != nil {
		return g, err
	}
	if maybe && g.slice.v.Term == w.term {
		sealed := g.slice.v.State == SliceSealed
		if b == nil && sealed {
			g.done = true
			return g, nil
		}
		if b != nil {
			have, err := get[blockRecord](ctx, w.e, keyBlock(w.key.run, w.key.out, b.id))
			if err != nil {
				return g, err
			}
			if have.v.State == blockRecorded && (!seal || sealed) {
				g.done = true
				return g, nil
			}
		}
	}
	return g, w.admit(g)
}

// outputName names an output within this process.
func outputName(id RunID, out int) string { return string(keyOutput(id, out)) }

// reuse gives an id whose PUT failed (rules.reuseIDs only).
func (e *Engine) reuse() (BlockID, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.reusable) == 0 {
		return 0, false
	}
	id := e.reusable[0]
	e.reusable = e.reusable[1:]
	return id, true
}
