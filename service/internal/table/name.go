package table

import (
	"strings"
	"unicode/utf8"

	"github.com/sluice-io/sluice/service/internal/apierr"
)

// maxNameBytes bounds one project, schema, table or column name; MaxCompute allows 128.
const maxNameBytes = 128

// Name is the canonical name of a table: lower case; an empty Project or Schema stands for the default.
type Name struct {
	Project, Schema, Table string
}

// NewName folds the three parts to their canonical form. It checks nothing.
func NewName(project, schema, table string) Name {
	return Name{Project: fold(project), Schema: fold(schema), Table: fold(table)}
}

// Validate refuses, with BAD_PATH, parts that cannot be names. Empty Project and Schema pass, an empty Table does not.
func (n Name) Validate() error {
	for _, p := range []struct{ what, text string }{{"project", n.Project}, {"schema", n.Schema}} {
		if p.text != "" && !validName(p.text) {
			return apierr.New(apierr.BadPath, "%q is not a %s name", clip(p.text), p.what)
		}
	}
	if !validName(n.Table) {
		return apierr.New(apierr.BadPath, "%q is not a table name", clip(n.Table))
	}
	return nil
}

// String is "project.table" or "project.schema.table".
func (n Name) String() string {
	if n.Schema == "" {
		return n.Project + "." + n.Table
	}
	return n.Project + "." + n.Schema + "." + n.Table
}

// Part is the value of one partition column. Columns are canonical (lower case), values exact.
type Part struct{ Column, Value string }

// Spec names one partition by its values in table order; an empty Spec is an unpartitioned table.
type Spec []Part

// String is the text of listings, "dt=1/hr=05"; "" for an empty Spec.
func (s Spec) String() string {
	var b strings.Builder
	for i, p := range s {
		if i > 0 {
			b.WriteByte('/')
		}
		b.WriteString(p.Column)
		b.WriteByte('=')
		b.WriteString(p.Value)
	}
	return b.String()
}

// Map gives the values by column.
func (s Spec) Map() map[string]string {
	m := make(map[string]string, len(s))
	for _, p := range s {
		m[p.Column] = p.Value
	}
	return m
}

// Expressible reports whether String can be read back: no value is empty or holds one of "/", ",", "=" and "'".
func (s Spec) Expressible() bool {
	for _, p := range s {
		if p.Value == "" || strings.ContainsAny(p.Value, "/,='") || strings.TrimSpace(p.Value) != p.Value {
			return false
		}
	}
	return true
}

// Equal compares columns and values in order.
func (s Spec) Equal(o Spec) bool {
	if len(s) != len(o) {
		return false
	}
	for i := range s {
		if s[i] != o[i] {
			return false
		}
	}
	return true
}

// Ref is a table, or one partition of it.
type Ref struct {
	Name      Name
	Partition Spec
}

// Key is a canonical text, equal for equal refs and only for those: the key of locks and maps. Not for display.
func (r Ref) Key() string {
	var b strings.Builder
	for _, t := range []string{r.Name.Project, r.Name.Schema, r.Name.Table} {
		b.WriteString(t)
		b.WriteByte(0)
	}
	for _, p := range r.Partition {
		b.WriteString(p.Column)
		b.WriteByte('=')
		b.WriteString(escapeKey.Replace(p.Value))
		b.WriteByte(0)
	}
	return b.String()
}

var escapeKey = strings.NewReplacer("\x00", "\x01\x02", "\x01", "\x01\x01")

// Path is the one-line text of api.md 4.1, "odps://project/tables/[schema.]table[/dt=1]". ParsePath reads it back
// unless Partition is not Expressible.
func (r Ref) Path() string {
	var b strings.Builder
	b.WriteString(pathPrefix)
	b.WriteString(r.Name.Project)
	b.WriteString(pathTables)
	if r.Name.Schema != "" {
		b.WriteString(r.Name.Schema)
		b.WriteByte('.')
	}
	b.WriteString(r.Name.Table)
	if len(r.Partition) > 0 {
		b.WriteByte('/')
		b.WriteString(r.Partition.String())
	}
	return b.String()
}

const (
	pathPrefix = "odps://"
	pathTables = "/tables/"
	// maxPathBytes bounds the text before it is split.
	maxPathBytes = 16 << 10
)

// ParsePath reads "odps://project/tables/[schema.]table[/pt=1[/ds=x…]]"; anything else is BAD_PATH. Names are folded,
// partition values kept exactly; whether the columns fit the table is ResolveSpec's question.
func ParsePath(path string) (Ref, error) {
	bad := func(why string) (Ref, error) {
		return Ref{}, apierr.New(apierr.BadPath, "path %q: %s", clip(path), why)
	}
	if len(path) > maxPathBytes || !utf8.ValidString(path) {
		return bad("too long or not UTF-8")
	}
	rest, ok := strings.CutPrefix(path, pathPrefix)
	if !ok {
		return bad("does not begin with odps://")
	}
	parts := strings.Split(rest, "/")
	if len(parts) < 3 || parts[1] != "tables" {
		return bad("want odps://project/tables/[schema.]table[/partition=value…]")
	}
	if !validName(parts[0]) {
		return bad("bad project name")
	}
	schema, name, dotted := strings.Cut(parts[2], ".")
	if !dotted {
		schema, name = "", parts[2]
	}
	if dotted && !validName(schema) || !validName(name) {
		return bad("bad table name")
	}
	spec, why := parsePathSpec(parts[3:])
	if why != "" {
		return bad(why)
	}
	return Ref{Name: NewName(parts[0], schema, name), Partition: spec}, nil
}

func parsePathSpec(parts []string) (Spec, string) {
	if len(parts) == 1 && parts[0] == "" { // a trailing slash
		return nil, ""
	}
	var spec Spec
	for _, p := range parts {
		column, value, ok := strings.Cut(p, "=")
		if !ok || !validName(column) || value == "" {
			return nil, "bad partition, want column=value"
		}
		column = fold(column)
		for _, have := range spec {
			if have.Column == column {
				return nil, "partition column " + column + " is named twice"
			}
		}
		spec = append(spec, Part{Column: column, Value: value})
	}
	return spec, ""
}

// ResolveSpec orders given values like the table's partition columns. Column names fold case; a missing, unknown or
// doubly named column, an empty value and one that is not of its column's type are BAD_PARTITION. An unpartitioned table
// resolves to an empty Spec.
func ResolveSpec(s *Schema, given map[string]string) (Spec, error) {
	folded := make(map[string]string, len(given))
	for c, v := range given {
		key := fold(c)
		if _, twice := folded[key]; twice {
			return nil, apierr.New(apierr.BadPartition, "partition column %q is named twice", clip(key))
		}
		folded[key] = v
	}
	spec := make(Spec, 0, len(s.PartitionColumns))
	for _, c := range s.PartitionColumns {
		key := fold(c.Name)
		v, ok := folded[key]
		if !ok {
			return nil, apierr.New(apierr.BadPartition, "partition column %q is missing", key)
		}
		if v == "" {
			return nil, apierr.New(apierr.BadPartition, "partition column %q has an empty value", key)
		}
		if err := checkValue(c, v); err != nil {
			return nil, err
		}
		delete(folded, key)
		spec = append(spec, Part{Column: key, Value: v})
	}
	for c := range folded {
		return nil, apierr.New(apierr.BadPartition, "the table has no partition column %q", clip(c))
	}
	return spec, nil
}

// validName accepts letters, digits and underscores of any script, as MaxCompute's names and their quoted forms do.
func validName(s string) bool {
	if s == "" || len(s) > maxNameBytes || !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if r <= ' ' || r == 0x7f || strings.ContainsRune("/.=,'\"`;<>()\\", r) {
			return false
		}
	}
	return true
}

func fold(s string) string { return strings.ToLower(s) }

// clip keeps a quoted text of a client short.
func clip(s string) string {
	const most = 200
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
