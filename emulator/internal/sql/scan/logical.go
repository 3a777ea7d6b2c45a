//go:build cgo && duckdb_arrow

package scan

import (
	"github.com/duckdb/duckdb-go/v2/mapping"

	"github.com/sluice-io/sluice/emulator/internal/types"
)

var plain = map[types.Kind]mapping.Type{
	types.Boolean: mapping.TypeBoolean, types.TinyInt: mapping.TypeTinyInt, types.SmallInt: mapping.TypeSmallInt, types.Int: mapping.TypeInteger,
	types.BigInt: mapping.TypeBigInt, types.Float: mapping.TypeFloat, types.Double: mapping.TypeDouble, types.Binary: mapping.TypeBlob,
	types.Date: mapping.TypeDate, types.Datetime: mapping.TypeTimestampMS, types.Timestamp: mapping.TypeTimestampNS, types.TimestampNTZ: mapping.TypeTimestampNS,
	types.String: mapping.TypeVarchar, types.Char: mapping.TypeVarchar, types.Varchar: mapping.TypeVarchar, types.JSON: mapping.TypeVarchar,
}

// logicalType is the DuckDB type in which values of t are read. The caller destroys it.
func logicalType(t types.Type, micros bool) mapping.LogicalType {
	switch t.Kind {
	case types.Timestamp, types.TimestampNTZ:
		if micros {
			return mapping.CreateLogicalType(mapping.TypeTimestamp)
		}
	case types.Decimal:
		p, s := t.PrecisionScale()
		return mapping.CreateDecimalType(uint8(min(p, maxDigits)), uint8(s))
	case types.IntervalDayTime:
		return structType([]string{Seconds, Nanos}, []types.Type{{Kind: types.BigInt}, {Kind: types.Int}}, micros)
	case types.IntervalYearMonth:
		return structType([]string{Months}, []types.Type{{Kind: types.Int}}, micros)
	case types.Array:
		child := logicalType(t.Children[0].Type, micros)
		defer mapping.DestroyLogicalType(&child)
		return mapping.CreateListType(child)
	case types.Map:
		key, value := logicalType(t.Children[0].Type, micros), logicalType(t.Children[1].Type, micros)
		defer mapping.DestroyLogicalType(&key)
		defer mapping.DestroyLogicalType(&value)
		return mapping.CreateMapType(key, value)
	case types.Struct:
		var names []string
		var kinds []types.Type
		for _, c := range t.Children {
			names, kinds = append(names, c.Name), append(kinds, c.Type)
		}
		return structType(names, kinds, micros)
	}
	return mapping.CreateLogicalType(plain[t.Kind])
}

func structType(names []string, kinds []types.Type, micros bool) mapping.LogicalType {
	fields := make([]mapping.LogicalType, len(kinds))
	for i, k := range kinds {
		fields[i] = logicalType(k, micros)
	}
	defer func() {
		for i := range fields {
			mapping.DestroyLogicalType(&fields[i])
		}
	}()
	return mapping.CreateStructType(fields, names)
}
