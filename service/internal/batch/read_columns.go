package batch

import (
	"hash/crc32"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
	"github.com/sluice-io/sluice/service/internal/table"
)

// message builds one encapsulated RecordBatch message from the gathered rows.
func (e *Encoder) message(rows int) ([]byte, error) {
	nodes, buffers := e.entries()
	w := messageWriter{
		header: header{rows: int64(rows), codec: e.codec, nodes: make([]fieldNode, 0, nodes), buffers: make([]bodyBuffer, 0, buffers)},
	}
	body := 0
	for i := range e.pending {
		body += e.pending[i].size(&e.shapes[i], 0, rows, 8)
	}
	start := headerBytes(nodes, buffers)
	w.out = make([]byte, start, start+body)
	w.start = start
	for i := range e.pending {
		w.column(&e.shapes[i], &e.pending[i])
	}
	w.header.body = int64(len(w.out) - start)
	appendHeader(w.out[:0], &w.header)
	return w.out, w.err
}

// messageWriter appends the buffers of columns to a body and notes where they lie.
type messageWriter struct {
	header header
	out    []byte
	start  int // of the body in out
	err    error
}

func (w *messageWriter) column(s *shape, v *vector) {
	w.node(v.n, v.nulls)
	if v.nulls > 0 {
		w.buffer(v.validity[:(v.n+7)/8])
	} else {
		w.buffer(nil)
	}
	switch s.lane {
	case laneBits, laneFixed:
		w.buffer(v.data)
	case laneBytes:
		w.buffer(v.offsets)
		w.buffer(v.data)
	case laneList:
		w.buffer(v.offsets)
	case lanePair:
		for _, data := range [][]byte{v.data, v.nanos} {
			w.node(v.n, 0)
			w.buffer(nil)
			w.buffer(data)
		}
	}
	for i := range v.children {
		w.column(&s.children[i], &v.children[i])
	}
}

func (w *messageWriter) node(n, nulls int) {
	w.header.nodes = append(w.header.nodes, fieldNode{int64(n), int64(nulls)})
}

func (w *messageWriter) buffer(b []byte) {
	at := len(w.out)
	switch {
	case w.header.codec == codecNone:
		w.out = append(w.out, b...)
	case w.err == nil:
		w.out, w.err = appendPacked(w.out, b, w.header.codec)
	}
	w.header.buffers = append(w.header.buffers, bodyBuffer{int64(at - w.start), int64(len(w.out) - at)})
	for len(w.out)%8 != 0 { // the header's size is a multiple of 8
		w.out = append(w.out, 0)
	}
}

// columnBatch gives the gathered rows in the API's column form. The buffers are not copied.
func columnBatch(shapes []shape, vectors []vector) *sluicev1.ColumnBatch {
	b := &sluicev1.ColumnBatch{Columns: make([]*sluicev1.ColumnData, len(vectors))}
	for i := range vectors {
		b.Columns[i] = columnData(&shapes[i], &vectors[i])
	}
	return b
}

func columnData(s *shape, v *vector) *sluicev1.ColumnData {
	d := &sluicev1.ColumnData{Offsets: v.offsets, Data: v.data, Nanos: v.nanos}
	if v.nulls > 0 {
		d.Validity = v.validity[:(v.n+7)/8]
	}
	shapes, vectors := s.children, v.children
	if s.typ.Kind == table.KindMap { // keys and values stand without the struct around them
		shapes, vectors = shapes[0].children, vectors[0].children
	}
	for i := range vectors {
		d.Children = append(d.Children, columnData(&shapes[i], &vectors[i]))
	}
	return d
}

// columnsCRC continues a CRC-32C over the buffers of columns, depth first (api.md 4.6).
func columnsCRC(columns []*sluicev1.ColumnData, crc uint32) uint32 {
	for _, c := range columns {
		for _, b := range [][]byte{c.GetValidity(), c.GetOffsets(), c.GetData(), c.GetNanos()} {
			crc = crc32.Update(crc, castagnoli, b)
		}
		crc = columnsCRC(c.GetChildren(), crc)
	}
	return crc
}
