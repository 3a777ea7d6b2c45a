package client

import (
	"context"
	"iter"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
)

// CreateRun declares a run. All workers of a job may call it with the same settings; created tells whether this call made
// it. A known id with other settings is BAD_ARGUMENT.
func (c *Client) CreateRun(ctx context.Context, req *sluicev1.CreateRunRequest) (run *sluicev1.Run, created bool, err error) {
	reply, err := c.runs().CreateRun(ctx, req)
	return reply.GetRun(), reply.GetCreated(), err
}

// GetRun returns a run as it is now, or, with a wait of up to a minute, as soon as it has ended.
func (c *Client) GetRun(ctx context.Context, runID string, wait time.Duration) (*sluicev1.Run, error) {
	req := &sluicev1.GetRunRequest{RunId: runID}
	if wait > 0 {
		req.Wait = durationpb.New(wait)
	}
	reply, err := c.runs().GetRun(ctx, req)
	return reply.GetRun(), err
}

// Runs lists runs, newest first; filter's page fields are ignored.
func (c *Client) Runs(ctx context.Context, filter *sluicev1.ListRunsRequest) iter.Seq2[*sluicev1.Run, error] {
	return pages(func(token string) ([]*sluicev1.Run, string, error) {
		reply, err := c.runs().ListRuns(ctx, &sluicev1.ListRunsRequest{
			PageToken: token, Output: filter.GetOutput(), States: filter.GetStates(),
			RunIdPrefix: filter.GetRunIdPrefix(), Labels: filter.GetLabels(),
		})
		return reply.GetRuns(), reply.GetNextPageToken(), err
	})
}

// Slices lists the slices of a run by output and id.
func (c *Client) Slices(ctx context.Context, runID string) iter.Seq2[*sluicev1.Slice, error] {
	return pages(func(token string) ([]*sluicev1.Slice, string, error) {
		reply, err := c.runs().ListSlices(ctx, &sluicev1.ListSlicesRequest{RunId: runID, PageToken: token, PageSize: 1000})
		return reply.GetSlices(), reply.GetNextPageToken(), err
	})
}

// CompleteRun commits a run. It returns without an error only when the run is committed; every other outcome is an error
// with the run in [Error].Run. expect asserts slices or rows before anything is committed.
func (c *Client) CompleteRun(ctx context.Context, runID string, expect ...*sluicev1.OutputExpectation) (*sluicev1.Run, error) {
	reply, err := c.runs().CompleteRun(ctx, &sluicev1.CompleteRunRequest{RunId: runID, Expect: expect})
	return reply.GetRun(), err
}

// AbortRun drops everything that was written in the run. message is for the server's log.
func (c *Client) AbortRun(ctx context.Context, runID, message string) (*sluicev1.Run, error) {
	reply, err := c.runs().AbortRun(ctx, &sluicev1.AbortRunRequest{RunId: runID, Message: message})
	return reply.GetRun(), err
}

// ForceAbortRun is AbortRun for a run whose commit was sent and whose outcome nobody can learn any more: a person's word that it
// will not come. The run becomes FAILED, and its outputs are free. Look at the table first: its rows may be visible.
func (c *Client) ForceAbortRun(ctx context.Context, runID, message string) (*sluicev1.Run, error) {
	reply, err := c.runs().AbortRun(ctx, &sluicev1.AbortRunRequest{RunId: runID, Message: message, Force: true})
	return reply.GetRun(), err
}
