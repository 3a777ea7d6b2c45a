package rest

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-io/sluice/emulator/internal/instance"
	"github.com/sluice-io/sluice/emulator/internal/refusal"
)

const (
	// submitWait is how long the answer to a submission waits for the task's end: clients
	// look at the state at once, and then only every second.
	submitWait = time.Second
	// statusWait is how long the answer to instancestatus waits for it.
	statusWait = 5 * time.Second
)

// defaultPriority is what production gives a job without one.
const defaultPriority = 9

type taskSubmitted struct {
	XMLName    xml.Name
	Name       string
	Properties []instance.Property `xml:"Config>Property"`
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
	case r.Method == http.MethodPut && r.has("info"):
		return refusal.New(http.StatusMethodNotAllowed, "MethodNotAllowed", "ODPS-0420061:information cannot be put into a task of this endpoint")
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

// jobSubmitted is a job with its one task.
type jobSubmitted struct {
	XMLName xml.Name `xml:"Instance"`
	Job     struct {
		Name     string
		Priority string
		GUID     string `xml:"Guid"`
		Tasks    struct {
			Items []taskSubmitted `xml:",any"`
		}
	}
}

// submit takes one SQL task.
func (s *Service) submit(w http.ResponseWriter, r *request) error {
	var body jobSubmitted
	if err := readXML(w, r.Request, &body); err != nil {
		return err
	}
	task, err := newTask(body)
	if err != nil {
		return err
	}
	task.Interactive = r.mcqa
	i, err := s.instances.Submit(r.project, task)
	if err != nil {
		return err
	}
	i = s.instances.Await(r.Context(), i, submitWait)
	w.Header().Set("Location", "http://"+r.Host+"/api/projects/"+r.project+"/instances/"+i.ID)
	if r.mcqa {
		setHeader(w, "x-odps-mcqa-query-cookie", i.ID)
	}
	if r.has("tryWait") && i.State.Final() {
		return writeResult(w, i, "")
	}
	w.WriteHeader(http.StatusCreated) // the body must be empty
	return nil
}

func newTask(body jobSubmitted) (instance.Task, error) {
	refuse := func(format string, args ...any) (instance.Task, error) {
		return instance.Task{}, refusal.New(http.StatusBadRequest, "InvalidArgument", "ODPS-0420061:"+format, args...)
	}
	items := body.Job.Tasks.Items
	if len(items) != 1 {
		return refuse("%d tasks submitted, one is expected", len(items))
	}
	t := items[0]
	if !slices.Contains([]string{instance.KindSQL, instance.KindCost, instance.KindPlan}, t.XMLName.Local) {
		return refuse("a task of type %s is not supported by this endpoint", t.XMLName.Local)
	}
	if t.Name == "" {
		return refuse("the task has no name")
	}
	task := instance.Task{
		Job: body.Job.Name, GUID: body.Job.GUID, Priority: defaultPriority,
		Name: t.Name, Query: t.Query, Properties: t.Properties, Settings: map[string]string{},
		Kind: t.XMLName.Local,
	}
	if text := strings.TrimSpace(body.Job.Priority); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return refuse("the priority %q is no number from 0 on", text)
		}
		task.Priority = n
	}
	for _, p := range t.Properties {
		switch p.Name {
		case "uuid":
			task.UUID = p.Value
		case "settings":
			if err := readSettings(task.Settings, p.Value); err != nil {
				return refuse("the settings are no JSON object: %s", err)
			}
		}
	}
	if task.GUID != "" { // the client's own name for the job goes before the one its SDK made up
		task.UUID = task.GUID
	}
	return task, nil
}

// readSettings reads a JSON object; values that are no text become their JSON, null none.
func readSettings(settings map[string]string, text string) error {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var values map[string]any
	if err := decoder.Decode(&values); err != nil {
		return err
	}
	if decoder.More() {
		return errors.New("there is something behind it")
	}
	for key, value := range values {
		switch v := value.(type) {
		case nil:
		case string:
			settings[key] = v
		default:
			encoded, err := json.Marshal(v)
			if err != nil {
				return err
			}
			settings[key] = string(encoded)
		}
	}
	return nil
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
		return refusal.New(http.StatusBadRequest, "InvalidStateSetting", "ODPS-0420061:an instance can be set to Terminated, not to %q", body.Status)
	}
	return s.instances.Stop(r.Context(), r.project, r.path[1])
}
