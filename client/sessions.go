package client

import (
	"context"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
)

// Session is a snapshot of a table and the streams it was cut into. It is a plain value: Token may be handed to other
// processes, which go on with GetReadSession or Read.
type Session struct {
	// Info tells columns, rows, partitions and when the snapshot ends.
	Info *sluicev1.ReadSession
	// Streams are the parts that the plan cut; none if no plan was given to GetReadSession.
	Streams []*sluicev1.ReadStream
	// Created tells whether this call made the session, where a key was given.
	Created bool
}

// Token is what identifies the session. It grants nothing by itself.
func (s *Session) Token() string { return s.Info.GetSessionToken() }

// CreateReadSession fixes a snapshot of a table. With a key, the first call of all fixes it and the others get the same.
func (c *Client) CreateReadSession(ctx context.Context, spec *sluicev1.ReadSessionSpec, key string) (*Session, error) {
	reply, err := c.rows().CreateReadSession(ctx, &sluicev1.CreateReadSessionRequest{Spec: spec, SessionKey: key})
	if err != nil {
		return nil, err
	}
	return &Session{Info: reply.GetSession(), Streams: reply.GetStreams(), Created: reply.GetCreated()}, nil
}

// GetReadSession describes a token, and cuts its rows anew if plan is not nil. SESSION_EXPIRED if the snapshot is gone.
func (c *Client) GetReadSession(ctx context.Context, token string, plan *sluicev1.ReadPlan) (*Session, error) {
	reply, err := c.rows().GetReadSession(ctx, &sluicev1.GetReadSessionRequest{SessionToken: token, Plan: plan})
	if err != nil {
		return nil, err
	}
	return &Session{Info: reply.GetSession(), Streams: reply.GetStreams()}, nil
}

// SplitReadStream cuts rows that are still to be read into new streams.
func (c *Client) SplitReadStream(ctx context.Context, token string, ranges []*sluicev1.RowRange, plan *sluicev1.ReadPlan) ([]*sluicev1.ReadStream, error) {
	reply, err := c.rows().SplitReadStream(ctx, &sluicev1.SplitReadStreamRequest{SessionToken: token, Ranges: ranges, Plan: plan})
	return reply.GetStreams(), err
}

// PlanStreams cuts into n streams of equal length.
func PlanStreams(n int32) *sluicev1.ReadPlan {
	return &sluicev1.ReadPlan{Plan: &sluicev1.ReadPlan_StreamCount{StreamCount: n}}
}

// PlanSlice takes one of count equal parts.
func PlanSlice(id, count int32) *sluicev1.ReadPlan {
	return &sluicev1.ReadPlan{Plan: &sluicev1.ReadPlan_Slice{Slice: &sluicev1.SlicePlan{SliceId: id, SliceCount: count}}}
}
