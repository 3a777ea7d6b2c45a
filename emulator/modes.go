package emulator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"time"

	"github.com/sluice-io/sluice/emulator/internal/faults"
	"github.com/sluice-io/sluice/emulator/internal/limits"
	"github.com/sluice-io/sluice/emulator/internal/refusal"
	"github.com/sluice-io/sluice/emulator/internal/rest"
	"github.com/sluice-io/sluice/emulator/internal/tunnel"
)

// maxScale keeps the windows of the strict mode above the clock's steps.
const maxScale = 1e6

// DefaultIdleTimeout is how long a body may move no byte before its connection is cut,
// the slow end of what production does (protocol section 10).
const DefaultIdleTimeout = 300 * time.Second

// Faults are injected faults that can be had again: Options.Faults.
type Faults struct {
	// Seed decides, with the spec, the order of requests and nothing else.
	Seed uint64
	// Spec is KIND[@CLASS]=SHARE[:ARGUMENT],… as FaultsHelp tells; empty means a default.
	Spec string
}

// ParseFaults reads SEED[:spec], the argument of the flag --faults. An error names what
// is not known, and all that is.
func ParseFaults(text string) (*Faults, error) {
	seed, spec, err := faults.ParseSeeded(text)
	if err != nil {
		return nil, err
	}
	return &Faults{Seed: seed, Spec: spec.String()}, nil
}

// FaultsHelp explains the language of Faults.Spec.
func FaultsHelp() string { return faults.Help() }

// FaultCounts are the requests seen and the faults injected, by class and kind.
type FaultCounts = faults.Counts

// FaultCounts returns what Options.Faults did so far; without it the zero value, whose On is false. The
// path /faults answers with the same as JSON.
func (s *Server) FaultCounts() FaultCounts {
	if s.injector == nil {
		return FaultCounts{}
	}
	return s.injector.Counts()
}

// limitsOf are the limits that opt asks for: production's, or few.
func limitsOf(opt Options, signed bool) (limits.Limits, error) {
	idle := opt.IdleTimeout
	if idle == 0 {
		idle = DefaultIdleTimeout
	}
	if opt.Strict == 0 {
		return limits.Limits{BodyIdle: idle}, nil
	}
	if !(opt.Strict > 0 && opt.Strict <= maxScale) || math.IsNaN(opt.Strict) {
		return limits.Limits{}, fmt.Errorf("strict scale %v is not above 0 and up to %v", opt.Strict, maxScale)
	}
	if !signed {
		return limits.Limits{}, errors.New("strict mode checks signatures: it needs keys")
	}
	l := limits.Production(opt.Strict)
	if opt.IdleTimeout != 0 {
		l.BodyIdle = opt.IdleTimeout
	}
	return l, nil
}

// withFaults puts what tests and Options.Faults do in front of the handlers.
func (s *Server) withFaults(next http.Handler) (http.Handler, error) {
	if s.opt.Faults != nil {
		spec, err := faults.ParseSpec(s.opt.Faults.Spec)
		if err != nil {
			return nil, err
		}
		s.injector = faults.NewInjector(faults.InjectorOptions{
			Seed: s.opt.Faults.Seed, Spec: spec, Refuse: refuseFor, Expire: s.expireSession, Address: tunnel.Address, Note: noteFault,
		})
		next = s.injector.Wrap(next)
	}
	return faults.Wrap(next, s.opt.Intercept), nil
}

// refuseFor sends a refusal in the form of the half that the request is for.
func refuseFor(w http.ResponseWriter, r *http.Request, f *faults.Refusal) {
	for k, v := range f.Header {
		w.Header()[k] = []string{v}
	}
	err := &refusal.Error{Status: f.Status, Code: f.Code, Message: f.Message}
	if half, _ := target(r); half {
		tunnel.Drain(w, r)
		writeTunnelError(w, r, err)
		return
	}
	rest.WriteError(w, r, err)
}

// expireSession ends a session as its age would.
func (s *Server) expireSession(_, id string) error {
	s.tunnel.ExpireDownload(id)
	return s.store.ExpireUpload(id)
}

// faultKey finds a request's note in its context.
type faultKey struct{}

// noteFault leaves the kind for the log line of the request.
func noteFault(ctx context.Context, _ string, k faults.Kind) {
	if note, ok := ctx.Value(faultKey{}).(*string); ok {
		*note = string(k) // by the goroutine that reads it, when the request is over
	}
}

// admin answers what is no MaxCompute request: never signed, never faulted.
func (s *Server) admin(w http.ResponseWriter, r *http.Request) bool {
	switch r.URL.Path {
	case "/healthz":
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ok\n"))
	case "/faults":
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(s.FaultCounts()) //nolint:errchkjson // Numbers and texts; the client may be gone.
	default:
		return false
	}
	return true
}
