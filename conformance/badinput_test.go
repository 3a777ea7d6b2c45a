package conformance

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
)

// Everything wrong at the open ends the stream with a reason, and changes nothing.
func TestWrongOpensAreRefusedWithTheirReason(t *testing.T) {
	s := newStack(t)
	path := s.testWrite(t)
	s.fill(t, path, old)
	for _, c := range []struct {
		name   string
		change func(*sluicev1.SliceOpen)
		want   sluicev1.Reason
	}{
		{"no output", func(o *sluicev1.SliceOpen) { o.Output = nil }, sluicev1.Reason_REASON_BAD_ARGUMENT},
		{"path", func(o *sluicev1.SliceOpen) { o.Output.Path = "odps://local/tabs/t" }, sluicev1.Reason_REASON_BAD_PATH},
		{"project", func(o *sluicev1.SliceOpen) { o.Output.Path = "odps://nowhere/tables/t" }, sluicev1.Reason_REASON_PROJECT_NOT_FOUND},
		{"table", func(o *sluicev1.SliceOpen) { o.Output.Path = "odps://local/tables/nowhere" }, sluicev1.Reason_REASON_TABLE_NOT_FOUND},
		{"path and parts disagree", func(o *sluicev1.SliceOpen) { o.Output.Table = "other" }, sluicev1.Reason_REASON_BAD_ARGUMENT},
		{"unknown run", func(o *sluicev1.SliceOpen) { o.RunId = "nobody" }, sluicev1.Reason_REASON_RUN_NOT_FOUND},
		{"run id", func(o *sluicev1.SliceOpen) { o.RunId = "no blanks" }, sluicev1.Reason_REASON_BAD_ARGUMENT},
		{"worker id", func(o *sluicev1.SliceOpen) { o.WorkerId = strings.Repeat("w", 65) }, sluicev1.Reason_REASON_BAD_ARGUMENT},
		{"negative attempt", func(o *sluicev1.SliceOpen) { o.Attempt = -1 }, sluicev1.Reason_REASON_BAD_ARGUMENT},
		{"replay_bytes", func(o *sluicev1.SliceOpen) { o.ReplayBytes = 1 << 40 }, sluicev1.Reason_REASON_BAD_ARGUMENT},
		{"unknown cast", func(o *sluicev1.SliceOpen) { o.Cast = 77 }, sluicev1.Reason_REASON_BAD_ARGUMENT},
		{"upsert", func(o *sluicev1.SliceOpen) {
			o.Implicit = &sluicev1.OutputOptions{Mode: sluicev1.WriteMode_WRITE_MODE_UPSERT}
		}, sluicev1.Reason_REASON_UNSUPPORTED},
		{"unknown column", schema("uid", "nope"), sluicev1.Reason_REASON_BAD_COLUMN},
		{"repeated column", schema("uid", "UID"), sluicev1.Reason_REASON_BAD_COLUMN},
		{"unknown type", typed("uid", "blob"), sluicev1.Reason_REASON_TYPE_UNSUPPORTED},
		{"type that cannot be cast", typed("uid", "array<bigint>"), sluicev1.Reason_REASON_TYPE_MISMATCH},
		{"index out of range", indices(0, 4), sluicev1.Reason_REASON_BAD_INDICES},
		{"index repeated", indices(1, 1), sluicev1.Reason_REASON_BAD_INDICES},
		{"garbage schema", func(o *sluicev1.SliceOpen) {
			o.Schema = &sluicev1.SchemaDefinition{ArrowSchema: []byte("this is no flatbuffer at all, not even nearly")}
		}, sluicev1.Reason_REASON_BAD_ARGUMENT},
	} {
		t.Run(c.name, func(t *testing.T) {
			open := implicit(path)
			open.WorkerId, open.WriterNumber, open.OpenNumber = newWorker(), 1, 1
			c.change(open)
			err := s.refused(t, open)
			if got := reasonOf(err); got != c.want {
				t.Errorf("open = %v, want %v", err, c.want)
			}
		})
	}
	s.wantRows(t, path, old)
	s.fill(t, path, apple) // nothing was left open
	s.wantRows(t, path, apple)
}

func schema(names ...string) func(*sluicev1.SliceOpen) {
	return func(o *sluicev1.SliceOpen) {
		o.Schema = &sluicev1.SchemaDefinition{}
		for _, name := range names {
			o.Schema.Columns = append(o.Schema.Columns, &sluicev1.SentColumn{Name: name})
		}
	}
}

func typed(name, kind string) func(*sluicev1.SliceOpen) {
	return func(o *sluicev1.SliceOpen) {
		o.Schema = &sluicev1.SchemaDefinition{Columns: []*sluicev1.SentColumn{{Name: name, Type: &sluicev1.DataType{Text: kind}}}}
	}
}

func indices(positions ...int32) func(*sluicev1.SliceOpen) {
	return func(o *sluicev1.SliceOpen) { o.Schema = &sluicev1.SchemaDefinition{ColumnIndices: positions} }
}

// A wrong batch is rejected, nothing of it is staged, and the stream goes on (docs/api.md 6.4).
func TestWrongBatchesAreRejectedAndTheStreamGoesOn(t *testing.T) {
	s := newStack(t)
	path := s.testWrite(t)
	w := s.open(t, implicit(path))
	w.write(apple)
	sum := uint32(1)
	for _, c := range []struct {
		name  string
		batch *sluicev1.RowBatch
		want  sluicev1.Reason
	}{
		{"no payload", &sluicev1.RowBatch{RowCount: 1}, sluicev1.Reason_REASON_BAD_ARGUMENT},
		{"garbage arrow", arrowBatch(1, []byte("garbage")), sluicev1.Reason_REASON_BAD_ARGUMENT},
		{"empty arrow", arrowBatch(1, nil), sluicev1.Reason_REASON_BAD_ARGUMENT},
		{"arrow of zeros", arrowBatch(1, make([]byte, 4096)), sluicev1.Reason_REASON_BAD_ARGUMENT},
		{"negative rows", &sluicev1.RowBatch{RowCount: -1, Payload: listOf([]row{apple})}, sluicev1.Reason_REASON_BAD_ARGUMENT},
		{"row count differs", &sluicev1.RowBatch{RowCount: 3, Payload: listOf([]row{apple})}, sluicev1.Reason_REASON_BAD_VALUES},
		{"row too short", &sluicev1.RowBatch{Payload: listOf([]row{{1}})}, sluicev1.Reason_REASON_BAD_VALUES},
		{"columns missing", &sluicev1.RowBatch{RowCount: 1, Payload: &sluicev1.RowBatch_Columns{Columns: &sluicev1.ColumnBatch{}}}, sluicev1.Reason_REASON_BAD_VALUES},
		{"undefined schema", &sluicev1.RowBatch{SchemaId: 9, Payload: listOf([]row{apple})}, sluicev1.Reason_REASON_BAD_ARGUMENT},
		{"rows with a checksum", &sluicev1.RowBatch{Crc32C: &sum, Payload: listOf([]row{apple})}, sluicev1.Reason_REASON_BAD_ARGUMENT},
		{"wrong checksum", &sluicev1.RowBatch{RowCount: 1, Crc32C: &sum, Payload: &sluicev1.RowBatch_Arrow{Arrow: make([]byte, 64)}}, sluicev1.Reason_REASON_CHECKSUM_MISMATCH},
		{"message too large", arrowBatch(1, make([]byte, 16<<20+1024)), sluicev1.Reason_REASON_MESSAGE_TOO_LARGE},
		{"value too large", &sluicev1.RowBatch{Payload: listOf([]row{{1, strings.Repeat("x", 8<<20+1), 1.0, true}})}, sluicev1.Reason_REASON_TOO_LARGE},
	} {
		w.batch++
		c.batch.BatchId, c.batch.Offset = w.batch, w.next
		w.send(&sluicev1.WriteRowsRequest{Message: &sluicev1.WriteRowsRequest_Batch{Batch: c.batch}})
		r := w.rejected()
		if r.GetError().GetReason() != c.want || r.GetBatchId() != w.batch || r.GetExpectedOffset() != 1 {
			t.Errorf("%s: rejected = %v, want %v of batch %d at 1", c.name, r, c.want, w.batch)
		}
	}
	w.write(pear)
	w.seal()
	s.wantRows(t, path, apple, pear)
}

func arrowBatch(rows int32, b []byte) *sluicev1.RowBatch {
	return &sluicev1.RowBatch{RowCount: rows, Payload: &sluicev1.RowBatch_Arrow{Arrow: b}}
}

// Bytes of a good Arrow batch are changed at random. Whatever the server makes of it, it says so, and stays.
func TestMutatedArrowIsRejectedOrValid(t *testing.T) {
	s := newStack(t)
	path := s.testWrite(t)
	resp, err := s.tables.GetTable(ctxOf(t), &sluicev1.GetTableRequest{Table: &sluicev1.TableRef{Path: path}})
	if err != nil {
		t.Fatal(err)
	}
	columns := resp.GetTable().GetSchema().GetColumns()
	_, good := arrowMessages(t, columns, []*sluicev1.Row{valuesOf(apple), valuesOf(pear), valuesOf(melon)}, false)
	random := rand.New(rand.NewPCG(1, 2))
	w := s.open(t, implicit(path))
	for range 300 {
		bad := bytes.Clone(good)
		for range 1 + random.IntN(4) {
			bad[random.IntN(len(bad))] = byte(random.IntN(256))
		}
		w.batch++
		b := arrowBatch(3, bad)
		b.BatchId, b.Offset = w.batch, w.next
		w.send(&sluicev1.WriteRowsRequest{Message: &sluicev1.WriteRowsRequest_Batch{Batch: b}})
		for {
			msg, err := w.stream.Recv()
			if err != nil {
				t.Fatalf("the stream ended: %v", err)
			}
			if msg.GetRejected() != nil {
				break
			}
			if msg.GetAck().GetAcceptedThrough() >= w.next+3 {
				w.next += 3
				break
			}
		}
	}
	rows := w.next
	w.seal()
	if got := int64(len(s.visible(t, path))); got != rows {
		t.Errorf("%d rows visible, %d were accepted", got, rows)
	}
}

func TestMessagesOutOfOrderEndTheStream(t *testing.T) {
	s := newStack(t)
	path := s.testWrite(t)
	stream, err := s.rows.WriteRows(ctxOf(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&sluicev1.WriteRowsRequest{Message: &sluicev1.WriteRowsRequest_Heartbeat{}}); err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	_, err = stream.Recv()
	wantReason(t, err, sluicev1.Reason_REASON_BAD_ARGUMENT)
	w := s.open(t, implicit(path))
	w.send(&sluicev1.WriteRowsRequest{Message: &sluicev1.WriteRowsRequest_Open{Open: implicit(path)}})
	wantReason(t, w.failure(), sluicev1.Reason_REASON_BAD_ARGUMENT)
}

func TestMethodsOfLaterWorkSayUNSUPPORTED(t *testing.T) {
	s := newStack(t)
	resources, jobs := sluicev1.NewResourceServiceClient(s.conn), sluicev1.NewJobServiceClient(s.conn)
	ctx := ctxOf(t)
	for name, call := range map[string]func() error{
		"GetResource":    func() error { _, err := resources.GetResource(ctx, &sluicev1.GetResourceRequest{}); return err },
		"ListResources":  func() error { _, err := resources.ListResources(ctx, &sluicev1.ListResourcesRequest{}); return err },
		"CreateResource": func() error { _, err := resources.CreateResource(ctx, &sluicev1.CreateResourceRequest{}); return err },
		"UpdateResource": func() error { _, err := resources.UpdateResource(ctx, &sluicev1.UpdateResourceRequest{}); return err },
		"DeleteResource": func() error { _, err := resources.DeleteResource(ctx, &sluicev1.DeleteResourceRequest{}); return err },
		"ReadResource":   func() error { return firstReply(resources.ReadResource(ctx, &sluicev1.ReadResourceRequest{})) },
		"OpenResource":   func() error { return firstReply(resources.OpenResource(ctx)) },
		"WriteResource": func() error {
			stream, err := resources.WriteResource(ctx)
			if err != nil {
				return err
			}
			_, err = stream.CloseAndRecv()
			return err
		},
		"ValidateJob": func() error { _, err := jobs.ValidateJob(ctx, &sluicev1.ValidateJobRequest{}); return err },
		"RunJob":      func() error { return firstReply(jobs.RunJob(ctx)) },
	} {
		err := call()
		if status.Code(err) != codes.Unimplemented || reasonOf(err) != sluicev1.Reason_REASON_UNSUPPORTED {
			t.Errorf("%s = %v, want UNIMPLEMENTED with reason UNSUPPORTED", name, err)
		}
	}
}

// firstReply is the error that a stream ends with instead of a reply.
func firstReply[T any](stream interface{ Recv() (*T, error) }, err error) error {
	if err != nil {
		return err
	}
	_, err = stream.Recv()
	return err
}

func TestErrorsCarryTheRequestID(t *testing.T) {
	s := newStack(t)
	ctx := metadata.AppendToOutgoingContext(ctxOf(t), "x-request-id", "me-42")
	_, err := s.runs.GetRun(ctx, &sluicev1.GetRunRequest{RunId: "nobody"})
	if e := wantReason(t, err, sluicev1.Reason_REASON_RUN_NOT_FOUND); e.GetRequestId() != "me-42" {
		t.Errorf("request id %q, want me-42", e.GetRequestId())
	}
}
