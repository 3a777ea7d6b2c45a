package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// endpointProcess is `sluice emulator` as a process.
type endpointProcess struct {
	t    *testing.T
	cmd  *exec.Cmd
	addr string       // host:port
	log  bytes.Buffer // standard error; complete after wait
}

func emulatorCommand(t *testing.T, environ []string, flags ...string) *exec.Cmd {
	t.Helper()
	return sluiceProcess(t, environ, append([]string{"emulator"}, flags...)...)
}

// sluiceProcess is a command line of the program as a process to be.
func sluiceProcess(t *testing.T, environ []string, args ...string) *exec.Cmd {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, args...)
	cmd.Env = append(append(os.Environ(), beSluice+"=1"), environ...)
	return cmd
}

// startEmulator waits for the ready line; the process is killed at the test's end.
func startEmulator(t *testing.T, environ []string, flags ...string) *endpointProcess {
	t.Helper()
	p := &endpointProcess{t: t, cmd: emulatorCommand(t, environ, flags...)}
	p.cmd.Stderr = &p.log
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			_ = p.cmd.Process.Kill()
			_ = p.cmd.Wait() // says "killed"
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	m := regexp.MustCompile(`^ready maxcompute=http://(127\.0\.0\.1:\d+)/api\n$`).FindStringSubmatch(line)
	if err != nil || m == nil {
		t.Fatalf("sluice emulator said %q, %v", line, err)
	}
	p.addr = m[1]
	return p
}

func (p *endpointProcess) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// wait returns how the process ended and what it logged.
func (p *endpointProcess) wait() (state *os.ProcessState, log string) {
	p.t.Helper()
	var exit *exec.ExitError
	if err := p.cmd.Wait(); err != nil && !errors.As(err, &exit) {
		p.t.Fatal(err)
	}
	return p.cmd.ProcessState, p.log.String()
}

func (p *endpointProcess) healthz() (int, error) {
	res, err := http.Get("http://" + p.addr + "/healthz")
	if err != nil {
		return 0, err
	}
	return res.StatusCode, res.Body.Close()
}

// half begins a request and leaves its body unfinished: a running request.
func (p *endpointProcess) half() net.Conn {
	p.t.Helper()
	conn, err := net.Dial("tcp", p.addr)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = conn.Close() }) // the other side may have closed it
	if _, err := fmt.Fprintf(conn, "POST /api/projects/p/instances?tryWait HTTP/1.1\r\nHost: h:1\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", len(createTable)); err != nil {
		p.t.Fatal(err)
	}
	// The server asks for the body when a handler reads it: from here on the request runs.
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.Contains(line, "100") {
		p.t.Fatalf("%q, %v", line, err)
	}
	return conn
}

const createTable = "<Instance><Job><Tasks><SQL><Name>N</Name><Query>create table t (id bigint)</Query></SQL></Tasks></Job></Instance>"

func TestEmulatorEndsInOrder(t *testing.T) {
	for _, s := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		p := startEmulator(t, nil, "--listen", "127.0.0.1:0", "--anonymous", "--grace", "60s")
		conn := p.half()
		p.signal(s)
		for { // healthz fails from the moment the end begins: a load balancer's sign
			if code, err := p.healthz(); err != nil || code == http.StatusServiceUnavailable {
				break
			}
		}
		if _, err := io.WriteString(conn, createTable); err != nil {
			t.Fatal(err)
		}
		reply, err := io.ReadAll(conn)
		if err != nil || !strings.Contains(string(reply), "200 OK") || !strings.Contains(string(reply), "<Status>Success</Status>") {
			t.Errorf("%v: the running request got %q, %v", s, reply, err)
		}
		if state, log := p.wait(); state.ExitCode() != 0 {
			t.Errorf("%v: %v\n%s", s, state, log)
		}
	}
}

func TestEmulatorEndsInBoundedTime(t *testing.T) {
	p := startEmulator(t, nil, "--listen", "127.0.0.1:0", "--anonymous", "--grace", "100ms")
	p.half()
	p.signal(syscall.SIGTERM)
	if state, log := p.wait(); state.ExitCode() != 0 {
		t.Errorf("%v\n%s", state, log)
	}
}

func TestEmulatorSecondSignalCuts(t *testing.T) {
	p := startEmulator(t, nil, "--listen", "127.0.0.1:0", "--anonymous", "--grace", "1h")
	p.half()
	p.signal(syscall.SIGTERM)
	done := make(chan struct{})
	go func() { // until it is gone: the first signal is taken in its own time
		defer close(done)
		for p.cmd.Process.Signal(syscall.SIGTERM) == nil {
			time.Sleep(10 * time.Millisecond)
		}
	}()
	state, _ := p.wait()
	<-done
	if status, ok := state.Sys().(syscall.WaitStatus); !ok || !status.Signaled() || status.Signal() != syscall.SIGTERM {
		t.Errorf("%v, want the end by the second signal", state)
	}
}

func TestEmulatorSaysWhyItCannotStart(t *testing.T) {
	running := startEmulator(t, nil, "--listen", "127.0.0.1:0", "--data", t.TempDir())
	used := t.TempDir()
	holder := startEmulator(t, nil, "--listen", "127.0.0.1:0", "--data", used).cmd.Process.Pid
	file := write(t, t.TempDir(), "file", "")
	for name, c := range map[string]struct {
		flags []string
		code  int
		want  string
	}{
		"port":         {[]string{"--listen", running.addr}, exitFailed, "address already in use\nsomething listens there already: --listen names another address"},
		"folder":       {[]string{"--listen", "127.0.0.1:0", "--data", used}, exitFailed, used + ": the folder is in use by a running endpoint" + heldBy(holder) + "\nend that process, or name another folder with --data"},
		"no port":      {[]string{"--listen", "127.0.0.1"}, exitUsage, "missing port in address\n--listen is HOST:PORT"},
		"not here":     {[]string{"--listen", "192.0.2.1:0"}, exitFailed, "\n--listen must name an address of this machine"},
		"command":      {[]string{"chekc"}, exitUsage, `sluice: unknown command "chekc" for "sluice emulator": did you mean "check"?`},
		"strict space": {[]string{"--strict", "60"}, exitUsage, "--strict takes its value behind an equals sign: --strict=60"},
		"unwritable":   {[]string{"--listen", "127.0.0.1:0", "--data", filepath.Join(file, "data")}, exitFailed, "must be one that this user may create files in"},
		"fault kind":   {[]string{"--faults", "1:505=1"}, exitUsage, `no kind "505"; the kinds are expire 429`},
		"fault class":  {[]string{"--faults", "1:429@blocks=1"}, exitUsage, `no class "blocks"; the classes are tunnel rest upload`},
		"seed":         {[]string{"--faults", "x"}, exitUsage, "begin with a seed"},
		"strict open":  {[]string{"--strict", "--anonymous"}, exitUsage, "no meaning beside --anonymous"},
		"strict zero":  {[]string{"--strict=0"}, exitUsage, "the scale is above 0"},
		"strict scale": {[]string{"--strict=-2"}, exitUsage, "the scale is above 0"},
		"strict text":  {[]string{"--strict=fast"}, exitUsage, "invalid argument"},
		"log format":   {[]string{"--log-format", "xml"}, exitUsage, "text, json or auto"},
		"store":        {[]string{"--store", "lose"}, exitUsage, "keep or discard"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := emulatorCommand(t, nil, c.flags...).CombinedOutput()
			exit, ok := errors.AsType[*exec.ExitError](err)
			if !ok || exit.ExitCode() != c.code || !strings.Contains(string(out), c.want) {
				t.Errorf("%v\n%s\nwant exit code %d and %q", err, out, c.code, c.want)
			}
		})
	}
	if out, err := emulatorCommand(t, []string{"SLUICE_EMULATOR_STORE=lose"}).CombinedOutput(); err == nil || !strings.Contains(string(out), "keep or discard") {
		t.Errorf("a bad value in the environment: %v %s", err, out)
	}
}

// heldBy is what a refusal says of the process that holds a folder, where the system tells.
func heldBy(pid int) string {
	if runtime.GOOS != "linux" {
		return ""
	}
	return fmt.Sprintf(" (process %d)", pid)
}

func TestDevSaysWhyItCannotStart(t *testing.T) {
	running := startEmulator(t, nil, "--listen", "127.0.0.1:0")
	data := t.TempDir()
	holder := startEmulator(t, nil, "--listen", "127.0.0.1:0", "--data", filepath.Join(data, "endpoint")).cmd.Process.Pid
	for name, c := range map[string]struct {
		flags []string
		code  int
		want  string
	}{
		"endpoint's port": {[]string{"--endpoint-listen", running.addr}, exitFailed, "\nsomething listens there already: --endpoint-listen names another address"},
		"service's port":  {[]string{"--endpoint-listen", "127.0.0.1:0", "--listen", running.addr}, exitFailed, "\nsomething listens there already: --listen names another address"},
		"service's form":  {[]string{"--endpoint-listen", "127.0.0.1:0", "--listen", "127.0.0.1"}, exitUsage, "\n--listen is HOST:PORT"},
		"folder":          {[]string{"--data", data}, exitFailed, "in use by a running endpoint" + heldBy(holder) + "\nend that process"},
		"strict space":    {[]string{"--strict", "60"}, exitUsage, "--strict takes its value behind an equals sign: --strict=60"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := sluiceProcess(t, nil, append([]string{"dev"}, c.flags...)...).CombinedOutput()
			exit, ok := errors.AsType[*exec.ExitError](err)
			if !ok || exit.ExitCode() != c.code || !strings.Contains(string(out), c.want) {
				t.Errorf("%v\n%s\nwant exit code %d and %q", err, out, c.code, c.want)
			}
		})
	}
	t.Run("a variable of the emulator's", func(t *testing.T) {
		out, err := sluiceProcess(t, []string{"SLUICE_EMULATOR_FAULTS=7"}, "dev", "--endpoint-listen", running.addr).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "level=WARN") || !strings.Contains(string(out), "variable=SLUICE_EMULATOR_FAULTS") {
			t.Errorf("%v\n%s\nwant a warning: sluice dev reads no variables", err, out)
		}
	})
}

func TestEmulatorWarnsOfMisspeltVariables(t *testing.T) {
	p := startEmulator(t, []string{"SLUICE_EMULATOR_LOGFORMAT=text", "SLUICE_EMULATOR_COLOUR=secret", "SLUICE_EMULATOR_DATA="}, "--listen", "127.0.0.1:0", "--quiet")
	p.signal(syscall.SIGTERM)
	_, log := p.wait()
	for _, want := range []string{`"level":"WARN"`, `"variable":"SLUICE_EMULATOR_LOGFORMAT","did_you_mean":"SLUICE_EMULATOR_LOG_FORMAT"`, `"variable":"SLUICE_EMULATOR_COLOUR"}`} {
		if !strings.Contains(log, want) {
			t.Errorf("log:\n%swant %s", log, want)
		}
	}
	if strings.Count(log, "\n") != 2 || strings.Contains(log, "secret") {
		t.Errorf("log:\n%swant two lines, and no value", log)
	}
}

// requestLines are the log's lines about requests, with the form they are in.
func requestLines(log string) (lines []string) {
	for line := range strings.Lines(log) {
		if strings.Contains(line, "odps_request_id") {
			lines = append(lines, line)
		}
	}
	return lines
}

func TestEmulatorLogsOneLinePerRequest(t *testing.T) {
	for name, c := range map[string]struct {
		flags []string
		want  *regexp.Regexp // nil = no line
	}{
		"by default JSON, as this is no terminal": {nil, regexp.MustCompile(`^\{.*"msg":"request","odps_request_id":"[0-9A-F]{24}","method":"GET","path":"/api/projects/p".*"status":200,.*"elapsed_ms":[0-9.]+`)},
		"text":  {[]string{"--log-format", "text"}, regexp.MustCompile(`msg=request odps_request_id=[0-9A-F]{24} method=GET path=/api/projects/p .*status=200 .*elapsed_ms=[0-9.]+`)},
		"quiet": {[]string{"--quiet"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			p := startEmulator(t, nil, append([]string{"--listen", "127.0.0.1:0", "--anonymous"}, c.flags...)...)
			res, err := http.Get("http://" + p.addr + "/api/projects/p")
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			p.signal(syscall.SIGTERM)
			_, log := p.wait()
			lines := requestLines(log)
			if c.want == nil {
				if len(lines) != 0 {
					t.Errorf("lines %q, want none", lines)
				}
				return
			}
			if len(lines) != 1 || !c.want.MatchString(lines[0]) {
				t.Errorf("lines %q, want one like %s", lines, c.want)
			}
			if id := res.Header.Get("x-odps-request-id"); !strings.Contains(log, id) {
				t.Errorf("the answer's request id %s is not in %s", id, log)
			}
		})
	}
}

func TestEmulatorLogsItsStartAndItsEnd(t *testing.T) {
	p := startEmulator(t, []string{"SLUICE_EMULATOR_FAULTS=7"}, "--listen", "127.0.0.1:0", "--projects", "a,b", "--strict=300")
	p.signal(syscall.SIGTERM)
	_, log := p.wait()
	want := regexp.MustCompile(`^\{.*"msg":"endpoint starts","version":"[^"]+","addr":"` + p.addr + `","data":"temporary","store":"keep","projects":"a,b","schemas":false,"signatures":true,"strict":300,"faults":"7"\}
\{.*"msg":"endpoint ends","grace":"10s"\}
\{.*"msg":"endpoint ended","ok":true\}
$`)
	if !want.MatchString(log) {
		t.Errorf("log:\n%swant %s", log, want)
	}
}

func TestEmulatorReadsItsEnvironment(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	p := startEmulator(t, []string{"SLUICE_EMULATOR_LISTEN=127.0.0.1:0", "SLUICE_EMULATOR_DATA=" + data, "SLUICE_EMULATOR_FAULTS=5:503=1", "SLUICE_EMULATOR_STRICT=2"}, "--faults", "6:429@table=1")
	res, err := http.Get("http://" + p.addr + "/faults")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var counts struct {
		Seed uint64
		Spec string
	}
	if err := json.NewDecoder(res.Body).Decode(&counts); err != nil || counts.Seed != 6 || counts.Spec != "429@table=1" {
		t.Errorf("%+v, %v: a flag goes before the environment", counts, err)
	}
	if _, err := os.Stat(filepath.Join(data, "catalogue.db")); err != nil {
		t.Error(err)
	}
}
