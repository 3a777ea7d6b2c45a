package client

import (
	"strconv"
	"time"

	"google.golang.org/grpc/codes"

	sluicev1 "github.com/sluice-io/sluice/gen/sluice/v1"
)

// handle takes one reply of the server in and tells whether the stream is of no more use. Unknown messages mean nothing
// (api.md 12).
func (w *Writer) handle(s *stream, reply *sluicev1.WriteRowsResponse) (over bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer w.broadcast()
	defer w.kick()
	switch m := reply.GetMessage().(type) {
	case *sluicev1.WriteRowsResponse_Ack:
		w.acknowledged(m.Ack)
	case *sluicev1.WriteRowsResponse_Flushed:
		w.advance(w.accepted, m.Flushed.GetDurableThrough())
	case *sluicev1.WriteRowsResponse_Rejected:
		w.rejected(s, m.Rejected)
	case *sluicev1.WriteRowsResponse_Sealed:
		s.sealed = true
		w.advance(m.Sealed.GetRows(), m.Sealed.GetRows())
		w.sealed, w.completes = &Sealed{Rows: m.Sealed.GetRows()}, m.Sealed.GetCompletesRun()
	case *sluicev1.WriteRowsResponse_Finished:
		w.finished(m.Finished.GetRun())
	case *sluicev1.WriteRowsResponse_Aborted:
		w.aborted()
	case *sluicev1.WriteRowsResponse_GoAway:
		s.goAway = true
	}
	return w.err != nil || w.phase == ended
}

func (w *Writer) acknowledged(ack *sluicev1.SliceAck) {
	w.wait = ack.GetWait()
	w.duplicates += ack.GetDuplicateRows()
	w.unverified += ack.GetUnverifiedRows()
	w.advance(ack.GetAcceptedThrough(), ack.GetDurableThrough())
}

func (w *Writer) advance(accepted, durable int64) {
	if accepted > w.accepted {
		w.accepted, w.rewinds = accepted, 0
	}
	if durable > w.durable {
		w.durable = durable
		w.q.dropDurable(durable)
		w.calm()
	}
}

// calm forgets earlier failures: rows get through.
func (w *Writer) calm() {
	w.brokenSince = time.Time{}
	w.pause.Reset()
}

// finished takes the run's end in. A run that is not committed is told by the stream's status, which follows.
func (w *Writer) finished(run *sluicev1.Run) {
	if w.sealed != nil && run.GetState() == sluicev1.RunState_RUN_STATE_COMMITTED {
		w.sealed.Run = run
		w.completes = false
	}
}

func (w *Writer) aborted() {
	if w.phase != aborting {
		w.fail(newError(sluicev1.Reason_REASON_WRITER_CLOSED, codes.FailedPrecondition, "the slice was aborted"))
	}
	w.phase = ended
}

func (w *Writer) rejected(s *stream, r *sluicev1.Rejected) {
	err := fromProto(r.GetError())
	switch target := r.GetTarget().(type) {
	case *sluicev1.Rejected_BatchId:
		w.batchRejected(s, target.BatchId, r, err)
	case *sluicev1.Rejected_SchemaId:
		w.schemaRejected(s, target.SchemaId, err)
	case *sluicev1.Rejected_Seal:
		w.sealRejected(s, r, err)
	case *sluicev1.Rejected_FlushId:
		if target.FlushId == w.flushNumber {
			w.flushError = err
		}
	}
}

// batchRejected deals with the refusal of a batch. An id that no entry has is of a sending that was given up: the batch
// behind a refused one arrived beyond the expected offset, was refused for that, and is on its way again.
func (w *Writer) batchRejected(s *stream, id int64, r *sluicev1.Rejected, err *Error) {
	i, ok := w.q.indexSentAs(id)
	if !ok {
		return
	}
	switch err.Reason {
	case sluicev1.Reason_REASON_OFFSET_GAP, sluicev1.Reason_REASON_OFFSET_OVERLAP:
		w.rewindTo(r.GetExpectedOffset(), err)
	case sluicev1.Reason_REASON_CHECKSUM_MISMATCH:
		e := w.q.entries[i]
		if e.damaged {
			w.fail(err)
			return
		}
		e.damaged = true
		w.q.rewind(i)
	default:
		e := w.q.remove(i)
		w.refuse(s, &RejectedError{
			FirstRow: e.firstRow, Rows: e.rows, RowErrors: r.GetRowErrors(), RowErrorCount: r.GetRowErrorCount(), Err: err,
		})
		e.free()
	}
}

// refuse keeps a rejection to be told, and stops a sealing that would leave its rows out unnoticed.
func (w *Writer) refuse(s *stream, r *RejectedError) {
	w.rejections = append(w.rejections, r)
	if w.phase == sealing {
		w.phase, s.sealsStale = writing, s.sealsWaiting
	}
	w.flushTarget = min(w.flushTarget, w.q.end)
}

// maxRewinds is how often in a row the server may ask for another offset without accepting anything.
const maxRewinds = 10

func (w *Writer) rewindTo(expected int64, err *Error) {
	i, ok := w.q.indexAt(expected)
	w.rewinds++
	if !ok || w.rewinds > maxRewinds {
		w.fail(err)
		return
	}
	w.q.rewind(i)
}

// schemaRejected drops all batches of a schema that the server refused.
func (w *Writer) schemaRejected(s *stream, id int32, err *Error) {
	if int(id) >= len(w.schemas) || w.schemas[id].refused != nil {
		return
	}
	refused := &RejectedError{FirstRow: w.given, Err: err}
	for i := 0; i < len(w.q.entries); {
		if w.q.entries[i].schemaID != id {
			i++
			continue
		}
		e := w.q.remove(i)
		refused.FirstRow = min(refused.FirstRow, e.firstRow)
		refused.Rows += e.rows
		e.free()
	}
	w.schemas[id].refused = refused
	w.refuse(s, refused)
}

// sealRejected deals with the refusal of the newest seal; earlier ones were given up when a batch before them was refused.
func (w *Writer) sealRejected(s *stream, r *sluicev1.Rejected, err *Error) {
	s.sealsWaiting--
	if s.sealsStale > 0 {
		s.sealsStale--
		return
	}
	if err.Reason == sluicev1.Reason_REASON_OFFSET_GAP && w.accepted < w.q.end && w.rewinds < maxRewinds {
		w.rewinds++ // rows got lost on the way to the server: send them, and the seal, again
		w.rewindTo(r.GetExpectedOffset(), err)
		return
	}
	w.fail(err)
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
