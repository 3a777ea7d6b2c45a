//go:build cgo && duckdb_arrow

package scalar

/*
void sluiceAliveCall(void *, void *, void *);
void sluiceScalarFree(void *);
*/
import "C"

import (
	"fmt"
	"runtime/cgo"
	"sync"
	"unsafe"

	"github.com/duckdb/duckdb-go/v2/mapping"
)

// Alive lets queries end where DuckDB does not look whether they were stopped: within a
// function that works on one long array. The function alive(n), true as long as the query n
// is wanted, stands in the lambdas of a query and is asked for every 2,048 elements. Safe for
// concurrent use.
type Alive struct {
	mu    sync.Mutex
	next  int64                     // guarded by mu
	ended map[int64]<-chan struct{} // guarded by mu
}

// Add returns the number of a query that is wanted until ended is closed. The caller calls
// remove after the query.
func (a *Alive) Add(ended <-chan struct{}) (number int64, remove func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.next++
	number = a.next
	a.ended[number] = ended
	return number, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.ended, number)
	}
}

func (a *Alive) wanted(number int64) bool {
	a.mu.Lock()
	ended := a.ended[number]
	a.mu.Unlock()
	select {
	case <-ended:
		return false
	default:
		return true
	}
}

// RegisterAlive adds the function to the database of a connection, under prefix.
func RegisterAlive(conn mapping.Connection, prefix string) (*Alive, error) {
	a := &Alive{ended: map[int64]<-chan struct{}{}}
	d := mapping.CreateScalarFunction()
	defer mapping.DestroyScalarFunction(&d)
	mapping.ScalarFunctionSetName(d, prefix+"alive")
	number, answer := mapping.CreateLogicalType(mapping.TypeBigInt), mapping.CreateLogicalType(mapping.TypeBoolean)
	defer mapping.DestroyLogicalType(&number)
	defer mapping.DestroyLogicalType(&answer)
	mapping.ScalarFunctionAddParameter(d, number)
	mapping.ScalarFunctionSetReturnType(d, answer)
	mapping.ScalarFunctionSetVolatile(d) // else it would be asked once
	mapping.ScalarFunctionSetExtraInfo(d, keep(a), C.sluiceScalarFree)
	mapping.ScalarFunctionSetFunction(d, C.sluiceAliveCall)
	if mapping.RegisterScalarFunction(conn, d) == mapping.StateError {
		return nil, fmt.Errorf("register function %salive with DuckDB", prefix)
	}
	return a, nil
}

//export sluiceAliveCall
func sluiceAliveCall(info, in, out unsafe.Pointer) {
	a := (*cgo.Handle)(mapping.ScalarFunctionGetExtraInfo(mapping.FunctionInfo{Ptr: info})).Value().(*Alive)
	chunk := mapping.DataChunk{Ptr: in}
	rows := int(mapping.DataChunkGetSize(chunk))
	if rows == 0 {
		return
	}
	if !a.wanted(*at[int64](mapping.VectorGetData(mapping.DataChunkGetVector(chunk, 0)), 0)) {
		mapping.ScalarFunctionSetError(mapping.FunctionInfo{Ptr: info}, "the query was stopped")
		return
	}
	answers := unsafe.Slice((*bool)(mapping.VectorGetData(mapping.Vector{Ptr: out})), rows)
	for i := range answers {
		answers[i] = true
	}
}
