// Package scalar holds the functions of MaxCompute's SQL that are easier to write in Go than
// in DuckDB's dialect: regular expressions with positions, URLs, checksums, bases, Java's
// form of numbers.
//
// Its job is the meaning of each function ([Functions]) and, with the tag duckdb_arrow, to
// show them to DuckDB ([Register]): a chunk of rows comes as vectors, one call of a Go
// function per row.
//
// It knows no SQL text and no tables of MaxCompute.
package scalar
