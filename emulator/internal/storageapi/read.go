package storageapi

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"
)

// What a read may ask for.
const (
	usualBatchRows = 4096
	maxBatchRows   = 1 << 20
	bufferBytes    = 256 << 10
)

// reading is a request for rows, understood.
type reading struct {
	rows      span
	batchRows int64
	batchSize int64 // bytes, before compression; 0 = any
	options   []ipc.Option
}

func (h *Handler) read(w http.ResponseWriter, r *request) error {
	s, err := h.find(r.query.Get("session_id"), r.key, false)
	if err != nil {
		return err
	}
	defer s.release()
	ask, err := r.reading(s)
	if err != nil {
		return err
	}
	file, size, err := h.spool(r.Context(), s, ask)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // read only, and gone
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	_, _ = io.Copy(w, file) // the client is gone: nobody to tell
	return nil
}

func (r *request) reading(s *session) (*reading, error) {
	if kind, version := r.query.Get("data_format_type"), r.query.Get("data_format_version"); kind != "" && !strings.EqualFold(kind, "ARROW") || version != "" && !strings.EqualFold(version, "V5") {
		return nil, badRequest("the data format %s %s is not ARROW V5", kind, version)
	}
	out := &reading{}
	var err error
	if out.rows, err = r.span(s); err != nil {
		return nil, err
	}
	if out.batchRows, err = r.number("max_batch_rows", usualBatchRows); err != nil {
		return nil, err
	}
	if out.batchRows == 0 {
		out.batchRows = usualBatchRows
	}
	out.batchRows = min(out.batchRows, maxBatchRows)
	if out.batchSize, err = r.number("max_batch_raw_size", 0); err != nil {
		return nil, err
	}
	out.options = []ipc.Option{ipc.WithSchema(s.schema())}
	switch codec := strings.ToUpper(strings.TrimSpace(r.Header.Get("Accept-Encoding"))); codec {
	case "ZSTD":
		out.options = append(out.options, ipc.WithZstd())
	case "LZ4_FRAME":
		out.options = append(out.options, ipc.WithLZ4())
	}
	return out, nil // other encodings are HTTP's, and may be left alone
}

// number reads a parameter that is not negative.
func (r *request) number(name string, usual int64) (int64, error) {
	text := r.query.Get(name)
	if text == "" {
		return usual, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, badRequest("%s=%q is no number of rows or bytes", name, text)
	}
	return n, nil
}

// span reads which rows are wanted. One client always sends all three parameters; a
// row_count of 0 then means the split.
func (r *request) span(s *session) (span, error) {
	if s.splits == nil {
		var rows span
		var err error
		if rows.start, err = r.number("row_index", 0); err != nil {
			return rows, err
		}
		if rows.count, err = r.number("row_count", 0); err != nil {
			return rows, err
		}
		if rows.start > s.rows || rows.count > s.rows-rows.start {
			return rows, badRequest("rows %d and %d more are not within the session's %d", rows.start, rows.count, s.rows)
		}
		return rows, nil
	}
	i, err := r.number("split_index", 0)
	if err != nil {
		return span{}, err
	}
	if n, err := r.number("row_count", 0); err != nil || n != 0 {
		return span{}, errors.Join(err, badRequest("the session has splits: ask for one by split_index, not for rows"))
	}
	if i == 0 && len(s.splits) == 0 {
		return span{}, nil
	}
	if i >= int64(len(s.splits)) {
		return span{}, badRequest("split_index %d is not within the session's %d splits", i, len(s.splits))
	}
	return s.splits[i], nil
}

// spool writes the stream into a file without a name and goes back to its beginning.
func (h *Handler) spool(ctx context.Context, s *session, ask *reading) (_ *os.File, size int64, err error) {
	file, err := os.CreateTemp(h.opt.Dir, "split-")
	if err != nil {
		return nil, 0, fmt.Errorf("make a file for a split: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, file.Close())
		}
	}()
	if err := os.Remove(file.Name()); err != nil {
		return nil, 0, fmt.Errorf("hide the file of a split: %w", err)
	}
	buffer := bufio.NewWriterSize(file, bufferBytes)
	if err := h.write(ctx, buffer, s, ask); err != nil {
		return nil, 0, err
	}
	if err := buffer.Flush(); err != nil {
		return nil, 0, fmt.Errorf("write a split: %w", err)
	}
	if size, err = file.Seek(0, io.SeekCurrent); err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("read a split back: %w", err)
	}
	return file, size, nil
}

// write makes the stream: schema, batches, end.
func (h *Handler) write(ctx context.Context, to io.Writer, s *session, ask *reading) (err error) {
	out := ipc.NewWriter(to, ask.options...)
	defer func() {
		if closeErr := out.Close(); err == nil && closeErr != nil {
			err = fmt.Errorf("end an Arrow stream: %w", closeErr)
		}
	}()
	if ask.rows.count == 0 {
		return nil
	}
	schema := s.schema()
	for batch, err := range h.rows(ctx, s, ask.rows) {
		if err != nil {
			return err
		}
		converted, err := s.convert(batch, schema)
		if err != nil {
			return err
		}
		err = ask.cut(converted, out.Write)
		converted.Release()
		if err != nil {
			return fmt.Errorf("write an Arrow batch: %w", err)
		}
	}
	return nil
}

// cut gives a batch on in pieces of the size asked for.
func (ask *reading) cut(batch arrow.RecordBatch, write func(arrow.RecordBatch) error) error {
	rows := ask.batchRows
	if ask.batchSize > 0 && batch.NumRows() > 0 {
		bytes := int64(0)
		for _, c := range batch.Columns() {
			bytes += int64(c.Data().SizeInBytes())
		}
		rows = min(rows, max(1, ask.batchSize*batch.NumRows()/max(1, bytes)))
	}
	for from := int64(0); from < batch.NumRows(); from += rows {
		piece := batch.NewSlice(from, min(from+rows, batch.NumRows()))
		err := write(piece)
		piece.Release()
		if err != nil {
			return err
		}
	}
	return nil
}
