package instance

import (
	"context"
	"errors"
	"fmt"

	"github.com/sluice-io/sluice/emulator/internal/ddl"
	"github.com/sluice-io/sluice/emulator/internal/store"
)

// createView keeps a query under a name. The query must be sound now; what it names is
// looked up again whenever the view is read. A materialized view is a table that is filled
// now, and again by REBUILD.
func (x *executor) createView(ctx context.Context, j *job, s *ddl.CreateView) error {
	t := store.Table{
		Key: j.key(s.View.Parts), Kind: store.KindView, Comment: s.Comment, Owner: Owner, Lifecycle: max(s.Lifecycle, 0), ViewText: s.Query.SQL,
		ViewScope: &store.ViewScope{Project: j.project, Schema: j.settings["odps.default.schema"], Levels: j.levels()},
	}
	setProperties(&t, s.Properties)
	if len(j.script.Variables) > 0 {
		return semantic(s.View.Pos, "a view cannot use variables of the script")
	}
	if s.Materialized {
		t.Kind = store.KindMaterialized
		return x.createFilled(ctx, j, t, s.Query, s.Columns, store.CreateOptions{IfNotExists: s.IfNotExists, Replace: s.OrReplace})
	}
	if _, err := x.store.Table(t.Key); err == nil && s.IfNotExists {
		return nil
	}
	found, err := x.engine.Describe(ctx, tables{store: x.store, job: j}, s.Query.SQL)
	if err != nil {
		return placed(j, s.Query, err)
	}
	for _, c := range found {
		t.Columns = append(t.Columns, store.Column{Name: c.Name, Type: c.Type, Nullable: true})
	}
	if err := nameColumns(&t, s.View.Pos, s.Columns); err != nil {
		return err
	}
	_, _, err = x.store.Create(t, store.CreateOptions{IfNotExists: s.IfNotExists, Replace: s.OrReplace}, nil)
	return err
}

// nameColumns puts the names and comments of a list in the place of the query's.
func nameColumns(t *store.Table, pos ddl.Pos, names []ddl.Column) error {
	if len(names) == 0 {
		return nil
	}
	if len(names) != len(t.Columns) {
		return semantic(pos, "%s: %d columns are named where the query gives %d", t.Key, len(names), len(t.Columns))
	}
	for i, n := range names {
		t.Columns[i].Name, t.Columns[i].Comment = n.Name, n.Comment
	}
	return nil
}

// createAs makes a table of a query's columns, filled with its rows.
func (x *executor) createAs(ctx context.Context, j *job, s *ddl.CreateTable, t store.Table) error {
	if len(s.PartitionedBy) > 0 || s.Auto != nil {
		return semantic(s.Table.Pos, "CREATE TABLE AS cannot partition the table")
	}
	return x.createFilled(ctx, j, t, *s.Query, nil, store.CreateOptions{IfNotExists: s.IfNotExists, Replace: s.OrReplace})
}

// createFilled runs a query and makes the table with its rows in one step. It fails before
// the query if the table is there.
func (x *executor) createFilled(ctx context.Context, j *job, t store.Table, query ddl.Text, names []ddl.Column, opt store.CreateOptions) (err error) {
	if _, err := x.store.Table(t.Key); err == nil && !opt.Replace {
		if opt.IfNotExists {
			return nil
		}
		return fmt.Errorf("%s: %w", t.Key, store.ErrTableExists)
	}
	rows, err := x.rows(ctx, j, query, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for _, c := range rows.Columns() {
		t.Columns = append(t.Columns, store.Column{Name: c.Name, Type: c.Type, Nullable: true})
	}
	if err := nameColumns(&t, ddl.Pos{Line: 1, Column: 1}, names); err != nil {
		return err
	}
	if t, err = t.Numbered(); err != nil {
		return err
	}
	w := &tableWriter{store: x.store, table: t, tally: j.tally}
	pubs, err := w.fill(rows)
	if err != nil {
		return err
	}
	made, _, err := x.store.Create(t, opt, pubs)
	if err == nil {
		j.tally.wrote(made, pubs)
	}
	return err
}

// rebuildView makes the rows of a materialized view again, in one step.
func (x *executor) rebuildView(ctx context.Context, j *job, s *ddl.RebuildView) (err error) {
	t, err := x.store.Table(j.key(s.View.Parts))
	if err != nil {
		return err
	}
	if t.Kind != store.KindMaterialized {
		return semantic(s.View.Pos, "%s is no materialized view", t.Key)
	}
	rows, err := x.rows(ctx, j.scoped(*t.ViewScope), ddl.Text{SQL: t.ViewText, Offset: -1}, target(t))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	w := &tableWriter{store: x.store, table: t, tally: j.tally}
	pubs, err := w.fill(rows)
	if err != nil {
		return err
	}
	return w.show(pubs, store.PublishOptions{Overwrite: true})
}
