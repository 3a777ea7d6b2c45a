package main

import (
	"context"
	"path/filepath"
	"sync"
	"testing"

	"github.com/sluice-io/sluice/conformance/clients/go/canon/canontest"
	"github.com/sluice-io/sluice/service"
)

func TestAdapter_gives_back_what_it_wrote(t *testing.T) {
	serve := func(t *testing.T, endpoint string) {
		server, err := service.New(service.Config{
			Listen: "127.0.0.1:0", LedgerPath: filepath.Join(t.TempDir(), "ledger.db"),
			MaxCompute: service.MaxCompute{Endpoint: endpoint, Project: canontest.Project, AccessID: "local", AccessKey: "local-secret"},
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		var running sync.WaitGroup
		running.Go(func() {
			if err := server.Run(ctx); err != nil {
				t.Errorf("run service: %v", err)
			}
		})
		t.Cleanup(func() { cancel(); running.Wait() })
		<-server.Ready()
		t.Setenv("SLUICE_SERVICE", server.Addr())
	}
	canontest.Run(t, adapter, serve, func(string, string) bool { return false })
}
