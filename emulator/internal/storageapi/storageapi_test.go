package storageapi

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/sluice-io/sluice/emulator/internal/store"
	"github.com/sluice-io/sluice/emulator/internal/types"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const base = Root + "v1/projects/p/schemas/default/tables/t/"

// fixture is a handler over a table p.t of ids and of lists of timestamps, with a clock.
type fixture struct {
	*Handler
	store *store.Store
	now   time.Time
}

func newFixture(t *testing.T, rows int) *fixture {
	t.Helper()
	s, err := store.Open(store.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{store: s, now: time.Unix(1_700_000_000, 0)}
	f.Handler = New(Options{Store: s, Dir: t.TempDir(), Now: func() time.Time { return f.now }})
	t.Cleanup(func() {
		f.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	columns := []store.Column{{Name: "id", Type: types.Type{Kind: types.BigInt}}, {Name: "l", Type: types.ArrayOf(types.Type{Kind: types.Timestamp}), Nullable: true}}
	table, _, err := s.CreateTable(store.Table{Key: store.NewKey("p", "", "t"), Columns: columns}, false)
	if err != nil {
		t.Fatal(err)
	}
	if rows > 0 {
		f.insert(t, table, rows)
	}
	return f
}

// insert writes rows of which each third has an empty list, and the last a timestamp that
// only seconds can hold and one that only nanoseconds can.
func (f *fixture) insert(t *testing.T, table store.Table, rows int) {
	t.Helper()
	fields := []arrow.Field{{Name: "id", Type: arrow.PrimitiveTypes.Int64}, {Name: "l", Type: table.Columns[1].Type.Arrow(types.LayoutWide), Nullable: true}}
	b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema(fields, nil))
	defer b.Release()
	list := b.Field(1).(*array.ListBuilder)
	pair := list.ValueBuilder().(*array.StructBuilder)
	stamp := func(sec int64, nano int32) {
		pair.Append(true)
		pair.FieldBuilder(0).(*array.Int64Builder).Append(sec)
		pair.FieldBuilder(1).(*array.Int32Builder).Append(nano)
	}
	for i := range rows {
		b.Field(0).(*array.Int64Builder).Append(int64(i))
		list.Append(true)
		switch {
		case i == rows-1:
			stamp(-62135596800, 0)
			stamp(0, 1)
		case i%3 != 0:
			stamp(int64(i), 0)
			pair.AppendNull()
		}
	}
	rec := b.NewRecordBatch()
	defer rec.Release()
	w := f.store.NewSegment(table)
	if err := w.WriteBatch(rec); err != nil {
		t.Fatal(err)
	}
	segment, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	if err := f.store.Publish(table, []store.Publication{{Segments: []*store.Segment{segment}}}, store.PublishOptions{}); err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) do(method, path, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	f.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
	return w
}

// open makes a session and returns its id and what was answered.
func (f *fixture) session(t *testing.T, body string) (id string, answer map[string]any) {
	t.Helper()
	w := f.do(http.MethodPost, base+"sessions?session_type=batch_read", body)
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != http.StatusCreated {
		t.Fatalf("create: %d %s, %v", w.Code, w.Body, err)
	}
	return answer["SessionId"].(string), answer
}

// rows reads a stream as the rows' ids and the sizes of its batches.
func rows(t *testing.T, w *httptest.ResponseRecorder) (ids []int64, sizes []int64) {
	t.Helper()
	if w.Code != http.StatusOK {
		t.Fatalf("read: %d %s", w.Code, w.Body)
	}
	r, err := ipc.NewReader(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	for r.Next() {
		sizes = append(sizes, r.RecordBatch().NumRows())
		ids = append(ids, r.RecordBatch().Column(0).(*array.Int64).Int64Values()...)
	}
	if r.Err() != nil {
		t.Fatal(r.Err())
	}
	return ids, sizes
}

func TestSplits_are_the_rows_cut_in_order(t *testing.T) {
	f := newFixture(t, 100)
	for _, path := range []string{base, Root + "v1/projects/P/tables/T/"} {
		id, answer := f.session(t, `{"RequiredDataColumns":["ID"],"SplitOptions":{"SplitMode":"Parallelism","SplitNumber":7}}`)
		if answer["SplitsCount"] != 7.0 || answer["RecordCount"] != -1.0 {
			t.Errorf("session: %v, want 7 splits and no rows", answer)
		}
		var all []int64
		for i := range 7 {
			ids, _ := rows(t, f.do(http.MethodGet, fmt.Sprintf("%sdata?session_id=%s&split_index=%d&row_index=0&row_count=0", path, id, i), ""))
			all = append(all, ids...)
		}
		for i, got := range all {
			if got != int64(i) || len(all) != 100 {
				t.Fatalf("row %d of %d is %d", i, len(all), got)
			}
		}
	}
}

func TestRead_bounds_its_batches(t *testing.T) {
	f := newFixture(t, 100)
	id, _ := f.session(t, `{"RequiredDataColumns":["id"],"SplitOptions":{"SplitMode":"RowOffset"}}`)
	for query, want := range map[string][]int64{
		"row_index=90&row_count=10&max_batch_rows=4":                         {4, 4, 2},
		"row_index=0&row_count=100":                                          {100},
		"row_index=10&row_count=0":                                           nil,
		"row_index=0&row_count=5&max_batch_raw_size=1":                       {1, 1, 1, 1, 1},
		"row_index=0&row_count=3&max_batch_rows=2&max_batch_raw_size=999999": {2, 1},
	} {
		if _, sizes := rows(t, f.do(http.MethodGet, base+"data?session_id="+id+"&"+query, "")); !cmp.Equal(sizes, want) {
			t.Errorf("%s: batches of %v rows, want %v", query, sizes, want)
		}
	}
}

// TestRead_judges_only_the_rows_that_are_read proves that a value without a form in the unit
// does not spoil ranges that it is not in, and is an error before anything is sent where it is.
func TestRead_judges_only_the_rows_that_are_read(t *testing.T) {
	f := newFixture(t, 100)
	for unit, text := range map[string]string{"nano": "does not fit the unit ns", "micro": "finer than the unit us"} {
		id, _ := f.session(t, `{"ArrowOptions":{"TimestampUnit":"`+unit+`"},"SplitOptions":{"SplitMode":"RowOffset"}}`)
		if ids, _ := rows(t, f.do(http.MethodGet, base+"data?session_id="+id+"&row_index=0&row_count=99", "")); len(ids) != 99 {
			t.Errorf("%s: %d rows, want 99", unit, len(ids))
		}
		w := f.do(http.MethodGet, base+"data?session_id="+id+"&row_index=0&row_count=100", "")
		if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), text) || !strings.Contains(w.Body.String(), "column l") {
			t.Errorf("%s: %d %s, want 400 and %q", unit, w.Code, w.Body, text)
		}
	}
}

func TestSessions_end(t *testing.T) {
	f := newFixture(t, 10)
	id, _ := f.session(t, "")
	state := func() int { return f.do(http.MethodGet, base+"sessions/"+id+"?session_type=batch_read", "").Code }
	f.now = f.now.Add(SessionTTL - time.Second)
	if state() != http.StatusOK {
		t.Error("the session ended before its time")
	}
	f.do(http.MethodGet, base+"sessions/"+id+"?session_type=batch_read&session_refresh=true", "")
	f.now = f.now.Add(SessionTTL - time.Second)
	if state() != http.StatusOK {
		t.Error("a refresh gave the session no new life")
	}
	f.now = f.now.Add(time.Second)
	if got := f.do(http.MethodGet, base+"data?session_id="+id, "").Code; got != http.StatusNotFound || state() != http.StatusNotFound {
		t.Errorf("after its life: read %d, reload %d, want 404 for both", got, state())
	}
	f.session(t, "") // drops the old one
	if f.mu.Lock(); len(f.sessions) != 1 {
		t.Errorf("%d sessions are kept, want 1", len(f.sessions))
	}
	f.mu.Unlock()
}

func TestRequests_that_are_refused(t *testing.T) {
	f := newFixture(t, 10)
	ranges, _ := f.session(t, `{"SplitOptions":{"SplitMode":"RowOffset"}}`)
	splits, _ := f.session(t, "")
	post, get := http.MethodPost, http.MethodGet
	for _, tt := range []struct {
		method, path, body string
		status             int
	}{
		{post, base + "sessions?session_type=batch_read", `{"SplitOptions":{"SplitMode":"Size","SplitNumber":1}}`, 400},
		{post, base + "sessions?session_type=batch_read", `{"SplitOptions":{"SplitMode":"Parallelism"}}`, 400},
		{post, base + "sessions?session_type=batch_read", `{"SplitOptions":{"SplitMode":"Other"}}`, 400},
		{post, base + "sessions?session_type=batch_read", `{"ArrowOptions":{"TimestampUnit":"day"}}`, 400},
		{post, base + "sessions?session_type=batch_read", `{"RequiredBucketIds":[1]}`, 400},
		{post, base + "sessions?session_type=batch_read", `{"RequiredPartitions":["pt=1"]}`, 400},
		{post, base + "sessions?session_type=batch_read", `{"FilterPredicate":"id = 1"}`, 400}, // no engine here
		{post, base + "sessions?session_type=batch_read", `{`, 400},
		{post, base + "sessions?session_type=batch_read", `{} {}`, 400},
		{post, base + "sessions?session_type=odd", "", 400},
		{post, base + "sessions?session_type=batch_write", "", 404},
		{post, base + "commit?session_id=x", "", 404},
		{post, base + "sessions/x/data?block_number=0", "", 404},
		{post, strings.Replace(base, "tables/t/", "tables/none/", 1) + "sessions?session_type=batch_read", "", 404},
		{get, base + "data?session_id=none", "", 404},
		{get, strings.Replace(base, "tables/t/", "tables/other/", 1) + "data?session_id=" + splits, "", 404},
		{get, base + "data?session_id=" + splits + "&split_index=1", "", 400},
		{get, base + "data?session_id=" + splits + "&row_count=1", "", 400},
		{get, base + "data?session_id=" + splits + "&max_batch_rows=-1", "", 400},
		{get, base + "data?session_id=" + splits + "&data_format_version=V9", "", 400},
		{get, base + "data?session_id=" + ranges + "&row_index=5&row_count=6", "", 400},
		{get, base + "data?session_id=" + ranges + "&row_index=9223372036854775807&row_count=9223372036854775807", "", 400},
		{get, Root + "v2?Action=x", "", 404},
		{http.MethodPut, base + "sessions", "", 404},
	} {
		w := f.do(tt.method, tt.path, tt.body)
		var answer struct{ Code, Message string }
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != tt.status || answer.Code == "" || answer.Message == "" {
			t.Errorf("%s %s %s: %d %s, want %d and a JSON error", tt.method, tt.path, tt.body, w.Code, w.Body, tt.status)
		}
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequest(post, base+"sessions?session_type=batch_read", strings.NewReader("{}"))
	r.Header.Set("Content-MD5", "00112233445566778899aabbccddeeff")
	if f.ServeHTTP(w, r); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "CheckSumError") {
		t.Errorf("wrong checksum: %d %s", w.Code, w.Body)
	}
}

func TestInUnits_is_exact_or_an_error(t *testing.T) {
	last, first := int64(math.MaxInt64), int64(math.MinInt64)
	for _, tt := range []struct {
		sec, nano int64
		unit      arrow.TimeUnit
		want      int64
		ok        bool
	}{
		{1, 5, arrow.Nanosecond, 1_000_000_005, true},
		{-1, 999_999_999, arrow.Nanosecond, -1, true},
		{last / 1e9, last % 1e9, arrow.Nanosecond, last, true},
		{last / 1e9, last%1e9 + 1, arrow.Nanosecond, 0, false},
		{first/1e9 - 1, 1e9 + first%1e9, arrow.Nanosecond, first, true},
		{first/1e9 - 1, 1e9 + first%1e9 - 1, arrow.Nanosecond, 0, false},
		{-62135596800, 0, arrow.Nanosecond, 0, false},
		{-62135596800, 1000, arrow.Microsecond, -62135596799999999, true},
		{0, 1500, arrow.Microsecond, 0, false},
		{253402300799, 999_000_000, arrow.Millisecond, 253402300799999, true},
		{7, 0, arrow.Second, 7, true},
		{7, 1, arrow.Second, 0, false},
	} {
		got, err := inUnits(tt.sec, tt.nano, tt.unit)
		if got != tt.want || (err == nil) != tt.ok {
			t.Errorf("inUnits(%d, %d, %s) = %d, %v, want %d, %t", tt.sec, tt.nano, tt.unit, got, err, tt.want, tt.ok)
		}
	}
}

func TestCheckExpression(t *testing.T) {
	for text, ok := range map[string]bool{
		"`a` = 'x)' and (b > 1 or not (c in (1, 2)))": true, "`from` = 1": true, "array_contains(l, 1) and l[0] = 1": true, "a = datetime'2024-01-01'": true,
		"a = 1) or (b = 2": false, "(a = 1": false, "a = 1; b": false, "a in (select b from t)": false, "exists(with x as (values (1)) from x)": false,
		"a = 'x": false, "a = (1]": false, "/* */": false, "-- x": false, "sum(a) over () = 1": false,
	} {
		if err := checkExpression(text); (err == nil) != ok {
			t.Errorf("checkExpression(%q) = %v, want ok %t", text, err, ok)
		}
	}
}

// FuzzCheckExpression proves that a text that passes cannot leave the parentheses that it is
// put in, and that what does not pass is an error of the client.
func FuzzCheckExpression(f *testing.F) {
	for _, s := range []string{"`a` = 1", "a)b(", "'", "\"\\\"", "a -- )\n and (b)", "((((", "`", "/*", "a in (1,2)", "not (a is null)"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		err := checkExpression(text)
		if err != nil {
			if e := asError(err); e.Status != http.StatusBadRequest {
				t.Errorf("checkExpression(%q) = %v", text, e)
			}
			return
		}
		if err := checkExpression("(" + text + "\n) and (" + text + "\n)"); err != nil && text != "" {
			t.Errorf("%q passes, but not within parentheses: %v", text, err)
		}
	})
}

// FuzzSession proves that no body makes a session fail but with an error of the client, or
// leave rows out.
func FuzzSession(f *testing.F) {
	for _, s := range []string{
		"", "{}", "[]", `{"SplitOptions":{"SplitMode":"Parallelism","SplitNumber":3,"CrossPartition":false}}`, `{"SplitOptions":{"SplitMode":"Size","SplitNumber":9223372036854775807}}`,
		`{"RequiredDataColumns":["id"],"ArrowOptions":{"DatetimeUnit":"nano"}}`, `{"RequiredPartitions":["a=1"],"RequiredBucketIds":[0]}`, `{"SplitOptions":{"SplitNumber":-1}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		a, err := parseAsk(body)
		if err != nil {
			if e := asError(err); e.Status != http.StatusBadRequest {
				t.Errorf("parseAsk(%q) = %v", body, e)
			}
			return
		}
		s := &session{ask: a, rows: 1000, bytes: 1 << 40}
		if err := s.plan(); err != nil {
			if e := asError(err); e.Status != http.StatusBadRequest {
				t.Errorf("plan of %q: %v", body, e)
			}
			return
		}
		at := int64(0)
		for _, p := range s.splits {
			if p.start != at || p.count < 0 {
				t.Errorf("%q: split %+v does not begin at %d", body, p, at)
			}
			at += p.count
		}
		crossing := a.SplitOptions.CrossPartition == nil || *a.SplitOptions.CrossPartition || a.SplitOptions.SplitMode == byBucket
		if s.splits != nil && crossing && at != s.rows {
			t.Errorf("%q: the splits have %d rows of %d", body, at, s.rows)
		}
	})
}
