package store

import (
	"strings"
	"testing"
)

func TestLockOwner_is_the_holder_of_that_file(t *testing.T) {
	const locks = `1: POSIX  ADVISORY  WRITE 11 fe:00:42 0 EOF
2: FLOCK  ADVISORY  WRITE 12 fe:01:42 0 EOF
3: FLOCK  ADVISORY  WRITE 13 fe:00:421 0 EOF
4: FLOCK  ADVISORY  WRITE 14 fe:00:42 0 EOF
4: -> FLOCK  ADVISORY  WRITE 15 fe:00:42 0 EOF
5: FLOCK  ADVISORY  WRITE 16 103:12345:42 0 EOF
cut
`
	for _, c := range []struct {
		dev, inode uint64
		want       int
	}{
		{0xfe00, 42, 14},
		{0xfe01, 42, 12},
		{0xfe00, 421, 13},
		{0x12310345, 42, 16}, // major 0x103, minor 0x12345
		{0xfe00, 43, 0},
	} {
		if got := lockOwner(strings.NewReader(locks), c.dev, c.inode); got != c.want {
			t.Errorf("lockOwner(%#x, %d) = %d, want %d", c.dev, c.inode, got, c.want)
		}
	}
}
