package batch

// gatherable reports whether the chunk's columns only have to be put in another order, left out or joined by partition
// columns: their buffers are the client's as they lie, and only the metadata is new. As for passes, the message must be
// within the limits and large enough to travel alone.
func (e *Encoder) gatherable(c *Chunk) bool {
	n := c.msg.Len()
	return n > 0 && e.opts.Format == OutArrow && e.opts.ArrowTimestamp == TimestampNanos && n >= min(coalesceBytes/4, e.target) &&
		e.codec == codecNone && c.header.codec == codecNone && c.rows <= e.opts.MaxBatchRows
}

// gather makes the message without copying the chunk's buffers. It takes the chunk's payload over, unless the message
// would be too large: then ok is false and nothing happened.
func (e *Encoder) gather(c *Chunk) (msg Payload, ok bool) {
	g := gatherer{src: c, pieces: make([][]byte, 1, 4*len(e.columns))}
	nodes, buffers := e.entries()
	g.header = header{rows: c.header.rows, codec: codecNone, nodes: make([]fieldNode, 0, nodes), buffers: make([]bodyBuffer, 0, buffers)}
	e.extendConstants(c.rows)
	for i, col := range e.columns {
		if col.Source == PartitionColumn {
			g.constant(&e.shapes[i], &e.constants[i])
		} else {
			g.column(col.Source)
		}
	}
	if int(g.header.body) > e.limit {
		return msg, false
	}
	g.pieces[0] = appendHeader(make([]byte, 0, headerBytes(nodes, buffers)), &g.header)
	release := c.msg.Release
	c.msg = Payload{}
	return NewPayload(release, g.pieces...), true
}

// gatherer lists the pieces of a message: the metadata, then the buffers where they lie.
type gatherer struct {
	src    *Chunk
	header header
	pieces [][]byte
}

var padding [8]byte

// column takes over the nodes and buffers of one fetched column.
func (g *gatherer) column(source int) {
	h := &g.src.header
	node, buffer := 0, 0
	for i := range source {
		node += g.src.shapes[i].nodes
		buffer += g.src.shapes[i].buffers
	}
	s := &g.src.shapes[source]
	g.header.nodes = append(g.header.nodes, h.nodes[node:node+s.nodes]...)
	for _, b := range h.buffers[buffer : buffer+s.buffers] {
		g.buffer(int(b.length), within(g.src.msg, h.start+int(b.offset), int(b.length))...)
	}
}

// constant adds a partition column: the first rows of a vector that repeats its value.
func (g *gatherer) constant(s *shape, v *vector) {
	n := int(g.header.rows)
	g.header.nodes = append(g.header.nodes, fieldNode{int64(n), 0})
	g.buffer(0)
	if s.lane == laneBytes {
		g.buffer(4*(n+1), v.offsets[:4*(n+1)])
		g.buffer(v.offset(n), v.data[:v.offset(n)])
	} else {
		g.buffer(n*s.width, v.data[:n*s.width])
	}
}

// buffer appends one buffer of size bytes and its padding.
func (g *gatherer) buffer(size int, pieces ...[]byte) {
	g.header.buffers = append(g.header.buffers, bodyBuffer{g.header.body, int64(size)})
	for _, p := range pieces {
		if len(p) > 0 {
			g.pieces = append(g.pieces, p)
		}
	}
	if pad := pad8(size) - size; pad > 0 {
		g.pieces = append(g.pieces, padding[:pad])
	}
	g.header.body += int64(pad8(size))
}

// within is [from, from+size) of p where it lies.
func within(p Payload, from, size int) [][]byte {
	var out [][]byte
	for _, piece := range p.Pieces() {
		if size == 0 {
			break
		}
		if from >= len(piece) {
			from -= len(piece)
			continue
		}
		n := min(size, len(piece)-from)
		out = append(out, piece[from:from+n])
		from, size = 0, size-n
	}
	return out
}
