package client

import (
	"hash/crc32"

	"github.com/apache/arrow-go/v18/arrow"
	"google.golang.org/protobuf/proto"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
)

// schemaDefinition is one way in which batches of this Writer name their columns; its index in Writer.schemas is its id
// on every stream.
type schemaDefinition struct {
	arrow   *arrow.Schema // nil for columns and rows
	plain   bool          // fits columns and rows
	wire    *sluicev1.SchemaDefinition
	refused *RejectedError // the server's no
}

// defineFirstSchema makes definition 0, which travels in the open.
func (w *Writer) defineFirstSchema() error {
	if w.cfg.Schema != nil {
		_, err := w.arrowSchemaID(plainSchema(w.cfg.Schema))
		return err
	}
	_, err := w.plainSchemaID()
	return err
}

// arrowSchemaID returns the id for Arrow batches of a schema, defining it if it is new.
func (w *Writer) arrowSchemaID(schema *arrow.Schema) (int32, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, def := range w.schemas {
		if def.arrow == schema || (def.arrow != nil && def.arrow.Equal(schema)) {
			return int32(id), refusal(def) //nolint:gosec // at most 64
		}
	}
	wire, err := encodeSchema(schema)
	if err != nil {
		return 0, err
	}
	return w.define(schemaDefinition{arrow: schema, wire: &sluicev1.SchemaDefinition{ColumnIndices: w.cfg.Indices, ArrowSchema: wire}})
}

// plainSchemaID returns the id for columns and rows.
func (w *Writer) plainSchemaID() (int32, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, def := range w.schemas {
		if def.plain {
			return int32(id), refusal(def) //nolint:gosec // at most 64
		}
	}
	wire := &sluicev1.SchemaDefinition{ColumnIndices: w.cfg.Indices, Columns: w.cfg.Columns}
	return w.define(schemaDefinition{plain: true, wire: wire})
}

func refusal(def schemaDefinition) error {
	if def.refused != nil {
		return def.refused.Err
	}
	return nil
}

func (w *Writer) define(def schemaDefinition) (int32, error) {
	id := len(w.schemas)
	if limit := int(w.limits.GetMaxSchemas()); limit > 0 && id >= limit {
		return 0, badArgument("more than %d different schemas in one writer", limit)
	}
	def.wire.SchemaId = int32(id) //nolint:gosec // at most 64
	w.schemas = append(w.schemas, def)
	return def.wire.GetSchemaId(), nil
}

// columnsCRC returns the CRC-32C of columns as api.md 4.6 defines it, and their size.
func columnsCRC(cols *sluicev1.ColumnBatch) (crc uint32, size int64) {
	var walk func([]*sluicev1.ColumnData)
	walk = func(columns []*sluicev1.ColumnData) {
		for _, c := range columns {
			for _, b := range [][]byte{c.GetValidity(), c.GetOffsets(), c.GetData(), c.GetNanos()} {
				crc = crc32.Update(crc, castagnoli, b)
				size += int64(len(b))
			}
			walk(c.GetChildren())
		}
	}
	walk(cols.GetColumns())
	return crc, size
}

func rowListBytes(list *sluicev1.RowList) int64 { return int64(proto.Size(list)) }
