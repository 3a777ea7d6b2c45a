package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/sluice-io/sluice/client"
	"github.com/sluice-io/sluice/internal/cli/startup"
	"github.com/sluice-io/sluice/internal/version"
)

// The exit codes.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

// run carries out one command line and returns the exit code.
func run(ctx context.Context, args []string) int {
	root := newRoot() //nolint:contextcheck // cobra hands the context to the commands
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return exitOK
	case ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "sluice: interrupted:", err)
		return exitInterrupted
	case startup.IsUsage(err):
		fmt.Fprintln(os.Stderr, "sluice:", err)
		return exitUsage
	}
	fmt.Fprintln(os.Stderr, "sluice:", err)
	return exitFailed
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use: "sluice", Short: "Rows in and out of MaxCompute tables", Version: version.Text(), SilenceErrors: true, SilenceUsage: true,
	}
	root.SetVersionTemplate("sluice {{.Version}}\n")
	root.AddCommand(newDev(), newEmulator(), newTable(), newRun(), newDemo(), newVersion())
	startup.CheckUsage(root)
	return root
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version, as --version does",
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "sluice", version.Text())
			return err
		},
	}
}

// defaultAddr is where `sluice dev` listens.
const defaultAddr = "127.0.0.1:50051"

// connection says which service a command asks, and in which form it answers.
type connection struct {
	addr string
	json bool
}

func (c *connection) flags(cmd *cobra.Command) {
	addr := os.Getenv(addrVariable)
	if addr == "" {
		addr = defaultAddr
	}
	cmd.PersistentFlags().StringVar(&c.addr, "addr", addr, "address of the service; "+addrVariable+" sets the default")
	cmd.PersistentFlags().BoolVar(&c.json, "json", false, "print JSON")
}

// addrVariable sets the default of --addr.
const addrVariable = "SLUICE_ADDR"

// with connects, calls do, and closes the connection. A variable that was probably meant to say where the service is gets a
// warning: without it the call may go to another one.
func (c *connection) with(ctx context.Context, do func(*client.Client) error) (err error) {
	for _, m := range startup.Misspelt(os.Environ(), []string{addrVariable}, "") {
		fmt.Fprintf(os.Stderr, "sluice: warning: the environment variable %s has no effect: did you mean %s?\n", m.Name, m.Nearest)
	}
	conn, err := client.Dial(ctx, c.addr, client.WithClientName("sluice-cli"))
	if err != nil {
		return fmt.Errorf("%w\nis the service running there? `sluice dev` starts one, --addr or "+addrVariable+" names another", err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	return do(conn)
}
