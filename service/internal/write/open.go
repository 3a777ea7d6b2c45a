package write

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/table"
)

// openAction is what an open does to a slice (the table of api.md 6.2).
type openAction uint8

const (
	openEmpty   openAction = iota + 1 // new content: new, reopened, taken over with DISCARD, or aborted before
	openKeep                          // a resume, or a takeover with RESUME: the durable rows stay
	openSealed                        // it is sealed and stays so; this writer is told
	openInherit                       // the same after a takeover with RESUME: the slice changes hands
	openAborted                       // this writer aborted it; it is told again
)

// decideOpen is the table of api.md 6.2 for a slice of an open run. held says that the slice has a holder.
func (e *Engine) decideOpen(req OpenRequest, s stored[sliceRecord], held bool) (openAction, error) {
	if s.v.Worker == req.WorkerID && s.exists() {
		return e.decideSameWorker(req, s.v)
	}
	action, err := decideOther(req, s, held)
	switch {
	case req.DurableSeen > 0 && apierr.Is(err, apierr.SliceConflict):
		return 0, fencedBy(s.v) // who was told of durable rows held the slice: whoever has it now superseded him
	case err != nil || req.DurableSeen == 0:
		return action, err
	case !s.exists() || action != openEmpty && req.DurableSeen > s.v.Durable:
		return 0, rowsLost(req, s.v)
	case action == openEmpty:
		return 0, fencedBy(s.v) // this is a resume, and somebody took the slice meanwhile
	default:
		return action, nil
	}
}

func rowsLost(req OpenRequest, s sliceRecord) error {
	return apierr.New(apierr.RowsLost, "the writer was told that %d rows are durable, the ledger knows of %d", req.DurableSeen, s.Durable)
}

// decideOther is the part of the table for a worker that does not hold the slice.
func decideOther(req OpenRequest, s stored[sliceRecord], held bool) (openAction, error) {
	switch {
	case !s.exists():
		return openEmpty, nil
	case req.Attempt < s.v.Attempt:
		return 0, fencedBy(s.v)
	case s.v.State == SliceAborted:
		return openEmpty, nil
	case req.Attempt == s.v.Attempt && (held || s.v.State == SliceSealed):
		return 0, conflictWith(s.v)
	case req.OnTakeover != Resume:
		return openEmpty, nil
	case s.v.State == SliceSealed:
		return openInherit, nil
	default:
		return openKeep, nil
	}
}

func (e *Engine) decideSameWorker(req OpenRequest, s sliceRecord) (openAction, error) {
	switch {
	case req.Principal != s.Principal:
		return 0, apierr.New(apierr.Permission, "the slice is held by another principal")
	case req.Attempt != s.Attempt:
		return 0, badField("open.attempt", "one worker has one attempt")
	case req.WriterNumber < s.Writer:
		return 0, fencedBy(s)
	case req.WriterNumber > s.Writer || e.rules.resumeIsReopen:
		return openEmpty, nil
	case req.OpenNumber != 0 && req.OpenNumber <= s.Try && !e.rules.ignoreTry:
		return 0, fencedBy(s)
	case s.State == SliceAborted:
		return openAborted, nil
	case req.DurableSeen > s.Durable:
		return 0, rowsLost(req, s)
	case s.State == SliceSealed:
		return openSealed, nil
	default:
		return openKeep, nil
	}
}

func fencedBy(s sliceRecord) *apierr.Error {
	return apierr.New(apierr.SliceFenced, "the slice is held by attempt %d of another writer", s.Attempt).
		With("winner_attempt", strconv.FormatInt(int64(s.Attempt), 10)).With("winner_worker_id", s.Worker).
		With("winner_term", strconv.FormatInt(int64(s.Term), 10))
}

func conflictWith(s sliceRecord) *apierr.Error {
	return apierr.New(apierr.SliceConflict, "another writer holds the slice or sealed it (%s)", s.State).
		With("holder_attempt", strconv.FormatInt(int64(s.Attempt), 10)).With("holder_worker_id", s.Worker).With("state", s.State.String())
}

func notPredefined(text string) *apierr.Error {
	return apierr.New(apierr.TableNotPredefined, "table %s not predefined", text)
}

// opening is one Open on its way.
type opening struct {
	e    *Engine
	req  OpenRequest
	key  sliceKey
	decl declaredOutput
	ref  table.Ref // resolved
	info *table.Info

	newRun    *runRecord // of an implicit run that is not there yet
	action    openAction
	run       runRecord
	slice     sliceRecord // as it is after the open
	discarded int64
	existed   bool // the slice had been opened before
	// sameWriter says that it had been opened by this very writer.
	sameWriter bool
}

// Open opens, resumes, reopens or takes over a slice: api.md 6.2, checks in that order. The first failure changes
// nothing. The Writer belongs to the caller, who ends it with Detach.
//
// It returns the Writer also when the slice turns out to be sealed (Opened.Sealed): Finish works on it. It is nil when
// this writer had aborted the slice (Opened.Aborted).
func (e *Engine) Open(ctx context.Context, req OpenRequest) (*Writer, Opened, error) {
	if err := e.checkShape(&req); err != nil {
		return nil, Opened{}, err
	}
	e.mu.Lock()
	closed := e.closed
	e.mu.Unlock()
	if closed {
		return nil, Opened{}, e.draining()
	}
	o := &opening{e: e, req: req, key: sliceKey{run: req.RunID, slice: req.SliceID}}
	ended, err := o.findRun(ctx)
	if err != nil {
		return nil, Opened{}, o.name(err)
	}
	if ended {
		w, opened, err := o.answerEnded(ctx)
		return w, opened, o.name(err)
	}
	e.touch(o.key.run)
	if err := o.checkTable(ctx); err != nil {
		return nil, Opened{}, o.name(err)
	}
	if err := e.transact(ctx, o.build); err != nil {
		return nil, Opened{}, o.name(o.withRest(err))
	}
	w, opened, err := o.hold(ctx)
	return w, opened, o.name(err)
}

// name adds the names of the objects to an error of ours.
func (o *opening) name(err error) error {
	if e, ok := errors.AsType[*apierr.Error](err); ok {
		e.With("run_id", orText(e.Meta("run_id"), string(o.key.run))).With("slice_id", strconv.Itoa(int(o.req.SliceID))).
			With("project", o.req.Output.Name.Project).With("table", o.req.Output.Name.Table)
	}
	return err
}

func orText(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// checkShape checks what needs no look at anything, and fills what was left open.
func (e *Engine) checkShape(req *OpenRequest) error {
	l := e.cfg.Limits
	if req.OutputText == "" {
		req.OutputText = req.Output.Path()
	}
	if req.WorkerID == "" {
		req.WorkerID = "made-" + rand.Text()
	}
	switch {
	case req.RunID != "" && !validID(string(req.RunID)):
		return badField("open.run_id", "run_id is not 1–128 of A–Z a–z 0–9 . _ : -, the first a letter or digit")
	case len(req.WorkerID) > 64 || !validID(req.WorkerID):
		return badField("open.worker_id", "worker_id is not 1–64 of A–Z a–z 0–9 . _ : -")
	case req.Attempt < 0:
		return badField("open.attempt", "attempt is negative")
	case req.WriterNumber < 0:
		return badField("open.writer_number", "writer_number is negative")
	case req.OpenNumber < 0:
		return badField("open.open_number", "open_number is negative")
	case req.DurableSeen < 0:
		return badField("open.durable_seen", "durable_seen is negative")
	case req.OnTakeover > Resume:
		return badField("open.on_takeover", "on_takeover has an unknown number")
	case req.ReplayBytes < 0 || req.ReplayBytes > l.ReplayMost:
		return badField("open.replay_bytes", fmt.Sprintf("replay_bytes is not within 0…%d", l.ReplayMost))
	case req.Implicit != nil && req.RunID != "":
		return badField("open.implicit", "implicit options go only without a run_id")
	case req.RunID == "" && req.SliceID != 0:
		return apierr.New(apierr.BadSlice, "slice %d needs a run: writers without one cannot know of each other", req.SliceID)
	}
	if req.ReplayBytes == 0 {
		req.ReplayBytes = l.ReplayDefault
	}
	req.ReplayBytes = max(req.ReplayBytes, l.ReplayLeast)
	return nil
}

// findRun finds the run and the output in it. ended says that the run takes no opens any more, but may have an answer
// for the writer that sealed.
func (o *opening) findRun(ctx context.Context) (ended bool, err error) {
	if o.req.RunID == "" {
		if err := o.makeImplicit(); err != nil {
			return false, err
		}
	}
	for n := 1; ; n++ {
		r, err := get[runRecord](ctx, o.e, keyRun(o.key.run))
		if err != nil {
			return false, err
		}
		switch {
		case !r.exists() && o.newRun != nil:
			r.v = *o.newRun
		case !r.exists():
			return false, apierr.New(apierr.RunNotFound, "no run %q is known: call CreateRun first", o.key.run)
		case o.newRun != nil:
			if err := sameSettings(*o.newRun, r.v); err != nil {
				return false, err
			}
		}
		if err := o.e.checkOpen(stored[runRecord]{v: r.v}); errors.Is(err, errClosing) {
			if err := closingPolicy.Wait(ctx, n, nil); err != nil {
				return false, err
			}
			continue
		} else if err != nil && (r.v.State == RunAborted || r.v.State == RunClosing) {
			return false, err
		}
		out, ok := r.v.find(o.req.Output)
		if !ok {
			return false, notPredefined(o.req.OutputText)
		}
		o.run, o.key.out, o.decl = r.v, out, r.v.Outputs[out]
		return r.v.State != RunOpen && !o.e.rules.ignoreRunState, nil
	}
}

func (o *opening) makeImplicit() error {
	if o.e.cfg.Predefined != nil && !o.e.cfg.Predefined(o.req.Output) {
		return notPredefined(o.req.OutputText)
	}
	var options OutputOptions
	if o.req.Implicit != nil {
		options = *o.req.Implicit
	}
	o.key.run = RunID(fmt.Sprintf("implicit.%s.%d", o.req.WorkerID, o.req.WriterNumber))
	rec, err := o.e.newRun(RunSpec{
		ID: o.key.run, Creator: o.req.Principal,
		Outputs: []OutputSpec{{Ref: o.req.Output, Text: o.req.OutputText, SliceCount: 1, Options: options}},
	}, true)
	o.newRun = &rec
	return err
}

// checkTable checks table, partition, slice id and schema, in this order.
func (o *opening) checkTable(ctx context.Context) error {
	if err := o.e.fence.refusal(o.e); err != nil {
		return err
	}
	err := o.e.call(ctx, "look the table up", func(ctx context.Context) (err error) {
		o.info, err = o.e.cfg.Backend.Table(ctx, o.req.Output.Name)
		return err
	})
	if err != nil {
		return err
	}
	if o.info.Kind > table.Managed {
		return badField("open.output", "rows can be written only to a managed table")
	}
	if o.info.Transactional && o.decl.Options.Mode == Replace {
		return badField("mode", "a transactional table cannot be replaced")
	}
	if err := o.checkPartition(ctx); err != nil {
		return err
	}
	if o.req.SliceID < 0 || o.decl.SliceCount > 0 && int32(o.req.SliceID) >= o.decl.SliceCount {
		return apierr.New(apierr.BadSlice, "slice %d is not within 0…%d", o.req.SliceID, o.decl.SliceCount-1)
	}
	if o.req.CheckSchema != nil {
		return o.req.CheckSchema(&o.info.Schema)
	}
	return nil
}

func (o *opening) checkPartition(ctx context.Context) error {
	given := o.req.PartitionGiven
	if given == nil {
		given = o.req.Output.Partition.Map()
	}
	spec, err := table.ResolveSpec(&o.info.Schema, given)
	if err != nil {
		return err
	}
	o.ref = table.Ref{Name: o.req.Output.Name, Partition: spec}
	if o.decl.Options.MissingPartition != FailMissing || len(spec) == 0 {
		return nil
	}
	var there bool
	err = o.e.call(ctx, "look the partition up", func(ctx context.Context) (err error) {
		there, err = o.e.cfg.Backend.PartitionExists(ctx, o.ref)
		return err
	})
	if err == nil && !there {
		err = apierr.New(apierr.PartitionNotFound, "partition %s does not exist", spec).With("partition", spec.String())
	}
	return err
}

// build is the open's one transaction: it compares the run, the lock of the output, the slice and its holder, and puts
// the new hold. It may be repeated: what it finds after an unknown outcome of its own it takes for its own.
func (o *opening) build(ctx context.Context, maybe bool) (Txn, error) {
	e := o.e
	entries, err := e.cfg.Ledger.Get(ctx, keyRun(o.key.run), keyLock(matchKey(o.ref)), keyOutput(o.key.run, o.key.out),
		keySchema(o.key.run, o.key.out), o.key.slices(), o.key.hold())
	if err != nil {
		return Txn{}, err
	}
	var (
		run    stored[runRecord]
		lock   stored[lockRecord]
		out    stored[outputRecord]
		schema stored[table.Schema]
		slice  stored[sliceRecord]
		held   stored[holdRecord]
	)
	decodeInto(entries[0], &run, &err)
	decodeInto(entries[1], &lock, &err)
	decodeInto(entries[2], &out, &err)
	decodeInto(entries[3], &schema, &err)
	decodeInto(entries[4], &slice, &err)
	decodeInto(entries[5], &held, &err)
	if err != nil {
		return Txn{}, err
	}
	if !run.exists() {
		if o.newRun == nil {
			return Txn{}, apierr.New(apierr.RunNotFound, "no run %q is known: call CreateRun first", o.key.run)
		}
		run.v = *o.newRun
	}
	if err := e.checkOpen(run); err != nil {
		return Txn{}, err
	}
	o.run = run.v
	if lock.exists() && lock.v.Run != o.key.run {
		return Txn{}, apierr.New(apierr.OutputBusy, "run %q writes to %s", lock.v.Run, o.req.OutputText).With("run_id", string(lock.v.Run))
	}
	if err := o.checkEpoch(out, schema); err != nil {
		return Txn{}, err
	}
	if maybe && o.slice.Term > 0 && slice.v.Term == o.slice.Term && slice.v.Worker == o.slice.Worker && slice.v.Try == o.slice.Try {
		return Txn{}, nil // ours took effect
	}
	if o.action, err = e.decideOpen(o.req, slice, held.exists()); err != nil {
		return Txn{}, err
	}
	if o.action == openSealed || o.action == openAborted {
		o.slice = slice.v
		return Txn{}, nil
	}
	return o.txn(ctx, run, lock, out, schema, slice, held)
}

// checkEpoch checks what the output's first open promised.
func (o *opening) checkEpoch(out stored[outputRecord], schema stored[table.Schema]) error {
	if !out.exists() {
		return nil
	}
	if diff := schema.v.Diff(&o.info.Schema); schema.exists() && diff != "" {
		return apierr.New(apierr.SchemaChanged, "the table was altered since the run opened it: %s", diff)
	}
	l := o.e.cfg.Limits
	if !out.v.Created.IsZero() && o.e.cfg.Now().After(out.v.Created.Add(l.SessionLife-l.SessionMargin)) {
		return apierr.New(apierr.RunClosed, "the run's upload session ends within %v: no slice can be opened any more", l.SessionMargin).
			With("state", o.run.State.String())
	}
	return nil
}

func (o *opening) txn(ctx context.Context, run stored[runRecord], lock stored[lockRecord], out stored[outputRecord], schema stored[table.Schema],
	slice stored[sliceRecord], held stored[holdRecord]) (Txn, error) {
	e, now := o.e, o.e.cfg.Now().UTC()
	o.existed = slice.exists()
	o.sameWriter = slice.v.Worker == o.req.WorkerID && slice.v.Writer == o.req.WriterNumber
	o.slice = o.next(slice, now)
	o.discarded = 0
	if slice.exists() && o.action == openEmpty && slice.v.State != SliceAborted {
		o.discarded = int64(slice.v.Durable)
	}
	txn := Txn{
		Compares: append(e.compareRun(run), lock.unchanged(), slice.unchanged(), held.unchanged()),
		Puts:     []Put{slice.put(o.slice)},
	}
	if o.action != openInherit {
		txn.Puts = append(txn.Puts, held.put(holdRecord{Replica: e.cfg.Replica, Term: o.slice.Term}))
	}
	if !run.exists() {
		txn.Puts = append(txn.Puts, run.put(run.v))
		if e.rules.ignoreRunState {
			txn.Compares = append(txn.Compares, run.unchanged())
		}
	}
	if !lock.exists() {
		txn.Puts = append(txn.Puts, lock.put(lockRecord{Run: o.key.run}))
	}
	if !slice.exists() || slice.v.State != SliceOpen && o.slice.State == SliceOpen {
		rec, err := o.oneMoreUnsealed(ctx, run.v, out, slice)
		if err != nil {
			return Txn{}, err
		}
		txn.Compares = append(txn.Compares, out.unchanged())
		txn.Puts = append(txn.Puts, out.put(rec))
	}
	if !schema.exists() {
		txn.Compares = append(txn.Compares, schema.unchanged())
		txn.Puts = append(txn.Puts, schema.put(o.info.Schema))
	}
	return txn, nil
}

// next is the slice after this open.
func (o *opening) next(old stored[sliceRecord], now time.Time) sliceRecord {
	n := sliceRecord{
		State: SliceOpen, Attempt: o.req.Attempt, Term: old.v.Term + 1, Floor: old.v.Floor, Worker: o.req.WorkerID, Writer: o.req.WriterNumber,
		Try: o.req.OpenNumber, Principal: o.req.Principal, Client: o.req.Client, Durable: old.v.Durable, Bytes: old.v.Bytes, Opened: now,
	}
	if n.Try == 0 {
		n.Try = 1
		if old.v.Worker == n.Worker && old.v.Writer == n.Writer {
			n.Try = old.v.Try + 1
		}
	}
	switch o.action {
	case openEmpty:
		n.Floor, n.Durable, n.Bytes = n.Term, 0, 0
	case openInherit:
		n.State, n.Opened = SliceSealed, old.v.Opened
	}
	return n
}

// oneMoreUnsealed is the output's record once one more of its slices needs an id for its seal. Every such open puts
// it, so that reservations, which compare it, never count too few.
func (o *opening) oneMoreUnsealed(ctx context.Context, run runRecord, out stored[outputRecord], slice stored[sliceRecord]) (outputRecord, error) {
	rec := out.v
	if !out.exists() {
		rec = outputRecord{Ref: o.ref, State: OutputOpen}
		if o.decl.Options.Clear == ClearAtOpen {
			rec.Clear = clearNeeded
		}
	}
	if !slice.exists() {
		rec.Opened++
	}
	needed := int32(0) // ids beyond those that are kept already
	if slice.v.State == SliceSealed {
		needed = 1
	}
	spare, err := o.e.spareBlocks(ctx, run, o.key.out, rec)
	if err == nil && spare < needed {
		err = tooManyBlocks()
	}
	return rec, err
}

// withRest tells a loser of a conflict how long the holder's lease still runs.
func (o *opening) withRest(err error) error {
	var e *apierr.Error
	if errors.As(err, &e) && e.Reason() == apierr.SliceConflict {
		rest := o.run.LeaseTTL
		if w := o.e.holdOf(o.key); w != nil {
			rest = time.Until(w.leaseExpires())
		}
		e.WithRetryAfter(max(rest, time.Millisecond))
	}
	return err
}

// hold makes the Writer of a slice that the ledger says is ours, and clears the output if that is still to be done.
func (o *opening) hold(ctx context.Context) (*Writer, Opened, error) {
	e := o.e
	e.touch(o.key.run)
	opened := Opened{
		RunID: o.key.run, WorkerID: o.req.WorkerID, Term: o.slice.Term, LeaseTTL: o.run.LeaseTTL, State: o.slice.State, Attempt: o.slice.Attempt,
		ResumeOffset: o.slice.Durable, DiscardedRows: o.discarded, Schema: &o.info.Schema, ReplayBytes: o.req.ReplayBytes,
	}
	if o.action == openAborted {
		opened.Aborted = &o.slice.Dropped
		return nil, opened, nil
	}
	w := newWriter(o)
	if o.existed && !o.sameWriter { // what a resume left is buried by the commit: AppendRows resumes all the time
		e.buryLater(ctx, o.key.run, o.key.out)
	}
	if o.slice.State == SliceSealed {
		sealed, err := e.sealedAnswer(ctx, o.key.run, o.slice)
		w.sealed = &sealed
		opened.Sealed = &sealed
		if old := e.holdOf(o.key); old != nil && o.action == openInherit {
			old.fail(fencedBy(o.slice))
		}
		return w, opened, err
	}
	w.busy = 1 // until the open is answered
	if !e.register(w) {
		return nil, Opened{}, e.draining()
	}
	err := e.clearAtOpen(ctx, o.key.run, o.key.out)
	w.answered()
	if err != nil {
		w.Detach()
		return nil, Opened{}, err
	}
	return w, opened, nil
}

func (e *Engine) sealedAnswer(ctx context.Context, id RunID, s sliceRecord) (Sealed, error) {
	completes, err := e.completes(ctx, id)
	return Sealed{Rows: int64(s.Durable), CompletesRun: completes}, err
}

// answerEnded answers an open in a run that is COMMITTING or has ended: the writer that sealed learns so, everybody
// else gets RUN_CLOSED.
func (o *opening) answerEnded(ctx context.Context) (*Writer, Opened, error) {
	e := o.e
	s, err := get[sliceRecord](ctx, e, o.key.slices())
	if err != nil {
		return nil, Opened{}, err
	}
	sealer := s.exists() && s.v.State == SliceSealed && s.v.Worker == o.req.WorkerID && s.v.Writer == o.req.WriterNumber &&
		(o.req.OpenNumber == 0 || o.req.OpenNumber > s.v.Try) && s.v.Attempt == o.req.Attempt
	if !sealer {
		return nil, Opened{}, runClosed(o.run)
	}
	if s.v.Principal != o.req.Principal {
		return nil, Opened{}, apierr.New(apierr.Permission, "the slice was sealed by another principal")
	}
	schema, err := get[table.Schema](ctx, e, keySchema(o.key.run, o.key.out))
	if err != nil {
		return nil, Opened{}, err
	}
	o.slice = s.v
	w := newWriter(o)
	w.sealed = &Sealed{Rows: int64(s.v.Durable), CompletesRun: true}
	opened := Opened{
		RunID: o.key.run, WorkerID: o.req.WorkerID, Term: s.v.Term, LeaseTTL: o.run.LeaseTTL, State: SliceSealed, Attempt: s.v.Attempt,
		ResumeOffset: s.v.Durable, Schema: &schema.v, ReplayBytes: o.req.ReplayBytes, Sealed: w.sealed,
	}
	if o.run.State.Ended() {
		view, err := e.view(ctx, o.run)
		if err != nil {
			return nil, Opened{}, err
		}
		opened.Finished = &view
	}
	return w, opened, nil
}
