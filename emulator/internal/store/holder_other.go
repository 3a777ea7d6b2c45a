//go:build !linux

package store

// heldBy would name the process that has locked the catalogue file; here the system does not tell.
func heldBy(string) string { return "" }
