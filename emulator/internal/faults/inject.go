package faults

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"net/http"
	"sync"
	"time"
)

// Header marks an answer that carries a fault, with its kind.
const Header = "x-sluice-fault"

// InjectorOptions configure NewInjector.
type InjectorOptions struct {
	Seed uint64
	Spec Spec
	// Refuse sends an error in the form of the half that the request is for.
	Refuse func(http.ResponseWriter, *http.Request, *Refusal)
	// Expire ends a session for good; nil lets ExpireSession never happen.
	Expire func(class, session string) error
	// Address is where the client reached the server, host:port; for slot moves.
	Address func(*http.Request) string
	// Note, if not nil, is told of each fault before it happens.
	Note func(ctx context.Context, class string, k Kind)
	// Sleep replaces waiting, for tests; nil = real time.
	Sleep func(ctx context.Context, d time.Duration)
}

// Injector draws faults from a seed. Whether and what happens to a request depends on
// the seed, the spec, its method, its class, and how many of the same method and class
// came before, and on nothing else. Safe for concurrent use.
type Injector struct {
	opt InjectorOptions

	mu       sync.Mutex
	seen     map[string]uint64         // requests by method and class; guarded by mu
	requests map[string]int64          // by class; guarded by mu
	injected map[string]map[Kind]int64 // by class; guarded by mu
}

// NewInjector returns an injector that has seen nothing yet.
func NewInjector(opt InjectorOptions) *Injector {
	if opt.Sleep == nil {
		opt.Sleep = sleep
	}
	return &Injector{opt: opt, seen: map[string]uint64{}, requests: map[string]int64{}, injected: map[string]map[Kind]int64{}}
}

// Wrap returns next behind the injector.
func (i *Injector) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		class := Class(r)
		d, ok := i.draw(r, class)
		if !ok {
			next.ServeHTTP(w, r)
			return
		}
		if i.opt.Note != nil {
			i.opt.Note(r.Context(), class, d.kind)
		}
		w.Header()[Header] = []string{string(d.kind)}
		if d.kind == ExpireSession {
			if err := i.opt.Expire(class, sessionOf(r.URL.Query())); err != nil {
				i.opt.Refuse(w, r, &Refusal{Status: http.StatusInternalServerError, Code: "InternalServerError", Message: err.Error()})
				return
			}
		}
		if d.kind == Stall {
			i.opt.Sleep(r.Context(), d.wait)
		}
		i.action(d, r, class).perform(w, r, next, i.opt.Refuse, i.opt.Sleep)
	})
}

// drawn is a fault with the number that its details come from.
type drawn struct {
	rule
	detail uint64
}

// draw decides about the next request of a class.
func (i *Injector) draw(r *http.Request, class string) (drawn, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	key := r.Method + " " + class
	n := i.seen[key]
	i.seen[key]++
	i.requests[class]++
	for _, k := range kinds {
		if !applies(k.kind, class) || k.kind == CutRequest && r.ContentLength == 0 ||
			k.kind == ExpireSession && (i.opt.Expire == nil || sessionOf(r.URL.Query()) == "") {
			continue
		}
		rule := i.opt.Spec.find(k.kind, class)
		chance, detail := numbers(i.opt.Seed, r.Method, class, n, k.kind)
		if chance >= rule.share {
			continue
		}
		if i.injected[class] == nil {
			i.injected[class] = map[Kind]int64{}
		}
		i.injected[class][k.kind]++
		return drawn{rule, detail}, true
	}
	return drawn{}, false
}

// numbers are the two that decide about the n-th request: SHA-256 over
// "seed method class n kind", its first 53 bits as a fraction, and its second 8 bytes.
func numbers(seed uint64, method, class string, n uint64, k Kind) (chance float64, detail uint64) {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %s %s %d %s", seed, method, class, n, k))
	return float64(binary.BigEndian.Uint64(sum[:])>>11) / (1 << 53), binary.BigEndian.Uint64(sum[8:])
}

// longestCut bounds where bodies of unknown length are cut.
const longestCut = 1 << 20

// cutAt draws a position: evenly in a body of known length, else small ones and large
// ones alike.
func cutAt(detail uint64, length int64) int64 {
	if length > 1 {
		return 1 + int64(detail%uint64(length-1))
	}
	return int64(math.Exp2(float64(detail>>11) / (1 << 53) * math.Log2(longestCut)))
}

var refusals = map[Kind]Refusal{
	K500:      {Status: http.StatusInternalServerError, Code: "InternalServerError", Message: "injected: internal error"},
	K502:      {Status: http.StatusBadGateway, Code: "BadGateway", Message: "injected: bad gateway"},
	K503:      {Status: http.StatusServiceUnavailable, Code: "ServiceUnavailable", Message: "injected: service unavailable"},
	K504:      {Status: http.StatusGatewayTimeout, Code: "GatewayTimeout", Message: "injected: gateway timeout"},
	K504After: {Status: http.StatusGatewayTimeout, Code: "GatewayTimeout", Message: "injected: gateway timeout"},
}

func (i *Injector) action(d drawn, r *http.Request, class string) Action {
	switch d.kind {
	case K429:
		code := "FlowExceeded"
		switch class {
		case "upload.block", "stream.put", "download.data", "result.data":
			code = "SlotExceeded"
		}
		return Action{Refuse: &Refusal{Status: http.StatusTooManyRequests, Code: code, Message: "injected: throttled, try again later"}}
	case K308:
		return Action{Refuse: &Refusal{
			Status: http.StatusPermanentRedirect, Code: "SlotReassigned", Message: "injected: the slot moved",
			Header: map[string]string{"odps-tunnel-routed-server": i.opt.Address(r)},
		}}
	case ResetBefore:
		return Action{ResetBefore: true}
	case ResetAfter:
		return Action{ResetAfter: true}
	case LostReply:
		return Action{DropReply: true}
	case CutRequest:
		return Action{CutRequestAt: cutAt(d.detail, r.ContentLength)}
	case CutReply:
		return Action{CutReplyAt: cutAt(d.detail, -1)}
	case Slow:
		return Action{BytesPerSecond: d.rate}
	}
	if refusal, ok := refusals[d.kind]; ok {
		return Action{Refuse: &refusal, RefuseAfter: d.kind == K504After}
	}
	return Action{} // Stall and ExpireSession: the handler answers
}

// Counts are what an injector saw and did.
type Counts struct {
	// On is false where no faults are injected: a seed of 0 is one as any other.
	On       bool                      `json:"on"`
	Seed     uint64                    `json:"seed"`
	Spec     string                    `json:"spec"`
	Requests map[string]int64          `json:"requests"` // by class
	Injected map[string]map[Kind]int64 `json:"injected"` // by class and kind
}

// Counts returns a copy of the counts so far.
func (i *Injector) Counts() Counts {
	i.mu.Lock()
	defer i.mu.Unlock()
	c := Counts{On: true, Seed: i.opt.Seed, Spec: i.opt.Spec.String(), Requests: maps.Clone(i.requests), Injected: map[string]map[Kind]int64{}}
	for class, kinds := range i.injected {
		c.Injected[class] = maps.Clone(kinds)
	}
	return c
}
