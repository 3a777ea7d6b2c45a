package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"github.com/sluice-io/sluice/client"
	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
	"github.com/sluice-io/sluice/internal/cli/progress"
	"github.com/sluice-io/sluice/internal/cli/show"
	"github.com/sluice-io/sluice/internal/cli/tableio"
	"github.com/sluice-io/sluice/internal/cli/transfer"
)

const (
	workers    = 4
	victim     = 2 // the worker that is killed
	holdAfter  = 20_000
	flightsOf  = "flights-200k.arrow"
	birdsOf    = "birdstrikes.csv"
	startLimit = 30 * time.Second
)

// Demo runs the demonstration. The zero value needs Out, Err and Data.
type Demo struct {
	// Out takes the story and the table at its end, Err what the processes complain of.
	Out, Err io.Writer
	// Data is the folder with the two files.
	Data string
	// Program is the sluice binary; empty: the one that runs.
	Program string
}

// outcome is one line of the table at the end.
type outcome struct {
	table    string
	source   contents
	exported contents
	in, out  transfer.Result
}

// Run runs it. nil means that every check held. All processes and files are gone when it returns.
func (d *Demo) Run(ctx context.Context) (err error) {
	if d.Program == "" {
		if d.Program, err = os.Executable(); err != nil {
			return fmt.Errorf("find own program: %w", err)
		}
	}
	dir, err := os.MkdirTemp("", "sluice-demo-")
	if err != nil {
		return fmt.Errorf("create work folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	server, err := d.startServer(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.stop()) }()
	c, err := client.Dial(ctx, server.addr, client.WithClientName("sluice-demo"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	return d.tell(ctx, c, server, dir)
}

func (d *Demo) tell(ctx context.Context, c *client.Client, server *server, dir string) error {
	flights, err := d.flights(ctx, c, server, dir)
	if err != nil {
		return fmt.Errorf("flights: %w", err)
	}
	birds, err := d.birds(ctx, c, dir)
	if err != nil {
		return fmt.Errorf("birdstrikes: %w", err)
	}
	if err := d.draw(flights, birds); err != nil {
		return err
	}
	return errors.Join(flights.check(), birds.check())
}

// say tells a step of the story.
func (d *Demo) say(format string, args ...any) error {
	if _, err := fmt.Fprintf(d.Out, "• "+format+"\n", args...); err != nil {
		return fmt.Errorf("tell the story: %w", err)
	}
	return nil
}

// flights imports by four processes, of which one dies.
func (d *Demo) flights(ctx context.Context, c *client.Client, server *server, dir string) (outcome, error) {
	file := filepath.Join(d.Data, flightsOf)
	o := outcome{table: "flights"}
	if err := createTable(ctx, c, o.table, file); err != nil {
		return o, err
	}
	watch := newWatcher(c, o.table)
	start := time.Now()
	watching, stop := context.WithCancel(ctx)
	defer stop()
	watched := make(chan error, 1)
	var group waitGroup
	group.Go(func() { watched <- watch.run(watching) })
	defer group.Wait()
	defer stop()
	if err := d.work(ctx, c, server, file, watch); err != nil {
		return o, err
	}
	o.in.Elapsed = time.Since(start)
	if err := watch.waitFor(ctx, watched); err != nil {
		return o, err
	}
	if err := d.say("the reader asked %d times: 0 rows %d times, then all %d at once", watch.asked(), watch.empty(), watch.last()); err != nil {
		return o, err
	}
	return o, d.compare(ctx, c, &o, file, filepath.Join(dir, "flights.arrow"), readArrow)
}

// work is the life of the four workers.
func (d *Demo) work(ctx context.Context, c *client.Client, server *server, file string, watch *watcher) (err error) {
	run := "demo-" + uuid.NewString()
	var all []*worker
	defer func() {
		for _, w := range all {
			err = errors.Join(err, w.kill())
		}
	}()
	for id := range workers {
		w, err := d.startWorker(ctx, server.addr, run, file, id, 1, holdAfter)
		if err != nil {
			return err
		}
		all = append(all, w)
	}
	for _, w := range all {
		if err := w.waitHeld(ctx); err != nil {
			return err
		}
	}
	if err := d.say("%d worker processes import %s as slices of run %s; each holds at a barrier after %d rows", workers, flightsOf, run, holdAfter); err != nil {
		return err
	}
	if err := all[victim].kill(); err != nil {
		return err
	}
	if err := d.say("worker %d is killed with SIGKILL at the barrier; the others go on", victim); err != nil {
		return err
	}
	for id, w := range all {
		if id == victim {
			continue
		}
		if err := errors.Join(w.letGo(), w.wait()); err != nil {
			return fmt.Errorf("worker %d: %w", id, err)
		}
	}
	if err := d.checkUnseen(ctx, c, run, watch); err != nil {
		return err
	}
	again, err := d.startWorker(ctx, server.addr, run, file, victim, 2, 0)
	if err != nil {
		return err
	}
	all = append(all, again)
	if err := again.wait(); err != nil {
		return fmt.Errorf("worker %d, started again: %w", victim, err)
	}
	return d.checkCommitted(ctx, c, run)
}

// checkUnseen makes sure that three sealed slices of four show nothing.
func (d *Demo) checkUnseen(ctx context.Context, c *client.Client, run string, watch *watcher) error {
	if err := watch.another(ctx); err != nil {
		return err
	}
	if rows := watch.last(); rows != 0 {
		return fmt.Errorf("a reader saw %d rows before the commit", rows)
	}
	state, err := c.GetRun(ctx, run, 0)
	if err != nil {
		return err
	}
	output := state.GetOutputs()[0]
	if state.GetState() != sluicev1.RunState_RUN_STATE_OPEN || output.GetSealedSlices() != workers-1 {
		return fmt.Errorf("run %s is %v with %d slices sealed, want open with %d", run, state.GetState(), output.GetSealedSlices(), workers-1)
	}
	return d.say("%d slices are sealed with %d durable rows, the reader sees %d; worker %d starts again as attempt 2",
		output.GetSealedSlices(), output.GetDurableRows(), watch.last(), victim)
}

func (d *Demo) checkCommitted(ctx context.Context, c *client.Client, run string) error {
	state, err := c.GetRun(ctx, run, time.Minute)
	if err != nil {
		return err
	}
	if state.GetState() != sluicev1.RunState_RUN_STATE_COMMITTED {
		return fmt.Errorf("run %s is %v, want committed", run, state.GetState())
	}
	return d.say("its slice was the last one: run committed, %d rows", state.GetOutputs()[0].GetCommittedRows())
}

// birds imports and exports in this process.
func (d *Demo) birds(ctx context.Context, c *client.Client, dir string) (outcome, error) {
	file := filepath.Join(d.Data, birdsOf)
	o := outcome{table: "birdstrikes"}
	if err := createTable(ctx, c, o.table, file); err != nil {
		return o, err
	}
	job := transfer.Import{File: file, Output: client.TableName(o.table), Slices: 2, Slice: transfer.AllSlices}
	result, err := job.Do(ctx, c)
	if err != nil {
		return o, err
	}
	o.in = result
	if err := d.say("%s with its text, dates and missing values is imported too, by 2 slices of one process", birdsOf); err != nil {
		return o, err
	}
	return o, d.compare(ctx, c, &o, file, filepath.Join(dir, "birdstrikes.csv"), readCSV)
}

// createTable makes an empty table for a file.
func createTable(ctx context.Context, c *client.Client, name, file string) error {
	columns, err := columnsOf(ctx, file)
	if err != nil {
		return err
	}
	_, _, err = c.CreateTable(ctx, &sluicev1.Table{Ref: client.TableName(name), Schema: &sluicev1.TableSchema{Columns: columns}}, false)
	return err
}

func columnsOf(ctx context.Context, file string) (_ []*sluicev1.Column, err error) {
	var columns []*sluicev1.Column
	if filepath.Ext(file) == ".csv" {
		guessed, err := tableio.Infer(file, "", "")
		for _, g := range guessed {
			columns = append(columns, &sluicev1.Column{Name: g.Name, Type: &sluicev1.DataType{Text: g.Type}})
		}
		return columns, err
	}
	source, err := tableio.Open(ctx, file, tableio.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	for _, field := range source.Schema().Fields() {
		text, err := client.TypeText(field.Type)
		if err != nil {
			return nil, err
		}
		columns = append(columns, &sluicev1.Column{Name: field.Name, Type: &sluicev1.DataType{Text: text}})
	}
	return columns, nil
}

// compare exports the table and reads both files.
func (d *Demo) compare(ctx context.Context, c *client.Client, o *outcome, source, exported string, read func(string) (contents, error)) error {
	spec := &sluicev1.ReadSessionSpec{Table: client.TableName(o.table)}
	result, err := transfer.Export{Spec: spec, File: exported, Streams: 2}.Do(ctx, c)
	if err != nil {
		return err
	}
	o.out = result
	if o.source, err = read(source); err != nil {
		return err
	}
	o.exported, err = read(exported)
	return err
}

func (o outcome) check() error {
	if o.source != o.exported {
		return fmt.Errorf("table %s: the file has %v, the export %v", o.table, o.source, o.exported)
	}
	return nil
}

func (d *Demo) draw(outcomes ...outcome) error {
	var rows [][]string
	for _, o := range outcomes {
		verdict := "equal"
		if o.check() != nil {
			verdict = "DIFFERENT"
		}
		rows = append(rows, []string{
			o.table, fmt.Sprint(o.exported.rows),
			fmt.Sprintf("%.2f s, %s", o.in.Elapsed.Seconds(), progress.Rate(o.source.rows, o.in.Elapsed)),
			fmt.Sprintf("%.2f s, %s", o.out.Elapsed.Seconds(), progress.Rate(o.out.Rows, o.out.Elapsed)),
			o.exported.checksum(), verdict,
		})
	}
	return show.Grid(d.Out, []string{"table", "rows", "in, all told", "out", "checksum", "export and file"}, rows)
}
