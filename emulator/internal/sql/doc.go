// Package sql answers queries with DuckDB.
//
// Its job is to run one SELECT over tables that somebody else keeps, and to hand the
// result back as Arrow batches in MaxCompute's types. An INSERT is a query whose columns
// are cast to a table's types; writing them is the caller's.
//
//	MaxCompute text ─ translate ▶ DuckDB text ─ parse ▶ tables named ─ Tables.Open ▶ pieces of rows
//	                                                                                 │ Arrow, in place
//	Rows ◀ convert (wide layout) ◀ Arrow result ◀ query ◀ table function (scan) ◀────┘
//
// Main types: [Engine], opened at the first query; [Tables] and [Relation], through which
// it reads; [Rows], a result being read. Package duck runs statements, package scan lets
// DuckDB read the rows where they lie.
//
// Nothing is copied before the query. Where the query allows it, two things are done that
// DuckDB cannot do with a table that is not its own (shape.go tells when, parts.go does it):
//
//   - A SELECT that gives one row or none for each row of one table runs over parts of the
//     table, several at once, and the results are read in order. DuckDB would use one
//     thread, to keep the order, and hold the whole result.
//   - If its WHERE clause lets few rows through, these are found first, by the columns that
//     the clause names; only of them the other columns are read. The clause is then applied
//     again with the query, so that nothing depends on the first look.
//
// Rows of such a SELECT come in the order in which they were written, if DuckDB does not
// make a join of its clause (a long IN list). Other queries promise no order.
//
// Types that DuckDB lacks travel like this:
//
//	TIMESTAMP, TIMESTAMP_NTZ  TIMESTAMP_NS (years 1677 to 2262); if a value lies outside,
//	                          the table's timestamps become TIMESTAMP (microseconds), and
//	                          a value that has neither form is an error
//	DATETIME                  TIMESTAMP_MS
//	INTERVAL_…                a STRUCT that carries the exact value; no arithmetic
//	DECIMAL over 38 digits    DECIMAL(38, s); a value that does not fit is an error
//	CHAR, VARCHAR, JSON       VARCHAR
//
// A column selected directly from a table keeps its declared type; a computed one has the
// nearest type of MaxCompute.
//
// DuckDB needs cgo: the engine is built with the tag duckdb_arrow, and without it every
// query answers ErrNotBuilt. How the dialect differs from DuckDB's: docs/sql.md.
package sql
