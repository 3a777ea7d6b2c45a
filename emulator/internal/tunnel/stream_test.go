package tunnel_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/sluice-io/sluice/emulator/internal/store"
	"github.com/sluice-io/sluice/emulator/internal/tunnel"
	"github.com/sluice-io/sluice/emulator/internal/types"
	"github.com/sluice-io/sluice/emulator/internal/wire"
)

// records encodes rows given as text, NULL for "", by the columns of spec.
func records(t testing.TB, spec string, rows ...[]string) []byte {
	t.Helper()
	cols := store.WireColumns(columns(t, spec))
	b := array.NewRecordBuilder(memory.DefaultAllocator, wire.ArrowSchema(cols, types.LayoutWide))
	defer b.Release()
	for _, row := range rows {
		for i, v := range row {
			if v == "" {
				b.Field(i).AppendNull()
			} else if err := b.Field(i).AppendValueFromString(v); err != nil {
				t.Fatal(err)
			}
		}
	}
	rec := b.NewRecordBatch()
	defer rec.Release()
	var out bytes.Buffer
	w := wire.NewRecordWriter(&out, cols)
	if err := w.Write(rec); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// rows are a partition's rows as texts.
func (e *endpoint) rows(t testing.TB, name, spec string) (out []string) {
	t.Helper()
	parsed, err := types.ParsePartitionSpec(spec)
	if err != nil {
		t.Fatal(err)
	}
	sn, err := e.store.Snapshot(store.NewKey("p", "", name), parsed)
	if err != nil {
		t.Fatal(err)
	}
	defer sn.Release()
	for rec, err := range sn.Batches(store.ReadOptions{Layout: types.LayoutWide}) {
		if err != nil {
			t.Fatal(err)
		}
		for i := range int(rec.NumRows()) {
			var texts []string
			for _, c := range rec.Columns() {
				texts = append(texts, c.ValueStr(i))
			}
			out = append(out, strings.Join(texts, "|"))
		}
	}
	return out
}

type streamReply struct {
	SessionName   string   `json:"session_name"`
	Slots         [][2]any `json:"slots"`
	SchemaVersion int      `json:"schema_version"`
	Schema        struct {
		Columns       []struct{ Name string } `json:"columns"`
		PartitionKeys []struct{ Name string } `json:"partitionKeys"`
	} `json:"schema"`
}

// open creates or shows a stream session with a slot header, if given.
func (e *endpoint) open(t testing.TB, method, path, header, slots string) (s streamReply, status int) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, e.url+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if header != "" {
		req.Header.Set(header, slots)
	}
	resp, err := e.srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&s); err != nil {
		t.Fatal(err)
	}
	return s, resp.StatusCode
}

func TestStreamSlots(t *testing.T) {
	e := start(t, nil)
	e.create(t, "t", "id bigint", "")
	for _, c := range []struct {
		header, asked string
		want          int // 0 = refused
	}{
		{"", "", 1}, {"odps-tunnel-slot-num", "1", 1}, {"odps-tunnel-slot-num", "5", 5}, {"odps-slot-num", "7", 7}, {"odps-tunnel-slot-num", "0", 1},
		{"odps-tunnel-slot-num", "64", 64}, {"odps-tunnel-slot-num", "65", 64}, {"odps-slot-num", "1000000", 64}, {"odps-tunnel-slot-num", "many", 0},
	} {
		s, status := e.open(t, "POST", table+"/streams", c.header, c.asked)
		if c.want == 0 {
			if status != 400 {
				t.Errorf("%s %q: %d, want 400", c.header, c.asked, status)
			}
			continue
		}
		if len(s.Slots) != c.want || status != 201 {
			t.Fatalf("%s %q: %d, %d slots, want %d", c.header, c.asked, status, len(s.Slots), c.want)
		}
		for i, slot := range s.Slots {
			if slot[0] != float64(i) || slot[1] != strings.TrimPrefix(e.url, "http://") {
				t.Errorf("slot %d is %v", i, slot)
			}
		}
		for _, method := range []string{"GET", "POST"} { // both reload
			if again, _ := e.open(t, method, table+"/streams?uploadid="+s.SessionName, "", ""); len(again.Slots) != c.want || again.SessionName != s.SessionName {
				t.Errorf("%s: %d slots of %s, want %d of %s", method, len(again.Slots), again.SessionName, c.want, s.SessionName)
			}
		}
		put := fmt.Sprintf("%s/streams?uploadid=%s&slotid=", table, s.SessionName)
		e.want(t, 200, "", "PUT", put+fmt.Sprint(c.want-1), idRecords(t, 1))
		e.want(t, 400, "InvalidArgument", "PUT", put+fmt.Sprint(c.want), idRecords(t, 1))
		e.want(t, 400, "InvalidArgument", "PUT", put+"-1", idRecords(t, 1))
	}
	if got := e.ids(t); len(got) != 8 {
		t.Errorf("%d rows, want 8: one for each session", len(got))
	}
}

// Packs of several schema versions meet in one table; what a version lacks is NULL.
func TestStreamPacksOfEverySchemaVersion(t *testing.T) {
	e := start(t, nil)
	tab := e.create(t, "t", "id bigint", "")
	old, _ := e.open(t, "POST", table+"/streams", "", "")
	alter := func(change func(*store.Table)) {
		if _, err := e.store.AlterTable(tab.Key, func(t *store.Table) error { change(t); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	alter(func(t *store.Table) {
		t.Columns = append(t.Columns, store.Column{Name: "name", Type: types.Type{Kind: types.String}, Nullable: true})
	})
	e.want(t, 404, "NoSuchSchema", "POST", table+"/streams?schema_version=2", nil)
	e.want(t, 404, "NoSuchSchema", "PUT", table+"/streams?schema_version=2&uploadid="+old.SessionName, idRecords(t, 1))
	e.want(t, 404, "NoSuchSchema", "GET", table+"/streams?schema_version=2&uploadid="+old.SessionName, nil)
	e.want(t, 400, "InvalidArgument", "POST", table+"/streams?schema_version=new", nil)

	versions := map[int]string{0: "id bigint", 1: "id bigint;name string"}
	for v, spec := range versions {
		s, status := e.open(t, "POST", fmt.Sprintf("%s/streams?schema_version=%d", table, v), "", "")
		if status != 201 || s.SchemaVersion != v || len(s.Schema.Columns) != v+1 {
			t.Fatalf("version %d: %d, %+v", v, status, s)
		}
		put := table + "/streams?uploadid=" + s.SessionName
		row := []string{fmt.Sprint(10 + v), "n"}[:v+1]
		if v == 1 {
			e.want(t, 200, "", "PUT", put+"&check_latest_schema=true", records(t, spec, row))
			continue
		}
		body := e.want(t, 412, "SchemaModified", "PUT", put+"&check_latest_schema=true", records(t, spec, row))
		if !strings.Contains(string(body), "schema version 1") {
			t.Errorf("412: %s", body)
		}
		e.want(t, 200, "", "PUT", put+"&check_latest_schema=false", records(t, spec, row))
	}
	// A session lives on in the newer version: reload shows it, a pack names it.
	again, _ := e.open(t, "GET", table+"/streams?schema_version=1&uploadid="+old.SessionName, "", "")
	if again.SchemaVersion != 1 || len(again.Schema.Columns) != 2 {
		t.Errorf("reload in version 1: %+v", again)
	}
	e.want(t, 200, "", "PUT", table+"/streams?schema_version=1&check_latest_schema=true&uploadid="+old.SessionName, records(t, versions[1], []string{"21", "m"}))
	e.want(t, 200, "", "PUT", table+"/streams?uploadid="+old.SessionName, idRecords(t, 20))
	e.want(t, 400, "InvalidArgument", "PUT", table+"/streams?uploadid="+old.SessionName, records(t, versions[1], []string{"5", "too much"}))
	got := e.rows(t, "t", "")
	slices.Sort(got)
	if want := []string{"10|(null)", "11|n", "20|(null)", "21|m"}; !slices.Equal(got, want) {
		t.Errorf("rows %q, want %q", got, want)
	}
}

func TestStreamLatestVersionHeader(t *testing.T) {
	e := start(t, nil)
	tab := e.create(t, "t", "id bigint", "")
	s, _ := e.open(t, "POST", table+"/streams", "", "")
	for range 3 {
		if _, err := e.store.AlterTable(tab.Key, func(t *store.Table) error {
			t.Columns = append(t.Columns, store.Column{Name: fmt.Sprint("c", len(t.Columns)), Type: types.Type{Kind: types.String}, Nullable: true})
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, e.url+table+"/streams?check_latest_schema=true&uploadid="+s.SessionName, bytes.NewReader(idRecords(t, 1)))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := e.srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusPreconditionFailed || resp.Header.Get("odps-tunnel-latest-schema-version") != "3" {
		t.Errorf("%s, latest version %q, want 412 and 3", resp.Status, resp.Header.Get("odps-tunnel-latest-schema-version"))
	}
}

func TestStreamPartitions(t *testing.T) {
	e := start(t, nil)
	e.create(t, "t", "id bigint", "pt string")
	e.want(t, 404, "NoSuchPartition", "POST", table+"/streams?partition=pt=a", nil)
	e.want(t, 400, "InvalidPartitionSpec", "POST", table+"/streams", nil)
	s, _ := e.open(t, "POST", table+"/streams?partition=pt=a&create_partition=&zorder_columns=id", "", "")
	e.want(t, 200, "", "PUT", table+"/streams?zorder_columns=id&partition=pt=a&uploadid="+s.SessionName, idRecords(t, 1, 2))
	if got := e.rows(t, "t", "pt=a"); !slices.Equal(got, []string{"1", "2"}) {
		t.Errorf("rows %q", got)
	}
}

// With dynamic_partition the rows carry the partition columns behind the others; a pack
// is visible in all its partitions or in none.
func TestStreamDynamicPartitions(t *testing.T) {
	e := start(t, nil)
	e.create(t, "t", "id bigint;v string", "pt string;hh int")
	e.create(t, "u", "id bigint", "")
	const dynamic = table + "/streams?dynamic_partition=true"
	e.want(t, 400, "InvalidPartitionSpec", "POST", "/projects/p/tables/u/streams?dynamic_partition=true", nil)
	e.want(t, 400, "InvalidPartitionSpec", "POST", dynamic+"&partition=pt=a,hh=1", nil)
	s, status := e.open(t, "POST", dynamic, "", "")
	if status != 201 || len(s.Schema.Columns) != 4 || len(s.Schema.PartitionKeys) != 0 {
		t.Fatalf("%d, %+v: want four columns and no partition keys", status, s)
	}
	put := dynamic + "&uploadid=" + s.SessionName
	const spec = "id bigint;v string;pt string;hh int"
	for _, bad := range [][]string{{"9", "x", "", "1"}, {"9", "x", "a", ""}} { // NULL is no partition
		e.want(t, 400, "InvalidPartitionSpec", "PUT", put, records(t, spec, []string{"8", "x", "bad", "1"}, bad))
	}
	body := records(t, spec, []string{"1", "a", "x", "1"}, []string{"2", "", "x", "1"}, []string{"3", "c", "y", "1"}, []string{"4", "d", "x", "1"}, []string{"5", "e", "x", "2"})
	e.want(t, 400, "InvalidArgument", "PUT", put+"&record_count=4", body)
	e.want(t, 400, "InvalidArgument", "PUT", put, body[:len(body)-3])
	parts, _, err := e.store.Partitions(store.NewKey("p", "", "t"), store.PartitionQuery{})
	if err != nil || len(parts) != 0 {
		t.Fatalf("partitions %v of refused packs, %v", parts, err)
	}
	e.want(t, 200, "", "PUT", put+"&record_count=5", body)
	for spec, want := range map[string][]string{"pt=x,hh=1": {"1|a", "2|(null)", "4|d"}, "pt=y,hh=1": {"3|c"}, "pt=x,hh=2": {"5|e"}} {
		if got := e.rows(t, "t", spec); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", spec, got, want)
		}
	}
	many := make([][]string, 513)
	for i := range many {
		many[i] = []string{"1", "", fmt.Sprint("p", i), "1"}
	}
	e.want(t, 400, "InvalidArgument", "PUT", put, records(t, spec, many...))
	e.want(t, 200, "", "PUT", put, records(t, spec, many[:512]...))
}

// Sessions survive a restart of the server, and end with their life.
func TestStreamSessionsLive(t *testing.T) {
	dir := t.TempDir()
	now := time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)
	open := func() *endpoint {
		return start(t, func(so *store.Options, to *tunnel.Options) {
			so.Dir, so.Now, to.Now = dir, func() time.Time { return now }, func() time.Time { return now }
		})
	}
	e := open()
	e.create(t, "t", "id bigint", "")
	s, _ := e.open(t, "POST", table+"/streams", "odps-tunnel-slot-num", "3")
	e.want(t, 200, "", "PUT", table+"/streams?uploadid="+s.SessionName, idRecords(t, 1))
	e.stop(t)
	e = open()
	if again, status := e.open(t, "GET", table+"/streams?uploadid="+s.SessionName, "", ""); status != 200 || len(again.Slots) != 3 {
		t.Errorf("after a restart: %d, %d slots, want 3", status, len(again.Slots))
	}
	e.want(t, 200, "", "PUT", table+"/streams?uploadid="+s.SessionName, idRecords(t, 2))
	now = now.Add(24*time.Hour - 1)
	e.want(t, 200, "", "PUT", table+"/streams?uploadid="+s.SessionName, idRecords(t, 3))
	now = now.Add(1)
	e.want(t, 404, "StreamSessionNotFound", "PUT", table+"/streams?uploadid="+s.SessionName, idRecords(t, 4))
	e.want(t, 404, "StreamSessionNotFound", "GET", table+"/streams?uploadid="+s.SessionName, nil)
	if got := e.ids(t); !slices.Equal(got, []int64{1, 2, 3}) {
		t.Errorf("rows %v", got)
	}
}

// Many slots at once: every pack that was answered is there once, and whole.
func TestStreamPacksAreAtomic(t *testing.T) {
	e := start(t, nil)
	e.bare = true
	e.create(t, "t", "id bigint", "")
	s, _ := e.open(t, "POST", table+"/streams", "odps-tunnel-slot-num", "8")
	var wg sync.WaitGroup
	for slot := range 8 {
		wg.Go(func() {
			for i := range 10 {
				ids := make([]int64, 50)
				for k := range ids {
					ids[k] = int64(slot*1000 + i*50 + k)
				}
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, fmt.Sprintf("%s%s/streams?uploadid=%s&slotid=%d&record_count=50", e.url, table, s.SessionName, slot), bytes.NewReader(idRecords(t, ids...)))
				if err != nil {
					t.Error(err)
					return
				}
				resp, err := e.srv.Client().Do(req)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if resp.StatusCode != http.StatusOK || resp.Header.Get("odps-tunnel-slot-num") != "8" {
					t.Errorf("%s, %s slots", resp.Status, resp.Header.Get("odps-tunnel-slot-num"))
				}
			}
		})
	}
	wg.Wait()
	got := e.ids(t)
	if len(got) != 8*500 {
		t.Fatalf("%d rows, want 4000", len(got))
	}
	for i := 0; i < len(got); i += 50 {
		for k := range 50 {
			if got[i+k] != got[i]+int64(k) {
				t.Fatalf("the pack that begins with row %d is not whole", i)
			}
		}
	}
}
