package store_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"

	"github.com/sluice-io/sluice/emulator/internal/store"
	"github.com/sluice-io/sluice/emulator/internal/types"
)

// pt is the partition pt=value.
func pt(value string) types.PartitionSpec {
	return types.PartitionSpec{{Column: "pt", Value: value}}
}

// everything makes a folder that holds one of everything, and closes it.
func everything(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	s := open(t, store.Options{Dir: dir})
	plain := create(t, s, "plain", "id bigint", "")
	publish(t, s, plain, nil, store.PublishOptions{}, ids(0, 5))
	_, err := s.AlterTable(plain.Key, func(t *store.Table) error {
		t.Columns = append(t.Columns, store.Column{Name: "added", Type: types.Type{Kind: types.String}, Nullable: true})
		return nil
	})
	must(t, err)
	split := create(t, s, "split", "id bigint", "pt string")
	for _, value := range []string{"a", "b"} {
		publish(t, s, split, pt(value), store.PublishOptions{CreatePartitions: true}, ids(10, 3))
	}
	must(t, s.AddPartitions(split.Key, []types.PartitionSpec{pt("empty")}, false))
	for _, commit := range []bool{true, false} {
		u, err := s.CreateUpload(store.UploadRequest{Key: split.Key, Spec: pt("a")})
		must(t, err)
		must(t, s.PutBlock(u.ID, 0, 0, segment(t, s, split, ids(20, 2))))
		must(t, s.PutBlock(u.ID, 7, 0, segment(t, s, split)))
		if commit {
			_, err := s.CommitUpload(u.ID)
			must(t, err)
		}
	}
	must(t, put(s, "f", "content of f"))
	must(t, put(s, "empty", ""))
	must(t, putPart(s, "f.part", "a part"))
	_, err = s.PutResource(store.ResourceChange{Key: key("ref"), Kind: store.TableResource, Source: "p.plain", By: "me"})
	must(t, err)
	_, err = s.CreateSchema("p", "s1", "", false)
	must(t, err)
	_, err = s.CreateFunction(store.Function{Project: "p", Schema: store.DefaultSchema, Name: "fn", ClassType: "a.B"})
	must(t, err)
	_, err = s.AlterProject("p", func(p *store.Project) error { p.Comment = "ours"; return nil })
	must(t, err)
	must(t, s.Close())
	return dir
}

func check(t *testing.T, dir string) *store.Report {
	t.Helper()
	report, err := store.Check(t.Context(), dir, 50*time.Millisecond)
	if err != nil {
		t.Fatalf("Check = %v", err)
	}
	return report
}

// wantDamage checks that a finding that is no note has all the texts.
func wantDamage(t *testing.T, what, dir string, texts ...string) {
	t.Helper()
	report := check(t, dir)
	for _, f := range report.Findings {
		if !f.Note && !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(f.String(), text) }) {
			return
		}
	}
	t.Errorf("%s: found %v, want damage that names %q", what, report.Findings, texts)
}

// files lists what is in a folder of the store, relative to dir.
func files(t *testing.T, dir, folder string) (names []string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, folder, "*"))
	must(t, err)
	for _, path := range paths {
		names = append(names, filepath.Join(folder, filepath.Base(path)))
	}
	return names
}

func TestCheckOfASoundFolder(t *testing.T) {
	dir := everything(t)
	before := fingerprint(t, dir)
	want := &store.Report{Version: "2", Tables: 2, Partitions: 4, Sessions: 2, Segments: 5, Rows: 15, Resources: 3, Parts: 1, Findings: []store.Finding{}}
	got := check(t, dir)
	want.Bytes = got.Bytes
	if diff := cmp.Diff(want, got); diff != "" || got.Bytes == 0 || !got.Sound() {
		t.Error(diff, got.Bytes)
	}
	if after := fingerprint(t, dir); !maps.Equal(before, after) {
		t.Error("the check changed the folder")
	}
	must(t, os.WriteFile(filepath.Join(dir, "segments", strings.Repeat("0", 32)+".seg"), nil, 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "resources", "readme.txt"), nil, 0o600))
	got = check(t, dir)
	if len(got.Findings) != 2 || !got.Findings[0].Note || !got.Findings[1].Note || !got.Sound() {
		t.Errorf("with stray files: %v, want two notes", got.Findings)
	}
	editCatalogue(t, dir, setVersion("1"))
	if got := check(t, dir); !got.Sound() || !strings.Contains(got.Findings[0].String(), "upgrades") {
		t.Errorf("of version 1: %v, want a note that it will be upgraded", got.Findings)
	}
}

// fingerprint is the content of every file.
func fingerprint(t *testing.T, dir string) map[string][32]byte {
	t.Helper()
	sums := map[string][32]byte{}
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		sums[path] = sha256.Sum256(data)
		return err
	}))
	return sums
}

func TestCheckNeedsAFolderThatNobodyUses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "README.md")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Check(t.Context(), file, time.Millisecond); !errors.Is(err, store.ErrNoStore) {
		t.Errorf("Check of a file = %v, want ErrNoStore", err)
	}
	if _, err := store.Check(t.Context(), t.TempDir(), time.Millisecond); !errors.Is(err, store.ErrNoStore) {
		t.Errorf("Check of an empty folder = %v, want ErrNoStore", err)
	}
	dir := t.TempDir()
	s := open(t, store.Options{Dir: dir})
	if _, err := store.Check(t.Context(), dir, time.Millisecond); !errors.Is(err, store.ErrHeld) {
		t.Errorf("Check of an open store = %v, want ErrHeld", err)
	}
	must(t, s.Close())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := store.Check(ctx, everything(t), time.Second); !errors.Is(err, context.Canceled) {
		t.Errorf("Check with a context that has ended = %v", err)
	}
}

// Any byte of any file that is listed may change: the check names the file.
func TestCheckFindsEveryFlippedByte(t *testing.T) {
	dir := everything(t)
	rng := rand.New(rand.NewPCG(3, 4))
	flips := 0
	for _, name := range append(files(t, dir, "segments"), files(t, dir, "resources")...) {
		path := filepath.Join(dir, name)
		data, err := os.ReadFile(path)
		must(t, err)
		for at := range data {
			broken := bytes.Clone(data)
			broken[at] ^= byte(1 + rng.IntN(255))
			must(t, os.WriteFile(path, broken, 0o600))
			wantDamage(t, "byte flipped", dir, name)
			flips++
			if t.Failed() {
				t.Fatalf("%s: byte %d of %d", name, at, len(data))
			}
		}
		must(t, os.WriteFile(path, data, 0o600))
	}
	if flips < 1000 || !check(t, dir).Sound() {
		t.Errorf("%d flips, then %v", flips, check(t, dir).Findings)
	}
}

// As above for a file of many checksummed pieces and batches, at random places.
func TestCheckFindsFlippedBytesInLargeFiles(t *testing.T) {
	dir := t.TempDir()
	s := open(t, store.Options{Dir: dir})
	tab := create(t, s, "t", "id bigint", "")
	publish(t, s, tab, nil, store.PublishOptions{}, ids(0, 20_000), ids(5, 30_000), ids(7, 1))
	must(t, put(s, "f", large))
	must(t, s.Close())
	rng := rand.New(rand.NewPCG(5, 6))
	for _, name := range append(files(t, dir, "segments"), files(t, dir, "resources")...) {
		path := filepath.Join(dir, name)
		data, err := os.ReadFile(path)
		must(t, err)
		for range 100 {
			at, bit := rng.IntN(len(data)), byte(1)<<rng.IntN(8)
			data[at] ^= bit
			must(t, os.WriteFile(path, data, 0o600))
			wantDamage(t, "byte flipped", dir, name)
			data[at] ^= bit
		}
		must(t, os.WriteFile(path, data, 0o600))
	}
}

func TestCheckFindsWhatHappenedToFiles(t *testing.T) {
	sound := everything(t)
	for _, folder := range []string{"segments", "resources"} {
		for what, harm := range map[string]func(path, other string) error{
			"deleted": func(path, _ string) error { return os.Remove(path) },
			"emptied": func(path, _ string) error { return os.Truncate(path, 0) },
			"cut":     func(path, _ string) error { return os.Truncate(path, 5) },
			"lengthened": func(path, _ string) error {
				data, err := os.ReadFile(path)
				return errors.Join(err, os.WriteFile(path, append(data, 0), 0o600))
			},
			"replaced": func(path, other string) error {
				data, err := os.ReadFile(other)
				return errors.Join(err, os.WriteFile(path, data, 0o600))
			},
		} {
			dir := t.TempDir()
			must(t, os.CopyFS(dir, os.DirFS(sound)))
			names := files(t, dir, folder)
			sizes := map[int64]string{}
			for _, name := range names {
				info, err := os.Stat(filepath.Join(dir, name))
				must(t, err)
				sizes[info.Size()] = name
			}
			delete(sizes, 0)
			victim := names[0]
			info, err := os.Stat(filepath.Join(dir, victim))
			must(t, err)
			delete(sizes, info.Size())
			other := victim
			for _, name := range sizes {
				other = name
			}
			if other == victim {
				t.Fatalf("%s: no file of another size", folder)
			}
			must(t, harm(filepath.Join(dir, victim), filepath.Join(dir, other)))
			wantDamage(t, folder+" "+what, dir, victim)
		}
	}
	dir := everything(t)
	must(t, os.RemoveAll(filepath.Join(dir, "segments")))
	wantDamage(t, "folder deleted", dir, "table p.plain", "segments")
}

// edit changes the JSON of the first entry of a bucket that the key's text is in.
func edit(t *testing.T, dir, bucket, in string, change func(map[string]any)) {
	t.Helper()
	editCatalogue(t, dir, func(tx *bolt.Tx) error {
		b := tx.Bucket([]byte(bucket))
		c := b.Cursor()
		for k, v := c.First(); k != nil; k, v = c.Next() {
			if !bytes.Contains(k, []byte(in)) && !bytes.Contains(v, []byte(in)) {
				continue
			}
			var entry map[string]any
			if err := json.Unmarshal(v, &entry); err != nil {
				return err
			}
			change(entry)
			text, err := json.Marshal(entry)
			if err != nil {
				return err
			}
			return b.Put(bytes.Clone(k), text)
		}
		t.Errorf("bucket %s has no entry with %q", bucket, in)
		return nil
	})
}

func set(field string, value any) func(map[string]any) {
	return func(entry map[string]any) { entry[field] = value }
}

// inContent changes the description of a content.
func inContent(field string, value any) func(map[string]any) {
	return func(entry map[string]any) { entry["Content"].(map[string]any)[field] = value }
}

// copyEntry puts the first entry of a bucket under another key too.
func copyEntry(bucket string, change func(key []byte) []byte) func(*bolt.Tx) error {
	return func(tx *bolt.Tx) error {
		b := tx.Bucket([]byte(bucket))
		k, v := b.Cursor().First()
		return b.Put(change(bytes.Clone(k)), bytes.Clone(v))
	}
}

// changeBlocks puts each block, changed, in the place of the old one or under another key.
func changeBlocks(change func(id, key []byte, block map[string]any) (to []byte)) func(*bolt.Tx) error {
	return func(tx *bolt.Tx) error {
		b := tx.Bucket([]byte("blocks"))
		changed := map[string][]byte{}
		err := b.ForEach(func(k, v []byte) error {
			var block map[string]any
			if err := json.Unmarshal(v, &block); err != nil {
				return err
			}
			id, _, _ := bytes.Cut(k, []byte{0})
			to := change(bytes.Clone(id), k, block)
			if to == nil {
				to = k
			}
			text, err := json.Marshal(block)
			changed[string(to)] = text
			return err
		})
		for k, v := range changed {
			err = errors.Join(err, b.Put([]byte(k), v))
		}
		return err
	}
}

func last(key []byte) []byte { key[len(key)-1] ^= 0x55; return key }

func TestCheckFindsWhatIsWrongInTheCatalogue(t *testing.T) {
	entry := func(bucket, in string, change func(map[string]any)) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) { t.Helper(); edit(t, dir, bucket, in, change) }
	}
	raw := func(change func(*bolt.Tx) error) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) { t.Helper(); editCatalogue(t, dir, change) }
	}
	garbage := func(bucket string) func(*bolt.Tx) error {
		return func(tx *bolt.Tx) error {
			k, _ := tx.Bucket([]byte(bucket)).Cursor().First()
			return tx.Bucket([]byte(bucket)).Put(bytes.Clone(k), []byte("{"))
		}
	}
	type kase struct {
		name  string
		harm  func(t *testing.T, dir string)
		wants []string
	}
	cases := []kase{
		{"table's rows", entry("tables", "plain", set("Rows", 6)), []string{"table p.plain", "counts 6 rows", "have 5"}},
		{"table's bytes", entry("tables", "split", set("Bytes", 1)), []string{"table p.split", "in 1 bytes"}},
		{"table's schema version", entry("tables", "plain", set("SchemaVersion", 0)), []string{"table p.plain", "schema version 0"}},
		{"table's history", entry("tables", "plain", set("History", []any{})), []string{"table p.plain", "history of 0"}},
		{"table's history and version", entry("tables", "plain", func(e map[string]any) { e["History"], e["SchemaVersion"] = []any{}, -1 }), []string{"table p.plain", "history of 0"}},
		{"table's columns", entry("tables", "plain", set("Columns", []any{})), []string{"table p.plain", "file catalogue.db", "other columns"}},
		{"table's ID", entry("tables", "split", set("ID", "0000000000000001")), []string{"table p.split", "has the ID"}},
		{"table's key", raw(copyEntry("tables", last)), []string{"table p.plain", "lies under the key"}},
		{"partition's rows", entry("parts", `"Value":"b"`, set("Rows", 4)), []string{"table p.split", "partition pt=b", "counts 4 rows", "have 3"}},
		{"partition's number", entry("parts", `"Value":"b"`, set("Number", 1)), []string{"table p.split", "partition pt=b", "has number 1"}},
		{"partition's counters", entry("parts", `"Value":"b"`, set("Bytes", 1)), []string{"table p.split", "partition pt=b", "file catalogue.db", "in 1 bytes, its segments have"}},
		{"partition's number of none", entry("parts", `"Value":"b"`, set("Number", 0)), []string{"table p.split", "partition pt=b", "file catalogue.db", "has number 0"}},
		{"partition's column", entry("parts", `"Value":"b"`, set("Spec", []any{map[string]any{"Column": "zz", "Value": "b"}})), []string{"partition zz=b", "file catalogue.db", "zz"}},
		{"partition's key", raw(func(tx *bolt.Tx) error {
			b := tx.Bucket([]byte("parts"))
			k, v := b.Cursor().Last()
			return b.Put(append(bytes.Clone(k), 'x'), bytes.Clone(v))
		}), []string{"table p.split, partition pt=", "file catalogue.db", "lies under the key"}},
		{"partition without table", raw(copyEntry("parts", func(k []byte) []byte { k[0] = 'f'; return k })), []string{"belongs to table ID"}},
		{"segment's rows", entry("segs", `"Rows":5`, set("Rows", 4)), []string{"table p.plain", "segments/", "has 5 rows", "says 4"}},
		{"segment's bytes", entry("segs", `"Rows":5`, set("Bytes", 4)), []string{"table p.plain", "segments/", "in 4"}},
		{"segment's schema version", entry("segs", `"Rows":5`, set("SchemaVersion", 1)), []string{"table p.plain", "segments/", "other columns"}},
		{"segment's stale version", entry("segs", `"Rows":5`, set("SchemaVersion", 9)), []string{"table p.plain", "segments/", "schema version 9"}},
		{"segment twice", raw(copyEntry("segs", last)), []string{"table p.plain", "segments/", "listed twice"}},
		{"segment without partition", raw(copyEntry("segs", func(k []byte) []byte { k[0] = 1; return k })), []string{"segments/", "which is none"}},
		{"segment's key", raw(copyEntry("segs", func(k []byte) []byte { return k[1:] })), []string{"bucket segs", "15 bytes"}},
		{"session's key", raw(copyEntry("uploads", last)), []string{"session ", "lies under the key"}},
		{"session's closing undone", entry("uploads", `"Closed":true`, set("Closed", false)), []string{"session ", "listed twice"}},
		{"block without session", raw(copyEntry("blocks", func(k []byte) []byte { k[0] = 'x'; return k })), []string{"belongs to no session"}},
		{"block's number", raw(copyEntry("blocks", last)), []string{"session ", "block 0", "lies under the key"}},
		{"blocks without a file", raw(changeBlocks(func(id, _ []byte, b map[string]any) []byte { b["Segment"] = ""; return nil })), []string{"session ", "block 0 counts 2 rows and has no file"}},
		{"block below all", raw(changeBlocks(func(id, _ []byte, b map[string]any) []byte {
			b["ID"] = -1
			return append(id, 0, 0xff, 0xff, 0xff, 0xff)
		})), []string{"session ", "block -1 lies under"}},
		{"block above all", raw(changeBlocks(func(id, _ []byte, b map[string]any) []byte { b["ID"] = 20000; return append(id, 0, 0, 0, 0x4e, 0x20) })), []string{"session ", "block 20000 lies under"}},
		{"resource's size", entry("resources", "p\x00default\x00f", inContent("Size", 11)), []string{"resource p/resources/f", "checksum"}},
		{"resource's MD5", entry("resources", `"File":"`, inContent("MD5", strings.Repeat("0", 32))), []string{"resource p/resources/"}},
		{"resource's checksums", entry("resources", "p\x00default\x00f", inContent("Sums", "")), []string{"resource p/resources/f", "checksums"}},
		{"resource's file", entry("resources", "p\x00default\x00f", inContent("File", "")), []string{"resource p/resources/f", "no file"}},
		{"resource's key", raw(copyEntry("resources", last)), []string{"resource p/resources/empty", "lies under the key"}},
		{"resource's type", entry("resources", "p\x00default\x00f", set("Kind", "exe")), []string{"resource p/resources/f", `type "exe"`}},
		{"reference without a source", entry("resources", "p\x00default\x00ref", set("Source", "")), []string{"resource p/resources/ref", "without a reference"}},
		{"part's size", entry("resource_parts", "", inContent("Size", 5)), []string{"part p/resources/f.part", "checksum"}},
		{"part's key", raw(copyEntry("resource_parts", last)), []string{"part p/resources/f.part", "lies under the key"}},
		{"schema's key", raw(copyEntry("schemas", last)), []string{"schema p.s1", "lies under the key"}},
		{"function's key", raw(copyEntry("functions", last)), []string{"function p", "lies under the key"}},
		{"project's key", raw(copyEntry("projects", last)), []string{"project p", "lies under the key"}},
		{"newer version", raw(setVersion("3")), []string{`version "3"`}},
		{"no version", raw(func(tx *bolt.Tx) error { return tx.DeleteBucket([]byte("meta")) }), []string{"no format version"}},
		{"missing bucket", raw(func(tx *bolt.Tx) error { return tx.DeleteBucket([]byte("segs")) }), []string{"bucket segs is missing"}},
	}
	for _, bucket := range []string{"tables", "parts", "segs", "uploads", "blocks", "resources", "resource_parts", "schemas", "projects", "functions"} {
		cases = append(cases, kase{"garbage in " + bucket, raw(garbage(bucket)), []string{"bucket " + bucket, "decode"}})
	}
	sound := everything(t)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			must(t, os.CopyFS(dir, os.DirFS(sound)))
			c.harm(t, dir)
			wantDamage(t, c.name, dir, c.wants...)
		})
	}
}

// A catalogue with any page broken is named, and never ends the process: bbolt's own
// check would.
func TestCheckSurvivesADamagedCatalogue(t *testing.T) {
	dir := everything(t)
	path := filepath.Join(dir, "catalogue.db")
	data, err := os.ReadFile(path)
	must(t, err)
	wantAny := func(what string, broken []byte) {
		t.Helper()
		must(t, os.WriteFile(path, broken, 0o600))
		wantDamage(t, what, dir, "catalogue.db")
	}
	wantAny("empty", nil)
	wantAny("zeros", make([]byte, len(data)))
	for _, n := range []int{10, 4096, 8192, 9000} {
		wantAny("cut", data[:n])
	}
	must(t, os.WriteFile(path, data, 0o600))
	page, used := os.Getpagesize(), usedPages(t, dir)
	rng := rand.New(rand.NewPCG(9, 9))
	for at := 2 * page; at < len(data); at += page { // beyond the two roots
		broken := bytes.Clone(data)
		for i := range 16 {
			broken[at+i] = byte(rng.Uint32())
		}
		must(t, os.WriteFile(path, broken, 0o600))
		if report := check(t, dir); report.Sound() == used[at/page] {
			t.Errorf("page %d, in use %v: its head is random: %v", at/page, used[at/page], report.Findings)
		}
	}
	for range 500 { // some of these change a name only
		broken := bytes.Clone(data)
		at := rng.IntN(len(data))
		broken[at] ^= byte(1 + rng.IntN(255))
		must(t, os.WriteFile(path, broken, 0o600))
		check(t, dir)
	}
	must(t, os.WriteFile(path, data, 0o600))
	if report := check(t, dir); !report.Sound() {
		t.Errorf("the whole catalogue: %v", report.Findings)
	}
}

// usedPages tells which pages of the catalogue hold its tree, as bbolt sees it.
func usedPages(t *testing.T, dir string) map[int]bool {
	t.Helper()
	used := map[int]bool{}
	editCatalogue(t, dir, func(tx *bolt.Tx) error {
		for id := 0; ; id++ {
			page, err := tx.Page(id)
			if page == nil || err != nil {
				return err
			}
			used[id] = page.Type == "branch" || page.Type == "leaf"
		}
	})
	return used
}
