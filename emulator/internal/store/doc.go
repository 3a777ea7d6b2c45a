// Package store keeps what the embedded endpoint has: a catalogue of projects, schemas,
// tables, functions and resources, and upload sessions, in one bbolt file; rows in
// append-only Arrow IPC segment files; contents of resources in plain files.
//
// Main types: [Store]; [Table], [Partition], [Resource] (catalogue); [Segment] (rows written
// and fsynced, not yet visible); [Upload] (a session that gathers segments as
// numbered blocks); [Snapshot] (pinned rows for reading).
//
//	           SegmentWriter ──Finish──▶ Segment ──PutBlock──▶ Upload ──CommitUpload─┐
//	rows in ──▶ (file, fsync)            │                                           ├─▶ segment list of a
//	                                     └──Publish (SQL, stream upload)─────────────┘   table or partition
//	rows out ◀── Snapshot (pins the list; files mapped) ◀───────────────────────────────────────┘
//
// Promises: a segment is fsynced before it is named anywhere; one bbolt
// transaction makes a commit or a publication visible, so that a kill -9 at any
// moment loses no committed row and shows no uncommitted one; a snapshot reads the
// same rows while its table is replaced or dropped, because files are unlinked
// only after the last pin and the last reference are gone; files nobody
// references are removed at the next Open.
//
// File formats: docs/formats/store.md. The package speaks no HTTP and no SQL.
// Any name is a project, unless Options.Projects names those that are; what was set of one
// is kept.
//
// All methods of Store are safe for concurrent use. Lock order: a bbolt
// transaction may be open while Store.mu is taken only in Snapshot (a read
// transaction); nothing else takes both.
package store
