// Package storageapi serves the read side of the Storage API (protocol section 18): a table
// as Arrow streams, cut into splits.
//
//	POST …/sessions          a session: pinned rows, columns, a filter, a plan of splits
//	GET  …/sessions/SID      the same again
//	GET  …/data?session_id=  the rows of one split, or of a range of rows, as an Arrow stream
//
// Main types: [Handler]; session, its splits (plan.go); the Arrow form that a client asked
// for (arrow.go); the filter predicate (predicate.go).
//
// A session's rows are those at the moment of its creation, whatever happens to the table
// later; row ranges and splits count the rows before the filter. An answer is made whole
// before its first byte is sent: what cannot be had in the form asked for is an error, never
// a stream that ends early. Sessions live in memory; a restart ends them.
//
// Writing (section 18.4) and version 2 are refused.
package storageapi
