package emulator_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/aliyun/aliyun-odps-go-sdk/odps/data"
	"github.com/aliyun/aliyun-odps-go-sdk/odps/tunnel"

	"github.com/sluice-io/sluice/emulator"
)

func faultsOf(t *testing.T, text string) *emulator.Faults {
	t.Helper()
	f, err := emulator.ParseFaults(text)
	must(t, err)
	return f
}

// get sends a request without a signature and returns the whole answer.
func get(t *testing.T, s *emulator.Server, target string) (*http.Response, string) {
	t.Helper()
	res, err := http.Get("http://" + s.Addr() + target)
	must(t, err)
	defer func() { must(t, res.Body.Close()) }()
	body, err := io.ReadAll(res.Body)
	must(t, err)
	return res, string(body)
}

// An injected error has the form of the half it stands for, and its kind in a header.
func TestFaults_have_the_form_of_the_half(t *testing.T) {
	s := start(t, emulator.Options{Faults: faultsOf(t, "1:503=1")})
	res, body := get(t, s, "/api/projects/p/tables/t")
	var x struct{ Code, Message, RequestId, HostId string } //nolint:revive // The wire's names.
	must(t, xml.Unmarshal([]byte(body), &x))
	if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("x-sluice-fault") != "503" || x.Code != "ServiceUnavailable" || x.RequestId != res.Header.Get("x-odps-request-id") || x.HostId == "" {
		t.Errorf("REST: %s %v %s", res.Status, res.Header, body)
	}
	res, body = get(t, s, "/projects/p/tables/t?downloadid=d&data")
	var j struct{ Code, Message, RequestId string } //nolint:revive // The wire's names.
	must(t, json.Unmarshal([]byte(body), &j))
	if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("x-sluice-fault") != "503" || j.Code != "ServiceUnavailable" || j.RequestId != res.Header.Get("x-odps-request-id") {
		t.Errorf("tunnel: %s %v %s", res.Status, res.Header, body)
	}
}

func TestFaults_leave_healthz_alone_and_count(t *testing.T) {
	s := start(t, emulator.Options{AccessID: "ak", AccessKey: "sk", Faults: faultsOf(t, "1:500=1")})
	for range 20 {
		if res, body := get(t, s, "/healthz"); res.StatusCode != http.StatusOK || body != "ok\n" {
			t.Fatalf("healthz = %s %s", res.Status, body)
		}
	}
	get(t, s, "/api/projects/p/tables/t")
	res, body := get(t, s, "/faults")
	var counts emulator.FaultCounts
	must(t, json.Unmarshal([]byte(body), &counts))
	if res.StatusCode != http.StatusOK || !counts.On || counts.Seed != 1 || counts.Spec != "500=1" || counts.Injected["table"]["500"] != 1 || counts.Requests["table"] != 1 || len(counts.Requests) != 1 {
		t.Errorf("/faults = %s %s", res.Status, body)
	}
	if got := s.FaultCounts(); got.Injected["table"]["500"] != 1 {
		t.Errorf("FaultCounts = %+v", got)
	}
	if res, body := get(t, start(t, emulator.Options{}), "/faults"); res.StatusCode != http.StatusOK || !strings.HasPrefix(body, `{"on":false,"seed":0,"spec":""`) {
		t.Errorf("/faults without faults = %s %s", res.Status, body)
	}
	if _, body := get(t, start(t, emulator.Options{Faults: faultsOf(t, "0:500=1")}), "/faults"); !strings.HasPrefix(body, `{"on":true,"seed":0,"spec":"500=1"`) {
		t.Errorf("/faults with seed 0 = %s", body)
	}
}

func TestFaults_are_refused_by_name(t *testing.T) {
	if _, err := emulator.ParseFaults("1:505=1"); err == nil || !strings.Contains(err.Error(), "429") {
		t.Errorf("ParseFaults = %v, want an error that lists the kinds", err)
	}
	if _, err := emulator.New(emulator.Options{Faults: &emulator.Faults{Spec: "505=1"}}); err == nil {
		t.Error("New with an unknown kind succeeded")
	}
}

// lines takes log records as JSON lines.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// find returns the first line for a path.
func (l *lines) find(t *testing.T, path string) map[string]any {
	t.Helper()
	return l.first(t, path, func(map[string]any) bool { return true })
}

// findQuery returns the first line for a path with a query.
func (l *lines) findQuery(t *testing.T, path, query string) map[string]any {
	t.Helper()
	return l.first(t, path, func(m map[string]any) bool { return m["query"] == query })
}

func (l *lines) first(t *testing.T, path string, fits func(map[string]any) bool) map[string]any {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.buf.String()) {
		var m map[string]any
		must(t, json.Unmarshal([]byte(line), &m))
		if m["path"] == path && fits(m) {
			return m
		}
	}
	t.Fatalf("no line for %s in %s", path, l.buf.String())
	return nil
}

func TestLog_has_one_line_per_request_with_its_fault(t *testing.T) {
	out := &lines{}
	s, err := emulator.New(emulator.Options{Faults: faultsOf(t, "1:reset-after@table=1,429@project=1"), Logger: slog.New(slog.NewJSONHandler(out, nil))})
	must(t, err)
	s.Start()
	defer func() { must(t, s.Close()) }()
	if res, err := http.Get("http://" + s.Addr() + "/api/projects/p/tables/t"); err == nil {
		must(t, res.Body.Close())
		t.Errorf("answered %s, want a reset", res.Status)
	}
	res, _ := get(t, s, "/api/projects/p")
	get(t, s, "/healthz")
	must(t, s.Close()) // all lines are out
	if m := out.find(t, "/api/projects/p/tables/t"); m["fault"] != "reset-after" || m["broken"] != true || m["odps_request_id"] == "" || m["status"] != 0.0 {
		t.Errorf("line of the reset: %v", m)
	}
	if m := out.find(t, "/api/projects/p"); m["fault"] != "429" || m["code"] != "FlowExceeded" || m["level"] != "INFO" || m["status"] != 429.0 || m["odps_request_id"] != res.Header.Get("x-odps-request-id") || m["broken"] != nil {
		t.Errorf("line of the 429: %v", m)
	}
	if m := out.find(t, "/healthz"); m["status"] != 200.0 || m["fault"] != nil {
		t.Errorf("line of healthz: %v", m)
	}
}

// An expired session is gone for good: the SDK sees it at the next block, and nothing of
// it is ever visible.
func TestFaults_expired_sessions_stay_expired(t *testing.T) {
	s := start(t, emulator.Options{Faults: faultsOf(t, "1:expire@upload.commit=1,expire@download.data=1")})
	c := client(s)
	create(t, c, "create table t (id bigint)")
	tun := tunnel.NewTunnel(c)
	up, err := tun.CreateUploadSession("p1", "t")
	must(t, err)
	w, err := up.OpenRecordWriter(0)
	must(t, err)
	must(t, w.Write(data.Record{data.BigInt(1)}))
	must(t, w.Close())
	target := "/projects/p1/tables/t?uploadid=" + up.Id
	for _, method := range []string{"POST", "POST", "GET"} {
		if status, _, body := raw(t, s, method, target, ""); !strings.Contains(status, "404") || !strings.Contains(body, "NoSuchUpload") {
			t.Errorf("%s of the expired session = %s %s", method, status, body)
		}
	}
	down, err := tun.CreateDownloadSession("p1", "t")
	must(t, err)
	if down.RecordCount() != 0 {
		t.Errorf("%d rows of an expired session are visible", down.RecordCount())
	}
	if _, err := down.OpenRecordReader(0, 1, nil); err == nil || !contains(err, "NoSuchDownload") {
		t.Errorf("read of the expired session = %v", err)
	}
}

// The SDK meets a moved slot and goes on with the one named.
func TestFaults_slot_moves(t *testing.T) {
	s := start(t, emulator.Options{Faults: faultsOf(t, "3:308=0.5")})
	c := client(s)
	create(t, c, "create table t (id bigint)")
	session, err := tunnel.NewTunnel(c).CreateStreamUploadSession("p1", "t", tunnel.SessionCfg.WithSlotNum(3))
	must(t, err)
	moved, sent := 0, 0
	for i := range 40 {
		w := session.OpenRecordPackWriter()
		must(t, w.Append(data.Record{data.BigInt(i)}))
		_, _, _, err := w.Flush()
		switch {
		case err == nil:
			sent++
		case contains(err, "308"): // the SDK does not follow by itself
			moved++
		default:
			t.Fatal(err)
		}
	}
	if moved == 0 || sent == 0 || int64(moved) != s.FaultCounts().Injected["stream.put"]["308"] {
		t.Errorf("%d moved, %d sent, counts %v", moved, sent, s.FaultCounts().Injected)
	}
	down, err := tunnel.NewTunnel(c).CreateDownloadSession("p1", "t")
	must(t, err)
	if down.RecordCount() != sent {
		t.Errorf("%d rows, %d packs were answered well", down.RecordCount(), sent)
	}
}
