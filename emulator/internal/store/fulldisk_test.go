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

// faultyFS fails writes, and others, on demand.
type faultyFS struct {
	store.FS
	room  atomic.Int64 // bytes that still fit
	short atomic.Bool  // write less than asked, without an error
	sync  atomic.Bool  // fsync fails
}

type faultyFile struct {
	store.File
	fs *faultyFS
}

func (f *faultyFS) Create(name string) (store.File, error) {
	if f.room.Load() <= 0 {
		return nil, &os.PathError{Op: "open", Path: name, Err: syscall.ENOSPC}
	}
	file, err := f.FS.Create(name)
	return faultyFile{file, f}, err
}

func (f faultyFile) Write(p []byte) (int, error) {
	if f.fs.short.Load() && len(p) > 1 {
		return f.File.Write(p[:len(p)/2])
	}
	if room := f.fs.room.Add(-int64(len(p))); room < 0 {
		n, _ := f.File.Write(p[:max(0, int64(len(p))+room)])
		return n, syscall.ENOSPC
	}
	return f.File.Write(p)
}

func (f faultyFile) Sync() error {
	if f.fs.sync.Load() {
		return syscall.EIO
	}
	return f.File.Sync()
}

// A full disk fails the block and nothing else: the store goes on, no file is left
// and the next block with room succeeds.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	fs := &faultyFS{}
	s := open(t, store.Options{Dir: dir, Folder: instead("segments", func(inner store.FS) store.FS { fs.FS = inner; return fs })})
	tab := create(t, s, "t", "id bigint", "")
	write := func(from, n int64) (*store.Segment, error) {
		w := s.NewSegment(tab)
		rec := ids(from, n)
		defer rec.Release()
		if err := w.WriteBatch(rec); err != nil {
			w.Abort()
			return nil, err
		}
		return w.Finish()
	}
	u, err := s.CreateUpload(store.UploadRequest{Key: tab.Key})
	if err != nil {
		t.Fatal(err)
	}
	fs.room.Store(1 << 40)
	seg, err := write(0, 3)
	if err != nil || s.PutBlock(u.ID, 0, 0, seg) != nil {
		t.Fatal(err)
	}
	for _, room := range []int64{0, 10, 64, 100, 300, 8000, 8300} {
		fs.room.Store(room)
		if _, err := write(10, 1000); !errors.Is(err, store.ErrStorage) || !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%d bytes of room: %v, want ErrStorage and ENOSPC", room, err)
		}
	}
	fs.room.Store(1 << 40)
	fs.short.Store(true)
	if _, err := write(10, 1000); !errors.Is(err, store.ErrStorage) {
		t.Errorf("short write: %v, want ErrStorage", err)
	}
	fs.short.Store(false)
	fs.sync.Store(true)
	if _, err := write(10, 1000); !errors.Is(err, store.ErrStorage) || !errors.Is(err, syscall.EIO) {
		t.Errorf("failed fsync: %v, want ErrStorage", err)
	}
	fs.sync.Store(false)
	eventually(t, "removal of failed segments", func() bool { return segmentFiles(t, dir) == 1 })
	if seg, err = write(3, 2); err != nil || s.PutBlock(u.ID, 1, 0, seg) != nil {
		t.Fatalf("after the disk has room again: %v", err)
	}
	if _, err := s.CommitUpload(u.ID); err != nil {
		t.Fatal(err)
	}
	if got := snapshotIDs(t, s, tab.Key, nil); !slices.Equal(got, span(0, 5)) {
		t.Errorf("rows %v", got)
	}
}
