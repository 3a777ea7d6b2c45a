package emulator

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// idleBody reads a request's body and gives the client a time limit for each piece of
// it: a connection that brings nothing is cut, one that is slow is not.
type idleBody struct {
	io.ReadCloser
	conn  *http.ResponseController
	limit time.Duration
}

func (b *idleBody) Read(p []byte) (int, error) {
	// Where a connection has no deadlines there is nobody to cut.
	_ = b.conn.SetReadDeadline(time.Now().Add(b.limit))
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) { // net/http goes on to watch the connection, without a limit
		_ = b.conn.SetReadDeadline(time.Time{})
	}
	return n, err
}

// idlePiece is how much of an answer a client must take within the limit.
const idlePiece = 64 << 10

// idleReply does the same for the answer: a client that stops reading it is cut.
type idleReply struct {
	http.ResponseWriter
	conn  *http.ResponseController
	limit time.Duration
}

// Unwrap lets http.ResponseController reach the connection.
func (w *idleReply) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *idleReply) Write(p []byte) (done int, err error) {
	for {
		piece := p[done:min(len(p), done+idlePiece)]
		_ = w.conn.SetWriteDeadline(time.Now().Add(w.limit))
		n, err := w.ResponseWriter.Write(piece)
		done += n
		if err != nil || done == len(p) {
			return done, err
		}
	}
}

// limitIdle puts both limits on a request.
func limitIdle(w http.ResponseWriter, r *http.Request, limit time.Duration) http.ResponseWriter {
	conn := http.NewResponseController(w)
	_ = conn.SetWriteDeadline(time.Time{}) // what the connection's request before this one left
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = &idleBody{ReadCloser: r.Body, conn: conn, limit: limit}
	}
	return &idleReply{ResponseWriter: w, conn: conn, limit: limit}
}
