package wire_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
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

// The tags of protocol section 13, written down once more.
const (
	endTag   = 33553408 << 3
	countTag = 33554430 << 3
	sumTag   = 33554431 << 3
)

// stream is a whole record stream of one record: the value of column 1 as it goes out, and
// as the checksum sees it.
func stream(value, summed []byte) []byte {
	sum := wire.CRC(0, append([]byte{1, 0, 0, 0}, summed...))
	out := append([]byte{1 << 3}, value...)
	out = binary.AppendUvarint(binary.AppendUvarint(out, endTag), uint64(sum))
	out = binary.AppendVarint(binary.AppendUvarint(out, countTag), 1)
	all := wire.CRC(0, binary.LittleEndian.AppendUint32(nil, sum))
	return binary.AppendUvarint(binary.AppendUvarint(out, sumTag), uint64(all))
}

// sources are a stream in one piece, and byte by byte.
func sources(data []byte) []io.Reader {
	return []io.Reader{bytes.NewReader(data), iotest.OneByteReader(bytes.NewReader(data)), iotest.DataErrReader(iotest.HalfReader(bytes.NewReader(data)))}
}

func TestRecordNumbersAtTheirBounds(t *testing.T) {
	for text, bounds := range map[string][2]int64{
		"tinyint": {math.MinInt8, math.MaxInt8}, "smallint": {math.MinInt16, math.MaxInt16}, "int": {math.MinInt32, math.MaxInt32}, "bigint": {math.MinInt64, math.MaxInt64},
	} {
		cols := columns(t, text)
		for _, v := range []int64{bounds[0], bounds[1], 0, bounds[0] - 1, bounds[1] + 1} {
			fits := v >= bounds[0] && v <= bounds[1]
			data := stream(binary.AppendVarint(nil, v), binary.LittleEndian.AppendUint64(nil, uint64(v)))
			for i, src := range sources(data) {
				recs, err := readRecords(src, cols, memory.DefaultAllocator)
				if fits && (err != nil || len(recs) != 1 || recs[0].Column(0).ValueStr(0) != fmt.Sprint(v)) || !fits && !errors.Is(err, wire.ErrMalformed) {
					t.Errorf("%s %d, source %d: %v, %v, want it to fit: %t", text, v, i, recs, err, fits)
				}
			}
		}
	}
	cols := columns(t, "bigint")
	for value, ok := range map[string]bool{
		"ffffffffffffffffff01": true, "ffffffffffffffffff02": false, "ffffffffffffffffff7f": false, "ffffffffffffffffffff01": false, "80808080808080808000": true, "8080808080808080808000": false,
	} {
		v := unhex(t, value)
		u, _ := binary.Uvarint(v)
		data := stream(v, binary.LittleEndian.AppendUint64(nil, uint64(int64(u>>1)^-int64(u&1))))
		for i, src := range sources(data) {
			if _, err := readRecords(src, cols, memory.DefaultAllocator); (err == nil) != ok || !ok && !strings.Contains(err.Error(), "varint too long") {
				t.Errorf("varint %s, source %d: %v, want ok %t", value, i, err, ok)
			}
		}
	}
}

// Some writers cut seconds toward zero and send a negative rest.
func TestRecordTimestampsWithARest(t *testing.T) {
	cols := columns(t, "timestamp")
	for _, c := range []struct {
		sec, nano int64
		want      string // empty = refused
	}{
		{5, 0, "5 0"}, {5, 999_999_999, "5 999999999"}, {5, 1_000_000_000, ""}, {5, -1, "4 999999999"}, {-5, -999_999_999, "-6 1"}, {5, -1_000_000_000, ""},
		{math.MinInt64, 0, "-9223372036854775808 0"}, {math.MinInt64, -1, ""}, {math.MinInt64 + 1, -1, "-9223372036854775808 999999999"},
	} {
		value := binary.AppendVarint(binary.AppendVarint(nil, c.sec), c.nano)
		summed := binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint64(nil, uint64(c.sec)), uint32(int32(c.nano)))
		recs, err := readRecords(bytes.NewReader(stream(value, summed)), cols, memory.DefaultAllocator)
		if c.want == "" {
			if !errors.Is(err, wire.ErrMalformed) {
				t.Errorf("%d s %d ns: %v, want ErrMalformed", c.sec, c.nano, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%d s %d ns: %v", c.sec, c.nano, err)
			continue
		}
		s := recs[0].Column(0).(*array.Struct)
		if got := s.Field(0).ValueStr(0) + " " + s.Field(1).ValueStr(0); got != c.want {
			t.Errorf("%d s %d ns = %s, want %s", c.sec, c.nano, got, c.want)
		}
	}
}

func TestRecordStreamsOfAWrongForm(t *testing.T) {
	cols := columns(t, "bigint", "string")
	good := stream([]byte{2}, binary.LittleEndian.AppendUint64(nil, 1))
	if _, err := readRecords(bytes.NewReader(good), cols, memory.DefaultAllocator); err != nil {
		t.Fatal(err)
	}
	count := binary.AppendUvarint(nil, countTag)
	for text, data := range map[string][]byte{
		"column ca twice":               append([]byte{8, 2}, good...),
		"field 33554430 of 2":           append([]byte{8, 2}, count...),
		"field 3 of 2":                  {3 << 3, 0},
		"field 0 of 2":                  {0, 0},
		"bytes after the trailer":       append(bytes.Clone(good), 0),
		"sender counted 2":              bytes.Replace(good, append(bytes.Clone(count), 2), append(bytes.Clone(count), 4), 1),
		"value of 8388609 bytes":        binary.AppendUvarint([]byte{2 << 3}, wire.MaxFieldBytes+1),
		"record stream cut short":       binary.AppendUvarint([]byte{2 << 3}, wire.MaxFieldBytes),
		"record 0, column cb: malforme": {2 << 3},
	} {
		if _, err := readRecords(bytes.NewReader(data), cols, memory.DefaultAllocator); !errors.Is(err, wire.ErrMalformed) || !strings.Contains(err.Error(), text) {
			t.Errorf("%v, want ErrMalformed with %q", err, text)
		}
	}
	broken := io.MultiReader(bytes.NewReader(good), iotest.ErrReader(iotest.ErrTimeout))
	if _, err := readRecords(broken, cols, memory.DefaultAllocator); !errors.Is(err, iotest.ErrTimeout) {
		t.Errorf("a connection that breaks behind the trailer: %v", err)
	}
}

// Values longer than the reader's buffer come whole, one after the other, and batches are
// cut by their memory, too.
func TestRecordLongValues(t *testing.T) {
	cols := columns(t, "string")
	b := array.NewRecordBuilder(memory.DefaultAllocator, wire.ArrowSchema(cols, types.LayoutWide))
	defer b.Release()
	var want []string
	for i, n := range []int{256<<10 - 1, 256 << 10, 256<<10 + 1, 700_000, 3, 1 << 20, 0, wire.MaxFieldBytes, 300_000} {
		text := strings.Repeat(string(rune('a'+i)), n)
		want = append(want, text)
		b.Field(0).(*array.StringBuilder).Append(text)
	}
	rec := b.NewRecordBatch()
	defer rec.Release()
	data := writeRecords(t, cols, rec)
	for i, src := range []io.Reader{bytes.NewReader(data), iotest.HalfReader(bytes.NewReader(data))} {
		recs, err := readRecords(src, cols, memory.DefaultAllocator)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range recs {
			for k := range int(r.NumRows()) {
				got = append(got, r.Column(0).(*array.String).Value(k))
			}
		}
		if strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("source %d: %d values back, other ones", i, len(got))
		}
		if len(recs) < 2 {
			t.Errorf("source %d: %d batches of %d bytes", i, len(recs), len(data))
		}
		release(recs)
	}
}

// A batch is written as its rows whatever its layout.
func TestRecordWriterKnowsEveryLayout(t *testing.T) {
	cols := columns(t, "timestamp", "interval_day_time", "decimal(38,2)")
	b := array.NewRecordBuilder(memory.DefaultAllocator, wire.ArrowSchema(cols, types.LayoutWide))
	defer b.Release()
	for i, v := range []int64{0, -1, 90061} {
		for _, field := range b.Fields()[:2] {
			s := field.(*array.StructBuilder)
			s.Append(true)
			s.FieldBuilder(0).(*array.Int64Builder).Append(v)
			s.FieldBuilder(1).(*array.Int32Builder).Append(5_000_000)
		}
		text := []string{"1.25", "-123456789012345678901234567890.12", "92233720368547758.08"}[i]
		if err := b.Field(2).AppendValueFromString(text); err != nil {
			t.Fatal(err)
		}
	}
	wide := b.NewRecordBatch()
	defer wide.Release()
	want := writeRecords(t, cols, wide)
	if !bytes.Contains(want, []byte("92233720368547758.08")) || !bytes.Contains(want, []byte("-123456789012345678901234567890.12")) {
		t.Errorf("decimals are written as other texts: %q", want)
	}
	for _, l := range []types.Layout{types.LayoutNanos, types.LayoutDayTime} {
		rec, err := wire.Convert(wide, cols, types.LayoutWide, l)
		if err != nil {
			t.Fatal(err)
		}
		if got := writeRecords(t, cols, rec); !bytes.Equal(got, want) {
			t.Errorf("layout %d: %x, want %x", l, got, want)
		}
		if got, err := wire.BatchLayout(cols, rec); err != nil || got != l {
			t.Errorf("BatchLayout = %d, %v, want %d", got, err, l)
		}
		rec.Release()
	}
	if got, err := wire.BatchLayout(cols, wide); err != nil || got != types.LayoutWide {
		t.Errorf("BatchLayout = %d, %v, want wide", got, err)
	}
}

func TestBatchLayoutRefusesOtherColumns(t *testing.T) {
	cols := columns(t, "datetime", "struct<a:int,b:array<string>>")
	list := arrow.ListOf(arrow.BinaryTypes.String)
	pair := func(types ...arrow.DataType) arrow.DataType {
		fields := make([]arrow.Field, len(types))
		for i, t := range types {
			fields[i] = arrow.Field{Name: fmt.Sprint("other", i), Type: t}
		}
		return arrow.StructOf(fields...)
	}
	milli, i32 := &arrow.TimestampType{Unit: arrow.Millisecond}, arrow.PrimitiveTypes.Int32
	for i, c := range []struct {
		types []arrow.DataType
		ok    bool
	}{
		{[]arrow.DataType{milli, pair(i32, list)}, true}, // names do not count
		{[]arrow.DataType{&arrow.TimestampType{Unit: arrow.Millisecond, TimeZone: "UTC"}, pair(i32, list)}, true},
		{[]arrow.DataType{&arrow.TimestampType{Unit: arrow.Second}, pair(i32, list)}, false},
		{[]arrow.DataType{milli}, false},
		{[]arrow.DataType{milli, pair(i32, list), i32}, false},
		{[]arrow.DataType{milli, pair(i32)}, false},
		{[]arrow.DataType{milli, pair(i32, list, i32)}, false},
		{[]arrow.DataType{milli, pair(arrow.PrimitiveTypes.Int64, list)}, false},
		{[]arrow.DataType{milli, pair(i32, arrow.ListOf(i32))}, false},
		{[]arrow.DataType{milli, i32}, false},
		{[]arrow.DataType{i32, pair(i32, list)}, false},
	} {
		fields := make([]arrow.Field, len(c.types))
		for k, typ := range c.types {
			fields[k] = arrow.Field{Name: "x", Type: typ}
		}
		b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema(fields, nil))
		rec := b.NewRecordBatch()
		b.Release()
		if _, err := wire.BatchLayout(cols, rec); (err == nil) != c.ok || err != nil && !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("case %d: %v, want ok %t", i, err, c.ok)
		}
		rec.Release()
	}
}

// The scanner finds each message where it lies, with or without somebody to tell.
func TestScannerFindsEveryMessage(t *testing.T) {
	cols := columns(t, "bigint")
	b := array.NewRecordBuilder(memory.DefaultAllocator, wire.ArrowSchema(cols, types.LayoutWide))
	defer b.Release()
	var data []byte
	var starts []int64
	for i, opts := range [][]ipc.Option{nil, {ipc.WithZstd()}, nil} {
		for k := range i + 2 {
			b.Field(0).(*array.Int64Builder).Append(int64(k))
		}
		rec := b.NewRecordBatch()
		starts = append(starts, int64(len(data)))
		message := messages(t, rec, memory.DefaultAllocator, opts...)
		if opts != nil { // without the end of its stream
			var h wire.Header
			meta := int64(binary.LittleEndian.Uint32(message[4:]))
			if err := h.Parse(message[8 : 8+meta]); err != nil {
				t.Fatal(err)
			}
			message = message[:8+meta+h.Body]
		}
		data = append(data, message...)
		rec.Release()
	}
	for _, piece := range []int{1, 7, len(data)} {
		var seen []int64
		told, silent := wire.Scanner{Visit: func(m wire.Message) error { seen = append(seen, m.Offset, m.Rows); return nil }}, wire.Scanner{}
		for _, s := range []*wire.Scanner{&told, &silent} {
			for rest := data; len(rest) > 0; rest = rest[min(piece, len(rest)):] {
				if _, err := s.Write(rest[:min(piece, len(rest))]); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.Close(); err != nil || s.Rows != 9 || s.Messages != 3 || !s.Compressed {
				t.Errorf("pieces of %d: %d rows in %d messages, compressed %t, %v", piece, s.Rows, s.Messages, s.Compressed, err)
			}
		}
		if want := []int64{starts[0], 2, starts[1], 3, starts[2], 4}; fmt.Sprint(seen) != fmt.Sprint(want) {
			t.Errorf("pieces of %d: offsets and rows %v, want %v", piece, seen, want)
		}
	}
	var cut wire.Scanner
	if _, err := cut.Write(data[:len(data)-1]); err != nil || !errors.Is(cut.Close(), io.ErrUnexpectedEOF) {
		t.Errorf("cut within a body: %v, Close %v", err, cut.Close())
	}
	var other wire.Scanner
	if _, err := other.Write(append([]byte{0xfe, 0xff, 0xff, 0xff}, data[4:]...)); !errors.Is(err, wire.ErrMalformed) || !strings.Contains(err.Error(), "no Arrow message at byte 0") {
		t.Errorf("another prefix: %v", err)
	}
}

func TestCheckRefusesAMapWithoutAKey(t *testing.T) {
	offsets := arrow.Int32Traits.CastToBytes([]int32{0, 1})
	batch := wire.Batch{
		Rows: 1, Nodes: []wire.Node{{1, 0}, {1, 0}, {1, 1}, {1, 0}},
		Buffers: [][]byte{nil, offsets, nil, {0}, make([]byte, 8), nil, make([]byte, 8)},
	}
	if err := batch.Check(columns(t, "map<bigint,bigint>"), types.LayoutNanos); !errors.Is(err, wire.ErrMalformed) || !strings.Contains(err.Error(), "1 NULLs where none may be") {
		t.Errorf("%v, want a refusal of the key", err)
	}
	batch.Nodes[2].Nulls, batch.Nodes[3].Nulls, batch.Buffers[3], batch.Buffers[5] = 0, 1, nil, []byte{0}
	if err := batch.Check(columns(t, "map<bigint,bigint>"), types.LayoutNanos); err != nil {
		t.Errorf("a value that is NULL: %v", err)
	}
}
