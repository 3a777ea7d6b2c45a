// Package ddl reads the SQL text that MaxCompute clients send.
//
// Its job is to split a script into settings (SET k=v;) and one statement, to parse the
// data definition statements completely (CREATE TABLE, DROP TABLE, ALTER TABLE ADD and
// DROP PARTITION, TRUNCATE TABLE), and to find the outline of the others: the target and
// the query text of an INSERT or a CREATE TABLE AS, the text of a SELECT.
//
//	source ── Lexer ──▶ tokens ── Parse ──▶ Script{Settings, Statement}
//
// It is tolerant where the clients' own generators are odd ("addpartition (", a trailing
// semicolon or none, back-ticks, names qualified by project and schema), and strict
// otherwise: what it does not understand is an *Error with line and column, never ignored.
//
// It knows no catalogue and no types: a type is the text between a column's name and its
// constraints. It does not parse queries; that is DuckDB's work.
package ddl
