// Package table holds the words for tables: names, types, schemas, partitions, row numbers, and their arithmetic.
//
// Main types: Name and Ref (what is meant), Type, Column and Schema (what it looks like), Spec and Patterns (which
// partitions), RowRange and the plan functions (which rows). Everything is a plain value, comparable or with Equal,
// safe for concurrent reading, and free of I/O, clocks and contexts.
//
// Errors are apierr errors with the reason that the client gets: BAD_PATH, BAD_PARTITION, BAD_ARGUMENT,
// TYPE_UNSUPPORTED, SEEK_OUT_OF_RANGE. They quote names as given.
//
// The package looks nothing up: whether a table or partition exists is the caller's question.
package table
