package main

import (
	"context"
	"fmt"
	"time"

	"github.com/sluice-io/sluice/client"
)

// Goals of the upload row by row.
const (
	goalRowsWide   = 12
	goalRowsNarrow = 3
)

// packBytes is when the SDK's pack writer flushes; see docs/performance.md for what else was tried.
const packBytes = 16 << 20

// rowsGroup is rows given one by one, value by value: to our client's row API, and to the SDK's stream pack writer, its
// fastest way for rows.
func rowsGroup() group {
	return group{
		rows: []string{"row_upload/wide", "row_upload/narrow"},
		run: func(ctx context.Context, r *runner) error {
			return r.withStack(ctx, true, func(s *stack) error {
				if err := r.rowUpload(ctx, s, wide, r.scaled(120_000), goalRowsWide); err != nil {
					return err
				}
				return r.rowUpload(ctx, s, narrow, r.scaled(600_000), goalRowsNarrow)
			})
		},
	}
}

func (r *runner) rowUpload(ctx context.Context, s *stack, shape shape, rows int, goal float64) error {
	name := "row_upload/" + string(shape)
	if !r.wants(name) {
		return nil
	}
	u := &rowUpload{stack: s, rows: makeRows(shape, rows), ourTable: "ours_" + string(shape), peerTable: "peer_" + string(shape)}
	for _, t := range []string{u.ourTable, u.peerTable} {
		if err := createTable(ctx, s.client, t, shape); err != nil {
			return err
		}
	}
	return r.duel(ctx, duel{
		name: name, unit: "krows/s", amount: float64(rows) / 1e3, gigabytes: float64(rows) * float64(shape.rowBytes()) / 1e9,
		goal: goal, ours: u.ours, peer: u.peer,
	})
}

type rowUpload struct {
	stack               *stack
	rows                *rowSet
	ourTable, peerTable string
}

func (u *rowUpload) ours(ctx context.Context) error {
	w, err := u.stack.client.NewWriter(ctx, client.WriterConfig{Output: client.TableName(u.ourTable)})
	if err != nil {
		return fmt.Errorf("open slice: %w", err)
	}
	defer w.Close() //nolint:errcheck // Seal told what matters
	out, err := w.Rows()
	if err != nil {
		return fmt.Errorf("start rows: %w", err)
	}
	x := u.rows
	for i := range x.len() {
		out.SetInt64(0, x.id[i])
		out.SetString(1, x.name[i])
		out.SetFloat64(2, x.score[i])
		out.SetBool(3, x.flag[i])
		out.SetTime(4, time.Unix(0, x.ts[i]))
		if x.shape == wide {
			out.SetFloat32s(5, x.vector(i))
		}
		if err := out.End(); err != nil {
			return fmt.Errorf("write row %d: %w", i, err)
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write the last rows: %w", err)
	}
	return seal(ctx, w, x.len())
}

// peer makes what it sends visible pack by pack; it has no commit.
func (u *rowUpload) peer(context.Context) error {
	session, err := u.stack.tunnel.CreateStreamUploadSession(project, u.peerTable)
	if err != nil {
		return fmt.Errorf("create stream upload session: %w", err)
	}
	w := session.OpenRecordPackWriter()
	for i := range u.rows.len() {
		if err := w.Append(u.rows.sdkRecord(i)); err != nil {
			return fmt.Errorf("append row %d: %w", i, err)
		}
		if w.DataSize() >= packBytes {
			if _, _, _, err := w.Flush(); err != nil {
				return fmt.Errorf("flush pack: %w", err)
			}
		}
	}
	if _, _, _, err := w.Flush(); err != nil {
		return fmt.Errorf("flush the last pack: %w", err)
	}
	return nil
}
