package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/sluice-io/sluice/emulator"
	"github.com/sluice-io/sluice/internal/cli/startup"
)

func newEmulatorCheck() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use: "check DIR", Short: "Verify the data folder of a look-alike that does not run", Args: cobra.ExactArgs(1),
		Long: "Verifies a data folder (--data of `sluice emulator`; of `sluice dev` the folder endpoint/ below its --data) without changing it:\n" +
			"the catalogue, every checksum of every file that it lists, every batch against its table's columns, counters against sums.\n" +
			"Prints a line for each finding, and one with counts. Notes are no damage.\n\n" +
			"Exit codes: 0 sound, 1 damaged, 2 not checked: wrong usage, no data folder, or an endpoint runs in it.",
		RunE: func(cmd *cobra.Command, args []string) error {
			report, err := emulator.Check(cmd.Context(), args[0])
			if err != nil {
				return startup.Usage(err) // nothing was checked: not the exit code of damage
			}
			if err := printReport(cmd.OutOrStdout(), args[0], report, asJSON); err != nil {
				return err
			}
			if !report.Sound() {
				return fmt.Errorf("%s is damaged, see the lines above", args[0])
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the report as JSON")
	return cmd
}

func printReport(out io.Writer, dir string, r *emulator.Report, asJSON bool) error {
	if asJSON {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(r); err != nil {
			return fmt.Errorf("print the report: %w", err)
		}
		return nil
	}
	for _, f := range r.Findings {
		if _, err := fmt.Fprintln(out, f); err != nil {
			return fmt.Errorf("print the report: %w", err)
		}
	}
	_, err := fmt.Fprintf(out, "checked %s: format version %s, %d tables, %d partitions, %d sessions, %d segments with %d rows, %d resources, %d parts, %d bytes: %d damaged, %d notes\n",
		dir, cmp.Or(r.Version, "unknown"), r.Tables, r.Partitions, r.Sessions, r.Segments, r.Rows, r.Resources, r.Parts, r.Bytes, r.Damages, len(r.Findings)-r.Damages)
	if err != nil {
		return fmt.Errorf("print the report: %w", err)
	}
	return nil
}
