package emulator_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/aliyun/aliyun-odps-go-sdk/odps"
	"github.com/google/go-cmp/cmp"

	"github.com/sluice-io/sluice/emulator"
)

// filled makes each Read of the SDK return a full chunk, and io.EOF alone
// (docs/go-sdk-notes.md 23).
type filled struct{ io.Reader }

func (f filled) Read(p []byte) (int, error) {
	n, err := io.ReadFull(f.Reader, p)
	if n > 0 || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return n, err
}

func TestGoSDK_file_resources(t *testing.T) {
	s := start(t, emulator.Options{})
	c := client(s)
	resources := odps.NewResources(c)
	resources.ChunkSize = 1000
	content := strings.Repeat("0123456789\n", 700) // eight parts
	for _, kind := range []struct {
		resource odps.ReaderResource
		want     odps.ResourceType
	}{
		{odps.NewFileResource("a.txt"), odps.ResourceTypeFile}, {odps.NewJarResource("a.jar"), odps.ResourceTypeJar},
		{odps.NewPyResource("a.py"), odps.ResourceTypePy}, {odps.NewArchiveResource("a.zip"), odps.ResourceTypeArchive},
	} {
		kind.resource.SetReader(filled{strings.NewReader(content)})
		must(t, resources.CreateFileResource("", "", kind.resource, false))
		kind.resource.SetReader(strings.NewReader("other"))
		if err := resources.CreateFileResource("", "", kind.resource, false); err == nil || !contains(err, "ObjectAlreadyExists") {
			t.Errorf("second creation of %s = %v, want ObjectAlreadyExists", kind.resource.Name(), err)
		}
		got := resources.Get(kind.resource.Name())
		must(t, got.Load())
		m := got.Model
		if got.ResourceType() != kind.want || m.ResourceSize != int64(len(content)) || m.ContentMD5 != hexMD5(content) || m.Owner == "" || m.LastUpdator == "" ||
			m.CreationTime == "" || m.LastModifiedTime == "" || got.IsTempResource() || got.Name() != kind.resource.Name() {
			t.Errorf("%s = %+v", kind.resource.Name(), m)
		}
		if body := (web{t, s}).project("p1", kind.resource.Name()); body != content {
			t.Errorf("content of %s: %d bytes", kind.resource.Name(), len(body))
		}
	}
	var names []string
	resources.List(func(r *odps.Resource, err error) {
		must(t, err)
		names = append(names, r.Name()+" "+string(r.ResourceType()))
	})
	if diff := cmp.Diff([]string{"a.jar jar", "a.py py", "a.txt file", "a.zip archive"}, names); diff != "" {
		t.Error(diff)
	}
	update := odps.NewFileResource("a.txt")
	update.SetComment("second version")
	update.SetIsTempResource(true)
	update.SetReader(iotest.DataErrReader(strings.NewReader(""))) // no part at all
	must(t, resources.UpdateFileResource("", "", update))
	got := resources.Get("a.txt")
	must(t, got.Load())
	if got.Comment() != "second version" || !got.IsTempResource() || got.Model.ResourceSize != 0 {
		t.Errorf("updated = %+v", got.Model)
	}
	made := odps.NewFileResource("made.by.update")
	made.SetReader(strings.NewReader("x"))
	must(t, resources.UpdateFileResource("", "", made))
	must(t, resources.Delete("made.by.update"))
	if ok, err := resources.Get("made.by.update").Exist(); ok || err != nil {
		t.Errorf("Exist of a deleted resource = %v, %v", ok, err)
	}
	if ok, err := resources.Get("a.txt").Exist(); !ok || err != nil {
		t.Errorf("Exist = %v, %v", ok, err)
	}
}

// project reads a resource of another project than p.
func (c web) project(project, name string) string {
	c.t.Helper()
	_, _, body := raw(c.t, c.s, "GET", "/projects/"+project+"/resources/"+name, "")
	return body
}

func TestGoSDK_resources_of_a_schema(t *testing.T) {
	s := start(t, emulator.Options{})
	c := client(s)
	c.SetCurrentSchemaName("s1")
	inSchema := odps.NewResources(c)
	c.SetCurrentSchemaName("")
	inDefault := odps.NewResources(c)
	for _, r := range []struct {
		in   *odps.Resources
		body string
	}{{inSchema, "in s1"}, {inDefault, "in default"}} {
		f := odps.NewFileResource("f")
		f.SetReader(strings.NewReader(r.body))
		must(t, r.in.CreateFileResource("", "", f, false))
	}
	count := func(in *odps.Resources) (names []string) {
		in.List(func(r *odps.Resource, err error) {
			must(t, err)
			names = append(names, r.Name())
		}, nil)
		return names
	}
	if got := (web{t, s}).project("p1", "f?curr_schema=s1"); got != "in s1" {
		t.Errorf("f of s1 holds %q", got)
	}
	must(t, inSchema.Delete("f"))
	if got := count(inSchema); len(got) != 0 {
		t.Errorf("s1 after the deletion: %v", got)
	}
	if got := count(inDefault); !slices.Equal(got, []string{"f"}) || (web{t, s}).project("p1", "f") != "in default" {
		t.Errorf("default after the deletion in s1: %v", got)
	}
}

func TestGoSDK_table_resources(t *testing.T) {
	c := client(start(t, emulator.Options{}))
	must(t, c.Tables().Create(schema(t, "first"), false, nil, nil))
	resources := odps.NewResources(c)
	table := odps.NewTableResource("p1", "first", "pt='a',hh='1'")
	table.SetName("t")
	table.SetComment("a reference")
	must(t, resources.CreateTableResource("", "", table, false))
	if err := resources.CreateTableResource("", "", table, false); err == nil || !contains(err, "ObjectAlreadyExists") {
		t.Errorf("second creation = %v", err)
	}
	got := resources.Get("t")
	must(t, got.Load())
	if got.ResourceType() != odps.ResourceTypeTable || got.Model.SourceTableName != "p1.first partition(pt='a',hh='1')" || got.Comment() != "a reference" {
		t.Errorf("table resource = %+v", got.Model)
	}
	table = odps.NewTableResource("p1", "first", "")
	table.SetName("t")
	must(t, resources.CreateTableResource("", "", table, true))
	must(t, got.Load())
	if got.Model.SourceTableName != "p1.first" {
		t.Errorf("updated source = %q", got.Model.SourceTableName)
	}
	missing := odps.NewTableResource("p1", "none", "")
	missing.SetName("m")
	if err := resources.CreateTableResource("", "", missing, false); err == nil || !contains(err, "ODPS-0130131") {
		t.Errorf("reference to a missing table = %v", err)
	}
}

// An upload that failed half way is repeated under the same part names.
func TestGoSDK_repeated_resource_upload(t *testing.T) {
	s := start(t, emulator.Options{})
	resources := odps.NewResources(client(s))
	resources.ChunkSize = 10
	broken := odps.NewFileResource("f")
	broken.SetReader(io.MultiReader(strings.NewReader(strings.Repeat("a", 10)), iotest.ErrReader(errors.New("broken source"))))
	if err := resources.CreateFileResource("", "", broken, false); err == nil {
		t.Fatal("an upload from a broken source succeeded")
	}
	whole := odps.NewFileResource("f")
	body := bytes.Repeat([]byte("b"), 25)
	whole.SetReader(filled{bytes.NewReader(body)})
	must(t, resources.CreateFileResource("", "", whole, false))
	if got := (web{t, s}).project("p1", "f"); got != string(body) {
		t.Errorf("content = %q", got)
	}
}
