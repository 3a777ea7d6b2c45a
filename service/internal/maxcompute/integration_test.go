package maxcompute_test

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-io/sluice/emulator"
	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/maxcompute"
	"github.com/sluice-io/sluice/service/internal/table"
)

// endpoint starts the embedded endpoint, which checks signatures, and a client that finds its tunnel by asking.
func endpoint(t *testing.T, change func(*maxcompute.Config)) *maxcompute.Client {
	t.Helper()
	return endpointWith(t, emulator.Options{AccessID: "ak", AccessKey: "sk"}, change)
}

func endpointWith(t *testing.T, opt emulator.Options, change func(*maxcompute.Config)) *maxcompute.Client {
	t.Helper()
	s, err := emulator.New(opt)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	cfg := maxcompute.Config{Endpoint: s.Endpoint(), Project: "p1", Credentials: maxcompute.Credentials{AccessID: "ak", AccessKey: "sk"}}
	if change != nil {
		change(&cfg)
	}
	c, err := maxcompute.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(c.Close(), s.Close()); err != nil {
			t.Error(err)
		}
	})
	return c
}

func column(name, typ string) table.Column {
	return table.Column{Name: name, Type: table.MustParseType(typ)}
}

// create makes a table with id BIGINT NOT NULL and s STRING.
func create(t *testing.T, c *maxcompute.Client, name string, partitions ...table.Column) table.Ref {
	t.Helper()
	id := column("id", "bigint")
	id.NotNull = true
	info := &table.Info{
		Name: table.Name{Project: "p1", Table: name}, Comment: "it's a \\ comment\nof two lines", LifecycleDays: 7,
		Schema: table.Schema{Columns: []table.Column{id, column("s", "string")}, PartitionColumns: partitions},
	}
	if err := c.CreateTable(t.Context(), info); err != nil {
		t.Fatal(err)
	}
	return table.Ref{Name: info.Name}
}

func TestEndpoint_life_of_a_table(t *testing.T) {
	c := endpoint(t, nil)
	ref := create(t, c, "t1", column("pt", "string"), column("hh", "bigint"))
	info, err := c.Table(t.Context(), table.Name{Table: "t1"})
	if err != nil {
		t.Fatal(err)
	}
	id := column("id", "bigint")
	id.NotNull = true
	want := table.Schema{Columns: []table.Column{id, column("s", "string")}, PartitionColumns: []table.Column{column("pt", "string"), column("hh", "bigint")}}
	if d := cmp.Diff(want, info.Schema); d != "" || info.Name != ref.Name || info.Kind != table.Managed || info.LifecycleDays != 7 || info.Transactional {
		t.Errorf("Table = %+v, schema (-want +got):\n%s", info, d)
	}
	if info.Comment != "it's a \\ comment\nof two lines" || time.Since(info.Created) > time.Hour {
		t.Errorf("comment %q, created %v", info.Comment, info.Created)
	}
	if err := c.CreateTable(t.Context(), info); !apierr.Is(err, apierr.TableExists) {
		t.Errorf("CreateTable again = %v, want TABLE_EXISTS", err)
	}
	if ok, err := c.TableExists(t.Context(), ref.Name); !ok || err != nil {
		t.Errorf("TableExists = %v, %v", ok, err)
	}
	if err := c.DropTable(t.Context(), ref.Name); err != nil {
		t.Errorf("DropTable = %v", err)
	}
	if err := c.DropTable(t.Context(), ref.Name); !apierr.Is(err, apierr.TableNotFound) {
		t.Errorf("DropTable again = %v, want TABLE_NOT_FOUND", err)
	}
	if _, err := c.Table(t.Context(), ref.Name); !apierr.Is(err, apierr.TableNotFound) {
		t.Errorf("Table = %v, want TABLE_NOT_FOUND", err)
	}
	if ok, err := c.TableExists(t.Context(), ref.Name); ok || err != nil {
		t.Errorf("TableExists = %v, %v", ok, err)
	}
}

func TestEndpoint_lists_tables_by_page(t *testing.T) {
	c := endpoint(t, nil)
	for i := range 5 {
		create(t, c, "t"+strconv.Itoa(i))
	}
	create(t, c, "other")
	var got []string
	pages := 0
	for token := ""; ; pages++ {
		page, next, err := c.ListTables(t.Context(), "", "", "t", 2, token)
		if err != nil {
			t.Fatal(err)
		}
		for _, info := range page {
			got = append(got, info.Name.String())
		}
		if token = next; token == "" {
			break
		}
	}
	if d := cmp.Diff([]string{"p1.t0", "p1.t1", "p1.t2", "p1.t3", "p1.t4"}, got); d != "" || pages < 2 {
		t.Errorf("ListTables in %d pages (-want +got):\n%s", pages+1, d)
	}
}

func TestEndpoint_partitions(t *testing.T) {
	c := endpoint(t, nil)
	ref := create(t, c, "t1", column("pt", "string"), column("hh", "string"))
	part := func(pt, hh string) table.Ref {
		return table.Ref{Name: ref.Name, Partition: table.Spec{{Column: "pt", Value: pt}, {Column: "hh", Value: hh}}}
	}
	for _, p := range []table.Ref{part("b", "2"), part("a", "1"), part("b", "1")} {
		if err := c.CreatePartition(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.CreatePartition(t.Context(), part("a", "1")); !apierr.Is(err, apierr.PartitionExists) {
		t.Errorf("CreatePartition again = %v, want PARTITION_EXISTS", err)
	}
	list, err := c.Partitions(t.Context(), ref.Name)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range list {
		got = append(got, p.Spec.String())
	}
	if d := cmp.Diff([]string{"pt=a/hh=1", "pt=b/hh=1", "pt=b/hh=2"}, got); d != "" {
		t.Errorf("Partitions (-want +got):\n%s", d)
	}
	page, _, err := c.ListPartitions(t.Context(), ref.Name, table.Spec{{Column: "pt", Value: "b"}}, 0, "")
	if err != nil || len(page) != 2 {
		t.Errorf("ListPartitions(pt=b) = %+v, %v, want two", page, err)
	}
	for hh, want := range map[string]bool{"1": true, "9": false} {
		if ok, err := c.PartitionExists(t.Context(), part("a", hh)); ok != want || err != nil {
			t.Errorf("PartitionExists(hh=%s) = %v, %v, want %v", hh, ok, err, want)
		}
	}
	if err := c.DropPartition(t.Context(), part("a", "1")); err != nil {
		t.Errorf("DropPartition = %v", err)
	}
	if err := c.DropPartition(t.Context(), part("a", "1")); !apierr.Is(err, apierr.PartitionNotFound) {
		t.Errorf("DropPartition again = %v, want PARTITION_NOT_FOUND", err)
	}
	if _, err := c.PartitionExists(t.Context(), table.Ref{Name: table.Name{Table: "none"}, Partition: part("a", "1").Partition}); !apierr.Is(err, apierr.TableNotFound) {
		t.Errorf("PartitionExists without table = %v, want TABLE_NOT_FOUND", err)
	}
}

func TestEndpoint_wrong_key_is_unauthenticated(t *testing.T) {
	c := endpoint(t, func(c *maxcompute.Config) { c.Credentials.AccessKey = "wrong" })
	if _, err := c.Table(t.Context(), table.Name{Table: "t1"}); !apierr.Is(err, apierr.Unauthenticated) {
		t.Errorf("Table = %v, want UNAUTHENTICATED", err)
	}
	c = endpoint(t, func(c *maxcompute.Config) { c.Credentials.Region = "cn-x" })
	create(t, c, "t1") // signature V4
}
