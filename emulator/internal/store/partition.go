package store

import (
	"bytes"
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/sluice-io/sluice/emulator/internal/types"
)

// partRecord is a partition, or the one part of an unpartitioned table, as kept in
// bucket parts. Number prefixes its entries in bucket segs.
type partRecord struct {
	Partition
	Number uint64
}

// segRecord lists one segment of a part.
type segRecord struct {
	ID string
	// SchemaVersion of the table's columns that the segment was written under.
	SchemaVersion int
	Rows, Bytes   int64
}

func partKey(tableID string, spec types.PartitionSpec) []byte {
	k := append([]byte(tableID), 0)
	for _, v := range spec {
		k = append(append(k, v.Value...), 0)
	}
	return k
}

func getPart(tx *bolt.Tx, t Table, spec types.PartitionSpec) (partRecord, error) {
	var p partRecord
	ok, err := getJSON(tx.Bucket(bucketParts), partKey(t.ID, spec), &p)
	if err == nil && !ok {
		err = fmt.Errorf("%s partition %s: %w", t.Key, spec, ErrNoSuchPartition)
	}
	return p, err
}

func putPart(tx *bolt.Tx, tableID string, p partRecord) error {
	b := tx.Bucket(bucketParts)
	if p.Number == 0 {
		n, err := b.NextSequence()
		if err != nil {
			return err
		}
		p.Number = n
	}
	return putJSON(b, partKey(tableID, p.Spec), p)
}

// countParts counts the parts of a table, up to limit.
func countParts(tx *bolt.Tx, tableID string, limit int) (n int) {
	prefix := partKey(tableID, nil)
	c := tx.Bucket(bucketParts).Cursor()
	for k, _ := c.Seek(prefix); k != nil && bytes.HasPrefix(k, prefix) && n < limit; k, _ = c.Next() {
		n++
	}
	return n
}

// listParts returns the parts whose spec starts with prefix, in order.
func listParts(tx *bolt.Tx, tableID string, prefix types.PartitionSpec) (parts []partRecord, err error) {
	b := tx.Bucket(bucketParts)
	start := partKey(tableID, prefix)
	c := b.Cursor()
	for k, _ := c.Seek(start); k != nil && bytes.HasPrefix(k, start); k, _ = c.Next() {
		var p partRecord
		if _, err := getJSON(b, k, &p); err != nil {
			return nil, err
		}
		parts = append(parts, p)
	}
	return parts, nil
}

// listSegs returns a part's segments in order of publication.
func listSegs(tx *bolt.Tx, part uint64) (segs []segRecord, err error) {
	b := tx.Bucket(bucketSegs)
	prefix := key64(part)
	c := b.Cursor()
	for k, _ := c.Seek(prefix); k != nil && bytes.HasPrefix(k, prefix); k, _ = c.Next() {
		var r segRecord
		if _, err := getJSON(b, k, &r); err != nil {
			return nil, err
		}
		segs = append(segs, r)
	}
	return segs, nil
}

// clearSegs empties a part's list and returns the segments it held.
func clearSegs(tx *bolt.Tx, part uint64) (ids []string, err error) {
	segs, err := listSegs(tx, part)
	if err != nil {
		return nil, err
	}
	b := tx.Bucket(bucketSegs)
	prefix := key64(part)
	c := b.Cursor()
	for k, _ := c.Seek(prefix); k != nil && bytes.HasPrefix(k, prefix); k, _ = c.Seek(prefix) {
		if err := b.Delete(k); err != nil {
			return nil, err
		}
	}
	for _, r := range segs {
		ids = append(ids, r.ID)
	}
	return ids, nil
}

// locate finds a table and one of its parts: spec is empty for an unpartitioned
// table and full otherwise.
func locate(tx *bolt.Tx, k Key, spec types.PartitionSpec) (Table, partRecord, error) {
	t, err := getTable(tx, k)
	if err == nil {
		err = t.requireRows()
	}
	if err != nil {
		return t, partRecord{}, err
	}
	if spec, err = t.Spec(spec, false); err != nil {
		return t, partRecord{}, err
	}
	p, err := getPart(tx, t, spec)
	return t, p, err
}

// Partition returns one partition (or with an empty spec the whole of an
// unpartitioned table): ErrNoSuchTable, ErrInvalidPartition, ErrNoSuchPartition.
func (s *Store) Partition(k Key, spec types.PartitionSpec) (p Partition, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		_, r, err := locate(tx, k, spec)
		p = r.Partition
		return err
	})
	return p, err
}

// PartitionQuery selects a page of partitions.
type PartitionQuery struct {
	// Filter names leading partition columns; empty for all.
	Filter types.PartitionSpec
	// After is the next of the page before, empty for the first.
	After string
	// Limit of the page, 0 for no limit.
	Limit int
	// Reverse lists from the last to the first.
	Reverse bool
}

// Partitions lists a table's partitions ordered by their values, column by column.
// next is empty on the last page. An unpartitioned table is ErrInvalidPartition.
func (s *Store) Partitions(k Key, q PartitionQuery) (page []Partition, next string, err error) {
	var parts []partRecord
	var t Table
	err = s.db.View(func(tx *bolt.Tx) error {
		if t, err = getTable(tx, k); err != nil {
			return err
		}
		if !t.Partitioned() {
			return fmt.Errorf("table %s is not partitioned: %w", k, ErrInvalidPartition)
		}
		filter, err := t.Spec(q.Filter, true)
		if err != nil {
			return err
		}
		parts, err = listParts(tx, t.ID, filter)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	if q.Reverse {
		slices.Reverse(parts)
	}
	if i := slices.IndexFunc(parts, func(p partRecord) bool { return p.Spec.String() == q.After }); i >= 0 {
		parts = parts[i+1:]
	} else if after, err := types.ParsePartitionSpec(q.After); err == nil && len(after) > 0 { // dropped meanwhile
		last := partKey(t.ID, after)
		parts = slices.DeleteFunc(parts, func(p partRecord) bool {
			order := bytes.Compare(partKey(t.ID, p.Spec), last)
			return order < 0 != q.Reverse
		})
	}
	for _, p := range parts {
		if q.Limit > 0 && len(page) == q.Limit {
			return page, page[len(page)-1].Spec.String(), nil
		}
		page = append(page, p.Partition)
	}
	return page, "", nil
}

// Files counts the segments that hold the rows of a table, or of the partition that spec
// names.
func (s *Store) Files(k Key, spec types.PartitionSpec) (n int64, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		t, err := getTable(tx, k)
		if err != nil {
			return err
		}
		if spec, err = t.Spec(spec, len(spec) == 0); err != nil {
			return err
		}
		parts, err := listParts(tx, t.ID, spec)
		if err != nil {
			return err
		}
		c := tx.Bucket(bucketSegs).Cursor()
		for _, p := range parts {
			prefix := key64(p.Number)
			for k, _ := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = c.Next() {
				n++
			}
		}
		return nil
	})
	return n, err
}
