package canon

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
)

// Job is what an adapter is asked for: docs of the matrix say how.
type Job struct {
	Endpoint, Project, Schema, Table string
	Form                             string
	Columns                          []Column
}

// Adapter is one client of the matrix.
type Adapter struct {
	WriteForms, ReadForms []string
	// Write uploads rows into the existing table, in two blocks where the client has blocks. The job's columns are all of the
	// table's.
	Write func(context.Context, Job, [][]Value) error
	// Read gives the table's rows to emit, in order. The job's columns are some of the table's, in its order.
	Read func(ctx context.Context, job Job, emit func([]Value) error) error
}

// Main runs the adapter as a program and never returns.
func (a Adapter) Main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := a.run(ctx, os.Args[1:], os.Stdin, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func (a Adapter) run(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	if len(args) == 0 {
		return errors.New("write or read is missing")
	}
	var job Job
	var columns string
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	flags.StringVar(&job.Endpoint, "endpoint", "", "URL of the endpoint, with /api")
	flags.StringVar(&job.Project, "project", "", "project")
	flags.StringVar(&job.Schema, "schema", "", "schema; empty: a project of two levels")
	flags.StringVar(&job.Table, "table", "", "table")
	flags.StringVar(&job.Form, "form", "", "form of the rows")
	flags.StringVar(&columns, "columns", "", "file with the columns: [{\"name\":\"c1\",\"type\":\"decimal(10,2)\"},…]")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	var err error
	if job.Columns, err = readColumns(columns); err != nil {
		return err
	}
	switch {
	case args[0] == "write" && slices.Contains(a.WriteForms, job.Form):
		rows, err := readRows(in, job.Columns)
		if err != nil {
			return err
		}
		return a.Write(ctx, job, rows)
	case args[0] == "read" && slices.Contains(a.ReadForms, job.Form):
		return a.read(ctx, job, out)
	default:
		return fmt.Errorf("%s %s: forms are write %v, read %v", args[0], job.Form, a.WriteForms, a.ReadForms)
	}
}

func (a Adapter) read(ctx context.Context, job Job, to io.Writer) error {
	out := bufio.NewWriter(to)
	err := a.Read(ctx, job, func(row []Value) error {
		text, err := FormatRow(job.Columns, row)
		if err != nil {
			return err
		}
		_, err = out.Write(append(text, '\n'))
		return err
	})
	return errors.Join(err, out.Flush())
}

// readColumns reads the columns' file.
func readColumns(path string) ([]Column, error) {
	text, err := os.ReadFile(path) //nolint:gosec // the caller's file
	if err != nil {
		return nil, fmt.Errorf("read columns: %w", err)
	}
	var named []struct{ Name, Type string }
	if err := json.Unmarshal(text, &named); err != nil {
		return nil, fmt.Errorf("read columns: %w", err)
	}
	columns := make([]Column, len(named))
	for i, c := range named {
		columns[i].Name = c.Name
		if columns[i].Type, err = ParseType(c.Type); err != nil {
			return nil, err
		}
	}
	return columns, nil
}

// readRows reads one JSON array a line.
func readRows(in io.Reader, columns []Column) ([][]Value, error) {
	var rows [][]Value
	decoder := json.NewDecoder(in)
	for {
		var cells []json.RawMessage
		if err := decoder.Decode(&cells); errors.Is(err, io.EOF) {
			return rows, nil
		} else if err != nil {
			return nil, fmt.Errorf("read row %d: %w", len(rows), err)
		}
		if len(cells) != len(columns) {
			return nil, fmt.Errorf("row %d has %d values, want %d", len(rows), len(cells), len(columns))
		}
		row := make([]Value, len(cells))
		for i, cell := range cells {
			var err error
			if row[i], err = Parse(columns[i].Type, cell); err != nil {
				return nil, fmt.Errorf("row %d, column %s: %w", len(rows), columns[i].Name, err)
			}
		}
		rows = append(rows, row)
	}
}

// FormatRow writes a row's canonical line, without its end.
func FormatRow(columns []Column, row []Value) ([]byte, error) {
	if len(row) != len(columns) {
		return nil, fmt.Errorf("a row of %d values, want %d", len(row), len(columns))
	}
	cells := make([][]byte, len(row))
	for i, v := range row {
		var err error
		if cells[i], err = Format(columns[i].Type, v); err != nil {
			return nil, fmt.Errorf("column %s: %w", columns[i].Name, err)
		}
	}
	return brackets(cells), nil
}

// Halves cuts rows into the two blocks of an upload.
func Halves(rows [][]Value) [2][][]Value {
	return [2][][]Value{rows[:(len(rows)+1)/2], rows[(len(rows)+1)/2:]}
}
