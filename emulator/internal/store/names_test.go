package store_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-io/sluice/emulator/internal/store"
	"github.com/sluice-io/sluice/emulator/internal/types"
)

// Names are keys of the catalogue: what could run into its neighbour, or cannot be shown, is
// refused, and what is as long as it may be is kept.
func TestNamesOfTablesAndColumns(t *testing.T) {
	s := open(t, store.Options{})
	fine := columns(t, "id bigint")
	wide := func(n int) (cols []store.Column) {
		for i := range n {
			cols = append(cols, store.Column{Name: fmt.Sprintf("c%d", i), Type: types.Type{Kind: types.BigInt}})
		}
		return cols
	}
	for what, c := range map[string]struct {
		t    store.Table
		fine bool
	}{
		"no project":          {store.Table{Key: store.Key{Schema: "default", Name: "a"}, Columns: fine}, false},
		"no schema":           {store.Table{Key: store.Key{Project: "p", Name: "a"}, Columns: fine}, false},
		"no name":             {store.Table{Key: store.NewKey("p", "", ""), Columns: fine}, false},
		"a project in two":    {store.Table{Key: store.NewKey("p\x00q", "", "a"), Columns: fine}, false},
		"a schema in two":     {store.Table{Key: store.NewKey("p", "s\x00t", "a"), Columns: fine}, false},
		"a name in two":       {store.Table{Key: store.NewKey("p", "", "a\x00b"), Columns: fine}, false},
		"a long name":         {store.Table{Key: store.NewKey("p", "", strings.Repeat("n", 128)), Columns: fine}, true},
		"a longer name":       {store.Table{Key: store.NewKey("p", "", strings.Repeat("n", 129)), Columns: fine}, false},
		"not UTF-8":           {store.Table{Key: store.Key{Project: "p", Schema: "default", Name: "\xff"}, Columns: fine}, false},
		"no columns":          {store.Table{Key: store.NewKey("p", "", "b")}, false},
		"partitions alone":    {store.Table{Key: store.NewKey("p", "", "b"), PartitionColumns: columns(t, "pt string")}, false},
		"many columns":        {store.Table{Key: store.NewKey("p", "", "c"), Columns: wide(1199), PartitionColumns: columns(t, "pt string")}, true},
		"too many columns":    {store.Table{Key: store.NewKey("p", "", "d"), Columns: wide(1200), PartitionColumns: columns(t, "pt string")}, false},
		"a column twice":      {store.Table{Key: store.NewKey("p", "", "e"), Columns: columns(t, "a bigint;A string")}, false},
		"a column everywhere": {store.Table{Key: store.NewKey("p", "", "e"), Columns: fine, PartitionColumns: columns(t, "ID string")}, false},
		"a column of no name": {store.Table{Key: store.NewKey("p", "", "e"), Columns: []store.Column{{Type: types.Type{Kind: types.BigInt}}}}, false},
		"a column of no type": {store.Table{Key: store.NewKey("p", "", "e"), Columns: []store.Column{{Name: "a"}}}, false},
	} {
		made, _, err := s.CreateTable(c.t, false)
		if c.fine && err != nil || !c.fine && !errors.Is(err, store.ErrInvalidTable) {
			t.Errorf("%s: %v, fine %t", what, err, c.fine)
		}
		if c.fine {
			for i, col := range slices.Concat(made.Columns, made.PartitionColumns) {
				if col.ID != i+1 {
					t.Errorf("%s: column %d has the number %d", what, i, col.ID)
				}
			}
		}
	}
}

func TestNamesOfPartitions(t *testing.T) {
	s := open(t, store.Options{})
	tab := create(t, s, "t", "id bigint", "a string;b string")
	spec := func(a, b string) []types.PartitionSpec {
		return []types.PartitionSpec{{{Column: "a", Value: a}, {Column: "b", Value: b}}}
	}
	for value, fine := range map[string]bool{
		strings.Repeat("v", 255): true, strings.Repeat("v", 256): false, "x\x00y": false, "\xff": false, "": false, "é/=,": true,
	} {
		err := s.AddPartitions(tab.Key, spec("1", value), false)
		if fine && err != nil || !fine && !errors.Is(err, store.ErrInvalidPartition) {
			t.Errorf("value %.20q: %v, fine %t", value, err, fine)
		}
	}
	must(t, s.AddPartitions(tab.Key, append(spec("2", "1"), append(spec("21", "1"), spec("2", "2")...)...), false))
	for filter, want := range map[string]int{"2": 2, "21": 1, "1": 2, "3": 0} { // 2 is no beginning of 21
		page, _, err := s.Partitions(tab.Key, store.PartitionQuery{Filter: types.PartitionSpec{{Column: "a", Value: filter}}})
		if err != nil || len(page) != want {
			t.Errorf("a=%s has %d partitions, %v, want %d", filter, len(page), err, want)
		}
	}
}

func TestNamesOfResources(t *testing.T) {
	s := open(t, store.Options{})
	for name, fine := range map[string]bool{
		strings.Repeat("n", 255): true, strings.Repeat("n", 256): false, " ": false, ".": false, "..": false, "...": true, "a/b": false, "a\\b": false, "a\x00b": false, "a\nb": false, "\xff": false, "a b.jar": true, "é": true,
	} {
		if err := put(s, name, "x"); fine && err != nil || !fine && !errors.Is(err, store.ErrInvalidResource) {
			t.Errorf("name %.20q: %v, fine %t", name, err, fine)
		}
	}
	for what, k := range map[string]store.ResourceKey{"project": store.NewResourceKey("p\x00", "", "f"), "schema": store.NewResourceKey("p", "s\x00", "f")} {
		_, err := s.PutResource(store.ResourceChange{Key: k, Kind: store.TableResource, Source: "t"})
		if !errors.Is(err, store.ErrInvalidResource) {
			t.Errorf("a %s in two: %v", what, err)
		}
	}
}

// Resources are listed by the beginning of their names, by owner and by page, each once.
func TestResourcesInPages(t *testing.T) {
	s := open(t, store.Options{})
	for _, name := range []string{"a", "b1", "b2", "b3", "c"} {
		must(t, put(s, name, name))
	}
	must(t, s.SetResourceOwner(key("b2"), "you", "them"))
	other := store.NewResourceKey("q", "", "b4")
	_, err := s.PutResource(store.ResourceChange{Key: other, Kind: store.TableResource, Source: "t", By: "me"})
	must(t, err)
	if r, err := s.Resource(key("b2")); err != nil || r.Owner != "you" || r.Updater != "them" {
		t.Errorf("handed over: %+v, %v", r, err)
	}
	for _, c := range []struct {
		q    store.ResourceQuery
		want string // pages
	}{
		{store.ResourceQuery{}, "a b1 b2 b3 c"},
		{store.ResourceQuery{Limit: 2}, "a b1|b2 b3|c"},
		{store.ResourceQuery{Limit: 5}, "a b1 b2 b3 c"},
		{store.ResourceQuery{Prefix: "b", Limit: 2}, "b1 b2|b3"},
		{store.ResourceQuery{Prefix: "b", After: "a"}, "b1 b2 b3"},
		{store.ResourceQuery{Prefix: "b", After: "c"}, ""},
		{store.ResourceQuery{Owner: "me", Limit: 1}, "a|b1|b3|c"},
		{store.ResourceQuery{Owner: "you"}, "b2"},
		{store.ResourceQuery{Owner: "you", Prefix: "a"}, ""},
	} {
		var pages []string
		for q := c.q; ; {
			page, next, err := s.Resources("P", "", q)
			must(t, err)
			var names []string
			for _, r := range page {
				names = append(names, r.Key.Name)
			}
			pages = append(pages, strings.Join(names, " "))
			if next == "" || len(pages) > 9 {
				break
			}
			q.After = next
		}
		if got := strings.Join(pages, "|"); got != c.want {
			t.Errorf("%+v = %q, want %q", c.q, got, c.want)
		}
	}
}

// A change of a resource keeps what it does not name, and an owner.
func TestResourceChangesKeepWhatTheyDoNotName(t *testing.T) {
	s := open(t, store.Options{})
	yes, no := true, false
	change := func(c store.ResourceChange) error {
		c.Key = key("f")
		if c.Source == "" {
			content, err := content(s, "x", 1)
			must(t, err)
			c.Content = &content
		}
		_, err := s.PutResource(c)
		return err
	}
	if err := change(store.ResourceChange{By: "me"}); !errors.Is(err, store.ErrInvalidResource) {
		t.Errorf("of no kind: %v", err)
	}
	must(t, change(store.ResourceChange{By: "me", Kind: store.PyResource, Comment: []byte("c"), Temporary: &yes}))
	want := func(kind store.ResourceKind, comment string, temporary bool) {
		t.Helper()
		r, err := s.Resource(key("f"))
		if err != nil || r.Kind != kind || string(r.Comment) != comment || r.Temporary != temporary || r.Owner != "me" {
			t.Errorf("resource %+v, %v, want %s %q %t of me", r, err, kind, comment, temporary)
		}
	}
	want(store.PyResource, "c", true)
	must(t, change(store.ResourceChange{By: "you"}))
	want(store.PyResource, "c", true)
	must(t, change(store.ResourceChange{By: "you", Kind: store.JarResource, Comment: []byte{}, Temporary: &no}))
	want(store.JarResource, "", false)
	if err := change(store.ResourceChange{By: "you", Create: true}); !errors.Is(err, store.ErrResourceExists) {
		t.Errorf("made again: %v", err)
	}
	for what, c := range map[string]store.ResourceChange{
		"a file without content":      {Key: key("f"), Kind: store.FileResource},
		"a reference to nothing":      {Key: key("f"), Kind: store.TableResource},
		"a file of a reference's":     {Key: key("f"), Source: "t"},
		"a reference without content": {Key: key("g"), Kind: store.ArchiveResource, Source: "t"},
	} {
		if _, err := s.PutResource(c); !errors.Is(err, store.ErrInvalidResource) {
			t.Errorf("%s: %v, want ErrInvalidResource", what, err)
		}
	}
	if err := change(store.ResourceChange{Kind: store.TableResource}); !errors.Is(err, store.ErrInvalidResource) {
		t.Errorf("a reference with content: %v", err)
	}
	wantResource(t, s, "f", "x")
	want(store.JarResource, "", false)
}
