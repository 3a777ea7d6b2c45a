package sql

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/sluice-io/sluice/emulator/internal/ddl"
	"github.com/sluice-io/sluice/emulator/internal/sql/scan"
	"github.com/sluice-io/sluice/emulator/internal/types"
)

// ErrNotBuilt is the answer to every query of a program built without DuckDB.
var ErrNotBuilt = errors.New("ODPS-0130071:[1,1] Semantic analysis exception - this program is built without DuckDB (cgo and the tag duckdb_arrow): SELECT and INSERT are not available")

// ErrNoTable is wrapped by Tables.Open for a name that is no table.
var ErrNoTable = errors.New("no such table")

// ErrNoPartition is wrapped by Partitioned.MaxPartition where a table has none with rows.
var ErrNoPartition = errors.New("no partition has rows")

// MaxCompute's numbers for failures of queries; texts that are not SQL have ddl.CodeParse.
const (
	codeSemantic  = ddl.CodeUnsupported
	codeNoTable   = "ODPS-0130131"
	codeExecution = "ODPS-0123144"
)

// Error is a query that cannot run or failed. Its text is what a client is shown.
type Error struct {
	Code    string
	Pos     ddl.Pos // in the query's text; zero when not known
	Message string
}

// Error is the text as MaxCompute words it.
func (e *Error) Error() string {
	if e.Pos == (ddl.Pos{}) {
		return e.Code + ":" + e.Message
	}
	return fmt.Sprintf("%s:[%d,%d] %s", e.Code, e.Pos.Line, e.Pos.Column, e.Message)
}

// Column is a named and typed column.
type Column struct {
	Name string
	Type types.Type
}

// Piece is a run of rows of a relation.
type Piece = scan.Piece

// Target is where the columns of a query go.
type Target struct {
	// Types to cast the columns to, by position, and what errors call them.
	Types []types.Type
	Names []string
	// Derived are columns that are added behind those of the query.
	Derived []TruncTime
	// GroupBy is how many of the last columns rows come grouped by.
	GroupBy int
}

// Tables finds the tables that a query names.
type Tables interface {
	// Open pins the rows of a table as they are now. name has one to three parts, as
	// written. Errors wrap ErrNoTable where that is the reason. The caller closes the
	// relation.
	Open(ctx context.Context, name []string) (Relation, error)
}

// name is what errors call a column of the target.
func (t *Target) name(i int) string {
	if i < len(t.Names) {
		return t.Names[i]
	}
	return strconv.Itoa(i + 1)
}

// TruncTime is a text column with the date of another, cut to a unit, as function
// trunc_time writes it.
type TruncTime struct {
	From int // position of the other column
	Unit string
}

// expression over the other column's name.
func (d TruncTime) expression(column string) string {
	return macroPrefix + "trunc_time(" + column + ", " + quoteString(d.Unit) + ")"
}

// Viewer is implemented by Tables that know views too.
type Viewer interface {
	// View returns the view of that name, nil if there is none.
	View(name []string) (*View, error)
}

// Partitioned is implemented by Tables that know partitions, for function max_pt.
type Partitioned interface {
	// MaxPartition is the largest value, as texts compare, of a table's first partition column in a partition with
	// rows. Errors wrap ErrNoTable or ErrNoPartition where these are the reason.
	MaxPartition(name []string) (string, error)
}

// View is a query with a name.
type View struct {
	// Name in full, the same for every way to write it.
	Name string
	// Text of the query, and the names of its columns.
	Text    string
	Columns []string
	// Tables are what the query's names mean.
	Tables Tables
}

// Relation is the pinned content of one table.
type Relation interface {
	// Columns are the data columns, then the partition columns.
	Columns() []Column
	// Narrow is told, before Pieces, that the query drops every row in which one of these
	// columns (in lower case) is not the text given. It may leave such rows out.
	Narrow(equal map[string]string)
	// Pieces are the rows, in order, cut into runs that can be read apart.
	Pieces() ([]Piece, error)
	// Close releases the pin.
	Close()
}
