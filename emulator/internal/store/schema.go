package store

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Schema is a namespace of a project. One exists if it is the default one, was
// created, or holds anything.
type Schema struct {
	// Project and Name in lower case.
	Project, Name string
	Comment       string `json:",omitempty"`
	// Created and Modified (the comment) in UTC.
	Created, Modified time.Time
}

// String returns project.name.
func (s Schema) String() string { return s.Project + "." + s.Name }

// schemaContents are the buckets whose keys begin with project 0 schema 0: what keeps a
// schema from being dropped. Values are JSON with a time Created.
var schemaContents = [][]byte{bucketTables, bucketResources, bucketFunctions}

func schemaKey(project, name string) []byte { return []byte(project + "\x00" + name) }

// firstIn returns the key of the first object of a schema in one bucket, nil if none.
func firstIn(tx *bolt.Tx, bucket []byte, project, name string) []byte {
	prefix := append(schemaKey(project, name), 0)
	if k, _ := tx.Bucket(bucket).Cursor().Seek(prefix); bytes.HasPrefix(k, prefix) {
		return k
	}
	return nil
}

// getSchema returns a schema, ErrNoSuchSchema if there is none. The names are in lower
// case.
func getSchema(tx *bolt.Tx, project, name string) (Schema, error) {
	s := Schema{Project: project, Name: name}
	if ok, err := getJSON(tx.Bucket(bucketSchemas), schemaKey(project, name), &s); err != nil || ok {
		return s, err
	}
	if name == DefaultSchema {
		p, err := getProject(tx, project)
		s.Created, s.Modified = p.Created, p.Created
		return s, err
	}
	for _, bucket := range schemaContents { // one that came to be with its first object
		k := firstIn(tx, bucket, project, name)
		if k == nil {
			continue
		}
		var object struct{ Created time.Time }
		if _, err := getJSON(tx.Bucket(bucket), k, &object); err != nil {
			return s, err
		}
		s.Created, s.Modified = object.Created, object.Created
		return s, nil
	}
	return s, fmt.Errorf("%s: %w", s, ErrNoSuchSchema)
}

// requireProject refuses to put something into a project that is none of those given.
func (s *Store) requireProject(project string) error {
	if len(s.opt.Projects) == 0 || slices.ContainsFunc(s.opt.Projects, func(p string) bool { return strings.EqualFold(p, project) }) {
		return nil
	}
	return fmt.Errorf("%s: %w", project, ErrNoSuchProject)
}

// requireSchema refuses to put something into a project that is not there, or into a
// schema, if schemas must be created first.
func (s *Store) requireSchema(tx *bolt.Tx, project, name string) error {
	if err := s.requireProject(project); err != nil || !s.opt.Schemas {
		return err
	}
	_, err := getSchema(tx, project, name)
	return err
}

// CreateSchema adds a schema. An existing one is ErrSchemaExists, or with ifNotExists
// returned unchanged; a bad name is ErrInvalidSchema, a project that is not there
// ErrNoSuchProject.
func (s *Store) CreateSchema(project, name, comment string, ifNotExists bool) (made Schema, err error) {
	project, name = strings.ToLower(project), strings.ToLower(name)
	if !validName(project) || !validName(name) {
		return made, fmt.Errorf("schema name %q in project %q: %w", name, project, ErrInvalidSchema)
	}
	if err := s.requireProject(project); err != nil {
		return made, err
	}
	err = s.update(func(tx *bolt.Tx) error {
		made, err = getSchema(tx, project, name)
		if err == nil && ifNotExists {
			return nil
		}
		if err == nil {
			return fmt.Errorf("%s: %w", made, ErrSchemaExists)
		}
		now := s.now()
		made = Schema{Project: project, Name: name, Comment: comment, Created: now, Modified: now}
		return putJSON(tx.Bucket(bucketSchemas), schemaKey(project, name), made)
	})
	return made, err
}

// DropSchema removes an empty schema: ErrNoSuchSchema, ErrSchemaNotEmpty, or
// ErrInvalidSchema for the default one. With ifExists a missing one is no error.
func (s *Store) DropSchema(project, name string, ifExists bool) error {
	project, name = strings.ToLower(project), strings.ToLower(name)
	return s.update(func(tx *bolt.Tx) error {
		found, err := getSchema(tx, project, name)
		if errors.Is(err, ErrNoSuchSchema) && ifExists {
			return nil
		}
		if err != nil {
			return err
		}
		if name == DefaultSchema {
			return fmt.Errorf("%s: the default schema cannot be dropped: %w", found, ErrInvalidSchema)
		}
		for _, bucket := range schemaContents {
			if firstIn(tx, bucket, project, name) != nil {
				return fmt.Errorf("%s holds %s: %w", found, bucket, ErrSchemaNotEmpty)
			}
		}
		return tx.Bucket(bucketSchemas).Delete(schemaKey(project, name))
	})
}

// AlterSchema keeps what change makes of a schema's comment.
func (s *Store) AlterSchema(project, name string, change func(*Schema) error) (changed Schema, err error) {
	project, name = strings.ToLower(project), strings.ToLower(name)
	err = s.update(func(tx *bolt.Tx) error {
		old, err := getSchema(tx, project, name)
		if err != nil {
			return err
		}
		changed = old
		if err := change(&changed); err != nil {
			return err
		}
		changed.Project, changed.Name, changed.Created, changed.Modified = old.Project, old.Name, old.Created, s.now()
		return putJSON(tx.Bucket(bucketSchemas), schemaKey(project, name), changed)
	})
	return changed, err
}

// Schema returns a schema, or ErrNoSuchSchema.
func (s *Store) Schema(project, name string) (found Schema, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		found, err = getSchema(tx, strings.ToLower(project), strings.ToLower(name))
		return err
	})
	return found, err
}

// NameQuery selects a page of a list in name order.
type NameQuery struct {
	// Prefix of the name in any case, empty for all.
	Prefix string
	// After is the last name of the page before, empty for the first page.
	After string
	// Limit of the page, 0 for no limit.
	Limit int
}

// Schemas lists the schemas of a project in name order. next is empty on the last page,
// else the After of the next.
func (s *Store) Schemas(project string, q NameQuery) (page []Schema, next string, err error) {
	project = strings.ToLower(project)
	err = s.db.View(func(tx *bolt.Tx) error {
		names := schemaNames(tx, project)
		names = slices.DeleteFunc(names, func(name string) bool {
			return !strings.HasPrefix(name, strings.ToLower(q.Prefix)) || q.After != "" && name <= q.After
		})
		if q.Limit > 0 && len(names) > q.Limit {
			names = names[:q.Limit]
			next = names[q.Limit-1]
		}
		for _, name := range names {
			found, err := getSchema(tx, project, name)
			if err != nil {
				return err
			}
			page = append(page, found)
		}
		return nil
	})
	return page, next, err
}

func schemaNames(tx *bolt.Tx, project string) []string {
	names := []string{DefaultSchema}
	prefix := []byte(project + "\x00")
	for _, bucket := range append([][]byte{bucketSchemas}, schemaContents...) {
		c := tx.Bucket(bucket).Cursor()
		for k, _ := c.Seek(prefix); bytes.HasPrefix(k, prefix); {
			name, _, _ := bytes.Cut(k[len(prefix):], []byte{0})
			names = append(names, string(name))
			k, _ = c.Seek([]byte(string(prefix) + string(name) + "\x01")) // behind all keys of the schema
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
