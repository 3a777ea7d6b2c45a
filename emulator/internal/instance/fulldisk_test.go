//go:build cgo && duckdb_arrow

package instance

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-io/sluice/emulator/internal/sql"
	"github.com/sluice-io/sluice/emulator/internal/store"
)

// narrowFS has room for so many bytes more.
type narrowFS struct {
	store.FS
	room *atomic.Int64
}

type narrowFile struct {
	store.File
	room *atomic.Int64
}

func (f narrowFS) Create(name string) (store.File, error) {
	file, err := f.FS.Create(name)
	return narrowFile{file, f.room}, err
}

func (f narrowFile) Write(p []byte) (int, error) {
	if f.room.Add(-int64(len(p))) < 0 {
		return 0, syscall.ENOSPC
	}
	return f.File.Write(p)
}

// A statement that finds the disk full fails, says so, leaves every table as it was and no
// file; with room again it succeeds, and the folder is sound.
func TestStatements_on_a_full_disk_change_nothing(t *testing.T) {
	var room atomic.Int64
	const plenty = 1 << 40
	room.Store(plenty)
	dir := t.TempDir()
	s, err := store.Open(store.Options{Dir: dir, Folder: func(name string) (store.FS, error) {
		fs, err := store.DirFS(name)
		return narrowFS{fs, &room}, err
	}})
	if err != nil {
		t.Fatal(err)
	}
	m := New(Options{Store: s, Engine: sql.New(), Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler), Now: time.Now})
	run := func(query string) Instance {
		t.Helper()
		return m.Await(t.Context(), mustSubmit(t, m, Task{Query: query}), time.Minute)
	}
	succeeds := func(query string) {
		t.Helper()
		if i := run(query); i.State != Succeeded {
			t.Fatalf("%s: %s", query, i.Text)
		}
	}
	succeeds("create table t (a bigint, s string) tblproperties('transactional'='true')")
	succeeds("create table p (a bigint) partitioned by (d string)")
	succeeds("insert into t select range, repeat('x', 100) from range(2000)")
	state := func() string {
		t.Helper()
		var out strings.Builder
		for _, name := range []string{"t", "p", "made"} {
			table, err := s.Table(store.NewKey("p", "", name))
			fmt.Fprintln(&out, name, table.Rows, table.SchemaVersion, err)
		}
		return out.String()
	}
	before := state()
	statements := []string{
		"merge into t using (select a + 1000 as a, s from t) q on t.a = q.a when matched then update set s = 'y' when not matched then insert values (q.a, q.s)",
		"insert into t select a, s from t", "insert overwrite table t select a + 1, s from t", "update t set a = a + 1 where a >= 0",
		"delete from t where a % 2 = 0",
		"insert into p partition (d) select a, cast(a % 20 as string) from t",
		"from t insert into table t select a, s insert into table p partition (d = 'x') select a",
		"create table made as select a, s from t",
	}
	for _, query := range statements {
		for _, bytes := range []int64{0, 64, 1000, 5000} {
			room.Store(bytes)
			if i := run(query); i.State != Failed || !strings.Contains(i.Text, "no space left on device") {
				t.Errorf("%s with %d bytes of room = %v %q, want it to fail for want of space", query, bytes, i.State, i.Text)
			}
			if after := state(); after != before {
				t.Errorf("%s with %d bytes of room: the tables were\n%sand are\n%s", query, bytes, before, after)
			}
		}
	}
	room.Store(plenty)
	for _, query := range statements {
		succeeds(query)
	}
	if err := errors.Join(m.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	report, err := store.Check(t.Context(), dir, time.Second)
	if err != nil || !report.Sound() {
		t.Errorf("check = %+v, %v", report, err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "segments", "*"))
	if err != nil || len(files) != report.Segments {
		t.Errorf("%d files of %d segments, %v", len(files), report.Segments, err)
	}
}
