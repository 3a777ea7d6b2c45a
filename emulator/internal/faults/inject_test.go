package faults_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-io/sluice/emulator/internal/faults"
)

const blockPath = "/projects/p/tables/t?uploadid=u&blockid=0"

// injected is a server behind an injector; the handler reads the body and answers with
// 100 bytes.
type injected struct {
	*httptest.Server
	injector *faults.Injector
	effects  atomic.Int64
	short    atomic.Int64 // bodies that the handler saw end too early

	mu      sync.Mutex
	notes   []string
	waited  time.Duration
	expired []string
}

func inject(t *testing.T, seed uint64, spec string) *injected {
	t.Helper()
	parsed, err := faults.ParseSpec(spec)
	if err != nil {
		t.Fatal(err)
	}
	s := &injected{}
	s.injector = faults.NewInjector(faults.InjectorOptions{
		Seed: seed, Spec: parsed,
		Refuse: func(w http.ResponseWriter, r *http.Request, f *faults.Refusal) {
			_, _ = io.Copy(io.Discard, r.Body)
			for k, v := range f.Header {
				w.Header()[k] = []string{v}
			}
			w.WriteHeader(f.Status)
			_, _ = io.WriteString(w, f.Code)
		},
		Expire: func(_, id string) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.expired = append(s.expired, id)
			return nil
		},
		Address: func(*http.Request) string { return "here:1" },
		Note: func(_ context.Context, class string, k faults.Kind) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.notes = append(s.notes, class+" "+string(k))
		},
		Sleep: func(_ context.Context, d time.Duration) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.waited += d
		},
	})
	s.Server = httptest.NewServer(s.injector.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			s.short.Add(1)
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.effects.Add(1)
		_, _ = io.WriteString(w, strings.Repeat("x", 100))
	})))
	t.Cleanup(s.Close)
	return s
}

// send returns what a client of one request sees: the status, the fault header, how many
// bytes came, and the error if one ended it.
func (s *injected) send(t *testing.T, method, target, body string) (status int, fault string, got int, err error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.Client().Do(req)
	if err != nil {
		return 0, "", 0, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header.Get(faults.Header), len(b), err
}

// Every kind does to a request exactly what it says: what the client sees, and whether
// the effect stands.
func TestKinds(t *testing.T) {
	for _, c := range []struct {
		kind      string
		status    int // 0 = no answer
		effects   int64
		broken    bool // the client sees an error
		argument  string
		wantError error // if not nil, the error is or wraps it
	}{
		{kind: "429", status: 429},
		{kind: "500", status: 500},
		{kind: "502", status: 502},
		{kind: "503", status: 503},
		{kind: "504", status: 504},
		{kind: "504-after", status: 504, effects: 1},
		{kind: "reset-before", broken: true, wantError: syscall.ECONNRESET},
		{kind: "reset-after", effects: 1, broken: true, wantError: syscall.ECONNRESET},
		{kind: "lost-reply", effects: 1, broken: true, wantError: io.EOF},
		{kind: "cut-request", broken: true},
		{kind: "cut-reply", status: 200, effects: 1, broken: true, wantError: io.ErrUnexpectedEOF},
		{kind: "slow", argument: ":1000", status: 200, effects: 1},
		{kind: "stall", argument: ":3s", status: 200, effects: 1},
		{kind: "expire", status: 200, effects: 1}, // the handler here knows no sessions
	} {
		t.Run(c.kind, func(t *testing.T) {
			s := inject(t, 1, c.kind+"=1"+c.argument)
			status, fault, _, err := s.send(t, "PUT", blockPath, "0123456789")
			if status != c.status || (err != nil) != c.broken || s.effects.Load() != c.effects {
				t.Errorf("status %d, error %v, %d effects; want %d, broken %t, %d", status, err, s.effects.Load(), c.status, c.broken, c.effects)
			}
			if c.wantError != nil && !errors.Is(err, c.wantError) {
				t.Errorf("error %v, want %v", err, c.wantError)
			}
			if status != 0 && fault != c.kind {
				t.Errorf("header %s is %q, want %q", faults.Header, fault, c.kind)
			}
			if want := []string{"upload.block " + c.kind}; !slices.Equal(s.noted(), want) {
				t.Errorf("notes %q, want %q", s.noted(), want)
			}
			if n := s.injector.Counts().Injected["upload.block"][faults.Kind(c.kind)]; n != 1 {
				t.Errorf("%d counted, want 1", n)
			}
		})
	}
}

func TestSlowAndStallTakeTheirTime(t *testing.T) {
	s := inject(t, 1, "slow=1:1000")
	if _, _, n, err := s.send(t, "PUT", blockPath, strings.Repeat("y", 900)); err != nil || n != 100 {
		t.Fatalf("%d bytes, %v", n, err)
	}
	if s.waited != time.Second { // 900 bytes in, 100 out, at 1000 a second
		t.Errorf("waited %s, want 1s", s.waited)
	}
	s = inject(t, 1, "stall=1:3s")
	if _, _, _, err := s.send(t, "PUT", blockPath, "y"); err != nil || s.waited != 3*time.Second {
		t.Errorf("waited %s, want 3s (%v)", s.waited, err)
	}
}

// A body of any length, known or not, is cut before its end.
func TestCutRequestAlwaysCuts(t *testing.T) {
	s := inject(t, 3, "cut-request=1")
	for i := range 50 {
		body := io.Reader(strings.NewReader(strings.Repeat("z", 1+i*20)))
		if i%2 == 0 {
			body = io.MultiReader(body) // no known length
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, s.URL+blockPath, body)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := s.Client().Do(req); err == nil {
			resp.Body.Close()
			t.Errorf("request %d was answered %s", i, resp.Status)
		}
	}
	if s.effects.Load() != 0 || s.short.Load() != 50 {
		t.Errorf("%d effects, %d bodies cut, want 0 and 50", s.effects.Load(), s.short.Load())
	}
	if _, _, _, err := s.send(t, "PUT", blockPath, ""); err != nil { // nothing to cut
		t.Errorf("a request without a body: %v", err)
	}
}

func TestSlotMoves(t *testing.T) {
	s := inject(t, 1, "308=1")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, s.URL+"/projects/p/tables/t/streams?uploadid=s&slotid=0", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusPermanentRedirect || resp.Header.Get("odps-tunnel-routed-server") != "here:1" {
		t.Errorf("%s, server %q", resp.Status, resp.Header.Get("odps-tunnel-routed-server"))
	}
	if status, _, _, err := s.send(t, "PUT", blockPath, "x"); status != 200 || err != nil {
		t.Errorf("a block: %d, %v: 308 is for streams", status, err)
	}
}

func TestExpireNamesTheSession(t *testing.T) {
	s := inject(t, 1, "expire=1")
	for _, target := range []string{blockPath, "/projects/p/tables/t?downloadid=d&data", "/projects/p/tables/t?uploads", "/projects/p/tables/t?uploadid="} {
		if _, _, _, err := s.send(t, "PUT", target, "x"); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"u", "d"}; !slices.Equal(s.expired, want) {
		t.Errorf("expired %q, want %q", s.expired, want)
	}
}

// noted returns what was noted so far.
func (s *injected) noted() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.notes)
}

// outcomes sends n requests one by one and notes what happened to each.
func (s *injected) outcomes(t *testing.T, n int) (out []string) {
	t.Helper()
	for i := range n {
		target := blockPath
		if i%3 == 0 {
			target = "/projects/p/tables/t?uploadid=u"
		}
		status, fault, got, err := s.send(t, "PUT", target, strings.Repeat("z", 40))
		out = append(out, fmt.Sprint(status, " ", fault, " ", got, " ", err != nil))
	}
	return append(out, s.noted()...)
}

func TestSameSeedSameFaults(t *testing.T) {
	const spec = "429=0.1,500=0.1,504-after=0.05,lost-reply=0.1,cut-reply=0.1,cut-request=0.1,reset-before=0.05"
	first, again := inject(t, 42, spec).outcomes(t, 300), inject(t, 42, spec).outcomes(t, 300)
	if !slices.Equal(first, again) {
		t.Errorf("seed 42 twice:\n%q\n%q", first, again)
	}
	if other := inject(t, 43, spec).outcomes(t, 300); slices.Equal(first, other) {
		t.Error("seeds 42 and 43 do the same")
	}
}

// What happens to requests of one class does not depend on how those of another come
// between them.
func TestClassesAreIndependent(t *testing.T) {
	const spec = "429=0.3,503=0.3"
	alone, mixed := inject(t, 9, spec), inject(t, 9, spec)
	of := func(s *injected, noise bool) (kinds []string) {
		for i := range 100 {
			if noise && i%4 != 0 {
				for range i % 3 {
					_, _, _, _ = s.send(t, "GET", "/projects/p/tables/t", "")
				}
			}
			_, fault, _, err := s.send(t, "PUT", blockPath, "x")
			if err != nil {
				t.Fatal(err)
			}
			kinds = append(kinds, fault)
		}
		return kinds
	}
	if a, m := of(alone, false), of(mixed, true); !slices.Equal(a, m) {
		t.Errorf("alone %q\nmixed %q", a, m)
	}
}

// The closest class counts, wherever its rule stands.
func TestSharesAndTheClosestClass(t *testing.T) {
	rules := []string{"503=0", "503@tunnel=1", "503@upload=0.25", "503@upload.commit=0"}
	t.Run("far ones first", func(t *testing.T) { sharesOf(t, strings.Join(rules, ",")) })
	slices.Reverse(rules)
	t.Run("close ones first", func(t *testing.T) { sharesOf(t, strings.Join(rules, ",")) })
}

func sharesOf(t *testing.T, spec string) {
	s := inject(t, 5, spec)
	count := func(method, target string, n int) (faulted int) {
		for range n {
			if status, _, _, err := s.send(t, method, target, ""); err != nil {
				t.Fatal(err)
			} else if status == 503 {
				faulted++
			}
		}
		return faulted
	}
	if n := count("GET", "/api/projects/p/tables/t", 50); n != 0 {
		t.Errorf("rest: %d of 50", n)
	}
	if n := count("GET", "/projects/p/tables/t?downloadid=d", 50); n != 50 {
		t.Errorf("download: %d of 50", n)
	}
	if n := count("POST", "/projects/p/tables/t?uploadid=u", 50); n != 0 {
		t.Errorf("upload.commit: %d of 50", n)
	}
	if n := count("PUT", blockPath, 1000); n < 200 || n > 300 {
		t.Errorf("upload.block: %d of 1000, want about 250", n)
	}
	c := s.injector.Counts()
	if c.Requests["upload.block"] != 1000 || c.Requests["table"] != 50 || c.Injected["download.reload"]["503"] != 50 || c.Seed != 5 {
		t.Errorf("counts %+v", c)
	}
}

// What a seed does is frozen: tests of other people name seeds.
func TestSeedsAreFrozen(t *testing.T) {
	s := inject(t, 2026, "429=0.2,503=0.2,504-after=0.2")
	var got []string
	for range 20 {
		_, fault, _, err := s.send(t, "PUT", blockPath, "x")
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fault)
	}
	if text := strings.Join(got, " "); text != frozen2026 {
		t.Errorf("seed 2026 does\n%q\nit did\n%q", text, frozen2026)
	}
}

const frozen2026 = "  429  504-after   429  503   504-after  503 503   429 429"
