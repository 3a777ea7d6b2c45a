package emulator

import "sync"

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
