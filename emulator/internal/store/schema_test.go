package store_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	bolt "go.etcd.io/bbolt"

	"github.com/sluice-io/sluice/emulator/internal/store"
)

// clock is a store's clock that moves a second with every look at it.
func clock() func() time.Time {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return func() time.Time {
		now = now.Add(time.Second)
		return now
	}
}

func schemaNames(t *testing.T, s *store.Store, q store.NameQuery) (names []string, next string) {
	t.Helper()
	page, next, err := s.Schemas("P", q)
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range page {
		names = append(names, found.Name)
	}
	return names, next
}

func TestProjectsKeepWhatIsSet(t *testing.T) {
	dir := t.TempDir()
	s := open(t, store.Options{Dir: dir, Now: clock()})
	born, err := s.Project("P")
	if err != nil || born.Created.IsZero() || born.Modified != born.Created {
		t.Fatalf("Project before anything is set = %+v, %v", born, err)
	}
	set := func(key, value string) (store.Project, error) {
		return s.AlterProject("P", func(p *store.Project) error {
			p.Properties[key], p.Comment = value, "c"
			return nil
		})
	}
	if _, err := set("a", "1"); err != nil {
		t.Fatal(err)
	}
	refused := errors.New("no")
	if _, err := s.AlterProject("p", func(p *store.Project) error {
		p.Properties["a"] = "lost"
		return refused
	}); !errors.Is(err, refused) {
		t.Errorf("AlterProject with a failing change = %v", err)
	}
	store.FailCommits(s, false)
	if _, err := set("a", "2"); !errors.Is(err, store.ErrStorage) {
		t.Errorf("AlterProject on a broken disk = %v, want ErrStorage", err)
	}
	store.HealCommits(s)
	if p, err := s.Project("p"); err != nil || p.Properties["a"] != "1" {
		t.Errorf("after a failed change = %+v, %v, want the old value", p, err)
	}
	store.FailCommits(s, true)
	if _, err := set("b", "3"); !errors.Is(err, store.ErrStorage) {
		t.Errorf("AlterProject whose reply is lost = %v, want ErrStorage", err)
	}
	store.HealCommits(s)
	if _, err := set("b", "3"); err != nil {
		t.Errorf("the same change again = %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, store.Options{Dir: dir, Now: clock()})
	p, err := s.Project("p")
	want := map[string]string{"a": "1", "b": "3"}
	if diff := cmp.Diff(want, p.Properties); err != nil || diff != "" || p.Comment != "c" || p.Created != born.Created || !p.Modified.After(p.Created) {
		t.Errorf("after a restart = %+v, %v\n%s", p, err, diff)
	}
	create(t, s, "t", "id bigint", "") // in p
	if _, err := s.CreateSchema("q", "s", "", false); err != nil {
		t.Fatal(err)
	}
	if names, err := s.Projects(); err != nil || !cmp.Equal(names, []string{"p", "q"}) {
		t.Errorf("Projects = %v, %v, want p and q", names, err)
	}
}

// A store from before there were times of creation takes its first table's.
func TestProjectsOfAnOlderStore(t *testing.T) {
	dir := t.TempDir()
	s := open(t, store.Options{Dir: dir, Now: clock()})
	first := create(t, s, "b", "id bigint", "")
	create(t, s, "a", "id bigint", "")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	editCatalogue(t, dir, func(tx *bolt.Tx) error { return tx.Bucket([]byte("meta")).Delete([]byte("created")) })
	s = open(t, store.Options{Dir: dir})
	if p, err := s.Project("p"); err != nil || !p.Created.Equal(first.Created) {
		t.Errorf("created = %v, %v, want the first table's %v", p.Created, err, first.Created)
	}
}

func TestSchemas(t *testing.T) {
	dir := t.TempDir()
	s := open(t, store.Options{Dir: dir, Now: clock()})
	made, err := s.CreateSchema("P", "Sales", "money", false)
	if err != nil || made.Project != "p" || made.Name != "sales" || made.Comment != "money" || made.Created.IsZero() {
		t.Fatalf("CreateSchema = %+v, %v", made, err)
	}
	if _, err := s.CreateSchema("p", "SALES", "", false); !errors.Is(err, store.ErrSchemaExists) {
		t.Errorf("CreateSchema again = %v, want ErrSchemaExists", err)
	}
	if again, err := s.CreateSchema("p", "sales", "other", true); err != nil || again.Comment != "money" {
		t.Errorf("CreateSchema if not exists = %+v, %v, want what is there", again, err)
	}
	if _, err := s.CreateSchema("p", "default", "", false); !errors.Is(err, store.ErrSchemaExists) {
		t.Errorf("CreateSchema of the default one = %v, want ErrSchemaExists", err)
	}
	for _, bad := range []string{"", "a.b", "a/b", "a\x00b", "`"} {
		if _, err := s.CreateSchema("p", bad, "", false); !errors.Is(err, store.ErrInvalidSchema) {
			t.Errorf("CreateSchema(%q) = %v, want ErrInvalidSchema", bad, err)
		}
	}
	// Without the option a schema comes to be with its first table.
	if _, _, err := s.CreateTable(store.Table{Key: store.NewKey("p", "implied", "t"), Columns: columns(t, "id bigint")}, false); err != nil {
		t.Fatal(err)
	}
	if names, next := schemaNames(t, s, store.NameQuery{}); !cmp.Equal(names, []string{"default", "implied", "sales"}) || next != "" {
		t.Errorf("Schemas = %v, %q", names, next)
	}
	if names, next := schemaNames(t, s, store.NameQuery{Limit: 2}); !cmp.Equal(names, []string{"default", "implied"}) || next != "implied" {
		t.Errorf("first page = %v, %q", names, next)
	}
	if names, next := schemaNames(t, s, store.NameQuery{Limit: 2, After: "implied"}); !cmp.Equal(names, []string{"sales"}) || next != "" {
		t.Errorf("second page = %v, %q", names, next)
	}
	if names, _ := schemaNames(t, s, store.NameQuery{Prefix: "SA"}); !cmp.Equal(names, []string{"sales"}) {
		t.Errorf("with a prefix = %v", names)
	}
	if changed, err := s.AlterSchema("p", "Sales", func(x *store.Schema) error { x.Comment, x.Name = "m", "lost"; return nil }); err != nil || changed.Comment != "m" || changed.Name != "sales" {
		t.Errorf("AlterSchema = %+v, %v", changed, err)
	}
	for name, want := range map[string]error{"implied": store.ErrSchemaNotEmpty, "default": store.ErrInvalidSchema, "none": store.ErrNoSuchSchema} {
		if err := s.DropSchema("p", name, false); !errors.Is(err, want) {
			t.Errorf("DropSchema(%s) = %v, want %v", name, err, want)
		}
	}
	if err := errors.Join(s.DropSchema("p", "none", true), s.Close()); err != nil {
		t.Fatal(err)
	}
	s = open(t, store.Options{Dir: dir, Schemas: true})
	if found, err := s.Schema("p", "SALES"); err != nil || found.Comment != "m" || !found.Created.Equal(made.Created) {
		t.Errorf("after a restart = %+v, %v", found, err)
	}
	if err := s.DropSchema("p", "sales", false); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Schema("p", "sales"); !errors.Is(err, store.ErrNoSuchSchema) {
		t.Errorf("after the drop = %v, want ErrNoSuchSchema", err)
	}
}

func TestSchemasMustBeThereFirst(t *testing.T) {
	s := open(t, store.Options{Schemas: true})
	table := func(schema string) error {
		_, _, err := s.CreateTable(store.Table{Key: store.NewKey("p", schema, "t"), Columns: columns(t, "id bigint")}, false)
		return err
	}
	function := func(schema string) error {
		_, err := s.CreateFunction(store.Function{Project: "p", Schema: schema, Name: "f", ClassType: "a.B"})
		return err
	}
	for what, create := range map[string]func(string) error{"table": table, "function": function} {
		if err := create("s"); !errors.Is(err, store.ErrNoSuchSchema) {
			t.Errorf("%s in a schema that is not there = %v, want ErrNoSuchSchema", what, err)
		}
		if err := create(""); err != nil {
			t.Errorf("%s in the default schema = %v", what, err)
		}
	}
	if _, err := s.CreateSchema("p", "s", "", false); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(table("s"), function("s")); err != nil {
		t.Errorf("in a schema that is there = %v", err)
	}
	if err := s.DropTable(store.NewKey("p", "s", "t"), false); err != nil {
		t.Fatal(err)
	}
	if err := s.DropSchema("p", "s", false); !errors.Is(err, store.ErrSchemaNotEmpty) {
		t.Errorf("DropSchema with a function in it = %v, want ErrSchemaNotEmpty", err)
	}
	if err := errors.Join(s.DropFunction(store.NewKey("p", "s", "f")), s.DropSchema("p", "s", false)); err != nil {
		t.Errorf("DropSchema of an empty one = %v", err)
	}
}

func TestFunctions(t *testing.T) {
	dir := t.TempDir()
	s := open(t, store.Options{Dir: dir, Now: clock()})
	made, err := s.CreateFunction(store.Function{Project: "P", Name: "MyLower", Owner: "o", ClassType: "m.Lower"})
	if err != nil || made.Schema != "default" || made.Created.IsZero() {
		t.Fatalf("CreateFunction = %+v, %v", made, err)
	}
	if _, err := s.CreateFunction(store.Function{Project: "p", Name: "mylower", ClassType: "x.Y"}); !errors.Is(err, store.ErrFunctionExists) {
		t.Errorf("CreateFunction again = %v, want ErrFunctionExists", err)
	}
	for name, bad := range map[string]store.Function{
		"no name":             {Project: "p", ClassType: "c"},
		"a name with a dot":   {Project: "p", Name: "a.b", ClassType: "c"},
		"no class":            {Project: "p", Name: "f"},
		"a bad resource":      {Project: "p", Name: "f", ClassType: "c", Resources: []string{"a/b"}},
		"a resource unnamed":  {Project: "p", Name: "f", ClassType: "c", Resources: []string{"p/resources/"}},
		"a resource with NUL": {Project: "p", Name: "f", ClassType: "c", Resources: []string{"\x00"}},
		"too long a text":     {Project: "p", Name: "f", SQL: true, Definition: string(make([]byte, 2<<20))},
	} {
		if _, err := s.CreateFunction(bad); !errors.Is(err, store.ErrInvalidFunction) {
			t.Errorf("CreateFunction with %s = %v, want ErrInvalidFunction", name, err)
		}
	}
	for _, missing := range []string{"x.jar", "q/resources/x.jar", "q/schemas/s/resources/x.jar"} {
		if _, err := s.CreateFunction(store.Function{Project: "p", Name: "f", ClassType: "c", Resources: []string{missing}}); !errors.Is(err, store.ErrNoSuchResource) {
			t.Errorf("CreateFunction with resource %s = %v, want ErrNoSuchResource", missing, err)
		}
	}
	store.FailCommits(s, true)
	if _, err := s.AlterFunction(store.NewKey("p", "", "MYLOWER"), func(f *store.Function) error { f.ClassType, f.Name = "m.L", "lost"; return nil }); !errors.Is(err, store.ErrStorage) {
		t.Errorf("AlterFunction whose reply is lost = %v, want ErrStorage", err)
	}
	store.HealCommits(s)
	for i := range 5 {
		if _, err := s.CreateFunction(store.Function{Project: "p", Name: fmt.Sprint("g", i), SQL: true, Definition: "x"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, store.Options{Dir: dir})
	f, err := s.Function(store.NewKey("p", "", "mylower"))
	if err != nil || f.Name != "MyLower" || f.ClassType != "m.L" || f.Owner != "o" || !f.Modified.After(f.Created) {
		t.Errorf("after a restart = %+v, %v", f, err)
	}
	var names []string
	for q := (store.NameQuery{Prefix: "G", Limit: 2}); ; {
		page, next, err := s.Functions("p", "", q)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range page {
			names = append(names, f.Name)
		}
		if q.After = next; next == "" {
			break
		}
	}
	if !cmp.Equal(names, []string{"g0", "g1", "g2", "g3", "g4"}) {
		t.Errorf("Functions in pages = %v", names)
	}
	if err := s.DropFunction(f2key(f)); err != nil {
		t.Fatal(err)
	}
	if err := s.DropFunction(f2key(f)); !errors.Is(err, store.ErrNoSuchFunction) {
		t.Errorf("DropFunction again = %v, want ErrNoSuchFunction", err)
	}
}

func f2key(f store.Function) store.Key { return store.NewKey(f.Project, f.Schema, f.Name) }
