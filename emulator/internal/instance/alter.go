package instance

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
		if s.View && t.Kind == "" || !s.View && t.Kind == store.KindView {
			return fmt.Errorf("%s: %w", t.Key, store.ErrKind)
		}
		switch c := s.Change.(type) {
		case *ddl.SetLifecycle:
			t.Lifecycle = c.Days
		case *ddl.SetComment:
			t.Comment = c.Text
		case *ddl.SetProperties:
			t.Properties = maps.Clone(t.Properties) // a change that fails must leave the old one
			setProperties(t, c.Properties)
		case *ddl.UnsetProperties:
			t.Properties = maps.Clone(t.Properties)
			for _, key := range c.Keys {
				delete(t.Properties, key)
			}
		case *ddl.ChangeOwner:
			t.Owner = c.Owner
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
		case t.Auto != nil && t.Auto.Column == t.Columns[at].Name:
			return semantic(pos, "table %s: the partitions follow from column %s", t.Key, name)
		}
		t.Columns = slices.Delete(t.Columns, at, at+1)
	}
	return nil
}

// changeColumn changes a column's name, type, comment, nullability or place. Its rows stay:
// the new type must hold every value of the old one.
func changeColumn(t *store.Table, pos ddl.Pos, c *ddl.ChangeColumn) error {
	at := t.ColumnIndex(c.Name)
	if at < 0 {
		return semantic(pos, "table %s: column %s is not there", t.Key, c.Name)
	}
	column := &t.Columns[at]
	if err := changeType(t, column, c); err != nil {
		return err
	}
	if c.Comment != nil {
		column.Comment = *c.Comment
	}
	if c.NotNull != nil {
		if *c.NotNull && column.Nullable {
			return semantic(pos, "table %s: column %s allows NULL, rows that are there may hold it", t.Key, c.Name)
		}
		if !*c.NotNull && slices.Contains(t.PrimaryKey, column.Name) {
			return semantic(pos, "table %s: column %s belongs to the primary key", t.Key, c.Name)
		}
		column.Nullable = !*c.NotNull
	}
	rename(t, column, strings.ToLower(c.NewName))
	return move(t, pos, at, c)
}

func changeType(t *store.Table, column *store.Column, c *ddl.ChangeColumn) error {
	if c.Type == "" {
		return nil
	}
	typ, err := types.Parse(c.Type)
	if err != nil {
		return &ddl.Error{Code: ddl.CodeParse, Pos: c.TypePos, Message: fmt.Sprintf("column %s: %s", c.Name, err)}
	}
	changes := !typ.Equal(column.Type)
	switch {
	case changes && !column.Type.WidensTo(typ):
		return semantic(c.TypePos, "table %s: column %s cannot change from %s to %s: not every value would fit", t.Key, c.Name, column.Type, typ)
	case changes && (slices.Contains(t.PrimaryKey, column.Name) || t.Auto != nil && t.Auto.Column == column.Name):
		return semantic(c.TypePos, "table %s: the type of key column %s cannot change", t.Key, c.Name)
	}
	column.Type = typ
	return nil
}

// rename gives a column a new name wherever the table's definition names it.
func rename(t *store.Table, column *store.Column, name string) {
	if k := slices.Index(t.PrimaryKey, column.Name); k >= 0 {
		t.PrimaryKey[k] = name
	}
	if t.Auto != nil && t.Auto.Column == column.Name {
		t.Auto = &store.AutoPartition{Column: name, Unit: t.Auto.Unit}
	}
	if t.Cluster != nil {
		renamed := *t.Cluster
		renamed.Columns, renamed.Sorted = slices.Clone(renamed.Columns), slices.Clone(renamed.Sorted)
		for i, c := range renamed.Columns {
			if c == column.Name {
				renamed.Columns[i] = name
			}
		}
		for i, c := range renamed.Sorted {
			if c.Column == column.Name {
				renamed.Sorted[i].Column = name
			}
		}
		t.Cluster = &renamed
	}
	column.Name = name
}

// move puts the column at a position first, or behind another.
func move(t *store.Table, pos ddl.Pos, at int, c *ddl.ChangeColumn) error {
	if !c.First && c.After == "" {
		return nil
	}
	column := t.Columns[at]
	rest := slices.Delete(slices.Clone(t.Columns), at, at+1)
	to := 0
	if c.After != "" {
		to = slices.IndexFunc(rest, func(other store.Column) bool { return strings.EqualFold(other.Name, c.After) }) + 1
		if to == 0 {
			return semantic(pos, "table %s: column %s is not there", t.Key, c.After)
		}
	}
	t.Columns = slices.Insert(rest, to, column)
	return nil
}
