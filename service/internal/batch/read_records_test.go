package batch

import (
	"bytes"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/sluice-io/sluice/service/internal/table"
)

// recordStream is a record stream of the rows, made by the write side out of what the read side gives as columns.
func recordStream(t testing.TB, mem memory.Allocator, cols []table.Column, rows [][]any) []byte {
	t.Helper()
	e := newEncoder(t, cols, straight(cols), OutOptions{Format: OutColumns})
	outs := encode(t, e, recordChunk(t, mem, newDecoder(t, cols), rows))
	schema := &table.Schema{Columns: cols}
	l, err := Compile(schema, Definition{}, CastAllow, DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	var stream []byte
	var crc uint32
	for _, o := range outs {
		c, err := l.Check(Incoming{Rows: int32(o.Rows), Columns: o.Columns})
		if err != nil {
			t.Fatalf("the write side refuses our columns: %v", err)
		}
		if c.Form != FormRecord {
			t.Fatalf("form %s, want records", c.Form)
		}
		for _, p := range c.Body.Pieces() {
			stream = append(stream, p...)
		}
		crc = CombineCRC32C(crc, c.RecordCRC, int64(4*c.Rows))
		c.Release()
	}
	return AppendRecordTrailer(stream, int64(len(rows)), crc)
}

// Records of every type, written by the write side, come out of every output form as they went in.
func TestRecordsOfEveryTypeComeOutInEveryForm(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	cols := everyType()
	for _, opts := range allOptions() {
		narrow := opts.Format == OutArrow && opts.ArrowTimestamp == TimestampNanos
		rows := randomRows(rand.New(rand.NewPCG(11, 12)), cols, 200, narrow)
		d := newDecoder(t, cols)
		r := d.Records(iotest.HalfReader(bytes.NewReader(recordStream(t, mem, cols, rows))), mem)
		var chunks []*Chunk
		for {
			c, err := r.Next()
			if err == io.EOF { //nolint:errorlint // the decoder's own io.EOF is the end, a wrapped one is not
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			chunks = append(chunks, c)
		}
		r.Close()
		e := newEncoder(t, cols, straight(cols), opts)
		want := rows
		if opts.ArrowTimestamp == TimestampMicros {
			want = cutRows(cols, rows)
		}
		if diff := rowsDiff(want, cells(t, mem, e, encode(t, e, chunks...))); diff != "" {
			t.Errorf("%s: rows differ: %s", opts.name(), diff)
		}
	}
}

// A record stream cut anywhere is an error and not an end, and leaves no memory behind.
func TestCutRecordStreamIsNotAnEnd(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	cols := everyType()
	rows := randomRows(rand.New(rand.NewPCG(13, 14)), cols, 3, false)
	stream := recordStream(t, mem, cols, rows)
	for at := 0; at < len(stream); at += 1 + at%5 {
		r := newDecoder(t, cols).Records(bytes.NewReader(stream[:at]), mem)
		for {
			c, err := r.Next()
			if err == nil {
				c.Release()
				continue
			}
			if err == io.EOF { //nolint:errorlint // the decoder's own io.EOF is the end, a wrapped one is not
				t.Errorf("cut at %d of %d: a clean end", at, len(stream))
			}
			break
		}
		r.Close()
	}
}

// What the read side gives as Arrow is what the write side forwards without a look at the values' layout.
func TestWriteSideTakesOurArrowAsItIs(t *testing.T) {
	mem := memory.NewGoAllocator()
	cols := arrowTypes()
	rows := randomRows(rand.New(rand.NewPCG(15, 16)), cols, 200, true)
	d := newDecoder(t, cols)
	e := newEncoder(t, cols, straight(cols), OutOptions{})
	l, err := Compile(&table.Schema{Columns: cols}, Definition{ArrowSchema: e.Schema()}, CastExact, DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	if !l.Passthrough() {
		t.Errorf("the canonical read layout is not passed through; converted: %v", l.ConvertedColumns())
	}
	for _, o := range encode(t, e, recordChunk(t, mem, d, rows)) {
		c, err := l.Check(Incoming{Rows: int32(o.Rows), Arrow: o.Arrow})
		if err != nil {
			t.Fatalf("the write side refuses our arrow: %v", err)
		}
		back, err := d.Message(c.Body)
		if err != nil {
			t.Fatalf("what went to the tunnel does not read back: %v", err)
		}
		e2 := newEncoder(t, cols, straight(cols), OutOptions{Format: OutRows})
		if diff := rowsDiff(rows, cells(t, mem, e2, encode(t, e2, back))); diff != "" {
			t.Error(diff)
		}
	}
}
