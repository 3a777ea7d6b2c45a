package rest

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-io/sluice/emulator/internal/instance"
	"github.com/sluice-io/sluice/emulator/internal/refusal"
)

// instanceFilter is what a list of instances is asked to hold.
type instanceFilter struct {
	status, job string
	from, to    time.Time // of the start; zero: no bound
	none        bool      // asked for those of somebody who has none
}

func (f instanceFilter) keeps(i instance.Instance) bool {
	switch {
	case f.none,
		f.status != "" && !strings.EqualFold(f.status, i.State.Status()),
		f.job != "" && f.job != i.Task.Job,
		!f.from.IsZero() && i.Started.Before(f.from),
		!f.to.IsZero() && i.Started.After(f.to):
		return false
	default:
		return true
	}
}

// instanceFilter reads a list's parameters. All instances belong to the one owner, so
// onlyowner changes nothing.
func (r *request) instanceFilter() (f instanceFilter, err error) {
	bad := func(name, want string) (instanceFilter, error) {
		return f, refusal.New(http.StatusBadRequest, "InvalidParameter", "ODPS-0420061:%s=%q is not %s", name, r.query.Get(name), want)
	}
	f.status, f.job, f.none = r.query.Get("status"), r.query.Get("jobname"), !r.ownedBy()
	switch strings.ToLower(f.status) {
	case "", "running", "suspended", "terminated":
	default:
		return bad("status", "Running, Suspended or Terminated")
	}
	switch strings.ToLower(r.query.Get("onlyowner")) {
	case "", "yes", "no":
	default:
		return bad("onlyowner", "yes or no")
	}
	bounds := r.query.Get("daterange")
	if bounds == "" {
		return f, nil
	}
	from, to, ok := strings.Cut(bounds, ":")
	for _, end := range []struct {
		text string
		at   *time.Time
	}{{from, &f.from}, {to, &f.to}} {
		if end.text == "" {
			continue
		}
		seconds, err := strconv.ParseInt(end.text, 10, 64)
		if ok = ok && err == nil; ok {
			*end.at = time.Unix(seconds, 0)
		}
	}
	if !ok {
		return bad("daterange", "from:to in unix seconds")
	}
	if !f.to.IsZero() {
		f.to = f.to.Add(time.Second - 1) // the whole of the last second
	}
	return f, nil
}

// instancePage are the instances that a request asks for, the newest first.
func (s *Service) instancePage(r *request, f instanceFilter) (list []instance.Instance, p page, next string, err error) {
	if p, err = r.page(); err != nil {
		return nil, p, "", err
	}
	before := ^uint64(0)
	if p.after != "" {
		if before, err = strconv.ParseUint(p.after, 10, 64); err != nil {
			return nil, p, "", refusal.New(http.StatusBadRequest, "InvalidParameter", "ODPS-0420061:marker=%q is of another list", r.query.Get("marker"))
		}
	}
	for _, i := range s.instances.List(r.project) {
		if i.Number >= before || !f.keeps(i) {
			continue
		}
		if len(list) == p.limit {
			return list, p, marker(strconv.FormatUint(list[p.limit-1].Number, 10)), nil
		}
		list = append(list, i)
	}
	return list, p, "", nil
}

func (s *Service) listInstances(w http.ResponseWriter, r *request) error {
	f, err := r.instanceFilter()
	if err != nil {
		return err
	}
	found, p, next, err := s.instancePage(r, f)
	if err != nil {
		return err
	}
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
	}{Marker: next, MaxItems: p.limit}
	for _, i := range found {
		list.Instances = append(list.Instances, entry{Name: i.ID, Owner: instance.Owner, StartTime: httpDate(i.Started), EndTime: endDate(i), Status: i.State.Status()})
	}
	writeXML(w, http.StatusOK, list)
	return nil
}

// queuedInstances lists those that are not over, as JSON in XML.
func (s *Service) queuedInstances(w http.ResponseWriter, r *request) error {
	if r.Method != http.MethodGet || len(r.path) > 1 {
		return badMethod(r)
	}
	f, err := r.instanceFilter()
	if err != nil {
		return err
	}
	if f.status == "" {
		f.status = instance.Running.Status()
	}
	found, p, next, err := s.instancePage(r, f)
	if err != nil {
		return err
	}
	content := []any{}
	for _, i := range found {
		content = append(content, queueingJSON(i))
	}
	text, err := json.Marshal(content)
	if err != nil {
		return fmt.Errorf("encode the queue: %w", err)
	}
	writeXML(w, http.StatusOK, struct {
		XMLName  xml.Name `xml:"Instances"`
		Marker   string
		MaxItems int
		Content  cdata
	}{Marker: next, MaxItems: p.limit, Content: cdata{string(text)}})
	return nil
}
