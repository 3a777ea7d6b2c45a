package rest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// submitWait is how long the answer to a submission waits for the task's end: clients look
// at the state at once, and then only every second.
const submitWait = time.Second

type taskSubmitted struct {
	XMLName    xml.Name
	Name       string
	Properties []property `xml:"Config>Property"`
	Query      string
}

// instanceRoutes answers everything below /projects/P/instances.
func (s *Service) instanceRoutes(w http.ResponseWriter, r *request) error {
	switch {
	case len(r.path) == 1 && r.Method == http.MethodPost:
		return s.submit(w, r)
	case len(r.path) == 1 && r.Method == http.MethodGet:
		return s.listInstances(w, r)
	case len(r.path) != 2:
		return noRoute(r.Request)
	case r.Method == http.MethodPut:
		return s.stopInstance(w, r)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		return badMethod(r)
	}
	i, err := s.instances.Get(r.project, r.path[1])
	if err != nil {
		return err
	}
	return s.showInstance(w, r, i)
}

func (s *Service) showInstance(w http.ResponseWriter, r *request, i Instance) error {
	switch {
	case r.has("taskstatus"):
		writeXML(w, http.StatusOK, statusXML(i))
	case r.has("result"):
		return writeResult(w, i)
	case r.has("source"):
		writeXML(w, http.StatusOK, sourceXML(i))
	case r.has("instanceprogress"):
		writeXML(w, http.StatusOK, progressXML(i))
	case r.has("instancesummary"):
		writeJSON(w, map[string]any{"Instance": map[string]string{"JsonSummary": "{}", "Summary": ""}})
	case r.has("instancedetail"):
		writeJSON(w, map[string]any{"Instance": map[string]any{"Status": i.State.status(), "Stages": []any{}}})
	case r.has("cached"), r.has("instancequota"):
		writeJSON(w, map[string]any{})
	case r.has("log"), r.has("info"):
		writeText(w, i.Text)
	default:
		setHeader(w, "x-odps-owner", owner)
		setHeader(w, "x-odps-start-time", httpDate(i.Started))
		setHeader(w, "x-odps-end-time", endDate(i))
		writeXML(w, http.StatusOK, struct {
			XMLName xml.Name `xml:"Instance"`
			Status  string
		}{Status: i.State.status()})
	}
	return nil
}

func endDate(i Instance) string {
	if !i.State.final() {
		return ""
	}
	return httpDate(i.Ended)
}

// submit takes one SQL task.
func (s *Service) submit(w http.ResponseWriter, r *request) error {
	var body struct {
		XMLName xml.Name `xml:"Instance"`
		Job     struct {
			Priority int
			GUID     string `xml:"Guid"`
			Tasks    struct {
				Items []taskSubmitted `xml:",any"`
			}
		}
	}
	if err := readXML(w, r.Request, &body); err != nil {
		return err
	}
	task, err := newTask(body.Job.Tasks.Items)
	if err != nil {
		return err
	}
	task.Priority = body.Job.Priority
	if task.UUID == "" {
		task.UUID = body.Job.GUID
	}
	i, err := s.instances.Submit(r.project, task)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), submitWait)
	i = s.instances.settle(ctx, i)
	cancel()
	w.Header().Set("Location", "http://"+r.Host+"/api/projects/"+r.project+"/instances/"+i.ID)
	if r.has("tryWait") && i.State.final() {
		return writeResult(w, i)
	}
	w.WriteHeader(http.StatusCreated) // the body must be empty
	return nil
}

func newTask(items []taskSubmitted) (Task, error) {
	if len(items) != 1 {
		return Task{}, errorf(http.StatusBadRequest, "InvalidArgument", "ODPS-0420061:%d tasks submitted, one is expected", len(items))
	}
	t := items[0]
	if t.XMLName.Local != "SQL" {
		return Task{}, errorf(http.StatusBadRequest, "InvalidArgument", "ODPS-0420061:a task of type %s is not supported by this endpoint", t.XMLName.Local)
	}
	task := Task{Name: t.Name, Query: t.Query, Settings: map[string]string{}}
	for _, p := range t.Properties {
		switch p.Name {
		case "uuid":
			task.UUID = p.Value
		case "settings":
			var values map[string]any
			if err := json.Unmarshal([]byte(p.Value), &values); err != nil {
				return Task{}, errorf(http.StatusBadRequest, "InvalidArgument", "ODPS-0420061:the settings are no JSON object: %s", err)
			}
			for key, value := range values {
				task.Settings[key] = fmt.Sprint(value)
			}
		}
	}
	return task, nil
}

func (s *Service) stopInstance(w http.ResponseWriter, r *request) error {
	var body struct {
		XMLName xml.Name `xml:"Instance"`
		Status  string
	}
	if err := readXML(w, r.Request, &body); err != nil {
		return err
	}
	if !strings.EqualFold(body.Status, "Terminated") {
		return errorf(http.StatusBadRequest, "InvalidStateSetting", "ODPS-0420061:an instance can be set to Terminated, not to %q", body.Status)
	}
	return s.instances.Stop(r.Context(), r.project, r.path[1])
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

func statusXML(i Instance) instanceXML {
	end := endDate(i)
	return instanceXML{Status: i.State.status(), Tasks: []taskXML{{
		Type: "SQL", Name: i.Task.Name, StartTime: httpDate(i.Started), EndTime: &end, Status: i.State.taskStatus(), Histories: &struct{}{},
	}}}
}

func writeResult(w http.ResponseWriter, i Instance) error {
	task := taskXML{Type: "SQL", Name: i.Task.Name, Status: i.State.taskStatus(), Result: &resultXML{Format: "text", Text: i.Text}}
	if i.Result != nil {
		text, err := i.Result.csv()
		if err != nil {
			return err
		}
		task.Result = &resultXML{Transform: "Base64", Format: "csv", Text: base64.StdEncoding.EncodeToString([]byte(text))}
		descriptor, err := i.Result.descriptor()
		if err != nil {
			return err
		}
		task.ResultDescriptor = &cdata{descriptor}
	}
	writeXML(w, http.StatusOK, instanceXML{Tasks: []taskXML{task}})
	return nil
}

// descriptor is the JSON text that tells a result's columns.
func (r *Result) descriptor() (string, error) {
	type column struct{ Name, Type string }
	columns := make([]column, len(r.Columns))
	for i, c := range r.Columns {
		columns[i] = column{c.Name, c.Type.String()}
	}
	text, err := json.Marshal(map[string]any{"IsSelect": true, "Schema": map[string]any{"Columns": columns}})
	if err != nil {
		return "", fmt.Errorf("describe result: %w", err)
	}
	return string(text), nil
}

// sourceXML is the job as it was submitted, with Job as its root.
func sourceXML(i Instance) any {
	type sqlXML struct {
		XMLName xml.Name `xml:"SQL"`
		Name    string
		Config  []property `xml:"Config>Property"`
		Query   cdata
	}
	task := sqlXML{Name: i.Task.Name, Query: cdata{i.Task.Query}}
	if len(i.Task.Settings) > 0 {
		text, err := json.Marshal(i.Task.Settings)
		if err != nil { // strings only
			panic(err)
		}
		task.Config = []property{{"settings", string(text)}}
	}
	return struct {
		XMLName  xml.Name `xml:"Job"`
		Priority int
		Tasks    []sqlXML `xml:"Tasks>SQL"`
	}{Priority: i.Task.Priority, Tasks: []sqlXML{task}}
}

func progressXML(i Instance) any {
	type stage struct {
		ID                 string `xml:",attr"`
		Status             string
		BackupWorkers      int
		TerminatedWorkers  int
		RunningWorkers     int
		TotalWorkers       int
		InputRecords       int64
		OutputRecords      int64
		FinishedPercentage int
	}
	st := stage{ID: "M1", Status: i.State.taskStatus(), TotalWorkers: 1, RunningWorkers: 1}
	if i.State.final() {
		st.RunningWorkers, st.TerminatedWorkers, st.FinishedPercentage = 0, 1, 100
	}
	if i.Result != nil {
		st.OutputRecords = i.Result.Rows
	}
	return struct {
		XMLName xml.Name `xml:"Progress"`
		Stages  []stage  `xml:"Stage"`
	}{Stages: []stage{st}}
}

func (s *Service) listInstances(w http.ResponseWriter, r *request) error {
	type entry struct {
		Name      string
		Owner     string
		StartTime string
		EndTime   string
		Status    string
	}
	list := struct {
		XMLName   xml.Name `xml:"Instances"`
		Marker    string
		MaxItems  int
		Instances []entry `xml:"Instance"`
	}{MaxItems: maxInstances}
	wanted := r.query.Get("status")
	for _, i := range s.instances.List(r.project) {
		if wanted != "" && !strings.EqualFold(wanted, i.State.status()) {
			continue
		}
		list.Instances = append(list.Instances, entry{Name: i.ID, Owner: owner, StartTime: httpDate(i.Started), EndTime: endDate(i), Status: i.State.status()})
	}
	writeXML(w, http.StatusOK, list)
	return nil
}
