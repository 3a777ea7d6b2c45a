package maxcompute

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/table"
)

// maxPartitionPages stops a list whose marker never ends; a table has at most 60,000 partitions.
const maxPartitionPages = 10_000

type partitionXML struct {
	Column []struct {
		Name  string `xml:"Name,attr"`
		Value string `xml:"Value,attr"`
	} `xml:"Column"`
	Schema               string `xml:"Schema"`
	CreationTime         int64  `xml:"CreationTime"` // unix seconds, unlike a table's
	LastModifiedTime     int64  `xml:"LastModifiedTime"`
	PartitionSize        *int64 `xml:"PartitionSize"`
	PartitionRecordCount *int64 `xml:"PartitionRecordCount"`
}

func (p partitionXML) info() table.PartitionInfo {
	out := table.PartitionInfo{
		Created: unixTime(p.CreationTime), DataUpdated: unixTime(p.LastModifiedTime),
		Rows: known(p.PartitionRecordCount), Bytes: known(p.PartitionSize),
	}
	for _, c := range p.Column {
		out.Spec = append(out.Spec, table.Part{Column: strings.ToLower(c.Name), Value: c.Value})
	}
	return out
}

// ListPartitions gives one page of a table's partitions in upstream's order. prefix, if not empty, holds the values of
// the first partition columns; only what matches is listed. pageSize and next as in ListTables.
func (c *Client) ListPartitions(ctx context.Context, name table.Name, prefix table.Spec, pageSize int, token string) (page []table.PartitionInfo, next string, err error) {
	name, err = c.resolve(name)
	if err != nil {
		return nil, "", err
	}
	const op = "list partitions"
	o := object{Project: name.Project, Table: name.String(), Partition: prefix.String()}
	q := pageQuery(pageSize, token)
	q.Set("partitions", "")
	if len(prefix) > 0 {
		text, err := restSpec(prefix)
		if err != nil {
			return nil, "", err
		}
		q.Set("partition", text)
	}
	r, err := c.repeat(ctx, call{op: op, method: http.MethodGet, base: c.rest, path: metaPath(name), query: withSchema(q, name.Schema), object: o, scope: scopeTable})
	if err != nil {
		return nil, "", err
	}
	var doc struct {
		Marker    string
		Partition []partitionXML
	}
	if err := parseXML(op, o, r.body, &doc); err != nil {
		return nil, "", err
	}
	for _, p := range doc.Partition {
		page = append(page, p.info())
	}
	return page, doc.Marker, nil
}

// Partitions lists all partitions in name order: value by value, as texts. A table without partition columns is whatever
// upstream makes of it, usually an empty list.
func (c *Client) Partitions(ctx context.Context, name table.Name) ([]table.PartitionInfo, error) {
	var all []table.PartitionInfo
	token := ""
	for range maxPartitionPages {
		page, next, err := c.ListPartitions(ctx, name, nil, 0, token)
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		if next == "" {
			slices.SortFunc(all, func(a, b table.PartitionInfo) int { return compareSpecs(a.Spec, b.Spec) })
			return all, nil
		}
		token = next
	}
	return nil, apierr.New(apierr.BackendUnavailable, "list partitions: the list of table %s does not end", name)
}

func compareSpecs(a, b table.Spec) int {
	return slices.CompareFunc(a, b, func(x, y table.Part) int { return cmp.Compare(x.Value, y.Value) })
}

// Partition describes one partition; PARTITION_NOT_FOUND, TABLE_NOT_FOUND.
func (c *Client) Partition(ctx context.Context, ref table.Ref) (*table.PartitionInfo, error) {
	name, err := c.resolve(ref.Name)
	if err != nil {
		return nil, err
	}
	spec, err := restSpec(ref.Partition)
	if err != nil {
		return nil, err
	}
	const op = "describe partition"
	o := objectOf(table.Ref{Name: name, Partition: ref.Partition})
	q := withSchema(url.Values{"partition": {spec}}, name.Schema)
	r, err := c.repeat(ctx, call{op: op, method: http.MethodGet, base: c.rest, path: metaPath(name), query: q, object: o, scope: scopePartition})
	if err != nil {
		return nil, err
	}
	var doc partitionXML
	if err := parseXML(op, o, r.body, &doc); err != nil {
		return nil, err
	}
	var j struct {
		CreateTime, LastModifiedTime      int64
		PartitionSize, PartitionRecordNum *int64
	}
	if err := json.Unmarshal([]byte(doc.Schema), &j); err != nil {
		return nil, o.annotate(apierr.Wrap(err, apierr.BackendUnavailable, "%s: reply is not readable", op))
	}
	return &table.PartitionInfo{
		Spec: ref.Partition, Created: unixTime(j.CreateTime), DataUpdated: unixTime(j.LastModifiedTime),
		Rows: known(j.PartitionRecordNum), Bytes: known(j.PartitionSize),
	}, nil
}

// PartitionExists says whether the partition exists; a missing table is an error.
func (c *Client) PartitionExists(ctx context.Context, ref table.Ref) (bool, error) {
	_, err := c.Partition(ctx, ref)
	if apierr.Is(err, apierr.PartitionNotFound) {
		return false, nil
	}
	return err == nil, err
}

// CreatePartition adds a partition; an existing one is PARTITION_EXISTS. Not repeated, as CreateTable.
func (c *Client) CreatePartition(ctx context.Context, ref table.Ref) error {
	return c.alterPartition(ctx, "create partition", ref, "ADD")
}

// DropPartition drops a partition and its rows; a missing one is PARTITION_NOT_FOUND. Not repeated, as CreateTable.
func (c *Client) DropPartition(ctx context.Context, ref table.Ref) error {
	return c.alterPartition(ctx, "drop partition", ref, "DROP")
}

func (c *Client) alterPartition(ctx context.Context, op string, ref table.Ref, verb string) error {
	name, err := c.resolve(ref.Name)
	if err != nil {
		return err
	}
	spec, err := sqlSpec(ref.Partition)
	if err != nil {
		return err
	}
	text := "ALTER TABLE " + quoteTable(name) + " " + verb + " PARTITION (" + spec + ");"
	o := objectOf(table.Ref{Name: name, Partition: ref.Partition})
	return c.ddl(ctx, statement{op: op, text: text, object: o}, name)
}

// restSpec is a partition as REST spells it, pt='a',hh='1'; tunnelSpec as the tunnel does, pt=a,hh=1. Neither can hold
// every value, so what they cannot is BAD_PARTITION instead of another partition.
func restSpec(s table.Spec) (string, error) { return joinSpec(s, "'") }

func tunnelSpec(s table.Spec) (string, error) { return joinSpec(s, "") }

func joinSpec(s table.Spec, quote string) (string, error) {
	if !s.Expressible() {
		return "", apierr.New(apierr.BadPartition, "partition %s: a value is empty or holds one of / , = ' or outer blanks", s)
	}
	parts := make([]string, len(s))
	for i, p := range s {
		if !plainName(p.Column) || strings.ContainsAny(p.Value, "\"\x00\r\n") {
			return "", apierr.New(apierr.BadPartition, "partition %s cannot be named upstream", s)
		}
		parts[i] = p.Column + "=" + quote + p.Value + quote
	}
	return strings.Join(parts, ","), nil
}
