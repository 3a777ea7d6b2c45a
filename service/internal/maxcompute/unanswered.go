package maxcompute

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"syscall"

	"github.com/sluice-io/sluice/service/internal/apierr"
)

// transportError is a request without a usable reply. The caller's own cancellation stays what it is; everything else is
// BACKEND_UNAVAILABLE, naming the endpoint and what went wrong: both are in the operator's hands.
func transportError(ctx context.Context, k call, sent bool, err error) error {
	var out error
	if ctx.Err() != nil {
		out = fmt.Errorf("%s: %w", k.op, ctx.Err())
	} else {
		out = k.object.annotate(apierr.Wrap(err, apierr.BackendUnavailable, "%s: no answer from maxcompute at %s: %s", k.op, dialled(k.base), failureKind(err)))
	}
	if !sent {
		out = notSent(out)
	}
	return out
}

// dialled is where an endpoint is dialled. Nothing else of its URL is shown.
func dialled(u *url.URL) string {
	port := u.Port()
	switch {
	case port != "":
	case u.Scheme == "https":
		port = "443"
	default:
		port = "80"
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// failureKind says in a few words why a request got no answer; the error itself is for logs.
func failureKind(err error) string {
	if isTLS(err) {
		return "TLS handshake failed"
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
		return "host name not found"
	} else if ok {
		return "name lookup failed"
	}
	for _, k := range []struct {
		is   error
		text string
	}{
		{syscall.ECONNREFUSED, "connection refused"}, {syscall.ECONNRESET, "connection reset"}, {syscall.EPIPE, "connection reset"},
		{syscall.EHOSTUNREACH, "host unreachable"}, {syscall.ENETUNREACH, "network unreachable"},
		{errStalled, "timeout"}, {context.DeadlineExceeded, "timeout"}, {os.ErrDeadlineExceeded, "timeout"},
		{io.EOF, "connection closed"}, {io.ErrUnexpectedEOF, "connection closed"},
	} {
		if errors.Is(err, k.is) {
			return k.text
		}
	}
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		return "timeout"
	}
	return "connection failed"
}

func isTLS(err error) bool {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return true
	}
	_, ok := errors.AsType[tls.AlertError](err)
	return ok || errors.Is(err, http.ErrSchemeMismatch)
}
