package store

import (
	"bytes"
	"errors"
	"io"
	"path/filepath"

	bolt "go.etcd.io/bbolt"
)

func (c *checker) checkResources(tx *bolt.Tx) error {
	c.stored = map[string]string{}
	return each(c, tx, bucketResources, func(k []byte, r Resource) {
		c.report.Resources++
		at := Finding{Resource: r.Key.String()}
		if !bytes.Equal(k, r.Key.bytes()) {
			c.damagef(at, "lies under the key %q", k)
		}
		switch {
		case r.Kind.HasContent():
			c.content(at, r.Content)
		case r.Source == "" || r.Content.File != "":
			c.damagef(at, "is of type %q without a reference, or with a content", r.Kind)
		}
	})
}

func (c *checker) checkResourceParts(tx *bolt.Tx) error {
	return each(c, tx, bucketResourceParts, func(k []byte, p resourcePart) {
		c.report.Parts++
		at := Finding{Part: p.Key.String()}
		if !bytes.Equal(k, p.Key.bytes()) {
			c.damagef(at, "lies under the key %q", k)
		}
		c.content(at, p.Content)
	})
}

// content compares a file with its size and checksums.
func (c *checker) content(at Finding, content Content) {
	c.report.Bytes += content.Size
	if content.File == "" {
		if content.Size != 0 || content.MD5 != emptyMD5 {
			c.damagef(at, "has %d bytes with MD5 %s, and no file", content.Size, content.MD5)
		}
		return
	}
	at.File = filepath.Join("resources", content.File+contentSuffix)
	if by := c.stored[content.File]; by != "" {
		c.damagef(at, "is listed twice, also by %s", by)
		return
	}
	c.stored[content.File] = at.Resource + at.Part
	f, err := c.contents.Open(content.File + contentSuffix)
	if err != nil {
		c.damagef(at, "cannot be read: %s", err)
		return
	}
	r := &ContentReader{Content: content, file: f}
	err = r.verify()
	if _, more := f.ReadAt(make([]byte, 1), content.Size); err == nil && !errors.Is(more, io.EOF) {
		c.damagef(at, "has more bytes than the %d that the catalogue says", content.Size)
	}
	if err := errors.Join(err, r.Close()); err != nil {
		c.damagef(at, "%s", err)
	}
}
