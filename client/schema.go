package client

import (
	"fmt"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/arrow/scalar"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
)

// TypeMetadataKey is the key of the field metadata in which servers tell the MaxCompute type.
const TypeMetadataKey = "sluice:type"

// ArrowSchema returns the Arrow schema that the service uses for these columns: the first entries of the type table
// (api.md 4.2), with the MaxCompute type in each field's metadata. Batches of this schema, with all data columns, reach
// MaxCompute without conversion.
func ArrowSchema(columns []*sluicev1.Column) (*arrow.Schema, error) {
	fields := make([]arrow.Field, len(columns))
	for i, c := range columns {
		field, err := arrowField(c)
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", c.GetName(), err)
		}
		field.Metadata = arrow.NewMetadata([]string{TypeMetadataKey}, []string{c.GetType().GetText()})
		fields[i] = field
	}
	return arrow.NewSchema(fields, nil), nil
}

func arrowField(c *sluicev1.Column) (arrow.Field, error) {
	t, err := ArrowType(c.GetType())
	return arrow.Field{Name: c.GetName(), Type: t, Nullable: !c.GetNotNull()}, err
}

var arrowScalars = map[sluicev1.TypeKind]arrow.DataType{
	sluicev1.TypeKind_TYPE_KIND_BOOLEAN:             arrow.FixedWidthTypes.Boolean,
	sluicev1.TypeKind_TYPE_KIND_TINYINT:             arrow.PrimitiveTypes.Int8,
	sluicev1.TypeKind_TYPE_KIND_SMALLINT:            arrow.PrimitiveTypes.Int16,
	sluicev1.TypeKind_TYPE_KIND_INT:                 arrow.PrimitiveTypes.Int32,
	sluicev1.TypeKind_TYPE_KIND_BIGINT:              arrow.PrimitiveTypes.Int64,
	sluicev1.TypeKind_TYPE_KIND_FLOAT:               arrow.PrimitiveTypes.Float32,
	sluicev1.TypeKind_TYPE_KIND_DOUBLE:              arrow.PrimitiveTypes.Float64,
	sluicev1.TypeKind_TYPE_KIND_STRING:              arrow.BinaryTypes.String,
	sluicev1.TypeKind_TYPE_KIND_CHAR:                arrow.BinaryTypes.String,
	sluicev1.TypeKind_TYPE_KIND_VARCHAR:             arrow.BinaryTypes.String,
	sluicev1.TypeKind_TYPE_KIND_JSON:                arrow.BinaryTypes.String,
	sluicev1.TypeKind_TYPE_KIND_BINARY:              arrow.BinaryTypes.Binary,
	sluicev1.TypeKind_TYPE_KIND_DATE:                arrow.FixedWidthTypes.Date32,
	sluicev1.TypeKind_TYPE_KIND_DATETIME:            &arrow.TimestampType{Unit: arrow.Millisecond, TimeZone: "UTC"},
	sluicev1.TypeKind_TYPE_KIND_TIMESTAMP:           &arrow.TimestampType{Unit: arrow.Nanosecond, TimeZone: "UTC"},
	sluicev1.TypeKind_TYPE_KIND_TIMESTAMP_NTZ:       &arrow.TimestampType{Unit: arrow.Nanosecond},
	sluicev1.TypeKind_TYPE_KIND_INTERVAL_YEAR_MONTH: arrow.PrimitiveTypes.Int32,
	sluicev1.TypeKind_TYPE_KIND_INTERVAL_DAY_TIME: arrow.StructOf(
		arrow.Field{Name: "seconds", Type: arrow.PrimitiveTypes.Int64}, arrow.Field{Name: "nanos", Type: arrow.PrimitiveTypes.Int32}),
}

// ArrowType returns the Arrow type that the service uses for a MaxCompute type.
func ArrowType(t *sluicev1.DataType) (arrow.DataType, error) {
	if scalar, ok := arrowScalars[t.GetKind()]; ok {
		return scalar, nil
	}
	switch t.GetKind() {
	case sluicev1.TypeKind_TYPE_KIND_DECIMAL:
		return arrowDecimal(t), nil
	case sluicev1.TypeKind_TYPE_KIND_ARRAY, sluicev1.TypeKind_TYPE_KIND_MAP, sluicev1.TypeKind_TYPE_KIND_STRUCT:
		return arrowNested(t)
	}
	return nil, badArgument("no Arrow type for %q", t.GetText())
}

func arrowDecimal(t *sluicev1.DataType) arrow.DataType {
	precision, scale := t.GetPrecision(), t.GetScale()
	if precision == 0 {
		precision, scale = 54, 18 // plain DECIMAL
	}
	if precision > 38 {
		return &arrow.Decimal256Type{Precision: precision, Scale: scale}
	}
	return &arrow.Decimal128Type{Precision: precision, Scale: scale}
}

func arrowNested(t *sluicev1.DataType) (arrow.DataType, error) {
	fields := make([]arrow.Field, len(t.GetChildren()))
	for i, child := range t.GetChildren() {
		field, err := arrowField(child)
		if err != nil {
			return nil, err
		}
		fields[i] = field
	}
	switch {
	case t.GetKind() == sluicev1.TypeKind_TYPE_KIND_ARRAY && len(fields) == 1:
		return arrow.ListOf(fields[0].Type), nil
	case t.GetKind() == sluicev1.TypeKind_TYPE_KIND_MAP && len(fields) == 2:
		return arrow.MapOf(fields[0].Type, fields[1].Type), nil
	case t.GetKind() == sluicev1.TypeKind_TYPE_KIND_STRUCT:
		return arrow.StructOf(fields...), nil
	}
	return nil, badArgument("type %q has %d children", t.GetText(), len(fields))
}

// TypeText returns the MaxCompute type that holds all values of an Arrow type, for tables made from files.
func TypeText(t arrow.DataType) (string, error) {
	switch t := t.(type) {
	case *arrow.DictionaryType:
		return TypeText(t.ValueType)
	case arrow.DecimalType:
		return decimalText(t)
	case *arrow.TimestampType:
		return timestampText(t), nil
	case *arrow.MapType:
		return mapText(t)
	case arrow.ListLikeType:
		elem, err := TypeText(t.Elem())
		return "array<" + elem + ">", err
	case *arrow.StructType:
		return structText(t)
	}
	if text, ok := scalarTexts[t.ID()]; ok {
		return text, nil
	}
	return "", badArgument("no MaxCompute type holds Arrow's %s", t)
}

var scalarTexts = map[arrow.Type]string{
	arrow.NULL: "string", arrow.BOOL: "boolean",
	arrow.INT8: "tinyint", arrow.INT16: "smallint", arrow.INT32: "int", arrow.INT64: "bigint",
	arrow.UINT8: "smallint", arrow.UINT16: "int", arrow.UINT32: "bigint", arrow.UINT64: "decimal(20,0)",
	arrow.FLOAT16: "float", arrow.FLOAT32: "float", arrow.FLOAT64: "double",
	arrow.STRING: "string", arrow.LARGE_STRING: "string", arrow.STRING_VIEW: "string",
	arrow.BINARY: "binary", arrow.LARGE_BINARY: "binary", arrow.BINARY_VIEW: "binary", arrow.FIXED_SIZE_BINARY: "binary",
	arrow.DATE32: "date", arrow.DATE64: "date",
}

func decimalText(t arrow.DecimalType) (string, error) {
	if t.GetPrecision() > 38 {
		return "", badArgument("no MaxCompute type holds Arrow's %s: a decimal has at most 38 digits", t)
	}
	return fmt.Sprintf("decimal(%d,%d)", t.GetPrecision(), t.GetScale()), nil
}

func timestampText(t *arrow.TimestampType) string {
	switch {
	case t.TimeZone == "":
		return "timestamp_ntz"
	case t.Unit == arrow.Second || t.Unit == arrow.Millisecond:
		return "datetime"
	}
	return "timestamp"
}

func mapText(t *arrow.MapType) (string, error) {
	key, err := TypeText(t.KeyType())
	if err != nil {
		return "", err
	}
	value, err := TypeText(t.ItemType())
	return "map<" + key + "," + value + ">", err
}

func structText(t *arrow.StructType) (string, error) {
	parts := make([]string, t.NumFields())
	for i, field := range t.Fields() {
		text, err := TypeText(field.Type)
		if err != nil {
			return "", err
		}
		parts[i] = field.Name + ":" + text
	}
	return "struct<" + strings.Join(parts, ",") + ">", nil
}

// plainSchema returns the schema that batches have after unpackDictionaries.
func plainSchema(schema *arrow.Schema) *arrow.Schema {
	fields, changed := schema.Fields(), false // a copy
	for i, field := range fields {
		if dict, ok := field.Type.(*arrow.DictionaryType); ok {
			fields[i].Type, changed = dict.ValueType, true
		}
	}
	if !changed {
		return schema
	}
	return arrow.NewSchema(fields, nil)
}

// unpackDictionaries returns rec with dictionary columns as plain ones; the service takes no dictionaries. The caller releases
// the result.
func unpackDictionaries(rec arrow.RecordBatch, alloc memory.Allocator) (arrow.RecordBatch, error) {
	var cols []arrow.Array
	fields := rec.Schema().Fields()
	for i, col := range rec.Columns() {
		dict, ok := col.(*array.Dictionary)
		if !ok {
			continue
		}
		if cols == nil {
			cols = append(cols, rec.Columns()...)
			fields = append([]arrow.Field(nil), fields...)
		}
		plain, err := unpackDictionary(dict, alloc)
		if err != nil {
			return nil, fmt.Errorf("unpack dictionary of column %s: %w", rec.ColumnName(i), err)
		}
		defer plain.Release()
		cols[i], fields[i].Type = plain, plain.DataType()
	}
	if cols == nil {
		rec.Retain()
		return rec, nil
	}
	return array.NewRecordBatch(arrow.NewSchema(fields, nil), cols, rec.NumRows()), nil
}

// unpackDictionary returns the values that dict stands for. Text, by far the most common, is quick.
func unpackDictionary(dict *array.Dictionary, alloc memory.Allocator) (arrow.Array, error) {
	b := array.NewBuilder(alloc, dict.Dictionary().DataType())
	defer b.Release()
	b.Reserve(dict.Len())
	words, isText := dict.Dictionary().(*array.String)
	text, _ := b.(*array.StringBuilder)
	for i := range dict.Len() {
		at := dict.GetValueIndex(i)
		switch {
		case dict.IsNull(i) || dict.Dictionary().IsNull(at):
			b.AppendNull()
		case isText:
			text.Append(words.Value(at))
		default:
			if err := appendFrom(b, dict.Dictionary(), at); err != nil {
				return nil, err
			}
		}
	}
	return b.NewArray(), nil
}

// appendFrom appends value i of an array of any type.
func appendFrom(b array.Builder, from arrow.Array, i int) error {
	value, err := scalar.GetScalar(from, i)
	if err != nil {
		return fmt.Errorf("read value %d: %w", i, err)
	}
	if release, ok := value.(scalar.Releasable); ok {
		defer release.Release()
	}
	if err := scalar.Append(b, value); err != nil {
		return fmt.Errorf("append value %d: %w", i, err)
	}
	return nil
}
