package instance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-io/sluice/emulator/internal/ddl"
	"github.com/sluice-io/sluice/emulator/internal/sql"
	"github.com/sluice-io/sluice/emulator/internal/store"
)

// UPDATE, DELETE and MERGE read the table, make all its rows anew, and put them in the place
// of the old ones in one step, which fails if somebody else changed the table meanwhile.

func (x *executor) update(ctx context.Context, j *job, s *ddl.Update) error {
	t, err := x.changeable(j, s.Target)
	if err != nil {
		return err
	}
	set, err := assignments(t, s.Target, s.Set)
	if err != nil {
		return err
	}
	when := "true"
	if s.Where != nil {
		when = s.Where.SQL
	}
	var list []string
	for _, c := range t.Columns {
		old := quoted(s.Alias, c.Name)
		if value, ok := set[c.Name]; ok {
			list = append(list, fmt.Sprintf("case when (%s) then cast((%s) as %s) else %s end", when, value, c.Type, old))
		} else {
			list = append(list, old)
		}
	}
	for _, c := range givenPartitions(t) {
		list = append(list, quoted(s.Alias, c.Name))
	}
	return x.rewrite(ctx, j, t, fmt.Sprintf("select %s from %s as %s", strings.Join(list, ", "), quoted(s.Table.Parts...), quoted(s.Alias)))
}

func (x *executor) remove(ctx context.Context, j *job, s *ddl.Delete) error {
	t, err := x.changeable(j, s.Target)
	if err != nil {
		return err
	}
	when := "true"
	if s.Where != nil {
		when = s.Where.SQL
	}
	var list []string
	for _, c := range givenColumns(t) {
		list = append(list, quoted(s.Alias, c.Name))
	}
	return x.rewrite(ctx, j, t, fmt.Sprintf("select %s from %s as %s where not coalesce((%s), false)", strings.Join(list, ", "), quoted(s.Table.Parts...), quoted(s.Alias), when))
}

// changeable returns a table whose rows may be changed.
func (x *executor) changeable(j *job, target ddl.Target) (store.Table, error) {
	t, err := x.store.Table(j.key(target.Table.Parts))
	switch {
	case err != nil:
		return t, err
	case t.Kind != "":
		return t, semantic(target.Table.Pos, "%s is a view, its rows cannot be changed", t.Key)
	case !t.Transactional:
		return t, semantic(target.Table.Pos, "table %s is not transactional: UPDATE, DELETE and MERGE need TBLPROPERTIES ('transactional'='true')", t.Key)
	case len(j.script.Variables) > 0:
		return t, semantic(target.Table.Pos, "UPDATE, DELETE and MERGE cannot use variables of the script")
	}
	return t, nil
}

// assignments are the new values by column.
func assignments(t store.Table, target ddl.Target, list []ddl.Assignment) (map[string]string, error) {
	set := map[string]string{}
	for _, a := range list {
		at := t.ColumnIndex(a.Column)
		switch {
		case at < 0 && slices.ContainsFunc(t.PartitionColumns, func(c store.Column) bool { return strings.EqualFold(c.Name, a.Column) }):
			return nil, semantic(target.Table.Pos, "table %s: partition column %s cannot be changed", t.Key, a.Column)
		case at < 0:
			return nil, semantic(target.Table.Pos, "table %s has no column %s", t.Key, a.Column)
		case set[t.Columns[at].Name] != "":
			return nil, semantic(target.Table.Pos, "column %s is set twice", a.Column)
		}
		set[t.Columns[at].Name] = a.Value.SQL
	}
	return set, nil
}

// givenPartitions are the partition columns whose values a rewriting query gives: those of
// an auto-partitioned table follow from its rows.
func givenPartitions(t store.Table) []store.Column {
	if t.Auto != nil {
		return nil
	}
	return t.PartitionColumns
}

// givenColumns are all columns that a rewriting query gives, in order.
func givenColumns(t store.Table) []store.Column {
	return slices.Concat(t.Columns, givenPartitions(t))
}

// rewrite replaces all rows of a table by those of a query that gives its givenColumns. The
// query sees the table as it is replaced, however often it names it.
func (x *executor) rewrite(ctx context.Context, j *job, t store.Table, query string) (err error) {
	now, snapshots, err := x.store.SnapshotAll(t.Key, nil)
	if err != nil {
		return err
	}
	defer func() {
		for _, s := range snapshots {
			s.Release()
		}
	}()
	if now.ID != t.ID || now.SchemaVersion != t.SchemaVersion {
		return fmt.Errorf("table %s: %w", t.Key, store.ErrChanged)
	}
	plan := allColumns(t)
	rows, err := x.rowsOf(ctx, tables{x.store, j, &pinned{now, snapshots}}, ddl.Text{SQL: query, Offset: -1}, plan.target())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	w := &tableWriter{store: x.store, table: t, plan: plan, tally: j.tally}
	for _, s := range snapshots { // those that lose all their rows too
		w.open(s.Partition.Spec)
	}
	pubs, err := w.fill(rows)
	if err != nil {
		return err
	}
	return w.show(pubs, store.PublishOptions{Overwrite: true, CreatePartitions: true, Unchanged: snapshots, Whole: true})
}

// allColumns plans for a query that gives the givenColumns of a table.
func allColumns(t store.Table) *insertPlan {
	p := &insertPlan{from: make([]int, len(t.Columns)), defaults: make([]*constant, len(t.Columns))}
	for i, c := range t.Columns {
		p.from[i] = i
		p.types, p.names = append(p.types, c.Type), append(p.names, c.Name)
	}
	if t.Auto != nil {
		p.derived = []sql.TruncTime{{From: t.ColumnIndex(t.Auto.Column), Unit: t.Auto.Unit}}
		p.dynamic = []string{t.PartitionColumns[0].Name}
	}
	for _, c := range givenPartitions(t) {
		p.types, p.names, p.dynamic = append(p.types, c.Type), append(p.names, c.Name), append(p.dynamic, c.Name)
	}
	return p
}

// target is what a query's columns become that are the table's data columns.
func target(t store.Table) *sql.Target {
	p := allColumns(t)
	return &sql.Target{Types: p.types, Names: p.names}
}
