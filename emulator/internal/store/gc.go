package store

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	bolt "go.etcd.io/bbolt"
)

const segmentSuffix = ".seg"

// trashed is a file to unlink.
type trashed struct {
	fs   FS
	name string
}

// discardSegments hands segments nothing refers to any more to the collector, or
// marks them for the last reader to do so. Empty ids are passed over.
func (s *Store) discardSegments(ids []string) {
	s.mu.Lock()
	for _, id := range ids {
		switch {
		case id == "":
		case s.pins[id] > 0:
			s.doomed[id] = true
		default:
			s.unmap(id)
			s.trash = append(s.trash, trashed{s.fs, id + segmentSuffix})
			delete(s.sound, id)
		}
	}
	work := len(s.trash) > 0
	s.mu.Unlock()
	if work {
		s.wakeCollector()
	}
}

func (s *Store) wakeCollector() {
	select {
	case s.gcWake <- struct{}{}:
	default:
	}
}

// collect unlinks trash until Close. A file that cannot be removed is an orphan of
// the next Open, which tries again and reports.
func (s *Store) collect() {
	defer close(s.gcDone)
	for range s.gcWake {
		s.mu.Lock()
		files, closed := s.trash, s.closed
		s.trash = nil
		s.mu.Unlock()
		for _, f := range files {
			_ = f.fs.Remove(f.name)
		}
		if closed {
			return
		}
	}
}

// removeOrphans unlinks files of segments that neither a table nor an open session
// lists, and of contents that no resource or part lists: what a crash or a failed
// unlink left.
func (s *Store) removeOrphans() error {
	segments, err := s.listed()
	if err != nil {
		return err
	}
	contents, err := s.listedContents()
	if err != nil {
		return err
	}
	return errors.Join(removeUnlisted(s.fs, segmentSuffix, segments), removeUnlisted(s.contents, contentSuffix, contents))
}

func removeUnlisted(fs FS, suffix string, live map[string]bool) error {
	names, err := fs.List()
	if err != nil {
		return fmt.Errorf("list data files: %w", err)
	}
	for _, name := range names {
		id, ours := strings.CutSuffix(name, suffix)
		if !ours || live[id] {
			continue
		}
		if err := fs.Remove(name); err != nil && !isNotExist(err) {
			return fmt.Errorf("remove orphaned file: %w", err)
		}
	}
	return nil
}

// discardFailed drops the segments that a failed transaction took over. What it
// lists after all, because err came too late to undo it, stays.
func (s *Store) discardFailed(err error, ids []string) {
	if errors.Is(err, ErrStorage) {
		live, listErr := s.listed()
		if listErr != nil {
			return // orphans of the next Open
		}
		ids = slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return live[id] })
	}
	s.discardSegments(ids)
}

// listed returns the segments that a table or an open session lists.
func (s *Store) listed() (map[string]bool, error) {
	live := map[string]bool{}
	err := s.db.View(func(tx *bolt.Tx) error {
		segs := tx.Bucket(bucketSegs)
		if err := segs.ForEach(func(k, _ []byte) error {
			var r segRecord
			_, err := getJSON(segs, k, &r)
			live[r.ID] = true
			return err
		}); err != nil {
			return err
		}
		uploads := tx.Bucket(bucketUploads)
		return uploads.ForEach(func(k, _ []byte) error {
			var u Upload
			if _, err := getJSON(uploads, k, &u); err != nil || u.Closed {
				return err // a closed session's segments belong to its table
			}
			blocks, err := listBlocks(tx, u.ID)
			for _, b := range blocks {
				live[b.Segment] = true
			}
			return err
		})
	})
	return live, err
}
