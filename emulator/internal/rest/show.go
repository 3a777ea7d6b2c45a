package rest

import (
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/sluice-io/sluice/emulator/internal/ddl"
	"github.com/sluice-io/sluice/emulator/internal/store"
)

// boxWidth is the width of what DESC draws, without its edges.
const boxWidth = 84

func (x *executor) showTables(j *job, s *ddl.ShowTables) (string, error) {
	name := []string{"t"} // any table's name leads to its schema
	if s.In != "" {
		name = []string{s.In, "t"}
	}
	key := j.key(name)
	tables, _, err := x.store.Tables(key.Project, key.Schema, store.TableQuery{})
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for _, t := range tables {
		if s.Like != "" {
			if ok, err := path.Match(strings.ToLower(s.Like), t.Key.Name); err != nil || !ok {
				continue
			}
		}
		out.WriteString(owner + ":" + t.Key.Name + "\n")
	}
	return out.String(), nil
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
	if len(s.Spec.Keys) == 0 {
		return describeText(t, s.Extended), nil
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
	b.linef("Owner: %s | Project: %s", owner, t.Key.Project)
	b.linef("TableComment: %s", t.Comment)
	b.times(t.Created, t.LastDDL, t.Modified)
	if t.Lifecycle > 0 {
		b.linef("Lifecycle: %d", t.Lifecycle)
		b.rule()
	}
	b.linef("InternalTable: YES | Size: %d", t.Bytes)
	b.rule()
	b.columns("Native Columns:", t.Columns)
	if t.Partitioned() {
		b.columns("Partition Columns:", t.PartitionColumns)
	}
	if extended {
		b.linef("TableID: %s | RecordNum: %d", t.ID, t.Rows)
		b.linef("Transactional: %t | PrimaryKey: %s", t.Transactional, strings.Join(t.PrimaryKey, ","))
		b.rule()
	}
	return b.text.String()
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
