package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/apache/arrow-go/v18/arrow"
)

const (
	goalSQL = 1
	sqlRows = 10_000_000
)

// selects are the queries by the name of their row; one row in a hundred passes. The last condition is one that the
// endpoint leaves to DuckDB.
var selects = []struct{ name, list, where string }{
	{"sql/count", "count(*) as n", "id % 100 = 0"},
	{"sql/one_column", "id", "id % 100 = 0"},
	{"sql/two_columns", "id, score", "id % 100 = 0"},
	{"sql/all_columns", "*", "id % 100 = 0"},
	{"sql/aggregate", "count(*) as n, max(name) as m", "id % 100 = 0"},
	{"sql/foreign_filter", "id, name", "score > 232.6"},
}

// sqlGroup is a SELECT over the store through the endpoint's engine, against DuckDB over its own table in memory, in the
// same process; both results are read to their end as Arrow.
func sqlGroup() group {
	g := group{}
	for _, q := range selects {
		g.rows = append(g.rows, q.name)
	}
	g.run = func(ctx context.Context, r *runner) (err error) {
		b, err := arrowBatches(makeRows(narrow, r.scaled(sqlRows)))
		if err != nil {
			return err
		}
		own, err := openOwnTable(ctx, b)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, own.close()) }()
		return r.withStack(ctx, false, func(s *stack) error {
			if err := createTable(ctx, s.client, "t", narrow); err != nil {
				return err
			}
			put := putter{endpoint: s.endpoint, table: "t", http: &http.Client{Transport: &http.Transport{WriteBufferSize: 64 << 10}}}
			defer put.http.CloseIdleConnections()
			if err := put.put(ctx, b); err != nil {
				return err
			}
			for _, q := range selects {
				if err := r.query(ctx, s, own, q.name, "select "+q.list+" from t where "+q.where, b.rows); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g
}

func (r *runner) query(ctx context.Context, s *stack, own *ownTable, name, text string, rows int) error {
	if !r.wants(name) {
		return nil
	}
	want, err := own.query(ctx, text)
	if err != nil {
		return err
	}
	check := func(got int64, err error) error {
		if err == nil && got != want {
			return fmt.Errorf("%s: %d rows, want %d", text, got, want)
		}
		return err
	}
	return r.duel(ctx, duel{
		name: name, unit: "Mrows/s", amount: float64(rows) / 1e6, goal: goalSQL,
		ours: func(ctx context.Context) error {
			var got int64
			err := s.endpoint.Query(ctx, project, text, func(b arrow.RecordBatch) error {
				got += b.NumRows()
				return nil
			})
			return check(got, err)
		},
		peer: func(ctx context.Context) error { return check(own.query(ctx, text)) },
	})
}
