package store_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/sluice-io/sluice/emulator/internal/store"
)

// countingFS counts what is mapped.
type countingFS struct {
	store.FS
	maps, held atomic.Int64
}

func (c *countingFS) Map(name string) ([]byte, func() error, error) {
	data, release, err := c.FS.Map(name)
	if err != nil {
		return nil, nil, err
	}
	c.maps.Add(1)
	c.held.Add(1)
	return data, func() error {
		c.held.Add(-1)
		return release()
	}, nil
}

// A second reader maps nothing, no more than so many segments wait for one, and none is left
// over at the end.
func TestSegmentsStayMappedBetweenReaders(t *testing.T) {
	dir := t.TempDir()
	fs := &countingFS{}
	s := open(t, store.Options{Dir: dir, Folder: instead("segments", func(inner store.FS) store.FS { fs.FS = inner; return fs })})
	tables := make([]store.Table, store.MaxIdle+3)
	for i := range tables {
		tables[i] = create(t, s, fmt.Sprintf("t%d", i), "id bigint", "")
		publish(t, s, tables[i], nil, store.PublishOptions{}, ids(int64(i), 1))
	}
	fs.maps.Store(0) // those of the writers' checks
	for range 2 {
		snapshotIDs(t, s, tables[0].Key, nil)
	}
	if got := fs.maps.Load(); got != 1 {
		t.Errorf("two readers mapped %d times, want once", got)
	}
	for _, table := range tables {
		snapshotIDs(t, s, table.Key, nil)
	}
	if got := fs.held.Load(); got != store.MaxIdle {
		t.Errorf("%d segments are mapped while nobody reads, want %d", got, store.MaxIdle)
	}
	last := tables[len(tables)-1].Key
	pinned, err := s.Snapshot(last, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.DropTable(last, false); err != nil {
		t.Fatal(err)
	}
	if got := readIDs(t, pinned, store.ReadOptions{}); len(got) != 1 {
		t.Errorf("a pinned snapshot of a dropped table has rows %v", got)
	}
	pinned.Release()
	if err := s.DropTable(tables[len(tables)-2].Key, false); err != nil {
		t.Fatal(err)
	}
	if got := fs.held.Load(); got != store.MaxIdle-2 {
		t.Errorf("%d segments are mapped after two were dropped, want %d", got, store.MaxIdle-2)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got := fs.held.Load(); got != 0 {
		t.Errorf("%d segments are mapped after Close", got)
	}
}
