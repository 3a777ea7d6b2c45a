package instance

import (
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/sluice-io/sluice/emulator/internal/sql"
	"github.com/sluice-io/sluice/emulator/internal/store"
	"github.com/sluice-io/sluice/emulator/internal/types"
)

// tableWriter writes rows into segments, one per partition.
type tableWriter struct {
	store *store.Store
	table store.Table
	plan  *insertPlan
	parts []*part
	tally *tally
}

type part struct {
	spec    types.PartitionSpec
	writer  *store.SegmentWriter
	segment *store.Segment
}

func (w *tableWriter) open(spec types.PartitionSpec) *part {
	p := &part{spec: spec, writer: w.store.NewSegment(w.table)}
	w.parts = append(w.parts, p)
	return p
}

// fill reads the query to its end and returns its rows, not yet visible. On an error
// nothing is left of them.
func (w *tableWriter) fill(rows *sql.Rows) ([]store.Publication, error) {
	if err := w.writeAll(rows); err != nil {
		w.abort()
		return nil, err
	}
	return w.finish()
}

// writeAll reads the query to its end. A nil plan takes the columns as they come.
func (w *tableWriter) writeAll(rows *sql.Rows) error {
	for rows.Next() {
		batch := rows.Batch()
		w.tally.made(batch.NumRows())
		if w.plan == nil {
			if err := w.part(nil).writer.WriteBatch(batch); err != nil {
				return err
			}
			continue
		}
		if err := w.write(batch); err != nil {
			return err
		}
	}
	return rows.Err()
}

// part returns the writer for a partition. Rows come grouped, so it is the last one's.
func (w *tableWriter) part(spec types.PartitionSpec) *part {
	for _, p := range slices.Backward(w.parts) {
		if slices.Equal(p.spec, spec) {
			return p
		}
	}
	return w.open(spec)
}

// write cuts a batch into runs of one partition each.
func (w *tableWriter) write(batch arrow.RecordBatch) error {
	full := w.arrange(batch)
	defer full.Release()
	if err := w.checkNulls(full); err != nil {
		return err
	}
	if len(w.plan.dynamic) == 0 {
		return w.part(w.plan.static).writer.WriteBatch(full)
	}
	n := int(batch.NumRows())
	for start := 0; start < n; {
		spec, err := w.specOf(batch, start)
		if err != nil {
			return err
		}
		end := start + 1
		for ; end < n; end++ {
			next, err := w.specOf(batch, end)
			if err != nil {
				return err
			}
			if !slices.Equal(next, spec) {
				break
			}
		}
		run := full.NewSlice(int64(start), int64(end))
		err = w.part(spec).writer.WriteBatch(run)
		run.Release()
		if err != nil {
			return err
		}
		start = end
	}
	return nil
}

// checkNulls says which column may not be NULL; the store would only speak of bad data.
func (w *tableWriter) checkNulls(batch arrow.RecordBatch) error {
	for i, c := range w.table.Columns {
		if n := batch.Column(i).NullN(); !c.Nullable && n > 0 {
			return &sql.Error{Code: "ODPS-0121095", Message: fmt.Sprintf(
				"Invalid argument - column %s of table %s is NOT NULL, and %d rows have no value for it", c.Name, w.table.Key, n)}
		}
	}
	return nil
}

// arrange puts a query's columns where the table has them.
func (w *tableWriter) arrange(batch arrow.RecordBatch) arrow.RecordBatch {
	fields, arrays := make([]arrow.Field, len(w.plan.from)), make([]arrow.Array, len(w.plan.from))
	for i, from := range w.plan.from {
		c := w.table.Columns[i]
		fields[i] = arrow.Field{Name: c.Name, Type: c.Type.Arrow(types.LayoutWide), Nullable: true}
		switch {
		case from >= 0:
			arrays[i] = batch.Column(from)
			arrays[i].Retain()
		case w.plan.defaults[i] != nil:
			arrays[i] = w.plan.defaults[i].times(int(batch.NumRows()))
		default:
			arrays[i] = array.MakeArrayOfNull(memory.DefaultAllocator, fields[i].Type, int(batch.NumRows()))
		}
	}
	out := array.NewRecordBatch(arrow.NewSchema(fields, nil), arrays, batch.NumRows())
	for _, a := range arrays {
		a.Release()
	}
	return out
}

// specOf reads a row's partition from the dynamic columns, the last of the batch.
func (w *tableWriter) specOf(batch arrow.RecordBatch, row int) (types.PartitionSpec, error) {
	spec := slices.Clone(w.plan.static)
	first := int(batch.NumCols()) - len(w.plan.dynamic)
	for i, name := range w.plan.dynamic {
		column := batch.Column(first + i)
		if column.IsNull(row) {
			return nil, &sql.Error{Code: "ODPS-0123031", Message: "Partition exception - a row has NULL in the dynamic partition column " + name}
		}
		kind := types.Type{Kind: types.String} // of a derived column
		if first+i < len(w.plan.types) {
			kind = w.plan.types[first+i]
		}
		spec = append(spec, types.PartitionValue{Column: name, Value: valueText(column, row, kind)})
	}
	return spec, nil
}

func (w *tableWriter) abort() {
	for _, p := range w.parts {
		p.writer.Abort()
		if p.segment != nil {
			w.store.Discard(p.segment)
		}
	}
}

// finish makes the rows durable. On an error nothing is left of them.
func (w *tableWriter) finish() ([]store.Publication, error) {
	var pubs []store.Publication
	for _, p := range w.parts {
		segment, err := p.writer.Finish()
		if err != nil {
			w.abort()
			return nil, err
		}
		p.segment = segment
		pubs = append(pubs, store.Publication{Spec: p.spec, Segments: []*store.Segment{segment}})
	}
	return pubs, nil
}

// show makes rows visible at once. On an error nothing is.
func (w *tableWriter) show(pubs []store.Publication, opt store.PublishOptions) error {
	err := w.store.Publish(w.table, pubs, opt)
	if err == nil {
		w.tally.wrote(w.table, pubs)
	}
	return err
}
