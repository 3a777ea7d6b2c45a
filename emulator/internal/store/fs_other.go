//go:build !unix

package store

import (
	"io"
	"os"
)

// mapFile reads the file: there is no mmap in the standard library here.
func mapFile(f *os.File, size int64) (data []byte, release func() error, err error) {
	data = make([]byte, size)
	_, err = io.ReadFull(f, data)
	return data, func() error { return nil }, err
}
