package emulator_test

import (
	"bufio"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/sluice-io/sluice/emulator"
)

// raw sends a request over a connection of its own and returns the status line, the
// header lines as they came, and the body.
func raw(t *testing.T, s *emulator.Server, method, target, body string) (status string, headers []string, content string) {
	t.Helper()
	return rawWith(t, s, method, target, body)
}

// rawWith does so with more header lines.
func rawWith(t *testing.T, s *emulator.Server, method, target, body string, lines ...string) (status string, headers []string, content string) {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr())
	must(t, err)
	defer func() { must(t, conn.Close()) }()
	joined := ""
	for _, line := range lines {
		joined += line + "\r\n"
	}
	_, err = fmt.Fprintf(conn, "%s %s HTTP/1.0\r\nHost: tunnel.example:99\r\nContent-Length: %d\r\n%s\r\n%s", method, target, len(body), joined, body)
	must(t, err)
	r := bufio.NewReader(conn)
	for {
		line, err := r.ReadString('\n')
		must(t, err)
		line = strings.TrimRight(line, "\r\n")
		if line == "" {
			break
		}
		headers = append(headers, line)
	}
	rest, err := io.ReadAll(r)
	must(t, err)
	return headers[0], headers[1:], string(rest)
}

func submit(query string) string {
	return "<Instance><Job><Priority>9</Priority><Tasks><SQL><Name>N</Name><Config><Property><Name>settings</Name><Value>{\"a\":\"b\"}</Value></Property></Config><Query><![CDATA[" +
		query + "]]></Query></SQL></Tasks></Job></Instance>"
}

func TestHTTP_status_codes(t *testing.T) {
	s := start(t, emulator.Options{Projects: []string{"p"}})
	if got, _, _ := raw(t, s, "POST", "/api/projects/p/instances", submit("create table t (a bigint) partitioned by (pt string)")); got != "HTTP/1.0 201 Created" {
		t.Fatalf("submit = %s", got)
	}
	tests := []struct {
		method, target, body string
		status               int
		code                 string
	}{
		{"GET", "/api/projects/p", "", 200, ""},
		{"GET", "/projects/P", "", 200, ""},
		{"GET", "/api/projects/q", "", 404, "NoSuchProject"},
		{"GET", "/api/projects/p/tables/T", "", 200, ""},
		{"GET", "/projects/p/tables/t?curr_schema=", "", 200, ""},
		{"GET", "/projects/p/schemas/default/tables/t", "", 200, ""},
		{"GET", "/projects/p/tables/t?curr_schema=other", "", 404, "NoSuchObject"},
		{"GET", "/projects/p/tables/t?curr_schema=P", "", 200, ""}, // the JDBC driver: the project is no schema
		{"GET", "/api/connection/mcqa?quota=q&project=p", "", 200, ""},
		{"GET", "/api/connection/else", "", 404, "NoSuchPath"},
		{"GET", "/api/projects/p/tables/u", "", 404, "NoSuchObject"},
		{"GET", "/api/projects/p/tables/t?partition=pt%3D'a'", "", 404, "NoSuchPartition"},
		{"GET", "/api/projects/p/tables/t?partition=hh%3D'a'", "", 400, "InvalidPartitionSpec"},
		{"GET", "/api/projects/p/tables/t?partition=nonsense", "", 400, "InvalidPartitionSpec"},
		{"GET", "/api/projects/p/tables/t?data&linenum=3", "", 200, ""},
		{"GET", "/api/projects/p/tables/t?data&linenum=x", "", 400, "InvalidParameter"},
		{"GET", "/api/projects/p/tables/t?data&linenum=3&cols=a,nowhere", "", 400, "InvalidParameter"},
		{"GET", "/api/projects/p/tables?maxitems=x", "", 400, "InvalidParameter"},
		{"DELETE", "/api/projects/p/tables/t", "", 405, "MethodNotAllowed"},
		{"GET", "/api/projects/p/nowhere", "", 404, "NoSuchPath"},
		{"GET", "/api/nowhere", "", 404, "NoSuchPath"},
		{"GET", "/api/projects/p/instances/none", "", 404, "NoSuchObject"},
		{"PUT", "/api/projects/p/instances/none", "<Instance><Status>Terminated</Status></Instance>", 404, "NoSuchObject"},
		{"PUT", "/api/projects/p/instances/none", "<Instance><Status>Running</Status></Instance>", 400, "InvalidStateSetting"},
		{"POST", "/api/projects/p/instances", "no xml", 400, "InvalidArgument"},
		{"POST", "/api/projects/p/instances", "<Instance><Job><Tasks><Merge><Name>m</Name></Merge></Tasks></Job></Instance>", 400, "InvalidArgument"},
		{"POST", "/api/projects/p/instances", "<Instance><Job><Tasks></Tasks></Job></Instance>", 400, "InvalidArgument"},
		{"PUT", "/api/projects/p/logs", "{}", 200, ""},
		{"GET", "/api/logview/host", "", 200, ""},
		{"GET", "/api/projects/p/schemas/default", "", 200, ""},
		{"GET", "/api/projects/p/schemas/none", "", 404, "NoSuchObject"},
		{"GET", "/api/projects", "", 200, ""},
	}
	for _, tt := range tests {
		status, headers, body := raw(t, s, tt.method, tt.target, tt.body)
		if !strings.HasPrefix(status, fmt.Sprintf("HTTP/1.0 %d ", tt.status)) {
			t.Errorf("%s %s = %s %s, want %d", tt.method, tt.target, status, body, tt.status)
		}
		if !regexp.MustCompile(`(?m)^x-odps-request-id: [0-9A-F]{24}$`).MatchString(strings.Join(headers, "\n")) {
			t.Errorf("%s %s: no request id in lower case in %q", tt.method, tt.target, headers)
		}
		if tt.code == "" {
			continue
		}
		var e struct {
			XMLName   xml.Name `xml:"Error"`
			Code      string   `xml:"Code"`
			Message   string   `xml:"Message"`
			RequestID string   `xml:"RequestId"`
			HostID    string   `xml:"HostId"`
		}
		if err := xml.Unmarshal([]byte(body), &e); err != nil || e.Code != tt.code || e.Message == "" || e.RequestID == "" || e.HostID == "" {
			t.Errorf("%s %s = %s (%v), want code %s and all four children", tt.method, tt.target, body, err, tt.code)
		}
	}
}

func TestHTTP_tunnel_paths_answer_json_errors(t *testing.T) {
	s := start(t, emulator.Options{Projects: []string{"p"}})
	for _, target := range []string{
		"/projects/q/tables/t?uploads=", "/projects/q/tables/t?uploads", "/projects/q/schemas/s/tables/t?downloads=1", "/api/projects/q/tables/t?uploadid=x",
		"/projects/q/tables/t/streams", "/projects/q/instances/i?downloads", "/projects/q/instances/i?downloadid=d&data",
	} {
		status, _, body := raw(t, s, "POST", target, "")
		var e map[string]string
		if err := json.Unmarshal([]byte(body), &e); err != nil || e["Code"] != "NoSuchProject" || e["Message"] == "" || e["RequestId"] == "" || !strings.Contains(status, "404") {
			t.Errorf("POST %s = %s %s (%v), want a JSON error NoSuchProject", target, status, body, err)
		}
	}
}

func TestHTTP_auth_errors_have_the_form_of_the_half(t *testing.T) {
	s := start(t, emulator.Options{AccessID: "ak", AccessKey: "sk"})
	if status, _, body := raw(t, s, "GET", "/api/projects/p", ""); !strings.Contains(status, "401") || !strings.Contains(body, "<Code>AuthorizationRequired</Code>") {
		t.Errorf("unsigned REST request = %s %s", status, body)
	}
	if status, _, body := raw(t, s, "POST", "/projects/p/tables/t?uploads", ""); !strings.Contains(status, "401") || !strings.Contains(body, `"Code":"AuthorizationRequired"`) {
		t.Errorf("unsigned tunnel request = %s %s", status, body)
	}
	if status, _, _ := raw(t, s, "GET", "/healthz", ""); !strings.Contains(status, "200") {
		t.Errorf("healthz = %s, want 200 without a signature", status)
	}
}

func TestHTTP_tunnel_lookup_echoes_the_host(t *testing.T) {
	s := start(t, emulator.Options{})
	_, headers, body := raw(t, s, "GET", "/api/projects/p/tunnel?service", "")
	if body != "tunnel.example:99" {
		t.Errorf("tunnel lookup = %q, want the Host header", body)
	}
	if !strings.Contains(strings.Join(headers, "\n"), "Content-Type: text/plain; charset=utf-8") {
		t.Errorf("no character set in %q: one client would read texts as Latin-1", headers)
	}
}

func TestHTTP_instance_life(t *testing.T) {
	s := start(t, emulator.Options{})
	status, headers, body := raw(t, s, "POST", "/api/projects/p/instances", submit("create table t (a bigint)"))
	if status != "HTTP/1.0 201 Created" || body != "" {
		t.Fatalf("submit = %s %q, want 201 and an empty body", status, body)
	}
	location := regexp.MustCompile(`(?m)^Location: .*/instances/(\w+)$`).FindStringSubmatch(strings.Join(headers, "\n"))
	if location == nil {
		t.Fatalf("no Location in %q", headers)
	}
	path := "/api/projects/p/instances/" + location[1]
	for query, want := range map[string]string{
		"":                              "<Instance><Status>Terminated</Status></Instance>",
		"?taskstatus":                   "<Status>Success</Status><Histories></Histories></Task>",
		"?result":                       `<Result Format="text"></Result>`,
		"?source":                       "<Job><Priority>9</Priority><Tasks><SQL><Name>N</Name><Config><Property><Name>settings</Name><Value>{&#34;a&#34;:&#34;b&#34;}</Value></Property></Config><Query><![CDATA[create table t (a bigint)]]></Query></SQL></Tasks></Job>",
		"?instanceprogress&taskname=N":  `<Progress><Stage ID="M1"><Status>Success</Status>`,
		"?instancesummary&taskname=N":   `{"Instance":{"JsonSummary":"{\"Cost\":{`,
		"?instancedetail&taskname=N":    `"Status":"Terminated"`,
		"?detail&taskname=N":            `"tasks":[{"instances":[{"endTime":`,
		"?cached":                       `"instancePriority":9,"instanceProcess":100,`,
		"?info&taskname=N&key=warnings": `{"warnings":[]}`,
	} {
		if status, _, body := raw(t, s, "GET", path+query, ""); !strings.Contains(status, "200") || !strings.Contains(body, want) {
			t.Errorf("GET instance%s = %s %s\nwant %s", query, status, body, want)
		}
	}
	_, headers, _ = raw(t, s, "GET", path, "")
	for _, name := range []string{"x-odps-owner: ", "x-odps-start-time: ", "x-odps-end-time: "} {
		if !strings.Contains(strings.Join(headers, "\n"), name) {
			t.Errorf("GET instance has no header %sin %q", name, headers)
		}
	}
}

func TestHTTP_try_wait_answers_at_once(t *testing.T) {
	s := start(t, emulator.Options{})
	status, headers, body := raw(t, s, "POST", "/api/projects/p/instances?tryWait", submit("drop table t"))
	if !strings.Contains(status, "200") || !strings.Contains(strings.Join(headers, "\n"), "Location: ") ||
		!strings.Contains(body, "<Status>Failed</Status>") || !strings.Contains(body, "ODPS-0130131:p.t: table not found") {
		t.Errorf("submit with tryWait = %s %q %s", status, headers, body)
	}
}

func TestHTTP_repeated_submission_is_one_instance(t *testing.T) {
	s := start(t, emulator.Options{})
	body := strings.Replace(submit("create table t (a bigint)"), "<Priority>", "<Guid>g</Guid><Priority>", 1)
	location := func() string {
		_, headers, _ := raw(t, s, "POST", "/api/projects/p/instances", body)
		return regexp.MustCompile(`Location: \S+`).FindString(strings.Join(headers, "\n"))
	}
	if a, b := location(), location(); a != b || a == "" {
		t.Errorf("two submissions of one Guid gave %q and %q", a, b)
	}
}

func TestHTTP_table_json_has_what_clients_index(t *testing.T) {
	s := start(t, emulator.Options{})
	raw(t, s, "POST", "/api/projects/p/instances", submit("create table t (id bigint not null, `D` decimal(10,2) default 1, primary key (id)) partitioned by (pt string) tblproperties ('transactional'='true')"))
	_, headers, body := raw(t, s, "GET", "/api/projects/p/tables/t?extended", "")
	var table struct {
		Schema string `xml:"Schema"`
	}
	must(t, xml.Unmarshal([]byte(body), &table))
	var got map[string]any
	must(t, json.Unmarshal([]byte(table.Schema), &got))
	columns, _ := got["columns"].([]any)
	if len(columns) != 2 {
		t.Fatalf("columns = %v", got["columns"])
	}
	for i, want := range []map[string]any{
		{"name": "id", "type": "bigint", "isNullable": false, "hasDefaultValue": false},
		{"name": "d", "type": "decimal(10,2)", "isNullable": true, "hasDefaultValue": true, "defaultValue": "1"},
	} {
		for key, value := range want {
			if column := columns[i].(map[string]any); column[key] != value {
				t.Errorf("column %d: %s = %v, want %v", i, key, column[key], value)
			}
		}
	}
	if keys, _ := got["partitionKeys"].([]any); len(keys) != 1 {
		t.Errorf("partitionKeys = %v", got["partitionKeys"])
	}
	reserved, ok := got["Reserved"].(string)
	var inner map[string]any
	if err := json.Unmarshal([]byte(reserved), &inner); !ok || err != nil || inner["Transactional"] != "true" || inner["schema_version"] != "0" || inner["BucketNum"] != 16.0 {
		t.Errorf("Reserved = %v, %v", got["Reserved"], err)
	}
	for _, name := range []string{"createTime", "lastModifiedTime", "lastDDLTime"} {
		if seconds, ok := got[name].(float64); !ok || seconds != float64(int64(seconds)) || seconds < 1e9 {
			t.Errorf("%s = %v, want unix seconds", name, got[name])
		}
	}
	for _, name := range []string{"x-odps-owner", "x-odps-creation-time", "Last-Modified"} {
		if !strings.Contains(strings.Join(headers, "\n"), name+": ") {
			t.Errorf("no header %s in %q", name, headers)
		}
	}
	if _, unwanted := got["props"]; unwanted {
		t.Error("props is there; two clients disagree on its type")
	}
}

func TestHTTP_large_body_is_refused(t *testing.T) {
	s := start(t, emulator.Options{})
	res, err := http.Post("http://"+s.Addr()+"/api/projects/p/instances", "application/xml", strings.NewReader(strings.Repeat("x", 17<<20)))
	if err == nil {
		defer func() { must(t, res.Body.Close()) }()
		if res.StatusCode != http.StatusBadRequest {
			t.Errorf("17 MiB of SQL = %s, want 400", res.Status)
		}
	}
}

func TestServer_intercept(t *testing.T) {
	var lose bool
	s := start(t, emulator.Options{Intercept: func(r *http.Request) emulator.Action {
		if r.URL.Query().Has("uploads") {
			return emulator.Action{Refuse: &emulator.Refusal{Status: 429, Code: "FlowExceeded", Message: "slow down"}}
		}
		return emulator.Action{DropReply: lose && r.Method == http.MethodPost}
	}})
	if status, _, body := raw(t, s, "POST", "/projects/p/tables/t?uploads", ""); !strings.Contains(status, "429") || !strings.Contains(body, "FlowExceeded") {
		t.Errorf("refused request = %s %s", status, body)
	}
	lose = true
	if res, err := http.Post("http://"+s.Addr()+"/api/projects/p/instances", "application/xml", strings.NewReader(submit("create table t (a bigint)"))); err == nil {
		must(t, res.Body.Close())
		t.Errorf("request whose answer is lost = %s, want a broken connection", res.Status)
	}
	if status, _, _ := raw(t, s, "GET", "/api/projects/p/tables/t", ""); !strings.Contains(status, "200") {
		t.Errorf("table of the request whose answer was lost = %s, want 200: the effect stands", status)
	}
}

func TestServer_close_ends_silent_connections(t *testing.T) {
	s := start(t, emulator.Options{})
	conn, err := net.Dial("tcp", s.Addr()) // sends nothing
	must(t, err)
	defer func() { must(t, conn.Close()) }()
	raw(t, s, "GET", "/healthz", "")
	must(t, s.Close())
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("the silent connection is still open after Close")
	}
}

func TestHTTP_show_and_desc(t *testing.T) {
	s := start(t, emulator.Options{})
	text := func(query string) string {
		_, _, body := raw(t, s, "POST", "/api/projects/p/instances?tryWait", submit(query))
		var got struct {
			Status string `xml:"Tasks>Task>Status"`
			Result string `xml:"Tasks>Task>Result"`
		}
		must(t, xml.Unmarshal([]byte(body), &got))
		if got.Status != "Success" {
			t.Errorf("%s = %s", query, body)
		}
		return got.Result
	}
	text("create table ab (id bigint comment 'the key') comment 'c' partitioned by (pt string) lifecycle 5")
	text("create table b (id bigint)")
	text("alter table ab add partition (pt='x') partition (pt='y')")
	for query, want := range map[string]string{
		"show tables":                             "ALIYUN$local:ab\nALIYUN$local:b\n",
		"show tables in p like 'A*'":              "ALIYUN$local:ab\n",
		"show tables in nowhere":                  "",
		"show partitions ab":                      "pt=x\npt=y\n",
		"show partitions p.ab partition (pt='y')": "pt=y\n",
	} {
		if got := text(query); got != want {
			t.Errorf("%s = %q, want %q", query, got, want)
		}
	}
	table := text("desc extended ab")
	for _, want := range []string{"Project: p", "TableComment: c", "Lifecycle: 5", "| id              | bigint     |       | the key", "Partition Columns:", "| pt              | string", "RecordNum: 0"} {
		if !strings.Contains(table, want) {
			t.Errorf("desc = %s\nwant %q in it", table, want)
		}
	}
	if got := text("desc ab partition (pt='x')"); !strings.Contains(got, "PartitionSize: 0 | RecordNum: 0") {
		t.Errorf("desc of a partition = %s", got)
	}
	if _, _, body := raw(t, s, "POST", "/api/projects/p/instances?tryWait", submit("desc nowhere")); !strings.Contains(body, "ODPS-0130131") {
		t.Errorf("desc of no table = %s", body)
	}
}
