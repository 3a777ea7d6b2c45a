//go:build cgo && duckdb_arrow

package scan

/*
#include <stdint.h>
#include <stdlib.h>

void sluiceScanBind(void *);
void sluiceScanInit(void *);
void sluiceScanWorker(void *);
void sluiceScanChunk(void *, void *);
void sluiceScanFree(void *);
*/
import "C"

import (
	"errors"
	"fmt"
	"runtime/cgo"
	"unsafe"

	"github.com/duckdb/duckdb-go/v2/mapping"

	"github.com/sluice-io/sluice/emulator/internal/types"
)

// DuckDB keeps pointers, not Go values: a handle in C memory stands for each.

func keep(v any) unsafe.Pointer {
	p := C.malloc(C.size_t(unsafe.Sizeof(cgo.Handle(0))))
	*(*cgo.Handle)(p) = cgo.NewHandle(v)
	return p
}

func kept[T any](p unsafe.Pointer) T { return (*cgo.Handle)(p).Value().(T) }

//export sluiceScanFree
func sluiceScanFree(p unsafe.Pointer) {
	h := *(*cgo.Handle)(p)
	if w, ok := h.Value().(*worker); ok {
		w.drop()
	}
	h.Delete()
	C.free(p)
}

// Register adds the function to the database of a connection, once per database.
func Register(conn mapping.Connection) (*Function, error) {
	f := &Function{cursors: map[int64]*Cursor{}}
	d := mapping.CreateTableFunction()
	defer mapping.DestroyTableFunction(&d)
	mapping.TableFunctionSetName(d, name)
	number := mapping.CreateLogicalType(mapping.TypeBigInt)
	defer mapping.DestroyLogicalType(&number)
	mapping.TableFunctionAddParameter(d, number) // of the cursor
	mapping.TableFunctionSetExtraInfo(d, keep(f), C.sluiceScanFree)
	mapping.TableFunctionSupportsProjectionPushdown(d, true)
	mapping.TableFunctionSetBind(d, C.sluiceScanBind)
	mapping.TableFunctionSetInit(d, C.sluiceScanInit)
	mapping.TableFunctionSetLocalInit(d, C.sluiceScanWorker)
	mapping.TableFunctionSetFunction(d, C.sluiceScanChunk)
	if mapping.RegisterTableFunction(conn, d) == mapping.StateError {
		return nil, errors.New("register the table function with DuckDB")
	}
	return f, nil
}

//export sluiceScanBind
func sluiceScanBind(p unsafe.Pointer) {
	info := mapping.BindInfo{Ptr: p}
	f := kept[*Function](mapping.BindGetExtraInfo(info))
	v := mapping.BindGetParameter(info, 0)
	number := mapping.GetInt64(v)
	mapping.DestroyValue(&v)
	c := f.cursor(number)
	if c == nil {
		mapping.BindSetError(info, fmt.Sprintf("no table has the number %d", number))
		return
	}
	before := []Column{{noColumn, types.Type{Kind: types.Boolean}}, {RowColumn, types.Type{Kind: types.BigInt}}}
	for _, column := range append(before, c.table.Columns...) {
		t := logicalType(column.Type, c.table.Micros)
		mapping.BindAddResultColumn(info, column.Name, t)
		mapping.DestroyLogicalType(&t)
	}
	mapping.BindSetCardinality(info, mapping.IdxT(c.rowCount()), false)
	mapping.BindSetBindData(info, keep(c), C.sluiceScanFree)
}

// rowCount is an estimate for the planner.
func (c *Cursor) rowCount() (n int) {
	from, to := c.pieces()
	for i := from; i < to; i++ {
		n += c.table.rows(i).n
	}
	return n
}

//export sluiceScanInit
func sluiceScanInit(p unsafe.Pointer) {
	info := mapping.InitInfo{Ptr: p}
	var columns []int
	for i := range mapping.InitGetColumnCount(info) {
		columns = append(columns, int(mapping.InitGetColumnIndex(info, i)))
	}
	r := kept[*Cursor](mapping.InitGetBindData(info)).start(columns)
	mapping.InitSetMaxThreads(info, mapping.IdxT(max(1, r.end-int(r.next.Load()))))
	mapping.InitSetInitData(info, keep(r), C.sluiceScanFree)
}

//export sluiceScanWorker
func sluiceScanWorker(p unsafe.Pointer) {
	mapping.InitSetInitData(mapping.InitInfo{Ptr: p}, keep(&worker{}), C.sluiceScanFree)
}

//export sluiceScanChunk
func sluiceScanChunk(p, chunk unsafe.Pointer) {
	info, out := mapping.FunctionInfo{Ptr: p}, mapping.DataChunk{Ptr: chunk}
	r := kept[*run](mapping.FunctionGetInitData(info))
	n, err := r.chunk(kept[*worker](mapping.FunctionGetLocalInitData(info)), out)
	if err != nil {
		r.table.fail(err)
		mapping.FunctionSetError(info, err.Error())
		n = 0
	}
	mapping.DataChunkSetSize(out, mapping.IdxT(n))
}
