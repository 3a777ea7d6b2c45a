package client

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"google.golang.org/grpc/codes"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
)

// RowWriter gives rows to a [Writer] value by value. Values go straight into column buffers; a batch of rows goes to the
// Writer when it is as large as a message should be. It is used by one goroutine.
//
//	rows, err := w.Rows("id", "name")
//	for … {
//		rows.SetInt64(0, id)
//		rows.SetString(1, name)
//		if err := rows.End(); err != nil { … }
//	}
//	err = rows.Flush()                // the last, short batch
//	_, err = w.Seal(ctx)
//
// A column that was not set when the row ends is NULL. A value that does not fit its column (a string for a BIGINT, 300
// for a TINYINT) makes End fail, with the column's name; the row is not written, and the next one may be.
type RowWriter struct {
	w       *Writer
	schema  *arrow.Schema
	cols    []*columnBuffer
	rows    int // complete ones in the buffers
	written int64
	target  int // bytes of a batch
	maxRows int
	nested  bool   // there are columns with builders
	err     *Error // of the row being set
}

// Rows returns a RowWriter for these columns, by name without regard to case and in this order; none means all data
// columns in table order. BAD_COLUMN for one that the table has not.
func (w *Writer) Rows(columns ...string) (*RowWriter, error) {
	picked, err := pickColumns(w.Schema().GetColumns(), columns)
	if err != nil {
		return nil, err
	}
	schema, err := ArrowSchema(picked)
	if err != nil {
		return nil, err
	}
	limits := w.limitsNow()
	r := &RowWriter{w: w, schema: schema, target: int(limits.GetBestMessageBytes()), maxRows: int(limits.GetMaxBatchRows())}
	for _, field := range schema.Fields() {
		c := newColumnBuffer(field.Type, w.cfg.Allocator)
		r.nested = r.nested || c.builder != nil
		r.cols = append(r.cols, c)
	}
	return r, nil
}

func pickColumns(all []*sluicev1.Column, names []string) ([]*sluicev1.Column, error) {
	if len(names) == 0 {
		return all, nil
	}
	picked := make([]*sluicev1.Column, len(names))
	for i, name := range names {
		for _, c := range all {
			if strings.EqualFold(c.GetName(), name) {
				picked[i] = c
			}
		}
		if picked[i] == nil {
			return nil, newError(sluicev1.Reason_REASON_BAD_COLUMN, codes.InvalidArgument, "the table has no column %q", name)
		}
	}
	return picked, nil
}

// End ends a row. An error about the row's own values leaves the row out and the RowWriter usable; others are those of
// Writer.WriteArrow.
func (r *RowWriter) End() error {
	if r.err != nil {
		return r.dropRow()
	}
	r.rows++
	for _, c := range r.cols {
		if c.n < r.rows {
			c.appendNull()
		} else if c.n > r.rows {
			r.rows--
			r.err = badArgument("a column was set twice in row %d", r.Row())
			return r.dropRow()
		}
	}
	if r.nested {
		if err := r.settle(); err != nil {
			return err
		}
	}
	if (r.rows&31 == 0 && r.full()) || r.rows >= r.maxRows {
		return r.Flush()
	}
	return nil
}

// settle appends the row's nested values to their builders. They were tried before, so an error here is a fault of ours.
func (r *RowWriter) settle() error {
	for i, c := range r.cols {
		if err := c.settle(); err != nil {
			return fmt.Errorf("column %s: %w", r.schema.Field(i).Name, err)
		}
	}
	return nil
}

func (r *RowWriter) full() bool {
	size := 0
	for _, c := range r.cols {
		size += c.size()
	}
	return size >= r.target
}

// dropRow forgets the row being set and returns what was wrong with it.
func (r *RowWriter) dropRow() error {
	for _, c := range r.cols {
		c.truncate(r.rows)
	}
	err := r.err
	r.err = nil
	return err
}

// Row is the number of the row being set, counted from 0 over all rows that this RowWriter took.
func (r *RowWriter) Row() int64 { return r.written + int64(r.rows) }

// Flush gives the complete rows in the buffers to the Writer. It says nothing about durability; that is Writer.Flush.
func (r *RowWriter) Flush() error {
	if r.rows == 0 {
		return r.w.check()
	}
	cols := make([]arrow.Array, len(r.cols))
	for i, c := range r.cols {
		cols[i] = c.take()
		defer cols[i].Release()
	}
	rec := array.NewRecordBatch(r.schema, cols, int64(r.rows))
	defer rec.Release()
	err := r.give(rec)
	r.written += int64(r.rows)
	r.rows = 0
	return err
}

// give writes rec even if rows before it were refused, and tells of those all the same.
func (r *RowWriter) give(rec arrow.RecordBatch) error {
	var refused []error
	for {
		err := r.w.WriteArrow(rec)
		if _, ok := err.(*RejectedError); !ok { //nolint:errorlint // as WriteArrow itself returns it
			return errors.Join(append(refused, err)...)
		}
		refused = append(refused, err)
	}
}

// mismatch notes the first value of the row that does not fit.
func (r *RowWriter) mismatch(col int, what string) {
	if r.err == nil {
		r.err = newError(sluicev1.Reason_REASON_TYPE_MISMATCH, codes.InvalidArgument, "row %d: column %s (%s) does not take %s",
			r.Row(), r.schema.Field(col).Name, r.typeText(col), what)
	}
}

func (r *RowWriter) typeText(col int) string {
	if text, ok := r.schema.Field(col).Metadata.GetValue(TypeMetadataKey); ok {
		return text
	}
	return r.schema.Field(col).Type.String()
}

// SetNull sets a column to NULL, as not setting it does.
func (r *RowWriter) SetNull(col int) { r.cols[col].appendNull() }

// SetBool sets a BOOLEAN.
func (r *RowWriter) SetBool(col int, v bool) {
	if c := r.cols[col]; c.id == arrow.BOOL {
		c.appendBool(v)
		return
	}
	r.mismatch(col, "a boolean")
}

// SetInt64 sets a TINYINT, SMALLINT, INT or BIGINT, or the months of an INTERVAL_YEAR_MONTH.
func (r *RowWriter) SetInt64(col int, v int64) {
	c := r.cols[col]
	switch {
	case c.id == arrow.INT64:
		c.append64(uint64(v)) //nolint:gosec // the same bits
	case c.id == arrow.INT32 && v == int64(int32(v)): //nolint:gosec // that is the check
		c.append32(uint32(v)) //nolint:gosec // the same bits
	case c.id == arrow.INT16 && v == int64(int16(v)): //nolint:gosec // that is the check
		c.append16(uint16(v)) //nolint:gosec // the same bits
	case c.id == arrow.INT8 && v == int64(int8(v)): //nolint:gosec // that is the check
		c.append8(uint8(v)) //nolint:gosec // the same bits
	default:
		r.mismatch(col, fmt.Sprintf("the integer %d", v))
	}
}

// SetFloat64 sets a DOUBLE, or a FLOAT, which rounds.
func (r *RowWriter) SetFloat64(col int, v float64) {
	switch c := r.cols[col]; c.id {
	case arrow.FLOAT64:
		c.append64(math.Float64bits(v))
	case arrow.FLOAT32:
		c.append32(math.Float32bits(float32(v)))
	default:
		r.mismatch(col, "a float")
	}
}

// SetString sets a STRING, CHAR, VARCHAR, JSON or BINARY. A DECIMAL is set from its text, "-12.34".
func (r *RowWriter) SetString(col int, v string) {
	switch c := r.cols[col]; c.id {
	case arrow.STRING, arrow.BINARY:
		c.appendString(v)
	case arrow.DECIMAL128, arrow.DECIMAL256:
		if err := c.appendDecimal(v); err != nil {
			r.mismatch(col, fmt.Sprintf("the text %q: %v", v, err))
		}
	default:
		r.mismatch(col, "text")
	}
}

// SetBytes sets what SetString sets, but DECIMAL; v is copied.
func (r *RowWriter) SetBytes(col int, v []byte) {
	if c := r.cols[col]; c.id == arrow.STRING || c.id == arrow.BINARY {
		c.appendBytes(v)
		return
	}
	r.mismatch(col, "bytes")
}

// SetDecimal128 sets a DECIMAL of up to 38 digits from its unscaled value: 1234 is 12.34 in a DECIMAL(10,2).
func (r *RowWriter) SetDecimal128(col int, v decimal128.Num) {
	if c := r.cols[col]; c.id == arrow.DECIMAL128 && v.FitsInPrecision(c.precision) {
		c.append64(v.LowBits())
		c.append64half(uint64(v.HighBits())) //nolint:gosec // the same bits
		return
	}
	r.mismatch(col, "this decimal")
}

// SetTime sets a DATETIME, TIMESTAMP or DATE from an instant, and a TIMESTAMP_NTZ from its wall clock. A DATE is the day of
// v in v's location. TIMESTAMPs are limited to 1677-09-21 to 2262-04-11 here, as int64
// nanoseconds are; other times need WriteColumns.
func (r *RowWriter) SetTime(col int, v time.Time) {
	c := r.cols[col]
	switch {
	case c.id == arrow.DATE32:
		year, month, day := v.Date()
		c.append32(uint32(time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Unix() / 86400)) //nolint:gosec // days fit
	case c.id != arrow.TIMESTAMP:
		r.mismatch(col, "a time")
	case c.unit == arrow.Millisecond:
		c.append64(uint64(v.UnixMilli())) //nolint:gosec // the same bits
	case v.Unix() < math.MinInt64/int64(time.Second) || v.Unix() >= math.MaxInt64/int64(time.Second):
		r.mismatch(col, "a time outside of 1677-09-21 to 2262-04-11")
	case c.local:
		_, offset := v.Zone()
		c.append64(uint64(v.UnixNano() + int64(offset)*int64(time.Second))) //nolint:gosec // the same bits
	default:
		c.append64(uint64(v.UnixNano())) //nolint:gosec // the same bits
	}
}

// SetFloat32s sets an ARRAY<FLOAT>; v is copied. Likewise SetFloat64s, SetInt64s, SetStrings for ARRAY<DOUBLE>,
// ARRAY<BIGINT>, ARRAY<STRING>. nil is an empty array; for NULL do not set the column.
func (r *RowWriter) SetFloat32s(col int, v []float32) {
	if c := r.cols[col].listOf(arrow.FLOAT32); c != nil {
		c.child.appendRaw(arrow.Float32Traits.CastToBytes(v), len(v))
		c.endList()
		return
	}
	r.mismatch(col, "an array of float")
}

// SetFloat64s sets an ARRAY<DOUBLE>.
func (r *RowWriter) SetFloat64s(col int, v []float64) {
	if c := r.cols[col].listOf(arrow.FLOAT64); c != nil {
		c.child.appendRaw(arrow.Float64Traits.CastToBytes(v), len(v))
		c.endList()
		return
	}
	r.mismatch(col, "an array of double")
}

// SetInt64s sets an ARRAY<BIGINT>.
func (r *RowWriter) SetInt64s(col int, v []int64) {
	if c := r.cols[col].listOf(arrow.INT64); c != nil {
		c.child.appendRaw(arrow.Int64Traits.CastToBytes(v), len(v))
		c.endList()
		return
	}
	r.mismatch(col, "an array of bigint")
}

// SetStrings sets an ARRAY<STRING>.
func (r *RowWriter) SetStrings(col int, v []string) {
	if c := r.cols[col].listOf(arrow.STRING); c != nil {
		for _, s := range v {
			c.child.appendString(s)
		}
		c.endList()
		return
	}
	r.mismatch(col, "an array of string")
}
