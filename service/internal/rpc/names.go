package rpc

import (
	"slices"
	"strings"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/table"
)

// Defaults fill what a TableRef leaves open.
type Defaults struct{ Project, Schema string }

// target is a TableRef as the request meant it. Which of the table's partition columns the given values belong to is
// only known with the table's schema, so they stay apart until then.
type target struct {
	name  table.Name
	given map[string]string // partition column → value, as sent; empty = no partition
	text  string            // what the caller wrote, for messages
}

// ref is the target as a table.Ref whose partition columns stand in no particular order.
func (t target) ref() table.Ref {
	r := table.Ref{Name: t.name}
	for column, value := range t.given {
		r.Partition = append(r.Partition, table.Part{Column: strings.ToLower(column), Value: value})
	}
	slices.SortFunc(r.Partition, func(a, b table.Part) int { return strings.Compare(a.Column, b.Column) })
	return r
}

// resolve reads a TableRef: its path, its parts, or both if they agree. field names it in errors.
func (d Defaults) resolve(ref *sluicev1.TableRef, field string) (target, error) {
	parts := d.fromParts(ref)
	if ref.GetPath() == "" {
		if parts.name.Table == "" {
			return target{}, missing(field, "a table is required: path, or project and table")
		}
		return parts, parts.name.Validate()
	}
	parsed, err := table.ParsePath(ref.GetPath())
	if err != nil {
		return target{}, err
	}
	fromPath := target{name: d.fill(parsed.Name), given: parsed.Partition.Map(), text: ref.GetPath()}
	if ref.GetTable() != "" && parts.name != fromPath.name {
		return target{}, missing(field, "path and project, schema_name, table name different tables")
	}
	if len(parts.given) > 0 && !sameValues(parts.given, fromPath.given) {
		return target{}, missing(field+".partition", "path and partition name different partitions")
	}
	return fromPath, nil
}

func (d Defaults) fromParts(ref *sluicev1.TableRef) target {
	name := d.fill(table.NewName(ref.GetProject(), ref.GetSchemaName(), ref.GetTable()))
	return target{name: name, given: ref.GetPartition(), text: table.Ref{Name: name}.Path()}
}

func (d Defaults) fill(n table.Name) table.Name {
	if n.Project == "" {
		n.Project = strings.ToLower(d.Project)
	}
	if n.Schema == "" {
		n.Schema = strings.ToLower(d.Schema)
	}
	return n
}

// table is resolve for methods that want a table and no partition of it.
func (d Defaults) table(ref *sluicev1.TableRef, field string) (table.Name, error) {
	t, err := d.resolve(ref, field)
	if err != nil {
		return table.Name{}, err
	}
	if len(t.given) > 0 {
		return table.Name{}, missing(field, "a table is wanted here, not a partition of one")
	}
	return t.name, nil
}

func missing(field, text string) error {
	return apierr.New(apierr.BadArgument, "%s: %s", field, text).With("field", field).WithViolation(field, text)
}

// sameValues compares partition values, columns without regard to case.
func sameValues(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	folded := make(map[string]string, len(b))
	for column, value := range b {
		folded[strings.ToLower(column)] = value
	}
	for column, value := range a {
		if other, ok := folded[strings.ToLower(column)]; !ok || other != value {
			return false
		}
	}
	return true
}

// refProto is a name in answers: all parts, and the path unless a value could not be written in one.
func refProto(r table.Ref) *sluicev1.TableRef {
	ref := &sluicev1.TableRef{
		Project:    r.Name.Project,
		SchemaName: r.Name.Schema,
		Table:      r.Name.Table,
		Partition:  r.Partition.Map(),
	}
	if r.Partition.Expressible() {
		ref.Path = r.Path()
	}
	return ref
}
