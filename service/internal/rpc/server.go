package rpc

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/durationpb"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/read"
	"github.com/sluice-io/sluice/service/internal/write"
)

// Config is what the services need.
type Config struct {
	Writes   *write.Engine
	Reads    *read.Engine
	Catalog  Catalog
	Defaults Defaults
	Limits   Limits
	Info     Info
	PageKey  []byte // signs page tokens; the same in all replicas
	Logger   *slog.Logger
	Now      func() time.Time
}

// Server is all services of package sluice.v1.
type Server struct {
	runs      runServer
	rows      rowServer
	tables    tableServer
	infos     infoServer
	resources resourceServer
	jobs      jobServer
}

// New makes the services.
func New(c Config) *Server {
	return &Server{
		runs: runServer{writes: c.Writes, defaults: c.Defaults, now: c.Now},
		rows: rowServer{
			writes: c.Writes, reads: c.Reads, defaults: c.Defaults, limits: c.Limits,
			streams: newStreams(), log: c.Logger, now: c.Now,
		},
		tables: tableServer{catalog: c.Catalog, defaults: c.Defaults, pages: newPager(c.PageKey, c.Now)},
		infos:  infoServer{info: c.Info, limits: c.Limits, defaults: c.Defaults, now: c.Now},
	}
}

// Register adds the services to a gRPC server. It refuses if a method has no access rule (api.md 2).
func (s *Server) Register(g *grpc.Server) error {
	sluicev1.RegisterRunServiceServer(g, &s.runs)
	sluicev1.RegisterRowServiceServer(g, &s.rows)
	sluicev1.RegisterTableServiceServer(g, &s.tables)
	sluicev1.RegisterInfoServiceServer(g, &s.infos)
	sluicev1.RegisterResourceServiceServer(g, s.resources)
	sluicev1.RegisterJobServiceServer(g, s.jobs)
	for _, name := range Services() {
		if err := checkAccess(name); err != nil {
			return err
		}
	}
	return nil
}

// Services are the full names of the services, as health checks know them.
func Services() []string {
	return []string{
		sluicev1.RunService_ServiceDesc.ServiceName,
		sluicev1.RowService_ServiceDesc.ServiceName,
		sluicev1.TableService_ServiceDesc.ServiceName,
		sluicev1.InfoService_ServiceDesc.ServiceName,
		sluicev1.ResourceService_ServiceDesc.ServiceName,
		sluicev1.JobService_ServiceDesc.ServiceName,
	}
}

func checkAccess(service string) error {
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service))
	if err != nil {
		return fmt.Errorf("find service %s: %w", service, err)
	}
	methods := d.(protoreflect.ServiceDescriptor).Methods() //nolint:forcetypeassert // a service's name names a service
	for i := range methods.Len() {
		options, _ := methods.Get(i).Options().(*descriptorpb.MethodOptions)
		rule, _ := proto.GetExtension(options, sluicev1.E_Access).(*sluicev1.MethodAccess)
		if rule.GetVerb() == sluicev1.Verb_VERB_UNSPECIFIED {
			return fmt.Errorf("method %s has no access rule", methods.Get(i).FullName())
		}
	}
	return nil
}

// Drain refuses new writers and tells all streams to go away; Cut ends those that did not. The channel is closed when
// no writer is left.
func (s *Server) Drain(left time.Duration) <-chan struct{} {
	return s.rows.streams.drain(s.rows.now(), left, s.rows.log)
}

// Cut ends all streams that are still open with DRAINING.
func (s *Server) Cut() { s.rows.streams.cut(s.rows.log) }

// Wait returns when nothing that Drain began is under way any more. Call it once the gRPC server has stopped.
func (s *Server) Wait() { s.rows.streams.goodbyes.Wait() }

// streams knows the open slice streams, for the shutdown.
type streams struct {
	mu   sync.Mutex
	open map[*sliceStream]struct{} // guarded by mu
	gone bool                      // guarded by mu: the server drains
	over bool                      // guarded by mu: the time to leave is up
	ends time.Time                 // guarded by mu: when it is up

	empty    chan struct{}  // closed when the server drains and no stream is left
	goodbyes sync.WaitGroup // go_away messages under way
}

func newStreams() *streams {
	return &streams{open: make(map[*sliceStream]struct{}), empty: make(chan struct{})}
}

// add registers a stream; it says whether the server drains already.
func (s *streams) add(c *sliceStream) (draining bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[c] = struct{}{}
	return s.gone
}

func (s *streams) remove(c *sliceStream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
	if s.gone && len(s.open) == 0 {
		s.closeEmpty()
	}
}

// closeEmpty is called with mu held, perhaps more than once: a stream may come and be refused after the last one left.
func (s *streams) closeEmpty() {
	select {
	case <-s.empty:
	default:
		close(s.empty)
	}
}

func (s *streams) draining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gone
}

// farewell says what a read stream tells its client: nothing, to go within the time left, or that it is cut.
func (s *streams) farewell(now time.Time) (*sluicev1.GoAway, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.over:
		return nil, apierr.New(apierr.Draining, "this replica is shutting down: go on at another one")
	case s.gone:
		return goAwayProto(max(s.ends.Sub(now), 0)), nil
	}
	return nil, nil //nolint:nilnil // nothing to say
}

func goAwayProto(left time.Duration) *sluicev1.GoAway {
	return &sluicev1.GoAway{TimeLeft: durationpb.New(left), Message: "this replica is shutting down"}
}

func (s *streams) list() []*sliceStream {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*sliceStream, 0, len(s.open))
	for c := range s.open {
		all = append(all, c)
	}
	return all
}

// drain says go_away to every stream, each from its own goroutine: a client that does not read must not hold up others.
func (s *streams) drain(now time.Time, left time.Duration, log *slog.Logger) <-chan struct{} {
	s.mu.Lock()
	s.gone, s.ends = true, now.Add(left)
	if len(s.open) == 0 {
		s.closeEmpty()
	}
	s.mu.Unlock()
	for _, c := range s.list() {
		s.goodbyes.Go(func() {
			if err := c.goAway(left); err != nil {
				log.Debug("go_away not sent", slog.String("err", err.Error()))
			}
		})
	}
	return s.empty
}

func (s *streams) cut(log *slog.Logger) {
	s.mu.Lock()
	s.over = true
	s.mu.Unlock()
	for _, c := range s.list() {
		if err := c.drained(); err != nil {
			log.Warn("stream not ended", slog.String("err", err.Error()))
		}
	}
}
