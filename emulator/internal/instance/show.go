package instance

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/sluice-io/sluice/emulator/internal/ddl"
	"github.com/sluice-io/sluice/emulator/internal/store"
)

// boxWidth is the width of what DESC draws, without its edges.
const boxWidth = 84

func (x *executor) showTables(j *job, s *ddl.ShowTables) (string, error) {
	return x.listed(j, s, func(store.Table) bool { return true })
}

func (x *executor) showViews(j *job, s *ddl.ShowViews) (string, error) {
	kind := store.KindView
	if s.Materialized {
		kind = store.KindMaterialized
	}
	return x.listed(j, &s.ShowTables, func(t store.Table) bool { return t.Kind == kind })
}

// listed are the names of the tables that keep says yes to, one a line, owners before them.
func (x *executor) listed(j *job, s *ddl.ShowTables, keep func(store.Table) bool) (string, error) {
	name := []string{"t"} // any table's name leads to its schema
	if s.In != "" {
		name = []string{s.In, "t"}
	}
	key := j.key(name)
	found, _, err := x.store.Tables(key.Project, key.Schema, store.TableQuery{Keep: keep})
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for _, t := range found {
		if s.Like != "" {
			if ok, err := path.Match(strings.ToLower(s.Like), t.Key.Name); err != nil || !ok {
				continue
			}
		}
		out.WriteString(OwnerOf(t) + ":" + t.Key.Name + "\n")
	}
	return out.String(), nil
}

func (x *executor) showSchemas(j *job, s *ddl.ShowSchemas) (string, error) {
	project := j.project
	if s.In != "" {
		project = s.In
	}
	found, _, err := x.store.Schemas(project, store.NameQuery{})
	var out strings.Builder
	for _, schema := range found {
		out.WriteString(schema.Name + "\n")
	}
	return out.String(), err
}

func (x *executor) showFunctions(j *job) (string, error) {
	key := j.key([]string{"f"}) // any name leads to its schema
	found, _, err := x.store.Functions(key.Project, key.Schema, store.NameQuery{})
	var out strings.Builder
	for _, f := range found {
		out.WriteString(f.Owner + ":" + f.Name + "\n")
	}
	return out.String(), err
}

func (x *executor) showPartitions(j *job, s *ddl.ShowPartitions) (string, error) {
	key := j.key(s.Table.Parts)
	t, err := x.store.Table(key)
	if err != nil {
		return "", err
	}
	filter, err := t.Spec(spec(s.Spec), true)
	if err != nil {
		return "", err
	}
	partitions, _, err := x.store.Partitions(key, store.PartitionQuery{Filter: filter})
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for _, p := range partitions {
		out.WriteString(p.Spec.String() + "\n")
	}
	return out.String(), nil
}

func (x *executor) describe(j *job, s *ddl.Describe) (string, error) {
	t, err := x.store.Table(j.key(s.Table.Parts))
	if err != nil {
		return "", err
	}
	switch {
	case len(s.Spec.Keys) == 0:
		return describeText(t, s.Extended), nil
	case t.Kind == store.KindView:
		return "", semantic(s.Table.Pos, "%s is a view, it has no partitions", t.Key)
	}
	ordered, err := t.Spec(spec(s.Spec), false)
	if err != nil {
		return "", err
	}
	p, err := x.store.Partition(t.Key, ordered)
	if err != nil {
		return "", err
	}
	b := &box{}
	b.rule()
	b.linef("PartitionSize: %d | RecordNum: %d", p.Bytes, p.Rows)
	b.times(p.Created, p.LastDDL, p.Modified)
	return b.text.String(), nil
}

// describeText draws a table as the service's client shows it.
func describeText(t store.Table, extended bool) string {
	b := &box{}
	b.rule()
	b.linef("Owner: %s | Project: %s", OwnerOf(t), t.Key.Project)
	b.linef("TableComment: %s", t.Comment)
	b.times(t.Created, t.LastDDL, t.Modified)
	if t.Lifecycle > 0 {
		b.linef("Lifecycle: %d", t.Lifecycle)
		b.rule()
	}
	switch t.Kind {
	case store.KindView:
		b.linef("VirtualView: YES | ViewText: %s", t.ViewText)
	case store.KindMaterialized:
		b.linef("MaterializedView: YES | Size: %d", t.Bytes)
		b.linef("ViewText: %s", t.ViewText)
	default:
		b.linef("InternalTable: YES | Size: %d", t.Bytes)
	}
	b.rule()
	b.columns("Native Columns:", t.Columns)
	if t.Partitioned() {
		b.columns("Partition Columns:", t.PartitionColumns)
	}
	if extended {
		b.extended(t)
	}
	return b.text.String()
}

// extended are the lines that only DESC EXTENDED has.
func (b *box) extended(t store.Table) {
	b.linef("%s", "Extended Info:")
	b.rule()
	b.linef("TableID: %s", t.ID)
	b.linef("RecordNum: %d", t.Rows)
	b.linef("IsArchived: false")
	b.linef("PhysicalSize: %d", t.Bytes)
	if t.Transactional || len(t.PrimaryKey) > 0 {
		b.linef("Transactional: %t", t.Transactional)
		b.linef("PrimaryKey: %s", strings.Join(t.PrimaryKey, ","))
	}
	if c := t.Cluster; c != nil {
		b.linef("ClusterType: %s", map[bool]string{true: "range", false: "hash"}[c.Range])
		b.linef("BucketNum: %d", c.Buckets)
		b.linef("ClusterColumns: [%s]", strings.Join(c.Columns, ", "))
	}
	if t.Auto != nil {
		b.linef("AutoPartition: trunc_time(%s, '%s')", t.Auto.Column, t.Auto.Unit)
	}
	for _, key := range slices.Sorted(maps.Keys(t.Properties)) {
		b.linef("%s: %s", key, t.Properties[key])
	}
	b.rule()
}

// box draws lines between edges.
type box struct{ text strings.Builder }

func (b *box) rule() { b.text.WriteString("+" + strings.Repeat("-", boxWidth) + "+\n") }

func (b *box) linef(format string, args ...any) {
	fmt.Fprintf(&b.text, "| %-*s |\n", boxWidth-2, strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", " "))
}

func (b *box) times(created, ddl, modified time.Time) {
	b.rule()
	b.linef("CreateTime:               %s", created.UTC().Format(secondsForm))
	b.linef("LastDDLTime:              %s", ddl.UTC().Format(secondsForm))
	b.linef("LastModifiedTime:         %s", modified.UTC().Format(secondsForm))
	b.rule()
}

func (b *box) columns(title string, columns []store.Column) {
	b.linef("%s", title)
	b.rule()
	b.linef("%-15s | %-10s | %-5s | %s", "Field", "Type", "Label", "Comment")
	b.rule()
	for _, c := range columns {
		b.linef("%-15s | %-10s | %-5s | %s", c.Name, c.Type, "", c.Comment)
	}
	b.rule()
}
