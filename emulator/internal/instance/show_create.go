package instance

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-io/sluice/emulator/internal/ddl"
	"github.com/sluice-io/sluice/emulator/internal/store"
)

// literal is a text as SQL writes it.
func literal(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\n", `\n`, "\r", `\r`, "\t", `\t`, "\x00", `\0`).Replace(s) + "'"
}

// showCreate writes the statement that makes a table or view again.
func (x *executor) showCreate(j *job, s *ddl.ShowCreate) (string, error) {
	t, err := x.store.Table(j.key(s.Table.Parts))
	if err != nil {
		return "", err
	}
	name := quoted(t.Key.Project, t.Key.Name)
	if t.Key.Schema != store.DefaultSchema {
		name = quoted(t.Key.Project, t.Key.Schema, t.Key.Name)
	}
	if t.Kind != "" {
		return createViewText(t, name), nil
	}
	return createTableText(t, name), nil
}

func createViewText(t store.Table, name string) string {
	var out strings.Builder
	out.WriteString("CREATE ")
	if t.Kind == store.KindMaterialized {
		out.WriteString("MATERIALIZED ")
	}
	out.WriteString("VIEW IF NOT EXISTS " + name + " (")
	for i, c := range t.Columns {
		if i > 0 {
			out.WriteString(", ")
		}
		out.WriteString(quoted(c.Name))
		if c.Comment != "" {
			out.WriteString(" COMMENT " + literal(c.Comment))
		}
	}
	out.WriteString(")")
	if t.Comment != "" {
		out.WriteString(" COMMENT " + literal(t.Comment))
	}
	return out.String() + " AS " + t.ViewText + ";\n"
}

func createTableText(t store.Table, name string) string {
	var out strings.Builder
	out.WriteString("CREATE TABLE IF NOT EXISTS " + name + "(\n" + columnList(t.Columns))
	if len(t.PrimaryKey) > 0 {
		out.WriteString(",\n\tPRIMARY KEY(" + quotedList(t.PrimaryKey) + ")")
	}
	out.WriteString("\n)\n")
	if t.Comment != "" {
		out.WriteString("COMMENT " + literal(t.Comment) + "\n")
	}
	switch {
	case t.Auto != nil:
		fmt.Fprintf(&out, "AUTO PARTITIONED BY (trunc_time(%s, %s) AS %s)\n", quoted(t.Auto.Column), literal(t.Auto.Unit), quoted(t.PartitionColumns[0].Name))
	case t.Partitioned():
		out.WriteString("PARTITIONED BY (\n" + columnList(t.PartitionColumns) + "\n)\n")
	}
	if t.Cluster != nil {
		out.WriteString(clusterText(t.Cluster) + "\n")
	}
	out.WriteString("STORED AS ALIORC\n")
	properties := maps.Clone(t.Properties)
	if t.Transactional {
		if properties == nil {
			properties = map[string]string{}
		}
		properties["transactional"] = "true"
	}
	if len(properties) > 0 {
		var list []string
		for _, key := range slices.Sorted(maps.Keys(properties)) {
			list = append(list, literal(key)+"="+literal(properties[key]))
		}
		out.WriteString("TBLPROPERTIES (" + strings.Join(list, ", ") + ")\n")
	}
	if t.Lifecycle > 0 {
		out.WriteString("LIFECYCLE " + strconv.Itoa(t.Lifecycle) + "\n")
	}
	return strings.TrimSuffix(out.String(), "\n") + ";\n"
}

func columnList(columns []store.Column) string {
	lines := make([]string, len(columns))
	for i, c := range columns {
		lines[i] = "\t" + quoted(c.Name) + " " + strings.ToUpper(c.Type.Kind.String()) + strings.TrimPrefix(c.Type.String(), c.Type.Kind.String())
		if !c.Nullable {
			lines[i] += " NOT NULL"
		}
		if c.DefaultSQL != "" {
			lines[i] += " DEFAULT " + c.DefaultSQL
		}
		if c.Comment != "" {
			lines[i] += " COMMENT " + literal(c.Comment)
		}
	}
	return strings.Join(lines, ",\n")
}

func quotedList(names []string) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = quoted(n)
	}
	return strings.Join(out, ", ")
}

func clusterText(c *store.Clustering) string {
	var out strings.Builder
	if c.Range {
		out.WriteString("RANGE ")
	}
	out.WriteString("CLUSTERED BY (" + quotedList(c.Columns) + ")")
	var sorted []string
	for _, s := range c.Sorted {
		order := " ASC"
		if s.Descending {
			order = " DESC"
		}
		sorted = append(sorted, quoted(s.Column)+order)
	}
	if len(sorted) > 0 {
		out.WriteString(" SORTED BY (" + strings.Join(sorted, ", ") + ")")
	}
	if c.Buckets > 0 {
		fmt.Fprintf(&out, " INTO %d BUCKETS", c.Buckets)
	}
	return out.String()
}

// explain says how a statement would be run: for a query the plan of DuckDB, which runs it.
func (x *executor) explain(ctx context.Context, j *job, s *ddl.Explain) (string, error) {
	var query ddl.Text
	switch of := s.Of.(type) {
	case *ddl.Query:
		query = of.Text
	case *ddl.Insert:
		query = of.Query
	case *ddl.CreateTable:
		if of.Query != nil {
			query = *of.Query
		}
	case *ddl.CreateView:
		query = of.Query
	}
	if query.SQL == "" {
		return "This statement runs no query.\n", nil
	}
	query = withVariables(j.script.Variables, query)
	plan, err := x.engine.Explain(ctx, tables{store: x.store, job: j}, query.SQL)
	if err != nil {
		return "", placed(j, query, err)
	}
	return "The endpoint runs this query in DuckDB, in one process. Its plan:\n" + plan, nil
}

// schema executes what concerns schemas.
func (x *executor) schema(j *job, statement ddl.Statement) error {
	named := func(n ddl.Name) (project, name string) {
		if len(n.Parts) > 1 {
			return n.Parts[0], n.Parts[1]
		}
		return j.project, n.Parts[0]
	}
	switch s := statement.(type) {
	case *ddl.CreateSchema:
		project, name := named(s.Schema)
		_, err := x.store.CreateSchema(project, name, s.Comment, s.IfNotExists)
		return err
	case *ddl.DropSchema:
		project, name := named(s.Schema)
		return x.store.DropSchema(project, name, s.IfExists)
	case *ddl.AlterSchema:
		project, name := named(s.Schema)
		_, err := x.store.AlterSchema(project, name, func(found *store.Schema) error {
			if s.Comment != nil {
				found.Comment = *s.Comment
			}
			return nil
		})
		return err
	case *ddl.UseSchema:
		if _, err := x.store.Schema(j.project, s.Name); err != nil {
			return err
		}
		j.settings["odps.default.schema"] = s.Name
		return nil
	default:
		return fmt.Errorf("statement %T is not known", s)
	}
}
