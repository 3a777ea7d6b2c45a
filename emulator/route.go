package emulator

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/sluice-io/sluice/emulator/internal/auth"
	"github.com/sluice-io/sluice/emulator/internal/refusal"
	"github.com/sluice-io/sluice/emulator/internal/rest"
	"github.com/sluice-io/sluice/emulator/internal/storageapi"
	"github.com/sluice-io/sluice/emulator/internal/store"
)

// mount is the prefix under which the REST API is offered besides the root.
const mount = "/api"

// requestID is the header that every answer carries, in the case that clients look for.
const requestID = "x-odps-request-id"

// serveHTTP gives a request its id, answers it and logs it.
func (s *Server) serveHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	id := newRequestID()
	w.Header()[requestID] = []string{id}
	if !s.gate.enter() {
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	defer s.gate.leave()
	seen := &watcher{ResponseWriter: limitIdle(w, r, s.limits.BodyIdle)}
	var fault string
	ctx, refused := refusal.Noted(context.WithValue(r.Context(), faultKey{}, &fault))
	answered := false // until the handler returns: what ends by a panic ends the connection
	defer func() {
		var broken error
		if !answered {
			broken = s.brokenBy(ctx, id, recover())
		}
		s.logRequest(ctx, r, id, seen, refused, fault, broken, time.Since(start))
		if broken != nil {
			panic(http.ErrAbortHandler)
		}
	}()
	if r = r.WithContext(ctx); !s.admin(seen, r) {
		s.handler.ServeHTTP(seen, r)
	}
	answered = true
}

// brokenBy is why a handler panicked: on purpose, with http.ErrAbortHandler or an error that
// wraps it, or by a fault of this program.
func (s *Server) brokenBy(ctx context.Context, id string, cause any) error {
	if err, ok := cause.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		return err
	}
	s.log.LogAttrs(ctx, slog.LevelError, "a request panicked", slog.String("odps_request_id", id), slog.Any("panic", cause), slog.String("stack", string(debug.Stack())))
	return http.ErrAbortHandler
}

// logRequest writes the one line of a request: a warning if the endpoint itself is at fault.
func (s *Server) logRequest(ctx context.Context, r *http.Request, id string, seen *watcher, refused *refusal.Error, fault string, broken error, elapsed time.Duration) {
	status := seen.answered(broken != nil)
	attrs := []slog.Attr{
		slog.String("odps_request_id", id), slog.String("method", r.Method), slog.String("path", r.URL.Path),
		slog.String("query", r.URL.RawQuery), slog.Int("status", status), slog.Int64("bytes", seen.bytes),
		slog.Float64("elapsed_ms", float64(elapsed.Microseconds())/1000),
	}
	if status == refused.Status && status != 0 {
		attrs = append(attrs, slog.String("code", refused.Code))
		if status != http.StatusBadRequest { // its text may quote rows
			attrs = append(attrs, slog.String("err", refused.Message))
		}
	}
	if fault != "" {
		attrs = append(attrs, slog.String("fault", fault))
	}
	if broken != nil {
		attrs = append(attrs, slog.Bool("broken", true))
		if cause := strings.TrimPrefix(broken.Error(), http.ErrAbortHandler.Error()); cause != "" {
			attrs = append(attrs, slog.String("cause", strings.TrimPrefix(cause, ": ")))
		}
	}
	level := slog.LevelInfo
	if fault == "" && ownFault(status, broken) {
		level = slog.LevelWarn
	}
	s.log.LogAttrs(ctx, level, "request", attrs...)
}

// ownFault tells whether this endpoint failed, and not the client or the network: the answer is 5xx, or it broke off for a
// reason that is neither a connection's end nor the request's.
func ownFault(status int, broken error) bool {
	if status >= http.StatusInternalServerError {
		return true
	}
	_, network := errors.AsType[*net.OpError](broken)
	return broken != nil && broken != http.ErrAbortHandler && !network && !errors.Is(broken, context.Canceled) //nolint:errorlint // alone it is no reason
}

// newRequestID looks like the service's: 24 hexadecimal digits.
func newRequestID() string {
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails
	return strings.ToUpper(hex.EncodeToString(b[:]))
}

// watcher remembers what was answered.
type watcher struct {
	http.ResponseWriter
	status int // 0 until the answer begins
	bytes  int64
}

// answered is the status that the client saw, 0 if the connection broke before.
func (w *watcher) answered(broken bool) int {
	if w.status == 0 && !broken {
		return http.StatusOK
	}
	return w.status
}

// Unwrap lets http.ResponseController reach the connection.
func (w *watcher) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *watcher) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *watcher) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// requestIDOf is the id of the request that w answers; empty if nobody will see the answer.
func requestIDOf(w http.ResponseWriter) string {
	return strings.Join(map[string][]string(w.Header())[requestID], "")
}

func (s *Server) dispatch(w http.ResponseWriter, r *http.Request) {
	tunnel, path := target(r)
	refuse := rest.WriteError
	if tunnel {
		refuse = writeTunnelError
	}
	if s.verifier != nil {
		if token := r.URL.Query().Get("token"); token != "" && strings.Trim(path, "/") == "logview" {
			r.Header.Set("x-odps-bearer-token", token) // a person's browser signs nothing
		}
		id, err := s.verifier.Check(r)
		if err != nil {
			refuse(w, r, restError(err))
			return
		}
		r = r.WithContext(auth.WithIdentity(r.Context(), id))
	}
	if project := projectOf(path); project != "" && !s.exists(project) {
		refuse(w, r, &refusal.Error{Status: http.StatusNotFound, Code: "NoSuchProject", Message: "ODPS-0420111:project not found - " + project})
		return
	}
	inner := *r
	inner.URL = new(url.URL)
	*inner.URL = *r.URL
	inner.URL.Path, inner.URL.RawPath = path, ""
	switch {
	case strings.HasPrefix(path, storageapi.Root):
		s.storage.ServeHTTP(w, &inner)
		return
	case tunnel:
		s.tunnel.ServeHTTP(w, &inner)
		return
	}
	s.rest.ServeHTTP(w, &inner)
}

func (s *Server) exists(project string) bool {
	return len(s.opt.Projects) == 0 && store.ValidName(project) || slices.ContainsFunc(s.opt.Projects, func(p string) bool { return strings.EqualFold(p, project) })
}

// projectOf is the project that a path names, empty if none.
func projectOf(path string) string {
	if strings.HasPrefix(path, storageapi.Root) {
		return storageapi.ProjectOf(path)
	}
	rest, ok := strings.CutPrefix(strings.TrimPrefix(path, "/mcqa"), "/projects/")
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(rest, "/")
	return name
}

// tunnelFlags are the parameters that only the tunnel knows.
var tunnelFlags = []string{"uploads", "uploadid", "downloads", "downloadid", "upsertid"}

// target tells the two halves apart, and returns the path without the mount prefix.
func target(r *http.Request) (tunnel bool, path string) {
	path = r.URL.Path
	if strings.HasPrefix(path, mount+"/storage/") {
		return true, path
	}
	if rest, ok := strings.CutPrefix(path, mount+"/"); ok {
		path = "/" + rest
	}
	parts := strings.Split(strings.Trim(path, "/"), "/")
	if len(parts) < 2 || parts[0] != "projects" {
		return false, path
	}
	parts = parts[2:]
	if len(parts) > 2 && parts[0] == "schemas" {
		parts = parts[2:]
	}
	if len(parts) < 2 {
		return false, path
	}
	query := r.URL.Query()
	switch parts[0] {
	case "tables":
		if len(parts) > 2 {
			return slices.Contains([]string{"streams", "upserts", "preview"}, parts[2]), path
		}
		return slices.ContainsFunc(tunnelFlags, query.Has), path
	case "instances":
		return query.Has("downloads") || query.Has("downloadid") || query.Has("cached") && query.Has("data"), path
	default:
		return false, path
	}
}

// writeTunnelError answers in the JSON form of the tunnel's errors.
func writeTunnelError(w http.ResponseWriter, r *http.Request, err error) {
	answer := &refusal.Error{Status: http.StatusInternalServerError, Code: "InternalServerError", Message: err.Error()}
	errors.As(err, &answer)
	refusal.Note(r.Context(), answer.Status, answer.Code, answer.Message)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(answer.Status)
	//nolint:errchkjson // Strings only; the client may be gone.
	_ = json.NewEncoder(w).Encode(map[string]string{"Code": answer.Code, "Message": answer.Message, "RequestId": requestIDOf(w)})
}
