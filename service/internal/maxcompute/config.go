package maxcompute

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/sluice-io/sluice/service/internal/retry"
)

// Config says where MaxCompute is and how to talk to it. The zero value of every field but Endpoint is usable.
type Config struct {
	// Endpoint is the service (REST) endpoint with its base path, "http://service.cn-x.maxcompute.aliyun.com/api".
	Endpoint string
	// TunnelEndpoint is the tunnel's base, "http://host:port". Empty: asked from the service once per project.
	TunnelEndpoint string
	// Project and Schema stand in for an empty project or schema of a table.Name. Schema empty: projects without
	// schemas, or the project's own default.
	Project, Schema string
	// Credentials sign the requests. Without an AccessID nothing is signed.
	Credentials Credentials
	Timeouts    Timeouts
	Transport   TransportConfig
	// Compression of block bodies and, asked for, of downloads. The zero value is none: best on loopback and in a VPC.
	Compression Compression
	// ChunkBytes is the size of the checksummed chunks of Arrow bodies; 0 = 65536, which every SDK writes.
	ChunkBytes int
	// MaxMessageBytes bounds one Arrow message of a download; a larger one is an error. 0 = 256 MiB.
	MaxMessageBytes int64
	// UserAgent is sent as User-Agent and, signed, as x-odps-user-agent. Empty: "sluice".
	UserAgent string
	// Retry is the backoff of control calls that may be repeated; zero = 4 tries, 200 ms doubling up to 5 s. A server
	// that asks to wait longer than its Max gets no other try: the hint goes to the caller.
	Retry retry.Policy
	// Logger gets retries and other things no return value carries; nil discards.
	Logger *slog.Logger
}

// Credentials is an access key, with a token if it is a temporary one.
type Credentials struct {
	AccessID  string
	AccessKey string
	// STSToken is sent with keys that the security token service handed out.
	STSToken string
	// Region switches from signature V2 to V4, which names the region.
	Region string
}

// String hides the secrets; so do GoString and LogValue.
func (c Credentials) String() string { return "[redacted]" }

// GoString hides the secrets from %#v.
func (c Credentials) GoString() string { return "[redacted]" }

// LogValue hides the secrets from slog.
func (c Credentials) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// Timeouts bounds waiting. Data transfers have no total limit, only one on silence.
type Timeouts struct {
	// Connect bounds dialling and the TLS handshake; 0 = 10 s.
	Connect time.Duration
	// Control bounds each try of a metadata or session call, reply included; 0 = 60 s.
	Control time.Duration
	// Commit bounds the one try of a commit, which may take long upstream; 0 = 10 min.
	Commit time.Duration
	// Progress bounds how long a block or a download may stand still: one blocked write, or one read without a byte;
	// 0 = 120 s. A block that waits for rows is not standing still.
	Progress time.Duration
	// Reply bounds the wait for a block's reply after its last byte, and for a download's first; 0 = 300 s.
	Reply time.Duration
	// Idle is how long an unused connection is kept; it must stay below the server's own limit; 0 = 30 s.
	Idle time.Duration
}

// TransportConfig tunes the HTTP transports.
type TransportConfig struct {
	// MaxIdlePerHost is how many idle data connections are kept, as many as slices may be in flight; 0 = 256.
	MaxIdlePerHost int
	// BufferBytes is the size of each data connection's read buffer; 0 = 32 KiB. Large reads bypass it.
	BufferBytes int
	// WriteBytes is the size of one write of a block's body; 0 = 256 KiB.
	WriteBytes int
	// TLS is for endpoints with certificates of their own; nil = the system's roots.
	TLS *tls.Config
	// Proxy as in http.Transport; nil = from the environment.
	Proxy func(*http.Request) (*url.URL, error)
}

func (c Config) withDefaults() Config {
	c.ChunkBytes = cmp.Or(c.ChunkBytes, 65536)
	c.MaxMessageBytes = cmp.Or(c.MaxMessageBytes, 256<<20)
	c.UserAgent = cmp.Or(c.UserAgent, "sluice")
	c.Timeouts.Connect = cmp.Or(c.Timeouts.Connect, 10*time.Second)
	c.Timeouts.Control = cmp.Or(c.Timeouts.Control, time.Minute)
	c.Timeouts.Commit = cmp.Or(c.Timeouts.Commit, 10*time.Minute)
	c.Timeouts.Progress = cmp.Or(c.Timeouts.Progress, 2*time.Minute)
	c.Timeouts.Reply = cmp.Or(c.Timeouts.Reply, 5*time.Minute)
	c.Timeouts.Idle = cmp.Or(c.Timeouts.Idle, 30*time.Second)
	c.Transport.MaxIdlePerHost = cmp.Or(c.Transport.MaxIdlePerHost, 256)
	c.Transport.BufferBytes = cmp.Or(c.Transport.BufferBytes, 32<<10)
	c.Transport.WriteBytes = cmp.Or(c.Transport.WriteBytes, 256<<10)
	if c.Transport.Proxy == nil {
		c.Transport.Proxy = http.ProxyFromEnvironment
	}
	c.Retry.Tries = cmp.Or(c.Retry.Tries, 4)
	c.Retry.First = cmp.Or(c.Retry.First, 200*time.Millisecond)
	c.Retry.Max = cmp.Or(c.Retry.Max, 5*time.Second)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Validate returns every fault of the configuration at once, nil if there is none.
func (c Config) Validate() error {
	errs := []error{checkBase("endpoint", c.Endpoint, false), checkBase("tunnel_endpoint", c.TunnelEndpoint, true), c.Compression.check()}
	if (c.Credentials.AccessID == "") != (c.Credentials.AccessKey == "") {
		errs = append(errs, errors.New("credentials: access id and access key belong together"))
	}
	if c.ChunkBytes < 0 || c.ChunkBytes > maxChunkBytes {
		errs = append(errs, fmt.Errorf("chunk_bytes: %d is not within 1 and %d", c.ChunkBytes, maxChunkBytes))
	}
	if c.Transport.WriteBytes < 0 || c.Transport.BufferBytes < 0 || c.Transport.MaxIdlePerHost < 0 {
		errs = append(errs, errors.New("transport: sizes must not be negative"))
	}
	for _, d := range []time.Duration{c.Timeouts.Connect, c.Timeouts.Control, c.Timeouts.Commit, c.Timeouts.Progress, c.Timeouts.Reply, c.Timeouts.Idle} {
		if d < 0 {
			errs = append(errs, errors.New("timeouts: must not be negative"))
			break
		}
	}
	return errors.Join(errs...)
}

func checkBase(field, text string, optional bool) error {
	if text == "" && optional {
		return nil
	}
	u, err := url.Parse(text)
	if err != nil {
		return fmt.Errorf("%s: %w", field, err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("%s: %q is not a base URL like http://host:port/path", field, text)
	}
	return nil
}
