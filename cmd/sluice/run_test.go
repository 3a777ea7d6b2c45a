package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/sluice-io/sluice/client"
	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
)

// halfDone makes the table fruit and a run on it with one of its two slices sealed.
func halfDone(t *testing.T, run string) {
	t.Helper()
	file := filepath.Join(testdata, "fruit.csv")
	mustSluice(t, "table", "create", "fruit", "--from", file, "--if-not-exists")
	mustSluice(t, "table", "import", file, "fruit", "-q", "--run", run, "--slices", "2", "--slice", "0")
}

// uncounted makes a run that does not declare its number of slices, with all of them sealed: it waits for its completion.
func uncounted(t *testing.T, addr, run string) {
	t.Helper()
	file := filepath.Join(testdata, "fruit.csv")
	mustSluice(t, "table", "create", "basket", "--from", file)
	conn := connection{addr: addr}
	err := conn.with(t.Context(), func(c *client.Client) error {
		table := client.TableName("basket")
		_, _, err := c.CreateRun(t.Context(), &sluicev1.CreateRunRequest{RunId: run, Outputs: []*sluicev1.OutputSpec{{Table: table}}})
		if err != nil {
			return err
		}
		w, err := c.NewWriter(t.Context(), client.WriterConfig{Run: run, Output: table})
		if err != nil {
			return err
		}
		if _, err := w.Seal(t.Context()); err != nil {
			return err
		}
		return w.Close()
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestRunsAreListedAndShown(t *testing.T) {
	addr, _ := startDev(t)
	t.Setenv("SLUICE_ADDR", addr)
	halfDone(t, "job-7")
	mustSluice(t, "table", "import", filepath.Join(testdata, "fruit.csv"), "other", "--create", "-q", "--run", "done-1")
	for _, c := range []struct {
		args       []string
		want, lack string
	}{
		{[]string{"list"}, "job-7", ""},
		{[]string{"list"}, "1 of 2 sealed", ""},
		{[]string{"list", "--state", "open"}, "job-7", "done-1"},
		{[]string{"list", "--state", "COMMITTED,ABORTED"}, "done-1", "job-7"},
		{[]string{"list", "--prefix", "done"}, "done-1", "job-7"},
		{[]string{"list", "--output", "odps://local/tables/fruit"}, "job-7", "done-1"},
		{[]string{"list", "--limit", "1"}, "the newest 1; --limit 0 lists all", "job-7"},
		{[]string{"list", "--limit", "2"}, "job-7", "the newest"},
		{[]string{"show", "job-7"}, "run job-7  OPEN  4 rows durable, 0 visible\n", ""},
		{[]string{"show", "job-7"}, "│ 0     │ SEALED │ 4            │", ""},
		{[]string{"show", "done-1"}, "run done-1  COMMITTED  4 rows durable, 4 visible\n", "its upload sessions end"},
	} {
		out := mustSluice(t, append([]string{"run"}, c.args...)...)
		if !strings.Contains(out, c.want) || c.lack != "" && strings.Contains(out, c.lack) {
			t.Errorf("sluice run %s:\n%swant %q and not %q", strings.Join(c.args, " "), out, c.want, c.lack)
		}
	}
	var shown struct {
		Run struct {
			RunID   string `json:"run_id"`
			Outputs []struct {
				SealedSlices int `json:"sealed_slices"`
			}
		}
		Slices []struct {
			State string
			Rows  string `json:"durable_through"`
		}
	}
	out := mustSluice(t, "run", "show", "job-7", "--json")
	if err := json.Unmarshal([]byte(out), &shown); err != nil || shown.Run.RunID != "job-7" || len(shown.Run.Outputs) != 1 || shown.Run.Outputs[0].SealedSlices != 1 ||
		len(shown.Slices) != 1 || shown.Slices[0].State != "SLICE_STATE_SEALED" || shown.Slices[0].Rows != "4" {
		t.Errorf("sluice run show --json: %v\n%s", err, out)
	}
	var listed struct {
		Runs []struct {
			State string
		}
	}
	out = mustSluice(t, "run", "list", "--json")
	if err := json.Unmarshal([]byte(out), &listed); err != nil || len(listed.Runs) != 2 || listed.Runs[0].State != "RUN_STATE_COMMITTED" || listed.Runs[1].State != "RUN_STATE_OPEN" {
		t.Errorf("sluice run list --json: %v\n%swant the newest first", err, out)
	}
}

func TestRunsAreEnded(t *testing.T) {
	addr, _ := startDev(t)
	t.Setenv("SLUICE_ADDR", addr)
	halfDone(t, "job-7")
	uncounted(t, addr, "job-8")
	if _, err := sluice(t, "run", "complete", "job-7"); !client.Is(err, sluicev1.Reason_REASON_RUN_INCOMPLETE) || !strings.Contains(err.Error(), "complete run job-7: RUN_INCOMPLETE: ") {
		t.Errorf("complete a run with a slice missing: %v, want RUN_INCOMPLETE", err)
	}
	for range 2 { // each may be repeated
		if out := mustSluice(t, "run", "complete", "job-8"); !strings.HasPrefix(out, "run job-8  COMMITTED  ") {
			t.Errorf("complete job-8: %s", out)
		}
		if out := mustSluice(t, "run", "abort", "job-7", "--message", "test"); !strings.HasPrefix(out, "run job-7  ABORTED  ") {
			t.Errorf("abort job-7: %s", out)
		}
	}
	if out := mustSluice(t, "run", "abort", "job-7", "--force", "--json"); !strings.Contains(out, `"RUN_STATE_ABORTED"`) {
		t.Errorf("abort --json: %s", out)
	}
	mustSluice(t, "table", "import", filepath.Join(testdata, "fruit.csv"), "fruit", "-q") // the output is free again
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"show", "nope"}, "show run nope: RUN_NOT_FOUND"},
		{[]string{"abort", "nope"}, "abort run nope: RUN_NOT_FOUND"},
		{[]string{"abort", "job-8"}, "abort run job-8: RUN_CLOSED"},
		{[]string{"complete", "job-7"}, "complete run job-7: RUN_CLOSED"},
		{[]string{"list", "--state", "SHUT"}, "--state SHUT: the states are ABORTED, CLOSING, COMMITTED"},
		{[]string{"list", "--output", "a.b.c.d"}, "is no table name"},
		{[]string{"shw", "job-7"}, `did you mean "show"?`},
	} {
		if _, err := sluice(t, append([]string{"run"}, c.args...)...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("sluice run %s: %v, want %q", strings.Join(c.args, " "), err, c.want)
		}
	}
}

// The run commands of docs/operations.md are run as they stand, in order.
func TestOperationsCommands(t *testing.T) {
	text, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	commands := regexp.MustCompile(`(?m)^sluice run .*$`).FindAllString(string(text), -1)
	if len(commands) < 4 {
		t.Fatalf("docs/operations.md shows %d run commands, want at least list, show, complete, abort", len(commands))
	}
	addr, _ := startDev(t)
	t.Setenv("SLUICE_ADDR", addr)
	halfDone(t, "job-7")
	uncounted(t, addr, "job-8")
	bin := t.TempDir()
	self, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(bin, "sluice")); err != nil {
		t.Fatal(err)
	}
	for _, line := range commands {
		line = strings.Replace(line, "--wait 10s", "--wait 10ms", 1) // the run does not end: nobody waits for it here
		cmd := exec.CommandContext(t.Context(), "sh", "-c", line)
		cmd.Env = append(os.Environ(), beSluice+"=1", "PATH="+bin+":"+os.Getenv("PATH"))
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "job-") {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
	}
}
