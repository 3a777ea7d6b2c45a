// Command sluiced is the service: rows in and out of MaxCompute over gRPC. Flags and SLUICE_… environment variables
// say where MaxCompute is; docs/operations.md explains each.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/sluice-io/sluice/internal/cli/startup"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "sluiced:", err)
		os.Exit(exitCode(err)) //nolint:gocritic // stop only ends the signal handling of a process that ends
	}
}

// exitCode is 2 for what the caller set wrong, and 1 for what could not be done.
func exitCode(err error) int {
	if startup.IsUsage(err) {
		return 2
	}
	return 1
}
