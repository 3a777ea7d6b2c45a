package sql

import (
	"fmt"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/sluice-io/sluice/emulator/internal/types"
)

// wideBatch converts a batch of a result. The caller releases it.
func wideBatch(batch arrow.RecordBatch, columns []Column) (arrow.RecordBatch, error) {
	fields := make([]arrow.Field, len(columns))
	for i, c := range columns {
		fields[i] = arrow.Field{Name: c.Name, Type: c.Type.Arrow(types.LayoutWide), Nullable: true}
	}
	return convertBatch(batch, arrow.NewSchema(fields, nil), func(i int, data arrow.ArrayData) (arrow.ArrayData, error) {
		out, err := fromDuck(data, columns[i].Type)
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", columns[i].Name, err)
		}
		return out, nil
	})
}

func convertBatch(batch arrow.RecordBatch, schema *arrow.Schema, convert func(int, arrow.ArrayData) (arrow.ArrayData, error)) (arrow.RecordBatch, error) {
	arrays := make([]arrow.Array, 0, schema.NumFields())
	defer func() {
		for _, a := range arrays {
			a.Release()
		}
	}()
	for i, column := range batch.Columns() {
		data, err := convert(i, column.Data())
		if err != nil {
			return nil, err
		}
		arrays = append(arrays, array.MakeFromData(data))
		data.Release()
	}
	return array.NewRecordBatch(schema, arrays, batch.NumRows()), nil
}

// used are the positions of the columns that a query may look at.
func (p *plan) used(columns []Column) []int {
	var out []int
	for i, c := range columns {
		if p.all || p.names[strings.ToLower(c.Name)] {
			out = append(out, i)
		}
	}
	return out
}
