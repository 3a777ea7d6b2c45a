package batch

import (
	"bytes"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/sluice-io/sluice/service/internal/table"
)

// BenchmarkEncoder measures one upstream message of 8,192 rows (id, name, score, flag, time) in each output form.
func BenchmarkEncoder(b *testing.B) {
	mem := memory.NewGoAllocator()
	var cols []table.Column
	for _, c := range [][2]string{{"id", "bigint"}, {"name", "string"}, {"score", "double"}, {"flag", "boolean"}, {"at", "datetime"}} {
		cols = append(cols, table.Column{Name: c[0], Type: table.MustParseType(c[1])})
	}
	rows := randomRows(rand.New(rand.NewPCG(1, 2)), cols, 8192, true)
	rec := arrowBatch(mem, cols, rows, TimestampNanos)
	p, err := ipc.GetRecordBatchPayload(rec)
	if err != nil {
		b.Fatal(err)
	}
	var sink byteSink
	if _, err := p.WritePayload(&sink); err != nil {
		b.Fatal(err)
	}
	d, err := NewDecoder(cols)
	if err != nil {
		b.Fatal(err)
	}
	reversed := straight(cols)
	reversed[0], reversed[4] = reversed[4], reversed[0]
	discard := func(o *Out) error { o.Release(); return nil }
	for _, c := range []struct {
		name string
		out  []OutColumn
		opts OutOptions
	}{
		{"pass", straight(cols), OutOptions{}},
		{"reorder", reversed, OutOptions{}},
		{"split", straight(cols), OutOptions{MaxMessageBytes: 64 << 10}},
		{"zstd", straight(cols), OutOptions{Compression: OutZSTD}},
		{"lz4", straight(cols), OutOptions{Compression: OutLZ4Frame}},
		{"columns", straight(cols), OutOptions{Format: OutColumns}},
		{"rows", straight(cols), OutOptions{Format: OutRows}},
	} {
		b.Run(c.name, func(b *testing.B) {
			e, err := NewEncoder(cols, c.out, c.opts)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(sink.b)))
			b.ReportAllocs()
			for b.Loop() {
				chunk, err := d.Message(NewPayload(nil, sink.b[:len(sink.b)/2], sink.b[len(sink.b)/2:]))
				if err != nil {
					b.Fatal(err)
				}
				if err := e.Add(0, chunk, discard); err != nil {
					b.Fatal(err)
				}
			}
			if err := e.Flush(discard); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkRecordsToArrow decodes a record stream of 8,192 rows and encodes it as Arrow.
func BenchmarkRecordsToArrow(b *testing.B) {
	mem := memory.NewGoAllocator()
	cols := []table.Column{{Name: "id", Type: table.MustParseType("bigint")}, {Name: "name", Type: table.MustParseType("string")}, {Name: "span", Type: table.MustParseType("interval_day_time")}}
	rows := randomRows(rand.New(rand.NewPCG(1, 2)), cols, 8192, true)
	stream := recordStream(b, mem, cols, rows)
	d, err := NewDecoder(cols)
	if err != nil {
		b.Fatal(err)
	}
	e, err := NewEncoder(cols, straight(cols), OutOptions{})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(stream)))
	b.ReportAllocs()
	for b.Loop() {
		r := d.Records(bytes.NewReader(stream), mem)
		for {
			c, err := r.Next()
			if err == io.EOF { //nolint:errorlint // the decoder's own io.EOF is the end, a wrapped one is not
				break
			}
			if err != nil {
				b.Fatal(err)
			}
			if err := e.Add(0, c, func(o *Out) error { o.Release(); return nil }); err != nil {
				b.Fatal(err)
			}
		}
		r.Close()
	}
}
