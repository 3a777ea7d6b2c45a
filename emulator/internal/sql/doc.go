// Package sql answers queries with DuckDB.
//
// Its job is to run one SELECT over tables that somebody else keeps, and to hand the
// result back as Arrow batches in MaxCompute's types. An INSERT is a query whose columns
// are cast to a table's types; writing them is the caller's.
//
//	MaxCompute text ─ translate ▶ DuckDB text ─ parse ▶ tables named ─ Tables.Open ▶ rows
//	                                                                                 │ Arrow, columns used
//	Rows ◀ convert (wide layout) ◀ Arrow result ◀ query ◀ temporary tables ◀─────────┘
//
// Main types: [Engine], opened at the first query; [Tables] and [Relation], through which
// it reads; [Rows], a result being read.
//
// The rows of a query's tables are copied into temporary tables first, only the columns
// that the query names. DuckDB can scan an Arrow stream in place, but pushes projections
// and filters into that scan and trusts it to apply them, which a stream from Go does not
// do: wrong rows or a crash. The copy is the price of exact answers.
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
// query answers ErrNotBuilt. The dialect beyond names, literals and types is DuckDB's.
package sql
