package instance

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/sluice-io/sluice/emulator/internal/relation"
	"github.com/sluice-io/sluice/emulator/internal/sql"
	"github.com/sluice-io/sluice/emulator/internal/store"
)

// tables lets the SQL engine read the store, with the names of one job.
type tables struct {
	store *store.Store
	job   *job
	// pinned is the table that a statement makes anew, nil for none: whatever reads it sees
	// what will be replaced.
	pinned *pinned
}

// pinned is all of a table at one moment.
type pinned struct {
	table     store.Table
	snapshots []*store.Snapshot
}

// Open pins all partitions of a table at one moment.
func (t tables) Open(_ context.Context, name []string) (sql.Relation, error) {
	key := t.job.key(name)
	if p := t.pinned; p != nil && p.table.Key == key {
		for _, s := range p.snapshots {
			s.Retain()
		}
		return tallied{relation.New(p.table, slices.Clone(p.snapshots)), p.table, t.job.tally}, nil
	}
	table, snapshots, err := t.store.SnapshotAll(key, nil)
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
	v := &sql.View{Name: found.Key.String(), Text: found.ViewText, Tables: tables{t.store, t.job.scoped(*found.ViewScope), t.pinned}}
	for _, c := range found.Columns {
		v.Columns = append(v.Columns, c.Name)
	}
	return v, nil
}

// MaxPartition finds the largest value of a table's first partition column among partitions with rows.
func (t tables) MaxPartition(name []string) (string, error) {
	key := t.job.key(name)
	parts, _, err := t.store.Partitions(key, store.PartitionQuery{})
	switch {
	case errors.Is(err, store.ErrNoSuchTable):
		return "", fmt.Errorf("%w: %w", sql.ErrNoTable, err)
	case errors.Is(err, store.ErrInvalidPartition):
		return "", fmt.Errorf("table %s has no partitions: %w", key, sql.ErrNoPartition)
	case err != nil:
		return "", err
	}
	largest := ""
	for _, p := range parts {
		if p.Rows > 0 {
			largest = max(largest, p.Spec[0].Value)
		}
	}
	if largest == "" { // no partition has an empty value
		return "", fmt.Errorf("table %s: %w", key, sql.ErrNoPartition)
	}
	return largest, nil
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
