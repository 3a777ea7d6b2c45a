package main

import (
	"bytes"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
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

// beSluiced makes the test binary behave as the program.
const beSluiced = "SLUICE_TEST_BE_SLUICED"

func TestMain(m *testing.M) {
	if os.Getenv(beSluiced) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestExitCodes(t *testing.T) {
	ledger := filepath.Join(t.TempDir(), "ledger.db")
	right := []string{"--endpoint", "http://127.0.0.1:1/api", "--access-id", "a", "--access-key", "b", "--project", "p", "--ledger", ledger}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for name, c := range map[string]struct {
		args []string
		env  string
		code int
		want string
	}{
		"version":       {[]string{"--version"}, "", 0, "sluiced dev"},
		"flag":          {[]string{"--ledgr", "x"}, "", 2, "unknown flag: --ledgr\n'sluiced --help' lists the flags"},
		"argument":      {[]string{"serve"}, "", 2, "accepts 0 arg(s), received 1\nusage: sluiced"},
		"configuration": {[]string{"--ledger", ledger}, "", 2, "endpoint"},
		"variable":      {right, "SLUICE_GRACE=soon", 2, "environment variable SLUICE_GRACE"},
		"taken port":    {append([]string{"--listen", taken.Addr().String()}, right...), "", 1, "\nsomething listens there already: --listen names another address"},
		"no port":       {append([]string{"--listen", "127.0.0.1"}, right...), "", 2, "\n--listen is HOST:PORT"},
		"misspelt":      {append([]string{"--listen", taken.Addr().String()}, right...), "SLUICE_PUTSLOTS=3", 1, `"variable":"SLUICE_PUTSLOTS","did_you_mean":"SLUICE_PUT_SLOTS"`},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], c.args...)
			cmd.Env = append(os.Environ(), beSluiced+"=1", c.env)
			out, err := cmd.CombinedOutput()
			if cmd.ProcessState == nil {
				t.Fatal(err)
			}
			if code := cmd.ProcessState.ExitCode(); code != c.code || !strings.Contains(string(out), c.want) {
				t.Errorf("exit code %d, want %d\n%s\nwant %q", code, c.code, out, c.want)
			}
		})
	}
}
