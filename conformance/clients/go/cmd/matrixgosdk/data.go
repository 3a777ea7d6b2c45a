package main

import (
	"fmt"
	"time"

	"github.com/aliyun/aliyun-odps-go-sdk/odps/data"
	"github.com/aliyun/aliyun-odps-go-sdk/odps/datatype"

	"github.com/sluice-io/sluice/conformance/clients/go/canon"
)

// toData makes the SDK's value. NULL is Go's nil, the only one that the SDK writes within ARRAY and STRUCT.
func toData(t canon.Type, sdk datatype.DataType, v canon.Value) (data.Data, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil //nolint:nilnil // NULL
	case bool:
		return data.Bool(v), nil
	case int64:
		return integer(t.Kind, v), nil
	case float64:
		return data.Double(v), nil
	case float32:
		return data.Float(v), nil
	case []byte:
		return data.Binary(v), nil
	case string:
		return text(t, v)
	case time.Time:
		return moment(t.Kind, v), nil
	case canon.Interval:
		return data.NewIntervalDayTime(v.Seconds, v.Nanos), nil
	case []canon.Value:
		return list(t, sdk, v)
	case []canon.Pair:
		return mapping(t, sdk, v)
	default:
		return nil, fmt.Errorf("%T is no value", v)
	}
}

func integer(kind canon.Kind, v int64) data.Data {
	switch kind {
	case canon.TinyInt:
		return data.TinyInt(v) //nolint:gosec // the matrix holds values of the type
	case canon.SmallInt:
		return data.SmallInt(v) //nolint:gosec // as above
	case canon.Int:
		return data.Int(v) //nolint:gosec // as above
	case canon.IntervalYearMonth:
		return data.IntervalYearMonth(v) //nolint:gosec // as above
	default:
		return data.BigInt(v)
	}
}

func text(t canon.Type, v string) (data.Data, error) {
	switch t.Kind {
	case canon.Decimal:
		return data.NewDecimal(t.Precision, t.Scale, v), nil
	case canon.Char:
		return data.NewChar(t.Length, v)
	case canon.VarChar:
		return data.NewVarChar(t.Length, v)
	case canon.JSON:
		return &data.Json{Data: v, Valid: true}, nil
	default:
		return data.String(v), nil
	}
}

func moment(kind canon.Kind, v time.Time) data.Data {
	switch kind {
	case canon.Date:
		return data.Date(v)
	case canon.DateTime:
		return data.DateTime(v)
	case canon.TimestampNTZ:
		return data.TimestampNtz(v)
	default:
		return data.Timestamp(v)
	}
}

func list(t canon.Type, sdk datatype.DataType, values []canon.Value) (data.Data, error) {
	if t.Kind == canon.Array {
		of, ok := sdk.(datatype.ArrayType)
		if !ok {
			return nil, fmt.Errorf("the SDK's type is %s", sdk)
		}
		array := data.NewArrayWithType(of)
		for _, v := range values {
			element, err := toData(t.Parts[0].Type, of.ElementType, v)
			if err != nil {
				return nil, err
			}
			array.UnSafeAppend(element)
		}
		return array, nil
	}
	of, ok := sdk.(datatype.StructType)
	if !ok || len(of.Fields) != len(values) {
		return nil, fmt.Errorf("the SDK's type is %s", sdk)
	}
	made := data.NewStructWithTyp(of)
	for i, v := range values {
		field, err := toData(t.Parts[i].Type, of.Fields[i].Type, v)
		if err != nil {
			return nil, err
		}
		if err := made.SetField(of.Fields[i].Name, field); err != nil {
			return nil, err
		}
	}
	return made, nil
}

func mapping(t canon.Type, sdk datatype.DataType, pairs []canon.Pair) (data.Data, error) {
	of, ok := sdk.(datatype.MapType)
	if !ok {
		return nil, fmt.Errorf("the SDK's type is %s", sdk)
	}
	made := data.NewMapWithType(of)
	for _, p := range pairs {
		key, err := toData(t.Parts[0].Type, of.KeyType, p.Key)
		if err != nil {
			return nil, err
		}
		value, err := toData(t.Parts[1].Type, of.ValueType, p.Value)
		if err != nil {
			return nil, err
		}
		if err := made.Set(key, value); err != nil {
			return nil, err
		}
	}
	return made, nil
}

// fromData takes the SDK's value apart. The SDK gives nested values and some texts as pointers.
func fromData(t canon.Type, d data.Data) (canon.Value, error) {
	switch d := d.(type) {
	case nil, data.NullData:
		return nil, nil //nolint:nilnil // NULL
	case data.Bool:
		return bool(d), nil
	case data.TinyInt:
		return int64(d), nil
	case data.SmallInt:
		return int64(d), nil
	case data.Int:
		return int64(d), nil
	case data.BigInt:
		return int64(d), nil
	case data.IntervalYearMonth:
		return int64(d), nil
	case data.Double:
		return float64(d), nil
	case data.Float:
		return float32(d), nil
	case data.String:
		return string(d), nil
	case data.Char:
		return d.Data(), nil
	case data.VarChar:
		return d.Data(), nil
	case *data.Json:
		return d.GetData(), nil
	case data.Binary:
		return []byte(d), nil
	case *data.Decimal:
		return canon.PlainDecimal(d.Value(), t.Scale)
	case data.Date:
		return d.Time().UTC(), nil
	case data.DateTime:
		return d.Time().UTC(), nil
	case data.Timestamp:
		return d.Time().UTC(), nil
	case data.TimestampNtz:
		return d.Time().UTC(), nil
	case data.IntervalDayTime:
		return canon.Interval{Seconds: d.Seconds(), Nanos: d.NanosFraction()}, nil
	case *data.Array:
		return fromArray(t, d)
	case *data.Struct:
		return fromStruct(t, d)
	case *data.Map:
		return fromMap(t, d)
	default:
		return nil, fmt.Errorf("the SDK gives a %T", d)
	}
}

func fromArray(t canon.Type, d *data.Array) (canon.Value, error) {
	values := make([]canon.Value, d.Len())
	for i := range values {
		var err error
		if values[i], err = fromData(t.Parts[0].Type, d.Index(i)); err != nil {
			return nil, err
		}
	}
	return values, nil
}

func fromStruct(t canon.Type, d *data.Struct) (canon.Value, error) {
	fields := d.Fields()
	if len(fields) != len(t.Parts) {
		return nil, fmt.Errorf("the SDK gives %d fields, want %d", len(fields), len(t.Parts))
	}
	values := make([]canon.Value, len(fields))
	for i, f := range fields {
		var err error
		if values[i], err = fromData(t.Parts[i].Type, f.Value); err != nil {
			return nil, err
		}
	}
	return values, nil
}

func fromMap(t canon.Type, d *data.Map) (canon.Value, error) {
	pairs := []canon.Pair{}
	for k, v := range d.ToGoMap() {
		key, err := fromData(t.Parts[0].Type, k)
		if err != nil {
			return nil, err
		}
		value, err := fromData(t.Parts[1].Type, v)
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, canon.Pair{Key: key, Value: value})
	}
	return pairs, nil
}
