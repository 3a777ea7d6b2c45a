package batch_test

import (
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/sluice-io/sluice/service/internal/batch"
)

// pieces gives at most size bytes a read.
type pieces struct {
	r    io.Reader
	size int
}

func (p pieces) Read(b []byte) (int, error) { return p.r.Read(b[:min(len(b), p.size)]) }

// A record of one long array that arrives in small pieces costs a few scans more than one that is there at once, and not
// one for every piece: that took some hundred times as long.
func TestLongRecordInPieces(t *testing.T) {
	cols := columns("array<bigint>", "string")
	const long = 1 << 19
	elements := make([]any, long)
	for i := range elements {
		elements[i] = int64(i) << 32
	}
	stream := records(t, cols, rows{{elements, "a"}, {elements[:3], "b"}, {elements[:long/2], "c"}})
	decode := func(r io.Reader) time.Duration {
		start := time.Now()
		d := batch.NewRecordDecoder(cols, memory.DefaultAllocator, batch.RecordOptions{MaxRecordBytes: 16 << 20})
		defer d.Release()
		rec, err := d.Read(r, 10)
		if err != nil {
			t.Fatal(err)
		}
		defer rec.Release()
		list, text := rec.Column(0).(*array.List), rec.Column(1).(*array.String)
		values := list.ListValues().(*array.Int64)
		if rec.NumRows() != 3 || text.Value(0)+text.Value(1)+text.Value(2) != "abc" || values.Len() != long+3+long/2 || values.Value(long-1) != (long-1)<<32 {
			t.Errorf("%d rows, %d elements", rec.NumRows(), values.Len())
		}
		return time.Since(start)
	}
	whole := decode(bytes.NewReader(stream))
	if cut := decode(pieces{bytes.NewReader(stream), 4 << 10}); cut > 40*whole {
		t.Errorf("in pieces %v, at once %v", cut, whole)
	}
}
