package rpc

import (
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
	"github.com/sluice-io/sluice/internal/zerocopy"
	"github.com/sluice-io/sluice/service/internal/batch"
	"github.com/sluice-io/sluice/service/internal/read"
	"github.com/sluice-io/sluice/service/internal/table"
)

// maxFilterBytes bounds ReadSessionSpec.row_filter (api.md 7).
const maxFilterBytes = 64 << 10

func (s *rowServer) CreateReadSession(ctx context.Context, req *sluicev1.CreateReadSessionRequest) (*sluicev1.CreateReadSessionResponse, error) {
	spec, err := s.spec(req.GetSpec())
	if err != nil {
		return nil, err
	}
	session, streams, err := s.reads.CreateSession(ctx, *spec, req.GetSessionKey())
	if err != nil {
		return nil, err
	}
	return &sluicev1.CreateReadSessionResponse{Session: sessionProto(session), Streams: streamsProto(streams), Created: true}, nil
}

func (s *rowServer) GetReadSession(ctx context.Context, req *sluicev1.GetReadSessionRequest) (*sluicev1.GetReadSessionResponse, error) {
	plan, err := planOf(req.GetPlan(), "plan")
	if err != nil {
		return nil, err
	}
	session, streams, err := s.reads.GetSession(ctx, req.GetSessionToken(), plan)
	if err != nil {
		return nil, err
	}
	return &sluicev1.GetReadSessionResponse{Session: sessionProto(session), Streams: streamsProto(streams)}, nil
}

func (s *rowServer) SplitReadStream(ctx context.Context, req *sluicev1.SplitReadStreamRequest) (*sluicev1.SplitReadStreamResponse, error) {
	plan, err := planOf(req.GetPlan(), "plan")
	if err != nil {
		return nil, err
	}
	streams, err := s.reads.Split(ctx, req.GetSessionToken(), rangesOf(req.GetRanges()), plan)
	if err != nil {
		return nil, err
	}
	return &sluicev1.SplitReadStreamResponse{Streams: streamsProto(streams)}, nil
}

func (s *rowServer) ReadRows(req *sluicev1.ReadRowsRequest, stream grpc.ServerStreamingServer[sluicev1.ReadRowsResponse]) error {
	rows, err := s.rowsRequest(req)
	if err != nil {
		return err
	}
	return s.reads.Rows(stream.Context(), rows, &readSink{stream: stream, streams: s.streams, now: s.now})
}

func (s *rowServer) rowsRequest(req *sluicev1.ReadRowsRequest) (read.RowsRequest, error) {
	rows := read.RowsRequest{
		Token:    req.GetSessionToken(),
		Ranges:   rangesOf(req.GetRanges()),
		SkipRows: req.GetSkipRows(),
		RowLimit: req.GetRowLimit(),
	}
	if _, ok := req.GetSource().(*sluicev1.ReadRowsRequest_Spec); ok {
		spec, err := s.spec(req.GetSpec())
		if err != nil {
			return rows, err
		}
		rows.Spec = spec
	} else if rows.Token == "" {
		return rows, missing("source", "session_token or spec is required")
	}
	switch {
	case rows.RowLimit < 0:
		return rows, missing("row_limit", "must not be negative")
	case req.GetMaxBatchRows() < 0:
		return rows, missing("max_batch_rows", "must not be negative")
	case req.GetMaxMessageBytes() < 0:
		return rows, missing("max_message_bytes", "must not be negative")
	}
	options, err := outOptions(req)
	rows.Options = options
	return rows, err
}

func outOptions(req *sluicev1.ReadRowsRequest) (batch.OutOptions, error) {
	switch {
	case req.GetFormat() < 0 || req.GetFormat() > sluicev1.DataFormat_DATA_FORMAT_ROWS:
		return batch.OutOptions{}, unknownEnum("format", int32(req.GetFormat()))
	case req.GetCompression() < 0 || req.GetCompression() > sluicev1.Compression_COMPRESSION_ZSTD:
		return batch.OutOptions{}, unknownEnum("compression", int32(req.GetCompression()))
	case req.GetArrowTimestamp() < 0 || req.GetArrowTimestamp() > sluicev1.ArrowTimestamp_ARROW_TIMESTAMP_STRUCT:
		return batch.OutOptions{}, unknownEnum("arrow_timestamp", int32(req.GetArrowTimestamp()))
	}
	return batch.OutOptions{
		Format:          batch.OutFormat(req.GetFormat()),
		Compression:     batch.OutCompression(req.GetCompression()),
		ArrowTimestamp:  batch.ArrowTimestamp(req.GetArrowTimestamp()),
		StringsAsBinary: req.GetStringsAsBinary(),
		MaxBatchRows:    int(req.GetMaxBatchRows()),
		MaxMessageBytes: int(req.GetMaxMessageBytes()),
	}, nil
}

func (s *rowServer) spec(p *sluicev1.ReadSessionSpec) (*read.Spec, error) {
	t, err := s.defaults.resolve(p.GetTable(), "spec.table")
	if err != nil {
		return nil, err
	}
	if len(p.GetRowFilter()) > maxFilterBytes {
		return nil, missing("spec.row_filter", fmt.Sprintf("longer than %d bytes", maxFilterBytes))
	}
	plan, err := planOf(p.GetPlan(), "spec.plan")
	if err != nil {
		return nil, err
	}
	return &read.Spec{
		Table:           t.name,
		Partition:       t.given,
		Partitions:      p.GetPartitions(),
		Columns:         p.GetColumns(),
		ExcludedColumns: p.GetExcludedColumns(),
		RowFilter:       strings.TrimSpace(p.GetRowFilter()),
		Plan:            plan,
	}, nil
}

func planOf(p *sluicev1.ReadPlan, field string) (*read.Plan, error) {
	switch plan := p.GetPlan().(type) {
	case nil:
		return nil, nil //nolint:nilnil // no plan is a plan: one stream with everything
	case *sluicev1.ReadPlan_StreamCount:
		if plan.StreamCount < 1 {
			return nil, missing(field+".stream_count", "must be at least 1")
		}
		return &read.Plan{StreamCount: plan.StreamCount}, nil
	case *sluicev1.ReadPlan_RowsPerStream:
		if plan.RowsPerStream < 1 {
			return nil, missing(field+".rows_per_stream", "must be at least 1")
		}
		return &read.Plan{RowsPerStream: plan.RowsPerStream}, nil
	case *sluicev1.ReadPlan_Slice:
		return &read.Plan{Slice: &read.SlicePlan{ID: plan.Slice.GetSliceId(), Count: plan.Slice.GetSliceCount()}}, nil
	case *sluicev1.ReadPlan_Ranks:
		r := plan.Ranks
		return &read.Plan{Ranks: &read.RankPlan{WorldSize: r.GetWorldSize(), BatchRows: r.GetBatchRows(), DropRemainder: r.GetDropRemainder()}}, nil
	case *sluicev1.ReadPlan_PerPartition:
		return &read.Plan{PerPartition: plan.PerPartition}, nil
	}
	return nil, missing(field, "this server does not know the plan")
}

func rangesOf(ps []*sluicev1.RowRange) []table.RowRange {
	out := make([]table.RowRange, len(ps))
	for i, p := range ps {
		out[i] = table.RowRange{Start: p.GetStartRow(), End: p.GetEndRow()}
	}
	return out
}

func rangeProto(r table.RowRange) *sluicev1.RowRange {
	return &sluicev1.RowRange{StartRow: r.Start, EndRow: r.End}
}

func streamsProto(streams []read.Stream) []*sluicev1.ReadStream {
	out := make([]*sluicev1.ReadStream, len(streams))
	for i, s := range streams {
		out[i] = &sluicev1.ReadStream{RowCount: s.Rows}
		for _, r := range s.Ranges {
			out[i].Ranges = append(out[i].Ranges, rangeProto(r))
		}
	}
	return out
}

func sessionProto(s *read.Session) *sluicev1.ReadSession {
	p := &sluicev1.ReadSession{
		SessionToken: s.Token,
		Table:        refProto(table.Ref{Name: s.Table}),
		Columns:      columnsProto(s.Columns),
		RowCount:     s.Rows,
		SnapshotTime: stamp(s.Snapshot),
		ExpireTime:   stamp(s.Expires),
	}
	for _, part := range s.Partitions {
		p.Partitions = append(p.Partitions, &sluicev1.PartitionRows{
			Partition: part.Spec.Map(), Text: part.Spec.String(), Range: rangeProto(part.Range),
		})
	}
	return p
}

// readSink turns what a read yields into messages of the stream. The payload goes out by reference.
type readSink struct {
	stream  grpc.ServerStreamingServer[sluicev1.ReadRowsResponse]
	streams *streams
	now     func() time.Time
	told    bool // go_away was sent
}

func (k *readSink) Opened(o *read.Opened) error {
	return k.stream.Send(&sluicev1.ReadRowsResponse{Opened: &sluicev1.ReadOpened{
		Session:     sessionProto(o.Session),
		RowCount:    o.Rows,
		Columns:     columnsProto(o.Columns),
		ArrowSchema: o.ArrowSchema,
	}})
}

func (k *readSink) Send(m *read.Message) error {
	msg := &sluicev1.ReadRowsResponse{
		FirstRow:       m.FirstRow,
		NextSkipRows:   m.NextSkipRows,
		PartitionIndex: int32(m.PartitionIndex),
	}
	if m.Wait != nil {
		msg.Wait = waitProto(sluicev1.WaitHolder(m.Wait.Reason), m.Wait.Waited, 0, m.Wait.Message)
	}
	goAway, err := k.streams.farewell(k.now())
	if err != nil {
		if m.Out != nil {
			m.Out.Release()
		}
		return err
	}
	if goAway != nil && !k.told {
		msg.GoAway, k.told = goAway, true
	}
	if m.Out == nil {
		return k.stream.Send(msg)
	}
	out := m.Out
	msg.RowCount = int64(out.Rows)
	switch {
	case out.Columns != nil:
		defer out.Release()
		msg.Crc32C = &out.CRC32C
		msg.Payload = &sluicev1.ReadRowsResponse_Columns{Columns: out.Columns}
		return k.stream.Send(msg)
	case out.List != nil:
		defer out.Release()
		msg.Payload = &sluicev1.ReadRowsResponse_Rows{Rows: out.List}
		return k.stream.Send(msg)
	}
	msg.Crc32C = &out.CRC32C
	payload := lent(out.Arrow, out.Release)
	defer payload.Free()
	return k.stream.SendMsg(&zerocopy.ReadResponse{Msg: msg, Payload: payload})
}

func waitProto(holder sluicev1.WaitHolder, waited, estimate time.Duration, message string) *sluicev1.Wait {
	w := &sluicev1.Wait{Holder: holder, Message: message}
	if waited > 0 {
		w.Waited = durationpb.New(waited)
	}
	if estimate > 0 {
		w.Estimate = durationpb.New(estimate)
	}
	return w
}
