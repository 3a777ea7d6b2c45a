package testkit_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sluice-io/sluice/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// store is a server that remembers the bodies it got whole and answers each with twelve bytes.
type store struct {
	mu     sync.Mutex
	bodies []string
	broken int
}

func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.broken++
		return
	}
	s.bodies = append(s.bodies, string(body))
	_, _ = io.WriteString(w, "twelve bytes") // the client sees a failure as a short answer
}

func (s *store) got() ([]string, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.bodies...), s.broken
}

func start(t *testing.T, steps ...testkit.Step) (*store, *testkit.Transport, func(string) (string, error)) {
	t.Helper()
	backend := &store{}
	server := httptest.NewServer(backend)
	inner := &http.Transport{}
	t.Cleanup(func() {
		inner.CloseIdleConnections()
		server.Close()
	})
	transport := testkit.NewTransport(inner, steps...)
	client := &http.Client{Transport: transport}
	put := func(body string) (string, error) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, server.URL+"/block?id=1", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(request)
		if err != nil {
			return "", err
		}
		got, err := io.ReadAll(response.Body)
		return string(got), errors.Join(err, response.Body.Close())
	}
	return backend, transport, put
}

func TestFaults(t *testing.T) {
	tests := map[string]struct {
		fault    testkit.Fault
		answer   string   // what the caller gets
		fails    bool     // with ErrInjected
		received []string // what the server stored
	}{
		"pass":         {fault: testkit.Fault{}, answer: "twelve bytes", received: []string{"rows"}},
		"fail before":  {fault: testkit.Fault{Kind: testkit.FailBefore}, fails: true, received: []string{}},
		"fail after":   {fault: testkit.Fault{Kind: testkit.FailAfter}, fails: true, received: []string{"rows"}},
		"fail late":    {fault: testkit.Fault{Kind: testkit.FailLate}, fails: true, received: []string{}},
		"cut request":  {fault: testkit.Fault{Kind: testkit.CutRequest, Bytes: 2}, fails: true, received: []string{}},
		"cut response": {fault: testkit.Fault{Kind: testkit.CutResponse, Bytes: 6}, answer: "twelve", fails: true, received: []string{"rows"}},
		"slow":         {fault: testkit.Fault{Kind: testkit.Slow, Delay: time.Millisecond}, answer: "twelve bytes", received: []string{"rows"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			backend, transport, put := start(t, testkit.Step{Match: testkit.Path(http.MethodPut, "id=1"), Fault: test.fault})
			answer, err := put("rows")
			if errors.Is(err, testkit.ErrInjected) != test.fails || (err != nil && !test.fails) {
				t.Errorf("put = %v, want an injected failure: %t", err, test.fails)
			}
			if answer != test.answer {
				t.Errorf("put = %q, want %q", answer, test.answer)
			}
			if received, _ := backend.got(); !cmp.Equal(received, test.received) {
				t.Errorf("server received %q, want %q", received, test.received)
			}
			if want := []string{"PUT /block?id=1: " + name}; !cmp.Equal(transport.Log(), want) {
				t.Errorf("log = %q, want %q", transport.Log(), want)
			}
		})
	}
}

func TestAnswer(t *testing.T) {
	backend, _, put := start(t, testkit.Step{Fault: testkit.Fault{Kind: testkit.Answer, Response: func(*http.Request) *http.Response {
		return &http.Response{StatusCode: http.StatusTooManyRequests, Body: io.NopCloser(strings.NewReader("busy"))}
	}}})
	if answer, err := put("rows"); err != nil || answer != "busy" {
		t.Errorf("put = %q, %v, want %q", answer, err, "busy")
	}
	if received, _ := backend.got(); len(received) != 0 {
		t.Errorf("server received %q, want nothing", received)
	}
}

func TestLateRequestsArriveWhenDelivered(t *testing.T) {
	backend, transport, put := start(t, testkit.Step{Fault: testkit.Fault{Kind: testkit.FailLate}})
	if _, err := put("old"); !errors.Is(err, testkit.ErrInjected) {
		t.Fatalf("put = %v, want an injected failure", err)
	}
	if _, err := put("new"); err != nil {
		t.Fatal(err)
	}
	codes, err := transport.DeliverLate(t.Context())
	if err != nil || !cmp.Equal(codes, []int{http.StatusOK}) {
		t.Fatalf("DeliverLate = %v, %v, want [200]", codes, err)
	}
	if received, _ := backend.got(); !cmp.Equal(received, []string{"new", "old"}) {
		t.Errorf("server received %q, want new before old", received)
	}
}

func TestHeldRequestGoesOnWhenReleased(t *testing.T) {
	hold := make(chan struct{})
	backend, transport, put := start(t, testkit.Step{Fault: testkit.Fault{Kind: testkit.Slow, Hold: hold}})
	done := make(chan error)
	go func() {
		_, err := put("held")
		done <- err
	}()
	for transport.Unused() > 0 {
		select {
		case err := <-done:
			t.Fatalf("put = %v before it was released", err)
		default:
		}
	}
	if _, err := put("free"); err != nil {
		t.Fatal(err)
	}
	close(hold)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if received, _ := backend.got(); !cmp.Equal(received, []string{"free", "held"}) {
		t.Errorf("server received %q, want free before held", received)
	}
}

func TestStepsSkipAndAreUsedOnce(t *testing.T) {
	_, transport, put := start(t, testkit.Step{Match: testkit.Path("", "block"), Skip: 1, Fault: testkit.Fault{Kind: testkit.FailBefore}},
		testkit.Step{Match: testkit.Path(http.MethodPost, ""), Fault: testkit.Fault{Kind: testkit.FailBefore}})
	var failed []bool
	for range 3 {
		_, err := put("rows")
		failed = append(failed, err != nil)
	}
	if want := []bool{false, true, false}; !cmp.Equal(failed, want) {
		t.Errorf("failed = %v, want %v", failed, want)
	}
	if got := transport.Unused(); got != 1 {
		t.Errorf("Unused() = %d, want the step that nothing matched", got)
	}
}
