// Command matrixsluice is Sluice as a writer and a reader of the cross-client matrix: its Go client in the three forms of
// rows, in front of a service that works on the endpoint given. The service is the program `sluiced` (SLUICED_BIN, or
// bin/sluiced), started for the one call; SLUICE_SERVICE names one that runs already.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/sluice-io/sluice/client"
	"github.com/sluice-io/sluice/conformance/clients/go/canon"
	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
)

var (
	forms   = []string{"arrow", "columns", "rows"}
	adapter = canon.Adapter{WriteForms: forms, ReadForms: forms, Write: write, Read: read}
)

func main() { adapter.Main() }

// connected runs do with a client of a service on the job's endpoint.
func connected(ctx context.Context, job canon.Job, do func(*client.Client) error) (err error) {
	address := os.Getenv("SLUICE_SERVICE")
	if address == "" {
		service, err := startService(ctx, job)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, service.stop()) }()
		address = service.address
	}
	c, err := client.Dial(ctx, address)
	if err != nil {
		return fmt.Errorf("connect to the service: %w", err)
	}
	return errors.Join(do(c), c.Close())
}

// process is a running sluiced.
type process struct {
	cmd     *exec.Cmd
	address string
	dir     string
	drained sync.WaitGroup // its log is read to the end
}

func startService(ctx context.Context, job canon.Job) (_ *process, err error) {
	program := os.Getenv("SLUICED_BIN")
	if program == "" {
		program = "bin/sluiced"
	}
	s := &process{}
	if s.dir, err = os.MkdirTemp("", "matrixsluice-"); err != nil {
		return nil, fmt.Errorf("create folder: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(s.dir))
		}
	}()
	s.cmd = exec.CommandContext(ctx, program, "--listen", "127.0.0.1:0", "--ledger", filepath.Join(s.dir, "ledger.db"), //nolint:gosec // the caller's program
		"--endpoint", job.Endpoint, "--project", job.Project, "--access-id", "local", "--grace", "1s")
	s.cmd.Env = append(os.Environ(), "SLUICE_ACCESS_KEY=local-secret")
	s.cmd.Cancel = func() error { return s.cmd.Process.Signal(syscall.SIGTERM) }
	s.cmd.WaitDelay = 5 * time.Second
	log, err := s.cmd.StderrPipe()
	if err != nil {
		return nil, fmt.Errorf("start service: %w", err)
	}
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start service: %w", err)
	}
	var said bytes.Buffer
	lines := bufio.NewReader(io.TeeReader(log, &said))
	for s.address == "" {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return nil, errors.Join(fmt.Errorf("the service ended before it was ready: %w\n%s", err, said.Bytes()), s.cmd.Wait())
		}
		var entry struct{ Msg, GRPC string }
		if json.Unmarshal(line, &entry) == nil && entry.Msg == "ready" {
			s.address = entry.GRPC
		}
	}
	s.drained.Go(func() { _, _ = io.Copy(io.Discard, lines) }) // ends with the process
	return s, nil
}

func (s *process) stop() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop service: %w", err)
	}
	s.drained.Wait()
	if err := s.cmd.Wait(); err != nil {
		return fmt.Errorf("service: %w", err)
	}
	return os.RemoveAll(s.dir)
}

func tableOf(job canon.Job) *sluicev1.TableRef {
	return &sluicev1.TableRef{Project: job.Project, SchemaName: job.Schema, Table: job.Table}
}

// write appends the rows as two batches of one slice.
func write(ctx context.Context, job canon.Job, rows [][]canon.Value) error {
	return connected(ctx, job, func(c *client.Client) error {
		w, err := c.NewWriter(ctx, client.WriterConfig{
			Output: tableOf(job), Implicit: &sluicev1.OutputOptions{Mode: sluicev1.WriteMode_WRITE_MODE_APPEND},
		})
		if err != nil {
			return fmt.Errorf("open slice: %w", err)
		}
		err = writeAll(ctx, w, job, rows)
		return errors.Join(err, w.Close())
	})
}

func writeAll(ctx context.Context, w *client.Writer, job canon.Job, rows [][]canon.Value) error {
	for _, half := range canon.Halves(rows) {
		if len(half) == 0 {
			continue
		}
		var err error
		switch job.Form {
		case "arrow":
			err = writeArrow(w, job.Columns, half)
		case "columns":
			err = writeColumns(w, job.Columns, half)
		default:
			err = writeRows(w, job.Columns, half)
		}
		if err != nil {
			return err
		}
		if _, err := w.Flush(ctx); err != nil { // a block of its own
			return fmt.Errorf("flush: %w", err)
		}
	}
	if _, err := w.Seal(ctx); err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	return nil
}

func read(ctx context.Context, job canon.Job, emit func([]canon.Value) error) error {
	return connected(ctx, job, func(c *client.Client) error {
		format := map[string]sluicev1.DataFormat{
			"arrow": sluicev1.DataFormat_DATA_FORMAT_ARROW, "columns": sluicev1.DataFormat_DATA_FORMAT_COLUMNS, "rows": sluicev1.DataFormat_DATA_FORMAT_ROWS,
		}[job.Form]
		reader, err := c.Read(ctx, client.ReadOptions{
			Spec: &sluicev1.ReadSessionSpec{Table: tableOf(job), Columns: canon.Names(job.Columns)}, Format: format,
			ArrowTimestamp: sluicev1.ArrowTimestamp_ARROW_TIMESTAMP_STRUCT, // the only one for all years
		})
		if err != nil {
			return fmt.Errorf("open read: %w", err)
		}
		for reader.Next() {
			if err := emitBatch(job.Columns, reader.Batch(), emit); err != nil {
				return errors.Join(err, reader.Close())
			}
		}
		return errors.Join(reader.Err(), reader.Close())
	})
}

// emitBatch gives out the rows of whichever form the batch has.
func emitBatch(columns []canon.Column, batch client.Batch, emit func([]canon.Value) error) error {
	var cell func(row, column int) (canon.Value, error)
	switch {
	case batch.Arrow != nil:
		cell = func(row, c int) (canon.Value, error) { return fromArrow(columns[c].Type, batch.Arrow.Column(c), row) }
	case batch.Columns != nil:
		if len(batch.Columns.GetColumns()) != len(columns) {
			return fmt.Errorf("a batch of %d columns, want %d", len(batch.Columns.GetColumns()), len(columns))
		}
		decoded := make([][]canon.Value, len(columns))
		for c, column := range batch.Columns.GetColumns() {
			var err error
			if decoded[c], err = decodeColumn(columns[c].Type, column, int(batch.Rows)); err != nil {
				return fmt.Errorf("column %s: %w", columns[c].Name, err)
			}
		}
		cell = func(row, c int) (canon.Value, error) { return decoded[c][row], nil }
	default:
		cell = func(row, c int) (canon.Value, error) {
			return fromWire(columns[c].Type, batch.List.GetRows()[row].GetValues()[c])
		}
	}
	for i := range int(batch.Rows) {
		row := make([]canon.Value, len(columns))
		for c := range columns {
			var err error
			if row[c], err = cell(i, c); err != nil {
				return fmt.Errorf("row %d, column %s: %w", i, columns[c].Name, err)
			}
		}
		if err := emit(row); err != nil {
			return err
		}
	}
	return nil
}
