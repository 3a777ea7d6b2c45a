// Package read makes read sessions, plans them, and streams their rows (api.md section 7).
//
// Main types: Engine (all calls), Spec and Session (what is read, and the snapshot of it), Plan and Stream (who reads
// what), RowsRequest, Sink and Message (one ReadRows), Backend (MaxCompute as this package needs it).
//
// A session is a list of partitions, each with an upstream download session and a row count. Its rows are numbered from
// 0 through all partitions, so a stream is a list of row ranges and every re-planning is arithmetic:
//
//	partition      dt=1 ──────────── dt=2 ── dt=3 ───────────
//	row            0              9  10   12 13            19
//	stream 0 of 2  ▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓
//	stream 1 of 2                    ▓▓▓▓▓▓▓ ▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓
//	one ReadRows   segment dt=2 [0,3) then segment dt=3 [0,7): one upstream read each, more when one breaks off
//
// The session is its token (see token.go), signed and complete, so nothing is stored and any replica serves any range.
// Within one ReadRows a reader goroutine asks upstream and resumes where an answer broke off; the caller's goroutine
// encodes and sends (see pump.go). A slow receiver stops the reading; what is in memory is one message being sent, two
// read ahead and at most 256 KiB of gathered rows.
//
// Not here: row filters and session keys (UNSUPPORTED), what messages look like (package batch), rights (package rpc),
// and HTTP (package maxcompute).
package read
