package write

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-io/sluice/service/internal/apierr"
)

// CreateRun makes a run, or finds the one that is there: created says which. Other settings under a known id are
// BAD_ARGUMENT (metadata field). It touches only the ledger. A run that ended is returned as it ended.
func (e *Engine) CreateRun(ctx context.Context, spec RunSpec) (run Run, created bool, err error) {
	rec, err := e.newRun(spec, false)
	if err != nil {
		return Run{}, false, err
	}
	err = e.transact(ctx, func(ctx context.Context, maybe bool) (Txn, error) {
		have, err := get[runRecord](ctx, e, keyRun(rec.ID))
		if err != nil {
			return Txn{}, err
		}
		if have.exists() {
			created = maybe && have.v.Created.Equal(rec.Created) // ours, whose outcome was unknown
			return Txn{}, sameSettings(rec, have.v)
		}
		created = true
		return Txn{Compares: []Compare{have.unchanged()}, Puts: []Put{have.put(rec)}}, nil
	})
	if err != nil {
		return Run{}, false, err
	}
	e.touch(rec.ID)
	stored, err := e.loadRun(ctx, rec.ID)
	if err != nil {
		return Run{}, false, err
	}
	run, err = e.view(ctx, stored.v)
	return run, created, err
}

func (e *Engine) newRun(spec RunSpec, implicit bool) (runRecord, error) {
	l := e.cfg.Limits
	now := e.cfg.Now().UTC()
	rec := runRecord{
		ID: spec.ID, State: RunOpen, Implicit: implicit, Labels: maps.Clone(spec.Labels), LeaseTTL: spec.LeaseTTL, RunTTL: spec.RunTTL,
		Creator: spec.Creator, Created: now, Updated: now,
	}
	if !validID(string(spec.ID)) {
		return rec, badField("run_id", "run_id is not 1–128 of A–Z a–z 0–9 . _ : -")
	}
	if err := ttl(&rec.LeaseTTL, "lease_ttl", l.LeaseDefault, l.LeaseLeast, l.LeaseMost); err != nil {
		return rec, err
	}
	if err := ttl(&rec.RunTTL, "run_ttl", l.RunDefault, l.RunLeast, l.RunMost); err != nil {
		return rec, err
	}
	if len(spec.Outputs) == 0 || len(spec.Outputs) > l.MaxOutputs {
		return rec, badField("outputs", fmt.Sprintf("a run has 1 to %d outputs", l.MaxOutputs))
	}
	for i, o := range spec.Outputs {
		field := fmt.Sprintf("outputs[%d]", i)
		if _, twice := rec.find(o.Ref); twice {
			return rec, badField(field+".table", "output is declared twice")
		}
		if o.SliceCount < 0 || o.SliceCount > l.MaxSlices {
			return rec, badField(field+".slice_count", fmt.Sprintf("slice_count is not within 0…%d", l.MaxSlices))
		}
		opts := o.Options.WithDefaults()
		if err := checkOptions(opts, field+".options"); err != nil {
			return rec, err
		}
		rec.Outputs = append(rec.Outputs, declaredOutput{Ref: o.Ref, Text: o.Text, SliceCount: o.SliceCount, Options: opts})
	}
	return rec, nil
}

func checkOptions(o OutputOptions, field string) error {
	switch {
	case o.Mode == Upsert:
		return apierr.New(apierr.Unsupported, "write mode UPSERT is not offered here").With("field", field+".mode")
	case o.Visibility == VisibilityPerSlice:
		return apierr.New(apierr.Unsupported, "visibility PER_SLICE is not offered here").With("field", field+".visibility")
	case o.Mode > Upsert || o.Clear > ClearAtOpen || o.Visibility > VisibilityPerSlice || o.MissingPartition > FailMissing:
		return badField(field, "an option has an unknown number")
	case o.Clear == ClearAtOpen && o.Mode != Replace:
		return badField(field+".clear", "AT_OPEN goes only with REPLACE")
	}
	return nil
}

func ttl(d *time.Duration, field string, def, least, most time.Duration) error {
	if *d == 0 {
		*d = def
	}
	if *d < least || *d > most {
		return badField(field, fmt.Sprintf("%s is not within %v…%v", field, least, most))
	}
	return nil
}

func badField(field, message string) error {
	return apierr.New(apierr.BadArgument, "%s", message).With("field", field).WithViolation(field, message)
}

func validID(id string) bool {
	if len(id) == 0 || len(id) > 128 {
		return false
	}
	for i := range len(id) {
		c := id[i]
		letter := c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
		if !letter && (i == 0 || !strings.ContainsRune("._:-", rune(c))) {
			return false
		}
	}
	return true
}

// sameSettings compares what callers choose.
func sameSettings(want, have runRecord) error {
	field, why := difference(want, have)
	if field == "" {
		return nil
	}
	return apierr.New(apierr.BadArgument, "run %q exists with other settings: %s %s", have.ID, field, why).
		With("field", field).With("run_id", string(have.ID)).WithViolation(field, why)
}

// difference names the first field in which a run differs from what is wanted, and how; "" if there is none.
func difference(want, have runRecord) (field, why string) {
	switch {
	case want.LeaseTTL != have.LeaseTTL:
		return "lease_ttl", isNot(have.LeaseTTL, want.LeaseTTL)
	case want.RunTTL != have.RunTTL:
		return "run_ttl", isNot(have.RunTTL, want.RunTTL)
	case !maps.Equal(want.Labels, have.Labels):
		return "labels", "are others"
	case want.Implicit != have.Implicit:
		return "run_id", "belongs to a run of another kind: only one of the two was opened without CreateRun"
	case len(want.Outputs) != len(have.Outputs):
		return "outputs", fmt.Sprintf("are %d, not %d", len(have.Outputs), len(want.Outputs))
	}
	for i, o := range want.Outputs {
		field = fmt.Sprintf("outputs[%d]", i)
		at, ok := have.find(o.Ref) // workers may list them in any order
		if !ok {
			return field + ".table", "is not declared: " + o.Ref.Path()
		}
		there := have.Outputs[at]
		a, b := there.Options, o.Options
		switch {
		case there.SliceCount != o.SliceCount:
			return field + ".slice_count", isNot(there.SliceCount, o.SliceCount)
		case a.Mode != b.Mode:
			return field + ".options.mode", isNot(a.Mode.word(), b.Mode.word())
		case a.Clear != b.Clear:
			return field + ".options.clear", isNot(a.Clear.word(), b.Clear.word())
		case a.Visibility != b.Visibility:
			return field + ".options.visibility", isNot(a.Visibility.word(), b.Visibility.word())
		case a.MissingPartition != b.MissingPartition:
			return field + ".options.missing_partition", isNot(a.MissingPartition.word(), b.MissingPartition.word())
		}
	}
	return "", ""
}

// The API's words for options, for messages; defaults are filled in before.
func (m WriteMode) word() string        { return word(uint8(m), "REPLACE", "APPEND", "UPSERT") }
func (c Clear) word() string            { return word(uint8(c), "AT_COMMIT", "AT_OPEN") }
func (v Visibility) word() string       { return word(uint8(v), "RUN", "PER_SLICE") }
func (m MissingPartition) word() string { return word(uint8(m), "CREATE", "FAIL") }

func word(n uint8, words ...string) string {
	if n == 0 || int(n) > len(words) {
		return strconv.Itoa(int(n))
	}
	return words[n-1]
}

func isNot(have, want any) string { return fmt.Sprintf("is %v, not %v", have, want) }

// GetRun reads a run. With wait > 0 it answers as soon as the run has ended, or when the time is up.
func (e *Engine) GetRun(ctx context.Context, id RunID, wait time.Duration) (Run, error) {
	deadline := time.NewTimer(wait)
	defer deadline.Stop()
	for {
		changed := e.changes(id)
		r, err := e.loadRun(ctx, id)
		if err != nil {
			return Run{}, err
		}
		if wait <= 0 || r.v.State.Ended() {
			return e.view(ctx, r.v)
		}
		select {
		case <-changed:
		case <-deadline.C:
			wait = 0
		case <-ctx.Done():
			return Run{}, ctx.Err()
		}
	}
}

// changes is closed when the run may have moved. Asking is a sign of life of runs that have not ended.
func (e *Engine) changes(id RunID) <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	l := e.lives[id]
	if l == nil {
		return nil
	}
	l.lastSign = e.cfg.Now()
	return l.changed
}

// ListRuns gives runs newest first, and the token of the next page, empty at the end.
func (e *Engine) ListRuns(ctx context.Context, q RunQuery) ([]Run, string, error) {
	after, err := readToken(q.PageToken)
	if err != nil {
		return nil, "", err
	}
	all, err := list[runRecord](ctx, e, Key("run/"+q.IDPrefix))
	if err != nil {
		return nil, "", err
	}
	all = slices.DeleteFunc(all, func(r stored[runRecord]) bool { return !q.matches(r.v) || orderToken(r.v) <= after })
	slices.SortFunc(all, func(a, b stored[runRecord]) int { return cmp.Compare(orderToken(a.v), orderToken(b.v)) })
	next := ""
	if n := pageSize(q.PageSize); len(all) > n {
		all = all[:n]
		next = writeToken(orderToken(all[n-1].v))
	}
	runs := make([]Run, len(all))
	for i, r := range all {
		if runs[i], err = e.view(ctx, r.v); err != nil {
			return nil, "", err
		}
	}
	return runs, next, nil
}

func (q RunQuery) matches(r runRecord) bool {
	if len(q.States) > 0 && !slices.Contains(q.States, r.State) {
		return false
	}
	for k, v := range q.Labels {
		if have, ok := r.Labels[k]; !ok || have != v {
			return false
		}
	}
	if q.Output != nil {
		if _, ok := r.find(*q.Output); !ok {
			return false
		}
	}
	return true
}

// orderToken sorts newest first, then by id.
func orderToken(r runRecord) string {
	return fmt.Sprintf("%020d/%s", uint64(1<<63)-uint64(r.Created.UnixNano()), r.ID)
}

func pageSize(asked int) int {
	if asked <= 0 {
		return 100
	}
	return min(asked, 1000)
}

func writeToken(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func readToken(token string) (string, error) {
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return "", badField("page_token", "page_token is not one of ours")
	}
	return string(b), nil
}

// ListSlices gives the slices of a run by output and id, and the token of the next page.
func (e *Engine) ListSlices(ctx context.Context, q SliceQuery) ([]Slice, string, error) {
	after, err := readToken(q.PageToken)
	if err != nil {
		return nil, "", err
	}
	run, err := e.loadRun(ctx, q.RunID)
	if err != nil {
		return nil, "", err
	}
	e.changes(q.RunID)
	prefix := prefixRunSlices(q.RunID)
	if q.Output != nil {
		out, ok := run.v.find(*q.Output)
		if !ok {
			return nil, "", notPredefined(q.Output.Path())
		}
		prefix = prefixSlices(q.RunID, out)
	}
	holders, err := e.holders(ctx, q.RunID)
	if err != nil {
		return nil, "", err
	}
	var found []Slice
	for n := pageSize(q.PageSize); ; {
		entries, err := e.cfg.Ledger.List(ctx, prefix, Key(after), n+1)
		if err != nil {
			return nil, "", ledgerError(err)
		}
		for _, entry := range entries {
			s, err := e.sliceView(run.v, entry, holders)
			if err != nil {
				return nil, "", err
			}
			if len(q.States) > 0 && !slices.Contains(q.States, s.State) {
				after = string(entry.Key)
				continue
			}
			if len(found) == n {
				return found, writeToken(after), nil
			}
			found = append(found, s)
			after = string(entry.Key)
		}
		if len(entries) <= n {
			return found, "", nil
		}
	}
}

func (e *Engine) holders(ctx context.Context, id RunID) (map[Key]bool, error) {
	all, err := list[holdRecord](ctx, e, prefixHolds(id))
	if err != nil {
		return nil, err
	}
	held := make(map[Key]bool, len(all))
	for _, h := range all {
		held[h.key] = true
	}
	return held, nil
}

func (e *Engine) sliceView(run runRecord, entry Entry, holders map[Key]bool) (Slice, error) {
	s, err := decode[sliceRecord](entry)
	if err != nil {
		return Slice{}, err
	}
	key, err := parseSliceKey(entry.Key)
	if err != nil {
		return Slice{}, err
	}
	out := run.Outputs[key.out]
	v := Slice{
		Output: out.Ref, OutputText: out.Text, ID: key.slice, State: sliceState(run, s.v, holders[key.hold()]), Attempt: s.v.Attempt, Term: s.v.Term,
		WorkerID: s.v.Worker, Principal: s.v.Principal, Client: s.v.Client, DurableThrough: s.v.Durable, DurableBytes: s.v.Bytes,
		Opened: s.v.Opened,
	}
	if w := e.holdOf(key); w != nil && v.State == SliceOpen {
		v.LeaseExpires, v.Wait = w.leaseExpires(), w.Wait()
	}
	return v, nil
}

// sliceState is the state callers see: LOST and the end of the run are derived.
func sliceState(run runRecord, s sliceRecord, held bool) SliceState {
	switch {
	case run.State == RunAborted:
		return SliceAborted
	case s.State == SliceOpen && !held:
		return SliceLost
	default:
		return s.State
	}
}

// view makes a Run of the record and what hangs on it.
func (e *Engine) view(ctx context.Context, r runRecord) (Run, error) {
	run := Run{
		ID: r.ID, State: r.State, Implicit: r.Implicit, Labels: r.Labels, LeaseTTL: r.LeaseTTL, RunTTL: r.RunTTL, Creator: r.Creator,
		Created: r.Created, Updated: r.Updated, Ended: r.Ended, Err: r.Err.err(),
	}
	if r.State.Ended() {
		run.Expires = r.Ended.Add(e.cfg.Limits.Retention)
	}
	holders, err := e.holders(ctx, r.ID)
	if err != nil {
		return Run{}, err
	}
	for i, o := range r.Outputs {
		out, err := get[outputRecord](ctx, e, keyOutput(r.ID, i))
		if err != nil {
			return Run{}, err
		}
		v := Output{Spec: OutputSpec(o), State: outputState(r, out), Err: out.v.Err.err(), CommitTime: out.v.Committed}
		if v.State == OutputCommitted {
			v.CommittedRows = out.v.Rows
		}
		if out.exists() {
			if err := e.countSlices(ctx, r, i, holders, &v); err != nil {
				return Run{}, err
			}
		}
		if !out.v.Created.IsZero() && !r.State.Ended() {
			run.Expires = earlier(run.Expires, out.v.Created.Add(e.cfg.Limits.SessionLife))
		}
		run.Outputs = append(run.Outputs, v)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if l := e.lives[r.ID]; l != nil && !r.State.Ended() {
		run.Wait = l.wait
		if run.Err == nil && l.err != nil {
			run.Err = apierr.From(l.err)
		}
	}
	return run, nil
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

func outputState(r runRecord, out stored[outputRecord]) OutputState {
	switch {
	case out.exists() && out.v.State != OutputOpen:
		return out.v.State
	case r.State == RunAborted && out.exists():
		return OutputAborted
	case r.State == RunCommitting && out.exists():
		return OutputCommitting
	case !out.exists() && r.State.Ended() && r.State != RunAborted:
		return OutputUntouched
	case !out.exists():
		return OutputUnopened
	default:
		return out.v.State
	}
}

func (e *Engine) countSlices(ctx context.Context, r runRecord, out int, holders map[Key]bool, v *Output) error {
	all, err := list[sliceRecord](ctx, e, prefixSlices(r.ID, out))
	if err != nil {
		return err
	}
	for _, s := range all {
		key, err := parseSliceKey(s.key)
		if err != nil {
			return err
		}
		switch sliceState(r, s.v, holders[key.hold()]) {
		case SliceOpen:
			v.OpenSlices++
		case SliceSealed:
			v.SealedSlices++
		case SliceLost:
			v.LostSlices++
		default:
			continue
		}
		v.DurableRows += int64(s.v.Durable)
		v.DurableBytes += s.v.Bytes
	}
	return nil
}
