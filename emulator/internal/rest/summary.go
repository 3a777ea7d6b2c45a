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
)

// stageName is the one stage that a statement runs in here.
const stageName = "M1"

// workers says how many of the one worker of an instance run and have ended.
func workers(i instance.Instance) (running, ended int) {
	switch {
	case i.State == instance.Running:
		return 1, 0
	case i.State.Final():
		return 0, 1
	default:
		return 0, 0
	}
}

func progressXML(i instance.Instance) any {
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
	st := stage{ID: stageName, Status: i.State.TaskStatus(), TotalWorkers: 1, InputRecords: instance.Total(i.Stats.Inputs).Rows, OutputRecords: i.Stats.Rows}
	st.RunningWorkers, st.TerminatedWorkers = workers(i)
	if i.State.Final() {
		st.FinishedPercentage = 100
	}
	return struct {
		XMLName xml.Name `xml:"Progress"`
		Stages  []stage  `xml:"Stage"`
	}{Stages: []stage{st}}
}

// detailJSON describes the run as a tree of jobs, tasks and workers.
func detailJSON(i instance.Instance) any {
	running, _ := workers(i)
	status := "Terminated"
	if running > 0 {
		status = "Running"
	} else if !i.State.Final() {
		status = "Waiting"
	}
	worker := map[string]any{
		"id": stageName + "#0_0", "logId": i.ID, "status": status, "startTime": i.Started.Unix(), "endTime": unixOrZero(i.Ended),
		"input_records": instance.Total(i.Stats.Inputs).Rows, "input_bytes": instance.Total(i.Stats.Inputs).Bytes,
		"output_records": i.Stats.Rows, "output_bytes": instance.Total(i.Stats.Outputs).Bytes,
	}
	return map[string]any{
		"Instance": map[string]any{"Name": i.ID, "Status": i.State.Status(), "TaskStatus": i.State.TaskStatus(), "Owner": instance.Owner},
		"mapReduce": map[string]any{
			"jobs": []any{map[string]any{
				"name":  i.ID + "_" + i.Task.Name,
				"tasks": []any{map[string]any{"name": stageName, "status": status, "instances": []any{worker}}},
			}},
			"summary":     summaryText(i),
			"jsonSummary": summaryJSON(i),
		},
	}
}

func unixOrZero(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// writeSummary answers with what an instance read, wrote and cost; empty until it is over.
func writeSummary(w http.ResponseWriter, i instance.Instance) error {
	setHeader(w, "x-odps-task-finalized", strconv.FormatBool(i.State.Final()))
	answer := map[string]string{"JsonSummary": "", "Summary": ""}
	if i.State.Final() {
		text, err := json.Marshal(summaryJSON(i))
		if err != nil {
			return fmt.Errorf("encode the summary of instance %s: %w", i.ID, err)
		}
		answer["JsonSummary"], answer["Summary"] = string(text), summaryText(i)
	}
	writeJSON(w, map[string]any{"Instance": answer})
	return nil
}

// summaryJSON is the summary for programs. The cost is that of one core for as long as
// the instance ran, in hundredths of core seconds; memory is not measured.
func summaryJSON(i instance.Instance) map[string]any {
	flows := func(list []instance.Flow) map[string][2]int64 {
		out := map[string][2]int64{}
		for _, f := range list {
			sum := out[f.Name]
			out[f.Name] = [2]int64{sum[0] + f.Rows, sum[1] + f.Bytes}
		}
		return out
	}
	return map[string]any{
		"Cost":    map[string]int64{"CPU": i.Elapsed().Milliseconds() / 10, "Memory": 0, "Input": instance.Total(i.Stats.Inputs).Bytes},
		"Inputs":  flows(i.Stats.Inputs),
		"Outputs": flows(i.Stats.Outputs),
		"Stages": []any{map[string]any{
			"Name": stageName, "InstanceCount": 1, "RunTimeMs": i.Elapsed().Milliseconds(),
			"InputRecords": instance.Total(i.Stats.Inputs).Rows, "OutputRecords": i.Stats.Rows,
		}},
		"RunTimeMs": i.Elapsed().Milliseconds(),
	}
}

// summaryText is the summary for people.
func summaryText(i instance.Instance) string {
	var b strings.Builder
	seconds := i.Elapsed().Seconds()
	fmt.Fprintf(&b, "resource cost: cpu %.2f Core * Min, memory 0.00 GB * Min\n", seconds/60)
	for _, part := range []struct {
		title string
		flows []instance.Flow
	}{{"inputs", i.Stats.Inputs}, {"outputs", i.Stats.Outputs}} {
		fmt.Fprintf(&b, "%s:\n", part.title)
		for _, f := range part.flows {
			fmt.Fprintf(&b, "\t%s: %d (%d bytes)\n", f.Name, f.Rows, f.Bytes)
		}
	}
	fmt.Fprintf(&b, "Job run time: %.3f\nJob run mode: embedded endpoint\n", seconds)
	fmt.Fprintf(&b, "%s:\n\tinstance count: 1\n\trun time: %.3f\n\tinput records: %d\n\toutput records: %d\n",
		stageName, seconds, instance.Total(i.Stats.Inputs).Rows, i.Stats.Rows)
	return b.String()
}

// queueingJSON is an instance as it stands in the queue.
func queueingJSON(i instance.Instance) map[string]any {
	progress := 0
	if i.State.Final() {
		progress = 100
	}
	return map[string]any{
		"instanceId": i.ID, "instancePriority": i.Task.Priority, "instanceProcess": progress, "jobName": i.Task.Job, "projectName": i.Project,
		"skynetId": "", "startTime": i.Started.UTC().Format("2006-01-02 15:04:05"), "taskName": i.Task.Name, "taskType": i.Task.Kind,
		"userAccount": instance.Owner, "status": i.State.Status(),
	}
}
