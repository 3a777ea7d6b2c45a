package maxcompute

import (
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/table"
)

// quoteTable is project.`table` or project.`schema`.`table`. Projects are not quoted, as in every SDK; resolve has
// checked all three names.
func quoteTable(n table.Name) string {
	if n.Schema == "" {
		return n.Project + "." + quoteName(n.Table)
	}
	return n.Project + "." + quoteName(n.Schema) + "." + quoteName(n.Table)
}

func quoteName(s string) string { return "`" + strings.ReplaceAll(s, "`", "``") + "`" }

// quoteString is a literal in MaxCompute's SQL, which escapes with a backslash.
func quoteString(s string) string { return "'" + sqlEscapes.Replace(s) + "'" }

var sqlEscapes = strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\n", `\n`, "\r", `\r`, "\t", `\t`, "\x00", `\0`)

// sqlSpec is a partition in SQL: `pt`='a',`hh`='1'. Any value can be written.
func sqlSpec(s table.Spec) (string, error) {
	if len(s) == 0 {
		return "", apierr.New(apierr.BadPartition, "no partition is named")
	}
	parts := make([]string, len(s))
	for i, p := range s {
		if !usableColumn(p.Column) || p.Value == "" {
			return "", apierr.New(apierr.BadPartition, "partition %s: bad column or empty value", s)
		}
		parts[i] = quoteName(p.Column) + "=" + quoteString(p.Value)
	}
	return strings.Join(parts, ","), nil
}

// usableColumn refuses names that would need an escape inside back-ticks: no SQL dialect of theirs defines one.
func usableColumn(s string) bool { return s != "" && !strings.ContainsAny(s, "`\x00\n\r") }

func createTableSQL(name table.Name, info *table.Info) (string, error) {
	s := &info.Schema
	if len(s.Columns) == 0 {
		return "", apierr.New(apierr.BadColumn, "a table needs at least one data column")
	}
	cols, err := columnList(s.Columns, true)
	if err != nil {
		return "", err
	}
	if len(s.PrimaryKey) > 0 {
		key, err := keyList(s)
		if err != nil {
			return "", err
		}
		cols += ", PRIMARY KEY (" + key + ")"
	}
	var b strings.Builder
	b.WriteString("CREATE TABLE " + quoteTable(name) + " (" + cols + ")")
	if info.Comment != "" {
		b.WriteString(" COMMENT " + quoteString(info.Comment))
	}
	if len(s.PartitionColumns) > 0 {
		parts, err := columnList(s.PartitionColumns, false)
		if err != nil {
			return "", err
		}
		b.WriteString(" PARTITIONED BY (" + parts + ")")
	}
	if info.Transactional {
		b.WriteString(" TBLPROPERTIES ('transactional'='true')")
	}
	if info.LifecycleDays < 0 {
		return "", apierr.New(apierr.BadArgument, "life cycle of %d days", info.LifecycleDays).With("field", "lifecycle_days")
	}
	if info.LifecycleDays > 0 {
		b.WriteString(" LIFECYCLE " + strconv.Itoa(info.LifecycleDays))
	}
	b.WriteByte(';')
	return b.String(), nil
}

// columnList is the definitions in order. Partition columns take neither NOT NULL nor a default.
func columnList(cols []table.Column, data bool) (string, error) {
	out := make([]string, len(cols))
	for i, c := range cols {
		if !usableColumn(c.Name) {
			return "", apierr.New(apierr.BadColumn, "%q is not a column name", c.Name)
		}
		out[i] = quoteName(c.Name) + " " + c.Type.String()
		if data && c.NotNull {
			out[i] += " NOT NULL"
		}
		if data && c.Default != nil {
			d, err := defaultSQL(c)
			if err != nil {
				return "", err
			}
			out[i] += " DEFAULT " + d
		}
		if c.Comment != "" {
			out[i] += " COMMENT " + quoteString(c.Comment)
		}
	}
	return strings.Join(out, ", "), nil
}

// defaultSQL writes a default as a literal, never as the text given: that would be a door for any expression.
func defaultSQL(c table.Column) (string, error) {
	text := *c.Default
	switch c.Type.Kind {
	case table.KindBoolean:
		if strings.EqualFold(text, "true") || strings.EqualFold(text, "false") {
			return strings.ToLower(text), nil
		}
	case table.KindTinyint, table.KindSmallint, table.KindInt, table.KindBigint:
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return strconv.FormatInt(n, 10), nil
		}
	case table.KindFloat, table.KindDouble, table.KindDecimal:
		if plainNumber(text) {
			return text, nil
		}
	case table.KindString, table.KindChar, table.KindVarchar, table.KindDate, table.KindDatetime, table.KindTimestamp, table.KindTimestampNTZ:
		return quoteString(text), nil
	}
	return "", apierr.New(apierr.BadArgument, "column %q: the default is no literal of type %s", c.Name, c.Type).With("field", "default_value")
}

func plainNumber(s string) bool {
	_, err := strconv.ParseFloat(s, 64)
	return err == nil && strings.Trim(s, "0123456789.-+eE") == ""
}

func keyList(s *table.Schema) (string, error) {
	out := make([]string, len(s.PrimaryKey))
	for i, k := range s.PrimaryKey {
		if !slices.ContainsFunc(s.Columns, func(c table.Column) bool { return strings.EqualFold(c.Name, k) }) {
			return "", apierr.New(apierr.BadColumn, "primary key names %q, which is no data column", k)
		}
		out[i] = quoteName(k)
	}
	return strings.Join(out, ", "), nil
}
