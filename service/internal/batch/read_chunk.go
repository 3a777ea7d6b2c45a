package batch

import (
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/table"
)

// How many rows of a record stream are decoded at once: as many as come to about coalesceBytes, judged by those before.
const (
	firstRecordRows = 64
	mostRecordRows  = 16 << 10
)

// maxUnpackedBytes bounds what one compressed upstream message may unpack to (api.md 1, max_batch_bytes).
const maxUnpackedBytes = 64 << 20

// Chunk is some rows as upstream sent them, with one owner, who hands it to an Encoder or releases it.
type Chunk struct {
	rows   int
	shapes []shape // how the fetched columns lie in it

	msg    Payload // an Arrow message and its parsed metadata, or
	header header

	vectors []vector // decoded records
	bytes   int      // memory held by them
	release func()
}

// Rows is how many rows the chunk holds.
func (c *Chunk) Rows() int { return c.rows }

// Bytes is about how much memory the chunk holds.
func (c *Chunk) Bytes() int { return c.msg.Len() + c.bytes }

// Release gives the chunk's memory back. It may be called more than once.
func (c *Chunk) Release() {
	c.msg.Release()
	if c.release != nil {
		c.release()
		c.release = nil
	}
}

// view gives the chunk's columns. scratch, grown as needed, holds the message's body when it came in several pieces;
// the vectors are valid until it is used again.
func (c *Chunk) view(scratch *[]byte) ([]vector, error) {
	if c.msg.Len() == 0 {
		return c.vectors, nil
	}
	size := c.msg.Len() - c.header.start
	body := *scratch
	if pieces := c.msg.Pieces(); len(pieces) == 1 {
		body = pieces[0][c.header.start:]
	} else {
		if cap(body) < size {
			body = make([]byte, size)
			*scratch = body
		}
		body = body[:size]
		copyRange(body, c.msg, c.header.start)
	}
	return view(&c.header, body, c.shapes, maxUnpackedBytes)
}

// Decoder turns what upstream sends for some columns into chunks. It does not change and may be shared.
type Decoder struct {
	columns []table.Column
	arrow   []shape // as in the tunnel's Arrow messages
	record  []shape // as RecordDecoder lays them out
}

// NewDecoder is a decoder for the fetched columns, in the order of the request upstream. TYPE_UNSUPPORTED.
func NewDecoder(fetched []table.Column) (*Decoder, error) {
	d := &Decoder{columns: fetched}
	for _, c := range fetched {
		a, err := shapeOf(c.Type, stampNanos)
		if err != nil {
			return nil, apierr.Wrap(err, apierr.TypeUnsupported, "column %q has type %s, which cannot be read", c.Name, c.Type).With("column", c.Name)
		}
		r, err := shapeOf(c.Type, stampPair)
		if err != nil {
			return nil, fmt.Errorf("lay out column %q: %w", c.Name, err)
		}
		d.arrow, d.record = append(d.arrow, a), append(d.record, r)
	}
	return d, nil
}

// Message makes a chunk of one encapsulated RecordBatch message in the tunnel's layout. Only its metadata is looked at
// here. It takes msg over unless it returns an error.
func (d *Decoder) Message(msg Payload) (*Chunk, error) {
	h, err := parseHeader(msg)
	if err != nil {
		return nil, err
	}
	if err := h.matches(d.arrow); err != nil {
		return nil, err
	}
	return &Chunk{rows: int(h.rows), shapes: d.arrow, msg: msg, header: h}, nil
}

// Constant makes a chunk of rows of which nothing was fetched: all output columns are partition columns.
func (d *Decoder) Constant(rows int) *Chunk { return &Chunk{rows: rows} }

// Records reads a tunnel record stream.
func (d *Decoder) Records(r io.Reader, mem memory.Allocator) *RecordReader {
	dec := NewRecordDecoder(d.columns, mem, RecordOptions{TimestampStruct: true})
	return &RecordReader{d: d, dec: dec, src: r, rows: firstRecordRows}
}

// RecordReader yields a record stream as chunks of about 256 KiB. One goroutine at a time.
type RecordReader struct {
	d    *Decoder
	dec  *RecordDecoder
	src  io.Reader
	rows int
}

// Next decodes some rows; io.EOF comes only after the trailer was verified.
func (r *RecordReader) Next() (*Chunk, error) {
	b, err := r.dec.Read(r.src, r.rows)
	if err != nil {
		return nil, err
	}
	c := &Chunk{rows: int(b.NumRows()), shapes: r.d.record, release: b.Release}
	for i, col := range b.Columns() {
		v, err := vectorOf(col.Data(), &r.d.record[i])
		if err != nil {
			c.Release()
			return nil, fmt.Errorf("column %d of decoded records: %w", i, err)
		}
		c.vectors = append(c.vectors, v)
		c.bytes += v.size(&r.d.record[i], 0, v.n, 0)
	}
	if c.rows > 0 {
		r.rows = min(max(coalesceBytes*c.rows/max(c.bytes, 1), 1), 2*r.rows, mostRecordRows)
	}
	return c, nil
}

// Close frees what the decoder still holds.
func (r *RecordReader) Close() { r.dec.Release() }

// vectorOf looks at an Arrow array of our own decoder as a vector. Nothing is copied.
func vectorOf(a arrow.ArrayData, s *shape) (vector, error) {
	v := vector{n: a.Len(), nulls: a.NullN()}
	bufs := a.Buffers()
	if a.Offset() != 0 || len(bufs) == 0 {
		return v, errors.New("array is a slice or has no buffers")
	}
	if v.nulls > 0 {
		v.validity = bufs[0].Bytes()
	}
	switch s.lane {
	case laneBits, laneFixed:
		v.data = bufferBytes(bufs, 1)
	case laneBytes:
		v.offsets, v.data = bufferBytes(bufs, 1), bufferBytes(bufs, 2)
	case laneList:
		v.offsets = bufferBytes(bufs, 1)
	case lanePair:
		kids := a.Children()
		if len(kids) != 2 {
			return v, errors.New("want a struct of seconds and nanos")
		}
		v.data, v.nanos = bufferBytes(kids[0].Buffers(), 1), bufferBytes(kids[1].Buffers(), 1)
		return v, nil
	}
	if len(a.Children()) != len(s.children) {
		return v, fmt.Errorf("%d children, want %d", len(a.Children()), len(s.children))
	}
	for i, child := range a.Children() {
		c, err := vectorOf(child, &s.children[i])
		if err != nil {
			return v, err
		}
		v.children = append(v.children, c)
	}
	return v, nil
}

func bufferBytes(bufs []*memory.Buffer, i int) []byte {
	if i >= len(bufs) || bufs[i] == nil {
		return nil
	}
	return bufs[i].Bytes()
}
