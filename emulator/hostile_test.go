package emulator_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/sluice-io/sluice/emulator"
)

// This file holds what the tests of hostile input share: a server with something of every kind on it, a fingerprint of all that,
// and the rules that every refusal obeys (protocol section 3).

// estate is a server on which there is something to damage.
type estate struct {
	*testing.T
	server *emulator.Server
	client http.Client
	// open is an upload session of golden with block 0, other one of ints; closed is committed.
	open, other, closed, stream, download string
	instance                              string
}

const (
	goldenTable = "/projects/p/tables/golden"
	intsTable   = "/projects/p/tables/ints"
)

// newEstate makes tables golden, ints and parts, sessions on them, a resource, a function, a schema and an instance.
func newEstate(t *testing.T) *estate {
	e := &estate{T: t, server: start(t, emulator.Options{DataDir: t.TempDir(), Projects: []string{"p"}})}
	t.Cleanup(e.client.CloseIdleConnections)
	for _, query := range []string{
		"create table golden (id bigint, name string, price double, ok boolean)",
		"create table ints (v int not null)",
		"create table parts (v bigint) partitioned by (pt string, hh bigint)",
		"alter table parts add partition (pt='a', hh='1')",
		"create table tiny (v tinyint, c char(2), d decimal(4,2), j json)",
	} {
		e.want(http.StatusCreated, "POST", "/api/projects/p/instances", submit(query))
	}
	e.open = e.session("POST", goldenTable+"?uploads", "UploadID")
	e.want(http.StatusOK, "PUT", goldenTable+"?blockid=0&uploadid="+e.open, goldenRecords)
	e.other = e.session("POST", intsTable+"?uploads", "UploadID")
	e.closed = e.session("POST", goldenTable+"?uploads", "UploadID")
	e.want(http.StatusOK, "PUT", goldenTable+"?blockid=0&uploadid="+e.closed, goldenRecords)
	e.want(http.StatusOK, "POST", goldenTable+"?uploadid="+e.closed, "")
	e.stream = e.session("POST", goldenTable+"/streams", "session_name")
	e.download = e.session("POST", goldenTable+"?downloads", "DownloadID")
	resource := []string{"x-odps-resource-type: file", "x-odps-resource-name: r.txt"}
	e.want(http.StatusCreated, "POST", "/api/projects/p/resources", "content", resource...)
	e.want(http.StatusCreated, "POST", "/api/projects/p/resources?rIsPart=true", "part", "x-odps-resource-type: file", "x-odps-resource-name: r.part.tmp.000000")
	e.want(http.StatusCreated, "POST", "/api/projects/p/registration/functions", "<Function><Alias>f</Alias><ClassType>r.F</ClassType><Resources><ResourceName>p/resources/r.txt</ResourceName></Resources></Function>")
	e.want(http.StatusCreated, "POST", "/api/projects/p/schemas", "<Schema><Name>s</Name><Project>p</Project></Schema>")
	_, header, _ := e.send("POST", "/api/projects/p/instances", submit("show tables"))
	e.instance = header.Get("Location")[strings.LastIndexByte(header.Get("Location"), '/')+1:]
	return e
}

// The record and Arrow bodies of one row of golden, from the protocol, sections 13 and 14.
var (
	goldenRecords = unhex("0832 12054170706c65 190000000000001440 2000 80c0ff7fe8b188d306 f0ffff7f02 f8ffff7f8f8fb9a807")
	goldenArrow   = unhex(`00010000ffffffff2801000014000000000000000c001600140013000c0004000c0000002800000000000000140000000000000304000a0018000c00080004000a00000014000000a8000000010000000000000000000000090000000000000000000000
00000000000000000000000000000000080000000000000008000000000000000000000000000000080000000000000008000000000000001000000000000000050000000000000018000000000000000000000000000000180000000000000008000000000000002000000000000000000000000000000020000000000000000100000000000000000000000400000001
000000000000000000000000000000010000000000000000000000000000000100000000000000000000000000000001000000000000000000000000000000190000000000000000000000050000004170706c6500000000000000000014400000000000000000a7cfdfe0`)
)

func unhex(text string) string {
	b, err := hex.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		panic(err)
	}
	return string(b)
}

// send makes a request; lines are headers, `Name: value`.
func (e *estate) send(method, target, body string, lines ...string) (status int, header http.Header, answer string) {
	e.Helper()
	request, err := http.NewRequestWithContext(e.Context(), method, "http://"+e.server.Addr(), strings.NewReader(body))
	must(e.T, err)
	request.URL.Opaque = "//" + e.server.Addr() + target // as it is, whatever is wrong with it
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		request.Header.Set(name, value)
	}
	response, err := e.client.Do(request)
	if err != nil {
		e.Fatalf("%s %s: %v: the server broke the connection", method, target, err)
	}
	text, err := io.ReadAll(response.Body)
	must(e.T, err)
	must(e.T, response.Body.Close())
	return response.StatusCode, response.Header, string(text)
}

func (e *estate) want(status int, method, target, body string, lines ...string) string {
	e.Helper()
	got, _, answer := e.send(method, target, body, lines...)
	if got != status {
		e.Fatalf("%s %s = %d %s, want %d", method, target, got, answer, status)
	}
	return answer
}

// session makes a session and returns the value of a key of the answer.
func (e *estate) session(method, target, key string) string {
	e.Helper()
	status, _, answer := e.send(method, target, "")
	var got map[string]any
	if err := json.Unmarshal([]byte(answer), &got); err != nil || status/100 != 2 || got[key] == "" {
		e.Fatalf("%s %s = %d %s", method, target, status, answer)
	}
	return got[key].(string)
}

// whatPasses are parts of answers that time or a session of the fingerprint's own changes.
var whatPasses = regexp.MustCompile(`"DownloadID":"[^"]*"|"Initiated":"[^"]*"`)

// fingerprint is everything on the server that a request could have changed, as clients see it.
func (e *estate) fingerprint() string {
	e.Helper()
	var all bytes.Buffer
	for _, target := range []string{
		"/api/projects/p?properties=all", "/api/projects/p/tables?expectmarker=true", "/api/projects/p/tables?curr_schema=s", "/api/projects/p/schemas",
		"/api/projects/p/tables/golden?extended", "/api/projects/p/tables/ints", "/api/projects/p/tables/parts", "/api/projects/p/tables/tiny",
		"/api/projects/p/tables/parts?partitions", "/api/projects/p/tables/golden?data&linenum=100",
		"/api/projects/p/resources", "/api/projects/p/resources/r.txt", "/api/projects/p/registration/functions", "/api/projects/p/registration/functions/f",
		goldenTable + "?uploadid=" + e.open, intsTable + "?uploadid=" + e.other, goldenTable + "?uploadid=" + e.closed,
		goldenTable + "/streams?uploadid=" + e.stream, goldenTable + "?downloadid=" + e.download + "&data&rowrange=(0,9)",
	} {
		fmt.Fprintf(&all, "%s\n%s\n", target, e.want(http.StatusOK, "GET", target, ""))
	}
	for _, table := range []string{goldenTable, intsTable, "/projects/p/tables/tiny"} {
		_, _, answer := e.send("POST", table+"?downloads", "")
		fmt.Fprintf(&all, "%s\n%s\n", table, answer)
	}
	return whatPasses.ReplaceAllString(all.String(), "")
}

// hostile is one bad request and its answer; xml tells the form of the error.
type hostile struct {
	method, target, body string
	headers              []string
	status               int
	code                 string
}

// refuse sends each request and checks the answer, and that nothing changed.
func (e *estate) refuse(xmlForm bool, cases []hostile) {
	e.Helper()
	before := e.fingerprint()
	for _, c := range cases {
		name := fmt.Sprintf("%s %s %q", c.method, strings.NewReplacer(e.open, "OPEN", e.other, "OTHER", e.closed, "CLOSED", e.stream, "STREAM", e.download, "DOWNLOAD").Replace(c.target), brief(c.body))
		status, header, answer := e.send(c.method, c.target, c.body, c.headers...)
		if status != c.status {
			e.Errorf("%s = %d %s, want %d %s", name, status, answer, c.status, c.code)
		}
		if code, err := errorCode(header, answer, xmlForm && c.method != http.MethodHead); err != nil {
			e.Errorf("%s = %d %s: %v", name, status, answer, err)
		} else if code != c.code {
			e.Errorf("%s = %d %s, want the code %s", name, status, answer, c.code)
		}
		if after := e.fingerprint(); after != before {
			e.Fatalf("%s has changed something: %s", name, difference(before, after))
		}
	}
}

func brief(text string) string {
	if len(text) > 120 {
		return text[:120] + "…"
	}
	return text
}

// difference is the first line that is not the same.
func difference(before, after string) string {
	a, b := strings.Split(before, "\n"), strings.Split(after, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("before\n%s\nafter\n%s", a[i], b[i])
		}
	}
	return "its length"
}

// errorCode reads the code of an error, and finds fault with its form.
func errorCode(header http.Header, answer string, xmlForm bool) (string, error) {
	id := strings.Join(map[string][]string(header)["X-Odps-Request-Id"], "") // Go's client writes names its own way
	if id == "" {
		return "", fmt.Errorf("no x-odps-request-id in %v", header)
	}
	var got struct {
		XMLName                          xml.Name `xml:"Error" json:"-"`
		Code, Message, RequestId, HostId string
	}
	var err error
	if xmlForm {
		err = xml.Unmarshal([]byte(answer), &got)
	} else {
		err = json.Unmarshal([]byte(answer), &got)
	}
	switch {
	case err != nil:
		return "", fmt.Errorf("no error of the form of this half: %w", err)
	case got.Code == "" || got.Message == "" || xmlForm && got.HostId == "":
		return "", fmt.Errorf("the error lacks something")
	case got.RequestId != id:
		return "", fmt.Errorf("the error's request id is %s, the header's %s", got.RequestId, id)
	}
	return got.Code, nil
}
