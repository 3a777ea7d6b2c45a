package store_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sluice-io/sluice/emulator/internal/store"
	"github.com/sluice-io/sluice/emulator/internal/types"
)

const childDir = "SLUICE_STORE_CHILD"

// childWrites is the process that gets killed: it commits uploads of two blocks
// one after the other, tells each on stdout once the store has said so, and leaves
// uncommitted blocks and half-written segments behind. Every third commit replaces
// the table.
func childWrites(dir string) error {
	s, err := store.Open(store.Options{Dir: dir})
	if err != nil {
		return err
	}
	tab, _, err := s.CreateTable(store.Table{Key: store.NewKey("p", "", "t"), Columns: crashColumns()}, true)
	if err != nil {
		return err
	}
	write := func(id string, block int, from int64) error {
		w := s.NewSegment(tab)
		rec := ids(from, 500)
		defer rec.Release()
		if err := w.WriteBatch(rec); err != nil {
			return err
		}
		seg, err := w.Finish()
		if err != nil {
			return err
		}
		return s.PutBlock(id, block, 0, seg)
	}
	start := tab.Rows // any number that differs between rounds
	for i := start; ; i++ {
		overwrite := i%3 == 2
		u, err := s.CreateUpload(store.UploadRequest{Key: tab.Key, Overwrite: overwrite})
		if err != nil {
			return err
		}
		from := i * 1000
		if err := write(u.ID, 0, from); err != nil {
			return err
		}
		if err := write(u.ID, 1, from+500); err != nil {
			return err
		}
		open := s.NewSegment(tab)
		half := ids(-1, 1)
		if err := open.WriteBatch(half); err != nil {
			return err
		}
		half.Release()
		fmt.Printf("begin %d %v\n", from, overwrite)
		if _, err := s.CommitUpload(u.ID); err != nil {
			return err
		}
		fmt.Printf("done %d\n", from)
		stray, err := s.CreateUpload(store.UploadRequest{Key: tab.Key})
		if err != nil {
			return err
		}
		if err := write(stray.ID, 0, -1000); err != nil {
			return err
		}
	}
}

func crashColumns() []store.Column {
	return []store.Column{{Name: "id", Type: types.Type{Kind: types.BigInt}, Nullable: true}}
}

// TestKill9 kills a writing process at random moments and opens its store: all
// acknowledged commits are there, in full, and nothing uncommitted is.
func TestKill9(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(7, 7))
	dir := t.TempDir()
	var sure []int64 // first ids of the commits that must be there
	for round := range 6 {
		log := runAndKill(t, exe, dir, time.Duration(20+rng.IntN(150))*time.Millisecond)
		var maybe []int64 // with the commit that was under way
		for _, line := range log {
			f := strings.Fields(line)
			from, err := strconv.ParseInt(f[1], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			if f[0] == "begin" {
				if maybe = append(slices.Clone(sure), from); f[2] == "true" {
					maybe = []int64{from}
				}
			} else {
				sure, maybe = maybe, nil
			}
		}
		s, err := store.Open(store.Options{Dir: dir})
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		got := []int64{}
		if _, err := s.Table(store.NewKey("p", "", "t")); err == nil {
			got = snapshotIDs(t, s, store.NewKey("p", "", "t"), nil)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		switch {
		case slices.Equal(got, expand(sure)):
		case maybe != nil && slices.Equal(got, expand(maybe)):
			sure = maybe
		default:
			t.Fatalf("round %d: %d rows, want those of commits %v or %v", round, len(got), sure, maybe)
		}
	}
	if len(sure) == 0 {
		t.Error("no commit in any round: the test proved nothing")
	}
}

func expand(commits []int64) []int64 {
	rows := []int64{}
	for _, from := range commits {
		rows = append(rows, span(from, 1000)...)
	}
	return rows
}

func runAndKill(t *testing.T, exe, dir string, after time.Duration) (log []string) {
	t.Helper()
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	sc := bufio.NewScanner(out)
	sc.Scan() // it is writing
	log = append(log, sc.Text())
	timer := time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	for sc.Scan() {
		log = append(log, sc.Text())
	}
	if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("child ended by itself: %v", err)
	}
	// A line cut by the kill is no line.
	return slices.DeleteFunc(log, func(l string) bool {
		f := strings.Fields(l)
		done := len(f) == 2 && f[0] == "done"
		begin := len(f) == 3 && f[0] == "begin" && (f[2] == "true" || f[2] == "false")
		return !done && !begin
	})
}
