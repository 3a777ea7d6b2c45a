//go:build cgo && duckdb_arrow

package emulator_test

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-io/sluice/emulator"
)

// What an instance read and wrote is in its summary, its progress and its detail.
func TestGoSDK_instance_tells_what_it_read_and_wrote(t *testing.T) {
	c := client(start(t, emulator.Options{}))
	must(t, exec(t, c, "create table src (a bigint) partitioned by (pt string)"))
	must(t, exec(t, c, "create table dst (a bigint, pt string)"))
	must(t, exec(t, c, "insert into src partition (pt='x') values (1), (2), (3)"))
	must(t, exec(t, c, "insert into src partition (pt='y') values (4)"))
	i, err := c.ExecSQl("insert into dst select a, pt from src where pt = 'x'")
	must(t, err)
	must(t, i.WaitForSuccess())
	name := i.TaskNameCommitted()

	summary, err := i.GetTaskSummary(name)
	must(t, err)
	var got struct {
		Cost            map[string]int64
		Inputs, Outputs map[string][2]int64
	}
	must(t, json.Unmarshal([]byte(summary.JsonSummary), &got))
	in, out := got.Inputs["p1.src/pt=x"], got.Outputs["p1.dst"]
	if len(got.Inputs) != 1 || len(got.Outputs) != 1 || in[0] != 3 || in[1] <= 0 || out[0] != 3 || out[1] <= 0 || got.Cost["Input"] != in[1] {
		t.Errorf("summary = %s, want 3 rows of p1.src/pt=x read and 3 of p1.dst written", summary.JsonSummary)
	}
	for _, line := range []string{"resource cost: cpu ", fmt.Sprintf("inputs:\n\tp1.src/pt=x: 3 (%d bytes)\noutputs:\n\tp1.dst: 3 (%d bytes)\n", in[1], out[1]), "output records: 3"} {
		if !strings.Contains(summary.Summary, line) {
			t.Errorf("summary = %s\nwant %q in it", summary.Summary, line)
		}
	}
	stages, err := i.GetTaskProgress(name)
	must(t, err)
	if len(stages) != 1 || stages[0].InputRecords != 3 {
		t.Errorf("progress = %+v, want 3 records in", stages)
	}
	detail, err := i.GetTaskDetail(name)
	must(t, err)
	if !strings.Contains(string(detail), `"input_records":3`) || !strings.Contains(string(detail), `"output_records":3`) {
		t.Errorf("detail = %s", detail)
	}

	i, err = c.ExecSQl("select a from src")
	must(t, err)
	must(t, i.WaitForSuccess())
	summary, err = i.GetTaskSummary(i.TaskNameCommitted())
	must(t, err)
	got.Inputs, got.Outputs = nil, nil
	must(t, json.Unmarshal([]byte(summary.JsonSummary), &got))
	if got.Inputs["p1.src/pt=x"][0] != 3 || got.Inputs["p1.src/pt=y"][0] != 1 || len(got.Outputs) != 0 || !strings.Contains(summary.Summary, "output records: 4") {
		t.Errorf("summary of a SELECT = %s %s", summary.JsonSummary, summary.Summary)
	}
}

// A query that takes long is Running, is listed and queued so, and ends as Cancelled when it is stopped.
func TestGoSDK_instance_is_stopped(t *testing.T) {
	s := start(t, emulator.Options{})
	c := client(s)
	i, err := c.ExecSQl("select count(*) from range(100000) a, range(100000) b, range(100000) c")
	must(t, err)
	must(t, i.Load())
	if i.Status().String() != "Running" || !i.EndTime().IsZero() {
		t.Fatalf("status = %v, ended %v, want Running", i.Status(), i.EndTime())
	}
	if diff := cmp.Diff([]string{i.Id()}, listed(t, c, set("status", "running"))); diff != "" {
		t.Error(diff)
	}
	queue, err := c.Instances().ListInstancesQueued()
	must(t, err)
	if len(queue) != 1 || !strings.Contains(queue[0], i.Id()) {
		t.Errorf("queue = %v, want %s in it", queue, i.Id())
	}
	summary, err := i.GetTaskSummary(i.TaskNameCommitted())
	must(t, err)
	if summary.JsonSummary != "" {
		t.Errorf("summary of a running instance = %s, want none yet", summary.JsonSummary)
	}
	if _, err := i.GetTaskDetail(i.TaskNameCommitted()); err != nil {
		t.Error(err)
	}
	began := time.Now()
	_, _, body := raw(t, s, "GET", "/api/projects/p1/instances/"+i.Id()+"?instancestatus", "")
	if waited := time.Since(began); !strings.Contains(body, "Running") || waited < 4*time.Second {
		t.Errorf("instancestatus = %s after %v, want Running after a wait", body, waited)
	}
	must(t, i.Terminate())
	tasks, err := i.GetTasks()
	must(t, err)
	if len(tasks) != 1 || tasks[0].Status.String() != "CANCELLED" {
		t.Errorf("tasks after Terminate = %+v, want CANCELLED", tasks)
	}
	if err := i.WaitForSuccess(); err == nil || !strings.Contains(err.Error(), "ODPS-0123144") {
		t.Errorf("WaitForSuccess = %v, want ODPS-0123144", err)
	}
	must(t, i.Terminate()) // over already
}

// A task of the type SQLCost tells what its statement would read, and does nothing.
func TestHTTP_sql_cost(t *testing.T) {
	s := start(t, emulator.Options{})
	c := client(s)
	must(t, exec(t, c, "create table src (a bigint) partitioned by (pt string)"))
	must(t, exec(t, c, "insert into src partition (pt='x') values (1), (2), (3)"))
	must(t, exec(t, c, "insert into src partition (pt='y') values (4)"))
	cost := func(query string) (status string, input int64, complexity float64, text string) {
		body := strings.NewReplacer("<SQL>", "<SQLCost>", "</SQL>", "</SQLCost>").Replace(submit(query))
		_, _, answer := raw(t, s, "POST", "/api/projects/p1/instances?tryWait", body)
		var got struct {
			Task struct {
				Type   string `xml:",attr"`
				Status string
				Result string
			} `xml:"Tasks>Task"`
		}
		must(t, xml.Unmarshal([]byte(answer), &got))
		if got.Task.Type != "SQLCost" {
			t.Errorf("cost of %s = %s, want a task of the type SQLCost", query, answer)
		}
		var parsed struct {
			Cost struct {
				SQL struct {
					Input      int64
					Complexity float64
				}
			}
		}
		if got.Task.Status == "Success" {
			must(t, json.Unmarshal([]byte(got.Task.Result), &parsed))
		}
		return got.Task.Status, parsed.Cost.SQL.Input, parsed.Cost.SQL.Complexity, got.Task.Result
	}
	status, all, complexity, _ := cost("select a from src")
	if status != "Success" || all <= 0 || complexity != 1 {
		t.Errorf("cost of all = %s, %d bytes, complexity %v", status, all, complexity)
	}
	if status, one, _, _ := cost("select a from src where pt = 'x'"); status != "Success" || one <= 0 || one >= all {
		t.Errorf("cost of one partition = %s, %d bytes, of all %d", status, one, all)
	}
	if status, twice, complexity, _ := cost("insert into src select distinct x.a, x.pt from src x join src y on x.a = y.a join src z on x.a = z.a order by a"); status != "Success" || twice <= all || complexity != 1.5 {
		t.Errorf("cost of a join = %s, %d bytes, complexity %v", status, twice, complexity)
	}
	if status, none, _, _ := cost("drop table src"); status != "Success" || none != 0 {
		t.Errorf("cost of a definition = %s, %d bytes", status, none)
	}
	must(t, exec(t, c, "create view v as select a from src where pt = 'y'"))
	if status, one, _, text := cost("select a from v"); status != "Success" || one <= 0 || one >= all {
		t.Errorf("cost of a view = %s, %d bytes, of all %d; %s", status, one, all, text)
	}
	if status, sum, _, text := cost("set a=b; select a from src; select a from src;"); status != "Success" || sum != 2*all {
		t.Errorf("cost of a script = %s, %d bytes, want twice %d; %s", status, sum, all, text)
	}
	if status, _, _, text := cost("select a from nowhere"); status != "Failed" || !strings.Contains(text, "ODPS-0130131") {
		t.Errorf("cost of no table = %s %s", status, text)
	}
	table := c.Table("src")
	must(t, table.Load())
	if table.RecordNum() != 4 {
		t.Errorf("rows after all that = %d, want 4", table.RecordNum())
	}
}

// A task of the type SQLPlan tells how its statement would run, and does nothing.
func TestHTTP_sql_plan(t *testing.T) {
	s := start(t, emulator.Options{})
	c := client(s)
	must(t, exec(t, c, "create table src (a bigint)"))
	for query, want := range map[string]string{
		"select a from src where a > 1":         "DuckDB",
		"insert into src select a + 1 from src": "DuckDB",
		"drop table src":                        "no query",
		"select a from nowhere":                 "ODPS-0130131",
	} {
		body := strings.NewReplacer("<SQL>", "<SQLPlan>", "</SQL>", "</SQLPlan>").Replace(submit(query))
		if _, _, answer := raw(t, s, "POST", "/api/projects/p1/instances?tryWait", body); !strings.Contains(answer, `Type="SQLPlan"`) || !strings.Contains(answer, want) {
			t.Errorf("plan of %s = %s, want %q in it", query, answer, want)
		}
	}
	if ok, err := c.Table("src").Exists(); !ok || err != nil {
		t.Errorf("the table after its plan: %v, %v", ok, err)
	}
}
