package service

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"github.com/sluice-io/sluice/internal/zerocopy"
	"github.com/sluice-io/sluice/service/internal/flow"
	"github.com/sluice-io/sluice/service/internal/interceptor"
	"github.com/sluice-io/sluice/service/internal/ledger/bolt"
	"github.com/sluice-io/sluice/service/internal/maxcompute"
	"github.com/sluice-io/sluice/service/internal/read"
	"github.com/sluice-io/sluice/service/internal/rpc"
	"github.com/sluice-io/sluice/service/internal/table"
	"github.com/sluice-io/sluice/service/internal/write"
)

// Server is one replica of the service. Make it with New, then call Run once, or Close.
type Server struct {
	cfg      Config
	listener net.Listener
	grpc     *grpc.Server
	health   *health.Server
	rpc      *rpc.Server
	writes   *write.Engine
	closers  []io.Closer // closed in reverse order
	ready    chan struct{}
	close    sync.Once
	closeErr error
}

// New checks the configuration, opens the ledger and binds the address. The server answers once Run was called.
func New(cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("check configuration: %w", err)
	}
	s := &Server{cfg: cfg.withDefaults(), ready: make(chan struct{})}
	if err := s.build(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Server) build() error {
	backend, err := maxcompute.New(s.cfg.backend())
	if err != nil {
		return fmt.Errorf("set up maxcompute: %w", err)
	}
	s.closers = append(s.closers, backend)
	ledger, err := bolt.Open(s.cfg.LedgerPath, bolt.Options{Fatal: s.cfg.Fatal})
	if err != nil {
		return fmt.Errorf("open ledger %s: %w", s.cfg.LedgerPath, err)
	}
	s.closers = append(s.closers, ledger)
	key, err := s.signingKey()
	if err != nil {
		return err
	}
	if err := s.buildEngines(backend, ledger, key); err != nil {
		return err
	}
	if err := s.buildGRPC(); err != nil {
		return err
	}
	s.listener, err = new(net.ListenConfig).Listen(context.Background(), "tcp", s.cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	return nil
}

func (s *Server) signingKey() ([]byte, error) {
	if s.cfg.SigningKey != "" {
		return []byte(s.cfg.SigningKey), nil
	}
	key := make([]byte, minSigningKey)
	if _, err := rand.Read(key); err != nil {
		return nil, fmt.Errorf("make signing key: %w", err)
	}
	return key, nil
}

func (s *Server) buildEngines(backend *maxcompute.Client, ledger write.Ledger, key []byte) error {
	limits := s.cfg.limits()
	allowed, err := allowedOutputs(s.cfg.Outputs)
	if err != nil {
		return err
	}
	s.writes = write.New(write.Config{
		Ledger:        ledger,
		Backend:       backend,
		Budget:        flow.NewBudget(s.cfg.GatherBytes),
		Predefined:    allowed,
		AllowUnfenced: s.cfg.AllowUnversionedBlocks,
		Replica:       s.cfg.Replica,
		Limits: write.Limits{
			PutSlots: s.cfg.PutSlots, MaxOutputs: limits.MaxOutputs, MaxSlices: int32(limits.MaxSlices),
			ReplayMost: limits.MaxReplayBytes, LeaseLeast: limits.MinLease, LeaseMost: limits.MaxLease,
		},
		Logger: s.cfg.Logger,
		Now:    s.cfg.Now,
	})
	reads, err := read.New(read.Config{Backend: backend, Key: key, Now: s.cfg.Now, MaxMessageBytes: limits.Batch.MaxMessageBytes})
	if err != nil {
		return fmt.Errorf("set up reading: %w", err)
	}
	s.rpc = rpc.New(rpc.Config{
		Writes: s.writes, Reads: reads, Catalog: backend,
		Defaults: rpc.Defaults{Project: s.cfg.MaxCompute.Project, Schema: s.cfg.MaxCompute.Schema},
		Limits:   limits,
		Info: rpc.Info{
			Version: s.cfg.Version, Revision: s.cfg.Revision, Replica: s.cfg.Replica, Embedded: s.cfg.Embedded,
			Features: []string{"append"},
		},
		PageKey: key, Logger: s.cfg.Logger, Now: s.cfg.Now,
	})
	return nil
}

// allowedOutputs is the rule for runs without an id; nil allows every output.
func allowedOutputs(paths []string) (func(table.Ref) bool, error) {
	if len(paths) == 0 {
		return nil, nil //nolint:nilnil // no list, no rule
	}
	allowed := make(map[string]bool, len(paths))
	for _, p := range paths {
		ref, err := table.ParsePath(p)
		if err != nil {
			return nil, fmt.Errorf("allowed output: %w", err)
		}
		slices.SortFunc(ref.Partition, func(a, b table.Part) int { return strings.Compare(a.Column, b.Column) })
		allowed[ref.Key()] = true
	}
	return func(ref table.Ref) bool { return allowed[ref.Key()] }, nil
}

// Transport figures that are no business of an operator's. What is measured stands in docs/performance.md.
const (
	ioBuffer        = 128 << 10
	keepaliveTime   = 20 * time.Second // a dead connection is noticed after keepaliveTime + keepaliveWait
	keepaliveWait   = 10 * time.Second
	clientPingFloor = 5 * time.Second
)

func (s *Server) buildGRPC() error {
	limits := s.cfg.limits()
	chain := interceptor.New(s.cfg.Logger, s.cfg.Now, s.cfg.Version+"/"+s.cfg.Replica)
	options := append(chain.Options(),
		grpc.ForceServerCodecV2(zerocopy.Codec{}),
		grpc.StaticStreamWindowSize(s.cfg.StreamWindow),
		grpc.StaticConnWindowSize(max(s.cfg.StreamWindow, 1<<20)),
		grpc.MaxRecvMsgSize(limits.Batch.MaxMessageBytes+limits.TransportMargin),
		grpc.MaxSendMsgSize(limits.Batch.MaxMessageBytes+limits.TransportMargin),
		grpc.ReadBufferSize(ioBuffer),
		grpc.WriteBufferSize(ioBuffer),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: keepaliveTime, Timeout: keepaliveWait}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: clientPingFloor, PermitWithoutStream: true}),
	)
	s.grpc = grpc.NewServer(options...)
	if err := s.rpc.Register(s.grpc); err != nil {
		return fmt.Errorf("register services: %w", err)
	}
	s.health = health.NewServer()
	healthpb.RegisterHealthServer(s.grpc, s.health)
	reflection.Register(s.grpc)
	s.setHealth(healthpb.HealthCheckResponse_NOT_SERVING)
	return nil
}

func (s *Server) setHealth(status healthpb.HealthCheckResponse_ServingStatus) {
	s.health.SetServingStatus("", status)
	for _, name := range rpc.Services() {
		s.health.SetServingStatus(name, status)
	}
}

// Addr is the address the server listens on, host:port.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Ready is closed when the server answers.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Run serves until ctx ends, then shuts down: health off, streams told to go away, Grace, cut, ledger closed. It returns
// nil after an orderly shutdown. Every row acknowledged as durable stays durable.
func (s *Server) Run(ctx context.Context) error {
	engineCtx, stopEngine := context.WithCancel(context.WithoutCancel(ctx))
	var tasks sync.WaitGroup
	failed := make(chan error, 2)
	tasks.Go(func() {
		if err := s.writes.Run(engineCtx); err != nil && engineCtx.Err() == nil {
			failed <- fmt.Errorf("run write engine: %w", err)
		}
	})
	tasks.Go(func() {
		if err := s.grpc.Serve(s.listener); err != nil {
			failed <- fmt.Errorf("serve: %w", err)
		}
	})
	s.setHealth(healthpb.HealthCheckResponse_SERVING)
	close(s.ready)
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	s.shutdown() //nolint:contextcheck // the context that Run was given has ended
	stopEngine()
	tasks.Wait()
	return errors.Join(err, s.Close())
}

// shutdown ends all calls. While writers leave, the server still listens: who opens is told to go elsewhere, who asks
// for a run is answered. Then calls under way may end, and what is left after Grace is cut.
func (s *Server) shutdown() {
	s.setHealth(healthpb.HealthCheckResponse_NOT_SERVING)
	timeout := time.NewTimer(s.cfg.Grace)
	defer timeout.Stop()
	stopped := make(chan struct{})
	stop := func() { s.grpc.GracefulStop(); close(stopped) }
	select {
	case <-s.rpc.Drain(s.cfg.Grace):
		go stop()
		select {
		case <-stopped:
		case <-timeout.C:
			s.cut(stopped)
		}
	case <-timeout.C:
		go stop()
		s.cut(stopped)
	}
	s.rpc.Wait()
}

// lastWords is how long the statuses of calls that were cut may take to reach their clients.
const lastWords = time.Second

func (s *Server) cut(stopped <-chan struct{}) {
	s.rpc.Cut()
	timer := time.NewTimer(lastWords)
	defer timer.Stop()
	select {
	case <-stopped:
	case <-timer.C:
		s.grpc.Stop()
		<-stopped
	}
}

// Close gives everything back without serving. After Run it does nothing.
func (s *Server) Close() error {
	s.close.Do(func() {
		if s.grpc != nil {
			s.grpc.Stop()
		}
		if s.listener != nil {
			if err := s.listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
				s.closeErr = errors.Join(s.closeErr, fmt.Errorf("close listener: %w", err))
			}
		}
		for _, c := range slices.Backward(s.closers) {
			s.closeErr = errors.Join(s.closeErr, c.Close())
		}
	})
	return s.closeErr
}
