package maxcompute

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/retry"
)

// An operator must see which endpoint is away, and how.
func TestUnanswered_names_the_endpoint_and_the_kind_of_failure(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	mute := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	cutting := serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(secure.Close)
	for _, k := range []struct{ endpoint, want string }{
		{"http://" + closed.Addr().String(), "connection refused"},
		{mute.URL, "timeout"},
		{cutting.URL, "connection closed"},
		{secure.URL, "TLS handshake failed"},
		{"https://" + mute.Listener.Addr().String(), "TLS handshake failed"},
	} {
		c, err := New(Config{
			Endpoint: k.endpoint + "/api", Project: "p1", Credentials: Credentials{AccessID: "the-id", AccessKey: "the-key"},
			Retry: retry.Policy{First: time.Millisecond, Max: time.Millisecond}, Timeouts: Timeouts{Control: 100 * time.Millisecond},
			Transport: TransportConfig{TLS: &tls.Config{}},
		})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Table(t.Context(), testTable.Name)
		e := apierr.From(err)
		host := strings.SplitAfter(k.endpoint, "//")[1]
		if !strings.HasSuffix(e.Message(), "no answer from maxcompute at "+host+": "+k.want) || strings.Contains(err.Error(), "the-key") {
			t.Errorf("%s: %v, want it to end in %s: %s", k.endpoint, err, host, k.want)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestUnanswered_shows_the_default_port(t *testing.T) {
	for endpoint, want := range map[string]string{
		"http://service.cn.maxcompute.aliyun.com/api": "service.cn.maxcompute.aliyun.com:80", "https://h/api": "h:443", "http://[::1]:8/api": "[::1]:8",
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, endpoint, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := dialled(req.URL); got != want {
			t.Errorf("%s: %s, want %s", endpoint, got, want)
		}
	}
}
