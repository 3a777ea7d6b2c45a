package store

import (
	"errors"
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/sluice-io/sluice/emulator/internal/types"
)

// publish appends segs to a part, or with overwrite puts them in the place of what
// it held, and returns the segments that fell out.
func (s *Store) publish(tx *bolt.Tx, t *Table, p *partRecord, segs []segRecord, overwrite bool) (gone []string, err error) {
	if overwrite {
		if gone, err = clearSegs(tx, p.Number); err != nil {
			return nil, err
		}
		t.Rows, t.Bytes = t.Rows-p.Rows, t.Bytes-p.Bytes
		p.Rows, p.Bytes = 0, 0
	}
	b := tx.Bucket(bucketSegs)
	for _, r := range segs {
		p.Rows, p.Bytes = p.Rows+r.Rows, p.Bytes+r.Bytes
		t.Rows, t.Bytes = t.Rows+r.Rows, t.Bytes+r.Bytes
		if r.ID == "" {
			continue
		}
		seq, err := b.NextSequence()
		if err != nil {
			return nil, err
		}
		if err := putJSON(b, key64(p.Number, seq), r); err != nil {
			return nil, err
		}
	}
	now := s.now()
	p.Modified, t.Modified, t.LastDataModified = now, now, now
	if err := putPart(tx, t.ID, *p); err != nil {
		return nil, err
	}
	return gone, putTable(tx, *t)
}

// Publication is what Publish adds to one partition.
type Publication struct {
	// Spec is empty for an unpartitioned table.
	Spec types.PartitionSpec
	// Segments in row order. Publish takes them over in every case.
	Segments []*Segment
}

// PublishOptions qualify Publish.
type PublishOptions struct {
	// Overwrite replaces the content of each named partition.
	Overwrite bool
	// CreatePartitions adds missing partitions in the same transaction.
	CreatePartitions bool
	// Unchanged must hold what their partitions hold now, else nothing is done and the
	// error is ErrChanged: for content that was made from them.
	Unchanged []*Snapshot
	// Whole says that Unchanged are all partitions that the table had: one to publish into
	// that is there and not among them came since, which is ErrChanged too.
	Whole bool
}

// Publish makes segments visible in one transaction: the result of INSERT INTO or
// INSERT OVERWRITE, or of one stream-upload pack. t is the table the segments were
// written for. On an error nothing is visible and the segments are gone; only of
// ErrStorage it is not known whether the rows became visible.
func (s *Store) Publish(t Table, pubs []Publication, opt PublishOptions) error {
	return s.PublishAll([]TablePublication{{Table: t, Publications: pubs, Options: opt}})
}

// TablePublication is what PublishAll adds to one table.
type TablePublication struct {
	Table        Table
	Publications []Publication
	Options      PublishOptions
}

// PublishAll is Publish for several tables in one transaction. A table may be there more
// than once.
func (s *Store) PublishAll(all []TablePublication) error {
	var gone, mine []string
	for _, t := range all {
		mine = append(mine, segmentIDs(t.Publications)...)
	}
	err := s.update(func(tx *bolt.Tx) error {
		for _, t := range all {
			ids, err := s.publishTable(tx, t)
			if err != nil {
				return err
			}
			gone = append(gone, ids...)
		}
		return nil
	})
	if err != nil {
		s.discardFailed(err, mine)
		return err
	}
	s.discardSegments(gone)
	return nil
}

func (s *Store) publishTable(tx *bolt.Tx, p TablePublication) (gone []string, err error) {
	now, err := getTable(tx, p.Table.Key)
	if err != nil {
		return nil, err
	}
	if now.ID != p.Table.ID {
		return nil, fmt.Errorf("%s was dropped and created again: %w", p.Table.Key, ErrNoSuchTable)
	}
	if err := now.requireRows(); err != nil {
		return nil, err
	}
	for _, sn := range p.Options.Unchanged {
		if err := unchanged(tx, now, sn); err != nil {
			return nil, err
		}
	}
	if p.Options.Whole {
		if err := noneCame(tx, now, p); err != nil {
			return nil, err
		}
	}
	for _, pub := range p.Publications {
		ids, err := s.publishOne(tx, &now, p.Table.SchemaVersion, pub, p.Options)
		if err != nil {
			return nil, err
		}
		gone = append(gone, ids...)
	}
	return gone, nil
}

// unchanged compares a snapshot with what its partition holds.
func unchanged(tx *bolt.Tx, t Table, sn *Snapshot) error {
	p, err := getPart(tx, t, sn.Partition.Spec)
	if err != nil {
		return err
	}
	segs, err := listSegs(tx, p.Number)
	if err != nil {
		return err
	}
	if !slices.Equal(segs, sn.segs) {
		return fmt.Errorf("table %s: %w", t.Key, ErrChanged)
	}
	return nil
}

// noneCame is ErrChanged if a partition to publish into is there that no snapshot saw.
func noneCame(tx *bolt.Tx, t Table, p TablePublication) error {
	for _, pub := range p.Publications {
		spec, err := t.Spec(pub.Spec, false)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(p.Options.Unchanged, func(sn *Snapshot) bool { return slices.Equal(sn.Partition.Spec, spec) }) {
			continue
		}
		if _, err := getPart(tx, t, spec); err == nil {
			return fmt.Errorf("table %s, partition %s: %w", t.Key, spec, ErrChanged)
		} else if !errors.Is(err, ErrNoSuchPartition) {
			return err
		}
	}
	return nil
}

func (s *Store) publishOne(tx *bolt.Tx, t *Table, version int, pub Publication, opt PublishOptions) ([]string, error) {
	spec, err := t.Spec(pub.Spec, false)
	if err != nil {
		return nil, err
	}
	p, err := getPart(tx, *t, spec)
	if errors.Is(err, ErrNoSuchPartition) && opt.CreatePartitions {
		if err = s.newPart(tx, t, spec); err == nil {
			p, err = getPart(tx, *t, spec)
		}
	}
	if err != nil {
		return nil, err
	}
	segs := make([]segRecord, 0, len(pub.Segments))
	for _, seg := range pub.Segments {
		segs = append(segs, segRecord{ID: seg.id, SchemaVersion: version, Rows: seg.Rows, Bytes: seg.Bytes})
	}
	return s.publish(tx, t, &p, segs, opt.Overwrite)
}
