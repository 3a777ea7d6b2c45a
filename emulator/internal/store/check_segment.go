package store

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
)

func segmentPath(id string) string { return filepath.Join("segments", id+segmentSuffix) }

// segment verifies one file that at lists for table t.
func (c *checker) segment(at Finding, t Table, r segRecord) {
	at.File = segmentPath(r.ID)
	if by := c.listed[r.ID]; by != "" {
		c.damagef(at, "is listed twice, also by %s", by)
		return
	}
	c.listed[r.ID] = at.Table + " " + at.Partition + at.Session
	c.report.Segments++
	c.report.Rows, c.report.Bytes = c.report.Rows+r.Rows, c.report.Bytes+r.Bytes
	if r.SchemaVersion < 0 || r.SchemaVersion >= len(t.History) {
		c.damagef(at, "was written under schema version %d, the table has %d", r.SchemaVersion, len(t.History))
		return
	}
	data, release, err := c.segments.Map(r.ID + segmentSuffix)
	if err != nil {
		c.damagef(at, "cannot be read: %s", err)
		return
	}
	defer func() { _ = release() }() // it was only read
	for _, err := range verifySegment(data, t.History[r.SchemaVersion], r) {
		c.damagef(at, "%s", err)
	}
}

// verifySegment compares a whole file with its own checksums, with the columns it was
// written for and with the catalogue's counts.
func verifySegment(file []byte, cols []Column, r segRecord) (problems []error) {
	messages, err := parseSegment(file, true)
	if err != nil {
		return []error{err}
	}
	if err := verifyHeader(file[:headerSize]); err != nil {
		problems = append(problems, err)
	}
	trailer := file[len(file)-trailerSize:]
	data, size := int64(binary.LittleEndian.Uint64(trailer)), int64(binary.LittleEndian.Uint64(trailer[8:]))
	if err := verifyColumns(file[headerSize+data:headerSize+data+size], cols); err != nil {
		problems = append(problems, err)
	}
	rows := int64(0)
	for i, m := range messages {
		rows += m.rows
		if err := verifyMessage(file, m, cols); err != nil {
			problems = append(problems, fmt.Errorf("batch %d: %w", i, err))
		}
	}
	if rows != r.Rows || data != r.Bytes {
		problems = append(problems, fmt.Errorf("has %d rows in %d bytes, the catalogue says %d in %d", rows, data, r.Rows, r.Bytes))
	}
	return problems
}

func verifyHeader(header []byte) error {
	if v := binary.LittleEndian.Uint32(header[8:]); v != segmentVersion {
		return fmt.Errorf("header has version %d, not %d", v, segmentVersion)
	}
	if slices.ContainsFunc(header[12:], func(b byte) bool { return b != 0 }) {
		return errors.New("header is not zero beyond its version")
	}
	return nil
}

// verifyColumns compares the footer's columns with the table's of that time.
func verifyColumns(footer []byte, cols []Column) error {
	le := binary.LittleEndian
	p := footer[4+int(le.Uint32(footer))*messageSize:]
	p = p[4+int(le.Uint32(p))*blockSize:]
	if len(p) < 4 || len(p)-4 != int(le.Uint32(p)) {
		return errors.New("footer's columns are cut")
	}
	var named []footerColumn
	if err := json.Unmarshal(p[4:], &named); err != nil {
		return fmt.Errorf("footer's columns: %w", err)
	}
	same := slices.EqualFunc(named, cols, func(f footerColumn, c Column) bool {
		return f.ID == c.ID && f.Name == c.Name && f.Type.Equal(c.Type)
	})
	if !same {
		return errors.New("footer names other columns than the table's schema version")
	}
	return nil
}

// verifyMessage proves a batch safe to decode, and that it has the rows it says.
func verifyMessage(file []byte, m message, cols []Column) error {
	b, err := openMessage(file, m)
	if err != nil {
		return err
	}
	if b.Rows != m.rows {
		return fmt.Errorf("has %d rows, the footer says %d", b.Rows, m.rows)
	}
	return b.Check(WireColumns(cols), m.layout)
}
