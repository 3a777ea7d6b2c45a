// Package scan lets DuckDB read Arrow batches where they lie.
//
// It is one table function of DuckDB, written in Go over DuckDB's C interface. A query
// names a [Cursor] over a [Table] by its number; DuckDB then asks for the columns that it
// needs, from several threads at once, and each thread takes the next piece of the table.
//
//	"SELECT a, b FROM sluice_scan(7)"
//	   bind ──────▶ names and types of the table of cursor 7
//	   init ──────▶ the columns that the query needs; the cursor's pieces, to be taken
//	   thread ────▶ takes a piece, reads it, gives it out in chunks of 2048 rows
//
// Numbers are copied from the Arrow buffers, a cache's worth at a time; texts are not: the
// chunk points into the buffers, which therefore must stay until the query is over. Columns
// that the query does not need are never looked at. Filters are DuckDB's: it applies them
// to what it gets. Who knows which rows will pass can have the others left out
// ([Table.Choose]), and conditions on integer columns are looked at before anything is
// copied ([Filter]).
//
// The package holds no rows and starts no goroutine. Like package sql it needs cgo and the
// tag duckdb_arrow.
package scan
