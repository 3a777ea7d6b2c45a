package batch

import (
	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
	"github.com/sluice-io/sluice/service/internal/table"
)

// PartitionColumn as the Source of an OutColumn marks a partition column: its value comes from Encoder.Start.
const PartitionColumn = -1

// OutColumn is one column of the output and where it comes from.
type OutColumn struct {
	Column table.Column
	Source int // index into the fetched columns, or PartitionColumn
}

// Out is the payload of one message to the client: exactly one of Arrow, Columns and List.
type Out struct {
	Rows    int
	CRC32C  uint32  // over Arrow or Columns as api.md 4.6 says; 0 and meaningless with List
	Arrow   Payload // one encapsulated RecordBatch message; released by Release
	Columns *sluicev1.ColumnBatch
	List    *sluicev1.RowList
}

// Release gives the Arrow bytes back. It must be called once the message was handed to the transport.
func (o *Out) Release() { o.Arrow.Release() }

// Emit takes over one finished message, Release included. An error stops the encoder and is returned as it is.
type Emit func(*Out) error
