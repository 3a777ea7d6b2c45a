package emulator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/sluice-io/sluice/emulator/internal/auth"
	"github.com/sluice-io/sluice/emulator/internal/faults"
	"github.com/sluice-io/sluice/emulator/internal/instance"
	"github.com/sluice-io/sluice/emulator/internal/limits"
	"github.com/sluice-io/sluice/emulator/internal/rest"
	"github.com/sluice-io/sluice/emulator/internal/sql"
	"github.com/sluice-io/sluice/emulator/internal/storageapi"
	"github.com/sluice-io/sluice/emulator/internal/store"
	"github.com/sluice-io/sluice/emulator/internal/tunnel"
)

const (
	// idleTimeout reaps keep-alive connections: one client leaks one per call, 20 KiB each.
	idleTimeout       = 15 * time.Second
	readHeaderTimeout = 30 * time.Second
	// DefaultGrace is how long Close lets running requests end by themselves.
	DefaultGrace = 3 * time.Second
	// flushGrace is how long the last answers may take to leave.
	flushGrace = time.Second
	// expiryInterval is how often sessions and parts past their life are dropped, at least.
	expiryInterval = 10 * time.Minute
)

// SQLBuilt says whether this program can run SELECT and INSERT: they need DuckDB, that is
// cgo and the build tag duckdb_arrow.
const SQLBuilt = sql.Built

// Options configure New. The zero value is a server on a free port of the loopback
// interface, for any project, without checks of signatures, in a folder that Close removes.
type Options struct {
	// Listen is the TCP address; empty means 127.0.0.1:0.
	Listen string
	// DataDir is the folder of catalogue and rows, created if missing, used by one process
	// at a time. Empty means a temporary one, removed by Close.
	DataDir string
	// Projects that exist; requests for others are answered NoSuchProject. Empty means
	// that every name is a project.
	Projects []string
	// Schemas says that the projects have schemas: names have three levels, clients are told
	// so, and a schema is created before anything is put into it. Otherwise names have two
	// levels unless a session asks for three, and a schema comes to be with its first
	// table.
	Schemas bool
	// Region is what projects say they lie in; empty means local. Signatures of the version 4 are
	// accepted for every region.
	Region string
	// Discard checks uploaded rows and keeps none. For benchmarks.
	Discard bool
	// AccessID and AccessKey are the first of Accounts, for those who need no other.
	AccessID, AccessKey string
	// Accounts by whose keys requests may be signed, temporary ones (STS) among them. All of
	// them own and may do everything. If neither these nor an AccessID nor BearerTokens
	// are given, no signature is looked at.
	Accounts []Account
	// BearerTokens let requests in without a signature, beside those that are issued to
	// signed requests (POST /projects/P/authorization?sign_bearer_token).
	BearerTokens []BearerToken
	// IgnoreBlockVersion lets a block that is uploaded later replace an earlier one
	// whatever their versions say, as a deployment without block_version does.
	IgnoreBlockVersion bool
	// Strict, if not zero, enforces production's limits, with time windows that are Strict
	// times shorter: 1 is production, 300 makes 5 minutes a second. It needs keys.
	Strict float64
	// Faults, if not nil, are injected into requests.
	Faults *Faults
	// Intercept, if not nil, is asked about every MaxCompute request before it has any
	// effect, and may refuse it, cut it, or lose its answer. For tests; must be safe for
	// concurrent use.
	Intercept func(*http.Request) Action
	// IdleTimeout is how long the body of a request or an answer may stand still before its
	// connection is cut; zero means DefaultIdleTimeout, or production's with Strict.
	IdleTimeout time.Duration
	// Grace is how long Close lets running requests end by themselves before it cuts them
	// off; zero means DefaultGrace.
	Grace time.Duration
	// Logger takes one line per request; nil means none.
	Logger *slog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Account is a pair of keys, with a token and an end if they are temporary.
type Account = auth.Account

// BearerToken lets a request in without a signature.
type BearerToken = auth.Bearer

// Action is what Options.Intercept does to a request; the zero value lets it pass.
type Action = faults.Action

// Refusal is an answer in the tunnel's form in the place of the real one.
type Refusal = faults.Refusal

// Server is one endpoint. Create it with New; safe for concurrent use.
type Server struct {
	opt       Options
	log       *slog.Logger
	listener  net.Listener
	http      *http.Server
	store     *store.Store
	engine    *sql.Engine
	instances *instance.Registry
	rest      http.Handler
	tunnel    *tunnel.Handler
	storage   *storageapi.Handler
	limits    limits.Limits
	injector  *faults.Injector // of Options.Faults; nil = none
	handler   http.Handler     // both halves, behind what Options.Intercept and Options.Faults do
	verifier  *auth.Verifier
	tempDir   string // to remove; empty when the folder is the caller's
	results   string // folder of what is kept until it is read

	answering *answering      // the connections with an answer under way
	gate      *gate           // the requests that run
	loops     sync.WaitGroup  // the accept loop and the expiry loop
	base      context.Context //nolint:containedctx // The server's life: ends with Close, the parent of every request's.
	stop      context.CancelFunc

	startOnce, closeOnce sync.Once
	closeErr             error
	serveErr             chan error // capacity 1: the accept loop's error, if it fails
}

// New opens the store and binds the address. Connections are accepted from Start or Serve
// on. The caller closes the server, also if neither is called.
func New(opt Options) (_ *Server, err error) {
	s := &Server{opt: opt, log: opt.Logger, gate: newGate(), answering: newAnswering(), serveErr: make(chan error, 1)}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.opt.Now == nil {
		s.opt.Now = time.Now
	}
	if s.opt.Region == "" {
		s.opt.Region = "local"
	}
	if s.opt.Listen == "" {
		s.opt.Listen = "127.0.0.1:0"
	}
	if s.opt.Grace == 0 {
		s.opt.Grace = DefaultGrace
	}
	if s.verifier, err = newVerifier(s.opt); err != nil {
		return nil, err
	}
	if s.limits, err = limitsOf(s.opt, s.verifier != nil); err != nil {
		return nil, err
	}
	s.base, s.stop = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if err := s.openStore(); err != nil {
		return nil, err
	}
	if err := s.wire(); err != nil {
		return nil, err
	}
	if s.listener, err = new(net.ListenConfig).Listen(s.base, "tcp", s.opt.Listen); err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	return s, nil
}

func (s *Server) openStore() error {
	dir := s.opt.DataDir
	if dir == "" {
		temp, err := os.MkdirTemp("", "maxcompute-endpoint-")
		if err != nil {
			return fmt.Errorf("create data folder: %w", err)
		}
		s.tempDir, dir = temp, temp
	}
	opened, err := store.Open(store.Options{
		Dir: dir, Projects: s.opt.Projects, Schemas: s.opt.Schemas, Discard: s.opt.Discard, Now: s.opt.Now, UploadTTL: s.limits.SessionLife,
		MaxPartitions: s.limits.Partitions, MaxPartitionLevels: s.limits.Levels,
	})
	if err != nil {
		return fmt.Errorf("open data folder: %w", err)
	}
	s.store = opened
	results := filepath.Join(dir, "results")
	if err := os.RemoveAll(results); err != nil { // what a crash left
		return fmt.Errorf("clear results: %w", err)
	}
	if err := os.MkdirAll(results, 0o755); err != nil {
		return fmt.Errorf("create results folder: %w", err)
	}
	s.results = results
	s.engine = sql.New()
	s.instances = instance.New(instance.Options{Store: s.store, Schemas: s.opt.Schemas, Engine: s.engine, Dir: results, Log: s.log, Now: s.opt.Now})
	return nil
}

// wire puts the handlers together.
func (s *Server) wire() (err error) {
	s.rest = rest.New(rest.Options{Store: s.store, Instances: s.instances, Now: s.opt.Now, Projects: s.opt.Projects, Schemas: s.opt.Schemas, Region: s.opt.Region, IssueToken: s.issueToken})
	s.tunnel = tunnel.New(tunnel.Options{
		Store: s.store, Results: results{s.instances}, IgnoreBlockVersion: s.opt.IgnoreBlockVersion, Now: s.opt.Now,
		DownloadTTL: s.limits.SessionLife, MaxBlockBytes: s.limits.BlockBytes, Gate: limits.NewGate(s.limits, s.opt.Now),
	})
	s.storage = storageapi.New(storageapi.Options{Store: s.store, Engine: s.engine, Dir: s.results, Now: s.opt.Now})
	if s.handler, err = s.withFaults(http.HandlerFunc(s.dispatch)); err != nil {
		return err
	}
	s.http = &http.Server{
		Handler:           http.HandlerFunc(s.serveHTTP),
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       idleTimeout,
		ConnState:         s.answering.changed,
		BaseContext:       func(net.Listener) context.Context { return s.base },
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	return nil
}

// Addr is the address that the server listens on, host:port.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Endpoint is the URL that clients are configured with.
func (s *Server) Endpoint() string { return "http://" + s.Addr() + mount }

// Start accepts connections in the background, until Close.
func (s *Server) Start() {
	s.startOnce.Do(func() {
		s.loops.Go(func() {
			if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
				s.serveErr <- fmt.Errorf("accept connections: %w", err)
			}
		})
		s.loops.Go(s.expire)
	})
}

// Serve accepts connections until ctx ends or the listener fails, and closes the server.
func (s *Server) Serve(ctx context.Context) error {
	s.Start()
	var err error
	select {
	case <-ctx.Done():
		s.log.LogAttrs(ctx, slog.LevelInfo, "endpoint ends", slog.String("grace", s.opt.Grace.String()))
	case <-s.base.Done():
	case err = <-s.serveErr:
	}
	return errors.Join(err, s.Close())
}

// expire drops old sessions and parts now and then.
func (s *Server) expire() {
	interval := expiryInterval
	if life := s.limits.SessionLife; life > 0 {
		interval = max(min(interval, life), time.Second)
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-s.base.Done():
			return
		case <-tick.C:
			downloads := s.tunnel.ExpireDownloads()
			if uploads, err := s.store.ExpireUploads(); err != nil {
				s.log.LogAttrs(s.base, slog.LevelWarn, "expire upload sessions", slog.Any("err", err))
			} else if uploads+downloads > 0 {
				s.log.LogAttrs(s.base, slog.LevelInfo, "sessions expired", slog.Int("uploads", uploads), slog.Int("downloads", downloads))
			}
			if parts, err := s.store.ExpireParts(); err != nil {
				s.log.LogAttrs(s.base, slog.LevelWarn, "expire parts of resources", slog.Any("err", err))
			} else if parts > 0 {
				s.log.LogAttrs(s.base, slog.LevelInfo, "parts of resources expired", slog.Int("parts", parts))
			}
		}
	}
}

// Close stops accepting, lets running requests end for a moment and then cuts them off,
// ends the SQL tasks and closes the store. It waits for everything; a second call returns
// what the first did.
func (s *Server) Close() error {
	s.closeOnce.Do(func() { s.closeErr = s.close() })
	return s.closeErr
}

// sendRest waits for the answers whose handlers have returned to be on their way: a
// moment, as a connection with half a request counts, too.
func (s *Server) sendRest() {
	limit := time.NewTimer(flushGrace)
	defer limit.Stop()
	select {
	case <-s.answering.done():
	case <-limit.C:
	}
}

func (s *Server) close() error {
	var errs []error
	empty := s.gate.close()
	grace := time.NewTimer(s.opt.Grace)
	defer grace.Stop()
	select {
	case <-empty:
		s.sendRest()
	case <-grace.C:
	}
	s.stop() // requests that look at their context end, the others with their connection
	if s.http != nil {
		errs = append(errs, s.http.Close())
	}
	if s.listener != nil { // the HTTP server knows it only if it was started
		if err := s.listener.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	<-empty
	s.loops.Wait()
	if s.tunnel != nil {
		s.tunnel.Close()
		s.storage.Close()
	}
	if s.instances != nil {
		errs = append(errs, s.instances.Close(), s.engine.Close())
	}
	if s.store != nil {
		errs = append(errs, s.store.Close())
	}
	if s.tempDir != "" {
		errs = append(errs, os.RemoveAll(s.tempDir))
	}
	return errors.Join(errs...)
}
