package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "sdktests:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	program := flag.String("sluice", "bin/sluice", "the program that holds the endpoint; SLUICE_BIN overrides it")
	dir := flag.String("dir", "out/gosdk", "folder for the SDK's copy, the test programs, the tables and the logs")
	only := flag.String("run", "", "run only tests whose package.Name matches, like odps/tunnel.TestRetry")
	smoke := flag.Bool("smoke", false, "run the small cut of plan.json")
	flag.Parse()
	if env := os.Getenv("SLUICE_BIN"); env != "" {
		*program = env
	}
	p, err := readPlan(planText)
	if err != nil {
		return err
	}
	if *smoke && *only == "" {
		*only = p.Smoke
	}
	pattern, err := regexp.Compile(*only)
	if err != nil {
		return fmt.Errorf("-run: %w", err)
	}
	work, err := filepath.Abs(*dir)
	if err != nil {
		return fmt.Errorf("find %s: %w", *dir, err)
	}
	cases, programs, err := prepare(ctx, p, filepath.Join(work, "sdk"), pattern)
	if err != nil {
		return err
	}
	server, err := startEndpoint(ctx, *program, work, p)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.stop()) }()
	if err := makeFixtures(server.url, p); err != nil {
		return err
	}
	r := &runner{plan: p, server: server, sdk: filepath.Join(work, "sdk"), programs: programs, out: os.Stdout}
	for _, c := range cases {
		if err := r.run(ctx, c); err != nil {
			return err
		}
	}
	return r.report()
}

// prepare copies the SDK and builds the test programs of the packages with a chosen test.
func prepare(ctx context.Context, p *plan, sdk string, pattern *regexp.Regexp) (cases []testCase, programs map[string]string, err error) {
	if err := copyModule(ctx, p.Module, sdk); err != nil {
		return nil, nil, err
	}
	for _, e := range p.Edits {
		if err := e.apply(sdk); err != nil {
			return nil, nil, err
		}
	}
	programs = map[string]string{}
	known := map[string]bool{}
	for _, pkg := range p.Packages {
		found, err := discover(sdk, pkg)
		if err != nil {
			return nil, nil, err
		}
		if len(found) == 0 {
			return nil, nil, fmt.Errorf("package %s of the SDK has no tests", pkg)
		}
		for _, c := range found {
			known[c.String()] = true
			if !pattern.MatchString(c.String()) {
				continue
			}
			cases = append(cases, c)
			if programs[pkg] == "" {
				if programs[pkg], err = build(ctx, sdk, pkg); err != nil {
					return nil, nil, err
				}
			}
		}
	}
	return cases, programs, p.check(known)
}

// check finds lines of the plan that name no test.
func (p *plan) check(known map[string]bool) error {
	var errs []error
	for _, l := range p.LeftOut {
		if !known[l.Test] {
			errs = append(errs, fmt.Errorf("plan.json leaves out %s, which the SDK does not have", l.Test))
		}
	}
	for test := range p.Proxied {
		if !known[test] {
			errs = append(errs, fmt.Errorf("plan.json sends %s through the proxy, which the SDK does not have", test))
		}
	}
	return errors.Join(errs...)
}
