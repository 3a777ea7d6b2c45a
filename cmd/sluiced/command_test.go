package main

import (
	"bytes"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

// Who sets five variables wrong wants to mend five, not one after the other.
func TestAllFaultsAreReportedAtOnce(t *testing.T) {
	for name, value := range map[string]string{
		"SLUICE_PUT_SLOTS": "many", "SLUICE_GRACE": "soon", "SLUICE_LOG_LEVEL": "loud", "SLUICE_GATHER_BYTES": "1", "SLUICE_OUTPUTS": "nowhere",
	} {
		t.Setenv(name, value)
	}
	cmd := command()
	cmd.SetArgs([]string{"--endpoint", "ftp://h"})
	err := cmd.ExecuteContext(t.Context())
	if err == nil {
		t.Fatal("a wrong configuration was taken")
	}
	for _, want := range []string{"SLUICE_PUT_SLOTS", "SLUICE_GRACE", `log level "loud"`, "gather bytes", "ledger path", "endpoint", "allowed output"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nlacks %s", err, want)
		}
	}
}

func TestASilentEndpointIsToldOnce(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	there := httptest.NewServer(http.NotFoundHandler())
	defer there.Close()
	silent := "http://" + l.Addr().String() + "/api"
	var log bytes.Buffer
	warnOfSilence(t.Context(), slog.New(slog.NewJSONHandler(&log, nil)), there.URL+"/api", silent, "")
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, `"level":"WARN"`) ||
		!strings.Contains(got, `"endpoint":"`+silent+`"`) || !strings.Contains(got, "connection refused") {
		t.Errorf("log:\n%swant one warning with %s and why", got, silent)
	}
}

func TestFlagsWinOverTheEnvironment(t *testing.T) {
	f := command().Flags()
	if err := f.Set("put-slots", "3"); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"SLUICE_PUT_SLOTS": "many", "SLUICE_LEDGER": filepath.Join("x", "y")}
	err := fromEnvironment(f, func(name string) (string, bool) { v, ok := env[name]; return v, ok })
	if err != nil || f.Lookup("put-slots").Value.String() != "3" || f.Lookup("ledger").Value.String() != env["SLUICE_LEDGER"] {
		t.Errorf("%v, put-slots %s, ledger %s", err, f.Lookup("put-slots").Value, f.Lookup("ledger").Value)
	}
}
