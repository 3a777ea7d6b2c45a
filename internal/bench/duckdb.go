//go:build cgo && duckdb_arrow

package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/duckdb/duckdb-go/v2"
)

// insertDuck makes a database file with one table and inserts the batches into it, committed. Opening and closing the
// file, with the checkpoint that closing makes, are within.
func insertDuck(ctx context.Context, path string, b *batches) (err error) {
	db, err := sql.Open("duckdb", path)
	if err != nil {
		return fmt.Errorf("open DuckDB: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	conn, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("open DuckDB: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	return conn.Raw(func(raw any) error { return insertView(ctx, raw.(driver.Conn), b) })
}

func insertView(ctx context.Context, conn driver.Conn, b *batches) error {
	duck, err := duckdb.NewArrowFromConn(conn)
	if err != nil {
		return fmt.Errorf("use Arrow with DuckDB: %w", err)
	}
	exec := conn.(driver.ExecerContext)
	insert := func(statement string) (int64, error) {
		reader, err := array.NewRecordReader(b.schema, b.ours)
		if err != nil {
			return 0, fmt.Errorf("read batches: %w", err)
		}
		defer reader.Release()
		release, err := duck.RegisterView(reader, "v")
		if err != nil {
			return 0, fmt.Errorf("show batches to DuckDB: %w", err)
		}
		defer release()
		done, err := exec.ExecContext(ctx, statement, nil)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", statement, err)
		}
		return done.RowsAffected()
	}
	// DuckDB's own types for these batches, so that nothing is cast.
	if _, err := insert("create table t as select * from v limit 0"); err != nil {
		return err
	}
	rows, err := insert("insert into t select * from v")
	if err == nil && rows != int64(b.rows) {
		return fmt.Errorf("inserted %d rows of %d", rows, b.rows)
	}
	return err
}

// ownTable is a table in a DuckDB in memory.
type ownTable struct {
	connector *duckdb.Connector
	conn      driver.Conn
	arrow     *duckdb.Arrow
}

// openOwnTable makes a table t of the batches. The caller closes it.
func openOwnTable(ctx context.Context, b *batches) (_ *ownTable, err error) {
	t := &ownTable{}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.close())
		}
	}()
	if t.connector, err = duckdb.NewConnector("", nil); err != nil {
		return nil, fmt.Errorf("open DuckDB: %w", err)
	}
	if t.conn, err = t.connector.Connect(ctx); err != nil {
		return nil, fmt.Errorf("open DuckDB: %w", err)
	}
	if t.arrow, err = duckdb.NewArrowFromConn(t.conn); err != nil {
		return nil, fmt.Errorf("use Arrow with DuckDB: %w", err)
	}
	return t, insertView(ctx, t.conn, b)
}

// query reads a result to its end and returns its rows.
func (t *ownTable) query(ctx context.Context, text string) (rows int64, err error) {
	reader, err := t.arrow.QueryContext(ctx, text)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", text, err)
	}
	defer reader.Release()
	for reader.Next() {
		rows += reader.RecordBatch().NumRows()
	}
	return rows, reader.Err()
}

func (t *ownTable) close() error {
	var errs []error
	if t.conn != nil {
		errs = append(errs, t.conn.Close())
	}
	if t.connector != nil {
		errs = append(errs, t.connector.Close())
	}
	return errors.Join(errs...)
}
