package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
	"slices"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"github.com/sluice-io/sluice/emulator/internal/types"
)

// Batch is one RecordBatch message, its buffers cut out of the body. The buffers
// are views of the bytes given to OpenBatch unless they were compressed.
type Batch struct {
	Rows    int64
	Nodes   []Node
	Buffers [][]byte
}

// OpenBatch reads the metadata of a message and cuts its buffers out of body,
// decompressing them if need be.
func OpenBatch(meta, body []byte) (*Batch, error) {
	var h Header
	if err := h.Parse(meta); err != nil {
		return nil, err
	}
	if h.Body != int64(len(body)) {
		return nil, fmt.Errorf("%w: Arrow body of %d bytes, want %d", ErrMalformed, len(body), h.Body)
	}
	b := &Batch{Rows: h.Rows, Nodes: h.Nodes, Buffers: make([][]byte, len(h.Spans))}
	budget := int64(MaxInflated)
	for i, s := range h.Spans {
		if s.Offset < 0 || s.Length < 0 || s.Offset%8 != 0 || s.Offset > h.Body || s.Length > h.Body-s.Offset {
			return nil, fmt.Errorf("%w: Arrow buffer %d lies at %d+%d of %d", ErrMalformed, i, s.Offset, s.Length, h.Body)
		}
		raw := body[s.Offset : s.Offset+s.Length : s.Offset+s.Length]
		if h.Codec != CodecNone && len(raw) > 0 {
			var err error
			if raw, err = inflate(h.Codec, raw, &budget); err != nil {
				return nil, fmt.Errorf("%w: Arrow buffer %d: %w", ErrMalformed, i, err)
			}
		}
		b.Buffers[i] = raw
	}
	return b, nil
}

var zstdReaders = sync.Pool{New: func() any {
	r, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(64<<20))
	if err != nil {
		panic("zstd options: " + err.Error()) // constant options
	}
	return r
}}

// inflate undoes Arrow's buffer compression: int64 length (-1 = stored), frame.
func inflate(codec Codec, raw []byte, budget *int64) ([]byte, error) {
	if len(raw) < 8 {
		return nil, io.ErrUnexpectedEOF
	}
	n := int64(binary.LittleEndian.Uint64(raw))
	raw = raw[8:]
	if n == -1 {
		return raw, nil
	}
	if n < 0 || n > *budget {
		return nil, fmt.Errorf("%d bytes when decompressed", n)
	}
	*budget -= n
	var src io.Reader = lz4.NewReader(bytes.NewReader(raw))
	if codec == CodecZSTD {
		z := zstdReaders.Get().(*zstd.Decoder)
		defer zstdReaders.Put(z)
		if err := z.Reset(bytes.NewReader(raw)); err != nil {
			return nil, err
		}
		src = z
	}
	// Grown as bytes come, so that a small lie costs little.
	var out bytes.Buffer
	if got, err := io.Copy(&out, io.LimitReader(src, n+1)); err != nil || got != n {
		return nil, fmt.Errorf("decompressed %d of %d bytes: %w", got, n, err)
	}
	return slices.Clip(out.Bytes()), nil
}

// Check proves that the batch can be read as cols in layout l without leaving its
// buffers: counts, lengths, offsets, null counts; and that its values fit: NOT
// NULL, map keys, decimal digits, MaxFieldBytes. UTF-8 is not looked at. The error
// names the column.
func (b *Batch) Check(cols []Column, l types.Layout) error {
	w := walker{b: b}
	for _, c := range cols {
		s := shapeOf(c.Type, l)
		s.required = s.required || !c.Nullable
		if err := w.check(s, b.Rows, true); err != nil {
			return fmt.Errorf("%w: column %s: %w", ErrMalformed, c.Name, err)
		}
	}
	if w.node != len(b.Nodes) || w.buf != len(b.Buffers) {
		return fmt.Errorf("%w: Arrow batch has %d nodes and %d buffers, its columns %d and %d",
			ErrMalformed, len(b.Nodes), len(b.Buffers), w.node, w.buf)
	}
	return nil
}

// walker goes over nodes and buffers in the order of the flattened columns.
type walker struct {
	b         *Batch
	node, buf int
}

func (w *walker) next(buffers int) (Node, [][]byte, error) {
	if w.node >= len(w.b.Nodes) || w.buf+buffers > len(w.b.Buffers) {
		return Node{}, nil, fmt.Errorf("missing from the batch")
	}
	n, bufs := w.b.Nodes[w.node], w.b.Buffers[w.buf:w.buf+buffers]
	w.node++
	w.buf += buffers
	return n, bufs, nil
}

var formBuffers = map[form]int{formBits: 2, formFixed: 2, formBytes: 3, formList: 2, formStruct: 1}

// check verifies one array of at least rows elements (exactly rows with exact).
func (w *walker) check(s shape, rows int64, exact bool) error {
	n, bufs, err := w.next(formBuffers[s.form])
	if err != nil {
		return err
	}
	if n.Length < rows || n.Length > maxRows || exact && n.Length != rows {
		return fmt.Errorf("%d values for %d rows", n.Length, rows)
	}
	if err := checkValidity(n, bufs[0], s.required); err != nil {
		return err
	}
	switch s.form {
	case formBits:
		return need(bufs[1], (n.Length+7)/8)
	case formFixed:
		if err := need(bufs[1], n.Length*s.width); err != nil {
			return err
		}
		return checkDigits(s, n, bufs)
	case formBytes:
		last, err := checkOffsets(bufs[1], n.Length, MaxFieldBytes)
		if err != nil {
			return err
		}
		return need(bufs[2], last)
	case formList:
		last, err := checkOffsets(bufs[1], n.Length, maxRows)
		if err != nil {
			return err
		}
		return w.check(s.children[0], last, false)
	}
	for _, c := range s.children {
		if err := w.check(c, n.Length, false); err != nil {
			return err
		}
	}
	return nil
}

func need(buf []byte, n int64) error {
	if int64(len(buf)) < n {
		return fmt.Errorf("buffer of %d bytes, want %d", len(buf), n)
	}
	return nil
}

func checkValidity(n Node, bitmap []byte, required bool) error {
	if n.Nulls < 0 || n.Nulls > n.Length {
		return fmt.Errorf("%d NULLs in %d values", n.Nulls, n.Length)
	}
	if required && n.Nulls > 0 {
		return fmt.Errorf("%d NULLs where none may be", n.Nulls)
	}
	if len(bitmap) == 0 {
		if n.Nulls > 0 {
			return fmt.Errorf("%d NULLs without a validity bitmap", n.Nulls)
		}
		return nil
	}
	if err := need(bitmap, (n.Length+7)/8); err != nil {
		return err
	}
	if nulls := n.Length - countBits(bitmap, n.Length); nulls != n.Nulls {
		return fmt.Errorf("null count %d, but %d in the bitmap", n.Nulls, nulls)
	}
	return nil
}

func countBits(b []byte, n int64) (set int64) {
	full := n / 8
	i := int64(0)
	for ; i+8 <= full; i += 8 {
		set += int64(bits.OnesCount64(binary.LittleEndian.Uint64(b[i:])))
	}
	for ; i < full; i++ {
		set += int64(bits.OnesCount8(b[i]))
	}
	if rest := n % 8; rest > 0 {
		set += int64(bits.OnesCount8(b[full] & (1<<rest - 1)))
	}
	return set
}

// checkOffsets verifies that n+1 offsets start at or above 0 and never fall or jump
// by more than most, and returns the last.
func checkOffsets(buf []byte, n int64, most int32) (last int64, err error) {
	if n == 0 && len(buf) < 4 {
		return 0, nil
	}
	if err := need(buf, (n+1)*4); err != nil {
		return 0, err
	}
	offsets := arrow.Int32Traits.CastFromBytes(buf[:(n+1)*4])
	prev := offsets[0]
	if prev < 0 {
		return 0, fmt.Errorf("offset %d", prev)
	}
	for i, o := range offsets[1:] {
		if o < prev || o-prev > most {
			return 0, fmt.Errorf("row %d: offsets go from %d to %d (a value holds at most %d)", i, prev, o, most)
		}
		prev = o
	}
	return int64(prev), nil
}

// Decode returns the batch as an Arrow record batch over the same bytes, which must
// outlive it. Only a batch that passed Check for the columns and layout of schema
// may be decoded.
func (b *Batch) Decode(schema *arrow.Schema) arrow.RecordBatch {
	w := walker{b: b}
	cols := make([]arrow.Array, schema.NumFields())
	for i, f := range schema.Fields() {
		d := w.decode(f.Type)
		cols[i] = array.MakeFromData(d)
		d.Release()
	}
	rec := array.NewRecordBatch(schema, cols, b.Rows)
	for _, c := range cols {
		c.Release()
	}
	return rec
}

func (w *walker) decode(t arrow.DataType) arrow.ArrayData {
	count := 2
	switch t.ID() {
	case arrow.STRING, arrow.BINARY:
		count = 3
	case arrow.STRUCT:
		count = 1
	}
	n, raw, err := w.next(count)
	if err != nil {
		panic("decode of an unchecked Arrow batch: " + err.Error())
	}
	bufs := make([]*memory.Buffer, count)
	for i, r := range raw {
		if i > 0 || len(r) > 0 {
			bufs[i] = memory.NewBufferBytes(r)
		}
	}
	var children []arrow.ArrayData
	if nested, ok := t.(arrow.NestedType); ok {
		for _, f := range nested.Fields() {
			c := w.decode(f.Type)
			defer c.Release()
			children = append(children, c)
		}
	}
	return array.NewData(t, int(n.Length), bufs, children, int(n.Nulls), 0)
}

// WriteBatch writes rec as one encapsulated RecordBatch message, uncompressed.
func WriteBatch(w io.Writer, rec arrow.RecordBatch, mem memory.Allocator) error {
	p, err := ipc.GetRecordBatchPayload(rec, ipc.WithAllocator(mem), ipc.WithSchema(rec.Schema()))
	if err != nil {
		return fmt.Errorf("encode Arrow batch: %w", err)
	}
	defer p.Release()
	if _, err := p.WritePayload(w); err != nil {
		return fmt.Errorf("write Arrow batch: %w", err)
	}
	return nil
}
