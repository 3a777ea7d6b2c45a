package emulator_test

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aliyun/aliyun-odps-go-sdk/odps"
	"github.com/aliyun/aliyun-odps-go-sdk/odps/options"
	"github.com/google/go-cmp/cmp"

	"github.com/sluice-io/sluice/emulator"
)

// listed are the ids of a list of instances.
func listed(t *testing.T, c *odps.Odps, filters ...odps.InsFilterFunc) (ids []string) {
	t.Helper()
	must(t, c.Instances().List(func(i *odps.Instance) { ids = append(ids, i.Id()) }, filters...))
	return ids
}

func TestGoSDK_instances_list(t *testing.T) {
	now := time.Date(2026, 11, 20, 17, 52, 49, 0, time.UTC)
	c := client(start(t, emulator.Options{Now: func() time.Time { return now }}))
	var made []string // the newest first, as they are listed
	for range 5 {
		i, err := c.ExecSQl("set a=b;")
		must(t, err)
		made = append([]string{i.Id()}, made...)
		now = now.Add(time.Minute)
	}
	filter := odps.InstanceFilter
	started := func(n int) time.Time { return now.Add(time.Duration(-n) * time.Minute) }
	for name, tt := range map[string]struct {
		filter odps.InsFilterFunc
		want   []string
	}{
		"all":           {filter.OnlyOwner(), made},
		"in pages":      {odps.InsFilterFunc(maxItems(2)), made},
		"terminated":    {filter.Status(odps.InstanceTerminated), made},
		"running":       {filter.Status(odps.InstanceRunning), nil},
		"a range":       {filter.TimeRange(started(4), started(2)), made[1:4]},
		"an empty one":  {filter.TimeRange(started(9), started(6)), nil},
		"since":         {set("daterange", fmt.Sprint(started(2).Unix())+":"), made[:2]},
		"until":         {set("daterange", ":"+fmt.Sprint(started(4).Unix())), made[3:]},
		"owner":         {set("owner", "ALIYUN$local"), made},
		"another owner": {set("owner", "x"), nil},
		"job":           {set("jobname", "x"), nil},
	} {
		if diff := cmp.Diff(tt.want, listed(t, c, tt.filter)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	queue, err := c.Instances().ListInstancesQueued()
	must(t, err)
	if diff := cmp.Diff([]string{"[]"}, queue); diff != "" {
		t.Errorf("queue: %s", diff)
	}
	for _, bad := range [][2]string{{"daterange", "x"}, {"daterange", "1"}, {"daterange", "1:x"}, {"status", "Odd"}, {"onlyowner", "maybe"}, {"maxitems", "-1"}, {"marker", "%"}, {"marker", "MXg"}} {
		wantCode(t, bad[0]+"="+bad[1], c.Instances().List(func(*odps.Instance) {}, set(bad[0], bad[1])), 400, "InvalidParameter")
	}
}

// set is a filter that sets one parameter.
func set(name, value string) odps.InsFilterFunc {
	return func(v url.Values) { v.Set(name, value) }
}

func TestGoSDK_instance_shows_itself(t *testing.T) {
	c := client(start(t, emulator.Options{}))
	o := options.NewSQLTaskOptions()
	o.Hints = map[string]string{"a": "b"}
	o.InstanceOption = options.NewCreateInstanceOptions()
	o.InstanceOption.Priority, o.InstanceOption.JobName, o.InstanceOption.UniqueIdentifyID = 3, "nightly", "guid-1"
	i, err := c.ExecSQlWithOption("create table t (a bigint) -- <&>", o)
	must(t, err)
	again, err := c.ExecSQlWithOption("create table t (a bigint) -- <&>", o)
	must(t, err)
	if again.Id() != i.Id() {
		t.Errorf("a repeated UniqueIdentifyID gave instance %s, want %s", again.Id(), i.Id())
	}
	must(t, i.WaitForSuccess())
	if i.Owner() == "" || i.StartTime().IsZero() || i.EndTime().IsZero() || i.Status() != odps.InstanceTerminated {
		t.Errorf("instance = owner %q, started %v, ended %v, status %v", i.Owner(), i.StartTime(), i.EndTime(), i.Status())
	}
	tasks, err := i.GetTasks()
	must(t, err)
	if len(tasks) != 1 || tasks[0].Type != "SQL" || tasks[0].Name != i.TaskNameCommitted() || tasks[0].Status != odps.TaskSuccess {
		t.Errorf("tasks = %+v", tasks)
	}
	stages, err := i.GetTaskProgress(i.TaskNameCommitted())
	must(t, err)
	if len(stages) != 1 || stages[0].FinishedPercentage != 100 || stages[0].TerminatedWorkers != "1" || stages[0].RunningWorkers != "0" {
		t.Errorf("stages = %+v", stages)
	}
	quota, err := i.GetTaskQuotaJson(i.TaskNameCommitted())
	must(t, err)
	cached, err := i.GetCachedInfo()
	must(t, err)
	for name, text := range map[string]string{"quota": quota, "cached": cached} {
		var got map[string]any
		if err := json.Unmarshal([]byte(text), &got); err != nil || len(got) == 0 {
			t.Errorf("%s = %q, %v, want a JSON object", name, text, err)
		}
	}
	if diff := cmp.Diff([]string{i.Id()}, listed(t, c, set("jobname", "nightly"))); diff != "" {
		t.Errorf("by name of the job: %s", diff)
	}
	_, err = i.GetTaskProgress("another")
	wantCode(t, "progress of another task", err, 404, "NoSuchObject")
	_, err = c.Instance("none").GetTasks()
	wantCode(t, "tasks of no instance", err, 404, "NoSuchObject")
}

// The job comes back as it was submitted, with Job as its root.
func TestHTTP_instance_source(t *testing.T) {
	s := start(t, emulator.Options{})
	body := `<Instance><Job><Name>n</Name><Priority>3</Priority><Guid>g</Guid><Tasks><SQL><Name>T</Name><Config>` +
		`<Property><Name>settings</Name><Value>{"a":1,"b":"x","c":null,"d":{"e":[true]}}</Value></Property><Property><Name>uuid</Name><Value>u</Value></Property>` +
		`</Config><Query><![CDATA[set x=y; -- <&>]]></Query></SQL></Tasks></Job></Instance>`
	_, headers, _ := raw(t, s, "POST", "/api/projects/p/instances", body)
	id := regexp.MustCompile(`Location: \S*/(\S+)`).FindStringSubmatch(strings.Join(headers, "\n"))[1]
	_, _, answer := raw(t, s, "GET", "/api/projects/p/instances/"+id+"?source", "")
	var got struct {
		XMLName  xml.Name `xml:"Job"`
		Name     string
		Priority int
		GUID     string `xml:"Guid"`
		Task     struct {
			Name       string
			Properties []struct{ Name, Value string } `xml:"Config>Property"`
			Query      string
		} `xml:"Tasks>SQL"`
	}
	if err := xml.Unmarshal([]byte(answer), &got); err != nil {
		t.Fatalf("%v in %s", err, answer)
	}
	if got.Name != "n" || got.Priority != 3 || got.GUID != "g" || got.Task.Name != "T" || got.Task.Query != "set x=y; -- <&>" || len(got.Task.Properties) != 2 || got.Task.Properties[1].Value != "u" {
		t.Errorf("source = %s", answer)
	}
}

func TestHTTP_submissions_that_are_refused(t *testing.T) {
	s := start(t, emulator.Options{})
	job := func(priority, tasks string) string {
		return "<Instance><Job>" + priority + "<Tasks>" + tasks + "</Tasks></Job></Instance>"
	}
	settings := func(text string) string {
		return job("", "<SQL><Name>T</Name><Config><Property><Name>settings</Name><Value>"+text+"</Value></Property></Config><Query>drop table t</Query></SQL>")
	}
	good := "<SQL><Name>T</Name><Query>set a=b</Query></SQL>"
	for name, body := range map[string]string{
		"nothing":          "",
		"half":             job("", good)[:40],
		"two roots":        job("", good) + "<x/>",
		"text behind":      job("", good) + "x",
		"another root":     "<Job/>",
		"no task":          job("", ""),
		"two tasks":        job("", good+good),
		"an unknown task":  job("", "<XFlow><Name>T</Name></XFlow>"),
		"no task's name":   job("", "<SQL><Query>set a=b</Query></SQL>"),
		"priority a word":  job("<Priority>high</Priority>", good),
		"priority below 0": job("<Priority>-1</Priority>", good),
		"settings a list":  settings("[]"),
		"settings cut":     settings(`{"a"`),
		"settings twice":   settings(`{}{}`),
		"an entity":        `<!DOCTYPE x [<!ENTITY e "x">]>` + job("", "<SQL><Name>&e;</Name></SQL>"),
		"deep":             strings.Repeat("<a>", 20000),
		"no UTF-8":         "<Instance>\xff</Instance>",
	} {
		status, _, answer := raw(t, s, "POST", "/api/projects/p/instances", body)
		if !strings.Contains(status, "400") || !strings.Contains(answer, "<Code>InvalidArgument</Code>") {
			t.Errorf("%s: %s %s, want 400 InvalidArgument", name, status, answer)
		}
	}
	if ids := listed(t, client(s)); ids != nil {
		t.Errorf("instances after refused submissions: %v", ids)
	}
}

// The interactive service (MaxQA): a probe for the session, then paths under /mcqa.
func TestGoSDK_interactive(t *testing.T) {
	s := start(t, emulator.Options{})
	c := client(s)
	// The SDK's own probe leaves the answer's body open, and with it a goroutine for a minute.
	_, headers, body := raw(t, s, "GET", "/api/quotas/fast?project=p1&version=wlm&tenant=local", "")
	session := regexp.MustCompile(`(?m)^x-odps-mcqa-conn: (.+)$`).FindStringSubmatch(strings.Join(headers, "\n"))
	if session == nil || !strings.Contains(body, "<Nickname>fast</Nickname>") {
		t.Fatalf("quota = %q %s, want x-odps-mcqa-conn", headers, body)
	}
	run := func(query string) (*odps.Instance, error) {
		o := options.NewSQLTaskOptions()
		o.InstanceOption = options.NewCreateInstanceOptions()
		o.InstanceOption.MaxQAOptions.UseMaxQA, o.InstanceOption.MaxQAOptions.SessionID = true, session[1]
		return c.ExecSQlWithOption(query, o)
	}
	i, err := run("create table t (a bigint)")
	must(t, err)
	if i.MaxQA.QueryCookie == "" || !strings.HasSuffix(i.Id(), "_mcqa") {
		t.Errorf("instance %s: cookie %q", i.Id(), i.MaxQA.QueryCookie)
	}
	must(t, i.WaitForSuccess())
	i, err = run("show tables")
	must(t, err)
	results, err := i.GetResult() // comes with the status
	must(t, err)
	if len(results) != 1 || results[0].Content() != "ALIYUN$local:t\n" {
		t.Errorf("result = %+v", results)
	}
	i, err = run("drop table nowhere")
	must(t, err)
	if err := i.WaitForSuccess(); err == nil || !strings.Contains(err.Error(), "ODPS-0130131") {
		t.Errorf("WaitForSuccess = %v, want ODPS-0130131", err)
	}
	must(t, i.Terminate())
}

func TestHTTP_log_view(t *testing.T) {
	s := start(t, emulator.Options{AccessID: "ak", AccessKey: "sk", BearerTokens: []emulator.BearerToken{{Token: "good"}}})
	c := client(s)
	i, err := c.ExecSQl("drop table nowhere")
	must(t, err)
	address, err := c.LogView().GenerateLogView(i, 1)
	must(t, err)
	u, err := url.Parse(address)
	must(t, err)
	if u.Host != s.Addr() {
		t.Errorf("log view = %s, want it at %s", address, s.Addr())
	}
	status, _, body := raw(t, s, "GET", u.RequestURI(), "")
	if !strings.Contains(status, "200") || !strings.Contains(body, "Failed") || !strings.Contains(body, "drop table nowhere") || !strings.Contains(body, "ODPS-0130131") {
		t.Errorf("log view = %s %s", status, body)
	}
	if status, _, _ := raw(t, s, "GET", "/logview/?p=p1&i="+i.Id()+"&token=bad", ""); !strings.Contains(status, "401") {
		t.Errorf("log view with a wrong token = %s, want 401", status)
	}
	if status, _, _ := raw(t, s, "GET", "/api/projects/p1?token=good", ""); !strings.Contains(status, "401") {
		t.Errorf("a token as parameter elsewhere = %s, want 401", status)
	}
}
