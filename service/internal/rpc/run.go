package rpc

import (
	"context"
	"fmt"
	"math"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/table"
	"github.com/sluice-io/sluice/service/internal/write"
)

// maxRunWait bounds GetRunRequest.wait (api.md 5).
const maxRunWait = 60 * time.Second

type runServer struct {
	sluicev1.UnimplementedRunServiceServer
	writes   *write.Engine
	defaults Defaults
	now      func() time.Time
}

func (s *runServer) CreateRun(ctx context.Context, req *sluicev1.CreateRunRequest) (*sluicev1.CreateRunResponse, error) {
	spec := write.RunSpec{ID: write.RunID(req.GetRunId()), Labels: req.GetLabels(), Creator: principalOf(ctx)}
	for i, o := range req.GetOutputs() {
		out, err := s.output(o, fmt.Sprintf("outputs[%d]", i))
		if err != nil {
			return nil, err
		}
		spec.Outputs = append(spec.Outputs, out)
	}
	var err error
	if spec.LeaseTTL, err = durationOf(req.GetLeaseTtl(), "lease_ttl"); err != nil {
		return nil, err
	}
	if spec.RunTTL, err = durationOf(req.GetRunTtl(), "run_ttl"); err != nil {
		return nil, err
	}
	run, created, err := s.writes.CreateRun(ctx, spec)
	if err != nil {
		return nil, err
	}
	return &sluicev1.CreateRunResponse{Run: runProto(&run, s.now()), Created: created}, nil
}

func (s *runServer) output(o *sluicev1.OutputSpec, field string) (write.OutputSpec, error) {
	t, err := s.defaults.resolve(o.GetTable(), field+".table")
	if err != nil {
		return write.OutputSpec{}, err
	}
	if o.GetSliceCount() < 0 {
		return write.OutputSpec{}, missing(field+".slice_count", "must not be negative")
	}
	options, err := outputOptions(o.GetOptions(), field+".options")
	if err != nil {
		return write.OutputSpec{}, err
	}
	return write.OutputSpec{Ref: t.ref(), Text: t.text, SliceCount: o.GetSliceCount(), Options: options}, nil
}

func outputOptions(o *sluicev1.OutputOptions, field string) (write.OutputOptions, error) {
	switch {
	case o.GetMode() < 0 || o.GetMode() > sluicev1.WriteMode_WRITE_MODE_UPSERT:
		return write.OutputOptions{}, unknownEnum(field+".mode", int32(o.GetMode()))
	case o.GetClear() < 0 || o.GetClear() > sluicev1.Clear_CLEAR_AT_OPEN:
		return write.OutputOptions{}, unknownEnum(field+".clear", int32(o.GetClear()))
	case o.GetVisibility() < 0 || o.GetVisibility() > sluicev1.Visibility_VISIBILITY_PER_SLICE:
		return write.OutputOptions{}, unknownEnum(field+".visibility", int32(o.GetVisibility()))
	case o.GetMissingPartition() < 0 || o.GetMissingPartition() > sluicev1.MissingPartition_MISSING_PARTITION_FAIL:
		return write.OutputOptions{}, unknownEnum(field+".missing_partition", int32(o.GetMissingPartition()))
	case o.GetClear() == sluicev1.Clear_CLEAR_AT_OPEN && o.GetMode() == sluicev1.WriteMode_WRITE_MODE_APPEND:
		return write.OutputOptions{}, missing(field+".clear", "AT_OPEN goes only with REPLACE")
	}
	return write.OutputOptions{
		Mode:             write.WriteMode(o.GetMode()),
		Clear:            write.Clear(o.GetClear()),
		Visibility:       write.Visibility(o.GetVisibility()),
		MissingPartition: write.MissingPartition(o.GetMissingPartition()),
	}, nil
}

func (s *runServer) GetRun(ctx context.Context, req *sluicev1.GetRunRequest) (*sluicev1.GetRunResponse, error) {
	wait, err := durationOf(req.GetWait(), "wait")
	if err != nil {
		return nil, err
	}
	if wait > maxRunWait {
		return nil, missing("wait", "at most 60 s")
	}
	run, err := s.writes.GetRun(ctx, write.RunID(req.GetRunId()), wait)
	if err != nil {
		return nil, err
	}
	return &sluicev1.GetRunResponse{Run: runProto(&run, s.now())}, nil
}

func (s *runServer) ListRuns(ctx context.Context, req *sluicev1.ListRunsRequest) (*sluicev1.ListRunsResponse, error) {
	if req.GetPageSize() < 0 {
		return nil, missing("page_size", "must not be negative")
	}
	q := write.RunQuery{
		PageSize: int(req.GetPageSize()), PageToken: req.GetPageToken(),
		IDPrefix: req.GetRunIdPrefix(), Labels: req.GetLabels(),
	}
	for _, state := range req.GetStates() {
		if state <= 0 || state > sluicev1.RunState_RUN_STATE_FAILED {
			return nil, unknownEnum("states", int32(state))
		}
		q.States = append(q.States, write.RunState(state))
	}
	output, err := s.optionalRef(req.GetOutput())
	if err != nil {
		return nil, err
	}
	q.Output = output
	runs, next, err := s.writes.ListRuns(ctx, q)
	if err != nil {
		return nil, err
	}
	resp := &sluicev1.ListRunsResponse{NextPageToken: next}
	for i := range runs {
		resp.Runs = append(resp.Runs, runProto(&runs[i], s.now()))
	}
	return resp, nil
}

func (s *runServer) ListSlices(ctx context.Context, req *sluicev1.ListSlicesRequest) (*sluicev1.ListSlicesResponse, error) {
	if req.GetPageSize() < 0 {
		return nil, missing("page_size", "must not be negative")
	}
	q := write.SliceQuery{RunID: write.RunID(req.GetRunId()), PageSize: int(req.GetPageSize()), PageToken: req.GetPageToken()}
	for _, state := range req.GetStates() {
		if state <= 0 || state > sluicev1.SliceState_SLICE_STATE_COMMITTED {
			return nil, unknownEnum("states", int32(state))
		}
		q.States = append(q.States, write.SliceState(state))
	}
	output, err := s.optionalRef(req.GetOutput())
	if err != nil {
		return nil, err
	}
	q.Output = output
	found, next, err := s.writes.ListSlices(ctx, q)
	if err != nil {
		return nil, err
	}
	resp := &sluicev1.ListSlicesResponse{NextPageToken: next}
	for i := range found {
		resp.Slices = append(resp.Slices, sliceProto(&found[i], s.now()))
	}
	return resp, nil
}

func (s *runServer) optionalRef(p *sluicev1.TableRef) (*table.Ref, error) {
	if p.GetPath() == "" && p.GetTable() == "" {
		return nil, nil //nolint:nilnil // an absent filter
	}
	t, err := s.defaults.resolve(p, "output")
	if err != nil {
		return nil, err
	}
	ref := t.ref()
	return &ref, nil
}

func (s *runServer) CompleteRun(ctx context.Context, req *sluicev1.CompleteRunRequest) (*sluicev1.CompleteRunResponse, error) {
	expect := make([]write.Expectation, len(req.GetExpect()))
	for i, e := range req.GetExpect() {
		t, err := s.defaults.resolve(e.GetOutput(), fmt.Sprintf("expect[%d].output", i))
		if err != nil {
			return nil, err
		}
		expect[i] = write.Expectation{Output: t.ref(), SliceCount: e.GetSliceCount(), Rows: e.Rows}
	}
	run, err := s.writes.CompleteRun(ctx, write.RunID(req.GetRunId()), expect)
	if err != nil {
		return nil, withRun(err, &run, s.now())
	}
	return &sluicev1.CompleteRunResponse{Run: runProto(&run, s.now())}, nil
}

func (s *runServer) AbortRun(ctx context.Context, req *sluicev1.AbortRunRequest) (*sluicev1.AbortRunResponse, error) {
	run, err := s.writes.AbortRun(ctx, write.RunID(req.GetRunId()), req.GetMessage(), req.GetForce())
	if err != nil {
		return nil, withRun(err, &run, s.now())
	}
	return &sluicev1.AbortRunResponse{Run: runProto(&run, s.now())}, nil
}

// withRun puts the run, if there is one, among the error's details.
func withRun(err error, run *write.Run, now time.Time) error {
	if run.ID == "" {
		return err
	}
	return apierr.From(err).WithDetail(runProto(run, now))
}

func durationOf(d *durationpb.Duration, field string) (time.Duration, error) {
	if d == nil {
		return 0, nil
	}
	if !d.IsValid() || d.AsDuration() < 0 || d.AsDuration() == math.MaxInt64 {
		return 0, missing(field, "must be a duration of zero or more")
	}
	return d.AsDuration(), nil
}

func runProto(r *write.Run, now time.Time) *sluicev1.Run {
	p := &sluicev1.Run{
		RunId:      string(r.ID),
		State:      sluicev1.RunState(r.State),
		Implicit:   r.Implicit,
		Labels:     r.Labels,
		LeaseTtl:   durationpb.New(r.LeaseTTL),
		RunTtl:     durationpb.New(r.RunTTL),
		Creator:    r.Creator,
		CreateTime: stamp(r.Created),
		UpdateTime: stamp(r.Updated),
		EndTime:    stamp(r.Ended),
		ExpireTime: stamp(r.Expires),
		Error:      errorProto(r.Err),
		Wait:       writeWaitProto(r.Wait, now),
	}
	for i := range r.Outputs {
		p.Outputs = append(p.Outputs, outputProto(&r.Outputs[i]))
	}
	return p
}

func outputProto(o *write.Output) *sluicev1.Output {
	return &sluicev1.Output{
		Spec: &sluicev1.OutputSpec{
			Table:      refProto(o.Spec.Ref),
			SliceCount: o.Spec.SliceCount,
			Options: &sluicev1.OutputOptions{
				Mode:             sluicev1.WriteMode(o.Spec.Options.Mode),
				Clear:            sluicev1.Clear(o.Spec.Options.Clear),
				Visibility:       sluicev1.Visibility(o.Spec.Options.Visibility),
				MissingPartition: sluicev1.MissingPartition(o.Spec.Options.MissingPartition),
			},
		},
		State:         sluicev1.OutputState(o.State),
		OpenSlices:    o.OpenSlices,
		SealedSlices:  o.SealedSlices,
		LostSlices:    o.LostSlices,
		DurableRows:   o.DurableRows,
		DurableBytes:  o.DurableBytes,
		CommittedRows: o.CommittedRows,
		CommitTime:    stamp(o.CommitTime),
		Error:         errorProto(o.Err),
	}
}

func sliceProto(s *write.Slice, now time.Time) *sluicev1.Slice {
	return &sluicev1.Slice{
		Output:          refProto(s.Output),
		SliceId:         int32(s.ID),
		State:           sluicev1.SliceState(s.State),
		Attempt:         int64(s.Attempt),
		Term:            int64(s.Term),
		WorkerId:        s.WorkerID,
		Principal:       s.Principal,
		Client:          s.Client,
		DurableThrough:  int64(s.DurableThrough),
		DurableBytes:    s.DurableBytes,
		OpenTime:        stamp(s.Opened),
		LeaseExpireTime: stamp(s.LeaseExpires),
		Wait:            writeWaitProto(s.Wait, now),
	}
}

func writeWaitProto(w *write.Wait, now time.Time) *sluicev1.Wait {
	if w == nil {
		return nil
	}
	return waitProto(sluicev1.WaitHolder(w.Holder), now.Sub(w.Since), w.Estimate, w.Message)
}

func errorProto(e *apierr.Error) *sluicev1.Error {
	if e == nil {
		return nil
	}
	return e.Proto("")
}
