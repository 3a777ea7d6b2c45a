package rest

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-io/sluice/emulator/internal/instance"
	"github.com/sluice-io/sluice/emulator/internal/sql"
	"github.com/sluice-io/sluice/emulator/internal/store"
	"github.com/sluice-io/sluice/emulator/internal/types"
)

// newService returns a handler over a store with a few objects in it. It takes no
// instances: a submission that would be taken is answered 503.
func newService(t testing.TB) (*Service, *store.Store) {
	t.Helper()
	s, err := store.Open(store.Options{Dir: t.TempDir(), Discard: true})
	if err != nil {
		t.Fatal(err)
	}
	m := instance.New(instance.Options{Store: s, Engine: sql.New(), Dir: t.TempDir(), Now: time.Now})
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	column := []store.Column{{Name: "a", Type: types.Type{Kind: types.BigInt}, Nullable: true}}
	partition := []store.Column{{Name: "pt", Type: types.Type{Kind: types.String}}}
	if _, _, err := s.CreateTable(store.Table{Key: store.NewKey("p", "", "t"), Columns: column, PartitionColumns: partition}, false); err != nil {
		t.Fatal(err)
	}
	spec := types.PartitionSpec{{Column: "pt", Value: "x"}}
	if err := s.AddPartitions(store.NewKey("p", "", "t"), []types.PartitionSpec{spec}, false); err != nil {
		t.Fatal(err)
	}
	if _, err := s.CreateFunction(store.Function{Project: "p", Name: "f", ClassType: "a.B"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.CreateSchema("p", "s", "", false); err != nil {
		t.Fatal(err)
	}
	issue := func(context.Context, time.Time) (string, error) { return "token", nil }
	return New(Options{Store: s, Instances: m, Now: time.Now, IssueToken: issue}), s
}

// state is all that requests can change.
func state(t testing.TB, s *store.Store) any {
	t.Helper()
	project, err := s.Project("p")
	if err != nil {
		t.Fatal(err)
	}
	projects, err := s.Projects()
	if err != nil {
		t.Fatal(err)
	}
	schemas, _, err := s.Schemas("p", store.NameQuery{})
	if err != nil {
		t.Fatal(err)
	}
	functions, _, err := s.Functions("p", "", store.NameQuery{})
	if err != nil {
		t.Fatal(err)
	}
	tables, _, err := s.Tables("p", "", store.TableQuery{})
	if err != nil {
		t.Fatal(err)
	}
	return []any{project, projects, schemas, functions, tables}
}

// ask sends a request past the network and checks what holds of every answer: no 5xx, the
// error's four elements, no effect of what was refused.
func ask(t testing.TB, service *Service, s *store.Store, method, path, query string, body []byte) *httptest.ResponseRecorder {
	t.Helper()
	before := state(t, s)
	r := &http.Request{
		Method: method, URL: &url.URL{Path: path, RawQuery: query}, Header: http.Header{}, Host: "h",
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}
	w := httptest.NewRecorder()
	w.Header()["x-odps-request-id"] = []string{"0"}
	service.ServeHTTP(w, r.WithContext(t.Context()))
	if w.Code < 400 {
		return w
	}
	var e struct {
		XMLName                          xml.Name `xml:"Error"`
		Code, Message, RequestID, HostID *string
	}
	taken := w.Code == http.StatusServiceUnavailable && strings.Contains(w.Body.String(), "the endpoint is closing")
	if err := xml.Unmarshal(w.Body.Bytes(), &e); err != nil || w.Code >= 500 && !taken || e.Code == nil || *e.Code == "" || e.Message == nil {
		t.Errorf("%s %s?%s %q = %d %s", method, path, query, body, w.Code, w.Body)
	}
	if diff := cmp.Diff(before, state(t, s)); diff != "" {
		t.Errorf("%s %s?%s %q was refused (%d) but had an effect:\n%s", method, path, query, body, w.Code, diff)
	}
	return w
}

// fuzzBody is a target for the bodies of one request.
func fuzzBody(f *testing.F, method, path, query string, seeds ...string) {
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	service, s := newService(f)
	f.Fuzz(func(t *testing.T, body []byte) { ask(t, service, s, method, path, query, body) })
}

func FuzzSubmission(f *testing.F) {
	fuzzBody(f, "POST", "/projects/p/instances", "",
		`<Instance><Job><Name>n</Name><Priority>9</Priority><Guid>g</Guid><Tasks><SQL><Name>T</Name><Config><Property><Name>settings</Name><Value>{"a":"b","c":1}</Value></Property><Property><Name>uuid</Name><Value>u</Value></Property></Config><Query><![CDATA[select 1;]]></Query></SQL></Tasks></Job></Instance>`,
		`<Instance><Job><Priority>x</Priority><Tasks><SQLCost><Name>T</Name></SQLCost></Tasks></Job></Instance>`, `<?xml version="1.0" encoding="GBK"?><Instance/>`)
}

func FuzzProjectUpdate(f *testing.F) {
	fuzzBody(f, "PUT", "/projects/p", "",
		`<Project><Name>p</Name><Comment>c</Comment><Properties><Property><Name>a</Name><Value>b</Value></Property><Property><Name>c</Name><Value/></Property></Properties></Project>`,
		`<Project><Name>q</Name></Project>`, `<Project><Properties><Property><Name>odps.schema.model.enabled</Name><Value>true</Value></Property></Properties></Project>`)
}

func FuzzSchemaCreation(f *testing.F) {
	fuzzBody(f, "POST", "/projects/p/schemas", "",
		`<Schema><Project>p</Project><Name>x</Name><Comment>c</Comment><IfNotExists>true</IfNotExists></Schema>`, `<Schema><Name>default</Name></Schema>`, `<Schema><Name>a/b</Name></Schema>`)
}

func FuzzFunction(f *testing.F) {
	fuzzBody(f, "PUT", "/projects/p/registration/functions/f", "",
		`<Function><Alias>f</Alias><ClassType>a.B</ClassType><Resources><ResourceName>p/resources/x.jar</ResourceName></Resources></Function>`,
		`<Function><Alias>F</Alias><IsSqlFunction>true</IsSqlFunction><SqlDefinitionText>x</SqlDefinitionText><Resources/></Function>`)
}

func FuzzTablesQuery(f *testing.F) {
	fuzzBody(f, "POST", "/projects/p/tables", "query",
		`<Tables><Table><Project>p</Project><Name>t</Name><Schema>s</Schema></Table><Table><Name>T</Name></Table></Tables>`, `<Tables/>`)
}

func FuzzTokenRequest(f *testing.F) {
	fuzzBody(f, "POST", "/projects/p/authorization", "sign_bearer_token", `{"expires_in_hours": 24, "policy": {"Statement": []}}`, `{"expires_in_hours": 1e3}`, `[]`)
}

// routes are paths of every kind, seeds of FuzzRequest and rows of TestHostile_paths.
var routes = []string{
	"/tenants", "/quotas", "/quotas/q", "/logview", "/logview/host", "/projects", "/projects/p", "/projects/p/tunnel", "/projects/p/logs", "/projects/p/authorization",
	"/projects/p/schemas", "/projects/p/schemas/s", "/projects/p/schemas/s/tables/t", "/projects/p/tables", "/projects/p/tables/t", "/projects/p/registration/functions",
	"/projects/p/registration/functions/f", "/projects/p/instances", "/projects/p/instances/i", "/projects/p/cachedinstances", "/mcqa/projects/p/instances/i", "/projects/p/resources", "/projects/p/resources/r",
}

func FuzzRequest(f *testing.F) {
	for i, path := range routes {
		f.Add([]string{"GET", "PUT", "POST", "DELETE", "HEAD", "PATCH"}[i%6], path, "curr_schema=s&marker=MXQ&maxitems=1&name=x&owner=y")
	}
	f.Add("GET", "/projects/p/tables/t", "partitions&marker=MXB0PXg&reverse&partition=pt%3D'x'")
	f.Add("GET", "/projects/p/tables/t", "data&linenum=3&cols=a&partition=pt=x")
	f.Add("GET", "/projects/p/instances", "daterange=1:2&status=Running&onlyowner=yes")
	service, s := newService(f)
	f.Fuzz(func(t *testing.T, method, path, query string) { ask(t, service, s, method, path, query, nil) })
}

func TestHostile_paths(t *testing.T) {
	service, s := newService(t)
	queries := []string{
		"", "%", "%zz=%", "a=b;c=d", "marker=%00", "marker=MQ", "marker=!!", "marker=MXg", "maxitems=-1", "maxitems=99999999999999999999", "maxitems=0", "maxitems=1e3",
		"curr_schema=%00", "curr_schema=a%2Fb", "name=%ff", "partition=%00", "partitions&partition=pt=", "partitions&marker=MXB0PXg", "partitions&marker=MXg",
		"partition=pt='x", "data&linenum=-1", "data", "daterange=:", "extended&extended", "query", "sign_bearer_token", "updateowner", "taskname=x&result",
	}
	for _, path := range append([]string{"", "/", "//", "/projects//", "/projects/p//tables", "/projects/p/tables/", "/projects/p/schemas/", "/projects/p/tables/a/b/c", "/projects/\x00/tables", "/projects/p/tables/\x00", "/mcqa", "/mcqa/projects/p", "/quotas/\x00", "/projects/p/registration", "/projects/p/registration/x"}, routes...) {
		for _, method := range []string{"GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "BREW"} {
			for _, query := range queries {
				if method == "DELETE" && len(path) > 20 { // these two are meant to go
					continue
				}
				ask(t, service, s, method, path, query, nil)
			}
		}
	}
}

func TestHostile_bodies(t *testing.T) {
	service, s := newService(t)
	good := map[string]string{
		"POST /projects/p/instances":                       `<Instance><Job><Tasks><SQL><Name>T</Name><Query>drop table t</Query></SQL></Tasks></Job></Instance>`,
		"PUT /projects/p/instances/i":                      `<Instance><Status>Terminated</Status></Instance>`,
		"PUT /projects/p":                                  `<Project><Comment>x</Comment></Project>`,
		"POST /projects/p/schemas":                         `<Schema><Name>new</Name></Schema>`,
		"POST /projects/p/registration/functions":          `<Function><Alias>g</Alias><ClassType>a.B</ClassType></Function>`,
		"PUT /projects/p/registration/functions/f":         `<Function><Alias>f</Alias><ClassType>c.D</ClassType></Function>`,
		"POST /projects/p/tables?query":                    `<Tables><Table><Name>t</Name></Table></Tables>`,
		"POST /projects/p/authorization":                   `<Authorization><Query>whoami</Query></Authorization>`,
		"POST /projects/p/authorization?sign_bearer_token": `{"expires_in_hours":1}`,
	}
	for what, body := range good {
		method, target, _ := strings.Cut(what, " ")
		path, query, _ := strings.Cut(target, "?")
		bad := map[string][]byte{
			"nothing": nil, "text": []byte("text"), "a NUL": {0}, "another root": []byte("<x/>"), "two of them": []byte(body + body), "something behind": []byte(body + "x"),
			"deep": []byte(strings.Repeat("<a>", 1<<16)), "deep JSON": []byte(strings.Repeat("[", 1<<16)), "huge": bytes.Repeat([]byte(" "), maxBodyBytes+1),
			"an entity": []byte(`<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>`), "another encoding": []byte(`<?xml version="1.0" encoding="UTF-16"?>` + body),
		}
		for n := range len(body) - 1 { // cut at every byte
			bad[fmt.Sprintf("cut at %d", n)] = []byte(body[:n])
		}
		for name, content := range bad {
			if w := ask(t, service, s, method, path, query, content); w.Code < 400 || w.Code >= 500 {
				t.Errorf("%s with %s = %d %s, want 4xx", what, name, w.Code, w.Body)
			}
		}
		if w := ask(t, service, s, method, path, query, []byte(body)); w.Code == 400 {
			t.Errorf("%s with the good body = %d %s", what, w.Code, w.Body)
		}
	}
}
