package service

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/sluice-io/sluice/service/internal/maxcompute"
	"github.com/sluice-io/sluice/service/internal/rpc"
)

// Secret is a text that never prints itself.
type Secret string

// String hides the secret.
func (Secret) String() string { return "[redacted]" }

// GoString hides the secret from %#v.
func (Secret) GoString() string { return "[redacted]" }

// LogValue hides the secret from slog.
func (Secret) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// Config is everything the service can be told. Zero values take the defaults named at the fields.
type Config struct {
	// Listen is the address of the gRPC server, host:port. Default 127.0.0.1:50051; port 0 takes a free one.
	Listen string
	// MaxCompute is the endpoint that all data goes to. Required.
	MaxCompute MaxCompute
	// LedgerPath is the file that records runs, slices and blocks. Losing it loses what was not committed; two
	// processes cannot share it. Required.
	LedgerPath string
	// Replica names this process in logs and answers. Default: the host's name.
	Replica string
	// Version and Revision are what GetServerInfo tells.
	Version, Revision string
	// Embedded says that MaxCompute is the embedded endpoint. It is only told to clients.
	Embedded bool
	// Outputs, if any, are the only tables that runs without a run_id may write: one-line paths (semantics.md D-02).
	Outputs []string
	// SigningKey signs read and page tokens: at least 32 bytes, the same in all replicas. Default: random, so tokens end
	// with the process.
	SigningKey Secret
	// GatherBytes bounds the rows that gather in memory before their block opens, all slices together. Default 1 GiB.
	GatherBytes int64
	// PutSlots bounds the block uploads under way at once. Default 64.
	PutSlots int
	// StreamWindow is the HTTP/2 window of each stream in bytes: what a client may send beyond what was read. Memory is
	// open slices × (window + two messages). Default 512 KiB; more for links with a large delay.
	StreamWindow int32
	// Grace is how long a shutdown waits for clients to leave. Default 20 s.
	Grace time.Duration
	// AllowUnversionedBlocks lets the service write to an endpoint that ignores block_version. Then a zombie's late
	// block can be published; see docs/operations.md. Default false: such an endpoint is refused.
	AllowUnversionedBlocks bool
	// Logger gets one line per call and what no answer can carry. Default: none.
	Logger *slog.Logger
	// Now is the clock. Default time.Now.
	Now func() time.Time
	// Fatal is called when the ledger's file failed to take a write, whose outcome then is unknown: it must not return.
	// Default: log and exit with status 3.
	Fatal func(error)
}

// MaxCompute says where MaxCompute is and who is asking.
type MaxCompute struct {
	// Endpoint is the service endpoint, "http://host:port/api". Required.
	Endpoint string
	// TunnelEndpoint is the tunnel's base. Default: asked from the service.
	TunnelEndpoint string
	// Project and Schema stand in where a request names none.
	Project, Schema string
	// AccessID, AccessKey and STSToken sign the requests; Region switches to signature V4.
	AccessID            string
	AccessKey, STSToken Secret
	Region              string
	// Compression of block bodies: none, zstd, snappy, deflate or lz4. Default none, which is best on loopback and
	// within a VPC.
	Compression string
}

const minSigningKey = 32

func (c Config) withDefaults() Config {
	c.Listen = cmp.Or(c.Listen, "127.0.0.1:50051")
	c.GatherBytes = cmp.Or(c.GatherBytes, 1<<30)
	c.PutSlots = cmp.Or(c.PutSlots, 64)
	c.StreamWindow = cmp.Or(c.StreamWindow, 512<<10)
	c.Grace = cmp.Or(c.Grace, 20*time.Second)
	c.Version = cmp.Or(c.Version, "dev")
	if c.Replica == "" {
		c.Replica, _ = os.Hostname() // an unnamed host is no reason to fail
		c.Replica = cmp.Or(c.Replica, "sluiced")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Fatal == nil {
		logger := c.Logger
		c.Fatal = func(err error) {
			logger.Error("the ledger's file failed: stopping at once, nothing is acknowledged that is not recorded", slog.String("err", err.Error()))
			os.Exit(3)
		}
	}
	return c
}

// Validate returns every fault of the configuration at once.
func (c Config) Validate() error {
	c = c.withDefaults()
	var errs []error
	if c.LedgerPath == "" {
		errs = append(errs, errors.New("ledger path: required"))
	}
	if c.SigningKey != "" && len(c.SigningKey) < minSigningKey {
		errs = append(errs, fmt.Errorf("signing key: %d bytes are too few, at least %d are needed", len(c.SigningKey), minSigningKey))
	}
	if window := int32(64 << 10); c.StreamWindow < window {
		errs = append(errs, fmt.Errorf("stream window: %d bytes are too few, at least %d are needed", c.StreamWindow, window))
	}
	if c.GatherBytes < 16<<20 {
		errs = append(errs, fmt.Errorf("gather bytes: %d are too few, at least %d are needed", c.GatherBytes, 16<<20))
	}
	if c.PutSlots < 1 {
		errs = append(errs, fmt.Errorf("put slots: %d are too few", c.PutSlots))
	}
	if _, err := allowedOutputs(c.Outputs); err != nil {
		errs = append(errs, err)
	}
	if err := c.backend().Validate(); err != nil {
		errs = append(errs, fmt.Errorf("maxcompute: %w", err))
	}
	return errors.Join(errs...)
}

func (c Config) backend() maxcompute.Config {
	m := c.MaxCompute
	return maxcompute.Config{
		Endpoint: m.Endpoint, TunnelEndpoint: m.TunnelEndpoint, Project: m.Project, Schema: m.Schema,
		Credentials: maxcompute.Credentials{
			AccessID: m.AccessID, AccessKey: string(m.AccessKey), STSToken: string(m.STSToken), Region: m.Region,
		},
		Compression: maxcompute.Compression(m.Compression),
		UserAgent:   "sluice/" + c.Version,
		Logger:      c.Logger,
	}
}

func (c Config) limits() rpc.Limits { return rpc.DefaultLimits() }
