// Package archtest keeps the walls of the repository as tests:
//
//	walls.go      which package may import what, with a reason each: add a line when you add a package
//	goroutines.go which files may say `go`, with a reason each
//	rules.go      the rules: walls, SDK, test kit, goroutines, file length, paths of machines
//	api_test.go   the API against docs/api.md: access rules, payload numbers, names, reasons
//
// The rules look at sources only and need no build. Each has a small bad example in testdata that must break it.
package archtest
