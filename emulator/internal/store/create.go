package store

import (
	"errors"
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"
)

// KindView and KindMaterialized are the values of Table.Kind for views. A view has no rows
// of its own; a materialized one holds those of its query as they were.
const (
	KindView         = "VIRTUAL_VIEW"
	KindMaterialized = "MATERIALIZED_VIEW"
)

// kindWord is how a table's kind is called in a message.
func kindWord(kind string) string {
	switch kind {
	case KindView:
		return "a view"
	case KindMaterialized:
		return "a materialized view"
	default:
		return "a table"
	}
}

// requireRows refuses to read rows from a view or write them to it.
func (t Table) requireRows() error {
	if t.Kind == KindView {
		return fmt.Errorf("%s is a view, it has no rows of its own: %w", t.Key, ErrKind)
	}
	return nil
}

// Numbered checks a definition and returns it with the names and column IDs that creating
// it gives: what segments for it are written in before it exists.
func (t Table) Numbered() (Table, error) {
	t.NextColumnID, t.SchemaVersion, t.Rows, t.Bytes = 0, 0, 0, 0
	t.Columns, t.PartitionColumns = slices.Clone(t.Columns), slices.Clone(t.PartitionColumns)
	t.PrimaryKey = slices.Clone(t.PrimaryKey)
	for i := range t.Columns {
		t.Columns[i].ID = 0
	}
	for i := range t.PartitionColumns {
		t.PartitionColumns[i].ID = 0
	}
	err := t.normalize()
	return t, err
}

// CreateOptions say what Create does if the name is taken.
type CreateOptions struct {
	// IfNotExists returns the old table unchanged.
	IfNotExists bool
	// Replace drops the old table, if it is of the same kind, in the same step.
	Replace bool
}

// Create adds a table with its first rows, all in one step, and returns it with ID, column
// IDs and times filled. pubs hold segments written for t.Numbered(); Create takes them over
// in every case. A name that is taken is ErrTableExists, or what opt says; a bad definition
// is ErrInvalidTable; with Options.Schemas a schema that was not created first is
// ErrNoSuchSchema.
func (s *Store) Create(t Table, opt CreateOptions, pubs []Publication) (made Table, created bool, err error) {
	mine := segmentIDs(pubs)
	if t, err = t.Numbered(); err != nil {
		s.discardSegments(mine)
		return Table{}, false, err
	}
	if limit := s.opt.MaxPartitionLevels; limit > 0 && len(t.PartitionColumns) > limit {
		s.discardSegments(mine)
		return Table{}, false, fmt.Errorf("table %s has %d partition columns, %d are allowed: %w", t.Key, len(t.PartitionColumns), limit, ErrInvalidTable)
	}
	now := s.now()
	t.Created, t.Modified, t.LastDDL, t.LastDataModified = now, now, now, now
	t.History = [][]Column{t.Columns}
	var gone []string
	err = s.update(func(tx *bolt.Tx) error {
		made, created, gone = Table{}, false, nil
		old, err := getTable(tx, t.Key)
		switch {
		case err == nil && opt.IfNotExists:
			made = old
			return nil
		case err == nil && (!opt.Replace || old.Kind != t.Kind):
			return fmt.Errorf("%s is %s: %w", t.Key, kindWord(old.Kind), ErrTableExists)
		case err == nil:
			if gone, err = dropTable(tx, old); err != nil {
				return err
			}
		case !errors.Is(err, ErrNoSuchTable):
			return err
		}
		made, created = t, true
		return s.insertTable(tx, &made, pubs)
	})
	if err != nil {
		s.discardFailed(err, mine)
		return Table{}, false, err
	}
	if !created {
		gone = mine
	}
	s.discardSegments(gone)
	return made, created, nil
}

// insertTable writes a new table and its rows.
func (s *Store) insertTable(tx *bolt.Tx, t *Table, pubs []Publication) error {
	if err := s.requireSchema(tx, t.Key.Project, t.Key.Schema); err != nil {
		return err
	}
	seq, err := tx.Bucket(bucketTables).NextSequence()
	if err != nil {
		return err
	}
	t.ID = fmt.Sprintf("%016x", seq)
	if !t.Partitioned() {
		part := partRecord{Partition: Partition{Created: t.Created, Modified: t.Created, LastDDL: t.Created}}
		if err := putPart(tx, t.ID, part); err != nil {
			return err
		}
	}
	for _, pub := range pubs {
		if _, err := s.publishOne(tx, t, 0, pub, PublishOptions{CreatePartitions: true}); err != nil {
			return err
		}
	}
	return putTable(tx, *t)
}

// dropTable removes a table and returns the segments that it held.
func dropTable(tx *bolt.Tx, t Table) (gone []string, err error) {
	parts, err := listParts(tx, t.ID, nil)
	if err != nil {
		return nil, err
	}
	for _, p := range parts {
		ids, err := dropPart(tx, t.ID, p)
		if err != nil {
			return nil, err
		}
		gone = append(gone, ids...)
	}
	return gone, tx.Bucket(bucketTables).Delete(tableKey(t.Key))
}

// Drop removes a table of the kind given, with its rows. Snapshots keep reading them. A
// missing one is ErrNoSuchTable, or with ifExists no error; one of another kind is ErrKind.
func (s *Store) Drop(k Key, kind string, ifExists bool) error {
	var gone []string
	err := s.update(func(tx *bolt.Tx) error {
		t, err := getTable(tx, k)
		if err != nil {
			return err
		}
		if t.Kind != kind {
			return fmt.Errorf("%s is %s: %w", k, kindWord(t.Kind), ErrKind)
		}
		gone, err = dropTable(tx, t)
		return err
	})
	if ifExists && errors.Is(err, ErrNoSuchTable) {
		return nil
	}
	if err == nil {
		s.discardSegments(gone)
	}
	return err
}

func segmentIDs(pubs []Publication) (ids []string) {
	for _, pub := range pubs {
		for _, seg := range pub.Segments {
			ids = append(ids, seg.id)
		}
	}
	return ids
}
