package conformance

import (
	"encoding/binary"
	"errors"
	"io"
	"testing"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
)

// writeInts sends n rows (v, 2v) of two BIGINT columns, v from first on, as one batch of column buffers.
func (w *slice) writeInts(first int64, n int) {
	w.t.Helper()
	once, twice := make([]byte, 0, 8*n), make([]byte, 0, 8*n)
	for v := first; v < first+int64(n); v++ {
		once = binary.LittleEndian.AppendUint64(once, uint64(v))
		twice = binary.LittleEndian.AppendUint64(twice, uint64(2*v))
	}
	w.batch++
	w.send(&sluicev1.WriteRowsRequest{Message: &sluicev1.WriteRowsRequest_Batch{Batch: &sluicev1.RowBatch{
		BatchId: w.batch, Offset: w.next, RowCount: int32(n),
		Payload: &sluicev1.RowBatch_Columns{Columns: &sluicev1.ColumnBatch{Columns: []*sluicev1.ColumnData{{Data: once}, {Data: twice}}}},
	}}})
	w.next += int64(n)
}

// sums reads a table of BIGINT columns as column buffers and gives its row count and the sum of all its values.
func (s *stack) sums(t *testing.T, path string) (count, sum int64) {
	t.Helper()
	stream, err := s.rows.ReadRows(ctxOf(t), &sluicev1.ReadRowsRequest{
		Source: &sluicev1.ReadRowsRequest_Spec{Spec: &sluicev1.ReadSessionSpec{Table: &sluicev1.TableRef{Path: path}}},
		Format: sluicev1.DataFormat_DATA_FORMAT_COLUMNS,
	})
	if err != nil {
		t.Fatalf("ReadRows: %v", err)
	}
	for {
		msg, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return count, sum
		}
		if err != nil {
			t.Fatalf("read %s: %v", path, err)
		}
		count += msg.GetRowCount()
		for _, c := range msg.GetColumns().GetColumns() {
			for data := c.GetData(); len(data) >= 8; data = data[8:] {
				sum += int64(binary.LittleEndian.Uint64(data))
			}
		}
	}
}
