package rest

import (
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"

	"github.com/sluice-io/sluice/emulator/internal/refusal"

	"github.com/sluice-io/sluice/emulator/internal/instance"
)

func (s *Service) showInstance(w http.ResponseWriter, r *request, i instance.Instance) error {
	if name := r.query.Get("taskname"); name != "" && name != i.Task.Name {
		return refusal.New(http.StatusNotFound, "NoSuchObject", "ODPS-0430104:instance %s has no task %q", i.ID, name)
	}
	switch {
	case r.has("taskstatus"):
		writeXML(w, http.StatusOK, statusXML(i))
	case r.has("result"):
		return writeResult(w, i, "")
	case r.has("source"):
		writeXML(w, http.StatusOK, sourceXML(i))
	case r.has("instanceprogress"):
		writeXML(w, http.StatusOK, progressXML(i))
	case r.has("instancesummary"):
		return writeSummary(w, i)
	case r.has("instancedetail"), r.has("detail"):
		writeJSON(w, detailJSON(i))
	case r.has("instancequota"):
		writeJSON(w, map[string]any{"GroupAlias": "default", "GroupId": 1, "Priority": i.Task.Priority, "Status": i.State.Status()})
	case r.has("cached"):
		writeJSON(w, queueingJSON(i))
	case r.has("log"):
		writeText(w, i.Text)
	case r.has("info"):
		writeText(w, infoText(r.query.Get("key")))
	default:
		return s.instanceStatus(w, r, i)
	}
	return nil
}

// instanceStatus answers whether an instance is over. One who says instancestatus waits
// for it, for a while.
func (s *Service) instanceStatus(w http.ResponseWriter, r *request, i instance.Instance) error {
	if r.has("instancestatus") {
		i = s.instances.Await(r.Context(), i, statusWait)
	}
	setHeader(w, "x-odps-owner", instance.Owner)
	setHeader(w, "x-odps-start-time", httpDate(i.Started))
	setHeader(w, "x-odps-end-time", endDate(i))
	if r.mcqa && i.State.Final() { // interactive clients ask for no result apart
		return writeResult(w, i, i.State.Status())
	}
	writeXML(w, http.StatusOK, struct {
		XMLName xml.Name `xml:"Instance"`
		Status  string
	}{Status: i.State.Status()})
	return nil
}

func endDate(i instance.Instance) string {
	if !i.State.Final() {
		return ""
	}
	return httpDate(i.Ended)
}

// infoText is a piece of information of a task under its key; nothing is kept but that
// there are no warnings.
func infoText(key string) string {
	if key == "warnings" {
		return `{"warnings":[]}`
	}
	return ""
}

type taskXML struct {
	XMLName          xml.Name `xml:"Task"`
	Type             string   `xml:",attr"`
	Name             string
	StartTime        string `xml:",omitempty"`
	EndTime          *string
	Status           string
	Histories        *struct{}
	Result           *resultXML
	ResultDescriptor *cdata
}

type resultXML struct {
	Transform string `xml:",attr,omitempty"`
	Format    string `xml:",attr"`
	Text      string `xml:",cdata"`
}

type instanceXML struct {
	XMLName xml.Name  `xml:"Instance"`
	Status  string    `xml:",omitempty"`
	Tasks   []taskXML `xml:"Tasks>Task"`
}

func statusXML(i instance.Instance) instanceXML {
	end := endDate(i)
	return instanceXML{Status: i.State.Status(), Tasks: []taskXML{{
		Type: i.Task.Kind, Name: i.Task.Name, StartTime: httpDate(i.Started), EndTime: &end, Status: i.State.TaskStatus(), Histories: &struct{}{},
	}}}
}

// writeResult answers with the task's result, and the instance's status if that is asked
// for too.
func writeResult(w http.ResponseWriter, i instance.Instance, status string) error {
	task := taskXML{
		Type: i.Task.Kind, Name: i.Task.Name, Status: i.State.TaskStatus(), Result: &resultXML{Format: "text", Text: i.Text},
		ResultDescriptor: &cdata{"{}"}, // without IsSelect, which the Java SDK's MaxQA client takes for a failure
	}
	switch {
	case i.State == instance.Succeeded && i.Result == nil:
		task.ResultDescriptor = &cdata{`{"IsSelect":false}`}
	case i.Result != nil:
		text, err := i.Result.CSV()
		if err != nil {
			return err
		}
		task.Result = &resultXML{Transform: "Base64", Format: "csv", Text: base64.StdEncoding.EncodeToString([]byte(text))}
		descriptor, err := descriptor(i.Result)
		if err != nil {
			return err
		}
		task.ResultDescriptor = &cdata{descriptor}
	}
	writeXML(w, http.StatusOK, instanceXML{Status: status, Tasks: []taskXML{task}})
	return nil
}

// descriptor is the JSON text that tells a result's columns.
func descriptor(r *instance.Result) (string, error) {
	type column struct{ Name, Type string }
	columns := make([]column, len(r.Columns))
	for i, c := range r.Columns {
		columns[i] = column{c.Name, c.Type.String()}
	}
	status := "Complete"
	if r.Rows > instance.MaxCSVRows {
		status = "Truncated" // clients refuse the text then, or warn
	}
	text, err := json.Marshal(map[string]any{"IsSelect": true, "SelectResultStatus": status, "Schema": map[string]any{"Columns": columns}})
	if err != nil {
		return "", fmt.Errorf("describe result: %w", err)
	}
	return string(text), nil
}

// sourceXML is the job as it was submitted, with Job as its root.
func sourceXML(i instance.Instance) any {
	type taskXML struct {
		XMLName xml.Name
		Name    string
		Config  []instance.Property `xml:"Config>Property"`
		Query   cdata
	}
	t := i.Task
	return struct {
		XMLName  xml.Name `xml:"Job"`
		Name     string   `xml:",omitempty"`
		Priority int
		GUID     string    `xml:"Guid,omitempty"`
		Tasks    []taskXML `xml:"Tasks>Task"`
	}{
		Name: t.Job, Priority: t.Priority, GUID: t.GUID,
		Tasks: []taskXML{{XMLName: xml.Name{Local: t.Kind}, Name: t.Name, Config: t.Properties, Query: cdata{t.Query}}},
	}
}
