package client_test

import (
	"bytes"
	"errors"
	"hash/crc32"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	"github.com/sluice-io/sluice/client"
	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
	"github.com/sluice-io/sluice/internal/testkit"
	"github.com/sluice-io/sluice/internal/zerocopy"
)

// readScript says how one ReadRows call of the fake goes; the table holds the ids 0 … total−1.
type readScript struct {
	total    int64
	batch    int64
	cutAfter int   // messages of rows; 0 never
	cutWith  error // nil: UNAVAILABLE
	goAway   bool  // instead of an error
	damage   bool  // a wrong checksum
	short    bool  // ends one batch early, with OK
	cutLate  bool  // breaks after the last row
}

func (s readScript) serve(req *sluicev1.ReadRowsRequest, stream grpc.ServerStream) error {
	opened := &sluicev1.ReadOpened{
		Session:  &sluicev1.ReadSession{SessionToken: "token", RowCount: s.total},
		RowCount: s.total - req.GetSkipRows(), ArrowSchema: schemaBytes(idSchema),
	}
	if err := stream.SendMsg(&sluicev1.ReadRowsResponse{Opened: opened}); err != nil {
		return err
	}
	sent := 0
	for at := req.GetSkipRows(); at < s.total; at += s.batch {
		if s.cutAfter > 0 && sent == s.cutAfter {
			return s.cut(stream)
		}
		if s.short && at+s.batch >= s.total {
			return nil
		}
		end := min(s.total, at+s.batch)
		payload := batchBytes(at, end)
		crc := crc32.Checksum(payload, crc32.MakeTable(crc32.Castagnoli))
		if s.damage {
			crc++
		}
		m := &zerocopy.ReadResponse{
			Msg:     &sluicev1.ReadRowsResponse{FirstRow: at, RowCount: end - at, NextSkipRows: end, Crc32C: &crc},
			Payload: mem.BufferSlice{mem.SliceBuffer(payload)},
		}
		if err := stream.SendMsg(m); err != nil {
			return err
		}
		sent++
	}
	if s.cutLate {
		return errCut()
	}
	return nil
}

func (s readScript) cut(stream grpc.ServerStream) error {
	if s.goAway {
		return stream.SendMsg(&sluicev1.ReadRowsResponse{GoAway: &sluicev1.GoAway{}})
	}
	if s.cutWith != nil {
		return s.cutWith
	}
	return errCut()
}

func schemaBytes(schema *arrow.Schema) []byte {
	payload := ipc.GetSchemaPayload(schema, memory.DefaultAllocator)
	defer payload.Release()
	return payloadBytes(payload)
}

func batchBytes(from, to int64) []byte {
	rec := idBatch(memory.DefaultAllocator, from, to)
	defer rec.Release()
	payload, err := ipc.GetRecordBatchPayload(rec)
	if err != nil {
		panic(err)
	}
	defer payload.Release()
	return payloadBytes(payload)
}

func payloadBytes(payload ipc.Payload) []byte {
	var b bytes.Buffer
	if _, err := payload.WritePayload(&b); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func (f *fakeServer) read(script func(n int) readScript) {
	f.reads = func(n int, req *sluicev1.ReadRowsRequest, stream grpc.ServerStream) error {
		return script(n).serve(req, stream)
	}
}

func readAll(t *testing.T, c *client.Client, opts client.ReadOptions) ([]int64, *client.Reader, error) {
	t.Helper()
	if opts.Token == "" {
		opts.Spec = &sluicev1.ReadSessionSpec{Table: client.TableName("t")}
	}
	if opts.Allocator == nil {
		opts.Allocator = testkit.Allocator(t)
	}
	r, err := c.Read(t.Context(), opts)
	if err != nil {
		return nil, nil, err
	}
	var ids []int64
	for r.Next() {
		ids = append(ids, r.RecordBatch().Column(0).(*array.Int64).Int64Values()...)
	}
	err = r.Err()
	if closeErr := r.Close(); closeErr != nil {
		t.Error(closeErr)
	}
	return ids, r, err
}

func TestReaderResumesAtTheRightRow(t *testing.T) {
	for _, broken := range []readScript{
		{cutAfter: 3}, {cutAfter: 1, cutWith: fault(codes.Unavailable, sluicev1.Reason_REASON_DRAINING, "resume")}, {cutAfter: 2, goAway: true},
		{cutAfter: 1, cutWith: status.Error(codes.Internal, "stream reset")},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake()
			broken.total, broken.batch = 10_007, 500
			f.read(func(int) readScript { return broken })
			ids, r, err := readAll(t, f.dial(t), client.ReadOptions{})
			if err != nil {
				t.Fatalf("%+v: %v", broken, err)
			}
			if !slices.Equal(ids, sequence(0, 10_007)) {
				t.Errorf("%+v: %d rows, first difference at %d", broken, len(ids), firstDifference(ids, sequence(0, 10_007)))
			}
			if r.Resumes() < 5 || r.NextSkipRows() != 10_007 {
				t.Errorf("%+v: %d resumes, NextSkipRows %d", broken, r.Resumes(), r.NextSkipRows())
			}
		})
	}
}

func TestReaderTellsDamageLossAndRefusal(t *testing.T) {
	for name, c := range map[string]struct {
		script readScript
		want   sluicev1.Reason
	}{
		"damage":  {readScript{damage: true}, sluicev1.Reason_REASON_CHECKSUM_MISMATCH},
		"short":   {readScript{short: true}, sluicev1.Reason_REASON_INTERNAL},
		"expired": {readScript{cutAfter: 1, cutWith: fault(codes.NotFound, sluicev1.Reason_REASON_SESSION_EXPIRED, "no")}, sluicev1.Reason_REASON_SESSION_EXPIRED},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake()
			c.script.total, c.script.batch = 2_000, 500
			f.read(func(int) readScript { return c.script })
			if _, _, err := readAll(t, f.dial(t), client.ReadOptions{}); !client.Is(err, c.want) {
				t.Errorf("read = %v, want %v", err, c.want)
			}
		})
	}
}

func TestReaderGivesUpInTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.reads = func(n int, req *sluicev1.ReadRowsRequest, stream grpc.ServerStream) error {
			if n == 1 {
				return readScript{total: 100, batch: 10, cutAfter: 1}.serve(req, stream)
			}
			return errCut()
		}
		start := time.Now()
		ids, _, err := readAll(t, f.dial(t), client.ReadOptions{GiveUpAfter: time.Hour})
		if err == nil || len(ids) != 10 || time.Since(start) < time.Hour {
			t.Errorf("%d rows, %v after %v, want 10 rows and an error after an hour", len(ids), err, time.Since(start))
		}
	})
}

// The stream breaks between the last row and the status: nothing is left to be asked for, least of all without a limit.
func TestReaderEndsWithTheLastRow(t *testing.T) {
	f := newFake()
	f.read(func(int) readScript { return readScript{total: 500, batch: 500, cutAfter: 1, cutLate: true} })
	ids, r, err := readAll(t, f.dial(t), client.ReadOptions{RowLimit: 500})
	if err != nil || len(ids) != 500 || r.Resumes() != 0 {
		t.Errorf("%d rows, %v, want 500 rows and no resume", len(ids), err)
	}
}

func TestReadNeedsTokenOrSpec(t *testing.T) {
	c := newFake().dial(t)
	for _, opts := range []client.ReadOptions{{}, {Token: "x", Spec: &sluicev1.ReadSessionSpec{}}} {
		if _, err := c.Read(t.Context(), opts); !client.Is(err, sluicev1.Reason_REASON_BAD_ARGUMENT) {
			t.Errorf("Read(%+v) = %v, want BAD_ARGUMENT", opts, err)
		}
	}
}

// A reader that is closed in the middle leaves nothing behind; TestMain looks for goroutines, the allocator for memory.
func TestReaderMayBeClosedEarly(t *testing.T) {
	f := newFake()
	f.read(func(int) readScript { return readScript{total: 10_000, batch: 100} })
	r, err := f.dial(t).Read(t.Context(), client.ReadOptions{Token: "x", Allocator: testkit.Allocator(t)})
	if err != nil {
		t.Fatal(err)
	}
	for batch, err := range r.Batches() {
		if err != nil {
			t.Fatal(err)
		}
		if batch.FirstRow == 300 {
			break
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestErrorsKeepWhatTheServiceSaid(t *testing.T) {
	f := newFake()
	f.script = func(int) script {
		return script{openError: fault(codes.AlreadyExists, sluicev1.Reason_REASON_OUTPUT_BUSY, "same")}
	}
	_, err := f.dial(t).NewWriter(t.Context(), client.WriterConfig{Output: client.TableName("t")})
	var e *client.Error
	if !errors.As(err, &e) {
		t.Fatalf("%v is no *client.Error", err)
	}
	if e.Retry() != client.RetrySame || e.Code != codes.AlreadyExists || e.Error() != "OUTPUT_BUSY: told by the service" || status.Code(err) != codes.AlreadyExists {
		t.Errorf("error = %+v, %q", e, e)
	}
}

func FuzzDecodeBatch(f *testing.F) {
	f.Add(batchBytes(0, 3))
	f.Add(schemaBytes(idSchema))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, payload []byte) {
		rec, err := client.DecodeBatch(schemaBytes(idSchema), payload)
		if err == nil {
			rec.Release()
		}
	})
}
