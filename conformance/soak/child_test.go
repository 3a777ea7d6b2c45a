package soak

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/sluice-io/sluice/emulator"
	"github.com/sluice-io/sluice/internal/testkit"
)

// endpointEnv turns the test program into the endpoint. Its value is the faults.
const endpointEnv = "SLUICE_SOAK_ENDPOINT"

const (
	project = "soak"
	table   = "t"
	// scale makes sessions live 10 seconds, so that they come and go during a run.
	scale = 8640
)

func TestMain(m *testing.M) {
	if faults := os.Getenv(endpointEnv); faults != "" {
		if err := serve(faults); err != nil {
			fmt.Fprintln(os.Stderr, "endpoint:", err)
			os.Exit(1)
		}
		return
	}
	testkit.Main(m)
}

// serve is the endpoint until its standard input ends: not longer than the test lives.
func serve(faults string) error {
	parsed, err := emulator.ParseFaults(faults)
	if err != nil {
		return err
	}
	s, err := emulator.New(emulator.Options{
		DataDir: os.Getenv(endpointEnv + "_DIR"), Projects: []string{project}, AccessID: "local", AccessKey: "local-secret",
		Strict: scale, IdleTimeout: time.Minute, Faults: parsed,
	})
	if err != nil {
		return err
	}
	s.Start()
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	heap := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		_, _ = fmt.Fprint(w, m.HeapAlloc)
	})}
	done := make(chan error, 1)
	go func() { done <- heap.Serve(l) }()
	fmt.Printf("ready http://%s http://%s\n", s.Addr(), l.Addr())
	_, _ = io.Copy(io.Discard, os.Stdin)
	err = errors.Join(heap.Close(), s.Close())
	if served := <-done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// child is the endpoint as a process.
type child struct {
	cmd       *exec.Cmd
	stdin     io.Closer
	url, heap string
}

func startChild(t *testing.T, faults string) *child {
	t.Helper()
	c := &child{cmd: exec.Command(os.Args[0])}
	c.cmd.Env = append(os.Environ(), endpointEnv+"="+faults, endpointEnv+"_DIR="+t.TempDir())
	c.cmd.Stderr = os.Stderr
	in, err := c.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.stdin = in
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		if err := c.cmd.Wait(); err != nil {
			t.Errorf("endpoint: %v", err)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if _, scanErr := fmt.Sscanf(line, "ready %s %s", &c.url, &c.heap); err != nil || scanErr != nil {
		t.Fatalf("endpoint said %q, %v", line, err)
	}
	return c
}

// memory is one look at the process, in bytes.
type memory struct{ anon, heap int64 }

var rssAnon = regexp.MustCompile(`(?m)^RssAnon:\s+(\d+) kB$`)

func (c *child) memory(ctx context.Context) (m memory, err error) {
	body, err := get(ctx, c.heap)
	if err != nil {
		return m, err
	}
	if m.heap, err = strconv.ParseInt(string(body), 10, 64); err != nil {
		return m, err
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
	if err != nil {
		return m, err
	}
	if found := rssAnon.FindSubmatch(status); found != nil {
		m.anon, err = strconv.ParseInt(string(found[1]), 10, 64)
	}
	m.anon <<= 10
	return m, err
}

func (c *child) faults(ctx context.Context) (counts emulator.FaultCounts, err error) {
	body, err := get(ctx, c.url+"/faults")
	if err != nil {
		return counts, err
	}
	return counts, json.Unmarshal(body, &counts)
}

func get(ctx context.Context, target string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}
