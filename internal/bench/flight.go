package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"
	"google.golang.org/grpc"

	"github.com/sluice-io/sluice/client"
	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
	"github.com/sluice-io/sluice/internal/zerocopy"
)

const goalFlight = 1.1

// flightGroup is a stream of batches to a server that decodes each into an Arrow record batch and counts its rows: our
// client and codec against Arrow Flight's DoPut. No tunnel, no ledger: the transport alone.
func flightGroup() group {
	return group{
		rows: []string{"flight/wide", "flight/narrow"},
		run: func(ctx context.Context, r *runner) error {
			for _, shape := range []shape{wide, narrow} {
				if err := r.flight(ctx, shape); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func (r *runner) flight(ctx context.Context, shape shape) (err error) {
	name := "flight/" + string(shape)
	if !r.wants(name) {
		return nil
	}
	b, err := arrowBatches(makeRows(shape, r.scaled(64<<20)/shape.rowBytes()))
	if err != nil {
		return err
	}
	ours, err := startSink(ctx, b.schema, shape)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ours.close()) }()
	peer, err := startFlight()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, peer.close()) }()
	return r.duel(ctx, duel{
		name: name, unit: "MB/s", amount: float64(b.bytes) / 1e6, gigabytes: float64(b.bytes) / 1e9, goal: goalFlight,
		ours: func(ctx context.Context) error { return ours.put(ctx, b) },
		peer: func(ctx context.Context) error { return peer.put(ctx, b) },
	})
}

// sink is a server that speaks WriteRows and does nothing with the rows but decode them, and a client for it.
type sink struct {
	sluicev1.UnimplementedRowServiceServer
	sluicev1.UnimplementedInfoServiceServer

	schema   *arrow.Schema
	table    *sluicev1.TableSchema
	server   *grpc.Server
	client   *client.Client
	serving  sync.WaitGroup
	serveErr error // read after serving
}

// Transport figures of the service; its package keeps them to itself.
const (
	sinkWindow = 512 << 10
	sinkBuffer = 128 << 10
	sinkLargest,
	sinkBest = 16 << 20, 256 << 10
)

func startSink(ctx context.Context, schema *arrow.Schema, shape shape) (*sink, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	s := &sink{schema: schema, table: &sluicev1.TableSchema{Columns: shape.columns()}}
	s.server = grpc.NewServer(
		grpc.ForceServerCodecV2(zerocopy.Codec{}), grpc.MaxRecvMsgSize(sinkLargest+sinkBuffer),
		grpc.StaticStreamWindowSize(sinkWindow), grpc.StaticConnWindowSize(2*sinkWindow),
		grpc.ReadBufferSize(sinkBuffer), grpc.WriteBufferSize(sinkBuffer),
	)
	sluicev1.RegisterRowServiceServer(s.server, s)
	sluicev1.RegisterInfoServiceServer(s.server, s)
	s.serving.Go(func() { s.serveErr = s.server.Serve(listener) })
	s.client, err = client.Dial(ctx, listener.Addr().String())
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *sink) close() error {
	var err error
	if s.client != nil {
		err = s.client.Close()
	}
	s.server.Stop()
	s.serving.Wait()
	return errors.Join(err, s.serveErr)
}

// put sends the batches as one slice.
func (s *sink) put(ctx context.Context, b *batches) error {
	w, err := s.client.NewWriter(ctx, client.WriterConfig{Output: client.TableName("t"), Schema: b.schema})
	if err != nil {
		return fmt.Errorf("open slice: %w", err)
	}
	defer w.Close() //nolint:errcheck // Seal told what matters
	for _, rec := range b.ours {
		if err := w.WriteArrow(rec); err != nil {
			return fmt.Errorf("write batch: %w", err)
		}
	}
	return seal(ctx, w, b.rows)
}

func (s *sink) limits() *sluicev1.Limits {
	return &sluicev1.Limits{MaxMessageBytes: sinkLargest, BestMessageBytes: sinkBest, MaxBatchRows: 1 << 20, MaxSchemas: 1}
}

// GetServerInfo tells the limits, which is all that the client asks for.
func (s *sink) GetServerInfo(context.Context, *sluicev1.GetServerInfoRequest) (*sluicev1.GetServerInfoResponse, error) {
	return &sluicev1.GetServerInfoResponse{Limits: s.limits()}, nil
}

// WriteRows takes one slice: open, batches, seal.
func (s *sink) WriteRows(stream sluicev1.RowService_WriteRowsServer) error {
	d, err := newDecoder(s.schema)
	if err != nil {
		return err
	}
	defer d.close()
	var rows int64
	for {
		var req zerocopy.WriteRequest
		if err := stream.RecvMsg(&req); err != nil {
			return err
		}
		switch m := req.Msg.GetMessage().(type) {
		case *sluicev1.WriteRowsRequest_Open:
			err = stream.Send(s.opened(m.Open))
		case *sluicev1.WriteRowsRequest_Batch:
			var n int64
			n, err = d.rows(req.Payload)
			rows += n
		case *sluicev1.WriteRowsRequest_Seal:
			return stream.Send(&sluicev1.WriteRowsResponse{Message: &sluicev1.WriteRowsResponse_Sealed{Sealed: &sluicev1.SliceSealed{Rows: rows}}})
		}
		req.Payload.Free()
		if err != nil {
			return err
		}
	}
}

func (s *sink) opened(open *sluicev1.SliceOpen) *sluicev1.WriteRowsResponse {
	return &sluicev1.WriteRowsResponse{Message: &sluicev1.WriteRowsResponse_Opened{Opened: &sluicev1.SliceOpened{
		RunId: "r", WorkerId: open.GetWorkerId(), Term: 1, State: sluicev1.SliceState_SLICE_STATE_OPEN,
		TableSchema: s.table, Passthrough: true, Limits: s.limits(), ReplayBytes: open.GetReplayBytes(),
	}}}
}
