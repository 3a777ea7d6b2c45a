package tableio

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
)

// BatchRows is the most rows of one batch. Files are always cut at multiples of it from the start of what the file itself cuts
// (a row group, a record batch), so that two readers of one file see the same batches.
const BatchRows = 8192

// Options say how to read a file.
type Options struct {
	// Format, empty: by the file's extension.
	Format string
	// Null is the text that stands for NULL in CSV files; the empty text by default.
	Null string
	// Columns are the table's columns, as Arrow fields. Fields of the file are matched to them by name, without regard to
	// case, or by ColumnName. nil: as the file has them, which text formats cannot.
	Columns []arrow.Field
}

// Source gives the rows of a file in order. It is used by one goroutine.
type Source struct {
	// Rows is how many rows the file has. Text files do not tell: it is an estimate from their size then, -1 if there is
	// none.
	Rows int64

	schema  *arrow.Schema
	next    func() (arrow.RecordBatch, error) // io.EOF at the end; the caller releases
	closers []func() error
	rest    arrow.RecordBatch // what is left of a larger batch
	at      int64             // of rest
}

// Open opens a file for reading; ctx ends what reads ahead of Next. The errors of text formats, at open and later, name file, line and column.
func Open(ctx context.Context, path string, opts Options) (_ *Source, err error) {
	format, err := FormatOf(path, opts.Format)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path) //nolint:gosec // the user's own choice
	if err != nil {
		return nil, fmt.Errorf("open source: %w", err)
	}
	s := &Source{Rows: -1, closers: []func() error{f.Close}}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("%s: %w", path, err), s.Close())
		}
	}()
	if err := notEmpty(f, format); err != nil {
		return nil, err
	}
	if format == CSV || format == JSON {
		if s.Rows, err = estimateRows(f); err != nil {
			return nil, err
		}
	}
	switch format {
	case CSV:
		err = s.openCSV(f, opts)
	case JSON:
		err = s.openJSON(f, opts)
	case Parquet:
		err = s.openParquet(ctx, f)
	case ArrowFile:
		err = s.openArrowFile(f)
	case ArrowStream:
		err = s.openArrowStream(f)
	}
	if err != nil {
		return nil, err
	}
	return s, s.rename(opts.Columns)
}

// notEmpty refuses a file without a byte, which is no file of its format: only one of JSON lines may have no rows so.
func notEmpty(f *os.File, format Format) error {
	info, err := f.Stat()
	switch {
	case err != nil:
		return fmt.Errorf("look at source: %w", err)
	case !info.Mode().IsRegular() || info.Size() > 0 || format == JSON:
		return nil
	case format == CSV:
		return errors.New("the file is empty: a CSV file begins with a line of column names")
	}
	return fmt.Errorf("the file is empty: not even one in format %s without rows", format)
}

// sampleBytes is how much of a text file is looked at to estimate its rows.
const sampleBytes = 256 << 10

// estimateRows judges a text file's rows by its size and the lines at its start, and goes back there.
func estimateRows(f *os.File) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, fmt.Errorf("look at source: %w", err)
	}
	if !info.Mode().IsRegular() {
		return -1, nil
	}
	sample := make([]byte, min(sampleBytes, info.Size()))
	if _, err := f.ReadAt(sample, 0); err != nil && !errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("look at source: %w", err)
	}
	lines := int64(bytes.Count(sample, []byte{'\n'}))
	if lines == 0 {
		return -1, nil
	}
	return lines * info.Size() / int64(len(sample)), nil
}

// Schema is the schema of all batches.
func (s *Source) Schema() *arrow.Schema { return s.schema }

// Next returns the next batch, which the caller releases; io.EOF at the end.
func (s *Source) Next() (arrow.RecordBatch, error) {
	for s.rest == nil || s.at >= s.rest.NumRows() {
		s.dropRest()
		rec, err := s.next()
		if err != nil {
			return nil, err
		}
		s.rest = rec
	}
	end := min(s.at+BatchRows, s.rest.NumRows())
	part := s.rest.NewSlice(s.at, end)
	s.at = end
	defer part.Release()
	return array.NewRecordBatch(s.schema, part.Columns(), part.NumRows()), nil
}

func (s *Source) dropRest() {
	if s.rest != nil {
		s.rest.Release()
	}
	s.rest, s.at = nil, 0
}

// Close closes the file.
func (s *Source) Close() error {
	s.dropRest()
	var errs []error
	for _, c := range slices.Backward(s.closers) {
		errs = append(errs, c())
	}
	s.closers = nil
	return errors.Join(errs...)
}

// rename gives the file's fields the names of the table's columns.
func (s *Source) rename(columns []arrow.Field) error {
	if columns == nil {
		return nil
	}
	fields := append([]arrow.Field(nil), s.schema.Fields()...)
	for i, field := range fields {
		column, ok := findColumn(columns, field.Name)
		if !ok {
			return fmt.Errorf("the table has no column %q; it has %s", field.Name, columnNames(columns))
		}
		fields[i].Name = column.Name
	}
	s.schema = arrow.NewSchema(fields, nil)
	return nil
}

// findColumn matches a file's field name to a column.
func findColumn(columns []arrow.Field, name string) (arrow.Field, bool) {
	for _, c := range columns {
		if strings.EqualFold(c.Name, name) {
			return c, true
		}
	}
	for _, c := range columns {
		if strings.EqualFold(c.Name, ColumnName(name)) {
			return c, true
		}
	}
	return arrow.Field{}, false
}

func columnNames(columns []arrow.Field) string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.Name
	}
	return strings.Join(names, ", ")
}

func (s *Source) openArrowFile(f *os.File) error {
	reader, err := ipc.NewFileReader(f)
	if err != nil {
		return fmt.Errorf("read Arrow file: %w", err)
	}
	s.closers = append(s.closers, reader.Close)
	s.schema, s.Rows = reader.Schema(), 0
	for i := range reader.NumRecords() {
		rec, err := reader.RecordBatchAt(i)
		if err != nil {
			return fmt.Errorf("read record batch %d: %w", i, err)
		}
		s.Rows += rec.NumRows()
		rec.Release()
	}
	i := 0
	s.next = func() (arrow.RecordBatch, error) {
		if i == reader.NumRecords() {
			return nil, io.EOF
		}
		i++
		return reader.RecordBatchAt(i - 1)
	}
	return nil
}

func (s *Source) openArrowStream(f *os.File) error {
	if err := endMarked(f); err != nil {
		return err
	}
	reader, err := ipc.NewReader(f)
	if err != nil {
		return fmt.Errorf("read Arrow stream: %w", err)
	}
	s.closers = append(s.closers, func() error { reader.Release(); return nil })
	s.schema = reader.Schema()
	s.next = func() (arrow.RecordBatch, error) { return retained(reader.Read()) }
	return nil
}

// endMarked tells whether a stream's file ends as every writer that was closed leaves it: with a message of no length. Without
// the marker a file that was cut between two messages could not be told from a whole one.
func endMarked(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("look at Arrow stream: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil
	}
	var mark [8]byte
	if info.Size() >= int64(len(mark)) {
		if _, err := f.ReadAt(mark[:], info.Size()-int64(len(mark))); err != nil {
			return fmt.Errorf("look at Arrow stream: %w", err)
		}
	}
	if mark != [8]byte{0xff, 0xff, 0xff, 0xff} {
		return errors.New("the Arrow stream has no end marker: the file was cut off, or its writer never closed")
	}
	return nil
}

// retained gives the caller a reference of his own to a reader's current batch.
func retained(rec arrow.RecordBatch, err error) (arrow.RecordBatch, error) {
	if err == nil {
		rec.Retain()
	}
	return rec, err
}

func (s *Source) openParquet(ctx context.Context, f *os.File) error {
	raw, err := file.NewParquetReader(f)
	if err != nil {
		return fmt.Errorf("read Parquet file: %w", err)
	}
	s.closers = []func() error{raw.Close} // which closes f
	reader, err := pqarrow.NewFileReader(raw, pqarrow.ArrowReadProperties{BatchSize: BatchRows}, memory.DefaultAllocator)
	if err != nil {
		return fmt.Errorf("read Parquet file: %w", err)
	}
	records, err := reader.GetRecordReader(ctx, nil, nil)
	if err != nil {
		return fmt.Errorf("read Parquet file: %w", err)
	}
	s.closers = append(s.closers, func() error { records.Release(); return nil })
	s.schema, s.Rows = records.Schema(), raw.NumRows()
	s.next = func() (arrow.RecordBatch, error) { return retained(records.Read()) }
	return nil
}
