package store_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-io/sluice/emulator/internal/store"
	"github.com/sluice-io/sluice/emulator/internal/types"
)

// partitions are those of one column pt.
func partitions(values ...string) (specs []types.PartitionSpec) {
	for _, v := range values {
		specs = append(specs, pt(v))
	}
	return specs
}

// sealed is a segment file in its pieces (docs/formats/store.md).
type sealed struct{ header, data, footer, trailer []byte }

const (
	headerBytes  = 64
	trailerBytes = 32
)

func openSealed(file []byte) sealed {
	tail := file[len(file)-trailerBytes:]
	n := headerBytes + binary.LittleEndian.Uint64(tail)
	return sealed{file[:headerBytes], file[headerBytes:n], file[n : len(file)-trailerBytes], tail}
}

// whole puts the pieces together, with the checksum of the footer as it is now.
func (s sealed) whole() []byte {
	tail := bytes.Clone(s.trailer)
	binary.LittleEndian.PutUint32(tail[16:], crc32.Checksum(s.footer, crc32.MakeTable(crc32.Castagnoli)))
	return bytes.Join([][]byte{s.header, s.data, s.footer, tail}, nil)
}

// A file whose footer says what cannot be is an error that says so, whatever its checksum:
// never a panic, never rows.
func TestSegmentsThatCannotBe_are_refused(t *testing.T) {
	le := binary.LittleEndian
	change := func(fn func(*sealed)) func([]byte) []byte {
		return func(file []byte) []byte {
			s := openSealed(bytes.Clone(file))
			fn(&s)
			return s.whole()
		}
	}
	footer32 := func(at int, v uint32) func([]byte) []byte {
		return change(func(s *sealed) { le.PutUint32(s.footer[at:], v) })
	}
	footer64 := func(at int, v int64) func([]byte) []byte {
		return change(func(s *sealed) { le.PutUint64(s.footer[at:], uint64(v)) })
	}
	cut := func(n int) func([]byte) []byte { // the footer keeps n bytes
		return change(func(s *sealed) {
			s.footer = s.footer[:n]
			le.PutUint64(s.trailer[8:], uint64(n))
		})
	}
	const blocks = 4 + 2*32 // behind two messages
	for name, c := range map[string]struct {
		edit func([]byte) []byte
		want string
	}{
		"as it is":               {change(func(*sealed) {}), ""},
		"shorter than its frame": {func(f []byte) []byte { return f[len(f)-headerBytes-trailerBytes+1:] }, "not a segment file"},
		"another beginning":      {func(f []byte) []byte { f[0] ^= 1; return f }, "not a segment file"},
		"another end":            {func(f []byte) []byte { f[len(f)-1] ^= 1; return f }, "not a segment file"},
		"another version":        {func(f []byte) []byte { le.PutUint32(f[len(f)-12:], 2); return f }, "segment version 2"},
		"more data than file":    {func(f []byte) []byte { le.PutUint64(f[len(f)-32:], math.MaxUint64-7); return f }, "lengths disagree"},
		"a longer footer":        {func(f []byte) []byte { f[len(f)-24]++; return f }, "lengths disagree"},
		"a footer turned over":   {func(f []byte) []byte { f[len(f)-trailerBytes-2] ^= 1; return f }, "footer is damaged"},
		"no footer":              {cut(0), "footer is too short"},
		"a cut count":            {cut(3), "footer is too short"},
		"a cut message":          {cut(4 + 32 + 31), "footer is too short"},
		"no count of checksums":  {cut(blocks + 3), "footer is too short"},
		"a cut checksum":         {cut(blocks + 4 + 7), "footer is too short"},
		"many messages":          {footer32(0, math.MaxUint32), "footer is too short"},
		"many checksums":         {footer32(blocks, math.MaxUint32), "footer is too short"},
		"a message in the head":  {footer64(4, headerBytes-1), "outside the data"},
		"a message far behind":   {footer64(4, math.MaxInt64), "outside the data"},
		"a message at the end":   {change(func(s *sealed) { le.PutUint64(s.footer[4:], uint64(headerBytes+len(s.data))) }), "outside the data"},
		"a body below nothing":   {footer64(4+16, -1<<40), "outside the data"},
		"a body without end":     {footer64(4+16, math.MaxInt64-9), "outside the data"},
		"rows below nothing":     {footer64(4+24, -1), "outside the data"},
		"a checksum too long":    {footer32(blocks+4, math.MaxUint32), "cover more than the data"},
		"a checksum too short":   {change(func(s *sealed) { s.footer[blocks+4]-- }), "is damaged between bytes 64 and"},
		"no checksums":           {footer32(blocks, 0), "do not cover the data"},
		"another checksum":       {change(func(s *sealed) { s.footer[blocks+8] ^= 1 }), "is damaged between bytes 64 and"},
		"data turned over":       {func(f []byte) []byte { f[headerBytes+100] ^= 1; return f }, "is damaged between bytes 64 and"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, store.Options{Dir: dir})
			tab := create(t, s, "t", "id bigint", "")
			publish(t, s, tab, nil, store.PublishOptions{}, ids(0, 3), ids(3, 4))
			must(t, s.Close())
			names, err := filepath.Glob(filepath.Join(dir, "segments", "*.seg"))
			must(t, err)
			file, err := os.ReadFile(names[0])
			must(t, err)
			must(t, os.WriteFile(names[0], c.edit(file), 0o600))
			s = open(t, store.Options{Dir: dir})
			if c.want == "" {
				if got := snapshotIDs(t, s, tab.Key, nil); len(got) != 7 {
					t.Errorf("rows %v", got)
				}
				return
			}
			sn, err := s.Snapshot(tab.Key, nil)
			must(t, err)
			defer sn.Release()
			for rec, err := range sn.Batches(store.ReadOptions{}) {
				if rec != nil || !errors.Is(err, store.ErrStorage) || !strings.Contains(err.Error(), c.want) {
					t.Errorf("read = %v, %v, want ErrStorage with %q", rec, err, c.want)
				}
			}
		})
	}
}

// Rows that come and go stamp the table and the partition, and no other.
func TestRowsStampTheirTableAndPartition(t *testing.T) {
	now := time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)
	s := open(t, store.Options{Now: func() time.Time { return now }})
	tab := create(t, s, "t", "id bigint", "pt string")
	now = now.Add(time.Hour)
	must(t, s.AddPartitions(tab.Key, partitions("a", "b"), false))
	made := now
	if after, err := s.Table(tab.Key); err != nil || !after.LastDDL.Equal(made) || !after.Modified.Equal(made) || !after.LastDataModified.Before(made) {
		t.Errorf("after partitions were added: %v, %v, %v, %v", after.Modified, after.LastDataModified, after.LastDDL, err)
	}
	changes := []struct {
		what string
		call func()
		rows int64
	}{
		{"publish", func() { publish(t, s, tab, pt("a"), store.PublishOptions{}, ids(0, 2)) }, 2},
		{"overwrite", func() { publish(t, s, tab, pt("a"), store.PublishOptions{Overwrite: true}, ids(0, 3)) }, 3},
		{"truncate the partition", func() { must(t, s.TruncatePartitions(tab.Key, partitions("a"))) }, 0},
	}
	for _, c := range changes {
		now = now.Add(time.Hour)
		c.call()
		after, err := s.Table(tab.Key)
		must(t, err)
		if !after.Modified.Equal(now) || !after.LastDataModified.Equal(now) || !after.LastDDL.Equal(made) || after.Rows != c.rows {
			t.Errorf("%s at %v: the table has %d rows and times %v, %v, %v", c.what, now, after.Rows, after.Modified, after.LastDataModified, after.LastDDL)
		}
		for value, want := range map[string]time.Time{"a": now, "b": made} {
			p, err := s.Partition(tab.Key, pt(value))
			must(t, err)
			if !p.Modified.Equal(want) || !p.LastDDL.Equal(made) || !p.Created.Equal(made) {
				t.Errorf("%s at %v: partition %s has %+v", c.what, now, value, p)
			}
		}
	}
	now = now.Add(time.Hour)
	must(t, s.DropPartitions(tab.Key, partitions("b"), nil, false))
	after, err := s.Table(tab.Key)
	must(t, err)
	if got := [3]time.Time{after.Modified, after.LastDataModified, after.LastDDL}; got != [3]time.Time{now, now, now} {
		t.Errorf("after a partition was dropped: times %v", got)
	}
	now = now.Add(time.Hour)
	must(t, s.ChangePartition(tab.Key, pt("a"), pt("a")))
	p, err := s.Partition(tab.Key, pt("a"))
	must(t, err)
	after, err = s.Table(tab.Key)
	must(t, err)
	if !p.LastDDL.Equal(now) || !p.Created.Equal(made) || !after.LastDDL.Equal(now) || !after.Modified.Equal(now) {
		t.Errorf("touched: partition %+v, table %v", p, after.LastDDL)
	}
}

// Truncating gives back the files and takes nothing but the rows of what is named.
func TestTruncateTakesTheRowsOfWhatIsNamed(t *testing.T) {
	dir := t.TempDir()
	s := open(t, store.Options{Dir: dir})
	tab := create(t, s, "t", "id bigint", "pt string")
	for i, value := range []string{"a", "b", "c"} {
		publish(t, s, tab, pt(value), store.PublishOptions{CreatePartitions: true}, ids(int64(i*10), 2))
	}
	must(t, s.TruncatePartitions(tab.Key, partitions("a", "c")))
	for value, want := range map[string][]int64{"a": nil, "b": {10, 11}, "c": nil} {
		if diff := cmp.Diff(want, snapshotIDs(t, s, tab.Key, pt(value))); diff != "" {
			t.Errorf("partition %s: %s", value, diff)
		}
	}
	eventually(t, "removal of two segments", func() bool { return segmentFiles(t, dir) == 1 })
	after, err := s.Table(tab.Key)
	must(t, err)
	b, err := s.Partition(tab.Key, pt("b"))
	must(t, err)
	if after.Rows != 2 || after.Bytes != b.Bytes || b.Rows != 2 || b.Bytes == 0 {
		t.Errorf("the table counts %d rows and %d bytes, its partition %d and %d", after.Rows, after.Bytes, b.Rows, b.Bytes)
	}
	must(t, s.Truncate(tab.Key))
	if rows := snapshotIDs(t, s, tab.Key, pt("b")); len(rows) != 0 {
		t.Errorf("rows after TRUNCATE: %v", rows)
	}
	eventually(t, "removal of the last segment", func() bool { return segmentFiles(t, dir) == 0 })
	if after, err = s.Table(tab.Key); err != nil || after.Rows != 0 || after.Bytes != 0 {
		t.Errorf("after TRUNCATE: %d rows, %d bytes, %v", after.Rows, after.Bytes, err)
	}
}
