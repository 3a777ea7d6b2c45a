package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	bolt "go.etcd.io/bbolt"
)

// checkPart is a part with what its segments add up to.
type checkPart struct {
	partRecord
	table       Table
	rows, bytes int64
}

func (p *checkPart) finding() Finding {
	return Finding{Table: p.table.Key.String(), Partition: p.Spec.String()}
}

// each decodes a bucket's entries, one after the other; what cannot be decoded is
// reported. A bucket of a later version may be missing.
func each[T any](c *checker, tx *bolt.Tx, bucket []byte, visit func(key []byte, v T)) error {
	b := tx.Bucket(bucket)
	if b == nil {
		return nil
	}
	return b.ForEach(func(k, _ []byte) error {
		if err := c.ctx.Err(); err != nil {
			return fmt.Errorf("check: %w", err)
		}
		var v T
		if _, err := getJSON(b, k, &v); err != nil {
			c.damagef(Finding{File: catalogueFile}, "bucket %s: %s", bucket, err)
			return nil
		}
		visit(k, v)
		return nil
	})
}

func (c *checker) checkTables(tx *bolt.Tx) error {
	c.tables = map[string]Table{}
	return each(c, tx, bucketTables, func(k []byte, t Table) {
		c.report.Tables++
		at := Finding{Table: t.Key.String(), File: catalogueFile}
		if !bytes.Equal(k, tableKey(t.Key)) {
			c.damagef(at, "lies under the key %q", k)
		}
		if other, twice := c.tables[t.ID]; twice {
			c.damagef(at, "has the ID %s of table %s", t.ID, other.Key)
		}
		if n := len(t.History); n == 0 || n != t.SchemaVersion+1 || !sameColumns(t.History[n-1], t.Columns) {
			c.damagef(at, "schema version %d with a history of %d versions, or other columns than the last of them", t.SchemaVersion, n)
		}
		c.tables[t.ID] = t
	})
}

func (c *checker) checkParts(tx *bolt.Tx) error {
	c.parts = map[uint64]*checkPart{}
	return each(c, tx, bucketParts, func(k []byte, p partRecord) {
		c.report.Partitions++
		id, _, _ := bytes.Cut(k, []byte{0})
		t, ok := c.tables[string(id)]
		part := &checkPart{partRecord: p, table: t}
		at := part.finding()
		at.File = catalogueFile
		switch _, err := t.Spec(p.Spec, false); {
		case !ok:
			c.damagef(at, "belongs to table ID %s, which is none", id)
		case err != nil:
			c.damagef(at, "%s", err)
		case !bytes.Equal(k, partKey(t.ID, p.Spec)):
			c.damagef(at, "lies under the key %q", k)
		}
		if other := c.parts[p.Number]; other != nil || p.Number == 0 {
			c.damagef(at, "has number %d, as another partition has or none may", p.Number)
			return
		}
		c.parts[p.Number] = part
	})
}

// checkSegs verifies every segment that is visible.
func (c *checker) checkSegs(tx *bolt.Tx) error {
	c.listed = map[string]string{}
	return each(c, tx, bucketSegs, func(k []byte, r segRecord) {
		if len(k) != 16 {
			c.damagef(Finding{File: catalogueFile}, "bucket segs: a key of %d bytes", len(k))
			return
		}
		number := binary.BigEndian.Uint64(k)
		part := c.parts[number]
		if part == nil {
			c.damagef(Finding{File: segmentPath(r.ID)}, "belongs to partition number %d, which is none", number)
			return
		}
		part.rows, part.bytes = part.rows+r.Rows, part.bytes+r.Bytes
		c.segment(part.finding(), part.table, r)
	})
}

// checkCounters compares counters with sums, bottom up.
func (c *checker) checkCounters(*bolt.Tx) error {
	if c.discards {
		return nil
	}
	type sum struct{ rows, bytes int64 }
	sums := map[string]sum{}
	for _, number := range slices.Sorted(maps.Keys(c.parts)) {
		p := c.parts[number]
		if p.rows != p.Rows || p.bytes != p.Bytes {
			at := p.finding()
			at.File = catalogueFile
			c.damagef(at, "counts %d rows in %d bytes, its segments have %d in %d", p.Rows, p.Bytes, p.rows, p.bytes)
		}
		s := sums[p.table.ID]
		sums[p.table.ID] = sum{s.rows + p.Rows, s.bytes + p.Bytes}
	}
	for _, id := range slices.Sorted(maps.Keys(c.tables)) {
		t := c.tables[id]
		if s := sums[id]; s.rows != t.Rows || s.bytes != t.Bytes {
			c.damagef(Finding{Table: t.Key.String(), File: catalogueFile}, "counts %d rows in %d bytes, its partitions have %d in %d", t.Rows, t.Bytes, s.rows, s.bytes)
		}
	}
	return nil
}

// checkSessions verifies the blocks of open sessions; those of closed ones belong to
// their tables.
func (c *checker) checkSessions(tx *bolt.Tx) error {
	sessions := map[string]Upload{}
	err := each(c, tx, bucketUploads, func(k []byte, u Upload) {
		c.report.Sessions++
		if string(k) != u.ID {
			c.damagef(Finding{Session: u.ID, File: catalogueFile}, "lies under the key %q", k)
		}
		sessions[string(k)] = u
	})
	if err != nil {
		return err
	}
	return each(c, tx, bucketBlocks, func(k []byte, b Block) {
		id, _, _ := bytes.Cut(k, []byte{0})
		u, ok := sessions[string(id)]
		at := Finding{Table: u.Table.Key.String(), Partition: u.Spec.String(), Session: string(id)}
		switch {
		case !ok:
			c.damagef(Finding{Session: string(id), File: catalogueFile}, "block %d belongs to no session", b.ID)
		case !bytes.Equal(k, blockKey(u.ID, b.ID)) || b.ID < 0 || b.ID > MaxBlockID:
			c.damagef(at, "block %d lies under the key %q", b.ID, k)
		case !u.Closed && b.Segment != "":
			c.segment(at, u.Table, segRecord{ID: b.Segment, SchemaVersion: u.Table.SchemaVersion, Rows: b.Rows, Bytes: b.Bytes})
		case !u.Closed && b.Rows != 0 && !c.discards:
			c.damagef(at, "block %d counts %d rows and has no file", b.ID, b.Rows)
		}
	})
}

// checkNames looks at the entries that have nothing but a name and properties.
func (c *checker) checkNames(tx *bolt.Tx) error {
	under := func(what string, k, want []byte) {
		if !bytes.Equal(k, want) {
			c.damagef(Finding{File: catalogueFile}, "%s lies under the key %q", what, k)
		}
	}
	if err := each(c, tx, bucketProjects, func(k []byte, p Project) { under("project "+p.Name, k, []byte(p.Name)) }); err != nil {
		return err
	}
	if err := each(c, tx, bucketSchemas, func(k []byte, s Schema) { under("schema "+s.String(), k, schemaKey(s.Project, s.Name)) }); err != nil {
		return err
	}
	return each(c, tx, bucketFunctions, func(k []byte, f Function) { under("function "+f.String(), k, f.key()) })
}
