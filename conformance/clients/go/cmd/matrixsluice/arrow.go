package main

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/decimal256"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/sluice-io/sluice/client"
	"github.com/sluice-io/sluice/conformance/clients/go/canon"
)

// exactTime is the Arrow type of a TIMESTAMP in any year.
var exactTime = arrow.StructOf(
	arrow.Field{Name: "seconds", Type: arrow.PrimitiveTypes.Int64}, arrow.Field{Name: "nanos", Type: arrow.PrimitiveTypes.Int32},
)

// writeArrow writes timestamp[ns] columns, which reach MaxCompute as they are, unless a value does not fit them.
func writeArrow(w *client.Writer, columns []canon.Column, rows [][]canon.Value) error {
	schema, err := client.ArrowSchema(w.Schema().GetColumns())
	if err != nil {
		return fmt.Errorf("make the schema: %w", err)
	}
	if schema.NumFields() != len(columns) {
		return fmt.Errorf("the table has %d columns, want %d", schema.NumFields(), len(columns))
	}
	fields := schema.Fields()
	for c := range columns {
		for _, row := range rows {
			if hasFarTime(row[c]) {
				fields[c].Type = farTimes(columns[c].Type, fields[c].Type)
			}
		}
	}
	builder := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema(fields, nil))
	defer builder.Release()
	for n, row := range rows {
		for c, v := range row {
			if err := appendArrow(columns[c].Type, builder.Field(c), v); err != nil {
				return fmt.Errorf("row %d, column %s: %w", n, columns[c].Name, err)
			}
		}
	}
	batch := builder.NewRecordBatch()
	defer batch.Release()
	return w.WriteArrow(batch)
}

// hasFarTime reports whether there is a time in v that int64 nanoseconds cannot hold.
func hasFarTime(v canon.Value) bool {
	switch v := v.(type) {
	case time.Time:
		return !time.Unix(0, v.UnixNano()).Equal(v)
	case []canon.Value:
		return slices.ContainsFunc(v, hasFarTime)
	case []canon.Pair:
		return slices.ContainsFunc(v, func(p canon.Pair) bool { return hasFarTime(p.Key) || hasFarTime(p.Value) })
	}
	return false
}

// farTimes is the type with structs in the place of TIMESTAMPs.
func farTimes(t canon.Type, from arrow.DataType) arrow.DataType {
	switch from := from.(type) {
	case *arrow.TimestampType:
		if t.Kind == canon.DateTime {
			return from
		}
		return exactTime
	case *arrow.ListType:
		field := from.ElemField()
		field.Type = farTimes(t.Parts[0].Type, field.Type)
		return arrow.ListOfField(field)
	case *arrow.MapType:
		return arrow.MapOf(farTimes(t.Parts[0].Type, from.KeyType()), farTimes(t.Parts[1].Type, from.ItemType()))
	case *arrow.StructType:
		if t.Kind != canon.Struct {
			return from
		}
		fields := append([]arrow.Field{}, from.Fields()...)
		for i := range fields {
			fields[i].Type = farTimes(t.Parts[i].Type, fields[i].Type)
		}
		return arrow.StructOf(fields...)
	default:
		return from
	}
}

//nolint:forcetypeassert // canon.Parse made v for the same type
func appendArrow(t canon.Type, to array.Builder, v canon.Value) error {
	if v == nil {
		to.AppendNull()
		return nil
	}
	switch to := to.(type) {
	case *array.BooleanBuilder:
		to.Append(v.(bool))
	case *array.Int8Builder:
		to.Append(int8(v.(int64)))
	case *array.Int16Builder:
		to.Append(int16(v.(int64)))
	case *array.Int32Builder:
		to.Append(int32(v.(int64)))
	case *array.Int64Builder:
		to.Append(v.(int64))
	case *array.Float32Builder:
		to.Append(v.(float32))
	case *array.Float64Builder:
		to.Append(v.(float64))
	case *array.StringBuilder:
		to.Append(v.(string))
	case *array.BinaryBuilder:
		to.Append(v.([]byte))
	case *array.Date32Builder:
		to.Append(arrow.Date32(v.(time.Time).Unix() / 86400))
	case *array.TimestampBuilder:
		if t.Kind == canon.DateTime {
			to.Append(arrow.Timestamp(v.(time.Time).UnixMilli()))
		} else {
			to.Append(arrow.Timestamp(v.(time.Time).UnixNano()))
		}
	case *array.Decimal128Builder:
		to.Append(decimal128.FromBigInt(bigOf(v.(string))))
	case *array.Decimal256Builder:
		to.Append(decimal256.FromBigInt(bigOf(v.(string))))
	case *array.MapBuilder:
		to.Append(true)
		for _, p := range v.([]canon.Pair) {
			if err := appendArrow(t.Parts[0].Type, to.KeyBuilder(), p.Key); err != nil {
				return err
			}
			if err := appendArrow(t.Parts[1].Type, to.ItemBuilder(), p.Value); err != nil {
				return err
			}
		}
	case *array.ListBuilder:
		to.Append(true)
		for _, element := range v.([]canon.Value) {
			if err := appendArrow(t.Parts[0].Type, to.ValueBuilder(), element); err != nil {
				return err
			}
		}
	case *array.StructBuilder:
		return appendStruct(t, to, v)
	default:
		return fmt.Errorf("no builder %T for a %s", to, t.Kind)
	}
	return nil
}

// appendStruct appends a STRUCT, or a time or an interval in seconds and nanoseconds.
func appendStruct(t canon.Type, to *array.StructBuilder, v canon.Value) error {
	to.Append(true)
	parts := func(seconds int64, nanos int32) {
		to.FieldBuilder(0).(*array.Int64Builder).Append(seconds) //nolint:forcetypeassert // exactTime
		to.FieldBuilder(1).(*array.Int32Builder).Append(nanos)   //nolint:forcetypeassert // exactTime
	}
	switch v := v.(type) {
	case time.Time:
		parts(v.Unix(), int32(v.Nanosecond())) //nolint:gosec // below a second
	case canon.Interval:
		parts(v.Seconds, v.Nanos)
	case []canon.Value:
		for i, field := range v {
			if err := appendArrow(t.Parts[i].Type, to.FieldBuilder(i), field); err != nil {
				return err
			}
		}
	}
	return nil
}

func bigOf(text string) *big.Int {
	n, _ := new(big.Int).SetString(strings.Replace(text, ".", "", 1), 10)
	return n
}

func fromArrow(t canon.Type, from arrow.Array, i int) (canon.Value, error) {
	if from.IsNull(i) {
		return nil, nil //nolint:nilnil // NULL
	}
	switch from := from.(type) {
	case *array.Boolean:
		return from.Value(i), nil
	case *array.Int8:
		return int64(from.Value(i)), nil
	case *array.Int16:
		return int64(from.Value(i)), nil
	case *array.Int32:
		return int64(from.Value(i)), nil
	case *array.Int64:
		return from.Value(i), nil
	case *array.Float32:
		return from.Value(i), nil
	case *array.Float64:
		return from.Value(i), nil
	case *array.String:
		return from.Value(i), nil
	case *array.Binary:
		return append([]byte{}, from.Value(i)...), nil
	case *array.Date32:
		return time.Unix(int64(from.Value(i))*86400, 0).UTC(), nil
	case *array.Timestamp: // DATETIME only: TIMESTAMPs were asked for as structs
		return time.UnixMilli(int64(from.Value(i))).UTC(), nil
	case *array.Decimal128:
		return canon.ScaledDecimal(from.Value(i).BigInt(), t.Scale), nil
	case *array.Decimal256:
		return canon.ScaledDecimal(from.Value(i).BigInt(), t.Scale), nil
	case *array.Map:
		return mapFromArrow(t, from, i)
	case *array.List:
		start, end := from.ValueOffsets(i)
		values := make([]canon.Value, 0, end-start)
		for j := start; j < end; j++ {
			v, err := fromArrow(t.Parts[0].Type, from.ListValues(), int(j))
			if err != nil {
				return nil, err
			}
			values = append(values, v)
		}
		return values, nil
	case *array.Struct:
		return structFromArrow(t, from, i)
	default:
		return nil, fmt.Errorf("the service gives a %T for a %s", from, t.Kind)
	}
}

func mapFromArrow(t canon.Type, from *array.Map, i int) (canon.Value, error) {
	start, end := from.ValueOffsets(i)
	pairs := make([]canon.Pair, 0, end-start)
	for j := start; j < end; j++ {
		key, err := fromArrow(t.Parts[0].Type, from.Keys(), int(j))
		if err != nil {
			return nil, err
		}
		value, err := fromArrow(t.Parts[1].Type, from.Items(), int(j))
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, canon.Pair{Key: key, Value: value})
	}
	return pairs, nil
}

func structFromArrow(t canon.Type, from *array.Struct, i int) (canon.Value, error) {
	if t.Kind != canon.Struct {
		seconds, ok1 := from.Field(0).(*array.Int64)
		nanos, ok2 := from.Field(1).(*array.Int32)
		switch {
		case !ok1 || !ok2:
			return nil, fmt.Errorf("the service gives a %s for a %s", from.DataType(), t.Kind)
		case t.Kind == canon.IntervalDayTime:
			return canon.Interval{Seconds: seconds.Value(i), Nanos: nanos.Value(i)}, nil
		default:
			return time.Unix(seconds.Value(i), int64(nanos.Value(i))).UTC(), nil
		}
	}
	values := make([]canon.Value, from.NumField())
	for f := range values {
		var err error
		if values[f], err = fromArrow(t.Parts[f].Type, from.Field(f), i); err != nil {
			return nil, err
		}
	}
	return values, nil
}
