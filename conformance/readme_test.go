package conformance

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The README's grpcurl calls are run as they stand, against a server of the test's own.
func TestREADMEGrpcurl(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	calls := regexp.MustCompile(`(?s)grpcurl -plaintext -d '(.*?)'\s*\\\s*(\S+) (\S+)\n`).FindAllStringSubmatch(string(text), -1)
	if len(calls) != 3 {
		t.Fatalf("the README has %d grpcurl calls, want 3: create, append, read", len(calls))
	}
	// The first time grpcurl is fetched and built, which takes minutes on a new machine: not within the calls' time limit.
	build := exec.CommandContext(t.Context(), "go", "tool", "-modfile=tools/go.mod", "-n", "grpcurl")
	build.Dir = root(t)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build grpcurl: %v\n%s", err, out)
	}
	s := newStack(t)
	var outputs []string
	for _, c := range calls {
		data, method := c[1], c[3]
		cmd := exec.CommandContext(ctxOf(t), "go", "tool", "-modfile=tools/go.mod", "grpcurl", "-plaintext", "-d", data, s.service.Addr(), method)
		cmd.Dir = root(t)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", method, err, out)
		}
		outputs = append(outputs, string(out))
	}
	for _, want := range []string{"Apple", "Pear", "Watermelon"} {
		if !strings.Contains(outputs[2], want) {
			t.Errorf("ReadRows does not show %q:\n%s", want, outputs[2])
		}
	}
	if !strings.Contains(outputs[1], `"state": "RUN_STATE_COMMITTED"`) {
		t.Errorf("AppendRows did not commit:\n%s", outputs[1])
	}
	s.wantRows(t, "odps://local/tables/basket", row{25, "Apple", 5.0}, row{38, "Pear", 4.5}, row{17, "Watermelon", nil})
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
