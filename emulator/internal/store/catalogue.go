package store

import (
	"bytes"
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"
)

func tableKey(k Key) []byte { return []byte(k.Project + "\x00" + k.Schema + "\x00" + k.Name) }

func getTable(tx *bolt.Tx, k Key) (Table, error) {
	var t Table
	ok, err := getJSON(tx.Bucket(bucketTables), tableKey(k), &t)
	if err == nil && !ok {
		err = fmt.Errorf("%s: %w", k, ErrNoSuchTable)
	}
	return t, err
}

func putTable(tx *bolt.Tx, t Table) error {
	return putJSON(tx.Bucket(bucketTables), tableKey(t.Key), t)
}

// CreateTable adds a table and returns it with ID, column IDs and times filled.
// An existing one is ErrTableExists, or with ifNotExists returned unchanged
// (created false). A bad definition is ErrInvalidTable, a schema that must be created
// first ErrNoSuchSchema.
func (s *Store) CreateTable(t Table, ifNotExists bool) (made Table, created bool, err error) {
	return s.Create(t, CreateOptions{IfNotExists: ifNotExists}, nil)
}

// DropTable removes a managed table and its rows, as Drop does.
func (s *Store) DropTable(k Key, ifExists bool) error { return s.Drop(k, "", ifExists) }

// Table returns a table's definition and counters, or ErrNoSuchTable.
func (s *Store) Table(k Key) (t Table, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		t, err = getTable(tx, k)
		return err
	})
	return t, err
}

// TableQuery selects a page of tables.
type TableQuery struct {
	// Prefix of the name in any case, empty for all.
	Prefix string
	// After is the Next of the page before, empty for the first.
	After string
	// Limit of the page, 0 for no limit.
	Limit int
	// Keep leaves out the tables it is false for; nil keeps all.
	Keep func(Table) bool
}

// Tables lists the tables of a schema in name order. next is empty on the last
// page.
func (s *Store) Tables(project, schema string, q TableQuery) (page []Table, next string, err error) {
	prefix := tableKey(NewKey(project, schema, q.Prefix))
	from := tableKey(NewKey(project, schema, q.After))
	err = s.db.View(func(tx *bolt.Tx) error {
		c := tx.Bucket(bucketTables).Cursor()
		start := prefix
		if q.After != "" && bytes.Compare(from, prefix) >= 0 {
			start = append(bytes.Clone(from), 0)
		}
		for k, _ := c.Seek(start); k != nil && bytes.HasPrefix(k, prefix); k, _ = c.Next() {
			var t Table
			if _, err := getJSON(tx.Bucket(bucketTables), k, &t); err != nil {
				return err
			}
			if q.Keep != nil && !q.Keep(t) {
				continue
			}
			if q.Limit > 0 && len(page) == q.Limit {
				next = page[len(page)-1].Key.Name
				return nil
			}
			page = append(page, t)
		}
		return nil
	})
	return page, next, err
}

// AlterTable replaces a table's definition by what change makes of a copy. ID, Key
// (see RenameTable), counters and creation time are kept. Columns keep their rows by
// Column.ID: a column left out loses them, one with ID 0 is new and NULL in old
// rows; the type of a kept column may only widen (ErrInvalidTable).
func (s *Store) AlterTable(k Key, change func(*Table) error) (t Table, err error) {
	err = s.update(func(tx *bolt.Tx) error {
		old, err := getTable(tx, k)
		if err != nil {
			return err
		}
		t = old
		t.Columns, t.PartitionColumns = slices.Clone(old.Columns), slices.Clone(old.PartitionColumns)
		t.PrimaryKey = slices.Clone(old.PrimaryKey)
		if err := change(&t); err != nil {
			return err
		}
		t.ID, t.Key, t.Rows, t.Bytes = old.ID, old.Key, old.Rows, old.Bytes
		t.NextColumnID, t.SchemaVersion, t.History = old.NextColumnID, old.SchemaVersion, old.History
		t.Created, t.LastDDL, t.Modified = old.Created, s.now(), s.now()
		if err := t.normalize(); err != nil {
			return err
		}
		if err := keepTypes(old, t); err != nil {
			return err
		}
		if !sameColumns(old.Columns, t.Columns) {
			t.SchemaVersion++
			t.History = append(slices.Clone(old.History), t.Columns)
		}
		return putTable(tx, t)
	})
	return t, err
}

func sameColumns(a, b []Column) bool {
	return slices.EqualFunc(a, b, func(x, y Column) bool {
		return x.ID == y.ID && x.Name == y.Name && x.Nullable == y.Nullable && x.Type.Equal(y.Type)
	})
}

// keepTypes refuses a change of type of a column that keeps its ID to one that does not
// hold every value that was written, and any change of the partition columns.
func keepTypes(old, t Table) error {
	was := map[int]Column{}
	for _, h := range old.History {
		for _, c := range h {
			was[c.ID] = c
		}
	}
	for _, c := range t.Columns {
		if o, ok := was[c.ID]; ok && !o.Type.WidensTo(c.Type) {
			return fmt.Errorf("table %s: change column %s from %s to %s: %w", t.Key, c.Name, o.Type, c.Type, ErrInvalidTable)
		}
	}
	same := slices.EqualFunc(old.PartitionColumns, t.PartitionColumns, func(x, y Column) bool {
		return x.ID == y.ID && x.Name == y.Name && x.Type.Equal(y.Type)
	})
	if !same {
		return fmt.Errorf("table %s: change partition columns: %w", t.Key, ErrInvalidTable)
	}
	return nil
}

// RenameTable moves a table to another name of the same project and schema.
func (s *Store) RenameTable(k Key, name string) (t Table, err error) {
	to := NewKey(k.Project, k.Schema, name)
	err = s.update(func(tx *bolt.Tx) error {
		if t, err = getTable(tx, k); err != nil {
			return err
		}
		if !validName(to.Name) {
			return fmt.Errorf("table name %q: %w", name, ErrInvalidTable)
		}
		if _, err := getTable(tx, to); err == nil {
			return fmt.Errorf("%s: %w", to, ErrTableExists)
		}
		if err := tx.Bucket(bucketTables).Delete(tableKey(k)); err != nil {
			return err
		}
		t.Key, t.LastDDL, t.Modified = to, s.now(), s.now()
		return putTable(tx, t)
	})
	return t, err
}
