package table

import (
	"fmt"
	"strings"
	"time"
)

// Column is a column of a table or a child of a nested type. Default is shown only: writes never apply it.
type Column struct {
	Name    string
	Type    Type
	NotNull bool
	Comment string
	Default *string
}

// Schema is the shape of a table: data columns in table order, partition columns in level order, and the names of the
// primary key.
type Schema struct {
	Columns, PartitionColumns []Column
	PrimaryKey                []string
}

// Index finds a data column by its name without regard to case, −1 if there is none.
func (s *Schema) Index(name string) int { return columnIndex(s.Columns, name) }

// PartitionIndex finds a partition column likewise.
func (s *Schema) PartitionIndex(name string) int { return columnIndex(s.PartitionColumns, name) }

func columnIndex(cols []Column, name string) int {
	for i := range cols {
		if strings.EqualFold(cols[i].Name, name) {
			return i
		}
	}
	return -1
}

// ListNames writes names for a message: all of them, or the first fifty and how many more there are.
func ListNames(names []string) string {
	const most = 50
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// Names is the names of all data columns, then of the partition columns.
func (s *Schema) Names() []string {
	names := make([]string, 0, len(s.Columns)+len(s.PartitionColumns))
	for _, c := range s.Columns {
		names = append(names, c.Name)
	}
	for _, c := range s.PartitionColumns {
		names = append(names, c.Name)
	}
	return names
}

// Equal reports whether both schemas have the same columns: names without case, types, order, NOT NULL, and the same
// primary key. Comments and defaults do not count.
func (s *Schema) Equal(o *Schema) bool { return s.Diff(o) == "" }

// Diff names the first difference between s and o in the sense of Equal, "" if there is none.
func (s *Schema) Diff(o *Schema) string {
	if d := diffColumns("column", s.Columns, o.Columns); d != "" {
		return d
	}
	if d := diffColumns("partition column", s.PartitionColumns, o.PartitionColumns); d != "" {
		return d
	}
	if !strings.EqualFold(strings.Join(s.PrimaryKey, ","), strings.Join(o.PrimaryKey, ",")) {
		return fmt.Sprintf("primary key is (%s) and not (%s)", strings.Join(s.PrimaryKey, ","), strings.Join(o.PrimaryKey, ","))
	}
	return ""
}

func diffColumns(what string, a, b []Column) string {
	for i := range min(len(a), len(b)) {
		switch {
		case !strings.EqualFold(a[i].Name, b[i].Name):
			return fmt.Sprintf("%s %d is named %q and not %q", what, i, a[i].Name, b[i].Name)
		case !a[i].Type.Equal(b[i].Type):
			return fmt.Sprintf("%s %q has type %s and not %s", what, a[i].Name, a[i].Type, b[i].Type)
		case a[i].NotNull != b[i].NotNull:
			return fmt.Sprintf("%s %q differs in NOT NULL", what, a[i].Name)
		}
	}
	if len(a) != len(b) {
		return fmt.Sprintf("there are %d %ss and not %d", len(a), what, len(b))
	}
	return ""
}

// TableKind is what a table is; the numbers are those of sluice.v1.TableKind.
type TableKind uint8

// The kinds of tables. Only Managed tables are written and read.
const (
	Managed TableKind = iota + 1
	External
	View
	MaterializedView
)

// Info is what is known about a table. Rows and Bytes are nil when unknown; times are zero when unknown.
type Info struct {
	Name                          Name
	Kind                          TableKind
	Schema                        Schema
	Comment                       string
	LifecycleDays                 int
	Transactional                 bool
	Owner                         string
	Created, Updated, DataUpdated time.Time
	Rows, Bytes                   *int64
}

// PartitionInfo is what is known about a partition; as for Info, nil and zero mean unknown.
type PartitionInfo struct {
	Spec                 Spec
	Created, DataUpdated time.Time
	Rows, Bytes          *int64
}
