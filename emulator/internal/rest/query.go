package rest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/sluice-io/sluice/emulator/internal/ddl"
	"github.com/sluice-io/sluice/emulator/internal/sql"
	"github.com/sluice-io/sluice/emulator/internal/store"
	"github.com/sluice-io/sluice/emulator/internal/types"
)

func (x *executor) query(ctx context.Context, j *job, s *ddl.Query) (result *Result, err error) {
	rows, err := x.engine.Query(ctx, tables{x.store, j}, s.Text.SQL, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	return spool(x.dir, j.id, rows, j.tally)
}

// createAs makes a table of a query's columns, filled with its rows. It fails before the
// query if the table is there, and leaves no table behind if the rows fail.
func (x *executor) createAs(ctx context.Context, j *job, s *ddl.CreateTable, t store.Table) (err error) {
	if _, err := x.store.Table(t.Key); err == nil {
		if s.IfNotExists {
			return nil
		}
		return fmt.Errorf("%s: %w", t.Key, store.ErrTableExists)
	}
	if len(s.PartitionedBy) > 0 {
		return semantic(s.Table.Pos, "CREATE TABLE AS cannot partition the table")
	}
	setProperties(&t, s.Properties)
	rows, err := x.engine.Query(ctx, tables{x.store, j}, s.Query.SQL, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for _, c := range rows.Columns() {
		t.Columns = append(t.Columns, store.Column{Name: c.Name, Type: c.Type, Nullable: true})
	}
	made, _, err := x.store.CreateTable(t, false)
	if err != nil {
		return err
	}
	w := &tableWriter{store: x.store, table: made, tally: j.tally}
	err = w.writeAll(rows, nil)
	if err == nil {
		err = w.publish(store.PublishOptions{})
	}
	if err != nil {
		w.abort()
		return errors.Join(err, x.store.DropTable(made.Key, true))
	}
	return nil
}

// insert runs INSERT: the query's columns are cast to the table's, and what they give
// becomes visible in one step.
func (x *executor) insert(ctx context.Context, j *job, s *ddl.Insert) (err error) {
	t, err := x.store.Table(j.key(s.Table.Parts))
	if err != nil {
		return err
	}
	if s.Overwrite && t.Transactional && len(t.PrimaryKey) > 0 {
		return fmt.Errorf("table %s: %w", t.Key, store.ErrOverwriteForbidden)
	}
	plan, err := planInsert(t, s)
	if err != nil {
		return err
	}
	rows, err := x.engine.Query(ctx, tables{x.store, j}, s.Query.SQL, &sql.Target{Types: plan.types, GroupBy: len(plan.dynamic)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	w := &tableWriter{store: x.store, table: t, plan: plan, tally: j.tally}
	if len(plan.dynamic) == 0 { // even without rows: an overwrite empties, a partition comes to be
		w.open(plan.static)
	}
	if err := w.writeAll(rows, plan); err != nil {
		w.abort()
		return err
	}
	return w.publish(store.PublishOptions{Overwrite: s.Overwrite, CreatePartitions: true})
}

// insertPlan says where the query's columns go.
type insertPlan struct {
	// types of the query's columns: data columns, then dynamic partition columns.
	types []types.Type
	// from[i] is the query's column for the table's i-th data column, -1 for NULL.
	from []int
	// static are the partition columns with a value, dynamic the names of the others.
	static  types.PartitionSpec
	dynamic []string
}

func planInsert(t store.Table, s *ddl.Insert) (*insertPlan, error) {
	p := &insertPlan{from: make([]int, len(t.Columns))}
	if err := p.partition(t, s); err != nil {
		return nil, err
	}
	names := s.Columns
	if len(names) == 0 {
		for _, c := range t.Columns {
			names = append(names, c.Name)
		}
		names = append(names, p.dynamic...)
	}
	for i := range p.from {
		p.from[i] = -1
	}
	data := 0
	for i, name := range names {
		if at := t.ColumnIndex(name); at >= 0 && p.from[at] < 0 && i == data {
			p.from[at] = data
			p.types = append(p.types, t.Columns[at].Type)
			data++
			continue
		}
		if k := i - data; k >= len(p.dynamic) || !strings.EqualFold(p.dynamic[k], name) {
			return nil, semantic(s.Table.Pos, "table %s: column %s is not known, named twice, or not in its place", t.Key, name)
		}
	}
	if len(names) != data+len(p.dynamic) {
		return nil, semantic(s.Table.Pos, "table %s: the dynamic partition columns must stand last in the list of columns", t.Key)
	}
	for _, name := range p.dynamic {
		for _, c := range t.PartitionColumns {
			if c.Name == name {
				p.types = append(p.types, c.Type)
			}
		}
	}
	return p, nil
}

// partition splits the PARTITION clause. Columns without a value are dynamic; without a
// clause all are.
func (p *insertPlan) partition(t store.Table, s *ddl.Insert) error {
	given := map[string]ddl.SpecKey{}
	for _, k := range s.Partition.Keys {
		given[strings.ToLower(k.Column)] = k
	}
	for _, c := range t.PartitionColumns {
		k, ok := given[c.Name]
		delete(given, c.Name)
		switch {
		case !ok && len(s.Partition.Keys) > 0:
			return semantic(s.Partition.Pos, "table %s: the partition needs a value for %s", t.Key, c.Name)
		case !ok, k.Dynamic:
			p.dynamic = append(p.dynamic, c.Name)
		case len(p.dynamic) > 0:
			return semantic(s.Partition.Pos, "table %s: %s has a value behind a dynamic partition column", t.Key, c.Name)
		default:
			p.static = append(p.static, types.PartitionValue{Column: c.Name, Value: k.Value})
		}
	}
	for name := range given {
		return semantic(s.Partition.Pos, "table %s has no partition column %s", t.Key, name)
	}
	return nil
}

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

// writeAll reads the query to its end. A nil plan takes the columns as they come.
func (w *tableWriter) writeAll(rows *sql.Rows, plan *insertPlan) error {
	for rows.Next() {
		batch := rows.Batch()
		w.tally.made(batch.NumRows())
		if plan == nil {
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

// arrange puts a query's columns where the table has them.
func (w *tableWriter) arrange(batch arrow.RecordBatch) arrow.RecordBatch {
	fields, arrays := make([]arrow.Field, len(w.plan.from)), make([]arrow.Array, len(w.plan.from))
	for i, from := range w.plan.from {
		c := w.table.Columns[i]
		fields[i] = arrow.Field{Name: c.Name, Type: c.Type.Arrow(types.LayoutWide), Nullable: true}
		if from >= 0 {
			arrays[i] = batch.Column(from)
			arrays[i].Retain()
		} else {
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
		spec = append(spec, types.PartitionValue{Column: name, Value: valueText(column, row, w.plan.types[first+i])})
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

// publish makes everything visible at once. On an error nothing is.
func (w *tableWriter) publish(opt store.PublishOptions) error {
	var pubs []store.Publication
	for _, p := range w.parts {
		segment, err := p.writer.Finish()
		if err != nil {
			w.abort()
			return err
		}
		p.segment = segment
		pubs = append(pubs, store.Publication{Spec: p.spec, Segments: []*store.Segment{segment}})
	}
	err := w.store.Publish(w.table, pubs, opt)
	if err == nil {
		w.tally.wrote(w.table, pubs)
	}
	return err
}
