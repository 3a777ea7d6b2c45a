package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/sluice-io/sluice/client"
	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
)

const goalDownload = 1.0

// downloadGroup reads a stored table into Arrow batches: our client, and the SDK's Arrow reader.
func downloadGroup() group {
	return group{
		rows: []string{"arrow_download/wide", "arrow_download/narrow"},
		run: func(ctx context.Context, r *runner) error {
			return r.withStack(ctx, false, func(s *stack) error {
				for _, shape := range []shape{wide, narrow} {
					if err := r.download(ctx, s, shape); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
}

func (r *runner) download(ctx context.Context, s *stack, shape shape) error {
	name := "arrow_download/" + string(shape)
	if !r.wants(name) {
		return nil
	}
	b, err := arrowBatches(makeRows(shape, r.scaled(64<<20)/shape.rowBytes()))
	if err != nil {
		return err
	}
	table := "read_" + string(shape)
	if err := createTable(ctx, s.client, table, shape); err != nil {
		return err
	}
	fill := &upload{stack: s, slices: 1, sets: 1, batches: b, ourTable: table}
	if err := fill.ours(ctx); err != nil {
		return fmt.Errorf("fill table: %w", err)
	}
	d := &download{stack: s, table: table, rows: b.rows}
	return r.duel(ctx, duel{
		name: name, unit: "MB/s", amount: float64(b.bytes) / 1e6, gigabytes: float64(b.bytes) / 1e9,
		goal: goalDownload, ours: d.ours, peer: d.peer,
	})
}

type download struct {
	stack *stack
	table string
	rows  int
}

func (d *download) ours(ctx context.Context) error {
	reader, err := d.stack.client.Read(ctx, client.ReadOptions{Spec: &sluicev1.ReadSessionSpec{Table: client.TableName(d.table)}})
	if err != nil {
		return fmt.Errorf("start reading: %w", err)
	}
	defer reader.Close() //nolint:errcheck // it never fails
	var rows int64
	for reader.Next() {
		rows += reader.RecordBatch().NumRows()
	}
	if err := reader.Err(); err != nil {
		return fmt.Errorf("read: %w", err)
	}
	return d.check(rows)
}

func (d *download) peer(context.Context) error {
	session, err := d.stack.tunnel.CreateDownloadSession(project, d.table)
	if err != nil {
		return fmt.Errorf("create download session: %w", err)
	}
	reader, err := session.OpenRecordArrowReader(0, session.RecordCount(), nil)
	if err != nil {
		return fmt.Errorf("open reader: %w", err)
	}
	var rows int64
	for {
		rec, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return errors.Join(fmt.Errorf("read: %w", err), reader.Close())
		}
		rows += rec.NumRows()
	}
	return errors.Join(d.check(rows), reader.Close())
}

func (d *download) check(rows int64) error {
	if rows != int64(d.rows) {
		return fmt.Errorf("read %d rows of %d", rows, d.rows)
	}
	return nil
}
