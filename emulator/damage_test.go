package emulator_test

import (
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluice-io/sluice/emulator"
)

// A damaged segment is a 500 that says so before the first row, as records and as Arrow; where
// the answer has begun, the log tells why it broke off. The
// log has the code of every refusal, and its text if that cannot hold rows.
func TestTunnel_says_what_is_damaged(t *testing.T) {
	dir := t.TempDir()
	e := &estate{T: t, server: start(t, emulator.Options{DataDir: dir, Projects: []string{"p"}})}
	e.want(http.StatusCreated, "POST", "/api/projects/p/instances", submit("create table golden (id bigint, name string, price double, ok boolean)"))
	upload := e.session("POST", goldenTable+"?uploads", "UploadID")
	e.want(http.StatusOK, "PUT", goldenTable+"?blockid=0&uploadid="+upload, goldenRecords)
	e.want(http.StatusOK, "POST", goldenTable+"?uploadid="+upload, "")
	must(t, e.server.Close())
	files, err := filepath.Glob(filepath.Join(dir, "segments", "*.seg"))
	must(t, err)
	for _, file := range files {
		data, err := os.ReadFile(file)
		must(t, err)
		data[70] ^= 1
		must(t, os.WriteFile(file, data, 0o644))
	}
	var out lines
	e.server = start(t, emulator.Options{DataDir: dir, Projects: []string{"p"}, Logger: slog.New(slog.NewJSONHandler(&out, nil))})
	session := e.session("POST", goldenTable+"?downloads", "DownloadID")
	for _, form := range []string{"", "&arrow"} {
		answer := e.want(http.StatusInternalServerError, "GET", goldenTable+"?data&downloadid="+session+form, "")
		if !strings.Contains(answer, "segment data is damaged") {
			t.Errorf("data%s = %s, want words about the damage", form, answer)
		}
	}
	e.want(http.StatusNotFound, "GET", "/projects/p/tables/none", "")
	e.want(http.StatusBadRequest, "POST", goldenTable+"?downloads&partition=pt=secret", "")
	response, err := http.Get("http://" + e.server.Addr() + goldenTable + "/preview")
	if err == nil {
		_, err = io.ReadAll(response.Body)
		must(t, response.Body.Close())
	}
	if err == nil {
		t.Error("the preview of a damaged segment came whole")
	}
	must(t, e.server.Close()) // the line is written when the request is over
	if m := out.find(t, goldenTable+"/preview"); m["broken"] != true || m["level"] != "WARN" || !strings.Contains(m["cause"].(string), "segment data is damaged") {
		t.Errorf("log of the preview = %v, want the cause", m)
	}
	for _, want := range []struct {
		query, level, code, text string // text "" = no err: it could quote rows
		path                     string
	}{
		{path: goldenTable, query: "data&downloadid=" + session, level: "WARN", code: "InternalServerError", text: "segment data is damaged"},
		{path: "/projects/p/tables/none", level: "INFO", code: "NoSuchObject", text: "p.none"},
		{path: goldenTable, query: "downloads&partition=pt=secret", level: "INFO", code: "InvalidPartitionSpec"},
	} {
		m := out.findQuery(t, want.path, want.query)
		text, told := m["err"].(string)
		if m["level"] != want.level || m["code"] != want.code || told != (want.text != "") || !strings.Contains(text, want.text) {
			t.Errorf("log of %s?%s = %v, want %+v", want.path, want.query, m, want)
		}
	}
}
