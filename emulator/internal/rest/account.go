package rest

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// tenantID is the name of the one tenant.
const tenantID = "local"

// account answers what belongs to no project: the tenant, quotas, the log view.
func (s *Service) account(w http.ResponseWriter, r *request, parts []string) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return badMethod(r)
	}
	switch path := strings.Join(parts, "/"); {
	case path == "tenants":
		return s.tenant(w)
	case path == "quotas":
		writeXML(w, http.StatusOK, struct {
			XMLName  xml.Name `xml:"Quotas"`
			Marker   string
			MaxItems int
			Quotas   []quotaXML `xml:"Quota"`
		}{MaxItems: defaultPage, Quotas: []quotaXML{s.quota("default")}})
		return nil
	case parts[0] == "quotas" && len(parts) == 2:
		// What an interactive client (MaxQA) sends with its statements from then on.
		setHeader(w, "x-odps-mcqa-conn", "local/"+parts[1])
		writeXML(w, http.StatusOK, s.quota(parts[1]))
		return nil
	case path == "connection/mcqa": // the Java SDK's (0.57.1) way to the same
		quota := r.query.Get("quota")
		if quota == "" {
			quota = "default"
		}
		writeJSON(w, map[string]string{"quotaNickName": quota, "connInfo": "local/" + quota, "regionId": s.region})
		return nil
	case path == "logview":
		return s.logView(w, r)
	case path == "logview/host":
		writeText(w, "http://"+r.Host)
		return nil
	default:
		return noRoute(r.Request)
	}
}

// tenant answers the probe for three-level names.
func (s *Service) tenant(w http.ResponseWriter) error {
	created, err := s.store.Created()
	if err != nil {
		return err
	}
	writeJSON(w, map[string]any{"Tenant": map[string]any{
		"Name": tenantID, "OwnerId": ownerID, "TenantId": tenantID, "State": "NORMAL", "TenantState": "NORMAL",
		"CreateTime": created.Unix(), "UpdateTime": created.Unix(), "TenantMeta": "",
		"Parameters": map[string]string{"odps.namespace.schema": strconv.FormatBool(s.schemas)},
	}})
	return nil
}

type quotaXML struct {
	XMLName            xml.Name `xml:"Quota"`
	ID                 string
	Name               string
	Nickname           string
	Cluster            string
	IsEnabled          bool
	ResourceSystemType string
	TenantID           string `xml:"TenantId"`
	Region             string
	Status             string
	CreateTimeMs       int64
	LastModifiedTimeMs int64
	IsMetaOnly         bool
}

// quota describes one. Every name is a quota: all of them are this machine, which answers
// interactively.
func (s *Service) quota(name string) quotaXML {
	return quotaXML{
		ID: name, Name: name, Nickname: name, Cluster: "local", IsEnabled: true, ResourceSystemType: "FUXI_VW",
		TenantID: tenantID, Region: "local", Status: "ON",
	}
}

// logView shows an instance to a person who follows the address that clients print.
func (s *Service) logView(w http.ResponseWriter, r *request) error {
	i, err := s.instances.Get(r.query.Get("p"), r.query.Get("i"))
	if err != nil {
		return err
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	writeText(w, fmt.Sprintf("instance %s of project %s\nstate    %s\nstarted  %s\nended    %s\n\n%s\n\n%s\n",
		i.ID, i.Project, i.State.TaskStatus(), httpDate(i.Started), endDate(i), i.Task.Query, i.Text))
	return nil
}
