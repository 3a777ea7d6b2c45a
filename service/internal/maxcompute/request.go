package maxcompute

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/table"
	"github.com/sluice-io/sluice/service/internal/write"
)

// maxReplyBytes bounds a reply that is read whole: the largest is the block list of an upload, 20,000 × ~150 bytes.
const maxReplyBytes = 64 << 20

// call is one control request: everything but block bodies and downloads.
type call struct {
	op      string // verb phrase for errors: "commit upload session"
	method  string
	base    *url.URL // the service or a tunnel
	path    string   // below the base's path, not escaped
	query   url.Values
	header  http.Header
	body    []byte
	timeout time.Duration // of one try; 0 = Timeouts.Control
	object  object
	scope   scope
}

// reply is what a call got, with a 2xx status.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// newRequest builds and signs a request. base is the endpoint the signature is relative to.
func (c *Client) newRequest(ctx context.Context, method string, base *url.URL, path string, query url.Values, header http.Header, body io.Reader) (*http.Request, error) {
	u := *base
	u.Path += path
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		return nil, err
	}
	for k, v := range header {
		req.Header[http.CanonicalHeaderKey(k)] = v
	}
	req.Header.Set("Date", c.now().UTC().Format(http.TimeFormat))
	req.Header.Set("User-Agent", c.cfg.UserAgent)
	req.Header.Set("x-odps-user-agent", c.cfg.UserAgent)
	if c.account != nil {
		if err := c.account.SignRequest(req, base.String()); err != nil {
			return nil, fmt.Errorf("sign request: %w", err)
		}
	}
	return req, nil
}

// once sends a call one time and reads its reply. Any status but 2xx is an error.
func (c *Client) once(ctx context.Context, k call) (*reply, error) {
	timeout := k.timeout
	if timeout == 0 {
		timeout = c.cfg.Timeouts.Control
	}
	var tracker sentTracker
	try, cancel := context.WithTimeout(tracker.watch(ctx), timeout)
	defer cancel()
	req, err := c.newRequest(try, k.method, k.base, k.path, k.query, k.header, bytes.NewReader(k.body))
	if err != nil {
		return nil, notSent(apierr.Wrap(err, apierr.Internal, "%s: request could not be built", k.op))
	}
	resp, err := c.control.Do(req)
	if err != nil {
		return nil, transportError(ctx, k, tracker.Sent(), err)
	}
	defer resp.Body.Close() //nolint:errcheck // the whole body was read; closing cannot lose anything
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxReplyBytes+1))
	if err != nil {
		return nil, transportError(ctx, k, true, err)
	}
	if len(body) > maxReplyBytes {
		return nil, k.object.annotate(apierr.New(apierr.BackendUnavailable, "%s: reply exceeds %d bytes", k.op, maxReplyBytes))
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return nil, statusError(k.op, k.object, k.scope, newUpstream(resp.StatusCode, resp.Header, body, c.now()))
	}
	return &reply{status: resp.StatusCode, header: resp.Header, body: body}, nil
}

// repeat sends a call until it succeeds, is refused for good, or the policy's tries are used up. Only for calls that
// may take effect any number of times.
func (c *Client) repeat(ctx context.Context, k call) (*reply, error) {
	return retrying(ctx, c, k.op, transient, func() (*reply, error) { return c.once(ctx, k) })
}

// retrying is the one retry loop: again decides which errors are worth another try.
func retrying[T any](ctx context.Context, c *Client, op string, again func(error) bool, f func() (T, error)) (T, error) {
	for n := 1; ; n++ {
		v, err := f()
		if err == nil || c.cfg.Retry.Last(n) || !again(err) || apierr.From(err).RetryAfter() > c.cfg.Retry.Max {
			return v, err
		}
		c.log.DebugContext(ctx, "repeat call", slog.String("op", op), slog.Int("try", n), slog.Any("err", err))
		if c.cfg.Retry.Wait(ctx, n, err) != nil {
			return v, err // the last reply says more than the cancelled wait
		}
	}
}

// transient reports whether the same call may work a moment later.
func transient(err error) bool {
	r := apierr.ReasonOf(err)
	return r == apierr.BackendUnavailable || r == apierr.Throttled
}

// withoutEffect reports whether a failed call surely changed nothing upstream and may work a moment later: it never
// left, or was turned away at the door.
func withoutEffect(err error) bool {
	return transient(err) && (errors.Is(err, write.ErrNotSent) || apierr.ReasonOf(err) == apierr.Throttled)
}

// metaPath is a table's path for metadata: no schema in it, whatever the project (maxcompute-protocol.md 1).
func metaPath(n table.Name) string { return "/projects/" + n.Project + "/tables/" + n.Table }

// tunnelPath is a table's path for data.
func tunnelPath(n table.Name) string {
	if n.Schema == "" {
		return metaPath(n)
	}
	return "/projects/" + n.Project + "/schemas/" + n.Schema + "/tables/" + n.Table
}

// withSchema adds curr_schema to a metadata query.
func withSchema(q url.Values, schema string) url.Values {
	if schema != "" {
		q.Set("curr_schema", schema)
	}
	return q
}
