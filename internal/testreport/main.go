// Command testreport reads the output of `go test -json`, keeps it in a file for tools/checklist.py, and prints what a
// person needs: a line per package, the output of failed tests, the names of skipped ones, and totals.
//
//	go test -json ./... | go run ./internal/testreport -o out/test.json
//
// It ends with status 1 when a test or a build failed, or when there was no test at all.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
)

func main() {
	path := flag.String("o", "", "file to keep the events in; empty = none")
	quiet := flag.Bool("q", false, "no line for packages that passed")
	flag.Parse()
	failed, err := run(os.Stdin, os.Stdout, *path, *quiet)
	if err != nil {
		fmt.Fprintln(os.Stderr, "testreport:", err)
		os.Exit(2)
	}
	if failed {
		os.Exit(1)
	}
}

// run copies the events to the file and reports them.
func run(events io.Reader, out io.Writer, path string, quiet bool) (failed bool, err error) {
	if path != "" {
		file, createErr := os.Create(path)
		if createErr != nil {
			return false, fmt.Errorf("create the event file: %w", createErr)
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		events = io.TeeReader(events, file)
	}
	r := report{out: out, quiet: quiet, output: map[key][]string{}}
	lines := bufio.NewReader(events)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			r.line(line)
		}
		if errors.Is(err, io.EOF) {
			return r.finish(), nil
		}
		if err != nil {
			return false, fmt.Errorf("read the events: %w", err)
		}
	}
}

// event is one line of `go test -json`; see `go doc test2json`.
type event struct {
	Action  string  `json:"Action"`
	Package string  `json:"Package"`
	Test    string  `json:"Test"`
	Output  string  `json:"Output"`
	Elapsed float64 `json:"Elapsed"` // seconds
}

// key names a test, or with an empty test a package.
type key struct{ pkg, test string }

// report gathers the output of what is running and prints it if it fails.
type report struct {
	out                     io.Writer
	quiet                   bool
	output                  map[key][]string
	passed, failed, skipped int
	badPackages             int
}

func (r *report) line(line string) {
	var e event
	if !strings.HasPrefix(line, "{") || json.Unmarshal([]byte(line), &e) != nil {
		r.printf("%s", line) // go itself speaks
		return
	}
	k := key{e.Package, e.Test}
	switch e.Action {
	case "output":
		r.output[k] = append(r.output[k], e.Output)
	case "build-output":
		r.printf("%s", e.Output)
	case "pass", "fail", "skip":
		r.end(k, e)
		delete(r.output, k)
	}
}

// end reports the end of a test or of a package.
func (r *report) end(k key, e event) {
	if k.test == "" {
		r.endPackage(k, e)
		return
	}
	switch e.Action {
	case "pass":
		r.passed++
	case "skip":
		r.skipped++
		r.printf("SKIP  %s %s\n", k.pkg, k.test)
	default:
		r.failed++
		r.printf("FAIL  %s %s (%.1f s)\n%s", k.pkg, k.test, e.Elapsed, strings.Join(r.output[k], ""))
	}
}

func (r *report) endPackage(k key, e event) {
	switch {
	case e.Action == "fail":
		r.badPackages++
		r.printf("FAIL  %s (%.1f s)\n%s", k.pkg, e.Elapsed, r.unfinished(k.pkg))
	case e.Action == "pass" && !r.quiet:
		r.printf("ok    %s (%.1f s)\n", k.pkg, e.Elapsed)
	}
}

// unfinished is the output of the package and of its tests that never ended, as after a panic or a time limit.
func (r *report) unfinished(pkg string) string {
	var text strings.Builder
	for k, lines := range r.output {
		if k.pkg == pkg {
			text.WriteString(strings.Join(lines, ""))
			delete(r.output, k)
		}
	}
	return text.String()
}

func (r *report) finish() bool {
	r.printf("%d tests passed, %d failed, %d skipped; %d packages failed\n", r.passed, r.failed, r.skipped, r.badPackages)
	return r.failed > 0 || r.badPackages > 0 || r.passed == 0
}

// printf writes to the terminal; when that fails there is nobody left to tell.
func (r *report) printf(format string, args ...any) {
	_, _ = fmt.Fprintf(r.out, format, args...)
}
