package rpc

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
)

// statusWriter is what the transport's stream offers beyond grpc.ServerTransportStream: its method is exported, its
// type is not. TestEndStream proves that it is still there.
type statusWriter interface {
	WriteStatus(st *status.Status) error
}

// endStream ends the stream of a handler that sits in RecvMsg, from another goroutine: the client gets the status at
// once, and the handler's RecvMsg fails. A stream whose handler waits for the client cannot end any other way without
// a second goroutine per stream. It may be called at any time and more than once; the first status wins.
func endStream(ctx context.Context, st *status.Status) error {
	w, ok := grpc.ServerTransportStreamFromContext(ctx).(statusWriter)
	if !ok {
		return fmt.Errorf("end stream: the transport's stream has no WriteStatus")
	}
	if err := w.WriteStatus(st); err != nil {
		return fmt.Errorf("end stream: %w", err)
	}
	return nil
}
