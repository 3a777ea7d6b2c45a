package maxcompute

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/batch"
	"github.com/sluice-io/sluice/service/internal/read"
	"github.com/sluice-io/sluice/service/internal/retry"
	"github.com/sluice-io/sluice/service/internal/table"
)

var _ read.Backend = (*Client)(nil)

var errStalled = errors.New("no progress within the progress timeout")

const (
	initiatingFirst = 50 * time.Millisecond
	initiatingMax   = 5 * time.Second
)

type downloadJSON struct {
	DownloadID  string
	Initiated   string
	Status      string
	RecordCount int64
	Schema      sessionSchema
}

// CreateDownload implements read.Backend. It asks upstream to prepare the snapshot on its own time and polls; it may be
// repeated, and is: a session nobody reads expires.
func (c *Client) CreateDownload(ctx context.Context, ref table.Ref) (*read.Download, error) {
	q := url.Values{"downloads": {""}, "asyncmode": {"true"}}
	k, err := c.tunnelCall(ctx, "create download session", http.MethodPost, ref, q, scopeNewSession)
	if err != nil {
		return nil, err
	}
	return c.downloadSession(ctx, k, ref)
}

// Download implements read.Backend. Reads only.
func (c *Client) Download(ctx context.Context, ref table.Ref, id string) (*read.Download, error) {
	k, err := c.tunnelCall(ctx, "load download session", http.MethodGet, ref, url.Values{"downloadid": {id}}, scopeSession)
	if err != nil {
		return nil, err
	}
	k.object.Session = id
	return c.downloadSession(ctx, k, ref)
}

// downloadSession makes the call, then polls until the session is ready.
func (c *Client) downloadSession(ctx context.Context, k call, ref table.Ref) (*read.Download, error) {
	for wait := initiatingFirst; ; wait = min(wait*2, initiatingMax) {
		d, ready, err := c.loadDownload(ctx, k)
		if err != nil || ready {
			return d, err
		}
		if err := retry.Sleep(ctx, wait); err != nil {
			return nil, fmt.Errorf("%s: %w", k.op, err)
		}
		next, err := c.tunnelCall(ctx, k.op, http.MethodGet, ref, url.Values{"downloadid": {d.ID}}, scopeSession)
		if err != nil {
			return nil, err
		}
		k = next
		k.object.Session = d.ID
	}
}

func (c *Client) loadDownload(ctx context.Context, k call) (d *read.Download, ready bool, err error) {
	r, err := c.repeat(ctx, k)
	if err != nil {
		return nil, false, err
	}
	var doc downloadJSON
	if err := json.Unmarshal(r.body, &doc); err != nil || doc.DownloadID == "" {
		return nil, false, k.object.annotate(apierr.Wrap(err, apierr.BackendUnavailable, "%s: reply is not readable", k.op))
	}
	k.object.Session = doc.DownloadID
	switch status := strings.ToLower(doc.Status); status {
	case "initiating":
		return &read.Download{ID: doc.DownloadID}, false, nil
	case "normal":
	case "expired", "closed", "closes":
		return nil, false, k.object.annotate(apierr.New(apierr.SessionExpired, "%s: the download session is %s", k.op, status))
	default: // failed, or a word we do not know
		return nil, false, k.object.annotate(apierr.New(apierr.BackendUnavailable, "%s: the download session is %q", k.op, clip(doc.Status)))
	}
	schema, err := schemaOf(doc.Schema.Columns, doc.Schema.PartitionKeys)
	if err != nil {
		return nil, false, err
	}
	return &read.Download{ID: doc.DownloadID, Rows: doc.RecordCount, Schema: schema, Created: httpTime(doc.Initiated)}, true, nil
}

// ReadArrow implements read.Backend. It is not repeated here: the engine knows how far it came.
func (c *Client) ReadArrow(ctx context.Context, target read.ReadTarget) (read.MessageReader, error) {
	if target.Range.Rows() == 0 {
		return emptyMessages{}, nil
	}
	body, err := c.openRows(ctx, target, true)
	if arrowRefused(err) {
		return nil, fmt.Errorf("%w (%w)", err, read.ErrArrowRefused)
	}
	if err != nil {
		return nil, err
	}
	return &messageReader{body: body, want: target.Range.Rows(), cut: messageCutter{u: unframer{r: body}, max: c.cfg.MaxMessageBytes}}, nil
}

// ReadRecords implements read.Backend.
func (c *Client) ReadRecords(ctx context.Context, target read.ReadTarget) (io.ReadCloser, error) {
	if target.Range.Rows() == 0 {
		return io.NopCloser(bytes.NewReader(recordTrailer(0, 0))), nil
	}
	body, err := c.openRows(ctx, target, false)
	if err != nil {
		return nil, err
	}
	return body, nil
}

// arrowRefused reports that upstream holds these rows but not in this form.
func arrowRefused(err error) bool {
	var u upstream
	if !errors.As(err, &u) {
		return false
	}
	r := apierr.ReasonOf(err)
	return (r == apierr.BadArgument || r == apierr.Unsupported || r == apierr.TypeUnsupported) && strings.Contains(strings.ToLower(u.message), "arrow")
}

// openRows sends the request for rows and gives their bytes, decompressed.
func (c *Client) openRows(ctx context.Context, t read.ReadTarget, arrow bool) (*rowBody, error) {
	q := url.Values{
		"downloadid": {t.DownloadID}, "data": {""}, "rowrange": {fmt.Sprintf("(%d,%d)", t.Range.Start, t.Range.Rows())},
		"columns": {strings.Join(t.Columns, ",")},
	}
	if arrow {
		q.Set("arrow", "")
	}
	k, err := c.tunnelCall(ctx, "read rows", http.MethodGet, t.Ref, q, scopeSession)
	if err != nil {
		return nil, err
	}
	k.object.Session, k.object.Data = t.DownloadID, true
	if coding := c.cfg.Compression.coding(arrow); coding != "" {
		k.header.Set("Accept-Encoding", coding)
	}
	get, cancel := context.WithCancelCause(ctx)
	resp, err := c.getRows(ctx, get, k) //nolint:bodyclose // the rowBody closes it
	if err != nil {
		cancel(err)
		return nil, onStream(err)
	}
	b := &rowBody{k: k, caller: ctx.Err, cancel: cancel, body: resp.Body}
	b.progress = progressReader{r: resp.Body, limit: c.cfg.Timeouts.Progress, timer: time.AfterFunc(c.cfg.Timeouts.Progress, func() { cancel(errStalled) })}
	plain, err := decompressor(resp.Header.Get("Content-Encoding"), &b.progress)
	if err != nil {
		return nil, errors.Join(b.failure(err), b.Close())
	}
	b.plain = plain
	return b, nil
}

func (c *Client) getRows(ctx, get context.Context, k call) (*http.Response, error) {
	var tracker sentTracker
	req, err := c.newRequest(tracker.watch(get), k.method, k.base, k.path, k.query, k.header, nil)
	if err != nil {
		return nil, k.object.annotate(apierr.Wrap(err, apierr.Internal, "%s: request could not be built", k.op))
	}
	resp, err := c.data.Do(req)
	if err != nil {
		return nil, transportError(ctx, k, tracker.Sent(), err)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, maxRefusalBytes)) // a refusal that was cut short is still one
		_ = resp.Body.Close()
		return nil, statusError(k.op, k.object, k.scope, newUpstream(resp.StatusCode, resp.Header, text, c.now()))
	}
	return resp, nil
}

// rowBody is the body of a download, watched for progress and decompressed. io.EOF means that the HTTP body ended as it
// should; everything else is an error of ours. Used by one goroutine.
type rowBody struct {
	k        call
	caller   func() error // why the caller's context ended, nil if it did not
	cancel   context.CancelCauseFunc
	body     io.Closer
	progress progressReader
	plain    io.ReadCloser
	closed   bool
}

func (b *rowBody) Read(p []byte) (int, error) {
	n, err := b.plain.Read(p)
	if err == nil || err == io.EOF {
		return n, err
	}
	return n, b.failure(err)
}

// failure turns a broken body into the error of a stream that may be resumed.
func (b *rowBody) failure(err error) error {
	if ours, ok := errors.AsType[*apierr.Error](err); ok {
		return onStream(b.k.object.annotate(ours))
	}
	if cause := b.caller(); cause != nil {
		return fmt.Errorf("%s: %w", b.k.op, cause)
	}
	if errors.Is(err, errNoArrow) {
		return b.k.object.annotate(apierr.Wrap(err, apierr.Internal, "%s: maxcompute sent no arrow record batches", b.k.op))
	}
	return b.k.object.annotate(apierr.Wrap(err, apierr.BackendUnavailable, "%s: the rows broke off", b.k.op)).OnStream()
}

// Close ends the read, early or late. It may be called again.
func (b *rowBody) Close() error {
	if b.closed {
		return nil
	}
	b.closed = true
	b.progress.timer.Stop()
	b.cancel(nil)
	var err error
	if b.plain != nil {
		err = b.plain.Close()
	}
	return errors.Join(err, b.body.Close())
}

// progressReader cancels the request when one read gets no byte for too long.
type progressReader struct {
	r     io.Reader
	limit time.Duration
	timer *time.Timer
}

func (p *progressReader) Read(b []byte) (int, error) {
	p.timer.Reset(p.limit)
	n, err := p.r.Read(b)
	p.timer.Stop()
	return n, err
}

// messageReader implements read.MessageReader.
type messageReader struct {
	body *rowBody
	cut  messageCutter
	want int64
	err  error // final, also io.EOF
}

func (m *messageReader) Next() (batch.Payload, int, error) {
	if m.err != nil {
		return batch.Payload{}, 0, m.err
	}
	msg, rows, err := m.cut.next()
	switch {
	case err == io.EOF && m.cut.rows != m.want: //nolint:errorlint // a clean end is io.EOF itself; an error that wraps it is a cut
		m.err = m.body.failure(fmt.Errorf("%d rows came, %d were asked for", m.cut.rows, m.want))
	case err == io.EOF: //nolint:errorlint // a clean end is io.EOF itself; an error that wraps it is a cut
		m.err = io.EOF
	case err != nil:
		m.err = m.body.failure(err)
	}
	return msg, rows, m.err
}

func (m *messageReader) Close() error {
	if m.err == nil {
		m.err = errors.New("read rows: the reader is closed")
	}
	m.cut.close()
	return m.body.Close()
}

// emptyMessages reads no rows.
type emptyMessages struct{}

func (emptyMessages) Next() (batch.Payload, int, error) { return batch.Payload{}, 0, io.EOF }
func (emptyMessages) Close() error                      { return nil }
