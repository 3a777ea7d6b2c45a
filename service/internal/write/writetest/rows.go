package writetest

import (
	"fmt"
	"hash/crc32"
	"strings"
	"sync/atomic"

	"github.com/sluice-io/sluice/service/internal/batch"
)

// Rows makes batches of rows that carry their origin, and counts those that were not released.
type Rows struct {
	// Pad is how many bytes each row has more than its tag needs.
	Pad int

	out atomic.Int64
}

// Tag is the row at an offset of a content: "content/offset".
func Tag(content string, offset int) string { return fmt.Sprintf("%s/%04d", content, offset) }

// Tags is the rows [from, to) of a content.
func Tags(content string, from, to int) []string {
	tags := make([]string, 0, max(to-from, 0))
	for i := from; i < to; i++ {
		tags = append(tags, Tag(content, i))
	}
	return tags
}

// Batch makes the rows [from, to) of a content, ready for the tunnel.
func (r *Rows) Batch(content string, from, to int, form batch.Form) *batch.Checked {
	var text strings.Builder
	for _, tag := range Tags(content, from, to) {
		text.WriteString(tag)
		text.WriteString(strings.Repeat(" ", 1+r.Pad))
	}
	r.out.Add(1)
	body := batch.NewPayload(func() { r.out.Add(-1) }, []byte(text.String()))
	return &batch.Checked{Rows: to - from, Form: form, Body: body}
}

// CRC is the checksum of that batch as a client would send it.
func CRC(content string, from, to int) uint32 {
	return crc32.ChecksumIEEE([]byte(strings.Join(Tags(content, from, to), " ")))
}

// Unreleased is how many batches nobody released yet.
func (r *Rows) Unreleased() int64 { return r.out.Load() }
