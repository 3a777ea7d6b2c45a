// Package emulator is an HTTP server that MaxCompute clients take for MaxCompute.
//
// Unmodified Go, Python and Java SDKs create tables, upload and download rows through the
// tunnel, and run SQL against it; the rows lie in a folder, written and fsynced before a
// request is answered. It runs inside another program or alone.
//
//	                       ┌─ /healthz
//	client ─▶ request id ─▶┤                   ┌─ rest ──▶ instances ──▶ sql (DuckDB)
//	          log line     └─ project, auth ──▶┤               │
//	                                           └─ tunnel ──────┴──────▶ store (segments, catalogue)
//
// One listener serves the REST API under /api and at the root, and the tunnel at the
// root; method and query tell them apart. Main type: [Server]. What is covered and what is
// not: docs/endpoint.md.
//
// It shares nothing with the service but the protocol's description, so that a misreading
// on one side cannot hide behind the same one on the other.
package emulator
