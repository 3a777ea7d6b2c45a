package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	passing = `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"noise\n"}
{"Action":"pass","Package":"p","Test":"TestA","Elapsed":0.1}
{"Action":"pass","Package":"p","Elapsed":0.2}
`
	failing = `{"Action":"output","Package":"p","Test":"TestB","Output":"got 1, want 2\n"}
{"Action":"fail","Package":"p","Test":"TestB","Elapsed":0.1}
{"Action":"output","Package":"p","Output":"FAIL\n"}
{"Action":"fail","Package":"p","Elapsed":0.2}
`
	panicking = `{"Action":"output","Package":"p","Test":"TestC","Output":"panic: oh\n"}
{"Action":"fail","Package":"p","Elapsed":0.2}
`
	broken = `{"ImportPath":"p","Action":"build-output","Output":"p.go:1: undefined: x\n"}
{"ImportPath":"p","Action":"build-fail"}
{"Action":"fail","Package":"p","Elapsed":0,"FailedBuild":"p"}
`
	skipping = `{"Action":"skip","Package":"p","Test":"TestD","Elapsed":0}
`
)

func TestReport(t *testing.T) {
	tests := map[string]struct {
		events string
		failed bool
		says   string
	}{
		"pass":              {passing, false, "ok    p"},
		"fail":              {passing + failing, true, "got 1, want 2"},
		"panic":             {passing + panicking, true, "panic: oh"},
		"build":             {passing + broken, true, "undefined: x"},
		"skip":              {passing + skipping, false, "SKIP  p TestD"},
		"no tests":          {"", true, "0 tests passed"},
		"go's own messages": {passing + "go: cannot find module\n", false, "go: cannot find module"},
		"no end of line":    {strings.TrimSuffix(passing, "\n"), false, "1 tests passed"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "events.json")
			var out strings.Builder
			failed, err := run(strings.NewReader(test.events), &out, path, false)
			if err != nil || failed != test.failed {
				t.Errorf("run() = %t, %v, want %t", failed, err, test.failed)
			}
			if !strings.Contains(out.String(), test.says) {
				t.Errorf("report %q does not say %q", out.String(), test.says)
			}
			if kept, err := os.ReadFile(path); err != nil || string(kept) != test.events {
				t.Errorf("kept %q, %v, want the events", kept, err)
			}
		})
	}
}
