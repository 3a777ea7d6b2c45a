// Package canon is the common ground of the matrix adapters written in Go: their command line, the types of columns, and
// the canonical JSON form of values, in which rows of different clients are compared byte by byte.
//
//	NULL null · BOOLEAN true · integers "-5" · DOUBLE, FLOAT the IEEE bits in hex, every NaN "nan" · DECIMAL(p,s) exactly s
//	digits after the point · STRING, CHAR, VARCHAR, JSON text · BINARY hex · DATE "2024-01-02" · DATETIME with
//	milliseconds, TIMESTAMP and TIMESTAMP_NTZ with nanoseconds, "2024-01-02T03:04:05.678901234" in UTC ·
//	INTERVAL_DAY_TIME "<total seconds, floored>.<nanoseconds>" · INTERVAL_YEAR_MONTH "<months>" · ARRAY a list · MAP pairs
//	ordered by the canonical text of their keys · STRUCT its values in order
//
// It knows no client.
package canon
