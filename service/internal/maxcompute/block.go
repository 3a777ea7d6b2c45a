package maxcompute

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/batch"
	"github.com/sluice-io/sluice/service/internal/write"
)

const (
	// queuedBatches wait for the body; with the one being written, a block holds two.
	queuedBatches = 1
	// flushNow is how much gathered bytes leave at once when no batch follows. Less waits for flushDelay, so that small
	// batches share a write, yet a slow slice stays far from the tunnel's idle cut (120 s).
	flushNow        = 64 << 10
	flushDelay      = 20 * time.Millisecond
	flushDelayCoded = 2 * time.Second // flushing a compressor costs ratio
	// maxRefusalBytes is how much of a refusal's body is read.
	maxRefusalBytes = 64 << 10
)

var errAborted = errors.New("block was aborted")

// The life of a body: idle → writing, or idle → over when the request ended before the transport asked for it.
const (
	bodyIdle = iota
	bodyWriting
	bodyOver
)

// blockWriter is one chunked PUT. run owns the request; the transport's write loop runs the body's WriteTo.
//
//	Write ─▶ queue ─▶ WriteTo ─▶ framer ─▶ [compressor] ─▶ coalescer ─▶ net/http
//	Close ─▶ finish ─▶ trailer                     run ─▶ reply ─▶ done
type blockWriter struct {
	queue  chan *batch.Checked
	finish chan struct{} // closed by Close: the trailer may follow what is queued
	cancel context.CancelCauseFunc
	once   sync.Once // guards finish

	state    atomic.Int32  // one of body…
	complete atomic.Bool   // the trailer is on its way
	wrote    chan struct{} // closed when WriteTo has returned

	done    chan struct{} // closed when run has ended; then err and receipt are final
	err     error
	receipt string
}

// OpenBlock implements write.Backend. Nothing is sent before the request has a connection; ctx governs the whole PUT.
// Whether a PUT may be repeated is the caller's business: the same bytes under the same id and version may.
func (c *Client) OpenBlock(ctx context.Context, t write.BlockTarget) (write.BlockWriter, error) {
	k, err := c.blockCall(ctx, "put block", t)
	if err != nil {
		return nil, err
	}
	w := &blockWriter{
		queue: make(chan *batch.Checked, queuedBatches), finish: make(chan struct{}),
		wrote: make(chan struct{}), done: make(chan struct{}),
	}
	put, cancel := context.WithCancelCause(ctx)
	w.cancel = cancel
	body, err := c.newBlockBody(put, w, t.Form, k.header)
	if err != nil {
		cancel(err)
		return nil, notSent(k.object.annotate(apierr.Wrap(err, apierr.Internal, "%s: body could not be made", k.op)))
	}
	var tracker sentTracker
	req, err := c.newRequest(tracker.watch(put), k.method, k.base, k.path, k.query, k.header, body)
	if err != nil {
		cancel(err)
		return nil, notSent(k.object.annotate(apierr.Wrap(err, apierr.Internal, "%s: request could not be built", k.op)))
	}
	req.ContentLength = -1
	go c.runBlock(ctx, w, k, req, &tracker)
	return w, nil
}

// runBlock sends the request and reads its reply; Close and Abort wait for it.
func (c *Client) runBlock(ctx context.Context, w *blockWriter, k call, req *http.Request, tracker *sentTracker) {
	receipt, err := c.put(ctx, w, k, req)
	w.cancel(errAborted) // stops the body of a request that was answered early
	if !w.state.CompareAndSwap(bodyIdle, bodyOver) {
		<-w.wrote
	}
	if err != nil && !tracker.Sent() {
		err = notSent(err)
	}
	w.receipt, w.err = receipt, err
	w.drain() // early, for an owner that is in no hurry; what Write puts in behind it, the owner's next call releases
	close(w.done)
}

//nolint:contextcheck // the request has its own context, which Abort ends
func (c *Client) put(ctx context.Context, w *blockWriter, k call, req *http.Request) (receipt string, err error) {
	resp, err := c.data.Do(req)
	if err != nil {
		if cause := context.Cause(req.Context()); ctx.Err() == nil && errors.Is(cause, errAborted) {
			return "", fmt.Errorf("%s: %w", k.op, errAborted)
		}
		return "", transportError(ctx, k, true, err)
	}
	defer resp.Body.Close() //nolint:errcheck // what was wanted of it has been read
	stop := time.AfterFunc(c.cfg.Timeouts.Progress, func() { w.cancel(errStalled) })
	defer stop.Stop()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxRefusalBytes))
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		// A refusal that was cut short is still one.
		return "", statusError(k.op, k.object, k.scope, newUpstream(resp.StatusCode, resp.Header, body, c.now()))
	}
	if err != nil {
		return "", transportError(ctx, k, true, err)
	}
	if !w.complete.Load() {
		return "", k.object.annotate(apierr.New(apierr.BackendUnavailable, "%s: maxcompute answered %d before the block's end", k.op, resp.StatusCode))
	}
	return resp.Header.Get("x-odps-request-id"), nil
}

// Write implements write.BlockWriter. An early refusal is the error of the next Write and of Close.
func (w *blockWriter) Write(c *batch.Checked) error {
	select {
	case <-w.done:
		c.Release()
		return w.failure()
	default:
	}
	select {
	case <-w.done:
		c.Release()
		return w.failure()
	case w.queue <- c:
	}
	select {
	case <-w.done: // run may have emptied the queue before c got into it
		w.drain()
		return w.failure()
	default:
		return nil
	}
}

// failure is why the PUT is over although Write was called.
func (w *blockWriter) failure() error {
	if w.err == nil {
		return errors.New("put block: written to after its close")
	}
	return w.err
}

func (w *blockWriter) drain() {
	for {
		select {
		case c := <-w.queue:
			c.Release()
		default:
			return
		}
	}
}

// Close implements write.BlockWriter. The receipt is the request id of the PUT. If ctx ends first, the PUT is cut off
// and its fate unknown. Either way everything queued is released when it returns.
func (w *blockWriter) Close(ctx context.Context) (string, error) {
	w.once.Do(func() { close(w.finish) })
	select {
	case <-w.done:
		w.drain()
		return w.receipt, w.err
	case <-ctx.Done():
	}
	w.Abort()
	if errors.Is(w.err, errAborted) {
		return "", fmt.Errorf("%w: %w", ctx.Err(), w.err)
	}
	return w.receipt, w.err // what the request came to before the cut
}

// Abort implements write.BlockWriter: the connection is cut inside the body, so that no trailer can arrive any more
// than what is on the wire already. It returns when the request has ended and everything queued is released.
func (w *blockWriter) Abort() {
	w.cancel(errAborted)
	<-w.done
	w.drain()
}

// blockBody is the request body. The transport calls WriteTo and never Read.
type blockBody struct {
	w      *blockWriter
	ended  <-chan struct{} // the request is over, or aborted
	client *Client
	form   batch.Form
	coded  Compression
	gather coalescer
	frame  framer
	coder  io.WriteCloser // nil without compression
	dirty  bool           // bytes were given to coder or gather since the last flush
}

func (c *Client) newBlockBody(put context.Context, w *blockWriter, form batch.Form, header http.Header) (*blockBody, error) {
	b := &blockBody{w: w, ended: put.Done(), client: c, form: form, coded: c.cfg.Compression}
	var out io.Writer = &b.gather
	if coding := b.coded.coding(form == batch.FormArrow); coding != "" {
		header.Set("Content-Encoding", coding)
		coder, err := b.coded.compressor(&b.gather)
		if err != nil {
			return nil, err
		}
		b.coder, out = coder, coder
	}
	var err error
	b.frame, err = newFramer(form, out, c.cfg.ChunkBytes)
	return b, err
}

// Read exists because a body must be a Reader; net/http prefers WriteTo.
func (b *blockBody) Read([]byte) (int, error) {
	return 0, errors.New("block body is written, not read")
}

// Close is the transport's word that it wants no more bytes. The context says the same to WriteTo.
func (b *blockBody) Close() error { return nil }

// WriteTo sends batches until the block is finished. Any error makes the transport cut the connection.
func (b *blockBody) WriteTo(w io.Writer) (int64, error) {
	if !b.w.state.CompareAndSwap(bodyIdle, bodyWriting) {
		return 0, errAborted
	}
	defer close(b.w.wrote)
	buf := b.client.takeBuffer()
	defer b.client.putBuffer(buf)
	count := &countingWriter{w: w}
	b.gather = coalescer{w: count, buf: (*buf)[:0]}
	err := b.send()
	return count.n, err
}

func (b *blockBody) send() error {
	delay := flushDelay
	if b.coder != nil {
		delay = flushDelayCoded
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	timer.Stop()
	armed := false
	for {
		if b.dirty && !armed {
			timer.Reset(delay)
			armed = true
		}
		select {
		case c := <-b.w.queue:
			if err := b.add(c); err != nil {
				return err
			}
		case <-timer.C:
			armed = false
			if err := b.flush(); err != nil {
				return err
			}
		case <-b.ended:
			return errAborted
		case <-b.w.finish:
			return b.end()
		}
	}
}

// add frames one batch and releases it. When no other waits and much has gathered, it leaves at once.
func (b *blockBody) add(c *batch.Checked) error {
	defer c.Release()
	if c.Rows == 0 {
		return nil
	}
	if c.Form != b.form {
		return fmt.Errorf("%s rows in a block of %s rows", c.Form, b.form)
	}
	b.dirty = true
	if err := b.frame.add(c); err != nil {
		return err
	}
	if len(b.w.queue) == 0 && len(b.gather.buf) >= flushNow {
		if b.coder == nil {
			b.dirty = false
		}
		return b.gather.flush()
	}
	return nil
}

func (b *blockBody) flush() error {
	b.dirty = false
	if f, ok := b.coder.(interface{ Flush() error }); ok {
		if err := f.Flush(); err != nil {
			return err
		}
	}
	return b.gather.flush()
}

// end sends what is still queued, then the trailer. The caller of Close enqueues nothing any more.
func (b *blockBody) end() error {
	for len(b.w.queue) > 0 {
		if err := b.add(<-b.w.queue); err != nil {
			return err
		}
	}
	select {
	case <-b.ended: // Abort may have come with or after Close
		return errAborted
	default:
	}
	b.w.complete.Store(true)
	if err := b.frame.finish(); err != nil {
		return err
	}
	if b.coder != nil {
		if err := b.coder.Close(); err != nil {
			return err
		}
	}
	return b.gather.flush()
}

type countingWriter struct {
	w io.Writer
	n int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

func (c *Client) takeBuffer() *[]byte {
	if b, ok := c.buffers.Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, 0, c.cfg.Transport.WriteBytes)
	return &b
}

func (c *Client) putBuffer(b *[]byte) { c.buffers.Put(b) }
