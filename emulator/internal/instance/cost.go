package instance

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/sluice-io/sluice/emulator/internal/ddl"
	"github.com/sluice-io/sluice/emulator/internal/sql"
)

// costText tells what a script would cost: the bytes of the tables and partitions that it
// reads, and how complex it is. The queries run, over tables without rows: so names and
// types are checked, and partitions left out as they would be.
func (x *executor) costText(ctx context.Context, j *job) (string, error) {
	statements := []ddl.Statement{j.script.Statement}
	if block, ok := j.script.Statement.(*ddl.Block); ok {
		statements = block.Statements
	}
	for _, s := range statements {
		switch s.(type) {
		case *ddl.Update, *ddl.Delete, *ddl.Merge:
			return "", semantic(ddl.Pos{Line: 1, Column: 1}, "the cost of UPDATE, DELETE and MERGE is not told by this endpoint")
		}
		for _, text := range queries(s) {
			text = withVariables(j.script.Variables, text)
			if err := x.dryRun(ctx, j, text.SQL); err != nil {
				return "", placed(j, text, err)
			}
		}
	}
	cost := map[string]any{"Input": Total(j.tally.snapshot().Inputs).Bytes, "UDF": 0, "Complexity": complexity(j.script.Source)}
	out, err := json.Marshal(map[string]any{"Cost": map[string]any{"SQL": cost}})
	return string(out), err
}

func (x *executor) dryRun(ctx context.Context, j *job, text string) (err error) {
	rows, err := x.engine.Query(ctx, emptyTables{tables{store: x.store, job: j}}, text, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() { // a query without tables may have rows
		rows.Batch()
	}
	return rows.Err()
}

// emptyTables are the tables of the store as if they had no rows.
type emptyTables struct{ tables }

func (t emptyTables) Open(ctx context.Context, name []string) (sql.Relation, error) {
	r, err := t.tables.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	return emptyRelation{r}, nil
}

type emptyRelation struct{ sql.Relation }

func (emptyRelation) Pieces() ([]sql.Piece, error) { return nil, nil }

// complexity is the factor that production multiplies the input with: by the number of
// JOIN, GROUP BY, ORDER BY, DISTINCT, OVER and INSERT.
func complexity(source string) float64 {
	tokens, err := ddl.Tokens(source)
	if err != nil {
		return 1
	}
	n := 0
	for _, t := range tokens {
		if t.Kind != ddl.Ident {
			continue
		}
		switch strings.ToUpper(t.Text) {
		case "JOIN", "GROUP", "ORDER", "DISTINCT", "OVER", "INSERT":
			n++
		}
	}
	switch {
	case n <= 3:
		return 1
	case n <= 6:
		return 1.5
	case n <= 19:
		return 2
	default:
		return 4
	}
}
