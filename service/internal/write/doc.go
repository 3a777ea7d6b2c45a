// Package write is the life of runs, outputs, slices and blocks, from the first open to the commit: section 3 of
// docs/design.md. Engine is the whole of it for one replica; Writer is one hold of a slice, driven by one stream. What
// it needs of MaxCompute is the Backend port, what it needs to remember is the Ledger port; both are declared here.
//
// # Run
//
//	                  CompleteRun, last seal           all sealed: point of no return
//	CreateRun ─▶ OPEN ───────────────────────▶ CLOSING ──────────────────────────────▶ COMMITTING ─┬▶ COMMITTED
//	              ▲ │                            │ │                                       ▲       ├▶ FAILED
//	              │ └ AbortRun, expiry ─▶ CLOSING│ │ a slice is missing: RUN_INCOMPLETE    │       └▶ PARTIALLY_COMMITTED
//	              │                        │     │ │                                       └──────────── CompleteRun ┘
//	              └── somebody came back ──┘◀────┴─┘
//	                                       └▶ ABORTED (a clearing under way is settled first)
//
// Every slice transaction (open, reserve, record, seal, abort) compares the run's record as it was read OPEN; while the
// run is CLOSING it waits, later it is RUN_CLOSED. From COMMITTING there are two ways out for each output: its session
// is seen closed, or every POST ever sent for it is definitely refused. Anything else is OUTCOME_UNKNOWN and stays.
//
// # Slice
//
//	        open                    last record                 last slice: the run commits
//	(none) ──────▶ OPEN, term t ────────────────▶ SEALED ─────────────────────────────▶
//	                │  ▲     │ abort              │
//	   lease ends   │  │     └─────▶ ABORTED ──┐  │ reopen, takeover with DISCARD
//	                ▼  │ resume, takeover,     ▼  ▼
//	              LOST ┴─ reopen: term t+1 ◀────────
//
// LOST is not stored: it is an OPEN slice without a hold record. Every open but the repeated answer of a seal raises the
// term; only the newest term may reserve, record and seal. DISCARD sets floor = term, which kills all earlier blocks in
// one write. decideOpen is the table of api.md 6.2.
//
// # Block
//
//	             8 MiB, flush, seal, age            64 MiB, half window, flush, seal, idle
//	gathered ───────────────────────────▶ RESERVED ─────────────────────────────────────▶ RECORDED ──▶ committed
//	(in memory,   slot, session, id,       │ open PUT, rows are      PUT acknowledged,      │
//	 on budget)   ledger first             │ forwarded and freed     first row = durable    │ discarded
//	                                       ▼                                               ▼
//	                                   dead: its term is over, or the run is COMMITTING ──▶ BURIED (tombstone stored)
//
// A block that never outgrew what was gathered is repeated by the server, same id and bytes; any other failed PUT ends
// the stream, and the client sends the rows again into a new id. (id, version) names one byte string for ever.
//
// # Commit
//
// carryOn takes a run from wherever it is, on any replica, any number of times: CLOSING → look → COMMITTING with count
// and digest → per output: tombstones, list against the ledger, POST, reload until closed, list again. The sweeper calls
// it for every run that nobody else moves.
//
// # Rows and time
//
// Rows are batch.Checked: owned by exactly one of caller, gathered list, block, BlockWriter. Nobody reads them after
// handing them on. The rules of correctness read no clock; leases, idleness and run_ttl do, and only make things
// takeable. An idle Writer has no goroutine: one wheel in Engine.Run wakes those that are due.
//
// The package does not check rows (package batch), speak HTTP (package maxcompute) or gRPC (package rpc), and does not
// pace calls. PER_SLICE visibility and UPSERT are refused with UNSUPPORTED. What it knows of leases and of runs that
// have not ended lives in this process and is adopted from the ledger at start: that suits the bbolt ledger, whose
// file has one process; several replicas will need leases in the ledger.
package write
