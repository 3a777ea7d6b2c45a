// Package transfer carries the rows of a file into a table and back, over the public client.
//
//	Import: file ─▶ batch 0, 1, 2 … ─▶ slice 0, 1, … n−1, 0, 1 … ─▶ one Writer each ─▶ seal, commit of the run
//	Export: snapshot ─▶ n streams, read at once ─▶ batches in row order ─▶ file
//
// Batch k of a file belongs to slice k mod n, in every process that imports a slice of it, so a worker that starts again
// produces its rows again and may go on behind those that are durable.
package transfer
