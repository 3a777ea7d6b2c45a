package batch

import (
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/sluice-io/sluice/service/internal/table"
)

// RecordOptions says how decoded records are laid out.
type RecordOptions struct {
	// TimestampStruct gives TIMESTAMP and TIMESTAMP_NTZ as struct<seconds:int64, nanos:int32>, which holds all of years
	// 0001–9999. Without it they are timestamp[ns], and a value outside 1677…2262 is TYPE_MISMATCH.
	TimestampStruct bool
	// MaxValueBytes bounds one text or binary value, 0 = that of DefaultLimits. A longer one is an error.
	MaxValueBytes int
}

// RecordDecoder turns a tunnel record stream (protocol section 13) into Arrow batches of the canonical read layout.
// Every record CRC, the count and the trailer's checksum are verified. One goroutine at a time.
type RecordDecoder struct{}

// NewRecordDecoder decodes records whose field i is cols[i-1]: the columns in the order they were asked for.
func NewRecordDecoder(cols []table.Column, mem memory.Allocator, opts RecordOptions) *RecordDecoder {
	panic("not yet")
}

// Schema is the Arrow schema of the batches.
func (d *RecordDecoder) Schema() *arrow.Schema { panic("not yet") }

// Read decodes up to maxRows rows from r, always the same reader, which it reads ahead of the rows it returns. The
// caller releases the batch. It returns io.EOF, without a batch, only after a verified trailer and the end of r.
func (d *RecordDecoder) Read(r io.Reader, maxRows int) (arrow.RecordBatch, error) { panic("not yet") }

// Rows is how many rows were decoded so far.
func (d *RecordDecoder) Rows() int64 { panic("not yet") }

// Release frees what is held for a batch not yet returned.
func (d *RecordDecoder) Release() { panic("not yet") }
