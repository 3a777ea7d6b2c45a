package store

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/sluice-io/sluice/emulator/internal/types"
	"github.com/sluice-io/sluice/emulator/internal/wire"
)

// Segment file constants; docs/formats/store.md. Frozen per version.
const (
	segmentMagic   = "SLUICESG"
	segmentVersion = 1
	headerSize     = 64
	trailerSize    = 32
	messageSize    = 32
	blockSize      = 8
)

const (
	checksumBlock  = 64 << 10 // checksums cover at least so many bytes
	writebackEvery = 8 << 20
)

// message is the place of one batch within a segment file.
type message struct {
	offset     int64 // from the start of the file
	meta, body int64
	rows       int64
	layout     types.Layout
}

func (m message) size() int64 { return 8 + m.meta + m.body }

// Segment is rows written, checked and fsynced, but not visible: give it to
// PutBlock or Publish, which take it over, or to Discard.
type Segment struct {
	id string // empty when there are no rows, or the store discards
	// Rows in the segment.
	Rows int64
	// Bytes of Arrow data.
	Bytes int64
}

// Discard drops a segment that will not be used.
func (s *Store) Discard(seg *Segment) { s.discardSegments([]string{seg.id}) }

// SegmentWriter writes one segment. It belongs to one goroutine. End it with
// Finish or Abort; after an error only Abort is left.
type SegmentWriter struct {
	s      *Store
	table  Table
	cols   []wire.Column
	id     string
	file   File
	size   int64 // of the file so far
	synced int64 // writeback started up to here

	scan     wire.Scanner
	messages []message
	blocks   []checksum
	layout   func(wire.Message) (types.Layout, error)
	own      *bufio.Writer // of WriteBatch
}

type checksum struct {
	length int64
	crc    uint32
}

// NewSegment starts a segment for rows in the columns of t, as t is: later changes
// of the table do not matter. The file is made with the first byte.
func (s *Store) NewSegment(t Table) *SegmentWriter {
	w := &SegmentWriter{s: s, table: t, cols: WireColumns(t.Columns)}
	w.layout = func(m wire.Message) (types.Layout, error) { return wire.UploadLayout(w.cols, m.Nodes) }
	w.scan.Visit = w.visit
	return w
}

// WireColumns returns columns as package wire wants them.
func WireColumns(cols []Column) []wire.Column {
	out := make([]wire.Column, len(cols))
	for i, c := range cols {
		out[i] = wire.Column{Name: c.Name, Type: c.Type, Nullable: c.Nullable}
	}
	return out
}

func (w *SegmentWriter) visit(m wire.Message) error {
	l, err := w.layout(m)
	if err != nil || m.Rows == 0 || w.s.opt.Discard {
		return err
	}
	w.messages = append(w.messages, message{offset: headerSize + m.Offset, meta: m.Meta, body: m.Body, rows: m.Rows, layout: l})
	return nil
}

// Write appends bytes of an Arrow stream as received (RecordBatch messages only),
// in pieces of any size. Call Chunk with their checksum before Finish.
func (w *SegmentWriter) Write(p []byte) (int, error) {
	if _, err := w.scan.Write(p); err != nil {
		return 0, fmt.Errorf("%w: %w", ErrBadData, err)
	}
	if w.s.opt.Discard {
		return len(p), nil
	}
	if err := w.store(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (w *SegmentWriter) store(p []byte) error {
	if w.file == nil {
		if err := w.create(); err != nil {
			return err
		}
	}
	n, err := w.file.Write(p)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return fmt.Errorf("write segment: %w: %w", ErrStorage, err)
	}
	w.size += int64(n)
	if w.size-w.synced >= writebackEvery {
		w.file.StartWriteback(w.synced, w.size-w.synced)
		w.synced = w.size
	}
	return nil
}

func (w *SegmentWriter) create() error {
	w.id = newID()
	f, err := w.s.fs.Create(w.id + segmentSuffix)
	if err != nil {
		w.id = ""
		return fmt.Errorf("create segment: %w: %w", ErrStorage, err)
	}
	w.file = f
	header := make([]byte, headerSize)
	copy(header, segmentMagic)
	binary.LittleEndian.PutUint32(header[8:], segmentVersion)
	return w.store(header)
}

// Chunk gives the CRC-32C of the n bytes written since the last Chunk.
func (w *SegmentWriter) Chunk(n int64, crc uint32) {
	if w.s.opt.Discard || n == 0 {
		return
	}
	if k := len(w.blocks) - 1; k >= 0 && w.blocks[k].length < checksumBlock && n < 1<<31 { // lengths are stored in 32 bits
		w.blocks[k].crc = wire.CombineCRC(w.blocks[k].crc, crc, n)
		w.blocks[k].length += n
		return
	}
	w.blocks = append(w.blocks, checksum{n, crc})
}

// ownBytes takes the bytes the writer itself encodes.
type ownBytes struct{ w *SegmentWriter }

func (o ownBytes) Write(p []byte) (int, error) {
	n, err := o.w.Write(p)
	if err == nil {
		o.w.Chunk(int64(n), wire.CRC(0, p))
	}
	return n, err
}

// WriteBatch appends the rows of rec. Its columns must be the table's in one of the
// Arrow layouts; names, nullability flags and time zones do not count. Not to be
// mixed with Write.
func (w *SegmentWriter) WriteBatch(rec arrow.RecordBatch) error {
	l, err := wire.BatchLayout(w.cols, rec)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBadData, err)
	}
	if rec.NumRows() == 0 {
		return nil
	}
	w.layout = func(wire.Message) (types.Layout, error) { return l, nil }
	if w.own == nil {
		w.own = bufio.NewWriterSize(ownBytes{w}, checksumBlock)
	}
	if err := wire.WriteBatch(w.own, rec, memory.DefaultAllocator); err != nil {
		return err
	}
	return w.own.Flush()
}

// Rows written so far.
func (w *SegmentWriter) Rows() int64 { return w.scan.Rows }

// Finish checks every batch against the columns, completes the file and makes it
// durable. On an error nothing is left behind.
func (w *SegmentWriter) Finish() (*Segment, error) {
	seg, err := w.finish()
	if err != nil {
		w.Abort()
		return nil, err
	}
	return seg, nil
}

func (w *SegmentWriter) finish() (*Segment, error) {
	if err := w.scan.Close(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadData, err)
	}
	if w.file == nil {
		return &Segment{Rows: w.scan.Rows}, nil
	}
	if len(w.messages) == 0 {
		w.Abort()
		return &Segment{}, nil
	}
	seg, err := w.check()
	if seg != nil || err != nil {
		return seg, err
	}
	seg = &Segment{id: w.id, Rows: w.scan.Rows, Bytes: w.size - headerSize}
	if err := w.complete(); err != nil {
		return nil, fmt.Errorf("complete segment: %w: %w", ErrStorage, err)
	}
	w.s.mu.Lock()
	w.s.sound[w.id] = true
	w.s.mu.Unlock()
	return seg, nil
}

// check reads the file back and proves each batch safe to decode. Compressed
// batches are rewritten plain: then check returns the segment that replaces this one.
func (w *SegmentWriter) check() (*Segment, error) {
	data, release, err := w.s.fs.Map(w.id + segmentSuffix)
	if err != nil {
		return nil, fmt.Errorf("read segment back: %w: %w", ErrStorage, err)
	}
	defer func() { _ = release() }() // the file stays; a mapping left costs address space only
	var plain *SegmentWriter
	if w.scan.Compressed {
		plain = w.s.NewSegment(w.table)
		defer plain.Abort() // no effect after Finish
	}
	for i, m := range w.messages {
		if err := checkMessage(data, m, w.cols, plain); err != nil {
			return nil, fmt.Errorf("batch %d: %w", i, err)
		}
	}
	if plain == nil {
		return nil, nil
	}
	w.Abort()
	return plain.Finish()
}

func checkMessage(data []byte, m message, cols []wire.Column, plain *SegmentWriter) error {
	b, err := openMessage(data, m)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBadData, err)
	}
	if err := b.Check(cols, m.layout); err != nil {
		return fmt.Errorf("%w: %w", ErrBadData, err)
	}
	if plain == nil {
		return nil
	}
	rec := b.Decode(wire.ArrowSchema(cols, m.layout))
	defer rec.Release()
	return plain.WriteBatch(rec)
}

func openMessage(data []byte, m message) (*wire.Batch, error) {
	at := m.offset + 8
	return wire.OpenBatch(data[at:at+m.meta], data[at+m.meta:at+m.meta+m.body])
}

// complete writes footer and trailer and makes file and folder entry durable.
func (w *SegmentWriter) complete() error {
	tail, err := appendFooter(nil, w.messages, w.blocks, w.table.Columns, w.size-headerSize)
	if err != nil {
		return err
	}
	if err := w.store(tail); err != nil {
		return err
	}
	f := w.file
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := w.s.fs.Sync(); err != nil {
		return err
	}
	w.file = nil
	return nil
}

// Abort drops what was written. It does nothing after Finish.
func (w *SegmentWriter) Abort() {
	if w.file != nil {
		_ = w.file.Close() // the file is removed
		w.file = nil
		w.s.discardSegments([]string{w.id})
	}
}

// footerColumn describes a column in the footer, so that a segment can be read
// without its catalogue.
type footerColumn struct {
	ID   int        `json:"ID"`
	Name string     `json:"Name"`
	Type types.Type `json:"Type"`
}

func appendFooter(b []byte, messages []message, blocks []checksum, cols []Column, data int64) ([]byte, error) {
	le := binary.LittleEndian
	b = le.AppendUint32(b, uint32(len(messages)))
	for _, m := range messages {
		b = le.AppendUint64(b, uint64(m.offset))
		b = le.AppendUint32(b, uint32(m.meta))
		b = le.AppendUint32(b, uint32(m.layout))
		b = le.AppendUint64(b, uint64(m.body))
		b = le.AppendUint64(b, uint64(m.rows))
	}
	b = le.AppendUint32(b, uint32(len(blocks)))
	for _, c := range blocks {
		b = le.AppendUint32(b, uint32(c.length))
		b = le.AppendUint32(b, c.crc)
	}
	desc := make([]footerColumn, len(cols))
	for i, c := range cols {
		desc[i] = footerColumn{c.ID, c.Name, c.Type}
	}
	text, err := json.Marshal(desc)
	if err != nil {
		return nil, err
	}
	b = append(le.AppendUint32(b, uint32(len(text))), text...)
	size := len(b)
	sum := wire.CRC(0, b)
	b = le.AppendUint64(b, uint64(data))
	b = le.AppendUint64(b, uint64(size))
	b = le.AppendUint32(b, sum)
	b = le.AppendUint32(b, segmentVersion)
	return append(b, segmentMagic...), nil
}

// parseSegment reads header, footer and trailer of a whole file, and with verify
// the checksums of the data.
func parseSegment(file []byte, verify bool) ([]message, error) {
	le := binary.LittleEndian
	if len(file) < headerSize+trailerSize || string(file[:8]) != segmentMagic || string(file[len(file)-8:]) != segmentMagic {
		return nil, errors.New("not a segment file")
	}
	t := file[len(file)-trailerSize:]
	data, size := le.Uint64(t), le.Uint64(t[8:])
	if v := le.Uint32(t[20:]); v != segmentVersion {
		return nil, fmt.Errorf("segment version %d, this program knows %d", v, segmentVersion)
	}
	if rest := uint64(len(file) - headerSize - trailerSize); data > rest || size != rest-data {
		return nil, errors.New("segment lengths disagree")
	}
	footer := file[headerSize+data : headerSize+data+size]
	if wire.CRC(0, footer) != le.Uint32(t[16:]) {
		return nil, errors.New("segment footer is damaged")
	}
	return parseFooter(footer, file[headerSize:headerSize+data], verify)
}

func parseFooter(footer, data []byte, verify bool) (messages []message, err error) {
	le := binary.LittleEndian
	if len(footer) < 4 {
		return nil, errors.New("segment footer is too short")
	}
	n := int(le.Uint32(footer))
	p := footer[4:]
	if len(p) < n*messageSize+4 {
		return nil, errors.New("segment footer is too short")
	}
	for range n {
		m := message{offset: int64(le.Uint64(p)), meta: int64(le.Uint32(p[8:])), layout: types.Layout(le.Uint32(p[12:])),
			body: int64(le.Uint64(p[16:])), rows: int64(le.Uint64(p[24:]))}
		if end := headerSize + int64(len(data)); m.offset < headerSize || m.offset > end || m.body < 0 || m.body > end || m.rows < 0 || m.offset+m.size() > end {
			return nil, errors.New("segment footer points outside the data")
		}
		messages, p = append(messages, m), p[messageSize:]
	}
	blocks := int(le.Uint32(p))
	p = p[4:]
	if len(p) < blocks*blockSize {
		return nil, errors.New("segment footer is too short")
	}
	at := headerSize
	for range blocks {
		length, crc := int(le.Uint32(p)), le.Uint32(p[4:])
		p = p[blockSize:]
		if length > len(data) {
			return nil, errors.New("segment checksums cover more than the data")
		}
		if verify && crc32.Checksum(data[:length], crc32.MakeTable(crc32.Castagnoli)) != crc {
			return nil, fmt.Errorf("segment data is damaged between bytes %d and %d of the file", at, at+length)
		}
		data, at = data[length:], at+length
	}
	if len(data) != 0 {
		return nil, errors.New("segment checksums do not cover the data")
	}
	return messages, nil
}
