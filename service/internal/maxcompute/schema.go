package maxcompute

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/table"
)

// tableJSON is the Schema document of a table (maxcompute-protocol.md 5.2). Plain and extended replies fill different
// parts of it; both carry the columns.
type tableJSON struct {
	Columns            []columnJSON `json:"columns"`
	PartitionKeys      []columnJSON `json:"partitionKeys"`
	Comment            string       `json:"comment"`
	Owner              string       `json:"owner"`
	CreateTime         int64        `json:"createTime"`
	LastModifiedTime   int64        `json:"lastModifiedTime"`
	LastDDLTime        int64        `json:"lastDDLTime"`
	IsVirtualView      bool         `json:"isVirtualView"`
	IsMaterializedView bool         `json:"isMaterializedView"`
	IsExternal         bool         `json:"isExternal"`
	IsObjectTable      bool         `json:"isObjectTable"`
	Lifecycle          int          `json:"lifecycle"`
	Size               *int64       `json:"size"`
	RecordNum          *int64       `json:"recordNum"`
	Reserved           string       `json:"Reserved"` // a JSON object as text
}

type columnJSON struct {
	Name            string `json:"name"`
	Type            string `json:"type"`
	Comment         string `json:"comment"`
	IsNullable      *bool  `json:"isNullable"` // table metadata
	Nullable        *bool  `json:"nullable"`   // tunnel sessions
	HasDefaultValue *bool  `json:"hasDefaultValue"`
	DefaultValue    string `json:"defaultValue"`
	DefaultSnake    string `json:"default_value"`
}

// reservedJSON is what Reserved holds that we use. Transactional is a string there; a bool is taken too.
type reservedJSON struct {
	Transactional any      `json:"Transactional"`
	PrimaryKey    []string `json:"PrimaryKey"`
}

func (c columnJSON) column() (table.Column, error) {
	t, err := table.ParseType(c.Type)
	if err != nil {
		return table.Column{}, fmt.Errorf("column %q: %w", c.Name, err)
	}
	out := table.Column{Name: c.Name, Type: t, Comment: c.Comment}
	// A column that does not say is nullable: refusing NULLs that the table takes would be the worse mistake.
	for _, nullable := range []*bool{c.IsNullable, c.Nullable} {
		if nullable != nil && !*nullable {
			out.NotNull = true
		}
	}
	text := c.DefaultValue
	if text == "" {
		text = c.DefaultSnake
	}
	if text != "" && (c.HasDefaultValue == nil || *c.HasDefaultValue) {
		out.Default = &text
	}
	return out, nil
}

func columnsOf(in []columnJSON) ([]table.Column, error) {
	var out []table.Column
	for _, c := range in {
		col, err := c.column()
		if err != nil {
			return nil, err
		}
		out = append(out, col)
	}
	return out, nil
}

// schemaOf reads both column lists. A type that Sluice does not carry is TYPE_UNSUPPORTED and names the column.
func schemaOf(columns, partitions []columnJSON) (table.Schema, error) {
	cols, err := columnsOf(columns)
	if err != nil {
		return table.Schema{}, err
	}
	parts, err := columnsOf(partitions)
	if err != nil {
		return table.Schema{}, err
	}
	return table.Schema{Columns: cols, PartitionColumns: parts}, nil
}

func parseTableJSON(op string, o object, text []byte) (tableJSON, error) {
	var doc tableJSON
	if err := json.Unmarshal(text, &doc); err != nil {
		return doc, o.annotate(apierr.Wrap(err, apierr.BackendUnavailable, "%s: table description is not readable", op))
	}
	return doc, nil
}

func (d tableJSON) reserved() reservedJSON {
	var r reservedJSON
	if d.Reserved != "" {
		// Its keys vary between versions; one that is not readable says nothing about what we look for.
		_ = json.Unmarshal([]byte(d.Reserved), &r)
	}
	return r
}

func (r reservedJSON) transactional() bool {
	return strings.EqualFold(fmt.Sprint(r.Transactional), "true")
}

func (d tableJSON) kind(typ string) table.TableKind {
	switch {
	case d.IsMaterializedView || typ == "MATERIALIZED_VIEW":
		return table.MaterializedView
	case d.IsVirtualView || typ == "VIRTUAL_VIEW":
		return table.View
	case d.IsExternal || d.IsObjectTable || typ == "EXTERNAL_TABLE" || typ == "OBJECT_TABLE":
		return table.External
	}
	return table.Managed
}

// unixTime is the zero time for 0, "unknown".
func unixTime(seconds int64) time.Time {
	if seconds <= 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}

// httpTime reads RFC 1123; anything else is unknown.
func httpTime(text string) time.Time {
	t, err := time.Parse(time.RFC1123, text)
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

// known drops the −1 that stands for an unknown number.
func known(n *int64) *int64 {
	if n == nil || *n < 0 {
		return nil
	}
	return n
}
