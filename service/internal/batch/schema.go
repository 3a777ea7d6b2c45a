package batch

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"

	"github.com/sluice-io/sluice/service/internal/table"
)

// SchemaOptions chooses among the Arrow layouts of one type. The zero value is timestamp[ns] and utf8.
type SchemaOptions struct {
	Timestamp       ArrowTimestamp // of TIMESTAMP and TIMESTAMP_NTZ
	StringsAsBinary bool           // STRING, CHAR, VARCHAR and JSON as binary
}

// TypeMetadataKey is the key of Arrow field metadata that holds the type's text (api.md 4.2).
const TypeMetadataKey = "sluice:type"

// ArrowSchema is the canonical read layout of the columns: the first Arrow entries of api.md 4.2. Types must be valid.
func ArrowSchema(cols []table.Column, opts SchemaOptions) *arrow.Schema {
	fields := make([]arrow.Field, len(cols))
	for i := range cols {
		fields[i] = arrowField(&cols[i], opts)
		fields[i].Metadata = arrow.MetadataFrom(map[string]string{TypeMetadataKey: cols[i].Type.String()})
	}
	return arrow.NewSchema(fields, nil)
}

func arrowField(c *table.Column, opts SchemaOptions) arrow.Field {
	return arrow.Field{Name: c.Name, Type: arrowType(&c.Type, opts), Nullable: !c.NotNull}
}

var secondsAndNanos = arrow.StructOf(
	arrow.Field{Name: "seconds", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
	arrow.Field{Name: "nanos", Type: arrow.PrimitiveTypes.Int32, Nullable: true},
)

var plainArrowTypes = map[table.Kind]arrow.DataType{
	table.KindBoolean:           arrow.FixedWidthTypes.Boolean,
	table.KindTinyint:           arrow.PrimitiveTypes.Int8,
	table.KindSmallint:          arrow.PrimitiveTypes.Int16,
	table.KindInt:               arrow.PrimitiveTypes.Int32,
	table.KindBigint:            arrow.PrimitiveTypes.Int64,
	table.KindFloat:             arrow.PrimitiveTypes.Float32,
	table.KindDouble:            arrow.PrimitiveTypes.Float64,
	table.KindBinary:            arrow.BinaryTypes.Binary,
	table.KindDate:              arrow.FixedWidthTypes.Date32,
	table.KindDatetime:          &arrow.TimestampType{Unit: arrow.Millisecond, TimeZone: "UTC"},
	table.KindIntervalDayTime:   secondsAndNanos,
	table.KindIntervalYearMonth: arrow.PrimitiveTypes.Int32,
}

func arrowType(t *table.Type, opts SchemaOptions) arrow.DataType {
	if plain, ok := plainArrowTypes[t.Kind]; ok {
		return plain
	}
	switch t.Kind {
	case table.KindDecimal:
		if t.Precision <= 38 {
			return &arrow.Decimal128Type{Precision: int32(t.Precision), Scale: int32(t.Scale)}
		}
		return &arrow.Decimal256Type{Precision: int32(t.Precision), Scale: int32(t.Scale)}
	case table.KindString, table.KindChar, table.KindVarchar, table.KindJSON:
		if opts.StringsAsBinary {
			return arrow.BinaryTypes.Binary
		}
		return arrow.BinaryTypes.String
	case table.KindTimestamp:
		return timestampType("UTC", opts)
	case table.KindTimestampNTZ:
		return timestampType("", opts)
	case table.KindArray:
		item := arrowField(&t.Children[0], opts)
		return arrow.ListOfField(item)
	case table.KindMap:
		return arrow.MapOf(arrowType(&t.Children[0].Type, opts), arrowType(&t.Children[1].Type, opts))
	case table.KindStruct:
		fields := make([]arrow.Field, len(t.Children))
		for i := range t.Children {
			fields[i] = arrowField(&t.Children[i], opts)
		}
		return arrow.StructOf(fields...)
	}
	panic(fmt.Sprintf("batch: type kind %d was never parsed", t.Kind))
}

func timestampType(zone string, opts SchemaOptions) arrow.DataType {
	switch opts.Timestamp {
	case TimestampStruct:
		return secondsAndNanos
	case TimestampMicros:
		return &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: zone}
	default:
		return &arrow.TimestampType{Unit: arrow.Nanosecond, TimeZone: zone}
	}
}

// SchemaOf is ArrowSchema as one encapsulated IPC Schema message.
func SchemaOf(cols []table.Column, opts SchemaOptions) []byte {
	var out bytes.Buffer
	w := ipc.NewWriter(&out, ipc.WithSchema(ArrowSchema(cols, opts)))
	if err := w.Close(); err != nil { // writes schema and end mark to memory
		panic(fmt.Sprintf("batch: write schema: %v", err))
	}
	b := out.Bytes()
	return b[:8+int(binary.LittleEndian.Uint32(b[4:]))]
}
