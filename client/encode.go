package client

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"slices"
	"sync/atomic"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// referenceBytes is the size from which a buffer goes into a message by reference. Smaller ones are copied together:
// a reference costs about as much as copying 2 KiB.
const referenceBytes = 2 << 10

// message is one encoded record batch: its bytes, how many they are, and their CRC-32C.
type message struct {
	payload mem.BufferSlice
	bytes   int
	crc     uint32
}

// encodeBatch returns rec as one encapsulated RecordBatch message. Large buffers are taken by reference and stay retained until
// the payload is freed.
func encodeBatch(rec arrow.RecordBatch, alloc memory.Allocator) (message, error) {
	payload, err := ipc.GetRecordBatchPayload(rec, ipc.WithAllocator(alloc))
	if err != nil {
		return message{}, fmt.Errorf("encode record batch: %w", err)
	}
	c := collector{hold: &hold{payload: payload}}
	c.hold.refs.Store(1)
	if _, err := payload.WritePayload(&c); err != nil {
		c.hold.release()
		return message{}, fmt.Errorf("encode record batch: %w", err)
	}
	c.flush()
	c.hold.release()
	return message{payload: c.out, bytes: c.bytes, crc: c.crc}, nil
}

// encodeSchema returns schema as one encapsulated Schema message.
func encodeSchema(schema *arrow.Schema) ([]byte, error) {
	payload := ipc.GetSchemaPayload(schema, memory.DefaultAllocator)
	defer payload.Release()
	var b bytes.Buffer
	if _, err := payload.WritePayload(&b); err != nil {
		return nil, fmt.Errorf("encode schema: %w", err)
	}
	return b.Bytes(), nil
}

// collector is the writer that a payload writes itself to. It keeps the slices that it is given, which an io.Writer
// must not do; here they are the payload's own buffers, or constants, and hold keeps them alive.
type collector struct {
	hold  *hold
	out   mem.BufferSlice
	small []byte // copied bytes that are not in out yet
	bytes int
	crc   uint32
}

func (c *collector) Write(b []byte) (int, error) {
	c.bytes += len(b)
	c.crc = crc32.Update(c.crc, castagnoli, b)
	if len(b) < referenceBytes {
		c.small = append(c.small, b...)
		return len(b), nil
	}
	c.flush()
	c.hold.refs.Add(1)
	piece := slices.Clip(b)
	c.out = append(c.out, mem.NewBuffer(&piece, c.hold))
	return len(b), nil
}

func (c *collector) flush() {
	if len(c.small) > 0 {
		c.out = append(c.out, mem.SliceBuffer(c.small))
		c.small = nil
	}
}

// hold releases an Arrow payload when the last buffer that points into it is freed. It is the "pool" of those buffers.
type hold struct {
	refs    atomic.Int64
	payload ipc.Payload
}

func (h *hold) release() {
	if h.refs.Add(-1) == 0 {
		h.payload.Release()
	}
}

// Put is called by gRPC's buffer when nobody refers to it any more.
func (h *hold) Put(*[]byte) { h.release() }

// Get is part of mem.BufferPool and never called: no buffer is ever asked of a hold.
func (h *hold) Get(int) *[]byte { panic("client: a hold gives no buffers") }

// cutBatch calls emit with rec cut into messages of about the best size, none above the largest. A row that alone is
// larger than that is MESSAGE_TOO_LARGE; then nothing of rec that comes after it was emitted.
func cutBatch(rec arrow.RecordBatch, limits *sluicev1.Limits, alloc memory.Allocator, emit func(rows int64, m message) error) error {
	n := rec.NumRows()
	if n == 0 {
		return nil
	}
	perRow := max(1, recordBytes(rec)/n)
	step := min(max(1, int64(limits.GetBestMessageBytes())/perRow), int64(limits.GetMaxBatchRows()))
	for start := int64(0); start < n; {
		rows, m, err := encodeRange(rec, start, min(step, n-start), int(limits.GetMaxMessageBytes())-messageOverhead, alloc)
		if err != nil {
			return err
		}
		if err := emit(rows, m); err != nil {
			m.payload.Free()
			return err
		}
		start += rows
	}
	return nil
}

// withDefaults fills what a server did not say with the defaults of api.md 1.
func withDefaults(l *sluicev1.Limits) *sluicev1.Limits {
	out := &sluicev1.Limits{MaxMessageBytes: 16 << 20, BestMessageBytes: 256 << 10, MaxBatchRows: 1 << 18, MaxSchemas: 64}
	proto.Merge(out, l)
	return out
}

// messageOverhead is more than the fields around a payload take.
const messageOverhead = 1 << 10

// encodeRange encodes the next rows of rec, fewer than asked for if they are larger than limit, and says how many.
func encodeRange(rec arrow.RecordBatch, start, rows int64, limit int, alloc memory.Allocator) (int64, message, error) {
	for {
		part := rec.NewSlice(start, start+rows)
		m, err := encodeBatch(part, alloc)
		part.Release()
		if err != nil || m.bytes <= limit {
			return rows, m, err
		}
		m.payload.Free()
		if rows == 1 {
			return 0, message{}, newError(sluicev1.Reason_REASON_MESSAGE_TOO_LARGE, codes.InvalidArgument,
				"row %d of the batch takes %d bytes as a message, the server accepts %d", start, m.bytes, limit)
		}
		rows /= 2
	}
}

// recordBytes estimates the size of rec's values, without what lies outside of its slice.
func recordBytes(rec arrow.RecordBatch) int64 {
	var sum int64
	for _, col := range rec.Columns() {
		sum += arrayBytes(col)
	}
	return sum
}

func arrayBytes(a arrow.Array) int64 {
	n := int64(a.Len())
	switch a := a.(type) {
	case *array.String:
		return 4*n + int64(len(a.ValueBytes()))
	case *array.Binary:
		return 4*n + int64(len(a.ValueBytes()))
	case *array.LargeString:
		return 8*n + int64(len(a.ValueBytes()))
	case *array.Struct:
		var sum int64
		for i := range a.NumField() {
			sum += arrayBytes(a.Field(i)) * n / max(1, int64(a.Field(i).Len()))
		}
		return sum
	case array.ListLike:
		values := a.ListValues()
		if n == 0 || values.Len() == 0 {
			return 4 * n
		}
		first, _ := a.ValueOffsets(0)
		_, last := a.ValueOffsets(int(n) - 1)
		return 4*n + arrayBytes(values)*(last-first)/int64(values.Len())
	}
	if w, ok := a.DataType().(arrow.FixedWidthDataType); ok {
		return max(n*int64(w.BitWidth())/8, n/8)
	}
	return int64(a.Data().SizeInBytes())
}

// BatchBytes is about the size of a batch's values, without what lies outside of its slice.
func BatchBytes(rec arrow.RecordBatch) int64 { return recordBytes(rec) }
