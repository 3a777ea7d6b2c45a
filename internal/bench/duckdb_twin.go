//go:build !(cgo && duckdb_arrow)

package main

import (
	"context"
	"errors"
)

// insertDuck needs DuckDB.
func insertDuck(context.Context, string, *batches) error {
	return errors.New("built without DuckDB: use go run -tags duckdb_arrow ./internal/bench")
}
