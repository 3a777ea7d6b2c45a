package instance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-io/sluice/emulator/internal/ddl"
	"github.com/sluice-io/sluice/emulator/internal/sql"
	"github.com/sluice-io/sluice/emulator/internal/store"
	"github.com/sluice-io/sluice/emulator/internal/types"
)

// executor runs parsed statements against the store.
type executor struct {
	store  *store.Store
	engine *sql.Engine
	dir    string // for results
}

// job is one statement with what it runs in.
type job struct {
	id       string
	project  string
	settings map[string]string
	script   *ddl.Script
	tally    *tally
	kind     string // of the task
}

// scoped is the job with the names of a view.
func (j *job) scoped(s store.ViewScope) *job {
	settings := map[string]string{"odps.namespace.schema": strconv.FormatBool(s.Levels), "odps.default.schema": s.Schema}
	return &job{id: j.id, project: s.Project, settings: settings, script: &ddl.Script{}, tally: j.tally}
}

// levels reports whether of a name of two parts the first is a schema.
func (j *job) levels() bool {
	return strings.EqualFold(j.settings["odps.namespace.schema"], "true") &&
		!strings.EqualFold(j.settings["odps.sql.allow.namespace.schema"], "false")
}

// key resolves a table's name: of two parts the first is the schema if the session works
// with schemas, else the project.
func (j *job) key(name []string) store.Key {
	schema := j.settings["odps.default.schema"]
	switch len(name) {
	case 1:
		return store.NewKey(j.project, schema, name[0])
	case 2:
		if j.levels() {
			return store.NewKey(j.project, name[0], name[1])
		}
		return store.NewKey(name[0], "", name[1])
	default:
		return store.NewKey(name[0], name[1], name[2]) //nolint:gosec // no parser gives a name of no parts, or of more than three
	}
}

// outcome is what a job that succeeded leaves: rows, or a text, or neither.
type outcome struct {
	result *Result
	text   string
}

// run executes a job: the statements of a script in order, up to the first that fails; none
// if one is no SQL. The last answer counts; rows that an earlier SELECT gave are dropped.
func (x *executor) run(ctx context.Context, j *job) (out outcome, err error) {
	switch j.kind {
	case KindCost:
		out.text, err = x.costText(ctx, j)
		return out, err
	case KindPlan:
		out.text, err = x.explain(ctx, j, &ddl.Explain{Of: j.script.Statement})
		return out, err
	}
	block, ok := j.script.Statement.(*ddl.Block)
	if !ok {
		return x.statement(ctx, j, j.script.Statement)
	}
	for _, s := range block.Statements {
		if err := x.check(ctx, j, s); err != nil {
			return outcome{}, err
		}
	}
	for n, s := range block.Statements {
		if err := ctx.Err(); err != nil {
			return outcome{}, err
		}
		next, err := x.statement(ctx, j, s)
		if err != nil {
			return outcome{}, errors.Join(fmt.Errorf("statement %d of the script: %w", n+1, err), out.remove())
		}
		if err := out.remove(); err != nil {
			return outcome{}, err
		}
		out = next
	}
	return out, nil
}

// check looks at the syntax of the query in a statement.
func (x *executor) check(ctx context.Context, j *job, statement ddl.Statement) error {
	for _, text := range queries(statement) {
		text = withVariables(j.script.Variables, text)
		if err := x.engine.Check(ctx, text.SQL); err != nil {
			return placed(j, text, err)
		}
	}
	return nil
}

// queries are the texts of a statement that the engine reads.
func queries(statement ddl.Statement) (texts []ddl.Text) {
	switch s := statement.(type) {
	case *ddl.Query:
		texts = append(texts, s.Text)
	case *ddl.Insert:
		texts = append(texts, s.Query)
	case *ddl.MultiInsert:
		for _, insert := range s.Inserts {
			texts = append(texts, insert.Query)
		}
	case *ddl.CreateView:
		texts = append(texts, s.Query)
	case *ddl.CreateTable:
		if s.Query != nil {
			texts = append(texts, *s.Query)
		}
	}
	return texts
}

// remove drops the rows of an answer that nobody will ask for.
func (o outcome) remove() error {
	if o.result == nil {
		return nil
	}
	return o.result.remove()
}

// statement executes one statement.
func (x *executor) statement(ctx context.Context, j *job, statement ddl.Statement) (out outcome, err error) {
	switch s := statement.(type) {
	case *ddl.Query:
		out.result, err = x.query(ctx, j, s)
	case *ddl.ShowTables:
		out.text, err = x.showTables(j, s)
	case *ddl.ShowViews:
		out.text, err = x.showViews(j, s)
	case *ddl.ShowPartitions:
		out.text, err = x.showPartitions(j, s)
	case *ddl.ShowSchemas:
		out.text, err = x.showSchemas(j, s)
	case *ddl.ShowFunctions:
		out.text, err = x.showFunctions(j)
	case *ddl.ShowCreate:
		out.text, err = x.showCreate(j, s)
	case *ddl.Describe:
		out.text, err = x.describe(j, s)
	case *ddl.Explain:
		out.text, err = x.explain(ctx, j, s)
	default:
		err = x.change(ctx, j, s)
	}
	return out, err
}

// change executes a statement that answers nothing.
func (x *executor) change(ctx context.Context, j *job, statement ddl.Statement) error {
	switch s := statement.(type) {
	case nil:
		return nil
	case *ddl.Insert:
		return x.insert(ctx, j, s)
	case *ddl.MultiInsert:
		return x.multiInsert(ctx, j, s)
	case *ddl.Update:
		return x.update(ctx, j, s)
	case *ddl.Delete:
		return x.remove(ctx, j, s)
	case *ddl.Merge:
		return x.merge(ctx, j, s)
	case *ddl.CreateTable:
		return x.createTable(ctx, j, s)
	case *ddl.CreateView:
		return x.createView(ctx, j, s)
	case *ddl.RebuildView:
		return x.rebuildView(ctx, j, s)
	default:
		return x.define(j, statement)
	}
}

// define executes a statement that needs no query.
func (x *executor) define(j *job, statement ddl.Statement) error {
	switch s := statement.(type) {
	case *ddl.DropTable:
		return x.store.Drop(j.key(s.Table.Parts), "", s.IfExists)
	case *ddl.DropView:
		kind := store.KindView
		if s.Materialized {
			kind = store.KindMaterialized
		}
		return x.store.Drop(j.key(s.View.Parts), kind, s.IfExists)
	case *ddl.AddPartitions:
		return x.store.AddPartitions(j.key(s.Table.Parts), specs(s.Specs), s.IfNotExists)
	case *ddl.DropPartitions:
		return x.dropPartitions(j, s)
	case *ddl.RenamePartition:
		return x.store.ChangePartition(j.key(s.Table.Parts), spec(s.From), spec(s.To))
	case *ddl.TouchPartition:
		return x.store.ChangePartition(j.key(s.Table.Parts), spec(s.Spec), spec(s.Spec))
	case *ddl.Truncate:
		return x.truncate(j, s)
	case *ddl.AlterTable:
		return x.alterTable(j, s)
	case *ddl.CreateSchema, *ddl.DropSchema, *ddl.AlterSchema, *ddl.UseSchema:
		return x.schema(j, s)
	default:
		return fmt.Errorf("statement %T is not known", s)
	}
}

func (x *executor) createTable(ctx context.Context, j *job, s *ddl.CreateTable) error {
	t := store.Table{Key: j.key(s.Table.Parts), Comment: s.Comment, Owner: Owner, Lifecycle: max(s.Lifecycle, 0), PrimaryKey: s.PrimaryKey}
	if s.Clustered != nil {
		t.Cluster = clustering(s.Clustered)
	}
	setProperties(&t, s.Properties)
	var err error
	switch {
	case s.Query != nil:
		return x.createAs(ctx, j, s, t)
	case s.Like != nil:
		err = x.like(j, s, &t)
	default:
		if t.Columns, err = columns(s.Columns, s.PrimaryKey); err == nil {
			t.PartitionColumns, err = columns(s.PartitionedBy, nil)
		}
		if err == nil && s.Auto != nil {
			err = autoPartition(&t, s.Auto)
		}
	}
	if err != nil {
		return err
	}
	_, _, err = x.store.Create(t, store.CreateOptions{IfNotExists: s.IfNotExists, Replace: s.OrReplace}, nil)
	return err
}

// like copies the definition of another table, but not its rows, comment and lifecycle.
func (x *executor) like(j *job, s *ddl.CreateTable, t *store.Table) error {
	model, err := x.store.Table(j.key(s.Like.Parts))
	if err != nil {
		return err
	}
	if model.Kind == store.KindView {
		return semantic(s.Like.Pos, "%s is a view, CREATE TABLE … LIKE needs a table", model.Key)
	}
	t.Columns, t.PartitionColumns, t.PrimaryKey, t.Auto = model.Columns, model.PartitionColumns, model.PrimaryKey, model.Auto
	t.Transactional, t.Properties, t.Cluster = model.Transactional, model.Properties, model.Cluster
	setProperties(t, s.Properties)
	return nil
}

// autoUnits are the units that a column of a type can be cut to.
var autoUnits = map[types.Kind][]string{
	types.Date:     {"year", "month", "day"},
	types.Datetime: {"year", "month", "day", "hour"}, types.Timestamp: {"year", "month", "day", "hour"}, types.TimestampNTZ: {"year", "month", "day", "hour"},
}

// autoPartition gives a table a partition column that follows from a data column.
func autoPartition(t *store.Table, a *ddl.AutoPartition) error {
	at, unit := t.ColumnIndex(a.Column), strings.ToLower(a.Unit)
	if at < 0 {
		return semantic(a.Pos, "table %s has no column %s", t.Key, a.Column)
	}
	column := t.Columns[at]
	if !slices.Contains(autoUnits[column.Type.Kind], unit) {
		return semantic(a.Pos, "column %s of type %s cannot be cut to '%s'", column.Name, column.Type, a.Unit)
	}
	t.Auto = &store.AutoPartition{Column: strings.ToLower(column.Name), Unit: unit}
	t.PartitionColumns = []store.Column{{Name: a.Name, Type: types.Type{Kind: types.String}, Nullable: true}}
	return nil
}

func clustering(c *ddl.Clustered) *store.Clustering {
	out := &store.Clustering{Range: c.Range, Columns: c.Columns, Buckets: c.Buckets}
	for _, s := range c.Sorted {
		out.Sorted = append(out.Sorted, store.SortedColumn{Column: s.Column, Descending: s.Descending})
	}
	return out
}

func semantic(pos ddl.Pos, format string, args ...any) error {
	return &ddl.Error{Code: ddl.CodeUnsupported, Pos: pos, Message: fmt.Sprintf(format, args...)}
}

// columns turns definitions into columns; those of the primary key are never NULL.
func columns(defs []ddl.Column, primaryKey []string) ([]store.Column, error) {
	keys := map[string]bool{}
	for _, name := range primaryKey {
		keys[strings.ToLower(name)] = true
	}
	var out []store.Column
	for _, d := range defs {
		t, err := types.Parse(d.Type)
		if err != nil {
			return nil, &ddl.Error{Code: ddl.CodeParse, Pos: d.TypePos, Message: fmt.Sprintf("column %s: %s", d.Name, err)}
		}
		c := store.Column{Name: d.Name, Type: t, Comment: d.Comment, Nullable: !d.NotNull && !keys[strings.ToLower(d.Name)]}
		if d.Default != "" {
			text := defaultValue(d.Default)
			c.Default, c.DefaultSQL = &text, d.Default
		}
		out = append(out, c)
	}
	return out, nil
}

// defaultValue is a literal's value, or the expression's text.
func defaultValue(expression string) string {
	tokens, err := ddl.Tokens(expression)
	if err == nil && len(tokens) == 1 && tokens[0].Kind == ddl.String {
		return tokens[0].Text
	}
	return expression
}

func setProperties(t *store.Table, properties []ddl.Property) {
	for _, p := range properties {
		if strings.EqualFold(p.Key, "transactional") {
			t.Transactional, _ = strconv.ParseBool(p.Value)
			continue
		}
		if t.Properties == nil {
			t.Properties = map[string]string{}
		}
		t.Properties[p.Key] = p.Value
	}
}

// spec turns a parsed specification into the store's.
func spec(s ddl.Spec) types.PartitionSpec {
	var out types.PartitionSpec
	for _, k := range s.Keys {
		out = append(out, types.PartitionValue{Column: strings.ToLower(k.Column), Value: k.Value})
	}
	return out
}

func specs(list []ddl.Spec) []types.PartitionSpec {
	out := make([]types.PartitionSpec, len(list))
	for i, s := range list {
		out[i] = spec(s)
	}
	return out
}

func (x *executor) dropPartitions(j *job, s *ddl.DropPartitions) error {
	key := j.key(s.Table.Parts)
	t, err := x.store.Table(key)
	if err != nil {
		return err
	}
	match, err := filterPartitions(t, s.Filters)
	if err != nil {
		return err
	}
	return x.store.DropPartitions(key, specs(s.Specs), match, s.IfExists)
}

func (x *executor) truncate(j *job, s *ddl.Truncate) error {
	key := j.key(s.Table.Parts)
	if len(s.Specs) == 0 {
		return x.store.Truncate(key)
	}
	return x.store.TruncatePartitions(key, specs(s.Specs))
}
