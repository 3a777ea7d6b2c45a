// Package maxcompute is the only user of the ODPS SDK and of the MaxCompute protocol in the service. It implements
// write.Backend and read.Backend, and what TableService needs, on a data plane of its own.
//
// # Job
//
// The SDK signs requests (package account). Everything else is ours: HTTP transports with contexts, progress timeouts
// instead of total ones, session JSON, table XML, SQL text, block bodies and their framing, downloads. The SDK's own
// calls take no context, leak a connection each and copy every batch, so none of them is used.
//
//	write.Engine ─▶ Client.CreateUpload ── POST ?uploads ─────────────▶ tunnel
//	             ─▶ Client.OpenBlock ───── PUT ?uploadid&blockid ─────▶
//	                  Write(*batch.Checked) ─▶ queue of 2 ─▶ framing, CRCs ─▶ [compression] ─▶ 256 KiB writes
//	                  Close: trailer, waits for the reply   Abort: the body ends without its trailer
//	             ─▶ Client.Tombstone, Client.CommitUpload (one POST, never repeated here)
//	read.Engine  ─▶ Client.CreateDownload, Client.ReadArrow ─▶ unframer: chunk CRCs, then messages as pieces of pooled buffers
//	rpc          ─▶ Client.Table, ListTables, CreateTable … ─▶ REST, SQL instances
//
// # Bytes
//
// An Arrow block is, on the wire (maxcompute-protocol.md 14),
//
//	chunk size (uint32 BE) · { chunk · CRC-32C (uint32 BE) }* · last chunk, shorter · CRC-32C of all chunks' bytes
//
// where the chunks hold encapsulated RecordBatch messages and nothing else. A record block (13) is the records as they
// come from package batch and a trailer with their number and the CRC over their CRCs.
//
// # Errors
//
// Every error carries a reason of package apierr, upstream's code and request id in its metadata, and the names of the
// objects. Before that: errors.Is(err, write.ErrNotSent) when no byte of the request left this process, and
// errors.Is(err, write.ErrRefused) when a commit was refused for good.
//
// # What it does not do
//
// It keeps no state between calls but the tunnel's address and idle connections, paces nothing (governor), repeats only
// what may be repeated (each state-changing call says so in its comment), and never decodes a row.
package maxcompute
