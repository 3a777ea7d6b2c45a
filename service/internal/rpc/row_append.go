package rpc

import (
	"context"
	"log/slog"
	"time"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/write"
)

// abandonWithin bounds the abort of a rejected call's run; the sweeper ends what it leaves.
const abandonWithin = 10 * time.Second

// AppendRows is a short resume that answers when its rows are durable: open, batch, then seal or abort. It keeps
// nothing between calls.
func (s *rowServer) AppendRows(ctx context.Context, req *sluicev1.AppendRowsRequest) (*sluicev1.AppendRowsResponse, error) {
	switch {
	case req.GetOpen() == nil:
		return nil, missing("open", "required in every call")
	case req.GetSeal() != nil && req.GetAbort() != nil:
		return nil, missing("abort", "seal and abort exclude each other")
	case s.streams.draining():
		return nil, apierr.New(apierr.Draining, "this replica is shutting down: call another one")
	}
	check := checker{limits: s.limits, cast: req.GetOpen().GetCast()}
	w, opened, err := s.open(ctx, req.GetOpen(), &check, true)
	if err != nil {
		return nil, withFinished(err, opened.Finished, s.now())
	}
	resp := &sluicev1.AppendRowsResponse{Opened: s.openedProto(&opened, &check)}
	if w != nil {
		defer w.Detach()
	}
	if opened.Sealed != nil || opened.Aborted != nil {
		return s.appendToEnded(ctx, w, req, resp, &opened)
	}
	if err := s.appendBatch(ctx, w, &check, req, resp); err != nil {
		return nil, s.abandon(ctx, w, req, &opened, err)
	}
	switch {
	case req.GetSeal() != nil:
		err = s.appendSeal(ctx, w, req, resp)
	case req.GetAbort() != nil:
		err = s.appendAbort(ctx, w, req, resp)
	}
	if err != nil {
		return nil, s.abandon(ctx, w, req, &opened, err)
	}
	return resp, nil
}

// abandon ends the implicit run that a rejected call had opened, before the rejection is answered: nothing of it is
// kept and the caller may not even know its writer's name, yet its lease would keep everybody off the table. Runs that
// earlier calls opened, and explicit ones, keep their lease. It gives the rejection, whatever comes of the abort.
func (s *rowServer) abandon(ctx context.Context, w *write.Writer, req *sluicev1.AppendRowsRequest, opened *write.Opened, rejection error) error {
	firstOpen := req.GetOpen().GetRunId() == "" && opened.Term == 1 // an implicit run has one slice, whose first term began it
	if !firstOpen || write.Fatal(rejection) {
		return rejection
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abandonWithin) // also for a caller who has gone
	defer cancel()
	if _, err := w.Abort(ctx, "its first call was rejected"); err != nil {
		s.log.WarnContext(ctx, "the run of a rejected call is left to its lease", slog.String("run_id", string(opened.RunID)), slog.String("err", err.Error()))
	}
	return rejection
}

// appendBatch adds the call's rows, if there are any, and waits until all of the slice's rows are durable.
func (s *rowServer) appendBatch(ctx context.Context, w *write.Writer, check *checker, req *sluicev1.AppendRowsRequest, resp *sluicev1.AppendRowsResponse) error {
	var result write.AppendResult
	if b := req.GetBatch(); b != nil {
		var err error
		if result, err = check.append(ctx, w, b, arrowOf(b)); err != nil {
			return rejectedDetail(err, w, &sluicev1.Rejected{
				Target: &sluicev1.Rejected_BatchId{BatchId: b.GetBatchId()}, Offset: b.GetOffset(), RowCount: b.GetRowCount(),
			})
		}
		// A seal makes durable by itself, an abort drops: only a call without either flushes.
		if req.GetSeal() == nil && req.GetAbort() == nil {
			if _, err := w.Flush(ctx); err != nil {
				return rejectedDetail(err, w, &sluicev1.Rejected{Target: &sluicev1.Rejected_FlushId{}})
			}
		}
	}
	resp.Ack = ackProto(w.Accepted(), w.Durable(), result)
	return nil
}

func (s *rowServer) appendSeal(ctx context.Context, w *write.Writer, req *sluicev1.AppendRowsRequest, resp *sluicev1.AppendRowsResponse) error {
	sealed, err := w.Seal(ctx, req.GetSeal().Rows)
	if err != nil {
		return rejectedDetail(err, w, &sluicev1.Rejected{Target: &sluicev1.Rejected_Seal{Seal: true}})
	}
	resp.Ack.AcceptedThrough, resp.Ack.DurableThrough = int64(w.Accepted()), int64(w.Durable())
	return s.sealedReplies(ctx, w, &sealed, resp)
}

// sealedReplies fills what follows a seal: the run's end too, if the seal completes it.
func (s *rowServer) sealedReplies(ctx context.Context, w *write.Writer, sealed *write.Sealed, resp *sluicev1.AppendRowsResponse) error {
	resp.Sealed = sealedProto(sealed)
	if !sealed.CompletesRun {
		return nil
	}
	run, err := w.Finish(ctx)
	if err != nil {
		return withFinished(err, &run, s.now())
	}
	resp.Finished = &sluicev1.RunFinished{Run: runProto(&run, s.now())}
	return nil
}

func (s *rowServer) appendAbort(ctx context.Context, w *write.Writer, req *sluicev1.AppendRowsRequest, resp *sluicev1.AppendRowsResponse) error {
	discarded, err := w.Abort(ctx, req.GetAbort().GetMessage())
	if err != nil {
		return err
	}
	resp.Aborted = &sluicev1.SliceAborted{DiscardedRows: discarded}
	return nil
}

// appendToEnded answers a call that found its slice sealed or aborted by this writer: a repeated call is harmless, rows
// beyond the seal are not.
func (s *rowServer) appendToEnded(ctx context.Context, w *write.Writer, req *sluicev1.AppendRowsRequest, resp *sluicev1.AppendRowsResponse, o *write.Opened) (*sluicev1.AppendRowsResponse, error) {
	if o.Aborted != nil {
		if req.GetBatch() != nil && req.GetAbort() == nil {
			return nil, apierr.New(apierr.WriterClosed, "this writer aborted the slice")
		}
		resp.Aborted = &sluicev1.SliceAborted{DiscardedRows: *o.Aborted}
		return resp, nil
	}
	if b := req.GetBatch(); b != nil {
		rows, err := rowCount(b)
		if err != nil {
			return nil, err
		}
		if int64(rows) > o.Sealed.Rows || b.GetOffset() > o.Sealed.Rows-int64(rows) {
			return nil, apierr.New(apierr.WriterClosed, "the slice is sealed with %d rows: nothing can be added", o.Sealed.Rows)
		}
		resp.Ack = ackProto(write.RowOffset(o.Sealed.Rows), write.RowOffset(o.Sealed.Rows),
			write.AppendResult{DuplicateRows: int64(rows), UnverifiedRows: int64(rows)})
	}
	if req.GetAbort() != nil {
		return nil, apierr.New(apierr.WriterClosed, "the slice is sealed: it cannot be aborted any more")
	}
	if rows := req.GetSeal().GetRows(); req.GetSeal() != nil && req.GetSeal().Rows != nil && rows != o.Sealed.Rows {
		return nil, apierr.New(apierr.WriterClosed, "the slice is sealed with %d rows, not with %d", o.Sealed.Rows, rows)
	}
	return resp, s.sealedReplies(ctx, w, o.Sealed, resp)
}

// rejectedDetail makes what a stream would send as Rejected a status with that message among its details.
func rejectedDetail(err error, w *write.Writer, r *sluicev1.Rejected) error {
	e := apierr.From(err)
	if write.Fatal(err) {
		return e
	}
	fillRejected(r, e, w.Accepted())
	return e.WithDetail(r)
}
