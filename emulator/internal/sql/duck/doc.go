// Package duck opens DuckDB and runs statements in it, with results as Arrow batches.
//
// It stands on the same C interface as DuckDB's driver for database/sql and does less: no
// parameters, no rows of Go values. What the driver does not give is the connection itself,
// which table functions are registered with.
//
// Main types: [Database], [Conn], [Result].
//
// Like package sql it needs cgo and the tag duckdb_arrow.
package duck
