package main

import (
	"github.com/spf13/cobra"

	"github.com/sluice-io/sluice/internal/cli/demo"
)

func newDemo() *cobra.Command {
	d := demo.Demo{}
	cmd := &cobra.Command{
		Use: "demo", Short: "Import real files by four processes, kill one, export and compare",
		Long: "Starts service and endpoint on free ports, imports two real files, one of them by four worker processes of which one is\n" +
			"killed and started again while a reader watches, exports both tables and compares them with their files.\n" +
			"Exit code 0 means that every row was there, once, and that nothing was visible before the commit.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			d.Out, d.Err = cmd.OutOrStdout(), cmd.ErrOrStderr()
			return d.Run(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&d.Data, "testdata", "testdata", "folder with flights-200k.arrow and birdstrikes.csv")
	return cmd
}
