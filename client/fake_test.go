package client_test

import (
	"bytes"
	"context"
	"errors"
	"hash/crc32"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/sluice-io/sluice/client"
	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
	"github.com/sluice-io/sluice/internal/testkit"
	"github.com/sluice-io/sluice/internal/zerocopy"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// fakeServer keeps one slice as api.md 6 says, without a table behind it: enough of a server to judge a client by. Rows
// are the int64 ids of the first column. Each stream follows a script.
type fakeServer struct {
	sluicev1.UnimplementedRowServiceServer
	sluicev1.UnimplementedInfoServiceServer
	sluicev1.UnimplementedRunServiceServer

	limits *sluicev1.Limits
	schema *sluicev1.TableSchema
	// metadata is what Dial sent.
	metadata metadata.MD
	// script tells how stream n, from 1, behaves.
	script func(n int) script
	// discard makes every batch durable unseen, for benchmarks.
	discard bool
	reads   func(n int, req *sluicev1.ReadRowsRequest, stream grpc.ServerStream) error

	mu           sync.Mutex
	streams      int
	readCalls    int
	openNumber   int64
	writerNumber int64
	rows         []int64 // accepted
	durable      int
	sealed       bool
	aborted      bool
	messages     []int    // payload bytes of each batch
	log          []string // control messages as they came
	opens        []*sluicev1.SliceOpen
	batches      []*sluicev1.RowBatch // as received, payload put back
	peak         int                  // most rows held undurable
	arrows       [][]byte             // Arrow batches taken, each as a stream of its own
}

// script says what goes wrong on a stream; the zero value is a good one.
type script struct {
	loseOpened  bool                // the open counts, its reply is lost
	cutAfter    int                 // batches until the connection breaks; 0 never
	endWith     error               // how it breaks; nil is UNAVAILABLE without a word of the service
	goAwayAfter int                 // batches until go_away
	durableStep int                 // rows become durable in blocks of so many; 0: only at flush and seal
	bad         func(id int64) bool // rows that are refused
	rejectAll   *sluicev1.Error     // every batch is refused with this
	loseSealed  bool                // the seal counts, its reply is lost
	sealedLate  time.Duration       // between opened and sealed, when the slice was sealed before
	refuseFlush *sluicev1.Error
	damage      bool // the first batch is told to be damaged
	silent      bool // nothing is said after opened
	ackWait     *sluicev1.Wait
	resumeOff   int64 // opened resumes so many rows too far
	openError   error
}

func newFake() *fakeServer {
	return &fakeServer{
		limits: &sluicev1.Limits{MaxMessageBytes: 1 << 20, BestMessageBytes: 16 << 10, MaxBatchRows: 1 << 18, MaxSchemas: 64},
		schema: &sluicev1.TableSchema{Columns: []*sluicev1.Column{column("id", "bigint", sluicev1.TypeKind_TYPE_KIND_BIGINT)}},
		script: func(int) script { return script{} },
	}
}

func column(name, text string, kind sluicev1.TypeKind) *sluicev1.Column {
	return &sluicev1.Column{Name: name, Type: &sluicev1.DataType{Text: text, Kind: kind}}
}

// dial serves f and returns a client of it.
func (f *fakeServer) dial(t testing.TB, opts ...client.Option) *client.Client {
	t.Helper()
	listener := bufconn.Listen(1 << 20)
	server := grpc.NewServer(grpc.ForceServerCodecV2(zerocopy.Codec{}))
	sluicev1.RegisterRowServiceServer(server, f)
	sluicev1.RegisterInfoServiceServer(server, f)
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	dialer := grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) })
	opts = append(opts, client.WithGRPC(dialer, grpc.WithTransportCredentials(insecure.NewCredentials())))
	c, err := client.Dial(t.Context(), "passthrough:///fake", opts...)
	if err != nil {
		t.Fatalf("Dial: %v", err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close client: %v", err)
		}
		server.Stop()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return c
}

func (f *fakeServer) GetServerInfo(ctx context.Context, _ *sluicev1.GetServerInfoRequest) (*sluicev1.GetServerInfoResponse, error) {
	f.metadata, _ = metadata.FromIncomingContext(ctx)
	return &sluicev1.GetServerInfoResponse{Version: "fake", Limits: f.limits}, nil
}

// content returns what a commit would publish.
func (f *fakeServer) content() []int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.rows)
}

func errCut() error { return status.Error(codes.Unavailable, "connection cut") }

// served is one stream of the fake.
type served struct {
	f       *fakeServer
	script  script
	stream  grpc.ServerStream
	schemas map[int32]*sluicev1.SchemaDefinition
	batches int
	damaged bool

	forgotten int64
}

func (f *fakeServer) WriteRows(stream sluicev1.RowService_WriteRowsServer) error {
	f.mu.Lock()
	f.streams++
	s := &served{f: f, script: f.script(f.streams), stream: stream, schemas: map[int32]*sluicev1.SchemaDefinition{}}
	f.mu.Unlock()
	if s.script.openError != nil {
		return s.script.openError
	}
	for {
		var req zerocopy.WriteRequest
		if err := stream.RecvMsg(&req); err != nil {
			if errors.Is(err, io.EOF) {
				return s.send(&sluicev1.WriteRowsResponse{Message: &sluicev1.WriteRowsResponse_Ack{Ack: s.ack()}})
			}
			return err
		}
		end, err := s.handle(&req)
		req.Payload.Free()
		if end || err != nil {
			return err
		}
	}
}

func (s *served) send(m *sluicev1.WriteRowsResponse) error { return s.stream.SendMsg(m) }

func (s *served) ack() *sluicev1.SliceAck {
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	return &sluicev1.SliceAck{AcceptedThrough: int64(len(s.f.rows)), DurableThrough: int64(s.f.durable), Wait: s.script.ackWait}
}

func (s *served) note(what string) {
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	s.f.log = append(s.f.log, what)
}

func (s *served) handle(req *zerocopy.WriteRequest) (end bool, err error) {
	switch m := req.Msg.GetMessage().(type) {
	case *sluicev1.WriteRowsRequest_Open:
		return s.open(m.Open)
	case *sluicev1.WriteRowsRequest_DefineSchema:
		s.note("define")
		s.schemas[m.DefineSchema.GetSchemaId()] = m.DefineSchema
	case *sluicev1.WriteRowsRequest_Batch:
		return false, s.batch(m.Batch, req.Payload)
	case *sluicev1.WriteRowsRequest_Flush:
		return false, s.flush(m.Flush.GetFlushId())
	case *sluicev1.WriteRowsRequest_Seal:
		return s.seal(m.Seal)
	case *sluicev1.WriteRowsRequest_Abort:
		s.f.mu.Lock()
		s.f.aborted, s.f.rows, s.f.durable = true, nil, 0
		s.f.mu.Unlock()
		return true, s.send(&sluicev1.WriteRowsResponse{Message: &sluicev1.WriteRowsResponse_Aborted{Aborted: &sluicev1.SliceAborted{}}})
	case *sluicev1.WriteRowsRequest_Heartbeat:
		s.note("heartbeat")
		if s.script.silent {
			return false, nil
		}
		return false, s.send(&sluicev1.WriteRowsResponse{Message: &sluicev1.WriteRowsResponse_Ack{Ack: s.ack()}})
	}
	return false, nil
}

func (s *served) open(open *sluicev1.SliceOpen) (end bool, err error) {
	f := s.f
	f.mu.Lock()
	f.opens = append(f.opens, open)
	if open.GetWriterNumber() > f.writerNumber {
		f.writerNumber, f.openNumber = open.GetWriterNumber(), 0
	}
	if open.GetOpenNumber() <= f.openNumber || open.GetWriterNumber() < f.writerNumber {
		f.mu.Unlock()
		return true, fault(codes.Aborted, sluicev1.Reason_REASON_SLICE_FENCED, "no")
	}
	f.openNumber = open.GetOpenNumber()
	f.rows = f.rows[:f.durable]
	state := sluicev1.SliceState_SLICE_STATE_OPEN
	if f.sealed {
		state = sluicev1.SliceState_SLICE_STATE_SEALED
	}
	opened := &sluicev1.SliceOpened{
		RunId: open.GetRunId(), LeaseTtl: durationpb.New(60 * time.Second), State: state, ResumeOffset: int64(f.durable) + s.script.resumeOff,
		TableSchema: f.schema, Limits: f.limits, ReplayBytes: open.GetReplayBytes(),
	}
	sealed := f.sealed
	f.mu.Unlock()
	s.schemas[0] = open.GetSchema()
	if s.script.loseOpened {
		return true, errCut()
	}
	if err := s.send(&sluicev1.WriteRowsResponse{Message: &sluicev1.WriteRowsResponse_Opened{Opened: opened}}); err != nil || !sealed {
		return false, err
	}
	time.Sleep(s.script.sealedLate)
	return true, s.sayFinished()
}

func (s *served) batch(b *sluicev1.RowBatch, payload mem.BufferSlice) error {
	s.batches++
	if s.f.discard {
		return s.forget(b)
	}
	if s.script.cutAfter > 0 && s.batches > s.script.cutAfter {
		if s.script.endWith != nil {
			return s.script.endWith
		}
		return errCut()
	}
	if s.script.rejectAll != nil {
		return s.reject(b, s.script.rejectAll, nil)
	}
	if s.script.damage && !s.damaged {
		s.damaged = true
		return s.reject(b, protoError(codes.DataLoss, sluicev1.Reason_REASON_CHECKSUM_MISMATCH, "same", "damaged"), nil)
	}
	if rejected := s.take(b, payload); rejected != nil {
		return s.send(&sluicev1.WriteRowsResponse{Message: &sluicev1.WriteRowsResponse_Rejected{Rejected: rejected}})
	}
	if s.script.silent {
		return nil
	}
	if err := s.send(&sluicev1.WriteRowsResponse{Message: &sluicev1.WriteRowsResponse_Ack{Ack: s.ack()}}); err != nil {
		return err
	}
	if s.script.goAwayAfter > 0 && s.batches == s.script.goAwayAfter {
		return s.send(&sluicev1.WriteRowsResponse{Message: &sluicev1.WriteRowsResponse_GoAway{GoAway: &sluicev1.GoAway{}}})
	}
	return nil
}

// forget acknowledges a batch, every fourth time.
func (s *served) forget(b *sluicev1.RowBatch) error {
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	s.forgotten = b.GetOffset() + int64(b.GetRowCount())
	if s.batches%4 != 0 {
		return nil
	}
	return s.send(&sluicev1.WriteRowsResponse{Message: &sluicev1.WriteRowsResponse_Ack{Ack: &sluicev1.SliceAck{AcceptedThrough: s.forgotten, DurableThrough: s.forgotten}}})
}

// take checks a batch and holds its rows, or says why not.
func (s *served) take(b *sluicev1.RowBatch, payload mem.BufferSlice) *sluicev1.Rejected {
	f := s.f
	f.mu.Lock()
	defer f.mu.Unlock()
	expected := int64(len(f.rows))
	answer := &sluicev1.Rejected{
		Target: &sluicev1.Rejected_BatchId{BatchId: b.GetBatchId()}, Offset: b.GetOffset(), RowCount: b.GetRowCount(), ExpectedOffset: expected,
	}
	switch {
	case b.GetOffset() > expected:
		answer.Error = protoError(codes.OutOfRange, sluicev1.Reason_REASON_OFFSET_GAP, "adjust", "gap")
		return answer
	case b.GetOffset()+int64(b.GetRowCount()) <= expected && b.GetRowCount() > 0:
		return nil // a duplicate
	case b.GetOffset() < expected:
		answer.Error = protoError(codes.OutOfRange, sluicev1.Reason_REASON_OFFSET_OVERLAP, "adjust", "overlap")
		return answer
	}
	ids, err := s.ids(b, payload)
	if err != nil {
		answer.Error = protoError(codes.InvalidArgument, sluicev1.Reason_REASON_BAD_ARGUMENT, "no", err.Error())
		return answer
	}
	for row, id := range ids {
		if s.script.bad != nil && s.script.bad(id) {
			answer.RowErrors = append(answer.RowErrors, &sluicev1.RowError{Row: int64(row), Column: "id", Message: "does not fit"})
			answer.RowErrorCount++
		}
	}
	if answer.GetRowErrorCount() > 0 {
		answer.Error = protoError(codes.InvalidArgument, sluicev1.Reason_REASON_TYPE_MISMATCH, "no", "rows do not fit")
		return answer
	}
	f.messages = append(f.messages, payload.Len())
	f.batches = append(f.batches, b)
	f.rows = append(f.rows, ids...)
	f.peak = max(f.peak, len(f.rows)-f.durable)
	if step := s.script.durableStep; step > 0 && len(f.rows)-f.durable >= step {
		f.durable = len(f.rows)
	}
	return nil
}

func (s *served) reject(b *sluicev1.RowBatch, e *sluicev1.Error, rows []*sluicev1.RowError) error {
	return s.send(&sluicev1.WriteRowsResponse{Message: &sluicev1.WriteRowsResponse_Rejected{Rejected: &sluicev1.Rejected{
		Target: &sluicev1.Rejected_BatchId{BatchId: b.GetBatchId()}, Offset: b.GetOffset(), RowCount: b.GetRowCount(),
		ExpectedOffset: int64(len(s.f.content())), Error: e, RowErrors: rows,
	}}})
}

// ids returns the first column of a batch, of any of the three forms.
func (s *served) ids(b *sluicev1.RowBatch, payload mem.BufferSlice) ([]int64, error) {
	switch form := b.GetPayload().(type) {
	case *sluicev1.RowBatch_Arrow:
		return s.arrowIDs(b, payload.Materialize())
	case *sluicev1.RowBatch_Columns:
		data := form.Columns.GetColumns()[0].GetData()
		ids := make([]int64, b.GetRowCount())
		for i := range ids {
			ids[i] = int64(data[8*i])
		}
		return ids, nil
	case *sluicev1.RowBatch_Rows:
		var ids []int64
		for _, row := range form.Rows.GetRows() {
			ids = append(ids, row.GetValues()[0].GetInteger())
		}
		return ids, nil
	}
	return nil, errors.New("no payload")
}

func (s *served) arrowIDs(b *sluicev1.RowBatch, payload []byte) ([]int64, error) {
	if got := crc32.Checksum(payload, crc32.MakeTable(crc32.Castagnoli)); got != b.GetCrc32C() {
		return nil, errors.New("checksum differs")
	}
	def := s.schemas[b.GetSchemaId()]
	if def == nil {
		return nil, errors.New("schema is not defined")
	}
	whole := append(slices.Clone(def.GetArrowSchema()), payload...)
	s.f.arrows = append(s.f.arrows, whole)
	reader, err := ipc.NewReader(bytes.NewReader(whole))
	if err != nil {
		return nil, err
	}
	defer reader.Release()
	rec, err := reader.Read()
	if err != nil {
		return nil, err
	}
	ids, ok := rec.Column(0).(*array.Int64)
	if !ok || ids.Len() != int(b.GetRowCount()) {
		return nil, errors.New("not the rows announced")
	}
	return slices.Clone(ids.Int64Values()), nil
}

func (s *served) flush(id int64) error {
	s.note("flush")
	if s.script.refuseFlush != nil {
		return s.send(&sluicev1.WriteRowsResponse{Message: &sluicev1.WriteRowsResponse_Rejected{Rejected: &sluicev1.Rejected{
			Target: &sluicev1.Rejected_FlushId{FlushId: id}, Error: s.script.refuseFlush,
		}}})
	}
	s.f.mu.Lock()
	s.f.durable = len(s.f.rows)
	durable := int64(s.f.durable)
	s.f.mu.Unlock()
	return s.send(&sluicev1.WriteRowsResponse{Message: &sluicev1.WriteRowsResponse_Flushed{Flushed: &sluicev1.SliceFlushed{FlushId: id, DurableThrough: durable}}})
}

func (s *served) seal(seal *sluicev1.SliceSeal) (end bool, err error) {
	s.note("seal")
	f := s.f
	f.mu.Lock()
	have := int64(len(f.rows))
	if f.discard {
		have = s.forgotten
	}
	if seal.GetRows() != have {
		f.mu.Unlock()
		reason := sluicev1.Reason_REASON_OFFSET_GAP
		if seal.GetRows() < have {
			reason = sluicev1.Reason_REASON_OFFSET_OVERLAP
		}
		return false, s.send(&sluicev1.WriteRowsResponse{Message: &sluicev1.WriteRowsResponse_Rejected{Rejected: &sluicev1.Rejected{
			Target: &sluicev1.Rejected_Seal{Seal: true}, ExpectedOffset: have, Error: protoError(codes.OutOfRange, reason, "adjust", "rows differ"),
		}}})
	}
	f.sealed, f.durable = true, len(f.rows)
	f.mu.Unlock()
	if s.script.loseSealed {
		return true, errCut()
	}
	return true, s.sayFinished()
}

func (s *served) sayFinished() error {
	rows := int64(len(s.f.content()))
	if err := s.send(&sluicev1.WriteRowsResponse{Message: &sluicev1.WriteRowsResponse_Sealed{Sealed: &sluicev1.SliceSealed{Rows: rows, CompletesRun: true}}}); err != nil {
		return err
	}
	run := &sluicev1.Run{RunId: "r", State: sluicev1.RunState_RUN_STATE_COMMITTED}
	return s.send(&sluicev1.WriteRowsResponse{Message: &sluicev1.WriteRowsResponse_Finished{Finished: &sluicev1.RunFinished{Run: run}}})
}

func protoError(code codes.Code, reason sluicev1.Reason, retry, message string) *sluicev1.Error {
	return &sluicev1.Error{Reason: reason, Code: int32(code), Message: message, Metadata: map[string]string{"retry": retry}}
}

// fault is an error as the service sends it.
func fault(code codes.Code, reason sluicev1.Reason, retry string) error {
	st, err := status.New(code, "told by the service").WithDetails(protoError(code, reason, retry, "told by the service"))
	if err != nil {
		panic(err)
	}
	return st.Err()
}

func (f *fakeServer) ReadRows(req *sluicev1.ReadRowsRequest, stream sluicev1.RowService_ReadRowsServer) error {
	f.mu.Lock()
	f.readCalls++
	n := f.readCalls
	f.mu.Unlock()
	return f.reads(n, proto.CloneOf(req), stream)
}

// CreateRun and CreateReadSession do no more than the examples need.
func (f *fakeServer) CreateRun(_ context.Context, req *sluicev1.CreateRunRequest) (*sluicev1.CreateRunResponse, error) {
	return &sluicev1.CreateRunResponse{Run: &sluicev1.Run{RunId: req.GetRunId()}, Created: true}, nil
}

func (f *fakeServer) CreateReadSession(context.Context, *sluicev1.CreateReadSessionRequest) (*sluicev1.CreateReadSessionResponse, error) {
	streams := make([]*sluicev1.ReadStream, 16)
	return &sluicev1.CreateReadSessionResponse{Session: &sluicev1.ReadSession{SessionToken: "token"}, Streams: streams}, nil
}
