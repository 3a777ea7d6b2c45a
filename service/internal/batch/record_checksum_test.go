package batch_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/sluice-io/sluice/service/internal/batch"
)

// PyODPS writes a checksum of 2^31 and more as a negative number, sign-extended to 64 bits. Only that form and the plain
// one are right.
func TestRecordChecksumsSignExtended(t *testing.T) {
	cols := columns("bigint")
	data := rows{}
	for i := range 64 {
		data = append(data, []any{int64(i)})
	}
	for _, c := range []struct {
		name   string
		extend func(crc uint64) uint64
		ok     bool
	}{
		{"sign-extended", func(crc uint64) uint64 { return uint64(int64(int32(crc))) }, true},
		{"other high bits", func(crc uint64) uint64 { return crc | 1<<40 }, false},
	} {
		var high int
		for _, row := range data {
			plain := records(t, cols, rows{row})
			out := restateChecksums(t, plain, func(crc uint64) uint64 {
				if crc >= 1<<31 {
					high++
				}
				return c.extend(crc)
			})
			d := batch.NewRecordDecoder(cols, memory.DefaultAllocator, batch.RecordOptions{})
			rec, err := d.Read(bytes.NewReader(out), 10)
			if (err == nil) != c.ok {
				t.Errorf("%s: row %v: %v, want accepted=%v", c.name, row, err, c.ok)
			}
			if rec != nil {
				rec.Release()
			}
			d.Release()
		}
		if high == 0 {
			t.Error("no checksum has its highest bit set: the test shows nothing")
		}
	}
}

// restateChecksums writes the record and stream checksums of a stream of one BIGINT row another way.
func restateChecksums(t testing.TB, stream []byte, as func(uint64) uint64) (out []byte) {
	t.Helper()
	for pos := 0; pos < len(stream); {
		tag, n := binary.Uvarint(stream[pos:])
		v, m := binary.Uvarint(stream[pos+n:])
		if n <= 0 || m <= 0 {
			t.Fatal("not varints")
		}
		pos += n + m
		if field := tag >> 3; field == 33553408 || field == 33554431 {
			v = as(v)
		}
		out = binary.AppendUvarint(binary.AppendUvarint(out, tag), v)
	}
	return out
}
