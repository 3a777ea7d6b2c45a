package tunnel

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/sluice-io/sluice/emulator/internal/store"
	"github.com/sluice-io/sluice/emulator/internal/types"
	"github.com/sluice-io/sluice/emulator/internal/wire"
)

// preview sends the first rows as a complete Arrow IPC stream, timestamps as
// struct<sec,nano>, partition columns behind the data columns.
func (h *Handler) preview(w http.ResponseWriter, r *request) error {
	spec, err := r.spec()
	if err != nil {
		return err
	}
	limit := int64(limitedRows)
	if v := r.text("limit"); v != "" {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			return badRequest("limit %q is no number", v)
		}
		if n >= 0 {
			limit = min(limit, n)
		}
	}
	t, snaps, err := h.opt.Store.SnapshotAll(r.key, spec)
	if err != nil {
		return err
	}
	defer func() {
		for _, s := range snaps {
			s.Release()
		}
	}()
	if len(snaps) == 0 && len(spec) > 0 {
		return store.ErrNoSuchPartition
	}
	p := previewer{limit: limit, table: t}
	if p.data, p.parts, err = previewColumns(r.text("columns"), t); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.WriteHeader(http.StatusOK)
	abortOn(p.send(w, snaps, r.Header.Get("Accept-Encoding")))
	return nil
}

// previewColumns splits the wanted names into data and partition columns, each in
// table order.
func previewColumns(list string, t store.Table) (data, parts []int, err error) {
	all := append(append([]store.Column{}, t.Columns...), t.PartitionColumns...)
	at, err := pickColumns(list, all, nil, true)
	if err != nil {
		return nil, nil, err
	}
	data, parts = []int{}, []int{}
	for i := range all {
		if at != nil && (len(at) == 0 || at[0] != i) {
			continue
		}
		if at != nil {
			at = at[1:]
		}
		if i < len(t.Columns) {
			data = append(data, i)
		} else {
			parts = append(parts, i-len(t.Columns))
		}
	}
	return data, parts, nil
}

type previewer struct {
	table       store.Table
	data, parts []int
	limit       int64
}

func (p *previewer) send(w http.ResponseWriter, snaps []*store.Snapshot, accept string) error {
	opts := []ipc.Option{ipc.WithSchema(p.schema())}
	switch strings.ToUpper(accept) {
	case "ZSTD":
		opts = append(opts, ipc.WithZstd())
	case "LZ4_FRAME":
		opts = append(opts, ipc.WithLZ4())
	}
	out := ipc.NewWriter(w, opts...)
	for _, s := range snaps {
		if p.limit <= 0 {
			break
		}
		for rec, err := range s.Batches(store.ReadOptions{Columns: p.data, Count: p.limit, Layout: types.LayoutWide}) {
			if err != nil {
				return err
			}
			if err := p.write(out, rec, s.Partition.Spec); err != nil {
				return err
			}
			p.limit -= rec.NumRows()
		}
	}
	return out.Close()
}

func (p *previewer) schema() *arrow.Schema {
	cols := append(pick(p.table.Columns, p.data), pick(p.table.PartitionColumns, p.parts)...)
	for i := len(p.data); i < len(cols); i++ {
		cols[i].Type = partitionForm(cols[i].Type)
	}
	return wire.ArrowSchema(store.WireColumns(cols), types.LayoutWide)
}

// partitionForm is the type a partition value is shown in: its own where its text is
// read without doubt, otherwise STRING.
func partitionForm(t types.Type) types.Type {
	switch t.Kind {
	case types.TinyInt, types.SmallInt, types.Int, types.BigInt, types.Date:
		return t
	}
	return types.Type{Kind: types.String}
}

func (p *previewer) write(out *ipc.Writer, rec arrow.RecordBatch, spec types.PartitionSpec) error {
	cols := append([]arrow.Array{}, rec.Columns()...)
	for _, i := range p.parts {
		a := repeated(partitionForm(p.table.PartitionColumns[i].Type), spec[i].Value, int(rec.NumRows()))
		defer a.Release()
		cols = append(cols, a)
	}
	full := array.NewRecordBatch(p.schema(), cols, rec.NumRows())
	defer full.Release()
	return out.Write(full)
}

// repeated is a column of one value, NULL where its text is not of the type.
func repeated(t types.Type, value string, n int) arrow.Array {
	b := array.NewBuilder(memory.DefaultAllocator, t.Arrow(types.LayoutWide))
	defer b.Release()
	for range n {
		if b.AppendValueFromString(value) != nil {
			b.AppendNull()
		}
	}
	return b.NewArray()
}
