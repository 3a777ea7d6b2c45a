package rpc

import (
	"context"
	"log/slog"
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/durationpb"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
	"github.com/sluice-io/sluice/service/internal/read"
	"github.com/sluice-io/sluice/service/internal/table"
	"github.com/sluice-io/sluice/service/internal/write"
)

// rowServer is RowService: WriteRows in stream.go, AppendRows in row_append.go, reading in row_read.go.
type rowServer struct {
	sluicev1.UnimplementedRowServiceServer
	writes   *write.Engine
	reads    *read.Engine
	defaults Defaults
	limits   Limits
	streams  *streams
	log      *slog.Logger
	now      func() time.Time
}

// open reads a SliceOpen, opens the slice and leaves the checker ready for its batches. A nil Writer without an error
// means that the slice had ended before: opened says how.
func (s *rowServer) open(ctx context.Context, o *sluicev1.SliceOpen, check *checker, short bool) (*write.Writer, write.Opened, error) {
	t, err := s.defaults.resolve(o.GetOutput(), "open.output")
	if err != nil {
		return nil, write.Opened{}, err
	}
	if err := checkOpen(o); err != nil {
		return nil, write.Opened{}, err
	}
	req := write.OpenRequest{
		RunID:          write.RunID(o.GetRunId()),
		Output:         t.ref(),
		OutputText:     t.text,
		PartitionGiven: t.given,
		SliceID:        write.SliceID(o.GetSliceId()),
		Attempt:        write.Attempt(o.GetAttempt()),
		WorkerID:       o.GetWorkerId(),
		WriterNumber:   o.GetWriterNumber(),
		OpenNumber:     o.GetOpenNumber(),
		OnTakeover:     write.OnTakeover(o.GetOnTakeover()),
		ReplayBytes:    o.GetReplayBytes(),
		DurableSeen:    write.RowOffset(o.GetDurableSeen()),
		Principal:      principalOf(ctx),
		Client:         clientOf(ctx),
		CheckSchema:    func(schema *table.Schema) error { return check.open(schema, o.GetSchema()) },
		Short:          short,
	}
	if o.GetRunId() == "" {
		options, err := outputOptions(o.GetImplicit(), "open.implicit")
		if err != nil {
			return nil, write.Opened{}, err
		}
		req.Implicit = &options
	} else if o.GetImplicit() != nil {
		return nil, write.Opened{}, missing("open.implicit", "goes only without run_id: a run declares its own options")
	}
	return s.writes.Open(ctx, req)
}

func checkOpen(o *sluicev1.SliceOpen) error {
	switch {
	case o.GetOnTakeover() < 0 || o.GetOnTakeover() > sluicev1.OnTakeover_ON_TAKEOVER_RESUME:
		return unknownEnum("open.on_takeover", int32(o.GetOnTakeover()))
	case o.GetCast() < 0 || o.GetCast() > sluicev1.Cast_CAST_EXACT:
		return unknownEnum("open.cast", int32(o.GetCast()))
	case o.GetAttempt() < 0:
		return missing("open.attempt", "must not be negative")
	case o.GetWriterNumber() < 0:
		return missing("open.writer_number", "must not be negative")
	case o.GetOpenNumber() < 0:
		return missing("open.open_number", "must not be negative")
	case o.GetReplayBytes() < 0:
		return missing("open.replay_bytes", "must not be negative")
	case o.GetDurableSeen() < 0:
		return missing("open.durable_seen", "must not be negative")
	}
	return nil
}

func (s *rowServer) openedProto(o *write.Opened, check *checker) *sluicev1.SliceOpened {
	p := &sluicev1.SliceOpened{
		RunId:         string(o.RunID),
		WorkerId:      o.WorkerID,
		Term:          int64(o.Term),
		LeaseTtl:      durationpb.New(o.LeaseTTL),
		State:         sluicev1.SliceState(o.State),
		Attempt:       int64(o.Attempt),
		ResumeOffset:  int64(o.ResumeOffset),
		DiscardedRows: o.DiscardedRows,
		Limits:        s.limits.proto(),
		ReplayBytes:   o.ReplayBytes,
	}
	if o.Schema != nil {
		p.TableSchema = schemaProto(o.Schema)
	}
	if check.first != nil {
		p.Passthrough = check.first.Passthrough()
		p.ConvertedColumns = check.first.ConvertedColumns()
	}
	return p
}

// principalOf is who the server takes the caller for. Until callers are authenticated everybody is "anonymous".
func principalOf(context.Context) string { return "anonymous" }

// clientOf is what the caller's library calls itself: metadata "sluice-client".
func clientOf(ctx context.Context) string {
	const longest = 128
	md, _ := metadata.FromIncomingContext(ctx)
	names := md.Get("sluice-client")
	if len(names) == 0 {
		return ""
	}
	return names[0][:min(len(names[0]), longest)]
}
