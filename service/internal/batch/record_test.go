package batch_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/google/go-cmp/cmp"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/batch"
	"github.com/sluice-io/sluice/service/internal/table"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// records encodes rows through a table that wants records: the interval, NULL in every row, leaves no bytes.
func records(t testing.TB, cols []table.Column, data rows) []byte {
	t.Helper()
	all := append(append([]table.Column{}, cols...), table.Column{Name: "none", Type: table.MustParseType("interval_year_month")})
	var indices []int32
	for i := range cols {
		indices = append(indices, int32(i))
	}
	l := compile(t, all, batch.Definition{ColumnIndices: indices}, 0)
	c := check(t, l, batch.Incoming{Rows: int32(len(data)), Columns: columnBatch(cols, data)})
	defer c.Release()
	return batch.AppendRecordTrailer(bytes.Clone(join(c.Body)), int64(c.Rows), c.RecordCRC)
}

// The bytes that the SDKs write for the same rows (protocol section 13).
func TestRecordGoldens(t *testing.T) {
	four := []string{"bigint", "string", "double", "boolean"}
	for name, c := range map[string]struct {
		types []string
		data  rows
		want  string
	}{
		"one row": {four, rows{{int64(25), "Apple", 5.0, false}},
			"0832 12054170706c65 190000000000001440 2000 80c0ff7fe8b188d306 f0ffff7f02 f8ffff7f8f8fb9a807"},
		"NULLs":   {four, rows{{int64(-1), nil, nil, true}}, "0801 2001 80c0ff7f c29ee68409 f0ffff7f02 f8ffff7f eeede29904"},
		"no rows": {four, rows{}, "f0ffff7f00 f8ffff7f00"},
		"18 types": {
			strings.Split("tinyint;smallint;int;float;binary;datetime;date;timestamp;timestamp_ntz;decimal(10,2);char(4);varchar(4);json;"+
				"array<bigint>;map<string,bigint>;struct<a:bigint,b:string>;interval_day_time;interval_year_month", ";"),
			rows{{int64(-1), int64(300), int64(70000), 1.5, "\x00\xff", int64(-1500), int64(2), instant{-2, 5e8}, instant{-2, 5e8},
				big.NewInt(1234), "ab", "cd", `{"a":1}`, []any{int64(1), int64(-2)}, pairs{{"k", int64(3)}}, []any{int64(9), nil},
				instant{86401, 0}, int64(14)}},
			`0801 10d804 18e0c508 250000c03f 2a0200ff 30b717 3804 42038094ebdc03 4a038094ebdc03 520531322e3334 5a026162 62026364
			6a077b2261223a317d 720200020003 7a0100016b010006 8201001201 8a0182c60a00 90011c 80c0ff7f8fe8f6c70c f0ffff7f02 f8ffff7fcadebaf60e`,
		},
	} {
		cols := columns(c.types...)
		want := unhex(t, c.want)
		got := records(t, cols, c.data)
		if !bytes.Equal(got, want) {
			t.Errorf("%s: got %x, want %x", name, got, want)
		}
		if diff := cmp.Diff(c.data, decodeRecords(t, cols, want), compare); diff != "" {
			t.Errorf("%s decoded:\n%s", name, diff)
		}
	}
}

// The SDK's Arrow bytes for the same row (protocol section 14) pass, untouched.
func TestArrowGolden(t *testing.T) {
	stream := unhex(t, `
		00010000ffffffff2801000014000000000000000c001600140013000c0004000c0000002800000000000000140000000000000304000a
		0018000c00080004000a00000014000000a800000001000000000000000000000009000000000000000000000000000000000000000000
		00000000000008000000000000000800000000000000000000000000000008000000000000000800000000000000100000000000000005
		00000000000000180000000000000000000000000000001800000000000000080000000000000020000000000000000000000000000000
		20000000000000000100000000000000000000000400000001000000000000000000000000000000010000000000000000000000000000
		000100000000000000000000000000000001000000000000000000000000000000190000000000000000000000050000004170706c6500
		000000000000000014400000000000000000a7cfdfe0`)
	body := stream[4 : len(stream)-4]
	if got, want := batch.CRC32C(body), binary.BigEndian.Uint32(stream[len(stream)-4:]); got != want {
		t.Fatalf("the golden has checksum %08x, want %08x", got, want)
	}
	cols := columns("bigint", "string", "double", "boolean")
	c := check(t, compile(t, cols, batch.Definition{}, 0), batch.Incoming{Rows: 1, Arrow: wholePayload(body)})
	if diff := cmp.Diff(rows{{int64(25), "Apple", 5.0, false}}, checkedRows(t, cols, c)); diff != "" {
		t.Error(diff)
	}
}

// However the bytes arrive and however many rows are asked for, the rows are the same.
func TestRecordDecoderReadsInPieces(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	cols := randomColumns(r, false)
	for i := range cols {
		cols[i].NotNull = false
	}
	data := randomRows(r, cols, 50, false)
	stream := records(t, cols, data)
	for name, wrap := range map[string]func(io.Reader) io.Reader{
		"bytes": iotest.OneByteReader, "halves": iotest.HalfReader, "data with EOF": iotest.DataErrReader,
	} {
		for _, most := range []int{1, 7, 1000} {
			d := batch.NewRecordDecoder(cols, memory.DefaultAllocator, batch.RecordOptions{TimestampStruct: true})
			in := wrap(bytes.NewReader(stream))
			var got rows
			for {
				rec, err := d.Read(in, most)
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				if int(rec.NumRows()) > most {
					t.Fatalf("%d rows, asked for %d", rec.NumRows(), most)
				}
				got = append(got, arrowRows(cols, rec)...)
				rec.Release()
			}
			d.Release()
			if diff := cmp.Diff(data, got, compare); diff != "" {
				t.Errorf("%s, %d:\n%s", name, most, diff)
			}
			if d.Rows() != int64(len(data)) {
				t.Errorf("Rows = %d, want %d", d.Rows(), len(data))
			}
		}
	}
}

func decodeError(cols []table.Column, stream []byte, opts batch.RecordOptions) error {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	d := batch.NewRecordDecoder(cols, mem, opts)
	defer d.Release()
	in := bytes.NewReader(stream)
	for {
		rec, err := d.Read(in, 100)
		if err != nil {
			return err
		}
		rec.Release()
	}
}

// A stream that ends early at any byte, also between records, is never taken for a whole one.
func TestRecordStreamCutAnywhere(t *testing.T) {
	cols := columns("bigint", "string", "array<map<string,struct<a:timestamp,b:float>>>")
	r := rand.New(rand.NewPCG(5, 6))
	stream := records(t, cols, randomRows(r, cols, 8, false))
	for n := range stream {
		if err := decodeError(cols, stream[:n], batch.RecordOptions{TimestampStruct: true}); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("cut at %d of %d: %v", n, len(stream), err)
		}
	}
	if err := decodeError(cols, append(bytes.Clone(stream), 0), batch.RecordOptions{TimestampStruct: true}); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("a byte behind the trailer: %v", err)
	}
}

// One changed bit is an error, or it changes nothing: the CRC does not cover tags' spare bits and the like.
func TestRecordStreamBitFlips(t *testing.T) {
	cols := columns("bigint", "string", "double", "boolean", "decimal(10,2)", "array<float>")
	data := rows{{int64(25), "Apple", 5.0, false, big.NewInt(-5), []any{1.5, nil}}, {nil, "x", nil, true, nil, []any{}}}
	stream := records(t, cols, data)
	for i := range stream {
		for bit := range 8 {
			bad := bytes.Clone(stream)
			bad[i] ^= 1 << bit
			if err := decodeError(cols, bad, batch.RecordOptions{}); err == nil || errors.Is(err, io.EOF) {
				if diff := diffRows(data, decodeRecords(t, cols, bad)); diff != "" {
					t.Fatalf("flip of byte %d bit %d went unnoticed:\n%s", i, bit, diff)
				}
			}
		}
	}
}

// TIMESTAMP beyond int64 nanoseconds is refused with row, column and the way out, never wrapped.
func TestRecordTimestampOutsideNanos(t *testing.T) {
	cols := columns("bigint", "timestamp")
	stream := records(t, cols, rows{{int64(1), instant{0, 0}}, {int64(2), instant{253402300799, 5}}})
	err := decodeError(cols, stream, batch.RecordOptions{})
	e := apierr.From(err)
	if e.Reason() != apierr.TypeMismatch || e.Meta("row") != "1" || e.Meta("column") != "c1" || !strings.Contains(e.Message(), "STRUCT") {
		t.Errorf("error %v", err)
	}
}

func TestRecordTooLong(t *testing.T) {
	cols := columns("string")
	stream := records(t, cols, rows{{strings.Repeat("x", 1<<20)}})
	if err := decodeError(cols, stream, batch.RecordOptions{MaxRecordBytes: 1 << 19}); err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("error %v, want the limit", err)
	}
}

// Blocks are joined from several batches: their checksums combine.
func TestRecordCRCCombines(t *testing.T) {
	cols := columns("bigint", "interval_year_month")
	l := compile(t, cols, batch.Definition{}, 0)
	var body []byte
	var crc uint32
	var n int64
	var want rows
	for i := range int64(5) {
		data := rows{{i, nil}, {nil, i}, {i, i}}
		want = append(want, data...)
		c := check(t, l, batch.Incoming{Rows: 3, Columns: columnBatch(cols, data)})
		body = append(body, join(c.Body)...)
		crc = batch.CombineCRC32C(crc, c.RecordCRC, 4*int64(c.Rows))
		n += int64(c.Rows)
		c.Release()
	}
	if diff := cmp.Diff(want, decodeRecords(t, cols, batch.AppendRecordTrailer(body, n, crc))); diff != "" {
		t.Error(diff)
	}
}
