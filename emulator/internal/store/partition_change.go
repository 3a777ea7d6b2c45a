package store

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/sluice-io/sluice/emulator/internal/types"
)

// AddPartitions creates partitions, all or none. An existing one is ErrPartitionExists
// unless ifNotExists.
func (s *Store) AddPartitions(k Key, specs []types.PartitionSpec, ifNotExists bool) error {
	return s.update(func(tx *bolt.Tx) error {
		t, err := getPartitioned(tx, k)
		if err != nil {
			return err
		}
		for _, spec := range specs {
			if spec, err = t.Spec(spec, false); err != nil {
				return err
			}
			_, err = getPart(tx, t, spec)
			switch {
			case err == nil && !ifNotExists:
				return fmt.Errorf("%s partition %s: %w", k, spec, ErrPartitionExists)
			case errors.Is(err, ErrNoSuchPartition):
				err = s.newPart(tx, &t, spec)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// newPart adds an empty partition and stamps the table.
func (s *Store) newPart(tx *bolt.Tx, t *Table, spec types.PartitionSpec) error {
	if limit := s.opt.MaxPartitions; limit > 0 && countParts(tx, t.ID, limit) >= limit {
		return fmt.Errorf("table %s has %d partitions, no more are allowed: %w", t.Key, limit, ErrInvalidPartition)
	}
	now := s.now()
	if err := putPart(tx, t.ID, partRecord{Partition: Partition{Spec: spec, Created: now, Modified: now, LastDDL: now}}); err != nil {
		return err
	}
	t.LastDDL, t.Modified = now, now
	return putTable(tx, *t)
}

// getPartitioned finds a table that has partition columns; another is ErrInvalidPartition.
func getPartitioned(tx *bolt.Tx, k Key) (Table, error) {
	t, err := getTable(tx, k)
	if err == nil && !t.Partitioned() {
		err = fmt.Errorf("table %s is not partitioned: %w", k, ErrInvalidPartition)
	}
	return t, err
}

// DropPartitions removes partitions and their rows, all or none: those that specs name, and
// those for which match is true (nil matches none). A missing one of specs is
// ErrNoSuchPartition unless ifExists.
func (s *Store) DropPartitions(k Key, specs []types.PartitionSpec, match func(types.PartitionSpec) bool, ifExists bool) error {
	var gone []string
	err := s.update(func(tx *bolt.Tx) error {
		t, err := getPartitioned(tx, k)
		if err != nil {
			return err
		}
		parts, err := namedParts(tx, t, specs, ifExists)
		if err != nil {
			return err
		}
		all, err := listParts(tx, t.ID, nil)
		if err != nil {
			return err
		}
		for _, p := range all {
			if match != nil && match(p.Spec) {
				parts[string(partKey(t.ID, p.Spec))] = p
			}
		}
		for _, p := range parts {
			ids, err := dropPart(tx, t.ID, p)
			if err != nil {
				return err
			}
			gone = append(gone, ids...)
			t.Rows, t.Bytes = t.Rows-p.Rows, t.Bytes-p.Bytes
		}
		now := s.now()
		t.LastDDL, t.Modified, t.LastDataModified = now, now, now
		return putTable(tx, t)
	})
	if err == nil {
		s.discardSegments(gone)
	}
	return err
}

// dropPart removes a part and returns the segments that it held.
func dropPart(tx *bolt.Tx, tableID string, p partRecord) ([]string, error) {
	ids, err := clearSegs(tx, p.Number)
	if err != nil {
		return nil, err
	}
	return ids, tx.Bucket(bucketParts).Delete(partKey(tableID, p.Spec))
}

// namedParts finds partitions, by their keys.
func namedParts(tx *bolt.Tx, t Table, specs []types.PartitionSpec, ifExists bool) (map[string]partRecord, error) {
	parts := map[string]partRecord{}
	for _, spec := range specs {
		spec, err := t.Spec(spec, false)
		if err != nil {
			return nil, err
		}
		p, err := getPart(tx, t, spec)
		if errors.Is(err, ErrNoSuchPartition) && ifExists {
			continue
		}
		if err != nil {
			return nil, err
		}
		parts[string(partKey(t.ID, spec))] = p
	}
	return parts, nil
}

// Truncate removes all rows of a table; its partitions stay.
func (s *Store) Truncate(k Key) error {
	return s.empty(func(tx *bolt.Tx) (Table, []partRecord, error) {
		t, err := getTable(tx, k)
		if err != nil {
			return t, nil, err
		}
		parts, err := listParts(tx, t.ID, nil)
		return t, parts, err
	})
}

// TruncatePartitions removes all rows of the partitions named, of all or of none.
func (s *Store) TruncatePartitions(k Key, specs []types.PartitionSpec) error {
	return s.empty(func(tx *bolt.Tx) (Table, []partRecord, error) {
		t, err := getPartitioned(tx, k)
		if err != nil {
			return t, nil, err
		}
		parts, err := namedParts(tx, t, specs, false)
		return t, slices.Collect(maps.Values(parts)), err
	})
}

// empty removes the rows of the parts that find returns with their table, and keeps the parts.
func (s *Store) empty(find func(*bolt.Tx) (Table, []partRecord, error)) error {
	var gone []string
	err := s.update(func(tx *bolt.Tx) error {
		t, parts, err := find(tx)
		if err != nil {
			return err
		}
		now := s.now()
		for _, p := range parts {
			ids, err := clearSegs(tx, p.Number)
			if err != nil {
				return err
			}
			gone = append(gone, ids...)
			t.Rows, t.Bytes = t.Rows-p.Rows, t.Bytes-p.Bytes
			p.Rows, p.Bytes, p.Modified = 0, 0, now
			if err := putPart(tx, t.ID, p); err != nil {
				return err
			}
		}
		t.Modified, t.LastDataModified = now, now
		return putTable(tx, t)
	})
	if err == nil {
		s.discardSegments(gone)
	}
	return err
}

// ChangePartition gives a partition the values of to, which may be its own: then only its
// time of the last change of definition is new.
func (s *Store) ChangePartition(k Key, from, to types.PartitionSpec) error {
	return s.update(func(tx *bolt.Tx) error {
		t, p, err := locate(tx, k, from)
		if err != nil {
			return err
		}
		if !t.Partitioned() {
			return fmt.Errorf("table %s is not partitioned: %w", k, ErrInvalidPartition)
		}
		if to, err = t.Spec(to, false); err != nil {
			return err
		}
		if to.String() != p.Spec.String() {
			if _, err := getPart(tx, t, to); err == nil {
				return fmt.Errorf("%s partition %s: %w", k, to, ErrPartitionExists)
			}
			if err := tx.Bucket(bucketParts).Delete(partKey(t.ID, p.Spec)); err != nil {
				return err
			}
		}
		now := s.now()
		p.Spec, p.LastDDL, t.LastDDL, t.Modified = to, now, now, now
		if err := putPart(tx, t.ID, p); err != nil {
			return err
		}
		return putTable(tx, t)
	})
}
