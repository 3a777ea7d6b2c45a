// Command sdktests runs the tests of MaxCompute's own Go SDK against the embedded endpoint.
//
// It copies the SDK from the module cache (which is read-only), adds a small file that calls the examples that `go test`
// would only compile, builds one test program per package, starts `sluice emulator`, makes what the tests presuppose, and
// runs every test and every example in a process of its own: examples end the process when they fail, and each process
// makes the tables that its package wants. Benchmarks are not run.
//
// What is expected otherwise stands in plan.json, a reason beside each line: fixtures, tests that need another
// environment, texts changed in the copy, tests left out. A test left out is run all the same: if it passes, its line is
// stale and the run fails. So does a line that names no test, and any 5xx in the endpoint's log.
package main
