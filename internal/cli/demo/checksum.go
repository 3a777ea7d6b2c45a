package demo

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/apache/arrow-go/v18/arrow/ipc"
)

// contents is what two files are compared by: the number of rows, and the sum of the rows' hashes, which does not depend on
// their order and notices a row that is there twice. It reads files by other code than the transfer under test.
type contents struct {
	rows int64
	sum  uint64
	more uint64 // the upper half: one 64-bit sum alone meets its equal too easily
}

func (c contents) String() string {
	return fmt.Sprintf("%d rows with checksum %s", c.rows, c.checksum())
}

func (c contents) checksum() string { return fmt.Sprintf("%016x%016x", c.more, c.sum) }

func (c *contents) add(row []string) {
	hash := sha256.Sum256([]byte(strings.Join(row, "\x1f")))
	c.rows++
	c.sum += binary.LittleEndian.Uint64(hash[:8])
	c.more += binary.LittleEndian.Uint64(hash[8:16])
}

// readCSV reads records as text; names in the header may differ.
func readCSV(path string) (_ contents, err error) {
	f, err := os.Open(path) //nolint:gosec // the demo's own files
	if err != nil {
		return contents{}, fmt.Errorf("compare: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	reader := csv.NewReader(f)
	if _, err := reader.Read(); err != nil {
		return contents{}, fmt.Errorf("compare %s: %w", path, err)
	}
	var c contents
	for {
		record, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return c, nil
		}
		if err != nil {
			return c, fmt.Errorf("compare %s: %w", path, err)
		}
		c.add(record)
	}
}

// readArrow reads an Arrow IPC file.
func readArrow(path string) (_ contents, err error) {
	f, err := os.Open(path) //nolint:gosec // the demo's own files
	if err != nil {
		return contents{}, fmt.Errorf("compare: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	reader, err := ipc.NewFileReader(f)
	if err != nil {
		return contents{}, fmt.Errorf("compare %s: %w", path, err)
	}
	var c contents
	for n := range reader.NumRecords() {
		rec, err := reader.RecordBatchAt(n)
		if err != nil {
			return c, fmt.Errorf("compare %s: %w", path, err)
		}
		row := make([]string, rec.NumCols())
		for i := range int(rec.NumRows()) {
			for k, col := range rec.Columns() {
				row[k] = col.ValueStr(i)
			}
			c.add(row)
		}
		rec.Release()
	}
	return c, nil
}
