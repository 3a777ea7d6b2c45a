package store

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"
)

// maxFunctionText bounds a function's class, definition and code together.
const maxFunctionText = 1 << 20

// Function is a registered function: a name, and what runs under it.
type Function struct {
	// Project and Schema in lower case; Name as given, found in any case.
	Project, Schema, Name string
	Owner                 string
	// ClassType is the class, or module and class, that a resource holds.
	ClassType string `json:",omitempty"`
	// Resources are the resources' full names: project/resources/name, or
	// project/schemas/schema/resources/name outside the default schema.
	Resources []string `json:",omitempty"`
	// SQL functions have a definition, embedded ones code in a language; the fields of
	// what they are not are empty.
	SQL        bool   `json:",omitempty"`
	Definition string `json:",omitempty"`
	Embedded   bool   `json:",omitempty"`
	Language   string `json:",omitempty"`
	Code       string `json:",omitempty"`
	FileName   string `json:",omitempty"`
	// Created and Modified in UTC.
	Created, Modified time.Time
}

// String returns project.name, or project.schema.name outside the default schema.
func (f Function) String() string { return Key{f.Project, f.Schema, f.Name}.String() }

func (f Function) key() []byte {
	return tableKey(NewKey(f.Project, f.Schema, f.Name))
}

func getFunction(tx *bolt.Tx, k Key) (Function, error) {
	var f Function
	ok, err := getJSON(tx.Bucket(bucketFunctions), tableKey(k), &f)
	if err == nil && !ok {
		err = fmt.Errorf("%s: %w", k, ErrNoSuchFunction)
	}
	return f, err
}

// check fills the full names of the resources and refuses what cannot be kept.
func (f *Function) check() error {
	k := NewKey(f.Project, f.Schema, f.Name)
	f.Project, f.Schema = k.Project, k.Schema
	if !validName(k.Project) || !validName(k.Schema) || !validName(k.Name) {
		return fmt.Errorf("function name %q: %w", f, ErrInvalidFunction)
	}
	if f.ClassType == "" && !f.SQL && !f.Embedded {
		return fmt.Errorf("function %s has neither a class nor a definition: %w", f, ErrInvalidFunction)
	}
	if n := len(f.ClassType) + len(f.Definition) + len(f.Code) + len(f.FileName); n > maxFunctionText {
		return fmt.Errorf("function %s has %d bytes of text, %d at most are kept: %w", f, n, maxFunctionText, ErrInvalidFunction)
	}
	for i, name := range f.Resources {
		full, ok := fullResourceName(f.Project, f.Schema, name)
		if !ok {
			return fmt.Errorf("function %s: resource name %q: %w", f, name, ErrInvalidFunction)
		}
		f.Resources[i] = full
	}
	return nil
}

// fullResourceName reads a resource's name: alone, with its project, or with project and
// schema.
func fullResourceName(project, schema, name string) (full string, ok bool) {
	parts := strings.Split(name, "/")
	switch {
	case len(parts) == 1:
	case len(parts) == 3 && parts[1] == "resources":
		project, schema, name = parts[0], DefaultSchema, parts[2]
	case len(parts) == 5 && parts[1] == "schemas" && parts[3] == "resources":
		project, schema, name = parts[0], parts[2], parts[4]
	default:
		return "", false
	}
	if project == "" || schema == "" || name == "" || strings.ContainsRune(project+schema+name, 0) {
		return "", false
	}
	project, schema = strings.ToLower(project), strings.ToLower(schema)
	if schema == DefaultSchema {
		return project + "/resources/" + name, true
	}
	return project + "/schemas/" + schema + "/resources/" + name, true
}

// requireResources refuses names of resources that are not there. They are full.
func requireResources(tx *bolt.Tx, names []string) error {
	for _, full := range names {
		parts := strings.Split(full, "/")
		schema := DefaultSchema
		if len(parts) == 5 {
			schema = parts[2]
		}
		if tx.Bucket(bucketResources).Get([]byte(parts[0]+"\x00"+schema+"\x00"+parts[len(parts)-1])) == nil {
			return fmt.Errorf("%s: %w", full, ErrNoSuchResource)
		}
	}
	return nil
}

// CreateFunction registers a function: ErrFunctionExists, ErrInvalidFunction,
// ErrNoSuchResource, or ErrNoSuchSchema where schemas must be created first.
func (s *Store) CreateFunction(f Function) (Function, error) {
	if err := f.check(); err != nil {
		return f, err
	}
	err := s.update(func(tx *bolt.Tx) error {
		_, err := getFunction(tx, NewKey(f.Project, f.Schema, f.Name))
		if err == nil {
			return fmt.Errorf("%s: %w", f, ErrFunctionExists)
		}
		if !errors.Is(err, ErrNoSuchFunction) {
			return err
		}
		if err := errors.Join(s.requireSchema(tx, f.Project, f.Schema), requireResources(tx, f.Resources)); err != nil {
			return err
		}
		f.Created = s.now()
		f.Modified = f.Created
		return putJSON(tx.Bucket(bucketFunctions), f.key(), f)
	})
	return f, err
}

// AlterFunction replaces a function by what change makes of it; names and creation time
// are kept. Errors as of CreateFunction, and ErrNoSuchFunction.
func (s *Store) AlterFunction(k Key, change func(*Function) error) (f Function, err error) {
	err = s.update(func(tx *bolt.Tx) error {
		old, err := getFunction(tx, k)
		if err != nil {
			return err
		}
		f = old
		f.Resources = append([]string{}, old.Resources...)
		if err := change(&f); err != nil {
			return err
		}
		f.Project, f.Schema, f.Name, f.Created, f.Modified = old.Project, old.Schema, old.Name, old.Created, s.now()
		if err := f.check(); err != nil {
			return err
		}
		if err := requireResources(tx, f.Resources); err != nil {
			return err
		}
		return putJSON(tx.Bucket(bucketFunctions), f.key(), f)
	})
	return f, err
}

// DropFunction removes a function, or is ErrNoSuchFunction.
func (s *Store) DropFunction(k Key) error {
	return s.update(func(tx *bolt.Tx) error {
		if _, err := getFunction(tx, k); err != nil {
			return err
		}
		return tx.Bucket(bucketFunctions).Delete(tableKey(k))
	})
}

// Function returns a function, or ErrNoSuchFunction.
func (s *Store) Function(k Key) (f Function, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		f, err = getFunction(tx, k)
		return err
	})
	return f, err
}

// Functions lists the functions of a schema in name order. next is empty on the last
// page, else the After of the next.
func (s *Store) Functions(project, schema string, q NameQuery) (page []Function, next string, err error) {
	prefix := tableKey(NewKey(project, schema, q.Prefix))
	err = s.db.View(func(tx *bolt.Tx) error {
		c := tx.Bucket(bucketFunctions).Cursor()
		start := prefix
		if from := append(tableKey(NewKey(project, schema, q.After)), 0); q.After != "" && bytes.Compare(from, prefix) > 0 {
			start = from
		}
		for k, _ := c.Seek(start); bytes.HasPrefix(k, prefix); k, _ = c.Next() {
			if q.Limit > 0 && len(page) == q.Limit {
				next = page[len(page)-1].Name
				return nil
			}
			var f Function
			if _, err := getJSON(tx.Bucket(bucketFunctions), k, &f); err != nil {
				return err
			}
			page = append(page, f)
		}
		return nil
	})
	return page, next, err
}
