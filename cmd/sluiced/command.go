package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluice-io/sluice/internal/cli/startup"
	"github.com/sluice-io/sluice/internal/version"
	"github.com/sluice-io/sluice/service"
)

const envPrefix = "SLUICE_"

// command is the whole command line. Order of precedence: default < environment < flag.
func command() *cobra.Command {
	var cfg service.Config
	var logLevel, accessKey, stsToken, signingKey string
	cmd := &cobra.Command{
		Use:           "sluiced",
		Short:         "Stream rows in and out of MaxCompute tables over gRPC",
		Version:       version.Text(),
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			envErr := startup.FromEnvironment(cmd.Flags(), envPrefix, os.LookupEnv)
			logger, logErr := newLogger(logLevel)
			cfg.Logger, cfg.Version, cfg.Revision = logger, version.Version, version.Revised()
			cfg.MaxCompute.AccessKey = service.Secret(accessKey)
			cfg.MaxCompute.STSToken = service.Secret(stsToken)
			cfg.SigningKey = service.Secret(signingKey)
			if err := errors.Join(envErr, logErr, cfg.Validate()); err != nil { // all faults at once
				return startup.Usage(err)
			}
			for _, m := range startup.Misspelt(os.Environ(), startup.Variables(cmd.Flags(), envPrefix), "") {
				logger.WarnContext(cmd.Context(), "an environment variable is no setting and has no effect", m.Attrs()...)
			}
			server, err := service.New(cfg)
			if err != nil {
				return startup.Explain(err, "--listen", "--ledger")
			}
			logger.InfoContext(cmd.Context(), "ready", slog.String("grpc", server.Addr()), slog.String("maxcompute", cfg.MaxCompute.Endpoint))
			return run(cmd.Context(), server, cfg)
		},
	}
	cmd.SetVersionTemplate("sluiced {{.Version}}\n")
	startup.CheckUsage(cmd)
	f := cmd.Flags()
	f.StringVar(&cfg.Listen, "listen", "0.0.0.0:50051", "address of the gRPC server, host:port")
	f.StringVar(&cfg.MaxCompute.Endpoint, "endpoint", "", "MaxCompute service endpoint, like http://service.region.maxcompute.aliyun.com/api (required)")
	f.StringVar(&cfg.MaxCompute.TunnelEndpoint, "tunnel-endpoint", "", "tunnel endpoint; empty: asked from the service endpoint")
	f.StringVar(&cfg.MaxCompute.Project, "project", "", "default project")
	f.StringVar(&cfg.MaxCompute.Schema, "schema", "", "default schema")
	f.StringVar(&cfg.MaxCompute.AccessID, "access-id", "", "access key id")
	f.StringVar(&accessKey, "access-key", "", "access key secret; better in SLUICE_ACCESS_KEY")
	f.StringVar(&stsToken, "sts-token", "", "token of a temporary access key; better in SLUICE_STS_TOKEN")
	f.StringVar(&cfg.MaxCompute.Region, "region", "", "region; set: requests are signed with V4")
	f.StringVar(&cfg.MaxCompute.Compression, "compression", "", "compression of uploaded blocks: zstd, snappy, deflate or lz4; empty: none")
	f.StringVar(&cfg.LedgerPath, "ledger", "", "file that records runs, slices and blocks (required)")
	f.StringVar(&cfg.Replica, "replica", "", "name of this process in logs and answers; empty: the host's name")
	f.StringVar(&signingKey, "signing-key", "", "signs read tokens, at least 32 bytes, the same in all replicas; better in SLUICE_SIGNING_KEY")
	f.StringSliceVar(&cfg.Outputs, "outputs", nil, "the only tables that runs without a run id may write, as odps:// paths; empty: any")
	f.Int64Var(&cfg.GatherBytes, "gather-bytes", 1<<30, "memory for rows whose block is not open yet, all slices together")
	f.IntVar(&cfg.PutSlots, "put-slots", 64, "block uploads under way at once")
	f.Int32Var(&cfg.StreamWindow, "stream-window", 512<<10, "HTTP/2 window of each stream, in bytes")
	f.DurationVar(&cfg.Grace, "grace", 20*time.Second, "how long a shutdown waits for clients to leave")
	f.BoolVar(&cfg.AllowUnversionedBlocks, "allow-unversioned-blocks", false, "write also to an endpoint that ignores block_version (see docs/operations.md)")
	f.StringVar(&logLevel, "log-level", "info", "debug, info, warn or error")
	return cmd
}

// run serves until ctx ends. Beside it, it looks once whether MaxCompute is there.
func run(ctx context.Context, server *service.Server, cfg service.Config) error {
	looking, stop := context.WithCancel(ctx)
	var tasks sync.WaitGroup
	tasks.Go(func() { warnOfSilence(looking, cfg.Logger, cfg.MaxCompute.Endpoint, cfg.MaxCompute.TunnelEndpoint) })
	err := server.Run(ctx)
	stop()
	tasks.Wait()
	return err
}

func newLogger(level string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("log level %q: use debug, info, warn or error", level)
	}
	return slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: l})), nil
}
