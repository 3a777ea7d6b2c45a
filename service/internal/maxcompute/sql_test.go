package maxcompute

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-io/sluice/service/internal/apierr"
)

type jobXML struct {
	XMLName xml.Name `xml:"Instance"`
	Job     struct {
		Priority int
		Tasks    struct {
			SQL struct {
				Name, Query string
				Config      struct {
					Property []struct{ Name, Value string }
				}
			}
		}
	}
}

func (j *jobXML) read(t *testing.T, r *http.Request) {
	if err := xml.Unmarshal(readAll(t, r.Body), j); err != nil {
		t.Error(err)
	}
}

func taskDoc(status, format, result string) string {
	return `<Instance><Tasks><Task Type="SQL"><Name>AnonymousSQLTask</Name><Status>` + status + `</Status><Result Transform="Base64" Format="` + format + `"><![CDATA[` + result + `]]></Result></Task></Tasks></Instance>`
}

func TestSQL_asynchronous(t *testing.T) {
	var polls atomic.Int64
	var job jobXML
	c := connect(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPost:
			job.read(t, r)
			w.Header().Set("Location", "http://x/api/projects/p1/instances/I9")
			w.WriteHeader(http.StatusCreated)
		case r.URL.Path != "/api/projects/p1/instances/I9":
			t.Errorf("request %s", r.URL)
		case r.URL.Query().Has("result"):
			fmt.Fprint(w, taskDoc("Success", "csv", "ImEiCjEK"))
		case polls.Add(1) < 3:
			fmt.Fprint(w, `<Instance><Status>Running</Status></Instance>`)
		default:
			fmt.Fprint(w, `<Instance><Status>Terminated</Status></Instance>`)
		}
	}), func(c *Config) { c.Schema = "s1" })
	got, err := c.RunSQL(t.Context(), "", "", "select 1 as a < 2 & 'x';", map[string]string{"k": "v"}, true)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(&SQLResult{Format: "csv", Text: []byte("\"a\"\n1\n")}, got); d != "" {
		t.Errorf("result (-want +got):\n%s", d)
	}
	sql := job.Job.Tasks.SQL
	if sql.Query != "select 1 as a < 2 & 'x';" || sql.Name != "AnonymousSQLTask" || job.Job.Priority != 9 {
		t.Errorf("job = %+v", job)
	}
	props := map[string]string{}
	for _, p := range sql.Config.Property {
		props[p.Name] = p.Value
	}
	var settings map[string]string
	if err := json.Unmarshal([]byte(props["settings"]), &settings); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"odps.namespace.schema": "true", "odps.default.schema": "s1", "odps.sql.allow.namespace.schema": "true", "k": "v"}
	if d := cmp.Diff(want, settings); d != "" || props["type"] != "sql" || props["uuid"] == "" {
		t.Errorf("properties %v, settings (-want +got):\n%s", props, d)
	}
}

func TestSQL_failures(t *testing.T) {
	for name, k := range map[string]struct {
		status, result string
		want           apierr.Reason
	}{
		"failed":     {"Failed", "T0RQUy0wMTMwMTMxOlsxLDE1XSBUYWJsZSBub3QgZm91bmQgLSB0YWJsZSBwLnQ=", apierr.TableNotFound},
		"cancelled":  {"Cancelled", "", apierr.BackendUnavailable},
		"bad base64": {"Success", "%%%", apierr.BackendUnavailable},
	} {
		c := connect(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://x/projects/p1/instances/I1")
			fmt.Fprint(w, taskDoc(k.status, "text", k.result))
		}), nil)
		_, err := c.RunSQL(t.Context(), "p1", "", "drop table t;", nil, false)
		if apierr.ReasonOf(err) != k.want {
			t.Errorf("%s: %v, want %v", name, err, k.want)
		}
		if name == "failed" && apierr.From(err).Meta("odps_code") != "ODPS-0130131" {
			t.Errorf("odps_code = %q", apierr.From(err).Meta("odps_code"))
		}
	}
	// A task that is not done in the submit's reply is polled; an unknown word at the end is no success.
	c := connect(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "http://x/projects/p1/instances/I1")
		if r.Method == http.MethodPost || r.URL.Query().Has("result") {
			fmt.Fprint(w, taskDoc("Odd", "text", ""))
			return
		}
		fmt.Fprint(w, `<Instance><Status>Terminated</Status></Instance>`)
	}), nil)
	if _, err := c.RunSQL(t.Context(), "p1", "", "x", nil, false); !apierr.Is(err, apierr.BackendUnavailable) {
		t.Errorf("unknown word: %v, want BACKEND_UNAVAILABLE", err)
	}
	c = connect(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusCreated) }), nil)
	if _, err := c.RunSQL(t.Context(), "p1", "", "x", nil, false); !apierr.Is(err, apierr.OutcomeUnknown) {
		t.Errorf("no instance named: %v, want OUTCOME_UNKNOWN", err)
	}
}

func TestSQL_wait_ends_with_its_context_and_stop_stops(t *testing.T) {
	var stopped atomic.Bool
	c := connect(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodPost:
			w.Header().Set("Location", "/I1")
			w.WriteHeader(http.StatusCreated)
		case http.MethodPut:
			stopped.Store(string(readAll(t, r.Body)) == "<Instance><Status>Terminated</Status></Instance>")
		default:
			fmt.Fprint(w, `<Instance><Status>Running</Status></Instance>`)
		}
	}), nil)
	i, err := c.SubmitSQL(t.Context(), "p1", "", "select 1", nil, true)
	if err != nil || i.ID != "I1" {
		t.Fatalf("SubmitSQL = %+v, %v", i, err)
	}
	ctx, cancel := newCancelled(t)
	defer cancel()
	if _, err := i.Wait(ctx); apierr.ReasonOf(err) != apierr.Unspecified {
		t.Errorf("Wait = %v, want context.Canceled", err)
	}
	if err := i.Stop(t.Context()); err != nil || !stopped.Load() {
		t.Errorf("Stop = %v, stopped %v", err, stopped.Load())
	}
}
