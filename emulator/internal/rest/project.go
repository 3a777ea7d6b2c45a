package rest

import (
	"encoding/xml"
	"io"
	"net/http"
	"slices"

	"github.com/sluice-io/sluice/emulator/internal/store"
)

type property struct{ Name, Value string }

type projectXML struct {
	XMLName            xml.Name `xml:"Project"`
	Name               string
	Type               string
	Comment            string
	State              string
	ProjectGroupName   string
	Owner              string     `xml:",omitempty"`
	CreationTime       string     `xml:",omitempty"`
	LastModifiedTime   string     `xml:",omitempty"`
	Properties         []property `xml:"Properties>Property"`
	ExtendedProperties struct{}
	DefaultCluster     string
	Clusters           struct{}
	Region             string
	TenantID           string `xml:"TenantId"`
}

func newProject(name string) projectXML {
	return projectXML{
		Name: name, Type: "managed", State: "AVAILABLE", Region: "local", TenantID: "local",
		Properties: []property{{"odps.schema.model.enabled", "false"}},
	}
}

// project answers GET, HEAD and PUT of a project. Properties cannot be changed; PUT is
// accepted because clients write some of their own.
func (s *Service) project(w http.ResponseWriter, r *request) error {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		s.stamp(w)
		writeXML(w, http.StatusOK, newProject(r.project))
		return nil
	case http.MethodPut:
		_, err := io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, maxBodyBytes))
		return err
	default:
		return badMethod(r)
	}
}

// stamp writes the headers of ownership that clients index without a default.
func (s *Service) stamp(w http.ResponseWriter) {
	setHeader(w, "x-odps-owner", owner)
	setHeader(w, "x-odps-creation-time", httpDate(s.started))
	setHeader(w, "Last-Modified", httpDate(s.started))
}

func (s *Service) listProjects(w http.ResponseWriter) error {
	list := struct {
		XMLName  xml.Name `xml:"Projects"`
		Marker   string
		MaxItems int
		Projects []projectXML `xml:"Project"`
	}{MaxItems: defaultPage}
	for _, name := range s.projects {
		p := newProject(name)
		p.Owner, p.CreationTime, p.LastModifiedTime = owner, httpDate(s.started), httpDate(s.started)
		list.Projects = append(list.Projects, p)
	}
	writeXML(w, http.StatusOK, list)
	return nil
}

// lookup tells where the tunnel is: at the address that the client used for us.
func (s *Service) lookup(w http.ResponseWriter, r *request) error {
	if r.Method != http.MethodGet {
		return badMethod(r)
	}
	writeText(w, r.Host)
	return nil
}

// tenant answers the probe for three-level names: projects here have two.
func (s *Service) tenant(w http.ResponseWriter) error {
	writeJSON(w, map[string]any{"Tenant": map[string]any{
		"Name": "local", "OwnerId": "1", "TenantId": "local", "State": "NORMAL", "TenantState": "NORMAL",
		"CreateTime": s.started.Unix(), "UpdateTime": s.started.Unix(), "TenantMeta": "",
		"Parameters": map[string]string{"odps.namespace.schema": "false"},
	}})
	return nil
}

type schemaXML struct {
	XMLName          xml.Name `xml:"Schema"`
	Name             string
	Owner            string
	Project          string
	CreationTime     string
	LastModifiedTime string
}

// schemas answers for the schemas that hold tables, and for the default one. A schema
// comes to be with its first table.
func (s *Service) schemas(w http.ResponseWriter, r *request) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return badMethod(r)
	}
	names, err := s.store.Schemas(r.project)
	if err != nil {
		return err
	}
	if !slices.Contains(names, store.DefaultSchema) {
		names = append(names, store.DefaultSchema)
		slices.Sort(names)
	}
	describe := func(name string) schemaXML {
		return schemaXML{Name: name, Owner: owner, Project: r.project, CreationTime: httpDate(s.started), LastModifiedTime: httpDate(s.started)}
	}
	if len(r.path) == 2 {
		if !slices.Contains(names, r.path[1]) {
			return errorf(http.StatusNotFound, "NoSuchSchema", "ODPS-0422155:schema not found - %s.%s", r.project, r.path[1])
		}
		s.stamp(w)
		writeXML(w, http.StatusOK, describe(r.path[1]))
		return nil
	}
	list := struct {
		XMLName  xml.Name `xml:"Schemas"`
		Schemas  []schemaXML
		Marker   string
		MaxItems int
	}{MaxItems: defaultPage}
	for _, name := range names {
		list.Schemas = append(list.Schemas, describe(name))
	}
	writeXML(w, http.StatusOK, list)
	return nil
}
