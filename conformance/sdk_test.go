package conformance

import (
	"bytes"
	"errors"
	"io"
	"math/big"
	"strings"
	"testing"
	"time"

	oarrow "github.com/aliyun/aliyun-odps-go-sdk/arrow"
	oarray "github.com/aliyun/aliyun-odps-go-sdk/arrow/array"
	oipc "github.com/aliyun/aliyun-odps-go-sdk/arrow/ipc"
	"github.com/aliyun/aliyun-odps-go-sdk/odps"
	"github.com/aliyun/aliyun-odps-go-sdk/odps/account"
	"github.com/aliyun/aliyun-odps-go-sdk/odps/data"
	"github.com/aliyun/aliyun-odps-go-sdk/odps/datatype"
	"github.com/aliyun/aliyun-odps-go-sdk/odps/tunnel"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
)

// The official Go SDK talks to the same endpoint: what Sluice writes it must read, and the reverse. What it cannot do
// by its own faults (docs/endpoint.md names them) is kept out of the values here, by name:
//
//   - records: CHAR and VARCHAR are measured in bytes and lost when too long; INTERVAL_DAY_TIME loses its nanoseconds.
//   - Arrow: MAP degrades to Null; INTERVAL types and plain DECIMAL have other layouts.
func (s *stack) sdk() *tunnel.Tunnel {
	client := odps.NewOdps(account.NewAliyunAccount("local", "local-secret"), s.endpoint.Endpoint())
	client.SetDefaultProjectName(project)
	return tunnel.NewTunnel(client, strings.TrimSuffix(s.endpoint.Endpoint(), "/api"))
}

// sdkRows is everyRow without the values that the SDK's record codec damages.
func sdkRows() []*sluicev1.Row {
	rows := everyRow()
	for _, r := range rows {
		for c, column := range everyType {
			v := r.GetValues()[c]
			switch {
			case strings.HasPrefix(column, "c_char"), strings.HasPrefix(column, "c_varchar"):
				if len(v.GetText()) > 4 {
					r.Values[c] = text("é") // two bytes, one character
				}
			case strings.HasPrefix(column, "c_map") && len(v.GetMap().GetEntries()) > 1:
				v.GetMap().Entries = v.GetMap().GetEntries()[:1] // the SDK writes them in no order
			case strings.HasPrefix(column, "c_day_time") && v.GetInterval() != nil:
				seconds, _ := floored(v)
				r.Values[c] = interval(seconds, 0)
			}
		}
	}
	return rows
}

// arrowColumns are the columns that the SDK's Arrow knows, by their position in everyType.
func arrowColumns() []int {
	var known []int
	for c, column := range everyType {
		_, kind, _ := strings.Cut(column, " ")
		if !strings.Contains(kind, "map<") && !strings.HasPrefix(kind, "interval") && kind != "decimal" {
			known = append(known, c)
		}
	}
	return known
}

func TestSDKReadsRecordsThatSluiceWrote(t *testing.T) {
	s := newStack(t)
	path, columns := s.typed(t, "t")
	want := sdkRows()
	w := s.open(t, implicit(path))
	writeColumns(t, w, columns, want)
	w.seal()
	wantSameRows(t, "read by the SDK as records", columns, want, s.sdkReadRecords(t, "t", columns))
}

func TestSDKReadsArrowThatSluiceWrote(t *testing.T) {
	s := newStack(t)
	path, columns := s.table2(t, "t", arrowColumns())
	want := pick(everyRow(), arrowColumns())
	w := s.open(t, implicit(path))
	writeRows(t, w, columns, want)
	w.next = int64(len(want))
	w.seal()
	wantSameRows(t, "read by the SDK as Arrow", columns, want, s.sdkReadArrow(t, "t", columns))
}

func TestSluiceReadsRecordsThatTheSDKWrote(t *testing.T) {
	s := newStack(t)
	path, columns := s.typed(t, "t")
	want := sdkRows()
	s.sdkWriteRecords(t, "t", columns, want)
	for _, out := range forms {
		wantSameRows(t, "records of the SDK, read as "+out.name, columns, want, s.readForm(t, path, columns, out))
	}
}

func TestSluiceReadsArrowThatTheSDKWrote(t *testing.T) {
	s := newStack(t)
	path, columns := s.table2(t, "t", arrowColumns())
	want := pick(everyRow(), arrowColumns())
	s.sdkWriteArrow(t, "t", columns, want)
	for _, out := range forms {
		wantSameRows(t, "Arrow of the SDK, read as "+out.name, columns, want, s.readForm(t, path, columns, out))
	}
}

// table2 creates a table of some of everyType's columns.
func (s *stack) table2(t *testing.T, name string, positions []int) (string, []*sluicev1.Column) {
	t.Helper()
	var texts []string
	for _, p := range positions {
		texts = append(texts, everyType[p])
	}
	path := s.table(t, name, texts, nil)
	resp, err := s.tables.GetTable(ctxOf(t), &sluicev1.GetTableRequest{Table: &sluicev1.TableRef{Path: path}})
	if err != nil {
		t.Fatal(err)
	}
	return path, resp.GetTable().GetSchema().GetColumns()
}

func pick(rows []*sluicev1.Row, positions []int) []*sluicev1.Row {
	out := make([]*sluicev1.Row, len(rows))
	for i, r := range rows {
		out[i] = &sluicev1.Row{}
		for _, p := range positions {
			out[i].Values = append(out[i].Values, r.GetValues()[p])
		}
	}
	return out
}

func (s *stack) sdkReadRecords(t *testing.T, name string, columns []*sluicev1.Column) []*sluicev1.Row {
	t.Helper()
	session, err := s.sdk().CreateDownloadSession(project, name)
	if err != nil {
		t.Fatal(err)
	}
	reader, err := session.OpenRecordReader(0, session.RecordCount(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var rows []*sluicev1.Row
	for {
		record, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("SDK record reader: %v", err)
		}
		row := &sluicev1.Row{}
		for c, v := range record {
			row.Values = append(row.Values, fromSDK(t, columns[c].GetType(), v))
		}
		rows = append(rows, row)
	}
	if err := reader.Close(); err != nil {
		t.Error(err)
	}
	return rows
}

func fromSDK(t *testing.T, dt *sluicev1.DataType, v data.Data) *sluicev1.Value {
	t.Helper()
	child := func(i int) *sluicev1.DataType { return dt.GetChildren()[i].GetType() }
	switch v := v.(type) {
	case nil, data.NullData, *data.NullData:
		return null()
	case data.Bool:
		return boolean(bool(v))
	case data.TinyInt:
		return integer(int64(v))
	case data.SmallInt:
		return integer(int64(v))
	case data.Int:
		return integer(int64(v))
	case data.BigInt:
		return integer(int64(v))
	case data.Float:
		return number(float64(v))
	case data.Double:
		return number(float64(v))
	case *data.Decimal:
		return decimal(rescaled(t, v.Value(), int(dt.GetScale())))
	case data.String:
		return text(string(v))
	case data.Char:
		return text(v.Data())
	case data.VarChar:
		return text(v.Data())
	case *data.Json:
		return text(v.GetData())
	case data.Json:
		return text(v.GetData())
	case data.Binary:
		return binaryOf(v...)
	case data.Date:
		return dateOf(int32(v.Time().Unix() / 86400))
	case data.DateTime:
		return timeOf(v.Time())
	case data.Timestamp:
		return timeOf(v.Time())
	case data.TimestampNtz:
		return timeOf(v.Time())
	case data.IntervalDayTime:
		return interval(v.Seconds(), v.NanosFraction())
	case data.IntervalYearMonth:
		return months(int32(v))
	case *data.Array:
		var elements []*sluicev1.Value
		for _, e := range v.ToSlice() {
			elements = append(elements, fromSDK(t, child(0), e))
		}
		return list(elements...)
	case *data.Map:
		return fromSDKMap(t, dt, v)
	case *data.Struct:
		var fields []*sluicev1.Value
		for i, f := range v.Fields() {
			fields = append(fields, fromSDK(t, child(i), f.Value))
		}
		return record(fields...)
	}
	t.Fatalf("SDK value of type %T", v)
	return nil
}

// fromSDKMap puts the entries of the SDK's map, which has no order, in the order of their keys.
func fromSDKMap(t *testing.T, dt *sluicev1.DataType, m *data.Map) *sluicev1.Value {
	t.Helper()
	var entries []*sluicev1.Value
	for key, value := range m.ToGoMap() {
		k, v := fromSDK(t, dt.GetChildren()[0].GetType(), key), fromSDK(t, dt.GetChildren()[1].GetType(), value)
		at := 0
		for at < len(entries) && show(entries[at]) < show(k) {
			at += 2
		}
		entries = append(entries[:at], append([]*sluicev1.Value{k, v}, entries[at:]...)...)
	}
	return mapping(entries...)
}

func timeOf(t time.Time) *sluicev1.Value { return instant(t.Unix(), int32(t.Nanosecond())) }

// rescaled writes a decimal text with exactly scale digits after the point, failing if that would lose any.
func rescaled(t *testing.T, s string, scale int) string {
	t.Helper()
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		t.Fatalf("decimal text %q", s)
	}
	scaled := r.Mul(r, new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil)))
	if !scaled.IsInt() {
		t.Fatalf("decimal text %q has more than %d digits after the point", s, scale)
	}
	return scaledText(scaled.Num(), scale)
}

func (s *stack) sdkWriteRecords(t *testing.T, name string, columns []*sluicev1.Column, rows []*sluicev1.Row) {
	t.Helper()
	session, err := s.sdk().CreateUploadSession(project, name)
	if err != nil {
		t.Fatal(err)
	}
	writer, err := session.OpenRecordWriter(0)
	if err != nil {
		t.Fatal(err)
	}
	schema := session.Schema()
	for _, r := range rows {
		values := make(data.Record, len(columns))
		for c, v := range r.GetValues() {
			values[c] = toSDK(t, columns[c].GetType(), schema.Columns[c].Type, v)
		}
		if err := writer.Write(values); err != nil {
			t.Fatalf("SDK record writer: %v (close: %v)", err, writer.Close())
		}
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	if err := session.Commit([]int{0}); err != nil {
		t.Fatal(err)
	}
}

func toSDK(t *testing.T, dt *sluicev1.DataType, ot datatype.DataType, v *sluicev1.Value) data.Data {
	t.Helper()
	switch k := v.GetKind().(type) {
	case nil:
		return nil
	case *sluicev1.Value_Boolean:
		return data.Bool(k.Boolean)
	case *sluicev1.Value_Integer:
		switch dt.GetKind() {
		case sluicev1.TypeKind_TYPE_KIND_TINYINT:
			return data.TinyInt(k.Integer)
		case sluicev1.TypeKind_TYPE_KIND_SMALLINT:
			return data.SmallInt(k.Integer)
		case sluicev1.TypeKind_TYPE_KIND_INT:
			return data.Int(k.Integer)
		}
		return data.BigInt(k.Integer)
	case *sluicev1.Value_Number:
		if dt.GetKind() == sluicev1.TypeKind_TYPE_KIND_FLOAT {
			return data.Float(k.Number)
		}
		return data.Double(k.Number)
	case *sluicev1.Value_Decimal:
		return data.NewDecimal(int(dt.GetPrecision()), int(dt.GetScale()), k.Decimal)
	case *sluicev1.Value_Text:
		return textToSDK(t, dt, k.Text)
	case *sluicev1.Value_Binary:
		return data.Binary(k.Binary)
	case *sluicev1.Value_Date:
		return data.Date(time.Date(int(k.Date.GetYear()), time.Month(k.Date.GetMonth()), int(k.Date.GetDay()), 0, 0, 0, 0, time.UTC))
	case *sluicev1.Value_Instant:
		switch dt.GetKind() {
		case sluicev1.TypeKind_TYPE_KIND_DATETIME:
			return data.DateTime(k.Instant.AsTime())
		case sluicev1.TypeKind_TYPE_KIND_TIMESTAMP_NTZ:
			return data.TimestampNtz(k.Instant.AsTime())
		}
		return data.Timestamp(k.Instant.AsTime())
	case *sluicev1.Value_Interval:
		return data.NewIntervalDayTime(k.Interval.GetSeconds(), 0)
	case *sluicev1.Value_Months:
		return data.IntervalYearMonth(k.Months)
	}
	return nestedToSDK(t, dt, ot, v)
}

func textToSDK(t *testing.T, dt *sluicev1.DataType, s string) data.Data {
	t.Helper()
	var v data.Data
	var err error
	switch dt.GetKind() {
	case sluicev1.TypeKind_TYPE_KIND_CHAR:
		v, err = data.MakeChar(int(dt.GetLength()), s)
	case sluicev1.TypeKind_TYPE_KIND_VARCHAR:
		v, err = data.MakeVarChar(int(dt.GetLength()), s)
	case sluicev1.TypeKind_TYPE_KIND_JSON:
		return &data.Json{Data: s, Valid: true}
	default:
		return data.String(s)
	}
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func nestedToSDK(t *testing.T, dt *sluicev1.DataType, ot datatype.DataType, v *sluicev1.Value) data.Data {
	t.Helper()
	child := func(i int) *sluicev1.DataType { return dt.GetChildren()[i].GetType() }
	switch ot := ot.(type) {
	case datatype.ArrayType:
		a := data.NewArrayWithType(ot)
		for _, e := range v.GetList().GetValues() {
			a.UnSafeAppend(toSDK(t, child(0), ot.ElementType, e))
		}
		return a
	case datatype.MapType:
		m := data.NewMapWithType(ot)
		for _, e := range v.GetMap().GetEntries() {
			m.ToGoMap()[toSDK(t, child(0), ot.KeyType, e.GetKey())] = toSDK(t, child(1), ot.ValueType, e.GetValue())
		}
		return m
	case datatype.StructType:
		st := data.NewStructWithTyp(ot)
		for i, f := range v.GetRecord().GetFields() {
			if err := st.SetField(ot.Fields[i].Name, toSDK(t, child(i), ot.Fields[i].Type, f)); err != nil {
				t.Fatal(err)
			}
		}
		return st
	}
	t.Fatalf("SDK type %T", ot)
	return nil
}

func (s *stack) sdkReadArrow(t *testing.T, name string, columns []*sluicev1.Column) []*sluicev1.Row {
	t.Helper()
	session, err := s.sdk().CreateDownloadSession(project, name)
	if err != nil {
		t.Fatal(err)
	}
	reader, err := session.OpenRecordArrowReader(0, session.RecordCount(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var rows []*sluicev1.Row
	for {
		batch, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("SDK Arrow reader: %v", err)
		}
		for i := range int(batch.NumRows()) {
			row := &sluicev1.Row{}
			for c, column := range columns {
				row.Values = append(row.Values, fromSDKArrow(t, column.GetType(), batch.Column(c), i))
			}
			rows = append(rows, row)
		}
	}
	if err := reader.Close(); err != nil {
		t.Error(err)
	}
	return rows
}

func fromSDKArrow(t *testing.T, dt *sluicev1.DataType, a oarray.Interface, i int) *sluicev1.Value {
	t.Helper()
	if a.IsNull(i) {
		return null()
	}
	switch a := a.(type) {
	case *oarray.Boolean:
		return boolean(a.Value(i))
	case *oarray.Int8:
		return integer(int64(a.Value(i)))
	case *oarray.Int16:
		return integer(int64(a.Value(i)))
	case *oarray.Int32:
		return integer(int64(a.Value(i)))
	case *oarray.Int64:
		return integer(a.Value(i))
	case *oarray.Float32:
		return number(float64(a.Value(i)))
	case *oarray.Float64:
		return number(a.Value(i))
	case *oarray.Decimal128:
		v := a.Value(i)
		n := new(big.Int).Lsh(big.NewInt(v.HighBits()), 64)
		return decimal(scaledText(n.Add(n, new(big.Int).SetUint64(v.LowBits())), int(dt.GetScale())))
	case *oarray.String:
		return text(a.Value(i))
	case *oarray.Binary:
		return binaryOf(a.Value(i)...)
	case *oarray.Date32:
		return dateOf(int32(a.Value(i)))
	case *oarray.Timestamp:
		if a.DataType().(*oarrow.TimestampType).Unit == oarrow.Millisecond {
			return millis(int64(a.Value(i)))
		}
		return timeOf(time.Unix(0, int64(a.Value(i))))
	case *oarray.List:
		from, to := int(a.Offsets()[a.Data().Offset()+i]), int(a.Offsets()[a.Data().Offset()+i+1])
		var elements []*sluicev1.Value
		for e := from; e < to; e++ {
			elements = append(elements, fromSDKArrow(t, dt.GetChildren()[0].GetType(), a.ListValues(), e))
		}
		return list(elements...)
	case *oarray.Struct:
		var fields []*sluicev1.Value
		for f, c := range dt.GetChildren() {
			fields = append(fields, fromSDKArrow(t, c.GetType(), a.Field(f), i))
		}
		return record(fields...)
	}
	t.Fatalf("SDK array of type %T", a)
	return nil
}

func (s *stack) sdkWriteArrow(t *testing.T, name string, columns []*sluicev1.Column, rows []*sluicev1.Row) {
	t.Helper()
	session, err := s.sdk().CreateUploadSession(project, name)
	if err != nil {
		t.Fatal(err)
	}
	_, message := arrowMessages(t, columns, rows, false)
	end := []byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}
	batch, err := oipc.NewRecordBatchReader(bytes.NewReader(append(message, end...)), session.ArrowSchema()).Read()
	if err != nil {
		t.Fatalf("rows as a batch of the SDK: %v", err)
	}
	writer, err := session.OpenRecordArrowWriter(0)
	if err != nil {
		t.Fatal(err)
	}
	if err := writer.WriteArrowRecord(batch); err != nil {
		t.Fatalf("SDK Arrow writer: %v (close: %v)", err, writer.Close())
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	if err := session.Commit([]int{0}); err != nil {
		t.Fatal(err)
	}
}
