package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// A categorical column of pandas is a dictionary.
func TestDictionaryColumnsAreImported(t *testing.T) {
	addr, _ := startDev(t)
	t.Setenv("SLUICE_ADDR", addr)
	typ := &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}
	schema := arrow.NewSchema([]arrow.Field{{Name: "colour", Type: typ, Nullable: true}}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	for _, colour := range []string{"red", "green", "red"} {
		if err := b.Field(0).AppendValueFromString(colour); err != nil {
			t.Fatal(err)
		}
	}
	rec := b.NewRecordBatch()
	defer rec.Release()
	path := filepath.Join(t.TempDir(), "colours.arrow")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w, err := ipc.NewFileWriter(f, ipc.WithSchema(schema))
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []func() error{func() error { return w.Write(rec) }, w.Close, f.Close} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	mustSluice(t, "table", "import", path, "colours", "--create", "-q")
	if out := mustSluice(t, "table", "head", "colours"); strings.Count(out, "red") != 2 || !strings.Contains(out, "green") {
		t.Errorf("the table holds\n%s", out)
	}
}
