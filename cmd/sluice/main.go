// Command sluice is the toolbox: it runs service and embedded endpoint on one machine, and moves tables in and out of
// files. `sluice help` lists its commands.
//
// Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() { os.Exit(program(os.Args[1:])) }

// program carries out one command line; SIGINT and SIGTERM end it in order, a second one at once.
func program(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // back to what signals do by themselves
	return run(ctx, args)
}
