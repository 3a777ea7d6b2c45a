package batch

import (
	"bytes"
	"fmt"
	"io"
	"math/big"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/table"
)

var errEOF = io.EOF

var cellOptions = cmp.Options{
	cmp.Comparer(func(a, b *big.Int) bool { return a.Cmp(b) == 0 }),
	cmp.AllowUnexported(instant{}),
}

func daysOf(d *sluicev1.Date) int64 {
	return time.Date(int(d.Year), time.Month(d.Month), int(d.Day), 0, 0, 0, 0, time.UTC).Unix() / 86400
}

// straight is the output of all fetched columns as they are.
func straight(cols []table.Column) []OutColumn {
	out := make([]OutColumn, len(cols))
	for i, c := range cols {
		out[i] = OutColumn{c, i}
	}
	return out
}

// encode feeds chunks to an encoder and collects the messages.
func encode(t testing.TB, e *Encoder, chunks ...*Chunk) []*Out {
	t.Helper()
	var outs []*Out
	emit := func(o *Out) error {
		outs = append(outs, o)
		return nil
	}
	row := int64(0)
	for _, c := range chunks {
		n := int64(c.Rows())
		if err := e.Add(row, c, emit); err != nil {
			t.Fatalf("Add(row %d): %v", row, err)
		}
		row += n
	}
	if err := e.Flush(emit); err != nil {
		t.Fatal(err)
	}
	return outs
}

// recordChunk is rows as the record decoder would lay them out.
func recordChunk(t testing.TB, mem memory.Allocator, d *Decoder, rows [][]any) *Chunk {
	t.Helper()
	b := arrowBatch(mem, d.columns, rows, TimestampStruct)
	c := &Chunk{rows: len(rows), shapes: d.record, release: b.Release}
	for i, col := range b.Columns() {
		v, err := vectorOf(col.Data(), &d.record[i])
		if err != nil {
			t.Fatal(err)
		}
		c.vectors = append(c.vectors, v)
	}
	return c
}

func newDecoder(t testing.TB, cols []table.Column) *Decoder {
	t.Helper()
	d, err := NewDecoder(cols)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func newEncoder(t testing.TB, fetched []table.Column, out []OutColumn, opts OutOptions) *Encoder {
	t.Helper()
	e, err := NewEncoder(fetched, out, opts)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// cells reads messages of any form back and checks their row counts, checksums and sizes.
func cells(t *testing.T, mem memory.Allocator, e *Encoder, outs []*Out) [][]any {
	t.Helper()
	cols := make([]table.Column, len(e.columns))
	for i, c := range e.columns {
		cols[i] = c.Column
	}
	var all [][]any
	for _, o := range outs {
		var size int
		switch {
		case o.Columns != nil:
			all = append(all, columnCells(t, cols, o)...)
			if o.CRC32C != columnsCRC(o.Columns.Columns, 0) {
				t.Error("columns: wrong crc32c")
			}
			size = proto.Size(o.Columns)
		case o.List != nil:
			all = append(all, rowCells(cols, o)...)
			size = proto.Size(o.List)
		default:
			all = append(all, arrowCells(t, mem, cols, e.Schema(), o)...)
			if o.CRC32C != CRC32C(o.Arrow.Pieces()...) {
				t.Error("arrow: wrong crc32c")
			}
			size = o.Arrow.Len()
		}
		if size > e.opts.MaxMessageBytes-messageSlack {
			t.Errorf("message of %d bytes, allowed %d", size, e.opts.MaxMessageBytes-messageSlack)
		}
		if o.Rows > e.opts.MaxBatchRows || o.Rows == 0 {
			t.Errorf("message of %d rows, allowed %d", o.Rows, e.opts.MaxBatchRows)
		}
		o.Release()
	}
	return all
}

// allOptions is every way to ask for rows.
func allOptions() []OutOptions {
	var all []OutOptions
	for _, c := range []OutCompression{OutUncompressed, OutLZ4Frame, OutZSTD} {
		for _, ts := range []ArrowTimestamp{TimestampNanos, TimestampMicros, TimestampStruct} {
			all = append(all, OutOptions{Format: OutArrow, Compression: c, ArrowTimestamp: ts, StringsAsBinary: c == OutZSTD})
		}
	}
	return append(all, OutOptions{Format: OutColumns}, OutOptions{Format: OutRows})
}

func (o OutOptions) name() string {
	return fmt.Sprintf("format %d compression %d timestamp %d rows %d bytes %d", o.Format, o.Compression, o.ArrowTimestamp, o.MaxBatchRows, o.MaxMessageBytes)
}

// cut brings expected cells to microseconds.
func cut(v any) any {
	switch v := v.(type) {
	case instant:
		return instant{v.sec, v.nano / 1000 * 1000}
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = cut(v[i])
		}
		return out
	case [][2]any:
		out := make([][2]any, len(v))
		for i := range v {
			out[i] = [2]any{cut(v[i][0]), cut(v[i][1])}
		}
		return out
	}
	return v
}

func cutRows(cols []table.Column, rows [][]any) [][]any {
	out := make([][]any, len(rows))
	for i, row := range rows {
		out[i] = make([]any, len(row))
		for k, v := range row {
			out[i][k] = v
			if cols[k].Type.Kind != table.KindIntervalDayTime {
				out[i][k] = cut(v)
			}
		}
	}
	return out
}

// All forms give the same values for random data of every type, whatever the source, the cutting and the limits.
func TestAllOutputFormsAgree(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	for _, opts := range allOptions() {
		for _, rowLimit := range []int{0, 7} {
			opts.MaxBatchRows = rowLimit
			opts.MaxMessageBytes = 64 << 10
			t.Run("records "+opts.name(), func(t *testing.T) {
				r := rand.New(rand.NewPCG(1, uint64(rowLimit)))
				cols := everyType()
				narrow := opts.Format == OutArrow && opts.ArrowTimestamp == TimestampNanos
				rows := randomRows(r, cols, 60, narrow)
				d := newDecoder(t, cols)
				e := newEncoder(t, cols, straight(cols), opts)
				outs := encode(t, e, recordChunk(t, mem, d, rows[:1]), recordChunk(t, mem, d, rows[1:40]), recordChunk(t, mem, d, rows[40:]))
				want := rows
				if opts.ArrowTimestamp == TimestampMicros {
					want = cutRows(cols, rows)
				}
				if diff := rowsDiff(want, cells(t, mem, e, outs)); diff != "" {
					t.Errorf("rows differ: %s", diff)
				}
			})
			t.Run("arrow "+opts.name(), func(t *testing.T) {
				r := rand.New(rand.NewPCG(2, uint64(rowLimit)))
				cols := arrowTypes()
				rows := randomRows(r, cols, 60, true)
				d := newDecoder(t, cols)
				e := newEncoder(t, cols, straight(cols), opts)
				var chunks []*Chunk
				for _, part := range [][][]any{rows[:3], rows[3:4], rows[4:45], rows[45:]} {
					chunks = append(chunks, messageChunk(t, mem, d, part, 100+r.IntN(1000)))
				}
				want := rows
				if opts.ArrowTimestamp == TimestampMicros {
					want = cutRows(cols, rows)
				}
				if diff := rowsDiff(want, cells(t, mem, e, encode(t, e, chunks...))); diff != "" {
					t.Errorf("rows differ: %s", diff)
				}
			})
		}
	}
}

func messageChunk(t testing.TB, mem memory.Allocator, d *Decoder, rows [][]any, piece int, opts ...ipc.Option) *Chunk {
	t.Helper()
	b := arrowBatch(mem, d.columns, rows, TimestampNanos)
	defer b.Release()
	c, err := d.Message(arrowMessage(t, b, piece, append(opts, ipc.WithAllocator(mem))...))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func bigints(n int) ([]table.Column, [][]any) {
	cols := []table.Column{{Name: "id", Type: table.MustParseType("bigint")}}
	rows := make([][]any, n)
	for i := range rows {
		rows[i] = []any{int64(i)}
	}
	return cols, rows
}

// A large message in the client's own layout leaves byte for byte, by reference.
func TestEqualLayoutPassesThrough(t *testing.T) {
	mem := memory.NewGoAllocator()
	cols, rows := bigints(32 << 10)
	d := newDecoder(t, cols)
	e := newEncoder(t, cols, straight(cols), OutOptions{})
	c := messageChunk(t, mem, d, rows, 64<<10)
	first := &c.msg.Pieces()[0][0]
	outs := encode(t, e, c)
	if len(outs) != 1 || &outs[0].Arrow.Pieces()[0][0] != first {
		t.Fatalf("%d messages, or the bytes were copied", len(outs))
	}
	if diff := rowsDiff(rows, cells(t, mem, e, outs)); diff != "" {
		t.Error(diff)
	}
}

func TestPassedMessageIsReleasedOnce(t *testing.T) {
	cols, rows := bigints(32 << 10)
	d := newDecoder(t, cols)
	b := arrowBatch(memory.NewGoAllocator(), cols, rows, TimestampNanos)
	released := 0
	for _, opts := range []OutOptions{{}, {Format: OutColumns}} {
		released = 0
		msg := NewPayload(func() { released++ }, arrowMessage(t, b, 1<<30).Pieces()...)
		c, err := d.Message(msg)
		if err != nil {
			t.Fatal(err)
		}
		outs := encode(t, newEncoder(t, cols, straight(cols), opts), c)
		if opts.Format == 0 && released != 0 {
			t.Error("released before the message was sent")
		}
		for _, o := range outs {
			o.Release()
		}
		if released != 1 {
			t.Errorf("format %d: released %d times, want 1", opts.Format, released)
		}
	}
}

// A table uploaded three rows at a time does not leave three rows at a time.
func TestTinyMessagesAreMerged(t *testing.T) {
	mem := memory.NewGoAllocator()
	cols, rows := bigints(30_000)
	d := newDecoder(t, cols)
	e := newEncoder(t, cols, straight(cols), OutOptions{})
	var chunks []*Chunk
	for i := 0; i < len(rows); i += 3 {
		chunks = append(chunks, messageChunk(t, mem, d, rows[i:i+3], 1<<20))
	}
	outs := encode(t, e, chunks...)
	if most := len(rows)*8/(128<<10) + 1; len(outs) > most {
		t.Errorf("%d messages for 240 kB, want at most %d", len(outs), most)
	}
	if diff := rowsDiff(rows, cells(t, mem, e, outs)); diff != "" {
		t.Error(diff)
	}
}

func TestLargeMessageIsSplit(t *testing.T) {
	mem := memory.NewGoAllocator()
	cols, rows := bigints(20_000)
	d := newDecoder(t, cols)
	for _, opts := range []OutOptions{{MaxMessageBytes: 10_000}, {MaxBatchRows: 999}, {MaxMessageBytes: 1 << 20, MaxBatchRows: 19_999}} {
		e := newEncoder(t, cols, straight(cols), opts)
		outs := encode(t, e, messageChunk(t, mem, d, rows, 64<<10))
		if len(outs) < 2 {
			t.Errorf("%s: not split", opts.name())
		}
		if diff := rowsDiff(rows, cells(t, mem, e, outs)); diff != "" {
			t.Error(diff)
		}
	}
}

func TestRowTooLargeForAMessageSaysWhatItNeeds(t *testing.T) {
	mem := memory.NewGoAllocator()
	cols := []table.Column{{Name: "s", Type: table.MustParseType("string")}}
	rows := [][]any{{"a"}, {"b"}, {string(make([]byte, 9000))}, {"c"}}
	d := newDecoder(t, cols)
	for _, opts := range allOptions() {
		opts.MaxMessageBytes = 8 << 10
		e := newEncoder(t, cols, straight(cols), opts)
		var got []*Out
		emit := func(o *Out) error { got = append(got, o); return nil }
		err := e.Add(100, messageChunk(t, mem, d, rows, 1<<20), emit)
		var ae *apierr.Error
		if !asError(err, &ae) || ae.Reason() != apierr.MessageTooLarge || ae.Meta("row") != "102" {
			t.Fatalf("%s: Add = %v, want MESSAGE_TOO_LARGE of row 102", opts.name(), err)
		}
		if n := len(cells(t, mem, e, got)); n != 2 {
			t.Errorf("%s: %d rows before the bad one, want 2", opts.name(), n)
		}
		need, err := strconv.Atoi(ae.Meta("needed"))
		if err != nil {
			t.Fatal(err)
		}
		opts.MaxMessageBytes = need
		e = newEncoder(t, cols, straight(cols), opts)
		if outs := encode(t, e, messageChunk(t, mem, d, rows, 1<<20)); len(cells(t, mem, e, outs)) != 4 {
			t.Errorf("%s: the size said to be needed does not do", opts.name())
		}
	}
}

// Values outside int64 nanoseconds are refused by NANOS, at any depth, and never wrapped; the rows before them leave.
func TestTimestampOutOfRangeIsRefused(t *testing.T) {
	mem := memory.NewGoAllocator()
	edge := map[instant]bool{
		{9223372036, 854775807}: true, {9223372036, 854775808}: false, {-9223372037, 145224192}: true,
		{-9223372037, 145224191}: false, {253402300799, 0}: false, {-62135596800, 0}: false, {0, 0}: true, {-1, 999999999}: true,
	}
	for _, text := range []string{"timestamp", "timestamp_ntz", "array<timestamp>", "map<string,struct<a:timestamp>>"} {
		cols := []table.Column{{Name: "id", Type: table.MustParseType("bigint")}, {Name: "ts", Type: table.MustParseType(text)}}
		for at, fits := range edge {
			var v any = at
			switch text {
			case "array<timestamp>":
				v = []any{nil, at}
			case "map<string,struct<a:timestamp>>":
				v = [][2]any{{"k", []any{at}}}
			}
			rows := [][]any{{int64(1), nil}, {int64(2), v}, {int64(3), nil}}
			d := newDecoder(t, cols)
			e := newEncoder(t, cols, straight(cols), OutOptions{})
			var got []*Out
			emit := func(o *Out) error { got = append(got, o); return nil }
			err := e.Add(40, recordChunk(t, mem, d, rows), emit)
			if ferr := e.Flush(emit); ferr != nil {
				t.Fatal(ferr)
			}
			have := cells(t, mem, e, got)
			if fits {
				if diff := rowsDiff(rows, have); err != nil || diff != "" {
					t.Errorf("%s %v: %v %s", text, at, err, diff)
				}
				continue
			}
			var ae *apierr.Error
			if !asError(err, &ae) || ae.Reason() != apierr.TypeMismatch || ae.Meta("row") != "41" || ae.Meta("column") != "ts" || ae.Meta("choices") == "" {
				t.Errorf("%s %v: Add = %v, want TYPE_MISMATCH of row 41 column ts with choices", text, at, err)
			}
			if diff := rowsDiff(rows[:1], have); diff != "" {
				t.Errorf("%s %v: rows before: %s", text, at, diff)
			}
		}
	}
}

func TestColumnsAreReorderedAndPartitionValuesAdded(t *testing.T) {
	mem := memory.NewGoAllocator()
	fetched := []table.Column{{Name: "a", Type: table.MustParseType("bigint")}, {Name: "b", Type: table.MustParseType("string")}}
	levels := []table.Column{
		{Name: "dt", Type: table.MustParseType("string")}, {Name: "hr", Type: table.MustParseType("tinyint")},
		{Name: "day", Type: table.MustParseType("date")},
	}
	out := []OutColumn{{levels[1], PartitionColumn}, {fetched[1], 1}, {levels[0], PartitionColumn}, {fetched[0], 0}, {levels[2], PartitionColumn}}
	rows := [][]any{{int64(1), "x"}, {nil, nil}, {int64(3), ""}}
	d := newDecoder(t, fetched)
	for _, opts := range allOptions() {
		e := newEncoder(t, fetched, out, opts)
		spec := table.Spec{{Column: "DT", Value: "2024"}, {Column: "hr", Value: "-5"}, {Column: "day", Value: "1969-12-31"}}
		if err := e.Start(spec); err != nil {
			t.Fatal(err)
		}
		outs := encode(t, e, messageChunk(t, mem, d, rows, 1<<20))
		want := [][]any{{int64(-5), "x", "2024", int64(1), int64(-1)}, {int64(-5), nil, "2024", nil, int64(-1)}, {int64(-5), "", "2024", int64(3), int64(-1)}}
		if diff := rowsDiff(want, cells(t, mem, e, outs)); diff != "" {
			t.Errorf("%s: %s", opts.name(), diff)
		}
	}
	e := newEncoder(t, fetched, out, OutOptions{})
	err := e.Start(table.Spec{{Column: "dt", Value: "x"}, {Column: "hr", Value: "1000"}, {Column: "day", Value: "1969-12-31"}})
	if !apierr.Is(err, apierr.TypeMismatch) {
		t.Errorf("Start with hr=1000: %v, want TYPE_MISMATCH", err)
	}
}

// Large messages are put in order and joined by partition columns without a copy, whatever pieces they came in.
func TestGatheredMessagesKeepTheirBuffers(t *testing.T) {
	mem := memory.NewGoAllocator()
	fetched := arrowTypes()
	levels := []table.Column{{Name: "dt", Type: table.MustParseType("string")}, {Name: "hr", Type: table.MustParseType("smallint")}}
	out := []OutColumn{{levels[0], PartitionColumn}}
	for i := len(fetched) - 1; i > 0; i-- { // the first is left out
		out = append(out, OutColumn{fetched[i], i})
	}
	out = append(out, OutColumn{levels[1], PartitionColumn})
	rows := randomRows(rand.New(rand.NewPCG(21, 22)), fetched, 401, true)
	want := make([][]any, len(rows))
	for i, row := range rows {
		want[i] = append(want[i], "2024")
		for k := len(row) - 1; k > 0; k-- {
			want[i] = append(want[i], row[k])
		}
		want[i] = append(want[i], int64(7))
	}
	d := newDecoder(t, fetched)
	b := arrowBatch(mem, fetched, rows, TimestampNanos)
	for _, piece := range []int{100, 1000, 1 << 30} {
		e := newEncoder(t, fetched, out, OutOptions{})
		if err := e.Start(table.Spec{{Column: "dt", Value: "2024"}, {Column: "hr", Value: "7"}}); err != nil {
			t.Fatal(err)
		}
		released := 0
		c, err := d.Message(NewPayload(func() { released++ }, arrowMessage(t, b, piece).Pieces()...))
		if err != nil {
			t.Fatal(err)
		}
		if !e.gatherable(c) {
			t.Fatalf("a message of %d bytes is not gathered", c.msg.Len())
		}
		outs := encode(t, e, c)
		if len(outs) != 1 || released != 0 {
			t.Fatalf("%d messages, %d released before they were sent, want 1 and 0", len(outs), released)
		}
		if diff := rowsDiff(want, cells(t, mem, e, outs)); diff != "" {
			t.Errorf("pieces of %d: %s", piece, diff)
		}
		if released != 1 {
			t.Errorf("released %d times, want 1", released)
		}
	}
}

func TestPartitionColumnsAlone(t *testing.T) {
	mem := memory.NewGoAllocator()
	out := []OutColumn{{table.Column{Name: "dt", Type: table.MustParseType("string")}, PartitionColumn}}
	d := newDecoder(t, nil)
	for _, opts := range allOptions() {
		e := newEncoder(t, nil, out, opts)
		if err := e.Start(table.Spec{{Column: "dt", Value: "2024"}}); err != nil {
			t.Fatal(err)
		}
		got := cells(t, mem, e, encode(t, e, d.Constant(9_000), d.Constant(5)))
		if len(got) != 9_005 || got[0][0] != "2024" || got[9_004][0] != "2024" {
			t.Errorf("%s: %d rows", opts.name(), len(got))
		}
	}
}

func TestTextThatIsNotUTF8TravelsUnchanged(t *testing.T) {
	mem := memory.NewGoAllocator()
	cols := []table.Column{{Name: "s", Type: table.MustParseType("string")}}
	rows := [][]any{{"\xff\x00"}}
	d := newDecoder(t, cols)
	for _, opts := range allOptions() {
		e := newEncoder(t, cols, straight(cols), opts)
		outs := encode(t, e, messageChunk(t, mem, d, rows, 1<<20))
		if opts.Format == OutRows {
			if got := outs[0].List.Rows[0].Values[0].GetBinary(); !bytes.Equal(got, []byte("\xff\x00")) {
				t.Errorf("rows: %v, want binary", outs[0].List.Rows[0].Values[0])
			}
		}
		if diff := rowsDiff(rows, cells(t, mem, e, outs)); diff != "" {
			t.Errorf("%s: %s", opts.name(), diff)
		}
	}
}

func TestCompressedUpstreamMessagesAreRead(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	cols := arrowTypes()
	rows := randomRows(rand.New(rand.NewPCG(5, 6)), cols, 150, true)
	d := newDecoder(t, cols)
	for _, up := range []ipc.Option{ipc.WithLZ4(), ipc.WithZstd()} {
		for _, opts := range []OutOptions{{}, {Compression: OutZSTD}, {Compression: OutLZ4Frame}, {Format: OutColumns}} {
			e := newEncoder(t, cols, straight(cols), opts)
			outs := encode(t, e, messageChunk(t, mem, d, rows, 999, up))
			if diff := rowsDiff(rows, cells(t, mem, e, outs)); diff != "" {
				t.Errorf("%s: %s", opts.name(), diff)
			}
		}
	}
}

// A message passes only in the compression that was asked for.
func TestCompressionIsTheOneAskedFor(t *testing.T) {
	mem := memory.NewGoAllocator()
	cols, rows := bigints(60_000)
	d := newDecoder(t, cols)
	for up, option := range map[int8][]ipc.Option{codecNone: nil, codecLZ4: {ipc.WithLZ4()}, codecZSTD: {ipc.WithZstd()}} {
		for asked, codec := range map[OutCompression]int8{OutUncompressed: codecNone, OutLZ4Frame: codecLZ4, OutZSTD: codecZSTD} {
			e := newEncoder(t, cols, straight(cols), OutOptions{Compression: asked})
			c := messageChunk(t, mem, d, rows, 1<<30, option...)
			if c.header.codec != up || c.msg.Len() < coalesceBytes/4 {
				t.Fatalf("upstream message of %d bytes, codec %d", c.msg.Len(), c.header.codec)
			}
			outs := encode(t, e, c)
			for _, o := range outs {
				if h, err := parseHeader(o.Arrow); err != nil || h.codec != codec {
					t.Errorf("upstream %d, asked for %d: got %d, %v", up, codec, h.codec, err)
				}
			}
			if diff := rowsDiff(rows, cells(t, mem, e, outs)); diff != "" {
				t.Error(diff)
			}
		}
	}
}

func TestFetchFormKeepsWhatArrowWouldLose(t *testing.T) {
	micros, structs := OutOptions{ArrowTimestamp: TimestampMicros}, OutOptions{ArrowTimestamp: TimestampStruct}
	for _, c := range []struct {
		typ  string
		opts OutOptions
		want Form
	}{
		{"bigint", OutOptions{}, FormArrow}, {"bigint", OutOptions{Format: OutRows}, FormArrow},
		{"timestamp", OutOptions{}, FormArrow}, {"timestamp", micros, FormRecord}, {"timestamp_ntz", structs, FormRecord},
		{"timestamp", OutOptions{Format: OutColumns}, FormRecord}, {"array<timestamp>", OutOptions{Format: OutRows}, FormRecord},
		{"datetime", OutOptions{Format: OutRows}, FormArrow}, {"decimal(38,1)", OutOptions{}, FormArrow},
		{"decimal(39,1)", OutOptions{}, FormRecord}, {"decimal", OutOptions{}, FormRecord},
		{"interval_day_time", OutOptions{}, FormRecord}, {"map<string,interval_year_month>", OutOptions{}, FormRecord},
	} {
		cols := []table.Column{{Name: "a", Type: table.MustParseType("int")}, {Name: "b", Type: table.MustParseType(c.typ)}}
		if got := FetchForm(cols, c.opts); got != c.want {
			t.Errorf("FetchForm(%s, %s) = %s, want %s", c.typ, c.opts.name(), got, c.want)
		}
	}
}

func TestContradictingOptionsAreRefused(t *testing.T) {
	cols, _ := bigints(0)
	for _, opts := range []OutOptions{{Format: 4}, {Compression: 4}, {ArrowTimestamp: 4}, {Format: OutRows, Compression: OutZSTD}} {
		if _, err := NewEncoder(cols, straight(cols), opts); !apierr.Is(err, apierr.BadArgument) {
			t.Errorf("NewEncoder(%s) = %v, want BAD_ARGUMENT", opts.name(), err)
		}
	}
}
