package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/sluice-io/sluice/service"
)

// childCommand, as the first argument, makes this program the service alone: its memory is measured from within, without
// the client's and the endpoint's. It answers each line on its input with one line of JSON, and ends with its input.
//
//	child -endpoint HOST:PORT -ledger FILE [-gather BYTES]
//	◀ {"addr":"127.0.0.1:…"}
//	▶ memory                          ◀ {"rss":…,"heap":…,"stacks":…,"goroutines":…}
//	▶ collect                         ◀ the same, after a garbage collection
//	▶ heap FILE                       ◀ the same, with a heap profile in the file
const childCommand = "child"

// footprint is what the child takes: bytes, and a count.
type footprint struct {
	RSS        int64 `json:"rss"`        // of the process, as the kernel sees it
	Heap       int64 `json:"heap"`       // objects, dead ones that are not collected yet included
	Stacks     int64 `json:"stacks"`     //
	Goroutines int64 `json:"goroutines"` //
	CPU        int64 `json:"cpu"`        // nanoseconds so far
}

func runChild(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	var endpoint, ledger string
	var gather int64
	f := flag.NewFlagSet(childCommand, flag.ContinueOnError)
	f.StringVar(&endpoint, "endpoint", "", "")
	f.StringVar(&ledger, "ledger", "", "")
	f.Int64Var(&gather, "gather", 0, "")
	if err := f.Parse(args); err != nil {
		return err
	}
	cfg := serviceConfig(endpoint, ledger)
	cfg.GatherBytes = gather
	cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	server, err := service.New(cfg) //nolint:contextcheck // Run gets it
	if err != nil {
		return fmt.Errorf("start service: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	var runErr error
	running.Go(func() { runErr = server.Run(ctx) })
	<-server.Ready()
	err = json.NewEncoder(out).Encode(map[string]string{"addr": server.Addr()})
	if err == nil {
		err = answer(in, json.NewEncoder(out))
	}
	cancel()
	running.Wait()
	return errors.Join(err, runErr)
}

func answer(in io.Reader, out *json.Encoder) error {
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		if lines.Text() == "collect" {
			debug.FreeOSMemory()
		}
		if path, ok := strings.CutPrefix(lines.Text(), "heap "); ok {
			runtime.GC()
			if err := writeProfile("heap", path); err != nil {
				return err
			}
		}
		f, err := ownFootprint()
		if err != nil {
			return err
		}
		if err := out.Encode(f); err != nil {
			return fmt.Errorf("answer: %w", err)
		}
	}
	return lines.Err()
}

func ownFootprint() (footprint, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return footprint{}, fmt.Errorf("read own size: %w", err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	fields := strings.Fields(rest)
	if len(fields) < 1 {
		return footprint{}, errors.New("read own size: no VmRSS")
	}
	kib, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		return footprint{}, fmt.Errorf("read own size: %w", err)
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return footprint{
		RSS: kib << 10, Heap: int64(m.HeapAlloc), Stacks: int64(m.StackInuse), Goroutines: int64(runtime.NumGoroutine()), CPU: int64(cpuTime()),
	}, nil
}

// child is the other end: the process as this one sees it.
type child struct {
	addr  string
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines *bufio.Scanner
}

// startChild starts the service as a process of its own, with its ledger in dir. gather 0 is the default.
func startChild(ctx context.Context, dir, endpoint string, gather int64) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find own program: %w", err)
	}
	c := &child{}
	c.cmd = exec.CommandContext(ctx, self, childCommand, "-endpoint", endpoint, "-ledger", filepath.Join(dir, "ledger"), "-gather", strconv.FormatInt(gather, 10))
	c.cmd.Stderr = os.Stderr
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt is ours to handle
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start service: %w", err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start service: %w", err)
	}
	c.lines = bufio.NewScanner(out)
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start service: %w", err)
	}
	var ready struct{ Addr string }
	if err := c.read(&ready); err != nil {
		return nil, errors.Join(err, c.close())
	}
	c.addr = ready.Addr
	return c, nil
}

func (c *child) read(to any) error {
	if !c.lines.Scan() {
		return errors.Join(errors.New("the service process ended"), c.lines.Err())
	}
	if err := json.Unmarshal(c.lines.Bytes(), to); err != nil {
		return fmt.Errorf("read answer %q: %w", c.lines.Text(), err)
	}
	return nil
}

// footprint asks; collected says whether garbage is to be collected before.
func (c *child) footprint(collected bool) (footprint, error) {
	if collected {
		return c.ask("collect")
	}
	return c.ask("memory")
}

func (c *child) ask(line string) (f footprint, err error) {
	if _, err := io.WriteString(c.in, line+"\n"); err != nil {
		return footprint{}, fmt.Errorf("ask service process: %w", err)
	}
	return f, c.read(&f)
}

// close ends the process and waits for it.
func (c *child) close() error {
	err := c.in.Close()
	return errors.Join(err, c.cmd.Wait())
}
