package interceptor

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// RequestIDKey is the metadata key of the request id, in requests and in answers.
const RequestIDKey = "x-request-id"

const maxRequestID = 128

type requestIDKey struct{}

// RequestID is the id of the call that ctx belongs to: the caller's own, if it sent a usable one (at most 128
// printable ASCII characters), or one made here. Empty outside of a call.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

// idMaker makes request ids: a random prefix per process and a counter, so that they are unique and cheap.
type idMaker struct {
	prefix string
	next   atomic.Uint64
}

func newIDMaker() *idMaker {
	var b [6]byte
	_, _ = rand.Read(b[:]) // crypto/rand.Read never returns an error
	return &idMaker{prefix: hex.EncodeToString(b[:])}
}

func (m *idMaker) make() string {
	n := m.next.Add(1)
	return m.prefix + "-" + hex.EncodeToString([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
}

func (m *idMaker) of(ctx context.Context) string {
	if md, ok := metadata.FromIncomingContext(ctx); ok {
		if ids := md.Get(RequestIDKey); len(ids) > 0 && usable(ids[0]) {
			return ids[0]
		}
	}
	return m.make()
}

func usable(id string) bool {
	if id == "" || len(id) > maxRequestID {
		return false
	}
	for i := range len(id) {
		if id[i] < 0x20 || id[i] > 0x7e {
			return false
		}
	}
	return true
}

func (c *Chain) unaryRequestID(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	id := c.ids.of(ctx)
	ctx = context.WithValue(ctx, requestIDKey{}, id)
	if err := grpc.SetHeader(ctx, c.header(id)); err != nil {
		return nil, err
	}
	return next(ctx, req)
}

func (c *Chain) streamRequestID(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	id := c.ids.of(ss.Context())
	if err := ss.SetHeader(c.header(id)); err != nil {
		return err
	}
	return next(srv, &contextStream{ServerStream: ss, ctx: context.WithValue(ss.Context(), requestIDKey{}, id)})
}

func (c *Chain) header(id string) metadata.MD {
	return metadata.Pairs(RequestIDKey, id, "sluice-server", c.server)
}

// contextStream is a stream with another context; everything else is the stream's own.
type contextStream struct {
	grpc.ServerStream
	ctx context.Context //nolint:containedctx // a gRPC stream carries its context by design
}

func (s *contextStream) Context() context.Context { return s.ctx }
