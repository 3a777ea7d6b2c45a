package conformance

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/sluice-io/sluice/emulator"
	"github.com/sluice-io/sluice/internal/testkit"
	"github.com/sluice-io/sluice/service"
)

// serverEnv turns the test program into service and endpoint in one process, the thing that `sluice dev` is, so that
// tests can kill it. Its value is data folder, gRPC address and endpoint address, separated by spaces.
const serverEnv = "SLUICE_CONFORMANCE_SERVER"

func TestMain(m *testing.M) {
	if how := os.Getenv(serverEnv); how != "" {
		if err := serve(strings.Fields(how)); err != nil {
			fmt.Fprintln(os.Stderr, "server process:", err)
			os.Exit(1)
		}
		return
	}
	testkit.Main(m)
}

func serve(how []string) error {
	dir, grpcAddr, endpointAddr := how[0], how[1], how[2]
	endpoint, err := emulator.New(emulator.Options{
		Listen: endpointAddr, DataDir: filepath.Join(dir, "data"), Projects: []string{project},
		AccessID: "local", AccessKey: "local-secret",
	})
	if err != nil {
		return err
	}
	endpoint.Start()
	server, err := service.New(service.Config{
		Listen: grpcAddr, LedgerPath: filepath.Join(dir, "ledger.db"), Replica: "child",
		MaxCompute: service.MaxCompute{
			Endpoint: endpoint.Endpoint(), Project: project, AccessID: "local", AccessKey: "local-secret",
		},
	})
	if err != nil {
		return err
	}
	fmt.Printf("ready %s %s\n", server.Addr(), endpoint.Addr())
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := server.Run(ctx); err != nil {
		return err
	}
	return endpoint.Close()
}

// process is a server process that can be killed and started again on the same data and addresses.
type process struct {
	t    *testing.T
	dir  string
	mu   sync.Mutex
	grpc string // after the first start
	rest string
	cmd  *exec.Cmd
}

func newProcess(t *testing.T) *process {
	t.Helper()
	p := &process{t: t, dir: t.TempDir(), grpc: "127.0.0.1:0", rest: "127.0.0.1:0"}
	p.start()
	t.Cleanup(p.kill)
	return p
}

// start starts the process and waits until it says that it is ready.
func (p *process) start() {
	p.mu.Lock()
	defer p.mu.Unlock()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), serverEnv+"="+p.dir+" "+p.grpc+" "+p.rest)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.cmd = cmd
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		p.t.Errorf("server process said nothing: %v", cmd.Wait())
		return
	}
	if _, err := fmt.Sscanf(lines.Text(), "ready %s %s", &p.grpc, &p.rest); err != nil {
		p.t.Errorf("server process said %q: %v", lines.Text(), err)
	}
}

// kill ends the process with SIGKILL and waits until it is gone.
func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return
	}
	if err := p.cmd.Process.Kill(); err != nil {
		p.t.Errorf("kill: %v", err)
	}
	if err := p.cmd.Wait(); err == nil {
		p.t.Error("the server process ended by itself before it was killed")
	}
	p.cmd = nil
}
