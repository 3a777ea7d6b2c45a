package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluice-io/sluice/emulator"
	"github.com/sluice-io/sluice/internal/version"
	"github.com/sluice-io/sluice/service"
)

// The keys that `sluice dev` and `sluice emulator` accept. They protect nothing: both listen on this machine only.
const (
	localAccessID  = "local"
	localAccessKey = "local-secret"
)

type devFlags struct {
	listen, endpointListen, data, project string
	schemas, verbose                      bool
}

func newDev() *cobra.Command {
	f := &devFlags{}
	cmd := &cobra.Command{
		Use: "dev", Short: "Run service and embedded endpoint together", Args: args(cobra.NoArgs),
		Long: "Runs the service and a MaxCompute look-alike in one process, and prints one line when both answer:\n\n" +
			"  ready grpc=HOST:PORT maxcompute=http://HOST:PORT/api project=NAME\n\n" +
			"MaxCompute clients use access id " + localAccessID + " and key " + localAccessKey + ". Without --data, tables end with the process.",
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd.Context(), cmd.OutOrStdout()) },
	}
	cmd.Flags().StringVar(&f.listen, "listen", defaultAddr, "address of the service, port 0 for a free one")
	cmd.Flags().StringVar(&f.endpointListen, "endpoint-listen", "127.0.0.1:8580", "address of the MaxCompute look-alike, port 0 for a free one")
	cmd.Flags().StringVar(&f.data, "data", "", "folder for tables and ledger; empty: a temporary one")
	cmd.Flags().StringVar(&f.project, "project", "local", "name of the project")
	cmd.Flags().BoolVar(&f.schemas, "schemas", false, "the project has schemas: names have three levels")
	cmd.Flags().BoolVarP(&f.verbose, "verbose", "v", false, "log every call")
	return cmd
}

func (f *devFlags) run(ctx context.Context, out io.Writer) (err error) {
	dir, remove, err := dataFolder(f.data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	logger := newLogger(f.verbose)
	endpoint, err := emulator.New(emulator.Options{
		Listen: f.endpointListen, DataDir: filepath.Join(dir, "endpoint"), Projects: []string{f.project}, Schemas: f.schemas,
		AccessID: localAccessID, AccessKey: localAccessKey, Logger: logger,
	})
	if err != nil {
		return fmt.Errorf("start endpoint: %w", err)
	}
	defer func() { err = errors.Join(err, endpoint.Close()) }()
	endpoint.Start()
	server, err := service.New(service.Config{ //nolint:contextcheck // it starts nothing: Run takes the context
		Listen: f.listen, LedgerPath: filepath.Join(dir, "ledger.db"), Embedded: true, Version: version.Version, Revision: version.Revised(), Logger: logger,
		MaxCompute: service.MaxCompute{Endpoint: endpoint.Endpoint(), Project: f.project, AccessID: localAccessID, AccessKey: localAccessKey},
	})
	if err != nil {
		return fmt.Errorf("start service: %w", err)
	}
	return serveUntilDone(ctx, server, func() error {
		_, err := fmt.Fprintf(out, "ready grpc=%s maxcompute=%s project=%s\n", server.Addr(), endpoint.Endpoint(), f.project)
		return err
	})
}

// serveUntilDone runs the service until ctx ends, and says ready when it is.
func serveUntilDone(ctx context.Context, server *service.Server, ready func() error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var announcer sync.WaitGroup
	var announced error
	announcer.Go(func() {
		select {
		case <-server.Ready():
			announced = ready()
		case <-ctx.Done():
		}
	})
	err := server.Run(ctx)
	cancel()
	announcer.Wait()
	return errors.Join(err, announced)
}

// dataFolder makes the folder, or a temporary one that remove takes away.
func dataFolder(dir string) (path string, remove func() error, err error) {
	if dir != "" {
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return "", nil, fmt.Errorf("create data folder: %w", err)
		}
		return dir, func() error { return nil }, nil
	}
	if path, err = os.MkdirTemp("", "sluice-"); err != nil {
		return "", nil, fmt.Errorf("create data folder: %w", err)
	}
	return path, func() error { return os.RemoveAll(path) }, nil
}

// newLogger writes to standard error: warnings, or with verbose everything.
func newLogger(verbose bool) *slog.Logger {
	level := slog.LevelWarn
	if verbose {
		level = slog.LevelInfo
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
}

type emulatorFlags struct {
	listen, data, store, projects, region string
	accounts, tokens                      []string
	schemas, anonymous, verbose           bool
}

func newEmulator() *cobra.Command {
	f := &emulatorFlags{}
	cmd := &cobra.Command{
		Use: "emulator", Short: "Run the MaxCompute look-alike alone", Args: args(cobra.NoArgs),
		Long: "Runs the MaxCompute look-alike alone, for any MaxCompute client, and prints one line when it answers:\n\n" +
			"  ready maxcompute=http://HOST:PORT/api\n\n" +
			"With --store discard it verifies every checksum and keeps nothing: for benchmarks.",
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd.Context(), cmd.OutOrStdout()) },
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
	cmd.Flags().BoolVarP(&f.verbose, "verbose", "v", false, "log every request")
	cmd.AddCommand(newEmulatorCheck())
	return cmd
}

func (f *emulatorFlags) run(ctx context.Context, out io.Writer) error {
	options := emulator.Options{Listen: f.listen, DataDir: f.data, Schemas: f.schemas, Region: f.region, Logger: newLogger(f.verbose)}
	switch f.store {
	case "keep":
	case "discard":
		options.Discard = true
	default:
		return usageError{fmt.Errorf("--store is keep or discard, not %q", f.store)}
	}
	if f.projects != "" {
		options.Projects = strings.Split(f.projects, ",")
	}
	if err := f.credentials(&options); err != nil {
		return usageError{err}
	}
	endpoint, err := emulator.New(options)
	if err != nil {
		return fmt.Errorf("start endpoint: %w", err)
	}
	endpoint.Start()
	if _, err := fmt.Fprintf(out, "ready maxcompute=%s\n", endpoint.Endpoint()); err != nil {
		return errors.Join(err, endpoint.Close())
	}
	return endpoint.Serve(ctx)
}

// credentials reads who may send requests.
func (f *emulatorFlags) credentials(options *emulator.Options) error {
	if f.anonymous {
		if len(f.accounts)+len(f.tokens) > 0 {
			return errors.New("--anonymous checks nothing: --account and --bearer-token have no meaning beside it")
		}
		return nil
	}
	options.AccessID, options.AccessKey = localAccessID, localAccessKey
	for _, text := range f.accounts {
		parts := strings.SplitN(text, ":", 4)
		if len(parts) < 2 { // the text holds secrets: it is not shown
			return errors.New("--account is ID:KEY, ID:KEY:TOKEN or ID:KEY:TOKEN:END")
		}
		account := emulator.Account{AccessID: parts[0], AccessKey: parts[1]}
		if len(parts) > 2 {
			account.Token = parts[2]
		}
		if len(parts) > 3 {
			end, err := time.Parse(time.RFC3339, parts[3])
			if err != nil {
				return fmt.Errorf("--account %s: the end is no RFC 3339 time: %w", account.AccessID, err)
			}
			account.Expires = end
		}
		options.Accounts = append(options.Accounts, account)
	}
	for _, text := range f.tokens {
		token, until, timed := strings.Cut(text, "@")
		bearer := emulator.BearerToken{Token: token}
		if timed {
			end, err := time.Parse(time.RFC3339, until)
			if err != nil {
				return fmt.Errorf("--bearer-token: the end is no RFC 3339 time: %w", err)
			}
			bearer.Expires = end
		}
		options.BearerTokens = append(options.BearerTokens, bearer)
	}
	return nil
}
