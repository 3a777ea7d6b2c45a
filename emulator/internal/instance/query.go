package instance

import (
	"context"
	"errors"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/sluice-io/sluice/emulator/internal/ddl"
	"github.com/sluice-io/sluice/emulator/internal/sql"
)

func (x *executor) query(ctx context.Context, j *job, s *ddl.Query) (result *Result, err error) {
	rows, err := x.rows(ctx, j, s.Text, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	return spool(x.dir, j.id, rows, j.tally)
}

// rows runs a query of the job's script. The caller closes the rows.
func (x *executor) rows(ctx context.Context, j *job, text ddl.Text, to *sql.Target) (*sql.Rows, error) {
	return x.rowsOf(ctx, tables{store: x.store, job: j}, text, to)
}

// rowsOf is rows with tables that may be pinned.
func (x *executor) rowsOf(ctx context.Context, from tables, text ddl.Text, to *sql.Target) (*sql.Rows, error) {
	j := from.job
	text = withVariables(j.script.Variables, text)
	rows, err := x.engine.Query(ctx, from, text.SQL, to)
	if err != nil {
		return nil, placed(j, text, err)
	}
	return rows, nil
}

// withVariables puts the script's variables before a query that uses any, as table
// expressions.
func withVariables(variables []ddl.Variable, text ddl.Text) ddl.Text {
	if len(variables) == 0 || !strings.Contains(text.SQL, "@") {
		return text
	}
	var list []string
	for _, v := range variables {
		list = append(list, "@"+v.Name+" as ("+v.Query.SQL+"\n)")
	}
	query := "with " + strings.Join(list, ", ") + " "
	if rest, ok := cutWord(text.SQL, "with"); ok {
		return ddl.Text{SQL: query + "," + rest, Offset: -1}
	}
	return ddl.Text{SQL: query + text.SQL, Offset: -1}
}

// cutWord returns what follows a word at the beginning of a text.
func cutWord(text, word string) (string, bool) {
	tokens := ddl.Lexer{Source: text}
	tok, err := tokens.Next()
	if err != nil || !tok.Is(word) {
		return text, false
	}
	return text[tok.End:], true
}

// placed moves the place of a query's error from the query to the script. Queries that were
// put together keep their own places.
func placed(j *job, text ddl.Text, err error) error {
	var e *sql.Error
	if !errors.As(err, &e) || e.Pos == (ddl.Pos{}) || text.Offset < 0 {
		return err
	}
	base := ddl.Position(j.script.Source, text.Offset)
	moved := *e
	if e.Pos.Line == 1 {
		moved.Pos.Column += base.Column - 1
	}
	moved.Pos.Line += base.Line - 1
	return &moved
}

// quoted is a name as SQL text.
func quoted(parts ...string) string {
	out := make([]string, len(parts))
	for i, p := range parts {
		out[i] = "`" + strings.ReplaceAll(p, "`", "``") + "`"
	}
	return strings.Join(out, ".")
}

// Query runs one SELECT with the names of a project and hands over its rows, in
// types.LayoutWide.
func (s *Registry) Query(ctx context.Context, project, text string, each func(arrow.RecordBatch) error) (err error) {
	j := &job{project: project, script: &ddl.Script{}}
	rows, err := s.exec.engine.Query(ctx, tables{store: s.exec.store, job: j}, text, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := each(rows.Batch()); err != nil {
			return err
		}
	}
	return rows.Err()
}
