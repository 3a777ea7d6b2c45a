package batch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/table"
)

// RecordOptions says how decoded records are laid out.
type RecordOptions struct {
	// TimestampStruct gives TIMESTAMP and TIMESTAMP_NTZ as struct<seconds:int64, nanos:int32>, which holds all of years
	// 0001–9999. Without it they are timestamp[ns], and a value outside 1677…2262 is TYPE_MISMATCH.
	TimestampStruct bool
	// MaxRecordBytes bounds one record as encoded, 0 = 128 MiB. A longer one is an error.
	MaxRecordBytes int
}

const (
	defaultRecordBytes = 128 << 20
	recordWindow       = 128 << 10 // read at once
)

// RecordDecoder turns a tunnel record stream (protocol section 13) into Arrow batches of the canonical read layout.
// Every record CRC, the count and the trailer's checksum are verified. One goroutine at a time.
//
//	bytes of r ─▶ buf[pos:end] ─▶ scan: bounds, CRC, place of each value ─▶ append to the builders ─▶ batch
//
// A record that is not whole yet is scanned again once more bytes are there.
type RecordDecoder struct {
	schema *arrow.Schema
	build  *array.RecordBuilder
	fields []recordField
	opts   RecordOptions

	buf      []byte
	pos, end int
	eof      bool // of the reader
	idle     int  // reads in a row that gave nothing
	done     bool // trailer verified

	scanner scanner // of the record being scanned
	rows    int64
	word    [4]byte
	crcs    uint32 // CRC-32C over the CRCs of the records so far
	held    int    // rows in the builders
	err     error  // sticks
}

type recordField struct {
	t    *table.Type
	name string
	add  appender
	at   int // where the value lies in buf, −1 = NULL in this record
}

// NewRecordDecoder decodes records whose field i is cols[i-1]: the columns in the order they were asked for.
func NewRecordDecoder(cols []table.Column, mem memory.Allocator, opts RecordOptions) *RecordDecoder {
	so := SchemaOptions{Timestamp: TimestampNanos}
	if opts.TimestampStruct {
		so.Timestamp = TimestampStruct
	}
	if opts.MaxRecordBytes <= 0 {
		opts.MaxRecordBytes = defaultRecordBytes
	}
	d := &RecordDecoder{schema: ArrowSchema(cols, so), opts: opts}
	d.build = array.NewRecordBuilder(mem, d.schema)
	for i := range cols {
		d.fields = append(d.fields, recordField{
			t: &cols[i].Type, name: cols[i].Name, add: newAppender(&cols[i].Type, d.build.Field(i)), at: -1,
		})
	}
	return d
}

// Schema is the Arrow schema of the batches.
func (d *RecordDecoder) Schema() *arrow.Schema { return d.schema }

// Rows is how many rows were decoded so far.
func (d *RecordDecoder) Rows() int64 { return d.rows }

// Release frees what is held; the decoder cannot be used afterwards. Batches already returned are the caller's.
func (d *RecordDecoder) Release() {
	d.build.Release()
	d.buf = nil
	d.err = errors.New("record decoder was released")
}

var (
	errRecordShort = errors.New("record is not whole yet")
	errRecordEnd   = errors.New("trailer")
)

func badRecords(format string, args ...any) error {
	return fmt.Errorf("record stream: "+format, args...)
}

// Read decodes up to maxRows rows from r, always the same reader, which it reads ahead of the rows it returns. The
// caller releases the batch. It returns io.EOF, without a batch, only after a verified trailer with nothing behind it.
// A stream that ends earlier is io.ErrUnexpectedEOF; one that is damaged, or a record that cannot be decoded, is an
// error that stays. Rows before it were returned, or are lost with it: their CRCs alone do not prove the stream.
func (d *RecordDecoder) Read(r io.Reader, maxRows int) (arrow.RecordBatch, error) {
	if d.err != nil {
		return nil, d.err
	}
	for d.held < max(maxRows, 1) && !d.done {
		if err := d.next(r); err != nil {
			d.err = err
			return nil, err
		}
	}
	if d.held > 0 {
		d.held = 0
		return d.build.NewRecordBatch(), nil
	}
	d.err = io.EOF
	return nil, io.EOF
}

// next decodes one record into the builders, or the trailer.
func (d *RecordDecoder) next(r io.Reader) error {
	for {
		after, err := d.scan(d.pos)
		switch {
		case err == nil:
			if err := d.appendRow(); err != nil {
				return err
			}
			d.pos = after
			d.held++
			return nil
		case errors.Is(err, errRecordEnd):
			d.pos, d.done = after, true
			return d.nothingBehind(r)
		case !errors.Is(err, errRecordShort):
			return err
		}
		held := d.end - d.pos
		if err := d.fill(r); err != nil {
			return err
		}
		// A long record is scanned again only once twice as much of it is there, not for every piece.
		for held >= recordWindow && d.end-d.pos < 2*held && d.end < len(d.buf) && !d.eof {
			if err := d.fill(r); err != nil {
				return err
			}
		}
	}
}

// fill reads more, first making room: bytes already decoded go, and the buffer grows only when one record fills it.
func (d *RecordDecoder) fill(r io.Reader) error {
	if d.eof {
		return fmt.Errorf("record stream ends after %d rows without its trailer: %w", d.rows, io.ErrUnexpectedEOF)
	}
	if d.pos > 0 {
		copy(d.buf, d.buf[d.pos:d.end])
		d.pos, d.end = 0, d.end-d.pos
	}
	if d.end == len(d.buf) {
		if len(d.buf) >= d.opts.MaxRecordBytes {
			return badRecords("record %d is larger than %d bytes", d.rows, d.opts.MaxRecordBytes)
		}
		more := make([]byte, max(2*len(d.buf), recordWindow))
		copy(more, d.buf[:d.end])
		d.buf = more
	}
	n, err := r.Read(d.buf[d.end:])
	d.end += n
	if d.idle++; n > 0 || err != nil {
		d.idle = 0
	}
	if d.idle > 100 {
		return fmt.Errorf("read record stream: %w", io.ErrNoProgress)
	}
	if errors.Is(err, io.EOF) {
		d.eof = true
		return nil
	}
	if err != nil {
		return fmt.Errorf("read record stream: %w", err)
	}
	return nil
}

// nothingBehind checks that the stream ends with its trailer.
func (d *RecordDecoder) nothingBehind(r io.Reader) error {
	for d.pos == d.end && !d.eof {
		if err := d.fill(r); err != nil {
			return err
		}
	}
	if d.pos != d.end {
		return badRecords("bytes behind the trailer")
	}
	return nil
}

// scan walks the record at pos: bounds, order and CRC. It notes where each value lies and gives the place after it.
func (d *RecordDecoder) scan(pos int) (after int, err error) {
	for i := range d.fields {
		d.fields[i].at = -1
	}
	s := &d.scanner
	*s = scanner{b: d.buf[:d.end], pos: pos, hash: s.hash[:0]}
	for {
		tag, ok := s.varint()
		if !ok {
			return 0, s.err()
		}
		switch field := tag >> 3; {
		case field == recordEnd:
			return d.endRecord(s)
		case field == recordMetaCount && len(s.hash) == 0:
			return d.trailer(s)
		case field == 0 || field > uint64(len(d.fields)):
			return 0, badRecords("record %d has a field %d of %d", d.rows, field, len(d.fields))
		default:
			f := &d.fields[field-1]
			if f.at >= 0 {
				return 0, badRecords("record %d has column %q twice", d.rows, f.name)
			}
			f.at = s.pos
			s.hash = binary.LittleEndian.AppendUint32(s.hash, uint32(field))
			if !s.value(f.t) {
				return 0, s.err()
			}
		}
	}
}

func (d *RecordDecoder) endRecord(s *scanner) (int, error) {
	want, ok := s.varint()
	if !ok {
		return 0, s.err()
	}
	crc := crc32.Update(0, castagnoli, s.hash)
	if !sameChecksum(want, crc) {
		return 0, badRecords("record %d has checksum %08x, its bytes %08x", d.rows, want, crc)
	}
	binary.LittleEndian.PutUint32(d.word[:], crc)
	d.crcs = crc32.Update(d.crcs, castagnoli, d.word[:])
	d.rows++
	return s.pos, nil
}

func (d *RecordDecoder) trailer(s *scanner) (int, error) {
	count, ok := s.varint()
	tag, ok2 := s.varint()
	crc, ok3 := s.varint()
	switch {
	case !ok || !ok2 || !ok3:
		return 0, s.err()
	case unzigzag(count) != d.rows:
		return 0, badRecords("trailer counts %d rows, there were %d", unzigzag(count), d.rows)
	case tag != recordMetaChecksum<<3|wireVarint:
		return 0, badRecords("count is followed by tag %d", tag)
	case !sameChecksum(crc, d.crcs):
		return 0, badRecords("trailer has checksum %08x, the records %08x", crc, d.crcs)
	}
	return s.pos, errRecordEnd
}

// sameChecksum compares a checksum as sent with ours. PyODPS writes those of 2^31 and more sign-extended to 64 bits, and a
// stream may be passed on as it was written.
func sameChecksum(sent uint64, crc uint32) bool {
	return sent == uint64(crc) || sent == uint64(int64(int32(crc)))
}

func unzigzag(u uint64) int64 { return int64(u>>1) ^ -int64(u&1) }

// appendRow adds the scanned record to the builders.
func (d *RecordDecoder) appendRow() error {
	for i := range d.fields {
		f := &d.fields[i]
		if f.at < 0 {
			f.add.b.AppendNull()
			continue
		}
		v := valueReader{b: d.buf[:d.end], pos: f.at}
		if why := f.add.value(&v); why != "" {
			row := d.rows - 1
			return apierr.New(apierr.TypeMismatch, "row %d, column %q: %s", row, f.name, why).
				With("row", fmt.Sprint(row)).With("column", f.name)
		}
	}
	return nil
}

// scanner checks one record. A step that fails says in bad why no further bytes could help, or leaves it empty: then
// bytes are missing.
type scanner struct {
	b    []byte
	pos  int
	hash []byte // what enters the record's CRC
	bad  string
}

func (s *scanner) err() error {
	if s.bad != "" {
		return badRecords("%s", s.bad)
	}
	return errRecordShort
}

func (s *scanner) fail(why string) bool {
	s.bad = why
	return false
}

func (s *scanner) varint() (uint64, bool) {
	if s.pos < len(s.b) && s.b[s.pos] < 0x80 {
		s.pos++
		return uint64(s.b[s.pos-1]), true
	}
	v, n := binary.Uvarint(s.b[s.pos:])
	if n < 0 {
		return 0, s.fail("a varint of more than 64 bits")
	}
	s.pos += n
	return v, n > 0
}

// take hashes and skips n bytes.
func (s *scanner) take(n uint64) bool {
	if n > uint64(len(s.b)-s.pos) {
		return false
	}
	s.hash = append(s.hash, s.b[s.pos:s.pos+int(n)]...)
	s.pos += int(n)
	return true
}

func (s *scanner) value(t *table.Type) bool {
	switch t.Kind {
	case table.KindBoolean:
		v, ok := s.varint()
		if ok && v > 1 {
			return s.fail("a boolean that is neither 0 nor 1")
		}
		s.hash = append(s.hash, byte(v))
		return ok
	case table.KindTinyint, table.KindSmallint, table.KindInt, table.KindBigint, table.KindDate, table.KindDatetime,
		table.KindIntervalYearMonth:
		v, ok := s.varint()
		s.hash = binary.LittleEndian.AppendUint64(s.hash, uint64(unzigzag(v)))
		return ok
	case table.KindFloat:
		return s.take(4)
	case table.KindDouble:
		return s.take(8)
	case table.KindTimestamp, table.KindTimestampNTZ, table.KindIntervalDayTime:
		seconds, ok := s.varint()
		nanos, ok2 := s.varint()
		s.hash = binary.LittleEndian.AppendUint64(s.hash, uint64(unzigzag(seconds)))
		s.hash = binary.LittleEndian.AppendUint32(s.hash, uint32(unzigzag(nanos)))
		return ok && ok2
	case table.KindArray:
		return s.array(&t.Children[0].Type, false)
	case table.KindMap:
		return s.entries(t)
	case table.KindStruct:
		for i := range t.Children {
			if !s.element(&t.Children[i].Type) {
				return false
			}
		}
		return true
	default:
		n, ok := s.varint()
		return ok && s.take(n)
	}
}

func (s *scanner) element(t *table.Type) bool {
	null, ok := s.varint()
	if !ok {
		return false
	}
	if null > 1 {
		return s.fail("a NULL mark that is neither 0 nor 1")
	}
	return null == 1 || s.value(t)
}

func (s *scanner) array(t *table.Type, keys bool) bool {
	n, ok := s.varint()
	if !ok || n > uint64(len(s.b)-s.pos) { // an element takes a byte at least
		return false
	}
	if w := vectorWidth(t); w > 0 {
		if done, ok := s.vector(int(n), w); done {
			return ok
		}
	}
	for range n {
		if keys && s.pos < len(s.b) && s.b[s.pos] == 1 {
			return s.fail("a map key that is NULL")
		}
		if !s.element(t) {
			return false
		}
	}
	return true
}

// vectorWidth is the bytes of one element of an array of floats, 0 for other elements.
func vectorWidth(t *table.Type) int {
	switch t.Kind {
	case table.KindFloat:
		return 4
	case table.KindDouble:
		return 8
	}
	return 0
}

// vector walks n floats of which none is NULL; done is false if one is, and nothing was walked.
func (s *scanner) vector(n, w int) (done, ok bool) {
	if n > (len(s.b)-s.pos)/(w+1) {
		return false, false
	}
	src := s.b[s.pos : s.pos+n*(w+1)]
	at := len(s.hash)
	s.hash = grow(s.hash, n*w)
	if !unpackFloats(s.hash[at:], src, w) {
		s.hash = s.hash[:at]
		return false, false
	}
	s.pos += len(src)
	return true, true
}

// unpackFloats takes the marks out of src; false if one of them is not 0.
func unpackFloats(dst, src []byte, w int) bool {
	var marks byte
	if w == 4 {
		for len(src) >= 5 && len(dst) >= 4 {
			marks |= src[0]
			binary.LittleEndian.PutUint32(dst, binary.LittleEndian.Uint32(src[1:]))
			src, dst = src[5:], dst[4:]
		}
		return marks == 0
	}
	for len(src) >= 9 && len(dst) >= 8 {
		marks |= src[0]
		binary.LittleEndian.PutUint64(dst, binary.LittleEndian.Uint64(src[1:]))
		src, dst = src[9:], dst[8:]
	}
	return marks == 0
}

func (s *scanner) entries(t *table.Type) bool {
	at := s.pos
	keys, ok := s.varint()
	s.pos = at
	if !ok || !s.array(&t.Children[0].Type, true) {
		return false
	}
	at = s.pos
	values, ok := s.varint()
	s.pos = at
	if ok && keys != values {
		return s.fail("a map of more keys than values, or fewer")
	}
	return ok && s.array(&t.Children[1].Type, false)
}
