package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
)

// framed is the body of a block of Arrow (docs/maxcompute-protocol.md 14):
//
//	uint32 chunk size │ (chunk │ CRC-32C of it)* │ rest, shorter than a chunk │ CRC-32C of everything
type framed struct{ messages [][]byte }

const frameChunk = 64 << 10 // frozen: what all clients use

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Read is never called: net/http prefers WriteTo.
func (framed) Read([]byte) (int, error) { return 0, errors.New("framed bodies are written, not read") }

// WriteTo writes the body in large pieces.
func (f framed) WriteTo(to io.Writer) (int64, error) {
	w := bufio.NewWriterSize(to, 4*frameChunk)
	var sent int64
	var err error
	write := func(b []byte) {
		if err == nil {
			var n int
			n, err = w.Write(b)
			sent += int64(n)
		}
	}
	number := func(v uint32) { write(binary.BigEndian.AppendUint32(nil, v)) }
	number(frameChunk)
	var chunk, all uint32
	room := frameChunk
	for _, m := range f.messages {
		all = crc32.Update(all, castagnoli, m)
		for len(m) > 0 {
			part := m[:min(room, len(m))]
			chunk = crc32.Update(chunk, castagnoli, part)
			write(part)
			m, room = m[len(part):], room-len(part)
			if room == 0 {
				number(chunk)
				chunk, room = 0, frameChunk
			}
		}
	}
	number(all)
	return sent, errors.Join(err, w.Flush())
}
