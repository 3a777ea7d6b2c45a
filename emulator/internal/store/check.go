package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// Errors of Open and Check: another process has the folder; of Check: there is none.
var (
	ErrHeld    = errors.New("the folder is in use by a running endpoint")
	ErrNoStore = errors.New("not a data folder: no file catalogue.db")
)

// Finding is one thing that Check saw. What does not apply is empty.
type Finding struct {
	// Note marks what is worth knowing and no damage: files that the next start of an
	// endpoint removes, for instance.
	Note bool `json:"note,omitempty"`
	// Table, Partition, Session, Resource, Part name what is concerned.
	Table     string `json:"table,omitempty"`
	Partition string `json:"partition,omitempty"`
	Session   string `json:"session,omitempty"`
	Resource  string `json:"resource,omitempty"`
	Part      string `json:"part,omitempty"`
	// File is relative to the folder.
	File string `json:"file,omitempty"`
	// Problem says what is wrong.
	Problem string `json:"problem"`
}

// String is the finding in one line.
func (f Finding) String() string {
	var b strings.Builder
	b.WriteString("damage")
	if f.Note {
		b.Reset()
		b.WriteString("note")
	}
	for _, of := range []struct{ name, value string }{
		{"table", f.Table}, {"partition", f.Partition}, {"session", f.Session}, {"resource", f.Resource}, {"part", f.Part}, {"file", f.File},
	} {
		if of.value != "" {
			fmt.Fprintf(&b, " %s %s,", of.name, of.value)
		}
	}
	return strings.TrimSuffix(b.String(), ",") + ": " + strings.ReplaceAll(f.Problem, "\n", " ")
}

// Report is what Check saw of a folder.
type Report struct {
	// Version of the format.
	Version string `json:"version"`
	// Counts of what was checked. Segments, and Rows and Bytes in them, include those
	// of open sessions.
	Tables     int   `json:"tables"`
	Partitions int   `json:"partitions"`
	Sessions   int   `json:"sessions"`
	Segments   int   `json:"segments"`
	Rows       int64 `json:"rows"`
	Resources  int   `json:"resources"`
	Parts      int   `json:"parts"`
	Bytes      int64 `json:"bytes"`
	// Findings in the order in which they were made; Damages is how many are no notes.
	Findings []Finding `json:"findings"`
	Damages  int       `json:"damages"`
}

// Sound reports whether there was no damage.
func (r *Report) Sound() bool { return r.Damages == 0 }

// Check verifies a store that nobody has open, without changing anything: the
// catalogue's structure, its entries against each other, every file that they list
// down to the last byte, and every batch against its table's columns. It returns an
// error only when it could not check: ErrHeld, ErrNoStore, or ctx's.
func Check(ctx context.Context, dir string, lockTimeout time.Duration) (*Report, error) {
	c := &checker{ctx: ctx, report: &Report{Findings: []Finding{}}, segments: dirFS(filepath.Join(dir, "segments")), contents: dirFS(filepath.Join(dir, "resources"))}
	path := filepath.Join(dir, catalogueFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil, fmt.Errorf("%s: %w", dir, ErrNoStore)
	}
	db, err := bolt.Open(path, 0, &bolt.Options{ReadOnly: true, Timeout: lockTimeout})
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, fmt.Errorf("%s: %w%s", dir, ErrHeld, heldBy(path))
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("open catalogue: %w", err)
	case err != nil:
		c.damagef(Finding{File: catalogueFile}, "cannot be opened: %s", err)
		return c.report, nil
	}
	err = c.catalogue(db, dir)
	if closeErr := db.Close(); err == nil && closeErr != nil {
		err = fmt.Errorf("close catalogue: %w", closeErr)
	}
	if err != nil {
		return nil, err
	}
	return c.report, nil
}

// checker gathers findings. It belongs to one goroutine.
type checker struct {
	ctx                context.Context //nolint:containedctx // The checker lives for one call.
	report             *Report
	segments, contents FS

	tables   map[string]Table      // by ID
	parts    map[uint64]*checkPart // by number
	listed   map[string]string     // segment to who lists it
	stored   map[string]string     // content file to who lists it
	discards bool                  // rows were counted, not kept
}

func (c *checker) damagef(f Finding, format string, args ...any) {
	f.Problem = fmt.Sprintf(format, args...)
	c.report.Findings = append(c.report.Findings, f)
	c.report.Damages++
}

func (c *checker) notef(f Finding, format string, args ...any) {
	f.Note, f.Problem = true, fmt.Sprintf(format, args...)
	c.report.Findings = append(c.report.Findings, f)
}

// catalogue checks structure first: only a sound one may be read entry by entry.
func (c *checker) catalogue(db *bolt.DB, dir string) error {
	if !c.pages(dirFS(dir)) {
		return nil
	}
	return db.View(func(tx *bolt.Tx) error {
		for err := range tx.Check() {
			c.damagef(Finding{File: catalogueFile}, "%s", err)
		}
		if !c.report.Sound() || !c.version(tx) {
			return nil
		}
		for _, step := range []func(*bolt.Tx) error{
			c.checkTables, c.checkParts, c.checkSegs, c.checkCounters, c.checkSessions, c.checkResources, c.checkResourceParts, c.checkNames,
		} {
			if err := step(tx); err != nil {
				return err
			}
		}
		c.orphans(c.segments, "segments", segmentSuffix, c.listed)
		c.orphans(c.contents, "resources", contentSuffix, c.stored)
		return nil
	})
}

// version reports whether the rest can be understood.
func (c *checker) version(tx *bolt.Tx) bool {
	meta := tx.Bucket(bucketMeta)
	if meta == nil {
		c.damagef(Finding{File: catalogueFile}, "has no format version")
		return false
	}
	c.report.Version = string(meta.Get([]byte("version")))
	c.discards = meta.Get(keyDiscard) != nil
	if c.discards {
		c.notef(Finding{}, "an endpoint that keeps no rows used this folder: counters are not compared with rows")
	}
	if _, old := upgrades[c.report.Version]; old {
		c.notef(Finding{File: catalogueFile}, "format version %q: the next start of an endpoint upgrades it to %q", c.report.Version, formatVersion)
	} else if c.report.Version != formatVersion {
		c.damagef(Finding{File: catalogueFile}, "format version %q, this program knows up to %q", c.report.Version, formatVersion)
		return false
	}
	for _, b := range buckets {
		if tx.Bucket(b) == nil && c.report.Version == formatVersion {
			c.damagef(Finding{File: catalogueFile}, "bucket %s is missing", b)
			return false
		}
	}
	return true
}

// orphans notes files that nothing lists.
func (c *checker) orphans(folder FS, name, suffix string, listed map[string]string) {
	names, err := folder.List()
	if isNotExist(err) {
		return // what is listed was reported already
	}
	if err != nil {
		c.damagef(Finding{File: name}, "cannot be listed: %s", err)
		return
	}
	for _, file := range names {
		id, ours := strings.CutSuffix(file, suffix)
		switch {
		case !ours:
			c.notef(Finding{File: filepath.Join(name, file)}, "is no file of the store")
		case listed[id] == "":
			c.notef(Finding{File: filepath.Join(name, file)}, "nothing lists it: the next start of an endpoint removes it")
		}
	}
}
