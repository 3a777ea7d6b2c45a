package store_test

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-io/sluice/emulator/internal/store"
)

// cutFS is a folder that knows what a power cut would leave of it: of a file what was
// written before its last Sync, under a name that was there at the folder's last Sync.
type cutFS struct {
	store.FS
	mu      sync.Mutex
	written map[string]int64 // guarded by mu, as what follows
	synced  map[string]int64
	durable map[string]bool
}

type cutFile struct {
	store.File
	fs   *cutFS
	name string
}

func newCutFS(inner store.FS) *cutFS {
	return &cutFS{FS: inner, written: map[string]int64{}, synced: map[string]int64{}, durable: map[string]bool{}}
}

func (f *cutFS) Create(name string) (store.File, error) {
	file, err := f.FS.Create(name)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.written[name], f.synced[name] = 0, 0
	return cutFile{file, f, name}, err
}

func (f cutFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	f.fs.written[f.name] += int64(n)
	return n, err
}

func (f cutFile) Sync() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	f.fs.synced[f.name] = f.fs.written[f.name]
	return f.File.Sync()
}

func (f *cutFS) Sync() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.durable = map[string]bool{}
	for name := range f.written {
		f.durable[name] = true
	}
	return f.FS.Sync()
}

// remains copies what the cut leaves of dir to another folder.
func (f *cutFS) remains(t *testing.T, dir, to string) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	must(t, os.MkdirAll(to, 0o755))
	for _, name := range slices.Sorted(maps.Keys(f.durable)) {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if os.IsNotExist(err) {
			continue // removed since: the store says so after its catalogue does
		}
		must(t, err)
		must(t, os.WriteFile(filepath.Join(to, name), data[:f.synced[name]], 0o644))
	}
}

// What the store answered for is there after a power cut, whole: rows of every way in,
// blocks of open sessions, resources and their parts.
func TestPowerCutTakesNothingThatWasAnswered(t *testing.T) {
	dir := t.TempDir()
	folders := map[string]*cutFS{}
	s := open(t, store.Options{Dir: dir, Folder: func(dir string) (store.FS, error) {
		inner, err := store.DirFS(dir)
		fs := newCutFS(inner)
		folders[filepath.Base(dir)] = fs
		return fs, err
	}})
	if store.SkipsSync(s) {
		t.Error("the catalogue is not made durable")
	}
	tab := create(t, s, "t", "id bigint", "")
	u, err := s.CreateUpload(store.UploadRequest{Key: tab.Key, Overwrite: true})
	must(t, err)
	var rows []int64
	blocks, resources := 0, map[string]string{}
	steps := []struct {
		name string
		do   func() error
	}{
		{"publish", func() error {
			rows = span(0, 5000)
			return s.Publish(tab, []store.Publication{{Segments: []*store.Segment{segment(t, s, tab, ids(0, 5000))}}}, store.PublishOptions{})
		}},
		{"block", func() error {
			blocks++
			return s.PutBlock(u.ID, 0, 0, segment(t, s, tab, ids(7, 1)))
		}},
		{"commit", func() error {
			rows, blocks = span(7, 1), 0
			_, err := s.CommitUpload(u.ID)
			return err
		}},
		{"resource", func() error {
			resources["f"] = "first"
			return put(s, "f", "first")
		}},
		{"large resource", func() error {
			resources["f"] = strings.Repeat("large ", 100_000)
			return put(s, "f", resources["f"])
		}},
		{"part", func() error { return putPart(s, "a", "piece") }},
		{"merge", func() error {
			resources["m"] = "piece"
			_, err := s.MergeResource(store.Merge{
				Change: store.ResourceChange{Key: key("m"), Kind: store.FileResource, By: "me", Create: true}, Parts: []string{"a"}, MD5: hexMD5("piece"), Size: 5,
			})
			return err
		}},
	}
	for _, step := range steps {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		left := t.TempDir()
		catalogue, err := os.ReadFile(filepath.Join(dir, "catalogue.db")) // whole: bbolt syncs it with each transaction
		must(t, err)
		must(t, os.WriteFile(filepath.Join(left, "catalogue.db"), catalogue, 0o644))
		for _, name := range []string{"segments", "resources"} {
			folders[name].remains(t, filepath.Join(dir, name), filepath.Join(left, name))
		}
		report, err := store.Check(context.Background(), left, time.Second)
		if err != nil || !report.Sound() {
			t.Errorf("%s: check after the cut: %v, %v", step.name, report, err)
			continue
		}
		again := open(t, store.Options{Dir: left})
		if got := snapshotIDs(t, again, tab.Key, nil); !slices.Equal(got, rows) {
			t.Errorf("%s: %d rows after the cut, want %d", step.name, len(got), len(rows))
		}
		if got, err := again.Upload(u.ID); err != nil || blocks > 0 && len(got.Blocks) != blocks {
			t.Errorf("%s: blocks %v after the cut, %v, want %d", step.name, got.Blocks, err, blocks)
		}
		for name, want := range resources {
			wantResource(t, again, name, want)
		}
	}
}

// tellFS tells when its folder is made durable.
type tellFS struct {
	store.FS
	tell func()
}

func (f tellFS) Sync() error {
	f.tell()
	return f.FS.Sync()
}

// The names of all that a new store consists of are made durable once they are there.
func TestOpenMakesNamesDurable(t *testing.T) {
	base := t.TempDir()
	durable := map[string]bool{}
	folder := func(dir string) (store.FS, error) {
		inner, err := store.DirFS(dir)
		return tellFS{inner, func() {
			entries, err := os.ReadDir(dir)
			must(t, err)
			for _, e := range entries {
				durable[filepath.Join(dir, e.Name())] = true
			}
		}}, err
	}
	dir := filepath.Join(base, "a", "b")
	open(t, store.Options{Dir: dir, Folder: folder})
	for _, name := range []string{filepath.Dir(dir), dir, filepath.Join(dir, "catalogue.db"), filepath.Join(dir, "segments"), filepath.Join(dir, "resources")} {
		if !durable[name] {
			t.Errorf("%s can be lost in a power cut", strings.TrimPrefix(name, base))
		}
	}
}

// A folder whose names cannot be made durable is no place for a store.
func TestOpenRefusesFoldersThatCannotBeSynced(t *testing.T) {
	for _, at := range []string{".", "a", "a/b"} {
		base := t.TempDir()
		_, err := store.Open(store.Options{Dir: filepath.Join(base, "a", "b"), Folder: func(dir string) (store.FS, error) {
			inner, err := store.DirFS(dir)
			broken := &unsyncedFS{FS: inner}
			broken.fail.Store(dir == filepath.Join(base, at))
			return broken, err
		}})
		if !errors.Is(err, syscall.EIO) {
			t.Errorf("Open with a broken folder %s: %v, want EIO", at, err)
		}
	}
}
