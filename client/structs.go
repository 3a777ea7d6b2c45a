package client

import (
	"fmt"
	"reflect"
	"strings"
	"time"
	"unsafe"

	"google.golang.org/grpc/codes"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
)

// StructWriter gives Go structs to a [Writer], one row each: exported field Name goes to column "name", without regard to
// case; the tag `sluice:"other_name"` names another one, `sluice:"-"` leaves the field out. Pointers are NULL when nil.
// Embedded structs are not looked into. It is used by one goroutine.
type StructWriter[T any] struct {
	rows *RowWriter
	set  []fieldSetter
}

// fieldSetter sets column col from the field at p.
type fieldSetter struct {
	offset uintptr
	set    func(r *RowWriter, col int, p unsafe.Pointer)
}

// NewStructWriter finds T's columns in the table. BAD_COLUMN if one is missing, BAD_ARGUMENT if T is no struct.
func NewStructWriter[T any](w *Writer) (*StructWriter[T], error) {
	t := reflect.TypeFor[T]()
	if t.Kind() != reflect.Struct {
		return nil, badArgument("%s is no struct", t)
	}
	s := &StructWriter[T]{}
	var names []string
	for field := range t.Fields() {
		name := columnOf(field)
		if !field.IsExported() || name == "" {
			continue
		}
		names = append(names, name)
		s.set = append(s.set, fieldSetter{offset: field.Offset, set: setterFor(field.Type)})
	}
	if len(names) == 0 {
		return nil, badArgument("%s has no field for a column", t)
	}
	rows, err := w.Rows(names...)
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", t, err)
	}
	s.rows = rows
	return s, checkRepeated(names)
}

func checkRepeated(names []string) error {
	seen := map[string]bool{}
	for _, name := range names {
		if seen[strings.ToLower(name)] {
			return newError(sluicev1.Reason_REASON_BAD_COLUMN, codes.InvalidArgument, "two fields for column %q", name)
		}
		seen[strings.ToLower(name)] = true
	}
	return nil
}

// Append gives one row. Errors as RowWriter.End.
func (s *StructWriter[T]) Append(row *T) error {
	p := unsafe.Pointer(row) //nolint:gosec // fields are read through their own types, at offsets from reflection
	for col := range s.set {
		f := &s.set[col]
		f.set(s.rows, col, unsafe.Add(p, f.offset))
	}
	return s.rows.End()
}

// Flush gives the last rows to the Writer; see RowWriter.Flush.
func (s *StructWriter[T]) Flush() error { return s.rows.Flush() }

// columnOf returns the column that a struct field stands for, or "".
func columnOf(f reflect.StructField) string {
	switch tag, ok := f.Tag.Lookup("sluice"); {
	case tag == "-":
		return ""
	case ok && tag != "":
		return tag
	}
	return f.Name
}

func equalFold(a, b string) bool { return strings.EqualFold(a, b) }

var directSetters = map[reflect.Type]func(r *RowWriter, col int, p unsafe.Pointer){
	reflect.TypeFor[bool]():      func(r *RowWriter, col int, p unsafe.Pointer) { r.SetBool(col, *(*bool)(p)) },
	reflect.TypeFor[int]():       func(r *RowWriter, col int, p unsafe.Pointer) { r.SetInt64(col, int64(*(*int)(p))) },
	reflect.TypeFor[int8]():      func(r *RowWriter, col int, p unsafe.Pointer) { r.SetInt64(col, int64(*(*int8)(p))) },
	reflect.TypeFor[int16]():     func(r *RowWriter, col int, p unsafe.Pointer) { r.SetInt64(col, int64(*(*int16)(p))) },
	reflect.TypeFor[int32]():     func(r *RowWriter, col int, p unsafe.Pointer) { r.SetInt64(col, int64(*(*int32)(p))) },
	reflect.TypeFor[int64]():     func(r *RowWriter, col int, p unsafe.Pointer) { r.SetInt64(col, *(*int64)(p)) },
	reflect.TypeFor[float32]():   func(r *RowWriter, col int, p unsafe.Pointer) { r.SetFloat64(col, float64(*(*float32)(p))) },
	reflect.TypeFor[float64]():   func(r *RowWriter, col int, p unsafe.Pointer) { r.SetFloat64(col, *(*float64)(p)) },
	reflect.TypeFor[string]():    func(r *RowWriter, col int, p unsafe.Pointer) { r.SetString(col, *(*string)(p)) },
	reflect.TypeFor[time.Time](): func(r *RowWriter, col int, p unsafe.Pointer) { r.SetTime(col, *(*time.Time)(p)) },
	reflect.TypeFor[[]byte]():    setSlice((*RowWriter).SetBytes),
	reflect.TypeFor[[]float32](): setSlice((*RowWriter).SetFloat32s),
	reflect.TypeFor[[]float64](): setSlice((*RowWriter).SetFloat64s),
	reflect.TypeFor[[]int64]():   setSlice((*RowWriter).SetInt64s),
	reflect.TypeFor[[]string]():  setSlice((*RowWriter).SetStrings),
}

// setSlice makes a nil slice NULL.
func setSlice[E any](set func(*RowWriter, int, []E)) func(r *RowWriter, col int, p unsafe.Pointer) {
	return func(r *RowWriter, col int, p unsafe.Pointer) {
		if v := *(*[]E)(p); v != nil {
			set(r, col, v)
		} else {
			r.SetNull(col)
		}
	}
}

func setterFor(t reflect.Type) func(r *RowWriter, col int, p unsafe.Pointer) {
	if set, ok := directSetters[t]; ok {
		return set
	}
	if t.Kind() == reflect.Pointer {
		if set, ok := directSetters[t.Elem()]; ok {
			return func(r *RowWriter, col int, p unsafe.Pointer) {
				if target := *(*unsafe.Pointer)(p); target != nil {
					set(r, col, target)
				} else {
					r.SetNull(col)
				}
			}
		}
	}
	return func(r *RowWriter, col int, p unsafe.Pointer) {
		r.SetValue(col, reflect.NewAt(t, p).Elem().Interface())
	}
}
