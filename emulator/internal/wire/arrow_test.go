package wire_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
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

func frame(t testing.TB, data []byte, size int, step int) []byte {
	t.Helper()
	var out bytes.Buffer
	w := wire.NewChunkWriter(&out, size)
	for rest := data; len(rest) > 0; {
		n := min(step, len(rest))
		if _, err := w.Write(rest[:n]); err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// referenceFrame is the framing written down as the protocol says it, hashing twice.
func referenceFrame(data []byte, size int) []byte {
	table := crc32.MakeTable(crc32.Castagnoli)
	out := binary.BigEndian.AppendUint32(nil, uint32(size))
	rest := data
	for ; len(rest) >= size; rest = rest[size:] {
		out = append(out, rest[:size]...)
		out = binary.BigEndian.AppendUint32(out, crc32.Checksum(rest[:size], table))
	}
	out = append(out, rest...)
	return binary.BigEndian.AppendUint32(out, crc32.Checksum(data, table))
}

func unframe(src io.Reader) (data []byte, chunks int64, err error) {
	c := wire.NewChunkReader(src)
	defer c.Close()
	c.OnChunk = func(n int64, crc uint32) {
		if crc == wire.CRC(0, data[chunks:chunks+n]) {
			chunks += n
		}
	}
	for {
		p, err := c.Next()
		if errors.Is(err, io.EOF) {
			return data, chunks, nil
		}
		if err != nil {
			return nil, 0, err
		}
		data = append(data, p...)
	}
}

func TestChunkFraming(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, size := range []int{1, 3, 4, 7, 64, 1000, 65536, 140000} {
		for _, n := range []int{0, 1, 5, size - 1, size, size + 1, 2 * size, 3*size + 2, 200000} {
			if n < 0 || size < 64 && n > 10000 {
				continue
			}
			data := make([]byte, n)
			for i := range data {
				data[i] = byte(rng.Uint32())
			}
			body := frame(t, data, size, 1+rng.IntN(100000))
			if !bytes.Equal(body, referenceFrame(data, size)) {
				t.Fatalf("chunk size %d, %d bytes: framing differs from the reference", size, n)
			}
			for _, src := range []io.Reader{bytes.NewReader(body), iotest.HalfReader(bytes.NewReader(body)), iotest.DataErrReader(bytes.NewReader(body))} {
				got, chunks, err := unframe(src)
				if err != nil || !bytes.Equal(got, data) {
					t.Fatalf("chunk size %d, %d bytes: %d back, %v", size, n, len(got), err)
				}
				if chunks != int64(n) {
					t.Fatalf("chunk size %d: OnChunk covered %d of %d bytes", size, chunks, n)
				}
			}
		}
	}
}

func TestChunkEmptyBodies(t *testing.T) {
	for _, body := range []string{"", "00000000", "0001000000000000"} {
		got, _, err := unframe(bytes.NewReader(unhex(t, body)))
		if err != nil || len(got) != 0 {
			t.Errorf("body %q = %d bytes, %v", body, len(got), err)
		}
	}
	for _, body := range []string{"00", "00010000", "0000000000", "00010000000000", "0000000100", "000000016100000000"} {
		if _, _, err := unframe(bytes.NewReader(unhex(t, body))); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("body %q: %v, want ErrMalformed", body, err)
		}
	}
}

func TestChunkDamageIsNoticed(t *testing.T) {
	body := frame(t, bytes.Repeat([]byte("sluice"), 20), 32, 1000)
	for i := range body {
		bad := bytes.Clone(body)
		bad[i] ^= 4
		if _, _, err := unframe(bytes.NewReader(bad)); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("byte %d flipped: %v, want ErrMalformed", i, err)
		}
		if i == 0 {
			continue
		}
		if _, _, err := unframe(bytes.NewReader(body[:i])); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("cut at %d: %v, want ErrMalformed", i, err)
		}
	}
	if _, _, err := unframe(iotest.TimeoutReader(iotest.OneByteReader(bytes.NewReader(body)))); !errors.Is(err, iotest.ErrTimeout) {
		t.Errorf("transport error: %v", err)
	}
}

const goldenArrow = "00010000ffffffff2801000014000000000000000c001600140013000c0004000c0000002800000000000000140000000000000304000a0018000c00080004000a00000014000000a8000000010000000000000000000000090000000000000000000000" +
	"00000000000000000000000000000000080000000000000008000000000000000000000000000000080000000000000008000000000000001000000000000000050000000000000018000000000000000000000000000000180000000000000008000000000000002000000000000000000000000000000020000000000000000100000000000000000000000400000001" +
	"000000000000000000000000000000010000000000000000000000000000000100000000000000000000000000000001000000000000000000000000000000190000000000000000000000050000004170706c6500000000000000000014400000000000000000a7cfdfe0"

// decodeStream opens every message of plain Arrow bytes as an upload would.
func decodeStream(data []byte, cols []wire.Column, visit func(arrow.RecordBatch, types.Layout)) error {
	var s wire.Scanner
	s.Visit = func(m wire.Message) error {
		l, err := wire.UploadLayout(cols, m.Nodes)
		if err != nil {
			return err
		}
		at := m.Offset + 8
		b, err := wire.OpenBatch(data[at:at+m.Meta], data[at+m.Meta:at+m.Meta+m.Body])
		if err != nil {
			return err
		}
		if err := b.Check(cols, l); err != nil {
			return err
		}
		rec := b.Decode(wire.ArrowSchema(cols, l))
		defer rec.Release()
		visit(rec, l)
		return nil
	}
	if _, err := s.Write(data); err != nil {
		return err
	}
	return s.Close()
}

func TestArrowGolden(t *testing.T) {
	cols := columns(t, "bigint", "string", "double", "boolean")
	data, _, err := unframe(bytes.NewReader(unhex(t, goldenArrow)))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	if err := decodeStream(data, cols, func(rec arrow.RecordBatch, _ types.Layout) { got = append(got, render(rec)) }); err != nil {
		t.Fatal(err)
	}
	if want := `[25] ["Apple"] [5] [false]`; len(got) != 1 || got[0] != want {
		t.Errorf("decoded %q, want %q", got, want)
	}
}

// TestArrowRoundTripEveryType proves encode∘decode = identity for each layout and
// buffer compression.
func TestArrowRoundTripEveryType(t *testing.T) {
	for seed := range uint64(8) {
		rng := rand.New(rand.NewPCG(seed, 2))
		cols := columns(t, everyType...)
		mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
		wide := randomBatch(rng, cols, 1+rng.IntN(60), false)
		rec, err := wire.Convert(wide, cols, types.LayoutWide, types.LayoutNanos)
		if err != nil {
			t.Fatal(err)
		}
		for _, opts := range [][]ipc.Option{nil, {ipc.WithLZ4()}, {ipc.WithZstd()}} {
			data := messages(t, rec, mem, opts...)
			n := 0
			err := decodeStream(data, cols, func(got arrow.RecordBatch, l types.Layout) {
				n++
				if l != types.LayoutNanos || !array.RecordEqual(rec, got) {
					t.Errorf("seed %d: rows differ:%s", seed, difference(rec, []arrow.RecordBatch{got}))
				}
				back, err := wire.Convert(got, cols, l, types.LayoutWide)
				if err != nil || !array.RecordEqual(wide, back) {
					t.Errorf("seed %d: wide rows differ: %v %s", seed, err, difference(wide, []arrow.RecordBatch{back}))
				}
			})
			if err != nil || n != 1 {
				t.Fatalf("seed %d: %d batches, %v", seed, n, err)
			}
		}
		rec.Release()
		wide.Release()
		mem.AssertSize(t, 0)
	}
}

// messages writes rec as arrow-go's own IPC writer does, without the schema.
func messages(t testing.TB, rec arrow.RecordBatch, mem memory.Allocator, opts ...ipc.Option) []byte {
	t.Helper()
	var plain, out bytes.Buffer
	if len(opts) == 0 {
		if err := wire.WriteBatch(&plain, rec, mem); err != nil {
			t.Fatal(err)
		}
		return plain.Bytes()
	}
	w := ipc.NewWriter(&out, append(opts, ipc.WithSchema(rec.Schema()), ipc.WithAllocator(mem))...)
	if err := errors.Join(w.Write(rec), w.Close()); err != nil {
		t.Fatal(err)
	}
	data := out.Bytes()
	return data[8+binary.LittleEndian.Uint32(data[4:]):] // past the schema message
}

func TestDayTimeIntervals(t *testing.T) {
	cols := columns(t, "interval_day_time", "array<interval_day_time>")
	b := array.NewRecordBuilder(memory.DefaultAllocator, wire.ArrowSchema(cols, types.LayoutDayTime))
	defer b.Release()
	for _, v := range []arrow.DayTimeInterval{{Days: 1, Milliseconds: 1500}, {Days: -1, Milliseconds: -1}, {Milliseconds: 5}} {
		b.Field(0).(*array.DayTimeIntervalBuilder).Append(v)
		l := b.Field(1).(*array.ListBuilder)
		l.Append(true)
		l.ValueBuilder().(*array.DayTimeIntervalBuilder).Append(v)
		l.ValueBuilder().AppendNull()
	}
	rec := b.NewRecordBatch()
	defer rec.Release()
	err := decodeStream(messages(t, rec, memory.DefaultAllocator), cols, func(got arrow.RecordBatch, l types.Layout) {
		if l != types.LayoutDayTime {
			t.Fatalf("layout %d", l)
		}
		pairs, err := wire.Convert(got, cols, l, types.LayoutNanos)
		if err != nil {
			t.Fatal(err)
		}
		defer pairs.Release()
		if got, want := pairs.Column(0).String(), "{[86401 -86401 0] [500000000 999000000 5000000]}"; got != want {
			t.Errorf("pairs %s, want %s", got, want)
		}
		back, err := wire.Convert(pairs, cols, types.LayoutNanos, types.LayoutDayTime)
		if err != nil {
			t.Fatal(err)
		}
		defer back.Release()
		again, err := wire.Convert(back, cols, types.LayoutDayTime, types.LayoutNanos)
		if err != nil || !array.RecordEqual(pairs, again) {
			t.Errorf("not the same length of time: %v, %v", again, err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestNanosRange(t *testing.T) {
	cols := columns(t, "timestamp")
	for _, c := range []struct {
		sec  int64
		nano int32
		fits bool
	}{
		{9223372036, 854775807, true}, {9223372036, 854775808, false}, {9223372037, 0, false}, {18446744074, 0, false}, {36893488148, 0, false},
		{-9223372037, 145224192, true}, {-9223372037, 145224191, false}, {-9223372038, 999999999, false},
		{-1, 999999999, true}, {253402300799, 999999999, false}, {-62135596800, 0, false},
	} {
		b := array.NewRecordBuilder(memory.DefaultAllocator, wire.ArrowSchema(cols, types.LayoutWide))
		s := b.Field(0).(*array.StructBuilder)
		s.Append(true)
		s.FieldBuilder(0).(*array.Int64Builder).Append(c.sec)
		s.FieldBuilder(1).(*array.Int32Builder).Append(c.nano)
		wide := b.NewRecordBatch()
		b.Release()
		narrow, err := wire.Convert(wide, cols, types.LayoutWide, types.LayoutNanos)
		if (err == nil) != c.fits || err != nil && (!errors.Is(err, wire.ErrRange) || !strings.Contains(err.Error(), "ca")) {
			t.Errorf("%d.%09d: %v, want fits=%v", c.sec, c.nano, err, c.fits)
		}
		if err == nil {
			back, err := wire.Convert(narrow, cols, types.LayoutNanos, types.LayoutWide)
			if err != nil || !array.RecordEqual(wide, back) {
				t.Errorf("%d.%09d came back as %v, %v", c.sec, c.nano, back, err)
			}
		}
	}
}

func TestCheckRefuses(t *testing.T) {
	cols := columns(t, "bigint", "string", "array<int>", "decimal(3,1)", "map<string,int>")
	fresh := func() *wire.Batch {
		rec, err := wire.Convert(randomBatch(rand.New(rand.NewPCG(3, 3)), cols, 50, false), cols, types.LayoutWide, types.LayoutNanos)
		if err != nil {
			t.Fatal(err)
		}
		data := bytes.Clone(messages(t, rec, memory.DefaultAllocator))
		meta := int64(binary.LittleEndian.Uint32(data[4:]))
		b, err := wire.OpenBatch(data[8:8+meta], data[8+meta:])
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Check(cols, types.LayoutNanos); err != nil {
			t.Fatal(err)
		}
		return b
	}
	for name, harm := range map[string]func(*wire.Batch){
		"fewer rows":       func(b *wire.Batch) { b.Rows-- },
		"short values":     func(b *wire.Batch) { b.Buffers[1] = b.Buffers[1][:8*49] },
		"null count":       func(b *wire.Batch) { b.Nodes[0].Nulls++ },
		"negative nulls":   func(b *wire.Batch) { b.Nodes[0].Nulls = -1 },
		"no bitmap":        func(b *wire.Batch) { b.Buffers[0] = nil },
		"falling offsets":  func(b *wire.Batch) { binary.LittleEndian.PutUint32(b.Buffers[3][8:], 0xfffffff0) },
		"offset past text": func(b *wire.Batch) { binary.LittleEndian.PutUint32(b.Buffers[3][200:], 1<<30) },
		"short text":       func(b *wire.Batch) { b.Buffers[4] = b.Buffers[4][:1] },
		"list past child":  func(b *wire.Batch) { b.Nodes[3].Length -= 1 },
		"decimal digits":   func(b *wire.Batch) { copy(b.Buffers[10][:16*50], bytes.Repeat([]byte{1}, 16*50)) },
		"missing buffer":   func(b *wire.Batch) { b.Buffers = b.Buffers[:len(b.Buffers)-1] },
		"missing node":     func(b *wire.Batch) { b.Nodes = b.Nodes[:len(b.Nodes)-1] },
		"extra node":       func(b *wire.Batch) { b.Nodes = append(b.Nodes, wire.Node{}) },
		"huge length":      func(b *wire.Batch) { b.Nodes[3].Length = 1 << 40 },
	} {
		b := fresh()
		harm(b)
		if err := b.Check(cols, types.LayoutNanos); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %v, want ErrMalformed", name, err)
		}
	}
	cols[0].Nullable = false
	if err := fresh2(t, cols).Check(cols, types.LayoutNanos); err == nil {
		t.Error("NULL in a NOT NULL column accepted")
	}
}

func fresh2(t *testing.T, cols []wire.Column) *wire.Batch {
	rec := randomBatch(rand.New(rand.NewPCG(3, 3)), cols, 50, false)
	data := messages(t, rec, memory.DefaultAllocator)
	meta := int64(binary.LittleEndian.Uint32(data[4:]))
	b, err := wire.OpenBatch(data[8:8+meta], data[8+meta:])
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestScannerRefuses(t *testing.T) {
	schema := arrow.NewSchema([]arrow.Field{{Name: "a", Type: arrow.BinaryTypes.String}}, nil)
	var out bytes.Buffer
	w := ipc.NewWriter(&out, ipc.WithSchema(schema))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"schema message": out.Bytes(),
		"no prefix":      []byte("hello, world"),
		"odd metadata":   unhex(t, "ffffffff07000000"),
		"huge metadata":  unhex(t, "ffffffff00000070"),
		"after the end":  unhex(t, "ffffffff00000000ff"),
		"garbage":        append(unhex(t, "ffffffff10000000"), bytes.Repeat([]byte{0xee}, 16)...),
	} {
		var s wire.Scanner
		if _, err := s.Write(data); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %v, want ErrMalformed", name, err)
		}
	}
	var s wire.Scanner
	if _, err := s.Write(unhex(t, "ffffffff100000000000")); err != nil || !errors.Is(s.Close(), wire.ErrMalformed) {
		t.Errorf("cut metadata: %v, Close %v", err, s.Close())
	}
}

func TestCompressions(t *testing.T) {
	data := bytes.Repeat([]byte("some text, some more text. "), 20000)
	for _, e := range []wire.Encoding{wire.Identity, wire.Deflate, wire.Snappy, wire.Zstd, wire.LZ4Frame, wire.LZ4Arrow} {
		var out bytes.Buffer
		w, err := wire.NewCompressor(e, &out)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil || w.Close() != nil {
			t.Fatal(err)
		}
		read := func(p []byte) ([]byte, error) {
			r, err := wire.NewDecompressor(e, bytes.NewReader(p))
			if err != nil {
				return nil, err
			}
			defer r.Close()
			return io.ReadAll(r)
		}
		if got, err := read(out.Bytes()); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%q: %d bytes back, %v", e, len(got), err)
		}
		if e == wire.Identity {
			continue
		}
		if out.Len() > len(data)/4 {
			t.Errorf("%q: %d bytes from %d", e, out.Len(), len(data))
		}
		if _, err := read([]byte("no such thing, is it?")); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%q: garbage gives %v, want ErrMalformed", e, err)
		}
		if _, err := read(out.Bytes()[:out.Len()/2]); err == nil {
			t.Errorf("%q: half a stream gives no error", e)
		}
	}
	if _, ok := wire.ParseEncoding("gzip"); ok {
		t.Error("gzip accepted")
	}
}

// Messages with random bytes changed are read or refused, never more: the short
// form of the fuzz target, which touches every value that passed the check.
func TestArrowMutations(t *testing.T) {
	cols := columns(t, "bigint", "string", "array<string>", "map<string,int>", "struct<a:timestamp,b:decimal(5,2)>", "interval_day_time", "boolean")
	rng := rand.New(rand.NewPCG(8, 8))
	rec, err := wire.Convert(randomBatch(rng, cols, 5, false), cols, types.LayoutWide, types.LayoutNanos)
	if err != nil {
		t.Fatal(err)
	}
	defer rec.Release()
	for i, opts := range [][]ipc.Option{nil, {ipc.WithLZ4()}, {ipc.WithZstd()}} {
		base := messages(t, rec, memory.DefaultAllocator, opts...)
		passed := 0
		for range 3000 {
			err := decodeStream(mutate(rng, base), cols, func(rec arrow.RecordBatch, _ types.Layout) {
				passed++
				if err := wire.NewRecordWriter(io.Discard, cols).Write(rec); err != nil {
					t.Fatal(err)
				}
			})
			if err != nil && !errors.Is(err, wire.ErrMalformed) {
				t.Fatalf("%v, want ErrMalformed", err)
			}
		}
		if passed == 0 {
			t.Errorf("form %d: no changed message passed the check: nothing was decoded", i)
		}
	}
}

func FuzzArrowBody(f *testing.F) {
	cols := columns(f, "bigint", "string", "array<string>", "map<string,int>", "struct<a:timestamp,b:decimal(5,2)>", "interval_day_time", "boolean")
	for seed := range uint64(4) {
		rec, err := wire.Convert(randomBatch(rand.New(rand.NewPCG(seed, 4)), cols, 4, false), cols, types.LayoutWide, types.LayoutNanos)
		if err != nil {
			f.Fatal(err)
		}
		var opts []ipc.Option
		switch seed {
		case 2:
			opts = append(opts, ipc.WithLZ4())
		case 3:
			opts = append(opts, ipc.WithZstd())
		}
		f.Add(messages(f, rec, memory.DefaultAllocator, opts...))
	}
	f.Add(unhex(f, goldenArrow)[4:348])
	f.Fuzz(func(t *testing.T, data []byte) {
		err := decodeStream(data, cols, func(rec arrow.RecordBatch, l types.Layout) {
			w := wire.NewRecordWriter(io.Discard, cols) // touches every value
			if err := w.Write(rec); err != nil {
				t.Fatal(err)
			}
		})
		if err != nil && !errors.Is(err, wire.ErrMalformed) {
			t.Fatalf("%v, want ErrMalformed", err)
		}
	})
}

func FuzzChunkReader(f *testing.F) {
	f.Add(unhex(f, goldenArrow))
	f.Add(frame(f, []byte("hello, world"), 5, 3))
	f.Add(unhex(f, "00000000"))
	f.Fuzz(func(t *testing.T, body []byte) {
		data, _, err := unframe(bytes.NewReader(body))
		if err != nil && !errors.Is(err, wire.ErrMalformed) {
			t.Fatalf("%v, want ErrMalformed", err)
		}
		if err == nil && len(body) > 4 {
			size := int(binary.BigEndian.Uint32(body))
			if !bytes.Equal(referenceFrame(data, size), body) {
				t.Fatalf("accepted a body that is not the framing of its data")
			}
		}
	})
}

func BenchmarkChunkReader(b *testing.B) {
	body := frame(b, make([]byte, 64<<20), 65536, 1<<20)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		c := wire.NewChunkReader(bytes.NewReader(body))
		for {
			if _, err := c.Next(); err != nil {
				break
			}
		}
		c.Close()
	}
}
