package tunnel_test

import (
	"encoding/json"
	"fmt"
	"iter"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/sluice-io/sluice/emulator/internal/limits"
	"github.com/sluice-io/sluice/emulator/internal/store"
	"github.com/sluice-io/sluice/emulator/internal/tunnel"
	"github.com/sluice-io/sluice/emulator/internal/types"
	"github.com/sluice-io/sluice/emulator/internal/wire"
)

// tenRows is a result of ten rows in batches of n.
func tenRows(n int64) *tunnel.Result {
	cols := []wire.Column{{Name: "id", Type: types.Type{Kind: types.BigInt}, Nullable: true}}
	return &tunnel.Result{Columns: cols, Rows: 10, Batches: func(start, count int64) iter.Seq2[arrow.RecordBatch, error] {
		return func(yield func(arrow.RecordBatch, error) bool) {
			for from := start; from < start+count; from += n {
				b := array.NewRecordBuilder(memory.DefaultAllocator, wire.ArrowSchema(cols, types.LayoutWide))
				for i := from; i < min(from+n, start+count); i++ {
					b.Field(0).(*array.Int64Builder).Append(i)
				}
				rec := b.NewRecordBatch()
				b.Release()
				more := yield(rec, nil)
				rec.Release()
				if !more {
					return
				}
			}
		}
	}}
}

// removals tells which files of segments are removed.
type removals struct {
	store.FS
	removed chan string
}

func (r removals) Remove(name string) error {
	err := r.FS.Remove(name)
	r.removed <- name
	return err
}

// watched is an endpoint whose removals of segments can be waited for.
func watched(t *testing.T, change func(*store.Options, *tunnel.Options)) (*endpoint, chan string) {
	t.Helper()
	removed := make(chan string, 100)
	return start(t, func(so *store.Options, to *tunnel.Options) {
		so.Folder = func(dir string) (store.FS, error) {
			fs, err := store.DirFS(dir)
			if filepath.Base(dir) == "segments" {
				return removals{fs, removed}, err
			}
			return fs, err
		}
		if change != nil {
			change(so, to)
		}
	}), removed
}

// overwrite puts rows in the place of what the table holds.
func (e *endpoint) overwrite(t *testing.T, rows ...int64) {
	t.Helper()
	id := e.session(t, table+"?uploads&overwrite=true", "UploadID")
	e.want(t, 200, "", "PUT", table+"?blockid=0&uploadid="+id, idRecords(t, rows...))
	e.want(t, 200, "", "POST", table+"?uploadid="+id, nil)
}

// A download session keeps its rows as long as it lives, whatever reads them, and no
// longer: then their file goes.
func TestDownloadSessionsKeepTheirRows(t *testing.T) {
	ends := map[string]func(e *endpoint, id string, now *time.Time){
		"ended by name": func(e *endpoint, id string, _ *time.Time) {
			e.handler.ExpireDownload("none")
			e.handler.ExpireDownload(id)
		},
		"ended by age": func(e *endpoint, _ string, now *time.Time) { *now = now.Add(time.Hour); e.handler.ExpireDownloads() },
		"closed":       func(e *endpoint, _ string, _ *time.Time) { e.handler.Close() },
	}
	for name, end := range ends {
		now := time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)
		e, removed := watched(t, func(_ *store.Options, o *tunnel.Options) {
			o.DownloadTTL, o.Now = time.Hour, func() time.Time { return now }
		})
		e.create(t, "t", "id bigint", "")
		e.overwrite(t, 1, 2)
		id := e.session(t, table+"?downloads", "DownloadID")
		e.overwrite(t, 3)
		want := idRecords(t, 1, 2)
		for range 3 { // each use begins and ends
			e.want(t, 200, "", "GET", table+"?downloadid="+id, nil)
			if got := e.want(t, 200, "", "GET", table+"?data&downloadid="+id, nil); !slices.Equal(got, want) {
				t.Fatalf("%s: %d bytes, want %d", name, len(got), len(want))
			}
		}
		e.want(t, 200, "", "GET", table+"/preview?limit=1", nil)
		select {
		case file := <-removed:
			t.Errorf("%s: %s was removed before", name, file)
		default:
		}
		end(e, id, &now)
		<-removed // waits for ever if something still holds the rows
		e.want(t, 404, "NoSuchDownload", "GET", table+"?data&downloadid="+id, nil)
		e.overwrite(t, 4)
		<-removed // nor does the preview hold any
	}
}

// The life of a session is exact, and ends it alone.
func TestDownloadSessionsEndWithTheirLife(t *testing.T) {
	for _, ttl := range []time.Duration{0, time.Minute} {
		life := ttl
		if life == 0 {
			life = 24 * time.Hour
		}
		now := time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)
		e := start(t, func(_ *store.Options, o *tunnel.Options) { o.DownloadTTL, o.Now = ttl, func() time.Time { return now } })
		e.create(t, "t", "id bigint", "")
		first := e.session(t, table+"?downloads", "DownloadID")
		now = now.Add(time.Second)
		second, third := e.session(t, table+"?downloads", "DownloadID"), e.session(t, table+"?downloads", "DownloadID")
		now = now.Add(life - time.Second - 1)
		e.want(t, 200, "", "GET", table+"?downloadid="+first, nil)
		if n := e.handler.ExpireDownloads(); n != 0 {
			t.Errorf("life %s: %d sessions ended a moment early", life, n)
		}
		now = now.Add(1)
		e.want(t, 404, "NoSuchDownload", "GET", table+"?downloadid="+first, nil)
		if n := e.handler.ExpireDownloads(); n != 1 {
			t.Errorf("life %s: %d sessions ended, want 1", life, n)
		}
		e.handler.ExpireDownload(second)
		e.want(t, 404, "NoSuchDownload", "GET", table+"?downloadid="+second, nil)
		e.want(t, 200, "", "GET", table+"?downloadid="+third, nil)
		now = now.Add(time.Second)
		if n := e.handler.ExpireDownloads(); n != 1 {
			t.Errorf("life %s: %d sessions ended, want the third", life, n)
		}
	}
}

func TestSessionsShowWhoseTheyAre(t *testing.T) {
	for given, want := range map[string]string{"": "local", "me": "me"} {
		e := start(t, func(_ *store.Options, o *tunnel.Options) { o.Owner = given })
		tab := store.Table{Key: store.NewKey("p", "", "t"), Columns: columns(t, "id bigint;name string"), PartitionColumns: columns(t, "pt string")}
		tab.Columns[1].Nullable, tab.Columns[1].Comment = false, "who"
		text := "x"
		tab.Columns[1].Default = &text
		if _, _, err := e.store.CreateTable(tab, false); err != nil {
			t.Fatal(err)
		}
		e.session(t, table+"?uploads&create_partition&partition=pt=a", "UploadID")
		down := e.session(t, table+"?downloads&partition=pt=a", "DownloadID")
		var s struct {
			DownloadID, Owner, Status string
			Schema                    json.RawMessage
		}
		body := e.want(t, 200, "", "GET", table+"?downloadid="+down, nil)
		if err := json.Unmarshal(body, &s); err != nil || s.DownloadID != down || s.Owner != want || s.Status != "normal" {
			t.Errorf("session %s, %v, want owner %q", body, err, want)
		}
		const schema = `{"IsVirtualView":false,"columns":[` +
			`{"column_id":"0","name":"id","type":"bigint","nullable":true,"comment":"","default_value":""},` +
			`{"column_id":"1","name":"name","type":"string","nullable":false,"comment":"who","default_value":"x"}],` +
			`"partitionKeys":[{"column_id":"0","name":"pt","type":"string","nullable":true,"comment":"","default_value":""}]}`
		if string(s.Schema) != schema {
			t.Errorf("schema\n%s, want\n%s", s.Schema, schema)
		}
	}
}

// Each commit that ended leaves room for the next.
func TestCommitsOneAfterTheOther(t *testing.T) {
	gate := limits.NewGate(limits.Limits{Commits: 1, Window: time.Second}, time.Now)
	e := start(t, func(_ *store.Options, o *tunnel.Options) { o.Gate = gate })
	e.create(t, "t", "id bigint", "")
	for i := range 3 {
		id := e.session(t, table+"?uploads", "UploadID")
		e.want(t, 200, "", "PUT", table+"?blockid=0&uploadid="+id, idRecords(t, int64(i)))
		e.want(t, 200, "", "POST", table+"?uploadid="+id, nil)
	}
	if got := e.ids(t); !slices.Equal(got, []int64{0, 1, 2}) {
		t.Errorf("rows %v", got)
	}
}

// A pack that is refused leaves no file, a stream into a table made anew no rows.
func TestStreamPacksThatAreRefusedLeaveNothing(t *testing.T) {
	e, removed := watched(t, nil)
	tab := e.create(t, "t", "id bigint", "")
	s := e.session(t, table+"/streams", "session_name")
	e.want(t, 400, "InvalidArgument", "PUT", table+"/streams?record_count=5&uploadid="+s, idRecords(t, 1))
	<-removed
	if err := e.store.DropTable(tab.Key, false); err != nil {
		t.Fatal(err)
	}
	e.want(t, 200, "", "GET", table+"/streams?schema_version=0&uploadid="+s, nil) // the session shows what it was made for
	e.want(t, 404, "NoSuchTable", "GET", table+"/streams?schema_version=1&uploadid="+s, nil)
	tab = e.create(t, "t", "id bigint", "")
	if _, err := e.store.AlterTable(tab.Key, func(t *store.Table) error {
		t.Columns = append(t.Columns, store.Column{Name: "more", Type: types.Type{Kind: types.String}, Nullable: true})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, version := range []int{0, 1} {
		body := idRecords(t, 1)
		if version == 1 {
			body = records(t, "id bigint;more string", []string{"1", "m"})
		}
		e.want(t, 404, "NoSuchTable", "PUT", fmt.Sprintf("%s/streams?schema_version=%d&uploadid=%s", table, version, s), body)
	}
	if got := e.ids(t); len(got) != 0 {
		t.Errorf("rows %v", got)
	}
}
