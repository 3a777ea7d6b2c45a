package read

import (
	"context"
	"slices"
	"time"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/batch"
	"github.com/sluice-io/sluice/service/internal/table"
)

// RowsRequest is one ReadRows call. Exactly one of Token and Spec is set.
type RowsRequest struct {
	Token    string
	Spec     *Spec            // a session just for this call; its plan may only be a slice
	Ranges   []table.RowRange // read in this order; empty = all rows (or the slice of Spec's plan)
	SkipRows int64            // of the concatenated ranges
	RowLimit int64            // rows this call sends at most, counted after SkipRows; 0 = no limit
	Options  batch.OutOptions
}

// Sink receives what a ReadRows sends, from one goroutine at a time. A sink that blocks slows the read of the tunnel.
type Sink interface {
	// Opened comes first, once.
	Opened(*Opened) error
	// Send takes over m.Out (Release included).
	Send(m *Message) error
}

// Opened is the first answer of ReadRows.
type Opened struct {
	Session     *Session
	Rows        int64 // rows this call will send
	Columns     []table.Column
	ArrowSchema []byte // encapsulated IPC Schema message, only for Arrow
}

// Message is one answer with rows, or a sign of life without.
type Message struct {
	FirstRow       int64      // row number of the snapshot
	NextSkipRows   int64      // SkipRows of a call that continues after this message
	PartitionIndex int        // into Session.Partitions
	Out            *batch.Out // nil: a sign of life
	Wait           *Wait      // what a sign of life waits for, nil when nothing is known
}

// Wait says why rows do not come.
type Wait struct {
	Reason  WaitReason
	Waited  time.Duration
	Message string
}

// WaitReason is who holds a read up; the numbers are those of sluice.v1.WaitHolder.
type WaitReason int32

// The holders a read can meet.
const (
	WaitBackendThrottle WaitReason = 4
	WaitBackendDown     WaitReason = 5
)

// Rows sends the rows asked for, in order, and returns nil only when sink took all of them. Errors: SESSION_EXPIRED,
// SEEK_OUT_OF_RANGE, BAD_ARGUMENT, those of CreateSession with a Spec, TYPE_MISMATCH and MESSAGE_TOO_LARGE at a row that
// cannot be sent (all before it were), BACKEND_UNAVAILABLE with retry=resume after bounded tries, and what sink returns.
// Between two messages it never holds more than one upstream message, two read ahead, and 256 KiB of gathered rows.
func (e *Engine) Rows(ctx context.Context, req RowsRequest, sink Sink) error {
	snap, token, ranges, err := e.source(ctx, &req)
	if err != nil {
		return err
	}
	segments, rows, err := snap.segments(ranges, req.SkipRows, req.RowLimit)
	if err != nil {
		return err
	}
	req.Options.MaxMessageBytes = e.messageLimit(req.Options.MaxMessageBytes)
	p, err := e.newPump(snap, segments, rows, &req, sink)
	if err != nil {
		return err
	}
	session := snap.session(token)
	opened := &Opened{Session: session, Rows: rows, Columns: session.Columns, ArrowSchema: p.enc.Schema()}
	if err := sink.Opened(opened); err != nil {
		return err
	}
	return p.run(ctx)
}

// source finds the snapshot and the ranges of a call.
func (e *Engine) source(ctx context.Context, req *RowsRequest) (*snapshot, string, []table.RowRange, error) {
	switch {
	case (req.Token == "") == (req.Spec == nil):
		return nil, "", nil, apierr.New(apierr.BadArgument, "want either a session_token or a spec").WithViolation("source", "want exactly one")
	case req.SkipRows < 0:
		return nil, "", nil, outside("skip_rows is negative")
	case req.RowLimit < 0:
		return nil, "", nil, apierr.New(apierr.BadArgument, "row_limit is negative").WithViolation("row_limit", "must not be negative")
	case req.Options.MaxMessageBytes < 0:
		return nil, "", nil, apierr.New(apierr.BadArgument, "max_message_bytes is negative").WithViolation("max_message_bytes", "must not be negative")
	case req.Options.MaxBatchRows < 0:
		return nil, "", nil, apierr.New(apierr.BadArgument, "max_batch_rows is negative").WithViolation("max_batch_rows", "must not be negative")
	case req.Spec != nil:
		return e.specSource(ctx, req)
	}
	snap, err := e.open(req.Token)
	if err != nil {
		return nil, "", nil, err
	}
	ranges, err := e.ranges(snap, req.Ranges)
	return snap, req.Token, ranges, err
}

// specSource makes a session just for this call.
func (e *Engine) specSource(ctx context.Context, req *RowsRequest) (*snapshot, string, []table.RowRange, error) {
	plan := req.Spec.Plan
	if plan != nil && (plan.Slice == nil || len(req.Ranges) > 0) {
		return nil, "", nil, apierr.New(apierr.BadArgument, "with a spec the plan can only be a slice, without ranges").WithViolation("spec.plan", "only a slice, without ranges")
	}
	snap, token, err := e.create(ctx, *req.Spec)
	if err != nil {
		return nil, "", nil, err
	}
	asked := req.Ranges
	if plan != nil {
		streams, err := plan.streams(snap.all(), snap.parts)
		if err != nil {
			return nil, "", nil, err
		}
		asked = streams[0].Ranges
	}
	ranges, err := e.ranges(snap, asked)
	return snap, token, ranges, err
}

func (e *Engine) messageLimit(asked int) int {
	const byDefault = 4 << 20 // what gRPC clients receive without being told
	if asked == 0 {
		asked = byDefault
	}
	return min(asked, e.cfg.MaxMessageBytes)
}

// segment is rows of one partition that follow each other: what one upstream read gives.
type segment struct {
	part int
	rows table.RowRange // of the partition
	base int64          // row number of the partition's first row in the snapshot
}

// segments turns ranges, without the first skip rows and cut after limit rows (0 = none), into segments and their
// number of rows. skip beyond the rows is SEEK_OUT_OF_RANGE.
func (s *snapshot) segments(ranges []table.RowRange, skip, limit int64) ([]segment, int64, error) {
	total, ok := table.TotalRows(ranges)
	if !ok || skip > total {
		return nil, 0, outside("skip_rows %d lies outside the %d rows asked for", skip, total)
	}
	left := total - skip
	if limit > 0 {
		left = min(left, limit)
	}
	starts := make([]int64, len(s.parts)+1)
	for i, p := range s.parts {
		starts[i+1] = starts[i] + p.rows
	}
	var out []segment
	rows := left
	for _, r := range ranges {
		drop := min(skip, r.Rows())
		skip -= drop
		r.Start += drop
		r.End = min(r.End, r.Start+left)
		left -= r.Rows()
		out = appendSegments(out, starts, r)
	}
	return out, rows, nil
}

// appendSegments cuts a range at the partitions' borders, of which starts holds the first rows and the end.
func appendSegments(out []segment, starts []int64, r table.RowRange) []segment {
	for r.Start < r.End {
		i, found := slices.BinarySearch(starts, r.Start)
		if !found {
			i--
		}
		for starts[i+1] == r.Start { // empty partitions begin at the same row
			i++
		}
		end := min(r.End, starts[i+1])
		seg := segment{part: i, rows: table.RowRange{Start: r.Start - starts[i], End: end - starts[i]}, base: starts[i]}
		if n := len(out); n > 0 && out[n-1].part == i && out[n-1].rows.End == seg.rows.Start {
			out[n-1].rows.End = seg.rows.End
		} else {
			out = append(out, seg)
		}
		r.Start = end
	}
	return out
}
