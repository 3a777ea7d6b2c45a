// Command sluiced is the service: rows in and out of MaxCompute over gRPC. Flags and SLUICE_… environment variables
// say where MaxCompute is; docs/operations.md explains each.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "sluiced:", err)
		os.Exit(1) //nolint:gocritic // stop only ends the signal handling of a process that ends
	}
}
