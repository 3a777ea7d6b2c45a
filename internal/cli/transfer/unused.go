package transfer

import (
	"context"
	"errors"
	"fmt"

	"github.com/sluice-io/sluice/client"
	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
)

// notOver are the states of a run that may still bring rows.
var notOver = []sluicev1.RunState{
	sluicev1.RunState_RUN_STATE_OPEN, sluicev1.RunState_RUN_STATE_CLOSING, sluicev1.RunState_RUN_STATE_COMMITTING, sluicev1.RunState_RUN_STATE_PARTIALLY_COMMITTED,
}

// DropUnused drops a table that was made for an import that failed, unless somebody uses it: it has rows, or a run that is
// not over writes there. kept says so then, and is empty when the table is gone. Nothing keeps others from
// writing between the look and the drop: it is for tables made a moment ago.
func DropUnused(ctx context.Context, c *client.Client, table *sluicev1.TableRef) (kept string, err error) {
	for run, err := range c.Runs(ctx, &sluicev1.ListRunsRequest{Output: table, States: notOver}) {
		if err != nil {
			return "", fmt.Errorf("look for runs: %w", err)
		}
		return "run " + run.GetRunId() + " may still write there", nil
	}
	empty, err := isEmpty(ctx, c, table)
	if err != nil {
		return "", fmt.Errorf("look for rows: %w", err)
	}
	if !empty {
		return "it has rows", nil
	}
	if _, err := c.DeleteTable(ctx, table, true); err != nil {
		return "", fmt.Errorf("drop it: %w", err)
	}
	return "", nil
}

// isEmpty asks for a row: a table's own count may be late, or missing.
func isEmpty(ctx context.Context, c *client.Client, table *sluicev1.TableRef) (_ bool, err error) {
	reader, err := c.Read(ctx, client.ReadOptions{Spec: &sluicev1.ReadSessionSpec{Table: table}, RowLimit: 1})
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, reader.Close()) }()
	some := reader.Next()
	return !some, reader.Err()
}
