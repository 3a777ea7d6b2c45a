package store_test

import (
	"errors"
	"os"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/sluice-io/sluice/emulator/internal/store"
)

// The catalogue's last fsync may fail after its transaction took effect. The caller hears of a failure, yet what the
// catalogue lists must stay readable, now and after a restart; what it does not list must go.
func TestFailedCommitThatTookEffect(t *testing.T) {
	dir := t.TempDir()
	s := open(t, store.Options{Dir: dir})
	tab := create(t, s, "t", "id bigint", "")
	u, err := s.CreateUpload(store.UploadRequest{Key: tab.Key})
	if err != nil {
		t.Fatal(err)
	}
	put := func(block int, from int64) error { return s.PutBlock(u.ID, block, 0, segment(t, s, tab, ids(from, 1))) }
	publishOne := func(from int64) error {
		return s.Publish(tab, []store.Publication{{Segments: []*store.Segment{segment(t, s, tab, ids(from, 1))}}}, store.PublishOptions{})
	}
	for _, took := range []bool{false, true} {
		store.FailCommits(s, took)
		for what, err := range map[string]error{"PutBlock": put(1, 1), "Publish": publishOne(2)} {
			if !errors.Is(err, store.ErrStorage) || !errors.Is(err, syscall.EIO) {
				t.Errorf("%s, took effect %v: %v, want ErrStorage and EIO", what, took, err)
			}
		}
		store.HealCommits(s)
		if !took {
			eventually(t, "removal of unlisted segments", func() bool { return segmentFiles(t, dir) == 0 })
		}
	}
	if got := snapshotIDs(t, s, tab.Key, nil); !slices.Equal(got, []int64{2}) {
		t.Errorf("rows %v, want [2]", got)
	}
	if _, err := s.CommitUpload(u.ID); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil { // ends the collector: what it was to remove is gone
		t.Fatal(err)
	}
	s = open(t, store.Options{Dir: dir})
	if got := snapshotIDs(t, s, tab.Key, nil); !slices.Equal(got, []int64{2, 1}) {
		t.Errorf("rows after a restart %v, want [2 1]", got)
	}
}

// A folder that cannot be synced fails the segment and leaves no file.
func TestFolderSyncFails(t *testing.T) {
	dir := t.TempDir()
	fs := &unsyncedFS{}
	s := open(t, store.Options{Dir: dir, Folder: instead("segments", func(inner store.FS) store.FS { fs.FS = inner; return fs })})
	tab := create(t, s, "t", "id bigint", "")
	fs.fail.Store(true)
	w := s.NewSegment(tab)
	rec := ids(0, 1)
	defer rec.Release()
	if err := w.WriteBatch(rec); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Finish(); !errors.Is(err, store.ErrStorage) {
		t.Errorf("Finish: %v, want ErrStorage", err)
	}
	eventually(t, "removal of the failed segment", func() bool { return segmentFiles(t, dir) == 0 })
	fs.fail.Store(false)
	publish(t, s, tab, nil, store.PublishOptions{}, ids(0, 2))
	if got := snapshotIDs(t, s, tab.Key, nil); !slices.Equal(got, span(0, 2)) {
		t.Errorf("rows %v", got)
	}
}

type unsyncedFS struct {
	store.FS
	fail atomic.Bool
}

func (f *unsyncedFS) Sync() error {
	if f.fail.Load() {
		return &os.PathError{Op: "sync", Path: "segments", Err: syscall.EIO}
	}
	return f.FS.Sync()
}
