package store

import (
	"errors"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"
)

// resourcePart is a piece of a resource to come, as kept in bucket resource_parts.
type resourcePart struct {
	Key              ResourceKey
	Content          Content
	Created, Expires time.Time
}

// PutPart keeps a content as a part under a name, in the place of what had it, until
// a merge or the end of its life (Options.UploadTTL). It takes the content over in
// every case.
func (s *Store) PutPart(k ResourceKey, c Content) error {
	var old resourcePart
	err := k.check(maxPartName)
	if err == nil {
		err = s.update(func(tx *bolt.Tx) error {
			b := tx.Bucket(bucketResourceParts)
			if _, err := getJSON(b, k.bytes(), &old); err != nil {
				return err
			}
			now := s.now()
			return putJSON(b, k.bytes(), resourcePart{Key: k, Content: c, Created: now, Expires: now.Add(s.opt.UploadTTL)})
		})
	}
	if err != nil {
		s.discardFailedContent(err, c)
		return err
	}
	s.DiscardContent(old.Content)
	return nil
}

// Merge describes a resource made of parts.
type Merge struct {
	// Change without its content.
	Change ResourceChange
	// Parts are names, in the order of their bytes; there may be none.
	Parts []string
	// MD5 in lower-case hex and Size of the whole.
	MD5  string
	Size int64
}

// MergeResource puts parts end to end, checks the whole and makes it the content of a
// resource; the parts are gone with the same transaction. ErrNoSuchPart,
// ErrBadContent (then nothing changes and the parts stay) and what PutResource
// answers. A replacing merge whose parts are gone succeeds if the resource is what it
// would make: so it can be repeated when its answer was lost.
func (s *Store) MergeResource(m Merge) (Resource, error) {
	parts, whole, err := s.assemble(m)
	if errors.Is(err, ErrNoSuchPart) && !m.Change.Create {
		if r, getErr := s.Resource(m.Change.Key); getErr == nil && r.Kind.HasContent() && r.Content.MD5 == m.MD5 && r.Content.Size == m.Size {
			return r, nil
		}
	}
	if err != nil {
		return Resource{}, err
	}
	m.Change.Content = &whole
	r, err := s.putResource(m.Change, func(tx *bolt.Tx) error { return dropParts(tx, parts) })
	if err != nil {
		return Resource{}, err
	}
	for _, p := range parts {
		s.DiscardContent(p.Content)
	}
	return r, nil
}

// assemble copies the parts into one content and compares it with what the merge
// announces.
func (s *Store) assemble(m Merge) (parts []resourcePart, whole Content, err error) {
	if parts, err = s.parts(m); err != nil {
		return nil, Content{}, err
	}
	w := s.NewContent()
	defer w.Abort() // no effect after Finish
	for _, p := range parts {
		if err := s.appendPart(w, p); err != nil {
			return nil, Content{}, err
		}
	}
	if whole, err = w.Finish(); err != nil {
		return nil, Content{}, err
	}
	if whole.MD5 != m.MD5 {
		s.DiscardContent(whole)
		return nil, Content{}, fmt.Errorf("%s: the parts' MD5 is %s, not %s: %w", m.Change.Key, whole.MD5, m.MD5, ErrBadContent)
	}
	return parts, whole, nil
}

// parts looks up what a merge names.
func (s *Store) parts(m Merge) (parts []resourcePart, err error) {
	size := int64(0)
	err = s.db.View(func(tx *bolt.Tx) error {
		if _, err := getResource(tx, m.Change.Key); err == nil && m.Change.Create { // found out before all the copying
			return fmt.Errorf("%s: %w", m.Change.Key, ErrResourceExists)
		}
		for _, name := range m.Parts {
			k := m.Change.Key
			k.Name = name
			var p resourcePart
			if ok, err := getJSON(tx.Bucket(bucketResourceParts), k.bytes(), &p); err != nil {
				return err
			} else if !ok || !s.now().Before(p.Expires) {
				return fmt.Errorf("%s: %w", k, ErrNoSuchPart)
			}
			parts = append(parts, p)
			size += p.Content.Size
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case size > s.opt.MaxResourceBytes:
		return nil, fmt.Errorf("%s: the parts have %d bytes, at most %d are allowed: %w", m.Change.Key, size, s.opt.MaxResourceBytes, ErrTooLarge)
	case size != m.Size:
		return nil, fmt.Errorf("%s: the parts have %d bytes, %d were announced: %w", m.Change.Key, size, m.Size, ErrBadContent)
	}
	return parts, nil
}

func (s *Store) appendPart(w *ContentWriter, p resourcePart) error {
	r, err := s.openContent(p.Content)
	if isNotExist(err) { // another merge, or a new version of the part, was faster
		return fmt.Errorf("%s: %w", p.Key, ErrNoSuchPart)
	}
	if err != nil {
		return err
	}
	return errors.Join(r.WriteRange(w, 0, r.Size), r.Close())
}

// dropParts removes parts that still are what was merged.
func dropParts(tx *bolt.Tx, parts []resourcePart) error {
	b := tx.Bucket(bucketResourceParts)
	for _, p := range parts {
		var now resourcePart
		ok, err := getJSON(b, p.Key.bytes(), &now)
		if err != nil {
			return err
		}
		if ok && now.Content.File == p.Content.File {
			if err := b.Delete(p.Key.bytes()); err != nil {
				return err
			}
		}
	}
	return nil
}

// ExpireParts drops parts past their life and returns how many. Open does it;
// long-lived servers call it now and then.
func (s *Store) ExpireParts() (n int, err error) {
	var old []resourcePart
	now := s.now()
	err = s.update(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketResourceParts)
		if err := b.ForEach(func(k, _ []byte) error {
			var p resourcePart
			if _, err := getJSON(b, k, &p); err != nil {
				return err
			}
			if !now.Before(p.Expires) {
				old = append(old, p)
			}
			return nil
		}); err != nil {
			return err
		}
		return dropParts(tx, old)
	})
	if err != nil {
		return 0, err
	}
	for _, p := range old {
		s.DiscardContent(p.Content)
	}
	return len(old), nil
}
