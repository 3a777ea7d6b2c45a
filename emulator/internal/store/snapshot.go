package store

import (
	"fmt"
	"iter"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	bolt "go.etcd.io/bbolt"

	"github.com/sluice-io/sluice/emulator/internal/types"
	"github.com/sluice-io/sluice/emulator/internal/wire"
)

// mapping is one segment file in memory, loaded once, shared by all snapshots.
type mapping struct {
	once     sync.Once
	data     []byte
	release  func() error
	messages []message
	err      error
}

// Snapshot is the rows of one partition, or of an unpartitioned table, at one
// moment. It stays readable whatever happens to the table, until Release. Safe for
// concurrent use.
type Snapshot struct {
	s    *Store
	segs []segRecord
	rows int64
	refs atomic.Int64
	// Table is the definition at that moment, Partition the part read.
	Table     Table
	Partition Partition
}

// Snapshot pins the rows of a table or partition: ErrNoSuchTable,
// ErrInvalidPartition, ErrNoSuchPartition. The caller releases it.
func (s *Store) Snapshot(k Key, spec types.PartitionSpec) (sn *Snapshot, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	err = s.db.View(func(tx *bolt.Tx) error {
		t, p, err := locate(tx, k, spec)
		if err != nil {
			return err
		}
		sn, err = s.pin(tx, t, p)
		return err
	})
	return sn, err
}

// SnapshotAll pins every partition of a table whose spec starts with filter, at one
// moment, in order; one snapshot for an unpartitioned table. The caller releases
// each.
func (s *Store) SnapshotAll(k Key, filter types.PartitionSpec) (t Table, all []*Snapshot, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	err = s.db.View(func(tx *bolt.Tx) error {
		if t, err = getTable(tx, k); err != nil {
			return err
		}
		if err := t.requireRows(); err != nil {
			return err
		}
		if filter, err = t.Spec(filter, true); err != nil {
			return err
		}
		parts, err := listParts(tx, t.ID, filter)
		if err != nil {
			return err
		}
		for _, p := range parts {
			sn, err := s.pin(tx, t, p)
			if err != nil {
				return err
			}
			all = append(all, sn)
		}
		return nil
	})
	if err != nil {
		for _, sn := range all {
			s.unpin(sn)
		}
		return t, nil, err
	}
	return t, all, nil
}

// pin lists and pins under mu, so that the collector cannot come between.
func (s *Store) pin(tx *bolt.Tx, t Table, p partRecord) (*Snapshot, error) {
	segs, err := listSegs(tx, p.Number)
	if err != nil {
		return nil, err
	}
	sn := &Snapshot{s: s, segs: segs, Table: t, Partition: p.Partition}
	sn.refs.Store(1)
	for _, r := range segs {
		sn.rows += r.Rows
		s.pins[r.ID]++
	}
	return sn, nil
}

// Rows in the snapshot.
func (sn *Snapshot) Rows() int64 { return sn.rows }

// Retain adds an owner, who must Release too.
func (sn *Snapshot) Retain() { sn.refs.Add(1) }

// Release ends one owner's use. After the last one the bytes of batches and
// messages read from the snapshot are gone.
func (sn *Snapshot) Release() {
	if sn.refs.Add(-1) == 0 {
		sn.s.mu.Lock()
		defer sn.s.mu.Unlock()
		sn.s.unpin(sn)
	}
}

// maxIdle is how many segments stay mapped that nobody reads: mapping one again costs its
// pages' faults. They take address space, and memory that the kernel may have back.
const maxIdle = 64

// rest lets a segment that is no longer pinned wait for its next reader, the longest waiting
// one goes. It needs mu.
func (s *Store) rest(id string) {
	if m := s.open[id]; m == nil || m.release == nil || s.doomed[id] {
		s.unmap(id)
		return
	}
	s.idle = append(slices.DeleteFunc(s.idle, func(other string) bool { return other == id || s.pins[other] > 0 }), id)
	if len(s.idle) > maxIdle {
		s.unmap(s.idle[0])
	}
}

// unmap forgets a segment that is not pinned. It needs mu.
func (s *Store) unmap(id string) {
	if m := s.open[id]; m != nil && m.release != nil {
		_ = m.release() // nothing reads it any more; a failed unmap leaves address space
	}
	delete(s.open, id)
	s.idle = slices.DeleteFunc(s.idle, func(other string) bool { return other == id })
}

// unpin needs mu.
func (s *Store) unpin(sn *Snapshot) {
	wake := false
	for _, r := range sn.segs {
		s.pins[r.ID]--
		if s.pins[r.ID] > 0 {
			continue
		}
		delete(s.pins, r.ID)
		s.rest(r.ID)
		if s.doomed[r.ID] {
			delete(s.doomed, r.ID)
			delete(s.sound, r.ID)
			s.trash = append(s.trash, trashed{s.fs, r.ID + segmentSuffix})
			wake = true
		}
	}
	if wake {
		s.wakeCollector()
	}
}

// load maps a segment. Checksums are verified the first time this process reads a
// file that it did not write itself.
func (s *Store) load(id string) (*mapping, error) {
	s.mu.Lock()
	m := s.open[id]
	if m == nil {
		m = &mapping{}
		s.open[id] = m
	}
	sound := s.sound[id]
	s.mu.Unlock()
	m.once.Do(func() {
		if m.data, m.release, m.err = s.fs.Map(id + segmentSuffix); m.err != nil {
			return
		}
		if m.messages, m.err = parseSegment(m.data, !sound); m.err == nil && !sound {
			s.mu.Lock()
			s.sound[id] = true
			s.mu.Unlock()
		}
	})
	if m.err != nil {
		return nil, fmt.Errorf("segment %s: %w: %w", id, ErrStorage, m.err)
	}
	return m, nil
}

// ReadOptions select what to read from a snapshot. The zero value reads all rows
// and columns in LayoutNanos.
type ReadOptions struct {
	// Columns are positions in Snapshot.Table.Columns, in the order wanted; nil =
	// all in table order.
	Columns []int
	// Start is the first row, Count their number; Count 0 = to the end. Rows beyond
	// the end are left out.
	Start, Count int64
	// Layout of the batches. A value it cannot hold is ErrTimestampRange.
	Layout types.Layout
	// AnyLayout leaves each batch in the layout it has (for readers that know all,
	// like the record writer); Layout is ignored.
	AnyLayout bool
}

// Columns returns the columns opt selects.
func (sn *Snapshot) Columns(opt ReadOptions) []Column {
	if opt.Columns == nil {
		return sn.Table.Columns
	}
	cols := make([]Column, len(opt.Columns))
	for i, c := range opt.Columns {
		cols[i] = sn.Table.Columns[c]
	}
	return cols
}

// Schema is the Arrow schema of Batches(opt), not with AnyLayout.
func (sn *Snapshot) Schema(opt ReadOptions) *arrow.Schema {
	return wire.ArrowSchema(WireColumns(sn.Columns(opt)), opt.Layout)
}

// item is a piece of a snapshot: rows From..To of one stored batch.
type item struct {
	file     *mapping
	msg      message
	version  int
	from, to int64
}

// items walks the stored batches that overlap the row range.
func (sn *Snapshot) items(opt ReadOptions) iter.Seq2[item, error] {
	return func(yield func(item, error) bool) {
		end := sn.rows
		if opt.Count > 0 && opt.Count < end-opt.Start {
			end = opt.Start + opt.Count
		}
		at := int64(0)
		for _, r := range sn.segs {
			if at+r.Rows <= opt.Start || at >= end {
				at += r.Rows
				continue
			}
			m, err := sn.s.load(r.ID)
			if err != nil {
				yield(item{}, err)
				return
			}
			for _, msg := range m.messages {
				from, to := max(opt.Start-at, 0), min(end-at, msg.rows)
				at += msg.rows
				if from < to && !yield(item{m, msg, r.SchemaVersion, from, to}, nil) {
					return
				}
			}
		}
	}
}

// Batches reads rows as Arrow record batches over the mapped files. A batch is
// valid until the next iteration step (Retain keeps it, but its bytes never outlive
// the snapshot); the iterator releases it.
func (sn *Snapshot) Batches(opt ReadOptions) iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) {
		for it, err := range sn.items(opt) {
			if err != nil {
				yield(nil, err)
				return
			}
			rec, err := sn.batch(it, opt)
			if err != nil {
				yield(nil, err)
				return
			}
			more := yield(rec, nil)
			rec.Release()
			if !more {
				return
			}
		}
	}
}

// Message is a run of rows on its way out: Raw, whole messages of the file as they
// lie there, or Batch.
type Message struct {
	// Raw is one or more encapsulated RecordBatch messages, nil when Batch is set.
	Raw   []byte
	Batch arrow.RecordBatch
}

// Messages reads rows in the form cheapest to send: bytes of the file where whole
// batches are wanted as stored, decoded batches otherwise. Validity as in Batches.
func (sn *Snapshot) Messages(opt ReadOptions) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		for it, err := range sn.items(opt) {
			if err != nil {
				yield(Message{}, err)
				return
			}
			if sn.asStored(it, opt) {
				if !yield(Message{Raw: it.file.data[it.msg.offset : it.msg.offset+it.msg.size()]}, nil) {
					return
				}
				continue
			}
			rec, err := sn.batch(it, opt)
			if err != nil {
				yield(Message{}, err)
				return
			}
			more := yield(Message{Batch: rec}, nil)
			rec.Release()
			if !more {
				return
			}
		}
	}
}

// asStored reports whether the stored message is exactly what opt wants.
func (sn *Snapshot) asStored(it item, opt ReadOptions) bool {
	stored := sn.Table.History[it.version]
	want := sn.Columns(opt)
	if it.from != 0 || it.to != it.msg.rows || len(stored) != len(want) {
		return false
	}
	for i, c := range want {
		if stored[i].ID != c.ID || !stored[i].Type.Equal(c.Type) || !opt.AnyLayout && !wire.SameForm(c.Type, it.msg.layout, opt.Layout) {
			return false
		}
	}
	return true
}

// batch decodes one item: selects columns, cuts rows, changes the layout.
func (sn *Snapshot) batch(it item, opt ReadOptions) (arrow.RecordBatch, error) {
	b, err := openMessage(it.file.data, it.msg)
	if err != nil {
		return nil, fmt.Errorf("read segment: %w: %w", ErrStorage, err)
	}
	stored := sn.Table.History[it.version]
	whole := b.Decode(wire.ArrowSchema(WireColumns(stored), it.msg.layout))
	defer whole.Release()
	rec, err := sn.project(whole, stored, opt, it.msg.layout)
	if err != nil {
		return nil, err
	}
	if it.from != 0 || it.to != it.msg.rows {
		cut := rec.NewSlice(it.from, it.to)
		rec.Release()
		rec = cut
	}
	if opt.AnyLayout {
		return rec, nil
	}
	defer rec.Release()
	out, err := wire.Convert(rec, WireColumns(sn.Columns(opt)), it.msg.layout, opt.Layout)
	if err != nil {
		return nil, fmt.Errorf("table %s: %w: %w", sn.Table.Key, ErrTimestampRange, err)
	}
	return out, nil
}

// project picks the wanted columns; one that did not exist yet is NULL, one whose type was
// narrower is widened.
func (sn *Snapshot) project(rec arrow.RecordBatch, stored []Column, opt ReadOptions, l types.Layout) (arrow.RecordBatch, error) {
	want := sn.Columns(opt)
	at := make(map[int]int, len(stored))
	for i, c := range stored {
		at[c.ID] = i
	}
	cols := make([]arrow.Array, 0, len(want))
	defer func() {
		for _, c := range cols {
			c.Release()
		}
	}()
	for _, c := range want {
		k, ok := at[c.ID]
		if !ok {
			cols = append(cols, array.MakeArrayOfNull(memory.DefaultAllocator, c.Type.Arrow(l), int(rec.NumRows())))
			continue
		}
		column, err := widened(rec.Column(k), stored[k].Type, c.Type, l)
		if err != nil {
			return nil, fmt.Errorf("table %s, column %s: %w", sn.Table.Key, c.Name, err)
		}
		cols = append(cols, column)
	}
	return array.NewRecordBatch(wire.ArrowSchema(WireColumns(want), l), cols, rec.NumRows()), nil
}

// Check proves that every value in the range can be had in opt.Layout, or returns
// the error that Batches would: for readers that must know before they start. It
// maps the segments, which proves their checksums, and looks only at batches whose form
// differs.
func (sn *Snapshot) Check(opt ReadOptions) error {
	cols := sn.Columns(opt)
	for it, err := range sn.items(opt) {
		if err != nil {
			return err
		}
		same := true
		for _, c := range cols {
			same = same && (opt.AnyLayout || wire.SameForm(c.Type, it.msg.layout, opt.Layout))
		}
		if same {
			continue
		}
		rec, err := sn.batch(it, opt)
		if err != nil {
			return err
		}
		rec.Release()
	}
	return nil
}

// Wide reports whether any stored batch holds timestamps that int64 nanoseconds
// cannot: then read with LayoutWide.
func (sn *Snapshot) Wide() (bool, error) {
	for it, err := range sn.items(ReadOptions{}) {
		if err != nil {
			return false, err
		}
		if it.msg.layout == types.LayoutWide {
			return true, nil
		}
	}
	return false, nil
}
