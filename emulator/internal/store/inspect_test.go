package store_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/sluice-io/sluice/emulator/internal/store"
)

// folderWithRows is a closed store with one table of ten rows, and its key.
func folderWithRows(t *testing.T) (dir string, key store.Key) {
	t.Helper()
	dir = t.TempDir()
	s := open(t, store.Options{Dir: dir})
	tab := create(t, s, "t", "id bigint", "")
	publish(t, s, tab, nil, store.PublishOptions{}, ids(0, 10))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, tab.Key
}

func openFails(t *testing.T, dir string, wants ...string) {
	t.Helper()
	s, err := store.Open(store.Options{Dir: dir})
	if err == nil {
		_ = s.Close()
	}
	for _, want := range wants {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Open = %v, want an error with %q", err, want)
		}
	}
}

// Rows whose catalogue is gone, empty or new are not taken for what a crash left: the store
// does not open, and with the catalogue put back all rows are there.
func TestOpenKeepsRowsWithoutTheirCatalogue(t *testing.T) {
	for name, lose := range map[string]func(path string) error{
		"missing": os.Remove,
		"empty":   func(path string) error { return os.Truncate(path, 0) },
		"new": func(path string) error {
			if err := os.Remove(path); err != nil {
				return err
			}
			db, err := bolt.Open(path, 0o644, nil)
			if err != nil {
				return err
			}
			return db.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir, key := folderWithRows(t)
			path := filepath.Join(dir, "catalogue.db")
			whole, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := lose(path); err != nil {
				t.Fatal(err)
			}
			openFails(t, dir, "catalogue.db is missing or empty")
			if err := os.WriteFile(path, whole, 0o644); err != nil {
				t.Fatal(err)
			}
			if got := snapshotIDs(t, open(t, store.Options{Dir: dir}), key, nil); !slices.Equal(got, span(0, 10)) {
				t.Errorf("rows after the catalogue is back = %v", got)
			}
		})
	}
}

// A page of the catalogue that was overwritten is an error that names the file, where bbolt
// alone would end the process.
func TestOpenRefusesDamagedCatalogue(t *testing.T) {
	dir, _ := folderWithRows(t)
	path := filepath.Join(dir, "catalogue.db")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	page := os.Getpagesize()
	clear(data[2*page:]) // the roots stay
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	openFails(t, dir, "catalogue.db is damaged: page ", "put the folder back from a copy")
	if err := os.Truncate(path, 5000); err != nil {
		t.Fatal(err)
	}
	openFails(t, dir, "file size too small", "put the folder back from a copy")
}
