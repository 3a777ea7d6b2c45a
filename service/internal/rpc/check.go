package rpc

import (
	"context"
	"fmt"
	"hash/crc32"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/batch"
	"github.com/sluice-io/sluice/service/internal/table"
	"github.com/sluice-io/sluice/service/internal/write"
)

// checker turns the batches of one stream into what the tunnel takes. It knows the stream's schema definitions.
type checker struct {
	limits Limits
	cast   sluicev1.Cast
	schema *table.Schema
	first  *batch.Layout           // schema 0, which nearly every stream has alone
	more   map[int32]*batch.Layout // the others; nil until one is defined
}

// open is called by the engine with the table's schema at its place in the order of checks.
func (k *checker) open(s *table.Schema, d *sluicev1.SchemaDefinition) error {
	k.schema = s
	if d.GetSchemaId() != 0 {
		return missing("open.schema.schema_id", "must be 0 in open")
	}
	layout, err := k.compile(d, "open.schema")
	k.first = layout
	return err
}

func (k *checker) define(d *sluicev1.SchemaDefinition) error {
	id := d.GetSchemaId()
	if id < 0 || id >= int32(k.limits.MaxSchemas) {
		return missing("define_schema.schema_id", fmt.Sprintf("must be 0 to %d", k.limits.MaxSchemas-1))
	}
	layout, err := k.compile(d, "define_schema")
	if err != nil {
		return err
	}
	if id == 0 {
		k.first = layout
		return nil
	}
	if k.more == nil {
		k.more = make(map[int32]*batch.Layout)
	}
	k.more[id] = layout
	return nil
}

func (k *checker) compile(d *sluicev1.SchemaDefinition, field string) (*batch.Layout, error) {
	def := batch.Definition{ColumnIndices: d.GetColumnIndices(), ArrowSchema: d.GetArrowSchema()}
	if len(d.GetColumns()) > 0 && len(d.GetArrowSchema()) > 0 {
		return nil, missing(field, "columns and arrow_schema exclude each other")
	}
	for i, c := range d.GetColumns() {
		sent := batch.SentColumn{Name: c.GetName()}
		if c.GetType() != nil {
			t, err := typeOf(c.GetType(), fmt.Sprintf("%s.columns[%d].type", field, i))
			if err != nil {
				return nil, err
			}
			sent.Type = &t
		}
		def.Columns = append(def.Columns, sent)
	}
	return batch.Compile(k.schema, def, batch.Cast(k.cast), k.limits.Batch)
}

func (k *checker) layout(id int32) (*batch.Layout, error) {
	if id == 0 {
		return k.first, nil
	}
	if l := k.more[id]; l != nil {
		return l, nil
	}
	return nil, apierr.New(apierr.BadArgument, "batch names schema %d, which was not defined on this stream", id).With("field", "batch.schema_id")
}

// append offers a batch to the writer. It takes over the payload: the writer owns it, or it is freed here.
func (k *checker) append(ctx context.Context, w *write.Writer, b *sluicev1.RowBatch, payload mem.BufferSlice) (write.AppendResult, error) {
	in := batch.Incoming{Rows: b.GetRowCount(), Arrow: received(payload), Columns: b.GetColumns(), List: b.GetRows()}
	taken := false
	defer func() {
		if !taken {
			in.Arrow.Release()
		}
	}()
	if size := payloadSize(b, payload); size > k.limits.Batch.MaxMessageBytes {
		return write.AppendResult{}, apierr.New(apierr.MessageTooLarge, "the message is %d bytes long, the limit is %d: send smaller batches", size, k.limits.Batch.MaxMessageBytes).
			With("limit", fmt.Sprint(k.limits.Batch.MaxMessageBytes)).With("got", fmt.Sprint(size))
	}
	rows, err := rowCount(b)
	if err != nil {
		return write.AppendResult{}, err
	}
	layout, err := k.layout(b.GetSchemaId())
	if err != nil {
		return write.AppendResult{}, err
	}
	sum, err := verifySum(b, in)
	if err != nil {
		return write.AppendResult{}, err
	}
	return w.Append(ctx, write.RowOffset(b.GetOffset()), rows, sum, func() (*batch.Checked, error) {
		checked, err := layout.Check(in)
		taken = err == nil
		return checked, err
	})
}

// rowCount is the number of rows the batch claims; the check of the payload holds it to that.
func rowCount(b *sluicev1.RowBatch) (int, error) {
	if b.GetPayload() == nil {
		return 0, missing("batch.payload", "one of columns, rows and arrow is required")
	}
	if b.GetRowCount() < 0 {
		return 0, missing("batch.row_count", "must not be negative")
	}
	if b.GetOffset() < 0 {
		return 0, missing("batch.offset", "must not be negative")
	}
	list := b.GetRows()
	if list == nil {
		return int(b.GetRowCount()), nil
	}
	n := len(list.GetRows())
	if b.GetRowCount() != 0 && int(b.GetRowCount()) != n {
		return 0, apierr.New(apierr.BadValues, "row_count is %d, the batch holds %d rows", b.GetRowCount(), n)
	}
	return n, nil
}

// verifySum computes the checksum of the payload as sent and compares it with the client's, if it sent one.
func verifySum(b *sluicev1.RowBatch, in batch.Incoming) (uint32, error) {
	sum, has := in.CRC32C()
	switch {
	case !has && b.Crc32C != nil:
		return 0, missing("batch.crc32c", "rows have no checksum")
	case !has:
		return sumOfRows(b.GetRows())
	case b.Crc32C == nil:
		return sum, nil
	case *b.Crc32C != sum:
		return 0, apierr.New(apierr.ChecksumMismatch, "the payload was damaged on the way: crc32c is %08x, the client sent %08x", sum, *b.Crc32C)
	}
	return sum, nil
}

// sumOfRows recognises a replay of rows: a checksum over an encoding of them that is the same each time.
func sumOfRows(rows *sluicev1.RowList) (uint32, error) {
	encoded, err := proto.MarshalOptions{Deterministic: true}.Marshal(rows)
	if err != nil {
		return 0, missing("batch.rows", "cannot be encoded: "+err.Error())
	}
	return crc32.Checksum(encoded, castagnoli), nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// payloadSize is the size of a batch's message, as good as it matters: the few bytes around the payload are left out.
func payloadSize(b *sluicev1.RowBatch, payload mem.BufferSlice) int {
	if payload != nil {
		return payload.Len()
	}
	return proto.Size(b)
}
