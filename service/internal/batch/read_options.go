package batch

import (
	"github.com/sluice-io/sluice/service/internal/table"
)

// OutFormat is the shape in which rows leave; the numbers are those of sluice.v1.DataFormat, 0 means OutArrow.
type OutFormat uint8

// The three output forms of ReadRows.
const (
	OutArrow   OutFormat = 1
	OutColumns OutFormat = 2
	OutRows    OutFormat = 3
)

// OutCompression is the compression of Arrow body buffers; the numbers are those of sluice.v1.Compression, 0 means none.
type OutCompression uint8

// The compressions that Arrow IPC knows.
const (
	OutUncompressed OutCompression = 1
	OutLZ4Frame     OutCompression = 2
	OutZSTD         OutCompression = 3
)

// ArrowTimestamp says how TIMESTAMP and TIMESTAMP_NTZ columns look in Arrow; the numbers are those of
// sluice.v1.ArrowTimestamp, 0 means TimestampNanos. Columns and rows always carry seconds and nanoseconds.
type ArrowTimestamp uint8

// The layouts of a timestamp in Arrow.
const (
	// TimestampNanos is timestamp[ns]; values outside 1677…2262 are refused, never wrapped.
	TimestampNanos ArrowTimestamp = 1
	// TimestampMicros is timestamp[us]; finer digits are cut.
	TimestampMicros ArrowTimestamp = 2
	// TimestampStruct is struct<seconds: int64, nanos: int32>, exact for every value.
	TimestampStruct ArrowTimestamp = 3
)

// Output limits that hold when OutOptions leaves them open.
const (
	defaultOutMessageBytes = 4 << 20   // api.md 7: max_message_bytes 0
	defaultOutRows         = 256 << 10 // api.md 1: max_batch_rows
	coalesceBytes          = 256 << 10 // api.md 1: best_message_bytes; messages below a quarter of it are merged
)

// OutOptions is what one ReadRows asks of its messages. The zero value is valid: Arrow, uncompressed, NANOS, 4 MiB.
type OutOptions struct {
	Format          OutFormat
	Compression     OutCompression // only with OutArrow
	ArrowTimestamp  ArrowTimestamp // only with OutArrow
	StringsAsBinary bool           // STRING, CHAR, VARCHAR, JSON become Arrow binary
	MaxBatchRows    int            // rows per message at most; 0 = 262,144
	MaxMessageBytes int            // payload bytes per message at most; 0 = 4 MiB
}

func (o OutOptions) withDefaults() OutOptions {
	if o.Format == 0 {
		o.Format = OutArrow
	}
	if o.Compression == 0 {
		o.Compression = OutUncompressed
	}
	if o.ArrowTimestamp == 0 {
		o.ArrowTimestamp = TimestampNanos
	}
	if o.MaxBatchRows <= 0 || o.MaxBatchRows > defaultOutRows {
		o.MaxBatchRows = defaultOutRows
	}
	if o.MaxMessageBytes <= 0 {
		o.MaxMessageBytes = defaultOutMessageBytes
	}
	return o
}

// FetchForm decides in which form the tunnel must be asked for columns so that nothing is lost on the way to the
// client. FormArrow unless one of these holds, at any depth of nesting:
//
//   - INTERVAL_DAY_TIME or INTERVAL_YEAR_MONTH: the tunnel's Arrow layouts of them differ between versions;
//   - DECIMAL of more than 38 digits, plain DECIMAL = (54,18) included: not agreed on either;
//   - TIMESTAMP or TIMESTAMP_NTZ, when anything but timestamp[ns] is wanted: the tunnel's Arrow cannot hold values
//     outside 1677…2262, which all other outputs can.
//
// With timestamp[ns] Arrow is tried; a backend that refuses it because of a value's range is asked again for records,
// whose decoding then names the row and column (see read.ErrArrowRefused).
func FetchForm(columns []table.Column, o OutOptions) Form {
	o = o.withDefaults()
	nanos := o.Format == OutArrow && o.ArrowTimestamp == TimestampNanos
	for _, c := range columns {
		if needsRecords(c.Type, nanos) {
			return FormRecord
		}
	}
	return FormArrow
}

func needsRecords(t table.Type, nanos bool) bool {
	switch t.Kind {
	case table.KindIntervalDayTime, table.KindIntervalYearMonth:
		return true
	case table.KindDecimal:
		return t.Precision > 38
	case table.KindTimestamp, table.KindTimestampNTZ:
		return !nanos
	}
	for _, c := range t.Children {
		if needsRecords(c.Type, nanos) {
			return true
		}
	}
	return false
}
