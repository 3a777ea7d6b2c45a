package main

import (
	"errors"
	"fmt"
	"io"
	"math/big"
	"strings"
	"time"

	"github.com/aliyun/aliyun-odps-go-sdk/arrow"
	"github.com/aliyun/aliyun-odps-go-sdk/arrow/array"
	"github.com/aliyun/aliyun-odps-go-sdk/arrow/decimal128"
	"github.com/aliyun/aliyun-odps-go-sdk/arrow/memory"
	"github.com/aliyun/aliyun-odps-go-sdk/odps/tunnel"

	"github.com/sluice-io/sluice/conformance/clients/go/canon"
)

// This file uses the SDK's own copy of Arrow, older than the project's and another set of Go types.

func writeArrow(session *tunnel.UploadSession, block int, columns []canon.Column, rows [][]canon.Value) (err error) {
	schema := session.ArrowSchema()
	if len(schema.Fields()) != len(columns) {
		return fmt.Errorf("the table has %d columns, want %d", len(schema.Fields()), len(columns))
	}
	builder := array.NewRecordBuilder(memory.NewGoAllocator(), schema)
	defer builder.Release()
	for n, row := range rows {
		for i, v := range row {
			if err := appendArrow(columns[i].Type, builder.Field(i), v); err != nil {
				return fmt.Errorf("row %d, column %s: %w", n, columns[i].Name, err)
			}
		}
	}
	writer, err := session.OpenRecordArrowWriter(block)
	if err != nil {
		return err
	}
	if len(rows) > 0 {
		record := builder.NewRecord()
		defer record.Release()
		err = writer.WriteArrowRecord(record)
	}
	return errors.Join(err, writer.Close())
}

func appendArrow(t canon.Type, to array.Builder, v canon.Value) error {
	if v == nil {
		to.AppendNull()
		return nil
	}
	switch to := to.(type) {
	case *array.BooleanBuilder:
		to.Append(v.(bool)) //nolint:forcetypeassert // canon.Parse made v for the same type, here and below
	case *array.Int8Builder:
		to.Append(int8(v.(int64)))
	case *array.Int16Builder:
		to.Append(int16(v.(int64)))
	case *array.Int32Builder:
		to.Append(int32(v.(int64)))
	case *array.Int64Builder:
		to.Append(v.(int64))
	case *array.Float32Builder:
		to.Append(v.(float32))
	case *array.Float64Builder:
		to.Append(v.(float64))
	case *array.StringBuilder:
		to.Append(v.(string))
	case *array.BinaryBuilder:
		to.Append(v.([]byte))
	case *array.Date32Builder:
		to.Append(arrow.Date32(v.(time.Time).Unix() / 86400))
	case *array.TimestampBuilder:
		if t.Kind == canon.DateTime {
			to.Append(arrow.Timestamp(v.(time.Time).UnixMilli()))
		} else {
			return appendNanos(to, v.(time.Time))
		}
	case *array.MonthIntervalBuilder:
		to.Append(arrow.MonthInterval(v.(int64)))
	case *array.DayTimeIntervalBuilder:
		return appendInterval(to, v.(canon.Interval))
	case *array.Decimal128Builder:
		return appendDecimal(t, to, v.(string))
	case *array.ListBuilder:
		to.Append(true)
		for _, element := range v.([]canon.Value) {
			if err := appendArrow(t.Parts[0].Type, to.ValueBuilder(), element); err != nil {
				return err
			}
		}
	case *array.StructBuilder:
		to.Append(true)
		for i, field := range v.([]canon.Value) {
			if err := appendArrow(t.Parts[i].Type, to.FieldBuilder(i), field); err != nil {
				return err
			}
		}
	default:
		return fmt.Errorf("the SDK has no Arrow form of a %s: %T", t.Kind, to)
	}
	return nil
}

// appendNanos refuses years outside of 1677 to 2262, which nanoseconds in 64 bits cannot hold.
func appendNanos(to *array.TimestampBuilder, v time.Time) error {
	nanos := v.UnixNano()
	if !time.Unix(0, nanos).Equal(v) {
		return fmt.Errorf("%s is no timestamp[ns]", v)
	}
	to.Append(arrow.Timestamp(nanos))
	return nil
}

// appendInterval refuses what days and milliseconds cannot hold.
func appendInterval(to *array.DayTimeIntervalBuilder, v canon.Interval) error {
	days, rest := v.Seconds/86400, v.Seconds%86400
	if v.Nanos%1e6 != 0 || days != int64(int32(days)) {
		return fmt.Errorf("%d.%09d seconds are no interval[day_time]", v.Seconds, v.Nanos)
	}
	to.Append(arrow.DayTimeInterval{Days: int32(days), Milliseconds: int32(rest)*1000 + v.Nanos/1e6})
	return nil
}

func appendDecimal(t canon.Type, to *array.Decimal128Builder, v string) error {
	unscaled, ok := new(big.Int).SetString(strings.Replace(v, ".", "", 1), 10)
	if !ok || t.Precision > 38 {
		return fmt.Errorf("%s is no decimal128", v)
	}
	to.Append(decimal128.FromBigInt(unscaled))
	return nil
}

func readArrow(session *tunnel.DownloadSession, columns []canon.Column, emit func([]canon.Value) error) error {
	reader, err := session.OpenRecordArrowReader(0, session.RecordCount(), canon.Names(columns))
	if err != nil {
		return err
	}
	n, err := readBatches(reader, columns, emit)
	if err == nil && n != session.RecordCount() {
		err = fmt.Errorf("%d rows came, want %d", n, session.RecordCount())
	}
	return errors.Join(err, reader.Close())
}

func readBatches(reader *tunnel.RecordArrowReader, columns []canon.Column, emit func([]canon.Value) error) (n int, err error) {
	for {
		batch, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		if int(batch.NumCols()) != len(columns) {
			return n, fmt.Errorf("a batch of %d columns, want %d", batch.NumCols(), len(columns))
		}
		for i := range int(batch.NumRows()) {
			row := make([]canon.Value, len(columns))
			for c := range row {
				if row[c], err = fromArrow(columns[c].Type, batch.Column(c), i); err != nil {
					return n, fmt.Errorf("row %d, column %s: %w", n, columns[c].Name, err)
				}
			}
			if err := emit(row); err != nil {
				return n, err
			}
			n++
		}
	}
}

func fromArrow(t canon.Type, from array.Interface, i int) (canon.Value, error) {
	if _, degraded := from.(*array.Null); degraded { // what the SDK makes of types that it has no Arrow form of
		return nil, fmt.Errorf("the SDK has no Arrow form of a %s", t.Kind)
	}
	if from.IsNull(i) {
		return nil, nil //nolint:nilnil // NULL
	}
	switch from := from.(type) {
	case *array.Boolean:
		return from.Value(i), nil
	case *array.Int8:
		return int64(from.Value(i)), nil
	case *array.Int16:
		return int64(from.Value(i)), nil
	case *array.Int32:
		return int64(from.Value(i)), nil
	case *array.Int64:
		return from.Value(i), nil
	case *array.Float32:
		return from.Value(i), nil
	case *array.Float64:
		return from.Value(i), nil
	case *array.String:
		return from.Value(i), nil
	case *array.Binary:
		return append([]byte{}, from.Value(i)...), nil
	case *array.Date32:
		return time.Unix(int64(from.Value(i))*86400, 0).UTC(), nil
	case *array.Timestamp:
		if t.Kind == canon.DateTime {
			return time.UnixMilli(int64(from.Value(i))).UTC(), nil
		}
		return time.Unix(0, int64(from.Value(i))).UTC(), nil
	case *array.MonthInterval:
		return int64(from.Value(i)), nil
	case *array.DayTimeInterval:
		return fromInterval(from.Value(i)), nil
	case *array.Decimal128:
		return canon.ScaledDecimal(from.Value(i).BigInt(), t.Scale), nil
	case *array.List:
		start, end := from.Offsets()[from.Offset()+i], from.Offsets()[from.Offset()+i+1]
		values := make([]canon.Value, 0, end-start)
		for j := start; j < end; j++ {
			v, err := fromArrow(t.Parts[0].Type, from.ListValues(), int(j))
			if err != nil {
				return nil, err
			}
			values = append(values, v)
		}
		return values, nil
	case *array.Struct:
		values := make([]canon.Value, from.NumField())
		for f := range values {
			var err error
			if values[f], err = fromArrow(t.Parts[f].Type, from.Field(f), i); err != nil {
				return nil, err
			}
		}
		return values, nil
	default:
		return nil, fmt.Errorf("the SDK gives a %T for a %s", from, t.Kind)
	}
}

func fromInterval(v arrow.DayTimeInterval) canon.Interval {
	seconds, milliseconds := int64(v.Days)*86400+int64(v.Milliseconds)/1000, v.Milliseconds%1000
	if milliseconds < 0 {
		seconds, milliseconds = seconds-1, milliseconds+1000
	}
	return canon.Interval{Seconds: seconds, Nanos: milliseconds * 1e6}
}
