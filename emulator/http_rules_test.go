//go:build cgo && duckdb_arrow

package emulator_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-io/sluice/emulator"
)

// Requests that are wrong are told so by their code, and change nothing.
func TestREST_refusals_by_code(t *testing.T) {
	s := start(t, emulator.Options{})
	c := client(s)
	steps(t, c, "create table t (id bigint)")
	function := "<Function><Alias>f</Alias><ClassType>m.c</ClassType><Resources/></Function>"
	if status, _, body := raw(t, s, http.MethodPost, "/api/projects/p1/registration/functions", function); !strings.HasPrefix(status, "HTTP/1.0 201 ") {
		t.Fatalf("create a function: %s %s", status, body)
	}
	var properties strings.Builder
	for n := range 10_000 {
		fmt.Fprintf(&properties, "<Property><Name>%d</Name><Value>v</Value></Property>", n)
	}
	for _, x := range []struct {
		method, target, body string
		status               int
		code                 string
	}{
		{http.MethodPut, "/projects/p1", "<Project><Name>other</Name><Comment>c</Comment></Project>", 400, "InvalidArgument"},
		{http.MethodPut, "/projects/p1", "<Project><Comment>c</Comment><Properties><Property><Name> </Name><Value>v</Value></Property></Properties></Project>", 400, "InvalidArgument"},
		{http.MethodPut, "/projects/p1", "<Project><Comment>c</Comment><Properties>" + properties.String() + "</Properties></Project>", 400, "InvalidArgument"},
		{http.MethodPut, "/projects/p1", "<Project><Comment>c</Comment></Project> more", 400, "InvalidArgument"},
		{http.MethodPut, "/projects/p1", "<Project><Comment>c</Comment></Project><", 400, "InvalidArgument"},
		{http.MethodPut, "/projects/p1", "<Project><Comment>c</Comment></Project><Project/>", 400, "InvalidArgument"},
		{http.MethodPut, "/projects/p1", "<Table/>", 400, "InvalidArgument"},
		{http.MethodGet, "/projects/p1/tables?type=TABLE", "", 400, "InvalidParameter"},
		{http.MethodPut, "/projects/p1/instances/i?info", "", 405, "MethodNotAllowed"},
		{http.MethodPut, "/projects/p1/instances/i", "<Instance><Status>Terminated</Status></Instance>", 404, "NoSuchObject"},
		{http.MethodGet, "/projects/p1/instances/i", "", 404, "NoSuchObject"},
		{http.MethodDelete, "/projects/p1/instances/i", "", 405, "MethodNotAllowed"},
		{http.MethodDelete, "/projects", "", 405, "MethodNotAllowed"},
		{http.MethodPost, "/projects/p1/schemas", "<Schema><Name>s</Name><Project>other</Project></Schema>", 400, "InvalidArgument"},
		{http.MethodGet, "/projects/p1/tables?maxitems=x", "", 400, "InvalidParameter"},
		{http.MethodGet, "/projects/p1/tables?maxitems=-1", "", 400, "InvalidParameter"},
		{http.MethodGet, "/projects/p1/tables?marker=x", "", 400, "InvalidParameter"},
		{http.MethodGet, "/projects/p1/tables/t/x", "", 404, "NoSuchPath"},
		{http.MethodDelete, "/projects/p1/tables/t", "", 405, "MethodNotAllowed"},
		{http.MethodPost, "/projects/p1/registration/functions/f", function, 405, "MethodNotAllowed"},
		{http.MethodGet, "/projects/p1/registration/functions/f/x", "", 404, "NoSuchPath"},
		{http.MethodPut, "/projects/p1/registration/functions/f?updateowner", "", 400, "InvalidArgument"},
		{http.MethodGet, "/mcqa/x/projects", "", 404, "NoSuchPath"},
	} {
		status, _, body := raw(t, s, x.method, "/api"+x.target, x.body)
		if !strings.HasPrefix(status, fmt.Sprintf("HTTP/1.0 %d ", x.status)) || !strings.Contains(body, "<Code>"+x.code+"</Code>") {
			t.Errorf("%s %s %.70s = %s %.300s, want %d %s", x.method, x.target, x.body, status, body, x.status, x.code)
		}
	}
	_, _, body := raw(t, s, http.MethodGet, "/api/projects/p1", "")
	if !strings.Contains(body, "<Comment></Comment>") {
		t.Errorf("the project was changed: %s", body)
	}
	steps(t, c, "select count(*) from t => 0")
	wantBody(t, s, "/projects/p1/registration/functions/f", "<ClassType>m.c</ClassType>")
	wantBody(t, s, "/projects/p1/tables?maxitems=0", "<MaxItems>1000</MaxItems>", "<Name>t</Name>")
}

// wantBody checks a successful answer for texts that must be in it, and with ! for those that
// must not.
func wantBody(t *testing.T, s *emulator.Server, target string, texts ...string) {
	t.Helper()
	status, headers, body := raw(t, s, http.MethodGet, "/api"+target, "")
	if !strings.HasPrefix(status, "HTTP/1.0 200 ") || !slices.Contains(headers, "Content-Type: application/xml") {
		t.Errorf("GET %s = %s %s %s", target, status, headers, body)
	}
	for _, text := range texts {
		if without, not := strings.CutPrefix(text, "!"); strings.Contains(body, without) == not {
			t.Errorf("GET %s: want %s in\n%s", target, text, body)
		}
	}
}

// Lists are filtered by kind, name and owner, and tell only what was asked for.
func TestREST_lists_show_what_was_asked_for(t *testing.T) {
	s := start(t, emulator.Options{})
	c := client(s)
	steps(t, c, "create table t (id bigint)", "create table timed (id bigint) lifecycle 3", "create view v as select id from t", "alter table t changeowner to 'ALIYUN$me'")
	wantBody(t, s, "/projects/p1/tables?type=virtual_view", "<Name>v</Name>", "!<Name>t</Name>", "!<Name>timed</Name>")
	wantBody(t, s, "/projects/p1/tables?type=managed_table", "!<Name>v</Name>", "<Name>t</Name>", "<Name>timed</Name>", `!"FileNum"`)
	wantBody(t, s, "/projects/p1/tables?type=external_table", "!<Name>")
	wantBody(t, s, "/projects/p1/tables?name=ti&extended", "!<Name>t</Name>", "<Name>timed</Name>", `"FileNum":0`)
	wantBody(t, s, "/projects/p1/tables?owner=aliyun$ME", "<Name>t</Name>", "!<Name>timed</Name>", "!<Name>v</Name>")
	wantBody(t, s, "/projects/p1/tables/t", `"lifecycle":-1`, `"isVirtualView":false`)
	wantBody(t, s, "/projects/p1/tables/timed", `"lifecycle":3`)
	for name, owner := range map[string]string{"fa": "", "fb": "", "fc": "ALIYUN$me"} {
		target := "/api/projects/p1/registration/functions"
		body := "<Function><Alias>" + name + "</Alias><ClassType>m.c</ClassType><Resources/></Function>"
		if status, _, answer := raw(t, s, http.MethodPost, target, body); !strings.HasPrefix(status, "HTTP/1.0 201 ") {
			t.Fatalf("create %s: %s %s", name, status, answer)
		}
		if owner != "" {
			if status, _, answer := rawWith(t, s, http.MethodPut, target+"/"+name+"?updateowner", "", "x-odps-owner: "+owner); !strings.HasPrefix(status, "HTTP/1.0 200 ") {
				t.Fatalf("give %s away: %s %s", name, status, answer)
			}
		}
	}
	// A page that the filter leaves empty is no end of the list.
	wantBody(t, s, "/projects/p1/registration/functions?owner=aliyun$ME&maxitems=1", "<Alias>fc</Alias>", "!<Alias>fa</Alias>", "!<Alias>fb</Alias>")
	wantBody(t, s, "/projects/p1/registration/functions?owner=nobody&maxitems=1", "!<Alias>", "<Marker></Marker>")
	wantBody(t, s, "/projects/p1/registration/functions?maxitems=2", "<Alias>fa</Alias>", "<Alias>fb</Alias>", "!<Alias>fc</Alias>", "!<Marker></Marker>")
	_, _, answer := raw(t, s, http.MethodPut, "/api/projects/p1/registration/functions/fa", "<Function><Alias>fb</Alias><ClassType>other</ClassType><Resources/></Function>")
	if !strings.Contains(answer, "<Code>InvalidArgument</Code>") {
		t.Errorf("a body about another function: %s", answer)
	}
	wantBody(t, s, "/projects/p1/registration/functions/fb", "<ClassType>m.c</ClassType>")
	raw(t, s, http.MethodPut, "/api/projects/p1/registration/functions/fc", "<Function><Alias>fc</Alias><ClassType>new.c</ClassType><Resources/></Function>")
	wantBody(t, s, "/projects/p1/registration/functions/fc", "<ClassType>new.c</ClassType>", "<Owner>ALIYUN$me</Owner>")
}

// HEAD is GET without the body, and schemas keep what is said of them in either word.
func TestREST_heads_and_schemas(t *testing.T) {
	s := start(t, emulator.Options{Schemas: true})
	for _, target := range []string{"/projects", "/projects/p1"} {
		if status, _, body := raw(t, s, http.MethodHead, "/api"+target, ""); !strings.HasPrefix(status, "HTTP/1.0 200 ") || body != "" {
			t.Errorf("HEAD %s = %s %q", target, status, body)
		}
	}
	if status, _, body := raw(t, s, http.MethodHead, "/api/projects/p1/instances/i", ""); !strings.HasPrefix(status, "HTTP/1.0 404 ") || body != "" {
		t.Errorf("HEAD of no instance = %s %q", status, body)
	}
	for name, comment := range map[string]string{"a": "<Comment>words</Comment>", "b": "<Description>words</Description>", "c": "<Comment>words</Comment><Description>others</Description>"} {
		status, _, body := raw(t, s, http.MethodPost, "/api/projects/p1/schemas", "<Schema><Name>"+name+"</Name>"+comment+"</Schema>")
		if !strings.HasPrefix(status, "HTTP/1.0 201 ") {
			t.Errorf("create schema %s: %s %s", name, status, body)
		}
		wantBody(t, s, "/projects/p1/schemas/"+name, "words", "!others")
	}
}

// A batch of tables names up to a hundred, in the project of the path unless they say another.
func TestREST_batches_of_tables(t *testing.T) {
	s := start(t, emulator.Options{})
	steps(t, client(s), "create table t (id bigint)")
	ask := func(n int, table string) (status, body string) {
		status, _, body = raw(t, s, http.MethodPost, "/api/projects/p1/tables?query", "<Tables>"+strings.Repeat(table, n)+"</Tables>")
		return status, body
	}
	for table, want := range map[string]int{
		"<Table><Name>t</Name></Table>": 100, "<Table><Project>p1</Project><Name>T</Name><Schema>default</Schema></Table>": 100,
		"<Table><Project>p2</Project><Name>t</Name></Table>": 0, "<Table><Name>none</Name></Table>": 0,
	} {
		if status, body := ask(100, table); !strings.HasPrefix(status, "HTTP/1.0 200 ") || strings.Count(body, "<Name>t</Name>") != want {
			t.Errorf("100 times %s = %s with %d tables, want %d", table, status, strings.Count(body, "<Name>t</Name>"), want)
		}
	}
	if status, body := ask(101, "<Table><Name>t</Name></Table>"); !strings.HasPrefix(status, "HTTP/1.0 400 ") || !strings.Contains(body, "<Code>InvalidArgument</Code>") {
		t.Errorf("101 tables = %s %.200s", status, body)
	}
}

// A range of a resource that begins behind its end is empty and says that nothing remains.
func TestREST_ranges_behind_the_end_of_a_resource(t *testing.T) {
	s := start(t, emulator.Options{})
	target := "/api/projects/p1/resources"
	if status, _, body := rawWith(t, s, http.MethodPost, target, "abc", "x-odps-resource-name: f", "x-odps-resource-type: file"); !strings.HasPrefix(status, "HTTP/1.0 201 ") {
		t.Fatalf("create = %s %s", status, body)
	}
	for ask, want := range map[string][2]string{
		"rOffset=0&rSize=3": {"abc", "false"}, "rOffset=1&rSize=1": {"b", "true"}, "rOffset=2": {"c", "false"}, "rOffset=3&rSize=1": {"", "false"}, "rOffset=9&rSize=2": {"", "false"}, "rOffset=9": {"", "false"},
	} {
		status, headers, body := raw(t, s, http.MethodGet, target+"/f?"+ask, "")
		all := strings.Join(headers, "\n") + "\n"
		if !strings.HasPrefix(status, "HTTP/1.0 200 ") || body != want[0] || !strings.Contains(all, "x-odps-resource-has-remaining: "+want[1]+"\n") || !strings.Contains(all, "Content-Type: application/octet-stream\n") ||
			!strings.Contains(all, fmt.Sprintf("Content-Length: %d\n", len(body))) {
			t.Errorf("%s = %s %q, %s, want %q, remaining %s", ask, status, body, all, want[0], want[1])
		}
	}
	if status, _, body := raw(t, s, http.MethodPut, target+"/f", "xyz"); !strings.HasPrefix(status, "HTTP/1.0 201 ") {
		t.Errorf("replace without a type = %s %s", status, body)
	}
	if status, _, body := rawWith(t, s, http.MethodPut, target+"/f", "no", "x-odps-resource-type: paper"); !strings.HasPrefix(status, "HTTP/1.0 400 ") || !strings.Contains(body, "<Code>InvalidArgument</Code>") {
		t.Errorf("replace by a type that is none = %s %s", status, body)
	}
	if _, _, body := raw(t, s, http.MethodGet, target+"/f", ""); body != "xyz" {
		t.Errorf("content %q, want xyz", body)
	}
}

// Instances are listed from the newest, by page, by status and by the seconds in which they
// were made, the last one whole.
func TestREST_lists_of_instances(t *testing.T) {
	at := time.Unix(1_800_000_000, 0)
	var mu sync.Mutex
	s := start(t, emulator.Options{Now: func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return at
	}})
	c := client(s)
	var ids []string
	for range 3 {
		i, err := c.ExecSQl("set a=b;")
		must(t, err)
		must(t, i.WaitForSuccess())
		ids = append(ids, i.Id())
		mu.Lock()
		at = at.Add(1500 * time.Millisecond) // 0, 1.5 and 3 s past the first
		mu.Unlock()
	}
	list := func(query string) (names []int, next string) {
		t.Helper()
		status, _, body := raw(t, s, http.MethodGet, "/api/projects/p1/instances?"+query, "")
		if !strings.HasPrefix(status, "HTTP/1.0 200 ") {
			t.Errorf("instances?%s = %s %s", query, status, body)
		}
		for part := range strings.SplitSeq(body, "<Name>") {
			if id, _, ok := strings.Cut(part, "</Name>"); ok {
				names = append(names, slices.Index(ids, id))
			}
		}
		_, rest, _ := strings.Cut(body, "<Marker>")
		next, _, _ = strings.Cut(rest, "</Marker>")
		return names, next
	}
	for query, want := range map[string][]int{
		"": {2, 1, 0}, "status=terminated": {2, 1, 0}, "status=RUNNING": nil, "status=Suspended": nil, "onlyowner=no": {2, 1, 0}, "owner=nobody": nil,
		"daterange=1800000000:1800000000": {0}, "daterange=1800000001:1800000001": {1}, "daterange=1800000001:": {2, 1}, "daterange=:1800000001": {1, 0},
		"daterange=1800000002:1800000002": nil, "daterange=:": {2, 1, 0}, "daterange=1800000003:1800000003": {2}, "daterange=1800000004:": nil,
	} {
		if got, next := list(query); !slices.Equal(got, want) || next != "" {
			t.Errorf("instances?%s = %v, next %q, want %v", query, got, next, want)
		}
	}
	marker := ""
	for page, want := range [][]int{{2}, {1}, {0}} {
		got, next := list("maxitems=1&marker=" + marker)
		if !slices.Equal(got, want) || (next == "") != (page == 2) {
			t.Errorf("page %d = %v, next %q, want %v", page, got, next, want)
		}
		marker = next
	}
	for _, query := range []string{"status=done", "onlyowner=maybe", "daterange=1", "daterange=a:b", "daterange=1:b", "marker=MTox", "maxitems=x"} {
		if status, _, body := raw(t, s, http.MethodGet, "/api/projects/p1/instances?"+query, ""); !strings.HasPrefix(status, "HTTP/1.0 400 ") || !strings.Contains(body, "<Code>InvalidParameter</Code>") {
			t.Errorf("instances?%s = %s %.200s", query, status, body)
		}
	}
}
