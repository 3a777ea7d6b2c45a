package batch

// emitter writes columns as one RecordBatch message in the tunnel's Arrow layout (protocol section 14).
type emitter struct {
	head   header
	bodies [][]byte // buffers in order, without padding
	mem    *arena
	ok     bool // no timestamp was out of int64 nanoseconds
}

func (e *emitter) reset() {
	clear(e.bodies)
	e.bodies = e.bodies[:0]
	e.head.nodes, e.head.buffers, e.head.body = e.head.nodes[:0], e.head.buffers[:0], 0
	e.mem = nil
}

// message gives the columns as a message of its own memory; ok is false if a timestamp does not fit.
func (e *emitter) message(mem *arena, cols []column, rows int) (p Payload, ok bool) {
	e.reset()
	e.mem, e.ok = mem, true
	for i := range cols {
		e.column(&cols[i])
	}
	if !e.ok {
		return Payload{}, false
	}
	e.head.rows, e.head.codec = int64(rows), codecNone
	buf := getBuffer(headerBytes(len(e.head.nodes), len(e.head.buffers)) + int(e.head.body))
	*buf = appendHeader(*buf, &e.head)
	var pad [8]byte
	for _, b := range e.bodies {
		*buf = append(*buf, b...)
		*buf = append(*buf, pad[:-len(b)&7]...)
	}
	return pooledPayload(buf), true
}

func (e *emitter) node(n, nulls int) {
	e.head.nodes = append(e.head.nodes, fieldNode{length: int64(n), nulls: int64(nulls)})
}

func (e *emitter) buffer(b []byte) {
	e.bodies = append(e.bodies, b)
	e.head.buffers = append(e.head.buffers, bodyBuffer{offset: e.head.body, length: int64(len(b))})
	e.head.body += int64(len(b)+7) &^ 7
}

func (e *emitter) column(c *column) {
	e.node(c.n, c.nulls)
	if c.valid == nil {
		e.buffer(nil)
	} else {
		e.buffer(c.valid[:bitmapBytes(c.n)])
	}
	switch c.lt.lay {
	case layBits:
		e.buffer(c.data[:bitmapBytes(c.n)])
	case layFixed:
		e.buffer(c.data[:c.n*c.lt.width])
	case layPair:
		e.buffer(e.nanos(c))
	case layVar32:
		e.buffer(c.off[:4*(c.n+1)])
		e.buffer(c.data[:le.Uint32(c.off[4*c.n:])])
	case layList32:
		e.buffer(c.off[:4*(c.n+1)])
		if c.lt.class == classMap {
			e.node(c.kids[0].n, 0)
			e.buffer(nil)
		}
		fallthrough
	default: // layStruct
		for i := range c.kids {
			e.column(&c.kids[i])
		}
	}
}

// nanos turns seconds and nanos into one int64. NULLs become 0.
func (e *emitter) nanos(c *column) []byte {
	out := e.mem.alloc(8 * c.n)
	for i := range c.n {
		var v int64
		if c.isValid(i) {
			var ok bool
			v, ok = joinNanos(int64(le.Uint64(c.data[8*i:])), int32(le.Uint32(c.aux[4*i:])))
			e.ok = e.ok && ok
		}
		le.PutUint64(out[8*i:], uint64(v))
	}
	return out
}
