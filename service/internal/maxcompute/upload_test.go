package maxcompute

import (
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/table"
	"github.com/sluice-io/sluice/service/internal/write"
)

func TestCreateUpload_parameters_and_session(t *testing.T) {
	var got http.Request
	c := connect(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = *r
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, sessionJSON("NORMAL", `{"BlockID":3,"CreateTime":1700000000,"Date":"x","FileName":"f","RecordCount":12,"Version":2}`))
	}), nil)
	out := testTable
	out.Partition = table.Spec{{Column: "pt", Value: "a"}}
	u, err := c.CreateUpload(t.Context(), write.UploadSpec{Output: out, Overwrite: true, CreatePartition: true})
	if err != nil {
		t.Fatal(err)
	}
	if got.Method != http.MethodPost || got.URL.RawQuery != "create_partition=true&overwrite=true&partition=pt%3Da&uploads=" {
		t.Errorf("request %s %s", got.Method, got.URL)
	}
	want := &write.Upload{
		ID: "U1", Status: write.UploadNormal, Created: time.Date(2026, 11, 20, 17, 52, 49, 0, time.UTC),
		Blocks: []write.UploadedBlock{{ID: 3, Rows: 12, Version: 2}},
		Schema: table.Schema{
			Columns:          []table.Column{{Name: "id", Type: table.MustParseType("bigint"), NotNull: true}, {Name: "s", Type: table.MustParseType("string")}},
			PartitionColumns: []table.Column{{Name: "pt", Type: table.MustParseType("string")}},
		},
	}
	if d := cmp.Diff(want, u); d != "" {
		t.Errorf("CreateUpload (-want +got):\n%s", d)
	}
}

func TestUpload_states_and_bad_replies(t *testing.T) {
	for text, want := range map[string]write.UploadStatus{
		"normal": write.UploadNormal, "Closing": write.UploadClosing, "committing": write.UploadClosing, "CLOSED": write.UploadClosed,
		"canceled": write.UploadCanceled, "expired": write.UploadExpired, "critical": write.UploadCritical,
	} {
		c := connect(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, sessionJSON(text, "")) }), nil)
		if u, err := c.Upload(t.Context(), testTable, "U1"); err != nil || u.Status != want {
			t.Errorf("status %q = %v, %v, want %v", text, u, err, want)
		}
	}
	for name, body := range map[string]string{"unknown status": sessionJSON("odd", ""), "no id": `{"Status":"normal"}`, "no json": "<html>", "cut": sessionJSON("normal", "")[:99], "empty": ""} {
		c := connect(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }), nil)
		if _, err := c.Upload(t.Context(), testTable, "U1"); !apierr.Is(err, apierr.BackendUnavailable) {
			t.Errorf("%s: error = %v, want BACKEND_UNAVAILABLE", name, err)
		}
	}
}

func TestUpload_gone_session_is_expired(t *testing.T) {
	c := connect(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { refuse(w, 404, "NoSuchObject", "no such upload") }), nil)
	if _, err := c.Upload(t.Context(), testTable, "U1"); !apierr.Is(err, apierr.SessionExpired) {
		t.Errorf("error = %v, want SESSION_EXPIRED", err)
	}
}

// Whatever the answer, one POST leaves, and only MaxCompute's own definite word is a refusal.
func TestCommit_one_post_classified(t *testing.T) {
	for _, k := range []struct {
		name    string
		answer  http.HandlerFunc
		refused bool
	}{
		{"taken", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, sessionJSON("closed", "")) }, false},
		{"bad argument", func(w http.ResponseWriter, _ *http.Request) { refuse(w, 400, "InvalidArgument", "") }, true},
		{"no permission", func(w http.ResponseWriter, _ *http.Request) { refuse(w, 403, "NoPermission", "") }, true},
		{"overwrite not allowed", func(w http.ResponseWriter, _ *http.Request) { refuse(w, 400, "OverwriteModeNotAllowed", "") }, true},
		{"schema modified", func(w http.ResponseWriter, _ *http.Request) { refuse(w, 412, "SchemaModified", "") }, true},
		{"expired token", func(w http.ResponseWriter, _ *http.Request) { refuse(w, 403, "AuthenticationRequestExpired", "") }, false},
		{"unauthorized", func(w http.ResponseWriter, _ *http.Request) { refuse(w, 401, "Unauthorized", "") }, false},
		{"gone", func(w http.ResponseWriter, _ *http.Request) { refuse(w, 404, "NoSuchObject", "") }, false},
		{"table gone", func(w http.ResponseWriter, _ *http.Request) { refuse(w, 404, "NoSuchTable", "") }, false},
		{"conflict", func(w http.ResponseWriter, _ *http.Request) { refuse(w, 409, "StatusConflict", "") }, false},
		{"conflict as 400", func(w http.ResponseWriter, _ *http.Request) { refuse(w, 400, "StatusConflict", "") }, false},
		{"throttled", func(w http.ResponseWriter, _ *http.Request) { refuse(w, 429, "FlowExceeded", "") }, false},
		{"throttled as 403", func(w http.ResponseWriter, _ *http.Request) { refuse(w, 403, "QPSExceeded", "") }, false},
		{"too early", func(w http.ResponseWriter, _ *http.Request) { refuse(w, 425, "InvalidArgument", "") }, false},
		{"timeout", func(w http.ResponseWriter, _ *http.Request) { refuse(w, 408, "InvalidArgument", "") }, false},
		{"internal as 400", func(w http.ResponseWriter, _ *http.Request) { refuse(w, 400, "InternalServerError", "") }, false},
		{"a proxy's 400", func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "<html>bad request</html>", http.StatusBadRequest)
		}, false},
		{"server error", func(w http.ResponseWriter, _ *http.Request) { refuse(w, 500, "InternalServerError", "") }, false},
		{"redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusPermanentRedirect)
		}, false},
		{"cut", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, false},
	} {
		var posts atomic.Int64
		c := connect(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
			posts.Add(1)
			if r.Method != http.MethodPost || r.URL.RawQuery != "uploadid=U1" {
				t.Errorf("%s: request %s %s", k.name, r.Method, r.URL)
			}
			k.answer(w, r)
		}), nil)
		err := c.CommitUpload(t.Context(), testTable, "U1")
		if posts.Load() != 1 {
			t.Errorf("%s: %d POSTs, want one", k.name, posts.Load())
		}
		if got := errors.Is(err, write.ErrRefused); got != k.refused || (k.name == "taken") != (err == nil) || errors.Is(err, write.ErrNotSent) {
			t.Errorf("%s: %v, refused = %v, want %v", k.name, err, got, k.refused)
		}
		if err != nil && apierr.ReasonOf(err) == apierr.Internal {
			t.Errorf("%s: %v has no reason", k.name, err)
		}
	}
}

// Names that a query cannot carry exactly never leave.
func TestPartitionTexts(t *testing.T) {
	spec := table.Spec{{Column: "pt", Value: "a b&c%"}, {Column: "hh", Value: "1"}}
	if got, err := tunnelSpec(spec); err != nil || got != "pt=a b&c%,hh=1" {
		t.Errorf("tunnelSpec = %q, %v", got, err)
	}
	if got, err := restSpec(spec); err != nil || got != "pt='a b&c%',hh='1'" {
		t.Errorf("restSpec = %q, %v", got, err)
	}
	for _, v := range []string{"", "a,b", "a'b", "a/b", "a=b", "a\"b", "a\nb", " a"} {
		if got, err := tunnelSpec(table.Spec{{Column: "pt", Value: v}}); !apierr.Is(err, apierr.BadPartition) {
			t.Errorf("tunnelSpec(%q) = %q, %v, want BAD_PARTITION", v, got, err)
		}
	}
}
