package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluice-io/sluice/emulator"
)

// resourceFolder is a data folder with one resource, made by an endpoint that runs until stop is called.
func resourceFolder(t *testing.T) (dir string, stop func()) {
	t.Helper()
	dir = t.TempDir()
	endpoint, err := emulator.New(emulator.Options{DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	endpoint.Start()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, endpoint.Endpoint()+"/projects/p/resources", strings.NewReader("content"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("x-odps-resource-name", "f")
	r.Header.Set("x-odps-resource-type", "file")
	answer, err := http.DefaultClient.Do(r)
	if err != nil || answer.StatusCode != http.StatusCreated || answer.Body.Close() != nil {
		t.Fatalf("create a resource: %v, %v", answer, err)
	}
	http.DefaultClient.CloseIdleConnections()
	return dir, func() {
		if err := endpoint.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestEmulatorCheck(t *testing.T) {
	dir, stop := resourceFolder(t)
	command := []string{"emulator", "check", dir}
	if out, err := sluice(t, command...); err == nil || !strings.Contains(err.Error(), "in use by a running endpoint") || out != "" {
		t.Errorf("check of a running endpoint's folder = %q, %v", out, err)
	}
	if code := run(t.Context(), command); code != exitUsage {
		t.Errorf("its exit code = %d, want 2", code)
	}
	stop()
	out := mustSluice(t, command...)
	want := "checked " + dir + ": format version 2, 0 tables, 0 partitions, 0 sessions, 0 segments with 0 rows, 1 resources, 0 parts, 7 bytes: 0 damaged, 0 notes\n"
	if out != want {
		t.Errorf("check of a sound folder said %q, want %q", out, want)
	}
	files, err := filepath.Glob(filepath.Join(dir, "resources", "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("files %v, %v", files, err)
	}
	if err := os.WriteFile(files[0], []byte("CONTENT"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err = sluice(t, command...)
	if lines := strings.Split(out, "\n"); err == nil || len(lines) != 3 || !strings.HasPrefix(lines[0], "damage resource p/resources/f, file resources/"+filepath.Base(files[0])+": ") ||
		!strings.HasSuffix(lines[1], ": 1 damaged, 0 notes") {
		t.Errorf("check of a damaged folder = %q, %v", out, err)
	}
	if code := run(t.Context(), command); code != exitFailed {
		t.Errorf("its exit code = %d, want 1", code)
	}
	out, err = sluice(t, append(command, "--json")...)
	var report emulator.Report
	if jsonErr := json.Unmarshal([]byte(out), &report); err == nil || jsonErr != nil || report.Damages != 1 || report.Resources != 1 ||
		len(report.Findings) != 1 || report.Findings[0].Resource != "p/resources/f" {
		t.Errorf("check --json = %s, %v, %v", out, err, jsonErr)
	}
	if err := os.Truncate(files[0], 3); err != nil {
		t.Fatal(err)
	}
	if out, err = sluice(t, command...); err == nil || !strings.Contains(out, ": the file has 3 bytes, not 7\n") {
		t.Errorf("check of a cut file = %q, %v", out, err)
	}
	if err := os.Truncate(filepath.Join(dir, "catalogue.db"), 5000); err != nil {
		t.Fatal(err)
	}
	if out, err = sluice(t, command...); err == nil || !strings.Contains(out, ": format version unknown, 0 tables") {
		t.Errorf("check of a cut catalogue = %q, %v", out, err)
	}
	for _, bad := range [][]string{{"emulator", "check"}, {"emulator", "check", dir, dir}, {"emulator", "check", t.TempDir()}, {"emulator", "check", dir, "--no"}, {"emulator", "chekc"}} {
		if code := run(t.Context(), bad); code != exitUsage {
			t.Errorf("exit code of %q = %d, want 2", bad, code)
		}
	}
}
