package sql

import (
	"fmt"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/sluice-io/sluice/emulator/internal/sql/scan"
	"github.com/sluice-io/sluice/emulator/internal/types"
)

// duckType is the text of the DuckDB type that values of t are cast to before they are
// written to a column of type t.
func duckType(t types.Type) string {
	switch t.Kind {
	case types.Boolean, types.TinyInt, types.SmallInt, types.BigInt, types.Float, types.Double, types.Date:
		return strings.ToUpper(t.Kind.String())
	case types.Int:
		return "INTEGER"
	case types.Decimal:
		p, s := t.PrecisionScale()
		return fmt.Sprintf("DECIMAL(%d,%d)", min(p, maxDuckDigits), s)
	case types.Binary:
		return "BLOB"
	case types.JSON:
		return "JSON"
	case types.Datetime:
		return "TIMESTAMP_MS"
	case types.Timestamp, types.TimestampNTZ:
		return "TIMESTAMP_NS"
	case types.IntervalDayTime:
		return `STRUCT("` + scan.Seconds + `" BIGINT, "` + scan.Nanos + `" INTEGER)`
	case types.IntervalYearMonth:
		return `STRUCT("` + scan.Months + `" INTEGER)`
	case types.Array:
		return duckType(t.Children[0].Type) + "[]"
	case types.Map:
		return "MAP(" + duckType(t.Children[0].Type) + ", " + duckType(t.Children[1].Type) + ")"
	case types.Struct:
		fields := make([]string, len(t.Children))
		for i, c := range t.Children {
			fields[i] = quoteName(c.Name) + " " + duckType(c.Type)
		}
		return "STRUCT(" + strings.Join(fields, ", ") + ")"
	default:
		return "VARCHAR"
	}
}

// castTo is the expression that brings a query's column to type t. from is the column's
// DuckDB type.
func castTo(column, from string, t types.Type) string {
	coarse := strings.HasPrefix(from, "TIMESTAMP")
	switch {
	case (t.Kind == types.Timestamp || t.Kind == types.TimestampNTZ) && coarse:
		if from == "TIMESTAMP WITH TIME ZONE" {
			return column + " AT TIME ZONE 'UTC'"
		}
		return column // every unit is converted when the result is read, none loses years
	case t.Kind == types.Binary && from == "VARCHAR":
		return "encode(" + column + ")"
	case t.Kind == types.IntervalDayTime && from == "INTERVAL":
		return column
	}
	return "CAST(" + column + " AS " + duckType(t) + ")"
}

// resultType is the MaxCompute type of a result column. duck is DuckDB's name of the
// column's type, dt the Arrow type in which it is exported.
func resultType(duck string, dt arrow.DataType) (types.Type, error) {
	switch duck {
	case "HUGEINT":
		return types.Type{Kind: types.BigInt}, nil
	case "JSON":
		return types.Type{Kind: types.JSON}, nil
	}
	return fromArrow(dt)
}

var simple = map[arrow.Type]types.Kind{
	arrow.BOOL: types.Boolean, arrow.INT8: types.TinyInt, arrow.INT16: types.SmallInt, arrow.INT32: types.Int,
	arrow.INT64: types.BigInt, arrow.UINT8: types.SmallInt, arrow.UINT16: types.Int, arrow.UINT32: types.BigInt,
	arrow.UINT64: types.BigInt, arrow.FLOAT32: types.Float, arrow.FLOAT64: types.Double, arrow.STRING: types.String,
	arrow.BINARY: types.Binary, arrow.DATE32: types.Date, arrow.INTERVAL_MONTH_DAY_NANO: types.IntervalDayTime,
	arrow.NULL: types.String,
}

func fromArrow(dt arrow.DataType) (types.Type, error) {
	switch dt := dt.(type) {
	case *arrow.TimestampType:
		if dt.Unit == arrow.Millisecond {
			return types.Type{Kind: types.Datetime}, nil
		}
		return types.Type{Kind: types.Timestamp}, nil
	case *arrow.Decimal128Type:
		return types.Type{Kind: types.Decimal, Precision: int(dt.Precision), Scale: int(dt.Scale)}, nil
	case *arrow.ListType:
		elem, err := fromArrow(dt.Elem())
		return types.ArrayOf(elem), err
	case *arrow.MapType:
		key, err := fromArrow(dt.KeyType())
		if err != nil {
			return types.Type{}, err
		}
		item, err := fromArrow(dt.ItemType())
		return types.MapOf(key, item), err
	case *arrow.StructType:
		return structFromArrow(dt)
	}
	if kind, ok := simple[dt.ID()]; ok {
		return types.Type{Kind: kind}, nil
	}
	return types.Type{}, fmt.Errorf("no type of MaxCompute holds %s; cast the column", dt)
}

func structFromArrow(dt *arrow.StructType) (types.Type, error) {
	switch dt.Field(0).Name {
	case dayTimeStruct.Field(0).Name:
		return types.Type{Kind: types.IntervalDayTime}, nil
	case yearMonthStruct.Field(0).Name:
		return types.Type{Kind: types.IntervalYearMonth}, nil
	}
	fields := make([]types.Field, dt.NumFields())
	for i, f := range dt.Fields() {
		t, err := fromArrow(f.Type)
		if err != nil {
			return types.Type{}, err
		}
		fields[i] = types.Field{Name: f.Name, Type: t}
	}
	return types.StructOf(fields...), nil
}

// described is a column of a result as DuckDB names it.
type described struct{ name, duck string }

// resultColumns names and types the columns of a result. tables are the columns of the
// plan's tables, in its order.
func (p *plan) resultColumns(found []described, schema *arrow.Schema, tables [][]Column) ([]Column, error) {
	declared := p.declared(tables)
	out := make([]Column, len(found))
	for i, f := range found {
		t, err := resultType(f.duck, schema.Field(i).Type)
		if err != nil {
			return nil, &Error{Code: codeSemantic, Message: fmt.Sprintf("Semantic analysis exception - column %s of the result: %s", f.name, err)}
		}
		if t.Depth() > types.MaxDepth {
			return nil, &Error{Code: codeSemantic, Message: fmt.Sprintf("Semantic analysis exception - column %s of the result is nested deeper than %d", f.name, types.MaxDepth)}
		}
		out[i] = Column{Name: strings.ToLower(f.name), Type: t}
		item, known := p.itemAt(i)
		if !known {
			continue
		}
		if item.unnamed {
			out[i].Name = fmt.Sprintf("_c%d", i)
		}
		source := item.column
		if item.star {
			source = out[i].Name
		}
		if d, ok := declared[source]; ok && !item.unnamed && sameForm(d, t) {
			out[i].Type = d
		}
	}
	return out, nil
}

// itemAt returns the entry of the select list that gives the i-th column, if that can be
// told: a star stands for any number of columns.
func (p *plan) itemAt(i int) (outputItem, bool) {
	for at, item := range p.output {
		if item.star {
			return item, len(p.output) == 1
		}
		if at == i {
			return item, true
		}
	}
	return outputItem{}, false
}

// declared maps the columns of a query that reads stored tables only to their types, but
// for names that two tables give different types.
func (p *plan) declared(tables [][]Column) map[string]types.Type {
	if !p.direct {
		return nil
	}
	out, clash := map[string]types.Type{}, map[string]bool{}
	for _, columns := range tables {
		for _, c := range columns {
			name := strings.ToLower(c.Name)
			if t, ok := out[name]; ok && !t.Equal(c.Type) {
				clash[name] = true
			}
			out[name] = c.Type
		}
	}
	for name := range clash {
		delete(out, name)
	}
	return out
}

// sameForm reports whether values that come back from DuckDB as computed can be read as
// the declared type without a loss.
func sameForm(declared, computed types.Type) bool {
	back, err := fromArrow(exported(declared))
	return err == nil && back.Equal(computed)
}
