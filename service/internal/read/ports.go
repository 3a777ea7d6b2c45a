package read

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/sluice-io/sluice/service/internal/batch"
	"github.com/sluice-io/sluice/service/internal/table"
)

// ErrArrowRefused is matched (errors.Is) by an error of ReadArrow or MessageReader.Next when upstream cannot give these
// rows in Arrow form at all, for instance because a timestamp lies outside int64 nanoseconds. The engine then asks for
// the same rows as records, from the row it had reached.
var ErrArrowRefused = errors.New("upstream cannot give these rows in arrow form")

// Backend is MaxCompute as the read path needs it. All methods may be called concurrently. Errors carry a reason of
// package apierr; transient ones (BACKEND_UNAVAILABLE, THROTTLED) are repeated by the engine, all others are final.
type Backend interface {
	// Table describes a table. TABLE_NOT_FOUND, PROJECT_NOT_FOUND, PERMISSION.
	Table(ctx context.Context, name table.Name) (*table.Info, error)
	// Partitions lists all partitions in name order. Rows may be nil (unknown).
	Partitions(ctx context.Context, name table.Name) ([]table.PartitionInfo, error)
	// CreateDownload fixes a snapshot of one table or partition. PARTITION_NOT_FOUND, TABLE_NOT_FOUND.
	CreateDownload(ctx context.Context, ref table.Ref) (*Download, error)
	// ReadArrow streams rows as encapsulated Arrow RecordBatch messages in the tunnel's layout. The context governs the
	// whole life of the reader.
	ReadArrow(ctx context.Context, target ReadTarget) (MessageReader, error)
	// ReadRecords streams rows as tunnel records: the bytes as sent, trailer included, ending with io.EOF only when the
	// HTTP body ended as it should. The decoder verifies the checksums. The context governs the whole life of the body.
	ReadRecords(ctx context.Context, target ReadTarget) (io.ReadCloser, error)
}

// Download is one download session: an upstream snapshot of one table or partition.
type Download struct {
	ID      string
	Rows    int64
	Schema  table.Schema
	Created time.Time // zero when upstream does not tell
}

// ReadTarget names the rows of one upstream read.
type ReadTarget struct {
	Ref        table.Ref
	DownloadID string
	Range      table.RowRange // row numbers of the download session
	Columns    []string       // data columns in table order, never empty
}

// MessageReader yields the RecordBatch messages of one ReadArrow, in row order. Used by one goroutine.
type MessageReader interface {
	// Next returns one encapsulated RecordBatch message, whose checksums were verified, and its row count. The caller
	// releases the payload, also after Close. io.EOF comes only after the trailer was verified.
	Next() (msg batch.Payload, rows int, err error)
	// Close ends the read early or late; it never blocks for long and may be called more than once.
	Close() error
}
