package client_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"

	"github.com/sluice-io/sluice/client"
	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
	"github.com/sluice-io/sluice/internal/testkit"
)

var idSchema = arrow.NewSchema([]arrow.Field{{Name: "id", Type: arrow.PrimitiveTypes.Int64, Nullable: true}}, nil)

func idBatch(alloc memory.Allocator, from, to int64) arrow.RecordBatch {
	b := array.NewRecordBuilder(alloc, idSchema)
	defer b.Release()
	for id := from; id < to; id++ {
		b.Field(0).(*array.Int64Builder).Append(id)
	}
	return b.NewRecordBatch()
}

func sequence(from, to int64) []int64 {
	var out []int64
	for id := from; id < to; id++ {
		out = append(out, id)
	}
	return out
}

func openWriter(t testing.TB, c *client.Client, cfg client.WriterConfig) *client.Writer {
	t.Helper()
	cfg.Run, cfg.Output = "r", client.TablePath("odps://p/tables/t")
	if cfg.Allocator == nil {
		cfg.Allocator = testkit.Allocator(t)
	}
	w, err := c.NewWriter(t.Context(), cfg)
	if err != nil {
		t.Fatalf("NewWriter: %v", err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return w
}

// writeIDs writes ids in Arrow batches of size rows.
func writeIDs(t testing.TB, w *client.Writer, alloc memory.Allocator, from, to, size int64) {
	t.Helper()
	for ; from < to; from += size {
		rec := idBatch(alloc, from, min(to, from+size))
		err := w.WriteArrow(rec)
		rec.Release()
		if err != nil {
			t.Fatalf("WriteArrow of rows from %d: %v", from, err)
		}
	}
}

func seal(t testing.TB, w *client.Writer, want int64) {
	t.Helper()
	sealed, err := w.Seal(t.Context())
	if err != nil {
		t.Fatalf("Seal: %v", err)
	}
	if sealed.Rows != want || sealed.Run.GetState() != sluicev1.RunState_RUN_STATE_COMMITTED {
		t.Errorf("Seal = %+v, want %d rows, committed", sealed, want)
	}
}

func checkRows(t testing.TB, f *fakeServer, want []int64) {
	t.Helper()
	if got := f.content(); !slices.Equal(got, want) {
		t.Errorf("the slice holds %d rows, want %d; first difference at %d", len(got), len(want), firstDifference(got, want))
	}
}

func firstDifference(a, b []int64) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

func TestWriterDeliversArrowBatches(t *testing.T) {
	f := newFake()
	alloc := testkit.Allocator(t)
	w := openWriter(t, f.dial(t), client.WriterConfig{Schema: idSchema, Allocator: alloc})
	writeIDs(t, w, alloc, 0, 20_000, 7_000)
	seal(t, w, 20_000)
	checkRows(t, f, sequence(0, 20_000))
	if p := w.Progress(); p.Written != 20_000 || p.Durable != 20_000 || p.HeldBytes != 0 || p.Resumes != 0 {
		t.Errorf("Progress = %+v", p)
	}
	if again, err := w.Seal(t.Context()); err != nil || again.Rows != 20_000 {
		t.Errorf("a second Seal = %+v, %v", again, err)
	}
	for i, size := range f.messages {
		if size > 20<<10 {
			t.Errorf("message %d has %d bytes, the best size is 16 KiB", i, size)
		}
	}
}

func TestWriterDefinesSchemasItLearnsLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.script = func(n int) script { return script{cutAfter: 2 * n} }
		w := openWriter(t, f.dial(t), client.WriterConfig{Allocator: memory.DefaultAllocator})
		writeIDs(t, w, memory.DefaultAllocator, 0, 8_000, 500)
		seal(t, w, 8_000)
		checkRows(t, f, sequence(0, 8_000))
	})
}

// Streams break after every possible number of batches, with some rows durable and some not.
func TestWriterResumesWithoutLossOrDoubling(t *testing.T) {
	for seed := range uint64(12) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			f := newFake()
			f.script = func(n int) script {
				if n > 12 {
					return script{}
				}
				s := script{cutAfter: 1 + rng.IntN(5), durableStep: 1 + rng.IntN(3000), loseOpened: rng.IntN(4) == 0}
				if rng.IntN(3) == 0 {
					s.endWith = fault(codes.Unavailable, sluicev1.Reason_REASON_BACKEND_UNAVAILABLE, "resume")
				}
				return s
			}
			c := f.dial(t)
			// No checked allocator here: gRPC's loopyWriter.preprocessData drops a data frame whose stream was cleaned up
			// between the sender's look at the stream's state and the frame's turn, and never frees the frame's reference
			// (v1.85.0; http2Client.write takes it). Ours are all freed: hold only counts, and Go collects the memory.
			w := openWriter(t, c, client.WriterConfig{Schema: idSchema, Allocator: memory.DefaultAllocator})
			writeIDs(t, w, memory.DefaultAllocator, 0, 30_000, 1+rng.Int64N(2000))
			seal(t, w, 30_000)
			checkRows(t, f, sequence(0, 30_000))
			if f.streams < 2 {
				t.Error("no stream broke: the test tests nothing")
			}
			for i := 1; i < len(f.opens); i++ {
				a, b := f.opens[i-1], f.opens[i]
				if b.GetWorkerId() != a.GetWorkerId() || b.GetWriterNumber() != a.GetWriterNumber() || b.GetOpenNumber() != a.GetOpenNumber()+1 || b.GetDurableSeen() < a.GetDurableSeen() {
					t.Errorf("open %d is %v after %v", i, b, a)
				}
			}
		})
	}
}

func TestWriterSurvivesALostSealReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.script = func(n int) script { return script{loseSealed: n == 1} }
		w := openWriter(t, f.dial(t), client.WriterConfig{Schema: idSchema})
		writeIDs(t, w, memory.DefaultAllocator, 0, 5_000, 1000)
		seal(t, w, 5_000)
		checkRows(t, f, sequence(0, 5_000))
	})
}

func TestWriterGoesAwayWhenTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.script = func(n int) script { return script{goAwayAfter: 2, durableStep: 1500 * (n % 2)} }
		w := openWriter(t, f.dial(t), client.WriterConfig{Schema: idSchema})
		for id := int64(0); id < 10_000; id += 1000 {
			writeIDs(t, w, memory.DefaultAllocator, id, id+1000, 1000)
			time.Sleep(2 * time.Second) // of the bubble's time: a step of the caller's own work
		}
		seal(t, w, 10_000)
		checkRows(t, f, sequence(0, 10_000))
		if w.Progress().Resumes < 2 {
			t.Errorf("%d resumes, want at least 2", w.Progress().Resumes)
		}
	})
}

func TestRejectedRowsAreToldAndLeftOut(t *testing.T) {
	f := newFake()
	f.script = func(int) script { return script{bad: func(id int64) bool { return id == 3_500 || id == 3_501 }} }
	alloc := testkit.Allocator(t)
	w := openWriter(t, f.dial(t), client.WriterConfig{Schema: idSchema, Allocator: alloc})
	var told []*client.RejectedError
	for id := int64(0); id < 8_000; id += 1000 {
		rec := idBatch(alloc, id, id+1000)
		for err := w.WriteArrow(rec); err != nil; err = w.WriteArrow(rec) {
			told = append(told, rejection(t, err))
		}
		rec.Release()
	}
	if _, err := w.Seal(t.Context()); err != nil {
		told = append(told, rejection(t, err))
	}
	if len(told) != 1 {
		t.Fatalf("%d rejections told, want 1", len(told))
	}
	r := told[0]
	if r.FirstRow != 3_000 || r.Rows != 1_000 || r.RowErrorCount != 2 || r.RowErrors[0].GetRow() != 500 || !client.Is(r, sluicev1.Reason_REASON_TYPE_MISMATCH) {
		t.Errorf("rejection = %+v", r)
	}
	if want := "rows 3000 to 3999 refused: TYPE_MISMATCH: rows do not fit; row 3500, column id: does not fit; row 3501, column id: does not fit"; r.Error() != want {
		t.Errorf("text = %q, want %q", r.Error(), want)
	}
	seal(t, w, 7_000)
	checkRows(t, f, append(sequence(0, 3_000), sequence(4_000, 8_000)...))
}

func rejection(t *testing.T, err error) *client.RejectedError {
	t.Helper()
	var r *client.RejectedError
	if !errors.As(err, &r) {
		t.Fatalf("error %v is no rejection", err)
	}
	return r
}

// Rows refused, streams cut, replies lost: all at once.
func TestRejectionsAndCutsTogether(t *testing.T) {
	for seed := range uint64(8) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 2))
			f := newFake()
			bad := func(id int64) bool { return id%2_000 == 700 }
			f.script = func(n int) script {
				s := script{bad: bad, durableStep: 900, loseSealed: n%3 == 0}
				if n < 10 {
					s.cutAfter = 1 + rng.IntN(6)
				}
				return s
			}
			w := openWriter(t, f.dial(t), client.WriterConfig{Schema: idSchema, Allocator: memory.DefaultAllocator})
			told := 0
			for id := int64(0); id < 20_000; id += 100 {
				rec := idBatch(memory.DefaultAllocator, id, id+100)
				for err := w.WriteArrow(rec); err != nil; err = w.WriteArrow(rec) {
					_ = rejection(t, err)
					told++
				}
				rec.Release()
			}
			for {
				_, err := w.Seal(t.Context())
				if err == nil {
					break
				}
				_ = rejection(t, err)
				told++
			}
			var want []int64
			for id := range int64(20_000) {
				if id%2_000/100 != 7 {
					want = append(want, id)
				}
			}
			checkRows(t, f, want)
			if told != 10 {
				t.Errorf("%d rejections told, want 10", told)
			}
		})
	}
}

func TestDamagedBatchIsSentOnceMore(t *testing.T) {
	f := newFake()
	f.script = func(int) script { return script{damage: true} }
	alloc := testkit.Allocator(t)
	w := openWriter(t, f.dial(t), client.WriterConfig{Schema: idSchema, Allocator: alloc})
	writeIDs(t, w, alloc, 0, 3_000, 1000)
	seal(t, w, 3_000)
	checkRows(t, f, sequence(0, 3_000))
}

func TestFullReplayBufferWaitsThenFlushes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake() // makes nothing durable by itself
		w := openWriter(t, f.dial(t), client.WriterConfig{Schema: idSchema, ReplayBytes: 40_000})
		writeIDs(t, w, memory.DefaultAllocator, 0, 20_000, 1000)
		if p := w.Progress(); p.HeldBytes > 40_000 {
			t.Errorf("%d bytes held, 40000 allowed", p.HeldBytes)
		}
		seal(t, w, 20_000)
		checkRows(t, f, sequence(0, 20_000))
		if !slices.Contains(f.log, "flush") || f.peak > 5_000 {
			t.Errorf("log %v, at most %d rows undurable: want flushes and at most 5000", f.log, f.peak)
		}
	})
}

func TestFlushMakesDurable(t *testing.T) {
	f := newFake()
	alloc := testkit.Allocator(t)
	w := openWriter(t, f.dial(t), client.WriterConfig{Schema: idSchema, Allocator: alloc})
	writeIDs(t, w, alloc, 0, 2_500, 1000)
	if durable, err := w.Flush(t.Context()); err != nil || durable != 2_500 {
		t.Errorf("Flush = %d, %v, want 2500", durable, err)
	}
	if p := w.Progress(); p.HeldBytes != 0 || p.Durable != 2_500 {
		t.Errorf("Progress after Flush = %+v", p)
	}
}

func TestFlushTellsTheServersNo(t *testing.T) {
	f := newFake()
	f.script = func(int) script {
		return script{refuseFlush: protoError(codes.ResourceExhausted, sluicev1.Reason_REASON_TOO_MANY_BLOCKS, "no", "none left")}
	}
	alloc := testkit.Allocator(t)
	w := openWriter(t, f.dial(t), client.WriterConfig{Schema: idSchema, Allocator: alloc})
	writeIDs(t, w, alloc, 0, 100, 100)
	if _, err := w.Flush(t.Context()); !client.Is(err, sluicev1.Reason_REASON_TOO_MANY_BLOCKS) {
		t.Errorf("Flush = %v, want TOO_MANY_BLOCKS", err)
	}
	seal(t, w, 100)
}

func TestFatalErrorsEndTheWriter(t *testing.T) {
	for _, reason := range []sluicev1.Reason{sluicev1.Reason_REASON_SLICE_FENCED, sluicev1.Reason_REASON_DATA_MISMATCH, sluicev1.Reason_REASON_RUN_CLOSED} {
		f := newFake()
		f.script = func(int) script { return script{cutAfter: 1, endWith: fault(codes.Aborted, reason, "no")} }
		alloc := testkit.Allocator(t)
		w := openWriter(t, f.dial(t), client.WriterConfig{Schema: idSchema, Allocator: alloc})
		rec := idBatch(alloc, 0, 5_000) // three messages
		if err := w.WriteArrow(rec); err != nil && !client.Is(err, reason) {
			t.Errorf("WriteArrow = %v, want nil or %v", err, reason)
		}
		rec.Release()
		if _, err := w.Seal(t.Context()); !client.Is(err, reason) {
			t.Errorf("Seal = %v, want %v", err, reason)
		}
		rec = idBatch(alloc, 0, 1)
		if err := w.WriteArrow(rec); !client.Is(err, reason) {
			t.Errorf("WriteArrow = %v, want %v", err, reason)
		}
		rec.Release()
	}
}

// TestAServerThatResumesElsewhereHasLostRows: rows 0 to 5,000 are durable, another 1,000 are held, and the server that
// is there after a cut goes on before the ones or behind the others.
func TestAServerThatResumesElsewhereHasLostRows(t *testing.T) {
	for name, off := range map[string]int64{"one row below the durable ones": -1, "from the start": -5_000, "one row beyond all": 1_001} {
		t.Run(name, func(t *testing.T) {
			f := newFake()
			f.script = func(n int) script {
				if n == 1 {
					return script{cutAfter: 5}
				}
				return script{resumeOff: off}
			}
			alloc := testkit.Allocator(t)
			w := openWriter(t, f.dial(t), client.WriterConfig{Schema: idSchema, Allocator: alloc})
			writeIDs(t, w, alloc, 0, 5_000, 1_000)
			if _, err := w.Flush(t.Context()); err != nil {
				t.Fatalf("Flush: %v", err)
			}
			writeIDs(t, w, alloc, 5_000, 6_000, 1_000)
			if _, err := w.Seal(t.Context()); !client.Is(err, sluicev1.Reason_REASON_ROWS_LOST) {
				t.Errorf("Seal = %v, want ROWS_LOST", err)
			}
			if f.streams != 2 || f.opens[1].GetDurableSeen() != 5_000 {
				t.Errorf("%d streams, opens %v", f.streams, f.opens)
			}
		})
	}
}

func TestOpenErrorsAreReturned(t *testing.T) {
	f := newFake()
	f.script = func(int) script {
		return script{openError: fault(codes.NotFound, sluicev1.Reason_REASON_TABLE_NOT_FOUND, "no")}
	}
	_, err := f.dial(t).NewWriter(t.Context(), client.WriterConfig{Output: client.TableName("t")})
	if !client.Is(err, sluicev1.Reason_REASON_TABLE_NOT_FOUND) {
		t.Errorf("NewWriter = %v, want TABLE_NOT_FOUND", err)
	}
}

func TestBusySliceIsWaitedForWhenAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.script = func(n int) script {
			if n < 4 {
				return script{openError: fault(codes.AlreadyExists, sluicev1.Reason_REASON_SLICE_CONFLICT, "same")}
			}
			return script{}
		}
		c := f.dial(t)
		if _, err := c.NewWriter(t.Context(), client.WriterConfig{Output: client.TableName("t")}); !client.Is(err, sluicev1.Reason_REASON_SLICE_CONFLICT) {
			t.Errorf("NewWriter = %v, want SLICE_CONFLICT at once", err)
		}
		w := openWriter(t, c, client.WriterConfig{WaitBusy: time.Minute})
		seal(t, w, 0)
	})
}

func TestWriterGivesUpInTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.script = func(n int) script {
			if n > 1 {
				return script{openError: errCut()}
			}
			return script{cutAfter: 1}
		}
		w := openWriter(t, f.dial(t), client.WriterConfig{Schema: idSchema, GiveUpAfter: time.Hour})
		writeIDs(t, w, memory.DefaultAllocator, 0, 5_000, 1000)
		start := time.Now()
		_, err := w.Seal(t.Context())
		if err == nil || time.Since(start) < time.Hour {
			t.Errorf("Seal = %v after %v, want an error after an hour", err, time.Since(start))
		}
	})
}

func TestIdleWriterSendsHeartbeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		w := openWriter(t, f.dial(t), client.WriterConfig{Schema: idSchema})
		time.Sleep(5 * time.Minute)
		seal(t, w, 0)
		beats := 0
		for _, what := range f.log {
			if what == "heartbeat" {
				beats++
			}
		}
		if beats < 14 || beats > 16 || f.streams != 1 {
			t.Errorf("%d heartbeats in 5 minutes on %d streams, want one every 20 s on one", beats, f.streams)
		}
	})
}

func TestSilentServerIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.script = func(n int) script { return script{silent: n == 1} }
		w := openWriter(t, f.dial(t), client.WriterConfig{Schema: idSchema})
		writeIDs(t, w, memory.DefaultAllocator, 0, 3_000, 1000)
		time.Sleep(2 * time.Minute)
		seal(t, w, 3_000)
		checkRows(t, f, sequence(0, 3_000))
		if f.streams != 2 {
			t.Errorf("%d streams, want 2", f.streams)
		}
	})
}

func TestAbortDropsTheSlice(t *testing.T) {
	f := newFake()
	alloc := testkit.Allocator(t)
	w := openWriter(t, f.dial(t), client.WriterConfig{Schema: idSchema, Allocator: alloc})
	writeIDs(t, w, alloc, 0, 3_000, 1000)
	if err := w.Abort(t.Context(), "no longer wanted"); err != nil {
		t.Fatalf("Abort: %v", err)
	}
	if !f.aborted {
		t.Error("the server was not told")
	}
	if _, err := w.Seal(t.Context()); !client.Is(err, sluicev1.Reason_REASON_WRITER_CLOSED) {
		t.Errorf("Seal after Abort = %v, want WRITER_CLOSED", err)
	}
}

func TestAbortReachesASliceWhoseStreamBroke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.script = func(n int) script { return script{cutAfter: map[int]int{1: 2}[n]} }
		w := openWriter(t, f.dial(t), client.WriterConfig{Schema: idSchema, Allocator: memory.DefaultAllocator})
		writeIDs(t, w, memory.DefaultAllocator, 0, 3_000, 1000)
		synctest.Wait() // the third batch broke the stream, the next one is some time off
		if err := w.Abort(t.Context(), "no longer wanted"); err != nil {
			t.Fatalf("Abort: %v", err)
		}
		if !f.aborted {
			t.Error("the server was not told")
		}
	})
}

func TestAbortOfASliceThatTurnsOutSealedFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.script = func(n int) script { return script{loseSealed: n == 1, sealedLate: time.Second} }
		w := openWriter(t, f.dial(t), client.WriterConfig{Schema: idSchema, Allocator: memory.DefaultAllocator})
		writeIDs(t, w, memory.DefaultAllocator, 0, 1_000, 1000)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := w.Seal(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("Seal = %v, want the context's end", err)
		}
		if err := w.Abort(t.Context(), "too slow"); !client.Is(err, sluicev1.Reason_REASON_WRITER_CLOSED) {
			t.Errorf("Abort = %v, want WRITER_CLOSED: the rows are sealed and committed", err)
		}
	})
}

func TestFlushEndsWhenOthersWereToldOfTheRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.script = func(int) script { return script{bad: func(id int64) bool { return id == 1_005 }} }
		w := openWriter(t, f.dial(t), client.WriterConfig{Schema: idSchema, Allocator: memory.DefaultAllocator})
		writeIDs(t, w, memory.DefaultAllocator, 0, 2_000, 1000)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		flushes := make(chan error, 2)
		for range 2 {
			go func() { _, err := w.Flush(ctx); flushes <- err }()
		}
		told := 0
		for range 2 {
			var refused *client.RejectedError
			switch err := <-flushes; {
			case errors.As(err, &refused):
				told++
			case err != nil:
				t.Errorf("Flush = %v", err)
			}
		}
		if told != 1 {
			t.Errorf("the refusal was told %d times, want once", told)
		}
	})
}

func TestCloseSealsNothing(t *testing.T) {
	f := newFake()
	alloc := testkit.Allocator(t)
	w := openWriter(t, f.dial(t), client.WriterConfig{Schema: idSchema, Allocator: alloc})
	writeIDs(t, w, alloc, 0, 3_000, 1000)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if f.sealed {
		t.Error("Close sealed the slice")
	}
	rec := idBatch(alloc, 0, 1)
	defer rec.Release()
	if err := w.WriteArrow(rec); !client.Is(err, sluicev1.Reason_REASON_WRITER_CLOSED) {
		t.Errorf("WriteArrow after Close = %v, want WRITER_CLOSED", err)
	}
}

func TestEndedContextEndsTheWriter(t *testing.T) {
	f := newFake()
	ctx, cancel := context.WithCancel(t.Context())
	w, err := f.dial(t).NewWriter(ctx, client.WriterConfig{Run: "r", Output: client.TableName("t"), Schema: idSchema})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}()
	cancel()
	if _, err := w.Seal(t.Context()); !errors.Is(err, context.Canceled) {
		t.Errorf("Seal = %v, want context.Canceled", err)
	}
}

func TestColumnsAndRowsOfTheWire(t *testing.T) {
	f := newFake()
	w := openWriter(t, f.dial(t), client.WriterConfig{})
	cols := &sluicev1.ColumnBatch{Columns: []*sluicev1.ColumnData{{Data: []byte{7, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0}}}}
	if err := w.WriteColumns(2, cols); err != nil {
		t.Fatal(err)
	}
	list := &sluicev1.RowList{Rows: []*sluicev1.Row{{Values: []*sluicev1.Value{{Kind: &sluicev1.Value_Integer{Integer: 9}}}}}}
	if err := w.WriteRows(list); err != nil {
		t.Fatal(err)
	}
	seal(t, w, 3)
	checkRows(t, f, []int64{7, 8, 9})
}

func TestRowLargerThanAMessageIsRefusedHere(t *testing.T) {
	f := newFake()
	alloc := testkit.Allocator(t)
	w := openWriter(t, f.dial(t), client.WriterConfig{Allocator: alloc})
	schema := arrow.NewSchema([]arrow.Field{{Name: "s", Type: arrow.BinaryTypes.String}}, nil)
	b := array.NewRecordBuilder(alloc, schema)
	defer b.Release()
	b.Field(0).(*array.StringBuilder).Append(string(make([]byte, 2<<20)))
	rec := b.NewRecordBatch()
	defer rec.Release()
	if err := w.WriteArrow(rec); !client.Is(err, sluicev1.Reason_REASON_MESSAGE_TOO_LARGE) {
		t.Errorf("WriteArrow = %v, want MESSAGE_TOO_LARGE", err)
	}
}

func TestSlicesSealedBeforeNeedNothing(t *testing.T) {
	f := newFake()
	c := f.dial(t)
	alloc := testkit.Allocator(t)
	first := openWriter(t, c, client.WriterConfig{Schema: idSchema, Allocator: alloc})
	writeIDs(t, first, alloc, 0, 100, 100)
	seal(t, first, 100)
	again := openWriter(t, c, client.WriterConfig{Schema: idSchema, Allocator: alloc, OnTakeover: sluicev1.OnTakeover_ON_TAKEOVER_RESUME})
	if !again.AlreadySealed() || again.ResumeOffset() != 100 {
		t.Errorf("AlreadySealed = %v, ResumeOffset = %d, want true, 100", again.AlreadySealed(), again.ResumeOffset())
	}
	rec := idBatch(alloc, 0, 1)
	defer rec.Release()
	if err := again.WriteArrow(rec); !client.Is(err, sluicev1.Reason_REASON_WRITER_CLOSED) {
		t.Errorf("WriteArrow = %v, want WRITER_CLOSED", err)
	}
	seal(t, again, 100)
}

// A writer of a sealed slice may have ended before anybody asks whether it has opened.
func TestWriterThatEndedAtItsOpeningIsOpen(t *testing.T) {
	f := newFake()
	c := f.dial(t)
	seal(t, openWriter(t, c, client.WriterConfig{}), 0)
	cfg := client.WriterConfig{Run: "r", Output: client.TablePath("odps://p/tables/t"), OnTakeover: sluicev1.OnTakeover_ON_TAKEOVER_RESUME}
	for range 20 {
		if w, err := c.NewWriterAfterEnd(t.Context(), cfg); err != nil || !w.AlreadySealed() {
			t.Fatalf("NewWriter = %v, %v, want the writer of a sealed slice", w, err)
		}
	}
}

func TestOversizedColumnsAndRowsAreRefusedHere(t *testing.T) {
	f := newFake()
	w := openWriter(t, f.dial(t), client.WriterConfig{})
	big := &sluicev1.ColumnBatch{Columns: []*sluicev1.ColumnData{{Data: make([]byte, 2<<20)}}}
	if err := w.WriteColumns(1, big); !client.Is(err, sluicev1.Reason_REASON_MESSAGE_TOO_LARGE) {
		t.Errorf("WriteColumns = %v, want MESSAGE_TOO_LARGE", err)
	}
	if err := w.WriteColumns(1<<19, &sluicev1.ColumnBatch{}); !client.Is(err, sluicev1.Reason_REASON_BAD_ARGUMENT) {
		t.Errorf("WriteColumns = %v, want BAD_ARGUMENT", err)
	}
	list := &sluicev1.RowList{Rows: []*sluicev1.Row{{Values: []*sluicev1.Value{{Kind: &sluicev1.Value_Binary{Binary: make([]byte, 2<<20)}}}}}}
	if err := w.WriteRows(list); !client.Is(err, sluicev1.Reason_REASON_MESSAGE_TOO_LARGE) {
		t.Errorf("WriteRows = %v, want MESSAGE_TOO_LARGE", err)
	}
	seal(t, w, 0)
}

func TestDictionariesAreUnpacked(t *testing.T) {
	f := newFake()
	alloc := testkit.Allocator(t)
	w := openWriter(t, f.dial(t), client.WriterConfig{Allocator: alloc})
	typ := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}
	b := array.NewRecordBuilder(alloc, arrow.NewSchema([]arrow.Field{idSchema.Field(0), {Name: "s", Type: typ, Nullable: true}}, nil))
	defer b.Release()
	for i, word := range []string{"x", "y", "x"} {
		b.Field(0).(*array.Int64Builder).Append(int64(i))
		if err := b.Field(1).AppendValueFromString(word); err != nil {
			t.Fatal(err)
		}
	}
	b.Field(0).(*array.Int64Builder).Append(3)
	b.Field(1).AppendNull()
	rec := b.NewRecordBatch()
	defer rec.Release()
	if err := w.WriteArrow(rec); err != nil {
		t.Fatal(err)
	}
	seal(t, w, 4)
	want := [][]string{{"0", "x"}, {"1", "y"}, {"2", "x"}, {"3", "(null)"}}
	if diff := cmp.Diff(want, f.textRows(t)); diff != "" {
		t.Errorf("rows differ (-want +got):\n%s", diff)
	}
}

func TestCallsCarryTheirMetadata(t *testing.T) {
	f := newFake()
	f.dial(t, client.WithToken("secret"), client.WithClientName("tester"))
	for key, want := range map[string]string{"authorization": "Bearer secret", "sluice-client": "tester/" + client.Version + " (go)"} {
		if got := f.metadata.Get(key); len(got) != 1 || got[0] != want {
			t.Errorf("metadata %s = %q, want %q", key, got, want)
		}
	}
	if got := f.metadata.Get("x-request-id"); len(got) != 1 || len(got[0]) < 16 {
		t.Errorf("x-request-id = %q", got)
	}
}

// A server that says little about its limits gets what the API promises by default.
func TestLimitsHaveDefaults(t *testing.T) {
	f := newFake()
	f.limits = nil
	alloc := testkit.Allocator(t)
	w := openWriter(t, f.dial(t), client.WriterConfig{Schema: idSchema, Allocator: alloc})
	writeIDs(t, w, alloc, 0, 100_000, 100_000)
	seal(t, w, 100_000)
	checkRows(t, f, sequence(0, 100_000))
	if len(f.messages) < 3 || len(f.messages) > 5 {
		t.Errorf("%d messages for 800 kB, want some of about 256 KiB", len(f.messages))
	}
}
