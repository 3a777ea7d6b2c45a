//go:build cgo && duckdb_arrow

package duck

import (
	"context"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/duckdb/duckdb-go/v2/arrowmapping"
	"github.com/duckdb/duckdb-go/v2/mapping"
)

// Result is the rows of a statement, kept by DuckDB. Not safe for concurrent use.
type Result struct {
	ended   func() error // tells when nobody wants the rows any more
	result  mapping.Result
	options arrowmapping.ArrowOptions
	schema  *arrow.Schema
	batch   arrow.RecordBatch
	err     error
}

// Query runs a statement. The caller closes the result, before the connection.
func (c *Conn) Query(ctx context.Context, statement string) (*Result, error) {
	s, err := c.Prepare(ctx, statement)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	return s.Query(ctx)
}

// Query runs the statement. The caller closes the result, before the connection.
func (s *Statement) Query(ctx context.Context) (*Result, error) {
	r := &Result{ended: ctx.Err}
	if err := s.execute(ctx, &r.result); err != nil {
		mapping.DestroyResult(&r.result)
		return nil, err
	}
	r.options = arrowmapping.ResultGetArrowOptions(&r.result)
	if err := r.describe(); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

func (r *Result) describe() error {
	n := mapping.ColumnCount(&r.result)
	names, kinds := make([]string, n), make([]mapping.LogicalType, n)
	for i := range n {
		names[i], kinds[i] = mapping.ColumnName(&r.result, i), mapping.ColumnLogicalType(&r.result, i)
	}
	defer func() {
		for i := range kinds {
			mapping.DestroyLogicalType(&kinds[i])
		}
	}()
	var failed mapping.ErrorData
	r.schema, failed = arrowmapping.NewArrowSchema(r.options, kinds, names)
	return dataError("make the result's Arrow schema", failed)
}

func dataError(what string, e mapping.ErrorData) error {
	defer mapping.DestroyErrorData(&e)
	if !mapping.ErrorDataHasError(e) {
		return nil
	}
	return fmt.Errorf("%s: %w", what, newError(mapping.ErrorDataMessage(e)))
}

// Schema is the form in which DuckDB gives the rows.
func (r *Result) Schema() *arrow.Schema { return r.schema }

// Next moves to the next batch and reports whether there is one.
func (r *Result) Next() bool {
	r.drop()
	if r.err != nil {
		return false
	}
	if r.err = r.ended(); r.err != nil {
		return false
	}
	chunk := mapping.FetchChunk(r.result)
	if chunk.Ptr == nil {
		return false
	}
	defer mapping.DestroyDataChunk(&chunk)
	batch, failed := arrowmapping.DataChunkToArrowArray(r.options, r.schema, chunk)
	r.batch, r.err = batch, dataError("make an Arrow batch of a result", failed)
	return r.err == nil
}

// RecordBatch is the current batch, valid until Next or Close; Retain keeps it.
func (r *Result) RecordBatch() arrow.RecordBatch { return r.batch }

// Err returns what ended the reading, nil at the regular end.
func (r *Result) Err() error { return r.err }

// Close frees the rows.
func (r *Result) Close() {
	r.drop()
	arrowmapping.DestroyArrowOptions(&r.options)
	mapping.DestroyResult(&r.result)
}

func (r *Result) drop() {
	if r.batch != nil {
		r.batch.Release()
		r.batch = nil
	}
}
