package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluice-io/sluice/client"
	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
	"github.com/sluice-io/sluice/internal/cli/show"
	"github.com/sluice-io/sluice/internal/cli/startup"
	"github.com/sluice-io/sluice/internal/cli/transfer"
)

// runFlags are what all run commands share.
type runFlags struct{ connection }

func newRun() *cobra.Command {
	f := &runFlags{}
	cmd := &cobra.Command{
		Use: "run", Short: "Look at runs, commit and abort them",
		Long: "A run is one job's rows, committed together or not at all: `sluice table import` makes one, and so does every client.",
	}
	f.flags(cmd)
	cmd.AddCommand(newRunList(f), newRunShow(f), newRunComplete(f), newRunAbort(f))
	return cmd
}

func newRunList(f *runFlags) *cobra.Command {
	var output, prefix string
	var states []string
	var limit int
	cmd := &cobra.Command{
		Use: "list", Short: "List runs, newest first",
		Example: "  sluice run list --state OPEN,COMMITTING\n  sluice run list --output odps://local/tables/fruit",
		RunE: func(cmd *cobra.Command, _ []string) error {
			filter, err := runFilter(output, prefix, states)
			if err != nil {
				return startup.Usage(err)
			}
			return f.with(cmd.Context(), func(c *client.Client) error { return f.list(cmd, c, filter, limit) })
		},
	}
	cmd.Flags().StringVar(&output, "output", "", "only runs that declare this table or partition, odps://project/tables/name[/pt=1...]")
	cmd.Flags().StringVar(&prefix, "prefix", "", "only ids that begin so")
	cmd.Flags().StringSliceVar(&states, "state", nil, "only runs in these states: "+strings.Join(runStates(), ", "))
	cmd.Flags().IntVarP(&limit, "limit", "n", 100, "most runs, 0 all")
	return cmd
}

// list prints the newest runs that pass the filter, and says so where there are more.
func (f *runFlags) list(cmd *cobra.Command, c *client.Client, filter *sluicev1.ListRunsRequest, limit int) error {
	var runs []*sluicev1.Run
	more := false
	for run, err := range c.Runs(cmd.Context(), filter) {
		if err != nil {
			return fmt.Errorf("list runs: %w", err)
		}
		if more = limit > 0 && len(runs) == limit; more {
			break
		}
		runs = append(runs, run)
	}
	if f.json {
		return show.JSON(cmd.OutOrStdout(), &sluicev1.ListRunsResponse{Runs: runs})
	}
	if err := show.Runs(cmd.OutOrStdout(), runs); err != nil || !more {
		return err
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "the newest %d; --limit 0 lists all\n", limit)
	return err
}

// runStates are the words for --state.
func runStates() (names []string) {
	for number := range sluicev1.RunState_name {
		if number != 0 {
			names = append(names, strings.TrimPrefix(sluicev1.RunState(number).String(), "RUN_STATE_"))
		}
	}
	slices.Sort(names)
	return names
}

// runFilter reads the flags; every error is the caller's.
func runFilter(output, prefix string, states []string) (*sluicev1.ListRunsRequest, error) {
	filter := &sluicev1.ListRunsRequest{RunIdPrefix: prefix}
	if output != "" {
		ref, err := transfer.ParseTable(output, "")
		if err != nil {
			return nil, err
		}
		filter.Output = ref
	}
	for _, name := range states {
		number, ok := sluicev1.RunState_value["RUN_STATE_"+strings.ToUpper(name)]
		if !ok || number == 0 {
			return nil, fmt.Errorf("--state %s: the states are %s", name, strings.Join(runStates(), ", "))
		}
		filter.States = append(filter.States, sluicev1.RunState(number))
	}
	return filter, nil
}

func newRunShow(f *runFlags) *cobra.Command {
	var wait time.Duration
	cmd := &cobra.Command{
		Use: "show RUN", Short: "Show a run with its outputs and slices", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.with(cmd.Context(), func(c *client.Client) error {
				run, err := c.GetRun(cmd.Context(), args[0], wait)
				if err != nil {
					return fmt.Errorf("show run %s: %w", args[0], err)
				}
				var parts []*sluicev1.Slice
				for part, err := range c.Slices(cmd.Context(), args[0]) {
					if err != nil {
						return fmt.Errorf("list the slices of run %s: %w", args[0], err)
					}
					parts = append(parts, part)
				}
				if f.json {
					return show.RunJSON(cmd.OutOrStdout(), run, parts)
				}
				return show.Run(cmd.OutOrStdout(), run, parts)
			})
		},
	}
	cmd.Flags().DurationVar(&wait, "wait", 0, "wait for the run's end, at most 60s, before it is shown")
	return cmd
}

func newRunComplete(f *runFlags) *cobra.Command {
	return &cobra.Command{
		Use: "complete RUN", Short: "Commit a run whose slices are sealed", Args: cobra.ExactArgs(1),
		Long: "Commits a run: all its rows become visible together. A run that declares how many slices it has commits by itself when the\n" +
			"last one is sealed; this is for one that does not, or whose commit did not come to its end. It may be repeated.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.end(cmd, args[0], "complete", func(ctx context.Context, c *client.Client) (*sluicev1.Run, error) {
				return c.CompleteRun(ctx, args[0])
			})
		},
	}
}

func newRunAbort(f *runFlags) *cobra.Command {
	var message string
	var force bool
	cmd := &cobra.Command{
		Use: "abort RUN", Short: "Drop everything that was written in a run", Args: cobra.ExactArgs(1),
		Long: "Ends a run without a commit: its rows are dropped, its outputs are free for others. It may be repeated.",
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.end(cmd, args[0], "abort", func(ctx context.Context, c *client.Client) (*sluicev1.Run, error) {
				if force {
					return c.ForceAbortRun(ctx, args[0], message)
				}
				return c.AbortRun(ctx, args[0], message)
			})
		},
	}
	cmd.Flags().StringVar(&message, "message", "by sluice run abort", "why, for the service's log")
	cmd.Flags().BoolVar(&force, "force", false, "also a run whose commit nobody can learn the outcome of: look at the table yourself first")
	return cmd
}

// end calls do, which ends a run, and prints the run as it is then.
func (f *runFlags) end(cmd *cobra.Command, id, verb string, do func(context.Context, *client.Client) (*sluicev1.Run, error)) error {
	return f.with(cmd.Context(), func(c *client.Client) error {
		run, err := do(cmd.Context(), c)
		if err != nil {
			return fmt.Errorf("%s run %s: %w", verb, id, err)
		}
		if f.json {
			return show.JSON(cmd.OutOrStdout(), run)
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), show.RunLine(run))
		return err
	})
}
