package emulator_test

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-io/sluice/emulator"
)

// web calls the resources of project p of a server.
type web struct {
	t *testing.T
	s *emulator.Server
}

// reply is an answer, read to its end.
type reply struct {
	status int
	header http.Header
	body   string
}

// code is the Code of an error's XML, which must have all four children.
func (r reply) code(t *testing.T) string {
	t.Helper()
	var e struct {
		XMLName                          xml.Name `xml:"Error"`
		Code, Message, RequestId, HostId *string  //nolint:revive // the names of the protocol
	}
	if err := xml.Unmarshal([]byte(r.body), &e); err != nil {
		t.Errorf("error body %q: %v", r.body, err)
		return ""
	}
	if e.Code == nil || e.Message == nil || e.RequestId == nil || e.HostId == nil || *e.RequestId == "" || *e.Message == "" {
		t.Errorf("error body %q lacks one of its children", r.body)
		return ""
	}
	return *e.Code
}

func hexMD5(text string) string {
	sum := md5.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}

// do calls target, which follows /projects/p/resources; headers are pairs.
func (c web) do(method, target string, body io.Reader, headers ...string) reply {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.s.Endpoint()+"/projects/p/resources"+target, body)
	must(c.t, err)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	must(c.t, err)
	text, err := io.ReadAll(res.Body)
	must(c.t, err)
	must(c.t, res.Body.Close())
	return reply{res.StatusCode, res.Header, string(text)}
}

func (c web) create(name, kind, body string, headers ...string) reply {
	c.t.Helper()
	return c.do(http.MethodPost, "", strings.NewReader(body), append([]string{"x-odps-resource-name", name, "x-odps-resource-type", kind}, headers...)...)
}

func (c web) part(name, body string) {
	c.t.Helper()
	r := c.do(http.MethodPost, "?rIsPart=true", strings.NewReader(body), "x-odps-resource-name", name, "x-odps-resource-type", "file",
		"x-odps-resource-istemp", "true", "Content-MD5", hexMD5(body))
	if r.status != http.StatusCreated {
		c.t.Fatalf("part %s = %d %s", name, r.status, r.body)
	}
}

func (c web) merge(method, name, text string, total int, headers ...string) reply {
	c.t.Helper()
	target := "?rOpMerge=true"
	if method == http.MethodPut {
		target = "/" + url.PathEscape(name) + target
	}
	return c.do(method, target, strings.NewReader(text), append([]string{"x-odps-resource-name", name, "x-odps-resource-type", "file",
		"x-odps-resource-merge-total-bytes", strconv.Itoa(total), "Content-MD5", hexMD5(text)}, headers...)...)
}

// want checks status and, of an error, its code.
func (c web) want(what string, got reply, status int, code string) {
	c.t.Helper()
	if got.status != status {
		c.t.Errorf("%s = %d %s, want %d", what, got.status, got.body, status)
		return
	}
	if code != "" {
		if is := got.code(c.t); is != code {
			c.t.Errorf("%s = code %s, want %s", what, is, code)
		}
	}
}

func (c web) holds(name, body string) {
	c.t.Helper()
	if r := c.do(http.MethodGet, "/"+url.PathEscape(name), nil); r.status != http.StatusOK || r.body != body {
		c.t.Errorf("content of %s = %d, %d bytes %.40q, want %d bytes %.40q", name, r.status, len(r.body), r.body, len(body), body)
	}
}

func TestResource_content_and_headers(t *testing.T) {
	now := time.Date(2026, 11, 20, 17, 52, 49, 0, time.UTC)
	c := web{t, start(t, emulator.Options{Now: func() time.Time { return now }})}
	c.want("create", c.create("a.jar", "JAR", "content", "x-odps-comment", "it's one", "x-odps-resource-istemp", "true", "Content-MD5", hexMD5("content")), 201, "")
	c.want("create again", c.create("a.jar", "jar", "other"), 409, "ObjectAlreadyExists")
	c.holds("a.jar", "content")
	want := map[string]string{
		"x-odps-resource-name": "a.jar", "x-odps-resource-type": "jar", "x-odps-resource-istemp": "true", "x-odps-resource-size": "7",
		"x-odps-comment": "it's one", "x-odps-owner": "ALIYUN$local", "x-odps-updator": "ALIYUN$local", "content-md5": hexMD5("content"),
		"x-odps-creation-time": "Fri, 20 Nov 2026 17:52:49 GMT", "last-modified": "Fri, 20 Nov 2026 17:52:49 GMT",
	}
	for _, call := range []struct{ method, target, body string }{
		{http.MethodGet, "/a.jar?meta", ""}, {http.MethodGet, "/a.jar?meta=", ""}, {http.MethodHead, "/a.jar", ""}, {http.MethodHead, "/a.jar?meta", ""},
		{http.MethodGet, "/a.jar", "content"},
	} {
		got := c.do(call.method, call.target, nil)
		if got.status != 200 || got.body != call.body {
			t.Errorf("%s %s = %d %q", call.method, call.target, got.status, got.body)
		}
		for name, value := range want {
			if v := got.header.Get(name); v != value {
				t.Errorf("%s %s: %s = %q, want %q", call.method, call.target, name, v, value)
			}
		}
	}
	got := c.do(http.MethodGet, "/a.jar", nil)
	if d := got.header.Get("Content-Disposition"); d != "attachment;filename=a.jar" {
		t.Errorf("content-disposition = %q", d)
	}
	if d := got.header.Get("x-odps-resource-has-remaining"); d != "" {
		t.Errorf("has-remaining of a plain read = %q", d)
	}
	// One client compares header names by case.
	_, lines, _ := raw(t, c.s, http.MethodGet, "/projects/p/resources/a.jar?rOffset=1&rSize=2", "")
	for _, name := range []string{"x-odps-resource-has-remaining: true", "x-odps-resource-type: jar", "content-md5: " + hexMD5("content")} {
		if !slices.Contains(lines, name) {
			t.Errorf("no header line %q in %q", name, lines)
		}
	}
}

func TestResource_ranges(t *testing.T) {
	c := web{t, start(t, emulator.Options{})}
	rng := rand.New(rand.NewPCG(1, 2))
	content := make([]byte, 600<<10) // more than two checksummed pieces
	for i := range content {
		content[i] = byte(rng.Uint32())
	}
	text := string(content)
	c.want("create", c.create("big", "file", text), 201, "")
	c.want("create empty", c.create("empty", "file", ""), 201, "")
	check := func(query string, from, to int) {
		t.Helper()
		got := c.do(http.MethodGet, "/big?"+query, nil)
		if got.status != 200 || got.body != text[from:to] || got.header.Get("x-odps-resource-has-remaining") != strconv.FormatBool(to < len(text)) {
			t.Errorf("%s = %d, %d bytes, has-remaining %s, want bytes %d to %d", query, got.status, len(got.body), got.header.Get("x-odps-resource-has-remaining"), from, to)
		}
	}
	check("rOffset=0&rSize=10", 0, 10)
	check("rOffset=0", 0, len(text))
	check("rSize=5", 0, 5)
	check(fmt.Sprintf("rOffset=%d&rSize=10", len(text)), len(text), len(text))
	check(fmt.Sprintf("rOffset=%d&rSize=10", len(text)+7), len(text), len(text))
	check("rOffset=9223372036854775807&rSize=9223372036854775807", len(text), len(text))
	check(fmt.Sprintf("rOffset=%d&rSize=10", len(text)-10), len(text)-10, len(text))
	check(fmt.Sprintf("rOffset=%d&rSize=10", len(text)-11), len(text)-11, len(text)-1)
	check("rOffset=4&rSize=0", 4, 4)
	for range 40 {
		from := rng.IntN(len(text))
		n := rng.IntN(len(text))
		check(fmt.Sprintf("rOffset=%d&rSize=%d", from, n), from, min(len(text), from+n))
	}
	if got := c.do(http.MethodGet, "/empty?rOffset=0&rSize=10", nil); got.status != 200 || got.body != "" || got.header.Get("x-odps-resource-has-remaining") != "false" ||
		got.header.Get("Content-MD5") != hexMD5("") {
		t.Errorf("range of an empty resource = %+v", got)
	}
	for _, bad := range []string{"rOffset=-1", "rOffset=x", "rSize=-1", "rSize=1e3", "rOffset=9223372036854775808"} {
		c.want(bad, c.do(http.MethodGet, "/big?"+bad, nil), 400, "InvalidArgument")
	}
}

func TestResource_update(t *testing.T) {
	clock := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var mu sync.Mutex
	c := web{t, start(t, emulator.Options{Now: func() time.Time { mu.Lock(); defer mu.Unlock(); return clock }})}
	c.want("create", c.create("f", "py", "one", "x-odps-comment", "first"), 201, "")
	mu.Lock()
	clock = clock.Add(time.Hour)
	mu.Unlock()
	c.want("update without headers", c.do(http.MethodPut, "/f", strings.NewReader("second one")), 201, "")
	c.holds("f", "second one")
	got := c.do(http.MethodGet, "/f?meta", nil)
	for name, want := range map[string]string{
		"x-odps-resource-type": "py", "x-odps-comment": "first", "x-odps-resource-size": "10", "x-odps-creation-time": "Thu, 01 Jan 2026 00:00:00 GMT",
		"last-modified": "Thu, 01 Jan 2026 01:00:00 GMT", "x-odps-resource-istemp": "false",
	} {
		if v := got.header.Get(name); v != want {
			t.Errorf("after the update %s = %q, want %q", name, v, want)
		}
	}
	c.want("update of all", c.do(http.MethodPut, "/f", strings.NewReader("3"), "x-odps-resource-type", "file", "x-odps-resource-name", "f",
		"x-odps-comment", "third", "x-odps-resource-istemp", "true"), 201, "")
	got = c.do(http.MethodGet, "/f?meta", nil)
	if h := got.header; h.Get("x-odps-resource-type") != "file" || h.Get("x-odps-comment") != "third" || h.Get("x-odps-resource-istemp") != "true" {
		t.Errorf("after the update of all: %v", h)
	}
	// "Overwrite" of what is not there makes it.
	c.want("put of a missing one", c.do(http.MethodPut, "/g", strings.NewReader("new"), "x-odps-resource-type", "file"), 201, "")
	c.holds("g", "new")
	c.want("put of a missing one without type", c.do(http.MethodPut, "/h", strings.NewReader("new")), 404, "NoSuchObject")

	c.want("owner", c.do(http.MethodPut, "/g?updateowner", nil, "x-odps-owner", "ALIYUN$other"), 200, "")
	if got := c.do(http.MethodGet, "/g?meta", nil).header.Get("x-odps-owner"); got != "ALIYUN$other" {
		t.Errorf("owner = %q", got)
	}
	c.holds("g", "new")
	c.want("owner of a missing one", c.do(http.MethodPut, "/h?updateowner", nil, "x-odps-owner", "x"), 404, "NoSuchObject")
	c.want("no owner", c.do(http.MethodPut, "/g?updateowner", nil), 400, "InvalidArgument")

	c.want("delete", c.do(http.MethodDelete, "/g", nil), 200, "")
	c.want("delete again", c.do(http.MethodDelete, "/g", nil), 404, "NoSuchObject")
	c.want("get deleted", c.do(http.MethodGet, "/g", nil), 404, "NoSuchObject")
	c.want("meta of deleted", c.do(http.MethodGet, "/g?meta", nil), 404, "NoSuchObject")
	if got := c.do(http.MethodHead, "/g", nil); got.status != 404 {
		t.Errorf("HEAD of deleted = %d", got.status)
	}
}

func TestResource_merge(t *testing.T) {
	c := web{t, start(t, emulator.Options{})}
	c.part("f.part.tmp.000000", "will be replaced")
	c.part("f.part.tmp.000000", "abc")
	c.part("f.part.tmp.000001", strings.Repeat("x", 300<<10))
	c.part("f.part.tmp.000002", "")
	whole := strings.Repeat("x", 300<<10) + "abc"
	names := "f.part.tmp.000001,f.part.tmp.000000,f.part.tmp.000002"
	if got := c.do(http.MethodGet, "", nil); strings.Contains(got.body, "part.tmp") {
		t.Errorf("parts are listed: %s", got.body)
	}
	c.want("part as a resource", c.do(http.MethodGet, "/f.part.tmp.000000?meta", nil), 404, "NoSuchObject")

	for what, bad := range map[string]reply{
		"wrong MD5":      c.merge("POST", "f", hexMD5("other")+"|"+names, len(whole)),
		"wrong total":    c.merge("POST", "f", hexMD5(whole)+"|"+names, len(whole)-1),
		"wrong body MD5": c.merge("POST", "f", hexMD5(whole)+"|"+names, len(whole), "Content-MD5", hexMD5("")),
	} {
		c.want(what, bad, 400, "CheckSumError")
	}
	for what, bad := range map[string]reply{
		"no bar":   c.merge("POST", "f", hexMD5(whole), len(whole)),
		"no MD5":   c.merge("POST", "f", "|"+names, len(whole)),
		"no total": c.merge("POST", "f", hexMD5(whole)+"|"+names, 0, "x-odps-resource-merge-total-bytes", ""),
		"bad kind": c.merge("POST", "f", hexMD5(whole)+"|"+names, len(whole), "x-odps-resource-type", "table"),
	} {
		c.want(what, bad, 400, "InvalidArgument")
	}
	c.want("missing part", c.merge("POST", "f", hexMD5(whole)+"|"+names+",f.part.tmp.000003", len(whole)), 404, "NoSuchObject")
	c.want("nothing was made", c.do(http.MethodGet, "/f?meta", nil), 404, "NoSuchObject")

	c.want("merge", c.merge("POST", "f", hexMD5(whole)+"|"+names, len(whole), "x-odps-resource-type", "archive", "x-odps-comment", "merged"), 201, "")
	c.holds("f", whole)
	if h := c.do(http.MethodGet, "/f?meta", nil).header; h.Get("x-odps-resource-type") != "archive" || h.Get("x-odps-comment") != "merged" ||
		h.Get("x-odps-resource-size") != strconv.Itoa(len(whole)) || h.Get("content-md5") != hexMD5(whole) || h.Get("x-odps-resource-istemp") != "false" {
		t.Errorf("merged resource: %v", h)
	}
	c.want("the parts are gone", c.merge("POST", "g", hexMD5(whole)+"|"+names, len(whole)), 404, "NoSuchObject")
	c.want("creation again", c.merge("POST", "f", hexMD5(whole)+"|"+names, len(whole)), 409, "ObjectAlreadyExists")
	c.want("repeated overwrite, whose first answer was lost", c.merge("PUT", "f", hexMD5(whole)+"|"+names, len(whole)), 201, "")
	c.want("overwrite with other content", c.merge("PUT", "f", hexMD5("abc")+"|f.part.tmp.000000", 3), 404, "NoSuchObject")
	c.holds("f", whole)

	c.part("p", "new")
	c.want("overwrite", c.merge("PUT", "f", hexMD5("newnew")+"|p,p", 6), 201, "")
	c.holds("f", "newnew")
	c.want("zero parts", c.merge("POST", "zero", hexMD5("")+"|", 0), 201, "")
	c.holds("zero", "")
	c.want("zero parts, overwriting", c.merge("PUT", "f", strings.ToUpper(hexMD5(""))+"|", 0), 201, "")
	c.holds("f", "")
}

func TestResource_bad_requests_change_nothing(t *testing.T) {
	c := web{t, start(t, emulator.Options{})}
	c.want("create", c.create("f", "file", "content"), 201, "")
	for what, bad := range map[string]reply{
		"no name":        c.do("POST", "", strings.NewReader("x"), "x-odps-resource-type", "file"),
		"no type":        c.do("POST", "", strings.NewReader("x"), "x-odps-resource-name", "n"),
		"unknown type":   c.create("n", "exe", "x"),
		"dot":            c.create(".", "file", "x"),
		"dots":           c.create("..", "file", "x"),
		"path":           c.create("../../etc/passwd", "file", "x"),
		"backslash":      c.create(`a\b`, "file", "x"),
		"blank":          c.create("=?UTF-8?q?_?=", "file", "x"),
		"long":           c.create(strings.Repeat("n", 256), "file", "x"),
		"temp":           c.create("n", "file", "x", "x-odps-resource-istemp", "maybe"),
		"MD5 no hex":     c.create("n", "file", "x", "Content-MD5", "n4bQgYhMfWWaL+qgxVrQFQ=="),
		"MD5 too short":  c.create("n", "file", "x", "Content-MD5", "abcd"),
		"other name":     c.do("PUT", "/f", strings.NewReader("x"), "x-odps-resource-name", "g", "x-odps-resource-type", "file"),
		"part: no name":  c.do("POST", "?rIsPart=true", strings.NewReader("x")),
		"part: comma":    c.do("POST", "?rIsPart=true", strings.NewReader("x"), "x-odps-resource-name", "a,b"),
		"part: path":     c.do("POST", "?rIsPart=true", strings.NewReader("x"), "x-odps-resource-name", "a/b"),
		"table: none":    c.create("n", "table", ""),
		"volume: none":   c.create("n", "volumefile", ""),
		"table: names":   c.create("n", "table", "", "x-odps-copy-table-source", "a.b.c.d"),
		"table: no spec": c.create("n", "table", "", "x-odps-copy-table-source", "p.t partition"),
	} {
		c.want(what, bad, 400, "InvalidArgument")
	}
	for what, bad := range map[string]reply{
		"MD5":         c.create("n", "file", "x", "Content-MD5", hexMD5("y")),
		"MD5, update": c.do("PUT", "/f", strings.NewReader("x"), "Content-MD5", hexMD5("y")),
		"MD5, part":   c.do("POST", "?rIsPart=true", strings.NewReader("x"), "x-odps-resource-name", "a", "Content-MD5", hexMD5("y")),
	} {
		c.want(what, bad, 400, "CheckSumError")
	}
	c.want("method", c.do("PATCH", "/f", nil), 405, "MethodNotAllowed")
	c.want("method on the list", c.do("DELETE", "", nil), 405, "MethodNotAllowed")
	c.want("deeper path", c.do("GET", "/f/g", nil), 404, "NoSuchPath")
	c.holds("f", "content")
	if names := c.list(""); !slices.Equal(names, []string{"f"}) {
		t.Errorf("resources after bad requests: %v", names)
	}
}

// list returns the names of a list, page by page.
func (c web) list(query string) (names []string) {
	c.t.Helper()
	marker := ""
	for {
		got := c.do("GET", "?expectmarker=true&marker="+url.QueryEscape(marker)+"&"+query, nil)
		var list struct {
			XMLName   xml.Name `xml:"Resources"`
			Marker    string
			MaxItems  int
			Resources []struct{ Name string } `xml:"Resource"`
		}
		if err := xml.Unmarshal([]byte(got.body), &list); err != nil || got.status != 200 {
			c.t.Fatalf("list %s = %d %s: %v", query, got.status, got.body, err)
		}
		for _, r := range list.Resources {
			names = append(names, r.Name)
		}
		if marker = list.Marker; marker == "" {
			return names
		}
	}
}

func TestResource_list(t *testing.T) {
	c := web{t, start(t, emulator.Options{})}
	var want []string
	for i := range 25 {
		name := fmt.Sprintf("r%02d", i)
		want = append(want, name)
		c.want("create", c.create(name, "file", "x"), 201, "")
	}
	c.want("create", c.create("A.jar", "jar", "x", "x-odps-comment", `<&"`), 201, "")
	c.want("create", c.create("a.jar", "jar", "y"), 201, "")
	c.want("create elsewhere", c.do("POST", "?curr_schema=S1", strings.NewReader("z"), "x-odps-resource-name", "r00", "x-odps-resource-type", "file"), 201, "")
	c.want("owner", c.do("PUT", "/r07?updateowner", nil, "x-odps-owner", "ALIYUN$other"), 200, "")
	for query, names := range map[string][]string{
		"name=r&maxitems=7": want, "name=r&maxitems=25": want, "name=r0&maxitems=3": want[:10], "owner=ALIYUN$other": {"r07"}, "owner=nobody": nil,
		"name=A": {"A.jar"}, "curr_schema=s1": {"r00"}, "curr_schema=": append([]string{"A.jar", "a.jar"}, want...), "curr_schema=none": nil,
		"name=r1&owner=ALIYUN$local&maxitems=1": want[10:20],
	} {
		if diff := cmp.Diff(names, c.list(query)); diff != "" {
			t.Errorf("list %s: %s", query, diff)
		}
	}
	got := c.do("GET", "?name=A.jar", nil)
	for _, text := range []string{"<Name>A.jar</Name>", "<ResourceType>jar</ResourceType>", "<ResourceSize>1</ResourceSize>", "<Comment>&lt;&amp;&#34;</Comment>", "<Owner>ALIYUN$local</Owner>"} {
		if !strings.Contains(got.body, text) {
			t.Errorf("list has no %s: %s", text, got.body)
		}
	}
	// Schemas are namespaces.
	if got := c.do("GET", "/r00?curr_schema=s1", nil); got.body != "z" || got.header.Get("schema-name") != "s1" {
		t.Errorf("r00 of schema s1 = %q, schema-name %q", got.body, got.header.Get("schema-name"))
	}
	c.holds("r00", "x")
	c.want("delete", c.do("DELETE", "/r00?curr_schema=s1", nil), 200, "")
	c.holds("r00", "x")
}

func TestResource_references(t *testing.T) {
	s := start(t, emulator.Options{})
	c := web{t, s}
	sql := client(s)
	sql.SetDefaultProjectName("p")
	must(t, sql.Tables().Create(schema(t, "first"), false, nil, nil))
	for name, source := range map[string][2]string{
		"t1": {"p.first", "p.first"}, "t2": {"p.first partition(pt='a',hh='1')", "p.first partition(pt='a',hh='1')"},
		"t3": {"first", "p.first"}, "t4": {"p.default.First", "p.default.First"}, "t5": {"first partition(pt='a b',hh=2)", "p.first partition(pt='a b',hh=2)"},
	} {
		c.want(name, c.create(name, "table", "", "x-odps-copy-table-source", source[0], "Content-Type", "text/plain"), 201, "")
		got := c.do("GET", "/"+name+"?meta", nil).header
		if got.Get("x-odps-copy-table-source") != source[1] || got.Get("x-odps-resource-type") != "table" || got.Get("x-odps-resource-size") != "" {
			t.Errorf("%s: %v", name, got)
		}
	}
	if got := c.do("GET", "?name=t2", nil); !strings.Contains(got.body, "<TableName>p.first partition(pt=&#39;a&#39;,hh=&#39;1&#39;)</TableName>") || strings.Contains(got.body, "ResourceSize") {
		t.Errorf("list of a table resource: %s", got.body)
	}
	c.want("content", c.do("GET", "/t1", nil), 404, "NoSuchObject")
	c.want("missing table", c.create("n", "table", "", "x-odps-copy-table-source", "p.none"), 404, "NoSuchObject")
	c.want("missing table of a schema", c.create("n", "table", "", "x-odps-copy-table-source", "p.s1.first"), 404, "NoSuchObject")
	for _, bad := range []string{"p.first partition(pt='a')", "p.first partition(x='a',hh='1')", "p.first partition()", "p.first partition(pt='a',hh='1'"} {
		if got := c.create("n", "table", "", "x-odps-copy-table-source", bad); got.status != 400 {
			t.Errorf("source %q = %d %s, want 400", bad, got.status, got.body)
		}
	}
	c.want("update", c.do("PUT", "/t1", nil, "x-odps-resource-type", "table", "x-odps-copy-table-source", "p.first partition(pt='z',hh='9')"), 201, "")
	if got := c.do("GET", "/t1?meta", nil).header.Get("x-odps-copy-table-source"); got != "p.first partition(pt='z',hh='9')" {
		t.Errorf("updated source = %q", got)
	}
	c.want("volume file", c.create("v", "volumefile", "", "x-odps-copy-file-source", "/projects/p/volumes/v/f"), 201, "")
	c.want("volume archive", c.create("w.zip", "volume_archive", "", "x-odps-copy-file-source", "p/volumes/v/w.zip"), 201, "")
	if got := c.do("GET", "/v?meta", nil).header; got.Get("x-odps-copy-file-source") != "/projects/p/volumes/v/f" || got.Get("x-odps-resource-type") != "volumefile" {
		t.Errorf("volume resource: %v", got)
	}
	c.want("volume content", c.do("GET", "/v", nil), 404, "NoSuchObject")
	c.want("file becomes a reference", c.create("x", "file", "content"), 201, "")
	c.want("file becomes a reference", c.do("PUT", "/x", nil, "x-odps-resource-type", "table", "x-odps-copy-table-source", "p.first"), 201, "")
	c.want("and has no content", c.do("GET", "/x", nil), 404, "NoSuchObject")
}

// Names and comments beyond ASCII come back to a client as it sent them.
func TestResource_names_and_comments_of_all_letters(t *testing.T) {
	c := web{t, start(t, emulator.Options{})}
	for _, name := range []string{"数据.txt", "a b;c=d.txt", `q"q'.txt`, "100%.txt", "a+b&c.txt"} {
		c.want(name, c.create(name, "file", name), 201, "")
		c.holds(name, name)
		if got := c.do("GET", "/"+url.PathEscape(name)+"?meta", nil).header.Get("x-odps-resource-name"); got != name {
			t.Errorf("name = %q, want %q", got, name)
		}
		c.want("update", c.do("PUT", "/"+url.PathEscape(name), strings.NewReader("new"), "x-odps-resource-name", name), 201, "")
		c.holds(name, "new")
	}
	c.want("encoded word", c.create("=?UTF-8?B?w6k=?=", "file", "x", "x-odps-comment", "=?UTF-8?B?w6k=?="), 201, "")
	c.holds("é", "x")
	c.want("Latin-1", c.create("latin", "file", "x", "x-odps-comment", "caf\xe9"), 201, "")
	for name, comment := range map[string]string{"é": "=?UTF-8?B?w6k=?=", "latin": "caf\xe9"} {
		if got := c.do("GET", "/"+url.PathEscape(name)+"?meta", nil).header.Get("x-odps-comment"); got != comment {
			t.Errorf("comment of %s = %q, want %q", name, got, comment)
		}
	}
	if got := c.do("GET", "", nil).body; !strings.Contains(got, "<Comment>café</Comment>") || !strings.Contains(got, "<Comment>é</Comment>") {
		t.Errorf("list: %s", got)
	}
}

// A body that ends early has no effect, wherever it is cut.
func TestResource_cut_bodies_have_no_effect(t *testing.T) {
	c := web{t, start(t, emulator.Options{})}
	c.want("create", c.create("f", "file", "old"), 201, "")
	whole := bytes.Repeat([]byte("new"), 1000)
	for _, cut := range []int{0, 1, 100, len(whole) - 1} {
		for _, target := range []string{"POST /projects/p/resources", "PUT /projects/p/resources/f", "POST /projects/p/resources?rIsPart=true"} {
			cutRequest(t, c.s, target, []string{"x-odps-resource-name: " + map[bool]string{true: "f", false: "n"}[strings.HasPrefix(target, "PUT")], "x-odps-resource-type: file"}, whole, cut)
		}
	}
	c.holds("f", "old")
	if names := c.list(""); !slices.Equal(names, []string{"f"}) {
		t.Errorf("resources: %v", names)
	}
	c.want("merge of a cut part", c.merge("POST", "n", hexMD5(string(whole))+"|n", len(whole)), 404, "NoSuchObject")
}

// While writers replace a resource by single bodies and by merges, every read is one
// version, whole.
func TestResource_readers_see_whole_versions(t *testing.T) {
	c := web{t, start(t, emulator.Options{})}
	version := func(writer, n int) string {
		return strings.Repeat(fmt.Sprintf("writer %d version %d\n", writer, n), 20_000+1000*writer)
	}
	c.want("create", c.create("f", "file", version(0, 0)), 201, "")
	var wg sync.WaitGroup
	for writer := range 4 {
		wg.Go(func() {
			for n := range 8 {
				body := version(writer, n)
				if writer%2 == 0 {
					c.want("update", c.do("PUT", "/f", strings.NewReader(body)), 201, "")
					continue
				}
				part := fmt.Sprintf("f.%d", writer)
				c.part(part, body)
				c.want("merge", c.merge("PUT", "f", hexMD5(body)+"|"+part, len(body)), 201, "")
			}
		})
	}
	for range 2 {
		wg.Go(func() {
			for range 20 {
				got := c.do("GET", "/f", nil)
				if got.status != 200 || got.header.Get("Content-MD5") != hexMD5(got.body) {
					t.Errorf("read = %d, %d bytes with MD5 %s, header says %s", got.status, len(got.body), hexMD5(got.body), got.header.Get("Content-MD5"))
				}
			}
		})
	}
	wg.Wait()
	got := c.do("GET", "/f", nil)
	for writer := range 4 {
		if got.body == version(writer, 7) {
			return
		}
	}
	t.Errorf("at the end the resource holds no writer's last version: %.60q", got.body)
}

// cutRequest announces a body and ends the connection after a part of it.
func cutRequest(t *testing.T, s *emulator.Server, target string, headers []string, body []byte, cut int) {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr())
	must(t, err)
	_, err = fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n%s\r\n\r\n%s", target, len(body), strings.Join(headers, "\r\n"), body[:cut])
	must(t, err)
	must(t, conn.(*net.TCPConn).CloseWrite())
	_, err = io.ReadAll(conn) // the answer, or nothing
	must(t, err)
	must(t, conn.Close())
}

// Bytes that changed on the disk are never sent: the answer is an error, or breaks off.
func TestResource_damage_is_never_sent(t *testing.T) {
	dir := t.TempDir()
	c := web{t, start(t, emulator.Options{DataDir: dir})}
	text := strings.Repeat("0123456789abcdef", 40_000) // three checksummed pieces
	c.want("create", c.create("f", "file", text), 201, "")
	files, err := filepath.Glob(filepath.Join(dir, "resources", "*"))
	must(t, err)
	damage := func(at int64) {
		t.Helper()
		f, err := os.OpenFile(files[0], os.O_RDWR, 0)
		must(t, err)
		_, err = f.WriteAt([]byte("x"), at)
		must(t, err)
		must(t, f.Close())
	}
	damage(int64(len(text) - 1))
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.s.Endpoint()+"/projects/p/resources/f", nil)
	must(t, err)
	res, err := http.DefaultClient.Do(r)
	must(t, err)
	got, err := io.ReadAll(res.Body)
	must(t, res.Body.Close())
	if !errors.Is(err, io.ErrUnexpectedEOF) || !strings.HasPrefix(text, string(got)) {
		t.Errorf("read of a resource with a damaged end = %d bytes, %v, want sound bytes and a broken connection", len(got), err)
	}
	if got := c.do("GET", "/f?rOffset=0&rSize=100", nil); got.status != 200 || got.body != text[:100] {
		t.Errorf("sound range = %d, %d bytes", got.status, len(got.body))
	}
	c.want("damaged range", c.do("GET", fmt.Sprintf("/f?rOffset=%d&rSize=1", len(text)-1), nil), 500, "InternalServerError")
	damage(0)
	c.want("damaged start", c.do("GET", "/f", nil), 500, "InternalServerError")
}
