package show

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
)

// Runs lists runs, a line for each output; a run of several shows its own columns once.
func Runs(w io.Writer, runs []*sluicev1.Run) error {
	var rows [][]string
	for _, r := range runs {
		own := []string{r.GetRunId(), runState(r.GetState()), when(r.GetCreateTime()), when(r.GetUpdateTime())}
		if len(r.GetOutputs()) == 0 {
			rows = append(rows, append(own, "", "", ""))
		}
		for _, o := range r.GetOutputs() {
			rows = append(rows, append(own, RefText(o.GetSpec().GetTable()), slicesText(o), rowsText(o)))
			own = []string{"", "", "", ""}
		}
	}
	return Grid(w, []string{"run", "state", "created", "changed", "output", "slices", "rows"}, rows)
}

// Run describes one run: what it is, its outputs, its slices.
func Run(w io.Writer, r *sluicev1.Run, slices []*sluicev1.Slice) error {
	if _, err := fmt.Fprintln(w, RunLine(r)); err != nil {
		return err
	}
	for _, line := range details(r) {
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	var outputs [][]string
	for _, o := range r.GetOutputs() {
		outputs = append(outputs, []string{RefText(o.GetSpec().GetTable()), strings.TrimPrefix(o.GetState().String(), "OUTPUT_STATE_"), slicesText(o), rowsText(o), errorText(o.GetError())})
	}
	if err := Grid(w, []string{"output", "state", "slices", "rows", "error"}, outputs); err != nil || len(slices) == 0 {
		return err
	}
	var rows [][]string
	for _, s := range slices {
		rows = append(rows, []string{
			RefText(s.GetOutput()), strconv.Itoa(int(s.GetSliceId())), strings.TrimPrefix(s.GetState().String(), "SLICE_STATE_"), strconv.FormatInt(s.GetDurableThrough(), 10),
			strconv.FormatInt(s.GetAttempt(), 10), s.GetWorkerId(), s.GetClient(), whenKnown(s.GetLeaseExpireTime()),
		})
	}
	return Grid(w, []string{"output", "slice", "state", "durable rows", "attempt", "worker", "client", "lease ends"}, rows)
}

// RunLine is a run in one line: its id, its state, the rows that are durable and visible.
func RunLine(r *sluicev1.Run) string {
	var durable, committed int64
	for _, o := range r.GetOutputs() {
		durable += o.GetDurableRows()
		committed += o.GetCommittedRows()
	}
	return fmt.Sprintf("run %s  %s  %d rows durable, %d visible", r.GetRunId(), runState(r.GetState()), durable, committed)
}

// details are the lines of what is set of a run.
func details(r *sluicev1.Run) []string {
	lines := []string{fmt.Sprintf("created %s  changed %s  lease %s  ends without a sign of life after %s",
		when(r.GetCreateTime()), when(r.GetUpdateTime()), r.GetLeaseTtl().AsDuration(), r.GetRunTtl().AsDuration())}
	if t := r.GetEndTime(); t != nil {
		lines = append(lines, "ended "+when(t))
	}
	if t := r.GetExpireTime(); t != nil && r.GetEndTime() == nil {
		lines = append(lines, "its upload sessions end "+when(t))
	}
	if e := r.GetError(); e != nil {
		lines = append(lines, "error "+errorText(e))
	}
	return lines
}

func runState(s sluicev1.RunState) string { return strings.TrimPrefix(s.String(), "RUN_STATE_") }

// slicesText counts an output's slices: 2 of 4 sealed, 1 open, 1 lost.
func slicesText(o *sluicev1.Output) string {
	text := strconv.Itoa(int(o.GetSealedSlices()))
	if n := o.GetSpec().GetSliceCount(); n > 0 {
		text += fmt.Sprintf(" of %d", n)
	}
	text += " sealed"
	if n := o.GetOpenSlices(); n > 0 {
		text += fmt.Sprintf(", %d open", n)
	}
	if n := o.GetLostSlices(); n > 0 {
		text += fmt.Sprintf(", %d lost", n)
	}
	return text
}

func rowsText(o *sluicev1.Output) string {
	if o.GetState() == sluicev1.OutputState_OUTPUT_STATE_COMMITTED {
		return fmt.Sprintf("%d visible", o.GetCommittedRows())
	}
	return fmt.Sprintf("%d durable", o.GetDurableRows())
}

func errorText(e *sluicev1.Error) string {
	if e == nil {
		return ""
	}
	return strings.TrimPrefix(e.GetReason().String(), "REASON_") + ": " + e.GetMessage()
}

// whenKnown is when, or nothing where there is no such time.
func whenKnown(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return t.AsTime().Local().Format(time.DateTime)
}

// RunJSON prints a run and its slices as JSON: {"run": …, "slices": […]}.
func RunJSON(w io.Writer, r *sluicev1.Run, slices []*sluicev1.Slice) error {
	options := protojson.MarshalOptions{UseProtoNames: true}
	var whole struct {
		Run    json.RawMessage   `json:"run"`
		Slices []json.RawMessage `json:"slices"`
	}
	var err error
	if whole.Run, err = options.Marshal(r); err != nil {
		return fmt.Errorf("encode run: %w", err)
	}
	whole.Slices = make([]json.RawMessage, len(slices))
	for i, s := range slices {
		if whole.Slices[i], err = options.Marshal(s); err != nil {
			return fmt.Errorf("encode slice: %w", err)
		}
	}
	return JSON(w, whole)
}
