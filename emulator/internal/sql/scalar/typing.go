//go:build cgo && duckdb_arrow

package scalar

/*
#include <stdint.h>

void sluiceTypingBind(void *);
void sluiceTypingCall(void *, void *, void *);
void sluiceScalarFree(void *);
*/
import "C"

import (
	"errors"
	"fmt"
	"runtime/cgo"
	"sync"
	"unsafe"

	"github.com/duckdb/duckdb-go/v2/mapping"
)

// Class is what matters of a type where values are compared.
type Class int

// The classes. Unknown is what nobody was told about.
const (
	Unknown Class = iota
	Text
	Number
	Other
)

// Typing tells the types of expressions, which DuckDB knows only while it plans a query. A
// query to be planned, not to be run, holds calls of two functions:
//
//	typing_compared(n, a, b) BOOLEAN   in the place of a comparison
//	typing_added(n, a) DOUBLE          in the place of an aggregate's argument
//
// n is a number of [Typing.Reserve]. Safe for concurrent use.
type Typing struct {
	mu    sync.Mutex
	next  int64              // guarded by mu
	found map[int64][2]Class // guarded by mu
}

// Reserve returns the first of count numbers that nobody else uses.
func (t *Typing) Reserve(count int) (first int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	first = t.next
	t.next += int64(count)
	return first
}

// Take returns, and forgets, what was learned about the numbers from first on.
func (t *Typing) Take(first int64, count int) [][2]Class {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([][2]Class, count)
	for i := range out {
		out[i] = t.found[first+int64(i)]
		delete(t.found, first+int64(i))
	}
	return out
}

// RegisterTyping adds the two functions to the database of a connection, under prefix.
func RegisterTyping(conn mapping.Connection, prefix string) (*Typing, error) {
	t := &Typing{found: map[int64][2]Class{}}
	for _, f := range []struct {
		name   string
		values int
		result mapping.Type
	}{{"typing_compared", 2, mapping.TypeBoolean}, {"typing_added", 1, mapping.TypeDouble}} {
		if err := t.register(conn, prefix+f.name, f.values, f.result); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (t *Typing) register(conn mapping.Connection, name string, values int, result mapping.Type) error {
	d := mapping.CreateScalarFunction()
	defer mapping.DestroyScalarFunction(&d)
	mapping.ScalarFunctionSetName(d, name)
	parameters := append([]mapping.Type{mapping.TypeBigInt}, []mapping.Type{mapping.TypeAny, mapping.TypeAny}[:values]...)
	for _, p := range parameters {
		kind := mapping.CreateLogicalType(p)
		mapping.ScalarFunctionAddParameter(d, kind)
		mapping.DestroyLogicalType(&kind)
	}
	kind := mapping.CreateLogicalType(result)
	defer mapping.DestroyLogicalType(&kind)
	mapping.ScalarFunctionSetReturnType(d, kind)
	mapping.ScalarFunctionSetVolatile(d) // so that no plan calls it
	mapping.ScalarFunctionSetExtraInfo(d, keep(t), C.sluiceScalarFree)
	mapping.ScalarFunctionSetBind(d, C.sluiceTypingBind)
	mapping.ScalarFunctionSetFunction(d, C.sluiceTypingCall)
	if mapping.RegisterScalarFunction(conn, d) == mapping.StateError {
		return fmt.Errorf("register function %s with DuckDB", name)
	}
	return nil
}

//export sluiceTypingBind
func sluiceTypingBind(p unsafe.Pointer) {
	info := mapping.BindInfo{Ptr: p}
	t := (*cgo.Handle)(mapping.ScalarFunctionBindGetExtraInfo(info)).Value().(*Typing)
	if err := t.learn(info); err != nil {
		mapping.ScalarFunctionBindSetError(info, err.Error())
	}
}

//export sluiceTypingCall
func sluiceTypingCall(info, in, out unsafe.Pointer) { //nolint:revive // C has no nameless ones
	mapping.ScalarFunctionSetError(mapping.FunctionInfo{Ptr: info}, "a query that was made to be planned is run")
}

// learn keeps the classes of the arguments of a call that DuckDB plans. A panic must not
// unwind into C.
func (t *Typing) learn(info mapping.BindInfo) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("learn types: %v", r)
		}
	}()
	number, err := constant(info)
	if err != nil {
		return err
	}
	var classes [2]Class
	for i := range min(len(classes), int(mapping.ScalarFunctionBindGetArgumentCount(info))-1) {
		classes[i] = classOf(info, mapping.IdxT(i+1))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.found[number] = classes
	return nil
}

// constant is the first argument.
func constant(info mapping.BindInfo) (int64, error) {
	var ctx mapping.ClientContext
	mapping.ScalarFunctionGetClientContext(info, &ctx)
	defer mapping.DestroyClientContext(&ctx)
	e := mapping.ScalarFunctionBindGetArgument(info, 0)
	defer mapping.DestroyExpression(&e)
	var v mapping.Value
	failed := mapping.ExpressionFold(ctx, e, &v)
	defer mapping.DestroyErrorData(&failed)
	if mapping.ErrorDataHasError(failed) {
		return 0, errors.New(mapping.ErrorDataMessage(failed))
	}
	defer mapping.DestroyValue(&v)
	return mapping.GetInt64(v), nil
}

func classOf(info mapping.BindInfo, i mapping.IdxT) Class {
	e := mapping.ScalarFunctionBindGetArgument(info, i)
	defer mapping.DestroyExpression(&e)
	t := mapping.ExpressionReturnType(e)
	defer mapping.DestroyLogicalType(&t)
	switch mapping.GetTypeId(t) {
	case mapping.TypeVarchar, mapping.TypeStringLiteral:
		if mapping.LogicalTypeGetAlias(t) == "JSON" {
			return Other
		}
		return Text
	case mapping.TypeTinyInt, mapping.TypeSmallInt, mapping.TypeInteger, mapping.TypeBigInt, mapping.TypeHugeInt, mapping.TypeFloat, mapping.TypeDouble,
		mapping.TypeDecimal, mapping.TypeUTinyInt, mapping.TypeUSmallInt, mapping.TypeUInteger, mapping.TypeUBigInt, mapping.TypeUHugeInt, mapping.TypeIntegerLiteral:
		return Number
	default:
		return Other
	}
}
