package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluice-io/sluice/client"
	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
)

// faultColumns are those of the tables that faulty files are imported into.
var faultColumns = []string{"-c", "id bigint", "-c", "name string", "-c", "tags array<bigint>"}

// goodFile writes rows into a file of the format: as CSV, or exported from a table of their own.
func goodFile(t *testing.T, dir, format string, rows int) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("id,name,tags\n")
	for i := range rows {
		fmt.Fprintf(&b, "%d,name-%d,[%d]\n", i, i*7919, i)
	}
	csv := write(t, dir, fmt.Sprintf("good-%d.csv", rows), b.String())
	if format == "csv" {
		return csv
	}
	mustSluice(t, append([]string{"table", "create", "origin"}, faultColumns...)...)
	mustSluice(t, "table", "import", csv, "origin", "-q")
	path := filepath.Join(dir, fmt.Sprintf("good-%d.%s", rows, format))
	mustSluice(t, "table", "export", "origin", path, "-q")
	mustSluice(t, "table", "drop", "origin")
	return path
}

// faults are the ways in which a file of a format can be broken.
var faults = map[string]map[string]func([]byte) []byte{
	"csv":     {"bad value": lineFault(`x,bad,[1]`), "half a list": lineFault(`7,bad,[`), "missing field": lineFault(`7`)},
	"jsonl":   {"bad value": lineFault(`{"id":"x","name":"bad"}`), "cut": cutAt(0.9)},
	"json":    {"array cut behind an object": func(b []byte) []byte { return arrayOf(b[:bytes.LastIndexByte(b[:len(b)-1], '\n')]) }},
	"parquet": {"cut": cutAt(0.9), "overwritten": overwrite},
	"arrow":   {"cut": cutAt(0.9)},
	"arrows":  {"cut": cutAt(0.9), "no end marker": func(b []byte) []byte { return b[:len(b)-8] }},
}

// lineFault puts a line in the place of the last but one.
func lineFault(line string) func([]byte) []byte {
	return func(b []byte) []byte {
		lines := strings.Split(string(b), "\n")
		lines[len(lines)-3] = line
		return []byte(strings.Join(lines, "\n"))
	}
}

func cutAt(share float64) func([]byte) []byte {
	return func(b []byte) []byte { return b[:int(float64(len(b))*share)] }
}

// arrayOf makes JSON lines an array, without its end.
func arrayOf(lines []byte) []byte {
	return append([]byte{'['}, bytes.ReplaceAll(lines, []byte("\n"), []byte(",\n"))...)
}

func overwrite(b []byte) []byte {
	b = bytes.Clone(b)
	for i := len(b) / 2; i < len(b)/2+400 && i < len(b)*3/4; i++ {
		b[i] = 0xff
	}
	return b
}

func TestFailedImportKeepsOldRows(t *testing.T) {
	addr, _ := startDev(t)
	t.Setenv("SLUICE_ADDR", addr)
	dir := t.TempDir()
	old := write(t, dir, "old.csv", "id,name\n1,old\n")
	mustSluice(t, append([]string{"table", "create", "faulty"}, faultColumns...)...)
	mustSluice(t, "table", "import", old, "faulty", "-q")
	want := mustSluice(t, "table", "head", "faulty")
	number := 0
	for format, kinds := range faults {
		for _, rows := range []int{20, 30_000} {
			from := format
			if format == "json" {
				from = "jsonl"
			}
			good, err := os.ReadFile(goodFile(t, dir, from, rows))
			if err != nil {
				t.Fatal(err)
			}
			for kind, fault := range kinds {
				bad := write(t, dir, fmt.Sprintf("bad.%s", format), string(fault(good)))
				for _, slices := range []string{"1", "4"} {
					for _, named := range []bool{false, true} {
						number++
						name := fmt.Sprintf("%s, %s, %d rows, %s slices, run named: %t", format, kind, rows, slices, named)
						importArgs := []string{"table", "import", bad, "faulty", "--slices", slices, "-q"}
						run := fmt.Sprintf("fault-%d", number)
						if named {
							importArgs = append(importArgs, "--run", run)
						}
						if out, err := sluice(t, importArgs...); err == nil {
							t.Errorf("%s: succeeded: %s", name, out)
						}
						if named {
							if out, err := sluice(t, append(importArgs, "--resume", "--attempt", "9")...); err == nil {
								t.Errorf("%s: the resumed import succeeded: %s", name, out)
							}
						}
						if got := mustSluice(t, "table", "head", "faulty"); got != want {
							t.Fatalf("%s: the table holds\n%s", name, got)
						}
						if named {
							abortRun(t, addr, run)
						}
					}
				}
			}
		}
	}
}

func abortRun(t *testing.T, addr, run string) {
	t.Helper()
	c := connection{addr: addr}
	if err := c.with(t.Context(), func(c *client.Client) error {
		_, err := c.AbortRun(t.Context(), run, "test")
		if client.Is(err, sluicev1.Reason_REASON_RUN_NOT_FOUND) { // the file could not even be opened
			return nil
		}
		return err
	}); err != nil {
		t.Error(errors.Join(errors.New("abort "+run), err))
	}
}
