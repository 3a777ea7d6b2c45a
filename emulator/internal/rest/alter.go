package rest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sluice-io/sluice/emulator/internal/ddl"
	"github.com/sluice-io/sluice/emulator/internal/store"
	"github.com/sluice-io/sluice/emulator/internal/types"
)

// alterTable changes a table's definition in one step. The rows stay: a new column is NULL
// in them, a dropped one is gone.
func (x *executor) alterTable(j *job, s *ddl.AlterTable) error {
	key := j.key(s.Table.Parts)
	if rename, ok := s.Change.(*ddl.RenameTable); ok {
		_, err := x.store.RenameTable(key, rename.To)
		return err
	}
	_, err := x.store.AlterTable(key, func(t *store.Table) error {
		switch c := s.Change.(type) {
		case *ddl.SetLifecycle:
			t.Lifecycle = c.Days
		case *ddl.SetComment:
			t.Comment = c.Text
		case *ddl.SetProperties:
			t.Properties = maps.Clone(t.Properties) // a change that fails must leave the old one
			setProperties(t, c.Properties)
		case *ddl.AddColumns:
			return addColumns(t, s.Table.Pos, c)
		case *ddl.DropColumns:
			return dropColumns(t, s.Table.Pos, c)
		case *ddl.ChangeColumn:
			return changeColumn(t, s.Table.Pos, c)
		case *ddl.SetClustering:
			t.Cluster = nil
			if c.To != nil {
				t.Cluster = clustering(c.To)
			}
		case *ddl.NoChange:
		default:
			return fmt.Errorf("change %T is not known", c)
		}
		return nil
	})
	return err
}

func addColumns(t *store.Table, pos ddl.Pos, c *ddl.AddColumns) error {
	added, err := columns(c.Columns, nil)
	if err != nil {
		return err
	}
	for _, column := range added {
		if !column.Nullable {
			return semantic(pos, "table %s: column %s must allow NULL, the rows that are there have no value for it", t.Key, column.Name)
		}
		if t.ColumnIndex(column.Name) >= 0 {
			if c.IfNotExists {
				continue
			}
			return semantic(pos, "table %s: column %s is there already", t.Key, column.Name)
		}
		t.Columns = append(t.Columns, column)
	}
	return nil
}

func dropColumns(t *store.Table, pos ddl.Pos, c *ddl.DropColumns) error {
	for _, name := range c.Names {
		at := t.ColumnIndex(name)
		switch {
		case at < 0:
			return semantic(pos, "table %s: column %s is not there", t.Key, name)
		case slices.Contains(t.PrimaryKey, t.Columns[at].Name):
			return semantic(pos, "table %s: column %s belongs to the primary key", t.Key, name)
		}
		t.Columns = slices.Delete(t.Columns, at, at+1)
	}
	return nil
}

// changeColumn renames a column or changes its comment. Its type stays: rows are not
// rewritten.
func changeColumn(t *store.Table, pos ddl.Pos, c *ddl.ChangeColumn) error {
	at := t.ColumnIndex(c.Name)
	if at < 0 {
		return semantic(pos, "table %s: column %s is not there", t.Key, c.Name)
	}
	column := &t.Columns[at]
	if c.Type != "" {
		typ, err := types.Parse(c.Type)
		if err != nil {
			return &ddl.Error{Code: ddl.CodeParse, Pos: c.TypePos, Message: fmt.Sprintf("column %s: %s", c.Name, err)}
		}
		if !typ.Equal(column.Type) {
			return semantic(c.TypePos, "table %s: the type of column %s cannot be changed from %s to %s by this endpoint", t.Key, c.Name, column.Type, typ)
		}
	}
	if c.Comment != nil {
		column.Comment = *c.Comment
	}
	name := strings.ToLower(c.NewName)
	t.Cluster = renameClustered(t.Cluster, column.Name, name)
	if k := slices.Index(t.PrimaryKey, column.Name); k >= 0 {
		t.PrimaryKey[k] = name
	}
	column.Name = name
	return nil
}

// renameClustered is a copy of a clustering under a column's new name.
func renameClustered(c *store.Clustering, from, to string) *store.Clustering {
	if c == nil {
		return nil
	}
	renamed := *c
	renamed.Columns, renamed.Sorted = slices.Clone(c.Columns), slices.Clone(c.Sorted)
	for i, name := range renamed.Columns {
		if name == from {
			renamed.Columns[i] = to
		}
	}
	for i, sorted := range renamed.Sorted {
		if sorted.Column == from {
			renamed.Sorted[i].Column = to
		}
	}
	return &renamed
}
