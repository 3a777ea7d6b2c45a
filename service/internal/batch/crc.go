package batch

import "hash/crc32"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// CRC32C is the CRC-32C (Castagnoli, RFC 3720) of the pieces in order, without the bytes between them.
func CRC32C(pieces ...[]byte) uint32 {
	var c uint32
	for _, p := range pieces {
		c = crc32.Update(c, castagnoli, p)
	}
	return c
}

// CombineCRC32C gives the CRC-32C of A followed by B from their own CRCs and B's length, without seeing the bytes.
func CombineCRC32C(a, b uint32, lenB int64) uint32 {
	for k := 0; lenB > 0; k, lenB = k+1, lenB>>1 {
		if lenB&1 != 0 {
			a = zeros[k].mul(a)
		}
	}
	return a ^ b
}

// gfMatrix is a linear map over GF(2)^32: column i is the image of bit i.
type gfMatrix [32]uint32

func (m *gfMatrix) mul(v uint32) (sum uint32) {
	for i := 0; v != 0; i, v = i+1, v>>1 {
		if v&1 != 0 {
			sum ^= m[i]
		}
	}
	return sum
}

func (m *gfMatrix) square() (r gfMatrix) {
	for i := range m {
		r[i] = m.mul(m[i])
	}
	return r
}

// zeros[k] advances a CRC over 2^k zero bytes.
var zeros = func() (pow [63]gfMatrix) {
	var bit gfMatrix
	bit[0] = crc32.Castagnoli
	for i := 1; i < 32; i++ {
		bit[i] = 1 << (i - 1)
	}
	m := bit.square()
	m = m.square()
	m = m.square()
	for k := range pow {
		pow[k] = m
		m = m.square()
	}
	return pow
}()
