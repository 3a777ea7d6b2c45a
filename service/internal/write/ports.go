package write

import (
	"context"
	"errors"
	"time"

	"github.com/sluice-io/sluice/service/internal/batch"
	"github.com/sluice-io/sluice/service/internal/table"
)

// BlockID numbers a block within one upload session, from 0. An id is given out once and never again.
type BlockID int32

// Versions of a block's bytes. The higher version of an id replaces the lower one, whenever it arrives. Frozen: data is
// always version 1 and a tombstone always version 2, so that (id, version) names one byte string for ever.
const (
	DataVersion      int64 = 1
	TombstoneVersion int64 = 2
)

// Sentinels that a Backend's errors are compared with (errors.Is).
var (
	// ErrRefused marks a definite refusal of CommitUpload: the commit did not happen and, as far as this one POST is
	// concerned, will not.
	ErrRefused = errors.New("refused by the backend")
	// ErrNotSent marks a failure before any byte of the request left: it certainly had no effect.
	ErrNotSent = errors.New("not sent to the backend")
)

// Backend is what the write path needs of MaxCompute's tunnel. Implementations are safe for concurrent use, honour the
// context's cancellation, and classify their errors with package apierr; an error that is not an *apierr.Error counts
// as "outcome unknown, may be repeated".
type Backend interface {
	// Table looks a table up: TABLE_NOT_FOUND, PROJECT_NOT_FOUND, PERMISSION, BACKEND_UNAVAILABLE. Reads only.
	Table(ctx context.Context, name table.Name) (*table.Info, error)
	// PartitionExists says whether the partition named by ref exists. Reads only.
	PartitionExists(ctx context.Context, ref table.Ref) (bool, error)
	// CreateUpload makes an upload session. It may be repeated: a session nobody uses has no effect and expires.
	CreateUpload(ctx context.Context, spec UploadSpec) (*Upload, error)
	// Upload loads the session again, with its block list. A session that is gone is SESSION_EXPIRED. Reads only.
	Upload(ctx context.Context, out table.Ref, uploadID string) (*Upload, error)
	// OpenBlock begins a chunked PUT. ctx governs the whole PUT up to the end of Close.
	OpenBlock(ctx context.Context, target BlockTarget) (BlockWriter, error)
	// Tombstone PUTs an empty body (in target.Form) at target.Version. It may be repeated at will.
	Tombstone(ctx context.Context, target BlockTarget) error
	// CommitUpload is exactly one POST, with no retry inside. nil: taken. ErrRefused: it certainly has no effect, now
	// or later. ErrNotSent: nothing left. Anything else: the outcome is unknown, and it may still take effect.
	// Repeating it is harmless upstream, because a closed session cannot be committed again.
	CommitUpload(ctx context.Context, out table.Ref, uploadID string) error
}

// UploadSpec says what session to make.
type UploadSpec struct {
	Output          table.Ref
	Overwrite       bool // the commit replaces what the table or partition holds
	CreatePartition bool // a missing partition is made with the session
}

// UploadStatus is the state of an upload session.
type UploadStatus uint8

// States of an upload session (protocol 10).
const (
	UploadNormal UploadStatus = iota + 1
	UploadClosing
	UploadClosed
	UploadExpired
	UploadCanceled
	UploadCritical
)

// String is the word the protocol uses.
func (s UploadStatus) String() string {
	return nameOf(s, "normal", "closing", "closed", "expired", "canceled", "critical")
}

// Upload is an upload session as the backend shows it.
type Upload struct {
	ID      string
	Status  UploadStatus
	Blocks  []UploadedBlock
	Schema  table.Schema
	Created time.Time
}

// UploadedBlock is one entry of a session's block list.
type UploadedBlock struct {
	ID      BlockID
	Rows    int64
	Version int64
}

// BlockTarget addresses one PUT.
type BlockTarget struct {
	Output   table.Ref
	UploadID string
	Block    BlockID
	Version  int64
	Form     batch.Form
}

// BlockWriter is one open PUT. It ends in exactly one of Close or Abort. It is used by one goroutine at a time; Abort
// alone may come from another goroutine, and makes a blocked Write or Close return.
type BlockWriter interface {
	// Write hands a batch to the PUT. It takes ownership of c, also when it fails, and releases it once its bytes have
	// left. At most two batches queue; then Write blocks.
	Write(c *batch.Checked) error
	// Close sends the trailer and waits for the reply. The receipt is opaque and kept in the ledger. Any error means:
	// the fate of the PUT is unknown, unless errors.Is(err, ErrNotSent).
	Close(ctx context.Context) (receipt string, err error)
	// Abort ends the body without its trailer, so that no block comes of it, and releases what is queued.
	Abort()
}
