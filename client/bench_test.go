package client_test

import (
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/sluice-io/sluice/client"
)

// The rows of docs/performance.md: narrow, and wide with a vector of 64 floats more.
type narrow struct {
	ID    int64     `sluice:"id"`
	Name  string    `sluice:"s"`
	Score float64   `sluice:"f64"`
	Flag  bool      `sluice:"b"`
	At    time.Time `sluice:"ts"`
}

type wide struct {
	ID     int64     `sluice:"id"`
	Name   string    `sluice:"s"`
	Score  float64   `sluice:"f64"`
	Flag   bool      `sluice:"b"`
	At     time.Time `sluice:"ts"`
	Vector []float32 `sluice:"floats"`
}

func benchWriter(b *testing.B) *client.Writer {
	b.Helper()
	f := newFake()
	f.schema = everyType()
	f.limits.BestMessageBytes = 256 << 10
	f.discard = true
	w, err := f.dial(b).NewWriter(b.Context(), client.WriterConfig{Run: "r", Output: client.TableName("t")})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := w.Close(); err != nil {
			b.Error(err)
		}
	})
	return w
}

func benchRows[T any](b *testing.B, row T, bytes int64) {
	b.Helper()
	w := benchWriter(b)
	rows, err := client.NewStructWriter[T](w)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetBytes(bytes)
	for b.Loop() {
		if err := rows.Append(&row); err != nil {
			b.Fatal(err)
		}
	}
	if err := rows.Flush(); err != nil {
		b.Fatal(err)
	}
	if _, err := w.Seal(b.Context()); err != nil {
		b.Fatal(err)
	}
}

const text20 = "twenty bytes of text"

func BenchmarkStructsNarrow(b *testing.B) {
	benchRows(b, narrow{ID: 1, Name: text20, Score: 0.5, Flag: true, At: time.Unix(1, 2)}, 49)
}

func BenchmarkStructsWide(b *testing.B) {
	benchRows(b, wide{ID: 1, Name: text20, Score: 0.5, Flag: true, At: time.Unix(1, 2), Vector: make([]float32, 64)}, 305)
}

func BenchmarkArrow(b *testing.B) {
	w := benchWriter(b)
	rec := idBatch(memory.DefaultAllocator, 0, 1<<16)
	defer rec.Release()
	b.SetBytes(8 << 16)
	for b.Loop() {
		if err := w.WriteArrow(rec); err != nil {
			b.Fatal(err)
		}
	}
	if _, err := w.Seal(b.Context()); err != nil {
		b.Fatal(err)
	}
}
