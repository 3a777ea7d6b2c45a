package tunnel_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	sdkarrow "github.com/aliyun/aliyun-odps-go-sdk/arrow"
	"github.com/aliyun/aliyun-odps-go-sdk/arrow/array"
	"github.com/aliyun/aliyun-odps-go-sdk/arrow/decimal128"
	sdkmem "github.com/aliyun/aliyun-odps-go-sdk/arrow/memory"
	"github.com/aliyun/aliyun-odps-go-sdk/odps"
	"github.com/aliyun/aliyun-odps-go-sdk/odps/account"
	"github.com/aliyun/aliyun-odps-go-sdk/odps/data"
	"github.com/aliyun/aliyun-odps-go-sdk/odps/datatype"
	sdk "github.com/aliyun/aliyun-odps-go-sdk/odps/tunnel"
	"github.com/google/go-cmp/cmp"
)

func sdkTunnel(e *endpoint) *sdk.Tunnel {
	o := odps.NewOdps(account.NewAliyunAccount("id", "key"), e.url)
	o.SetDefaultProjectName("p")
	return sdk.NewTunnel(o, e.url)
}

func sdkUpload(t *testing.T, e *endpoint, table string, opts ...sdk.Option) *sdk.UploadSession {
	t.Helper()
	s, err := sdkTunnel(e).CreateUploadSession("p", table, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func sdkWrite(t *testing.T, s *sdk.UploadSession, block int, rows ...[]data.Data) {
	t.Helper()
	w, err := s.OpenRecordWriter(block)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if err := w.Write(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func sdkWriteArrow(t *testing.T, s *sdk.UploadSession, block int, fill func(*array.RecordBuilder)) {
	t.Helper()
	w, err := s.OpenRecordArrowWriter(block)
	if err != nil {
		t.Fatal(err)
	}
	b := array.NewRecordBuilder(sdkmem.NewGoAllocator(), s.ArrowSchema())
	defer b.Release()
	fill(b)
	rec := b.NewRecord()
	defer rec.Release()
	if err := w.WriteArrowRecord(rec); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func sdkDownload(t *testing.T, e *endpoint, table string, opts ...sdk.Option) *sdk.DownloadSession {
	t.Helper()
	s, err := sdkTunnel(e).CreateDownloadSession("p", table, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func sdkRead(t *testing.T, s *sdk.DownloadSession, start, count int, cols []string) (rows []string) {
	t.Helper()
	r, err := s.OpenRecordReader(start, count, cols)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for {
		rec, err := r.Read()
		if errors.Is(err, io.EOF) {
			return rows
		}
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, render(rec))
	}
}

func render(rec data.Record) string {
	var parts []string
	for _, d := range rec {
		switch d := d.(type) {
		case nil:
			parts = append(parts, "NULL")
		case data.Timestamp:
			parts = append(parts, d.Time().UTC().Format(time.RFC3339Nano))
		case data.TimestampNtz:
			parts = append(parts, d.Time().UTC().Format(time.RFC3339Nano))
		case data.DateTime:
			parts = append(parts, d.Time().UTC().Format(time.RFC3339Nano))
		case *data.Struct: // its String panics on a NULL field
			for _, f := range d.Fields() {
				parts = append(parts, f.Name+"="+render(data.Record{f.Value}))
			}
		case *data.Array: // as does this one's
			parts = append(parts, "array("+strings.ReplaceAll(render(d.ToSlice()), " | ", ", ")+")")
		default:
			parts = append(parts, d.String())
		}
	}
	return strings.Join(parts, " | ")
}

func sdkReadArrow(t *testing.T, s *sdk.DownloadSession, start, count int, cols []string) (out []string) {
	t.Helper()
	r, err := s.OpenRecordArrowReader(start, count, cols)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for {
		rec, err := r.Read()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range rec.Columns() {
			out = append(out, fmt.Sprint(c))
		}
	}
}

const sdkTypes = "a tinyint;b smallint;c int;d float;e binary;f datetime;g date;h timestamp;i timestamp_ntz;j decimal(10,2);k char(4);" +
	"l varchar(4);m json;n array<bigint>;o map<string,bigint>;p struct<a:bigint,b:string>;q interval_day_time;r interval_year_month"

// sdkRow is the row of eighteen types in section 13 of the protocol notes.
func sdkRow(t *testing.T) []data.Data {
	t.Helper()
	at := time.Date(1969, 12, 31, 23, 59, 58, 500_000_000, time.UTC)
	char, err := data.MakeChar(4, "ab")
	varchar, err2 := data.MakeVarChar(4, "cd")
	js, err3 := data.NewJson(map[string]int{"a": 1})
	if err := errors.Join(err, err2, err3); err != nil {
		t.Fatal(err)
	}
	arr := data.NewArrayWithType(datatype.NewArrayType(datatype.BigIntType))
	arr.UnSafeAppend(data.BigInt(1), data.BigInt(-2))
	m := data.NewMapWithType(datatype.NewMapType(datatype.StringType, datatype.BigIntType))
	st := data.NewStructWithTyp(datatype.NewStructType(datatype.NewStructFieldType("a", datatype.BigIntType), datatype.NewStructFieldType("b", datatype.StringType)))
	if err := errors.Join(m.Set(data.String("k"), data.BigInt(3)), st.SetField("a", data.BigInt(9)), st.SetField("b", nil)); err != nil {
		t.Fatal(err)
	}
	return []data.Data{data.TinyInt(-1), data.SmallInt(300), data.Int(70000), data.Float(1.5), data.Binary{0, 0xff}, data.DateTime(at),
		data.Date(time.Date(1970, 1, 3, 0, 0, 0, 0, time.UTC)), data.Timestamp(at), data.TimestampNtz(at), *data.NewDecimal(10, 2, "12.34"),
		char, varchar, *js, *arr, *m, *st, data.NewIntervalDayTime(86401, 5), data.IntervalYearMonth(14)}
}

// TestSDKRecordEveryType writes and reads every type with the SDK's record writer
// and reader, and captures what it puts on the wire.
func TestSDKRecordEveryType(t *testing.T) {
	e := start(t, nil)
	e.create(t, "t", sdkTypes+";s bigint;t boolean;u double;v string", "")
	up := sdkUpload(t, e, "t")
	row := append(sdkRow(t), data.BigInt(math.MinInt64), data.Bool(true), data.Double(-0.5), data.String("中文"))
	nulls := make([]data.Data, len(row))
	sdkWrite(t, up, 0, row, nulls)
	if err := up.Commit([]int{0}); err != nil {
		t.Fatal(err)
	}
	down := sdkDownload(t, e, "t")
	got := sdkRead(t, down, 0, down.RecordCount(), nil)
	want := []string{"-1 | 300 | 70000 | 1.500000E+00 | unhex('00FF') | 1969-12-31T23:59:58.5Z | 1970-01-03 | 1969-12-31T23:59:58.5Z | 1969-12-31T23:59:58.5Z | 12.34 | ab | cd | " +
		"{\"a\":1} | array(1, -2) | map('k', 3L) | a=9 | b=NULL | 1 days, 1000 ms | 14 months | -9223372036854775808 | true | -5.000000E-01 | 中文",
		strings.Repeat("NULL | ", 21) + "NULL"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows: -want +got\n%s", diff)
	}
	// The SDK drops the nanoseconds it is given (data.NewIntervalDayTime), so the
	// interval is 86401 s.
	golden := "080110d80418e0c508250000c03f2a0200ff30b717380442038094ebdc034a038094ebdc03520531322e33345a026162620263646a077b2261223a317d7202000200037a0100016b01000682010012018a0182c60a0090011c"
	if body := fmt.Sprintf("%x", e.lastBody()); !strings.HasPrefix(body, golden) {
		t.Errorf("SDK sent %s, the protocol notes say %s…", body, golden)
	}
}

func ints(from, n int) (rows [][]data.Data) {
	for i := range n {
		rows = append(rows, []data.Data{data.BigInt(from + i), data.String(fmt.Sprint("s", from+i)), nil})
	}
	return rows
}

func TestSDKBlocksRangesColumns(t *testing.T) {
	e := start(t, nil)
	e.create(t, "T", "id bigint;s string;x double", "")
	up := sdkUpload(t, e, "t")
	var wg sync.WaitGroup
	for block := range 3 {
		wg.Go(func() { sdkWrite(t, up, block*7, ints(block*10, 10)...) })
	}
	wg.Wait()
	if err := up.Load(); err != nil || !slices.Equal(up.BlockIds(), []int{0, 7, 14}) {
		t.Errorf("blocks = %v, %v", up.BlockIds(), err)
	}
	if down := sdkDownload(t, e, "t"); down.RecordCount() != 0 {
		t.Errorf("%d rows visible before the commit", down.RecordCount())
	}
	if err := up.Commit([]int{0, 7, 14}); err != nil {
		t.Fatal(err)
	}
	down := sdkDownload(t, e, "t")
	if down.RecordCount() != 30 {
		t.Fatalf("RecordCount = %d, want 30", down.RecordCount())
	}
	if diff := cmp.Diff([]string{"9 | s9 | NULL", "10 | s10 | NULL"}, sdkRead(t, down, 9, 2, nil)); diff != "" {
		t.Errorf("rows 9, 10: %s", diff)
	}
	if got := sdkRead(t, down, 29, 100, []string{"s", "id"}); !slices.Equal(got, []string{"s29 | 29"}) {
		t.Errorf("columns s, id of the last row = %q", got)
	}
	if got := sdkRead(t, down, 30, 5, nil); len(got) != 0 {
		t.Errorf("rows beyond the end = %q", got)
	}
	if got := sdkReadArrow(t, down, 9, 2, []string{"id", "x"}); !slices.Equal(got, []string{"[9]", "[(null)]", "[10]", "[(null)]"}) {
		t.Errorf("Arrow columns id, x = %q", got)
	}
	if got := sdkReadArrow(t, down, 0, 0, nil); len(got) != 0 {
		t.Errorf("no rows in Arrow = %q", got)
	}
}

func TestSDKArrowEveryType(t *testing.T) {
	e := start(t, nil)
	const sdkArrow = "a boolean;b tinyint;c smallint;d int;e bigint;f float;g double;h decimal(38,18);i string;j char(4);k varchar(4);l json;m binary;n date;o datetime;" +
		"p timestamp;q timestamp_ntz;r array<bigint>;s struct<a:bigint,b:string>;u interval_day_time;v interval_year_month"
	e.create(t, "t", sdkArrow, "")
	up := sdkUpload(t, e, "t", sdk.SessionCfg.WithSnappyFramedCompressor())
	sdkWriteArrow(t, up, 3, func(b *array.RecordBuilder) {
		for i := range b.Schema().Fields() {
			sdkAppend(t, b.Field(i))
			b.Field(i).AppendNull()
			sdkAppend(t, b.Field(i))
		}
	})
	if err := up.Commit([]int{3}); err != nil {
		t.Fatal(err)
	}
	down := sdkDownload(t, e, "t", sdk.SessionCfg.WithDefaultZstdCompressor())
	want := []string{"true", "-1", "-2", "-3", "-4", "1.5", "-2.5", "{123456789 0}", `"text"`, `"text"`, `"text"`, `"text"`, `"text"`, "-1", "-1500", "-1500", "-1500",
		"[-4 (null)]", "", "{-1 1500}", "14"}
	for start := range 3 {
		got := sdkReadArrow(t, down, start, 1, nil)
		for i, g := range got {
			w := "[" + want[i] + "]"
			if start == 1 {
				w = "[(null)]"
			}
			if want[i] == "" { // STRUCT
				w = map[bool]string{true: "{[(null)] [(null)]}", false: "{[-4] [(null)]}"}[start == 1]
			}
			if g != w {
				t.Errorf("row %d, column %d = %s, want %s", start, i, g, w)
			}
		}
	}
	// The same rows as records.
	rows := sdkRead(t, down, 0, 3, nil)
	want1 := "true | -1 | -2 | -3 | -4 | 1.500000E+00 | -2.500000E+00 | 0.000000000123456789 | text | text | text | text | unhex('74657874') | 1969-12-31 | 1969-12-31T23:59:58.5Z | " +
		"1969-12-31T23:59:59.9999985Z | 1969-12-31T23:59:59.9999985Z | array(-4, NULL) | a=-4 | b=NULL | 0 days, -86399000 ms | 14 months" // the SDK drops the 500 ms: data.NewIntervalDayTime
	if diff := cmp.Diff([]string{want1, strings.Repeat("NULL | ", 20) + "NULL", want1}, rows); diff != "" {
		t.Errorf("as records: -want +got\n%s", diff)
	}
}

// sdkAppend appends a fixed value of the builder's type.
func sdkAppend(t *testing.T, b array.Builder) {
	t.Helper()
	switch b := b.(type) {
	case *array.BooleanBuilder:
		b.Append(true)
	case *array.Int8Builder:
		b.Append(-1)
	case *array.Int16Builder:
		b.Append(-2)
	case *array.Int32Builder:
		b.Append(-3)
	case *array.Int64Builder:
		b.Append(-4)
	case *array.Float32Builder:
		b.Append(1.5)
	case *array.Float64Builder:
		b.Append(-2.5)
	case *array.Decimal128Builder:
		b.Append(decimal128.FromI64(123456789))
	case *array.StringBuilder:
		b.Append("text")
	case *array.BinaryBuilder:
		b.AppendString("text")
	case *array.Date32Builder:
		b.Append(-1)
	case *array.TimestampBuilder:
		b.Append(-1500)
	case *array.DayTimeIntervalBuilder:
		b.Append(sdkarrow.DayTimeInterval{Days: -1, Milliseconds: 1500})
	case *array.MonthIntervalBuilder:
		b.Append(14)
	case *array.ListBuilder:
		b.Append(true)
		sdkAppend(t, b.ValueBuilder())
		b.ValueBuilder().AppendNull()
	case *array.StructBuilder:
		b.Append(true)
		sdkAppend(t, b.FieldBuilder(0))
		b.FieldBuilder(1).AppendNull()
	default:
		t.Fatalf("no value for %T", b)
	}
}

func TestSDKCompressions(t *testing.T) {
	e := start(t, nil)
	e.create(t, "t", "id bigint;s string;x double", "")
	for name, opt := range map[string]sdk.Option{
		"deflate": sdk.SessionCfg.WithDefaultDeflateCompressor(), "x-snappy-framed": sdk.SessionCfg.WithSnappyFramedCompressor(), "zstd": sdk.SessionCfg.WithDefaultZstdCompressor(),
	} {
		up := sdkUpload(t, e, "t", opt, sdk.SessionCfg.Overwrite())
		sdkWrite(t, up, 0, ints(0, 1000)...)
		sdkWriteArrow(t, up, 1, func(b *array.RecordBuilder) {
			for i := range 1000 {
				b.Field(0).(*array.Int64Builder).Append(int64(1000 + i))
				b.Field(1).(*array.StringBuilder).Append(fmt.Sprint("s", 1000+i))
				b.Field(2).AppendNull()
			}
		})
		if err := up.Commit([]int{0, 1}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		down := sdkDownload(t, e, "t", opt)
		rows := sdkRead(t, down, 0, 2000, nil)
		if len(rows) != 2000 || rows[0] != "0 | s0 | NULL" || rows[1999] != "1999 | s1999 | NULL" {
			t.Errorf("%s: %d rows, %q … %q", name, len(rows), rows[0], rows[len(rows)-1])
		}
		if got := sdkReadArrow(t, down, 999, 2, []string{"id"}); !slices.Equal(got, []string{"[999]", "[1000]"}) {
			t.Errorf("%s: Arrow rows 999, 1000 = %q", name, got)
		}
	}
}

func TestSDKOverwriteAndPartitions(t *testing.T) {
	e := start(t, nil)
	e.create(t, "t", "id bigint;s string;x double", "pt string;hh bigint")
	if _, err := sdkTunnel(e).CreateUploadSession("p", "t", sdk.SessionCfg.WithPartitionKey("pt='a',hh='1'")); err == nil || !strings.Contains(err.Error(), "NoSuchPartition") {
		t.Errorf("upload into a missing partition: %v", err)
	}
	if _, err := sdkTunnel(e).CreateUploadSession("p", "t"); err == nil || !strings.Contains(err.Error(), "InvalidPartitionSpec") {
		t.Errorf("upload without a partition: %v", err)
	}
	write := func(part string, from int, opts ...sdk.Option) {
		t.Helper()
		up := sdkUpload(t, e, "t", append(opts, sdk.SessionCfg.WithPartitionKey(part), sdk.SessionCfg.WithCreatePartition())...)
		sdkWrite(t, up, 5, ints(from, 2)...)
		if err := up.Commit([]int{5}); err != nil {
			t.Fatal(err)
		}
	}
	write("pt='a',hh='1'", 0)
	write("pt=a,hh=1", 2)
	write("pt=b,hh=1", 100)
	read := func(part string) []string {
		t.Helper()
		return sdkRead(t, sdkDownload(t, e, "t", sdk.SessionCfg.WithPartitionKey(part)), 0, 100, []string{"id"})
	}
	if got := read("pt=a,hh=1"); !slices.Equal(got, []string{"0", "1", "2", "3"}) {
		t.Errorf("appended = %q", got)
	}
	old := sdkDownload(t, e, "t", sdk.SessionCfg.WithPartitionKey("hh=1/pt=a"))
	write("pt=a,hh=1", 50, sdk.SessionCfg.Overwrite())
	if got := read("pt=a,hh=1"); !slices.Equal(got, []string{"50", "51"}) {
		t.Errorf("overwritten = %q", got)
	}
	if got := sdkRead(t, old, 0, 100, []string{"id"}); !slices.Equal(got, []string{"0", "1", "2", "3"}) {
		t.Errorf("old session reads %q", got)
	}
	if got := read("pt=b,hh=1"); !slices.Equal(got, []string{"100", "101"}) {
		t.Errorf("other partition = %q", got)
	}
}

func TestSDKStreamUpload(t *testing.T) {
	e := start(t, nil)
	e.create(t, "t", "id bigint;s string;x double", "")
	s, err := sdkTunnel(e).CreateStreamUploadSession("p", "t", sdk.SessionCfg.WithDefaultDeflateCompressor())
	if err != nil {
		t.Fatal(err)
	}
	w := s.OpenRecordPackWriter()
	for pack := range 3 {
		for _, row := range ints(pack*10, 10) {
			if err := w.Append(row); err != nil {
				t.Fatal(err)
			}
		}
		trace, n, _, err := w.Flush()
		if err != nil || n != 10 || trace == "" {
			t.Fatalf("Flush = %q, %d, %v", trace, n, err)
		}
		if down := sdkDownload(t, e, "t"); down.RecordCount() != 10*(pack+1) {
			t.Errorf("after pack %d: %d rows visible", pack, down.RecordCount())
		}
	}
}
