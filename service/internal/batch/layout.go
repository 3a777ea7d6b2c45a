package batch

import "github.com/sluice-io/sluice/service/internal/table"

// Compile lays out how batches of definition d become rows of s. It fails with BAD_COLUMN, BAD_INDICES,
// TYPE_MISMATCH, TYPE_UNSUPPORTED or BAD_ARGUMENT, naming the column.
func Compile(s *table.Schema, d Definition, cast Cast, lim Limits) (*Layout, error) {
	panic("not yet")
}

// Layout checks and converts the batches of one schema definition. It holds scratch space: one goroutine at a time.
type Layout struct{}

// Passthrough reports whether Arrow batches go to the tunnel with their bytes untouched.
func (l *Layout) Passthrough() bool { panic("not yet") }

// ConvertedColumns names the columns that cost CPU because their layout is not the tunnel's.
func (l *Layout) ConvertedColumns() []string { panic("not yet") }

// Check verifies a batch column by column against everything in api.md section 4 and semantics.md 1.4. On success it
// owns in.Arrow and hands it, or what it was converted to, on in the result; on an error the caller keeps it.
func (l *Layout) Check(in Incoming) (*Checked, error) { panic("not yet") }

// CRC32C is the checksum of api.md 4.6 over the payload as sent; ok is false for a List, which has none.
func (in Incoming) CRC32C() (crc uint32, ok bool) { panic("not yet") }
