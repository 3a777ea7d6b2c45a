package instance

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sluice-io/sluice/emulator/internal/refusal"
	"github.com/sluice-io/sluice/emulator/internal/sql"
	"github.com/sluice-io/sluice/emulator/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newInstances returns a registry over an empty store, and its folder for results.
func newInstances(t *testing.T) (*Registry, string) {
	t.Helper()
	s, err := store.Open(store.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	m := New(Options{Store: s, Engine: sql.New(), Dir: dir, Log: slog.New(slog.DiscardHandler), Now: time.Now})
	t.Cleanup(func() {
		if err := errors.Join(m.Close(), s.Close()); err != nil {
			t.Error(err)
		}
	})
	return m, dir
}

func mustSubmit(t *testing.T, m *Registry, task Task) Instance {
	t.Helper()
	i, err := m.Submit("p", task)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// The log has a line for each task that failed: with its text only if the endpoint is at fault, since the text may
// quote rows.
func TestLog_tells_of_failed_tasks(t *testing.T) {
	m, _ := newInstances(t)
	var log bytes.Buffer
	m.log = slog.New(slog.NewJSONHandler(&log, nil))
	mustSubmit(t, m, Task{Query: "create table t (id bigint)"})
	failed := mustSubmit(t, m, Task{Query: "drop table secret"})
	broken, _, err := m.add("p", Task{Query: "select 1"}, false)
	if err != nil {
		t.Fatal(err)
	}
	m.finish(broken, outcome{}, store.ErrStorage)
	want := fmt.Sprintf(`"level":"INFO","msg":"task failed","instance":%q,"project":"p","code":"ODPS-0130131"}
"level":"WARN","msg":"task failed","instance":%q,"project":"p","code":"ODPS-0010000","err":"storage failure"}
`, failed.ID, broken.ID)
	if got := regexp.MustCompile(`(?m)^.*"level"`).ReplaceAllString(log.String(), `"level"`); got != want {
		t.Errorf("log:\n%swant\n%s", got, want)
	}
}

func TestInstances_forget_the_oldest(t *testing.T) {
	m, dir := newInstances(t)
	first := mustSubmit(t, m, Task{Query: "set a=b;"})
	path := filepath.Join(dir, "r.arrow")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	m.byID[first.ID].Result = &Result{path: path}
	for range maxInstances {
		mustSubmit(t, m, Task{Query: "set a=b;"})
	}
	if n := len(m.List("p")); n != maxInstances {
		t.Errorf("%d instances are remembered, want %d", n, maxInstances)
	}
	var e *refusal.Error
	if _, err := m.Get("p", first.ID); !errors.As(err, &e) || e.Status != 404 {
		t.Errorf("Get of the oldest = %v, want 404", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the result of a forgotten instance is still there: %v", err)
	}
}

func TestInstances_repeat_a_submission_only_with_the_same_text(t *testing.T) {
	m, _ := newInstances(t)
	a := mustSubmit(t, m, Task{Query: "create table t (a bigint)", UUID: "u"})
	b := mustSubmit(t, m, Task{Query: "create table t (a bigint)", UUID: "u"})
	c := mustSubmit(t, m, Task{Query: "drop table t", UUID: "u"})
	if a.ID != b.ID || b.State != Succeeded || c.ID == a.ID || c.State != Succeeded {
		t.Errorf("ids %s %s %s, states %v %v %v", a.ID, b.ID, c.ID, a.State, b.State, c.State)
	}
}

func TestInstances_belong_to_a_project(t *testing.T) {
	m, _ := newInstances(t)
	i := mustSubmit(t, m, Task{Query: ""})
	if _, err := m.Get("P", i.ID); err != nil {
		t.Errorf("Get in any case of the project's name: %v", err)
	}
	if _, err := m.Get("q", i.ID); err == nil || len(m.List("q")) != 0 {
		t.Errorf("another project sees the instance: %v", err)
	}
}

func TestInstances_take_nothing_after_close(t *testing.T) {
	m, _ := newInstances(t)
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := m.Submit("p", Task{Query: "drop table t"})
	var e *refusal.Error
	if !errors.As(err, &e) || e.Status != 503 {
		t.Errorf("Submit after Close = %v, want 503", err)
	}
}

func TestInstances_queue_is_bounded(t *testing.T) {
	m, _ := newInstances(t)
	if err := m.slots.Acquire(t.Context(), workers); err != nil { // no query gets its turn
		t.Fatal(err)
	}
	defer m.slots.Release(workers)
	waiting := mustSubmit(t, m, Task{Query: "select 1"})
	for range maxQueued - 1 {
		mustSubmit(t, m, Task{Query: "select 1"})
	}
	_, err := m.Submit("p", Task{Query: "select 1"})
	var e *refusal.Error
	if !errors.As(err, &e) || e.Status != 429 {
		t.Errorf("one query more than wait = %v, want 429", err)
	}
	if i := mustSubmit(t, m, Task{Query: "drop table if exists t"}); i.State != Succeeded {
		t.Errorf("a definition while queries wait = %v, want success at once", i.State)
	}
	if err := m.Stop(t.Context(), "p", waiting.ID); err != nil {
		t.Fatal(err)
	}
	if i, err := m.Get("p", waiting.ID); err != nil || i.State != Cancelled || !strings.Contains(i.Text, "cancelled") {
		t.Errorf("a stopped query = %+v, %v, want cancelled", i, err)
	}
}
