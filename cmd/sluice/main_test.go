package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/sluice-io/sluice/internal/cli/demo"
	"github.com/sluice-io/sluice/internal/testkit"
)

// beSluice makes the test binary behave as the program, so that tests can start it as a process.
const beSluice = "SLUICE_TEST_BE_SLUICE"

func TestMain(m *testing.M) {
	if os.Getenv(beSluice) != "" {
		os.Exit(program(os.Args[1:]))
	}
	testkit.Main(m)
}

const testdata = "../../testdata"

// startDev runs `sluice dev` in this process until the test ends, and returns its ready line's addresses.
func startDev(t *testing.T) (grpc, endpoint string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	f := devFlags{listen: "127.0.0.1:0", endpointListen: "127.0.0.1:0", data: t.TempDir(), project: "local"}
	lines := &lineWriter{first: make(chan string, 1)}
	done := make(chan error, 1)
	go func() { done <- f.run(ctx, lines) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("sluice dev: %v", err)
		}
	})
	select {
	case line := <-lines.first:
		m := regexp.MustCompile(`^ready grpc=(127\.0\.0\.1:\d+) maxcompute=(http://127\.0\.0\.1:\d+/api) project=local\n$`).FindStringSubmatch(line)
		if m == nil {
			t.Fatalf("sluice dev said %q", line)
		}
		return m[1], m[2]
	case err := <-done:
		done <- nil
		t.Fatalf("sluice dev ended: %v", err)
	}
	return "", ""
}

type lineWriter struct{ first chan string }

func (w *lineWriter) Write(b []byte) (int, error) {
	w.first <- string(b)
	return len(b), nil
}

// sluice runs one command in this process.
func sluice(t *testing.T, args ...string) (string, error) {
	t.Helper()
	root := newRoot()
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetArgs(args)
	err := root.ExecuteContext(t.Context())
	return out.String(), err
}

func mustSluice(t *testing.T, args ...string) string {
	t.Helper()
	out, err := sluice(t, args...)
	if err != nil {
		t.Fatalf("sluice %s: %v", strings.Join(args, " "), err)
	}
	return out
}

func TestDemoHolds(t *testing.T) {
	t.Setenv(beSluice, "1")
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	d := demo.Demo{Out: &out, Err: &errs, Data: testdata, Program: program}
	if err := d.Run(t.Context()); err != nil {
		t.Fatalf("demo: %v\n%s%s", err, &out, &errs)
	}
	if got := strings.Count(out.String(), "equal"); got != 2 {
		t.Errorf("%d tables are equal, want 2:\n%s", got, &out)
	}
}

func TestFilesRoundTripThroughTables(t *testing.T) {
	addr, _ := startDev(t)
	t.Setenv("SLUICE_ADDR", addr)
	dir := t.TempDir()
	for file, formats := range map[string][]string{
		"birdstrikes.csv": {"csv", "jsonl", "parquet", "arrow", "arrows"},
		"zipcodes.csv":    {"parquet"}, // leading zeros
	} {
		source := filepath.Join(testdata, file)
		for _, table := range []string{"first", "second"} {
			mustSluice(t, "table", "create", table, "--from", source)
		}
		mustSluice(t, "table", "import", source, "first", "--slices", "3", "-q")
		want := sortedRows(t, source)
		for _, format := range formats {
			copied := filepath.Join(dir, "made", format, "copy."+format) // in a folder that is not there yet
			mustSluice(t, "table", "export", "first", copied, "-q")
			mustSluice(t, "table", "import", copied, "second", "-q") // replaces the rows of the round before
			back := filepath.Join(dir, "back.csv")
			mustSluice(t, "table", "export", "second", back, "-q")
			if got := sortedRows(t, back); want != got {
				t.Errorf("%s by way of %s: %d bytes of rows differ from %d", file, format, len(got), len(want))
			}
		}
		for _, table := range []string{"first", "second"} {
			mustSluice(t, "table", "drop", table)
		}
	}
}

// sortedRows counts each row of a CSV file, without the header, as one text.
func sortedRows(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	records, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for _, r := range records[1:] {
		for i, text := range r { // 40.90 and 40.9 are one number
			r[i] = strings.TrimRight(text, "0")
		}
		counts[fmt.Sprintf("%q", r)]++
	}
	return fmt.Sprint(counts)
}

func TestErrorsNameTheirObject(t *testing.T) {
	addr, _ := startDev(t)
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.csv")
	if err := os.WriteFile(bad, []byte("id,name\n1,a\nx,b\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	missing := write(t, dir, "missing.csv", "id,name\n1,a\n,b\n")
	mustSluice(t, "table", "create", "fruit", "-c", "id bigint not null", "-c", "name string", "--addr", addr)
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no table":      {[]string{"head", "nope"}, "nope"},
		"no table drop": {[]string{"drop", "nope"}, "nope"},
		"table exists":  {[]string{"create", "fruit", "-c", "id bigint"}, "TABLE_EXISTS"},
		"bad type":      {[]string{"create", "x", "-c", "n int", "-c", "id bigit"}, `there is no type "bigit" here; the types are boolean, tinyint, smallint, int, bigint,`},
		"bad type of":   {[]string{"create", "x", "-c", "n int", "-c", "id array<bigit>"}, `the type of column "id"`},
		"bad value":     {[]string{"import", bad, "fruit"}, `line 3, column "id": "x" is no int64`},
		"refused row":   {[]string{"import", missing, "fruit"}, "row 2, column id"},
		"no file":       {[]string{"import", filepath.Join(dir, "no.csv"), "fruit"}, "no such file"},
		"bad column":    {[]string{"export", "fruit", filepath.Join(dir, "o.csv"), "--columns", "colour"}, "colour"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := sluice(t, append(append([]string{"table"}, c.args...), "--addr", addr)...)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
	if out := mustSluice(t, "table", "list", "--addr", addr, "--json"); !strings.Contains(out, `"tables"`) {
		t.Errorf("list --json said %s", out)
	}
	mustSluice(t, "table", "import", write(t, dir, "good.csv", "id,name\n1,a\n"), "fruit", "--addr", addr, "-q") // nothing is left busy
}

func write(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestExitCodes(t *testing.T) {
	for _, c := range []struct {
		args []string
		want int
		says string // at the begin of the first line; of standard output where it is 0, else of standard error
	}{
		{[]string{"version"}, exitOK, "sluice dev"},
		{[]string{"--version"}, exitOK, "sluice dev"},
		{[]string{}, exitOK, "Rows in and out"},
		{[]string{"table"}, exitOK, "TABLE is"},
		{[]string{"tabel", "list", "--json"}, exitUsage, `sluice: unknown command "tabel" for "sluice": did you mean "table"?`},
		{[]string{"table", "bogus"}, exitUsage, `sluice: unknown command "bogus" for "sluice table": 'sluice table --help' lists them`},
		{[]string{"help", "emulatr"}, exitUsage, `sluice: unknown command "emulatr" for "sluice": did you mean "emulator"?`},
		{[]string{"demo", "x"}, exitUsage, "sluice: accepts 0 arg(s)"},
		{[]string{"table", "drop"}, exitUsage, "sluice: accepts 1 arg(s)"},
		{[]string{"table", "import", "a.csv", "t", "--slices", "0"}, exitUsage, "sluice: --slices"},
		{[]string{"table", "import", "a.csv", "t", "--slice", "1", "--slices", "2"}, exitUsage, "sluice: --slice needs --run"},
		{[]string{"dev", "--no-such-flag"}, exitUsage, "sluice: unknown flag: --no-such-flag"},
		{[]string{"emulator", "--store", "lose"}, exitUsage, "sluice: --store"},
		{[]string{"table", "list", "--addr", closedAddress(t)}, exitFailed, "sluice: "},
	} {
		cmd := sluiceProcess(t, nil, c.args...)
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
			t.Fatal(err)
		}
		said := &out
		if c.want != exitOK {
			said = &errs
		}
		if code := cmd.ProcessState.ExitCode(); code != c.want || !strings.HasPrefix(said.String(), c.says) {
			t.Errorf("sluice %s: exit code %d, want %d\n%swant %q", strings.Join(c.args, " "), code, c.want, said, c.says)
		}
	}
}

func TestAMisspeltAddressVariableIsTold(t *testing.T) {
	cmd := sluiceProcess(t, []string{"SLUICE_ADR=127.0.0.1:1"}, "run", "list", "--addr", closedAddress(t))
	out, err := cmd.CombinedOutput()
	if want := "sluice: warning: the environment variable SLUICE_ADR has no effect: did you mean SLUICE_ADDR?\n"; err == nil || !strings.HasPrefix(string(out), want) {
		t.Errorf("%v\n%swant %q", err, out, want)
	}
}

// closedAddress is one that nobody listens on.
func closedAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return l.Addr().String()
}
