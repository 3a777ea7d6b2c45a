package client

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"google.golang.org/grpc/mem"
)

// DecodeBatch is the decoder of Reader, for the fuzz test.
func DecodeBatch(schema, payload []byte) (arrow.RecordBatch, error) {
	d, err := newBatchDecoder(schema, memory.DefaultAllocator)
	if err != nil {
		return nil, err
	}
	defer d.close()
	return d.decode(mem.BufferSlice{mem.SliceBuffer(payload)})
}
