package instance

import (
	"context"
	"errors"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/sluice-io/sluice/emulator/internal/ddl"
	"github.com/sluice-io/sluice/emulator/internal/sql"
	"github.com/sluice-io/sluice/emulator/internal/store"
	"github.com/sluice-io/sluice/emulator/internal/types"
)

// constant is a value that stands in every row of a column.
type constant struct {
	values arrow.Array // grown by times
}

// times is the value n times; the caller releases it.
func (c *constant) times(n int) arrow.Array {
	for c.values.Len() < n {
		grown, err := array.Concatenate([]arrow.Array{c.values, c.values}, memory.DefaultAllocator)
		if err != nil { // arrays of one type always fit together
			panic(err)
		}
		c.values.Release()
		c.values = grown
	}
	return array.NewSlice(c.values, 0, int64(n))
}

// readDefaults computes the defaults of the columns that an INSERT leaves out, once for the
// statement.
func (x *executor) readDefaults(ctx context.Context, j *job, t store.Table, plan *insertPlan) error {
	for i, c := range t.Columns {
		if plan.from[i] >= 0 || c.DefaultSQL == "" {
			continue
		}
		value, err := x.constant(ctx, j, c.DefaultSQL, sql.Target{Types: []types.Type{c.Type}, Names: []string{c.Name}})
		if err != nil {
			return fmt.Errorf("default of column %s: %w", c.Name, err)
		}
		plan.defaults[i] = value
	}
	return nil
}

func (x *executor) constant(ctx context.Context, j *job, expression string, to sql.Target) (c *constant, err error) {
	rows, err := x.rows(ctx, j, ddl.Text{SQL: "select " + expression, Offset: -1}, &to)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if rows.Batch().NumRows() > 0 {
			// A copy: the batch is the engine's memory.
			one, err := array.Concatenate([]arrow.Array{rows.Batch().Column(0), rows.Batch().Column(0)}, memory.DefaultAllocator)
			return &constant{values: one}, err
		}
	}
	if rows.Err() != nil {
		return nil, rows.Err()
	}
	return nil, errors.New("no value")
}
