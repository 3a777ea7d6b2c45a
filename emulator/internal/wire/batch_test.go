package wire_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/sluice-io/sluice/emulator/internal/types"
	"github.com/sluice-io/sluice/emulator/internal/wire"
)

// message is one message of ten rows of texts and numbers, taken apart.
func message(t *testing.T, opts ...ipc.Option) (meta, body []byte, h wire.Header) {
	t.Helper()
	cols := columns(t, "string", "bigint")
	rec := randomBatch(rand.New(rand.NewPCG(4, 4)), cols, 10, false)
	defer rec.Release()
	data := bytes.Clone(messages(t, rec, memory.DefaultAllocator, opts...))
	end := 8 + int64(binary.LittleEndian.Uint32(data[4:]))
	meta = data[8:end]
	if err := h.Parse(meta); err != nil {
		t.Fatal(err)
	}
	return meta, data[end : end+h.Body], h
}

// refused is the error that OpenBatch must give.
func refused(t *testing.T, what string, meta, body []byte, text string) {
	t.Helper()
	_, err := wire.OpenBatch(meta, body)
	if !errors.Is(err, wire.ErrMalformed) || !strings.Contains(err.Error(), text) {
		t.Errorf("%s: %v, want ErrMalformed with %q", what, err, text)
	}
}

func TestOpenBatchRefusesBuffersOutsideTheBody(t *testing.T) {
	meta, body, h := message(t)
	refused(t, "body too long", meta, append(bytes.Clone(body), make([]byte, 8)...), "Arrow body of")
	refused(t, "body too short", meta, body[:len(body)-8], "Arrow body of")
	size := int64(len(body))
	for i, s := range h.Spans {
		place := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, uint64(s.Offset)), uint64(s.Length))
		at := bytes.LastIndex(meta, place)
		if at < 0 || s.Length == 0 {
			continue
		}
		for _, bad := range []wire.Span{
			{Offset: s.Offset + 4, Length: 4}, {Offset: -8, Length: 8}, {Offset: size + 8, Length: 0}, {Offset: size + 8, Length: -8}, {Offset: s.Offset, Length: -1},
			{Offset: s.Offset, Length: size - s.Offset + 1}, {Offset: size, Length: 1}, {Offset: math.MaxInt64 - 7, Length: 8}, {Offset: 8, Length: math.MaxInt64},
		} {
			harmed := bytes.Clone(meta)
			binary.LittleEndian.PutUint64(harmed[at:], uint64(bad.Offset))
			binary.LittleEndian.PutUint64(harmed[at+8:], uint64(bad.Length))
			refused(t, "buffer", harmed, body, "lies at")
		}
		harmed := bytes.Clone(meta) // the very end is within
		binary.LittleEndian.PutUint64(harmed[at:], uint64(size))
		binary.LittleEndian.PutUint64(harmed[at+8:], 0)
		if _, err := wire.OpenBatch(harmed, body); err != nil {
			t.Errorf("buffer %d, empty at the end: %v", i, err)
		}
	}
}

// place finds where in a message's metadata a field is: where from stands, and writing
// to makes it so.
func place(t *testing.T, meta []byte, size int, from, to uint64, is func(wire.Header) bool) int {
	t.Helper()
	for at := 0; at+size <= len(meta); at++ {
		harmed := bytes.Clone(meta)
		write(harmed[at:], size, from)
		if !bytes.Equal(harmed, meta) {
			continue
		}
		write(harmed[at:], size, to)
		var h wire.Header
		if h.Parse(harmed) == nil && is(h) {
			return at
		}
	}
	t.Fatal("no such field")
	return 0
}

func write(b []byte, size int, v uint64) {
	if size == 1 {
		b[0] = byte(v)
		return
	}
	binary.LittleEndian.PutUint64(b, v)
}

func TestHeaderRefusesWhatNoMessageHas(t *testing.T) {
	meta, body, h := message(t)
	packed, _, _ := message(t, ipc.WithZstd())
	nodes, spans := len(h.Nodes), len(h.Spans)
	rows := place(t, meta, 8, 10, 11, func(h wire.Header) bool { return h.Rows == 11 && len(h.Nodes) == nodes && len(h.Spans) == spans })
	length := place(t, meta, 8, uint64(len(body)), 8, func(h wire.Header) bool {
		return h.Body == 8 && h.Rows == 10 && len(h.Nodes) == nodes && len(h.Spans) == spans
	})
	codec := place(t, packed, 1, 1, 0, func(h wire.Header) bool { return h.Codec == wire.CodecLZ4 && h.Rows == 10 })
	for _, c := range []struct {
		what     string
		meta     []byte
		at, size int
		to       int64
		ok       bool
	}{
		{"no rows", meta, rows, 8, 0, true}, {"rows below none", meta, rows, 8, -1, false},
		{"all rows there may be", meta, rows, 8, 1<<31 - 2, true}, {"a row more", meta, rows, 8, 1<<31 - 1, false},
		{"no body", meta, length, 8, 0, true}, {"a body below none", meta, length, 8, -8, false}, {"a body that is not aligned", meta, length, 8, int64(len(body)) + 4, false},
		{"another codec", packed, codec, 1, 2, false}, {"the other codec", packed, codec, 1, 1, true},
	} {
		harmed := bytes.Clone(c.meta)
		write(harmed[c.at:], c.size, uint64(c.to))
		var h wire.Header
		if err := h.Parse(harmed); (err == nil) != c.ok || err != nil && !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %v, want ok %t", c.what, err, c.ok)
		}
	}
	if err := h.Parse(packed); err != nil || h.Codec != wire.CodecZSTD {
		t.Fatalf("codec %d, %v", h.Codec, err)
	}
	if err := h.Parse(meta); err != nil || h.Codec != wire.CodecNone || len(h.Nodes) != nodes || len(h.Spans) != spans {
		t.Errorf("after another message: %+v, %v", h, err)
	}
	for cut := range meta {
		if err := h.Parse(meta[:cut]); err == nil && cut < len(meta)-16 {
			t.Errorf("metadata cut at %d of %d: no error", cut, len(meta))
		}
	}
}

// A compressed buffer says how long it will be: it is that long, and all of a message are
// not longer than MaxInflated.
func TestOpenBatchInflatesWhatWasPromised(t *testing.T) {
	for name, opt := range map[string]ipc.Option{"lz4": ipc.WithLZ4(), "zstd": ipc.WithZstd()} {
		meta, body, h := message(t, opt)
		var whole []wire.Span
		for _, s := range h.Spans {
			if s.Length > 8 {
				whole = append(whole, s)
			}
		}
		if len(whole) < 2 {
			t.Fatalf("%s: %d compressed buffers", name, len(whole))
		}
		last, first := whole[len(whole)-1], int64(binary.LittleEndian.Uint64(body[whole[0].Offset:]))
		before := int64(0) // what the buffers before the last one take
		for _, s := range whole[:len(whole)-1] {
			before += max(0, int64(binary.LittleEndian.Uint64(body[s.Offset:])))
		}
		promise := func(at wire.Span, n int64) []byte {
			harmed := bytes.Clone(body)
			binary.LittleEndian.PutUint64(harmed[at.Offset:], uint64(n))
			return harmed
		}
		refused(t, name+" promises less", meta, promise(whole[0], first-1), "decompressed")
		refused(t, name+" promises more", meta, promise(whole[0], first+1), "decompressed")
		refused(t, name+" promises nothing", meta, promise(whole[0], 0), "decompressed")
		refused(t, name+" promises a negative length", meta, promise(whole[0], -2), "-2 bytes when decompressed")
		refused(t, name+" promises too much", meta, promise(last, wire.MaxInflated-before+1), "bytes when decompressed")
		refused(t, name+" promises all there may be", meta, promise(last, wire.MaxInflated-before), " bytes: ")
		b, err := wire.OpenBatch(meta, promise(whole[0], -1))
		if want := body[whole[0].Offset+8 : whole[0].Offset+whole[0].Length]; err != nil || !slicesContain(b, want) {
			t.Errorf("%s: a stored buffer: %v", name, err)
		}
		place := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, uint64(last.Offset)), uint64(last.Length))
		short := bytes.Clone(meta)
		binary.LittleEndian.PutUint64(short[bytes.LastIndex(meta, place)+8:], 7)
		refused(t, name+" of seven bytes", short, body, "unexpected EOF")
	}
}

func slicesContain(b *wire.Batch, want []byte) bool {
	for _, got := range b.Buffers {
		if bytes.Equal(got, want) {
			return true
		}
	}
	return false
}

func TestCheckAtTheEdges(t *testing.T) {
	i32 := func(values ...int32) []byte { return arrow.Int32Traits.CastToBytes(values) }
	const most = wire.MaxFieldBytes
	texts := make([]byte, most+1)
	thousand := append([]byte{0x18, 0xfc}, bytes.Repeat([]byte{0xff}, 14)...) // -1000
	wide := make([]byte, 32)
	wide[31] = 0x40 // far more than 54 digits
	for name, c := range map[string]struct {
		types string
		batch wire.Batch
		text  string // of the error, empty for none
	}{
		"nothing at all":             {"string", wire.Batch{Nodes: []wire.Node{{}}, Buffers: [][]byte{nil, nil, nil}}, ""},
		"no rows, an offset":         {"string", wire.Batch{Nodes: []wire.Node{{}}, Buffers: [][]byte{nil, i32(0), nil}}, ""},
		"no rows, half an offset":    {"string", wire.Batch{Nodes: []wire.Node{{}}, Buffers: [][]byte{nil, {9, 9}, nil}}, ""},
		"no rows, offset past bytes": {"string", wire.Batch{Nodes: []wire.Node{{}}, Buffers: [][]byte{nil, i32(5), nil}}, "buffer of 0 bytes, want 5"},
		"no offsets":                 {"string", wire.Batch{Rows: 1, Nodes: []wire.Node{{1, 0}}, Buffers: [][]byte{nil, nil, nil}}, "buffer of 0 bytes, want 8"},
		"one offset missing":         {"string", wire.Batch{Rows: 1, Nodes: []wire.Node{{1, 0}}, Buffers: [][]byte{nil, i32(0), nil}}, "buffer of 4 bytes, want 8"},
		"negative first offset":      {"string", wire.Batch{Rows: 1, Nodes: []wire.Node{{1, 0}}, Buffers: [][]byte{nil, i32(-1, 0), nil}}, "offset -1"},
		"offset not at 0":            {"string", wire.Batch{Rows: 1, Nodes: []wire.Node{{1, 0}}, Buffers: [][]byte{nil, i32(2, 3), {0, 0, 'x'}}}, ""},
		"falling offset":             {"string", wire.Batch{Rows: 2, Nodes: []wire.Node{{2, 0}}, Buffers: [][]byte{nil, i32(0, 3, 2), {1, 2, 3}}}, "offsets go from 3 to 2"},
		"the longest value":          {"string", wire.Batch{Rows: 1, Nodes: []wire.Node{{1, 0}}, Buffers: [][]byte{nil, i32(0, most), texts}}, ""},
		"a longer value":             {"string", wire.Batch{Rows: 1, Nodes: []wire.Node{{1, 0}}, Buffers: [][]byte{nil, i32(0, most+1), texts}}, "offsets go from 0 to"},
		"one buffer more":            {"bigint", wire.Batch{Rows: 1, Nodes: []wire.Node{{1, 0}}, Buffers: [][]byte{nil, make([]byte, 8), nil}}, "1 nodes and 3 buffers"},
		"one node more":              {"bigint", wire.Batch{Rows: 1, Nodes: []wire.Node{{1, 0}, {}}, Buffers: [][]byte{nil, make([]byte, 8)}}, "2 nodes and 2 buffers"},
		"more values than rows":      {"bigint", wire.Batch{Rows: 1, Nodes: []wire.Node{{2, 0}}, Buffers: [][]byte{nil, make([]byte, 16)}}, "2 values for 1 rows"},
		"a value missing":            {"bigint", wire.Batch{Rows: 2, Nodes: []wire.Node{{2, 0}}, Buffers: [][]byte{nil, make([]byte, 15)}}, "buffer of 15 bytes, want 16"},
		"as many as 32 bits count":   {"bigint", wire.Batch{Rows: 1<<31 - 2, Nodes: []wire.Node{{1<<31 - 2, 0}}, Buffers: [][]byte{nil, nil}}, "buffer of 0 bytes"},
		"more than 32 bits count":    {"bigint", wire.Batch{Rows: 1<<31 - 1, Nodes: []wire.Node{{1<<31 - 1, 0}}, Buffers: [][]byte{nil, nil}}, "values for"},
		"a child that goes on":       {"array<tinyint>", wire.Batch{Rows: 1, Nodes: []wire.Node{{1, 0}, {3, 0}}, Buffers: [][]byte{nil, i32(0, 2), nil, {1, 2, 3}}}, ""},
		"a child too short":          {"array<tinyint>", wire.Batch{Rows: 1, Nodes: []wire.Node{{1, 0}, {1, 0}}, Buffers: [][]byte{nil, i32(0, 2), nil, {1}}}, "1 values for 2 rows"},
		"negative NULLs":             {"tinyint", wire.Batch{Rows: 1, Nodes: []wire.Node{{1, -1}}, Buffers: [][]byte{nil, {1}}}, "-1 NULLs in 1 values"},
		"more NULLs than values":     {"tinyint", wire.Batch{Rows: 1, Nodes: []wire.Node{{1, 2}}, Buffers: [][]byte{{0}, {1}}}, "2 NULLs in 1 values"},
		"NULLs without a bitmap":     {"tinyint", wire.Batch{Rows: 1, Nodes: []wire.Node{{1, 1}}, Buffers: [][]byte{nil, {1}}}, "without a validity bitmap"},
		"a bitmap too short":         {"boolean", wire.Batch{Rows: 9, Nodes: []wire.Node{{9, 1}}, Buffers: [][]byte{{0xff}, {0, 0}}}, "buffer of 1 bytes, want 2"},
		"eight booleans":             {"boolean", wire.Batch{Rows: 8, Nodes: []wire.Node{{8, 0}}, Buffers: [][]byte{nil, {0}}}, ""},
		"nine booleans":              {"boolean", wire.Batch{Rows: 9, Nodes: []wire.Node{{9, 0}}, Buffers: [][]byte{nil, {0}}}, "buffer of 1 bytes, want 2"},
		"NULLs of a long bitmap":     {"boolean", wire.Batch{Rows: 141, Nodes: []wire.Node{{141, 1}}, Buffers: [][]byte{append(bytes.Repeat([]byte{0xff}, 16), 0xfe, 0xff), make([]byte, 18)}}, ""},
		"digits of a NULL":           {"decimal(3,1)", wire.Batch{Rows: 1, Nodes: []wire.Node{{1, 1}}, Buffers: [][]byte{{0}, bytes.Repeat([]byte{1}, 16)}}, ""},
		"negative digits":            {"decimal(3,1)", wire.Batch{Rows: 1, Nodes: []wire.Node{{1, 0}}, Buffers: [][]byte{nil, thousand}}, "decimal of more than 3 digits"},
		"negative digits that fit":   {"decimal(4,1)", wire.Batch{Rows: 1, Nodes: []wire.Node{{1, 0}}, Buffers: [][]byte{nil, thousand}}, ""},
		"digits of a wide one":       {"decimal", wire.Batch{Rows: 1, Nodes: []wire.Node{{1, 0}}, Buffers: [][]byte{nil, wide}}, "decimal of more than"},
	} {
		err := c.batch.Check(columns(t, c.types), types.LayoutNanos)
		if c.text == "" && err != nil || c.text != "" && (!errors.Is(err, wire.ErrMalformed) || !strings.Contains(err.Error(), c.text)) {
			t.Errorf("%s: %v, want %q", name, err, c.text)
		}
	}
}

// A body whose last chunk is full ends with that chunk's checksum and the whole's: the same
// four bytes twice. One of them alone is a body cut short.
func TestChunkReaderWantsBothChecksums(t *testing.T) {
	body := frame(t, []byte("12345678"), 8, 8)
	if !bytes.Equal(body[12:16], body[16:20]) {
		t.Fatalf("%x: not the case that is meant", body)
	}
	for i, src := range sources(body[:16]) {
		if _, _, err := unframe(src); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("without the last checksum, source %d: %v", i, err)
		}
	}
	if _, _, err := unframe(iotest.DataErrReader(bytes.NewReader(body[:16]))); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("without the last checksum, its end at once: %v", err)
	}
}

func TestChunkReaderTellsOnlyOfBytes(t *testing.T) {
	for _, data := range []string{"", "1234567", "12345678", "123456789"} {
		c := wire.NewChunkReader(bytes.NewReader(frame(t, []byte(data), 8, 3)))
		c.OnChunk = func(n int64, _ uint32) {
			if n < 1 || n > 8 {
				t.Errorf("%q: told of a chunk of %d bytes", data, n)
			}
		}
		var got []byte
		p, err := c.Next()
		for ; err == nil; p, err = c.Next() {
			if len(p) == 0 {
				t.Errorf("%q: no bytes and no error", data)
			}
			got = append(got, p...)
		}
		if string(got) != data || !errors.Is(err, io.EOF) {
			t.Errorf("%q, %v, want %q", got, err, data)
		}
		c.Close()
	}
	silent := wire.NewChunkReader(bytes.NewReader(frame(t, []byte("12345678"), 8, 3))) // nobody is told
	if p, err := silent.Next(); string(p) != "12345678" || err != nil {
		t.Errorf("%q, %v", p, err)
	}
	if _, err := silent.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
	silent.Close()
	silent.Close() // gives nothing back twice
	if _, err := silent.Next(); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("after Close: %v", err)
	}
	one, two := wire.NewChunkReader(bytes.NewReader(frame(t, []byte("one"), 8, 3))), wire.NewChunkReader(bytes.NewReader(frame(t, []byte("two"), 8, 3)))
	defer one.Close()
	defer two.Close()
	p, _ := one.Next()
	q, _ := two.Next()
	if string(p) != "one" || string(q) != "two" {
		t.Errorf("two readers share a buffer: %q, %q", p, q)
	}
}

func TestChunkWriterCountsAndHasAUsualSize(t *testing.T) {
	for size, want := range map[int]uint32{0: wire.ChunkSize, -1: wire.ChunkSize, 1: 1, 5: 5} {
		var out bytes.Buffer
		w := wire.NewChunkWriter(&out, size)
		if n, err := w.Write([]byte("0123456789")); n != 10 || err != nil {
			t.Errorf("size %d: Write = %d, %v", size, n, err)
		}
		if got := binary.BigEndian.Uint32(out.Bytes()); got != want {
			t.Errorf("size %d: chunks of %d, want %d", size, got, want)
		}
	}
}

func TestEncodingsByName(t *testing.T) {
	for name, ok := range map[string]bool{"": true, "identity": true, "deflate": true, "zstd": true, "x-snappy-framed": true, "x-lz4-frame": true, "x-odps-lz4-frame": true, "gzip": false, "Deflate": false, "deflate, zstd": false} {
		e, got := wire.ParseEncoding(name)
		if got != ok || !ok && e != wire.Identity || ok && name != "identity" && string(e) != name || name == "identity" && e != wire.Identity {
			t.Errorf("ParseEncoding(%q) = %q, %t, want ok %t", name, e, got, ok)
		}
	}
	for _, e := range []wire.Encoding{"", "deflate", "zstd", "x-snappy-framed", "x-lz4-frame"} {
		r, err := wire.NewDecompressor(e, strings.NewReader("no such thing"))
		if err != nil {
			t.Fatal(err)
		}
		_, first := io.ReadAll(r)
		if _, again := r.Read(make([]byte, 8)); e != "" && (first == nil || again == nil || errors.Is(again, io.EOF)) {
			t.Errorf("%q: %v, then %v: an error stays", e, first, again)
		}
		if err := errors.Join(r.Close(), r.Close()); err != nil {
			t.Errorf("%q: close twice: %v", e, err)
		}
	}
}

// secondsUnderNulls are pairs of which each third is NULL, with a second under it that fits
// no other layout.
func secondsUnderNulls(n int) arrow.ArrayData {
	valid, secs, nulls := make([]byte, (n+7)/8), make([]int64, n), 0
	for i := range secs {
		if i%3 == 0 {
			secs[i] = math.MaxInt64
			nulls++
			continue
		}
		secs[i] = int64(i)
		valid[i/8] |= 1 << (i % 8)
	}
	child := func(t arrow.DataType, values []byte) arrow.ArrayData {
		return array.NewData(t, n, []*memory.Buffer{nil, memory.NewBufferBytes(values)}, nil, 0, 0)
	}
	children := []arrow.ArrayData{
		child(arrow.PrimitiveTypes.Int64, arrow.Int64Traits.CastToBytes(secs)), child(arrow.PrimitiveTypes.Int32, make([]byte, 4*n)),
	}
	return array.NewData(types.SecNano, n, []*memory.Buffer{memory.NewBufferBytes(valid)}, children, nulls, 0)
}

// What is NULL has no value: whatever lies under it, also in a slice, converts.
func TestConvertPassesOverNulls(t *testing.T) {
	for _, text := range []string{"timestamp", "interval_day_time", "array<timestamp>"} {
		cols := columns(t, text)
		to := types.LayoutNanos
		if text == "interval_day_time" {
			to = types.LayoutDayTime
		}
		column := secondsUnderNulls(20)
		if text == "array<timestamp>" {
			offsets := make([]int32, 21)
			for i := range offsets {
				offsets[i] = int32(i)
			}
			buffers := []*memory.Buffer{nil, memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(offsets))}
			column = array.NewData(cols[0].Type.Arrow(types.LayoutWide), 20, buffers, []arrow.ArrayData{column}, 0, 0)
		}
		whole := array.NewRecordBatch(wire.ArrowSchema(cols, types.LayoutWide), []arrow.Array{array.MakeFromData(column)}, 20)
		for _, cut := range [][2]int64{{0, 20}, {1, 20}, {3, 11}, {5, 5}, {0, 0}} {
			rec := whole.NewSlice(cut[0], cut[1])
			narrow, err := wire.Convert(rec, cols, types.LayoutWide, to)
			if err != nil {
				t.Errorf("%s, rows %v: %v", text, cut, err)
				rec.Release()
				continue
			}
			back, err := wire.Convert(narrow, cols, to, types.LayoutWide)
			if err != nil || fmt.Sprint(rec.Columns()) != fmt.Sprint(back.Columns()) {
				t.Errorf("%s, rows %v: %v, came back as %v, %v", text, cut, rec, back, err)
			}
			rec.Release()
		}
		whole.Release()
	}
}

func TestConvertOfNoRows(t *testing.T) {
	cols := columns(t, "timestamp", "array<timestamp>", "map<string,array<timestamp>>", "struct<a:timestamp>")
	b := array.NewRecordBuilder(memory.DefaultAllocator, wire.ArrowSchema(cols, types.LayoutWide))
	defer b.Release()
	rec := b.NewRecordBatch()
	defer rec.Release()
	out, err := wire.Convert(rec, cols, types.LayoutWide, types.LayoutNanos)
	if err != nil || out.NumRows() != 0 || !arrow.TypeEqual(out.Column(1).DataType(), cols[1].Type.Arrow(types.LayoutNanos)) {
		t.Errorf("%v, %v", out, err)
	}
	// A sender need not write the one offset of no rows.
	cols = cols[1:2]
	bare := wire.Batch{Nodes: []wire.Node{{}, {}}, Buffers: [][]byte{nil, nil, nil, nil}}
	if err := bare.Check(cols, types.LayoutNanos); err != nil {
		t.Fatal(err)
	}
	decoded := bare.Decode(wire.ArrowSchema(cols, types.LayoutNanos))
	defer decoded.Release()
	if out, err := wire.Convert(decoded, cols, types.LayoutNanos, types.LayoutWide); err != nil || out.NumRows() != 0 {
		t.Errorf("without offsets: %v, %v", out, err)
	}
}

func TestDayTimeRange(t *testing.T) {
	cols := columns(t, "interval_day_time")
	for _, c := range []struct {
		sec  int64
		nano int32
		want arrow.DayTimeInterval
		fits bool
	}{
		{0, 0, arrow.DayTimeInterval{}, true}, {2, 0, arrow.DayTimeInterval{Milliseconds: 2000}, true}, {-86400, 0, arrow.DayTimeInterval{Days: -1}, true},
		{1, 999_000_000, arrow.DayTimeInterval{Milliseconds: 1999}, true}, {0, 1, arrow.DayTimeInterval{}, false}, {0, 999_999, arrow.DayTimeInterval{}, false},
		{math.MaxInt32 * 86400, 0, arrow.DayTimeInterval{Days: math.MaxInt32}, true}, {(math.MaxInt32 + 1) * 86400, 0, arrow.DayTimeInterval{}, false},
		{math.MinInt32 * 86400, 0, arrow.DayTimeInterval{Days: math.MinInt32}, true}, {(math.MinInt32 - 1) * 86400, 0, arrow.DayTimeInterval{}, false},
	} {
		b := array.NewRecordBuilder(memory.DefaultAllocator, wire.ArrowSchema(cols, types.LayoutWide))
		s := b.Field(0).(*array.StructBuilder)
		s.Append(true)
		s.FieldBuilder(0).(*array.Int64Builder).Append(c.sec)
		s.FieldBuilder(1).(*array.Int32Builder).Append(c.nano)
		wide := b.NewRecordBatch()
		b.Release()
		narrow, err := wire.Convert(wide, cols, types.LayoutWide, types.LayoutDayTime)
		if (err == nil) != c.fits || err != nil && !errors.Is(err, wire.ErrRange) {
			t.Errorf("%d s %d ns: %v, want fits %t", c.sec, c.nano, err, c.fits)
		}
		if err != nil {
			continue
		}
		if got := narrow.Column(0).(*array.DayTimeInterval).Value(0); got != c.want {
			t.Errorf("%d s %d ns = %v, want %v", c.sec, c.nano, got, c.want)
		}
		if back, err := wire.Convert(narrow, cols, types.LayoutDayTime, types.LayoutWide); err != nil || !array.RecordEqual(wide, back) {
			t.Errorf("%d s %d ns came back as %v, %v", c.sec, c.nano, back, err)
		}
	}
}

func TestDecimalTextsAtTheEdges(t *testing.T) {
	nines := strings.Repeat("9", 200)
	for _, c := range []struct {
		text             string
		precision, scale int
		want             string
	}{
		{"5", 5, 0, "5"}, {"-5", 5, 0, "-5"}, {"0", 5, 0, "0"}, {"-0", 5, 0, "0"}, {"0.0", 5, 2, "0.00"}, {"12.", 5, 1, "12.0"}, {".5", 5, 1, "0.5"},
		{"999999999999999999", 38, 18, "999999999999999999.000000000000000000"}, {"-123456789012345678", 38, 10, "-123456789012345678.0000000000"},
		{"99", 2, 0, "99"}, {"100", 2, 0, "error"}, {"-100", 2, 0, "error"}, {"9.9", 2, 1, "9.9"}, {"9.95", 2, 1, "error"}, {"9.94", 2, 1, "9.9"},
		{nines, 38, 0, "error"}, {strings.Repeat("0", 200) + "7", 38, 0, "7"}, {"0." + nines, 38, 2, "1.00"}, {nines[:38], 38, 0, nines[:38]}, {nines[:39], 38, 0, "error"},
		{"0e100", 5, 0, "0"}, {"0e101", 5, 0, "error"}, {"1e-100", 5, 0, "0"}, {"1e-101", 5, 0, "error"}, {"1e4", 5, 0, "10000"}, {"1e5", 5, 0, "error"},
		{strings.Repeat("0", 200) + "e1", 5, 0, "0"}, {strings.Repeat("0", 201) + "e1", 5, 0, "error"}, {"1.5e1", 5, 0, "15"}, {"1.55e1", 5, 1, "15.5"},
		{"", 5, 0, "error"}, {"-", 5, 0, "error"}, {".", 5, 0, "error"}, {"1.2.3", 5, 1, "error"}, {"1:2", 5, 0, "error"}, {"1/2", 5, 0, "error"}, {"--1", 5, 0, "error"}, {"+1", 5, 0, "1"},
	} {
		if got := wire.NormalizeDecimal(t, c.text, c.precision, c.scale); got != c.want {
			t.Errorf("%.40q as decimal(%d,%d) = %s, want %s", c.text, c.precision, c.scale, got, c.want)
		}
	}
}
