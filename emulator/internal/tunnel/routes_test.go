package tunnel_test

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sluice-io/sluice/emulator/internal/store"
	"github.com/sluice-io/sluice/emulator/internal/tunnel"
)

// The paths of a table look the same: method and parameters together say what is meant,
// and what they do not say is refused without an effect. Sessions named here are live, so
// that a route taken by mistake answers something else.
func TestUnservedRoutesAreRefused(t *testing.T) {
	e := start(t, func(_ *store.Options, o *tunnel.Options) { o.Results = results{"i": tenRows(2)} })
	e.create(t, "t", "id bigint", "")
	up, down := e.session(t, table+"?uploads", "UploadID"), e.session(t, table+"?downloads", "DownloadID")
	const inst = "/projects/p/instances/i"
	res := e.session(t, inst+"?downloads", "DownloadID")
	stream := e.session(t, table+"/streams", "session_name")
	u, d, r := "uploadid="+up, "downloadid="+down, "downloadid="+res
	for _, line := range []string{
		"GET " + table, "POST " + table, "PUT " + table, "DELETE " + table + "?uploads",
		"GET " + table + "?uploads", "PUT " + table + "?uploads", "POST " + table + "?blockid=0",
		"PUT " + table + "?" + u, "PUT " + table + "?blockid=0", "GET " + table + "?blockid=0", "DELETE " + table + "?" + u, "DELETE " + table + "?blockid=0&" + u,
		"PATCH " + table + "?blockid=0&" + u,
		"GET " + table + "?downloads", "PUT " + table + "?downloads", "POST " + table + "?" + d, "POST " + table + "?data&" + d,
		"PUT " + table + "?data&" + d, "PUT " + table + "?" + d, "GET " + table + "?data", "DELETE " + table + "?" + d,
		"PATCH " + table + "/streams", "DELETE " + table + "/streams?uploadid=" + stream, "GET " + table + "/streams",
		"POST " + table + "/preview", "PUT " + table + "/preview", "POST " + table + "/other?uploads", "GET " + table + "/other?" + d,
		"GET " + table + "/streams/more?uploadid=" + stream, "GET " + table + "/preview/more",
		"GET " + inst, "POST " + inst, "GET " + inst + "?downloads", "PUT " + inst + "?downloads", "POST " + inst + "?data&" + r, "POST " + inst + "?" + r,
		"PUT " + inst + "?" + r, "GET " + inst + "?cached", "GET " + inst + "?data", "POST " + inst + "?cached&data", "POST " + inst + "/more?downloads",
		"POST /projects/p?uploads", "POST /projects/p/tables?uploads", "POST /projects//tables/t?uploads", "POST /other/p/tables/t?uploads",
		"POST /projects/p/other/t?uploads", "POST /projects/p/schemas/s?uploads", "POST /projects/p/schemas/default/tables?uploads",
		"POST /projects/p/other/default/tables/t?uploads", "POST /projects/p/tables/t/streams/more?uploads", "POST /",
	} {
		method, path, _ := strings.Cut(line, " ")
		var body []byte
		if method != http.MethodGet {
			body = idRecords(t, 1)
		}
		e.want(t, 404, "NoSuchPath", method, path, body)
	}
	if got := e.blocks(t, up); len(got) != 0 {
		t.Errorf("blocks %v", got)
	}
	if got := e.ids(t); len(got) != 0 {
		t.Errorf("rows %v", got)
	}
	e.want(t, 200, "", "GET", table+"?"+d, nil)
	e.want(t, 200, "", "GET", inst+"?"+r, nil)
	e.want(t, 200, "", "GET", inst+"?data&"+r, nil)
}

// The schema comes in the path or, from some clients, as a parameter; the path wins.
func TestTablesOfASchema(t *testing.T) {
	e := start(t, nil)
	for _, schema := range []string{"", "s"} {
		tab := store.Table{Key: store.NewKey("p", schema, "t"), Columns: columns(t, "id bigint")}
		if _, _, err := e.store.CreateTable(tab, false); err != nil {
			t.Fatal(err)
		}
	}
	inDefault, inS := e.session(t, table+"?uploads", "UploadID"), e.session(t, "/projects/p/schemas/s/tables/t?uploads", "UploadID")
	for path, want := range map[string]string{
		table + "?uploadid=": inDefault, table + "?curr_schema=s&uploadid=": inS, table + "?curr_schema=default&uploadid=": inDefault,
		"/projects/p/schemas/s/tables/t?uploadid=": inS, "/projects/p/schemas/s/tables/t?curr_schema=default&uploadid=": inS,
	} {
		for _, id := range []string{inDefault, inS} {
			if id == want {
				e.want(t, 200, "", "GET", path+id, nil)
			} else {
				e.want(t, 404, "NoSuchUpload", "GET", path+id, nil)
			}
		}
	}
}

// A session is used under the table, and for the purpose, that it was made for.
func TestSessionsBelongToTheirTable(t *testing.T) {
	e := start(t, func(_ *store.Options, o *tunnel.Options) { o.Results = results{"i": tenRows(1), "j": tenRows(1)} })
	e.create(t, "t", "id bigint", "")
	e.create(t, "u", "id bigint", "")
	up, down, stream := e.session(t, table+"?uploads", "UploadID"), e.session(t, table+"?downloads", "DownloadID"), e.session(t, table+"/streams", "session_name")
	res := e.session(t, "/projects/p/instances/i?downloads", "DownloadID")
	const other = "/projects/p/tables/u"
	body := idRecords(t, 1)
	for _, c := range []struct {
		code, method, path string
		body               []byte
	}{
		{"NoSuchUpload", "GET", other + "?uploadid=" + up, nil},
		{"NoSuchUpload", "POST", other + "?uploadid=" + up, nil},
		{"NoSuchUpload", "PUT", other + "?blockid=0&uploadid=" + up, body},
		{"NoSuchUpload", "GET", table + "?uploadid=" + stream, nil},
		{"NoSuchUpload", "POST", table + "?uploadid=" + stream, nil},
		{"NoSuchUpload", "PUT", table + "?blockid=0&uploadid=" + stream, body},
		{"StreamSessionNotFound", "PUT", other + "/streams?uploadid=" + stream, body},
		{"StreamSessionNotFound", "GET", other + "/streams?uploadid=" + stream, nil},
		{"StreamSessionNotFound", "GET", table + "/streams?uploadid=" + up, nil},
		{"NoSuchDownload", "GET", other + "?data&downloadid=" + down, nil},
		{"NoSuchDownload", "GET", "/projects/p/instances/i?downloadid=" + down, nil},
		{"NoSuchDownload", "GET", "/projects/p/instances/j?downloadid=" + res, nil},
		{"NoSuchDownload", "GET", table + "?downloadid=" + res, nil},
	} {
		e.want(t, 404, c.code, c.method, c.path, c.body)
	}
	e.want(t, 200, "", "GET", "/projects/P/instances/i?downloadid="+res, nil) // projects have no case
}

// Errors come as JSON, under the request's own id, once the whole body is read.
func TestErrorsComeBehindTheBody(t *testing.T) {
	e := start(t, nil)
	for _, id := range []string{"", "MINE"} {
		body := bytes.NewReader(make([]byte, 1<<20))
		w := httptest.NewRecorder()
		if id != "" {
			w.Header()["x-odps-request-id"] = []string{id}
		}
		e.handler.ServeHTTP(w, httptest.NewRequest(http.MethodPut, table+"?blockid=0&uploadid=none", body))
		got := strings.Join(w.Header()["x-odps-request-id"], ",") //nolint:staticcheck // kept in lower case, as clients look it up
		if w.Code != 404 || w.Header().Get("Content-Type") != "application/json" || id != "" && got != id || len(got) < 4 || !strings.Contains(w.Body.String(), `"RequestId":"`+got+`"`) {
			t.Errorf("%d, id %q, %v, %s", w.Code, got, w.Header(), w.Body)
		}
		if body.Len() > 0 {
			t.Errorf("%d bytes of the body were not read", body.Len())
		}
	}
}

// What the store cannot say is the server's fault, not a session that is not there.
func TestFailuresOfTheCatalogueAreTheServers(t *testing.T) {
	e := start(t, nil)
	e.create(t, "t", "id bigint", "")
	stream := e.session(t, table+"/streams", "session_name")
	if err := e.store.Close(); err != nil {
		t.Fatal(err)
	}
	e.want(t, 500, "InternalServerError", "PUT", table+"/streams?uploadid="+stream, idRecords(t, 1))
}

// Clients go on at the address that a slot names: it needs a host and a port.
func TestAddressHasHostAndPort(t *testing.T) {
	local := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8000}
	for host, want := range map[string]string{"here:1": "here:1", "[::1]:1": "[::1]:1", "here": "127.0.0.1:8000", "here:": "127.0.0.1:8000", ":1": "127.0.0.1:8000", "": "127.0.0.1:8000"} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Host = host
		if got := tunnel.Address(r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, local))); got != want {
			t.Errorf("Address with Host %q = %q, want %q", host, got, want)
		}
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Host = "here"
	if got := tunnel.Address(r); got != "here:80" {
		t.Errorf("Address without a connection = %q", got)
	}
}
