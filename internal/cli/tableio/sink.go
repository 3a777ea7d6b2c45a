package tableio

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
)

// Sink writes batches of one schema into a file. It is used by one goroutine.
type Sink struct {
	write func(arrow.RecordBatch) error
	close []func() error // in this order
	file  *os.File
}

// Create makes a file, or replaces one, for batches of the schema. "-" is standard output. An empty format is taken from the
// extension, and a missing folder is made. null is the text for NULL in CSV files.
func Create(path, format, null string, schema *arrow.Schema) (_ *Sink, err error) {
	f, err := FormatOf(path, format)
	if err != nil {
		return nil, err
	}
	s := &Sink{}
	var w io.Writer = os.Stdout
	if path != "-" {
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			return nil, fmt.Errorf("create folder: %w", err)
		}
		if s.file, err = os.Create(path); err != nil { //nolint:gosec // the user's own choice
			return nil, fmt.Errorf("create file: %w", err)
		}
		w = s.file
	}
	buffered := bufio.NewWriterSize(w, 1<<20)
	if err := s.open(f, buffered, null, schema); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), s.Close())
	}
	s.close = append(s.close, buffered.Flush)
	return s, nil
}

// Write appends a batch, which stays the caller's.
func (s *Sink) Write(rec arrow.RecordBatch) error { return s.write(rec) }

// Close completes the file. The file is whole only if it returns nil.
func (s *Sink) Close() error {
	var errs []error
	for _, c := range s.close {
		errs = append(errs, c())
	}
	s.close = nil
	if s.file != nil {
		errs = append(errs, s.file.Close())
		s.file = nil
	}
	return errors.Join(errs...)
}

func (s *Sink) open(format Format, w io.Writer, null string, schema *arrow.Schema) error {
	switch format {
	case CSV:
		return s.openCSV(w, null, schema)
	case JSON:
		s.write = func(rec arrow.RecordBatch) error { return array.RecordToJSON(rec, w) }
		return nil
	case Parquet:
		writer, err := pqarrow.NewFileWriter(schema, noClose{w}, nil, pqarrow.NewArrowWriterProperties(pqarrow.WithStoreSchema()))
		if err != nil {
			return fmt.Errorf("write Parquet file: %w", err)
		}
		s.write, s.close = writer.WriteBuffered, append(s.close, writer.Close)
		return nil
	case ArrowFile:
		writer, err := ipc.NewFileWriter(w, ipc.WithSchema(schema))
		if err != nil {
			return fmt.Errorf("write Arrow file: %w", err)
		}
		s.write, s.close = writer.Write, append(s.close, writer.Close)
		return nil
	}
	writer := ipc.NewWriter(w, ipc.WithSchema(schema))
	s.write, s.close = writer.Write, append(s.close, writer.Close)
	return nil
}

// noClose keeps Parquet's writer from closing what it does not own.
type noClose struct{ io.Writer }

func (noClose) Close() error { return nil }

func (s *Sink) openCSV(w io.Writer, null string, schema *arrow.Schema) error {
	writer := csv.NewWriter(w)
	record := make([]string, schema.NumFields())
	for i, field := range schema.Fields() {
		record[i] = field.Name
	}
	if err := writer.Write(record); err != nil {
		return fmt.Errorf("write header: %w", err)
	}
	s.write = func(rec arrow.RecordBatch) error {
		for row := range int(rec.NumRows()) {
			for i, col := range rec.Columns() {
				record[i] = Text(col, row, null)
			}
			if err := writer.Write(record); err != nil {
				return fmt.Errorf("write row: %w", err)
			}
		}
		return nil
	}
	s.close = append(s.close, func() error { writer.Flush(); return writer.Error() })
	return nil
}

// Text is a value as CSV has it: null for NULL, text as it is, numbers in their shortest form, dates and times as ISO 8601
// writes them, binary in base64, nested values as JSON.
func Text(col arrow.Array, row int, null string) string {
	if col.IsNull(row) {
		return null
	}
	return col.ValueStr(row)
}
