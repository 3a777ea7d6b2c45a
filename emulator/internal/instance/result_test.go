package instance

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/sluice-io/sluice/emulator/internal/refusal"
	"github.com/sluice-io/sluice/emulator/internal/sql"
	"github.com/sluice-io/sluice/emulator/internal/types"
)

// spooled is a result of the numbers from 0, in batches of the sizes given.
func spooled(t *testing.T, sizes ...int) *Result {
	t.Helper()
	r := &Result{Columns: []sql.Column{{Name: "n", Type: types.Type{Kind: types.BigInt}}}, path: filepath.Join(t.TempDir(), "r.arrow")}
	file, err := os.Create(r.path)
	if err != nil {
		t.Fatal(err)
	}
	w, err := ipc.NewFileWriter(file, ipc.WithSchema(r.Arrow()))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range sizes {
		b := array.NewInt64Builder(memory.DefaultAllocator)
		for i := range n {
			b.Append(r.Rows + int64(i))
		}
		column := b.NewArray()
		batch := array.NewRecordBatch(r.Arrow(), []arrow.Array{column}, int64(n))
		if err := w.Write(batch); err != nil {
			t.Fatal(err)
		}
		batch.Release()
		column.Release()
		b.Release()
		r.starts = append(r.starts, r.Rows)
		r.Rows += int64(n)
	}
	if err := errors.Join(w.Close(), file.Close()); err != nil {
		t.Fatal(err)
	}
	return r
}

// Any range of a result has its rows, wherever its batches end, and no batch without rows.
func TestResult_is_read_by_range(t *testing.T) {
	r := spooled(t, 3, 0, 1, 4)
	for start := range r.Rows + 2 {
		for count := range r.Rows + 3 {
			var got, want []int64
			for batch, err := range r.Batches(start, count) {
				if err != nil || batch.NumRows() == 0 {
					t.Fatalf("rows %d+%d: %v, %v", start, count, batch, err)
				}
				got = append(got, batch.Column(0).(*array.Int64).Int64Values()...)
			}
			for n := start; n < min(start+count, r.Rows); n++ {
				want = append(want, n)
			}
			if !slices.Equal(got, want) {
				t.Errorf("rows %d+%d = %v, want %v", start, count, got, want)
			}
		}
	}
	seen := 0
	for _, err := range r.Batches(0, r.Rows) {
		if err != nil {
			t.Fatal(err)
		}
		seen++
		break
	}
	if seen != 1 {
		t.Errorf("%d batches after the reader stopped", seen)
	}
}

// No two columns get one name, also where one's next is another's own or next.
func TestApart_gives_each_column_its_own_name(t *testing.T) {
	columns := []sql.Column{{Name: "a2"}, {Name: "a2"}, {Name: "a3"}}
	for range 25 { // the 22nd would be a22, which the second a2 is
		columns = append(columns, sql.Column{Name: "a"})
	}
	seen := map[string]bool{}
	for i, c := range apart(columns) {
		if seen[c.Name] {
			t.Errorf("column %d is a second %s", i, c.Name)
		}
		seen[c.Name] = true
	}
	if !seen["a"] || !seen["a2"] || !seen["a22"] || !seen["a3"] || !seen["a4"] {
		t.Errorf("names %v", seen)
	}
}

// A result that was forgotten is told from one whose file is lost.
func TestResult_that_is_gone_says_so(t *testing.T) {
	r := spooled(t, 1)
	read := func() (err error) {
		n := 0
		for _, err = range r.Batches(0, 1) {
			n++
		}
		if n != 1 {
			t.Errorf("%d answers, want one", n)
		}
		return err
	}
	if err := read(); err != nil {
		t.Error(err)
	}
	if err := r.remove(); err != nil {
		t.Error(err)
	}
	var e *refusal.Error
	if err := read(); !errors.As(err, &e) || e.Status != 404 || e.Code != "NoSuchObject" || e.Message != "ODPS-0430104:the instance's result is gone" {
		t.Errorf("a forgotten result: %v, want 404 NoSuchObject", err)
	}
	if err := r.remove(); err != nil {
		t.Errorf("removed again: %v", err)
	}
	lost := spooled(t, 1)
	if err := os.Remove(lost.path); err != nil {
		t.Fatal(err)
	}
	r = lost
	if err := read(); !errors.Is(err, os.ErrNotExist) || errors.As(err, &e) {
		t.Errorf("a lost file: %v, want what the system says", err)
	}
}
