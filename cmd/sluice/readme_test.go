package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The README's sluice commands are run as they stand, in order, in a shell at the top of the repository.
func TestREADMECommands(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	commands := regexp.MustCompile(`(?m)^bin/sluice table .*$`).FindAllString(string(text), -1)
	if len(commands) < 4 {
		t.Fatalf("the README shows %d table commands, want at least create, import, head, export", len(commands))
	}
	addr, _ := startDev(t)
	top := t.TempDir() // a stand-in for the repository, so that nothing is written into it
	for _, dir := range []string{"bin", "out"} {
		if err := os.Mkdir(filepath.Join(top, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	self, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	data, err := filepath.Abs(testdata)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(top, "bin", "sluice")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(data, filepath.Join(top, "testdata")); err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, line := range commands {
		cmd := exec.CommandContext(t.Context(), "sh", "-c", line)
		cmd.Dir = top
		cmd.Env = append(os.Environ(), beSluice+"=1", "SLUICE_ADDR="+addr)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", line, err, out)
		}
		all.Write(out)
	}
	if !strings.Contains(all.String(), "Watermelon") {
		t.Errorf("the commands never show a row of the file:\n%s", all.String())
	}
	if info, err := os.Stat(filepath.Join(top, "out", "fruit.parquet")); err != nil || info.Size() == 0 {
		t.Errorf("the exported file: %v, %v", info, err)
	}
}
