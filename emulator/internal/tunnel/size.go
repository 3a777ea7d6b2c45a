package tunnel

import (
	"sort"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/sluice-io/sluice/emulator/internal/store"
	"github.com/sluice-io/sluice/emulator/internal/wire"
)

// sizeLimits are the parameters that bound an answer's bytes (protocol sections 11, 12).
var sizeLimits = []string{"raw_size", "sizelimit"}

// limitSize shortens a selection to the rows that fit the size which the request asks
// for: whole rows in record form, at least one, so that a client that goes on behind
// the last row gets on.
func (r *request) limitSize(d *download, sel selection) (selection, error) {
	for _, name := range sizeLimits {
		v := r.text(name)
		if v == "" || v == "-1" { // clients write "none" as -1
			continue
		}
		limit, err := strconv.ParseInt(v, 10, 64)
		if err != nil || limit <= 0 {
			return sel, badRequest("%s %q is no number above 0", name, v)
		}
		if sel.count, err = d.rowsWithin(sel, limit); err != nil {
			return sel, err
		}
	}
	return sel, nil
}

// rowsWithin counts the rows of a selection that take at most limit bytes.
func (d *download) rowsWithin(sel selection, limit int64) (count int64, err error) {
	cols := store.WireColumns(pick(d.columns(), sel.columns))
	sel.arrow = false
	rows, err := d.rowsOf(sel)
	if err != nil {
		return 0, err
	}
	for m, err := range rows {
		if err != nil {
			return 0, err
		}
		size, err := recordBytes(cols, m.Batch, m.Batch.NumRows())
		if err != nil {
			return 0, err
		}
		if size <= limit {
			limit -= size
			count += m.Batch.NumRows()
			continue
		}
		fits := sort.Search(int(m.Batch.NumRows()), func(n int) bool { // the first n whose n+1 rows are too many
			if err == nil {
				size, err = recordBytes(cols, m.Batch, int64(n)+1)
			}
			return size > limit
		})
		return max(count+int64(fits), min(1, sel.count)), err
	}
	return count, nil
}

// recordBytes is what the first n rows of a batch take in record form.
func recordBytes(cols []wire.Column, rec arrow.RecordBatch, n int64) (int64, error) {
	part := rec.NewSlice(0, n)
	defer part.Release()
	var size counter
	w := wire.NewRecordWriter(&size, cols)
	if err := w.Write(part); err != nil {
		return 0, err
	}
	err := w.Close() // it holds back what it wrote; the few bytes of the end count, too
	return int64(size), err
}

type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}
