package rest

import (
	"encoding/xml"
	"net/http"
	"strings"

	"github.com/sluice-io/sluice/emulator/internal/instance"
	"github.com/sluice-io/sluice/emulator/internal/refusal"
	"github.com/sluice-io/sluice/emulator/internal/store"
)

// schemaXML has what is the same under the names that different clients look for.
type schemaXML struct {
	XMLName          xml.Name `xml:"Schema"`
	Name             string
	Owner            string
	Project          string
	Type             string
	Comment          string
	Description      string
	CreateTime       string
	ModifyTime       string
	ModifiedTime     string
	CreationTime     string
	LastModifiedTime string
}

func describeSchema(s store.Schema) schemaXML {
	created, modified := httpDate(s.Created), httpDate(s.Modified)
	return schemaXML{
		Name: s.Name, Owner: instance.Owner, Project: s.Project, Type: "managed", Comment: s.Comment, Description: s.Comment,
		CreateTime: created, CreationTime: created, ModifyTime: modified, ModifiedTime: modified, LastModifiedTime: modified,
	}
}

func (s *Service) schemaRoutes(w http.ResponseWriter, r *request) error {
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case len(r.path) == 1 && reads:
		return s.listSchemas(w, r)
	case len(r.path) == 1 && r.Method == http.MethodPost:
		return s.createSchema(w, r)
	case len(r.path) == 2 && reads:
		found, err := s.store.Schema(r.project, r.path[1])
		if err != nil {
			return err
		}
		stamp(w, found.Created, found.Modified)
		writeXML(w, http.StatusOK, describeSchema(found))
		return nil
	case len(r.path) == 2 && r.Method == http.MethodDelete:
		return s.store.DropSchema(r.project, r.path[1], false)
	case len(r.path) > 2:
		return noRoute(r.Request)
	default:
		return badMethod(r)
	}
}

func (s *Service) createSchema(w http.ResponseWriter, r *request) error {
	var body struct {
		XMLName     xml.Name `xml:"Schema"`
		Name        string
		Project     string
		Comment     string
		Description string
		IfNotExists string
	}
	if err := readXML(w, r.Request, &body); err != nil {
		return err
	}
	if body.Project != "" && !strings.EqualFold(body.Project, r.project) {
		return refusal.New(http.StatusBadRequest, "InvalidArgument", "ODPS-0420061:the body is about project %q, the path about %q", body.Project, r.project)
	}
	if body.Comment == "" {
		body.Comment = body.Description
	}
	if _, err := s.store.CreateSchema(r.project, body.Name, body.Comment, strings.EqualFold(body.IfNotExists, "true")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusCreated)
	return nil
}

func (s *Service) listSchemas(w http.ResponseWriter, r *request) error {
	p, err := r.page()
	if err != nil {
		return err
	}
	list := struct {
		XMLName  xml.Name `xml:"Schemas"`
		Schemas  []schemaXML
		Marker   string
		MaxItems int
	}{MaxItems: p.limit}
	if r.ownedBy() {
		found, next, err := s.store.Schemas(r.project, store.NameQuery{Prefix: r.query.Get("name"), After: p.after, Limit: p.limit})
		if err != nil {
			return err
		}
		for _, one := range found {
			list.Schemas = append(list.Schemas, describeSchema(one))
		}
		list.Marker = marker(next)
	}
	writeXML(w, http.StatusOK, list)
	return nil
}

// requireSchema refuses to list what is in a schema that does not exist, where schemas
// must be created. Elsewhere it is as good as empty.
func (s *Service) requireSchema(r *request) error {
	if !s.schemas || r.schema() == "" {
		return nil
	}
	_, err := s.store.Schema(r.project, r.schema())
	return err
}
