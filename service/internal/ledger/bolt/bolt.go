// Package bolt keeps the ledger of package write in one bbolt file, for a single replica.
//
// All keys live in the bucket "ledger"; a value is the key's revision, 8 bytes big-endian, followed by the entry's
// bytes. Revisions come from the bucket's sequence, one per transaction, so they never repeat. The bucket "meta" holds
// the format's version under "version". docs/formats/ledger.md describes both.
//
// Commits of several goroutines share one fsync: who comes while one is being written waits in a queue, and the next
// writer takes the whole queue. Each transaction of a group is decided by itself, in order, and sees those before it.
//
// A write that fails has an unknown outcome on the disk. The process must not go on with it: Options.Fatal is called
// and must not return. The package knows nothing of runs and slices; it starts no goroutine.
package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/sluice-io/sluice/service/internal/write"
)

// formatVersion is the version of the file's layout and of the keys and records in it. Frozen as "1".
const formatVersion = "1"

var (
	bucketLedger = []byte("ledger")
	bucketMeta   = []byte("meta")
	keyVersion   = []byte("version")
)

// ErrLocked says that another process has the file open.
var ErrLocked = errors.New("the ledger file is in use by another process")

// Options tune a ledger. The zero value is right for production.
type Options struct {
	// Fatal is called when a write failed and its outcome on the disk is unknown. It must end the process; the default
	// writes the error to standard error and exits with status 1.
	Fatal func(error)
	// NoSync leaves out fsync: for tests only.
	NoSync bool
}

// Ledger is a write.Ledger in a file. It is safe for concurrent use.
type Ledger struct {
	db    *bbolt.DB
	fatal func(error)

	mu      sync.Mutex
	queue   []*pending // waiting for the next group; guarded by mu
	writing bool       // a goroutine is at work on groups; guarded by mu
}

// pending is a transaction that waits in the queue.
type pending struct {
	txn  write.Txn
	done chan error // capacity 1: the leader never waits for its followers
	lead chan struct{}
}

var _ write.Ledger = (*Ledger)(nil)

// Open opens or makes the file, with its directory. A file of another format version is refused.
func Open(path string, o Options) (*Ledger, error) {
	if o.Fatal == nil {
		o.Fatal = func(err error) {
			fmt.Fprintln(os.Stderr, "sluice: the ledger could not be written, the process must end:", err)
			os.Exit(1)
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make the ledger's directory: %w", err)
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second, NoSync: o.NoSync, FreelistType: bbolt.FreelistMapType})
	if errors.Is(err, bolterrors.ErrTimeout) {
		err = ErrLocked
	}
	if err != nil {
		return nil, fmt.Errorf("open ledger %s: %w", path, err)
	}
	if err := prepare(db); err != nil {
		return nil, errors.Join(fmt.Errorf("open ledger %s: %w", path, err), db.Close())
	}
	return &Ledger{db: db, fatal: o.Fatal}, nil
}

func prepare(db *bbolt.DB) error {
	return db.Update(func(tx *bbolt.Tx) error {
		meta, err := tx.CreateBucketIfNotExists(bucketMeta)
		if err != nil {
			return err
		}
		if have := meta.Get(keyVersion); have != nil && string(have) != formatVersion {
			return fmt.Errorf("the file has format version %q, this program knows %q", have, formatVersion)
		}
		if err := meta.Put(keyVersion, []byte(formatVersion)); err != nil {
			return err
		}
		_, err = tx.CreateBucketIfNotExists(bucketLedger)
		return err
	})
}

// Close waits for transactions under way and closes the file.
func (l *Ledger) Close() error {
	if err := l.db.Close(); err != nil {
		return fmt.Errorf("close the ledger: %w", err)
	}
	return nil
}

// Get reads keys in one snapshot.
func (l *Ledger) Get(ctx context.Context, keys ...write.Key) ([]write.Entry, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	entries := make([]write.Entry, len(keys))
	err := l.db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketLedger)
		for i, k := range keys {
			var err error
			if entries[i], err = entry(k, b.Get([]byte(k))); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the ledger: %w", err)
	}
	return entries, nil
}

// List reads entries in byte order of their keys.
func (l *Ledger) List(ctx context.Context, prefix, after write.Key, limit int) ([]write.Entry, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var entries []write.Entry
	err := l.db.View(func(tx *bbolt.Tx) error {
		c := tx.Bucket(bucketLedger).Cursor()
		from := []byte(max(prefix, after))
		k, v := c.Seek(from)
		if k != nil && after != "" && write.Key(k) == after {
			k, v = c.Next()
		}
		for ; k != nil && bytes.HasPrefix(k, []byte(prefix)) && (limit <= 0 || len(entries) < limit); k, v = c.Next() {
			e, err := entry(write.Key(k), v)
			if err != nil {
				return err
			}
			entries = append(entries, e)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the ledger: %w", err)
	}
	return entries, nil
}

// entry copies a stored value: bbolt's memory is valid only within the transaction.
func entry(k write.Key, stored []byte) (write.Entry, error) {
	if stored == nil {
		return write.Entry{Key: k}, nil
	}
	if len(stored) < 8 {
		return write.Entry{}, fmt.Errorf("entry %q has %d bytes, too few for its revision", k, len(stored))
	}
	return write.Entry{Key: k, Revision: revision(stored), Value: bytes.Clone(stored[8:])}, nil
}

func revision(stored []byte) write.Revision {
	if len(stored) < 8 {
		return 0
	}
	return write.Revision(binary.BigEndian.Uint64(stored))
}

// Commit carries out one transaction, together with those of others that wait. Once it is queued it is waited for,
// whatever becomes of ctx: nothing takes effect after Commit returned.
func (l *Ledger) Commit(ctx context.Context, txn write.Txn) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, put := range txn.Puts {
		if len(put.Key) == 0 || len(put.Key) > bbolt.MaxKeySize {
			return fmt.Errorf("write the ledger: a key of %d bytes, it must have 1 to %d", len(put.Key), bbolt.MaxKeySize)
		}
	}
	p := &pending{txn: txn, done: make(chan error, 1), lead: make(chan struct{}, 1)}
	l.mu.Lock()
	l.queue = append(l.queue, p)
	if !l.writing {
		l.writing = true
		p.lead <- struct{}{}
	}
	l.mu.Unlock()
	select {
	case err := <-p.done:
		return err
	case <-p.lead:
		l.writeGroup()
		return <-p.done
	}
}

// writeGroup writes all that waits, then makes the first of those who came meanwhile the next leader.
func (l *Ledger) writeGroup() {
	l.mu.Lock()
	group := l.queue
	l.queue = nil
	l.mu.Unlock()

	results := make([]error, len(group))
	err := l.db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketLedger)
		for i, p := range group {
			ok, err := apply(b, p.txn)
			if err != nil {
				return err
			}
			if !ok {
				results[i] = write.ErrConflict
			}
		}
		return nil
	})
	if err != nil {
		l.fatal(fmt.Errorf("write the ledger: %w", err))
		for i := range results { // only if Fatal returned, against its contract
			results[i] = fmt.Errorf("%w: %w", write.ErrUnknownOutcome, err)
		}
	}
	for i, p := range group {
		p.done <- results[i]
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) == 0 {
		l.writing = false
		return
	}
	l.queue[0].lead <- struct{}{}
}

// apply checks a transaction's comparisons and carries it out; false = one failed and nothing was changed.
func apply(b *bbolt.Bucket, txn write.Txn) (bool, error) {
	for _, c := range txn.Compares {
		if revision(b.Get([]byte(c.Key))) != c.Revision {
			return false, nil
		}
	}
	if len(txn.Puts)+len(txn.Deletes) == 0 {
		return true, nil
	}
	next, err := b.NextSequence()
	if err != nil {
		return false, err
	}
	for _, p := range txn.Puts {
		value := append(binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(p.Value)), next), p.Value...)
		if err := b.Put([]byte(p.Key), value); err != nil {
			return false, err
		}
	}
	for _, k := range txn.Deletes {
		if err := b.Delete([]byte(k)); err != nil {
			return false, err
		}
	}
	return true, nil
}
