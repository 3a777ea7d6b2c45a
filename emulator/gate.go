package emulator

import (
	"net"
	"net/http"
	"sync"
)

// gate counts the requests inside, and once closed lets no other in.
type gate struct {
	mu     sync.Mutex
	inside int           // guarded by mu
	closed bool          // guarded by mu
	empty  chan struct{} // closed when the gate is closed and the last request has left
}

func newGate() *gate { return &gate{empty: make(chan struct{})} }

// enter reports whether a request may go on; then leave must follow.
func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.inside++
	return true
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside--
	if g.closed && g.inside == 0 {
		close(g.empty)
	}
}

// close lets nobody in any more and returns the channel that tells when all have left.
func (g *gate) close() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		g.closed = true
		if g.inside == 0 {
			close(g.empty)
		}
	}
	return g.empty
}

// answering knows the connections between the first byte of a request and the last of
// its answer: net/http sends the end of an answer when the handler has returned.
type answering struct {
	mu     sync.Mutex
	conns  map[net.Conn]struct{} // guarded by mu
	quiet  chan struct{}         // closed when the last one is done, once somebody waits; guarded by mu
	closed bool                  // quiet is; guarded by mu
}

func newAnswering() *answering { return &answering{conns: map[net.Conn]struct{}{}} }

// changed is the hook for http.Server.ConnState.
func (a *answering) changed(conn net.Conn, state http.ConnState) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if state == http.StateActive {
		a.conns[conn] = struct{}{}
		return
	}
	delete(a.conns, conn)
	a.tell()
}

// done returns a channel that is closed when no answer is under way.
func (a *answering) done() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.quiet == nil {
		a.quiet = make(chan struct{})
	}
	a.tell()
	return a.quiet
}

// tell closes quiet if it is time; the lock is held.
func (a *answering) tell() {
	if a.quiet != nil && !a.closed && len(a.conns) == 0 {
		a.closed = true
		close(a.quiet)
	}
}
