package show_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
	"github.com/sluice-io/sluice/internal/cli/show"
	"github.com/sluice-io/sluice/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func TestRowsAreDrawnWithNullsAndShortened(t *testing.T) {
	schema := arrow.NewSchema([]arrow.Field{{Name: "Id", Type: arrow.PrimitiveTypes.Int64, Nullable: true}, {Name: "s", Type: arrow.BinaryTypes.String}}, nil)
	b := array.NewRecordBuilder(testkit.Allocator(t), schema)
	defer b.Release()
	b.Field(0).AppendNull()
	if err := b.Field(1).AppendValueFromString(strings.Repeat("日", 100)); err != nil {
		t.Fatal(err)
	}
	rec := b.NewRecordBatch()
	defer rec.Release()
	var out bytes.Buffer
	if err := show.Rows(&out, schema, []arrow.RecordBatch{rec}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Id", "NULL", strings.Repeat("日", 59) + "…"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("drawn rows lack %q:\n%s", want, &out)
		}
	}
	if strings.Contains(out.String(), strings.Repeat("日", 60)) {
		t.Errorf("a long value is not shortened:\n%s", &out)
	}
}

func TestTableIsDescribed(t *testing.T) {
	rows := int64(7)
	table := &sluicev1.Table{
		Ref: &sluicev1.TableRef{Project: "p", Table: "fruit"}, Comment: "what grows", RowCount: &rows,
		Schema: &sluicev1.TableSchema{
			Columns:          []*sluicev1.Column{{Name: "id", NotNull: true, Type: &sluicev1.DataType{Text: "bigint"}}},
			PartitionColumns: []*sluicev1.Column{{Name: "dt", Type: &sluicev1.DataType{Text: "string"}}},
		},
	}
	var out bytes.Buffer
	if err := show.Table(&out, table); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"p.fruit  rows 7  bytes ?", "what grows", "bigint", "not null", "partition"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("description lacks %q:\n%s", want, &out)
		}
	}
	out.Reset()
	if err := show.JSON(&out, table); err != nil || !strings.Contains(out.String(), `"row_count"`) {
		t.Errorf("JSON = %s, %v", &out, err)
	}
}
