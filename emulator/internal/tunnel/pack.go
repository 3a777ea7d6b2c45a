package tunnel

import (
	"fmt"
	"io"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/sluice-io/sluice/emulator/internal/store"
	"github.com/sluice-io/sluice/emulator/internal/types"
)

// maxDynamicPartitions bounds the partitions of one pack (the limit that the storage
// API names for dynamic partitions, protocol section 18.4).
const maxDynamicPartitions = 512

// pack is what one PUT of a stream brings, by partition.
type pack []store.Publication

func (p pack) rows() (n int64) {
	for _, pub := range p {
		for _, seg := range pub.Segments {
			n += seg.Rows
		}
	}
	return n
}

func (p pack) discard(s *store.Store) {
	for _, pub := range p {
		for _, seg := range pub.Segments {
			s.Discard(seg)
		}
	}
}

func (h *Handler) receivePack(r *request, u store.Upload) (pack, error) {
	if u.Dynamic {
		return h.receiveDynamic(r, u.Table)
	}
	seg, err := h.receive(r, u.Table, false)
	if err != nil {
		return nil, err
	}
	return pack{{Spec: u.Spec, Segments: []*store.Segment{seg}}}, nil
}

// dynamicColumns are the columns of rows that name their partition.
func dynamicColumns(t store.Table) []store.Column {
	return slices.Concat(t.Columns, t.PartitionColumns)
}

// receiveDynamic splits a pack by the partition columns behind the data columns.
func (h *Handler) receiveDynamic(r *request, t store.Table) (pack, error) {
	s := splitter{table: t, open: h.opt.Store.NewSegment, at: map[string]int{}}
	defer s.abort()
	if err := readBody(r, func(body io.Reader) error {
		return copyRecords(body, store.WireColumns(dynamicColumns(t)), s.write)
	}); err != nil {
		return nil, err
	}
	out := make(pack, 0, len(s.parts))
	for _, p := range s.parts {
		seg, err := p.rows.Finish()
		if err != nil {
			out.discard(h.opt.Store)
			return nil, err
		}
		out = append(out, store.Publication{Spec: p.spec, Segments: []*store.Segment{seg}})
	}
	return out, nil
}

// splitter writes rows to one segment per partition.
type splitter struct {
	table store.Table
	open  func(store.Table) *store.SegmentWriter
	parts []part
	at    map[string]int // position in parts by spec
}

type part struct {
	spec types.PartitionSpec
	rows *store.SegmentWriter
}

func (s *splitter) abort() {
	for _, p := range s.parts {
		p.rows.Abort() // no effect after Finish
	}
}

// write passes each run of rows of one partition on.
func (s *splitter) write(rec arrow.RecordBatch) error {
	n := int64(len(s.table.Columns))
	schema := arrow.NewSchema(rec.Schema().Fields()[:n], nil)
	data := array.NewRecordBatch(schema, rec.Columns()[:n], rec.NumRows())
	defer data.Release()
	for start := int64(0); start < rec.NumRows(); {
		spec, err := s.spec(rec, int(start))
		if err != nil {
			return err
		}
		end := start + 1
		for ; end < rec.NumRows(); end++ {
			next, err := s.spec(rec, int(end))
			if err != nil {
				return err
			}
			if !slices.Equal(next, spec) {
				break
			}
		}
		if err := s.writeTo(spec, data, start, end); err != nil {
			return err
		}
		start = end
	}
	return nil
}

func (s *splitter) writeTo(spec types.PartitionSpec, data arrow.RecordBatch, start, end int64) error {
	key := spec.String()
	i, ok := s.at[key]
	if !ok {
		if len(s.parts) == maxDynamicPartitions {
			return badRequest("more than %d partitions in one pack", maxDynamicPartitions)
		}
		i = len(s.parts)
		s.at[key] = i
		s.parts = append(s.parts, part{spec, s.open(s.table)})
	}
	run := data.NewSlice(start, end)
	defer run.Release()
	return s.parts[i].rows.WriteBatch(run)
}

// spec reads the partition of one row.
func (s *splitter) spec(rec arrow.RecordBatch, row int) (types.PartitionSpec, error) {
	spec := make(types.PartitionSpec, len(s.table.PartitionColumns))
	for i, c := range s.table.PartitionColumns {
		a := rec.Column(len(s.table.Columns) + i)
		if a.IsNull(row) {
			return nil, fmt.Errorf("partition column %s is NULL: %w", c.Name, store.ErrInvalidPartition)
		}
		if !plainText(c.Type) {
			return nil, fmt.Errorf("partition column %s of type %s cannot be read from rows: %w", c.Name, c.Type, store.ErrInvalidPartition)
		}
		spec[i] = types.PartitionValue{Column: c.Name, Value: a.ValueStr(row)}
	}
	return s.table.Spec(spec, false)
}

// plainText says whether values of t have one text without doubt.
func plainText(t types.Type) bool {
	switch t.Kind {
	case types.TinyInt, types.SmallInt, types.Int, types.BigInt, types.Char, types.Varchar, types.String, types.Date:
		return true
	}
	return false
}
