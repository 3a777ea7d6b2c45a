package store

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/sluice-io/sluice/emulator/internal/types"
)

// DefaultSchema is the schema name used when a two-level name is given; an empty
// schema and "default" are the same place.
const DefaultSchema = "default"

// Key names a table. Build it with NewKey, which folds case; the zero value names
// nothing.
type Key struct {
	Project, Schema, Name string
}

// NewKey folds the three names to lower case; an empty schema is DefaultSchema.
func NewKey(project, schema, name string) Key {
	if schema == "" {
		schema = DefaultSchema
	}
	return Key{strings.ToLower(project), strings.ToLower(schema), strings.ToLower(name)}
}

// String returns project.name, or project.schema.name outside the default schema.
func (k Key) String() string {
	if k.Schema == DefaultSchema {
		return k.Project + "." + k.Name
	}
	return k.Project + "." + k.Schema + "." + k.Name
}

// Column is a data or partition column.
type Column struct {
	// ID is stable over renames and reorderings and never reused within a table;
	// rows are stored under it. Zero when creating: the store numbers from 1.
	ID int
	// Name in lower case.
	Name     string
	Type     types.Type
	Nullable bool
	Comment  string
	// Default is the default value's text as clients are shown it, nil for none.
	Default *string `json:",omitempty"`
	// DefaultSQL is the expression that gives the default value.
	DefaultSQL string `json:",omitempty"`
}

// Table is one table's definition and counters: a value, the caller's own copy.
type Table struct {
	// ID is unique for all time; a table dropped and created again has a new one.
	ID  string
	Key Key
	// Columns are the data columns in table order; PartitionColumns come apart,
	// empty for an unpartitioned table.
	Columns          []Column
	PartitionColumns []Column
	Comment          string
	Owner            string
	// Lifecycle in days, 0 for none.
	Lifecycle     int
	Transactional bool
	// PrimaryKey column names, empty for none; with Transactional a Delta table.
	PrimaryKey []string
	// Properties are the remaining TBLPROPERTIES, kept as given.
	Properties map[string]string `json:",omitempty"`
	// Kind is empty for a managed table, else the protocol's word: VIRTUAL_VIEW,
	// MATERIALIZED_VIEW, EXTERNAL_TABLE.
	Kind string `json:",omitempty"`
	// ViewText is a view's query.
	ViewText string `json:",omitempty"`
	// ViewScope is what unqualified names in ViewText mean, nil for no view.
	ViewScope *ViewScope `json:",omitempty"`
	// Auto makes the values of the partition column from a data column, nil for none.
	Auto *AutoPartition `json:",omitempty"`
	// Cluster is the layout that CLUSTERED BY asked for, nil for none; only shown.
	Cluster *Clustering `json:",omitempty"`
	// SchemaVersion counts changes of the columns, from 0.
	SchemaVersion int
	// NextColumnID is the smallest column ID never used.
	NextColumnID int
	// Created, Modified (definition or data), LastDDL and LastDataModified in UTC.
	Created, Modified, LastDDL, LastDataModified time.Time
	// Rows and Bytes over all partitions. Filled by the store when it returns a
	// table, ignored in arguments.
	Rows, Bytes int64
	// History holds the data columns of every schema version, by version.
	History [][]Column
}

// ViewScope is where a view's query looks for tables.
type ViewScope struct {
	Project, Schema string
	// Levels says that of a name of two parts the first is a schema.
	Levels bool `json:",omitempty"`
}

// AutoPartition says that the only partition column is trunc_time(Column, Unit).
type AutoPartition struct{ Column, Unit string }

// Clustering is how rows of a table shall lie: together by Columns, hashed or by ranges,
// sorted within. It changes no answer.
type Clustering struct {
	Range   bool
	Columns []string
	Sorted  []SortedColumn `json:",omitempty"`
	// Buckets is 0 where the clause named no number.
	Buckets int
}

// SortedColumn is a column that rows of a bucket are sorted by.
type SortedColumn struct {
	Column     string
	Descending bool
}

// Partitioned reports whether the table has partition columns.
func (t Table) Partitioned() bool { return len(t.PartitionColumns) > 0 }

// At returns the table with the data columns of an earlier version, for rows that were
// made for it, or ErrNoSuchSchemaVersion.
func (t Table) At(version int) (Table, error) {
	if version < 0 || version >= len(t.History) {
		return t, fmt.Errorf("table %s has schema version %d, not %d: %w", t.Key, t.SchemaVersion, version, ErrNoSuchSchemaVersion)
	}
	t.Columns, t.SchemaVersion = t.History[version], version
	return t, nil
}

// ColumnIndex returns the position of a data column by name in any case, -1 if
// there is none.
func (t Table) ColumnIndex(name string) int { return columnIndex(t.Columns, name) }

func columnIndex(cols []Column, name string) int {
	for i, c := range cols {
		if strings.EqualFold(c.Name, name) {
			return i
		}
	}
	return -1
}

// noSuchSpec says what the table is partitioned by and what was asked for.
func (t Table) noSuchSpec(spec types.PartitionSpec) error {
	names := make([]string, len(t.PartitionColumns))
	for i, c := range t.PartitionColumns {
		names[i] = c.Name
	}
	has, asked := "has no partitions", "no partition"
	if t.Partitioned() {
		has = "is partitioned by " + strings.Join(names, ", ")
	}
	if len(spec) > 0 {
		asked = strconv.Quote(spec.String())
	}
	return fmt.Errorf("%w: table %s %s, the request names %s", ErrInvalidPartition, t.Key, has, asked)
}

// Spec orders the pairs of spec by the table's partition columns and checks them.
// With partial, trailing partition columns may be missing (a filter). Errors wrap
// ErrInvalidPartition.
func (t Table) Spec(spec types.PartitionSpec, partial bool) (types.PartitionSpec, error) {
	if len(spec) > len(t.PartitionColumns) || !partial && len(spec) < len(t.PartitionColumns) {
		return nil, t.noSuchSpec(spec)
	}
	out := make(types.PartitionSpec, 0, len(spec))
	for _, c := range t.PartitionColumns {
		v, ok := spec.Value(c.Name)
		if !ok {
			break
		}
		out = append(out, types.PartitionValue{Column: c.Name, Value: v})
	}
	if len(out) != len(spec) {
		return nil, t.noSuchSpec(spec)
	}
	for i, v := range out {
		if v.Value == "" || len(v.Value) > maxPartitionValue || strings.ContainsRune(v.Value, 0) || !utf8.ValidString(v.Value) {
			return nil, fmt.Errorf("table %s: bad value of %s: %w", t.Key, v.Column, ErrInvalidPartition)
		}
		if c := t.PartitionColumns[i]; !isValueOf(c.Type.Kind, v.Value) {
			return nil, fmt.Errorf("table %s: %q is no %s, the type of %s: %w", t.Key, v.Value, c.Type, v.Column, ErrInvalidPartition)
		}
	}
	return out, nil
}

// isValueOf reports whether a partition's value, which is text on the wire, can be read as its column's type: a query
// over the partition would fail otherwise.
func isValueOf(k types.Kind, text string) bool {
	bits := map[types.Kind]int{types.TinyInt: 8, types.SmallInt: 16, types.Int: 32, types.BigInt: 64}[k]
	var err error
	switch {
	case bits > 0:
		_, err = strconv.ParseInt(text, 10, bits)
	case k == types.Date:
		_, err = time.Parse(time.DateOnly, text)
	case k == types.Datetime:
		_, err = arrow.TimestampFromString(text, arrow.Millisecond)
	case k == types.Timestamp, k == types.TimestampNTZ:
		_, err = time.Parse("2006-01-02 15:04:05.999999999", text)
	}
	return err == nil
}

// Partition is one partition, or the whole of an unpartitioned table (empty Spec).
type Partition struct {
	Spec types.PartitionSpec
	// Created, Modified (data) and LastDDL in UTC.
	Created, Modified, LastDDL time.Time
	Rows, Bytes                int64
}

const (
	maxNameBytes      = 128
	maxColumns        = 1200
	maxPartitionValue = 255
)

// normalize checks a definition and fills what the store assigns.
func (t *Table) normalize() error {
	if !validName(t.Key.Project) || !validName(t.Key.Schema) || !validName(t.Key.Name) {
		return fmt.Errorf("table name %q: %w", t.Key, ErrInvalidTable)
	}
	t.Key = NewKey(t.Key.Project, t.Key.Schema, t.Key.Name)
	if len(t.Columns) == 0 || len(t.Columns)+len(t.PartitionColumns) > maxColumns {
		return fmt.Errorf("table %s with %d columns: %w", t.Key, len(t.Columns), ErrInvalidTable)
	}
	seen := map[string]bool{}
	t.NextColumnID = max(t.NextColumnID, 1)
	for _, cols := range [][]Column{t.Columns, t.PartitionColumns} {
		for i := range cols {
			c := &cols[i]
			c.Name = strings.ToLower(c.Name)
			if !validName(c.Name) || seen[c.Name] {
				return fmt.Errorf("table %s, column %q: bad or repeated name: %w", t.Key, c.Name, ErrInvalidTable)
			}
			seen[c.Name] = true
			if err := checkType(c.Type); err != nil {
				return fmt.Errorf("table %s, column %s: %w: %w", t.Key, c.Name, err, ErrInvalidTable)
			}
			if c.ID == 0 {
				c.ID = t.NextColumnID
				t.NextColumnID++
			}
			t.NextColumnID = max(t.NextColumnID, c.ID+1)
		}
	}
	return t.checkKeys()
}

// checkType proves that a type, which the catalogue keeps as text, can be read again: a
// query may give what no statement can declare.
func checkType(t types.Type) error {
	if t.Kind == 0 {
		return errors.New("no type")
	}
	back, err := types.Parse(t.String())
	if err == nil && !back.Equal(t) {
		err = fmt.Errorf("type %q reads as %q", t, back)
	}
	return err
}

func (t *Table) checkKeys() error {
	for _, c := range t.PartitionColumns {
		switch c.Type.Kind {
		case types.TinyInt, types.SmallInt, types.Int, types.BigInt, types.Char, types.Varchar, types.String,
			types.Date, types.Datetime, types.Timestamp, types.TimestampNTZ:
		default:
			return fmt.Errorf("table %s, partition column %s of type %s: %w", t.Key, c.Name, c.Type, ErrInvalidTable)
		}
	}
	if err := t.checkCluster(); err != nil {
		return err
	}
	for i, name := range t.PrimaryKey {
		k := t.ColumnIndex(name)
		if k < 0 {
			return fmt.Errorf("table %s, primary key column %q: %w", t.Key, name, ErrInvalidTable)
		}
		t.PrimaryKey[i] = t.Columns[k].Name
	}
	return nil
}

// checkCluster finds the columns of the clause, in whatever case it names them.
func (t *Table) checkCluster() error {
	if t.Cluster == nil {
		return nil
	}
	c := Clustering{Range: t.Cluster.Range, Buckets: t.Cluster.Buckets}
	find := func(name string) (string, error) {
		k := t.ColumnIndex(name)
		if k < 0 {
			return "", fmt.Errorf("table %s, clustering column %q: %w", t.Key, name, ErrInvalidTable)
		}
		return t.Columns[k].Name, nil
	}
	for _, name := range t.Cluster.Columns {
		found, err := find(name)
		if err != nil {
			return err
		}
		c.Columns = append(c.Columns, found)
	}
	for _, sorted := range t.Cluster.Sorted {
		found, err := find(sorted.Column)
		if err != nil {
			return err
		}
		c.Sorted = append(c.Sorted, SortedColumn{found, sorted.Descending})
	}
	t.Cluster = &c
	return nil
}

// ValidName reports whether a project, schema or table can be called s.
func ValidName(s string) bool { return validName(s) }

func validName(s string) bool {
	return s != "" && len(s) <= maxNameBytes && utf8.ValidString(s) && !strings.ContainsAny(s, "./`'\"") && !strings.ContainsFunc(s, unicode.IsControl)
}
