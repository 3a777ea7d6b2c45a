package zerocopy

import (
	"google.golang.org/protobuf/encoding/protowire"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
)

// The scalar fields of a RowBatch. Frozen (api.md 4.4).
const (
	fieldBatchID  = 1
	fieldOffset   = 2
	fieldRowCount = 3
	fieldSchemaID = 4
	fieldCRC32C   = 5
)

// readHead reads the fields of a batch that stand before its payload. It is false, and b is to be read by protobuf-go,
// if there is anything but the five scalar fields. The head comes with every batch: read here it costs a tenth, and no
// deep stack on the goroutine of a stream.
func readHead(head []byte, b *sluicev1.RowBatch) bool {
	var id, offset, rows, schema uint64
	var sum *uint32
	for len(head) > 0 {
		num, typ, n := protowire.ConsumeTag(head)
		if n < 0 {
			return false
		}
		head = head[n:]
		switch {
		case num == fieldCRC32C && typ == protowire.Fixed32Type:
			v, n := protowire.ConsumeFixed32(head)
			if n < 0 {
				return false
			}
			sum, head = &v, head[n:]
		case num <= fieldSchemaID && typ == protowire.VarintType:
			v, n := protowire.ConsumeVarint(head)
			if n < 0 {
				return false
			}
			head = head[n:]
			switch num {
			case fieldBatchID:
				id = v
			case fieldOffset:
				offset = v
			case fieldRowCount:
				rows = v
			case fieldSchemaID:
				schema = v
			}
		default:
			return false
		}
	}
	b.BatchId, b.Offset, b.RowCount, b.SchemaId, b.Crc32C = int64(id), int64(offset), int32(rows), int32(schema), sum
	return true
}
