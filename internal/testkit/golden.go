package testkit

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// update is shared by all packages that import testkit, so none of them may define a flag of that name.
var update = flag.Bool("update", false, "rewrite golden files with what the tests produce")

// Golden compares got with the file at path, relative to the test's package, and fails the test with the difference.
// With -update it writes the file instead; read the diff before you commit it.
func Golden(tb testing.TB, path string, got []byte) {
	tb.Helper()
	golden(tb, path, got, *update)
}

func golden(tb testing.TB, path string, got []byte, rewrite bool) {
	tb.Helper()
	if rewrite {
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			tb.Fatalf("make the folder of a golden file: %v", err)
		}
		if err := os.WriteFile(path, got, 0o600); err != nil {
			tb.Fatalf("write a golden file: %v", err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		tb.Fatalf("read a golden file (-update writes it): %v", err)
	}
	if !bytes.Equal(got, want) {
		tb.Errorf("%s differs (-want +got; -update rewrites it):\n%s", path, cmp.Diff(string(want), string(got)))
	}
}
