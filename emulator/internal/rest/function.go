package rest

import (
	"encoding/xml"
	"net/http"
	"strings"

	"github.com/sluice-io/sluice/emulator/internal/instance"
	"github.com/sluice-io/sluice/emulator/internal/refusal"
	"github.com/sluice-io/sluice/emulator/internal/store"
)

type functionXML struct {
	XMLName            xml.Name `xml:"Function"`
	SchemaName         string
	Alias              string
	Owner              string
	CreationTime       string
	LastModifiedTime   string
	ClassType          string
	Resources          []string `xml:"Resources>ResourceName"`
	IsSQLFunction      bool     `xml:"IsSqlFunction"`
	SQLDefinitionText  string   `xml:"SqlDefinitionText"`
	IsEmbeddedFunction bool
	ProgramLanguage    string
	Code               string
	FileName           string
}

func (s *Service) describeFunction(f store.Function) functionXML {
	return functionXML{
		SchemaName: s.schemaName(f.Schema), Alias: f.Name, Owner: f.Owner, CreationTime: httpDate(f.Created), LastModifiedTime: httpDate(f.Modified),
		ClassType: f.ClassType, Resources: f.Resources, IsSQLFunction: f.SQL, SQLDefinitionText: f.Definition,
		IsEmbeddedFunction: f.Embedded, ProgramLanguage: f.Language, Code: f.Code, FileName: f.FileName,
	}
}

// functions answers everything below /projects/P/registration/functions. Functions are
// kept and shown; queries cannot call them.
func (s *Service) functions(w http.ResponseWriter, r *request) error {
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case len(r.path) < 2 || len(r.path) > 3 || r.path[1] != "functions":
		return noRoute(r.Request)
	case len(r.path) == 2 && reads:
		return s.listFunctions(w, r)
	case len(r.path) == 2 && r.Method == http.MethodPost:
		return s.createFunction(w, r)
	case len(r.path) == 2:
		return badMethod(r)
	}
	schema := r.schema()
	if schema == "" {
		schema = r.query.Get("schema") // one client's update
	}
	key := store.NewKey(r.project, schema, r.path[2])
	switch {
	case reads:
		f, err := s.store.Function(key)
		if err != nil {
			return err
		}
		stamp(w, f.Created, f.Modified)
		writeXML(w, http.StatusOK, s.describeFunction(f))
		return nil
	case r.Method == http.MethodPut:
		return s.updateFunction(w, r, key)
	case r.Method == http.MethodDelete:
		return s.store.DropFunction(key)
	default:
		return badMethod(r)
	}
}

// functionBody reads what a client registers.
func functionBody(w http.ResponseWriter, r *request) (store.Function, error) {
	var body struct {
		XMLName    xml.Name `xml:"Function"`
		SchemaName string
		Alias      string
		ClassType  string
		// Clients write one element with several names, or several with one each.
		Resources          []struct{ ResourceName []string }
		IsSQLFunction      string `xml:"IsSqlFunction"`
		SQLDefinitionText  string `xml:"SqlDefinitionText"`
		IsEmbeddedFunction string
		ProgramLanguage    string
		Code               string
		FileName           string
	}
	if err := readXML(w, r.Request, &body); err != nil {
		return store.Function{}, err
	}
	f := store.Function{
		Project: r.project, Schema: r.schema(), Name: strings.TrimSpace(body.Alias), Owner: instance.Owner, ClassType: strings.TrimSpace(body.ClassType),
		SQL: strings.EqualFold(body.IsSQLFunction, "true"), Definition: body.SQLDefinitionText,
		Embedded: strings.EqualFold(body.IsEmbeddedFunction, "true"), Language: body.ProgramLanguage, Code: body.Code, FileName: body.FileName,
	}
	if f.Schema == "" {
		f.Schema = body.SchemaName
	}
	for _, list := range body.Resources {
		f.Resources = append(f.Resources, list.ResourceName...)
	}
	return f, nil
}

func (s *Service) createFunction(w http.ResponseWriter, r *request) error {
	f, err := functionBody(w, r)
	if err != nil {
		return err
	}
	if _, err := s.store.CreateFunction(f); err != nil {
		return err
	}
	w.WriteHeader(http.StatusCreated)
	return nil
}

// updateFunction replaces what runs under a name, or only the owner.
func (s *Service) updateFunction(w http.ResponseWriter, r *request, key store.Key) error {
	if r.has("updateowner") {
		name := r.Header.Get("x-odps-owner")
		if name == "" {
			return refusal.New(http.StatusBadRequest, "InvalidArgument", "ODPS-0420061:the header x-odps-owner names no owner")
		}
		_, err := s.store.AlterFunction(key, func(f *store.Function) error {
			f.Owner = name
			return nil
		})
		return err
	}
	body, err := functionBody(w, r)
	if err != nil {
		return err
	}
	if !strings.EqualFold(body.Name, key.Name) {
		return refusal.New(http.StatusBadRequest, "InvalidArgument", "ODPS-0420061:the body is about function %q, the path about %q", body.Name, key.Name)
	}
	_, err = s.store.AlterFunction(key, func(f *store.Function) error {
		body.Owner = f.Owner
		*f = body
		return nil
	})
	return err
}

func (s *Service) listFunctions(w http.ResponseWriter, r *request) error {
	p, err := r.page()
	if err != nil {
		return err
	}
	if err := s.requireSchema(r); err != nil {
		return err
	}
	list := struct {
		XMLName   xml.Name `xml:"Functions"`
		Marker    string
		MaxItems  int
		Functions []functionXML `xml:"Function"`
	}{MaxItems: p.limit}
	q := store.NameQuery{Prefix: r.query.Get("name"), After: p.after, Limit: p.limit}
	for {
		found, next, err := s.store.Functions(r.project, r.schema(), q)
		if err != nil {
			return err
		}
		for _, f := range found {
			if of := r.query.Get("owner"); of == "" || strings.EqualFold(of, f.Owner) {
				list.Functions = append(list.Functions, s.describeFunction(f))
			}
		}
		list.Marker = marker(next)
		if len(list.Functions) > 0 || next == "" {
			break
		}
		q.After = next // a page that the filter left empty would look like the end
	}
	writeXML(w, http.StatusOK, list)
	return nil
}
