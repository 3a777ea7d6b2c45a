package ddl

import "strings"

// Script is one submitted text.
type Script struct {
	Source string
	// Settings are the SET statements before the statement, in order; the last of a key wins.
	Settings []Setting
	// Variables are the queries that @name stands for in later ones, in order.
	Variables []Variable
	// Statement is nil when the text holds nothing but settings and comments.
	Statement Statement
}

// Variable is @name := query.
type Variable struct {
	Name  string // in lower case
	Query Text
}

// Block is several statements of one script, to be run in order.
type Block struct{ Statements []Statement }

// Setting is one SET key=value.
type Setting struct{ Key, Value string }

// Statement is one of the types below that carry a statement's name.
type Statement interface{ statement() }

// Name is a table's name as written, one to three parts: t, p.t or s.t, p.s.t.
// Which of p and s a first part of two is depends on the session's settings.
type Name struct {
	Parts []string
	Pos   Pos
}

// String joins the parts with dots.
func (n Name) String() string { return strings.Join(n.Parts, ".") }

// Column is a column's definition.
type Column struct {
	Name    string
	Type    string // the type's source text, trimmed
	Pos     Pos    // of the name
	TypePos Pos
	NotNull bool
	Comment string
	Default string // source text of the expression, empty when there is none
}

// Property is one pair of TBLPROPERTIES.
type Property struct{ Key, Value string }

// CreateTable is CREATE TABLE, with columns, or AS a query, or LIKE another table.
type CreateTable struct {
	Table         Name
	IfNotExists   bool
	OrReplace     bool
	Columns       []Column
	PrimaryKey    []string
	PartitionedBy []Column
	Auto          *AutoPartition // nil when not given
	Clustered     *Clustered     // nil when not given
	Comment       string
	Properties    []Property
	Lifecycle     int   // days; -1 when not given
	Query         *Text // the query of CREATE TABLE … AS, else nil
	Like          *Name // the model of CREATE TABLE … LIKE, else nil
}

// Clustered is [RANGE] CLUSTERED BY (…) [SORTED BY (…)] [INTO n BUCKETS].
type Clustered struct {
	Range   bool
	Columns []string
	Sorted  []Sorted
	Buckets int // 0 when not given
}

// Sorted is one column of SORTED BY.
type Sorted struct {
	Column     string
	Descending bool
}

// AutoPartition is AUTO PARTITIONED BY (trunc_time(column, 'unit') AS name): a partition
// column whose value comes from another column.
type AutoPartition struct {
	Pos    Pos
	Name   string
	Column string
	Unit   string
}

// DropTable is DROP TABLE.
type DropTable struct {
	Table    Name
	IfExists bool
}

// AddPartitions is ALTER TABLE … ADD PARTITION.
type AddPartitions struct {
	Table       Name
	IfNotExists bool
	Specs       []Spec // never empty
}

// DropPartitions is ALTER TABLE … DROP PARTITION.
type DropPartitions struct {
	Table    Name
	IfExists bool
	Specs    []Spec
	Filters  []Filter // partitions that meet conditions
}

// Filter is a condition on partitions, all parts of which must hold.
type Filter struct {
	Pos        Pos
	Conditions []Condition // never empty
}

// Condition compares a partition column with a value.
type Condition struct {
	Column   string
	Operator string // = != < <= > >=
	Value    string
}

// RenamePartition is ALTER TABLE … PARTITION (…) RENAME TO PARTITION (…).
type RenamePartition struct {
	Table    Name
	From, To Spec
}

// TouchPartition is a change of one partition without an effect but its time: TOUCH, ENABLE
// and DISABLE LIFECYCLE.
type TouchPartition struct {
	Table Name
	Spec  Spec
}

// Truncate is TRUNCATE TABLE, of the partitions given or of the whole table.
type Truncate struct {
	Table Name
	Specs []Spec // empty: the whole table
}

// Insert is INSERT INTO or INSERT OVERWRITE.
type Insert struct {
	Table     Name
	Overwrite bool
	Partition Spec     // may hold keys without value: dynamic partitions
	Columns   []string // the column list, empty when not given
	Query     Text
}

// Query is a SELECT, with or without WITH, or VALUES.
type Query struct{ Text Text }

// Text is a piece of the script that another parser reads.
type Text struct {
	SQL    string
	Offset int // of its first byte within Script.Source; -1 if it was put together
}

// Spec is a partition specification, keys in the order written.
type Spec struct {
	Pos  Pos
	Keys []SpecKey
}

// SpecKey is one k='v' of a specification.
type SpecKey struct {
	Column  string
	Value   string
	Dynamic bool // no value was given (INSERT only)
}

func (*Block) statement()           {}
func (*RenamePartition) statement() {}
func (*TouchPartition) statement()  {}
func (*CreateTable) statement()     {}
func (*DropTable) statement()       {}
func (*AddPartitions) statement()   {}
func (*DropPartitions) statement()  {}
func (*Truncate) statement()        {}
func (*Insert) statement()          {}
func (*Query) statement()           {}
