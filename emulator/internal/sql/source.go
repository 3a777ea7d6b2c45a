package sql

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"sync/atomic"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/sluice-io/sluice/emulator/internal/types"
)

// source is the Arrow stream from which DuckDB copies a relation. It is read once, from
// threads of DuckDB's but by one at a time; a goroutine of its own, which stop waits for,
// reads and converts one batch ahead.
type source struct {
	refs    atomic.Int64
	schema  *arrow.Schema
	columns []Column
	unit    unit
	batches chan converted
	cancel  context.CancelFunc
	done    chan struct{} // closed when the goroutine has ended
	batch   arrow.RecordBatch
	err     error
}

// converted is a batch for DuckDB or the error that ends the stream.
type converted struct {
	batch arrow.RecordBatch
	err   error
}

var _ array.RecordReader = (*source)(nil)

// newSource begins to read the columns at the positions used. The caller calls stop.
func newSource(ctx context.Context, relation Relation, used []int, u unit) *source {
	ctx, cancel := context.WithCancel(ctx)
	s := &source{unit: u, cancel: cancel, batches: make(chan converted), done: make(chan struct{})}
	all := relation.Columns()
	fields := make([]arrow.Field, len(used))
	for i, at := range used {
		s.columns = append(s.columns, all[at])
		fields[i] = arrow.Field{Name: all[at].Name, Type: duckArrow(all[at].Type, u), Nullable: true}
	}
	s.schema = arrow.NewSchema(fields, nil)
	s.refs.Store(1)
	go func() {
		defer close(s.done)
		defer close(s.batches)
		s.produce(ctx, relation.Batches(ctx, used))
	}()
	return s
}

func (s *source) produce(ctx context.Context, batches iter.Seq2[arrow.RecordBatch, error]) {
	for batch, err := range batches {
		item := converted{err: err}
		if err == nil {
			item.batch, item.err = s.convert(batch)
		}
		select {
		case s.batches <- item:
		case <-ctx.Done():
			if item.batch != nil {
				item.batch.Release()
			}
			return
		}
		if item.err != nil {
			return
		}
	}
}

// stop ends the reading and waits for its goroutine.
func (s *source) stop() {
	s.cancel()
	<-s.done
	s.drop()
}

func (s *source) Retain() { s.refs.Add(1) }

// Release does not end the reading: the stream's owner calls stop.
func (s *source) Release() { s.refs.Add(-1) }

func (s *source) Schema() *arrow.Schema { return s.schema }

func (s *source) Next() bool {
	s.drop()
	if s.err != nil {
		return false
	}
	item, ok := <-s.batches
	if !ok {
		return false
	}
	s.batch, s.err = item.batch, item.err
	return s.err == nil
}

func (s *source) RecordBatch() arrow.RecordBatch { return s.batch }

// Record is the older name of RecordBatch.
func (s *source) Record() arrow.RecordBatch { return s.batch }

func (s *source) Err() error { return s.err }

func (s *source) drop() {
	if s.batch != nil {
		s.batch.Release()
		s.batch = nil
	}
}

func (s *source) convert(batch arrow.RecordBatch) (arrow.RecordBatch, error) {
	return convertBatch(batch, s.schema, func(i int, data arrow.ArrayData) (arrow.ArrayData, error) {
		out, err := toDuck(data, s.columns[i].Type, s.unit)
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", s.columns[i].Name, err)
		}
		return out, nil
	})
}

// wideBatch converts a batch of a result. The caller releases it.
func wideBatch(batch arrow.RecordBatch, columns []Column) (arrow.RecordBatch, error) {
	fields := make([]arrow.Field, len(columns))
	for i, c := range columns {
		fields[i] = arrow.Field{Name: c.Name, Type: c.Type.Arrow(types.LayoutWide), Nullable: true}
	}
	return convertBatch(batch, arrow.NewSchema(fields, nil), func(i int, data arrow.ArrayData) (arrow.ArrayData, error) {
		out, err := fromDuck(data, columns[i].Type)
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", columns[i].Name, err)
		}
		return out, nil
	})
}

func convertBatch(batch arrow.RecordBatch, schema *arrow.Schema, convert func(int, arrow.ArrayData) (arrow.ArrayData, error)) (arrow.RecordBatch, error) {
	arrays := make([]arrow.Array, 0, schema.NumFields())
	defer func() {
		for _, a := range arrays {
			a.Release()
		}
	}()
	for i, column := range batch.Columns() {
		data, err := convert(i, column.Data())
		if err != nil {
			return nil, err
		}
		arrays = append(arrays, array.MakeFromData(data))
		data.Release()
	}
	return array.NewRecordBatch(schema, arrays, batch.NumRows()), nil
}

// used are the positions of the columns that a query may look at. At least one, so that
// rows can be counted.
func (p *plan) used(columns []Column) []int {
	var out []int
	for i, c := range columns {
		if p.all || p.names[strings.ToLower(c.Name)] {
			out = append(out, i)
		}
	}
	if len(out) == 0 {
		out = append(out, cheapest(columns))
	}
	return out
}

// cheapest is the position of a column of fixed width, or of the first one.
func cheapest(columns []Column) int {
	for i, c := range columns {
		if _, ok := c.Type.Arrow(types.LayoutWide).(arrow.FixedWidthDataType); ok && !c.Type.Nested() {
			return i
		}
	}
	return 0
}
