package instance

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/sluice-io/sluice/emulator/internal/ddl"
	"github.com/sluice-io/sluice/emulator/internal/sql"
	"github.com/sluice-io/sluice/emulator/internal/store"
	"github.com/sluice-io/sluice/emulator/internal/types"
)

// insert runs INSERT: the query's columns are cast to the table's, and what they give
// becomes visible in one step.
func (x *executor) insert(ctx context.Context, j *job, s *ddl.Insert) error {
	w, pubs, err := x.prepareInsert(ctx, j, s)
	if err != nil {
		return err
	}
	return w.show(pubs, store.PublishOptions{Overwrite: s.Overwrite, CreatePartitions: true})
}

// multiInsert runs several INSERTs that become visible in one step.
func (x *executor) multiInsert(ctx context.Context, j *job, s *ddl.MultiInsert) error {
	var all []store.TablePublication
	var writers []*tableWriter
	seen := map[string]bool{} // whether the INSERT overwrites
	for _, insert := range s.Inserts {
		w, pubs, err := x.prepareInsert(ctx, j, insert)
		if err != nil {
			for _, before := range writers {
				before.abort()
			}
			return err
		}
		writers = append(writers, w)
		all = append(all, store.TablePublication{Table: w.table, Publications: pubs, Options: store.PublishOptions{Overwrite: insert.Overwrite, CreatePartitions: true}})
		for _, p := range pubs {
			name := flowName(w.table.Key, p.Spec)
			if before, twice := seen[name]; twice && (before || insert.Overwrite) {
				for _, before := range writers {
					before.abort()
				}
				return semantic(insert.Table.Pos, "%s is written by two INSERTs of one statement, of which one overwrites", name)
			}
			seen[name] = insert.Overwrite
		}
	}
	if err := x.store.PublishAll(all); err != nil {
		return err
	}
	for i, w := range writers {
		j.tally.wrote(w.table, all[i].Publications)
	}
	return nil
}

// prepareInsert runs an INSERT up to the point where its rows become visible.
func (x *executor) prepareInsert(ctx context.Context, j *job, s *ddl.Insert) (w *tableWriter, pubs []store.Publication, err error) {
	t, err := x.store.Table(j.key(s.Table.Parts))
	if err != nil {
		return nil, nil, err
	}
	switch {
	case t.Kind != "":
		return nil, nil, semantic(s.Table.Pos, "%s is a view, rows cannot be inserted", t.Key)
	case s.Overwrite && t.Transactional && len(t.PrimaryKey) > 0:
		return nil, nil, fmt.Errorf("table %s: %w", t.Key, store.ErrOverwriteForbidden)
	}
	plan, err := planInsert(t, s)
	if err == nil {
		err = x.readDefaults(ctx, j, t, plan)
	}
	if err != nil {
		return nil, nil, err
	}
	rows, err := x.rows(ctx, j, s.Query, plan.target())
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if closeErr := rows.Close(); closeErr != nil {
			err = errors.Join(err, closeErr)
		}
	}()
	w = &tableWriter{store: x.store, table: t, plan: plan, tally: j.tally}
	if len(plan.dynamic) == 0 { // even without rows: an overwrite empties, a partition comes to be
		w.open(plan.static)
	}
	pubs, err = w.fill(rows)
	return w, pubs, err
}

// insertPlan says where the query's columns go.
type insertPlan struct {
	// types of the query's columns: data columns, then dynamic partition columns.
	types []types.Type
	// names of these columns, for errors.
	names []string
	// derived are columns that the query gets behind its own.
	derived []sql.TruncTime
	// from[i] is the query's column for the table's i-th data column, -1 for its default.
	from []int
	// defaults[i] is the default of the i-th data column, nil for NULL.
	defaults []*constant
	// static are the partition columns with a value, dynamic the names of the others.
	static  types.PartitionSpec
	dynamic []string
}

func planInsert(t store.Table, s *ddl.Insert) (*insertPlan, error) {
	p := &insertPlan{from: make([]int, len(t.Columns)), defaults: make([]*constant, len(t.Columns))}
	if t.Auto != nil {
		return p, p.auto(t, s)
	}
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
	data, err := p.data(t, s, names)
	if err != nil {
		return nil, err
	}
	if len(names) != data+len(p.dynamic) {
		return nil, semantic(s.Table.Pos, "table %s: the dynamic partition columns must stand last in the list of columns", t.Key)
	}
	for _, name := range p.dynamic {
		for _, c := range t.PartitionColumns {
			if c.Name == name {
				p.types, p.names = append(p.types, c.Type), append(p.names, c.Name)
			}
		}
	}
	return p, nil
}

// data places the data columns of a list and returns their number.
func (p *insertPlan) data(t store.Table, s *ddl.Insert, names []string) (data int, err error) {
	for i := range p.from {
		p.from[i] = -1
	}
	for i, name := range names {
		if at := t.ColumnIndex(name); at >= 0 && p.from[at] < 0 && i == data {
			p.from[at] = data
			p.types, p.names = append(p.types, t.Columns[at].Type), append(p.names, t.Columns[at].Name)
			data++
			continue
		}
		if k := i - data; k >= len(p.dynamic) || !strings.EqualFold(p.dynamic[k], name) {
			return 0, semantic(s.Table.Pos, "table %s: column %s is not known, named twice, or not in its place", t.Key, name)
		}
	}
	return data, nil
}

// auto plans for a table whose partitions follow from a column: they are never given.
func (p *insertPlan) auto(t store.Table, s *ddl.Insert) error {
	if len(s.Partition.Keys) > 0 {
		return semantic(s.Partition.Pos, "table %s makes its partitions from column %s, they cannot be given", t.Key, t.Auto.Column)
	}
	names := s.Columns
	if len(names) == 0 {
		for _, c := range t.Columns {
			names = append(names, c.Name)
		}
	}
	if _, err := p.data(t, s, names); err != nil {
		return err
	}
	from := p.from[t.ColumnIndex(t.Auto.Column)]
	if from < 0 {
		return semantic(s.Table.Pos, "table %s: column %s must be given, the partition follows from it", t.Key, t.Auto.Column)
	}
	p.derived = []sql.TruncTime{{From: from, Unit: t.Auto.Unit}}
	p.dynamic = []string{t.PartitionColumns[0].Name}
	return nil
}

// target is what the query's columns become.
func (p *insertPlan) target() *sql.Target {
	return &sql.Target{Types: p.types, Names: p.names, Derived: p.derived, GroupBy: len(p.dynamic)}
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
