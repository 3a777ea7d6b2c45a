package store_test

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-io/sluice/emulator/internal/store"
)

func key(name string) store.ResourceKey { return store.NewResourceKey("p", "", name) }

func hexMD5(text string) string {
	sum := md5.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}

// content stores text in pieces of n bytes.
func content(s *store.Store, text string, n int) (store.Content, error) {
	w := s.NewContent()
	for piece := range slices.Chunk([]byte(text), n) {
		if _, err := w.Write(piece); err != nil {
			w.Abort()
			return store.Content{}, err
		}
	}
	return w.Finish()
}

func put(s *store.Store, name, text string) error {
	c, err := content(s, text, 1000)
	if err != nil {
		return err
	}
	_, err = s.PutResource(store.ResourceChange{Key: key(name), Kind: store.FileResource, By: "me", Content: &c})
	return err
}

func putPart(s *store.Store, name, text string) error {
	c, err := content(s, text, 1000)
	if err != nil {
		return err
	}
	return s.PutPart(key(name), c)
}

func merge(name, text string, parts ...string) store.Merge {
	return store.Merge{
		Change: store.ResourceChange{Key: key(name), Kind: store.FileResource, By: "me"},
		Parts:  parts, MD5: hexMD5(text), Size: int64(len(text)),
	}
}

// get returns a resource's content, or its error.
func get(s *store.Store, name string) (string, error) {
	_, r, err := s.OpenResource(key(name))
	if err != nil {
		return "", err
	}
	var b strings.Builder
	err = r.WriteRange(&b, 0, r.Size)
	return b.String(), errors.Join(err, r.Close())
}

func wantResource(t *testing.T, s *store.Store, name, want string) {
	t.Helper()
	if got, err := get(s, name); err != nil || got != want {
		t.Errorf("%s holds %d bytes %.30q, %v, want %d bytes %.30q", name, len(got), got, err, len(want), want)
	}
}

func resourceFiles(t testing.TB, dir string) int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "resources", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var large = strings.Repeat("0123456789abcdef", 40_000) // three checksummed pieces

// Resources and parts outlive the process; parts uploaded before a restart are merged
// after it.
func TestResourcesSurviveReopen(t *testing.T) {
	dir := t.TempDir()
	s := open(t, store.Options{Dir: dir})
	must(t, put(s, "f", large))
	must(t, put(s, "empty", ""))
	must(t, putPart(s, "a", large))
	must(t, putPart(s, "b", "tail"))
	must(t, s.Close())
	s = open(t, store.Options{Dir: dir})
	wantResource(t, s, "f", large)
	wantResource(t, s, "empty", "")
	if _, err := s.MergeResource(merge("f", "tail"+large, "b", "a")); err != nil {
		t.Fatal(err)
	}
	must(t, s.Close())
	s = open(t, store.Options{Dir: dir})
	wantResource(t, s, "f", "tail"+large)
	if n := resourceFiles(t, dir); n != 1 {
		t.Errorf("%d files, want that of f alone", n)
	}
}

// Who has a content open reads it to the end, whatever happens to the resource.
func TestResourceReaderKeepsItsVersion(t *testing.T) {
	dir := t.TempDir()
	s := open(t, store.Options{Dir: dir})
	must(t, put(s, "f", large))
	_, first, err := s.OpenResource(key("f"))
	must(t, err)
	must(t, put(s, "f", "second"))
	_, second, err := s.OpenResource(key("f"))
	must(t, err)
	must(t, s.DeleteResource(key("f")))
	eventually(t, "removal of both files", func() bool { return resourceFiles(t, dir) == 0 })
	for _, r := range []struct {
		reader *store.ContentReader
		want   string
	}{{first, large}, {second, "second"}} {
		var b strings.Builder
		if err := r.reader.WriteRange(&b, 0, r.reader.Size); err != nil || b.String() != r.want {
			t.Errorf("read %d bytes, %v, want %d", b.Len(), err, len(r.want))
		}
		must(t, r.reader.Close())
	}
}

func TestPartsExpire(t *testing.T) {
	dir := t.TempDir()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s := open(t, store.Options{Dir: dir, Now: func() time.Time { return now }})
	must(t, putPart(s, "old", "old"))
	now = now.Add(23 * time.Hour)
	must(t, putPart(s, "young", "young"))
	if n, err := s.ExpireParts(); n != 0 || err != nil {
		t.Errorf("ExpireParts after 23 h = %d, %v, want none", n, err)
	}
	now = now.Add(time.Hour)
	if _, err := s.MergeResource(merge("f", "old", "old")); !errors.Is(err, store.ErrNoSuchPart) {
		t.Errorf("merge of an expired part = %v, want ErrNoSuchPart", err)
	}
	if n, err := s.ExpireParts(); n != 1 || err != nil {
		t.Errorf("ExpireParts after 24 h = %d, %v, want 1", n, err)
	}
	eventually(t, "removal of the old part", func() bool { return resourceFiles(t, dir) == 1 })
	if _, err := s.MergeResource(merge("f", "young", "young")); err != nil {
		t.Error(err)
	}
	must(t, putPart(s, "old", "old"))
	must(t, s.Close())
	now = now.Add(24 * time.Hour)
	s = open(t, store.Options{Dir: dir, Now: func() time.Time { return now }})
	if n, err := s.ExpireParts(); n != 0 || err != nil || resourceFiles(t, dir) != 1 {
		t.Errorf("after Open %d parts expire, %v, %d files, want 0 and 1", n, err, resourceFiles(t, dir))
	}
	wantResource(t, s, "f", "young")
}

// Whatever the disk does, a resource keeps its content until the new one is whole, and
// no file of a failed attempt stays.
func TestResourceOnAFailingDisk(t *testing.T) {
	dir := t.TempDir()
	fs := &faultyFS{}
	unsynced := &unsyncedFS{FS: fs}
	s := open(t, store.Options{Dir: dir, Folder: instead("resources", func(inner store.FS) store.FS { fs.FS = inner; return unsynced })})
	fs.room.Store(1 << 40)
	must(t, put(s, "f", "old"))
	must(t, putPart(s, "a", large))
	attempts := map[string]func() error{
		"put":   func() error { return put(s, "f", large) },
		"part":  func() error { return putPart(s, "a", large+"x") },
		"merge": func() error { _, err := s.MergeResource(merge("f", large+large, "a", "a")); return err },
	}
	check := func(what, name string, err error, cause error) {
		t.Helper()
		if !errors.Is(err, store.ErrStorage) || cause != nil && !errors.Is(err, cause) {
			t.Errorf("%s: %s = %v, want ErrStorage and %v", what, name, err, cause)
		}
		wantResource(t, s, "f", "old")
	}
	for name, attempt := range attempts {
		for _, room := range []int64{0, 1, 1000, int64(len(large) - 1)} {
			fs.room.Store(room)
			check("full disk", name, attempt(), syscall.ENOSPC)
		}
		fs.room.Store(1 << 40)
		fs.short.Store(true)
		check("short write", name, attempt(), nil)
		fs.short.Store(false)
		fs.sync.Store(true)
		check("failed fsync", name, attempt(), syscall.EIO)
		fs.sync.Store(false)
		unsynced.fail.Store(true)
		check("failed fsync of the folder", name, attempt(), nil)
		unsynced.fail.Store(false)
	}
	eventually(t, "removal of failed files", func() bool { return resourceFiles(t, dir) == 2 })
	for _, name := range []string{"merge", "part", "put"} {
		if err := attempts[name](); err != nil {
			t.Errorf("%s after the disk has healed: %v", name, err)
		}
	}
	wantResource(t, s, "f", large)
}

// A transaction that fails, with or without its effect, leaves the old or the new
// content whole, and the same call succeeds afterwards.
func TestResourceCommitFails(t *testing.T) {
	for _, tookEffect := range []bool{false, true} {
		calls := map[string]func(*store.Store) error{
			"put":    func(s *store.Store) error { return put(s, "f", large) },
			"merge":  func(s *store.Store) error { _, err := s.MergeResource(merge("f", large, "a")); return err },
			"delete": func(s *store.Store) error { return s.DeleteResource(key("f")) },
			"part":   func(s *store.Store) error { return putPart(s, "a", "new part") },
		}
		for name, call := range calls {
			dir := t.TempDir()
			s := open(t, store.Options{Dir: dir})
			must(t, put(s, "f", "old"))
			must(t, putPart(s, "a", large))
			store.FailCommits(s, tookEffect)
			if err := call(s); !errors.Is(err, store.ErrStorage) {
				t.Errorf("%s, effect %v = %v, want ErrStorage", name, tookEffect, err)
			}
			store.HealCommits(s)
			got, err := get(s, "f")
			want := "old"
			if tookEffect && (name == "put" || name == "merge") {
				want = large
			}
			if tookEffect && name == "delete" {
				if !errors.Is(err, store.ErrNoSuchResource) {
					t.Errorf("after a deletion that took effect: %v", err)
				}
			} else if err != nil || got != want {
				t.Errorf("%s, effect %v: f holds %.20q, %v", name, tookEffect, got, err)
			}
			if err := call(s); err != nil && (name != "delete" || !tookEffect) {
				t.Errorf("%s, effect %v, repeated: %v", name, tookEffect, err)
			}
			must(t, s.Close())
			open(t, store.Options{Dir: dir})
			live := map[string]int{"put": 2, "merge": 1, "delete": 1, "part": 2}[name]
			if n := resourceFiles(t, dir); n != live {
				t.Errorf("%s, effect %v: %d files after Open, want %d", name, tookEffect, n, live)
			}
		}
	}
}

// Bytes that changed on the disk are never sent.
func TestDamagedResourceIsNotRead(t *testing.T) {
	dir := t.TempDir()
	s := open(t, store.Options{Dir: dir})
	must(t, put(s, "f", large))
	must(t, putPart(s, "a", large))
	files, err := filepath.Glob(filepath.Join(dir, "resources", "*.bin"))
	must(t, err)
	for _, file := range files {
		data, err := os.ReadFile(file)
		must(t, err)
		data[len(data)/2] ^= 1
		must(t, os.WriteFile(file, data, 0o644)) //nolint:gosec // a file of a test
	}
	got, err := get(s, "f")
	if !errors.Is(err, store.ErrStorage) || !strings.HasPrefix(large, got) {
		t.Errorf("read of a damaged resource = %d bytes, %v, want ErrStorage after sound bytes only", len(got), err)
	}
	if _, err := s.MergeResource(merge("f", large, "a")); !errors.Is(err, store.ErrStorage) {
		t.Errorf("merge of a damaged part = %v, want ErrStorage", err)
	}
	must(t, os.Truncate(files[0], 10))
	must(t, os.Truncate(files[1], 10))
	if _, err := get(s, "f"); !errors.Is(err, store.ErrStorage) {
		t.Errorf("read of a cut resource = %v, want ErrStorage", err)
	}
}

func TestResourceLimit(t *testing.T) {
	dir := t.TempDir()
	s := open(t, store.Options{Dir: dir, MaxResourceBytes: 1000})
	full := strings.Repeat("x", 1000)
	must(t, put(s, "f", full))
	if err := put(s, "f", full+"x"); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("put of 1,001 bytes = %v, want ErrTooLarge", err)
	}
	if err := putPart(s, "a", full+"x"); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("part of 1,001 bytes = %v, want ErrTooLarge", err)
	}
	must(t, putPart(s, "a", full))
	must(t, putPart(s, "b", "x"))
	if _, err := s.MergeResource(merge("f", full+"x", "a", "b")); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("merge of 1,001 bytes = %v, want ErrTooLarge", err)
	}
	wantResource(t, s, "f", full)
	eventually(t, "removal of what was too large", func() bool { return resourceFiles(t, dir) == 3 })
}

// Memory does not grow with the content: nothing gathers it.
func TestResourceMemoryIsBounded(t *testing.T) {
	s := open(t, store.Options{Dir: t.TempDir()})
	chunk := bytes.Repeat([]byte("0123456789abcdef"), 4096) // 64 KiB
	const chunks = 512                                      // 32 MiB
	digest := md5.New()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	w := s.NewContent()
	for range chunks {
		_, err := w.Write(chunk)
		must(t, err)
		digest.Write(chunk)
	}
	c, err := w.Finish()
	must(t, err)
	must(t, s.PutPart(key("a"), c))
	m := merge("f", "", "a")
	m.MD5, m.Size = hex.EncodeToString(digest.Sum(nil)), chunks*int64(len(chunk))
	_, err = s.MergeResource(m)
	must(t, err)
	_, r, err := s.OpenResource(key("f"))
	must(t, err)
	must(t, r.WriteRange(discard{}, 0, r.Size))
	must(t, r.Close())
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 4<<20 {
		t.Errorf("32 MiB written, merged and read allocated %d bytes in all, want below 4 MiB", got)
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// What a crash leaves in the folder is gone after Open; what is listed stays.
func TestOpenRemovesOrphanedContents(t *testing.T) {
	dir := t.TempDir()
	s := open(t, store.Options{Dir: dir})
	must(t, put(s, "f", "f"))
	must(t, putPart(s, "a", "a"))
	must(t, s.Close())
	must(t, os.WriteFile(filepath.Join(dir, "resources", strings.Repeat("0", 32)+".bin"), []byte("left"), 0o600))
	s = open(t, store.Options{Dir: dir})
	if n := resourceFiles(t, dir); n != 2 {
		t.Errorf("%d files after Open, want 2", n)
	}
	wantResource(t, s, "f", "f")
	if _, err := s.MergeResource(merge("f", "a", "a")); err != nil {
		t.Error(err)
	}
}

// A merge is what it announces, in length and in sum, or changes nothing.
func TestMergeIsWhatItAnnounces(t *testing.T) {
	s := open(t, store.Options{})
	must(t, put(s, "f", "old"))
	must(t, putPart(s, "a", "one"))
	for what, spoil := range map[string]func(*store.Merge){
		"a byte less": func(m *store.Merge) { m.Size-- }, "a byte more": func(m *store.Merge) { m.Size++ }, "another sum": func(m *store.Merge) { m.MD5 = hexMD5("two") },
	} {
		m := merge("f", "one", "a")
		spoil(&m)
		if _, err := s.MergeResource(m); !errors.Is(err, store.ErrBadContent) {
			t.Errorf("%s: %v, want ErrBadContent", what, err)
		}
		wantResource(t, s, "f", "old")
	}
	if _, err := s.MergeResource(merge("f", "one", "a")); err != nil { // the part is still there
		t.Errorf("as announced: %v", err)
	}
	wantResource(t, s, "f", "one")
}
