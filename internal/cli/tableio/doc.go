// Package tableio turns files into record batches and record batches into files: CSV, JSON lines (or one JSON array of objects), Parquet, Arrow
// IPC files and streams.
//
//	Open ─▶ Source ─▶ Next: batches of at most BatchRows rows, always cut at the same places
//	Create ─▶ Sink ─▶ Write, Close
//	Infer: the MaxCompute columns that hold what a file holds
//
// Text formats need to know the table's columns; every value that does not fit is an error with file, line and column.
// An empty CSV field is NULL unless another text stands for it.
//
// The package knows files and Arrow, no service: package transfer connects both.
package tableio
