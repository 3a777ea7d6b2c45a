// Package zerocopy is the gRPC codec of the two data streams, WriteRows and ReadRows: protobuf on the wire, without
// protobuf ever touching the rows.
//
// Every message that carries rows holds them in a bytes field numbered 1000, and so does the message around it, so that
// the payload can stand at the tail (api.md 1). The codec encodes and decodes the head with protobuf-go and passes the
// tail on as a [mem.BufferSlice] by reference:
//
//	WriteRowsRequest   ├ tag 1000 ┤ len ├───── RowBatch: fields 1…6 ─────┤ tag 1000 ┤ len ├── payload … ┤
//	ReadRowsResponse   ├──────────── fields 1…8 ───────────────────────────┤ tag 1000 ┤ len ├── payload … ┤
//	                    └ marshalled into one small buffer                                 └ by reference
//
// [Codec] knows two wrapper types, [WriteRequest] and [ReadResponse]; whoever passes one of them to SendMsg or RecvMsg
// gets the payload by reference. Every other message, and every message in another field order, takes the way of
// protobuf-go with the same result, so any client in any language may be on the other side.
//
// It does not look into the payload, bound its size or check its sum.
package zerocopy
