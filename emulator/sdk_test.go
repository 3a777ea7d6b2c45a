package emulator_test

import (
	"context"
	"encoding/xml"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aliyun/aliyun-odps-go-sdk/odps"
	"github.com/aliyun/aliyun-odps-go-sdk/odps/account"
	"github.com/aliyun/aliyun-odps-go-sdk/odps/datatype"
	"github.com/aliyun/aliyun-odps-go-sdk/odps/restclient"
	"github.com/aliyun/aliyun-odps-go-sdk/odps/tableschema"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/sluice-io/sluice/emulator"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// start runs a server until the test ends.
func start(t *testing.T, opt emulator.Options) *emulator.Server {
	t.Helper()
	if testing.Verbose() && opt.Logger == nil {
		opt.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	s, err := emulator.New(opt)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// client is the Go SDK pointed at a server.
func client(s *emulator.Server, region ...string) *odps.Odps {
	c := odps.NewOdps(account.NewAliyunAccount("ak", "sk", region...), s.Endpoint())
	c.SetDefaultProjectName("p1")
	return c
}

// schema has two data columns and two partition columns.
func schema(t *testing.T, name string) tableschema.TableSchema {
	t.Helper()
	return tableschema.NewSchemaBuilder().Name(name).Comment("it's a comment").
		Columns(
			tableschema.Column{Name: "id", Type: datatype.BigIntType, NotNull: true, Comment: "the 'key'"},
			tableschema.Column{Name: "tags", Type: datatype.NewMapType(datatype.StringType, datatype.NewArrayType(datatype.NewDecimalType(10, 2)))},
		).
		PartitionColumns(tableschema.Column{Name: "pt", Type: datatype.StringType}, tableschema.Column{Name: "hh", Type: datatype.StringType}).
		Lifecycle(7).Build()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func contains(err error, text string) bool { return strings.Contains(err.Error(), text) }

func TestGoSDK_project_and_tunnel_lookup(t *testing.T) {
	s := start(t, emulator.Options{Projects: []string{"p1"}})
	c := client(s)
	p := c.Project("p1")
	must(t, p.Load())
	if p.Owner() == "" || p.CreationTime().IsZero() || p.LastModifiedTime().IsZero() || p.Type() != "managed" {
		t.Errorf("project = owner %q, created %v, modified %v, type %q", p.Owner(), p.CreationTime(), p.LastModifiedTime(), p.Type())
	}
	if got, err := p.GetTunnelEndpoint(); err != nil || got != "http://"+s.Addr() {
		t.Errorf("GetTunnelEndpoint = %q, %v, want http://%s", got, err, s.Addr())
	}
	if p := c.Project("p2"); p.Existed() {
		t.Error("project p2 exists though it was not configured")
	}
	err := c.Project("p2").Load()
	var e restclient.HttpError
	if !errors.As(err, &e) || e.StatusCode != http.StatusNotFound || e.ErrorMessage == nil || e.ErrorMessage.ErrorCode != "NoSuchProject" || e.RequestId == "" {
		t.Errorf("Load of an unknown project = %#v, want 404 NoSuchProject with a request id", err)
	}
	tenant := c.Tenant()
	must(t, tenant.Load())
	if got := tenant.GetProperty("odps.namespace.schema"); got != "false" {
		t.Errorf("odps.namespace.schema = %q, want false", got)
	}
}

func TestGoSDK_tables(t *testing.T) {
	c := client(start(t, emulator.Options{}))
	tables := c.Tables()
	must(t, tables.Create(schema(t, "First"), false, nil, nil))
	must(t, tables.Create(schema(t, "first"), true, nil, nil))
	if err := tables.Create(schema(t, "first"), false, nil, nil); err == nil || !strings.Contains(err.Error(), "ODPS-0130211") {
		t.Errorf("second Create = %v, want ODPS-0130211", err)
	}
	must(t, tables.Create(schema(t, "second"), false, nil, nil))

	table := tables.Get("FIRST")
	if ok, err := table.Exists(); !ok || err != nil {
		t.Errorf("Exists = %v, %v, want true", ok, err)
	}
	must(t, table.Load())
	got := table.Schema()
	want := schema(t, "first")
	if got.Comment != want.Comment || table.LifeCycle() != 7 || table.RecordNum() != 0 || table.TableID() == "" || table.CreatedTime().IsZero() {
		t.Errorf("table = comment %q, lifecycle %d, records %d, id %q, created %v", got.Comment, table.LifeCycle(), table.RecordNum(), table.TableID(), table.CreatedTime())
	}
	for i, columns := range [][2][]tableschema.Column{{got.Columns, want.Columns}, {got.PartitionColumns, want.PartitionColumns}} {
		for k, w := range columns[1] {
			g := columns[0][k]
			if g.Name != w.Name || !strings.EqualFold(g.Type.Name(), w.Type.Name()) || g.NotNull != w.NotNull || g.Comment != w.Comment {
				t.Errorf("list %d, column %d = %+v, want %+v", i, k, g, w)
			}
		}
	}

	var names []string
	tables.List(func(table *odps.Table, err error) {
		must(t, err)
		names = append(names, table.Name())
	})
	if diff := cmp.Diff([]string{"first", "second"}, names); diff != "" {
		t.Error(diff)
	}
	names = nil
	tables.List(func(table *odps.Table, err error) {
		must(t, err)
		names = append(names, table.Name())
	}, odps.TableFilter.NamePrefix("sec"))
	if diff := cmp.Diff([]string{"second"}, names); diff != "" {
		t.Error(diff)
	}
	loaded, err := tables.BatchLoadTables([]string{"second", "nowhere", "first"})
	must(t, err)
	if len(loaded) != 2 || loaded[0].Name() != "second" || len(loaded[1].Schema().Columns) != 2 {
		t.Errorf("BatchLoadTables = %v", loaded)
	}

	must(t, tables.Delete("first", false))
	must(t, tables.Delete("first", true))
	if err := tables.Delete("first", false); err == nil || !strings.Contains(err.Error(), "ODPS-0130131") {
		t.Errorf("second Delete = %v, want ODPS-0130131", err)
	}
	if ok, err := tables.Get("first").Exists(); ok || err != nil {
		t.Errorf("Exists after Delete = %v, %v, want false", ok, err)
	}
}

func TestGoSDK_tables_in_pages(t *testing.T) {
	c := client(start(t, emulator.Options{}))
	want := []string{"t0", "t1", "t2", "t3", "t4"}
	for _, name := range want {
		i, err := c.ExecSQl("create table " + name + " (a bigint)")
		must(t, err)
		must(t, i.WaitForSuccess())
	}
	var got []string
	c.Tables().List(func(table *odps.Table, err error) {
		must(t, err)
		got = append(got, table.Name())
	}, func(v url.Values) { v.Set("maxitems", "2") })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestGoSDK_partitions(t *testing.T) {
	c := client(start(t, emulator.Options{}))
	must(t, c.Tables().Create(schema(t, "t"), false, nil, nil))
	table := c.Table("t")
	must(t, table.AddPartitions(true, []string{"pt=a/hh=1", "pt=a/hh=2", "pt=b/hh=1"}))
	must(t, table.AddPartition(false, "pt=c/hh=1")) // sends "addpartition ("
	must(t, table.AddPartition(true, "pt=c/hh=1"))
	if err := table.AddPartition(false, "pt=c/hh=1"); err == nil || !strings.Contains(err.Error(), "ODPS-0130211") {
		t.Errorf("AddPartition again = %v, want ODPS-0130211", err)
	}
	values, err := table.GetPartitionValues()
	must(t, err)
	want := []string{"pt=a/hh=1", "pt=a/hh=2", "pt=b/hh=1", "pt=c/hh=1"}
	if diff := cmp.Diff(want, values); diff != "" {
		t.Error(diff)
	}
	partitions, err := table.GetPartitions()
	must(t, err)
	var got []string
	for _, p := range partitions {
		got = append(got, p.Value())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	one, err := table.GetPartition("pt=a/hh=2")
	must(t, err)
	must(t, one.Load())
	must(t, one.LoadExtended())
	if one.RecordNum() != 0 || one.CreatedTime().IsZero() || one.LifeCycleEx() != -1 {
		t.Errorf("partition = %d records, created %v, lifecycle %d", one.RecordNum(), one.CreatedTime(), one.LifeCycleEx())
	}
	must(t, table.DeletePartitions(false, []string{"pt=a/hh=1", "pt=b/hh=1"}))
	must(t, table.DeletePartition(true, "pt=a/hh=1"))
	if err := table.DeletePartition(false, "pt=a/hh=1"); err == nil || !strings.Contains(err.Error(), "ODPS-0130131") {
		t.Errorf("DeletePartition again = %v, want ODPS-0130131", err)
	}
	values, err = table.GetPartitionValues()
	must(t, err)
	if diff := cmp.Diff([]string{"pt=a/hh=2", "pt=c/hh=1"}, values); diff != "" {
		t.Error(diff)
	}
	must(t, table.Truncate())
}

func TestGoSDK_signatures(t *testing.T) {
	s := start(t, emulator.Options{AccessID: "ak", AccessKey: "sk"})
	for name, region := range map[string][]string{"v2": nil, "v4": {"cn-shanghai"}} {
		if _, err := client(s, region...).Table("中文 +%").Exists(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		bad := odps.NewOdps(account.NewAliyunAccount("ak", "wrong", region...), s.Endpoint())
		_, err := bad.Project("p1").GetTunnelEndpoint()
		var e restclient.HttpError
		if !errors.As(err, &e) || e.StatusCode != http.StatusUnauthorized || e.ErrorMessage == nil || e.ErrorMessage.ErrorCode != "SignatureNotMatch" {
			t.Errorf("%s with a wrong key = %v, want 401 SignatureNotMatch", name, err)
		}
	}
	late := start(t, emulator.Options{AccessID: "ak", AccessKey: "sk", Now: func() time.Time { return time.Now().Add(time.Hour) }})
	_, err := client(late).Project("p1").GetTunnelEndpoint()
	if err == nil || !strings.Contains(err.Error(), "RequestTimeTooSkewed") {
		t.Errorf("a request an hour old = %v, want RequestTimeTooSkewed", err)
	}
}

func TestGoSDK_failed_task(t *testing.T) {
	c := client(start(t, emulator.Options{}))
	i, err := c.ExecSQl("selec 1")
	must(t, err)
	if err := i.WaitForSuccess(); err == nil || !strings.Contains(err.Error(), "ODPS-0130161:[1,1]") {
		t.Errorf("WaitForSuccess = %v, want ODPS-0130161", err)
	}
	var listed []string
	must(t, c.Instances().List(func(i *odps.Instance) { listed = append(listed, i.Id()) }))
	if !slices.Contains(listed, i.Id()) {
		t.Errorf("List = %v, want %s in it", listed, i.Id())
	}
	must(t, c.Instance(i.Id()).Terminate())
}

func TestServer_data_outlives_it(t *testing.T) {
	dir := t.TempDir()
	first := start(t, emulator.Options{DataDir: dir})
	must(t, client(first).Tables().Create(schema(t, "t"), false, nil, nil))
	must(t, first.Close())
	if ok, err := client(start(t, emulator.Options{DataDir: dir})).Table("t").Exists(); !ok || err != nil {
		t.Errorf("Exists after a restart = %v, %v, want true", ok, err)
	}
}

func TestServer_serve_ends_with_its_context(t *testing.T) {
	s, err := emulator.New(emulator.Options{})
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Serve(ctx) }()
	res, err := http.Get("http://" + s.Addr() + "/healthz")
	must(t, err)
	must(t, res.Body.Close())
	if id := res.Header.Get("x-odps-request-id"); res.StatusCode != http.StatusOK || len(id) != 24 {
		t.Errorf("healthz = %s, request id %q", res.Status, id)
	}
	cancel()
	must(t, <-done)
	must(t, s.Close())
}

func TestServer_address_in_use(t *testing.T) {
	s := start(t, emulator.Options{})
	if _, err := emulator.New(emulator.Options{Listen: s.Addr()}); err == nil {
		t.Error("New on a taken address: want an error")
	}
}

func TestSDK_primary_key_without_transactional(t *testing.T) {
	s := start(t, emulator.Options{Region: "cn-shanghai"})
	c := client(s)
	must(t, exec(t, c, "create table t (id bigint not null, primary key (id))"))
	table := c.Table("t")
	must(t, table.Load())
	if got := table.PrimaryKeys(); len(got) != 1 || got[0] != "id" || table.Transactional() {
		t.Errorf("primary keys %v, transactional %t, want [id] of an ordinary table", got, table.Transactional())
	}
	if got := c.RegionId(); got != "cn-shanghai" {
		t.Errorf("region = %q, want the one of the options", got)
	}
}

// Partitions in all spellings and pages; markers lead on after a partition was dropped, and others are refused.
func TestHTTP_partition_lists(t *testing.T) {
	s := start(t, emulator.Options{})
	c := client(s)
	must(t, c.Tables().Create(schema(t, "t"), false, nil, nil))
	must(t, c.Tables().Create(schema(t, "u"), false, nil, nil))
	must(t, c.Table("t").AddPartitions(true, []string{"pt=a/hh=1", "pt=a/hh=2", "pt=b/hh=1", "pt=b/hh=2", "pt=c/hh=1"}))
	list := func(query string) (specs []string, marker, code string) {
		_, _, body := raw(t, s, "GET", "/api/projects/p1/tables/t?"+query, "")
		var got struct {
			Marker, Code string
			Partitions   []struct {
				Name    string
				Columns []struct {
					Name  string `xml:",attr"`
					Value string `xml:",attr"`
				} `xml:"Column"`
			} `xml:"Partition"`
		}
		must(t, xml.Unmarshal([]byte(body), &got))
		for _, p := range got.Partitions {
			spec := p.Name
			for _, column := range p.Columns {
				spec += column.Value
			}
			specs = append(specs, spec)
		}
		return specs, got.Marker, got.Code
	}
	for query, want := range map[string][]string{
		"partitions&expectmarker=true":                {"a1", "a2", "b1", "b2", "c1"},
		"partitions&reverse":                          {"c1", "b2", "b1", "a2", "a1"},
		"partitions&partition=pt=b":                   {"b1", "b2"},
		"partitions&partition=pt%3D'b'&reverse":       {"b2", "b1"},
		"partitions&partition=pt%3D%22b%22,hh%3D'1'":  {"b1"},
		"partitions&partition=pt=b/hh=2":              {"b2"},
		"partitions&partition=pt=z":                   nil,
		"partitions&name":                             {"pt=a/hh=1", "pt=a/hh=2", "pt=b/hh=1", "pt=b/hh=2", "pt=c/hh=1"},
		"partitions&name&partition=pt=c&maxitems=1":   {"pt=c/hh=1"},
		"partitions&expectmarker=true&maxitems=10000": {"a1", "a2", "b1", "b2", "c1"},
	} {
		if got, marker, _ := list(query); !slices.Equal(got, want) || marker != "" {
			t.Errorf("%s = %v, marker %q, want %v", query, got, marker, want)
		}
	}
	for reverse, want := range map[string][]string{"": {"a1", "a2", "b1", "b2", "c1"}, "&reverse": {"c1", "b2", "b1", "a2", "a1"}} {
		var all []string
		for marker := ""; ; {
			page, next, code := list("partitions&maxitems=2" + reverse + "&marker=" + marker)
			if all = append(all, page...); code != "" || len(page) > 2 || strings.Contains(next, "pt") {
				t.Fatalf("a page = %v, marker %q, code %s", page, next, code)
			}
			if marker = next; marker == "" {
				break
			}
		}
		if !slices.Equal(all, want) {
			t.Errorf("in pages%s = %v, want %v", reverse, all, want)
		}
	}
	_, marker, _ := list("partitions&maxitems=2")
	must(t, c.Table("t").DeletePartition(false, "pt=a/hh=2")) // the one that the marker is of
	if got, _, _ := list("partitions&marker=" + marker); !slices.Equal(got, []string{"b1", "b2", "c1"}) {
		t.Errorf("behind a partition that was dropped = %v", got)
	}
	for query, want := range map[string]string{
		"partitions&marker=x":                "InvalidParameter",
		"partitions&marker=MXg":              "InvalidParameter",
		"partitions&maxitems=-1":             "InvalidParameter",
		"partitions&partition=hh=1":          "InvalidPartitionSpec",
		"partitions&partition=pt":            "InvalidPartitionSpec",
		"partition=pt=a,hh=9":                "NoSuchPartition",
		"partition=pt=a,hh=9&extended":       "NoSuchPartition",
		"partition=pt=a":                     "InvalidPartitionSpec",
		"partition=pt=a,hh=1,zz=1":           "InvalidPartitionSpec",
		"partition=pt=a,hh=1&curr_schema=no": "NoSuchObject",
	} {
		if _, _, code := list(query); code != want {
			t.Errorf("%s = %q, want %s", query, code, want)
		}
	}
	for _, spelling := range []string{"pt%3D'a',hh%3D'1'", "pt=a,hh=1", "pt=a/hh=1", "hh=1,pt=a", "PT=a,HH=1"} {
		for _, more := range []string{"", "&extended"} {
			if _, _, code := list("partition=" + spelling + more); code != "" {
				t.Errorf("partition=%s%s = %s, want the partition", spelling, more, code)
			}
		}
	}
}

// What CLUSTERED BY and keys ask for shows in the table's Reserved, in the spelling of each client.
func TestGoSDK_table_layout(t *testing.T) {
	c := client(start(t, emulator.Options{}))
	load := func(name string) tableschema.TableSchema {
		table := c.Table(name)
		must(t, table.Load())
		return table.Schema()
	}
	must(t, exec(t, c, "create table h (a bigint, b string) clustered by (A, b) sorted by (b desc, a) into 8 buckets"))
	got := load("h").ClusterInfo
	want := tableschema.ClusterInfo{
		ClusterType: tableschema.CLUSTER_TYPE.Hash, ClusterCols: []string{"a", "b"}, BucketNum: 8,
		SortCols: []tableschema.SortColumn{{Name: "b", Order: tableschema.SORT_ORDER.DESC}, {Name: "a", Order: tableschema.SORT_ORDER.ASC}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("hash: %s", diff)
	}
	must(t, exec(t, c, "alter table h change column b rename to c"))
	must(t, exec(t, c, "alter table h range clustered by (c)"))
	got = load("h").ClusterInfo
	if got.ClusterType != tableschema.CLUSTER_TYPE.Range || !slices.Equal(got.ClusterCols, []string{"c"}) || len(got.SortCols) != 0 || got.BucketNum != 0 {
		t.Errorf("range = %+v", got)
	}
	if err := exec(t, c, "alter table h drop columns c"); err == nil {
		t.Error("a column of the clustering was dropped")
	}
	must(t, exec(t, c, "alter table h not clustered"))
	if got := load("h").ClusterInfo; got.ClusterType != "" || len(got.ClusterCols) != 0 {
		t.Errorf("not clustered = %+v", got)
	}
	if err := exec(t, c, "create table x (a bigint) clustered by (nowhere)"); err == nil || !contains(err, "ODPS-0130071") {
		t.Errorf("clustered by a column that is not there = %v, want ODPS-0130071", err)
	}
	must(t, exec(t, c, "create table d (id bigint not null, primary key (id)) tblproperties ('transactional'='true', 'write.bucket.num'='4')"))
	delta := c.Table("d")
	must(t, delta.Load())
	if got := load("d"); !slices.Equal(got.PrimaryKeys, []string{"id"}) || got.ClusterInfo.BucketNum != 4 {
		t.Errorf("delta table: keys %v, %+v", got.PrimaryKeys, got.ClusterInfo)
	}
}
