package maxcompute

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // the SDK panics without a zone database, and the service's image has none

	"github.com/aliyun/aliyun-odps-go-sdk/odps/account"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/table"
)

// Client talks to one MaxCompute service and its tunnel. It is safe for concurrent use. Close it when done.
type Client struct {
	cfg     Config
	log     *slog.Logger
	account account.Account // nil: requests are not signed
	rest    *url.URL
	control *http.Client // metadata, sessions, SQL
	data    *http.Client // block bodies and downloads
	buffers sync.Pool    // *[]byte of Transport.WriteBytes, one per block being written
	now     func() time.Time

	mu      sync.Mutex
	tunnels map[string]*url.URL // guarded by mu; by project, never removed: a tunnel does not move
}

// New checks the configuration and makes a Client; it sends nothing.
func New(cfg Config) (*Client, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("check maxcompute configuration: %w", err)
	}
	cfg = cfg.withDefaults()
	rest, err := url.Parse(strings.TrimSuffix(cfg.Endpoint, "/"))
	if err != nil {
		return nil, fmt.Errorf("parse endpoint: %w", err)
	}
	return &Client{
		cfg: cfg, log: cfg.Logger, account: newAccount(cfg.Credentials), rest: rest, now: time.Now,
		control: newHTTPClient(cfg, false), data: newHTTPClient(cfg, true), tunnels: make(map[string]*url.URL),
	}, nil
}

func newHTTPClient(cfg Config, data bool) *http.Client {
	return &http.Client{
		Transport: newTransport(cfg, data),
		// A 308 means that a slot moved; following it blindly would send a signature made for another host.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func newAccount(c Credentials) account.Account {
	var region []string
	if c.Region != "" {
		region = []string{c.Region}
	}
	switch {
	case c.AccessID == "":
		return nil
	case c.STSToken != "":
		return account.NewStsAccount(c.AccessID, c.AccessKey, c.STSToken, region...)
	}
	return account.NewAliyunAccount(c.AccessID, c.AccessKey, region...)
}

// Close drops idle connections. Calls under way go on; their connections are closed as they end.
func (c *Client) Close() error {
	c.control.CloseIdleConnections()
	c.data.CloseIdleConnections()
	return nil
}

// TunnelEndpoint is the base URL of a project's tunnel: the configured one, or the service's answer, kept for ever.
func (c *Client) TunnelEndpoint(ctx context.Context, project string) (string, error) {
	u, err := c.tunnel(ctx, project)
	if err != nil {
		return "", err
	}
	return u.String(), nil
}

func (c *Client) tunnel(ctx context.Context, project string) (*url.URL, error) {
	c.mu.Lock()
	u := c.tunnels[project]
	c.mu.Unlock()
	if u != nil {
		return u, nil
	}
	// Several first calls may ask at once; they get the same answer.
	u, err := c.lookUpTunnel(ctx, project)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tunnels[project] = u
	return u, nil
}

func (c *Client) lookUpTunnel(ctx context.Context, project string) (*url.URL, error) {
	if c.cfg.TunnelEndpoint != "" {
		return url.Parse(strings.TrimSuffix(c.cfg.TunnelEndpoint, "/"))
	}
	r, err := c.repeat(ctx, call{
		op: "look up tunnel endpoint", method: http.MethodGet, base: c.rest, path: "/projects/" + project + "/tunnel",
		query: url.Values{"service": {""}}, object: object{Project: project}, scope: scopeProject,
	})
	if err != nil {
		return nil, err
	}
	// The answer is "host:port" with the scheme of the service endpoint (maxcompute-protocol.md 4.2).
	host := strings.TrimSpace(string(r.body))
	if !hostPort.MatchString(host) {
		return nil, apierr.New(apierr.BackendUnavailable, "look up tunnel endpoint: the service named none").With("project", project)
	}
	return &url.URL{Scheme: c.rest.Scheme, Host: host}, nil
}

var hostPort = regexp.MustCompile(`^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(:\d{1,5})?$`)

// resolve fills in the configured project and schema and refuses names that no path or statement can hold.
func (c *Client) resolve(n table.Name) (table.Name, error) {
	if n.Project == "" {
		n.Project = c.cfg.Project
	}
	if n.Schema == "" {
		n.Schema = c.cfg.Schema
	}
	for _, part := range []struct{ what, name string }{{"project", n.Project}, {"schema", n.Schema}, {"table", n.Table}} {
		if part.name == "" && part.what != "schema" {
			return n, apierr.New(apierr.BadPath, "no %s is named", part.what)
		}
		if !plainName(part.name) {
			return n, apierr.New(apierr.BadPath, "%q is not a %s name", part.name, part.what)
		}
	}
	return n, nil
}

// plainName is true for names of letters, digits, underscore and hyphen, in any script.
func plainName(s string) bool {
	for _, r := range s {
		if r < 0x80 && r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
			return false
		}
	}
	return true
}
