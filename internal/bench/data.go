package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"

	sdkarrow "github.com/aliyun/aliyun-odps-go-sdk/arrow"
	sdkarray "github.com/aliyun/aliyun-odps-go-sdk/arrow/array"
	sdkipc "github.com/aliyun/aliyun-odps-go-sdk/arrow/ipc"
	"github.com/aliyun/aliyun-odps-go-sdk/odps/data"
	"github.com/aliyun/aliyun-odps-go-sdk/odps/datatype"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/sluice-io/sluice/client"
	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
)

const (
	vectorLen  = 64
	batchBytes = 1 << 20 // of Arrow, about, in one record batch: what a program holds, not what a message carries
)

// shape is one of the two kinds of rows: narrow is bigint, a string of 20 bytes, double, boolean, timestamp; wide has an
// ARRAY<FLOAT> of 64 in addition.
type shape string

const (
	wide   shape = "wide"
	narrow shape = "narrow"
)

// rowBytes is about what a row takes as Arrow.
func (s shape) rowBytes() int {
	if s == wide {
		return 308
	}
	return 48
}

func (s shape) columns() []*sluicev1.Column {
	names := []string{"id", "name", "score", "flag", "ts"}
	types := []*sluicev1.DataType{
		{Text: "bigint", Kind: sluicev1.TypeKind_TYPE_KIND_BIGINT},
		{Text: "string", Kind: sluicev1.TypeKind_TYPE_KIND_STRING},
		{Text: "double", Kind: sluicev1.TypeKind_TYPE_KIND_DOUBLE},
		{Text: "boolean", Kind: sluicev1.TypeKind_TYPE_KIND_BOOLEAN},
		{Text: "timestamp", Kind: sluicev1.TypeKind_TYPE_KIND_TIMESTAMP},
	}
	if s == wide {
		float := &sluicev1.DataType{Text: "float", Kind: sluicev1.TypeKind_TYPE_KIND_FLOAT}
		names = append(names, "vec")
		types = append(types, &sluicev1.DataType{
			Text: "array<float>", Kind: sluicev1.TypeKind_TYPE_KIND_ARRAY, Children: []*sluicev1.Column{{Name: "item", Type: float}},
		})
	}
	out := make([]*sluicev1.Column, len(names))
	for i := range names {
		out[i] = &sluicev1.Column{Name: names[i], Type: types[i]}
	}
	return out
}

// rowSet is n rows as a program holds them, column by column.
type rowSet struct {
	shape shape
	id    []int64
	name  []string
	score []float64
	flag  []bool
	ts    []int64   // nanoseconds since 1970
	vec   []float32 // vectorLen a row; nil when narrow
}

// makeRows makes the same rows every time.
func makeRows(s shape, n int) *rowSet {
	r := rand.New(rand.NewPCG(1, 2))
	x := &rowSet{shape: s}
	for i := range n {
		x.id = append(x.id, int64(i)*1000+r.Int64N(1000))
		x.name = append(x.name, fmt.Sprintf("user-%08x-%06d", r.Uint32(), i%1_000_000))
		x.score = append(x.score, r.NormFloat64()*100)
		x.flag = append(x.flag, r.IntN(2) == 0)
		x.ts = append(x.ts, 1_760_000_000_000_000_000+int64(i)*1_000_000+r.Int64N(1_000_000))
		if s == wide {
			for range vectorLen {
				x.vec = append(x.vec, r.Float32())
			}
		}
	}
	return x
}

func (x *rowSet) len() int { return len(x.id) }

func (x *rowSet) vector(i int) []float32 { return x.vec[i*vectorLen : (i+1)*vectorLen] }

// batches are rows as Arrow, in both of the Go type universes, and how many bytes they take as messages.
type batches struct {
	schema *arrow.Schema
	ours   []arrow.RecordBatch
	sent   [][]byte // each batch as one encapsulated RecordBatch message
	rows   int
	bytes  int
}

// arrowBatches cuts x into batches of about batchBytes.
func arrowBatches(x *rowSet) (*batches, error) {
	schema, err := client.ArrowSchema(x.shape.columns())
	if err != nil {
		return nil, fmt.Errorf("make Arrow schema: %w", err)
	}
	b := &batches{schema: schema, rows: x.len()}
	step := batchBytes / x.shape.rowBytes()
	for from := 0; from < x.len(); from += step {
		rec := x.record(schema, from, min(x.len(), from+step))
		message, err := encapsulate(rec)
		if err != nil {
			return nil, err
		}
		b.ours = append(b.ours, rec)
		b.sent = append(b.sent, message)
		b.bytes += len(message)
	}
	return b, nil
}

func (x *rowSet) record(schema *arrow.Schema, from, to int) arrow.RecordBatch {
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	b.Reserve(to - from)
	b.Field(0).(*array.Int64Builder).AppendValues(x.id[from:to], nil)
	b.Field(1).(*array.StringBuilder).AppendValues(x.name[from:to], nil)
	b.Field(2).(*array.Float64Builder).AppendValues(x.score[from:to], nil)
	b.Field(3).(*array.BooleanBuilder).AppendValues(x.flag[from:to], nil)
	stamps := b.Field(4).(*array.TimestampBuilder)
	for _, ts := range x.ts[from:to] {
		stamps.Append(arrow.Timestamp(ts))
	}
	if x.shape == wide {
		list := b.Field(5).(*array.ListBuilder)
		values := list.ValueBuilder().(*array.Float32Builder)
		values.Reserve((to - from) * vectorLen)
		for i := from; i < to; i++ {
			list.Append(true)
			values.AppendValues(x.vector(i), nil)
		}
	}
	return b.NewRecordBatch()
}

// encapsulate returns rec as one RecordBatch message, without schema and end marker.
func encapsulate(rec arrow.RecordBatch) ([]byte, error) {
	payload, err := ipc.GetRecordBatchPayload(rec)
	if err != nil {
		return nil, fmt.Errorf("encode record batch: %w", err)
	}
	defer payload.Release()
	var b bytes.Buffer
	if _, err := payload.WritePayload(&b); err != nil {
		return nil, fmt.Errorf("encode record batch: %w", err)
	}
	return b.Bytes(), nil
}

// forSDK returns the batches in the SDK's own Arrow, made from the same bytes.
func (b *batches) forSDK(schema *sdkarrow.Schema) ([]sdkarray.Record, error) {
	end := binary.LittleEndian.AppendUint64(nil, 0x00000000ffffffff)
	out := make([]sdkarray.Record, 0, len(b.sent))
	for _, message := range b.sent {
		r := sdkipc.NewRecordBatchReader(bytes.NewReader(append(bytes.Clone(message), end...)), schema)
		rec, err := r.Read()
		if err != nil {
			return nil, fmt.Errorf("bring record batch to the SDK's Arrow: %w", err)
		}
		rec.Retain()
		out = append(out, rec)
	}
	return out, nil
}

var floats = datatype.NewArrayType(datatype.FloatType)

// sdkRecord is row i as the SDK wants it.
func (x *rowSet) sdkRecord(i int) data.Record {
	rec := data.Record{
		data.BigInt(x.id[i]), data.String(x.name[i]), data.Double(x.score[i]), data.Bool(x.flag[i]), data.Timestamp(time.Unix(0, x.ts[i])),
	}
	if x.shape == narrow {
		return rec
	}
	values := make([]data.Data, vectorLen)
	for k, v := range x.vector(i) {
		values[k] = data.Float(v)
	}
	list := data.NewArrayWithType(floats)
	list.UnSafeAppend(values...)
	return append(rec, list)
}
