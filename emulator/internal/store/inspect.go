package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	bolt "go.etcd.io/bbolt"
)

// inspect looks at a folder before anything is written to it. It refuses two things: a
// catalogue whose pages do not hang together, because bbolt ends the process over them, and
// data files beside a catalogue that is missing or empty, because a new catalogue lists
// none and they would be removed as nobody's.
func inspect(opt Options, segments, contents FS) error {
	fresh := true
	path := filepath.Join(opt.Dir, catalogueFile)
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("look at the catalogue: %w", err)
	case info.Size() > 0:
		if fresh, err = inspectCatalogue(opt, path); err != nil {
			return err
		}
	}
	if !fresh {
		return nil
	}
	for _, of := range []struct {
		files        FS
		name, suffix string
	}{{segments, "segments", segmentSuffix}, {contents, "resources", contentSuffix}} {
		names, err := of.files.List()
		if err != nil {
			return fmt.Errorf("list data files: %w", err)
		}
		for _, name := range names {
			if strings.HasSuffix(name, of.suffix) {
				return fmt.Errorf("%s is missing or empty, and %s is there: put the catalogue back from the copy that the data came from, or start with an empty folder",
					path, filepath.Join(opt.Dir, of.name, name))
			}
		}
	}
	return nil
}

// fromACopy is what to do about a catalogue that is no longer one: nothing else knows whose the rows are.
const fromACopy = "put the folder back from a copy, or start with an empty one"

// inspectCatalogue reports whether a catalogue is so new that it lists nothing. The lock is
// held meanwhile: another process may be changing the pages.
func inspectCatalogue(opt Options, path string) (fresh bool, err error) {
	db, err := bolt.Open(path, 0, &bolt.Options{ReadOnly: true, Timeout: opt.LockTimeout})
	if err != nil {
		return false, openError(opt.Dir, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	c := &checker{report: &Report{}}
	if !c.pages(dirFS(opt.Dir)) {
		return false, fmt.Errorf("%s is damaged: %s: %s", path, c.report.Findings[len(c.report.Findings)-1].Problem, fromACopy)
	}
	err = db.View(func(tx *bolt.Tx) error {
		fresh = tx.Bucket(bucketMeta) == nil
		return nil
	})
	return fresh, err
}
