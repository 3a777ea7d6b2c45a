package maxcompute

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/table"
)

const tableDoc = `<?xml version="1.0"?><Table format="SchemaInJson"><Name>t1</Name><TableId>x</TableId><Schema format="Json"><![CDATA[{
"columns":[{"name":"id","type":"BIGINT","comment":"it's","isNullable":false},{"name":"v","type":"map<string,array<decimal(10,2)>>","isNullable":true,"hasDefaultValue":false,"defaultValue":""},
 {"name":"d","type":"string","isNullable":true,"hasDefaultValue":true,"defaultValue":"x"},{"name":"q","type":"double"}],
"partitionKeys":[{"name":"pt","type":"string","isNullable":true}],"comment":"c","owner":"me","createTime":1700000000,"lastDDLTime":1700000001,"lastModifiedTime":1700000002,
"isVirtualView":false,"isExternal":false,"lifecycle":7,"size":123,"recordNum":-1,"shardExist":false%s}]]></Schema>
<Comment/><Owner>o</Owner><Project>p1</Project><SchemaName/><CreationTime>x</CreationTime><Type>MANAGED_TABLE</Type></Table>`

func TestTable_from_both_forms(t *testing.T) {
	c := connect(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/projects/p1/tables/t1" || r.URL.Query().Get("curr_schema") != "s1" {
			t.Errorf("request %s", r.URL)
		}
		extra := ""
		if r.URL.Query().Has("extended") {
			extra = `,"IsArchived":false,"Reserved":"{\"Transactional\":\"true\",\"PrimaryKey\":[\"id\"],\"BucketNum\":16}"`
		}
		fmt.Fprintf(w, tableDoc, extra)
	}), func(c *Config) { c.Schema = "s1" })
	got, err := c.Table(t.Context(), table.Name{Table: "t1"})
	if err != nil {
		t.Fatal(err)
	}
	size, text := int64(123), "x"
	want := &table.Info{
		Name: table.Name{Project: "p1", Schema: "s1", Table: "t1"}, Kind: table.Managed, Comment: "c", Owner: "me", LifecycleDays: 7, Transactional: true,
		Created: time.Unix(1700000000, 0).UTC(), Updated: time.Unix(1700000001, 0).UTC(), DataUpdated: time.Unix(1700000002, 0).UTC(), Bytes: &size,
		Schema: table.Schema{
			Columns: []table.Column{
				{Name: "id", Type: table.MustParseType("bigint"), NotNull: true, Comment: "it's"}, {Name: "v", Type: table.MustParseType("map<string,array<decimal(10,2)>>")},
				{Name: "d", Type: table.MustParseType("string"), Default: &text}, {Name: "q", Type: table.MustParseType("double")},
			},
			PartitionColumns: []table.Column{{Name: "pt", Type: table.MustParseType("string")}}, PrimaryKey: []string{"id"},
		},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("Table (-want +got):\n%s", d)
	}
}

func TestTable_errors(t *testing.T) {
	for name, k := range map[string]struct {
		answer http.HandlerFunc
		want   apierr.Reason
	}{
		"no table": {func(w http.ResponseWriter, _ *http.Request) {
			refuseXML(w, 404, "NoSuchObject", "ODPS-0130131:Table not found - p1.t1")
		}, apierr.TableNotFound},
		"no project": {func(w http.ResponseWriter, _ *http.Request) { refuseXML(w, 404, "NoSuchProject", "x") }, apierr.ProjectNotFound},
		"forbidden":  {func(w http.ResponseWriter, _ *http.Request) { refuseXML(w, 403, "NoPermission", "x") }, apierr.Permission},
		"not xml":    {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }, apierr.BackendUnavailable},
		"not json":   {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<Table><Schema>x</Schema></Table>") }, apierr.BackendUnavailable},
		"odd type": {func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `<Table><Schema>{"columns":[{"name":"g","type":"geography"}]}</Schema></Table>`)
		}, apierr.TypeUnsupported},
	} {
		c := connect(t, serve(t, k.answer), nil)
		_, err := c.Table(t.Context(), table.Name{Table: "t1"})
		if apierr.ReasonOf(err) != k.want {
			t.Errorf("%s: %v, want %v", name, err, k.want)
		}
		exists, err := c.TableExists(t.Context(), table.Name{Table: "t1"})
		if want := k.want == apierr.TableNotFound || k.want == apierr.TypeUnsupported; exists != (k.want == apierr.TypeUnsupported) || (err == nil) != want {
			t.Errorf("%s: TableExists = %v, %v", name, exists, err)
		}
	}
}

func TestTable_kinds(t *testing.T) {
	for text, want := range map[string]table.TableKind{
		`"isVirtualView":true`: table.View, `"isVirtualView":true,"isMaterializedView":true`: table.MaterializedView,
		`"isExternal":true`: table.External, `"isObjectTable":true`: table.External, `"isExternal":false`: table.Managed,
	} {
		c := connect(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `<Table><Schema>{"columns":[],"partitionKeys":[],%s,"Reserved":"not json"}</Schema></Table>`, text)
		}), nil)
		if info, err := c.Table(t.Context(), table.Name{Table: "t1"}); err != nil || info.Kind != want || info.Transactional {
			t.Errorf("%s: %+v, %v, want kind %d", text, info, err, want)
		}
	}
	for typ, want := range map[string]table.TableKind{"MATERIALIZED_VIEW": table.MaterializedView, "EXTERNAL_TABLE": table.External, "OBJECT_TABLE": table.External, "": table.Managed} {
		if got := (tableJSON{}).kind(typ); got != want {
			t.Errorf("kind(%q) = %d, want %d", typ, got, want)
		}
	}
}

func TestDefaults_are_literals(t *testing.T) {
	for _, k := range []struct{ typ, text, want string }{
		{"double", "-1.5e3", "-1.5e3"}, {"decimal(10,2)", "12.50", "12.50"}, {"double", "NaN", ""}, {"double", "0x1p4", ""}, {"double", "1 + 1", ""},
		{"boolean", "False", "false"}, {"boolean", "1=1", ""}, {"int", "7", "7"}, {"int", "seven", ""}, {"date", "2024-01-02", "'2024-01-02'"}, {"array<int>", "x", ""},
	} {
		got, err := defaultSQL(table.Column{Name: "c", Type: table.MustParseType(k.typ), Default: &k.text})
		if got != k.want || (err == nil) != (k.want != "") {
			t.Errorf("default %q of %s = %q, %v, want %q", k.text, k.typ, got, err, k.want)
		}
	}
	if got := quoteTable(table.Name{Project: "p", Schema: "s", Table: "t"}); got != "p.`s`.`t`" {
		t.Errorf("quoteTable = %s", got)
	}
}

func TestListTables_pages(t *testing.T) {
	c := connect(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		marker := ""
		if r.URL.Query().Get("marker") == "" {
			marker = "m2"
		}
		want := url.Values{"expectmarker": {"true"}, "maxitems": {"2"}, "name": {"pre"}}
		if marker == "" {
			want.Set("marker", "m2")
		}
		if r.URL.Path != "/api/projects/p1/tables" || r.URL.RawQuery != want.Encode() {
			t.Errorf("request %s, want %s", r.URL, want.Encode())
		}
		fmt.Fprintf(w, `<Tables><Marker>%s</Marker><MaxItems>2</MaxItems><Table><Name>pre%s</Name><Owner>o</Owner><Comment>c</Comment><Type>VIRTUAL_VIEW</Type>
<CreationTime>Fri, 20 Nov 2026 17:52:49 GMT</CreationTime><LastModifiedTime>odd</LastModifiedTime></Table></Tables>`, marker, r.URL.Query().Get("marker"))
	}), nil)
	page, next, err := c.ListTables(t.Context(), "", "", "pre", 2, "")
	if err != nil || next != "m2" || len(page) != 1 || page[0].Name.String() != "p1.pre" || page[0].Kind != table.View || page[0].Created.Year() != 2026 || !page[0].DataUpdated.IsZero() {
		t.Errorf("first page = %+v, %q, %v", page, next, err)
	}
	page, next, err = c.ListTables(t.Context(), "", "", "pre", 2, next)
	if err != nil || next != "" || len(page) != 1 || page[0].Name.Table != "prem2" {
		t.Errorf("last page = %+v, %q, %v", page, next, err)
	}
}

func TestPartitions_all_pages_in_name_order(t *testing.T) {
	c := connect(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		if !r.URL.Query().Has("partitions") {
			t.Errorf("request %s", r.URL)
		}
		if r.URL.Query().Get("marker") == "" {
			fmt.Fprint(w, `<Partitions><Marker>m</Marker><Partition><Column Name="PT" Value="b"/><Column Name="hh" Value="1"/><CreationTime>1700000000</CreationTime><LastModifiedTime>1700000002</LastModifiedTime>
<PartitionSize>9</PartitionSize><PartitionRecordCount>4</PartitionRecordCount></Partition></Partitions>`)
			return
		}
		fmt.Fprint(w, `<Partitions><Marker/><Partition><Column Name="pt" Value="b"/><Column Name="hh" Value="0"/></Partition><Partition><Column Name="pt" Value="a"/><Column Name="hh" Value="5"/><PartitionRecordCount>-1</PartitionRecordCount></Partition></Partitions>`)
	}), nil)
	got, err := c.Partitions(t.Context(), table.Name{Table: "t1"})
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, p := range got {
		texts = append(texts, p.Spec.String())
	}
	if d := cmp.Diff([]string{"pt=a/hh=5", "pt=b/hh=0", "pt=b/hh=1"}, texts); d != "" {
		t.Errorf("Partitions (-want +got):\n%s", d)
	}
	if p := got[2]; *p.Rows != 4 || *p.Bytes != 9 || p.DataUpdated.Unix() != 1700000002 || got[0].Rows != nil || !got[0].Created.IsZero() {
		t.Errorf("details = %+v", got)
	}
}

func TestPartition_get_and_exists(t *testing.T) {
	ref := table.Ref{Name: table.Name{Table: "t1"}, Partition: table.Spec{{Column: "pt", Value: "a"}}}
	c := connect(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("partition") != "pt='a'" {
			refuseXML(w, 404, "NoSuchPartition", "x")
			return
		}
		fmt.Fprint(w, `<Partition><Schema><![CDATA[{"createTime":1700000000,"lastDDLTime":1,"lastModifiedTime":1700000002,"lastAccessTime":0,"partitionSize":123,"partitionRecordNum":4}]]></Schema></Partition>`)
	}), nil)
	p, err := c.Partition(t.Context(), ref)
	if err != nil || *p.Rows != 4 || *p.Bytes != 123 || p.Created.Unix() != 1700000000 {
		t.Errorf("Partition = %+v, %v", p, err)
	}
	if ok, err := c.PartitionExists(t.Context(), ref); !ok || err != nil {
		t.Errorf("PartitionExists = %v, %v", ok, err)
	}
	ref.Partition[0].Value = "z"
	if ok, err := c.PartitionExists(t.Context(), ref); ok || err != nil {
		t.Errorf("PartitionExists of a missing one = %v, %v", ok, err)
	}
	missing := connect(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { refuseXML(w, 404, "NoSuchTable", "x") }), nil)
	if _, err := missing.PartitionExists(t.Context(), ref); !apierr.Is(err, apierr.TableNotFound) {
		t.Errorf("PartitionExists without table = %v, want TABLE_NOT_FOUND", err)
	}
}

func TestDDL_texts(t *testing.T) {
	text := `a'b\`
	num, yes := "5", "TRUE"
	info := &table.Info{
		Name: table.Name{Table: "t1"}, Comment: "it's\n\\", LifecycleDays: 7, Transactional: true,
		Schema: table.Schema{
			Columns: []table.Column{
				{Name: "id", Type: table.MustParseType("bigint"), NotNull: true, Default: &num}, {Name: "a b", Type: table.MustParseType("struct<x:decimal(10,2)>"), Comment: "'"},
				{Name: "s", Type: table.MustParseType("string"), Default: &text}, {Name: "f", Type: table.MustParseType("boolean"), Default: &yes},
			},
			PartitionColumns: []table.Column{{Name: "pt", Type: table.MustParseType("string"), Comment: "k"}}, PrimaryKey: []string{"ID"},
		},
	}
	ref := table.Ref{Name: info.Name, Partition: table.Spec{{Column: "pt", Value: `x'/\`}, {Column: "hh", Value: "1"}}}
	for name, k := range map[string]struct {
		do   func(*Client) error
		want string
	}{
		"create table": {
			func(c *Client) error { return c.CreateTable(t.Context(), info) },
			"CREATE TABLE p1.`t1` (`id` bigint NOT NULL DEFAULT 5, `a b` struct<x:decimal(10,2)> COMMENT '\\'', `s` string DEFAULT 'a\\'b\\\\', `f` boolean DEFAULT true, PRIMARY KEY (`ID`)) COMMENT 'it\\'s\\n\\\\' PARTITIONED BY (`pt` string COMMENT 'k') TBLPROPERTIES ('transactional'='true') LIFECYCLE 7;",
		},
		"drop table":       {func(c *Client) error { return c.DropTable(t.Context(), info.Name) }, "DROP TABLE p1.`t1`;"},
		"create partition": {func(c *Client) error { return c.CreatePartition(t.Context(), ref) }, `ALTER TABLE p1.` + "`t1` ADD PARTITION (`pt`='x\\'/\\\\',`hh`='1');"},
		"drop partition":   {func(c *Client) error { return c.DropPartition(t.Context(), ref) }, `ALTER TABLE p1.` + "`t1` DROP PARTITION (`pt`='x\\'/\\\\',`hh`='1');"},
	} {
		var job jobXML
		c := connect(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/api/projects/p1/instances" || !r.URL.Query().Has("tryWait") || r.Header.Get("Content-Type") != "application/xml" {
				t.Errorf("request %s", r.URL)
			}
			job.read(t, r)
			w.Header().Set("Location", "http://x/projects/p1/instances/I1")
			fmt.Fprint(w, taskDoc("Success", "text", ""))
		}), nil)
		if err := k.do(c); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := job.Job.Tasks.SQL.Query; got != k.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, k.want)
		}
	}
}

func TestCreateTable_refuses_what_sql_cannot_say(t *testing.T) {
	c := connect(t, serve(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("request %s", r.URL) }), nil)
	col := func(name, def string) table.Info {
		x := table.Column{Name: name, Type: table.MustParseType("bigint")}
		if def != "" {
			x.Default = &def
		}
		return table.Info{Name: table.Name{Table: "t"}, Schema: table.Schema{Columns: []table.Column{x}}}
	}
	key, life := col("a", ""), col("a", "")
	key.Schema.PrimaryKey, life.LifecycleDays = []string{"b"}, -1
	odd := col("a", "")
	odd.Name.Table = "t` (x bigint); drop table u --"
	for name, k := range map[string]struct {
		info table.Info
		want apierr.Reason
	}{
		"no columns": {table.Info{Name: table.Name{Table: "t"}}, apierr.BadColumn}, "back-tick": {col("a` string --", ""), apierr.BadColumn},
		"default is an expression": {col("a", "1); drop table t"), apierr.BadArgument}, "key without column": {key, apierr.BadColumn},
		"negative life": {life, apierr.BadArgument}, "table name": {odd, apierr.BadPath},
	} {
		if err := c.CreateTable(t.Context(), &k.info); apierr.ReasonOf(err) != k.want {
			t.Errorf("%s: %v, want %v", name, err, k.want)
		}
	}
	if err := c.CreatePartition(t.Context(), table.Ref{Name: table.Name{Table: "t"}}); !apierr.Is(err, apierr.BadPartition) {
		t.Errorf("no partition: %v, want BAD_PARTITION", err)
	}
}

func TestSQL_repeats_only_what_is_harmless(t *testing.T) {
	cut := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	turnedAway := func(retryAfter string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", retryAfter)
			refuseXML(w, 409, "InstanceThrottled", "too many")
		}
	}
	for _, k := range []struct {
		name       string
		repeatable bool
		fail       http.HandlerFunc
		calls      int64
	}{
		{"cut, harmless", true, cut, 2},
		{"cut, not harmless", false, cut, 1},
		{"turned away", false, turnedAway("0"), 2},
		{"turned away for longer than we wait", false, turnedAway("60"), 1},
		{"server error", false, func(w http.ResponseWriter, _ *http.Request) { refuseXML(w, 500, "InternalServerError", "x") }, 1},
	} {
		var calls atomic.Int64
		c := connect(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
			if calls.Add(1) == 1 {
				k.fail(w, r)
				return
			}
			w.Header().Set("Location", "http://x/projects/p1/instances/I1")
			fmt.Fprint(w, taskDoc("Success", "text", ""))
		}), nil)
		_, err := c.RunSQL(t.Context(), "p1", "", "drop table if exists t", nil, k.repeatable)
		if calls.Load() != k.calls || (err == nil) != (k.calls == 2) {
			t.Errorf("%s: %v after %d calls, want %d", k.name, err, calls.Load(), k.calls)
		}
	}
}

func TestNames_with_odd_characters_never_leave(t *testing.T) {
	c := connect(t, serve(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("request %s", r.URL) }), nil)
	for _, n := range []table.Name{{}, {Table: "a b"}, {Table: "a/../b"}, {Project: "p?x", Table: "t"}, {Schema: "s'", Table: "t"}, {Table: "t;"}} {
		if _, err := c.Table(t.Context(), n); !apierr.Is(err, apierr.BadPath) {
			t.Errorf("Table(%+v) = %v, want BAD_PATH", n, err)
		}
	}
	if strings.Contains(quoteString("a'b\\c\nd\x00"), "\n") {
		t.Error("quoteString leaves a line break")
	}
}
