package storageapi

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/sluice-io/sluice/emulator/internal/store"
	"github.com/sluice-io/sluice/emulator/internal/types"
)

// wants checks the status and the code of an error.
func (f *fixture) wants(t *testing.T, status int, code, method, path, body string) {
	t.Helper()
	w := f.do(method, path, body)
	var answer struct{ Code string }
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != status || answer.Code != code || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("%s %s %s: %d %s, want %d %s", method, path, body, w.Code, w.Body, status, code)
	}
}

// Sessions named here are live, so that a route taken by mistake answers something else.
func TestRoutes_that_are_not_served(t *testing.T) {
	f := newFixture(t, 3)
	id, _ := f.session(t, "")
	get, post := http.MethodGet, http.MethodPost
	table := strings.TrimSuffix(base, "/")
	for _, line := range []struct{ method, path string }{
		{get, table}, {get, base}, {post, base}, {get, base + "sessions"}, {http.MethodPut, base + "sessions"}, {post, base + "sessions/" + id}, {http.MethodDelete, base + "sessions/" + id},
		{get, base + "sessions/" + id + "/more"}, {get, base + "sessions/" + id + "/data"}, {get, base + "sessions/" + id + "/data/more"}, {post, base + "data?session_id=" + id},
		{get, base + "data/" + id + "?session_id=" + id}, {get, base + "other?session_id=" + id}, {post, base + "commit"}, {get, base + "commit"},
		{get, Root + "v2/projects/p/tables/t/data?session_id=" + id}, {get, Root + "v1/other/p/tables/t/data?session_id=" + id}, {get, Root + "v1/projects/p/other/t/data?session_id=" + id},
		{get, Root + "v1/projects/p/other/default/tables/t/data?session_id=" + id}, {get, Root + "v1/projects/p/schemas/default/tables"}, {get, Root + "v1/projects/p/schemas/default"},
		{get, Root + "v1/projects/p"}, {get, Root + "v1/projects"}, {get, Root}, {get, Root + "v1/projects/p/schemas/default/other/t/data?session_id=" + id},
	} {
		f.wants(t, 404, "NoSuchPath", line.method, line.path, "")
	}
	for path, want := range map[string]string{
		Root + "v1/projects/p/tables/t": "p", Root + "v1/projects/p": "p", Root + "v1/projects": "", Root + "v1": "", Root + "v1/other/p": "", Root: "",
	} {
		if got := ProjectOf(path); got != want {
			t.Errorf("ProjectOf(%s) = %q, want %q", path, got, want)
		}
	}
}

func TestRefusals_have_the_codes_of_the_service(t *testing.T) {
	f := newFixture(t, 10)
	f.partitioned(t)
	ranges, _ := f.session(t, `{"RequiredDataColumns":["id"],"SplitOptions":{"SplitMode":"RowOffset"}}`)
	splits, _ := f.session(t, `{"RequiredDataColumns":["id"]}`)
	const create, parts = base + "sessions?session_type=batch_read", Root + "v1/projects/p/tables/parts/sessions?session_type=batch_read"
	get, post := http.MethodGet, http.MethodPost
	f.wants(t, 404, "NoSuchTable", post, strings.Replace(create, "tables/t/", "tables/none/", 1), "")
	f.wants(t, 404, "NoSuchPartition", post, parts, `{"RequiredPartitions":["pt=none"]}`)
	f.wants(t, 400, "InvalidPartitionSpec", post, parts, `{"RequiredPartitions":["pt"]}`)
	f.wants(t, 400, "InvalidPartitionSpec", post, parts, `{"RequiredPartitions":["zz=a"]}`)
	f.wants(t, 404, "SessionNotFound", get, base+"sessions/none", "")
	f.wants(t, 404, "SessionNotFound", get, strings.Replace(base, "tables/t/", "tables/parts/", 1)+"sessions/"+splits, "")
	for _, body := range []string{
		`{"RequiredPartitions":[""]}`, `{"RequiredDataColumns":["none"]}`, `{"RequiredDataColumns":["id","ID"]}`, `{"RequiredPartitionColumns":["id"]}`, `{"RequiredDataColumns":["pt"]}`,
		`{"ArrowOptions":{"DatetimeUnit":"day"}}`, `{"RequiredBucketIds":[0,1]}`, `{"SplitOptions":{"SplitMode":"size"}}`,
		`{"SplitOptions":{"SplitNumber":10485759}}`, `{"SplitOptions":{"SplitMode":"Parallelism","SplitNumber":0}}`, `{"SplitOptions":{"SplitMode":"Parallelism","SplitNumber":100001}}`,
		`{"FilterPredicate":"a = 1"}`,
	} {
		f.wants(t, 400, "InvalidArgument", post, parts, body)
	}
	for _, query := range []string{
		splits + "&max_batch_rows=x", splits + "&max_batch_raw_size=-1", splits + "&split_index=-1", splits + "&data_format_type=CSV", splits + "&data_format_version=V6",
		ranges + "&row_index=11", ranges + "&row_index=10&row_count=1", ranges + "&row_index=-1", ranges + "&row_count=11",
	} {
		f.wants(t, 400, "InvalidArgument", get, base+"data?session_id="+query, "")
	}
	for query, want := range map[string]int{
		splits + "&data_format_type=arrow&data_format_version=v5": 10, splits + "&row_count=0&max_batch_rows=0": 10, splits + "&max_batch_rows=9223372036854775807": 10,
		ranges + "&row_index=10": 0, ranges + "&row_index=9&row_count=1": 1, ranges: 0,
	} {
		if ids, _ := rows(t, f.do(get, base+"data?session_id="+query, "")); len(ids) != want {
			t.Errorf("%s: %d rows, want %d", query, len(ids), want)
		}
	}
	body := []byte(`{"SplitOptions":{"SplitMode":"Parallelism","SplitNumber":100000},"RequiredBucketIds":[0]}`)
	sum := md5.Sum(body)
	for text, status := range map[string]int{hex.EncodeToString(sum[:]): 201, strings.ToUpper(hex.EncodeToString(sum[:])): 201, strings.Repeat("0", 32): 400} {
		r := httptest.NewRequest(post, create, bytes.NewReader(body))
		r.Header.Set("Content-MD5", text)
		w := httptest.NewRecorder()
		if f.ServeHTTP(w, r); w.Code != status || status == 400 && !strings.Contains(w.Body.String(), `"CheckSumError"`) {
			t.Errorf("Content-MD5 %s: %d %s", text, w.Code, w.Body)
		}
	}
	long := strings.NewReader(strings.Repeat("x", 1<<20))
	f.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(get, Root, long))
	if long.Len() > 0 {
		t.Errorf("%d bytes of a refused request were not read", long.Len())
	}
}

// partitioned makes table p.parts: three rows in pt=a, six in pt=b.
func (f *fixture) partitioned(t *testing.T) {
	t.Helper()
	table, _, err := f.store.CreateTable(store.Table{
		Key: store.NewKey("p", "", "parts"), Columns: []store.Column{{Name: "id", Type: types.Type{Kind: types.BigInt}, Nullable: true, Comment: "the key"}},
		PartitionColumns: []store.Column{{Name: "pt", Type: types.Type{Kind: types.String}, Nullable: true}},
	}, false)
	if err != nil {
		t.Fatal(err)
	}
	for pt, ids := range map[string][]int64{"a": {0, 1, 2}, "b": {10, 11, 12, 13, 14, 15}} {
		f.publish(t, table, types.PartitionSpec{{Column: "pt", Value: pt}}, false, ids...)
	}
}

func (f *fixture) publish(t *testing.T, table store.Table, spec types.PartitionSpec, overwrite bool, ids ...int64) {
	t.Helper()
	b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema([]arrow.Field{{Name: "id", Type: arrow.PrimitiveTypes.Int64, Nullable: true}}, nil))
	b.Field(0).(*array.Int64Builder).AppendValues(ids, nil)
	rec := b.NewRecordBatch()
	b.Release()
	defer rec.Release()
	w := f.store.NewSegment(table)
	if err := w.WriteBatch(rec); err != nil {
		t.Fatal(err)
	}
	segment, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	opt := store.PublishOptions{CreatePartitions: true, Overwrite: overwrite}
	if err := f.store.Publish(table, []store.Publication{{Spec: spec, Segments: []*store.Segment{segment}}}, opt); err != nil {
		t.Fatal(err)
	}
}

// A session tells its plan: splits or rows, and the columns of each kind.
func TestSessions_tell_their_plan(t *testing.T) {
	f := newFixture(t, 3)
	f.partitioned(t)
	const path = Root + "v1/projects/p/tables/parts/sessions?session_type=batch_read"
	split := func(options string) string {
		return `{"RequiredDataColumns":["` + "`ID`" + `"],"SplitOptions":` + options + `}`
	}
	for body, want := range map[string][2]float64{
		"": {1, -1}, `{"RequiredPartitions":["pt=b"]}`: {1, -1}, split(`{"SplitMode":"RowOffset"}`): {-1, 9}, split(`{"SplitMode":"Bucket"}`): {1, -1},
		split(`{"SplitMode":"Size","SplitNumber":10485760}`): {1, -1}, split(`{"SplitMode":"Parallelism","SplitNumber":1}`): {1, -1}, split(`{"SplitMode":"Parallelism","SplitNumber":100}`): {9, -1},
		split(`{"SplitMode":"Parallelism","SplitNumber":3,"CrossPartition":true}`): {3, -1}, split(`{"SplitMode":"Parallelism","SplitNumber":3,"CrossPartition":false}`): {3, -1},
		split(`{"SplitMode":"Size","CrossPartition":false}`): {2, -1}, `{"RequiredPartitions":["pt=a","pt=b"],"SplitOptions":{"SplitMode":"RowOffset"}}`: {-1, 9},
		`{"RequiredPartitions":["PT=a"],"SplitOptions":{"SplitMode":"RowOffset"}}`: {-1, 3},
	} {
		w := f.do(http.MethodPost, path, body)
		var s map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &s); err != nil || w.Code != 201 || s["SplitsCount"] != want[0] || s["RecordCount"] != want[1] {
			t.Errorf("%s: %d %s, want %v splits and rows", body, w.Code, w.Body, want)
		}
	}
	w := f.do(http.MethodPost, path, `{"RequiredPartitions":["pt=b"]}`)
	id, _, _ := strings.Cut(strings.SplitN(w.Body.String(), `"SessionId":"`, 2)[1], `"`)
	text := strings.Replace(w.Body.String(), id, "ID", 1)
	const want = `{"DataSchema":{"DataColumns":[{"Name":"id","Type":"bigint","Comment":"the key","Nullable":true}],"PartitionColumns":[{"Name":"pt","Type":"string","Comment":"","Nullable":true}]},` +
		`"ExpirationTime":1700086400000,"Message":"","RecordCount":-1,"SessionId":"ID","SessionStats":{"EstimatedRowCount":6,"EstimatedSize":`
	const end = `},"SessionStatus":"NORMAL","SessionType":"batch_read","SplitsCount":1,"SupportedDataFormat":[{"Type":"ARROW","Version":"V5"}]}` + "\n"
	if !strings.HasPrefix(text, want) || !strings.HasSuffix(text, end) || strings.Contains(text, `"EstimatedSize":0}`) {
		t.Errorf("session\n%s, want\n%s…%s", text, want, end)
	}
	again := f.do(http.MethodGet, Root+"v1/projects/p/tables/parts/sessions/"+id, "")
	if again.Code != 200 || again.Body.String() != w.Body.String() {
		t.Errorf("reload: %d %s", again.Code, again.Body)
	}
	read := f.do(http.MethodGet, Root+"v1/projects/p/tables/parts/data?session_id="+id, "")
	if read.Header().Get("Content-Type") != "application/octet-stream" || read.Header().Get("Content-Length") != fmt.Sprint(read.Body.Len()) {
		t.Errorf("headers of a read: %v, %d bytes", read.Header(), read.Body.Len())
	}
	if ids, _ := rows(t, read); !slices.Equal(ids, []int64{10, 11, 12, 13, 14, 15}) {
		t.Errorf("rows %v", ids)
	}
	empty, _, err := f.store.CreateTable(store.Table{Key: store.NewKey("p", "", "empty"), Columns: []store.Column{{Name: "id", Type: types.Type{Kind: types.BigInt}}}}, false)
	if err != nil {
		t.Fatal(err)
	}
	w = f.do(http.MethodPost, Root+"v1/projects/p/tables/"+empty.Key.Name+"/sessions", "")
	if !strings.Contains(w.Body.String(), `"SplitsCount":0`) || !strings.Contains(w.Body.String(), `"PartitionColumns":[]`) {
		t.Errorf("session of no rows: %d %s", w.Code, w.Body)
	}
	id, _, _ = strings.Cut(strings.SplitN(w.Body.String(), `"SessionId":"`, 2)[1], `"`)
	if ids, _ := rows(t, f.do(http.MethodGet, Root+"v1/projects/p/tables/empty/data?session_id="+id, "")); len(ids) != 0 {
		t.Errorf("rows of no rows: %v", ids)
	}
	f.wants(t, 400, "InvalidArgument", http.MethodGet, Root+"v1/projects/p/tables/empty/data?split_index=1&session_id="+id, "")
}

// A batch is compressed as asked for, with the names that the service takes.
func TestReads_are_compressed_as_asked(t *testing.T) {
	f := newFixture(t, 100)
	id, _ := f.session(t, `{"RequiredDataColumns":["id"]}`)
	for accept, magic := range map[string]string{"ZSTD": "\x28\xb5\x2f\xfd", "zstd": "\x28\xb5\x2f\xfd", "LZ4_FRAME": "\x04\x22\x4d\x18", "": "", "gzip": ""} {
		r := httptest.NewRequest(http.MethodGet, base+"data?session_id="+id, nil)
		r.Header.Set("Accept-Encoding", accept)
		w := httptest.NewRecorder()
		f.ServeHTTP(w, r)
		body := bytes.Clone(w.Body.Bytes())
		if ids, _ := rows(t, w); len(ids) != 100 || magic != "" && !bytes.Contains(body, []byte(magic)) || magic == "" && bytes.Contains(body, []byte("\x28\xb5\x2f\xfd")) {
			t.Errorf("as %q: %d rows in %d bytes", accept, len(ids), len(body))
		}
	}
}

// removals tells which segments are removed.
type removals struct {
	store.FS
	removed chan string
}

func (r removals) Remove(name string) error {
	err := r.FS.Remove(name)
	r.removed <- name
	return err
}

// A session keeps its rows as long as it lives, whatever reads them, and no longer.
func TestSessions_keep_their_rows(t *testing.T) {
	ends := map[string]func(f *fixture){
		"closed":  func(f *fixture) { f.Close() },
		"expired": func(f *fixture) { f.now = f.now.Add(SessionTTL); f.session(t, "") },
	}
	for name, end := range ends {
		removed := make(chan string, 100)
		s, err := store.Open(store.Options{Dir: t.TempDir(), Folder: func(dir string) (store.FS, error) {
			fs, err := store.DirFS(dir)
			if filepath.Base(dir) == "segments" {
				return removals{fs, removed}, err
			}
			return fs, err
		}})
		if err != nil {
			t.Fatal(err)
		}
		f := &fixture{store: s, now: time.Unix(1_700_000_000, 0)}
		f.Handler = New(Options{Store: s, Dir: t.TempDir(), Now: func() time.Time { return f.now }})
		table, _, err := s.CreateTable(store.Table{Key: store.NewKey("p", "", "t"), Columns: []store.Column{{Name: "id", Type: types.Type{Kind: types.BigInt}, Nullable: true}}}, false)
		if err != nil {
			t.Fatal(err)
		}
		f.publish(t, table, nil, true, 1, 2)
		f.wants(t, 400, "InvalidArgument", http.MethodPost, base+"sessions", `{"RequiredDataColumns":["none"]}`)
		id, _ := f.session(t, "")
		f.publish(t, table, nil, true, 3)
		for range 3 {
			f.do(http.MethodGet, base+"sessions/"+id, "")
			if ids, _ := rows(t, f.do(http.MethodGet, base+"data?session_id="+id, "")); !slices.Equal(ids, []int64{1, 2}) {
				t.Fatalf("%s: rows %v", name, ids)
			}
			f.wants(t, 400, "InvalidArgument", http.MethodGet, base+"data?split_index=7&session_id="+id, "")
		}
		select {
		case file := <-removed:
			t.Errorf("%s: %s was removed before", name, file)
		default:
		}
		end(f)
		<-removed // waits for ever if something still holds the rows
		f.wants(t, 404, "SessionNotFound", http.MethodGet, base+"data?session_id="+id, "")
		f.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Lists of moments convert by what their rows refer to, also in the middle of a batch.
func TestConvert_of_lists_in_the_middle(t *testing.T) {
	f := newFixture(t, 12)
	id, _ := f.session(t, `{"RequiredDataColumns":["l"],"ArrowOptions":{"TimestampUnit":"second"},"SplitOptions":{"SplitMode":"RowOffset"}}`)
	read := func(start, count int) (texts []string) {
		w := f.do(http.MethodGet, fmt.Sprintf("%sdata?session_id=%s&row_index=%d&row_count=%d", base, id, start, count), "")
		r, err := ipc.NewReader(w.Body)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Release()
		for r.Next() {
			for i := range int(r.RecordBatch().NumRows()) {
				texts = append(texts, r.RecordBatch().Column(0).ValueStr(i))
			}
		}
		return texts
	}
	var whole []string
	for i := range 11 {
		want := "[]"
		if i%3 != 0 {
			want = fmt.Sprintf(`["1970-01-01T00:00:%02d",null]`, i)
		}
		whole = append(whole, want)
	}
	for start := range 11 {
		if got := read(start, 11-start); !slices.Equal(got, whole[start:]) {
			t.Errorf("rows from %d: %q, want %q", start, got, whole[start:])
		}
	}
}

func TestInUnits_at_whole_seconds(t *testing.T) {
	for _, tt := range []struct {
		sec  int64
		unit arrow.TimeUnit
		want int64
		ok   bool
	}{
		{0, arrow.Nanosecond, 0, true}, {-1, arrow.Nanosecond, -1e9, true}, {math.MaxInt64, arrow.Second, math.MaxInt64, true}, {math.MinInt64 + 1, arrow.Second, math.MinInt64 + 1, true},
		{math.MaxInt64, arrow.Millisecond, 0, false}, {math.MinInt64, arrow.Millisecond, 0, false}, {9223372037, arrow.Nanosecond, 0, false}, {-9223372037, arrow.Nanosecond, 0, false}, {18446744074, arrow.Nanosecond, 0, false},
	} {
		if got, err := inUnits(tt.sec, 0, tt.unit); got != tt.want || (err == nil) != tt.ok {
			t.Errorf("inUnits(%d, 0, %s) = %d, %v, want %d, %t", tt.sec, tt.unit, got, err, tt.want, tt.ok)
		}
	}
}
