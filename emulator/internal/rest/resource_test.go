package rest_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sluice-io/sluice/emulator/internal/rest"
	"github.com/sluice-io/sluice/emulator/internal/store"
)

// More than the limit is refused in a form that clients read, and changes nothing.
func TestResourceBeyondTheLimit(t *testing.T) {
	kept, err := store.Open(store.Options{Dir: t.TempDir(), MaxResourceBytes: 10})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := kept.Close(); err != nil {
			t.Error(err)
		}
	})
	service := rest.New(rest.Options{Store: kept, Now: time.Now})
	call := func(method, target, body string, headers ...string) (int, string) {
		r := httptest.NewRequest(method, "/projects/p/resources"+target, strings.NewReader(body))
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		w := httptest.NewRecorder()
		service.ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	file := []string{"x-odps-resource-name", "f", "x-odps-resource-type", "file"}
	if status, body := call(http.MethodPost, "", "0123456789", file...); status != http.StatusCreated {
		t.Fatalf("create of 10 bytes = %d %s", status, body)
	}
	for _, part := range []string{"a", "b"} {
		if status, body := call(http.MethodPost, "?rIsPart=true", "012345", "x-odps-resource-name", part); status != http.StatusCreated {
			t.Fatalf("part = %d %s", status, body)
		}
	}
	merged := append([]string{"x-odps-resource-merge-total-bytes", "12"}, file...)
	for what, try := range map[string]func() (int, string){
		"create": func() (int, string) {
			return call(http.MethodPost, "", "0123456789a", "x-odps-resource-name", "g", "x-odps-resource-type", "file")
		},
		"update": func() (int, string) { return call(http.MethodPut, "/f", "0123456789a", file...) },
		"part": func() (int, string) {
			return call(http.MethodPost, "?rIsPart=true", "0123456789a", "x-odps-resource-name", "c")
		},
		"merge": func() (int, string) {
			return call(http.MethodPut, "/f?rOpMerge=true", "0123456789abcdef0123456789abcdef|a,b", merged...)
		},
	} {
		if status, body := try(); status != http.StatusRequestEntityTooLarge || !strings.Contains(body, "<Code>InvalidArgument</Code>") {
			t.Errorf("%s = %d %s, want 413 InvalidArgument", what, status, body)
		}
	}
	if status, body := call(http.MethodGet, "/f", ""); status != http.StatusOK || body != "0123456789" {
		t.Errorf("content = %d %q, want what it was", status, body)
	}
	if status, _ := call(http.MethodGet, "/g?meta", ""); status != http.StatusNotFound {
		t.Errorf("meta of what was refused = %d, want 404", status)
	}
}
