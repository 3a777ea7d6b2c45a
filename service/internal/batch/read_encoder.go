package batch

import (
	"fmt"
	"sort"
	"strconv"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/table"
)

// PartitionColumn as the Source of an OutColumn marks a partition column: its value comes from Encoder.Start.
const PartitionColumn = -1

// messageSlack is kept free of OutOptions.MaxMessageBytes for the other fields of a message.
const messageSlack = 256

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

// Encoder turns chunks from upstream into messages for one client. An Arrow message whose layout is already the
// client's passes through untouched; others, and small ones, are gathered column by column and leave in messages of
// about 256 KiB. Rows keep their order; a message never holds rows of two partitions if Flush is called between them.
// One goroutine at a time.
type Encoder struct {
	opts     OutOptions
	columns  []OutColumn
	shapes   []shape // of the output columns
	identity bool    // the output is the fetched columns as they are
	codec    int8

	limit  int // payload bytes a message may have
	target int // payload bytes at which gathered rows leave

	constants []vector // of partition columns: their value, repeated
	pending   []vector // gathered rows
	rows      int
	bytes     int             // upper bound of the gathered rows' size
	list      []*sluicev1.Row // gathered rows, for OutRows
	scratch   []byte
}

// NewEncoder compiles the output. fetched are the columns of the chunks to come. TYPE_UNSUPPORTED for a type without
// layout, BAD_ARGUMENT for options that contradict each other.
func NewEncoder(fetched []table.Column, columns []OutColumn, opts OutOptions) (*Encoder, error) {
	e := &Encoder{opts: opts.withDefaults(), columns: columns, codec: codecNone}
	if err := e.checkOptions(); err != nil {
		return nil, err
	}
	e.identity = e.opts.Format == OutArrow && e.opts.ArrowTimestamp == TimestampNanos && len(fetched) == len(columns)
	for i, c := range columns {
		s, err := shapeOf(c.Column.Type, e.opts.stamp())
		if err != nil {
			return nil, apierr.Wrap(err, apierr.TypeUnsupported, "column %q has type %s, which cannot be read", c.Column.Name, c.Column.Type).With("column", c.Column.Name)
		}
		e.shapes = append(e.shapes, s)
		e.identity = e.identity && c.Source == i
	}
	e.constants = make([]vector, len(columns))
	e.limit = e.opts.MaxMessageBytes - messageSlack - e.overhead()
	e.target = min(coalesceBytes, e.limit)
	e.pending = make([]vector, len(e.shapes))
	for i := range e.shapes {
		e.pending[i] = newVector(&e.shapes[i])
	}
	return e, nil
}

func (e *Encoder) checkOptions() error {
	o := e.opts
	switch {
	case o.Format > OutRows:
		return apierr.New(apierr.BadArgument, "unknown format %d", o.Format).WithViolation("format", "unknown")
	case o.Compression > OutZSTD:
		return apierr.New(apierr.BadArgument, "unknown compression %d", o.Compression).WithViolation("compression", "unknown")
	case o.ArrowTimestamp > TimestampStruct:
		return apierr.New(apierr.BadArgument, "unknown arrow_timestamp %d", o.ArrowTimestamp).WithViolation("arrow_timestamp", "unknown")
	case o.Compression != OutUncompressed && o.Format != OutArrow:
		return apierr.New(apierr.BadArgument, "only Arrow is compressed").WithViolation("compression", "only with format ARROW")
	}
	switch o.Compression {
	case OutLZ4Frame:
		e.codec = codecLZ4
	case OutZSTD:
		e.codec = codecZSTD
	}
	return nil
}

// stamp is how timestamps are counted in the output.
func (o OutOptions) stamp() stamp {
	switch {
	case o.Format != OutArrow || o.ArrowTimestamp == TimestampStruct:
		return stampPair
	case o.ArrowTimestamp == TimestampMicros:
		return stampMicros
	}
	return stampNanos
}

// overhead is what a message has besides its buffers: Arrow's metadata, or protobuf's tags and lengths.
func (e *Encoder) overhead() int {
	nodes, buffers := e.entries()
	if e.opts.Format == OutArrow {
		return headerBytes(nodes, buffers)
	}
	return 16 * (nodes + buffers)
}

func (e *Encoder) entries() (nodes, buffers int) {
	for i := range e.shapes {
		nodes += e.shapes[i].nodes
		buffers += e.shapes[i].buffers
	}
	return nodes, buffers
}

// Schema is the IPC Schema message of the output, nil unless the format is Arrow.
func (e *Encoder) Schema() []byte {
	if e.opts.Format != OutArrow {
		return nil
	}
	cols := make([]table.Column, len(e.columns))
	for i, c := range e.columns {
		cols[i] = c.Column
	}
	return SchemaOf(cols, SchemaOptions{Timestamp: e.opts.ArrowTimestamp, StringsAsBinary: e.opts.StringsAsBinary})
}

// Start fixes the values of the partition columns for the chunks that follow. Gathered rows must have been flushed.
// TYPE_MISMATCH if a value is not one of its column's type.
func (e *Encoder) Start(spec table.Spec) error {
	for i, c := range e.columns {
		if c.Source != PartitionColumn {
			continue
		}
		v := newVector(&e.shapes[i])
		value, err := specValue(spec, c.Column)
		if err != nil {
			return err
		}
		v.appendConstant(value)
		e.constants[i] = v
	}
	return nil
}

// Add encodes a chunk whose first row has the number firstRow in the snapshot, and releases it. Rows may stay gathered
// until the next Add or Flush. When a row cannot be encoded (TYPE_MISMATCH, MESSAGE_TOO_LARGE), those before it were
// emitted.
func (e *Encoder) Add(firstRow int64, c *Chunk, emit Emit) error {
	defer c.Release()
	if c.rows == 0 {
		return nil
	}
	if msg, ok := e.whole(c); ok {
		if err := e.Flush(emit); err != nil {
			msg.Release()
			return err
		}
		return emit(&Out{Rows: c.rows, CRC32C: msg.CRC32C(), Arrow: msg})
	}
	vectors, err := c.view(&e.scratch)
	if err != nil {
		return fmt.Errorf("read an upstream message: %w", err)
	}
	e.extendConstants(min(c.rows, e.opts.MaxBatchRows))
	if e.opts.Format == OutRows {
		return e.addRows(firstRow, c, vectors, emit)
	}
	return e.addVectors(firstRow, c, vectors, emit)
}

// whole gives the chunk as one message by reference, its bytes untouched or behind new metadata, and takes its payload
// over. ok is false when rows have to be copied.
func (e *Encoder) whole(c *Chunk) (msg Payload, ok bool) {
	if e.passes(c) {
		msg, c.msg = c.msg, Payload{}
		return msg, true
	}
	if e.identity || !e.gatherable(c) {
		return msg, false
	}
	return e.gather(c)
}

// passes reports whether the chunk's bytes are what the client shall get: a message in the output's own layout, within
// the limits, and large enough that gathering would not pay.
func (e *Encoder) passes(c *Chunk) bool {
	n := c.msg.Len()
	return e.identity && n > 0 && c.header.codec == e.codec && c.rows <= e.opts.MaxBatchRows &&
		n <= e.opts.MaxMessageBytes-messageSlack && n >= min(coalesceBytes/4, e.target)
}

func (e *Encoder) addVectors(firstRow int64, c *Chunk, vectors []vector, emit Emit) error {
	good := e.goodRows(c, vectors)
	for from := 0; from < good; {
		n := e.fit(vectors, from, good-from)
		if n == 0 {
			if e.rows > 0 {
				if err := e.Flush(emit); err != nil {
					return err
				}
				continue
			}
			if need := e.size(vectors, from, 1); need > e.limit {
				return e.tooLarge(firstRow+int64(from), need)
			}
			n = 1
		}
		e.append(c, vectors, from, n)
		from += n
		if e.bytes >= e.target || e.rows >= e.opts.MaxBatchRows {
			if err := e.Flush(emit); err != nil {
				return err
			}
		}
	}
	if good == c.rows {
		return nil
	}
	if err := e.Flush(emit); err != nil {
		return err
	}
	return e.stampError(firstRow+int64(good), e.badColumn(c, vectors, good))
}

// fit is how many rows from row from on may still be gathered.
func (e *Encoder) fit(vectors []vector, from, most int) int {
	most = min(most, e.opts.MaxBatchRows-e.rows)
	if e.bytes+e.size(vectors, from, most) <= e.target {
		return most
	}
	return sort.Search(most, func(n int) bool { return e.bytes+e.size(vectors, from, n+1) > e.target })
}

func (e *Encoder) size(vectors []vector, from, n int) int {
	perBuffer := 0
	if e.codec != codecNone {
		perBuffer = 8
	}
	total := 0
	for i, c := range e.columns {
		if c.Source == PartitionColumn {
			total += e.constants[i].size(&e.shapes[i], 0, n, perBuffer)
		} else {
			total += vectors[c.Source].size(&e.shapes[i], from, n, perBuffer)
		}
	}
	return total
}

func (e *Encoder) append(c *Chunk, vectors []vector, from, n int) {
	e.bytes += e.size(vectors, from, n)
	for i, col := range e.columns {
		s := &e.shapes[i]
		if col.Source == PartitionColumn {
			e.pending[i].appendRows(s, &e.constants[i], s, 0, n)
		} else {
			e.pending[i].appendRows(s, &vectors[col.Source], &c.shapes[col.Source], from, n)
		}
	}
	e.rows += n
}

// goodRows is how many of the chunk's rows come before the first with a timestamp that the output cannot hold.
func (e *Encoder) goodRows(c *Chunk, vectors []vector) int {
	good := c.rows
	for i, col := range e.columns {
		if col.Source == PartitionColumn || !e.mayOverflow(&c.shapes[col.Source]) {
			continue
		}
		v, have := &vectors[col.Source], &c.shapes[col.Source]
		for r := range good {
			if !v.stampFits(&e.shapes[i], have, r) {
				good = r
				break
			}
		}
	}
	return good
}

// mayOverflow reports whether values of the shape are recounted into fewer bits.
func (e *Encoder) mayOverflow(have *shape) bool {
	if have.stamp == stampPair && e.opts.stamp() != stampPair {
		return true
	}
	for i := range have.children {
		if e.mayOverflow(&have.children[i]) {
			return true
		}
	}
	return false
}

func (e *Encoder) badColumn(c *Chunk, vectors []vector, row int) string {
	for i, col := range e.columns {
		if col.Source != PartitionColumn && !vectors[col.Source].stampFits(&e.shapes[i], &c.shapes[col.Source], row) {
			return col.Column.Name
		}
	}
	return ""
}

func (e *Encoder) stampError(row int64, column string) error {
	unit, choices := "nanoseconds (years 1677 to 2262)", "arrow_timestamp MICROS or STRUCT, format COLUMNS or ROWS"
	if e.opts.ArrowTimestamp == TimestampMicros {
		unit, choices = "microseconds", "arrow_timestamp STRUCT, format COLUMNS"
	}
	return apierr.New(apierr.TypeMismatch, "row %d, column %q: the timestamp does not fit int64 %s; read with %s", row, column, unit, choices).
		With("row", strconv.FormatInt(row, 10)).With("column", column).With("choices", choices)
}

func (e *Encoder) tooLarge(row int64, need int) error {
	need += messageSlack + e.overhead()
	return apierr.New(apierr.MessageTooLarge, "row %d needs a message of %d bytes, max_message_bytes is %d", row, need, e.opts.MaxMessageBytes).
		With("row", strconv.FormatInt(row, 10)).With("needed", strconv.Itoa(need)).With("limit", strconv.Itoa(e.opts.MaxMessageBytes))
}

// Pending is how many rows are gathered and not yet emitted.
func (e *Encoder) Pending() int { return e.rows }

// Flush emits what is gathered, if anything.
func (e *Encoder) Flush(emit Emit) error {
	if e.rows == 0 {
		return nil
	}
	out, err := e.finish()
	if err != nil {
		return err
	}
	return emit(out)
}

// finish makes the message of the gathered rows and starts anew.
func (e *Encoder) finish() (*Out, error) {
	out := &Out{Rows: e.rows}
	e.rows, e.bytes = 0, 0
	switch e.opts.Format {
	case OutRows:
		out.List = &sluicev1.RowList{Rows: e.list}
		e.list = nil
	case OutColumns:
		out.Columns = columnBatch(e.shapes, e.pending)
		out.CRC32C = columnsCRC(out.Columns.Columns, 0)
		for i := range e.pending { // the buffers are the message's now
			e.pending[i] = e.pending[i].fresh()
		}
	default:
		msg, err := e.message(out.Rows)
		if err != nil {
			return nil, err
		}
		out.Arrow = NewPayload(nil, msg)
		out.CRC32C = out.Arrow.CRC32C()
		for i := range e.pending {
			e.pending[i].reset()
		}
	}
	return out, nil
}

// extendConstants makes the constant vectors at least n rows long.
func (e *Encoder) extendConstants(n int) {
	for i, c := range e.columns {
		if c.Source != PartitionColumn {
			continue
		}
		v, s := &e.constants[i], &e.shapes[i]
		for v.n < n {
			own := *v
			v.appendRows(s, &own, s, 0, min(own.n, n-own.n))
		}
	}
}
