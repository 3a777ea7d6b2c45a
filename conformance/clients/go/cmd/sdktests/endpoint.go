package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// The keys that `sluice emulator` accepts.
const accessID, accessKey = "local", "local-secret"

// endpoint is a running `sluice emulator`.
type endpoint struct {
	cmd *exec.Cmd
	url string // http://127.0.0.1:PORT/api
	log string // path of its log, one line per request
}

// startEndpoint waits until the endpoint answers. Its data and its log stand in dir.
func startEndpoint(ctx context.Context, program, dir string, p *plan) (_ *endpoint, err error) {
	data := filepath.Join(dir, "data")
	if err := os.RemoveAll(data); err != nil {
		return nil, fmt.Errorf("remove old tables: %w", err)
	}
	e := &endpoint{log: filepath.Join(dir, "endpoint.log")}
	log, err := os.Create(e.log)
	if err != nil {
		return nil, fmt.Errorf("create log: %w", err)
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	e.cmd = exec.CommandContext(ctx, program, "emulator", "--listen", "127.0.0.1:0", "--data", data, //nolint:gosec // the caller's program
		"--projects", p.Project, "--region", "cn-shanghai", "--verbose")
	e.cmd.Stderr = log
	e.cmd.Cancel = func() error { return e.cmd.Process.Signal(syscall.SIGTERM) }
	e.cmd.WaitDelay = 10 * time.Second
	out, err := e.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start endpoint: %w", err)
	}
	if err := e.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start endpoint: %w", err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	e.url = strings.TrimPrefix(strings.TrimSpace(line), "ready maxcompute=")
	if err != nil || !strings.HasPrefix(e.url, "http://") {
		text, _ := os.ReadFile(e.log)
		return nil, errors.Join(fmt.Errorf("endpoint says %q, not that it is ready: %w\n%s", line, err, text), e.stop())
	}
	return e, nil
}

// stop asks the endpoint to end and waits for it.
func (e *endpoint) stop() error {
	if err := e.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop endpoint: %w", err)
	}
	if err := e.cmd.Wait(); err != nil {
		return fmt.Errorf("endpoint: %w", err)
	}
	return nil
}

// statusInLog finds a request's status in both forms of the log, text and JSON.
var statusInLog = regexp.MustCompile(`\bstatus"?[=:](\d{3})\b`)

// logReader remembers how far the log was read.
type logReader struct {
	offset   int64
	requests int // lines that tell a status
}

// failures reads the log's new lines and returns those of requests that were answered 5xx.
func (a *logReader) failures(path string) ([]string, error) {
	file, err := os.Open(path) //nolint:gosec // our own log
	if err != nil {
		return nil, fmt.Errorf("read the endpoint's log: %w", err)
	}
	defer func() { _ = file.Close() }() // only read
	if _, err := file.Seek(a.offset, io.SeekStart); err != nil {
		return nil, fmt.Errorf("read the endpoint's log: %w", err)
	}
	text, err := io.ReadAll(file)
	if err != nil {
		return nil, fmt.Errorf("read the endpoint's log: %w", err)
	}
	a.offset += int64(len(text))
	var found []string
	for line := range strings.SplitSeq(string(text), "\n") {
		switch status := statusInLog.FindStringSubmatch(line); {
		case status == nil:
		case status[1][0] == '5':
			found = append(found, line)
			a.requests++
		default:
			a.requests++
		}
	}
	return found, nil
}
