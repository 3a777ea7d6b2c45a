// Package wire speaks the byte formats of the MaxCompute tunnel: the record stream
// (protocol section 13), the chunked Arrow stream (section 14) and the compressions
// around both (section 15).
//
// Main types: [ChunkReader], [ChunkWriter] (framing with checksums), [Scanner]
// (finds the messages in an Arrow stream as bytes pass), [Batch] (one message,
// opened and checked), [RecordReader], [RecordWriter] (rows ⇄ Arrow batches).
//
//	Arrow body:  size ( data[size] crc )* data[<size] crcAll      big endian, CRC-32C
//	data:        message*      message: ffffffff, metadata length, metadata, body
//	record body: ( field* END crc )* COUNT n CHECKSUM crcOfCrcs
//
// Everything here reads bytes from strangers: no input makes it panic, read
// outside a buffer or allocate more than a small multiple of what was sent, save
// for compressed Arrow buffers, which are bounded by MaxInflated. Errors about the
// bytes wrap ErrMalformed.
//
// The package knows no sessions, tables or files.
package wire

import (
	"errors"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/sluice-io/sluice/emulator/internal/types"
)

// ErrMalformed marks bytes that break their format or their checksums, or values
// that do not fit their column.
var ErrMalformed = errors.New("malformed data")

// ErrChecksum marks, beside ErrMalformed, a checksum that does not hold.
var ErrChecksum = errors.New("checksum mismatch")

// ErrRange marks a value that the wanted Arrow layout cannot hold.
var ErrRange = errors.New("value out of range of the Arrow form")

// Limits of what strangers may send.
const (
	// MaxFieldBytes is the size limit of one STRING or BINARY value (the
	// service's MaxFieldSize).
	MaxFieldBytes = 8 << 20
	// MaxMetadata is the limit of one Arrow message's metadata.
	MaxMetadata = 16 << 20
	// MaxInflated is the limit of one Arrow message's buffers after
	// decompression.
	MaxInflated = 1 << 30
)

// Column is what the formats need to know of a column.
type Column struct {
	Name     string
	Type     types.Type
	Nullable bool
}

// ArrowSchema is the Arrow schema of cols in layout l. All fields are nullable:
// the rows are checked against NOT NULL before they are kept.
func ArrowSchema(cols []Column, l types.Layout) *arrow.Schema {
	fields := make([]arrow.Field, len(cols))
	for i, c := range cols {
		fields[i] = arrow.Field{Name: c.Name, Type: c.Type.Arrow(l), Nullable: true}
	}
	return arrow.NewSchema(fields, nil)
}
