package emulator

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// FuzzRequest sends any request to the whole server. OPEN, STREAM, DOWNLOAD and INSTANCE in the target stand for what is there. No
// request panics, is answered 5xx, or gets an error that has not the form of its half (protocol section 3).
func FuzzRequest(f *testing.F) {
	s, err := New(Options{DataDir: f.TempDir(), Projects: []string{"p"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		if err := s.Close(); err != nil {
			f.Error(err)
		}
	})
	names := strings.NewReplacer(fuzzEstate(f, s)...)
	for _, seed := range fuzzRequests {
		f.Add(seed[0], seed[1], seed[2], []byte(seed[3]))
	}
	f.Fuzz(func(t *testing.T, method, target, header string, body []byte) {
		request := fuzzRequest(method, names.Replace(target), header, body)
		if request == nil {
			return // net/http would not have let it through
		}
		if err := misbehaviour(request, fuzzServe(s, request)); err != nil {
			t.Errorf("%s %s %s: %v", method, target, header, err)
		}
	})
}

// fuzzRequest makes a request as net/http would have, nil if it would have refused. header is lines `Name: value`.
func fuzzRequest(method, target, header string, body []byte) *http.Request {
	at, err := url.ParseRequestURI(target)
	if err != nil || !strings.HasPrefix(target, "/") {
		return nil
	}
	request, err := http.NewRequest(method, "http://h:1/", bytes.NewReader(body)) //nolint:noctx // no network
	if err != nil {
		return nil
	}
	request.URL, request.RequestURI = at, target
	for line := range strings.SplitSeq(header, "\n") {
		if name, value, ok := strings.Cut(line, ": "); ok {
			request.Header.Set(name, value)
		}
	}
	return request
}

// fuzzServe answers a request; nil where the server breaks the connection on purpose.
func fuzzServe(s *Server, request *http.Request) (answer *httptest.ResponseRecorder) {
	answer = httptest.NewRecorder()
	defer func() {
		if cause := recover(); cause != nil {
			if err, ok := cause.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
				panic(cause)
			}
			answer = nil
		}
	}()
	s.serveHTTP(answer, request)
	return answer
}

// misbehaviour says what no request may get.
func misbehaviour(request *http.Request, answer *httptest.ResponseRecorder) error {
	if answer == nil {
		return nil
	}
	id := strings.Join(map[string][]string(answer.Header())[requestID], "")
	switch {
	case id == "":
		return errors.New("no request id")
	case answer.Code < 400:
		return nil
	case answer.Code >= 500:
		return fmt.Errorf("answered %d %s", answer.Code, answer.Body)
	}
	var got struct {
		XMLName                          xml.Name `json:"-" xml:"Error"`
		Code, Message, RequestId, HostId string
	}
	tunnel, _ := target(request)
	unmarshal, hasHost := xml.Unmarshal, true
	if tunnel {
		unmarshal, hasHost = json.Unmarshal, false
	}
	if err := unmarshal(answer.Body.Bytes(), &got); err != nil || got.Code == "" || got.Message == "" || got.RequestId != id || hasHost && got.HostId == "" {
		return fmt.Errorf("answered %d %s, which is no error of its half: %w", answer.Code, answer.Body, err)
	}
	return nil
}

// fuzzEstate makes something of every kind and returns the replacements of names.
func fuzzEstate(f *testing.F, s *Server) []string {
	call := func(method, target, header, body string) *httptest.ResponseRecorder {
		answer := fuzzServe(s, fuzzRequest(method, target, header, []byte(body)))
		if answer == nil || answer.Code/100 != 2 {
			f.Fatalf("%s %s: %v", method, target, answer)
		}
		return answer
	}
	field := func(method, target, key string) string {
		var got map[string]any
		body := call(method, target, "", "").Body.Bytes()
		if err := json.Unmarshal(body, &got); err != nil {
			f.Fatalf("%s %s: %s", method, target, body)
		}
		return fmt.Sprint(got[key])
	}
	var instance string
	for _, query := range []string{"create table t (id bigint, name string)", "create table pt (v bigint) partitioned by (p string)", "alter table pt add partition (p='a')"} {
		location := call("POST", "/api/projects/p/instances", "", fuzzSubmit(query)).Header().Get("Location")
		instance = location[strings.LastIndexByte(location, '/')+1:]
	}
	call("POST", "/api/projects/p/resources", "x-odps-resource-type: file\nx-odps-resource-name: r", "content")
	call("POST", "/api/projects/p/registration/functions", "", "<Function><Alias>f</Alias><ClassType>r.F</ClassType></Function>")
	return []string{
		"OPEN", field("POST", "/projects/p/tables/t?uploads", "UploadID"), "STREAM", field("POST", "/projects/p/tables/t/streams", "session_name"),
		"DOWNLOAD", field("POST", "/projects/p/tables/t?downloads", "DownloadID"), "INSTANCE", instance,
	}
}

func fuzzSubmit(query string) string {
	var out strings.Builder
	_, _ = io.WriteString(&out, "<Instance><Job><Tasks><SQL><Name>N</Name><Config><Property><Name>settings</Name><Value>{}</Value></Property></Config><Query>")
	if err := xml.EscapeText(&out, []byte(query)); err != nil {
		panic(err) // the builder takes everything
	}
	return out.String() + "</Query></SQL></Tasks></Job></Instance>"
}

// fuzzRequests are method, target, header lines and body of a request to every route.
var fuzzRequests = [][4]string{
	{"GET", "/healthz", "", ""},
	{"GET", "/api/tenants", "", ""},
	{"GET", "/api/quotas/q?version=wlm", "", ""},
	{"GET", "/logview/host", "", ""},
	{"GET", "/api/logview?h=x&p=p&i=INSTANCE&token=t", "", ""},
	{"GET", "/api/projects?maxitems=1&marker=MXA", "", ""},
	{"GET", "/api/projects/p?properties=all&extended", "", ""},
	{"PUT", "/api/projects/p", "", "<Project><Comment>c</Comment><Properties><Property><Name>a</Name><Value>b</Value></Property></Properties></Project>"},
	{"GET", "/api/projects/p/tunnel?service", "", ""},
	{"PUT", "/api/projects/p/logs", "", "{}"},
	{"POST", "/api/projects/p/authorization", "", "<Authorization><Query>whoami</Query><ResponseInJsonFormat>true</ResponseInJsonFormat></Authorization>"},
	{"POST", "/api/projects/p/authorization?sign_bearer_token", "", `{"expires_in_hours":1,"policy":{}}`},
	{"POST", "/api/projects/p/schemas", "", "<Schema><Name>s</Name><Project>p</Project></Schema>"},
	{"DELETE", "/api/projects/p/schemas/s", "", ""},
	{"GET", "/api/projects/p/tables?expectmarker=true&name=t&owner=o&type=MANAGED_TABLE&maxitems=1&curr_schema=", "", ""},
	{"GET", "/api/projects/p/tables/t?extended", "", ""},
	{"GET", "/api/projects/p/tables/t?data&linenum=3&cols=id", "", ""},
	{"POST", "/api/projects/p/tables?query", "", "<Tables><Table><Project>p</Project><Name>t</Name><Schema></Schema></Table></Tables>"},
	{"GET", "/api/projects/p/tables/pt?partitions&maxitems=1&marker=MXA9YQ&partition=p='a'&reverse", "", ""},
	{"GET", "/api/projects/p/tables/pt?partition=p='a'&extended", "", ""},
	{"POST", "/api/projects/p/instances?tryWait", "", fuzzSubmit("alter table pt add if not exists partition (p='b')")},
	{"POST", "/api/projects/p/instances", "", fuzzSubmit("insert into t values (1, 'a');")},
	{"GET", "/api/projects/p/instances?onlyowner=yes&status=Running&daterange=1:2&maxitems=1", "", ""},
	{"GET", "/api/projects/p/instances/INSTANCE?result", "", ""},
	{"GET", "/api/projects/p/instances/INSTANCE?instanceprogress&taskname=N", "", ""},
	{"PUT", "/api/projects/p/instances/INSTANCE", "", "<Instance><Status>Terminated</Status></Instance>"},
	{"GET", "/api/projects/p/resources?name=r&maxitems=1", "", ""},
	{"GET", "/api/projects/p/resources/r?rOffset=1&rSize=2", "", ""},
	{"PUT", "/api/projects/p/resources/r", "x-odps-resource-type: file\nx-odps-comment: c\nContent-MD5: 9a0364b9e99bb480dd25e1f0284c8555", "content"},
	{"POST", "/api/projects/p/resources?rIsPart=true", "x-odps-resource-type: file\nx-odps-resource-name: r.part.tmp.000000", "part"},
	{"POST", "/api/projects/p/resources?rOpMerge=true", "x-odps-resource-type: jar\nx-odps-resource-name: n\nx-odps-resource-merge-total-bytes: 4", "3b0cc4cb1fb35e1be8f9a6a6ee1d8b6a|r.part.tmp.000000"},
	{"POST", "/api/projects/p/resources", "x-odps-resource-type: table\nx-odps-resource-name: tr\nx-odps-copy-table-source: p.pt partition(p='a')", ""},
	{"PUT", "/api/projects/p/registration/functions/f", "", "<Function><Alias>f</Alias><ClassType>r.G</ClassType><Resources><ResourceName>p/resources/r</ResourceName></Resources></Function>"},
	{"POST", "/projects/p/tables/pt?uploads&partition=p=a,q=b&overwrite=true&create_partition=true", "", ""},
	{"PUT", "/projects/p/tables/t?uploadid=OPEN&blockid=1&block_version=2", "", "\x08\x32\x12\x05Apple\x80\xc0\xff\x7f\x00\xf0\xff\xff\x7f\x02\xf8\xff\xff\x7f\x00"},
	{"PUT", "/projects/p/tables/t?uploadid=OPEN&blockid=2", "Content-Encoding: deflate", "\x78\x9c\xfb\xf0\xff\x7f\x3d\xc3\x87\xff\xff\xeb\x19\x00"},
	{"PUT", "/projects/p/tables/t?uploadid=OPEN&blockid=3&arrow", "Content-Encoding: zstd", "\x28\xb5\x2f\xfd\x04\x00\x01\x00\x00"},
	{"PUT", "/projects/p/tables/t?uploadid=OPEN&blockid=4&arrow", "", "\x00\x01\x00\x00\x00\x00\x00\x00"},
	{"POST", "/projects/p/tables/t?uploadid=OPEN", "", ""},
	{"GET", "/projects/p/schemas/default/tables/t?downloadid=DOWNLOAD&data&rowrange=(0,10)&columns=id,name&arrow", "Accept-Encoding: deflate", ""},
	{"POST", "/projects/p/tables/t/streams?create_partition=true&schema_version=0&zorder_columns=id", "odps-tunnel-slot-num: 2", ""},
	{"PUT", "/projects/p/tables/t/streams?uploadid=STREAM&slotid=0&schema_version=0&record_count=0&check_latest_schema=true", "", "\xf0\xff\xff\x7f\x00\xf8\xff\xff\x7f\x00"},
	{"GET", "/projects/p/schemas/default/tables/t/preview?limit=-1&columns=id", "Accept-Encoding: ZSTD", ""},
	{"POST", "/projects/p/instances/INSTANCE?downloads&instance_tunnel_limit_enabled", "", ""},
	{"GET", "/projects/p/instances/INSTANCE?cached&taskname=&queryid=0&data&schema_in_stream", "", ""},
	{"POST", "/mcqa/projects/p/instances", "x-odps-mcqa-conn: c", fuzzSubmit("show tables")},
	{"POST", "/api/storage/v1/projects/p/schemas/default/tables/t/sessions?session_type=batch_read", "", `{"RequiredDataColumns":["id"],"SplitOptions":{"SplitMode":"RowOffset"},"FilterPredicate":"id > 1"}`},
	{"POST", "/api/storage/v1/projects/p/schemas/default/tables/t/sessions?session_type=batch_write", "", "{}"},
	{"GET", "/api/storage/v1/projects/p/tables/t/data?session_id=x&max_batch_rows=1&split_index=0", "Accept-Encoding: ZSTD", ""},
}
