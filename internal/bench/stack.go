package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/aliyun/aliyun-odps-go-sdk/odps"
	"github.com/aliyun/aliyun-odps-go-sdk/odps/account"
	"github.com/aliyun/aliyun-odps-go-sdk/odps/tunnel"

	"github.com/sluice-io/sluice/client"
	"github.com/sluice-io/sluice/emulator"
	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
	"github.com/sluice-io/sluice/service"
)

// Who we are at the endpoint. It checks no signatures, but both sides sign as they would elsewhere.
const (
	project   = "bench"
	accessID  = "local"
	accessKey = "local-secret"
)

// stack is everything in this process: the endpoint, the service on top of it with a client, and the SDK beside them.
type stack struct {
	endpoint *emulator.Server
	client   *client.Client
	tunnel   *tunnel.Tunnel

	cancel  context.CancelFunc
	running sync.WaitGroup
	runErr  error // of the service; read after running
}

// startStack starts an endpoint that stores, or discards, and the service for it, with data below dir. The caller closes it.
func startStack(ctx context.Context, dir string, discard bool) (_ *stack, err error) {
	dir, err = os.MkdirTemp(dir, "stack-")
	if err != nil {
		return nil, fmt.Errorf("make data folder: %w", err)
	}
	s := &stack{cancel: func() {}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	s.endpoint, err = emulator.New(emulator.Options{DataDir: filepath.Join(dir, "endpoint"), Discard: discard})
	if err != nil {
		return nil, fmt.Errorf("start endpoint: %w", err)
	}
	s.endpoint.Start()
	s.tunnel = sdkTunnel(s.endpoint)
	server, err := service.New(serviceConfig(s.endpoint.Addr(), filepath.Join(dir, "ledger"))) //nolint:contextcheck // Run gets it
	if err != nil {
		return nil, fmt.Errorf("start service: %w", err)
	}
	ctx, s.cancel = context.WithCancel(ctx)
	s.running.Go(func() { s.runErr = server.Run(ctx) })
	select {
	case <-server.Ready():
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	s.client, err = client.Dial(ctx, server.Addr())
	return s, err
}

// serviceConfig is the service with its defaults, on a free port, for the endpoint at an address.
func serviceConfig(endpoint, ledger string) service.Config {
	return service.Config{
		Listen: "127.0.0.1:0",
		MaxCompute: service.MaxCompute{
			Endpoint: "http://" + endpoint + "/api", TunnelEndpoint: "http://" + endpoint,
			Project: project, AccessID: accessID, AccessKey: accessKey,
		},
		LedgerPath: ledger,
		Replica:    "bench",
		Embedded:   true,
		Grace:      time.Second,
	}
}

func sdkTunnel(endpoint *emulator.Server) *tunnel.Tunnel {
	o := odps.NewOdps(account.NewAliyunAccount(accessID, accessKey), endpoint.Endpoint())
	o.SetDefaultProjectName(project)
	return tunnel.NewTunnel(o, "http://"+endpoint.Addr())
}

// close stops everything and waits for it.
func (s *stack) close() error {
	var errs []error
	if s.client != nil {
		errs = append(errs, s.client.Close())
	}
	s.cancel()
	s.running.Wait()
	errs = append(errs, s.runErr)
	if s.endpoint != nil {
		errs = append(errs, s.endpoint.Close())
	}
	return errors.Join(errs...)
}

// withStack runs f with a stack of its own.
func (r *runner) withStack(ctx context.Context, discard bool, f func(*stack) error) (err error) {
	s, err := startStack(ctx, r.dir, discard)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	return f(s)
}

// createTable makes an empty table of the shape.
func createTable(ctx context.Context, c *client.Client, name string, s shape) error {
	_, _, err := c.CreateTable(ctx, &sluicev1.Table{Ref: client.TableName(name), Schema: &sluicev1.TableSchema{Columns: s.columns()}}, false)
	if err != nil {
		return fmt.Errorf("create table %s: %w", name, err)
	}
	return nil
}
