package maxcompute

import (
	"context"
	"encoding/xml"
	"net/http"
	"net/url"
	"strconv"

	"golang.org/x/sync/errgroup"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/table"
)

// tableXML is one Table element of a get or a list.
type tableXML struct {
	Name             string `xml:"Name"`
	Project          string `xml:"Project"`
	SchemaName       string `xml:"SchemaName"`
	Owner            string `xml:"Owner"`
	Comment          string `xml:"Comment"`
	Type             string `xml:"Type"`
	Schema           string `xml:"Schema"`
	CreationTime     string `xml:"CreationTime"`
	LastModifiedTime string `xml:"LastModifiedTime"`
}

// Table describes a table: its schema, kind, size and times. TABLE_NOT_FOUND, PROJECT_NOT_FOUND, PERMISSION,
// TYPE_UNSUPPORTED for a column type that Sluice does not carry.
func (c *Client) Table(ctx context.Context, name table.Name) (*table.Info, error) {
	name, err := c.resolve(name)
	if err != nil {
		return nil, err
	}
	const op = "describe table"
	o := object{Project: name.Project, Table: name.String()}
	var plain, extended tableJSON
	var head tableXML
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) { head, plain, err = c.describe(gctx, op, o, name, false); return err })
	// Only the extended form tells whether the table is transactional and what its primary key is.
	g.Go(func() (err error) { _, extended, err = c.describe(gctx, op, o, name, true); return err })
	if err := g.Wait(); err != nil {
		return nil, err
	}
	schema, err := schemaOf(plain.Columns, plain.PartitionKeys)
	if err != nil {
		return nil, err
	}
	if plain.Reserved == "" {
		plain.Reserved = extended.Reserved
	}
	r := plain.reserved()
	schema.PrimaryKey = r.PrimaryKey
	return &table.Info{
		Name: name, Kind: plain.kind(head.Type), Schema: schema, Comment: plain.Comment, Owner: plain.Owner,
		LifecycleDays: max(plain.Lifecycle, 0), Transactional: r.transactional(),
		Created: unixTime(plain.CreateTime), Updated: unixTime(plain.LastDDLTime), DataUpdated: unixTime(plain.LastModifiedTime),
		Rows: known(plain.RecordNum), Bytes: known(plain.Size),
	}, nil
}

// describe gets one form of a table's description. Reads only: may be repeated.
func (c *Client) describe(ctx context.Context, op string, o object, name table.Name, extended bool) (tableXML, tableJSON, error) {
	q := withSchema(url.Values{}, name.Schema)
	if extended {
		q.Set("extended", "")
	}
	r, err := c.repeat(ctx, call{op: op, method: http.MethodGet, base: c.rest, path: metaPath(name), query: q, object: o, scope: scopeTable})
	if err != nil {
		return tableXML{}, tableJSON{}, err
	}
	var doc tableXML
	if err := parseXML(op, o, r.body, &doc); err != nil {
		return doc, tableJSON{}, err
	}
	j, err := parseTableJSON(op, o, []byte(doc.Schema))
	return doc, j, err
}

func parseXML(op string, o object, body []byte, v any) error {
	if err := xml.Unmarshal(body, v); err != nil {
		return o.annotate(apierr.Wrap(err, apierr.BackendUnavailable, "%s: reply is not readable", op))
	}
	return nil
}

// TableExists says whether there is a table of that name.
func (c *Client) TableExists(ctx context.Context, name table.Name) (bool, error) {
	name, err := c.resolve(name)
	if err != nil {
		return false, err
	}
	o := object{Project: name.Project, Table: name.String()}
	_, _, err = c.describe(ctx, "look for table", o, name, false)
	if apierr.Is(err, apierr.TableNotFound) {
		return false, nil
	}
	return err == nil, err
}

// ListTables gives one page of a project's tables, in the order upstream lists them, without schemas and sizes. prefix
// filters by name; pageSize 0 leaves the size to upstream, which may also give fewer; next is "" on the last page.
func (c *Client) ListTables(ctx context.Context, project, schema, prefix string, pageSize int, token string) (page []table.Info, next string, err error) {
	name, err := c.resolve(table.Name{Project: project, Schema: schema, Table: "t"})
	if err != nil {
		return nil, "", err
	}
	const op = "list tables"
	o := object{Project: name.Project}
	q := pageQuery(pageSize, token)
	if prefix != "" {
		q.Set("name", prefix)
	}
	r, err := c.repeat(ctx, call{
		op: op, method: http.MethodGet, base: c.rest, path: "/projects/" + name.Project + "/tables",
		query: withSchema(q, name.Schema), object: o, scope: scopeProject,
	})
	if err != nil {
		return nil, "", err
	}
	var doc struct {
		Marker string
		Table  []tableXML
	}
	if err := parseXML(op, o, r.body, &doc); err != nil {
		return nil, "", err
	}
	for _, t := range doc.Table {
		page = append(page, table.Info{
			Name: table.NewName(name.Project, name.Schema, t.Name), Kind: tableJSON{}.kind(t.Type), Owner: t.Owner, Comment: t.Comment,
			Created: httpTime(t.CreationTime), DataUpdated: httpTime(t.LastModifiedTime),
		})
	}
	return page, doc.Marker, nil
}

// pageQuery asks for a page; upstream ends a list with an empty marker.
func pageQuery(size int, marker string) url.Values {
	q := url.Values{"expectmarker": {"true"}}
	if size > 0 {
		q.Set("maxitems", strconv.Itoa(size))
	}
	if marker != "" {
		q.Set("marker", marker)
	}
	return q
}

// CreateTable makes a managed table from info's name, schema, comment, life cycle and Transactional; an existing one is
// TABLE_EXISTS. A call without an answer is not repeated: asked again, it would meet its own table.
func (c *Client) CreateTable(ctx context.Context, info *table.Info) error {
	name, err := c.resolve(info.Name)
	if err != nil {
		return err
	}
	text, err := createTableSQL(name, info)
	if err != nil {
		return err
	}
	return c.ddl(ctx, statement{op: "create table", text: text, object: object{Project: name.Project, Table: name.String()}}, name)
}

// DropTable drops a managed table; a missing one is TABLE_NOT_FOUND. Not repeated, as CreateTable.
func (c *Client) DropTable(ctx context.Context, name table.Name) error {
	name, err := c.resolve(name)
	if err != nil {
		return err
	}
	text := "DROP TABLE " + quoteTable(name) + ";"
	return c.ddl(ctx, statement{op: "drop table", text: text, object: object{Project: name.Project, Table: name.String()}}, name)
}
