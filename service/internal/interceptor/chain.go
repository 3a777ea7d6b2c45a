package interceptor

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/recovery"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/sluice-io/sluice/service/internal/apierr"
)

// Chain makes the interceptors of one server.
type Chain struct {
	log    *slog.Logger
	now    func() time.Time
	server string // value of the answer header "sluice-server": version/replica
	ids    *idMaker
}

// New makes a Chain. server is what answers carry in the header "sluice-server".
func New(log *slog.Logger, now func() time.Time, server string) *Chain {
	return &Chain{log: log, now: now, server: server, ids: newIDMaker()}
}

// Options are the server options that install the chain.
func (c *Chain) Options() []grpc.ServerOption {
	recovered := recovery.WithRecoveryHandlerContext(func(ctx context.Context, p any) error {
		return c.finish(ctx, apierr.From(fmt.Errorf("recovered panic: %v\n%s", p, debug.Stack())), false)
	})
	return []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(c.unaryRequestID, c.unaryLog, recovery.UnaryServerInterceptor(recovered), c.unaryStatus),
		grpc.ChainStreamInterceptor(c.streamRequestID, c.streamLog, recovery.StreamServerInterceptor(recovered), c.streamStatus),
	}
}

func (c *Chain) unaryStatus(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	resp, err := next(ctx, req)
	return resp, c.finish(ctx, err, false)
}

func (c *Chain) streamStatus(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	return c.finish(ss.Context(), next(srv, ss), true)
}

// finish turns any error into one of ours that carries the request id. What nobody classified becomes INTERNAL: its
// text goes to the log in full and to the caller only as an id.
func (c *Chain) finish(ctx context.Context, err error, onStream bool) error {
	if err == nil {
		return nil
	}
	e := apierr.From(err)
	if e.Reason() == apierr.Internal {
		c.log.ErrorContext(ctx, "internal error", slog.String("request_id", RequestID(ctx)), slog.String("err", e.Error()))
	}
	if onStream {
		e = e.OnStream()
	}
	return e.WithRequestID(RequestID(ctx))
}

func (c *Chain) unaryLog(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	start := c.now()
	var about subject
	about.hear(req)
	resp, err := next(ctx, req)
	if err == nil {
		about.say(resp)
	}
	c.line(ctx, info.FullMethod, start, &about, err)
	return resp, err
}

func (c *Chain) streamLog(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	start := c.now()
	var about subject
	err := next(srv, &watchedStream{ServerStream: ss, about: &about})
	c.line(ss.Context(), info.FullMethod, start, &about, err)
	return err
}

// watchedStream shows the first message each way to the log line.
type watchedStream struct {
	grpc.ServerStream
	about *subject
}

func (s *watchedStream) RecvMsg(m any) error {
	err := s.ServerStream.RecvMsg(m)
	if err == nil {
		s.about.hear(m)
	}
	return err
}

func (s *watchedStream) SendMsg(m any) error {
	s.about.say(m)
	return s.ServerStream.SendMsg(m)
}

// line writes the one log line of a call. Errors of the server's own making are warnings, the caller's are not.
func (c *Chain) line(ctx context.Context, method string, start time.Time, about *subject, err error) {
	attrs := []slog.Attr{
		slog.String("rpc", method),
		slog.String("request_id", RequestID(ctx)),
		slog.Float64("elapsed_ms", float64(c.now().Sub(start).Microseconds())/1000),
	}
	attrs = append(attrs, about.attrs(ctx)...)
	level := slog.LevelInfo
	if err != nil {
		e := apierr.From(err)
		attrs = append(attrs, slog.String("code", e.Code().String()), slog.String("reason", e.Reason().String()), slog.String("err", e.Error()))
		switch e.Code() {
		case codes.Internal, codes.Unknown, codes.DataLoss, codes.Unavailable:
			level = slog.LevelWarn
		default:
		}
	}
	c.log.LogAttrs(ctx, level, "call", attrs...)
}
