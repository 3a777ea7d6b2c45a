package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Goals of the endpoint as a process.
const (
	goalFirstDDLMillis = 1000
	goalIdleAnonMB     = 40
	goalClientCPU      = 1
	firstDDL           = "endpoint/first_ddl"
	idleMemory         = "endpoint/idle_memory"
	clientRows         = 1_000_000
)

// endpointGroup is `sluice emulator` as a process: from its start to the reply that the first DDL is done, for a client
// that was there before, and its anonymous memory a moment later.
func endpointGroup() group {
	return group{rows: []string{firstDDL, idleMemory}, run: func(ctx context.Context, r *runner) error {
		fmt.Fprintln(r.progress, "running", firstDDL)
		var took, memory []float64
		for i := range r.cfg.runs + 1 {
			d, anon, err := r.firstDDL(ctx)
			if err != nil {
				return fmt.Errorf("%s: %w", firstDDL, err)
			}
			if i > 0 { // the first brought the program into memory
				took, memory = append(took, float64(d)/float64(time.Millisecond)), append(memory, float64(anon)/1e6)
			}
		}
		r.add(absolute(firstDDL, "ms", took, goalFirstDDLMillis), absolute(idleMemory, "MB", memory, goalIdleAnonMB))
		return nil
	}}
}

// endpointProcess is a running `sluice emulator`.
type endpointProcess struct {
	cmd *exec.Cmd
	out io.ReadCloser
	url string
}

// startEndpoint starts the program over an empty folder and waits until it is ready. The caller stops it.
func (r *runner) startEndpoint(ctx context.Context) (_ *endpointProcess, err error) {
	dir, err := os.MkdirTemp(r.dir, "endpoint-")
	if err != nil {
		return nil, fmt.Errorf("make folder: %w", err)
	}
	p := &endpointProcess{cmd: exec.CommandContext(ctx, filepath.Join(r.cfg.bin, "sluice"), "emulator", "--anonymous", "--quiet", "--listen", "127.0.0.1:0", "--data", dir)}
	p.cmd.Stderr = os.Stderr
	if p.out, err = p.cmd.StdoutPipe(); err != nil {
		return nil, fmt.Errorf("start sluice: %w", err)
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start sluice (`make build` makes it): %w", err)
	}
	lines := bufio.NewScanner(p.out)
	for lines.Scan() {
		if url, ok := strings.CutPrefix(lines.Text(), "ready maxcompute="); ok {
			p.url = url
			return p, nil
		}
	}
	return nil, errors.Join(errors.New("sluice emulator ended without its ready line"), lines.Err(), p.stop())
}

func (p *endpointProcess) stop() error {
	if err := errors.Join(p.cmd.Process.Signal(syscall.SIGTERM), drain(p.out), p.cmd.Wait()); err != nil {
		return fmt.Errorf("stop sluice: %w", err)
	}
	return nil
}

func (r *runner) firstDDL(ctx context.Context) (took time.Duration, anon int64, err error) {
	begun := time.Now()
	p, err := r.startEndpoint(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	if err := p.createTable(ctx, "create table first (id bigint, name string)"); err != nil {
		return 0, 0, err
	}
	took = time.Since(begun)
	if err := wait(ctx, 2*time.Second); err != nil { // idle
		return 0, 0, err
	}
	anon, err = statusKiB(p.cmd.Process.Pid, "RssAnon")
	return took, anon * 1024, err
}

// createTable submits a statement as clients do and asks until it is done.
func (p *endpointProcess) createTable(ctx context.Context, text string) error {
	body := `<Instance><Job><Priority>9</Priority><Tasks><SQL><Name>AnonymousSQLTask</Name><Query><![CDATA[` + text + `;]]></Query></SQL></Tasks></Job></Instance>`
	reply, err := p.call(ctx, http.MethodPost, p.url+"/projects/"+project+"/instances", body)
	if err != nil {
		return err
	}
	at := reply.Get("Location")
	id := at[strings.LastIndex(at, "/")+1:]
	for {
		reply, err := p.call(ctx, http.MethodGet, p.url+"/projects/"+project+"/instances/"+id+"?taskstatus", "")
		if err != nil {
			return err
		}
		switch {
		case strings.Contains(reply.body, "<Status>Terminated</Status>") && strings.Contains(reply.body, "<Status>Success</Status>"):
			return nil
		case strings.Contains(reply.body, "<Status>Terminated</Status>"):
			return fmt.Errorf("%s: %s", text, reply.body)
		}
	}
}

type httpReply struct {
	http.Header
	body string
}

func (p *endpointProcess) call(ctx context.Context, method, url, body string) (*httpReply, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close() //nolint:errcheck // read to its end
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode/100 != 2 {
		err = fmt.Errorf("%s %s: %s: %s", method, url, res.Status, text)
	}
	return &httpReply{res.Header, string(text)}, err
}

// statusKiB reads a figure of /proc/PID/status.
func statusKiB(pid int, name string) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("read the memory of a process: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			return strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
		}
	}
	return 0, fmt.Errorf("the status of process %d has no %s", pid, name)
}

// clientForms are the ways in which PyODPS uploads.
var clientForms = []string{"records", "arrow"}

// clientGroup is an upload by PyODPS: the CPU of the endpoint's process against the client's.
func clientGroup() group {
	g := group{}
	for _, form := range clientForms {
		g.rows = append(g.rows, clientName(form))
	}
	g.run = func(ctx context.Context, r *runner) error {
		for _, form := range clientForms {
			if r.wants(clientName(form)) {
				if err := r.client(ctx, form); err != nil {
					return fmt.Errorf("%s: %w", clientName(form), err)
				}
			}
		}
		return nil
	}
	return g
}

func clientName(form string) string { return "endpoint/pyodps_" + form + "_cpu" }

func (r *runner) client(ctx context.Context, form string) (err error) {
	fmt.Fprintln(r.progress, "running", clientName(form))
	p, err := r.startEndpoint(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	var ours, peer []float64
	for i := range r.cfg.runs + 1 {
		before, err := processCPU(p.cmd.Process.Pid)
		if err != nil {
			return err
		}
		used, err := r.pyodps(ctx, p.url, form)
		if err != nil {
			return err
		}
		after, err := processCPU(p.cmd.Process.Pid)
		if err != nil {
			return err
		}
		if i > 0 {
			ours, peer = append(ours, (after-before).Seconds()), append(peer, used)
		}
	}
	r.add(compare(clientName(form), "cpu-s", ours, peer, goalClientCPU, lower))
	return nil
}

// pyodps runs the client's program, which tells the CPU seconds that its upload took.
func (r *runner) pyodps(ctx context.Context, url, form string) (seconds float64, err error) {
	python := filepath.Join("out", "venv", "bin", "python")
	cmd := exec.CommandContext(ctx, python, filepath.Join("conformance", "clients", "python", "bench_upload.py"),
		"--endpoint", url, "--project", project, "--form", form, "--rows", strconv.Itoa(r.scaled(clientRows)))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return 0, fmt.Errorf("run PyODPS (`make out/venv/.ready` installs it): %w", err)
	}
	var told struct {
		CPU float64 `json:"cpu"`
	}
	if err := json.Unmarshal(out, &told); err != nil || told.CPU <= 0 {
		return 0, fmt.Errorf("read what the client told: %q: %w", out, err)
	}
	return told.CPU, nil
}

// processCPU is what a process has used so far, user and system.
func processCPU(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("read the CPU time of a process: %w", err)
	}
	_, rest, _ := strings.Cut(string(text), ") ") // behind the name, which may hold anything
	fields := strings.Fields(rest)
	const utime, stime, ticks = 11, 12, 100 // per second: what Linux shows to programs, whatever it counts by
	if len(fields) <= stime {
		return 0, fmt.Errorf("the CPU time of process %d is not to be read", pid)
	}
	user, err1 := strconv.ParseInt(fields[utime], 10, 64)
	system, err2 := strconv.ParseInt(fields[stime], 10, 64)
	return time.Duration(user+system) * time.Second / ticks, errors.Join(err1, err2)
}
