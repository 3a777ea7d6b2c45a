//go:build cgo && duckdb_arrow

package emulator_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aliyun/aliyun-odps-go-sdk/odps"
	"github.com/aliyun/aliyun-odps-go-sdk/odps/data"
	"github.com/aliyun/aliyun-odps-go-sdk/odps/tunnel"
	"github.com/google/go-cmp/cmp"

	"github.com/sluice-io/sluice/emulator"
)

// everyType are columns of all types that the Go SDK writes and reads as records.
const everyType = `b boolean, i1 tinyint, i2 smallint, i4 int, i8 bigint, f float, d double, dc decimal(10,2), dw decimal(38,18), s string, c char(4), v varchar(4),
	y binary, j json, dt date, tm datetime, ts timestamp, tz timestamp_ntz, dy interval_day_time, ym interval_year_month,
	l array<bigint>, m map<string,bigint>, st struct<a:bigint,b:string>`

// fullRecord has a value for each of them.
func fullRecord(t *testing.T, at time.Time) data.Record {
	t.Helper()
	c, err := data.MakeChar(4, "ab")
	must(t, err)
	v, err := data.MakeVarChar(4, "cd")
	must(t, err)
	list, err := data.ArrayFromSlice(data.BigInt(1), data.BigInt(-2))
	must(t, err)
	m := data.NewMap()
	must(t, m.Set(data.String("k"), data.BigInt(3)))
	st := data.NewStruct()
	must(t, st.SetField("a", data.BigInt(9)))
	must(t, st.SetField("b", data.String("x")))
	j, err := data.NewJson(map[string]any{"a": 1})
	must(t, err)
	return data.Record{
		data.Bool(true), data.TinyInt(-128), data.SmallInt(300), data.Int(70000), data.BigInt(1<<63 - 1), data.Float(1.5), data.Double(-2.25),
		data.NewDecimal(10, 2, "12.34"), data.NewDecimal(38, 18, "-12345678901234567890.000000000000000001"), data.String("中文\x00'\""), &c, &v,
		data.Binary{0, 255}, j, data.Date(at.Truncate(24 * time.Hour)), data.DateTime(at.Truncate(time.Millisecond)), data.Timestamp(at), data.TimestampNtz(at),
		data.NewIntervalDayTime(-86401, 5), data.IntervalYearMonth(-14), list, m, st,
	}
}

func upload(t *testing.T, c *odps.Odps, table string, rows ...data.Record) {
	t.Helper()
	up, err := tunnel.NewTunnel(c).CreateUploadSession("p1", table)
	must(t, err)
	w, err := up.OpenRecordWriter(0)
	must(t, err)
	for _, row := range rows {
		must(t, w.Write(row))
	}
	must(t, w.Close())
	must(t, up.Commit([]int{0}))
}

func download(t *testing.T, c *odps.Odps, table string) []string {
	t.Helper()
	down, err := tunnel.NewTunnel(c).CreateDownloadSession("p1", table)
	must(t, err)
	return records(t, func() (*tunnel.RecordProtocReader, error) { return down.OpenRecordReader(0, down.RecordCount(), nil) })
}

// TestGoSDK_every_type_through_sql uploads records, copies them with INSERT … SELECT into
// another table, and reads both tables and the result of a SELECT: three ways that must
// agree.
func TestGoSDK_every_type_through_sql(t *testing.T) {
	for name, at := range map[string]time.Time{
		"nanoseconds":                time.Date(1969, 12, 31, 23, 59, 58, 500000001, time.UTC),
		"microseconds, year one":     time.Date(1, 1, 1, 0, 0, 0, 1000, time.UTC),
		"microseconds, last century": time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC),
	} {
		t.Run(name, func(t *testing.T) {
			c := client(start(t, emulator.Options{}))
			create(t, c, "create table t ("+everyType+")")
			create(t, c, "create table u like t")
			upload(t, c, "t", fullRecord(t, at), make(data.Record, 23))
			want := download(t, c, "t")
			if len(want) != 2 || !strings.Contains(want[0], "中文") || strings.Contains(want[0], "NULL") || strings.Count(want[1], "NULL") != 23 {
				t.Fatalf("rows as uploaded = %q", want)
			}
			mustRun(t, c, "insert into u select * from t")
			if diff := cmp.Diff(want, download(t, c, "u")); diff != "" {
				t.Errorf("copied (-want +got):\n%s", diff)
			}
			i, err := c.ExecSQl("select * from u")
			must(t, err)
			must(t, i.WaitForSuccess())
			session, err := tunnel.NewTunnel(c).CreateInstanceResultDownloadSession("p1", i.Id())
			must(t, err)
			got := records(t, func() (*tunnel.RecordProtocReader, error) { return session.OpenRecordReader(0, 2, 0, nil) })
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("selected (-want +got):\n%s", diff)
			}
		})
	}
}

func TestGoSDK_queries_side_by_side(t *testing.T) {
	c := client(start(t, emulator.Options{}))
	create(t, c, "create table t (writer bigint, n bigint)")
	var group sync.WaitGroup
	for writer := range 6 {
		group.Go(func() {
			for n := range 3 {
				i, err := c.ExecSQl(fmt.Sprintf("insert into t select %d, %d + count(*) * 0 from t", writer, n))
				if err == nil {
					err = i.WaitForSuccess()
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	want := "\"n\",\"w\",\"s\"\n18,6,18\n"
	if got := mustRun(t, c, "select count(*) n, count(distinct writer) w, sum(n) s from t"); got != want {
		t.Errorf("after 18 inserts = %q, want %q", got, want)
	}
}
