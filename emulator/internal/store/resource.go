package store

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	bolt "go.etcd.io/bbolt"
)

// ResourceKey names a resource or a part. Build it with NewResourceKey.
type ResourceKey struct {
	Project, Schema, Name string
}

// NewResourceKey folds project and schema to lower case; an empty schema is
// DefaultSchema. The name stays as it is: a.jar and A.jar are two resources.
func NewResourceKey(project, schema, name string) ResourceKey {
	k := NewKey(project, schema, "")
	return ResourceKey{k.Project, k.Schema, name}
}

// String returns the full name that clients use, project/resources/name or
// project/schemas/schema/resources/name.
func (k ResourceKey) String() string {
	if k.Schema == DefaultSchema {
		return k.Project + "/resources/" + k.Name
	}
	return k.Project + "/schemas/" + k.Schema + "/resources/" + k.Name
}

func (k ResourceKey) bytes() []byte { return []byte(k.Project + "\x00" + k.Schema + "\x00" + k.Name) }

const (
	maxResourceName = 255
	// maxPartName leaves room for what clients put around the resource's name.
	maxPartName = 512
)

func (k ResourceKey) check(maxBytes int) error {
	n := k.Name
	if !validName(k.Project) || !validName(k.Schema) {
		return fmt.Errorf("project %q or schema %q of a resource: %w", k.Project, k.Schema, ErrInvalidResource)
	}
	unfit := func(r rune) bool { return unicode.IsControl(r) || r == '/' || r == '\\' }
	if strings.TrimSpace(n) == "" || n == "." || n == ".." || len(n) > maxBytes || !utf8.ValidString(n) || strings.ContainsFunc(n, unfit) {
		return fmt.Errorf("resource name %q: want 1 to %d bytes of UTF-8 without slashes and control characters: %w", n, maxBytes, ErrInvalidResource)
	}
	return nil
}

// ResourceKind says what a resource is.
type ResourceKind string

// The kinds of resource; the first four have content.
const (
	FileResource          ResourceKind = "file"
	JarResource           ResourceKind = "jar"
	PyResource            ResourceKind = "py"
	ArchiveResource       ResourceKind = "archive"
	TableResource         ResourceKind = "table"
	VolumeFileResource    ResourceKind = "volumefile"
	VolumeArchiveResource ResourceKind = "volumearchive"
)

// HasContent tells files from references.
func (k ResourceKind) HasContent() bool {
	return k == FileResource || k == JarResource || k == PyResource || k == ArchiveResource
}

// Resource is a named file, or a named reference to a table or a volume's file.
type Resource struct {
	Key  ResourceKey
	Kind ResourceKind
	// Comment is bytes as the client sent them: header text has no agreed encoding.
	Comment        []byte `json:",omitempty"`
	Owner, Updater string
	// Temporary is kept and shown; nothing expires.
	Temporary bool
	// Source is the reference's text, empty for kinds with content.
	Source string `json:",omitempty"`
	// Content is empty for references.
	Content           Content
	Created, Modified time.Time
}

// ResourceChange is what PutResource makes of a resource.
type ResourceChange struct {
	Key ResourceKey
	// Create refuses an existing resource; otherwise it is replaced, or made.
	Create bool
	// Kind may be empty when an existing resource is replaced: then it stays.
	Kind ResourceKind
	// Comment and Temporary keep what is there when nil.
	Comment   []byte
	Temporary *bool
	// By owns a new resource and is the updater of an old one.
	By string
	// Content and Source: one of them, as the kind wants. PutResource takes the content
	// over in every case.
	Content *Content
	Source  string
}

func getResource(tx *bolt.Tx, k ResourceKey) (Resource, error) {
	var r Resource
	ok, err := getJSON(tx.Bucket(bucketResources), k.bytes(), &r)
	if err == nil && !ok {
		err = fmt.Errorf("%s: %w", k, ErrNoSuchResource)
	}
	return r, err
}

// PutResource creates a resource or puts a new version in the place of the old one,
// in one transaction: ErrResourceExists, ErrInvalidResource. Who has the old content
// open reads on.
func (s *Store) PutResource(c ResourceChange) (Resource, error) {
	return s.putResource(c, nil)
}

// putResource runs also in the same transaction.
func (s *Store) putResource(c ResourceChange, also func(*bolt.Tx) error) (r Resource, err error) {
	var old Content
	err = s.update(func(tx *bolt.Tx) error {
		was, err := getResource(tx, c.Key)
		switch {
		case err == nil && c.Create:
			return fmt.Errorf("%s: %w", c.Key, ErrResourceExists)
		case err != nil && !errors.Is(err, ErrNoSuchResource):
			return err
		}
		if err != nil {
			if err := s.requireSchema(tx, c.Key.Project, c.Key.Schema); err != nil {
				return err
			}
		}
		old = was.Content
		if r, err = c.apply(was, s.now()); err != nil {
			return err
		}
		if also != nil {
			if err := also(tx); err != nil {
				return err
			}
		}
		return putJSON(tx.Bucket(bucketResources), c.Key.bytes(), r)
	})
	if err != nil {
		if c.Content != nil {
			s.discardFailedContent(err, *c.Content)
		}
		return Resource{}, err
	}
	s.DiscardContent(old)
	return r, nil
}

// apply makes the new version of a resource; was is zero if there is none.
func (c ResourceChange) apply(was Resource, now time.Time) (Resource, error) {
	r := was
	r.Key, r.Updater, r.Modified = c.Key, c.By, now
	if r.Created.IsZero() {
		r.Created, r.Owner = now, c.By
	}
	if c.Kind != "" {
		r.Kind = c.Kind
	}
	if c.Comment != nil {
		r.Comment = c.Comment
	}
	if c.Temporary != nil {
		r.Temporary = *c.Temporary
	}
	r.Content, r.Source = Content{}, c.Source
	if c.Content != nil {
		r.Content = *c.Content
	}
	switch {
	case c.Key.check(maxResourceName) != nil:
		return r, c.Key.check(maxResourceName)
	case r.Kind == "":
		return r, fmt.Errorf("%s: no type given: %w", c.Key, ErrInvalidResource)
	case r.Kind.HasContent() && c.Content == nil:
		return r, fmt.Errorf("%s of type %s without content: %w", c.Key, r.Kind, ErrInvalidResource)
	case !r.Kind.HasContent() && (c.Content != nil || c.Source == ""):
		return r, fmt.Errorf("%s of type %s: want a reference and no content: %w", c.Key, r.Kind, ErrInvalidResource)
	}
	return r, nil
}

// discardFailedContent drops the content of a failed transaction, unless the
// transaction took effect after all.
func (s *Store) discardFailedContent(err error, c Content) {
	if errors.Is(err, ErrStorage) {
		live, listErr := s.listedContents()
		if listErr != nil || live[c.File] {
			return // listed, or an orphan of the next Open
		}
	}
	s.DiscardContent(c)
}

// Resource returns a resource's description, or ErrNoSuchResource.
func (s *Store) Resource(k ResourceKey) (r Resource, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		r, err = getResource(tx, k)
		return err
	})
	return r, err
}

// OpenResource returns a resource and a reader of its content as it is now, nil for
// a reference. The caller closes it.
func (s *Store) OpenResource(k ResourceKey) (r Resource, content *ContentReader, err error) {
	for seen := ""; ; seen = r.Content.File {
		if r, err = s.Resource(k); err != nil || !r.Kind.HasContent() {
			return r, nil, err
		}
		content, err = s.openContent(r.Content)
		// Replaced between the look-up and the opening, a file may be gone: look again.
		if err == nil || !isNotExist(err) || seen == r.Content.File {
			return r, content, err
		}
	}
}

// ResourceQuery selects a page of resources.
type ResourceQuery struct {
	// Prefix of the name and Owner, empty for all.
	Prefix, Owner string
	// After is the next of the page before, empty for the first.
	After string
	// Limit of the page, 0 for no limit.
	Limit int
}

// Resources lists a schema's resources in name order. next is empty on the last
// page.
func (s *Store) Resources(project, schema string, q ResourceQuery) (page []Resource, next string, err error) {
	prefix := NewResourceKey(project, schema, q.Prefix).bytes()
	start := prefix
	if q.After != "" {
		if after := append(NewResourceKey(project, schema, q.After).bytes(), 0); bytes.Compare(after, prefix) > 0 {
			start = after
		}
	}
	err = s.db.View(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketResources)
		c := b.Cursor()
		for k, _ := c.Seek(start); k != nil && bytes.HasPrefix(k, prefix); k, _ = c.Next() {
			var r Resource
			if _, err := getJSON(b, k, &r); err != nil {
				return err
			}
			if q.Owner != "" && r.Owner != q.Owner {
				continue
			}
			if q.Limit > 0 && len(page) == q.Limit {
				next = page[len(page)-1].Key.Name
				return nil
			}
			page = append(page, r)
		}
		return nil
	})
	return page, next, err
}

// DeleteResource removes a resource, or is ErrNoSuchResource. Who has it open reads
// on.
func (s *Store) DeleteResource(k ResourceKey) error {
	var old Content
	err := s.update(func(tx *bolt.Tx) error {
		r, err := getResource(tx, k)
		if err != nil {
			return err
		}
		old = r.Content
		return tx.Bucket(bucketResources).Delete(k.bytes())
	})
	if err == nil {
		s.DiscardContent(old)
	}
	return err
}

// SetResourceOwner hands a resource to somebody, or is ErrNoSuchResource.
func (s *Store) SetResourceOwner(k ResourceKey, owner, by string) error {
	return s.update(func(tx *bolt.Tx) error {
		r, err := getResource(tx, k)
		if err != nil {
			return err
		}
		r.Owner, r.Updater, r.Modified = owner, by, s.now()
		return putJSON(tx.Bucket(bucketResources), k.bytes(), r)
	})
}

// listedContents returns the content files that a resource or a part lists.
func (s *Store) listedContents() (map[string]bool, error) {
	live := map[string]bool{}
	err := s.db.View(func(tx *bolt.Tx) error {
		resources, parts := tx.Bucket(bucketResources), tx.Bucket(bucketResourceParts)
		if err := resources.ForEach(func(k, _ []byte) error {
			var r Resource
			_, err := getJSON(resources, k, &r)
			live[r.Content.File] = true
			return err
		}); err != nil {
			return err
		}
		return parts.ForEach(func(k, _ []byte) error {
			var p resourcePart
			_, err := getJSON(parts, k, &p)
			live[p.Content.File] = true
			return err
		})
	})
	return live, err
}
