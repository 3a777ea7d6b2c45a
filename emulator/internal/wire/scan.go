package wire

import (
	"encoding/binary"
	"fmt"
	"io"
)

// Message is the place of one RecordBatch message in a stream of them.
type Message struct {
	// Offset of the message's first byte, its prefix; Meta and Body bytes follow
	// the prefix of 8.
	Offset     int64
	Meta, Body int64
	Rows       int64
	Codec      Codec
	// Nodes is the number of field nodes: it tells the layout.
	Nodes int
}

// Size is the length of the whole message.
func (m Message) Size() int64 { return prefixSize + m.Meta + m.Body }

const prefixSize = 8

// Scanner finds the messages in an Arrow stream whose bytes pass in pieces of any
// size. It keeps one message's metadata, never a body. The zero value is ready.
type Scanner struct {
	// Visit, when set, is called with each message once its last byte has passed.
	Visit func(Message) error
	// Rows and Messages counted so far.
	Rows     int64
	Messages int64
	// Compressed is set once a message with compressed buffers was seen.
	Compressed bool

	offset int64 // of the next byte
	skip   int64 // body bytes still to pass
	head   []byte
	want   int // bytes of prefix and metadata to gather in head
	cur    Message
	header Header
	eos    bool
}

// Write takes the next bytes of the stream. Errors wrap ErrMalformed.
func (s *Scanner) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if s.skip > 0 {
			k := min(s.skip, int64(len(p)))
			s.skip -= k
			s.offset += k
			p = p[k:]
			if s.skip == 0 {
				if err := s.finish(); err != nil {
					return 0, err
				}
			}
			continue
		}
		if s.eos {
			return 0, fmt.Errorf("%w: bytes after the end of the Arrow stream", ErrMalformed)
		}
		k, err := s.gather(p)
		if err != nil {
			return 0, err
		}
		p = p[k:]
	}
	return n, nil
}

// gather collects prefix and metadata.
func (s *Scanner) gather(p []byte) (int, error) {
	if s.want == 0 {
		s.want = prefixSize
		s.head = s.head[:0]
	}
	k := min(s.want-len(s.head), len(p))
	s.head = append(s.head, p[:k]...)
	s.offset += int64(k)
	if len(s.head) < s.want {
		return k, nil
	}
	if s.want == prefixSize {
		return k, s.prefix()
	}
	s.want = 0
	if err := s.header.Parse(s.head[prefixSize:]); err != nil {
		return 0, err
	}
	s.cur.Rows, s.cur.Body, s.cur.Codec, s.cur.Nodes = s.header.Rows, s.header.Body, s.header.Codec, len(s.header.Nodes)
	s.Compressed = s.Compressed || s.cur.Codec != CodecNone
	if s.skip = s.cur.Body; s.skip == 0 {
		return k, s.finish()
	}
	return k, nil
}

func (s *Scanner) prefix() error {
	if binary.LittleEndian.Uint32(s.head) != 0xffffffff {
		return fmt.Errorf("%w: no Arrow message at byte %d", ErrMalformed, s.offset-prefixSize)
	}
	meta := int64(int32(binary.LittleEndian.Uint32(s.head[4:])))
	if meta == 0 {
		s.eos, s.want = true, 0
		return nil
	}
	if meta < 0 || meta > MaxMetadata || meta%8 != 0 {
		return fmt.Errorf("%w: Arrow metadata of %d bytes", ErrMalformed, meta)
	}
	s.cur = Message{Offset: s.offset - prefixSize, Meta: meta}
	s.want = prefixSize + int(meta)
	return nil
}

func (s *Scanner) finish() error {
	s.Rows += s.cur.Rows
	s.Messages++
	if s.Visit != nil {
		return s.Visit(s.cur)
	}
	return nil
}

// Close reports whether the stream ended between two messages.
func (s *Scanner) Close() error {
	if s.skip > 0 || s.want > 0 {
		return fmt.Errorf("%w: Arrow message cut short: %w", ErrMalformed, io.ErrUnexpectedEOF)
	}
	return nil
}
