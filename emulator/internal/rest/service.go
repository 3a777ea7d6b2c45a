package rest

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sluice-io/sluice/emulator/internal/instance"
	"github.com/sluice-io/sluice/emulator/internal/refusal"
	"github.com/sluice-io/sluice/emulator/internal/store"
)

// ownerID is the number of instance.Owner.
const ownerID = "1"

// defaultPage is the number of entries of a list without maxitems.
const defaultPage = 1000

// Service answers the metadata requests. Create it with New.
type Service struct {
	store     *store.Store
	instances *instance.Registry
	now       func() time.Time
	projects  []string
	schemas   bool // three-level names
	region    string
	issue     func(ctx context.Context, until time.Time) (string, error)
}

// Options configure New.
type Options struct {
	Store     *store.Store
	Instances *instance.Registry
	Now       func() time.Time
	// Projects are listed by GET /projects. Which projects exist is not decided here.
	Projects []string
	// Schemas says that names have three levels, and that a schema must be created before
	// anything is put into it. The store enforces the second.
	Schemas bool
	// Region is the one that projects lie in.
	Region string
	// IssueToken makes a bearer token for the sender of the request of ctx.
	IssueToken func(ctx context.Context, until time.Time) (string, error)
}

// New returns the handler.
func New(opt Options) *Service {
	return &Service{store: opt.Store, instances: opt.Instances, now: opt.Now, projects: opt.Projects, schemas: opt.Schemas, region: opt.Region, issue: opt.IssueToken}
}

// ServeHTTP answers one request. The path must not carry the mount prefix any more.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := s.route(w, r); err != nil { //nolint:contextcheck // The request carries its context.
		WriteError(w, r, err)
	}
}

// request is a routed request.
type request struct {
	*http.Request
	query   url.Values
	project string
	// path holds what follows the project's name.
	path []string
	// mcqa says that the interactive service (MaxQA) is asked.
	mcqa bool
}

// has reports whether a flag parameter is present, whatever its value.
func (r *request) has(flag string) bool { return r.query.Has(flag) }

// schema is the schema that a parameter names, the empty one being the default.
func (r *request) schema() string { return r.query.Get("curr_schema") }

func (s *Service) route(w http.ResponseWriter, hr *http.Request) error {
	r := &request{Request: hr, query: hr.URL.Query()}
	parts := strings.Split(strings.Trim(hr.URL.Path, "/"), "/")
	if len(parts) > 3 && parts[0] == "mcqa" && parts[3] == "instances" {
		r.mcqa, parts = true, parts[1:]
	}
	switch {
	case parts[0] == "tenants", parts[0] == "quotas", parts[0] == "connection", parts[0] == "logview":
		return s.account(w, r, parts)
	case parts[0] != "projects", len(parts) > 1 && parts[1] == "":
		return noRoute(hr)
	case len(parts) == 1:
		return s.listProjects(w, r)
	}
	r.project, r.path = parts[1], parts[2:]
	if len(r.path) > 2 && r.path[0] == "schemas" && r.path[2] == "tables" { // the tunnel's spelling
		r.query.Set("curr_schema", r.path[1])
		r.path = r.path[2:]
	}
	if err := s.dropProjectAsSchema(r); err != nil {
		return err
	}
	if len(r.path) == 0 {
		return s.project(w, r)
	}
	switch r.path[0] {
	case "tunnel":
		return s.lookup(w, r)
	case "logs":
		return clientLog(w, r)
	case "authorization":
		return s.authorization(w, r)
	case "schemas":
		return s.schemaRoutes(w, r)
	case "registration":
		return s.functions(w, r)
	case "tables":
		return s.tables(w, r)
	case "resources":
		return s.resources(w, r)
	case "instances":
		return s.instanceRoutes(w, r)
	case "cachedinstances":
		return s.queuedInstances(w, r)
	default:
		return noRoute(hr)
	}
}

// dropProjectAsSchema forgets a schema that has the project's name and is none: the JDBC driver (3.4.2) lists the tables
// of a project without schemas that way.
func (s *Service) dropProjectAsSchema(r *request) error {
	if !strings.EqualFold(r.schema(), r.project) {
		return nil
	}
	_, err := s.store.Schema(r.project, r.project)
	if errors.Is(err, store.ErrNoSuchSchema) {
		r.query.Del("curr_schema")
		return nil
	}
	return err
}

func noRoute(r *http.Request) error {
	return refusal.New(http.StatusNotFound, "NoSuchPath", "ODPS-0420061:%s %s is not served by this endpoint", r.Method, r.URL.Path)
}

func badMethod(r *request) error {
	return refusal.New(http.StatusMethodNotAllowed, "MethodNotAllowed", "ODPS-0420061:%s of %s is not served by this endpoint", r.Method, r.URL.Path)
}
