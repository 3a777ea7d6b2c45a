package emulator_test

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aliyun/aliyun-odps-go-sdk/odps"
	"github.com/aliyun/aliyun-odps-go-sdk/odps/data"
	"github.com/aliyun/aliyun-odps-go-sdk/odps/tunnel"
	"github.com/google/go-cmp/cmp"

	"github.com/sluice-io/sluice/emulator"
)

// exec runs one statement through the Go SDK.
func exec(t *testing.T, c *odps.Odps, sql string, hints ...map[string]string) error {
	t.Helper()
	i, err := c.ExecSQl(sql, hints...)
	must(t, err)
	return i.WaitForSuccess()
}

// maxItems is a filter of a list that makes its pages small.
func maxItems(n int) func(url.Values) {
	return func(v url.Values) { v.Set("maxitems", strconv.Itoa(n)) }
}

func TestGoSDK_project_update(t *testing.T) {
	now := time.Date(2026, 11, 20, 17, 52, 49, 0, time.UTC)
	opt := emulator.Options{DataDir: t.TempDir(), Projects: []string{"p1", "p2"}, Now: func() time.Time { return now }}
	s := start(t, opt)
	p := client(s).Project("p1")
	must(t, p.Load())
	born := p.CreationTime()
	if !born.Equal(now) || !p.LastModifiedTime().Equal(now) {
		t.Errorf("new project: created %v, modified %v, want %v", born, p.LastModifiedTime(), now)
	}
	now = now.Add(time.Hour)
	must(t, p.Update(map[string]string{"odps.sql.x": "1", "gone": "2"}))
	now = now.Add(time.Hour)
	must(t, p.Update(map[string]string{"odps.sql.y": "<&>", "gone": ""}))
	must(t, p.Update(map[string]string{"odps.schema.model.enabled": "false"})) // as it is
	err := p.Update(map[string]string{"odps.schema.model.enabled": "true", "odps.sql.x": "lost"})
	wantCode(t, "another model of names", err, 400, "InvalidArgument")
	must(t, s.Close())

	c := client(start(t, opt))
	p = c.Project("p1")
	must(t, p.Load())
	want := map[string]string{"odps.schema.model.enabled": "false", "odps.sql.x": "1", "odps.sql.y": "<&>"}
	got := map[string]string{}
	for _, property := range p.PropertiesHasBeSet() {
		got[property.Name] = property.Value
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("properties after a restart: %s", diff)
	}
	if !p.CreationTime().Equal(born) || !p.LastModifiedTime().Equal(now) {
		t.Errorf("after a restart: created %v, modified %v, want %v and %v", p.CreationTime(), p.LastModifiedTime(), born, now)
	}
	all, err := p.GetAllProperties()
	must(t, err)
	if all.Get("odps.sql.x") != "1" || all.Get("odps.sql.type.system.odps2") != "true" {
		t.Errorf("all properties = %v", all)
	}
	extended, err := p.GetExtendedProperties()
	must(t, err)
	if extended.Get("usedQuotaPhysicalSize") != "0" {
		t.Errorf("extended properties = %v", extended)
	}
	if _, err := p.GetDefaultCluster(); err != nil {
		t.Error(err)
	}
}

func TestGoSDK_projects_list(t *testing.T) {
	names := func(c *odps.Odps, filters ...odps.PFilterFunc) (out []string) {
		t.Helper()
		projects, err := c.Projects().List(filters...)
		must(t, err)
		for _, p := range projects {
			if p.Owner() == "" || p.CreationTime().IsZero() {
				t.Errorf("project %s: owner %q, created %v", p.Name(), p.Owner(), p.CreationTime())
			}
			out = append(out, p.Name())
		}
		return out
	}
	c := client(start(t, emulator.Options{Projects: []string{"p2", "p1", "q"}}))
	filter := odps.ProjectFilter
	for name, tt := range map[string]struct {
		filter odps.PFilterFunc
		want   []string
	}{
		"prefix":     {filter.NamePrefix("P"), []string{"p1", "p2"}},
		"owner":      {filter.Owner("ALIYUN$local"), []string{"p1", "p2", "q"}},
		"not owner":  {filter.Owner("somebody"), nil},
		"user":       {filter.User("ALIYUN$local"), []string{"p1", "p2", "q"}},
		"group":      {filter.Group("g"), nil},
		"small page": {maxItems(1), []string{"p1", "p2", "q"}},
	} {
		if diff := cmp.Diff(tt.want, names(c, tt.filter)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	// Where every name is a project, those are listed that something is known of.
	c = client(start(t, emulator.Options{}))
	if got := names(c); got != nil {
		t.Errorf("projects of an empty endpoint = %v", got)
	}
	must(t, exec(t, c, "create table t (a bigint)"))
	must(t, c.Project("other").Update(map[string]string{"a": "b"}))
	if diff := cmp.Diff([]string{"other", "p1"}, names(c)); diff != "" {
		t.Error(diff)
	}
}

func TestGoSDK_schemas(t *testing.T) {
	dir := t.TempDir()
	s := start(t, emulator.Options{DataDir: dir, Schemas: true})
	c := client(s)
	tenant := c.Tenant()
	must(t, tenant.Load())
	p := c.Project("p1")
	must(t, p.Load())
	if tenant.GetProperty("odps.namespace.schema") != "true" || p.PropertiesHasBeSet().Get("odps.schema.model.enabled") != "true" {
		t.Error("neither tenant nor project say that there are schemas")
	}
	schemas := c.Schemas()
	must(t, schemas.Create("Sales", false, "money & more"))
	must(t, schemas.Create("sales", true, "other"))
	wantCode(t, "create again", schemas.Create("sales", false, ""), 409, "ObjectAlreadyExists")
	wantCode(t, "create the default one", schemas.Create("default", false, ""), 409, "ObjectAlreadyExists")
	wantCode(t, "create a bad name", schemas.Create("a.b", false, ""), 400, "InvalidArgument")
	wantCode(t, "delete the default one", schemas.Delete("default"), 400, "InvalidArgument")
	wantCode(t, "delete none", schemas.Delete("none"), 404, "NoSuchObject")
	one := schemas.Get("sales")
	must(t, one.Load())
	if one.Comment() != "money & more" || one.Owner() == "" || one.CreateTime().IsZero() || one.ModifiedTime().IsZero() {
		t.Errorf("schema = %q, %q, %v, %v", one.Comment(), one.Owner(), one.CreateTime(), one.ModifiedTime())
	}
	for name, want := range map[string]bool{"SALES": true, "default": true, "none": false} {
		if ok, err := schemas.Get(name).Exists(); err != nil || ok != want {
			t.Errorf("Exists(%s) = %v, %v, want %v", name, ok, err, want)
		}
	}
	must(t, one.ChangeComment("it's more"))
	must(t, one.ChangeOwner("ALIYUN$local"))
	must(t, one.Load())
	if one.Comment() != "it's more" {
		t.Errorf("comment after a change = %q", one.Comment())
	}
	must(t, one.ChangeComment("money & more"))
	for i := range 4 {
		must(t, schemas.Create(fmt.Sprint("x", i), false, ""))
	}
	list := func(filters ...odps.SchemaFilterFunc) (names []string) {
		must(t, schemas.ListWithFilter(func(s *odps.Schema, err error) {
			must(t, err)
			names = append(names, s.Name())
		}, filters...))
		return names
	}
	if diff := cmp.Diff([]string{"default", "sales", "x0", "x1", "x2", "x3"}, list(odps.SchemaFilterFunc(maxItems(2)))); diff != "" {
		t.Errorf("in pages: %s", diff)
	}
	if diff := cmp.Diff([]string{"x0", "x1", "x2", "x3"}, list(odps.SchemaFilter.NamePrefix("X"))); diff != "" {
		t.Errorf("by prefix: %s", diff)
	}
	if got := list(odps.SchemaFilter.Owner("somebody")); got != nil {
		t.Errorf("of another owner: %v", got)
	}
	must(t, s.Close())
	c = client(start(t, emulator.Options{DataDir: dir, Schemas: true}))
	one = c.Schemas().Get("sales")
	must(t, one.Load())
	if one.Comment() != "money & more" {
		t.Errorf("comment after a restart = %q", one.Comment())
	}
	must(t, c.Schemas().Delete("sales"))
	if ok, err := c.Schemas().Get("sales").Exists(); ok || err != nil {
		t.Errorf("Exists after Delete = %v, %v", ok, err)
	}
}

// Tables in a schema: made, listed, loaded, uploaded to, read and dropped by the real SDK.
func TestGoSDK_tables_in_a_schema(t *testing.T) {
	s := start(t, emulator.Options{Schemas: true})
	c := client(s)
	must(t, c.Schemas().Create("sales", false, ""))
	inSales := c.Schemas().Get("sales").Tables()
	err := c.Schemas().Get("none").Tables().Create(schema(t, "t"), false, nil, nil)
	if err == nil || !strings.Contains(err.Error(), "ODPS-0422155") {
		t.Errorf("Create in a schema that is not there = %v, want ODPS-0422155", err)
	}
	must(t, inSales.Create(schema(t, "t"), false, nil, nil))
	must(t, c.Tables().Create(schema(t, "d"), false, nil, nil))
	names := func(tables *odps.Tables) (out []string) {
		tables.List(func(table *odps.Table, err error) {
			must(t, err)
			out = append(out, table.Name())
		})
		return out
	}
	if got := names(inSales); !slices.Equal(got, []string{"t"}) {
		t.Errorf("tables of the schema = %v", got)
	}
	if got := names(c.Tables()); !slices.Equal(got, []string{"d"}) {
		t.Errorf("tables of the default schema = %v", got)
	}
	table := inSales.Get("t")
	must(t, table.Load())
	if table.SchemaName() != "sales" {
		t.Errorf("SchemaName = %q, want sales", table.SchemaName())
	}
	loaded, err := inSales.BatchLoadTables([]string{"t", "d"})
	must(t, err)
	if len(loaded) != 1 || loaded[0].SchemaName() != "sales" {
		t.Errorf("BatchLoadTables = %v", loaded)
	}
	must(t, table.AddPartition(true, "pt=a/hh=1"))
	session, err := tunnel.NewTunnel(c, "http://"+s.Addr()).CreateUploadSession("p1", "t", tunnel.SessionCfg.WithSchemaName("sales"), tunnel.SessionCfg.WithPartitionKey("pt='a',hh='1'"))
	must(t, err)
	w, err := session.OpenRecordWriter(0)
	must(t, err)
	must(t, w.Write(data.Record{data.BigInt(7), nil}))
	must(t, w.Close())
	must(t, session.Commit([]int{0}))
	must(t, table.Load())
	if table.RecordNum() != 1 {
		t.Errorf("RecordNum = %d, want 1", table.RecordNum())
	}
	wantCode(t, "delete a schema with a table", c.Schemas().Delete("sales"), 409, "ObjectNotEmpty")

	// Names of two parts are schema and table, here by default and where a session says so.
	must(t, exec(t, c, "alter table sales.t set comment 'x'"))
	must(t, exec(t, c, "alter table p1.sales.t set comment 'y'"))
	must(t, exec(t, c, "alter table t set comment 'z'", map[string]string{"odps.default.schema": "sales"}))
	must(t, table.Load())
	if table.Comment() != "z" {
		t.Errorf("comment = %q, want z", table.Comment())
	}
	must(t, exec(t, c, "alter table p1.d set comment 'x'", map[string]string{"odps.namespace.schema": "false"}))
	must(t, exec(t, c, "alter table p1.d set comment 'x'", map[string]string{"odps.sql.allow.namespace.schema": "false"}))
	if err := exec(t, c, "alter table p1.d set comment 'x'"); err == nil || !strings.Contains(err.Error(), "ODPS-0130131") {
		t.Errorf("p1.d with schemas = %v, want ODPS-0130131: p1 is no schema", err)
	}
	var failure error
	c.Schemas().Get("none").Tables().List(func(_ *odps.Table, err error) { failure = err })
	wantCode(t, "list tables of a schema that is not there", failure, 404, "NoSuchObject")
	must(t, inSales.Delete("t", false))
	must(t, c.Schemas().Delete("sales"))
}

// SQL puts nothing into a project that is not there either.
func TestGoSDK_sql_knows_the_projects(t *testing.T) {
	c := client(start(t, emulator.Options{Projects: []string{"p1"}}))
	for _, query := range []string{"create table p2.t (a bigint)", "create schema p2.s"} {
		if err := exec(t, c, query); err == nil || !strings.Contains(err.Error(), "ODPS-0420111") {
			t.Errorf("%s = %v, want ODPS-0420111", query, err)
		}
	}
	must(t, exec(t, c, "create table P1.t (a bigint)"))
}

// Without the option two-level names stay, and a schema comes to be with its first table.
func TestGoSDK_schemas_without_the_option(t *testing.T) {
	c := client(start(t, emulator.Options{}))
	implied := c.Schemas().Get("implied")
	must(t, implied.Tables().Create(schema(t, "t"), false, nil, nil))
	if ok, err := implied.Exists(); !ok || err != nil {
		t.Errorf("Exists = %v, %v, want true", ok, err)
	}
	must(t, exec(t, c, "create table p1.d (a bigint)"))
	table := c.Table("d")
	must(t, table.Load())
	if table.SchemaName() != "" {
		t.Errorf("SchemaName = %q, want none: it would make names three-level", table.SchemaName())
	}
	must(t, implied.Tables().Delete("t", false))
	if ok, err := implied.Exists(); ok || err != nil {
		t.Errorf("Exists without a table = %v, %v, want false", ok, err)
	}
}

func TestGoSDK_functions(t *testing.T) {
	dir := t.TempDir()
	s := start(t, emulator.Options{DataDir: dir})
	c := client(s)
	functions := odps.NewFunctions(c)
	build := func(name, class string, resources ...string) odps.Function {
		return odps.NewFunctionBuilder().Name(name).ClassPath(class).Resources(resources).ProjectName("p1").Odps(c).Build()
	}
	wantCode(t, "with a resource that is not there", functions.Create("p1", "", build("f", "a.B", "x.jar")), 404, "NoSuchObject")
	for _, name := range []string{"x.jar", "y.py"} {
		if status, _, body := rawWith(t, s, "POST", "/api/projects/p1/resources", "content", "x-odps-resource-name: "+name, "x-odps-resource-type: file", "Content-Type: application/octet-stream"); !strings.Contains(status, "201") {
			t.Fatalf("create resource = %s %s", status, body)
		}
	}
	must(t, functions.Create("p1", "", build("MyFunc", "a.B", "x.jar", "p1/resources/y.py")))
	wantCode(t, "create again", functions.Create("p1", "", build("myfunc", "a.B")), 409, "ObjectAlreadyExists")
	wantCode(t, "create without a class", functions.Create("p1", "", build("g", "")), 400, "InvalidArgument")
	wantCode(t, "update none", functions.Update("p1", "", build("none", "a.B")), 404, "NoSuchObject")
	f, err := functions.Get("MYFUNC")
	must(t, err)
	must(t, f.Load())
	if f.Name() != "MyFunc" || f.ClassPath() != "a.B" || f.Owner() == "" || f.CreationTime().IsZero() {
		t.Errorf("function = %+v", f.Model)
	}
	must(t, functions.Update("p1", "", build("MyFunc", "c.D", "y.py")))
	must(t, s.Close())

	c = client(start(t, emulator.Options{DataDir: dir}))
	functions = odps.NewFunctions(c)
	f, err = functions.Get("myfunc")
	must(t, err)
	must(t, f.Load())
	if diff := cmp.Diff([]string{"p1/resources/y.py"}, f.Resources()); f.ClassPath() != "c.D" || diff != "" {
		t.Errorf("after an update and a restart = %+v\n%s", f.Model, diff)
	}
	must(t, functions.Delete("myfunc"))
	wantCode(t, "delete again", functions.Delete("myfunc"), 404, "NoSuchObject")
	if ok, err := f.Exist(); ok || err != nil {
		t.Errorf("Exist after Delete = %v, %v", ok, err)
	}
}
