package zerocopy

import (
	"fmt"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
)

// WriteRequest is a WriteRowsRequest whose Arrow bytes, if it has any, are held outside of the message.
//
// After RecvMsg, a batch of Arrow has Msg.GetBatch().Payload of type *RowBatch_Arrow with nil bytes, and Payload holds
// them; the receiver owns Payload and must Free it, once. Other messages have a nil Payload.
//
// For SendMsg, a non-nil Payload (which may be empty) is sent as the Arrow bytes of Msg's batch, whatever that batch's
// own oneof holds. The codec takes references of its own: Payload stays the sender's, who may free it when SendMsg has
// returned.
type WriteRequest struct {
	Msg     *sluicev1.WriteRowsRequest
	Payload mem.BufferSlice
}

// ReadResponse is a ReadRowsResponse whose Arrow bytes, if it has any, are held outside of the message. The rules of
// [WriteRequest] hold, with Msg.Payload in place of the batch's.
type ReadResponse struct {
	Msg     *sluicev1.ReadRowsResponse
	Payload mem.BufferSlice
}

// Codec is an encoding.CodecV2 for whole connections: wrapper types by reference, all other messages as gRPC's own
// codec does it. The zero value is ready; it is safe for concurrent use.
type Codec struct{}

// Name is "proto": what is sent is protobuf, whichever way it was made.
func (Codec) Name() string { return "proto" }

// Marshal returns v's wire form. v is a *WriteRequest, a *ReadResponse or a proto.Message.
func (Codec) Marshal(v any) (mem.BufferSlice, error) {
	switch m := v.(type) {
	case *WriteRequest:
		return m.marshal()
	case *ReadResponse:
		return m.marshal()
	case proto.Message:
		return marshalPlain(m)
	}
	return nil, fmt.Errorf("marshal %T: not a protobuf message", v)
}

// Unmarshal parses data into v, a *WriteRequest, a *ReadResponse or a proto.Message, replacing what v held.
func (Codec) Unmarshal(data mem.BufferSlice, v any) error {
	switch m := v.(type) {
	case *WriteRequest:
		return m.unmarshal(data)
	case *ReadResponse:
		return m.unmarshal(data)
	case proto.Message:
		return unmarshalPlain(data, m)
	}
	return fmt.Errorf("unmarshal into %T: not a protobuf message", v)
}

func (r *WriteRequest) marshal() (mem.BufferSlice, error) {
	batch := r.Msg.GetBatch()
	if r.Payload == nil || batch == nil {
		return marshalPlain(r.Msg)
	}
	size := r.Payload.Len()
	// The payload's place in the oneof is taken by the tail, so the head must be marshalled without it. The batch is
	// the sender's and may be shared with nobody while SendMsg runs, so it is changed and put right again.
	held := batch.Payload
	batch.Payload = nil
	defer func() { batch.Payload = held }()
	headSize := proto.Size(batch)
	inner := headSize + tailSize(size)
	head := make([]byte, 0, tagSize+sizeVarint(uint64(inner))+headSize+tagSize+sizeVarint(uint64(size)))
	head = appendTag(head, inner)
	head, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(head, batch)
	if err != nil {
		return nil, fmt.Errorf("marshal row batch: %w", err)
	}
	return join(appendTag(head, size), r.Payload), nil
}

func (r *WriteRequest) unmarshal(data mem.BufferSlice) error {
	r.Msg, r.Payload = &sluicev1.WriteRowsRequest{}, nil
	outer, ok := findTail(data, 0)
	if !ok {
		return r.unmarshalPlain(data)
	}
	inner, ok := findTail(data, outer.start)
	if !ok {
		return r.unmarshalPlain(data)
	}
	if outer.headEnd > 0 {
		if err := proto.Unmarshal(gather(data, 0, outer.headEnd), r.Msg); err != nil {
			return fmt.Errorf("unmarshal write request: %w", err)
		}
	}
	batch := &sluicev1.RowBatch{}
	if head := gather(data, outer.start, inner.headEnd); !readHead(head, batch) {
		if err := proto.Unmarshal(head, batch); err != nil {
			return fmt.Errorf("unmarshal row batch: %w", err)
		}
	}
	batch.Payload = &sluicev1.RowBatch_Arrow{}
	r.Msg.Message = &sluicev1.WriteRowsRequest_Batch{Batch: batch}
	r.Payload = slice(data, inner.start)
	return nil
}

func (r *WriteRequest) unmarshalPlain(data mem.BufferSlice) error {
	if err := unmarshalPlain(data, r.Msg); err != nil {
		return err
	}
	if arrow, ok := r.Msg.GetBatch().GetPayload().(*sluicev1.RowBatch_Arrow); ok {
		r.Payload, arrow.Arrow = mem.BufferSlice{mem.SliceBuffer(arrow.Arrow)}, nil
	}
	return nil
}

func (r *ReadResponse) marshal() (mem.BufferSlice, error) {
	if r.Payload == nil {
		return marshalPlain(r.Msg)
	}
	size := r.Payload.Len()
	held := r.Msg.Payload // as in WriteRequest
	r.Msg.Payload = nil
	defer func() { r.Msg.Payload = held }()
	head := make([]byte, 0, proto.Size(r.Msg)+tagSize+sizeVarint(uint64(size)))
	head, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(head, r.Msg)
	if err != nil {
		return nil, fmt.Errorf("marshal read response: %w", err)
	}
	return join(appendTag(head, size), r.Payload), nil
}

func (r *ReadResponse) unmarshal(data mem.BufferSlice) error {
	r.Msg, r.Payload = &sluicev1.ReadRowsResponse{}, nil
	tail, ok := findTail(data, 0)
	if !ok {
		return r.unmarshalPlain(data)
	}
	if err := proto.Unmarshal(gather(data, 0, tail.headEnd), r.Msg); err != nil {
		return fmt.Errorf("unmarshal read response: %w", err)
	}
	r.Msg.Payload = &sluicev1.ReadRowsResponse_Arrow{}
	r.Payload = slice(data, tail.start)
	return nil
}

func (r *ReadResponse) unmarshalPlain(data mem.BufferSlice) error {
	if err := unmarshalPlain(data, r.Msg); err != nil {
		return err
	}
	if arrow, ok := r.Msg.GetPayload().(*sluicev1.ReadRowsResponse_Arrow); ok {
		r.Payload, arrow.Arrow = mem.BufferSlice{mem.SliceBuffer(arrow.Arrow)}, nil
	}
	return nil
}

// marshalPlain is what gRPC's own codec does.
func marshalPlain(m proto.Message) (mem.BufferSlice, error) {
	size := proto.Size(m)
	if mem.IsBelowBufferPoolingThreshold(size) {
		buf, err := proto.MarshalOptions{UseCachedSize: true}.Marshal(m)
		if err != nil {
			return nil, fmt.Errorf("marshal %s: %w", m.ProtoReflect().Descriptor().FullName(), err)
		}
		return mem.BufferSlice{mem.SliceBuffer(buf)}, nil
	}
	pool := mem.DefaultBufferPool()
	buf := pool.Get(size)
	if _, err := (proto.MarshalOptions{UseCachedSize: true}).MarshalAppend((*buf)[:0], m); err != nil {
		pool.Put(buf)
		return nil, fmt.Errorf("marshal %s: %w", m.ProtoReflect().Descriptor().FullName(), err)
	}
	return mem.BufferSlice{mem.NewBuffer(buf, pool)}, nil
}

func unmarshalPlain(data mem.BufferSlice, m proto.Message) error {
	buf := data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer buf.Free()
	if err := proto.Unmarshal(buf.ReadOnlyData(), m); err != nil {
		return fmt.Errorf("unmarshal %s: %w", m.ProtoReflect().Descriptor().FullName(), err)
	}
	return nil
}
