package scan

import (
	"github.com/apache/arrow-go/v18/arrow"

	"github.com/sluice-io/sluice/emulator/internal/types"
)

// Piece is a run of rows of a table.
type Piece interface {
	// Rows is their number.
	Rows() int
	// Read returns the columns at the given positions, each in an Arrow form that its type
	// has in one of the layouts of package types. An array of one value stands for as many
	// as the piece has rows. The caller releases the arrays; their bytes stay until the
	// relation is closed. Safe for concurrent use.
	Read(columns []int) ([]arrow.Array, error)
}

// Column is a named and typed column.
type Column struct {
	Name string
	Type types.Type
}

// The names of the fields in which intervals pass through DuckDB. They are such as no
// table's would be, so that a result column shows what it is.
const (
	Seconds = "interval seconds"
	Nanos   = "interval nanos"
	Months  = "interval months"
)

// RowColumn is a column that tells a row's place: the number of the piece, times 2³², plus
// the row in it.
const RowColumn = "sluice: row"

// Filter is a condition on the values of an integer column. A query that has it in its WHERE
// clause checks it itself; a scan that knows it need not give out the rows that fail.
type Filter struct {
	Column    int   // position in the table
	Low, High int64 // the bounds of the value, both included
	// Divisor and Rest say, unless Divisor is 0, that value % Divisor = Rest, where the rest
	// has the sign of the value.
	Divisor, Rest int64
}
