package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"github.com/sluice-io/sluice/emulator"
	"github.com/sluice-io/sluice/internal/cli/startup"
	"github.com/sluice-io/sluice/internal/version"
)

// emulatorEnv begins the environment variables of the emulator's flags: --log-format is
// SLUICE_EMULATOR_LOG_FORMAT. A flag goes before its variable.
const emulatorEnv = "SLUICE_EMULATOR_"

// modeFlags are what `sluice dev` and `sluice emulator` can do to clients.
type modeFlags struct {
	strict float64
	given  func() bool // whether --strict was said; nil if there is no command line
	faults string
}

func (f *modeFlags) add(cmd *cobra.Command) {
	cmd.Flags().Float64Var(&f.strict, "strict", 0, "enforce production's limits; =SCALE makes their times SCALE times shorter")
	cmd.Flags().Lookup("strict").NoOptDefVal = "1"
	f.given = func() bool { return cmd.Flags().Changed("strict") }
	cmd.Flags().StringVar(&f.faults, "faults", "", "inject faults that can be had again: SEED or SEED:KIND[@CLASS]=SHARE[:ARGUMENT],…; 'sluice emulator --help' explains")
}

func (f *modeFlags) apply(o *emulator.Options) error {
	if f.given != nil && f.given() && !(f.strict > 0) {
		return startup.Usage(fmt.Errorf("--strict=%v: the scale is above 0", f.strict))
	}
	o.Strict = f.strict
	if f.faults == "" {
		return nil
	}
	faults, err := emulator.ParseFaults(f.faults)
	if err != nil {
		return startup.Usage(fmt.Errorf("--faults: %w", err))
	}
	o.Faults = faults
	return nil
}

type emulatorFlags struct {
	listen, data, store, projects, region string
	accounts, tokens                      []string
	modes                                 modeFlags
	schemas, anonymous, quiet             bool
	logFormat                             string
	idle, grace                           time.Duration
	misspelt                              []startup.Misspelling
}

func newEmulator() *cobra.Command {
	f := &emulatorFlags{}
	cmd := &cobra.Command{
		Use: "emulator", Short: "Run the MaxCompute look-alike alone",
		Long: "Runs the MaxCompute look-alike alone, for any MaxCompute client, and prints one line when it answers:\n\n" +
			"  ready maxcompute=http://HOST:PORT/api\n\n" +
			"With --store discard it verifies every checksum and keeps nothing: for benchmarks.\n" +
			"Each flag can be set by an environment variable: --log-format by " + emulatorEnv + "LOG_FORMAT.\n" +
			"SIGTERM and SIGINT end it when the running requests are done, or after --grace; a second one at once.\n\n" +
			"--faults injects faults: " + emulator.FaultsHelp(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := startup.FromEnvironment(cmd.Flags(), emulatorEnv, os.LookupEnv); err != nil {
				return startup.Usage(err)
			}
			f.misspelt = startup.Misspelt(os.Environ(), startup.Variables(cmd.Flags(), emulatorEnv), emulatorEnv)
			return f.run(cmd.Context(), cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&f.listen, "listen", "127.0.0.1:8580", "address, port 0 for a free one")
	cmd.Flags().StringVar(&f.data, "data", "", "folder for tables; empty: a temporary one")
	cmd.Flags().StringVar(&f.store, "store", "keep", "keep or discard uploaded rows")
	cmd.Flags().StringVar(&f.projects, "projects", "", "names of the projects, with commas; empty: every name is one")
	cmd.Flags().BoolVar(&f.schemas, "schemas", false, "the projects have schemas: names have three levels, and a schema is created before its first table")
	cmd.Flags().StringVar(&f.region, "region", "local", "the region that projects say they lie in")
	cmd.Flags().BoolVar(&f.anonymous, "anonymous", false, "check no signatures; otherwise access id "+localAccessID+", key "+localAccessKey)
	cmd.Flags().StringArrayVar(&f.accounts, "account", nil, "further keys, ID:KEY, or temporary ones, ID:KEY:TOKEN or ID:KEY:TOKEN:END with an RFC 3339 time; may be repeated")
	cmd.Flags().StringArrayVar(&f.tokens, "bearer-token", nil, "a token that needs no signature, TOKEN or TOKEN@END; may be repeated")
	f.modes.add(cmd)
	cmd.Flags().BoolVarP(&f.quiet, "quiet", "q", false, "log warnings only, not every request")
	cmd.Flags().StringVar(&f.logFormat, "log-format", "auto", "text, json, or auto: text on a terminal, else json")
	cmd.Flags().DurationVar(&f.idle, "idle-timeout", 0, "cut a connection whose body stands still for so long; 0: 300s, with --strict 120s/SCALE")
	cmd.Flags().DurationVar(&f.grace, "grace", 10*time.Second, "how long running requests may go on at the end")
	cmd.Flags().BoolP("verbose", "v", false, "log every request: the default")
	cmd.Flags().Lookup("verbose").Hidden = true
	cmd.AddCommand(newEmulatorCheck())
	return cmd
}

func (f *emulatorFlags) run(ctx context.Context, out io.Writer) error {
	options, err := f.options()
	if err != nil {
		return startup.Usage(err)
	}
	warnOfMisspelt(ctx, options.Logger, f.misspelt)
	endpoint, err := emulator.New(options)
	if err != nil {
		return explainStart(err, "--listen")
	}
	f.logStart(ctx, options.Logger, endpoint.Addr())
	endpoint.Start()
	if _, err := fmt.Fprintf(out, "ready maxcompute=%s\n", endpoint.Endpoint()); err != nil {
		return errors.Join(err, endpoint.Close())
	}
	err = endpoint.Serve(ctx)
	options.Logger.InfoContext(ctx, "endpoint ended", slog.Bool("ok", err == nil))
	return err
}

// logStart writes what this endpoint is: what a log must say that is all that is left of it.
func (f *emulatorFlags) logStart(ctx context.Context, logger *slog.Logger, addr string) {
	logger.InfoContext(ctx, "endpoint starts", slog.String("version", version.Text()), slog.String("addr", addr),
		slog.String("data", cmp.Or(f.data, "temporary")), slog.String("store", f.store), slog.String("projects", cmp.Or(f.projects, "any")), slog.Bool("schemas", f.schemas),
		slog.Bool("signatures", !f.anonymous), slog.Any("strict", f.modes.strict), slog.Any("faults", f.modes.faults))
}

// options reads the flags; every error is the caller's.
func (f *emulatorFlags) options() (emulator.Options, error) {
	options := emulator.Options{Listen: f.listen, DataDir: f.data, Schemas: f.schemas, Region: f.region, IdleTimeout: f.idle, Grace: f.grace}
	switch f.store {
	case "keep":
	case "discard":
		options.Discard = true
	default:
		return options, fmt.Errorf("--store is keep or discard, not %q", f.store)
	}
	if f.idle < 0 || f.grace < 0 {
		return options, errors.New("--idle-timeout and --grace are not below 0")
	}
	if f.modes.strict != 0 && f.anonymous {
		return options, errors.New("--strict checks signatures as production does: it has no meaning beside --anonymous")
	}
	if f.projects != "" {
		options.Projects = strings.Split(f.projects, ",")
	}
	if err := f.modes.apply(&options); err != nil {
		return options, err
	}
	if err := f.credentials(&options); err != nil {
		return options, err
	}
	var err error
	options.Logger, err = requestLogger(os.Stderr, f.logFormat, f.quiet)
	return options, err
}

// requestLogger writes to file: text for people, JSON for programs.
func requestLogger(file *os.File, format string, quiet bool) (*slog.Logger, error) {
	options := &slog.HandlerOptions{Level: slog.LevelInfo}
	if quiet {
		options.Level = slog.LevelWarn
	}
	switch format {
	case "auto":
		if isatty.IsTerminal(file.Fd()) {
			return slog.New(slog.NewTextHandler(file, options)), nil
		}
		return slog.New(slog.NewJSONHandler(file, options)), nil
	case "text":
		return slog.New(slog.NewTextHandler(file, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(file, options)), nil
	}
	return nil, fmt.Errorf("--log-format is text, json or auto, not %q", format)
}

// explainStart adds to an error of the endpoint's start what to do about it.
func explainStart(err error, listenFlag string) error {
	err = fmt.Errorf("start endpoint: %w", err)
	if errors.Is(err, emulator.ErrHeld) {
		return fmt.Errorf("%w\nend that process, or name another folder with --data", err)
	}
	return startup.Explain(err, listenFlag, "--data")
}

// warnOfMisspelt logs one line for each variable that was probably meant for this program.
func warnOfMisspelt(ctx context.Context, logger *slog.Logger, found []startup.Misspelling) {
	for _, m := range found {
		logger.WarnContext(ctx, "an environment variable is no setting and has no effect", m.Attrs()...)
	}
}
