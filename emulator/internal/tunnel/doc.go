// Package tunnel is the data half of the embedded endpoint as an http.Handler:
// batch upload and download, preview, stream upload and instance results
// (protocol sections 9 to 12 and 16).
//
// Main type: [Handler]. It expects paths without a mount prefix and signatures
// already checked.
//
//	PUT block:  socket ─▶ decompress ─▶ CRCs ─▶ SegmentWriter ─▶ fsync ─▶ PutBlock ─▶ 200
//	GET data:   Snapshot ─▶ mapped bytes or re-encoded batches ─▶ CRCs ─▶ compress ─▶ socket
//
// A PUT that ends before its last checksum leaves no block. Errors are JSON, and
// the rest of the request body is read before one is sent, because clients look at
// the reply only then. A download that fails half way breaks the connection.
//
// Upload and stream sessions live in the store and survive a restart; download
// sessions pin a snapshot in memory and do not. Upserts are not served; the storage API
// is package storageapi's.
package tunnel
