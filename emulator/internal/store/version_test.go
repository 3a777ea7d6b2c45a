package store_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/sluice-io/sluice/emulator/internal/store"
)

// editCatalogue changes the catalogue of a closed store.
func editCatalogue(t *testing.T, dir string, change func(*bolt.Tx) error) {
	t.Helper()
	db, err := bolt.Open(filepath.Join(dir, "catalogue.db"), 0o644, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Update(change); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func setVersion(version string) func(*bolt.Tx) error {
	return func(tx *bolt.Tx) error { return tx.Bucket([]byte("meta")).Put([]byte("version"), []byte(version)) }
}

func versionOf(t *testing.T, dir string) (version string) {
	t.Helper()
	editCatalogue(t, dir, func(tx *bolt.Tx) error {
		version = string(tx.Bucket([]byte("meta")).Get([]byte("version")))
		return nil
	})
	return version
}

// A folder of version 1 is upgraded in place and keeps its rows.
func TestOpenUpgradesVersion1(t *testing.T) {
	dir := t.TempDir()
	s := open(t, store.Options{Dir: dir})
	tab := create(t, s, "t", "id bigint", "")
	publish(t, s, tab, nil, store.PublishOptions{}, ids(0, 10))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	editCatalogue(t, dir, func(tx *bolt.Tx) error {
		var added []string
		if err := tx.ForEach(func(name []byte, _ *bolt.Bucket) error {
			if !slices.Contains([]string{"meta", "tables", "parts", "segs", "uploads", "blocks"}, string(name)) {
				added = append(added, string(name))
			}
			return nil
		}); err != nil {
			return err
		}
		for _, name := range added {
			if err := tx.DeleteBucket([]byte(name)); err != nil {
				return err
			}
		}
		return setVersion("1")(tx)
	})
	s = open(t, store.Options{Dir: dir})
	if got := snapshotIDs(t, s, tab.Key, nil); !slices.Equal(got, span(0, 10)) {
		t.Errorf("rows after the upgrade = %v", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got := versionOf(t, dir); got != "2" {
		t.Errorf("version after the upgrade = %q, want 2", got)
	}
}

// A folder of a version that this program does not know is left as it is.
func TestOpenRefusesOtherVersions(t *testing.T) {
	for _, version := range []string{"3", "0", ""} {
		dir := t.TempDir()
		if err := open(t, store.Options{Dir: dir}).Close(); err != nil {
			t.Fatal(err)
		}
		editCatalogue(t, dir, setVersion(version))
		s, err := store.Open(store.Options{Dir: dir})
		if err == nil {
			_ = s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "format version") {
			t.Errorf("Open of version %q = %v, want a refusal that names the format version", version, err)
		}
		if got := versionOf(t, dir); got != version {
			t.Errorf("version %q became %q", version, got)
		}
	}
}
