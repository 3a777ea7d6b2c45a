package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPlan_has_a_reason_for_each_line(t *testing.T) {
	if _, err := readPlan(planText); err != nil {
		t.Error(err)
	}
	if _, err := readPlan([]byte(`{"left_out": [{"test": "odps.TestX"}]}`)); err == nil {
		t.Error("a test is left out without a reason, and nobody minds")
	}
}

func TestReadme_shows_every_test_left_out(t *testing.T) {
	p, err := readPlan(planText)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range p.LeftOut {
		if line := "| `" + l.Test + "` | " + l.Why + " |"; !strings.Contains(string(text), line+"\n") {
			t.Errorf("README.md has no line\n%s", line)
		}
	}
	if n := strings.Count(string(text), "\n| `odps") + strings.Count(string(text), "\n| `sqldriver"); n != len(p.LeftOut) {
		t.Errorf("README.md shows %d tests left out, the plan %d", n, len(p.LeftOut))
	}
}

func TestDiscover_finds_tests_and_examples_in_order(t *testing.T) {
	dir := t.TempDir()
	text := `package p_test
import "testing"
func ExampleA() {
	// Output:
}
func TestB(t *testing.T) {}
func Testing(t *testing.T) {}
func TestMain(m *testing.M) {}
func BenchmarkC(b *testing.B) {}
func Example_silent() {}
`
	if err := os.MkdirAll(filepath.Join(dir, "p"), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "p", "a_test.go"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := discover(dir, "p")
	want := []testCase{{"p", "TestB", "TestB"}, {"p", "ExampleA", "ExampleA"}, {"p", "Example_silent", "TestSilentExample_silent"}}
	if err != nil || len(got) != len(want) {
		t.Fatalf("discover = %v, %v, want %v", got, err, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("case %d = %v, want %v", i, got[i], want[i])
		}
	}
	made, err := os.ReadFile(filepath.Join(dir, "p", "zz_silent_p_test_test.go"))
	if err != nil || !strings.Contains(string(made), "func TestSilentExample_silent(*testing.T) { Example_silent() }") {
		t.Errorf("file for silent examples = %s, %v", made, err)
	}
}

func TestLog_tells_of_every_5xx_once(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	lines := "msg=request status=200\nmsg=request status=500\n" + `{"msg":"request","status":201}` + "\n" + `{"msg":"request","status":503,"bytes":5}` + "\nstatus=\n"
	if err := os.WriteFile(path, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	var r logReader
	if got, err := r.failures(path); err != nil || len(got) != 2 || r.requests != 4 {
		t.Errorf("failures = %v, %v, of %d requests, want two of 4", got, err, r.requests)
	}
	if got, err := r.failures(path); err != nil || len(got) != 0 {
		t.Errorf("failures again = %v, %v, want none", got, err)
	}
}
