// Package conformance checks what Sluice promises through its public API alone: a real service in front of a real
// endpoint, over sockets, driven by generated stubs. Tests named after a row of docs/semantics.md 4 (TW-21, TR-32 …)
// prove that row; `make checklist` holds the results against the rows.
//
// stack.go starts service and endpoint in this process; process_test.go runs them in processes of their own, which it
// kills. Tests against other people's clients live in conformance/clients.
package conformance
