// Package instance runs the SQL tasks that clients submit, and remembers them: MaxCompute
// calls a submitted task an instance.
//
// Main types: [Registry], which runs and keeps them; [Task], what is submitted; [Instance],
// how one stands; [Result], the rows of one that selected some.
//
//	Submit ─▶ parse ─▶ DDL, SHOW, DESC: at once ─────────────┐
//	             └───▶ SELECT, INSERT, MERGE …: a worker ────┤
//	                                                         ▼
//	waiting ─▶ running ─────────────────────────▶ succeeded, failed, cancelled
//	                                              result spooled to a file
//
// A statement is a method of executor, in the file of its kind: execute.go and alter.go
// define things, insert.go, dml.go and merge.go write rows (writer.go), query.go reads
// them, show.go and show_create.go describe, cost.go tells what a statement would read.
// Failures are MaxCompute's texts with their numbers (package refusal). Nothing here
// speaks HTTP (package rest), and nothing survives the process.
package instance
