package tunnel

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/sluice-io/sluice/emulator/internal/store"
	"github.com/sluice-io/sluice/emulator/internal/types"
	"github.com/sluice-io/sluice/emulator/internal/wire"
)

// limitedRows is the cap of instance_tunnel_limit_enabled and of preview.
const limitedRows = 10000

// tagSchemaEnd closes the schema frame of schema_in_stream. Frozen.
const tagSchemaEnd = 33553920

func (h *Handler) resultOf(r *request) (*download, error) {
	if h.opt.Results == nil {
		return nil, &Error{Status: http.StatusNotFound, Code: "NoSuchObject", Message: "instance " + r.instance + " not found"}
	}
	res, err := h.opt.Results.InstanceResult(r.Context(), r.project, r.instance)
	if err != nil {
		return nil, err
	}
	d := &download{result: res, rows: res.Rows}
	if r.flag("instance_tunnel_limit_enabled") {
		d.rows = min(d.rows, limitedRows)
	}
	return d, nil
}

func (h *Handler) createResultDownload(w http.ResponseWriter, r *request) error {
	d, err := h.resultOf(r)
	if err != nil {
		return err
	}
	h.keep(d, r)
	h.sendDownload(w, http.StatusCreated, d)
	return nil
}

// cachedResult serves a result without a session, its schema in a header and, if
// asked, at the head of the stream.
func (h *Handler) cachedResult(w http.ResponseWriter, r *request) error {
	d, err := h.resultOf(r)
	if err != nil {
		return err
	}
	sel, err := r.selection(d.columns(), nil, d.rows)
	if err == nil {
		sel, err = r.limitSize(d, sel)
	}
	if err != nil {
		return err
	}
	rows, err := d.rowsOf(sel)
	if err != nil {
		return err
	}
	cols := pick(d.columns(), sel.columns)
	schema, err := json.Marshal(schemaOf(cols, nil))
	if err != nil {
		return fmt.Errorf("encode schema: %w", err)
	}
	header := map[string]string{"odps-tunnel-schema": string(schema)}
	return stream(w, r.Header.Get("Accept-Encoding"), header, func(dst *bufio.Writer) error {
		if sel.arrow {
			return sendArrow(dst, rows)
		}
		if r.flag("schema_in_stream") {
			if _, err := dst.Write(schemaFrame(schema)); err != nil {
				return err
			}
		}
		return sendRecords(dst, store.WireColumns(cols), rows)
	})
}

func schemaFrame(schema []byte) []byte {
	b := binary.AppendUvarint(nil, 1<<3|2)
	b = append(binary.AppendUvarint(b, uint64(len(schema))), schema...)
	b = binary.AppendUvarint(b, tagSchemaEnd<<3)
	return binary.AppendUvarint(b, uint64(wire.CRC(wire.CRC(0, []byte{1, 0, 0, 0}), schema)))
}

// resultRows projects and, for Arrow, converts an instance's rows.
func (d *download) resultRows(sel selection) (messages, error) {
	all := d.result.Columns
	want := pick(all, sel.columns)
	convert := func(rec arrow.RecordBatch) (arrow.RecordBatch, error) {
		cols := pick(rec.Columns(), sel.columns)
		picked := array.NewRecordBatch(wire.ArrowSchema(want, types.LayoutWide), cols, rec.NumRows())
		if !sel.arrow {
			return picked, nil
		}
		defer picked.Release()
		return resultForm(picked, want, sel.layout)
	}
	rows := func(yield func(store.Message, error) bool) {
		for rec, err := range d.result.Batches(sel.start, sel.count) {
			if err != nil {
				yield(store.Message{}, err)
				return
			}
			out, err := convert(rec)
			if err != nil {
				yield(store.Message{}, err)
				return
			}
			more := yield(store.Message{Batch: out}, nil)
			out.Release()
			if !more {
				return
			}
		}
	}
	if !sel.arrow || !varies(want) {
		return rows, nil
	}
	for _, err := range rows { // a value that does not fit must be told before the first byte
		if err != nil {
			return nil, err
		}
	}
	return rows, nil
}

func varies(cols []wire.Column) bool {
	for _, c := range cols {
		if c.Type.VariesByLayout() && !isTimestamp(c.Type) {
			return true
		}
	}
	return false
}

func isTimestamp(t types.Type) bool {
	return t.Kind == types.Timestamp || t.Kind == types.TimestampNTZ
}

// resultForm gives rec, which is in types.LayoutWide, the Arrow form of results:
// timestamps stay struct<sec,nano>, all else has layout l, timestamps within another
// type too (protocol section 12). The caller releases the result.
func resultForm(rec arrow.RecordBatch, cols []wire.Column, l types.Layout) (arrow.RecordBatch, error) {
	fields, out := make([]arrow.Field, len(cols)), make([]arrow.Array, 0, len(cols))
	defer func() {
		for _, a := range out {
			a.Release()
		}
	}()
	for i, c := range cols {
		to := l
		if isTimestamp(c.Type) {
			to = types.LayoutWide
		}
		one := array.NewRecordBatch(arrow.NewSchema([]arrow.Field{rec.Schema().Field(i)}, nil), rec.Columns()[i:i+1], rec.NumRows())
		converted, err := wire.Convert(one, cols[i:i+1], types.LayoutWide, to)
		one.Release()
		if err != nil {
			return nil, err
		}
		fields[i] = converted.Schema().Field(0)
		converted.Column(0).Retain()
		out = append(out, converted.Column(0))
		converted.Release()
	}
	return array.NewRecordBatch(arrow.NewSchema(fields, nil), out, rec.NumRows()), nil
}
