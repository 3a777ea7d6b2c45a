package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"syscall"
	"time"
)

// sample is what one run of one side took.
type sample struct {
	wall time.Duration
	cpu  time.Duration // user and system, of the whole process
}

// measure runs f once. Garbage of the run before is collected first, so that nobody pays for another's.
func measure(ctx context.Context, f func(context.Context) error) (sample, error) {
	runtime.GC()
	cpu, start := cpuTime(), time.Now()
	if err := f(ctx); err != nil {
		return sample{}, err
	}
	return sample{wall: time.Since(start), cpu: cpuTime() - cpu}, nil
}

// cpuTime is the CPU time that this process has used so far.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err) // it has no errors for RUSAGE_SELF
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// median returns the middle value, or the mean of the two in the middle. values must not be empty.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// spread is the range of values divided by their median.
func spread(values []float64) float64 {
	return (slices.Max(values) - slices.Min(values)) / cmp.Or(median(values), 1)
}

// ratios divides pair by pair.
func ratios(ours, peer []float64) []float64 {
	out := make([]float64, len(ours))
	for i := range ours {
		out[i] = ours[i] / peer[i]
	}
	return out
}

// duel is the same work done in two ways.
type duel struct {
	name string
	// unit of the first figure, per second: amount of it is moved by one run.
	unit   string
	amount float64
	// gigabytes moved by one run, for the CPU figure; 0 leaves it out.
	gigabytes float64
	// goal is the least ratio of the first figure, cpuGoal the greatest of the second; 0 is none.
	goal, cpuGoal float64
	ours, peer    func(context.Context) error
}

// runs are the samples of a duel.
type runs struct{ ours, peer []sample }

// side says which sides are run: a profile of one of them only is easier to read.
type side string

const (
	bothSides side = "both"
	oursOnly  side = "ours"
	peerOnly  side = "peer"
)

func (s side) valid() error {
	if s != bothSides && s != oursOnly && s != peerOnly {
		return fmt.Errorf("side %q: use both, ours or peer", string(s))
	}
	return nil
}

// fight warms up and then runs both sides n times in turn, the one that begins changing.
func (d duel) fight(ctx context.Context, n int, who side) (runs, error) {
	var r runs
	ours := func(ctx context.Context) error { return one(ctx, "ours", d.ours, &r.ours) }
	peer := func(ctx context.Context) error { return one(ctx, "peer", d.peer, &r.peer) }
	for i := range n + 1 {
		if i == 1 {
			r = runs{} // the first round warmed up
		}
		order := []func(context.Context) error{ours, peer}
		if i%2 == 1 {
			order = []func(context.Context) error{peer, ours}
		}
		switch who {
		case oursOnly:
			order = []func(context.Context) error{ours}
		case peerOnly:
			order = []func(context.Context) error{peer}
		}
		for _, f := range order {
			if err := f(ctx); err != nil {
				return runs{}, fmt.Errorf("%s: %w", d.name, err)
			}
		}
	}
	return r, nil
}

func one(ctx context.Context, who string, f func(context.Context) error, to *[]sample) error {
	if err := ctx.Err(); err != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	s, err := measure(ctx, f)
	if err != nil {
		return fmt.Errorf("%s: %w", who, err)
	}
	*to = append(*to, s)
	return nil
}

// results turns samples into rows of the report.
func (d duel) results(r runs) []result {
	rate := func(s sample) float64 { return d.amount / s.wall.Seconds() }
	out := []result{compare(d.name, d.unit, each(r.ours, rate), each(r.peer, rate), d.goal, higher)}
	if d.gigabytes > 0 {
		cost := func(s sample) float64 { return s.cpu.Seconds() / d.gigabytes }
		out = append(out, compare(d.name+"/cpu", "cpu-s/GB", each(r.ours, cost), each(r.peer, cost), d.cpuGoal, lower))
	}
	return out
}

func each(samples []sample, f func(sample) float64) []float64 {
	out := make([]float64, len(samples))
	for i, s := range samples {
		out[i] = f(s)
	}
	return out
}
