package batch

import (
	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
	"github.com/sluice-io/sluice/service/internal/table"
)

// Form is how rows go to the tunnel. The numbers are stored in the ledger and frozen.
type Form uint8

// The two forms. Arrow is preferred; records carry what the tunnel's Arrow layout cannot.
const (
	FormArrow  Form = 1 // encapsulated IPC RecordBatch messages, protocol section 14
	FormRecord Form = 2 // protobuf-style records, protocol section 13
)

// String is "arrow" or "record".
func (f Form) String() string {
	if f == FormRecord {
		return "record"
	}
	return "arrow"
}

// Cast says which values a column takes beside those of its own type (semantics.md 1.4). The numbers are those of
// sluice.v1.Cast; zero is CastAllow.
type Cast uint8

// The two rules.
const (
	CastAllow Cast = 1
	CastExact Cast = 2
)

// SentColumn is one column that the client announces; a nil Type is the table's.
type SentColumn struct {
	Name string
	Type *table.Type
}

// Definition is a sluice.v1.SchemaDefinition: which columns the batches of a stream carry. At most one of Columns and
// ArrowSchema is set; ArrowSchema is one encapsulated IPC Schema message.
type Definition struct {
	ColumnIndices []int32
	Columns       []SentColumn
	ArrowSchema   []byte
}

// Incoming is the payload of one batch. Exactly one of Arrow, Columns and List is set; Rows is the row_count sent,
// for a List 0 means "count them".
type Incoming struct {
	Rows    int32
	Arrow   Payload
	Columns *sluicev1.ColumnBatch
	List    *sluicev1.RowList
}

// Checked is a batch that holds only what its table accepts, in the form the tunnel takes. It has one owner, who
// releases it.
type Checked struct {
	// Rows is the number of rows; 0 has an empty Body.
	Rows int
	// Form says what Body holds.
	Form Form
	// Body is, for FormArrow, one whole encapsulated RecordBatch message; for FormRecord, the records without trailer.
	Body Payload
	// RecordCRC is, for FormRecord, the CRC-32C over the little-endian CRCs of the rows: 4·Rows bytes. The trailer's
	// checksum of several batches is CombineCRC32C(a, b.RecordCRC, 4·b.Rows).
	RecordCRC uint32
}

// Bytes is the length of the body: what the batch costs in memory and on the wire.
func (c *Checked) Bytes() int64 { return int64(c.Body.Len()) }

// batchOverhead is what a batch costs in memory beside its bytes, roughly.
const batchOverhead = 256

// Held is the memory that the batch keeps: what a budget must count.
func (c *Checked) Held() int64 { return int64(c.Body.Held()) + batchOverhead }

// Compact moves the body into a buffer of its own size if it lies in buffers more than twice as large, so that a batch
// which waits does not hold what it does not need.
func (c *Checked) Compact() {
	n := c.Body.Len()
	if c.Body.Held() <= 2*n {
		return
	}
	own := make([]byte, 0, n)
	for _, piece := range c.Body.Pieces() {
		own = append(own, piece...)
	}
	c.Body.Release()
	c.Body = NewPayload(nil, own)
}

// Release gives the body's memory back. It may be called more than once.
func (c *Checked) Release() { c.Body.Release() }
