package testkit

import (
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"go.uber.org/goleak"
)

// Main runs a package's tests and fails them when goroutines are left at the end. Call it from TestMain. Idle HTTP
// connections are goroutines too: close them.
func Main(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// CheckGoroutines fails the test when it ends with goroutines that were not there when CheckGoroutines was called.
// Not for parallel tests: it sees the goroutines of others.
func CheckGoroutines(tb testing.TB) {
	tb.Helper()
	before := goleak.IgnoreCurrent()
	tb.Cleanup(func() { goleak.VerifyNone(tb, before) })
}

// Allocator gives Arrow memory and fails the test when it ends with any of it not released, naming where it was
// allocated. Safe for concurrent use.
func Allocator(tb testing.TB) memory.Allocator {
	tb.Helper()
	allocator := memory.NewCheckedAllocator(memory.NewGoAllocator())
	tb.Cleanup(func() { allocator.AssertSize(tb, 0) })
	return allocator
}
