package tableio

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

func (s *Source) openCSV(f *os.File, opts Options) error {
	if opts.Columns == nil {
		return errors.New("a CSV file needs the table's columns")
	}
	rows, header, err := newCSV(f)
	if err != nil {
		return err
	}
	if s.schema, err = fieldsFor(header, opts.Columns); err != nil {
		return err
	}
	builder := array.NewRecordBuilder(memory.DefaultAllocator, s.schema)
	s.closers = append(s.closers, func() error { builder.Release(); return nil })
	s.next = func() (arrow.RecordBatch, error) {
		for n := range BatchRows {
			record, err := rows.Read()
			if errors.Is(err, io.EOF) && n > 0 {
				break
			}
			if err != nil {
				return nil, err // io.EOF, or with the line
			}
			for i, text := range record {
				if err := appendText(builder.Field(i), text, opts.Null); err != nil {
					line, _ := rows.FieldPos(i)
					return nil, fmt.Errorf("line %d, column %q: %q is no %s: %w", line, header[i], text, s.schema.Field(i).Type, err)
				}
			}
		}
		return builder.NewRecordBatch(), nil
	}
	return nil
}

// newCSV reads the header line. A byte order mark is skipped.
func newCSV(r io.Reader) (*csv.Reader, []string, error) {
	buffered := bufio.NewReaderSize(r, 1<<20)
	if mark, err := buffered.Peek(3); err == nil && string(mark) == "\ufeff" {
		if _, err := buffered.Discard(3); err != nil {
			return nil, nil, fmt.Errorf("read header: %w", err)
		}
	}
	rows := csv.NewReader(buffered)
	header, err := rows.Read()
	if err != nil {
		return nil, nil, fmt.Errorf("read header: %w", err)
	}
	rows.ReuseRecord = true
	return rows, header, nil
}

// fieldsFor returns the table's fields for the header's names, in the header's order.
func fieldsFor(header []string, columns []arrow.Field) (*arrow.Schema, error) {
	fields := make([]arrow.Field, len(header))
	for i, name := range header {
		field, ok := findColumn(columns, name)
		if !ok {
			return nil, fmt.Errorf("the table has no column %q; it has %s", name, columnNames(columns))
		}
		fields[i] = field
	}
	return arrow.NewSchema(fields, nil), nil
}

// appendText appends a CSV field to a builder of any type.
func appendText(b array.Builder, text, null string) error {
	if text == null {
		b.AppendNull()
		return nil
	}
	if s, ok := b.(*array.StringBuilder); ok {
		s.Append(text)
		return nil
	}
	if t, ok := b.Type().(*arrow.TimestampType); ok {
		text = withZone(text, t)
	}
	return b.AppendValueFromString(text)
}

// withZone makes text with and without a zone fit: Arrow insists on one exactly where the type has one.
func withZone(text string, t *arrow.TimestampType) string {
	hasZone := strings.HasSuffix(text, "Z")
	switch {
	case t.TimeZone == "" && hasZone:
		return strings.TrimSuffix(text, "Z")
	case t.TimeZone != "" && !hasZone && !strings.Contains(text[min(len(text), 10):], "+") && !strings.Contains(text[min(len(text), 10):], "-"):
		return text + "Z"
	}
	return text
}

func (s *Source) openJSON(f *os.File, opts Options) error {
	if opts.Columns == nil {
		return errors.New("a JSON file needs the table's columns")
	}
	objects, err := newJSON(f)
	if err != nil {
		return err
	}
	s.schema = arrow.NewSchema(opts.Columns, nil)
	builder := array.NewRecordBuilder(memory.DefaultAllocator, s.schema)
	s.closers = append(s.closers, func() error { builder.Release(); return nil })
	index := map[string]int{}
	s.next = func() (arrow.RecordBatch, error) {
		for n := range BatchRows {
			object, err := objects.next()
			if errors.Is(err, io.EOF) && n > 0 {
				break
			}
			if err != nil {
				return nil, err
			}
			if err := appendObject(builder, object, opts.Columns, index); err != nil {
				return nil, fmt.Errorf("object %d: %w", objects.count, err)
			}
		}
		return builder.NewRecordBatch(), nil
	}
	return nil
}

// appendObject appends one object; columns that it has not are NULL.
func appendObject(b *array.RecordBuilder, object map[string]json.RawMessage, columns []arrow.Field, index map[string]int) error {
	values := make([]json.RawMessage, len(columns))
	for name, raw := range object {
		i, ok := index[name]
		if !ok {
			if i = columnIndex(columns, name); i < 0 {
				return fmt.Errorf("the table has no column %q; it has %s", name, columnNames(columns))
			}
			index[name] = i
		}
		if values[i] != nil {
			return fmt.Errorf("column %q is there twice", columns[i].Name)
		}
		values[i] = raw
	}
	for i, raw := range values {
		if raw == nil {
			b.Field(i).AppendNull()
		} else if err := appendJSON(b.Field(i), raw); err != nil {
			return fmt.Errorf("column %q: %s is no %s: %w", columns[i].Name, raw, columns[i].Type, err)
		}
	}
	return nil
}

func columnIndex(columns []arrow.Field, name string) int {
	if field, ok := findColumn(columns, name); ok {
		for i, c := range columns {
			if c.Name == field.Name {
				return i
			}
		}
	}
	return -1
}

// appendJSON appends one JSON value. Numbers are text to a string column: files mix them.
func appendJSON(b array.Builder, raw json.RawMessage) error {
	if s, ok := b.(*array.StringBuilder); ok && len(raw) > 0 && raw[0] != '"' && string(raw) != "null" {
		s.Append(string(raw))
		return nil
	}
	return b.UnmarshalJSON(append(append([]byte{'['}, raw...), ']'))
}

// jsonObjects reads objects one after the other, or the elements of one array.
type jsonObjects struct {
	dec   *json.Decoder
	array bool
	count int64 // objects read
}

func newJSON(r io.Reader) (*jsonObjects, error) {
	buffered := bufio.NewReaderSize(r, 1<<20)
	o := &jsonObjects{}
	for {
		first, err := buffered.Peek(1)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read: %w", err)
		}
		if !unicode.IsSpace(rune(first[0])) {
			o.array = first[0] == '['
			break
		}
		if _, err := buffered.Discard(1); err != nil {
			return nil, fmt.Errorf("read: %w", err)
		}
	}
	o.dec = json.NewDecoder(buffered)
	if o.array {
		if _, err := o.dec.Token(); err != nil {
			return nil, fmt.Errorf("read array: %w", err)
		}
	}
	return o, nil
}

func (o *jsonObjects) next() (map[string]json.RawMessage, error) {
	if o.array && !o.dec.More() {
		if _, err := o.dec.Token(); err != nil { // without the ], the file was cut
			return nil, fmt.Errorf("the array has no end behind object %d: %w", o.count, io.ErrUnexpectedEOF)
		}
		o.array = false // what follows is read too: only the file's end is the end
	}
	var object map[string]json.RawMessage
	if err := o.dec.Decode(&object); err != nil {
		if err == io.EOF && !o.array { //nolint:errorlint // a wrapped one is no end
			return nil, io.EOF
		}
		return nil, fmt.Errorf("object %d, byte %d: %w", o.count+1, o.dec.InputOffset(), err)
	}
	o.count++
	return object, nil
}
