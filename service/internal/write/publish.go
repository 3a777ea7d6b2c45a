package write

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/retry"
)

// commitPlan is what an output's ledger says of its blocks.
type commitPlan struct {
	live   map[BlockID]int64 // rows of live blocks
	dead   map[BlockID]bool  // every other id ever given out; true = its fate is unknown
	rows   int64
	digest uint32
}

func (e *Engine) plan(ctx context.Context, id RunID, out int) (commitPlan, error) {
	blocks, slices, err := e.blocks(ctx, id, out)
	if err != nil {
		return commitPlan{}, err
	}
	p := commitPlan{live: map[BlockID]int64{}, dead: map[BlockID]bool{}}
	castagnoli := crc32.MakeTable(crc32.Castagnoli)
	for _, b := range blocks {
		blockID, err := parseBlockID(b.key)
		if err != nil {
			return commitPlan{}, err
		}
		if !b.v.live(slices[b.v.Slice]) {
			p.dead[blockID] = b.v.State == blockReserved
			continue
		}
		p.live[blockID] = b.v.Rows
		p.rows += b.v.Rows
		sum := binary.LittleEndian.AppendUint64(nil, uint64(blockID))
		sum = binary.LittleEndian.AppendUint64(sum, uint64(b.v.Rows))
		sum = binary.LittleEndian.AppendUint32(sum, b.v.Checksum)
		p.digest = crc32.Update(p.digest, castagnoli, sum)
	}
	return p, nil
}

// commitOutputs commits the outputs one by one and ends the run.
func (e *Engine) commitOutputs(ctx context.Context, r stored[runRecord]) error {
	if e.rules.freeLockEarly {
		for _, o := range r.v.Outputs {
			if err := e.deleteAll(ctx, []Key{keyLock(matchKey(o.Ref))}); err != nil {
				return err
			}
		}
	}
	var unsettled error
	committed, failed := 0, 0
	var why *errRecord
	for i := range r.v.Outputs {
		out, err := get[outputRecord](ctx, e, keyOutput(r.v.ID, i))
		if err != nil {
			return err
		}
		if !out.exists() {
			continue
		}
		if err := e.commitOutput(ctx, r, i, out.v); errors.Is(err, errFailed) {
			failed++
			why = recordOf(apierr.Wrap(err, apierr.CommitFailed, "output %s: %s", outputText(r.v.Outputs[i]), err))
			if err := e.recordFailed(ctx, r.v.ID, i, why); err != nil {
				return err
			}
		} else if err != nil {
			unsettled = errors.Join(unsettled, err)
		} else {
			committed++
		}
	}
	if unsettled != nil {
		return unsettled
	}
	return e.moveFrom(ctx, r, func(rec *runRecord) {
		rec.State, rec.Ended, rec.Unclean, rec.Err = RunCommitted, e.cfg.Now().UTC(), true, why
		if failed > 0 && committed > 0 {
			rec.State = RunPartiallyCommitted
		} else if failed > 0 {
			rec.State = RunFailed
		}
	})
}

// commitOutput is steps 3 to 5 of design.md 3 for one output; what it does again after a crash does no harm.
func (e *Engine) commitOutput(ctx context.Context, r stored[runRecord], out int, rec outputRecord) error {
	if rec.State == OutputCommitted {
		return nil
	}
	rec, err := e.session(ctx, r.v.ID, out, RunCommitting)
	if apierr.Is(err, apierr.SchemaChanged) || apierr.Is(err, apierr.TableNotFound) {
		return fmt.Errorf("%w: %w", errFailed, err) // no session, so nothing was ever sent
	}
	if err != nil {
		return err
	}
	plan, err := e.plan(ctx, r.v.ID, out)
	if err != nil {
		return err
	}
	if len(plan.live) != rec.Count || plan.digest != rec.Digest {
		return e.alarm(ctx, rec, "the ledger's blocks are not those of the point of no return")
	}
	waited := false
	p := posting{e: e, run: r.v.ID, out: out, ref: rec.Ref, session: rec.Session, states: []RunState{RunCommitting}}
	p.before = func(ctx context.Context, up *Upload) error {
		if len(plan.dead) > 0 {
			if err := e.fence.check(ctx, e, rec.Ref, rec.Session); err != nil {
				return err
			}
		}
		if err := e.bury(ctx, r.v.ID, out, rec, true); err != nil {
			return err
		}
		if err := e.waitUnfenced(ctx, plan, &waited); err != nil {
			return err
		}
		return e.checkList(ctx, r.v.ID, out, plan)
	}
	up, err := p.settle(ctx)
	if err != nil {
		return err
	}
	alarm := ""
	if diff := plan.compare(up.Blocks, e.probeID()); diff != "" {
		alarm = "the committed session differs from the ledger: " + diff
		e.log.ErrorContext(ctx, "a committed session differs", slog.String("alarm", alarm), slog.String("run_id", string(r.v.ID)), slog.String("output", rec.Ref.Path()))
	}
	return e.recordCommitted(ctx, r.v.ID, out, rec, alarm)
}

// waitUnfenced waits, once, until no upload sent before can still land, where versions do not protect us.
func (e *Engine) waitUnfenced(ctx context.Context, plan commitPlan, waited *bool) error {
	unknown := false
	for _, u := range plan.dead {
		unknown = unknown || u
	}
	if !e.fence.unfenced() || !unknown || *waited {
		return nil
	}
	*waited = true
	return retry.Sleep(ctx, e.cfg.Limits.UnfencedWait)
}

// checkList compares the session's list with the ledger before a POST.
func (e *Engine) checkList(ctx context.Context, id RunID, out int, plan commitPlan) error {
	if e.rules.skipListCheck {
		return nil
	}
	rec, err := get[outputRecord](ctx, e, keyOutput(id, out))
	if err != nil {
		return err
	}
	up, err := e.load(ctx, rec.v.Ref, rec.v.Session)
	if err != nil {
		return err
	}
	if up.Status != UploadNormal {
		return fmt.Errorf("the upload session became %s", up.Status)
	}
	for _, b := range up.Blocks {
		if unknown, dead := plan.dead[b.ID]; dead && b.Rows != 0 {
			return fmt.Errorf("dead block %d still lists %d rows (fate unknown: %t)", b.ID, b.Rows, unknown)
		}
	}
	if diff := plan.compare(up.Blocks, e.probeID()); diff != "" {
		if e.rules.overwriteAliens {
			return e.overwriteAliens(ctx, rec.v, up, plan)
		}
		return e.alarm(ctx, rec.v, diff)
	}
	return nil
}

func (e *Engine) overwriteAliens(ctx context.Context, rec outputRecord, up *Upload, plan commitPlan) error {
	for _, b := range up.Blocks {
		if _, live := plan.live[b.ID]; !live {
			target := BlockTarget{Output: rec.Ref, UploadID: rec.Session, Block: b.ID, Version: TombstoneVersion, Form: 1}
			if err := e.cfg.Backend.Tombstone(ctx, target); err != nil {
				return err
			}
		}
	}
	return nil
}

// alarm fails an output loudly, or leaves it unsettled if a POST may still be under way.
func (e *Engine) alarm(ctx context.Context, rec outputRecord, what string) error {
	e.log.ErrorContext(ctx, "commit stopped", slog.String("alarm", what), slog.String("output", rec.Ref.Path()), slog.String("session", rec.Session))
	if rec.Posts != rec.Settled {
		return apierr.New(apierr.OutcomeUnknown, "a commit was sent, and now the session does not match the ledger: %s", what)
	}
	return fmt.Errorf("%w: %s", errFailed, what)
}

// compare tells how a session's list differs from the ledger; "" if it does not: live blocks with their rows, dead ids
// absent or with 0 rows, nothing else but the probe's.
func (p commitPlan) compare(listed []UploadedBlock, probe BlockID) string {
	seen := 0
	for _, b := range listed {
		rows, live := p.live[b.ID]
		_, dead := p.dead[b.ID]
		switch {
		case live && rows != b.Rows:
			return fmt.Sprintf("block %d lists %d rows, recorded are %d", b.ID, b.Rows, rows)
		case live:
			seen++
		case (dead || b.ID == probe) && b.Rows == 0:
		case dead:
			return fmt.Sprintf("dead block %d lists %d rows", b.ID, b.Rows)
		default:
			return fmt.Sprintf("block %d was never given out", b.ID)
		}
	}
	if seen != len(p.live) {
		return fmt.Sprintf("%d of %d recorded blocks are not listed", len(p.live)-seen, len(p.live))
	}
	return ""
}

// recordCommitted ends an output and frees it. RUN_CLOSED says that the run has ended without it, by force: the lock
// may be another run's by now.
func (e *Engine) recordCommitted(ctx context.Context, id RunID, out int, rec outputRecord, alarm string) error {
	return e.transact(ctx, func(ctx context.Context, _ bool) (Txn, error) {
		now, err := get[outputRecord](ctx, e, keyOutput(id, out))
		if err != nil || now.v.State == OutputCommitted {
			return Txn{}, err
		}
		run, err := e.loadRun(ctx, id)
		if err == nil {
			err = e.inState(run, []RunState{RunCommitting})
		}
		if err != nil {
			if apierr.Is(err, apierr.RunClosed) {
				e.log.ErrorContext(ctx, "a commit that was given up by force took effect",
					slog.String("run_id", string(id)), slog.String("output", rec.Ref.Path()))
			}
			return Txn{}, err
		}
		done := now.v
		done.State, done.Committed, done.Alarm, done.Err = OutputCommitted, e.cfg.Now().UTC(), alarm, nil
		return Txn{
			Compares: append(e.compareRun(run), now.unchanged()), Puts: []Put{now.put(done)}, Deletes: []Key{keyLock(matchKey(rec.Ref))},
		}, nil
	})
}

func (e *Engine) recordFailed(ctx context.Context, id RunID, out int, why *errRecord) error {
	return e.changeOutput(ctx, id, out, []RunState{RunCommitting}, func(o *outputRecord) bool {
		o.State, o.Err = OutputFailed, why
		return true
	})
}
