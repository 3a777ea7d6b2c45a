package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/aliyun/aliyun-odps-go-sdk/odps"
	"github.com/aliyun/aliyun-odps-go-sdk/odps/account"
)

const (
	testTimeout = 3 * time.Minute
	// production is the address that some tests expect in the texts that the SDK makes.
	production = "http://service.cn-shanghai.maxcompute.aliyun.com/api"
)

// makeFixtures makes what the tests presuppose, with the SDK itself.
func makeFixtures(url string, p *plan) error {
	client := odps.NewOdps(account.NewAliyunAccount(accessID, accessKey), url)
	client.SetDefaultProjectName(p.Project)
	for _, f := range p.Schemas {
		if err := odps.NewSchemas(client, p.Project).Create(f.Do, false, ""); err != nil {
			return fmt.Errorf("fixture schema %s: %w", f.Do, err)
		}
	}
	for _, f := range p.SQL {
		instance, err := client.ExecSQl(f.Do, map[string]string{"odps.namespace.schema": "true"})
		if err == nil {
			err = instance.WaitForSuccess()
		}
		if err != nil {
			return fmt.Errorf("fixture %q: %w", f.Do, err)
		}
	}
	return nil
}

// runner runs cases one after another and remembers what came out.
type runner struct {
	plan     *plan
	server   *endpoint
	log      logReader
	sdk      string
	programs map[string]string // test program by package
	out      io.Writer

	passed        int
	failed, stale []string
	leftOut       []leftOut
}

// run judges one case; an error means that nothing can be said about any.
func (r *runner) run(ctx context.Context, c testCase) error {
	start := time.Now()
	output, passed, err := r.execute(ctx, c)
	if err != nil {
		return err
	}
	broken, err := r.log.failures(r.server.log)
	if err != nil {
		return err
	}
	reason, leave := r.plan.reason(c)
	verdict := "ok  "
	switch {
	case len(broken) > 0:
		verdict = "FAIL"
		r.failed = append(r.failed, c.String())
		output += "the endpoint answered:\n" + strings.Join(broken, "\n") + "\n"
	case leave && passed:
		verdict = "STALE"
		r.stale = append(r.stale, c.String())
	case leave:
		verdict = "left"
		r.leftOut = append(r.leftOut, leftOut{c.String(), reason})
	case passed:
		r.passed++
	default:
		verdict = "FAIL"
		r.failed = append(r.failed, c.String())
	}
	if verdict != "FAIL" {
		output = ""
	}
	_, err = fmt.Fprintf(r.out, "%s %s %.1fs\n%s", verdict, c, time.Since(start).Seconds(), output)
	return err
}

func (p *plan) reason(c testCase) (string, bool) {
	for _, l := range p.LeftOut {
		if l.Test == c.String() {
			return l.Why, true
		}
	}
	return "", false
}

// execute runs one case in a process of its own. It passed if the process says so; a test that skips itself did not.
func (r *runner) execute(ctx context.Context, c testCase) (output string, passed bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, testTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, r.programs[c.pkg], "-test.v", "-test.run", "^"+c.run+"$") //nolint:gosec // built by us
	cmd.Dir = filepath.Join(r.sdk, filepath.FromSlash(c.pkg))
	cmd.Env = r.environment(c)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	if ctx.Err() != nil {
		return out.String() + "\n" + ctx.Err().Error(), false, nil
	}
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		return "", false, fmt.Errorf("run %s: %w", c, err)
	}
	return out.String(), err == nil && strings.Contains(out.String(), "--- PASS: "+c.run+" "), nil
}

// environment is what a test finds: nothing of this process but the ways to tools.
func (r *runner) environment(c testCase) []string {
	env := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "TMPDIR=" + os.TempDir(),
		"ALIBABA_CLOUD_ACCESS_KEY_ID=" + accessID, "ALIBABA_CLOUD_ACCESS_KEY_SECRET=" + accessKey,
	}
	for _, e := range r.plan.Env {
		env = append(env, e.Name+"="+e.Value)
	}
	if _, proxied := r.plan.Proxied[c.String()]; proxied {
		return append(env, "odps_endpoint="+production, "HTTP_PROXY="+strings.TrimSuffix(r.server.url, "/api"))
	}
	return append(env, "odps_endpoint="+r.server.url)
}

// report prints the counts and says whether all is as the plan has it.
func (r *runner) report() error {
	if len(r.leftOut) > 0 {
		_, _ = fmt.Fprintf(r.out, "\nleft out, %d:\n", len(r.leftOut))
		for _, l := range r.leftOut {
			_, _ = fmt.Fprintf(r.out, "  %s: %s\n", l.Test, l.Why)
		}
	}
	_, _ = fmt.Fprintf(r.out, "\ngo-sdk: %d passed, %d failed, 0 skipped, %d left out\n", r.passed, len(r.failed), len(r.leftOut))
	var errs []error
	if len(r.failed) > 0 {
		errs = append(errs, fmt.Errorf("failed: %s", strings.Join(r.failed, ", ")))
	}
	if len(r.stale) > 0 {
		errs = append(errs, fmt.Errorf("left out by plan.json, but they pass: %s", strings.Join(r.stale, ", ")))
	}
	switch {
	case len(errs) > 0:
	case r.passed == 0:
		errs = append(errs, errors.New("nothing ran"))
	case r.log.requests == 0: // then nobody would have seen a 5xx either
		errs = append(errs, errors.New("the endpoint's log tells no status"))
	}
	return errors.Join(errs...)
}
