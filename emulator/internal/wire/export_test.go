package wire

import (
	"math/big"
	"testing"
)

// NormalizeDecimal parses text both ways and returns the canonical text.
func NormalizeDecimal(t testing.TB, text string, precision, scale int) string {
	t.Helper()
	v, err := parseDecimal([]byte(text), precision, scale)
	small, ok := parseSmallDecimal([]byte(text), precision, scale)
	if ok && (err != nil || v.Cmp(big.NewInt(small)) != 0) {
		t.Errorf("decimal %q: fast path says %d, slow path %v, %v", text, small, v, err)
	}
	if err != nil {
		return "error"
	}
	out := string(appendBigDecimal(nil, v, scale))
	if v.IsInt64() && string(appendDecimal(nil, v.Int64(), scale)) != out {
		t.Errorf("decimal %q: two texts", text)
	}
	return out
}
