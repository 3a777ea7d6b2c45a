package rest

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-io/sluice/emulator/internal/instance"
	"github.com/sluice-io/sluice/emulator/internal/refusal"
	"github.com/sluice-io/sluice/emulator/internal/relation"
	"github.com/sluice-io/sluice/emulator/internal/sql"
	"github.com/sluice-io/sluice/emulator/internal/store"
	"github.com/sluice-io/sluice/emulator/internal/types"
)

// maxBatch is the most tables of one batch query.
const maxBatch = 100

type tableXML struct {
	XMLName          xml.Name `xml:"Table"`
	Format           string   `xml:"format,attr,omitempty"`
	Name             string
	TableID          string      `xml:"TableId"`
	Schema           *schemaJSON `xml:",omitempty"`
	Project          string
	SchemaName       string
	Owner            string
	Comment          string
	TableLabel       string
	CryptoAlgo       string
	TableMaskInfo    string
	CreationTime     string
	LastModifiedTime string
	LastAccessTime   string
	Type             string
}

type schemaJSON struct {
	Format string `xml:"format,attr"`
	Text   string `xml:",cdata"`
}

func (s *Service) describeTable(t store.Table) tableXML {
	return tableXML{
		Name: t.Key.Name, TableID: t.ID, Project: t.Key.Project, SchemaName: s.schemaName(t.Key.Schema), Owner: instance.OwnerOf(t), Comment: t.Comment,
		CreationTime: httpDate(t.Created), LastModifiedTime: httpDate(t.Modified), LastAccessTime: httpDate(t.Modified), Type: tableType(t),
	}
}

// tableType is the kind of a table in a client's words.
func tableType(t store.Table) string {
	if t.Kind == "" {
		return "MANAGED_TABLE"
	}
	return t.Kind
}

// schemaName is empty for the default schema of two-level names: clients would switch to
// three.
func (s *Service) schemaName(name string) string {
	if name == store.DefaultSchema && !s.schemas {
		return ""
	}
	return name
}

// fullTable has the schema in JSON too.
func (s *Service) fullTable(t store.Table, extended bool) (tableXML, error) {
	x := s.describeTable(t)
	j := newTableJSON(t)
	if extended {
		files, err := s.store.Files(t.Key, nil)
		if err != nil {
			return x, err
		}
		j.IsArchived, j.PhysicalSize, j.FileNum = new(bool), &j.Size, &files
	}
	text, err := json.Marshal(j)
	if err != nil {
		return x, fmt.Errorf("encode table %s: %w", t.Key, err)
	}
	x.Format, x.Schema = "SchemaInJson", &schemaJSON{Format: "Json", Text: string(text)}
	return x, nil
}

type columnJSON struct {
	Name                  string   `json:"name"`
	Type                  string   `json:"type"`
	Comment               string   `json:"comment"`
	Label                 string   `json:"label"`
	IsNullable            bool     `json:"isNullable"`
	DefaultValue          string   `json:"defaultValue"`
	HasDefaultValue       bool     `json:"hasDefaultValue"`
	ExtendedLabels        []string `json:"extendedLabels"`
	HasGenerateExpression bool     `json:"hasGenerateExpression"`
	GenerateExpression    string   `json:"generateExpression"`
}

type tableJSON struct {
	Columns            []columnJSON `json:"columns"`
	PartitionKeys      []columnJSON `json:"partitionKeys"`
	Comment            string       `json:"comment"`
	Owner              string       `json:"owner"`
	TableLabel         string       `json:"tableLabel"`
	ViewText           string       `json:"viewText"`
	ViewExpandedText   string       `json:"viewExpandedText"`
	CreateTime         int64        `json:"createTime"`
	LastModifiedTime   int64        `json:"lastModifiedTime"`
	LastDDLTime        int64        `json:"lastDDLTime"`
	LastAccessTime     int64        `json:"lastAccessTime"`
	IsVirtualView      bool         `json:"isVirtualView"`
	IsMaterializedView bool         `json:"isMaterializedView"`
	IsExternal         bool         `json:"isExternal"`
	IsObjectTable      bool         `json:"isObjectTable"`
	ShardExist         bool         `json:"shardExist"`
	Lifecycle          int          `json:"lifecycle"`
	HubLifecycle       int          `json:"hubLifecycle"`
	Size               int64        `json:"size"`
	RecordNum          int64        `json:"recordNum"`
	// The extended part.
	IsArchived   *bool   `json:"IsArchived,omitempty"`
	PhysicalSize *int64  `json:"PhysicalSize,omitempty"`
	FileNum      *int64  `json:"FileNum,omitempty"`
	Reserved     *string `json:"Reserved,omitempty"`
}

func newTableJSON(t store.Table) tableJSON {
	j := tableJSON{
		Columns: newColumns(t.Columns), PartitionKeys: newColumns(t.PartitionColumns), Comment: t.Comment, Owner: instance.OwnerOf(t),
		CreateTime: t.Created.Unix(), LastModifiedTime: t.LastDataModified.Unix(), LastDDLTime: t.LastDDL.Unix(), LastAccessTime: t.Modified.Unix(),
		Lifecycle: -1, HubLifecycle: -1, Size: t.Bytes, RecordNum: t.Rows,
	}
	if t.Lifecycle > 0 {
		j.Lifecycle = t.Lifecycle
	}
	j.IsVirtualView, j.IsMaterializedView = t.Kind == "VIRTUAL_VIEW", t.Kind == "MATERIALIZED_VIEW"
	j.IsExternal, j.IsObjectTable = t.Kind == "EXTERNAL_TABLE", t.Kind == "OBJECT_TABLE"
	j.ViewText, j.ViewExpandedText = t.ViewText, t.ViewText
	reserved := reservedJSON(t)
	j.Reserved = &reserved
	return j
}

func newColumns(columns []store.Column) []columnJSON {
	out := make([]columnJSON, len(columns))
	for i, c := range columns {
		out[i] = columnJSON{Name: c.Name, Type: c.Type.String(), Comment: c.Comment, IsNullable: c.Nullable, ExtendedLabels: []string{}}
		if c.Default != nil {
			out[i].DefaultValue, out[i].HasDefaultValue = *c.Default, true
		}
	}
	return out
}

func (s *Service) tables(w http.ResponseWriter, r *request) error {
	switch {
	case len(r.path) == 1 && r.Method == http.MethodGet:
		return s.listTables(w, r)
	case len(r.path) == 1 && r.Method == http.MethodPost && r.has("query"):
		return s.batchTables(w, r)
	case len(r.path) == 1:
		return badMethod(r)
	case len(r.path) > 2:
		return noRoute(r.Request)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		return badMethod(r)
	}
	key := store.NewKey(r.project, r.schema(), r.path[1])
	switch {
	case r.has("data"):
		return s.head(w, r, key)
	case r.has("partitions"):
		return s.listPartitions(w, r, key)
	case r.has("partition"):
		return s.partition(w, r, key)
	default:
		return s.table(w, r, key)
	}
}

func (s *Service) table(w http.ResponseWriter, r *request, key store.Key) error {
	t, err := s.store.Table(key)
	if err != nil {
		return err
	}
	x, err := s.fullTable(t, r.has("extended"))
	if err != nil {
		return err
	}
	stamp(w, t.Created, t.Modified)
	writeXML(w, http.StatusOK, x)
	return nil
}

// head answers with a table's first rows as text, the older way to look into one.
func (s *Service) head(w http.ResponseWriter, r *request, key store.Key) error {
	limit, err := strconv.Atoi(r.query.Get("linenum"))
	if err != nil || limit < 0 {
		return refusal.New(http.StatusBadRequest, "InvalidParameter", "ODPS-0420061:linenum=%q is no number of rows", r.query.Get("linenum"))
	}
	spec, err := types.ParsePartitionSpec(r.query.Get("partition"))
	if err != nil {
		return err
	}
	t, snapshots, err := s.store.SnapshotAll(key, spec)
	if err != nil {
		return err
	}
	rows := relation.New(t, snapshots)
	defer rows.Close()
	var positions []int
	var columns []sql.Column
	wanted := strings.Split(strings.ToLower(r.query.Get("cols")), ",")
	for i, c := range rows.Columns() {
		if r.query.Get("cols") == "" || slices.Contains(wanted, c.Name) {
			positions, columns = append(positions, i), append(columns, c)
		}
	}
	if r.query.Get("cols") != "" && len(columns) != len(wanted) {
		return refusal.New(http.StatusBadRequest, "InvalidParameter", "ODPS-0420061:table %s has not all of the columns %s", key, r.query.Get("cols"))
	}
	text, err := instance.CSV(columns, rows.Batches(r.Context(), positions), min(limit, instance.MaxCSVRows))
	if err != nil {
		return err
	}
	writeText(w, text)
	return nil
}

// tableTypes are the kinds that a list can be filtered by.
var tableTypes = []string{"MANAGED_TABLE", "VIRTUAL_VIEW", "EXTERNAL_TABLE", "MATERIALIZED_VIEW", "OBJECT_TABLE"}

func (s *Service) listTables(w http.ResponseWriter, r *request) error {
	p, err := r.page()
	if err != nil {
		return err
	}
	kind := strings.ToUpper(r.query.Get("type"))
	if kind != "" && !slices.Contains(tableTypes, kind) {
		return refusal.New(http.StatusBadRequest, "InvalidParameter", "ODPS-0420061:type=%q is none of %s", kind, strings.Join(tableTypes, ", "))
	}
	if err := s.requireSchema(r); err != nil {
		return err
	}
	list := struct {
		XMLName  xml.Name `xml:"Tables"`
		Marker   string
		MaxItems int
		Tables   []tableXML `xml:"Table"`
	}{MaxItems: p.limit}
	of := r.query.Get("owner")
	found, next, err := s.store.Tables(r.project, r.schema(), store.TableQuery{
		Prefix: r.query.Get("name"), After: p.after, Limit: p.limit,
		Keep: func(t store.Table) bool {
			return (kind == "" || tableType(t) == kind) && (of == "" || strings.EqualFold(of, instance.OwnerOf(t)))
		},
	})
	if err != nil {
		return err
	}
	list.Marker = marker(next)
	for _, t := range found {
		x := s.describeTable(t)
		if r.has("extended") {
			if x, err = s.fullTable(t, true); err != nil {
				return err
			}
		}
		list.Tables = append(list.Tables, x)
	}
	writeXML(w, http.StatusOK, list)
	return nil
}

// batchTables answers for the tables named in the body; unknown ones are left out.
func (s *Service) batchTables(w http.ResponseWriter, r *request) error {
	var body struct {
		XMLName xml.Name                                 `xml:"Tables"`
		Tables  []struct{ Project, Name, Schema string } `xml:"Table"`
	}
	if err := readXML(w, r.Request, &body); err != nil {
		return err
	}
	if len(body.Tables) > maxBatch {
		return refusal.New(http.StatusBadRequest, "InvalidArgument", "ODPS-0420061:%d tables asked for, at most %d at a time", len(body.Tables), maxBatch)
	}
	list := struct {
		XMLName xml.Name   `xml:"Tables"`
		Tables  []tableXML `xml:"Table"`
	}{}
	for _, named := range body.Tables {
		project, schema := named.Project, named.Schema
		if project == "" {
			project = r.project
		}
		if schema == "" {
			schema = r.schema()
		}
		t, err := s.store.Table(store.NewKey(project, schema, named.Name))
		if errors.Is(err, store.ErrNoSuchTable) {
			continue
		}
		if err != nil {
			return err
		}
		x, err := s.fullTable(t, true)
		if err != nil {
			return err
		}
		list.Tables = append(list.Tables, x)
	}
	writeXML(w, http.StatusOK, list)
	return nil
}
