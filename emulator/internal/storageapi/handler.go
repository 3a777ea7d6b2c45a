package storageapi

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/sluice-io/sluice/emulator/internal/sql"
	"github.com/sluice-io/sluice/emulator/internal/store"
)

// Root is the prefix of all paths.
const Root = "/api/storage/"

// SessionTTL is how long a session lives after its creation or its last refresh.
const SessionTTL = 24 * time.Hour

// Options configure New. Store is required.
type Options struct {
	Store *store.Store
	// Engine applies filter predicates; nil = there are none.
	Engine *sql.Engine
	// Dir takes answers until they are sent; empty = the folder for temporary files.
	Dir string
	// Now is the clock; nil = time.Now.
	Now func() time.Time
}

// Handler serves the API. Close it.
type Handler struct {
	opt      Options
	mu       sync.Mutex
	sessions map[string]*session // guarded by mu
}

// New returns a handler over opt.Store, which stays the caller's.
func New(opt Options) *Handler {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	return &Handler{opt: opt, sessions: map[string]*session{}}
}

// Close ends the sessions. Requests under way keep what they read.
func (h *Handler) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, s := range h.sessions {
		s.release()
		delete(h.sessions, id)
	}
}

// ProjectOf is the project that a path below Root names, empty if none.
func ProjectOf(path string) string {
	parts := strings.Split(strings.TrimPrefix(path, Root), "/")
	if len(parts) < 3 || parts[1] != "projects" {
		return ""
	}
	return parts[2]
}

// request is one call, taken apart.
type request struct {
	*http.Request
	query   url.Values
	key     store.Key
	what    string // "sessions", "data" or "commit"
	session string // in the path, empty if none
	data    bool   // …/sessions/SID/data
}

// parse reads v1/projects/P[/schemas/S]/tables/T/WHAT[/SID[/data]].
func parse(r *http.Request) (*request, bool) {
	parts := strings.Split(strings.Trim(strings.TrimPrefix(r.URL.Path, Root), "/"), "/")
	if len(parts) < 6 || parts[0] != "v1" || parts[1] != "projects" {
		return nil, false
	}
	project, rest, schema := parts[2], parts[3:], ""
	if rest[0] == "schemas" && len(rest) > 4 {
		schema, rest = rest[1], rest[2:]
	}
	if rest[0] != "tables" || len(rest) < 3 || len(rest) > 5 {
		return nil, false
	}
	out := &request{Request: r, query: r.URL.Query(), key: store.NewKey(project, schema, rest[1]), what: rest[2]}
	if len(rest) > 3 {
		out.session = rest[3]
	}
	out.data = len(rest) == 5 && rest[4] == "data"
	return out, len(rest) < 5 || out.data
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	err := h.serve(w, req) //nolint:contextcheck // The request carries its context.
	if err != nil {
		h.fail(w, req, err)
	}
}

func (h *Handler) serve(w http.ResponseWriter, req *http.Request) error {
	r, ok := parse(req)
	if !ok {
		return &Error{http.StatusNotFound, "NoSuchPath", req.Method + " " + req.URL.Path + " is not served"}
	}
	kind := r.query.Get("session_type")
	writing := kind == "batch_write" || r.what == "commit" || r.data
	switch {
	case writing:
		return &Error{http.StatusNotFound, "NoSuchPath", "the write side of the Storage API is not served here; write through the tunnel"}
	case r.what == "sessions" && kind != "batch_read" && kind != "":
		return badRequest("session_type %q is not known", kind)
	case r.what == "sessions" && r.session == "" && r.Method == http.MethodPost:
		return h.create(w, r)
	case r.what == "sessions" && r.session != "" && r.Method == http.MethodGet:
		return h.reload(w, r)
	case r.what == "data" && r.session == "" && r.Method == http.MethodGet:
		return h.read(w, r)
	}
	return &Error{http.StatusNotFound, "NoSuchPath", r.Method + " " + r.URL.Path + " is not served"}
}

func (h *Handler) create(w http.ResponseWriter, r *request) error {
	body, err := readBody(w, r.Request)
	if err != nil {
		return err
	}
	ask, err := parseAsk(body)
	if err != nil {
		return err
	}
	s, err := h.open(r.Context(), r.key, ask)
	if err != nil {
		return err
	}
	h.keep(s)
	sendJSON(w, http.StatusCreated, s.describe())
	return nil
}

// open pins the rows of a new session. The caller keeps or releases it.
func (h *Handler) open(ctx context.Context, key store.Key, ask *ask) (_ *session, err error) {
	table, snapshots, err := h.opt.Store.SnapshotAll(key, nil)
	if err != nil {
		return nil, err
	}
	s := &session{table: table, snapshots: snapshots, ask: ask}
	s.refs.Store(1)
	defer func() {
		if err != nil {
			s.release()
		}
	}()
	if err := s.choose(); err != nil {
		return nil, err
	}
	if err := s.plan(); err != nil {
		return nil, err
	}
	return s, h.checkPredicate(ctx, s)
}

// keep registers a session and drops expired ones.
func (h *Handler) keep(s *session) {
	now := h.opt.Now()
	s.id = strings.ReplaceAll(uuid.NewString(), "-", "")
	h.mu.Lock()
	defer h.mu.Unlock()
	s.expires = now.Add(SessionTTL)
	for id, old := range h.sessions {
		if !now.Before(old.expires) {
			old.release()
			delete(h.sessions, id)
		}
	}
	h.sessions[s.id] = s
}

// find returns a live session of the table; the caller releases it.
func (h *Handler) find(id string, key store.Key, refresh bool) (*session, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.sessions[id]
	if s == nil || s.table.Key != key || !h.opt.Now().Before(s.expires) {
		return nil, &Error{http.StatusNotFound, "SessionNotFound", "read session " + id + " of table " + key.String() + " not found"}
	}
	if refresh {
		s.expires = h.opt.Now().Add(SessionTTL)
	}
	s.refs.Add(1)
	return s, nil
}

func (h *Handler) reload(w http.ResponseWriter, r *request) error {
	s, err := h.find(r.session, r.key, strings.EqualFold(r.query.Get("session_refresh"), "true"))
	if err != nil {
		return err
	}
	defer s.release()
	h.mu.Lock()
	answer := s.describe()
	h.mu.Unlock()
	sendJSON(w, http.StatusOK, answer)
	return nil
}
