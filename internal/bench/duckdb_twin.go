//go:build !(cgo && duckdb_arrow)

package main

import (
	"context"
	"errors"
)

var errNoDuck = errors.New("built without DuckDB: use go run -tags duckdb_arrow ./internal/bench")

// insertDuck needs DuckDB.
func insertDuck(context.Context, string, *batches) error { return errNoDuck }

// ownTable needs DuckDB.
type ownTable struct{}

func openOwnTable(context.Context, *batches) (*ownTable, error) { return nil, errNoDuck }

func (*ownTable) query(context.Context, string) (int64, error) { return 0, errNoDuck }

func (*ownTable) close() error { return nil }
