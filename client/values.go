package client

import (
	"fmt"
	"reflect"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/decimal256"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// SetValue sets a column from any Go value that has a place in its type: what the other setters take, pointers to it (nil
// is NULL), and for nested types slices, maps, and structs or map[string]any by field name. It is for convenience and several
// times dearer than the typed setters.
func (r *RowWriter) SetValue(col int, v any) {
	switch v := v.(type) {
	case nil:
		r.SetNull(col)
	case bool:
		r.SetBool(col, v)
	case int:
		r.setInteger(col, int64(v))
	case int64:
		r.setInteger(col, v)
	case float64:
		r.SetFloat64(col, v)
	case string:
		r.SetString(col, v)
	case []byte:
		r.SetBytes(col, v)
	case time.Time:
		r.SetTime(col, v)
	case decimal128.Num:
		r.SetDecimal128(col, v)
	default:
		r.setReflected(col, reflect.ValueOf(v))
	}
}

// setInteger lets whole numbers into float columns too, as untyped sources have them.
func (r *RowWriter) setInteger(col int, v int64) {
	if id := r.cols[col].id; (id == arrow.FLOAT64 || id == arrow.FLOAT32) && v == int64(float64(v)) {
		r.SetFloat64(col, float64(v))
		return
	}
	r.SetInt64(col, v)
}

func (r *RowWriter) setReflected(col int, v reflect.Value) {
	c := r.cols[col]
	switch {
	case v.Kind() == reflect.Pointer && v.IsNil():
		r.SetNull(col)
	case v.Kind() == reflect.Pointer:
		r.SetValue(col, v.Elem().Interface())
	case c.builder != nil:
		if err := tryValue(c.typ, v.Interface()); err != nil {
			r.mismatch(col, err.Error())
			return
		}
		c.wait(v.Interface())
	case c.child != nil && (v.Kind() == reflect.Slice || v.Kind() == reflect.Array):
		r.setList(col, c, v)
	case v.CanInt():
		r.setInteger(col, v.Int())
	case v.CanUint() && v.Uint() <= 1<<63-1:
		r.setInteger(col, int64(v.Uint())) //nolint:gosec // checked
	case v.CanFloat():
		r.SetFloat64(col, v.Float())
	case v.Kind() == reflect.String:
		r.SetString(col, v.String())
	case v.Kind() == reflect.Bool:
		r.SetBool(col, v.Bool())
	default:
		r.mismatch(col, "a "+v.Type().String())
	}
}

// setList sets a list of scalars element by element, through a builder of one row.
func (r *RowWriter) setList(col int, c *columnBuffer, v reflect.Value) {
	sub := &RowWriter{cols: []*columnBuffer{c.child}, schema: arrow.NewSchema([]arrow.Field{{Name: "element", Type: c.child.typ}}, nil)}
	before := c.child.n
	for i := range v.Len() {
		sub.SetValue(0, v.Index(i).Interface())
		if sub.err != nil {
			c.child.truncate(before)
			r.mismatch(col, fmt.Sprintf("element %d: %s", i, sub.err.Message))
			return
		}
	}
	c.endList()
}

// tryValue tells whether appendAny will take v.
func tryValue(t arrow.DataType, v any) error {
	b := array.NewBuilder(memory.DefaultAllocator, t)
	defer b.Release()
	return appendAny(b, v)
}

// appendAny appends one value of a nested type. After an error the builder is not usable any more.
func appendAny(b array.Builder, v any) error {
	rv := reflect.ValueOf(v)
	for rv.Kind() == reflect.Pointer && !rv.IsNil() {
		rv = rv.Elem()
	}
	if !rv.IsValid() || rv.Kind() == reflect.Pointer {
		b.AppendNull()
		return nil
	}
	switch b := b.(type) {
	case *array.MapBuilder: // before ListBuilder, which it resembles
		return appendMap(b, rv)
	case *array.ListBuilder:
		return appendList(b, rv)
	case *array.StructBuilder:
		return appendStruct(b, rv)
	}
	return appendScalar(b, rv)
}

func appendList(b *array.ListBuilder, v reflect.Value) error {
	if v.Kind() != reflect.Slice && v.Kind() != reflect.Array {
		return fmt.Errorf("%s for an array", v.Type())
	}
	b.Append(true)
	for i := range v.Len() {
		if err := appendAny(b.ValueBuilder(), v.Index(i).Interface()); err != nil {
			return fmt.Errorf("element %d: %w", i, err)
		}
	}
	return nil
}

func appendMap(b *array.MapBuilder, v reflect.Value) error {
	if v.Kind() != reflect.Map {
		return fmt.Errorf("%s for a map", v.Type())
	}
	b.Append(true)
	for it := v.MapRange(); it.Next(); {
		if err := appendAny(b.KeyBuilder(), it.Key().Interface()); err != nil {
			return fmt.Errorf("key: %w", err)
		}
		if err := appendAny(b.ItemBuilder(), it.Value().Interface()); err != nil {
			return fmt.Errorf("value of %v: %w", it.Key(), err)
		}
	}
	return nil
}

func appendStruct(b *array.StructBuilder, v reflect.Value) error {
	t, ok := b.Type().(*arrow.StructType)
	if !ok || (v.Kind() != reflect.Struct && (v.Kind() != reflect.Map || v.Type().Key().Kind() != reflect.String)) {
		return fmt.Errorf("%s for a struct", v.Type())
	}
	b.Append(true)
	for i, field := range t.Fields() {
		if err := appendAny(b.FieldBuilder(i), memberOf(v, field.Name)); err != nil {
			return fmt.Errorf("field %s: %w", field.Name, err)
		}
	}
	return nil
}

// memberOf returns the member of a struct or map by name, nil if there is none.
func memberOf(v reflect.Value, name string) any {
	if v.Kind() == reflect.Map {
		if m := v.MapIndex(reflect.ValueOf(name).Convert(v.Type().Key())); m.IsValid() {
			return m.Interface()
		}
		return nil
	}
	for i := range v.NumField() {
		if f := v.Type().Field(i); f.IsExported() && columnOf(f) != "" && equalFold(columnOf(f), name) {
			return v.Field(i).Interface()
		}
	}
	return nil
}

func appendScalar(b array.Builder, v reflect.Value) error {
	if t, ok := reflect.TypeAssert[time.Time](v); ok {
		return appendTime(b, t)
	}
	switch b := b.(type) {
	case *array.BooleanBuilder:
		if v.Kind() == reflect.Bool {
			b.Append(v.Bool())
			return nil
		}
	case *array.StringBuilder:
		if v.Kind() == reflect.String {
			b.Append(v.String())
			return nil
		}
	case *array.BinaryBuilder:
		if data, ok := reflect.TypeAssert[[]byte](v); ok {
			b.Append(data)
			return nil
		}
	case *array.Float32Builder:
		if f, ok := asFloat(v); ok {
			b.Append(float32(f))
			return nil
		}
	case *array.Float64Builder:
		if f, ok := asFloat(v); ok {
			b.Append(f)
			return nil
		}
	case *array.Decimal128Builder, *array.Decimal256Builder:
		return appendDecimalText(b, v)
	default:
		return appendInteger(b, v)
	}
	return fmt.Errorf("%s for %s", v.Type(), b.Type())
}

func asFloat(v reflect.Value) (float64, bool) {
	switch {
	case v.CanFloat():
		return v.Float(), true
	case v.CanInt() && int64(float64(v.Int())) == v.Int():
		return float64(v.Int()), true
	}
	return 0, false
}

func appendDecimalText(b array.Builder, v reflect.Value) error {
	if v.Kind() != reflect.String {
		return fmt.Errorf("%s for %s", v.Type(), b.Type())
	}
	t, ok := b.Type().(arrow.DecimalType)
	if !ok {
		return fmt.Errorf("%s is no decimal", b.Type())
	}
	switch b := b.(type) {
	case *array.Decimal128Builder:
		num, err := decimal128.FromString(v.String(), t.GetPrecision(), t.GetScale())
		if err != nil {
			return fmt.Errorf("parse decimal: %w", err)
		}
		b.Append(num)
	case *array.Decimal256Builder:
		num, err := decimal256.FromString(v.String(), t.GetPrecision(), t.GetScale())
		if err != nil {
			return fmt.Errorf("parse decimal: %w", err)
		}
		b.Append(num)
	}
	return nil
}

func appendInteger(b array.Builder, v reflect.Value) error {
	n, ok := asInteger(v)
	if !ok {
		return fmt.Errorf("%s for %s", v.Type(), b.Type())
	}
	fits := true
	switch b := b.(type) {
	case *array.Int8Builder:
		if fits = n == int64(int8(n)); fits { //nolint:gosec // that is the check
			b.Append(int8(n)) //nolint:gosec // checked
		}
	case *array.Int16Builder:
		if fits = n == int64(int16(n)); fits { //nolint:gosec // that is the check
			b.Append(int16(n)) //nolint:gosec // checked
		}
	case *array.Int32Builder:
		if fits = n == int64(int32(n)); fits { //nolint:gosec // that is the check
			b.Append(int32(n)) //nolint:gosec // checked
		}
	case *array.Int64Builder:
		b.Append(n)
	default:
		return fmt.Errorf("%s for %s", v.Type(), b.Type())
	}
	if !fits {
		return fmt.Errorf("%d is out of the range of %s", n, b.Type())
	}
	return nil
}

func asInteger(v reflect.Value) (int64, bool) {
	switch {
	case v.CanInt():
		return v.Int(), true
	case v.CanUint() && v.Uint() <= 1<<63-1:
		return int64(v.Uint()), true //nolint:gosec // checked
	}
	return 0, false
}

func appendTime(b array.Builder, t time.Time) error {
	switch b := b.(type) {
	case *array.Date32Builder:
		b.Append(arrow.Date32FromTime(t))
	case *array.TimestampBuilder:
		unit, ok := b.Type().(*arrow.TimestampType)
		if !ok {
			return fmt.Errorf("%s is no timestamp", b.Type())
		}
		ts, err := arrow.TimestampFromTime(t, unit.Unit)
		if err != nil {
			return fmt.Errorf("time %v: %w", t, err)
		}
		b.Append(ts)
	default:
		return fmt.Errorf("a time for %s", b.Type())
	}
	return nil
}
