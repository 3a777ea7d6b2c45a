package batch

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"github.com/sluice-io/sluice/service/internal/apierr"
)

// tooLarge is TOO_LARGE with its two numbers.
func tooLarge(what string, limit, got int64) *apierr.Error {
	return apierr.New(apierr.TooLarge, "%s has %d, the limit is %d", what, got, limit).
		With("limit", strconv.FormatInt(limit, 10)).With("got", strconv.FormatInt(got, 10))
}

// faults collects what is wrong with the values of a batch. Columns report in row order, so keeping the first
// apierr.MaxRowErrors of each column keeps the first of the batch.
type faults struct {
	rows   []apierr.RowError
	total  int
	column string
	kept   int // of the current column
}

func (f *faults) begin(column string) { f.column, f.kept = column, 0 }

func (f *faults) add(row int, r apierr.Reason, message string) {
	f.total++
	if f.kept == apierr.MaxRowErrors {
		return
	}
	f.kept++
	f.rows = append(f.rows, apierr.RowError{Row: row, Column: f.column, Reason: r, Message: message})
}

// err is nil if nothing was added; else the error of the whole batch, with the reason of its first wrong value.
func (f *faults) err() error {
	if f.total == 0 {
		return nil
	}
	slices.SortStableFunc(f.rows, func(a, b apierr.RowError) int { return cmp.Compare(a.Row, b.Row) })
	first := f.rows[0]
	text := fmt.Sprintf("row %d, column %q: %s", first.Row, first.Column, first.Message)
	if first.Column == "" { // the row as a whole
		text = fmt.Sprintf("row %d: %s", first.Row, first.Message)
	}
	if f.total > 1 {
		text += fmt.Sprintf(" (and %d more)", f.total-1)
	}
	e := apierr.New(first.Reason, "%s", text).WithRows(f.rows, f.total).With("row", strconv.Itoa(first.Row))
	if first.Column != "" {
		e.With("column", first.Column)
	}
	return e
}
