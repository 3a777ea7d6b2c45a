package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"github.com/spf13/cobra"

	"github.com/sluice-io/sluice/emulator"
	"github.com/sluice-io/sluice/internal/cli/startup"
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
	modes                                 modeFlags
	schemas, verbose                      bool
}

func newDev() *cobra.Command {
	f := &devFlags{}
	cmd := &cobra.Command{
		Use: "dev", Short: "Run service and embedded endpoint together",
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
	f.modes.add(cmd)
	cmd.Flags().BoolVarP(&f.verbose, "verbose", "v", false, "log every call")
	return cmd
}

func (f *devFlags) run(ctx context.Context, out io.Writer) (err error) {
	options := emulator.Options{Listen: f.endpointListen, Projects: []string{f.project}, Schemas: f.schemas, AccessID: localAccessID, AccessKey: localAccessKey}
	if err := f.modes.apply(&options); err != nil {
		return err
	}
	dir, remove, err := dataFolder(f.data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	logger := newLogger(f.verbose)
	warnOfMisspelt(ctx, logger, startup.Misspelt(os.Environ(), nil, emulatorEnv)) // it reads none at all
	options.DataDir, options.Logger = filepath.Join(dir, "endpoint"), logger
	endpoint, err := emulator.New(options)
	if err != nil {
		return explainStart(err, "--endpoint-listen")
	}
	defer func() { err = errors.Join(err, endpoint.Close()) }()
	endpoint.Start()
	server, err := service.New(service.Config{ //nolint:contextcheck // it starts nothing: Run takes the context
		Listen: f.listen, LedgerPath: filepath.Join(dir, "ledger.db"), Embedded: true, Version: version.Version, Revision: version.Revised(), Logger: logger,
		MaxCompute: service.MaxCompute{Endpoint: endpoint.Endpoint(), Project: f.project, AccessID: localAccessID, AccessKey: localAccessKey},
	})
	if err != nil {
		return startup.Explain(fmt.Errorf("start service: %w", err), "--listen", "--data")
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
