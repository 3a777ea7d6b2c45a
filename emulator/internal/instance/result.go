package instance

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"strconv"
	"sync/atomic"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"

	"github.com/sluice-io/sluice/emulator/internal/refusal"
	"github.com/sluice-io/sluice/emulator/internal/relation"
	"github.com/sluice-io/sluice/emulator/internal/sql"
)

// Result is what a SELECT gave: columns and rows, the rows in an Arrow IPC file in
// types.LayoutWide. Safe for concurrent use.
type Result struct {
	// Columns of the result; all may be NULL.
	Columns []sql.Column
	// Rows in the file.
	Rows int64

	path    string
	removed atomic.Bool
	// starts[i] is the number of the first row of the i-th batch.
	starts []int64
}

// errResultGone answers for a result that was forgotten while somebody read it.
var errResultGone = refusal.New(404, "NoSuchObject", "ODPS-0430104:the instance's result is gone")

// Arrow is the schema of the result's batches.
func (r *Result) Arrow() *arrow.Schema { return relation.Schema(r.Columns) }

// Batches yields count rows from row start on, fewer at the end. A batch is the
// iterator's; Retain keeps it.
func (r *Result) Batches(start, count int64) iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) {
		if err := r.read(start, count, func(b arrow.RecordBatch) bool { return yield(b, nil) }); err != nil {
			yield(nil, err)
		}
	}
}

func (r *Result) read(start, count int64, yield func(arrow.RecordBatch) bool) error {
	file, err := os.Open(r.path)
	if err != nil {
		if r.removed.Load() {
			return errResultGone
		}
		return fmt.Errorf("open result: %w", err)
	}
	defer file.Close()
	reader, err := ipc.NewFileReader(file)
	if err != nil {
		return fmt.Errorf("open result: %w", err)
	}
	defer reader.Close()
	end := min(start+count, r.Rows)
	for i := range reader.NumRecords() {
		first := r.starts[i]
		if first >= end {
			return nil
		}
		batch, err := reader.RecordBatchAt(i)
		if err != nil {
			return fmt.Errorf("read result: %w", err)
		}
		from, to := max(start-first, 0), min(end-first, batch.NumRows())
		if from >= to {
			batch.Release()
			continue
		}
		part := batch.NewSlice(from, to)
		batch.Release()
		more := yield(part)
		part.Release()
		if !more {
			return nil
		}
	}
	return nil
}

func (r *Result) remove() error {
	if r.removed.Swap(true) {
		return nil
	}
	return removeFile(r.path)
}

// apart gives columns names of their own, as production does: of two that are called a the second is a2. Clients find
// columns by name.
func apart(columns []sql.Column) []sql.Column {
	out := slices.Clone(columns)
	taken := map[string]bool{} // by any column, before or after it was renamed
	for _, c := range out {
		taken[c.Name] = true
	}
	seen, last := map[string]bool{}, map[string]int{}
	for i, c := range out {
		if !seen[c.Name] {
			seen[c.Name], last[c.Name] = true, 1
			continue
		}
		for taken[out[i].Name] {
			last[c.Name]++
			out[i].Name = c.Name + strconv.Itoa(last[c.Name])
		}
		taken[out[i].Name] = true
	}
	return out
}

// spool writes the rows of a query to a file of its own, also where the instance has several queries. On an error there
// is no file.
func spool(dir, id string, rows *sql.Rows, count *tally) (*Result, error) {
	file, err := os.CreateTemp(dir, id+"-*.arrow")
	if err != nil {
		return nil, fmt.Errorf("create result: %w", err)
	}
	r := &Result{Columns: apart(rows.Columns()), path: file.Name()}
	err = r.write(file, rows, count)
	err = errors.Join(err, file.Close())
	if err != nil {
		return nil, errors.Join(err, r.remove())
	}
	return r, nil
}

func (r *Result) write(w io.Writer, rows *sql.Rows, count *tally) error {
	schema := r.Arrow()
	writer, err := ipc.NewFileWriter(w, ipc.WithSchema(schema))
	if err != nil {
		return fmt.Errorf("create result: %w", err)
	}
	for rows.Next() {
		batch := array.NewRecordBatch(schema, rows.Batch().Columns(), rows.Batch().NumRows())
		err := writer.Write(batch)
		batch.Release()
		if err != nil {
			return fmt.Errorf("write result: %w", err)
		}
		r.starts = append(r.starts, r.Rows)
		r.Rows += rows.Batch().NumRows()
		count.made(rows.Batch().NumRows())
	}
	if rows.Err() != nil {
		return rows.Err()
	}
	if err := writer.Close(); err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	return nil
}
