package batch_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/batch"
	"github.com/sluice-io/sluice/service/internal/table"
)

// hostileColumns holds every layout that a message of the default definition may have.
func hostileColumns() []table.Column {
	return columns("bigint", "string", "boolean", "timestamp", "decimal(10,2)", "date", "array<string>", "map<string,double>", "struct<a:json,b:array<float>>", "datetime")
}

// expectReason is all that may go wrong with an untrusted batch.
func expectReason(t *testing.T, err error) {
	t.Helper()
	switch apierr.ReasonOf(err) {
	case apierr.BadArgument, apierr.BadValues, apierr.TypeMismatch, apierr.TooLarge, apierr.TypeUnsupported, apierr.BadColumn:
	default:
		t.Fatalf("error %v", err)
	}
}

// checkHostile checks a message that may be anything, in the table's own layout and through casts to text, where every
// value is read. What is accepted must be readable by arrow-go.
func checkHostile(t *testing.T, cols []table.Column, definition, body []byte, n int32) {
	t.Helper()
	own := compile(t, cols, batch.Definition{}, 0)
	in := func() batch.Incoming { return batch.Incoming{Rows: n, Arrow: cutPayload(body, 64)} }
	if c, err := own.Check(in()); err != nil {
		expectReason(t, err)
	} else if got := checkedRows(t, cols, c); len(got) != int(n) {
		t.Fatalf("%d rows, want %d", len(got), n)
	}
	l, err := batch.Compile(&table.Schema{Columns: textColumns(cols)}, batch.Definition{ArrowSchema: definition}, 0, batch.DefaultLimits())
	if err != nil {
		expectReason(t, err)
		return
	}
	if c, err := l.Check(in()); err != nil {
		expectReason(t, err)
	} else {
		checkedRows(t, textColumns(cols), c)
		c.Release()
	}
}

// textColumns makes STRING of every scalar, at all depths.
func textColumns(cols []table.Column) []table.Column {
	out := make([]table.Column, len(cols))
	for i, c := range cols {
		out[i] = c
		if len(c.Type.Children) == 0 {
			out[i].Type = table.MustParseType("string")
		} else {
			out[i].Type.Children = textColumns(c.Type.Children)
		}
	}
	return out
}

func hostileBatch(t testing.TB, opts ...ipc.Option) (cols []table.Column, definition, body []byte, n int32) {
	t.Helper()
	cols = hostileColumns()
	data := randomRows(rand.New(rand.NewPCG(8, 9)), cols, 5, true)
	rec := arrowBatch(batch.ArrowSchema(cols, batch.SchemaOptions{}), cols, data)
	defer rec.Release()
	definition, body = arrowMessages(t, rec, opts...)
	return cols, definition, body, 5
}

// Whatever single byte is changed, a message is refused with a reason, or it is a valid batch.
func TestHostileMessages(t *testing.T) {
	for name, opts := range map[string][]ipc.Option{"plain": nil, "lz4": {ipc.WithLZ4()}, "zstd": {ipc.WithZstd()}} {
		cols, definition, body, n := hostileBatch(t, opts...)
		r := rand.New(rand.NewPCG(1, 1))
		step := 2 // of the packed ones the metadata is the same
		if opts != nil {
			step = 9
		}
		for i := 0; i < len(body); i += step {
			bad := bytes.Clone(body)
			switch r.IntN(3) {
			case 0:
				bad[i] ^= 1 << r.IntN(8)
			case 1:
				bad[i] = byte(r.IntN(256))
			default:
				copy(bad[i:], []byte{0xff, 0xff, 0xff, 0x7f})
			}
			checkHostile(t, cols, definition, bad, n)
			if t.Failed() {
				t.Fatalf("%s, byte %d", name, i)
			}
		}
	}
}

// The same for the schema: it is refused or compiles, and its layout survives a batch of another.
func TestHostileSchemas(t *testing.T) {
	cols, definition, body, n := hostileBatch(t)
	r := rand.New(rand.NewPCG(2, 1))
	for i := range definition {
		bad := bytes.Clone(definition)
		bad[i] = byte(r.IntN(256))
		checkHostileSchema(t, cols, bad, body, n)
	}
}

func checkHostileSchema(t *testing.T, cols []table.Column, definition, body []byte, n int32) {
	t.Helper()
	l, err := batch.Compile(&table.Schema{Columns: cols}, batch.Definition{ArrowSchema: definition}, 0, batch.DefaultLimits())
	if err != nil {
		expectReason(t, err)
		return
	}
	c, err := l.Check(batch.Incoming{Rows: n, Arrow: wholePayload(body)})
	if err != nil {
		expectReason(t, err)
		return
	}
	checkedRows(t, cols, c)
}

// A schema whose fields share one table describes exponentially many; reading it must stay cheap.
func TestHostileSharedFields(t *testing.T) {
	cols, definition, _, _ := hostileBatch(t)
	for at := 8; at+4 <= len(definition); at += 4 { // point every offset at every place nearby
		for _, off := range []uint32{0, 8, 1 << 31} {
			bad := bytes.Clone(definition)
			binary.LittleEndian.PutUint32(bad[at:], off)
			if _, err := batch.Compile(&table.Schema{Columns: cols}, batch.Definition{ArrowSchema: bad}, 0, batch.DefaultLimits()); err != nil {
				expectReason(t, err)
			}
		}
	}
}

func FuzzCheckArrow(f *testing.F) {
	for _, opts := range [][]ipc.Option{nil, {ipc.WithLZ4()}, {ipc.WithZstd()}} {
		_, definition, body, n := hostileBatch(f, opts...)
		f.Add(definition, body, n)
	}
	bt := arrow.BinaryTypes
	for _, typ := range []arrow.DataType{bt.StringView, bt.LargeString, arrow.ListViewOf(bt.String), arrow.FixedSizeListOf(2, arrow.PrimitiveTypes.Int8), arrow.Null} {
		rec := arrowBatch(arrow.NewSchema([]arrow.Field{{Name: "c1", Type: typ, Nullable: true}}, nil), columns("string"), rows{{nil}, {nil}})
		definition, body := arrowMessages(f, rec)
		f.Add(definition, body, int32(2))
	}
	cols := hostileColumns()
	f.Fuzz(func(t *testing.T, definition, body []byte, n int32) {
		if n < 0 || n > 1000 {
			return
		}
		checkHostileSchema(t, cols, definition, body, n)
		checkHostile(t, cols, definition, body, n)
	})
}

func FuzzRecordDecoder(f *testing.F) {
	cols := append(hostileColumns(), columns("interval_day_time", "decimal", "timestamp_ntz", "char(2)", "binary", "tinyint")...)
	r := rand.New(rand.NewPCG(8, 9))
	for n := range 4 {
		f.Add(records(f, cols, randomRows(r, cols, n, true)))
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		err := decodeError(cols, stream, batch.RecordOptions{TimestampStruct: true})
		if errors.Is(err, io.EOF) { // whole and verified: encoding it again may spell numbers shorter, no more
			decodeRecords(t, cols, stream)
		}
	})
}
