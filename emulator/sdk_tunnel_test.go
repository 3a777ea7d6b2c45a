package emulator_test

import (
	"errors"
	"io"
	"testing"

	"github.com/aliyun/aliyun-odps-go-sdk/arrow/array"
	"github.com/aliyun/aliyun-odps-go-sdk/arrow/memory"
	"github.com/aliyun/aliyun-odps-go-sdk/odps"
	"github.com/aliyun/aliyun-odps-go-sdk/odps/data"
	"github.com/aliyun/aliyun-odps-go-sdk/odps/datatype"
	"github.com/aliyun/aliyun-odps-go-sdk/odps/tableschema"
	"github.com/aliyun/aliyun-odps-go-sdk/odps/tunnel"
	"github.com/google/go-cmp/cmp"

	"github.com/sluice-io/sluice/emulator"
)

// create runs one definition.
func create(t *testing.T, c *odps.Odps, query string) {
	t.Helper()
	i, err := c.ExecSQl(query)
	must(t, err)
	must(t, i.WaitForSuccess())
}

// records reads a download session's rows as texts.
func records(t *testing.T, open func() (*tunnel.RecordProtocReader, error)) []string {
	t.Helper()
	r, err := open()
	must(t, err)
	defer func() { must(t, r.Close()) }()
	var out []string
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return out
		}
		must(t, err)
		text := ""
		for _, v := range record {
			if v == nil {
				text += "|NULL"
			} else {
				text += "|" + v.String()
			}
		}
		out = append(out, text)
	}
}

func TestGoSDK_records_in_arrow_out(t *testing.T) {
	s := start(t, emulator.Options{})
	c := client(s)
	create(t, c, "create table t (id bigint, name string) partitioned by (pt string)")
	tun := tunnel.NewTunnel(c)
	up, err := tun.CreateUploadSession("p1", "t", tunnel.SessionCfg.WithPartitionKey("pt='a'"), tunnel.SessionCfg.WithCreatePartition(), tunnel.SessionCfg.WithDefaultDeflateCompressor())
	must(t, err)
	for block := range 2 {
		w, err := up.OpenRecordWriter(block)
		must(t, err)
		for i := range 3 {
			must(t, w.Write(data.Record{data.BigInt(block*10 + i), data.String("n")}))
		}
		must(t, w.Write(data.Record{nil, nil}))
		must(t, w.Close())
	}
	if _, err := c.Table("t").GetPartition("pt=a"); err != nil {
		t.Errorf("partition of the session: %v", err)
	}
	must(t, up.Commit([]int{0, 1}))

	down, err := tun.CreateDownloadSession("p1", "t", tunnel.SessionCfg.WithPartitionKey("pt='a'"))
	must(t, err)
	if down.RecordCount() != 8 {
		t.Fatalf("RecordCount = %d, want 8", down.RecordCount())
	}
	for target, want := range map[string]string{
		"data&linenum=2": "\"id\",\"name\",\"pt\"\n0,\"n\",\"a\"\n1,\"n\",\"a\"\n",
		"data&linenum=1&cols=pt,id&partition=pt=a": "\"id\",\"pt\"\n0,\"a\"\n",
		"data&linenum=0": "\"id\",\"name\",\"pt\"\n",
	} {
		if _, _, got := raw(t, s, "GET", "/api/projects/p1/tables/t?"+target, ""); got != want {
			t.Errorf("GET table?%s = %q, want %q", target, got, want)
		}
	}
	r, err := down.OpenRecordArrowReader(2, 4, []string{"id"})
	must(t, err)
	var got []any
	r.Iterator(func(rec array.Record, err error) {
		must(t, err)
		defer rec.Release()
		ids := rec.Column(0).(*array.Int64)
		for i := range ids.Len() {
			if ids.IsNull(i) {
				got = append(got, nil)
			} else {
				got = append(got, ids.Value(i))
			}
		}
	})
	must(t, r.Close())
	if diff := cmp.Diff([]any{int64(2), nil, int64(10), int64(11)}, got); diff != "" {
		t.Error(diff)
	}
}

func TestGoSDK_arrow_in_records_out(t *testing.T) {
	c := client(start(t, emulator.Options{}))
	create(t, c, "create table t (id bigint, name string)")
	tun := tunnel.NewTunnel(c)
	up, err := tun.CreateUploadSession("p1", "t")
	must(t, err)
	w, err := up.OpenRecordArrowWriter(0)
	must(t, err)
	b := array.NewRecordBuilder(memory.NewGoAllocator(), up.ArrowSchema())
	defer b.Release()
	b.Field(0).(*array.Int64Builder).AppendValues([]int64{1, 2, 3}, []bool{true, false, true})
	b.Field(1).(*array.StringBuilder).AppendValues([]string{"a", "", "中"}, []bool{true, true, true})
	rec := b.NewRecord()
	defer rec.Release()
	must(t, w.WriteArrowRecord(rec))
	must(t, w.Close())
	must(t, up.Commit([]int{0}))
	down, err := tun.CreateDownloadSession("p1", "t")
	must(t, err)
	got := records(t, func() (*tunnel.RecordProtocReader, error) { return down.OpenRecordReader(1, 2, []string{"name", "id"}) })
	if diff := cmp.Diff([]string{"||NULL", "|中|3"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestGoSDK_stream_upload(t *testing.T) {
	c := client(start(t, emulator.Options{}))
	create(t, c, "create table t (id bigint)")
	session, err := tunnel.NewTunnel(c).CreateStreamUploadSession("p1", "t")
	must(t, err)
	w := session.OpenRecordPackWriter()
	for i := range 5 {
		must(t, w.Append(data.Record{data.BigInt(i)}))
	}
	trace, rows, _, err := w.Flush()
	must(t, err)
	if trace == "" || rows != 5 {
		t.Errorf("Flush = trace %q, %d rows, want 5", trace, rows)
	}
	must(t, c.Table("t").Load())
	if n := c.Table("t"); n.Load() != nil || n.RecordNum() != 5 {
		t.Errorf("RecordNum = %d, want 5", n.RecordNum())
	}
}

func TestGoSDK_instance_tunnel_refuses_what_selected_nothing(t *testing.T) {
	c := client(start(t, emulator.Options{}))
	i, err := c.ExecSQl("create table t (id bigint)")
	must(t, err)
	_, err = tunnel.NewTunnel(c).CreateInstanceResultDownloadSession("p1", i.Id())
	if err == nil || !contains(err, "InstanceTypeNotSupported") {
		t.Errorf("session for a definition = %v, want InstanceTypeNotSupported", err)
	}
	_, err = tunnel.NewTunnel(c).CreateInstanceResultDownloadSession("p1", "none")
	if err == nil || !contains(err, "NoSuchObject") {
		t.Errorf("session for no instance = %v, want NoSuchObject", err)
	}
}

func TestGoSDK_alter_table(t *testing.T) {
	c := client(start(t, emulator.Options{}))
	create(t, c, "create table t (id bigint, gone string)")
	tun := tunnel.NewTunnel(c)
	write := func(row data.Record) {
		up, err := tun.CreateUploadSession("p1", "t")
		must(t, err)
		w, err := up.OpenRecordWriter(0)
		must(t, err)
		must(t, w.Write(row))
		must(t, w.Close())
		must(t, up.Commit([]int{0}))
	}
	write(data.Record{data.BigInt(1), data.String("x")})
	table := c.Table("t")
	must(t, table.AddColumns([]tableschema.Column{{Name: "added", Type: datatype.DoubleType, Comment: "new"}}, false))
	must(t, table.AddColumns([]tableschema.Column{{Name: "added", Type: datatype.DoubleType}}, true))
	must(t, table.DropColumns([]string{"gone"}))
	must(t, table.ChangeColumnName("id", "key"))
	must(t, table.AlterColumnType("key", datatype.BigIntType))
	must(t, table.SetLifeCycle(9))
	must(t, table.ChangeComment("it's"))
	must(t, table.ChangeOwner("me"))
	must(t, table.Touch())
	write(data.Record{data.BigInt(2), data.Double(0.5)})
	must(t, table.Rename("u"))
	if ok, err := c.Table("t").Exists(); ok || err != nil {
		t.Errorf("the old name exists: %v, %v", ok, err)
	}
	renamed := c.Table("u")
	must(t, renamed.Load())
	if renamed.LifeCycle() != 9 || renamed.Comment() != "it's" || renamed.RecordNum() != 2 {
		t.Errorf("table = lifecycle %d, comment %q, %d records", renamed.LifeCycle(), renamed.Comment(), renamed.RecordNum())
	}
	down, err := tun.CreateDownloadSession("p1", "u")
	must(t, err)
	got := records(t, func() (*tunnel.RecordProtocReader, error) {
		return down.OpenRecordReader(0, 2, []string{"key", "added"})
	})
	if diff := cmp.Diff([]string{"|1|NULL", "|2|5.000000E-01"}, got); diff != "" {
		t.Error(diff)
	}
	for name, change := range map[string]func() error{
		"add a column that is there": func() error {
			return renamed.AddColumns([]tableschema.Column{{Name: "key", Type: datatype.BigIntType}}, false)
		},
		"drop one that is not":   func() error { return renamed.DropColumns([]string{"gone"}) },
		"change a type":          func() error { return renamed.AlterColumnType("key", datatype.IntType) },
		"rename to a taken name": func() error { return renamed.ChangeColumnName("key", "added") },
	} {
		if err := change(); err == nil || !contains(err, "ODPS-0130071") {
			t.Errorf("%s = %v, want ODPS-0130071", name, err)
		}
	}
}
