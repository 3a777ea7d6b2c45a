package client

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
)

// Version is what the client tells the server about itself, in the metadata key sluice-client.
const Version = "0.1.0"

// Client is a set of connections to one Sluice service. It is safe for concurrent use. Close it last, after the writers
// and readers made from it.
type Client struct {
	conns []*grpc.ClientConn
	next  atomic.Uint32
	opts  options
	info  *sluicev1.GetServerInfoResponse
}

// Dial connects to a service and asks it for its limits, so an address that does not answer, or answers with something
// else, is an error here; it does not wait for one to appear. ctx bounds the connecting only; without a deadline it is 10 seconds. target is HOST:PORT, or any
// target of grpc.NewClient.
func Dial(ctx context.Context, target string, opts ...Option) (*Client, error) {
	c := &Client{opts: defaultOptions()}
	for _, opt := range opts {
		opt(&c.opts)
	}
	if err := c.connect(target); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	ctx, cancel := withDefaultTimeout(ctx, 10*time.Second)
	defer cancel()
	info, err := sluicev1.NewInfoServiceClient(c.conns[0]).GetServerInfo(ctx, &sluicev1.GetServerInfoRequest{})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("connect to %s: %w", target, err), c.Close())
	}
	c.info = info
	return c, nil
}

func (c *Client) connect(target string) error {
	for range c.opts.connections {
		conn, err := grpc.NewClient(target, c.opts.dialOptions()...)
		if err != nil {
			return fmt.Errorf("connect to %s: %w", target, err)
		}
		c.conns = append(c.conns, conn)
	}
	return nil
}

// Close closes the connections. Streams still open on them break.
func (c *Client) Close() error {
	var errs []error
	for _, conn := range c.conns {
		errs = append(errs, conn.Close())
	}
	return errors.Join(errs...)
}

// ServerInfo returns what the server said about itself when Dial asked. The caller must not change it.
func (c *Client) ServerInfo() *sluicev1.GetServerInfoResponse { return c.info }

// Conn returns one of the connections, for calls that this package has no method for. Errors of calls made with it are
// of this package all the same.
func (c *Client) Conn() grpc.ClientConnInterface { return c.conn() }

// conn deals connections in turn, so that streams spread over them.
func (c *Client) conn() *grpc.ClientConn {
	return c.conns[int(c.next.Add(1))%len(c.conns)]
}

func (c *Client) rows() sluicev1.RowServiceClient { return sluicev1.NewRowServiceClient(c.conn()) }
func (c *Client) runs() sluicev1.RunServiceClient { return sluicev1.NewRunServiceClient(c.conn()) }
func (c *Client) tables() sluicev1.TableServiceClient {
	return sluicev1.NewTableServiceClient(c.conn())
}

// defaultConnections is one per core, from 2 to 4: a single connection tops out at 1.6 GB/s, many cost more per message
// (docs/performance.md).
func defaultConnections() int { return min(4, max(2, runtime.GOMAXPROCS(0))) }

func withDefaultTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, d)
}
