// Package testkit holds what many tests need and no program may import: leak checks for goroutines and Arrow memory,
// golden files, and an HTTP transport that fails on purpose.
//
//	Main, CheckGoroutines   no goroutine is left
//	Allocator               no Arrow buffer is left
//	Golden                  bytes equal a file in testdata; `go test -update` rewrites it
//	Transport               an http.RoundTripper with a script of faults
//
// internal/archtest sees to it that only test files import it.
package testkit
