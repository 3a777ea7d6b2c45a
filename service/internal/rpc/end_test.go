package rpc

import (
	"context"
	"net"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

// The way endStream ends a stream is not part of gRPC's documented surface: this test fails when a new version of gRPC
// takes it away, or when the handler is not freed by it.
func TestEndStream(t *testing.T) {
	entered := make(chan context.Context, 1)
	left := make(chan error, 1)
	server := grpc.NewServer()
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "test.Test", HandlerType: (*any)(nil),
		Streams: []grpc.StreamDesc{{
			StreamName: "Wait", ClientStreams: true, ServerStreams: true,
			Handler: func(_ any, s grpc.ServerStream) error {
				entered <- s.Context()
				err := s.RecvMsg(new(emptypb.Empty))
				left <- err
				return err
			},
		}},
	}, nil)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	stream, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, "/test.Test/Wait")
	if err != nil {
		t.Fatal(err)
	}
	ctx := <-entered
	if err := endStream(ctx, status.New(codes.Aborted, "fenced")); err != nil {
		t.Fatal(err)
	}
	if err := stream.RecvMsg(new(emptypb.Empty)); status.Code(err) != codes.Aborted {
		t.Errorf("client saw %v, want Aborted", err)
	}
	if err := <-left; err == nil {
		t.Error("the handler's RecvMsg returned without an error")
	}
	if err := endStream(ctx, status.New(codes.Internal, "again")); err != nil {
		t.Errorf("ending twice: %v", err)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	server.Stop()
	if err := <-served; err != nil {
		t.Errorf("serve: %v", err)
	}
}

func TestEndStreamOutsideOfACall(t *testing.T) {
	if err := endStream(context.Background(), status.New(codes.Aborted, "")); err == nil {
		t.Error("want an error: there is no stream to end")
	}
}
