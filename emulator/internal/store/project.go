package store

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"
)

// keyCreated of bucket meta holds when the store was made, RFC 3339: the birth of
// every project, as projects are implicit.
var keyCreated = []byte("created")

// Project is what is known of a project beyond its name.
type Project struct {
	// Name in lower case.
	Name       string
	Comment    string            `json:",omitempty"`
	Properties map[string]string `json:",omitempty"`
	// Created and Modified (comment or properties) in UTC.
	Created, Modified time.Time
}

// keepBirth notes when the store was made; of an older one the first table tells.
func (s *Store) keepBirth(tx *bolt.Tx) error {
	meta := tx.Bucket(bucketMeta)
	if meta.Get(keyCreated) != nil {
		return nil
	}
	birth := s.now()
	b := tx.Bucket(bucketTables)
	c := b.Cursor()
	for k, _ := c.First(); k != nil; k, _ = c.Next() {
		var t Table
		if _, err := getJSON(b, k, &t); err != nil {
			return err
		}
		if t.Created.Before(birth) {
			birth = t.Created
		}
	}
	return meta.Put(keyCreated, []byte(birth.Format(time.RFC3339Nano)))
}

func birth(tx *bolt.Tx) (time.Time, error) {
	at, err := time.Parse(time.RFC3339Nano, string(tx.Bucket(bucketMeta).Get(keyCreated)))
	if err != nil {
		return at, fmt.Errorf("decode the store's time of creation: %w", err)
	}
	return at, nil
}

// getProject returns a project's record, or what one would begin with.
func getProject(tx *bolt.Tx, name string) (Project, error) {
	p := Project{Name: strings.ToLower(name)}
	ok, err := getJSON(tx.Bucket(bucketProjects), []byte(p.Name), &p)
	if err != nil || ok {
		return p, err
	}
	p.Created, err = birth(tx)
	p.Modified = p.Created
	return p, err
}

// Project returns what is known of a project; any name is one.
func (s *Store) Project(name string) (p Project, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		p, err = getProject(tx, name)
		return err
	})
	return p, err
}

// AlterProject keeps what change makes of a project's comment and properties.
func (s *Store) AlterProject(name string, change func(*Project) error) (p Project, err error) {
	err = s.update(func(tx *bolt.Tx) error {
		old, err := getProject(tx, name)
		if err != nil {
			return err
		}
		p = old
		p.Properties = maps.Clone(old.Properties)
		if p.Properties == nil {
			p.Properties = map[string]string{}
		}
		if err := change(&p); err != nil {
			return err
		}
		p.Name, p.Created, p.Modified = old.Name, old.Created, s.now()
		return putJSON(tx.Bucket(bucketProjects), []byte(p.Name), p)
	})
	return p, err
}

// Projects returns the projects that something is known of or that hold anything, by
// name.
func (s *Store) Projects() (names []string, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		for _, bucket := range append([][]byte{bucketProjects, bucketSchemas}, schemaContents...) {
			c := tx.Bucket(bucket).Cursor()
			for k, _ := c.First(); k != nil; {
				name, _, _ := bytes.Cut(k, []byte{0})
				names = append(names, string(name))
				k, _ = c.Seek([]byte(string(name) + "\x01")) // behind all keys of the project
			}
		}
		return nil
	})
	slices.Sort(names)
	return slices.Compact(names), err
}

// ProjectBytes sums the bytes of a project's tables.
func (s *Store) ProjectBytes(name string) (n int64, err error) {
	prefix := []byte(strings.ToLower(name) + "\x00")
	err = s.db.View(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketTables)
		c := b.Cursor()
		for k, _ := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = c.Next() {
			var t Table
			if _, err := getJSON(b, k, &t); err != nil {
				return err
			}
			n += t.Bytes
		}
		return nil
	})
	return n, err
}

// Created is when the store was made.
func (s *Store) Created() (at time.Time, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		at, err = birth(tx)
		return err
	})
	return at, err
}
