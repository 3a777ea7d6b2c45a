package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/sluice-io/sluice/client"
	"github.com/sluice-io/sluice/internal/cli/transfer"
)

// numbers is a CSV file of one column with so many rows.
func numbers(t *testing.T, rows int) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("id\n")
	for i := range rows {
		fmt.Fprintln(&b, i)
	}
	return write(t, t.TempDir(), "numbers.csv", b.String())
}

// interrupted runs an import that is interrupted when it has been given 8192 rows.
func interrupted(t *testing.T, args ...string) error {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	root := newRoot()
	root.SetOut(&interruptAt{cancel: cancel})
	root.SetIn(strings.NewReader("\n"))
	root.SetArgs(append([]string{"table", "import", "-q", "--hold-after", "8192"}, args...))
	return root.ExecuteContext(ctx)
}

func TestFailedImportTakesBackTheTableItMade(t *testing.T) {
	addr, _ := startDev(t)
	t.Setenv("SLUICE_ADDR", addr)
	file := numbers(t, 30_000)
	mustSluice(t, "table", "create", "before", "-c", "id bigint")
	for _, c := range []struct {
		table string
		args  []string
		stays bool
		want  string // in the error
	}{
		{"made", []string{"--create"}, false, "\nthe table made, made by this command, is dropped again"},
		{"before", []string{"--create"}, true, "nothing was committed"},
		{"shared", []string{"--create", "--run", "r1"}, true, "\nthe table shared, made by this command, stays: run r1 may still write there"},
	} {
		err := interrupted(t, append([]string{file, c.table}, c.args...)...)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "made by this command") != (c.table != "before") {
			t.Errorf("import into %s: %v, want %q", c.table, err, c.want)
		}
		if _, err := sluice(t, "table", "describe", c.table); (err == nil) != c.stays || err != nil && !client.Is(err, reasonTableNotFound) {
			t.Errorf("table %s afterwards: %v, want it there: %v", c.table, err, c.stays)
		}
	}
	if _, err := sluice(t, "table", "import", file, "parted", "--create", "--partition", "dt=1", "-q"); err == nil || !strings.Contains(err.Error(), "is dropped again") {
		t.Errorf("import into a partition of a table made without: %v", err)
	}
	for file, want := range map[string]string{"empty.csv": "the file is empty", "empty.jsonl": "the file has no rows"} {
		if _, err := sluice(t, "table", "import", write(t, t.TempDir(), file, ""), "never", "--create", "-q"); err == nil || !strings.Contains(err.Error(), file+": "+want) {
			t.Errorf("import of %s: %v, want %q", file, err, want)
		}
	}
	if out := mustSluice(t, "table", "list"); strings.Contains(out, "parted") || strings.Contains(out, "never") {
		t.Errorf("tables are left:\n%s", out)
	}
}

func TestTableWithRowsIsNotTakenBack(t *testing.T) {
	addr, _ := startDev(t)
	t.Setenv("SLUICE_ADDR", addr)
	mustSluice(t, "table", "import", numbers(t, 1), "used", "--create", "-q")
	f := connection{addr: addr}
	err := f.with(t.Context(), func(c *client.Client) error {
		kept, err := transfer.DropUnused(t.Context(), c, client.TableName("used"))
		if kept != "it has rows" {
			t.Errorf("DropUnused kept the table because %q, want its rows", kept)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	mustSluice(t, "table", "describe", "used")
}

// startHolding starts a command line with --hold-after as a process, and returns when it holds: until in is closed, or its
// end. out is the rest of what it says. It is killed at the test's end.
func startHolding(t *testing.T, args ...string) (cmd *exec.Cmd, in io.Closer, out io.Reader) {
	t.Helper()
	cmd = sluiceProcess(t, nil, args...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	said, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait() // says "killed"
		}
	})
	lines := bufio.NewReader(said)
	if line, err := lines.ReadString('\n'); err != nil || !strings.HasPrefix(line, "holding ") {
		t.Fatalf("sluice %s said %q, %v", strings.Join(args, " "), line, err)
	}
	return cmd, in, lines
}

// holdSlice is a worker, a process of its own, that holds a slice until release is called; then it seals it.
func holdSlice(t *testing.T, args ...string) (release func()) {
	t.Helper()
	cmd, in, out := startHolding(t, append([]string{"table", "import", "-q", "--hold-after", "1"}, args...)...)
	return func() {
		t.Helper()
		if err := in.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, out); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestBusyIsToldInWords(t *testing.T) {
	addr, _ := startDev(t)
	t.Setenv("SLUICE_ADDR", addr)
	file := filepath.Join(testdata, "fruit.csv")
	mustSluice(t, "table", "create", "fruit", "--from", file)
	release := holdSlice(t, file, "fruit", "--run", "job-7", "--attempt", "3", "--slices", "2", "--slice", "0")
	mine := []string{"table", "import", file, "fruit", "-q", "--run", "job-7", "--slices", "2", "--slice", "0", "--attempt", "3"}
	said := func(args []string, want string) {
		t.Helper()
		if _, err := sluice(t, args...); err == nil || !regexp.MustCompile(want).MatchString(err.Error()) {
			t.Errorf("sluice %s: %v\nwant %s", strings.Join(args, " "), err, want)
		}
	}
	said(mine, `SLICE_CONFLICT: .*\nslice 0 of run job-7 is held by worker go-[0-9a-f-]+, attempt 3, for another [0-9]+ s at least, .*: wait \(--wait 5m\), or take it over with a larger --attempt`)
	said([]string{"table", "import", file, "fruit", "-q"}, `OUTPUT_BUSY: .*\nrun job-7 has the output: .*sluice run show job-7.*sluice run abort job-7`)
	release()
	said(mine, `SLICE_CONFLICT: .*\nslice 0 of run job-7 was sealed by worker go-[0-9a-f-]+, attempt 3: its rows are complete`)
}

func TestFiltersAreNotOfferedBeforeTheServiceHasThem(t *testing.T) {
	for _, command := range []string{"head", "export"} {
		if out := mustSluice(t, "table", command, "--help"); strings.Contains(out, "--where") || !strings.Contains(out, "--columns") {
			t.Errorf("sluice table %s --help:\n%swant --columns in it and not --where", command, out)
		}
	}
}
