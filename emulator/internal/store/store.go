package store

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// formatVersion of the catalogue file; docs/formats/store.md. Frozen per version.
const formatVersion = "2"

// upgrades bring a catalogue from a version to the next one, each in the
// transaction of Open that finds it. Version 2 only added buckets, which prepare
// makes anyway.
var upgrades = map[string]func(*bolt.Tx) (next string, err error){
	"1": func(*bolt.Tx) (string, error) { return "2", nil },
}

var (
	bucketMeta    = []byte("meta")
	bucketTables  = []byte("tables")  // project 0 schema 0 name → Table
	bucketParts   = []byte("parts")   // table id 0 value 0 value … → partRecord
	bucketSegs    = []byte("segs")    // part id, sequence → segRecord
	bucketUploads = []byte("uploads") // upload id → Upload
	bucketBlocks  = []byte("blocks")  // upload id 0 block id → blockRecord
	// Since version 2.
	bucketResources     = []byte("resources")      // project 0 schema 0 name → Resource
	bucketResourceParts = []byte("resource_parts") // project 0 schema 0 name → resourcePart
	bucketProjects      = []byte("projects")       // project → Project
	bucketSchemas       = []byte("schemas")        // project 0 schema → Schema
	bucketFunctions     = []byte("functions")      // project 0 schema 0 name → Function
)

// keyDiscard in bucket meta marks a folder whose counters are no measure of its rows.
var keyDiscard = []byte("discard")

// buckets are all of the catalogue's; prepare makes what is missing.
var buckets = [][]byte{
	bucketMeta, bucketTables, bucketParts, bucketSegs, bucketUploads, bucketBlocks, bucketResources, bucketResourceParts,
	bucketProjects, bucketSchemas, bucketFunctions,
}

// DefaultUploadTTL is the life of upload sessions (the service's 24 h).
const DefaultUploadTTL = 24 * time.Hour

// Options configure Open. The zero value of every field but Dir is usable.
type Options struct {
	// Dir holds the catalogue file and the segment folder; created if missing. One
	// process at a time (the catalogue is locked; Open waits LockTimeout).
	Dir string
	// Discard keeps no rows: segments are verified and counted as they come, then
	// forgotten, and nothing is fsynced. For benchmarks of what feeds the store.
	Discard bool
	// Projects that things may be put into; empty: any.
	Projects []string
	// Schemas says that a schema must be created before anything is put into it;
	// otherwise it comes to be with its first object.
	Schemas bool
	// Folder opens Dir, the folders in it and those that Dir lies in, for tests; nil = DirFS.
	Folder func(dir string) (FS, error)
	// MaxResourceBytes bounds one resource; 0 = the constant of that name.
	MaxResourceBytes int64
	// Now is the clock; nil = time.Now.
	Now func() time.Time
	// UploadTTL is the life of an upload session and of a resource's part; 0 =
	// DefaultUploadTTL.
	UploadTTL time.Duration
	// MaxPartitions and MaxPartitionLevels bound a table; 0 = no bound.
	MaxPartitions, MaxPartitionLevels int
	// LockTimeout bounds the wait for another process's lock; 0 = 5 s.
	LockTimeout time.Duration
}

// Store is the tables of one endpoint. Create with Open, end with Close.
type Store struct {
	opt      Options
	db       *bolt.DB
	fs       FS // of segments
	contents FS // of resources and parts
	// commit runs a transaction: db.Update, but in tests of what a failing disk does.
	commit func(func(*bolt.Tx) error) error

	// mu guards the fields below. Never held over file or catalogue I/O, save the
	// read transaction of Snapshot and the mapping of a segment.
	mu     sync.Mutex
	pins   map[string]int      // segments in use by snapshots
	doomed map[string]bool     // unreferenced, still pinned
	open   map[string]*mapping // mapped segments, each pinned or idle
	idle   []string            // mapped and not pinned, the longest waiting first; may hold some that are pinned again
	sound  map[string]bool     // segments whose checksums were seen to hold
	trash  []trashed           // to unlink
	closed bool

	gcWake chan struct{} // capacity 1: a pending wake-up is enough
	gcDone chan struct{}
}

// Open opens or creates the store in opt.Dir, removes files that nothing
// refers to (what a crash left), expired sessions and parts, and starts the collector.
// An unknown format version is an error, and so is a damaged catalogue, or none beside data
// files; ErrHeld, if another process has the folder.
func Open(opt Options) (*Store, error) {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.UploadTTL == 0 {
		opt.UploadTTL = DefaultUploadTTL
	}
	if opt.MaxResourceBytes == 0 {
		opt.MaxResourceBytes = MaxResourceBytes
	}
	if opt.LockTimeout == 0 {
		opt.LockTimeout = 5 * time.Second
	}
	if opt.Folder == nil {
		opt.Folder = DirFS
	}
	if err := createFolder(opt.Dir, opt.Folder); err != nil {
		return nil, fmt.Errorf("create store folder: %w", err)
	}
	segments, err := opt.Folder(filepath.Join(opt.Dir, "segments"))
	if err != nil {
		return nil, err
	}
	contents, err := opt.Folder(filepath.Join(opt.Dir, "resources"))
	if err != nil {
		return nil, err
	}
	if err := inspect(opt, segments, contents); err != nil {
		return nil, err
	}
	db, err := bolt.Open(filepath.Join(opt.Dir, catalogueFile), 0o644, &bolt.Options{
		Timeout: opt.LockTimeout, NoSync: opt.Discard, NoFreelistSync: true, FreelistType: bolt.FreelistMapType,
	})
	if err != nil {
		return nil, openError(opt.Dir, err)
	}
	s := &Store{
		opt: opt, db: db, fs: segments, contents: contents, commit: db.Update,
		pins: map[string]int{}, doomed: map[string]bool{}, open: map[string]*mapping{}, sound: map[string]bool{},
		gcWake: make(chan struct{}, 1), gcDone: make(chan struct{}),
	}
	if err := s.prepare(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if err := syncFolder(opt.Dir, opt.Folder); err != nil { // bbolt does not make the new file's name durable
		return nil, errors.Join(fmt.Errorf("sync store folder: %w", err), db.Close())
	}
	go s.collect()
	return s, nil
}

// createFolder makes a folder that is missing, and what it lies in, names and all durable.
func createFolder(dir string, folder func(string) (FS, error)) error {
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	parent := filepath.Dir(dir)
	if err := createFolder(parent, folder); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return syncFolder(parent, folder)
}

func syncFolder(dir string, folder func(string) (FS, error)) error {
	fs, err := folder(dir)
	if err != nil {
		return err
	}
	return fs.Sync()
}

func openError(dir string, err error) error {
	if errors.Is(err, berrors.ErrTimeout) {
		return fmt.Errorf("%s: %w%s", dir, ErrHeld, heldBy(filepath.Join(dir, catalogueFile)))
	}
	if _, ok := errors.AsType[*os.PathError](err); !ok { // bbolt has read what is no catalogue
		return fmt.Errorf("open catalogue in %s: %w: %s", dir, err, fromACopy)
	}
	return fmt.Errorf("open catalogue in %s: %w", dir, err)
}

// upgrade brings an older catalogue to formatVersion, marks a new one with it and
// refuses every other.
func upgrade(tx *bolt.Tx) error {
	meta, err := tx.CreateBucketIfNotExists(bucketMeta)
	if err != nil {
		return err
	}
	version := formatVersion
	if v := meta.Get([]byte("version")); v != nil {
		version = string(v)
	}
	for version != formatVersion {
		step, ok := upgrades[version]
		if !ok {
			return fmt.Errorf("format version %q, this program knows up to %q", version, formatVersion)
		}
		if version, err = step(tx); err != nil {
			return fmt.Errorf("upgrade to format version %q: %w", version, err)
		}
	}
	return meta.Put([]byte("version"), []byte(version))
}

// prepare creates the buckets, checks the version, drops expired sessions and
// removes orphaned files.
func (s *Store) prepare() error {
	err := s.db.Update(func(tx *bolt.Tx) error {
		if err := upgrade(tx); err != nil {
			return err
		}
		for _, b := range buckets {
			if _, err := tx.CreateBucketIfNotExists(b); err != nil {
				return err
			}
		}
		if s.opt.Discard {
			if err := tx.Bucket(bucketMeta).Put(keyDiscard, []byte("true")); err != nil {
				return err
			}
		}
		return s.keepBirth(tx)
	})
	if err != nil {
		return fmt.Errorf("prepare catalogue: %w", err)
	}
	if _, err := s.ExpireUploads(); err != nil {
		return err
	}
	if _, err := s.ExpireParts(); err != nil {
		return err
	}
	return s.removeOrphans()
}

// Close ends the collector and closes the files. Snapshots must be released
// before; mappings still pinned are left to the process's end, so that a late
// reader cannot crash it.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	for _, id := range slices.Clone(s.idle) {
		if s.pins[id] == 0 {
			s.unmap(id)
		}
	}
	s.mu.Unlock()
	s.wakeCollector()
	<-s.gcDone
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("close catalogue: %w", err)
	}
	return nil
}

// Discards reports whether the store keeps nothing.
func (s *Store) Discards() bool { return s.opt.Discard }

func (s *Store) now() time.Time { return s.opt.Now().UTC() }

// update runs one durable catalogue transaction. Failures of bbolt itself come
// back as ErrStorage; fn's own errors as they are. After ErrStorage the transaction
// may have taken effect all the same: its last fsync may be what failed.
func (s *Store) update(fn func(tx *bolt.Tx) error) error {
	var inner error
	err := s.commit(func(tx *bolt.Tx) error {
		inner = fn(tx)
		return inner
	})
	if err != nil && inner == nil {
		return fmt.Errorf("commit catalogue: %w: %w", ErrStorage, err)
	}
	return err
}

func putJSON(b *bolt.Bucket, key []byte, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode catalogue entry: %w", err)
	}
	return b.Put(key, data)
}

// getJSON reports false when the key is absent.
func getJSON(b *bolt.Bucket, key []byte, v any) (bool, error) {
	data := b.Get(key)
	if data == nil {
		return false, nil
	}
	if err := json.Unmarshal(data, v); err != nil {
		return true, fmt.Errorf("decode catalogue entry %q: %w", key, err)
	}
	return true, nil
}

func key64(parts ...uint64) []byte {
	k := make([]byte, 0, 8*len(parts))
	for _, p := range parts {
		k = binary.BigEndian.AppendUint64(k, p)
	}
	return k
}
