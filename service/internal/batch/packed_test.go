package batch_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/batch"
	"github.com/sluice-io/sluice/service/internal/table"
)

// rebody gives a RecordBatch message another body and says where in it its n buffers lie, as {offset, length}.
func rebody(t testing.TB, message, body []byte, buffers [][2]int) []byte {
	t.Helper()
	le := binary.LittleEndian
	at := 8 + int(le.Uint32(message[4:]))
	meta := bytes.Clone(message[:at])
	replaceOnce := func(from int, was, is []byte) int {
		i := bytes.Index(meta[from:], was)
		if i < 0 {
			t.Fatalf("the metadata holds no % x", was)
		}
		copy(meta[from+i:], is)
		return from + i
	}
	replaceOnce(0, le.AppendUint64(nil, uint64(len(message)-at)), le.AppendUint64(nil, uint64(len(body))))
	// The vector of buffers: its length, and the first one, which is empty.
	head := append(le.AppendUint32(nil, uint32(len(buffers))), make([]byte, 16)...)
	vector := replaceOnce(0, head, head) + 4
	for i, b := range buffers {
		le.PutUint64(meta[vector+16*i:], uint64(b[0]))
		le.PutUint64(meta[vector+16*i+8:], uint64(b[1]))
	}
	return append(meta, body...)
}

// Buffers may overlap, so a short message may describe a long batch: what counts is the sum.
func TestOverlappingBuffersCountEachTime(t *testing.T) {
	const columnCount, rowCount = 20, 1000
	var types []string
	row := make([]any, columnCount)
	for i := range row {
		types = append(types, "bigint")
		row[i] = int64(7)
	}
	cols := columns(types...)
	data := make(rows, rowCount)
	for i := range data {
		data[i] = row
	}
	rec := arrowBatch(batch.ArrowSchema(cols, batch.SchemaOptions{}), cols, data)
	defer rec.Release()
	_, message := arrowMessages(t, rec)
	var buffers [][2]int
	for range columnCount {
		buffers = append(buffers, [2]int{0, 0}, [2]int{0, 8 * rowCount}) // no NULLs; everybody's values are the same
	}
	short := rebody(t, message, message[len(message)-8*rowCount:], buffers)
	const sum = columnCount * 8 * rowCount
	if len(short) > sum/4 {
		t.Fatalf("the message has %d bytes, %d are no test", len(short), sum)
	}
	for limit, reason := range map[int64]apierr.Reason{sum: 0, sum - 1: apierr.TooLarge} {
		l, err := batch.Compile(&table.Schema{Columns: cols}, batch.Definition{}, 0, batch.Limits{MaxBatchBytes: limit})
		if err != nil {
			t.Fatal(err)
		}
		c, err := l.Check(batch.Incoming{Rows: rowCount, Arrow: cutPayload(short, 1000)})
		if got := apierr.ReasonOf(err); got != reason {
			t.Errorf("limit %d: %v, want %v", limit, err, reason)
		}
		if err != nil {
			continue
		}
		if diff := diffRows(data, checkedRows(t, cols, c)); diff != "" {
			t.Error(diff)
		}
	}
}

// frame packs data as the body of a compressed Arrow buffer that claims to have size bytes.
func frame(t testing.TB, codec string, size int64, data []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	buf.Write(binary.LittleEndian.AppendUint64(nil, uint64(size)))
	var w io.WriteCloser = lz4.NewWriter(&buf)
	if codec == "zstd" {
		z, err := zstd.NewWriter(&buf)
		if err != nil {
			t.Fatal(err)
		}
		w = z
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// A compressed buffer that lies about its size, either way, is refused and costs no more memory than a batch may.
func TestPackedBuffersThatLie(t *testing.T) {
	const want = 800 // bytes of the column
	good := bytes.Repeat([]byte{1}, want)
	bomb := make([]byte, 64<<20)
	claim := func(size int64, rest ...byte) []byte {
		return append(binary.LittleEndian.AppendUint64(nil, uint64(size)), rest...)
	}
	zstdHead := []byte{0x28, 0xb5, 0x2f, 0xfd}
	for codec, opt := range map[string]ipc.Option{"lz4": ipc.WithLZ4(), "zstd": ipc.WithZstd()} {
		cols := columns("bigint")
		data := make(rows, want/8)
		for i := range data {
			data[i] = []any{int64(0x0101010101010101)}
		}
		rec := arrowBatch(batch.ArrowSchema(cols, batch.SchemaOptions{}), cols, data)
		_, message := arrowMessages(t, rec, opt)
		rec.Release()
		l := compile(t, cols, batch.Definition{}, 0)
		for _, c := range []struct {
			name   string
			buffer []byte
			reason apierr.Reason
		}{
			{"right", frame(t, codec, want, good), 0},
			{"plain", claim(-1, good...), 0},
			{"plain, short", claim(-1, good[1:]...), apierr.BadArgument},
			{"claims more than any", frame(t, codec, math.MaxInt64, good), apierr.TooLarge},
			{"claims one more than a batch", frame(t, codec, 64<<20+1, good), apierr.TooLarge},
			{"claims less than nothing", frame(t, codec, -2, good), apierr.BadArgument},
			{"claims one more", frame(t, codec, want+1, good), apierr.BadArgument},
			{"claims one less", frame(t, codec, want-1, good), apierr.BadArgument},
			{"claims nothing", frame(t, codec, 0, good), apierr.BadArgument},
			{"bomb", frame(t, codec, want, bomb), apierr.BadArgument},
			{"bomb of nothing", frame(t, codec, 0, bomb), apierr.BadArgument},
			{"two frames", append(frame(t, codec, want, good), frame(t, codec, 0, bomb)[8:]...), apierr.BadArgument},
			{"no frame", claim(want), apierr.BadArgument},
			{"half a size", claim(want)[:4], apierr.BadArgument},
			{"a frame of 2^60 bytes", claim(want, append(zstdHead, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0x10, 1, 0, 0)...), apierr.BadArgument},
			{"a window of 2^41 bytes", claim(want, append(zstdHead, 0, 0xff, 1, 0, 0)...), apierr.BadArgument},
		} {
			size := len(c.buffer)
			body := slices.Concat(c.buffer, make([]byte, -size&7))
			hostile := rebody(t, message, body, [][2]int{{0, 0}, {0, size}})
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			checked, err := l.Check(batch.Incoming{Rows: want / 8, Arrow: wholePayload(hostile)})
			runtime.ReadMemStats(&after)
			if got := apierr.ReasonOf(err); got != c.reason {
				t.Errorf("%s, %s: %v, want %v", codec, c.name, err, c.reason)
			}
			if used := after.TotalAlloc - before.TotalAlloc; used > 32<<20 {
				t.Errorf("%s, %s: took %d MiB", codec, c.name, used>>20)
			}
			if err != nil {
				continue
			}
			if diff := diffRows(data, checkedRows(t, cols, checked)); diff != "" {
				t.Errorf("%s, %s: %s", codec, c.name, diff)
			}
			checked.Release()
		}
	}
}

// A part of a larger batch arrives as that part, whatever arrow-go leaves of the rest in its buffers.
func TestSlicedBatches(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 13))
		cols := randomColumns(r, seed%2 == 0)
		data := randomRows(r, cols, 1+r.IntN(60), true)
		rec := arrowBatch(batch.ArrowSchema(cols, batch.SchemaOptions{Timestamp: batch.TimestampStruct}), cols, data)
		from := r.IntN(len(data))
		to := from + r.IntN(len(data)-from+1)
		part := rec.NewSlice(int64(from), int64(to))
		definition, body := arrowMessages(t, part)
		part.Release()
		rec.Release()
		c := check(t, compile(t, cols, batch.Definition{ArrowSchema: definition}, 0), batch.Incoming{Rows: int32(to - from), Arrow: cutPayload(body, 1+r.IntN(200))})
		if diff := diffRows(data[from:to], checkedRows(t, cols, c)); diff != "" {
			t.Errorf("seed %d, rows %d to %d of %v:\n%s", seed, from, to, cols, diff)
		}
		c.Release()
	}
}

// Dictionaries have no place in a stream: neither their own message nor a batch of indices passes for the column.
func TestDictionaryMessagesAreRefused(t *testing.T) {
	typ := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: arrow.BinaryTypes.String}
	b := array.NewDictionaryBuilder(memory.DefaultAllocator, typ).(*array.BinaryDictionaryBuilder)
	defer b.Release()
	for _, s := range []string{"a", "b", "a"} {
		if err := b.AppendString(s); err != nil {
			t.Fatal(err)
		}
	}
	a := b.NewArray()
	defer a.Release()
	rec := array.NewRecordBatch(arrow.NewSchema([]arrow.Field{{Name: "c0", Type: typ, Nullable: true}}, nil), []arrow.Array{a}, 3)
	defer rec.Release()
	_, rest := arrowMessages(t, rec) // the dictionary, then the batch
	cut := messageBytes(rest)
	if cut == len(rest) {
		t.Fatal("there is one message only")
	}
	l := compile(t, columns("string"), batch.Definition{}, 0)
	ints := compile(t, columns("int"), batch.Definition{}, 0)
	for name, c := range map[string]struct {
		l    *batch.Layout
		body []byte
	}{"the dictionary": {l, rest[:cut]}, "indices as text": {l, rest[cut:]}, "both": {l, rest}, "the dictionary as numbers": {ints, rest[:cut]}} {
		_, err := c.l.Check(batch.Incoming{Rows: 3, Arrow: wholePayload(c.body)})
		if !apierr.Is(err, apierr.BadArgument) {
			t.Errorf("%s: %v, want BAD_ARGUMENT", name, err)
		}
	}
}

// messageBytes is the length of the first of several messages: the second begins with the next continuation mark whose
// metadata leads to the end.
func messageBytes(b []byte) int {
	for at := 8; at+8 <= len(b); at += 8 {
		if binary.LittleEndian.Uint32(b[at:]) == math.MaxUint32 {
			return at
		}
	}
	return len(b)
}
