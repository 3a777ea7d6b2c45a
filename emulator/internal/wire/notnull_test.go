package wire_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/sluice-io/sluice/emulator/internal/wire"
)

// A record that leaves a NOT NULL column out is refused by the column's name.
func TestRecordWithoutANotNullColumn(t *testing.T) {
	cols := columns(t, "bigint", "string", "double", "boolean")
	cols[1].Nullable = false
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	nulls := unhex(t, "0801 2001 80c0ff7f c29ee68409 f0ffff7f02 f8ffff7f eeede29904") // columns 2 and 3 are absent
	recs, err := readRecords(bytes.NewReader(nulls), cols, mem)
	release(recs)
	if !errors.Is(err, wire.ErrMalformed) || !strings.Contains(err.Error(), cols[1].Name) {
		t.Errorf("read = %v, want ErrMalformed naming column %s", err, cols[1].Name)
	}
}
