package main

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sluice-io/sluice/client"
	"github.com/sluice-io/sluice/conformance/clients/go/canon"
	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
)

func writeRows(w *client.Writer, columns []canon.Column, rows [][]canon.Value) error {
	list := &sluicev1.RowList{}
	for _, row := range rows {
		values := make([]*sluicev1.Value, len(row))
		for i, v := range row {
			values[i] = toWire(columns[i].Type, v)
		}
		list.Rows = append(list.Rows, &sluicev1.Row{Values: values})
	}
	return w.WriteRows(list)
}

// toWire makes the value of the row form.
func toWire(t canon.Type, v canon.Value) *sluicev1.Value {
	switch v := v.(type) {
	case bool:
		return &sluicev1.Value{Kind: &sluicev1.Value_Boolean{Boolean: v}}
	case int64:
		if t.Kind == canon.IntervalYearMonth {
			return &sluicev1.Value{Kind: &sluicev1.Value_Months{Months: int32(v)}} //nolint:gosec // a value of the type
		}
		return &sluicev1.Value{Kind: &sluicev1.Value_Integer{Integer: v}}
	case float64:
		return &sluicev1.Value{Kind: &sluicev1.Value_Number{Number: v}}
	case float32:
		return &sluicev1.Value{Kind: &sluicev1.Value_Number{Number: float64(v)}}
	case string:
		if t.Kind == canon.Decimal {
			return &sluicev1.Value{Kind: &sluicev1.Value_Decimal{Decimal: v}}
		}
		return &sluicev1.Value{Kind: &sluicev1.Value_Text{Text: v}}
	case []byte:
		return &sluicev1.Value{Kind: &sluicev1.Value_Binary{Binary: v}}
	case time.Time:
		if t.Kind == canon.Date {
			return &sluicev1.Value{Kind: &sluicev1.Value_Date{Date: &sluicev1.Date{Year: int32(v.Year()), Month: int32(v.Month()), Day: int32(v.Day())}}} //nolint:gosec // four digits
		}
		return &sluicev1.Value{Kind: &sluicev1.Value_Instant{Instant: timestamppb.New(v)}}
	case canon.Interval:
		return &sluicev1.Value{Kind: &sluicev1.Value_Interval{Interval: duration(v)}}
	case []canon.Value:
		return listToWire(t, v)
	case []canon.Pair:
		m := &sluicev1.MapValue{}
		for _, p := range v {
			m.Entries = append(m.Entries, &sluicev1.MapEntry{Key: toWire(t.Parts[0].Type, p.Key), Value: toWire(t.Parts[1].Type, p.Value)})
		}
		return &sluicev1.Value{Kind: &sluicev1.Value_Map{Map: m}}
	default: // NULL
		return &sluicev1.Value{}
	}
}

func listToWire(t canon.Type, values []canon.Value) *sluicev1.Value {
	made := make([]*sluicev1.Value, len(values))
	for i, v := range values {
		of := t.Parts[0].Type
		if t.Kind == canon.Struct {
			of = t.Parts[i].Type
		}
		made[i] = toWire(of, v)
	}
	if t.Kind == canon.Struct {
		return &sluicev1.Value{Kind: &sluicev1.Value_Record{Record: &sluicev1.StructValue{Fields: made}}}
	}
	return &sluicev1.Value{Kind: &sluicev1.Value_List{List: &sluicev1.ListValue{Values: made}}}
}

// duration gives seconds and nanoseconds the same sign, as a Duration must have.
func duration(v canon.Interval) *durationpb.Duration {
	if v.Seconds < 0 && v.Nanos > 0 {
		return &durationpb.Duration{Seconds: v.Seconds + 1, Nanos: v.Nanos - 1e9}
	}
	return &durationpb.Duration{Seconds: v.Seconds, Nanos: v.Nanos}
}

func fromWire(t canon.Type, v *sluicev1.Value) (canon.Value, error) {
	switch k := v.GetKind().(type) {
	case nil:
		return nil, nil //nolint:nilnil // NULL
	case *sluicev1.Value_Boolean:
		return k.Boolean, nil
	case *sluicev1.Value_Integer:
		return k.Integer, nil
	case *sluicev1.Value_Number:
		if t.Kind == canon.Float {
			return float32(k.Number), nil
		}
		return k.Number, nil
	case *sluicev1.Value_Text:
		return k.Text, nil
	case *sluicev1.Value_Binary:
		return k.Binary, nil
	case *sluicev1.Value_Decimal:
		return canon.PlainDecimal(k.Decimal, t.Scale)
	case *sluicev1.Value_Date:
		return time.Date(int(k.Date.GetYear()), time.Month(k.Date.GetMonth()), int(k.Date.GetDay()), 0, 0, 0, 0, time.UTC), nil
	case *sluicev1.Value_Instant:
		return k.Instant.AsTime(), nil
	case *sluicev1.Value_Interval:
		seconds, nanos := k.Interval.GetSeconds(), k.Interval.GetNanos()
		if nanos < 0 {
			seconds, nanos = seconds-1, nanos+1e9
		}
		return canon.Interval{Seconds: seconds, Nanos: nanos}, nil
	case *sluicev1.Value_Months:
		return int64(k.Months), nil
	case *sluicev1.Value_List:
		return listFromWire(t, k.List.GetValues())
	case *sluicev1.Value_Record:
		return listFromWire(t, k.Record.GetFields())
	case *sluicev1.Value_Map:
		return mapFromWire(t, k.Map.GetEntries())
	default:
		return nil, fmt.Errorf("the service gives a %T", k)
	}
}

func listFromWire(t canon.Type, values []*sluicev1.Value) (canon.Value, error) {
	made := make([]canon.Value, len(values))
	for i, v := range values {
		of := t.Parts[0].Type
		if t.Kind == canon.Struct {
			of = t.Parts[i].Type
		}
		var err error
		if made[i], err = fromWire(of, v); err != nil {
			return nil, err
		}
	}
	return made, nil
}

func mapFromWire(t canon.Type, entries []*sluicev1.MapEntry) (canon.Value, error) {
	pairs := make([]canon.Pair, len(entries))
	for i, e := range entries {
		var err error
		if pairs[i].Key, err = fromWire(t.Parts[0].Type, e.GetKey()); err != nil {
			return nil, err
		}
		if pairs[i].Value, err = fromWire(t.Parts[1].Type, e.GetValue()); err != nil {
			return nil, err
		}
	}
	return pairs, nil
}
