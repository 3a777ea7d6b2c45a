package write

import (
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/table"
)

// The records of the ledger. Names in JSON are frozen (docs/formats/ledger.md): fields are added, never changed.

// closeWhy says why a run is CLOSING.
type closeWhy string

const (
	whyComplete closeWhy = "complete"
	whyAbort    closeWhy = "abort"
	whyExpire   closeWhy = "expire"
)

type runRecord struct {
	ID       RunID             `json:"id"`
	State    RunState          `json:"state"`
	Implicit bool              `json:"implicit,omitempty"`
	Outputs  []declaredOutput  `json:"outputs"`
	Labels   map[string]string `json:"labels,omitempty"`
	LeaseTTL time.Duration     `json:"lease_ttl"`
	RunTTL   time.Duration     `json:"run_ttl"`
	Creator  string            `json:"creator,omitempty"`
	Created  time.Time         `json:"created"`
	Updated  time.Time         `json:"updated"`
	Ended    time.Time         `json:"ended,omitzero"`
	Why      closeWhy          `json:"why,omitempty"`     // from CLOSING on
	Message  string            `json:"message,omitempty"` // of AbortRun
	Expect   []expectRecord    `json:"expect,omitempty"`  // of CompleteRun
	Err      *errRecord        `json:"err,omitempty"`
	// Unclean says that the run has ended but its blocks, holds or locks are still to be removed.
	Unclean bool `json:"unclean,omitempty"`
	// GivenUp says that nobody will ask again for the failed outputs of a PARTIALLY_COMMITTED run.
	GivenUp bool `json:"given_up,omitempty"`
}

type declaredOutput struct {
	Ref        table.Ref     `json:"ref"`
	Text       string        `json:"text,omitempty"`
	SliceCount int32         `json:"slice_count,omitempty"`
	Options    OutputOptions `json:"options"`
}

type expectRecord struct {
	Output     int    `json:"output"`
	SliceCount int32  `json:"slice_count,omitempty"`
	Rows       *int64 `json:"rows,omitempty"`
}

// clearState is how far an AT_OPEN clearing is.
type clearState string

const (
	clearNone   clearState = ""
	clearNeeded clearState = "needed"
	clearSent   clearState = "sent" // its session is named here, its commit may have been sent
	clearDone   clearState = "done"
)

// outputRecord exists from the output's first open.
type outputRecord struct {
	Ref       table.Ref   `json:"ref"` // partition in table order
	State     OutputState `json:"state"`
	Session   string      `json:"session,omitempty"` // the one upload session whose rows are committed
	Created   time.Time   `json:"session_created,omitzero"`
	NextBlock BlockID     `json:"next_block"`
	Opened    int32       `json:"opened"` // slices ever opened

	Clear        clearState `json:"clear,omitempty"`
	ClearSession string     `json:"clear_session,omitempty"`

	// Posts counts commit POSTs about to be sent, for the clearing and for the session together; Settled those of them
	// known to have no effect any more. A refusal means failure only when the two are equal.
	Posts   int `json:"posts,omitempty"`
	Settled int `json:"settled,omitempty"`

	// Count and Digest of the live blocks, and their rows, fixed at the point of no return.
	Count  int    `json:"count,omitempty"`
	Digest uint32 `json:"digest,omitempty"`
	Rows   int64  `json:"rows,omitempty"`

	Committed time.Time  `json:"committed,omitzero"`
	Alarm     string     `json:"alarm,omitempty"`
	Err       *errRecord `json:"err,omitempty"`
}

type sliceRecord struct {
	State     SliceState `json:"state"` // OPEN, SEALED or ABORTED
	Attempt   Attempt    `json:"attempt"`
	Term      Term       `json:"term"`
	Floor     Term       `json:"floor"` // blocks of lower terms are discarded
	Worker    string     `json:"worker"`
	Writer    int64      `json:"writer"`
	Try       int64      `json:"try"`
	Principal string     `json:"principal,omitempty"`
	Client    string     `json:"client,omitempty"`
	Durable   RowOffset  `json:"durable"` // durable_through
	Bytes     int64      `json:"bytes"`
	Opened    time.Time  `json:"opened"`
	Dropped   int64      `json:"dropped,omitempty"` // rows, by the writer's abort
}

// holdRecord says that a slice has a holder. It alone hangs on a lease.
type holdRecord struct {
	Replica string `json:"replica"`
	Term    Term   `json:"term"`
}

type lockRecord struct {
	Run RunID `json:"run"`
}

type blockState string

const (
	blockReserved blockState = "reserved"
	blockRecorded blockState = "recorded"
	blockBuried   blockState = "buried" // dead, and its tombstone is stored
)

type blockRecord struct {
	State    blockState `json:"state"`
	Slice    SliceID    `json:"slice"`
	Term     Term       `json:"term"`
	Form     uint8      `json:"form"`
	First    RowOffset  `json:"first"`
	Rows     int64      `json:"rows,omitempty"`
	Bytes    int64      `json:"bytes,omitempty"`
	Checksum uint32     `json:"checksum,omitempty"`
	Receipt  string     `json:"receipt,omitempty"`
}

// live says that the block's rows belong to the slice's content.
func (b blockRecord) live(s sliceRecord) bool {
	return b.State == blockRecorded && b.Term >= s.Floor
}

// errRecord is an error as the ledger keeps it.
type errRecord struct {
	Reason  apierr.Reason     `json:"reason"`
	Message string            `json:"message"`
	Meta    map[string]string `json:"meta,omitempty"`
}

func recordOf(err error) *errRecord {
	e := apierr.From(err)
	return &errRecord{Reason: e.Reason(), Message: e.Message(), Meta: e.Metadata()}
}

func (r *errRecord) err() *apierr.Error {
	if r == nil {
		return nil
	}
	e := apierr.New(r.Reason, "%s", r.Message)
	for k, v := range r.Meta {
		if k != "retry" {
			e.With(k, v)
		}
	}
	return e
}

// stored is a record together with where it was read.
type stored[T any] struct {
	key Key
	rev Revision // 0 = not there, v is then zero
	v   T
}

func (s stored[T]) exists() bool { return s.rev != 0 }

func (s stored[T]) unchanged() Compare { return Compare{Key: s.key, Revision: s.rev} }

func (s stored[T]) put(v T) Put { return Put{Key: s.key, Value: encode(v)} }

func decode[T any](e Entry) (stored[T], error) {
	s := stored[T]{key: e.Key, rev: e.Revision}
	if e.Revision == 0 {
		return s, nil
	}
	if err := json.Unmarshal(e.Value, &s.v); err != nil {
		return s, fmt.Errorf("decode ledger entry %q: %w", e.Key, err)
	}
	return s, nil
}

// decodeInto is decode for entries of several types at once: errors are collected.
func decodeInto[T any](e Entry, into *stored[T], errs *error) {
	s, err := decode[T](e)
	*into = s
	*errs = errors.Join(*errs, err)
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("write: ledger record %T cannot be encoded: %v", v, err)) // plain data only
	}
	return b
}

// matchKey compares outputs: names are canonical, partition columns fold case and may stand in any order.
func matchKey(r table.Ref) string {
	spec := make(table.Spec, len(r.Partition))
	for i, p := range r.Partition {
		spec[i] = table.Part{Column: strings.ToLower(p.Column), Value: p.Value}
	}
	sort.Slice(spec, func(i, j int) bool { return spec[i].Column < spec[j].Column })
	return table.Ref{Name: table.NewName(r.Name.Project, r.Name.Schema, r.Name.Table), Partition: spec}.Key()
}

func (r *runRecord) find(ref table.Ref) (int, bool) {
	want := matchKey(ref)
	for i, o := range r.Outputs {
		if matchKey(o.Ref) == want {
			return i, true
		}
	}
	return 0, false
}
