package wire_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/sluice-io/sluice/emulator/internal/types"
	"github.com/sluice-io/sluice/emulator/internal/wire"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// readRecords decodes a whole stream; batches are in the wide layout.
func readRecords(src io.Reader, cols []wire.Column, mem memory.Allocator) (recs []arrow.RecordBatch, err error) {
	r := wire.NewRecordReader(src, cols, mem)
	defer r.Close()
	for {
		rec, l, err := r.Next()
		if errors.Is(err, io.EOF) {
			return recs, nil
		}
		if err != nil {
			release(recs)
			return nil, err
		}
		wide, err := wire.Convert(rec, cols, l, types.LayoutWide)
		rec.Release()
		if err != nil {
			release(recs)
			return nil, err
		}
		recs = append(recs, wide)
	}
}

func release(recs []arrow.RecordBatch) {
	for _, r := range recs {
		r.Release()
	}
}

func writeRecords(t testing.TB, cols []wire.Column, recs ...arrow.RecordBatch) []byte {
	t.Helper()
	var out bytes.Buffer
	w := wire.NewRecordWriter(&out, cols)
	for _, r := range recs {
		if err := w.Write(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

var goldenStreams = []struct{ name, hex, types, want string }{
	{"four", "0832 1205 4170706c65 190000000000001440 2000 80c0ff7f e8b188d306 f0ffff7f02 f8ffff7f 8f8fb9a807",
		"bigint;string;double;boolean", `[25] ["Apple"] [5] [false]`},
	{"nulls", "0801 2001 80c0ff7f c29ee68409 f0ffff7f02 f8ffff7f eeede29904",
		"bigint;string;double;boolean", `[-1] [(null)] [(null)] [true]`},
	{"empty", "f0ffff7f00 f8ffff7f00", "bigint", ""},
	{"eighteen", "0801 10d804 18e0c508 250000c03f 2a0200ff 30b717 3804 42038094ebdc03 4a038094ebdc03 520531322e3334 5a026162 62026364" +
		"6a077b2261223a317d 720200020003 7a0100016b010006 8201001201 8a0182c60a00 90011c 80c0ff7f8fe8f6c70c f0ffff7f02 f8ffff7fcadebaf60e",
		"tinyint;smallint;int;float;binary;datetime;date;timestamp;timestamp_ntz;decimal(10,2);char(4);varchar(4);json;array<bigint>;map<string,bigint>;struct<a:bigint,b:string>;interval_day_time;interval_year_month",
		`[-1] [300] [70000] [1.5] ["\x00\xff"] [-1500] [2] {[-2] [500000000]} {[-2] [500000000]} [12.34] ["ab"] ["cd"] ["{\"a\":1}"] [[1 -2]] [{["k"] [3]}] {[9] [(null)]} {[86401] [0]} [14]`},
}

func render(rec arrow.RecordBatch) string {
	var parts []string
	for _, c := range rec.Columns() {
		switch c := c.(type) {
		case *array.Timestamp:
			parts = append(parts, fmt.Sprint(c.TimestampValues()))
		case *array.Date32:
			parts = append(parts, fmt.Sprint(c.Date32Values()))
		case *array.MonthInterval:
			parts = append(parts, fmt.Sprint(c.Values()))
		case *array.Decimal128:
			parts = append(parts, "["+c.ValueStr(0)+"]")
		case *array.Binary:
			parts = append(parts, fmt.Sprintf("[%q]", c.Value(0)))
		default:
			parts = append(parts, c.String())
		}
	}
	return strings.Join(parts, " ")
}

func TestRecordGolden(t *testing.T) {
	for _, g := range goldenStreams {
		t.Run(g.name, func(t *testing.T) {
			cols := columns(t, strings.Split(g.types, ";")...)
			data := unhex(t, g.hex)
			mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
			defer mem.AssertSize(t, 0)
			recs, err := readRecords(iotest.OneByteReader(bytes.NewReader(data)), cols, mem)
			if err != nil {
				t.Fatal(err)
			}
			defer release(recs)
			got := ""
			for _, r := range recs {
				got += render(r)
			}
			if got != g.want {
				t.Errorf("decoded %s\n   want %s", got, g.want)
			}
			if back := writeRecords(t, cols, recs...); !bytes.Equal(back, data) {
				t.Errorf("encoded %x\n   want %x", back, data)
			}
		})
	}
}

// Every single changed, missing or added byte of a stream is noticed.
func TestRecordDamageIsNoticed(t *testing.T) {
	for _, g := range goldenStreams {
		cols := columns(t, strings.Split(g.types, ";")...)
		data := unhex(t, g.hex)
		for i := range data {
			for _, bit := range []byte{1, 0x40, 0x80} {
				bad := bytes.Clone(data)
				bad[i] ^= bit
				recs, err := readRecords(bytes.NewReader(bad), cols, memory.DefaultAllocator)
				// Bits of a tag's wire type are redundant: decoders go by column type.
				if err == nil && (bit != 1 || !bytes.Equal(writeRecords(t, cols, recs...), data)) {
					t.Errorf("%s: bit %#x of byte %d flipped, not noticed", g.name, bit, i)
				}
			}
			if _, err := readRecords(bytes.NewReader(data[:i]), cols, memory.DefaultAllocator); !errors.Is(err, wire.ErrMalformed) {
				t.Errorf("%s: cut at %d of %d: %v, want ErrMalformed", g.name, i, len(data), err)
			}
		}
		if _, err := readRecords(bytes.NewReader(append(bytes.Clone(data), 0)), cols, memory.DefaultAllocator); err == nil {
			t.Errorf("%s: byte after the trailer not noticed", g.name)
		}
	}
}

func TestRecordRoundTripEveryType(t *testing.T) {
	for seed := range uint64(12) {
		rng := rand.New(rand.NewPCG(seed, 1))
		cols := columns(t, everyType...)
		mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
		rec := randomBatch(rng, cols, 1+rng.IntN(60), seed%2 == 0)
		data := writeRecords(t, cols, rec)
		got, err := readRecords(iotest.HalfReader(bytes.NewReader(data)), cols, mem)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if len(got) != 1 || !array.RecordEqual(rec, got[0]) {
			t.Fatalf("seed %d: decoded rows differ:%s", seed, difference(rec, got))
		}
		cut := rec.NewSlice(rec.NumRows()/3, rec.NumRows())
		sliced, err := readRecords(bytes.NewReader(writeRecords(t, cols, cut)), cols, mem)
		if err != nil || !array.RecordEqual(cut, sliced[0]) {
			t.Fatalf("seed %d: sliced rows differ: %v", seed, err)
		}
		release(append(got, append(sliced, cut, rec)...))
		mem.AssertSize(t, 0)
	}
}

func TestRecordRefusesBadValues(t *testing.T) {
	for _, c := range []struct{ name, typ, field string }{
		{"tinyint 128", "tinyint", "08 8002"},
		{"boolean 2", "boolean", "08 02"},
		{"decimal text", "decimal(10,2)", "0a 03 31 65 65"},
		{"decimal too big", "decimal(3,1)", "0a 03 313030"},
		{"length beyond the limit", "string", "0a ffffffff0f"},
		{"null map key", "map<string,bigint>", "0a 01 01 01 00 02"},
		{"map counts", "map<string,bigint>", "0a 01 00 01 6b 00"},
		{"nanos", "timestamp", "0a 00 8094ebdc08"},
		{"column number", "bigint", "10 02"},
		{"varint", "bigint", "08 ffffffffffffffffffff01"},
	} {
		r := wire.NewRecordReader(bytes.NewReader(unhex(t, c.field)), columns(t, c.typ), memory.DefaultAllocator)
		_, _, err := r.Next()
		if !errors.Is(err, wire.ErrMalformed) || errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: %v, want ErrMalformed for the value", c.name, err)
		}
		r.Close()
	}
	required := columns(t, "bigint", "string")
	required[1].Nullable = false
	if _, err := readRecords(bytes.NewReader(unhex(t, "0801 2001 80c0ff7f")), required, memory.DefaultAllocator); err == nil {
		t.Error("NULL in a NOT NULL column accepted")
	}
}

// PyODPS writes checksums of 2^31 and more as negative numbers of 64 bits. Both of
// the golden row of eighteen types are such.
func TestRecordSignExtendedChecksums(t *testing.T) {
	g := goldenStreams[3]
	extended := strings.NewReplacer("8fe8f6c70c", "8fe8f6c7fcffffffff01", "cadebaf60e", "cadebaf6feffffffff01").Replace(g.hex)
	cols := columns(t, strings.Split(g.types, ";")...)
	recs, err := readRecords(bytes.NewReader(unhex(t, extended)), cols, memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	defer release(recs)
	if got := writeRecords(t, cols, recs...); !bytes.Equal(got, unhex(t, g.hex)) {
		t.Errorf("written %x, want %s", got, g.hex)
	}
}

func TestRecordDecimalRounding(t *testing.T) {
	cols := columns(t, "decimal(10,2)", "decimal(40,1)")
	for text, want := range map[string]string{
		"1": "1.00", "-0.005": "-0.01", "0.004": "0.00", "+7.": "7.00", ".5": "0.50", "12345678.994999": "12345678.99", "99999999.99": "99999999.99", "000000000000000000000001.5": "1.50",
		"0E-18": "0.00", "-1.5E-1": "-0.15", "1e3": "1000.00", "12.345E1": "123.45", "5E-3": "0.01", "+.5e+0": "0.50", "0E+2": "0.00",
	} {
		field := append([]byte{10, byte(len(text))}, text...)
		r := wire.NewRecordReader(bytes.NewReader(field), cols, memory.DefaultAllocator)
		// The record is cut short after the field: only its own error matters.
		_, _, err := r.Next()
		r.Close()
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("decimal %q: %v", text, err)
			continue
		}
		if got := wire.NormalizeDecimal(t, text, 10, 2); got != want {
			t.Errorf("decimal %q = %s, want %s", text, got, want)
		}
	}
	for _, text := range []string{"99999999.995", "100000000", "", "-", ".", "1e8", "1e", "e1", ".e1", "1e1.5", "1e1e1", "1.2.3e1", "1e101", "1e-101", "1e99999999999999999999", "1.2.3", "--1", "NaN"} {
		if got := wire.NormalizeDecimal(t, text, 10, 2); got != "error" {
			t.Errorf("decimal %q = %s, want an error", text, got)
		}
	}
}

// Streams with random bytes changed are decoded or refused, never more: the short
// form of the fuzz target.
func TestRecordMutations(t *testing.T) {
	cols := columns(t, everyType...)
	rng := rand.New(rand.NewPCG(9, 9))
	base := writeRecords(t, cols, randomBatch(rng, cols, 3, true))
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	for range 1500 {
		recs, err := readRecords(bytes.NewReader(mutate(rng, base)), cols, mem)
		if err != nil && !errors.Is(err, wire.ErrMalformed) {
			t.Fatalf("%v, want ErrMalformed", err)
		}
		release(recs)
	}
}

// mutate changes a few bytes of a copy.
func mutate(rng *rand.Rand, base []byte) []byte {
	b := bytes.Clone(base)
	for range 1 + rng.IntN(4) {
		b[rng.IntN(len(b))] = byte(rng.Uint32())
	}
	return b
}

func BenchmarkRecordRead(b *testing.B) {
	cols := columns(b, "bigint", "string", "double", "boolean", "timestamp", "array<float>")
	data := writeRecords(b, cols, randomBatch(rand.New(rand.NewPCG(1, 1)), cols, 100000, false))
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		recs, err := readRecords(bytes.NewReader(data), cols, memory.DefaultAllocator)
		if err != nil {
			b.Fatal(err)
		}
		release(recs)
	}
}

func BenchmarkRecordWrite(b *testing.B) {
	cols := columns(b, "bigint", "string", "double", "boolean", "timestamp", "array<float>")
	rec := randomBatch(rand.New(rand.NewPCG(1, 1)), cols, 100000, false)
	b.ReportAllocs()
	for b.Loop() {
		w := wire.NewRecordWriter(io.Discard, cols)
		if err := errors.Join(w.Write(rec), w.Close()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(rec.NumRows()), "ns/row")
}

func FuzzRecordReader(f *testing.F) {
	cols := columns(f, everyType...)
	for seed := range uint64(4) {
		f.Add(writeRecords(f, cols, randomBatch(rand.New(rand.NewPCG(seed, 1)), cols, 3, true)))
	}
	f.Add(unhex(f, "f0ffff7f00 f8ffff7f00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
		defer mem.AssertSize(t, 0)
		recs, err := readRecords(bytes.NewReader(data), cols, mem)
		if err != nil {
			if !errors.Is(err, wire.ErrMalformed) {
				t.Fatalf("%v, want ErrMalformed", err)
			}
			return
		}
		defer release(recs)
		again, err := readRecords(bytes.NewReader(writeRecords(t, cols, recs...)), cols, mem)
		if err != nil {
			t.Fatalf("own encoding: %v", err)
		}
		defer release(again)
		for i := range recs {
			if i < len(again) && !array.RecordApproxEqual(recs[i], again[i], array.WithNaNsEqual(true)) {
				t.Fatalf("batch %d differs after a round trip", i)
			}
		}
	})
}
