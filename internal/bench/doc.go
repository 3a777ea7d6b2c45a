// Command bench measures Sluice against its peers: the same rows, the same endpoint, one run.
//
//	go run -tags duckdb_arrow ./internal/bench [-only regexp] [-runs 5] [-quick] [-side ours -cpuprofile FILE]
//
// Each row of the table is a [duel]: ours and the peer's way of doing the same work, once each to warm up, then in turn,
// at least five times. A figure is the median of its runs, the ratio is the median of the ratios of the pairs, the spread is
// their range divided by the median. Client, service and endpoint live in this one process, so its CPU time is the sum
// of all sides; what needs processes of its own (memory of slices, start of programs) starts them.
//
//	data ─▶ stack (emulator + service + client + SDK) ─▶ upload · rows · download ┐
//	data ─▶ flight, store, slices, programs ──────────────────────────────────────┴─▶ runner ─▶ table, out/bench.json
//
// Goals are printed beside the figures and never fail the command: docs/performance.md says what they rest on. It does
// not check answers beyond row counts; tests do that.
package main
