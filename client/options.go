package client

import (
	"context"
	"crypto/tls"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
	"github.com/sluice-io/sluice/internal/zerocopy"
)

// windowBytes is the static HTTP/2 window of streams and connections: two messages of the best size. gRPC's default grows
// to 16 MiB per stream, and a stalled server then holds that much for each.
const windowBytes = 512 << 10

// maxReceiveBytes bounds one message of any call but reads: their own limit is ReadOptions.MaxMessageBytes.
const maxReceiveBytes = 16<<20 + 64<<10

// retryPolicy makes gRPC repeat the unary calls that may be repeated (api.md 2). Streams are resumed by Writer and Reader.
const retryPolicy = `{"methodConfig":[{
	"name":[
		{"service":"sluice.v1.RunService"},
		{"service":"sluice.v1.RowService","method":"AppendRows"},
		{"service":"sluice.v1.RowService","method":"GetReadSession"},
		{"service":"sluice.v1.RowService","method":"SplitReadStream"},
		{"service":"sluice.v1.TableService","method":"GetTable"},
		{"service":"sluice.v1.TableService","method":"ListTables"},
		{"service":"sluice.v1.TableService","method":"ListPartitions"}],
	"retryPolicy":{"maxAttempts":5,"initialBackoff":"0.2s","maxBackoff":"5s","backoffMultiplier":2,"retryableStatusCodes":["UNAVAILABLE"]}}]}`

// Option changes how Dial connects. A later option wins over an earlier one of the same kind.
type Option func(*options)

type options struct {
	connections int
	tls         *tls.Config
	token       string
	clientName  string
	workerID    string
	logger      *slog.Logger
	extra       []grpc.DialOption
}

func defaultOptions() options {
	return options{
		connections: defaultConnections(),
		clientName:  "sluice-go",
		workerID:    processWorkerID,
		logger:      slog.New(slog.DiscardHandler),
	}
}

// WithConnections sets the number of connections. The default is one per core, from 2 to 4. Below 1 counts as 1.
func WithConnections(n int) Option { return func(o *options) { o.connections = max(1, n) } }

// WithTLS encrypts the connections. The default is plain text. nil is plain text.
func WithTLS(config *tls.Config) Option { return func(o *options) { o.tls = config } }

// WithToken sends the token as "authorization: Bearer …" with every call, on plain connections too: use those on
// loopback only. Empty sends none, the default.
func WithToken(token string) Option { return func(o *options) { o.token = token } }

// WithClientName sets the name under which the server lists this client's slices. The default is "sluice-go".
func WithClientName(name string) Option { return func(o *options) { o.clientName = name } }

// WithWorkerID sets the default of [WriterConfig].WorkerID. The default is random and the same in the whole process.
func WithWorkerID(id string) Option { return func(o *options) { o.workerID = id } }

// WithLogger takes a logger for what no return value can carry: broken streams and their resumes. The default discards.
func WithLogger(logger *slog.Logger) Option { return func(o *options) { o.logger = logger } }

// WithGRPC adds options of gRPC's own, after those of this package.
func WithGRPC(opts ...grpc.DialOption) Option {
	return func(o *options) { o.extra = append(o.extra, opts...) }
}

func (o *options) dialOptions() []grpc.DialOption {
	creds := insecure.NewCredentials()
	if o.tls != nil {
		creds = credentials.NewTLS(o.tls)
	}
	return append([]grpc.DialOption{
		grpc.WithTransportCredentials(creds),
		grpc.WithStaticStreamWindowSize(windowBytes),
		grpc.WithStaticConnWindowSize(windowBytes),
		grpc.WithReadBufferSize(128 << 10),
		grpc.WithWriteBufferSize(128 << 10),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(zerocopy.Codec{}), grpc.MaxCallRecvMsgSize(maxReceiveBytes)),
		grpc.WithDefaultServiceConfig(retryPolicy),
		grpc.WithChainUnaryInterceptor(o.interceptUnary),
		grpc.WithChainStreamInterceptor(o.interceptStream),
	}, o.extra...)
}

// interceptUnary gives each call its metadata and a deadline, and turns its error into an *Error.
func (o *options) interceptUnary(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	ctx, cancel := withDefaultTimeout(ctx, callTimeout(method))
	defer cancel()
	return fromRPC(invoke(o.outgoing(ctx), method, req, reply, conn, opts...))
}

func (o *options) interceptStream(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	stream, err := open(o.outgoing(ctx), desc, conn, method, opts...)
	return stream, fromRPC(err)
}

func (o *options) outgoing(ctx context.Context) context.Context {
	kv := []string{"x-request-id", uuid.NewString(), "sluice-client", o.clientName + "/" + Version + " (go)"}
	if o.token != "" {
		kv = append(kv, "authorization", "Bearer "+o.token)
	}
	return metadata.AppendToOutgoingContext(ctx, kv...)
}

// callTimeout is the deadline of a call whose context has none (api.md 2).
func callTimeout(method string) time.Duration {
	switch method {
	case sluicev1.RunService_CompleteRun_FullMethodName, sluicev1.RowService_CreateReadSession_FullMethodName,
		sluicev1.RowService_AppendRows_FullMethodName:
		return 10 * time.Minute
	}
	return time.Minute
}
