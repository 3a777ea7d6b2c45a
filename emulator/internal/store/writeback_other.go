//go:build !linux

package store

// StartWriteback implements File; there is no such hint here.
func (f osFile) StartWriteback(_, _ int64) {}
