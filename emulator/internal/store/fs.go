package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// FS is a folder of data files, segments or contents of resources: the seam where tests put a full
// disk or a power cut. Names are plain file names. Safe for concurrent use.
type FS interface {
	// Create makes a new file; an existing name is an error.
	Create(name string) (File, error)
	// Map returns a file's bytes for reading, valid until release is called.
	Map(name string) (data []byte, release func() error, err error)
	// Open opens a file for reading; it stays readable when it is unlinked.
	Open(name string) (ReadFile, error)
	// Remove unlinks a file; mapped bytes stay readable.
	Remove(name string) error
	// List returns all file names.
	List() ([]string, error)
	// Sync makes creations and removals durable.
	Sync() error
}

// File is a data file being written, by one goroutine.
type File interface {
	io.Writer
	// StartWriteback asks the system to begin writing the range to disk, so that
	// Sync has less to wait for; a hint without a result.
	StartWriteback(offset, n int64)
	// Sync makes the content durable.
	Sync() error
	Close() error
}

// ReadFile is a file open for reading, safe for concurrent use.
type ReadFile interface {
	io.ReaderAt
	io.Closer
}

// smallFile is read into memory instead of mapped: maps are a limited resource
// (65,530 a process on Linux) and stream uploads leave many small files.
const smallFile = 256 << 10

// DirFS is a folder of the operating system, created if missing.
func DirFS(dir string) (FS, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("create folder of data files: %w", err)
	}
	return dirFS(dir), nil
}

type dirFS string

type osFile struct{ *os.File }

func (d dirFS) path(name string) string { return filepath.Join(string(d), name) }

func (d dirFS) Create(name string) (File, error) {
	f, err := os.OpenFile(d.path(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (d dirFS) Map(name string) (data []byte, release func() error, err error) {
	f, err := os.Open(d.path(name))
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if info.Size() <= smallFile {
		data = make([]byte, info.Size())
		_, err = io.ReadFull(f, data)
		return data, func() error { return nil }, err
	}
	return mapFile(f, info.Size())
}

func (d dirFS) Open(name string) (ReadFile, error) {
	f, err := os.Open(d.path(name))
	if err != nil {
		return nil, err // not a nil *os.File in an interface
	}
	return f, nil
}

func (d dirFS) Remove(name string) error { return os.Remove(d.path(name)) }

func (d dirFS) List() ([]string, error) {
	entries, err := os.ReadDir(string(d))
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, nil
}

func (d dirFS) Sync() error {
	f, err := os.Open(string(d))
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func isNotExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }
