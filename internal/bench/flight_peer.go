package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
)

// flightPeer is an Arrow Flight server that decodes what DoPut brings and counts its rows, and a client for it. Both have
// arrow-go's and gRPC's defaults, but for the size of a message.
type flightPeer struct {
	flight.BaseFlightServer

	server   flight.Server
	client   flight.Client
	serving  sync.WaitGroup
	serveErr error // read after serving
}

const flightLargest = 64 << 20

func startFlight() (*flightPeer, error) {
	p := &flightPeer{server: flight.NewServerWithMiddleware(nil, grpc.MaxRecvMsgSize(flightLargest))}
	if err := p.server.Init("127.0.0.1:0"); err != nil {
		return nil, fmt.Errorf("start Flight server: %w", err)
	}
	p.server.RegisterFlightService(p)
	p.serving.Go(func() { p.serveErr = p.server.Serve() })
	var err error
	p.client, err = flight.NewClientWithMiddleware(p.server.Addr().String(), nil, nil, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("connect to Flight server: %w", err), p.close())
	}
	return p, nil
}

func (p *flightPeer) close() error {
	var err error
	if p.client != nil {
		err = p.client.Close()
	}
	p.server.Shutdown()
	p.serving.Wait()
	return errors.Join(err, p.serveErr)
}

const rowsTrailer = "rows"

// DoPut decodes one stream of batches.
func (p *flightPeer) DoPut(stream flight.FlightService_DoPutServer) error {
	reader, err := flight.NewRecordReader(stream)
	if err != nil {
		return err
	}
	defer reader.Release()
	var rows int64
	for reader.Next() {
		rows += reader.RecordBatch().NumRows()
	}
	stream.SetTrailer(metadata.Pairs(rowsTrailer, fmt.Sprint(rows)))
	return reader.Err()
}

// put sends the batches on one stream.
func (p *flightPeer) put(ctx context.Context, b *batches) error {
	stream, err := p.client.DoPut(ctx)
	if err != nil {
		return fmt.Errorf("begin DoPut: %w", err)
	}
	w := flight.NewRecordWriter(stream, ipc.WithSchema(b.schema))
	w.SetFlightDescriptor(&flight.FlightDescriptor{Path: []string{"t"}})
	for _, rec := range b.ours {
		if err := w.Write(rec); err != nil {
			return fmt.Errorf("write batch: %w", err)
		}
	}
	if err := errors.Join(w.Close(), stream.CloseSend()); err != nil {
		return fmt.Errorf("end DoPut: %w", err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("wait for the end of DoPut: %w", err)
	}
	if got := stream.Trailer().Get(rowsTrailer); len(got) != 1 || got[0] != fmt.Sprint(b.rows) {
		return fmt.Errorf("DoPut took %v rows of %d", got, b.rows)
	}
	return nil
}
