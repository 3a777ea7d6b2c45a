package maxcompute

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/table"
	"github.com/sluice-io/sluice/service/internal/write"
)

const goldenAgent = "odps-go-sdk/0.4.x Go/1.26.8 (linux; amd64)"

var goldenDate = time.Date(2026, 11, 20, 17, 52, 49, 0, time.UTC)

func signer(t *testing.T, cred Credentials) *Client {
	t.Helper()
	c, err := New(Config{Endpoint: "http://host/api", Credentials: cred, UserAgent: goldenAgent})
	if err != nil {
		t.Fatal(err)
	}
	c.now = func() time.Time { return goldenDate }
	return c
}

func TestSignature_V2_golden(t *testing.T) {
	c := signer(t, Credentials{AccessID: "ak", AccessKey: "sk"})
	tunnel, _ := url.Parse("http://tunnel")
	for name, k := range map[string]struct {
		method, path string
		base         *url.URL
		query        url.Values
		header       http.Header
		want         string
	}{
		"tunnel lookup": {http.MethodGet, "/projects/p1/tunnel", c.rest, url.Values{"service": {""}, "curr_project": {"p1"}}, nil, "ODPS ak:txzAzf0pj3SwqlCpCipUiz9ijiE="},
		"block": {
			http.MethodPut, "/projects/p1/tables/t1", tunnel, url.Values{"uploadid": {"U1"}, "blockid": {"0"}, "partition": {"pt=a"}},
			http.Header{"Content-Type": {"application/octet-stream"}, "X-Odps-Tunnel-Version": {"5"}}, "ODPS ak:HwX+4d5hGFTW/+SXswOycaV7Gyg=",
		},
	} {
		req, err := c.newRequest(t.Context(), k.method, k.base, k.path, k.query, k.header, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := req.Header.Get("Authorization"); got != k.want {
			t.Errorf("%s: Authorization = %q, want %q", name, got, k.want)
		}
	}
}

func TestSignature_V4_and_token(t *testing.T) {
	c := signer(t, Credentials{AccessID: "ak", AccessKey: "sk", Region: "cn-x", STSToken: "tok"})
	req, err := c.newRequest(t.Context(), http.MethodGet, c.rest, "/projects/p1/tunnel", url.Values{"service": {""}}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := req.Header.Get("authorization-sts-token"); got != "tok" {
		t.Errorf("sts token = %q, want tok", got)
	}
	// By maxcompute-protocol.md 2.3; the credential's date is the SDK's own clock, so it is taken from the reply.
	credential, sig, ok := strings.Cut(strings.TrimPrefix(req.Header.Get("Authorization"), "ODPS "), ":")
	parts := strings.Split(credential, "/")
	if !ok || len(parts) != 5 || parts[0] != "ak" || parts[2] != "cn-x" || parts[3] != "odps" || parts[4] != "aliyun_v4_request" {
		t.Fatalf("Authorization = %q", req.Header.Get("Authorization"))
	}
	key := []byte("aliyun_v4sk")
	for _, part := range parts[1:] {
		m := hmac.New(sha256.New, key)
		m.Write([]byte(part))
		key = m.Sum(nil)
	}
	m := hmac.New(sha1.New, key)
	fmt.Fprintf(m, "GET\n\n\nFri, 20 Nov 2026 17:52:49 GMT\nx-odps-user-agent:%s\n/projects/p1/tunnel?service", goldenAgent)
	if want := base64.StdEncoding.EncodeToString(m.Sum(nil)); sig != want {
		t.Errorf("signature = %q, want %q", sig, want)
	}
}

func TestNoCredentials_sends_no_signature(t *testing.T) {
	c := signer(t, Credentials{})
	req, err := c.newRequest(t.Context(), http.MethodGet, c.rest, "/x", nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := req.Header.Get("Authorization"); got != "" {
		t.Errorf("Authorization = %q, want none", got)
	}
}

func TestConfig_shows_no_secret_and_all_faults(t *testing.T) {
	cfg := Config{Endpoint: "ftp://x", TunnelEndpoint: "nowhere", Compression: "gzip", ChunkBytes: -1, Credentials: Credentials{AccessID: "geheim", STSToken: "geheim"}}
	for _, text := range []string{fmt.Sprint(cfg), fmt.Sprintf("%+v", cfg), fmt.Sprintf("%#v", cfg)} {
		if strings.Contains(text, "geheim") {
			t.Errorf("secret shown in %s", text)
		}
	}
	err := cfg.Validate()
	for _, want := range []string{"endpoint: ", "tunnel_endpoint: ", "compression: ", "chunk_bytes: ", "credentials: "} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Validate() = %v, want it to name %q", err, want)
		}
	}
	if _, err := New(cfg); err == nil {
		t.Error("New took a bad configuration")
	}
}

func TestTunnelEndpoint_is_asked_once_per_project(t *testing.T) {
	var asked atomic.Int64
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/projects/p1/tunnel" || !r.URL.Query().Has("service") {
			t.Errorf("unexpected request %s", r.URL)
		}
		asked.Add(1)
		fmt.Fprint(w, r.Host)
	})
	c := connect(t, s, func(c *Config) { c.TunnelEndpoint = "" })
	for range 3 {
		got, err := c.TunnelEndpoint(t.Context(), "p1")
		if err != nil || got != s.URL {
			t.Fatalf("TunnelEndpoint = %q, %v, want %q", got, err, s.URL)
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times, want once", n)
	}
}

func TestTunnelEndpoint_garbage_is_an_error(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>login</html>") })
	c := connect(t, s, func(c *Config) { c.TunnelEndpoint = "" })
	if _, err := c.TunnelEndpoint(t.Context(), "p1"); !apierr.Is(err, apierr.BackendUnavailable) {
		t.Errorf("error = %v, want BACKEND_UNAVAILABLE", err)
	}
}

func TestRepeat_until_it_works_then_gives_up(t *testing.T) {
	for name, k := range map[string]struct {
		fail  int
		calls int64
		want  apierr.Reason
	}{
		"third try works": {2, 3, apierr.Unspecified},
		"never works":     {99, 4, apierr.BackendUnavailable},
	} {
		var calls atomic.Int64
		s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			if calls.Add(1) <= int64(k.fail) {
				refuse(w, 503, "ServiceUnavailable", "later")
				return
			}
			fmt.Fprint(w, sessionJSON("normal", ""))
		})
		c := connect(t, s, nil)
		_, err := c.Upload(t.Context(), testTable, "U1")
		if got := apierr.ReasonOf(err); got != k.want || calls.Load() != k.calls {
			t.Errorf("%s: %v after %d calls, want %v after %d", name, err, calls.Load(), k.want, k.calls)
		}
	}
}

func TestRepeat_not_after_a_refusal(t *testing.T) {
	var calls atomic.Int64
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		refuse(w, 403, "NoPermission", "no")
	})
	_, err := connect(t, s, nil).Upload(t.Context(), testTable, "U1")
	if !apierr.Is(err, apierr.Permission) || calls.Load() != 1 {
		t.Errorf("%v after %d calls, want PERMISSION after one", err, calls.Load())
	}
}

func TestErrNotSent_only_when_no_byte_left(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "http://" + l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	c, err := New(Config{Endpoint: closed, TunnelEndpoint: closed, Project: "p1"})
	if err != nil {
		t.Fatal(err)
	}
	err = c.CommitUpload(t.Context(), testTable, "U1")
	if !errors.Is(err, write.ErrNotSent) || !apierr.Is(err, apierr.BackendUnavailable) {
		t.Errorf("nobody listens: %v, want ErrNotSent and BACKEND_UNAVAILABLE", err)
	}

	s := serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	err = connect(t, s, nil).CommitUpload(t.Context(), testTable, "U1")
	if errors.Is(err, write.ErrNotSent) || !apierr.Is(err, apierr.BackendUnavailable) {
		t.Errorf("cut after the request: %v, want BACKEND_UNAVAILABLE and not ErrNotSent", err)
	}
	err = connect(t, s, nil).CommitUpload(t.Context(), table.Ref{Name: table.Name{Table: "a/b"}}, "U1")
	if !errors.Is(err, write.ErrNotSent) || !apierr.Is(err, apierr.BadPath) {
		t.Errorf("bad name: %v, want ErrNotSent and BAD_PATH", err)
	}
}

func TestCall_timeout_is_the_backends_and_cancel_the_callers(t *testing.T) {
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	c := connect(t, s, func(c *Config) { c.Timeouts.Commit = 10 * time.Millisecond })
	if err := c.CommitUpload(t.Context(), testTable, "U1"); !apierr.Is(err, apierr.BackendUnavailable) {
		t.Errorf("slow server: %v, want BACKEND_UNAVAILABLE", err)
	}
	c = connect(t, s, nil)
	ctx, cancel := newCancelled(t)
	defer cancel()
	if err := c.CommitUpload(ctx, testTable, "U1"); apierr.ReasonOf(err) != apierr.Unspecified || !errors.Is(err, write.ErrNotSent) {
		t.Errorf("cancelled: %v, want context.Canceled and ErrNotSent", err)
	}
}
