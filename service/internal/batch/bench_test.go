package batch_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/sluice-io/sluice/service/internal/batch"
	"github.com/sluice-io/sluice/service/internal/table"
)

// wide is the row of performance.md: about 300 bytes.
func wide() ([]table.Column, rows) {
	cols := columns("bigint", "string", "double", "boolean", "timestamp", "array<float>")
	r := rand.New(rand.NewPCG(1, 2))
	data := make(rows, 850)
	for i := range data {
		vector := make([]any, 64)
		for j := range vector {
			vector[j] = float64(r.Float32())
		}
		data[i] = []any{int64(i), fmt.Sprintf("name-%015d", i), r.Float64(), i%2 == 0, instant{1700000000 + int64(i), 5000}, vector}
	}
	return cols, data
}

func wideMessage(b *testing.B) (cols []table.Column, n int, body []byte) {
	b.Helper()
	cols, data := wide()
	rec := arrowBatch(batch.ArrowSchema(cols, batch.SchemaOptions{}), cols, data)
	defer rec.Release()
	_, body = arrowMessages(b, rec)
	return cols, len(data), body
}

func BenchmarkCheckPassthrough(b *testing.B) {
	cols, n, body := wideMessage(b)
	for _, frame := range []int{len(body), 16384} {
		b.Run(fmt.Sprintf("frame=%d", frame), func(b *testing.B) {
			l := compile(b, cols, batch.Definition{}, 0)
			p := cutPayload(body, frame)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := l.Check(batch.Incoming{Rows: int32(n), Arrow: p}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCheckConverts(b *testing.B) {
	cols, data := wide()
	record := append(append([]table.Column{}, cols...), table.Column{Name: "m", Type: table.MustParseType("interval_year_month")})
	cb, list := columnBatch(cols, data), rowList(cols, data)
	_, n, body := wideMessage(b)
	rec := arrowBatch(batch.ArrowSchema(cols, batch.SchemaOptions{}), cols, data)
	defer rec.Release()
	schemaMessage, _ := arrowMessages(b, rec)
	for _, x := range []struct {
		name string
		l    *batch.Layout
		in   batch.Incoming
	}{
		{"columns", compile(b, cols, batch.Definition{}, 0), batch.Incoming{Rows: int32(n), Columns: cb}},
		{"rows", compile(b, cols, batch.Definition{}, 0), batch.Incoming{Rows: int32(n), List: list}},
		{"records", compile(b, record, batch.Definition{ArrowSchema: schemaMessage}, 0), batch.Incoming{Rows: int32(n), Arrow: cutPayload(body, 16384)}},
	} {
		b.Run(x.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c, err := x.l.Check(x.in)
				if err != nil {
					b.Fatal(err)
				}
				c.Release()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/row")
		})
	}
}

func BenchmarkDecodeRecords(b *testing.B) {
	cols, data := wide()
	record := append(append([]table.Column{}, cols...), table.Column{Name: "m", Type: table.MustParseType("interval_year_month")})
	l := compile(b, record, batch.Definition{ColumnIndices: []int32{0, 1, 2, 3, 4, 5}}, 0)
	c, err := l.Check(batch.Incoming{Rows: int32(len(data)), Columns: columnBatch(cols, data)})
	if err != nil {
		b.Fatal(err)
	}
	stream := batch.AppendRecordTrailer(join(c.Body), int64(c.Rows), c.RecordCRC)
	b.ReportAllocs()
	for b.Loop() {
		d := batch.NewRecordDecoder(cols, memory.DefaultAllocator, batch.RecordOptions{})
		r := bytes.NewReader(stream)
		for {
			rec, err := d.Read(r, 4096)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				b.Fatal(err)
			}
			rec.Release()
		}
		d.Release()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(data)), "ns/row")
}
