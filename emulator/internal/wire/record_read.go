package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/sluice-io/sluice/emulator/internal/types"
)

// Field numbers that frame records (protocol section 13). Frozen.
const (
	fieldEnd      = 33553408
	fieldCount    = 33554430
	fieldChecksum = 33554431
)

// A batch of the reader is cut at whichever comes first.
const (
	batchRows = 16384
	batchCost = 4 << 20
	// maxRecordCost bounds what one record may take in memory.
	maxRecordCost = 256 << 20
)

// RecordReader decodes a record stream into Arrow batches. Use: Next until io.EOF,
// then Close. It allocates per batch, not per row.
type RecordReader struct {
	src  io.Reader
	mem  memory.Allocator
	cols []Column
	buf  *[readBuffer]byte
	r, w int
	err  error

	builder *array.RecordBuilder
	readers []valueReader
	seen    []int64 // number of the record that last set the column
	crc     []byte  // what the CRC of the current record runs over
	big     []byte  // a value longer than buf
	all     uint32  // CRC of record CRCs
	rows    int64
	pending int
	cost    int
	total   int64 // cost of the current record
}

// valueReader decodes one value into its builder.
type valueReader interface {
	read(r *RecordReader) error
	null(r *RecordReader)
}

// NewRecordReader decodes rows of cols from src. Call Close.
func NewRecordReader(src io.Reader, cols []Column, mem memory.Allocator) *RecordReader {
	r := &RecordReader{
		src: src, mem: mem, cols: cols, buf: buffers.Get().(*[readBuffer]byte),
		builder: array.NewRecordBuilder(mem, ArrowSchema(cols, types.LayoutWide)), seen: make([]int64, len(cols)),
	}
	for i, c := range cols {
		r.readers = append(r.readers, newValueReader(c.Type, r.builder.Field(i)))
	}
	return r
}

// Close frees buffers and builders.
func (r *RecordReader) Close() {
	if r.buf == nil {
		return
	}
	r.builder.Release()
	buffers.Put(r.buf)
	r.buf = nil
	r.err = errors.New("record reader closed")
}

// Next returns the next batch and its layout: LayoutNanos, or LayoutWide when a
// timestamp needs it. io.EOF means that the trailer was there and right; batches
// come out before that is known. The caller releases the batch.
func (r *RecordReader) Next() (arrow.RecordBatch, types.Layout, error) {
	for r.err == nil && r.pending < batchRows && r.cost < batchCost {
		r.err = r.record()
	}
	if r.pending == 0 || r.err != nil && r.err != io.EOF { //nolint:errorlint // a clean end is io.EOF itself; an error that wraps it is a cut
		return nil, 0, r.err
	}
	r.pending, r.cost = 0, 0
	wide := r.builder.NewRecordBatch()
	narrow, err := Convert(wide, r.cols, types.LayoutWide, types.LayoutNanos)
	if errors.Is(err, ErrRange) {
		return wide, types.LayoutWide, nil
	}
	wide.Release()
	if err != nil {
		r.err = err
	}
	return narrow, types.LayoutNanos, err
}

// record decodes one record, or the trailer (io.EOF). The wire type in a tag is
// ignored, as protocol section 13 asks: the column's type alone says how long its
// value is. No checksum covers those three bits, so a stream that differs in them
// only is taken, and its rows are the same. So it is with a varint of more bytes
// than it needs.
func (r *RecordReader) record() error {
	r.crc, r.total = r.crc[:0], 0
	for first := true; ; first = false {
		tag, err := r.uvarint()
		if err != nil {
			return r.cut(err)
		}
		field := tag >> 3
		switch {
		case field == fieldEnd:
			return r.endRecord()
		case field == fieldCount && first:
			return r.trailer()
		case field < 1 || field > uint64(len(r.cols)):
			return fmt.Errorf("%w: record %d: field %d of %d columns", ErrMalformed, r.rows, field, len(r.cols))
		}
		i := int(field) - 1
		if r.seen[i] == r.rows+1 {
			return fmt.Errorf("%w: record %d: column %s twice", ErrMalformed, r.rows, r.cols[i].Name)
		}
		r.seen[i] = r.rows + 1
		r.crc = binary.LittleEndian.AppendUint32(r.crc, uint32(field))
		if err := r.readers[i].read(r); err != nil {
			return fmt.Errorf("record %d, column %s: %w", r.rows, r.cols[i].Name, r.cut(err))
		}
	}
}

// cut turns the end of the input into an error that says so.
func (r *RecordReader) cut(err error) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: record stream cut short: %w", ErrMalformed, io.ErrUnexpectedEOF)
	}
	return err
}

func (r *RecordReader) endRecord() error {
	want, err := r.uvarint()
	if err != nil {
		return r.cut(err)
	}
	sum := CRC(0, r.crc)
	if !sameSum(sum, want) {
		return fmt.Errorf("%w: record %d: %w: %08x, the sender's %08x", ErrMalformed, r.rows, ErrChecksum, sum, want)
	}
	for i := range r.cols {
		if r.seen[i] == r.rows+1 {
			continue
		}
		if !r.cols[i].Nullable {
			return fmt.Errorf("%w: record %d: column %s is NULL", ErrMalformed, r.rows, r.cols[i].Name)
		}
		r.readers[i].null(r)
	}
	r.all = CRC(r.all, binary.LittleEndian.AppendUint32(r.crc[:0], sum))
	r.rows++
	r.pending++
	return nil
}

func (r *RecordReader) trailer() error {
	n, err := r.svarint()
	if err != nil {
		return r.cut(err)
	}
	if n != r.rows {
		return fmt.Errorf("%w: %d records, the sender counted %d", ErrMalformed, r.rows, n)
	}
	tag, err := r.uvarint()
	if err != nil {
		return r.cut(err)
	}
	sum, err := r.uvarint()
	if err != nil {
		return r.cut(err)
	}
	if tag>>3 != fieldChecksum || !sameSum(r.all, sum) {
		return fmt.Errorf("%w: %w: stream is %08x, the sender's %08x", ErrMalformed, ErrChecksum, r.all, sum)
	}
	if _, err := r.byte(); err != io.EOF { //nolint:errorlint // a clean end is io.EOF itself; an error that wraps it is a cut
		if err == nil {
			err = fmt.Errorf("%w: bytes after the trailer", ErrMalformed)
		}
		return err
	}
	return io.EOF
}

// sameSum compares a checksum with one from the wire. PyODPS writes those of 2^31
// and more as a negative number, extended to 64 bits (observed with 0.13.1).
func sameSum(sum uint32, wire uint64) bool {
	return wire == uint64(sum) || wire == uint64(int64(int32(sum)))
}

// spend accounts memory taken by values.
func (r *RecordReader) spend(n int) error {
	r.cost += n
	if r.total += int64(n); r.total > maxRecordCost {
		return fmt.Errorf("%w: record takes more than %d bytes", ErrMalformed, maxRecordCost)
	}
	return nil
}

func (r *RecordReader) fill() error {
	r.w = copy(r.buf[:], r.buf[r.r:r.w])
	r.r = 0
	for {
		n, err := r.src.Read(r.buf[r.w:])
		r.w += n
		if n > 0 || err == io.EOF {
			if n > 0 {
				return nil
			}
			return io.EOF
		}
		if err != nil {
			return fmt.Errorf("read body: %w", err)
		}
	}
}

func (r *RecordReader) byte() (byte, error) {
	if r.r == r.w {
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
	b := r.buf[r.r]
	r.r++
	return b, nil
}

func (r *RecordReader) uvarint() (v uint64, err error) {
	if r.w-r.r >= binary.MaxVarintLen64 {
		v, n := binary.Uvarint(r.buf[r.r:r.w])
		if n <= 0 {
			return 0, fmt.Errorf("%w: varint too long", ErrMalformed)
		}
		r.r += n
		return v, nil
	}
	for shift := 0; shift < 70; shift += 7 {
		b, err := r.byte()
		if err != nil {
			return 0, err
		}
		if shift == 63 && b > 1 {
			break
		}
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return v, nil
		}
	}
	return 0, fmt.Errorf("%w: varint too long", ErrMalformed)
}

func (r *RecordReader) svarint() (int64, error) {
	u, err := r.uvarint()
	return int64(u>>1) ^ -int64(u&1), err
}

// take returns the next n bytes, valid until the next read.
func (r *RecordReader) take(n int) ([]byte, error) {
	if n > len(r.buf) {
		return r.takeBig(n)
	}
	for r.w-r.r < n {
		if err := r.fill(); err != nil {
			return nil, err
		}
	}
	p := r.buf[r.r : r.r+n]
	r.r += n
	return p, nil
}

// takeBig gathers a value longer than the buffer, growing as its bytes come.
func (r *RecordReader) takeBig(n int) ([]byte, error) {
	r.big = r.big[:0]
	for len(r.big) < n {
		if r.r == r.w {
			if err := r.fill(); err != nil {
				return nil, err
			}
		}
		k := min(n-len(r.big), r.w-r.r)
		r.big = append(r.big, r.buf[r.r:r.r+k]...)
		r.r += k
	}
	return r.big, nil
}

// text reads a length-delimited value and feeds it to the CRC.
func (r *RecordReader) text() ([]byte, error) {
	n, err := r.uvarint()
	if err != nil {
		return nil, err
	}
	if n > MaxFieldBytes {
		return nil, fmt.Errorf("%w: value of %d bytes, the limit is %d", ErrMalformed, n, MaxFieldBytes)
	}
	p, err := r.take(int(n))
	if err != nil {
		return nil, err
	}
	r.crc = append(r.crc, p...)
	return p, r.spend(len(p) + 4)
}

// integer reads a zigzag value between low and high.
func (r *RecordReader) integer(low, high int64) (int64, error) {
	v, err := r.svarint()
	if err != nil {
		return 0, err
	}
	if v < low || v > high {
		return 0, fmt.Errorf("%w: %d is out of range", ErrMalformed, v)
	}
	r.crc = binary.LittleEndian.AppendUint64(r.crc, uint64(v))
	return v, r.spend(8)
}

// pair reads seconds and nanoseconds.
func (r *RecordReader) pair() (int64, int32, error) {
	s, err := r.svarint()
	if err != nil {
		return 0, 0, err
	}
	n, err := r.svarint()
	if err != nil {
		return 0, 0, err
	}
	if n <= -nanosPerSecond || n >= nanosPerSecond {
		return 0, 0, fmt.Errorf("%w: %d nanoseconds", ErrMalformed, n)
	}
	r.crc = binary.LittleEndian.AppendUint64(r.crc, uint64(s))
	r.crc = binary.LittleEndian.AppendUint32(r.crc, uint32(int32(n)))
	if n < 0 { // some writers truncate seconds toward zero
		if s == math.MinInt64 {
			return 0, 0, fmt.Errorf("%w: second %d", ErrMalformed, s)
		}
		s, n = s-1, n+nanosPerSecond
	}
	return s, int32(n), r.spend(12)
}

// flag reads the NULL marker of an element.
func (r *RecordReader) flag() (bool, error) {
	v, err := r.uvarint()
	if err == nil && v > 1 {
		err = fmt.Errorf("%w: NULL marker %d", ErrMalformed, v)
	}
	return v == 1, err
}
