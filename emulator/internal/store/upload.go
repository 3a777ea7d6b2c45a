package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	bolt "go.etcd.io/bbolt"

	"github.com/sluice-io/sluice/emulator/internal/types"
)

// MaxBlockID is the largest block number of an upload session (protocol section 10).
const MaxBlockID = 19999

// SessionKind tells batch uploads from stream uploads.
type SessionKind string

// The kinds of session.
const (
	BatchUpload  SessionKind = "batch"
	StreamUpload SessionKind = "stream"
)

// Upload is a durable upload session.
//
//	open ──PutBlock*──▶ open ──CommitUpload──▶ closed        either: expires after UploadTTL
type Upload struct {
	ID   string
	Kind SessionKind
	// Table as it was when the session was created: rows are read in its columns.
	Table Table
	Spec  types.PartitionSpec
	// Overwrite replaces the content at commit, fixed at creation.
	Overwrite bool
	// Slots of a stream upload.
	Slots int `json:",omitempty"`
	// Dynamic stream uploads carry the partition columns in their rows; Spec is empty.
	Dynamic bool `json:",omitempty"`
	// Closed after the commit.
	Closed           bool
	Created, Expires time.Time
	// Blocks in order of ID; filled by Upload, CommitUpload.
	Blocks []Block `json:"-"`
}

// Block is one uploaded piece of a session.
type Block struct {
	ID int
	// Version orders attempts of a block: the higher replaces the lower.
	Version     int64
	Rows, Bytes int64
	Created     time.Time
	// Segment is the file that holds it, empty for a block without rows.
	Segment string
}

// UploadRequest describes a session to create.
type UploadRequest struct {
	Kind      SessionKind // empty = BatchUpload
	Key       Key
	Spec      types.PartitionSpec
	Overwrite bool
	// CreatePartition adds a missing partition at once.
	CreatePartition bool
	// Slots and Dynamic are the session's; Dynamic needs a partitioned table.
	Slots   int
	Dynamic bool
	// SchemaVersion, if not nil, is the version whose columns the rows have.
	SchemaVersion *int
}

// CreateUpload starts a session: ErrNoSuchTable, ErrInvalidPartition,
// ErrNoSuchPartition, ErrOverwriteForbidden, ErrNoSuchSchemaVersion.
func (s *Store) CreateUpload(r UploadRequest) (u Upload, err error) {
	now := s.now()
	u = Upload{ID: now.Format("20060102150405") + newID(), Kind: r.Kind, Overwrite: r.Overwrite, Slots: r.Slots, Dynamic: r.Dynamic, Created: now, Expires: now.Add(s.opt.UploadTTL)}
	if u.Kind == "" {
		u.Kind = BatchUpload
	}
	err = s.update(func(tx *bolt.Tx) error {
		t, err := s.target(tx, r)
		if err != nil {
			return err
		}
		if t.Auto != nil {
			return fmt.Errorf("%s makes its partitions from column %s by itself, fill it by INSERT: %w", t.Key, t.Auto.Column, ErrKind)
		}
		if r.Overwrite && t.Transactional {
			return fmt.Errorf("table %s: %w", t.Key, ErrOverwriteForbidden)
		}
		if r.SchemaVersion != nil {
			if t, err = t.At(*r.SchemaVersion); err != nil {
				return err
			}
		}
		u.Table = t
		if u.Spec, err = t.Spec(r.Spec, r.Dynamic); err != nil {
			return err
		}
		return putJSON(tx.Bucket(bucketUploads), []byte(u.ID), u)
	})
	if err != nil {
		return Upload{}, err
	}
	return u, nil
}

// target finds the table of a new session, and makes its partition if need be.
func (s *Store) target(tx *bolt.Tx, r UploadRequest) (Table, error) {
	if r.Dynamic {
		t, err := getTable(tx, r.Key)
		if err == nil && (!t.Partitioned() || len(r.Spec) > 0) {
			err = fmt.Errorf("table %s: rows that name their partition need a partitioned table and no partition besides: %w", t.Key, ErrInvalidPartition)
		}
		return t, err
	}
	t, _, err := locate(tx, r.Key, r.Spec)
	if errors.Is(err, ErrNoSuchPartition) && r.CreatePartition {
		spec, specErr := t.Spec(r.Spec, false)
		if specErr != nil {
			return t, specErr
		}
		err = s.newPart(tx, &t, spec)
	}
	return t, err
}

// Upload returns a live session with its blocks, or ErrNoSuchUpload.
func (s *Store) Upload(id string) (u Upload, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		u, err = s.getUpload(tx, id)
		if err != nil {
			return err
		}
		u.Blocks, err = listBlocks(tx, id)
		return err
	})
	return u, err
}

// Session returns a live session without its blocks: what a block needs to know,
// at a cost that does not grow with their number.
func (s *Store) Session(id string) (u Upload, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		u, err = s.getUpload(tx, id)
		return err
	})
	return u, err
}

func (s *Store) getUpload(tx *bolt.Tx, id string) (Upload, error) {
	var u Upload
	ok, err := getJSON(tx.Bucket(bucketUploads), []byte(id), &u)
	if err != nil {
		return u, err
	}
	if !ok || !s.now().Before(u.Expires) {
		return u, fmt.Errorf("upload session %s: %w", id, ErrNoSuchUpload)
	}
	return u, nil
}

func blockKey(id string, block int) []byte {
	return binary.BigEndian.AppendUint32(append([]byte(id), 0), uint32(block))
}

func listBlocks(tx *bolt.Tx, id string) (blocks []Block, err error) {
	prefix := append([]byte(id), 0)
	b := tx.Bucket(bucketBlocks)
	c := b.Cursor()
	for k, _ := c.Seek(prefix); k != nil && bytes.HasPrefix(k, prefix); k, _ = c.Next() {
		var blk Block
		if _, err := getJSON(b, k, &blk); err != nil {
			return nil, err
		}
		blocks = append(blocks, blk)
	}
	return blocks, nil
}

// PutBlock makes seg the content of a block and takes it over in every case. A
// block that is there with a higher version stays (no error); otherwise the call
// that finishes last wins. A closed session is ErrUploadState.
func (s *Store) PutBlock(id string, block int, version int64, seg *Segment) error {
	replaced := seg.id
	err := s.update(func(tx *bolt.Tx) error {
		u, err := s.getUpload(tx, id)
		if err != nil {
			return err
		}
		if u.Closed || block < 0 || block > MaxBlockID {
			return fmt.Errorf("block %d of upload session %s: %w", block, id, ErrUploadState)
		}
		var old Block
		b := tx.Bucket(bucketBlocks)
		if ok, err := getJSON(b, blockKey(id, block), &old); err != nil {
			return err
		} else if ok && old.Version > version {
			return nil
		}
		replaced = old.Segment
		return putJSON(b, blockKey(id, block), Block{ID: block, Version: version, Rows: seg.Rows, Bytes: seg.Bytes, Created: s.now(), Segment: seg.id})
	})
	if err != nil {
		s.discardFailed(err, []string{seg.id})
		return err
	}
	s.discardSegments([]string{replaced})
	return nil
}

// CommitUpload publishes every block of a session in order of block ID, in one
// transaction, and closes it. Committing a closed session changes nothing and
// succeeds. A table or partition dropped meanwhile is ErrNoSuchTable or
// ErrNoSuchPartition.
func (s *Store) CommitUpload(id string) (u Upload, err error) {
	var gone []string
	err = s.update(func(tx *bolt.Tx) error {
		if u, err = s.getUpload(tx, id); err != nil {
			return err
		}
		if u.Blocks, err = listBlocks(tx, id); err != nil || u.Closed {
			return err
		}
		t, p, err := locate(tx, u.Table.Key, u.Spec)
		if err != nil {
			return err
		}
		if t.ID != u.Table.ID {
			return fmt.Errorf("%s was dropped and created again: %w", t.Key, ErrNoSuchTable)
		}
		segs := make([]segRecord, 0, len(u.Blocks))
		for _, b := range u.Blocks {
			segs = append(segs, segRecord{ID: b.Segment, SchemaVersion: u.Table.SchemaVersion, Rows: b.Rows, Bytes: b.Bytes})
		}
		if gone, err = s.publish(tx, &t, &p, segs, u.Overwrite); err != nil {
			return err
		}
		u.Closed = true
		return putJSON(tx.Bucket(bucketUploads), []byte(id), u)
	})
	if err == nil {
		s.discardSegments(gone)
	}
	return u, err
}

// ExpireUploads drops sessions past their life, with the segments of those never
// committed, and returns how many. Open does it; long-lived servers call it now
// and then.
func (s *Store) ExpireUploads() (n int, err error) {
	var gone []string
	now := s.now()
	err = s.update(func(tx *bolt.Tx) error {
		var old []Upload
		b := tx.Bucket(bucketUploads)
		err := b.ForEach(func(k, _ []byte) error {
			var u Upload
			if _, err := getJSON(b, k, &u); err != nil {
				return err
			}
			if !now.Before(u.Expires) {
				old = append(old, u)
			}
			return nil
		})
		for _, u := range old {
			ids, dropErr := dropUpload(tx, u)
			if err = errors.Join(err, dropErr); err != nil {
				return err
			}
			gone = append(gone, ids...)
		}
		n = len(old)
		return err
	})
	if err == nil {
		s.discardSegments(gone)
	}
	return n, err
}

// ExpireUpload ends one session as its age would; none of that id is no error.
func (s *Store) ExpireUpload(id string) error {
	var gone []string
	err := s.update(func(tx *bolt.Tx) error {
		u, err := s.getUpload(tx, id)
		if errors.Is(err, ErrNoSuchUpload) {
			return nil
		}
		if err == nil {
			gone, err = dropUpload(tx, u)
		}
		return err
	})
	if err == nil {
		s.discardSegments(gone)
	}
	return err
}

// dropUpload returns the segments that nothing lists any more, "" among them for blocks
// without rows.
func dropUpload(tx *bolt.Tx, u Upload) (gone []string, err error) {
	blocks, err := listBlocks(tx, u.ID)
	if err != nil {
		return nil, err
	}
	for _, b := range blocks {
		if err := tx.Bucket(bucketBlocks).Delete(blockKey(u.ID, b.ID)); err != nil {
			return nil, err
		}
		if !u.Closed {
			gone = append(gone, b.Segment)
		}
	}
	return gone, tx.Bucket(bucketUploads).Delete([]byte(u.ID))
}

func newID() string {
	id := uuid.New()
	return fmt.Sprintf("%x", id[:])
}
