package demo

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// waitGroup is what this package starts goroutines with.
type waitGroup = sync.WaitGroup

// process is a child of the demo, with its first line of output at hand.
type process struct {
	name  string
	cmd   *exec.Cmd
	in    io.WriteCloser
	line  chan string // the first line; closed without one if there is none
	lines waitGroup   // the goroutine that reads output
	errs  bytes.Buffer
	once  sync.Once
	err   error // of wait
}

func start(name string, cmd *exec.Cmd) (*process, error) {
	p := &process{name: name, cmd: cmd, line: make(chan string, 1)}
	cmd.Stderr = &p.errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	if p.in, err = cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p.lines.Go(func() {
		defer close(p.line)
		reader := bufio.NewReader(out)
		if line, err := reader.ReadString('\n'); err == nil {
			p.line <- line
		}
		// What follows is of no interest, but a full pipe would hold the child.
		if _, err := io.Copy(io.Discard, reader); err != nil && !errors.Is(err, os.ErrClosed) {
			fmt.Fprintln(&p.errs, "read output:", err)
		}
	})
	return p, nil
}

// first waits for the first line.
func (p *process) first(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	select {
	case line, ok := <-p.line:
		if !ok {
			return "", fmt.Errorf("%s ended before it was ready: %w", p.name, p.wait())
		}
		return strings.TrimSpace(line), nil
	case <-ctx.Done():
		return "", fmt.Errorf("wait for %s: %w", p.name, ctx.Err())
	}
}

// wait waits for the end. An exit code other than 0 is an error with what the child complained of.
func (p *process) wait() error {
	p.once.Do(func() {
		p.lines.Wait() // before Wait, which closes the pipe
		if err := p.cmd.Wait(); err != nil {
			p.err = fmt.Errorf("%s: %w: %s", p.name, err, strings.TrimSpace(p.errs.String()))
		}
	})
	return p.err
}

// kill sends SIGKILL and collects the process; one that has ended is no error.
func (p *process) kill() error {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill %s: %w", p.name, err)
	}
	_ = p.wait() // its exit code is ours to have made
	return nil
}

// server is `sluice dev`.
type server struct {
	*process
	addr string
}

func (d *Demo) startServer(ctx context.Context, dir string) (*server, error) {
	begin := time.Now()
	// Not bound to ctx's end: it is stopped in order, after everyone who talks to it.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), d.Program, "dev", "--listen", "127.0.0.1:0", "--endpoint-listen", "127.0.0.1:0", "--data", filepath.Join(dir, "data")) //nolint:gosec // our own program
	p, err := start("sluice dev", cmd)
	if err != nil {
		return nil, err
	}
	line, err := p.first(ctx)
	if err != nil {
		return nil, errors.Join(err, p.kill())
	}
	_, rest, ok := strings.Cut(line, "ready grpc=")
	addr, _, _ := strings.Cut(rest, " ")
	if !ok || addr == "" {
		return nil, errors.Join(fmt.Errorf("sluice dev said %q", line), p.kill())
	}
	return &server{process: p, addr: addr}, d.say("service and endpoint are ready after %d ms: %s", time.Since(begin).Milliseconds(), line)
}

// stop asks the server to end, as an operator would.
func (s *server) stop() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", s.name, err)
	}
	timer := time.AfterFunc(startLimit, func() {
		if err := s.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			fmt.Fprintln(&s.errs, "kill:", err)
		}
	})
	defer timer.Stop()
	return s.wait()
}

// worker is one `sluice table import --slice`.
type worker struct{ *process }

func (d *Demo) startWorker(ctx context.Context, addr, run, file string, slice, attempt, hold int) (*worker, error) {
	args := []string{
		"table", "import", file, "flights", "--addr", addr, "--run", run, "--quiet",
		"--slices", strconv.Itoa(workers), "--slice", strconv.Itoa(slice), "--attempt", strconv.Itoa(attempt),
	}
	if hold > 0 {
		args = append(args, "--hold-after", strconv.Itoa(hold))
	}
	p, err := start(fmt.Sprintf("worker %d, attempt %d", slice, attempt), exec.CommandContext(ctx, d.Program, args...)) //nolint:gosec // our own program
	if err != nil {
		return nil, err
	}
	return &worker{p}, nil
}

// waitHeld waits until the worker is at the barrier.
func (w *worker) waitHeld(ctx context.Context) error {
	line, err := w.first(ctx)
	if err == nil && !strings.HasPrefix(line, "holding ") {
		err = fmt.Errorf("%s said %q before the barrier", w.name, line)
	}
	return err
}

// letGo lets it pass the barrier.
func (w *worker) letGo() error {
	if _, err := io.WriteString(w.in, "go\n"); err != nil {
		return fmt.Errorf("let %s go on: %w", w.name, err)
	}
	return nil
}
