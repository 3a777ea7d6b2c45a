package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluice-io/sluice/client"
	"github.com/sluice-io/sluice/internal/cli/progress"
	"github.com/sluice-io/sluice/internal/cli/show"
	"github.com/sluice-io/sluice/internal/cli/startup"
	"github.com/sluice-io/sluice/internal/cli/transfer"
)

type importFlags struct {
	*tableFlags
	job       transfer.Import
	partition string
	create    bool
	quiet     bool
	holdAfter int64
}

func newTableImport(t *tableFlags) *cobra.Command {
	f := &importFlags{tableFlags: t}
	cmd := &cobra.Command{
		Use: "import FILE TABLE", Short: "Write a file's rows into a table", Args: cobra.ExactArgs(2),
		Long: "Writes a file's rows into a table: all of them become visible at once, when the last slice is sealed, and replace the table's\n" +
			"rows unless --append is given. With --run several processes write one slice each (--slice) of the same file.",
		Example: "  sluice table import birdstrikes.csv birds --create\n" +
			"  sluice table import flights.arrow flights --run job-7 --slices 4 --slice 2 --attempt 1",
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0], args[1]) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.job.Format, "format", "", "csv, json, parquet, arrow, arrows; empty: by the file's name")
	flags.StringVar(&f.job.Null, "null", "", "text that is NULL in CSV files")
	flags.StringVar(&f.partition, "partition", "", "partition to write: dt=1/hr=05")
	flags.BoolVar(&f.job.Append, "append", false, "keep the rows that are there")
	flags.BoolVar(&f.create, "create", false, "create the table from the file's columns if it is not there")
	flags.StringVar(&f.job.Run, "run", "", "id of the run; empty: made up")
	flags.Int32Var(&f.job.Slices, "slices", 1, "number of slices of the run")
	flags.Int32Var(&f.job.Slice, "slice", transfer.AllSlices, "the slice to write here; -1: all")
	flags.Int64Var(&f.job.Attempt, "attempt", 0, "number of this worker's attempt: a larger one takes the slice over; with --resume the time by default")
	flags.BoolVar(&f.job.Resume, "resume", false, "go on behind the rows that an earlier attempt of --run made durable")
	flags.DurationVar(&f.job.WaitBusy, "wait", 0, "how long to wait while others write there")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "no progress")
	flags.Int64Var(&f.holdAfter, "hold-after", 0, "after so many rows print a line and wait for one on standard input")
	if err := flags.MarkHidden("hold-after"); err != nil {
		panic(err) // the flag is defined above
	}
	return cmd
}

func (f *importFlags) run(cmd *cobra.Command, file, table string) error {
	if err := f.check(); err != nil {
		return startup.Usage(err)
	}
	ref, err := transfer.ParseTable(table, f.partition)
	if err != nil {
		return startup.Usage(err)
	}
	f.job.File, f.job.Output = file, ref
	f.job.Meter = f.meter("import", f.quiet)
	if f.holdAfter > 0 {
		f.job.Hold = f.hold(cmd.InOrStdin(), cmd.OutOrStdout())
	}
	return f.with(cmd.Context(), func(c *client.Client) error {
		made, err := f.createTable(cmd.Context(), c)
		if err != nil {
			return err
		}
		result, err := f.job.Do(cmd.Context(), c)
		if err != nil {
			err = fmt.Errorf("import %s into %s: %w", file, table, err)
			if made {
				err = f.dropUnused(cmd.Context(), c, err)
			}
			return err
		}
		return f.report(cmd.OutOrStdout(), "imported", table, result)
	})
}

func (f *importFlags) check() error {
	switch {
	case f.job.Slices < 1:
		return errors.New("--slices is at least 1")
	case f.job.Slice < transfer.AllSlices || f.job.Slice >= f.job.Slices:
		return fmt.Errorf("--slice is from 0 to %d, or -1 for all", f.job.Slices-1)
	case f.job.Slice != transfer.AllSlices && f.job.Run == "":
		return errors.New("--slice needs --run: the others must find the same run")
	case f.job.Resume && f.job.Run == "":
		return errors.New("--resume needs --run: the one to go on with")
	}
	if f.job.Resume && f.job.Attempt == 0 {
		f.job.Attempt = time.Now().UnixMilli()
	}
	return nil
}

// createTable makes the table if that is wanted and it is not there; made tells that this call made it.
func (f *importFlags) createTable(ctx context.Context, c *client.Client) (made bool, err error) {
	if !f.create {
		return false, nil
	}
	_, err = c.GetTable(ctx, transfer.WithoutPartition(f.job.Output))
	if !client.Is(err, reasonTableNotFound) {
		return false, err
	}
	columns, err := columnsOf(ctx, f.job.File, f.job.Format)
	if err != nil {
		return false, err
	}
	if _, made, err = c.CreateTable(ctx, newTableOf(f.job.Output, columns), true); err != nil {
		return false, fmt.Errorf("create table %s: %w", show.RefText(f.job.Output), err)
	}
	return made, nil
}

// dropTime is how long to try to drop the table of an import that failed.
const dropTime = 10 * time.Second

// dropUnused takes back the table that a failed import made, and adds to its error what became of it. Rows that may still
// be resumed keep their table.
func (f *importFlags) dropUnused(ctx context.Context, c *client.Client, failed error) error {
	if transfer.Resumable(failed) {
		return failed
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dropTime) // an interrupt must not keep it from its end
	defer cancel()
	table := transfer.WithoutPartition(f.job.Output)
	kept, err := transfer.DropUnused(ctx, c, table)
	switch {
	case err != nil:
		return fmt.Errorf("%w\nthe table %s, made by this command, may be left: %w", failed, show.RefText(table), err)
	case kept != "":
		return fmt.Errorf("%w\nthe table %s, made by this command, stays: %s", failed, show.RefText(table), kept)
	}
	return fmt.Errorf("%w\nthe table %s, made by this command, is dropped again", failed, show.RefText(table))
}

// hold makes a barrier: once a writer has been given enough rows, it says so on out and goes on when a line, or the end,
// comes in. The demo kills processes there.
func (f *importFlags) hold(in io.Reader, out io.Writer) func(context.Context, int32, int64) error {
	lines := bufio.NewReader(in)
	held := false
	return func(_ context.Context, slice int32, rows int64) error {
		if held || rows < f.holdAfter {
			return nil
		}
		held = true
		if _, err := fmt.Fprintf(out, "holding slice=%d rows=%d\n", slice, rows); err != nil {
			return err
		}
		if _, err := lines.ReadString('\n'); err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("wait for a line: %w", err)
		}
		return nil
	}
}

// meter makes progress meters on standard error.
func (f *tableFlags) meter(label string, quiet bool) func(int64) *progress.Meter {
	if quiet || f.json {
		return nil
	}
	return func(total int64) *progress.Meter { return progress.New(os.Stderr, label, total, nil) }
}

func (f *tableFlags) report(out io.Writer, verb, table string, r transfer.Result) error {
	if f.json {
		return show.JSON(out, r)
	}
	text := fmt.Sprintf("%s %s: %d rows, %.1f MB in %.2f s (%s)", verb, table, r.Rows, float64(r.Bytes)/1e6, r.Seconds, progress.Rate(r.Rows, r.Elapsed))
	if r.Before {
		_, err := fmt.Fprintf(out, "%s: run %s was committed before, with the file's %d rows; nothing was written now\n", table, r.RunID, r.Skipped)
		return err
	}
	if r.Skipped > 0 {
		text += fmt.Sprintf(", %d were there already", r.Skipped)
	}
	switch r.State {
	case "COMMITTED":
		text += ", committed"
	case "SEALED":
		text += ", sealed: visible when the other slices of run " + r.RunID + " are"
	}
	_, err := fmt.Fprintln(out, text)
	return err
}

func newTableExport(t *tableFlags) *cobra.Command {
	var sel selection
	var job transfer.Export
	var quiet bool
	cmd := &cobra.Command{
		Use: "export TABLE FILE", Short: "Write a table's rows into a file", Args: cobra.ExactArgs(2),
		Long:    "Writes a snapshot of a table into a file. FILE - is standard output, with --format.",
		Example: "  sluice table export flights flights.parquet --slices 4\n  sluice table export birds - --format csv --columns airport_name,flight_date",
		RunE: func(cmd *cobra.Command, args []string) error {
			spec, err := sel.spec(args[0])
			if err != nil {
				return err
			}
			job.Spec, job.File = spec, args[1]
			job.Meter = t.meter("export", quiet || args[1] == "-")
			return t.with(cmd.Context(), func(c *client.Client) error {
				result, err := job.Do(cmd.Context(), c)
				if err != nil {
					return fmt.Errorf("export %s to %s: %w", args[0], args[1], err)
				}
				if args[1] == "-" {
					return nil
				}
				return t.report(cmd.OutOrStdout(), "exported", args[0], result)
			})
		},
	}
	cmd.Flags().StringVar(&job.Format, "format", "", "csv, json, parquet, arrow, arrows; empty: by the file's name")
	cmd.Flags().StringVar(&job.Null, "null", "", "text for NULL in CSV files")
	cmd.Flags().Int32Var(&job.Streams, "slices", 2, "number of streams read at once")
	cmd.Flags().Int64Var(&job.Limit, "limit", 0, "most rows, 0 all")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "no progress")
	sel.flags(cmd)
	return cmd
}
