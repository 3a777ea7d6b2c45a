// Package faults is a middleware through which tests watch, delay, refuse and cut
// requests of the embedded endpoint.
//
// Something sees each request before it has any effect and returns an [Action]: a
// callback of a test ([Wrap]), or an [Injector], which draws faults from a seed and a
// [Spec] so that they can be had again:
//
//	decide ─▶ ResetBefore, Refuse: no effect
//	      └─▶ CutRequestAt: the handler sees the body end too early ─▶ no reply
//	      └─▶ handler ─▶ CutReplyAt: the client sees the reply end too early
//	                 └─▶ DropReply, ResetAfter: the effect stands, the client sees a broken connection
//	                 └─▶ Refuse with RefuseAfter: the effect stands, the client sees an error
//
// A delay is a callback that blocks. Of the protocol the package knows the kinds of
// requests ([Class]) and the shape of a tunnel error, no more.
package faults

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
)

// Action says what happens to a request. The zero value lets it pass.
type Action struct {
	// Refuse, when not nil, is answered instead of calling the handler.
	Refuse *Refusal
	// RefuseAfter runs the handler to its end, unseen, before Refuse is answered.
	RefuseAfter bool
	// ResetBefore breaks the connection with a TCP reset before anything is read.
	ResetBefore bool
	// ResetAfter runs the handler to its end and then resets the connection.
	ResetAfter bool
	// CutRequestAt, when positive, ends the request body with an error after that
	// many bytes, or at its end if that comes first, as a broken connection does; the
	// client gets no reply.
	CutRequestAt int64
	// DropReply runs the handler to its end and then closes the connection without
	// an answer.
	DropReply bool
	// CutReplyAt, when positive, breaks the connection after that many bytes of the
	// reply's body, or before the end of a shorter one is told.
	CutReplyAt int64
	// BytesPerSecond, when positive, is the pace of the bodies in both directions.
	BytesPerSecond int64
}

// Refusal is an error reply in the tunnel's form.
type Refusal struct {
	Status        int
	Code, Message string
	// Header is added to the reply with its names as they are; may be nil.
	Header map[string]string
}

// Wrap returns next behind decide, which must be safe for concurrent use. A nil
// decide is next itself.
func Wrap(next http.Handler, decide func(*http.Request) Action) http.Handler {
	if decide == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		decide(r).perform(w, r, next, refuse, sleep)
	})
}

// answer sends a refusal; the request's body is its to drain.
type answer func(http.ResponseWriter, *http.Request, *Refusal)

func (act Action) perform(w http.ResponseWriter, r *http.Request, next http.Handler, refuse answer, wait sleeper) {
	if act.ResetBefore {
		reset(w)
	}
	if act.Refuse != nil {
		if act.RefuseAfter {
			next.ServeHTTP(newVoid(), r)
		}
		refuse(w, r, act.Refuse)
		return
	}
	if act.CutRequestAt > 0 {
		r.Body = &cutBody{ReadCloser: r.Body, rest: act.CutRequestAt}
		next.ServeHTTP(newVoid(), r)
		panic(http.ErrAbortHandler)
	}
	if act.DropReply || act.ResetAfter {
		next.ServeHTTP(newVoid(), r)
		if act.ResetAfter {
			reset(w)
		}
		panic(http.ErrAbortHandler)
	}
	if act.BytesPerSecond > 0 {
		w, r.Body = slowly(w, r, act.BytesPerSecond, wait)
	}
	if act.CutReplyAt > 0 {
		c := &cutReply{ResponseWriter: w, rest: act.CutReplyAt}
		next.ServeHTTP(c, r)
		c.cut()
	}
	next.ServeHTTP(w, r)
}

// reset breaks the connection so that the client sees a reset, not an end.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil { // not a connection of our own: the next best
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // what is closed next goes out as a reset
	}
	_ = conn.Close()
	panic(http.ErrAbortHandler)
}

func refuse(w http.ResponseWriter, r *http.Request, f *Refusal) {
	_, _ = io.Copy(io.Discard, r.Body) // clients learn of errors only once their body is sent
	for k, v := range f.Header {
		w.Header()[k] = []string{v}
	}
	id := w.Header()["x-odps-request-id"] //nolint:staticcheck // headers stay as clients look them up: in lower case
	if len(id) == 0 {
		id = []string{"injected"}
		w.Header()["x-odps-request-id"] = id
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(f.Status)
	//nolint:errchkjson // the client is gone: nobody to tell
	_ = json.NewEncoder(w).Encode(map[string]string{"Code": f.Code, "Message": f.Message, "RequestId": id[0]})
}

type cutBody struct {
	io.ReadCloser
	rest int64
}

func (c *cutBody) Read(p []byte) (int, error) {
	if c.rest <= 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := c.ReadCloser.Read(p[:min(int64(len(p)), c.rest)])
	c.rest -= int64(n)
	if errors.Is(err, io.EOF) { // a shorter body: its end is what the cut took
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// void takes a reply that nobody will see.
type void struct{ header http.Header }

func newVoid() *void { return &void{http.Header{}} }

func (v *void) Header() http.Header       { return v.header }
func (*void) Write(p []byte) (int, error) { return len(p), nil }
func (*void) WriteHeader(int)             {}

type cutReply struct {
	http.ResponseWriter
	rest int64
}

// Unwrap lets http.ResponseController reach the connection.
func (c *cutReply) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func (c *cutReply) Write(p []byte) (int, error) {
	if int64(len(p)) < c.rest {
		n, err := c.ResponseWriter.Write(p)
		c.rest -= int64(n)
		return n, err
	}
	_, _ = c.ResponseWriter.Write(p[:c.rest])
	c.cut()
	return 0, http.ErrAbortHandler // not reached
}

// cut breaks the connection behind the bytes that were written.
func (c *cutReply) cut() {
	_ = http.NewResponseController(c.ResponseWriter).Flush() // so that the bytes before the cut are seen
	panic(http.ErrAbortHandler)
}
