package instance

import (
	"encoding/base64"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/sluice-io/sluice/emulator/internal/sql"
	"github.com/sluice-io/sluice/emulator/internal/types"
)

// MaxCSVRows is how many rows the result text holds at most; the tunnel gives them all.
const MaxCSVRows = 10000

const (
	dateForm     = "2006-01-02"
	secondsForm  = "2006-01-02 15:04:05"
	monthsInYear = 12
)

// CSV is a result as text, with at most MaxCSVRows of its rows: a line of names, then the rows. Strings are quoted, NULL is \N.
func (r *Result) CSV() (string, error) {
	return CSV(r.Columns, r.Batches(0, MaxCSVRows), MaxCSVRows)
}

// CSV is the text of batches, with at most limit of their rows, in the form of Result.CSV.
func CSV(columns []sql.Column, batches iter.Seq2[arrow.RecordBatch, error], limit int) (string, error) {
	var out strings.Builder
	for i, c := range columns {
		if i > 0 {
			out.WriteByte(',')
		}
		quote(&out, c.Name)
	}
	out.WriteByte('\n')
	if limit == 0 {
		return out.String(), nil
	}
	for batch, err := range batches {
		if err != nil {
			return "", err
		}
		for row := range int(batch.NumRows()) {
			for i, c := range columns {
				if i > 0 {
					out.WriteByte(',')
				}
				writeField(&out, batch.Column(i), row, c.Type)
			}
			out.WriteByte('\n')
			if limit--; limit == 0 {
				return out.String(), nil
			}
		}
	}
	return out.String(), nil
}

func writeField(out *strings.Builder, arr arrow.Array, row int, t types.Type) {
	if arr.IsNull(row) {
		out.WriteString(`\N`)
		return
	}
	text := valueText(arr, row, t)
	if bare(t) {
		out.WriteString(text)
		return
	}
	quote(out, text)
}

// bare reports whether values of t stand without quotes.
func bare(t types.Type) bool {
	switch t.Kind {
	case types.Boolean, types.TinyInt, types.SmallInt, types.Int, types.BigInt, types.Float, types.Double, types.Decimal,
		types.Date, types.Datetime, types.Timestamp, types.TimestampNTZ:
		return true
	default:
		return false
	}
}

func quote(out *strings.Builder, text string) {
	out.WriteByte('"')
	out.WriteString(strings.ReplaceAll(text, `"`, `""`))
	out.WriteByte('"')
}

// valueText is one value, not NULL, in the wide layout as SQL shows it.
func valueText(arr arrow.Array, row int, t types.Type) string {
	switch arr := arr.(type) {
	case *array.Boolean:
		return strconv.FormatBool(arr.Value(row))
	case *array.Int8:
		return strconv.Itoa(int(arr.Value(row)))
	case *array.Int16:
		return strconv.Itoa(int(arr.Value(row)))
	case *array.Int32:
		return strconv.Itoa(int(arr.Value(row)))
	case *array.Int64:
		return strconv.FormatInt(arr.Value(row), 10)
	case *array.Float32:
		return types.FloatText(float64(arr.Value(row)), 32)
	case *array.Float64:
		return types.FloatText(arr.Value(row), 64)
	case *array.String:
		return strings.Clone(arr.Value(row))
	case *array.Binary:
		return binaryText(arr.Value(row))
	case *array.Decimal128:
		_, scale := t.PrecisionScale()
		return types.DecimalText(arr.Value(row).BigInt(), scale)
	case *array.Decimal256:
		_, scale := t.PrecisionScale()
		return types.DecimalText(arr.Value(row).BigInt(), scale)
	case *array.Date32:
		return arr.Value(row).ToTime().Format(dateForm)
	case *array.Timestamp:
		// One client cannot read a fraction here; the tunnel has the milliseconds.
		return time.UnixMilli(int64(arr.Value(row))).UTC().Format(secondsForm)
	case *array.MonthInterval:
		return yearMonthText(int(arr.Value(row)))
	case *array.Map:
		return mapText(arr, row, t)
	case *array.List:
		return listText(arr, row, t)
	case *array.Struct:
		return structText(arr, row, t)
	default:
		return arr.ValueStr(row)
	}
}

// elementText is one value inside a collection, in the form that clients read back: NULL
// is \N, what is neither number nor collection stands in quotes.
func elementText(arr arrow.Array, row int, t types.Type) string {
	if arr.IsNull(row) {
		return `\N`
	}
	text := valueText(arr, row, t)
	switch t.Kind {
	case types.Boolean, types.TinyInt, types.SmallInt, types.Int, types.BigInt, types.Float, types.Double, types.Decimal,
		types.Array, types.Map, types.Struct:
		return text
	default:
		return `"` + strings.ReplaceAll(text, `"`, `\"`) + `"`
	}
}

// binaryText is the bytes if they are text, else their base64 form.
func binaryText(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	return base64.StdEncoding.EncodeToString(b)
}

// fraction is a time with as many digits of its second as it needs.
func fraction(t time.Time) string {
	text := t.Format(secondsForm)
	if t.Nanosecond() == 0 {
		return text
	}
	return text + "." + strings.TrimRight(fmt.Sprintf("%09d", t.Nanosecond()), "0")
}

func yearMonthText(months int) string {
	sign := ""
	if months < 0 {
		sign, months = "-", -months
	}
	return fmt.Sprintf("%s%d-%d", sign, months/monthsInYear, months%monthsInYear)
}

func structText(arr *array.Struct, row int, t types.Type) string {
	switch t.Kind {
	case types.Timestamp, types.TimestampNTZ:
		sec, nano := secNano(arr, row)
		return fraction(time.Unix(sec, int64(nano)).UTC())
	case types.IntervalDayTime:
		return dayTimeText(secNano(arr, row))
	}
	fields := make([]string, len(t.Children))
	for i, c := range t.Children {
		fields[i] = c.Name + ":" + elementText(arr.Field(i), row, c.Type)
	}
	return "{" + strings.Join(fields, ", ") + "}"
}

func secNano(arr *array.Struct, row int) (int64, int32) {
	return arr.Field(0).(*array.Int64).Value(row), arr.Field(1).(*array.Int32).Value(row)
}

func dayTimeText(sec int64, nano int32) string {
	sign := ""
	if sec < 0 {
		sign = "-"
		if sec, nano = -sec, -nano; nano < 0 {
			sec, nano = sec-1, nano+1e9
		}
	}
	return fmt.Sprintf("%s%d %02d:%02d:%02d.%09d", sign, sec/86400, sec/3600%24, sec/60%60, sec%60, nano)
}

func listText(arr *array.List, row int, t types.Type) string {
	start, end := arr.ValueOffsets(row)
	var items []string
	for i := start; i < end; i++ {
		items = append(items, elementText(arr.ListValues(), int(i), t.Children[0].Type))
	}
	return "[" + strings.Join(items, ", ") + "]"
}

func mapText(arr *array.Map, row int, t types.Type) string {
	start, end := arr.ValueOffsets(row)
	var items []string
	for i := start; i < end; i++ {
		items = append(items, elementText(arr.Keys(), int(i), t.Children[0].Type)+":"+elementText(arr.Items(), int(i), t.Children[1].Type))
	}
	return "{" + strings.Join(items, ", ") + "}"
}
