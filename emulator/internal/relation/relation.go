// Package relation shows rows of the store with their partition columns, as package sql
// reads them.
package relation

import (
	"context"
	"fmt"
	"iter"
	"math"
	"slices"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/sluice-io/sluice/emulator/internal/sql"
	"github.com/sluice-io/sluice/emulator/internal/store"
	"github.com/sluice-io/sluice/emulator/internal/types"
)

// Relation is the rows of one table, or some of them, with the partition columns added.
type Relation struct {
	table     store.Table
	snapshots []*store.Snapshot
	start     int64 // the first row, of all snapshots behind one another
	count     int64
}

// New takes over the pins of the snapshots, whose rows behind one another are the
// relation's. The caller closes it.
func New(table store.Table, snapshots []*store.Snapshot) *Relation {
	return &Relation{table: table, snapshots: snapshots, count: math.MaxInt64}
}

// Limit leaves only count rows from start on. Not to be used with Narrow.
func (r *Relation) Limit(start, count int64) { r.start, r.count = start, count }

// Snapshots are what the relation still reads.
func (r *Relation) Snapshots() []*store.Snapshot { return r.snapshots }

// parts are the rows of each snapshot that the relation takes.
func (r *Relation) parts() iter.Seq2[*store.Snapshot, store.ReadOptions] {
	return func(yield func(*store.Snapshot, store.ReadOptions) bool) {
		at, end := int64(0), int64(math.MaxInt64)
		if r.count < end-r.start {
			end = r.start + r.count
		}
		for _, s := range r.snapshots {
			from, to := max(r.start-at, 0), min(end-at, s.Rows())
			at += s.Rows()
			if from < to && !yield(s, store.ReadOptions{Start: from, Count: to - from}) {
				return
			}
		}
	}
}

// Columns are the data columns, then the partition columns.
func (r *Relation) Columns() []sql.Column { return sqlColumns(r.table) }

// sqlColumns are a table's columns as queries see them.
func sqlColumns(t store.Table) []sql.Column {
	var out []sql.Column
	for _, list := range [][]store.Column{t.Columns, t.PartitionColumns} {
		for _, c := range list {
			out = append(out, sql.Column{Name: c.Name, Type: c.Type})
		}
	}
	return out
}

// Narrow drops the partitions whose value in a partition column of type STRING is another.
func (r *Relation) Narrow(equal map[string]string) {
	r.snapshots = slices.DeleteFunc(r.snapshots, func(s *store.Snapshot) bool {
		for _, c := range r.table.PartitionColumns {
			want, wanted := equal[c.Name]
			value, _ := s.Partition.Spec.Value(c.Name)
			if wanted && c.Type.Kind == types.String && value != want {
				s.Release()
				return true
			}
		}
		return false
	})
}

// Close releases the snapshots.
func (r *Relation) Close() {
	for _, s := range r.snapshots {
		s.Release()
	}
}

// A piece is some chunks of DuckDB's, so that threads share a table evenly, and bounded, so
// that the results of some pieces are.
const (
	pieceRows  = 30 * 2048
	pieceBytes = 4 << 20
)

// Pieces are the rows, in order, cut into runs that can be read apart.
func (r *Relation) Pieces() ([]sql.Piece, error) {
	var out []sql.Piece
	for s, rows := range r.parts() {
		constants, err := r.constants(s.Partition.Spec)
		if err != nil {
			return nil, err
		}
		pieces, err := s.Pieces(rows, pieceRows, pieceBytes)
		if err != nil {
			return nil, err
		}
		for _, p := range pieces {
			out = append(out, piece{p, len(r.table.Columns), constants})
		}
	}
	return out, nil
}

// constants are the values of a partition's columns. They need no release: their memory is
// the collector's.
func (r *Relation) constants(spec types.PartitionSpec) ([]arrow.Array, error) {
	var out []arrow.Array
	for _, c := range r.table.PartitionColumns {
		value, _ := spec.Value(c.Name)
		constant, err := constantArray(c.Type.Arrow(types.LayoutWide), value, 1)
		if err != nil {
			return nil, fmt.Errorf("partition %s: value of %s is no %s: %w", spec, c.Name, c.Type, err)
		}
		out = append(out, constant)
	}
	return out, nil
}

// piece is a run of rows of one partition.
type piece struct {
	store.Piece
	data      int           // number of data columns
	constants []arrow.Array // of the partition columns
}

func (p piece) Rows() int { return int(p.Piece.Rows()) }

func (p piece) Read(columns []int) ([]arrow.Array, error) {
	var data []int
	for _, at := range columns {
		if at < p.data {
			data = append(data, at)
		}
	}
	batch, err := p.Piece.Read(data)
	if err != nil {
		return nil, err
	}
	defer batch.Release()
	out := make([]arrow.Array, len(columns))
	read := 0
	for i, at := range columns {
		if at < p.data {
			out[i] = batch.Column(read)
			read++
		} else {
			out[i] = p.constants[at-p.data]
		}
		out[i].Retain()
	}
	return out, nil
}

// Batches yields the rows in types.LayoutWide, with the columns at the given positions. A
// batch is the iterator's.
func (r *Relation) Batches(ctx context.Context, columns []int) iter.Seq2[arrow.RecordBatch, error] {
	all := r.Columns()
	wanted := make([]sql.Column, len(columns))
	data := []int{} // not nil: that would be all
	for i, at := range columns {
		wanted[i] = all[at]
		if at < len(r.table.Columns) {
			data = append(data, at)
		}
	}
	schema := Schema(wanted)
	return func(yield func(arrow.RecordBatch, error) bool) {
		for s, rows := range r.parts() {
			rows.Columns, rows.Layout = data, types.LayoutWide
			for batch, err := range s.Batches(rows) {
				if err == nil {
					err = ctx.Err()
				}
				if err != nil {
					yield(nil, err)
					return
				}
				full, err := r.addPartition(batch, schema, columns, s.Partition.Spec)
				if err != nil {
					yield(nil, err)
					return
				}
				more := yield(full, nil)
				full.Release()
				if !more {
					return
				}
			}
		}
	}
}

// addPartition puts constant columns between those that were read.
func (r *Relation) addPartition(batch arrow.RecordBatch, schema *arrow.Schema, columns []int, spec types.PartitionSpec) (arrow.RecordBatch, error) {
	arrays := make([]arrow.Array, 0, len(columns))
	defer func() {
		for _, a := range arrays {
			a.Release()
		}
	}()
	read := 0
	for i, at := range columns {
		if at < len(r.table.Columns) {
			batch.Column(read).Retain()
			arrays = append(arrays, batch.Column(read))
			read++
			continue
		}
		c := r.table.PartitionColumns[at-len(r.table.Columns)]
		value, _ := spec.Value(c.Name)
		constant, err := constantArray(schema.Field(i).Type, value, int(batch.NumRows()))
		if err != nil {
			return nil, fmt.Errorf("partition %s: value of %s is no %s: %w", spec, c.Name, c.Type, err)
		}
		arrays = append(arrays, constant)
	}
	return array.NewRecordBatch(schema, arrays, batch.NumRows()), nil
}

// constantArray repeats a partition's value, read from its text.
func constantArray(dt arrow.DataType, value string, n int) (arrow.Array, error) {
	b := array.NewBuilder(memory.DefaultAllocator, dt)
	defer b.Release()
	b.Reserve(n)
	if s, ok := b.(*array.StructBuilder); ok { // (seconds, nanoseconds)
		at, err := time.Parse("2006-01-02 15:04:05.999999999", value)
		if err != nil {
			return nil, err
		}
		for range n {
			s.Append(true)
			s.FieldBuilder(0).(*array.Int64Builder).Append(at.Unix())
			s.FieldBuilder(1).(*array.Int32Builder).Append(int32(at.Nanosecond()))
		}
		return b.NewArray(), nil
	}
	for range n {
		if err := b.AppendValueFromString(value); err != nil {
			return nil, err
		}
	}
	return b.NewArray(), nil
}

// Schema is the Arrow form of columns in types.LayoutWide.
func Schema(columns []sql.Column) *arrow.Schema {
	fields := make([]arrow.Field, len(columns))
	for i, c := range columns {
		fields[i] = arrow.Field{Name: c.Name, Type: c.Type.Arrow(types.LayoutWide), Nullable: true}
	}
	return arrow.NewSchema(fields, nil)
}
