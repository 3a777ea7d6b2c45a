package rest

import (
	"context"
	"errors"
	"fmt"

	"github.com/sluice-io/sluice/emulator/internal/relation"
	"github.com/sluice-io/sluice/emulator/internal/sql"
	"github.com/sluice-io/sluice/emulator/internal/store"
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
	return tallied{relation.New(table, snapshots), table, t.job.tally}, nil
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

// tallied counts what a query read.
type tallied struct {
	*relation.Relation
	table store.Table
	tally *tally
}

// Close releases the pins.
func (t tallied) Close() {
	t.tally.read(t.table, t.Snapshots())
	t.Relation.Close()
}
