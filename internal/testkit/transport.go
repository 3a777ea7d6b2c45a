package testkit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// ErrInjected is what every injected failure wraps; errors.Is finds it also behind http.Client.
var ErrInjected = errors.New("injected fault")

// Kind says how a request fails.
type Kind uint8

// Kinds of faults. Each state-changing request of a program should be tried with FailBefore and FailAfter.
const (
	// Pass sends the request as it is.
	Pass Kind = iota
	// FailBefore fails without sending: no effect.
	FailBefore
	// FailAfter sends the request, reads the whole answer, drops it and fails: took effect, nobody knows.
	FailAfter
	// FailLate fails at once and keeps the request; [Transport.DeliverLate] sends it: takes effect when nobody waits.
	FailLate
	// CutRequest sends Bytes bytes of the request's body, then breaks the connection.
	CutRequest
	// CutResponse gives Bytes bytes of the answer's body, then fails.
	CutResponse
	// Slow sends the request once Hold is closed, and waits Delay before and before each read of the answer's body.
	Slow
	// Answer does not send the request but gives the answer that Response makes, as a server in trouble would.
	Answer
)

var kindNames = [...]string{"pass", "fail before", "fail after", "fail late", "cut request", "cut response", "slow", "answer"}

// String names the kind as the transport's log does.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Fault is what happens to one request.
type Fault struct {
	Kind  Kind
	Bytes int64           // CutRequest, CutResponse: body bytes that still pass
	Delay time.Duration   // Slow: zero = none
	Hold  <-chan struct{} // Slow: nil = not held
	// Response makes the answer of Answer. Its body may be nil.
	Response func(*http.Request) *http.Response
}

// Step gives a fault to one request: the first one, among those not taken by an earlier step, that Match accepts after
// Skip others that it accepted.
type Step struct {
	Match func(*http.Request) bool // nil = any request
	Skip  int
	Fault Fault
}

// Path matches requests of a method whose path and query contain a text; an empty method matches all.
func Path(method, contains string) func(*http.Request) bool {
	return func(r *http.Request) bool {
		return (method == "" || r.Method == method) && strings.Contains(r.URL.RequestURI(), contains)
	}
}

// Transport is an http.RoundTripper that follows a script and passes everything else on. Safe for concurrent use.
type Transport struct {
	next http.RoundTripper

	mu    sync.Mutex // guards the fields below
	steps []Step
	log   []string
	late  []*http.Request
}

// NewTransport makes a transport in front of next that follows the steps.
func NewTransport(next http.RoundTripper, steps ...Step) *Transport {
	return &Transport{next: next, steps: slices.Clone(steps)}
}

// Add appends steps to the script.
func (t *Transport) Add(steps ...Step) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.steps = append(t.steps, steps...)
}

// Unused counts the steps that no request has taken yet. A test that ends with some proved less than it says.
func (t *Transport) Unused() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.steps)
}

// Log lists the requests so far, each as `METHOD path: kind`, in the order in which they came.
func (t *Transport) Log() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.log)
}

// DeliverLate sends the requests kept by FailLate, in their order, and returns the status codes of their answers.
func (t *Transport) DeliverLate(ctx context.Context) ([]int, error) {
	t.mu.Lock()
	late := t.late
	t.late = nil
	t.mu.Unlock()
	var codes []int
	for _, request := range late {
		response, err := t.next.RoundTrip(request.WithContext(ctx)) //nolint:bodyclose // drain closes it
		if err != nil {
			return codes, fmt.Errorf("deliver a late request: %w", err)
		}
		if err := drain(response.Body); err != nil {
			return codes, fmt.Errorf("read a late answer: %w", err)
		}
		codes = append(codes, response.StatusCode)
	}
	return codes, nil
}

// RoundTrip sends the request, or not, as the script says.
func (t *Transport) RoundTrip(request *http.Request) (*http.Response, error) {
	fault := t.take(request)
	switch fault.Kind {
	case FailBefore:
		return nil, errors.Join(injected(fault, request), closeBody(request))
	case FailAfter:
		return t.failAfter(fault, request)
	case FailLate:
		return nil, errors.Join(injected(fault, request), t.keep(request))
	case CutRequest:
		return t.cutRequest(fault, request)
	case CutResponse:
		return t.wrapAnswer(request, func(body io.ReadCloser) io.ReadCloser {
			return &cutBody{ReadCloser: body, left: fault.Bytes, err: injected(fault, request)}
		})
	case Slow:
		return t.slow(fault, request)
	case Answer:
		return answer(fault, request)
	default:
		return t.next.RoundTrip(request)
	}
}

// take finds the request's fault, removes its step and writes the log.
func (t *Transport) take(request *http.Request) Fault {
	t.mu.Lock()
	defer t.mu.Unlock()
	fault := Fault{}
	for i := range t.steps {
		step := &t.steps[i]
		if step.Match != nil && !step.Match(request) {
			continue
		}
		if step.Skip > 0 {
			step.Skip--
			continue
		}
		fault = step.Fault
		t.steps = slices.Delete(t.steps, i, i+1)
		break
	}
	t.log = append(t.log, fmt.Sprintf("%s %s: %s", request.Method, request.URL.RequestURI(), fault.Kind))
	return fault
}

func (t *Transport) failAfter(fault Fault, request *http.Request) (*http.Response, error) {
	response, err := t.next.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	return nil, errors.Join(injected(fault, request), drain(response.Body))
}

// keep stores a copy of the request with its whole body.
func (t *Transport) keep(request *http.Request) error {
	late := request.Clone(context.WithoutCancel(request.Context()))
	if request.Body != nil {
		body, err := io.ReadAll(request.Body)
		if err := errors.Join(err, request.Body.Close()); err != nil {
			return err
		}
		late.Body = io.NopCloser(bytes.NewReader(body))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.late = append(t.late, late)
	return nil
}

func (t *Transport) cutRequest(fault Fault, request *http.Request) (*http.Response, error) {
	if request.Body == nil {
		return nil, fmt.Errorf("cut a request without a body: %w", injected(fault, request))
	}
	cut := request.Clone(request.Context())
	cut.Body = &cutBody{ReadCloser: request.Body, left: fault.Bytes, err: injected(fault, request)}
	cut.GetBody = nil
	return t.next.RoundTrip(cut)
}

func (t *Transport) slow(fault Fault, request *http.Request) (*http.Response, error) {
	ctx := request.Context()
	if fault.Hold != nil {
		select {
		case <-fault.Hold:
		case <-ctx.Done():
			return nil, errors.Join(context.Cause(ctx), closeBody(request))
		}
	}
	if err := wait(ctx, fault.Delay); err != nil {
		return nil, errors.Join(err, closeBody(request))
	}
	return t.wrapAnswer(request, func(body io.ReadCloser) io.ReadCloser {
		return &slowBody{ReadCloser: body, wait: func() error { return wait(ctx, fault.Delay) }}
	})
}

// wrapAnswer sends the request and wraps the answer's body.
func (t *Transport) wrapAnswer(request *http.Request, wrap func(io.ReadCloser) io.ReadCloser) (*http.Response, error) {
	response, err := t.next.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	response.Body = wrap(response.Body)
	return response, nil
}

// answer reads the request as a server would, and gives the scripted answer.
func answer(fault Fault, request *http.Request) (*http.Response, error) {
	if request.Body != nil {
		if err := drain(request.Body); err != nil {
			return nil, err
		}
	}
	response := fault.Response(request)
	response.Request = request
	if response.Header == nil {
		response.Header = http.Header{}
	}
	if response.Body == nil {
		response.Body = http.NoBody
	}
	return response, nil
}

func injected(fault Fault, request *http.Request) error {
	return fmt.Errorf("%w: %s at %s %s", ErrInjected, fault.Kind, request.Method, request.URL.Path)
}

func closeBody(request *http.Request) error {
	if request.Body == nil {
		return nil
	}
	return request.Body.Close()
}

func drain(body io.ReadCloser) error {
	_, err := io.Copy(io.Discard, body)
	return errors.Join(err, body.Close())
}

// wait returns after the delay, or earlier with the context's cause.
func wait(ctx context.Context, delay time.Duration) error {
	if delay <= 0 {
		return nil
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// cutBody gives left bytes, then err.
type cutBody struct {
	io.ReadCloser
	left int64
	err  error
}

func (b *cutBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, b.err
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.ReadCloser.Read(p)
	b.left -= int64(n)
	return n, err
}

// slowBody waits before each read.
type slowBody struct {
	io.ReadCloser
	wait func() error
}

func (b *slowBody) Read(p []byte) (int, error) {
	if err := b.wait(); err != nil {
		return 0, err
	}
	return b.ReadCloser.Read(p)
}
