// Package soak lets 64 clients write and read one embedded endpoint at the same time while
// it injects faults, and proves that no row is wrong and that memory stays flat.
//
// The endpoint is a process of its own. Each writer owns one partition and knows at every
// moment which contents it may have ([model]); readers compare what they see with that:
//
//	writer ─ propose ─▶ model ◀─ states that were possible meanwhile ─ reader
//	   │                  ▲
//	   └─ send, retry, ask ┘ settle: the effect stands, or does not
//
// Writers are the Go SDK (records, streams) and the raw protocol with retries of its own
// (record.go encodes it by hand, from the protocol's text). SLUICE_SOAK_SECONDS sets how
// long they run, SLUICE_SOAK_FAULTS what the endpoint does to them.
package soak
