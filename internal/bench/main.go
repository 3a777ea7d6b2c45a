package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/pprof"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1) //nolint:gocritic // stop only ends the signal handling of a process that ends
	}
}

// config is the command line.
type config struct {
	only    *regexp.Regexp
	runs    int
	quick   bool
	side    side
	profile string
	allocs  string
	heap    string
	out     string
	dir     string
	bin     string
}

// run is the whole program. It never fails for a goal that is missed.
func run(ctx context.Context, args []string, out, progress io.Writer) (err error) {
	if len(args) > 0 && args[0] == childCommand {
		return runChild(ctx, args[1:], os.Stdin, out)
	}
	cfg, err := parseFlags(args, progress)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(cfg.dir, 0o755); err != nil {
		return fmt.Errorf("make data folder: %w", err)
	}
	dir, err := os.MkdirTemp(cfg.dir, "bench-")
	if err != nil {
		return fmt.Errorf("make data folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	r := &runner{cfg: cfg, dir: dir, progress: progress}
	stop, err := startProfile(cfg.profile)
	if err != nil {
		return err
	}
	err = errors.Join(r.all(ctx), stop(), writeProfile("allocs", cfg.allocs))
	// What was measured before an error is worth printing too.
	fmt.Fprintf(out, "%s, %d CPUs, %s %s/%s, medians of %d\n", time.Now().UTC().Format(time.DateTime), runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH, cfg.runs)
	printTable(out, r.results)
	return errors.Join(err, writeJSON(cfg.out, r.results))
}

func parseFlags(args []string, output io.Writer) (config, error) {
	cfg := config{side: bothSides}
	var only, who string
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(output)
	f.StringVar(&only, "only", "", "run rows whose name matches this regular `expression`")
	f.IntVar(&cfg.runs, "runs", 5, "measured runs of each side")
	f.BoolVar(&cfg.quick, "quick", false, "a tenth of the data and of the slices: to see that everything works, the figures mean little")
	f.StringVar(&who, "side", string(bothSides), "run both, ours or peer: for profiles")
	f.StringVar(&cfg.profile, "cpuprofile", "", "write a CPU profile to this `file`")
	f.StringVar(&cfg.allocs, "memprofile", "", "write a profile of all allocations to this `file`")
	f.StringVar(&cfg.heap, "heapprofile", "", "write what the service's own process holds for idle slices to this `file`")
	f.StringVar(&cfg.out, "o", filepath.Join("out", "bench.json"), "write the rows to this `file`")
	f.StringVar(&cfg.dir, "dir", "out", "put data below this `folder`; it should be on the disk that is meant, not in memory")
	f.StringVar(&cfg.bin, "bin", "bin", "`folder` of sluice and sluiced")
	if err := f.Parse(args); err != nil {
		return config{}, err
	}
	if f.NArg() > 0 {
		return config{}, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	if cfg.runs < 1 {
		return config{}, errors.New("runs: at least 1")
	}
	cfg.side = side(who)
	if err := cfg.side.valid(); err != nil {
		return config{}, err
	}
	var err error
	if cfg.only, err = regexp.Compile(only); err != nil {
		return config{}, fmt.Errorf("-only: %w", err)
	}
	return cfg, nil
}

// startProfile begins a CPU profile if a file is named; the function returned ends it.
func startProfile(path string) (stop func() error, err error) {
	if path == "" {
		return func() error { return nil }, nil
	}
	file, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("create profile: %w", err)
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return nil, errors.Join(fmt.Errorf("start profile: %w", err), file.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return file.Close()
	}, nil
}

// writeProfile writes one of the runtime's profiles, if a file is named.
func writeProfile(name, path string) error {
	if path == "" {
		return nil
	}
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("create profile: %w", err)
	}
	return errors.Join(pprof.Lookup(name).WriteTo(file, 0), file.Close())
}
