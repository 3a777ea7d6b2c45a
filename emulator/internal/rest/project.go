package rest

import (
	"encoding/xml"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-io/sluice/emulator/internal/instance"
	"github.com/sluice-io/sluice/emulator/internal/refusal"
	"github.com/sluice-io/sluice/emulator/internal/store"
)

// schemaModel is the property that tells clients of three-level names. It says what the
// endpoint was started with.
const schemaModel = "odps.schema.model.enabled"

// maxProperties bounds how many properties a project keeps.
const maxProperties = 1000

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
	ExtendedProperties []property `xml:"ExtendedProperties>Property"`
	DefaultCluster     string
	Clusters           struct{}
	Region             string
	TenantID           string `xml:"TenantId"`
	Allow3Tier         bool
}

// defaults are the properties that hold of every project here and that
// properties=all adds.
func (s *Service) defaults() map[string]string {
	return map[string]string{
		schemaModel:                   strconv.FormatBool(s.schemas),
		"odps.sql.type.system.odps2":  "true",
		"odps.sql.decimal.odps2":      "true",
		"odps.sql.timezone":           "UTC",
		"odps.sql.allow.fullscan":     "true",
		"odps.table.lifecycle":        "optional",
		"odps.output.field.formatter": "",
	}
}

func (s *Service) describeProject(p store.Project, all bool) projectXML {
	x := projectXML{
		Name: p.Name, Type: "managed", Comment: p.Comment, State: "AVAILABLE", Region: s.region, TenantID: tenantID, Allow3Tier: s.schemas,
	}
	values := map[string]string{schemaModel: strconv.FormatBool(s.schemas)}
	if all {
		values = s.defaults()
	}
	maps.Copy(values, p.Properties)
	for name, value := range values {
		x.Properties = append(x.Properties, property{name, value})
	}
	slices.SortFunc(x.Properties, func(a, b property) int { return strings.Compare(a.Name, b.Name) })
	return x
}

// project answers GET, HEAD and PUT of a project.
func (s *Service) project(w http.ResponseWriter, r *request) error {
	if r.has("policy") {
		return refusal.New(http.StatusNotFound, "NoSuchPath", "ODPS-0420061:policies are not served by this endpoint")
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return s.showProject(w, r)
	case http.MethodPut:
		return s.updateProject(w, r)
	default:
		return badMethod(r)
	}
}

func (s *Service) showProject(w http.ResponseWriter, r *request) error {
	p, err := s.store.Project(r.project)
	if err != nil {
		return err
	}
	x := s.describeProject(p, r.query.Get("properties") == "all")
	x.Name = r.project
	if r.has("extended") {
		bytes, err := s.store.ProjectBytes(r.project)
		if err != nil {
			return err
		}
		size := strconv.FormatInt(bytes, 10)
		x.ExtendedProperties = []property{{"usedQuotaLogicalSize", size}, {"usedQuotaPhysicalSize", size}}
	}
	stamp(w, p.Created, p.Modified)
	writeXML(w, http.StatusOK, x)
	return nil
}

// updateProject sets the comment and the properties that the body names; one set to
// nothing is forgotten. Properties are kept and shown, and change nothing else.
func (s *Service) updateProject(w http.ResponseWriter, r *request) error {
	var body struct {
		XMLName    xml.Name `xml:"Project"`
		Name       string
		Comment    *string
		Properties []property `xml:"Properties>Property"`
	}
	if err := readXML(w, r.Request, &body); err != nil {
		return err
	}
	if body.Name != "" && !strings.EqualFold(body.Name, r.project) {
		return refusal.New(http.StatusBadRequest, "InvalidArgument", "ODPS-0420061:the body is about project %q, the path about %q", body.Name, r.project)
	}
	_, err := s.store.AlterProject(r.project, func(p *store.Project) error {
		if body.Comment != nil {
			p.Comment = *body.Comment
		}
		for _, set := range body.Properties {
			if err := s.setProperty(p, set); err != nil {
				return err
			}
		}
		if len(p.Properties) > maxProperties {
			return refusal.New(http.StatusBadRequest, "InvalidArgument", "ODPS-0420061:a project keeps at most %d properties", maxProperties)
		}
		return nil
	})
	return err
}

func (s *Service) setProperty(p *store.Project, set property) error {
	name, value := strings.TrimSpace(set.Name), set.Value
	switch {
	case name == "":
		return refusal.New(http.StatusBadRequest, "InvalidArgument", "ODPS-0420061:a property has no name")
	case name == schemaModel && !strings.EqualFold(value, strconv.FormatBool(s.schemas)):
		return refusal.New(http.StatusBadRequest, "InvalidArgument", "ODPS-0420061:%s is decided when the endpoint is started (--schemas)", schemaModel)
	case name == schemaModel:
	case value == "":
		delete(p.Properties, name)
	default:
		p.Properties[name] = value
	}
	return nil
}

// stamp writes the headers of ownership that clients index without a default.
func stamp(w http.ResponseWriter, created, modified time.Time) {
	setHeader(w, "x-odps-owner", instance.Owner)
	setHeader(w, "x-odps-creation-time", httpDate(created))
	setHeader(w, "Last-Modified", httpDate(modified))
}

// listProjects lists those that were configured, or else those that hold anything.
func (s *Service) listProjects(w http.ResponseWriter, r *request) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return badMethod(r)
	}
	p, err := r.page()
	if err != nil {
		return err
	}
	names, err := s.projectNames(r)
	if err != nil {
		return err
	}
	list := struct {
		XMLName  xml.Name `xml:"Projects"`
		Marker   string
		MaxItems int
		Projects []projectXML `xml:"Project"`
	}{MaxItems: p.limit}
	for _, name := range names {
		if p.after != "" && name <= p.after {
			continue
		}
		if len(list.Projects) == p.limit {
			list.Marker = marker(list.Projects[p.limit-1].Name)
			break
		}
		found, err := s.store.Project(name)
		if err != nil {
			return err
		}
		x := s.describeProject(found, false)
		x.Name = name
		x.Owner, x.CreationTime, x.LastModifiedTime = instance.Owner, httpDate(found.Created), httpDate(found.Modified)
		list.Projects = append(list.Projects, x)
	}
	writeXML(w, http.StatusOK, list)
	return nil
}

// projectNames are the sorted names that the request's filters leave. The owner is every
// project's only user, and there are no groups.
func (s *Service) projectNames(r *request) ([]string, error) {
	user := r.query.Get("user")
	if !r.ownedBy() || r.query.Get("group") != "" || user != "" && !strings.EqualFold(user, instance.Owner) {
		return nil, nil
	}
	names := slices.Clone(s.projects)
	if len(names) == 0 {
		var err error
		if names, err = s.store.Projects(); err != nil {
			return nil, err
		}
	}
	slices.Sort(names)
	prefix := strings.ToLower(r.query.Get("name"))
	return slices.DeleteFunc(names, func(name string) bool { return !strings.HasPrefix(strings.ToLower(name), prefix) }), nil
}

// lookup tells where the tunnel is: at the address that the client used for us.
func (s *Service) lookup(w http.ResponseWriter, r *request) error {
	if r.Method != http.MethodGet {
		return badMethod(r)
	}
	writeText(w, r.Host)
	return nil
}

// clientLog takes what clients report about themselves, and forgets it.
func clientLog(w http.ResponseWriter, r *request) error {
	if r.Method != http.MethodPut && r.Method != http.MethodPost {
		return badMethod(r)
	}
	if _, err := io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, maxBodyBytes)); err != nil {
		return refusal.New(http.StatusBadRequest, "InvalidArgument", "ODPS-0420061:read the request's body: %s", err)
	}
	return nil
}
