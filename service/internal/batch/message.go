package batch

import (
	"encoding/binary"
	"fmt"

	"github.com/sluice-io/sluice/service/internal/apierr"
)

// Numbers of Arrow's Message.fbs and Schema.fbs; frozen.
const (
	ipcContinuation = 0xffffffff
	ipcV4           = 3 // MetadataVersion; V4 and V5 differ only in unions, which we refuse
	ipcV5           = 4

	headerSchema          = 1
	headerDictionaryBatch = 2
	headerRecordBatch     = 3
)

// ipcMessage is the metadata of one encapsulated message and where its body lies in it.
type ipcMessage struct {
	view     metaView
	header   metaTable
	kind     uint8
	bodyAt   int // of the whole message
	bodySize int64
}

func badArrow(format string, args ...any) error {
	return apierr.New(apierr.BadArgument, "arrow: "+format, args...)
}

// openMessage parses the frame of a message of total bytes, of which meta yields any range within. It checks that
// the frame fits exactly: nothing missing, nothing left over.
func (msg *ipcMessage) open(total int, meta func(from, size int) []byte) error {
	if total < 16 {
		return badArrow("%d bytes are no message", total)
	}
	prefix := meta(0, 8)
	if binary.LittleEndian.Uint32(prefix) != ipcContinuation {
		return badArrow("message does not begin with the continuation mark FFFFFFFF")
	}
	size := int64(int32(binary.LittleEndian.Uint32(prefix[4:])))
	if size == 0 {
		return badArrow("end-of-stream mark instead of a message")
	}
	if size < 8 || size%8 != 0 || size > int64(total-8) {
		return badArrow("metadata of %d bytes in a message of %d", size, total)
	}
	msg.view = metaView{b: meta(8, int(size)), budget: metaBudget}
	msg.bodyAt = 8 + int(size)
	return msg.readHeader(total)
}

// metaBudget bounds the tables read from one message; a schema of 1,200 nested columns needs a tenth.
const metaBudget = 1 << 17

func (msg *ipcMessage) readHeader(total int) error {
	v := &msg.view
	root := v.root()
	version := v.fieldI16(root, 0)
	msg.kind = v.fieldU8(root, 1)
	msg.bodySize = v.fieldI64(root, 3)
	header, ok := v.fieldTable(root, 2)
	v.keyValues(root, 4)
	if v.bad || !ok {
		return badArrow("malformed message metadata")
	}
	msg.header = header
	if version != ipcV4 && version != ipcV5 {
		return badArrow("metadata version %d is not V4 or V5", version+1)
	}
	if msg.bodySize != int64(total-msg.bodyAt) {
		return badArrow("body of %d bytes announced, %d sent", msg.bodySize, total-msg.bodyAt)
	}
	return nil
}

func (msg *ipcMessage) want(kind uint8) error {
	if msg.kind == kind {
		return nil
	}
	names := map[uint8]string{headerSchema: "Schema", headerDictionaryBatch: "DictionaryBatch", headerRecordBatch: "RecordBatch"}
	got, ok := names[msg.kind]
	if !ok {
		got = fmt.Sprintf("number %d", msg.kind)
	}
	return badArrow("message is a %s and not a %s", got, names[kind])
}

// batchMeta reads the tables of one RecordBatch message: its nodes and buffers in depth-first order.
type batchMeta struct {
	msg              ipcMessage
	rows             int64
	codec            int8 // −1 none, 0 LZ4_FRAME, 1 ZSTD, as READ's constants
	nodesAt, nodes   int
	bufsAt, bufs     int
	variadicAt, vari int
}

func (b *batchMeta) open(total int, meta func(from, size int) []byte) error {
	if err := b.msg.open(total, meta); err != nil {
		return err
	}
	if err := b.msg.want(headerRecordBatch); err != nil {
		return err
	}
	v, h := &b.msg.view, b.msg.header
	b.rows = v.fieldI64(h, 0)
	b.nodesAt, b.nodes = v.vector(h, 1, 16)
	b.bufsAt, b.bufs = v.vector(h, 2, 16)
	b.variadicAt, b.vari = v.vector(h, 4, 8)
	b.codec = codecNone
	if c, ok := v.fieldTable(h, 3); ok {
		b.codec = int8(v.fieldU8(c, 0))
		if v.fieldU8(c, 1) != 0 || b.codec != codecLZ4 && b.codec != codecZSTD {
			return badArrow("unknown body compression")
		}
	}
	if v.bad || b.rows < 0 {
		return badArrow("malformed record batch metadata")
	}
	return nil
}

func (b *batchMeta) node(i int) (length, nulls int64) {
	at := b.nodesAt + 16*i
	return b.msg.view.i64(at), b.msg.view.i64(at + 8)
}

func (b *batchMeta) buffer(i int) (offset, length int64) {
	at := b.bufsAt + 16*i
	return b.msg.view.i64(at), b.msg.view.i64(at + 8)
}
