package batch

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/sluice-io/sluice/service/internal/apierr"
)

func asError(err error, target **apierr.Error) bool { return errors.As(err, target) }

// FuzzUpstreamMessage feeds damaged messages through the parser and the splitter: they must be refused or come out with
// the rows they announce, never crash, and never exceed the limits.
func FuzzUpstreamMessage(f *testing.F) {
	mem := memory.NewGoAllocator()
	cols := arrowTypes()
	for i, opts := range [][]ipc.Option{nil, {ipc.WithLZ4()}, {ipc.WithZstd()}} {
		b := arrowBatch(mem, cols, randomRows(rand.New(rand.NewPCG(9, uint64(i))), cols, 10, true), TimestampNanos)
		p, err := ipc.GetRecordBatchPayload(b, opts...)
		if err != nil {
			f.Fatal(err)
		}
		var sink byteSink
		if _, err := p.WritePayload(&sink); err != nil {
			f.Fatal(err)
		}
		f.Add(sink.b, uint16(100*i+7), uint8(i))
	}
	d, err := NewDecoder(cols)
	if err != nil {
		f.Fatal(err)
	}
	forms := []OutOptions{
		{MaxMessageBytes: 4 << 10}, {Format: OutColumns, MaxMessageBytes: 4 << 10}, {Format: OutRows, MaxBatchRows: 3},
		{Compression: OutLZ4Frame, MaxBatchRows: 2}, {ArrowTimestamp: TimestampStruct},
	}
	f.Fuzz(func(t *testing.T, raw []byte, piece uint16, form uint8) {
		at := min(int(piece), len(raw))
		c, err := d.Message(NewPayload(nil, raw[:at], raw[at:]))
		if err != nil {
			return
		}
		e, err := NewEncoder(cols, straight(cols), forms[int(form)%len(forms)])
		if err != nil {
			t.Fatal(err)
		}
		rows, got := c.Rows(), 0
		emit := func(o *Out) error {
			got += o.Rows
			if o.Rows < 1 || o.Rows > e.opts.MaxBatchRows {
				t.Fatalf("message of %d rows", o.Rows)
			}
			if o.Arrow.Len() > e.opts.MaxMessageBytes {
				t.Fatalf("message of %d bytes", o.Arrow.Len())
			}
			return nil
		}
		if e.Add(0, c, emit) != nil {
			return
		}
		if err := e.Flush(emit); err != nil {
			t.Fatal(err)
		}
		if got != rows {
			t.Fatalf("%d rows came out of %d", got, rows)
		}
	})
}
