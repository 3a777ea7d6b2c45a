package batch

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow/bitutil"
)

// viewer turns the body of a RecordBatch message into vectors that point into it, column by column, checking every
// buffer against what its rows need. After it nothing below has to check bounds again.
type viewer struct {
	h      *header
	body   []byte
	node   int
	buffer int
	budget int64 // bytes that decompression may still produce
}

// view gives the columns of a message. budget bounds what compressed buffers may unpack to.
func view(h *header, body []byte, columns []shape, budget int64) ([]vector, error) {
	r := &viewer{h: h, body: body, budget: budget}
	out := make([]vector, len(columns))
	for i := range columns {
		v, err := r.column(&columns[i], h.rows)
		if err != nil {
			return nil, fmt.Errorf("column %d of an arrow batch: %w", i, err)
		}
		out[i] = v
	}
	return out, nil
}

func (r *viewer) column(s *shape, rows int64) (vector, error) {
	v := vector{}
	if err := r.validity(&v, rows); err != nil {
		return v, err
	}
	var err error
	switch s.lane {
	case laneBits:
		v.data, err = r.sized((rows + 7) / 8)
	case laneFixed:
		v.data, err = r.sized(rows * int64(s.width))
	case laneBytes:
		err = r.varlen(&v)
	case laneList:
		err = r.list(&v, s)
	case laneStruct:
		v.children = make([]vector, len(s.children))
		for i := range s.children {
			if v.children[i], err = r.column(&s.children[i], rows); err != nil {
				break
			}
		}
	case lanePair:
		err = r.pair(&v)
	}
	return v, err
}

// validity takes the next node and its first buffer.
func (r *viewer) validity(v *vector, rows int64) error {
	node := r.h.nodes[r.node]
	r.node++
	if node.length != rows {
		return fmt.Errorf("%d values, want %d", node.length, rows)
	}
	v.n = int(rows)
	bits, err := r.next()
	if err != nil {
		return err
	}
	if len(bits) == 0 {
		if node.nulls != 0 {
			return errors.New("NULLs without a validity buffer")
		}
		return nil
	}
	if len(bits) < (v.n+7)/8 {
		return errors.New("validity buffer is too short")
	}
	if v.nulls = v.n - bitutil.CountSetBits(bits, 0, v.n); v.nulls > 0 {
		v.validity = bits
	}
	return nil
}

func (r *viewer) varlen(v *vector) error {
	if err := r.offsets(v); err != nil {
		return err
	}
	var err error
	v.data, err = r.sized(int64(v.offset(v.n)))
	return err
}

func (r *viewer) list(v *vector, s *shape) error {
	if err := r.offsets(v); err != nil {
		return err
	}
	elements := r.h.nodes[r.node].length
	if elements < int64(v.offset(v.n)) || elements > 1<<31-1 {
		return fmt.Errorf("%d elements, offsets say %d", elements, v.offset(v.n))
	}
	child, err := r.column(&s.children[0], elements)
	v.children = []vector{child}
	return err
}

// pair reads a struct of int64 and int32; NULLs of the children count as those of the struct.
func (r *viewer) pair(v *vector) error {
	var parts [2]vector
	for i, width := range [2]int64{8, 4} {
		if err := r.validity(&parts[i], int64(v.n)); err != nil {
			return err
		}
		if parts[i].nulls > 0 && v.nulls == 0 {
			return errors.New("NULL inside a value of seconds and nanos")
		}
		var err error
		if parts[i].data, err = r.sized(int64(v.n) * width); err != nil {
			return err
		}
	}
	v.data, v.nanos = parts[0].data, parts[1].data
	return nil
}

// offsets takes the next buffer and checks that it never falls and begins at 0 or above.
func (r *viewer) offsets(v *vector) error {
	b, err := r.next()
	if err != nil {
		return err
	}
	if v.n == 0 && len(b) < 4 {
		return nil
	}
	if len(b) < 4*(v.n+1) {
		return errors.New("offsets buffer is too short")
	}
	v.offsets = b[:4*(v.n+1)]
	last := int32(binary.LittleEndian.Uint32(b))
	if last < 0 {
		return errors.New("negative offset")
	}
	for i := range v.n {
		next := int32(binary.LittleEndian.Uint32(b[4*i+4:]))
		if next < last {
			return errors.New("falling offsets")
		}
		last = next
	}
	return nil
}

// sized takes the next buffer, which must hold want bytes.
func (r *viewer) sized(want int64) ([]byte, error) {
	b, err := r.next()
	if err != nil {
		return nil, err
	}
	if int64(len(b)) < want {
		return nil, fmt.Errorf("buffer of %d bytes, want %d", len(b), want)
	}
	return b[:want], nil
}

func (r *viewer) next() ([]byte, error) {
	b := r.h.buffers[r.buffer]
	r.buffer++
	raw := r.body[b.offset : b.offset+b.length]
	if r.h.codec == codecNone || len(raw) == 0 {
		return raw, nil
	}
	out, err := unpackBuffer(raw, r.h.codec, r.budget)
	r.budget -= int64(len(out))
	return out, err
}
