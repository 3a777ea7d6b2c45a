// Package client is the Go client of Sluice: it writes rows into MaxCompute tables, exactly once, and reads them.
//
// A [Client] holds a few connections to one service. It opens
//
//   - a [Writer] for one slice of one output of a run. It takes Arrow record batches ([Writer.WriteArrow]), rows set value
//     by value ([Writer.Rows], [NewStructWriter]) and the wire's own columns and rows ([Writer.WriteColumns],
//     [Writer.WriteRows]); it keeps every row that is not yet durable and sends it again after a broken stream;
//   - a [Reader] over a snapshot of a table, whole or in parts ([Client.CreateReadSession]), which goes on at the right
//     row after a broken stream and checks every payload's sum.
//
// Runs and tables have a few helpers ([Client.CreateRun], [Client.GetTable], …).
//
// # A row's way out
//
//	WriteArrow ─▶ cut into messages of about 256 KiB ─▶ replay buffer ─▶ stream ─▶ service
//	                                                     ▲    │ waits here until it is durable
//	                                                     │    ▼
//	                                    durable_through, from acks; a new stream replays from resume_offset
//
// Three numbers follow a slice, all exclusive row offsets: written (given to the Writer), accepted (checked and held by
// the server), durable (survives the loss of any server). See [Writer.Progress].
//
// # Errors
//
// Every error of the service is an [*Error] with a [Reason]; test with [Is] and [ReasonOf]. A batch that the server refused
// without ending the stream is a [*RejectedError], which names rows and columns. Calls that a server says may be repeated
// are repeated here: unary ones by gRPC, streams by Writer and Reader.
//
// # Memory
//
// A Writer holds at most [WriterConfig].ReplayBytes of rows, then WriteArrow and the like wait. Arrow batches are not
// copied: the Writer retains them, and releases them when their rows are durable. Batches from a Reader belong to the
// caller as [Reader.RecordBatch] says.
//
// The package keeps nothing on disk, so rows that a process had written but that were not durable are lost with the process: it
// writes them again, under a higher attempt.
package client
