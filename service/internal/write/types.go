package write

import (
	"time"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/batch"
	"github.com/sluice-io/sluice/service/internal/table"
)

// RunID names a run: 1–128 of A–Z a–z 0–9 . _ : -, the first a letter or digit.
type RunID string

// SliceID numbers one writer's share of an output, from 0.
type SliceID int32

// Attempt is the number of a worker's incarnation, given by the worker: the larger may take a slice over.
type Attempt int64

// Term is the ledger's number of a slice's current hold. It rises at every open, resume and takeover; only the newest
// may reserve, record or seal.
type Term int64

// RowOffset is a position within a slice's current content, in rows from 0. As a watermark it is exclusive.
type RowOffset int64

// WriteMode says what becomes of the rows an output held before the run. The numbers are the API's.
type WriteMode uint8

// The write modes.
const (
	Replace WriteMode = iota + 1
	Append
	Upsert // UNSUPPORTED
)

// Clear says when the old rows of a replaced output disappear. The numbers are the API's.
type Clear uint8

// When the old rows disappear.
const (
	ClearAtCommit Clear = iota + 1
	ClearAtOpen
)

// Visibility says what is committed together. The numbers are the API's.
type Visibility uint8

// What is committed together.
const (
	VisibilityRun Visibility = iota + 1
	VisibilityPerSlice
)

// MissingPartition says what an open does about a partition that does not exist. The numbers are the API's.
type MissingPartition uint8

// What an open does about a missing partition.
const (
	CreateMissing MissingPartition = iota + 1
	FailMissing
)

// OnTakeover says what becomes of another worker's durable rows. The numbers are the API's.
type OnTakeover uint8

// What a takeover does.
const (
	Discard OnTakeover = iota + 1
	Resume
)

// OutputOptions is how an output is written. Zero fields mean the defaults: Replace, ClearAtCommit, VisibilityRun,
// CreateMissing.
type OutputOptions struct {
	Mode             WriteMode        `json:"mode"`
	Clear            Clear            `json:"clear"`
	Visibility       Visibility       `json:"visibility"`
	MissingPartition MissingPartition `json:"missing_partition"`
}

// WithDefaults gives o with its zero fields filled.
func (o OutputOptions) WithDefaults() OutputOptions {
	if o.Mode == 0 {
		o.Mode = Replace
	}
	if o.Clear == 0 {
		o.Clear = ClearAtCommit
	}
	if o.Visibility == 0 {
		o.Visibility = VisibilityRun
	}
	if o.MissingPartition == 0 {
		o.MissingPartition = CreateMissing
	}
	return o
}

// OutputSpec declares one output of a run.
type OutputSpec struct {
	Ref        table.Ref // as declared; the partition may be in any order, it is matched by column
	Text       string    // as given by the caller, for messages; may be empty
	SliceCount int32     // 0 = unknown
	Options    OutputOptions
}

// RunSpec is what CreateRun is asked for. Zero durations mean the defaults of Limits.
type RunSpec struct {
	ID       RunID
	Outputs  []OutputSpec
	Labels   map[string]string
	LeaseTTL time.Duration
	RunTTL   time.Duration
	Creator  string // principal
}

// RunState is where a run is in its life. The numbers are the API's.
type RunState uint8

// The states of a run; doc.go draws the ways between them.
const (
	RunOpen RunState = iota + 1
	RunClosing
	RunCommitting
	RunCommitted
	RunPartiallyCommitted
	RunAborted
	RunFailed
)

// String is the state's name in the API.
func (s RunState) String() string {
	return nameOf(s, "OPEN", "CLOSING", "COMMITTING", "COMMITTED", "PARTIALLY_COMMITTED", "ABORTED", "FAILED")
}

// Ended says that the run is none of OPEN, CLOSING, COMMITTING.
func (s RunState) Ended() bool { return s >= RunCommitted }

// OutputState is where an output is in its life. The numbers are the API's.
type OutputState uint8

// The states of an output.
const (
	OutputUnopened OutputState = iota + 1
	OutputOpen
	OutputCommitting
	OutputCommitted
	OutputAborted
	OutputFailed
	OutputUntouched
)

// String is the state's name in the API.
func (s OutputState) String() string {
	return nameOf(s, "UNOPENED", "OPEN", "COMMITTING", "COMMITTED", "ABORTED", "FAILED", "UNTOUCHED")
}

// SliceState is where a slice is in its life. The numbers are the API's.
type SliceState uint8

// The states of a slice. SliceLost is never stored: it is an open slice without a holder.
const (
	SliceOpen SliceState = iota + 1
	SliceSealed
	SliceLost
	SliceAborted
	SliceCommitting // PER_SLICE only
	SliceCommitted  // PER_SLICE only
)

// String is the state's name in the API.
func (s SliceState) String() string {
	return nameOf(s, "OPEN", "SEALED", "LOST", "ABORTED", "COMMITTING", "COMMITTED")
}

// WaitHolder says who holds something up. The numbers are the API's.
type WaitHolder uint8

// Who holds something up.
const (
	WaitSessionRate WaitHolder = iota + 1
	WaitBlockRate
	WaitCommitRate
	WaitBackendThrottle
	WaitBackendDown
	WaitMemory
	WaitPrincipalQuota
	WaitQuery
	WaitLedger
)

// Wait describes what a slice or run waits for.
type Wait struct {
	Holder   WaitHolder
	Since    time.Time
	Estimate time.Duration // 0 = unknown
	Message  string
}

// Run is a run as callers see it. Values are snapshots.
type Run struct {
	ID       RunID
	State    RunState
	Implicit bool
	Outputs  []Output
	Labels   map[string]string
	LeaseTTL time.Duration
	RunTTL   time.Duration
	Creator  string
	Created  time.Time
	Updated  time.Time
	Ended    time.Time // zero while it has not
	Expires  time.Time // end of its first upload session, or of the retention once ended; zero if neither is known
	Err      *apierr.Error
	Wait     *Wait
}

// Output is one output of a run as callers see it.
type Output struct {
	Spec         OutputSpec
	State        OutputState
	OpenSlices   int32
	SealedSlices int32
	LostSlices   int32
	DurableRows  int64
	DurableBytes int64
	// CommittedRows and CommitTime are set once the output is committed.
	CommittedRows int64
	CommitTime    time.Time
	Err           *apierr.Error
}

// Slice is a slice as callers see it.
type Slice struct {
	Output         table.Ref
	OutputText     string
	ID             SliceID
	State          SliceState
	Attempt        Attempt
	Term           Term
	WorkerID       string
	Principal      string
	Client         string
	DurableThrough RowOffset
	DurableBytes   int64
	Opened         time.Time
	LeaseExpires   time.Time // zero if nobody holds it, or another replica does
	Wait           *Wait
}

// RunQuery selects runs. Zero fields select everything.
type RunQuery struct {
	PageSize  int // 0 = 100, above 1,000 lowered to it
	PageToken string
	Output    *table.Ref
	States    []RunState
	IDPrefix  string
	Labels    map[string]string // all must match
}

// SliceQuery selects slices of one run.
type SliceQuery struct {
	RunID     RunID
	Output    *table.Ref
	States    []SliceState
	PageSize  int
	PageToken string
}

// Expectation is what CompleteRun asserts of one output before it commits.
type Expectation struct {
	Output     table.Ref
	SliceCount int32  // 0 = no assertion
	Rows       *int64 // nil = no assertion
}

// OpenRequest opens, resumes, reopens or takes over a slice.
type OpenRequest struct {
	RunID      RunID // empty = implicit run
	Output     table.Ref
	OutputText string // the output as given, for messages
	// PartitionGiven is the partition as given, column to value, in no order; nil = take Output.Partition.
	PartitionGiven map[string]string
	SliceID        SliceID
	Attempt        Attempt
	WorkerID       string // empty: one is made
	WriterNumber   int64
	OpenNumber     int64 // the try; 0 = the next
	OnTakeover     OnTakeover
	Implicit       *OutputOptions // only without RunID
	ReplayBytes    int64          // 0 = the default; raised to the least
	DurableSeen    RowOffset
	Principal      string
	Client         string
	// CheckSchema is called with the table's schema at its place in the order of checks; may be nil.
	CheckSchema func(*table.Schema) error
	// Short marks an AppendRows call: the hold is expected to last one call.
	Short bool
}

// Opened is what an open found and did.
type Opened struct {
	RunID         RunID
	WorkerID      string
	Term          Term
	LeaseTTL      time.Duration
	State         SliceState
	Attempt       Attempt
	ResumeOffset  RowOffset
	DiscardedRows int64
	Schema        *table.Schema
	ReplayBytes   int64
	// Sealed is set when the slice was sealed before this open, which then found nothing left to do.
	Sealed *Sealed
	// Finished is set when also the run has ended.
	Finished *Run
	// Aborted is set when this writer had aborted the slice: the rows it dropped then.
	Aborted *int64
}

// AppendResult tells what became of a batch that was not rejected.
type AppendResult struct {
	DuplicateRows  int64 // rows below the accepted offset
	UnverifiedRows int64 // those of them that could not be compared
}

// Sealed is the answer to a seal.
type Sealed struct {
	Rows         int64
	CompletesRun bool // the run's commit follows by itself
}

// CheckFunc checks a batch and makes it ready for the tunnel. It is called once at most, for a batch at the expected
// offset, by the goroutine that called Append.
type CheckFunc func() (*batch.Checked, error)

// nameOf is the n-th name, counted from 1.
func nameOf[T ~uint8](n T, names ...string) string {
	if n == 0 || int(n) > len(names) {
		return "UNSPECIFIED"
	}
	return names[n-1]
}
