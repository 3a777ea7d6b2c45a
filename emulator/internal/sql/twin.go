//go:build !cgo || !duckdb_arrow

package sql

import (
	"context"

	"github.com/apache/arrow-go/v18/arrow"
)

// Built says whether this program can answer queries.
const Built = false

// Engine stands for the engine in a program without DuckDB.
type Engine struct{}

// New returns the engine that refuses.
func New() *Engine { return &Engine{} }

// Close does nothing.
func (*Engine) Close() error { return nil }

// Query refuses with ErrNotBuilt.
func (*Engine) Query(context.Context, Tables, string, *Target) (*Rows, error) {
	return nil, ErrNotBuilt
}

// Check refuses with ErrNotBuilt.
func (*Engine) Check(context.Context, string) error { return ErrNotBuilt }

// Describe refuses with ErrNotBuilt.
func (*Engine) Describe(context.Context, Tables, string) ([]Column, error) { return nil, ErrNotBuilt }

// Explain refuses with ErrNotBuilt.
func (*Engine) Explain(context.Context, Tables, string) (string, error) { return "", ErrNotBuilt }

// Rows is never made in a program without DuckDB.
type Rows struct{}

// Columns returns nil.
func (*Rows) Columns() []Column { return nil }

// Next returns false.
func (*Rows) Next() bool { return false }

// Batch returns nil.
func (*Rows) Batch() arrow.RecordBatch { return nil }

// Err returns ErrNotBuilt.
func (*Rows) Err() error { return ErrNotBuilt }

// Close does nothing.
func (*Rows) Close() error { return nil }
