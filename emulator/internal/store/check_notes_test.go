package store_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/sluice-io/sluice/emulator/internal/store"
)

// wantNote checks that a folder is sound and that some note has the text.
func wantNote(t *testing.T, what, dir, text string) {
	t.Helper()
	report := check(t, dir)
	if !report.Sound() || !slices.ContainsFunc(report.Findings, func(f store.Finding) bool { return f.Note && strings.Contains(f.String(), text) }) {
		t.Errorf("%s: found %v, want no damage and a note with %q", what, report.Findings, text)
	}
}

func TestCheckNotesWhatIsNoDamage(t *testing.T) {
	old := everything(t)
	editCatalogue(t, old, func(tx *bolt.Tx) error {
		return errors.Join(tx.DeleteBucket([]byte("functions")), tx.DeleteBucket([]byte("projects")), setVersion("1")(tx))
	})
	wantNote(t, "an older version", old, `format version "1": the next start of an endpoint upgrades it to "2"`)

	foreign := everything(t)
	must(t, os.WriteFile(filepath.Join(foreign, "segments", "notes.txt"), nil, 0o600))
	must(t, os.WriteFile(filepath.Join(foreign, "resources", "left.bin"), nil, 0o600))
	wantNote(t, "a foreign file", foreign, "notes.txt: is no file of the store")
	wantNote(t, "a left file", foreign, "left.bin: nothing lists it")

	dir := t.TempDir()
	s := open(t, store.Options{Dir: dir, Discard: true})
	tab := create(t, s, "t", "id bigint", "")
	publish(t, s, tab, nil, store.PublishOptions{}, ids(0, 5))
	u, err := s.CreateUpload(store.UploadRequest{Key: tab.Key})
	must(t, err)
	must(t, s.PutBlock(u.ID, 0, 0, segment(t, s, tab, ids(0, 2))))
	must(t, s.Close())
	wantNote(t, "a folder that keeps no rows", dir, "keeps no rows")

	empty := t.TempDir()
	must(t, open(t, store.Options{Dir: empty}).Close())
	must(t, os.RemoveAll(filepath.Join(empty, "segments")))
	if report := check(t, empty); len(report.Findings) != 0 {
		t.Errorf("an empty store without its folder: %v", report.Findings)
	}
}

func TestFindingIsOneLine(t *testing.T) {
	for want, f := range map[string]store.Finding{
		"damage: broken":                 {Problem: "broken"},
		"note file segments/a.seg: more": {Note: true, File: "segments/a.seg", Problem: "more"},
		"damage table p.t, partition pt=a, session s, resource r, part x, file f: two lines": {
			Table: "p.t", Partition: "pt=a", Session: "s", Resource: "r", Part: "x", File: "f", Problem: "two\nlines",
		},
	} {
		if got := f.String(); got != want {
			t.Errorf("%+v is %q, want %q", f, got, want)
		}
	}
}

// The catalogue has two roots, written by turns: the newer one counts, and if one is broken
// the other does, which is at most one change older.
func TestCheckReadsTheNewerRoot(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "catalogue.db")
	tables := 0
	for round := range 4 {
		s := open(t, store.Options{Dir: dir})
		for range round + 1 { // so that each root is the newer one in some round
			create(t, s, "t"+string(rune('a'+tables)), "id bigint", "")
			tables++
		}
		must(t, s.Close())
		if got := check(t, dir); got.Tables != tables || len(got.Findings) != 0 {
			t.Errorf("round %d: %d tables, %v, want %d", round, got.Tables, got.Findings, tables)
		}
		data, err := os.ReadFile(path)
		must(t, err)
		var seen []int
		for root := range 2 {
			broken := bytes.Clone(data)
			broken[root*os.Getpagesize()+40] ^= 0xff
			must(t, os.WriteFile(path, broken, 0o600))
			wantNote(t, "a broken root", dir, []string{"root 1 of 2", "root 2 of 2"}[root])
			seen = append(seen, check(t, dir).Tables)
		}
		slices.Sort(seen)
		if !slices.Equal(seen, []int{tables - 1, tables}) {
			t.Errorf("round %d: with one root %v tables, want %d with the older and %d with the newer", round, seen, tables-1, tables)
		}
		must(t, os.WriteFile(path, data, 0o600))
	}
}
