package read

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/sluice-io/sluice/service/internal/apierr"
	"github.com/sluice-io/sluice/service/internal/batch"
	"github.com/sluice-io/sluice/service/internal/retry"
	"github.com/sluice-io/sluice/service/internal/table"
)

// reader asks upstream for segments, one after the other, and hands their rows on as chunks. When upstream breaks off or
// answers short it asks again from the row it had reached, a bounded number of times without progress.
type reader struct {
	engine   *Engine
	snap     *snapshot
	segments []segment
	columns  []string // data columns in table order; none = only partition columns are read
	dec      *batch.Decoder
	form     batch.Form
	stamps   bool      // a column is or holds a TIMESTAMP or TIMESTAMP_NTZ
	out      chan item // closed by run

	trouble atomic.Pointer[trouble] // why nothing comes, read by the pump
}

type trouble struct {
	since time.Time
	err   error
}

// Faults of an answer that is well-formed but not what was asked for. Both are met by asking again.
var (
	errShort   = errors.New("upstream ended before the last row")
	errSurplus = errors.New("upstream sent more rows than asked for")
)

// run reads all segments and closes r.out. An error travels as the last item.
func (r *reader) run(ctx context.Context) {
	defer close(r.out)
	for i := range r.segments {
		if err := r.segment(ctx, i); err != nil {
			r.push(ctx, item{err: err})
			return
		}
	}
}

// push hands an item on, or releases it when the call is over.
func (r *reader) push(ctx context.Context, it item) bool {
	select {
	case r.out <- it:
		return true
	case <-ctx.Done():
		it.release()
		return false
	}
}

func (r *reader) segment(ctx context.Context, i int) error {
	seg := r.segments[i]
	if len(r.columns) == 0 {
		return r.constants(ctx, i)
	}
	next := seg.rows.Start
	for try := 1; ; try++ {
		reached, err := r.attempt(ctx, i, next)
		if reached > next {
			next, try = reached, 1
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			r.trouble.Store(nil)
			return nil
		case r.form == batch.FormArrow && (errors.Is(err, ErrArrowRefused) || r.stuckOnStamp(try, err)):
			r.form = batch.FormRecord // for the rest of the call; asked for at once, and tried anew
			try = 0
			continue
		case !repeatable(err) || r.engine.cfg.Retry.Last(try):
			return r.final(seg, next, err)
		}
		r.note(err)
		if err := r.engine.cfg.Retry.Wait(ctx, try, err); err != nil {
			return err
		}
	}
}

// stuckOnStamp reports whether the tries at one row are used up and the reason may be a timestamp that upstream's Arrow
// cannot hold: an upstream that meets it after its answer has begun can only break off.
func (r *reader) stuckOnStamp(try int, err error) bool {
	return r.stamps && repeatable(err) && r.engine.cfg.Retry.Last(try)
}

// repeatable is retry.Repeatable for a call that is still wanted: a deadline that passed then was upstream's.
func repeatable(err error) bool {
	return retry.Repeatable(err) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// attempt asks for rows [next, end of the segment) once. reached is the row up to which chunks were handed on.
func (r *reader) attempt(ctx context.Context, i int, next int64) (reached int64, err error) {
	seg := r.segments[i]
	download, err := r.engine.downloadOf(ctx, r.snap, seg.part)
	if err != nil {
		return next, err
	}
	src, err := r.open(ctx, ReadTarget{
		Ref: r.snap.ref(seg.part), DownloadID: download, Columns: r.columns,
		Range: table.RowRange{Start: next, End: seg.rows.End},
	})
	if err != nil {
		return next, err
	}
	defer src.close()
	for next < seg.rows.End {
		c, err := src.next()
		if err == io.EOF { //nolint:errorlint // a wrapped io.EOF is a cut, not the end
			return next, errShort
		}
		if err != nil {
			return next, err
		}
		n := int64(c.Rows())
		if err := r.complete(src, seg.rows.End-next-n); err != nil {
			c.Release()
			return next, err
		}
		if n == 0 {
			c.Release()
			continue
		}
		if !r.push(ctx, item{segment: i, first: seg.base + next, chunk: c}) {
			return next, ctx.Err()
		}
		next += n
		r.trouble.Store(nil)
	}
	return next, nil
}

// complete checks the end of the answer before its last rows are handed on: left is what is missing after them. Rows
// whose trailer was not seen are not trusted.
func (r *reader) complete(src source, left int64) error {
	if left > 0 {
		return nil
	}
	if left < 0 {
		return errSurplus
	}
	for {
		c, err := src.next()
		if err == io.EOF { //nolint:errorlint // a wrapped io.EOF is a cut, not the end
			return nil
		}
		if err != nil {
			return err
		}
		n := c.Rows()
		c.Release()
		if n > 0 {
			return errSurplus
		}
	}
}

// constants makes the rows of a segment of which only partition columns are read: nothing has to be fetched.
func (r *reader) constants(ctx context.Context, i int) error {
	const step = 64 << 10
	seg := r.segments[i]
	for at := seg.rows.Start; at < seg.rows.End; at += step {
		c := r.dec.Constant(int(min(step, seg.rows.End-at)))
		if !r.push(ctx, item{segment: i, first: seg.base + at, chunk: c}) {
			return ctx.Err()
		}
	}
	return nil
}

// final makes the error that ends the call.
func (r *reader) final(seg segment, next int64, err error) error {
	var known *apierr.Error
	if errors.As(err, &known) && known.Reason() != apierr.Internal {
		return known.OnStream()
	}
	return apierr.Wrap(err, apierr.BackendUnavailable, "reading row %d of %s broke off", seg.base+next, r.snap.ref(seg.part).Path()).
		With("project", r.snap.name.Project).With("table", r.snap.name.Table).OnStream()
}

func (r *reader) note(err error) {
	if r.trouble.Load() == nil {
		r.trouble.Store(&trouble{r.engine.cfg.Now(), err})
	}
}

// waiting says why nothing comes, nil when upstream is merely slow.
func (r *reader) waiting(now time.Time) *Wait {
	t := r.trouble.Load()
	if t == nil {
		return nil
	}
	w := &Wait{Reason: WaitBackendDown, Waited: now.Sub(t.since), Message: "upstream broke off; asking again"}
	if apierr.Is(t.err, apierr.Throttled) {
		w.Reason, w.Message = WaitBackendThrottle, "upstream asked to slow down"
	}
	return w
}

// source is one upstream answer as chunks; io.EOF comes after a verified trailer.
type source interface {
	next() (*batch.Chunk, error)
	close()
}

func (r *reader) open(ctx context.Context, target ReadTarget) (source, error) {
	if r.form == batch.FormRecord {
		body, err := r.engine.cfg.Backend.ReadRecords(ctx, target)
		if err != nil {
			return nil, err
		}
		return &recordSource{body, r.dec.Records(body, r.engine.cfg.Memory)}, nil
	}
	messages, err := r.engine.cfg.Backend.ReadArrow(ctx, target)
	if err != nil {
		return nil, err
	}
	return &arrowSource{messages, r.dec}, nil
}

type arrowSource struct {
	messages MessageReader
	dec      *batch.Decoder
}

func (s *arrowSource) next() (*batch.Chunk, error) {
	msg, rows, err := s.messages.Next()
	if err != nil {
		return nil, err
	}
	c, err := s.dec.Message(msg)
	if err != nil {
		msg.Release()
		return nil, err
	}
	if c.Rows() != rows {
		c.Release()
		return nil, fmt.Errorf("upstream message of %d rows was announced with %d", c.Rows(), rows)
	}
	return c, nil
}

func (s *arrowSource) close() { _ = s.messages.Close() } // everything it could say was said by next

type recordSource struct {
	body    io.Closer
	records *batch.RecordReader
}

func (s *recordSource) next() (*batch.Chunk, error) { return s.records.Next() }

func (s *recordSource) close() {
	s.records.Close()
	_ = s.body.Close() // everything it could say was said by next
}
