package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
)

// runner runs the groups that are wanted and collects their rows.
type runner struct {
	cfg      config
	dir      string // for data; removed at the end
	progress io.Writer
	results  []result
}

// group is rows that share a set-up.
type group struct {
	rows []string // the names of its duels and figures
	run  func(context.Context, *runner) error
}

// groups in the order of the report.
func groups() []group {
	return []group{
		uploadGroup("discard"), uploadGroup("store"),
		rowsGroup(),
		downloadGroup(),
		flightGroup(),
		storeGroup(), sqlGroup(),
		idleGroup(), stallGroup(),
		readyGroup(), sizeGroup(), endpointGroup(), clientGroup(),
	}
}

// all runs every group that has a wanted row. One that fails does not keep the others from running.
func (r *runner) all(ctx context.Context) error {
	var errs []error
	for _, g := range groups() {
		if ctx.Err() != nil {
			return errors.Join(append(errs, ctx.Err())...)
		}
		if slices.ContainsFunc(g.rows, r.wants) {
			if err := g.run(ctx, r); err != nil {
				fmt.Fprintln(r.progress, "failed:", err)
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

func (r *runner) wants(name string) bool { return r.cfg.only.MatchString(name) }

// scaled is n, or a tenth of it with -quick, but at least 1.
func (r *runner) scaled(n int) int {
	if r.cfg.quick {
		return max(1, n/10)
	}
	return n
}

// duel runs d if it is wanted.
func (r *runner) duel(ctx context.Context, d duel) error {
	if !r.wants(d.name) {
		return nil
	}
	fmt.Fprintln(r.progress, "running", d.name)
	samples, err := d.fight(ctx, r.cfg.runs, r.cfg.side)
	if err != nil {
		return err
	}
	r.add(d.results(samples)...)
	return nil
}

// add notes rows and says them at once.
func (r *runner) add(rows ...result) {
	for _, row := range rows {
		fmt.Fprintf(r.progress, "  %-36s ours %s, peer %s %s, ratio %s\n", row.Name, number(row.Ours), number(row.Peer), row.Unit, number(row.Ratio))
	}
	r.results = append(r.results, rows...)
}
