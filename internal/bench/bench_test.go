package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	sdkarrow "github.com/aliyun/aliyun-odps-go-sdk/arrow"
	"github.com/aliyun/aliyun-odps-go-sdk/odps/tunnel"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/mem"

	"github.com/sluice-io/sluice/client"
	"github.com/sluice-io/sluice/emulator"
	"github.com/sluice-io/sluice/internal/testkit"
)

// TestMain is the service's own process too, when a test starts this program as one.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == childCommand {
		if err := run(context.Background(), os.Args[1:], os.Stdout, os.Stderr); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	testkit.Main(m)
}

func TestChild_serves_and_tells_what_open_slices_take(t *testing.T) {
	endpoint, err := emulator.New(emulator.Options{Discard: true})
	if err != nil {
		t.Fatal(err)
	}
	defer endpoint.Close() //nolint:errcheck // nothing is kept
	endpoint.Start()
	c, err := startChild(t.Context(), t.TempDir(), endpoint.Addr(), 16<<20)
	if err != nil {
		t.Fatal(err)
	}
	cl, err := client.Dial(t.Context(), c.addr)
	if err != nil {
		t.Fatal(err)
	}
	if err := createTable(t.Context(), cl, "idle", narrow); err != nil {
		t.Fatal(err)
	}
	before, err := c.footprint(true)
	if err != nil {
		t.Fatal(err)
	}
	const slices = 50
	ctx, cancel := context.WithCancel(t.Context())
	crowd := &crowd{talk: oneRow}
	if err := crowd.open(ctx, cl, slices); err != nil {
		t.Fatal(err)
	}
	after, err := c.footprint(false)
	if err != nil {
		t.Fatal(err)
	}
	if got := after.Goroutines - before.Goroutines; got < slices {
		t.Errorf("%d open slices added %d goroutines, want one each at least", slices, got)
	}
	if before.RSS <= 0 || before.Heap <= 0 || before.Stacks <= 0 || after.CPU < before.CPU {
		t.Errorf("footprints %+v, %+v: want sizes, and CPU that grows", before, after)
	}
	cancel()
	if err := errors.Join(cl.Close(), c.close()); err != nil {
		t.Error(err)
	}
}

func TestGate_holds_blocks_until_it_opens(t *testing.T) {
	served := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	defer served.Close()
	g, err := startGate(t.Context(), served.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	put := func(limit time.Duration) (int, error) {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://"+g.addr()+"/t?blockid=0", http.NoBody)
		if err != nil {
			return 0, err
		}
		res, err := transport.RoundTrip(req)
		if err != nil {
			return 0, err
		}
		return res.StatusCode, res.Body.Close()
	}
	if got, err := put(time.Minute); got != http.StatusNoContent {
		t.Errorf("before it is shut: status %d, %v, want the endpoint's", got, err)
	}
	g.shut()
	if got, err := put(100 * time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("shut: status %d, %v, want no answer", got, err)
	}
	g.open()
	if got, err := put(time.Minute); got != http.StatusServiceUnavailable {
		t.Errorf("opened: status %d, %v, want 503: what was held is not worth sending any more", got, err)
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	if err := g.close(); err != nil {
		t.Error(err)
	}
}

func TestDuel_runs_in_turn_and_forgets_the_warm_up(t *testing.T) {
	var order []string
	side := func(name string) func(context.Context) error {
		return func(context.Context) error {
			order = append(order, name)
			return nil
		}
	}
	d := duel{name: "d", unit: "MB/s", amount: 1, ours: side("ours"), peer: side("peer")}
	got, err := d.fight(t.Context(), 3, bothSides)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.ours) != 3 || len(got.peer) != 3 {
		t.Errorf("fight kept %d and %d samples, want 3 of each", len(got.ours), len(got.peer))
	}
	want := []string{"ours", "peer", "peer", "ours", "ours", "peer", "peer", "ours"}
	if diff := cmp.Diff(want, order); diff != "" {
		t.Error(diff)
	}
}

func TestDuel_tells_whose_error_it_was(t *testing.T) {
	broken := errors.New("broken")
	d := duel{name: "d", ours: func(context.Context) error { return nil }, peer: func(context.Context) error { return broken }}
	if _, err := d.fight(t.Context(), 1, bothSides); !errors.Is(err, broken) || !strings.Contains(err.Error(), "d: peer: ") {
		t.Errorf("fight = %v, want the peer's error", err)
	}
}

func TestResults_are_medians_and_ratios_of_pairs(t *testing.T) {
	second := func(n float64) sample {
		return sample{wall: time.Duration(n * 1e9), cpu: time.Duration(n * 1e9)}
	}
	d := duel{name: "d", unit: "MB/s", amount: 100, gigabytes: 0.1, goal: 1.4, cpuGoal: 1}
	got := d.results(runs{
		ours: []sample{second(1), second(2), second(4)}, // 100, 50, 25 MB/s
		peer: []sample{second(2), second(4), second(4)}, // 50, 25, 25 MB/s
	})
	want := []result{
		{Name: "d", Unit: "MB/s", Ours: new(50.0), Peer: new(25.0), Ratio: new(2.0), Spread: 0.5, Goal: new(1.4), Better: higher},
		{Name: "d/cpu", Unit: "cpu-s/GB", Ours: new(20.0), Peer: new(40.0), Ratio: new(0.5), Spread: 1, Goal: new(1.0), Better: lower},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, r := range got {
		if !r.reached() {
			t.Errorf("%s: not reached", r.Name)
		}
	}
}

func TestResult_without_peer_holds_its_goal_against_ours(t *testing.T) {
	r := absolute("size", "MB", []float64{41}, 40)
	if r.reached() || r.Ratio != nil || r.Peer != nil || r.goalText() != "≤ 40 MB" {
		t.Errorf("absolute = %+v, goal %q, want one that misses 40 MB and has no peer", r, r.goalText())
	}
}

func TestReport_json_has_the_promised_fields(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out", "bench.json")
	if err := writeJSON(path, []result{absolute("size", "MB", []float64{39}, 40)}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got []map[string]any
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	want := []map[string]any{{"name": "size", "ours": 39.0, "peer": nil, "unit": "MB", "ratio": nil, "spread": 0.0, "goal": 40.0, "better": "lower"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestBatches_hold_every_row_in_both_arrows(t *testing.T) {
	for _, shape := range []shape{wide, narrow} {
		x := makeRows(shape, 5000)
		b, err := arrowBatches(x)
		if err != nil {
			t.Fatal(err)
		}
		var ids []int64
		var bytes int
		for i, rec := range b.ours {
			ids = append(ids, rec.Column(0).(*array.Int64).Int64Values()...)
			bytes += len(b.sent[i])
		}
		if !slices.Equal(ids, x.id) || bytes != b.bytes || b.rows != x.len() {
			t.Errorf("%s: batches have %d ids and %d bytes, want %d and %d", shape, len(ids), bytes, x.len(), b.bytes)
		}
		if got := float64(b.bytes) / float64(b.rows); got < 0.9*float64(shape.rowBytes()) || got > 1.1*float64(shape.rowBytes()) {
			t.Errorf("%s: %.0f bytes a row, rowBytes says %d", shape, got, shape.rowBytes())
		}
		if n := len(x.sdkRecord(0)); n != len(b.schema.Fields()) {
			t.Errorf("%s: SDK record of %d columns, want %d", shape, n, len(b.schema.Fields()))
		}
	}
}

func TestForSDK_gives_the_same_rows(t *testing.T) {
	b, err := arrowBatches(makeRows(narrow, 50_000))
	if err != nil {
		t.Fatal(err)
	}
	schema := sdkarrow.NewSchema([]sdkarrow.Field{
		{Name: "id", Type: sdkarrow.PrimitiveTypes.Int64, Nullable: true}, {Name: "name", Type: sdkarrow.BinaryTypes.String, Nullable: true},
		{Name: "score", Type: sdkarrow.PrimitiveTypes.Float64, Nullable: true}, {Name: "flag", Type: sdkarrow.FixedWidthTypes.Boolean, Nullable: true},
		{Name: "ts", Type: &sdkarrow.TimestampType{Unit: sdkarrow.Nanosecond}, Nullable: true},
	}, nil)
	records, err := b.forSDK(schema)
	if err != nil {
		t.Fatal(err)
	}
	if len(records) < 2 {
		t.Fatalf("%d batches, want some", len(records))
	}
	for i, rec := range records {
		for c := range rec.Columns() {
			if got, want := rec.Column(c).Len(), b.ours[i].Column(c).Len(); got != want {
				t.Errorf("batch %d, column %d: %d values, want %d", i, c, got, want)
			}
		}
	}
}

func TestFramed_is_what_the_SDK_reads(t *testing.T) {
	for _, size := range []int{0, 1, frameChunk - 1, frameChunk, frameChunk + 1, 3 * frameChunk} {
		data := bytes.Repeat([]byte{7, 1, 2}, size/3+1)[:size]
		var body bytes.Buffer
		if n, err := (framed{messages: [][]byte{data[:size/3], data[size/3:]}}).WriteTo(&body); err != nil || n != int64(body.Len()) {
			t.Fatalf("WriteTo of %d bytes = %d, %v, wrote %d", size, n, err, body.Len())
		}
		got, err := io.ReadAll(tunnel.NewArrowStreamReader(io.NopCloser(&body)))
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes read back as %d, %v", size, len(got), err)
		}
	}
}

func TestDecoder_counts_the_rows_of_every_payload(t *testing.T) {
	b, err := arrowBatches(makeRows(wide, 8000))
	if err != nil {
		t.Fatal(err)
	}
	d, err := newDecoder(b.schema)
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	for i, message := range b.sent {
		payload := mem.BufferSlice{mem.SliceBuffer(message[:1000]), mem.SliceBuffer(message[1000:])}
		if got, err := d.rows(payload); err != nil || got != b.ours[i].NumRows() {
			t.Errorf("batch %d = %d rows, %v, want %d", i, got, err, b.ours[i].NumRows())
		}
	}
	if _, err := d.rows(mem.BufferSlice{mem.SliceBuffer("short")}); err == nil {
		t.Error("a payload of five bytes: want an error")
	}
}

// TestBench_end_to_end runs both ways of uploading, downloading and storing once, with little data.
func TestBench_end_to_end(t *testing.T) {
	dir := t.TempDir()
	report := filepath.Join(dir, "bench.json")
	var table, progress bytes.Buffer
	err := run(t.Context(), []string{"-quick", "-runs", "1", "-dir", dir, "-o", report, "-only", "^(arrow_upload/wide/1/store|row_upload/narrow|arrow_download/narrow|flight/narrow)$"}, &table, &progress)
	if err != nil {
		t.Fatalf("run = %v\n%s", err, progress.String())
	}
	text, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	var rows []result
	if err := json.Unmarshal(text, &rows); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range rows {
		names = append(names, r.Name)
		if r.Ratio == nil || *r.Ratio <= 0 || !strings.Contains(table.String(), r.Name) {
			t.Errorf("%s: ratio %v, want one, in the table too", r.Name, r.Ratio)
		}
	}
	want := []string{
		"arrow_upload/wide/1/store", "arrow_upload/wide/1/store/cpu", "row_upload/narrow", "row_upload/narrow/cpu",
		"arrow_download/narrow", "arrow_download/narrow/cpu", "flight/narrow", "flight/narrow/cpu",
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
}
