package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"

	"github.com/sluice-io/sluice/emulator"
)

const goalStoreInsert = 6

// storeGroup is one block of Arrow put into the embedded endpoint over HTTP, verified, fsynced and committed, against
// DuckDB's insert of the same batches from memory into a table of a file.
func storeGroup() group {
	return group{
		rows: []string{"store/wide", "store/narrow"},
		run: func(ctx context.Context, r *runner) error {
			for _, shape := range []shape{wide, narrow} {
				if err := r.store(ctx, shape); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func (r *runner) store(ctx context.Context, shape shape) (err error) {
	name := "store/" + string(shape)
	if !r.wants(name) {
		return nil
	}
	b, err := arrowBatches(makeRows(shape, r.scaled(64<<20)/shape.rowBytes()))
	if err != nil {
		return err
	}
	return r.withStack(ctx, false, func(s *stack) error {
		if err := createTable(ctx, s.client, "t", shape); err != nil {
			return err
		}
		endpoint := putter{endpoint: s.endpoint, table: "t", http: &http.Client{Transport: &http.Transport{WriteBufferSize: 64 << 10}}}
		defer endpoint.http.CloseIdleConnections()
		return r.duel(ctx, duel{
			name: name, unit: "MB/s", amount: float64(b.bytes) / 1e6, gigabytes: float64(b.bytes) / 1e9, goal: goalStoreInsert,
			ours: func(ctx context.Context) error { return endpoint.put(ctx, b) },
			peer: func(ctx context.Context) error { return r.insertDuck(ctx, b) },
		})
	})
}

// insertDuck puts the batches into a fresh file.
func (r *runner) insertDuck(ctx context.Context, b *batches) (err error) {
	dir, err := os.MkdirTemp(r.dir, "duck-")
	if err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	return insertDuck(ctx, filepath.Join(dir, "t.db"), b)
}

// putter uploads blocks to an endpoint without the SDK, so that the endpoint is what is measured.
type putter struct {
	endpoint *emulator.Server
	table    string
	http     *http.Client
}

// put replaces the table with the batches, in one block.
func (p putter) put(ctx context.Context, b *batches) error {
	var session struct {
		UploadID string `json:"UploadID"`
	}
	reply, err := p.do(ctx, http.MethodPost, "uploads&overwrite=true", nil)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(reply, &session); err != nil || session.UploadID == "" {
		return fmt.Errorf("create upload session: %q: %w", reply, err)
	}
	upload := "uploadid=" + session.UploadID
	if _, err := p.do(ctx, http.MethodPut, upload+"&blockid=0&arrow", &framed{messages: b.sent}); err != nil {
		return err
	}
	_, err = p.do(ctx, http.MethodPost, upload, nil)
	return err
}

func (p putter) do(ctx context.Context, method, query string, body io.Reader) ([]byte, error) {
	url := fmt.Sprintf("http://%s/projects/%s/tables/%s?%s", p.endpoint.Addr(), project, p.table, query)
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("x-odps-tunnel-version", "5")
	res, err := p.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close() //nolint:errcheck // read to its end
	reply, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, fmt.Errorf("read reply: %w", err)
	}
	if res.StatusCode/100 != 2 {
		return nil, fmt.Errorf("%s %s: %s: %s", method, query, res.Status, reply)
	}
	return reply, nil
}
