package wire

import "hash/crc32"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// matrix is a linear map over CRC values in GF(2): column i is the image of bit i.
type matrix [32]uint32

func (m *matrix) apply(v uint32) (sum uint32) {
	for i := 0; v != 0; i, v = i+1, v>>1 {
		if v&1 != 0 {
			sum ^= m[i]
		}
	}
	return sum
}

func (m *matrix) squared() (r matrix) {
	for i := range m {
		r[i] = m.apply(m[i])
	}
	return r
}

// zeros[k] advances a CRC over 2^k zero bytes.
var zeros = func() (pow [40]matrix) {
	var bit matrix // over one zero bit
	bit[0] = crc32.Castagnoli
	for i := 1; i < 32; i++ {
		bit[i] = 1 << (i - 1)
	}
	m := bit.squared()
	m = m.squared()
	m = m.squared() // over eight
	for k := range pow {
		pow[k] = m
		m = m.squared()
	}
	return pow
}()

// CRC returns the CRC-32C of data following bytes whose CRC-32C is crc.
func CRC(crc uint32, data []byte) uint32 { return crc32.Update(crc, castagnoli, data) }

// CombineCRC returns the CRC-32C of A followed by B from those of A and of B and
// the length of B: 30 ns a set bit of the length instead of a pass over the bytes.
func CombineCRC(a, b uint32, lenB int64) uint32 {
	for k := 0; lenB > 0 && k < len(zeros); k, lenB = k+1, lenB>>1 {
		if lenB&1 != 0 {
			a = zeros[k].apply(a)
		}
	}
	return a ^ b
}
