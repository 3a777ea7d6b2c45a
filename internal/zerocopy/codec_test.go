package zerocopy_test

import (
	"bytes"
	"testing"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
	"github.com/sluice-io/sluice/internal/zerocopy"
)

// pieces cuts b into buffers of n bytes, as frames arrive.
func pieces(b []byte, n int) mem.BufferSlice {
	var out mem.BufferSlice
	for len(b) > n {
		out, b = append(out, mem.SliceBuffer(b[:n])), b[n:]
	}
	return append(out, mem.SliceBuffer(b))
}

func arrowRequest(payload []byte) *sluicev1.WriteRowsRequest {
	return &sluicev1.WriteRowsRequest{Message: &sluicev1.WriteRowsRequest_Batch{Batch: &sluicev1.RowBatch{
		BatchId: 7, Offset: 1 << 40, RowCount: 500, SchemaId: 3, Crc32C: proto.Uint32(0xfeedbeef),
		Payload: &sluicev1.RowBatch_Arrow{Arrow: payload},
	}}}
}

func arrowResponse(payload []byte) *sluicev1.ReadRowsResponse {
	return &sluicev1.ReadRowsResponse{
		FirstRow: 12, RowCount: 9, NextSkipRows: 21, Crc32C: proto.Uint32(5),
		Payload: &sluicev1.ReadRowsResponse_Arrow{Arrow: payload},
	}
}

func payloads() map[string][]byte {
	return map[string][]byte{
		"empty": {}, "one byte": {1}, "127 bytes": bytes.Repeat([]byte{2}, 127), "128 bytes": bytes.Repeat([]byte{3}, 128),
		"256 KiB": bytes.Repeat([]byte("sluice.."), 32<<10),
	}
}

func TestWriteRequestIsByteIdenticalToProtobuf(t *testing.T) {
	for name, payload := range payloads() {
		t.Run(name, func(t *testing.T) {
			want, err := proto.MarshalOptions{Deterministic: true}.Marshal(arrowRequest(payload))
			if err != nil {
				t.Fatal(err)
			}
			req := &zerocopy.WriteRequest{Msg: arrowRequest(nil), Payload: pieces(payload, 1000)}
			got, err := zerocopy.Codec{}.Marshal(req)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Materialize(), want) {
				t.Errorf("Marshal gave %d bytes, protobuf-go %d, not the same", got.Len(), len(want))
			}
		})
	}
}

func TestWriteRequestRoundTripAtEveryFrameSize(t *testing.T) {
	for name, payload := range payloads() {
		for _, cut := range []int{1, 2, 3, 5, 7, 11, 13, 100, 16379, 1 << 20} {
			if cut < 5 && len(payload) > 1000 {
				continue
			}
			wire, err := proto.Marshal(arrowRequest(payload))
			if err != nil {
				t.Fatal(err)
			}
			var got zerocopy.WriteRequest
			if err := (zerocopy.Codec{}).Unmarshal(pieces(wire, cut), &got); err != nil {
				t.Fatalf("%s cut at %d: Unmarshal: %v", name, cut, err)
			}
			if !bytes.Equal(got.Payload.Materialize(), payload) {
				t.Errorf("%s cut at %d: payload differs", name, cut)
			}
			if !proto.Equal(got.Msg, arrowRequest(nil)) {
				t.Errorf("%s cut at %d: head = %v, want %v", name, cut, got.Msg, arrowRequest(nil))
			}
		}
	}
}

func TestReadResponseRoundTripAtEveryFrameSize(t *testing.T) {
	for name, payload := range payloads() {
		for _, cut := range []int{1, 3, 7, 13, 100, 16379} {
			if cut < 5 && len(payload) > 1000 {
				continue
			}
			sent := &zerocopy.ReadResponse{Msg: arrowResponse(nil), Payload: pieces(payload, 4096)}
			wire, err := zerocopy.Codec{}.Marshal(sent)
			if err != nil {
				t.Fatal(err)
			}
			plain := &sluicev1.ReadRowsResponse{}
			if err := (zerocopy.Codec{}).Unmarshal(wire, plain); err != nil {
				t.Fatal(err)
			}
			if !proto.Equal(plain, arrowResponse(payload)) {
				t.Errorf("%s: protobuf-go reads %v, want %v", name, plain, arrowResponse(payload))
			}
			var got zerocopy.ReadResponse
			if err := (zerocopy.Codec{}).Unmarshal(pieces(wire.Materialize(), cut), &got); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Payload.Materialize(), payload) || !proto.Equal(got.Msg, arrowResponse(nil)) {
				t.Errorf("%s cut at %d: response differs", name, cut)
			}
		}
	}
}

func TestOtherMessagesPassAsProtobuf(t *testing.T) {
	messages := []*sluicev1.WriteRowsRequest{
		{Message: &sluicev1.WriteRowsRequest_Open{Open: &sluicev1.SliceOpen{RunId: "r", SliceId: 3}}},
		{Message: &sluicev1.WriteRowsRequest_Heartbeat{Heartbeat: &sluicev1.Heartbeat{}}},
		{Message: &sluicev1.WriteRowsRequest_Batch{Batch: &sluicev1.RowBatch{RowCount: 1, Payload: &sluicev1.RowBatch_Rows{
			Rows: &sluicev1.RowList{Rows: []*sluicev1.Row{{Values: []*sluicev1.Value{{}}}}},
		}}}},
		{},
	}
	for _, want := range messages {
		wire, err := zerocopy.Codec{}.Marshal(&zerocopy.WriteRequest{Msg: want})
		if err != nil {
			t.Fatal(err)
		}
		var got zerocopy.WriteRequest
		if err := (zerocopy.Codec{}).Unmarshal(wire, &got); err != nil {
			t.Fatal(err)
		}
		if got.Payload != nil || !proto.Equal(got.Msg, want) {
			t.Errorf("got %v with payload %v, want %v without", got.Msg, got.Payload, want)
		}
	}
}

// A payload that stands before other fields is legal protobuf and must be read all the same.
func TestPayloadInTheMiddleIsRead(t *testing.T) {
	var batch []byte
	batch = protowire.AppendTag(batch, 1000, protowire.BytesType)
	batch = protowire.AppendBytes(batch, []byte("rows"))
	batch = protowire.AppendTag(batch, 2, protowire.VarintType)
	batch = protowire.AppendVarint(batch, 99)
	var wire []byte
	wire = protowire.AppendTag(wire, 1000, protowire.BytesType)
	wire = protowire.AppendBytes(wire, batch)
	var got zerocopy.WriteRequest
	if err := (zerocopy.Codec{}).Unmarshal(pieces(wire, 3), &got); err != nil {
		t.Fatal(err)
	}
	if got.Msg.GetBatch().GetOffset() != 99 || string(got.Payload.Materialize()) != "rows" {
		t.Errorf("got offset %d, payload %q, want 99, rows", got.Msg.GetBatch().GetOffset(), got.Payload.Materialize())
	}
}

// countingPool tells how many of its buffers are out.
type countingPool struct{ out int }

func (p *countingPool) Get(n int) *[]byte { p.out++; b := make([]byte, n); return &b }
func (p *countingPool) Put(*[]byte)       { p.out-- }

func TestPayloadReferencesAreCounted(t *testing.T) {
	pool := &countingPool{}
	wire, err := proto.Marshal(arrowRequest(bytes.Repeat([]byte{9}, 100_000)))
	if err != nil {
		t.Fatal(err)
	}
	var data mem.BufferSlice
	for _, piece := range pieces(wire, 16379) {
		data = append(data, mem.Copy(piece.ReadOnlyData(), pool))
	}
	var got zerocopy.WriteRequest
	if err := (zerocopy.Codec{}).Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	data.Free() // gRPC does so as soon as Unmarshal returns
	if pool.out == 0 {
		t.Fatal("the payload's buffers went back although they are still held")
	}
	again, err := zerocopy.Codec{}.Marshal(&got)
	if err != nil {
		t.Fatal(err)
	}
	got.Payload.Free()
	if !bytes.Equal(again.Materialize(), wire) {
		t.Error("passing a received request on changes its bytes")
	}
	again.Free()
	if pool.out != 0 {
		t.Errorf("%d buffers leak", pool.out)
	}
}

func FuzzUnmarshalAgreesWithProtobuf(f *testing.F) {
	for _, payload := range payloads() {
		if len(payload) > 1000 {
			continue
		}
		wire, err := proto.Marshal(arrowRequest(payload))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(wire, uint8(3))
		wire, err = proto.Marshal(arrowResponse(payload))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(wire, uint8(200))
	}
	f.Add([]byte{0xc2, 0x3e, 0x03, 0xc2, 0x3e, 0x00}, uint8(1))
	f.Add([]byte{0x3a, 0x00, 0xc2, 0x3e, 0x04, 0x10, 0x63, 0xc2, 0x3e}, uint8(2))
	f.Fuzz(func(t *testing.T, wire []byte, cut uint8) {
		data := pieces(wire, int(cut)+1)
		checkWrite(t, wire, data)
		checkRead(t, wire, data)
	})
}

func checkWrite(t *testing.T, wire []byte, data mem.BufferSlice) {
	t.Helper()
	want := &sluicev1.WriteRowsRequest{}
	wantErr := proto.Unmarshal(wire, want)
	var got zerocopy.WriteRequest
	err := zerocopy.Codec{}.Unmarshal(data, &got)
	if (err == nil) != (wantErr == nil) {
		t.Fatalf("Unmarshal = %v, protobuf-go says %v", err, wantErr)
	}
	if err != nil {
		return
	}
	if arrow, ok := got.Msg.GetBatch().GetPayload().(*sluicev1.RowBatch_Arrow); ok {
		arrow.Arrow = got.Payload.Materialize()
	} else if got.Payload != nil {
		t.Fatal("a payload without an Arrow batch")
	}
	if !proto.Equal(got.Msg, want) {
		t.Fatalf("got %v, want %v", got.Msg, want)
	}
}

func checkRead(t *testing.T, wire []byte, data mem.BufferSlice) {
	t.Helper()
	want := &sluicev1.ReadRowsResponse{}
	wantErr := proto.Unmarshal(wire, want)
	var got zerocopy.ReadResponse
	err := zerocopy.Codec{}.Unmarshal(data, &got)
	if (err == nil) != (wantErr == nil) {
		t.Fatalf("Unmarshal = %v, protobuf-go says %v", err, wantErr)
	}
	if err != nil {
		return
	}
	if arrow, ok := got.Msg.GetPayload().(*sluicev1.ReadRowsResponse_Arrow); ok {
		arrow.Arrow = got.Payload.Materialize()
	} else if got.Payload != nil {
		t.Fatal("a payload without Arrow rows")
	}
	if !proto.Equal(got.Msg, want) {
		t.Fatalf("got %v, want %v", got.Msg, want)
	}
}
