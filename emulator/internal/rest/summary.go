package rest

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// stageName is the one stage that a statement runs in here.
const stageName = "M1"

// elapsed is how long an instance has been running.
func (i Instance) elapsed() time.Duration {
	if !i.State.final() {
		return i.seen.Sub(i.Started)
	}
	return i.Ended.Sub(i.Started)
}

// workers says how many of the one worker run and have ended.
func (i Instance) workers() (running, ended int) {
	switch {
	case i.State == Running:
		return 1, 0
	case i.State.final():
		return 0, 1
	default:
		return 0, 0
	}
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
	st := stage{ID: stageName, Status: i.State.taskStatus(), TotalWorkers: 1, InputRecords: total(i.Stats.Inputs).Rows, OutputRecords: i.Stats.Rows}
	st.RunningWorkers, st.TerminatedWorkers = i.workers()
	if i.State.final() {
		st.FinishedPercentage = 100
	}
	return struct {
		XMLName xml.Name `xml:"Progress"`
		Stages  []stage  `xml:"Stage"`
	}{Stages: []stage{st}}
}

// detailJSON describes the run as a tree of jobs, tasks and workers.
func detailJSON(i Instance) any {
	running, _ := i.workers()
	status := "Terminated"
	if running > 0 {
		status = "Running"
	} else if !i.State.final() {
		status = "Waiting"
	}
	worker := map[string]any{
		"id": stageName + "#0_0", "logId": i.ID, "status": status, "startTime": i.Started.Unix(), "endTime": unixOrZero(i.Ended),
		"input_records": total(i.Stats.Inputs).Rows, "input_bytes": total(i.Stats.Inputs).Bytes,
		"output_records": i.Stats.Rows, "output_bytes": total(i.Stats.Outputs).Bytes,
	}
	return map[string]any{
		"Instance": map[string]any{"Name": i.ID, "Status": i.State.status(), "TaskStatus": i.State.taskStatus(), "Owner": owner},
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
func writeSummary(w http.ResponseWriter, i Instance) error {
	setHeader(w, "x-odps-task-finalized", strconv.FormatBool(i.State.final()))
	answer := map[string]string{"JsonSummary": "", "Summary": ""}
	if i.State.final() {
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
func summaryJSON(i Instance) map[string]any {
	flows := func(list []Flow) map[string][2]int64 {
		out := map[string][2]int64{}
		for _, f := range list {
			sum := out[f.Name]
			out[f.Name] = [2]int64{sum[0] + f.Rows, sum[1] + f.Bytes}
		}
		return out
	}
	return map[string]any{
		"Cost":    map[string]int64{"CPU": i.elapsed().Milliseconds() / 10, "Memory": 0, "Input": total(i.Stats.Inputs).Bytes},
		"Inputs":  flows(i.Stats.Inputs),
		"Outputs": flows(i.Stats.Outputs),
		"Stages": []any{map[string]any{
			"Name": stageName, "InstanceCount": 1, "RunTimeMs": i.elapsed().Milliseconds(),
			"InputRecords": total(i.Stats.Inputs).Rows, "OutputRecords": i.Stats.Rows,
		}},
		"RunTimeMs": i.elapsed().Milliseconds(),
	}
}

// summaryText is the summary for people.
func summaryText(i Instance) string {
	var b strings.Builder
	seconds := i.elapsed().Seconds()
	fmt.Fprintf(&b, "resource cost: cpu %.2f Core * Min, memory 0.00 GB * Min\n", seconds/60)
	for _, part := range []struct {
		title string
		flows []Flow
	}{{"inputs", i.Stats.Inputs}, {"outputs", i.Stats.Outputs}} {
		fmt.Fprintf(&b, "%s:\n", part.title)
		for _, f := range part.flows {
			fmt.Fprintf(&b, "\t%s: %d (%d bytes)\n", f.Name, f.Rows, f.Bytes)
		}
	}
	fmt.Fprintf(&b, "Job run time: %.3f\nJob run mode: embedded endpoint\n", seconds)
	fmt.Fprintf(&b, "%s:\n\tinstance count: 1\n\trun time: %.3f\n\tinput records: %d\n\toutput records: %d\n",
		stageName, seconds, total(i.Stats.Inputs).Rows, i.Stats.Rows)
	return b.String()
}

// queueingJSON is an instance as it stands in the queue.
func queueingJSON(i Instance) map[string]any {
	progress := 0
	if i.State.final() {
		progress = 100
	}
	return map[string]any{
		"instanceId": i.ID, "instancePriority": i.Task.Priority, "instanceProcess": progress, "jobName": i.Task.Job, "projectName": i.Project,
		"skynetId": "", "startTime": i.Started.UTC().Format("2006-01-02 15:04:05"), "taskName": i.Task.Name, "taskType": i.Task.kind(),
		"userAccount": owner, "status": i.State.status(),
	}
}
