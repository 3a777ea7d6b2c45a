package client

import (
	"context"

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

// NewWriterAfterEnd is NewWriter on a machine so busy that the writer has ended before NewWriter looks at it.
func (c *Client) NewWriterAfterEnd(ctx context.Context, cfg WriterConfig) (*Writer, error) {
	w := newWriter(c, cfg)
	if err := w.defineFirstSchema(); err != nil {
		return nil, err
	}
	ctx, w.cancel = context.WithCancel(ctx)
	defer w.cancel()
	w.run(ctx)
	return w, w.awaitOpen()
}
