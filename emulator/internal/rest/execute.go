package rest

import (
	"context"
	"fmt"
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
	cost     bool // only tell what the statement would read
}

// key resolves a table's name: of two parts the first is the schema if the session works
// with schemas, else the project.
func (j *job) key(name []string) store.Key {
	schema := j.settings["odps.default.schema"]
	levels := strings.EqualFold(j.settings["odps.namespace.schema"], "true") &&
		!strings.EqualFold(j.settings["odps.sql.allow.namespace.schema"], "false")
	switch len(name) {
	case 1:
		return store.NewKey(j.project, schema, name[0])
	case 2:
		if levels {
			return store.NewKey(j.project, name[0], name[1])
		}
		return store.NewKey(name[0], "", name[1])
	default:
		return store.NewKey(name[0], name[1], name[2])
	}
}

// outcome is what a job that succeeded leaves: rows, or a text, or neither.
type outcome struct {
	result *Result
	text   string
}

// run executes a job.
func (x *executor) run(ctx context.Context, j *job) (out outcome, err error) {
	if j.cost {
		out.text, err = x.costText(ctx, j)
		return out, err
	}
	switch s := j.script.Statement.(type) {
	case *ddl.Query:
		out.result, err = x.query(ctx, j, s)
	case *ddl.ShowTables:
		out.text, err = x.showTables(j, s)
	case *ddl.ShowPartitions:
		out.text, err = x.showPartitions(j, s)
	case *ddl.Describe:
		out.text, err = x.describe(j, s)
	default:
		err = x.change(ctx, j)
	}
	return out, err
}

// change executes a job that answers nothing.
func (x *executor) change(ctx context.Context, j *job) error {
	switch s := j.script.Statement.(type) {
	case nil:
		return nil
	case *ddl.Insert:
		return x.insert(ctx, j, s)
	case *ddl.CreateTable:
		return x.createTable(ctx, j, s)
	case *ddl.DropTable:
		return x.store.DropTable(j.key(s.Table.Parts), s.IfExists)
	case *ddl.AddPartitions:
		return x.addPartitions(j, s)
	case *ddl.DropPartitions:
		return x.dropPartitions(j, s)
	case *ddl.Truncate:
		return x.truncate(j, s)
	case *ddl.AlterTable:
		return x.alterTable(j, s)
	default:
		return fmt.Errorf("statement %T is not known", s)
	}
}

func (x *executor) createTable(ctx context.Context, j *job, s *ddl.CreateTable) error {
	t := store.Table{Key: j.key(s.Table.Parts), Comment: s.Comment, Owner: owner, Lifecycle: max(s.Lifecycle, 0), PrimaryKey: s.PrimaryKey}
	if s.Clustered != nil {
		t.Cluster = clustering(s.Clustered)
	}
	if s.Query != nil {
		return x.createAs(ctx, j, s, t)
	}
	if s.Like != nil {
		model, err := x.store.Table(j.key(s.Like.Parts))
		if err != nil {
			return err
		}
		t.Columns, t.PartitionColumns, t.PrimaryKey, t.Transactional, t.Properties = model.Columns, model.PartitionColumns, model.PrimaryKey, model.Transactional, model.Properties
	}
	var err error
	if s.Like == nil {
		if t.Columns, err = columns(s.Columns, s.PrimaryKey); err != nil {
			return err
		}
		if t.PartitionColumns, err = columns(s.PartitionedBy, nil); err != nil {
			return err
		}
		setProperties(&t, s.Properties)
	}
	_, _, err = x.store.CreateTable(t, s.IfNotExists)
	return err
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
			c.Default = &text
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

// checkSpecs orders all specifications before the first of them takes effect.
func (x *executor) checkSpecs(key store.Key, specs []ddl.Spec) ([]types.PartitionSpec, error) {
	t, err := x.store.Table(key)
	if err != nil {
		return nil, err
	}
	var out []types.PartitionSpec
	for _, s := range specs {
		ordered, err := t.Spec(spec(s), false)
		if err != nil {
			return nil, err
		}
		out = append(out, ordered)
	}
	return out, nil
}

func (x *executor) addPartitions(j *job, s *ddl.AddPartitions) error {
	key := j.key(s.Table.Parts)
	specs, err := x.checkSpecs(key, s.Specs)
	if err != nil {
		return err
	}
	for _, p := range specs {
		if err := x.store.AddPartition(key, p, s.IfNotExists); err != nil {
			return err
		}
	}
	return nil
}

func (x *executor) dropPartitions(j *job, s *ddl.DropPartitions) error {
	key := j.key(s.Table.Parts)
	specs, err := x.checkSpecs(key, s.Specs)
	if err != nil {
		return err
	}
	for _, p := range specs {
		if err := x.store.DropPartition(key, p, s.IfExists); err != nil {
			return err
		}
	}
	return nil
}

func (x *executor) truncate(j *job, s *ddl.Truncate) error {
	key := j.key(s.Table.Parts)
	if len(s.Specs) == 0 {
		return x.store.Truncate(key, nil)
	}
	specs, err := x.checkSpecs(key, s.Specs)
	if err != nil {
		return err
	}
	for _, p := range specs {
		if err := x.store.Truncate(key, p); err != nil {
			return err
		}
	}
	return nil
}
