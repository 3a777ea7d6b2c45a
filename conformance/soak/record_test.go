package soak

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// row is what the soak writes: which unit of work it belongs to, its place in there, and
// a text that follows from both.
type row struct {
	unit, seq int64
	text      string
}

// makeRow derives the text: of a length that varies, and checkable.
func makeRow(unit, seq int64) row {
	text := fmt.Sprintf("%d/%d 中", unit, seq)
	return row{unit, seq, text + string(bytes.Repeat([]byte{byte('a' + seq%26)}, int((unit+seq*7)%90)))}
}

// The tags of the record form (docs/maxcompute-protocol.md 13).
const (
	endRecord    = 33553408 << 3
	metaCount    = 33554430 << 3
	metaChecksum = 33554431 << 3
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

type checksum uint32

func (c *checksum) add(p []byte)   { *c = checksum(crc32.Update(uint32(*c), castagnoli, p)) }
func (c *checksum) int32(v uint32) { c.add(binary.LittleEndian.AppendUint32(nil, v)) }
func (c *checksum) bigint(v int64) { c.add(binary.LittleEndian.AppendUint64(nil, uint64(v))) }

// encode writes rows as a whole record stream.
func encode(rows []row) []byte {
	var b []byte
	var all checksum
	for _, r := range rows {
		var sum checksum
		for i, v := range []int64{r.unit, r.seq} {
			b = binary.AppendUvarint(b, uint64(i+1)<<3)
			b = binary.AppendVarint(b, v)
			sum.int32(uint32(i + 1))
			sum.bigint(v)
		}
		b = binary.AppendUvarint(b, 3<<3|2)
		b = binary.AppendUvarint(b, uint64(len(r.text)))
		b = append(b, r.text...)
		sum.int32(3)
		sum.add([]byte(r.text))
		b = binary.AppendUvarint(b, endRecord)
		b = binary.AppendUvarint(b, uint64(sum))
		all.int32(uint32(sum))
	}
	b = binary.AppendUvarint(b, metaCount)
	b = binary.AppendVarint(b, int64(len(rows)))
	b = binary.AppendUvarint(b, metaChecksum)
	return binary.AppendUvarint(b, uint64(all))
}

var errDamaged = errors.New("damaged record stream")

// decode reads a whole record stream; one without its end, or with a wrong checksum, is
// an error.
func decode(body []byte) (rows []row, err error) {
	in := bytes.NewReader(body)
	var all, sum checksum
	var r row
	for {
		tag, err := binary.ReadUvarint(in)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errDamaged, err)
		}
		switch tag {
		case 1 << 3, 2 << 3:
			v, err := binary.ReadVarint(in)
			if err != nil {
				return nil, fmt.Errorf("%w: %w", errDamaged, err)
			}
			sum.int32(uint32(tag >> 3))
			sum.bigint(v)
			if tag == 1<<3 {
				r.unit = v
			} else {
				r.seq = v
			}
		case 3<<3 | 2:
			n, err := binary.ReadUvarint(in)
			if err != nil || n > uint64(in.Len()) {
				return nil, fmt.Errorf("%w: text of %d bytes, %w", errDamaged, n, err)
			}
			text := make([]byte, n)
			_, _ = io.ReadFull(in, text)
			sum.int32(3)
			sum.add(text)
			r.text = string(text)
		case endRecord:
			if v, err := binary.ReadUvarint(in); err != nil || uint32(v) != uint32(sum) {
				return nil, fmt.Errorf("%w: checksum of record %d, %w", errDamaged, len(rows), err)
			}
			all.int32(uint32(sum))
			rows, r, sum = append(rows, r), row{}, 0
		case metaCount:
			return rows, decodeEnd(in, int64(len(rows)), all)
		default:
			return nil, fmt.Errorf("%w: tag %d", errDamaged, tag)
		}
	}
}

func decodeEnd(in *bytes.Reader, rows int64, all checksum) error {
	n, err1 := binary.ReadVarint(in)
	tag, err2 := binary.ReadUvarint(in)
	v, err3 := binary.ReadUvarint(in)
	if err := errors.Join(err1, err2, err3); err != nil || n != rows || tag != metaChecksum || uint32(v) != uint32(all) || in.Len() > 0 {
		return fmt.Errorf("%w: end says %d rows of %d, %w", errDamaged, n, rows, err)
	}
	return nil
}
