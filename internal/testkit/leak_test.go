package testkit

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// recorder is a testing.TB that remembers failures and runs its cleanups when told.
type recorder struct {
	testing.TB
	failures []string
	cleanups []func()
}

func (r *recorder) Helper()                           {}
func (r *recorder) Cleanup(f func())                  { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Error(args ...any)                 { r.failures = append(r.failures, "error") }
func (r *recorder) Errorf(format string, args ...any) { r.failures = append(r.failures, format) }
func (r *recorder) Fatalf(format string, args ...any) { r.failures = append(r.failures, format) }
func (r *recorder) finish() {
	for _, f := range r.cleanups {
		f()
	}
}

func TestAllocatorSeesLeftovers(t *testing.T) {
	clean := &recorder{TB: t}
	allocator := Allocator(clean)
	allocator.Free(allocator.Allocate(64))
	clean.finish()
	if len(clean.failures) != 0 {
		t.Errorf("failures = %q, want none", clean.failures)
	}
	leaky := &recorder{TB: t}
	Allocator(leaky).Allocate(64)
	leaky.finish()
	if len(leaky.failures) == 0 {
		t.Error("64 bytes left over were not reported")
	}
}

func TestCheckGoroutinesSeesLeftovers(t *testing.T) {
	leaky := &recorder{TB: t}
	CheckGoroutines(leaky)
	stop := make(chan struct{})
	go func() { <-stop }()
	leaky.finish()
	close(stop)
	if len(leaky.failures) == 0 {
		t.Error("a goroutine left over was not reported")
	}
}

func TestGolden(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "file.txt")
	missing := &recorder{TB: t}
	golden(missing, path, []byte("a"), false)
	if len(missing.failures) == 0 || !strings.Contains(missing.failures[0], "-update") {
		t.Errorf("failures = %q, want a hint at -update", missing.failures)
	}
	golden(t, path, []byte("a\n"), true)
	if got, err := os.ReadFile(path); err != nil || string(got) != "a\n" {
		t.Fatalf("file = %q, %v, want what was produced", got, err)
	}
	golden(t, path, []byte("a\n"), false)
	other := &recorder{TB: t}
	golden(other, path, []byte("b\n"), false)
	if len(other.failures) == 0 {
		t.Error("a difference was not reported")
	}
}
