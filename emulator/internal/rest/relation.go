package rest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/sluice-io/sluice/emulator/internal/sql"
	"github.com/sluice-io/sluice/emulator/internal/store"
	"github.com/sluice-io/sluice/emulator/internal/types"
)

// tables lets the SQL engine read the store, with the names of one job.
type tables struct {
	store *store.Store
	job   *job
}

// Open pins all partitions of a table at one moment.
func (t tables) Open(_ context.Context, name []string) (sql.Relation, error) {
	table, snapshots, err := t.store.SnapshotAll(t.job.key(name), nil)
	if errors.Is(err, store.ErrNoSuchTable) {
		return nil, fmt.Errorf("%w: %w", sql.ErrNoTable, err)
	}
	if err != nil {
		return nil, err
	}
	return &relation{table: table, snapshots: snapshots, tally: t.job.tally}, nil
}

// View finds a view.
func (t tables) View(name []string) (*sql.View, error) {
	found, err := t.store.Table(t.job.key(name))
	if errors.Is(err, store.ErrNoSuchTable) || err == nil && found.Kind != store.KindView {
		return nil, nil //nolint:nilnil // no view: a table, or nothing
	}
	if err != nil {
		return nil, err
	}
	v := &sql.View{Name: found.Key.String(), Text: found.ViewText, Tables: tables{t.store, t.job.scoped(*found.ViewScope)}}
	for _, c := range found.Columns {
		v.Columns = append(v.Columns, c.Name)
	}
	return v, nil
}

// relation is one table's rows, the partition columns added.
type relation struct {
	table     store.Table
	snapshots []*store.Snapshot
	tally     *tally
}

func (r *relation) Columns() []sql.Column { return sqlColumns(r.table) }

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
func (r *relation) Narrow(equal map[string]string) {
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

func (r *relation) Close() {
	r.tally.read(r.table, r.snapshots)
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

func (r *relation) Pieces() ([]sql.Piece, error) {
	var out []sql.Piece
	for _, s := range r.snapshots {
		constants, err := r.constants(s.Partition.Spec)
		if err != nil {
			return nil, err
		}
		pieces, err := s.Pieces(pieceRows, pieceBytes)
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
func (r *relation) constants(spec types.PartitionSpec) ([]arrow.Array, error) {
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
func (r *relation) Batches(ctx context.Context, columns []int) iter.Seq2[arrow.RecordBatch, error] {
	all := r.Columns()
	wanted := make([]sql.Column, len(columns))
	data := []int{} // not nil: that would be all
	for i, at := range columns {
		wanted[i] = all[at]
		if at < len(r.table.Columns) {
			data = append(data, at)
		}
	}
	schema := arrowSchema(wanted)
	return func(yield func(arrow.RecordBatch, error) bool) {
		for _, s := range r.snapshots {
			for batch, err := range s.Batches(store.ReadOptions{Columns: data, Layout: types.LayoutWide}) {
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
func (r *relation) addPartition(batch arrow.RecordBatch, schema *arrow.Schema, columns []int, spec types.PartitionSpec) (arrow.RecordBatch, error) {
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
