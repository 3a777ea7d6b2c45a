package batch_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/batch"
	"github.com/sluice-io/sluice/service/internal/table"
)

// A message says itself how many NULLs a column has. Claiming none does not bring NULLs into a NOT NULL column.
func TestNullCountIsHeldAgainstTheBitmap(t *testing.T) {
	cols := []table.Column{{Name: "id", Type: table.MustParseType("bigint"), NotNull: true}}
	schema := arrow.NewSchema([]arrow.Field{{Name: "id", Type: arrow.PrimitiveTypes.Int64, Nullable: true}}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	ids := b.Field(0).(*array.Int64Builder)
	for i := range int64(7) {
		ids.Append(i)
	}
	for range 4 {
		ids.AppendNull()
	}
	rec := b.NewRecordBatch()
	defer rec.Release()
	definition, body := arrowMessages(t, rec)
	node := func(nulls uint64) []byte { // a FieldNode: length, null count
		return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, 11), nulls)
	}
	lying := bytes.Replace(body, node(4), node(0), 1)
	if bytes.Equal(lying, body) {
		t.Fatal("the message has no node of 11 rows and 4 NULLs: the test changes nothing")
	}
	l := compile(t, cols, batch.Definition{ArrowSchema: definition}, batch.CastAllow)
	for name, message := range map[string][]byte{"honest": body, "lying": lying} {
		_, err := l.Check(batch.Incoming{Rows: 11, Arrow: batch.NewPayload(nil, message)})
		if r := apierr.ReasonOf(err); r != apierr.TypeMismatch && r != apierr.BadArgument {
			t.Errorf("%s: Check = %v, want TYPE_MISMATCH or BAD_ARGUMENT", name, err)
		}
	}
}

func TestMapKeysAreNeverNull(t *testing.T) {
	cols := []table.Column{{Name: "m", Type: table.MustParseType("map<string,bigint>")}}
	offsets := func(ends ...uint32) []byte {
		b := binary.LittleEndian.AppendUint32(nil, 0)
		for _, end := range ends {
			b = binary.LittleEndian.AppendUint32(b, end)
		}
		return b
	}
	l := compile(t, cols, batch.Definition{}, batch.CastAllow)
	for name, validity := range map[string][]byte{"a key": {1}, "no key": {0}} {
		checked, err := l.Check(batch.Incoming{Rows: 1, Columns: &sluicev1.ColumnBatch{Columns: []*sluicev1.ColumnData{{
			Offsets: offsets(1),
			Children: []*sluicev1.ColumnData{
				{Validity: validity, Offsets: offsets(1), Data: []byte("k")},
				{Data: make([]byte, 8)},
			},
		}}}})
		if refused := apierr.ReasonOf(err) == apierr.TypeMismatch; refused != (name == "no key") {
			t.Errorf("%s: Check = %v", name, err)
		}
		if err == nil {
			checked.Release()
		}
	}
}
