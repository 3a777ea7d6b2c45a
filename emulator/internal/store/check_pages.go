package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
)

// The pages of a bbolt file, as far as they must be right before bbolt itself may walk
// them: on some damage its own check ends the process. Source: bbolt's package
// internal/common, file format version 2.
const (
	catalogueFile = "catalogue.db"

	boltMagic    = 0xED0CDAED
	pageHeader   = 16 // id uint64, flags uint16, count uint16, overflow uint32
	pageElement  = 16
	bucketHeader = 16 // root page uint64, sequence uint64
	metaChecked  = 56 // bytes of the meta that its checksum covers

	branchPage = 0x01
	leafPage   = 0x02
	bucketLeaf = 0x01 // flag of a leaf's element that holds a bucket
)

var native = binary.NativeEndian

// pageWalk visits every page that the catalogue reaches.
type pageWalk struct {
	data []byte
	size uint64 // of a page
	high uint64 // number of pages in use
	seen map[uint64]bool
}

// boltMeta is a root of the file: there are two, and the later sound one counts.
type boltMeta struct {
	pageSize         uint64
	root, high, txID uint64
}

// pages reports whether the catalogue's pages hang together; if not, why.
func (c *checker) pages(dir FS) bool {
	at := Finding{File: catalogueFile}
	data, release, err := dir.Map(catalogueFile)
	if err != nil {
		c.damagef(at, "cannot be read: %s", err)
		return false
	}
	defer func() { _ = release() }() // it was only read
	meta, ok := c.newestMeta(at, data)
	if !ok {
		return false
	}
	if meta.high*meta.pageSize > uint64(len(data)) {
		c.damagef(at, "has %d bytes, its pages need %d: the end is missing", len(data), meta.high*meta.pageSize)
		return false
	}
	w := &pageWalk{data: data, size: meta.pageSize, high: meta.high, seen: map[uint64]bool{0: true, 1: true}}
	if err := w.bucket(meta.root); err != nil {
		c.damagef(at, "%s", err)
		return false
	}
	return true
}

func (c *checker) newestMeta(at Finding, data []byte) (newest boltMeta, found bool) {
	first, firstFound := parseMeta(data, 0)
	page := uint64(os.Getpagesize()) // as bbolt chose it, unless the first root says otherwise
	if firstFound {
		page = first.pageSize
	}
	second, secondFound := parseMeta(data, page)
	for i, ok := range []bool{firstFound, secondFound} {
		if !ok {
			c.notef(at, "root %d of 2 is not valid, the other one counts: a loss of power may have cut off the last change", i+1)
		}
	}
	switch {
	case !firstFound && !secondFound:
		c.damagef(at, "has no valid root")
		return newest, false
	case !secondFound || firstFound && first.txID > second.txID:
		return first, true
	default:
		return second, true
	}
}

func parseMeta(data []byte, offset uint64) (m boltMeta, ok bool) {
	if uint64(len(data)) < offset+pageHeader+metaChecked+8 {
		return m, false
	}
	p := data[offset+pageHeader:]
	sum := fnv.New64a()
	sum.Write(p[:metaChecked])
	m = boltMeta{pageSize: uint64(native.Uint32(p[8:])), root: native.Uint64(p[16:]), high: native.Uint64(p[40:]), txID: native.Uint64(p[48:])}
	return m, native.Uint32(p) == boltMagic && sum.Sum64() == native.Uint64(p[metaChecked:]) && m.pageSize >= 512 && m.high < 1<<40
}

// bucket walks a B+ tree: every page once and in bounds, keys in ascending order.
func (w *pageWalk) bucket(root uint64) error {
	var last []byte
	return w.page(root, nil, &last)
}

// page walks a subtree whose keys are at least floor and beyond *last.
func (w *pageWalk) page(id uint64, floor []byte, last *[]byte) error {
	if id >= w.high {
		return fmt.Errorf("page %d: out of bounds, there are %d", id, w.high)
	}
	head := w.data[id*w.size:]
	overflow := uint64(native.Uint32(head[12:]))
	if native.Uint64(head) != id || id+overflow >= w.high {
		return fmt.Errorf("page %d: calls itself page %d with %d following", id, native.Uint64(head), overflow)
	}
	for n := id; n <= id+overflow; n++ {
		if w.seen[n] {
			return fmt.Errorf("page %d: is used twice", n)
		}
		w.seen[n] = true
	}
	return w.elements(id, w.data[id*w.size:(id+overflow+1)*w.size], floor, last)
}

// elements walks a page's content, which for small buckets lies inside of a value.
func (w *pageWalk) elements(id uint64, page, floor []byte, last *[]byte) error {
	flags, count := native.Uint16(page[8:]), int(native.Uint16(page[10:]))
	if flags != branchPage && flags != leafPage || pageHeader+count*pageElement > len(page) {
		return fmt.Errorf("page %d: kind %#x with %d entries", id, flags, count)
	}
	for i := range count {
		at := pageHeader + i*pageElement
		e := page[at:]
		var key []byte
		var err error
		if flags == branchPage {
			if key, err = cut(e, uint64(native.Uint32(e)), uint64(native.Uint32(e[4:]))); err == nil && bytes.Compare(key, floor) < 0 {
				err = fmt.Errorf("key %q is below %q", key, floor)
			}
			if err == nil {
				err = w.page(native.Uint64(e[8:]), key, last)
			}
		} else {
			err = w.leaf(id, e, floor, last)
		}
		if err != nil {
			return fmt.Errorf("page %d, entry %d: %w", id, i, err)
		}
	}
	return nil
}

func (w *pageWalk) leaf(id uint64, e, floor []byte, last *[]byte) error {
	pos, keySize, valueSize := uint64(native.Uint32(e[4:])), uint64(native.Uint32(e[8:])), uint64(native.Uint32(e[12:]))
	key, err := cut(e, pos, keySize)
	if err != nil {
		return err
	}
	value, err := cut(e, pos+keySize, valueSize)
	if err != nil {
		return err
	}
	if bytes.Compare(key, floor) < 0 || *last != nil && bytes.Compare(key, *last) <= 0 {
		return fmt.Errorf("key %q is out of order", key)
	}
	*last = key
	if native.Uint32(e)&bucketLeaf == 0 {
		return nil
	}
	if len(value) < bucketHeader {
		return fmt.Errorf("bucket %q is cut", key)
	}
	if root := native.Uint64(value); root != 0 {
		err = w.bucket(root)
	} else if inline := value[bucketHeader:]; len(inline) < pageHeader {
		err = errors.New("is cut")
	} else {
		err = w.elements(id, inline, nil, new([]byte))
	}
	if err != nil {
		return fmt.Errorf("bucket %q: %w", key, err)
	}
	return nil
}

func cut(data []byte, pos, size uint64) ([]byte, error) {
	if end := pos + size; end > uint64(len(data)) {
		return nil, fmt.Errorf("reaches %d bytes beyond the page", end-uint64(len(data)))
	}
	return data[pos : pos+size], nil
}
