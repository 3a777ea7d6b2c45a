package tunnel

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/sluice-io/sluice/emulator/internal/limits"
	"github.com/sluice-io/sluice/emulator/internal/store"
	"github.com/sluice-io/sluice/emulator/internal/types"
	"github.com/sluice-io/sluice/emulator/internal/wire"
)

// DefaultDownloadTTL is the life of download sessions (the service's 24 h).
const DefaultDownloadTTL = 24 * time.Hour

// Options configure New. Store is required.
type Options struct {
	Store *store.Store
	// Results gives SQL results to the instance tunnel; nil = there are none.
	Results Results
	// IgnoreBlockVersion lets the last finished PUT of a block win whatever its
	// block_version, as a server that does not know the parameter would.
	IgnoreBlockVersion bool
	// Owner is shown in sessions; empty = "local".
	Owner string
	// DownloadTTL is the life of a download session; 0 = DefaultDownloadTTL.
	DownloadTTL time.Duration
	// Gate limits sessions, blocks and commits per table; nil = no limits.
	Gate *limits.Gate
	// MaxBlockBytes bounds the body of one block as it comes; 0 = no bound.
	MaxBlockBytes int64
	// Now is the clock; nil = time.Now.
	Now func() time.Time
}

// Results is where SQL results come from.
type Results interface {
	// InstanceResult returns the rows of a finished SELECT. Errors that should
	// reach the client are *Error: 404 NoSuchInstance, 400 InstanceNotTerminate,
	// TaskFailed, InstanceTypeNotSupported.
	InstanceResult(ctx context.Context, project, instance string) (*Result, error)
}

// Result is the rows of one SELECT.
type Result struct {
	// Columns of the result.
	Columns []wire.Column
	// Rows is their number.
	Rows int64
	// Batches yields count rows from start on, in types.LayoutWide; it releases
	// each batch after the step.
	Batches func(start, count int64) iter.Seq2[arrow.RecordBatch, error]
}

// Handler serves the tunnel. Close it.
type Handler struct {
	opt       Options
	mu        sync.Mutex
	downloads map[string]*download // guarded by mu
	order     []*download          // the same, oldest first; guarded by mu
}

// New returns a handler over opt.Store, which stays the caller's.
func New(opt Options) *Handler {
	if opt.Owner == "" {
		opt.Owner = "local"
	}
	if opt.DownloadTTL == 0 {
		opt.DownloadTTL = DefaultDownloadTTL
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	return &Handler{opt: opt, downloads: map[string]*download{}}
}

// Close ends the download sessions. Requests under way keep what they read.
func (h *Handler) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.order) > 0 {
		h.drop(h.order[0])
	}
}

// request is one call, taken apart.
type request struct {
	*http.Request
	query    url.Values
	project  string
	key      store.Key // of a table
	instance string
	sub      string // "streams", "upserts", "preview" or empty
}

// flag reports whether a parameter is there, in any spelling of its value.
func (r *request) flag(name string) bool { _, ok := r.query[name]; return ok }

func (r *request) text(name string) string { return r.query.Get(name) }

func (r *request) spec() (types.PartitionSpec, error) {
	return types.ParsePartitionSpec(r.text("partition"))
}

// parse reads /projects/P[/schemas/S]/tables/T[/SUB] and /projects/P/instances/I.
func parse(req *http.Request) (*request, bool) {
	parts := strings.Split(strings.Trim(req.URL.Path, "/"), "/")
	if len(parts) < 4 || parts[0] != "projects" || parts[1] == "" {
		return nil, false
	}
	r := &request{Request: req, query: req.URL.Query(), project: parts[1]}
	rest := parts[2:]
	schema := ""
	if rest[0] == "schemas" && len(rest) >= 4 {
		schema, rest = rest[1], rest[2:]
	}
	switch {
	case rest[0] == "instances" && len(rest) == 2:
		r.instance = rest[1]
	case rest[0] == "tables" && (len(rest) == 2 || len(rest) == 3):
		if schema == "" {
			schema = r.text("curr_schema")
		}
		r.key = store.NewKey(r.project, schema, rest[1])
		if len(rest) == 3 {
			r.sub = rest[2]
		}
	default:
		return nil, false
	}
	return r, true
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	ensureRequestID(w)
	r, ok := parse(req)
	err := error(noSuchPath(req))
	if ok {
		err = h.route(r)(w, r)
	}
	if err != nil {
		h.fail(w, req, err)
	}
}

type endpoint func(w http.ResponseWriter, r *request) error

// route finds the operation by method and parameters: the paths look the same.
func (h *Handler) route(r *request) endpoint {
	get, post, put := r.Method == http.MethodGet, r.Method == http.MethodPost, r.Method == http.MethodPut
	switch {
	case r.instance != "":
		return h.routeInstance(r)
	case r.sub == "streams" && (post || get):
		return h.streamSession
	case r.sub == "streams" && put:
		return h.streamPack
	case r.sub == "preview" && get:
		return h.preview
	case r.sub != "":
	case post && r.flag("uploads"):
		return h.createUpload
	case post && r.flag("uploadid"):
		return h.commitUpload
	case put && r.flag("uploadid") && r.flag("blockid"):
		return h.putBlock
	case get && r.flag("uploadid"):
		return h.reloadUpload
	case post && r.flag("downloads"):
		return h.createDownload
	case get && r.flag("downloadid") && r.flag("data"):
		return h.downloadData
	case get && r.flag("downloadid"):
		return h.reloadDownload
	}
	return func(http.ResponseWriter, *request) error { return noSuchPath(r.Request) }
}

func (h *Handler) routeInstance(r *request) endpoint {
	switch get := r.Method == http.MethodGet; {
	case r.Method == http.MethodPost && r.flag("downloads"):
		return h.createResultDownload
	case get && r.flag("downloadid") && r.flag("data"):
		return h.downloadData
	case get && r.flag("downloadid"):
		return h.reloadDownload
	case get && r.flag("cached") && r.flag("data"):
		return h.cachedResult
	}
	return func(http.ResponseWriter, *request) error { return noSuchPath(r.Request) }
}
