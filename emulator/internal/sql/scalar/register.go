//go:build cgo && duckdb_arrow

package scalar

/*
#include <stdint.h>
#include <stdlib.h>

void sluiceScalarCall(void *, void *, void *);
void sluiceScalarFree(void *);
*/
import "C"

import (
	"fmt"
	"maps"
	"math"
	"math/big"
	"runtime/cgo"
	"slices"
	"strings"
	"unsafe"

	"github.com/duckdb/duckdb-go/v2/mapping"
)

// duckTypes are the types behind the letters of Function.
var duckTypes = map[byte]mapping.Type{
	's': mapping.TypeVarchar, 'i': mapping.TypeBigInt, 'j': mapping.TypeInteger, 'h': mapping.TypeHugeInt, 'f': mapping.TypeDouble, 'g': mapping.TypeFloat,
	'd': mapping.TypeDate, 'm': mapping.TypeTimestampMS, 'u': mapping.TypeTimestamp, 'n': mapping.TypeTimestampNS, 'l': mapping.TypeAny,
}

func logicalType(letter byte) mapping.LogicalType {
	if letter == 'x' {
		return mapping.CreateDecimalType(38, decimalScale) //nolint:mnd // the most digits of a decimal
	}
	return mapping.CreateLogicalType(duckTypes[letter])
}

// Register adds all functions, each under prefix and its name, and the operators to the
// database of a connection, once per database.
func Register(conn mapping.Connection, prefix string) error {
	sets := map[string][]*Function{}
	for i := range Functions {
		f := &Functions[i]
		sets[prefix+f.Name] = append(sets[prefix+f.Name], f)
	}
	for i := range Operators {
		f := &Operators[i]
		sets[f.Name] = append(sets[f.Name], f)
	}
	for _, name := range slices.Sorted(maps.Keys(sets)) {
		if err := register(conn, name, sets[name]); err != nil {
			return err
		}
	}
	return nil
}

func register(conn mapping.Connection, name string, overloads []*Function) error {
	set := mapping.CreateScalarFunctionSet(name)
	defer mapping.DestroyScalarFunctionSet(&set)
	for _, f := range overloads {
		d := mapping.CreateScalarFunction()
		defer mapping.DestroyScalarFunction(&d)
		mapping.ScalarFunctionSetName(d, name)
		for i := range len(f.In) {
			t := logicalType(f.In[i])
			mapping.ScalarFunctionAddParameter(d, t)
			mapping.DestroyLogicalType(&t)
		}
		t := logicalType(f.Out)
		mapping.ScalarFunctionSetReturnType(d, t)
		mapping.DestroyLogicalType(&t)
		mapping.ScalarFunctionSetExtraInfo(d, keep(f), C.sluiceScalarFree)
		mapping.ScalarFunctionSetFunction(d, C.sluiceScalarCall)
		if mapping.AddScalarFunctionToSet(set, d) == mapping.StateError {
			return fmt.Errorf("add an overload of function %s", name)
		}
	}
	if mapping.RegisterScalarFunctionSet(conn, set) == mapping.StateError {
		return fmt.Errorf("register function %s with DuckDB", name)
	}
	return nil
}

// keep makes a pointer for DuckDB to keep: a handle in C memory, freed by sluiceScalarFree.
func keep(v any) unsafe.Pointer {
	p := C.malloc(C.size_t(unsafe.Sizeof(cgo.Handle(0))))
	*(*cgo.Handle)(p) = cgo.NewHandle(v)
	return p
}

//export sluiceScalarFree
func sluiceScalarFree(p unsafe.Pointer) {
	(*cgo.Handle)(p).Delete()
	C.free(p)
}

//export sluiceScalarCall
func sluiceScalarCall(info, in, out unsafe.Pointer) {
	f := (*cgo.Handle)(mapping.ScalarFunctionGetExtraInfo(mapping.FunctionInfo{Ptr: info})).Value().(*Function)
	if err := f.chunk(mapping.DataChunk{Ptr: in}, mapping.Vector{Ptr: out}); err != nil {
		mapping.ScalarFunctionSetError(mapping.FunctionInfo{Ptr: info}, err.Error())
	}
}

// chunk calls the function for every row. A panic must not unwind into C.
func (f *Function) chunk(in mapping.DataChunk, out mapping.Vector) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("function %s: %v", f.Name, r)
		}
	}()
	vectors := make([]vector, len(f.In))
	for i := range vectors {
		v := mapping.DataChunkGetVector(in, mapping.IdxT(i))
		if f.In[i] == 'l' && !hasEntries(v) {
			return fmt.Errorf("%s wants an array or a map", strings.ToUpper(f.Name))
		}
		vectors[i] = vector{kind: f.In[i], data: mapping.VectorGetData(v), validity: mapping.VectorGetValidity(v)}
	}
	mapping.VectorEnsureValidityWritable(out)
	result := vector{kind: f.Out, data: mapping.VectorGetData(out), validity: mapping.VectorGetValidity(out)}
	args := make([]any, len(vectors))
	for row := range int(mapping.DataChunkGetSize(in)) {
		var value any
		complete, err := readRow(vectors, row, args)
		if complete {
			value, err = f.Call(args)
		}
		if err != nil {
			return err
		}
		result.set(out, row, value)
	}
	return nil
}

// hasEntries reports whether a vector's type is ARRAY or MAP, whose rows are both kept as
// offset and length.
func hasEntries(v mapping.Vector) bool {
	t := mapping.VectorGetColumnType(v)
	defer mapping.DestroyLogicalType(&t)
	kind := mapping.GetTypeId(t)
	return kind == mapping.TypeList || kind == mapping.TypeMap
}

// readRow reports whether no argument is NULL.
func readRow(vectors []vector, row int, args []any) (complete bool, err error) {
	for i := range vectors {
		if args[i], err = vectors[i].get(row); args[i] == nil {
			return false, err
		}
	}
	return true, nil
}

// vector is DuckDB's memory of one column of a chunk.
type vector struct {
	kind     byte
	data     unsafe.Pointer
	validity unsafe.Pointer // nil if no row is NULL
}

func at[T any](data unsafe.Pointer, row int) *T {
	var t T
	return (*T)(unsafe.Add(data, row*int(unsafe.Sizeof(t))))
}

func (v *vector) get(row int) (any, error) {
	if v.validity != nil && *at[uint64](v.validity, row/64)>>(row%64)&1 == 0 {
		return nil, nil //nolint:nilnil // NULL
	}
	switch v.kind {
	case 'f':
		return *at[float64](v.data, row), nil
	case 'g':
		return *at[float32](v.data, row), nil
	case 's':
		return mapping.StringTData(at[mapping.StringT](v.data, row)), nil
	case 'd', 'j':
		return int64(*at[int32](v.data, row)), nil
	case 'l':
		return at[[2]int64](v.data, row)[1], nil
	case 'x':
		return wide(*at[[2]uint64](v.data, row)), nil
	case 'h':
		n := wide(*at[[2]uint64](v.data, row))
		if !n.IsInt64() {
			return nil, fmt.Errorf("%s does not fit BIGINT", n)
		}
		return n.Int64(), nil
	default:
		return *at[int64](v.data, row), nil
	}
}

// wide reads 128 bits, the low half first.
func wide(words [2]uint64) *big.Int {
	out := new(big.Int).Lsh(big.NewInt(int64(words[1])), 64) //nolint:gosec,mnd // two's complement; the width of a half
	return out.Add(out, new(big.Int).SetUint64(words[0]))
}

// halves is the inverse of wide.
func halves(n *big.Int) [2]uint64 {
	low := new(big.Int).And(n, new(big.Int).SetUint64(math.MaxUint64))
	high := new(big.Int).Rsh(n, 64)                      //nolint:mnd // the width of a half
	return [2]uint64{low.Uint64(), uint64(high.Int64())} //nolint:gosec // two's complement
}

func (v *vector) set(out mapping.Vector, row int, value any) {
	switch value := value.(type) {
	case int64:
		if v.kind == 'd' || v.kind == 'j' {
			*at[int32](v.data, row) = int32(value) //nolint:gosec // the function keeps the range
			return
		}
		*at[int64](v.data, row) = value
	case float64:
		*at[float64](v.data, row) = value
	case string:
		mapping.VectorAssignStringElementLen(out, mapping.IdxT(row), []byte(value))
	case *big.Int:
		*at[[2]uint64](v.data, row) = halves(value)
	default:
		*at[uint64](v.validity, row/64) &^= 1 << (row % 64)
	}
}
