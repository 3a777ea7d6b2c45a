package client

import (
	"google.golang.org/grpc/mem"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
)

// entry is one batch that was given to the Writer and is not durable yet.
type entry struct {
	offset   int64 // of its first row in the slice; falls when an earlier batch is refused
	firstRow int64 // of its first row among all that the Writer was ever given
	rows     int64
	bytes    int64
	schemaID int32
	crc      uint32
	hasCRC   bool
	damaged  bool  // refused once because of its checksum
	sentAs   int64 // batch id of its last sending on this stream; 0 = not sent on it, or to be sent again

	// One of three forms.
	arrow   mem.BufferSlice
	columns *sluicev1.ColumnBatch
	list    *sluicev1.RowList
}

func (e *entry) end() int64 { return e.offset + e.rows }

// request returns the message that sends e, under the given id.
func (e *entry) batch(id int64) *sluicev1.RowBatch {
	b := &sluicev1.RowBatch{BatchId: id, Offset: e.offset, RowCount: int32(e.rows), SchemaId: e.schemaID} //nolint:gosec // bounded by max_batch_rows
	if e.hasCRC {
		crc := e.crc
		b.Crc32C = &crc
	}
	switch {
	case e.columns != nil:
		b.Payload = &sluicev1.RowBatch_Columns{Columns: e.columns}
	case e.list != nil:
		b.Payload = &sluicev1.RowBatch_Rows{Rows: e.list}
	}
	return b
}

func (e *entry) free() {
	e.arrow.Free()
	e.arrow = nil
}

// replayBuffer holds the batches of a slice that are not durable, in row order, without gaps:
//
//	durable ≤ entries[0].offset … entries[unsent].offset … end
//	          └ sent on the present stream ┘└ not yet ┘
type replayBuffer struct {
	entries []*entry
	unsent  int   // index of the first entry that the present stream has not carried
	bytes   int64 // of all entries
	end     int64 // row offset after the last entry
}

func (q *replayBuffer) push(e *entry) {
	e.offset = q.end
	q.end += e.rows
	q.bytes += e.bytes
	q.entries = append(q.entries, e)
}

// dropDurable frees the entries that lie wholly below through.
func (q *replayBuffer) dropDurable(through int64) {
	n := 0
	for n < len(q.entries) && q.entries[n].end() <= through {
		q.bytes -= q.entries[n].bytes
		q.entries[n].free()
		q.entries[n] = nil
		n++
	}
	q.entries = q.entries[n:]
	q.unsent = max(0, q.unsent-n)
}

// rewind makes the entries from index i on be sent again.
func (q *replayBuffer) rewind(i int) {
	q.unsent = min(q.unsent, i)
	for _, e := range q.entries[i:] {
		e.sentAs = 0
	}
}

// indexAt returns the entry that begins at the offset; the end of the buffer counts as one.
func (q *replayBuffer) indexAt(offset int64) (int, bool) {
	for i, e := range q.entries {
		if e.offset == offset {
			return i, true
		}
	}
	return len(q.entries), offset == q.end
}

// indexSentAs returns the entry whose last sending had this id.
func (q *replayBuffer) indexSentAs(id int64) (int, bool) {
	for i, e := range q.entries {
		if e.sentAs == id && id != 0 {
			return i, true
		}
	}
	return 0, false
}

// remove takes the refused entry i out; those behind it move down and are sent again.
func (q *replayBuffer) remove(i int) *entry {
	e := q.entries[i]
	q.entries = append(q.entries[:i], q.entries[i+1:]...)
	for _, later := range q.entries[i:] {
		later.offset -= e.rows
	}
	q.end -= e.rows
	q.bytes -= e.bytes
	q.rewind(i)
	return e
}

func (q *replayBuffer) freeAll() {
	for _, e := range q.entries {
		e.free()
	}
	q.entries, q.unsent, q.bytes = nil, 0, 0
}
