package write

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/batch"
	"github.com/sluice-io/sluice/service/internal/table"
)

// session gives the output's upload session, making it if there is none. Only the one that the ledger names is ever
// used: who loses the race to name his leaves his own unused. states are the run states in which one may be made.
func (e *Engine) session(ctx context.Context, id RunID, out int, states ...RunState) (outputRecord, error) {
	unlock, err := e.outputLocks.lock(ctx, "session/"+outputName(id, out))
	if err != nil {
		return outputRecord{}, err
	}
	defer unlock()
	have, err := get[outputRecord](ctx, e, keyOutput(id, out))
	if err != nil || have.v.Session != "" {
		return have.v, err
	}
	run, err := e.loadRun(ctx, id)
	if err != nil {
		return outputRecord{}, err
	}
	upload, err := e.newUpload(ctx, have.v.Ref, run.v.Outputs[out].Options)
	if err != nil {
		return outputRecord{}, err
	}
	promised, err := get[table.Schema](ctx, e, keySchema(id, out))
	if err != nil {
		return outputRecord{}, err
	}
	if diff := sessionDiff(promised.v, upload.Schema); diff != "" {
		return outputRecord{}, apierr.New(apierr.SchemaChanged, "the table was altered since the run opened it: %s", diff)
	}
	if err := e.fence.check(ctx, e, have.v.Ref, upload.ID); err != nil {
		return outputRecord{}, err
	}
	var rec outputRecord
	err = e.transact(ctx, func(ctx context.Context, _ bool) (Txn, error) {
		run, err := e.loadRun(ctx, id)
		if err != nil {
			return Txn{}, err
		}
		if err := e.inState(run, states); err != nil {
			return Txn{}, err
		}
		now, err := get[outputRecord](ctx, e, keyOutput(id, out))
		rec = now.v
		if err != nil || rec.Session != "" {
			return Txn{}, err
		}
		rec.Session, rec.Created = upload.ID, upload.Created
		if rec.Created.IsZero() {
			rec.Created = e.cfg.Now().UTC()
		}
		return Txn{Compares: append(e.compareRun(run), now.unchanged()), Puts: []Put{now.put(rec)}}, nil
	})
	return rec, err
}

// sessionDiff compares the schema promised to writers with that of an upload session: data columns by name, type and
// order. A session says nothing of primary keys, and may leave out that a column is NOT NULL.
func sessionDiff(promised, session table.Schema) string {
	seen := table.Schema{Columns: slices.Clone(session.Columns)}
	for i, c := range promised.Columns {
		if i < len(seen.Columns) && c.NotNull {
			seen.Columns[i].NotNull = true
		}
	}
	want := table.Schema{Columns: promised.Columns}
	return want.Diff(&seen)
}

// inState passes the states given, waits while the run is CLOSING, and refuses all others.
func (e *Engine) inState(run stored[runRecord], states []RunState) error {
	if slices.Contains(states, run.v.State) {
		return nil
	}
	if err := e.checkOpen(run); err != nil {
		return err
	}
	return runClosed(run.v)
}

func (e *Engine) newUpload(ctx context.Context, ref table.Ref, o OutputOptions) (upload *Upload, err error) {
	err = e.call(ctx, "create the upload session", func(ctx context.Context) (err error) {
		upload, err = e.cfg.Backend.CreateUpload(ctx, UploadSpec{
			Output: ref, Overwrite: o.Mode != Append, CreatePartition: o.MissingPartition == CreateMissing && len(ref.Partition) > 0,
		})
		return err
	})
	return upload, err
}

// fenceProbe finds out, once, whether the backend honours block versions: two empty PUTs on the highest id, version 2
// then 1; the list must still say 2.
type fenceProbe struct {
	mu       sync.Mutex
	done     bool // guarded by mu
	honoured bool // guarded by mu
}

// check probes on the given session if that was not done yet, and refuses a backend that ignores versions unless the
// operator allowed it.
func (p *fenceProbe) check(ctx context.Context, e *Engine, ref table.Ref, upload string) error {
	unlock, err := e.outputLocks.lock(ctx, "probe")
	if err != nil {
		return err
	}
	defer unlock()
	if done, _ := p.known(); !done {
		honoured, err := e.probeVersions(ctx, ref, upload)
		if err != nil {
			return fmt.Errorf("probe whether block versions are honoured: %w", err)
		}
		p.mu.Lock()
		p.done, p.honoured = true, honoured
		p.mu.Unlock()
	}
	return p.refusal(e)
}

// refusal is the error of a backend that is known to ignore versions, where that is not allowed.
func (p *fenceProbe) refusal(e *Engine) error {
	if !p.unfenced() || e.cfg.AllowUnfenced {
		return nil
	}
	return apierr.New(apierr.Unsupported, "this deployment ignores block versions, so late uploads cannot be fenced; the operator may allow it (unfenced_backend)")
}

// unfenced says that versions are known to be ignored.
func (p *fenceProbe) unfenced() bool {
	done, honoured := p.known()
	return done && !honoured
}

func (p *fenceProbe) known() (done, honoured bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.done, p.honoured
}

// probeID is the id the probe uses. It is never given out.
func (e *Engine) probeID() BlockID { return e.cfg.Limits.MaxBlocks - 1 }

func (e *Engine) probeVersions(ctx context.Context, ref table.Ref, upload string) (bool, error) {
	target := BlockTarget{Output: ref, UploadID: upload, Block: e.probeID(), Form: batch.FormArrow}
	for _, version := range []int64{TombstoneVersion, DataVersion} {
		target.Version = version
		err := e.call(ctx, "upload an empty block", func(ctx context.Context) error { return e.cfg.Backend.Tombstone(ctx, target) })
		if err != nil {
			return false, err
		}
	}
	up, err := e.load(ctx, ref, upload)
	if err != nil {
		return false, err
	}
	for _, b := range up.Blocks {
		if b.ID == target.Block {
			return b.Version == TombstoneVersion, nil
		}
	}
	return false, nil
}

func (e *Engine) load(ctx context.Context, ref table.Ref, id string) (up *Upload, err error) {
	err = e.call(ctx, "load the upload session", func(ctx context.Context) (err error) {
		up, err = e.cfg.Backend.Upload(ctx, ref, id)
		return err
	})
	return up, err
}

// isDead says that a block's rows must never be published. committing: the run is past the point of no return, where
// also what the current term left unrecorded is dead; before it, ids of the current term may still be recorded.
func isDead(b blockRecord, s sliceRecord, committing bool) bool {
	switch {
	case b.live(s):
		return false
	case b.Term < s.Term:
		return true // its term is over, or it was discarded
	default:
		return committing
	}
}

// buryLater sends tombstones in the background for ids of terms that are over: they are dead for ever, whatever
// becomes of the run. The commit does what is left.
func (e *Engine) buryLater(ctx context.Context, id RunID, out int) {
	name := outputName(id, out)
	e.mu.Lock()
	busy := e.burying[name]
	e.burying[name] = true
	e.mu.Unlock()
	if busy {
		return
	}
	started := e.background(ctx, func(ctx context.Context) {
		defer e.doneBurying(name)
		rec, err := get[outputRecord](ctx, e, keyOutput(id, out))
		if err != nil || rec.v.Session == "" {
			return // nothing was ever sent, or the commit will see to it
		}
		if err := e.bury(ctx, id, out, rec.v, e.rules.buryCurrentTerm); err != nil && ctx.Err() == nil {
			e.log.WarnContext(ctx, "dead blocks are left to the commit", slog.String("run_id", string(id)), slog.String("err", err.Error()))
		}
	})
	if !started {
		e.doneBurying(name)
	}
}

func (e *Engine) doneBurying(name string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.burying, name)
}

// bury PUTs a tombstone over every dead block of an output and notes it.
func (e *Engine) bury(ctx context.Context, id RunID, out int, rec outputRecord, committing bool) error {
	blocks, slices, err := e.blocks(ctx, id, out)
	if err != nil {
		return err
	}
	version := TombstoneVersion
	if e.rules.tombstoneAsData {
		version = DataVersion
	}
	for _, b := range blocks {
		if b.v.State == blockBuried || !isDead(b.v, slices[b.v.Slice], committing) {
			continue
		}
		blockID, err := parseBlockID(b.key)
		if err != nil {
			return err
		}
		if e.rules.buryListedOnly {
			if listed, err := e.listed(ctx, rec, blockID); err != nil || !listed {
				continue
			}
		}
		target := BlockTarget{Output: rec.Ref, UploadID: rec.Session, Block: blockID, Version: version, Form: batch.Form(b.v.Form)}
		err = e.call(ctx, "upload a tombstone", func(ctx context.Context) error { return e.cfg.Backend.Tombstone(ctx, target) })
		if err != nil {
			return err
		}
		if e.fence.unfenced() {
			continue // it proves nothing: the commit buries again
		}
		buried := b.v
		buried.State = blockBuried
		err = e.cfg.Ledger.Commit(ctx, Txn{Compares: []Compare{b.unchanged()}, Puts: []Put{b.put(buried)}})
		if err != nil {
			e.log.DebugContext(ctx, "a tombstone was not noted and will be sent again", slog.String("run_id", string(id)), slog.Int("block_id", int(blockID)), slog.String("err", err.Error()))
		}
	}
	return nil
}

func (e *Engine) listed(ctx context.Context, rec outputRecord, id BlockID) (bool, error) {
	up, err := e.load(ctx, rec.Ref, rec.Session)
	if err != nil {
		return false, err
	}
	for _, b := range up.Blocks {
		if b.ID == id {
			return true, nil
		}
	}
	return false, nil
}

// blocks reads an output's blocks and slices. The slices first: a block read as unrecorded after its slice was read
// with a later term can never be recorded any more. The other way round it could have been, between the two reads, and
// a tombstone would destroy live rows.
func (e *Engine) blocks(ctx context.Context, id RunID, out int) ([]stored[blockRecord], map[SliceID]sliceRecord, error) {
	all, err := list[sliceRecord](ctx, e, prefixSlices(id, out))
	if err != nil {
		return nil, nil, err
	}
	slices := make(map[SliceID]sliceRecord, len(all))
	for _, s := range all {
		key, err := parseSliceKey(s.key)
		if err != nil {
			return nil, nil, err
		}
		slices[key.slice] = s.v
	}
	blocks, err := list[blockRecord](ctx, e, prefixBlocks(id, out))
	return blocks, slices, err
}

func parseBlockID(k Key) (BlockID, error) {
	var id BlockID
	if _, err := fmt.Sscanf(string(k[len(k)-5:]), "%d", &id); err != nil {
		return 0, fmt.Errorf("read ledger key %q: %w", k, err)
	}
	return id, nil
}

// clearAtOpen empties the output once per epoch by committing an empty overwrite session that the ledger names: however
// often and however late that commit arrives, it takes effect once.
func (e *Engine) clearAtOpen(ctx context.Context, id RunID, out int) error {
	unlock, err := e.outputLocks.lock(ctx, "clear/"+outputName(id, out))
	if err != nil {
		return err
	}
	defer unlock()
	rec, err := get[outputRecord](ctx, e, keyOutput(id, out))
	if err != nil || rec.v.Clear == clearNone || rec.v.Clear == clearDone {
		return err
	}
	if rec.v.Clear == clearNeeded {
		if err := e.nameClearing(ctx, id, out, rec.v); err != nil {
			return fmt.Errorf("prepare the clearing: %w", err)
		}
	}
	return e.settleClearing(ctx, id, out, RunOpen)
}

func (e *Engine) nameClearing(ctx context.Context, id RunID, out int, rec outputRecord) error {
	run, err := e.loadRun(ctx, id)
	if err != nil {
		return err
	}
	upload, err := e.newUpload(ctx, rec.Ref, run.v.Outputs[out].Options)
	if err != nil {
		return err
	}
	return e.changeOutput(ctx, id, out, []RunState{RunOpen}, func(o *outputRecord) bool {
		if o.Clear != clearNeeded {
			return false
		}
		o.Clear, o.ClearSession = clearSent, upload.ID
		return true
	})
}

// settleClearing sends the clearing's commit until its session is closed.
func (e *Engine) settleClearing(ctx context.Context, id RunID, out int, states ...RunState) error {
	rec, err := get[outputRecord](ctx, e, keyOutput(id, out))
	if err != nil || rec.v.Clear != clearSent {
		return err
	}
	p := posting{e: e, run: id, out: out, ref: rec.v.Ref, session: rec.v.ClearSession, states: states}
	if _, err := p.settle(ctx); err != nil {
		return fmt.Errorf("clear the output: %w", err)
	}
	return e.changeOutput(ctx, id, out, states, func(o *outputRecord) bool {
		changed := o.Clear != clearDone
		o.Clear = clearDone
		return changed
	})
}

// changeOutput changes an output's record while the run is in one of the states. change says false if there is nothing
// to change.
func (e *Engine) changeOutput(ctx context.Context, id RunID, out int, states []RunState, change func(*outputRecord) bool) error {
	return e.transact(ctx, func(ctx context.Context, _ bool) (Txn, error) {
		run, err := e.loadRun(ctx, id)
		if err != nil {
			return Txn{}, err
		}
		if err := e.inState(run, states); err != nil {
			return Txn{}, err
		}
		have, err := get[outputRecord](ctx, e, keyOutput(id, out))
		rec := have.v
		if err != nil || !change(&rec) {
			return Txn{}, err
		}
		return Txn{Compares: []Compare{run.unchanged(), have.unchanged()}, Puts: []Put{have.put(rec)}}, nil
	})
}
