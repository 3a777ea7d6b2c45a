package faults_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/sluice-io/sluice/emulator/internal/faults"
)

// perform runs one request through an action without a connection, and says whether the
// connection would have been broken.
func perform(act faults.Action, w http.ResponseWriter, r *http.Request, next http.HandlerFunc) (broken bool) {
	defer func() {
		err, _ := recover().(error)
		broken = errors.Is(err, http.ErrAbortHandler)
	}()
	faults.Wrap(next, func(*http.Request) faults.Action { return act }).ServeHTTP(w, r)
	return false
}

// Clients look at an answer only when their body is sent, and at its request id.
func TestRefusalIsWholeAndComesBehindTheBody(t *testing.T) {
	for _, id := range []string{"", "ABC"} {
		body := strings.NewReader(strings.Repeat("b", 1<<20))
		w := httptest.NewRecorder()
		if id != "" {
			w.Header()["x-odps-request-id"] = []string{id}
		}
		act := faults.Action{Refuse: &faults.Refusal{Status: 429, Code: "C", Message: "m", Header: map[string]string{"odps-lower": "v"}}}
		if perform(act, w, httptest.NewRequest(http.MethodPut, "/", body), nil) {
			t.Error("the connection is broken")
		}
		want := id
		if id == "" {
			want = "injected"
		}
		if got := strings.Join(w.Header()["x-odps-request-id"], ","); got != want { //nolint:staticcheck // kept in lower case, as clients look it up
			t.Errorf("request id %q, want %q", got, want)
		}
		if got := strings.Join(w.Header()["odps-lower"], ","); got != "v" { //nolint:staticcheck // as above
			t.Errorf("header %v, want odps-lower as it was given", w.Header())
		}
		if got := w.Header().Get("Content-Type"); got != "application/json" {
			t.Errorf("Content-Type %q", got)
		}
		if got, want := strings.TrimSpace(w.Body.String()), `{"Code":"C","Message":"m","RequestId":"`+want+`"}`; got != want {
			t.Errorf("body %s, want %s", got, want)
		}
		if body.Len() != 0 {
			t.Errorf("%d bytes of the body were not read", body.Len())
		}
	}
}

// Bodies come in pieces: a cut counts the bytes, not the pieces.
func TestCutsFallAtTheByteWhateverThePieces(t *testing.T) {
	for _, at := range []int64{1, 3, 4, 9, 10, 11} {
		var seen []byte
		var err error
		r := httptest.NewRequest(http.MethodPut, "/", iotest.OneByteReader(strings.NewReader("0123456789")))
		broken := perform(faults.Action{CutRequestAt: at}, httptest.NewRecorder(), r, func(_ http.ResponseWriter, r *http.Request) {
			seen, err = io.ReadAll(r.Body)
		})
		if want := "0123456789"[:min(at, 10)]; string(seen) != want || !errors.Is(err, io.ErrUnexpectedEOF) || !broken {
			t.Errorf("request cut at %d: %q, %v, broken %t; want %q", at, seen, err, broken, want)
		}
		w := httptest.NewRecorder()
		broken = perform(faults.Action{CutReplyAt: at}, w, httptest.NewRequest(http.MethodGet, "/", nil), func(w http.ResponseWriter, _ *http.Request) {
			for _, piece := range []string{"012", "3", "456", "789"} {
				_, _ = io.WriteString(w, piece)
			}
		})
		if want := "0123456789"[:min(at, 10)]; w.Body.String() != want || !broken || !w.Flushed {
			t.Errorf("reply cut at %d: %q, broken %t, flushed %t; want %q", at, w.Body, broken, w.Flushed, want)
		}
	}
}

// A body of known length is cut anywhere inside, one byte at least and one missing.
func TestCutsOfKnownBodiesAreSpreadEvenly(t *testing.T) {
	s := inject(t, 3, "cut-request=1")
	var cuts []int
	h := s.injector.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		cuts = append(cuts, len(b))
	}))
	const length = 1000
	for _, n := range append(make([]int, 200), 1, 2) {
		if n == 0 {
			n = length
		}
		func() {
			defer func() {
				if err, _ := recover().(error); !errors.Is(err, http.ErrAbortHandler) {
					t.Errorf("a body of %d bytes: %v, want the connection broken", n, err)
				}
			}()
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPut, blockPath, strings.NewReader(strings.Repeat("z", n))))
		}()
	}
	low := 0
	for _, n := range cuts[:200] {
		if n < 1 || n >= length {
			t.Errorf("cut at %d of %d", n, length)
		}
		if n < length/2 {
			low++
		}
	}
	if low < 70 || low > 130 {
		t.Errorf("%d of 200 cuts fall into the first half", low)
	}
	if cuts[200] != 1 || cuts[201] != 1 {
		t.Errorf("bodies of 1 and 2 bytes are cut at %v, want 1 and 1", cuts[200:])
	}
}

// An injector without hooks works, and a request that it lets pass shows nothing of it.
func TestInjectorWithoutHooks(t *testing.T) {
	spec, err := faults.ParseSpec("expire=1,stall@table=1:1ns,429@preview=1")
	if err != nil {
		t.Fatal(err)
	}
	h := faults.NewInjector(faults.InjectorOptions{Spec: spec}).Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusAccepted)
	}))
	for target, fault := range map[string]string{blockPath: "", "/projects/p/tables/t": "stall"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodPut, target, nil))
		mark, marked := w.Header()[faults.Header] //nolint:staticcheck // kept in lower case, as clients look it up
		if w.Code != http.StatusAccepted || marked != (fault != "") || marked && mark[0] != fault {
			t.Errorf("%s: %d, header %v; want fault %q", target, w.Code, w.Header(), fault)
		}
	}
}

func TestInjectorNotesNothingWhereNothingHappens(t *testing.T) {
	s := inject(t, 1, "429@preview=1")
	if _, _, _, err := s.send(t, "PUT", blockPath, "x"); err != nil || len(s.noted()) != 0 {
		t.Errorf("noted %q, %v", s.noted(), err)
	}
}

func TestRefusalsCarryTheCodesOfTheService(t *testing.T) {
	const data = "/projects/p/tables/t?downloadid=d&data"
	for _, c := range []struct {
		kind, method, target string
		status               int
		code                 string
	}{
		{"429", "PUT", blockPath, 429, "SlotExceeded"},
		{"429", "PUT", "/projects/p/tables/t/streams?uploadid=s", 429, "SlotExceeded"},
		{"429", "GET", data, 429, "SlotExceeded"},
		{"429", "GET", "/projects/p/instances/i?downloadid=d&data", 429, "SlotExceeded"},
		{"429", "POST", "/projects/p/tables/t?uploads", 429, "FlowExceeded"},
		{"500", "GET", data, 500, "InternalServerError"},
		{"502", "GET", data, 502, "BadGateway"},
		{"503", "GET", data, 503, "ServiceUnavailable"},
		{"504", "GET", data, 504, "GatewayTimeout"},
		{"504-after", "GET", data, 504, "GatewayTimeout"},
		{"308", "PUT", "/projects/p/tables/t/streams?uploadid=s", 308, "SlotReassigned"},
	} {
		w := httptest.NewRecorder()
		inject(t, 1, c.kind+"=1").injector.Wrap(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest(c.method, c.target, nil))
		if w.Code != c.status || w.Body.String() != c.code {
			t.Errorf("%s of %s %s: %d %s, want %d %s", c.kind, c.method, c.target, w.Code, w.Body, c.status, c.code)
		}
	}
}

func TestExpireThatFailsIsSaidAndHasNoEffect(t *testing.T) {
	spec, err := faults.ParseSpec("expire=1")
	if err != nil {
		t.Fatal(err)
	}
	var got faults.Refusal
	h := faults.NewInjector(faults.InjectorOptions{
		Spec:   spec,
		Expire: func(string, string) error { return errors.New("the disk is gone") },
		Refuse: func(_ http.ResponseWriter, _ *http.Request, f *faults.Refusal) { got = *f },
	}).Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the handler ran") }))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPut, blockPath, nil))
	if got.Status != 500 || got.Code != "InternalServerError" || got.Message != "the disk is gone" {
		t.Errorf("refused with %+v", got)
	}
}
