package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/sluice-io/sluice/emulator/internal/store"
)

// hookedFS runs something at the next creation or opening of a file, and counts removals.
type hookedFS struct {
	store.FS
	onCreate, onOpen func()

	mu      sync.Mutex
	removed map[string]int
	failed  error // of removals
}

func take(hook *func()) {
	if fn := *hook; fn != nil {
		*hook = nil
		fn()
	}
}

func (h *hookedFS) Create(name string) (store.File, error) {
	take(&h.onCreate)
	return h.FS.Create(name)
}

func (h *hookedFS) Open(name string) (store.ReadFile, error) {
	take(&h.onOpen)
	return h.FS.Open(name)
}

func (h *hookedFS) Remove(name string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failed != nil {
		return h.failed
	}
	if h.removed == nil {
		h.removed = map[string]int{}
	}
	h.removed[name]++
	return h.FS.Remove(name)
}

func openHooked(t *testing.T, dir, folder string) (*store.Store, *hookedFS) {
	t.Helper()
	fs := &hookedFS{}
	return open(t, store.Options{Dir: dir, Folder: instead(folder, func(inner store.FS) store.FS { fs.FS = inner; return fs })}), fs
}

// A part that was replaced while its old version was merged stays, with its new bytes.
func TestMergeKeepsAPartThatWasReplacedMeanwhile(t *testing.T) {
	dir := t.TempDir()
	s, fs := openHooked(t, dir, "resources")
	must(t, putPart(s, "a", "old"))
	must(t, putPart(s, "b", "other"))
	fs.onOpen = func() { // the merge has looked its parts up, and reads the first
		fs.onOpen = func() { must(t, putPart(s, "a", "new")) } // and now the second
	}
	_, err := s.MergeResource(merge("f", "oldother", "a", "b"))
	must(t, err)
	wantResource(t, s, "f", "oldother")
	eventually(t, "removal of the parts", func() bool { return resourceFiles(t, dir) == 2 })
	if _, err := s.MergeResource(merge("g", "new", "a")); err != nil {
		t.Errorf("the new version of the part: %v", err)
	}
	wantResource(t, s, "g", "new")
	if _, err := s.MergeResource(merge("h", "new", "a")); !errors.Is(err, store.ErrNoSuchPart) {
		t.Errorf("a part that was merged: %v, want ErrNoSuchPart", err)
	}
	eventually(t, "removal of what was merged", func() bool { return resourceFiles(t, dir) == 2 })
	sound(t, s, dir)
}

// A merge whose part goes away before it is read is told that there is no such part.
func TestMergeOfAPartThatGoesAway(t *testing.T) {
	dir := t.TempDir()
	s, fs := openHooked(t, dir, "resources")
	must(t, put(s, "f", "before"))
	must(t, putPart(s, "a", "old"))
	fs.onOpen = func() {
		must(t, putPart(s, "a", "new"))
		eventually(t, "removal of the old version", func() bool { return resourceFiles(t, dir) == 2 })
	}
	if _, err := s.MergeResource(merge("f", "old", "a")); !errors.Is(err, store.ErrNoSuchPart) {
		t.Errorf("merge = %v, want ErrNoSuchPart", err)
	}
	wantResource(t, s, "f", "before")
	if _, err := s.MergeResource(merge("f", "new", "a")); err != nil {
		t.Errorf("merge of the new version = %v", err)
	}
	eventually(t, "removal of what was merged", func() bool { return resourceFiles(t, dir) == 1 })
	sound(t, s, dir)
}

// A merge may be repeated whose answer was lost, and only that.
func TestMergeRepeatedIsTheSameMerge(t *testing.T) {
	s := open(t, store.Options{})
	must(t, putPart(s, "a", "whole"))
	made, err := s.MergeResource(merge("f", "whole", "a"))
	must(t, err)
	_, err = s.PutResource(store.ResourceChange{Key: key("ref"), Kind: store.TableResource, Source: "t", By: "me"})
	must(t, err)
	again, err := s.MergeResource(merge("f", "whole", "a"))
	if err != nil || again.Content.File != made.Content.File {
		t.Errorf("repeated: %+v, %v", again, err)
	}
	for what, spoil := range map[string]func(*store.Merge){
		"to be made":                   func(m *store.Merge) { m.Change.Create = true },
		"of another sum":               func(m *store.Merge) { m.MD5 = hexMD5("other") },
		"of another length":            func(m *store.Merge) { m.Size++ },
		"of another name":              func(m *store.Merge) { m.Change.Key = key("g") },
		"in the place of a reference":  func(m *store.Merge) { m.Change.Key = key("ref") },
		"of nothing, for a reference":  func(m *store.Merge) { m.Change.Key, m.MD5, m.Size = key("ref"), "", 0 },
		"of nothing, for what is none": func(m *store.Merge) { m.Change.Key, m.MD5, m.Size = key("g"), "", 0 },
	} {
		m := merge("f", "whole", "a")
		spoil(&m)
		want := store.ErrNoSuchPart
		if m.Change.Create {
			want = store.ErrResourceExists
		}
		if r, err := s.MergeResource(m); !errors.Is(err, want) {
			t.Errorf("%s: %+v, %v, want %v", what, r, err, want)
		}
	}
	wantResource(t, s, "f", "whole")
}

// What is not taken leaves no file: parts of bad names, replaced parts, merges that are not
// what they announce.
func TestContentsThatAreNotTakenLeaveNoFile(t *testing.T) {
	dir := t.TempDir()
	s := open(t, store.Options{Dir: dir, MaxResourceBytes: 6})
	if err := putPart(s, strings.Repeat("n", 10_000), "x"); !errors.Is(err, store.ErrInvalidResource) {
		t.Errorf("a part of a long name: %v, want ErrInvalidResource", err)
	}
	must(t, putPart(s, "a", "one"))
	must(t, putPart(s, "a", "two"))
	m := merge("f", "two", "a")
	m.MD5 = hexMD5("one")
	if _, err := s.MergeResource(m); !errors.Is(err, store.ErrBadContent) {
		t.Errorf("another sum: %v, want ErrBadContent", err)
	}
	eventually(t, "removal of all but the part", func() bool { return resourceFiles(t, dir) == 1 })
	if _, err := s.MergeResource(merge("f", "twotwo", "a", "a")); err != nil { // the limit itself
		t.Errorf("6 bytes: %v", err)
	}
	must(t, putPart(s, "b", "1234"))
	if _, err := s.MergeResource(merge("g", "12341234", "b", "b")); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("8 bytes: %v, want ErrTooLarge", err)
	}
	eventually(t, "removal of all but f and b", func() bool { return resourceFiles(t, dir) == 2 })
	sound(t, s, dir)
}

// Open removes the segments that nothing lists, closed sessions included, and no file that
// is not the store's.
func TestOpenRemovesOrphanedSegments(t *testing.T) {
	dir := t.TempDir()
	s := open(t, store.Options{Dir: dir})
	tab := create(t, s, "t", "id bigint", "")
	session := func(from int64) store.Upload {
		u, err := s.CreateUpload(store.UploadRequest{Key: tab.Key})
		must(t, err)
		must(t, s.PutBlock(u.ID, 0, 0, segment(t, s, tab, ids(from, 1))))
		return u
	}
	closed := session(1)
	closed, err := s.CommitUpload(closed.ID)
	must(t, err)
	must(t, s.Truncate(tab.Key))
	live := session(2)
	publish(t, s, tab, nil, store.PublishOptions{}, ids(3, 1))
	eventually(t, "removal of the truncated rows", func() bool { return segmentFiles(t, dir) == 2 })
	must(t, s.Close())
	left := closed.Blocks[0].Segment + ".seg" // as a crash before its removal leaves it
	for _, name := range []string{left, strings.Repeat("0", 32) + ".seg", "notes.txt", "seg"} {
		must(t, os.WriteFile(filepath.Join(dir, "segments", name), []byte("x"), 0o600))
	}
	s = open(t, store.Options{Dir: dir})
	for name, want := range map[string]bool{left: false, strings.Repeat("0", 32) + ".seg": false, "notes.txt": true, "seg": true} {
		if _, err := os.Stat(filepath.Join(dir, "segments", name)); (err == nil) != want {
			t.Errorf("%s is there after Open: %t, want %t", name, err == nil, want)
		}
	}
	if n := segmentFiles(t, dir); n != 2 {
		t.Errorf("%d segments after Open, want 2", n)
	}
	_, err = s.CommitUpload(live.ID)
	must(t, err)
	if got := snapshotIDs(t, s, tab.Key, nil); len(got) != 2 || got[0] != 3 || got[1] != 2 {
		t.Errorf("rows %v, want [3 2]", got)
	}
}

// Open says so if what a crash left cannot be removed.
func TestOpenTellsThatOrphansStay(t *testing.T) {
	dir := t.TempDir()
	must(t, open(t, store.Options{Dir: dir}).Close())
	must(t, os.WriteFile(filepath.Join(dir, "segments", strings.Repeat("0", 32)+".seg"), nil, 0o600))
	for failed, fine := range map[error]bool{syscall.EACCES: false, syscall.ENOENT: true} {
		s, err := store.Open(store.Options{Dir: dir, Folder: instead("segments", func(inner store.FS) store.FS { return &hookedFS{FS: inner, failed: failed} })})
		if fine != (err == nil) || !fine && !errors.Is(err, failed) {
			t.Errorf("Open where a removal says %v = %v", failed, err)
		}
		if err == nil {
			must(t, s.Close())
		}
	}
}

// The collector removes what it is given once, and what it cannot remove waits for the next
// Open.
func TestCollectorRemovesOnce(t *testing.T) {
	dir := t.TempDir()
	s, fs := openHooked(t, dir, "segments")
	tab := create(t, s, "t", "id bigint", "")
	for n := range 3 {
		publish(t, s, tab, nil, store.PublishOptions{Overwrite: true}, ids(int64(n), 1))
		eventually(t, "removal of what was replaced", func() bool { return segmentFiles(t, dir) == 1 })
	}
	must(t, s.Close())
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if len(fs.removed) != 2 {
		t.Errorf("removed %v, want two segments", fs.removed)
	}
	for name, n := range fs.removed {
		if n != 1 {
			t.Errorf("%s was removed %d times", name, n)
		}
	}
}
